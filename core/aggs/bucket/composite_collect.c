/*
 * composite_collect.c: pages through all combinations of the values of several sources.
 *
 * A combination is a tuple of slots, kept once as its bytes (flag, 8 bytes) with strings by number.
 * Only the `size` least tuples behind `after` matter: a heap of those kept has the greatest on top,
 * and a new tuple beyond a full heap is dropped, so memory follows the page, not the combinations.
 */
#include "aggs/bucket/composite_int.h"
#include <math.h>

#define WIDTH 9u /* bytes of a slot in a tuple */

typedef struct source {
    const qdi_bound *bound;
    qdi_source *src;
    uint32_t *term; /* by ordinal: number of the string + 1 */
    uint32_t cap;
    qdi_slot *slots; /* of the present document */
    uint32_t nslots, cap_slots;
} source;

typedef struct state {
    source *at;
    uint32_t n;
    qdi_strings strings, tuples;
    uint32_t *heap, nheap, cap_heap; /* tuples kept */
    uint8_t *dead;                   /* by tuple: dropped from the heap */
    uint32_t cap_dead;
    uint8_t *bytes;          /* a tuple being made */
    qdi_slot *slots, *other; /* two tuples being compared */
} state;

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "composite", err);
}

int qdi_aggs_slots_order(const qdi_agg *composite, const qdi_slot *a, const qdi_slot *b)
{
    for (uint32_t i = 0; i < qdi_composite_of(composite)->n; i++) {
        const qdi_agg *s = qdi_composite_of(composite)->sources[i];
        int c, flip = qdi_source_of(s)->descending ? -1 : 1;
        if (a[i].null || b[i].null) {
            c = (int)b[i].null - (int)a[i].null; /* null is least */
            if (qdi_source_of(s)->missing_order)
                c = qdi_source_of(s)->missing_order < 0 ? c : -c;
            else
                c *= flip;
        } else if (a[i].kind == QDI_ORD || b[i].kind == QDI_ORD) {
            c = qd_str_cmp(a[i].bytes, b[i].bytes) * flip;
        } else {
            c = (a[i].i64 < b[i].i64 ? -1 : a[i].i64 > b[i].i64) * flip;
        }
        if (c) return c;
    }
    return 0;
}

static int composite_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    uint32_t n = qdi_composite_of(a->def)->n;
    if (!t) return no_memory(a, err);
    qdi_aggs_strings_init(&t->strings, a->shard->account);
    qdi_aggs_strings_init(&t->tuples, a->shard->account);
    t->at = qd_arena_calloc(&a->shard->arena, n * sizeof *t->at);
    t->bytes = qd_arena_calloc(&a->shard->arena, n * WIDTH);
    t->slots = qd_arena_calloc(&a->shard->arena, n * sizeof *t->slots);
    t->other = qd_arena_calloc(&a->shard->arena, n * sizeof *t->other);
    if (!t->at || !t->bytes || !t->slots || !t->other) return no_memory(a, err);
    t->n = n;
    for (uint32_t i = 0; i < n; i++) {
        t->at[i].bound = &qdi_composite_bound_of(a->bound)->sources[i];
        if (!t->at[i].bound->field) continue;
        bool ord = t->at[i].bound->values == QDI_ORD;
        int rc = qdi_aggs_source_get(a->shard, t->at[i].bound, ord, &t->at[i].src, err);
        if (rc) return rc;
    }
    return 0;
}

static int composite_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    for (uint32_t i = 0; i < t->n; i++) {
        source *s = &t->at[i];
        if (!s->src || s->bound->values != QDI_ORD) continue;
        uint32_t n = s->src->ordinals + 1;
        int rc = qdi_aggs_grow(a->shard->account, &s->term, &s->cap, n, sizeof *s->term, err);
        if (rc) return rc;
        memset(s->term, 0, n * sizeof *s->term);
    }
    return 0;
}

/* One value as a slot. i64 of strings is their number. */
static int slot_of(qdi_aggr *a, source *s, uint32_t k, qdi_slot *out, qd_err *err)
{
    state *t = a->state;
    const qdi_agg *d = s->bound->def;
    *out = (qdi_slot){.kind = (uint8_t)s->bound->values};
    if (s->bound->values == QDI_ORD) {
        uint32_t ord = s->src->o[k];
        if (!s->term[ord]) {
            qd_str v;
            uint32_t term;
            int rc = qdi_aggs_source_bytes(s->src, ord, &v, err);
            if (rc) return rc;
            if (qdi_aggs_strings_put(&t->strings, v, &term)) return no_memory(a, err);
            s->term[ord] = term + 1;
        }
        out->i64 = s->term[ord] - 1;
        out->bytes = t->strings.at[out->i64];
    } else if (qdi_source_of(d)->kind == QDI_SOURCE_HISTOGRAM) {
        double x = floor(s->src->f64[k] / qdi_source_of(d)->round.interval) *
                   qdi_source_of(d)->round.interval;
        out->kind = QDI_F64;
        out->i64 = qd_sortable_f64(x + 0.0);
    } else if (qdi_source_of(d)->kind == QDI_SOURCE_DATES) {
        out->kind = QDI_I64;
        out->i64 = qdi_aggs_round_date(&qdi_source_of(d)->round, s->src->v[k]);
    } else if (s->bound->values == QDI_F64) {
        out->i64 = qd_sortable_f64(s->src->f64[k]);
    } else {
        out->i64 = s->src->v[k];
    }
    return 0;
}

