/* range.c: a numeric, IPv6 or term interval, all with the score boost. */
#include "base/str.h"
#include "mapping/field.h"
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/leaf/range_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "segment/segment.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_range *g = &n->u.range;
    char ip[46];
    (void)in_bool;
    qdi_put_field(to, g->field);
    if (g->kind == QD_RANGE_TERM) {
        qdi_put(to, g->from_inclusive ? "[" : "{");
        qd_str low = g->by_column ? g->from_text : g->from,
               high = g->by_column ? g->to_text : g->to;
        qdi_put_str(to, g->has_from ? low : QD_STR("*"));
        qdi_put(to, " TO ");
        qdi_put_str(to, g->has_to ? high : QD_STR("*"));
        qdi_put(to, g->to_inclusive ? "]" : "}");
        return;
    }
    qdi_put(to, "[");
    if (g->kind == QD_RANGE_I64) {
        qdi_put_int(to, g->lo);
        qdi_put(to, " TO ");
        qdi_put_int(to, g->hi);
    } else {
        qdi_put_str(to, (qd_str){ip, qd_ip_print(ip, g->lo16)});
        qdi_put(to, " TO ");
        qdi_put_str(to, (qd_str){ip, qd_ip_print(ip, g->hi16)});
    }
    qdi_put(to, "]");
}

static const qd_points_stats *points_of(const qd_leaf *leaf, uint32_t field)
{
    const qd_points_set *set = qd_segment_points(leaf->segment);
    const qd_points *p = set ? qd_points_get(set, field) : NULL;
    return p ? qd_points_stats_get(p) : NULL;
}

/* Can a value of this segment lie in the range? */
static bool range_meets(const qd_leaf *leaf, const qd_node_range *r)
{
    uint32_t field = qd_segment_field_find(leaf->segment, r->field);
    if (field == QD_FIELD_NONE) return false;
    const qd_points_stats *p = points_of(leaf, field);
    if (p && p->points && r->kind == QD_RANGE_B16 && p->type == QD_POINT_B16) {
        return memcmp(p->min.b, r->hi16, 16) <= 0 && memcmp(p->max.b, r->lo16, 16) >= 0;
    }
    if (p && p->points && r->kind == QD_RANGE_I64 && p->type == QD_POINT_I64) {
        return p->min.i <= r->hi && p->max.i >= r->lo;
    }
    const qd_column_stats *c = qdi_column_stats(leaf, field);
    if (!c || r->kind != QD_RANGE_I64 || c->type != QD_COLUMN_I64) return true;
    return c->values && c->min <= r->hi && c->max >= r->lo;
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    (void)depth;
    return range_meets(leaf, &n->u.range);
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)boost;
    return qdi_explain_constant(x, n, match, score, n->u.range.kind == QD_RANGE_TERM);
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    qd_highlighter *h = g->h;
    if (n->u.range.kind != QD_RANGE_TERM || n->u.range.by_column ||
        !qdi_highlight_wants(g, n->u.range.field) || h->nranges == QDI_HIGHLIGHT_LISTS_MAX)
        return 0;
    if (!g->counting) h->ranges[h->nranges].range = n->u.range;
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_RANGE, (qd_str){NULL, 0}, h->nranges, boost);
    h->nranges++;
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_range *r = &n->u.range;
    if (r->kind == QD_RANGE_TERM) return qdi_set_from_range(p, n, a.boost, a.scores, out, err);
    bool none = r->kind == QD_RANGE_I64 ? r->lo > r->hi : memcmp(r->lo16, r->hi16, 16) > 0;
    qdi_node *x =
        qdi_plan_node(p, none ? &qdi_node_match_none : &qdi_node_range, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    if (none) return 0;
    x->u.range.field = qdi_plan_field(p, r->field, err);
    if (!x->u.range.field) return QD_E_NOMEM;
    x->u.range.kind = r->kind;
    x->u.range.lo = r->lo;
    x->u.range.hi = r->hi;
    memcpy(x->u.range.lo16, r->lo16, 16);
    memcpy(x->u.range.hi16, r->hi16, 16);
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    qdi_range_plan_out g;
    qdi_range_plan(r, x, &g);
    if (!g.points && x->u.range.kind == QD_RANGE_B16) {
        uint32_t f = x->u.range.field->number[r->leaf->index];
        return f == QD_FIELD_NONE ? 0 : qdi_leaf_by_column(r, x, f, l, err);
    }
    if (!g.most) return 0;
    if (qdi_range_by_column(r, x, &g)) {
        l->type = &qdi_node_range;
        l->cost = g.most < r->ndocs ? g.most : r->ndocs;
        return qdi_range_make(r, g.column, g.lo.i, g.hi.i, &l->u.range, err);
    }
    qd_points_reader *points;
    int rc = qdi_leaf_by_bits(r, l, g.most, err);
    if (!rc) rc = qd_points_plan(g.points, g.lo, g.hi, false, r->reads, r->arena, &points, err);
    return rc ? rc : qdi_leaf_await_points(r, l, points, err);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    return qdi_range_next(r, l->u.range, from);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)r;
    int rc = qdi_fill_range(l->u.range, w, cand, out, err);
    if (!rc) qdi_add_boost(l, w, out, acc);
    return rc;
}

const qd_node_type qdi_node_range = {.name = "range",
                                     .flags = QDI_NODE_INTERVAL | QDI_NODE_FLAT,
                                     .describe = describe,
                                     .cost = qdi_cost_one,
                                     .may_match = may_match,
                                     .explain = explain,
                                     .matches = matches,
                                     .compile = compile,
                                     .plan = plan,
                                     .next = next,
                                     .bound = qdi_bound_boost,
                                     .fill = fill};
