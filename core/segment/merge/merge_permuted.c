/*
 * merge_permuted.c: a term's postings in another order than the sources'. They are gathered with
 * their positions, sorted by new number and given to the writer. Of a term in more documents than a
 * window holds, or with more positions, those of one window after the other are gathered, so that
 * memory does not grow with the segment; the sources' blocks are decoded again for each.
 */
#include "segment/merge/merge_int.h"

void qdi_permuted_fini(qdi_permuted *t)
{
    qd_vec_fini(&t->keys);
    qd_vec_fini(&t->spare);
    qd_vec_fini(&t->freqs);
    qd_vec_fini(&t->starts);
    for (unsigned k = 0; k < 3; k++) qd_vec_fini(&t->values[k]);
}

/* --- gathering -------------------------------------------------------------------------------- */

/* A walk over a source's positions and offsets of the term. */
typedef struct walk {
    uint32_t values[3][QD_BLOCK]; /* of a block, as they are stored */
    uint32_t n, at, next, streams;
} walk;

/* Passes the next freq positions; keeps them or not. */
static int pass(qdi_merge *m, qd_postings *p, walk *w, uint32_t freq, bool keep)
{
    while (freq) {
        if (w->at == w->n) {
            w->at = 0;
            w->n = w->next < p->npos_blk ? qdi_postings_deltas(p, w->next, w->values[0]) : 0;
            if (w->n && w->streams > 1)
                w->n = qdi_postings_offset_deltas(p, w->next, w->values[1], w->values[2]);
            w->next++;
            if (w->n == 0) {
                p->damaged = true;
                return 0;
            }
        }
        uint32_t n = w->n - w->at < freq ? w->n - w->at : freq;
        for (uint32_t k = 0; keep && k < w->streams; k++) {
            if (qd_vec_reserve(&m->term.values[k], m->account, n))
                return qd_err_nomem(m->err, "positions of a term");
            memcpy(m->term.values[k].at + m->term.values[k].n, w->values[k] + w->at,
                   n * sizeof(uint32_t));
            m->term.values[k].n += n;
        }
        w->at += n;
        freq -= n;
    }
    return 0;
}

/* Bytes of what is gathered, with room for sorting. */
static size_t gathered(const qdi_permuted *t)
{
    size_t bytes = t->keys.n * (2 * sizeof(uint64_t) + 2 * sizeof(uint32_t));
    for (unsigned k = 0; k < 3; k++) bytes += t->values[k].n * sizeof(uint32_t);
    return bytes;
}

/* The postings of one source whose new numbers are in [from, to); 1 when they are over
 * qdi_permute_bytes and that may be fewer. */
static int gather(qdi_merge *m, qdi_source *s, uint32_t from, uint32_t to)
{
    qdi_permuted *t = &m->term;
    qd_postings *p = &s->view;
    uint32_t docs[QD_BLOCK + 64], freqs[QD_BLOCK];
    walk w;
    w.n = w.at = w.next = 0;
    w.streams = m->inverted.options >= QD_INDEX_OFFSETS     ? 3
                : m->inverted.options >= QD_INDEX_POSITIONS ? 1
                                                            : 0;
    int rc = qdi_source_postings(s, m->inverted.options, m->err);
    for (uint32_t b = 0; rc == 0 && b < p->nblk && !p->damaged; b++) {
        uint32_t n = qd_postings_docs(p, b, docs);
        if (qd_postings_freqs(p, b, freqs) != n) break;
        t->freqs.n = t->starts.n = t->keys.n;
        if (qd_vec_reserve(&t->keys, m->account, n) || qd_vec_reserve(&t->freqs, m->account, n) ||
            qd_vec_reserve(&t->starts, m->account, n))
            return qd_err_nomem(m->err, "postings of a term");
        for (uint32_t i = 0; rc == 0 && i < n; i++) {
            uint32_t doc = s->map[docs[i]];
            bool keep = doc >= from && doc < to; /* one that is gone is behind every window */
            t->keys.at[t->keys.n] = (uint64_t)doc << 32 | t->keys.n;
            t->freqs.at[t->keys.n] = freqs[i];
            t->starts.at[t->keys.n] = (uint32_t)t->values[0].n;
            t->keys.n += keep;
            if (w.streams) rc = pass(m, p, &w, freqs[i], keep);
        }
        if (rc == 0 && gathered(t) > qdi_permute_bytes &&
            to - from > qdi_merge_window_least(m->docs))
            return 1;
        if (t->values[0].n > UINT32_MAX - QD_BLOCK)
            return qd_err_set(m->err, QD_E_LIMIT, "a term occurs more than 4,294,967,295 times");
    }
    return rc ? rc : qd_postings_status(p, m->err);
}

