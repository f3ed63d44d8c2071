/*
 * guest.c: the leader's side of other members' flights: parts are gathered, the whole is proposed
 * under its name, or waits for a round; what it came to is answered. Whatever is lost here is sent
 * again by whoever it belongs to.
 */
#include "store.h"

#define SILENT_NS 10000000000ll

static cr_guest **bucket(qd_coord *c, uint64_t owner, uint64_t number)
{
    return &c->guests
                .chains[(owner ^ number) % (sizeof c->guests.chains / sizeof *c->guests.chains)];
}

cr_guest *cr_guest_find(qd_coord *c, uint64_t owner, uint64_t number)
{
    cr_guest *g = *bucket(c, owner, number);
    while (g && (g->owner != owner || g->number != number)) g = g->chain;
    return g;
}

static void drop(qd_coord *c, cr_guest *g)
{
    cr_guest **b = bucket(c, g->owner, g->number);
    while (*b != g) b = &(*b)->chain;
    *b = g->chain;
    *(g->previous ? &g->previous->next : &c->guests.first) = g->next;
    *(g->next ? &g->next->previous : &c->guests.last) = g->previous;
    c->guests.n--;
    c->guests.bytes -= g->total;
    cr_bytes_free(&g->command);
    cr_free(c->heap, g);
}

static void say(qd_coord *c, uint8_t type, uint64_t to, qd_str address, const cr_answering *a)
{
    cr_bytes b = {.heap = c->heap};
    cr_wire_answer(&b, a);
    cr_net_say(c, type, to, address, b.p, b.n);
    cr_bytes_free(&b);
}

void cr_guest_done(qd_coord *c, cr_guest *g, const cr_answering *a)
{
    say(c, CR_SAY_ANSWER, g->from, (qd_str){g->address, strlen(g->address)}, a);
    drop(c, g);
}

void cr_told(qd_coord *c, cr_name name, const cr_answering *a)
{
    cr_answering told = *a;
    told.owner = name.owner;
    told.number = name.number;
    if (name.owner == c->incarnation) {
        cr_flight *f = cr_flight_find(c, name.number);
        if (f) cr_flight_done(c, f, &told);
        return;
    }
    cr_guest *g = cr_guest_find(c, name.owner, name.number);
    if (g) cr_guest_done(c, g, &told);
}

static cr_guest *make(qd_coord *c, const cr_envelope *e, const cr_request *q)
{
    cr_guest *g = cr_must(c->heap, sizeof *g);
    *g = (cr_guest){.owner = q->owner,
                    .number = q->number,
                    .seen = q->seen,
                    .from = e->from,
                    .total = q->total,
                    .previous = c->guests.last,
                    .command = {.heap = c->heap}};
    memcpy(g->address, e->address.p, e->address.n);
    g->address[e->address.n] = 0;
    *(g->previous ? &g->previous->next : &c->guests.first) = g;
    c->guests.last = g;
    cr_guest **b = bucket(c, g->owner, g->number);
    g->chain = *b;
    *b = g;
    c->guests.n++;
    c->guests.bytes += g->total;
    return g;
}

/* All of it is there. */
static void begin(qd_coord *c, cr_guest *g)
{
    cr_answering a = {.owner = g->owner, .number = g->number};
    uint8_t type = g->command.p[0];
    if (cr_is_soft(type)) {
        g->where = CR_IN_ROUND;
        g->round = g->touch = 0;
        return;
    }
    cr_reader payload = {.p = g->command.p + 1, .n = g->command.n - 1};
    if (!cr_command_sound(type, &payload)) {
        a.rc = QD_E_ARG;
        a.text = QD_STR("a request of another master is malformed");
    } else if (cr_space(c)) {
        a.rc = QD_E_NOSPACE;
    } else if (!cr_machine_remembers(c->machine, g->seen, c->coming)) {
        a.rc = QD_E_COMPACTED;
        a.revision = c->machine->nanswers + c->coming;
    }
    if (a.rc) {
        cr_guest_done(c, g, &a);
        return;
    }
    g->where = CR_UNDER_WAY;
    cr_propose(c, (cr_name){g->owner, g->number}, g->command.p, g->command.n);
}

void cr_on_request(qd_coord *c, const cr_envelope *e, const cr_request *q)
{
    cr_answering a = {.owner = q->owner, .number = q->number};
    cr_guest *g = cr_guest_find(c, q->owner, q->number);
    if (!cr_leads(c)) a.rc = QD_E_NOT_LEADER;
    if (!a.rc && !g &&
        (c->guests.n >= CR_GUESTS_MAX ||
         (c->guests.bytes && c->guests.bytes + q->total > CR_GUEST_BYTES_MAX)))
        a.rc = QD_E_REJECTED;
    if (!a.rc && !g && q->offset) return; /* its beginning is forgotten: it will come again */
    if (a.rc || e->address.n == 0) {
        say(c, CR_SAY_ANSWER, e->from, e->address, &a);
        return;
    }
    if (!g) g = make(c, e, q);
    g->heard_ns = cr_now(c);
    if (g->where == CR_GATHERING && q->total == g->total && q->offset == g->command.n)
        cr_put(&g->command, q->bytes.p, q->bytes.n);
    int whole = g->command.n == g->total, fresh = g->where == CR_GATHERING && whole;
    if (!fresh || q->bytes.n != q->total) {
        a.rc = (int32_t)g->command.n;
        say(c, CR_SAY_MORE, g->from, (qd_str){g->address, strlen(g->address)}, &a);
    }
    if (fresh) begin(c, g);
}

void cr_guests_turn(qd_coord *c)
{
    int64_t now = cr_now(c);
    for (cr_guest *g = c->guests.first, *next; g; g = next) {
        next = g->next;
        if (!cr_leads(c) && g->where != CR_UNDER_WAY) {
            cr_answering a = {.owner = g->owner, .number = g->number, .rc = QD_E_NOT_LEADER};
            cr_guest_done(c, g, &a);
        } else if (g->where == CR_GATHERING && now - g->heard_ns > SILENT_NS) {
            drop(c, g);
        }
    }
}

void cr_guests_free(qd_coord *c)
{
    while (c->guests.first) drop(c, c->guests.first);
}
