/* Copies of shards on several whole nodes that are opened again: what was shown, started, synced
 * and acknowledged before is so afterwards. */
#include "engine/replica.h"
#include "lib/coord_memory.h"
#include "unit/replication/nodes_lib.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a primary that is opened again from its disk --- */

static qd_shard *shard_of(action_cluster *c, uint32_t node, const char *index, char *other_copy)
{
    qd_actions *a = action_cluster_actions(c, node);
    qd_state *s = qd_cluster_state(a->cluster);
    const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
    const qd_shard_meta *r = qd_state_shard(s, m, 0);
    qd_shard *shard = qd_shards_get(a->shards, m->uuid, 0);
    if (other_copy) snprintf(other_copy, 64, "%.*s", QD_STR_ARG(r->copies[1].allocation_id));
    qd_state_unref(s);
    return shard;
}

/* Ends the processes of two nodes; what they wrote is there, nothing is flushed, nobody is told. */
static void kill_both(action_cluster *c)
{
    coord_memory_off(action_cluster_store(c), true, false);
    for (uint32_t i = 0; i < 2; i++) store_crash_power_off(action_cluster_disk(c, i));
    for (uint32_t i = 0; i < 2; i++) action_cluster_leave(c, i);
    for (uint32_t i = 0; i < 2; i++) store_crash_kill(action_cluster_disk(c, i));
    coord_memory_off(action_cluster_store(c), false, false);
}

static qd_shard *opened_shard(action_cluster *c, uint32_t node)
{
    for (int ms = 0; ms < WAIT_MS; ms++) {
        qd_shard *s = shard_of(c, node, "x", NULL);
        if (s && qd_shard_ready(s, NULL)) return s;
        qd_shard_unref(s);
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    return NULL;
}

/* One life of such a cluster: true if its primary refused to be searched at first. */
#define WAITING 24

/* Gets that wait for what was shown before leave their workers to others. */
static void gets_wait_aside(action_cluster *c, uint32_t p, action_errand *get[WAITING])
{
    qd_pool_stats s = {0};
    qd_pool *pool = qd_pools_get(action_cluster_actions(c, p)->pools, "search");
    for (int i = 0; i < WAITING; i++) {
        get[i] = action_cluster_start(c, p, "GET", "/x/_doc/7?realtime=false", NULL);
    }
    assert_int_equal(action_cluster_wait(c, action_cluster_start(c, p, "GET", "/", NULL)), 200);
    uint64_t end = qd_env_mono_ns(qd_env_system()) + 10000000000u; /* they end after 30 s */
    while (s.parked < WAITING) {
        qd_pool_stats_get(pool, &s);
        assert_true(s.threads_max < WAITING);
        assert_true(qd_env_mono_ns(qd_env_system()) < end);
    }
}

static bool shown_again(void)
{
    enum { DOCS = 20 };
    uint32_t p, r;
    char body[128], other[64];
    qd_searcher *searcher = NULL;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":1,"
        "\"refresh_interval\":\"-1\"}}}");
    wait_green(c, 0, "x");
    for (int i = 0; i < DOCS; i++) put(c, 0, "x", i, i, i == DOCS - 1 ? "?refresh=true" : "");
    where(c, 0, "x", &p, &r);
    snprintf(body, sizeof body, "{\"index.routing.allocation.exclude._name\":\"node-%u\"}", r);
    assert_int_equal(action_cluster_call(c, p, "PUT", "/x/_settings", body), 200);
    qd_shard_unref(shard_of(c, p, "x", other));
    kill_both(c);
    coord_memory_keep(action_cluster_store(c), other); /* it cannot be taken out */
    action_cluster_back(c, r);
    action_cluster_back(c, p);
    qd_shard *shard = opened_shard(c, p);
    assert_non_null(shard);
    int rc = qd_shard_searcher(shard, &searcher, NULL);
    if (!rc) qd_searcher_unref(searcher);
    qd_shard_unref(shard);
    assert_true(rc == 0 || rc == QD_E_NO_SHARD);
    action_errand *aside[WAITING];
    if (rc) gets_wait_aside(c, p, aside);
    action_errand *search = action_cluster_start(c, p, "GET", "/x/_count", NULL);
    action_errand *get = action_cluster_start(c, r, "GET", "/x/_doc/7?realtime=false", NULL);
    coord_memory_keep(action_cluster_store(c), "");
    assert_int_equal(action_cluster_wait(c, search), 200);
    snprintf(body, sizeof body, "\"count\":%d", DOCS);
    assert_non_null(strstr(action_cluster_body(c), body));
    assert_int_equal(action_cluster_wait(c, get), 200);
    for (int i = 0; rc && i < WAITING; i++) {
        assert_int_equal(action_cluster_wait(c, aside[i]), 200);
    }
    action_cluster_close(c);
    return rc != 0;
}