/* All slots of a document in one source. */
static int fill_source(qdi_aggr *a, source *s, uint32_t doc, qd_err *err)
{
    uint32_t from = 0, to = 0;
    s->nslots = 0;
    if (s->src) qdi_source_doc(s->src, doc, &from, &to);
    int rc = qdi_aggs_grow(a->shard->account, &s->slots, &s->cap_slots, to - from + 1,
                           sizeof *s->slots, err);
    if (rc) return rc;
    if (from == to && qdi_source_of(s->bound->def)->missing_bucket)
        s->slots[s->nslots++] = (qdi_slot){.null = true, .kind = (uint8_t)s->bound->values};
    for (uint32_t k = from; k < to; k++) {
        qdi_slot *o = &s->slots[s->nslots];
        rc = slot_of(a, s, k, o, err);
        if (rc) return rc;
        /* values that fall into one interval count once each, as in Elasticsearch */
        if (qdi_source_of(s->bound->def)->kind == QDI_SOURCE_TERMS && s->nslots &&
            o[-1].i64 == o->i64)
            continue;
        s->nslots++;
    }
    return 0;
}

/* The slots of a kept tuple, from its bytes. */
static void unpack(const state *t, uint32_t tuple, qdi_slot *out)
{
    const uint8_t *p = (const uint8_t *)t->tuples.at[tuple].p;
    for (uint32_t i = 0; i < t->n; i++, p += WIDTH) {
        out[i] = (qdi_slot){.null = p[0] == 0xff, .kind = p[0] == 0xff ? 0 : p[0]};
        memcpy(&out[i].i64, p + 1, 8);
        if (!out[i].null && out[i].kind == QDI_ORD) out[i].bytes = t->strings.at[out[i].i64];
    }
}

static bool above(qdi_aggr *a, uint32_t x, uint32_t y)
{
    state *t = a->state;
    unpack(t, x, t->slots);
    unpack(t, y, t->other);
    return qdi_aggs_slots_order(a->def, t->slots, t->other) > 0;
}

static void heap_down(qdi_aggr *a, uint32_t at)
{
    state *t = a->state;
    for (;;) {
        uint32_t c = 2 * at + 1;
        if (c >= t->nheap) return;
        if (c + 1 < t->nheap && above(a, t->heap[c + 1], t->heap[c])) c++;
        if (!above(a, t->heap[c], t->heap[at])) return;
        uint32_t x = t->heap[c];
        t->heap[c] = t->heap[at];
        t->heap[at] = x;
        at = c;
    }
}

static void heap_up(qdi_aggr *a, uint32_t at)
{
    state *t = a->state;
    while (at && above(a, t->heap[at], t->heap[(at - 1) / 2])) {
        uint32_t up = (at - 1) / 2, x = t->heap[up];
        t->heap[up] = t->heap[at];
        t->heap[at] = x;
        at = up;
    }
}

/* Keeps a new tuple if it is among the least: its number, or UINT32_MAX. */
static int keep(qdi_aggr *a, const qdi_slot *slots, qd_str bytes, uint32_t *out, qd_err *err)
{
    state *t = a->state;
    uint32_t size = qdi_composite_of(a->def)->size;
    *out = UINT32_MAX;
    const qdi_slot *after = qdi_composite_bound_of(a->bound)->after;
    if (after && qdi_aggs_slots_order(a->def, slots, after) <= 0) return 0;
    if (t->nheap == size) {
        unpack(t, t->heap[0], t->other);
        if (qdi_aggs_slots_order(a->def, slots, t->other) >= 0) return 0;
    }
    uint32_t tuple;
    if (qdi_aggs_strings_put(&t->tuples, bytes, &tuple)) return no_memory(a, err);
    int rc = qdi_aggs_grow(a->shard->account, &t->dead, &t->cap_dead, tuple + 1, 1, err);
    if (rc == 0)
        rc = qdi_aggs_grow(a->shard->account, &t->heap, &t->cap_heap, t->nheap + 1, sizeof *t->heap,
                           err);
    if (rc) return rc;
    if (t->nheap == size) {
        t->dead[t->heap[0]] = 1;
        t->heap[0] = tuple;
        heap_down(a, 0);
    } else {
        t->heap[t->nheap++] = tuple;
        heap_up(a, t->nheap - 1);
    }
    *out = tuple;
    return 0;
}

