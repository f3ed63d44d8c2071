/*
 * flight.c: commands of this node's requests on their way into the log. A flight has a name,
 * (incarnation, number): whatever is sent twice is done once, so it is sent again whenever it may
 * have been lost, to whoever leads. It ends when the entry with it is applied here, or the leader
 * answers, or nobody leads for long.
 */
#include "store.h"
#include <check/invariant.h>

#define PAUSE_NS 20000000 /* before a leader that refused is asked again */
#define SLOW_TEXT 1000
#define SLOW_NS 2000000000ll    /* of a change, worth a line */
#define SAY_NS 10000000000ll    /* between two of them */
#define SILENT_NS 15000000000ll /* a leader that takes nothing */

/* --- the list --- */

static cr_flight **bucket(qd_coord *c, uint64_t number)
{
    return &c->flights.chains[number % (sizeof c->flights.chains / sizeof *c->flights.chains)];
}

cr_flight *cr_flight_find(qd_coord *c, uint64_t number)
{
    cr_flight *f = *bucket(c, number);
    while (f && f->number != number) f = f->chain;
    return f;
}

static cr_flight *make(qd_coord *c, cr_node *n, cr_bytes *command)
{
    cr_flight *f = cr_must(c->heap, sizeof *f);
    *f = (cr_flight){.node = n,
                     .number = n && n->kind == CR_ELECTION_REQUEST ? n->number : ++c->last_number,
                     .seen = c->machine->nanswers,
                     .began_ns = cr_now(c),
                     .heard_ns = cr_now(c),
                     .previous = c->flights.last,
                     .command = *command};
    *command = (cr_bytes){.heap = c->heap};
    qd_invariant(!cr_flight_find(c, f->number)); /* a name is one command's */
    *(f->previous ? &f->previous->next : &c->flights.first) = f;
    c->flights.last = f;
    cr_flight **b = bucket(c, f->number);
    f->chain = *b;
    *b = f;
    c->flights.n++;
    if (n) {
        n->state = CR_FLYING;
        n->number = f->number;
    }
    return f;
}

static void drop(qd_coord *c, cr_flight *f)
{
    cr_flight **b = bucket(c, f->number);
    while (*b != f) b = &(*b)->chain;
    *b = f->chain;
    *(f->previous ? &f->previous->next : &c->flights.first) = f->next;
    *(f->next ? &f->next->previous : &c->flights.last) = f->previous;
    qd_invariant(c->flights.n > 0);
    c->flights.n--;
    qd_invariant((c->flights.n == 0) == (c->flights.first == NULL));
    qd_invariant((c->flights.first == NULL) == (c->flights.last == NULL));
    cr_bytes_free(&f->command);
    cr_free(c->heap, f);
}

/* A store that answers slowly is told, for whoever waits cannot know why. */
static void say_slow(qd_coord *c, const cr_flight *f)
{
    int64_t now = cr_now(c), took = now - f->began_ns;
    if (took < SLOW_NS || now - c->slow_ns < SAY_NS || cr_is_soft(f->command.p[0])) return;
    char why[SLOW_TEXT];
    c->slow_ns = now;
    cr_why_slow(c, why, sizeof why);
    cr_say(c, QD_LEVEL_WARN, "a change of the cluster's state took %lld ms: %s",
           (long long)(took / 1000000), why);
}

/* A candidate that was to be withdrawn, and nobody took that: whoever cancelled it need not wait
 * for a leader to come. */
static void left_waiting(qd_coord *c, uint64_t number)
{
    for (cr_node *n = c->pending.first; n; n = n->next) {
        if (n->kind != CR_ELECTION_REQUEST || n->number != number) continue;
        cr_flight *f = n->state == CR_FLYING ? cr_flight_find(c, number) : NULL;
        if (f) cr_flight_cancel(c, f);
        if (f || n->state != CR_WAITING) return;
        cr_end(c, n, QD_E_UNKNOWN_OUTCOME, cr_reason_of(QD_E_UNKNOWN_OUTCOME));
        return;
    }
}

