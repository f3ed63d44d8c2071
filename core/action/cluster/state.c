/* state.c: GET /_cluster/state, _cluster/pending_tasks, _cat/pending_tasks. */
#include "action/api/cat_table.h"
#include "action/cluster/allocation_int.h"
#include "action/indices/indices_int.h"
#include "action/indices/stats_int.h"
#include "base/str.h"
#include "cluster/masters.h"
#include <stdio.h>
#include <string.h>

#define VOTERS_MS 300 /* that the store is asked for who votes, and for the term */

enum {
    PART_VERSION = 1,
    PART_MASTER = 2,
    PART_MANAGER = 4,
    PART_BLOCKS = 8,
    PART_NODES = 16,
    PART_METADATA = 32,
    PART_TABLE = 64,
    PART_ROUTING_NODES = 128,
    PART_CUSTOMS = 256,
    PART_ALL = 511,
};

static const struct {
    const char *name;
    uint32_t bit;
} parts[] = {
    {"version", PART_VERSION}, {"master_node", PART_MASTER},
    {"blocks", PART_BLOCKS},   {"cluster_manager_node", PART_MANAGER},
    {"nodes", PART_NODES},     {"metadata", PART_METADATA},
    {"customs", PART_CUSTOMS}, {"routing_table", PART_TABLE},
    {"_all", PART_ALL},        {"routing_nodes", PART_ROUTING_NODES},
};

static int parse_parts(qd_str list, uint32_t *out, qd_err *err)
{
    const char *known[QD_COUNT_OF(parts)];
    *out = list.n ? 0 : PART_ALL;
    for (size_t i = 0; i < QD_COUNT_OF(parts); i++) known[i] = parts[i].name;
    for (qd_str rest = list; rest.n;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        bool found = false;
        for (size_t i = 0; i < QD_COUNT_OF(parts); i++) {
            if (!qd_str_is(one, parts[i].name)) continue;
            *out |= parts[i].bit;
            found = true;
        }
        if (!found) {
            return qdi_metric_unknown("/_cluster/state", list, one, known, QD_COUNT_OF(known), err);
        }
        if (!rest.p) break;
    }
    return 0;
}

typedef struct state_request {
    qd_request *q;
    qdi_identity id;
    const qd_state *s;
    qd_resolved found;
    qd_json_writer *w;
    const qd_reroute *reroute; /* records that stand in place of the state's; NULL */
} state_request;

/* A shard's record, as the request is to see it. */
static const qd_shard_meta *record_of(const state_request *x, const qd_index_meta *m,
                                      const qd_shard_meta *shard, uint32_t number)
{
    for (uint32_t i = 0; x->reroute && i < x->reroute->nrecords; i++) {
        const qd_reroute_record *r = &x->reroute->records[i];
        if (r->number == number && x->s->indices[r->index] == m) return &r->shard;
    }
    return &shard[number];
}

static void open_part(qd_json_writer *w, const char *name)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
}

static void empty(qd_json_writer *w, const char *name)
{
    open_part(w, name);
    qd_json_object_end(w);
}

/* The uuid of this very state: of the cluster's and the revision. */
static void state_uuid(const qd_state *s, char out[QD_UUID_TEXT])
{
    char text[64], hex[65];
    uint8_t id[16];
    int n = snprintf(text, sizeof text, "%s:%llu", s->uuid, (unsigned long long)s->revision);
    qd_sha256_hex((qd_str){text, (size_t)n}, hex);
    for (int i = 0; i < 16; i++) {
        int hi = hex[2 * i] <= '9' ? hex[2 * i] - '0' : hex[2 * i] - 'a' + 10;
        int lo = hex[2 * i + 1] <= '9' ? hex[2 * i + 1] - '0' : hex[2 * i + 1] - 'a' + 10;
        id[i] = (uint8_t)(hi << 4 | lo);
    }
    qd_uuid_text(id, out);
}

/* --- blocks --- */

typedef struct block {
    qd_ix setting;
    const char *id, *description, *levels; /* levels: comma-separated */
} block;

static const block blocks[] = {
    {QD_IX_BLOCK_READ_ONLY, "5", "index read-only (api)", "write,metadata_write"},
    {QD_IX_BLOCK_READ, "7", "index read (api)", "read"},
    {QD_IX_BLOCK_WRITE, "8", "index write (api)", "write"},
    {QD_IX_BLOCK_METADATA, "9", "index metadata (api)", "metadata_write,metadata_read"},
    {QD_IX_BLOCK_READ_ONLY_DELETE, "12",
     "disk usage exceeded flood-stage watermark, index has "
     "read-only-allow-delete block",
     "write,metadata_write"},
};

