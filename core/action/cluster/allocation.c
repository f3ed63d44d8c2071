/* allocation.c: GET|POST /_cluster/allocation/explain. */
#include "action/cluster/allocation_int.h"
#include "base/str.h"
#include "config/value.h"
#include "json/tree.h"
#include <stdio.h>

static int64_t local_size(void *arg, const char *uuid, uint32_t number)
{
    return qdi_shard_bytes(arg, uuid, number);
}

void qdi_alloc_facts_of(const qd_actions *a, qd_alloc_facts *out)
{
    *out = (qd_alloc_facts){.now_ms = qd_env_wall_ms(a->env),
                            .values = qd_config_values(a->config),
                            .shard_size = local_size,
                            .arg = (void *)(uintptr_t)a};
}

int64_t qdi_shard_bytes(const qd_actions *a, const char *uuid, uint32_t number)
{
    qdi_stats st = {0};
    qd_shard *s = qd_shards_get(a->shards, uuid, number);
    bool open = s && qdi_stats_of_shard(a, s, &st);
    qd_shard_unref(s);
    return open ? (int64_t)st.v[QDI_STORE] : 0;
}

/* --- the request --- */

typedef struct explain_request {
    qd_str index, current_node;
    int64_t shard;
    bool given, has_shard, has_primary, primary, yes, disk;
} explain_request;

static int parse_field(const qd_json_node *n, explain_request *x, qd_err *err)
{
    if (qd_str_is(n->key, "index") && n->type == QD_JSON_T_STRING) {
        x->index = n->text;
    } else if (qd_str_is(n->key, "current_node") && n->type == QD_JSON_T_STRING) {
        x->current_node = n->text;
    } else if (qd_str_is(n->key, "shard")) {
        x->has_shard = true;
        if (!qd_str_i64(qd_json_text(n), &x->shard)) {
            return qd_err_set(err, QD_E_XCONTENT,
                              "[cluster/allocation/explain] failed to parse field [shard]");
        }
    } else if (qd_str_is(n->key, "primary")) {
        x->has_primary = true;
        if (qd_json_truth(n, &x->primary)) {
            return qd_err_set(err, QD_E_XCONTENT,
                              "[cluster/allocation/explain] failed to parse field [primary]");
        }
    } else {
        return qd_err_set(err, QD_E_XCONTENT, "[cluster/allocation/explain] unknown field [%.*s]",
                          QD_STR_ARG(n->key));
    }
    return 0;
}

static int parse_body(const qd_request *q, explain_request *x, qd_err *err)
{
    qd_json_node *root = NULL;
    if (!qd_str_trim(q->body).n) return 0;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_XCONTENT,
                          "[cluster/allocation/explain] Expected START_OBJECT but was: %s",
                          qd_json_type_token(root->type));
    }
    for (const qd_json_node *n = root->first; n && !rc; n = n->next) {
        rc = parse_field(n, x, err);
        x->given = true;
    }
    return rc;
}

static int parse(const qd_request *q, explain_request *x, qd_err *err)
{
    *x = (explain_request){0};
    int rc = qd_param_bool(q, "include_yes_decisions", false, &x->yes, err);
    if (!rc) rc = qd_param_bool(q, "include_disk_info", false, &x->disk, err);
    if (!rc) rc = parse_body(q, x, err);
    if (rc) return rc;
    if (qd_param_has(q, "index")) x->index = qd_param(q, "index"), x->given = true;
    if (qd_param_has(q, "current_node")) x->current_node = qd_param(q, "current_node");
    if (qd_param_has(q, "shard")) {
        x->given = x->has_shard = true;
        rc = qd_param_i64(q, "shard", 0, &x->shard, err);
    }
    if (!rc && qd_param_has(q, "primary")) {
        x->given = x->has_primary = true;
        rc = qd_param_bool(q, "primary", false, &x->primary, err);
    }
    if (rc || !x->given || (x->index.n && x->has_shard && x->has_primary)) return rc;
    const char *missing[3];
    uint32_t n = 0;
    char text[160];
    size_t at = 0;
    if (!x->index.n) missing[n++] = "index must be specified";
    if (!x->has_shard) missing[n++] = "shard must be specified";
    if (!x->has_primary) missing[n++] = "primary must be specified";
    for (uint32_t i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%u: %s;", i + 1, missing[i]);
    }
    rc = qd_err_set(err, QD_E_ARG, "Validation Failed: %s", text);
    qd_err_type(err, "action_request_validation_exception", 400);
    return rc;
}

/* --- which copy --- */

typedef struct target {
    uint32_t shard, copy;
} target;

