/*
 * actions.c: what the actions work with. The action service is offered to plugins before
 * they are loaded (plugins.c); from this step on it answers whether the node is alive
 * and ready, and everything else from the step `serve` on, when it belongs to a cluster.
 */
#include "action/api/counters.h"
#include "action/byquery/byquery.h"
#include "action/enrich/enrich.h"
#include "action/indices/request_cache.h"
#include "action/ingest/pipelines.h"
#include "action/lifecycle/lifecycle.h"
#include "base/log.h"
#include "main/daemon/node.h"
#include "replication/replication.h"
#include "rest/rest.h"
#include <stdio.h>

#define RETIRE_MS 3000            /* for operations under way on primaries */
#define QUIET_MS 20000            /* for what plugins asked for */
#define VITAL_BYTES (256ll << 20) /* of what is answered whatever the breakers say */
#define LEAVE_MS 2000             /* for others to take over */

/* A breaker counts what is reserved times its overhead; the account what is reserved. One of 0
 * bytes refuses all, but an account's limit of 0 is none. */
static int64_t reserved_limit(const qd_values *v, qd_set limit, qd_set overhead)
{
    double factor = qd_values_f64(v, overhead);
    int64_t bytes = qd_values_i64(v, limit);
    if (factor > 0) {
        double room = (double)bytes / factor;
        bytes = room < 0x1p63 ? (int64_t)room : INT64_MAX;
    }
    return bytes > 0 ? bytes : 1;
}

/* At the start, and when one of the settings has changed. */
static void set_breakers(void *arg, const qd_values *v)
{
    qd_node *node = arg;
    atomic_store(&node->request_account.limit,
                 reserved_limit(v, QD_SET_BREAKER_REQUEST, QD_SET_BREAKER_REQUEST_OVERHEAD));
    atomic_store(&node->inflight_account.limit,
                 reserved_limit(v, QD_SET_BREAKER_INFLIGHT, QD_SET_BREAKER_INFLIGHT_OVERHEAD));
    atomic_store(&node->fielddata_account.limit,
                 reserved_limit(v, QD_SET_BREAKER_FIELDDATA, QD_SET_BREAKER_FIELDDATA_OVERHEAD));
    atomic_store(&qd_account_root.limit, qd_values_i64(v, QD_SET_BREAKER_TOTAL));
}

static void set_http(void *arg, const qd_values *v)
{
    (void)arg;
    qd_rest_limits((uint64_t)qd_values_i64(v, QD_SET_HTTP_MAX_CONNECTIONS),
                   (uint64_t)qd_values_i64(v, QD_SET_HTTP_READ_TIMEOUT),
                   (uint64_t)qd_values_i64(v, QD_SET_HTTP_KEEP_ALIVE_TIMEOUT));
}

static int make_breakers(qd_node *node, qd_err *err)
{
    static const char *const keys[] = {"indices.breaker.", "network.breaker."};
    int rc = 0;
    qd_account_init(&node->request_account, "request", NULL, 0);
    qd_account_init(&node->inflight_account, "in_flight_requests", NULL, 0);
    qd_account_init(&node->vital_account, "vital", NULL, VITAL_BYTES);
    qd_account_init(&node->fielddata_account, "fielddata", NULL, 0);
    node->request_account.asked = node->inflight_account.asked = true;
    node->fielddata_account.asked = true;
    set_breakers(node, qd_config_values(node->config));
    for (size_t i = 0; i < QD_COUNT_OF(keys) && !rc; i++) {
        rc = qd_config_listen(node->config, keys[i], NULL, set_breakers, node, err);
    }
    if (!rc) rc = qd_config_listen(node->config, "http.", NULL, set_http, node, err);
    set_http(node, qd_config_values(node->config));
    qd_rest_account(&node->inflight_account);
    return rc;
}

/* Has it neither data to open nor requests to route? */
static bool is_alone(const qd_node *node)
{
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (qd_str_starts(roles[i], QD_STR("data")) || qd_str_is(roles[i], "coordination"))
            return false;
    }
    return true;
}

