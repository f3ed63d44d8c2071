/*
 * stores_probe.c: a store from afar tells its state with its answers. While another store is in
 * charge here nobody asks it anything, so the front does: a stale read of one key, seldom while all
 * is well and often while the store in charge takes no changes.
 */
#include "base/str.h"
#include "cluster/authority/stores_int.h"

#define CALM_NS UINT64_C(1000000000)
#define SOON_NS UINT64_C(100000000)
#define WAIT_NS UINT64_C(500000000) /* for an answer; then another one is asked for */

bool qdi_front_from_afar(const qd_coord *c, int i)
{
    return !(c->child[i].vt->head.flags & QD_COORD_AUTHORITY);
}

/* [a store's thread] */
static void on_probed(qd_op *op, int32_t rc)
{
    qd_coord *c = op->user;
    qd_mutex_lock(&c->lock);
    c->probe.over = true;
    c->probe.rc = rc;
    qd_cond_broadcast(&c->idle);
    qd_mutex_unlock(&c->lock);
}

static void probe_free(qd_coord *c)
{
    const front_child *k = &c->child[c->probe.child];
    if (c->probe.rc == 0) k->vt->result_free(k->handle, c->probe.range.result);
    c->probe.under_way = c->probe.over = false;
}

void qdi_front_probe(qd_coord *c, const qd_coord_identity *now, const qd_coord_identity *other)
{
    uint64_t at = qd_env_mono_ns(c->env);
    qd_mutex_lock(&c->lock);
    int i = !c->current;
    bool under_way = c->probe.under_way, over = c->probe.over;
    qd_mutex_unlock(&c->lock);
    if (over) probe_free(c);
    /* one that is lost, as where it went hands over just then, must not keep this node from
     * following */
    if (under_way && !over && !c->probe.cancelled && at > c->probe.at_ns + WAIT_NS) {
        const front_child *k = &c->child[c->probe.child];
        c->probe.cancelled = true;
        k->vt->cancel(k->handle, &c->probe.range.op);
    }
    /* one that is away is asked too, seldom: that it is may be what its far end said last */
    bool away = !other->connected && other->epoch;
    uint64_t pause = away || now->state == QD_COORD_ACTIVE ? CALM_NS : SOON_NS;
    if ((under_way && !over) || !qdi_front_from_afar(c, i) || at < c->probe.at_ns + pause) return;
    c->probe.at_ns = at;
    c->probe.child = i;
    c->probe.under_way = true;
    c->probe.cancelled = false;
    c->probe.range = (qd_coord_range){.key = QD_STR("cluster/uuid"), .flags = QD_COORD_STALE};
    qd_op_anywhere(&c->probe.range.op, on_probed, c);
    const front_child *k = &c->child[i];
    if (k->vt->range(k->handle, &c->probe.range)) c->probe.under_way = false;
}

void qdi_front_probe_end(qd_coord *c)
{
    if (!c->probe.under_way) return;
    const front_child *k = &c->child[c->probe.child];
    k->vt->cancel(k->handle, &c->probe.range.op);
    qd_mutex_lock(&c->lock);
    while (!c->probe.over) qd_cond_wait(&c->idle, &c->lock);
    qd_mutex_unlock(&c->lock);
    probe_free(c);
}
