/*
 * geo_grid.c: cells of the earth as buckets. A document counts once in each cell that a point of it
 * lies in. The best cells are those of the most documents, and of these, as Elasticsearch has it,
 * the ones with the greatest keys.
 */
#include "aggs/geo/geo_grid_int.h"
#include "aggs/reduce/reduce_int.h"
#include "mapping/geo_read.h"

#define SIZE 10000

/* --- parsing ---------------------------------------------------------------------------------- */

static int corner(qdi_parse *p, const qd_json_node *m, qd_geo_corner which, qd_geo *out)
{
    return qd_geo_read_node(m, &(qd_geo_reading){.corner = which}, out, p->err);
}

static int edge(qdi_parse *p, const qd_json_node *m, double *out)
{
    qd_str t = qd_json_text(m);
    if (t.p && !qd_f64_parse_java(t, out)) return 0;
    return qd_err_set(p->err, QD_E_ES_PARSE, "failed to parse bounding box: [%.*s] is no number",
                      QD_STR_ARG(m->key));
}

static int bounds_of(qdi_parse *p, const qd_json_node *n, qdi_geo_box *b)
{
    qd_geo at;
    int rc = 0;
    *b = (qdi_geo_box){NAN, NAN, NAN, NAN};
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        bool left = qd_str_ends(m->key, QD_STR("left")), top = qd_str_starts(m->key, QD_STR("top"));
        if (qd_str_is(m->key, "top")) {
            rc = edge(p, m, &b->north);
        } else if (qd_str_is(m->key, "bottom")) {
            rc = edge(p, m, &b->south);
        } else if (qd_str_is(m->key, "left")) {
            rc = edge(p, m, &b->west);
        } else if (qd_str_is(m->key, "right")) {
            rc = edge(p, m, &b->east);
        } else if (qdi_aggs_listed("top_left,top_right,bottom_left,bottom_right", m->key)) {
            rc = corner(p, m,
                        top    ? left ? QD_GEO_TOP_LEFT : QD_GEO_TOP_RIGHT
                        : left ? QD_GEO_BOTTOM_LEFT
                               : QD_GEO_BOTTOM_RIGHT,
                        &at);
            if (rc) break;
            *(top ? &b->north : &b->south) = at.lat;
            *(left ? &b->west : &b->east) = at.lon;
        } else {
            return qd_err_set(p->err, QD_E_ES_PARSE,
                              "failed to parse bounding box. unexpected field [%.*s]",
                              QD_STR_ARG(m->key));
        }
    }
    if (rc) return rc;
    if (!(b->north >= b->south) || isnan(b->west) || isnan(b->east)) {
        return qd_err_set(p->err, QD_E_ES_PARSE,
                          "failed to parse bounding box: top is below bottom corner, or an edge is "
                          "missing");
    }
    return 0;
}

int qdi_aggs_geo_grid_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_geo_grid *g = qdi_geo_grid_of(a);
    const qd_json_node *bounds = qd_json_get(a->json, "bounds");
    int64_t size = SIZE, shard_size = -1;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shard_size", &shard_size);
    if (!rc) rc = qdi_aggs_at_least(p, a, "size", "size", size, 1);
    if (!rc && shard_size != -1)
        rc = qdi_aggs_at_least(p, a, "shard_size", "shardSize", shard_size, 1);
    if (!rc && bounds) {
        if (bounds->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, a->type->name, bounds);
        rc = bounds_of(p, bounds, &g->bounds);
        if (rc) return qdi_aggs_setter(p, a->type->name, bounds);
        g->bounded = true;
    }
    if (rc) return rc;
    if (shard_size < 0) shard_size = (int64_t)((double)size * 1.5 + 10);
    if (shard_size < size) shard_size = size;
    g->terms.size = size > INT32_MAX ? INT32_MAX : (uint32_t)size;
    g->terms.shard_size = shard_size > INT32_MAX ? INT32_MAX : (uint32_t)shard_size;
    a->min_doc_count = 1;
    a->order = qd_arena_calloc(p->arena, 2 * sizeof *a->order);
    if (!a->order) return qd_err_nomem(p->err, "order");
    a->order[0] = (qdi_order){.by = QDI_BY_COUNT};
    a->order[1] = (qdi_order){.by = QDI_BY_KEY};
    a->norder = 2;
    return 0;
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct state {
    int64_t *keys; /* of a document */
    uint32_t cap;
} state;

static int grid_open(qdi_aggr *a, qd_err *err)
{
    a->state = qd_arena_calloc(&a->shard->arena, sizeof(state));
    return a->state ? 0 : qdi_aggs_no_memory(a->shard->account, sizeof(state), "geo_grid", err);
}

static bool is_inside(const qdi_geo_grid *g, int64_t key)
{
    qdi_geo_box c;
    const qdi_geo_box *b = &g->bounds;
    if (!g->bounded) return true;
    g->box(key, &c);
    if (!(b->north > c.south && b->south < c.north)) return false;
    return b->west > b->east ? b->west < c.east || b->east > c.west
                             : b->west < c.east && b->east > c.west;
}

static int key_order(const void *arg, const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    (void)arg;
    return a < b ? -1 : a > b;
}

/* The cells of values [from, to) of a document, each once. */
static int cells_of(qdi_aggr *a, uint32_t from, uint32_t to, uint32_t *out, qd_err *err)
{
    state *t = a->state;
    const qdi_geo_grid *g = qdi_geo_grid_of(a->def);
    uint32_t n = 0, kept = 0;
    int rc = qdi_aggs_grow(a->shard->account, &t->keys, &t->cap, to - from, sizeof *t->keys, err);
    if (rc) return rc;
    for (uint32_t k = from; k < to; k++) {
        int64_t key = g->cell(g->precision, a->src->v[k]);
        if (is_inside(g, key)) t->keys[n++] = key;
    }
    if (n > 1 && qdi_aggs_sort(a->shard->account, t->keys, n, sizeof *t->keys, key_order, NULL))
        return qdi_aggs_no_memory(a->shard->account, n * sizeof *t->keys, "geo_grid", err);
    for (uint32_t i = 0; i < n; i++)
        if (!kept || t->keys[i] != t->keys[kept - 1]) t->keys[kept++] = t->keys[i];
    *out = kept;
    return 0;
}

static int grid_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                        qd_err *err)
{
    const state *t = a->state;
    if (!a->src) return 0;
    int rc = qdi_aggs_source_index(a->shard, a->src, err);
    for (uint32_t i = 0; !rc && i < n; i++) {
        uint32_t from, to, cells = 0, bucket, at = idx ? idx[i] : i;
        qdi_source_doc(a->src, at, &from, &to);
        if (from == to) continue;
        rc = cells_of(a, from, to, &cells, err);
        for (uint32_t k = 0; !rc && k < cells; k++) {
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, t->keys[k], &bucket, err);
            if (!rc) rc = qdi_emit(a, at, bucket, err);
        }
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

static int grid_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    return qdi_terms_build(a, owner, &(qdi_terms_found){0}, out, err);
}

static void grid_close(qdi_aggr *a)
{
    state *t = a->state;
    if (t) qd_free(t->keys);
}

const qdi_ops qdi_aggs_geo_grid_ops = {
    .open = grid_open, .collect = grid_collect, .build = grid_build, .close = grid_close};

/* --- results ---------------------------------------------------------------------------------- */

void qdi_aggs_geo_grid_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    char text[128];
    qdi_aggs_buckets_open(false, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "key", o->def->type->key_text(o, i, text));
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(false, w);
}
