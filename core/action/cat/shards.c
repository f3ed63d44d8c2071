/* shards.c: _cat/shards, _cat/segments, _cat/recovery. */
#include "action/api/cat_table.h"
#include "action/indices/copy_stats.h"
#include "action/indices/indices_int.h"
#include "base/str.h"
#include <stdio.h>

#define CAT_SHARDS_OPTIONS (QD_INDICES_ALL | QD_EXPAND_HIDDEN | QD_IGNORE_UNAVAILABLE)

/* Calls fn for the indices that the request names, with the statistics of their copies. */
static int each_index(qd_request *q, uint32_t options, uint32_t flags, cat_table *t,
                      void (*fn)(cat_table *t, const qd_state *s, const copy_stats_list *f,
                                 const qd_index_meta *m),
                      qd_response *r, qd_err *err)
{
    qd_resolved found;
    copy_stats_list f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, options, &found, err);
    if (!rc) rc = qdi_copy_stats_collect(q, s, &found, flags, &f, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) fn(t, s, &f, found.at[i]);
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(t);
        return rc;
    }
    return qdi_cat_end(t, r, err);
}

/* --- shards --- */

static bool has_dataset(const qd_request *q)
{
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    return id.product == QDI_ES8 || id.product == QDI_ES9;
}

static void shard_columns(cat_table *t)
{
    static const cat_column first[] = {
        {"index", "i,idx", "index name", 0},
        {"shard", "s,sh", "shard name", 0},
        {"prirep", "p,pr,primaryOrReplica", "primary or replica", 0},
        {"state", "st", "shard state", 0},
        {"docs", "d,dc", "number of docs in shard", CAT_RIGHT},
        {"store", "sto", "store size of shard (how much disk it uses)", CAT_RIGHT},
    };
    static const cat_column second[] = {
        {"ip", NULL, "ip of node where it lives", 0},
        {"id", NULL, "unique id of node where it lives", CAT_OFF},
        {"node", "n", "name of node where it lives", 0},
        {"sync_id", "sync_id", "sync id", CAT_OFF},
        {"unassigned.reason", "ur", "reason shard is unassigned", CAT_OFF},
        {"unassigned.at", "ua", "time shard became unassigned (UTC)", CAT_OFF},
        {"unassigned.for", "uf", "time has been unassigned", CAT_OFF | CAT_RIGHT},
        {"unassigned.details", "ud", "additional details as to why the shard became unassigned",
         CAT_OFF},
        {"recoverysource.type", "rs", "recovery source type", CAT_OFF},
        {"seq_no.max", "sqm,maxSeqNo", "max sequence number", CAT_OFF | CAT_RIGHT},
        {"seq_no.local_checkpoint", "sql,localCheckpoint", "local checkpoint", CAT_OFF | CAT_RIGHT},
        {"seq_no.global_checkpoint", "sqg,globalCheckpoint", "global checkpoint",
         CAT_OFF | CAT_RIGHT},
        {"path.data", "pd,dataPath", "shard data path", CAT_OFF | CAT_RIGHT},
        {"path.state", "ps,statsPath", "shard state path", CAT_OFF | CAT_RIGHT},
    };
    qdi_cat_columns(t, first, QD_COUNT_OF(first));
    if (has_dataset(t->q)) {
        qdi_cat_column(t, "dataset", NULL, CAT_RIGHT, "total size of dataset");
    }
    qdi_cat_columns(t, second, QD_COUNT_OF(second));
    qdi_cat_stat_columns(t, false);
}

/* A relocating copy's cell names where it goes to: "node -> ip id name". */
static void node_cell(cat_table *t, const qd_state *s, const qd_shard_meta *r, const qd_copy *c,
                      const qd_node_meta *n)
{
    const qd_copy *to = c->state == QD_SHARD_RELOCATING ? qd_shard_meta_copy(r, c->partner) : NULL;
    const qd_node_meta *other = to ? qd_state_node(s, to->node) : NULL;
    if (!other) {
        qdi_cat_str(t, n->name);
        return;
    }
    qd_str host = qdi_host_of(other->transport_address);
    qdi_cat_printf(t, "%.*s -> %.*s %.*s %.*s", QD_STR_ARG(n->name), QD_STR_ARG(host),
                   QD_STR_ARG(other->id), QD_STR_ARG(other->name));
}

