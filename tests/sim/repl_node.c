/* repl_node.c: a simulated node: the shell around the machines. See repl_sim.h. */
#include "repl_sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void pump(world *w, node *n);
static void recovery_send(world *w, node *n);

/* --- the model of a copy's log ---------------------------------------------------------------- */

static int64_t d_persisted(disk *d)
{
    while (d->persisted + 1 < SEQS && d->counted[d->persisted + 1] && !d->dirty[d->persisted + 1]) {
        d->persisted++;
    }
    return d->persisted;
}

static int64_t d_processed(disk *d)
{
    while (d->processed + 1 < SEQS && d->counted[d->processed + 1]) d->processed++;
    return d->processed;
}

static void d_count_from(disk *d, int64_t above)
{
    if (d->persisted > above) d->persisted = above;
    if (d->processed > above) d->processed = above;
}

/* Records above `to` do not count any more, but are not gone. */
static void d_roll_back(disk *d, int64_t to)
{
    for (int64_t i = to + 1; i < SEQS; i++) d->counted[i] = false;
    d_count_from(d, to);
    d->max = to;
    for (int64_t i = 0; i <= to; i++) {
        if (d->mem[i].kind) d->counted[i] = true;
    }
}

static void d_append(world *w, node *n, int64_t seq, const rec *r)
{
    disk *d = &n->d;
    if (seq < 0 || seq >= SEQS) return;
    rec *now = &d->mem[seq];
    if (now->kind && now->term == r->term && (now->val != r->val || now->kind != r->kind)) {
        fail(w, "node %d: two operations of (%lld, %llu)", n->id, (long long)seq,
             (unsigned long long)r->term);
        return;
    }
    if (seq <= d->global && d->counted[seq]) return;
    if (!(now->kind && now->term == r->term)) {
        *now = *r;
        d->dirty[seq] = true;
        d->stamp[seq] = ++d->stamps;
        d_count_from(d, seq - 1);
    }
    d->counted[seq] = true;
    if (seq > d->max) d->max = seq;
}

static void d_sync(disk *d, uint32_t upto)
{
    for (int64_t i = 0; i < SEQS; i++) {
        if (!d->dirty[i] || d->stamp[i] > upto) continue;
        d->dur[i] = d->mem[i];
        d->dirty[i] = false;
    }
    d->global_dur = d->global;
}

static void d_trim(disk *d, int64_t above, uint64_t term)
{
    for (int64_t i = above + 1; i < SEQS; i++) {
        if (!d->mem[i].kind || d->mem[i].term >= term) continue;
        d->mem[i] = d->dur[i] = (rec){0};
        d->dirty[i] = d->counted[i] = false;
    }
}

static void d_reopen(disk *d)
{
    d->persisted = d->processed = d->max = -1;
    for (int64_t i = 0; i < SEQS; i++) {
        d->counted[i] = d->mem[i].kind != 0;
        if (d->counted[i]) d->max = i;
    }
    d->global = d->global_dur;
}

static void d_reset(disk *d, uint32_t history)
{
    memset(d->mem, 0, sizeof d->mem);
    memset(d->dur, 0, sizeof d->dur);
    memset(d->dirty, 0, sizeof d->dirty);
    memset(d->counted, 0, sizeof d->counted);
    d->persisted = d->processed = d->max = d->global = d->global_dur = -1;
    d->history = history;
    d->retained = 0;
    d->pub = -1;
}

/* The known checkpoint never exceeds what is here. */
static void d_told(disk *d, int64_t global)
{
    int64_t have = d_persisted(d);
    if (have < global) global = have;
    if (global > d->global) d->global = global;
}

/* --- sending ---------------------------------------------------------------------------------- */

static int holder(const node *n, const char *aid)
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

static void add_ops(node *n, msg *m, int64_t from, int64_t to)
{
    for (int64_t s = from; s <= to && m->nops < CHUNK; s++) {
        if (s >= SEQS || !n->d.counted[s]) continue;
        m->ops[m->nops].seq = s;
        m->ops[m->nops++].r = n->d.mem[s];
    }
}

