/*
 * allocator_peers.c: whose process has ended. A connection that is closed and whose redial is
 * refused, or answered by another process, proves the end of a process; its session is closed then
 * instead of waiting until it expires. The leader looks after all nodes, the others after the
 * leader and each other.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"
#include "cluster/mutants.h"
#include "rpc/rpc.h"
#include <stdio.h>

#define SILENCE_NS UINT64_C(1600000000) /* who lives is heard of every 1.5 s at least */
#define SILENCE_AGAIN_NS UINT64_C(100000000)
#define RESIGN_MS 500

/* On a loop of the transport. */
static void on_peer(void *arg, qd_str address, qd_rpc_event event, const qd_rpc_node *node,
                    qd_str reason)
{
    allocator_peer *p = arg;
    (void)address;
    (void)reason;
    bool gone =
        event == QD_RPC_GONE || (QD_MUTANT(cluster, SILENT_IS_GONE) && event == QD_RPC_LOST);
    if (!gone || !node) return;
    qd_mutex_lock(&p->a->c->lock);
    snprintf(p->ended, sizeof p->ended, "%s", node->ephemeral);
    p->gone = p->a->peer_event = true;
    qd_cond_broadcast(&p->a->c->applied);
    qd_mutex_unlock(&p->a->c->lock);
}

static bool looked_after(const qd_allocator *a, const qd_state *s, const qd_node_meta *n)
{
    if (qd_str_eq(n->id, a->c->self.id) || !n->transport_address.n) return false;
    /* whoever may become the next one: that it is silent is known then, without a dial */
    bool control = qd_str_find(n->roles, 'm') >= 0;
    return a->leads || control || qd_str_eq(n->id, s->master);
}

static void watch_node(qd_allocator *a, const qd_node_meta *n)
{
    allocator_peer *p = qd_map_get(&a->peers, n->transport_address);
    if (!p) {
        p = qd_calloc(NULL, sizeof *p);
        if (!p) return;
        p->a = a;
        if (qd_map_put(&a->peers, n->transport_address, p, NULL)) {
            qd_free(p);
            return;
        }
    }
    p->seen = true;
    snprintf(p->id, sizeof p->id, "%.*s", QD_STR_ARG(n->id));
    snprintf(p->ephemeral, sizeof p->ephemeral, "%.*s", QD_STR_ARG(n->ephemeral));
    if (p->watch) return;
    qd_err err;
    qd_err_init(&err);
    if (qd_rpc_peer_watch(a->rpc, n->transport_address, on_peer, p, &p->watch, &err)) {
        qd_log_warn(CLUSTER_LOG, "node [%.*s] at [%.*s] cannot be watched: %s", QD_STR_ARG(n->name),
                    QD_STR_ARG(n->transport_address), qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

static void unwatch(qd_allocator *a, allocator_peer *p)
{
    if (p->watch) qd_rpc_unwatch(a->rpc, p->watch);
    qd_free(p);
}

void qdi_allocator_peers_follow(qd_allocator *a, const qd_state *s)
{
    size_t pos = 0;
    const qd_map_entry *e;
    if (!a->rpc) return;
    while ((e = qd_map_next(&a->peers, &pos))) ((allocator_peer *)e->value)->seen = false;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (looked_after(a, s, &s->nodes[i])) watch_node(a, &s->nodes[i]);
    }
    for (pos = 0; (e = qd_map_next(&a->peers, &pos));) {
        allocator_peer *p = e->value;
        if (p->seen) continue;
        (void)qd_map_del(&a->peers, e->key);
        unwatch(a, p);
    }
}

void qdi_allocator_peers_close(qd_allocator *a, const qd_state *s)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&a->peers, &pos))) {
        allocator_peer *p = e->value;
        char ended[64];
        qd_mutex_lock(&a->c->lock);
        bool gone = p->gone;
        p->gone = false;
        snprintf(ended, sizeof ended, "%s", p->ended);
        qd_mutex_unlock(&a->c->lock);
        const qd_node_meta *n = gone ? qd_state_node(s, qd_str_c(p->id)) : NULL;
        if (!n || !n->session || !qd_str_is(n->ephemeral, ended)) continue;
        qd_log_info(CLUSTER_LOG, "node [%.*s] has ended: its connection is closed and refused",
                    QD_STR_ARG(n->name));
        qd_coord_session_end(a->c->store, n->session);
    }
}

/* --- who leads and says nothing ----------------------------------------------------------------
 */

/* Neither another node nor the store was heard: it is this node that is cut off, or stood still. */
static bool cut_off(const qd_allocator *a, const qd_state *s, uint64_t now)
{
    uint64_t kept = (uint64_t)a->c->session_ttl_ms * 500000u; /* a third, and as long as it takes */
    if (kept < SILENCE_NS) kept = SILENCE_NS;
    if (qd_env_boot_ns(a->c->env) < atomic_load(&a->c->contact_ns) + kept) return false;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const qd_node_meta *n = &s->nodes[i];
        bool other = !qd_str_eq(n->id, a->c->self.id) && n->transport_address.n;
        if (other && now < qd_rpc_peer_heard_ns(a->rpc, n->transport_address) + SILENCE_NS)
            return false;
    }
    return true;
}

void qdi_allocator_silence(qd_allocator *a, const qd_state *s)
{
    uint64_t now = qd_env_mono_ns(a->c->env);
    const qd_node_meta *n = s->master.n ? qd_state_node(s, s->master) : NULL;
    bool other = a->rpc && n && !a->leads && !qd_str_eq(n->id, a->c->self.id) && n->session;
    if (!other) {
        a->silence_ns = UINT64_MAX;
        a->silent = false;
        return;
    }
    if (a->silence_ns != UINT64_MAX && now < a->silence_ns) return;
    uint64_t heard = qd_rpc_peer_heard_ns(a->rpc, n->transport_address);
    bool cut = cut_off(a, s, now);
    if (cut) a->cut_ns = now;
    uint64_t since = heard > a->cut_ns ? heard : a->cut_ns;
    if (!heard || now < since + SILENCE_NS) { /* never: it is just being connected to */
        a->silent = false;
        a->silence_ns = cut ? now + SILENCE_AGAIN_NS : (heard ? since : now) + SILENCE_NS;
        return;
    }
    if (!a->silent) { /* after this process stood still, what came meanwhile is not read yet */
        a->silent = true;
        a->silence_ns = now + SILENCE_AGAIN_NS;
        return;
    }
    qd_err err;
    qd_err_init(&err);
    int rc = qd_coord_resign_for(a->c->store, a->fence.election, n->session, RESIGN_MS, &err);
    if (!rc) {
        qd_log_info(CLUSTER_LOG,
                    "node [%.*s] allocates shards no more: no sign of life for %llu ms",
                    QD_STR_ARG(n->name), (unsigned long long)((now - heard) / 1000000));
    }
    qd_err_fini(&err);
    /* there may be no leader of the store yet: as long as the state names that node */
    a->silence_ns = qd_env_mono_ns(a->c->env) + SILENCE_AGAIN_NS;
}

void qdi_allocator_peers_fini(qd_allocator *a)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&a->peers, &pos))) unwatch(a, e->value);
}