static void unassigned_cells(cat_table *t, const qd_copy *c, bool primary, const char *failure)
{
    char text[48];
    int64_t age = qd_env_wall_ms(t->q->a->env) - c->since_ms;
    const char *reason = qd_unassigned_reason_name(c->reason);
    reason ? qdi_cat_c(t, reason) : qdi_cat_null(t);
    c->since_ms ? qdi_cat_c(t, qdi_time_text(c->since_ms, text)) : qdi_cat_null(t);
    c->since_ms ? qdi_cat_ns(t, (age > 0 ? age : 0) * 1000000) : qdi_cat_null(t);
    if (failure[0]) {
        qdi_cat_c(t, failure);
    } else {
        c->failure.n ? qdi_cat_str(t, c->failure) : qdi_cat_null(t);
    }
    qdi_cat_c(t, c->recovery == QD_RECOVERY_EMPTY_STORE && primary ? "empty_store"
                 : primary                                         ? "existing_store"
                                                                   : "peer");
}

static void place_cells(cat_table *t, const qd_state *s, const qd_shard_meta *r, const qd_copy *c,
                        bool primary, const char *failure)
{
    const qd_node_meta *n = qd_copy_is_assigned(c) ? qd_state_node(s, c->node) : NULL;
    n ? qdi_cat_str(t, qdi_host_of(n->transport_address)) : qdi_cat_null(t);
    n ? qdi_cat_str(t, n->id) : qdi_cat_null(t);
    n ? node_cell(t, s, r, c, n) : qdi_cat_null(t);
    qdi_cat_null(t);
    if (qd_copy_is_assigned(c)) {
        for (int i = 0; i < 5; i++) qdi_cat_null(t);
    } else {
        unassigned_cells(t, c, primary, failure);
    }
}

static void shard_row(cat_table *t, const qd_state *state, const copy_stats_list *f,
                      const qd_index_meta *m, uint32_t number, const qd_shard_meta *r,
                      uint32_t copy)
{
    static const qd_copy missing = {.recovery = QD_RECOVERY_EXISTING_STORE};
    static const qdi_stats none;
    const qd_copy *c = copy < r->ncopies ? &r->copies[copy] : &missing;
    bool primary = copy == 0;
    qd_str node = primary && !qd_copy_is_assigned(c) ? t->q->a->node_id : c->node;
    const copy_stats *is = qdi_copy_stats_find(f, m->uuid, number, node);
    bool open = is && is->open;
    const char *reason = is && !open ? is->reason.p : "";
    const qdi_stats st = open ? is->stats : none;
    qdi_cat_str(t, m->name);
    qdi_cat_int(t, number);
    qdi_cat_c(t, primary ? "p" : "r");
    qdi_cat_c(t, qd_shard_state_name(c->state));
    open ? qdi_cat_int(t, st.v[QDI_DOCS]) : qdi_cat_null(t);
    for (int i = 0; i < (has_dataset(t->q) ? 2 : 1); i++) {
        open ? qdi_cat_bytes(t, st.v[QDI_STORE]) : qdi_cat_null(t);
    }
    place_cells(t, state, r, c, primary, reason);
    open ? qdi_cat_int(t, st.max_seq_no) : qdi_cat_null(t);
    open ? qdi_cat_int(t, st.local_checkpoint) : qdi_cat_null(t);
    open ? qdi_cat_int(t, st.global_checkpoint) : qdi_cat_null(t);
    for (int i = 0; i < 2; i++) {
        open ? qdi_cat_printf(t, "%.*s/indices/%s/%u", QD_STR_ARG(is->path), m->uuid, number)
             : qdi_cat_null(t);
    }
    for (size_t i = 0; i < QDI_STAT_COLUMNS; i++) {
        open ? qdi_cat_stat(t, &st, i) : qdi_cat_null(t);
    }
}

