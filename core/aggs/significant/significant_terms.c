/*
 * significant_terms.c: significant_terms: values that are more frequent in the documents than in
 * the background. Scores are reckoned anew from the sums over all shards.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/reduce/reduce_int.h"
#include "aggs/significant/significant_int.h"
#include <math.h>

static int read_background(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "background_filter");
    if (!m) return 0;
    qd_query_reading how = *p->how->reading;
    how.arena = p->arena;
    if (!how.origin) how.origin = p->how->body.p;
    return qd_query_read_text(&how, m->raw, &qdi_significant_of(a)->background, p->err);
}

static int parse(qdi_parse *p, qdi_agg *a)
{
    int64_t size = 10, shard_size = -1, shard_min = 0;
    qdi_significant *s = qdi_significant_of(a);
    const qd_json_node *hint = qd_json_get(a->json, "execution_hint");
    a->min_doc_count = 3;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shard_size", &shard_size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "min_doc_count", &a->min_doc_count);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shard_min_doc_count", &shard_min);
    if (!rc) rc = qdi_terms_parse_include(p, a);
    if (!rc) rc = qdi_aggs_at_least(p, a, "size", "size", size, 1);
    if (!rc) rc = qdi_aggs_at_least(p, a, "shard_size", "shardSize", shard_size, 1);
    if (!rc) rc = qdi_aggs_at_least(p, a, "min_doc_count", "minDocCount", a->min_doc_count, 0);
    if (!rc) rc = qdi_aggs_at_least(p, a, "shard_min_doc_count", "shardMinDocCount", shard_min, 0);
    if (!rc) rc = qdi_significance_parse(p, a, &s->heuristic);
    if (!rc) rc = read_background(p, a);
    if (!rc && hint && !qdi_aggs_listed("map,global_ordinals", qd_json_text(hint)))
        rc = qdi_aggs_setter_arg(p, a, hint,
                                 "Unknown `execution_hint`: [%.*s], expected any of [map, "
                                 "global_ordinals]",
                                 QD_STR_ARG(qd_json_text(hint)));
    if (rc) return rc;
    if (a->min_doc_count < 1) a->min_doc_count = 1; /* what no document has is not significant */
    if (shard_size < 0) shard_size = 2 * (int64_t)((double)size * 1.5 + 10);
    if (shard_size < size) shard_size = size;
    s->terms.size = size > INT32_MAX ? INT32_MAX : (uint32_t)size;
    s->terms.shard_size = shard_size > INT32_MAX ? INT32_MAX : (uint32_t)shard_size;
    s->terms.shard_min_doc_count = shard_min > a->min_doc_count ? a->min_doc_count : shard_min;
    return 0;
}

static int bind_background(qdi_binder *x, qdi_bound *b)
{
    qd_query_built built;
    qdi_significant_bound *to = b->state;
    const qd_query *q = qdi_significant_of(b->def)->background;
    if (!q) return 0;
    int rc = qd_query_build(x->q, q, &built, x->err);
    if (rc) return rc;
    to->background = built.root;
    x->clauses += built.clauses;
    x->uncacheable |= built.uncacheable;
    return 0;
}

/* --- results ---------------------------------------------------------------------------------- */

typedef struct scored {
    qdi_bucket_out b;
    double score;
    uint32_t place;
} scored;

static int by_score(const void *arg, const void *x, const void *y)
{
    const scored *a = x, *b = y;
    (void)arg;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place; /* in the order of their keys */
}

/* Orders by score, and cuts. */
static int best(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    qdi_significant_value *v = qdi_significant_value_of(out);
    uint32_t n = 0;
    scored *s = qd_arena_alloc(r->arena, (out->n + 1ul) * sizeof *s);
    if (!s) return qdi_aggs_reduce_no_memory(r, out->n * sizeof *s, err);
    for (uint32_t i = 0; i < out->n; i++) {
        const qdi_bucket_out *b = &out->b[i];
        double score =
            qdi_significant_score(out->def, b->docs, v->docs, (uint64_t)b->error, v->background);
        if ((int64_t)b->docs < out->def->min_doc_count || !(score > 0)) continue;
        s[n] = (scored){*b, score, n};
        n++;
    }
    if (qdi_aggs_sort(NULL, s, n, sizeof *s, by_score, NULL))
        return qdi_aggs_reduce_no_memory(r, n * sizeof *s, err);
    uint32_t size = qdi_significant_of(out->def)->terms.size;
    out->n = n < size ? n : size;
    v->scores = qd_arena_alloc(r->arena, (out->n + 1ul) * sizeof *v->scores);
    if (!v->scores) return qdi_aggs_reduce_no_memory(r, out->n * sizeof *v->scores, err);
    for (uint32_t i = 0; i < out->n; i++) {
        out->b[i] = s[i].b;
        v->scores[i] = s[i].score;
    }
    return qdi_aggs_reduce_count(r, out->n, err);
}

