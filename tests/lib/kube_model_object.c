/*
 * kube_model_object.c: what an object may look like: its body, names, metadata, the few rules of
 * built-in kinds; selectors over it.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"
#include <ctype.h>
#include <time.h>

bool km_dns_name(const char *s, bool label)
{
    size_t n = strlen(s);
    if (n == 0 || n > (label ? 63u : 253u)) return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool edge = i == 0 || i + 1 == n || s[i - 1] == '.' || s[i + 1] == '.';
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (alnum || (c == '-' && !edge) || (c == '.' && !label && !edge)) continue;
        return false;
    }
    return true;
}

void km_time(kube_model *m, char out[32])
{
    time_t s = (time_t)(km_wall_ms(m) / 1000);
    struct tm t;
    gmtime_r(&s, &t);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
}

/* --- metadata --- */

static const char *const known[] = {"name",
                                    "generateName",
                                    "namespace",
                                    "uid",
                                    "resourceVersion",
                                    "generation",
                                    "creationTimestamp",
                                    "deletionTimestamp",
                                    "deletionGracePeriodSeconds",
                                    "labels",
                                    "annotations",
                                    "ownerReferences",
                                    "finalizers",
                                    NULL};

static bool in(const char *const *names, const char *s)
{
    for (; *names; names++)
        if (!strcmp(*names, s)) return true;
    return false;
}

static void keep_only(json_t *o, const char *const *names)
{
    void *next;
    const char *key;
    json_t *v;
    json_object_foreach_safe(o, next, key, v) if (!in(names, key) || json_is_null(v))
        json_object_del(o, key);
}

static bool texts(const json_t *map)
{
    const char *key;
    json_t *v;
    if (map && !json_is_object(map)) return false;
    json_object_foreach((json_t *)map, key, v)
    {
        if (!json_is_string(v)) return false;
    }
    return true;
}

static bool meta_readable(const json_t *meta)
{
    static const char *const strings[] = {"name", "generateName",    "namespace",
                                          "uid",  "resourceVersion", NULL};
    for (const char *const *s = strings; *s; s++) {
        json_t *v = json_object_get(meta, *s);
        if (v && !json_is_string(v)) return false;
    }
    json_t *f = json_object_get(meta, "finalizers");
    size_t i;
    json_t *v;
    if (f && !json_is_array(f)) return false;
    json_array_foreach(f, i, v)
    {
        if (!json_is_string(v)) return false;
    }
    return texts(json_object_get(meta, "labels")) && texts(json_object_get(meta, "annotations"));
}

/* A built-in kind's body has types, and nothing that the kind does not know. */
static bool decode_builtin(const km_kind *k, json_t *o)
{
    static const char *const config[] = {"kind",       "apiVersion", "metadata", "data",
                                         "binaryData", "immutable",  NULL};
    static const char *const lease[] = {"holderIdentity", "leaseDurationSeconds", "acquireTime",
                                        "renewTime",      "leaseTransitions",     NULL};
    static const char *const lease_top[] = {"kind", "apiVersion", "metadata", "spec", NULL};
    if (!strcmp(k->plural, "configmaps")) {
        keep_only(o, config);
        return texts(json_object_get(o, "data"));
    }
    if (strcmp(k->plural, "leases")) return true;
    keep_only(o, lease_top);
    json_t *spec = json_object_get(o, "spec");
    if (!spec) json_object_set_new(o, "spec", json_object());
    if (spec && !json_is_object(spec)) return false;
    keep_only(spec, lease);
    for (const char *const *s = lease; *s; s++) {
        json_t *v = json_object_get(spec, *s);
        bool number = !strcmp(*s, "leaseDurationSeconds") || !strcmp(*s, "leaseTransitions");
        if (v && !(number ? json_is_integer(v) : json_is_string(v))) return false;
        if (v && strstr(*s, "Time") &&
            (strlen(json_string_value(v)) < 20 || !strchr(json_string_value(v), 'T')))
            return false;
    }
    return true;
}

