/*
 * copies_broken_t.c: copies of a shard under random histories, and every rule of the engine about
 * them broken once: the checker has to see it. Built with mutants. SEEDS=n runs n seeds of the
 * whole one, SEED=n that one alone with what it did.
 */
#include "unit/engine/copies_model.h"

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(engine, ENGINE_MUTANTS);

enum { STEPS = 500 };

static void whole_histories(void **state)
{
    (void)state;
    world *w = calloc(1, sizeof *w), sum = {0};
    const char *one = getenv("SEED");
    uint64_t n = rounds(25), first = one ? strtoull(one, NULL, 10) : 1;
    if (one) n = 1;
    for (uint64_t seed = first; seed < first + n; seed++) {
        world_run(w, seed, STEPS);
        if (w->bad) fail_msg("seed %llu: %s", (unsigned long long)seed, w->why);
#define ADD(x) sum.did.x += w->did.x
        ADD(acks), ADD(promotions), ADD(rollbacks), ADD(crashes), ADD(installs), ADD(by_ops),
            ADD(by_files), ADD(trims), ADD(stales), ADD(flips);
    }
    print_message("# %llu seeds: %u acknowledged, %u promotions, %u roll-backs, %u crashes, %u "
                  "publications installed, %u recoveries by operations, %u by files, %u trims, %u "
                  "stale writes, %u flipped bits\n",
                  (unsigned long long)n, sum.did.acks, sum.did.promotions, sum.did.rollbacks,
                  sum.did.crashes, sum.did.installs, sum.did.by_ops, sum.did.by_files,
                  sum.did.trims, sum.did.stales, sum.did.flips);
    if (n >= 20 && !one) {
        assert_true(sum.did.acks > 1000 && sum.did.promotions > n && sum.did.installs > n);
        assert_true(sum.did.by_ops > 0 && sum.did.by_files > 0 && sum.did.stales > 0);
    }
    free(w);
}

static const struct {
    int rule;
    const char *name;
    uint64_t first; /* the seed to begin with: hundreds before it do not show the rule broken */
} RULES[] = {
#define RULE(x)                                                                                    \
    {                                                                                              \
        QD_MUTANT_NUMBER(engine, x), #x, 1                                                         \
    }
    RULE(REPLAY_OLDEST_FIRST),
    RULE(NO_TERM_CHECK),
    RULE(TERM_NOT_PERSISTED),
    RULE(REFRESH_ABOVE),
    RULE(NO_TRIM),
    RULE(ROLLBACK_KEEPS_BUFFER),
    RULE(GAPS_OLD_TERM),
    RULE(GAPS_OPEN),
    RULE(CHECKPOINT_FALLS),
    RULE(CHECKPOINT_AHEAD),
    RULE(INSTALL_UNSYNCED),
    RULE(TRIM_UNCOVERED),
    RULE(LEASE_IGNORED),
    RULE(HELD_REMOVED),
    {QD_MUTANT_NUMBER(engine, ROLLBACK_TRIMS), "ROLLBACK_TRIMS", 111},
    {QD_MUTANT_NUMBER(engine, APPEND_UNSYNCED), "APPEND_UNSYNCED", 366},
};

static void every_broken_rule_is_caught(void **state)
{
    (void)state;
    world *w = calloc(1, sizeof *w);
    int missed = 0;
    if (getenv("SEED")) return;
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
        uint64_t seed = RULES[i].first - 1, last = seed + 5000;
        const char *only = getenv("RULE");
        if (only && strcmp(only, RULES[i].name) != 0) continue;
        qd_mutant_choose(&qd_mutants_engine, RULES[i].rule);
        do {
            world_run(w, ++seed, STEPS);
        } while (!w->bad && seed < last);
        qd_mutant_choose(&qd_mutants_engine, 0);
        print_message("# %s: %s %llu: %s\n", RULES[i].name, w->bad ? "seed" : "NOT CAUGHT in",
                      (unsigned long long)seed, w->bad ? w->why : "");
        missed += !w->bad;
    }
    assert_int_equal(missed, 0);
    free(w);
}

/* The histories never make two operations of one number and term; this one does, whole and broken.
 */
static void two_operations_of_one_number(void **state)
{
    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        world *w = calloc(1, sizeof *w);
        qd_translog_location at;
        qd_buf b;
        int rc = 0;
        qd_mutant_choose(&qd_mutants_engine,
                         broken ? QD_MUTANT_NUMBER(engine, REPLAY_ANY_BYTES) : 0);
        qd_buf_init(&b, NULL, 1 << 16);
        world_open(w, 1);
        store_crash_power_off_at(w->c[0].disk, UINT64_MAX / 2);
        for (int i = 0; i < 2 && !rc; i++) {
            qd_translog_op op = {.type = QD_TRANSLOG_NOOP,
                                 .primary_term = 1,
                                 .auto_id_ms = -1,
                                 .source = i ? QD_STR("one") : QD_STR("two")};
            qd_buf_reset(&b);
            assert_int_equal(qd_op_encode(&op, &b, NULL), 0);
            rc = qd_engine_replicate(w->c[0].e, 1, qd_buf_view(&b), NULL, &at, NULL);
        }
        assert_int_equal(rc, broken ? 0 : QD_E_CORRUPT);
        qd_mutant_choose(&qd_mutants_engine, 0);
        qd_buf_fini(&b);
        world_close(w);
        free(w);
    }
}

