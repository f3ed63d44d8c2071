/*
 * rounds.c: linearizable reads without an entry, on every member. All that came before a round
 * began wait for it together: the leader has its leadership confirmed by a majority
 * (cr_consensus_read), a follower asks the leader for the index up to which that holds, and waits
 * until it is applied here. Renewals of sessions wait for a round of the leader's too: only then is
 * it sure that no other leader counts their time already. Their time begins anew as soon as that is
 * confirmed; what is answered waits, as all reads, until what was committed is applied here, and so
 * for this node's disk. A disk that stands still costs nobody the session.
 */
#include "mutants.h"
#include "store.h"
#include <check/invariant.h>

#define RESEND_NS 300000000
#define ASKING_MAX 1024

int cr_reads_only(const cr_node *n)
{
    switch (n->kind) {
    case CR_RANGE:
    case CR_EXPORT:
        return 1;
    case CR_TXN_REQUEST:
        return CR_CONTAINER(const qd_coord_txn, n)->nchanges == 0;
    case CR_ELECTION_REQUEST:
        return CR_CONTAINER(const qd_coord_election, n)->action == QD_COORD_LEADER;
    default:
        return 0;
    }
}

int cr_is_soft(uint8_t type)
{
    return type == CR_KEEP || type == CR_ASK_MEMBERS;
}

/* Marks all that wait for the next round as waiting for this one; 1 when there is any. */
static int gather(qd_coord *c, uint64_t number, int change)
{
    int any = 0;
    for (cr_node *n = c->pending.first; n; n = n->next)
        if (n->state == CR_READING && n->number == 0) {
            any = 1;
            if (!change) return 1;
            n->number = number;
        }
    for (cr_flight *f = c->flights.first; f; f = f->next)
        if (f->where == CR_ROUND && f->round == 0) {
            any = 1;
            if (change) f->round = number;
        }
    for (cr_guest *g = c->guests.first; g; g = g->next)
        if (g->where == CR_IN_ROUND && g->round == 0) {
            any = 1;
            if (change) g->round = number;
        }
    for (uint32_t i = 0; i < c->rounds.nasking; i++)
        if (c->rounds.asking[i].round == 0) {
            any = 1;
            if (change) c->rounds.asking[i].round = number;
        }
    return any;
}

/* A command that needs no entry. 1: it becomes one all the same. */
static int soft_now(qd_coord *c, cr_name name, const uint8_t *command, size_t n)
{
    if (command[0] == CR_ASK_MEMBERS) {
        cr_members_ask(c, name, command, n);
        return 0;
    }
    cr_answering a = {.rc = n == 9 ? cr_session_keep(c, cr_load64(command + 1)) : QD_E_ARG};
    if (a.rc == QD_E_REJECTED && cr_space(c) == 0) return 1;
    cr_told(c, name, &a);
    return 0;
}

static void answer_asking(qd_coord *c, uint64_t number, int32_t rc)
{
    cr_rounds *r = &c->rounds;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->nasking; i++) {
        cr_asking *a = &r->asking[i];
        if (a->round != number) {
            r->asking[kept++] = *a;
            continue;
        }
        cr_bytes b = {.heap = c->heap};
        cr_wire_numbers(&b, a->number, rc, c->view.applied, QD_STR(""));
        cr_net_say(c, CR_SAY_READ_ANSWER, a->from, (qd_str){a->address, strlen(a->address)}, b.p,
                   b.n);
        cr_bytes_free(&b);
    }
    r->nasking = kept;
}

static void confirmed(qd_coord *c)
{
    uint64_t number = c->rounds.number;
    qd_invariant(c->rounds.busy && !c->rounds.engine);
    qd_invariant(!c->rounds.indexed || c->view.applied >= c->rounds.index);
    c->rounds.busy = c->rounds.indexed = 0;
    if (c->consensus) cr_view_look(c);
    answer_asking(c, number, 0);
    for (cr_node *n = c->pending.first, *next; n; n = next) {
        next = n->next;
        if (n->state == CR_READING && n->number == number) cr_read_now(c, n);
    }
    cr_flush(c); /* so that what fails in the next is of the next */
    for (cr_flight *f = c->flights.first, *next; f; f = next) {
        next = f->next;
        if (f->where != CR_ROUND || f->round != number) continue;
        cr_name name = {c->incarnation, f->number};
        if (!soft_now(c, name, f->command.p, f->command.n)) continue;
        f->where = CR_LOGGED;
        cr_propose(c, name, f->command.p, f->command.n);
    }
    cr_flush(c);
    for (cr_guest *g = c->guests.first, *next; g; g = next) {
        next = g->next;
        if (g->where != CR_IN_ROUND || g->round != number) continue;
        cr_name name = {g->owner, g->number};
        if (!soft_now(c, name, g->command.p, g->command.n)) continue;
        g->where = CR_UNDER_WAY;
        cr_propose(c, name, g->command.p, g->command.n);
    }
    cr_flush(c);
}

