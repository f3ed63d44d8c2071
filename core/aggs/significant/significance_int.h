/* significance_int.h: how much more often a term is in some documents than in others. */
#ifndef QD_AGGS_SIGNIFICANCE_INT_H
#define QD_AGGS_SIGNIFICANCE_INT_H

#include "aggs/parse/parse_int.h"

typedef enum qdi_heuristic {
    QDI_JLH,
    QDI_MUTUAL_INFORMATION,
    QDI_CHI_SQUARE,
    QDI_GND,
    QDI_PERCENTAGE,
} qdi_heuristic;

typedef struct qdi_significance {
    qdi_heuristic by;
    bool negatives;   /* terms that are rarer than elsewhere, too */
    bool is_superset; /* the background holds the documents */
} qdi_significance;

/* Reads the one heuristic of the body; jlh without one. */
int qdi_significance_parse(qdi_parse *p, qdi_agg *a, qdi_significance *out);
/* The score of a term in `with` of n documents, and in bg_with of bg_n of the background. */
double qdi_significance_score(const qdi_significance *s, double with, double n, double bg_with,
                              double bg_n);

#endif
