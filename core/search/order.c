/*
 * order.c: the best by a number without looking at all hits: the points of the field are walked
 * from their best end, the documents of a piece are what the query is asked about, and the
 * collector says when nothing behind can be kept. What the walk leaves, when it takes too long or
 * documents have no value, goes by windows whose blocks may hold something better.
 *
 * Pieces end where values change, so that ties are met in the order of documents; a value of many
 * documents is a run of its own, walked upwards.
 */
#include "search/order_int.h"
#include "segment/columns.h"
#include "segment/points.h"

#define PIECE_MIN 512u    /* points; a block */
#define PIECE_MAX 16384u  /* more at once have no gain */
#define WALK_COST 4.0     /* a point that is tested against a hit that is collected */
#define WALK_PATIENCE 5.0 /* times the points that should have been enough */

typedef struct walk {
    qdi_run *r;
    qd_collector *c;
    qd_collect_order o;
    uint64_t from, to; /* points not walked yet; in a run: [run, run_to) is its rest */
    uint64_t run, run_to;
    bool in_run;
    uint32_t piece;
    uint64_t *bits, *tested; /* by document: of the piece; of all pieces */
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
    return hits.n ? w->c->vt->collect(w->c, &hits, err) : 0;
}

static int test_piece(walk *w, uint64_t a, uint64_t z, qd_err *err)
{
    qd_points_reader *rd;
    qd_reads *reads = qd_reads_make(w->r->arena, w->r->plan->account);
    uint32_t n = (uint32_t)(z - a);
    if (!reads) return qd_err_nomem(err, "search");
    int rc = qd_points_slice_plan(w->o.points, a, n, reads, w->r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    if (!rc) rc = qd_points_slice_docs(rd, w->ids, err);
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    if (rc) return rc;
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

static int walk_begin(walk *w, qd_err *err)
{
    qdi_scratch *s = w->r->scratch;
    size_t bytes = ((size_t)w->r->ndocs / 64 + QDI_WINDOW_WORDS) * 8;
    w->to = qd_points_stats_get(w->o.points)->points;
    w->bits = qdi_scratch_calloc(s, bytes);
    if (!w->tested) w->tested = qdi_scratch_calloc(s, bytes);
    w->docs = qdi_scratch_alloc(s, QDI_WINDOW * sizeof *w->docs);
    w->ids = qdi_scratch_alloc(s, PIECE_MAX * sizeof *w->ids);
    if (!w->bits || !w->tested || !w->docs || !w->ids) return qd_err_nomem(err, "search");
    if (!w->o.has_start) return 0;
    return w->o.descending ? rank_above(w, w->o.start, &w->to, err)
                           : rank(w, w->o.start, &w->from, err);
}

/* Hits of the leaf, at most. */
static uint64_t hits_at_most(const qdi_run *r)
{
    uint64_t m = r->root->cost;
    return m < r->leaf->live_docs ? m : r->leaf->live_docs;
}

/* Points that are expected to be walked until k hits are met. */
static double expected(const qdi_run *r, const qd_collect_order *o)
{
    uint64_t points = qd_points_stats_get(o->points)->points;
    return (double)o->k * (double)points / (double)hits_at_most(r) + PIECE_MIN;
}

bool qdi_order_pays(qdi_run *r, qd_collector *c, double cost)
{
    qd_collect_order o;
    uint64_t hits = hits_at_most(r);
    return hits && c->vt->order->get(c, r->leaf, &o) && expected(r, &o) * cost <= (double)hits;
}

int qdi_collect_ordered(qdi_run *r, qd_collector *c, uint64_t **tested, bool *walked, qd_err *err)
{
    walk w = {.r = r, .c = c, .tested = *tested};
    uint64_t hits = hits_at_most(r);
    if (!hits || !c->vt->order->get(c, r->leaf, &w.o)) return 0;
    double expect = expected(r, &w.o);
    if (expect * WALK_COST > (double)hits) return 0;
    double piece = expect * 1.5;
    w.piece = piece > PIECE_MAX / 2 ? PIECE_MAX / 2 : (uint32_t)piece;
    /* Where the best end has fewer hits than the rest, the walk is given up. */
    double most = (double)hits / WALK_COST < WALK_PATIENCE * expect ? (double)hits / WALK_COST
                                                                    : WALK_PATIENCE * expect;
    uint64_t budget = (uint64_t)most + PIECE_MIN, seen = 0;
    int rc = walk_begin(&w, err);
    bool more = true;
    while (!rc && seen <= budget) {
        uint64_t a, z;
        rc = go_on(&w, &more, err);
        if (rc || !more) break;
        rc = next_piece(&w, &a, &z, err);
        if (!rc && a < z) rc = test_piece(&w, a, z, err);
        seen += z - a;
        if (w.piece < PIECE_MAX / 2) w.piece *= 2;
        if (w.piece > PIECE_MAX / 2) w.piece = PIECE_MAX / 2;
        if (!rc) rc = qdi_run_tick(r);
    }
    if (rc) return rc;
    *tested = w.tested;
    *walked = true;
    return !more && !c->vt->order->wanted_absent(c);
}