/* All copies are killed at once. What a primary's disk has in segments is older than what a refresh
 * had shown: until the other copy has confirmed what stands in the log, or is out, it shows nothing
 * rather than less. */
static void what_was_shown_is_waited_for(void **state)
{
    (void)state;
    bool waited = false;
    /* a primary that kept the checkpoint of what it showed on its disk has nothing to wait for */
    for (int i = 0; i < 20 && !waited; i++) waited = shown_again();
    assert_true(waited);
}

/* --- what the masters did not take --- */

static const qd_shard_meta *record_in(const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, QD_STR("x"));
    return m ? qd_state_shard(s, m, 0) : NULL;
}

static bool has_started(void *arg, const qd_state *s)
{
    const qd_shard_meta *r = record_in(s);
    (void)arg;
    return r && qd_shard_meta_is_started(r);
}

/* Lets changes through again once some that a copy of index x asked for were refused; then it must
 * start by itself. */
static void starts_when_it_can(action_cluster *c)
{
    coord_memory *store = action_cluster_store(c);
    qd_cluster *cluster = action_cluster_actions(c, 0)->cluster;
    for (int ms = 0; ms < WAIT_MS && coord_memory_refused(store) < 2; ms++)
        qd_env_sleep_ns(qd_env_system(), 1000000);
    assert_true(coord_memory_refused(store) >= 2);
    qd_state *s = qd_cluster_state(cluster);
    assert_false(has_started(NULL, s));
    qd_state_unref(s);
    coord_memory_full(store, "");
    assert_int_equal(qd_cluster_wait_for(cluster, has_started, NULL, WAIT_MS), 0);
}

/* The primary of a closed index has nothing to open, and says that it has started until that is
 * taken. */
static void a_closed_primary_starts_at_last(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    action_cluster_index(c, "x", "{\"settings\":{\"index\":{\"number_of_replicas\":0}}}");
    assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_close", NULL), 200);
    action_cluster_leave(c, 0);
    coord_memory_full(action_cluster_store(c), "INITIALIZING");
    action_cluster_back(c, 0);
    starts_when_it_can(c);
    action_cluster_close(c);
}

/* Puts `to` in the place of `from` in the record of the shard. */
static void record_edit(action_cluster *c, const char *from, const char *to)
{
    char text[1024];
    qd_arena arena;
    qd_coord_list list;
    qd_coord_store *store = action_cluster_coord(c, 0);
    qd_state *s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    qd_arena_init(&arena, NULL, 1 << 20);
    qd_str key = qd_arena_printf(&arena, "shard/%s/0", qd_state_index(s, QD_STR("x"))->uuid);
    assert_int_equal(qd_coord_read(store, key, false, WAIT_MS, &arena, &list, NULL), 0);
    assert_int_equal(list.n, 1);
    qd_str value = {(const char *)list.at[0].value, list.at[0].value_len};
    int64_t at = qd_str_find_str(value, qd_str_c(from));
    assert_true(at > 0);
    size_t behind = (size_t)at + strlen(from);
    int n = snprintf(text, sizeof text, "%.*s%s%.*s", (int)at, value.p, to, (int)(value.n - behind),
                     value.p + behind);
    assert_true(n > 0 && (size_t)n < sizeof text);
    qd_coord_change put = {.type = QD_COORD_PUT, .key = key, .value = {text, (size_t)n}};
    assert_int_equal(qd_coord_commit(store, NULL, 0, &put, 1, WAIT_MS, NULL, NULL, NULL), 0);
    qd_arena_fini(&arena);
    qd_state_unref(s);
}

/* The record says of a primary that serves that it is still to start: as after it was opened again
 * and promoted at the same time. */
static void a_primary_says_again_that_it_has_started(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    action_cluster_index(c, "x", "{\"settings\":{\"index\":{\"number_of_replicas\":0}}}");
    coord_memory_full(action_cluster_store(c), "INITIALIZING");
    record_edit(c, "STARTED", "INITIALIZING");
    starts_when_it_can(c);
    put(c, 0, "x", 1, 1, "");
    assert_int_equal(got(c, 0, "x", 1), 1);
    action_cluster_close(c);
}

