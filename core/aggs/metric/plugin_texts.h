/*
 * plugin_texts.h: what a metric of a plugin keeps of a shard, and strings among its values.
 */
#ifndef QD_AGGS_PLUGIN_TEXTS_H
#define QD_AGGS_PLUGIN_TEXTS_H

#include "aggs/plugin/plugin_int.h"

typedef struct qdi_plugin_metric {
    qdi_plugin_call *x; /* NULL: it was left behind */
    /* strings: what an ordinal of the leaf is in the block, if its upper half is the present epoch,
     * which ends with the block and with the leaf */
    uint64_t *known;
    uint32_t cap_known, epoch;
    uint32_t room_owner, room_of, room_docs, room_parts;
} qdi_plugin_metric;

/* Hands over what was gathered. [worker] */
QD_MUST_CHECK
int qdi_plugin_flush(qdi_aggr *a, qd_err *err);
/* Begins a leaf, with ordinals of its own. [worker] */
QD_MUST_CHECK
int qdi_plugin_texts_leaf(qdi_aggr *a, qd_err *err);
/* The collect of a metric (qdi_ops) whose field has strings. [worker] */
QD_MUST_CHECK
int qdi_plugin_texts_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                             qd_err *err);

#endif
