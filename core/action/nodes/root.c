/*
 * root.c: who is there: GET /, licence and features as clients ask for them at their start, and
 * the two questions of an orchestrator: /health (alive) and /ready (serving).
 */
#include "action/api/admin_int.h"
#include "base/str.h"
#include <stdatomic.h>

static void write_version(const qdi_identity *id, qd_json_writer *w)
{
    qd_json_key_c(w, "version");
    qd_json_object(w);
    if (id->opensearch) qd_json_field_c(w, "distribution", "opensearch");
    qd_json_field_str(w, "number", id->number);
    qd_json_field_c(w, "build_flavor", "default");
    qd_json_field_c(w, "build_type", "tar");
    qd_json_field_c(w, "build_hash", id->build_hash);
    qd_json_field_c(w, "build_date", id->build_date);
    qd_json_field_bool(w, "build_snapshot", false);
    qd_json_field_c(w, "lucene_version", id->lucene);
    qd_json_field_c(w, "minimum_wire_compatibility_version", id->wire);
    qd_json_field_c(w, "minimum_index_compatibility_version", id->index);
    qd_json_object_end(w);
}

int qdi_api_info(qd_request *q, qd_response *r, qd_err *err)
{
    qdi_identity id;
    qd_json_writer *w = &r->w;
    (void)err;
    qdi_identity_get(q->a, &id);
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(w);
    qd_json_field_str(w, "name", q->a->node_name);
    qd_json_field_str(w, "cluster_name", qd_cluster_name(q->a->cluster));
    qd_json_field_c(w, "cluster_uuid", s->uuid[0] ? s->uuid : "_na_");
    write_version(&id, w);
    qd_json_field_c(w, "tagline", id.tagline);
    qd_json_object_end(w);
    qd_state_unref(s);
    return 0;
}

/* Answers as long as this thread runs: it looks at nothing else. */
int qdi_api_alive(qd_request *q, qd_response *r, qd_err *err)
{
    (void)err;
    qd_json_object(&r->w);
    qd_json_field_c(&r->w, "status", "ok");
    qd_json_field_str(&r->w, "node", q->a->node_name);
    if (q->a->shards && qd_shards_disk_full(q->a->shards)) {
        qd_json_field_bool(&r->w, "disk_full", true);
    }
    qd_json_object_end(&r->w);
    return 0;
}

typedef struct opening {
    uint32_t shards, open, failed;
} opening;

static int look_at_shard(void *arg, qd_shard *s)
{
    opening *o = arg;
    char reason[256] = "";
    o->shards++;
    if (qd_shard_ready(s, reason)) {
        o->open++;
    } else if (reason[0]) {
        o->failed++; /* it will not come by waiting: the others are served */
    }
    return 0;
}

/* What a node that has not found its cluster waits for. */
static void write_waiting(const qd_actions *a, qd_json_writer *w)
{
    qd_action_coordination c = {.asked = ""};
    a->coordination(a->coordination_arg, false, 0, &c);
    if (c.waits) qd_json_field_c(w, "reason", c.why[c.waits - 1]);
}

/* Calls of plugins that have not returned in time: the node serves, without some operators. */
static void add_calls(void *arg, const qd_plugin_usage *u)
{
    *(uint32_t *)arg += u->calls_over_time;
}

