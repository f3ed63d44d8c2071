/*
 * two_stores_t.c: a shard whose log lies on one tier and whose segments lie on another: what goes
 * where, power losses of both at once, and segments on the adverse tier (store_adverse.h), which
 * has no logs, no lazy syncs, no rename and lists that lag behind.
 */
#include "lib/store_adverse.h"
#include "unit/engine/engine_model.h"

typedef struct pair {
    store_crash *log_disk, *segment_disk;
    qd_store *logs, *segments;
    qd_engine *e;
    qd_engine_config c;
    shadow model[IDS];
    qd_prng r;
    uint64_t seed;
} pair;

static void stores_open(pair *p)
{
    assert_int_equal(store_crash_open(p->log_disk, &p->logs, NULL), 0);
    assert_int_equal(store_crash_open(p->segment_disk, &p->segments, NULL), 0);
    p->c = config(p->logs);
    p->c.segment_store = p->segments;
}

static void pair_make(pair *p, uint64_t seed, bool adverse, uint32_t mutants)
{
    memset(p, 0, sizeof *p);
    p->seed = seed;
    qd_prng_init(&p->r, seed);
    p->log_disk = store_crash_make(NULL);
    p->segment_disk = store_crash_make(
        &(store_crash_options){.adverse = adverse, .no_logs = true, .mutants = mutants});
    stores_open(p);
    assert_int_equal(qd_engine_create(&p->c, &p->e, NULL), 0);
}

/* The process ends; with loss the power of both tiers goes, at the same moment. */
static void pair_down(pair *p, bool loss)
{
    if (p->e) qd_engine_close(p->e, false);
    p->e = NULL;
    qd_store_close(p->logs);
    qd_store_close(p->segments);
    if (loss) {
        store_crash_crash(p->log_disk, qd_prng_u64(&p->r));
        store_crash_crash(p->segment_disk, qd_prng_u64(&p->r));
    } else {
        store_crash_kill(p->log_disk);
        store_crash_kill(p->segment_disk);
    }
}

static void pair_free(pair *p)
{
    if (p->e) qd_engine_close(p->e, true);
    qd_store_close(p->logs);
    qd_store_close(p->segments);
    store_crash_free(p->log_disk);
    store_crash_free(p->segment_disk);
}

static int reopen(pair *p, qd_err *err)
{
    stores_open(p);
    return qd_engine_open(&p->c, &p->e, err);
}

static void must_reopen(pair *p)
{
    qd_err err;
    qd_err_init(&err);
    if (reopen(p, &err))
        fail_msg("seed %llu: %s", (unsigned long long)p->seed, qd_err_reason(&err));
}

/* Names of one tier, by what they begin with behind the shard's folder. */
typedef struct kinds {
    uint32_t commits, translogs, files, others;
    char names[16][64]; /* of files */
} kinds;

static int count(void *arg, qd_str name, uint64_t bytes)
{
    kinds *k = arg;
    qd_str file = qd_str_sub(name, strlen("indices/u/0/"), SIZE_MAX);
    (void)bytes;
    if (qd_str_is(file, "commit"))
        k->commits++;
    else if (qd_str_starts(file, QD_STR("translog-")))
        k->translogs++;
    else if (qd_str_starts(file, QD_STR("seg-")) || qd_str_starts(file, QD_STR("live-")))
        snprintf(k->names[k->files++ % 16], sizeof k->names[0], "%.*s", QD_STR_ARG(file));
    else
        k->others++;
    return 0;
}

