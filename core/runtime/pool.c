/* pool.c: the public face of pools and the table of a node's pools. See pool.h. */
#include "runtime/pool.h"
#include "base/str.h"
#include "runtime/env_int.h"

int qd_pool_open(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max, qd_pool **out,
                 qd_err *err)
{
    QD_CHECK(env, QD_ENV_MAGIC);
    qd_assert(threads > 0);
    return env->pool_open(env, name, threads, queue_max, out, err);
}

static int submit(qd_pool *pool, qd_work *work, bool forced, qd_err *err)
{
    QD_CHECK(pool, QDI_POOL_MAGIC);
    int rc = pool->submit(pool, work, forced);
    if (QD_LIKELY(rc == 0) || !err) return rc;
    if (rc == QD_E_CLOSED)
        return qd_err_set(err, rc, "rejected execution on [%s]: the node is shutting down",
                          pool->name);
    if (rc != QD_E_REJECTED)
        return qd_err_set(err, rc, "cannot start a worker of [%s]", pool->name);
    qd_pool_stats s;
    pool->stats(pool, &s);
    return qd_err_set(err, rc,
                      "rejected execution on [%s]: queue capacity = %u, pool size = %u, "
                      "active threads = %u, queued tasks = %u, completed tasks = %llu",
                      pool->name, s.queue_max, s.threads_max, s.active, s.queue,
                      (unsigned long long)s.completed);
}

int qd_pool_submit(qd_pool *pool, qd_work *work, qd_err *err)
{
    return submit(pool, work, false, err);
}

int qd_pool_submit_forced(qd_pool *pool, qd_work *work, qd_err *err)
{
    return submit(pool, work, true, err);
}

void qd_pool_close(qd_pool *pool)
{
    if (!pool) return;
    QD_CHECK(pool, QDI_POOL_MAGIC);
    pool->close(pool);
}

void qd_pool_resize(qd_pool *pool, uint32_t threads, uint32_t queue_max)
{
    QD_CHECK(pool, QDI_POOL_MAGIC);
    qd_assert(threads > 0);
    pool->resize(pool, threads, queue_max);
}

void qd_pool_stats_get(qd_pool *pool, qd_pool_stats *out)
{
    QD_CHECK(pool, QDI_POOL_MAGIC);
    pool->stats(pool, out);
}

const char *qd_pool_name(const qd_pool *pool)
{
    return pool->name;
}
qd_env *qd_pool_env(const qd_pool *pool)
{
    return pool->env;
}

int qd_pools_add(qd_pools *pools, qd_env *env, const char *name, uint32_t threads,
                 uint32_t queue_max, qd_err *err)
{
    if (pools->n == QD_POOLS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "more than %d thread pools", QD_POOLS_MAX);
    int rc = qd_pool_open(env, name, threads, queue_max, &pools->at[pools->n], err);
    if (rc == 0) pools->n++;
    return rc;
}

qd_pool *qd_pools_find(const qd_pools *pools, qd_str name)
{
    for (uint32_t i = 0; i < pools->n; i++) {
        if (qd_str_is(name, pools->at[i]->name)) return pools->at[i];
    }
    return NULL;
}

qd_pool *qd_pools_get(const qd_pools *pools, const char *name)
{
    qd_pool *pool = qd_pools_find(pools, qd_str_c(name));
    qd_assert(pool != NULL);
    return pool;
}

void qd_pools_close(qd_pools *pools)
{
    while (pools->n > 0) {
        qd_pool_close(pools->at[--pools->n]);
        pools->at[pools->n] = NULL;
    }
}
