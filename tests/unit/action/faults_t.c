/*
 * faults_t.c: every allocation of the reading APIs fails once: the answer is an error or complete,
 * nothing leaks, and the next request is answered as ever.
 */
#include "base/mem.h"
#include "lib/action_node.h"
#include "unit/unit.h"

static const struct {
    const char *method, *path, *body;
} calls[] = {
    {"GET", "/", NULL},
    {"GET", "/_cluster/health?level=shards", NULL},
    {"GET", "/_cluster/state", NULL},
    {"GET", "/_cluster/stats", NULL},
    {"GET", "/_cluster/settings?include_defaults", NULL},
    {"GET", "/_nodes", NULL},
    {"GET", "/_nodes/stats?level=shards", NULL},
    {"GET", "/_stats?level=shards", NULL},
    {"GET", "/_segments", NULL},
    {"GET", "/_recovery?human", NULL},
    {"GET", "/_tasks?detailed", NULL},
    {"GET", "/metrics", NULL},
    {"GET", "/_cat/indices?v&s=index&h=*", NULL},
    {"GET", "/_cat/nodes?v&h=*", NULL},
    {"GET", "/_cat/shards?format=yaml", NULL},
    {"GET", "/_cat/templates", NULL},
    {"GET", "/_index_template", NULL},
    {"POST", "/_analyze",
     "{\"text\":[\"Foo Bar\",\"baz\"],\"tokenizer\":\"standard\",\"explain\":true,\"char_filter\":["
     "\"html_strip\"],\"filter\":[\"lowercase\",{\"type\":\"stop\",\"stopwords\":[\"foo\"]}]}"},
};

static void allocations_fail(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(
        action_call(
            n, "PUT", "/_index_template/t",
            "{\"index_patterns\":[\"x*\"],\"template\":{\"settings\":{\"number_of_shards\":2}}}"),
        200);
    assert_int_equal(action_call(n, "PUT", "/x/_doc/1?refresh", "{\"a\":\"b\"}"), 201);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        (void)qd_mem_fail_at(UINT64_MAX, false); /* counts only */
        assert_int_equal(action_call(n, calls[i].method, calls[i].path, calls[i].body), 200);
        uint64_t all = qd_mem_fail_at(0, false);
        for (uint64_t k = 1; k <= all; k++) {
            (void)qd_mem_fail_at(k, false);
            int status = action_call(n, calls[i].method, calls[i].path, calls[i].body);
            (void)qd_mem_fail_at(0, false);
            if (status != 200 && status != 429 && status < 500) {
                fprintf(stderr, "# %s, allocation %llu: %d %s\n", calls[i].path,
                        (unsigned long long)k, status, action_body(n));
            }
            assert_true(status == 200 || status == 429 || status >= 500);
        }
        assert_int_equal(action_call(n, calls[i].method, calls[i].path, calls[i].body), 200);
    }
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(allocations_fail)};
    return unit_run(tests);
}
