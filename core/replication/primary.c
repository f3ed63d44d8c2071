/* primary.c: what the primary of a shard decides. See primary_int.h. */
#include "base/list.h"
#include "replication/primary_int.h"
#include <stdio.h>
#include <string.h>

#define IDLE_SYNC_NS 2000000000ull /* a copy hears of its primary this often */
#define TELL_SYNC_NS 200000000ull  /* a new global checkpoint waits that long for a write */
#define SILENT_NS 5000000000ull    /* somebody waits and the copy has said nothing for so long */
#define ORPHAN_NS 1000000000ull    /* a number that is lacking so long has no batch to come */

static void emit(repl_primary *p, const repl_act *a)
{
    p->act(p->arg, a);
}

static uint32_t bit(const repl_primary *p, const repl_peer *c)
{
    return UINT32_C(1) << (uint32_t)(c - p->peer);
}

#define EACH_PEER(p, c)                                                                            \
    for (repl_peer *c = (p)->peer; c < (p)->peer + (p)->top; c++)                                  \
        if (c->id)

void repl_primary_places(repl_primary *p, repl_peer *places)
{
    qd_invariant(!p->peer && p->top == 0);
    memset(places, 0, REPL_PEERS_MAX * sizeof *places);
    p->peer = places;
}

void repl_primary_init(repl_primary *p, repl_peer *places, const char *aid, uint64_t term,
                       uint64_t revision, int64_t persisted, int64_t max_seq_no, int64_t global,
                       void (*act)(void *arg, const repl_act *a), void *arg)
{
    *p = (repl_primary){.term = term,
                        .revision = revision,
                        .persisted = persisted,
                        .max_seq_no = max_seq_no,
                        .global = global,
                        .acknowledged = max_seq_no,
                        /* of no earlier term: what was said to that finds nobody here */
                        .peer_ids = term << 24,
                        .act = act,
                        .arg = arg};
    snprintf(p->aid, sizeof p->aid, "%s", aid);
    if (places) repl_primary_places(p, places);
}

repl_peer *repl_primary_find(repl_primary *p, const char *aid)
{
    EACH_PEER(p, c)
    {
        if (strcmp(c->aid, aid) == 0) return c;
    }
    return NULL;
}

repl_peer *repl_primary_peer(repl_primary *p, uint64_t id)
{
    EACH_PEER(p, c)
    {
        if (c->id == id) return c;
    }
    return NULL;
}

static repl_peer *peer_add(repl_primary *p, const char *aid)
{
    for (uint32_t i = 0; p->peer && i < REPL_PEERS_MAX; i++) {
        repl_peer *c = &p->peer[i];
        if (c->id) continue;
        *c = (repl_peer){.id = ++p->peer_ids, .persisted = -1, .needs = -1, .told = -2};
        snprintf(c->aid, sizeof c->aid, "%s", aid);
        if (i >= p->top) p->top = i + 1;
        return c;
    }
    return NULL;
}

repl_peer *repl_primary_counted(repl_primary *p, const char *aid, bool started)
{
    repl_peer *c = peer_add(p, aid);
    if (!c) return NULL;
    qd_invariant(p->phase == REPL_RESYNC && p->attempts == 0); /* before it begins */
    c->counts = c->in_sync = true;
    c->started = started;
    return c;
}

/* --- ends of batches and reads --- */

static void batch_unlink(repl_primary *p, repl_batch *b)
{
    if (b->prev) {
        b->prev->next = b->next;
    } else {
        p->first = b->next;
    }
    if (b->next) {
        b->next->prev = b->prev;
    } else {
        p->last = b->prev;
    }
    b->prev = b->next = NULL;
}

