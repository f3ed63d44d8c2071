/*
 * matrix_stats.c: matrix_stats: moments of several fields and how they vary together, over the
 * documents that have a value of each. Means and sums of powers of differences are kept by the
 * update formulas of Welford and Terriberry, and merged by the pairwise ones of Chan, Golub and
 * LeVeque (1979) and Pébay (SAND2008-6212). They are kept wider than double, so that the order of
 * documents seldom changes a digit of an answer.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "base/hash.h"
#include <math.h>

#define FIELDS_MAX 64u /* bits of a set; the work of a document grows with the square */

typedef enum pick_mode { MODE_AVG, MODE_MIN, MODE_MAX, MODE_SUM, MODE_MEDIAN } pick_mode;

typedef struct column {
    qd_str name;
    bool has_missing;
    qd_query_value missing;
} column;

typedef struct params {
    column at[FIELDS_MAX]; /* as Elasticsearch shows them: in the order of a HashMap */
    uint32_t n;
    pick_mode mode;
} params;

static params *params_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct matrix_bound {
    qdi_bound *at; /* by field */
    uint64_t fields;
} matrix_bound;

static matrix_bound *bound_of(const qdi_bound *b)
{
    return b->state;
}

/* What is kept of a field. */
enum { SUM, MEAN, M2, M3, M4, KEPT };

typedef long double real;

typedef struct value {
    uint64_t docs;
    uint64_t fields; /* those that have figures */
    real *m;         /* KEPT of each field, then the pairs (i < j); NULL without documents */
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

/* Numbers of n fields. */
static uint32_t size_of(uint32_t n)
{
    return n * KEPT + n * (n - 1) / 2;
}

/* Where the pair of i < j stands. */
static uint32_t pair_at(uint32_t n, uint32_t i, uint32_t j)
{
    return n * KEPT + i * (2 * n - i - 1) / 2 + (j - i - 1);
}

/* --- parsing ---------------------------------------------------------------------------------- */

static int unexpected(qdi_parse *p, const qdi_agg *a, const qd_json_node *m, const qd_json_node *at)
{
    return qdi_aggs_parse_error(p, at, "Unexpected token %s [%.*s] in [%.*s].",
                                qd_json_type_token(at->type), QD_STR_ARG(m->key),
                                QD_STR_ARG(a->name));
}

static column *find(params *m, qd_str name)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (qd_str_eq(m->at[i].name, name)) return &m->at[i];
    return NULL;
}

/* A name given twice counts once. */
static int add_field(qdi_parse *p, qdi_agg *a, const qd_json_node *m, const qd_json_node *name)
{
    params *to = params_of(a);
    if (name->type != QD_JSON_T_STRING) return unexpected(p, a, m, name);
    if (find(to, name->text)) return 0;
    if (to->n == FIELDS_MAX)
        return qdi_aggs_parse_error(p, name, "[fields] of [%.*s] holds more than [%u] fields",
                                    QD_STR_ARG(a->name), FIELDS_MAX);
    to->at[to->n++].name = name->text;
    return 0;
}

static void as_hash_map(params *m)
{
    uint32_t size = 16;
    while (m->n > size / 4 * 3) size *= 2;
    for (uint32_t i = 1; i < m->n; i++) {
        column c = m->at[i];
        uint32_t slot = qd_java_hash(c.name) & (size - 1), at = i;
        for (; at && (qd_java_hash(m->at[at - 1].name) & (size - 1)) > slot; at--)
            m->at[at] = m->at[at - 1];
        m->at[at] = c;
    }
}

static int read_missing(qdi_parse *p, qdi_agg *a, const qd_json_node *m)
{
    if (m->type != QD_JSON_T_OBJECT) return unexpected(p, a, m, m);
    for (const qd_json_node *v = m->first; v; v = v->next) {
        column *c = find(params_of(a), v->key);
        if (!c)
            return qdi_aggs_parse_error(p, v,
                                        "[missing] of [%.*s] names [%.*s], which [fields] "
                                        "does not hold",
                                        QD_STR_ARG(a->name), QD_STR_ARG(v->key));
        if (c->has_missing)
            return qdi_aggs_parse_error(
                p, v, "Missing field [%.*s] already defined as [%.*s] in [%.*s].",
                QD_STR_ARG(v->key), QD_STR_ARG(c->missing.text), QD_STR_ARG(a->name));
        c->has_missing = true;
        int rc = qdi_aggs_get_value(p, a, v, &c->missing);
        if (rc) return rc;
    }
    return 0;
}

