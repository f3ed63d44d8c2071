/* aggregation_suite.h: what the tests of metrics and of buckets share. */
#ifndef QD_CONFORMANCE_AGGREGATION_SUITE_H
#define QD_CONFORMANCE_AGGREGATION_SUITE_H

#include "suite.h"

typedef struct qd_aggregation_probe {
    qd_conform *c;
    const qd_aggregation_vtable *vt;
    qd_aggregation_ctx ctx;
    qd_str json;
    const void *params;
    uint32_t members;
    uint32_t type; /* of a metric's values: F64 or TEXT */
} qd_aggregation_probe;

/* Parses a request into p->params. */
int32_t qd_aggregation_probe_parse(qd_aggregation_probe *p, qd_str json);
/* The tests of keys. */
void qd_aggregation_probe_keys(qd_aggregation_probe *p);

#endif