/* --- sorting ---------------------------------------------------------------------------------- */

#define DIGIT 11u

/* Sorts the keys by document, least significant digit first. */
static int sort_keys(qdi_merge *m, uint32_t docs)
{
    qdi_permuted *t = &m->term;
    size_t n = t->keys.n;
    if (n <= 32) {
        for (size_t i = 1; i < n; i++) {
            uint64_t x = t->keys.at[i];
            size_t k = i;
            for (; k > 0 && t->keys.at[k - 1] > x; k--) t->keys.at[k] = t->keys.at[k - 1];
            t->keys.at[k] = x;
        }
        return 0;
    }
    t->spare.n = 0;
    if (qd_vec_reserve(&t->spare, m->account, t->keys.cap))
        return qd_err_nomem(m->err, "postings of a term");
    unsigned digit = n < 1024 ? 8 : DIGIT, mask = (1u << digit) - 1;
    uint64_t *a = t->keys.at, *b = t->spare.at;
    for (unsigned shift = 32; shift < 64 && docs >> (shift - 32); shift += digit) {
        uint32_t at[1u << DIGIT] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++) at[a[i] >> shift & mask]++;
        for (uint32_t d = 0; d <= mask; d++) {
            uint32_t count = at[d];
            at[d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++) b[at[a[i] >> shift & mask]++] = a[i];
        uint64_t *x = a;
        a = b;
        b = x;
    }
    if (a != t->keys.at) {
        size_t cap = t->keys.cap; /* the sorted array is the keys' from now on */
        t->keys.cap = t->spare.cap;
        t->spare.cap = cap;
        t->spare.at = t->keys.at;
        t->keys.at = a;
    }
    return 0;
}

/* --- giving ----------------------------------------------------------------------------------- */

static int give_positions(qdi_merge *m, uint32_t start, uint32_t freq)
{
    const qdi_permuted *t = &m->term;
    int rc = qdi_inverted_positions(&m->inverted, t->values[0].at + start, freq, m->err);
    if (rc == 0 && m->inverted.options >= QD_INDEX_OFFSETS)
        rc = qdi_inverted_offsets(&m->inverted, t->values[1].at + start, t->values[2].at + start,
                                  freq, m->err);
    return rc;
}

static int give(qdi_merge *m)
{
    const qdi_permuted *t = &m->term;
    uint32_t docs[QD_BLOCK], freqs[QD_BLOCK];
    bool positions = m->inverted.options >= QD_INDEX_POSITIONS;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->keys.n;) {
        uint32_t n = t->keys.n - i < QD_BLOCK ? (uint32_t)(t->keys.n - i) : QD_BLOCK;
        for (uint32_t k = 0; rc == 0 && k < n; k++) {
            uint32_t from = (uint32_t)t->keys.at[i + k];
            docs[k] = (uint32_t)(t->keys.at[i + k] >> 32);
            freqs[k] = t->freqs.at[from];
            if (positions) rc = give_positions(m, t->starts.at[from], freqs[k]);
        }
        if (rc == 0) rc = qdi_merge_postings(m, docs, freqs, n);
        i += n;
    }
    return rc;
}

int qdi_merge_permuted(qdi_merge *m, qdi_source *const *sources, uint32_t n, uint64_t most)
{
    uint32_t window = qdi_merge_window(m->docs);
    if (most <= window) window = m->docs;
    int rc = 0;
    for (uint32_t from = 0; rc == 0 && from < m->docs;) {
        uint32_t to = m->docs - from < window ? m->docs : from + window;
        qdi_permuted *t = &m->term;
        t->keys.n = 0;
        for (unsigned k = 0; k < 3; k++) t->values[k].n = 0;
        for (uint32_t i = 0; rc == 0 && i < n; i++) rc = gather(m, sources[i], from, to);
        if (rc > 0) { /* too many bytes: half the documents, also from then on */
            window = (to - from + 1) / 2;
            rc = 0;
            continue;
        }
        if (rc == 0) rc = sort_keys(m, m->docs);
        if (rc == 0) rc = give(m);
        from = to;
    }
    return rc;
}
