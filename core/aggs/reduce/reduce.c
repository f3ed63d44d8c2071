/*
 * reduce.c: partial results become one. Merging is by key and does not depend on order; it happens
 * in between too (not final: nothing is cut), so that few partial results wait at a time.
 */
#include "aggs/aggs_int.h"
#include <math.h>

#define WAITING_MAX 64u /* partial results kept before they are merged */

struct qd_aggs_reducer {
    const qd_aggs *tree;
    qd_account *account;
    QD_VEC(qd_aggs_partial *) waiting;
    QD_VEC(const qd_aggs_bound *) bounds; /* of the indices seen */
    qd_aggs_partial *final;
    qd_aggs_result result;
    uint32_t batch;
};

static int no_memory(qdi_reduce *r, qd_err *err)
{
    return qdi_aggs_no_memory(r->arena->account, 64, "reducing aggregations", err);
}

int qdi_aggs_reduce_count(qdi_reduce *r, int64_t n, qd_err *err)
{
    int64_t most = r->tree->max_buckets;
    r->buckets += n;
    if (!r->final || most < 0 || r->buckets <= most) return 0;
    int rc = qd_err_set(err, QD_E_TOO_MANY_BUCKETS,
                        "Trying to create too many buckets. Must be less than or equal to: [%lld] "
                        "but was [%lld]. This limit can be set by changing the "
                        "[search.max_buckets] cluster level setting.",
                        (long long)most, (long long)most + 1);
    qd_err_detail_i64(err, "max_buckets", most);
    return rc;
}

int qdi_aggs_reduce_subs(qdi_reduce *r, const qdi_agg *parent, qdi_out **const *in, uint32_t k,
                         qdi_out ***out, qd_err *err)
{
    *out = NULL;
    if (!parent->nsubs) return 0;
    qdi_out **subs = qd_arena_calloc(r->arena, parent->nsubs * sizeof *subs);
    qdi_out **one = qd_alloc(r->arena->account, (k + 1ul) * sizeof *one);
    int rc = subs && one ? 0 : no_memory(r, err);
    for (uint32_t i = 0; rc == 0 && i < parent->nplain; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < k; j++)
            if (in[j] && in[j][i]) one[n++] = in[j][i];
        rc = qdi_aggs_reduce_one(r, parent->subs[i], one, n, &subs[i], err);
    }
    qd_free(one);
    if (rc == 0 && r->final)
        rc = qdi_aggs_pipelines_sibling(r, parent->subs, parent->nplain, parent->nsubs, subs, err);
    *out = subs;
    return rc;
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void add_stats(qdi_stats *to, const qdi_stats *s)
{
    to->n += s->n;
    qdi_kahan(&to->sum, &to->sum_low, s->sum);
    if (s->sum_low != 0) qdi_kahan(&to->sum, &to->sum_low, -s->sum_low);
    qdi_kahan(&to->squares, &to->squares_low, s->squares);
    if (s->squares_low != 0) qdi_kahan(&to->squares, &to->squares_low, -s->squares_low);
    if (s->min < to->min) to->min = s->min;
    if (s->max > to->max) to->max = s->max;
}

static int reduce_hll(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_hll h = {.p = qdi_aggs_hll_precision(out->def->u.precision)};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (in[i]->u.hll) rc = qdi_aggs_hll_merge(&h, in[i]->u.hll, r->arena->account);
    if (rc == 0) out->u.hll = qdi_aggs_hll_copy(&h, r->arena);
    qdi_aggs_hll_fini(&h);
    return out->u.hll ? 0 : no_memory(r, err);
}

static int reduce_digest(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_digest d;
    int rc = 0;
    qdi_aggs_digest_init(&d, out->def->u.percents.compression, r->tree->flavour);
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (in[i]->u.digest) rc = qdi_aggs_digest_merge(&d, in[i]->u.digest, r->arena->account);
    if (rc == 0) rc = qdi_aggs_digest_settle(&d, r->arena->account);
    if (rc == 0) out->u.digest = qdi_aggs_digest_copy(&d, r->arena);
    qdi_aggs_digest_fini(&d);
    return out->u.digest ? 0 : no_memory(r, err);
}