static void shard_rows(cat_table *t, const qd_state *s, const copy_stats_list *f,
                       const qd_index_meta *m)
{
    const qd_shard_meta *list = qd_state_shards(s, m);
    for (uint32_t k = 0; list && k < m->shards; k++) {
        uint32_t n = list[k].ncopies ? list[k].ncopies : 1;
        for (uint32_t c = 0; c < n; c++) shard_row(t, s, f, m, k, &list[k], c);
    }
}

int qdi_api_cat_shards(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_cat_init(&t, q);
    shard_columns(&t);
    if (qdi_cat_help(&t, r)) return 0;
    return each_index(q, CAT_SHARDS_OPTIONS, 0, &t, shard_rows, r, err);
}

/* --- segments --- */

static void segment_row(cat_table *t, const qd_state *s, const qd_index_meta *m,
                        const copy_stats *f, const copy_segment *l)
{
    char name[24];
    qdi_identity id;
    const qd_node_meta *node = qd_state_node(s, f->node);
    qdi_segment_name(l->unit ? l->unit - 1 : 0, name); /* units count from one, Lucene from zero */
    qdi_identity_get(t->q->a, &id);
    qdi_cat_str(t, m->name);
    qdi_cat_int(t, f->number);
    qdi_cat_c(t, qdi_copy_stats_primary(s, m, f) ? "p" : "r");
    node ? qdi_cat_str(t, qdi_host_of(node->transport_address)) : qdi_cat_null(t);
    qdi_cat_str(t, f->node);
    qdi_cat_c(t, name);
    qdi_cat_int(t, l->unit ? (int64_t)l->unit - 1 : 0);
    qdi_cat_int(t, l->live);
    qdi_cat_int(t, l->docs - l->live);
    qdi_cat_bytes(t, (int64_t)l->bytes);
    qdi_cat_c(t, "0");
    qdi_cat_c(t, l->committed ? "true" : "false");
    qdi_cat_c(t, "true");
    qdi_cat_c(t, id.lucene);
    qdi_cat_c(t, "true");
}

static void segment_rows(cat_table *t, const qd_state *s, const copy_stats_list *f,
                         const qd_index_meta *m)
{
    uint32_t first, n = qdi_copy_stats_of(f, m->uuid, &first);
    for (uint32_t i = first; i < first + n; i++) {
        for (uint32_t k = 0; k < f->at[i].nsegments; k++) {
            segment_row(t, s, m, &f->at[i], &f->at[i].segments[k]);
        }
    }
}

int qdi_api_cat_segments(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {
        {"index", "i,idx", "index name", 0},
        {"shard", "s,sh", "shard name", 0},
        {"prirep", "p,pr,primaryOrReplica", "primary or replica", 0},
        {"ip", NULL, "ip of node where it lives", 0},
        {"id", NULL, "unique id of node where it lives", CAT_OFF},
        {"segment", "seg", "segment name", 0},
        {"generation", "g,gen", "segment generation", CAT_RIGHT},
        {"docs.count", "dc,docsCount", "number of docs in segment", CAT_RIGHT},
        {"docs.deleted", "dd,docsDeleted", "number of deleted docs in segment", CAT_RIGHT},
        {"size", "si", "segment size in bytes", CAT_RIGHT},
        {"size.memory", "sm,sizeMemory", "segment memory in bytes", CAT_RIGHT},
        {"committed", "ic,isCommitted", "is segment committed", 0},
        {"searchable", "is,isSearchable", "is segment searched", 0},
        {"version", "v,ver", "version", 0},
        {"compound", "ico,isCompound", "is segment compound", 0},
    };
    cat_table t;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    return each_index(q, QD_INDICES_SEARCH, QDI_COPY_STATS_SEGMENTS, &t, segment_rows, r, err);
}

/* --- recovery: how each open shard came to be open --- */

static void percent_cell(cat_table *t, uint64_t part, uint64_t all, const char *none)
{
    char text[24];
    snprintf(text, sizeof text, "%.1f%%", all ? 100.0 * (double)part / (double)all : 0.0);
    qdi_cat_c(t, all ? text : none);
}

static const char *const stages[] = {"init", "index", "translog", "finalize", "done"};

