/*
 * k_phrase.c: exact phrases of plain words.
 *
 * The rarest word's blocks lead; other words' bitmaps or blocks keep the documents that hold all of
 * them; a document whose smallest frequency cannot reach the threshold is not looked at; positions
 * are read at random, their beginning found by a prefix sum over the block's frequencies.
 */
#include "search/kernel_int.h"

#define WORDS_MAX 16u
#define POSITIONS_MAX 4096u /* a document with more goes by the general way */

typedef struct word {
    qdi_cur *c;
    uint32_t offset;
    uint32_t sum_blk;   /* block of sums[] */
    uint32_t before;    /* positions before that block */
    uint32_t sums[192]; /* frequencies up to and with each posting, minus 1 */
    uint64_t pos_blk;   /* block of positions at hand */
    const uint8_t *pos; /* its stream */
    unsigned pos_width;
    uint64_t first;             /* of the candidate at hand: number of its first position */
    uint32_t freq;              /* and how many */
    uint32_t at[QD_BLOCK + 64]; /* by candidate: number of its posting */
} word;

typedef struct phrase {
    qdi_k *k;
    qdi_lnode *l;
    word *w[WORDS_MAX]; /* by rising document frequency */
    uint32_t n;
    uint32_t cand[QD_BLOCK + 64];
    uint32_t *starts;
} phrase;

/* Sums the frequencies of block b. */
static __attribute__((noinline)) bool sum_block(word *w, uint32_t b)
{
    qd_postings *p = w->c->p;
    qd_block blk;
    w->sum_blk = b;
    w->before = p->pos_before ? p->pos_before[b] : 0;
    if (!qd_postings_block(p, b, &blk)) {
        memset(w->sums, 0xff, sizeof w->sums); /* no positions */
        return false;
    }
    /* The documents' arithmetic, base + sum of (value + 1), over values that are freq - 1. */
    if (blk.n == QD_BLOCK)
        p->codec->docs(blk.freqs, blk.freq_bits, UINT32_MAX, w->sums);
    else
        p->codec->docs_n(blk.freqs, blk.freq_bits, UINT32_MAX, blk.n, w->sums);
    return true;
}

/* Where the positions of posting j are. */
static inline void place(word *w, uint32_t j)
{
    uint32_t b = j / QD_BLOCK, i = j % QD_BLOCK;
    if (w->sum_blk != b) sum_block(w, b);
    uint32_t start = i ? w->sums[i - 1] + 1 : 0;
    w->freq = w->sums[i] + 1 - start;
    w->first = (uint64_t)w->before + start;
}

/* Takes the block of positions b; a damaged one counts as width 0. */
static __attribute__((noinline)) void take_positions(word *w, uint64_t b)
{
    qd_postings *p = w->c->p;
    static const uint8_t zeros[64];
    w->pos_blk = b;
    w->pos = zeros;
    w->pos_width = 0;
    if (!p->pos_data || b >= p->npos_blk) {
        p->damaged = true;
        return;
    }
    unsigned width = p->pos_bits[b];
    uint64_t rest = p->ttf - b * QD_BLOCK, at = (uint64_t)p->pos_off[b] * 16;
    uint32_t here = rest < QD_BLOCK ? (uint32_t)rest : QD_BLOCK;
    if (!qd_codec_width_ok(width) || at + qd_codec_bytes(here, width) > p->pos_data_len) {
        p->damaged = true;
        return;
    }
    w->pos = p->pos_data + at;
    w->pos_width = width;
}

/* Position number a of the word: a delta to the one before in its document. */
static inline uint32_t delta(word *w, uint64_t a)
{
    if (QD_UNLIKELY(a / QD_BLOCK != w->pos_blk)) take_positions(w, a / QD_BLOCK);
    return qd_codec_one(w->pos, w->pos_width, (uint32_t)(a % QD_BLOCK));
}

