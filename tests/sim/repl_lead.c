/* repl_lead.c: a simulated node whose copy is the primary: actions of its machine, publications,
 * the source's side of recovery. */
#include "repl_node.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- sending ---------------------------------------------------------------------------------- */

int holder(const node *n, const char *aid)
{
    const scopy *c = rec_copy(&n->view, aid);
    if (c) return node_of(c->node);
    for (uint32_t i = 0; i < n->view.nsync; i++) {
        if (strcmp(n->view.sync[i].aid, aid) == 0) return node_of(n->view.sync[i].node);
    }
    return -1;
}

static bool to_peer(world *w, node *n, const repl_peer *c, mtype type, msg *m)
{
    m->type = type;
    m->from = n->id;
    m->inc = n->inc;
    m->to = holder(n, c->aid);
    snprintf(m->aid, sizeof m->aid, "%s", c->aid);
    snprintf(m->by, sizeof m->by, "%s", n->aid);
    m->term = n->pm.term;
    m->global = n->pm.global;
    m->peer = c->id;
    m->sent_ns = local_ns(w, n);
    m->lease = !m->release;
    if (m->to < 0) m->to = STORE; /* nobody answers */
    return true;
}

/* As many as a message holds; the number behind the last one. */
static int64_t add_ops(node *n, msg *m, int64_t from, int64_t to)
{
    int64_t s = from;
    for (; s <= to && m->nops < CHUNK; s++) {
        if (s >= SEQS || !n->d.counted[s]) continue;
        m->ops[m->nops].seq = s;
        m->ops[m->nops++].r = n->d.mem[s];
    }
    return s;
}

void resync_part(world *w, node *n, const repl_peer *c, uint64_t attempt, int64_t from,
                 uint32_t part)
{
    msg m = {.resync = attempt, .part = part, .first = from, .max = n->pm.max_seq_no};
    /* `first` is where this part begins; part 0 tells the resync's beginning */
    int64_t s = add_ops(n, &m, from, m.max);
    m.last = s > m.max;
    m.persisted = s; /* where the next part begins */
    to_peer(w, n, c, M_RESYNC, &m);
    send_call(w, &m, ms(1500));
}

/* --- what the primary's machine asks for ------------------------------------------------------ */

void client_reply(world *w, node *n, uint32_t op, ostate state, int64_t seq, uint32_t val,
                  uint64_t term)
{
    msg m = {.type = M_CLIENT_ANSWER,
             .from = n->id,
             .to = CLIENT,
             .op = op,
             .part = (uint32_t)state,
             .first = seq,
             .term = term,
             .history = val};
    send_msg(w, &m);
}

