/*
 * join.h: documents that have an id in common. Each document has one id in the field at most, a
 * keyword with a column; ids of all segments are brought together by their bytes.
 */
#ifndef QD_SEARCH_JOIN_H
#define QD_SEARCH_JOIN_H

#include "base/arena.h"
#include "base/map.h"
#include "search/searcher.h"
#include "store/reads.h"

struct qd_column_reader;
struct qd_dict_reader;

#define QD_JOIN_NONE UINT32_MAX

/* Ids by dense number, in the order in which they came. */
typedef struct qd_join_ids {
    qd_map map; /* id -> number + 1 */
    qd_account *account;
} qd_join_ids;

/* None yet. [any] */
void qd_join_ids_init(qd_join_ids *s, qd_account *account);
/* Frees them. [any] */
void qd_join_ids_fini(qd_join_ids *s);

/* The ids of one segment's documents. */
typedef struct qd_join_leaf {
    struct qd_column_reader *values; /* NULL: the segment has none */
    struct qd_dict_reader *dict;
    uint32_t ordinals, asked;
    uint32_t *known; /* number + 1 by ordinal, once so many were asked for that it pays */
    uint32_t last, last_number;
    qd_arena *arena;
} qd_join_leaf;

/* Plans the reads of all ids of a leaf; arena and reads live as long as *out. [worker] QD_E_NOMEM,
 * QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_join_leaf_plan(qd_join_leaf *out, const qd_leaf *leaf, qd_str field, qd_reads *reads,
                      qd_arena *arena, qd_err *err);
/* After the fetch: the id of a local document, valid until the next call; p NULL: none. [worker]
 * QD_E_IO, QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_join_leaf_id(qd_join_leaf *l, uint32_t doc, qd_str *out, qd_err *err);
/* Its number among s; QD_JOIN_NONE: it has no id, or none of those, unless `add` makes it one.
 * [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_join_leaf_number(qd_join_leaf *l, qd_join_ids *s, uint32_t doc, bool add, uint32_t *out,
                        qd_err *err);
/* The id of a document (global number), in arena; p NULL: none. [worker] */
QD_MUST_CHECK
int qd_join_id(const qd_searcher *s, qd_str field, uint32_t doc, qd_arena *arena,
               qd_account *account, qd_str *out, qd_err *err);

#endif