static int reduce_hdr(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_hdr h;
    int rc = 0;
    qdi_aggs_hdr_init(&h, (uint32_t)out->def->u.percents.digits);
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (in[i]->u.hdr) rc = qdi_aggs_hdr_merge(&h, in[i]->u.hdr, r->arena->account);
    if (rc == 0) out->u.hdr = qdi_aggs_hdr_copy(&h, r->arena);
    qdi_aggs_hdr_fini(&h);
    return out->u.hdr ? 0 : no_memory(r, err);
}

static int reduce_single(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_out ***subs = qd_alloc(r->arena->account, (k + 1ul) * sizeof *subs);
    if (!subs) return no_memory(r, err);
    for (uint32_t i = 0; i < k; i++) {
        out->docs += in[i]->docs;
        subs[i] = in[i]->subs;
    }
    int rc = qdi_aggs_reduce_count(r, 1, err);
    if (rc == 0) rc = qdi_aggs_reduce_subs(r, out->def, subs, k, &out->subs, err);
    qd_free(subs);
    return rc;
}

/* What an index makes of a definition, for results that no shard made (empty buckets). */
static const qdi_bound *bound_of(const qdi_reduce *r, const qdi_agg *def)
{
    bool any = !def->field.p || def->type == QDI_HISTOGRAM || def->type == QDI_DATE_HISTOGRAM ||
               def->type == QDI_RANGE || def->type == QDI_DATE_RANGE || def->type == QDI_IP_RANGE;
    for (size_t i = 0; i < r->nbounds; i++)
        if (r->bounds[i]->at[def->id].field) return &r->bounds[i]->at[def->id];
    return any && r->nbounds ? &r->bounds[0]->at[def->id] : NULL;
}

int qdi_aggs_reduce_one(qdi_reduce *r, const qdi_agg *def, qdi_out *const *in, uint32_t k,
                        qdi_out **pout, qd_err *err)
{
    qdi_out *out = *pout = qd_arena_calloc(r->arena, sizeof *out);
    if (!out) return no_memory(r, err);
    out->def = def;
    for (uint32_t i = 0; i < k; i++) {
        if (!out->bound || (!out->bound->field && in[i]->bound)) out->bound = in[i]->bound;
        if (out->kind == QDI_NO_VALUES) out->kind = in[i]->kind;
    }
    if (!out->bound) out->bound = bound_of(r, def);
    if (k == 0 && out->bound) out->kind = (uint8_t)out->bound->values;
    int rc = 0;
    switch (def->type) {
    case QDI_TERMS:
        rc = qdi_aggs_reduce_terms(r, in, k, out, err);
        break;
    case QDI_HISTOGRAM:
    case QDI_DATE_HISTOGRAM:
        rc = qdi_aggs_reduce_histogram(r, in, k, out, err);
        break;
    case QDI_RANGE:
    case QDI_DATE_RANGE:
    case QDI_IP_RANGE:
    case QDI_FILTERS:
        rc = qdi_aggs_reduce_keyed(r, in, k, out, err);
        break;
    case QDI_COMPOSITE:
        rc = qdi_aggs_reduce_composite(r, in, k, out, err);
        break;
    case QDI_TOP_HITS:
        return qdi_aggs_reduce_hits(r, in, k, out, err);
    case QDI_CARDINALITY:
        return reduce_hll(r, in, k, out, err);
    case QDI_PERCENTILES:
    case QDI_PERCENTILE_RANKS:
        return def->u.percents.digits >= 0 ? reduce_hdr(r, in, k, out, err)
                                           : reduce_digest(r, in, k, out, err);
    case QDI_WEIGHTED_AVG:
        for (uint32_t i = 0; i < k; i++) {
            qdi_kahan(&out->u.weighted.sum, &out->u.weighted.sum_low,
                      in[i]->u.weighted.sum - in[i]->u.weighted.sum_low);
            qdi_kahan(&out->u.weighted.weight, &out->u.weighted.weight_low,
                      in[i]->u.weighted.weight - in[i]->u.weighted.weight_low);
            out->u.weighted.n += in[i]->u.weighted.n;
        }
        return 0;
    default:
        if (qdi_aggs_type_flags(def->type) & QDI_SINGLE) return reduce_single(r, in, k, out, err);
        out->u.stats = (qdi_stats){.min = INFINITY, .max = -INFINITY};
        for (uint32_t i = 0; i < k; i++) add_stats(&out->u.stats, &in[i]->u.stats);
        return 0;
    }
    if (rc == 0 && r->final) rc = qdi_aggs_pipelines_parent(r, out, err);
    if (rc == 0) rc = qdi_aggs_reduce_count(r, out->n, err);
    return rc;
}