/* From a peer: with what has come so far. */
static void peer_row(cat_table *t, const qd_state *state, const qd_index_meta *m,
                     const copy_stats *f)
{
    char text[48];
    const qd_recovery_progress *p = &f->recovery;
    const qd_node_meta *from = qd_state_node(state, qd_str_c(p->source_node)),
                       *to = qd_state_node(state, f->node);
    uint32_t files = p->files_total - p->files_reused;
    uint64_t bytes = p->bytes_total - p->bytes_reused;
    uint64_t ops = p->ops_total > p->ops_recovered ? p->ops_total : p->ops_recovered;
    qdi_cat_str(t, m->name);
    qdi_cat_int(t, f->number);
    qdi_cat_c(t, qdi_time_text(p->start_wall_ms, text));
    qdi_cat_int(t, p->start_wall_ms);
    qdi_cat_c(t, p->stop_wall_ms ? qdi_time_text(p->stop_wall_ms, text) : "-");
    qdi_cat_int(t, p->stop_wall_ms);
    qdi_cat_ns(t, (int64_t)p->elapsed_ns);
    qdi_cat_c(t, "peer");
    qdi_cat_c(t, stages[p->stage]);
    qdi_cat_str(t, from ? from->host : QD_STR("n/a"));
    qdi_cat_str(t, from ? from->name : QD_STR("n/a"));
    qdi_cat_str(t, to ? to->host : QD_STR("n/a"));
    qdi_cat_str(t, to ? to->name : QD_STR("n/a"));
    qdi_cat_c(t, "n/a");
    qdi_cat_c(t, "n/a");
    qdi_cat_int(t, files);
    qdi_cat_int(t, p->files_recovered);
    percent_cell(t, p->files_recovered, files, "100.0%");
    qdi_cat_int(t, p->files_total);
    qdi_cat_bytes(t, (int64_t)bytes);
    qdi_cat_bytes(t, (int64_t)p->bytes_recovered);
    percent_cell(t, p->bytes_recovered, bytes, "100.0%");
    qdi_cat_bytes(t, (int64_t)p->bytes_total);
    qdi_cat_int(t, (int64_t)ops);
    qdi_cat_int(t, (int64_t)p->ops_recovered);
    percent_cell(t, p->ops_recovered, ops, "100.0%");
}

/* f NULL: of a closed index, which lies on disk as it is. */
static void recovery_row(cat_table *t, const qd_state *state, const qd_index_meta *m,
                         const copy_stats *f, uint32_t number)
{
    char text[48];
    const qd_node_meta *self = f ? qd_state_node(state, f->node) : NULL;
    int64_t took = f ? (int64_t)f->opened_ns : 0;
    int64_t ended = f ? f->opened_wall_ms : m->created_ms;
    if (!self) self = qd_cluster_self(t->q->a->cluster);
    int64_t began = ended - took / 1000000;
    qdi_cat_str(t, m->name);
    qdi_cat_int(t, number);
    qdi_cat_c(t, qdi_time_text(began, text));
    qdi_cat_int(t, began);
    qdi_cat_c(t, qdi_time_text(ended, text));
    qdi_cat_int(t, ended);
    qdi_cat_ns(t, took);
    qdi_cat_c(t, m->closed ? "existing_store" : "empty_store");
    qdi_cat_c(t, "done");
    qdi_cat_c(t, "n/a");
    qdi_cat_c(t, "n/a");
    qdi_cat_str(t, self->host);
    qdi_cat_str(t, self->name);
    qdi_cat_c(t, "n/a");
    qdi_cat_c(t, "n/a");
    for (int bytes = 0; bytes < 2; bytes++) {
        for (int i = 0; i < 4; i++) {
            i == 2 ? qdi_cat_c(t, "0.0%") : bytes ? qdi_cat_bytes(t, 0) : qdi_cat_int(t, 0);
        }
    }
    qdi_cat_int(t, 0);
    qdi_cat_int(t, 0);
    qdi_cat_c(t, "100.0%");
}

