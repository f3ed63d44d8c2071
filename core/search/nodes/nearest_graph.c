/*
 * nearest_graph.c: nearest vectors of a segment by its codes or its graph.
 *
 * The candidates of a query come from a walk of the graph or from all codes of documents that pass;
 * the best of them are measured by their vectors. A walk goes through all documents, so it is asked
 * for as many more rows as the filter and deletions leave out; where that costs more than to look
 * at all codes that pass, these are looked at. A walk that ends with too few that pass (the filter
 * and the query disagree) is followed by that scan: a filter never costs recall.
 */
#include "base/bits.h"
#include "mapping/vectors.h"
#include "search/nodes/nearest_int.h"
#include <math.h>
#include <stdlib.h>

/* Codes or rows looked at one after another in the time of a step of a walk: an estimate for 128 to
 * 768 dimensions (docs/decisions/0340). */
#define SCANNED_A_STEP 40u
#define BLOCK QD_GRAPH_BATCH

typedef struct leafing {
    qdi_finding *f;
    const qd_leaf *leaf;
    const qd_vectors *v;
    qd_graph g;
    qd_graph_query q;
    const uint64_t *bits; /* rows that pass; NULL: all */
    uint32_t allowed;     /* how many */
    qd_arena *arena;
} leafing;

static int stop(void *arg)
{
    const qdi_finding *f = arg;
    return f->p->o.task ? qd_task_poll(f->p->o.task) : 0;
}

/* Bits of documents as bits of rows. */
static int bits_of_rows(leafing *l, const uint64_t *docs, qd_err *err)
{
    uint32_t n = l->v->rows, at[BLOCK];
    int rc = 0;
    uint64_t *bits = qd_arena_calloc(l->arena, ((size_t)n / 64 + 1) * sizeof *bits);
    if (!bits) return qd_err_nomem(err, "knn search");
    for (uint32_t from = 0; from < n && !rc; from += BLOCK) {
        uint32_t k = n - from < BLOCK ? n - from : BLOCK;
        rc = qd_vectors_docs(l->v, from, k, at, err);
        for (uint32_t i = 0; i < k && !rc; i++)
            bits[(from + i) >> 6] |= (docs[at[i] >> 6] >> (at[i] & 63) & 1) << ((from + i) & 63);
    }
    l->bits = bits;
    return rc;
}

static int find_allowed(leafing *l, qd_err *err)
{
    const uint64_t *docs = qdi_nearest_bits(l->f, l->leaf);
    uint32_t n = l->v->rows;
    l->allowed = n;
    if (!docs) return 0;
    l->bits = docs;
    int rc = l->v->docs_at ? bits_of_rows(l, docs, err) : 0;
    l->allowed = 0;
    for (uint32_t i = 0; i < n / 64 && !rc; i++)
        l->allowed += (uint32_t)__builtin_popcountll(l->bits[i]);
    if (n % 64 && !rc)
        l->allowed += (uint32_t)__builtin_popcountll(l->bits[n / 64] << (64 - n % 64));
    return rc;
}

static bool passes(const leafing *l, uint32_t row)
{
    return !l->bits || l->bits[row >> 6] >> (row & 63) & 1;
}

/* --- scan ------------------------------------------------------------------------------------- */

/* The best so many of what is pushed: kept in a buffer of twice as many, which is cut. */
typedef struct sieve {
    qd_near *at;
    uint32_t n, k;
    float least;
} sieve;

static int nearest_first(const void *a, const void *b)
{
    const qd_near *x = a, *y = b;
    if (x->near != y->near) return x->near > y->near ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void cut(sieve *s)
{
    if (s->n) qsort(s->at, s->n, sizeof *s->at, nearest_first);
    if (s->n > s->k) s->n = s->k;
    if (s->n == s->k) s->least = s->at[s->n - 1].near;
}

static void sift(sieve *s, const uint32_t *rows, const float *near, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (s->n >= s->k && !(near[i] > s->least)) continue;
        s->at[s->n++] = (qd_near){near[i], rows[i]};
        if (s->n == 2 * s->k) cut(s);
    }
}

/* Rows that pass from *from on, at most BLOCK. */
static uint32_t next_rows(const leafing *l, uint32_t *from, uint32_t *rows)
{
    uint32_t n = 0, end = l->v->rows;
    while (*from < end && n < BLOCK) {
        if (l->bits && !(*from & 63) && !l->bits[*from >> 6]) {
            *from = *from + 64 < end ? *from + 64 : end;
            continue;
        }
        if (passes(l, *from)) rows[n++] = *from;
        ++*from;
    }
    return n;
}

