/*
 * window.c: nodes over windows: lower bounds of the next match, upper bounds of scores, and fills
 * of everything that is not a term, phrase or plugin.
 */
#include "search/leaf/range_int.h"
#include <math.h>

static uint32_t next_cur(const qdi_cur *c, uint32_t from)
{
    const qd_postings *p = c->p;
    uint32_t start =
        c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < from) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, start, from);
    if (b >= p->nblk) return QD_NO_DOC;
    uint32_t first = b ? p->last[b - 1] + 1 : 0;
    return first > from ? first : from;
}

static uint32_t next_bits(const uint64_t *bits, uint32_t ndocs, uint32_t from)
{
    uint32_t words = (ndocs + 63) / 64, i = from >> 6;
    if (i >= words) return QD_NO_DOC;
    uint64_t x = bits[i] & ~0ull << (from & 63);
    while (!x) {
        if (++i >= words) return QD_NO_DOC;
        x = bits[i];
    }
    return i * 64 + (uint32_t)__builtin_ctzll(x);
}

static uint32_t next_least(qdi_run *r, qdi_lnode *const *list, uint32_t n, uint32_t from)
{
    uint32_t least = QD_NO_DOC;
    for (uint32_t i = 0; i < n && least > from; i++) {
        uint32_t d = qdi_next(r, list[i], from);
        least = d < least ? d : least;
    }
    return least;
}

uint32_t qdi_next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    if (from >= r->ndocs) return QD_NO_DOC;
    switch (l->kind) {
    case QDI_L_NONE:
        return QD_NO_DOC;
    case QDI_L_TERM:
        return next_cur(l->u.cur, from);
    case QDI_L_SYNONYM: {
        uint32_t least = QD_NO_DOC;
        for (uint32_t i = 0; i < l->u.synonym.n; i++) {
            uint32_t d = next_cur(l->u.synonym.curs[i], from);
            least = d < least ? d : least;
        }
        return least;
    }
    case QDI_L_PHRASE:
        for (uint32_t s = 0; s < l->u.phrase.n; s++) {
            uint32_t least = QD_NO_DOC;
            for (uint32_t i = l->u.phrase.first[s]; i < l->u.phrase.first[s + 1]; i++) {
                uint32_t d = next_cur(l->u.phrase.curs[i], from);
                least = d < least ? d : least;
            }
            from = least > from ? least : from;
            if (from == QD_NO_DOC) return from;
        }
        return from;
    case QDI_L_BITS:
        return next_bits(l->u.bits, r->ndocs, from);
    case QDI_L_RANGE:
        return qdi_range_next(r, l->u.range, from);
    case QDI_L_BOOL:
        if (l->u.b.nreq == 0) return next_least(r, l->u.b.should, l->u.b.nshould, from);
        for (uint32_t i = 0; i < l->u.b.nreq && from != QD_NO_DOC; i++) {
            uint32_t d = qdi_next(r, l->u.b.req[i], from);
            from = d > from ? d : from;
        }
        return from;
    case QDI_L_DIS_MAX:
        return next_least(r, l->u.dis_max.kids, l->u.dis_max.n, from);
    case QDI_L_CONST:
        return qdi_next(r, l->u.child, from);
    case QDI_L_ALL:
    case QDI_L_CUSTOM:
        return from;
    }
    return from;
}

static float bound_cur(qdi_cur *c, uint32_t from, uint32_t to)
{
    qd_postings *p = c->p;
    qdi_cur_bounds(c);
    uint32_t start =
        c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < from) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, start, from);
    if (b >= p->nblk || (b && p->last[b - 1] + 1 >= to)) return 0;
    if (!p->cls) return c->max;
    float m = 0;
    for (; b < p->nblk && !(b && p->last[b - 1] + 1 >= to); b++) {
        float x = c->bound[p->cls[b] & 63];
        m = x > m ? x : m;
    }
    return m;
}

/* Rounds a sum of bounds up, past what rounding to float could add. */
static float round_up(double x)
{
    return nextafterf((float)x, INFINITY);
}

