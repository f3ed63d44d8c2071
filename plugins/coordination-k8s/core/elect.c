/* elect.c: the lease, taking over, giving up, `sure`. The root alone says who leads; the lease says
 * when to try. */
#include "core_int.h"

int ck_core_sure(const ck_core *c, uint64_t now)
{
    return !c->failed && c->told && !c->resigning && now < c->sure;
}

/* Leads no more: the root says so. */
static void step_down(ck_core *c)
{
    int told = c->told;
    c->gave = c->term;
    c->term = 0;
    c->told = 0;
    c->sure = c->pending = 0;
    c->counts.step_downs++;
    ck_checkpoint_end(c, 0);
    ck_collect_stop(c);
    if (told) c->config.lead(c->config.arg, 0);
    ck_flights_drop(c, QD_E_NOT_LEADER);
}

void ck_elect_root(ck_core *c)
{
    const ck_root *r = c->root;
    int mine = r->leader.id == c->config.id;
    c->changed = c->now;
    c->looked = 0;
    if (c->term && (!mine || r->leader.term != c->term)) step_down(c);
    if (!mine || c->term) return;
    c->term = r->leader.term;
    c->lease_at = c->now;
    c->lease_wait = 0;
    c->counts.takeovers++;
}

void ck_sure_written(ck_core *c, uint64_t first)
{
    if (!c->pending || first <= c->pending_number) return;
    c->sure = c->pending;
    c->pending = 0;
}

void ck_older(ck_core *c)
{
    c->news |= !c->older;
    c->older = 1;
    c->sure = c->pending = 0;
}

/* A write of the lease was answered: it counts from its sending. */
static void renewed(ck_core *c, const ck_ask *ask)
{
    uint64_t until = ask->sent + c->config.lease_ns / 5 * 4;
    c->lease_at = ask->sent + c->config.renew_ns;
    if (c->older) return;
    if (QD_MUTANT(k8s, SURE_LONG)) {
        c->sure = c->now + 2 * c->config.lease_ns;
        return;
    }
    if (QD_MUTANT(k8s, SURE_NO_WRITE) || c->now < c->sure)
        c->sure = until;
    else if (c->pending > c->now)
        c->pending = until; /* the one before waits for its proof: it will do for this one */
    else {
        c->pending = until;
        c->pending_number = c->number;
    }
}

static int lease_same(const ck_lease *a, const ck_lease *b)
{
    return strcmp(a->version, b->version) == 0 && strcmp(a->uid, b->uid) == 0;
}

static void lease_is(ck_core *c, const ck_lease *l)
{
    static const ck_lease none;
    if (!l) l = &none;
    if (!c->lease_known || !lease_same(&c->lease, l)) {
        c->changed = c->now;
        c->looked = 0;
    }
    c->lease = *l;
    c->lease_known = 1;
    c->again = 1;
    /* a later leader writes it than the one that is known */
    if (c->root && l->term > c->root->leader.term) c->want_get = 1;
}

void ck_core_lease_seen(ck_core *c, const ck_lease *l, uint64_t now)
{
    if (now > c->now) c->now = now;
    /* a leader knows its own lease best: what comes of it here is an echo */
    if (c->failed || (c->term && l->holder == c->config.id)) return;
    lease_is(c, l);
    if (c->term) c->want_get = 1; /* another one writes it: who leads? */
}

/* For so long the lease must not have changed: this node's duration, or the holder's if that is
 * longer. */
static uint64_t patience(const ck_core *c)
{
    uint64_t told = c->lease.duration_ns < CK_LEASE_MAX_NS ? c->lease.duration_ns : CK_LEASE_MAX_NS;
    return told > c->config.lease_ns ? told : c->config.lease_ns;
}

static void lease_look(ck_core *c)
{
    c->lease_ask = ck_ask_new(c, CK_LEASE_GET);
    c->look_seq = c->seq;
}

static void lease_write(ck_core *c, uint64_t holder, uint64_t term)
{
    if (!c->lease_known || c->lease_dirty) {
        lease_look(c);
        return;
    }
    ck_ask *a = ck_ask_new(c, c->lease.version[0] ? CK_LEASE_PUT : CK_LEASE_CREATE);
    a->lease = c->lease;
    a->lease.holder = holder;
    a->lease.term = term;
    c->lease_ask = a;
}

static void lease_later(ck_core *c, const ck_answer *a)
{
    uint64_t wait = c->config.retry_ns;
    c->lease_at = c->now + (a->retry_ns > wait ? a->retry_ns : wait);
}

static void lease_read(ck_core *c, const ck_ask *ask, const ck_answer *a)
{
    if (a->outcome != CK_OK && a->outcome != CK_MISSING) {
        lease_later(c, a);
        return;
    }
    const ck_lease *l = a->outcome == CK_OK ? a->lease : NULL;
    int fresh = c->lease_known;
    c->lease_dirty = 0;
    c->looked = 1;
    lease_is(c, l); /* changed: not looked */
    /* it counts when it was asked for after the wait, and nothing changed until now */
    if (!fresh || c->look_seq != c->seq || ask->sent < c->changed + patience(c)) c->looked = 0;
    c->lease_at = c->now;
}

