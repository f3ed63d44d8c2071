/* pool_t.c: pools run everything once, refuse when full, and drain at close. */
#include "base/str.h"
#include "runtime/cpu.h"
#include "runtime/pool.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include <stdatomic.h>

typedef struct job {
    qd_work work;
    _Atomic int *ran;
    qd_latch *latch;
    qd_mutex *gate;
} job;

static void count(qd_work *w)
{
    job *j = w->user;
    atomic_fetch_add(j->ran, 1);
    if (j->latch) qd_latch_done(j->latch, 0);
}

static void wait_at_gate(qd_work *w)
{
    job *j = w->user;
    qd_mutex_lock(j->gate);
    qd_mutex_unlock(j->gate);
    atomic_fetch_add(j->ran, 1);
}

static void everything_runs_once(void **state)
{
    (void)state;
    enum { N = 20000 };
    qd_pool *pool;
    assert_int_equal(qd_pool_open(qd_env_system(), "write", 3, UINT32_MAX, &pool, NULL), 0);
    static job jobs[N];
    _Atomic int ran = 0;
    qd_latch latch;
    qd_latch_init(&latch, N);
    for (int i = 0; i < N; i++) {
        jobs[i] = (job){.work = {.run = count, .user = &jobs[i]}, .ran = &ran, .latch = &latch};
        assert_int_equal(qd_pool_submit(pool, &jobs[i].work, NULL), 0);
    }
    assert_int_equal(qd_latch_wait(&latch), 0);
    assert_int_equal(ran, N);
    qd_pool_close(pool);
}

static void a_full_queue_refuses_with_elasticsearchs_text(void **state)
{
    (void)state;
    qd_pool *pool;
    assert_int_equal(qd_pool_open(qd_env_system(), "search", 2, 3, &pool, NULL), 0);
    _Atomic int ran = 0;
    qd_mutex gate = QD_MUTEX_INIT;
    job jobs[8];
    qd_mutex_lock(&gate);
    int accepted = 0, refused = 0;
    qd_err err;
    qd_err_init(&err);
    for (int i = 0; i < 7; i++) {
        jobs[i] =
            (job){.work = {.run = wait_at_gate, .user = &jobs[i]}, .ran = &ran, .gate = &gate};
        int rc = qd_pool_submit(pool, &jobs[i].work, &err);
        if (rc == 0)
            accepted++;
        else if (rc == QD_E_REJECTED)
            refused++;
    }
    assert_int_equal(accepted, 5); /* two at work, three waiting */
    assert_int_equal(refused, 2);
    assert_non_null(strstr(qd_err_reason(&err), "queue capacity = 3"));
    assert_int_equal(qd_err_status(&err), 429);
    jobs[7] = (job){.work = {.run = wait_at_gate, .user = &jobs[7]}, .ran = &ran, .gate = &gate};
    assert_int_equal(qd_pool_submit_forced(pool, &jobs[7].work, NULL), 0);
    qd_mutex_unlock(&gate);
    qd_pool_close(pool); /* runs what is queued */
    assert_int_equal(ran, 6);
    qd_err_fini(&err);
}

static void pools_are_found_by_name(void **state)
{
    (void)state;
    qd_pools pools = {0};
    assert_int_equal(qd_pools_add(&pools, qd_env_system(), "search", 2, 10, NULL), 0);
    assert_int_equal(qd_pools_add(&pools, qd_env_system(), "get", 1, 10, NULL), 0);
    assert_string_equal(qd_pool_name(qd_pools_get(&pools, "get")), "get");
    assert_null(qd_pools_find(&pools, QD_STR("nope")));
    qd_pool_stats s;
    qd_pool_stats_get(qd_pools_get(&pools, "search"), &s);
    assert_int_equal(s.threads, 0); /* none is started before it is needed */
    qd_pools_close(&pools);
}

static void the_cpu_level_can_be_capped(void **state)
{
    (void)state;
    qd_cpu before = qd_cpu_level_set(QD_CPU_V2);
    assert_int_equal(qd_cpu_level(), QD_CPU_V2);
    qd_cpu_level_set(before);
    assert_int_equal(qd_cpu_level(), before);
    assert_true(qd_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_runs_once),
        cmocka_unit_test(a_full_queue_refuses_with_elasticsearchs_text),
        cmocka_unit_test(pools_are_found_by_name),
        cmocka_unit_test(the_cpu_level_can_be_capped),
    };
    return unit_run(tests);
}