float qdi_bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    if (!l->scores) return 0;
    switch (l->kind) {
    case QDI_L_NONE:
        return 0;
    case QDI_L_ALL:
    case QDI_L_BITS:
    case QDI_L_RANGE:
    case QDI_L_CONST:
        return l->boost;
    case QDI_L_TERM:
        return bound_cur(l->u.cur, from, to);
    case QDI_L_SYNONYM:
        return l->u.synonym.w;
    case QDI_L_PHRASE:
        return l->u.phrase.w;
    case QDI_L_BOOL: {
        double s = 0;
        for (uint32_t i = 0; i < l->u.b.nreq; i++) s += qdi_bound(r, l->u.b.req[i], from, to);
        for (uint32_t i = 0; i < l->u.b.nshould; i++) s += qdi_bound(r, l->u.b.should[i], from, to);
        return s > 0 ? round_up(s) : 0; /* filters alone score 0 */
    }
    case QDI_L_DIS_MAX: {
        double s = 0, m = 0;
        for (uint32_t i = 0; i < l->u.dis_max.n; i++) {
            double x = qdi_bound(r, l->u.dis_max.kids[i], from, to);
            s += x;
            m = x > m ? x : m;
        }
        return round_up(m + (s - m) * l->u.dis_max.tie);
    }
    case QDI_L_CUSTOM:
        return qdi_custom_bound(l->u.custom, from, to) * l->boost;
    }
    return INFINITY;
}

bool qdi_bound_is_flat(const qdi_lnode *l)
{
    if (l->kind == QDI_L_ALL || l->kind == QDI_L_BITS || l->kind == QDI_L_RANGE ||
        l->kind == QDI_L_CONST)
        return true;
    if (l->kind != QDI_L_BOOL) return false;
    bool flat = true;
    for (uint32_t i = 0; i < l->u.b.nreq; i++) flat &= !l->u.b.req[i]->scores;
    for (uint32_t i = 0; i < l->u.b.nshould; i++) flat &= !l->u.b.should[i]->scores;
    return flat;
}

/* Adds a constant for the documents of out. */
static void add_const(const qdi_win *w, const uint64_t *out, double *acc, float value)
{
    if (value == 0) return;
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1)
            acc[i * 64 + (uint32_t)__builtin_ctzll(x)] += (double)value;
}

/* Clears a window of accumulators where bits are set. */
static void clear_acc(double *acc, const uint64_t *bits, uint32_t words)
{
    if (qdi_popcount(bits, words) > 512) {
        memset(acc, 0, (size_t)words * 64 * sizeof *acc);
        return;
    }
    for (uint32_t i = 0; i < words; i++)
        for (uint64_t x = bits[i]; x; x &= x - 1) acc[i * 64 + (uint32_t)__builtin_ctzll(x)] = 0;
}

/* Optional clauses: at least min_should of them must match; narrows c. */
static int fill_should(qdi_run *r, qdi_lnode *l, const qdi_win *w, uint64_t *c, uint64_t *touched,
                       double *acc, qd_err *err)
{
    uint64_t o[QDI_WINDOW_WORDS], any[QDI_WINDOW_WORDS];
    uint32_t min = l->u.b.min_should;
    memset(any, 0, sizeof any);
    for (uint32_t s = 0; s < l->u.b.nshould; s++) {
        int rc = qdi_fill(r, l->u.b.should[s], w, c, o, acc, err);
        if (rc) return rc;
        for (uint32_t i = 0; i < w->words; i++) {
            any[i] |= o[i];
            touched[i] |= o[i];
            for (uint64_t x = min > 1 ? o[i] : 0; x; x &= x - 1)
                l->u.b.count[i * 64 + (uint32_t)__builtin_ctzll(x)]++;
        }
    }
    if (min == 0) return 0;
    for (uint32_t i = 0; i < w->words; i++) {
        uint64_t keep = min == 1 ? any[i] : 0;
        for (uint64_t x = min > 1 ? any[i] : 0; x; x &= x - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(x);
            if (l->u.b.count[i * 64 + bit] >= min) keep |= 1ull << bit;
            l->u.b.count[i * 64 + bit] = 0;
        }
        c[i] &= keep;
    }
    return 0;
}

