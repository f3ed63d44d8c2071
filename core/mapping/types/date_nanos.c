/* date_nanos.c: instants in nanoseconds, from 1970 to 2262. */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"

#define MS_MAX (INT64_MAX / 1000000)

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"format", PARAM_FORMAT, KIND_STRING, UPDATE_NEVER,
     "\"strict_date_optional_time_nanos||epoch_millis\""},
    {"locale", PARAM_OTHER, KIND_STRING, UPDATE_NEVER, "\"en\""},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

/* 0 with nanoseconds; -1: before 1970; 1: behind their range. */
static int to_nanos(int64_t ms, int32_t rest, int64_t *ns)
{
    if (ms < 0) return -1;
    if (ms > MS_MAX) return 1;
    return __builtin_add_overflow(ms * 1000000, (int64_t)rest, ns);
}

static int check_range(int64_t ms, int32_t rest, int64_t *ns, qd_err *err)
{
    char text[128];
    int beyond = to_nanos(ms, rest, ns);
    if (QD_LIKELY(!beyond)) return 0;
    qd_date_print(qd_date_format_default(), ms, NULL, text);
    if (beyond < 0)
        return qd_err_set(err, QD_E_ARG,
                          "date[%s] is before the epoch in 1970 and cannot be stored in nanosecond "
                          "resolution",
                          text);
    return qd_err_set(err, QD_E_ARG,
                      "date[%s] is after 2262-04-11T23:47:16.854775807 and cannot be stored in "
                      "nanosecond resolution",
                      text);
}

static int read_text(const qd_date_format *f, qd_str text, bool number, int64_t *ns, qd_err *err)
{
    int64_t ms;
    int32_t rest = 0;
    if (!(number && qd_date_before_epoch(f, text, &ms)) &&
        !qd_date_try_fine(f, text, NULL, false, &ms, &rest)) {
        int rc = qd_date_parse(f, text, NULL, false, &ms, err);
        return rc ? rc : QD_E_INTERNAL; /* what is no date is refused */
    }
    return check_range(ms, rest, ns, err);
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *format = qdi_param(f->def, PARAM_FORMAT);
    const param_value *null = qdi_param(f->def, PARAM_NULL_VALUE);
    f->has_points = f->indexed;
    f->nanos = true;
    f->format = qd_date_format_nanos();
    if (format) {
        qd_date_format *made = NULL;
        int rc = qd_date_format_make(b->arena, format->text, &made, err);
        if (rc == QD_E_NOMEM) return rc;
        if (rc)
            return qd_err_wrap(err, QD_E_ARG,
                               "Error parsing [format] on field [%.*s]: Invalid format: [%.*s]",
                               QD_STR_ARG(f->leaf), QD_STR_ARG(format->text));
        f->format = made;
    }
    if (!null) return 0;
    bool number = null->json.n && null->json.p[0] != '"';
    if (read_text(f->format, f->null_text, number, &f->null_i64, err) == 0) return 0;
    return qd_err_wrap(err, QD_E_MAPPER_PARSING, "Error parsing [null_value] on field [%.*s]",
                       QD_STR_ARG(f->leaf));
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    int64_t ns;
    int rc = read_text(f->format, qdi_doc_text(d), d->r.event == QD_JSON_NUMBER, &ns, err);
    return rc ? rc : qdi_doc_i64(d, f, ns, err);
}

/* A value of a request; what is out of range becomes the nearest end, which *beyond tells. */
static int one(const qd_field *f, qd_query_value v, bool up, const qd_value_ctx *ctx, int64_t *ns,
               int *beyond, qd_err *err)
{
    const qd_date_format *format = ctx && ctx->format ? ctx->format : f->format;
    int64_t ms;
    int32_t rest = 0;
    int rc = 0;
    if (v.quoted || !qd_date_before_epoch(format, v.text, &ms))
        rc = qd_date_math_fine(format, v.text, ctx ? ctx->now_ms : 0, up, ctx ? ctx->zone : NULL,
                               &ms, &rest, err);
    if (rc) return rc;
    *beyond = to_nanos(ms, rest, ns);
    if (*beyond) *ns = *beyond < 0 ? 0 : INT64_MAX;
    return 0;
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    int beyond;
    return one(f, v, false, ctx, &out->i64, &beyond, err);
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    int rc, beyond;
    out[0].i64 = 0;
    out[1].i64 = INT64_MAX;
    if (lo) { /* gt rounds up and goes one further, gte rounds down */
        rc = one(f, *lo, !lo_in, ctx, &out[0].i64, &beyond, err);
        if (rc) return rc;
        if (beyond > 0 || (!lo_in && !beyond && out[0].i64++ == INT64_MAX)) return 1;
    }
    if (hi) { /* lt rounds down and stays one below, lte rounds up */
        rc = one(f, *hi, hi_in, ctx, &out[1].i64, &beyond, err);
        if (rc) return rc;
        if (beyond < 0 || (!hi_in && !beyond && out[1].i64-- == 0)) return 1;
    }
    return out[0].i64 > out[1].i64;
}

static double to_f64(const qd_field *f, int64_t column)
{
    (void)f;
    return (double)qd_nanos_to_ms(column);
}

static int64_t from_f64(const qd_field *f, double v)
{
    (void)f;
    return v >= (double)MS_MAX ? INT64_MAX : v <= 0 ? 0 : (int64_t)v * 1000000;
}

static void write_value(const qd_field *f, int64_t column, const qd_date_format *format,
                        const qd_zone *zone, qd_json_writer *w)
{
    char text[128];
    size_t n = qd_date_print_nanos(format ? format : f->format, column, zone, text);
    qd_json_str(w, (qd_str){text, n});
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)ctx;
    return read_text(f->format, v.text, !v.quoted, &out->i64, NULL);
}

const struct qd_field_type qdi_type_date_nanos = {
    .value_class = QD_VALUE_I64,
    .dates = true,
    .name = "date_nanos",
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