static int read_mode(qdi_parse *p, qdi_agg *a, const qd_json_node *m)
{
    static const char *const names[] = {"avg", "min", "max", "sum", "median"};
    if (m->type != QD_JSON_T_STRING) return unexpected(p, a, m, m);
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!qd_str_ieq(m->text, qd_str_c(names[i]))) continue;
        params_of(a)->mode = (pick_mode)i;
        return 0;
    }
    return qd_err_set(p->err, QD_E_ARG, "Illegal sort mode: %.*s", QD_STR_ARG(m->text));
}

static int matrix_parse(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *fields = qd_json_get(a->json, "fields");
    int rc = 0;
    for (const qd_json_node *m = a->json->first; m; m = m->next) {
        if (qd_str_is(m->key, "script"))
            return qdi_aggs_parse_error(
                p, m,
                "Unexpected token %s [script] in [%.*s]. Multi-field aggregations do not support "
                "scripts.",
                qd_json_type_token(m->type), QD_STR_ARG(a->name));
        if (!qdi_aggs_listed("fields,missing,mode", m->key)) return unexpected(p, a, m, m);
    }
    if (fields && fields->type == QD_JSON_T_ARRAY)
        for (const qd_json_node *f = fields->first; !rc && f; f = f->next)
            rc = add_field(p, a, fields, f);
    else if (fields)
        rc = add_field(p, a, fields, fields);
    if (rc) return rc;
    if (!params_of(a)->n)
        return qd_err_set(p->err, QD_E_ARG, "[fields] must not be null or empty: [%.*s]",
                          QD_STR_ARG(a->name));
    const qd_json_node *missing = qd_json_get(a->json, "missing"),
                       *mode = qd_json_get(a->json, "mode");
    if (missing) rc = read_missing(p, a, missing);
    if (!rc && mode) rc = read_mode(p, a, mode);
    as_hash_map(params_of(a));
    return rc;
}

/* Fields that the index does not map are left out of its part. */
static int matrix_bind(qdi_binder *x, qdi_bound *b)
{
    const params *m = params_of(b->def);
    matrix_bound *to = bound_of(b);
    to->at = qd_arena_calloc(x->arena, m->n * sizeof *to->at);
    if (!to->at) return qd_err_nomem(x->err, "aggregations");
    for (uint32_t i = 0; i < m->n; i++) {
        to->at[i].def = b->def;
        int rc = qdi_aggs_bind_field(x, b->def, m->at[i].name, m->at[i].has_missing,
                                     m->at[i].missing, &to->at[i]);
        if (rc) return rc;
        if (to->at[i].field) to->fields |= (uint64_t)1 << i;
    }
    return 0;
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct mstate {
    uint64_t *docs; /* by owner */
    real *m;        /* by owner: size_of(n) */
    uint32_t cap, cap_m, n, size;
    qdi_source *src[FIELDS_MAX]; /* of the n fields that the index maps */
    uint32_t field[FIELDS_MAX];  /* their numbers in the definition */
    real v[FIELDS_MAX];          /* of a document */
    double *sorted;              /* its values, for a median */
    uint32_t cap_sorted;
} mstate;

static int matrix_open(qdi_aggr *a, qd_err *err)
{
    const matrix_bound *b = bound_of(a->bound);
    mstate *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    for (uint32_t i = 0; i < params_of(a->def)->n; i++) {
        if (!(b->fields >> i & 1)) continue;
        int rc = qdi_aggs_source_get(a->shard, &b->at[i], false, &t->src[t->n], err);
        if (rc) return rc;
        t->field[t->n++] = i;
    }
    t->size = size_of(t->n);
    return 0;
}

static int matrix_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    mstate *t = a->state;
    if (!t->n) return 0;
    int rc = qdi_aggs_grow(a->shard->account, &t->m, &t->cap_m, n, t->size * sizeof *t->m, err);
    return rc ? rc : qdi_aggs_grow(a->shard->account, &t->docs, &t->cap, n, sizeof *t->docs, err);
}

