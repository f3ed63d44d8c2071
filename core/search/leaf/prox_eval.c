/*
 * prox_eval.c: the places of spans and intervals in one document. Every kind reads the places of
 * its children as sequences and writes its own, step by step as Lucene's NearSpansOrdered,
 * NearSpansUnordered, SpanNotQuery, OrderedIntervalsSource and their kin do, because which matches
 * they happen to find is part of a score. Minimal intervals: Clarke, Cormack and Burkowski 1995,
 * Vigna 2006.
 */
#include "search/leaf/prox_int.h"
#include <stdlib.h>

#define NO_MORE INT32_MAX
#define PLACES_MAX (1u << 27) /* of one part in one document */

/* --- places ------------------------------------------------------------------------------------
 */

static int grow(qdi_run *r, qdi_prox *x, uint64_t n, qd_err *err)
{
    if (n <= x->cap) return 0;
    if (n > PLACES_MAX) return qd_err_set(err, QD_E_LIMIT, "a document has too many places");
    uint64_t cap = 2 * n + 16;
    qdi_place *at = qd_realloc(r->plan->account, x->at, cap * sizeof *at);
    if (!at) return qd_err_nomem(err, "places of a proximity query");
    x->at = at;
    x->cap = (uint32_t)cap;
    return 0;
}

static int put(qdi_run *r, qdi_prox *x, int32_t start, int32_t end, int32_t width, qd_err *err)
{
    int rc = x->len == x->cap ? grow(r, x, (uint64_t)x->len + 1, err) : 0;
    if (!rc) x->at[x->len++] = (qdi_place){start, end, width};
    return rc;
}

/* The place that child k is at. */
static qdi_place here(const qdi_prox *x, uint32_t k)
{
    const qdi_prox *s = x->sub[k];
    if (x->step[k] < 0) return (qdi_place){-1, -1, 0};
    if (x->step[k] >= s->len) return (qdi_place){NO_MORE, NO_MORE, 0};
    return s->at[x->step[k]];
}
static int32_t start_of(const qdi_prox *x, uint32_t k)
{
    return here(x, k).start;
}
static int32_t end_of(const qdi_prox *x, uint32_t k)
{
    return here(x, k).end;
}
/* The next place of child k; false: it has no more. */
static bool step(qdi_prox *x, uint32_t k)
{
    if (x->step[k] < (int64_t)x->sub[k]->len) x->step[k]++;
    return x->step[k] < (int64_t)x->sub[k]->len;
}

static int by_start(const void *a, const void *b)
{
    const qdi_place *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* --- words -------------------------------------------------------------------------------------
 */

static int words(qdi_run *r, qdi_prox *x, uint32_t d, qd_err *err)
{
    uint32_t lists = 0, some[64];
    for (uint32_t i = 0; i < x->ncurs; i++) {
        qdi_cur *c = x->curs[i];
        uint32_t j = qdi_cur_find(c, r->k, d), f, n;
        if (j == QD_NO_DOC) continue;
        uint64_t first = qd_postings_position_first(c->p, j, &f);
        int rc = grow(r, x, (uint64_t)x->len + f, err);
        if (rc) return rc;
        for (uint32_t got = 0, last = 0; got < f; got += n) { /* deltas go on where a piece ends */
            n = qd_postings_positions(c->p, first + got, f - got < 64 ? f - got : 64, some);
            if (!n) return 0; /* damaged; told when the leaf ends */
            for (uint32_t k = 0; k < n; k++) {
                int32_t at = (int32_t)(some[k] + last);
                x->at[x->len++] = (qdi_place){at, x->intervals ? at : at + 1, 0};
            }
            last = (uint32_t)x->at[x->len - 1].start;
        }
        lists++;
    }
    if (lists > 1) qsort(x->at, x->len, sizeof *x->at, by_start);
    if (lists < 2 || !x->intervals) return 0;
    uint32_t m = 0;
    for (uint32_t i = 0; i < x->len; i++)
        if (!m || x->at[m - 1].start != x->at[i].start) x->at[m++] = x->at[i];
    x->len = m;
    return 0;
}

/* --- heaps of children -------------------------------------------------------------------------
 */

typedef bool (*before_fn)(qdi_place a, qdi_place b);

static bool spans_before(qdi_place a, qdi_place b)
{
    return a.start != b.start ? a.start < b.start : a.end < b.end;
}
/* The one that ends first, of these the shortest. */
static bool ends_before(qdi_place a, qdi_place b)
{
    return a.end != b.end ? a.end < b.end : a.start > b.start;
}
/* The one that begins first, of these the longest. */
static bool begins_before(qdi_place a, qdi_place b)
{
    return a.start != b.start ? a.start < b.start : a.end > b.end;
}

static void sift(qdi_prox *x, uint32_t n, uint32_t i, before_fn before)
{
    uint32_t moved = x->heap[i];
    for (uint32_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && before(here(x, x->heap[c + 1]), here(x, x->heap[c]))) c++;
        if (!before(here(x, x->heap[c]), here(x, moved))) break;
        x->heap[i] = x->heap[c];
    }
    x->heap[i] = moved;
}

