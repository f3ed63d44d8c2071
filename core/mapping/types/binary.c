/* binary.c: bytes, given and shown as base64; no query reads them. */
#include "base/base64.h"
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"
#include "mapping/types/text_int.h"

#define COLUMN_BYTES_MAX 32766

static const param_row params[] = {
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "false"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    (void)err;
    f->indexed = false;
    f->blob = true;
    f->ignore_malformed = false; /* whatever the index says */
    return 0;
}

static int undecodable(const doc *d, qd_str text, size_t at, qd_err *err)
{
    static const char lead[] = "Failed to decode VALUE_STRING as base64 (MIME-NO-LINEFEEDS)";
    if (at >= text.n)
        return qdi_doc_token_error(d, err, "%s: Unexpected end of base64-encoded String", lead);
    return qdi_doc_token_error(d, err, "%s: Illegal character '%c' (code 0x%x) in base64 content",
                               lead, text.p[at], (unsigned)(uint8_t)text.p[at]);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    qd_str text = d->r.text;
    size_t n;
    if (!f->stored && !f->doc_values) return 0; /* as Elasticsearch: nobody reads it */
    if (d->r.event != QD_JSON_STRING)
        return qdi_doc_token_error(d, err,
                                   "Current token (%s) not VALUE_STRING or VALUE_EMBEDDED_OBJECT, "
                                   "can not access as binary",
                                   d->r.event == QD_JSON_TRUE    ? "VALUE_TRUE"
                                   : d->r.event == QD_JSON_FALSE ? "VALUE_FALSE"
                                   : d->r.integer                ? "VALUE_NUMBER_INT"
                                                                 : "VALUE_NUMBER_FLOAT");
    char *out = qd_arena_bytes(&d->arena, text.n + 4);
    if (!out) return qd_err_nomem(err, "binary value");
    size_t bad = qd_base64_decode(text, out, &n);
    if (bad != SIZE_MAX) return undecodable(d, text, bad, err);
    if (f->doc_values && n > COLUMN_BYTES_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "Doc values of field [%.*s] hold at most %d bytes a value, but got %zu",
                          QD_STR_ARG(f->name), COLUMN_BYTES_MAX, n);
    return qdi_doc_str(d, f, (qd_str){out, n}, err);
}

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    (void)f;
    (void)v;
    (void)ctx;
    (void)out;
    return qd_err_set(err, QD_E_QUERY_SHARD, "Binary fields do not support searching");
}

static void write_bytes(const qd_field *f, qd_str bytes, qd_json_writer *w)
{
    qd_buf b;
    (void)f;
    qd_buf_init(&b, NULL, 4 * (COLUMN_BYTES_MAX / 3 + 2));
    char *text = qd_buf_reserve(&b, qd_base64_size(bytes.n));
    size_t n = text ? qd_base64_encode(text, (const uint8_t *)bytes.p, bytes.n) : 0;
    qd_json_str(w, (qd_str){text ? text : "", n});
    qd_buf_fini(&b);
}

const struct qd_field_type qdi_type_binary = {
    .value_class = QD_VALUE_TERM,
    .name = "binary",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = term,
    .range = qdi_no_range,
    .shown = qdi_text_shown,
    .write_bytes = write_bytes,
};
