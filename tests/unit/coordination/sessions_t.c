/*
 * sessions_t.c: sessions' time at the leader, whose log takes an entry or refuses it as the test
 * wants: a session whose end is in the log is not told to be renewed.
 */
#include "base/assert.h"
#include "unit/unit.h"

#include "unit/coordination/heap.h"
#include <coordination-common/store.h>

#define TTL_NS 2000000000ll

/* --- what is around: a log of proposals, a clock --- */

static int64_t clock_ns;
static int32_t refuses; /* what the log answers; 0: it takes them */
static int crowded;     /* what is proposed would wait */
static cr_proposal *taken[8];
static cr_bytes entries[8];
static uint32_t ntaken;

int64_t cr_now(qd_coord *c)
{
    (void)c;
    return clock_ns;
}

int cr_leads(const qd_coord *c)
{
    return c->ready;
}

int32_t cr_consensus_propose(cr_consensus *c, cr_proposal *p, const uint8_t *entry, size_t n)
{
    (void)c;
    if (refuses) return refuses;
    assert_true(ntaken < QD_COUNT_OF(taken));
    taken[ntaken] = p;
    entries[ntaken] = (cr_bytes){.heap = unit_heap()};
    cr_put(&entries[ntaken++], entry, n);
    return 0;
}

int32_t cr_space(qd_coord *c)
{
    (void)c;
    return 0;
}

int cr_consensus_crowded(const cr_consensus *c)
{
    (void)c;
    return crowded;
}
void cr_consensus_snapshot_soon(cr_consensus *c)
{
    (void)c;
}
void cr_identity_update(qd_coord *c)
{
    (void)c;
}
void cr_home_applied(qd_coord *c, cr_items *rows, uint64_t index, int replaced)
{
    (void)c;
    (void)index;
    (void)replaced;
    cr_items_free(unit_heap(), rows);
}
void cr_end(qd_coord *c, cr_node *n, int32_t rc, const char *why)
{
    (void)c;
    (void)n;
    (void)rc;
    (void)why;
}
const char *cr_reason_of(int32_t rc)
{
    (void)rc;
    return "";
}
void cr_told(qd_coord *c, cr_name name, const cr_answering *a)
{
    (void)c;
    (void)name;
    (void)a;
}
cr_flight *cr_flight_find(qd_coord *c, uint64_t number)
{
    (void)c;
    (void)number;
    return NULL;
}
void cr_flight_back(qd_coord *c, cr_flight *f, int32_t rc)
{
    (void)c;
    (void)f;
    (void)rc;
}
void cr_flight_done(qd_coord *c, cr_flight *f, const cr_answering *a)
{
    (void)c;
    (void)f;
    (void)a;
}
cr_guest *cr_guest_find(qd_coord *c, uint64_t owner, uint64_t number)
{
    (void)c;
    (void)owner;
    (void)number;
    return NULL;
}
void cr_guest_done(qd_coord *c, cr_guest *g, const cr_answering *a)
{
    (void)c;
    (void)g;
    (void)a;
}

/* --- a leader --- */

/* Applies all that was taken. */
static void apply_all(qd_coord *c)
{
    for (uint32_t i = 0; i < ntaken; i++) {
        assert_int_equal(cr_on_apply(c, c->applied + 1, entries[i].p, entries[i].n), 0);
        taken[i]->done(taken[i], 0);
        cr_bytes_free(&entries[i]);
    }
    ntaken = 0;
}

/* Somebody's command; it may be refused. */
static void command(qd_coord *c)
{
    static uint8_t ids;
    uint8_t open[25] = {CR_OPEN, ++ids};
    cr_store64(open + 17, TTL_NS);
    cr_propose(c, (cr_name){0, 0}, open, sizeof open);
    cr_flush(c);
}

/* A leader with one session, whose time is up. */
/* Time passes while the loop runs: it wanted to look again by then, and does. */
static void pass(qd_coord *c, int64_t ns)
{
    clock_ns += ns;
    c->looked_ns = clock_ns;
}

static qd_coord *leader(uint64_t *session)
{
    static qd_coord store;
    qd_coord *c = &store;
    cr_writer w;
    memset(c, 0, sizeof *c);
    c->heap = unit_heap();
    c->machine = cr_machine_make(unit_heap(), 1000, 1u << 20);
    c->consensus = (cr_consensus *)(void *)c; /* only the stand-in above gets it */
    c->incarnation = 7;
    c->ready = 1;
    clock_ns = 1000000000;
    refuses = 0;
    cr_writer_begin(&w, unit_heap());
    cr_command_begin(&w, CR_FORM);
    cr_put(&w.bytes, "0123456789abcdef", 16);
    cr_put64(&w.bytes, 1);
    cr_command_end(&w);
    cr_writer_end(&w, 7);
    assert_int_equal(cr_on_apply(c, 1, w.bytes.p, w.bytes.n), 0);
    cr_bytes_free(&w.bytes);
    command(c);
    apply_all(c);
    assert_int_equal(c->machine->nsessions, 1);
    *session = c->machine->sessions[0].id;
    assert_int_equal(cr_session_keep(c, *session), 0);
    pass(c, TTL_NS + 1);
    return c;
}

static void leader_free(qd_coord *c)
{
    apply_all(c);
    cr_free(c->heap, c->deadlines);
    cr_machine_free(c->machine);
}

/* Something else that the log refuses, for want of room or as leadership is handed over, does not
 * make the end undone that it has taken before. */
