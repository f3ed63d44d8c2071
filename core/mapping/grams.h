/*
 * grams.h: the 3-grams by which patterns over long values are narrowed. A value's text is folded
 * (ASCII letters to lower case) and padded with two NUL characters at either end, so that its first
 * and last characters have grams of their own; a gram is any three code points side by side. What
 * a value contains after folding, its grams contain: a query that asks for grams of a part that
 * each match must have loses none.
 */
#ifndef QD_MAPPING_GRAMS_H
#define QD_MAPPING_GRAMS_H

#include "base/str.h"

#define QD_GRAM_POINTS 3u
#define QD_GRAM_PAD 2u /* NUL bytes at an end of a value */

/* Folds text into out, which has room for text.n bytes. [any] */
void qd_grams_fold(qd_str text, char *out);
/* The gram of a folded text that begins at byte *at, which moves to the next code point; {NULL, 0}
 * when fewer code points than a gram's are left. Borrowed from text. [any] */
qd_str qd_grams_next(qd_str text, size_t *at);

#endif
