/*
 * quidditchd_actions.c: what the actions work with. The action service is offered to plugins before
 * they are loaded (quidditchd_plugins.c); from this step on it answers.
 */
#include "action/counters.h"
#include "action/request_cache.h"
#include "main/node.h"
#include "rest/rest.h"
#include <stdio.h>

static int actions_start(qd_node *node, qd_err *err)
{
    struct qd_action_counters *counters;
    int rc = qd_action_counters_open(&counters, err);
    if (rc) return rc;
    qd_account_init(&node->request_account, "request", NULL,
                    qd_config_i64(node->config, QD_SET_BREAKER_REQUEST));
    node->actions = (qd_actions){
        .env = node->env,
        .config = node->config,
        .pools = &node->pools,
        .tasks = node->tasks,
        .plugins = node->plugins,
        .store = node->store,
        .cluster = node->cluster,
        .shards = node->shards,
        .account = &node->request_account,
        .start_wall_ms = node->start_wall_ms,
        .start_ns = node->start_ns,
        .node_id = qd_str_c(node->id),
        .node_name = qd_str_c(node->name),
        .node_host = QD_STR("127.0.0.1"),
        .data_path = qd_str_c(node->data),
        .counters = counters,
        .http_stats = qd_rest_http_stats,
    };
    rc = qd_request_cache_open(&node->actions, qd_config_i64(node->config, QD_SET_REQUEST_CACHE),
                               (uint64_t)qd_config_ms(node->config, QD_SET_REQUEST_CACHE_EXPIRE) *
                                   1000000u,
                               &node->actions.request_cache, err);
    if (!rc) rc = qd_scrolls_open(&node->actions, err);
    if (rc) {
        qd_request_cache_close(node->actions.request_cache);
        qd_action_counters_close(counters);
    }
    return rc;
}

static void actions_stop(qd_node *node)
{
    qd_scrolls_close(&node->actions);
    qd_request_cache_close(node->actions.request_cache);
    node->actions.request_cache = NULL;
    qd_action_counters_close(node->actions.counters);
    node->actions.counters = NULL;
}

const qd_step qd_step_actions = {"actions", NULL, actions_start, actions_stop, NULL};