static void push(qdi_prox *x, uint32_t n, uint32_t k, before_fn before)
{
    uint32_t i = n;
    for (; i && before(here(x, k), here(x, x->heap[(i - 1) / 2])); i = (i - 1) / 2)
        x->heap[i] = x->heap[(i - 1) / 2];
    x->heap[i] = k;
}

/* All children that have a place, at their first one; returns how many. Which of two equal ones
 * comes first shows in what is found: so they go in, up and down as in Lucene's heaps. */
static uint32_t heap_all(qdi_prox *x, before_fn before)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < x->n; k++)
        if (step(x, k)) push(x, n++, k, before);
    return n;
}

/* The least child goes on; returns how many are left. Intervals leave the heap and come back. */
static uint32_t heap_step(qdi_prox *x, uint32_t n, before_fn before)
{
    uint32_t k = x->heap[0];
    bool more = step(x, k);
    if (more && !x->intervals) {
        sift(x, n, 0, before);
        return n;
    }
    x->heap[0] = x->heap[--n];
    if (n) sift(x, n, 0, before);
    if (more) push(x, n++, k, before);
    return n;
}

/* --- spans -------------------------------------------------------------------------------------
 */

static int spans_or(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    for (uint32_t n = heap_all(x, spans_before); n && !rc; n = heap_step(x, n, spans_before)) {
        qdi_place p = here(x, x->heap[0]);
        rc = put(r, x, p.start, p.end, p.width, err);
    }
    return rc;
}

/* Child k at or behind a position; a gap stands where it is put. */
static qdi_place stretch_to(qdi_prox *x, uint32_t k, int32_t position)
{
    if (x->sub[k]->kind == QD_PROX_GAP)
        return (qdi_place){position, position + x->sub[k]->a, x->sub[k]->a};
    while (start_of(x, k) < position)
        if (!step(x, k)) break;
    return here(x, k);
}

static int near(qdi_run *r, qdi_prox *x, qd_err *err)
{
    bool gap = x->sub[0]->kind == QD_PROX_GAP, all_gaps = true;
    int rc = 0;
    for (uint32_t k = 0; k < x->n; k++) all_gaps = all_gaps && x->sub[k]->kind == QD_PROX_GAP;
    if (all_gaps) return 0;
    for (int32_t at = 0; !rc; at++) {
        if (!gap && !step(x, 0)) return 0;
        qdi_place first = gap ? stretch_to(x, 0, at) : here(x, 0), before = first;
        int64_t width = 0;
        for (uint32_t k = 1; k < x->n; k++) {
            qdi_place p = stretch_to(x, k, before.end);
            if (p.start == NO_MORE) return 0;
            width += p.start - before.end;
            before = p;
        }
        if (width <= x->a) rc = put(r, x, first.start, before.end, (int32_t)width, err);
        /* a gap in front finds its next match where the next child comes close enough */
        if (gap && width > x->a) at += (int32_t)(width - x->a) - 1;
    }
    return rc;
}

static int any_order(qdi_run *r, qdi_prox *x, qd_err *err)
{
    uint32_t n = heap_all(x, spans_before);
    int32_t most = -1;
    int64_t length = 0;
    int rc = 0;
    if (n < x->n) return 0;
    for (uint32_t k = 0; k < x->n; k++) {
        qdi_place p = here(x, k);
        if (p.end > most) most = p.end;
        length += p.end - p.start;
    }
    while (!rc) {
        qdi_place top = here(x, x->heap[0]);
        if (most - top.start - length <= x->a)
            rc = put(r, x, top.start, most, most - top.start, err);
        length -= top.end - top.start;
        uint32_t k = x->heap[0];
        if (heap_step(x, n, spans_before) < n) return rc;
        qdi_place p = here(x, k);
        length += p.end - p.start;
        if (p.end > most) most = p.end;
    }
    return rc;
}

