/* awake_t.c: a shard that rests is not looked at in each tick; whoever uses it wakes it at once,
 * and while something is left to be done by the clock it does not sleep. */
#include "lib/action_cluster.h"
#include "shard/shards_int.h"
#include "unit/unit.h"

#define WAIT_MS 60000u
#define REST_MS 3500u /* in which a shard that had nothing left to do would have fallen asleep */

static qd_shard *shard_of(action_cluster *c, const char *index)
{
    qd_actions *a = action_cluster_actions(c, 0);
    qd_state *s = qd_cluster_state(a->cluster);
    qd_shard *shard = qd_shards_get(a->shards, qd_state_index(s, qd_str_c(index))->uuid, 0);
    qd_state_unref(s);
    assert_non_null(shard);
    return shard;
}

static bool sleeps_within(qd_shard *s, uint32_t ms)
{
    for (uint32_t i = 0; atomic_load(&s->awake) && i < ms; i++)
        qd_env_sleep_ns(qd_env_system(), 1000000);
    return !atomic_load(&s->awake);
}

static action_cluster *with_index(const char *settings)
{
    char body[256];
    action_cluster *c = action_cluster_open(1, NULL);
    snprintf(body, sizeof body, "{\"settings\":{\"index\":{\"number_of_replicas\":0%s}}}",
             settings);
    action_cluster_index(c, "x", body);
    return c;
}

/* Whatever is left for the clock keeps it awake: what a write left to sync, to show and to commit;
 * then it sleeps, and the next write wakes it before it is acknowledged. */
static void left_to_do(const char *settings, const char *then, const char *path)
{
    action_cluster *c = with_index(settings);
    qd_shard *s = shard_of(c, "x");
    assert_true(sleeps_within(s, WAIT_MS));
    for (int i = 0; i < 2; i++) {
        action_cluster_put(c, "x", "1", "{\"a\":1}");
        assert_true(atomic_load(&s->awake));
        assert_false(sleeps_within(s, REST_MS));
        assert_int_equal(action_cluster_call(c, 0, then, path, NULL), 200);
        assert_true(sleeps_within(s, WAIT_MS));
    }
    qd_shard_unref(s);
    action_cluster_close(c);
}

static void a_write_is_left_to_commit(void **state)
{
    (void)state;
    left_to_do("", "POST", "/x/_flush");
}

static void a_write_is_left_to_sync(void **state)
{
    (void)state;
    left_to_do(",\"translog.durability\":\"async\",\"translog.sync_interval\":\"1h\","
               "\"refresh_interval\":\"1h\"",
               "POST", "/x/_flush");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_left_to_commit),
        cmocka_unit_test(a_write_is_left_to_sync),
    };
    return unit_run(tests);
}
