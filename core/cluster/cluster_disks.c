/*
 * cluster_disks.c: do the disks of this node take anything? Its recorder writes down what was acted
 * on and, every monitor.fs.health.refresh_interval, a few bytes on each disk; the keeper of the
 * session looks on. A disk that stands still holds the recorder, never the session of a node whose
 * disks are only slow.
 *
 * Only one that does not answer costs the node its place. One that answers with errors costs the
 * copies that meet them, a full one refuses writes: a small file has no more to say about either.
 */
#include "base/log.h"
#include "cluster/cluster_int.h"

#define INTERVAL_MS 2000 /* without a configuration */
#define SLOW_MS 5000
#define STUCK_MS 10000 /* a disk that takes longer to sync is as good as none */
#define SAY_NS UINT64_C(10000000000)

static bool watched(const qd_cluster *c)
{
    return !c->config || qd_config_bool(c->config, QD_SET_FS_HEALTH);
}

static uint64_t setting_ns(const qd_cluster *c, qd_set id, int64_t standard_ms)
{
    return (uint64_t)(c->config ? qd_config_ms(c->config, id) : standard_ms) * 1000000u;
}

int qdi_disks_live(qd_cluster *c, qd_err *err)
{
    uint64_t since = atomic_load(&c->disk_since_ns), now = qd_env_mono_ns(c->env);
    if (!since || now < since + setting_ns(c, QD_SET_FS_HEALTH_STUCK, STUCK_MS) || !watched(c))
        return 0;
    return qd_err_set(err, QD_E_IO,
                      "the disk of this node has not synced a small file for %llu ms: the node "
                      "leaves the cluster to the others until it does",
                      (unsigned long long)((now - since) / 1000000u));
}

static void probe(qd_cluster *c, uint32_t disk)
{
    qd_err err;
    qd_err_init(&err);
    uint64_t from = qd_env_mono_ns(c->env);
    atomic_store(&c->disk_since_ns, from);
    int rc = c->disks.probe(c->disks.arg, disk, &err);
    uint64_t now = qd_env_mono_ns(c->env), slow = setting_ns(c, QD_SET_FS_HEALTH_SLOW, SLOW_MS);
    atomic_store(&c->disk_since_ns, 0);
    if (rc && rc != QD_E_NOSPACE && (!c->disk_said_ns || now - c->disk_said_ns > SAY_NS)) {
        c->disk_said_ns = now;
        qd_log_warn(CLUSTER_LOG, "a disk of this node takes no small file: %s",
                    qd_err_reason(&err));
    }
    if (now - from > slow) {
        qd_log_warn(CLUSTER_LOG,
                    "health check of [%s] took [%llums], which is above the warn threshold of "
                    "[%llums]",
                    c->disks.name(c->disks.arg, disk),
                    (unsigned long long)((now - from) / 1000000u),
                    (unsigned long long)(slow / 1000000u));
    }
    qd_err_fini(&err);
}

uint64_t qdi_disks_interval_ns(const qd_cluster *c)
{
    return setting_ns(c, QD_SET_FS_HEALTH_INTERVAL, INTERVAL_MS);
}

void qdi_disks_turn(qd_cluster *c)
{
    qd_err err;
    qd_err_init(&err);
    atomic_store(&c->disk_since_ns, qd_env_mono_ns(c->env));
    if (c->authority && qd_authority_flush(c->authority, &err)) {
        qd_log_warn(CLUSTER_LOG, "the revision acted on could not be recorded: %s",
                    qd_err_reason(&err));
    }
    uint64_t now = qd_env_mono_ns(c->env);
    atomic_store(&c->disk_since_ns, 0);
    qd_err_fini(&err);
    bool due = now >= c->probed_ns + qdi_disks_interval_ns(c);
    if (!due || !watched(c)) return;
    c->probed_ns = now;
    for (uint32_t i = 0; i < c->disks.n; i++) probe(c, i);
}
