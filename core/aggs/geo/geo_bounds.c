/*
 * geo_bounds.c: geo_bounds: the smallest box that holds all points. Points east and west of
 * Greenwich are kept apart, so that the box may go over the date line where that is narrower.
 */
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "base/geo.h"
#include <math.h>

typedef struct params {
    bool wrap;
} params;

typedef struct value {
    bool any;
    double top, bottom, east[2], west[2]; /* east, west: least and greatest of >= 0, of < 0 */
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

static void clear(value *v)
{
    *v = (value){.top = -INFINITY,
                 .bottom = INFINITY,
                 .east = {INFINITY, -INFINITY},
                 .west = {INFINITY, -INFINITY}};
}

static void widen(double range[2], double least, double most)
{
    if (least < range[0]) range[0] = least;
    if (most > range[1]) range[1] = most;
}

static void merge(value *to, const value *v)
{
    if (!v->any) return;
    if (!to->any) clear(to);
    to->any = true;
    if (v->top > to->top) to->top = v->top;
    if (v->bottom < to->bottom) to->bottom = v->bottom;
    widen(to->east, v->east[0], v->east[1]);
    widen(to->west, v->west[0], v->west[1]);
}

static int parse(qdi_parse *p, qdi_agg *a)
{
    params *x = a->params;
    x->wrap = true;
    int rc = qdi_aggs_common(p, a, true);
    return rc ? rc : qdi_aggs_get_bool(p, a, "wrap_longitude", &x->wrap);
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct state {
    value *rows;
    uint32_t cap;
} state;

static int open_state(qdi_aggr *a, qd_err *err)
{
    a->state = qd_arena_calloc(&a->shard->arena, sizeof(state));
    return a->state ? 0 : qdi_aggs_no_memory(a->shard->account, sizeof(state), "geo_bounds", err);
}

static int grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    state *t = a->state;
    return qdi_aggs_grow(a->shard->account, &t->rows, &t->cap, n, sizeof *t->rows, err);
}

static int collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n, qd_err *err)
{
    state *t = a->state;
    if (!a->src) return 0;
    int rc = qdi_aggs_source_index(a->shard, a->src, err);
    for (uint32_t i = 0; !rc && i < n; i++) {
        uint32_t from, to;
        value *v = &t->rows[owner ? owner[i] : 0];
        qdi_source_doc(a->src, idx ? idx[i] : i, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            qd_geo p = qd_geo_decode(a->src->v[k]);
            if (!v->any) clear(v);
            v->any = true;
            if (p.lat > v->top) v->top = p.lat;
            if (p.lat < v->bottom) v->bottom = p.lat;
            widen(p.lon >= 0 ? v->east : v->west, p.lon, p.lon);
        }
    }
    return rc;
}

static int build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    const state *t = a->state;
    (void)err;
    if (owner < t->cap) *value_of(out) = t->rows[owner];
    return 0;
}

static void close_state(qdi_aggr *a)
{
    state *t = a->state;
    if (t) qd_free(t->rows);
}

static const qdi_ops ops = {
    .open = open_state, .grow = grow, .collect = collect, .build = build, .close = close_state};

/* --- results ---------------------------------------------------------------------------------- */

static int reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    (void)r, (void)err;
    for (uint32_t i = 0; i < k; i++) merge(value_of(out), value_of(in[i]));
    return 0;
}

static void send_value(const qdi_out *o, qd_writer *w)
{
    const value *v = value_of(o);
    double all[] = {v->top, v->bottom, v->east[0], v->east[1], v->west[0], v->west[1]};
    qd_write_varint(w, v->any);
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qd_write_double(w, all[i]);
}

static void receive_value(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    value *v = value_of(o);
    (void)tree, (void)arena;
    double *all[] = {&v->top, &v->bottom, &v->east[0], &v->east[1], &v->west[0], &v->west[1]};
    v->any = qd_read_varint(r, "geo_bounds.any") != 0;
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) *all[i] = qd_read_double(r, "geo_bounds.edge");
}

static void corner(const char *name, double lat, double lon, qd_json_writer *w)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
    qd_json_field_double(w, "lat", lat);
    qd_json_field_double(w, "lon", lon);
    qd_json_object_end(w);
}

static void write_value(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const value *v = value_of(o);
    const params *x = o->def->params;
    (void)typed;
    if (!v->any) return;
    double left = v->west[0], right = v->east[1];
    if (isinf(left)) { /* all points are east */
        left = v->east[0];
    } else if (isinf(right)) {
        right = v->west[1];
    } else if (x->wrap && right - left > 360 - v->east[0] + v->west[1]) {
        left = v->east[0];
        right = v->west[1];
    }
    qd_json_key_c(w, "bounds");
    qd_json_object(w);
    corner("top_left", v->top, left, w);
    corner("bottom_right", v->bottom, right, w);
    qd_json_object_end(w);
}

const qd_agg_type qdi_aggs_geo_bounds = {
    .name = "geo_bounds",
    .key = "geo_bounds",
    .flags = QDI_METRIC | QDI_VALUES | QDI_GEO | QDI_NO_ORDER,
    .params_size = sizeof(params),
    .value_size = sizeof(value),
    .members = "field,missing,wrap_longitude",
    .parse = parse,
    .ops = &ops,
    .reduce = reduce,
    .send = send_value,
    .receive = receive_value,
    .write = write_value,
};
