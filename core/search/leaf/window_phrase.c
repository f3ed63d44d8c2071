/* window_phrase.c: a phrase in a window: documents with all slots first, then their positions. */
#include "search/leaf/own_int.h"
#include <stdlib.h>

#define POSITIONS_MAX (1u << 28) /* of one slot in one document */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Positions of slot s in document d, of all its alternatives, ascending. */
static int slot_positions(qdi_run *r, qdi_lnode *l, uint32_t s, uint32_t d, qd_err *err)
{
    qdi_positions *to = &l->u.phrase.pos[s];
    uint32_t lists = 0;
    to->n = 0;
    for (uint32_t i = l->u.phrase.first[s]; i < l->u.phrase.first[s + 1]; i++) {
        qdi_cur *c = l->u.phrase.curs[i];
        uint32_t j = qdi_cur_find(c, r->k, d), f;
        if (j == QD_NO_DOC) continue;
        uint64_t first = qd_postings_position_first(c->p, j, &f);
        if (f > POSITIONS_MAX - to->n) /* more words than a document can have */
            return qd_err_set(err, QD_E_CORRUPT, "impossible frequency of a term");
        if (to->n + f > to->cap) {
            uint32_t cap = (to->n + f) * 2 + 64;
            uint32_t *more = qdi_scratch_alloc(r->scratch, (size_t)cap * sizeof *more);
            if (!more) return qd_err_nomem(err, "positions of a phrase");
            if (to->n) memcpy(more, to->at, to->n * sizeof *more);
            to->at = more;
            to->cap = cap;
        }
        to->n += qd_postings_positions(c->p, first, f, to->at + to->n);
        lists++;
    }
    if (lists > 1) qsort(to->at, to->n, sizeof *to->at, by_value);
    return 0;
}

/* Frequency in one document that holds all slots. */
static int doc_freq(qdi_run *r, qdi_lnode *l, uint32_t d, float *freq, qd_err *err)
{
    uint32_t n = l->u.phrase.n;
    *freq = 0;
    for (uint32_t s = 0; s < n; s++) {
        int rc = slot_positions(r, l, s, d, err);
        if (rc) return rc;
        if (l->u.phrase.pos[s].n == 0) return 0;
    }
    *freq = l->u.phrase.sloppy ? qdi_phrase_sloppy(l->u.phrase.sloppy, l->u.phrase.pos,
                                                   l->u.phrase.offset, n, l->u.phrase.slop)
                               : qdi_phrase_exact(l->u.phrase.pos, l->u.phrase.offset, n);
    return 0;
}

int qdi_fill_phrase(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                    double *acc, qd_err *err)
{
    uint64_t c[QDI_WINDOW_WORDS], o[QDI_WINDOW_WORDS], any[QDI_WINDOW_WORDS];
    qdi_own_batch b;
    b.scorer = l->u.phrase.scorer;
    b.norms = l->u.phrase.norms;
    b.norm_mask = l->u.phrase.norm_mask;
    b.n = 0;
    memcpy(c, cand, w->words * sizeof *c);
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t k = 0; k < l->u.phrase.n; k++) {
        uint32_t s = l->u.phrase.order[k];
        memset(any, 0, sizeof any);
        for (uint32_t i = l->u.phrase.first[s]; i < l->u.phrase.first[s + 1]; i++) {
            qdi_fill_term(r, l->u.phrase.curs[i], w, c, o, NULL);
            for (uint32_t q = 0; q < w->words; q++) any[q] |= o[q];
        }
        memcpy(c, any, w->words * sizeof *c);
        if (!qdi_any(c, w->words)) return 0;
    }
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = c[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x), d = w->from + at;
            float freq;
            int rc = doc_freq(r, l, d, &freq, err);
            if (rc) return rc;
            if (!(freq > 0)) continue;
            out[i] |= 1ull << (at & 63);
            if (acc && l->u.phrase.scorer)
                qdi_own_add(&b, d, freq, w, acc);
            else if (acc)
                acc[at] += (double)qdi_score(
                    l->u.phrase.w, freq,
                    l->u.phrase.ninv[l->u.phrase.norms[d & l->u.phrase.norm_mask]]);
        }
    if (b.n) qdi_own_flush(&b, w, acc);
    return 0;
}
