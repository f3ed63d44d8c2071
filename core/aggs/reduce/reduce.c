/*
 * reduce.c: partial results become one. Merging is by key and does not depend on order; it happens
 * in between too (not final: nothing is cut), so that few partial results wait at a time.
 */
#include "aggs/reduce/reduce_int.h"
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

int qdi_aggs_reduce_no_memory(qdi_reduce *r, size_t bytes, qd_err *err)
{
    return qdi_aggs_no_memory(r->arena->account, bytes, "reducing aggregations", err);
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
    int rc = subs && one ? 0 : qdi_aggs_reduce_no_memory(r, 64, err);
    for (uint32_t i = 0; rc == 0 && i < parent->nplain; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < k; j++)
            if (in[j] && in[j][i]) one[n++] = in[j][i];
        rc = qdi_aggs_reduce_one(r, parent->subs[i], one, n, &subs[i], err);
    }
    qd_free(one);
    if (rc == 0 && r->final)
        rc = qdi_aggs_reduce_beside(r, parent->subs, parent->nplain, parent->nsubs, subs, err);
    *out = subs;
    return rc;
}

/* What an index makes of a definition, for results that no shard made (empty buckets). */
static const qdi_bound *bound_of(const qdi_reduce *r, const qdi_agg *def)
{
    bool any = !def->field.p || def->type->flags & QDI_EMPTY_KNOWN;
    for (size_t i = 0; i < r->nbounds; i++)
        if (r->bounds[i]->at[def->id].field) return &r->bounds[i]->at[def->id];
    return any && r->nbounds ? &r->bounds[0]->at[def->id] : NULL;
}

int qdi_aggs_reduce_one(qdi_reduce *r, const qdi_agg *def, qdi_out *const *in, uint32_t k,
                        qdi_out **pout, qd_err *err)
{
    qdi_out *out = *pout = qdi_aggs_out_make(r->arena, def);
    if (!out) return qdi_aggs_reduce_no_memory(r, sizeof *out, err);
    for (uint32_t i = 0; i < k; i++) {
        if (!out->bound || (!out->bound->field && in[i]->bound)) out->bound = in[i]->bound;
        if (out->kind == QDI_NO_VALUES) out->kind = in[i]->kind;
    }
    if (!out->bound) out->bound = bound_of(r, def);
    if (k == 0 && out->bound) out->kind = (uint8_t)out->bound->values;
    int rc = def->type->reduce(r, in, k, out, err);
    if (rc || !(def->type->flags & QDI_MULTI)) return rc;
    for (uint32_t i = def->nplain; rc == 0 && r->final && i < def->nsubs; i++)
        if (def->subs[i]->type->below) rc = def->subs[i]->type->below(r, def->subs[i], i, out, err);
    return rc ? rc : qdi_aggs_reduce_count(r, out->n, err);
}

int qdi_aggs_reduce_beside(qdi_reduce *r, qdi_agg *const *defs, uint32_t nplain, uint32_t n,
                           qdi_out **subs, qd_err *err)
{
    for (uint32_t i = nplain; i < n; i++) {
        const qdi_agg *d = defs[i];
        if (!d->type->beside) continue;
        subs[i] = qdi_aggs_out_make(r->arena, d);
        if (!subs[i]) return qdi_aggs_reduce_no_memory(r, sizeof *subs[i], err);
        int rc = d->type->beside(r, subs, subs[i], err);
        if (rc) return rc;
    }
    return 0;
}

/* --- values ----------------------------------------------------------------------------------- */

double qdi_aggs_out_value(const qdi_out *o, qd_str member)
{
    if (o->def->type->value) return o->def->type->value(o, member);
    return o->def->type->flags & QDI_SINGLE ? (double)o->docs : NAN;
}

double qdi_aggs_out_metric(qdi_out *const *subs, uint64_t docs, const qdi_path *path, uint32_t from)
{
    const qdi_out *o = NULL;
    for (uint32_t i = from; i < path->n; i++) {
        if (!subs || !subs[path->at[i]]) return NAN;
        o = subs[path->at[i]];
        docs = o->docs;
        subs = o->subs;
    }
    if (path->count) return (double)docs;
    return o ? qdi_aggs_out_value(o, path->member) : NAN;
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
    int rc = one && p->at ? 0 : qdi_aggs_reduce_no_memory(&x, 64, err);
    for (uint32_t i = 0; rc == 0 && i < t->nplain; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < k; j++)
            if (r->waiting.at[j]->at[i]) one[n++] = r->waiting.at[j]->at[i];
        rc = qdi_aggs_reduce_one(&x, t->roots[i], one, n, &p->at[i], err);
    }
    if (rc == 0 && final)
        rc = qdi_aggs_reduce_beside(&x, t->roots, t->nplain, t->nroots, p->at, err);
    int ended = qdi_aggs_plugin_settle(&x, rc ? NULL : err);
    if (rc == 0) rc = ended;
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
