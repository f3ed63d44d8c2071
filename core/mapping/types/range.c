/*
 * range.c: integer_range, long_range, float_range, double_range, date_range, ip_range: values that
 * are intervals. An interval is two ends of 8 or 16 bytes side by side, whose byte order is that of
 * the values, as one entry of an ordinal column; beside it stand the points of the lower and of the
 * upper ends, in hidden fields of the type of the ends, which also read them.
 */
#include "base/features.h"
#include "mapping/doc_int.h"
#include <math.h>

#define PARAMS                                                                                     \
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},                                       \
        {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},                         \
        {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},                                  \
    {                                                                                              \
        "coerce", PARAM_COERCE, KIND_EXPLICIT_BOOL, UPDATE_FREE, "true"                            \
    }

static const param_row params[] = {
    PARAMS,
    {"format", PARAM_FORMAT, KIND_STRING, UPDATE_NEVER, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static const param_row date_params[] = {
    PARAMS,
    {"format", PARAM_FORMAT, KIND_STRING, UPDATE_NEVER,
     "\"strict_date_optional_time||epoch_millis\""},
    {"locale", PARAM_OTHER, KIND_STRING, UPDATE_NEVER, "\"\""},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

/* Ends of an interval: i64 of all types but addresses. */
typedef struct ends {
    int64_t lo, hi;
    uint8_t lo16[16], hi16[16];
} ends;

static const struct qd_field_type *row_of_ends(const qd_field *f)
{
    static const struct {
        const struct qd_field_type *range, *ends;
    } rows[] = {
        {&qdi_type_integer_range, &qdi_type_integer}, {&qdi_type_long_range, &qdi_type_long},
        {&qdi_type_float_range, &qdi_type_float},     {&qdi_type_double_range, &qdi_type_double},
        {&qdi_type_date_range, &qdi_type_date},       {&qdi_type_ip_range, &qdi_type_ip},
    };
    size_t i = 0;
    while (rows[i].range != f->type) i++;
    return rows[i].ends;
}

static bool addresses(const qd_field *f)
{
    return f->low->value_class == QD_VALUE_IP;
}

/* All values of the type. */
static void widest(const qd_field *f, ends *e)
{
    *e = (ends){.lo = INT64_MIN, .hi = INT64_MAX};
    memset(e->hi16, 0xff, 16);
    if (f->type == &qdi_type_integer_range) {
        e->lo = INT32_MIN;
        e->hi = INT32_MAX;
    } else if (f->low->type->number != QD_NUMBER_INTEGER) {
        e->lo = qd_field_from_f64(f->low, -HUGE_VAL);
        e->hi = qd_field_from_f64(f->low, HUGE_VAL);
    }
}

static qd_field *hide_end(field_builder *b, qd_field *f, const char *suffix)
{
    const struct qd_field_type *row = row_of_ends(f);
    qd_field *end = qdi_field_hide(b, f, row, suffix);
    if (!end) return NULL;
    end->indexed = end->has_points = f->indexed;
    end->coerce = f->coerce;
    end->format = f->format;
    end->dates = row->dates;
    return end;
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *format = qdi_param(f->def, PARAM_FORMAT);
    if (!f->type->dates && format)
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] of type [range] should not define a dateTimeFormatter "
                          "unless it is a date_range type",
                          QD_STR_ARG(f->leaf));
    if (f->type->dates) f->format = qd_date_format_default();
    if (format) {
        qd_date_format *made = NULL;
        int rc = qd_date_format_make(b->arena, format->text, &made, err);
        if (rc) return rc;
        f->format = made;
    }
    f->intervals = f;
    if (!f->doc_values && f->indexed) {
        qd_field *column = qdi_field_hide(b, f, f->type, ".values");
        if (!column) return qd_err_nomem(err, "mapping");
        column->doc_values = true;
        f->intervals = column;
    }
    f->low = hide_end(b, f, ".min");
    f->high = hide_end(b, f, ".max");
    return f->low && f->high ? 0 : qd_err_nomem(err, "mapping");
}

/* --- ends as bytes ---------------------------------------------------------------------------- */

static void put_i64(char *out, int64_t v)
{
    uint64_t u = (uint64_t)v ^ (1ull << 63);
    for (int i = 7; i >= 0; i--, u >>= 8) out[i] = (char)(u & 0xff);
}

static int64_t get_i64(const char *p)
{
    uint64_t u = 0;
    for (int i = 0; i < 8; i++) u = u << 8 | (uint8_t)p[i];
    return (int64_t)(u ^ (1ull << 63));
}

/* An end as a value of the column has it; out holds 16 bytes. Returns their number. */
static size_t encode(const qd_field *f, const ends *e, bool upper, char *out)
{
    if (addresses(f)) {
        memcpy(out, upper ? e->hi16 : e->lo16, 16);
        return 16;
    }
    put_i64(out, upper ? e->hi : e->lo);
    return 8;
}

bool qd_field_interval(const qd_field *f, qd_str bytes, int64_t out[2])
{
    if (bytes.n != 16) return false;
    out[0] = get_i64(bytes.p);
    out[1] = get_i64(bytes.p + 8);
    (void)f;
    return true;
}

/* --- documents -------------------------------------------------------------------------------- */

static int date_end(const doc *d, const qd_field *f, bool up, int64_t *out, qd_err *err)
{
    qd_str text = qdi_doc_text(d);
    if (d->r.event == QD_JSON_NUMBER && qd_date_before_epoch(f->format, text, out)) return 0;
    if (qd_date_math_uses_now(text))
        return qd_err_set(err, QD_E_ARG, "now is not used at indexing time");
    return qd_date_math(f->format, text, 0, up, NULL, out, err);
}

/* The next address; false behind the last one. */
static bool step_ip(uint8_t ip[16], bool up)
{
    for (int i = 15; i >= 0; i--) {
        uint8_t was = ip[i];
        ip[i] = (uint8_t)(up ? was + 1 : was - 1);
        if (was != (up ? 0xff : 0)) return true;
    }
    return false;
}

static int beyond(bool upper, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "Overflow: there is no %s address than the %s one",
                      upper ? "lower" : "greater", upper ? "least" : "greatest");
}

