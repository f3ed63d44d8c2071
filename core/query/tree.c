/*
 * tree.c: combining trees with filters, and walking the leaves.
 */
#include "query/dsl.h"

const qd_node *qd_node_filtered(qd_arena *arena, const qd_node *query,
                                const qd_node *const *filters, uint32_t n)
{
    const qd_node **must, **filter;
    if (!query) query = qd_node_make(arena, QD_NATIVE_MATCH_ALL);
    if (!query || n == 0) return query;
    qd_node *x = qd_node_bool_make(arena, 1, 0, n, 0, &must, NULL, &filter, NULL);
    if (!x) return NULL;
    must[0] = query;
    memcpy(filter, filters, n * sizeof *filter);
    return x;
}

const qd_node *qd_node_any_of(qd_arena *arena, const qd_node *const *nodes, uint32_t n)
{
    const qd_node **should;
    if (n == 0) return qd_node_make(arena, QD_NATIVE_MATCH_NONE);
    if (n == 1) return nodes[0];
    qd_node *x = qd_node_bool_make(arena, 0, n, 0, 0, NULL, &should, NULL, NULL);
    if (!x) return NULL;
    memcpy(should, nodes, n * sizeof *should);
    x->u.boolean.min_should = 1;
    return x;
}

typedef int (*leaf_fn)(void *arg, const qd_node *leaf, float boost);

static int walk(const qd_node *n, float boost, leaf_fn fn, void *arg)
{
    qd_node_list lists[QD_NODE_LISTS_MAX];
    uint32_t k = qd_node_lists(n, lists);
    int rc = 0;
    boost *= n->boost;
    if (!k) return fn(arg, n, boost);
    for (uint32_t l = 0; l < k; l++)
        for (uint32_t i = 0; i < lists[l].n && !lists[l].excluded && !rc; i++)
            rc = walk(lists[l].nodes[i], boost, fn, arg);
    return rc;
}

int qd_node_each_leaf(const qd_node *root, int (*fn)(void *arg, const qd_node *leaf, float boost),
                      void *arg)
{
    return walk(root, 1, fn, arg);
}
