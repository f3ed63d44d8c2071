/* The pure machines step by step, and what copies say to each other as bytes. */
#include "engine/seq_no.h"
#include "replication/copy_int.h"
#include "replication/wire_int.h"
#include "runtime/env.h"
#include "unit/unit.h"

typedef struct seen {
    uint32_t n[REPL_ACT_FENCED + 1];
    repl_act last[REPL_ACT_FENCED + 1];
    uint64_t peer[REPL_ACT_FENCED + 1];
} seen;

static void act(void *arg, const repl_act *a)
{
    seen *s = arg;
    s->n[a->kind]++;
    s->last[a->kind] = *a;
    s->peer[a->kind] = a->peer ? a->peer->id : 0;
}

static repl_peer places[REPL_PEERS_MAX];

static void begin(repl_primary *p, seen *s, uint32_t copies)
{
    static const char *const names[] = {"b", "c", "d"};
    repl_record_copy c[4] = {{"a", true, true, true}};
    *s = (seen){0};
    repl_primary_init(p, places, "a", 3, 9, 10, 10, 8, act, s);
    for (uint32_t i = 0; i < copies; i++) {
        assert_non_null(repl_primary_counted(p, names[i], true));
        c[i + 1] = (repl_record_copy){.assigned = true, .in_sync = true, .started = true};
        snprintf(c[i + 1].aid, REPL_AID, "%s", names[i]);
    }
    repl_record r = {.revision = 10, .term = 3, .primary = "a", .copies = c, .n = copies + 1};
    repl_primary_begin(p, 1000);
    repl_primary_record(p, &r, 1000);
}

static void resynced(repl_primary *p, const char *aid, int64_t persisted, uint64_t now)
{
    repl_peer *c = repl_primary_find(p, aid);
    repl_answer a = {.term = 3, .persisted = persisted, .resync = c->resync, .sent_ns = now};
    repl_primary_answer(p, c->id, &a, now);
}

/* What each answer of a copy confirms. */
static void confirms(repl_primary *p, const char *aid, int64_t persisted, uint64_t now)
{
    repl_answer a = {.term = 3, .persisted = persisted, .sent_ns = now};
    repl_primary_answer(p, repl_primary_find(p, aid)->id, &a, now);
}

/* A slow copy that gets on stays; one that does not, or holds everybody up for too long, goes. */
static void a_slow_copy_stays(void **state)
{
    (void)state;
    const uint64_t second = 1000000000u;
    repl_primary p;
    seen s;
    uint64_t now = 0;
    for (int64_t most = 0; most <= 3; most++) { /* gets on for so many times 20 s */
        begin(&p, &s, 1);
        resynced(&p, "b", 10, 2000);
        now = 10 * second;
        repl_primary_progress(&p, 1000, 1000, now);
        repl_primary_tick(&p, now);
        for (int64_t i = 1; i <= most; i++) {
            now += 20 * second;
            confirms(&p, "b", 10 + i, now);
            repl_primary_tick(&p, now);
            assert_int_equal(s.n[REPL_ACT_FAIL], 0);
        }
        repl_primary_tick(&p, now + 29 * second);
        assert_int_equal(s.n[REPL_ACT_FAIL], 0);
        repl_primary_tick(&p, now + 31 * second);
        assert_int_equal(s.n[REPL_ACT_FAIL], 1);
    }
    begin(&p, &s, 1);
    resynced(&p, "b", 10, 2000);
    now = 10 * second;
    repl_primary_progress(&p, 1000, 1000, now);
    repl_primary_tick(&p, now);
    for (int64_t i = 1; i <= 10 && !s.n[REPL_ACT_FAIL]; i++) {
        now += 10 * second;
        confirms(&p, "b", 10 + i, now);
        repl_primary_tick(&p, now);
    }
    assert_int_equal(s.n[REPL_ACT_FAIL], 1);
    assert_int_equal(now, 110 * second);
}

