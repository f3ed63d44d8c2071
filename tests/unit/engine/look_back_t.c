/* Traces of numbers that were given twice, in logs and segments as versions before left them. */
#include "engine/commit.h"
#include "engine/look_back.h"
#include "engine/translog.h"
#include "lib/action_cluster.h"
#include "lib/coord_memory.h"
#include "unit/unit.h"
#include <stdio.h>
#include <string.h>

#define FOLDER QD_STR("indices/u/0")
static const qd_translog_identity WHO = {
    .uuid = "translog-test-01", .history = "translog-hist-01", .primary_term = 1};

typedef struct world {
    store_crash *disk;
    qd_store *store;
    qd_translog *log;
    qd_commit commit;
} world;

static world made(void)
{
    world w = {.disk = store_crash_make(NULL)};
    assert_int_equal(store_crash_open(w.disk, &w.store, NULL), 0);
    w.commit = (qd_commit){.generation = 1,
                           .translog_generation = 1,
                           .translog_first = 1,
                           .local_checkpoint = -1,
                           .max_seq_no = -1,
                           .primary_term = 1};
    memcpy(w.commit.translog_uuid, WHO.uuid, 16);
    memcpy(w.commit.history_uuid, WHO.history, 16);
    qd_env *env = qd_env_system();
    assert_int_equal(qd_translog_create(env, w.store, FOLDER, &WHO, NULL, &w.log, NULL), 0);
    return w;
}

static void add(world *w, int from, int to, uint64_t term)
{
    qd_translog_location at;
    for (int i = from; i <= to; i++) {
        qd_translog_op op = {.type = QD_TRANSLOG_NOOP,
                             .seq_no = (uint64_t)i,
                             .primary_term = term,
                             .auto_id_ms = -1};
        assert_int_equal(qd_translog_add(w->log, &op, &at, NULL), 0);
    }
    assert_int_equal(qd_translog_sync_all(w->log, NULL), 0);
}

static void known(world *w, int64_t checkpoint)
{
    qd_translog_checkpoint_set(w->log, checkpoint);
    assert_int_equal(qd_translog_checkpoint_sync(w->log, NULL), 0);
}

static void turn(world *w, uint64_t term, int64_t above, const uint8_t *history)
{
    qd_translog_turn t = {.primary_term = term, .trim_above = above, .history = history};
    if (above >= 0) t.trim_below_term = term;
    assert_int_equal(qd_translog_turn_over(w->log, &t, NULL, NULL), 0);
}

/* What is found must have this text; NULL: nothing is. */
static void finds(world *w, const char *text)
{
    char what[256];
    assert_int_equal(qd_translog_close(w->log, true, NULL), 0);
    assert_int_equal(qd_commit_write(w->store, FOLDER, &w->commit, NULL), 0);
    uint64_t before = store_crash_digest(w->disk);
    assert_int_equal(qd_engine_look_back(w->store, w->store, FOLDER, NULL, what, sizeof what, NULL),
                     0);
    assert_int_equal(store_crash_digest(w->disk), before);
    if (text ? !strstr(what, text) : what[0] != 0) fprintf(stderr, "# %s\n", what);
    assert_true(text ? strstr(what, text) != NULL : what[0] == 0);
    qd_store_close(w->store);
    store_crash_free(w->disk);
}

/* A primary told its copies of more than its disk had, and gave the numbers to others. */
static void numbers_that_were_given_again(void **state)
{
    (void)state;
    for (int lost = 1; lost <= 5; lost++) {
        char text[32];
        world w = made();
        add(&w, 0, 12 - lost, 1);
        known(&w, 12);
        turn(&w, 2, -1, NULL);
        add(&w, 13 - lost, 20, 2);
        snprintf(text, sizeof text, "operation [%d] of term 2", 13 - lost);
        finds(&w, text);
    }
}

/* Its copy discarded what it had of them. */
static void acknowledged_numbers_that_were_rolled_back(void **state)
{
    (void)state;
    world w = made();
    add(&w, 0, 12, 1);
    known(&w, 11);
    turn(&w, 2, 7, NULL);
    add(&w, 12, 20, 2);
    finds(&w, "discards operation [8] of term 1");
}

static void a_number_of_two_terms(void **state)
{
    (void)state;
    world w = made();
    add(&w, 0, 12, 1);
    known(&w, 11);
    turn(&w, 2, -1, NULL);
    add(&w, 9, 9, 2);
    finds(&w, "operation [9] of term 2");
}

static void what_is_as_it_should_be(void **state)
{
    (void)state;
    /* a failover: what nobody had acknowledged is replaced, and some of it written once more */
    world w = made();
    add(&w, 0, 12, 1);
    known(&w, 10);
    turn(&w, 1, -1, NULL);
    add(&w, 9, 12, 1);
    turn(&w, 2, 10, NULL);
    add(&w, 11, 20, 2);
    finds(&w, NULL);
    /* another history begins at 0, under the numbers of the one before */
    static const uint8_t other[16] = "translog-hist-02";
    w = made();
    add(&w, 0, 12, 1);
    known(&w, 12);
    turn(&w, 2, -1, other);
    add(&w, 5, 20, 2);
    memcpy(w.commit.history_uuid, other, 16);
    finds(&w, NULL);
    /* of what is below, the log has only a part */
    w = made();
    add(&w, 0, 5, 1);
    known(&w, 12);
    turn(&w, 2, -1, NULL);
    add(&w, 10, 20, 2);
    w.commit.operations_from = 13;
    finds(&w, NULL);
    /* a shard that was made and never used */
    w = made();
    finds(&w, NULL);
}

