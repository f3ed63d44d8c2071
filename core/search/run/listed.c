/*
 * listed.c: the hits of required clauses as a list (listed.h). Blocks of the rarest term are read
 * where all ranges may have something, by the bounds of their columns' blocks.
 */
#include "search/run/listed.h"
#include "search/leaf/range_int.h"

/* One required clause. */
static bool take(qdi_listed *x, qdi_lnode *l)
{
    while (qdi_leaf_can(l, QDI_NODE_SAME_DOCS)) l = l->u.child;
    if (qdi_leaf_can(l, QDI_NODE_CURSOR))
        x->terms[x->nterms++] = l->u.cur;
    else if (qdi_leaf_can(l, QDI_NODE_BITMAP))
        x->bits[x->nbits++] = l->u.bits;
    else if (qdi_leaf_can(l, QDI_NODE_INTERVAL) && l->u.range->lookups)
        x->ranges[x->nranges++] = l->u.range;
    else
        return false;
    return true;
}

bool qdi_listed_shape(qdi_listed *x, qdi_run *r, qdi_lnode *l)
{
    x->k = (qdi_k){.r = r, .k = r->k};
    x->nterms = x->nbits = x->nranges = x->blk = 0;
    while (qdi_leaf_can(l, QDI_NODE_SAME_DOCS)) l = l->u.child;
    if (!qdi_leaf_can(l, QDI_NODE_CLAUSES)) {
        if (!qdi_leaf_can(l, QDI_NODE_CURSOR) || !take(x, l)) return false;
    } else {
        if (l->u.b.nnot || l->u.b.min_should || l->u.b.nreq == 0 || l->u.b.nreq > QDI_LISTED_MAX)
            return false;
        for (uint32_t i = 0; i < l->u.b.nreq; i++)
            if (!take(x, l->u.b.req[i])) return false;
    }
    if (!x->nterms) return false;
    qdi_k_by_df(x->terms, x->nterms);
    x->lead = x->terms[0];
    return !x->lead->p->bits;
}

int qdi_listed_room(qdi_listed *x, uint32_t cap)
{
    size_t all = (size_t)x->lead->p->nblk * QD_BLOCK;
    x->cap = all < cap ? (uint32_t)all : cap;
    size_t room = (size_t)x->cap + 2 * QD_BLOCK + 64;
    x->d = qdi_scratch_alloc(x->k.r->scratch, room * sizeof *x->d);
    return x->d ? 0 : QD_E_NOMEM;
}

/* The first document from `from` on that all ranges may have. */
static uint32_t next_of(const qdi_listed *x, uint32_t from)
{
    for (uint32_t i = 0; i < x->nranges && from != QD_NO_DOC; i++)
        from = qdi_range_next(x->k.r, x->ranges[i], from);
    return from;
}

/* Those of d[0..n) whose bit is set, to out; bit 0 of bits is document from. */
static uint32_t keep_in_bits(const uint64_t *bits, uint32_t from, const uint32_t *d, uint32_t n,
                             uint32_t *out)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = d[i], bit = doc - from;
        out[m] = doc;
        m += bits[bit >> 6] >> (bit & 63) & 1;
    }
    return m;
}

/* Those of d[0..*n), documents of one block [from, to) that its head does not decide, to out. */
static int keep_open(struct qdi_range *g, uint32_t from, uint32_t to, const uint32_t *d, uint32_t n,
                     uint32_t *out, uint32_t *kept, qd_err *err)
{
    uint32_t m = 0;
    int rc;
    if (n > QDI_RANGE_LOOKUPS_MAX) {
        uint64_t bits[QDI_WINDOW_WORDS] = {0};
        rc = qd_column_match_at(g->reader, from, to, g->lo, g->hi, bits, err);
        if (!rc) m = keep_in_bits(bits, from, d, n, out);
    } else {
        int64_t v[QDI_RANGE_LOOKUPS_MAX];
        rc = qd_column_gather(g->reader, d, n, QD_COLUMN_PICK_MIN, g->absent, v, err);
        for (uint32_t i = 0; i < n && !rc; i++) {
            out[m] = d[i];
            m += v[i] >= g->lo && v[i] <= g->hi;
        }
    }
    *kept += m;
    return rc;
}

int qdi_listed_in_range(struct qdi_range *g, uint32_t *d, uint32_t *n, qd_err *err)
{
    uint32_t m = 0;
    int rc = 0;
    for (uint32_t i = 0, e; i < *n && !rc; i = e) {
        qd_column_block_info b;
        qd_column_block_at(g->column, d[i], &b);
        for (e = i + 1; e < *n && d[e] < b.to;) e++;
        if (!b.docs || b.min > g->hi || b.max < g->lo) continue;
        if (b.docs == b.to - b.from && b.min >= g->lo && b.max <= g->hi) {
            memmove(d + m, d + i, (e - i) * sizeof *d);
            m += e - i;
        } else {
            rc = keep_open(g, b.from, b.to, d + i, e - i, d + m, &m, err);
        }
    }
    *n = m;
    return rc;
}

int qdi_listed_next(qdi_listed *x, uint32_t want, uint32_t *n, qd_err *err)
{
    qd_postings *p = x->lead->p;
    uint32_t m = 0;
    while (m < want && x->blk < p->nblk) {
        uint32_t first = x->blk ? p->last[x->blk - 1] + 1 : 0, from = next_of(x, first);
        if (from != first) x->blk = from == QD_NO_DOC ? p->nblk : qd_postings_seek(p, x->blk, from);
        if (x->blk < p->nblk) m += qd_postings_docs(p, x->blk++, x->d + m);
    }
    *n = 0;
    if (m == 0 && x->blk >= p->nblk) return 0;
    if (x->k.r->live) m = keep_in_bits(x->k.r->live, 0, x->d, m, x->d);
    for (uint32_t i = 1; i < x->nterms && m; i++)
        m = qdi_k_keep_in(&x->k, x->terms[i], x->d, m, NULL);
    for (uint32_t i = 0; i < x->nbits && m; i++) m = keep_in_bits(x->bits[i], 0, x->d, m, x->d);
    for (uint32_t i = 0; i < x->nranges && m; i++) {
        int rc = qdi_listed_in_range(x->ranges[i], x->d, &m, err);
        if (rc) return rc;
    }
    *n = m;
    return 1;
}
