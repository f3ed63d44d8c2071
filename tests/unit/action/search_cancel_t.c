/*
 * search_cancel_t.c: a search over nodes whose storage does not answer: _tasks of any node lists
 * the search and its parts on other nodes under it; cancelling it anywhere ends all of them; a
 * part's own end is a shard's failure, not the search's.
 */
#include "lib/action_cluster.h"
#include "unit/unit.h"
#include <stdio.h>

#define NODES 3u
#define WAIT_NS 20000000000u

static action_cluster *open_nodes(void)
{
    static const store_crash_options disk = {.copies = true, .late_us = 1000};
    char id[16], body[128];
    action_cluster *c = action_cluster_open_on(NODES, NULL, &disk);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"number_of_shards\":6,\"number_of_replicas\":0,"
                         "\"refresh_interval\":\"-1\"}}");
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(body, sizeof body, "{\"words\":\"common %s\",\"n\":%d}",
                 i % 3 ? "often" : "seldom", i);
        action_cluster_put(c, "x", id, body);
    }
    action_cluster_refresh(c);
    return c;
}

static const char *const search = "{\"query\":{\"match\":{\"words\":\"seldom\"}},\"sort\":[\"n\"]}";

/* Asks node for tasks until `there` says so of the answer. */
static void wait_for_tasks(action_cluster *c, uint32_t node, const char *path,
                           bool (*there)(const char *answer))
{
    qd_env *env = qd_env_system();
    uint64_t end = qd_env_mono_ns(env) + WAIT_NS;
    do {
        assert_int_equal(action_cluster_call(c, node, "GET", path, NULL), 200);
        if (there(action_cluster_body(c))) return;
    } while (qd_env_mono_ns(env) < end);
    fail_msg("%s: %s", path, action_cluster_body(c));
}

static uint32_t count(const char *answer, const char *text)
{
    uint32_t n = 0;
    for (const char *p = answer; (p = strstr(p, text)); p++) n++;
    return n;
}

static bool both_parts(const char *answer)
{
    return count(answer, "[phase/query]") == 2;
}

static bool four(const char *answer)
{
    return count(answer, "\"action\":\"indices:data/read/search\"") == 4;
}

static bool two(const char *answer)
{
    return count(answer, "\"action\":\"indices:data/read/search\"") == 2;
}

static bool none(const char *answer)
{
    return !strstr(answer, "search");
}

static void the_tree_is_cancelled(void **state)
{
    (void)state;
    action_cluster *c = open_nodes();
    for (uint32_t from = 0; from < NODES; from++) {
        for (uint32_t i = 0; i < NODES; i++) {
            if (i != from) store_crash_reads_hold(action_cluster_disk(c, i), true);
        }
        uint32_t other = (from + 1) % NODES;
        action_errand *e = action_cluster_start(c, from, "POST", "/x/_search", search);
        const char *list = "/_tasks?actions=indices:data/read/search*&group_by=parents&detailed";
        wait_for_tasks(c, other, list, both_parts);
        assert_int_equal(count(action_cluster_body(c), "\"children\":["), 2);
        char parent[64];
        snprintf(parent, sizeof parent, "\"parent_task_id\":\"nodeidnodeidnodeid%04u:", from);
        assert_true(count(action_cluster_body(c), parent) >= 3);
        assert_int_equal(action_cluster_call(c, other, "POST",
                                             "/_tasks/_cancel?actions=indices:data/read/search",
                                             NULL),
                         200);
        assert_non_null(strstr(action_cluster_body(c), "\"cancelled\":true"));
        int status = action_cluster_wait(c, e);
        assert_int_equal(status, 400);
        assert_non_null(strstr(action_cluster_body(c), "task_cancelled_exception"));
        wait_for_tasks(c, other, "/_tasks?actions=*search*", none);
        for (uint32_t i = 0; i < NODES; i++) {
            store_crash_reads_hold(action_cluster_disk(c, i), false);
        }
        assert_int_equal(action_cluster_call(c, from, "POST", "/x/_search", search), 200);
        assert_non_null(strstr(action_cluster_body(c), "\"value\":20,"));
    }
    action_cluster_close(c);
}

/* Searches of one request run at one time, as many as it allows; answers are in their order. */
static void searches_of_one_request(void **state)
{
    static const char *const body = "{}\n{\"size\":0,\"query\":{\"range\":{\"n\":{\"lt\":4}}}}\n"
                                    "{\"index\":\"nowhere\"}\n{}\n"
                                    "{}\n{\"size\":0,\"query\":{\"range\":{\"n\":{\"lt\":6}}}}\n"
                                    "{}\n{\"size\":0,\"query\":{\"range\":{\"n\":{\"lt\":7}}}}\n"
                                    "{}\n{\"size\":0,\"query\":{\"range\":{\"n\":{\"lt\":8}}}}\n";
    static const char *const totals[] = {"\"value\":4,", "\"status\":404", "\"value\":6,",
                                         "\"value\":7,", "\"value\":8,"};
    static const char *const paths[] = {"/x/_msearch", "/x/_msearch?max_concurrent_searches=2",
                                        "/x/_msearch?max_concurrent_searches=1"};
    (void)state;
    action_cluster *c = open_nodes();
    for (size_t k = 0; k < QD_COUNT_OF(paths); k++) {
        store_crash_reads_hold(action_cluster_disk(c, 2), k < 2);
        action_errand *e = action_cluster_start(c, 0, "POST", paths[k], body);
        const char *list = "/_tasks?actions=indices:data/read/search&group_by=none";
        if (k < 2) wait_for_tasks(c, 1, list, k ? two : four);
        store_crash_reads_hold(action_cluster_disk(c, 2), false);
        assert_int_equal(action_cluster_wait(c, e), 200);
        const char *at = action_cluster_body(c);
        for (size_t i = 0; i < QD_COUNT_OF(totals); i++) {
            at = strstr(at, totals[i]);
            assert_non_null(at);
        }
    }
    action_cluster_close(c);
}

