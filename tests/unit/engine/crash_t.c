/*
 * crash_t.c: what a shard survives: kills and power losses in turn, faults of the disk and of
 * memory at every step, full disks, numbers that never got to the disk, many threads at once.
 */
#include "engine/commit.h"
#include "engine/translog_int.h"
#include "unit/engine/engine_model.h"

static bool is_long(void)
{
    const char *v = getenv("QD_LONG");
    return v && strcmp(v, "0") != 0;
}

typedef struct bench {
    store_crash *d;
    qd_store *s;
    qd_engine *e;
    qd_engine_config c;
    shadow model[IDS];
    qd_prng r;
    uint64_t seed;
} bench;

static void setup(bench *b, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    b->seed = seed;
    b->d = store_crash_make(NULL);
    qd_prng_init(&b->r, seed);
    assert_int_equal(store_crash_open(b->d, &b->s, NULL), 0);
    b->c = config(b->s);
    if (b->seed % 2) by_length(&b->c);
    assert_int_equal(qd_engine_create(&b->c, &b->e, NULL), 0);
}

static void teardown(bench *b)
{
    if (b->e) qd_engine_close(b->e, true);
    qd_store_close(b->s);
    store_crash_free(b->d);
}

static void reopen(bench *b)
{
    qd_err err;
    qd_err_init(&err);
    if (qd_engine_open(&b->c, &b->e, &err)) {
        fail_msg("seed %llu: %s", (unsigned long long)b->seed, qd_err_reason(&err));
    }
}

/* The process ends: by a kill, or by a power loss; the next one opens the shard and looks. */
static void next_life(bench *b, bool power_loss)
{
    if (b->e) qd_engine_close(b->e, false);
    b->e = NULL;
    qd_store_close(b->s);
    if (power_loss) {
        store_crash_crash(b->d, qd_prng_u64(&b->r));
    } else {
        store_crash_kill(b->d);
    }
    assert_int_equal(store_crash_open(b->d, &b->s, NULL), 0);
    b->c = config(b->s);
    if (b->seed % 2) by_length(&b->c);
    reopen(b);
    check_all(b->e, b->model, b->seed);
}

/* A kill leaves in the page cache what the next process builds on; then the power goes, in any
 * phase of its recovery. */
static void kills_and_power_losses_in_turn(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(120); seed++) {
        bench b;
        setup(&b, seed);
        for (int life = 0; life < 6; life++) {
            store_crash_power_off_at(b.d, 1 + qd_prng_below(&b.r, 300));
            for (int i = 0; i < 150 && step(b.e, &b.r, b.model, NULL); i++) {}
            bool loss = qd_prng_below(&b.r, 2) == 0;
            qd_engine_close(b.e, false);
            b.e = NULL;
            qd_store_close(b.s);
            if (loss) {
                store_crash_crash(b.d, qd_prng_u64(&b.r));
            } else {
                store_crash_kill(b.d);
            }
            /* power goes again while the next process recovers */
            for (int again = 0; again < 2; again++) {
                assert_int_equal(store_crash_open(b.d, &b.s, NULL), 0);
                b.c = config(b.s);
                if (b.seed % 2) by_length(&b.c);
                store_crash_power_off_at(b.d, 1 + qd_prng_below(&b.r, 25));
                qd_err err;
                qd_err_init(&err);
                int rc = qd_engine_open(&b.c, &b.e, &err);
                if (rc && !store_crash_is_off(b.d)) {
                    fail_msg("seed %llu: %s", (unsigned long long)seed, qd_err_reason(&err));
                }
                qd_err_fini(&err);
                if (!rc) qd_engine_close(b.e, false);
                b.e = NULL;
                qd_store_close(b.s);
                store_crash_crash(b.d, qd_prng_u64(&b.r));
            }
            assert_int_equal(store_crash_open(b.d, &b.s, NULL), 0);
            b.c = config(b.s);
            if (b.seed % 2) by_length(&b.c);
            reopen(&b);
            check_all(b.e, b.model, seed);
        }
        teardown(&b);
    }
}

