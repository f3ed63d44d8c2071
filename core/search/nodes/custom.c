/* custom.c: an operator that could not be rewritten, by blocks of documents. */
#include "query/scope.h"
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/leaf/custom_int.h"
#include "search/nodes/nodes_int.h"

static const char *name_of(const qd_node *n)
{
    return n->u.custom.scope ? n->u.custom.scope->name : "";
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "Operator");
    if (n->u.custom.scope) {
        qdi_put(to, "(");
        qdi_put(to, name_of(n));
        qdi_put(to, ")");
    }
}

/* --- explaining ------------------------------------------------------------------------------- */

/* The operator's lines as a tree below `to`. */
static void add_lines(qdi_explaining *x, qd_explanation *to, const qdi_custom_lines *l)
{
    qd_explanation *above[64] = {to}; /* by depth */
    for (uint32_t i = 0; l && i < l->n && !x->rc; i++) {
        const qdi_custom_line *at = &l->at[i];
        qd_str text = qd_arena_str(x->arena, at->text);
        uint32_t depth = at->depth < 62 ? at->depth : 62;
        qd_explanation *e = qdi_explain_make(x, true, (float)at->value, text);
        if (e && at->count) {
            e->integer = true;
            e->count = at->value > 0 ? (uint64_t)at->value : 0;
        }
        qdi_explain_add(x, above[depth], e);
        above[depth + 1] = e;
    }
}

/* Asks the operator itself, on the segment of the document. */
static void ask(qdi_explaining *x, const qd_node *n, qd_explanation *to)
{
    qd_plan *p;
    qdi_run r = {0};
    const qdi_custom_lines *lines = NULL;
    qd_node plain = *n;
    plain.boost = 1;
    x->rc = qd_plan_make(x->s, &plain, x->o, x->arena, &p, x->err);
    if (x->rc) return;
    qdi_scratch *s = qdi_scratch_take();
    if (!s) {
        x->rc = qd_err_nomem(x->err, "explanation");
        return;
    }
    x->rc = qdi_run_begin(&r, p, x->leaf, s, true, QDI_NO_HINT, NULL, x->err);
    if (!x->rc && r.root->type == &qdi_node_custom)
        x->rc = qdi_custom_explain(r.root->u.custom, x->local, &lines, x->err);
    if (!x->rc) add_lines(x, to, lines);
    int rc = qdi_run_end(&r, x->err);
    if (!x->rc) x->rc = rc;
    qdi_scratch_give(s);
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    const qd_operator_vtable *vt = n->u.custom.vt;
    if (!match)
        return qdi_explain_make(
            x, false, 0, qd_arena_printf(x->arena, "operator [%s] does not match", name_of(n)));
    qd_explanation *e = qdi_explain_make(
        x, true, score,
        qd_arena_printf(x->arena, "operator [%s], computed as boost * score from:", name_of(n)));
    if (boost != 1) qdi_explain_add(x, e, qdi_explain_number(x, boost, "boost"));
    if (!x->rc && vt->explain) ask(x, n, e);
    for (uint32_t i = 0; i < n->u.custom.nchildren && !x->rc; i++)
        qdi_explain_add(x, e, qdi_explain_node(x, n->u.custom.children[i], 1));
    return e;
}

/* --- planning --------------------------------------------------------------------------------- */

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_custom *c = &n->u.custom;
    qdi_above below = {1, a.scores, a.depth};
    qdi_node *x = qdi_plan_node(p, &qdi_node_custom, n, a.boost, a.scores, err);
    qdi_field *f = x && c->nterms ? qdi_plan_field(p, c->field, err) : NULL;
    if (!x || (c->nterms && !f)) return QD_E_NOMEM;
    *out = x;
    for (uint32_t i = 0; i < c->nterms; i++)
        if (!qdi_plan_term(p, f, c->terms[i], NULL, err)) return QD_E_NOMEM;
    return qdi_compile_list(p, c->children, c->nchildren, below, &x->u.children, err);
}

static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    return qdi_weigh_list(p, x->u.children, x->from->u.custom.nchildren, err);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    int rc = qdi_custom_open(r, x, &l->u.custom, err);
    l->cost = x->from->u.custom.cost ? x->from->u.custom.cost : r->ndocs;
    if (!rc && l->u.custom) l->type = &qdi_node_custom;
    return rc;
}

static void ready(qdi_lnode *l)
{
    qdi_custom_ready(l->u.custom);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r;
    return qdi_custom_bound(l->u.custom, from, to) * l->boost;
}

const qd_node_type qdi_node_custom = {.name = "custom",
                                      .describe = describe,
                                      .explain = explain,
                                      .compile = compile,
                                      .weigh = weigh,
                                      .plan = plan,
                                      .ready = ready,
                                      .next = qdi_next_any,
                                      .bound = bound,
                                      .fill = qdi_fill_custom};