static void resync_part(world *w, node *n, const repl_peer *c, uint64_t attempt, int64_t from,
                        uint32_t part)
{
    msg m = {.resync = attempt, .part = part, .first = from, .max = n->pm.max_seq_no};
    /* `first` is where this part begins; part 0 tells the resync's beginning */
    int64_t s = from;
    for (; s <= m.max && m.nops < CHUNK; s++) {
        if (s >= SEQS || !n->d.counted[s]) continue;
        m.ops[m.nops].seq = s;
        m.ops[m.nops++].r = n->d.mem[s];
    }
    m.last = s > m.max;
    m.persisted = s; /* where the next part begins */
    to_peer(w, n, c, M_RESYNC, &m);
    send_call(w, &m, ms(1500));
}

static void cas_push(world *w, node *n, casop op, const char *aid, uint64_t peer)
{
    if (n->ncas == QD_COUNT_OF(n->casq)) {
        fail(w, "too many changes wait");
        return;
    }
    cas *c = &n->casq[n->ncas++];
    *c = (cas){.op = op, .peer = peer, .term = n->leading ? n->pm.term : n->target_term};
    snprintf(c->aid, sizeof c->aid, "%s", aid);
}

static void cas_pump(world *w, node *n)
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

static void close_copy(node *n)
{
    n->open = n->leading = n->promoting = n->reported = n->adopting = false;
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

/* --- what the primary's machine asks for ------------------------------------------------------ */

static void client_reply(world *w, node *n, uint32_t op, ostate state, int64_t seq, uint32_t val,
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

static world *the_world; /* of act: one at a time */

static void act(void *arg, const repl_act *a)
{
    node *n = arg;
    world *w = the_world;
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
        add_ops(n, &m, a->batch->min, a->batch->max);
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
        add_ops(n, &m, a->from, a->to);
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
        client_reply(w, n, b->op, a->batch->rc ? S_UNKNOWN : S_OK, a->batch->max, 0, n->pm.term);
        b->used = false;
        return;
    }
    case REPL_ACT_READ_DONE: {
        pread *r = (pread *)a->read;
        bool cas_op = w->op[r->op].kind == O_CAS;
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

static int64_t pub_max(world *w, int pub)
{
    return pub < 0 ? -1 : w->pub[pub].max;
}

static void pub_cut(world *w, node *n)
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
    for (uint32_t i = 0; i < REPL_PEERS_MAX; i++) {
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
        for (uint32_t i = 0; i < REPL_PEERS_MAX && all; i++) {
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

static void pump(world *w, node *n)
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
        if ((n->pm.phase == REPL_ACTIVE || n->pm.phase == REPL_READY) && !n->reported) {
            pub_cut(w, n);
            pub_look(w, n);
            if (pub_max(w, n->shown) >= n->pm.global) {
                n->reported = true;
                n->behind = false;
                cas_push(w, n, CAS_START, n->aid, 0);
            }
        }
    }
    cas_pump(w, n);
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
    n->behind = true;
    repl_copy_init(&n->cm, n->d.term, n->d.global, local_ns(w, n));
}

static void io_failed(world *w, node *n)
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
        if (!d->counted[i] && !repl_broken(NO_GAP_FILL)) {
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
    repl_copy_leads(&n->cm);
    repl_primary_init(&n->pm, n->aid, term, r.revision - 1, d_persisted(&n->d), n->d.max,
                      n->d.global, act, n);
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

/* --- recovery, the target's side -------------------------------------------------------------- */

static void recovery_send(world *w, node *n)
{
    msg m = {.from = n->id,
             .inc = n->inc,
             .round = n->rec_id,
             .peer = n->rec_peer,
             .term = n->cm.term,
             .history = n->d.history,
             .pub = -1};
    snprintf(m.aid, sizeof m.aid, "%s", n->view.primary);
    snprintf(m.by, sizeof m.by, "%s", n->aid);
    m.to = holder(n, n->view.primary);
    if (m.to < 0) m.to = STORE;
    m.persisted = d_persisted(&n->d);
    if (n->shown >= 0) {
        m.open_term = w->pub[n->shown].term;
        m.open_gen = w->pub[n->shown].gen;
    }
    switch (n->rec) {
    case R_HELLO:
        m.type = M_HELLO;
        m.first = (n->d.global < m.persisted ? n->d.global : m.persisted) + 1;
        break;
    case R_TRACK:
        m.type = M_TRACK;
        m.by_ops = n->rec_pub < 0;
        break;
    case R_PULL:
        m.type = M_PULL;
        m.first = m.persisted + 1;
        m.max = n->pull_upto;
        break;
    case R_FINAL:
        m.type = M_FINAL;
        break;
    default:
        return;
    }
    send_call(w, &m, ms(1500));
}

static void recovery_again(world *w, node *n)
{
    if (++n->rec_try > 12 && !w->quiet) {
        trace(w, "n%d %s recovery given up", n->id, n->aid);
        io_failed(w, n);
        return;
    }
    n->rec = R_HELLO;
    n->rec_id = ++w->rec_ids;
    timer(w, n, T_RETRY, ms(50 + rnd(w, 200)), &(msg){.round = n->rec_id});
}

/* In sync: it says that it has started, unless the primary hands over to it. */
static void started(world *w, node *n)
{
    const scopy *me = rec_copy(&n->view, n->aid);
    if (!w->cluster || (me && me->partner[0] && strcmp(me->partner, n->view.primary) == 0)) return;
    cas_push(w, n, CAS_START, n->aid, 0);
    cas_pump(w, n);
}

static void recovery_answer(world *w, node *n, const msg *q, const msg *a)
{
    if (q->round != n->rec_id || n->rec == R_NONE || !n->open) return;
    if (!a || a->verdict != REPL_OK) {
        recovery_again(w, n);
        return;
    }
    switch (q->type) {
    case M_HELLO:
        if (a->term < n->cm.term) {
            recovery_again(w, n);
            return;
        }
        if (a->by_ops) {
            d_roll_back(&n->d, q->first - 1);
            if (n->d.global > q->first - 1) n->d.global = q->first - 1;
            n->rec_pub = -1;
        } else {
            d_reset(&n->d, a->history);
            n->shown = -1;
            n->rec_pub = 0;
        }
        n->d.history = a->history;
        if (a->term > n->cm.term) {
            n->d.term = a->term;
            repl_copy_adopted(&n->cm, a->term);
        }
        repl_copy_recovering(&n->cm);
        n->pull_upto = a->max;
        n->rec = R_TRACK;
        if (repl_broken(SNAPSHOT_FIRST)) n->rec_pub = a->by_ops ? -1 : a->pub;
        recovery_send(w, n);
        return;
    case M_TRACK:
        n->rec_peer = a->peer;
        n->rec_max = a->max;
        if (!repl_broken(SNAPSHOT_FIRST)) n->rec_pub = a->pub;
        if (q->by_ops) {
            w->r->by_ops++;
            n->rec = R_PULL;
            recovery_send(w, n);
        } else {
            w->r->by_files++;
            n->rec = R_FILES;
            timer(w, n, T_FETCHED, ms(2 + rnd(w, 150)),
                  &(msg){.round = n->rec_id, .pub = n->rec_pub, .type = M_TRACK});
        }
        return;
    case M_PULL:
        for (uint32_t i = 0; i < a->nops; i++) {
            rec r = a->ops[i].r;
            r.term = repl_record_term(r.term, q->term);
            d_append(w, n, a->ops[i].seq, &r);
        }
        n->rec = a->more ? R_PULL : R_FINAL;
        /* numbers above what the source had when it began: of this term, or of nobody */
        if (!a->more && !repl_broken(RECOVERY_NO_TRIM)) d_trim(&n->d, n->rec_max, n->cm.term);
        timer(w, n, T_RETRY, fsync_delay(w), &(msg){.round = n->rec_id, .open_gen = n->d.stamps});
        return;
    case M_FINAL:
        if (a->in_sync) {
            n->rec = R_NONE;
            n->behind = false;
            started(w, n);
        } else if (a->more) {
            n->rec = R_PULL;
            timer(w, n, T_RETRY, ms(5), &(msg){.round = n->rec_id, .open_gen = n->d.stamps});
        } else if (a->pub >= 0) {
            n->rec = R_FILES;
            timer(w, n, T_FETCHED, ms(2 + rnd(w, 60)),
                  &(msg){.round = n->rec_id, .pub = a->pub, .type = M_TRACK});
        } else {
            timer(w, n, T_RETRY, ms(30), &(msg){.round = n->rec_id, .open_gen = n->d.stamps});
        }
        return;
    default:
        return;
    }
}

/* Opens a publication whose files have come. */
static bool install(world *w, node *n, int pub)
{
    publication *p = &w->pub[pub];
    uint64_t term = 0, gen = 0;
    if (n->shown >= 0) {
        term = w->pub[n->shown].term;
        gen = w->pub[n->shown].gen;
    }
    if (n->shown == pub) return true;
    if (!repl_copy_publication(p->term, p->gen, p->max, term, gen, pub_max(w, n->shown))) {
        return pub_max(w, n->shown) >= p->max;
    }
    for (int64_t i = 0; i <= p->max; i++) {
        n->d.mem[i] = n->d.dur[i] = p->at[i];
        n->d.dirty[i] = false;
        n->d.counted[i] = true;
    }
    if (p->max > n->d.max) n->d.max = p->max;
    if (p->max >= n->d.retained) n->d.retained = n->d.retained > 0 ? n->d.retained : p->max + 1;
    n->d.pub = n->shown = pub;
    return true;
}

/* --- the source's side ------------------------------------------------------------------------ */

static void source_message(world *w, node *n, msg *m)
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
        if (!repl_broken(SNAPSHOT_FIRST)) {
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
        if (m->term != n->pm.term || (!repl_broken(SNAPSHOT_FIRST) && (!c || c->id != m->peer)))
            break;
        int64_t upto = d_processed(&n->d);
        if (repl_broken(SNAPSHOT_FIRST) && m->max < upto) upto = m->max;
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
        if (!c && repl_broken(SNAPSHOT_FIRST)) {
            c = repl_primary_track(&n->pm, m->by);
            m->peer = c ? c->id : 0;
        }
        if (!c || (c->id != m->peer && !repl_broken(SNAPSHOT_FIRST))) break;
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

/* --- a copy's side ---------------------------------------------------------------------------- */

static void copy_reply(world *w, node *n, msg *m, repl_verdict v)
{
    msg a = {.verdict = v, .term = n->open ? n->cm.term : 0, .persisted = d_persisted(&n->d)};
    if (repl_broken(COPY_ACK_BEFORE_FSYNC)) a.persisted = d_processed(&n->d);
    answer(w, m, &a);
}

static void copy_ops(world *w, node *n, msg *m)
{
    uint64_t now = local_ns(w, n);
    if (repl_copy_ops(&n->cm) != REPL_COPY_TAKE) {
        copy_reply(w, n, m, REPL_NOT_SYNCED);
        return;
    }
    for (uint32_t i = 0; i < m->nops; i++) {
        rec r = m->ops[i].r;
        r.term = repl_record_term(r.term, m->term);
        d_append(w, n, m->ops[i].seq, &r);
    }
    (void)repl_copy_told(&n->cm, m->global, now);
    d_told(&n->d, m->global);
    if (m->lease) repl_copy_lease(&n->cm, m->sent_ns, now);
    if (m->type == M_SYNC || repl_broken(COPY_ACK_BEFORE_FSYNC)) {
        copy_reply(w, n, m, REPL_OK);
    }
    if (m->type == M_SYNC) return;
    m->open_gen = n->d.stamps;
    timer(w, n, T_FSYNC_COPY, fsync_delay(w), m);
}

static void copy_resync(world *w, node *n, msg *m)
{
    uint64_t now = local_ns(w, n);
    switch (repl_copy_resync(&n->cm, m->resync, m->part)) {
    case REPL_COPY_REPEATED:
        /* what came the first time has to be durable before it is answered again */
        m->open_gen = n->d.stamps;
        timer(w, n, T_FSYNC_COPY, fsync_delay(w), m);
        return;
    case REPL_COPY_ROLL_BACK:
        w->r->rollbacks++;
        if (m->first - 1 > n->d.global) n->d.global = m->first - 1;
        d_roll_back(&n->d, n->d.global);
        if (w->cluster && n->rec != R_NONE) {
            recovery_again(w, n); /* nobody has said yet that it has started */
        } else {
            n->rec = R_NONE;
        }
        break;
    case REPL_COPY_TAKE:
        break;
    default:
        copy_reply(w, n, m, REPL_NOT_SYNCED);
        return;
    }
    for (uint32_t i = 0; i < m->nops; i++) {
        rec r = m->ops[i].r;
        r.term = repl_record_term(r.term, m->term);
        d_append(w, n, m->ops[i].seq, &r);
    }
    if (m->last && !repl_broken(RESYNC_NO_TRIM)) d_trim(&n->d, m->max, m->term);
    repl_copy_resynced(&n->cm, m->last);
    (void)repl_copy_told(&n->cm, m->global, now);
    repl_copy_lease(&n->cm, m->sent_ns, now);
    m->open_gen = n->d.stamps;
    timer(w, n, T_FSYNC_COPY, fsync_delay(w), m);
}

static void copy_message(world *w, node *n, msg *m)
{
    uint64_t now = local_ns(w, n);
    if (!n->open || strcmp(n->aid, m->aid) != 0 || (n->leading && !repl_broken(NO_TERM_CHECK))) {
        msg a = {.verdict = REPL_FAILED};
        if (n->open && n->leading && n->pm.term > m->term) {
            a.verdict = REPL_STALE_TERM;
            a.term = n->pm.term;
        }
        answer(w, m, &a);
        return;
    }
    if (m->release) repl_copy_release(&n->cm, m->term, m->sent_ns);
    switch (repl_copy_request(&n->cm, m->term, now)) {
    case REPL_COPY_REFUSE:
        copy_reply(w, n, m, REPL_STALE_TERM);
        return;
    case REPL_COPY_ADOPT:
        if (!n->adopting) {
            n->adopting = true;
            timer(w, n, T_ADOPT, fsync_delay(w), &(msg){.term = m->term});
        }
        timer(w, n, T_LEAD, fsync_delay(w) + us(100), m); /* asked again */
        return;
    case REPL_COPY_WAIT:
        timer(w, n, T_LEAD, n->cm.lease_until_ns - now + us(1), m);
        return;
    default:
        break;
    }
    if (m->type == M_RESYNC) {
        copy_resync(w, n, m);
    } else if (m->type == M_PUBLISH) {
        if (repl_copy_ops(&n->cm) != REPL_COPY_TAKE) {
            copy_reply(w, n, m, REPL_FAILED);
            return;
        }
        timer(w, n, T_FETCHED, ms(1 + rnd(w, chance(w, 0.05) ? 800 : 20)), m);
    } else {
        copy_ops(w, n, m);
    }
}

/* --- clients' requests ------------------------------------------------------------------------ */

static int64_t doc_last(const disk *d, uint8_t doc)
{
    for (int64_t i = d->max; i >= 0; i--) {
        if (d->counted[i] && d->mem[i].kind == 1 && d->mem[i].doc == doc) return i;
    }
    return -1;
}

static pread *read_slot(node *n)
{
    for (size_t i = 0; i < QD_COUNT_OF(n->read); i++) {
        if (!n->read[i].used) return &n->read[i];
    }
    return NULL;
}

static void confirm(world *w, node *n, uint32_t op, int64_t seq, uint32_t val)
{
    pread *r = read_slot(n);
    if (!r) {
        client_reply(w, n, op, S_REFUSED, -1, 0, 0);
        return;
    }
    *r = (pread){.used = true, .op = op, .seq = seq, .val = val};
    uint64_t now = local_ns(w, n);
    if (repl_primary_lease(&n->pm, now)) w->r->lease_reads++;
    /* "not found" waits for all that had a number */
    repl_primary_read(&n->pm, &r->r, seq < 0 ? n->d.max : seq, now);
}

static void client_write(world *w, node *n, hop *h, uint32_t op)
{
    disk *d = &n->d;
    pbatch *b = NULL;
    for (uint32_t i = 0; i < BATCHES && !b; i++) {
        if (!n->batch[i].used) b = &n->batch[i];
    }
    if (!b || d->max + 3 >= SEQS) {
        client_reply(w, n, op, S_REFUSED, -1, 0, 0);
        return;
    }
    if (h->kind == O_CAS) {
        int64_t last = doc_last(d, h->doc);
        if (last != h->pred) {
            w->r->conflicts++;
            confirm(w, n, op, last, last < 0 ? 0 : d->mem[last].val);
            return;
        }
    }
    int64_t min = d->max + 1;
    if (chance(w, 0.05)) { /* an operation that failed after it took its number */
        rec noop = {.term = n->pm.term, .kind = 2, .pred = -1};
        d_append(w, n, min++, &noop);
        timer(w, n, T_NOOP_FSYNC, fsync_delay(w), &(msg){.open_gen = d->stamps});
    }
    rec r = {.term = n->pm.term,
             .kind = 1,
             .doc = h->doc,
             .val = op,
             .pred = h->kind == O_CAS ? h->pred : -2};
    d_append(w, n, min, &r);
    *b = (pbatch){.used = true, .op = op};
    repl_primary_batch(&n->pm, &b->b, min, min);
    if (!b->used) return;
    timer(w, n, T_FSYNC_BATCH, fsync_delay(w),
          &(msg){.batch = b->b.id, .term = n->pm.term, .open_gen = d->stamps, .op = op});
}

static void client_request(world *w, node *n, msg *m)
{
    hop *h = &w->op[m->op];
    if (h->kind == O_SEARCH && w->cluster && n->behind) {
        client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
        return;
    }
    if (h->kind == O_SEARCH) {
        if (n->open && n->shown >= 0) node_shown_check(w, n->shown);
        const scopy *c = rec_copy(&w->record, n->aid);
        bool current =
            n->open && c && c->state != QD_SHARD_INITIALIZING && w->refreshed_at < h->begin;
        if (current && pub_max(w, n->shown) < w->refreshed) {
            fail(w, "a search on node %d shows %lld, a refresh had shown %lld everywhere", n->id,
                 (long long)pub_max(w, n->shown), (long long)w->refreshed);
        }
        w->r->searches++;
        client_reply(w, n, m->op, S_OK, -1, 0, 0);
        return;
    }
    bool active = n->open && n->leading && n->pm.phase == REPL_ACTIVE;
    if (!active && !(n->open && n->leading && n->pm.phase == REPL_DRAINING && h->kind == O_READ)) {
        client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
        return;
    }
    if (h->kind == O_REFRESH) {
        for (size_t i = 0; i < QD_COUNT_OF(n->refresh); i++) {
            if (n->refresh[i].op) continue;
            n->refresh[i].op = m->op;
            n->refresh[i].seq = n->d.max;
            pub_cut(w, n);
            pump(w, n);
            return;
        }
        client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
    } else if (h->kind == O_READ) {
        int64_t last = doc_last(&n->d, h->doc);
        if (repl_broken(LEASE_BEFORE_READ) && n->lease_seen && last <= n->pm.global) {
            /* looked at when something was last heard, trusted now */
            client_reply(w, n, m->op, S_OK, last, last < 0 ? 0 : n->d.mem[last].val, 0);
            return;
        }
        uint64_t pause = chance(w, 0.2) ? ms(rnd(w, 1500)) : us(rnd(w, 400));
        timer(w, n, T_READ, pause,
              &(msg){.op = m->op,
                     .first = last,
                     .history = last < 0 ? 0 : n->d.mem[last].val,
                     .term = n->pm.term});
    } else {
        client_write(w, n, h, m->op);
        pump(w, n);
    }
}

/* --- events ----------------------------------------------------------------------------------- */

void node_message(world *w, node *n, msg *m)
{
    the_world = w;
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
    the_world = w;
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
    the_world = w;
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
        if (repl_broken(COPY_ACK_BEFORE_FSYNC) && m->type == M_OPS) return;
        if (n->cm.term != m->term && !repl_broken(NO_TERM_CHECK)) {
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
