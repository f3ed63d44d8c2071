/* prox.c: parts of the trees that span queries and intervals build. */
#include "query/types/prox_int.h"

qd_prox *qdi_prox_make(qdi_builder *b, qd_prox_kind kind, qd_str field, uint32_t n,
                       const qd_prox ***sub, qd_err *err)
{
    qd_prox *x = qd_arena_calloc(b->arena, sizeof *x);
    const qd_prox **at = qd_arena_calloc(b->arena, ((size_t)n + 1) * sizeof *at);
    if (!x || !at) {
        (void)qd_err_nomem(err, "query");
        return NULL;
    }
    x->kind = kind;
    x->field = field;
    x->sub = at;
    x->n = n;
    x->extent = 1;
    if (sub) *sub = at;
    return x;
}

int qdi_prox_of(qdi_builder *b, const qd_node *n, qd_str field, const char *what,
                const qd_prox **out, qd_err *err)
{
    n = qd_node_unwrapped(n);
    const qd_node_term *t = qd_node_term_of(n);
    bool none = qd_node_is_none(n);
    bool multi = qd_node_pattern_of(n) || qd_node_term_range_of(n);
    if (!t && !none && !multi)
        return qd_err_set(err, QD_E_ARG, "[%s] cannot read the places of words in field [%.*s]",
                          what, QD_STR_ARG(field));
    qd_prox *x = qdi_prox_make(b,
                               t      ? QD_PROX_TERM
                               : none ? QD_PROX_NONE
                                      : QD_PROX_MULTI,
                               field, 0, NULL, err);
    if (!x) return QD_E_NOMEM;
    if (t) {
        x->of = t->field;
        x->term = t->term;
    }
    if (multi) x->multi = n;
    *out = x;
    return 0;
}

int qdi_prox_node(qdi_builder *b, const qd_prox *root, bool intervals, const qd_node **out,
                  qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_PROXIMITY, err);
    qd_node_prox *p = qd_arena_calloc(b->arena, sizeof *p);
    if (!n || !p) return qd_err_nomem(err, "query");
    p->field = root->field;
    p->root = root;
    p->intervals = intervals;
    n->u.prox = p;
    *out = n;
    return 0;
}
