/*
 * sketch.c: cardinality (HyperLogLog++) and percentiles (t-digest, HdrHistogram), one sketch an
 * owner.
 */
#include "aggs/aggs_int.h"
#include <math.h>

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "sketches of aggregations", err);
}

/* --- cardinality ------------------------------------------------------------------------------ */

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
    t->p = qdi_aggs_hll_precision(a->def->u.precision);
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
    if (!a->src || a->bound->values != QDI_ORD) return 0;
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
    if (!a->src || a->bound->values != QDI_ORD || !a->single || !t->cap) return 0;
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
    out->u.hll = qdi_aggs_hll_copy(&t->at[owner], &a->shard->partial->arena);
    return out->u.hll ? 0 : no_memory(a, err);
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

const qdi_ops qdi_aggs_ops_cardinality = {.open = card_open,
                                          .grow = card_grow,
                                          .leaf = card_leaf,
                                          .collect = card_collect,
                                          .leaf_end = card_leaf_end,
                                          .build = card_build,
                                          .metric = card_metric,
                                          .close = card_close};

/* --- percentiles ------------------------------------------------------------------------------ */

typedef struct dstate {
    qdi_digest *at;
    uint32_t cap;
} dstate;

static int pct_open(qdi_aggr *a, qd_err *err)
{
    dstate *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    return t ? 0 : no_memory(a, err);
}

static int pct_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    dstate *t = a->state;
    uint32_t from = t->cap;
    int rc = qdi_aggs_grow(a->shard->account, &t->at, &t->cap, n, sizeof *t->at, err);
    for (uint32_t i = from; rc == 0 && i < t->cap; i++)
        qdi_aggs_digest_init(&t->at[i], a->def->u.percents.compression,
                             a->shard->bound->tree->flavour);
    return rc;
}

static int pct_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                       qd_err *err)
{
    dstate *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = idx || owner ? qdi_aggs_source_index(a->shard, s, err) : 0;
    if (rc == 0) rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    if (!idx && !owner)
        return qdi_aggs_digest_add(&t->at[0], s->f64, s->n, a->shard->account) ? no_memory(a, err)
                                                                               : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        if (from < to && qdi_aggs_digest_add(&t->at[owner ? owner[i] : 0], s->f64 + from, to - from,
                                             a->shard->account))
            return no_memory(a, err);
    }
    return 0;
}

static int pct_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    dstate *t = a->state;
    if (qdi_aggs_digest_settle(&t->at[owner], a->shard->account)) return no_memory(a, err);
    out->u.digest = qdi_aggs_digest_copy(&t->at[owner], &a->shard->partial->arena);
    return out->u.digest ? 0 : no_memory(a, err);
}

static double pct_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    dstate *t = a->state;
    double v;
    if (qdi_aggs_digest_settle(&t->at[owner], a->shard->account)) return NAN;
    if (qd_f64_parse(member, &v)) return NAN;
    return a->def->type == QDI_PERCENTILES ? qdi_aggs_digest_quantile(&t->at[owner], v / 100)
                                           : qdi_aggs_digest_cdf(&t->at[owner], v) * 100;
}

static void pct_close(qdi_aggr *a)
{
    dstate *t = a->state;
    if (!t) return;
    for (uint32_t i = 0; i < t->cap; i++) qdi_aggs_digest_fini(&t->at[i]);
    qd_free(t->at);
}

const qdi_ops qdi_aggs_ops_percentiles = {.open = pct_open,
                                          .grow = pct_grow,
                                          .collect = pct_collect,
                                          .build = pct_build,
                                          .metric = pct_metric,
                                          .close = pct_close};

/* --- percentiles by HdrHistogram -------------------------------------------------------------- */

typedef struct rstate {
    qdi_hdr *at;
    uint32_t cap;
} rstate;

static int hdr_open(qdi_aggr *a, qd_err *err)
{
    a->state = qd_arena_calloc(&a->shard->arena, sizeof(rstate));
    return a->state ? 0 : no_memory(a, err);
}

static int hdr_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    rstate *t = a->state;
    uint32_t from = t->cap;
    int rc = qdi_aggs_grow(a->shard->account, &t->at, &t->cap, n, sizeof *t->at, err);
    for (uint32_t i = from; rc == 0 && i < t->cap; i++)
        qdi_aggs_hdr_init(&t->at[i], (uint32_t)a->def->u.percents.digits);
    return rc;
}

static int hdr_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                       qd_err *err)
{
    rstate *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = qdi_aggs_source_index(a->shard, s, err);
    if (rc == 0) rc = qdi_aggs_source_f64(a->shard, s, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            double v = s->f64[k];
            if (!(v >= 0) || isinf(v)) {
                rc = qd_err_set(err, QD_E_ARG,
                                "Negative values are not supported by HDR aggregation");
                return rc;
            }
            if (qdi_aggs_hdr_add(&t->at[owner ? owner[i] : 0], v, a->shard->account))
                return no_memory(a, err);
        }
    }
    return rc;
}

static int hdr_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    rstate *t = a->state;
    out->u.hdr = qdi_aggs_hdr_copy(&t->at[owner], &a->shard->partial->arena);
    return out->u.hdr ? 0 : no_memory(a, err);
}

static double hdr_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    rstate *t = a->state;
    double v, found = NAN;
    qd_arena arena;
    if (qd_f64_parse(member, &v)) return NAN;
    qd_arena_init(&arena, a->shard->account, 0);
    const qdi_hdr *h = qdi_aggs_hdr_copy(&t->at[owner], &arena);
    if (h)
        found =
            a->def->type == QDI_PERCENTILES ? qdi_aggs_hdr_value(h, v) : qdi_aggs_hdr_percent(h, v);
    qd_arena_fini(&arena);
    return found;
}

static void hdr_close(qdi_aggr *a)
{
    rstate *t = a->state;
    for (uint32_t i = 0; t && i < t->cap; i++) qdi_aggs_hdr_fini(&t->at[i]);
    if (t) qd_free(t->at);
}

const qdi_ops qdi_aggs_ops_hdr = {.open = hdr_open,
                                  .grow = hdr_grow,
                                  .collect = hdr_collect,
                                  .build = hdr_build,
                                  .metric = hdr_metric,
                                  .close = hdr_close};