void cr_flight_done(qd_coord *c, cr_flight *f, const cr_answering *a)
{
    cr_node *n = f->node;
    /* u8 type, u64 owner, u64 number: store.c */
    uint64_t withdrawn =
        !n && a->rc && f->command.p[0] == CR_WITHDRAW ? cr_load64(f->command.p + 9) : 0;
    say_slow(c, f);
    drop(c, f);
    if (n) cr_finish(c, n, a);
    if (withdrawn) left_waiting(c, withdrawn);
}

static void end(qd_coord *c, cr_flight *f, int32_t rc)
{
    cr_answering a = {.rc = rc};
    if (c->failed && rc != QD_E_UNKNOWN_OUTCOME) {
        a.rc = c->fail_code;
        a.text = (qd_str){c->fail_reason, strnlen(c->fail_reason, CR_WIRE_TEXT_MAX)};
    } else if (rc == QD_E_NO_COORDINATION && *c->status) {
        a.text = (qd_str){c->status, strlen(c->status)};
    }
    cr_flight_done(c, f, &a);
}

/* --- commands --- */

static void write_session(cr_bytes *b, const qd_coord_session *r)
{
    if (r->action == QD_COORD_SESSION_OPEN) {
        cr_put8(b, CR_OPEN);
        cr_put(b, r->id, 16);
        cr_put64(b, (uint64_t)r->ttl_ns);
        return;
    }
    cr_put8(b, r->action == QD_COORD_SESSION_KEEP ? CR_KEEP : CR_CLOSE);
    cr_put64(b, r->session);
}

static void write_election(qd_coord *c, cr_node *n, cr_bytes *b)
{
    const qd_coord_election *r = CR_CONTAINER(qd_coord_election, n);
    n->number = ++c->last_number;
    if (r->action == QD_COORD_ELECT) {
        cr_put8(b, CR_ELECT);
        cr_put64(b, c->incarnation);
        cr_put64(b, n->number);
        cr_put64(b, r->session);
        cr_put_str(b, r->name);
        cr_put_str(b, r->value);
        return;
    }
    cr_put8(b, CR_RESIGN);
    cr_put64(b, r->session);
    cr_put64(b, r->token.epoch);
    cr_put64(b, r->token.term);
    cr_put_str(b, r->name);
}

static void write_members(cr_bytes *b, const qd_coord_members *r)
{
    uint64_t id = 0;
    for (size_t i = 0; i < r->change.id.n && r->change.id.p[i] >= '0' && r->change.id.p[i] <= '9';
         i++)
        id = id * 10 + (uint64_t)(r->change.id.p[i] - '0');
    cr_put8(b, CR_ASK_MEMBERS);
    cr_put32(b, r->action);
    cr_put64(b, id);
    cr_put32(b, r->change.role);
    cr_put_str(b, r->change.name);
    cr_put_str(b, r->change.address);
}

static void write_with(cr_bytes *b, cr_node *n)
{
    cr_writer w;
    cr_writer_begin(&w, b->heap);
    if (n->kind == CR_TXN_REQUEST)
        cr_write_txn(&w, CR_CONTAINER(qd_coord_txn, n));
    else
        cr_write_import(&w, CR_CONTAINER(qd_coord_import, n));
    *b = cr_command_take(&w);
    cr_bytes_free(&w.bytes);
}

void cr_fly(qd_coord *c, cr_node *n)
{
    cr_bytes b = {.heap = c->heap};
    switch (n->kind) {
    case CR_SESSION_REQUEST:
        write_session(&b, CR_CONTAINER(qd_coord_session, n));
        break;
    case CR_ELECTION_REQUEST:
        write_election(c, n, &b);
        break;
    case CR_MEMBERS:
        write_members(&b, CR_CONTAINER(qd_coord_members, n));
        break;
    case CR_AUTHORITY_REQUEST: {
        const qd_coord_authority *r = CR_CONTAINER(qd_coord_authority, n);
        cr_put8(&b, CR_AUTHORITY);
        cr_put(&b, r->id, 16);
        cr_put32(&b, r->action);
        cr_put64(&b, r->epoch);
        cr_put64(&b, r->new_epoch);
        cr_put64(&b, r->revision);
        break;
    }
    default:
        write_with(&b, n);
        break;
    }
    (void)make(c, n, &b);
}

