/*
 * histogram_common.c: histogram and date_histogram: bounds, merging, empty buckets.
 */
#include "aggs/bucket/histogram_int.h"
#include <stdio.h>

static int get_bounds(qdi_parse *p, qdi_agg *a, const char *key, qd_query_value out[2])
{
    const qd_json_node *m = qd_json_get(a->json, key);
    bool dates = qdi_histogram_of(a)->dates;
    const char *type = !dates ? "double_bounds" : "bounds";
    double v;
    if (!m) return 0;
    if (m->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, a->type->name, m);
    for (const qd_json_node *b = m->first; b; b = b->next) {
        int i = qd_str_is(b->key, "min") ? 0 : qd_str_is(b->key, "max") ? 1 : -1;
        if (i < 0) {
            qdi_aggs_xcontent_error(p, b, "[%s] unknown field [%.*s]", type, QD_STR_ARG(b->key));
            return qdi_aggs_setter(p, a->type->name, m);
        }
        if (!dates && b->type == QD_JSON_T_STRING && qd_f64_parse(b->text, &v)) {
            qdi_aggs_xcontent_error(p, b, "[%s] failed to parse field [%.*s]", type,
                                    QD_STR_ARG(b->key));
            return qdi_aggs_setter(p, a->type->name, m);
        }
        if (b->type == QD_JSON_T_NULL) continue;
        int rc = qdi_aggs_get_value(p, a, b, &out[i]);
        if (rc) return rc;
    }
    return 0;
}

int qdi_aggs_histogram_members(qdi_parse *p, qdi_agg *a)
{
    int rc = qdi_aggs_get_i64(p, a, "min_doc_count", &a->min_doc_count);
    if (!rc) rc = get_bounds(p, a, "extended_bounds", qdi_histogram_of(a)->bounds[0]);
    if (!rc) rc = get_bounds(p, a, "hard_bounds", qdi_histogram_of(a)->bounds[1]);
    if (!rc) rc = qdi_aggs_parse_order(p, a, (qdi_order){.by = QDI_BY_KEY, .ascending = true});
    return rc ? rc : qdi_aggs_at_least(p, a, "min_doc_count", "minDocCount", a->min_doc_count, 0);
}

static void bound_text(const qdi_bound *b, const qdi_bounds *o, uint32_t i,
                       char out[QD_F64_TEXT_MAX])
{
    out[0] = 0;
    if (!o->has[i]) return;
    if (!qdi_histogram_of(b->def)->dates)
        qd_f64_print(out, o->f[i]);
    else
        qd_i64_print(out, o->i[i]);
}

static int bind_bounds(qdi_binder *x, qdi_bound *b)
{
    static const char *const names[] = {"extended_bounds", "hard_bounds"};
    for (uint32_t k = 0; k < 2; k++) {
        qdi_bounds *o = &qdi_histogram_bounds(b)[k];
        for (uint32_t i = 0; i < 2; i++) {
            qd_query_value v = qdi_histogram_of(b->def)->bounds[k][i];
            if (!v.text.p) continue;
            int rc = qdi_aggs_bind_number(x, b, v, &o->f[i], &o->i[i]);
            if (rc) return rc;
            o->has[i] = true;
        }
        if (o->has[0] && o->has[1] && o->f[0] > o->f[1]) {
            char min[QD_F64_TEXT_MAX], max[QD_F64_TEXT_MAX];
            bound_text(b, o, 0, min);
            bound_text(b, o, 1, max);
            return qd_err_set(x->err, QD_E_ARG,
                              "[%s.min][%s] cannot be greater than [%s.max][%s] for histogram "
                              "aggregation [%.*s]",
                              names[k], min, names[k], max, QD_STR_ARG(b->def->name));
        }
        if (k == QDI_BOUNDS_HARD && qdi_histogram_of(b->def)->dates)
            for (uint32_t i = 0; i < 2; i++) { /* rounded without the offset */
                int64_t offset = qdi_histogram_of(b->def)->round.offset_ms;
                o->i[i] = qdi_aggs_round_date(&qdi_histogram_of(b->def)->round, o->i[i] + offset) -
                          offset;
            }
    }
    const qdi_bounds *e = &qdi_histogram_bounds(b)[QDI_BOUNDS_EXTENDED],
                     *h = &qdi_histogram_bounds(b)[QDI_BOUNDS_HARD];
    if (!(h->has[0] && e->has[0] && e->f[0] < h->f[0]) &&
        !(h->has[1] && e->has[1] && e->f[1] > h->f[1]))
        return 0;
    char text[2][2][QD_F64_TEXT_MAX];
    for (uint32_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < 2; i++) {
            qd_str given = qdi_histogram_of(b->def)->bounds[k][i].text;
            if (!qdi_histogram_of(b->def)->dates)
                bound_text(b, &qdi_histogram_bounds(b)[k], i, text[k][i]);
            else
                snprintf(text[k][i], sizeof text[k][i], "%.*s", QD_STR_ARG(given));
        }
    return qd_err_set(x->err, QD_E_ARG,
                      "Extended bounds have to be inside hard bounds, hard bounds: [%s--%s], "
                      "extended bounds: [%s--%s]",
                      text[1][0], text[1][1], text[0][0], text[0][1]);
}

