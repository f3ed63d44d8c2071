/*
 * invariants.c: what holds of a core between two calls, whatever was received, written or lost. All
 * of it is of this process's own memory: what a peer or a disk says is judged before it gets here.
 */
#include "core_int.h"

/* snapshot <= handed <= commit <= last, base <= snapshot, durable <= issued <= last */
static void log_holds(const cr_core *c)
{
    uint64_t last = cr_log_last(&c->log);
    qd_invariant(c->log.base <= c->snapshot);
    qd_invariant(c->snapshot <= c->handed);
    qd_invariant(c->handed <= c->commit);
    qd_invariant(c->commit <= last);
    qd_invariant(c->durable <= c->issued);
    qd_invariant(c->issued <= last);
    qd_invariant(c->log.n <= c->log.cap);
    qd_invariant(c->snapshot == 0 || c->snapshot_members);
}

static void writes_hold(const cr_core *c)
{
    qd_invariant(c->hard_durable <= c->hard);
    qd_invariant(c->written <= c->seq);
    for (uint32_t i = 0; i < c->nwrites; i++) {
        const cr_pending_write *w = &c->writes[i];
        qd_invariant(w->seq >
                     (i ? c->writes[i - 1].seq : c->written)); /* in order, none forgotten */
        qd_invariant(w->seq <= c->seq);
        qd_invariant(w->last <= c->issued);
        qd_invariant(w->hard <= c->hard);
    }
    qd_invariant((c->held_first == NULL) == (c->held_last == NULL));
    qd_invariant(!c->held_first || c->held_first->after <= c->held_last->after);
    qd_invariant(!c->held_last || c->held_last->after <= c->hard);
}

static void peers_hold(const cr_core *c)
{
    const cr_members *m = cr_members_now(c);
    qd_invariant(c->npeers == (m ? m->n - (cr_members_find(m, c->config.id) != NULL) : 0));
    for (uint32_t i = 0; i < c->npeers; i++) {
        const cr_peer *p = &c->peers[i];
        qd_invariant(p->id != c->config.id);
        qd_invariant(p->window_n <= c->config.window_messages);
        if (c->role != CR_LEADER) continue;
        qd_invariant(p->match <= cr_log_last(&c->log));
        qd_invariant(p->next > p->match);
        qd_invariant(p->next <= cr_log_last(&c->log) + 1);
        qd_invariant(p->round <= c->round);
        qd_invariant(p->heard <= c->now);
        qd_invariant(p->state != CR_SENDING || p->snapshot <= c->snapshot);
    }
}

static void leader_holds(const cr_core *c)
{
    uint64_t last = cr_log_last(&c->log);
    qd_invariant(c->leader == c->config.id);
    qd_invariant(c->vote == c->config.id); /* nobody leads a term without its own vote in it */
    qd_invariant(c->hard_durable == c->hard);
    qd_invariant(c->first <= last); /* a leader cuts nothing of its own */
    qd_invariant(cr_log_term(&c->log, last) == c->term);
    qd_invariant(c->nlists > 0);
    qd_invariant(!c->in.members && !c->in.installing);
    qd_invariant(c->to == 0 || cr_peer_find(c, c->to) != NULL);
    for (uint32_t i = 0; i < c->nreads; i++) {
        const cr_read *r = &c->reads[i];
        qd_invariant(r->round == UINT64_MAX || r->round <= c->round);
        qd_invariant(r->round == UINT64_MAX || r->index <= c->commit);
        qd_invariant(i == 0 || c->reads[i - 1].round <= r->round);
    }
}

static void follower_holds(const cr_core *c)
{
    qd_invariant(c->nreads == 0); /* reads ended with the leadership */
    qd_invariant(c->to == 0);
    qd_invariant(c->leader != c->config.id);
    qd_invariant(!c->in.installing || c->in.members);
    qd_invariant(!c->in.installing || c->in.offset == c->in.total);
    qd_invariant(c->in.offset + c->in.bytes <= c->in.total);
    if (c->role == CR_FOLLOWER) {
        qd_invariant(c->commit <= c->agreed);
        qd_invariant(c->agreed <= cr_log_last(&c->log));
    } else {
        qd_invariant(c->leader == 0);
        qd_invariant(!c->in.installing);
        qd_invariant(c->role != CR_CANDIDATE || c->vote == c->config.id);
    }
}

void cr_core_holds(const cr_core *c)
{
    if (!c->started || c->failed) return;
    log_holds(c);
    writes_hold(c);
    peers_hold(c);
    if (c->role == CR_LEADER)
        leader_holds(c);
    else
        follower_holds(c);
}
