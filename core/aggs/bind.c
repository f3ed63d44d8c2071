/*
 * bind.c: definitions meet a mapping: what kind of values a field has, how they are written, and
 * values of the request (missing, bounds, ranges, after) in the field's encoding.
 */
#include "aggs/aggs_int.h"
#include "query/dsl.h"
#include "query/node.h"
#include "runtime/task.h"
#include <math.h>
#include <stdio.h>

typedef struct binder {
    const qd_aggs_binding *how;
    const qd_query_context *q;
    qd_arena *arena;
    int64_t max_buckets;
    uint64_t clauses; /* of all filters so far */
    qd_err *err;
} binder;

static const char *error_type(const qdi_agg *a)
{
    return qdi_aggs_type_name(a->type);
}

static int not_supported(binder *x, const qdi_agg *a, const qd_field *f)
{
    return qd_err_set(x->err, QD_E_ARG,
                      "Field [%.*s] of type [%s] is not supported for aggregation [%s]",
                      QD_STR_ARG(f->name), qd_field_type_name(f), error_type(a));
}

/* Are byte strings fine for this type? */
static bool takes_terms(qdi_type t)
{
    return t == QDI_TERMS || t == QDI_VALUE_COUNT || t == QDI_CARDINALITY || t == QDI_MISSING ||
           t == QDI_IP_RANGE;
}

static int bind_format(binder *x, const qdi_agg *a, qdi_bound *b)
{
    const qd_field *f = b->field;
    qdi_format *fmt = &b->fmt;
    fmt->zone = a->zone;
    bool dates = a->type == QDI_DATE_HISTOGRAM || a->type == QDI_DATE_RANGE;
    if (f && f->kind == QD_FIELD_IP) {
        fmt->kind = QDI_FMT_IP;
    } else if ((f && f->kind == QD_FIELD_DATE) || (dates && (!f || a->type == QDI_DATE_RANGE))) {
        fmt->kind = QDI_FMT_DATE;
        fmt->date = qd_date_format_default();
        qd_str pattern = a->format;
        if (!pattern.p && f && f->kind == QD_FIELD_DATE)
            pattern = qd_date_format_pattern(f->format);
        if (!pattern.p) return 0;
        qd_date_format *d;
        int rc = qd_date_format_make(x->arena, qd_arena_str(x->arena, pattern), &d, x->err);
        if (rc == 0) fmt->date = d;
        return rc;
    } else if (f && f->kind == QD_FIELD_BOOLEAN) {
        fmt->kind = QDI_FMT_BOOL;
    } else if (a->format.p && f && b->values == QDI_ORD) {
        return qd_err_set(x->err, QD_E_ARG,
                          "Field [%.*s] of type [%s] does not support custom formats",
                          QD_STR_ARG(f->name), qd_field_type_name(f));
    } else if (a->format.p) {
        fmt->kind = QDI_FMT_DECIMAL;
        fmt->pattern = a->format;
    }
    return 0;
}

static int bind_missing(binder *x, const qdi_agg *a, qd_query_value missing, qdi_bound *b)
{
    const qd_field *f = b->field;
    b->has_missing = f != NULL;
    if (!f) return 0;
    qd_value_ctx ctx = {.now_ms = x->q->now_ms,
                        .zone = a->zone,
                        .format = b->fmt.kind == QDI_FMT_DATE ? b->fmt.date : NULL,
                        .scratch = x->q->analysis};
    if (b->values == QDI_ORD) {
        if (f->kind != QD_FIELD_IP) {
            b->missing_bytes = missing.text;
            return 0;
        }
        uint8_t *ip = qd_arena_alloc(x->arena, 16);
        if (!ip) return qd_err_nomem(x->err, "missing value");
        if (!qd_ip_parse(missing.text, ip))
            return qd_err_set(x->err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                              QD_STR_ARG(missing.text));
        b->missing_bytes = (qd_str){(const char *)ip, 16};
        return 0;
    }
    double v;
    if (f->kind == QD_FIELD_DATE && missing.quoted)
        return qd_date_math(ctx.format ? ctx.format : f->format, missing.text, ctx.now_ms, false,
                            a->zone, &b->missing, x->err);
    if (f->kind == QD_FIELD_BOOLEAN &&
        (qd_str_is(missing.text, "true") || qd_str_is(missing.text, "false"))) {
        b->missing = qd_str_is(missing.text, "true");
        return 0;
    }
    if (b->values == QDI_I64 && qd_str_i64(missing.text, &b->missing)) return 0;
    int rc = qd_f64_parse_java(missing.text, &v);
    if (rc)
        return qd_err_set(x->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(missing.text));
    b->missing = qd_field_from_f64(f, v);
    return 0;
}

