/* unsigned_long.c: whole numbers from 0 to 2^64-1, with the top bit turned over in columns. */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
    {"time_series_dimension", PARAM_OTHER, KIND_BOOL, UPDATE_NEVER, "false"},
    {"time_series_metric", PARAM_OTHER, KIND_STRING, UPDATE_NEVER, NULL},
};

/* Numbers with a fraction of zero are whole; others are refused, whether quoted or not. */
static int from_text(qd_str text, int64_t *out, qd_err *err)
{
    uint64_t v;
    bool exact, negative = text.n && text.p[0] == '-';
    int rc = qd_u64_parse_decimal(text, &v, &exact);
    if (rc == QD_E_ARG)
        return qd_err_set(err, QD_E_ARG, "For input string: \"%.*s\"", QD_STR_ARG(text));
    if (rc || (negative && v))
        return qd_err_set(err, QD_E_ARG, "Value [%.*s] is out of range for unsigned long",
                          QD_STR_ARG(text));
    if (!exact)
        return qd_err_set(err, QD_E_ARG, "Value \"%.*s\" has a decimal part", QD_STR_ARG(text));
    *out = qd_u64_encode(v);
    return 0;
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    f->has_points = f->indexed;
    if (!f->has_null_value || from_text(f->null_text, &f->null_i64, err) == 0) return 0;
    return qd_err_wrap(err, QD_E_MAPPER_PARSING, "Error parsing [null_value] on field [%.*s]",
                       QD_STR_ARG(f->leaf));
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    int64_t v;
    qd_str text = qdi_doc_text(d);
    if (d->r.event == QD_JSON_STRING && text.n == 0)
        return f->has_null_value ? qdi_doc_i64(d, f, f->null_i64, err) : 0;
    int rc = from_text(text, &v, err);
    return rc ? rc : qdi_doc_i64(d, f, v, err);
}

/* The whole number at a decimal, or the next one above or below: 0; 1 above the range, -1 below;
 * else an error. */
static int bound(qd_query_value v, bool up, bool in, uint64_t *out, int *beyond, qd_err *err)
{
    bool exact, negative = v.text.n && v.text.p[0] == '-';
    int rc = qd_u64_parse_decimal(v.text, out, &exact);
    *beyond = 0;
    if (rc == QD_E_ARG)
        return qd_err_set(err, QD_E_NUMBER_FORMAT,
                          v.text.n ? "For input string: \"%.*s\"" : "empty String",
                          QD_STR_ARG(v.text));
    if (rc || (negative && !exact)) {
        *beyond = negative ? -1 : 1;
        return 0;
    }
    if (exact ? in : !up) return 0; /* a decimal was cut downwards */
    if (up)
        *beyond = ++*out == 0;
    else
        *beyond = (*out)-- == 0 ? -1 : 0;
    return 0;
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    uint64_t low, high;
    int beyond_low, beyond;
    (void)f;
    (void)ctx;
    int rc = bound(v, false, true, &low, &beyond_low, err);
    if (!rc) rc = bound(v, true, true, &high, &beyond, err);
    if (rc) return rc;
    out->i64 = qd_u64_encode(low);
    return beyond || beyond_low || low != high;
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    uint64_t low = 0, high = UINT64_MAX;
    int beyond = 0, rc = 0;
    (void)f;
    (void)ctx;
    if (lo) {
        rc = bound(*lo, true, lo_in, &low, &beyond, err);
        if (rc) return rc;
        if (beyond > 0) return 1;
        if (beyond < 0) low = 0;
    }
    if (hi) {
        rc = bound(*hi, false, hi_in, &high, &beyond, err);
        if (rc) return rc;
        if (beyond < 0) return 1;
        if (beyond > 0) high = UINT64_MAX;
    }
    out[0].i64 = qd_u64_encode(low);
    out[1].i64 = qd_u64_encode(high);
    return low > high;
}

static double to_f64(const qd_field *f, int64_t column)
{
    (void)f;
    return (double)qd_u64_decode(column);
}

static int64_t from_f64(const qd_field *f, double v)
{
    (void)f;
    if (!(v > 0)) return qd_u64_encode(0);
    return qd_u64_encode(v >= 0x1p64 ? UINT64_MAX : (uint64_t)v);
}

static void write_value(const qd_field *f, int64_t column, const qd_date_format *format,
                        const qd_zone *zone, qd_json_writer *w)
{
    (void)f;
    (void)format;
    (void)zone;
    qd_json_uint(w, qd_u64_decode(column));
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)ctx;
    return from_text(v.text, &out->i64, NULL);
}

const struct qd_field_type qdi_type_unsigned_long = {
    .value_class = QD_VALUE_I64,
    .number = QD_NUMBER_UNSIGNED,
    .numeric = true,
    .collapses = true,
    .name = "unsigned_long",
    .level = QD_FEATURES_TYPES_0_2,
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
