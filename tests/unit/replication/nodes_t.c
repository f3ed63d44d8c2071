/* Copies of shards on several whole nodes: writes, reads, refresh, failover, recovery. */
#include "engine/replica.h"
#include "replication/replication.h"
#include "unit/replication/nodes_lib.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Does the copy there have all operations up to this one, and no more? */
static bool has(action_cluster *c, uint32_t node, const char *uuid, int64_t max)
{
    qd_engine *e;
    qd_engine_checkpoints at = {.max_seq_no = -2};
    qd_shard *shard = qd_shards_get(action_cluster_actions(c, node)->shards, uuid, 0);
    if (!shard) return false;
    if (qd_shard_enter(shard, 1000, &e, NULL) == 0) {
        qd_engine_checkpoints_get(e, &at);
        qd_shard_leave(shard);
    }
    qd_shard_unref(shard);
    return at.max_seq_no == max && at.persisted == max;
}

/* What all copies of shard 0 have, as soon as the last of them is told of its end. */
static void same_copies(action_cluster *c, const char *index, int64_t max)
{
    qd_env *env = qd_env_system();
    uint64_t until = qd_env_mono_ns(env) + WAIT_MS * UINT64_C(1000000);
    uint32_t good, copies;
    do {
        qd_state *s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
        const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
        const qd_shard_meta *r = qd_state_shard(s, m, 0);
        good = 0;
        copies = r->ncopies;
        for (uint32_t i = 0; i < r->ncopies; i++) {
            if (qd_copy_is_active(&r->copies[i]))
                good += has(c, node_of(&r->copies[i]), m->uuid, max);
        }
        qd_state_unref(s);
        if (good < copies) qd_env_sleep_ns(env, 10000000);
    } while (good < copies && qd_env_mono_ns(env) < until);
    assert_int_equal(good, 2);
    assert_int_equal(copies, 2);
}

#define ONE_REPLICA                                                                                \
    "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":1,"                   \
    "\"unassigned.node_left.delayed_timeout\":\"0s\"}}}"

static void writes_go_to_both_copies(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    wait_green(c, 0, "x");
    for (int i = 0; i < 50; i++) put(c, (uint32_t)i % 2, "x", i, i, "");
    assert_non_null(strstr(action_cluster_body(c), "\"successful\":2"));
    same_copies(c, "x", 49);
    /* a document counts once, its shard twice, each node's processors and names */
    assert_int_equal(action_cluster_call(c, 1, "POST", "/x/_refresh", NULL), 200);
    assert_int_equal(action_cluster_call(c, 1, "GET", "/_cluster/stats", NULL), 200);
    static const char *const told[] = {
        "\"docs\":{\"count\":50,", "\"replication\":{\"min\":1.0,\"max\":1.0,\"avg\":1.0}",
        "\"primaries\":{\"min\":1,\"max\":1,\"avg\":1.0}", "\"name\":\"Linux\",\"count\":2"};
    for (size_t i = 0; i < QD_COUNT_OF(told); i++) {
        assert_non_null(strstr(action_cluster_body(c), told[i]));
    }
    for (int i = 0; i < 50; i++) assert_int_equal(got(c, (uint32_t)(i / 2) % 2, "x", i), i);
    put(c, 0, "x", 100, 7, "?refresh=true");
    for (int i = 0; i < 6; i++) { /* either copy */
        assert_int_equal(action_cluster_call(c, (uint32_t)i % 2, "GET", "/x/_count", NULL), 200);
        assert_non_null(strstr(action_cluster_body(c), "\"count\":51"));
    }
    action_cluster_close(c);
}

