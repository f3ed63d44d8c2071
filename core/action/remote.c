/* remote.c: what this node answers to others, action by action. */
#include "action/api/node_part.h"
#include "action/documents/wire.h"
#include "action/indices/figures.h"
#include "action/indices/indices_int.h"
#include "action/search/part_int.h"
#include "action/transport/relay_int.h"

static const struct {
    uint32_t action;
    const char *pool;
    uint32_t flags;
    qd_rpc_handler fn;
} handlers[] = {
    {QD_ACTION_RELAY, "generic", 0, qdi_relay_handle},
    {QD_ACTION_DOCS_WRITE, "write", QD_RPC_ON_FIBER, qdi_docs_write_handle},
    {QD_ACTION_DOCS_GET, "get", QD_RPC_ON_FIBER, qdi_docs_get_handle},
    {QD_ACTION_DOCS_REFRESH, "refresh", QD_RPC_ON_FIBER, qdi_docs_refresh_handle},
    {QD_ACTION_SHARDS_REFRESH, "refresh", QD_RPC_ON_FIBER, qdi_shards_refresh_handle},
    {QD_ACTION_SHARDS_FLUSH, "flush", QD_RPC_ON_FIBER, qdi_shards_flush_handle},
    {QD_ACTION_CACHE_CLEAR, "management", 0, qdi_cache_clear_handle},
    {QD_ACTION_NODE_PART, "management", QD_RPC_ON_FIBER, qdi_node_part_handle},
    {QD_ACTION_NODE_SHARDS, "management", 0, qdi_node_shards_handle},
    {QD_ACTION_SHARDS_FORCE_MERGE, "force_merge", QD_RPC_ON_FIBER, qdi_shards_force_merge_handle},
};

int qd_action_serve(qd_actions *a, qd_err *err)
{
    int rc = qdi_search_serve(a, err);
    for (size_t i = 0; i < QD_COUNT_OF(handlers) && a->rpc && !rc; i++) {
        rc = qd_rpc_handle(a->rpc, handlers[i].action, handlers[i].pool, handlers[i].flags,
                           handlers[i].fn, a, err);
        if (rc) qd_action_unserve(a);
    }
    return rc;
}

void qd_action_unserve(qd_actions *a)
{
    for (size_t i = 0; i < QD_COUNT_OF(handlers) && a->rpc; i++) {
        qd_rpc_unhandle(a->rpc, handlers[i].action);
    }
    qdi_search_unserve(a);
}
