/*
 * plugin_texts.c: strings for metrics of plugins, in blocks: each ordinal's string is copied once a
 * block, and pairs of owner and document refer to it by its number there. Ordinals themselves are
 * of a segment and stay in the host.
 */
#include "aggs/metric/plugin_texts.h"

#define BLOCK_BYTES_MAX ((size_t)8 << 20) /* of the strings of a block, but for the last one */

int qdi_plugin_texts_leaf(qdi_aggr *a, qd_err *err)
{
    qdi_plugin_metric *t = a->state;
    t->epoch++;
    return qdi_aggs_grow(a->shard->account, &t->known, &t->cap_known, a->src->ordinals + 1,
                         sizeof *t->known, err);
}

static int room_for_one(qdi_aggr *a, qdi_plugin_metric *t, qd_err *err)
{
    qdi_plugin_call *x = t->x;
    uint32_t n = x->n + 1;
    int rc = qdi_aggs_grow(x->account, &x->text_of, &t->room_of, n, sizeof *x->text_of, err);
    if (!rc) rc = qdi_aggs_grow(x->account, &x->docs, &t->room_docs, n, sizeof *x->docs, err);
    if (!rc && !a->single)
        rc = qdi_aggs_grow(x->account, &x->owner, &t->room_owner, n, sizeof *x->owner, err);
    return rc;
}

/* The number of an ordinal's string in the block. */
static int text_of(qdi_aggr *a, uint32_t ord, uint32_t *out, qd_err *err)
{
    qdi_plugin_metric *t = a->state;
    qdi_plugin_call *x = t->x;
    qd_str text;
    *out = (uint32_t)t->known[ord];
    if (t->known[ord] >> 32 == t->epoch) return 0;
    int rc = qdi_aggs_source_bytes(a->src, ord, &text, err);
    if (!rc)
        rc = qdi_aggs_grow(x->account, &x->parts, &t->room_parts, x->nparts + 1, sizeof(qd_str),
                           err);
    if (rc) return rc;
    if (text.n && qd_buf_str(&x->in, text)) return qdi_plugin_no_memory(x->account, err);
    x->parts[x->nparts].n = text.n;
    *out = x->nparts++;
    t->known[ord] = (uint64_t)t->epoch << 32 | *out;
    return 0;
}

/* Calls the plugin where the block is full. */
static int flush_full(qdi_aggr *a, qd_err *err)
{
    qdi_plugin_metric *t = a->state;
    const qdi_plugin_call *x = t->x;
    if (!x) return qdi_plugin_gone(err);
    if (x->n < QDI_PLUGIN_VALUES_MAX && x->in.n < BLOCK_BYTES_MAX) return 0;
    t->epoch++;
    return qdi_plugin_flush(a, err);
}

static int add(qdi_aggr *a, uint32_t ord, uint32_t doc, uint32_t owner, qd_err *err)
{
    qdi_plugin_metric *t = a->state;
    int rc = flush_full(a, err);
    if (!rc) rc = room_for_one(a, t, err);
    if (rc) return rc;
    qdi_plugin_call *x = t->x;
    rc = text_of(a, ord, &x->text_of[x->n], err);
    if (rc) return rc;
    x->docs[x->n] = doc;
    if (!a->single) x->owner[x->n] = owner;
    x->n++;
    return 0;
}

int qdi_plugin_texts_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                             qd_err *err)
{
    const qdi_source *s = a->src;
    int rc = qdi_aggs_source_index(a->shard, a->src, err);
    if (!rc) rc = qdi_aggs_batch_docs(a->shard, err);
    const qdi_batch *b = &a->shard->batch;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        for (; rc == 0 && from < to; from++)
            rc = add(a, s->o[from], b->leaf->base + b->docs[at], owner ? owner[i] : 0, err);
    }
    return rc;
}
