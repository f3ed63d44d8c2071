/* range.c: a numeric, IPv6 or term interval, all with the score boost. */
#include "base/str.h"
#include "mapping/field.h"
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
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
        qdi_put_str(to, g->has_from ? g->from : QD_STR("*"));
        qdi_put(to, " TO ");
        qdi_put_str(to, g->has_to ? g->to : QD_STR("*"));
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

static const qd_column_stats *column_of(const qd_leaf *leaf, uint32_t field)
{
    const qd_columns *set = qd_segment_columns(leaf->segment);
    const qd_column *c = set ? qd_columns_get(set, field) : NULL;
    return c ? qd_column_stats_get(c) : NULL;
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
    const qd_column_stats *c = column_of(leaf, field);
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
    if (n->u.range.kind != QD_RANGE_TERM || !qdi_highlight_wants(g, n->u.range.field) ||
        h->nranges == QDI_HIGHLIGHT_LISTS_MAX)
        return 0;
    if (!g->counting) h->ranges[h->nranges].range = n->u.range;
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_RANGE, (qd_str){NULL, 0}, h->nranges, boost);
    h->nranges++;
    return 0;
}

const qd_node_type qdi_node_range = {.name = "range",
                                     .describe = describe,
                                     .cost = qdi_cost_one,
                                     .may_match = may_match,
                                     .explain = explain,
                                     .matches = matches};