km_reply km_body_object(km_call *c)
{
    json_error_t err;
    const km_kind *k = c->kind;
    json_decref(c->object);
    c->object = json_loadb(c->body, c->n, JSON_REJECT_DUPLICATES, &err);
    if (!json_is_object(c->object)) {
        json_decref(c->object);
        c->object = NULL;
        return km_no(c, 400, "BadRequest", "the body is not an object in JSON");
    }
    json_t *o = c->object;
    char gv[160];
    snprintf(gv, sizeof gv, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
    if (!k->custom && !json_object_get(o, "kind") && !json_object_get(o, "apiVersion")) {
        json_object_set_new(o, "kind", json_string(k->kind));
        json_object_set_new(o, "apiVersion", json_string(gv));
    }
    if (k->custom && *km_text(o, "kind") && strcmp(km_text(o, "kind"), k->kind) &&
        !strcmp(km_text(o, "apiVersion"), gv)) {
        km_reply r = km_invalid(c, "kind", "FieldValueInvalid", "another kind is expected");
        json_object_set(json_object_get(r.body, "details"), "kind", json_object_get(o, "kind"));
        return r;
    }
    if (strcmp(km_text(o, "kind"), k->kind) || strcmp(km_text(o, "apiVersion"), gv))
        return km_no(c, 400, "BadRequest", "the body is no %s of %s", k->kind, gv);
    if (!json_object_get(o, "metadata")) json_object_set_new(o, "metadata", json_object());
    json_t *meta = km_meta(o);
    if (!json_is_object(meta)) return km_no(c, 400, "BadRequest", "metadata is no object");
    keep_only(meta, known);
    if (!meta_readable(meta) || (!k->custom && !decode_builtin(k, o)))
        return km_no(c, 400, "BadRequest", "a field of the %s has a wrong type", k->kind);
    if (*km_ns(o) && strcmp(km_ns(o), c->ns))
        return km_no(
            c, 400, "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the "
            "request");
    if (k->namespaced) json_object_set_new(meta, "namespace", json_string(c->ns));
    if (k->schema) km_schema_prune(k->schema, o);
    return (km_reply){0};
}

void km_object_born(kube_model *m, const km_kind *k, json_t *o)
{
    char text[40];
    json_t *meta = km_meta(o);
    uint64_t a = qd_prng_u64(&m->random), b = qd_prng_u64(&m->random);
    snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
             ((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned long long)(b & 0xffffffffffffull));
    json_object_set_new(meta, "uid", json_string(text));
    km_time(m, text);
    json_object_set_new(meta, "creationTimestamp", json_string(text));
    json_object_del(meta, "deletionTimestamp");
    json_object_del(meta, "deletionGracePeriodSeconds");
    json_object_del(meta, "generation");
    if (k->counted) json_object_set_new(meta, "generation", json_integer(1));
    if (k->custom && k->status) json_object_del(o, "status");
    if (!strcmp(k->plural, "namespaces") && !*k->group) {
        json_object_set_new(o, "spec", json_pack("{s:[s]}", "finalizers", "kubernetes"));
        json_object_set_new(o, "status", json_pack("{s:s}", "phase", "Active"));
    }
}

static km_reply check_lease(km_call *c, const json_t *o)
{
    const json_t *spec = json_object_get(o, "spec");
    const json_t *d = json_object_get(spec, "leaseDurationSeconds");
    const json_t *t = json_object_get(spec, "leaseTransitions");
    if (d && json_integer_value(d) <= 0)
        return km_invalid(c, "spec.leaseDurationSeconds", "FieldValueInvalid",
                          "must be greater than 0");
    if (t && json_integer_value(t) < 0)
        return km_invalid(c, "spec.leaseTransitions", "FieldValueInvalid",
                          "must be greater than or equal to 0");
    return (km_reply){0};
}

static bool has_text(const json_t *array, const char *s)
{
    size_t i;
    json_t *v;
    json_array_foreach(array, i, v)
    {
        if (!strcmp(json_string_value(v), s)) return true;
    }
    return false;
}

static size_t annotations(const json_t *meta)
{
    const char *key;
    json_t *v;
    size_t n = 0;
    json_object_foreach(json_object_get(meta, "annotations"), key, v)
    {
        n += strlen(key) + json_string_length(v);
    }
    return n;
}

km_reply km_object_check(km_call *c, json_t *o, const json_t *old)
{
    const km_kind *k = c->kind;
    json_t *meta = km_meta(o);
    if (!km_dns_name(km_name(o), !strcmp(k->plural, "namespaces")))
        return km_invalid(c, "metadata.name", "FieldValueInvalid",
                          "a DNS name of lower case letters, digits, '-' and '.' is needed");
    if (annotations(meta) > 256 << 10)
        return km_invalid(c, "metadata.annotations", "FieldValueTooLong",
                          "must have at most 262144 bytes");
    if (old) {
        const json_t *before = json_object_get(km_meta(old), "finalizers");
        const json_t *after = json_object_get(meta, "finalizers");
        bool dying = json_object_get(km_meta(old), "deletionTimestamp") != NULL;
        for (size_t i = 0; dying && i < json_array_size(after); i++)
            if (!has_text(before, json_string_value(json_array_get(after, i))))
                return km_invalid(c, "metadata.finalizers", "FieldValueForbidden",
                                  "no new finalizers can be added if the object is being deleted");
        if (strcmp(km_text(meta, "uid"), km_text(km_meta(old), "uid")))
            return km_invalid(c, "metadata.uid", "FieldValueInvalid", "field is immutable");
    }
    if (!strcmp(k->plural, "leases") && !k->custom) return check_lease(c, o);
    char field[256];
    const char *why = NULL;
    if (k->schema && !km_schema_check(k->schema, o, field, sizeof field, &why))
        return km_invalid(c, field, why, "does not fit the schema");
    return (km_reply){0};
}

/* --- label selectors: an array of {key, op: in notin exists absent, values} --- */

static const char *blank(const char *s)
{
    while (*s == ' ') s++;
    return s;
}

static const char *word(const char *s, char *out, size_t room)
{
    size_t n = 0;
    s = blank(s);
    while (*s && (isalnum((unsigned char)*s) || strchr("-_./", *s))) {
        if (n + 1 < room) out[n++] = *s;
        s++;
    }
    out[n] = 0;
    return blank(s);
}

static void term(json_t *all, const char *key, const char *op, json_t *values)
{
    json_array_append_new(all,
                          json_pack("{s:s, s:s, s:o}", "key", key, "op", op, "values", values));
}

/* "in (a, b)" behind a key; NULL: malformed. */
static const char *set_of(const char *s, json_t *all, const char *key)
{
    char op[16], v[256];
    s = word(s, op, sizeof op);
    if ((strcmp(op, "in") && strcmp(op, "notin")) || *s != '(') return NULL;
    json_t *values = json_array();
    do {
        s = word(s + 1, v, sizeof v);
        json_array_append_new(values, json_string(v));
    } while (*s == ',');
    term(all, key, op, values);
    return *s == ')' ? blank(s + 1) : NULL;
}

json_t *km_selector(const char *s)
{
    json_t *all = json_array();
    char key[320], v[256];
    s = blank(s);
    while (*s) {
        bool absent = *s == '!';
        s = word(s + absent, key, sizeof key);
        if (!*key) goto malformed;
        if (absent) {
            term(all, key, "absent", json_array());
        } else if (!*s || *s == ',') {
            term(all, key, "exists", json_array());
        } else if (*s == '=' || (*s == '!' && s[1] == '=')) {
            const char *op = *s == '!' ? "notin" : "in";
            s += *s == '!' || s[1] == '=' ? 2 : 1;
            s = word(s, v, sizeof v);
            term(all, key, op, json_pack("[s]", v));
        } else if (!(s = set_of(s, all, key))) {
            goto malformed;
        }
        if (*s == ',')
            s = blank(s + 1);
        else if (*s)
            goto malformed;
    }
    return all;
malformed:
    json_decref(all);
    return NULL;
}

bool km_selected(const json_t *selector, const json_t *object)
{
    const json_t *labels = json_object_get(km_meta(object), "labels");
    size_t i;
    json_t *t;
    json_array_foreach(selector, i, t)
    {
        const json_t *v = json_object_get(labels, km_text(t, "key"));
        const char *op = km_text(t, "op");
        const json_t *values = json_object_get(t, "values");
        bool is;
        if (!strcmp(op, "exists"))
            is = v != NULL;
        else if (!strcmp(op, "absent"))
            is = v == NULL;
        else if (!strcmp(op, "in"))
            is = v && has_text(values, json_string_value(v));
        else
            is = !v || !has_text(values, json_string_value(v));
        if (!is) return false;
    }
    return true;
}
