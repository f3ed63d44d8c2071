/* remote.c: what this node answers to others, action by action. */
#include "action/api/forward_int.h"
#include "action/api/node_part.h"
#include "action/documents/ingest_int.h"
#include "action/documents/wire.h"
#include "action/indices/copy_stats.h"
#include "action/indices/indices_int.h"
#include "action/nodes/tasks_int.h"
#include "action/search/part_int.h"
#include "action/transport/relay_int.h"

static const qd_rpc_row handlers[] = {
    {QD_ACTION_API, "search", QD_RPC_ON_FIBER, qdi_forward_handle},
    {QD_ACTION_RELAY, "generic", 0, qdi_relay_handle},
    {QD_ACTION_DOCS_WRITE, "write", QD_RPC_ON_FIBER, qdi_docs_write_handle},
    {QD_ACTION_DOCS_INGEST, "write", QD_RPC_ON_FIBER, qdi_docs_ingest_handle},
    {QD_ACTION_DOCS_GET, "get", QD_RPC_ON_FIBER, qdi_docs_get_handle},
    {QD_ACTION_DOCS_REFRESH, "refresh", QD_RPC_ON_FIBER, qdi_docs_refresh_handle},
    {QD_ACTION_SHARDS_REFRESH, "refresh", QD_RPC_ON_FIBER, qdi_shards_refresh_handle},
    {QD_ACTION_SHARDS_FLUSH, "flush", QD_RPC_ON_FIBER, qdi_shards_flush_handle},
    {QD_ACTION_CACHE_CLEAR, "management", 0, qdi_cache_clear_handle},
    {QD_ACTION_NODE_PART, "management", QD_RPC_ON_FIBER, qdi_node_part_handle},
    {QD_ACTION_NODE_SHARDS, "management", 0, qdi_node_shards_handle},
    {QD_ACTION_SHARDS_FORCE_MERGE, "force_merge", QD_RPC_ON_FIBER, qdi_shards_force_merge_handle},
    {QD_ACTION_TASKS_LIST, "management", 0, qdi_tasks_list_handle},
    {QD_ACTION_TASKS_CANCEL, "management", 0, qdi_tasks_cancel_handle},
};

int qd_action_serve(qd_actions *a, qd_err *err)
{
    int rc = qdi_search_serve(a, err);
    if (rc || !a->rpc) return rc;
    rc = qd_rpc_serve(a->rpc, handlers, QD_COUNT_OF(handlers), a, err);
    if (rc) qdi_search_unserve(a);
    return rc;
}

void qd_action_unserve(qd_actions *a)
{
    if (a->rpc) qd_rpc_unserve(a->rpc, handlers, QD_COUNT_OF(handlers));
    qdi_search_unserve(a);
}
