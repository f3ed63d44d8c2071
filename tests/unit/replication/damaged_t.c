/* Copies whose files are damaged when their node starts: filled anew, but for the last one. */
#include "base/log.h"
#include "lib/action_cluster.h"
#include "lib/coord_memory.h"
#include "shard/shards.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 120000
#define DOCS 40

static bool green(void *arg, const qd_state *s)
{
    (void)arg;
    const qd_index_meta *m = qd_state_index(s, QD_STR("x"));
    return m && qd_index_health(s, m) == QD_HEALTH_GREEN;
}

static bool failed(void *arg, const qd_state *s)
{
    (void)arg;
    const qd_index_meta *m = qd_state_index(s, QD_STR("x"));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, 0) : NULL;
    return r && r->copies[0].failures > 0;
}

static void wait_for(action_cluster *c, uint32_t node, bool (*done)(void *, const qd_state *))
{
    qd_cluster *cluster = action_cluster_actions(c, node)->cluster;
    assert_int_equal(qd_cluster_wait_for(cluster, done, NULL, WAIT_MS), 0);
}

/* Ids end with the node's number. */
static uint32_t node_of(qd_str id)
{
    return (uint32_t)(id.p[id.n - 1] - '0');
}

/* Waits until `asked` knows that the node is there. */
static bool is_there(void *arg, const qd_state *s)
{
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (qd_str_is(s->nodes[i].name, arg)) return true;
    return false;
}

static void wait_for_node(action_cluster *c, uint32_t asked, uint32_t node)
{
    char name[32];
    snprintf(name, sizeof name, "node-%u", node);
    qd_cluster *cluster = action_cluster_actions(c, asked)->cluster;
    assert_int_equal(qd_cluster_wait_for(cluster, is_there, name, WAIT_MS), 0);
}

/* Waits until the primary is started there, as that node sees it. */
static bool leads(void *arg, const qd_state *s)
{
    const uint32_t *node = arg;
    const qd_index_meta *m = qd_state_index(s, QD_STR("x"));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, 0) : NULL;
    if (!r || r->copies[0].state != QD_SHARD_STARTED || !r->copies[0].node.n) return false;
    return node_of(r->copies[0].node) == *node;
}

static void wait_for_primary(action_cluster *c, uint32_t node)
{
    qd_cluster *cluster = action_cluster_actions(c, node)->cluster;
    assert_int_equal(qd_cluster_wait_for(cluster, leads, &node, WAIT_MS), 0);
}

static void put(action_cluster *c, uint32_t node, int id)
{
    char path[64], body[64];
    snprintf(path, sizeof path, "/x/_doc/%d", id);
    snprintf(body, sizeof body, "{\"v\":%d}", id);
    int status = action_cluster_call(c, node, "PUT", path, body);
    if (status > 201) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_true(status == 200 || status == 201);
}

static void all_there(action_cluster *c, uint32_t node, int n)
{
    char path[64];
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/x/_doc/%d", i);
        int status = action_cluster_call(c, node, "GET", path, NULL);
        if (status != 200) print_message("# %s: %s\n", path, action_cluster_body(c));
        assert_int_equal(status, 200);
    }
}

/* Nodes of the primary and the replica, the folder of the shard. */
typedef struct place {
    uint32_t p, r;
    char folder[96], aside[96]; /* lost+found/… of it, without the file's own name */
} place;

static void where(action_cluster *c, uint32_t node, place *at)
{
    qd_state *s = qd_cluster_state(action_cluster_actions(c, node)->cluster);
    const qd_index_meta *m = qd_state_index(s, QD_STR("x"));
    const qd_shard_meta *r = qd_state_shard(s, m, 0);
    *at = (place){.r = UINT32_MAX};
    for (uint32_t i = 0; i < r->ncopies; i++) {
        if (!r->copies[i].node.n) continue;
        *(i ? &at->r : &at->p) = node_of(r->copies[i].node);
    }
    snprintf(at->folder, sizeof at->folder, "indices/%s/0/", m->uuid);
    snprintf(at->aside, sizeof at->aside, "lost+found/indices_%s_0_", m->uuid);
    qd_state_unref(s);
}

