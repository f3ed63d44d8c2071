/* sort_nested.c: see sort_nested_int.h. */
#include "base/vec.h"
#include "search/collect/sort_nested_int.h"
#include <stdlib.h>

struct qdi_sort_below {
    const qd_sort_nested *from;
    const qd_leaf *leaf; /* of the level */
    qd_nested_counts counts;
    qd_arena *arena;
    int64_t *at; /* values of one document */
    uint32_t n, cap;
};

const qd_leaf *qdi_sort_below_plan(const qd_sort_nested *n, const qd_leaf *leaf, qd_reads *reads,
                                   qd_arena *arena, qdi_sort_below **out, int *rc, qd_err *err)
{
    const qd_leaf *at = n->none ? NULL : qd_nested_level_leaf(&n->level, leaf);
    *out = NULL;
    if (!at) return NULL;
    qdi_sort_below *b = qd_arena_calloc(arena, sizeof *b);
    *rc = b ? qd_nested_counts_make(&b->counts, n->level.n, arena, err) : qd_err_nomem(err, "sort");
    if (*rc) return NULL;
    b->from = n;
    b->leaf = leaf;
    b->arena = arena;
    *rc = qd_nested_counts_plan(&b->counts, &n->level, leaf, reads, err);
    *out = b;
    return *rc ? NULL : at;
}

int qdi_sort_below_open(qdi_sort_below *b, qd_reads *reads, qd_err *err)
{
    int rc = qd_nested_counts_open(&b->counts, &b->from->level, b->leaf, reads, err);
    b->leaf = qd_nested_level_leaf(&b->from->level, b->leaf);
    return rc;
}

static int order(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return a < b ? -1 : a > b;
}

static int add(qdi_sort_below *b, const int64_t *v, uint32_t n, qd_err *err)
{
    if (n > b->cap - b->n) {
        uint32_t cap = (b->n + n) * 2 + 16;
        int64_t *more = qd_arena_alloc(b->arena, cap * sizeof *more);
        if (!more) return qd_err_nomem(err, "sort");
        if (b->n) memcpy(more, b->at, b->n * sizeof *more);
        b->at = more;
        b->cap = cap;
    }
    if (n) memcpy(b->at + b->n, v, n * sizeof *v);
    b->n += n;
    return 0;
}

int qdi_sort_below_values(qdi_sort_below *b, qd_column_reader *reader, uint32_t doc,
                          const int64_t **v, uint32_t *n, qd_err *err)
{
    const qd_sort_nested *f = b->from;
    uint32_t first = qd_nested_first(&b->counts, 0, doc), taken = 0;
    uint32_t end = qd_nested_first(&b->counts, 0, doc + 1);
    b->n = 0;
    int rc = 0;
    for (uint32_t d = first; d < end && !rc && (!f->most || taken < f->most); d++) {
        uint32_t global = b->leaf->base + d, k;
        const int64_t *own;
        if (f->bits && !(f->bits[global >> 6] >> (global & 63) & 1)) continue;
        taken++;
        rc = qd_column_values(reader, d, &own, &k, err);
        if (!rc) rc = add(b, own, k, err);
    }
    if (b->n > 1) qsort(b->at, b->n, sizeof *b->at, order);
    *v = b->at;
    *n = rc ? 0 : b->n;
    return rc;
}
