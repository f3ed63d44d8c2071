/* cur.c: cursors over postings: bounds, look-ups. */
#include "search/leaf/window_int.h"

static void bounds_of_anything(qdi_cur *c)
{
    for (uint32_t i = 1; i < QD_CLASSES; i++) c->bound[i] = c->w;
    c->max = c->w;
}

/* Greatest score of each impact class, by the scoring function itself over its frontier. */
static void bounds_of(qdi_cur *c, bool pair)
{
    const qd_postings *p = c->p;
    uint32_t at = 0;
    for (uint32_t l = 0; l < p->nlevels; l++) {
        uint32_t n = p->level_pairs[l] ? p->level_pairs[l] : 256, end = at + n;
        if (end > p->npairs) end = p->npairs;
        float m = 0;
        for (; at < end; at++) {
            uint32_t f = pair ? qdi_pair_freq_max(p->pair_freq[at]) : p->pair_freq[at];
            float s = p->pair_freq[at] == QD_FREQ_SATURATED
                          ? c->w
                          : qdi_score(c->w, (float)f, c->ninv[c->norm_mask ? p->pair_norm[at] : 1]);
            m = s > m ? s : m;
        }
        c->bound[p->level_cls[l] & 63] = m;
        c->max = m > c->max ? m : c->max;
    }
}

static bool bounds_begin(qdi_cur *c)
{
    if (c->bounds) return false;
    c->bounds = true;
    memset(c->bound, 0, sizeof c->bound);
    c->max = 0;
    return true;
}

void qdi_cur_bounds(qdi_cur *c)
{
    if (!bounds_begin(c)) return;
    if (c->p->cls)
        bounds_of(c, false);
    else /* no frontier: freq may be anything */
        bounds_of_anything(c);
}

void qdi_cur_bounds_sloppy(qdi_cur *c, bool pair)
{
    if (!bounds_begin(c)) return;
    if (c->p->cls && pair)
        bounds_of(c, true);
    else
        bounds_of_anything(c);
}

uint32_t qdi_cur_find(qdi_cur *c, const qd_kern *k, uint32_t d)
{
    qd_postings *p = c->p;
    if (p->bits) return qd_postings_test(p, d) ? qd_postings_rank(p, d) : QD_NO_DOC;
    uint32_t from = c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < d) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, from, d);
    if (b >= p->nblk) return QD_NO_DOC;
    c->hint = b;
    qdi_cur_load(c, b);
    uint32_t i = k->rank(c->docs, c->n, d);
    return i < c->n && c->docs[i] == d ? b * QD_BLOCK + i : QD_NO_DOC;
}
