/* joining_int.h: what has_child, has_parent and parent_id share. */
#ifndef QD_QUERY_JOINING_INT_H
#define QD_QUERY_JOINING_INT_H

#include "mapping/join.h"
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct qdi_joining {
    qd_query base;
    const qd_query *query;
    qd_str type, inner_hits; /* type: the name of a relation; inner_hits: JSON; p NULL: none */
    qd_nested_score score;
    int32_t min, max; /* has_child: of the children of a document */
    bool ignore_unmapped;
} qdi_joining;
#define JOINING(q) ((qdi_joining *)(q))

/* The members of the query, of which value reads those that are its own, and what must be there:
 * type is the name of the member that q->type stands in. */
QD_MUST_CHECK
int qdi_read_joining(qdi_reading *rd, qd_json_reader *r, qd_query *q, const char *type,
                     int (*value)(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q,
                                  qd_err *err),
                     qd_err *err);
/* Elasticsearch's refusal while expensive queries are not allowed; else 0. */
QD_MUST_CHECK
int qdi_joining_allowed(const qdi_builder *b, qd_err *err);
/* Documents with one of n names in the join field. NULL when out of memory. */
const qd_node *qdi_joining_type(qdi_builder *b, const qd_join *j, const qd_str *names, uint32_t n,
                                qd_err *err);
/* The documents `to` that share an id of the relation with what the query matches among `from`.
 * Both NULL: out of memory, which err says. */
QD_MUST_CHECK
int qdi_build_joining(qdi_builder *b, const qdi_joining *x, const qd_join_relation *relation,
                      const qd_node *from, const qd_node *to, const qd_node **out, qd_err *err);

#endif
