/* repl_world.c: events, network, faults, the store with its allocator. See repl_sim.h. */
#include "base/arena.h"
#include "base/hash.h"
#include "cluster/state/shard_edit.h"
#include "repl_sim.h"
#include "watch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- events ----------------------------------------------------------------------------------- */

typedef enum ekind { E_DELIVER, E_TIMER, E_TIMEOUT, E_FAULT, E_STORE, E_CLIENTS } ekind;
typedef struct event {
    uint64_t at, order;
    ekind kind;
    int node, timer;
    uint32_t inc;
    uint64_t call;
    msg *m;
} event;

#define EVENTS_MAX 65536
static event heap[EVENTS_MAX];
static uint32_t nheap;
static uint64_t orders, calls;

static msg *spare[8192];
static uint32_t nspare;
static msg *msg_take(const msg *from)
{
    msg *m = nspare ? spare[--nspare] : malloc(sizeof *m);
    if (!m) abort();
    *m = *from;
    return m;
}
static void msg_give(msg *m)
{
    if (!m) return;
    if (nspare < QD_COUNT_OF(spare)) {
        spare[nspare++] = m;
    } else {
        free(m);
    }
}

static bool before(const event *a, const event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(event e)
{
    if (nheap == EVENTS_MAX) abort();
    e.order = ++orders;
    uint32_t i = nheap++;
    for (; i && before(&e, &heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = e;
}

static event pop(void)
{
    event top = heap[0], e = heap[--nheap];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= nheap) break;
        if (k + 1 < nheap && before(&heap[k + 1], &heap[k])) k++;
        if (!before(&heap[k], &e)) break;
        heap[i] = heap[k];
        i = k;
    }
    heap[i] = e;
    return top;
}

/* --- network ---------------------------------------------------------------------------------- */

static uint64_t travel(world *w)
{
    if (!w->quiet && chance(w, w->slow)) return ms(rnd(w, 900));
    return us(50 + rnd(w, 1500));
}

void send_msg(world *w, const msg *m)
{
    if (w->cut[m->from][m->to] || (!w->quiet && chance(w, w->loss))) return;
    bool client = m->type == M_CLIENT || m->type == M_CLIENT_ANSWER; /* retries are theirs */
    int copies = !w->quiet && !client && chance(w, w->twice) ? 2 : 1;
    if (copies == 2) w->r->doubled++;
    for (int i = 0; i < copies; i++) {
        push((event){.at = w->now + travel(w), .kind = E_DELIVER, .node = m->to, .m = msg_take(m)});
    }
}

#define CALLS_MAX 16384
static struct {
    uint64_t id;
    msg *request;
} call[CALLS_MAX];

void send_call(world *w, msg *m, uint64_t timeout)
{
    m->call = ++calls;
    uint32_t k = (uint32_t)(m->call % CALLS_MAX);
    msg_give(call[k].request);
    call[k].id = m->call;
    call[k].request = msg_take(m);
    send_msg(w, m);
    push((event){.at = w->now + timeout,
                 .kind = E_TIMEOUT,
                 .node = m->from,
                 .inc = m->inc,
                 .call = m->call});
}

static void call_end(world *w, uint64_t id, const msg *a, uint32_t inc)
{
    uint32_t k = (uint32_t)(id % CALLS_MAX);
    if (call[k].id != id || !call[k].request) return;
    msg *q = call[k].request;
    call[k].request = NULL;
    node *n = &w->n[q->from];
    (void)inc;
    if (n->up && n->inc == q->inc) node_answer(w, n, q, a);
    msg_give(q);
}

void answer(world *w, const msg *q, msg *a)
{
    a->type = M_ANSWER;
    a->from = q->to;
    a->to = q->from;
    a->call = q->call;
    if (q->to == STORE && !w->quiet && chance(w, w->unknown)) return; /* a change of leader */
    send_msg(w, a);
}

void timer(world *w, node *n, int kind, uint64_t delay, const msg *m)
{
    push((event){.at = w->now + delay,
                 .kind = E_TIMER,
                 .node = n->id,
                 .timer = kind,
                 .inc = n->inc,
                 .m = m ? msg_take(m) : NULL});
}

/* --- the record ------------------------------------------------------------------------------- */

static qd_arena arena;

static int edit_begin(world *w, qd_shard_edit *e)
{
    srec *r = &w->record;
    qd_arena_reset(&arena);
    qd_copy *c = qd_arena_calloc(&arena, (r->n + 1) * sizeof *c);
    qd_in_sync *k = qd_arena_calloc(&arena, (r->nsync + 1) * sizeof *k);
    if (!c || !k) abort();
#define TEXT(x) qd_arena_str(&arena, qd_str_c(x))
    for (uint32_t i = 0; i < r->n; i++) {
        scopy *s = &r->copies[i];
        c[i] = (qd_copy){.state = s->state,
                         .recovery = s->recovery,
                         .allocation_id = TEXT(s->aid),
                         .node = TEXT(s->node),
                         .ephemeral = TEXT(s->eph),
                         .partner = TEXT(s->partner),
                         .last_node = TEXT(s->last)};
    }
    for (uint32_t i = 0; i < r->nsync; i++) {
        k[i] = (qd_in_sync){TEXT(r->sync[i].aid), TEXT(r->sync[i].node)};
    }
    qd_shard_meta m = {.primary_term = r->term,
                       .primary = TEXT(r->primary),
                       .copies = c,
                       .ncopies = r->n,
                       .in_sync = k,
                       .nin_sync = r->nsync,
                       .mod_revision = r->rev,
                       .fresh = r->fresh};
    return qd_shard_edit_begin(e, &arena, &m, (int64_t)(w->now / 1000000));
}

static void text(char out[REPL_AID], qd_str s)
{
    snprintf(out, REPL_AID, "%.*s", QD_STR_ARG(s));
}

static void commit(world *w, const qd_shard_edit *e)
{
    if (!e->changed) return;
    qd_err err;
    qd_err_init(&err);
    if (qd_shard_meta_check(&e->s, &err)) fail(w, "the record is wrong: %s", qd_err_reason(&err));
    qd_err_fini(&err);
    if (e->s.ncopies > COPIES || e->s.nin_sync > COPIES) {
        fail(w, "too many copies in the record");
        return;
    }
    srec r = {.rev = w->record.rev + 1,
              .term = e->s.primary_term,
              .fresh = e->s.fresh,
              .n = e->s.ncopies,
              .nsync = e->s.nin_sync};
    text(r.primary, e->s.primary);
    for (uint32_t i = 0; i < r.n; i++) {
        const qd_copy *c = &e->s.copies[i];
        r.copies[i].state = (uint8_t)c->state;
        r.copies[i].recovery = (uint8_t)c->recovery;
        text(r.copies[i].aid, c->allocation_id);
        text(r.copies[i].node, c->node);
        text(r.copies[i].eph, c->ephemeral);
        text(r.copies[i].partner, c->partner);
        text(r.copies[i].last, c->last_node);
    }
    for (uint32_t i = 0; i < r.nsync; i++) {
        text(r.sync[i].aid, e->s.in_sync[i].allocation_id);
        text(r.sync[i].node, e->s.in_sync[i].node);
    }
    if (r.term < w->record.term) fail(w, "the term fell");
    w->record = r;
    if (w->trace) {
        char line[600];
        int k = 0;
        for (uint32_t i = 0; i < r.n; i++) {
            k += snprintf(line + k, sizeof line - (size_t)k, " %s@%s:%u%s", r.copies[i].aid,
                          r.copies[i].node, r.copies[i].state,
                          rec_in_sync(&r, r.copies[i].aid) && r.copies[i].aid[0] ? "*" : "");
        }
        trace(w, "record %llu term %llu primary %s:%s (%u in sync)", (unsigned long long)r.rev,
              (unsigned long long)r.term, r.primary, line, r.nsync);
    }
    for (int i = 0; i < NODES; i++) {
        msg m = {.type = M_RECORD, .from = STORE, .to = i, .record = r};
        send_msg(w, &m);
    }
}

static qd_shard_place place(world *w, int id, bool fresh_aid, const char *aid)
{
    char b[REPL_AID], n[REPL_AID], e[REPL_AID];
    snprintf(b, sizeof b, "a%u", fresh_aid ? ++w->aids : 0);
    snprintf(n, sizeof n, "n%d", id);
    snprintf(e, sizeof e, "n%d.%u", id, w->session_inc[id]);
    return (qd_shard_place){fresh_aid ? TEXT(b) : TEXT(aid), TEXT(n), TEXT(e)};
}

static void store_cas(world *w, msg *m)
{
    msg a = {0};
    qd_shard_edit e;
    qd_str aid = qd_str_c(m->aid);
    int rc = edit_begin(w, &e);
    bool entitled = strcmp(w->record.primary, m->by) == 0 && w->record.term == m->term;
    if (rc) abort();
    switch (m->cas) {
    case CAS_FAIL:
        a.stale = !entitled;
        if (a.stale) break;
        rc = rec_copy(&w->record, m->aid)
                 ? qd_shard_edit_fail(&e, aid, QD_UNASSIGNED_ALLOCATION_FAILED, QD_STR("x"), true)
                 : qd_shard_edit_stale(&e, aid);
        if (!rc && e.changed) w->r->removals++;
        break;
    case CAS_ADMIT: {
        a.stale = !entitled;
        if (a.stale) break;
        const scopy *c = rec_copy(&w->record, m->aid);
        rc = qd_shard_edit_admit(&e, aid);
        /* the target of a move of the primary starts by the hand-over */
        if (!rc && !(c && c->partner[0] && strcmp(c->partner, w->record.primary) == 0)) {
            rc = qd_shard_edit_start(&e, aid);
        }
        if (!rc && e.changed) w->r->admissions++;
        break;
    }
    case CAS_HANDOVER:
        a.stale = !entitled;
        if (a.stale) break;
        rc = qd_shard_edit_start(&e, aid);
        if (!rc && e.changed) w->r->relocations++;
        break;
    case CAS_START:
        a.stale = !entitled;
        if (!a.stale) rc = qd_shard_edit_start(&e, aid);
        break;
    case CAS_FAILED:
    case CAS_LOST:
        if (w->record.term != m->term && strcmp(w->record.primary, m->aid) == 0) {
            a.ok = true; /* of an earlier life */
            break;
        }
        rc = qd_shard_edit_fail(&e, aid, QD_UNASSIGNED_ALLOCATION_FAILED, QD_STR("io"), false);
        break;
    }
    if (!a.stale && !rc) {
        commit(w, &e);
        a.ok = true;
    }
    a.first = (int64_t)w->record.rev;
    answer(w, m, &a);
}

void store_message(world *w, msg *m)
{
    if (m->type == M_ALIVE) {
        w->session[m->from] = w->now;
        w->session_inc[m->from] = m->inc;
    }
    if (w->now < w->store_down) return;
    if (m->type == M_CAS) store_cas(w, m);
}

static bool lives(void *arg, const qd_copy *c)
{
    world *w = arg;
    char e[REPL_AID];
    int id = c->node.n > 1 ? c->node.p[1] - '0' : 0;
    snprintf(e, sizeof e, "n%d.%u", id, w->session_inc[id]);
    return w->session[id] && w->now - w->session[id] < ms(3000) && qd_str_is(c->ephemeral, e);
}

static bool alive(world *w, int id)
{
    return w->session[id] && w->now - w->session[id] < ms(3000);
}

static void primary_find(world *w, qd_shard_edit *e)
{
    if (w->record.fresh) {
        int id = (int)rnd(w, NODES);
        if (!alive(w, id)) return;
        qd_shard_place p = place(w, id, true, NULL);
        (void)!qd_shard_edit_assign_primary(e, &p, QD_FORCE_NONE);
        return;
    }
    for (int id = 0; id < NODES; id++) {
        node *n = &w->n[id];
        if (!n->up || !alive(w, id) || !n->d.exists) continue;
        if (QD_MUTANT(repl, PROMOTE_OUT_OF_SYNC) && !rec_in_sync(&w->record, n->d.aid)) {
            qd_shard_place p = place(w, id, true, NULL);
            if (!qd_shard_edit_assign_primary(e, &p, QD_FORCE_STALE)) {
                text(n->d.aid, p.allocation_id);
                return;
            }
        }
        if (!rec_in_sync(&w->record, n->d.aid)) continue;
        qd_shard_place p = place(w, id, false, n->d.aid);
        if (!qd_shard_edit_assign_primary(e, &p, QD_FORCE_NONE)) return;
    }
}

/* The allocator: one step at a time, each committed. */
void store_tick(world *w)
{
    qd_shard_edit e;
    for (int i = 0; i < NODES; i++) { /* watchers that missed something */
        if (!chance(w, 0.2)) continue;
        msg m = {.type = M_RECORD, .from = STORE, .to = i, .record = w->record};
        send_msg(w, &m);
    }
    if (w->now < w->store_down) return;
    if (edit_begin(w, &e)) abort();
    (void)!qd_shard_edit_gone(&e, lives, w, QD_UNASSIGNED_NODE_LEFT);
    if (e.changed) {
        commit(w, &e);
        return;
    }
    if (!w->record.primary[0]) {
        if (chance(w, 0.3)) primary_find(w, &e);
        commit(w, &e);
        return;
    }
    if (!chance(w, 0.3)) return;
    int id = (int)rnd(w, NODES);
    if (!alive(w, id) || rec_copy_of(&w->record, id)) return;
    qd_shard_place p = place(w, id, true, NULL);
    if (qd_shard_edit_assign_replica(&e, &p) && (!w->quiet && chance(w, 0.15))) {
        const scopy *c = &w->record.copies[rnd(w, w->record.n)];
        if (chance(w, 0.6)) c = &w->record.copies[0];
        (void)!qd_shard_edit_relocate(&e, qd_str_c(c->aid), &p);
    }
    commit(w, &e);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void heal(world *w)
{
    memset(w->cut, 0, sizeof w->cut);
}

static void partition(world *w)
{
    w->r->partitions++;
    uint64_t kind = rnd(w, 4);
    int a = (int)rnd(w, NODES), b = (int)rnd(w, NODES + 1);
    const scopy *lead = rec_copy(&w->record, w->record.primary);
    if (lead && chance(w, 0.5)) a = node_of(lead->node);
    if (kind == 0) { /* one node from everybody */
        for (int i = 0; i < NODES + 2; i++) {
            if (i != a) w->cut[a][i] = w->cut[i][a] = i != CLIENT || chance(w, 0.3);
        }
        /* connections are refused, not silent: the node counts as gone, which it is not */
        if (chance(w, 0.4)) w->session[a] = 0;
    } else if (kind == 1) { /* one way */
        if (a != b) w->cut[a][b] = true;
    } else if (kind == 2) { /* one link */
        if (a != b) w->cut[a][b] = w->cut[b][a] = true;
    } else { /* halves */
        bool side[NODES + 1];
        for (int i = 0; i <= NODES; i++) side[i] = chance(w, 0.5);
        for (int i = 0; i <= NODES; i++) {
            for (int k = 0; k <= NODES; k++) w->cut[i][k] = side[i] != side[k];
        }
    }
    trace(w, "partition %llu", (unsigned long long)kind);
}

static void fault(world *w)
{
    node *n = &w->n[rnd(w, NODES)];
    if (w->record.primary[0] && chance(w, 0.4)) {
        const scopy *c = rec_copy(&w->record, w->record.primary);
        if (c) n = &w->n[node_of(c->node)];
    }
    switch (rnd(w, 8)) {
    case 0:
    case 1:
        if (!n->up) break;
        trace(w, "crash of n%d", n->id);
        w->r->crashes++;
        node_crash(w, n);
        if (chance(w, 0.6)) w->session[n->id] = 0; /* its connections were closed */
        break;
    case 2:
    case 3:
        partition(w);
        break;
    case 4:
        heal(w);
        trace(w, "healed");
        break;
    case 5:
        n->frozen = w->now + ms(chance(w, 0.3) ? 4000 : rnd(w, 1500));
        w->r->freezes++;
        if (chance(w, 0.5)) { /* a machine that its host paused: it does not see the time go by */
            n->lost += n->halt_until - n->halt_at;
            n->halt_at = w->now;
            n->halt_until = n->frozen;
            w->r->halts++;
        }
        trace(w, "freeze of n%d", n->id);
        break;
    case 6:
        w->store_down = w->now + ms(rnd(w, 2500));
        w->r->store_down++;
        break;
    case 7:
        if (chance(w, 0.2)) { /* all at once */
            trace(w, "all crash");
            for (int i = 0; i < NODES; i++) {
                if (w->n[i].up) node_crash(w, &w->n[i]);
                w->session[i] = 0;
                w->r->crashes++;
            }
        }
        break;
    }
    for (int i = 0; i < NODES; i++) {
        if (!w->n[i].up && chance(w, 0.35)) node_start(w, &w->n[i]);
    }
}

/* --- a schedule ------------------------------------------------------------------------------- */

static void dispatch(world *w, event *e)
{
    node *n = e->node >= 0 && e->node < NODES ? &w->n[e->node] : NULL;
    if (n && (e->kind == E_DELIVER || e->kind == E_TIMER || e->kind == E_TIMEOUT) &&
        n->frozen > w->now) {
        event again = *e;
        again.at = n->frozen + us(rnd(w, 3000)); /* who wakes up does not say in which order */
        e->m = NULL;
        push(again);
        return;
    }
    switch (e->kind) {
    case E_DELIVER:
        if (e->node == STORE) {
            store_message(w, e->m);
        } else if (e->node == CLIENT) {
            client_message(w, e->m);
        } else if (n->up) {
            if (e->m->type == M_ANSWER) {
                call_end(w, e->m->call, e->m, 0);
            } else {
                node_message(w, n, e->m);
            }
        }
        break;
    case E_TIMER:
        if (n->up && n->inc == e->inc) node_timer(w, n, e->timer, e->m);
        break;
    case E_TIMEOUT:
        if (n->up && n->inc == e->inc) call_end(w, e->call, NULL, e->inc);
        break;
    case E_FAULT:
        if (w->quiet) break;
        fault(w);
        push((event){.at = w->now + ms(100 + rnd(w, 1400)), .kind = E_FAULT, .node = -1});
        break;
    case E_STORE:
        store_tick(w);
        push((event){.at = w->now + ms(40 + rnd(w, 60)), .kind = E_STORE, .node = -1});
        break;
    case E_CLIENTS:
        client_timeouts(w);
        client_next(w);
        push((event){.at = w->now + ms(10), .kind = E_CLIENTS, .node = -1});
        break;
    }
}

static void digest(world *w, const event *e)
{
    uint64_t x[4] = {w->r->digest, e->at, (uint64_t)e->kind << 32 | (uint32_t)e->node,
                     e->m ? (uint64_t)e->m->type << 32 | (uint64_t)e->m->max : (uint64_t)e->timer};
    w->r->digest = qd_xxh3(x, sizeof x);
}

static void run_until(world *w, uint64_t until, bool (*stop)(const world *w))
{
    while (nheap && !w->failed && heap[0].at <= until) {
        event e = pop();
        w->now = e.at;
        w->r->events++;
        digest(w, &e);
        dispatch(w, &e);
        if (!still_turn(&w->still, w->now, STILL_STEPS_MOST)) {
            fail(w, STILL ": %u events within %u ns, the last of node %d", STILL_STEPS_MOST,
                 STILL_NS, e.node);
        }
        msg_give(e.m);
        if (stop && (w->r->events & 255) == 0 && stop(w)) return;
    }
    if (!w->failed && w->now < until) w->now = until;
}

/* Files of another history: what a forced primary left behind. */
static void foreign(world *w, node *n)
{
    disk *d = &n->d;
    d->exists = true;
    d->history = 1000 + (uint32_t)n->id;
    snprintf(d->aid, sizeof d->aid, "old%d", n->id);
    int64_t many = (int64_t)rnd(w, 30);
    for (int64_t i = 0; i < many; i++) {
        d->mem[i] = d->dur[i] =
            (rec){.kind = 1, .term = 1, .val = OPS_MAX - 1 - (uint32_t)i, .pred = -2};
    }
    d->global_dur = many - 1 - (int64_t)rnd(w, 3);
}

static void begin(world *w)
{
    qd_shard_edit e;
    qd_arena_init(&arena, NULL, (size_t)1 << 22);
    w->loss = chance(w, 0.5) ? 0 : qd_prng_double(&w->prng) * 0.04;
    w->twice = chance(w, 0.5) ? 0 : qd_prng_double(&w->prng) * 0.1;
    w->slow = chance(w, 0.5) ? 0 : qd_prng_double(&w->prng) * 0.05;
    w->unknown = chance(w, 0.5) ? 0 : 0.15;
    w->io_fails = 0.0004;
    w->refreshed = -1;
    if (qd_shard_edit_new(&e, &arena, (uint32_t)(1 + rnd(w, 2)), 0)) abort();
    commit(w, &e);
    for (int i = 0; i < NODES; i++) {
        node *n = &w->n[i];
        n->id = i;
        n->rate = 0.97 + qd_prng_double(&w->prng) * 0.06;
        n->shown = n->pub_wait = -1;
        n->d.pub = -1;
        if (chance(w, 0.3)) foreign(w, n);
        node_start(w, n);
    }
    push((event){.at = 0, .kind = E_STORE, .node = -1});
    push((event){.at = ms(500), .kind = E_CLIENTS, .node = -1});
    push((event){.at = ms(1500), .kind = E_FAULT, .node = -1});
}

int repl_sim_run(uint64_t seed, bool traced, repl_sim_report *report)
{
    static world *w;
    static hop ops[OPS_MAX];
    watch_schedule(seed, NULL);
    if (!w) w = malloc(sizeof *w);
    if (!w) abort();
    memset(w, 0, sizeof *w);
    memset(report, 0, sizeof *report);
    memset(ops, 0, sizeof ops);
    nheap = 0;
    orders = calls = 0;
    w->seed = seed;
    w->trace = traced;
    w->r = report;
    w->op = ops;
    qd_prng_init(&w->prng, seed);
    client_begin(w);
    begin(w);
    uint64_t chaos = ms(8000 + rnd(w, 8000));
    run_until(w, chaos, NULL);
    if (!w->failed) {
        trace(w, "faults end");
        w->quiet = true;
        heal(w);
        w->store_down = 0;
        for (int i = 0; i < NODES; i++) {
            w->n[i].frozen = 0;
            if (w->n[i].halt_until > w->now) w->n[i].halt_until = w->now;
            if (!w->n[i].up) node_start(w, &w->n[i]);
        }
        run_until(w, chaos + ms(60000), green);
        if (!w->failed && !green(w)) fail(w, "not green 60 s after the faults ended");
        if (!w->failed) check_end(w);
    }
    while (nheap) msg_give(pop().m);
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        msg_give(call[i].request);
        call[i].request = NULL;
    }
    for (int i = 0; i < w->npubs; i++) free(w->pub[i].at);
    qd_arena_fini(&arena);
    return w->failed;
}
