/* sort_nested.c: see sort_nested_int.h. */
#include "base/vec.h"
#include "search/collect/sort_nested_int.h"
#include <stdlib.h>

struct qdi_sort_below {
    const qd_sort_nested *from;
    const qd_leaf *leaf; /* of the level */
    qd_children *children;
    uint32_t *slots;
    qd_arena *arena;
    int64_t *at; /* values of one document */
    uint32_t n, cap;
};

/* Calls for each level the plan or the opening of its counts. */
static int each_level(qdi_sort_below *b, const qd_leaf *leaf, qd_reads *reads, bool open,
                      qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < b->from->level.n && !rc; i++) {
        const qd_nested_level one = {&b->from->level.views[i], 1};
        const qd_nested *n = qd_segment_nested(leaf->segment, one.views[0]->path);
        rc = open ? qd_children_open(&b->children[i], leaf->segment, n, reads, b->slots[i], err)
                  : qd_children_plan(leaf->segment, n, reads, &b->slots[i], err);
        leaf = qd_nested_level_leaf(&one, leaf);
    }
    return rc;
}

const qd_leaf *qdi_sort_below_plan(const qd_sort_nested *n, const qd_leaf *leaf, qd_reads *reads,
                                   qd_arena *arena, qdi_sort_below **out, int *rc, qd_err *err)
{
    const qd_leaf *at = n->none ? NULL : qd_nested_level_leaf(&n->level, leaf);
    *out = NULL;
    if (!at) return NULL;
    qdi_sort_below *b = qd_arena_calloc(arena, sizeof *b);
    if (b) b->children = qd_arena_calloc(arena, n->level.n * sizeof *b->children);
    if (b) b->slots = qd_arena_calloc(arena, n->level.n * sizeof *b->slots);
    if (!b || !b->children || !b->slots) {
        *rc = qd_err_nomem(err, "sort");
        return NULL;
    }
    b->from = n;
    b->leaf = leaf;
    b->arena = arena;
    *rc = each_level(b, leaf, reads, false, err);
    *out = b;
    return *rc ? NULL : at;
}

int qdi_sort_below_open(qdi_sort_below *b, qd_reads *reads, qd_err *err)
{
    int rc = each_level(b, b->leaf, reads, true, err);
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
    uint32_t first = doc, end = doc + 1, taken = 0;
    b->n = 0;
    for (uint32_t i = 0; i < f->level.n; i++) {
        first = qd_children_first(&b->children[i], first);
        end = qd_children_first(&b->children[i], end);
    }
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
