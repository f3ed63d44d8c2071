/* repl_node.c: a simulated node: the shell around the machines, its events. See repl_sim.h. */
#include "repl_node.h"
#include <stdio.h>
#include <string.h>

/* --- changes of the record -------------------------------------------------------------------- */

void cas_push(world *w, node *n, casop op, const char *aid, uint64_t peer)
{
    if (n->ncas == QD_COUNT_OF(n->casq)) {
        fail(w, "too many changes wait");
        return;
    }
    cas *c = &n->casq[n->ncas++];
    *c = (cas){.op = op, .peer = peer, .term = n->leading ? n->pm.term : n->target_term};
    snprintf(c->aid, sizeof c->aid, "%s", aid);
}

void cas_pump(world *w, node *n)
{
    if (n->cas_busy || !n->ncas) return;
    msg m = {.type = M_CAS,
             .from = n->id,
             .to = STORE,
             .inc = n->inc,
             .cas = n->casq[0].op,
             .term = n->casq[0].term};
    snprintf(m.aid, sizeof m.aid, "%s", n->casq[0].aid);
    snprintf(m.by, sizeof m.by, "%s", n->aid);
    n->cas_busy = true;
    send_call(w, &m, ms(600));
}

void close_copy(node *n)
{
    n->open = n->leading = n->promoting = n->reported = n->adopting = n->opened_cut = false;
    n->fenced = n->drained = n->lease_seen = false;
    n->rec = R_NONE;
    n->ncas = 0;
    n->shown = -1;
    n->pub_wait = -1;
    memset(n->batch, 0, sizeof n->batch);
    memset(n->read, 0, sizeof n->read);
    memset(n->refresh, 0, sizeof n->refresh);
    memset(n->follower, 0, sizeof n->follower);
    n->aid[0] = 0;
}

/* --- opening, promotion ----------------------------------------------------------------------- */

static void open_copy(world *w, node *n, const scopy *me, bool create)
{
    close_copy(n);
    n->open = true;
    snprintf(n->aid, sizeof n->aid, "%s", me->aid);
    if (create) {
        d_reset(&n->d, ++w->histories);
        n->d.exists = true;
        n->d.term = 0;
    } else {
        d_reopen(&n->d);
    }
    snprintf(n->d.aid, sizeof n->d.aid, "%s", me->aid);
    n->shown = n->d.pub;
    n->search_from = strcmp(n->view.primary, me->aid) == 0 ? INT64_MAX : -1;
    repl_copy_init(&n->cm, n->d.term, n->d.global, local_ns(w, n));
}

void io_failed(world *w, node *n)
{
    w->r->io_errors++;
    char aid[REPL_AID];
    snprintf(aid, sizeof aid, "%s", n->aid);
    uint64_t term = n->leading ? n->pm.term : n->cm.term;
    close_copy(n);
    /* told to the store until it hears */
    n->target_term = term;
    cas_push(w, n, CAS_FAILED, aid, 0);
    cas_pump(w, n);
}

static void promote_step(world *w, node *n)
{
    if (!n->open || !n->promoting || n->adopting) return;
    uint64_t term = n->target_term;
    if (n->cm.term > term) return; /* somebody else has a higher one: the record will tell */
    if (n->cm.term < term) {
        n->adopting = true;
        timer(w, n, T_ADOPT, fsync_delay(w), &(msg){.term = term});
        return;
    }
    uint64_t now = local_ns(w, n);
    if (!repl_copy_may_lead(&n->cm, term, now)) {
        uint64_t left = n->cm.lease_until_ns - now;
        timer(w, n, T_LEAD, left + us(1), NULL);
        return;
    }
    /* the own log, with what a roll-back had set aside */
    disk *d = &n->d;
    for (int64_t i = 0; i < SEQS; i++) {
        if (!d->mem[i].kind) continue;
        d->counted[i] = true;
        if (i > d->max) d->max = i;
    }
    for (int64_t i = 0; i <= d->max; i++) {
        if (!d->counted[i] && !QD_MUTANT(repl, NO_GAP_FILL)) {
            rec noop = {.term = term, .kind = 2, .pred = -1};
            d_append(w, n, i, &noop);
        }
    }
    timer(w, n, T_FSYNC_PROMOTE, fsync_delay(w), &(msg){.term = term, .open_gen = d->stamps});
}

