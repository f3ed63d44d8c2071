/* awake_t.c: a shard that rests is not looked at in each tick; whoever uses it wakes it at once,
 * and while something is left to be done by the clock it does not sleep. */
#include "lib/action_cluster.h"
#include "shard/shards_int.h"
#include "unit/unit.h"

#define WAIT_MS 60000u

static qd_shard *shard_of(action_cluster *c, const char *index)
{
    qd_actions *a = action_cluster_actions(c, 0);
    qd_state *s = qd_cluster_state(a->cluster);
    qd_shard *shard = qd_shards_get(a->shards, qd_state_index(s, qd_str_c(index))->uuid, 0);
    qd_state_unref(s);
    assert_non_null(shard);
    return shard;
}

static void wait_asleep(const qd_shard *s)
{
    for (uint32_t i = 0; atomic_load(&s->awake.is); i++) {
        assert_true(i < WAIT_MS);
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
}

static void make_index(action_cluster *c, const char *name, const char *settings)
{
    char body[256];
    snprintf(body, sizeof body, "{\"settings\":{\"index\":{\"number_of_replicas\":0%s}}}",
             settings);
    action_cluster_index(c, name, body);
}

/* Whatever is left for the clock keeps it awake: what a write left to sync, to show and to commit.
 * Then it sleeps, and the next write wakes it before it is acknowledged. Another shard with nothing
 * left, which was used later, tells by its sleep that the first one had the time for it. */
static void left_to_do(const char *settings, bool shown)
{
    action_cluster *c = action_cluster_open(1, NULL);
    make_index(c, "x", settings);
    make_index(c, "later", "");
    qd_shard *s = shard_of(c, "x"), *later = shard_of(c, "later");
    wait_asleep(s);
    for (int i = 0; i < 2; i++) {
        action_cluster_put(c, "x", "1", "{\"a\":1}");
        if (shown) assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_refresh", NULL), 200);
        assert_true(atomic_load(&s->awake.is));
        action_cluster_put(c, "later", "1", "{\"a\":1}");
        assert_int_equal(action_cluster_call(c, 0, "POST", "/later/_flush", NULL), 200);
        wait_asleep(later);
        assert_true(atomic_load(&s->awake.is));
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_flush", NULL), 200);
        wait_asleep(s);
    }
    qd_shard_unref(later);
    qd_shard_unref(s);
    action_cluster_close(c);
}

static void a_write_is_left_to_commit(void **state)
{
    (void)state;
    left_to_do("", true);
}

static void a_write_is_left_to_sync(void **state)
{
    (void)state;
    left_to_do(",\"translog.durability\":\"async\",\"translog.sync_interval\":\"1h\","
               "\"refresh_interval\":\"1h\"",
               false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_left_to_commit),
        cmocka_unit_test(a_write_is_left_to_sync),
    };
    return unit_run(tests);
}