typedef struct wanted {
    const char *kind; /* how its own name begins */
    char file[160];
    uint64_t bytes;
} wanted;

/* The last by name: of a log the part that is written to. */
static int last(void *arg, qd_str name, uint64_t bytes)
{
    wanted *w = arg;
    (void)bytes;
    if (qd_str_find_str(name, qd_str_c(w->kind)) < 0) return 0;
    if (qd_str_cmp(name, qd_str_c(w->file)) < 0) return 0;
    snprintf(w->file, sizeof w->file, "%.*s", QD_STR_ARG(name));
    return 0;
}

/* Ends the node, by a kill where operations are to be in the log only, and damages the last file of
 * a kind that it has of the shard. */
static void leave_damaged(action_cluster *c, uint32_t node, const place *at, const char *kind,
                          wanted *w)
{
    store_crash *disk = action_cluster_disk(c, node);
    qd_store *store;
    *w = (wanted){.kind = kind};
    bool kill = strcmp(kind, "/translog-") == 0;
    if (kill) store_crash_power_off(disk);
    action_cluster_leave(c, node);
    if (kill) store_crash_kill(disk);
    assert_int_equal(store_crash_open(disk, &store, NULL), 0);
    assert_int_equal(qd_store_list(store, qd_str_c(at->folder), last, w, NULL), 0);
    qd_store_close(store);
    assert_true(w->file[0]);
    assert_true(store_crash_size(disk, w->file, &w->bytes));
    assert_true(store_crash_flip(disk, w->file, w->bytes / 2, 8));
    if (strcmp(kind, "/seg-") == 0) assert_true(store_crash_cut(disk, w->file, w->bytes / 2));
}

static action_cluster *filled(uint32_t nodes, uint32_t replicas, place *at)
{
    char body[256];
    snprintf(body, sizeof body,
             "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":%u,"
             "\"refresh_interval\":-1,\"unassigned.node_left.delayed_timeout\":\"0s\"}}}",
             replicas);
    action_cluster *c = action_cluster_open(nodes, NULL);
    action_cluster_index(c, "x", body);
    wait_for(c, 0, green);
    for (int i = 0; i < DOCS; i++) {
        put(c, 0, i);
        if (i != DOCS / 2) continue;
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_refresh", NULL), 200);
    }
    where(c, 0, at);
    return c;
}

/* Is this file of the shard in lost+found? */
static bool is_aside(action_cluster *c, uint32_t node, const place *at, const char *name)
{
    char file[256];
    uint64_t bytes;
    snprintf(file, sizeof file, "%s%s", at->aside, name);
    return store_crash_size(action_cluster_disk(c, node), file, &bytes);
}

/* A file of a replica is damaged while its node is away: what it had is kept, listed by a note, and
 * the primary fills a copy that can take over. The same when it was the primary's file. */
static void a_damaged_copy_is_filled_anew(void **state)
{
    (void)state;
    static const char *const kinds[] = {"/commit", "/seg-", "/translog-"};
    for (size_t i = 0; i < QD_COUNT_OF(kinds) * 2; i++) {
        place at, now;
        wanted w;
        action_cluster *c = filled(2, 1, &at);
        uint32_t hit = i % 2 ? at.p : at.r, other = i % 2 ? at.r : at.p;
        leave_damaged(c, hit, &at, kinds[i / 2], &w);
        put(c, other, DOCS);
        action_cluster_back(c, hit);
        wait_for(c, other, green);
        assert_true(is_aside(c, hit, &at, "aside"));
        assert_true(is_aside(c, hit, &at, strrchr(w.file, '/') + 1));
        put(c, other, DOCS + 1);
        action_cluster_leave(c, other);
        wait_for_primary(c, hit);
        all_there(c, hit, DOCS + 2);
        where(c, hit, &now);
        assert_int_equal(now.p, hit);
        action_cluster_close(c);
    }
}

/* Nobody else has what the last copy had: nothing of it is moved, and the shard says what is wrong.
 * Once its file is as it was, it is there again. */