static void batch_end(repl_primary *p, repl_batch *b, int rc)
{
    qd_invariant(!b->done);
    /* acknowledged: durable here and on each copy that counts, by a primary that is one still */
    qd_invariant(rc || (b->local && !b->waiting));
    qd_invariant(rc || p->phase == REPL_ACTIVE || p->phase == REPL_DRAINING);
    qd_invariant(b->max <= p->max_seq_no);
    qd_invariant(!(b->confirmed & b->waiting));
    batch_unlink(p, b);
    b->done = true;
    b->rc = rc;
    b->successful += 1 + (uint32_t)__builtin_popcount(b->confirmed);
    if (!rc && b->max > p->acknowledged) p->acknowledged = b->max;
    emit(p, &(repl_act){.kind = REPL_ACT_BATCH_DONE, .batch = b});
}

static bool batch_ready(const repl_batch *b)
{
    return (b->local || QD_MUTANT(repl, ACK_BEFORE_FSYNC)) && !b->waiting;
}

static void drained_look(repl_primary *p)
{
    if (p->phase == REPL_DRAINING && !repl_primary_busy(p)) {
        emit(p, &(repl_act){.kind = REPL_ACT_DRAINED});
    }
}

static void batches_look(repl_primary *p)
{
    repl_batch *next;
    for (repl_batch *b = p->first; b; b = next) {
        next = b->next;
        if (batch_ready(b)) batch_end(p, b, 0);
    }
    drained_look(p);
}

bool repl_primary_busy(const repl_primary *p)
{
    if (p->first && !QD_MUTANT(repl, HANDOVER_UNDRAINED)) return true;
    EACH_PEER((repl_primary *)p, c)
    {
        if (c->admitting || c->failing) return true;
    }
    return false;
}

bool repl_primary_lease(const repl_primary *p, uint64_t now)
{
    if (QD_MUTANT(repl, NO_READ_LEASE)) return true;
    EACH_PEER((repl_primary *)p, c)
    {
        if (c->counts && now >= c->lease_ns) return false;
    }
    return true;
}

static bool rounds_answered(repl_primary *p, uint64_t round)
{
    EACH_PEER(p, c)
    {
        if (c->counts && c->round < round) return false;
    }
    return true;
}

static void ask(repl_primary *p, repl_peer *c, uint64_t round, bool read, uint64_t now)
{
    qd_invariant(round <= p->rounds);
    qd_invariant(p->phase != REPL_FENCED);
    c->asked = round;
    c->sync_ns = now;
    c->told = p->global;
    emit(p,
         &(repl_act){
             .kind = REPL_ACT_SYNC, .peer = c, .number = round, .to = p->global, .waited = read});
}

/* Asks a copy that nobody has asked, or that has answered, for the reads that came since. */
static void round_look(repl_primary *p, repl_peer *c, uint64_t now)
{
    if (!p->reads || p->wanted <= c->asked || c->asked > c->round) return;
    if (!c->counts || !c->synced || c->unheard) return;
    if (p->rounds < p->wanted) p->rounds = p->wanted;
    ask(p, c, p->rounds, true, now);
}

static void rounds_look(repl_primary *p, uint64_t now)
{
    EACH_PEER(p, c)
    {
        round_look(p, c, now);
    }
}

/* The next round, never one that is on its way: what answers that was asked before the read came.
 */
static void round_wait(repl_primary *p, repl_read *r)
{
    r->round = p->rounds + !QD_MUTANT(repl, JOIN_OLD_ROUND);
    if (r->round > p->wanted) p->wanted = r->round;
}

static bool read_ready(repl_primary *p, const repl_read *r, uint64_t now)
{
    if (r->seq_no > p->global && !QD_MUTANT(repl, READ_UNREPLICATED)) return false;
    if (QD_MUTANT(repl, NO_READ_LEASE)) return true;
    if (QD_MUTANT(repl, READ_BY_LEASE) && repl_primary_lease(p, now)) return true;
    /* A clock that stood still while the machine was paused calls each lease valid: only a copy
     * that was asked behind the read's coming knows whom it obeys. The lease keeps a new primary
     * from acknowledging until this answer is out; where a round takes longer than one lasts, a
     * second round has to do. */
    if (!rounds_answered(p, r->round)) return false;
    return r->again || repl_primary_lease(p, now);
}