void primary_act(void *arg, const repl_act *a)
{
    node *n = arg;
    world *w = n->world;
    msg m = {0};
    static const char *const names[] = {"ship",  "resync", "sync",       "catch up",  "fail",
                                        "drop",  "admit",  "batch done", "read done", "global",
                                        "ready", "active", "drained",    "fenced"};
    if (w->trace && a->kind != REPL_ACT_SHIP && a->kind != REPL_ACT_SYNC &&
        a->kind < REPL_ACT_BATCH_DONE) {
        trace(w, "n%d %s: %s %s (%s)", n->id, n->aid, names[a->kind], a->peer ? a->peer->aid : "",
              a->why ? a->why : "");
    }
    switch (a->kind) {
    case REPL_ACT_SHIP:
        m.batch = a->batch->id;
        (void)add_ops(n, &m, a->batch->min, a->batch->max);
        to_peer(w, n, a->peer, M_OPS, &m);
        send_call(w, &m, ms(1500));
        return;
    case REPL_ACT_RESYNC:
        w->r->resyncs++;
        resync_part(w, n, a->peer, a->number, a->from, 0);
        return;
    case REPL_ACT_SYNC:
        m.round = a->number;
        m.release = a->release;
        w->r->round_trips++;
        to_peer(w, n, a->peer, M_SYNC, &m);
        send_call(w, &m, ms(600));
        return;
    case REPL_ACT_CATCH_UP:
        w->r->catch_ups++;
        m.catch_up = true;
        (void)add_ops(n, &m, a->from, a->to);
        to_peer(w, n, a->peer, M_OPS, &m);
        send_call(w, &m, ms(1500));
        return;
    case REPL_ACT_FAIL:
        cas_push(w, n, CAS_FAIL, a->peer->aid, a->peer->id);
        return;
    case REPL_ACT_ADMIT:
        cas_push(w, n, CAS_ADMIT, a->peer->aid, a->peer->id);
        return;
    case REPL_ACT_DROP:
        for (uint32_t i = 0; i < REPL_PEERS_MAX; i++) {
            if (n->follower[i].peer == a->peer->id)
                memset(&n->follower[i], 0, sizeof n->follower[i]);
        }
        return;
    case REPL_ACT_BATCH_DONE: {
        pbatch *b = (pbatch *)a->batch;
        if (!a->batch->rc && n->pm.term > w->acked_term) w->acked_term = n->pm.term;
        client_reply(w, n, b->op, a->batch->rc ? S_UNKNOWN : S_OK, a->batch->max, 0, n->pm.term);
        b->used = false;
        return;
    }
    case REPL_ACT_READ_DONE: {
        pread *r = (pread *)a->read;
        bool cas_op = w->op[r->op].kind == O_CAS;
        /* within a lease nobody else has acknowledged anything, unless clocks stood still */
        bool halted = n->halt_until && w->now < n->halt_until + ms(1000);
        if (!a->read->rc && w->acked_term > n->pm.term && !halted &&
            repl_primary_lease(&n->pm, local_ns(w, n))) {
            fail(w, "n%d answers a read in term %llu, and term %llu has acknowledged a write",
                 n->id, (unsigned long long)n->pm.term, (unsigned long long)w->acked_term);
        }
        client_reply(w, n, r->op, a->read->rc ? S_REFUSED : (cas_op ? S_CONFLICT : S_OK), r->seq,
                     r->val, 0);
        r->used = false;
        return;
    }
    case REPL_ACT_GLOBAL:
        if (a->to > n->d.global) n->d.global = a->to;
        return;
    case REPL_ACT_READY:
    case REPL_ACT_ACTIVE:
        return;
    case REPL_ACT_DRAINED:
        n->drained = true;
        return;
    case REPL_ACT_FENCED:
        n->fenced = true;
        return;
    }
}

/* --- publications ----------------------------------------------------------------------------- */

int64_t pub_max(world *w, int pub)
{
    return pub < 0 ? -1 : w->pub[pub].max;
}

void pub_cut(world *w, node *n)
{
    int64_t max = d_processed(&n->d);
    if (n->pub_wait >= 0 || max <= pub_max(w, n->shown) || w->npubs == PUBS) return;
    publication *p = &w->pub[w->npubs];
    *p = (publication){.term = n->pm.term, .gen = ++n->gen, .max = max};
    p->at = malloc((size_t)(max + 1) * sizeof *p->at);
    memcpy(p->at, n->d.mem, (size_t)(max + 1) * sizeof *p->at);
    n->pub_wait = w->npubs++;
}

static void pub_send(world *w, node *n)
{
    if (n->shown < 0) return;
    for (uint32_t i = 0; i < n->pm.top; i++) {
        repl_peer *c = &n->pm.peer[i];
        if (!c->id || !c->started || c->failing) continue;
        if (n->follower[i].peer != c->id) {
            n->follower[i].peer = c->id;
            n->follower[i].pub = -1;
            n->follower[i].busy = false;
            n->follower[i].fails = 0;
        }
        if (n->follower[i].busy || pub_max(w, n->follower[i].pub) >= pub_max(w, n->shown)) continue;
        n->follower[i].busy = true;
        msg m = {.pub = n->shown};
        to_peer(w, n, c, M_PUBLISH, &m);
        send_call(w, &m, ms(2500));
    }
}