static int reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const qdi_agg *def = out->def;
    qdi_part *p;
    uint32_t n;
    int rc = qdi_aggs_gather(r, in, k, true, NULL, out, &p, &n, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < k; i++) {
        qdi_significant_value_of(out)->docs += qdi_significant_value_of(in[i])->docs;
        qdi_significant_value_of(out)->background += qdi_significant_value_of(in[i])->background;
    }
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        j = qdi_aggs_run_end(out, NULL, p, i, n);
        qdi_bucket_out *o = &out->b[out->n++];
        int64_t background = 0;
        for (uint32_t q = i; q < j; q++) background += p[q].b->error;
        rc = qdi_aggs_merge_bucket(r, def, p + i, j - i, o, err);
        o->error = background;
        if (rc == 0) rc = qdi_aggs_merge_subs(r, def, p + i, j - i, &o->subs, err);
    }
    qd_free(p);
    return rc || !r->final ? rc : best(r, out, err);
}

static void send_value(const qdi_out *o, qd_writer *w)
{
    qd_write_varint(w, qdi_significant_value_of(o)->docs);
    qd_write_varint(w, qdi_significant_value_of(o)->background);
}

static void receive_value(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    (void)tree, (void)arena;
    qdi_significant_value_of(o)->docs = qd_read_varint(r, "significant_terms.docs");
    qdi_significant_value_of(o)->background = qd_read_varint(r, "significant_terms.background");
}

static void write_value(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const qdi_significant_value *v = qdi_significant_value_of(o);
    qd_json_key_c(w, "doc_count");
    qd_json_uint(w, v->docs);
    qd_json_key_c(w, "bg_count");
    qd_json_uint(w, v->background);
    qdi_aggs_buckets_open(false, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_json_object(w);
        qdi_aggs_write_key(o, i, false, w);
        qd_json_key_c(w, "doc_count");
        qd_json_uint(w, o->b[i].docs);
        qd_json_field_double(w, "score", v->scores ? v->scores[i] : 0);
        qd_json_field_int(w, "bg_count", o->b[i].error);
        if (o->b[i].subs) qdi_aggs_write_subs(o->b[i].subs, o->def->nsubs, typed, w);
        qd_json_object_end(w);
    }
    qdi_aggs_buckets_close(false, w);
}

static const char *typed_key(const qdi_out *o)
{
    if (!o->bound) return "umsigterms";
    return o->kind == QDI_ORD ? "sigsterms" : "siglterms";
}

static int bind_checked(qdi_binder *x, qdi_bound *b)
{
    if (b->values == QDI_F64) {
        return qd_err_set(x->err, QD_E_UNSUPPORTED,
                          "No support for examining floating point numerics");
    }
    return bind_background(x, b);
}

const qd_agg_type qdi_aggs_significant_terms = {
    .name = "significant_terms",
    .flags = QDI_MULTI | QDI_VALUES | QDI_TAKES_BYTES | QDI_STRING_KEYS | QDI_EXACT | QDI_NO_ORDER,
    .params_size = sizeof(qdi_significant),
    .bound_size = sizeof(qdi_significant_bound),
    .value_size = sizeof(qdi_significant_value),
    .members = "field,format,size,shard_size,min_doc_count,shard_min_doc_count,include,exclude,"
               "execution_hint,background_filter,jlh,mutual_information,chi_square,gnd,percentage,"
               "script_heuristic",
    .parse = parse,
    .bind = bind_checked,
    .unmapped = "keyword",
    .factory = "SignificantTermsAggregatorFactory",
    .ops = &qdi_aggs_significant_ops,
    .reduce = reduce,
    .send = send_value,
    .receive = receive_value,
    .write = write_value,
    .typed_key = typed_key,
};