static void flat_record(const srec *r, repl_record_copy *copies, repl_record *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->copies[i].state == QD_SHARD_UNASSIGNED) continue;
        snprintf(copies[n].aid, REPL_AID, "%s", r->copies[i].aid);
        copies[n].assigned = true;
        copies[n].in_sync = rec_in_sync(r, r->copies[i].aid);
        copies[n].started = r->copies[i].state != QD_SHARD_INITIALIZING;
        n++;
    }
    for (uint32_t i = 0; i < r->nsync; i++) {
        if (rec_copy(r, r->sync[i].aid)) continue;
        snprintf(copies[n].aid, REPL_AID, "%s", r->sync[i].aid);
        copies[n].assigned = copies[n].started = false;
        copies[n++].in_sync = true;
    }
    *out = (repl_record){.revision = r->rev, .term = r->term, .copies = copies, .n = n};
    snprintf(out->primary, REPL_AID, "%s", r->primary);
}

static void lead(world *w, node *n, uint64_t term)
{
    repl_record_copy copies[2 * COPIES];
    repl_record r;
    flat_record(&n->view, copies, &r);
    if (r.term != term || strcmp(r.primary, n->aid) != 0 || n->cm.term != term) return;
    n->promoting = false;
    n->leading = true;
    n->fenced = n->drained = false;
    w->r->promotions++;
    if (n->search_from == INT64_MAX) n->search_from = repl_search_from(n->d.max);
    /* versions before reads asked the copies each time answer by the lease alone */
    if (n->cm.lease_until_ns > local_ns(w, n)) {
        fail(w, "n%d leads in term %llu within the lease that it gave", n->id,
             (unsigned long long)term);
    }
    repl_copy_leads(&n->cm);
    repl_primary_init(&n->pm, n->peer, n->aid, term, r.revision - 1, d_persisted(&n->d), n->d.max,
                      n->d.global, primary_act, n);
    for (uint32_t i = 0; i < r.n; i++) {
        if (r.copies[i].in_sync && strcmp(r.copies[i].aid, n->aid) != 0) {
            (void)repl_primary_counted(&n->pm, r.copies[i].aid, r.copies[i].started);
        }
    }
    uint64_t now = local_ns(w, n);
    repl_primary_begin(&n->pm, now);
    repl_primary_record(&n->pm, &r, now);
    trace(w, "n%d %s leads term %llu max %lld global %lld", n->id, n->aid, (unsigned long long)term,
          (long long)n->d.max, (long long)n->d.global);
    timer(w, n, T_REFRESH, ms(20 + rnd(w, 100)), NULL);
    pump(w, n);
}

