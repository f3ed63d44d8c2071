/*
 * plugins.c: built-in parts and plugins: loaded and started before anything asks for
 * them. What was refused stops the start only where the configuration needs it: a settings block
 * names it, or a later step asks for what it would provide.
 */
#include "main/plugins.h"
#include "action/api/plugin_routes.h"
#include "aggs/aggs.h"
#include "analysis/analysis.h"
#include "base/log.h"
#include "ingest/ingest.h"
#include "main/daemon/node.h"
#include "query/operators.h"
#include "rest/rest.h"
#include "rpc/peers_service.h"

int qd_node_plugins_check(qd_node *node, qd_err *err)
{
    qd_plugin_host *h = NULL;
    int rc = qd_main_plugins_open(node->config, &node->paths, node->env, NULL, NULL, &h, err);
    if (rc == 0) rc = qd_plugin_builtin(h, qd_analysis_plugin(), err);
    if (rc == 0) rc = qd_plugin_host_load(h, err);
    if (rc == 0) rc = qd_query_plugins_check(h, err);
    if (rc == 0) rc = qd_aggs_plugins_check(h, err);
    if (rc == 0) rc = qd_ingest_plugins_check(h, err);
    qd_plugin_routes *routes = NULL;
    if (rc == 0) rc = qd_plugin_routes_open(h, &routes, err);
    qd_plugin_routes_close(routes);
    if (rc == 0) rc = qd_node_need_coordination(node, h, err);
    if (rc == 0) rc = qd_node_need_storage(node, h, err);
    if (rc == 0) rc = qd_node_check_kubernetes(node, h, err);
    qd_plugin_host_close(h);
    return rc;
}

static void routes_close(qd_node *node)
{
    qd_plugin_routes_close(node->routes);
    node->routes = NULL;
}

static int plugins_start(qd_node *node, qd_err *err)
{
    qd_plugin_host *h;
    int rc = qd_main_plugins_open(node->config, &node->paths, node->env, node->loop,
                                  qd_pools_get(&node->pools, "generic"), &h, err);
    if (rc != 0) return rc;
    qd_plugin_host_service(h, QD_SERVICE_ACTION, qd_action_service());
    qd_plugin_host_service_arg(h, QD_SERVICE_ACTION, &node->actions);
    qd_plugin_host_service(h, QD_SERVICE_DOCUMENTS, qd_documents_service());
    qd_plugin_host_service_arg(h, QD_SERVICE_DOCUMENTS, &node->actions);
    qd_plugin_host_service(h, QD_SERVICE_PEERS, qd_rpc_peers_service());
    qd_plugin_host_tasks(h, node->tasks);
    rc = qd_plugin_builtin(h, qd_analysis_plugin(), err);
    if (rc == 0) rc = qd_plugin_builtin(h, qd_rest_plugin(), err);
    if (rc == 0) rc = qd_plugin_host_load(h, err);
    if (rc == 0) rc = qd_query_plugins_check(h, err);
    if (rc == 0) rc = qd_aggs_plugins_check(h, err);
    if (rc == 0) rc = qd_ingest_plugins_check(h, err);
    if (rc == 0) rc = qd_plugin_routes_open(h, &node->routes, err);
    if (rc == 0) rc = qd_plugin_host_start(h, err);
    if (rc != 0) {
        routes_close(node);
        qd_plugin_host_close(h);
        return rc;
    }
    node->plugins = h;
    return 0;
}

static void plugins_stop(qd_node *node)
{
    qd_plugin_host_close(node->plugins);
    node->plugins = NULL;
    routes_close(node);
}

const qd_step qd_step_plugins = {"plugins", NULL, plugins_start, plugins_stop, NULL};