static int double_order(const void *arg, const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    (void)arg;
    return x < y ? -1 : x > y;
}

static int median(qdi_aggr *a, const double *v, uint32_t n, double *out, qd_err *err)
{
    mstate *t = a->state;
    qd_account *account = a->shard->account;
    int rc = qdi_aggs_grow(account, &t->sorted, &t->cap_sorted, n, sizeof *v, err);
    if (rc) return rc;
    memcpy(t->sorted, v, n * sizeof *v);
    if (qdi_aggs_sort(account, t->sorted, n, sizeof *v, double_order, NULL))
        return qdi_aggs_no_memory(account, n * sizeof *v, "matrix_stats", err);
    *out = n % 2 ? t->sorted[n / 2] : (t->sorted[n / 2 - 1] + t->sorted[n / 2]) / 2;
    return 0;
}

/* The one value of a document's n values, n > 0. */
static int pick(qdi_aggr *a, pick_mode mode, const double *v, uint32_t n, double *out, qd_err *err)
{
    *out = v[0];
    if (n == 1) return 0;
    if (mode == MODE_MEDIAN) return median(a, v, n, out, err);
    for (uint32_t i = 1; i < n; i++) {
        if (mode == MODE_MIN)
            *out = v[i] < *out ? v[i] : *out;
        else if (mode == MODE_MAX)
            *out = v[i] > *out ? v[i] : *out;
        else
            *out += v[i];
    }
    if (mode == MODE_AVG) *out /= n;
    return 0;
}

/* One document, the docs-th. */
static void add(real *m, uint32_t n, real docs, real *v)
{
    for (uint32_t i = 0; i < n; i++) {
        real *f = m + i * KEPT;
        real d = v[i] - f[MEAN], dn = d / docs, dn2 = dn * dn, t = d * dn * (docs - 1);
        f[SUM] += v[i];
        v[i] = v[i] * docs - f[SUM];
        if (docs == 1) {
            f[MEAN] = f[SUM];
            continue;
        }
        f[MEAN] += dn;
        f[M4] += t * dn2 * (docs * docs - 3 * docs + 3) + 6 * dn2 * f[M2] - 4 * dn * f[M3];
        f[M3] += t * dn * (docs - 2) - 3 * dn * f[M2];
        f[M2] += t;
    }
    if (docs == 1) return;
    real *pair = m + n * KEPT, scale = 1 / (docs * (docs - 1));
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++) *pair++ += scale * v[i] * v[j];
}

static int matrix_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    mstate *t = a->state;
    pick_mode mode = params_of(a->def)->mode;
    if (!t->n) return 0;
    for (uint32_t f = 0; f < t->n; f++) {
        int rc = qdi_aggs_source_index(a->shard, t->src[f], err);
        if (!rc) rc = qdi_aggs_source_f64(a->shard, t->src[f], err);
        if (rc) return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, f, o = owner ? owner[i] : 0;
        double v;
        for (f = 0; f < t->n; f++) {
            qdi_source_doc(t->src[f], idx ? idx[i] : i, &from, &to);
            if (from == to) break;
            int rc = pick(a, mode, t->src[f]->f64 + from, to - from, &v, err);
            if (rc) return rc;
            t->v[f] = v;
        }
        if (f < t->n) continue;
        t->docs[o]++;
        add(t->m + (size_t)o * t->size, t->n, (real)t->docs[o], t->v);
    }
    return 0;
}

static real *numbers(qd_arena *arena, const qdi_agg *def)
{
    return qd_arena_calloc(arena, size_of(params_of(def)->n) * sizeof(real));
}