static void node_record(world *w, node *n, const srec *r)
{
    if (r->rev <= n->view.rev) return;
    n->view = *r;
    trace(w, "n%d sees %llu open %d leading %d promoting %d ncas %u busy %d", n->id,
          (unsigned long long)r->rev, n->open, n->leading, n->promoting, n->ncas, n->cas_busy);
    const scopy *me = rec_copy_of(r, n->id);
    if (me && strcmp(me->eph, n->eph) != 0) me = NULL;
    if (n->ncas && (n->casq[0].op == CAS_FAILED || n->casq[0].op == CAS_LOST) && !n->open) {
        if (me && strcmp(me->aid, n->casq[0].aid) == 0) return; /* not yet */
        n->ncas = 0;
    }
    if (n->open && n->leading) {
        repl_record_copy copies[2 * COPIES];
        repl_record flat;
        flat_record(r, copies, &flat);
        repl_primary_record(&n->pm, &flat, local_ns(w, n));
        pump(w, n);
    }
    if (!me) {
        if (n->open) close_copy(n);
        return;
    }
    bool primary = strcmp(r->primary, me->aid) == 0;
    if (n->open && strcmp(n->aid, me->aid) != 0) close_copy(n);
    if (primary) {
        bool create = me->recovery == QD_RECOVERY_EMPTY_STORE && me->state == QD_SHARD_INITIALIZING;
        if (!n->open && !create && !(n->d.exists && strcmp(n->d.aid, me->aid) == 0)) {
            n->target_term = r->term;
            if (!n->ncas) cas_push(w, n, CAS_LOST, me->aid, 0);
            cas_pump(w, n);
            return;
        }
        if (!n->open) open_copy(w, n, me, create);
        if (n->leading && n->pm.term == r->term) return;
        if (n->promoting && n->target_term == r->term) return;
        n->rec = R_NONE;
        n->leading = false;
        n->promoting = true;
        n->target_term = r->term;
        promote_step(w, n);
        return;
    }
    if (n->open || me->state != QD_SHARD_INITIALIZING) return;
    open_copy(w, n, me, !n->d.exists);
    n->rec_try = 0;
    n->rec = R_HELLO;
    n->rec_id = ++w->rec_ids;
    recovery_send(w, n);
}

/* --- events ----------------------------------------------------------------------------------- */

void node_message(world *w, node *n, msg *m)
{
    switch (m->type) {
    case M_OPS:
    case M_SYNC:
    case M_RESYNC:
    case M_PUBLISH:
        copy_message(w, n, m);
        break;
    case M_HELLO:
    case M_TRACK:
    case M_PULL:
    case M_FINAL:
        source_message(w, n, m);
        break;
    case M_RECORD:
        node_record(w, n, &m->record);
        break;
    case M_CLIENT:
        client_request(w, n, m);
        break;
    default:
        break;
    }
}

static void cas_answer(world *w, node *n, const msg *q, const msg *a)
{
    n->cas_busy = false;
    if (!n->ncas || q->cas != n->casq[0].op || strcmp(q->aid, n->casq[0].aid) != 0 ||
        q->term != n->casq[0].term) {
        cas_pump(w, n); /* of a copy that was closed since */
        return;
    }
    trace(w, "n%d change %d of %s: %s", n->id, (int)q->cas, q->aid,
          !a         ? "?"
          : a->ok    ? "ok"
          : a->stale ? "stale"
                     : "no");
    if (!a) { /* unknown: the same is asked again */
        w->r->unknown_cas++;
        timer(w, n, T_RETRY, ms(20 + rnd(w, 50)), &(msg){.type = M_CAS});
        return;
    }
    cas c = n->casq[0];
    memmove(&n->casq[0], &n->casq[1], --n->ncas * sizeof n->casq[0]);
    uint64_t now = local_ns(w, n);
    if (c.op == CAS_FAILED || c.op == CAS_LOST)
        n->view.rev = 0; /* whatever came meanwhile is looked at again */
    if (!n->leading || (c.op == CAS_START && c.term != n->pm.term)) {
        cas_pump(w, n);
        return;
    }
    if (c.op == CAS_START) {
        repl_primary_changed(&n->pm, REPL_CHANGE_START, 0, a->ok, a->stale, (uint64_t)a->first,
                             now);
    }
    if (c.op == CAS_HANDOVER && a->ok && n->pm.first) {
        fail(w, "the primary moved while writes were under way");
    }
    if (c.op == CAS_FAIL || c.op == CAS_ADMIT || c.op == CAS_HANDOVER) {
        repl_change change = c.op == CAS_FAIL    ? REPL_CHANGE_FAIL
                             : c.op == CAS_ADMIT ? REPL_CHANGE_ADMIT
                                                 : REPL_CHANGE_HANDOVER;
        repl_primary_changed(&n->pm, change, c.peer, a->ok, a->stale, (uint64_t)a->first, now);
    }
    pump(w, n);
}