/* The first unassigned primary, else the first unassigned replica. */
static int find_unassigned(const qd_alloc_view *v, target *out, qd_err *err)
{
    for (int primary = 1; primary >= 0; primary--) {
        for (uint32_t s = 0; s < v->nshards; s++) {
            for (uint32_t i = 0; i < v->shards[s].ncopies; i++) {
                const qd_alloc_copy *c = &v->shards[s].copies[i];
                if (c->state != QD_ALLOC_UNASSIGNED || c->primary != (bool)primary) continue;
                *out = (target){s, i};
                return 0;
            }
        }
    }
    return qd_err_set(
        err, QD_E_ARG,
        "No shard was specified in the request which means the response should explain a "
        "randomly-chosen unassigned shard, but there are no unassigned shards in this cluster. To "
        "explain the allocation of an assigned shard you must specify the target shard in the "
        "request.");
}

static bool node_named(const qd_alloc_view *v, uint32_t node, qd_str name)
{
    return node != QD_ALLOC_NONE &&
           (qd_str_eq(v->nodes[node].id, name) || qd_str_eq(v->nodes[node].name, name));
}

static int find_copy(const qd_alloc_view *v, const explain_request *x, target *out, qd_err *err)
{
    const qd_alloc_shard *s = &v->shards[out->shard];
    bool named = x->current_node.n > 0;
    uint32_t best = QD_ALLOC_NONE;
    for (uint32_t i = 0; i < s->ncopies; i++) {
        const qd_alloc_copy *c = &s->copies[i];
        bool target_of_move = c->state == QD_ALLOC_INITIALIZING && c->partner != QD_ALLOC_NONE;
        if (c->primary != x->primary || target_of_move) continue;
        if (named && !node_named(v, c->node, x->current_node)) continue;
        if (best == QD_ALLOC_NONE ||
            (c->state == QD_ALLOC_UNASSIGNED && s->copies[best].state != QD_ALLOC_UNASSIGNED)) {
            best = i;
        }
    }
    out->copy = best;
    if (best != QD_ALLOC_NONE) return 0;
    if (named) {
        return qd_err_set(err, QD_E_ARG, "unable to find a %s shard assigned to node [%.*s]",
                          x->primary ? "primary" : "replica", QD_STR_ARG(x->current_node));
    }
    return qd_err_set(err, QD_E_ARG, "unable to find a %s of [%.*s][%lld]",
                      x->primary ? "primary" : "replica", QD_STR_ARG(x->index),
                      (long long)x->shard);
}

static int find(const qd_alloc_view *v, const explain_request *x, target *out, qd_err *err)
{
    if (!x->given) return find_unassigned(v, out, err);
    for (uint32_t i = 0; i < v->nindices; i++) {
        if (!qd_str_eq(v->indices[i].name, x->index)) continue;
        if (x->shard < 0 || x->shard >= v->indices[i].nshards) {
            return qd_err_set(err, QD_E_ARG, "no such shard: [%.*s][%lld]", QD_STR_ARG(x->index),
                              (long long)x->shard);
        }
        out->shard = v->indices[i].first + (uint32_t)x->shard;
        return find_copy(v, x, out, err);
    }
    return qd_state_no_index(x->index, err);
}

/* --- the answer --- */

typedef struct writing {
    const qd_request *q;
    qdi_identity id;
    const qd_alloc_view *v;
    const qd_alloc_explanation *e;
    qd_json_writer *w;
} writing;

static const char *verdict_name(qd_alloc_verdict v, bool upper)
{
    static const char *const names[2][3] = {{"no", "throttled", "yes"}, {"NO", "THROTTLE", "YES"}};
    return names[upper][v];
}