static int matrix_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    mstate *t = a->state;
    value *to = value_of(out);
    uint32_t n = params_of(a->def)->n;
    if (owner >= t->cap || !t->docs[owner]) return 0;
    to->docs = t->docs[owner];
    to->fields = bound_of(a->bound)->fields;
    to->m = numbers(&a->shard->partial->arena, a->def);
    if (!to->m)
        return qdi_aggs_no_memory(a->shard->account, size_of(n) * sizeof(real), "matrix_stats",
                                  err);
    const real *from = t->m + (size_t)owner * t->size;
    for (uint32_t i = 0; i < t->n; i++) {
        memcpy(to->m + t->field[i] * KEPT, from + i * KEPT, KEPT * sizeof *from);
        for (uint32_t j = i + 1; j < t->n; j++)
            to->m[pair_at(n, t->field[i], t->field[j])] = from[pair_at(t->n, i, j)];
    }
    return 0;
}

static void matrix_close(qdi_aggr *a)
{
    mstate *t = a->state;
    if (!t) return;
    qd_free(t->docs);
    qd_free(t->m);
    qd_free(t->sorted);
}

static const qdi_ops ops = {.open = matrix_open,
                            .grow = matrix_grow,
                            .collect = matrix_collect,
                            .build = matrix_build,
                            .close = matrix_close};

/* --- results ---------------------------------------------------------------------------------- */

/* Adds nb documents with the figures b to na with the figures a, of n fields. */
static void merge(real *a, const real *b, uint32_t n, real na, real nb)
{
    real all = na + nb, all2 = all * all, f = na * nb / all;
    real d[FIELDS_MAX];
    for (uint32_t i = 0; i < n; i++) {
        real *x = a + i * KEPT;
        const real *y = b + i * KEPT;
        real e = y[MEAN] - x[MEAN], e2 = e * e;
        d[i] = y[SUM] / nb - x[SUM] / na;
        x[M4] += y[M4] + e2 * e2 * na * nb * (na * na - na * nb + nb * nb) / (all2 * all) +
                 6 * e2 * (na * na * y[M2] + nb * nb * x[M2]) / all2 +
                 4 * e * (na * y[M3] - nb * x[M3]) / all;
        x[M3] +=
            y[M3] + e * e2 * na * nb * (na - nb) / all2 + 3 * e * (na * y[M2] - nb * x[M2]) / all;
        x[M2] += y[M2] + e2 * na * nb / all;
        x[MEAN] += e * nb / all; /* of a constant it stays as it is */
        x[SUM] += y[SUM];
    }
    for (uint32_t i = 0, at = n * KEPT; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++, at++) a[at] += b[at] + f * d[i] * d[j];
}

/* Figures stay of the fields that all parts with documents have. */
static int matrix_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    value *to = value_of(out);
    uint32_t n = params_of(out->def)->n;
    for (uint32_t i = 0; i < k; i++) {
        const value *v = value_of(in[i]);
        if (!v->docs) continue;
        if (!to->docs) {
            to->m = numbers(r->arena, out->def);
            if (!to->m) return qdi_aggs_reduce_no_memory(r, size_of(n) * sizeof *to->m, err);
            memcpy(to->m, v->m, size_of(n) * sizeof *to->m);
            to->fields = v->fields;
        } else {
            merge(to->m, v->m, n, (real)to->docs, (real)v->docs);
            to->fields &= v->fields;
        }
        to->docs += v->docs;
    }
    return 0;
}

static void matrix_send(const qdi_out *o, qd_writer *w)
{
    const value *v = value_of(o);
    qd_write_varint(w, v->docs);
    if (!v->docs) return;
    qd_write_varint(w, v->fields);
    for (uint32_t i = 0, n = size_of(params_of(o->def)->n); i < n; i++) {
        double high = (double)v->m[i];
        qd_write_double(w, high);
        qd_write_double(w, isfinite(high) ? (double)(v->m[i] - high) : 0);
    }
}

