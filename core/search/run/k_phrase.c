/*
 * k_phrase.c: phrases of plain words, exact and sloppy ones.
 *
 * The rarest word's blocks lead; other words' bitmaps or blocks keep the documents that hold all of
 * them; a document whose smallest frequency cannot reach the threshold is not looked at; where its
 * positions begin is found by a prefix sum over the block's frequencies, where they are by one over
 * the block of positions: running sums in which a document's own are ascending once its base is
 * taken off. Up to 64 positions of the rarest word meet another word's in registers (kern's meet).
 *
 * Longer lists meet in a table of bytes by place of the phrase's start: the first word writes, each
 * other one raises what its predecessor left, so that no branch depends on a position. (Merging two
 * lists of ten costs ten mispredicted branches.)
 *
 * Sloppy phrases have bounds of their own on what they can score; positions are read only of
 * documents that can reach the threshold, and whether two words are near enough, which is all that
 * a count asks, is seen without walking them.
 */
#include "search/leaf/window_int.h"
#include "search/run/kernel_int.h"

#define WORDS_MAX 16u
#define POSITIONS_MAX 4096u           /* a document with more goes by the general way */
#define PLACES (QDI_BYTES_WINDOW - 1) /* of the table; the last one takes all that lie behind */
#define MEET_MAX 64u                  /* positions of the rarest word that meet in registers */
#define NEAR_MAX 4096u                /* pairs of positions that are all compared */

typedef enum phrase_kind { PHRASE_EXACT, PHRASE_PAIR, PHRASE_SLOPPY } phrase_kind;

typedef struct word {
    qdi_cur *c;
    uint32_t shift;     /* from a position to the place of the start that it would belong to */
    uint32_t sum_blk;   /* block of sums[] */
    uint32_t before;    /* positions before that block */
    uint32_t sums[208]; /* frequencies up to and with each posting, minus 1, behind an UINT32_MAX */
    uint64_t pos_blk;   /* block of positions at hand */
    uint32_t run[QD_BLOCK + 64]; /* run[i]: sum of its deltas up to i, and i */
    uint64_t first;              /* of the candidate at hand: number of its first position */
    uint32_t freq;               /* and how many */
    /* by candidate: number of its posting, of its first position, its frequency */
    uint32_t at[QD_BLOCK + 64], first_of[QD_BLOCK + 64], freq_of[QD_BLOCK + 64];
} word;

typedef struct phrase {
    qdi_k *k;
    qdi_lnode *l;
    word *w[WORDS_MAX]; /* by rising document frequency */
    uint32_t n;
    phrase_kind kind;
    qdi_positions pos[WORDS_MAX]; /* by slot, of one document: sloppy phrases */
    uint32_t cand[QD_BLOCK + 64];
    uint32_t least[QD_BLOCK + 64]; /* frequency of any word there */
    uint32_t most[QD_BLOCK + 64];  /* that a sloppy phrase can be found there */
    float bound[QD_BLOCK + 64];    /* score of a phrase that often */
    const float *range;            /* bounds of ranges, of all words; NULL: the lead is sparse */
    uint32_t *starts, *others;     /* places of one document */
    uint8_t *met;                  /* by place: words that agree so far; zeros between documents */
} phrase;

/* Sums the frequencies of block b. */
static __attribute__((noinline)) void sum_block(word *w, uint32_t b)
{
    qd_postings *p = w->c->p;
    qd_block blk;
    w->sum_blk = b;
    w->before = p->pos_before ? p->pos_before[b] : 0;
    w->sums[0] = UINT32_MAX;
    if (!qd_postings_block(p, b, &blk)) {
        memset(w->sums, 0xff, sizeof w->sums); /* frequencies of 0 */
        return;
    }
    /* The documents' arithmetic, base + sum of (value + 1), over values that are freq - 1. */
    if (blk.n == QD_BLOCK)
        p->codec->docs(blk.freqs, blk.freq_bits, UINT32_MAX, w->sums + 1);
    else
        p->codec->docs_n(blk.freqs, blk.freq_bits, UINT32_MAX, blk.n, w->sums + 1);
}