/* Everything of this round waits for another one. */
static void refused(qd_coord *c)
{
    uint64_t number = c->rounds.number;
    qd_invariant(c->rounds.busy && !c->rounds.engine);
    c->rounds.busy = c->rounds.indexed = 0;
    c->unsure = 1;
    answer_asking(c, number, QD_E_NOT_LEADER);
    for (cr_node *n = c->pending.first; n; n = n->next)
        if (n->state == CR_READING && n->number == number) n->number = 0;
    for (cr_flight *f = c->flights.first; f; f = f->next)
        if (f->where == CR_ROUND && f->round == number) {
            f->where = CR_HERE;
            f->told_ns = 0;
        }
    for (cr_guest *g = c->guests.first, *next; g; g = next) {
        next = g->next;
        if (g->where != CR_IN_ROUND || g->round != number) continue;
        cr_answering a = {.owner = g->owner, .number = g->number, .rc = QD_E_NOT_LEADER};
        cr_guest_done(c, g, &a);
    }
}

static void on_read_done(cr_read_wait *w, int32_t rc)
{
    qd_coord *c = (qd_coord *)((char *)w - offsetof(qd_coord, rounds.wait));
    c->rounds.engine = 0;
    c->dirty = 1;
    if (!c->rounds.busy) return;
    if (rc == 0 && !c->ending && c->ready)
        confirmed(c);
    else
        refused(c);
}

static void ask_leader(qd_coord *c)
{
    cr_bytes b = {.heap = c->heap};
    cr_put64(&b, c->rounds.number);
    cr_net_say(c, CR_SAY_READ, c->view.leader,
               (qd_str){c->leader_address, strlen(c->leader_address)}, b.p, b.n);
    cr_bytes_free(&b);
    c->rounds.told_ns = cr_now(c);
}

/* --- sessions' time: not for what waits on a disk --- */

static int is_keep(const cr_bytes *command)
{
    return command->n == 9 && command->p[0] == CR_KEEP;
}

/* Renewals that wait under one number get another one; 1 when there is any. anew: their time begins
 * anew. */
static int renumber(qd_coord *c, uint64_t from, uint64_t to, int anew)
{
    int any = 0;
    for (cr_flight *f = c->flights.first; f; f = f->next) {
        if (f->where != CR_ROUND || f->touch != from || !is_keep(&f->command)) continue;
        any = 1;
        f->touch = to;
        if (anew) cr_session_touch(c, cr_load64(f->command.p + 1));
    }
    for (cr_guest *g = c->guests.first; g; g = g->next) {
        if (g->where != CR_IN_ROUND || g->touch != from || !is_keep(&g->command)) continue;
        any = 1;
        g->touch = to;
        if (anew) cr_session_touch(c, cr_load64(g->command.p + 1));
    }
    return any;
}

#define TOUCHED UINT64_MAX

static void on_touched(cr_read_wait *w, int32_t rc)
{
    qd_coord *c = (qd_coord *)((char *)w - offsetof(qd_coord, rounds.touch));
    int sure = rc == 0 && !c->ending && c->ready;
    c->rounds.touching = 0;
    c->dirty = 1;
    (void)renumber(c, c->rounds.touches, sure ? TOUCHED : 0, sure);
}

/* All renewals that have come share one question to the majority, which rides with that of the
 * round. */
static void touch_turn(qd_coord *c)
{
    cr_rounds *r = &c->rounds;
    if (r->touching || !cr_leads(c) || QD_MUTANT(coord, RENEWAL_APPLIED)) return;
    if (cr_consensus_sole(c->consensus)) {
        (void)renumber(c, 0, TOUCHED, 1);
        return;
    }
    r->touches++;
    if (!renumber(c, 0, r->touches, 0)) return;
    r->touch.done = on_touched;
    r->touch.early = r->touch.soft = 1;
    r->touching = 1;
    if (cr_consensus_read(c->consensus, &r->touch)) {
        r->touching = 0;
        (void)renumber(c, r->touches, 0, 0);
        c->unsure = 1;
    }
}

