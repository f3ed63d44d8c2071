/*
 * k_count.c: how many documents match, without scores.
 *
 * Bytes beat bitmaps where documents are set one by one (a byte store waits for no load); stored
 * bitmaps beat both. With deletions everything goes by bitmaps, which meet the live ones.
 */
#include "search/run/kernel_int.h"

int qdi_k_count_term(qdi_k *k, uint64_t limit, uint64_t *n)
{
    qd_postings *p = k->c[0]->p;
    const uint64_t *live = k->r->live;
    uint32_t docs[192], deleted = k->r->leaf->docs - k->r->leaf->live_docs;
    if (!live || (limit && p->df >= limit + deleted)) { /* as many are left whatever is deleted */
        *n = p->df - deleted;
        return 0;
    }
    if (p->bits) {
        *n = k->k->popcount_and(p->bits, live, (k->r->ndocs + 63) / 64);
        return 0;
    }
    *n = 0;
    for (uint32_t b = 0; b < p->nblk && (!limit || *n < limit); b++) {
        uint32_t m = qd_postings_docs(p, b, docs);
        for (uint32_t i = 0; i < m; i++) *n += live[docs[i] >> 6] >> (docs[i] & 63) & 1;
    }
    return 0;
}

/* --- any ----------------------------------------------------------------------------------------
 */

static int or_bytes(qdi_k *k, uint64_t limit, uint64_t *n)
{
    *n = 0;
    for (uint32_t w = 0; w < k->r->ndocs; w += QDI_BYTES_WINDOW) {
        uint32_t any = 0, end = w + QDI_BYTES_WINDOW;
        for (uint32_t i = 0; i < k->nt; i++) {
            qdi_cur *c = k->c[i];
            QDI_EACH_BELOW(k->k, c, end, p, m, {
                any |= m;
                for (uint32_t j = 0; j < m; j++) k->bytes[p[j] - w] = 1;
            })
        }
        if (any) *n += k->k->sum_clear(k->bytes, QDI_BYTES_WINDOW);
        if (limit && *n >= limit) return 0;
        int rc = qdi_run_tick(k->r);
        if (rc) return rc;
    }
    return 0;
}

/* Windows of bits: stored bitmaps or-ed, other terms set one by one, live ones kept. */
static int or_bits(qdi_k *k, uint64_t limit, uint64_t *n)
{
    enum { WORDS = 512, DOCS = WORDS * 64 };
    uint64_t bits[WORDS];
    *n = 0;
    for (uint32_t w = 0; w < k->r->ndocs; w += DOCS) {
        uint32_t left = k->r->ndocs - w, words = left < DOCS ? (left + 63) / 64 : WORDS;
        memset(bits, 0, words * sizeof *bits);
        for (uint32_t i = 0; i < k->nt; i++) {
            qdi_cur *c = k->c[i];
            if (c->p->bits) {
                const uint64_t *from = c->p->bits + (w >> 6);
                for (uint32_t x = 0; x < words; x++) bits[x] |= from[x];
                continue;
            }
            QDI_EACH_BELOW(k->k, c, w + DOCS, p, m, {
                for (uint32_t j = 0; j < m; j++) {
                    uint32_t x = p[j] - w;
                    bits[x >> 6] |= 1ull << (x & 63);
                }
            })
        }
        *n += k->r->live ? k->k->popcount_and(bits, k->r->live + (w >> 6), words)
                         : k->k->popcount(bits, words);
        if (limit && *n >= limit) return 0;
        int rc = qdi_run_tick(k->r);
        if (rc) return rc;
    }
    return 0;
}

int qdi_k_count_or(qdi_k *k, uint64_t limit, uint64_t *n)
{
    uint32_t stored = 0, deleted = k->r->leaf->docs - k->r->leaf->live_docs;
    for (uint32_t i = 0; i < k->nt; i++) {
        qd_postings *p = k->c[i]->p;
        stored += p->bits != NULL;
        if (limit && p->df >= limit + deleted) { /* this term alone settles it */
            *n = p->df - deleted;
            return 0;
        }
        qdi_k_rewind(k->c[i]);
    }
    if (!stored && !k->r->live) return or_bytes(k, limit, n);
    if (stored == 1 && k->nt == 2 && !k->r->live) { /* |A| + |B| - |A and B| */
        qd_postings *a = k->c[0]->p, *b = k->c[1]->p;
        if (!a->bits) {
            qd_postings *t = a;
            a = b;
            b = t;
        }
        uint32_t docs[192];
        uint64_t both = 0;
        for (uint32_t i = 0; i < b->nblk; i++) {
            uint32_t m = qd_postings_docs(b, i, docs);
            for (uint32_t j = 0; j < m; j++) both += a->bits[docs[j] >> 6] >> (docs[j] & 63) & 1;
        }
        *n = (uint64_t)a->df + b->df - both;
        return 0;
    }
    return or_bits(k, limit, n);
}

/* --- all ----------------------------------------------------------------------------------------
 */