/* What a sync that failed left in the page cache is written once more; then the power goes. */
static void copies_of_an_unsure_tail(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        world w = made();
        add(&w, 0, 1, 1);
        qd_translog_location at;
        for (uint64_t i = 2; i < 4; i++) {
            qd_translog_op op = {
                .type = QD_TRANSLOG_NOOP, .seq_no = i, .primary_term = 1, .auto_id_ms = -1};
            assert_int_equal(qd_translog_add(w.log, &op, &at, NULL), 0);
        }
        qd_translog_checkpoint_set(w.log, 3);
        store_crash_fail_at(w.disk, STORE_CRASH_SYNCS, 1, QD_E_IO, false);
        assert_int_equal(qd_translog_checkpoint_sync(w.log, NULL), QD_E_IO);
        (void)!qd_translog_close(w.log, false, NULL);
        qd_env *env = qd_env_system();
        assert_int_equal(qd_translog_open(env, w.store, FOLDER, &WHO, 1, 1, NULL, &w.log, NULL), 0);
        if (lost) { /* and then a number is given again */
            add(&w, 4, 4, 1);
            add(&w, 2, 2, 2);
        }
        assert_int_equal(qd_translog_close(w.log, true, NULL), 0);
        qd_store_close(w.store);
        store_crash_crash(w.disk, 3);
        assert_int_equal(store_crash_open(w.disk, &w.store, NULL), 0);
        assert_int_equal(qd_translog_open(env, w.store, FOLDER, &WHO, 1, 1, NULL, &w.log, NULL), 0);
        finds(&w, lost ? "operation [2] of term 2" : NULL);
    }
}

/* A copy passed over the primary's operation and kept its own in the log; the primary's came with
 * a segment. */
static void a_segment_that_contradicts_the_log(void **state)
{
    (void)state;
    char folder[96], what[256];
    qd_store *store;
    qd_arena arena;
    qd_commit commit;
    world w = {.commit.n = 0};
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"index\":{\"number_of_shards\":1,"
                         "\"number_of_replicas\":0}}}");
    uint32_t node = action_cluster_shards(c, 1, "x") ? 1 : 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_doc", "{\"a\":1}"), 201);
    }
    qd_state *s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    snprintf(folder, sizeof folder, "indices/%s/0", qd_state_index(s, QD_STR("x"))->uuid);
    qd_state_unref(s);
    action_cluster_leave(c, node);
    assert_int_equal(store_crash_open(action_cluster_disk(c, node), &store, NULL), 0);
    qd_str at = qd_str_c(folder);
    assert_int_equal(qd_engine_look_back(store, store, at, NULL, what, sizeof what, NULL), 0);
    assert_int_equal(what[0], 0);
    qd_arena_init(&arena, NULL, 1 << 20);
    assert_int_equal(qd_commit_read(store, at, &arena, &commit, NULL), 0);
    assert_int_equal(commit.n, 1);
    for (uint64_t term = 1; term < 8; term += 6) {
        for (uint64_t g = commit.translog_generation + 3; g > 0; g--) {
            snprintf(what, sizeof what, "%s/translog-%u", folder, (unsigned)g);
            assert_int_equal(qd_store_delete(store, qd_str_c(what), NULL), 0);
        }
        qd_translog_identity who = {.primary_term = 1};
        memcpy(who.uuid, commit.translog_uuid, 16);
        memcpy(who.history, commit.history_uuid, 16);
        qd_env *env = qd_env_system();
        assert_int_equal(qd_translog_create(env, store, at, &who, NULL, &w.log, NULL), 0);
        add(&w, 0, 2, 1);
        add(&w, 3, 3, term);
        assert_int_equal(qd_translog_close(w.log, true, NULL), 0);
        commit.operations_from = 0;
        commit.translog_first = commit.translog_generation = 1;
        assert_int_equal(qd_commit_write(store, at, &commit, NULL), 0);
        assert_int_equal(qd_engine_look_back(store, store, at, NULL, what, sizeof what, NULL), 0);
        const char *text = "operation [3] is of term 7 in its log and of term 1 in segment";
        if (term == 1) assert_int_equal(what[0], 0);
        if (term == 7) assert_non_null(strstr(what, text));
    }
    qd_arena_fini(&arena);
    /* a node looks once, and lists what it found then */
    for (int start = 0; start < 3; start++) {
        if (start == 1) assert_int_equal(qd_store_delete(store, QD_STR("histories"), NULL), 0);
        qd_store_close(store);
        action_cluster_back(c, node);
        assert_int_equal(action_cluster_call(c, node, "GET", "/_nodes/_local/stats/fs", NULL), 200);
        const char *body = action_cluster_body(c);
        const char *list = strstr(body, "\"suspect_histories\":[");
        assert_non_null(list);
        if (!start) assert_memory_equal(list, "\"suspect_histories\":[]", 22);
        if (start) assert_non_null(strstr(list, "operation [3] is of term 7 in its log"));
        if (start) assert_non_null(strstr(list, folder));
        action_cluster_leave(c, node);
        assert_int_equal(store_crash_open(action_cluster_disk(c, node), &store, NULL), 0);
    }
    qd_store_close(store);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_that_were_given_again),
        cmocka_unit_test(acknowledged_numbers_that_were_rolled_back),
        cmocka_unit_test(a_number_of_two_terms),
        cmocka_unit_test(what_is_as_it_should_be),
        cmocka_unit_test(copies_of_an_unsure_tail),
        cmocka_unit_test(a_segment_that_contradicts_the_log),
    };
    return unit_run(tests);
}
