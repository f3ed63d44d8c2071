/*
 * lenient.c: answers with objects that jansson cannot hold: see kube_json.
 *
 * An API server takes names with a NUL in them, and objects that are thousands deep, where a schema
 * lets users write what they like. One such object must not hide all others. So what cannot be read
 * is read without the spec of the object that is to blame.
 */
#include "lenient.h"
#include <string.h>

/* The text as it is gone through. */
typedef struct scan {
    const char *p, *end;
} scan;

static void skip_space(scan *s)
{
    while (s->p < s->end && strchr(" \t\r\n", *s->p) && *s->p) s->p++;
}

/* Behind the text that begins here. */
static void skip_text(scan *s)
{
    for (s->p++; s->p < s->end && *s->p != '"'; s->p++)
        if (*s->p == '\\') s->p++;
    if (s->p < s->end) s->p++;
    if (s->p > s->end) s->p = s->end;
}

/* Behind the value that begins here, however deep it is. */
static void skip_value(scan *s)
{
    size_t depth = 0;
    skip_space(s);
    while (s->p < s->end) {
        char c = *s->p;
        if (c == '"') {
            skip_text(s);
        } else if (c == '{' || c == '[') {
            depth++;
            s->p++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return;
            depth--;
            s->p++;
        } else if (c == ',' && depth == 0) {
            return;
        } else {
            s->p++;
            continue;
        }
        if (depth == 0) return;
    }
}

/* The next member of the object that s stands in, its key with quotes; 0: there is none. */
static int32_t next_member(scan *s, qd_str *key, qd_str *value)
{
    skip_space(s);
    if (s->p < s->end && (*s->p == '{' || *s->p == ',')) s->p++;
    skip_space(s);
    if (s->p >= s->end || *s->p != '"') return 0;
    const char *from = s->p;
    skip_text(s);
    *key = (qd_str){from, (size_t)(s->p - from)};
    skip_space(s);
    if (s->p >= s->end || *s->p != ':') return 0;
    s->p++;
    skip_space(s);
    from = s->p;
    skip_value(s);
    *value = (qd_str){from, (size_t)(s->p - from)};
    return value->n > 0;
}

static int32_t is_key(qd_str key, const char *name)
{
    size_t n = strlen(name);
    return key.n == n + 2 && memcmp(key.p + 1, name, n) == 0;
}

static json_t *load(qd_str text)
{
    return json_loadb(text.p, text.n, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
}

/* A member's name; one with a NUL in it is none, and must not pass for what stands before that. */
static json_t *load_name(qd_str text)
{
    json_t *name = load(text);
    if (json_is_string(name) && strlen(json_string_value(name)) == json_string_length(name))
        return name;
    json_decref(name);
    return NULL;
}

/* Members of an object, those that cannot be read left out; *lost: there were such. */
static json_t *read_members(qd_str text, int32_t *lost)
{
    scan s = {text.p, text.p + text.n};
    json_t *out = json_object();
    qd_str key, value;
    while (next_member(&s, &key, &value)) {
        json_t *name = load_name(key), *v = load(value);
        if (!v && is_key(key, "metadata")) {
            int32_t ignored = 0; /* managedFields tell of the spec */
            v = read_members(value, &ignored);
        }
        if (!name || !v) *lost = 1;
        if (name && v) (void)json_object_set(out, json_string_value(name), v);
        json_decref(name);
        json_decref(v);
    }
    return out;
}

static json_t *read_object(qd_str text)
{
    json_t *out = load(text);
    int32_t lost = 0;
    if (out) return out;
    out = read_members(text, &lost);
    (void)json_object_set_new(out, KUBE_UNREADABLE, json_true());
    return out;
}

static json_t *read_items(qd_str text)
{
    scan s = {text.p, text.p + text.n};
    json_t *out = json_array();
    if (text.n) s.p++;
    for (;;) {
        skip_space(&s);
        if (s.p < s.end && *s.p == ',') s.p++;
        skip_space(&s);
        const char *from = s.p;
        skip_value(&s);
        if (s.p == from) return out;
        (void)json_array_append_new(out, read_object((qd_str){from, (size_t)(s.p - from)}));
    }
}

json_t *kube_json(const char *p, size_t n, json_error_t *error)
{
    json_t *whole = json_loadb(p, n, JSON_ALLOW_NUL, error);
    scan s = {p, p + n};
    qd_str key, value;
    skip_space(&s);
    while (n && strchr(" \t\r\n", p[n - 1]) && p[n - 1]) n--;
    s.end = p + n;
    /* only what is whole: it ends as it begins */
    if (whole || s.p >= s.end || *s.p != '{' || p[n - 1] != '}') return whole;
    whole = json_object();
    int32_t lost = 0, deeper = 0;
    while (next_member(&s, &key, &value)) {
        json_t *v = load(value);
        const char *name = is_key(key, "items") ? "items" : is_key(key, "object") ? "object" : NULL;
        if (!v && name) {
            v = *name == 'i' ? read_items(value) : read_object(value);
            deeper = 1;
            (void)json_object_set_new(whole, name, v);
            continue;
        }
        json_t *text = load_name(key);
        if (!v || !text) lost = 1;
        if (v && text) (void)json_object_set(whole, json_string_value(text), v);
        json_decref(text);
        json_decref(v);
    }
    if (deeper) return whole;
    json_decref(whole);
    /* an object by itself; text that is no JSON at all has no metadata */
    whole = read_object((qd_str){p, n});
    if (lost && json_is_object(json_object_get(whole, "metadata"))) return whole;
    json_decref(whole);
    return NULL;
}
