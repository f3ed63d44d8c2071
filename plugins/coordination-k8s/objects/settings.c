/* settings.c: what a spec asks for, as requests to the cluster. See settings.h. */
#include "settings.h"
#include "objects.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 20 };

/* --- settings as flat keys --- */

/* Adds what is in `from` to `to` under `prefix`, with dots. Objects are taken apart. */
static void flatten(const json_t *from, const char *prefix, int depth, json_t *to)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        json_t *whole = json_sprintf("%s%s%s", prefix, *prefix ? "." : "", key);
        const char *name = json_string_value(whole);
        if (json_is_object(value) && depth < DEPTH_MAX && name)
            flatten(value, name, depth + 1, to);
        else
            (void)json_object_set(to, name ? name : key, value);
        json_decref(whole);
    }
}

/* Settings of an index, keys with "index." before them, shards and replicas among them. make. */
static json_t *index_settings(const json_t *spec)
{
    json_t *flat = json_object(), *out = json_object(), *value;
    const char *key;
    flatten(json_object_get(spec, "settings"), "", 0, flat);
    json_object_foreach(flat, key, value)
    {
        json_t *name = json_sprintf("%s%s", strncmp(key, "index.", 6) == 0 ? "" : "index.", key);
        (void)json_object_set(out, json_string_value(name), value);
        json_decref(name);
    }
    json_decref(flat);
    value = json_object_get(spec, "shards");
    if (value) (void)json_object_set(out, "index.number_of_shards", value);
    value = json_object_get(spec, "replicas");
    if (value) (void)json_object_set(out, "index.number_of_replicas", value);
    return out;
}

/* 1 when a setting as the state tells it, a text, says what a spec does. */
static int is_set(const json_t *now, const json_t *wanted)
{
    char digits[40];
    const char *has = json_string_value(now), *wants = json_string_value(wanted);
    if (json_is_null(wanted)) return !now;
    if (json_is_array(wanted))
        return now && json_equal((json_t *)(uintptr_t)now, (json_t *)(uintptr_t)wanted);
    if (json_is_boolean(wanted)) wants = json_is_true(wanted) ? "true" : "false";
    if (json_is_integer(wanted)) {
        snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(wanted));
        wants = digits;
    }
    return has && wants && strcmp(has, wants) == 0;
}

/* --- steps --- */

static const char *name_of(const json_t *object)
{
    const char *n =
        json_string_value(json_object_get(json_object_get(object, "spec"), "indexName"));
    if (!n || !*n)
        n = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    return n ? n : "";
}

static json_t *step(const char *action, const char *index, json_t *body)
{
    json_t *params = json_pack("{s:s,s:s}", "timeout", "5s", "master_timeout", "10s");
    if (index) (void)json_object_set_new(params, "index", json_string(index));
    return json_pack("{s:s,s:o,s:o}", "action", action, "params", params, "body", body);
}

/* A step for an index that is there: by its UUID, so that a leader that was paused here does not
 * get at one that was made anew since. */
static json_t *step_of(const char *action, const char *name, const json_t *index, json_t *body)
{
    json_t *s = step(action, name, body);
    (void)json_object_set_new(json_object_get(s, "params"), "if_uuid",
                              json_string(ck_setting(index, "index.uuid")));
    return s;
}

json_t *ck_wish_create(const json_t *object)
{
    const json_t *spec = json_object_get(object, "spec");
    json_t *body = json_object(), *part;
    part = index_settings(spec);
    if (json_object_size(part)) (void)json_object_set(body, "settings", part);
    json_decref(part);
    if ((part = json_object_get(spec, "mappings"))) (void)json_object_set(body, "mappings", part);
    if ((part = json_object_get(spec, "aliases"))) (void)json_object_set(body, "aliases", part);
    json_t *out = json_array(), *s = step("indices.create", name_of(object), body);
    (void)json_object_set_new(json_object_get(s, "params"), "wait_for_active_shards",
                              json_string("0"));
    (void)json_array_append_new(out, s);
    return out;
}

