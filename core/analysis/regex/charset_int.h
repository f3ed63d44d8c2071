/*
 * charset_int.h: sets of code points as sorted, disjoint ranges.
 */
#ifndef QD_ANALYSIS_CHARSET_INT_H
#define QD_ANALYSIS_CHARSET_INT_H

#include "base/str.h"
#include "base/vec.h"

typedef struct qd_crange {
    uint32_t lo, hi; /* both within */
} qd_crange;
typedef struct qd_charset {
    QD_VEC(qd_crange) r;
    uint64_t ascii[2]; /* after qd_charset_finish */
} qd_charset;

/* Adds lo..hi. */
QD_MUST_CHECK
int qd_charset_add(qd_charset *s, uint32_t lo, uint32_t hi);
/* Adds all of `from`. */
QD_MUST_CHECK
int qd_charset_union(qd_charset *s, const qd_charset *from);
/* Turns s into its complement. */
QD_MUST_CHECK
int qd_charset_negate(qd_charset *s);
/* Keeps what is in both. */
QD_MUST_CHECK
int qd_charset_intersect(qd_charset *s, const qd_charset *with);
/* Adds the other cases of its members: of ASCII letters, or (unicode) all simple ones. */
QD_MUST_CHECK
int qd_charset_fold(qd_charset *s, bool unicode);
/* Adds the code points of the general categories. */
QD_MUST_CHECK
int qd_charset_categories(qd_charset *s, uint32_t gc_bits);
/* Sorts, joins, and fills the ASCII bits. */
void qd_charset_finish(qd_charset *s);
/* Adds the property \p{name}; QD_E_NOTFOUND when it is not known. */
QD_MUST_CHECK
int qd_charset_property(qd_charset *s, qd_str name, bool unicode);
/* Is cp a member (after finish)? */
bool qd_charset_has(const qd_charset *s, uint32_t cp);
/* Frees the ranges. */
void qd_charset_fini(qd_charset *s);

#endif
