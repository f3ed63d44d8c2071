/*
 * stop_int.h: word lists of settings, and the way tokens are dropped from a batch in place.
 */
#ifndef QD_ANALYSIS_STOP_INT_H
#define QD_ANALYSIS_STOP_INT_H

#include "analysis/analysis_int.h"
#include "analysis/filter/wordset_int.h"

/* Words of the list setting `key` (or of the file `key`_path, or the named list def); lower: in
 * lower case. */
QD_MUST_CHECK
int qd_words_parse(const qd_part_conf *c, const char *key, const char *def, bool lower,
                   qd_wordset *w, qd_err *err);
/* One word, or a whole list by its name ("_english_"). */
QD_MUST_CHECK
int qd_words_add(qd_wordset *w, qd_str word, bool lower, qd_err *err);
/* One word as it is. */
QD_MUST_CHECK
int qd_words_put(qd_wordset *w, qd_str word, bool lower, qd_err *err);
/* All lines of a file. */
QD_MUST_CHECK
int qd_words_file(const qd_part_conf *c, qd_str path, bool lower, qd_wordset *w, qd_err *err);
/* Calls fn for each value of the list setting `key`, or each line of the file `key`_path; none
 * where neither is set. */
QD_MUST_CHECK
int qd_lines_each(const qd_part_conf *c, const char *key,
                  int (*fn)(void *arg, qd_str line, qd_err *err), void *arg, qd_err *err);
/* Is token i among the words? */
bool qd_words_match(qd_analysis *s, const qd_wordset *w, bool lower, size_t i);
/* A filter that marks the words of a setting as keywords (stem_exclusion). */
QD_MUST_CHECK
int qd_words_marker(const qd_part_conf *c, const char *key, qd_part **out, qd_err *err);
/* A filter that marks the terms which the pattern of the setting matches as a whole. */
QD_MUST_CHECK
int qd_words_pattern(const qd_part_conf *c, const char *key, qd_part **out, qd_err *err);
/* A stop filter with the setting `stopwords`, or def where it is not set. */
QD_MUST_CHECK
int qd_words_stop(const qd_part_conf *c, const char *def, qd_part **out, qd_err *err);

/* Walks a batch, keeping or dropping each token in turn. */
typedef struct qd_drop {
    size_t kept;
    uint32_t holes; /* positions of tokens dropped since the last one kept */
} qd_drop;
/* Starts a walk. */
void qd_drop_begin(qd_drop *d);
/* Drops token i. */
QD_MUST_CHECK
int qd_drop_token(qd_analysis *s, qd_drop *d, size_t i);
/* Ends the walk. */
void qd_drop_end(qd_analysis *s, qd_drop *d);
/* Keeps token i. */
QD_INLINE void qd_drop_keep(qd_analysis *s, qd_drop *d, size_t i)
{
    if (d->kept != i) qd_batch_copy(s->b, d->kept, s->b, i);
    if (d->holes) {
        s->b->t.inc[d->kept] += d->holes;
        d->holes = 0;
    }
    d->kept++;
}

#endif