/* Numbers are counted by numbers, instants by the calendar. */
static int check_ranges(qdi_binder *x, const qdi_bound *b)
{
    const qd_field *f = b->field;
    if (!qdi_histogram_of_ranges(b)) return 0;
    if (qdi_histogram_of(b->def)->dates && !f->dates)
        return qd_err_set(x->err, QD_E_ARG, "Expected date range type but found range type [%s]",
                          qd_field_type_name(f));
    if (f->low->value_class == QD_VALUE_I64) return 0;
    return qd_err_set(x->err, QD_E_ARG,
                      "Expected numeric range type but found non-numeric range [%s]",
                      qd_field_type_name(f));
}

int qdi_aggs_histogram_bind(qdi_binder *x, qdi_bound *b)
{
    int wrong = check_ranges(x, b);
    if (wrong) return wrong;
    const qdi_histogram *h = qdi_histogram_of(b->def);
    int rc = qdi_aggs_rounding_check(x, b->def, &h->round, h->dates);
    return rc ? rc : bind_bounds(x, b);
}

/* --- merging ---------------------------------------------------------------------------------- */

static int64_t next_key(const qdi_agg *d, int64_t key)
{
    return qdi_histogram_of(d)->dates ? qdi_aggs_round_next(&qdi_histogram_of(d)->round, key)
                                      : key + 1;
}

/* The key of an extended bound. */
static int64_t bound_key(const qdi_out *out, uint32_t i)
{
    const qdi_bounds *b = &qdi_histogram_bounds(out->bound)[QDI_BOUNDS_EXTENDED];
    const qdi_agg *d = out->def;
    /* a bound is rounded without the offset, which the keys then have */
    if (qdi_histogram_of(d)->dates)
        return qdi_aggs_round_date(&qdi_histogram_of(d)->round,
                                   b->i[i] + qdi_histogram_of(d)->round.offset_ms);
    return qdi_histogram_index(&qdi_histogram_of(d)->round, b->f[i]);
}

typedef struct filler {
    qdi_reduce *r;
    qdi_out *out;
    uint32_t cap;
    qdi_out **empty; /* children of an empty bucket: made and counted once, as in Elasticsearch */
} filler;

static int put(filler *f, const qdi_bucket_out *b, qd_err *err)
{
    int64_t most = f->r->tree->max_buckets;
    if (most >= 0 && f->r->buckets + f->out->n + 1 > most)
        return qdi_aggs_reduce_count(f->r, f->out->n + 1, err);
    if (f->out->n == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 64;
        qdi_bucket_out *at = qd_arena_alloc(f->r->arena, cap * sizeof *at);
        if (!at) return qdi_aggs_reduce_no_memory(f->r, cap * sizeof *at, err);
        if (f->out->n) memcpy(at, f->out->b, f->out->n * sizeof *at);
        f->out->b = at;
        f->cap = cap;
    }
    f->out->b[f->out->n++] = *b;
    return 0;
}

