/* exists.c: documents with any value in a field, all with the score boost. */
#include "search/fetch/explain_int.h"
#include "search/leaf/leaf_int.h"
#include "search/nodes/nodes_int.h"
#include "segment/segment.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "FieldExistsQuery [field=");
    qdi_put_str(to, n->u.exists);
    qdi_put(to, "]");
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    (void)depth;
    return qd_segment_field_find(leaf->segment, n->u.exists) != QD_FIELD_NONE;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)boost;
    return qdi_explain_constant(x, n, match, score, true);
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_exists, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    x->u.exists = qdi_plan_field(p, n->u.exists, err);
    if (!x->u.exists) return QD_E_NOMEM;
    return 0;
}

/* Documents with any value: the column, else the norms' field, else the points of it. */
static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t f = x->u.exists->number[r->leaf->index];
    if (f == QD_FIELD_NONE) return 0;
    qd_segment *seg = r->leaf->segment;
    const qd_columns *cs = qd_segment_columns(seg);
    const qd_column *c = cs ? qd_columns_get(cs, f) : NULL;
    const qd_points_set *ps = qd_segment_points(seg);
    const qd_points *p = ps ? qd_points_get(ps, f) : NULL;
    int rc;
    if (c) {
        const qd_column_stats *st = qd_column_stats_get(c);
        qd_column_reader *column;
        if (!st->docs) return 0;
        if (st->dense) {
            l->type = &qdi_node_match_all;
            l->cost = r->ndocs;
            return 0;
        }
        rc = qdi_leaf_by_bits(r, l, st->docs, err);
        if (!rc) rc = qd_column_plan(c, 0, r->ndocs, r->reads, r->arena, &column, err);
        return rc ? rc : qdi_leaf_await_column(r, l, column, err);
    }
    if (qd_segment_field(seg, f)->norms) {
        rc = qdi_leaf_by_bits(r, l, qd_segment_index_stats(seg, f)->docs, err);
        return rc ? rc : qdi_leaf_await_norms(r, l, x->u.exists, err);
    }
    if (p) {
        const qd_points_stats *st = qd_points_stats_get(p);
        qd_points_reader *points;
        if (!st->docs) return 0;
        rc = qdi_leaf_by_bits(r, l, st->docs, err);
        if (!rc) rc = qd_points_plan(p, st->min, st->max, false, r->reads, r->arena, &points, err);
        return rc ? rc : qdi_leaf_await_points(r, l, points, err);
    }
    return 0;
}

const qd_node_type qdi_node_exists = {.name = "exists",
                                      .describe = describe,
                                      .cost = qdi_cost_one,
                                      .may_match = may_match,
                                      .explain = explain,
                                      .compile = compile,
                                      .plan = plan};