static void read_end(repl_primary *p, repl_read *r, int rc)
{
    /* told: every copy that counts has it, and knew no other primary behind the read's coming */
    qd_invariant(rc || r->seq_no <= p->global);
    qd_invariant(rc || rounds_answered(p, r->round));
    qd_invariant(rc || p->phase == REPL_ACTIVE || p->phase == REPL_DRAINING);
    if (r->waiting) repl_primary_read_forget(p, r);
    r->rc = rc;
    emit(p, &(repl_act){.kind = REPL_ACT_READ_DONE, .read = r});
}

static void reads_look(repl_primary *p, uint64_t now)
{
    repl_read *next;
    for (repl_read *r = p->reads; r; r = next) {
        next = r->next;
        if (read_ready(p, r, now)) {
            read_end(p, r, 0);
        } else if (!r->again && rounds_answered(p, r->round)) {
            r->again = true;
            round_wait(p, r);
        }
    }
    rounds_look(p, now);
}

/* --- checkpoints --- */

/* The minimum over this copy and those that count; it never falls within a term. */
static void global_look(repl_primary *p)
{
    if (p->phase == REPL_RESYNC || p->phase == REPL_FENCED) return;
    int64_t g = p->persisted;
    EACH_PEER(p, c)
    {
        if (c->counts && c->persisted < g) g = c->persisted;
    }
    qd_invariant(g <= p->persisted);
    if (g <= p->global) return;
    p->global = g;
    qd_invariant(p->global <= p->max_seq_no);
    emit(p, &(repl_act){.kind = REPL_ACT_GLOBAL, .to = g});
}

/* Numbers whose owners failed here have no batch: whoever lacks them gets them now. While others
 * write, what is lacking is most likely theirs: durable here by somebody else's sync, and not yet
 * on its way. */
static void catch_up_look(repl_primary *p, repl_peer *c, uint64_t now)
{
    if (!c->counts || !c->synced || c->failing || c->catching || c->ships) return;
    if (c->persisted >= p->persisted || p->phase == REPL_FENCED) return;
    if (p->writers && !(c->behind_ns && now - c->behind_ns > ORPHAN_NS)) return;
    qd_invariant(c->persisted + 1 <= p->persisted);
    c->catching = true;
    c->ships++;
    emit(p,
         &(repl_act){
             .kind = REPL_ACT_CATCH_UP, .peer = c, .from = c->persisted + 1, .to = p->persisted});
}

static void admit_look(repl_primary *p, repl_peer *c)
{
    if (!c->counts || c->in_sync || c->admitting || c->failing) return;
    if (c->persisted < c->needs && !QD_MUTANT(repl, ADMIT_EARLY) &&
        !QD_MUTANT(repl, SNAPSHOT_FIRST)) {
        return;
    }
    if (p->phase != REPL_ACTIVE) return;    /* a hand-over waits for no new copy */
    qd_invariant(c->persisted >= c->needs); /* all that was acknowledged before it counted */
    qd_invariant(c->synced);
    c->admitting = true;
    emit(p, &(repl_act){.kind = REPL_ACT_ADMIT, .peer = c});
}

static void ready_look(repl_primary *p)
{
    if (p->phase != REPL_RESYNC) return;
    EACH_PEER(p, c)
    {
        if (c->counts && !c->synced && !QD_MUTANT(repl, NO_RESYNC)) return;
    }
    p->phase = REPL_READY;
    emit(p, &(repl_act){.kind = REPL_ACT_READY});
}

static void active_look(repl_primary *p)
{
    if (p->phase != REPL_READY || !(p->in_sync || QD_MUTANT(repl, UNSTARTED_PRIMARY))) return;
    p->phase = REPL_ACTIVE;
    emit(p, &(repl_act){.kind = REPL_ACT_ACTIVE});
}

