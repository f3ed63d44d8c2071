/* text.c: analyzed text. */
#include "mapping/types/text_int.h"

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"index_options", PARAM_INDEX_OPTIONS, KIND_STRING, UPDATE_NEVER, "\"positions\""},
    {"norms", PARAM_NORMS, KIND_BOOL, UPDATE_OFF, "true"},
    {"term_vector", PARAM_TERM_VECTOR, KIND_STRING, UPDATE_NEVER, "\"no\""},
    {"analyzer", PARAM_ANALYZER, KIND_STRING, UPDATE_NEVER, "\"default\""},
    {"search_analyzer", PARAM_SEARCH_ANALYZER, KIND_STRING, UPDATE_FREE, NULL},
    {"search_quote_analyzer", PARAM_SEARCH_QUOTE_ANALYZER, KIND_STRING, UPDATE_FREE, NULL},
    {"similarity", PARAM_SIMILARITY, KIND_STRING, UPDATE_NEVER, "null"},
    {"position_increment_gap", PARAM_GAP, KIND_INT, UPDATE_NEVER, NULL},
    {"fielddata", PARAM_FIELDDATA, KIND_BOOL, UPDATE_FREE, "false"},
    {"fielddata_frequency_filter", PARAM_FIELDDATA_FILTER, KIND_ANY, UPDATE_FREE, NULL},
    {"eager_global_ordinals", PARAM_EAGER, KIND_BOOL, UPDATE_FREE, "false"},
    {"index_phrases", PARAM_INDEX_PHRASES, KIND_BOOL, UPDATE_NEVER, "false"},
    {"index_prefixes", PARAM_OTHER, KIND_ANY, UPDATE_NEVER, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int named(const field_builder *b, const qd_field *f, param_id id, const qd_analyzer **out,
                 qd_err *err)
{
    const param_value *v = qdi_param(f->def, id);
    if (!v) return 0;
    const qd_analyzer *a = qd_analyzers_get(b->analyzers, v->text);
    if (!a) {
        int rc = qd_analysis_refuse("analyzer", (qd_str){NULL, 0}, v->text, err);
        if (rc) return rc;
        return qd_err_set(err, QD_E_ARG, "analyzer [%.*s] has not been configured in mappings",
                          QD_STR_ARG(v->text));
    }
    *out = a;
    return 0;
}

/* index_phrases: pairs of words go into a field of their own, which no mapping shows. */
static int finish_pairs(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *v = qdi_param(f->def, PARAM_INDEX_PHRASES);
    if (!v || !v->i) return 0;
    if (!f->indexed)
        return qd_err_set(err, QD_E_ARG, "Cannot set index_phrases on unindexed field [%.*s]",
                          QD_STR_ARG(f->leaf));
    if (f->index_options < QD_INDEX_OPT_POSITIONS)
        return qd_err_set(err, QD_E_ARG,
                          "Cannot set index_phrases on field [%.*s] if positions are not enabled",
                          QD_STR_ARG(f->leaf));
    f->pairs = qd_arena_printf(b->arena, "%.*s._index_phrase", QD_STR_ARG(f->name));
    return f->pairs.p ? 0 : qd_err_nomem(err, "mapping");
}

static int filter_number(const qd_json_node *n, double *out, qd_err *err)
{
    qd_str text = qd_json_text(n);
    if (text.p && !qd_f64_parse_java(text, out)) return 0;
    return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(n->raw));
}