static void each_tier_holds_its_own(void **state)
{
    (void)state;
    pair p;
    qd_engine_result r;
    kinds logs = {0}, files = {0};
    pair_make(&p, 1, false, 0);
    for (int i = 0; i < 20; i++) assert_int_equal(op_put(p.e, i, i, false, &r, NULL), 0);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    assert_int_equal(op_put(p.e, 3, 0, true, &r, NULL), 0);
    assert_int_equal(qd_engine_flush(p.e, true, NULL), 0);
    assert_int_equal(qd_store_list(p.logs, QD_STR("indices/"), count, &logs, NULL), 0);
    assert_int_equal(qd_store_list(p.segments, QD_STR("indices/"), count, &files, NULL), 0);
    assert_true(logs.commits == 1 && logs.translogs > 0 && logs.files == 0 && logs.others == 0);
    assert_true(files.files > 1 && files.commits + files.translogs + files.others == 0);
    pair_down(&p, false);
    must_reopen(&p);
    assert_int_equal(live_docs(p.e), 19);
    pair_free(&p);
}

/* Files that no commit point names go from the tier of segments, when the shard opens. */
static void strays_go_from_the_tier_of_segments(void **state)
{
    (void)state;
    pair p;
    qd_engine_result r;
    kinds before = {0}, after = {0};
    pair_make(&p, 1, false, 0);
    for (int i = 0; i < 20; i++) assert_int_equal(op_put(p.e, i, i, false, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(p.e, &r.at, NULL), 0);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0); /* a segment, and no commit point of it */
    pair_down(&p, false);
    stores_open(&p);
    assert_int_equal(qd_store_list(p.segments, QD_STR("indices/"), count, &before, NULL), 0);
    assert_true(before.files > 0 && before.files <= 16);
    assert_int_equal(qd_engine_open(&p.c, &p.e, NULL), 0);
    assert_int_equal(qd_engine_flush(p.e, true, NULL), 0);
    assert_int_equal(qd_store_list(p.segments, QD_STR("indices/"), count, &after, NULL), 0);
    assert_true(after.files > 0 && after.files <= 16);
    for (uint32_t i = 0; i < before.files; i++) {
        for (uint32_t k = 0; k < after.files; k++)
            assert_string_not_equal(before.names[i], after.names[k]);
    }
    assert_int_equal(live_docs(p.e), 20);
    pair_free(&p);
}

static void lives(bool adverse, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        pair p;
        pair_make(&p, seed, adverse, 0);
        for (int life = 0; life < 6; life++) {
            store_crash *first = qd_prng_below(&p.r, 2) ? p.log_disk : p.segment_disk;
            store_crash_power_off_at(first, 1 + qd_prng_below(&p.r, 200));
            for (int i = 0; i < 120 && step(p.e, &p.r, p.model, NULL); i++) {}
            pair_down(&p, qd_prng_below(&p.r, 3) > 0);
            must_reopen(&p);
            check_all(p.e, p.model, seed);
        }
        pair_free(&p);
    }
}

static void power_losses_of_both(void **state)
{
    (void)state;
    lives(false, 40);
}

static void power_losses_before_the_adverse_tier(void **state)
{
    (void)state;
    store_adverse_counts before = store_adverse_counted();
    lives(true, 6);
    store_adverse_counts after = store_adverse_counted();
    assert_true(after.rejected > before.rejected && after.lost > before.lost);
}

/* Segments that are not synced before the commit point on the other tier are missed. */
static void forgotten_syncs_are_found(void **state)
{
    (void)state;
    uint32_t found = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        pair p;
        qd_engine_result r;
        pair_make(&p, seed, false, STORE_CRASH_NO_OBJECT_SYNC);
        for (int i = 0; i < 20; i++) assert_int_equal(op_put(p.e, i, i, false, &r, NULL), 0);
        assert_int_equal(qd_engine_flush(p.e, true, NULL), 0);
        pair_down(&p, true);
        found += reopen(&p, NULL) != 0;
        pair_free(&p);
    }
    assert_true(found >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tier_holds_its_own),
        cmocka_unit_test(strays_go_from_the_tier_of_segments),
        cmocka_unit_test(power_losses_of_both),
        cmocka_unit_test(power_losses_before_the_adverse_tier),
        cmocka_unit_test(forgotten_syncs_are_found),
    };
    qd_log_level_set(NULL, QD_LOG_OFF);
    return unit_run(tests);
}
