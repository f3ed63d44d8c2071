/* stats.c: statistics of shards gathered and summed. See stats_int.h. */
#include "action/indices/stats_int.h"
#include "replication/replication.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

const qdi_stat_column qdi_stat_columns[QDI_STAT_COLUMNS] = {
#define N 'N'
#define B 'B'
#define T 'T'
#define QD_STAT(id, column, aliases, meaning, kind) {column, aliases, meaning, kind},
#include "action/indices/stats.def"
#undef QD_STAT
#undef N
#undef B
#undef T
};

#define SETTLE_MS 3000 /* for a shard that the state calls started */

static void from_engine(const qd_engine_stats *e, qdi_stats *out)
{
    int64_t *v = out->v;
    v[QDI_FLUSH_TOTAL] = (int64_t)e->flush_total;
    v[QDI_FLUSH_TIME] = (int64_t)e->flush_ns;
    v[QDI_GET_TOTAL] = (int64_t)e->get_total;
    v[QDI_GET_TIME] = (int64_t)e->get_ns;
    v[QDI_GET_EXISTS_TOTAL] = (int64_t)e->get_found;
    v[QDI_GET_MISSING_TOTAL] = (int64_t)(e->get_total - e->get_found);
    if (e->get_total) {
        uint64_t each = e->get_ns / e->get_total;
        v[QDI_GET_EXISTS_TIME] = (int64_t)(each * e->get_found);
        v[QDI_GET_MISSING_TIME] = (int64_t)(each * (e->get_total - e->get_found));
    }
    v[QDI_DELETE_TOTAL] = (int64_t)e->delete_total;
    v[QDI_DELETE_TIME] = (int64_t)e->delete_ns;
    v[QDI_INDEX_TOTAL] = (int64_t)e->index_total;
    v[QDI_INDEX_TIME] = (int64_t)e->index_ns;
    v[QDI_INDEX_FAILED] = (int64_t)e->index_failed;
    v[QDI_MERGES_CURRENT] = (int64_t)e->merge_current;
    v[QDI_MERGES_TOTAL] = (int64_t)e->merge_total;
    v[QDI_MERGES_DOCS] = (int64_t)e->merge_docs;
    v[QDI_MERGES_SIZE] = (int64_t)e->merge_bytes;
    v[QDI_MERGES_TIME] = (int64_t)e->merge_ns;
    v[QDI_REFRESH_TOTAL] = v[QDI_REFRESH_EXTERNAL_TOTAL] = (int64_t)e->refresh_total;
    v[QDI_REFRESH_TIME] = v[QDI_REFRESH_EXTERNAL_TIME] = (int64_t)e->refresh_ns;
    v[QDI_REFRESH_LISTENERS] = (int64_t)e->refresh_listeners;
    v[QDI_SEGMENTS_COUNT] = e->segments;
    v[QDI_WRITER_MEMORY] = (int64_t)e->buffer_bytes;
    v[QDI_VERSION_MAP_MEMORY] = (int64_t)e->version_map_bytes;
    v[QDI_PARTS_BYTES] = (int64_t)e->part_bytes;
    v[QDI_STORE] = (int64_t)(e->segment_bytes + e->translog.bytes);
    v[QDI_TRANSLOG_OPS] = (int64_t)e->translog.operations;
    v[QDI_TRANSLOG_BYTES] = (int64_t)e->translog.bytes;
    v[QDI_TRANSLOG_UNCOMMITTED_OPS] = (int64_t)e->translog.uncommitted_operations;
    v[QDI_TRANSLOG_UNCOMMITTED_BYTES] = (int64_t)e->translog.uncommitted_bytes;
    out->max_seq_no = e->max_seq_no;
    out->local_checkpoint = e->local_checkpoint;
    out->global_checkpoint = e->global_checkpoint;
}

static void from_counts(qd_shard_counts *c, int64_t *v)
{
    v[QDI_QUERY_TOTAL] = (int64_t)atomic_load(&c->query_total);
    v[QDI_QUERY_TIME] = (int64_t)atomic_load(&c->query_ns);
    v[QDI_QUERY_CURRENT] = (int64_t)atomic_load(&c->query_current);
    v[QDI_FETCH_TOTAL] = (int64_t)atomic_load(&c->fetch_total);
    v[QDI_FETCH_TIME] = (int64_t)atomic_load(&c->fetch_ns);
    v[QDI_FETCH_CURRENT] = (int64_t)atomic_load(&c->fetch_current);
    v[QDI_SCROLL_TOTAL] = (int64_t)atomic_load(&c->scroll_total);
    v[QDI_SCROLL_TIME] = (int64_t)atomic_load(&c->scroll_ns);
    v[QDI_SCROLL_CURRENT] = (int64_t)atomic_load(&c->scroll_current);
    v[QDI_OPEN_CONTEXTS] = v[QDI_SCROLL_CURRENT];
    v[QDI_REQUEST_CACHE_MEMORY] = atomic_load(&c->request_cache_bytes);
    v[QDI_REQUEST_CACHE_EVICTIONS] = (int64_t)atomic_load(&c->request_cache_evictions);
    v[QDI_REQUEST_CACHE_HITS] = (int64_t)atomic_load(&c->request_cache_hits);
    v[QDI_REQUEST_CACHE_MISSES] = (int64_t)atomic_load(&c->request_cache_misses);
    v[QDI_NOOP_UPDATES] = (int64_t)atomic_load(&c->noop_updates);
}

