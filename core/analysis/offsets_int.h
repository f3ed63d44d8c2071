/* offsets_int.h: the last step of a run that was asked for offsets. */
#ifndef QD_ANALYSIS_OFFSETS_INT_H
#define QD_ANALYSIS_OFFSETS_INT_H

#include "analysis/analysis_int.h"

/* Turns offset[] from bytes of s->src into UTF-16 units of the value and sets end_offset. */
QD_MUST_CHECK
int qd_offsets_finish(qd_analysis *s);
/* The char filters' part of it alone, for offsets that are units already. */
void qd_offsets_correct(qd_analysis *s);

#endif