void qdi_alloc_words_write(const qd_alloc_word *list, uint32_t n, const char *key,
                           qd_json_writer *w)
{
    qd_json_key_c(w, key);
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_object(w);
        qd_json_field_c(w, "decider", list[i].decider);
        qd_json_field_c(w, "decision", verdict_name(list[i].verdict, true));
        qd_json_field_str(w, "explanation", list[i].text);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static void write_attributes(const writing *x, const qd_alloc_node *n, const char *key, bool always)
{
    if (!n->nattrs && !always) return;
    qd_json_key_c(x->w, key);
    qd_json_object(x->w);
    for (uint32_t i = 0; i < n->nattrs; i++) {
        qd_json_key(x->w, n->attrs[i].name);
        qd_json_str(x->w, n->attrs[i].value);
    }
    qd_json_object_end(x->w);
}

static void write_unassigned(const writing *x)
{
    char at[48];
    const qd_alloc_copy *c = &x->v->shards[x->e->shard].copies[x->e->copy];
    const qd_alloc_index *i = &x->v->indices[x->v->shards[x->e->shard].index];
    qd_json_key_c(x->w, "unassigned_info");
    qd_json_object(x->w);
    qd_json_field_c(x->w, "reason", qd_alloc_why_name(c->info.why));
    qd_json_field_c(x->w, "at", qdi_time_text(c->info.at_ms ? c->info.at_ms : i->created_ms, at));
    if (c->info.failures) qd_json_field_int(x->w, "failed_allocation_attempts", c->info.failures);
    if (c->info.details.n) qd_json_field_str(x->w, "details", c->info.details);
    qd_json_field_c(x->w, "last_allocation_status", qd_alloc_status_name(x->e->status));
    qd_json_object_end(x->w);
}

static void write_current_node(const writing *x)
{
    const qd_alloc_node *n = &x->v->nodes[x->e->node];
    qd_json_key_c(x->w, "current_node");
    qd_json_object(x->w);
    qd_json_field_str(x->w, "id", n->id);
    qd_json_field_str(x->w, "name", n->name);
    qd_json_field_str(x->w, "transport_address", n->transport_address);
    write_attributes(x, n, "attributes", false);
    qdi_roles_member(&x->id, n->roles, x->w);
    if (x->e->rank) qd_json_field_int(x->w, "weight_ranking", x->e->rank);
    qd_json_object_end(x->w);
}

static void write_node(const writing *x, const qd_alloc_node_word *o)
{
    const qd_alloc_node *n = &x->v->nodes[o->node];
    bool bound =
        x->e->state == QD_ALLOC_UNASSIGNED && x->e->primary && !x->v->shards[x->e->shard].fresh;
    qd_json_object(x->w);
    qd_json_field_str(x->w, "node_id", n->id);
    qd_json_field_str(x->w, "node_name", n->name);
    qd_json_field_str(x->w, "transport_address", n->transport_address);
    write_attributes(x, n, "node_attributes", true);
    qdi_roles_member(&x->id, n->roles, x->w);
    qd_json_field_c(x->w, "node_decision",
                    o->worse ? "worse_balance" : verdict_name(o->verdict, false));
    if (bound || o->in_sync || o->stale) {
        qd_json_key_c(x->w, "store");
        qd_json_object(x->w);
        if (o->in_sync || o->stale) {
            qd_json_field_bool(x->w, "in_sync", o->in_sync);
            qd_json_field_str(x->w, "allocation_id", o->allocation_id);
        } else {
            qd_json_field_bool(x->w, "found", false);
        }
        qd_json_object_end(x->w);
    }
    if (!bound) qd_json_field_int(x->w, "weight_ranking", o->rank);
    if (o->nwords) qdi_alloc_words_write(o->words, o->nwords, "deciders", x->w);
    qd_json_object_end(x->w);
}

static void write_disk(const writing *x, const char *key, const qd_alloc_node *n)
{
    double used = 100.0 * (double)(n->disk_total - n->disk_free) / (double)n->disk_total;
    qd_json_key_c(x->w, key);
    qd_json_object(x->w);
    qd_json_field_str(x->w, "path", QD_STR(""));
    qdi_write_bytes(x->w, x->q->human, "total", "total_bytes", n->disk_total);
    qdi_write_bytes(x->w, x->q->human, "used", "used_bytes", n->disk_total - n->disk_free);
    qdi_write_bytes(x->w, x->q->human, "free", "free_bytes", n->disk_free);
    used = (double)(int64_t)(used * 10 + 0.5) / 10;
    qd_json_field_double(x->w, "free_disk_percent", (double)(int64_t)(1000.5 - used * 10) / 10);
    qd_json_field_double(x->w, "used_disk_percent", used);
    qd_json_object_end(x->w);
}

static void write_cluster_info(const writing *x)
{
    qd_json_key_c(x->w, "cluster_info");
    qd_json_object(x->w);
    qd_json_key_c(x->w, "nodes");
    qd_json_object(x->w);
    for (uint32_t i = 0; i < x->v->nnodes; i++) {
        const qd_alloc_node *n = &x->v->nodes[i];
        if (!n->up || n->disk_total <= 0) continue;
        qd_json_key(x->w, n->id);
        qd_json_object(x->w);
        qd_json_field_str(x->w, "node_name", n->name);
        write_disk(x, "least_available", n);
        write_disk(x, "most_available", n);
        qd_json_object_end(x->w);
    }
    qd_json_object_end(x->w);
    qd_json_key_c(x->w, "shard_sizes");
    qd_json_object(x->w);
    for (uint32_t s = 0; s < x->v->nshards; s++) {
        const qd_alloc_shard *y = &x->v->shards[s];
        if (!y->size) continue;
        qd_str key = qd_arena_printf(x->q->arena, "[%.*s][%u][p]_bytes",
                                     QD_STR_ARG(x->v->indices[y->index].name), y->number);
        if (key.p) qd_json_field_int(x->w, key.p, y->size);
    }
    qd_json_object_end(x->w);
    qd_json_key_c(x->w, "reserved_sizes");
    qd_json_array(x->w);
    qd_json_array_end(x->w);
    qd_json_object_end(x->w);
}

static void write_time(const writing *x, const char *name, const char *key, int64_t ms)
{
    qdi_write_ms(x->w, x->q->human, name, key, ms > 0 ? (uint64_t)ms * 1000000u : 0);
}

static void write_decisions(const writing *x)
{
    const qd_alloc_explanation *e = x->e;
    qd_json_writer *w = x->w;
    if (e->text.n) {
        qd_json_field_str(w, "explanation", e->text);
        return;
    }
    if (e->state == QD_ALLOC_UNASSIGNED) {
        qd_json_field_c(w, "can_allocate", e->can_allocate);
        qd_json_field_str(w, "allocate_explanation", e->allocate_text);
        if (e->delay_ms >= 0) {
            write_time(x, "configured_delay", "configured_delay_in_millis", e->delay_ms);
            write_time(x, "remaining_delay", "remaining_delay_in_millis", e->remaining_ms);
        }
    } else {
        qd_json_field_c(w, "can_remain_on_current_node", verdict_name(e->can_remain, false));
        if (e->can_remain == QD_ALLOC_NO) {
            qdi_alloc_words_write(e->remain, e->nremain, "can_remain_decisions", w);
            qd_json_field_c(w, "can_move_to_other_node", e->can_move);
            qd_json_field_str(w, "move_explanation", e->move_text);
        } else {
            qd_json_field_c(w, "can_rebalance_cluster",
                            verdict_name(e->can_rebalance_cluster, false));
            if (e->ncluster) {
                qdi_alloc_words_write(e->cluster, e->ncluster, "can_rebalance_cluster_decisions",
                                      w);
            }
            qd_json_field_c(w, "can_rebalance_to_other_node", e->can_rebalance);
            qd_json_field_str(w, "rebalance_explanation", e->rebalance_text);
        }
    }
    if (!e->nnodes) return;
    qd_json_key_c(w, "node_allocation_decisions");
    qd_json_array(w);
    for (uint32_t i = 0; i < e->nnodes; i++) write_node(x, &e->nodes[i]);
    qd_json_array_end(w);
}

static void write_answer(const writing *x, const explain_request *req)
{
    static const char *const states[] = {"unassigned", "initializing", "started", "relocating"};
    const qd_alloc_shard *s = &x->v->shards[x->e->shard];
    qd_json_object(x->w);
    if (!req->given) {
        qd_json_field_c(x->w, "note",
                        "No shard was specified in the explain API request, so this response "
                        "explains a randomly chosen unassigned shard. There may be other "
                        "unassigned shards in this cluster which cannot be assigned for different "
                        "reasons. It may not be possible to assign this shard until one of the "
                        "other shards is assigned correctly. To explain the allocation of other "
                        "shards (whether assigned or unassigned) you must specify the target "
                        "shard in the request to this API.");
    }
    qd_json_field_str(x->w, "index", x->v->indices[s->index].name);
    qd_json_field_int(x->w, "shard", s->number);
    qd_json_field_bool(x->w, "primary", x->e->primary);
    qd_json_field_c(x->w, "current_state", states[x->e->state]);
    if (x->e->state == QD_ALLOC_UNASSIGNED || x->e->state == QD_ALLOC_INITIALIZING) {
        write_unassigned(x);
    }
    if (x->e->node != QD_ALLOC_NONE) write_current_node(x);
    if (req->disk) write_cluster_info(x);
    write_decisions(x);
    qd_json_object_end(x->w);
}

int qdi_api_cluster_allocation_explain(qd_request *q, qd_response *r, qd_err *err)
{
    explain_request req;
    qd_alloc_facts facts;
    qd_alloc_view view;
    qd_alloc_explanation e;
    target t = {0, 0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    qdi_alloc_facts_of(q->a, &facts);
    int rc = parse(q, &req, err);
    if (!rc) rc = qd_alloc_view_make(s, &facts, q->arena, &view, err);
    if (!rc) rc = find(&view, &req, &t, err);
    if (!rc) rc = qd_allocation_explain(&view, t.shard, t.copy, req.yes, q->arena, &e, err);
    if (!rc) {
        writing x = {.q = q, .v = &view, .e = &e, .w = &r->w};
        qdi_identity_get(q->a, &x.id);
        write_answer(&x, &req);
    }
    qd_state_unref(s);
    return rc;
}
