/* crash_t.c: power losses under a seeded load; that a seed replays; that broken stores are found.
 */
#include "base/log.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "lib/store_load.h"
#include "runtime/env.h"
#include "unit/unit.h"
#include <inttypes.h>

static uint64_t steps(void *arg)
{
    return store_crash_steps(arg);
}

/* One run: load until the power goes, crash, check. Returns 0 or -1 with why. */
static int one_run(uint64_t seed, const store_crash_options *o, uint64_t *digest, char *why,
                   size_t size)
{
    store_crash *d = store_crash_make(o);
    qd_store *s;
    qd_prng r;
    qd_prng_init(&r, seed * 7919 + 1);
    store_load *l = store_load_make(seed, steps, d);
    assert_int_equal(store_crash_open(d, &s, NULL), 0);
    store_crash_power_off_at(d, qd_prng_below(&r, 400));
    int rc = store_load_run(l, s, 150);
    assert_true(rc == 0 || rc == QD_E_IO);
    store_crash_power_off(d);
    uint64_t cut = store_crash_steps(d);
    qd_store_close(s);
    store_crash_crash(d, seed);
    *digest = store_crash_digest(d);
    assert_int_equal(store_crash_open(d, &s, NULL), 0);
    rc = store_load_check(l, s, cut, why, size);
    qd_store_close(s);
    store_load_free(l);
    store_crash_free(d);
    return rc;
}

static void nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    char why[300] = "";
    uint64_t digest;
    for (uint64_t seed = 1; seed <= unit_rounds(3000); seed++) {
        store_crash_options o = {.copies = seed & 1};
        if (one_run(seed, &o, &digest, why, sizeof why))
            fail_msg("seed %" PRIu64 ": %s", seed, why);
    }
}

static void a_seed_replays(void **state)
{
    (void)state;
    char why[300];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t a, b;
        store_crash_options o = {0};
        one_run(seed, &o, &a, why, sizeof why);
        one_run(seed, &o, &b, why, sizeof why);
        assert_true(a == b);
    }
}

/* A store that forgets one kind of sync is found out. */
static void broken_stores_are_found(void **state)
{
    (void)state;
    static const uint32_t mutants[] = {STORE_CRASH_NO_LOG_SYNC, STORE_CRASH_NO_DIR_SYNC,
                                       STORE_CRASH_NO_OBJECT_SYNC, STORE_CRASH_NO_COPY_SYNC};
    char why[300];
    uint64_t digest;
    for (size_t m = 0; m < QD_COUNT_OF(mutants); m++) {
        store_crash_options o = {.mutants = mutants[m]};
        int found = 0;
        for (uint64_t seed = 1; seed <= 100; seed++) {
            if (one_run(seed, &o, &digest, why, sizeof why)) found++;
        }
        assert_true(found >= 10);
    }
}

/* A SIGKILL keeps everything. */
static void a_kill_loses_nothing(void **state)
{
    (void)state;
    char why[300] = "";
    for (uint64_t seed = 1; seed <= unit_rounds(100); seed++) {
        store_crash *d = store_crash_make(NULL);
        qd_store *s;
        store_load *l = store_load_make(seed, steps, d);
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        int rc = store_load_run(l, s, 60);
        assert_int_equal(rc, 0);
        qd_store_close(s);
        store_crash_kill(d);
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        if (store_load_check(l, s, UINT64_MAX, why, sizeof why))
            fail_msg("seed %" PRIu64 ": %s", seed, why);
        qd_store_close(s);
        store_load_free(l);
        store_crash_free(d);
    }
}

/* A full disk: appends end where they began, and go on when there is room. */
static void a_full_disk_cuts_appends_back(void **state)
{
    (void)state;
    for (uint64_t slack = 0; slack < 300; slack += 7) {
        store_crash *d = store_crash_make(&(store_crash_options){.capacity = 1000 + slack});
        qd_store *s;
        qd_store_log *log;
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        assert_int_equal(qd_store_log_open(s, QD_STR("l"), true, &log, NULL), 0);
        char bytes[100];
        memset(bytes, 'x', sizeof bytes);
        qd_iovec v = {bytes, sizeof bytes};
        uint64_t at, end = 0;
        int rc;
        while ((rc = qd_store_log_append(log, &v, 1, &at, NULL)) == 0) end = at + sizeof bytes;
        assert_int_equal(rc, QD_E_NOSPACE);
        assert_int_equal(end, (1000 + slack) / 100 * 100);
        assert_int_equal(qd_store_log_end(log), end);
        store_crash_capacity_set(d, 5000);
        assert_int_equal(qd_store_log_append(log, &v, 1, &at, NULL), 0);
        assert_int_equal(at, end);
        assert_int_equal(qd_store_log_sync(log, NULL), 0);
        qd_store_log_close(log);
        qd_store_close(s);
        store_crash_crash(d, slack);
        uint64_t bytes_left = 0;
        assert_true(store_crash_size(d, "l", &bytes_left));
        assert_int_equal(bytes_left, end + sizeof bytes);
        store_crash_free(d);
    }
}

/* The load on a disk that fills up: what was refused is not there by halves, the rest is; with room
 * again everything works; a power loss behind it finds all of it. */
static void a_full_disk_under_load(void **state)
{
    (void)state;
    char why[300] = "";
    for (uint64_t slack = 0; slack <= 65536; slack += unit_stride(1021)) {
        store_crash *d = store_crash_make(&(store_crash_options){.capacity = 1u << 18});
        qd_store *s;
        store_load *l = store_load_make(slack + 1, steps, d);
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        store_load_tolerate(l, true);
        store_crash_capacity_set(d, 20000 + slack);
        assert_int_equal(store_load_run(l, s, 60), 0);
        assert_true(store_load_tolerate(l, false) > 0);
        store_crash_capacity_set(d, 0);
        int rc = store_load_run(l, s, 30);
        if (rc) fail_msg("slack %" PRIu64 ": %s with room again", slack, qd_code_name(rc));
        uint64_t cut = store_crash_steps(d);
        qd_store_close(s);
        store_crash_crash(d, slack);
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        if (store_load_check(l, s, cut, why, sizeof why))
            fail_msg("slack %" PRIu64 ": %s", slack, why);
        qd_store_close(s);
        store_load_free(l);
        store_crash_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost),  cmocka_unit_test(a_seed_replays),
        cmocka_unit_test(broken_stores_are_found),       cmocka_unit_test(a_kill_loses_nothing),
        cmocka_unit_test(a_full_disk_cuts_appends_back), cmocka_unit_test(a_full_disk_under_load),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
