/*
 * lines.h: the input of `qd bench index`: a file of lines given out in batches to several
 * threads, and the fields of a line.
 */
#ifndef QD_MAIN_QD_BENCH_LINES_H
#define QD_MAIN_QD_BENCH_LINES_H

#include "base/err.h"
#include "json/reader.h"

typedef struct qd_bench_lines qd_bench_lines;

/* Lines of one thread; zeroed before the first use. */
typedef struct qd_bench_batch {
    char *text;
    size_t cap, n, *ends; /* ends[i]: behind line i, whose end is left out */
    uint32_t lines, ends_cap;
    uint64_t first; /* number of the first line, from 1 */
} qd_bench_batch;

/* The values of a line; empty where it has none. Numbers and other values of id as written. */
typedef struct qd_bench_doc {
    qd_str id, body;
    bool has_id;
} qd_bench_doc;

/* Opens path ("-": standard input), at most limit lines of it. */
QD_MUST_CHECK
int qd_bench_lines_open(const char *path, uint64_t limit, qd_bench_lines **out, qd_err *err);
/* Closes it; NULL is fine. */
void qd_bench_lines_close(qd_bench_lines *l);
/* Fills b with up to most lines, fewer when they are long; none at the end. [any] */
QD_MUST_CHECK
int qd_bench_lines_take(qd_bench_lines *l, qd_bench_batch *b, uint32_t most, qd_err *err);
/* Line i of b; *slack: readable bytes behind it. */
qd_str qd_bench_batch_line(const qd_bench_batch *b, uint32_t i, size_t *slack);
/* Frees what it holds. */
void qd_bench_batch_fini(qd_bench_batch *b);
/* Is there nothing but white space? */
bool qd_bench_line_blank(qd_str line);
/* Reads id and body ("text" is another name of body) of the object on a line; only_id stops behind
 * the id. Values live as long as the line and the reader's memory. */
QD_MUST_CHECK
int qd_bench_line_read(qd_json_reader *r, qd_str line, size_t slack, bool only_id,
                       qd_bench_doc *out, qd_err *err);

#endif