/* A node may see only the end of what the record went through: the copy that it has open as primary
 * was failed, assigned again, and started. It goes on in the new term, with all that it had. */
static void a_primary_goes_on_under_a_higher_term(void **state)
{
    (void)state;
    qd_engine *e;
    action_cluster *c = action_cluster_open(1, NULL);
    action_cluster_index(c, "x", "{\"settings\":{\"index\":{\"number_of_replicas\":0}}}");
    for (int i = 0; i < 10; i++) put(c, 0, "x", i, i, "");
    assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_refresh", NULL), 200);
    for (int i = 5; i < 15; i++) put(c, 0, "x", i, 100 + i, ""); /* these in buffers */
    record_edit(c, "\"primary_term\":1", "\"primary_term\":7");
    uint64_t end = qd_env_mono_ns(qd_env_system()) + WAIT_MS * UINT64_C(1000000), term = 0;
    while (term != 7 && qd_env_mono_ns(qd_env_system()) < end) {
        qd_shard *s = shard_of(c, 0, "x", NULL);
        if (s && qd_shard_enter(s, 0, &e, NULL) == 0) {
            if (qd_engine_mode_get(e) == QD_ENGINE_PRIMARY) term = qd_engine_primary_term(e);
            qd_shard_leave(s);
        }
        qd_shard_unref(s);
    }
    assert_int_equal(term, 7);
    put(c, 0, "x", 20, 20, "");
    for (int i = 0; i < 15; i++) assert_int_equal(got(c, 0, "x", i), i < 5 ? i : 100 + i);
    assert_int_equal(got(c, 0, "x", 20), 20);
    action_cluster_close(c);
}

/* --- durability `request` after `async` --- */

static bool is_unsynced(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    return m && qd_state_shard(s, m, 0)->unopened;
}

static bool is_synced(void *arg, const qd_state *s)
{
    return !is_unsynced(arg, s);
}

static void history_of(action_cluster *c, uint32_t node, const char *index, uint8_t out[16])
{
    qd_engine *e;
    qd_state *s = qd_cluster_state(action_cluster_actions(c, node)->cluster);
    const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
    qd_shard *shard = qd_shards_get(action_cluster_actions(c, node)->shards, m->uuid, 0);
    assert_non_null(shard);
    assert_int_equal(qd_shard_enter(shard, WAIT_MS, &e, NULL), 0);
    qd_engine_history(e, out);
    qd_shard_leave(shard);
    qd_shard_unref(shard);
    qd_state_unref(s);
}

static void durability(action_cluster *c, const char *value)
{
    char body[128];
    snprintf(body, sizeof body, "{\"index.translog.durability\":\"%s\"}", value);
    assert_int_equal(action_cluster_call(c, 2, "PUT", "/x/_settings", body), 200);
}

/* A primary lost, with the power, what it had acknowledged without a sync and the replica has.
 * While both are away durability becomes `request`. What the primary acknowledges then, under the
 * numbers of what it lost, is the replica's, too, and is there when that becomes primary. */
static void what_was_promised_counts_not_what_is_set(void **state)
{
    (void)state;
    uint32_t p, r;
    qd_env *env = qd_env_system();
    uint8_t before[16], after[16];
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":1,"
        "\"translog.durability\":\"async\",\"translog.sync_interval\":\"1h\","
        "\"refresh_interval\":-1,\"unassigned.node_left.delayed_timeout\":\"0s\","
        "\"routing.allocation.include._name\":\"node-0,node-1\"}}}");
    wait_green(c, 2, "x");
    for (int i = 0; i < 10; i++) put(c, 2, "x", i, i, "");
    assert_int_equal(action_cluster_call(c, 2, "POST", "/x/_flush?force=true", NULL), 200);
    where(c, 2, "x", &p, &r);
    for (int i = 10; i < 20; i++) put(c, 2, "x", i, i, "");
    history_of(c, p, "x", before);
    action_cluster_leave(c, r);
    store_crash_power_off(action_cluster_disk(c, p));
    action_cluster_leave(c, p);
    store_crash_crash(action_cluster_disk(c, p), 1);
    durability(c, "request");
    action_cluster_back(c, p);
    uint64_t until = qd_env_mono_ns(env) + WAIT_MS * UINT64_C(1000000);
    while (action_cluster_call(c, 2, "GET", "/x/_doc/1", NULL) != 200 &&
           qd_env_mono_ns(env) < until) {
        qd_env_sleep_ns(env, 10000000);
    }
    assert_int_equal(got(c, 2, "x", 9), 9);
    assert_int_equal(got(c, 2, "x", 19), -1); /* or there is nothing to find */
    for (int i = 100; i < 110; i++) put(c, 2, "x", i, i, "");
    action_cluster_back(c, r);
    wait_green(c, 2, "x");
    history_of(c, p, "x", after);
    assert_memory_not_equal(before, after, sizeof before);
    action_cluster_leave(c, p);
    until = qd_env_mono_ns(env) + WAIT_MS * UINT64_C(1000000);
    uint32_t now = p, other;
    while (now != r && qd_env_mono_ns(env) < until) {
        where(c, 2, "x", &now, &other);
        qd_env_sleep_ns(env, 10000000);
    }
    assert_int_equal(now, r);
    for (int i = 100; i < 110; i++) assert_int_equal(got(c, 2, "x", i), i);
    for (int i = 10; i < 20; i++) assert_int_equal(got(c, 2, "x", i), -1);
    action_cluster_close(c);
}