static int scan_codes(leafing *l, uint32_t most, const qd_near **out, uint32_t *n, qd_err *err)
{
    uint32_t rows[BLOCK], from = 0, k;
    float near[BLOCK];
    sieve s = {.k = most ? most : 1, .least = -INFINITY};
    s.at = qd_arena_alloc(l->arena, (2ul * s.k + 1) * sizeof *s.at);
    if (!s.at) return qd_err_nomem(err, "knn search");
    int rc = 0;
    while (!rc && (k = next_rows(l, &from, rows))) {
        rc = stop(l->f);
        if (rc) break;
        qd_graph_near(&l->g, &l->q, rows, k, near);
        sift(&s, rows, near, k);
        l->f->counts.measured += k;
    }
    cut(&s);
    *out = s.at;
    *n = s.n;
    return rc;
}

/* --- walk ------------------------------------------------------------------------------------- */

/* How many rows a walk has to find for so many that pass. */
static uint64_t steps_for(const leafing *l, uint32_t candidates)
{
    uint64_t want = (uint64_t)candidates * l->v->rows;
    return want / l->allowed + (want % l->allowed != 0);
}

static int walk_graph(leafing *l, uint32_t steps, const qd_near **out, uint32_t *n, qd_err *err)
{
    const qd_near *found;
    uint32_t all = 0, k = 0;
    int rc = qd_graph_walk(&l->g, &l->q, steps, stop, l->f, l->arena, &found, &all,
                           &l->f->counts.measured, err);
    if (rc) return rc;
    *out = found;
    *n = all;
    if (!l->bits) return 0;
    qd_near *kept = qd_arena_alloc(l->arena, (all + 1ul) * sizeof *kept);
    if (!kept) return qd_err_nomem(err, "knn search");
    for (uint32_t i = 0; i < all; i++)
        if (passes(l, found[i].row)) kept[k++] = found[i];
    *out = kept;
    *n = k;
    return 0;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int rescore(leafing *l, const qd_near *found, uint32_t n, qd_err *err)
{
    uint32_t *rows = qd_arena_alloc(l->arena, (n + 1ul) * sizeof *rows);
    if (!rows) return qd_err_nomem(err, "knn search");
    for (uint32_t i = 0; i < n; i++) rows[i] = found[i].row;
    if (n) qsort(rows, n, sizeof *rows, ascending);
    l->v->bytes->release(l->v->bytes);
    return qdi_nearest_rows(l->f, l->leaf, l->v, rows, n, err);
}

static int find_candidates(leafing *l, bool *done, qd_err *err)
{
    const qd_node_knn *q = l->f->q;
    const qd_near *found = NULL;
    uint32_t n = 0, want = q->candidates < l->allowed ? q->candidates : l->allowed;
    uint64_t steps = steps_for(l, want);
    bool walked = l->g.lists && steps * SCANNED_A_STEP < l->allowed;
    int rc = 0;
    if (walked) {
        rc = walk_graph(l, (uint32_t)steps, &found, &n, err);
        l->f->counts.walked++;
        walked = n >= want || (!l->bits && n >= q->rescored) || n >= want - want / 4;
    }
    if (rc || (!walked && !l->g.codes)) return rc; /* the rows themselves are scanned */
    if (!walked) {
        rc = scan_codes(l, want, &found, &n, err);
        l->f->counts.scanned++;
    }
    *done = true;
    return rc ? rc : rescore(l, found, n < q->rescored ? n : q->rescored, err);
}

int qdi_nearest_by_graph(qdi_finding *f, const qd_leaf *leaf, const qd_part_reader *reader,
                         bool *done, qd_err *err)
{
    leafing l = {.f = f, .leaf = leaf, .v = qd_vectors_of(reader), .arena = &f->scratch};
    int rc = qd_graph_open(reader, &l.g, err);
    if (rc || (!l.g.codes && !l.g.lists)) return rc;
    if (l.g.head.space != (uint32_t)f->q->vectors->space)
        return l.v->bytes->corrupt(l.v->bytes, 0, QD_STR("space of the vectors"), err);
    rc = find_allowed(&l, err);
    if (!rc && !l.allowed) {
        *done = true;
        return 0;
    }
    if (!rc) rc = qd_graph_query_make(&l.g, f->q->row, f->length, l.arena, &l.q, err);
    if (!rc) rc = find_candidates(&l, done, err);
    return rc;
}
