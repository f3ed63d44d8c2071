/*
 * specs.c: specs and objects that the cluster writes itself. See objects.h.
 *
 * Which state of the index a spec was made from, its annotation CK_SHOWN tells: it is made anew
 * when the index has changed since, and not when the API server gives it back in other words
 * (numbers, say). That a spec is of the cluster's own writing, and no wish, the hash in CK_OWN_SPEC
 * tells.
 */
#include "objects.h"
#include <math.h>

enum { SPEC_MAX = 768 << 10 }; /* an object has at most 1.5 MiB, its status up to 200 KiB of it */

/* --- hashes --- */

/* Numbers as an API server writes them: 1.0 is 1 there. */
static json_t *as_server(const json_t *v)
{
    json_t *out, *item;
    const char *key;
    size_t i;
    if (json_is_real(v)) {
        double x = json_real_value(v);
        return fabs(x) < 9e18 && x == floor(x) ? json_integer((json_int_t)x) : json_real(x);
    }
    if (json_is_object(v)) {
        out = json_object();
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            (void)json_object_set_new_nocheck(out, key, as_server(item));
        }
        return out;
    }
    if (!json_is_array(v)) return json_incref((json_t *)(uintptr_t)v);
    out = json_array();
    json_array_foreach(v, i, item)
    {
        (void)json_array_append_new(out, as_server(item));
    }
    return out;
}

void ck_spec_hash(const cr_heap *heap, const char *name, const json_t *spec, char out[65])
{
    json_t *v = json_pack("[s,o]", name, as_server(spec));
    size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
    char *p = cr_must(heap, n + 1);
    (void)json_dumpb(v, p, n, JSON_COMPACT | JSON_SORT_KEYS);
    ck_hash h = ck_hash_of(p, n);
    cr_free(heap, p);
    json_decref(v);
    ck_hash_text(&h, out);
}

/* --- names --- */

void ck_index_object_name(const char *cluster, const char *index, int taken, char out[CK_LABEL])
{
    qd_str c = {cluster, strlen(cluster)}, i = {index, strlen(index)};
    char longer[300];
    ck_object_name(c, i, out);
    if (!taken) return;
    /* never a label, so that it gets its hash; '_' cannot begin an index's name */
    snprintf(longer, sizeof longer, "_%.255s", index);
    ck_object_name(c, (qd_str){longer, strlen(longer)}, out);
}

void ck_shard_object_name(const char *cluster, const char *index, int64_t shard, int taken,
                          char out[CK_SHARD_NAME])
{
    char name[CK_LABEL];
    ck_index_object_name(cluster, index, taken, name);
    snprintf(out, CK_SHARD_NAME, "%s-%lld", name, (long long)shard);
}

/* --- specs --- */

void ck_index_shown(const json_t *index, char out[CK_SHOWN_MAX])
{
    snprintf(out, CK_SHOWN_MAX, "%.80s %lld %lld %lld", ck_setting(index, "index.uuid"),
             (long long)json_integer_value(json_object_get(index, "settings_version")),
             (long long)json_integer_value(json_object_get(index, "mapping_version")),
             (long long)json_integer_value(json_object_get(index, "aliases_version")));
}

static json_t *number_of(const char *text)
{
    return json_integer(strtoll(text ? text : "", NULL, 10));
}

/* A number of the index's: as told, else as the state has it. */
static json_t *number_in(const json_t *told, const json_t *meta, const char *key)
{
    char whole[64];
    if (told) return number_of(json_string_value(json_object_get(told, key)));
    snprintf(whole, sizeof whole, "index.%s", key);
    return number_of(ck_setting(meta, whole));
}

/* Settings that a user may write: not those that an index gets with its making. */
static json_t *free_settings(const json_t *settings)
{
    static const char *const fixed[] = {"uuid",
                                        "creation_date",
                                        "provided_name",
                                        "version",
                                        "number_of_shards",
                                        "number_of_replicas",
                                        "resize",
                                        "shrink"};
    json_t *out = json_deep_copy(settings);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) (void)json_object_del(out, fixed[i]);
    json_t *allocation = json_object_get(json_object_get(out, "routing"), "allocation");
    (void)json_object_del(allocation, "initial_recovery");
    return out;
}

/* A part of a spec; one that is empty is left out. Takes it over. */
static void set_part(json_t *spec, const char *key, json_t *part)
{
    if (json_object_size(part))
        (void)json_object_set_new(spec, key, part);
    else {
        json_decref(part);
        (void)json_object_del(spec, key);
    }
}

