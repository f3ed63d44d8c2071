/* copy_stats.c: see copy_stats.h. */
#include "action/indices/copy_stats.h"
#include "action/transport/scatter.h"
#include "action/transport/served_int.h"
#include "base/features.h"
#include "base/vec.h"
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 15000 /* a node that does not answer in time is left out */
#define SHARDS_MAX 1000000u
#define SEGMENTS_MAX 100000u
#define PATH_BYTES 4096u
#define FIELDS_MAX 100000u

/* --- of this node --- */

typedef struct gathering {
    qd_actions *a;
    qd_arena *arena;
    uint32_t flags;
    QD_VEC(copy_stats) list;
    int rc;
} gathering;

static void take_segments(gathering *g, qd_engine *e, copy_stats *f)
{
    qd_reader *r = qd_engine_reader(e);
    copy_segment *at = r ? qd_arena_alloc(g->arena, (r->n + 1) * sizeof *at) : NULL;
    if (r && !at) g->rc = QD_E_NOMEM;
    for (uint32_t i = 0; at && i < r->n; i++) {
        const qd_reader_leaf *l = &r->leaf[i];
        at[i] = (copy_segment){.unit = l->unit,
                               .bytes = qd_segment_bytes(l->segment),
                               .docs = qd_segment_docs(l->segment),
                               .live = l->docs_live,
                               .committed = qd_engine_committed(e, l->unit)};
    }
    f->nsegments = at ? r->n : 0;
    f->segments = at;
    qd_reader_unref(r);
}

typedef struct fielddata_of {
    gathering *g;
    copy_stats *f;
} fielddata_of;

static void take_field(void *arg, qd_str field, int64_t bytes)
{
    const fielddata_of *x = arg;
    if (qdi_field_bytes_add(&x->f->fielddata, x->g->arena, field, bytes)) x->g->rc = QD_E_NOMEM;
}

static void take_shard(gathering *g, qd_shard *s)
{
    qd_engine *e;
    char reason[256] = "";
    qd_index_meta *m = qd_shard_index(s);
    copy_stats f = {.number = qd_shard_number(s), .node = g->a->node_id, .path = g->a->data_path};
    memcpy(f.uuid, m->uuid, sizeof f.uuid);
    qd_index_meta_unref(m);
    f.open = qdi_stats_of_shard(g->a, s, &f.stats);
    if (!f.open) {
        (void)qd_shard_ready(s, reason);
        f.reason = qd_arena_str(g->arena, qd_str_c(reason));
        if (!f.reason.p) g->rc = QD_E_NOMEM;
    }
    qd_shard_counts *c = qd_shard_counts_of(s);
    f.opened_ns = atomic_load(&c->opened_ns);
    f.opened_wall_ms = (int64_t)atomic_load(&c->opened_wall_ms);
    if (!g->a->replication ||
        !qd_replication_recovery(g->a->replication, f.uuid, f.number, &f.recovery)) {
        f.recovery.uuid[0] = 0;
    }
    if (f.open && (g->flags & QDI_COPY_STATS_SEGMENTS) && !qd_shard_enter(s, 0, &e, NULL)) {
        take_segments(g, e, &f);
        qd_shard_leave(s);
    }
    fielddata_of x = {g, &f};
    if (f.open && (g->flags & QDI_COPY_STATS_FIELDDATA)) qd_shard_fielddata_each(s, take_field, &x);
    if (qd_vec_push(&g->list, NULL, f)) g->rc = QD_E_NOMEM;
}

static int take_each(void *arg, qd_shard *s)
{
    take_shard(arg, s);
    return 0;
}

/* The shards of an index that are here. */
static void take_index(gathering *g, const qd_state *s, const char *uuid)
{
    const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(uuid));
    for (uint32_t k = 0; m && k < m->shards; k++) {
        qd_shard *shard = qd_shards_get(g->a->shards, uuid, k);
        if (shard) take_shard(g, shard);
        qd_shard_unref(shard);
    }
}

/* --- between nodes --- */