static void a_damaged_last_copy_stays(void **state)
{
    (void)state;
    for (uint32_t replicas = 0; replicas < 2; replicas++) {
        place at;
        wanted w;
        action_cluster *c = filled(2, replicas, &at);
        uint32_t asked = !at.p;
        if (replicas) action_cluster_leave(c, at.r);
        if (replicas) put(c, at.p, DOCS); /* it is not in sync any more */
        if (replicas) action_cluster_back(c, at.r);
        if (replicas) wait_for(c, at.r, green);
        if (replicas) action_cluster_leave(c, at.r);
        if (replicas) put(c, at.p, DOCS + 1);
        leave_damaged(c, at.p, &at, "/commit", &w);
        if (replicas) action_cluster_back(c, at.r);
        action_cluster_back(c, at.p);
        wait_for(c, asked, failed);
        assert_int_equal(action_cluster_call(c, asked, "GET", "/x/_count", NULL), 503);
        assert_false(is_aside(c, at.p, &at, "aside"));
        assert_true(store_crash_size(action_cluster_disk(c, at.p), w.file, &w.bytes));
        assert_int_equal(action_cluster_call(c, asked, "GET",
                                             "/_cluster/allocation/explain?index=x&shard=0"
                                             "&primary=true",
                                             NULL),
                         200);
        assert_non_null(strstr(action_cluster_body(c), "is damaged"));
        assert_true(store_crash_flip(action_cluster_disk(c, at.p), w.file, w.bytes / 2, 8));
        assert_int_equal(
            action_cluster_call(c, asked, "POST", "/_cluster/reroute?retry_failed=true", NULL),
            200);
        wait_for(c, asked, green);
        all_there(c, asked, DOCS + (replicas ? 2 : 0));
        action_cluster_close(c);
    }
}

/* A copy whose files were to be kept is made the primary by force: they are what counts now, and
 * the next copy that begins there does not move them away. */
static void the_note_of_a_forced_primary_is_taken_back(void **state)
{
    (void)state;
    place at;
    char note[128], body[256];
    uint64_t bytes;
    qd_store *store;
    action_cluster *c = filled(3, 1, &at);
    uint32_t third = 3 - at.p - at.r;
    store_crash *disk = action_cluster_disk(c, at.r);
    snprintf(note, sizeof note, "%saside", at.folder);
    snprintf(body, sizeof body, "{\"index.routing.allocation.exclude._name\":\"node-%u\"}", third);
    assert_int_equal(action_cluster_call(c, third, "PUT", "/x/_settings", body), 200);
    action_cluster_leave(c, at.r);
    assert_int_equal(store_crash_open(disk, &store, NULL), 0);
    assert_int_equal(
        qd_store_publish(store, qd_str_c(note), QD_STR("aside"), 1, QD_STR("by the test"), NULL),
        0);
    qd_store_close(store);
    put(c, at.p, 0); /* it is not in sync any more */
    action_cluster_leave(c, at.p);
    action_cluster_back(c, at.r);
    wait_for_node(c, third, at.r);
    snprintf(body, sizeof body,
             "{\"commands\":[{\"allocate_stale_primary\":{\"index\":\"x\",\"shard\":0,"
             "\"node\":\"node-%u\",\"accept_data_loss\":true}}]}",
             at.r);
    int status;
    do { /* the node may not have seen yet that the primary's is gone */
        status = action_cluster_call(c, third, "POST", "/_cluster/reroute", body);
    } while (status == 400 && strstr(action_cluster_body(c), "is already assigned"));
    if (status != 200) print_message("# %s\n", action_cluster_body(c));
    assert_int_equal(status, 200);
    wait_for_primary(c, at.r);
    assert_false(store_crash_size(disk, note, &bytes));
    assert_false(is_aside(c, at.r, &at, "aside"));
    all_there(c, third, DOCS);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_copy_is_filled_anew),
        cmocka_unit_test(a_damaged_last_copy_stays),
        cmocka_unit_test(the_note_of_a_forced_primary_is_taken_back),
    };
    return unit_run(tests);
}
