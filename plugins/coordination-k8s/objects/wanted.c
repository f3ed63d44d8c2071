/* wanted.c: the state as objects: statuses, specs, names. See objects.h. */
#include "objects.h"

int32_t ck_truth_read(const cr_heap *heap, const json_t *state, const char *cluster, ck_truth *out)
{
    const char *leader = json_string_value(json_object_get(state, "master_node"));
    const json_t *version = json_object_get(state, "version");
    *out = (ck_truth){.heap = heap,
                      .state = state,
                      .indices = json_object_get(json_object_get(state, "metadata"), "indices"),
                      .tables = json_object_get(json_object_get(state, "routing_table"), "indices"),
                      .nodes = json_object_get(state, "nodes"),
                      .leader = leader ? leader : "",
                      .revision = (uint64_t)json_integer_value(version),
                      .cluster = cluster};
    return json_is_object(out->indices) && json_is_object(out->tables) &&
                   json_is_object(out->nodes) && json_is_integer(version)
               ? 0
               : QD_E_CORRUPT;
}

const json_t *ck_truth_index(const ck_truth *t, const char *index)
{
    return json_object_get(t->indices, index);
}

int ck_is_shown(const char *index)
{
    return *index && *index != '.';
}

const char *ck_setting(const json_t *index, const char *key)
{
    const char *v = json_string_value(json_object_get(json_object_get(index, "settings"), key));
    return v ? v : "";
}

/* --- health --- */

static const json_t *shards_of(const ck_truth *t, const char *index)
{
    return json_object_get(json_object_get(t->tables, index), "shards");
}

static const char *text(const json_t *object, const char *key)
{
    const char *v = json_string_value(json_object_get(object, key));
    return v ? v : "";
}

static int is_active(const json_t *copy)
{
    return strcmp(text(copy, "state"), "STARTED") == 0 ||
           strcmp(text(copy, "state"), "RELOCATING") == 0;
}

/* 0 green, 1 yellow, 2 red, of one shard. *fresh: 0 when something that is not there was before. */
static int shard_level(const json_t *copies, int *fresh)
{
    const json_t *copy;
    size_t i;
    int level = 0;
    json_array_foreach(copies, i, copy)
    {
        if (is_active(copy)) continue;
        int primary = json_is_true(json_object_get(copy, "primary"));
        /* where a copy is going to, beside the one that it comes from, is none yet */
        if (!primary && json_is_string(json_object_get(copy, "relocating_node"))) continue;
        if (primary) level = 2;
        if (level == 0) level = 1;
        const json_t *why = json_object_get(copy, "unassigned_info");
        const char *source = text(json_object_get(copy, "recovery_source"), "type");
        if (primary && strcmp(text(why, "reason"), "INDEX_CREATED") != 0 &&
            strcmp(source, "EMPTY_STORE") != 0)
            *fresh = 0;
    }
    return level;
}

/* Of all shards of an index. *fresh: 1 when all that keeps it from green was never there before. */
static int index_level(const ck_truth *t, const char *index, int *fresh)
{
    const json_t *shards = shards_of(t, index);
    json_t *copies;
    const char *number;
    int level = 0;
    *fresh = 1;
    json_object_foreach((json_t *)(uintptr_t)shards, number, copies)
    {
        int its = shard_level(copies, fresh);
        if (its > level) level = its;
    }
    if (json_object_size(shards) == 0) level = 2;
    return level;
}

static const char *const health_names[] = {"green", "yellow", "red"};

const char *ck_index_health(const ck_truth *t, const char *index)
{
    int fresh;
    return health_names[index_level(t, index, &fresh)];
}

const char *ck_cluster_health(const ck_truth *t)
{
    const char *index;
    json_t *meta;
    int worst = 0, fresh;
    json_object_foreach((json_t *)(uintptr_t)t->indices, index, meta)
    {
        int level = index_level(t, index, &fresh);
        if (level > worst) worst = level;
    }
    return health_names[worst];
}

/* --- statuses --- */

static json_t *revision_text(const ck_truth *t)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)t->revision);
    return json_string(digits);
}

static json_t *node_name(const ck_truth *t, const json_t *copy)
{
    const char *id = text(copy, "node");
    const char *name = text(json_object_get(t->nodes, id), "name");
    return json_string(*name ? name : id);
}

static json_t *allocation(const ck_truth *t, const json_t *copy)
{
    json_t *out = json_pack(
        "{s:I,s:b,s:s}", "shardId", json_integer_value(json_object_get(copy, "shard")), "primary",
        json_is_true(json_object_get(copy, "primary")), "state", text(copy, "state"));
    const char *id = text(json_object_get(copy, "allocation_id"), "id");
    if (*text(copy, "node")) (void)json_object_set_new(out, "nodeId", node_name(t, copy));
    if (*id) (void)json_object_set_new(out, "allocationId", json_string(id));
    return out;
}

