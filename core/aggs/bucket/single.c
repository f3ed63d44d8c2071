/*
 * single.c: what aggregations of one bucket share.
 */
#include "aggs/bucket/single_int.h"

int qdi_aggs_single_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    uint32_t bucket = a->buckets.n;
    if (qdi_aggs_buckets_find(&a->buckets, owner, 0, &bucket)) out->docs = a->buckets.docs[bucket];
    return qdi_aggs_build_subs(a, bucket, &out->subs, err);
}

int qdi_aggs_single_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_out ***subs = qd_alloc(r->arena->account, (k + 1ul) * sizeof *subs);
    if (!subs) return qdi_aggs_reduce_no_memory(r, k * sizeof *subs, err);
    for (uint32_t i = 0; i < k; i++) {
        out->docs += in[i]->docs;
        subs[i] = in[i]->subs;
    }
    int rc = qdi_aggs_reduce_count(r, 1, err);
    if (rc == 0) rc = qdi_aggs_reduce_subs(r, out->def, subs, k, &out->subs, err);
    qd_free(subs);
    return rc;
}

void qdi_aggs_single_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qd_json_key_c(w, "doc_count");
    qd_json_uint(w, o->docs);
    if (o->subs) qdi_aggs_write_subs(o->subs, o->def->nsubs, typed, w);
}
