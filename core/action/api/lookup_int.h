/* lookup_int.h: a query that names a document reads values of it. Queries are parsed below the
 * folder of documents (aliases), so it stands here; documents/get.c does it. */
#ifndef QD_ACTION_LOOKUP_INT_H
#define QD_ACTION_LOOKUP_INT_H

#include "action/action_int.h"
#include "query/dsl.h"

/* A terms query's look-up of values in a document, for qd_query_reading; arg: the qd_actions. */
int qdi_docs_lookup(void *arg, const qd_query_lookup *l, qd_arena *arena,
                    const qd_query_value **out, uint32_t *n, qd_err *err);

#endif
