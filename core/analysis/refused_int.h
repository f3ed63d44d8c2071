/* refused_int.h: parts that other products have and this version has not. */
#ifndef QD_ANALYSIS_REFUSED_INT_H
#define QD_ANALYSIS_REFUSED_INT_H

#include "base/str.h"

/* Of a part or analyzer that is known and not supported: what to use in its place; else NULL. */
const char *qd_part_refused(qd_str name);

#endif
