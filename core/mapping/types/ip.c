/* ip.c: addresses of both versions as 16 bytes. */
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
};

static int read_ip(qd_str text, uint8_t out[16], qd_err *err)
{
    if (qd_ip_parse(text, out)) return 0;
    return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.", QD_STR_ARG(text));
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    f->has_points = f->indexed;
    if (!f->has_null_value || read_ip(f->null_text, f->null_ip, err) == 0) return 0;
    return qd_err_wrap(err, QD_E_MAPPER_PARSING, "Error parsing [null_value] on field [%.*s]",
                       QD_STR_ARG(f->leaf));
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    uint8_t ip[16];
    int rc = read_ip(qdi_doc_text(d), ip, err);
    return rc ? rc : qdi_doc_ip(d, f, ip, err);
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    (void)f;
    (void)ctx;
    return read_ip(v.text, out->ip, err);
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)ctx;
    return !qd_ip_parse(v.text, out->ip);
}

/* The neighbour up or down; false at the end of the space. */
static bool step(uint8_t ip[16], int by)
{
    for (int i = 15; i >= 0; i--) {
        uint8_t was = ip[i];
        ip[i] = (uint8_t)(was + by);
        if (by > 0 ? was != 0xFF : was != 0) return true;
    }
    return false;
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    int rc;
    (void)f;
    (void)ctx;
    memset(out[0].ip, 0, 16);
    memset(out[1].ip, 0xFF, 16);
    if (lo) {
        rc = read_ip(lo->text, out[0].ip, err);
        if (rc) return rc;
        if (!lo_in && !step(out[0].ip, 1)) return 1;
    }
    if (hi) {
        rc = read_ip(hi->text, out[1].ip, err);
        if (rc) return rc;
        if (!hi_in && !step(out[1].ip, -1)) return 1;
    }
    return memcmp(out[0].ip, out[1].ip, 16) > 0;
}

const struct qd_field_type qdi_type_ip = {
    .value_class = QD_VALUE_IP,
    .name = "ip",
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = term,
    .range = range,
    .shown = shown,
};
