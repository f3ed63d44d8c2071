/*
 * cardinality.c: cardinality: about how many values differ (HyperLogLog++), a sketch an owner.
 */
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "aggs/sketch/hll_int.h"
#include <math.h>

typedef struct params {
    int64_t precision;
} params;

static params *params_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct value {
    qdi_hll *hll; /* NULL: nothing */
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

static int card_parse(qdi_parse *p, qdi_agg *a)
{
    int64_t *precision = &params_of(a)->precision;
    *precision = 3000;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "precision_threshold", precision);
    return rc ? rc
              : qdi_aggs_at_least(p, a, "precision_threshold", "precisionThreshold", *precision, 0);
}

/* --- collecting ------------------------------------------------------------------------------- */

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "sketches of aggregations", err);
}

typedef struct hstate {
    qdi_hll *at;
    uint32_t cap;
    uint8_t p;
    uint64_t *hash; /* by ordinal of the leaf; 0: not known */
    uint32_t cap_hash;
    uint64_t *seen; /* one owner: ordinals seen in the leaf */
    uint32_t cap_seen;
} hstate;

static int card_open(qdi_aggr *a, qd_err *err)
{
    hstate *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return no_memory(a, err);
    t->p = qdi_aggs_hll_precision(params_of(a->def)->precision);
    if (a->src && a->bound->values == QDI_ORD) a->src->want_dict = true;
    return 0;
}

static int card_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    hstate *t = a->state;
    uint32_t from = t->cap;
    int rc = qdi_aggs_grow(a->shard->account, &t->at, &t->cap, n, sizeof *t->at, err);
    for (uint32_t i = from; rc == 0 && i < t->cap; i++) t->at[i].p = t->p;
    return rc;
}

static int card_leaf(qdi_aggr *a, qd_err *err)
{
    hstate *t = a->state;
    if (!a->src || a->bound->values != QDI_ORD || a->src->script) return 0;
    uint32_t n = a->src->ordinals + 1;
    if (a->single) {
        uint32_t words = n / 64 + 1;
        int rc = qdi_aggs_grow(a->shard->account, &t->seen, &t->cap_seen, words, 8, err);
        if (rc == 0) memset(t->seen, 0, words * 8ul);
        return rc;
    }
    int rc = qdi_aggs_grow(a->shard->account, &t->hash, &t->cap_hash, n, 8, err);
    if (rc == 0) memset(t->hash, 0, n * 8ul);
    return rc;
}

static int hash_ord(qdi_aggr *a, uint32_t ord, uint64_t *out, qd_err *err)
{
    qd_str v;
    int rc = qdi_aggs_source_bytes(a->src, ord, &v, err);
    if (rc) return rc;
    *out = qdi_aggs_hash_bytes(v.p, v.n);
    return 0;
}

static int card_strings(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                        qd_err *err)
{
    hstate *t = a->state;
    qdi_source *s = a->src;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            uint32_t ord = s->o[k];
            if (s->script) { /* there may be more ordinals than there were when the leaf began */
                uint64_t hash;
                int rc = hash_ord(a, ord, &hash, err);
                if (rc) return rc;
                if (qdi_aggs_hll_add(&t->at[owner ? owner[i] : 0], hash, a->shard->account))
                    return no_memory(a, err);
                continue;
            }
            if (a->single) {
                t->seen[ord / 64] |= (uint64_t)1 << (ord & 63);
                continue;
            }
            if (!t->hash[ord]) {
                int rc = hash_ord(a, ord, &t->hash[ord], err);
                if (rc) return rc;
            }
            if (qdi_aggs_hll_add(&t->at[owner ? owner[i] : 0], t->hash[ord], a->shard->account))
                return no_memory(a, err);
        }
    }
    return 0;
}

static int card_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                        qd_err *err)
{
    hstate *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = qdi_aggs_source_index(a->shard, s, err);
    if (rc) return rc;
    if (a->bound->values == QDI_ORD) return card_strings(a, idx, owner, n, err);
    bool reals = a->bound->values == QDI_F64;
    if (reals) rc = qdi_aggs_source_f64(a->shard, s, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            uint64_t bits = (uint64_t)s->v[k];
            if (reals) memcpy(&bits, &s->f64[k], 8);
            if (qdi_aggs_hll_add(&t->at[owner ? owner[i] : 0], qdi_hash_i64(bits),
                                 a->shard->account))
                return no_memory(a, err);
        }
    }
    return rc;
}

static int card_leaf_end(qdi_aggr *a, qd_err *err)
{
    hstate *t = a->state;
    bool seen = a->src && a->bound->values == QDI_ORD && a->single && !a->src->script;
    if (!seen || !t->cap) return 0;
    for (uint32_t w = 0; w <= a->src->ordinals / 64; w++)
        for (uint64_t bits = t->seen[w]; bits; bits &= bits - 1) {
            uint64_t hash;
            int rc = hash_ord(a, w * 64 + (uint32_t)__builtin_ctzll(bits), &hash, err);
            if (rc) return rc;
            if (qdi_aggs_hll_add(&t->at[0], hash, a->shard->account)) return no_memory(a, err);
        }
    return 0;
}

