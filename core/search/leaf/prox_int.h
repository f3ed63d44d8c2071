/* prox_int.h: spans and intervals (query/prox.h) in one document of a segment. */
#ifndef QD_SEARCH_PROX_INT_H
#define QD_SEARCH_PROX_INT_H

#include "query/prox.h"
#include "search/leaf/window_int.h"

/* A place: spans end behind it and have skipped `width` positions; intervals end on it, and width
 * is their gaps. */
typedef struct qdi_place {
    int32_t start, end, width;
} qdi_place;

typedef struct qdi_prox qdi_prox;
struct qdi_prox {
    qd_prox_kind kind;
    int32_t a, b;
    qdi_prox **sub;
    uint32_t n;
    qdi_cur **curs; /* of TERM and MULTI */
    uint32_t ncurs;
    bool intervals;
    uint32_t len, cap; /* places in the document at hand, in order */
    qdi_place *at;
    int64_t *step;  /* by child: the place it is at; -1: before the first */
    uint32_t *heap; /* of children */
};

/* The places of x in document d, through its children; QD_E_NOMEM, QD_E_CORRUPT. Memory is of the
 * account and given back by qdi_prox_free. */
QD_MUST_CHECK
int qdi_prox_eval(qdi_run *r, qdi_prox *x, uint32_t d, qd_err *err);
/* Frees the places of x and all below. */
void qdi_prox_free(qdi_prox *x);
/* Candidates that can have a place, by documents alone. */
void qdi_prox_candidates(qdi_run *r, const qdi_prox *x, const qdi_win *w, const uint64_t *cand,
                         uint64_t *out);
/* No document from `from` up to the result has one. */
uint32_t qdi_prox_next(const qdi_prox *x, uint32_t from);
/* What the places of a document count: its frequency. extent: of the shortest interval. */
float qdi_prox_freq(const qdi_prox *x, int32_t extent);

#endif
