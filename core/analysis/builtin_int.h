/* builtin_int.h: the table of built-in part types, and the makers it names. */
#ifndef QD_ANALYSIS_BUILTIN_INT_H
#define QD_ANALYSIS_BUILTIN_INT_H

#include "analysis/analysis_int.h"

typedef int qd_part_make(const qd_part_conf *c, qd_part **out, qd_err *err);

/* tokenizers */
qd_part_make qd_make_standard, qd_make_whitespace, qd_make_keyword, qd_make_letter,
    qd_make_lowercase_tokenizer, qd_make_ngram_tokenizer, qd_make_edge_ngram_tokenizer,
    qd_make_pattern_tokenizer;
/* token filters */
qd_part_make qd_make_lowercase, qd_make_uppercase, qd_make_asciifolding, qd_make_stop,
    qd_make_stemmer, qd_make_snowball, qd_make_porter, qd_make_possessive, qd_make_keyword_marker,
    qd_make_keyword_repeat, qd_make_synonym, qd_make_synonym_graph, qd_make_ngram,
    qd_make_edge_ngram, qd_make_trim, qd_make_reverse, qd_make_length, qd_make_unique,
    qd_make_limit, qd_make_truncate, qd_make_shingle, qd_make_remove_duplicates,
    qd_make_stemmer_override, qd_make_decimal_digit, qd_make_pattern_replace_filter,
    qd_make_flatten_graph, qd_make_apostrophe, qd_make_elision;
/* char filters */
qd_part_make qd_make_html_strip, qd_make_mapping, qd_make_pattern_replace;

/* The i-th type, NULL behind the last. */
const qd_part_type *qd_part_type_at(size_t i);
/* The type of that kind and name, or NULL. */
const qd_part_type *qd_part_type_find(qd_stage_kind kind, qd_str name);
/* Is p the standard tokenizer? Then *max_units (may be NULL) is its longest token. */
bool qd_part_is_standard(const qd_part *p, uint32_t *max_units);
/* Is p the lowercase filter of all languages but Greek, Irish and Turkish? */
bool qd_part_is_lowercase(const qd_part *p);
/* The built-in stop words of that name ("_english_"): words parted by newlines, or NULL. */
const char *qd_stop_words(qd_str name);

#endif
