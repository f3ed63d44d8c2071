/* integer.c: long, integer, short, byte. Texts of errors follow Java's and Jackson's accessors. */
#include "mapping/doc_int.h"
#include "mapping/types/integer_int.h"
#include "mapping/types/number_params.h"
#include <math.h>

typedef struct limits {
    int64_t min, max;
    const char *java;   /* class */
    const char *a_name; /* in "out of range for …" */
} limits;

static const limits *limits_of(const qd_field *f)
{
    static const limits rows[] = {{INT64_MIN, INT64_MAX, "Long", "a long"},
                                  {INT32_MIN, INT32_MAX, "Integer", "an integer"},
                                  {INT16_MIN, INT16_MAX, "Short", "a short"},
                                  {INT8_MIN, INT8_MAX, "Integer", "a byte"}};
    switch (f->type->kind) {
    case QD_FIELD_LONG:
        return &rows[0];
    case QD_FIELD_INTEGER:
        return &rows[1];
    case QD_FIELD_SHORT:
        return &rows[2];
    default:
        return &rows[3];
    }
}

static int out_of_range(const qd_field *f, qd_str text, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "Value [%.*s] is out of range for %s", QD_STR_ARG(text),
                      limits_of(f)->a_name);
}

/* A number within quotes: read as Java does, cut to a whole one if the field coerces. */
static int from_string(const qd_field *f, qd_str text, bool coerce, int64_t *out, qd_err *err)
{
    const limits *l = limits_of(f);
    bool exact = true;
    int rc =
        qd_i64_parse_decimal(qd_str_trim(text).n == text.n ? text : (qd_str){"", 0}, out, &exact);
    double d;
    if (rc == QD_E_ARG) {
        /* shorter kinds go through a double, which takes more forms */
        if (f->type->kind == QD_FIELD_LONG || qd_f64_parse_java(text, &d)) {
            return qd_err_set(err, f->type->kind == QD_FIELD_LONG ? QD_E_ARG : QD_E_NUMBER_FORMAT,
                              text.n ? "For input string: \"%.*s\"" : "empty String",
                              QD_STR_ARG(text));
        }
        if (!(d >= (double)l->min && d <= (double)l->max)) return out_of_range(f, text, err);
        *out = (int64_t)d;
        return 0;
    }
    if (rc || *out < l->min || *out > l->max) return out_of_range(f, text, err);
    if (!exact && !coerce) {
        if (f->type->kind == QD_FIELD_LONG) {
            return qd_err_set(err, QD_E_ARG, "Value [%.*s] has a decimal part", QD_STR_ARG(text));
        }
        return qd_err_set(err, QD_E_ARG, "%.*s cannot be converted to %s without data loss",
                          QD_STR_ARG(text), l->java);
    }
    return 0;
}

static int jackson_range(const doc *d, const qd_field *f, qd_err *err)
{
    qd_str text = d->r.text;
    switch (f->type->kind) {
    case QD_FIELD_LONG:
        return qdi_doc_token_error(d, err,
                                   "Numeric value (%.*s) out of range of long (%lld - %lld)",
                                   QD_STR_ARG(text), (long long)INT64_MIN, (long long)INT64_MAX);
    case QD_FIELD_SHORT:
        return qdi_doc_token_error(d, err, "Numeric value (%.*s) out of range of Java short",
                                   QD_STR_ARG(text));
    default:
        return qdi_doc_token_error(d, err, "Numeric value (%.*s) out of range of int (%d - %d)",
                                   QD_STR_ARG(text), INT32_MIN, INT32_MAX);
    }
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    const limits *l = limits_of(f);
    int64_t v = 0;
    bool exact = true;
    int rc;
    if (d->r.event == QD_JSON_STRING) {
        if (!f->coerce) return qd_err_set(err, QD_E_ARG, "%s value passed as String", l->java);
        if (d->r.text.n == 0) return f->has_null_value ? qdi_doc_i64(d, f, f->null_i64, err) : 0;
        rc = from_string(f, d->r.text, true, &v, err);
        return rc ? rc : qdi_doc_i64(d, f, v, err);
    }
    if (d->r.event != QD_JSON_NUMBER) {
        return qdi_doc_token_error(
            d, err, "Current token (%s) not numeric, can not use numeric value accessors",
            d->r.event == QD_JSON_TRUE ? "VALUE_TRUE" : "VALUE_FALSE");
    }
    if (QD_LIKELY(d->r.integer))
        rc = qd_json_i64(&d->r, &v);
    else
        rc = qd_i64_parse_decimal(d->r.text, &v, &exact);
    bool byte = f->type->kind == QD_FIELD_BYTE; /* is read as an int first */
    if (rc || (byte ? v < INT32_MIN || v > INT32_MAX : v < l->min || v > l->max))
        return jackson_range(d, f, err);
    if (!exact && !f->coerce) {
        double full;
        char text[QD_F64_TEXT_MAX];
        rc = qd_json_f64(&d->r, &full);
        qd_f64_print(text, rc ? HUGE_VAL : full);
        return qd_err_set(err, QD_E_ARG, "%s cannot be converted to %s without data loss", text,
                          l->java);
    }
    if (byte && (v < l->min || v > l->max))
        return qd_err_set(err, QD_E_ARG, "Value [%lld] is out of range for a byte", (long long)v);
    return qdi_doc_i64(d, f, v, err);
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    f->has_points = f->indexed;
    return f->has_null_value ? from_string(f, f->null_text, true, &f->null_i64, err) : 0;
}

