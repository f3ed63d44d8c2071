/*
 * rare_terms.c: rare_terms: a bucket for each value that few documents have. A shard collects as
 * terms do and sends all of its values, those of too many documents without their children: only
 * the sum over all shards tells which are rare. Elasticsearch drops values by a cuckoo filter
 * instead, which may leave out rare ones; so its precision is checked here, and changes nothing.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/bucket/terms_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"

#define MAX_DOC_COUNT_MAX 100

static int rare_limit(qdi_parse *p, qdi_agg *a)
{
    int64_t most = 1;
    int rc = qdi_aggs_get_i64(p, a, "max_doc_count", &most);
    if (!rc) rc = qdi_aggs_at_least(p, a, "max_doc_count", "max_doc_count", most, 1);
    if (rc) return rc;
    if (most > MAX_DOC_COUNT_MAX) /* words and spaces are Elasticsearch's */
        return qdi_aggs_setter_arg(p, a, qd_json_get(a->json, "max_doc_count"),
                                   "[max_doc_count] must be smallerthan %din [%.*s]",
                                   MAX_DOC_COUNT_MAX, QD_STR_ARG(a->name));
    qdi_terms_of(a)->most_docs = (uint64_t)most;
    return 0;
}

static int rare_parse(qdi_parse *p, qdi_agg *a)
{
    double precision = 0.001;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = rare_limit(p, a);
    if (!rc) rc = qdi_aggs_get_f64(p, a, "precision", &precision);
    if (!rc && !(precision >= 0.00001))
        rc = qdi_aggs_setter_arg(p, a, qd_json_get(a->json, "precision"),
                                 "[precision] must be greater than 0.00001");
    if (!rc) rc = qdi_terms_parse_include(p, a);
    if (rc) return rc;
    qdi_terms_of(a)->size = qdi_terms_of(a)->shard_size = UINT32_MAX;
    a->min_doc_count = 1;
    return qdi_aggs_parse_order(p, a, (qdi_order){.by = QDI_BY_COUNT, .ascending = true});
}

static int rare_bind(qdi_binder *x, qdi_bound *b)
{
    if (b->values != QDI_F64) return 0;
    return qd_err_set(x->err, QD_E_ARG,
                      "RareTerms aggregation does not support floating point fields.");
}

static int rare_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const qdi_agg *def = out->def;
    qdi_part *p;
    uint32_t n;
    int rc = qdi_aggs_gather(r, in, k, true, NULL, out, &p, &n, err);
    if (rc) return rc;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        j = qdi_aggs_run_end(out, NULL, p, i, n);
        qdi_bucket_out *o = &out->b[out->n];
        rc = qdi_aggs_merge_bucket(r, def, p + i, j - i, o, err);
        bool rare = o->docs <= qdi_terms_of(def)->most_docs;
        if (r->final && !rare) continue;
        if (rc == 0 && rare) rc = qdi_aggs_merge_subs(r, def, p + i, j - i, &o->subs, err);
        out->n++;
    }
    if (rc == 0 && r->final) rc = qdi_aggs_sort_buckets(r, out, def->order, def->norder, err);
    qd_free(p);
    return rc;
}

static void rare_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qdi_aggs_buckets_open(false, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_json_object(w);
        qdi_aggs_write_key(o, i, false, w);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(false, w);
}

static const char *rare_typed_key(const qdi_out *o)
{
    if (!o->bound) return "sterms"; /* so does Elasticsearch */
    return o->kind == QDI_ORD ? "srareterms" : "lrareterms";
}

const qd_agg_type qdi_aggs_rare_terms = {
    .name = "rare_terms",
    .flags = QDI_MULTI | QDI_VALUES | QDI_TAKES_BYTES | QDI_STRING_KEYS | QDI_EXACT,
    .params_size = sizeof(qdi_terms),
    .members = "field,script,missing,format,value_type,max_doc_count,precision,include,exclude",
    .parse = rare_parse,
    .bind = rare_bind,
    .unmapped = "keyword",
    .factory = "RareTermsAggregatorFactory",
    .ops = &qdi_aggs_terms_ops,
    .reduce = rare_reduce,
    .write = rare_write,
    .typed_key = rare_typed_key,
};