static void change_settings(const json_t *spec, const json_t *index, const char *name, json_t *out)
{
    json_t *wanted = index_settings(spec), *body = json_object(), *value;
    const json_t *now = json_object_get(index, "settings");
    const char *key;
    json_object_foreach(wanted, key, value)
    {
        if (!is_set(json_object_get(now, key), value)) (void)json_object_set(body, key, value);
    }
    json_decref(wanted);
    if (json_object_size(body))
        (void)json_array_append_new(out, step_of("indices.put_settings", name, index, body));
    else
        json_decref(body);
}

/* spec.aliases, where given, is the whole list. */
static void change_aliases(const json_t *spec, const json_t *index, const char *name, json_t *out)
{
    json_t *wanted = json_object_get(spec, "aliases"), *actions = json_array(), *value;
    const char *key;
    size_t i;
    if (!json_is_object(wanted)) {
        json_decref(actions);
        return;
    }
    json_object_foreach(wanted, key, value)
    {
        json_t *add = json_is_object(value) ? json_deep_copy(value) : json_object();
        (void)json_object_set_new(add, "index", json_string(name));
        (void)json_object_set_new(add, "alias", json_string(key));
        (void)json_array_append_new(actions, json_pack("{s:o}", "add", add));
    }
    json_array_foreach(json_object_get(index, "aliases"), i, value)
    {
        if (!json_is_string(value) || json_object_get(wanted, json_string_value(value))) continue;
        (void)json_array_append_new(
            actions, json_pack("{s:{s:s,s:O}}", "remove", "index", name, "alias", value));
    }
    if (json_array_size(actions) == 0) {
        json_decref(actions);
        return;
    }
    (void)json_array_append_new(out, step_of("indices.update_aliases", NULL, index,
                                             json_pack("{s:o}", "actions", actions)));
}

json_t *ck_wish_change(const json_t *object, const json_t *index)
{
    const json_t *spec = json_object_get(object, "spec");
    const char *name = name_of(object);
    json_t *out = json_array(), *mappings = json_object_get(spec, "mappings");
    change_settings(spec, index, name, out);
    if (json_object_size(mappings))
        (void)json_array_append_new(
            out, step_of("indices.put_mapping", name, index, json_deep_copy(mappings)));
    change_aliases(spec, index, name, out);
    return out;
}

/* --- what has drifted --- */

typedef struct drift {
    char *out;
    size_t n, size;
} drift;

static void drift_add(drift *d, const char *what, const char *spec, const char *actual)
{
    size_t room = d->size - d->n;
    int k = snprintf(d->out + d->n, room, "%s%s: spec %s, actual %s", d->n ? "; " : "", what, spec,
                     actual);
    d->n += k < 0 ? 0 : (size_t)k < room ? (size_t)k : room - 1;
}

/* A value as people write it: a text as it is, NULL and null as "none". */
static void drift_value(drift *d, const char *what, const json_t *spec, const json_t *actual)
{
    const json_t *of[2] = {spec, actual};
    char text[2][200];
    for (int i = 0; i < 2; i++) {
        const char *v = json_string_value(of[i]);
        size_t n = 0, room = sizeof text[i] - 1;
        if (!v && of[i] && !json_is_null(of[i]))
            n = json_dumpb(of[i], text[i], room, JSON_ENCODE_ANY | JSON_COMPACT);
        text[i][n < room ? n : room] = 0;
        if (!n) (void)snprintf(text[i], sizeof text[i], "%s", v ? v : "none");
    }
    drift_add(d, what, text[0], text[1]);
}

/* Replicas that the cluster counts itself are no drift. */
static int counts_replicas(const json_t *now)
{
    const char *range = json_string_value(json_object_get(now, "index.auto_expand_replicas"));
    return range && strcmp(range, "false") != 0;
}

static void drift_settings(drift *d, const json_t *spec, const json_t *index)
{
    json_t *wanted = index_settings(spec), *value;
    const json_t *now = json_object_get(index, "settings");
    const char *key;
    json_object_foreach(wanted, key, value)
    {
        const json_t *is = json_object_get(now, key);
        int own = strcmp(key, "index.number_of_replicas") == 0 && counts_replicas(now);
        if (!own && !is_set(is, value)) drift_value(d, key + strlen("index."), value, is);
    }
    json_decref(wanted);
}

