/* holds.c: what holds of a primary, and of a copy, between two events. See primary_int.h,
 * copy_int.h. */
#include "replication/copy_int.h"

/* What holds of each copy whatever was answered: what the record has, or is about to have, counts.
 */
static void peer_holds(const repl_primary *p, const repl_peer *c)
{
    qd_invariant(c->counts || !(c->in_sync || c->admitting || c->failing));
    qd_invariant(!c->admitting || !c->in_sync);
    qd_invariant(c->synced || p->phase == REPL_RESYNC); /* none is left behind that may differ */
    qd_invariant(c->needs <= p->max_seq_no);
    qd_invariant(c->id <= p->peer_ids && c->id > p->term << 24); /* a peer of this term */
    qd_invariant(c->told <= p->global);
    qd_invariant(c->asked <= p->rounds);
    qd_invariant(c->resync <= p->attempts);
}

void repl_primary_holds(const repl_primary *p)
{
    qd_invariant(p->acknowledged <= p->max_seq_no);
    qd_invariant(p->persisted <= p->max_seq_no);
    qd_invariant(p->rounds <= p->wanted);
    qd_invariant(p->top == 0 || p->peer[p->top - 1].id);
    qd_invariant((p->first == NULL) == (p->last == NULL));
    qd_invariant(!p->first || (!p->first->prev && !p->last->next));
    qd_invariant(!p->first || (p->first->id <= p->last->id && p->last->id <= p->batch_ids));
    qd_invariant(!p->first || !p->first->done);
    qd_invariant(p->in_sync || p->phase < REPL_ACTIVE || p->phase == REPL_FENCED);
    qd_invariant(p->phase != REPL_HANDING || p->lease_floor_ns == UINT64_MAX);
    if (p->phase == REPL_FENCED) {
        qd_invariant(!p->first && !p->reads);
        return;
    }
    for (uint32_t i = 0; i < p->top; i++)
        if (p->peer[i].id) peer_holds(p, &p->peer[i]);
}

void repl_copy_holds(const repl_copy *c)
{
    qd_invariant(c->synced_term <= c->term);
    qd_invariant(c->lease_term <= c->term);
    qd_invariant(!c->primary || c->synced_term == c->term);
    qd_invariant(c->part == 0 || c->resync > 0);
}