void node_answer(world *w, node *n, const msg *q, const msg *a)
{
    if (q->type == M_CAS) {
        cas_answer(w, n, q, a);
        return;
    }
    if (q->type == M_HELLO || q->type == M_TRACK || q->type == M_PULL || q->type == M_FINAL) {
        recovery_answer(w, n, q, a);
        return;
    }
    if (!n->open || !n->leading || n->pm.term != q->term || strcmp(n->aid, q->by) != 0) return;
    repl_peer *c = repl_primary_peer(&n->pm, q->peer);
    uint64_t now = local_ns(w, n);
    if (q->type == M_PUBLISH) {
        if (!c) return;
        uint32_t i = (uint32_t)(c - n->pm.peer);
        if (n->follower[i].peer != c->id) return;
        n->follower[i].busy = false;
        if (a && a->verdict == REPL_OK) {
            n->follower[i].pub = q->pub;
            n->follower[i].fails = 0;
        } else if (a && a->verdict == REPL_STALE_TERM) {
            repl_primary_fence(&n->pm, a->term);
        } else if (++n->follower[i].fails > 4) {
            repl_primary_fail(&n->pm, c->id, "it does not open what is published", now);
        }
        pump(w, n);
        return;
    }
    if (q->type == M_RESYNC && a && a->verdict == REPL_OK && !q->last) {
        if (c && c->resync == q->resync) {
            resync_part(w, n, c, q->resync, q->persisted, q->part + 1);
        }
        return;
    }
    repl_answer x = {.verdict = a ? a->verdict : REPL_FAILED,
                     .term = a ? a->term : 0,
                     .persisted = a ? a->persisted : -1,
                     .sent_ns = q->lease ? q->sent_ns : 0,
                     .batch = q->batch,
                     .resync = q->resync,
                     .catch_up = q->catch_up,
                     .round = q->round};
    repl_primary_answer(&n->pm, q->peer, &x, now);
    pump(w, n);
    n->lease_seen = n->open && n->leading && repl_primary_lease(&n->pm, local_ns(w, n));
}

/* The record names this process's copy, which has stepped down: nobody else will be it. */
static void stuck_look(world *w, node *n)
{
    const scopy *me = rec_copy_of(&n->view, n->id);
    uint64_t now = local_ns(w, n);
    if (!w->cluster || n->open || n->ncas || !me || strcmp(me->eph, n->eph) != 0) {
        n->stuck = 0;
    } else if (!n->stuck) {
        n->stuck = now;
    } else if (now - n->stuck > ms(1000)) {
        n->stuck = 0;
        cas_push(w, n, CAS_FAILED, me->aid, 0);
    }
}

static void tick(world *w, node *n)
{
    msg alive = {.type = M_ALIVE, .from = n->id, .to = STORE, .inc = n->inc};
    send_msg(w, &alive);
    if (n->open && n->leading) {
        repl_primary_progress(&n->pm, d_persisted(&n->d), n->d.max, local_ns(w, n));
        repl_primary_tick(&n->pm, local_ns(w, n));
    }
    stuck_look(w, n);
    cas_pump(w, n);
    pump(w, n);
    timer(w, n, T_TICK, ms(100), NULL);
}