/* --- the reducer ------------------------------------------------------------------------------ */

int qd_aggs_reducer_make(const qd_aggs *a, qd_account *account, qd_aggs_reducer **out, qd_err *err)
{
    qd_aggs_reducer *r = qd_calloc(account, sizeof *r);
    if (!r) return qdi_aggs_no_memory(account, sizeof *r, "reducing aggregations", err);
    r->tree = a;
    r->account = account;
    r->batch = WAITING_MAX;
    *out = r;
    return 0;
}

void qd_aggs_reducer_batch(qd_aggs_reducer *r, uint32_t n)
{
    r->batch = n < 2 ? 2 : n < WAITING_MAX ? n : WAITING_MAX;
}

/* Merges all that wait into one. */
static int merge(qd_aggs_reducer *r, bool final, qd_aggs_partial **out, qd_err *err)
{
    const qd_aggs *t = r->tree;
    qd_aggs_partial *p = qd_calloc(r->account, sizeof *p);
    if (!p) return qdi_aggs_no_memory(r->account, sizeof *p, "reducing aggregations", err);
    qd_arena_init(&p->arena, r->account, 0);
    qdi_reduce x = {.arena = &p->arena,
                    .tree = t,
                    .final = final,
                    .bounds = r->bounds.at,
                    .nbounds = r->bounds.n};
    uint32_t k = (uint32_t)r->waiting.n;
    qdi_out **one = qd_alloc(r->account, (k + 1ul) * sizeof *one);
    p->n = t->nroots;
    p->at = qd_arena_calloc(&p->arena, (t->nroots + 1ul) * sizeof *p->at);
    int rc = one && p->at ? 0 : no_memory(&x, err);
    for (uint32_t i = 0; rc == 0 && i < t->nplain; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < k; j++)
            if (r->waiting.at[j]->at[i]) one[n++] = r->waiting.at[j]->at[i];
        rc = qdi_aggs_reduce_one(&x, t->roots[i], one, n, &p->at[i], err);
    }
    if (rc == 0 && final)
        rc = qdi_aggs_pipelines_sibling(&x, t->roots, t->nplain, t->nroots, p->at, err);
    qd_free(one);
    if (rc == 0)
        *out = p;
    else
        qd_aggs_partial_free(p);
    return rc;
}

int qd_aggs_reducer_add(qd_aggs_reducer *r, qd_aggs_partial *p, qd_err *err)
{
    size_t known = 0;
    while (known < r->bounds.n && r->bounds.at[known] != p->bound) known++;
    if ((known == r->bounds.n && qd_vec_push(&r->bounds, r->account, p->bound)) ||
        qd_vec_push(&r->waiting, r->account, p)) {
        qd_aggs_partial_free(p);
        return qdi_aggs_no_memory(r->account, 64, "reducing aggregations", err);
    }
    if (r->waiting.n < r->batch) return 0;
    qd_aggs_partial *merged;
    int rc = merge(r, false, &merged, err);
    if (rc) return rc;
    for (size_t i = 0; i < r->waiting.n; i++) qd_aggs_partial_free(r->waiting.at[i]);
    r->waiting.at[0] = merged;
    r->waiting.n = 1;
    return 0;
}

int qd_aggs_reducer_finish(qd_aggs_reducer *r, const qd_aggs_result **out, qd_err *err)
{
    qd_aggs_partial_free(r->final);
    r->final = NULL;
    int rc = merge(r, true, &r->final, err);
    if (rc) return rc;
    r->result = (qd_aggs_result){r->tree, r->final->at};
    *out = &r->result;
    return 0;
}

void qd_aggs_reducer_free(qd_aggs_reducer *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->waiting.n; i++) qd_aggs_partial_free(r->waiting.at[i]);
    qd_vec_fini(&r->waiting);
    qd_vec_fini(&r->bounds);
    qd_aggs_partial_free(r->final);
    qd_free(r);
}
