/* health.c: GET /_cluster/health: counts, levels, waiting for a condition. */
#include "action/api/admin_int.h"
#include "base/str.h"
#include "config/value.h"
#include <stdio.h>
#include <stdlib.h>

#define FOR_ALL_MS 5000u
#define WAIT_SLICE_MS 200 /* how soon a client that went away is noticed */
#define LOOK_SHARE 10     /* looks at all indices take at most a tenth of the time of a wait */
#define HEALTH_OPTIONS                                                                             \
    (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_EXPAND_HIDDEN | QD_ALLOW_NO_INDICES |                  \
     QD_IGNORE_UNAVAILABLE)

static void add_shard(const qd_shard_meta *s, const qd_index_meta *m, qdi_health *out)
{
    qd_shard_counts_meta n;
    bool active = qd_shard_meta_is_started(s);
    qd_shard_meta_count(s, m->replicas, &n);
    out->active_primaries += active;
    out->active += n.active;
    out->relocating += n.relocating;
    out->initializing += n.initializing;
    out->unassigned += n.unassigned;
    out->unassigned_primaries += !s->ncopies || !qd_copy_is_assigned(&s->copies[0]);
}

void qdi_health_of_index(const qd_state *s, const qd_index_meta *m, qdi_health *out)
{
    const qd_shard_meta *shard = qd_state_shards(s, m);
    *out = (qdi_health){.status = qd_index_health(s, m)};
    for (uint32_t i = 0; shard && i < m->shards; i++) add_shard(&shard[i], m, out);
}

void qdi_health_of(const qd_state *s, const qd_resolved *r, qdi_health *out)
{
    *out = (qdi_health){.nodes = s->nnodes};
    for (uint32_t i = 0; i < s->nnodes; i++) {
        out->data_nodes += qd_node_is_data(&s->nodes[i]);
        out->full_nodes += qd_node_disk_full(&s->nodes[i]);
    }
    for (uint32_t i = 0; i < r->n; i++) {
        qdi_health one;
        qdi_health_of_index(s, r->at[i], &one);
        if (one.status > out->status) out->status = one.status;
        out->active_primaries += one.active_primaries;
        out->active += one.active;
        out->relocating += one.relocating;
        out->initializing += one.initializing;
        out->unassigned += one.unassigned;
        out->unassigned_primaries += one.unassigned_primaries;
    }
}

bool qdi_copy_delayed(const qd_state *s, const qd_index_meta *m, const qd_copy *c, int64_t now_ms)
{
    return !qd_copy_is_assigned(c) && c->reason == QD_UNASSIGNED_NODE_LEFT &&
           !qd_state_node(s, c->last_node) &&
           c->since_ms + qd_values_ms(m->values, QD_IX_NODE_LEFT_DELAY) > now_ms;
}

/* Replicas only: a primary is never waited with. */
static uint32_t count_delayed(const qd_request *q, const qd_state *s, const qd_resolved *found)
{
    uint32_t n = 0;
    int64_t now = qd_env_wall_ms(q->a->env);
    for (uint32_t i = 0; i < found->n; i++) {
        const qd_shard_meta *shard = qd_state_shards(s, found->at[i]);
        for (uint32_t k = 0; shard && k < found->at[i]->shards; k++) {
            for (uint32_t c = 1; c < shard[k].ncopies; c++) {
                n += qdi_copy_delayed(s, found->at[i], &shard[k].copies[c], now);
            }
        }
    }
    return n;
}

double qdi_health_percent(const qdi_health *h)
{
    uint32_t all = h->active + h->initializing + h->unassigned;
    return all ? 100.0 * h->active / all : 100.0;
}

/* --- conditions --- */

typedef struct conditions {
    int status;     /* qd_health, -1: none */
    int64_t active; /* -1: none, -2: all */
    char nodes_op;  /* '=', '<', '>', 'l' (<=), 'g' (>=); 0: none */
    int64_t nodes;
    bool no_initializing, no_relocating;
    qd_str names; /* of indices that must exist */
    uint32_t options;
} conditions;

