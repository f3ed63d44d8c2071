/*
 * order.c: the best by a number without looking at all hits: the points of the field are walked
 * from their best end, the documents of a piece are what the query (or a list of its hits, as bits)
 * is asked about, and the collector says when nothing behind can be kept. What the walk leaves,
 * when it takes too long or documents have no value, goes by windows whose blocks may hold
 * something better.
 *
 * Pieces end where values change, so that ties are met in the order of documents; a value of many
 * documents is a run of its own, walked upwards.
 */
#include "search/run/order_int.h"
#include "segment/columns.h"
#include "segment/points.h"

#define PIECE_MIN 512u         /* points; a block */
#define PIECE_MAX 16384u       /* more at once have no gain */
#define WALK_COST 4.0          /* a point that is tested against a hit that is collected */
#define WALK_PATIENCE 5.0      /* times the points that should have been enough */
#define LIST_POINT_COST 16.0   /* a point that is tested against a hit of a list, */
#define LIST_WINDOW_COST 256.0 /* a window that has any */
#define LIST_COST 0.33         /* hits of a list against a point that is looked up in its bits, */
#define LIST_WORD_COST 0.02    /* clearing a word of them against one */

typedef struct walk {
    qdi_run *r;
    qd_collector *c;
    qd_collect_order o;
    uint64_t from, to; /* points not walked yet; in a run: [run, run_to) is its rest */
    uint64_t run, run_to;
    uint64_t found; /* hits */
    bool in_run;
    uint32_t piece;
    uint64_t *bits, *tested; /* by document: of the piece; of all pieces */
    bool listed;             /* what is not tested is a hit: the query is not asked */
    uint32_t *docs;
    uint32_t *ids;
} walk;

