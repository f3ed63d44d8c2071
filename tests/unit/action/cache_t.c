/* cache_t.c: answers without hits are kept until a refresh, and say what a new search would say. */
#include "lib/action_node.h"
#include "lib/action_parts.h"
#include "unit/unit.h"
#include "json/reader.h"
#include <quidditch/operator.h>
#include <quidditch/plugin.h>
#include <stdio.h>
#include <stdlib.h>

static action_node *open_node(const char *settings)
{
    action_node *n = action_node_open(settings);
    assert_int_equal(action_call(n, "PUT", "/x", "{\"settings\":{\"number_of_shards\":2}}"), 200);
    for (int i = 0; i < 10; i++) {
        char path[64], body[64];
        snprintf(path, sizeof path, "/x/_doc/%d", i);
        snprintf(body, sizeof body, "{\"n\":%d,\"d\":\"2024-01-%02d\"}", i, i + 1);
        assert_int_equal(action_call(n, "PUT", path, body), 201);
    }
    assert_int_equal(action_call(n, "POST", "/x/_refresh", NULL), 200);
    return n;
}

static int figure(action_node *n, const char *name)
{
    char path[96];
    assert_int_equal(action_call(n, "GET", "/x/_stats/request_cache", NULL), 200);
    snprintf(path, sizeof path, "_all.total.request_cache.%s", name);
    assert_non_null(action_at(n, path));
    return atoi(action_at(n, path));
}

static const char sum[] = "{\"size\":0,\"aggs\":{\"s\":{\"sum\":{\"field\":\"n\"}}}}";

static void sum_is(action_node *n, const char *path, const char *body, const char *value)
{
    assert_int_equal(action_call(n, "POST", path, body), 200);
    assert_string_equal(action_at(n, "aggregations.s.value"), value);
    assert_non_null(action_at(n, "took"));
    assert_string_equal(action_at(n, "timed_out"), "false");
    assert_string_equal(action_at(n, "_shards.successful"), "2");
}

static void a_refresh_ends_what_is_kept(void **state)
{
    (void)state;
    action_node *n = open_node(NULL);
    sum_is(n, "/x/_search", sum, "45.0");
    assert_int_equal(figure(n, "miss_count"), 2);
    assert_true(figure(n, "memory_size_in_bytes") > 0);
    sum_is(n, "/x/_search", sum, "45.0");
    sum_is(n, "/x/_search", "{ \"size\": 0,\n\"aggs\": {\"s\": {\"sum\": {\"field\": \"n\"}}}}",
           "45.0");
    assert_int_equal(figure(n, "hit_count"), 4);
    assert_int_equal(action_call(n, "PUT", "/x/_doc/10", "{\"n\":55}"), 201);
    sum_is(n, "/x/_search", sum, "45.0"); /* as the search would: not refreshed yet */
    assert_int_equal(action_call(n, "POST", "/x/_refresh", NULL), 200);
    sum_is(n, "/x/_search", sum, "100.0");
    assert_int_equal(action_call(n, "DELETE", "/x/_doc/9?refresh", NULL), 200);
    sum_is(n, "/x/_search", sum, "91.0");
    sum_is(n, "/x/_search?pretty", sum, "91.0");
    sum_is(n, "/x/_search?pretty", sum, "91.0");
    assert_non_null(strstr(action_body(n), "\n  \"timed_out\" : false"));
    assert_int_equal(action_call(n, "POST", "/x/_cache/clear?request=true", NULL), 200);
    assert_int_equal(figure(n, "memory_size_in_bytes"), 0);
    assert_int_equal(figure(n, "evictions"), 0);
    action_node_close(n);
}

/* Answers that a refresh or a change of the cluster has put out of date do not pile up. */
static void one_answer_to_a_question_is_kept(void **state)
{
    (void)state;
    action_node *n = open_node(NULL);
    sum_is(n, "/x/_search", sum, "45.0");
    int once = figure(n, "memory_size_in_bytes");
    for (int i = 0; i < 20; i++) {
        char body[96], value[32];
        snprintf(body, sizeof body, "{\"n\":%d,\"d\":\"2024-01-01\"}", 10 + i);
        snprintf(value, sizeof value, "%d.0", 55 + i);
        assert_int_equal(action_call(n, "PUT", "/x/_doc/10?refresh", body), i ? 200 : 201);
        sum_is(n, "/x/_search", sum, value);
        sum_is(n, "/x/_search", sum, value);
        assert_true(figure(n, "memory_size_in_bytes") <= once + 16);
    }
    assert_int_equal(figure(n, "hit_count"), 2 * 20);
    assert_int_equal(action_call(n, "PUT", "/y", NULL), 200); /* another revision */
    sum_is(n, "/x/_search", sum, "74.0");
    assert_true(figure(n, "memory_size_in_bytes") <= once + 16);
    assert_int_equal(figure(n, "evictions"), 0);
    action_node_close(n);
}

/* More questions than the table has slots. */
static void many_questions_are_found_again(void **state)
{
    (void)state;
    action_node *n = open_node(NULL);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 2500; i++) {
            char body[128];
            snprintf(
                body, sizeof body,
                "{\"size\":0,\"query\":{\"range\":{\"n\":{\"gte\":%d}}},\"aggs\":{\"s\":{\"sum\":"
                "{\"field\":\"n\"}}}}",
                -1 - i);
            sum_is(n, "/x/_search", body, "45.0");
        }
    assert_int_equal(figure(n, "miss_count"), 2 * 2500);
    assert_int_equal(figure(n, "hit_count"), 2 * 2500);
    action_node_close(n);
}

