/* constant_keyword.c: one value for all documents of the index, of the mapping or of the first
 * document that has one. Nothing of it stands in segments. */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"
#include "mapping/types/text_int.h"

static const param_row params[] = {
    {"value", PARAM_VALUE, KIND_STRING, UPDATE_SET, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *v = qdi_param(f->def, PARAM_VALUE);
    (void)b;
    (void)err;
    f->constant = true;
    f->ignore_malformed = false;       /* whatever the index says */
    f->indexed = f->doc_values = true; /* so it answers queries and aggregations */
    if (v) f->fixed = v->text;
    return 0;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    qd_str text = qdi_doc_text(d);
    if (d->r.event == QD_JSON_NULL)
        return qd_err_set(err, QD_E_ARG,
                          "[constant_keyword] field [%.*s] doesn't accept [null] values",
                          QD_STR_ARG(f->name));
    if (!f->fixed.p) {
        param_value given = {.text = text, .json = qdi_json_quote(&d->arena, text)};
        return qdi_doc_define_param(d, f, PARAM_VALUE, &given, err);
    }
    if (QD_LIKELY(qd_str_eq(text, f->fixed))) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "[constant_keyword] field [%.*s] only accepts values that are equal to the "
                      "value defined in the mappings [%.*s], but got [%.*s]",
                      QD_STR_ARG(f->name), QD_STR_ARG(f->fixed), QD_STR_ARG(text));
}

static int range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err)
{
    (void)ctx;
    (void)out;
    (void)err;
    int low = lo ? qd_str_cmp(f->fixed, lo->text) : 1;
    int high = hi ? qd_str_cmp(f->fixed, hi->text) : -1;
    return !f->fixed.p || low < !lo_in || high > (hi_in ? 0 : -1);
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)v;
    (void)ctx;
    out->bytes = f->fixed;
    return !f->fixed.p;
}

const struct qd_field_type qdi_type_constant_keyword = {
    .value_class = QD_VALUE_TERM,
    .takes_null = true,
    .name = "constant_keyword",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = qdi_text_term,
    .range = range,
    .shown = shown,
};