static int not_near(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    bool more = step(x, 1);
    for (uint32_t i = 0; i < x->sub[0]->len && !rc; i++) {
        qdi_place p = x->sub[0]->at[i];
        while (more && (int64_t)end_of(x, 1) <= (int64_t)p.start - x->a) more = step(x, 1);
        if (!more || (int64_t)start_of(x, 1) - x->b >= p.end)
            rc = put(r, x, p.start, p.end, p.width, err);
    }
    return rc;
}

static int first(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->sub[0]->len && !rc; i++) {
        qdi_place p = x->sub[0]->at[i];
        if (p.start >= x->a) break;
        if (p.end <= x->a) rc = put(r, x, p.start, p.end, p.width, err);
    }
    return rc;
}

static int containing(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    while (!rc && step(x, 0)) {
        qdi_place big = here(x, 0);
        while (start_of(x, 1) < big.start)
            if (!step(x, 1)) return 0;
        if (big.end >= end_of(x, 1)) rc = put(r, x, big.start, big.end, big.width, err);
    }
    return rc;
}

static int within(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    while (!rc && step(x, 1)) {
        qdi_place little = here(x, 1);
        while (end_of(x, 0) < little.end)
            if (!step(x, 0)) return 0;
        if (start_of(x, 0) <= little.start)
            rc = put(r, x, little.start, little.end, little.width, err);
    }
    return rc;
}

/* --- intervals ---------------------------------------------------------------------------------
 */

static int32_t length_of(qdi_place p)
{
    return p.end - p.start + 1;
}

static int minimal_or(qdi_run *r, qdi_prox *x, qd_err *err)
{
    uint32_t n = heap_all(x, ends_before);
    int rc = 0;
    while (n && !rc) {
        qdi_place p = here(x, x->heap[0]);
        rc = put(r, x, p.start, p.end, p.width, err);
        while (n) {
            qdi_place t = here(x, x->heap[0]);
            bool held =
                p.start >= t.start && p.start <= t.end && p.end >= t.start && p.end <= t.end;
            if (!held) break;
            n = heap_step(x, n, ends_before);
        }
    }
    return rc;
}

static int phrase(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    while (!rc && step(x, 0)) {
        uint32_t i = 1;
        while (i < x->n) {
            while (start_of(x, i) <= end_of(x, i - 1))
                if (!step(x, i)) return 0;
            if (start_of(x, i) == end_of(x, i - 1) + 1) {
                i++;
            } else {
                if (!step(x, 0)) return 0;
                i = 1;
            }
        }
        rc = put(r, x, start_of(x, 0), end_of(x, x->n - 1), 0, err);
    }
    return rc;
}

/* Positions of the interval from the first to the last child that belong to no child. */
static int32_t gaps_of(const qdi_prox *x, int32_t start, int32_t end)
{
    int64_t gaps = (int64_t)end - start + 1;
    for (uint32_t k = 0; k < x->n; k++) {
        qdi_place p = here(x, k);
        gaps -= length_of(p) - (x->sub[k]->kind == QD_PROX_REPEAT ? p.width : 0);
    }
    return (int32_t)gaps;
}

/* Every stretch of a places. */
static int repeat(qdi_run *r, qdi_prox *x, qd_err *err)
{
    const qdi_prox *s = x->sub[0];
    int rc = 0;
    for (uint32_t i = 0; i + (uint32_t)x->a <= s->len && !rc; i++) {
        int32_t start = s->at[i].start, end = s->at[i + (uint32_t)x->a - 1].end;
        int64_t gaps = (int64_t)end - start + 1;
        for (uint32_t k = 0; k < (uint32_t)x->a; k++) gaps -= length_of(s->at[i + k]);
        rc = put(r, x, start, end, (int32_t)gaps, err);
    }
    return rc;
}

/* One interval of ordered children, the shortest from where they stand; *i: the child to look at
 * next. false: there is none. */