static void a_batch_waits_for_all(void **state)
{
    (void)state;
    repl_primary p;
    seen s;
    begin(&p, &s, 2);
    assert_int_equal(s.n[REPL_ACT_RESYNC], 2);
    assert_int_equal(s.last[REPL_ACT_RESYNC].from, 9);
    assert_int_equal(p.phase, REPL_RESYNC);
    resynced(&p, "b", 10, 2000);
    assert_int_equal(p.phase, REPL_RESYNC);
    resynced(&p, "c", 10, 2000);
    assert_int_equal(p.phase, REPL_ACTIVE);
    assert_int_equal(p.global, 10);
    repl_batch b = {0};
    repl_primary_batch(&p, &b, 11, 12);
    assert_int_equal(s.n[REPL_ACT_SHIP], 2);
    repl_primary_local(&p, &b, 0, 12, 12, 3000);
    repl_answer a = {.term = 3, .persisted = 12, .batch = b.id};
    repl_primary_answer(&p, repl_primary_find(&p, "b")->id, &a, 3000);
    assert_false(b.done);
    /* the other one fails: it has to be out first */
    repl_answer no = {.verdict = REPL_FAILED, .batch = b.id};
    uint64_t c = repl_primary_find(&p, "c")->id;
    repl_primary_answer(&p, c, &no, 3000);
    assert_int_equal(s.n[REPL_ACT_FAIL], 1);
    assert_false(b.done);
    repl_primary_changed(&p, REPL_CHANGE_FAIL, c, true, false, 11, 4000);
    assert_true(b.done && !b.rc);
    assert_int_equal(b.successful, 2);
    assert_int_equal(b.failed, 1);
    assert_int_equal(p.global, 12);
}

static void a_stale_primary_acknowledges_nothing(void **state)
{
    (void)state;
    repl_primary p;
    seen s;
    begin(&p, &s, 1);
    resynced(&p, "b", 10, 2000);
    repl_batch b = {0};
    repl_primary_batch(&p, &b, 11, 11);
    repl_primary_local(&p, &b, 0, 11, 11, 3000);
    repl_answer a = {.verdict = REPL_STALE_TERM, .term = 4, .batch = b.id};
    repl_primary_answer(&p, repl_primary_find(&p, "b")->id, &a, 3000);
    assert_true(b.done);
    assert_int_equal(b.rc, QD_E_WRITE_UNKNOWN);
    assert_int_equal(p.phase, REPL_FENCED);
    assert_int_equal(p.higher_term, 4);
    repl_read r = {0};
    repl_primary_read(&p, &r, 3, 4000);
    assert_int_equal(r.rc, QD_E_NOT_PRIMARY);
}

/* The answer to the round that was asked last, sent at `sent`. */
static void round_answered(repl_primary *p, seen *s, uint64_t sent, uint64_t now)
{
    repl_answer a = {
        .term = 3, .persisted = 10, .round = s->last[REPL_ACT_SYNC].number, .sent_ns = sent};
    repl_primary_answer(p, s->peer[REPL_ACT_SYNC], &a, now);
}

