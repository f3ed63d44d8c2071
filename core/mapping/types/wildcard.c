/*
 * wildcard.c: values for patterns anywhere in them. A value stands in the column alone; its 3-grams
 * (grams.h) are the terms of a hidden field, which narrow what is compared with the values.
 */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/grams.h"
#include "mapping/types/term_int.h"

static const param_row params[] = {
    {"ignore_above", PARAM_IGNORE_ABOVE, KIND_INT, UPDATE_FREE, "2147483647"},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    int rc = qdi_term_above(f, err);
    if (rc) return rc;
    qd_field *grams = qdi_field_hide(b, f, &qdi_type_keyword, ".grams");
    if (!grams) return qd_err_nomem(err, "mapping");
    grams->indexed = true;
    f->grams = grams;
    f->indexed = f->doc_values = true;
    return 0;
}

static int add_grams(doc *d, const qd_field *grams, qd_str v, qd_err *err)
{
    size_t n = v.n + 2 * QD_GRAM_PAD, at = 0;
    char *text = qd_arena_bytes(&d->arena, n);
    if (!text) return qd_err_nomem(err, "values of a document");
    memset(text, 0, QD_GRAM_PAD);
    qd_grams_fold(v, text + QD_GRAM_PAD);
    memset(text + QD_GRAM_PAD + v.n, 0, QD_GRAM_PAD);
    int rc = 0;
    for (qd_str g; !rc && (g = qd_grams_next((qd_str){text, n}, &at)).p;)
        rc = qdi_doc_str(d, grams, g, err);
    return rc;
}

static int add(doc *d, const qd_field *f, qd_str v, qd_err *err)
{
    if (qdi_term_longer(v, f->ignore_above)) return qdi_doc_ignored(d, f, err);
    if (v.n > QDI_TERM_MAX) return qdi_term_immense(f, v, err);
    int rc = qdi_doc_str(d, f, v, err);
    return rc ? rc : add_grams(d, f->grams, v, err);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    return add(d, f, qdi_doc_text(d), err);
}

static int null_value(doc *d, const qd_field *f, qd_err *err)
{
    return add(d, f, f->null_text, err);
}

const struct qd_field_type qdi_type_wildcard = {
    .value_class = QD_VALUE_TERM,
    .name = "wildcard",
    .family = "keyword",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .null = null_value,
    .term = qdi_term_term,
    .range = qdi_term_range,
    .shown = qdi_term_shown,
};