int qdi_api_ready(qd_request *q, qd_response *r, qd_err *err)
{
    opening o = {0};
    (void)err;
    bool started = atomic_load(&q->a->started);
    if (started && q->a->shards) (void)qd_shards_each(q->a->shards, look_at_shard, &o);
    /* a master waits for the others without being asked: who waits for it to be ready would wait
     * for ever, as they start one after the other */
    bool stopping = atomic_load(&q->a->stopping);
    bool ready = !stopping && (q->a->alone_ready || (started && o.open + o.failed == o.shards));
    r->status = ready ? 200 : 503;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "ready", ready);
    qd_json_field_bool(&r->w, "started", started);
    if (stopping) qd_json_field_bool(&r->w, "stopping", true);
    if (!started && q->a->coordination) write_waiting(q->a, &r->w);
    qd_json_key_c(&r->w, "shards");
    qd_json_object(&r->w);
    qd_json_field_int(&r->w, "total", o.shards);
    qd_json_field_int(&r->w, "open", o.open);
    qd_json_field_int(&r->w, "failed", o.failed);
    qd_json_object_end(&r->w);
    uint32_t over = 0;
    if (q->a->plugins) qd_plugin_usage_each(q->a->plugins, add_calls, &over);
    if (over) qd_json_field_int(&r->w, "plugin_calls_over_time", over);
    qd_json_object_end(&r->w);
    return 0;
}

/* --- licence and features: what shippers wait for before they send --- */

static void write_license(const qd_actions *a, qd_json_writer *w)
{
    char text[48];
    qd_state *s = qd_cluster_state(a->cluster);
    qd_json_field_c(w, "status", "active");
    qd_json_field_c(w, "uid", s->uuid);
    qd_json_field_c(w, "type", "basic");
    qd_json_field_c(w, "issue_date", qdi_time_text(a->start_wall_ms, text));
    qd_json_field_int(w, "issue_date_in_millis", a->start_wall_ms);
    qd_json_field_int(w, "max_nodes", 1000);
    qd_json_key_c(w, "max_resource_units");
    qd_json_null(w);
    qd_json_field_str(w, "issued_to", qd_cluster_name(a->cluster));
    qd_json_field_c(w, "issuer", "quidditch");
    qd_json_field_int(w, "start_date_in_millis", -1);
    qd_state_unref(s);
}

int qdi_api_license(qd_request *q, qd_response *r, qd_err *err)
{
    (void)err;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "license");
    qd_json_object(&r->w);
    write_license(q->a, &r->w);
    qd_json_object_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}

/* Which of the features there are; ilm, security and data_streams are asked for by name. */
static const struct {
    const char *name;
    bool available;
} features[] = {
    {"aggregate_metric", false},
    {"analytics", false},
    {"ccr", false},
    {"data_streams", true},
    {"data_tiers", false},
    {"enrich", false},
    {"eql", false},
    {"frozen_indices", false},
    {"graph", false},
    {"ilm", true},
    {"logstash", false},
    {"ml", false},
    {"monitoring", false},
    {"rollup", false},
    {"searchable_snapshots", false},
    {"security", false},
    {"slm", false},
    {"spatial", false},
    {"sql", false},
    {"transform", false},
    {"voting_only", false},
    {"watcher", false},
};

int qdi_api_xpack(qd_request *q, qd_response *r, qd_err *err)
{
    qdi_identity id;
    qd_json_writer *w = &r->w;
    (void)err;
    qdi_identity_get(q->a, &id);
    qd_json_object(w);
    qd_json_key_c(w, "build");
    qd_json_object(w);
    qd_json_field_c(w, "hash", id.build_hash);
    qd_json_field_c(w, "date", id.build_date);
    qd_json_object_end(w);
    qd_json_key_c(w, "license");
    qd_json_object(w);
    qd_json_field_c(w, "uid", id.build_hash);
    qd_json_field_c(w, "type", "basic");
    qd_json_field_c(w, "mode", "basic");
    qd_json_field_c(w, "status", "active");
    qd_json_object_end(w);
    qd_json_key_c(w, "features");
    qd_json_object(w);
    for (size_t i = 0; i < QD_COUNT_OF(features); i++) {
        qd_json_key_c(w, features[i].name);
        qd_json_object(w);
        qd_json_field_bool(w, "available", features[i].available);
        qd_json_field_bool(w, "enabled", features[i].available);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_field_c(w, "tagline", id.tagline);
    qd_json_object_end(w);
    return 0;
}