void node_timer(world *w, node *n, int kind, msg *m)
{
    switch (kind) {
    case T_TICK:
        tick(w, n);
        return;
    case T_ADOPT:
        if (!n->open || !n->adopting) return;
        n->adopting = false;
        if (m->term > n->cm.term) {
            n->d.term = m->term;
            repl_copy_adopted(&n->cm, m->term);
        }
        promote_step(w, n);
        return;
    case T_LEAD:
        if (m && m->to == n->id && m->call) {
            node_message(w, n, m);
        } else {
            promote_step(w, n);
        }
        return;
    case T_FSYNC_PROMOTE:
        if (!n->open || !n->promoting || n->cm.term != m->term) return;
        d_sync(&n->d, (uint32_t)m->open_gen);
        lead(w, n, m->term);
        return;
    case T_FSYNC_COPY:
        if (!n->open || strcmp(n->aid, m->aid) != 0) return;
        if (!w->quiet && chance(w, w->io_fails)) {
            io_failed(w, n);
            return;
        }
        d_sync(&n->d, (uint32_t)m->open_gen);
        if (QD_MUTANT(repl, COPY_ACK_BEFORE_FSYNC) && m->type == M_OPS) return;
        if (n->cm.term != m->term && !QD_MUTANT(repl, NO_TERM_CHECK)) {
            copy_reply(w, n, m, REPL_STALE_TERM);
        } else {
            copy_reply(w, n, m, REPL_OK);
        }
        return;
    case T_NOOP_FSYNC:
        if (n->open) d_sync(&n->d, (uint32_t)m->open_gen);
        return;
    case T_FSYNC_BATCH: {
        if (!n->open || !n->leading || n->pm.term != m->term) return;
        bool bad = !w->quiet && chance(w, w->io_fails);
        if (!bad) d_sync(&n->d, (uint32_t)m->open_gen);
        pbatch *b = NULL;
        for (uint32_t i = 0; i < BATCHES && !b; i++) {
            if (n->batch[i].used && n->batch[i].b.id == m->batch) b = &n->batch[i];
        }
        if (!b) return;
        if (bad) {
            repl_primary_local(&n->pm, &b->b, QD_E_IO, -1, -1, local_ns(w, n));
            io_failed(w, n);
            return;
        }
        repl_primary_local(&n->pm, &b->b, 0, d_persisted(&n->d), n->d.max, local_ns(w, n));
        pump(w, n);
        return;
    }
    case T_FETCHED:
        if (!n->open) return;
        if (m->type == M_TRACK) { /* recovery */
            if (m->round != n->rec_id || n->rec != R_FILES) return;
            if ((m->pub >= 0 && !install(w, n, m->pub)) || chance(w, w->quiet ? 0 : 0.03)) {
                recovery_again(w, n);
                return;
            }
            n->rec = R_PULL;
            recovery_send(w, n);
            return;
        }
        if (strcmp(n->aid, m->aid) != 0 || n->cm.term != m->term) return;
        copy_reply(w, n, m, install(w, n, m->pub) ? REPL_OK : REPL_FAILED);
        return;
    case T_READ: {
        if (!n->open || !n->leading) {
            client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
            return;
        }
        if (m->term != n->pm.term) {
            client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
            return;
        }
        confirm(w, n, m->op, m->first, m->history);
        pump(w, n);
        return;
    }
    case T_RETRY:
        if (m->type == M_CAS) {
            cas_pump(w, n);
            return;
        }
        if (!n->open || m->round != n->rec_id || n->rec == R_NONE) return;
        if (m->open_gen) d_sync(&n->d, (uint32_t)m->open_gen);
        recovery_send(w, n);
        return;
    case T_REFRESH:
        if (!n->open || !n->leading) return;
        pub_cut(w, n);
        pump(w, n);
        timer(w, n, T_REFRESH, ms(100 + rnd(w, 600)), NULL);
        return;
    default:
        return;
    }
}

void node_start(world *w, node *n)
{
    n->world = w;
    n->up = true;
    n->inc++;
    n->view.rev = 0;
    n->cas_busy = false;
    n->gen = 0;
    n->base = rnd(w, ms(1000000));
    n->eph[0] = 0;
    if (!w->cluster) snprintf(n->eph, sizeof n->eph, "n%d.%u", n->id, n->inc);
    close_copy(n);
    timer(w, n, T_TICK, ms(rnd(w, 50)), NULL);
}

void node_crash(world *w, node *n)
{
    disk *d = &n->d;
    n->up = false;
    for (int64_t i = 0; i < SEQS; i++) {
        if (!d->dirty[i]) continue;
        if (chance(w, 0.5)) d->dur[i] = d->mem[i];
        d->mem[i] = d->dur[i];
        d->dirty[i] = false;
        w->r->lost++;
    }
    close_copy(n);
    n->view.rev = 0;
}
