/* pattern_int.h: patterns of settings, shared by the tokenizer and pattern_replace. */
#ifndef QD_ANALYSIS_PATTERN_INT_H
#define QD_ANALYSIS_PATTERN_INT_H

#include "analysis/analysis_int.h"
#include "analysis/regex/regex.h"

/* Compiles the setting `key` (NULL def: must be set) with the setting `flags`. */
QD_MUST_CHECK
int qd_pattern_compile(const qd_part_conf *c, const char *key, const char *def, qd_regex **out,
                       qd_err *err);
/* Steps allowed over a text of n bytes: 2,000 a byte. */
uint64_t qd_pattern_budget(size_t n);
/* The error of a search that ran out of them. */
int qd_pattern_too_long(qd_err *err);

#endif