/* A refresh that failed half-way has cut the buffers; what came since belongs to the next one. */
static void a_refresh_after_a_failed_one_takes_all(void **state)
{
    (void)state;
    bench b;
    qd_engine_result r;
    setup(&b, 7);
    assert_int_equal(op_put(b.e, 1, 1, false, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(b.e, &r.at, NULL), 0);
    store_crash_fail_at(b.d, STORE_CRASH_WRITES, 1, QD_E_NOSPACE, true);
    assert_int_not_equal(qd_engine_refresh(b.e, NULL), 0);
    store_crash_fail_at(b.d, 0, 0, 0, false);
    assert_int_equal(op_put(b.e, 2, 2, false, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(b.e, &r.at, NULL), 0);
    assert_int_equal(qd_engine_refresh(b.e, NULL), 0);
    assert_int_equal(live_docs(b.e), 2);
    assert_int_equal(op_put(b.e, 3, 3, false, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(b.e, &r.at, NULL), 0);
    store_crash_fail_at(b.d, STORE_CRASH_WRITES, 1, QD_E_NOSPACE, true);
    assert_int_not_equal(qd_engine_refresh(b.e, NULL), 0);
    store_crash_fail_at(b.d, 0, 0, 0, false);
    assert_int_equal(op_put(b.e, 4, 4, false, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(b.e, &r.at, NULL), 0);
    assert_int_equal(qd_engine_flush(b.e, false, NULL), 0); /* trims the log of all four */
    for (int i = 1; i <= 4; i++) b.model[i] = (shadow){.exists = true, .value = i};
    next_life(&b, true);
    teardown(&b);
}

/* Numbers taken by operations whose records never got to the disk are filled by no-ops. */
static void gaps_are_filled_at_recovery(void **state)
{
    (void)state;
    bench b;
    qd_commit c;
    qd_arena a;
    qd_translog *t;
    qd_translog_location at = {0};
    qd_engine_stats st;
    setup(&b, 9);
    qd_engine_close(b.e, true);
    qd_arena_init(&a, NULL, 1 << 20);
    assert_int_equal(qd_commit_read(b.s, b.c.folder, &a, &c, NULL), 0);
    qd_translog_identity who = {.primary_term = 1};
    memcpy(who.uuid, c.translog_uuid, 16);
    memcpy(who.history, c.history_uuid, 16);
    assert_int_equal(qd_translog_open(b.c.env, b.s, b.c.folder, &who, c.translog_first,
                                      c.translog_generation, NULL, &t, NULL),
                     0);
    static const uint64_t numbers[] = {2, 0, 7};
    for (int i = 0; i < 3; i++) {
        char id[8];
        qd_translog_op op = {.type = QD_TRANSLOG_INDEX,
                             .seq_no = numbers[i],
                             .primary_term = 1,
                             .version = 1,
                             .auto_id_ms = -1,
                             .id = {id, (size_t)snprintf(id, sizeof id, "id%d", i)},
                             .source = QD_STR("{\"value\":5}")};
        assert_int_equal(qd_translog_add(t, &op, &at, NULL), 0);
    }
    assert_int_equal(qd_translog_close(t, true, NULL), 0);
    for (int life = 0; life < 2; life++) {
        reopen(&b);
        qd_engine_stats_get(b.e, &st);
        assert_int_equal(st.max_seq_no, 7);
        assert_int_equal(st.local_checkpoint, 7);
        assert_int_equal(st.noop_total, life == 0 ? 5 : 0); /* they are in the log now */
        assert_int_equal(live_docs(b.e), 3);
        qd_engine_close(b.e, false);
    }
    b.e = NULL;
    qd_arena_fini(&a);
    teardown(&b);
}

static void a_full_disk_refuses_before_a_number_is_taken(void **state)
{
    (void)state;
    bench b;
    qd_err err;
    qd_engine_result r;
    qd_engine_stats st;
    _Atomic bool full = false;
    setup(&b, 3);
    qd_engine_close(b.e, false);
    b.c.disk_full = &full;
    reopen(&b);
    qd_err_init(&err);
    assert_int_equal(op_put(b.e, 1, 1, false, &r, &err), 0);
    atomic_store(&full, true);
    assert_int_equal(op_put(b.e, 2, 2, false, &r, &err), QD_E_NOSPACE);
    assert_int_equal(qd_err_status(&err), 507);
    qd_err_fini(&err);
    assert_int_equal(qd_engine_refresh(b.e, &err),
                     0); /* what was accepted is shown and committed */
    assert_int_equal(qd_engine_flush(b.e, false, &err), 0);
    qd_engine_stats_get(b.e, &st);
    assert_int_equal(st.max_seq_no, 0);
    atomic_store(&full, false);
    assert_int_equal(op_put(b.e, 2, 2, false, &r, &err), 0);
    assert_int_equal(r.seq_no, 1);
    teardown(&b);
}

/* Each byte of slack from 0 to 64 KiB: whatever write it is that meets the end of the disk, nothing
 * acknowledged is lost, and with room again the shard works. */
static void every_byte_of_slack_on_a_full_disk(void **state)
{
    (void)state;
    uint64_t refused = 0, runs = 0, stride = is_long() ? 1 : unit_stride(997);
    for (uint64_t slack = 0; slack <= 65536; slack += slack < unit_rounds(64) ? 1 : stride) {
        bench b;
        uint64_t total, available;
        int fails = 0;
        setup(&b, slack + 1);
        for (int i = 0; i < 15; i++) assert_true(step(b.e, &b.r, b.model, NULL));
        assert_int_equal(qd_store_capacity(b.s, &total, &available, NULL), 0);
        store_crash_capacity_set(b.d, total - available + slack);
        for (int i = 0; i < 400 && fails < 4 && !qd_engine_failure(b.e, NULL); i++) {
            if (!step(b.e, &b.r, b.model, NULL)) fails++;
        }
        refused += fails > 0;
        store_crash_capacity_set(b.d, 0);
        bool lost_power = slack % 2 == 0;
        if (qd_engine_failure(b.e, NULL) || slack % 3 == 0) {
            next_life(&b, lost_power);
        } else {
            check_all(b.e, b.model, b.seed);
        }
        bool again = false; /* the mark behind the last sync may have been what found no room */
        for (int i = 0; i < 10; i++) {
            if (step(b.e, &b.r, b.model, NULL)) continue;
            if (again || !qd_engine_failure(b.e, NULL)) {
                fail_msg("slack %llu: no writes with room again", (unsigned long long)slack);
            }
            again = true;
            next_life(&b, lost_power);
        }
        assert_int_equal(qd_engine_flush(b.e, false, NULL), 0);
        next_life(&b, lost_power);
        teardown(&b);
        runs++;
    }
    assert_true(refused > runs / 2);
    print_message("# %llu slacks, %llu met the end of the disk\n", (unsigned long long)runs,
                  (unsigned long long)refused);
}

static void ended(qd_refresh_wait *w, int rc)
{
    *(int *)w->user = rc;
}

static void a_failure_ends_waits_for_visibility(void **state)
{
    (void)state;
    bench b;
    qd_engine_result r;
    int first = 1, second = 1;
    bool forced;
    setup(&b, 3);
    assert_int_equal(op_put(b.e, 1, 1, false, &r, NULL), 0);
    qd_refresh_wait w = {.seq_no = r.seq_no, .done = ended, .user = &first};
    assert_int_equal(qd_engine_refresh_wait(b.e, &w, &forced, NULL), 0);
    assert_int_equal(first, 1);
    store_crash_fail_at(b.d, STORE_CRASH_SYNCS, 1, QD_E_IO, false);
    assert_int_equal(qd_engine_sync(b.e, &r.at, NULL), QD_E_IO);
    assert_int_equal(first, QD_E_IO);
    qd_refresh_wait late = {.seq_no = r.seq_no, .done = ended, .user = &second};
    assert_int_equal(qd_engine_refresh_wait(b.e, &late, &forced, NULL), QD_E_IO);
    assert_int_equal(second, 1);
    qd_engine_close(b.e, false);
    b.e = NULL;
    teardown(&b);
}

/* --- faults at every step ------------------------------------------------------------------------
 */

typedef struct fault {
    uint32_t kinds; /* 0: allocations */
    int code;
    bool sticky;
} fault;

static void arm(bench *b, const fault *f, uint64_t n)
{
    if (f->kinds) {
        store_crash_fail_at(b->d, f->kinds, n, f->code, f->sticky);
    } else {
        qd_mem_fail_at(n, f->sticky);
    }
}

/* What an owner does: opens, works, opens again when the engine has failed. true: n was reached. */
static bool fault_run(const fault *f, uint64_t n, bool power_loss)
{
    bench b;
    int fails = 0;
    setup(&b, n);
    for (int i = 0; i < 30; i++) assert_true(step(b.e, &b.r, b.model, NULL));
    qd_engine_close(b.e, n % 2 == 0);
    b.e = NULL;
    arm(&b, f, n);
    int rc = qd_engine_open(&b.c, &b.e, NULL);
    for (int i = 0; !rc && i < 60 && fails < 4; i++) {
        if (!step(b.e, &b.r, b.model, NULL)) fails++;
        if (i == 40 && qd_engine_force_merge(b.e, 1, false, NULL, NULL)) fails++;
        if (qd_engine_failure(b.e, NULL)) break;
    }
    uint64_t left =
        f->kinds ? store_crash_fail_at(b.d, f->kinds, 0, 0, false) : qd_mem_fail_at(0, false);
    bool failed = rc || qd_engine_failure(b.e, NULL);
    if (rc) b.e = NULL;
    if (!failed) { /* went on: then it goes on as if nothing had been */
        check_all(b.e, b.model, n);
        for (int i = 0; i < 10; i++) assert_true(step(b.e, &b.r, b.model, NULL));
        assert_int_equal(qd_engine_flush(b.e, false, NULL), 0);
    }
    next_life(&b, power_loss);
    teardown(&b);
    return left >= n;
}

static void every_step_of_the_disk_may_fail(void **state)
{
    (void)state;
    static const fault faults[] = {
        {STORE_CRASH_WRITES, QD_E_NOSPACE, false}, {STORE_CRASH_WRITES, QD_E_NOSPACE, true},
        {STORE_CRASH_WRITES, QD_E_IO, false},      {STORE_CRASH_SYNCS, QD_E_IO, false},
        {STORE_CRASH_SYNCS, QD_E_NOSPACE, false},  {STORE_CRASH_SYNCS, QD_E_IO, true},
        {STORE_CRASH_READS, QD_E_IO, false},       {STORE_CRASH_READS, QD_E_IO, true},
    };
    uint64_t stride = is_long() ? 1 : unit_stride(5);
    for (size_t k = 0; k < QD_COUNT_OF(faults); k++) {
        bool reached = true;
        for (uint64_t n = 1; reached && n < 4000; n += n < unit_rounds(40) ? 1 : stride) {
            reached = fault_run(&faults[k], n, n % 3 != 0);
        }
        assert_false(reached);
    }
}

static void every_allocation_may_fail_in_a_running_shard(void **state)
{
    (void)state;
    uint64_t stride = is_long() ? 3 : unit_stride(41);
    for (int sticky = 0; sticky < 2; sticky++) {
        const fault f = {0, 0, sticky};
        bool reached = true;
        for (uint64_t n = 1; reached && n < 60000; n += n < unit_rounds(100) ? 1 : stride) {
            reached = fault_run(&f, n, n % 2 == 0);
        }
        assert_false(reached);
    }
}

/* The opening of what a loss of power left fails at its n-th step; the owner opens it again. true:
 * n was reached. */
static bool opening_run(const fault *f, uint64_t n, uint64_t seed)
{
    bench b;
    setup(&b, seed);
    store_crash_power_off_at(b.d, 100 + qd_prng_below(&b.r, 300));
    for (int i = 0; i < 150 && step(b.e, &b.r, b.model, NULL); i++) {}
    qd_engine_close(b.e, false);
    b.e = NULL;
    qd_store_close(b.s);
    store_crash_crash(b.d, qd_prng_u64(&b.r));
    assert_int_equal(store_crash_open(b.d, &b.s, NULL), 0);
    b.c = config(b.s);
    arm(&b, f, n);
    int rc = qd_engine_open(&b.c, &b.e, NULL);
    uint64_t left =
        f->kinds ? store_crash_fail_at(b.d, f->kinds, 0, 0, false) : qd_mem_fail_at(0, false);
    if (rc) reopen(&b);
    check_all(b.e, b.model, seed);
    teardown(&b);
    return left >= n;
}

static void every_step_of_an_opening_after_a_loss_may_fail(void **state)
{
    (void)state;
    static const fault faults[] = {
        {STORE_CRASH_WRITES, QD_E_NOSPACE, true},
        {STORE_CRASH_WRITES, QD_E_IO, false},
        {STORE_CRASH_SYNCS, QD_E_IO, false},
        {STORE_CRASH_READS, QD_E_IO, false},
        {STORE_CRASH_READS, QD_E_IO, true},
        {0, 0, false},
        {0, 0, true},
    };
    for (uint64_t seed = 1; seed <= rounds(2); seed++) {
        for (size_t k = 0; k < QD_COUNT_OF(faults); k++) {
            uint64_t stride = is_long() || faults[k].kinds ? 1 : unit_stride(11);
            bool reached = true;
            for (uint64_t n = 1; reached && n < 60000; n += stride) {
                reached = opening_run(&faults[k], n, seed);
            }
            assert_false(reached);
        }
    }
}

/* --- many threads --------------------------------------------------------------------------------
 */

typedef struct owner {
    bench *b;
    uint64_t seed;
    int first;
} owner;

/* Writes ids of its own until the power is gone. */
static void write_own(void *arg)
{
    owner *o = arg;
    qd_prng r;
    qd_prng_init(&r, o->seed);
    for (int i = 0; i < 400; i++) {
        int id = o->first + 4 * (int)qd_prng_below(&r, IDS / 4), value = (int)(r.s[0] & 0xfffff);
        bool delete = qd_prng_below(&r, 5) == 0;
        shadow *s = &o->b->model[id];
        qd_engine_result res;
        s->unsure_delete[s->unsure_n] = delete;
        s->unsure_value[s->unsure_n++] = value;
        int rc = op_put(o->b->e, id, value, delete, &res, NULL);
        if (!rc) rc = qd_engine_sync(o->b->e, &res.at, NULL);
        if (rc) return;
        *s = (shadow){.version = res.version, .exists = !delete, .value = value};
        if (qd_prng_below(&r, 20) == 0 && qd_engine_refresh(o->b->e, NULL)) return;
        if (qd_prng_below(&r, 60) == 0 && qd_engine_flush(o->b->e, false, NULL)) return;
    }
}

static void many_writers_survive_power_losses(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(40); seed++) {
        bench b;
        setup(&b, seed);
        for (int life = 0; life < 3; life++) {
            qd_thread *t[4];
            owner o[4];
            store_crash_power_off_at(b.d, 1 + qd_prng_below(&b.r, 500));
            for (int i = 0; i < 4; i++) {
                o[i] = (owner){&b, qd_prng_u64(&b.r), i};
                assert_int_equal(
                    qd_thread_start(qd_env_system(), "writer", write_own, &o[i], &t[i], NULL), 0);
            }
            for (int i = 0; i < 4; i++) qd_thread_join(qd_env_system(), t[i]);
            next_life(&b, true);
            qd_engine_stats st;
            qd_engine_stats_get(b.e, &st);
            assert_int_equal(st.max_seq_no, st.local_checkpoint);
        }
        teardown(&b);
    }
}

/* A sync fails once, and the disk is well again: the shard is opened anew, by the same process or
 * by the next one, goes on, and the power goes. What was acknowledged behind it is there. */
static void a_failed_sync_is_not_believed_the_second_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(150); seed++) {
        bench b;
        setup(&b, seed);
        for (int i = 0; i < 30; i++) assert_true(step(b.e, &b.r, b.model, NULL));
        store_crash_fail_at(b.d, STORE_CRASH_SYNCS, 1 + seed % 3, QD_E_IO, false);
        for (int i = 0; i < 100 && step(b.e, &b.r, b.model, NULL); i++) {}
        store_crash_fail_at(b.d, 0, 0, 0, false);
        qd_engine_close(b.e, false);
        b.e = NULL;
        if (seed % 4 == 3) { /* and the power goes while it is opened */
            store_crash_power_off_at(b.d, 1 + seed / 4 % 8);
            if (!qd_engine_open(&b.c, &b.e, NULL)) qd_engine_close(b.e, false);
            b.e = NULL;
            next_life(&b, true);
        } else if (seed % 4 == 2) {
            next_life(&b, false);
        } else {
            reopen(&b);
            check_all(b.e, b.model, seed);
        }
        for (int i = 0; i < 30; i++) assert_true(step(b.e, &b.r, b.model, NULL));
        next_life(&b, true);
        for (int i = 0; i < 5; i++) assert_true(step(b.e, &b.r, b.model, NULL));
        teardown(&b);
    }
}

/* A process is killed at a step of the disk; the next one takes what it finds in the page cache,
 * goes on, and the power goes: what the first one had not synced is lost only then. */
static void a_kill_at_every_step_then_a_power_loss(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= 120; at++) {
        for (uint64_t seed = 1; seed <= 2; seed++) {
            bench b;
            setup(&b, seed * 1000 + at);
            for (int i = 0; i < 5; i++) assert_true(step(b.e, &b.r, b.model, NULL));
            store_crash_power_off_at(b.d, at);
            while (step(b.e, &b.r, b.model, NULL) && qd_engine_flush(b.e, false, NULL) == 0) {}
            next_life(&b, false);
            for (int i = 0; i < 3; i++) assert_true(step(b.e, &b.r, b.model, NULL));
            next_life(&b, true);
            teardown(&b);
        }
    }
}

int main(void)
{
    qd_log_level_set(NULL, QD_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_and_power_losses_in_turn),
        cmocka_unit_test(a_kill_at_every_step_then_a_power_loss),
        cmocka_unit_test(a_refresh_after_a_failed_one_takes_all),
        cmocka_unit_test(gaps_are_filled_at_recovery),
        cmocka_unit_test(a_full_disk_refuses_before_a_number_is_taken),
        cmocka_unit_test(every_byte_of_slack_on_a_full_disk),
        cmocka_unit_test(a_failure_ends_waits_for_visibility),
        cmocka_unit_test(every_step_of_the_disk_may_fail),
        cmocka_unit_test(every_step_of_an_opening_after_a_loss_may_fail),
        cmocka_unit_test(a_failed_sync_is_not_believed_the_second_time),
        cmocka_unit_test(every_allocation_may_fail_in_a_running_shard),
        cmocka_unit_test(many_writers_survive_power_losses),
    };
    return unit_run(tests);
}