static void lease_written(ck_core *c, const ck_ask *ask, const ck_answer *a)
{
    int release = ask->lease.holder == 0;
    if (a->outcome == CK_OK) {
        c->lease = *a->lease;
        c->lease_known = 1;
        c->lease_wait = 0;
        if (release)
            c->released = 1;
        else if (c->term && ask->lease.term == c->term)
            renewed(c, ask);
        return;
    }
    if (release && (++c->release_tries > 3 || a->outcome == CK_REFUSED)) c->released = 1;
    c->lease_dirty = a->outcome != CK_REFUSED;
    if (a->outcome == CK_UNKNOWN || a->outcome == CK_REFUSED) {
        lease_later(c, a);
        if (release) c->lease_at = c->now + CK_S / 5;
        return;
    }
    c->want_get = 1; /* another one writes it: who leads? */
    c->lease_at = ck_back_off(c, &c->lease_wait, 10 * CK_MS, c->config.retry_ns);
}

void ck_lease_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    c->lease_ask = NULL;
    if (ask->type == CK_LEASE_GET)
        lease_read(c, ask, a);
    else
        lease_written(c, ask, a);
}

void ck_core_gone(ck_core *c, uint64_t id, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (id == 0 || id == c->config.id) return;
    c->gone[c->ngone++ % (sizeof c->gone / sizeof *c->gone)] = id;
    c->again = 1;
}

static int is_gone(const ck_core *c, uint64_t id)
{
    for (size_t i = 0; i < sizeof c->gone / sizeof *c->gone; i++)
        if (id && c->gone[i] == id) return 1;
    return 0;
}

/* 1: leadership may be taken now. */
static int may_take(ck_core *c)
{
    const ck_root *r = c->root;
    if (is_gone(c, r->leader.id)) return 1;
    int given = r->leader.id == 0 ||
                (c->lease.version[0] && c->lease.holder == 0 && c->lease.term == r->leader.term);
    if (given) return ck_due(c, c->changed + c->spread / 8);
    if (!c->lease_known) {
        if (!c->lease_ask && ck_due(c, c->lease_at)) lease_look(c);
        return 0;
    }
    if (!ck_due(c, c->changed + patience(c) + c->spread)) return 0;
    if (QD_MUTANT(k8s, TAKEOVER_NO_LOOK)) return 1;
    /* watches may be behind: nobody is followed whose lease was not read after the root that will
     * be replaced */
    if (c->looked && c->look_seq == c->seq) return 1;
    if (!c->lease_ask && ck_due(c, c->lease_at)) lease_look(c);
    return 0;
}

static void candidate(ck_core *c)
{
    if (!c->config.candidate || c->resigning || c->w.kind != CK_W_NONE) return;
    if (!ck_due(c, c->hold) || !may_take(c)) return;
    c->looked = 0;
    c->spread = ck_random(c, CK_SPREAD_NS);
    ck_write_begin(c, CK_W_TAKE, ck_root_clone(c->root));
}

void ck_core_candidate(ck_core *c, int may)
{
    c->again |= may && !c->config.candidate;
    c->config.candidate = may;
}

void ck_core_resign(ck_core *c)
{
    c->resigning = 1;
    c->sure = c->pending = 0;
    c->lease_at = c->now; /* the lease is given up as soon as the root says so */
    c->again = 1;
}

int ck_core_resigned(const ck_core *c)
{
    if (c->failed) return 1;
    return c->resigning && !c->term && c->w.kind == CK_W_NONE && c->released && !c->lease_ask;
}

static void give_up(ck_core *c)
{
    ck_root *next = ck_root_clone(c->root);
    next->leader.id = 0;
    next->leader.name[0] = next->leader.address[0] = 0;
    ck_root_speaker_drop(next, c->config.id);
    ck_write_begin(c, CK_W_GIVE_UP, next);
}

static void resign(ck_core *c)
{
    ck_flights_drop(c, QD_E_NOT_LEADER);
    int idle = c->w.kind == CK_W_NONE || c->w.state != CK_W_OUT;
    if (c->term && !c->released && idle && c->w.kind != CK_W_GIVE_UP) give_up(c);
    if (!c->term && idle && !c->w.doubt && c->w.kind) ck_write_end(c);
    if (c->term && !c->released) return;
    if (c->released || c->lease_ask || !ck_due(c, c->lease_at)) return;
    if (c->lease_known && !c->lease_dirty && c->lease.holder != c->config.id) {
        c->released = 1;
        return;
    }
    lease_write(c, 0, c->gave);
}

void ck_elect_turn(ck_core *c)
{
    if (c->failed) return;
    if (c->resigning) {
        resign(c);
        return;
    }
    if (!c->root) return;
    if (!c->term)
        candidate(c);
    else if (!c->lease_ask && ck_due(c, c->lease_at))
        lease_write(c, c->config.id, c->term);
}