static int and_bytes(qdi_k *k, uint64_t limit, uint64_t *n)
{
    *n = 0;
    for (uint32_t w = 0; w < k->r->ndocs; w += QDI_BYTES_WINDOW) {
        uint32_t any = 0, hit = 0, end = w + QDI_BYTES_WINDOW;
        uint8_t want = (uint8_t)(k->nt - 1);
        for (uint32_t i = 0; i < k->nt; i++) {
            qdi_cur *c = k->c[i];
            QDI_EACH_BELOW(k->k, c, end, p, m, {
                any |= m;
                if (i == 0)
                    for (uint32_t j = 0; j < m; j++) k->bytes[p[j] - w] = 1;
                else if (i < want)
                    for (uint32_t j = 0; j < m; j++) {
                        uint32_t x = p[j] - w;
                        k->bytes[x] = (uint8_t)(k->bytes[x] + (k->bytes[x] == i));
                    }
                else
                    for (uint32_t j = 0; j < m; j++) hit += k->bytes[p[j] - w] == want;
            })
        }
        *n += hit;
        if (any) memset(k->bytes, 0, QDI_BYTES_WINDOW);
        if (limit && *n >= limit) return 0;
        int rc = qdi_run_tick(k->r);
        if (rc) return rc;
    }
    return 0;
}

static uint64_t live_of(const qdi_k *k, const uint32_t *d, uint32_t n)
{
    if (!k->r->live) return n;
    uint64_t m = 0;
    for (uint32_t i = 0; i < n; i++) m += k->r->live[d[i] >> 6] >> (d[i] & 63) & 1;
    return m;
}

/* The rarest term's documents, kept where the others have them. */
static int and_lists(qdi_k *k, uint64_t *n)
{
    qdi_cur *a = k->c[0], *b = k->c[1];
    uint32_t m = 0, from = 1;
    uint32_t *d = qdi_scratch_alloc(k->r->scratch, (a->p->nblk * QD_BLOCK + 256) * sizeof *d);
    if (!d) return QD_E_NOMEM;
    for (uint32_t i = 0; i < a->p->nblk; i++) m += qd_postings_docs(a->p, i, d + m);
    for (uint32_t i = 0; i < 32; i++) d[m + i] = QD_NO_DOC;
    if (!b->p->bits && b->p->df / a->p->df < 32) { /* like sizes: two lists */
        uint32_t nb = 0;
        uint32_t *e = qdi_scratch_alloc(k->r->scratch, (b->p->nblk * QD_BLOCK + 256) * sizeof *e);
        uint32_t *ia = qdi_scratch_alloc(k->r->scratch, (m + 64) * sizeof *ia);
        uint32_t *ib = qdi_scratch_alloc(k->r->scratch, (m + 64) * sizeof *ib);
        if (!e || !ia || !ib) return QD_E_NOMEM;
        for (uint32_t i = 0; i < b->p->nblk; i++) nb += qd_postings_docs(b->p, i, e + nb);
        for (uint32_t i = 0; i < 32; i++) e[nb + i] = QD_NO_DOC;
        m = k->k->isect(d, m, e, nb, ia, ib);
        for (uint32_t i = 0; i < m; i++) d[i] = d[ia[i]];
        from = 2;
    }
    for (uint32_t i = from; i < k->nt && m; i++) m = qdi_k_keep_in(k, k->c[i], d, m, NULL);
    *n = live_of(k, d, m);
    return 0;
}

/* All have stored bitmaps. */
static int and_bits(qdi_k *k, uint64_t *n)
{
    uint32_t words = (k->r->ndocs + 63) / 64;
    uint64_t bits[512];
    *n = 0;
    if (k->nt == 2 && !k->r->live) {
        *n = k->k->popcount_and(k->c[0]->p->bits, k->c[1]->p->bits, words);
        return 0;
    }
    for (uint32_t w = 0; w < words; w += 512) {
        uint32_t m = words - w < 512 ? words - w : 512;
        memcpy(bits, k->c[0]->p->bits + w, m * sizeof *bits);
        for (uint32_t i = 1; i + 1 < k->nt || (k->r->live && i < k->nt); i++)
            k->k->and64(bits, k->c[i]->p->bits + w, m);
        const uint64_t *last = k->r->live ? k->r->live : k->c[k->nt - 1]->p->bits;
        *n += k->k->popcount_and(bits, last + w, m);
    }
    return 0;
}

int qdi_k_count_and(qdi_k *k, uint64_t limit, uint64_t *n)
{
    qdi_k_by_df(k->c, k->nt);
    uint32_t stored = 0;
    for (uint32_t i = 0; i < k->nt; i++) {
        stored += k->c[i]->p->bits != NULL;
        qdi_k_rewind(k->c[i]);
    }
    if (stored == k->nt) return and_bits(k, n);
    qdi_cur *a = k->c[0], *b = k->c[1];
    if (!b->p->bits && qdi_k_dense(a) && b->p->df / a->p->df < 8 && !k->r->live && k->nt < 128)
        return and_bytes(k, limit, n);
    return and_lists(k, n);
}
