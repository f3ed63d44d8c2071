/* stats_api.c: _stats, _segments, _recovery: statistics of indices and shards as JSON. */
#include "action/indices/copy_stats.h"
#include "action/indices/indices_int.h"
#include "base/str.h"
#include "cluster/state/index_sort.h"
#include <stdio.h>
#include <string.h>

#define STATS_OPTIONS (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_EXPAND_HIDDEN | QD_ALLOW_NO_INDICES)

/* --- _stats --- */

typedef struct stats_request {
    qd_request *q;
    qdi_identity id;
    uint32_t sections;
    int level;   /* 0 cluster, 1 indices, 2 shards */
    bool fields; /* fielddata by field */
    const qd_state *state;
    copy_stats_list f;
} stats_request;

/* Statistics of the primaries, and of all copies. */
typedef struct stats_pair {
    qdi_stats pri, all;
} stats_pair;

static void write_pair(const stats_request *x, const stats_pair *s, qd_json_writer *w)
{
    qd_json_key_c(w, "primaries");
    qd_json_object(w);
    qdi_sections_write(x->q, &x->id, &s->pri, x->sections, w);
    qd_json_object_end(w);
    qd_json_key_c(w, "total");
    qd_json_object(w);
    qdi_sections_write(x->q, &x->id, &s->all, x->sections, w);
    qd_json_object_end(w);
}

/* "routing" of a copy. */
static void write_routing(const qd_state *state, const qd_index_meta *m, const copy_stats *f,
                          bool relocating, qd_json_writer *w)
{
    const qd_shard_meta *r = qd_state_shard(state, m, f->number);
    const qd_copy *c = r ? qd_shard_meta_copy_of(r, f->node) : NULL;
    const qd_copy *to = c && c->partner.n ? qd_shard_meta_copy(r, c->partner) : NULL;
    qd_json_key_c(w, "routing");
    qd_json_object(w);
    qd_json_field_c(w, "state", qd_shard_state_name(c ? c->state : QD_SHARD_STARTED));
    qd_json_field_bool(w, "primary", qdi_copy_stats_primary(state, m, f));
    qd_json_field_str(w, "node", f->node);
    if (relocating) {
        qd_json_key_c(w, "relocating_node");
        if (to)
            qd_json_str(w, to->node);
        else
            qd_json_null(w);
    }
    qd_json_object_end(w);
}

static qd_str allocation_id(const qd_state *state, const qd_index_meta *m, const copy_stats *f)
{
    const qd_shard_meta *r = qd_state_shard(state, m, f->number);
    const qd_copy *c = r ? qd_shard_meta_copy_of(r, f->node) : NULL;
    return c ? c->allocation_id : QD_STR("");
}