static void write_recovery(qd_writer *w, const qd_recovery_progress *p)
{
    qd_write_bool(w, p->uuid[0] != 0);
    if (!p->uuid[0]) return;
    qd_write_bool(w, p->relocation);
    qd_write_u8(w, (uint8_t)p->stage);
    qd_write_c(w, p->source_node);
    qd_write_c(w, p->target_node);
    qd_write_zigzag(w, p->start_wall_ms);
    qd_write_zigzag(w, p->stop_wall_ms);
    qd_write_varint(w, p->elapsed_ns);
    qd_write_varint(w, p->files_total);
    qd_write_varint(w, p->files_reused);
    qd_write_varint(w, p->files_recovered);
    qd_write_varint(w, p->bytes_total);
    qd_write_varint(w, p->bytes_reused);
    qd_write_varint(w, p->bytes_recovered);
    qd_write_varint(w, p->ops_total);
    qd_write_varint(w, p->ops_recovered);
    qd_write_varint(w, p->throttle_ns);
}

static void read_recovery(qd_body_reader *r, const copy_stats *f, qd_recovery_progress *p)
{
    *p = (qd_recovery_progress){.shard = f->number};
    if (!qd_read_bool(r, "recovery")) return;
    memcpy(p->uuid, f->uuid, sizeof p->uuid);
    p->relocation = qd_read_bool(r, "relocation");
    uint8_t stage = qd_read_u8(r, "stage");
    if (stage > QD_STAGE_DONE) qd_body_reader_fail(r, "stage", "is none that is known");
    p->stage = (qd_recovery_stage)stage;
    qd_read_text(r, "source", p->source_node, sizeof p->source_node);
    qd_read_text(r, "target", p->target_node, sizeof p->target_node);
    p->start_wall_ms = qd_read_zigzag(r, "start");
    p->stop_wall_ms = qd_read_zigzag(r, "stop");
    p->elapsed_ns = qd_read_varint(r, "elapsed");
    p->files_total = (uint32_t)qd_read_varint_max(r, "files", UINT32_MAX);
    p->files_reused = (uint32_t)qd_read_varint_max(r, "files reused", UINT32_MAX);
    p->files_recovered = (uint32_t)qd_read_varint_max(r, "files recovered", UINT32_MAX);
    p->bytes_total = qd_read_varint(r, "bytes");
    p->bytes_reused = qd_read_varint(r, "bytes reused");
    p->bytes_recovered = qd_read_varint(r, "bytes recovered");
    p->ops_total = qd_read_varint(r, "operations");
    p->ops_recovered = qd_read_varint(r, "operations recovered");
    p->throttle_ns = qd_read_varint(r, "throttled");
}

static void write_copy(qd_writer *w, const copy_stats *f)
{
    qd_write_c(w, f->uuid);
    qd_write_varint(w, f->number);
    qd_write_bool(w, f->open);
    qd_write_str(w, f->reason);
    qd_write_str(w, f->path);
    qd_write_varint(w, f->opened_ns);
    qd_write_zigzag(w, f->opened_wall_ms);
    write_recovery(w, &f->recovery);
    qd_write_array(w, QDI_STAT_COUNT);
    for (size_t i = 0; i < QDI_STAT_COUNT; i++) qd_write_zigzag(w, f->stats.v[i]);
    qd_write_zigzag(w, f->stats.max_seq_no);
    qd_write_zigzag(w, f->stats.local_checkpoint);
    qd_write_zigzag(w, f->stats.global_checkpoint);
    qd_write_c(w, f->stats.history_uuid);
    qd_write_array(w, f->nsegments);
    for (uint32_t i = 0; i < f->nsegments; i++) {
        const copy_segment *s = &f->segments[i];
        qd_write_varint(w, s->unit);
        qd_write_varint(w, s->bytes);
        qd_write_varint(w, s->docs);
        qd_write_varint(w, s->live);
        qd_write_bool(w, s->committed);
    }
}

