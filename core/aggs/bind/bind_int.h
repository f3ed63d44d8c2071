/*
 * bind_int.h: what types use to bind themselves to an index.
 */
#ifndef QD_AGGS_BIND_INT_H
#define QD_AGGS_BIND_INT_H

#include "aggs/type.h"
#include "query/dsl.h"
#include "query/script.h"

typedef struct qdi_binder {
    const qd_aggs_binding *how;
    const qd_query_context *q;
    qd_arena *arena;
    int64_t max_buckets;
    uint64_t clauses; /* of all filters so far */
    bool uncacheable; /* some filter depends on the clock or on a plugin, or there is a script */
    bool scores;      /* some script looks at them */
    qd_err *err;
} qdi_binder;

/* Binds a field (name.p NULL: none) with a value for documents without one: b->field, values, fmt,
 * missing. b->def is a, or a definition within it. */
int qdi_aggs_bind_field(qdi_binder *x, const qdi_agg *a, qd_str name, bool has_missing,
                        qd_query_value missing, qdi_bound *b);
/* Compiles and binds a script. */
int qdi_aggs_bind_script(qdi_binder *x, const qd_script_given *g, qd_script_context context,
                         const qd_script_bind **out);
/* A bound of a histogram or range in the field's terms, as double and as integer: dates are
 * milliseconds. */
int qdi_aggs_bind_number(qdi_binder *x, const qdi_bound *b, qd_query_value v, double *f,
                         int64_t *i);

#endif