static void write_shard(const stats_request *x, const qd_index_meta *m, const copy_stats *f,
                        qd_json_writer *w)
{
    qdi_stats own = f->stats, *s = &own;
    own.fields = f->fielddata;
    qd_json_object(w);
    write_routing(x->state, m, f, true, w);
    qdi_sections_write(x->q, &x->id, s, x->sections, w);
    qd_json_key_c(w, "commit");
    qd_json_object(w);
    qd_json_field_str(w, "id", allocation_id(x->state, m, f));
    qd_json_field_int(w, "generation", s->v[QDI_FLUSH_TOTAL] + 1);
    qd_json_key_c(w, "user_data");
    qd_json_object(w);
    qd_json_field_c(w, "history_uuid", s->history_uuid);
    qd_json_object_end(w);
    qd_json_field_int(w, "num_docs", s->v[QDI_DOCS]);
    qd_json_object_end(w);
    qd_json_key_c(w, "seq_no");
    qd_json_object(w);
    qd_json_field_int(w, "max_seq_no", s->max_seq_no);
    qd_json_field_int(w, "local_checkpoint", s->local_checkpoint);
    qd_json_field_int(w, "global_checkpoint", s->global_checkpoint);
    qd_json_object_end(w);
    qd_json_key_c(w, "shard_path");
    qd_json_object(w);
    qd_json_field_str(w, "state_path", f->path);
    qd_json_field_str(w, "data_path", f->path);
    qd_json_field_bool(w, "is_custom_data_path", false);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_shards(const stats_request *x, const qd_index_meta *m, qd_json_writer *w)
{
    uint32_t first, n = qdi_copy_stats_of(&x->f, m->uuid, &first);
    qd_json_key_c(w, "shards");
    qd_json_object(w);
    for (uint32_t i = first; i < first + n;) {
        char number[16];
        uint32_t k = x->f.at[i].number, open = 0;
        snprintf(number, sizeof number, "%u", k);
        for (; i < first + n && x->f.at[i].number == k; i++) {
            if (!x->f.at[i].open) continue;
            if (!open++) {
                qd_json_key_c(w, number);
                qd_json_array(w);
            }
            write_shard(x, m, &x->f.at[i], w);
        }
        if (open) qd_json_array_end(w);
    }
    qd_json_object_end(w);
}

static void write_index(const stats_request *x, const qd_state *state, const qd_index_meta *m,
                        const stats_pair *s, qd_json_writer *w)
{
    qd_json_key(w, m->name);
    qd_json_object(w);
    qd_json_field_c(w, "uuid", m->uuid);
    if (!x->id.opensearch) {
        qd_json_field_c(w, "health", qd_health_name(qd_index_health(state, m)));
        qd_json_field_c(w, "status", m->closed ? "close" : "open");
    }
    write_pair(x, s, w);
    if (x->level == 2) write_shards(x, m, w);
    qd_json_object_end(w);
}

static int parse_level(const qd_request *q, int *out, qd_err *err)
{
    static const char *const levels[] = {"cluster", "indices", "shards"};
    qd_str v = qd_param(q, "level");
    *out = 1;
    if (!v.n) return 0;
    for (int i = 0; i < 3; i++) {
        *out = i;
        if (qd_str_is(v, levels[i])) return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "level parameter must be one of [cluster] or [indices] or [shards] but was "
                      "[%.*s]",
                      QD_STR_ARG(v));
}

/* Fielddata by field, where it was asked for; m NULL: of all indices. */
static void add_fields(const stats_request *x, const qd_state *state, const qd_index_meta *m,
                       stats_pair *to)
{
    static const qd_str any = {"", 0};
    if (!x->fields) return;
    to->pri.fields = qdi_copy_stats_fields(&x->f, state, m, any, true, x->q->arena);
    to->all.fields = qdi_copy_stats_fields(&x->f, state, m, any, false, x->q->arena);
}

static void write_stats(const stats_request *x, const qd_state *state, const qd_resolved *found,
                        qd_json_writer *w)
{
    stats_pair all = {0}, *each = qd_arena_calloc(x->q->arena, (found->n + 1) * sizeof *each);
    uint32_t total = 0, open = 0;
    for (uint32_t i = 0; each && i < found->n; i++) {
        uint32_t n;
        qdi_copy_stats_sum(&x->f, state, found->at[i], &each[i].pri, &each[i].all, &n);
        qdi_stats_add(&all.pri, &each[i].pri);
        qdi_stats_add(&all.all, &each[i].all);
        add_fields(x, state, found->at[i], &each[i]);
        total += found->at[i]->shards * (found->at[i]->replicas + 1);
        open += n;
    }
    add_fields(x, state, NULL, &all);
    qd_json_object(w);
    qd_shards_write(w, total, open, 0);
    qd_json_key_c(w, "_all");
    qd_json_object(w);
    if (found->n) {
        write_pair(x, &all, w);
    } else { /* nothing has no statistics */
        qd_json_key_c(w, "primaries");
        qd_json_object(w);
        qd_json_object_end(w);
        qd_json_key_c(w, "total");
        qd_json_object(w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    if (x->level) {
        qd_json_key_c(w, "indices");
        qd_json_object(w);
        for (uint32_t i = 0; each && i < found->n; i++) {
            write_index(x, state, found->at[i], &each[i], w);
        }
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

int qdi_api_indices_stats(qd_request *q, qd_response *r, qd_err *err)
{
    stats_request x = {.q = q};
    qd_resolved found;
    char path[256];
    qd_str index = qd_param(q, "index");
    snprintf(path, sizeof path, "%s%.*s/_stats", index.n ? "/" : "", QD_STR_ARG(index));
    qdi_identity_get(q->a, &x.id);
    int rc = qdi_sections_parse(q, qd_param(q, "metric"), path, &x.sections, err);
    if (!rc) rc = parse_level(q, &x.level, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    if (!rc) rc = qd_param_indices(q, s, STATS_OPTIONS, &found, err);
    x.state = s;
    x.fields = x.sections & QDI_SEC_FIELDDATA && qdi_fielddata_wanted(q).n;
    uint32_t flags = x.fields ? QDI_COPY_STATS_FIELDDATA : 0;
    if (!rc) rc = qdi_copy_stats_collect(q, s, &found, flags, &x.f, err);
    if (!rc) write_stats(&x, s, &found, &r->w);
    qd_state_unref(s);
    return rc;
}

/* --- _segments --- */

void qdi_segment_name(uint64_t unit, char out[24])
{
    char digits[16];
    size_t n = 0, k = 0;
    do {
        digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[unit % 36];
        unit /= 36;
    } while (unit);
    out[k++] = '_';
    while (n) out[k++] = digits[--n];
    out[k] = 0;
}

/* What stands for a missing value, as Lucene prints it. */
static const char *missing_text(const qd_field *f, const qd_merge_sort *k)
{
    bool high = k->missing_first == k->descending;
    if (f && (f->value_class == QD_VALUE_TERM || f->value_class == QD_VALUE_IP))
        return k->missing_first ? "SortField.STRING_FIRST" : "SortField.STRING_LAST";
    if (f && (f->number == QD_NUMBER_FLOAT || f->number == QD_NUMBER_DOUBLE))
        return high ? "Infinity" : "-Infinity";
    return high ? "9223372036854775807" : "-9223372036854775808";
}

static void write_sort(const qd_index_meta *m, qd_json_writer *w)
{
    qd_merge_sort keys[QD_MERGE_SORT_MAX];
    uint32_t n;
    if (qd_index_sort(m->values, keys, &n, NULL) || !n) return;
    qd_json_key_c(w, "sort");
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "field", keys[i].field);
        qd_json_field_c(w, "mode", keys[i].greatest ? "max" : "min");
        qd_json_field_c(w, "missing",
                        missing_text(qd_mapping_field(m->mapping, keys[i].field), &keys[i]));
        qd_json_field_bool(w, "reverse", keys[i].descending);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static void write_segment(const qdi_identity *id, const qd_index_meta *m, const copy_segment *l,
                          qd_json_writer *w)
{
    char name[24];
    uint64_t number = l->unit ? l->unit - 1 : 0; /* units count from one, Lucene from zero */
    qdi_segment_name(number, name);
    qd_json_key_c(w, name);
    qd_json_object(w);
    qd_json_field_int(w, "generation", (int64_t)number);
    qd_json_field_int(w, "num_docs", l->live);
    qd_json_field_int(w, "deleted_docs", l->docs - l->live);
    qd_json_field_int(w, "size_in_bytes", (int64_t)l->bytes);
    if (id->opensearch || id->product == QDI_ES7 || id->product == QDI_ES7102)
        qd_json_field_int(w, "memory_in_bytes", 0);
    qd_json_field_bool(w, "committed", l->committed);
    qd_json_field_bool(w, "search", true);
    qd_json_field_c(w, "version", id->lucene);
    qd_json_field_bool(w, "compound", true);
    write_sort(m, w);
    qd_json_key_c(w, "attributes");
    qd_json_object(w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_shard_segments(const qdi_identity *id, const qd_state *s, const qd_index_meta *m,
                                 const copy_stats *f, qd_json_writer *w)
{
    uint32_t committed = 0;
    for (uint32_t i = 0; i < f->nsegments; i++) committed += f->segments[i].committed;
    qd_json_object(w);
    write_routing(s, m, f, false, w);
    qd_json_field_int(w, "num_committed_segments", committed);
    qd_json_field_int(w, "num_search_segments", f->nsegments);
    qd_json_key_c(w, "segments");
    qd_json_object(w);
    for (uint32_t i = 0; i < f->nsegments; i++) write_segment(id, m, &f->segments[i], w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static uint32_t write_index_segments(const qdi_identity *id, const qd_state *s,
                                     const copy_stats_list *f, const qd_index_meta *m,
                                     qd_json_writer *w)
{
    uint32_t first, n = qdi_copy_stats_of(f, m->uuid, &first), open = 0;
    qd_json_key(w, m->name);
    qd_json_object(w);
    qd_json_key_c(w, "shards");
    qd_json_object(w);
    for (uint32_t i = first; i < first + n;) {
        char number[16];
        uint32_t k = f->at[i].number, here = 0;
        snprintf(number, sizeof number, "%u", k);
        for (; i < first + n && f->at[i].number == k; i++) {
            if (!f->at[i].open) continue;
            if (!here++) {
                qd_json_key_c(w, number);
                qd_json_array(w);
            }
            write_shard_segments(id, s, m, &f->at[i], w);
        }
        if (here) qd_json_array_end(w);
        open += here;
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
    return open;
}

int qdi_api_indices_segments(qd_request *q, qd_response *r, qd_err *err)
{
    qdi_identity id;
    qd_resolved found;
    uint32_t total = 0, open = 0;
    qd_buf b;
    qd_json_writer w;
    qdi_identity_get(q->a, &id);
    qd_state *s = qd_cluster_state(q->a->cluster);
    copy_stats_list f;
    int rc = qd_param_indices(q, s, QD_INDICES_SEARCH, &found, err);
    if (!rc) rc = qdi_copy_stats_collect(q, s, &found, QDI_COPY_STATS_SEGMENTS, &f, err);
    if (!rc) {
        qd_buf_init(&b, q->a->account, (size_t)1 << 30);
        qd_json_writer_init(&w, &b, false);
        qd_json_object(&w);
        for (uint32_t i = 0; i < found.n; i++) {
            total += found.at[i]->shards * (found.at[i]->replicas + 1);
            open += write_index_segments(&id, s, &f, found.at[i], &w);
        }
        qd_json_object_end(&w);
        qd_json_object(&r->w);
        qd_shards_write(&r->w, total, open, 0);
        qd_json_key_c(&r->w, "indices");
        qd_json_raw_value(&r->w, qd_buf_view(&b));
        qd_json_object_end(&r->w);
        if (qd_buf_status(&b)) rc = qd_err_nomem(err, "segments");
        qd_buf_fini(&b);
    }
    qd_state_unref(s);
    return rc;
}

/* --- _recovery: how each open shard came to be open --- */

static void write_place(const qd_node_meta *self, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "id", self->id);
    qd_json_field_str(w, "host", self->host);
    qd_json_field_str(w, "transport_address", self->transport_address);
    qd_json_field_str(w, "ip", qdi_host_of(self->transport_address));
    qd_json_field_str(w, "name", self->name);
    qd_json_object_end(w);
}

static void percent_field(qd_json_writer *w, uint64_t part, uint64_t all, const char *none)
{
    char text[24];
    snprintf(text, sizeof text, "%.1f%%", all ? 100.0 * (double)part / (double)all : 0.0);
    qd_json_field_c(w, "percent", all ? text : none);
}

static void write_recovery_files(const qd_request *q, const qd_recovery_progress *p,
                                 qd_json_writer *w)
{
    uint64_t bytes[] = {p->bytes_total, p->bytes_reused, p->bytes_recovered};
    uint64_t files[] = {p->files_total, p->files_reused, p->files_recovered};
    const char *none = p->uuid[0] ? "100.0%" : "0.0%";
    qd_json_key_c(w, "index");
    qd_json_object(w);
    qd_json_key_c(w, "size");
    qd_json_object(w);
    static const char *const sizes[] = {"total", "reused", "recovered"};
    for (size_t i = 0; i < QD_COUNT_OF(sizes); i++) {
        char key[48];
        snprintf(key, sizeof key, "%s_in_bytes", sizes[i]);
        qdi_write_bytes(w, q->human, sizes[i], key, (int64_t)bytes[i]);
    }
    percent_field(w, bytes[2], bytes[0] - bytes[1], none);
    qd_json_object_end(w);
    qd_json_key_c(w, "files");
    qd_json_object(w);
    for (size_t i = 0; i < QD_COUNT_OF(sizes); i++) {
        qd_json_field_int(w, sizes[i], (int64_t)files[i]);
    }
    percent_field(w, files[2], files[0] - files[1], none);
    if (qd_param_has(q, "detailed") && !qd_str_is(qd_param(q, "detailed"), "false")) {
        qd_json_key_c(w, "details");
        qd_json_array(w);
        qd_json_array_end(w);
    }
    qd_json_object_end(w);
    qdi_write_ms(w, q->human, "total_time", "total_time_in_millis", 0);
    qdi_write_ms(w, q->human, "source_throttle_time", "source_throttle_time_in_millis", 0);
    qdi_write_ms(w, q->human, "target_throttle_time", "target_throttle_time_in_millis",
                 p->throttle_ns);
    qd_json_object_end(w);
}

static void write_wall(const qd_request *q, const char *name, const char *key, int64_t ms,
                       qd_json_writer *w)
{
    char text[48];
    if (q->human) qd_json_field_c(w, name, qdi_time_text(ms, text));
    qd_json_field_int(w, key, ms);
}

static void write_recovery_source(const qd_state *s, const qd_recovery_progress *p,
                                  qd_json_writer *w)
{
    const qd_node_meta *from = p->uuid[0] ? qd_state_node(s, qd_str_c(p->source_node)) : NULL;
    qd_json_key_c(w, "source");
    if (from) {
        write_place(from, w);
        return;
    }
    qd_json_object(w);
    qd_json_object_end(w);
}

/* f NULL: a shard of a closed index, which lies on disk as it is. */
static void write_recovery(const qd_request *q, const qd_state *s, const qd_index_meta *m,
                           const copy_stats *f, uint32_t number, qd_json_writer *w)
{
    static const char *const stages[] = {"INIT", "INDEX", "TRANSLOG", "FINALIZE", "DONE"};
    static const qd_recovery_progress none;
    const qd_recovery_progress *p = f ? &f->recovery : &none;
    bool peer = p->uuid[0];
    const qd_node_meta *node = f ? qd_state_node(s, f->node) : NULL;
    uint64_t took = peer ? p->elapsed_ns : f ? f->opened_ns : 0;
    int64_t ended = peer ? p->stop_wall_ms : f ? f->opened_wall_ms : m->created_ms;
    int64_t began = peer ? p->start_wall_ms : ended - (int64_t)(took / 1000000);
    uint64_t ops = p->ops_total > p->ops_recovered ? p->ops_total : p->ops_recovered;
    qd_json_object(w);
    qd_json_field_int(w, "id", number);
    qd_json_field_c(w, "type", peer ? "PEER" : m->closed ? "EXISTING_STORE" : "EMPTY_STORE");
    qd_json_field_c(w, "stage", peer ? stages[p->stage] : "DONE");
    qd_json_field_bool(w, "primary", !f || qdi_copy_stats_primary(s, m, f));
    write_wall(q, "start_time", "start_time_in_millis", began, w);
    if (ended) write_wall(q, "stop_time", "stop_time_in_millis", ended, w);
    qdi_write_ms(w, q->human, "total_time", "total_time_in_millis", took);
    write_recovery_source(s, p, w);
    qd_json_key_c(w, "target");
    write_place(node ? node : qd_cluster_self(q->a->cluster), w);
    write_recovery_files(q, p, w);
    qd_json_key_c(w, "translog");
    qd_json_object(w);
    qd_json_field_int(w, "recovered", (int64_t)p->ops_recovered);
    qd_json_field_int(w, "total", (int64_t)ops);
    percent_field(w, p->ops_recovered, ops, "100.0%");
    qd_json_field_int(w, "total_on_start", (int64_t)ops);
    qdi_write_ms(w, q->human, "total_time", "total_time_in_millis", 0);
    qd_json_object_end(w);
    qd_json_key_c(w, "verify_index");
    qd_json_object(w);
    qdi_write_ms(w, q->human, "check_index_time", "check_index_time_in_millis", 0);
    qdi_write_ms(w, q->human, "total_time", "total_time_in_millis", 0);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static bool under_way(const copy_stats *f)
{
    return f->recovery.uuid[0] && !f->recovery.stop_wall_ms;
}

static bool recovers(const copy_stats_list *f, const qd_index_meta *m)
{
    uint32_t first, n = qdi_copy_stats_of(f, m->uuid, &first);
    for (uint32_t k = first; k < first + n; k++) {
        if (under_way(&f->at[k])) return true;
    }
    return false;
}

int qdi_api_indices_recovery(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    bool active_only;
    int rc = qd_param_bool(q, "active_only", false, &active_only, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    copy_stats_list f;
    if (!rc) rc = qd_param_indices(q, s, STATS_OPTIONS, &found, err);
    if (!rc) rc = qdi_copy_stats_collect(q, s, &found, 0, &f, err);
    if (!rc) qd_json_object(&r->w);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        const qd_index_meta *m = found.at[i];
        if (active_only && !recovers(&f, m)) continue;
        qd_json_key(&r->w, m->name);
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "shards");
        qd_json_array(&r->w);
        uint32_t first, n = qdi_copy_stats_of(&f, m->uuid, &first), open = 0;
        for (uint32_t k = first; k < first + n; k++) {
            if (!f.at[k].open || (active_only && !under_way(&f.at[k]))) continue;
            write_recovery(q, s, m, &f.at[k], f.at[k].number, &r->w);
            open++;
        }
        for (uint32_t k = 0; k < m->shards && m->closed && !open && !active_only; k++) {
            write_recovery(q, s, m, NULL, k, &r->w);
        }
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    if (!rc) qd_json_object_end(&r->w);
    qd_state_unref(s);
    return rc;
}