static void refresh_look(world *w, node *n)
{
    for (size_t k = 0; k < QD_COUNT_OF(n->refresh); k++) {
        if (!n->refresh[k].op) continue;
        bool all = pub_max(w, n->shown) >= n->refresh[k].seq;
        for (uint32_t i = 0; i < n->pm.top && all; i++) {
            repl_peer *c = &n->pm.peer[i];
            if (!c->id || !c->started) continue;
            all =
                n->follower[i].peer == c->id && pub_max(w, n->follower[i].pub) >= n->refresh[k].seq;
        }
        if (!all) continue;
        client_reply(w, n, n->refresh[k].op, S_OK, n->refresh[k].seq, 0, n->pm.term);
        n->refresh[k].op = 0;
    }
}

static void pub_look(world *w, node *n)
{
    if (n->pub_wait >= 0 && repl_publish_allowed(w->pub[n->pub_wait].max, n->pm.global)) {
        n->shown = n->pub_wait;
        n->pub_wait = -1;
        if (chance(w, 0.3)) { /* a flush */
            n->d.pub = n->shown;
            int64_t keep = pub_max(w, n->shown) + 1 - (int64_t)rnd(w, 40);
            if (w->now < n->hold_until && n->hold < keep) keep = n->hold;
            if (keep > n->d.retained) n->d.retained = keep;
        }
    }
    pub_send(w, n);
    refresh_look(w, n);
}

/* --- after the machine was called ------------------------------------------------------------- */

static void relocate_look(world *w, node *n)
{
    const scopy *me = rec_copy(&n->view, n->aid);
    if (!me || me->state != QD_SHARD_RELOCATING || strcmp(n->view.primary, n->aid) != 0) {
        if (n->pm.phase == REPL_DRAINING) repl_primary_resume(&n->pm, local_ns(w, n));
        return;
    }
    repl_peer *t = repl_primary_find(&n->pm, me->partner);
    if (!t || !t->in_sync || t->failing) {
        if (n->pm.phase == REPL_DRAINING) repl_primary_resume(&n->pm, local_ns(w, n));
        return;
    }
    if (n->pm.phase == REPL_ACTIVE) repl_primary_drain(&n->pm);
    if (n->pm.phase == REPL_DRAINING && n->drained && !repl_primary_busy(&n->pm)) {
        repl_primary_handing(&n->pm);
        cas_push(w, n, CAS_HANDOVER, me->partner, t->id);
    }
    n->drained = false;
}

void pump(world *w, node *n)
{
    if (!n->open) return;
    if (n->leading && !n->fenced) relocate_look(w, n);
    if (n->fenced) {
        n->fenced = false;
        for (size_t i = 0; i < QD_COUNT_OF(n->refresh); i++) {
            if (n->refresh[i].op) client_reply(w, n, n->refresh[i].op, S_REFUSED, -1, 0, 0);
        }
        trace(w, "n%d %s term %llu fenced", n->id, n->aid, (unsigned long long)n->pm.term);
        w->r->rollbacks++;
        close_copy(n);
        return;
    }
    if (n->leading) {
        pub_look(w, n);
        if (!n->reported) { /* searches are refused as long as need be */
            n->reported = true;
            cas_push(w, n, CAS_START, n->aid, 0);
        }
        if ((n->pm.phase == REPL_ACTIVE || n->pm.phase == REPL_READY) && !n->opened_cut) {
            n->opened_cut = true;
            pub_cut(w, n);
            pub_look(w, n);
        }
    }
    cas_pump(w, n);
}

/* --- the source's side ------------------------------------------------------------------------ */