/* Copies of one shard behind those of others; 0: not all of them have room. */
static int add_copies(const ck_truth *t, const json_t *copies, json_t *out)
{
    const json_t *copy;
    size_t i;
    json_array_foreach(copies, i, copy)
    {
        if (json_array_size(out) >= CK_COPIES_MAX) return 0;
        (void)json_array_append_new(out, allocation(t, copy));
    }
    return 1;
}

static json_t *allocations(const ck_truth *t, const char *index, int *truncated)
{
    json_t *out = json_array();
    const json_t *shards = shards_of(t, index);
    char number[24];
    *truncated = 0;
    for (size_t k = 0; k < json_object_size(shards) && !*truncated; k++) {
        snprintf(number, sizeof number, "%zu", k);
        *truncated = !add_copies(t, json_object_get(shards, number), out);
    }
    return out;
}

/* Puts it where it belongs in the order of `key` ("" : of texts), so that the order in which the
 * state tells of things changes nothing. */
static void insert_sorted(json_t *list, const char *key, json_t *item)
{
    const char *name = *key ? text(item, key) : json_string_value(item);
    size_t i = json_array_size(list);
    for (; i > 0; i--) {
        const json_t *other = json_array_get(list, i - 1);
        if (strcmp(*key ? text(other, key) : json_string_value(other), name) <= 0) break;
    }
    (void)json_array_insert_new(list, i, item);
}

static json_t *alias_names(const json_t *meta)
{
    json_t *out = json_array(), *name;
    size_t i;
    json_array_foreach(json_object_get(meta, "aliases"), i, name)
    {
        if (json_is_string(name)) insert_sorted(out, "", json_incref(name));
    }
    return out;
}

static json_int_t number_of(const json_t *meta, const char *key)
{
    json_int_t v = 0;
    for (const char *p = ck_setting(meta, key); *p >= '0' && *p <= '9' && v < 100000000; p++)
        v = v * 10 + (*p - '0');
    return v;
}

json_t *ck_index_status(const ck_truth *t, const char *index)
{
    const json_t *meta = ck_truth_index(t, index);
    int fresh, truncated, level = index_level(t, index, &fresh);
    const char *state = strcmp(text(meta, "state"), "close") == 0 ? "CLOSED"
                        : level == 2 && fresh                     ? "CREATING"
                                                                  : "ACTIVE";
    json_t *copies = allocations(t, index, &truncated);
    json_t *out = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:o}", "indexName", index, "cluster", t->cluster,
        "uuid", ck_setting(meta, "index.uuid"), "state", state, "health", health_names[level],
        "shards", number_of(meta, "index.number_of_shards"), "replicas",
        number_of(meta, "index.number_of_replicas"), "aliases", alias_names(meta),
        "shardAllocations", copies, "observedRevision", revision_text(t));
    if (truncated) (void)json_object_set_new(out, "truncated", json_true());
    return out;
}

int64_t ck_index_shards(const json_t *index)
{
    return number_of(index, "index.number_of_shards");
}

int ck_is_large(const json_t *index)
{
    int64_t copies = number_of(index, "index.number_of_replicas") + 1;
    return ck_index_shards(index) * copies > CK_COPIES_MAX;
}

json_t *ck_shard_status(const ck_truth *t, const char *index, int64_t shard)
{
    const json_t *meta = ck_truth_index(t, index), *copies;
    char number[24], term[24];
    int fresh;
    snprintf(number, sizeof number, "%lld", (long long)shard);
    snprintf(term, sizeof term, "%lld",
             (long long)json_integer_value(
                 json_object_get(json_object_get(meta, "primary_terms"), number)));
    copies = json_object_get(shards_of(t, index), number);
    json_t *list = json_array();
    int all = add_copies(t, copies, list);
    json_t *out = json_pack("{s:s,s:s,s:o,s:o}", "health",
                            health_names[copies ? shard_level(copies, &fresh) : 2], "primaryTerm",
                            term, "shardAllocations", list, "observedRevision", revision_text(t));
    if (!all) (void)json_object_set_new(out, "truncated", json_true());
    return out;
}

static json_t *nodes_of(const ck_truth *t)
{
    json_t *out = json_array(), *node;
    const char *id;
    json_object_foreach((json_t *)(uintptr_t)t->nodes, id, node)
    {
        json_t *roles = json_object_get(node, "roles");
        insert_sorted(out, "name",
                      json_pack("{s:s,s:s,s:O}", "name", text(node, "name"), "address",
                                text(node, "transport_address"), "roles",
                                roles ? roles : json_null()));
    }
    return out;
}

json_t *ck_cluster_status(const ck_truth *t)
{
    const char *health = ck_cluster_health(t);
    const char *leader = text(json_object_get(t->nodes, t->leader), "name");
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "phase",
                     strcmp(health, "red") == 0 ? "Degraded" : "Running", "health", health,
                     "leader", leader, "nodes", nodes_of(t), "observedRevision", revision_text(t));
}
