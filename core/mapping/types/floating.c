/* floating.c: double, float, half_float, scaled_float. */
#include "mapping/doc_int.h"
#include "mapping/type_int.h"
#include "mapping/types/number_params.h"
#include <math.h>

static const param_row scaled_params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
    {"scaling_factor", PARAM_SCALING_FACTOR, KIND_DOUBLE, UPDATE_NEVER, NULL},
    {"coerce", PARAM_COERCE, KIND_EXPLICIT_BOOL, UPDATE_FREE, "true"},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"time_series_metric", PARAM_OTHER, KIND_STRING, UPDATE_NEVER, NULL},
};

/* Nearest half-precision number as a float, ties to even; overflow is infinite. */
static float to_half(float v)
{
    uint32_t b;
    memcpy(&b, &v, sizeof b);
    uint32_t sign = b & 0x80000000u, abs = b & 0x7FFFFFFFu;
    if (abs >= 0x7F800000u) return v;
    if (abs >= 0x38800000u) {
        /* normal in half precision: 13 bits of the fraction go */
        abs += 0xFFFu + (abs >> 13 & 1);
        abs &= ~0x1FFFu;
        if (abs >= 0x47800000u) abs = 0x7F800000u;
        abs |= sign;
        memcpy(&v, &abs, sizeof v);
        return v;
    }
    /* subnormal: a multiple of 2^-24, which adding and taking away a large number rounds to */
    float big = 0.5f, a;
    memcpy(&a, &abs, sizeof a);
    a = (a + big) - big;
    return sign ? -a : a;
}

static int64_t encode(const qd_field *f, double v)
{
    switch (f->type->kind) {
    case QD_FIELD_DOUBLE:
        return qd_f64_encode(v);
    case QD_FIELD_FLOAT:
        return qd_f32_encode((float)v);
    case QD_FIELD_HALF_FLOAT:
        return qd_f32_encode(to_half((float)v));
    default: {
        double s = v * f->scaling_factor;
        /* Math.round: half up, saturating */
        if (s >= 9223372036854775807.0) return INT64_MAX;
        if (s <= -9223372036854775808.0) return INT64_MIN;
        double down = floor(s);
        return (int64_t)down + (s - down >= 0.5);
    }
    }
}

/* Text to the field's precision: floats are rounded once. */
static int read_text(const qd_field *f, qd_str text, double *out, qd_err *err)
{
    float single;
    int rc;
    if (f->type->kind == QD_FIELD_FLOAT || f->type->kind == QD_FIELD_HALF_FLOAT) {
        rc = qd_f32_parse_java(text, &single);
        *out = rc ? 0 : (double)(f->type->kind == QD_FIELD_HALF_FLOAT ? to_half(single) : single);
    } else {
        rc = qd_f64_parse_java(text, out);
    }
    if (rc == 0) return 0;
    if (qd_str_trim(text).n == 0) return qd_err_set(err, QD_E_NUMBER_FORMAT, "empty String");
    return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(text));
}

static int check_finite(const qd_field *f, double v, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    if (QD_LIKELY(isfinite(v))) return 0;
    if (f->type->kind == QD_FIELD_DOUBLE || f->type->kind == QD_FIELD_SCALED_FLOAT)
        qd_f64_print(text, v);
    else
        qd_f32_print(text, (float)v);
    return qd_err_set(err, QD_E_ARG, "[%s] supports only finite values, but got [%s]",
                      f->type->name, text);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    double v;
    qd_str text = d->r.text;
    if (d->r.event == QD_JSON_STRING) {
        if (!f->coerce) {
            return qd_err_set(
                err, QD_E_ARG, "%s value passed as String",
                f->type->kind == QD_FIELD_FLOAT || f->type->kind == QD_FIELD_HALF_FLOAT ? "Float"
                                                                                        : "Double");
        }
        if (text.n == 0) return f->has_null_value ? qdi_doc_i64(d, f, f->null_i64, err) : 0;
    } else if (d->r.event != QD_JSON_NUMBER) {
        return qdi_doc_token_error(
            d, err, "Current token (%s) not numeric, can not use numeric value accessors",
            d->r.event == QD_JSON_TRUE ? "VALUE_TRUE" : "VALUE_FALSE");
    }
    int rc = 0;
    if (QD_LIKELY(d->r.event == QD_JSON_NUMBER && f->type->kind == QD_FIELD_DOUBLE)) {
        (void)!qd_f64_parse(text, &v); /* a number it is; an infinite one is refused below */
    } else {
        rc = read_text(f, text, &v, err);
    }
    if (rc == 0) rc = check_finite(f, v, err);
    return rc ? rc : qdi_doc_i64(d, f, encode(f, v), err);
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    double v;
    (void)b;
    f->has_points = f->indexed;
    if (f->type->kind == QD_FIELD_SCALED_FLOAT) {
        if (!qdi_param(f->def, PARAM_SCALING_FACTOR)) {
            return qd_err_set(err, QD_E_ARG, "Field [scaling_factor] is required");
        }
        if (!(f->scaling_factor > 0) || !isfinite(f->scaling_factor)) {
            char text[QD_F64_TEXT_MAX];
            qd_f64_print(text, f->scaling_factor);
            return qd_err_set(err, QD_E_ARG, "[scaling_factor] must be a positive number, got [%s]",
                              text);
        }
    }
    if (!f->has_null_value) return 0;
    int rc = read_text(f, f->null_text, &v, err);
    if (rc == 0) rc = check_finite(f, v, err);
    if (rc == 0) f->null_i64 = encode(f, v);
    return rc;
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    double d;
    (void)ctx;
    int rc = read_text(f, v.text, &d, err);
    if (rc) return rc;
    if (!isfinite(d)) return 1;
    out->i64 = encode(f, d);
    return 0;
}

