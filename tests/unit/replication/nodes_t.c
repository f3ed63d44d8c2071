/* Copies of shards on several whole nodes: writes, reads, refresh, failover, recovery. */
#include "base/log.h"
#include "engine/replica.h"
#include "lib/action_cluster.h"
#include "lib/coord_memory.h"
#include "replication/replication.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 120000

static bool green(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    return m && qd_index_health(s, m) == QD_HEALTH_GREEN;
}

static void wait_green(action_cluster *c, uint32_t node, const char *index)
{
    int rc = qd_cluster_wait_for(action_cluster_actions(c, node)->cluster, green,
                                 (void *)(uintptr_t)index, WAIT_MS);
    if (rc) {
        action_cluster_call(c, node, "GET", "/_cat/shards", NULL);
        fprintf(stderr, "# %s\n", action_cluster_body(c));
    }
    assert_int_equal(rc, 0);
}

static void put(action_cluster *c, uint32_t node, const char *index, int id, int value,
                const char *params)
{
    char path[128], body[64];
    snprintf(path, sizeof path, "/%s/_doc/%d%s", index, id, params);
    snprintf(body, sizeof body, "{\"v\":%d}", value);
    int status = action_cluster_call(c, node, "PUT", path, body);
    if (status > 201) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_true(status == 200 || status == 201);
}

static int got(action_cluster *c, uint32_t node, const char *index, int id)
{
    char path[128];
    snprintf(path, sizeof path, "/%s/_doc/%d", index, id);
    int status = action_cluster_call(c, node, "GET", path, NULL);
    if (status == 404) return -1;
    if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_int_equal(status, 200);
    const char *v = strstr(action_cluster_body(c), "\"v\":");
    assert_non_null(v);
    return atoi(v + 4);
}

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

static uint32_t node_of(const qd_copy *copy)
{
    return (uint32_t)(copy->node.p[copy->node.n - 1] - '0');
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
        "\"primaries\":{\"min\":1.0,\"max\":1.0,\"avg\":1.0}", "\"name\":\"Linux\",\"count\":2"};
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

/* The node of the primary, and that of the replica, of shard 0. */
static void where(action_cluster *c, uint32_t asked, const char *index, uint32_t *primary,
                  uint32_t *replica)
{
    qd_state *s = qd_cluster_state(action_cluster_actions(c, asked)->cluster);
    const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
    const qd_shard_meta *r = qd_state_shard(s, m, 0);
    *primary = *replica = UINT32_MAX;
    for (uint32_t i = 0; i < r->ncopies; i++) {
        if (!qd_copy_is_assigned(&r->copies[i])) continue;
        uint32_t node = node_of(&r->copies[i]);
        if (i == 0) *primary = node;
        if (i > 0) *replica = node;
    }
    qd_state_unref(s);
}

static bool primary_comes_to(action_cluster *c, uint32_t asked, const char *index, uint32_t node)
{
    uint32_t p = UINT32_MAX, r;
    for (int ms = 0; ms < WAIT_MS && p != node; ms += 10) {
        where(c, asked, index, &p, &r);
        if (p != node) qd_env_sleep_ns(qd_env_system(), 10000000);
    }
    return p == node;
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

/* The record says of a primary that serves that it is still to start: as after it was opened again
 * and promoted at the same time. */
static void record_as_before_its_start(action_cluster *c)
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
    int64_t at = qd_str_find_str(value, QD_STR("STARTED"));
    assert_true(at > 0);
    int n = snprintf(text, sizeof text, "%.*sINITIALIZING%.*s", (int)at, value.p,
                     (int)(value.n - (size_t)at - 7), value.p + at + 7);
    qd_coord_change put = {.type = QD_COORD_PUT, .key = key, .value = {text, (size_t)n}};
    assert_int_equal(qd_coord_commit(store, NULL, 0, &put, 1, WAIT_MS, NULL, NULL, NULL), 0);
    qd_arena_fini(&arena);
    qd_state_unref(s);
}

static void a_primary_says_again_that_it_has_started(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    action_cluster_index(c, "x", "{\"settings\":{\"index\":{\"number_of_replicas\":0}}}");
    coord_memory_full(action_cluster_store(c), "INITIALIZING");
    record_as_before_its_start(c);
    starts_when_it_can(c);
    put(c, 0, "x", 1, 1, "");
    assert_int_equal(got(c, 0, "x", 1), 1);
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
        cmocka_unit_test(writes_go_to_both_copies),
        cmocka_unit_test(what_was_promised_counts_not_what_is_set),
        cmocka_unit_test(what_was_synced_needs_no_new_history),
        cmocka_unit_test(a_copy_that_knows_more_is_kept),
        cmocka_unit_test(a_primary_gives_way),
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
        cmocka_unit_test(what_was_shown_is_waited_for),
        cmocka_unit_test(a_closed_primary_starts_at_last),
        cmocka_unit_test(a_primary_says_again_that_it_has_started),
    };
    return unit_run(tests);
}
