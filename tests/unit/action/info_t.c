/* info_t.c: what clients see first: GET / for each identity, licence, readiness, metrics. */
#include "action/action.h"
#include "lib/action_node.h"
#include "runtime/sync.h"
#include "unit/unit.h"

/* The golden answers of GET /: everything but uuid and build_hash, which differ between nodes. */
static const struct {
    const char *identity, *setting, *version, *tagline;
} golden[] = {
    {"es7", "",
     "{\"number\":\"7.17.29\",\"build_flavor\":\"default\",\"build_type\":\"tar\",\"build_hash\":"
     "\"H\","
     "\"build_date\":\"2025-06-19T01:37:57.847711500Z\",\"build_snapshot\":false,"
     "\"lucene_version\":\"8.11.3\",\"minimum_wire_compatibility_version\":\"6.8.0\","
     "\"minimum_index_compatibility_version\":\"6.0.0-beta1\"}",
     "You Know, for Search"},
    {"es8", "",
     "{\"number\":\"8.19.0\",\"build_flavor\":\"default\",\"build_type\":\"tar\",\"build_hash\":"
     "\"H\","
     "\"build_date\":\"2025-07-23T22:10:18.138215839Z\",\"build_snapshot\":false,"
     "\"lucene_version\":\"9.12.2\",\"minimum_wire_compatibility_version\":\"7.17.0\","
     "\"minimum_index_compatibility_version\":\"7.0.0\"}",
     "You Know, for Search"},
    {"es9", "",
     "{\"number\":\"9.2.0\",\"build_flavor\":\"default\",\"build_type\":\"tar\",\"build_hash\":"
     "\"H\","
     "\"build_date\":\"2025-10-21T16:06:21.288851013Z\",\"build_snapshot\":false,"
     "\"lucene_version\":\"10.3.1\",\"minimum_wire_compatibility_version\":\"8.19.0\","
     "\"minimum_index_compatibility_version\":\"8.0.0\"}",
     "You Know, for Search"},
    {"os2", "",
     "{\"distribution\":\"opensearch\",\"number\":\"2.19.3\",\"build_flavor\":\"default\","
     "\"build_type\":\"tar\",\"build_hash\":\"H\",\"build_date\":\"2025-07-21T18:43:57."
     "612873000Z\","
     "\"build_snapshot\":false,\"lucene_version\":\"9.12.2\","
     "\"minimum_wire_compatibility_version\":\"7.10.0\","
     "\"minimum_index_compatibility_version\":\"7.0.0\"}",
     "The OpenSearch Project: https://opensearch.org/"},
    {"os3", "",
     "{\"distribution\":\"opensearch\",\"number\":\"3.3.0\",\"build_flavor\":\"default\","
     "\"build_type\":\"tar\",\"build_hash\":\"H\",\"build_date\":\"2025-10-13T20:05:41."
     "273418000Z\","
     "\"build_snapshot\":false,\"lucene_version\":\"10.3.1\","
     "\"minimum_wire_compatibility_version\":\"2.19.0\","
     "\"minimum_index_compatibility_version\":\"2.0.0\"}",
     "The OpenSearch Project: https://opensearch.org/"},
    {"es7.10.2", "",
     "{\"number\":\"7.10.2\",\"build_flavor\":\"default\",\"build_type\":\"tar\",\"build_hash\":"
     "\"H\","
     "\"build_date\":\"2021-01-13T00:42:12.435326Z\",\"build_snapshot\":false,"
     "\"lucene_version\":\"8.7.0\",\"minimum_wire_compatibility_version\":\"6.8.0\","
     "\"minimum_index_compatibility_version\":\"6.0.0-beta1\"}",
     "You Know, for Search"},
};

/* The text with the 40 digits of the build hash cut down to H. */
static void without_hash(char *text)
{
    char *hash = strstr(text, "\"build_hash\":\"");
    assert_non_null(hash);
    hash += strlen("\"build_hash\":\"");
    assert_int_equal(strspn(hash, "0123456789abcdef"), 40);
    hash[0] = 'H';
    memmove(hash + 1, hash + 40, strlen(hash + 40) + 1);
}

static void golden_identities(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        char settings[128], version[1024];
        snprintf(settings, sizeof settings, "compatibility.identity=%s\ncluster.name=shop",
                 golden[i].identity);
        action_node *n = action_node_open(settings);
        assert_int_equal(action_call(n, "GET", "/?pretty=false", NULL), 200);
        assert_string_equal(action_at(n, "name"), "node-1");
        assert_string_equal(action_at(n, "cluster_name"), "shop");
        assert_int_equal(strlen(action_at(n, "cluster_uuid")), 22);
        assert_string_equal(action_at(n, "tagline"), golden[i].tagline);
        snprintf(version, sizeof version, "%s", action_at(n, "version"));
        without_hash(version);
        assert_string_equal(version, golden[i].version);
        assert_int_equal(action_call(n, "HEAD", "/", NULL), 200);
        action_node_close(n);
    }
}