static int put_end(const qd_field *f, const doc_value *v, bool upper, bool in, ends *e, qd_err *err)
{
    if (addresses(f)) {
        uint8_t *to = upper ? e->hi16 : e->lo16;
        memcpy(to, v->v.ip, 16);
        return in || step_ip(to, !upper) ? 0 : beyond(upper, err);
    }
    int64_t x = v->v.i64;
    if (!in && x != (upper ? INT64_MIN : INT64_MAX)) x += upper ? -1 : 1;
    *(upper ? &e->hi : &e->lo) = x;
    return 0;
}

/* The present token as an end. */
static int read_end(doc *d, const qd_field *f, bool upper, bool in, ends *e, qd_err *err)
{
    doc_value v = {0};
    bool any = true;
    int rc;
    if (d->r.event == QD_JSON_OBJECT || d->r.event == QD_JSON_ARRAY)
        return qdi_doc_token_error(
            d, err, "Current token (%s) not numeric, can not use numeric value accessors",
            qd_json_event_name(d->r.event));
    if (f->type->dates)
        rc = date_end(d, f, upper ? in : !in, &v.v.i64, err);
    else
        rc = qdi_doc_one_value(d, f->low, &v, &any, err);
    if (rc) return rc;
    if (!any) return qd_err_set(err, QD_E_NUMBER_FORMAT, "empty String");
    return put_end(f, &v, upper, in, e, err);
}

static int read_object(doc *d, const qd_field *f, ends *e, qd_err *err)
{
    static const struct {
        const char *name;
        bool upper, in;
    } keys[] = {
        {"gt", false, false}, {"gte", false, true}, {"lt", true, false}, {"lte", true, true}};
    qd_json_event ev;
    while ((ev = qd_json_next(&d->r)) == QD_JSON_KEY) {
        size_t i = 0;
        while (i < QD_COUNT_OF(keys) && !qd_str_is(d->r.text, keys[i].name)) i++;
        if (i == QD_COUNT_OF(keys))
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "error parsing field [%.*s], with unknown parameter [%.*s]",
                              QD_STR_ARG(f->name), QD_STR_ARG(d->r.text));
        if (qd_json_next(&d->r) < 0) return qd_json_fail(&d->r, err);
        if (d->r.event == QD_JSON_NULL) continue;
        int rc = read_end(d, f, keys[i].upper, keys[i].in, e, err);
        if (rc) return rc;
    }
    return ev < 0 ? qd_json_fail(&d->r, err) : 0;
}

static void print_end(const qd_field *f, int64_t v, char out[128])
{
    if (f->type->dates)
        qd_i64_print(out, v);
    else
        (void)qd_field_text(f->low, v, NULL, NULL, out);
}

/* Lucene's complaints of ends the wrong way round. */
static int check_order(const qd_field *f, const ends *e, qd_err *err)
{
    char lo[128], hi[128];
    if (addresses(f))
        return memcmp(e->lo16, e->hi16, 16) <= 0
                   ? 0
                   : qd_err_set(err, QD_E_ARG,
                                "min value cannot be greater than max value for InetAddressRange "
                                "field");
    if (e->lo <= e->hi) return 0;
    print_end(f, e->lo, lo);
    print_end(f, e->hi, hi);
    return qd_err_set(err, QD_E_ARG, "min value (%s) is greater than max value (%s)", lo, hi);
}