static void a_replica_takes_over(void **state)
{
    (void)state;
    uint32_t p, r, now_p, now_r;
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    wait_green(c, 0, "x");
    for (int i = 0; i < 30; i++) put(c, 0, "x", i, i, i == 20 ? "?refresh=true" : "");
    where(c, 0, "x", &p, &r);
    action_cluster_leave(c, p);
    put(c, r, "x", 30, 30, "");
    where(c, r, "x", &now_p, &now_r);
    assert_int_equal(now_p, r);
    for (int i = 0; i <= 30; i++) assert_int_equal(got(c, r, "x", i), i);
    wait_green(c, r, "x"); /* on the third node, or after its return on the first */
    action_cluster_back(c, p);
    put(c, p, "x", 31, 31, "?refresh=wait_for");
    for (int i = 0; i <= 31; i++) assert_int_equal(got(c, p, "x", i), i);
    wait_green(c, p, "x");
    same_copies(c, "x", 31);
    action_cluster_close(c);
}

/* Two nodes: one is away while the other writes; it comes back by operations. */
static void a_copy_comes_back(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    wait_green(c, 0, "x");
    for (int i = 0; i < 20; i++) put(c, 0, "x", i, i, "");
    where(c, 0, "x", &p, &r);
    action_cluster_leave(c, r);
    for (int i = 20; i < 40; i++) put(c, p, "x", i, i, i == 30 ? "?refresh=true" : "");
    action_cluster_back(c, r);
    wait_green(c, p, "x");
    put(c, r, "x", 40, 40, "?refresh=true");
    same_copies(c, "x", 40);
    action_cluster_close(c);
}

/* A copy is made the primary by force, by this command, on the node of one that lacks operations,
 * after this call; then the copy comes back whose operations are lost, with others under the same
 * numbers: it takes the new primary's, all of them. Gives the nodes; p's copy is the primary at the
 * end. */
static action_cluster *forced_primary(const char *command, const char *before, const char *after,
                                      uint32_t *p, uint32_t *r)
{
    char body[256];
    action_cluster *c =
        action_cluster_open(3, NULL); /* the third node keeps the cluster together */
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":1,"
        "\"refresh_interval\":\"-1\"}}}");
    wait_green(c, 0, "x");
    for (int i = 0; i < 10; i++) put(c, 0, "x", i, i, "");
    where(c, 0, "x", p, r);
    uint32_t third = 3 - *p - *r;
    snprintf(body, sizeof body, "{\"index.routing.allocation.exclude._name\":\"node-%u\"}", third);
    assert_int_equal(action_cluster_call(c, third, "PUT", "/x/_settings", body), 200);
    action_cluster_leave(c, *r);
    for (int i = 10; i < 20; i++) put(c, *p, "x", i, i, "");
    action_cluster_leave(c, *p);
    action_cluster_back(c, *r);
    if (before) assert_int_equal(action_cluster_call(c, *r, "POST", before, NULL), 200);
    snprintf(body, sizeof body,
             "{\"commands\":[{\"%s\":{\"index\":\"x\",\"shard\":0,"
             "\"node\":\"node-%u\",\"accept_data_loss\":true}}]}",
             command, *r);
    /* the node may not have seen yet that the primary's is gone */
    uint64_t end = qd_env_mono_ns(qd_env_system()) + 20000000000u;
    int status;
    do {
        status = action_cluster_call(c, *r, "POST", "/_cluster/reroute", body);
    } while (status == 400 && strstr(action_cluster_body(c), "is already assigned") &&
             qd_env_mono_ns(qd_env_system()) < end);
    if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_int_equal(status, 200);
    if (after) assert_int_equal(action_cluster_call(c, *r, "POST", after, NULL), 200);
    for (int i = 100; i < 110; i++) put(c, *r, "x", i, i, "");
    action_cluster_back(c, *p);
    wait_green(c, third, "x");
    same_copies(c, "x", strstr(command, "empty") ? 9 : 19);
    action_cluster_leave(c, *r);
    assert_true(primary_comes_to(c, third, "x", *p));
    for (int i = 10; i < 20; i++) assert_int_equal(got(c, *p, "x", i), -1);
    for (int i = 100; i < 110; i++) assert_int_equal(got(c, *p, "x", i), i);
    return c;
}

static void a_stale_copy_is_forced(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = forced_primary("allocate_stale_primary", NULL, NULL, &p, &r);
    for (int i = 0; i < 10; i++) assert_int_equal(got(c, p, "x", i), i);
    action_cluster_close(c);
}

