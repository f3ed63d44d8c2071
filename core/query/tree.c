/*
 * tree.c: combining trees with filters, and walking the leaves that say which words match.
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

static int walk(const qd_node *n, float boost, leaf_fn fn, void *arg);

static int walk_list(const qd_node *const *list, uint32_t n, float boost, leaf_fn fn, void *arg)
{
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) rc = walk(list[i], boost, fn, arg);
    return rc;
}

static int walk(const qd_node *n, float boost, leaf_fn fn, void *arg)
{
    int rc;
    boost *= n->boost;
    switch (n->kind) {
    case QD_NATIVE_TERM:
    case QD_NATIVE_SYNONYM:
    case QD_NATIVE_PHRASE:
    case QD_NATIVE_PATTERN:
    case QD_NATIVE_TERM_SET:
        return fn(arg, n, boost);
    case QD_NATIVE_RANGE:
        return n->u.range.kind == QD_RANGE_TERM ? fn(arg, n, boost) : 0;
    case QD_NATIVE_BOOL:
        rc = walk_list(n->u.boolean.must, n->u.boolean.nmust, boost, fn, arg);
        if (!rc) rc = walk_list(n->u.boolean.should, n->u.boolean.nshould, boost, fn, arg);
        if (!rc) rc = walk_list(n->u.boolean.filter, n->u.boolean.nfilter, boost, fn, arg);
        return rc;
    case QD_NATIVE_DIS_MAX:
        return walk_list(n->u.dis_max.children, n->u.dis_max.n, boost, fn, arg);
    case QD_NATIVE_CONSTANT:
    case QD_NATIVE_BOOST:
        return walk(n->u.child, boost, fn, arg);
    default:
        return 0;
    }
}

int qd_node_each_leaf(const qd_node *root, int (*fn)(void *arg, const qd_node *leaf, float boost),
                      void *arg)
{
    return walk(root, 1, fn, arg);
}