static void reads_need_a_round_trip_that_began_behind_them(void **state)
{
    (void)state;
    repl_primary p;
    seen s;
    begin(&p, &s, 1);
    uint64_t sent = 5000, now = sent + 10;
    resynced(&p, "b", 10, sent);
    repl_read r = {0}, later = {0};
    repl_primary_read(&p, &r, 10, now);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 0); /* a lease runs: by a clock that may have stood */
    assert_int_equal(s.n[REPL_ACT_SYNC], 1);
    assert_true(s.last[REPL_ACT_SYNC].waited);
    repl_primary_read(&p, &later, 10, now); /* joins the next round, not the one on its way */
    assert_int_equal(s.n[REPL_ACT_SYNC], 1);
    round_answered(&p, &s, now, now + 20);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 1);
    assert_int_equal(s.n[REPL_ACT_SYNC], 2);
    round_answered(&p, &s, now + 20, now + 40);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 2);
    /* a round that took longer than a lease lasts: a second one has to do */
    now += 1000;
    repl_primary_read(&p, &r, 10, now);
    round_answered(&p, &s, now, now + 2 * REPL_LEASE_NS);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 2);
    assert_int_equal(s.n[REPL_ACT_SYNC], 4);
    round_answered(&p, &s, now + 2 * REPL_LEASE_NS, now + 4 * REPL_LEASE_NS);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 3);
    /* a round that fails is asked again by the clock alone */
    now += 5 * REPL_LEASE_NS;
    repl_primary_read(&p, &r, 10, now);
    assert_int_equal(s.n[REPL_ACT_SYNC], 5);
    repl_answer none = {.verdict = REPL_FAILED, .round = s.last[REPL_ACT_SYNC].number};
    repl_primary_answer(&p, s.peer[REPL_ACT_SYNC], &none, now);
    assert_int_equal(s.n[REPL_ACT_SYNC], 5);
    repl_primary_tick(&p, now + 1);
    assert_int_equal(s.n[REPL_ACT_SYNC], 6);
    round_answered(&p, &s, now + 1, now + 2);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 4);
    /* what is not everywhere is not told */
    repl_batch b = {0};
    repl_primary_batch(&p, &b, 11, 11);
    repl_primary_local(&p, &b, 0, 11, 11, now);
    repl_primary_read(&p, &r, 11, now);
    round_answered(&p, &s, now, now + 1);
    assert_int_equal(s.n[REPL_ACT_READ_DONE], 4);
    repl_primary_batch_forget(&p, &b);
    repl_primary_read_forget(&p, &r);
}

static void a_copy_counts_before_it_is_in_sync(void **state)
{
    (void)state;
    repl_primary p;
    seen s;
    begin(&p, &s, 0);
    assert_int_equal(p.phase, REPL_ACTIVE);
    repl_peer *c = repl_primary_track(&p, "n");
    uint64_t id = c->id;
    repl_batch b = {0};
    repl_primary_batch(&p, &b, 11, 11);
    repl_primary_local(&p, &b, 0, 11, 11, 10);
    assert_true(b.done); /* it does not count yet */
    assert_true(repl_primary_admit(&p, id, 10, 20));
    assert_int_equal(s.n[REPL_ACT_ADMIT], 0); /* 11 was acknowledged without it */
    repl_batch b2 = {0};
    repl_primary_batch(&p, &b2, 12, 12);
    repl_primary_local(&p, &b2, 0, 12, 12, 30);
    assert_false(b2.done); /* counts from now on */
    repl_answer a = {.term = 3, .persisted = 12, .batch = b2.id};
    repl_primary_answer(&p, id, &a, 40);
    assert_true(b2.done);
    assert_int_equal(s.n[REPL_ACT_ADMIT], 1);
    /* refused: an earlier attempt may have been committed, so it is taken out first */
    repl_primary_changed(&p, REPL_CHANGE_ADMIT, id, false, false, 0, 50);
    assert_int_equal(s.n[REPL_ACT_FAIL], 1);
    assert_non_null(repl_primary_peer(&p, id));
    repl_primary_changed(&p, REPL_CHANGE_FAIL, id, true, false, 12, 60);
    assert_null(repl_primary_peer(&p, id));
}