static void matrix_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    value *v = value_of(o);
    uint32_t fields = params_of(o->def)->n;
    (void)tree;
    v->docs = qd_read_varint(r, "matrix_stats.docs");
    if (qd_body_reader_bad(r) || !v->docs) return;
    v->fields = qd_read_varint(r, "matrix_stats.fields");
    if (fields < FIELDS_MAX && v->fields >> fields)
        qd_body_reader_fail(r, "matrix_stats.fields", "are of another request");
    v->m = numbers(arena, o->def);
    if (!v->m) qd_body_reader_nomem(r, "matrix_stats");
    for (uint32_t i = 0, n = size_of(fields); v->m && i < n && !qd_body_reader_bad(r); i++) {
        v->m[i] = qd_read_double(r, "matrix_stats.moment");
        v->m[i] += qd_read_double(r, "matrix_stats.rest");
    }
}

static real sum_of(const value *v, uint32_t n, uint32_t i, uint32_t j)
{
    if (i == j) return v->m[i * KEPT + M2];
    return i < j ? v->m[pair_at(n, i, j)] : v->m[pair_at(n, j, i)];
}

static double covariance(const value *v, uint32_t n, uint32_t i, uint32_t j)
{
    return (double)(sum_of(v, n, i, j) / ((real)v->docs - 1));
}

static double correlation(const value *v, uint32_t n, uint32_t i, uint32_t j)
{
    double x = (double)sum_of(v, n, i, i), y = (double)sum_of(v, n, j, j);
    if (i == j) return 1;
    return x == 0 || y == 0 ? NAN : (double)sum_of(v, n, i, j) / (sqrt(x) * sqrt(y));
}

typedef double between_fn(const value *v, uint32_t n, uint32_t i, uint32_t j);

static void write_row(const qdi_out *o, const char *key, between_fn *of, uint32_t i,
                      qd_json_writer *w)
{
    const params *p = params_of(o->def);
    const value *v = value_of(o);
    qd_json_key_c(w, key);
    qd_json_object(w);
    for (uint32_t j = 0; j < p->n; j++) {
        if (!(v->fields >> j & 1)) continue;
        qd_json_key(w, p->at[j].name);
        qd_json_double(w, of(v, p->n, i, j));
    }
    qd_json_object_end(w);
}

static void write_field(const qdi_out *o, uint32_t i, qd_json_writer *w)
{
    const value *v = value_of(o);
    const real *f = v->m + i * KEPT;
    real docs = (real)v->docs, m2 = f[M2];
    const struct {
        const char *key;
        double v;
    } figures[] = {{"mean", (double)f[MEAN]},
                   {"variance", (double)(m2 / (docs - 1))},
                   {"skewness", sqrt((double)docs) * (double)f[M3] / pow((double)m2, 1.5)},
                   {"kurtosis", (double)(docs * f[M4] / (m2 * m2))}};
    qd_json_object(w);
    qd_json_field_str(w, "name", params_of(o->def)->at[i].name);
    qd_json_key_c(w, "count");
    qd_json_uint(w, v->docs);
    for (uint32_t k = 0; k < QD_COUNT_OF(figures); k++) {
        qd_json_key_c(w, figures[k].key);
        qd_json_double(w, figures[k].v);
    }
    write_row(o, "covariance", covariance, i, w);
    write_row(o, "correlation", correlation, i, w);
    qd_json_object_end(w);
}

static void matrix_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const value *v = value_of(o);
    (void)typed;
    qd_json_key_c(w, "doc_count");
    qd_json_uint(w, v->docs);
    if (!v->docs || !v->fields) return;
    qd_json_key_c(w, "fields");
    qd_json_array(w);
    for (uint32_t i = 0; i < params_of(o->def)->n; i++)
        if (v->fields >> i & 1) write_field(o, i, w);
    qd_json_array_end(w);
}

const qd_agg_type qdi_aggs_matrix_stats = {
    .name = "matrix_stats",
    .key = "matrix_stats",
    .module = "aggs-matrix-stats",
    .flags = QDI_METRIC | QDI_NO_ORDER,
    .params_size = sizeof(params),
    .bound_size = sizeof(matrix_bound),
    .value_size = sizeof(value),
    .parse = matrix_parse,
    .bind = matrix_bind,
    .ops = &ops,
    .reduce = matrix_reduce,
    .send = matrix_send,
    .receive = matrix_receive,
    .write = matrix_write,
};