static int actions_start(qd_node *node, qd_err *err)
{
    struct qd_action_counters *counters;
    int rc = make_breakers(node, err);
    if (!rc) rc = qd_action_counters_open(node->routes, &counters, err);
    if (rc) return rc;
    node->actions = (qd_actions){
        .env = node->env,
        .config = node->config,
        .pools = &node->pools,
        .tasks = node->tasks,
        .routes = node->routes,
        .plugins = node->plugins,
        .account = &node->request_account,
        .vital = &node->vital_account,
        .in_flight = &node->inflight_account,
        .fielddata = &node->fielddata_account,
        .start_wall_ms = node->start_wall_ms,
        .start_ns = node->start_ns,
        .node_id = qd_str_c(node->id),
        .node_name = qd_str_c(node->name),
        .node_host = QD_STR("127.0.0.1"),
        .data_path = qd_str_c(node->data),
        .counters = counters,
        .http_stats = qd_rest_http_stats,
        .coordination = qd_node_coordination,
        .coordination_arg = node,
        .alone_ready = is_alone(node),
    };
    rc = qd_request_cache_open(&node->actions, qd_config_i64(node->config, QD_SET_REQUEST_CACHE),
                               (uint64_t)qd_config_ms(node->config, QD_SET_REQUEST_CACHE_EXPIRE) *
                                   1000000u,
                               &node->actions.request_cache, err);
    if (!rc) rc = qd_scrolls_open(&node->actions, err);
    if (!rc && (rc = qd_by_query_open(&node->actions, err))) qd_scrolls_close(&node->actions);
    if (!rc && (rc = qd_pipelines_open(&node->actions, err))) {
        qd_by_query_close(&node->actions);
        qd_scrolls_close(&node->actions);
    }
    if (!rc && (rc = qd_enrich_open(&node->actions, err))) {
        qd_pipelines_close(&node->actions);
        qd_by_query_close(&node->actions);
        qd_scrolls_close(&node->actions);
    }
    if (!rc && (rc = qd_lifecycle_open(&node->actions, err))) {
        qd_enrich_close(&node->actions);
        qd_pipelines_close(&node->actions);
        qd_by_query_close(&node->actions);
        qd_scrolls_close(&node->actions);
    }
    if (rc) {
        qd_request_cache_close(node->actions.request_cache);
        qd_action_counters_close(counters);
    }
    return rc;
}

static void actions_stop(qd_node *node)
{
    qd_lifecycle_close(&node->actions);
    qd_by_query_close(&node->actions);
    qd_enrich_close(&node->actions);
    qd_pipelines_close(&node->actions);
    qd_scrolls_close(&node->actions);
    qd_request_cache_close(node->actions.request_cache);
    node->actions.request_cache = NULL;
    qd_action_counters_close(node->actions.counters);
    node->actions.counters = NULL;
}

const qd_step qd_step_actions = {"actions", NULL, actions_start, actions_stop, NULL};

static int serve_start(qd_node *node, qd_err *err)
{
    node->actions.store = node->store;
    node->actions.cluster = node->cluster;
    node->actions.shards = node->shards;
    node->actions.replication = atomic_load(&node->replication);
    node->actions.rpc = node->rpc;
    node->actions.driver = node->driver;
    node->actions.follows = node->follower;
    int rc = qd_action_serve(&node->actions, err);
    if (rc) return rc;
    atomic_store(&node->actions.serving, true);
    atomic_store(&node->actions.started, true);
    return 0;
}

/* Is there anybody who goes on when this node stops? */
static bool has_others(const qd_node *node)
{
    qd_state *s = qd_cluster_state(node->cluster);
    bool many = s->nnodes > 1;
    qd_state_unref(s);
    return many;
}

/* Balancers see /ready and send their requests elsewhere, clients leave their connections. */
int64_t qd_node_stop_begin(qd_node *node)
{
    const qd_values *v = qd_config_values(node->config);
    int64_t ms = qd_values_ms(v, QD_SET_HTTP_SHUTDOWN_DELAY);
    bool asked = qd_values_is_set(v, QD_SET_HTTP_SHUTDOWN_DELAY);
    atomic_store(&node->actions.stopping, true);
    if (ms <= 0 || (!asked && (!has_others(node) || !node->http))) return 0;
    qd_log_info("main", "not ready any more, requests are served for %lld ms (http.shutdown_delay)",
                (long long)ms);
    qd_rest_retire(true);
    return ms;
}

/* Others take over before this node stops to answer them, so that no request of theirs fails. */
static void leave(qd_node *node)
{
    qd_replication_retire(atomic_load(&node->replication), RETIRE_MS);
    /* own copies stay open for who has not heard yet: the state does not end them */
    qd_mutex_lock(&node->following);
    node->leaving = true;
    qd_mutex_unlock(&node->following);
    qd_cluster_leave(node->cluster, LEAVE_MS);
    qd_log_info("main", "left the cluster");
}

/* Requests under way are answered before what they work with goes. */
static void serve_stop(qd_node *node)
{
    bool others = has_others(node);
    atomic_store(&node->actions.stopping, true);
    atomic_store(&node->actions.started, false);
    qd_lifecycle_stop(&node->actions);
    qd_by_query_stop(&node->actions);
    qd_node_http_close(node);
    if (others) leave(node);
    atomic_store(&node->actions.serving, false);
    if (!qd_action_quiet(node->env, QUIET_MS))
        qd_log_warn("main", "requests of a plugin are still under way");
    /* a write may wait for a copy that no master takes out of its set in time */
    qd_replication_stop(atomic_load(&node->replication));
    qd_action_unserve(&node->actions);
    qd_scrolls_close(&node->actions); /* its thread looks at the cluster, which goes next */
    qd_rest_retire(false);
}

const qd_step qd_step_serve = {"serve", NULL, serve_start, serve_stop, NULL};