/* Where the positions of n candidates are, and how many, by word; the least of each candidate's
 * frequencies. */
static void place_all(phrase *x, uint32_t n)
{
    for (uint32_t i = 0; i < x->n; i++) {
        word *w = x->w[i];
        for (uint32_t j = 0; j < n; j++) {
            uint32_t b = w->at[j] / QD_BLOCK, q = w->at[j] % QD_BLOCK;
            if (w->sum_blk != b) sum_block(w, b);
            uint32_t start = w->sums[q] + 1;
            w->freq_of[j] = w->sums[q + 1] + 1 - start;
            w->first_of[j] = w->before + start;
        }
    }
    for (uint32_t j = 0; j < n; j++) {
        uint32_t least = x->w[0]->freq_of[j];
        for (uint32_t i = 1; i < x->n; i++)
            least = x->w[i]->freq_of[j] < least ? x->w[i]->freq_of[j] : least;
        x->least[j] = least;
    }
}

/* Decodes the block of positions b; a damaged one counts as deltas of 0. */
static __attribute__((noinline)) void take_positions(word *w, uint64_t b)
{
    qd_postings *p = w->c->p;
    w->pos_blk = b;
    if (p->pos_data && b < p->npos_blk) {
        unsigned width = p->pos_bits[b];
        uint64_t rest = p->ttf - b * QD_BLOCK, at = (uint64_t)p->pos_off[b] * 16;
        uint32_t here = rest < QD_BLOCK ? (uint32_t)rest : QD_BLOCK;
        if (qd_codec_width_ok(width) && at + qd_codec_bytes(here, width) <= p->pos_data_len) {
            /* base UINT32_MAX: the first sum is of one value, plus 1, minus 1 */
            if (here == QD_BLOCK)
                p->codec->docs(p->pos_data + at, width, UINT32_MAX, w->run);
            else
                p->codec->docs_n(p->pos_data + at, width, UINT32_MAX, here, w->run);
            return;
        }
    }
    p->damaged = true;
    for (uint32_t i = 0; i < QD_BLOCK; i++) w->run[i] = i;
}

/* What run[i] - i is before the first position at i. */
static inline uint32_t base_at(const word *w, uint32_t i)
{
    return i ? w->run[i - 1] - (i - 1) : 0;
}

/* Places of the candidate's positions, ascending, into out. */
static void places(word *w, uint32_t *out)
{
    uint64_t a = w->first;
    uint32_t left = w->freq, at = w->shift;
    while (left) {
        uint32_t i = (uint32_t)(a % QD_BLOCK), n = QD_BLOCK - i < left ? QD_BLOCK - i : left;
        if (a / QD_BLOCK != w->pos_blk) take_positions(w, a / QD_BLOCK);
        at -= base_at(w, i);
        for (uint32_t q = 0; q < n; q++) out[q] = at + w->run[i + q] - (i + q);
        at = out[n - 1];
        out += n;
        a += n;
        left -= n;
    }
}

/* Keeps the candidates that are in word i's bitmap, with their postings' numbers there. */
static uint32_t in_bitmap(phrase *x, uint32_t i, uint32_t n)
{
    const qd_postings *p = x->w[i]->c->p;
    uint32_t m = 0, *at = x->w[i]->at;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t d = x->cand[j];
        for (uint32_t a = 0; a < i; a++) x->w[a]->at[m] = x->w[a]->at[j];
        x->cand[m] = d;
        m += qd_postings_test(p, d);
    }
    uint32_t at64 = 0, before = 0; /* bits before the 64 of the candidate at hand */
    for (uint32_t j = 0; j < m; j++) {
        uint32_t d = x->cand[j], to = d >> 6;
        if (j == 0 || to - at64 > 8) {
            before = qd_postings_rank(p, d & ~63u);
        } else {
            for (; at64 < to; at64++) before += (uint32_t)__builtin_popcountll(p->bits[at64]);
        }
        at64 = to;
        uint64_t below = p->bits[to] & ((1ull << (d & 63)) - 1);
        uint32_t rank = before + (uint32_t)__builtin_popcountll(below);
        at[j] = rank < p->df ? rank : p->df - 1;
    }
    return m;
}

