/* stem_int.h: libstemmer's objects in a scratch. */
#ifndef QD_ANALYSIS_STEM_INT_H
#define QD_ANALYSIS_STEM_INT_H

#include "analysis/analysis_int.h"

/* Frees a scratch's stemmers; NULL is fine. */
void qd_stemmers_free(struct qd_stemmers *all);

#endif