/* Whether all that waits for the next round are renewals and the like. */
static int soft_only(const qd_coord *c)
{
    for (const cr_node *n = c->pending.first; n; n = n->next)
        if (n->state == CR_READING && n->number == 0) return 0;
    for (uint32_t i = 0; i < c->rounds.nasking; i++)
        if (c->rounds.asking[i].round == 0) return 0;
    return 1;
}

static void begin(qd_coord *c)
{
    int soft = soft_only(c);
    cr_rounds *r = &c->rounds;
    qd_invariant(!r->busy && !r->engine && !r->indexed); /* one round at a time */
    r->busy = 1;
    r->number++;
    (void)gather(c, r->number, 1);
    if (!cr_leads(c) && QD_MUTANT(coord, READ_LOCAL)) {
        confirmed(c);
        return;
    }
    if (!cr_leads(c)) {
        ask_leader(c);
        return;
    }
    if (cr_consensus_sole(c->consensus) || QD_MUTANT(coord, ROUND_NOT_ASKED)) {
        confirmed(c);
        return;
    }
    r->wait.done = on_read_done;
    r->wait.soft = soft;
    r->engine = 1;
    if (cr_consensus_read(c->consensus, &r->wait)) {
        r->engine = 0;
        refused(c);
    }
}

/* Nobody leads, or nothing goes on. */
static void give_up(qd_coord *c, int32_t rc, const char *why)
{
    for (cr_node *n = c->pending.first, *next; n; n = next) {
        next = n->next;
        if (n->state == CR_READING) cr_end(c, n, rc, why);
    }
}

void cr_rounds_turn(qd_coord *c)
{
    cr_rounds *r = &c->rounds;
    int64_t now = cr_now(c);
    if (c->failed) {
        give_up(c, c->fail_code, c->fail_reason);
        return;
    }
    if (c->no_leader_ns && now - c->no_leader_ns > CR_PATIENCE_NS) {
        give_up(c, QD_E_NO_COORDINATION,
                *c->status ? c->status : cr_reason_of(QD_E_NO_COORDINATION));
        return;
    }
    touch_turn(c);
    if (r->busy && r->indexed && c->view.applied >= r->index) confirmed(c);
    if (r->busy && !r->engine && !r->indexed && now - r->told_ns > RESEND_NS && cr_follows(c))
        ask_leader(c);
    for (int i = 0; i < 64 && !r->busy && !r->engine; i++) {
        if (!cr_leads(c) && !cr_follows(c)) return;
        if (!gather(c, 0, 0)) return;
        begin(c);
    }
}

void cr_on_read(qd_coord *c, const cr_envelope *e, uint64_t number)
{
    cr_rounds *r = &c->rounds;
    if (!cr_leads(c) || r->nasking == ASKING_MAX) {
        cr_bytes b = {.heap = c->heap};
        cr_wire_numbers(&b, number, QD_E_NOT_LEADER, 0, QD_STR(""));
        cr_net_say(c, CR_SAY_READ_ANSWER, e->from, e->address, b.p, b.n);
        cr_bytes_free(&b);
        return;
    }
    for (uint32_t i = 0; i < r->nasking; i++)
        if (r->asking[i].from == e->from && r->asking[i].number == number) return;
    if (r->nasking == r->asking_cap) {
        r->asking_cap = r->asking_cap ? r->asking_cap * 2 : 16;
        r->asking = cr_must_grow(c->heap, r->asking, r->asking_cap * sizeof *r->asking);
    }
    cr_asking *a = &r->asking[r->nasking++];
    *a = (cr_asking){.from = e->from, .number = number};
    memcpy(a->address, e->address.p, e->address.n);
    a->address[e->address.n] = 0;
}

void cr_on_read_answer(qd_coord *c, uint64_t number, int32_t rc, uint64_t index)
{
    cr_rounds *r = &c->rounds;
    if (!r->busy || r->engine || r->indexed || number != r->number) return;
    if (rc) {
        refused(c);
        return;
    }
    r->indexed = 1;
    r->index = index;
}

void cr_rounds_anew(qd_coord *c)
{
    if (c->rounds.busy && !c->rounds.engine) refused(c);
}
