/* jobs_t.c: what a shard has to do is done although memory was lacking when it was begun, or the
 * copy became primary of a later term meanwhile. */
#include "replication/repl_int.h"
#include "unit/unit.h"

static qd_latch done;

static void run(repl_shard *g)
{
    (void)g;
    qd_latch_done(&done, 0);
}

static void jobs_need_no_memory(void **state)
{
    (void)state;
    static qd_replication r;
    static repl_shard g = {.r = &r, .refs = 1};
    qd_pool *pool;
    assert_int_equal(qd_pool_open(qd_env_system(), "shard_change", 1, UINT32_MAX, &pool, NULL), 0);
    qd_latch_init(&done, 1);
    /* no worker has been started yet, and none can be */
    qd_mem_fail_at(1, true);
    repl_run(&g, pool, REPL_JOB_LEAD, run);
    repl_run_late(&g);
    qd_mem_fail_at(0, false);
    assert_false(repl_rests(&g)); /* there is a tick */
    repl_run_late(&g);            /* as each tick does */
    assert_int_equal(qd_latch_wait(&done), 0);
    /* one is there */
    qd_latch_init(&done, 2);
    qd_mem_fail_at(1, true);
    repl_run(&g, pool, REPL_JOB_LEAD, run);
    repl_run(&g, pool, REPL_JOB_RECORD, run);
    qd_mem_fail_at(0, false);
    assert_int_equal(qd_latch_wait(&done), 0);
    qd_pool_close(pool);
    assert_int_equal(g.refs, 1);
    assert_true(repl_rests(&g));
}

static void changes_of_an_earlier_term_are_over(void **state)
{
    (void)state;
    static repl_shard g = {.refs = 1};
    /* b was to leave; in a later term, which counts copies anew, it is to leave and to join */
    const repl_cas made = {REPL_CHANGE_FAIL, (3u << 24) + 1, "b", ""};
    const repl_cas later[] = {{REPL_CHANGE_FAIL, (5u << 24) + 1, "b", ""},
                              {REPL_CHANGE_ADMIT, (5u << 24) + 1, "b", ""}};
    for (size_t i = 0; i < QD_COUNT_OF(later); i++)
        assert_int_equal(qd_vec_push(&g.cas, NULL, later[i]), 0);
    repl_cas_over(&g, &made);
    assert_int_equal(g.cas.n, 2);
    assert_int_equal(g.cas.at[0].peer, later[0].peer);
    repl_cas_over(&g, &later[1]);
    assert_int_equal(g.cas.n, 2);
    repl_cas_over(&g, &later[0]);
    assert_int_equal(g.cas.n, 1);
    assert_int_equal(g.cas.at[0].change, REPL_CHANGE_ADMIT);
    repl_cas_over(&g, &later[1]);
    repl_cas_over(&g, &later[1]);
    assert_int_equal(g.cas.n, 0);
    qd_vec_fini(&g.cas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_need_no_memory),
        cmocka_unit_test(changes_of_an_earlier_term_are_over),
    };
    return unit_run(tests);
}