/* Candidates of the lead's block b: documents in every word, with their postings' numbers. */
static uint32_t candidates(phrase *x, uint32_t b, float thr)
{
    qdi_k *k = x->k;
    word *lead = x->w[0];
    qdi_cur_load(lead->c, b);
    uint32_t n = 0;
    if (thr > 0 || k->r->live) {
        for (uint32_t j = 0; j < lead->c->n; j++) {
            uint32_t d = lead->c->docs[j], r = d >> QD_RANGE_LOG;
            bool ok = qdi_k_live(k, d);
            for (uint32_t i = 0; thr > 0 && i < x->n; i++)
                if (qdi_k_dense(x->w[i]->c))
                    ok &= x->w[i]->c->bound[x->w[i]->c->p->range_cls[r] & 63] >= thr;
            x->cand[n] = d;
            lead->at[n] = b * QD_BLOCK + j;
            n += ok;
        }
    } else {
        n = lead->c->n;
        memcpy(x->cand, lead->c->docs, n * sizeof *x->cand);
        for (uint32_t j = 0; j < n; j++) lead->at[j] = b * QD_BLOCK + j;
    }
    for (uint32_t i = 1; i < x->n && n; i++) {
        word *w = x->w[i];
        qd_postings *p = w->c->p;
        uint32_t m = 0, ia[QD_BLOCK + 64], ib[QD_BLOCK + 64];
        if (p->bits) {
            for (uint32_t j = 0; j < n; j++) {
                if (!qd_postings_test(p, x->cand[j])) continue;
                for (uint32_t a = 0; a < i; a++) x->w[a]->at[m] = x->w[a]->at[j];
                x->cand[m] = x->cand[j];
                m++;
            }
            for (uint32_t j = 0; j < m; j++) w->at[j] = qd_postings_rank(p, x->cand[j]);
            n = m;
            continue;
        }
        for (uint32_t from = 0, o = w->c->hint; from < n;) {
            o = qd_postings_seek(p, o, x->cand[from]);
            if (o >= p->nblk) break;
            w->c->hint = o;
            qdi_cur_load(w->c, o);
            uint32_t e = from, last = p->last[o];
            while (e < n && x->cand[e] <= last) e++;
            for (uint32_t j = 0; j < 16; j++) w->c->docs[w->c->n + j] = QD_NO_DOC;
            uint32_t h = k->k->isect(x->cand + from, e - from, w->c->docs, w->c->n, ia, ib);
            for (uint32_t j = 0; j < h; j++) {
                uint32_t z = from + ia[j];
                for (uint32_t a = 0; a < i; a++) x->w[a]->at[m] = x->w[a]->at[z];
                x->cand[m] = x->cand[z];
                w->at[m++] = o * QD_BLOCK + ib[j];
            }
            from = e;
        }
        n = m;
    }
    return n;
}

/* Occurrences of the phrase in the candidate at hand: where it could start by the words so far. */
static uint32_t occurrences(phrase *x)
{
    enum { BIAS = QD_BLOCK * 1024 }; /* above any offset: starts stay unsigned */
    uint32_t *have = x->starts, n = x->w[0]->freq, p = BIAS - x->w[0]->offset;
    for (uint32_t q = 0; q < n; q++) {
        p += delta(x->w[0], x->w[0]->first + q);
        have[q] = p;
    }
    for (uint32_t i = 1; i < x->n && n; i++) {
        word *w = x->w[i];
        uint32_t z = 0, kept = 0;
        uint64_t end = w->first + w->freq;
        p = BIAS - w->offset;
        for (uint64_t a = w->first; a < end; a++) {
            p += delta(w, a);
            while (z < n && have[z] < p) z++;
            if (z == n) break;
            if (have[z] == p) {
                have[kept++] = p;
                z++;
            }
        }
        n = kept;
    }
    return n;
}

