/*
 * pools.c: the thread pools, with Elasticsearch's names and, for size 0, its sizes.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "runtime/cpu.h"

typedef struct pool_rule {
    const char *name;
    qd_set size, queue;
    unsigned multiply, divide, add; /* CPUs * multiply / divide + add */
    unsigned least, most;
} pool_rule;

static const pool_rule rules[] = {
    {"search", QD_SET_POOL_SEARCH_SIZE, QD_SET_POOL_SEARCH_QUEUE, 3, 2, 1, 2, 1024},
    {"write", QD_SET_POOL_WRITE_SIZE, QD_SET_POOL_WRITE_QUEUE, 1, 1, 0, 1, 1024},
    {"get", QD_SET_POOL_GET_SIZE, QD_SET_POOL_GET_QUEUE, 3, 2, 1, 2, 1024},
    {"analyze", QD_SET_POOL_ANALYZE_SIZE, QD_SET_POOL_ANALYZE_QUEUE, 0, 1, 1, 1, 1},
    {"generic", QD_SET_POOL_GENERIC_SIZE, QD_SET_POOL_GENERIC_QUEUE, 4, 1, 0, 128, 512},
    {"management", QD_SET_POOL_MANAGEMENT_SIZE, QD_SET_POOL_MANAGEMENT_QUEUE, 1, 1, 0, 1, 5},
    {"refresh", QD_SET_POOL_REFRESH_SIZE, QD_SET_POOL_REFRESH_QUEUE, 1, 2, 0, 1, 10},
    {"flush", QD_SET_POOL_FLUSH_SIZE, QD_SET_POOL_FLUSH_QUEUE, 1, 2, 0, 1, 5},
    {"merge", QD_SET_POOL_MERGE_SIZE, QD_SET_POOL_MERGE_QUEUE, 1, 2, 0, 1, 64},
    {"force_merge", QD_SET_POOL_FORCE_MERGE_SIZE, QD_SET_POOL_FORCE_MERGE_QUEUE, 1, 8, 0, 1, 64},
    {"snapshot", QD_SET_POOL_SNAPSHOT_SIZE, QD_SET_POOL_SNAPSHOT_QUEUE, 1, 2, 0, 1, 5},
    {"warmer", QD_SET_POOL_WARMER_SIZE, QD_SET_POOL_WARMER_QUEUE, 1, 2, 0, 1, 5},
    {"fetch_shard_started", QD_SET_POOL_FETCH_SHARD_SIZE, QD_SET_POOL_FETCH_SHARD_QUEUE, 2, 1, 0, 1,
     64},
    {"system_read", QD_SET_POOL_SYSTEM_READ_SIZE, QD_SET_POOL_SYSTEM_READ_QUEUE, 1, 2, 0, 1, 5},
    {"system_write", QD_SET_POOL_SYSTEM_WRITE_SIZE, QD_SET_POOL_SYSTEM_WRITE_QUEUE, 1, 2, 0, 1, 5},
};

static uint32_t size_of(const pool_rule *r, int64_t set, unsigned cpus)
{
    if (set > 0) return (uint32_t)set;
    unsigned n = cpus * r->multiply / r->divide + r->add;
    return n < r->least ? r->least : n > r->most ? r->most : n;
}

static int pools_start(qd_node *node, qd_err *err)
{
    int64_t set = qd_config_i64(node->config, QD_SET_NODE_PROCESSORS);
    unsigned cpus = set > 0 ? (unsigned)set : qd_cpu_count();
    for (size_t i = 0; i < QD_COUNT_OF(rules); i++) {
        const pool_rule *r = &rules[i];
        int64_t queue = qd_config_i64(node->config, r->queue);
        int rc = qd_pools_add(&node->pools, node->env, r->name,
                              size_of(r, qd_config_i64(node->config, r->size), cpus),
                              queue < 0 ? UINT32_MAX : (uint32_t)queue, err);
        if (rc != 0) {
            qd_pools_close(&node->pools);
            return rc;
        }
    }
    qd_log_debug("main", "thread pools for %u CPUs, kernels of level %s", cpus,
                 qd_cpu_name(qd_cpu_level()));
    return 0;
}

static void pools_stop(qd_node *node)
{
    qd_pools_close(&node->pools);
}

const qd_step qd_step_pools = {"pools", NULL, pools_start, pools_stop, NULL};