/* Of what the node has of the copy nothing is left. */
static void an_empty_primary_is_forced(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = forced_primary("allocate_empty_primary", NULL, NULL, &p, &r);
    for (int i = 0; i < 10; i++) assert_int_equal(got(c, p, "x", i), -1);
    action_cluster_close(c);
}

/* It is empty, though nothing clears the files that are there while the index is closed. */
static void an_empty_primary_is_forced_while_closed(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = forced_primary("allocate_empty_primary", "/x/_close",
                                       "/x/_open?wait_for_active_shards=0", &p, &r);
    for (int i = 0; i < 10; i++) assert_int_equal(got(c, p, "x", i), -1);
    action_cluster_close(c);
}

static bool failed(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, 0) : NULL;
    return r && r->copies[0].failures > 0;
}

/* Waits until the shard is open there, or could not be opened; is it open? */
static bool is_open(qd_actions *a, const char *index, const char *uuid)
{
    for (;;) {
        qd_state *s = qd_cluster_state(a->cluster);
        bool over = failed((void *)(uintptr_t)index, s), open = false;
        qd_state_unref(s);
        qd_shard *shard = qd_shards_get(a->shards, uuid, 0);
        if (shard) open = qd_shard_ready(shard, NULL);
        qd_shard_unref(shard);
        if (over || open) return open;
        qd_env_sleep_ns(a->env, 1000000);
    }
}

/* Files that were there once are missed, also by a node that made them itself. */
static void lost_files_are_not_made_anew(void **state)
{
    (void)state;
    uint32_t p, r;
    char folder[128], uuid[64];
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", "{\"settings\":{\"index\":{\"number_of_replicas\":0}}}");
    put(c, 0, "x", 1, 1, "");
    where(c, 0, "x", &p, &r);
    qd_actions *a = action_cluster_actions(c, p);
    qd_state *s = qd_cluster_state(a->cluster);
    snprintf(uuid, sizeof uuid, "%s", qd_state_index(s, QD_STR("x"))->uuid);
    snprintf(folder, sizeof folder, "indices/%s/0/", uuid);
    qd_state_unref(s);
    for (bool open = true; open;) {
        assert_int_equal(action_cluster_call(c, p, "POST", "/x/_close", NULL), 200);
        assert_int_equal(qd_store_delete_all(a->store, qd_str_c(folder), NULL), 0);
        assert_int_equal(
            action_cluster_call(c, p, "POST", "/x/_open?wait_for_active_shards=0", NULL), 200);
        open = is_open(a, "x", uuid);
        if (open) assert_int_equal(got(c, p, "x", 1), 1); /* it was being closed, and wrote them */
    }
    assert_int_equal(action_cluster_call(c, p, "GET", "/x/_count", NULL), 503);
    action_cluster_close(c);
}

/* A replica that is added later gets files and operations. */
static void a_replica_is_added(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(
        c, "x", "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":0}}}");
    for (int i = 0; i < 300; i++) put(c, 0, "x", i, i, i % 100 == 50 ? "?refresh=true" : "");
    assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_flush?force=true", NULL), 200);
    assert_int_equal(
        action_cluster_call(c, 0, "PUT", "/x/_settings", "{\"index\":{\"number_of_replicas\":1}}"),
        200);
    for (int i = 300; i < 330; i++) put(c, 1, "x", i, i, "");
    wait_green(c, 0, "x");
    put(c, 1, "x", 330, 330, "?refresh=true");
    same_copies(c, "x", 330);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(action_cluster_call(c, i % 2, "GET", "/x/_count", NULL), 200);
        assert_non_null(strstr(action_cluster_body(c), "\"count\":331"));
    }
    action_cluster_close(c);
}

/* A primary is opened again while another copy of the record may hold its lease: it is taken into
 * its term by one run (the assertion in leads), and writes that come meanwhile are answered. */