static int parse_nodes(qd_str text, conditions *c, qd_err *err)
{
    static const struct {
        const char *prefix;
        char op;
    } forms[] = {{">=", 'g'},  {"<=", 'l'},  {">", '>'},   {"<", '<'},
                 {"ge(", 'g'}, {"le(", 'l'}, {"gt(", '>'}, {"lt(", '<'}};
    qd_str number = text;
    c->nodes_op = '=';
    for (size_t i = 0; i < QD_COUNT_OF(forms); i++) {
        qd_str prefix = qd_str_c(forms[i].prefix);
        if (!qd_str_starts(text, prefix)) continue;
        c->nodes_op = forms[i].op;
        number = qd_str_sub(text, prefix.n, text.n);
        if (number.n && number.p[number.n - 1] == ')') number.n--;
        break;
    }
    if (qd_str_i64(number, &c->nodes)) return 0;
    return qd_err_set(err, QD_E_ARG, "Failed to parse [wait_for_nodes] with value [%.*s]",
                      QD_STR_ARG(text));
}

static int parse_status(qd_str text, conditions *c, qd_err *err)
{
    for (int i = QD_HEALTH_GREEN; i <= QD_HEALTH_RED; i++) {
        if (qd_str_ieq(text, qd_str_c(qd_health_name((qd_health)i)))) {
            c->status = i;
            return 0;
        }
    }
    return qd_err_set(err, QD_E_ARG, "unknown cluster health status [%.*s]", QD_STR_ARG(text));
}

static int parse_events(qd_str text, qd_err *err)
{
    static const char *const known[] = {"immediate", "urgent", "high", "normal", "low", "languid"};
    for (size_t i = 0; i < QD_COUNT_OF(known); i++) {
        if (qd_str_ieq(text, qd_str_c(known[i]))) return 0;
    }
    return qd_err_set(err, QD_E_ARG, "No enum constant for priority [%.*s]", QD_STR_ARG(text));
}

static int parse(const qd_request *q, conditions *c, qd_err *err)
{
    qd_str status = qd_param(q, "wait_for_status"), active = qd_param(q, "wait_for_active_shards"),
           nodes = qd_param(q, "wait_for_nodes"), events = qd_param(q, "wait_for_events");
    *c = (conditions){.status = -1, .active = -1, .names = qd_param(q, "index")};
    int rc = qd_param_indices_options(q, HEALTH_OPTIONS, &c->options, err);
    if (!rc && status.n) rc = parse_status(status, c, err);
    if (!rc && nodes.n) rc = parse_nodes(nodes, c, err);
    if (!rc && events.n) rc = parse_events(events, err);
    if (!rc && qd_str_is(active, "all")) {
        c->active = -2;
    } else if (!rc && active.n && (!qd_str_i64(active, &c->active) || c->active < 0)) {
        rc = qd_err_set(err, QD_E_ARG, "cannot parse ActiveShardCount[%.*s]", QD_STR_ARG(active));
    }
    if (!rc) {
        rc = qd_param_bool(q, "wait_for_no_initializing_shards", false, &c->no_initializing, err);
    }
    if (!rc) rc = qd_param_bool(q, "wait_for_no_relocating_shards", false, &c->no_relocating, err);
    return rc;
}

/* Is there a name among the parameter's that no index and no alias has? */
static bool missing(const qd_state *s, qd_str names)
{
    for (qd_str rest = names; rest.n;) {
        qd_str one = qd_str_split(&rest, ',');
        bool pattern =
            qd_str_find(one, '*') >= 0 || qd_str_is(one, "_all") || one.n == 0 || one.p[0] == '-';
        if (!pattern && !qd_state_index(s, one) && !qd_state_alias(s, one)) return true;
    }
    return false;
}

static bool holds(const conditions *c, const qd_state *s, const qdi_health *h)
{
    int64_t n = h->nodes;
    if (missing(s, c->names)) return false;
    if (c->status >= 0 && (int)h->status > c->status) return false;
    if (c->active == -2 && h->active < h->active + h->initializing + h->unassigned) return false;
    if (c->active >= 0 && h->active < c->active) return false;
    if (c->no_initializing && h->initializing) return false;
    if (c->no_relocating && h->relocating) return false;
    switch (c->nodes_op) {
    case '=':
        return n == c->nodes;
    case '<':
        return n < c->nodes;
    case '>':
        return n > c->nodes;
    case 'l':
        return n <= c->nodes;
    case 'g':
        return n >= c->nodes;
    default:
        return true;
    }
}

