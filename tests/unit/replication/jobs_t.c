/* jobs_t.c: what a shard has to do is done although memory was lacking when it was begun. */
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
    repl_run_late(&g); /* as each tick does */
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_need_no_memory),
    };
    return unit_run(tests);
}