static void version_is_a_setting(void **state)
{
    (void)state;
    action_node *n = action_node_open("compatibility.version=8.11.4");
    action_call(n, "GET", "/", NULL);
    assert_string_equal(action_at(n, "version.number"), "8.11.4");
    action_node_close(n);
    n = action_node_open(
        "compatibility.identity=os2\ncompatibility.override_main_response_version=true");
    action_call(n, "GET", "/", NULL);
    assert_string_equal(action_at(n, "version.number"), "7.10.2");
    assert_string_equal(action_at(n, "version.distribution"), "opensearch");
    action_node_close(n);
}

static void start_of_shippers(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "GET", "/_license?human=false", NULL), 200);
    assert_string_equal(action_at(n, "license.status"), "active");
    assert_string_equal(action_at(n, "license.type"), "basic");
    assert_int_equal(action_call(n, "GET", "/_xpack", NULL), 200);
    assert_non_null(action_at(n, "features.ilm.available"));
    assert_non_null(action_at(n, "features.security.enabled"));
    assert_non_null(action_at(n, "features.data_streams.available"));
    action_node_close(n);
}

static void ready_when_started(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_actions *a = action_node_actions(n);
    assert_int_equal(action_call(n, "GET", "/ready", NULL), 200);
    atomic_store(&a->started, false);
    assert_int_equal(action_call(n, "GET", "/ready", NULL), 503);
    assert_string_equal(action_at(n, "ready"), "false");
    assert_int_equal(action_call(n, "GET", "/health", NULL), 200);
    assert_string_equal(action_at(n, "status"), "ok");
    action_node_close(n);
}

static void has_line(action_node *n, const char *line)
{
    const char *at = strstr(action_body(n), line);
    if (!at) fprintf(stderr, "# no line [%s] in\n%s\n", line, action_body(n));
    assert_non_null(at);
    assert_true(at == action_body(n) || at[-1] == '\n');
}

static void metrics_follow_work(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/a/_doc/1?refresh", "{\"x\":1}"), 201);
    assert_int_equal(action_call(n, "PUT", "/a/_doc/2?refresh", "{\"x\":2}"), 201);
    assert_int_equal(action_call(n, "PUT", "/a/_create/2", "{\"x\":2}"), 409);
    assert_int_equal(action_call(n, "GET", "/a/_search", NULL), 200);
    assert_int_equal(action_call(n, "GET", "/metrics", NULL), 200);
    assert_int_equal(action_format(n), QD_FORMAT_TEXT);
    has_line(n, "quidditch_indexing_docs_total 2\n");
    has_line(n, "quidditch_indexing_failed_total 1\n");
    has_line(n, "quidditch_docs 2\n");
    has_line(n, "quidditch_query_total 1\n");
    has_line(n, "quidditch_query_latency_seconds_bucket{le=\"+Inf\"} 1\n");
    has_line(n, "quidditch_disk_capacity_bytes 1099511627776\n");
    has_line(n, "# TYPE quidditch_disk_usage_bytes gauge\n");
    has_line(n, "quidditch_thread_pool_queue{pool=\"write\"} 0\n");
    has_line(n, "quidditch_api_requests_total{api=\"index\"} 2\n");
    has_line(n, "quidditch_api_failed_total{api=\"create\"} 1\n");
    action_node_close(n);
}

/* A call as a plugin makes it: its op is zeroed. */
typedef struct plugin_call {
    qd_action_call call; /* first */
    qd_latch ended;
    int32_t status;
    bool within; /* done came within submit */
} plugin_call;

static _Thread_local bool submitting;

static int32_t on_answer(qd_action_call *call, int32_t status, uint32_t format,
                         const qd_slice *piece)
{
    (void)format;
    (void)piece;
    ((plugin_call *)(void *)call)->status = status;
    return 0;
}

static void on_done(qd_op *op, int32_t rc)
{
    plugin_call *x = op->user;
    x->within = submitting;
    qd_latch_done(&x->ended, rc);
}

static void a_plugin_is_answered_behind_its_submit(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    const qd_pair index = {QD_STR("index"), QD_STR("a")};
    assert_int_equal(action_call(n, "PUT", "/a/_doc/1?refresh", "{\"t\":\"x\"}"), 201);
    for (int k = 0; k < 2; k++) { /* what the front end is answered on its thread */
        plugin_call x = {.call = {.op = {.done = on_done, .user = &x},
                                  .action = k ? QD_STR("search") : QD_STR("info"),
                                  .params = &index,
                                  .nparams = k ? 1 : 0,
                                  .accept = QD_FORMAT_JSON,
                                  .answer = on_answer}};
        for (int i = 0; i < 2; i++)
            assert_int_equal(action_call(n, "GET", "/a/_search", NULL), 200);
        qd_latch_init(&x.ended, 1);
        submitting = true;
        assert_int_equal(qd_actions_submit(action_node_actions(n), &x.call, NULL), 0);
        submitting = false;
        assert_int_equal(qd_latch_wait(&x.ended), 0);
        assert_int_equal(x.status, 200);
        assert_false(x.within);
    }
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_identities),
        cmocka_unit_test(version_is_a_setting),
        cmocka_unit_test(start_of_shippers),
        cmocka_unit_test(ready_when_started),
        cmocka_unit_test(metrics_follow_work),
        cmocka_unit_test(a_plugin_is_answered_behind_its_submit),
    };
    return unit_run(tests);
}