static void a_primary_is_opened_once(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    wait_green(c, 0, "x");
    for (int round = 0; round < 8; round++) {
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_close", NULL), 200);
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_open", NULL), 200);
        put(c, 0, "x", round, round, "");
    }
    wait_green(c, 0, "x");
    for (int i = 0; i < 8; i++) assert_int_equal(got(c, (uint32_t)i % 2, "x", i), i);
    action_cluster_close(c);
}

/* Closing an index and opening it takes nothing away: of a new primary, of one that moved here, of
 * one that was a replica; nor does it need that the index was ever opened. */
static void closed_indices_keep_their_documents(void **state)
{
    (void)state;
    char body[256];
    uint32_t p, r;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", "{\"settings\":{\"index\":{\"number_of_replicas\":0}}}");
    for (int round = 0; round < 4; round++) {
        put(c, 0, "x", round, round, "");
        assert_int_equal(action_cluster_call(c, 1, "POST", "/x/_close", NULL), 200);
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_open", NULL), 200);
        for (int i = 0; i <= round; i++) assert_int_equal(got(c, 1, "x", i), i);
        where(c, 0, "x", &p, &r);
        snprintf(body, sizeof body,
                 "{\"commands\":[{\"move\":{\"index\":\"x\",\"shard\":0,\"from_node\":\"node-%u\","
                 "\"to_node\":\"node-%u\"}}]}",
                 p, 1 - p);
        if (round == 1) {
            assert_int_equal(action_cluster_call(c, 0, "POST", "/_cluster/reroute", body), 200);
            assert_true(primary_comes_to(c, 0, "x", 1 - p));
        }
        if (round == 2) {
            assert_int_equal(action_cluster_call(c, 0, "PUT", "/x/_settings",
                                                 "{\"index\":{\"number_of_replicas\":1}}"),
                             200);
            wait_green(c, 0, "x");
            action_cluster_leave(c, p);
            assert_true(primary_comes_to(c, 1 - p, "x", 1 - p));
            action_cluster_back(c, p);
            wait_green(c, 0, "x");
        }
    }
    assert_int_equal(action_cluster_call(c, 0, "PUT", "/y?wait_for_active_shards=0", NULL), 200);
    assert_int_equal(action_cluster_call(c, 0, "POST", "/y/_close", NULL), 200);
    assert_int_equal(action_cluster_call(c, 0, "POST", "/y/_open", NULL), 200);
    put(c, 1, "y", 1, 1, "");
    action_cluster_close(c);
}

/* The same over a restart of its node: it has no files, and none were lost. */
static void a_closed_index_is_opened_for_the_first_time(void **state)
{
    (void)state;
    uint32_t p, r;
    static const char nowhere[] = "{\"settings\":{\"index\":{\"number_of_replicas\":0,"
                                  "\"routing.allocation.require._name\":\"none\"}}}";
    static const char anywhere[] = "{\"index.routing.allocation.require._name\":null}";
    action_cluster *c = action_cluster_open(3, NULL);
    assert_int_equal(action_cluster_call(c, 0, "PUT", "/y?wait_for_active_shards=0", nowhere), 200);
    assert_int_equal(action_cluster_call(c, 0, "POST", "/y/_close", NULL), 200);
    assert_int_equal(action_cluster_call(c, 0, "PUT", "/y/_settings", anywhere), 200);
    wait_green(c, 0, "y");
    where(c, 0, "y", &p, &r);
    action_cluster_leave(c, p);
    action_cluster_back(c, p);
    wait_green(c, p, "y");
    assert_int_equal(action_cluster_call(c, p, "POST", "/y/_open", NULL), 200);
    put(c, p, "y", 1, 1, "");
    action_cluster_close(c);
}

/* A forced merge waits for natural ones, which its own refresh may have begun, also where another
 * node asked for it. */
static void forced_merges_end(void **state)
{
    (void)state;
    uint32_t p, r;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"index\":{\"number_of_replicas\":0,"
                         "\"merge.policy.segments_per_tier\":2}}}");
    where(c, 0, "x", &p, &r);
    for (int i = 0; i < 12; i++) {
        put(c, 0, "x", i, i, "");
        assert_int_equal(
            action_cluster_call(c, 1 - p, "POST", "/x/_forcemerge?max_num_segments=9", NULL), 200);
        assert_non_null(strstr(action_cluster_body(c), "\"failed\":0"));
    }
    action_cluster_close(c);
}