static int add(doc *d, const qd_field *f, const ends *e, qd_err *err)
{
    char *bytes = qd_arena_bytes(&d->arena, 32);
    int rc = check_order(f, e, err);
    if (rc || !bytes) return rc ? rc : qd_err_nomem(err, "values of a document");
    size_t n = encode(f, e, false, bytes);
    n += encode(f, e, true, bytes + n);
    rc = qdi_doc_str(d, f, (qd_str){bytes, n}, err);
    if (!rc && f->intervals != f) rc = qdi_doc_str(d, f->intervals, (qd_str){bytes, n}, err);
    if (rc || !f->indexed) return rc;
    if (addresses(f)) {
        rc = qdi_doc_ip(d, f->low, e->lo16, err);
        return rc ? rc : qdi_doc_ip(d, f->high, e->hi16, err);
    }
    rc = qdi_doc_i64(d, f->low, e->lo, err);
    return rc ? rc : qdi_doc_i64(d, f->high, e->hi, err);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    ends e;
    widest(f, &e);
    int rc;
    if (d->r.event == QD_JSON_OBJECT)
        rc = read_object(d, f, &e, err);
    else if (addresses(f) && d->r.event == QD_JSON_STRING)
        rc = qd_ip_cidr(d->r.text, e.lo16, e.hi16, err);
    else
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "error parsing field [%.*s], expected an object but got %.*s",
                          QD_STR_ARG(f->name), QD_STR_ARG(f->leaf));
    return rc ? rc : add(d, f, &e, err);
}

/* --- requests --------------------------------------------------------------------------------- */

/* Bounds of whole numbers are whole: they are not rounded. */
static int check_whole(const qd_field *f, const qd_query_value *v, qd_err *err)
{
    int64_t n;
    bool exact, small = f->type == &qdi_type_integer_range;
    if (!v || f->type->dates || f->low->value_class != QD_VALUE_I64 ||
        f->low->type->number != QD_NUMBER_INTEGER)
        return 0;
    int rc = qd_i64_parse_decimal(v->text, &n, &exact);
    if (rc == QD_E_ARG)
        return qd_err_set(err, QD_E_NUMBER_FORMAT,
                          v->text.n ? "For input string: \"%.*s\"" : "empty String",
                          QD_STR_ARG(v->text));
    if (rc || (small && (n < INT32_MIN || n > INT32_MAX)))
        return qd_err_set(err, QD_E_ARG, "Value [%.*s] is out of range for %s", QD_STR_ARG(v->text),
                          small ? "an integer" : "a long");
    if (exact) return 0;
    return qd_err_set(err, QD_E_ARG, "Value [%.*s] has a decimal part", QD_STR_ARG(v->text));
}

static int wrong_order(const qd_field *f, const ends *e, bool lo_in, bool hi_in, qd_err *err)
{
    char lo[128], hi[128];
    ends g = *e;
    if (addresses(f)) {
        if (!lo_in) (void)step_ip(g.lo16, false);
        if (!hi_in) (void)step_ip(g.hi16, true);
        if (memcmp(g.lo16, g.hi16, 16) <= 0) return 1;
        lo[0] = hi[0] = '/';
        lo[1 + qd_ip_print(lo + 1, g.lo16)] = 0;
        hi[1 + qd_ip_print(hi + 1, g.hi16)] = 0;
    } else {
        g.lo -= !lo_in;
        g.hi += !hi_in;
        if (g.lo <= g.hi) return 1;
        print_end(f, g.lo, lo);
        print_end(f, g.hi, hi);
    }
    return qd_err_set(err, QD_E_ARG,
                      "Range query `from` value (%s) is greater than `to` value (%s)", lo, hi);
}

/* One bound of a query, by the type of the ends. */
static int one_bound(const qd_field *f, const qd_query_value *v, bool upper, bool in,
                     const qd_value_ctx *ctx, ends *e, qd_err *err)
{
    qd_point p[2];
    int rc = check_whole(f, v, err);
    if (!rc)
        rc = upper ? qd_field_range(f->low, NULL, true, v, in, ctx, p, err)
                   : qd_field_range(f->low, v, in, NULL, true, ctx, p, err);
    if (rc) return rc;
    if (addresses(f))
        memcpy(upper ? e->hi16 : e->lo16, p[upper].ip, 16);
    else
        *(upper ? &e->hi : &e->lo) = p[upper].i64;
    return 0;
}

