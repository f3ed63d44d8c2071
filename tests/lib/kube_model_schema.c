/*
 * kube_model_schema.c: custom resource definitions: their kinds, and as much of structural schemas
 * as decides what is kept of an object: types, required, enum, bounds, lengths, patterns, defaults,
 * and the pruning of unknown fields.
 */
#include "lib/kube_model_int.h"
#include <regex.h>

static const char *type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    default:
        return "null";
    }
}

static bool flag(const json_t *schema, const char *name)
{
    return json_is_true(json_object_get(schema, name));
}

/* top: kind, apiVersion and metadata are the server's */
static void prune(const json_t *schema, json_t *value, bool top)
{
    size_t i;
    json_t *v;
    if (json_is_array(value)) {
        const json_t *items = json_object_get(schema, "items");
        json_array_foreach(value, i, v)
        {
            prune(items, v, false);
        }
        return;
    }
    if (!json_is_object(value)) return;
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    bool keep = flag(schema, "x-kubernetes-preserve-unknown-fields") || json_is_true(others);
    const char *key;
    void *next;
    json_object_foreach_safe(value, next, key, v)
    {
        const json_t *s = json_object_get(properties, key);
        if (!s && json_is_object(others)) s = others;
        bool own =
            top && (!strcmp(key, "kind") || !strcmp(key, "apiVersion") || !strcmp(key, "metadata"));
        if (own) continue;
        if (s)
            prune(s, v, false);
        else if (!keep)
            json_object_del(value, key);
    }
    json_t *s;
    json_object_foreach((json_t *)properties, key, s)
    {
        json_t *d = json_object_get(s, "default");
        if (d && !json_object_get(value, key)) json_object_set_new(value, key, json_deep_copy(d));
    }
}

void km_schema_prune(const json_t *schema, json_t *value)
{
    prune(schema, value, true);
}

static bool fail(const char **why, const char *reason)
{
    *why = reason;
    return false;
}

static bool check_type(const json_t *schema, const json_t *v)
{
    const char *want = km_text(schema, "type");
    const char *is = type_of(v);
    if (flag(schema, "x-kubernetes-int-or-string"))
        return !strcmp(is, "integer") || !strcmp(is, "string");
    return !*want || !strcmp(want, is) || (!strcmp(want, "number") && !strcmp(is, "integer")) ||
           (!strcmp(is, "null") && flag(schema, "nullable"));
}

/* A pattern that is not of POSIX too says nothing here. */
static bool fits_pattern(const char *pattern, const char *text)
{
    regex_t r;
    if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB) != 0) return true;
    bool fits = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return fits;
}

/* Is a number within minimum and maximum members of the schema? */
static bool within(const json_t *schema, const char *min, const char *max, double n)
{
    const json_t *lo = json_object_get(schema, min), *hi = json_object_get(schema, max);
    return (!lo || n >= json_number_value(lo)) && (!hi || n <= json_number_value(hi));
}

static bool check_scalar(const json_t *schema, const json_t *v, const char **why)
{
    const json_t *e = json_object_get(schema, "enum");
    if (e) {
        bool found = false;
        size_t i;
        json_t *one;
        json_array_foreach(e, i, one)
        {
            found |= json_equal(one, (json_t *)v);
        }
        if (!found) return fail(why, "FieldValueNotSupported");
    }
    const char *pattern = km_text(schema, "pattern");
    bool fine = true;
    if (json_is_number(v)) fine = within(schema, "minimum", "maximum", json_number_value(v));
    if (json_is_array(v)) fine = within(schema, "minItems", "maxItems", (double)json_array_size(v));
    if (json_is_string(v))
        fine = within(schema, "minLength", "maxLength", (double)json_string_length(v)) &&
               (!*pattern || fits_pattern(pattern, json_string_value(v)));
    if (!fine) return fail(why, "FieldValueInvalid");
    return true;
}

static bool check(const json_t *schema, const json_t *v, char *field, size_t room, const char **why)
{
    size_t n = strlen(field), i;
    if (!check_type(schema, v)) return fail(why, "FieldValueInvalid");
    if (!check_scalar(schema, v, why)) return false;
    json_t *one;
    if (json_is_array(v)) {
        const json_t *items = json_object_get(schema, "items");
        json_array_foreach(v, i, one)
        {
            snprintf(field + n, room - n, "[%zu]", i);
            if (items && !check(items, one, field, room, why)) return false;
        }
        field[n] = 0;
    }
    if (!json_is_object(v)) return true;
    json_array_foreach(json_object_get(schema, "required"), i, one)
    {
        if (json_object_get(v, json_string_value(one))) continue;
        snprintf(field + n, room - n, "%s%s", n ? "." : "", json_string_value(one));
        return fail(why, "FieldValueRequired");
    }
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const char *key;
    json_object_foreach((json_t *)v, key, one)
    {
        const json_t *s = json_object_get(properties, key);
        if (!s && json_is_object(others)) s = others;
        if (!s || (!n && !strcmp(key, "metadata"))) continue;
        snprintf(field + n, room - n, "%s%s", n ? "." : "", key);
        if (!check(s, one, field, room, why)) return false;
        field[n] = 0;
    }
    return true;
}

bool km_schema_check(const json_t *schema, const json_t *value, char *field, size_t room,
                     const char **why)
{
    *field = 0;
    return check(schema, value, field, room, why);
}

/* --- definitions --- */

void km_definition(kube_model *m, const json_t *crd)
{
    const json_t *spec = json_object_get(crd, "spec"), *names = json_object_get(spec, "names");
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(spec, "versions"), i, v)
    {
        if (!flag(v, "served") || !flag(v, "storage")) continue;
        json_t *schema = json_object_get(json_object_get(v, "schema"), "openAPIV3Schema");
        km_kind k = {.group = (char *)km_text(spec, "group"),
                     .version = (char *)km_text(v, "name"),
                     .plural = (char *)km_text(names, "plural"),
                     .kind = (char *)km_text(names, "kind"),
                     .namespaced = !strcmp(km_text(spec, "scope"), "Namespaced"),
                     .status =
                         json_object_get(json_object_get(v, "subresources"), "status") != NULL,
                     .custom = true,
                     .counted = true,
                     .schema = json_incref(schema)};
        km_kind_add(m, &k);
    }
}

void km_definition_gone(kube_model *m, const json_t *crd)
{
    const json_t *spec = json_object_get(crd, "spec");
    km_kind *k =
        km_kind_of(m, km_text(spec, "group"), km_text(json_object_get(spec, "names"), "plural"));
    if (!k) return;
    km_list l;
    km_list_at(m, k, "", m->revision, &l);
    for (size_t i = 0; i < l.n; i++) km_commit(m, k, json_deep_copy(l.at[i]), true);
    free(l.at);
    k->gone = true;
}