void cr_fly_alone(qd_coord *c, cr_bytes *command)
{
    (void)make(c, NULL, command);
}

/* --- going --- */

static void send_part(qd_coord *c, cr_flight *f, size_t offset)
{
    size_t left = f->command.n - offset;
    cr_request q = {
        .owner = c->incarnation,
        .number = f->number,
        .seen = f->seen,
        .total = (uint32_t)f->command.n,
        .offset = (uint32_t)offset,
        .bytes = {(const char *)f->command.p + offset, left < CR_WIRE_PART ? left : CR_WIRE_PART}};
    cr_bytes b = {.heap = c->heap};
    cr_wire_request(&b, &q);
    cr_net_say(c, CR_SAY_REQUEST, c->view.leader,
               (qd_str){c->leader_address, strlen(c->leader_address)}, b.p, b.n);
    cr_bytes_free(&b);
    f->tried += offset == 0;
    f->where = CR_SENT;
    f->to = c->view.leader;
    f->told_ns = cr_now(c);
}

/* A candidate is one until it is cancelled: told that nobody knows, its node would stand anew, and
 * not know of it when the first one wins. */
static int stays(const cr_flight *f)
{
    return f->command.p[0] == CR_ELECT;
}

/* What may be told when there is no time left to find out. */
static int32_t unclear(const cr_flight *f, int32_t clear)
{
    return f->tried && !cr_is_soft(f->command.p[0]) ? QD_E_UNKNOWN_OUTCOME : clear;
}

/* No room on the leader's disk: what was tried before may be in the log all the same. */
static void no_room(qd_coord *c, cr_flight *f, int tried)
{
    if (stays(f)) {
        f->where = CR_HERE;
        f->told_ns = cr_now(c) + PAUSE_NS;
        c->unsure = 1;
    } else {
        end(c, f, tried ? unclear(f, QD_E_NOSPACE) : QD_E_NOSPACE);
    }
}

/* Into this node's log. */
static void log_it(qd_coord *c, cr_flight *f)
{
    if (cr_is_soft(f->command.p[0])) {
        f->where = CR_ROUND;
        f->round = f->touch = 0; /* the next one */
        return;
    }
    if (cr_space(c)) {
        no_room(c, f, f->tried);
        return;
    }
    if (!f->tried) {
        f->seen = c->machine->nanswers + c->coming;
    } else if (!cr_machine_remembers(c->machine, f->seen, c->coming)) {
        end(c, f, QD_E_UNKNOWN_OUTCOME);
        return;
    }
    f->where = CR_LOGGED;
    f->tried++;
    cr_propose(c, (cr_name){c->incarnation, f->number}, f->command.p, f->command.n);
}

static void go(qd_coord *c, cr_flight *f)
{
    int64_t now = cr_now(c);
    qd_invariant(f->where == CR_HERE || f->where == CR_SENT);
    if (f->where == CR_HERE && f->told_ns > now) {
        c->unsure = 1;
        return;
    }
    if (cr_leads(c)) {
        log_it(c, f);
    } else if (cr_follows(c)) {
        send_part(c, f, 0);
    } else {
        f->where = CR_HERE;
        c->unsure = 1;
    }
}

void cr_flight_back(qd_coord *c, cr_flight *f, int32_t rc)
{
    int unknown = rc == QD_E_UNKNOWN_OUTCOME && !c->failed && !c->ending;
    if (rc != QD_E_NOT_LEADER && rc != QD_E_NO_COORDINATION && !unknown) {
        end(c, f, rc);
        return;
    }
    if (f->tried && !unknown) f->tried--; /* that one is certainly no more */
    f->where = CR_HERE;
    f->told_ns = cr_now(c) + PAUSE_NS;
    c->unsure = 1;
}

void cr_flight_cancel(qd_coord *c, cr_flight *f)
{
    end(c, f, unclear(f, QD_E_CANCELLED));
}