static int fielddata_error(binder *x, const qd_field *f)
{
    if (f->kind == QD_FIELD_TEXT)
        return qd_err_set(
            x->err, QD_E_ARG,
            "Fielddata is disabled on [%.*s] in [%.*s]. Text fields are not optimised for "
            "operations that require per-document field data like aggregations and sorting, so "
            "these operations are disabled by default. Please use a keyword field instead. "
            "Alternatively, set fielddata=true on [%.*s] in order to load field data by "
            "uninverting the inverted index. Note that this can use significant memory.",
            QD_STR_ARG(f->name), QD_STR_ARG(x->q->index), QD_STR_ARG(f->name));
    return qd_err_set(x->err, QD_E_ARG,
                      "Can't load fielddata on [%.*s] because fielddata is unsupported on fields "
                      "of type [%s]. Use doc values instead.",
                      QD_STR_ARG(f->name), qd_field_type_name(f));
}

/* _index is a keyword that no document has, with the index's name as its missing value; _id stands
 * in a column of its own. */
static int bind_meta(binder *x, const qdi_agg *a, qd_str name, qdi_bound *b)
{
    bool ids = qd_str_is(name, "_id");
    if (ids && !x->how->id_values)
        return qd_err_set(
            x->err, QD_E_ARG,
            "Fielddata access on the _id field is disallowed, you can re-enable it by updating "
            "the dynamic cluster setting: indices.id_field_data.enabled");
    qd_field *f = qd_arena_calloc(x->arena, sizeof *f);
    if (!f) return qd_err_nomem(x->err, "aggregations");
    qd_field_bare(f, QD_STR("keyword"), name);
    b->field = f;
    b->values = QDI_ORD;
    b->ids = ids;
    b->has_missing = !ids;
    if (!ids) b->missing_bytes = qd_arena_str(x->arena, x->q->index);
    if (takes_terms(a->type) && a->type != QDI_IP_RANGE) return bind_format(x, a, b);
    return qd_err_set(x->err, QD_E_ARG,
                      "Field [%.*s] of type [%.*s] is not supported for aggregation [%s]",
                      QD_STR_ARG(name), QD_STR_ARG(name), error_type(a));
}

/* A field that no mapping knows, with a value for documents without one: all of them have it, of
 * the type that the aggregation usually has. */
static int bind_unmapped(binder *x, const qdi_agg *a, qd_str name, qd_query_value missing,
                         qdi_bound *b)
{
    qd_field *f = qd_arena_calloc(x->arena, sizeof *f);
    if (!f) return qd_err_nomem(x->err, "aggregations");
    if (a->type == QDI_DATE_HISTOGRAM || a->type == QDI_DATE_RANGE) {
        qd_field_bare(f, QD_STR("date"), name);
        b->values = QDI_I64;
    } else if (takes_terms(a->type)) {
        qd_field_bare(f, a->type == QDI_IP_RANGE ? QD_STR("ip") : QD_STR("keyword"), name);
        b->values = QDI_ORD;
    } else {
        qd_field_bare(f, QD_STR("double"), name);
        b->values = QDI_F64;
    }
    b->field = f;
    int rc = bind_format(x, a, b);
    return rc ? rc : bind_missing(x, a, missing, b);
}

/* A fraction as the missing value of an integer field makes doubles of all its values; so does a
 * histogram of dates over doubles the other way round (its values are cut to integers). */
static int as_reals(binder *x, const qdi_agg *a, bool has_missing, qd_query_value missing,
                    qdi_bound *b)
{
    double v;
    const qd_field *f = b->field;
    if (!has_missing || !f || b->values != QDI_I64 || !qd_field_is_numeric(f)) return 0;
    if (a->type == QDI_DATE_HISTOGRAM || qd_f64_parse_java(missing.text, &v) || v == trunc(v))
        return 0;
    qd_field *real = qd_arena_calloc(x->arena, sizeof *real);
    if (!real) return qd_err_nomem(x->err, "aggregations");
    qd_field_bare(real, QD_STR("double"), f->name);
    b->field = real;
    b->converted = f;
    b->values = QDI_F64;
    return 0;
}

