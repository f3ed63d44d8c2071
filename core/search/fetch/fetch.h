/*
 * fetch.h: what is kept of documents that were found: ids, sources, versions, routing, columns.
 *
 * The second half of a search: only for the few documents that are shown. Documents may come in any
 * order; each segment is planned, fetched and read once, its stored blocks in ascending order.
 */
#ifndef QD_SEARCH_FETCH_H
#define QD_SEARCH_FETCH_H

#include "base/arena.h"
#include "search/searcher.h"

/* A column's values of one document, in the column's order. */
typedef struct qd_fetch_values {
    uint32_t n;
    const int64_t *i64;  /* I64 columns; NULL else */
    const qd_str *bytes; /* ORDINAL and BYTES columns; NULL else */
} qd_fetch_values;

typedef struct qd_fetch_options {
    bool source;           /* _source */
    bool version;          /* _version */
    bool seq_no;           /* _seq_no, _primary_term */
    bool id, routing;      /* _id, _routing */
    const qd_str *columns; /* fields whose columns are wanted */
    uint32_t ncolumns;
    /* By column: the field where it is text with fielddata; NULL members, or all of it NULL: no. */
    const struct qd_field *const *fielddata;
    const struct qd_mapping
        *mapping; /* of an index whose sources are made (engine/doc_sources.h) */
} qd_fetch_options;

typedef struct qd_fetched {
    qd_str id, routing, source; /* empty when there is none or not asked for */
    bool source_stored;
    int64_t version, seq_no, primary_term;
    qd_fetch_values *columns; /* by qd_fetch_options.columns */
} qd_fetched;

/* Fetches n documents by global number into out[n], everything in arena. [worker] QD_E_CORRUPT,
 * QD_E_IO, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_fetch(qd_searcher *s, const uint32_t *docs, uint32_t n, const qd_fetch_options *o,
             qd_arena *arena, qd_fetched *out, qd_err *err);

#endif
