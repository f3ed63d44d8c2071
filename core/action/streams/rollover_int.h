/* rollover_int.h: conditions of a rollover, and the rollover itself, for the API and for policies.
 */
#ifndef QD_ACTION_ROLLOVER_INT_H
#define QD_ACTION_ROLLOVER_INT_H

#include "action/indices/copy_stats.h"
#include "json/tree.h"

/* What an index is measured by; a max_ and a min_ condition of each. */
typedef enum rollover_measure {
    ROLLOVER_AGE, /* ms */
    ROLLOVER_DOCS,
    ROLLOVER_SIZE,       /* bytes of the primaries */
    ROLLOVER_SHARD_SIZE, /* of the largest primary */
    ROLLOVER_SHARD_DOCS, /* of the primary with the most */
    ROLLOVER_MEASURES
} rollover_measure;

typedef struct rollover_condition {
    rollover_measure of;
    bool min;
    int64_t value;
    qd_str text; /* "max_age: 7d" */
    bool met;
} rollover_condition;

typedef struct rollover_conditions {
    rollover_condition at[2 * ROLLOVER_MEASURES];
    uint32_t n;
} rollover_conditions;

/* One condition by its name ("max_docs"): QD_E_ARG for one that there is not, or a bad value. */
QD_MUST_CHECK
int qdi_rollover_condition(qd_arena *a, qd_str name, const qd_json_node *value,
                           rollover_conditions *out, qd_err *err);
/* Measures the index and fills `met`; *due: it is to be rolled over. */
QD_MUST_CHECK
int qdi_rollover_measure(qd_request *q, const qd_state *s, const qd_index_meta *m,
                         rollover_conditions *c, bool *due, qd_err *err);

#endif