/* Whoever waits for an older record finds it synced, and says nothing of those that came since;
 * whole and broken. */
static void a_sync_tells_what_it_covers(void **state)
{
    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        world *w = calloc(1, sizeof *w);
        qd_translog_location at[2];
        qd_engine_checkpoints c;
        qd_buf b;
        qd_mutant_choose(&qd_mutants_engine,
                         broken ? QD_MUTANT_NUMBER(engine, PERSISTED_FROM_PROCESSED) : 0);
        qd_buf_init(&b, NULL, 1 << 16);
        world_open(w, 1);
        store_crash_power_off_at(w->c[0].disk, UINT64_MAX / 2);
        for (uint64_t i = 0; i < 2; i++) {
            qd_translog_op op = {
                .type = QD_TRANSLOG_NOOP, .seq_no = i, .primary_term = 1, .auto_id_ms = -1};
            qd_buf_reset(&b);
            assert_int_equal(qd_op_encode(&op, &b, NULL), 0);
            assert_int_equal(qd_engine_replicate(w->c[0].e, 1, qd_buf_view(&b), NULL, &at[i], NULL),
                             0);
            if (i == 0) assert_int_equal(qd_engine_sync(w->c[0].e, &at[0], NULL), 0);
        }
        assert_int_equal(qd_engine_sync(w->c[0].e, &at[0], NULL), 0);
        qd_engine_checkpoints_get(w->c[0].e, &c);
        assert_int_equal(c.persisted, broken ? 1 : 0);
        assert_int_equal(qd_engine_sync(w->c[0].e, &at[1], NULL), 0);
        qd_engine_checkpoints_get(w->c[0].e, &c);
        assert_int_equal(c.persisted, 1);
        qd_mutant_choose(&qd_mutants_engine, 0);
        qd_buf_fini(&b);
        world_close(w);
        free(w);
    }
}

/* A primary that had lost what was acknowledged gives a number once more: the copy that has the
 * first one fails, and keeps it; whole and broken. */
static void a_settled_number_is_not_given_again(void **state)
{
    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        for (int set_back = 0; set_back < 2; set_back++) {
            world *w = calloc(1, sizeof *w);
            qd_translog_location at;
            qd_engine *e;
            qd_buf b;
            qd_mutant_choose(&qd_mutants_engine,
                             broken ? QD_MUTANT_NUMBER(engine, SKIP_ANY_TERM) : 0);
            qd_buf_init(&b, NULL, 1 << 16);
            world_open(w, 1);
            store_crash_power_off_at(w->c[0].disk, UINT64_MAX / 2);
            e = w->c[0].e;
            for (uint64_t i = 0; i < 3; i++) {
                qd_translog_op op = {
                    .type = QD_TRANSLOG_NOOP, .seq_no = i, .primary_term = 1, .auto_id_ms = -1};
                assert_int_equal(qd_op_encode(&op, &b, NULL), 0);
            }
            assert_int_equal(qd_engine_replicate(e, 1, qd_buf_view(&b), NULL, &at, NULL), 0);
            assert_int_equal(qd_engine_sync(e, &at, NULL), 0);
            qd_engine_global_checkpoint_set(e, 2);
            assert_int_equal(qd_engine_term_raise(e, 2, NULL), 0);
            if (set_back) assert_int_equal(qd_engine_rollback(e, 2, 2, NULL, NULL), 0);
            /* the same ones come again: they are here */
            assert_int_equal(qd_engine_replicate(e, 2, qd_buf_view(&b), NULL, &at, NULL), 0);
            assert_int_equal(qd_engine_failure(e, NULL), 0);
            qd_translog_op other = {
                .type = QD_TRANSLOG_NOOP, .seq_no = 1, .primary_term = 2, .auto_id_ms = -1};
            qd_buf_reset(&b);
            assert_int_equal(qd_op_encode(&other, &b, NULL), 0);
            int rc = qd_engine_replicate(e, 2, qd_buf_view(&b), NULL, &at, NULL);
            assert_int_equal(rc, broken ? 0 : QD_E_CORRUPT);
            assert_int_equal(qd_engine_contradicted(e), !broken);
            qd_mutant_choose(&qd_mutants_engine, 0);
            qd_buf_fini(&b);
            world_close(w);
            free(w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_histories),
        cmocka_unit_test(every_broken_rule_is_caught),
        cmocka_unit_test(two_operations_of_one_number),
        cmocka_unit_test(a_sync_tells_what_it_covers),
        cmocka_unit_test(a_settled_number_is_not_given_again),
    };
    return unit_run(tests);
}
