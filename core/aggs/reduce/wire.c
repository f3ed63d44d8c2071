/*
 * wire.c: partial results between nodes; see wire.h. Each result is written as its definition
 * says: buckets with their children, numbers, or a sketch. The depth is the request's, not the
 * message's.
 */
#include "aggs/reduce/wire.h"
#include "aggs/type.h"

#define BUCKETS_MAX ((size_t)1 << 30)
#define BYTES_MAX ((size_t)1 << 30)

/* Flags of a result. */
enum {
    OUT_BOUND = 1, /* the index has the field (or needs none) */
    OUT_FULL = 2,
    OUT_SUBS = 4 /* of a single bucket */
};
/* Flags of a bucket. */
enum { BUCKET_BYTES = 1, BUCKET_SLOTS = 2, BUCKET_SUBS = 4 };

/* --- sort values --- */

void qd_sort_values_write(const qd_sort_value *v, uint32_t n, qd_writer *w)
{
    for (uint32_t i = 0; i < n; i++) {
        qd_write_u8(w, (uint8_t)(v[i].kind << 1 | v[i].missing));
        if (v[i].kind == QD_SORT_SCORE)
            qd_write_float(w, v[i].score);
        else if (v[i].kind == QD_SORT_ORD && !v[i].missing)
            qd_write_str(w, v[i].bytes);
        else
            qd_write_zigzag(w, v[i].i64);
    }
}

qd_sort_value *qd_sort_values_read(qd_body_reader *r, uint32_t n, qd_arena *arena)
{
    qd_sort_value *v = qd_arena_calloc(arena, (n + 1ul) * sizeof *v);
    if (!v) qd_body_reader_nomem(r, "sort");
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        uint8_t head = qd_read_u8(r, "sort.kind");
        v[i].kind = head >> 1;
        v[i].missing = head & 1;
        if (v[i].kind > QD_SORT_ORD) qd_body_reader_fail(r, "sort.kind", "is no known kind");
        if (v[i].kind == QD_SORT_SCORE)
            v[i].score = qd_read_float(r, "sort.score");
        else if (v[i].kind == QD_SORT_ORD && !v[i].missing)
            v[i].bytes = qd_read_str_copy(r, "sort.bytes", BYTES_MAX, arena);
        else
            v[i].i64 = qd_read_zigzag(r, "sort.value");
    }
    return qd_body_reader_bad(r) ? NULL : v;
}

/* --- results --- */

static void write_out(const qdi_out *o, qd_writer *w);
static qdi_out *read_out(qd_body_reader *r, const qdi_agg *def, const qd_aggs_bound *b,
                         qd_arena *arena);

static void write_subs(qdi_out *const *subs, const qdi_agg *def, qd_writer *w)
{
    for (uint32_t i = 0; i < def->nplain; i++) {
        qd_write_bool(w, subs[i] != NULL);
        if (subs[i]) write_out(subs[i], w);
    }
}

static qdi_out **read_subs(qd_body_reader *r, const qdi_agg *def, const qd_aggs_bound *b,
                           qd_arena *arena)
{
    qdi_out **subs = qd_arena_calloc(arena, (def->nsubs + 1ul) * sizeof(qdi_out *));
    if (!subs) qd_body_reader_nomem(r, "aggregations");
    for (uint32_t i = 0; i < def->nplain && !qd_body_reader_bad(r); i++) {
        if (qd_read_bool(r, "aggregation.there")) subs[i] = read_out(r, def->subs[i], b, arena);
    }
    return subs;
}

static void write_slots(const qdi_slot *s, uint32_t n, qd_writer *w)
{
    for (uint32_t i = 0; i < n; i++) {
        qd_write_u8(w, (uint8_t)(s[i].kind << 1 | s[i].null));
        if (s[i].null) continue;
        if (s[i].kind == QDI_ORD)
            qd_write_str(w, s[i].bytes);
        else
            qd_write_zigzag(w, s[i].i64);
    }
}

