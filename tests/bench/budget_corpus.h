/*
 * budget_corpus.h: what the instruction budget works on: documents and queries made of integers
 * alone, so that they are the same wherever they are made (gen_corpus takes logarithms, whose last
 * bits differ by machine).
 */
#ifndef QD_TESTS_BENCH_BUDGET_CORPUS_H
#define QD_TESTS_BENCH_BUDGET_CORPUS_H

#include "base/mem.h"

/* Their mapping is mappings/budget.json. */

/* Document number i as JSON, the same whatever came before it. Returns its length, below cap. */
size_t budget_document(uint32_t i, char *out, size_t cap);

/* Query number i of a class, and how it is asked. */
typedef enum budget_how {
    BUDGET_TOP,   /* the best ten */
    BUDGET_COUNT, /* how many */
    BUDGET_SORT,  /* the first ten by a field */
    BUDGET_AGGS,
} budget_how;
typedef struct budget_class {
    const char *name;
    budget_how how;
    size_t (*make)(uint32_t i, char *out, size_t cap);
} budget_class;
extern const budget_class budget_classes[];
extern const uint32_t budget_nclasses;

#endif
