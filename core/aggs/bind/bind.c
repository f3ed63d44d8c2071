/*
 * bind.c: definitions meet a mapping: what kind of values a field has, how they are written, and
 * the value for documents without one in the field's encoding. What else a type binds stands in
 * its own file.
 */
#include "aggs/bind/bind_int.h"
#include "query/script.h"
#include <math.h>

static int not_supported(qdi_binder *x, const qdi_agg *a, const qd_field *f)
{
    return qd_err_set(x->err, QD_E_ARG,
                      "Field [%.*s] of type [%s] is not supported for aggregation [%s]",
                      QD_STR_ARG(f->name), qd_field_type_name(f), a->type->name);
}

static int bind_format(qdi_binder *x, const qdi_agg *a, qdi_bound *b)
{
    const qd_field *f = b->field;
    qdi_format *fmt = &b->fmt;
    fmt->zone = a->zone;
    bool dates = a->type->flags & QDI_DATES, by_format = a->type->flags & QDI_BY_FORMAT;
    if (f && f->value_class == QD_VALUE_IP) {
        fmt->kind = QDI_FMT_IP;
    } else if ((f && f->dates) || (dates && (!f || by_format))) {
        fmt->kind = QDI_FMT_DATE;
        fmt->date = qd_date_format_default();
        qd_str pattern = a->format;
        if (!pattern.p && f && f->dates) pattern = qd_date_format_pattern(f->format);
        if (!pattern.p) return 0;
        qd_date_format *d;
        int rc = qd_date_format_make(x->arena, qd_arena_str(x->arena, pattern), &d, x->err);
        if (rc == 0) fmt->date = d;
        return rc;
    } else if (f && f->value_class == QD_VALUE_BOOL) {
        fmt->kind = QDI_FMT_BOOL;
    } else if (f && f->number == QD_NUMBER_UNSIGNED && b->values == QDI_I64) {
        fmt->kind = QDI_FMT_U64;
        fmt->pattern = a->format;
    } else if (f && f->text_column && !a->format.p) {
        fmt->kind = QDI_FMT_TEXT_COLUMN;
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

static int bind_missing(qdi_binder *x, const qdi_agg *a, qd_query_value missing, qdi_bound *b)
{
    const qd_field *f = b->field;
    b->has_missing = f != NULL;
    if (!f) return 0;
    qd_value_ctx ctx = {.now_ms = x->q->now_ms,
                        .zone = a->zone,
                        .format = b->fmt.kind == QDI_FMT_DATE ? b->fmt.date : NULL,
                        .scratch = x->q->analysis};
    if (b->values == QDI_ORD) {
        if (f->value_class != QD_VALUE_IP) {
            b->missing_bytes = qd_field_column_bytes(f, missing.text, x->arena);
            return b->missing_bytes.p ? 0 : qd_err_nomem(x->err, "missing value");
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
    if (f->dates && missing.quoted)
        return qd_date_math(ctx.format ? ctx.format : f->format, missing.text, ctx.now_ms, false,
                            a->zone, &b->missing, x->err);
    if (f->value_class == QD_VALUE_BOOL &&
        (qd_str_is(missing.text, "true") || qd_str_is(missing.text, "false"))) {
        b->missing = qd_str_is(missing.text, "true");
        return 0;
    }
    if (b->values == QDI_I64 && qd_field_whole(f, missing.text, &b->missing)) return 0;
    int rc = qd_f64_parse_java(missing.text, &v);
    if (rc)
        return qd_err_set(x->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(missing.text));
    b->missing = qd_field_from_f64(f, v);
    return 0;
}

static int fielddata_error(qdi_binder *x, const qd_field *f)
{
    if (f->phrases_apart)
        return qd_err_set(x->err, QD_E_ARG, "%s fields do not support sorting and aggregations",
                          qd_field_type_name(f));
    if (f->value_class == QD_VALUE_TEXT)
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
static int bind_meta(qdi_binder *x, const qdi_agg *a, qd_str name, qdi_bound *b)
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
    b->has_missing = b->same_for_all = !ids;
    if (!ids) b->missing_bytes = qd_arena_str(x->arena, x->q->index);
    if ((a->type->flags & (QDI_TAKES_BYTES | QDI_ADDRESSES)) == QDI_TAKES_BYTES)
        return bind_format(x, a, b);
    return qd_err_set(x->err, QD_E_ARG,
                      "Field [%.*s] of type [%.*s] is not supported for aggregation [%s]",
                      QD_STR_ARG(name), QD_STR_ARG(name), a->type->name);
}

/* How the values of a field are looked at. */
static qdi_values values_of(const qdi_agg *a, const qd_field *f)
{
    if (f->value_class == QD_VALUE_TERM || f->value_class == QD_VALUE_IP ||
        f->value_class == QD_VALUE_RANGE || f->fielddata)
        return QDI_ORD;
    if (f->number == QD_NUMBER_UNSIGNED && a->type->flags & QDI_EXACT) return QDI_I64;
    return f->number == QD_NUMBER_INTEGER ? QDI_I64 : QDI_F64;
}

/* A field that no mapping knows, with a value for documents without one: all of them have it, of
 * the type that the aggregation usually has. */
static int bind_unmapped(qdi_binder *x, const qdi_agg *a, qd_str name, qd_query_value missing,
                         qdi_bound *b)
{
    qd_field *f = qd_arena_calloc(x->arena, sizeof *f);
    if (!f) return qd_err_nomem(x->err, "aggregations");
    const char *type = a->value_type ? a->value_type : a->type->unmapped;
    qd_field_bare(f, qd_str_c(type ? type : "double"), name);
    b->values = values_of(a, f);
    b->field = f;
    int rc = bind_format(x, a, b);
    return rc ? rc : bind_missing(x, a, missing, b);
}

/* A fraction as the missing value of an integer field makes doubles of all its values; so does a
 * histogram of dates over doubles the other way round (its values are cut to integers). */
static int as_reals(qdi_binder *x, const qdi_agg *a, bool has_missing, qd_query_value missing,
                    qdi_bound *b)
{
    double v;
    const qd_field *f = b->field;
    if (!has_missing || !f || b->values != QDI_I64 || !qd_field_is_numeric(f)) return 0;
    if (a->type->flags & QDI_INTEGERS || qd_f64_parse_java(missing.text, &v) || v == trunc(v))
        return 0;
    qd_field *real = qd_arena_calloc(x->arena, sizeof *real);
    if (!real) return qd_err_nomem(x->err, "aggregations");
    qd_field_bare(real, QD_STR("double"), f->name);
    b->field = real;
    b->converted = f;
    b->values = QDI_F64;
    return 0;
}

/* Aggregations see nanoseconds as milliseconds, as Elasticsearch does. */
static int as_millis(qdi_binder *x, qdi_bound *b)
{
    const qd_field *f = b->field;
    qd_field *ms = qd_arena_calloc(x->arena, sizeof *ms);
    if (!ms) return qd_err_nomem(x->err, "aggregations");
    qd_field_bare(ms, QD_STR("date"), f->name);
    ms->format = f->format;
    b->field = ms;
    b->converted = f;
    return 0;
}

int qdi_aggs_bind_field(qdi_binder *x, const qdi_agg *a, qd_str name, bool has_missing,
                        qd_query_value missing, qdi_bound *b)
{
    const qd_field *f = NULL;
    int rc = name.p ? qd_mapping_find(x->q->mapping, name, x->arena, &f, x->err) : 0;
    if (rc) return rc;
    b->field = f;
    if (name.n && name.p[0] == '_' && !f) {
        bool refused = qd_str_is(name, "_version") || qd_str_is(name, "_routing") ||
                       qd_str_is(name, "_source") || qd_str_is(name, "_field_names");
        if (refused)
            return qd_err_set(x->err, QD_E_ARG,
                              "Fielddata is not supported on field [%.*s] of type [%.*s]",
                              QD_STR_ARG(name), QD_STR_ARG(name));
        if (qd_str_is(name, "_index") || qd_str_is(name, "_id")) return bind_meta(x, a, name, b);
        if (qd_str_is(name, "_ignored")) {
            qd_field *names = qd_arena_calloc(x->arena, sizeof *names);
            if (!names) return qd_err_nomem(x->err, "aggregations");
            qd_field_bare(names, QD_STR("keyword"), name);
            b->field = f = names;
        }
        if (qd_str_is(name, "_seq_no")) {
            qd_field *number = qd_arena_calloc(x->arena, sizeof *number);
            if (!number) return qd_err_nomem(x->err, "aggregations");
            qd_field_bare(number, QD_STR("long"), name);
            b->field = f = number;
        }
    }
    if (name.p && !f && has_missing) return bind_unmapped(x, a, name, missing, b);
    if (f) {
        if (!qd_field_has_values(f)) return fielddata_error(x, f);
        b->values = values_of(a, f);
        bool taken = b->values != QDI_ORD || a->type->flags & QDI_TAKES_BYTES;
        if (f->value_class == QD_VALUE_RANGE) taken = a->type->flags & QDI_RANGES;
        if (f->value_class == QD_VALUE_RANGE && has_missing)
            return qd_err_set(x->err, QD_E_ARG,
                              "Can't apply missing values on a class "
                              "org.elasticsearch.search.aggregations.support.ValuesSource$Range");
        if (a->type->flags & QDI_ADDRESSES) taken = f->value_class == QD_VALUE_IP;
        if (f->blob) taken = a->type->flags & QDI_ANY_BYTES;
        if (f->value_class == QD_VALUE_GEO)
            taken = a->type->flags & (QDI_ANY_BYTES | QDI_GEO);
        else if (a->type->flags & QDI_GEO)
            taken = false;
        if (!taken) return not_supported(x, a, f);
        if (f->value_class == QD_VALUE_GEO && has_missing)
            return qd_err_set(x->err, QD_E_UNSUPPORTED,
                              "[missing] is not supported in aggregation [%s] of field [%.*s] of "
                              "type [%s]",
                              a->type->name, QD_STR_ARG(f->name), qd_field_type_name(f));
    }
    rc = f && f->nanos ? as_millis(x, b) : as_reals(x, a, has_missing, missing, b);
    if (rc == 0) rc = bind_format(x, a, b);
    if (rc == 0 && f && f->fixed.p) { /* a column that no document has, with a missing value */
        b->has_missing = true;
        b->missing_bytes = f->fixed;
        return 0;
    }
    if (rc == 0 && has_missing) rc = bind_missing(x, a, missing, b);
    return rc;
}

int qdi_aggs_bind_number(qdi_binder *x, const qdi_bound *b, qd_query_value v, double *f, int64_t *i)
{
    int64_t ms = 0;
    bool by_format = b->def->type->flags & QDI_BY_FORMAT;
    if (b->fmt.kind == QDI_FMT_DATE) {
        /* a date_range reads numbers by its format too: they may be seconds, or years */
        if (by_format && !v.quoted && qd_date_before_epoch(b->fmt.date, v.text, &ms)) {
            *i = ms;
            *f = (double)ms;
            return 0;
        }
        bool text = v.quoted || (by_format && qd_str_i64(v.text, &ms));
        if (text || !qd_str_i64(v.text, &ms)) {
            int rc = text ? qd_date_math(b->fmt.date, v.text, x->q->now_ms, false, b->def->zone,
                                         &ms, x->err)
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

/* --- scripts ---------------------------------------------------------------------------------- */

int qdi_aggs_bind_script(qdi_binder *x, const qd_script_given *g, qd_script_context context,
                         const qd_script_bind **out)
{
    int rc = qd_script_bind_make(x->q, g, context, out, x->err);
    x->uncacheable = true;
    if (!rc) x->scores |= qd_script_uses((*out)->script, QD_SCRIPT_V_SCORE);
    return rc;
}

/* What a script makes of values of f (NULL: of documents) is, and is written as. */
static const char *type_of_script(const qdi_agg *a, const qd_field *f, qdi_values values)
{
    const char *usual = a->type->unmapped ? a->type->unmapped : "double";
    if (!f) return a->value_type ? a->value_type : usual;
    if (values == QDI_ORD) return "keyword";
    return f->dates ? "date" : f->value_class == QD_VALUE_BOOL ? "boolean" : "double";
}

/* Values of a script: a field of no mapping stands in for them. */
static int bind_script(qdi_binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    qdi_bound *of = qd_arena_calloc(x->arena, sizeof *of);
    qd_field *f = qd_arena_calloc(x->arena, sizeof *f);
    if (!of || !f) return qd_err_nomem(x->err, "aggregations");
    int rc = qdi_aggs_bind_script(x, a->script, QD_SCRIPT_AGGS, &b->script);
    of->def = a;
    if (!rc && a->field.p) rc = qdi_aggs_bind_field(x, a, a->field, false, (qd_query_value){0}, of);
    if (rc) return rc;
    if (a->field.p && !of->field) { /* there is nothing to run it on */
        b->script = NULL;
        return qdi_aggs_bind_field(x, a, a->field, a->has_missing, a->missing, b);
    }
    if (of->field && of->field->value_class == QD_VALUE_RANGE)
        return not_supported(x, a, of->field);
    b->of = of;
    qd_field_bare(f, qd_str_c(type_of_script(a, of->field, of->values)),
                  a->field.p ? a->field : a->name);
    if (of->field && of->field->dates) f->format = of->field->format;
    b->field = f;
    b->values = values_of(a, f);
    if (f->value_class == QD_VALUE_IP)
        return qd_err_set(x->err, QD_E_UNSUPPORTED,
                          "[%s] [value_type] [ip] is not supported with a [script]", a->type->name);
    if (b->values == QDI_ORD && !(a->type->flags & QDI_TAKES_BYTES)) return not_supported(x, a, f);
    rc = bind_format(x, a, b);
    return !rc && a->has_missing ? bind_missing(x, a, a->missing, b) : rc;
}

/* --- the tree --------------------------------------------------------------------------------- */

static int bind_one(qdi_binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    int rc = a->script ? bind_script(x, b)
                       : qdi_aggs_bind_field(x, a, a->field, a->has_missing, a->missing, b);
    if (rc) return rc;
    if (a->type->bound_size) b->state = qd_arena_calloc(x->arena, a->type->bound_size);
    if (a->type->bound_size && !b->state) return qd_err_nomem(x->err, "aggregations");
    return a->type->bind ? a->type->bind(x, b) : 0;
}

/* Queries of the aggregations below ask of the documents that a's buckets hold. */
static int enter_level(qdi_binder *x, const qdi_agg *a)
{
    if (!a->type->level) return 0;
    qd_query_context *q = qd_arena_alloc(x->arena, sizeof *q);
    if (!q) return qd_err_nomem(x->err, "aggregations");
    *q = *x->q;
    q->nested = a->type->level(a);
    x->q = q;
    return 0;
}

static int bind_level(qdi_binder *x, qdi_bound *at, qdi_agg *const *defs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        qdi_bound *b = &at[defs[i]->id];
        b->def = defs[i];
        int rc = bind_one(x, b);
        const qd_query_context *q = x->q;
        if (rc == 0) rc = enter_level(x, defs[i]);
        if (rc == 0) rc = bind_level(x, at, defs[i]->subs, defs[i]->nsubs);
        x->q = q;
        if (rc) return rc;
    }
    return 0;
}

int qd_aggs_bind(const qd_aggs *a, const qd_aggs_binding *how, qd_aggs_bound **out, qd_err *err)
{
    qdi_binder x = {.how = how,
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
    b->uncacheable = x.uncacheable;
    b->scores = x.scores;
    if (rc == 0) *out = b;
    return rc;
}

bool qd_aggs_bound_uncacheable(const qd_aggs_bound *b)
{
    return b->uncacheable;
}
