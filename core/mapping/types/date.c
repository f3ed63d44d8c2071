/* date.c: instants in milliseconds. */
#include "mapping/doc_int.h"
#include "mapping/type_int.h"

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"format", PARAM_FORMAT, KIND_STRING, UPDATE_NEVER,
     "\"strict_date_optional_time||epoch_millis\""},
    {"locale", PARAM_OTHER, KIND_STRING, UPDATE_NEVER, "\"en\""},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *format = qdi_param(f->def, PARAM_FORMAT);
    f->has_points = f->indexed;
    f->format = qd_date_format_default();
    if (format) {
        qd_date_format *made = NULL;
        int rc = qd_date_format_make(b->arena, format->text, &made, err);
        if (rc == QD_E_NOMEM) return rc;
        if (rc) {
            return qd_err_wrap(err, QD_E_ARG,
                               "Error parsing [format] on field [%.*s]: Invalid format: [%.*s]",
                               QD_STR_ARG(f->leaf), QD_STR_ARG(format->text));
        }
        f->format = made;
    }
    if (!f->has_null_value) return 0;
    const param_value *null = qdi_param(f->def, PARAM_NULL_VALUE);
    bool string = !null || (null->json.n && null->json.p[0] == '"');
    if (!string && qd_date_before_epoch(f->format, f->null_text, &f->null_i64)) return 0;
    if (qd_date_parse(f->format, f->null_text, NULL, false, &f->null_i64, err)) {
        return qd_err_wrap(err, QD_E_MAPPER_PARSING, "Error parsing [null_value] on field [%.*s]",
                           QD_STR_ARG(f->leaf));
    }
    return 0;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    int64_t ms;
    /* a number goes through the format too: 2014 is a year if the format says so, -2014 is not */
    qd_str text = qdi_doc_text(d);
    if (d->r.event == QD_JSON_NUMBER && qd_date_before_epoch(f->format, text, &ms))
        return qdi_doc_i64(d, f, ms, err);
    int rc = qd_date_parse(f->format, text, NULL, false, &ms, err);
    return rc ? rc : qdi_doc_i64(d, f, ms, err);
}

static int one(const qd_field *f, qd_query_value v, bool up, const qd_value_ctx *ctx, int64_t *ms,
               qd_err *err)
{
    const qd_date_format *format = ctx && ctx->format ? ctx->format : f->format;
    if (!v.quoted && qd_date_before_epoch(format, v.text, ms)) return 0;
    return qd_date_math(format, v.text, ctx ? ctx->now_ms : 0, up, ctx ? ctx->zone : NULL, ms, err);
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    return one(f, v, false, ctx, &out->i64, err);
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    int rc;
    out[0].i64 = INT64_MIN;
    out[1].i64 = INT64_MAX;
    if (lo) { /* gt rounds up and goes one further, gte rounds down */
        rc = one(f, *lo, !lo_in, ctx, &out[0].i64, err);
        if (rc) return rc;
        if (!lo_in && out[0].i64++ == INT64_MAX) return 1;
    }
    if (hi) { /* lt rounds down and stays one below, lte rounds up */
        rc = one(f, *hi, hi_in, ctx, &out[1].i64, err);
        if (rc) return rc;
        if (!hi_in && out[1].i64-- == INT64_MIN) return 1;
    }
    return out[0].i64 > out[1].i64;
}

static double to_f64(const qd_field *f, int64_t column)
{
    (void)f;
    return (double)column;
}

static int64_t from_f64(const qd_field *f, double v)
{
    (void)f;
    return v >= 9.2e18 ? INT64_MAX : v <= -9.2e18 ? INT64_MIN : (int64_t)v;
}

static void write_value(const qd_field *f, int64_t column, const qd_date_format *format,
                        const qd_zone *zone, qd_json_writer *w)
{
    char text[128];
    size_t n = qd_date_print(format ? format : f->format, column, zone, text);
    qd_json_str(w, (qd_str){text, n});
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    const qd_date_format *own = f->format ? f->format : qd_date_format_default();
    (void)ctx;
    if (!v.quoted && qd_date_before_epoch(own, v.text, &out->i64)) return 0;
    return !qd_date_try(own, v.text, NULL, false, &out->i64);
}

const struct qd_field_type qdi_type_date = {
    .value_class = QD_VALUE_I64,
    .dates = true,
    .name = "date",
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = term,
    .range = range,
    .shown = shown,
    .f64 = to_f64,
    .from_f64 = from_f64,
    .write = write_value,
};
