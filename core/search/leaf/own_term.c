/*
 * own_term.c: a term that another similarity than BM25 scores, by windows: postings of a block are
 * gathered and scored in one call. Kernels never see it, because it does not say that it is a
 * cursor.
 */
#include "search/leaf/own_int.h"

typedef struct own_term {
    qdi_cur *cur;
    const qdi_scorer *scorer;
} own_term;

static own_term *own_of(const qdi_lnode *l)
{
    return l->u.own;
}

int qdi_own_term_plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    own_term *o = qd_arena_calloc(r->arena, sizeof *o);
    if (!o) return qd_err_nomem(err, "search");
    l->type = &qdi_own_term;
    l->u.own = o;
    o->scorer = x->scorer;
    return qdi_leaf_cursor(r, x->u.term, true, false, x->scorer->max, NULL, &o->cur, err);
}

/* Greatest score of an impact class of these pairs. */
static float frontier(const own_term *o, uint32_t at, uint32_t end)
{
    const qd_postings *p = o->cur->p;
    float freq[QDI_SIM_BLOCK], score[QDI_SIM_BLOCK], most = 0;
    uint8_t norm[QDI_SIM_BLOCK];
    while (at < end) {
        uint32_t n = 0;
        for (; at < end && n < QDI_SIM_BLOCK; at++, n++) {
            uint16_t f = p->pair_freq[at];
            freq[n] = f == QD_FREQ_SATURATED ? QDI_SIM_FREQ_MAX : (float)f;
            norm[n] = o->cur->norm_mask ? p->pair_norm[at] : 1;
        }
        qdi_scorer_block(o->scorer, freq, norm, n, score);
        for (uint32_t i = 0; i < n; i++) most = score[i] > most ? score[i] : most;
    }
    return most * QDI_SIM_SLACK;
}

static void ready(qdi_lnode *l)
{
    const own_term *o = own_of(l);
    qdi_cur *c = o->cur;
    const qd_postings *p = c->p;
    c->bounds = true;
    c->max = o->scorer->max;
    if (!p->cls) return; /* no frontier: any document may have the greatest score */
    c->max = 0;
    for (uint32_t k = 0, at = 0, end; k < p->nlevels; k++, at = end) {
        end = at + (p->level_pairs[k] ? p->level_pairs[k] : 256);
        if (end > p->npairs) end = p->npairs;
        float most = frontier(o, at, end);
        c->bound[p->level_cls[k] & 63] = most;
        c->max = most > c->max ? most : c->max;
    }
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r;
    return qdi_cur_next(own_of(l)->cur, from);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r;
    return qdi_cur_bound(own_of(l)->cur, from, to);
}

void qdi_own_flush(qdi_own_batch *b, const qdi_win *w, double *acc)
{
    float score[QDI_SIM_BLOCK];
    qdi_scorer_block(b->scorer, b->freq, b->norm, b->n, score);
    for (uint32_t i = 0; i < b->n; i++) acc[b->doc[i] - w->from] += (double)score[i];
    b->n = 0;
}

/* Candidates one by one. */
static void fill_lookup(qdi_run *r, const own_term *o, const qdi_win *w, const uint64_t *cand,
                        uint64_t *out, double *acc)
{
    qdi_cur *c = o->cur;
    qdi_own_batch b = {.scorer = o->scorer, .norms = c->norms, .norm_mask = c->norm_mask};
    for (uint32_t i = 0; i < w->words; i++) {
        uint64_t keep = 0;
        for (uint64_t x = cand[i]; x; x &= x - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(x), d = w->from + i * 64 + bit;
            uint32_t j = qdi_cur_find(c, r->k, d);
            if (j == QD_NO_DOC) continue;
            keep |= 1ull << bit;
            qdi_own_add(&b, d, (float)qd_postings_freq(c->p, j), w, acc);
        }
        out[i] = keep;
    }
    qdi_own_flush(&b, w, acc);
}

/* The candidates among the postings of the block at hand. */
static void fill_block(const own_term *o, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                       double *acc)
{
    qdi_cur *c = o->cur;
    qdi_own_batch b = {.scorer = o->scorer, .norms = c->norms, .norm_mask = c->norm_mask};
    qdi_cur_freqs(c);
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t d = c->docs[i], at = d - w->from;
        if (d < w->from || d >= w->to || !(cand[at >> 6] >> (at & 63) & 1)) continue;
        out[at >> 6] |= 1ull << (at & 63);
        qdi_own_add(&b, d, (float)c->freq[i], w, acc);
    }
    qdi_own_flush(&b, w, acc);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)err;
    const own_term *o = own_of(l);
    qdi_cur *c = o->cur;
    const qd_postings *p = c->p;
    if (!acc) {
        qdi_fill_term(r, c, w, cand, out, NULL);
        return 0;
    }
    if (qdi_popcount(cand, w->words) < QDI_OWN_LOOKUPS_MAX) {
        fill_lookup(r, o, w, cand, out, acc);
        return 0;
    }
    memset(out, 0, w->words * sizeof *out);
    uint32_t start =
        c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < w->from) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, start, w->from);
    c->hint = b < p->nblk ? b : 0;
    for (; b < p->nblk && !(b && p->last[b - 1] + 1 >= w->to); b++) {
        qdi_cur_load(c, b);
        fill_block(o, w, cand, out, acc);
    }
    return 0;
}

const qd_node_type qdi_own_term = {
    .name = "term", .ready = ready, .next = next, .bound = bound, .fill = fill};