/* Behind all copies, where it was asked for: older nodes do not know it. */
static void write_fielddata(qd_writer *w, const copy_stats *f)
{
    size_t n = 0;
    for (const qdi_field_bytes *x = f->fielddata; x; x = x->next) n++;
    qd_write_array(w, n);
    for (const qdi_field_bytes *x = f->fielddata; x; x = x->next) {
        qd_write_str(w, x->field);
        qd_write_zigzag(w, x->bytes);
    }
}

static void read_fielddata(qd_body_reader *r, qd_arena *arena, copy_stats *f)
{
    size_t n = qd_read_array(r, "fields with fielddata", FIELDS_MAX, 2);
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        qd_str field = qd_read_str(r, "field", PATH_BYTES);
        int64_t bytes = qd_read_zigzag(r, "bytes of fielddata");
        if (qdi_field_bytes_add(&f->fielddata, arena, field, bytes))
            qd_body_reader_nomem(r, "fields with fielddata");
    }
}

static void read_segments(qd_body_reader *r, qd_arena *arena, copy_stats *f)
{
    f->nsegments = (uint32_t)qd_read_array(r, "segments", SEGMENTS_MAX, 5);
    copy_segment *at = qd_arena_alloc(arena, (f->nsegments + 1) * sizeof *at);
    if (!at) qd_body_reader_nomem(r, "segments");
    for (uint32_t i = 0; at && i < f->nsegments; i++) {
        at[i].unit = qd_read_varint(r, "number of a segment");
        at[i].bytes = qd_read_varint(r, "bytes of a segment");
        at[i].docs = (uint32_t)qd_read_varint_max(r, "documents", UINT32_MAX);
        at[i].live = (uint32_t)qd_read_varint_max(r, "live documents", UINT32_MAX);
        at[i].committed = qd_read_bool(r, "committed");
    }
    f->segments = at;
    if (!at) f->nsegments = 0;
}

static void read_copy(qd_body_reader *r, qd_arena *arena, copy_stats *f)
{
    *f = (copy_stats){0};
    qd_read_text(r, "uuid of an index", f->uuid, sizeof f->uuid);
    f->number = (uint32_t)qd_read_varint_max(r, "shard", UINT32_MAX);
    f->open = qd_read_bool(r, "open");
    f->reason = qd_read_str_copy(r, "reason", PATH_BYTES, arena);
    f->path = qd_read_str_copy(r, "path", PATH_BYTES, arena);
    f->opened_ns = qd_read_varint(r, "time of opening");
    f->opened_wall_ms = qd_read_zigzag(r, "end of opening");
    read_recovery(r, f, &f->recovery);
    size_t n = qd_read_array(r, "statistics", 4096, 1);
    for (size_t i = 0; i < n; i++) {
        int64_t v = qd_read_zigzag(r, "statistic");
        if (i < QDI_STAT_COUNT) f->stats.v[i] = v; /* a newer node may have more */
    }
    f->stats.max_seq_no = qd_read_zigzag(r, "max_seq_no");
    f->stats.local_checkpoint = qd_read_zigzag(r, "local_checkpoint");
    f->stats.global_checkpoint = qd_read_zigzag(r, "global_checkpoint");
    qd_read_text(r, "history uuid", f->stats.history_uuid, sizeof f->stats.history_uuid);
    read_segments(r, arena, f);
}

typedef struct asking {
    uint32_t flags;
    const qd_resolved *indices; /* NULL: all */
} asking;

static void encode(void *arg, const scatter_part *p, qd_writer *w)
{
    const asking *x = arg;
    (void)p;
    qd_write_u8(w, (uint8_t)x->flags);
    qd_write_bool(w, x->indices == NULL);
    qd_write_array(w, x->indices ? x->indices->n : 0);
    for (uint32_t i = 0; x->indices && i < x->indices->n; i++) {
        qd_write_c(w, x->indices->at[i]->uuid);
    }
}