/* Points below v. */
static int rank(walk *w, int64_t v, uint64_t *out, qd_err *err)
{
    *out = 0;
    if (v == INT64_MIN) return 0;
    qd_points_reader *rd;
    qd_reads *reads = qd_reads_make(w->r->arena, w->r->plan->account);
    if (!reads) return qd_err_nomem(err, "search");
    int rc = qd_points_plan(w->o.points, (qd_point_value){.i = INT64_MIN},
                            (qd_point_value){.i = v - 1}, true, reads, w->r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    if (!rc) rc = qd_points_count(rd, out, err);
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    return rc;
}

static int rank_above(walk *w, int64_t v, uint64_t *out, qd_err *err)
{
    if (v < INT64_MAX) return rank(w, v + 1, out, err);
    *out = qd_points_stats_get(w->o.points)->points;
    return 0;
}

static int value_at(walk *w, uint64_t at, int64_t *out, qd_err *err)
{
    qd_points_reader *rd;
    qd_reads *reads = qd_reads_make(w->r->arena, w->r->plan->account);
    if (!reads) return qd_err_nomem(err, "search");
    int rc = qd_points_slice_plan(w->o.points, at, 1, reads, w->r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    if (!rc) rc = qd_points_slice_value(rd, 0, out, err);
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    return rc;
}

/* The end of a downward piece at a: not within a value. May begin a run instead. */
static int cut_down(walk *w, uint64_t *a, qd_err *err)
{
    int64_t v, before;
    uint64_t first, behind;
    if (*a == w->from) return 0;
    int rc = value_at(w, *a, &v, err);
    if (!rc) rc = value_at(w, *a - 1, &before, err);
    if (rc || v != before) return rc;
    rc = rank(w, v, &first, err);
    if (!rc) rc = rank_above(w, v, &behind, err);
    if (rc) return rc;
    if (first < w->from) first = w->from;
    if (behind > w->to) behind = w->to;
    if (first > *a || behind <= *a) return 0; /* only in damaged points */
    if (w->to - first <= 2 * (uint64_t)w->piece && w->to - first <= PIECE_MAX) {
        *a = first;
    } else if (behind < w->to) {
        *a = behind;
    } else {
        w->in_run = true;
        w->run = first;
        w->run_to = behind;
        w->to = first;
    }
    return 0;
}

/* The next piece [*a, *z) of points; empty at the end. */
static int next_piece(walk *w, uint64_t *a, uint64_t *z, qd_err *err)
{
    if (!w->o.descending) {
        *a = w->from;
        *z = w->to - w->from < w->piece ? w->to : w->from + w->piece;
        w->from = *z;
        return 0;
    }
    if (!w->in_run) {
        *z = w->to;
        *a = w->to - w->from < w->piece ? w->from : w->to - w->piece;
        if (*a == *z) return 0;
        int rc = cut_down(w, a, err);
        if (rc || !w->in_run) {
            w->to = *a;
            return rc;
        }
    }
    *a = w->run;
    *z = w->run_to - w->run < w->piece ? w->run_to : w->run + w->piece;
    w->run = *z;
    w->in_run = w->run < w->run_to;
    return 0;
}

/* Can anything that is left be kept? */
static int go_on(walk *w, bool *more, qd_err *err)
{
    int64_t v;
    *more = w->from < w->to || w->in_run;
    if (!*more) return 0;
    uint64_t at = w->in_run ? w->run : w->o.descending ? w->to - 1 : w->from;
    int rc = value_at(w, at, &v, err);
    if (!rc) *more = w->c->vt->order->wanted(w->c, v, w->o.natural);
    return rc;
}

/* Asks the query about the documents of one window and hands on what it has. */
static int test_window(walk *w, uint32_t from, qd_err *err)
{
    qdi_run *r = w->r;
    uint64_t cand[QDI_WINDOW_WORDS], out[QDI_WINDOW_WORDS];
    qdi_win win = {.from = from, .to = r->ndocs - from > QDI_WINDOW ? from + QDI_WINDOW : r->ndocs};
    win.words = (win.to - from + 63) / 64;
    uint64_t *bits = w->bits + (from >> 6), *tested = w->tested + (from >> 6);
    for (uint32_t i = 0; i < win.words; i++) {
        cand[i] = bits[i] & ~tested[i];
        if (r->live) cand[i] &= r->live[(from >> 6) + i];
        tested[i] |= bits[i];
        bits[i] = 0;
    }
    if (!qdi_any(cand, win.words)) return 0;
    int rc = qdi_fill(r, r->root, &win, cand, out, NULL, err);
    if (rc) return rc;
    qd_hits hits = {.leaf = r->leaf,
                    .docs = w->docs,
                    .n = r->k->bits_to_docs(out, win.words, from, w->docs),
                    .bits = out,
                    .from = from,
                    .words = win.words};
    w->found += hits.n;
    return hits.n ? w->c->vt->collect(w->c, &hits, err) : 0;
}

/* Sorts a[0..n), which differ below `bits` bits, by digits (least significant first); tmp: room for
 * as many. The sorted ones are in what it returns. */
static uint32_t *sort_docs(uint32_t *a, uint32_t *tmp, uint32_t n, uint32_t bits)
{
    for (uint32_t shift = 0; n > 1 && shift < bits; shift += 8) {
        uint32_t at[257] = {0};
        for (uint32_t i = 0; i < n; i++) at[(a[i] >> shift & 255) + 1]++;
        for (uint32_t i = 0; i < 255; i++) at[i + 1] += at[i];
        for (uint32_t i = 0; i < n; i++) tmp[at[a[i] >> shift & 255]++] = a[i];
        uint32_t *sorted = tmp;
        tmp = a;
        a = sorted;
    }
    return a;
}

/* Hands on the hits of a list among w->ids[0..n), each once. */
static int collect_listed(walk *w, uint32_t n, qd_err *err)
{
    uint32_t m = 0;
    int rc = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t d = w->ids[i];
        uint64_t *word = w->tested + (d >> 6), bit = 1ull << (d & 63);
        w->ids[m] = d;
        m += !(*word & bit);
        *word |= bit;
    }
    w->found += m;
    uint32_t *docs = sort_docs(w->ids, w->docs, m, 32 - (uint32_t)__builtin_clz(w->r->ndocs));
    for (uint32_t i = 0; i < m && !rc; i += QD_COLLECT_BATCH) {
        qd_hits hits = {.leaf = w->r->leaf,
                        .docs = docs + i,
                        .n = m - i < QD_COLLECT_BATCH ? m - i : QD_COLLECT_BATCH};
        rc = w->c->vt->collect(w->c, &hits, err);
    }
    return rc;
}

/* Documents of points [a, z) into w->ids. */
static int read_piece(walk *w, uint64_t a, uint64_t z, qd_err *err)
{
    qd_points_reader *rd;
    qd_reads *reads = qd_reads_make(w->r->arena, w->r->plan->account);
    if (!reads) return qd_err_nomem(err, "search");
    int rc = qd_points_slice_plan(w->o.points, a, (uint32_t)(z - a), reads, w->r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    if (!rc) rc = qd_points_slice_docs(rd, w->ids, err);
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    return rc;
}

static int test_piece(walk *w, uint64_t a, uint64_t z, qd_err *err)
{
    uint32_t n = (uint32_t)(z - a);
    int rc = read_piece(w, a, z, err);
    if (rc) return rc;
    if (w->listed) return collect_listed(w, n, err);
    uint32_t least = QD_NO_DOC, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t d = w->ids[i];
        w->bits[d >> 6] |= 1ull << (d & 63);
        least = d < least ? d : least;
        most = d > most ? d : most;
    }
    for (uint32_t from = least & ~(QDI_WINDOW - 1); from <= most && !rc; from += QDI_WINDOW) {
        uint32_t words = (w->r->ndocs + 63) / 64 - (from >> 6);
        if (qdi_any(w->bits + (from >> 6), words < QDI_WINDOW_WORDS ? words : QDI_WINDOW_WORDS))
            rc = test_window(w, from, err);
    }
    return rc;
}

/* All points that the order wants. */
static int walk_bounds(walk *w, qd_err *err)
{
    w->to = qd_points_stats_get(w->o.points)->points;
    if (!w->o.has_start) return 0;
    return w->o.descending ? rank_above(w, w->o.start, &w->to, err)
                           : rank(w, w->o.start, &w->from, err);
}

static int walk_begin(walk *w, qd_err *err)
{
    qdi_scratch *s = w->r->scratch;
    size_t bytes = ((size_t)w->r->ndocs / 64 + QDI_WINDOW_WORDS) * 8;
    bool bits = !w->listed;
    if (bits) w->bits = qdi_scratch_calloc(s, bytes);
    if (!w->tested) w->tested = qdi_scratch_calloc(s, bytes);
    w->docs = qdi_scratch_alloc(s, PIECE_MAX * sizeof *w->docs);
    w->ids = qdi_scratch_alloc(s, PIECE_MAX * sizeof *w->ids);
    if ((bits && !w->bits) || !w->tested || !w->docs || !w->ids) return qd_err_nomem(err, "search");
    return walk_bounds(w, err);
}

/* Hits of the leaf, at most. */
static uint64_t hits_at_most(const qdi_run *r)
{
    uint64_t m = r->root->cost;
    return m < r->leaf->live_docs ? m : r->leaf->live_docs;
}

/* Points that are expected to be walked until k of so many hits are met. */
static double expected(const qd_collect_order *o, uint64_t hits)
{
    uint64_t points = qd_points_stats_get(o->points)->points;
    return (double)o->k * (double)points / (double)hits + PIECE_MIN;
}

/* Windows that have documents of the best PIECE_MIN points. */
static int best_windows(walk *w, uint32_t *n, qd_err *err)
{
    uint64_t *seen = qdi_scratch_calloc(w->r->scratch, (w->r->ndocs / QDI_WINDOW / 64 + 1) * 8);
    w->ids = qdi_scratch_alloc(w->r->scratch, PIECE_MIN * sizeof *w->ids);
    if (!seen || !w->ids) return qd_err_nomem(err, "search");
    int rc = walk_bounds(w, err);
    uint64_t points = w->to - w->from < PIECE_MIN ? w->to - w->from : PIECE_MIN;
    uint64_t a = w->o.descending ? w->to - points : w->from;
    if (!rc && points) rc = read_piece(w, a, a + points, err);
    *n = 0;
    for (uint32_t i = 0; i < points && !rc; i++) {
        uint32_t x = w->ids[i] / QDI_WINDOW;
        *n += !(seen[x >> 6] >> (x & 63) & 1);
        seen[x >> 6] |= 1ull << (x & 63);
    }
    return rc;
}

int qdi_order_beats_list(qdi_run *r, qd_collector *c, qd_err *err)
{
    walk w = {.r = r, .c = c};
    uint64_t hits = hits_at_most(r);
    uint32_t windows;
    if (!hits || !c->vt->order->get(c, r->leaf, &w.o) ||
        expected(&w.o, hits) * LIST_POINT_COST > (double)hits)
        return 0;
    int rc = best_windows(&w, &windows, err);
    return rc ? rc : windows * LIST_WINDOW_COST <= (double)hits;
}

/* Points of a piece that should have so many hits, whatever chance takes from them. Another one
 * costs most where the query is asked: it is in nearly as many windows. */
static uint32_t piece_of(const walk *w, double hits, double points_a_hit)
{
    double n = (hits + (w->listed ? 1.5 : 4) * __builtin_sqrt(hits)) * points_a_hit;
    if (n > PIECE_MAX / 2) return PIECE_MAX / 2;
    return n < PIECE_MIN ? PIECE_MIN : (uint32_t)n;
}

/* Piece by piece, until nothing that is left can be kept (*more: it can) or `most` points are seen
 * and some more. */
static int walk_pieces(walk *w, uint64_t hits, double most, bool *more, qd_err *err)
{
    w->piece = piece_of(w, w->o.k, (double)qd_points_stats_get(w->o.points)->points / (double)hits);
    uint64_t budget = (uint64_t)most + PIECE_MIN, seen = 0, k = w->o.k;
    int rc = 0;
    *more = true;
    while (!rc && seen <= budget) {
        uint64_t a, z;
        rc = go_on(w, more, err);
        if (rc || !*more) break;
        rc = next_piece(w, &a, &z, err);
        if (!rc && a < z) rc = test_piece(w, a, z, err);
        seen += z - a;
        if (w->found < k) {
            double left = (double)(k - w->found), cost = (double)seen / (double)(w->found + 1);
            if (left * cost > most) break;
            w->piece = piece_of(w, left, cost);
        } else {
            w->piece = w->piece < PIECE_MAX / 4 ? 2 * w->piece : PIECE_MAX / 2;
        }
        if (!rc) rc = qdi_run_tick(w->r);
    }
    return rc;
}

int qdi_collect_ordered(qdi_run *r, qd_collector *c, uint64_t **tested, bool *walked, qd_err *err)
{
    walk w = {.r = r, .c = c, .tested = *tested};
    uint64_t hits = hits_at_most(r);
    if (!hits || !c->vt->order->get(c, r->leaf, &w.o)) return QD_DECLINED;
    double expect = expected(&w.o, hits);
    if (expect * WALK_COST > (double)hits) return 0;
    /* Where the best end has fewer hits than the rest, the walk is given up. */
    double most = (double)hits / WALK_COST < WALK_PATIENCE * expect ? (double)hits / WALK_COST
                                                                    : WALK_PATIENCE * expect;
    bool more;
    int rc = walk_begin(&w, err);
    if (!rc) rc = walk_pieces(&w, hits, most, &more, err);
    if (rc) return rc;
    *tested = w.tested;
    *walked = true;
    return !more && !c->vt->order->wanted_absent(c) ? QD_DONE : QD_DECLINED;
}

bool qdi_walk_list_pays(const qdi_run *r, qd_collector *c, uint32_t n)
{
    qd_collect_order o;
    return n && c->vt->order->get(c, r->leaf, &o) &&
           expected(&o, n) + r->ndocs / 64 * LIST_WORD_COST <= n * LIST_COST;
}

int qdi_walk_list(qdi_run *r, qd_collector *c, const uint32_t *docs, uint32_t n, bool later,
                  uint64_t **tested, qd_err *err)
{
    walk w = {.r = r, .c = c, .listed = true};
    *tested = NULL;
    if (!n || !c->vt->order->get(c, r->leaf, &w.o)) return QD_DECLINED;
    w.o.natural &= later;
    double expect = expected(&w.o, n), most = n * LIST_COST;
    if (most > WALK_PATIENCE * expect) most = WALK_PATIENCE * expect;
    size_t bytes = ((size_t)r->ndocs / 64 + QDI_WINDOW_WORDS) * 8;
    w.tested = qdi_scratch_alloc(r->scratch, bytes);
    if (!w.tested) return qd_err_nomem(err, "search");
    memset(w.tested, 0xff, bytes);
    for (uint32_t i = 0; i < n; i++) w.tested[docs[i] >> 6] &= ~(1ull << (docs[i] & 63));
    bool more;
    int rc = walk_begin(&w, err);
    if (!rc) rc = walk_pieces(&w, n, most, &more, err);
    if (rc) return rc;
    *tested = w.tested;
    return !more && !c->vt->order->wanted_absent(c) ? QD_DONE : QD_DECLINED;
}