static int card_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    hstate *t = a->state;
    value_of(out)->hll = qdi_aggs_hll_copy(&t->at[owner], &a->shard->partial->arena);
    return value_of(out)->hll ? 0 : no_memory(a, err);
}

static double card_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    hstate *t = a->state;
    (void)member;
    return (double)qdi_aggs_hll_count(&t->at[owner]);
}

static void card_close(qdi_aggr *a)
{
    hstate *t = a->state;
    if (!t) return;
    for (uint32_t i = 0; i < t->cap; i++) qdi_aggs_hll_fini(&t->at[i]);
    qd_free(t->at);
    qd_free(t->hash);
    qd_free(t->seen);
}

static const qdi_ops ops = {.open = card_open,
                            .grow = card_grow,
                            .leaf = card_leaf,
                            .collect = card_collect,
                            .leaf_end = card_leaf_end,
                            .build = card_build,
                            .metric = card_metric,
                            .close = card_close};

/* --- results ---------------------------------------------------------------------------------- */

static double card_empty(qd_str member)
{
    (void)member;
    return 0;
}

static int card_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_hll h = {.p = qdi_aggs_hll_precision(params_of(out->def)->precision)};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (value_of(in[i])->hll)
            rc = qdi_aggs_hll_merge(&h, value_of(in[i])->hll, r->arena->account);
    if (rc == 0) value_of(out)->hll = qdi_aggs_hll_copy(&h, r->arena);
    qdi_aggs_hll_fini(&h);
    return value_of(out)->hll ? 0 : qdi_aggs_reduce_no_memory(r, sizeof h, err);
}

static double card_value(const qdi_out *o, qd_str member)
{
    (void)member;
    return value_of(o)->hll ? (double)qdi_aggs_hll_count(value_of(o)->hll) : 0;
}

/* How a cardinality is sent. */
enum { HLL_NONE, HLL_SET, HLL_REGISTERS };

static void card_send(const qdi_out *o, qd_writer *w)
{
    const qdi_hll *h = value_of(o)->hll;
    if (!h) {
        qd_write_u8(w, HLL_NONE);
    } else if (h->registers) {
        qd_write_u8(w, HLL_REGISTERS);
        qd_write_raw(w, h->registers, (size_t)1 << h->p);
    } else {
        qd_write_u8(w, HLL_SET);
        qd_write_array(w, h->n);
        for (uint32_t i = 0; i < h->cap; i++)
            if (h->set[i]) qd_write_u32(w, h->set[i] - 1);
    }
}

static qdi_hll *read_hll(qd_body_reader *r, const qdi_agg *def, qd_arena *arena)
{
    uint8_t how = qd_read_u8(r, "cardinality.kind"),
            p = qdi_aggs_hll_precision(params_of(def)->precision);
    qdi_hll *h = how == HLL_NONE ? NULL : qd_arena_calloc(arena, sizeof *h);
    if (how == HLL_NONE) return NULL;
    if (!h) {
        qd_body_reader_nomem(r, "cardinality");
    } else if (how == HLL_REGISTERS) {
        qd_str bytes = qd_read_raw(r, "cardinality.registers", (size_t)1 << p);
        if (!qd_body_reader_bad(r) && !qdi_aggs_hll_load(h, p, bytes, NULL, 0, arena))
            qd_body_reader_fail(r, "cardinality.registers", "are none of this precision");
    } else if (how == HLL_SET) {
        uint32_t n = (uint32_t)qd_read_array(r, "cardinality.set", (size_t)1 << p, 4);
        uint32_t *set = qd_arena_alloc(arena, (n + 1ul) * sizeof *set);
        for (uint32_t i = 0; i < n && set; i++) set[i] = qd_read_u32(r, "cardinality.hash");
        if (!qd_body_reader_bad(r) &&
            (!set || !qdi_aggs_hll_load(h, p, (qd_str){NULL, 0}, set, n, arena)))
            qd_body_reader_fail(r, "cardinality.set", "has an impossible hash");
    } else {
        qd_body_reader_fail(r, "cardinality.kind", "is no known kind");
    }
    return h;
}

static void card_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    (void)tree;
    value_of(o)->hll = read_hll(r, o->def, arena);
}

static void card_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    qd_json_key_c(w, "value");
    qd_json_uint(w, value_of(o)->hll ? qdi_aggs_hll_count(value_of(o)->hll) : 0);
}

const qd_agg_type qdi_aggs_cardinality = {
    .name = "cardinality",
    .key = "cardinality",
    .flags = QDI_METRIC | QDI_VALUES | QDI_TAKES_BYTES | QDI_ANY_BYTES | QDI_RANGES,
    .params_size = sizeof(params),
    .value_size = sizeof(value),
    .members = "field,script,missing,value_type,precision_threshold,rehash,execution_hint",
    .parse = card_parse,
    .unmapped = "keyword",
    .ops = &ops,
    .empty = card_empty,
    .reduce = card_reduce,
    .value = card_value,
    .send = card_send,
    .receive = card_receive,
    .write = card_write,
};
