/*
 * terms.c: terms: a bucket for each value of a field.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/bucket/terms_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"

static int text_list(qdi_parse *p, qdi_agg *a, const qd_json_node *m, const qd_str **out,
                     uint32_t *n)
{
    qd_str *at = qd_arena_calloc(p->arena, (m->n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(p->err, "terms to include");
    *n = 0;
    for (const qd_json_node *e = m->first; e; e = e->next) {
        qd_str t = qd_json_text(e);
        if (!t.p) return qdi_aggs_bad_value(p, a, m);
        at[(*n)++] = t;
    }
    *out = at;
    return 0;
}

static int parse_partition(qdi_parse *p, qdi_agg *a, const qd_json_node *m)
{
    qdi_include *in = &qdi_terms_of(a)->include;
    int64_t part = -1, parts = -1;
    const qd_json_node *c = qd_json_get(m, "partition"), *d = qd_json_get(m, "num_partitions");
    if (c && (!qd_json_text(c).p || qd_i64_parse(c->text, &part)))
        return qdi_aggs_bad_value(p, a, m);
    if (d && (!qd_json_text(d).p || qd_i64_parse(d->text, &parts)))
        return qdi_aggs_bad_value(p, a, m);
    if (part < 0)
        return qdi_aggs_setter_arg(p, a, m,
                                   "Missing [partition] parameter for partition-based include");
    if (parts < 0)
        return qdi_aggs_setter_arg(
            p, a, m, "Missing [num_partitions] parameter for partition-based include");
    if (part >= parts || parts > INT32_MAX)
        return qdi_aggs_setter_arg(
            p, a, m, "Partition must be >=0 and < numPartition which is %lld", (long long)parts);
    in->partition = (uint32_t)part;
    in->partitions = (uint32_t)parts;
    return 0;
}

int qdi_terms_parse_include(qdi_parse *p, qdi_agg *a)
{
    qdi_include *in = &qdi_terms_of(a)->include;
    const qd_json_node *m = qd_json_get(a->json, "include"), *x = qd_json_get(a->json, "exclude");
    int rc = 0;
    in->any = m || x;
    if (m && m->type != QD_JSON_T_OBJECT && m->type != QD_JSON_T_ARRAY &&
        m->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, a->type->name, m);
    if (x && x->type != QD_JSON_T_ARRAY && x->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, a->type->name, x);
    if (m && m->type == QD_JSON_T_OBJECT) {
        rc = parse_partition(p, a, m);
        if (rc == 0 && x)
            return qdi_aggs_setter_arg(
                p, a, x, "Cannot specify any excludes when using a partition-based include");
    } else if (m && m->type == QD_JSON_T_ARRAY) {
        in->has_list = true;
        rc = text_list(p, a, m, &in->list, &in->nlist);
    } else if (m) {
        in->include = m->text;
    }
    if (rc || !x) return rc;
    if (m && p->tree->flavour != QD_AGGS_ES8 && m->type != x->type)
        return qdi_aggs_setter_arg(p, a, x, "Cannot mix a %s-based include with a %s-based method",
                                   m->type == QD_JSON_T_STRING ? "regex" : "set",
                                   x->type == QD_JSON_T_STRING ? "regex" : "set");
    if (x->type == QD_JSON_T_ARRAY) {
        in->has_not_list = true;
        return text_list(p, a, x, &in->not_list, &in->nnot_list);
    }
    in->exclude = x->text;
    return 0;
}

static int check_hints(qdi_parse *p, const qdi_agg *a)
{
    const qd_json_node *c = qd_json_get(a->json, "collect_mode"),
                       *h = qd_json_get(a->json, "execution_hint");
    if (c && c->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, "terms", c);
    if (h && h->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, "terms", h);
    if (c && !qdi_aggs_listed("depth_first,breadth_first", c->text)) {
        qd_err_set(p->err, QD_E_ES_PARSE, "no [collect_mode] found for value [%.*s]",
                   QD_STR_ARG(c->text));
        return qdi_aggs_setter(p, "terms", c);
    }
    return 0;
}

int qdi_terms_read_sizes(qdi_parse *p, qdi_agg *a, qdi_terms_sizes *out)
{
    *out = (qdi_terms_sizes){.size = 10, .shard_size = -1};
    a->min_doc_count = 1;
    int rc = qdi_aggs_get_i64(p, a, "size", &out->size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shard_size", &out->shard_size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "min_doc_count", &a->min_doc_count);
    return rc ? rc : qdi_aggs_get_i64(p, a, "shard_min_doc_count", &out->shard_min_doc_count);
}

int qdi_terms_set_sizes(qdi_parse *p, qdi_agg *a, const qdi_terms_sizes *s, int64_t least)
{
    int64_t size = s->size, shard_size = s->shard_size, shard_min = s->shard_min_doc_count;
    int rc = qdi_aggs_parse_order(p, a, (qdi_order){.by = QDI_BY_COUNT});
    if (!rc) rc = qdi_aggs_at_least(p, a, "size", "size", size, 1);
    if (!rc) rc = qdi_aggs_at_least(p, a, "shard_size", "shardSize", shard_size, 1);
    if (!rc) rc = qdi_aggs_at_least(p, a, "min_doc_count", "minDocCount", a->min_doc_count, least);
    if (!rc) rc = qdi_aggs_at_least(p, a, "shard_min_doc_count", "shardMinDocCount", shard_min, 0);
    if (rc) return rc;
    a->visits_all = a->min_doc_count == 0;
    if (shard_size < 0)
        shard_size = a->order[0].by == QDI_BY_KEY ? size : (int64_t)((double)size * 1.5 + 10);
    if (shard_size < size) shard_size = size;
    qdi_terms_of(a)->size = (uint32_t)size;
    qdi_terms_of(a)->shard_size = (uint32_t)(shard_size > INT32_MAX ? INT32_MAX : shard_size);
    qdi_terms_of(a)->shard_min_doc_count =
        shard_min > a->min_doc_count ? a->min_doc_count : shard_min;
    return 0;
}

static int terms_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_terms_sizes sizes;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = check_hints(p, a);
    if (!rc) rc = qdi_terms_read_sizes(p, a, &sizes);
    if (!rc)
        rc = qdi_aggs_get_bool(p, a, "show_term_doc_count_error", &qdi_terms_of(a)->show_error);
    if (!rc) rc = qdi_terms_parse_include(p, a);
    return rc ? rc : qdi_terms_set_sizes(p, a, &sizes, 0);
}

static int terms_bind(qdi_binder *x, qdi_bound *b)
{
    const qd_json_node *h = qd_json_get(b->def->json, "execution_hint");
    if (b->script && b->def->min_doc_count == 0)
        return qd_err_set(x->err, QD_E_UNSUPPORTED,
                          "[terms] [min_doc_count] 0 is not supported with a [script]");
    if (!h || b->values != QDI_ORD || qd_str_is(h->text, "map") ||
        qd_str_is(h->text, "global_ordinals"))
        return 0;
    return qd_err_set(x->err, QD_E_ARG,
                      "Unknown `execution_hint`: [%.*s], expected any of [map, global_ordinals]",
                      QD_STR_ARG(h->text));
}

/* --- results ---------------------------------------------------------------------------------- */