json_t *ck_index_spec(const ck_truth *t, const char *index, const char *object, const json_t *is,
                      const json_t *had)
{
    const json_t *settings = json_object_get(json_object_get(is, "settings"), "index");
    json_t *spec = had ? json_copy((json_t *)(uintptr_t)had) : json_object();
    const json_t *meta = ck_truth_index(t, index);
    (void)json_object_set_new(spec, "shards", number_in(settings, meta, "number_of_shards"));
    (void)json_object_set_new(spec, "replicas", number_in(settings, meta, "number_of_replicas"));
    if (strcmp(index, object) != 0)
        (void)json_object_set_new(spec, "indexName", json_string(index));
    if (strcmp(t->cluster, CK_DEFAULT_CLUSTER) != 0)
        (void)json_object_set_new(spec, "clusterRef", json_pack("{s:s}", "name", t->cluster));
    set_part(spec, "settings", settings ? free_settings(settings) : NULL);
    set_part(spec, "mappings", json_deep_copy(json_object_get(is, "mappings")));
    set_part(spec, "aliases", json_deep_copy(json_object_get(is, "aliases")));
    return spec;
}

json_t *ck_shown_spec(const ck_truth *t, const char *index, const char *object, const json_t *is,
                      const json_t *had, char shown[CK_SHOWN_MAX])
{
    json_t *spec = ck_index_spec(t, index, object, is, had);
    ck_index_shown(ck_truth_index(t, index), shown);
    if (is && json_dumpb(spec, NULL, 0, JSON_COMPACT) <= SPEC_MAX) return spec;
    json_decref(spec);
    size_t n = strlen(shown);
    snprintf(shown + n, CK_SHOWN_MAX - n, "%s", CK_SHOWN_PARTLY);
    return ck_index_spec(t, index, object, NULL, had);
}

void ck_spec_put(const cr_heap *heap, json_t *object, json_t *spec, const char *shown)
{
    char hash[65];
    json_t *meta = json_object_get(object, "metadata"), *notes;
    if (!json_is_object(json_object_get(meta, "annotations")))
        (void)json_object_set_new(meta, "annotations", json_object());
    notes = json_object_get(meta, "annotations");
    const char *name = json_string_value(json_object_get(meta, "name"));
    ck_spec_hash(heap, name ? name : "", spec, hash);
    (void)json_object_set_new(notes, CK_OWN_SPEC, json_string(hash));
    if (shown) (void)json_object_set_new(notes, CK_SHOWN, json_string(shown));
    (void)json_object_set_new(object, "spec", spec);
}

/* --- objects --- */

static json_t *label_of(const char *cluster)
{
    char root[CK_LABEL];
    qd_str name = {cluster, strlen(cluster)};
    ck_object_name(name, name, root);
    return json_string(root);
}

json_t *ck_index_object(const ck_truth *t, const char *space, const char *index, const char *name,
                        const json_t *is, const json_t *before)
{
    char shown[CK_SHOWN_MAX];
    json_t *labels = json_deep_copy(json_object_get(before, "labels"));
    json_t *notes = json_deep_copy(json_object_get(before, "annotations"));
    if (!labels) labels = json_object();
    if (!notes) notes = json_object();
    (void)json_object_set_new(labels, CK_LABEL_CLUSTER, label_of(t->cluster));
    if (!before) (void)json_object_set_new(labels, CK_LABEL_ORIGIN, json_string("cluster"));
    json_t *out = json_pack("{s:s,s:s,s:{s:s,s:s,s:o,s:o,s:[s]}}", "apiVersion", CK_API_VERSION,
                            "kind", "QuidditchIndex", "metadata", "name", name, "namespace", space,
                            "labels", labels, "annotations", notes, "finalizers", CK_FINALIZER);
    json_t *spec = json_deep_copy(json_object_get(before, "spec"));
    if (!before)
        ck_spec_put(t->heap, out, ck_shown_spec(t, index, name, is, NULL, shown), shown);
    else if (json_is_true(json_object_get(before, "settled")))
        ck_spec_put(t->heap, out, spec ? spec : json_object(), NULL);
    else
        (void)json_object_set_new(out, "spec", spec ? spec : json_object());
    return out;
}

json_t *ck_shard_object(const ck_truth *t, const char *space, const char *index, int64_t shard,
                        const char *name)
{
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:{s:o,s:s}},s:{s:s,s:I,s:{s:s}}}", "apiVersion",
                     CK_API_VERSION, "kind", "QuidditchShard", "metadata", "name", name,
                     "namespace", space, "labels", CK_LABEL_CLUSTER, label_of(t->cluster),
                     CK_LABEL_ORIGIN, "cluster", "spec", "indexName", index, "shardId",
                     (json_int_t)shard, "clusterRef", "name", t->cluster);
}
