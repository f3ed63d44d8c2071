/* stats.c: _enrich/_stats: executions under way, look-ups and their cache, of every node. */
#include "action/api/node_part.h"
#include "action/enrich/enrich_int.h"
#include "base/features.h"

static void write_executions(const qd_enrich *e, qd_json_writer *w)
{
    for (const enrich_running *k = e->first; k; k = k->next) {
        if (!k->phase) continue;
        qd_json_object(w);
        qd_json_field_c(w, "name", k->name);
        qd_json_key_c(w, "task");
        qd_json_object(w);
        qd_json_field_str(w, "node", e->a->node_id);
        qd_json_field_int(w, "id", (int64_t)k->task->id);
        qd_json_field_c(w, "type", "transport");
        qd_json_field_c(w, "action", "cluster:admin/xpack/enrich/execute");
        qd_json_field_int(w, "start_time_in_millis", k->task->start_wall_ms);
        qd_json_field_bool(w, "cancellable", true);
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
}

static void write_cache(const qd_enrich *e, qd_json_writer *w)
{
    enrich_cache_stats s;
    qdi_enrich_cache_stats(e->cache, &s);
    qd_json_object(w);
    qd_json_field_str(w, "node_id", e->a->node_id);
    qd_json_field_int(w, "count", (int64_t)s.count);
    qd_json_field_int(w, "hits", (int64_t)s.hits);
    qd_json_field_int(w, "misses", (int64_t)s.misses);
    qd_json_field_int(w, "evictions", (int64_t)s.evictions);
    qd_json_field_int(w, "size_in_bytes", (int64_t)s.bytes);
    qd_json_object_end(w);
}

/* Look-ups do not queue: each search goes when it comes. */
static void write_lookups(qd_enrich *e, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "node_id", e->a->node_id);
    qd_json_field_int(w, "queue_size", 0);
    qd_json_field_int(w, "remote_requests_current", (int64_t)atomic_load(&e->active));
    qd_json_field_int(w, "remote_requests_total", (int64_t)atomic_load(&e->searches));
    qd_json_field_int(w, "executed_searches_total", (int64_t)atomic_load(&e->searches));
    qd_json_object_end(w);
}

int qdi_part_enrich(qd_request *q, qd_json_writer *w, qd_err *err)
{
    qd_enrich *e = qdi_enrich_of(q->a);
    (void)err;
    qd_json_object(w);
    qd_json_key_c(w, "executing_policies");
    qd_json_array(w);
    qd_mutex_lock(&e->lock);
    write_executions(e, w);
    qd_mutex_unlock(&e->lock);
    qd_json_array_end(w);
    qd_json_key_c(w, "coordinator_stats");
    write_lookups(e, w);
    qd_json_key_c(w, "cache_stats");
    write_cache(e, w);
    qd_json_object_end(w);
    return 0;
}

/* The parts of all nodes. */
typedef struct parts {
    qd_request *q;
    const qd_json_node **at;
    uint32_t n, room;
    int rc;
    qd_err *err;
} parts;

static void add(void *arg, const qd_node_meta *node, qd_str json)
{
    parts *p = arg;
    qd_json_node *root;
    (void)node;
    if (p->rc || p->n == p->room) return;
    qd_str text = qd_arena_str(p->q->arena, json);
    p->rc = text.p ? qd_json_parse(p->q->arena, text, 0, &root, p->err)
                   : qd_err_nomem(p->err, "statistics");
    if (!p->rc) p->at[p->n++] = root;
}

static void write_all(const parts *p, const char *key, qd_json_writer *w)
{
    qd_json_key_c(w, key);
    qd_json_array(w);
    for (uint32_t i = 0; i < p->n; i++) {
        const qd_json_node *m = qd_json_get(p->at[i], key);
        bool list = m && m->type == QD_JSON_T_ARRAY;
        for (const qd_json_node *k = list ? m->first : m; k; k = list ? k->next : NULL)
            qd_json_raw_value(w, k->raw);
    }
    qd_json_array_end(w);
}

int qdi_api_enrich_stats(qd_request *q, qd_response *r, qd_err *err)
{
    static const char *const keys[] = {"executing_policies", "coordinator_stats", "cache_stats"};
    node_counts counts;
    qd_state *s = qd_cluster_state(q->a->cluster);
    parts p = {.q = q, .room = s->nnodes, .err = err};
    p.at = qd_arena_alloc(q->arena, (p.room + 1ul) * sizeof *p.at);
    /* nodes of an older version do not know the part, and have no policies either */
    qd_str filter = s->features >= QD_FEATURES_SEARCH_0_3 ? QD_STR("") : QD_STR("_local");
    int rc = p.at ? qdi_node_parts(q, s, filter, NODE_PART_ENRICH, add, &p, &counts, err)
                  : qd_err_nomem(err, "statistics");
    qd_state_unref(s);
    if (rc || p.rc) return rc ? rc : p.rc;
    qd_json_object(&r->w);
    for (size_t i = 0; i < QD_COUNT_OF(keys); i++) write_all(&p, keys[i], &r->w);
    qd_json_object_end(&r->w);
    return 0;
}
