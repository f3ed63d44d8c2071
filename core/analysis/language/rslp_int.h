/* rslp_int.h: steps of endings for Portuguese and Galician (gen/gen_rslp.pl). */
#ifndef QD_ANALYSIS_RSLP_INT_H
#define QD_ANALYSIS_RSLP_INT_H

#include "analysis/language/light_int.h"

typedef struct qd_rslp_rule {
    uint8_t min; /* units of the stem */
    const char16_t *end, *put, *except;
} qd_rslp_rule;

typedef struct qd_rslp_step {
    uint8_t min;           /* units of the word */
    uint8_t whole;         /* exceptions are whole words, else endings */
    const char16_t *conds; /* endings of words that the step takes; empty: all */
    const qd_rslp_rule *rules;
} qd_rslp_step;

extern const qd_rslp_step qd_rslp_portuguese[7], qd_rslp_galician[7];

#endif