/* A document too large for the buffers, by the window's way. */
static int large_doc(phrase *x, uint32_t d, double *score, bool *match)
{
    qdi_run *r = x->k->r;
    uint64_t cand[QDI_WINDOW_WORDS] = {0}, out[QDI_WINDOW_WORDS];
    qdi_win w = {.from = d & ~(QDI_WINDOW - 1)};
    w.to = r->ndocs - w.from > QDI_WINDOW ? w.from + QDI_WINDOW : r->ndocs;
    w.words = (w.to - w.from + 63) / 64;
    cand[(d - w.from) >> 6] = 1ull << (d & 63);
    int rc = qdi_fill_phrase(r, x->l, &w, cand, out, x->k->acc, NULL);
    *match = !rc && qdi_any(out, w.words);
    *score = x->k->acc[d - w.from];
    x->k->acc[d - w.from] = 0;
    return rc;
}

/* The threshold that counts: none while hits are wanted for themselves. */
static float threshold(const qdi_k *k)
{
    return k->count < k->want || !k->q ? 0 : k->q->threshold;
}

static int block(phrase *x, uint32_t b)
{
    qdi_k *k = x->k;
    const qdi_lnode *l = x->l;
    uint32_t n = candidates(x, b, threshold(k));
    for (uint32_t j = 0; j < n; j++) {
        uint32_t d = x->cand[j];
        float ninv =
            l->u.phrase.ninv ? l->u.phrase.ninv[l->u.phrase.norms[d & l->u.phrase.norm_mask]] : 0;
        bool match = false;
        uint32_t least = UINT32_MAX, most = 0;
        for (uint32_t i = 0; i < x->n; i++) {
            place(x->w[i], x->w[i]->at[j]);
            least = x->w[i]->freq < least ? x->w[i]->freq : least;
            most = x->w[i]->freq > most ? x->w[i]->freq : most;
        }
        float thr = threshold(k);
        if (thr > 0 && qdi_score(l->u.phrase.w, (float)least, ninv) < thr) continue;
        if (QD_UNLIKELY(most > POSITIONS_MAX)) {
            double s;
            int rc = large_doc(x, d, &s, &match);
            if (rc) return rc;
            k->count += match;
            if (match && k->q) qdi_k_push(k, s, d);
            continue;
        }
        uint32_t f = occurrences(x);
        if (!f) continue;
        k->count++;
        if (k->q) qdi_k_push(k, (double)qdi_score(l->u.phrase.w, (float)f, ninv), d);
    }
    return 0;
}

int qdi_k_phrase(qdi_k *k, qdi_lnode *l)
{
    phrase *x = qdi_scratch_alloc(k->r->scratch, sizeof *x);
    word *words = qdi_scratch_alloc(k->r->scratch, l->u.phrase.n * sizeof *words);
    if (!x || !words) return QD_E_NOMEM;
    x->k = k;
    x->l = l;
    x->n = l->u.phrase.n;
    x->starts = qdi_scratch_alloc(k->r->scratch, (POSITIONS_MAX + 64) * sizeof *x->starts);
    if (!x->starts) return QD_E_NOMEM;
    for (uint32_t i = 0; i < x->n; i++) { /* the slots' order by cost is the order of words */
        uint32_t s = l->u.phrase.order[i];
        word *w = &words[i];
        w->c = l->u.phrase.curs[s];
        w->offset = l->u.phrase.offset[s];
        w->sum_blk = QD_NO_DOC;
        w->pos_blk = UINT64_MAX;
        x->w[i] = w;
        qdi_k_rewind(w->c);
        if (k->q) qdi_cur_bounds(w->c);
    }
    k->name = "phrase";
    qdi_cur *lead = x->w[0]->c;
    for (uint32_t b = 0; b < lead->p->nblk; b++) {
        if (k->q && lead->p->cls && lead->bound[lead->p->cls[b] & 63] < threshold(k)) continue;
        int rc = block(x, b);
        if (!rc) rc = qdi_run_tick(k->r);
        if (rc) return rc;
        if (!k->q && k->count >= k->want) break;
    }
    k->counted = k->want > 0; /* exact, or pruning began when there were enough */
    return 0;
}
