/* boolean.c: true and false: terms "T" and "F", columns of 1 and 0. */
#include "mapping/doc_int.h"
#include "mapping/type_int.h"

static const param_row params[] = {
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
};

static int read_text(qd_str text, bool empty_is_false, int64_t *out, qd_err *err)
{
    if (qd_str_is(text, "true"))
        *out = 1;
    else if (qd_str_is(text, "false") || (empty_is_false && text.n == 0))
        *out = 0;
    else {
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                          QD_STR_ARG(text));
    }
    return 0;
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    return f->has_null_value ? read_text(f->null_text, false, &f->null_i64, err) : 0;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    int64_t v = d->r.event == QD_JSON_TRUE;
    if (d->r.event == QD_JSON_STRING) {
        int rc = read_text(d->r.text, true, &v, err);
        if (rc) return rc;
    } else if (d->r.event == QD_JSON_NUMBER) {
        return qdi_doc_token_error(d, err, "Current token (%s) not of boolean type",
                                   d->r.integer ? "VALUE_NUMBER_INT" : "VALUE_NUMBER_FLOAT");
    }
    return qdi_doc_i64(d, f, v, err);
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    (void)f;
    (void)ctx;
    if (qd_str_is(v.text, "true"))
        out->i64 = 1;
    else if (qd_str_is(v.text, "false"))
        out->i64 = 0;
    else
        return qd_err_set(err, QD_E_ARG,
                          "Can't parse boolean value [%.*s], expected [true] or [false]",
                          QD_STR_ARG(v.text));
    out->bytes = out->i64 ? QD_STR("T") : QD_STR("F");
    return 0;
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    int rc;
    out[0].i64 = 0;
    out[1].i64 = 1;
    if (lo) {
        rc = term(f, *lo, ctx, &out[0], err);
        if (rc) return rc;
        out[0].i64 += !lo_in;
    }
    if (hi) {
        rc = term(f, *hi, ctx, &out[1], err);
        if (rc) return rc;
        out[1].i64 -= !hi_in;
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
    return v != 0;
}

static void write_value(const qd_field *f, int64_t column, const qd_date_format *format,
                        const qd_zone *zone, qd_json_writer *w)
{
    (void)f;
    (void)format;
    (void)zone;
    qd_json_bool(w, column != 0);
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    return term(f, v, ctx, out, NULL);
}

const struct qd_field_type qdi_type_boolean = {
    .value_class = QD_VALUE_BOOL,
    .name = "boolean",
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
