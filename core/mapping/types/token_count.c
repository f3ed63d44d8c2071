/* token_count.c: how many words an analyzer makes of a string, as an integer. */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/types/integer_int.h"

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"analyzer", PARAM_ANALYZER, KIND_STRING, UPDATE_NEVER, NULL},
    {"null_value", PARAM_NULL_VALUE, KIND_INT, UPDATE_NEVER, NULL},
    {"enable_position_increments", PARAM_INCREMENTS, KIND_BOOL, UPDATE_NEVER, "true"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *name = qdi_param(f->def, PARAM_ANALYZER);
    const param_value *null = qdi_param(f->def, PARAM_NULL_VALUE);
    f->has_points = f->indexed;
    f->ignore_malformed = false; /* whatever the index says */
    if (!name)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Analyzer must be set for field [%.*s] but wasn't.", QD_STR_ARG(f->leaf));
    f->index_analyzer = qd_analyzers_get(b->analyzers, name->text);
    if (!f->index_analyzer) {
        int rc = qd_analysis_refuse("analyzer", (qd_str){NULL, 0}, name->text, err);
        if (rc) return rc;
        return qd_err_set(err, QD_E_ARG, "analyzer [%.*s] has not been configured in mappings",
                          QD_STR_ARG(name->text));
    }
    if (null) f->null_i64 = null->i;
    return 0;
}

/* Positions, holes of removed words included; or words that stand at a position of their own. */
static int count(const qd_field *f, qd_analysis *scratch, qd_str text, int64_t *out, qd_err *err)
{
    const qd_tokens *t;
    const param_value *holes = qdi_param(f->def, PARAM_INCREMENTS);
    int rc = qd_analyzer_run(f->index_analyzer, scratch, text, 0, &t, err);
    if (rc) return rc;
    *out = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t inc = t->has & QD_TOKENS_INC ? t->inc[i] : 1;
        *out += holes && inc > 1 ? 1 : inc; /* the default, true, is never given */
    }
    if (!holes) *out += t->end_inc;
    return 0;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    int64_t n;
    if (!f->indexed && !f->stored && !f->doc_values) return 0;
    if (!d->analysis) d->analysis = qd_analysis_make(d->account, 0);
    if (!d->analysis) return qd_err_nomem(err, "token_count");
    int rc = count(f, d->analysis, qdi_doc_text(d), &n, err);
    return rc ? rc : qdi_doc_i64(d, f, n, err);
}

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    /* as Elasticsearch, which reads doc values here */
    if (!f->doc_values || !ctx->scratch) return 1;
    return count(f, ctx->scratch, v.text, &out->i64, NULL);
}

const struct qd_field_type qdi_type_token_count = {
    .kind = QD_FIELD_INTEGER,
    .value_class = QD_VALUE_I64,
    .numeric = true,
    .collapses = true,
    .name = "token_count",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = qdi_integer_term,
    .range = qdi_integer_range,
    .shown = shown,
    .f64 = qdi_integer_f64,
    .from_f64 = qdi_integer_from_f64,
    .write = qdi_integer_write,
};