static void a_copy_obeys_the_highest_term(void **state)
{
    (void)state;
    repl_copy c;
    uint64_t now = 10 * REPL_LEASE_NS;
    repl_copy_init(&c, 3, 5, 0);
    assert_int_equal(repl_copy_request(&c, 2, now), REPL_COPY_REFUSE);
    assert_int_equal(repl_copy_request(&c, 3, now), REPL_COPY_TAKE);
    assert_int_equal(repl_copy_ops(&c), REPL_COPY_NOT_SYNCED);
    assert_int_equal(repl_copy_resync(&c, 1, 1), REPL_COPY_NOT_SYNCED); /* not from the middle */
    assert_int_equal(repl_copy_resync(&c, 0, 0), REPL_COPY_NOT_SYNCED); /* of none that began */
    assert_int_equal(repl_copy_resync(&c, 1, 0), REPL_COPY_ROLL_BACK);
    repl_copy_resynced(&c, false);
    assert_int_equal(repl_copy_resync(&c, 1, 0), REPL_COPY_REPEATED);
    assert_int_equal(repl_copy_resync(&c, 1, 1), REPL_COPY_TAKE);
    repl_copy_resynced(&c, true);
    assert_int_equal(repl_copy_ops(&c), REPL_COPY_TAKE);
    assert_int_equal(repl_copy_resync(&c, 1, 0),
                     REPL_COPY_REPEATED); /* comes late: nothing again */
    repl_copy_lease(&c, 77, now);
    assert_int_equal(repl_copy_request(&c, 4, now), REPL_COPY_ADOPT);
    repl_copy_adopted(&c, 4);
    assert_int_equal(repl_copy_request(&c, 4, now), REPL_COPY_WAIT); /* the lease of term 3 runs */
    assert_false(repl_copy_may_lead(&c, 4, now));
    repl_copy_release(&c, 3, 76); /* of an earlier request */
    assert_int_equal(repl_copy_request(&c, 4, now), REPL_COPY_WAIT);
    repl_copy_release(&c, 3, 77);
    assert_int_equal(repl_copy_request(&c, 4, now), REPL_COPY_TAKE);
    assert_int_equal(repl_copy_ops(&c), REPL_COPY_NOT_SYNCED);
}

/* As a request stands on the wire, with a number in the place of one field. */
static int read_with(const char *field, int64_t n, qd_err *err)
{
    qd_writer w;
    repl_request back;
    char history[16] = {0};
    qd_writer_init(&w, NULL, 4096, 0x0100);
    qd_write_c(&w, "uuid");
    qd_write_varint(&w, 0);
    qd_write_c(&w, "to");
    qd_write_c(&w, "from");
    for (int i = 0; i < 2; i++) qd_write_varint(&w, 1);
    qd_write_zigzag(&w, strcmp(field, "global checkpoint") == 0 ? n : 0);
    for (int i = 0; i < 4; i++) qd_write_varint(&w, 1);
    qd_write_zigzag(&w, strcmp(field, "first") == 0 ? n : 0);
    qd_write_zigzag(&w, strcmp(field, "max") == 0 ? n : 0);
    qd_write_zigzag(&w, strcmp(field, "persisted") == 0 ? n : 0);
    for (int i = 0; i < 2; i++) qd_write_varint(&w, 1);
    qd_write_raw(&w, history, sizeof history);
    assert_int_equal(qd_writer_end(&w, "request", NULL), 0);
    int rc = repl_request_read(qd_writer_view(&w), 0x0100, &back, err);
    qd_writer_fini(&w);
    return rc;
}

/* A peer that says what no sequence number can be is refused by the name of the field. */
static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const fields[] = {"global checkpoint", "first", "max", "persisted"};
    static const int64_t bad[] = {INT64_MAX, INT64_MIN, -2, QD_SEQ_NO_LIMIT + 1};
    qd_err err;
    qd_err_init(&err);
    for (size_t f = 0; f < QD_COUNT_OF(fields); f++) {
        assert_int_equal(read_with(fields[f], QD_SEQ_NO_LIMIT - 1, NULL), 0);
        for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
            assert_int_equal(read_with(fields[f], bad[i], &err), QD_E_CORRUPT);
            assert_non_null(strstr(qd_err_reason(&err), fields[f]));
            assert_non_null(strstr(qd_err_reason(&err), "is out of range"));
            qd_err_fini(&err);
        }
    }
    assert_int_equal(read_with("first", QD_SEQ_NO_LIMIT, NULL), 0); /* behind the last one */
    assert_int_equal(read_with("max", QD_SEQ_NO_LIMIT, NULL), QD_E_CORRUPT);
}

