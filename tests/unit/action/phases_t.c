/*
 * phases_t.c: searches over a tier that answers late. Between plan and run a search is off its
 * worker: one search thread has any number of searches waiting for storage, and answers others
 * meanwhile; what waits can be cancelled, times out, and pays for what it fetches.
 */
#include "lib/action_node.h"
#include "unit/unit.h"
#include <stdio.h>

#define LATE_US 1000
#define DOCS 40
#define SEARCHES 8

static action_node *open_node(uint32_t shards)
{
    char body[256];
    store_crash_options disk = {.copies = true, .late_us = LATE_US};
    action_node *n = action_node_open_on(NULL, &disk);
    qd_pool_resize(qd_pools_get(action_node_actions(n)->pools, "search"), 1, 1000);
    snprintf(body, sizeof body,
             "{\"settings\":{\"number_of_shards\":%u,\"refresh_interval\":\"-1\"}}", shards);
    assert_int_equal(action_call(n, "PUT", "/x", body), 200);
    for (int i = 0; i < DOCS; i++) {
        char path[64];
        snprintf(path, sizeof path, "/x/_doc/%d", i);
        snprintf(body, sizeof body, "{\"words\":\"common %s\",\"n\":%d,\"tag\":\"t%d\"}",
                 i % 4 ? "often" : "seldom", i, i % 5);
        assert_int_equal(action_call(n, "PUT", path, body), 201);
    }
    assert_int_equal(action_call(n, "POST", "/x/_refresh", NULL), 200);
    return n;
}

static qd_pool_stats stats_of(action_node *n)
{
    qd_pool_stats s;
    qd_pool_stats_get(qd_pools_get(action_node_actions(n)->pools, "search"), &s);
    return s;
}

/* The one search thread has got to what was submitted before: it answers something that reads
 * nothing. */
static void let_all_begin(action_node *n)
{
    assert_int_equal(action_call(n, "GET", "/_validate/query", "{\"query\":{\"match_all\":{}}}"),
                     200);
    assert_string_equal(action_at(n, "valid"), "true");
}

static const char *const searches[] = {
    "{\"query\":{\"match\":{\"words\":\"seldom\"}}}",
    "{\"query\":{\"match_phrase\":{\"words\":\"common seldom\"}},\"sort\":[{\"n\":\"desc\"}]}",
    "{\"query\":{\"bool\":{\"must\":{\"match\":{\"words\":\"seldom\"}},"
    "\"filter\":{\"range\":{\"n\":{\"gte\":0}}}}},\"highlight\":{\"fields\":{\"words\":{}}}}",
    "{\"query\":{\"terms\":{\"tag.keyword\":[\"t0\",\"t1\",\"t2\",\"t3\",\"t4\"]}},"
    "\"post_filter\":{\"match\":{\"words\":\"seldom\"}},\"docvalue_fields\":[\"n\"]}",
    "{\"query\":{\"match\":{\"words\":\"seldom\"}},\"aggs\":{\"t\":{\"terms\":"
    "{\"field\":\"tag.keyword\"},\"aggs\":{\"s\":{\"sum\":{\"field\":\"n\"}}}}}}",
    "{\"query\":{\"prefix\":{\"words\":\"seld\"}},\"sort\":[{\"tag.keyword\":\"asc\"}]}",
    "{\"query\":{\"match\":{\"words\":\"seldom\"}},\"explain\":true,\"version\":true}",
    "{\"query\":{\"fuzzy\":{\"words\":\"seldon\"}},\"size\":3}",
};

static void many_wait_on_one_thread(void **state)
{
    (void)state;
    action_node *n = open_node(3);
    action_ticket *at[SEARCHES];
    store_crash *disk = action_node_disk(n);
    qd_pool_stats before = stats_of(n), s;
    store_crash_reads_hold(disk, true);
    for (int i = 0; i < SEARCHES; i++) at[i] = action_start(n, "POST", "/x/_search", searches[i]);
    let_all_begin(n);
    s = stats_of(n);
    assert_int_equal(s.threads, 1);
    assert_true(s.parked >= SEARCHES); /* with their shards' */
    assert_true(store_crash_reads_waiting(disk) >= SEARCHES);
    store_crash_reads_hold(disk, false);
    for (int i = 0; i < SEARCHES; i++) {
        assert_int_equal(action_wait(n, at[i]), 200);
        assert_string_equal(action_at(n, "hits.total.value"), "10");
        assert_string_equal(action_at(n, "_shards.successful"), "3");
        assert_non_null(action_at(n, "hits.hits.2._source.words"));
        if (i == 1) assert_string_equal(action_at(n, "hits.hits.0._source.n"), "36");
        if (i == 2)
            assert_string_equal(action_at(n, "hits.hits.0.highlight.words.0"),
                                "common <em>seldom</em>");
        if (i == 4) assert_string_equal(action_at(n, "aggregations.t.buckets.0.doc_count"), "2");
    }
    s = stats_of(n);
    assert_int_equal(s.parked, 0);
    assert_int_equal(s.threads, 1);
    assert_true(s.parks > before.parks + 2 * SEARCHES); /* postings, then documents */
    action_node_close(n);
}