static bool next_ordered(qdi_prox *x, uint32_t *i, qdi_place *out)
{
    int32_t least = NO_MORE; /* where the last child begins in what was found */
    bool found = false;
    for (;;) {
        for (;;) {
            if (end_of(x, *i - 1) >= least) return found;
            if (*i < x->n && start_of(x, *i) == NO_MORE) return found;
            if (*i == x->n || start_of(x, *i) > end_of(x, *i - 1)) break;
            do {
                if (end_of(x, *i) >= least || !step(x, *i)) return found;
            } while (start_of(x, *i) <= end_of(x, *i - 1));
            (*i)++;
        }
        found = true;
        *out = (qdi_place){start_of(x, 0), end_of(x, x->n - 1), 0};
        out->width = gaps_of(x, out->start, out->end);
        least = start_of(x, x->n - 1);
        *i = 1;
        if (!step(x, 0)) return true;
    }
}

static int ordered(qdi_run *r, qdi_prox *x, qd_err *err)
{
    uint32_t i = 1;
    qdi_place p;
    int rc = 0;
    if (!step(x, 0)) return 0;
    while (!rc && start_of(x, 0) != NO_MORE && next_ordered(x, &i, &p))
        rc = put(r, x, p.start, p.end, p.width, err);
    return rc;
}

static int unordered(qdi_run *r, qdi_prox *x, qd_err *err)
{
    uint32_t n = heap_all(x, begins_before);
    int32_t start = -1, end, right = -1;
    int rc = 0;
    for (uint32_t k = 0; k < n; k++)
        if (end_of(x, x->heap[k]) > right) right = end_of(x, x->heap[k]);
    while (!rc) {
        int32_t gaps = 0;
        while (n == x->n && start_of(x, x->heap[0]) == start) {
            uint32_t k = x->heap[0];
            n = heap_step(x, n, begins_before);
            if (n == x->n && end_of(x, k) > right) right = end_of(x, k);
        }
        if (n < x->n) return rc;
        do {
            uint32_t k = x->heap[0];
            start = start_of(x, k);
            end = right;
            gaps = gaps_of(x, start, end);
            if (end_of(x, k) == right) break;
            n = heap_step(x, n, begins_before);
            if (n == x->n && end_of(x, k) > right) right = end_of(x, k);
        } while (n == x->n && end == right);
        rc = put(r, x, start, end, gaps, err);
    }
    return rc;
}

static int one_by_one(qdi_run *r, qdi_prox *x, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->sub[0]->len && !rc; i++) {
        qdi_place p = x->sub[0]->at[i];
        if (x->kind == QD_PROX_EXTEND) {
            p.start = p.start > x->a ? p.start - x->a : 0;
            p.end = p.end < NO_MORE - 1 - x->b ? p.end + x->b : NO_MORE - 1;
        } else if (p.width > x->a) {
            continue;
        }
        rc = put(r, x, p.start, p.end, p.width, err);
    }
    return rc;
}

/* Is the relation of p to the second child there? Places ascend, and so does where that is. */
static bool relates(qdi_prox *x, qd_prox_kind kind, qdi_place p)
{
    const qdi_prox *o = x->sub[1];
    int64_t *j = &x->step[1];
    if (*j < 0) *j = 0;
    switch (kind) {
    case QD_PROX_HOLDS:
        while (*j < o->len && o->at[*j].start < p.start) ++*j;
        return *j < o->len && o->at[*j].end <= p.end;
    case QD_PROX_INSIDE:
        while (*j < o->len && o->at[*j].end < p.end) ++*j;
        return *j < o->len && o->at[*j].start <= p.start;
    case QD_PROX_OVERLAPS:
        while (*j < o->len && o->at[*j].end < p.start) ++*j;
        return *j < o->len && o->at[*j].start <= p.end;
    case QD_PROX_BEFORE:
        return o->len && p.end < o->at[o->len - 1].start;
    default:
        return o->len && p.start > o->at[0].end;
    }
}

static int related(qdi_run *r, qdi_prox *x, qd_err *err)
{
    bool not = x->kind >= QD_PROX_NOT_HOLDS;
    qd_prox_kind kind = not ? x->kind - QD_PROX_NOT_HOLDS + QD_PROX_HOLDS : x->kind;
    int rc = 0;
    for (uint32_t i = 0; i < x->sub[0]->len && !rc; i++) {
        qdi_place p = x->sub[0]->at[i];
        if (relates(x, kind, p) != not ) rc = put(r, x, p.start, p.end, p.width, err);
    }
    return rc;
}

/* --- all ---------------------------------------------------------------------------------------
 */