/* After anything that may let something go on. */
static void look(repl_primary *p, uint64_t now)
{
    ready_look(p);
    active_look(p);
    global_look(p);
    EACH_PEER(p, c)
    {
        admit_look(p, c);
        catch_up_look(p, c, now);
    }
    batches_look(p);
    reads_look(p, now);
    repl_primary_holds(p);
}

static void resync(repl_primary *p, repl_peer *c)
{
    qd_invariant(p->phase == REPL_RESYNC && !c->synced);
    c->resync = ++p->attempts;
    emit(p, &(repl_act){.kind = REPL_ACT_RESYNC,
                        .peer = c,
                        .from = p->global + 1,
                        .to = p->max_seq_no,
                        .number = c->resync});
}

void repl_primary_begin(repl_primary *p, uint64_t now)
{
    EACH_PEER(p, c)
    {
        c->heard_ns = now;
        if (QD_MUTANT(repl, NO_RESYNC)) {
            c->synced = true;
        } else {
            resync(p, c);
        }
    }
    look(p, now);
}

/* --- batches --- */

void repl_primary_batch(repl_primary *p, repl_batch *b, int64_t min, int64_t max)
{
    void *user = b->user;
    qd_invariant(min <= max);
    *b = (repl_batch){.id = ++p->batch_ids, .min = min, .max = max, .user = user, .total = 1};
    b->prev = p->last;
    qd_invariant(!p->last || p->last->id < b->id); /* the list is in order of numbers */
    if (p->last) {
        p->last->next = b;
    } else {
        p->first = b;
    }
    p->last = b;
    if (max > p->max_seq_no) p->max_seq_no = max;
    if (p->phase != REPL_ACTIVE && p->phase != REPL_DRAINING) {
        batch_end(p, b, QD_E_WRITE_UNKNOWN);
        return;
    }
    EACH_PEER(p, c)
    {
        b->total++;
        if (c->counts && !c->failing) b->waiting |= bit(p, c);
        if (c->failing) {
            /* on its way out: it gets nothing more, and nothing is acknowledged before it is out */
            if (!QD_MUTANT(repl, REMOVAL_NOT_AWAITED)) b->waiting |= bit(p, c);
            continue;
        }
        b->sent |= bit(p, c);
        c->ships++;
        emit(p, &(repl_act){.kind = REPL_ACT_SHIP, .peer = c, .batch = b});
    }
}

void repl_primary_progress(repl_primary *p, int64_t persisted, int64_t max_seq_no, uint64_t now)
{
    qd_invariant(persisted <= max_seq_no);
    if (persisted > p->persisted) p->persisted = persisted;
    if (max_seq_no > p->max_seq_no) p->max_seq_no = max_seq_no;
    look(p, now);
}

void repl_primary_local(repl_primary *p, repl_batch *b, int rc, int64_t persisted,
                        int64_t max_seq_no, uint64_t now)
{
    if (b->done) return;
    if (rc) {
        batch_end(p, b, rc);
        repl_primary_fence(p, 0);
        return;
    }
    qd_invariant(!b->local);
    b->local = true;
    repl_primary_progress(p, persisted, max_seq_no, now);
}

void repl_primary_batch_forget(repl_primary *p, repl_batch *b)
{
    if (b->done) return;
    batch_unlink(p, b);
    b->done = true;
    b->rc = QD_E_WRITE_UNKNOWN;
    drained_look(p);
}

/* --- copies that go --- */

static void peer_gone(repl_primary *p, repl_peer *c, uint64_t now)
{
    uint32_t m = bit(p, c);
    qd_invariant(c->id && p->phase != REPL_FENCED);
    for (repl_batch *b = p->first; b; b = b->next) {
        if ((b->waiting | b->sent) & m && !(b->confirmed & m)) b->failed++;
        b->waiting &= ~m;
        b->sent &= ~m;
        /* a confirmed place may be taken by another copy: the count is kept apart */
        if (b->confirmed & m) {
            b->confirmed &= ~m;
            b->successful++;
        }
    }
    emit(p, &(repl_act){.kind = REPL_ACT_DROP, .peer = c});
    *c = (repl_peer){0};
    while (p->top && !p->peer[p->top - 1].id) p->top--;
    look(p, now);
}

