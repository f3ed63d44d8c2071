/*
 * plugin_collect.h: what collecting buckets of plugins keeps of a shard.
 */
#ifndef QD_AGGS_PLUGIN_COLLECT_H
#define QD_AGGS_PLUGIN_COLLECT_H

#include "aggs/bucket/plugin_buckets.h"
#include "aggs/counts_int.h"

/* From what a value is to its entry: a bucket of the only owner, or a key's number. */
typedef struct qdi_keys_table {
    uint32_t *of;
    uint32_t cap, n;
    uint32_t *lists;
    uint32_t cap_lists, nlists;
} qdi_keys_table;

typedef struct qdi_keys_state {
    qdi_plugin_call *x;          /* NULL: it was left behind */
    qdi_values kind;             /* of keys */
    qdi_strings strings;         /* of keys that are texts: an entry is a number of them */
    qdi_buckets keys;            /* of keys that are numbers, of several owners: of these */
    qdi_keys_table leaf, always; /* of the leaf, and of numbers met */
    qdi_keys_table *table;       /* the one in use */
    qdi_buckets met;             /* numbers met, with their numbers */
    uint64_t tried;              /* values that were looked for among them */
    bool direct;                 /* too few of them were there: values are gathered */
    bool counts;                 /* documents of the leaf may be only counted: */
    qdi_counts count;            /* by what their values are */
    bool met_counts;             /* met counts documents */
    bool narrow;                 /* the leaf's numbers are known by their distance from base */
    int64_t base;
    const uint32_t *at; /* what the batch's values are */
    uint64_t batch;
    uint32_t *numbers, cap_numbers;
    uint32_t *ask, cap_ask, nask;
    uint32_t room_numbers, room_values, room_parts;
    uint64_t *seen; /* by bucket: the last pair of document and owner that was counted */
    uint32_t cap_seen;
    uint64_t pair;
    /* gathered: pairs whose values end there, of x->n values */
    uint32_t *pair_end, *pair_doc, *pair_owner;
    uint32_t npairs, room_pairs, room_docs, room_owners;
} qdi_keys_state;

/* A bucket of a document that may be in it by another value, too: once for t->pair. */
int qdi_keys_emit_once(qdi_aggr *a, uint32_t doc, uint32_t bucket, qd_err *err);
/* Collects without a table. */
int qdi_keys_gather(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                    qd_err *err);
/* Maps what was gathered. */
int qdi_keys_flush(qdi_aggr *a, qd_err *err);

#endif
