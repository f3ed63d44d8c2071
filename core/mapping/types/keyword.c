/* keyword.c: terms as they are, possibly normalized. */
#include "base/utf8.h"
#include "mapping/types/term_int.h"

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"eager_global_ordinals", PARAM_EAGER, KIND_BOOL, UPDATE_FREE, "false"},
    {"ignore_above", PARAM_IGNORE_ABOVE, KIND_INT, UPDATE_FREE, "2147483647"},
    {"index_options", PARAM_INDEX_OPTIONS, KIND_STRING, UPDATE_NEVER, "\"docs\""},
    {"norms", PARAM_NORMS, KIND_BOOL, UPDATE_OFF, "false"},
    {"similarity", PARAM_SIMILARITY, KIND_STRING, UPDATE_NEVER, "null"},
    {"normalizer", PARAM_NORMALIZER, KIND_STRING, UPDATE_NEVER, NULL},
    {"split_queries_on_whitespace", PARAM_SPLIT, KIND_BOOL, UPDATE_FREE, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
    {"time_series_dimension", PARAM_OTHER, KIND_BOOL, UPDATE_NEVER, "false"},
};

int qdi_term_above(const qd_field *f, qd_err *err)
{
    const param_value *above = qdi_param(f->def, PARAM_IGNORE_ABOVE);
    if (!above || above->i >= 0) return 0;
    return qd_err_set(err, QD_E_ARG, "[ignore_above] must be positive, got [%lld]",
                      (long long)above->i);
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *n = qdi_param(f->def, PARAM_NORMALIZER);
    if (n) {
        f->normalizer = qd_analyzers_normalizer(b->analyzers, n->text);
        if (!f->normalizer) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "normalizer [%.*s] not found for field [%.*s]", QD_STR_ARG(n->text),
                              QD_STR_ARG(f->leaf));
        }
    }
    int rc = qdi_term_above(f, err);
    if (rc) return rc;
    if (f->index_options > QD_INDEX_OPT_FREQS) {
        return qd_err_set(
            err, QD_E_ARG,
            "Unknown value [%.*s] for field [index_options] - accepted values are [docs, freqs]",
            QD_STR_ARG(qdi_param(f->def, PARAM_INDEX_OPTIONS)->text));
    }
    if (!f->indexed) f->norms = false;
    return 0;
}

int qdi_term_immense(const qd_field *f, qd_str v, qd_err *err)
{
    char prefix[256];
    size_t n = 0;
    for (size_t i = 0; i < 30 && i < v.n; i++) {
        if (i) {
            prefix[n++] = ',';
            prefix[n++] = ' ';
        }
        n += qd_i64_print(prefix + n, (signed char)v.p[i]);
    }
    return qd_err_set(err, QD_E_ARG,
                      "Document contains at least one immense term in field=\"%.*s\" (whose UTF8 "
                      "encoding is longer than "
                      "the max length %u), all of which were skipped. Please correct the analyzer "
                      "to not produce such "
                      "terms. The prefix of the first immense term is: '[%.*s]...'",
                      QD_STR_ARG(f->name), QDI_TERM_MAX, (int)n, prefix);
}

static int normalize(doc *d, const qd_field *f, qd_str *v, qd_err *err)
{
    if (!d->analysis) d->analysis = qd_analysis_make(d->account, 0);
    if (!d->analysis) return qd_err_nomem(err, "normalizer");
    qd_str out;
    int rc = qd_analyzer_normalize(f->normalizer, d->analysis, *v, &out, err);
    if (rc) return rc;
    if (qd_str_eq(out, *v)) return 0;
    *v = qd_arena_str(&d->arena, out);
    return out.n && !v->p ? qd_err_nomem(err, "normalizer") : 0;
}

bool qdi_term_longer(qd_str v, uint64_t limit)
{
    return v.n > limit && (v.n > 3 * limit || qd_utf8_utf16(v) > limit);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    qd_str v = qdi_doc_text(d);
    if (QD_UNLIKELY(qdi_term_longer(v, f->ignore_above))) {
        return qdi_doc_ignored(d, f, err);
    }
    if (f->normalizer) {
        int rc = normalize(d, f, &v, err);
        if (rc) return rc;
    }
    if (!f->indexed && !f->doc_values && !f->stored) return 0;
    if (QD_UNLIKELY(v.n > QDI_TERM_MAX) && (f->indexed || f->doc_values))
        return qdi_term_immense(f, v, err);
    return qdi_doc_str(d, f, v, err);
}

int qdi_term_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                  qd_err *err)
{
    out->bytes = v.text;
    if (!f->normalizer) return 0;
    qd_assert(ctx && ctx->scratch);
    return qd_analyzer_normalize(f->normalizer, ctx->scratch, v.text, &out->bytes, err);
}

/* Bounds are terms; the scratch holds one normalized text only, so the caller normalizes ranges one
 * end at a time by qd_field_term when there is a normalizer. */
int qdi_term_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                   const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx, qd_point out[2],
                   qd_err *err)
{
    (void)f;
    (void)lo_in;
    (void)hi_in;
    (void)ctx;
    (void)err;
    if (lo) out[0].bytes = lo->text;
    if (hi) out[1].bytes = hi->text;
    return 0;
}

int qdi_term_shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    out->bytes = v.text;
    if (f->ignore_above != UINT32_MAX && qd_utf8_utf16(v.text) > f->ignore_above) return 1;
    if (!f->normalizer || !ctx->scratch) return 0;
    return qd_analyzer_normalize(f->normalizer, ctx->scratch, v.text, &out->bytes, NULL);
}

const struct qd_field_type qdi_type_keyword = {
    .value_class = QD_VALUE_TERM,
    .name = "keyword",
    .collapses = true,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = qdi_term_term,
    .range = qdi_term_range,
    .shown = qdi_term_shown,
};
