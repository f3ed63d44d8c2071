/*
 * plugin_int.h: what aggregations of plugins share (quidditch/aggregation.h), metrics and buckets:
 * the row of a name, the scope that calls outlive a request with, and calls.
 *
 * A call of a plugin may never return (plugin/guest.h): what it works with is an allocation of its
 * own, and handing a call over costs as much as thousands of values.
 */
#ifndef QD_AGGS_PLUGIN_INT_H
#define QD_AGGS_PLUGIN_INT_H

#include "aggs/parse/parse_int.h"
#include "plugin/guest.h"
#include <quidditch/aggregation.h>

struct qdi_binder;

#define QDI_PLUGIN_VALUES_MAX 65536u /* handed over in a call */

/* What the calls of one aggregation share; of the request, and of calls that are left. */
typedef struct qdi_plugin_scope {
    qd_aggregation_ctx sdk;
    _Atomic uint32_t refs;
    qd_arena arena;
    qd_task task; /* stands for the request's: only its stop is ever set */
    const qd_aggregation_vtable *vt;
    const void *parsed;
    uint32_t nmembers;
    char name[64], place[128];
} qdi_plugin_scope;

/* The row of one aggregation of a plugin's type; of the request. */
typedef struct qdi_plugin_row {
    qd_agg_type type; /* first */
    const qd_aggregation_vtable *vt;
    qd_self *self;
    uint32_t nmembers;        /* values of a result; 1 without names */
    qdi_plugin_scope **scope; /* once it is parsed */
} qdi_plugin_row;
static inline const qdi_plugin_row *qdi_plugin_row_of(const qdi_agg *a)
{
    return (const qdi_plugin_row *)(const void *)a->type;
}
static inline qdi_plugin_scope *qdi_plugin_scope_of(const qdi_agg *a)
{
    return *qdi_plugin_row_of(a)->scope;
}

/* What calls of an aggregation work with. */
typedef struct qdi_plugin_call {
    qd_guest_call call; /* first */
    qdi_plugin_scope *s;
    qd_account *account;
    qd_err err;
    /* parse */
    qd_json_reader json;
    /* of a shard */
    qd_aggregation_collector *collector;
    uint32_t *owner; /* NULL: all of owner 0 */
    double *values;
    uint32_t n, room, owners;
    uint32_t *text_of, *docs; /* of strings: n numbers of the nparts parts, and documents */
    uint32_t nparts;
    /* results of k owners, or of k merges: result i ends at ends[i] */
    uint32_t k;
    qd_buf bytes;
    size_t *ends;
    double *members; /* k times nmembers */
    /* merges: parts of i end at last[i] */
    qd_str *parts;
    uint32_t *last;
    qd_buf in; /* bytes of the parts, one behind the other */
    bool final;
    qd_buf text;       /* what they are written as */
    size_t *text_ends; /* by merge */
    /* keys of n values: numbers, or parts */
    uint32_t type, key_type; /* QD_AGGREGATION_* */
    int64_t *numbers;
    uint32_t *key_of; /* by key: number of its value, ascending */
    int64_t *key;     /* sortable bits of a double; of a text where it begins in bytes */
    uint32_t *key_bytes;
    uint32_t nkeys, room_of, room_key, room_bytes;
    qd_aggregation_bucket *buckets; /* n of them, whose texts stand in `in`, to be written */
} qdi_plugin_call;

/* A call of the scope's plugin; NULL without memory. [any] */
qdi_plugin_call *qdi_plugin_call_make(qdi_plugin_scope *s, qd_account *account);
/* Ends it; NULL is fine. [any] */
void qdi_plugin_call_free(qdi_plugin_call *x);
/* Runs x. It is the caller's no more, and *px is NULL, when it has not returned. [worker] */
int qdi_plugin_do_call(qdi_plugin_call **px, const char *what, int32_t (*run)(qd_guest_call *),
                       qd_task *task, qd_err *err);
/* Opens a collector for a shard's account. [worker] */
QD_MUST_CHECK
int qdi_plugin_open(qdi_plugin_scope *s, qd_account *account, qd_task *task, qdi_plugin_call **out,
                    qd_err *err);
/* Closes it and ends the call; NULL is fine. [worker] */
void qdi_plugin_close(qdi_plugin_call *x);
/* The error where an earlier call was left. */
int qdi_plugin_gone(qd_err *err);
int qdi_plugin_no_memory(qd_account *account, qd_err *err);
/* A row's parse: the members that all have, then the plugin. */
int qdi_plugin_parse(qdi_parse *p, qdi_agg *a);
/* A row's bind: may answers be kept? */
int qdi_plugin_bind(struct qdi_binder *x, qdi_bound *b);
/* Refuses a result that another version of the plugin made. */
int qdi_plugin_check_version(const qdi_agg *a, uint32_t version, qd_err *err);

#endif
