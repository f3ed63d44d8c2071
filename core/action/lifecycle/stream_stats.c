/* stream_stats.c: _data_stream/_stats: how large data streams are, and how new. */
#include "action/byquery/byquery_int.h"
#include "action/indices/copy_stats.h"
#include "action/streams/streams_int.h"
#include "base/str.h"
#include "config/value.h"

typedef struct stream_size {
    const qd_alias_group *g;
    int64_t bytes, newest;
    uint32_t total, open; /* copies */
} stream_size;

/* The newest time of its documents, by a search. */
static int newest_of(qd_request *q, stream_size *x, qd_err *err)
{
    const qd_json_node *root;
    double v;
    qd_pair params[] = {{QD_STR("index"), x->g->name}};
    int rc = qdi_bq_call(q->a, "search", params, 1,
                         QD_STR("{\"size\":0,\"track_total_hits\":false,\"aggs\":{\"t\":{\"max\":"
                                "{\"field\":\"@timestamp\"}}}}"),
                         q->arena, &root, err);
    const qd_json_node *t = rc ? NULL : qd_json_get(qd_json_get(root, "aggregations"), "t");
    const qd_json_node *value = t ? qd_json_get(t, "value") : NULL;
    x->newest = value && value->type == QD_JSON_T_NUMBER && qd_value_double(value->text, &v)
                    ? (int64_t)v
                    : 0;
    return rc;
}

static int measure(qd_request *q, const qd_state *s, stream_size *x, qd_err *err)
{
    copy_stats_list f;
    qd_resolved all = {x->g->indices, x->g->n};
    int rc = qdi_copy_stats_collect(q, s, &all, 0, &f, err);
    for (uint32_t i = 0; i < x->g->n && !rc; i++) {
        const qd_index_meta *m = x->g->indices[i];
        qdi_stats primaries, sum;
        uint32_t open;
        qdi_copy_stats_sum(&f, s, m, &primaries, &sum, &open);
        x->bytes += sum.v[QDI_STORE];
        x->total += m->shards * (m->replicas + 1);
        x->open += open;
    }
    return rc ? rc : newest_of(q, x, err);
}

int qdi_api_indices_data_streams_stats(qd_request *q, qd_response *r, qd_err *err)
{
    found_streams f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    stream_size all = {0}, *each = NULL;
    uint32_t indices = 0;
    int rc = qdi_streams_find(q, s, &f, err);
    if (!rc && !(each = qd_arena_calloc(q->arena, (f.n + 1) * sizeof *each)))
        rc = qd_err_nomem(err, "data streams");
    for (uint32_t i = 0; i < f.n && !rc; i++) {
        each[i].g = f.at[i];
        rc = measure(q, s, &each[i], err);
        indices += f.at[i]->n;
        all.bytes += each[i].bytes;
        all.total += each[i].total;
        all.open += each[i].open;
    }
    if (!rc) {
        qd_json_object(&r->w);
        qd_shards_write(&r->w, all.total, all.open, 0);
        qd_json_field_int(&r->w, "data_stream_count", f.n);
        qd_json_field_int(&r->w, "backing_indices", indices);
        qdi_write_bytes(&r->w, q->human, "total_store_size", "total_store_size_bytes", all.bytes);
        qd_json_key_c(&r->w, "data_streams");
        qd_json_array(&r->w);
        for (uint32_t i = 0; i < f.n; i++) {
            qd_json_object(&r->w);
            qd_json_field_str(&r->w, "data_stream", f.at[i]->name);
            qd_json_field_int(&r->w, "backing_indices", f.at[i]->n);
            qdi_write_bytes(&r->w, q->human, "store_size", "store_size_bytes", each[i].bytes);
            qd_json_field_int(&r->w, "maximum_timestamp", each[i].newest);
            qd_json_object_end(&r->w);
        }
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