static void write_block(qd_json_writer *w, const char *id, const char *description,
                        const char *levels)
{
    open_part(w, id);
    qd_json_field_c(w, "description", description);
    qd_json_field_bool(w, "retryable", false);
    qd_json_key_c(w, "levels");
    qd_json_array(w);
    for (qd_str rest = qd_str_c(levels); rest.p;) qd_json_str(w, qd_str_split(&rest, ','));
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static bool blocked(const qd_index_meta *m)
{
    bool any = m->closed;
    for (size_t i = 0; i < QD_COUNT_OF(blocks); i++) {
        any |= qd_values_bool(m->values, blocks[i].setting);
    }
    return any;
}

static void write_blocks(const state_request *x)
{
    qd_json_writer *w = x->w;
    bool any = false;
    bool only = qd_config_bool(x->q->a->config, QD_SET_CLUSTER_BLOCKS_READ_ONLY);
    bool but = qd_config_bool(x->q->a->config, QD_SET_CLUSTER_BLOCKS_READ_ONLY_DELETE);
    open_part(w, "blocks");
    if (only || but) {
        open_part(w, "global");
        if (only) write_block(w, "6", "cluster read-only (api)", "write,metadata_write");
        if (but)
            write_block(w, "13", "cluster read-only / allow delete (api)", "write,metadata_write");
        qd_json_object_end(w);
    }
    for (uint32_t i = 0; i < x->found.n; i++) {
        const qd_index_meta *m = x->found.at[i];
        if (!blocked(m)) continue;
        if (!any) open_part(w, "indices");
        any = true;
        qd_json_key(w, m->name);
        qd_json_object(w);
        if (m->closed) write_block(w, "4", "index closed", "read,write");
        for (size_t k = 0; k < QD_COUNT_OF(blocks); k++) {
            const block *b = &blocks[k];
            if (qd_values_bool(m->values, b->setting)) {
                write_block(w, b->id, b->description, b->levels);
            }
        }
        qd_json_object_end(w);
    }
    if (any) qd_json_object_end(w);
    qd_json_object_end(w);
}

/* --- nodes, metadata --- */

static void write_nodes(const state_request *x)
{
    qd_json_writer *w = x->w;
    open_part(w, "nodes");
    for (uint32_t i = 0; i < x->s->nnodes; i++) qdi_node_member(&x->id, &x->s->nodes[i], w);
    qd_json_object_end(w);
}

static void write_terms(const qd_shard_meta *shard, const qd_index_meta *m, qd_json_writer *w)
{
    char number[16];
    open_part(w, "primary_terms");
    for (uint32_t k = 0; shard && k < m->shards; k++) {
        snprintf(number, sizeof number, "%u", k);
        qd_json_field_int(w, number, (int64_t)shard[k].primary_term);
    }
    qd_json_object_end(w);
    open_part(w, "in_sync_allocations");
    for (uint32_t k = 0; shard && k < m->shards; k++) {
        snprintf(number, sizeof number, "%u", k);
        qd_json_key_c(w, number);
        qd_json_array(w);
        for (uint32_t i = 0; i < shard[k].nin_sync; i++) {
            qd_json_str(w, shard[k].in_sync[i].allocation_id);
        }
        qd_json_array_end(w);
    }
    qd_json_object_end(w);
}

static void write_index(const state_request *x, const qd_index_meta *m)
{
    qd_json_writer *w = x->w;
    qd_json_key(w, m->name);
    qd_json_object(w);
    qd_json_field_int(w, "version", (int64_t)m->version);
    qd_json_field_int(w, "mapping_version", (int64_t)m->mapping_version);
    qd_json_field_int(w, "settings_version", (int64_t)m->settings_version);
    qd_json_field_int(w, "aliases_version", (int64_t)m->aliases_version);
    qd_json_field_int(w, "routing_num_shards", m->routing_shards);
    qd_json_field_c(w, "state", m->closed ? "close" : "open");
    qdi_write_settings(x->q, m, false, w);
    open_part(w, "mappings");
    qd_json_key_c(w, "_doc");
    qd_json_raw_value(w, qd_mapping_json(m->mapping));
    qd_json_object_end(w);
    qd_json_key_c(w, "aliases");
    qd_json_array(w);
    for (uint32_t i = 0; i < m->naliases; i++) qd_json_str(w, m->aliases[i].name);
    qd_json_array_end(w);
    write_terms(qd_state_shards(x->s, m), m, w);
    qd_json_key_c(w, "rollover_info");
    qd_json_object(w);
    if (m->place.rolled_ms) {
        qd_json_key(w, m->place.rolled_alias);
        qd_json_object(w);
        empty(w, "met_conditions");
        qd_json_field_int(w, "time", m->place.rolled_ms);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    if (!x->id.opensearch) qd_json_field_bool(w, "system", false);
    qd_json_object_end(w);
}

/* The id of a node by its name; the name itself when it is not there. */
static qd_str id_of(const qd_state *s, qd_str name)
{
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (qd_str_eq(s->nodes[i].name, name)) return s->nodes[i].id;
    return name;
}

/* Exclusions of nodes that were not there (masters.c), until a master of the name is. */
static void write_absent(const state_request *x, const qd_master *list, uint32_t n)
{
    qd_json_node *kept;
    const qd_state_document_record *d = qd_state_document(x->s, QD_STR("voting_exclusions"));
    if (!d || qd_json_parse(x->q->arena, d->value, 0, &kept, NULL)) return;
    for (const qd_json_node *k = kept->first; k; k = k->next) {
        const qd_json_node *name = qd_json_get(k, "node_name");
        bool there = false;
        for (uint32_t i = 0; i < n && name; i++) there |= qd_str_eq(list[i].name, name->text);
        if (!there) qd_json_raw_value(x->w, k->raw);
    }
}

/* Who votes, as the coordination store's leader says; without one (asked: false) the masters of the
 * state. */
static void write_voting(const state_request *x, bool asked)
{
    static const char *const configs[] = {"last_committed_config", "last_accepted_config"};
    qd_json_writer *w = x->w;
    const qd_master *list = NULL;
    uint32_t n = 0;
    if (!asked || qd_masters_list(x->q->a->cluster, VOTERS_MS, x->q->arena, &list, &n, NULL)) n = 0;
    for (size_t i = 0; i < 2; i++) {
        qd_json_key_c(w, configs[i]);
        qd_json_array(w);
        for (uint32_t k = 0; k < n; k++)
            if (list[k].role == QD_COORD_VOTER) qd_json_str(w, id_of(x->s, list[k].name));
        for (uint32_t k = 0; n == 0 && k < x->s->nnodes; k++)
            if (qd_str_find(x->s->nodes[k].roles, 'm') >= 0) qd_json_str(w, x->s->nodes[k].id);
        qd_json_array_end(w);
    }
    qd_json_key_c(w, "voting_config_exclusions");
    qd_json_array(w);
    for (uint32_t k = 0; k < n; k++) {
        if (!list[k].excluded) continue;
        qd_json_object(w);
        qd_json_field_str(w, "node_id", id_of(x->s, list[k].name));
        qd_json_field_str(w, "node_name", list[k].name);
        qd_json_object_end(w);
    }
    write_absent(x, list, n);
    qd_json_array_end(w);
}

/* The store is asked once: one that does not answer would hold the request for both. */
static void write_coordination(const state_request *x)
{
    uint64_t term = 0;
    int rc = QD_E_NOTFOUND;
    if (x->s->master.n) rc = qd_masters_term(x->q->a->cluster, VOTERS_MS, &term, NULL);
    open_part(x->w, "cluster_coordination");
    qd_json_field_int(x->w, "term", rc ? 0 : (int64_t)term);
    write_voting(x, !rc || rc == QD_E_NOTFOUND);
    qd_json_object_end(x->w);
}

static void write_metadata(const state_request *x)
{
    qd_json_writer *w = x->w;
    open_part(w, "metadata");
    qd_json_field_c(w, "cluster_uuid", x->s->uuid);
    qd_json_field_bool(w, "cluster_uuid_committed", x->s->uuid[0] != 0);
    write_coordination(x);
    empty(w, "templates");
    open_part(w, "indices");
    for (uint32_t i = 0; i < x->found.n; i++) write_index(x, x->found.at[i]);
    qd_json_object_end(w);
    open_part(w, "index-graveyard");
    qd_json_key_c(w, "tombstones");
    qd_json_array(w);
    qd_json_array_end(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* --- routing --- */

static void write_unassigned(const state_request *x, const qd_index_meta *m, const qd_copy *c,
                             qd_json_writer *w)
{
    char text[48];
    const char *reason = qd_unassigned_reason_name(c->reason);
    open_part(w, "unassigned_info");
    qd_json_field_c(w, "reason", reason ? reason : "ALLOCATION_FAILED");
    qd_json_field_c(w, "at", qdi_time_text(c->since_ms ? c->since_ms : m->created_ms, text));
    if (c->failures) qd_json_field_int(w, "failed_attempts", c->failures);
    qd_json_field_bool(w, "delayed", qdi_copy_delayed(x->s, m, c, qd_env_wall_ms(x->q->a->env)));
    if (c->failure.n) qd_json_field_str(w, "details", c->failure);
    qd_json_field_c(w, "allocation_status", "no_attempt");
    qd_json_object_end(w);
}

static void write_copy(const state_request *x, const qd_index_meta *m, uint32_t number,
                       const qd_shard_meta *r, uint32_t copy)
{
    static const qd_copy missing = {.recovery = QD_RECOVERY_EXISTING_STORE};
    qd_json_writer *w = x->w;
    const qd_copy *c = copy < r->ncopies ? &r->copies[copy] : &missing;
    const qd_copy *partner = c->partner.n ? qd_shard_meta_copy(r, c->partner) : NULL;
    qd_json_object(w);
    qd_json_field_c(w, "state", qd_shard_state_name(c->state));
    qd_json_field_bool(w, "primary", copy == 0);
    qd_json_key_c(w, "node");
    c->node.n ? qd_json_str(w, c->node) : qd_json_null(w);
    qd_json_key_c(w, "relocating_node");
    partner ? qd_json_str(w, partner->node) : qd_json_null(w);
    qd_json_field_int(w, "shard", number);
    qd_json_field_str(w, "index", m->name);
    if (!qd_copy_is_active(c)) {
        open_part(w, "recovery_source");
        qd_json_field_c(w, "type", qd_recovery_source_name(c->recovery));
        qd_json_object_end(w);
    }
    if (qd_copy_is_assigned(c)) {
        open_part(w, "allocation_id");
        qd_json_field_str(w, "id", c->allocation_id);
        if (c->partner.n) qd_json_field_str(w, "relocation_id", c->partner);
        qd_json_object_end(w);
    } else {
        write_unassigned(x, m, c, w);
    }
    qd_json_object_end(w);
}

static void write_table(const state_request *x)
{
    qd_json_writer *w = x->w;
    open_part(w, "routing_table");
    open_part(w, "indices");
    for (uint32_t i = 0; i < x->found.n; i++) {
        const qd_index_meta *m = x->found.at[i];
        const qd_shard_meta *shard = qd_state_shards(x->s, m);
        qd_json_key(w, m->name);
        qd_json_object(w);
        open_part(w, "shards");
        for (uint32_t k = 0; shard && k < m->shards; k++) {
            char number[16];
            snprintf(number, sizeof number, "%u", k);
            qd_json_key_c(w, number);
            qd_json_array(w);
            const qd_shard_meta *rec = record_of(x, m, shard, k);
            for (uint32_t c = 0; c < (rec->ncopies ? rec->ncopies : 1); c++) {
                write_copy(x, m, k, rec, c);
            }
            qd_json_array_end(w);
        }
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* Copies that are on no node (node NULL), or on this one. */
static void write_copies_of(const state_request *x, const qd_node_meta *node)
{
    for (uint32_t i = 0; i < x->found.n; i++) {
        const qd_index_meta *m = x->found.at[i];
        const qd_shard_meta *shard = qd_state_shards(x->s, m);
        for (uint32_t k = 0; shard && k < m->shards; k++) {
            const qd_shard_meta *rec = record_of(x, m, shard, k);
            for (uint32_t c = 0; c < rec->ncopies; c++) {
                const qd_copy *copy = &rec->copies[c];
                bool here = node ? qd_str_eq(copy->node, node->id) : !qd_copy_is_assigned(copy);
                if (here) write_copy(x, m, k, rec, c);
            }
        }
    }
}

static void write_routing_nodes(const state_request *x)
{
    qd_json_writer *w = x->w;
    open_part(w, "routing_nodes");
    qd_json_key_c(w, "unassigned");
    qd_json_array(w);
    write_copies_of(x, NULL);
    qd_json_array_end(w);
    open_part(w, "nodes");
    for (uint32_t i = 0; i < x->s->nnodes; i++) {
        if (!qd_node_is_data(&x->s->nodes[i])) continue;
        qd_json_key(w, x->s->nodes[i].id);
        qd_json_array(w);
        write_copies_of(x, &x->s->nodes[i]);
        qd_json_array_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_state(const state_request *x, uint32_t wanted)
{
    qd_json_writer *w = x->w;
    char uuid[QD_UUID_TEXT];
    qd_json_object(w);
    qd_json_field_str(w, "cluster_name", qd_cluster_name(x->q->a->cluster));
    qd_json_field_c(w, "cluster_uuid", x->s->uuid);
    if (wanted & PART_VERSION) {
        state_uuid(x->s, uuid);
        qd_json_field_int(w, "version", (int64_t)x->s->revision);
        qd_json_field_c(w, "state_uuid", uuid);
    }
    if (wanted & PART_MASTER) qd_json_field_str(w, "master_node", x->s->master);
    if ((wanted & PART_MANAGER) && x->id.opensearch) {
        qd_json_field_str(w, "cluster_manager_node", x->s->master);
    }
    if (wanted & PART_BLOCKS) write_blocks(x);
    if (wanted & PART_NODES) write_nodes(x);
    if (wanted & PART_METADATA) write_metadata(x);
    if (wanted & PART_TABLE) write_table(x);
    if (wanted & PART_ROUTING_NODES) write_routing_nodes(x);
    qd_json_object_end(w);
}

/* wait_for_metadata_version: the revision that must have been applied. */
static int wait_for_version(const qd_request *q, qd_err *err)
{
    int64_t version, timeout;
    int rc = qd_param_i64(q, "wait_for_metadata_version", 0, &version, err);
    if (!rc) rc = qd_param_ms(q, "wait_for_timeout", 60000, &timeout, err);
    if (rc || version <= 0) return rc;
    return qd_cluster_wait(q->a->cluster, (uint64_t)version, timeout, err);
}

int qdi_state_write(qd_request *q, const qd_state *s, qd_str metrics, const qd_reroute *reroute,
                    qd_json_writer *w, qd_err *err)
{
    state_request x = {.q = q, .w = w, .s = s, .reroute = reroute};
    uint32_t wanted;
    int rc = parse_parts(metrics, &wanted, err);
    if (!rc)
        rc = qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN, q->arena,
                              &x.found, err);
    if (rc) return rc;
    if (!metrics.n) wanted = PART_ALL & ~(uint32_t)PART_METADATA;
    qdi_identity_get(q->a, &x.id);
    write_state(&x, wanted);
    return 0;
}

int qdi_api_cluster_state(qd_request *q, qd_response *r, qd_err *err)
{
    state_request x = {.q = q, .w = &r->w};
    uint32_t wanted, options = QD_INDICES_ALL | QD_EXPAND_HIDDEN | QD_IGNORE_UNAVAILABLE;
    int rc = parse_parts(qd_param(q, "metric"), &wanted, err);
    if (!rc) rc = wait_for_version(q, err);
    if (rc) return rc;
    qdi_identity_get(q->a, &x.id);
    qd_state *s = qd_cluster_state(q->a->cluster);
    x.s = s;
    rc = qd_param_indices(q, s, options, &x.found, err);
    if (!rc) write_state(&x, wanted);
    qd_state_unref(s);
    return rc;
}

/* --- pending tasks: changes made by workers themselves, so there is no queue to list --- */

int qdi_api_cluster_pending_tasks(qd_request *q, qd_response *r, qd_err *err)
{
    (void)q;
    (void)err;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "tasks");
    qd_json_array(&r->w);
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}

int qdi_api_cat_pending_tasks(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {
        {"insertOrder", "o", "task insertion order", CAT_RIGHT},
        {"timeInQueue", "t", "how long task has been in queue", CAT_RIGHT},
        {"priority", "p", "task priority", 0},
        {"source", "s", "task source", 0},
    };
    cat_table t;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    return qdi_cat_end(&t, r, err);
}

int qdi_api_cat_repositories(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {{"id", "id,repoId", "unique repository id", 0},
                                      {"type", "t,type", "repository type", CAT_RIGHT}};
    cat_table t;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    return qdi_cat_end(&t, r, err);
}