static void a_part_is_cancelled(void **state)
{
    (void)state;
    action_cluster *c = open_nodes();
    store_crash_reads_hold(action_cluster_disk(c, 2), true);
    action_errand *e = action_cluster_start(c, 0, "POST", "/x/_search", search);
    qd_env *env = qd_env_system();
    uint64_t end = qd_env_mono_ns(env) + WAIT_NS;
    uint32_t n = 0;
    while (!n && qd_env_mono_ns(env) < end) {
        assert_int_equal(
            action_cluster_call(c, 1, "GET", "/_tasks?actions=*query*&group_by=none", NULL), 200);
        n = count(action_cluster_body(c), "\"node\":\"nodeidnodeidnodeid0002\"");
    }
    assert_int_equal(n, 1);
    assert_int_equal(
        action_cluster_call(c, 1, "POST", "/_tasks/_cancel?actions=*query*&nodes=node-2", NULL),
        200);
    int status = action_cluster_wait(c, e);
    assert_int_equal(status, 200);
    assert_non_null(strstr(action_cluster_body(c), "\"failed\":2,\"failures\":["));
    assert_non_null(strstr(action_cluster_body(c), "task_cancelled_exception"));
    store_crash_reads_hold(action_cluster_disk(c, 2), false);
    action_cluster_close(c);
}

static void time_passes(void **state)
{
    (void)state;
    action_cluster *c = open_nodes();
    store_crash_reads_hold(action_cluster_disk(c, 2), true);
    assert_int_equal(action_cluster_wait(
                         c, action_cluster_start(c, 0, "POST", "/x/_search?timeout=50ms", search)),
                     200);
    assert_non_null(strstr(action_cluster_body(c), "\"timed_out\":true"));
    assert_non_null(strstr(action_cluster_body(c), "\"failed\":0"));
    store_crash_reads_hold(action_cluster_disk(c, 2), false);
    action_cluster_close(c);
}

/* Shards of a node that says nothing are missing when the time is over, in whatever phase. */
static void time_passes_at_a_silent_node(void **state)
{
    static const char *const paths[] = {
        "/x/_search?timeout=20ms",
        "/x/_search?timeout=20ms&pre_filter_shard_size=1",
        "/x/_search?timeout=20ms&search_type=dfs_query_then_fetch",
    };
    static const char *const range = "{\"query\":{\"range\":{\"n\":{\"gte\":0}}}}";
    (void)state;
    action_cluster *c = open_nodes();
    action_cluster_silence(c, 2);
    for (size_t i = 0; i < QD_COUNT_OF(paths); i++) {
        assert_int_equal(
            action_cluster_wait(c, action_cluster_start(c, 0, "POST", paths[i], range)), 200);
        assert_non_null(strstr(action_cluster_body(c), "\"timed_out\":true"));
        assert_non_null(strstr(action_cluster_body(c), "\"failed\":2,\"failures\":["));
        assert_non_null(strstr(action_cluster_body(c), "timeout_exception"));
    }
    assert_int_equal(
        action_cluster_wait(
            c, action_cluster_start(c, 0, "POST",
                                    "/x/_search?timeout=20ms&allow_partial_search_results=false",
                                    range)),
        504);
    action_cluster_close(c);
}

/* Where all or nothing is wanted, what shards have in time is not enough. */
static void all_or_nothing_in_time(void **state)
{
    (void)state;
    action_cluster *c = open_nodes();
    store_crash_reads_hold(action_cluster_disk(c, 2), true);
    int status = action_cluster_wait(
        c, action_cluster_start(
               c, 0, "POST", "/x/_search?timeout=50ms&allow_partial_search_results=false", search));
    assert_int_equal(status, 504);
    assert_non_null(strstr(action_cluster_body(c), "search_timeout_exception"));
    store_crash_reads_hold(action_cluster_disk(c, 2), false);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_is_cancelled),        cmocka_unit_test(searches_of_one_request),
        cmocka_unit_test(a_part_is_cancelled),          cmocka_unit_test(time_passes),
        cmocka_unit_test(time_passes_at_a_silent_node), cmocka_unit_test(all_or_nothing_in_time),
    };
    return unit_run(tests);
}
