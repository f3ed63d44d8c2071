/*
 * walk.c: searches of a segment's graph. What stands in the lists is checked when it is used: a row
 * or place that cannot be is QD_E_CORRUPT, and a walk ends because each row is visited once.
 */
#include "base/err.h"
#include "mapping/ann/pool_int.h"
#include <math.h>

#define POLL_STEPS 64u
#define PREFETCH 256u /* bytes of a code that are asked for ahead */

int qd_graph_query_make(const qd_graph *g, const void *row, float length, qd_arena *arena,
                        qd_graph_query *out, qd_err *err)
{
    *out = (qd_graph_query){.row = row, .length = length};
    if (!g->codes) return 0;
    float *scratch = qd_arena_alloc(arena, (g->dims + 1ul) * 2 * sizeof *scratch);
    out->code.q = qd_arena_alloc(arena, qd_coding_padded(&g->coding));
    if (!scratch || !out->code.q) return qd_err_nomem(err, "knn search");
    qd_coding_query(&g->coding, row, length, scratch, &out->code);
    return 0;
}

static void near_rows(const qd_graph *g, const qd_graph_query *q, const uint32_t *at, uint32_t n,
                      float *out)
{
    int32_t whole[QD_GRAPH_BATCH];
    size_t stride = (size_t)g->row;
    bool l2 = g->head.space == QD_SPACE_L2;
    switch (g->element) {
    case QD_ELEMENT_BIT:
        g->kern->hamming(q->row, g->rows, stride, at, n, (uint32_t)g->row, whole);
        for (uint32_t i = 0; i < n; i++) out[i] = -(float)whole[i];
        return;
    case QD_ELEMENT_BYTE:
        (l2 ? g->kern->l2_i8 : g->kern->dot_i8)(q->row, g->rows, stride, at, n, g->dims, whole);
        for (uint32_t i = 0; i < n; i++) out[i] = l2 ? -(float)whole[i] : (float)whole[i];
        break;
    default:
        (l2 ? g->kern->l2_f32 : g->kern->dot_f32)(q->row, g->rows, stride, at, n, g->dims, out);
        for (uint32_t i = 0; i < n && l2; i++) out[i] = -out[i];
        break;
    }
    for (uint32_t i = 0; i < n && g->head.space == QD_SPACE_COSINE; i++) {
        float length;
        memcpy(&length, g->lengths + at[i] * sizeof length, sizeof length);
        out[i] /= length;
    }
    for (uint32_t i = 0; i < n; i++)
        if (isnan(out[i])) out[i] = -INFINITY;
}

void qd_graph_near(const qd_graph *g, const qd_graph_query *q, const uint32_t *at, uint32_t n,
                   float *out)
{
    int32_t sums[QD_GRAPH_BATCH];
    qd_assert(n <= QD_GRAPH_BATCH);
    if (!g->codes) {
        near_rows(g, q, at, n, out);
        return;
    }
    qd_coding_near(&g->coding, g->kern, &q->code, g->codes, at, n, sums, out);
    for (uint32_t i = 0; i < n; i++)
        if (isnan(out[i])) out[i] = -INFINITY;
}

/* One walk. */
typedef struct walk {
    const qd_graph *g;
    const qd_graph_query *q;
    uint64_t *seen; /* a bit a row */
    const char *measured;
    size_t stride;
    pool pool;
    uint64_t visited;
    uint32_t ids[2 * QD_GRAPH_M_MAX];
    float nears[2 * QD_GRAPH_M_MAX];
} walk;

static uint32_t number(const char *p, uint64_t i)
{
    uint32_t v;
    memcpy(&v, p + i * sizeof v, sizeof v);
    return v;
}

static int corrupt(const qd_graph *g, const char *at, const char *what, qd_err *err)
{
    const char *base = g->lists;
    uint64_t offset = g->place.lists + (at > base ? (uint64_t)(at - base) : 0);
    return g->bytes->corrupt(g->bytes, offset, qd_str_c(what), err);
}

static const char *record_of(const qd_graph *g, uint32_t level, uint32_t place)
{
    return g->level[level] + (uint64_t)place * (g->head.m + 3ul) * sizeof(uint32_t);
}

static const char *list_of(const qd_graph *g, uint32_t row)
{
    return g->lists + (uint64_t)row * (2ul * g->head.m + 1) * sizeof(uint32_t);
}

/* The place of a level that is nearest as far as steps to nearer ones lead; *best: how near. */
static int descend(walk *w, uint32_t level, uint32_t *place, float *best, qd_err *err)
{
    const qd_graph *g = w->g;
    uint32_t n = g->head.in_level[level - 1];
    for (bool moved = true; moved;) {
        const char *r = record_of(g, level, *place);
        uint32_t count = number(r, 2);
        moved = false;
        if (count > g->head.m) return corrupt(g, r, "count of neighbours", err);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t to = number(r, 3 + i);
            if (to >= n) return corrupt(g, r, "neighbour of a vector", err);
            w->ids[i] = number(record_of(g, level, to), 0);
            if (w->ids[i] >= g->n) return corrupt(g, r, "row of a vector", err);
        }
        qd_graph_near(g, w->q, w->ids, count, w->nears);
        w->visited += count;
        uint32_t next = *place;
        for (uint32_t i = 0; i < count; i++)
            if (w->nears[i] > *best) *best = w->nears[i], next = number(r, 3 + i), moved = true;
        *place = next;
    }
    return 0;
}