static bool yellow(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    return m && qd_index_health(s, m) == QD_HEALTH_YELLOW;
}

/* Copies of a closed index have no engine: none is filled or moved, and none keeps others from it.
 */
static void closed_indices_hold_nobody_up(void **state)
{
    (void)state;
    char name[16];
    uint32_t p, r;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    for (int i = 0; i < 4; i++) { /* as many as are filled at one time */
        snprintf(name, sizeof name, "x%d", i);
        action_cluster_index(c, name, ONE_REPLICA);
    }
    wait_green(c, 0, "x");
    put(c, 0, "x", 1, 1, "");
    where(c, 0, "x", &p, &r);
    assert_int_equal(action_cluster_call(c, p, "POST", "/x,x0,x1,x2,x3/_close", NULL), 200);
    action_cluster_leave(c, r);
    assert_int_equal(qd_cluster_wait_for(action_cluster_actions(c, p)->cluster, yellow,
                                         (void *)(uintptr_t) "x", WAIT_MS),
                     0);
    action_cluster_back(c, r);
    action_cluster_index(c, "y", ONE_REPLICA);
    wait_green(c, p, "y");
    assert_int_equal(action_cluster_call(c, p, "GET", "/_cat/shards/x", NULL), 200);
    assert_null(strstr(action_cluster_body(c), "INITIALIZING"));
    assert_int_equal(action_cluster_call(c, p, "POST", "/x/_open", NULL), 200);
    wait_green(c, p, "x");
    assert_int_equal(got(c, r, "x", 1), 1);
    action_cluster_close(c);
}

typedef struct writer {
    action_cluster *c;
    uint32_t node;
    _Atomic bool stop;
    _Atomic int done;
    uint64_t longest_ns;
} writer;

static void write_on(void *arg)
{
    writer *w = arg;
    qd_env *env = qd_env_system();
    while (!w->stop) {
        uint64_t begun = qd_env_mono_ns(env);
        put(w->c, w->node, "x", w->done, w->done, "");
        uint64_t took = qd_env_mono_ns(env) - begun;
        if (took > w->longest_ns) w->longest_ns = took;
        w->done++;
    }
}