void repl_primary_fail(repl_primary *p, uint64_t peer, const char *why, uint64_t now)
{
    repl_peer *c = repl_primary_peer(p, peer);
    if (!c || c->failing || p->phase == REPL_FENCED) return;
    if (!c->counts) {
        peer_gone(p, c, now);
        return;
    }
    c->failing = true;
    if (QD_MUTANT(repl, REMOVAL_NOT_AWAITED)) {
        for (repl_batch *b = p->first; b; b = b->next) b->waiting &= ~bit(p, c);
    }
    emit(p, &(repl_act){.kind = REPL_ACT_FAIL, .peer = c, .why = why});
    if (QD_MUTANT(repl, REMOVAL_NOT_AWAITED)) look(p, now);
}

void repl_primary_changed(repl_primary *p, repl_change change, uint64_t peer, bool ok, bool stale,
                          uint64_t revision, uint64_t now)
{
    if (p->phase == REPL_FENCED) return;
    if (ok && revision > p->revision) p->revision = revision;
    if (stale || (change == REPL_CHANGE_HANDOVER && ok)) {
        repl_primary_fence(p, 0);
        return;
    }
    if (change == REPL_CHANGE_HANDOVER) {
        repl_primary_resume(p, now);
        return;
    }
    if (change == REPL_CHANGE_START) {
        p->in_sync |= ok;
        look(p, now);
        return;
    }
    repl_peer *c = repl_primary_peer(p, peer);
    if (!c) return;
    if ((change == REPL_CHANGE_FAIL && ok) || (!ok && QD_MUTANT(repl, REFUSED_IS_OUT))) {
        peer_gone(p, c, now); /* not in the set, by a committed record */
        return;
    }
    if (change == REPL_CHANGE_ADMIT) c->admitting = false;
    if (!ok) {
        /* refused, but an earlier attempt whose answer was lost may have put it into the set: it
         * counts until a committed change has it out */
        c->failing = true;
        emit(p, &(repl_act){.kind = REPL_ACT_FAIL, .peer = c, .why = "it cannot be admitted"});
        return;
    }
    c->in_sync = c->started = true;
    look(p, now);
}

static const repl_record_copy *copy_of(const repl_record *r, const char *aid)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->copies[i].aid, aid) == 0) return &r->copies[i];
    }
    return NULL;
}

void repl_primary_record(repl_primary *p, const repl_record *r, uint64_t now)
{
    if (p->phase == REPL_FENCED || r->revision <= p->revision) return;
    p->revision = r->revision;
    if (r->term != p->term || strcmp(r->primary, p->aid) != 0) {
        repl_primary_fence(p, r->term > p->term ? r->term : 0);
        return;
    }
    const repl_record_copy *me = copy_of(r, p->aid);
    if (me && me->in_sync) p->in_sync = true;
    for (uint32_t i = 0; i < p->top; i++) {
        repl_peer *c = &p->peer[i];
        if (!c->id) continue;
        const repl_record_copy *now_is = copy_of(r, c->aid);
        if (now_is && now_is->started) c->started = true;
        if (c->admitting) continue; /* its own change tells */
        if (c->in_sync && !(now_is && now_is->in_sync)) {
            peer_gone(p, c, now); /* taken out by somebody entitled to */
        } else if (!(now_is && now_is->assigned)) {
            repl_primary_fail(p, c->id, "its node is gone", now);
        }
        if (p->phase == REPL_FENCED) return;
    }
    look(p, now);
}

/* --- answers --- */

