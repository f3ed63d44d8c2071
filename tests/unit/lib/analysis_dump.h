/*
 * analysis_dump.h: chains written as words of text (tests/peers/lucene-analysis/chains.txt) and
 * tokens as lines, in the form in which they are compared with Lucene's.
 */
#ifndef QD_TESTS_ANALYSIS_DUMP_H
#define QD_TESTS_ANALYSIS_DUMP_H

#include "analysis/analysis.h"

/* The analyzer of a chain: words "setting=value,…" or the name of a built-in analyzer. Strings of
 * words are changed and kept. *as has a reference. NULL with a text in err. */
const qd_analyzer *analysis_dump_chain(char **words, int n, qd_analyzers **as, qd_err *err);
/* One line a token: term, start, end, increment, length, type (types: else left out), then "=". */
void analysis_dump_tokens(const qd_tokens *t, bool types, qd_buf *out);

#endif