static qdi_slot *read_slots(qd_body_reader *r, uint32_t n, qd_arena *arena)
{
    qdi_slot *s = qd_arena_calloc(arena, (n + 1ul) * sizeof *s);
    if (!s) qd_body_reader_nomem(r, "composite.key");
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        uint8_t head = qd_read_u8(r, "composite.kind");
        s[i].kind = head >> 1;
        s[i].null = head & 1;
        if (s[i].kind > QDI_ORD) qd_body_reader_fail(r, "composite.kind", "is no known kind");
        if (s[i].null) continue;
        if (s[i].kind == QDI_ORD)
            s[i].bytes = qd_read_str_copy(r, "composite.bytes", BYTES_MAX, arena);
        else
            s[i].i64 = qd_read_zigzag(r, "composite.value");
    }
    return s;
}

static void write_buckets(const qdi_out *o, qd_writer *w)
{
    int64_t before = 0;
    qd_write_array(w, o->n);
    for (uint32_t i = 0; i < o->n; i++) {
        const qdi_bucket_out *b = &o->b[i];
        uint8_t flags = (uint8_t)((b->bytes.p ? BUCKET_BYTES : 0) | (b->slots ? BUCKET_SLOTS : 0) |
                                  (b->subs ? BUCKET_SUBS : 0));
        qd_write_u8(w, flags);
        qd_write_zigzag(w, (int64_t)((uint64_t)b->key - (uint64_t)before));
        before = b->key;
        if (flags & BUCKET_BYTES) qd_write_str(w, b->bytes);
        if (flags & BUCKET_SLOTS) write_slots(b->slots, o->def->nslots, w);
        qd_write_varint(w, b->docs);
        qd_write_zigzag(w, b->error);
        if (flags & BUCKET_SUBS) write_subs(b->subs, o->def, w);
    }
}

/* Does a bucket have the key that its kind of result needs? */
static bool key_fits(const qdi_out *o, uint8_t flags, int64_t key)
{
    if ((o->def->nslots != 0) != ((flags & BUCKET_SLOTS) != 0)) return false;
    bool words = o->def->type->flags & QDI_STRING_KEYS && o->kind == QDI_ORD;
    if (words != ((flags & BUCKET_BYTES) != 0)) return false;
    return o->def->type->flags & QDI_MULTI && key >= INT64_MIN;
}

static void read_buckets(qd_body_reader *r, qdi_out *o, const qd_aggs_bound *bound, qd_arena *arena)
{
    uint64_t before = 0;
    size_t most = o->def->type->buckets ? o->def->type->buckets(o->def) : BUCKETS_MAX;
    o->n = (uint32_t)qd_read_array(r, "buckets", most, 4);
    o->b = qd_arena_calloc(arena, (o->n + 1ul) * sizeof *o->b);
    if (!o->b) qd_body_reader_nomem(r, "buckets");
    for (uint32_t i = 0; i < o->n && !qd_body_reader_bad(r); i++) {
        qdi_bucket_out *b = &o->b[i];
        uint8_t flags = qd_read_u8(r, "bucket.flags");
        b->key = (int64_t)(before + (uint64_t)qd_read_zigzag(r, "bucket.key"));
        before = (uint64_t)b->key;
        if (flags > 7 || !key_fits(o, flags, b->key))
            qd_body_reader_fail(r, "bucket.flags", "do not fit the aggregation");
        if (flags & BUCKET_BYTES) b->bytes = qd_read_str_copy(r, "bucket.bytes", BYTES_MAX, arena);
        if (flags & BUCKET_SLOTS && !qd_body_reader_bad(r))
            b->slots = read_slots(r, o->def->nslots, arena);
        b->docs = qd_read_varint(r, "bucket.docs");
        b->error = qd_read_zigzag(r, "bucket.error");
        if (flags & BUCKET_SUBS && !qd_body_reader_bad(r))
            b->subs = read_subs(r, o->def, bound, arena);
    }
}