void source_message(world *w, node *n, msg *m)
{
    msg a = {.verdict = REPL_FAILED, .pub = -1};
    bool mine = n->open && n->leading && strcmp(n->aid, m->aid) == 0 &&
                n->pm.phase == REPL_ACTIVE && m->term <= n->pm.term;
    repl_peer *c = mine ? repl_primary_find(&n->pm, m->by) : NULL;
    uint64_t now = local_ns(w, n);
    a.term = n->pm.term;
    if (!mine) {
        answer(w, m, &a);
        return;
    }
    switch (m->type) {
    case M_HELLO: {
        char history[16], ours[16];
        snprintf(history, sizeof history, "%u", m->history);
        snprintf(ours, sizeof ours, "%u", n->d.history);
        if (c) { /* of an earlier attempt */
            repl_primary_fail(&n->pm, c->id, "it recovers anew", now);
            break;
        }
        const scopy *t = rec_copy(&n->view, m->by);
        if (!t || t->state != QD_SHARD_INITIALIZING) break;
        a.by_ops = repl_recovery_by_ops(history, ours, m->first, n->d.retained, d_processed(&n->d));
        if (!a.by_ops && n->shown < 0) {
            pub_cut(w, n);
            break;
        }
        n->hold = a.by_ops ? m->first : pub_max(w, n->shown) + 1;
        n->hold_until = w->now + ms(4000);
        a.history = n->d.history;
        a.max = d_processed(&n->d);
        a.pub = n->shown;
        a.verdict = REPL_OK;
        break;
    }
    case M_TRACK:
        if (c || m->term != n->pm.term) break;
        if (!QD_MUTANT(repl, SNAPSHOT_FIRST)) {
            c = repl_primary_track(&n->pm, m->by);
            if (!c) break;
            a.peer = c->id;
        }
        a.pub = m->by_ops ? -1 : n->shown;
        a.max = n->d.max;
        if (!m->by_ops) n->hold = pub_max(w, n->shown) + 1;
        n->hold_until = w->now + ms(4000);
        a.verdict = REPL_OK;
        break;
    case M_PULL: {
        if (m->term != n->pm.term || (!QD_MUTANT(repl, SNAPSHOT_FIRST) && (!c || c->id != m->peer)))
            break;
        int64_t upto = d_processed(&n->d);
        if (QD_MUTANT(repl, SNAPSHOT_FIRST) && m->max < upto) upto = m->max;
        if (m->first < n->d.retained) break;
        n->hold = m->first;
        n->hold_until = w->now + ms(4000);
        for (int64_t s = m->first; s <= upto && a.nops < CHUNK; s++) {
            a.ops[a.nops].seq = s;
            a.ops[a.nops++].r = n->d.mem[s];
        }
        a.more = m->first + CHUNK <= upto;
        a.verdict = REPL_OK;
        break;
    }
    case M_FINAL: {
        if (m->term != n->pm.term) break;
        if (!c && QD_MUTANT(repl, SNAPSHOT_FIRST)) {
            c = repl_primary_track(&n->pm, m->by);
            m->peer = c ? c->id : 0;
        }
        if (!c || (c->id != m->peer && !QD_MUTANT(repl, SNAPSHOT_FIRST))) break;
        a.verdict = REPL_OK;
        if (c->counts) {
            (void)repl_primary_admit(&n->pm, c->id, m->persisted, now);
            a.in_sync = c->in_sync;
            break;
        }
        uint64_t term = n->shown < 0 ? 0 : w->pub[n->shown].term;
        uint64_t gen = n->shown < 0 ? 0 : w->pub[n->shown].gen;
        switch (
            repl_recovery_final(m->persisted, n->pm.global, m->open_term, m->open_gen, term, gen)) {
        case REPL_FINAL_OPS:
            a.more = true;
            break;
        case REPL_FINAL_FILES:
            a.pub = n->shown;
            break;
        case REPL_FINAL_ADMIT: {
            uint32_t i = (uint32_t)(c - n->pm.peer);
            n->follower[i].peer = c->id;
            n->follower[i].pub = n->shown;
            n->follower[i].busy = false;
            (void)repl_primary_admit(&n->pm, c->id, m->persisted, now);
        }
        }
        break;
    }
    default:
        break;
    }
    answer(w, m, &a);
    pump(w, n);
}