/* --- answer --- */

static void write_counts(const qdi_identity *id, const qdi_health *h, qd_json_writer *w)
{
    qd_json_field_int(w, "active_shards", h->active);
    qd_json_field_int(w, "relocating_shards", h->relocating);
    qd_json_field_int(w, "initializing_shards", h->initializing);
    qd_json_field_int(w, "unassigned_shards", h->unassigned);
    if (qdi_identity_unassigned_primaries(id)) {
        qd_json_field_int(w, "unassigned_primary_shards", h->unassigned_primaries);
    }
}

static void write_shards(const qdi_identity *id, const qd_state *s, const qd_index_meta *m,
                         qd_json_writer *w)
{
    const qd_shard_meta *shard = qd_state_shards(s, m);
    qd_json_key_c(w, "shards");
    qd_json_object(w);
    for (uint32_t i = 0; shard && i < m->shards; i++) {
        char number[16];
        qdi_health h = {0};
        add_shard(&shard[i], m, &h);
        snprintf(number, sizeof number, "%u", i);
        qd_json_key_c(w, number);
        qd_json_object(w);
        qd_health health = qd_shard_health_in(s, &shard[i], m->replicas);
        qd_json_field_c(w, "status", qd_health_name(health));
        qd_json_field_bool(w, "primary_active", h.active_primaries);
        write_counts(id, &h, w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

static void write_indices(const qdi_identity *id, const qd_state *s, const qd_resolved *found,
                          bool shards, qd_json_writer *w)
{
    qd_json_key_c(w, "indices");
    qd_json_object(w);
    for (uint32_t i = 0; i < found->n; i++) {
        const qd_index_meta *m = found->at[i];
        qdi_health h;
        qdi_health_of_index(s, m, &h);
        qd_json_key(w, m->name);
        qd_json_object(w);
        qd_json_field_c(w, "status", qd_health_name(h.status));
        qd_json_field_int(w, "number_of_shards", m->shards);
        qd_json_field_int(w, "number_of_replicas", m->replicas);
        qd_json_field_int(w, "active_primary_shards", h.active_primaries);
        write_counts(id, &h, w);
        if (shards) write_shards(id, s, m, w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

/* Why a cluster is yellow whose copies are all there. */
static void write_full(const qd_state *s, qd_json_writer *w)
{
    qd_json_key_c(w, "disk_full_nodes");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (qd_node_disk_full(&s->nodes[i])) qd_json_str(w, s->nodes[i].name);
    }
    qd_json_array_end(w);
}

static void write_cluster(const qd_request *q, const qdi_identity *id, const qd_state *s,
                          const qdi_health *h, bool timed_out, uint32_t delayed, qd_json_writer *w)
{
    qd_json_field_str(w, "cluster_name", qd_cluster_name(q->a->cluster));
    qd_json_field_c(w, "status", qd_health_name(h->status));
    qd_json_field_bool(w, "timed_out", timed_out);
    qd_json_field_int(w, "number_of_nodes", h->nodes);
    qd_json_field_int(w, "number_of_data_nodes", h->data_nodes);
    if (id->opensearch) {
        qd_json_field_bool(w, "discovered_master", true);
        qd_json_field_bool(w, "discovered_cluster_manager", true);
    }
    qd_json_field_int(w, "active_primary_shards", h->active_primaries);
    write_counts(id, h, w);
    qd_json_field_int(w, "delayed_unassigned_shards", delayed);
    qd_json_field_int(w, "number_of_pending_tasks", qd_cluster_pending(q->a->cluster));
    qd_json_field_int(w, "number_of_in_flight_fetch", 0);
    qdi_write_ms(w, q->human, "task_max_waiting_in_queue", "task_max_waiting_in_queue_millis", 0);
    if (q->human) {
        qd_json_key_c(w, "active_shards_percent");
        qd_json_printf(w, "%1.1f%%", qdi_health_percent(h));
    }
    qd_json_field_double(w, "active_shards_percent_as_number", qdi_health_percent(h));
    if (h->full_nodes) write_full(s, w);
}

static bool newer(void *arg, const qd_state *s)
{
    return s->revision > *(const uint64_t *)arg;
}

static bool never(void *arg, const qd_state *s)
{
    (void)arg, (void)s;
    return false;
}

/* Until the state is another one. A look that took long is not repeated for each of the thousands
 * of changes that a start with many indices makes. */
static void wait_for_change(const qd_request *q, uint64_t revision, uint64_t look_ns,
                            uint64_t left_ns)
{
    int64_t slice = (int64_t)(left_ns / 1000000u) + 1;
    int64_t pause = (int64_t)(look_ns * LOOK_SHARE / 1000000u);
    if (slice > WAIT_SLICE_MS) slice = WAIT_SLICE_MS;
    if (pause > slice) pause = slice;
    if (pause && qd_cluster_wait_for(q->a->cluster, never, NULL, pause)) slice -= pause;
    if (slice > 0 && qd_cluster_wait_for(q->a->cluster, newer, &revision, slice)) return;
}

/* Was something waited for? */
static bool asked(const conditions *c)
{
    return c->status >= 0 || c->active != -1 || c->nodes_op || c->no_initializing ||
           c->no_relocating;
}

/* Who has waited for something may ask any node about it next: all know it first. */
static void for_all(const qd_request *q, uint64_t revision, uint64_t left_ms)
{
    uint64_t ms = left_ms < FOR_ALL_MS ? left_ms : FOR_ALL_MS;
    if (qd_cluster_wait_all(q->a->cluster, revision, (int64_t)ms)) return; /* it holds here */
}

static int level_of(const qd_request *q, int *out, qd_err *err)
{
    static const char *const levels[] = {"cluster", "indices", "shards"};
    qd_str level = qd_param(q, "level");
    *out = 0;
    if (!level.n) return 0;
    for (int i = 0; i < 3; i++) {
        *out = i;
        if (qd_str_ieq(level, qd_str_c(levels[i]))) return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "level parameter must be one of [cluster] or [indices] or [shards] but was "
                      "[%.*s]",
                      QD_STR_ARG(level));
}

int qdi_api_cluster_health(qd_request *q, qd_response *r, qd_err *err)
{
    conditions c;
    qdi_identity id;
    int64_t timeout;
    int level;
    int rc = parse(q, &c, err);
    if (!rc) rc = qd_param_ms(q, "timeout", 30000, &timeout, err);
    if (!rc) rc = level_of(q, &level, err);
    uint64_t until = rc ? 0 : qd_env_mono_ns(q->a->env) + (uint64_t)timeout * 1000000u;
    qdi_identity_get(q->a, &id);
    while (!rc) {
        qd_resolved found;
        qdi_health h;
        qd_arena_mark mark = qd_arena_mark_get(q->arena);
        qd_state *s = qd_cluster_state(q->a->cluster);
        uint64_t revision = s->revision, now = qd_env_mono_ns(q->a->env);
        rc = qd_state_resolve(s, c.names, c.options, q->arena, &found, err);
        if (rc) {
            qd_state_unref(s);
            break;
        }
        qdi_health_of(s, &found, &h);
        if (missing(s, c.names)) h.status = QD_HEALTH_RED;
        bool ok = holds(&c, s, &h);
        if (ok && asked(&c) && now < until) for_all(q, revision, (until - now) / 1000000u);
        if (ok || now >= until) {
            r->status = ok ? 200 : 408;
            qd_json_object(&r->w);
            write_cluster(q, &id, s, &h, !ok, h.unassigned ? count_delayed(q, s, &found) : 0,
                          &r->w);
            if (level) write_indices(&id, s, &found, level == 2, &r->w);
            qd_json_object_end(&r->w);
            qd_state_unref(s);
            break;
        }
        qd_state_unref(s);
        qd_arena_mark_release(q->arena, mark);
        wait_for_change(q, revision, qd_env_mono_ns(q->a->env) - now, until - now);
        rc = qd_task_check(&q->task, err);
    }
    return rc;
}