static void write_out(const qdi_out *o, qd_writer *w)
{
    uint32_t is = o->def->type->flags;
    bool full = o->full;
    qd_write_u8(w, (uint8_t)((o->bound ? OUT_BOUND : 0) | (full ? OUT_FULL : 0) |
                             (o->subs ? OUT_SUBS : 0)));
    qd_write_u8(w, o->kind);
    if (is & QDI_SINGLE) {
        qd_write_varint(w, o->docs);
        if (o->subs) write_subs(o->subs, o->def, w);
    } else if (is & QDI_MULTI) {
        qd_write_zigzag(w, o->error);
        qd_write_varint(w, o->other);
        write_buckets(o, w);
        if (o->def->type->send) o->def->type->send(o, w);
    } else {
        o->def->type->send(o, w);
    }
}

static qdi_out *read_out(qd_body_reader *r, const qdi_agg *def, const qd_aggs_bound *b,
                         qd_arena *arena)
{
    uint32_t is = def->type->flags;
    qdi_out *o = qdi_aggs_out_make(arena, def);
    if (!o) {
        qd_body_reader_nomem(r, "aggregation");
        return NULL;
    }
    uint8_t flags = qd_read_u8(r, "aggregation.flags");
    o->bound = flags & OUT_BOUND ? &b->at[def->id] : NULL;
    o->full = flags & OUT_FULL;
    o->kind = qd_read_u8(r, "aggregation.kind");
    if (flags > 7) qd_body_reader_fail(r, "aggregation.flags", "has unknown bits");
    if (o->kind > QDI_ORD) qd_body_reader_fail(r, "aggregation.kind", "is no known kind");
    if (qd_body_reader_bad(r)) return o;
    if (is & QDI_SINGLE) {
        o->docs = qd_read_varint(r, "aggregation.docs");
        if (flags & OUT_SUBS) o->subs = read_subs(r, def, b, arena);
    } else if (is & QDI_MULTI) {
        o->error = qd_read_zigzag(r, "aggregation.error");
        o->other = qd_read_varint(r, "aggregation.other");
        read_buckets(r, o, b, arena);
        if (def->type->receive) def->type->receive(r, o, b->tree, arena);
    } else {
        def->type->receive(r, o, b->tree, arena);
    }
    return o;
}

/* --- whole partial results --- */

void qd_aggs_partial_write(const qd_aggs_partial *p, qd_writer *w)
{
    qd_write_array(w, p->n);
    for (uint32_t i = 0; i < p->n; i++) {
        qd_write_bool(w, p->at[i] != NULL);
        if (p->at[i]) write_out(p->at[i], w);
    }
}

int qd_aggs_partial_read(qd_body_reader *r, const qd_aggs_bound *b, qd_account *account,
                         qd_aggs_partial **out, qd_err *err)
{
    const qd_aggs *tree = b->tree;
    qd_aggs_partial *p = qd_calloc(account, sizeof *p);
    if (!p) return qdi_aggs_no_memory(account, sizeof *p, "results of aggregations", err);
    qd_arena_init(&p->arena, account, 0);
    p->bound = b;
    p->n = tree->nroots;
    p->at = qd_arena_calloc(&p->arena, (p->n + 1ul) * sizeof *p->at);
    if (!p->at) qd_body_reader_nomem(r, "aggregations");
    uint64_t n = qd_read_varint_max(r, "aggregations", tree->nroots);
    if (n != tree->nroots) qd_body_reader_fail(r, "aggregations", "are of another request");
    for (uint32_t i = 0; i < p->n && !qd_body_reader_bad(r); i++) {
        if (!qd_read_bool(r, "aggregation.there")) continue;
        if (i >= tree->nplain) {
            qd_body_reader_fail(r, "aggregation.there", "is no result of a shard");
        } else {
            p->at[i] = read_out(r, tree->roots[i], b, &p->arena);
        }
    }
    int rc = qd_body_reader_check(r, err);
    if (rc)
        qd_aggs_partial_free(p);
    else
        *out = p;
    return rc;
}
