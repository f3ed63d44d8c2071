/* node.c: makers of native query nodes, and what they hold. */
#include "query/node.h"
#include "base/assert.h"

qd_node *qd_node_make(qd_arena *arena, qd_node_kind kind)
{
    qd_node *n = qd_arena_calloc(arena, sizeof *n);
    if (!n) return NULL;
    n->kind = kind;
    n->boost = 1.0f;
    return n;
}

qd_node *qd_node_term_make(qd_arena *arena, qd_str field, qd_str term)
{
    qd_node *n = qd_node_make(arena, QD_NATIVE_TERM);
    if (!n) return NULL;
    n->u.term.field = field;
    n->u.term.term = term;
    return n;
}

qd_node *qd_node_bool_make(qd_arena *arena, uint32_t nmust, uint32_t nshould, uint32_t nfilter,
                           uint32_t nmust_not, const qd_node ***must, const qd_node ***should,
                           const qd_node ***filter, const qd_node ***must_not)
{
    qd_assert((must || !nmust) && (should || !nshould) && (filter || !nfilter) &&
              (must_not || !nmust_not));
    qd_node *n = qd_node_make(arena, QD_NATIVE_BOOL);
    size_t all = (size_t)nmust + nshould + nfilter + nmust_not;
    const qd_node **at = qd_arena_calloc(arena, (all ? all : 1) * sizeof *at);
    if (!n || !at) return NULL;
    n->u.boolean = (qd_node_bool){
        .must = at,
        .should = at + nmust,
        .filter = at + nmust + nshould,
        .must_not = at + nmust + nshould + nfilter,
        .nmust = nmust,
        .nshould = nshould,
        .nfilter = nfilter,
        .nmust_not = nmust_not,
    };
    if (must) *must = at;
    if (should) *should = at + nmust;
    if (filter) *filter = at + nmust + nshould;
    if (must_not) *must_not = at + nmust + nshould + nfilter;
    return n;
}

const qd_node_bool *qd_node_clauses(const qd_node *n)
{
    return n->kind == QD_NATIVE_BOOL ? &n->u.boolean : NULL;
}

const qd_node_pattern *qd_node_pattern_of(const qd_node *n)
{
    return n->kind == QD_NATIVE_PATTERN ? &n->u.pattern : NULL;
}

const qd_node_range *qd_node_term_range_of(const qd_node *n)
{
    return n->kind == QD_NATIVE_RANGE && n->u.range.kind == QD_RANGE_TERM ? &n->u.range : NULL;
}

const qd_node_term *qd_node_term_of(const qd_node *n)
{
    return n->kind == QD_NATIVE_TERM ? &n->u.term : NULL;
}

bool qd_node_is_none(const qd_node *n)
{
    return n->kind == QD_NATIVE_MATCH_NONE;
}

const qd_node *qd_node_unwrapped(const qd_node *n)
{
    while (n->kind == QD_NATIVE_CONSTANT) n = n->u.child;
    return n;
}

const qd_node_knn *qd_node_nearest(const qd_node *n)
{
    return n->kind == QD_NATIVE_KNN ? &n->u.knn : NULL;
}

typedef enum holds {
    HOLDS_NOTHING,
    HOLDS_CHILD,
    HOLDS_OTHERS,
    HOLDS_CHILDREN,
    HOLDS_CLAUSES,
    HOLDS_OPERATOR
} holds;

uint32_t qd_node_lists(const qd_node *n, qd_node_list *out)
{
#define QD_NODE(kind, row, what) HOLDS_##what,
    static const holds table[] = {
#include "query/nodes.def"
    };
#undef QD_NODE
    const qd_node_bool *b = &n->u.boolean;
    switch (table[n->kind]) {
    case HOLDS_CHILD:
        out[0] = (qd_node_list){.nodes = &n->u.child, .n = 1};
        return 1;
    case HOLDS_OTHERS:
        out[0] = (qd_node_list){.nodes = &n->u.child, .n = 1, .excluded = true};
        return 1;
    case HOLDS_CHILDREN:
        out[0] = (qd_node_list){.nodes = n->u.dis_max.children, .n = n->u.dis_max.n};
        return 1;
    case HOLDS_CLAUSES:
        out[0] = (qd_node_list){.nodes = b->must, .n = b->nmust};
        out[1] = (qd_node_list){.nodes = b->should, .n = b->nshould};
        out[2] = (qd_node_list){.nodes = b->filter, .n = b->nfilter};
        out[3] = (qd_node_list){.nodes = b->must_not, .n = b->nmust_not, .excluded = true};
        return 4;
    case HOLDS_OPERATOR:
        out[0] = (qd_node_list){.nodes = n->u.custom.children, .n = n->u.custom.nchildren};
        return n->u.custom.nchildren != 0;
    case HOLDS_NOTHING:
        break;
    }
    return 0;
}
