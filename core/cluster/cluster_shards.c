/* cluster_shards.c: changes of shards' records by the node that holds a copy. See cluster.h. */
#include "base/log.h"
#include "base/str.h"
#include "cluster/cluster_int.h"

typedef struct report_args {
    const qd_str *uuids;
    const uint32_t *numbers;
    uint32_t n;
    qd_shard_state state;
} report_args;

/* A primary that failed on this node and is open again. */
static int take_up(qd_cluster *c, cluster_txn *t, qd_shard_edit *e)
{
    qd_shard_place p = {.node = c->self.id, .ephemeral = c->self.ephemeral};
    for (uint32_t i = 0; i < e->s.nin_sync; i++) {
        if (qd_str_eq(e->s.in_sync[i].node, c->self.id)) {
            p.allocation_id = e->s.in_sync[i].allocation_id;
        }
    }
    if (e->s.fresh && qd_str_eq(e->copies[0].last_node, c->self.id)) {
        p.allocation_id = qdi_allocation_id(c, t);
    }
    return p.allocation_id.n ? qd_shard_edit_assign_primary(e, &p, QD_FORCE_NONE) : 0;
}

/* The report as a step of one record; QD_E_CONFLICT: there is nothing to report on. */
static int report_one(qd_cluster *c, cluster_txn *t, qd_shard_state state, qd_shard_edit *e)
{
    const qd_copy *mine = qd_shard_meta_copy_of(&e->s, c->self.id);
    int rc = 0;
    if (!mine && state == QD_SHARD_STARTED) {
        rc = take_up(c, t, e);
        mine = qd_shard_meta_copy_of(&e->s, c->self.id);
    }
    if (rc || !mine || !qd_str_eq(mine->ephemeral, c->self.ephemeral)) return QD_E_CONFLICT;
    return state == QD_SHARD_STARTED
               ? qd_shard_edit_start(e, mine->allocation_id)
               : qd_shard_edit_fail(e, mine->allocation_id, QD_UNASSIGNED_ALLOCATION_FAILED,
                                    (qd_str){NULL, 0}, false);
}

static int shards_report(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const report_args *a = arg;
    bool any = false;
    (void)err;
    for (uint32_t i = 0; i < a->n; i++) {
        qd_shard_edit e;
        const qd_index_meta *m = qd_state_index_uuid(s, a->uuids[i]);
        const qd_shard_meta *now = m ? qd_state_shard(s, m, a->numbers[i]) : NULL;
        if (!now || !now->ncopies) continue;
        if (qd_shard_edit_begin(&e, &t->arena, now, qd_env_wall_ms(c->env))) {
            return qd_err_nomem(err, "change of the cluster state");
        }
        int rc = report_one(c, t, a->state, &e);
        if (rc || !e.changed) continue;
        any = true;
        qdi_txn_put_shard(t, m->uuid, a->numbers[i], &e);
    }
    return any ? 0 : 1;
}

int qd_cluster_shards_report(qd_cluster *c, const qd_str *uuids, const uint32_t *numbers,
                             uint32_t n, qd_shard_state state, qd_err *err)
{
    report_args a = {uuids, numbers, n, state};
    /* a shard may be open before the state that the listener began it from is published */
    qd_mutex_lock(&c->lock);
    uint64_t seen = c->applying;
    qd_mutex_unlock(&c->lock);
    int rc = qd_cluster_wait(c, seen, c->timeout_ms, err);
    return rc ? rc : qdi_change(c, shards_report, &a, NULL, err);
}

static bool not_of_mine(void *arg, const qd_copy *c)
{
    const qd_cluster *k = arg;
    return !qd_str_eq(c->node, k->self.id) || qd_str_eq(c->ephemeral, k->self.ephemeral);
}

/* The record after this process has taken up what the one before it held. */
static int claim(qd_cluster *c, cluster_txn *t, const qd_shard_meta *now, qd_shard_edit *e)
{
    int rc = qd_shard_edit_begin(e, &t->arena, now, qd_env_wall_ms(c->env));
    if (!rc) rc = qd_shard_edit_gone(e, not_of_mine, c, QD_UNASSIGNED_NODE_LEFT);
    if (rc || e->s.primary.n) return rc;
    return take_up(c, t, e);
}

int qdi_claim_shards(qd_cluster *c, qd_err *err)
{
    const qd_state *s = c->state;
    uint32_t most = qd_coord_limits(c->store)->txn_ops_max / 3;
    int rc = 0;
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        const qd_index_meta *m = s->indices[i];
        for (uint32_t k = 0; k < m->shards && !rc;) {
            cluster_txn t;
            qdi_txn_init(&t);
            for (; k < m->shards && t.changes.n < most && !t.failed; k++) {
                qd_shard_edit e;
                if (!s->shards[i][k].ncopies) continue;
                if (claim(c, &t, &s->shards[i][k], &e)) t.failed = QD_E_NOMEM;
                if (e.changed) qdi_txn_put_shard(&t, m->uuid, k, &e);
            }
            if (t.changes.n || t.failed) rc = qdi_txn_commit(c, &t, NULL, err);
            if (rc == QD_E_CONFLICT) rc = 0; /* moved to somebody else meanwhile */
            qdi_txn_fini(&t);
        }
    }
    return rc;
}