static int places(qdi_run *r, qdi_prox *x, uint32_t d, qd_err *err)
{
    switch (x->kind) {
    case QD_PROX_NONE:
    case QD_PROX_GAP:
        return 0;
    case QD_PROX_TERM:
    case QD_PROX_MULTI:
        return words(r, x, d, err);
    case QD_PROX_OR:
        return x->intervals ? minimal_or(r, x, err) : spans_or(r, x, err);
    case QD_PROX_NEAR:
        return near(r, x, err);
    case QD_PROX_ANY_ORDER:
        return any_order(r, x, err);
    case QD_PROX_NOT:
        return not_near(r, x, err);
    case QD_PROX_FIRST:
        return first(r, x, err);
    case QD_PROX_CONTAINING:
        return containing(r, x, err);
    case QD_PROX_WITHIN:
        return within(r, x, err);
    case QD_PROX_PHRASE:
        return phrase(r, x, err);
    case QD_PROX_ORDERED:
        return ordered(r, x, err);
    case QD_PROX_UNORDERED:
        return unordered(r, x, err);
    case QD_PROX_REPEAT:
        return repeat(r, x, err);
    case QD_PROX_MAX_GAPS:
    case QD_PROX_EXTEND:
        return one_by_one(r, x, err);
    default:
        return related(r, x, err);
    }
}

int qdi_prox_eval(qdi_run *r, qdi_prox *x, uint32_t d, qd_err *err)
{
    int rc = 0;
    x->len = 0;
    for (uint32_t k = 0; k < x->n && !rc; k++) {
        x->step[k] = -1;
        rc = qdi_prox_eval(r, x->sub[k], d, err);
    }
    return rc ? rc : places(r, x, d, err);
}

void qdi_prox_free(qdi_prox *x)
{
    for (uint32_t k = 0; k < x->n; k++) qdi_prox_free(x->sub[k]);
    qd_free(x->at);
    x->at = NULL;
    x->len = x->cap = 0;
}

/* Which children a document has to have. */
static bool needs_all(const qdi_prox *x)
{
    return x->kind != QD_PROX_OR && x->kind != QD_PROX_NOT && x->kind < QD_PROX_NOT_HOLDS;
}
static uint32_t asked(const qdi_prox *x)
{
    return x->kind == QD_PROX_NOT || x->kind >= QD_PROX_NOT_HOLDS ? 1 : x->n;
}

void qdi_prox_candidates(qdi_run *r, const qdi_prox *x, const qdi_win *w, const uint64_t *cand,
                         uint64_t *out)
{
    uint64_t one[QDI_WINDOW_WORDS];
    bool all = needs_all(x);
    size_t bytes = w->words * sizeof *out;
    if (x->kind == QD_PROX_GAP) {
        memcpy(out, cand, bytes);
        return;
    }
    memset(out, 0, bytes);
    if (all && x->n) memcpy(out, cand, bytes);
    for (uint32_t i = 0; i < x->ncurs; i++) {
        qdi_fill_term(r, x->curs[i], w, cand, one, NULL);
        for (uint32_t q = 0; q < w->words; q++) out[q] |= one[q];
    }
    for (uint32_t k = 0; k < asked(x); k++) {
        qdi_prox_candidates(r, x->sub[k], w, cand, one);
        for (uint32_t q = 0; q < w->words; q++) out[q] = all ? out[q] & one[q] : out[q] | one[q];
    }
}

uint32_t qdi_prox_next(const qdi_prox *x, uint32_t from)
{
    bool all = needs_all(x) && x->n;
    if (x->kind == QD_PROX_GAP) return from;
    uint32_t least = all ? from : QD_NO_DOC;
    for (uint32_t i = 0; i < x->ncurs; i++) {
        uint32_t d = qdi_cur_next(x->curs[i], from);
        least = d < least ? d : least;
    }
    for (uint32_t k = 0; k < asked(x); k++) {
        uint32_t d = qdi_prox_next(x->sub[k], from);
        least = all == (d > least) ? d : least;
    }
    return least;
}

float qdi_prox_freq(const qdi_prox *x, int32_t extent)
{
    float freq = 0;
    for (uint32_t i = 0; i < x->len; i++) {
        const qdi_place *p = &x->at[i];
        int32_t more = p->end - p->start + 1 - extent + 1;
        if (x->intervals)
            freq = (float)((double)freq + 1.0 / (more > 1 ? more : 1));
        else
            freq += 1.0f / (1.0f + (float)p->width);
    }
    return freq;
}
