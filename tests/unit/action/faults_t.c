/*
 * faults_t.c: every allocation of the reading and of the writing APIs fails once: the answer is an
 * error or complete, nothing leaks, what was acknowledged is there, and the next request is
 * answered as ever.
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

/* Requests that change something; %1$llu is a number of its own for each run. */
static const struct {
    const char *method, *path, *body;
    const char *look; /* must be 200 once the change was acknowledged; NULL */
    int gone;         /* or 404 */
} changes[] = {
    {"POST", "/w/_bulk",
     "{\"index\":{\"_id\":\"a%1$llu\"}}\n{\"n\":%1$llu,\"t\":\"some words\"}\n"
     "{\"create\":{\"_id\":\"b%1$llu\"}}\n{\"n\":1}\n{\"delete\":{\"_id\":\"none\"}}\n",
     "/w/_doc/b%1$llu", 0},
    {"PUT", "/w/_doc/c%1$llu", "{\"n\":1,\"deep\":{\"er\":[1,2]}}", "/w/_doc/c%1$llu", 0},
    {"POST", "/w/_update/u%1$llu", "{\"doc\":{\"n\":2},\"doc_as_upsert\":true}", "/w/_doc/u%1$llu",
     0},
    {"PUT", "/w/_doc/f%1$llu", "{\"field%1$llu\":\"maps itself\"}", "/w/_doc/f%1$llu", 0},
    {"DELETE", "/w/_doc/c%1$llu", NULL, "/w/_doc/c%1$llu", 404},
    {"POST", "/w/_refresh", NULL, "/w/_doc/seed", 0},
    {"POST", "/w/_flush?force=true", NULL, "/w/_doc/seed", 0},
    {"POST", "/w/_forcemerge?max_num_segments=1", NULL, "/w/_doc/seed", 0},
    {"PUT", "/made%1$llu", "{\"aliases\":{\"x\":{}}}", "/made%1$llu", 0},
    {"DELETE", "/made%1$llu", NULL, "/made%1$llu", 404},
};

/* A shard that failed is opened again meanwhile. */
static int wait_for(action_node *n, const char *path, int status)
{
    qd_env *env = qd_env_system();
    uint64_t end = qd_env_mono_ns(env) + 30000000000u;
    int found = 0;
    while (found != status && qd_env_mono_ns(env) < end) found = action_call(n, "GET", path, NULL);
    return found;
}

static int change(action_node *n, size_t i, unsigned long long number)
{
    char path[200], body[800];
    snprintf(path, sizeof path, changes[i].path, number);
    snprintf(body, sizeof body, changes[i].body ? changes[i].body : "", number);
    return action_call(n, changes[i].method, path, changes[i].body ? body : NULL);
}

static void allocations_of_changes_fail(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    unsigned long long number = 0;
    assert_int_equal(action_call(n, "PUT", "/w/_doc/seed", "{\"n\":0}"), 201);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        unsigned long long first = number;
        bool creates = changes[i].gone == 0;
        if (!creates) first = number = 0; /* removes what the calls before it made */
        (void)qd_mem_fail_at(UINT64_MAX, false);
        (void)change(n, i, ++number);
        uint64_t all = qd_mem_fail_at(0, false);
        if (all > 1500) all = 1500;
        for (uint64_t k = 1; k <= all; k++) {
            char look[200];
            ++number;
            (void)qd_mem_fail_at(k, false);
            int status = change(n, i, number);
            (void)qd_mem_fail_at(0, false);
            bool whole = status < 300 && !strstr(action_body(n), "\"errors\":true") &&
                         strstr(action_body(n), "\"failed\":0") != NULL;
            whole |= status < 300 && !strstr(action_body(n), "\"_shards\"") &&
                     !strstr(action_body(n), "\"errors\":true");
            if (status >= 300 && status != 404 && status != 429 && status < 500) {
                fail_msg("%s %s, allocation %llu: %d %s", changes[i].method, changes[i].path,
                         (unsigned long long)k, status, action_body(n));
            }
            if (!whole || !changes[i].look) continue;
            char said[200];
            snprintf(said, sizeof said, "%s", action_body(n));
            snprintf(look, sizeof look, changes[i].look, number);
            int found = wait_for(n, look, creates ? 200 : 404);
            if (found != (creates ? 200 : 404)) {
                fail_msg("%s %s, allocation %llu: acknowledged (%s), then %s is %d %.200s",
                         changes[i].method, changes[i].path, (unsigned long long)k, said, look,
                         found, action_body(n));
            }
        }
        assert_true(number > first);
    }
    assert_int_equal(wait_for(n, "/w/_doc/seed", 200), 200);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(allocations_fail),
                                       cmocka_unit_test(allocations_of_changes_fail)};
    return unit_run(tests);
}
