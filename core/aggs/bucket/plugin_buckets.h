/*
 * plugin_buckets.h: buckets of plugins: a plugin maps values to keys, the host does all else.
 */
#ifndef QD_AGGS_PLUGIN_BUCKETS_H
#define QD_AGGS_PLUGIN_BUCKETS_H

#include "aggs/plugin/plugin_int.h"

/* The row, which the request copies for each aggregation. */
extern const qd_agg_type qdi_aggs_plugin_buckets;
extern const qdi_ops qdi_aggs_plugin_buckets_ops;

/* What keys are: the plugin's key_type, for values of this kind. */
qdi_values qdi_plugin_keys_kind(const qdi_agg *a, qdi_values values);
/* Marks a result with the version of the node's plugin. */
void qdi_plugin_keys_mark(qdi_out *o);

/* Takes n values of a call (numbers, doubles in values, or texts in parts) to keys: *px->nkeys
 * pairs of key_of and key, checked. *px is NULL when the plugin has been left. [worker] */
QD_MUST_CHECK
int qdi_plugin_keys_ask(qdi_plugin_call **px, qd_task *task, qd_err *err);
/* The text of a key. */
static inline qd_str qdi_plugin_keys_text(const qdi_plugin_call *x, uint32_t i)
{
    return (qd_str){x->bytes.p + x->key[i], x->key_bytes[i]};
}

#endif
