/*
 * builtin.c: the table of part types. `bare` ones may be named in a chain without a definition, as
 * Elasticsearch's pre-configured parts.
 */
#include "analysis/builtin_int.h"

static const qd_part_type types[] = {
    {"standard", QD_STAGE_TOKENIZER, true, qd_make_standard},
    {"keyword", QD_STAGE_TOKENIZER, true, qd_make_keyword},
    {"whitespace", QD_STAGE_TOKENIZER, true, qd_make_whitespace},
    {"letter", QD_STAGE_TOKENIZER, true, qd_make_letter},
    {"lowercase", QD_STAGE_TOKENIZER, true, qd_make_lowercase_tokenizer},

    {"lowercase", QD_STAGE_FILTER, true, qd_make_lowercase},
    {"uppercase", QD_STAGE_FILTER, true, qd_make_uppercase},
    {"asciifolding", QD_STAGE_FILTER, true, qd_make_asciifolding},
    {"stop", QD_STAGE_FILTER, true, qd_make_stop},
    {"keyword_marker", QD_STAGE_FILTER, false, qd_make_keyword_marker},
};

const qd_part_type *qd_part_type_find(qd_stage_kind kind, qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (types[i].kind == kind && qd_str_is(name, types[i].name)) return &types[i];
    return NULL;
}
