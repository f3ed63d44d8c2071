/*
 * search_as_you_type.c: analyzed text with multi-fields of its own: runs of 2 to max_shingle_size
 * words (._2gram, ._3gram, …), and the beginnings of the longest runs (._index_prefix), by which
 * prefixes, and phrases that end in one, are terms.
 */
#include "analysis/shingles.h"
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/types/text_int.h"

#define SHINGLE_DEFAULT 3

static const param_row params[] = {
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_SHOWN, "false"},
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"max_shingle_size", PARAM_SHINGLE, KIND_INT, UPDATE_SHOWN, "3"},
    {"analyzer", PARAM_ANALYZER, KIND_STRING, UPDATE_NEVER, "\"default\""},
    {"search_analyzer", PARAM_SEARCH_ANALYZER, KIND_STRING, UPDATE_FREE, NULL},
    {"search_quote_analyzer", PARAM_SEARCH_QUOTE_ANALYZER, KIND_STRING, UPDATE_FREE, NULL},
    {"similarity", PARAM_SIMILARITY, KIND_STRING, UPDATE_NEVER, "null"},
    {"index_options", PARAM_INDEX_OPTIONS, KIND_STRING, UPDATE_NEVER, "\"positions\""},
    {"norms", PARAM_NORMS, KIND_BOOL, UPDATE_OFF, "true"},
    {"term_vector", PARAM_TERM_VECTOR, KIND_STRING, UPDATE_NEVER, "\"no\""},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int no_finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    (void)f;
    (void)err;
    return 0;
}

static const struct qd_field_type shingle = {
    .value_class = QD_VALUE_TEXT,
    .name = "search_as_you_type",
    .level = QD_FEATURES_TYPES_0_2,
    .finish = no_finish,
    .value = qdi_text_value,
    .term = qdi_text_term,
    .range = qdi_text_range,
    .shown = qdi_text_shown,
};

static const struct qd_field_type prefix = {
    .value_class = QD_VALUE_TEXT,
    .name = "prefix",
    .level = QD_FEATURES_TYPES_0_2,
    .finish = no_finish,
    .value = qdi_text_value,
    .term = qdi_text_term,
    .range = qdi_text_range,
    .shown = qdi_text_shown,
};

static void drop(void *arg)
{
    qd_analyzer_unref(arg);
}

/* An analyzer of shingles behind base, which ends with the mapping. */
static int behind(field_builder *b, const qd_analyzer *base, uint32_t size, bool prefixes,
                  const qd_analyzer **out, qd_err *err)
{
    qd_analyzer *made;
    int rc = qd_analyzer_shingles(base, size, prefixes, &made, err);
    if (rc) return rc;
    *out = made;
    return qd_arena_on_reset(b->arena, drop, made) ? qd_err_nomem(err, "mapping") : 0;
}

static int add_shingles(field_builder *b, qd_field *f, uint32_t size, qd_err *err)
{
    char name[] = "_0gram";
    name[1] = (char)('0' + size);
    qd_field *x;
    int rc = qdi_field_imply(b, f, &shingle, name, &x, err);
    if (rc) return rc;
    x->stored = false;
    rc = behind(b, f->index_analyzer, size, false, &x->index_analyzer, err);
    if (!rc) rc = behind(b, f->search_analyzer, size, false, &x->search_analyzer, err);
    x->search_quote_analyzer = x->search_analyzer;
    f->shingles[size - QD_SHINGLE_MIN] = x;
    f->nshingles = size - QD_SHINGLE_MIN + 1;
    return rc;
}

static int add_prefixes(field_builder *b, qd_field *f, uint32_t size, qd_err *err)
{
    qd_field *x;
    int rc = qdi_field_imply(b, f, &prefix, "_index_prefix", &x, err);
    if (rc) return rc;
    x->stored = x->norms = false;
    rc = behind(b, f->index_analyzer, size, true, &x->index_analyzer, err);
    if (!rc) rc = behind(b, f->search_analyzer, size, false, &x->search_analyzer, err);
    x->search_quote_analyzer = f->search_analyzer;
    f->prefixes = x->prefixes = x;
    for (uint32_t i = 0; i < f->nshingles; i++)
        ((qd_field *)(uintptr_t)f->shingles[i])->prefixes = x; /* not shared yet */
    return rc;
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *given = qdi_param(f->def, PARAM_SHINGLE);
    int64_t size = given ? given->i : SHINGLE_DEFAULT;
    if (f->doc_values)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Cannot set [doc_values] on field of type [search_as_you_type]");
    if (size < QD_SHINGLE_MIN || size > QD_SHINGLE_MAX)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[max_shingle_size] must be at least [%u] and at most [%u], got [%lld]",
                          QD_SHINGLE_MIN, QD_SHINGLE_MAX, (long long)size);
    int rc = qdi_text_finish(b, f, err);
    if (rc || !f->index_analyzer || !f->search_analyzer) return rc;
    for (uint32_t n = QD_SHINGLE_MIN; !rc && n <= size; n++) rc = add_shingles(b, f, n, err);
    return rc ? rc : add_prefixes(b, f, (uint32_t)size, err);
}

const struct qd_field_type qdi_type_search_as_you_type = {
    .value_class = QD_VALUE_TEXT,
    .name = "search_as_you_type",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = qdi_text_value,
    .term = qdi_text_term,
    .range = qdi_text_range,
    .shown = qdi_text_shown,
};