static int check_hint(binder *x, const qdi_agg *a, const qdi_bound *b)
{
    const qd_json_node *h = qd_json_get(a->json, "execution_hint");
    if (!h || b->values != QDI_ORD || qd_str_is(h->text, "map") ||
        qd_str_is(h->text, "global_ordinals"))
        return 0;
    return qd_err_set(x->err, QD_E_ARG,
                      "Unknown `execution_hint`: [%.*s], expected any of [map, global_ordinals]",
                      QD_STR_ARG(h->text));
}

static int bind_field(binder *x, const qdi_agg *a, qd_str name, bool has_missing,
                      qd_query_value missing, qdi_bound *b)
{
    const qd_field *f = b->field = name.p ? qd_mapping_field(x->q->mapping, name) : NULL;
    if (name.n && name.p[0] == '_' && !f) {
        bool refused = qd_str_is(name, "_version") || qd_str_is(name, "_routing") ||
                       qd_str_is(name, "_source") || qd_str_is(name, "_field_names");
        if (refused)
            return qd_err_set(x->err, QD_E_ARG,
                              "Fielddata is not supported on field [%.*s] of type [%.*s]",
                              QD_STR_ARG(name), QD_STR_ARG(name));
        if (qd_str_is(name, "_index") || qd_str_is(name, "_id")) return bind_meta(x, a, name, b);
        if (qd_str_is(name, "_seq_no")) {
            qd_field *number = qd_arena_calloc(x->arena, sizeof *number);
            if (!number) return qd_err_nomem(x->err, "aggregations");
            qd_field_bare(number, QD_STR("long"), name);
            b->field = f = number;
        }
    }
    if (name.p && !f && has_missing) return bind_unmapped(x, a, name, missing, b);
    if (f) {
        if (f->kind == QD_FIELD_TEXT || !f->doc_values) return fielddata_error(x, f);
        bool bytes = f->value_class == QD_VALUE_TERM || f->value_class == QD_VALUE_IP;
        bool real = f->kind == QD_FIELD_DOUBLE || f->kind == QD_FIELD_FLOAT ||
                    f->kind == QD_FIELD_HALF_FLOAT || f->kind == QD_FIELD_SCALED_FLOAT;
        b->values = bytes ? QDI_ORD : real ? QDI_F64 : QDI_I64;
        if (bytes && !takes_terms(a->type)) return not_supported(x, a, f);
        if (a->type == QDI_IP_RANGE && f->kind != QD_FIELD_IP) return not_supported(x, a, f);
    }
    int rc = as_reals(x, a, has_missing, missing, b);
    if (rc == 0) rc = bind_format(x, a, b);
    if (rc == 0 && has_missing) rc = bind_missing(x, a, missing, b);
    if (rc == 0 && a->type == QDI_TERMS) rc = check_hint(x, a, b);
    return rc;
}

/* A bound of a histogram or range in the field's terms: dates as milliseconds. */
static int number(binder *x, const qdi_bound *b, qd_query_value v, bool up, double *f, int64_t *i)
{
    int64_t ms = 0;
    if (b->fmt.kind == QDI_FMT_DATE) {
        /* a date_range reads numbers by its format too: they may be seconds, or years */
        if (b->def->type == QDI_DATE_RANGE && !v.quoted &&
            qd_date_before_epoch(b->fmt.date, v.text, &ms)) {
            *i = ms;
            *f = (double)ms;
            return 0;
        }
        bool text = v.quoted || (b->def->type == QDI_DATE_RANGE && qd_str_i64(v.text, &ms));
        if (text || !qd_str_i64(v.text, &ms)) {
            int rc = text ? qd_date_math(b->fmt.date, v.text, x->q->now_ms, up, b->def->zone, &ms,
                                         x->err)
                          : qd_f64_parse_java(v.text, f);
            if (rc) return rc;
            if (!text) ms = (int64_t)*f;
        }
        *i = ms;
        *f = (double)ms;
        return 0;
    }
    if (qd_f64_parse_java(v.text, f))
        return qd_err_set(x->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(v.text));
    *i = (int64_t)(*f >= 9.2e18 ? 9.2e18 : *f <= -9.2e18 ? -9.2e18 : *f);
    return 0;
}