static void recovery_rows(cat_table *t, const qd_state *state, const copy_stats_list *f,
                          const qd_index_meta *m)
{
    uint32_t first, n = qdi_copy_stats_of(f, m->uuid, &first), open = 0;
    bool active =
        qd_param_has(t->q, "active_only") && !qd_str_is(qd_param(t->q, "active_only"), "false");
    for (uint32_t i = first; i < first + n; i++) {
        bool peer = f->at[i].recovery.uuid[0];
        if (!f->at[i].open || (active && (!peer || f->at[i].recovery.stop_wall_ms))) continue;
        if (peer) {
            peer_row(t, state, m, &f->at[i]);
        } else {
            recovery_row(t, state, m, &f->at[i], f->at[i].number);
        }
        open++;
    }
    for (uint32_t k = 0; k < m->shards && m->closed && !open && !active; k++) {
        recovery_row(t, state, m, NULL, k);
    }
}

int qdi_api_cat_recovery(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {
        {"index", "i,idx", "index name", 0},
        {"shard", "s,sh", "shard name", 0},
        {"start_time", "start", "recovery start time", CAT_OFF},
        {"start_time_millis", "start_millis", "recovery start time in epoch milliseconds", CAT_OFF},
        {"stop_time", "stop", "recovery stop time", CAT_OFF},
        {"stop_time_millis", "stop_millis", "recovery stop time in epoch milliseconds", CAT_OFF},
        {"time", "t,ti", "recovery time", 0},
        {"type", "ty", "recovery type", 0},
        {"stage", "st", "recovery stage", 0},
        {"source_host", "shost", "source host", 0},
        {"source_node", "snode", "source node name", 0},
        {"target_host", "thost", "target host", 0},
        {"target_node", "tnode", "target node name", 0},
        {"repository", "rep", "repository", 0},
        {"snapshot", "snap", "snapshot", 0},
        {"files", "f", "number of files to recover", 0},
        {"files_recovered", "fr", "files recovered", 0},
        {"files_percent", "fp", "percent of files recovered", 0},
        {"files_total", "tf", "total number of files", 0},
        {"bytes", "b", "number of bytes to recover", 0},
        {"bytes_recovered", "br", "bytes recovered", 0},
        {"bytes_percent", "bp", "percent of bytes recovered", 0},
        {"bytes_total", "tb", "total number of bytes", 0},
        {"translog_ops", "to", "number of translog ops to recover", 0},
        {"translog_ops_recovered", "tor", "translog ops recovered", 0},
        {"translog_ops_percent", "top", "percent of translog ops recovered", 0},
    };
    cat_table t;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    return each_index(q, CAT_SHARDS_OPTIONS, 0, &t, recovery_rows, r, err);
}

/* --- fielddata --- */

static void fielddata_rows(cat_table *t, const qd_node_meta *n, const qdi_field_bytes *x,
                           qd_str wanted)
{
    for (; x; x = x->next) {
        bool take = !wanted.n;
        for (qd_str rest = wanted; rest.n && !take;)
            take = qd_pattern_match(qd_str_trim(qd_str_split(&rest, ',')), x->field);
        if (!take) continue;
        qdi_cat_str(t, n->id);
        qdi_cat_str(t, qdi_host_of(n->transport_address));
        qdi_cat_str(t, qdi_host_of(n->transport_address));
        qdi_cat_str(t, n->name);
        qdi_cat_str(t, x->field);
        qdi_cat_bytes(t, x->bytes);
    }
}

int qdi_api_cat_fielddata(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {
        {"id", NULL, "node id", 0},      {"host", "h", "host name", 0},
        {"ip", NULL, "ip address", 0},   {"node", "n", "node name", 0},
        {"field", "f", "field name", 0}, {"size", "s", "field data usage", CAT_RIGHT},
    };
    cat_table t;
    copy_stats_list f;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_copy_stats_collect(q, s, NULL, QDI_COPY_STATS_FIELDDATA, &f, err);
    for (uint32_t i = 0; i < s->nnodes && !rc; i++)
        fielddata_rows(&t, &s->nodes[i],
                       qdi_copy_stats_fields(&f, s, NULL, s->nodes[i].id, false, q->arena),
                       qd_param(q, "fields"));
    qd_state_unref(s);
    if (!rc) return qdi_cat_end(&t, r, err);
    qdi_cat_fini(&t);
    return rc;
}