static int add_tuple(qdi_aggr *a, const qdi_slot *slots, uint32_t doc, uint32_t owner, qd_err *err)
{
    state *t = a->state;
    for (uint32_t i = 0; i < t->n; i++) {
        t->bytes[i * WIDTH] = slots[i].null ? 0xff : slots[i].kind;
        memcpy(t->bytes + i * WIDTH + 1, &slots[i].i64, 8);
    }
    qd_str bytes = {(const char *)t->bytes, t->n * WIDTH};
    uint32_t tuple, bucket;
    if (!qdi_aggs_strings_find(&t->tuples, bytes, &tuple)) {
        int rc = keep(a, slots, bytes, &tuple, err);
        if (rc || tuple == UINT32_MAX) return rc;
    } else if (t->dead[tuple]) {
        return 0;
    }
    int rc = qdi_aggs_bucket(a, owner, tuple, &bucket, err);
    return rc ? rc : qdi_emit(a, doc, bucket, err);
}

static int add_document(qdi_aggr *a, uint32_t doc, uint32_t owner, qdi_slot *tuple, uint32_t *pos,
                        qd_err *err)
{
    state *t = a->state;
    for (uint32_t i = 0; i < t->n; i++) {
        int rc = fill_source(a, &t->at[i], doc, err);
        if (rc) return rc;
        if (!t->at[i].nslots) return 0;
        pos[i] = 0;
        tuple[i] = t->at[i].slots[0];
    }
    for (;;) { /* all combinations, the last source fastest */
        int rc = add_tuple(a, tuple, doc, owner, err);
        if (rc) return rc;
        uint32_t i = t->n;
        while (i > 0) {
            i--;
            if (++pos[i] < t->at[i].nslots) break;
            pos[i] = 0;
            tuple[i] = t->at[i].slots[0];
            if (i == 0) return 0;
        }
        tuple[i] = t->at[i].slots[pos[i]];
    }
}

static int composite_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                             qd_err *err)
{
    state *t = a->state;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < t->n; i++) {
        source *s = &t->at[i];
        if (!s->src) continue;
        rc = qdi_aggs_source_index(a->shard, s->src, err);
        if (!rc && (s->bound->values == QDI_F64 ||
                    qdi_source_of(s->bound->def)->kind == QDI_SOURCE_HISTOGRAM))
            rc = qdi_aggs_source_f64(a->shard, s->src, err);
    }
    if (rc) return rc;
    qd_arena_mark mark = qd_arena_mark_get(&a->shard->arena);
    qdi_slot *tuple = qd_arena_alloc(&a->shard->arena, t->n * sizeof *tuple);
    uint32_t *pos = qd_arena_alloc(&a->shard->arena, t->n * sizeof *pos);
    if (!tuple || !pos) rc = no_memory(a, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = add_document(a, idx ? idx[i] : i, owner ? owner[i] : 0, tuple, pos, err);
    qd_arena_mark_release(&a->shard->arena, mark);
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

static int bucket_order(const void *arg, const void *pa, const void *pb)
{
    const qdi_bucket_out *a = pa, *b = pb;
    return qdi_aggs_slots_order(arg, a->slots, b->slots);
}

static int composite_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    state *t = a->state;
    qd_arena *arena = &a->shard->partial->arena;
    out->bound = a->bound;
    out->b = qd_arena_calloc(arena, (t->nheap + 1ul) * sizeof *out->b);
    if (!out->b) return no_memory(a, err);
    for (uint32_t i = 0; i < t->nheap; i++) {
        uint32_t bucket;
        if (!qdi_aggs_buckets_find(&a->buckets, owner, t->heap[i], &bucket)) continue;
        qdi_bucket_out *b = &out->b[out->n];
        qdi_slot *slots = qd_arena_alloc(arena, t->n * sizeof *slots);
        if (!slots) return no_memory(a, err);
        unpack(t, t->heap[i], slots);
        for (uint32_t k = 0; k < t->n; k++) {
            if (!slots[k].bytes.p) continue;
            slots[k].bytes = qd_arena_str(arena, slots[k].bytes);
            if (!slots[k].bytes.p) return no_memory(a, err);
        }
        b->slots = slots;
        b->docs = a->buckets.docs[bucket];
        int rc = qdi_aggs_build_subs(a, bucket, &b->subs, err);
        if (rc) return rc;
        out->n++;
    }
    if (qdi_aggs_sort(a->shard->account, out->b, out->n, sizeof *out->b, bucket_order, a->def))
        return no_memory(a, err);
    return 0;
}

static void composite_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    for (uint32_t i = 0; i < t->n; i++) {
        qd_free(t->at[i].term);
        qd_free(t->at[i].slots);
    }
    qdi_aggs_strings_fini(&t->strings);
    qdi_aggs_strings_fini(&t->tuples);
    qd_free(t->heap);
    qd_free(t->dead);
}

const qdi_ops qdi_aggs_composite_ops = {.open = composite_open,
                                        .leaf = composite_leaf,
                                        .collect = composite_collect,
                                        .build = composite_build,
                                        .close = composite_close};