static void batch_answered(repl_primary *p, repl_peer *c, uint64_t id)
{
    for (repl_batch *b = p->first; b; b = b->next) {
        if (b->id != id) continue;
        if (b->sent & bit(p, c)) b->confirmed |= bit(p, c);
        b->waiting &= ~bit(p, c);
        return;
    }
}

static void answer_ok(repl_primary *p, repl_peer *c, const repl_answer *a)
{
    if (a->resync) {
        if (a->resync != c->resync) return; /* of an earlier attempt */
        c->synced = true;
    }
    if (!c->synced && c->counts) return; /* what it holds is not known yet */
    if (a->persisted > c->persisted) c->persisted = a->persisted;
    if (a->batch && !c->failing) batch_answered(p, c, a->batch);
    for (repl_batch *b = p->first; b; b = b->next) { /* by catch-up or recovery */
        if (b->waiting & bit(p, c) && !c->failing && c->persisted >= b->max) {
            b->waiting &= ~bit(p, c);
            b->confirmed |= bit(p, c);
        }
    }
    if (a->sent_ns > p->lease_floor_ns && a->sent_ns + REPL_LEASE_NS > c->lease_ns) {
        c->lease_ns = a->sent_ns + REPL_LEASE_NS;
    }
    if (a->round > c->round) c->round = a->round;
}

void repl_primary_answer(repl_primary *p, uint64_t peer, const repl_answer *a, uint64_t now)
{
    repl_peer *c = repl_primary_peer(p, peer);
    if (!c || p->phase == REPL_FENCED) return;
    if ((a->batch || a->catch_up) && c->ships) c->ships--;
    if (a->catch_up) c->catching = false;
    if (a->verdict == REPL_STALE_TERM) {
        if (a->term > p->term) repl_primary_fence(p, a->term);
        return;
    }
    if (a->verdict == REPL_OK) {
        c->heard_ns = now;
        c->unheard = false;
        answer_ok(p, c, a);
    } else if (a->batch || a->catch_up || a->resync || a->verdict == REPL_NOT_SYNCED) {
        if (a->resync && a->resync != c->resync) return;
        repl_primary_fail(p, peer, a->why ? a->why : "no answer", now);
    } else if (c->asked > c->round) {
        c->asked = c->round; /* asked again by the clock, while somebody waits */
        c->unheard = true;
    }
    look(p, now);
}

/* --- recovery --- */

repl_peer *repl_primary_track(repl_primary *p, const char *aid)
{
    if (p->phase != REPL_ACTIVE || repl_primary_find(p, aid)) return NULL;
    repl_peer *c = peer_add(p, aid);
    if (c) c->synced = true; /* it begins from this primary's operations only */
    return c;
}

bool repl_primary_admit(repl_primary *p, uint64_t peer, int64_t persisted, uint64_t now)
{
    repl_peer *c = repl_primary_peer(p, peer);
    if (!c || c->failing || p->phase == REPL_FENCED) return false;
    if (persisted > c->persisted) c->persisted = persisted;
    c->heard_ns = now;
    if (!c->counts) {
        c->counts = c->started = true;
        qd_invariant(!c->in_sync && !c->admitting);
        c->needs = p->max_seq_no;
        for (repl_batch *b = p->first; b; b = b->next) {
            if (!(b->confirmed & bit(p, c)) && c->persisted < b->max) b->waiting |= bit(p, c);
        }
    }
    look(p, now);
    return true;
}

/* --- reads --- */

void repl_primary_read(repl_primary *p, repl_read *r, int64_t seq_no, uint64_t now)
{
    void *user = r->user;
    *r = (repl_read){.seq_no = seq_no, .user = user};
    if (p->phase != REPL_ACTIVE && p->phase != REPL_DRAINING) {
        read_end(p, r, QD_E_NOT_PRIMARY);
        return;
    }
    r->waiting = true;
    round_wait(p, r);
    QD_LIST_PUSH(p->reads, r);
    if (read_ready(p, r, now)) {
        read_end(p, r, 0);
    } else {
        rounds_look(p, now);
    }
}

