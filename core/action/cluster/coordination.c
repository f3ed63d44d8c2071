/*
 * coordination.c: GET _cluster/coordination: which store holds the cluster's state, why,
 * since when, under which epoch, and who leads. Told from what this node knows, so that it answers
 * also while nobody leads and before the node has found its cluster; what the leader could not be
 * asked is marked by "answered_by".
 */
#include "action/api/admin_int.h"
#include "base/str.h"
#include "cluster/masters.h"
#include <stdatomic.h>

#define LEADER_MS 1000

static const char *state_name(uint32_t state)
{
    static const char *const names[] = {"empty", "active", "sealed", "mirror", "void", "retired"};
    return state < QD_COUNT_OF(names) ? names[state] : "unknown";
}

/* A random id as text; null while there is none. */
static void field_id(qd_json_writer *w, const char *key, const uint8_t id[16])
{
    static const char digits[] = "0123456789abcdef";
    char text[33] = "";
    uint8_t some = 0;
    for (int i = 0; i < 16; i++) {
        some |= id[i];
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15];
    }
    if (some) {
        qd_json_field_c(w, key, text);
    } else {
        qd_json_key_c(w, key);
        qd_json_null(w);
    }
}

static void field_time(qd_json_writer *w, const char *key, const char *millis, int64_t wall_ms)
{
    char text[48];
    qd_json_field_c(w, key, qdi_time_text(wall_ms, text));
    qd_json_field_int(w, millis, wall_ms);
}