void cr_flights_turn(qd_coord *c)
{
    int64_t now = cr_now(c);
    for (cr_flight *f = c->flights.first, *next; f; f = next) {
        next = f->next;
        if (c->failed) {
            end(c, f, unclear(f, c->fail_code));
            continue;
        }
        if (f->where == CR_SENT && now - f->heard_ns > SILENT_NS && !stays(f)) {
            end(c, f, unclear(f, QD_E_TIMEOUT));
            continue;
        }
        int lost =
            f->where == CR_SENT && (f->to != c->view.leader || now - f->told_ns > CR_RESEND_NS);
        if (f->where == CR_HERE || lost) go(c, f);
    }
    if (c->no_leader_ns && now - c->no_leader_ns > CR_PATIENCE_NS) {
        for (cr_flight *f = c->flights.first, *next; f; f = next) {
            next = f->next;
            if (now - f->began_ns > CR_PATIENCE_NS && !stays(f))
                end(c, f, unclear(f, QD_E_NO_COORDINATION));
        }
    }
    cr_flush_soon(c);
}

void cr_flights_anew(qd_coord *c)
{
    for (cr_flight *f = c->flights.first; f; f = f->next) {
        if (f->where == CR_SENT || f->where == CR_ROUND) {
            f->where = CR_HERE;
            f->told_ns = 0;
        }
    }
    c->unsure = 1;
}

void cr_flights_end(qd_coord *c, int32_t rc)
{
    while (c->flights.first) {
        cr_flight *f = c->flights.first;
        end(c, f, unclear(f, rc));
    }
}

void cr_candidates_recheck(qd_coord *c)
{
    for (cr_node *n = c->pending.first, *next; n; n = next) {
        next = n->next;
        if (n->kind != CR_ELECTION_REQUEST || n->state != CR_WAITING) continue;
        qd_coord_election *r = CR_CONTAINER(qd_coord_election, n);
        qd_coord_token token = {0, 0};
        int where = cr_machine_candidate(c->machine, r->name, c->incarnation, n->number, &token);
        if (where == 1) continue;
        int32_t rc = 0;
        if (where == 2)
            r->token = token;
        else
            rc = cr_machine_session(c->machine, r->session) ? QD_E_FENCED : QD_E_SESSION_EXPIRED;
        cr_end(c, n, rc, rc ? cr_reason_of(rc) : NULL);
    }
}

/* --- from the leader --- */

void cr_on_more(qd_coord *c, const cr_answering *a)
{
    cr_flight *f = a->owner == c->incarnation ? cr_flight_find(c, a->number) : NULL;
    if (!f || f->where != CR_SENT || a->rc < 0) return;
    f->told_ns = f->heard_ns = cr_now(c);
    if ((size_t)a->rc < f->command.n) send_part(c, f, (size_t)a->rc);
}

void cr_on_answer(qd_coord *c, const cr_answering *a)
{
    cr_flight *f = a->owner == c->incarnation ? cr_flight_find(c, a->number) : NULL;
    if (!f || f->where != CR_SENT) return;
    if (a->rc == QD_E_NOT_LEADER || a->rc == QD_E_REJECTED) {
        cr_flight_back(c, f, QD_E_NOT_LEADER);
    } else if (a->rc == QD_E_COMPACTED) {
        /* The leader cannot tell it from one that was forgotten; the first time it is none. */
        if (f->tried > 1) {
            end(c, f, QD_E_UNKNOWN_OUTCOME);
        } else {
            f->seen = a->revision;
            f->where = CR_HERE;
            f->told_ns = 0;
            f->tried = 0;
            go(c, f);
        }
    } else if (a->rc == QD_E_NOSPACE) {
        no_room(c, f, f->tried > 1);
    } else if (a->rc == QD_E_UNKNOWN_OUTCOME) {
        cr_flight_back(c, f, a->rc); /* its name is remembered: it is asked again */
    } else if (a->rc == 0 && f->command.p[0] == CR_AUTHORITY) {
        f->told_ns = cr_now(c); /* done when it is applied here: identity shall tell it then */
    } else {
        cr_flight_done(c, f, a);
    }
}