/* A primary that runs syncs what it has, and says so: it keeps its history when it is opened again.
 */
static void what_was_synced_needs_no_new_history(void **state)
{
    (void)state;
    uint8_t before[16], after[16];
    qd_env *env = qd_env_system();
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":0,"
        "\"translog.durability\":\"async\",\"translog.sync_interval\":\"1h\","
        "\"routing.allocation.include._name\":\"node-0\"}}}");
    for (int i = 0; i < 10; i++) put(c, 2, "x", i, i, "");
    history_of(c, 0, "x", before);
    durability(c, "request");
    assert_int_equal(qd_cluster_wait_for(action_cluster_actions(c, 2)->cluster, is_synced,
                                         (void *)(uintptr_t) "x", WAIT_MS),
                     0);
    store_crash_power_off(action_cluster_disk(c, 0));
    action_cluster_leave(c, 0);
    store_crash_crash(action_cluster_disk(c, 0), 1);
    action_cluster_back(c, 0);
    uint64_t until = qd_env_mono_ns(env) + WAIT_MS * UINT64_C(1000000);
    while (action_cluster_call(c, 2, "GET", "/x/_doc/1", NULL) != 200 &&
           qd_env_mono_ns(env) < until) {
        qd_env_sleep_ns(env, 10000000);
    }
    for (int i = 0; i < 10; i++) assert_int_equal(got(c, 2, "x", i), i);
    history_of(c, 0, "x", after);
    assert_memory_equal(before, after, sizeof before);
    action_cluster_close(c);
}

/* --- a copy that knows more than its primary --- */

static void numbers_of(action_cluster *c, uint32_t node, qd_engine_checkpoints *out)
{
    qd_engine *e;
    qd_shard *s = shard_of(c, node, "x", NULL);
    assert_non_null(s);
    assert_int_equal(qd_shard_enter(s, WAIT_MS, &e, NULL), 0);
    qd_engine_checkpoints_get(e, out);
    qd_shard_leave(s);
    qd_shard_unref(s);
}

/* The disk of the primary says that it has synced its log, and has not: with the power it loses
 * what two copies had acknowledged, and gives the numbers anew. The other copy knows that they were
 * acknowledged: its files are kept, and what is acknowledged now is on both. */
