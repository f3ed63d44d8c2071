/*
 * plugin_buckets.h: buckets of plugins: a plugin maps values to keys, the host does all else.
 */
#ifndef QD_AGGS_PLUGIN_BUCKETS_H
#define QD_AGGS_PLUGIN_BUCKETS_H

#include "aggs/plugin/plugin_int.h"

/* The row, which the request copies for each aggregation. */
extern const qd_agg_type qdi_aggs_plugin_buckets;
extern const qdi_ops qdi_aggs_plugin_buckets_ops;

/* The value of a result. */
typedef struct qdi_plugin_buckets {
    uint32_t version;             /* of the plugin that made the keys */
    uint64_t total;               /* final: documents of all buckets */
    const qd_json_node **members; /* final: by bucket, what the plugin wrote; NULL: nothing */
} qdi_plugin_buckets;
static inline qdi_plugin_buckets *qdi_plugin_buckets_of(const qdi_out *o)
{
    return o->value;
}

/* Members of a plugin in its buckets (plugin_members.c). Refuses a table whose members have names
 * of the host's. [any] */
QD_MUST_CHECK
int qdi_plugin_members_check(const qd_aggregation_vtable *vt, const qd_self *self, qd_str name,
                             qd_err *err);
/* The row's resolve: refuses children that have the name of a member. [any] */
int qdi_plugin_members_resolve(qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n);
/* A final result waits for its members, until pipelines have left the buckets that are written.
 * [worker] */
QD_MUST_CHECK
int qdi_plugin_members_wait(struct qdi_reduce *r, qdi_out *out, qd_err *err);
/* Lets the plugin write the members of all that wait; err NULL: only frees. [worker] */
int qdi_plugin_members_settle(struct qdi_reduce *r, qd_err *err);
/* The members of bucket i. [any] */
void qdi_plugin_members_write(const qdi_out *o, uint32_t i, qd_json_writer *w);

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