static void drift_aliases(drift *d, const json_t *spec, const json_t *index)
{
    json_t *wanted = json_object_get(spec, "aliases"), *is = json_object_get(index, "aliases");
    json_t *value;
    const char *key;
    char what[300];
    size_t i;
    if (!json_is_object(wanted)) return;
    json_object_foreach(wanted, key, value)
    {
        int there = 0;
        for (i = 0; i < json_array_size(is); i++) {
            const char *has = json_string_value(json_array_get(is, i));
            there |= has && strcmp(has, key) == 0;
        }
        (void)snprintf(what, sizeof what, "alias [%.255s]", key);
        if (!there) drift_add(d, what, "there", "none");
    }
    json_array_foreach(is, i, value)
    {
        const char *has = json_string_value(value);
        if (!has || json_object_get(wanted, has)) continue;
        (void)snprintf(what, sizeof what, "alias [%.255s]", has);
        drift_add(d, what, "none", "there");
    }
}

void ck_wish_drift(const json_t *object, const json_t *index, char *out, size_t size)
{
    const json_t *spec = json_object_get(object, "spec");
    drift d = {out, 0, size};
    out[0] = 0;
    drift_settings(&d, spec, index);
    drift_aliases(&d, spec, index);
}

/* --- the cluster's --- */

#define DISK "cluster.routing.allocation.disk."
#define WATERMARK DISK "watermark."

/* What a key of spec.settings is called in the cluster's: names of before have new ones, settings
 * of indices are defaults. make. */
static json_t *renamed(const char *key)
{
    static const char *const names[][2] = {{DISK "low_watermark", WATERMARK "low"},
                                           {DISK "high_watermark", WATERMARK "high"},
                                           {DISK "flood_stage", WATERMARK "flood_stage"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i][0]) == 0) return json_string(names[i][1]);
    if (strncmp(key, "index.", 6) == 0) return json_sprintf("cluster.default.%s", key);
    if (strncmp(key, "translog.", 9) == 0) return json_sprintf("cluster.default.index.%s", key);
    return json_string(key);
}

static json_t *set_step(json_t *settings)
{
    return step("cluster.put_settings", NULL, json_pack("{s:o}", "persistent", settings));
}

/* Each setting by itself, for when not all of them can be; watermarks are looked at together. */
static json_t *set_apart(const json_t *settings)
{
    json_t *out = json_array(), *marks = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)settings, key, value)
    {
        if (strncmp(key, WATERMARK, sizeof WATERMARK - 1) == 0)
            (void)json_object_set(marks, key, value);
        else
            (void)json_array_append_new(out, set_step(json_pack("{s:O}", key, value)));
    }
    if (json_object_size(marks))
        (void)json_array_append_new(out, set_step(marks));
    else
        json_decref(marks);
    return out;
}

json_t *ck_wish_settings(const json_t *object, const char *cluster, json_t *refused)
{
    json_t *flat = json_object(), *body = json_object(), *value, *out = json_array();
    const char *key;
    flatten(json_object_get(json_object_get(object, "spec"), "settings"), "", 0, flat);
    json_object_foreach(flat, key, value)
    {
        const char *v = json_string_value(value);
        if (strcmp(key, "cluster.name") == 0) {
            if (!v || strcmp(v, cluster) != 0)
                (void)json_array_append_new(
                    refused, json_sprintf("[cluster.name] cannot be changed: it is [%s]", cluster));
            continue;
        }
        json_t *name = renamed(key);
        (void)json_object_set(body, json_string_value(name), value);
        json_decref(name);
    }
    json_decref(flat);
    if (json_object_size(body)) {
        json_t *parts = set_apart(body), *all = set_step(body);
        (void)json_object_set_new(all, "apart", parts);
        (void)json_array_append_new(out, all);
    } else {
        json_decref(body);
    }
    return out;
}