/* A row of level 0 to begin at. */
static int enter(walk *w, uint32_t *row, qd_err *err)
{
    const qd_graph *g = w->g;
    uint32_t place = g->head.entry;
    float best = -INFINITY;
    for (uint32_t l = g->head.levels - 1; l > 0; l--) {
        if (place >= g->head.in_level[l - 1])
            return corrupt(g, g->level[l], "place in a lower level", err);
        int rc = descend(w, l, &place, &best, err);
        if (rc) return rc;
        place = number(record_of(g, l, place), 1);
    }
    if (place >= g->n) return corrupt(g, g->lists, "row to begin at", err);
    *row = place;
    return 0;
}

static int expand(walk *w, uint32_t row, qd_err *err)
{
    const qd_graph *g = w->g;
    const char *list = list_of(g, row);
    uint32_t count = number(list, 0), k = 0;
    if (count > 2 * g->head.m) return corrupt(g, list, "count of neighbours", err);
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t to = number(list, i);
        if (to >= g->n) return corrupt(g, list, "neighbour of a vector", err);
        uint64_t bit = (uint64_t)1 << (to & 63);
        if (w->seen[to >> 6] & bit) continue;
        w->seen[to >> 6] |= bit;
        const char *p = w->measured + to * w->stride;
        for (size_t b = 0; b < w->stride && b < PREFETCH; b += 64) __builtin_prefetch(p + b);
        w->ids[k++] = to;
    }
    qd_graph_near(g, w->q, w->ids, k, w->nears);
    w->visited += k;
    for (uint32_t i = 0; i < k; i++) pool_push(&w->pool, w->nears[i], w->ids[i]);
    if (w->pool.next < w->pool.n) /* most often the next one */
        __builtin_prefetch(list_of(g, w->pool.at[w->pool.next].row & ~POOL_DONE));
    return 0;
}

static int walk_all(walk *w, int (*stop)(void *arg), void *arg, qd_err *err)
{
    uint32_t row = 0, steps = 0;
    int rc = enter(w, &row, err);
    if (rc) return rc;
    w->seen[row >> 6] |= (uint64_t)1 << (row & 63);
    qd_graph_near(w->g, w->q, &row, 1, w->nears);
    w->visited++;
    pool_push(&w->pool, w->nears[0], row);
    while (!rc && pool_take(&w->pool, &row)) {
        if (++steps % POLL_STEPS == 0) rc = stop(arg);
        if (!rc) rc = expand(w, row, err);
    }
    return rc;
}

int qd_graph_walk(const qd_graph *g, const qd_graph_query *q, uint32_t ef, int (*stop)(void *arg),
                  void *arg, qd_arena *arena, const qd_near **out, uint32_t *n, uint64_t *visited,
                  qd_err *err)
{
    walk *w = qd_arena_calloc(arena, sizeof *w);
    if (ef > g->n) ef = g->n;
    if (ef < 1) ef = 1;
    if (!w) return qd_err_nomem(err, "knn search");
    w->g = g;
    w->q = q;
    w->measured = g->codes ? g->codes : g->rows;
    w->stride = g->codes ? (size_t)qd_coding_stride(g->coding.bits, g->dims) : (size_t)g->row;
    w->seen = qd_arena_calloc(arena, ((size_t)g->n / 64 + 1) * sizeof *w->seen);
    w->pool.at = qd_arena_alloc(arena, (ef + 1ul) * sizeof *w->pool.at);
    w->pool.cap = ef;
    if (!w->seen || !w->pool.at) return qd_err_nomem(err, "knn search");
    int rc = walk_all(w, stop, arg, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < w->pool.n; i++) w->pool.at[i].row &= ~POOL_DONE;
    *out = w->pool.at;
    *n = w->pool.n;
    *visited += w->visited;
    return 0;
}

static int check_record(const qd_graph *g, uint32_t level, uint32_t place, qd_err *err)
{
    const char *r = record_of(g, level, place);
    uint32_t row = number(r, 0), count = number(r, 2),
             under = level == 1 ? g->n : g->head.in_level[level - 2];
    if (row >= g->n || (place && row <= number(record_of(g, level, place - 1), 0)))
        return corrupt(g, r, "row of a vector", err);
    if (number(r, 1) >= under) return corrupt(g, r, "place in a lower level", err);
    if (count > g->head.m) return corrupt(g, r, "count of neighbours", err);
    for (uint32_t i = 0; i < count; i++)
        if (number(r, 3 + i) >= g->head.in_level[level - 1])
            return corrupt(g, r, "neighbour of a vector", err);
    return 0;
}

int qd_graph_check(const qd_graph *g, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < g->n && g->head.levels && !rc; i++) {
        const char *list = list_of(g, i);
        uint32_t count = number(list, 0);
        if (count > 2 * g->head.m) return corrupt(g, list, "count of neighbours", err);
        for (uint32_t k = 1; k <= count; k++)
            if (number(list, k) >= g->n) return corrupt(g, list, "neighbour of a vector", err);
    }
    for (uint32_t l = 1; l < g->head.levels; l++)
        for (uint32_t i = 0; i < g->head.in_level[l - 1] && !rc; i++)
            rc = check_record(g, l, i, err);
    return rc;
}