static void from_recoveries(const qd_actions *a, const char *uuid, uint32_t number, int64_t *v)
{
    qd_recovery_counts c;
    if (!a->replication) return;
    qd_replication_recovering(a->replication, uuid, number, &c);
    v[QDI_RECOVERY_SOURCE] = c.as_source;
    v[QDI_RECOVERY_TARGET] = c.as_target;
    v[QDI_RECOVERY_THROTTLE] = (int64_t)c.throttle_ns;
}

static void add_fielddata(void *arg, qd_str field, int64_t bytes)
{
    int64_t *v = arg;
    (void)field;
    v[QDI_FIELDDATA_MEMORY] += bytes;
}

int qdi_field_bytes_add(qdi_field_bytes **list, qd_arena *arena, qd_str field, int64_t bytes)
{
    for (qdi_field_bytes *x; (x = *list); list = &x->next)
        if (qd_str_eq(x->field, field)) {
            x->bytes += bytes;
            return 0;
        }
    qdi_field_bytes *x = qd_arena_calloc(arena, sizeof *x);
    if (!x) return QD_E_NOMEM;
    x->field = qd_arena_str(arena, field);
    x->bytes = bytes;
    if (!x->field.p) return QD_E_NOMEM;
    *list = x;
    return 0;
}

bool qdi_stats_of_shard(const qd_actions *a, qd_shard *shard, qdi_stats *out)
{
    qd_engine *e;
    qd_engine_stats es;
    *out = (qdi_stats){.max_seq_no = -1, .local_checkpoint = -1, .global_checkpoint = -1};
    qd_index_meta *m = qd_shard_index(shard);
    from_recoveries(a, m->uuid, qd_shard_number(shard), out->v);
    qd_index_meta_unref(m);
    if (!qd_shard_settled(shard, SETTLE_MS) || qd_shard_enter(shard, 0, &e, NULL)) return false;
    qd_engine_stats_get(e, &es);
    qd_engine_history_uuid(e, out->history_uuid);
    qd_reader *r = qd_engine_reader(e);
    from_engine(&es, out);
    if (r) {
        out->v[QDI_DOCS] = r->docs_live;
        out->v[QDI_DOCS_DELETED] = r->docs - r->docs_live;
    }
    qd_reader_unref(r);
    qd_shard_leave(shard);
    from_counts(qd_shard_counts_of(shard), out->v);
    qd_shard_fielddata_each(shard, add_fielddata, out->v);
    out->v[QDI_SHARDS] = 1;
    out->v[QDI_MEMORY_TOTAL] = qd_account_used(qd_shard_account(shard));
    return true;
}

void qdi_stats_add(qdi_stats *sum, const qdi_stats *one)
{
    for (size_t i = 0; i < QDI_STAT_COUNT; i++) sum->v[i] += one->v[i];
}

void qdi_stats_of_index(qd_actions *a, const qd_index_meta *m, qdi_stats *out, uint32_t *open)
{
    *out = (qdi_stats){0};
    *open = 0;
    for (uint32_t i = 0; i < m->shards; i++) {
        qdi_stats one;
        qd_shard *s = qd_shards_get(a->shards, m->uuid, i);
        if (s && qdi_stats_of_shard(a, s, &one)) {
            qdi_stats_add(out, &one);
            (*open)++;
        }
        qd_shard_unref(s);
    }
}

typedef struct node_sum {
    qd_actions *a;
    qdi_stats *out;
} node_sum;

static int add_shard(void *arg, qd_shard *s)
{
    const node_sum *sum = arg;
    qdi_stats one;
    if (qdi_stats_of_shard(sum->a, s, &one)) qdi_stats_add(sum->out, &one);
    return 0;
}

void qdi_stats_of_node(qd_actions *a, qdi_stats *out)
{
    *out = (qdi_stats){0};
    node_sum sum = {a, out};
    (void)qd_shards_each(a->shards, add_shard, &sum);
    from_recoveries(a, NULL, 0, out->v); /* also of shards that are not open yet */
}
