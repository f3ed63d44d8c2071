/*
 * geo_centroid.c: geo_centroid: the mean of latitudes and that of longitudes of all points.
 */
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "base/geo.h"
#include <math.h>

typedef struct value {
    double lat, lat_low, lon, lon_low;
    uint64_t n;
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct state {
    value *rows;
    uint32_t cap;
} state;

static int open_state(qdi_aggr *a, qd_err *err)
{
    a->state = qd_arena_calloc(&a->shard->arena, sizeof(state));
    return a->state ? 0 : qdi_aggs_no_memory(a->shard->account, sizeof(state), "geo_centroid", err);
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
            qdi_kahan(&v->lat, &v->lat_low, p.lat);
            qdi_kahan(&v->lon, &v->lon_low, p.lon);
        }
        v->n += to - from;
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
    value *to = value_of(out);
    (void)r, (void)err;
    for (uint32_t i = 0; i < k; i++) {
        const value *v = value_of(in[i]);
        qdi_kahan(&to->lat, &to->lat_low, v->lat - v->lat_low);
        qdi_kahan(&to->lon, &to->lon_low, v->lon - v->lon_low);
        to->n += v->n;
    }
    return 0;
}

static void send_value(const qdi_out *o, qd_writer *w)
{
    const value *v = value_of(o);
    qd_write_double(w, v->lat);
    qd_write_double(w, v->lat_low);
    qd_write_double(w, v->lon);
    qd_write_double(w, v->lon_low);
    qd_write_varint(w, v->n);
}

static void receive_value(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    value *v = value_of(o);
    (void)tree, (void)arena;
    v->lat = qd_read_double(r, "geo_centroid.lat");
    v->lat_low = qd_read_double(r, "geo_centroid.lat_low");
    v->lon = qd_read_double(r, "geo_centroid.lon");
    v->lon_low = qd_read_double(r, "geo_centroid.lon_low");
    v->n = qd_read_varint(r, "geo_centroid.count");
}

static void write_value(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const value *v = value_of(o);
    (void)typed;
    if (v->n) {
        qd_json_key_c(w, "location");
        qd_json_object(w);
        qd_json_field_double(w, "lat", (v->lat - v->lat_low) / (double)v->n);
        qd_json_field_double(w, "lon", (v->lon - v->lon_low) / (double)v->n);
        qd_json_object_end(w);
    }
    qd_json_key_c(w, "count");
    qd_json_uint(w, v->n);
}

const qd_agg_type qdi_aggs_geo_centroid = {
    .name = "geo_centroid",
    .key = "geo_centroid",
    .flags = QDI_METRIC | QDI_VALUES | QDI_GEO | QDI_NO_ORDER,
    .value_size = sizeof(value),
    .members = "field,missing",
    .parse = qdi_aggs_parse_field,
    .ops = &ops,
    .reduce = reduce,
    .send = send_value,
    .receive = receive_value,
    .write = write_value,
};
