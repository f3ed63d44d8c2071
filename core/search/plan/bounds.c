/* bounds.c: see bounds.h. */
#include "search/plan/bounds.h"
#include "segment/segment.h"
#include <string.h>

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

static bool may(const qd_leaf *leaf, const qd_node *n, uint32_t depth);

static bool bool_may(const qd_leaf *leaf, const qd_node_bool *b, uint32_t depth)
{
    uint32_t should = 0, least = b->min_should;
    for (uint32_t i = 0; i < b->nmust; i++) {
        if (!may(leaf, b->must[i], depth)) return false;
    }
    for (uint32_t i = 0; i < b->nfilter; i++) {
        if (!may(leaf, b->filter[i], depth)) return false;
    }
    if (!least && !b->nmust && !b->nfilter) least = 1;
    if (!least) return true;
    for (uint32_t i = 0; i < b->nshould && should < least; i++) {
        should += may(leaf, b->should[i], depth);
    }
    return should >= least;
}

static bool may(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    if (depth >= QD_NODE_DEPTH_MAX) return true;
    switch (n->kind) {
    case QD_NATIVE_MATCH_NONE:
        return false;
    case QD_NATIVE_RANGE:
        return range_meets(leaf, &n->u.range);
    case QD_NATIVE_CONSTANT:
    case QD_NATIVE_BOOST:
        return may(leaf, n->u.child, depth + 1);
    case QD_NATIVE_BOOL:
        return bool_may(leaf, &n->u.boolean, depth + 1);
    case QD_NATIVE_DIS_MAX:
        for (uint32_t i = 0; i < n->u.dis_max.n; i++) {
            if (may(leaf, n->u.dis_max.children[i], depth + 1)) return true;
        }
        return false;
    case QD_NATIVE_EXISTS:
        return qd_segment_field_find(leaf->segment, n->u.exists) != QD_FIELD_NONE;
    default:
        return true;
    }
}

bool qd_searcher_may_match(const qd_searcher *s, const qd_node *root)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        const qd_leaf *leaf = qd_searcher_leaf(s, i);
        if (leaf->live_docs && may(leaf, root, 0)) return true;
    }
    return false;
}

bool qd_searcher_bounds(const qd_searcher *s, qd_str field, int64_t *min, int64_t *max, bool *all)
{
    bool any = false;
    if (all) *all = true;
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        const qd_leaf *leaf = qd_searcher_leaf(s, i);
        uint32_t f = qd_segment_field_find(leaf->segment, field);
        const qd_column_stats *c = f == QD_FIELD_NONE ? NULL : column_of(leaf, f);
        if (all) *all &= c && c->dense;
        if (!c || !c->values || c->type != QD_COLUMN_I64) continue;
        if (!any || c->min < *min) *min = c->min;
        if (!any || c->max > *max) *max = c->max;
        any = true;
    }
    return any;
}