static void a_copy_that_knows_more_is_kept(void **state)
{
    (void)state;
    uint32_t p, r;
    uint64_t bytes;
    char note[96];
    qd_env *env = qd_env_system();
    qd_engine_checkpoints at = {.global = -1};
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":1,"
        "\"refresh_interval\":-1,\"unassigned.node_left.delayed_timeout\":\"0s\","
        "\"routing.allocation.include._name\":\"node-0,node-1\"}}}");
    wait_green(c, 2, "x");
    for (int i = 0; i < 10; i++) put(c, 2, "x", i, i, "");
    assert_int_equal(action_cluster_call(c, 2, "POST", "/x/_flush?force=true", NULL), 200);
    where(c, 2, "x", &p, &r);
    store_crash_mutants_set(action_cluster_disk(c, p), STORE_CRASH_NO_LOG_SYNC);
    for (int i = 10; i < 20; i++) put(c, 2, "x", i, i, "");
    uint64_t until = qd_env_mono_ns(env) + WAIT_MS * UINT64_C(1000000);
    while (at.global < 19 && qd_env_mono_ns(env) < until) {
        numbers_of(c, r, &at);
        qd_env_sleep_ns(env, 1000000);
    }
    assert_int_equal(at.global, 19);
    qd_state *now = qd_cluster_state(action_cluster_actions(c, 2)->cluster);
    snprintf(note, sizeof note, "lost+found/indices_%s_0_aside",
             qd_state_index(now, QD_STR("x"))->uuid);
    qd_state_unref(now);
    action_cluster_leave(c, r);
    store_crash_power_off(action_cluster_disk(c, p));
    action_cluster_leave(c, p);
    store_crash_mutants_set(action_cluster_disk(c, p), 0);
    store_crash_crash(action_cluster_disk(c, p), 1);
    action_cluster_back(c, p);
    until = qd_env_mono_ns(env) + WAIT_MS * UINT64_C(1000000);
    while (action_cluster_call(c, 2, "GET", "/x/_doc/1", NULL) != 200 &&
           qd_env_mono_ns(env) < until) {
        qd_env_sleep_ns(env, 10000000);
    }
    assert_int_equal(got(c, 2, "x", 9), 9);
    assert_int_equal(got(c, 2, "x", 19), -1); /* or there is nothing to find */
    for (int i = 100; i < 103; i++) put(c, 2, "x", i, i, "");
    action_cluster_back(c, r);
    wait_green(c, 2, "x");
    assert_true(store_crash_size(action_cluster_disk(c, r), note, &bytes));
    action_cluster_leave(c, p);
    assert_true(primary_comes_to(c, 2, "x", r));
    for (int i = 100; i < 103; i++) assert_int_equal(got(c, 2, "x", i), i);
    action_cluster_close(c);
}

/* Of two copies that might take over, the first lacks what the second knows to be acknowledged: it
 * gives way before it acknowledges anything. */
static void a_primary_gives_way(void **state)
{
    (void)state;
    uint32_t node[3];
    qd_engine *e;
    qd_buf op;
    qd_translog_location at;
    qd_engine_checkpoints has_now;
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":2,"
        "\"refresh_interval\":-1,\"unassigned.node_left.delayed_timeout\":\"0s\"}}}");
    wait_green(c, 0, "x");
    for (int i = 0; i < 10; i++) put(c, 0, "x", i, i, "");
    qd_state *state_now = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    const qd_index_meta *m = qd_state_index(state_now, QD_STR("x"));
    const qd_shard_meta *rec = qd_state_shard(state_now, m, 0);
    uint64_t term = rec->primary_term;
    for (uint32_t i = 0; i < 3; i++) node[i] = node_of(&rec->copies[i]);
    qd_state_unref(state_now);
    numbers_of(c, node[2], &has_now);
    qd_buf_init(&op, NULL, 4096);
    qd_translog_op noop = {.type = QD_TRANSLOG_NOOP,
                           .seq_no = (uint64_t)has_now.max_seq_no + 1,
                           .primary_term = term,
                           .auto_id_ms = -1};
    assert_int_equal(qd_op_encode(&noop, &op, NULL), 0);
    qd_shard *s = shard_of(c, node[2], "x", NULL);
    assert_int_equal(qd_shard_enter(s, WAIT_MS, &e, NULL), 0);
    assert_int_equal(qd_engine_replicate(e, term, qd_buf_view(&op), NULL, &at, NULL), 0);
    assert_int_equal(qd_engine_sync(e, &at, NULL), 0);
    qd_engine_global_checkpoint_set(e, has_now.max_seq_no + 1);
    qd_shard_leave(s);
    qd_shard_unref(s);
    qd_buf_fini(&op);
    action_cluster_leave(c, node[0]);
    assert_true(primary_comes_to(c, node[2], "x", node[2]));
    put(c, node[2], "x", 50, 50, "");
    for (int i = 0; i < 10; i++) assert_int_equal(got(c, node[2], "x", i), i);
    assert_int_equal(got(c, node[1], "x", 50), 50);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_promised_counts_not_what_is_set),
        cmocka_unit_test(what_was_synced_needs_no_new_history),
        cmocka_unit_test(a_copy_that_knows_more_is_kept),
        cmocka_unit_test(a_primary_gives_way),
        cmocka_unit_test(what_was_shown_is_waited_for),
        cmocka_unit_test(a_closed_primary_starts_at_last),
        cmocka_unit_test(a_primary_says_again_that_it_has_started),
        cmocka_unit_test(a_primary_goes_on_under_a_higher_term),
    };
    return unit_run(tests);
}