static void an_end_in_the_log_stays(void **state)
{
    static const int32_t why[] = {QD_E_REJECTED, QD_E_NOSPACE};
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(why); i++) {
        uint64_t session;
        qd_coord *c = leader(&session);
        cr_sessions_expire(c);
        assert_int_equal(ntaken, 1);
        assert_int_equal(cr_session_keep(c, session), QD_E_REJECTED);
        refuses = why[i];
        command(c);
        assert_int_equal(cr_session_keep(c, session), QD_E_REJECTED);
        refuses = 0;
        cr_sessions_expire(c); /* and is not asked for twice */
        assert_int_equal(ntaken, 1);
        apply_all(c);
        assert_int_equal(cr_session_keep(c, session), QD_E_SESSION_EXPIRED);
        leader_free(c);
    }
}

/* An end that the log has refused is none: the session may be renewed, or ends later. */
static void a_refused_end_is_asked_for_again(void **state)
{
    uint64_t session;
    (void)state;
    qd_coord *c = leader(&session);
    refuses = QD_E_REJECTED;
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 0);
    refuses = 0;
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 1);
    assert_int_equal(cr_session_keep(c, session), QD_E_REJECTED);
    leader_free(c);

    c = leader(&session);
    refuses = QD_E_REJECTED;
    cr_sessions_expire(c);
    refuses = 0;
    assert_int_equal(cr_session_keep(c, session), 0);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 0);
    leader_free(c);
    unit_heap_check();
}

/* Ends all that the log has taken, without applying it. */
static void none_comes(int32_t rc)
{
    for (uint32_t i = 0; i < ntaken; i++) {
        taken[i]->done(taken[i], rc);
        cr_bytes_free(&entries[i]);
    }
    ntaken = 0;
}

/* Who leads again in the same term, as what holds the log was away meanwhile, has its entries under
 * way: what they end is not renewed beside them. */
static void an_end_outlives_a_pause_of_its_lead(void **state)
{
    uint64_t session;
    (void)state;
    qd_coord *c = leader(&session);
    c->view.term = 3;
    cr_deadlines_update(c, 1);
    pass(c, TTL_NS + 1);
    cr_sessions_expire(c);
    cr_deadlines_update(c, 1);
    assert_int_equal(cr_session_keep(c, session), QD_E_REJECTED);
    apply_all(c);
    assert_int_equal(cr_session_keep(c, session), QD_E_SESSION_EXPIRED);
    leader_free(c);

    c = leader(&session);
    c->view.term = 3;
    cr_deadlines_update(c, 1);
    pass(c, TTL_NS + 1);
    cr_sessions_expire(c);
    c->view.term = 5; /* all of an earlier term is decided */
    cr_deadlines_update(c, 1);
    assert_int_equal(cr_session_keep(c, session), 0);
    none_comes(QD_E_NOT_LEADER);
    leader_free(c);
}

/* An end that was taken, and refused in the end, is asked for again; of which nobody knows, too,
 * but no renewal passes it by. */
static void an_end_that_never_comes_is_asked_for_again(void **state)
{
    uint64_t session;
    (void)state;
    qd_coord *c = leader(&session);
    cr_sessions_expire(c);
    none_comes(QD_E_REJECTED);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 1);
    none_comes(QD_E_REJECTED);
    assert_int_equal(cr_session_keep(c, session), 0);
    leader_free(c);

    c = leader(&session);
    cr_sessions_expire(c);
    none_comes(QD_E_UNKNOWN_OUTCOME);
    assert_int_equal(cr_session_keep(c, session), QD_E_REJECTED);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 0);
    assert_true(cr_sessions_next(c) == clock_ns + TTL_NS);
    pass(c, TTL_NS);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 1);
    apply_all(c);
    assert_int_equal(cr_session_keep(c, session), QD_E_SESSION_EXPIRED);
    leader_free(c);
    unit_heap_check();
}

/* After the leader's machine slept, renewals that nobody heard are not missed, whoever looks at the
 * time first; an end that is in the log is not taken back. */
static void time_begins_anew_after_the_leader_slept(void **state)
{
    uint64_t session;
    (void)state;
    qd_coord *c = leader(&session);
    clock_ns += 3600 * INT64_C(1000000000);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 0);
    assert_true(cr_sessions_next(c) == clock_ns + TTL_NS);
    clock_ns += 3600 * INT64_C(1000000000);
    cr_deadlines_update(c, 0); /* a session came or went */
    assert_true(cr_sessions_next(c) == clock_ns + TTL_NS);
    pass(c, TTL_NS - 1);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 0);
    pass(c, 1);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 1);
    clock_ns += 3600 * INT64_C(1000000000);
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 1);
    assert_int_equal(cr_session_keep(c, session), QD_E_REJECTED);
    leader_free(c);
    unit_heap_check();
}

/* An end that waits for room in the log is nobody's request: the loop looks again by itself. */
static void an_end_that_waits_is_looked_at_again(void **state)
{
    uint64_t session;
    (void)state;
    qd_coord *c = leader(&session);
    c->unsure = 0;
    crowded = 1;
    cr_sessions_expire(c);
    assert_int_equal(ntaken, 0);
    assert_int_equal(c->unsure, 1);
    crowded = 0;
    cr_flush_soon(c);
    assert_int_equal(ntaken, 1);
    leader_free(c);
    unit_heap_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_in_the_log_stays),
        cmocka_unit_test(a_refused_end_is_asked_for_again),
        cmocka_unit_test(an_end_outlives_a_pause_of_its_lead),
        cmocka_unit_test(an_end_that_never_comes_is_asked_for_again),
        cmocka_unit_test(time_begins_anew_after_the_leader_slept),
        cmocka_unit_test(an_end_that_waits_is_looked_at_again),
    };
    return unit_run(tests);
}