static void bound_text(const qdi_bound *b, const qdi_bounds *o, uint32_t i,
                       char out[QD_F64_TEXT_MAX])
{
    out[0] = 0;
    if (!o->has[i]) return;
    if (b->def->type == QDI_HISTOGRAM)
        qd_f64_print(out, o->f[i]);
    else
        qd_i64_print(out, o->i[i]);
}

/* A histogram needs an interval. */
static int check_interval(binder *x, const qdi_agg *a)
{
    if (a->type == QDI_HISTOGRAM && !(a->u.histogram.interval > 0))
        return qd_err_set(x->err, QD_E_ARG, "interval must be positive, got: 0.0");
    if (a->type != QDI_DATE_HISTOGRAM || a->u.histogram.calendar) return 0;
    if (!qd_json_get(a->json, "fixed_interval") && !qd_json_get(a->json, "interval"))
        return qd_err_set(x->err, QD_E_ARG,
                          "Invalid interval specified, must be non-null and non-empty");
    if (a->u.histogram.interval_ms > 0) return 0;
    return qd_err_set(x->err, QD_E_ARG, "Zero or negative time interval not supported");
}

static int bind_bounds(binder *x, qdi_bound *b)
{
    static const char *const names[] = {"extended_bounds", "hard_bounds"};
    for (uint32_t k = 0; k < 2; k++) {
        qdi_bounds *o = &b->bounds[k];
        for (uint32_t i = 0; i < 2; i++) {
            qd_query_value v = b->def->u.histogram.bounds[k][i];
            if (!v.text.p) continue;
            int rc = number(x, b, v, false, &o->f[i], &o->i[i]);
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
        if (k == QDI_BOUNDS_HARD && b->def->type == QDI_DATE_HISTOGRAM)
            for (uint32_t i = 0; i < 2; i++) { /* rounded without the offset */
                int64_t offset = b->def->u.histogram.offset_ms;
                o->i[i] = qdi_aggs_round_date(b->def, o->i[i] + offset) - offset;
            }
    }
    const qdi_bounds *e = &b->bounds[QDI_BOUNDS_EXTENDED], *h = &b->bounds[QDI_BOUNDS_HARD];
    if (!(h->has[0] && e->has[0] && e->f[0] < h->f[0]) &&
        !(h->has[1] && e->has[1] && e->f[1] > h->f[1]))
        return 0;
    char text[2][2][QD_F64_TEXT_MAX];
    for (uint32_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < 2; i++) {
            qd_str given = b->def->u.histogram.bounds[k][i].text;
            if (b->def->type == QDI_HISTOGRAM)
                bound_text(b, &b->bounds[k], i, text[k][i]);
            else
                snprintf(text[k][i], sizeof text[k][i], "%.*s", QD_STR_ARG(given));
        }
    return qd_err_set(x->err, QD_E_ARG,
                      "Extended bounds have to be inside hard bounds, hard bounds: [%s--%s], "
                      "extended bounds: [%s--%s]",
                      text[1][0], text[1][1], text[0][0], text[0][1]);
}

/* --- ranges ----------------------------------------------------------------------------------- */

static int range_end(binder *x, qdi_bound *b, qd_query_value v, bool *has, double *f,
                     uint8_t ip[16])
{
    int64_t unused;
    if (!v.text.p) return 0;
    *has = true;
    if (b->def->type != QDI_IP_RANGE) return number(x, b, v, false, f, &unused);
    if (!qd_ip_parse(v.text, ip))
        return qd_err_set(x->err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                          QD_STR_ARG(v.text));
    return 0;
}

static int range_order(const void *arg, const void *pa, const void *pb)
{
    const qdi_bound_range *a = pa, *b = pb;
    (void)arg;
    double af = a->has_from ? a->from : -INFINITY, bf = b->has_from ? b->from : -INFINITY;
    if (af != bf) return af < bf ? -1 : 1;
    int c = memcmp(a->ip_from, b->ip_from, 16);
    if (c) return c;
    double at = a->has_to ? a->to : INFINITY, bt = b->has_to ? b->to : INFINITY;
    if (at != bt) return at < bt ? -1 : 1;
    if (a->has_to != b->has_to) return a->has_to ? -1 : 1;
    return memcmp(a->ip_to, b->ip_to, 16);
}

static size_t end_text(const qdi_bound *b, bool has, double v, const uint8_t ip[16], char out[128])
{
    if (!has) {
        memcpy(out, "*", 2);
        return 1;
    }
    if (b->def->type == QDI_IP_RANGE) return qd_ip_print(out, ip);
    return qdi_aggs_format_f64(&b->fmt, v, out);
}

static int bind_ranges(binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    uint32_t n = a->u.range.n;
    if (n == 0)
        return qd_err_set(x->err, QD_E_ARG, "No [ranges] specified for the [%.*s] aggregation",
                          QD_STR_ARG(a->name));
    b->ranges = qd_arena_calloc(x->arena, n * sizeof *b->ranges);
    if (!b->ranges) return qd_err_nomem(x->err, "ranges");
    for (uint32_t i = 0; i < n; i++) {
        qdi_bound_range *r = &b->ranges[i];
        const qdi_range *d = &a->u.range.at[i];
        int rc = range_end(x, b, d->from, &r->has_from, &r->from, r->ip_from);
        if (!rc) rc = range_end(x, b, d->to, &r->has_to, &r->to, r->ip_to);
        r->key = d->key;
        if (!rc && d->mask.text.p) {
            rc = qd_ip_cidr(d->mask.text, r->ip_from, r->ip_to, x->err);
            for (int k = 15; rc == 0 && k >= 0 && ++r->ip_to[k] == 0; k--) {}
            r->has_from = r->has_to = true;
            if (!r->key.p) r->key = d->mask.text;
        }
        if (rc) return rc;
        if (r->key.p) continue;
        char from[128], to[128];
        end_text(b, r->has_from, r->from, r->ip_from, from);
        end_text(b, r->has_to, r->to, r->ip_to, to);
        r->key = qd_arena_printf(x->arena, "%s-%s", from, to);
        if (!r->key.p) return qd_err_nomem(x->err, "ranges");
    }
    if (qdi_aggs_sort(x->arena->account, b->ranges, n, sizeof *b->ranges, range_order, NULL))
        return qd_err_nomem(x->err, "ranges");
    return 0;
}

/* The answer is partial: what is not bound by now matches nothing. */
static int none_left(binder *x, const qd_node **nodes, uint32_t n)
{
    const qd_node *none = qd_node_make(x->arena, QD_NATIVE_MATCH_NONE);
    if (!none) return qd_err_nomem(x->err, "filters");
    for (uint32_t i = 0; i < n; i++) nodes[i] = none;
    return 0;
}

static int bind_filters(binder *x, qdi_bound *b)
{
    uint32_t n = b->def->u.filters.n;
    b->nodes = qd_arena_calloc(x->arena, n * sizeof *b->nodes);
    if (!b->nodes) return qd_err_nomem(x->err, "filters");
    for (uint32_t i = 0; i < n; i++) {
        qd_query_built built;
        int rc = qd_task_poll(x->how->task);
        if (rc == QD_E_TIMEOUT) return none_left(x, b->nodes + i, n - i);
        if (rc) return qd_task_check(x->how->task, x->err);
        rc = qd_query_build(x->q, b->def->u.filters.queries[i], &built, x->err);
        if (rc) return rc;
        b->nodes[i] = built.root;
        x->clauses += built.clauses;
        if (x->q->limits && x->clauses > x->q->limits->max_clauses)
            return qd_err_set(x->err, QD_E_LIMIT,
                              "The filters of the aggregations of a request hold more than [%u] "
                              "clauses in all; this limit can be set by "
                              "[indices.query.bool.max_clause_count]",
                              x->q->limits->max_clauses);
    }
    return 0;
}

/* --- composite -------------------------------------------------------------------------------- */

static int after_slot(binder *x, const qdi_bound *b, const qd_json_node *v, qdi_slot *out)
{
    *out = (qdi_slot){.kind = (uint8_t)b->values};
    if (v->type == QD_JSON_T_NULL) {
        out->null = true;
        if (b->def->u.source.missing_bucket) return 0;
        return qd_err_set(x->err, QD_E_ARG,
                          "Invalid value for [after.%.*s], expected comparable, got [null]",
                          QD_STR_ARG(b->def->name));
    }
    qd_str t = qd_json_text(v);
    double number;
    if (b->values == QDI_ORD && b->def->type == QDI_TERMS && v->type != QD_JSON_T_STRING)
        return qd_err_set(x->err, QD_E_ARG, "invalid value, expected string, got %s",
                          v->type == QD_JSON_T_BOOL  ? "Boolean"
                          : qd_str_find(t, '.') >= 0 ? "Double"
                                                     : "Integer");
    if (!t.p)
        return qd_err_set(x->err, QD_E_ARG, "Invalid value of [after] for [%.*s]",
                          QD_STR_ARG(b->def->name));
    if (b->def->type == QDI_HISTOGRAM) {
        double d;
        if (qd_f64_parse_java(t, &d)) goto bad;
        out->kind = QDI_F64;
        out->i64 = qd_sortable_f64(d);
    } else if (b->def->type == QDI_DATE_HISTOGRAM || b->fmt.kind == QDI_FMT_DATE) {
        out->kind = QDI_I64;
        if (qd_str_i64(t, &out->i64)) return 0;
        if (!b->def->format.p) goto bad;
        return qd_date_math(b->fmt.date, t, x->q->now_ms, false, b->def->zone, &out->i64, x->err);
    } else if (b->values == QDI_ORD) {
        out->bytes = t;
        if (b->fmt.kind == QDI_FMT_IP) {
            uint8_t *ip = qd_arena_alloc(x->arena, 16);
            if (!ip) return qd_err_nomem(x->err, "after");
            if (!qd_ip_parse(t, ip))
                return qd_err_set(x->err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                                  QD_STR_ARG(t));
            out->bytes = (qd_str){(const char *)ip, 16};
        }
    } else if (b->values == QDI_F64) {
        double d;
        if (qd_f64_parse_java(t, &d)) goto bad;
        out->i64 = qd_sortable_f64(d);
    } else if (b->fmt.kind == QDI_FMT_BOOL) {
        out->i64 = qd_str_is(t, "true");
    } else if (b->values == QDI_I64 && !qd_str_i64(t, &out->i64)) {
        if (v->type != QD_JSON_T_NUMBER || qd_f64_parse_java(t, &number)) goto bad;
        out->i64 = number >= 9.2e18 ? INT64_MAX : number <= -9.2e18 ? INT64_MIN : (int64_t)number;
    }
    return 0;
bad:
    return qd_err_set(x->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(t));
}

/* Elasticsearch's classes of what may not stand above a composite; NULL: it may. */
static const char *parent_class(qdi_type t)
{
    switch (t) {
    case QDI_FILTER:
        return NULL;
    case QDI_TERMS:
        return "TermsAggregatorFactory";
    case QDI_FILTERS:
        return "FiltersAggregatorFactory";
    case QDI_HISTOGRAM:
        return "HistogramAggregatorFactory";
    case QDI_DATE_HISTOGRAM:
        return "DateHistogramAggregatorFactory";
    case QDI_RANGE:
        return "RangeAggregatorFactory";
    case QDI_DATE_RANGE:
        return "DateRangeAggregatorFactory";
    case QDI_IP_RANGE:
        return "BinaryRangeAggregatorFactory";
    case QDI_MISSING:
        return "MissingAggregatorFactory";
    case QDI_GLOBAL:
        return "GlobalAggregatorFactory";
    default:
        return "CompositeAggregationFactory";
    }
}

static int check_composite(binder *x, const qdi_agg *a)
{
    int64_t most = x->max_buckets;
    for (const qdi_agg *up = a->parent; up; up = up->parent)
        if (parent_class(up->type))
            return qd_err_set(x->err, QD_E_ARG,
                              "[composite] aggregation cannot be used with a parent aggregation of "
                              "type: [%s]",
                              parent_class(up->type));
    if (most < 0 || a->u.composite.size <= most) return 0;
    int rc = qd_err_set(x->err, QD_E_TOO_MANY_BUCKETS,
                        "Trying to create too many buckets. Must be less than or equal to: [%lld] "
                        "but was [%u]. This limit can be set by changing the "
                        "[search.max_buckets] cluster level setting.",
                        (long long)most, a->u.composite.size);
    qd_err_detail_i64(x->err, "max_buckets", most);
    return rc;
}

static int bind_composite(binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    int refused = check_composite(x, a);
    if (refused) return refused;
    uint32_t n = a->u.composite.n;
    const qd_json_node *after = a->u.composite.after;
    qdi_slot *slots = qd_arena_calloc(x->arena, n * sizeof *slots);
    b->sources = qd_arena_calloc(x->arena, n * sizeof *b->sources);
    if (!slots || !b->sources) return qd_err_nomem(x->err, "composite");
    if (after && after->n != n)
        return qd_err_set(x->err, QD_E_ARG, "[after] has %u value(s) but [sources] has %u",
                          after->n, n);
    for (uint32_t i = 0; i < n; i++) {
        qdi_bound *s = &b->sources[i];
        s->def = a->u.composite.sources[i];
        if (!s->def->field.p)
            return qd_err_set(
                x->err, QD_E_STATE,
                "value source config is invalid; must have either a field or a script");
        if (s->def->u.source.missing_order && !s->def->u.source.missing_bucket)
            return qd_err_set(x->err, QD_E_ARG, "missing_order require missing_bucket is true");
        refused = check_interval(x, s->def);
        if (refused) return refused;
        int rc = bind_field(x, s->def, s->def->field, false, (qd_query_value){0}, s);
        if (rc || !after) {
            if (rc) return rc;
            continue;
        }
        const qd_json_node *v = qd_json_get_str(after, s->def->name);
        if (!v)
            return qd_err_set(x->err, QD_E_ARG, "Missing value for [after.%.*s]",
                              QD_STR_ARG(s->def->name));
        rc = after_slot(x, s, v, &slots[i]);
        if (rc) return rc;
    }
    if (after) b->after = slots;
    return 0;
}

static int bind_hits(binder *x, qdi_bound *b)
{
    const qd_aggs_host *h = x->how->host;
    int64_t window = (int64_t)b->def->u.hits.from + b->def->u.hits.size;
    int64_t most = x->how->hits_window ? x->how->hits_window : 100;
    if (!h || !h->hits_bind)
        return qd_err_set(x->err, QD_E_UNSUPPORTED, "[top_hits] is not supported here");
    if (window > most)
        return qd_err_set(x->err, QD_E_ARG,
                          "Top hits result window is too large, the top hits aggregator [%.*s]'s "
                          "from + size must be less than or equal to: [%lld] but was [%lld]. This "
                          "limit can be set by changing the [index.max_inner_result_window] index "
                          "level setting.",
                          QD_STR_ARG(b->def->name), (long long)most, (long long)window);
    return h->hits_bind(h->arg, b->def->json, x->q->mapping, x->arena, &b->sort, x->err);
}

static int bind_one(binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    int rc = bind_field(x, a, a->field, a->has_missing, a->missing, b);
    if (rc) return rc;
    switch (a->type) {
    case QDI_HISTOGRAM:
    case QDI_DATE_HISTOGRAM:
        rc = check_interval(x, a);
        return rc ? rc : bind_bounds(x, b);
    case QDI_RANGE:
    case QDI_DATE_RANGE:
    case QDI_IP_RANGE:
        return bind_ranges(x, b);
    case QDI_FILTER:
    case QDI_FILTERS:
        return bind_filters(x, b);
    case QDI_COMPOSITE:
        return bind_composite(x, b);
    case QDI_TOP_HITS:
        return bind_hits(x, b);
    case QDI_WEIGHTED_AVG:
        b->sources = qd_arena_calloc(x->arena, sizeof *b->sources);
        if (!b->sources) return qd_err_nomem(x->err, "weighted_avg");
        b->sources->def = a;
        return bind_field(x, a, a->u.weighted.weight_field, a->u.weighted.has_weight_missing,
                          a->u.weighted.weight_missing, b->sources);
    default:
        return 0;
    }
}

static int bind_level(binder *x, qdi_bound *at, qdi_agg *const *defs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        qdi_bound *b = &at[defs[i]->id];
        b->def = defs[i];
        int rc = bind_one(x, b);
        if (rc == 0) rc = bind_level(x, at, defs[i]->subs, defs[i]->nsubs);
        if (rc) return rc;
    }
    return 0;
}

int qd_aggs_bind(const qd_aggs *a, const qd_aggs_binding *how, qd_aggs_bound **out, qd_err *err)
{
    binder x = {.how = how,
                .q = how->query,
                .arena = how->query->arena,
                .max_buckets = a->max_buckets,
                .err = err};
    qd_aggs_bound *b = qd_arena_calloc(x.arena, sizeof *b);
    if (b) b->at = qd_arena_calloc(x.arena, (a->n + 1) * sizeof *b->at);
    if (!b || !b->at) return qd_err_nomem(err, "aggregations");
    b->tree = a;
    b->mapping = x.q->mapping;
    int rc = bind_level(&x, b->at, a->roots, a->nroots);
    if (rc == 0) *out = b;
    return rc;
}
