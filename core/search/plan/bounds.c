/* bounds.c: see bounds.h. */
#include "search/plan/bounds.h"
#include "search/node_type_int.h"
#include "segment/segment.h"
#include <string.h>

const qd_column_stats *qdi_column_stats(const qd_leaf *leaf, uint32_t field)
{
    const qd_columns *set = qd_segment_columns(leaf->segment);
    const qd_column *c = set ? qd_columns_get(set, field) : NULL;
    return c ? qd_column_stats_get(c) : NULL;
}

bool qdi_node_may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    const qd_node_type *type = qdi_node_type_of(n);
    return depth >= QD_NODE_DEPTH_MAX || !type->may_match || type->may_match(leaf, n, depth);
}

bool qd_searcher_may_match(const qd_searcher *s, const qd_node *root)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        const qd_leaf *leaf = qd_searcher_leaf(s, i);
        if (leaf->live_docs && qdi_node_may_match(leaf, root, 0)) return true;
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
        const qd_column_stats *c = f == QD_FIELD_NONE ? NULL : qdi_column_stats(leaf, f);
        if (all) *all &= c && c->dense;
        if (!c || !c->values || c->type != QD_COLUMN_I64) continue;
        if (!any || c->min < *min) *min = c->min;
        if (!any || c->max > *max) *max = c->max;
        any = true;
    }
    return any;
}