static void requests_survive_the_way(void **state)
{
    (void)state;
    repl_request q = {.uuid = "uuid",
                      .shard = 7,
                      .aid = "to",
                      .by = "from",
                      .term = 9,
                      .flags = REPL_LEASE | REPL_LAST,
                      .global = -1,
                      .sent_ns = UINT64_MAX,
                      .peer = 3,
                      .number = 4,
                      .part = 5,
                      .first = QD_SEQ_NO_LIMIT,
                      .max = QD_SEQ_NO_LIMIT - 1,
                      .persisted = 12,
                      .open_term = 1,
                      .open_generation = 2,
                      .history = {1, 2, 3}};
    repl_request back;
    qd_writer w;
    qd_writer_init(&w, NULL, 4096, 0x0100);
    repl_request_write(&w, &q);
    qd_write_raw(&w, "tail", 4);
    assert_int_equal(qd_writer_end(&w, "request", NULL), 0);
    qd_str bytes = qd_writer_view(&w);
    assert_int_equal(repl_request_read(bytes, 0x0100, &back, NULL), 0);
    assert_true(qd_str_is(back.tail, "tail"));
    back.tail = q.tail;
    assert_memory_equal(&back.history, &q.history, 16);
    assert_string_equal(back.by, "from");
    assert_int_equal(back.first, QD_SEQ_NO_LIMIT);
    assert_int_equal(back.max, QD_SEQ_NO_LIMIT - 1);
    for (size_t n = 0; n + 4 < bytes.n; n++) { /* cut anywhere: an error, never more */
        assert_int_equal(repl_request_read((qd_str){bytes.p, n}, 0x0100, &back, NULL),
                         QD_E_CORRUPT);
    }
    qd_prng r;
    qd_prng_init(&r, 1);
    for (int i = 0; i < 20000; i++) { /* any bytes */
        char any[200];
        size_t n = qd_prng_below(&r, sizeof any);
        for (size_t k = 0; k < n; k++) any[k] = (char)qd_prng_u64(&r);
        repl_reply a;
        int rc = repl_request_read((qd_str){any, n}, 0x0100, &back, NULL);
        assert_true(rc == 0 || rc == QD_E_CORRUPT);
        rc = repl_reply_read((qd_str){any, n}, 0x0100, &a, NULL);
        assert_true(rc == 0 || rc == QD_E_CORRUPT);
    }
    qd_writer_fini(&w);
}

/* What a copy said to this node's primary of a lower term is not said for whoever has its place. */
static void answers_of_an_earlier_term_find_nobody(void **state)
{
    (void)state;
    repl_primary p;
    seen s;
    begin(&p, &s, 2);
    resynced(&p, "b", 10, 2000);
    resynced(&p, "c", 10, 2000);
    repl_batch first = {0}, b = {0};
    repl_primary_batch(&p, &first, 11, 12);
    uint64_t before = repl_primary_find(&p, "b")->id;
    repl_primary_fence(&p, 4);
    repl_record_copy copies[] = {{"a", true, true, true}, {"c", true, true, true}};
    repl_record r = {.revision = 12, .term = 5, .primary = "a", .copies = copies, .n = 2};
    repl_primary_init(&p, places, "a", 5, 11, 12, 12, 10, act, &s);
    assert_non_null(repl_primary_counted(&p, "c", true));
    repl_primary_begin(&p, 3000);
    repl_primary_record(&p, &r, 3000);
    resynced(&p, "c", 12, 3000);
    assert_int_equal(p.phase, REPL_ACTIVE);
    repl_primary_batch(&p, &b, 13, 14);
    repl_primary_local(&p, &b, 0, 14, 14, 4000);
    repl_answer late = {.term = 3, .persisted = 14, .batch = b.id, .sent_ns = 1500};
    repl_primary_answer(&p, before, &late, 4000);
    assert_false(b.done);
    assert_int_equal(p.global, 12);
    repl_primary_answer(&p, repl_primary_find(&p, "c")->id, &late, 4000);
    assert_true(b.done && !b.rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_waits_for_all),
        cmocka_unit_test(a_slow_copy_stays),
        cmocka_unit_test(a_stale_primary_acknowledges_nothing),
        cmocka_unit_test(reads_need_a_round_trip_that_began_behind_them),
        cmocka_unit_test(answers_of_an_earlier_term_find_nobody),
        cmocka_unit_test(a_copy_counts_before_it_is_in_sync),
        cmocka_unit_test(a_copy_obeys_the_highest_term),
        cmocka_unit_test(requests_survive_the_way),
        cmocka_unit_test(numbers_out_of_range_are_refused),
    };
    return unit_run(tests);
}
