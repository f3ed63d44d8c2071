/* repl_follow.c: a simulated node whose copy follows: recovery's target, what a primary sends. */
#include "repl_node.h"
#include <stdio.h>
#include <string.h>

/* --- recovery, the target's side -------------------------------------------------------------- */

void recovery_send(world *w, node *n)
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

void recovery_again(world *w, node *n)
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

/* Operations that a primary of this term sent go into the log. */
static void take_ops(world *w, node *n, const msg *m, uint64_t term)
{
    for (uint32_t i = 0; i < m->nops; i++) {
        rec r = m->ops[i].r;
        r.term = repl_record_term(r.term, term);
        d_append(w, n, m->ops[i].seq, &r);
    }
}

void recovery_answer(world *w, node *n, const msg *q, const msg *a)
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
        if (QD_MUTANT(repl, SNAPSHOT_FIRST)) n->rec_pub = a->by_ops ? -1 : a->pub;
        recovery_send(w, n);
        return;
    case M_TRACK:
        n->rec_peer = a->peer;
        n->rec_max = a->max;
        if (!QD_MUTANT(repl, SNAPSHOT_FIRST)) n->rec_pub = a->pub;
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
        take_ops(w, n, a, q->term);
        n->rec = a->more ? R_PULL : R_FINAL;
        /* numbers above what the source had when it began: of this term, or of nobody */
        if (!a->more && !QD_MUTANT(repl, RECOVERY_NO_TRIM)) d_trim(&n->d, n->rec_max, n->cm.term);
        timer(w, n, T_RETRY, fsync_delay(w), &(msg){.round = n->rec_id, .open_gen = n->d.stamps});
        return;
    case M_FINAL:
        if (a->in_sync) {
            n->rec = R_NONE;
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
bool install(world *w, node *n, int pub)
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

/* --- a copy's side ---------------------------------------------------------------------------- */

void copy_reply(world *w, node *n, msg *m, repl_verdict v)
{
    msg a = {.verdict = v, .term = n->open ? n->cm.term : 0, .persisted = d_persisted(&n->d)};
    if (QD_MUTANT(repl, COPY_ACK_BEFORE_FSYNC)) a.persisted = d_processed(&n->d);
    answer(w, m, &a);
}

static void copy_ops(world *w, node *n, msg *m)
{
    uint64_t now = local_ns(w, n);
    if (repl_copy_ops(&n->cm) != REPL_COPY_TAKE) {
        copy_reply(w, n, m, REPL_NOT_SYNCED);
        return;
    }
    take_ops(w, n, m, m->term);
    (void)repl_copy_told(&n->cm, m->global, now);
    d_told(&n->d, m->global);
    if (m->lease) repl_copy_lease(&n->cm, m->sent_ns, now);
    if (m->type == M_SYNC || QD_MUTANT(repl, COPY_ACK_BEFORE_FSYNC)) {
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
    take_ops(w, n, m, m->term);
    if (m->last && !QD_MUTANT(repl, RESYNC_NO_TRIM)) d_trim(&n->d, m->max, m->term);
    repl_copy_resynced(&n->cm, m->last);
    (void)repl_copy_told(&n->cm, m->global, now);
    repl_copy_lease(&n->cm, m->sent_ns, now);
    m->open_gen = n->d.stamps;
    timer(w, n, T_FSYNC_COPY, fsync_delay(w), m);
}

void copy_message(world *w, node *n, msg *m)
{
    uint64_t now = local_ns(w, n);
    if (!n->open || strcmp(n->aid, m->aid) != 0 ||
        (n->leading && !QD_MUTANT(repl, NO_TERM_CHECK))) {
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