/* What a node answered; one that cannot be understood counts as failed. */
static void take_answer(gathering *g, const scatter_part *p, copy_stats_list *out)
{
    qd_body_reader r;
    qd_err err;
    size_t had = g->list.n;
    qd_err_init(&err);
    qd_body_reader_init(&r, p->answer, "statistics of shards", p->version);
    size_t n = p->err.code ? 0 : qd_read_array(&r, "shards", SHARDS_MAX, 8);
    for (size_t i = 0; i < n && !qd_body_reader_bad(&r); i++) {
        copy_stats f;
        read_copy(&r, g->arena, &f);
        f.node = p->node;
        if (qd_vec_push(&g->list, NULL, f)) g->rc = QD_E_NOMEM;
    }
    bool more = g->flags & QDI_COPY_STATS_FIELDDATA && qd_body_reader_left(&r);
    for (size_t i = had; i < g->list.n && more; i++) read_fielddata(&r, g->arena, &g->list.at[i]);
    if (p->err.code || qd_body_reader_check(&r, &err)) {
        g->list.n = had;
        out->nodes_failed++;
    }
    qd_err_fini(&err);
}

static int by_place(const void *a, const void *b)
{
    const copy_stats *x = a, *y = b;
    int c = strcmp(x->uuid, y->uuid);
    if (c) return c;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return qd_str_cmp(x->node, y->node);
}

/* Every node that holds shards but this one is asked. */
static int add_nodes(scatter *nodes, const qd_state *s, qd_str own, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < s->nnodes && !rc; i++) {
        if (!qd_node_is_data(&s->nodes[i]) || qd_str_eq(s->nodes[i].id, own)) continue;
        rc = qdi_scatter_add(nodes, &s->nodes[i], i, err);
    }
    return rc;
}

int qdi_copy_stats_collect(qd_request *q, const qd_state *s, const qd_resolved *indices,
                           uint32_t flags, copy_stats_list *out, qd_err *err)
{
    gathering g = {.a = q->a, .arena = q->arena, .flags = flags};
    /* nodes of a former level do not know what it adds */
    uint32_t others = s->features < QD_FEATURES_TYPES_0_2 ? flags & QDI_COPY_STATS_SEGMENTS : flags;
    asking x = {.flags = others, .indices = indices};
    scatter nodes;
    *out = (copy_stats_list){0};
    qdi_scatter_init(&nodes, q->a, &q->task, q->arena, s->nnodes);
    int rc = q->a->rpc ? add_nodes(&nodes, s, q->a->node_id, err) : 0;
    qdi_scatter_send(&nodes, QD_ACTION_NODE_SHARDS, TIMEOUT_MS, encode, &x);
    if (!indices) (void)qd_shards_each(q->a->shards, take_each, &g);
    for (uint32_t i = 0; indices && i < indices->n; i++) take_index(&g, s, indices->at[i]->uuid);
    qdi_scatter_wait(&nodes);
    for (const scatter_part *p = nodes.parts; p; p = p->next) {
        if (p->node.n) take_answer(&g, p, out);
    }
    qdi_scatter_fini(&nodes);
    if (!rc && g.rc) rc = qd_err_nomem(err, "statistics of shards");
    out->at = qd_arena_alloc(q->arena, (g.list.n + 1) * sizeof *out->at);
    if (!rc && !out->at) rc = qd_err_nomem(err, "statistics of shards");
    if (!rc) {
        out->n = (uint32_t)g.list.n;
        if (out->n) memcpy(out->at, g.list.at, out->n * sizeof *out->at);
        qsort(out->at, out->n, sizeof *out->at, by_place);
    }
    qd_vec_fini(&g.list);
    return rc;
}

/* --- looking --- */

const copy_stats *qdi_copy_stats_find(const copy_stats_list *f, const char *uuid, uint32_t number,
                                      qd_str node)
{
    copy_stats key = {.number = number, .node = node};
    if (f->n == 0 || strlen(uuid) >= sizeof key.uuid) return NULL;
    memcpy(key.uuid, uuid, strlen(uuid) + 1);
    return bsearch(&key, f->at, f->n, sizeof *f->at, by_place);
}