/* Waits until ten more are written. */
static void writes_go_on(writer *w)
{
    int until = w->done + 10;
    for (int ms = 0; ms < WAIT_MS && w->done < until; ms++) {
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    assert_true(w->done >= until);
}

/* The primary moves while somebody writes: no write fails, none is lost. */
static void a_primary_moves(void **state)
{
    (void)state;
    uint32_t p, r;
    char body[256];
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    wait_green(c, 0, "x");
    where(c, 0, "x", &p, &r);
    uint32_t to = 3 - p - r;
    writer w = {.c = c, .node = r};
    qd_thread *t;
    assert_int_equal(qd_thread_start(qd_env_system(), "writer", write_on, &w, &t, NULL), 0);
    writes_go_on(&w);
    snprintf(body, sizeof body,
             "{\"commands\":[{\"move\":{\"index\":\"x\",\"shard\":0,\"from_node\":\"node-%u\","
             "\"to_node\":\"node-%u\"}}]}",
             p, to);
    /* the writer's answers are in the same buffer: its calls and this one must not meet */
    w.stop = true;
    qd_thread_join(qd_env_system(), t);
    int status = action_cluster_call(c, 0, "POST", "/_cluster/reroute", body);
    if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_int_equal(status, 200);
    w.stop = false;
    assert_int_equal(qd_thread_start(qd_env_system(), "writer", write_on, &w, &t, NULL), 0);
    bool moved = primary_comes_to(c, 0, "x", to);
    writes_go_on(&w);
    w.stop = true;
    qd_thread_join(qd_env_system(), t);
    assert_true(moved);
    fprintf(stderr, "# %d writes, the longest took %.1f ms\n", w.done, (double)w.longest_ns / 1e6);
    wait_green(c, 0, "x");
    for (int i = 0; i < w.done; i++) assert_int_equal(got(c, (uint32_t)i % 3, "x", i), i);
    same_copies(c, "x", w.done - 1);
    action_cluster_close(c);
}

/* --- copies that do not answer --- */

#define HELD_MAX 64u
static qd_mutex held_lock = QD_MUTEX_INIT;
static qd_rpc_request *held[HELD_MAX];
static uint32_t nheld;
static bool letting_go;

static void fail_one(qd_rpc_request *request)
{
    qd_err err;
    qd_err_init(&err);
    (void)qd_err_set(&err, QD_E_IO, "its disk has failed");
    qd_rpc_fail(request, &err);
    qd_err_fini(&err);
}

static void hold(void *arg, qd_rpc_request *request)
{
    (void)arg;
    qd_mutex_lock(&held_lock);
    bool keep = !letting_go && nheld < HELD_MAX;
    if (keep) held[nheld++] = request;
    qd_mutex_unlock(&held_lock);
    if (!keep) fail_one(request);
}

static uint32_t held_now(void)
{
    qd_mutex_lock(&held_lock);
    uint32_t n = nheld;
    qd_mutex_unlock(&held_lock);
    return n;
}

static void fail_held(void)
{
    qd_mutex_lock(&held_lock);
    uint32_t n = nheld;
    letting_go = true;
    qd_mutex_unlock(&held_lock);
    for (uint32_t i = 0; i < n; i++) fail_one(held[i]);
}

/* Writes that wait for a copy leave their workers: more of them are under way than there are
 * threads. When the copy fails, all are acknowledged without it. */
static void waiting_writes_hold_no_worker(void **state)
{
    (void)state;
    enum { WRITES = 12 };
    uint32_t p, r;
    char paths[WRITES][32];
    action_errand *errands[WRITES];
    qd_env *env = qd_env_system();
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x", ONE_REPLICA);
    wait_green(c, 0, "x");
    put(c, 0, "x", 100, 1, "");
    where(c, 0, "x", &p, &r);
    qd_rpc *rpc = action_cluster_actions(c, r)->rpc;
    qd_rpc_unhandle(rpc, QD_ACTION_COPY_OPS);
    assert_int_equal(qd_rpc_handle(rpc, QD_ACTION_COPY_OPS, NULL, 0, hold, NULL, NULL), 0);
    for (int i = 0; i < WRITES; i++) {
        snprintf(paths[i], sizeof paths[i], "/x/_doc/%d", i);
        errands[i] = action_cluster_start(c, p, "PUT", paths[i], "{\"v\":1}");
    }
    uint64_t until = qd_env_mono_ns(env) + UINT64_C(120000000000);
    while (held_now() < WRITES && qd_env_mono_ns(env) < until) qd_env_sleep_ns(env, 1000000);
    assert_int_equal(held_now(), WRITES);
    fail_held();
    for (int i = 0; i < WRITES; i++) {
        assert_int_equal(action_cluster_wait(c, errands[i]), 201);
        assert_non_null(strstr(action_cluster_body(c), "\"failed\":1"));
    }
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_go_to_both_copies),
        cmocka_unit_test(a_replica_takes_over),
        cmocka_unit_test(a_copy_comes_back),
        cmocka_unit_test(a_stale_copy_is_forced),
        cmocka_unit_test(an_empty_primary_is_forced),
        cmocka_unit_test(an_empty_primary_is_forced_while_closed),
        cmocka_unit_test(lost_files_are_not_made_anew),
        cmocka_unit_test(a_replica_is_added),
        cmocka_unit_test(a_primary_is_opened_once),
        cmocka_unit_test(closed_indices_keep_their_documents),
        cmocka_unit_test(a_closed_index_is_opened_for_the_first_time),
        cmocka_unit_test(forced_merges_end),
        cmocka_unit_test(closed_indices_hold_nobody_up),
        cmocka_unit_test(a_primary_moves),
        cmocka_unit_test(waiting_writes_hold_no_worker),
    };
    return unit_run(tests);
}