/* All fetches of documents wait at the same time, too. */
static void documents_are_waited_for_together(void **state)
{
    (void)state;
    action_node *n = open_node(1);
    action_ticket *at[SEARCHES];
    store_crash *disk = action_node_disk(n);
    const char *ids = "{\"query\":{\"match_all\":{}},\"size\":40}";
    /* A query of everything reads nothing: the first read is of the documents. */
    store_crash_reads_hold(disk, true);
    for (int i = 0; i < SEARCHES; i++) at[i] = action_start(n, "POST", "/x/_search", ids);
    let_all_begin(n);
    assert_int_equal(stats_of(n).parked, SEARCHES);
    store_crash_reads_hold(disk, false);
    for (int i = 0; i < SEARCHES; i++) {
        assert_int_equal(action_wait(n, at[i]), 200);
        assert_non_null(action_at(n, "hits.hits.39._source.tag"));
    }
    action_node_close(n);
}

static void what_waits_can_be_cancelled_and_times_out(void **state)
{
    (void)state;
    action_node *n = open_node(2);
    store_crash *disk = action_node_disk(n);
    store_crash_reads_hold(disk, true);
    action_ticket *left = action_start(n, "POST", "/x/_search", searches[0]);
    action_ticket *documents =
        action_start(n, "POST", "/x/_search", "{\"query\":{\"match_all\":{}}}");
    action_ticket *late =
        action_start(n, "POST", "/x/_search",
                     "{\"query\":{\"match\":{\"words\":\"seldom\"}},\"timeout\":\"1ms\"}");
    let_all_begin(n);
    action_leave(left);
    action_leave(documents);
    /* The tier still holds every read: nobody waited for it. */
    assert_int_equal(action_wait(n, left), 400);
    assert_string_equal(action_at(n, "error.type"), "task_cancelled_exception");
    assert_int_equal(action_wait(n, documents), 400);
    assert_string_equal(action_at(n, "error.type"), "task_cancelled_exception");
    assert_int_equal(action_wait(n, late), 200);
    assert_string_equal(action_at(n, "timed_out"), "true");
    assert_string_equal(action_at(n, "_shards.successful"), "2");
    store_crash_reads_hold(disk, false);
    assert_int_equal(stats_of(n).parked, 0);
    action_node_close(n);
}

static void what_is_fetched_is_paid_for(void **state)
{
    (void)state;
    action_node *n = open_node(1);
    qd_account *a = action_node_actions(n)->account;
    int64_t used = qd_account_used(a);
    bool refused = false, served = false;
    for (int64_t room = 4096; room <= 64 << 20 && !served; room *= 2) {
        atomic_store(&a->limit, used + room);
        int status = action_call(n, "POST", "/x/_search", searches[1]);
        served = status == 200;
        if (served) break;
        assert_int_equal(status, 429);
        assert_string_equal(action_at(n, "error.root_cause.0.type"), "circuit_breaking_exception");
        refused = true;
    }
    assert_true(refused);
    assert_true(served);
    atomic_store(&a->limit, 0);
    assert_int_equal(action_call(n, "POST", "/x/_search", searches[1]), 200);
    action_node_close(n);
}

static void a_failed_read_fails_its_search_alone(void **state)
{
    (void)state;
    action_node *n = open_node(1);
    store_crash *disk = action_node_disk(n);
    assert_int_equal(action_call(n, "POST", "/x/_search", searches[0]), 200);
    store_crash_reads_hold(disk, true);
    action_ticket *bad = action_start(n, "POST", "/x/_search", searches[0]);
    let_all_begin(n);
    store_crash_fail_at(disk, STORE_CRASH_READS, 1, QD_E_IO, false);
    store_crash_reads_hold(disk, false);
    assert_true(action_wait(n, bad) >= 500);
    store_crash_fail_at(disk, STORE_CRASH_READS, 0, 0, false);
    assert_int_equal(action_call(n, "POST", "/x/_search", searches[0]), 200);
    assert_string_equal(action_at(n, "hits.total.value"), "10");
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_wait_on_one_thread),
        cmocka_unit_test(documents_are_waited_for_together),
        cmocka_unit_test(what_waits_can_be_cancelled_and_times_out),
        cmocka_unit_test(what_is_fetched_is_paid_for),
        cmocka_unit_test(a_failed_read_fails_its_search_alone),
    };
    return unit_run(tests);
}