uint32_t qdi_copy_stats_of(const copy_stats_list *f, const char *uuid, uint32_t *first)
{
    uint32_t lo = 0, hi = f->n, n = 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (strcmp(f->at[mid].uuid, uuid) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *first = lo;
    while (lo + n < f->n && strcmp(f->at[lo + n].uuid, uuid) == 0) n++;
    return n;
}

bool qdi_copy_stats_primary(const qd_state *s, const qd_index_meta *m, const copy_stats *f)
{
    const qd_shard_meta *r = qd_state_shard(s, m, f->number);
    const qd_copy *p = r ? qd_shard_meta_primary(r) : NULL;
    return p && qd_str_eq(p->node, f->node);
}

void qdi_copy_stats_sum(const copy_stats_list *f, const qd_state *s, const qd_index_meta *m,
                        qdi_stats *primaries, qdi_stats *all, uint32_t *open)
{
    uint32_t first, n = qdi_copy_stats_of(f, m->uuid, &first);
    *primaries = *all = (qdi_stats){0};
    *open = 0;
    for (uint32_t i = first; i < first + n; i++) {
        if (!f->at[i].open) continue;
        qdi_stats_add(all, &f->at[i].stats);
        if (qdi_copy_stats_primary(s, m, &f->at[i])) qdi_stats_add(primaries, &f->at[i].stats);
        (*open)++;
    }
}

const qdi_field_bytes *qdi_copy_stats_fields(const copy_stats_list *f, const qd_state *s,
                                             const qd_index_meta *m, qd_str node, bool primaries,
                                             qd_arena *arena)
{
    qdi_field_bytes *list = NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        const copy_stats *c = &f->at[i];
        const qd_index_meta *of = m ? m : qd_state_index_uuid(s, qd_str_c(c->uuid));
        if (!of || strcmp(c->uuid, of->uuid) != 0) continue;
        if (node.n && !qd_str_eq(c->node, node)) continue;
        if (primaries && !qdi_copy_stats_primary(s, of, c)) continue;
        for (const qdi_field_bytes *x = c->fielddata; x; x = x->next)
            if (qdi_field_bytes_add(&list, arena, x->field, x->bytes)) return NULL;
    }
    return list;
}

void qdi_copy_stats_node(const copy_stats_list *f, qd_str node, qdi_stats *out)
{
    *out = (qdi_stats){0};
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->at[i].open && (!node.n || qd_str_eq(f->at[i].node, node)))
            qdi_stats_add(out, &f->at[i].stats);
    }
}

/* --- what a node does for another --- */

static int gather_for(gathering *g, qd_body_reader *r, qd_err *err)
{
    g->flags = qd_read_u8(r, "flags");
    bool all = qd_read_bool(r, "all");
    size_t n = qd_read_array(r, "indices", SHARDS_MAX, 1);
    qd_state *s = qd_cluster_state(g->a->cluster);
    if (all) (void)qd_shards_each(g->a->shards, take_each, g);
    for (size_t i = 0; i < n && !all && !qd_body_reader_bad(r); i++) {
        char uuid[QD_UUID_TEXT];
        qd_read_text(r, "uuid of an index", uuid, sizeof uuid);
        if (!qd_body_reader_bad(r)) take_index(g, s, uuid);
    }
    qd_state_unref(s);
    int rc = qd_body_reader_check(r, err);
    return rc || !g->rc ? rc : qd_err_nomem(err, "statistics of shards");
}

void qdi_node_shards_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    gathering g = {.a = arg, .arena = &s.arena};
    qdi_served_begin(&s, arg, request, QD_ACTION_NODE_SHARDS, "statistics wanted",
                     QDI_SCATTER_BODY_MAX);
    int rc = gather_for(&g, &s.in, &s.err);
    if (!rc) {
        qd_write_array(&s.out, g.list.n);
        for (size_t i = 0; i < g.list.n; i++) write_copy(&s.out, &g.list.at[i]);
        for (size_t i = 0; i < g.list.n && g.flags & QDI_COPY_STATS_FIELDDATA; i++)
            write_fielddata(&s.out, &g.list.at[i]);
    }
    qdi_served_end(&s, rc, "statistics of shards");
    qd_vec_fini(&g.list);
}