static int64_t error_of(const qdi_out *const *in, const qdi_part *p, uint32_t n, int64_t sum)
{
    int64_t e = sum;
    if (sum < 0) return -1;
    for (uint32_t i = 0; i < n; i++) e += p[i].b->error - in[p[i].in]->error;
    return e;
}

int qdi_terms_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const qdi_agg *def = out->def;
    qdi_part *p;
    uint32_t n, size = qdi_terms_of(def)->size;
    int64_t sum = 0;
    int rc = qdi_aggs_gather(r, in, k, true, NULL, out, &p, &n, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < k; i++) {
        out->other += in[i]->other;
        if (in[i]->error < 0 || sum < 0)
            sum = -1;
        else
            sum += in[i]->error;
    }
    bool late = r->final; /* children are merged for what is kept only, if the order allows */
    for (uint32_t i = 0; i < def->norder; i++) late &= def->order[i].by != QDI_BY_METRIC;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        j = qdi_aggs_run_end(out, NULL, p, i, n);
        qdi_bucket_out *o = &out->b[out->n];
        rc = qdi_aggs_merge_bucket(r, def, p + i, j - i, o, err);
        if (r->final && (int64_t)o->docs < def->min_doc_count) continue;
        o->error = error_of((const qdi_out *const *)in, p + i, j - i, sum);
        if (rc == 0 && !late) rc = qdi_aggs_merge_subs(r, def, p + i, j - i, &o->subs, err);
        o->place = i;
        out->n++;
    }
    out->error = sum;
    if (rc == 0 && r->final) {
        rc = qdi_aggs_sort_buckets(r, out, def->order, def->norder, err);
        for (uint32_t i = size; rc == 0 && i < out->n; i++) out->other += out->b[i].docs;
        if (out->n > size) out->n = size;
        if (sum >= 0 && k == 1) out->error = 0;
    }
    for (uint32_t i = 0; rc == 0 && late && i < out->n; i++) {
        uint32_t from = out->b[i].place, to = qdi_aggs_run_end(out, NULL, p, from, n);
        rc = qdi_aggs_merge_subs(r, def, p + from, to - from, &out->b[i].subs, err);
    }
    qd_free(p);
    return rc;
}

static void terms_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qd_json_field_int(w, "doc_count_error_upper_bound", o->error);
    qd_json_key_c(w, "sum_other_doc_count");
    qd_json_uint(w, o->other);
    qdi_aggs_buckets_open(false, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_json_object(w);
        qdi_aggs_write_key(o, i, false, w);
        qdi_aggs_bucket_end(o, &o->b[i], qdi_terms_of(o->def)->show_error, typed, w);
    }
    qdi_aggs_buckets_close(false, w);
}

static const char *terms_typed_key(const qdi_out *o)
{
    if (!o->bound) return "sterms";
    return o->kind == QDI_ORD ? "sterms" : o->kind == QDI_F64 ? "dterms" : "lterms";
}

const qd_agg_type qdi_aggs_terms = {
    .name = "terms",
    .flags = QDI_MULTI | QDI_VALUES | QDI_TAKES_BYTES | QDI_STRING_KEYS | QDI_EXACT,
    .params_size = sizeof(qdi_terms),
    .members =
        "field,script,missing,format,value_type,size,shard_size,min_doc_count,shard_min_doc_count,"
        "show_term_doc_count_error,order,include,exclude,collect_mode,execution_hint",
    .parse = terms_parse,
    .bind = terms_bind,
    .unmapped = "keyword",
    .factory = "TermsAggregatorFactory",
    .ops = &qdi_aggs_terms_ops,
    .reduce = qdi_terms_reduce,
    .write = terms_write,
    .typed_key = terms_typed_key,
};