/* The nearest whole number at or above (up) or below; *exact as the name says. Saturates: 1 above,
 * -1 below the range of the kind in *out_of. */
static int bound(const qd_field *f, qd_query_value v, bool up, int64_t *out, bool *exact,
                 int *out_of, qd_err *err)
{
    const limits *l = limits_of(f);
    bool negative = v.text.n && v.text.p[0] == '-';
    int rc = qd_i64_parse_decimal(v.text, out, exact);
    *out_of = 0;
    if (rc) *exact = true; /* out of range, whatever its fraction */
    if (rc == QD_E_ARG) {
        return qd_err_set(err, QD_E_NUMBER_FORMAT,
                          v.text.n ? "For input string: \"%.*s\"" : "empty String",
                          QD_STR_ARG(v.text));
    }
    if (rc == QD_E_LIMIT) {
        *out_of = negative ? -1 : 1;
        return 0;
    }
    if (!*exact && up != negative) *out += up ? 1 : -1; /* cut towards zero so far */
    if (*out > l->max) *out_of = 1;
    if (*out < l->min) *out_of = -1;
    return 0;
}

int qdi_integer_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                     qd_err *err)
{
    bool exact;
    int out_of;
    (void)ctx;
    int rc = bound(f, v, false, &out->i64, &exact, &out_of, err);
    return rc ? rc : !exact || out_of != 0;
}

int qdi_integer_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                      const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx,
                      qd_point out[2], qd_err *err)
{
    const limits *l = limits_of(f);
    bool exact;
    int out_of, rc;
    (void)ctx;
    out[0].i64 = l->min;
    out[1].i64 = l->max;
    if (lo) {
        rc = bound(f, *lo, true, &out[0].i64, &exact, &out_of, err);
        if (rc) return rc;
        if (out_of > 0) return 1;
        if (out_of < 0)
            out[0].i64 = l->min;
        else if (!lo_in && exact && out[0].i64++ == l->max)
            return 1;
    }
    if (hi) {
        rc = bound(f, *hi, false, &out[1].i64, &exact, &out_of, err);
        if (rc) return rc;
        if (out_of < 0) return 1;
        if (out_of > 0)
            out[1].i64 = l->max;
        else if (!hi_in && exact && out[1].i64-- == l->min)
            return 1;
    }
    return out[0].i64 > out[1].i64;
}

double qdi_integer_f64(const qd_field *f, int64_t column)
{
    (void)f;
    return (double)column;
}

int64_t qdi_integer_from_f64(const qd_field *f, double v)
{
    const limits *l = limits_of(f);
    if (isnan(v)) return 0;
    if (v <= (double)l->min) return l->min;
    if (v >= (double)l->max) return l->max;
    return (int64_t)v;
}

void qdi_integer_write(const qd_field *f, int64_t column, const qd_date_format *format,
                       const qd_zone *zone, qd_json_writer *w)
{
    (void)f;
    (void)format;
    (void)zone;
    qd_json_int(w, column);
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)ctx;
    return qd_i64_parse_decimal(v.text, &out->i64, NULL);
}

#define INTEGER_TYPE(symbol, text, k)                                                              \
    const struct qd_field_type qdi_type_##symbol = {                                               \
        .kind = (k),                                                                               \
        .value_class = QD_VALUE_I64,                                                               \
        .numeric = true,                                                                           \
        .collapses = true,                                                                         \
        .name = (text),                                                                            \
        .params = number_params,                                                                   \
        .nparams = QD_COUNT_OF(number_params),                                                     \
        .finish = finish,                                                                          \
        .value = value,                                                                            \
        .term = qdi_integer_term,                                                                  \
        .range = qdi_integer_range,                                                                \
        .shown = shown,                                                                            \
        .f64 = qdi_integer_f64,                                                                    \
        .from_f64 = qdi_integer_from_f64,                                                          \
        .write = qdi_integer_write,                                                                \
    }

INTEGER_TYPE(long, "long", QD_FIELD_LONG);
INTEGER_TYPE(integer, "integer", QD_FIELD_INTEGER);
INTEGER_TYPE(short, "short", QD_FIELD_SHORT);
INTEGER_TYPE(byte, "byte", QD_FIELD_BYTE);
