/*
 * geo.c: documents of which a point in a column lies in a shape, all with the score boost. Windows
 * ask it last, for what the band of latitudes beside it left; the task is looked at in between.
 */
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "segment/segment.h"
#include <stdio.h>

#define TICK 4096u /* points, or corners of polygons, between two looks at the task */

/* Of the plan. */
typedef struct geo {
    qdi_field *field;
    const qd_node_geo *shape;
} geo;

/* Of a segment. */
typedef struct testing {
    const qd_node_geo *shape;
    qd_column_reader *rd;
    uint32_t tested;
} testing;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    static const char *const names[] = {"circle", "box", "polygon"};
    char text[160];
    const qd_node_geo *g = n->u.geo;
    (void)in_bool;
    qdi_put_field(to, g->field);
    qdi_put(to, names[g->shape]);
    if (g->shape == QD_SHAPE_CIRCLE)
        snprintf(text, sizeof text, "(%g,%g +/- %g meters)", g->center.lat, g->center.lon,
                 g->meters);
    else if (g->shape == QD_SHAPE_BOX)
        snprintf(text, sizeof text, "([%d TO %d],[%d TO %d])", g->lat[0], g->lat[1], g->lon[0],
                 g->lon[1]);
    else
        snprintf(text, sizeof text, "(%u corners)", g->n);
    qdi_put(to, text);
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    (void)depth;
    return qd_segment_field_find(leaf->segment, n->u.geo->field) != QD_FIELD_NONE;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_geo, n, a.boost, a.scores, err);
    geo *g = qd_arena_calloc(p->arena, sizeof *g);
    if (!x || !g) return qd_err_nomem(err, "query plan");
    *out = x;
    x->u.own = g;
    g->shape = n->u.geo;
    g->field = qdi_plan_field(p, g->shape->field, err);
    return g->field ? 0 : QD_E_NOMEM;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const geo *g = x->u.own;
    uint32_t f = g->field->number[r->leaf->index];
    const qd_columns *set = qd_segment_columns(r->leaf->segment);
    const qd_column *column = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    if (!column || qd_column_stats_get(column)->type != QD_COLUMN_I64) return 0;
    if (!qd_column_stats_get(column)->docs) return 0;
    testing *t = qd_arena_calloc(r->arena, sizeof *t);
    if (!t) return qd_err_nomem(err, "search");
    t->shape = g->shape;
    l->type = &qdi_node_geo;
    l->u.own = t;
    l->cost = r->ndocs + 1ull; /* behind all that narrows */
    return qd_column_plan(column, 0, r->ndocs, r->reads, r->arena, &t->rd, err);
}

/* --- the shapes --- */

static bool in_circle(const qd_node_geo *g, int64_t v)
{
    qd_geo p = qd_geo_decode(v);
    double d = g->plane ? qd_geo_plane(g->center, p) : qd_geo_arc(g->center, p);
    return d <= g->meters;
}

static bool in_box(const qd_node_geo *g, int64_t v)
{
    int32_t lon = qd_geo_lon_of(v);
    if (g->lon[0] <= g->lon[1]) return lon >= g->lon[0] && lon <= g->lon[1];
    return lon >= g->lon[0] || lon <= g->lon[1]; /* over the date line */
}

/* Sunday's rule of crossings; what lies on an edge is within. */
static bool in_polygon(const qd_node_geo *g, int64_t v)
{
    qd_geo p = qd_geo_decode(v);
    bool in = false;
    for (uint32_t i = 0; i < g->n; i++) {
        qd_geo a = g->corners[i], b = g->corners[i + 1 < g->n ? i + 1 : 0];
        double side = (b.lon - a.lon) * (p.lat - a.lat) - (p.lon - a.lon) * (b.lat - a.lat);
        if (side == 0 && p.lat >= fmin(a.lat, b.lat) && p.lat <= fmax(a.lat, b.lat) &&
            p.lon >= fmin(a.lon, b.lon) && p.lon <= fmax(a.lon, b.lon))
            return true;
        if (a.lat <= p.lat && b.lat > p.lat && side > 0) in = !in;
        if (b.lat <= p.lat && a.lat > p.lat && side < 0) in = !in;
    }
    return in;
}

static bool passes(const qd_node_geo *g, int64_t v)
{
    int32_t lat = qd_geo_lat_of(v);
    if (lat < g->lat[0] || lat > g->lat[1]) return false;
    return g->shape == QD_SHAPE_CIRCLE ? in_circle(g, v)
           : g->shape == QD_SHAPE_BOX  ? in_box(g, v)
                                       : in_polygon(g, v);
}

static int doc_passes(qdi_run *r, void *arg, uint32_t doc, bool *yes, qd_err *err)
{
    testing *t = arg;
    const int64_t *v;
    uint32_t n;
    *yes = false;
    int rc = qd_column_values(t->rd, doc, &v, &n, err);
    for (uint32_t i = 0; i < n && !rc && !*yes; i++) {
        *yes = passes(t->shape, v[i]);
        t->tested += 1 + t->shape->n;
        if (t->tested < TICK) continue;
        t->tested = 0;
        rc = qdi_run_tick(r);
    }
    return rc;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    return qdi_fill_tested(r, l, w, cand, doc_passes, out, acc, err);
}

const qd_node_type qdi_node_geo = {.name = "geo",
                                   .flags = QDI_NODE_FLAT,
                                   .describe = describe,
                                   .may_match = may_match,
                                   .compile = compile,
                                   .plan = plan,
                                   .next = qdi_next_any,
                                   .bound = qdi_bound_boost,
                                   .fill = fill};
