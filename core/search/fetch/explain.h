/*
 * explain.h: how a document's score came about, as Lucene's explanations tell it.
 */
#ifndef QD_SEARCH_EXPLAIN_H
#define QD_SEARCH_EXPLAIN_H

#include "search/plan/plan.h"

typedef struct qd_explanation qd_explanation;
struct qd_explanation {
    bool match;
    bool integer; /* value is a count */
    float value;
    uint64_t count; /* with integer */
    qd_str description;
    qd_explanation **details;
    uint32_t n;
};

/* Explains the score of a global document under a tree; all in arena. options as for the plan that
 * found it. [worker] Errors of qd_plan_make. */
QD_MUST_CHECK
int qd_explain(qd_searcher *s, const qd_node *root, const qd_plan_options *options, uint32_t doc,
               qd_arena *arena, qd_explanation **out, qd_err *err);

#endif
