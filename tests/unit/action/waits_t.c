/*
 * waits_t.c: writes that wait for copies hold no worker, however many they are; their tasks can be
 * cancelled meanwhile, and they go on when the copies come.
 */
#include "lib/action_cluster.h"
#include "lib/coord_memory.h"
#include "unit/unit.h"
#include <stdio.h>

#define WAITING 24u
#define WAIT_NS 20000000000u

static uint32_t parked(action_cluster *c, uint32_t node, const char *name)
{
    qd_pool_stats s;
    qd_pool *pool = qd_pools_get(action_cluster_actions(c, node)->pools, name);
    qd_pool_stats_get(pool, &s);
    assert_true(s.threads_max < WAITING);
    return s.parked;
}

static action_errand *write_for(action_cluster *c, const char *path)
{
    return action_cluster_start(c, 0, "PUT", path, "{\"n\":1}");
}

#define PATH(copies) "/x/_doc/1?timeout=10m&wait_for_active_shards=" copies

static void writes_wait_without_their_worker(void **state)
{
    (void)state;
    action_errand *e[WAITING];
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":2}}");
    for (uint32_t i = 0; i < WAITING; i++) e[i] = write_for(c, PATH("3"));
    /* others are answered meanwhile by the same pool */
    assert_int_equal(action_cluster_wait(c, write_for(c, PATH("1"))), 201);
    assert_int_equal(action_cluster_wait(c, action_cluster_start(c, 0, "GET", "/x/_search", NULL)),
                     200);
    uint64_t end = qd_env_mono_ns(qd_env_system()) + WAIT_NS;
    while (parked(c, 0, "search") < WAITING) assert_true(qd_env_mono_ns(qd_env_system()) < end);
    assert_int_equal(action_cluster_call(c, 1, "POST",
                                         "/_tasks/_cancel?actions=*write/index&nodes=node-0", NULL),
                     200);
    for (uint32_t i = 0; i < WAITING; i++) {
        assert_int_equal(action_cluster_wait(c, e[i]), 400);
        assert_non_null(strstr(action_cluster_body(c), "task_cancelled_exception"));
    }
    action_errand *late = write_for(c, PATH("2")), *later = write_for(c, PATH("all"));
    assert_int_equal(
        action_cluster_call(c, 1, "PUT", "/x/_settings", "{\"index\":{\"number_of_replicas\":1}}"),
        200);
    assert_int_equal(action_cluster_wait(c, late), 200);
    assert_int_equal(action_cluster_wait(c, later), 200);
    action_cluster_close(c);
}

#define LOOK_NS 10000000000u

/* True if looks that were cancelled ended before their time. */
static bool looks_are_cut_short(action_cluster *c)
{
    action_errand *e[WAITING];
    uint64_t from = qd_env_mono_ns(qd_env_system());
    static const char look[] = "/_nodes/node-1/hot_threads?interval=10s";
    for (uint32_t i = 0; i < WAITING; i++) e[i] = action_cluster_start(c, 0, "GET", look, NULL);
    while (parked(c, 1, "management") < WAITING)
        assert_true(qd_env_mono_ns(qd_env_system()) < from + WAIT_NS);
    assert_int_equal(action_cluster_call(c, 0, "GET", "/_nodes/node-1/stats/os", NULL), 200);
    assert_int_equal(
        action_cluster_call(c, 0, "POST", "/_tasks/_cancel?actions=*hot_threads*", NULL), 200);
    for (uint32_t i = 0; i < WAITING; i++) assert_int_equal(action_cluster_wait(c, e[i]), 200);
    while (parked(c, 1, "management") > 0)
        assert_true(qd_env_mono_ns(qd_env_system()) < from + WAIT_NS);
    return qd_env_mono_ns(qd_env_system()) < from + LOOK_NS;
}

/* Looks at threads take seconds: a node that is asked for many of them by another one answers other
 * questions meanwhile, and none of them outlives who asked. */
static void looks_at_threads_hold_no_worker(void **state)
{
    (void)state;
    bool cut_short = false;
    action_cluster *c = action_cluster_open(2, NULL);
    /* a machine that stands still for that long shows nothing */
    for (int i = 0; i < 3 && !cut_short; i++) cut_short = looks_are_cut_short(c);
    assert_true(cut_short);
    action_cluster_close(c);
}

/* Whether a master may be stopped is told soon while the masters say nothing: not now. */
static void advice_comes_without_the_masters(void **state)
{
    (void)state;
    static const char path[] = "/_nodes/node-1/_may_stop?timeout=300ms";
    action_cluster *c = action_cluster_open(3, NULL);
    assert_int_equal(action_cluster_wait(c, action_cluster_start(c, 0, "GET", path, NULL)), 200);
    assert_non_null(strstr(action_cluster_body(c), "\"may_stop\":true"));
    coord_memory_off(action_cluster_store(c), true, false);
    uint64_t begun = qd_env_mono_ns(qd_env_system());
    assert_int_equal(action_cluster_wait(c, action_cluster_start(c, 0, "GET", path, NULL)), 200);
    assert_true(qd_env_mono_ns(qd_env_system()) - begun < WAIT_NS);
    assert_non_null(strstr(action_cluster_body(c), "\"may_stop\":false"));
    assert_non_null(strstr(action_cluster_body(c), "the masters did not answer in time"));
    coord_memory_off(action_cluster_store(c), false, false);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_wait_without_their_worker),
        cmocka_unit_test(looks_at_threads_hold_no_worker),
        cmocka_unit_test(advice_comes_without_the_masters),
    };
    return unit_run(tests);
}