static void what_is_not_kept(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"aggs\":{\"s\":{\"sum\":{\"field\":\"n\"}}}}",
        "{\"size\":0,\"query\":{\"range\":{\"d\":{\"lt\":\"now-1d\"}}},\"aggs\":{\"s\":{\"sum\":{"
        "\"field\":"
        "\"n\"}}}}",
        "{\"size\":0,\"query\":{\"range\":{\"d\":{\"lt\":\"\\u006eow\"}}},\"aggs\":{\"s\":{\"sum\":"
        "{\"field\":"
        "\"n\"}}}}",
    };
    action_node *n = open_node(NULL);
    for (size_t i = 0; i < QD_COUNT_OF(bodies); i++) {
        sum_is(n, "/x/_search", bodies[i], "45.0");
        sum_is(n, "/x/_search", bodies[i], "45.0");
    }
    sum_is(n, "/x/_search?request_cache=false", sum, "45.0");
    sum_is(n, "/x/_search?search_type=dfs_query_then_fetch", sum, "45.0");
    assert_int_equal(figure(n, "hit_count") + figure(n, "miss_count"), 0);
    assert_int_equal(
        action_call(n, "PUT", "/x/_settings", "{\"index.requests.cache.enable\":false}"), 200);
    sum_is(n, "/x/_search", sum, "45.0");
    assert_int_equal(figure(n, "miss_count"), 0);
    sum_is(n, "/x/_search?request_cache=true", sum, "45.0");
    sum_is(n, "/x/_search?request_cache=true", sum, "45.0");
    assert_int_equal(figure(n, "miss_count"), 2);
    assert_int_equal(figure(n, "hit_count"), 2);
    action_node_close(n);
}

static void the_least_used_goes_first(void **state)
{
    (void)state;
    action_node *n = open_node("indices.requests.cache.size=4kb");
    for (int i = 0; i < 40; i++) {
        char body[128];
        snprintf(body, sizeof body,
                 "{\"size\":0,\"query\":{\"range\":{\"n\":{\"gte\":%d}}},\"aggs\":{\"s\":{\"sum\":"
                 "{\"field\":\"n\"}}}}",
                 -1 - i);
        sum_is(n, "/x/_search", body, "45.0");
        sum_is(n, "/x/_search", sum, "45.0"); /* used all the time: it stays */
    }
    assert_int_equal(figure(n, "hit_count"), 2 * 39);
    assert_true(figure(n, "evictions") > 0);
    assert_true(figure(n, "memory_size_in_bytes") <= 4096);
    action_node_close(n);
}

/* {"steady": {}} and {"moody": {}} match every document; only the answer of the first may be kept.
 */
static int32_t all_parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    (void)err;
    assert_int_equal(qd_json_next(r), QD_JSON_OBJECT);
    assert_int_equal(qd_json_next(r), QD_JSON_OBJECT_END);
    *out = ctx;
    return 0;
}

static int32_t all_rewrite(const qd_query_ctx *ctx, const void *parsed, qd_query_node **out,
                           qd_err *err)
{
    static qd_query_node all = {
        .struct_size = sizeof(qd_query_node), .type = QD_NODE_ALL, .boost = 1};
    (void)ctx, (void)parsed, (void)err;
    *out = &all;
    return 0;
}

static const qd_operator_vtable steady_vt = {
    .head = QD_VTABLE(qd_operator_vtable, OPERATOR, QD_OPERATOR_REWRITES | QD_OPERATOR_CACHEABLE),
    .parse = all_parse,
    .rewrite = all_rewrite};
static const qd_operator_vtable moody_vt = {
    .head = QD_VTABLE(qd_operator_vtable, OPERATOR, QD_OPERATOR_REWRITES),
    .parse = all_parse,
    .rewrite = all_rewrite};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    int32_t rc = host->provide(self, QD_KIND_OPERATOR, "steady", &steady_vt, err);
    return rc ? rc : host->provide(self, QD_KIND_OPERATOR, "moody", &moody_vt, err);
}

static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0),       .name = "moods", .version = "1",
    .license = "Apache-2.0", .build_id = "",  .init = init,
};

static void operators_that_may_not_be_kept_are_not(void **state)
{
    static const struct {
        const char *body;
        int hits; /* of the second search, on two shards */
    } of[] = {
        {"{\"size\":0,\"query\":{\"steady\":{}}}", 2},
        {"{\"size\":0,\"query\":{\"moody\":{}}}", 0},
        {"{\"size\":0,\"query\":{\"bool\":{\"filter\":[{\"moody\":{}}]}}}", 0},
        {"{\"size\":0,\"post_filter\":{\"moody\":{}}}", 0},
        {"{\"size\":0,\"aggs\":{\"f\":{\"filter\":{\"steady\":{}}}}}", 2},
        {"{\"size\":0,\"aggs\":{\"f\":{\"filter\":{\"moody\":{}}}}}", 0},
    };
    (void)state;
    action_plugin = &plugin;
    action_node *n = open_node(NULL);
    for (size_t i = 0; i < QD_COUNT_OF(of); i++) {
        int before = figure(n, "hit_count");
        for (int k = 0; k < 2; k++) {
            assert_int_equal(action_call(n, "POST", "/x/_search", of[i].body), 200);
            assert_string_equal(action_at(n, "hits.total.value"), "10");
        }
        assert_int_equal(figure(n, "hit_count") - before, of[i].hits);
    }
    action_node_close(n);
    action_plugin = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refresh_ends_what_is_kept),
        cmocka_unit_test(one_answer_to_a_question_is_kept),
        cmocka_unit_test(many_questions_are_found_again),
        cmocka_unit_test(what_is_not_kept),
        cmocka_unit_test(the_least_used_goes_first),
        cmocka_unit_test(operators_that_may_not_be_kept_are_not),
    };
    return unit_run(tests);
}