/* fielddata, and which terms it leaves out. */
static int finish_fielddata(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *v = qdi_param(f->def, PARAM_FIELDDATA_FILTER);
    qd_json_node *root;
    double docs = 0;
    if (f->fielddata && !f->indexed)
        return qd_err_set(err, QD_E_ARG,
                          "Cannot enable fielddata on a [text] field that is not indexed: [%.*s]",
                          QD_STR_ARG(f->leaf));
    int rc = v ? qd_json_parse(b->arena, v->json, 0, &root, err) : 0;
    if (rc || !v) return rc;
    if (root->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[fielddata_frequency_filter] of field [%.*s] must be an object",
                          QD_STR_ARG(f->leaf));
    for (const qd_json_node *n = root->first; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "min"))
            rc = filter_number(n, &f->fielddata_min, err);
        else if (qd_str_is(n->key, "max"))
            rc = filter_number(n, &f->fielddata_max, err);
        else if (qd_str_is(n->key, "min_segment_size"))
            rc = filter_number(n, &docs, err);
        else
            rc = qd_err_set(err, QD_E_MAPPER_PARSING,
                            "Mapping definition for [fielddata_frequency_filter] has unsupported "
                            "parameters:  [%.*s : %.*s]",
                            QD_STR_ARG(n->key), QD_STR_ARG(n->raw));
    }
    f->fielddata_min_docs = docs < 0 ? 0 : docs > 0x1p31 ? (int64_t)1 << 31 : (int64_t)docs;
    return rc;
}

int qdi_text_finish(field_builder *b, qd_field *f, qd_err *err)
{
    f->doc_values = false;
    f->index_analyzer = qd_analyzers_get(b->analyzers, QD_STR("default"));
    int rc = named(b, f, PARAM_ANALYZER, &f->index_analyzer, err);
    if (rc) return rc;
    f->search_analyzer = qdi_param(f->def, PARAM_ANALYZER)
                             ? f->index_analyzer
                             : qd_analyzers_search_default(b->analyzers);
    rc = named(b, f, PARAM_SEARCH_ANALYZER, &f->search_analyzer, err);
    if (rc) return rc;
    f->search_quote_analyzer = f->search_analyzer;
    rc = named(b, f, PARAM_SEARCH_QUOTE_ANALYZER, &f->search_quote_analyzer, err);
    if (rc) return rc;
    if (f->index_analyzer && !qd_analyzer_for_index(f->index_analyzer)) {
        qd_str name = qd_analyzer_name(f->index_analyzer);
        return qd_err_set(
            err, QD_E_MAPPER_PARSING,
            "analyzer [%.*s] contains filters that are not allowed to run in index time mode.",
            QD_STR_ARG(name));
    }
    const param_value *gap = qdi_param(f->def, PARAM_GAP);
    if (!gap && f->index_analyzer) f->position_increment_gap = qd_analyzer_gap(f->index_analyzer);
    if (gap && gap->i < 0)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[positions_increment_gap] must be positive, got [%lld]",
                          (long long)gap->i);
    if (gap && f->index_options < QD_INDEX_OPT_POSITIONS) {
        return qd_err_set(
            err, QD_E_ARG,
            "Cannot set position_increment_gap on field [%.*s] without positions enabled",
            QD_STR_ARG(f->leaf));
    }
    if (!f->indexed) f->norms = false;
    if ((rc = finish_fielddata(b, f, err))) return rc;
    const param_value *vector = qdi_param(f->def, PARAM_TERM_VECTOR);
    f->vector_offsets = vector && qd_str_starts(vector->text, QD_STR("with_positions_offsets"));
    return finish_pairs(b, f, err);
}

int qdi_text_value(doc *d, const qd_field *f, qd_err *err)
{
    return f->indexed || f->stored ? qdi_doc_str(d, f, qdi_doc_text(d), err) : 0;
}

int qdi_text_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                  qd_err *err)
{
    (void)f;
    (void)ctx;
    (void)err;
    out->bytes = v.text;
    return 0;
}

int qdi_text_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
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

int qdi_text_shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)ctx;
    out->bytes = v.text;
    return 0;
}

const struct qd_field_type qdi_type_text = {
    .value_class = QD_VALUE_TEXT,
    .name = "text",
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = qdi_text_finish,
    .value = qdi_text_value,
    .term = qdi_text_term,
    .range = qdi_text_range,
    .shown = qdi_text_shown,
};
