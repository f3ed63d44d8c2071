/*
 * reopen_t.c: what happens to a shard just while it is opened again: it fails once more, its index
 * gets other settings, it is asked for once too often. And what it gives back when memory is short.
 */
#include "lib/action_node.h"
#include "shard/shards_int.h"
#include "unit/unit.h"

#define WAIT_NS 20000000000u

static shard_phase phase_after_opening(qd_shard *s)
{
    uint64_t until = qd_env_mono_ns(s->shards->env) + WAIT_NS;
    int late = 0;
    qd_mutex_lock(&s->lock);
    while (s->phase == SHARD_OPENING && !late) late = qd_waitq_wait(&s->changed, until);
    shard_phase phase = s->phase;
    qd_mutex_unlock(&s->lock);
    return phase;
}

static qd_shard *shard_of_x(action_node *n)
{
    assert_int_equal(action_call(n, "PUT", "/x/_doc/1", "{\"a\":1}"), 201);
    assert_int_equal(action_call(n, "GET", "/x/_settings", NULL), 200);
    char uuid[QD_UUID_TEXT];
    snprintf(uuid, sizeof uuid, "%s", action_at(n, "x.settings.index.uuid"));
    qd_shard *s = qd_shards_get(action_node_actions(n)->shards, uuid, 0);
    assert_non_null(s);
    return s;
}

/* Nobody else would ask for it to be opened once more. */
static void failing_at_the_end_of_a_reopening(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_shard *s = shard_of_x(n);
    for (int i = 0; i < 3; i++) {
        /* the run that opened it has settled, and is not at its end */
        while (atomic_exchange(&s->reopen.queued, true)) qd_env_sleep_ns(s->shards->env, 1000);
        qd_shard_fail(s, QD_STR("as a test wants"), QD_E_IO);
        atomic_store(&s->reopen.queued, false);
        assert_int_equal(phase_after_opening(s), SHARD_OPEN);
    }
    qd_shard_unref(s);
    assert_int_equal(action_call(n, "GET", "/x/_doc/1", NULL), 200);
    assert_int_equal(action_call(n, "PUT", "/x/_doc/2", "{\"a\":1}"), 201);
    action_node_close(n);
}

static void settings_that_change_meanwhile(void **state)
{
    (void)state;
    static const store_crash_options disk = {.copies = true, .late_us = 1000};
    action_node *n = action_node_open_on(NULL, &disk);
    assert_int_equal(
        action_call(n, "PUT", "/x", "{\"settings\":{\"index.refresh_interval\":\"-1\"}}"), 200);
    qd_shard *s = shard_of_x(n);
    assert_int_equal(action_call(n, "POST", "/x/_flush", NULL), 200);
    store_crash_reads_hold(action_node_disk(n), true);
    qd_shard_fail(s, QD_STR("as a test wants"), QD_E_IO);
    assert_int_equal(action_call(n, "PUT", "/x/_settings", "{\"index.max_refresh_listeners\":0}"),
                     200);
    assert_int_equal(s->phase, SHARD_OPENING);
    store_crash_reads_hold(action_node_disk(n), false);
    assert_int_equal(phase_after_opening(s), SHARD_OPEN);
    qd_shard_unref(s);
    assert_int_equal(action_call(n, "PUT", "/x/_doc/2?refresh=wait_for", "{\"a\":1}"), 201);
    assert_string_equal(action_at(n, "forced_refresh"), "true");
    action_node_close(n);
}

static const qd_searcher *kept(qd_shard *s)
{
    qd_mutex_lock(&s->searcher_lock);
    const qd_searcher *searcher = s->searcher;
    qd_mutex_unlock(&s->searcher_lock);
    return searcher;
}

/* Maps of ordinals go when the node's memory is short, but for those of a search that runs. */
static void memory_that_is_short(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_shard *s = shard_of_x(n);
    static const char aggs[] =
        "{\"size\":0,\"aggs\":{\"k\":{\"terms\":{\"field\":\"k.keyword\"}}}}";
    qd_err err;
    qd_searcher *held;
    qd_err_init(&err);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            action_call(n, "POST", "/x/_doc?refresh", i ? "{\"k\":\"a\"}" : "{\"k\":\"b\"}"), 201);
    int64_t limit = atomic_load(&qd_account_root.limit);
    atomic_store(&qd_account_root.limit, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(action_call(n, "POST", "/x/_search?request_cache=false", aggs), 200);
    }
    assert_int_equal(qd_shard_searcher(s, &held, &err), 0);
    qdi_shard_searcher_relieve(s);
    assert_ptr_equal(kept(s), held);
    atomic_store(&qd_account_root.limit, qd_account_used(&qd_account_root));
    qd_searcher_unref(held);
    uint64_t until = qd_env_mono_ns(s->shards->env) + WAIT_NS;
    while (kept(s) && qd_env_mono_ns(s->shards->env) < until)
        qd_env_sleep_ns(s->shards->env, 1000000);
    assert_null(kept(s));
    atomic_store(&qd_account_root.limit, limit);
    assert_int_equal(action_call(n, "POST", "/x/_search?request_cache=false", aggs), 200);
    assert_string_equal(action_at(n, "aggregations.k.buckets.1.key"), "b");
    qd_shard_unref(s);
    qd_err_fini(&err);
    action_node_close(n);
}

/* Who looked at what is due just before it was done puts it on the pool once more: a second engine
 * in the same folder would be used, and the first one never closed. */
static void opening_that_was_done_meanwhile(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_shard *s = shard_of_x(n);
    qd_engine *first = s->engine;
    while (atomic_load(&s->open.queued)) qd_env_sleep_ns(s->shards->env, 1000);
    qdi_shard_submit(s, &s->open, "generic", qdi_shard_open_run);
    while (atomic_load(&s->open.queued)) qd_env_sleep_ns(s->shards->env, 1000);
    assert_ptr_equal(s->engine, first);
    qd_shard_unref(s);
    assert_int_equal(action_call(n, "GET", "/x/_doc/1", NULL), 200);
    action_node_close(n);
}

static void knows_its_cluster(void *arg)
{
    qd_actions *a = action_node_actions(arg);
    qd_shards_cluster(a->shards, a->cluster);
}

/* At a node's start: the state that gives it a shard is shown just before the shards know their
 * cluster, and published just after. No state may come behind it. */
static void state_shown_while_a_node_starts(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    atomic_store(&action_node_actions(n)->shards->cluster, NULL);
    action_node_on_state(n, knows_its_cluster, n);
    static const char body[] = "{\"settings\":{\"index.refresh_interval\":\"-1\"}}";
    assert_int_equal(action_call(n, "PUT", "/x?timeout=10s", body), 200);
    assert_string_equal(action_at(n, "shards_acknowledged"), "true");
    assert_int_equal(action_call(n, "PUT", "/x/_doc/1", "{\"a\":1}"), 201);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_change_meanwhile),
        cmocka_unit_test(failing_at_the_end_of_a_reopening),
        cmocka_unit_test(memory_that_is_short),
        cmocka_unit_test(state_shown_while_a_node_starts),
        cmocka_unit_test(opening_that_was_done_meanwhile),
    };
    return unit_run(tests);
}