static int fill_bool(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand,
                     uint64_t *out, double *acc, qd_err *err)
{
    uint64_t c[QDI_WINDOW_WORDS], o[QDI_WINDOW_WORDS], touched[QDI_WINDOW_WORDS];
    double *own = acc ? l->u.b.acc : NULL;
    int rc = 0;
    memcpy(c, cand, w->words * sizeof *c);
    memset(touched, 0, sizeof touched);
    bool some = true;
    for (uint32_t q = 0; q < l->u.b.nreq && some && !rc; q++) {
        qdi_lnode *child = l->u.b.req[q];
        rc = qdi_fill(r, child, w, c, o, child->scores ? own : NULL, err);
        if (rc) break;
        if (child->scores)
            for (uint32_t i = 0; i < w->words; i++) touched[i] |= o[i];
        memcpy(c, o, w->words * sizeof *c);
        some = qdi_any(c, w->words);
    }
    for (uint32_t q = 0; q < l->u.b.nnot && some && !rc; q++) {
        rc = qdi_fill(r, l->u.b.not [q], w, c, o, NULL, err);
        for (uint32_t i = 0; i < w->words; i++) c[i] &= ~o[i];
        some = qdi_any(c, w->words);
    }
    if (some && l->u.b.nshould && !rc) rc = fill_should(r, l, w, c, touched, own, err);
    memcpy(out, c, w->words * sizeof *c);
    if (!some) memset(out, 0, w->words * sizeof *out);
    if (!own) return rc;
    for (uint32_t i = 0; i < w->words && !rc; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
            acc[at] += (double)(float)own[at];
        }
    clear_acc(own, touched, w->words);
    return rc;
}

/* Lucene's DisjunctionMaxScorer: max + tie * sum of the others, the sum in double. */
static int fill_dis_max(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand,
                        uint64_t *out, double *acc, qd_err *err)
{
    uint64_t o[QDI_WINDOW_WORDS];
    double *own = l->u.dis_max.acc, *others = l->u.dis_max.others;
    float *max = l->u.dis_max.max;
    int rc = 0;
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t k = 0; k < l->u.dis_max.n && !rc; k++) {
        rc = qdi_fill(r, l->u.dis_max.kids[k], w, cand, o, acc ? own : NULL, err);
        if (rc) break;
        for (uint32_t i = 0; i < w->words; i++) {
            out[i] |= o[i];
            for (uint64_t x = acc ? o[i] : 0; x; x &= x - 1) {
                uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
                float s = (float)own[at];
                own[at] = 0;
                if (s >= max[at]) {
                    others[at] += (double)max[at];
                    max[at] = s;
                } else {
                    others[at] += (double)s;
                }
            }
        }
    }
    for (uint32_t i = 0; acc && i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
            acc[at] += (double)(float)((double)max[at] + others[at] * (double)l->u.dis_max.tie);
            max[at] = 0;
            others[at] = 0;
        }
    return rc;
}

int qdi_fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
             double *acc, qd_err *err)
{
    int rc = 0;
    if (!l->scores) acc = NULL;
    switch (l->kind) {
    case QDI_L_NONE:
        memset(out, 0, w->words * sizeof *out);
        return 0;
    case QDI_L_ALL:
        memcpy(out, cand, w->words * sizeof *out);
        break;
    case QDI_L_BITS: {
        const uint64_t *bits = l->u.bits + (w->from >> 6);
        for (uint32_t i = 0; i < w->words; i++) out[i] = cand[i] & bits[i];
        break;
    }
    case QDI_L_RANGE:
        rc = qdi_fill_range(l->u.range, w, cand, out, err);
        break;
    case QDI_L_CONST:
        rc = qdi_fill(r, l->u.child, w, cand, out, NULL, err);
        break;
    case QDI_L_TERM:
        qdi_fill_term(r, l->u.cur, w, cand, out, acc);
        return 0;
    case QDI_L_SYNONYM:
        qdi_fill_synonym(r, l, w, cand, out, acc);
        return 0;
    case QDI_L_PHRASE:
        return qdi_fill_phrase(r, l, w, cand, out, acc, err);
    case QDI_L_BOOL:
        return fill_bool(r, l, w, cand, out, acc, err);
    case QDI_L_DIS_MAX:
        return fill_dis_max(r, l, w, cand, out, acc, err);
    case QDI_L_CUSTOM:
        return qdi_fill_custom(r, l, w, cand, out, acc, err);
    }
    if (acc && !rc) add_const(w, out, acc, l->boost);
    return rc;
}
