/*
 * retention_t.c: how long a copy that is no primary keeps operations for copies that are away. It
 * may be the primary again, so leases of its time as one stay for
 * index.soft_deletes.retention_lease.period, though it knows of no copy; then they end by
 * themselves, as nobody renews or removes them, and the log is trimmed.
 */
#include "replication/repl_int.h"
#include "unit/replication/nodes_lib.h"

#define HOUR_MS (INT64_C(3600) * 1000)

typedef struct side {
    qd_shard *shard;
    qd_engine *e; /* entered */
    repl_shard *g;
} side;

static side side_of(action_cluster *c, uint32_t node)
{
    side x;
    char key[QD_UUID_TEXT + 16];
    qd_actions *a = action_cluster_actions(c, node);
    qd_state *s = qd_cluster_state(a->cluster);
    const char *uuid = qd_state_index(s, QD_STR("x"))->uuid;
    x.shard = qd_shards_get(a->shards, uuid, 0);
    assert_non_null(x.shard);
    assert_int_equal(qd_shard_enter(x.shard, WAIT_MS, &x.e, NULL), 0);
    snprintf(key, sizeof key, "%s/0", uuid);
    qd_mutex_lock(&a->replication->lock);
    x.g = qd_map_get(&a->replication->map, qd_str_c(key));
    qd_mutex_unlock(&a->replication->lock);
    assert_non_null(x.g);
    qd_state_unref(s);
    return x;
}

static void side_leave(side *x)
{
    qd_shard_leave(x->shard);
    qd_shard_unref(x->shard);
}

static bool has(const side *x, const char *id)
{
    static qd_engine_lease l[QD_LEASES_MAX];
    uint32_t n = qd_engine_leases(x->e, l, QD_LEASES_MAX);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(l[i].id, id) == 0) return true;
    return false;
}

static void set(const side *x, const char *id, int64_t age_ms)
{
    int64_t at = qd_env_wall_ms(qd_env_system()) - age_ms;
    assert_int_equal(qd_engine_lease_set(x->e, qd_str_c(id), 0, at, NULL), 0);
}

static action_cluster *two_copies(uint32_t *p, uint32_t *r)
{
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":"
                         "1,\"refresh_interval\":\"-1\",\"soft_deletes.retention_lease.period\":"
                         "\"1h\",\"routing.allocation.include._name\":\"node-0,node-1\"}}}");
    wait_green(c, 2, "x");
    for (int i = 0; i < 10; i++) put(c, 2, "x", i, i, "");
    where(c, 2, "x", p, r);
    return c;
}

static void leases_end_on_a_replica(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = two_copies(&p, &r);
    side x = side_of(c, r);
    set(&x, "peer_recovery/long-away", HOUR_MS + 60000);
    set(&x, "peer_recovery/just-away", HOUR_MS - 60000);
    set(&x, "of somebody else", 2 * HOUR_MS);
    repl_retention(x.g);
    assert_false(has(&x, "peer_recovery/long-away"));
    assert_true(has(&x, "peer_recovery/just-away"));
    assert_true(has(&x, "of somebody else"));
    qd_engine_lease_remove(x.e, QD_STR("of somebody else"));
    /* it retains what it names until it ends, too */
    assert_int_equal(action_cluster_call(c, 2, "POST", "/x/_flush?force=true", NULL), 200);
    put(c, 2, "x", 10, 10, "");
    assert_int_equal(action_cluster_call(c, 2, "POST", "/x/_flush?force=true", NULL), 200);
    assert_int_equal(qd_engine_ops_from(x.e), 0);
    set(&x, "peer_recovery/just-away", HOUR_MS + 60000); /* as if time had passed */
    repl_retention(x.g);
    assert_false(has(&x, "peer_recovery/just-away"));
    for (int i = 11; i < 14 && qd_engine_ops_from(x.e) == 0; i++) {
        put(c, 2, "x", i, i, "");
        assert_int_equal(action_cluster_call(c, 2, "POST", "/x/_flush?force=true", NULL), 200);
    }
    assert_true(qd_engine_ops_from(x.e) > 0);
    side_leave(&x);
    action_cluster_close(c);
}

/* The primary knows who is there: once everybody is, nobody is expected back. */
static void leases_end_on_a_primary(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = two_copies(&p, &r);
    side x = side_of(c, p);
    set(&x, "peer_recovery/long-away", HOUR_MS + 60000);
    set(&x, "peer_recovery/just-away", 60000);
    repl_retention(x.g);
    assert_false(has(&x, "peer_recovery/long-away"));
    assert_false(has(&x, "peer_recovery/just-away"));
    action_cluster_leave(
        c, r); /* a place of the record is empty, as this node hears sooner or later */
    bool kept = false;
    for (int ms = 0; ms < WAIT_MS && !kept; ms += 10) {
        set(&x, "peer_recovery/long-away", HOUR_MS + 60000);
        set(&x, "peer_recovery/just-away", 60000);
        repl_retention(x.g);
        assert_false(has(&x, "peer_recovery/long-away"));
        kept = has(&x, "peer_recovery/just-away");
        if (!kept) qd_env_sleep_ns(qd_env_system(), 10000000);
    }
    assert_true(kept);
    side_leave(&x);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_end_on_a_replica),
        cmocka_unit_test(leases_end_on_a_primary),
    };
    return unit_run(tests);
}