static int put_empty(filler *f, int64_t key, qd_err *err)
{
    qdi_bucket_out b = {.key = key};
    uint32_t n = f->out->def->nsubs;
    int rc = 0;
    if (n && !f->empty) rc = qdi_aggs_reduce_subs(f->r, f->out->def, NULL, 0, &f->empty, err);
    if (rc) return rc;
    if (n) { /* an array of its own: pipelines put their results there */
        b.subs = qd_arena_alloc(f->r->arena, n * sizeof(qdi_out *));
        if (!b.subs) return qdi_aggs_reduce_no_memory(f->r, n * sizeof(qdi_out *), err);
        memcpy(b.subs, f->empty, n * sizeof(qdi_out *));
    }
    return put(f, &b, err);
}

/* Puts empty buckets between those that have documents, and out to the extended bounds. */
static int fill(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    const qdi_agg *d = out->def;
    const qdi_bucket_out *old = out->b;
    uint32_t n = out->n;
    const qdi_bounds *e =
        out->bound ? &qdi_histogram_bounds(out->bound)[QDI_BOUNDS_EXTENDED] : NULL;
    bool lo = e && e->has[0], hi = e && e->has[1];
    filler f = {.r = r, .out = out};
    out->b = NULL;
    out->n = 0;
    int rc = 0;
    int64_t stop = hi ? bound_key(out, 1) : 0, key = 0;
    if (n == 0) {
        if (!lo || !hi) return 0;
        for (key = bound_key(out, 0); rc == 0 && key <= stop && key != INT64_MAX;
             key = next_key(d, key))
            rc = put_empty(&f, key, err);
        return rc;
    }
    if (lo)
        for (key = bound_key(out, 0); rc == 0 && key < old[0].key; key = next_key(d, key))
            rc = put_empty(&f, key, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = put(&f, &old[i], err);
        key = next_key(d, old[i].key);
        for (; rc == 0 && i + 1 < n && key < old[i + 1].key; key = next_key(d, key))
            rc = put_empty(&f, key, err);
    }
    for (; rc == 0 && hi && key <= stop && key != INT64_MAX; key = next_key(d, key))
        rc = put_empty(&f, key, err);
    return rc;
}

int qdi_aggs_histogram_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                              qd_err *err)
{
    const qdi_agg *def = out->def;
    qdi_part *p;
    uint32_t n;
    out->kind = QDI_I64;
    int rc = qdi_aggs_gather(r, in, k, false, NULL, out, &p, &n, err);
    if (rc) return rc;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        for (j = i + 1; j < n && p[j].key == p[i].key; j++) {}
        qdi_bucket_out *o = &out->b[out->n];
        rc = qdi_aggs_merge_bucket(r, def, p + i, j - i, o, err);
        if (r->final && (int64_t)o->docs < def->min_doc_count) continue;
        if (rc == 0) rc = qdi_aggs_merge_subs(r, def, p + i, j - i, &o->subs, err);
        out->n++;
    }
    qd_free(p);
    if (rc || !r->final) return rc;
    if (def->min_doc_count == 0) rc = fill(r, out, err);
    bool by_key = def->order[0].by == QDI_BY_KEY && def->order[0].ascending;
    if (rc == 0 && !by_key) rc = qdi_aggs_sort_buckets(r, out, def->order, def->norder, err);
    return rc;
}

void qdi_aggs_histogram_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qdi_aggs_buckets_open(o->def->keyed, w);
    for (uint32_t i = 0; i < o->n; i++) {
        char text[128];
        if (o->def->keyed) qd_json_key(w, qdi_aggs_bucket_key_text(o, i, text));
        qd_json_object(w);
        qdi_aggs_write_key(o, i, true, w);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(o->def->keyed, w);
}