void repl_primary_read_forget(repl_primary *p, repl_read *r)
{
    if (!r->waiting) return;
    r->waiting = false;
    QD_LIST_REMOVE(p->reads, r);
}

/* --- relocation, end, time --- */

void repl_primary_drain(repl_primary *p)
{
    if (p->phase != REPL_ACTIVE) return;
    p->phase = REPL_DRAINING;
    drained_look(p);
}

static void reads_refuse(repl_primary *p)
{
    while (p->reads) read_end(p, p->reads, QD_E_NOT_PRIMARY);
}

void repl_primary_handing(repl_primary *p)
{
    qd_invariant(p->phase == REPL_DRAINING && !repl_primary_busy(p));
    qd_invariant(!p->first);
    p->phase = REPL_HANDING;
    reads_refuse(p);
    EACH_PEER(p, c)
    {
        c->lease_ns = 0;
        if (c->counts) {
            emit(p,
                 &(repl_act){.kind = REPL_ACT_SYNC, .peer = c, .to = p->global, .release = true});
        }
    }
    p->lease_floor_ns = UINT64_MAX; /* until it goes on */
}

void repl_primary_resume(repl_primary *p, uint64_t now)
{
    if (p->phase != REPL_DRAINING && p->phase != REPL_HANDING) return;
    p->phase = REPL_ACTIVE;
    if (p->lease_floor_ns == UINT64_MAX) p->lease_floor_ns = now;
    emit(p, &(repl_act){.kind = REPL_ACT_ACTIVE});
    look(p, now);
}

void repl_primary_fence(repl_primary *p, uint64_t term)
{
    if (p->phase == REPL_FENCED) return;
    p->phase = REPL_FENCED;
    p->higher_term = term;
    while (p->first) batch_end(p, p->first, QD_E_WRITE_UNKNOWN);
    reads_refuse(p);
    emit(p, &(repl_act){.kind = REPL_ACT_FENCED, .number = term});
    repl_primary_holds(p);
}

/* A copy that does not keep up, or says nothing while somebody waits for it. */
static void lag_look(repl_primary *p, repl_peer *c, uint64_t now)
{
    bool behind = c->persisted < p->persisted;
    if (!behind || c->persisted >= c->behind_at) c->behind_ns = 0;
    if (behind && !c->behind_ns) {
        c->behind_ns = c->stuck_ns = now;
        c->behind_at = p->persisted;
        c->behind_had = c->persisted;
    }
    if (behind && c->persisted > c->behind_had) {
        c->behind_had = c->persisted;
        c->stuck_ns = now;
    }
    if (behind && now - c->stuck_ns > REPL_LAG_MAX_NS) {
        repl_primary_fail(p, c->id, "it lags behind and has confirmed nothing for 30s", now);
    } else if (behind && now - c->behind_ns > REPL_LAG_LIMIT_NS) {
        repl_primary_fail(p, c->id, "it lags behind for more than 90s", now);
    } else if (p->reads && now > c->heard_ns + SILENT_NS && now >= c->lease_ns) {
        repl_primary_fail(p, c->id, "it has not answered for 5s", now);
    }
}

void repl_primary_tick(repl_primary *p, uint64_t now)
{
    if (p->phase == REPL_FENCED) return;
    for (uint32_t i = 0; i < p->top; i++) {
        repl_peer *c = &p->peer[i];
        c->unheard = false;
        if (!c->id || !c->counts || c->failing || !c->synced) continue;
        uint64_t every = c->told < p->global ? TELL_SYNC_NS : IDLE_SYNC_NS;
        if (p->phase != REPL_HANDING && now >= c->sync_ns + every) {
            ask(p, c, c->asked, false, now);
        }
        lag_look(p, c, now);
        if (p->phase == REPL_FENCED) return;
    }
    look(p, now);
}
