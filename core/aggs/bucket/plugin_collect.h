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

/* Numbers met, with numbers of their own: found by one look at memory. */
typedef struct qdi_keys_met {
    struct qdi_keys_slot {
        int64_t v;
        uint32_t at, reserved; /* at: its number + 1, 0: free */
    } * slots;
    uint32_t mask, n, cap, cap_docs; /* at most half of the slots are taken */
    int64_t *v;                      /* by number */
    uint64_t *docs;                  /* by number: documents counted */
} qdi_keys_met;

/* The number of a value, new ones behind the others. QD_E_NOMEM, QD_E_BREAKER. */
int qdi_keys_met_put(qdi_keys_met *m, qd_account *account, int64_t v, uint32_t *at, qd_err *err);
/* Where a value is looked for first. */
static inline uint32_t qdi_keys_met_hash(int64_t v, uint32_t mask)
{
    return (uint32_t)((uint64_t)v * 0x9e3779b97f4a7c15ull >> 32) & mask;
}
#define QDI_KEYS_AHEAD 16u /* values for which memory is fetched ahead */
/* Fetches ahead what finding a value looks at. */
static inline void qdi_keys_met_ahead(const qdi_keys_met *m, int64_t v)
{
    if (m->slots) __builtin_prefetch(&m->slots[qdi_keys_met_hash(v, m->mask)]);
}
/* The same, inline where the first slot has it. */
static inline int qdi_keys_met_find(qdi_keys_met *m, qd_account *account, int64_t v, uint32_t *at,
                                    qd_err *err)
{
    const struct qdi_keys_slot *s = m->slots ? &m->slots[qdi_keys_met_hash(v, m->mask)] : NULL;
    if (QD_LIKELY(s && s->at && s->v == v)) {
        *at = s->at - 1;
        return 0;
    }
    return qdi_keys_met_put(m, account, v, at, err);
}

typedef struct qdi_keys_state {
    qdi_plugin_call *x;          /* NULL: it was left behind */
    qdi_values kind;             /* of keys */
    qdi_strings strings;         /* of keys that are texts: an entry is a number of them */
    qdi_buckets keys;            /* of keys that are numbers, of several owners: of these */
    qdi_keys_table leaf, always; /* of the leaf, and of numbers met */
    qdi_keys_table *table;       /* the one in use */
    qdi_keys_met met;
    uint64_t tried;   /* values that were looked for among them */
    bool direct;      /* too few of them were there: values are gathered */
    bool counts;      /* documents of the leaf may be only counted: */
    qdi_counts count; /* by what their values are */
    bool met_counts;  /* met counts documents */
    bool narrow;      /* the leaf's numbers are known by their distance from base */
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

/* A key of the last call as a number: itself, or its text's. */
static inline int qdi_keys_number(qdi_keys_state *t, uint32_t i, int64_t *out, qd_err *err)
{
    uint32_t number;
    *out = t->x->key[i];
    if (t->kind != QDI_ORD) return 0;
    if (qdi_aggs_strings_put(&t->strings, qdi_plugin_keys_text(t->x, i), &number))
        return qdi_plugin_no_memory(t->x->account, err);
    *out = number;
    return 0;
}
/* A bucket of a document that may be in it by another value, too: once for t->pair. */
int qdi_keys_emit_once(qdi_aggr *a, uint32_t doc, uint32_t bucket, qd_err *err);
/* Collects without a table. */
int qdi_keys_gather(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                    qd_err *err);
/* Maps what was gathered. */
int qdi_keys_flush(qdi_aggr *a, qd_err *err);

#endif
