/* match_only_text.c: analyzed text of which the index knows only which documents have a word:
 * no frequencies, positions or norms. */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"
#include "mapping/types/text_int.h"

static const param_row params[] = {
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)err;
    f->index_analyzer = qd_analyzers_get(b->analyzers, QD_STR("default"));
    f->search_analyzer = f->search_quote_analyzer = qd_analyzers_search_default(b->analyzers);
    if (f->index_analyzer) f->position_increment_gap = qd_analyzer_gap(f->index_analyzer);
    f->index_options = QD_INDEX_OPT_DOCS;
    f->phrases_apart = true;
    f->ignore_malformed = false; /* whatever the index says */
    return 0;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    return qdi_doc_str(d, f, qdi_doc_text(d), err);
}

const struct qd_field_type qdi_type_match_only_text = {
    .value_class = QD_VALUE_TEXT,
    .name = "match_only_text",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = qdi_text_term,
    .range = qdi_text_range,
    .shown = qdi_text_shown,
};
