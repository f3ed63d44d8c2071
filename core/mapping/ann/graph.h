/*
 * graph.h: codes and the graph of the vectors of a segment, behind its rows in an index part
 * (mapping/vector_part.h): made by a flush or merge, walked by searches.
 *
 * The graph is a hierarchical navigable small world (Malkov and Yashunin, 2016): level 0 has every
 * row with at most 2m neighbours, each higher level a part of the rows of that below, with m. It
 * follows from the rows alone: levels from a hash of the row's number, rows inserted in order, and
 * similarities from integer sums. So a merge gives byte for byte what a flush of the same documents
 * gives, however many deletes and merges came before.
 *
 * Bytes, from a multiple of 64 on: centre (float a dimension, where there are codes); codes, one
 * record a row (codes.h); lists of level 0: u32 count, 2m rows; for each higher level its records:
 * u32 row, u32 place in the level below (of level 1 the row again), u32 count, m places. Each of
 * these begins at a multiple of 64.
 */
#ifndef QD_MAPPING_GRAPH_H
#define QD_MAPPING_GRAPH_H

#include "base/arena.h"
#include "mapping/ann/codes.h"
#include <quidditch/field.h>

#define QD_GRAPH_LEVELS_MAX 8u
#define QD_GRAPH_M_MAX 512u
#define QD_GRAPH_EF_MAX 3200u
#define QD_GRAPH_NEVER UINT32_MAX /* a threshold that no segment reaches */
#define QD_GRAPH_THRESHOLD 10000u /* rows; docs/decisions/0339 says why */
#define QD_GRAPH_CODES_MIN 1000u  /* rows from which a field with graphs has codes */

/* What a field asks for, and what a segment has of it; stands in the part behind its head. */
typedef struct qd_graph_head {
    uint32_t bits; /* of codes: 7, 4 or 1; 0: none */
    uint32_t flat; /* 1: there is never a graph */
    uint32_t m, ef, space;
    uint32_t threshold; /* rows from which a segment has a graph */
    float confidence;
    /* of the segment: */
    uint32_t coded;  /* 1: codes are there */
    uint32_t levels; /* of the graph; 0: there is none */
    uint32_t entry;  /* place in the highest level where searches begin */
    uint32_t in_level[QD_GRAPH_LEVELS_MAX - 1]; /* records of level 1 and up */
    uint32_t reserved[11];
} qd_graph_head;
_Static_assert(sizeof(qd_graph_head) == 112, "head of a graph");

/* Offsets in a part; end is its length. */
typedef struct qd_graph_place {
    uint64_t centre, codes, lists, level[QD_GRAPH_LEVELS_MAX], end;
} qd_graph_place;
/* Where things are, behind rows that end at rows_end. [any] */
void qd_graph_places(const qd_graph_head *h, uint32_t dims, uint32_t rows, uint64_t rows_end,
                     qd_graph_place *out);
/* Can it be, for so many rows of these elements? [any] */
bool qd_graph_sound(const qd_graph_head *h, uint32_t element, uint32_t rows);

/* --- making --- */

/* Of one segment: rows are given twice, in order, by pieces of any size; then linked and written.
 */
typedef struct qd_graph_build qd_graph_build;

/* h says what is asked for. Errors: QD_E_NOMEM. What it holds is charged to account. [worker] */
QD_MUST_CHECK
int qd_graph_build_make(const qd_graph_head *h, uint32_t dims, uint32_t element, uint32_t rows,
                        qd_account *account, qd_graph_build **out, qd_err *err);
/* Does it want to see rows at all? */
bool qd_graph_build_wants(const qd_graph_build *b);
/* The next n rows and, but of bits, their lengths: first all for the mean ... [worker] */
void qd_graph_build_mean(qd_graph_build *b, const char *rows, const char *lengths, uint32_t n);
/* ... then all again for codes. */
void qd_graph_build_encode(qd_graph_build *b, const char *rows, const char *lengths, uint32_t n);
/* Makes the graph; stop is called between steps, and its error ends the work. [worker] */
QD_MUST_CHECK
int qd_graph_build_link(qd_graph_build *b, int (*stop)(void *arg), void *arg, qd_err *err);
/* The head as it is to be written. */
const qd_graph_head *qd_graph_build_head(const qd_graph_build *b);
/* Writes what follows rows that end at rows_end. [worker] */
QD_MUST_CHECK
int qd_graph_build_write(const qd_graph_build *b, uint64_t rows_end, const qd_part_sink *sink,
                         qd_err *err);
/* Frees it; NULL is fine. */
void qd_graph_build_free(qd_graph_build *b);

/* --- searching --- */

#define QD_GRAPH_BATCH 1024u /* rows that are measured at once */

/* How near a row is, by its code or itself; greater is nearer. */
typedef struct qd_near {
    float near;
    uint32_t row;
} qd_near;

/* A segment's codes, graph and, without codes, rows; at hand until what read them lets go. */
typedef struct qd_graph {
    const qd_part_bytes *bytes;
    qd_graph_head head;
    qd_graph_place place;
    uint32_t dims, element, n;
    const char *rows, *lengths; /* NULL: there are codes */
    uint64_t row;
    const char *codes, *lists, *level[QD_GRAPH_LEVELS_MAX]; /* NULL: none */
    qd_coding coding;
    const qd_vec_kern *kern;
} qd_graph;

/* Reads what a search needs of a part of either type, and checks that its head can be; g->codes and
 * g->lists NULL: it has none, and rows only where they are needed. [worker] QD_E_CORRUPT, QD_E_IO.
 */
QD_MUST_CHECK
int qd_graph_open(const qd_part_reader *r, qd_graph *g, qd_err *err);

/* The query of a search on one segment. */
typedef struct qd_graph_query {
    const void *row; /* as rows are, zeros behind (QD_VEC_LANES) */
    float length;
    qd_code_query code;
} qd_graph_query;

/* Makes the numbers of a query for a segment's codes, in arena. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_graph_query_make(const qd_graph *g, const void *row, float length, qd_arena *arena,
                        qd_graph_query *out, qd_err *err);
/* How near rows at[0..n), which lie below g->n, are; n at most QD_GRAPH_BATCH. [worker] */
void qd_graph_near(const qd_graph *g, const qd_graph_query *q, const uint32_t *at, uint32_t n,
                   float *out);
/* Walks to the ef nearest rows, best first, in arena. *visited: how many were measured. stop as
 * above. [worker] QD_E_NOMEM, QD_E_CORRUPT, QD_E_CANCELLED, QD_E_TIMEOUT. */
QD_MUST_CHECK
int qd_graph_walk(const qd_graph *g, const qd_graph_query *q, uint32_t ef, int (*stop)(void *arg),
                  void *arg, qd_arena *arena, const qd_near **out, uint32_t *n, uint64_t *visited,
                  qd_err *err);
/* Reads lists whole and checks every number of them. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_graph_check(const qd_graph *g, qd_err *err);

#endif
