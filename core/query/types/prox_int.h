/* prox_int.h: what builders of spans and intervals share. */
#ifndef QD_QUERY_TYPES_PROX_INT_H
#define QD_QUERY_TYPES_PROX_INT_H

#include "query/build_int.h"
#include "query/prox.h"
#include "query/read_int.h"

/* A part of a tree in the builder's arena, with room for n children (*sub, may be NULL); NULL when
 * out of memory (err says so). */
qd_prox *qdi_prox_make(qdi_builder *b, qd_prox_kind kind, qd_str field, uint32_t n,
                       const qd_prox ***sub, qd_err *err);
/* The places of a query of terms that was built: of a term, a pattern, a range of terms, or
 * nothing. QD_E_ARG where it is something else: `what` is the query's name. */
QD_MUST_CHECK
int qdi_prox_of(qdi_builder *b, const qd_node *n, qd_str field, const char *what,
                const qd_prox **out, qd_err *err);
/* The node over a tree. */
QD_MUST_CHECK
int qdi_prox_node(qdi_builder *b, const qd_prox *root, bool intervals, const qd_node **out,
                  qd_err *err);

#endif
