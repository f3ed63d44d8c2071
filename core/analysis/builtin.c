/*
 * builtin.c: the table of part types. `bare` ones may be named in a chain without a definition, as
 * Elasticsearch's pre-configured parts.
 */
#include "analysis/builtin_int.h"

static const qd_part_type types[] = {
    {"html_strip", QD_STAGE_CHAR_FILTER, true, 0, qd_make_html_strip},
    {"mapping", QD_STAGE_CHAR_FILTER, false, QD_ANALYZER_NORMALIZER, qd_make_mapping},
    {"pattern_replace", QD_STAGE_CHAR_FILTER, false, QD_ANALYZER_NORMALIZER,
     qd_make_pattern_replace},

    {"standard", QD_STAGE_TOKENIZER, true, 0, qd_make_standard},
    {"keyword", QD_STAGE_TOKENIZER, true, 0, qd_make_keyword},
    {"whitespace", QD_STAGE_TOKENIZER, true, 0, qd_make_whitespace},
    {"letter", QD_STAGE_TOKENIZER, true, 0, qd_make_letter},
    {"lowercase", QD_STAGE_TOKENIZER, true, 0, qd_make_lowercase_tokenizer},
    {"ngram", QD_STAGE_TOKENIZER, true, 0, qd_make_ngram_tokenizer},
    {"edge_ngram", QD_STAGE_TOKENIZER, true, 0, qd_make_edge_ngram_tokenizer},
    {"pattern", QD_STAGE_TOKENIZER, true, 0, qd_make_pattern_tokenizer},

    {"lowercase", QD_STAGE_FILTER, true, QD_ANALYZER_NORMALIZER, qd_make_lowercase},
    {"uppercase", QD_STAGE_FILTER, true, QD_ANALYZER_NORMALIZER, qd_make_uppercase},
    {"asciifolding", QD_STAGE_FILTER, true, QD_ANALYZER_NORMALIZER, qd_make_asciifolding},
    {"stop", QD_STAGE_FILTER, true, 0, qd_make_stop},
    {"stemmer", QD_STAGE_FILTER, true, 0, qd_make_stemmer},
    {"porter_stem", QD_STAGE_FILTER, true, 0, qd_make_porter},
    {"snowball", QD_STAGE_FILTER, true, 0, qd_make_snowball},
    {"ngram", QD_STAGE_FILTER, true, 0, qd_make_ngram},
    {"edge_ngram", QD_STAGE_FILTER, true, 0, qd_make_edge_ngram},
    {"trim", QD_STAGE_FILTER, true, QD_ANALYZER_NORMALIZER, qd_make_trim},
    {"reverse", QD_STAGE_FILTER, true, 0, qd_make_reverse},
    {"truncate", QD_STAGE_FILTER, true, 0, qd_make_truncate},
    {"length", QD_STAGE_FILTER, true, 0, qd_make_length},
    {"limit", QD_STAGE_FILTER, true, 0, qd_make_limit},
    {"unique", QD_STAGE_FILTER, true, 0, qd_make_unique},
    {"remove_duplicates", QD_STAGE_FILTER, true, 0, qd_make_remove_duplicates},
    {"keyword_repeat", QD_STAGE_FILTER, true, 0, qd_make_keyword_repeat},
    {"synonym", QD_STAGE_FILTER, false, QD_ANALYZER_GRAPH, qd_make_synonym},
    {"synonym_graph", QD_STAGE_FILTER, false, QD_ANALYZER_GRAPH, qd_make_synonym_graph},
    {"pattern_replace", QD_STAGE_FILTER, false, 0, qd_make_pattern_replace_filter},
    {"keyword_marker", QD_STAGE_FILTER, false, 0, qd_make_keyword_marker},
};

const qd_part_type *qd_part_type_at(size_t i)
{
    return i < QD_COUNT_OF(types) ? &types[i] : NULL;
}

const qd_part_type *qd_part_type_find(qd_stage_kind kind, qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (types[i].kind == kind && qd_str_is(name, types[i].name)) return &types[i];
    return NULL;
}