int qd_field_interval_bounds(const qd_field *f, const qd_query_value *lo, bool lo_in,
                             const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx,
                             qd_interval_bounds *out, qd_err *err)
{
    ends e;
    widest(f, &e);
    int rc = lo ? one_bound(f, lo, false, lo_in, ctx, &e, err) : 0;
    if (!rc && hi) rc = one_bound(f, hi, true, hi_in, ctx, &e, err);
    if (rc) return rc;
    if (addresses(f) ? memcmp(e.lo16, e.hi16, 16) > 0 : e.lo > e.hi)
        return wrong_order(f, &e, lo_in || !lo, hi_in || !hi, err);
    *out = (qd_interval_bounds){.wide = addresses(f), .lo = e.lo, .hi = e.hi};
    memcpy(out->lo16, e.lo16, 16);
    memcpy(out->hi16, e.hi16, 16);
    out->n = encode(f, &e, false, out->lo_bytes);
    (void)encode(f, &e, true, out->hi_bytes);
    return 0;
}

static int no_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                   qd_err *err)
{
    (void)v;
    (void)ctx;
    (void)out;
    return qd_err_set(err, QD_E_ARG, "Field [%.*s] of type [%s] has no single values",
                      QD_STR_ARG(f->name), f->type->name);
}

static int no_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                    const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx, qd_point out[2],
                    qd_err *err)
{
    (void)lo;
    (void)lo_in;
    (void)hi;
    (void)hi_in;
    return no_term(f, (qd_query_value){0}, ctx, out, err);
}

/* A network as text: the address as it is printed. */
static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    uint8_t lo[16], hi[16];
    (void)ctx;
    out->bytes = v.text;
    return !addresses(f) || qd_ip_cidr(v.text, lo, hi, NULL) != 0;
}

static int show_end(const qd_field *f, const qd_json_node *n, const qd_date_format *format,
                    qd_json_writer *w)
{
    qd_query_value v = {qd_json_text(n), n->type == QD_JSON_T_STRING};
    qd_value_ctx ctx = {0};
    qd_point p = {0};
    if (n->type == QD_JSON_T_NULL) {
        qd_json_null(w);
        return 0;
    }
    if (!v.text.p) return 1;
    if (f->type->dates && v.quoted) {
        if (qd_date_math(f->format, v.text, 0, false, NULL, &p.i64, NULL)) return 1;
    } else if (qd_field_shown(f->low, v, &ctx, &p)) {
        return 1;
    }
    qd_field_write_shown(f->low, &p, format, w);
    return 0;
}

static int show(const qd_field *f, const qd_json_node *n, const qd_date_format *format,
                qd_json_writer *w)
{
    qd_json_object(w);
    for (const qd_json_node *x = n->first; x; x = x->next) {
        qd_json_key(w, x->key);
        if (show_end(f, x, format, w)) return 1;
    }
    qd_json_object_end(w);
    return 0;
}

/* A value of the column as an interval of inclusive ends; an end that is open is left out. */
static void write_bytes(const qd_field *f, qd_str bytes, qd_json_writer *w)
{
    ends all;
    size_t n = addresses(f) ? 16 : 8;
    char open[2][16];
    if (bytes.n != 2 * n) {
        qd_json_null(w);
        return;
    }
    widest(f, &all);
    qd_json_object(w);
    for (int up = 0; up < 2; up++) {
        const char *end = bytes.p + (up ? n : 0);
        (void)encode(f, &all, up, open[up]);
        if (!memcmp(end, open[up], n)) continue;
        qd_json_key_c(w, up ? "lte" : "gte");
        if (addresses(f))
            qd_field_write_bytes(f->low, (qd_str){end, n}, w);
        else
            qd_field_write(f->low, get_i64(end), f->format, NULL, w);
    }
    qd_json_object_end(w);
}

#define RANGE_TYPE(symbol, text, list, date)                                                       \
    const struct qd_field_type qdi_type_##symbol = {                                               \
        .value_class = QD_VALUE_RANGE,                                                             \
        .dates = (date),                                                                           \
        .objects = true,                                                                           \
        .name = (text),                                                                            \
        .level = QD_FEATURES_TYPES_0_2,                                                            \
        .params = (list),                                                                          \
        .nparams = QD_COUNT_OF(list),                                                              \
        .finish = finish,                                                                          \
        .value = value,                                                                            \
        .term = no_term,                                                                           \
        .range = no_range,                                                                         \
        .shown = shown,                                                                            \
        .show = show,                                                                              \
        .write_bytes = write_bytes,                                                                \
    }

RANGE_TYPE(integer_range, "integer_range", params, false);
RANGE_TYPE(long_range, "long_range", params, false);
RANGE_TYPE(float_range, "float_range", params, false);
RANGE_TYPE(double_range, "double_range", params, false);
RANGE_TYPE(date_range, "date_range", date_params, true);
RANGE_TYPE(ip_range, "ip_range", params, false);