/* The encoded value at or above (up), or at or below, a decimal that may lie between two. */
static int64_t bound(const qd_field *f, double v, bool up, bool in)
{
    if (f->type->kind == QD_FIELD_SCALED_FLOAT) {
        double s = v * f->scaling_factor;
        if (s >= 9223372036854775807.0) return INT64_MAX;
        if (s <= -9223372036854775808.0) return INT64_MIN;
        /* as Elasticsearch rounds them: up for lower bounds, down for upper ones, then one further
         * for an excluded whole value */
        double whole = up ? ceil(s) : floor(s);
        int64_t i = (int64_t)whole;
        if (!in && whole == s) i += up ? 1 : -1;
        return i;
    }
    if (f->type->kind != QD_FIELD_DOUBLE)
        v = (double)(float)v; /* read as a float by Elasticsearch */
    int64_t e = encode(f, v);
    double back = f->type->kind == QD_FIELD_DOUBLE ? v : (double)qd_f32_decode(e);
    if (up ? back < v : back > v) return up ? e + 1 : e - 1; /* rounding passed the bound */
    if (!in && back == v) return up ? e + 1 : e - 1;
    return e;
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    double v;
    int rc;
    (void)ctx;
    out[0].i64 = f->type->kind == QD_FIELD_SCALED_FLOAT ? INT64_MIN : encode(f, -HUGE_VAL);
    out[1].i64 = f->type->kind == QD_FIELD_SCALED_FLOAT ? INT64_MAX : encode(f, HUGE_VAL);
    if (lo) {
        rc = qd_f64_parse_java(lo->text, &v) ? read_text(f, lo->text, &v, err) : 0;
        if (rc) return rc;
        if (isnan(v)) return 1;
        out[0].i64 = bound(f, v, true, lo_in);
    }
    if (hi) {
        rc = qd_f64_parse_java(hi->text, &v) ? read_text(f, hi->text, &v, err) : 0;
        if (rc) return rc;
        if (isnan(v)) return 1;
        out[1].i64 = bound(f, v, false, hi_in);
    }
    /* -0.0 sorts before 0.0: a bound of zero takes both in */
    if (lo && lo_in && out[0].i64 == 0)
        out[0].i64 = f->type->kind == QD_FIELD_SCALED_FLOAT ? 0 : -1;
    return out[0].i64 > out[1].i64;
}

static double to_f64(const qd_field *f, int64_t column)
{
    switch (f->type->kind) {
    case QD_FIELD_DOUBLE:
        return qd_f64_decode(column);
    case QD_FIELD_SCALED_FLOAT:
        return (double)column / f->scaling_factor;
    default:
        return (double)qd_f32_decode(column);
    }
}

static void write_value(const qd_field *f, int64_t column, const qd_date_format *format,
                        const qd_zone *zone, qd_json_writer *w)
{
    (void)format;
    (void)zone;
    if (f->type->kind == QD_FIELD_FLOAT || f->type->kind == QD_FIELD_HALF_FLOAT)
        qd_json_float(w, qd_f32_decode(column));
    else
        qd_json_double(w, to_f64(f, column));
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    double d;
    (void)ctx;
    if (qd_f64_parse(v.text, &d)) return 1;
    out->i64 = encode(f, d);
    return 0;
}

#define FLOATING_TYPE(symbol, text, k, num, list)                                                  \
    const struct qd_field_type qdi_type_##symbol = {                                               \
        .kind = (k),                                                                               \
        .value_class = QD_VALUE_I64,                                                               \
        .number = (num),                                                                           \
        .numeric = true,                                                                           \
        .collapses = (num) != QD_NUMBER_SCALED,                                                    \
        .name = (text),                                                                            \
        .params = (list),                                                                          \
        .nparams = QD_COUNT_OF(list),                                                              \
        .finish = finish,                                                                          \
        .value = value,                                                                            \
        .term = term,                                                                              \
        .range = range,                                                                            \
        .shown = shown,                                                                            \
        .f64 = to_f64,                                                                             \
        .from_f64 = encode,                                                                        \
        .write = write_value,                                                                      \
    }

FLOATING_TYPE(double, "double", QD_FIELD_DOUBLE, QD_NUMBER_DOUBLE, number_params);
FLOATING_TYPE(float, "float", QD_FIELD_FLOAT, QD_NUMBER_FLOAT, number_params);
FLOATING_TYPE(half_float, "half_float", QD_FIELD_HALF_FLOAT, QD_NUMBER_FLOAT, number_params);
FLOATING_TYPE(scaled_float, "scaled_float", QD_FIELD_SCALED_FLOAT, QD_NUMBER_SCALED, scaled_params);
