/*
 * weighted_avg.c: weighted_avg: the mean of a field's numbers, weighted by another field's.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include <math.h>

typedef struct params {
    qd_str weight_field;
    bool has_weight_missing;
    qd_query_value weight_missing;
} params;

static params *params_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct value {
    double sum, sum_low, weight, weight_low;
    uint64_t n;
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

/* The weight's field; the value's is the aggregation's own. */
static qdi_bound *weight_of(const qdi_bound *b)
{
    return b->state;
}

static int weighted_parse(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *v = qd_json_get(a->json, "value"), *w = qd_json_get(a->json, "weight");
    const qd_json_node *f = v ? qd_json_get(v, "field") : NULL,
                       *g = w ? qd_json_get(w, "field") : NULL;
    if (!f || !g || f->type != QD_JSON_T_STRING || g->type != QD_JSON_T_STRING)
        return qd_err_set(p->err, QD_E_ARG,
                          "Required one of fields [field, script], but none were specified. ");
    a->field = f->text;
    params_of(a)->weight_field = g->text;
    const qd_json_node *m = qd_json_get(v, "missing");
    int rc = 0;
    if (m) {
        a->has_missing = true;
        rc = qdi_aggs_get_value(p, a, m, &a->missing);
    }
    m = qd_json_get(w, "missing");
    if (!rc && m) {
        params_of(a)->has_weight_missing = true;
        rc = qdi_aggs_get_value(p, a, m, &params_of(a)->weight_missing);
    }
    m = qd_json_get(a->json, "format");
    if (m && m->type == QD_JSON_T_STRING) a->format = m->text;
    return rc;
}

static int weighted_bind(qdi_binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    qdi_bound *w = weight_of(b);
    w->def = a;
    return qdi_aggs_bind_field(x, a, params_of(a)->weight_field, params_of(a)->has_weight_missing,
                               params_of(a)->weight_missing, w);
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct wrow {
    double sum, sum_low, weight, weight_low;
    uint64_t n;
} wrow;

typedef struct wstate {
    wrow *rows;
    uint32_t cap;
    qdi_source *value, *weight;
} wstate;

static int weighted_open(qdi_aggr *a, qd_err *err)
{
    wstate *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    if (!a->bound->field || !weight_of(a->bound)->field) return 0;
    int rc = qdi_aggs_source_get(a->shard, a->bound, false, &t->value, err);
    if (rc == 0) rc = qdi_aggs_source_get(a->shard, weight_of(a->bound), false, &t->weight, err);
    return rc;
}

static int weighted_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    wstate *t = a->state;
    return qdi_aggs_grow(a->shard->account, &t->rows, &t->cap, n, sizeof *t->rows, err);
}

static int weighted_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                            qd_err *err)
{
    wstate *t = a->state;
    if (!t->value || !t->weight) return 0;
    int rc = qdi_aggs_source_index(a->shard, t->value, err);
    if (!rc) rc = qdi_aggs_source_index(a->shard, t->weight, err);
    if (!rc) rc = qdi_aggs_source_f64(a->shard, t->value, err);
    if (!rc) rc = qdi_aggs_source_f64(a->shard, t->weight, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to, wfrom, wto;
        wrow *r = &t->rows[owner ? owner[i] : 0];
        qdi_source_doc(t->value, idx ? idx[i] : i, &from, &to);
        qdi_source_doc(t->weight, idx ? idx[i] : i, &wfrom, &wto);
        if (from == to || wfrom == wto) continue;
        if (wto - wfrom > 1)
            return qd_err_set(err, QD_E_ARG,
                              "Encountered more than one weight for a single document. Use a "
                              "script to combine multiple weights-per-doc into a single value.");
        double w = t->weight->f64[wfrom];
        for (uint32_t k = from; k < to; k++) {
            qdi_kahan(&r->sum, &r->sum_low, t->value->f64[k] * w);
            qdi_kahan(&r->weight, &r->weight_low, w);
            r->n++;
        }
    }
    return rc;
}

static int weighted_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    wstate *t = a->state;
    (void)err;
    if (owner >= t->cap) return 0;
    const wrow *r = &t->rows[owner];
    value_of(out)->sum = r->sum;
    value_of(out)->sum_low = r->sum_low;
    value_of(out)->weight = r->weight;
    value_of(out)->weight_low = r->weight_low;
    value_of(out)->n = r->n;
    return 0;
}

static double weighted_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    wstate *t = a->state;
    (void)member;
    const wrow *r = &t->rows[owner];
    return r->n ? (r->sum - r->sum_low) / (r->weight - r->weight_low) : NAN;
}

static void weighted_close(qdi_aggr *a)
{
    wstate *t = a->state;
    if (t) qd_free(t->rows);
}

static const qdi_ops ops = {.open = weighted_open,
                            .grow = weighted_grow,
                            .collect = weighted_collect,
                            .build = weighted_build,
                            .metric = weighted_metric,
                            .close = weighted_close};

/* --- results ---------------------------------------------------------------------------------- */

static int weighted_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    value *to = value_of(out);
    (void)r, (void)err;
    for (uint32_t i = 0; i < k; i++) {
        const value *v = value_of(in[i]);
        qdi_kahan(&to->sum, &to->sum_low, v->sum - v->sum_low);
        qdi_kahan(&to->weight, &to->weight_low, v->weight - v->weight_low);
        to->n += v->n;
    }
    return 0;
}

static double weighted_value(const qdi_out *o, qd_str member)
{
    const value *v = value_of(o);
    (void)member;
    return v->n ? (v->sum - v->sum_low) / (v->weight - v->weight_low) : NAN;
}

static void weighted_send(const qdi_out *o, qd_writer *w)
{
    const value *v = value_of(o);
    qd_write_double(w, v->sum);
    qd_write_double(w, v->sum_low);
    qd_write_double(w, v->weight);
    qd_write_double(w, v->weight_low);
    qd_write_varint(w, v->n);
}

static void weighted_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    value *v = value_of(o);
    (void)tree, (void)arena;
    v->sum = qd_read_double(r, "weighted_avg.sum");
    v->sum_low = qd_read_double(r, "weighted_avg.sum_low");
    v->weight = qd_read_double(r, "weighted_avg.weight");
    v->weight_low = qd_read_double(r, "weighted_avg.weight_low");
    v->n = qd_read_varint(r, "weighted_avg.count");
}

const qd_agg_type qdi_aggs_weighted_avg = {
    .name = "weighted_avg",
    .key = "weighted_avg",
    .flags = QDI_METRIC,
    .params_size = sizeof(params),
    .bound_size = sizeof(qdi_bound),
    .value_size = sizeof(value),
    .members = "value,weight,format,value_type",
    .parse = weighted_parse,
    .bind = weighted_bind,
    .ops = &ops,
    .reduce = weighted_reduce,
    .value = weighted_value,
    .send = weighted_send,
    .receive = weighted_receive,
    .write = qdi_aggs_write_single,
};