/* Candidates of the lead's block b: documents in every word, with their postings' numbers. */
static uint32_t candidates(phrase *x, uint32_t b, float thr)
{
    qdi_k *k = x->k;
    word *lead = x->w[0];
    qdi_cur_load(lead->c, b);
    uint32_t n = 0;
    if (thr > 0 && x->range && !k->r->live) {
        for (uint32_t j = 0; j < lead->c->n; j++) {
            uint32_t d = lead->c->docs[j];
            x->cand[n] = d;
            lead->at[n] = b * QD_BLOCK + j;
            n += x->range[d >> QD_RANGE_LOG] >= thr;
        }
    } else if (thr > 0 || k->r->live) {
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
            n = in_bitmap(x, i, n);
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

/* Keeps of the n starts those that are places of w, too; for documents longer than the table. */
static uint32_t merge_places(uint32_t *starts, uint32_t n, const uint32_t *at, uint32_t freq)
{
    uint32_t z = 0, kept = 0;
    for (uint32_t q = 0; q < n; q++) {
        while (z < freq && at[z] < starts[q]) z++;
        if (z == freq) break;
        starts[kept] = starts[q];
        kept += at[z] == starts[q];
    }
    return kept;
}

/* Within the table whatever a damaged block says. */
static inline uint32_t place_of(uint32_t at)
{
    return at < PLACES ? at : PLACES;
}

/* The same for any lists, by the table. */
static __attribute__((noinline)) uint32_t occurrences_far(phrase *x)
{
    uint32_t n = x->w[0]->freq, *starts = x->starts, found = 0, kept = n;
    uint8_t *met = x->met;
    places(x->w[0], starts);
    bool fits = starts[n - 1] < PLACES;
    for (uint32_t q = 0; fits && q < n; q++) met[place_of(starts[q])] = 1;
    for (uint32_t i = 1; i < x->n && kept; i++) {
        word *w = x->w[i];
        places(w, x->others);
        if (!fits) {
            kept = n = merge_places(starts, n, x->others, w->freq);
            continue;
        }
        kept = 0;
        for (uint32_t q = 0; q < w->freq; q++) {
            uint8_t *m = &met[place_of(x->others[q])];
            bool hit = *m == i;
            *m = (uint8_t)(*m + hit);
            kept += hit;
        }
    }
    if (!fits) return kept;
    for (uint32_t q = 0; kept && q < n; q++) found += met[place_of(starts[q])] == x->n;
    for (uint32_t q = 0; q < n; q++) met[place_of(starts[q])] = 0;
    return found;
}

/* The candidate's places as numbers that rise by one more each, less *off: in its block as decoded,
 * or, where they are in two, in room. */
static inline const uint32_t *rising(word *w, uint32_t *room, uint32_t *off)
{
    uint32_t i = (uint32_t)(w->first % QD_BLOCK);
    if (QD_UNLIKELY(i + w->freq > QD_BLOCK)) {
        places(w, room);
        for (uint32_t q = 0; q < w->freq; q++) room[q] += q;
        *off = 0;
        return room;
    }
    if (w->first / QD_BLOCK != w->pos_blk) take_positions(w, w->first / QD_BLOCK);
    *off = w->shift - i - base_at(w, i);
    return w->run + i;
}

/* Occurrences of the phrase in the candidate at hand: first words whose followers all follow. */
static uint32_t occurrences(phrase *x)
{
    word *lead = x->w[0];
    uint32_t off, too, n = lead->freq;
    if (n > MEET_MAX) return occurrences_far(x);
    uint64_t met = n == 64 ? UINT64_MAX : (1ull << n) - 1;
    const uint32_t *a = rising(lead, x->starts, &off);
    for (uint32_t i = 1; i < x->n && met; i++) {
        const uint32_t *b = rising(x->w[i], x->others, &too);
        uint64_t here = 0;
        for (uint32_t q = 0; q < n; q += 16) {
            uint32_t some = n - q < 16 ? n - q : 16; /* a[q] stands q higher than in its sixteen */
            here |= (uint64_t)x->k->k->meet(a + q, some, b, x->w[i]->freq, off - too - q) << q;
        }
        met &= here;
    }
    return (uint32_t)__builtin_popcountll(met);
}

/* Frequency of a sloppy phrase in the candidate at hand; some number above 0 where that is enough.
 */
static float sloppy_freq(phrase *x, bool any)
{
    const qdi_lnode *l = x->l;
    uint32_t slop = l->u.phrase.slop;
    for (uint32_t i = 0; i < x->n; i++) {
        qdi_positions *p = &x->pos[l->u.phrase.order[i]];
        places(x->w[i], p->at);
        p->n = x->w[i]->freq;
    }
    const qdi_positions *a = &x->pos[0], *b = &x->pos[1];
    if (x->kind == PHRASE_SLOPPY)
        return qdi_phrase_sloppy(l->u.phrase.sloppy, x->pos, l->u.phrase.offset, x->n, slop);
    if (any && a->n * b->n <= NEAR_MAX) {
        const qdi_positions *few = a->n < b->n ? a : b, *many = few == a ? b : a;
        return (float)x->k->k->near(few->at, few->n, many->at, many->n, slop);
    }
    return qdi_phrase_sloppy_pair(a->at, a->n, b->at, b->n, slop, any);
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
    double *acc = x->k->q ? x->k->acc : NULL; /* counting has no norms */
    int rc = qdi_fill_phrase(r, x->l, &w, cand, out, acc, NULL);
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

/* Candidate j, whose words may be next to each other. */
static int candidate(phrase *x, uint32_t j)
{
    qdi_k *k = x->k;
    const qdi_lnode *l = x->l;
    uint32_t d = x->cand[j], most = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        word *w = x->w[i];
        w->first = w->first_of[j];
        w->freq = w->freq_of[j];
        most = w->freq > most ? w->freq : most;
    }
    if (QD_UNLIKELY(most > POSITIONS_MAX)) {
        double s;
        bool match;
        int rc = large_doc(x, d, &s, &match);
        if (rc) return rc;
        k->count += match;
        if (match && k->q) qdi_k_push(k, s, d);
        return 0;
    }
    float f = x->kind == PHRASE_EXACT ? (float)occurrences(x) : sloppy_freq(x, !k->q);
    if (!(f > 0)) return 0;
    k->count++;
    if (!k->q) return 0;
    float ninv =
        l->u.phrase.ninv ? l->u.phrase.ninv[l->u.phrase.norms[d & l->u.phrase.norm_mask]] : 0;
    qdi_k_push(k, (double)qdi_score(l->u.phrase.w, f, ninv), d);
    return 0;
}

/* How often the phrase can be found in each of n candidates: a match of several words begins at
 * another position of some word each time. */
static const uint32_t *frequencies_at_most(phrase *x, uint32_t n)
{
    if (x->kind == PHRASE_EXACT) return x->least;
    for (uint32_t j = 0; j < n && x->kind == PHRASE_PAIR; j++)
        x->most[j] = qdi_pair_freq_max(x->least[j]);
    for (uint32_t j = 0; j < n && x->kind == PHRASE_SLOPPY; j++) {
        x->most[j] = 0;
        for (uint32_t i = 0; i < x->n; i++) x->most[j] += x->w[i]->freq_of[j];
    }
    return x->most;
}

static int block(phrase *x, uint32_t b)
{
    qdi_k *k = x->k;
    const qdi_lnode *l = x->l;
    float thr = threshold(k);
    uint32_t n = candidates(x, b, thr);
    bool bounded = thr > 0 && n && l->u.phrase.ninv;
    place_all(x, n);
    if (bounded) {
        for (uint32_t j = n; j < ((n + 15) & ~15u); j++) { /* the kernel works by sixteens */
            x->cand[j] = x->cand[n - 1];
            x->least[j] = 1;
            for (uint32_t i = 0; i < x->n; i++) x->w[i]->freq_of[j] = 1;
        }
        k->k->score(frequencies_at_most(x, (n + 15) & ~15u), x->cand, l->u.phrase.norm_mask,
                    l->u.phrase.norms, l->u.phrase.ninv, l->u.phrase.w, x->bound, 0, n);
    }
    for (uint32_t j = 0; j < n; j++) {
        if (bounded && x->bound[j] < threshold(k)) continue;
        if (QD_UNLIKELY(x->least[j] == 0)) continue; /* a damaged block */
        int rc = candidate(x, j);
        if (rc) return rc;
    }
    return 0;
}

/* Bounds of ranges by the words that have range classes, where the lead is one of them. */
static int range_bounds(phrase *x)
{
    qdi_k *k = x->k;
    uint32_t n = (k->r->ndocs >> QD_RANGE_LOG) + 1;
    if (!k->q || !qdi_k_dense(x->w[0]->c)) return 0;
    float *range = qdi_scratch_alloc(k->r->scratch, n * sizeof *range);
    if (!range) return QD_E_NOMEM;
    for (uint32_t i = 0; i < x->n; i++) {
        const qdi_cur *c = x->w[i]->c;
        if (!qdi_k_dense(c)) continue;
        for (uint32_t r = 0; r < (k->r->ndocs + (1u << QD_RANGE_LOG) - 1) >> QD_RANGE_LOG; r++) {
            float b = c->bound[c->p->range_cls[r] & 63];
            range[r] = i == 0 || b < range[r] ? b : range[r];
        }
    }
    x->range = range;
    return 0;
}

/* What kind it is, with room for its positions. */
static int phrase_kind_of(phrase *x)
{
    const qdi_lnode *l = x->l;
    bool pair = l->u.phrase.sloppy && x->n == 2 && !qdi_sloppy_repeats(l->u.phrase.sloppy);
    x->kind = !l->u.phrase.sloppy ? PHRASE_EXACT : pair ? PHRASE_PAIR : PHRASE_SLOPPY;
    for (uint32_t s = 0; x->kind != PHRASE_EXACT && s < x->n; s++) {
        uint32_t *at = qdi_scratch_alloc(x->k->r->scratch, (POSITIONS_MAX + 64) * sizeof *at);
        if (!at) return QD_E_NOMEM;
        x->pos[s] = (qdi_positions){.at = at, .cap = POSITIONS_MAX};
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
    x->others = qdi_scratch_alloc(k->r->scratch, (POSITIONS_MAX + 64) * sizeof *x->others);
    if (!x->starts || !x->others || phrase_kind_of(x)) return QD_E_NOMEM;
    x->met = k->r->scratch->bytes;
    uint32_t far = 0;
    for (uint32_t i = 0; i < x->n; i++)
        far = l->u.phrase.offset[i] > far ? l->u.phrase.offset[i] : far;
    for (uint32_t i = 0; i < x->n; i++) { /* the slots' order by cost is the order of words */
        uint32_t s = l->u.phrase.order[i];
        word *w = &words[i];
        w->c = l->u.phrase.curs[s];
        w->shift = x->kind == PHRASE_SLOPPY ? 0 : far - l->u.phrase.offset[s];
        w->sum_blk = QD_NO_DOC;
        w->pos_blk = UINT64_MAX;
        x->w[i] = w;
        qdi_k_rewind(w->c);
        if (k->q && x->kind == PHRASE_EXACT) qdi_cur_bounds(w->c);
        if (k->q && x->kind != PHRASE_EXACT) qdi_cur_bounds_sloppy(w->c, x->kind == PHRASE_PAIR);
    }
    x->range = NULL;
    if (range_bounds(x)) return QD_E_NOMEM;
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