/* Nodes whose settings ask for another store than the cluster's: a migration waits for all. */
static void write_wishes(qd_json_writer *w, const qd_action_coordination *c, const qd_state *s)
{
    qd_json_key_c(w, "wanted_by");
    qd_json_array(w);
    for (uint32_t i = 0; s && i < s->nnodes; i++) {
        if (!s->nodes[i].wants.n || qd_str_is(s->nodes[i].wants, c->mode)) continue;
        qd_json_object(w);
        qd_json_field_str(w, "name", s->nodes[i].name);
        qd_json_field_str(w, "mode", s->nodes[i].wants);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static void write_mode(qd_json_writer *w, const qd_action_coordination *c, const qd_state *s)
{
    qd_json_key_c(w, "mode");
    qd_json_object(w);
    qd_json_field_c(w, "asked", c->asked);
    qd_json_field_c(w, "chosen", c->mode);
    qd_json_field_bool(w, "migration_wanted", c->kept);
    write_wishes(w, c, s);
    qd_json_key_c(w, "why");
    qd_json_array(w);
    for (uint32_t i = 0; i < c->nwhy; i++) qd_json_c(w, c->why[i]);
    qd_json_array_end(w);
    if (c->since_ms) field_time(w, "since", "since_in_millis", c->since_ms);
    qd_json_object_end(w);
}

/* stale_ms: for how long the store has not answered; 0: it does, or never did. */
static void write_store(const qd_request *q, qd_json_writer *w, const qd_action_coordination *c,
                        bool reachable, int64_t stale_ms)
{
    qd_json_key_c(w, "store");
    qd_json_object(w);
    qd_json_field_c(w, "kind", c->kind);
    if (c->plugin.n) qd_json_field_str(w, "plugin", c->plugin);
    if (c->open) {
        field_id(w, "id", c->identity.store_id);
        field_id(w, "history", c->identity.history);
        qd_json_field_c(w, "state", state_name(c->identity.state));
        qd_json_field_int(w, "epoch", (int64_t)c->identity.epoch);
        qd_json_field_int(w, "revision", (int64_t)c->identity.revision);
    }
    qd_json_field_bool(w, "reachable", reachable);
    if (!reachable && stale_ms)
        field_time(w, "unreachable_since", "unreachable_since_in_millis",
                   qd_env_wall_ms(q->a->env) - stale_ms);
    if (!reachable && c->reason[0]) qd_json_field_c(w, "unreachable_reason", c->reason);
    qd_json_object_end(w);
}

/* The other store that this node has open, whatever it is for. */
static void write_other(const qd_request *q, qd_json_writer *w, const qd_action_coordination *c)
{
    bool reachable = c->other.connected && !c->other.failed;
    qd_json_key_c(w, "other_store");
    if (!c->other_mode) {
        qd_json_null(w);
        return;
    }
    qd_json_object(w);
    qd_json_field_c(w, "mode", c->other_mode);
    qd_json_field_c(w, "state", state_name(c->other.state));
    qd_json_field_bool(w, "reachable", reachable);
    if (!reachable && c->other_away_ms)
        field_time(w, "unreachable_since", "unreachable_since_in_millis",
                   qd_env_wall_ms(q->a->env) - c->other_away_ms);
    if (!reachable && c->other_reason[0]) qd_json_field_c(w, "unreachable_reason", c->other_reason);
    qd_json_object_end(w);
}

/* The other store, where this node has it open and it follows the one in charge. */
static void write_mirror(qd_json_writer *w, const qd_action_coordination *c)
{
    qd_json_key_c(w, "mirror");
    if (!c->other_mode || c->other.state != QD_COORD_MIRROR) {
        qd_json_null(w);
        return;
    }
    uint64_t to = c->other.revision, from = c->identity.revision;
    qd_json_object(w);
    qd_json_field_c(w, "mode", c->other_mode);
    field_id(w, "id", c->other.store_id);
    qd_json_field_int(w, "epoch", (int64_t)c->other.epoch);
    qd_json_field_int(w, "revision", (int64_t)to);
    qd_json_field_int(w, "lag", (int64_t)(from > to ? from - to : 0));
    qd_json_field_bool(w, "reachable", c->other.connected);
    qd_json_object_end(w);
}

static void write_leader(qd_json_writer *w, const qd_state *s, uint64_t term)
{
    const qd_node_meta *n = s && s->master.n ? qd_state_node(s, s->master) : NULL;
    qd_json_key_c(w, "leader");
    if (!n) {
        qd_json_null(w);
        return;
    }
    qd_json_object(w);
    qd_json_field_str(w, "id", n->id);
    qd_json_field_str(w, "name", n->name);
    qd_json_field_str(w, "address", n->transport_address);
    if (term) qd_json_field_int(w, "term", (int64_t)term);
    qd_json_object_end(w);
}

static void write_node(const qd_request *q, qd_json_writer *w, const qd_action_coordination *c)
{
    qd_json_key_c(w, "node");
    qd_json_object(w);
    qd_json_field_str(w, "id", q->a->node_id);
    qd_json_field_str(w, "name", q->a->node_name);
    qd_json_field_bool(w, "holds_store", c->own);
    qd_json_field_c(w, "role", c->open ? qd_master_role(c->identity.role) : "none");
    qd_json_object_end(w);
}

/* For how long the store has not answered, by the longest of what is known: before a node has found
 * its cluster, since its start. */
static int64_t away_ms(const qd_request *q, const qd_action_coordination *c, bool joined,
                       int64_t stale_ms)
{
    uint64_t up_ns = qd_env_mono_ns(q->a->env) - q->a->start_ns;
    if (!stale_ms) stale_ms = c->away_ms;
    return stale_ms || joined ? stale_ms : (int64_t)(up_ns / 1000000u) + 1;
}

int qdi_api_cluster_coordination(qd_request *q, qd_response *r, qd_err *err)
{
    qd_action_coordination c = {.asked = "unknown", .mode = "unknown", .kind = "unknown"};
    qd_cluster *cluster = atomic_load(&q->a->serving) ? q->a->cluster : NULL;
    qd_json_writer *w = &r->w;
    uint64_t term = 0;
    int64_t ms;
    int rc = qd_param_ms(q, qd_param_has(q, "timeout") ? "timeout" : "master_timeout", LEADER_MS,
                         &ms, err);
    if (rc) return rc;
    int64_t stale_ms = cluster ? qd_cluster_stale_ms(cluster) : 0;
    if (q->a->coordination) q->a->coordination(q->a->coordination_arg, stale_ms > 0, ms, &c);
    qd_state *s = cluster ? qd_cluster_state(cluster) : NULL;
    bool reachable = c.open && c.identity.connected && !c.identity.failed && !stale_ms;
    bool asked = cluster && reachable && qd_masters_term(cluster, ms, &term, NULL) == 0;
    qd_json_object(w);
    qd_json_field_str(w, "cluster_name", qd_config_text(q->a->config, QD_SET_CLUSTER_NAME));
    qd_json_field_c(w, "cluster_uuid", s && s->uuid[0] ? s->uuid : "_na_");
    write_mode(w, &c, s);
    write_store(q, w, &c, reachable, away_ms(q, &c, cluster != NULL, stale_ms));
    write_mirror(w, &c);
    write_other(q, w, &c);
    write_leader(w, s, term);
    write_node(q, w, &c);
    qd_json_field_c(w, "answered_by", asked ? "leader" : "this node");
    qd_json_object_end(w);
    qd_state_unref(s);
    return 0;
}
