/*
 * range_count.c: how many documents a range has, by the two border blocks of its points: what lies
 * between them is known by the resident heads.
 */
#include "base/done.h"
#include "search/leaf/leaf_int.h"

int qdi_range_count(qd_plan *p, const qd_leaf *leaf, const qdi_node *x, qd_arena *arena,
                    uint64_t *n, qd_err *err)
{
    if (leaf->live || !qdi_plan_can(x, QDI_NODE_INTERVAL)) return QD_DECLINED;
    uint32_t f = x->u.range.field->number[leaf->index];
    const qd_points_set *set = f == QD_FIELD_NONE ? NULL : qd_segment_points(leaf->segment);
    const qd_points *points = set ? qd_points_get(set, f) : NULL;
    bool b16 = x->u.range.kind == QD_RANGE_B16;
    if (!points || qd_points_stats_get(points)->multi ||
        qd_points_stats_get(points)->type != (b16 ? QD_POINT_B16 : QD_POINT_I64))
        return QD_DECLINED;
    qd_point_value lo = {.i = x->u.range.lo}, hi = {.i = x->u.range.hi};
    if (b16) {
        memcpy(lo.b, x->u.range.lo16, 16);
        memcpy(hi.b, x->u.range.hi16, 16);
    }
    qd_points_reader *rd;
    qd_reads *reads = qd_reads_make(arena, p->account);
    if (!reads) return qd_err_nomem(err, "search");
    int rc = qd_points_plan(points, lo, hi, true, reads, arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    if (!rc) rc = qd_points_count(rd, n, err);
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    return qd_done(rc);
}
