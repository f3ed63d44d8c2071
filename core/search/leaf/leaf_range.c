/*
 * leaf_range.c: how a range of numbers runs in a segment: by its points into a bitmap made at once,
 * or by its column window by window. Points cost what they are many; the column what is looked at:
 * the blocks whose bounds do not decide, or the few documents that other clauses leave.
 */
#include "runtime/cpu.h"
#include "search/leaf/range_int.h"

/* Nanoseconds as `make bench-ranges` measured them (docs/search.md has its table): a point into a
 * bitmap; a value of a block compared whole: as it is packed, decoded, or walked (between what it
 * takes where half of the documents have none and where they have several); a block that look-ups
 * come to, and a candidate in it (as where there are 128). */
typedef struct costs {
    double point, packed, decoded, walked;
} costs;
#define COST_BLOCK 115.0
#define COST_LOOKUP 4.6
#define LEFT_MIN 50.0 /* a window's share of points that pay for asking what others leave of it */

static const costs *costs_here(void)
{
    static const costs vectors = {0.8, 0.22, 0.41, 3.5}, scalar = {1.4, 1.45, 1.9, 4.2};
    return qd_cpu_level() >= QD_CPU_V3 ? &vectors : &scalar;
}

/* What `looked` documents cost of a column, of the `lead` of all that other clauses leave, evenly
 * spread: in each window that they are met in its candidates are looked up (not where documents
 * have several values), or its block is compared. */
static double windows(const costs *k, const qd_column_stats *st, double looked, double lead,
                      double all)
{
    double here = lead / all * QDI_WINDOW;
    if (here < 1) here = 1;
    double each = QDI_WINDOW * (st->multi || !st->dense ? k->walked : k->decoded);
    double lookups = COST_BLOCK + here * COST_LOOKUP;
    if (!st->multi && lookups < each) each = lookups;
    return (looked / here + 1) * each;
}

static const qd_points *points_of(const qdi_run *r, const qdi_node *x, uint32_t f)
{
    const qd_points_set *set = qd_segment_points(r->leaf->segment);
    const qd_points *p = set ? qd_points_get(set, f) : NULL;
    bool b16 = x->u.range.kind == QD_RANGE_B16;
    return p && qd_points_stats_get(p)->type == (b16 ? QD_POINT_B16 : QD_POINT_I64) ? p : NULL;
}

static const qd_column *column_of(const qdi_run *r, const qdi_node *x, uint32_t f)
{
    const qd_columns *set = qd_segment_columns(r->leaf->segment);
    const qd_column *c = set && x->u.range.kind != QD_RANGE_B16 ? qd_columns_get(set, f) : NULL;
    const qd_column_stats *st = c ? qd_column_stats_get(c) : NULL;
    return st && st->type == QD_COLUMN_I64 && st->docs ? c : NULL;
}

void qdi_range_plan(const qdi_run *r, const qdi_node *x, qdi_range_plan_out *out)
{
    uint32_t f = x->u.range.field->number[r->leaf->index];
    *out = (qdi_range_plan_out){.lo = {.i = x->u.range.lo}, .hi = {.i = x->u.range.hi}};
    if (f == QD_FIELD_NONE) return;
    out->points = points_of(r, x, f);
    out->column = column_of(r, x, f);
    if (x->u.range.kind == QD_RANGE_B16) {
        memcpy(out->lo.b, x->u.range.lo16, 16);
        memcpy(out->hi.b, x->u.range.hi16, 16);
    }
    uint64_t least;
    const qd_column_stats *st = out->column ? qd_column_stats_get(out->column) : NULL;
    if (out->points)
        qd_points_estimate(out->points, out->lo, out->hi, &least, &out->most);
    else if (st && st->min <= out->hi.i && st->max >= out->lo.i)
        out->most = st->docs;
}

/* Windows that the other required ranges leave, by the bounds of their columns' blocks. */
static uint32_t windows_left(const qdi_run *r, const qdi_node *but)
{
    const qdi_node *x = r->hint.beside, *c[16];
    qdi_range_plan_out g[16];
    uint32_t n = 0, left = 0;
    for (uint32_t i = 0; i < x->u.b.nmust + x->u.b.nfilter; i++) {
        c[n] = i < x->u.b.nmust ? x->u.b.must[i] : x->u.b.filter[i - x->u.b.nmust];
        c[n] = qdi_range_in(c[n]);
        if (!c[n] || c[n] == but) continue;
        qdi_range_plan(r, c[n], &g[n]);
        n += g[n].column != NULL;
    }
    for (uint32_t from = 0; from < r->ndocs && n; from += QDI_WINDOW) {
        bool some = true;
        for (uint32_t i = 0; i < n && some; i++) {
            qd_column_block_info b;
            qd_column_block_at(g[i].column, from, &b);
            some = b.docs && b.min <= g[i].hi.i && b.max >= g[i].lo.i;
        }
        left += some;
        if (from > UINT32_MAX - QDI_WINDOW) break;
    }
    return n ? left : UINT32_MAX;
}

bool qdi_range_by_column(const qdi_run *r, const qdi_node *x, const qdi_range_plan_out *g)
{
    if (!g->column) return false;
    if (!g->points) return true;
    const qd_column_stats *st = qd_column_stats_get(g->column);
    if (st->docs != qd_points_stats_get(g->points)->docs) return false;
    const costs *k = costs_here();
    double all = (double)r->ndocs, most = (double)g->most;
    double points = k->point * most + all / 512;
    double lead = (double)r->hint.lead < all ? (double)r->hint.lead : all, looked = lead;
    /* The best of constant scores are the first documents. */
    const qdi_node *root = r->plan->root;
    double first = r->hint.enough * all / (most + 1);
    bool alone = x == root || (qdi_plan_can(root, QDI_NODE_SAME_DOCS) && x == root->u.child);
    bool filters = qdi_plan_can(root, QDI_NODE_CLAUSES) && root->u.b.nmust + root->u.b.nshould == 0;
    if (filters) first = 2 * first + 64;
    if (r->hint.enough && (alone || filters) && first < looked) looked = first;
    if (windows(k, st, looked, lead, all) < points) return true;
    if (r->hint.beside && points > all / QDI_WINDOW * LEFT_MIN) {
        uint32_t left = windows_left(r, x);
        double each = QDI_WINDOW * (st->multi || !st->dense ? k->walked : k->decoded);
        if (left * each < points) return true;
    }
    qd_column_open_values open;
    qd_column_undecided(g->column, g->lo.i, g->hi.i, &open);
    double values = k->packed * (double)open.packed + k->decoded * (double)open.decoded +
                    k->walked * (double)open.walked;
    return values + all / QDI_WINDOW * 10 < points;
}

int qdi_range_make(qdi_run *r, const qd_column *c, int64_t lo, int64_t hi, struct qdi_range **out,
                   qd_err *err)
{
    struct qdi_range *g = qd_arena_calloc(r->arena, sizeof *g);
    if (!g) return qd_err_nomem(err, "search");
    *g = (struct qdi_range){.column = c, .lo = lo, .hi = hi};
    g->lookups = !qd_column_stats_get(c)->multi && (lo > INT64_MIN || hi < INT64_MAX);
    g->absent = lo > INT64_MIN ? lo - 1 : hi < INT64_MAX ? hi + 1 : 0;
    *out = g;
    return qd_column_plan(c, 0, r->ndocs, r->reads, r->arena, &g->reader, err);
}
