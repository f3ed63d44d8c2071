/*
 * plugin_gather.c: numbers that differ too much to be remembered are gathered over batches
 * and mapped by one call; with children, at the end of each batch at the latest.
 */
#include "aggs/bucket/plugin_collect.h"
#include "mapping/field.h"

#define GATHER_MAX 8192u /* values of a call: what it works with stays in the caches */

/* Room for more pairs and values. */
static int reserve(qdi_aggr *a, uint32_t pairs, uint32_t values, qd_err *err)
{
    qdi_keys_state *t = a->state;
    qdi_plugin_call *x = t->x;
    qd_account *account = x->account;
    uint32_t p = t->npairs + pairs, v = x->n + values;
    int rc = qdi_aggs_grow(account, &t->pair_end, &t->room_pairs, p, 4, err);
    if (!rc) rc = qdi_aggs_grow(account, &t->pair_doc, &t->room_docs, p, 4, err);
    if (!rc && !a->single) rc = qdi_aggs_grow(account, &t->pair_owner, &t->room_owners, p, 4, err);
    if (rc) return rc;
    return x->type == QD_AGGREGATION_F64
               ? qdi_aggs_grow(account, &x->values, &t->room_values, v, 8, err)
               : qdi_aggs_grow(account, &x->numbers, &t->room_numbers, v, 8, err);
}

static int bucket_of_key(qdi_aggr *a, uint32_t owner, uint32_t i, uint32_t *bucket, qd_err *err)
{
    int64_t key;
    int rc = qdi_keys_number(a->state, i, &key, err);
    return rc ? rc : qdi_aggs_bucket(a, owner, key, bucket, err);
}

/* Has each value one key? */
static bool each_one(const qdi_plugin_call *x)
{
    uint32_t other = 0;
    for (uint32_t i = 0; i < x->nkeys; i++) other |= x->key_of[i] ^ i;
    return !other;
}

/* Pairs of one value and one key without children. */
static int count_each(qdi_aggr *a, uint32_t pairs, qd_err *err)
{
    qdi_keys_state *t = a->state;
    int rc = 0;
    for (uint32_t p = 0, bucket; rc == 0 && p < pairs; p++) {
        uint32_t q = p + QDI_KEYS_AHEAD;
        if (q < pairs && t->kind != QDI_ORD)
            qdi_aggs_buckets_ahead(&a->buckets, a->single ? 0 : t->pair_owner[q], t->x->key[q]);
        rc = bucket_of_key(a, a->single ? 0 : t->pair_owner[p], p, &bucket, err);
        if (rc == 0) a->buckets.docs[bucket]++;
    }
    t->x->n = 0;
    return rc;
}

int qdi_keys_flush(qdi_aggr *a, qd_err *err)
{
    qdi_keys_state *t = a->state;
    uint32_t pairs = t->npairs, i = 0;
    if (!pairs) return 0;
    if (!t->x) return qdi_plugin_gone(err);
    t->npairs = 0;
    int rc = qdi_plugin_keys_ask(&t->x, a->shard->o.task, err);
    if (rc) return rc;
    const qdi_plugin_call *x = t->x;
    if (x->nkeys == x->n && pairs == x->n && each_one(x) && !a->nsubs)
        return count_each(a, pairs, err);
    for (uint32_t p = 0; rc == 0 && p < pairs; p++) {
        uint32_t j = i, bucket;
        while (j < x->nkeys && x->key_of[j] < t->pair_end[p]) j++;
        t->pair++;
        for (bool one = j - i == 1; rc == 0 && i < j; i++) {
            rc = bucket_of_key(a, a->single ? 0 : t->pair_owner[p], i, &bucket, err);
            if (rc) break;
            rc = one ? qdi_emit(a, t->pair_doc[p], bucket, err)
                     : qdi_keys_emit_once(a, t->pair_doc[p], bucket, err);
        }
    }
    t->x->n = 0;
    return rc;
}

static void append(const qdi_source *s, qdi_plugin_call *x, uint32_t from, uint32_t to)
{
    uint32_t n = x->n;
    if (x->type == QD_AGGREGATION_F64)
        for (uint32_t k = from; k < to; k++) x->values[n++] = qd_field_f64(s->field, s->v[k]);
    else
        for (uint32_t k = from; k < to; k++) x->numbers[n++] = s->v[k];
    x->n = n;
}

int qdi_keys_gather(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                    qd_err *err)
{
    qdi_keys_state *t = a->state;
    const qdi_source *s = a->src;
    int rc = 0;
    if (!t->npairs) t->x->n = 0; /* an earlier call was of other values */
    if (t->x->n + n > GATHER_MAX) rc = qdi_keys_flush(a, err);
    if (rc == 0) rc = reserve(a, n, s->one ? n : 0, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to, doc = idx ? idx[i] : i;
        qdi_source_doc(s, doc, &from, &to);
        if (from == to) continue;
        if (!s->one) rc = reserve(a, 1, to - from, err);
        if (rc) return rc;
        append(s, t->x, from, to);
        t->pair_end[t->npairs] = t->x->n;
        t->pair_doc[t->npairs] = doc;
        if (!a->single) t->pair_owner[t->npairs] = owner ? owner[i] : 0;
        t->npairs++;
    }
    return rc || !a->nsubs ? rc : qdi_keys_flush(a, err);
}
