/* normalize_int.h: lower case of languages that have rules of their own. */
#ifndef QD_ANALYSIS_NORMALIZE_INT_H
#define QD_ANALYSIS_NORMALIZE_INT_H

#include "analysis/builtin_int.h"
#include "analysis/language/units_int.h"

qd_units_fn qd_greek_lower, qd_irish_lower;

#endif
