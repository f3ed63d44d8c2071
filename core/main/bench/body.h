/*
 * body.h: search bodies in `qd bench search`: query, one sort key and aggregations of the
 * query DSL, read by the parsers that requests go through and bound to a mapping before the clock
 * runs.
 */
#ifndef QD_MAIN_QD_BENCH_BODY_H
#define QD_MAIN_QD_BENCH_BODY_H

#include "aggs/aggs.h"
#include "query/node.h"
#include "search/collect/sort.h"
#include "search/plan/plan.h"

typedef struct qd_bench_schema qd_bench_schema;

/* Reads the mapping that bodies are bound to. QD_E_IO, errors of mappings. */
QD_MUST_CHECK
int qd_bench_schema_open(const char *path, qd_bench_schema **out, qd_err *err);
/* Closes it; NULL is fine. */
void qd_bench_schema_close(qd_bench_schema *s);

typedef struct qd_bench_body {
    const qd_node *root;
    bool sorted, of_doubles;
    qd_sort_key key;
    qd_aggs *aggs; /* NULL: none */
    qd_aggs_bound *bound;
} qd_bench_body;

/* Reads a body; what it holds lives in arena. QD_E_ARG: a member that the bench does not know. */
QD_MUST_CHECK
int qd_bench_body_read(qd_bench_schema *s, qd_str text, qd_arena *arena, qd_bench_body *out,
                       qd_err *err);

typedef struct qd_bench_sorted {
    qd_sort_hit *hits;
    uint32_t n;
    uint64_t total;
    bool lower;
} qd_bench_sorted;
/* The best k by the sort key, hits counted up to total (see qd_top_options). In scratch. */
QD_MUST_CHECK
int qd_bench_body_sort(const qd_bench_body *b, qd_searcher *searcher, uint32_t k, uint64_t total,
                       qd_arena *scratch, qd_bench_sorted *out, qd_err *err);
/* Appends the value that a hit is sorted by. */
void qd_bench_sort_value(const qd_bench_body *b, const qd_sort_hit *h, qd_buf *line);
/* Runs the aggregations up to the final result; json: written there, unless NULL. */
QD_MUST_CHECK
int qd_bench_body_aggs(const qd_bench_body *b, qd_searcher *searcher, qd_account *account,
                       qd_arena *scratch, qd_buf *json, qd_err *err);

#endif
