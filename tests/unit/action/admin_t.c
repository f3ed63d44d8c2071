/* admin_t.c: figures and state of nodes, indices and the cluster; tasks. */
#include "lib/action_node.h"
#include "unit/unit.h"
#include <stdio.h>

#define NODE "nodeidnodeidnodeid0001"

static action_node *with_documents(const char *settings)
{
    action_node *n = action_node_open(settings);
    assert_int_equal(action_call(n, "PUT", "/test1",
                                 "{\"settings\":{\"number_of_shards\":2,\"number_of_replicas\":1},"
                                 "\"aliases\":{\"al\":{}}}"),
                     200);
    assert_int_equal(
        action_call(n, "PUT", "/test2",
                    "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0}}"),
        200);
    assert_int_equal(action_call(n, "PUT", "/test1/_doc/1?refresh", "{\"foo\":\"bar\"}"), 201);
    assert_int_equal(action_call(n, "PUT", "/test2/_doc/1?refresh", "{\"foo\":\"baz\"}"), 201);
    return n;
}

static void index_stats(void **state)
{
    (void)state;
    action_node *n = with_documents(NULL);
    assert_int_equal(action_call(n, "GET", "/_stats", NULL), 200);
    assert_string_equal(action_at(n, "_shards.total"), "5");
    assert_string_equal(action_at(n, "_shards.successful"), "3");
    assert_string_equal(action_at(n, "_all.total.docs.count"), "2");
    assert_string_equal(action_at(n, "indices.test1.primaries.indexing.index_total"), "1");
    assert_non_null(action_at(n, "indices.test2.uuid"));
    action_call(n, "GET", "/test2/_stats/docs,store?level=shards", NULL);
    assert_null(action_at(n, "indices.test1"));
    assert_null(action_at(n, "_all.total.indexing"));
    assert_string_equal(action_at(n, "indices.test2.shards.0.0.docs.count"), "1");
    assert_string_equal(action_at(n, "indices.test2.shards.0.0.seq_no.max_seq_no"), "0");
    action_call(n, "GET", "/bla*/_stats", NULL);
    assert_string_equal(action_at(n, "_shards.total"), "0");
    assert_int_equal(action_call(n, "GET", "/_stats/fieldata", NULL), 400);
    assert_string_equal(
        action_at(n, "error.reason"),
        "request [/_stats/fieldata] contains unrecognized metric: [fieldata] -> did you mean "
        "[fielddata]?");
    action_call(n, "POST", "/test2/_update/1", "{\"doc\":{\"foo\":\"baz\"}}");
    action_call(n, "GET", "/test2/_stats/indexing", NULL);
    assert_string_equal(action_at(n, "indices.test2.total.indexing.noop_update_total"), "1");
    assert_int_equal(action_call(n, "GET", "/test2/_search?q=baz", NULL), 200);
    action_call(n, "GET", "/test2/_stats/search", NULL);
    assert_string_equal(action_at(n, "indices.test2.total.search.query_total"), "1");
    assert_string_equal(action_at(n, "indices.test2.total.search.fetch_total"), "1");
    assert_string_equal(action_at(n, "indices.test2.total.search.query_current"), "0");
    action_call(n, "GET", "/test2/_segments", NULL);
    assert_string_equal(action_at(n, "indices.test2.shards.0.0.num_search_segments"), "1");
    action_call(n, "GET", "/test2/_recovery?human", NULL);
    assert_string_equal(action_at(n, "test2.shards.0.stage"), "DONE");
    assert_int_equal(action_call(n, "POST", "/_cache/clear", NULL), 200);
    assert_string_equal(action_at(n, "_shards.successful"), "3");
    action_node_close(n);
}

static void cluster_state(void **state)
{
    (void)state;
    action_node *n = with_documents(NULL);
    assert_int_equal(action_call(n, "GET", "/_cluster/state", NULL), 200);
    assert_string_equal(action_at(n, "master_node"), NODE);
    assert_null(action_at(n, "cluster_manager_node"));
    assert_string_equal(action_at(n, "blocks"), "{}");
    assert_int_equal(strlen(action_at(n, "state_uuid")), 22);
    assert_string_equal(action_at(n, "metadata.indices.test1.state"), "open");
    assert_string_equal(action_at(n, "metadata.indices.test1.aliases.0"), "al");
    assert_string_equal(action_at(n, "metadata.indices.test1.mappings._doc.properties.foo.type"),
                        "text");
    assert_string_equal(action_at(n, "metadata.indices.test1.settings.index.number_of_shards"),
                        "2");
    assert_string_equal(action_at(n, "routing_table.indices.test1.shards.1.0.state"), "STARTED");
    assert_string_equal(action_at(n, "routing_table.indices.test1.shards.1.1.state"), "UNASSIGNED");
    assert_string_equal(action_at(n, "routing_nodes.nodes." NODE ".2.index"), "test2");
    action_call(n, "PUT", "/test2/_settings", "{\"index.blocks.read_only\":true}");
    action_call(n, "GET", "/_cluster/state/blocks,nodes/test2", NULL);
    assert_string_equal(action_at(n, "blocks.indices.test2.5.levels"),
                        "[\"write\",\"metadata_write\"]");
    assert_string_equal(action_at(n, "nodes." NODE ".roles"), "[\"data\",\"ingest\",\"master\"]");
    assert_null(action_at(n, "metadata"));
    assert_null(action_at(n, "version"));
    assert_int_equal(action_call(n, "GET", "/_cluster/state/nodse", NULL), 400);
    action_call(n, "GET", "/_cluster/pending_tasks", NULL);
    assert_string_equal(action_body(n), "{\"tasks\":[]}");
    action_node_close(n);
}

static void nodes(void **state)
{
    (void)state;
    action_node *n = with_documents("node.attr.testattr=test");
    assert_int_equal(action_call(n, "GET", "/_nodes", NULL), 200);
    assert_string_equal(action_at(n, "_nodes.total"), "1");
    assert_string_equal(action_at(n, "nodes." NODE ".version"), "8.19.0");
    assert_string_equal(action_at(n, "nodes." NODE ".http.publish_address"), "127.0.0.1:9200");
    assert_string_equal(action_at(n, "nodes." NODE ".ip"), "127.0.0.1");
    assert_string_equal(action_at(n, "nodes." NODE ".attributes.testattr"), "test");
    assert_string_equal(action_at(n, "nodes." NODE ".settings.client.type"), "node");
    assert_string_equal(action_at(n, "nodes." NODE ".thread_pool.write.size"), "2");
    assert_string_equal(action_at(n, "nodes." NODE ".modules.0.name"), "analysis");
    action_call(n, "GET", "/_nodes/http", NULL);
    assert_non_null(action_at(n, "nodes." NODE ".http"));
    assert_null(action_at(n, "nodes." NODE ".os"));
    action_call(n, "GET", "/_nodes/_master/plugins", NULL);
    assert_string_equal(action_at(n, "nodes." NODE ".plugins"), "[]");
    action_call(n, "GET", "/_nodes/other", NULL);
    assert_string_equal(action_at(n, "nodes"), "{}");
    action_call(n, "GET", "/_nodes/settings?flat_settings", NULL);
    assert_string_equal(action_at(n, "nodes." NODE ".settings.client\\.type"), "node");
    action_node_close(n);
}

static void nodes_stats(void **state)
{
    (void)state;
    action_node *n = with_documents(NULL);
    assert_int_equal(action_call(n, "GET", "/_nodes/stats", NULL), 200);
    static const char *const there[] = {"indices.docs",
                                        "indices.translog",
                                        "os.mem.total_in_bytes",
                                        "process.mem",
                                        "jvm.mem.heap_used_percent",
                                        "thread_pool.search.queue",
                                        "fs.total",
                                        "transport.rx_count",
                                        "http.current_open",
                                        "breakers.parent",
                                        "discovery.published_cluster_states",
                                        "indexing_pressure.memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "nodes." NODE ".%s", there[i]);
        assert_non_null(action_at(n, path));
    }
    action_call(n, "GET", "/_nodes/stats/os,jvm", NULL);
    assert_null(action_at(n, "nodes." NODE ".indices"));
    action_call(n, "GET", "/_nodes/_local/stats/indices/docs?level=indices", NULL);
    assert_string_equal(action_at(n, "nodes." NODE ".indices.docs.count"), "2");
    assert_null(action_at(n, "nodes." NODE ".indices.store"));
    assert_string_equal(action_at(n, "nodes." NODE ".indices.indices.test1.docs.count"), "1");
    assert_int_equal(action_call(n, "GET", "/_nodes/stats/transprot", NULL), 400);
    assert_string_equal(
        action_at(n, "error.reason"),
        "request [/_nodes/stats/transprot] contains unrecognized metric: [transprot] -> did you "
        "mean [transport]?");
    assert_int_equal(action_call(n, "GET", "/_cluster/stats", NULL), 200);
    assert_string_equal(action_at(n, "indices.count"), "2");
    assert_string_equal(action_at(n, "indices.docs.count"), "2");
    assert_string_equal(action_at(n, "nodes.count.data"), "1");
    assert_string_equal(action_at(n, "status"), "yellow");
    assert_string_equal(action_at(n, "indices.mappings.field_types.0.name"), "text");
    action_node_close(n);
}

static void identities_of_state(void **state)
{
    (void)state;
    action_node *n = with_documents("compatibility.identity=os2");
    action_call(n, "GET", "/_cluster/state/master_node,cluster_manager_node,nodes", NULL);
    assert_string_equal(action_at(n, "cluster_manager_node"), NODE);
    assert_string_equal(action_at(n, "nodes." NODE ".roles.0"), "cluster_manager");
    action_call(n, "GET", "/_cluster/stats", NULL);
    assert_string_equal(action_at(n, "nodes.count.cluster_manager"), "1");
    action_node_close(n);
}

static void tasks(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "GET", "/_tasks?detailed", NULL), 200);
    assert_non_null(action_at(n, "nodes." NODE ".tasks"));
    assert_string_equal(action_at(n, "nodes." NODE ".roles.0"), "data");
    action_call(n, "GET", "/_tasks?group_by=none&actions=cluster:monitor/tasks/*", NULL);
    assert_string_equal(action_at(n, "tasks.0.action"), "cluster:monitor/tasks/lists");
    assert_string_equal(action_at(n, "tasks.0.node"), NODE);
    action_call(n, "GET", "/_tasks?actions=none", NULL);
    assert_string_equal(action_body(n), "{\"nodes\":{}}");
    assert_int_equal(action_call(n, "GET", "/_tasks/foo:1", NULL), 404);
    assert_string_equal(action_at(n, "error.reason"),
                        "task [foo:1] belongs to the node [foo] which isn't part of the cluster "
                        "and there is no record of the task");
    assert_int_equal(action_call(n, "GET", "/_tasks/foo", NULL), 400);
    assert_int_equal(action_call(n, "POST", "/_tasks/_cancel?actions=unknown_action", NULL), 200);
    assert_string_equal(action_at(n, "nodes"), "{}");
    assert_int_equal(action_call(n, "POST", "/_tasks/" NODE ":987654/_cancel", NULL), 404);
    assert_int_equal(action_call(n, "GET", "/_cat/tasks?h=action", NULL), 200);
    assert_non_null(strstr(action_body(n), "cluster:monitor/tasks/lists\n"));
    action_node_close(n);
}

/* A task of another request is found by its id, shown and stopped. */
static void task_by_id(void **state)
{
    qd_task t;
    char path[96];
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_task_begin(action_node_actions(n)->tasks, &t, "search", qd_str_c("long one"), true);
    snprintf(path, sizeof path, "/_tasks/" NODE ":%llu", (unsigned long long)t.id);
    assert_int_equal(action_call(n, "GET", path, NULL), 200);
    assert_string_equal(action_at(n, "task.action"), "indices:data/read/search");
    assert_string_equal(action_at(n, "task.description"), "long one");
    size_t n_path = strlen(path);
    snprintf(path + n_path, sizeof path - n_path, "/_cancel");
    assert_int_equal(action_call(n, "POST", path, NULL), 200);
    assert_true(qd_task_stopped(&t));
    snprintf(path, sizeof path, "nodes." NODE ".tasks." NODE ":%llu.cancelled",
             (unsigned long long)t.id);
    assert_string_equal(action_at(n, path), "true");
    qd_task_end(&t);
    action_node_close(n);
}

static void deleted_by_uuid(void **state)
{
    (void)state;
    char path[128];
    action_node *n = with_documents(NULL);
    assert_int_equal(action_call(n, "DELETE", "/test1?if_uuid=another", NULL), 409);
    assert_string_equal(action_at(n, "error.type"), "version_conflict_engine_exception");
    static const char settings[] = "{\"index\":{\"refresh_interval\":\"7s\"}}",
                      mapping[] = "{\"properties\":{\"later\":{\"type\":\"long\"}}}",
                      aliases[] =
                          "{\"actions\":[{\"add\":{\"index\":\"test1\",\"alias\":\"a1\"}}]}";
    for (int right = 0; right < 2; right++) {
        int want = right ? 200 : 409;
        action_call(n, "GET", "/test1/_settings", NULL);
        char uuid[64];
        snprintf(uuid, sizeof uuid, "%s",
                 right ? action_at(n, "test1.settings.index.uuid") : "another");
        snprintf(path, sizeof path, "/test1/_settings?if_uuid=%s", uuid);
        assert_int_equal(action_call(n, "PUT", path, settings), want);
        snprintf(path, sizeof path, "/test1/_mapping?if_uuid=%s", uuid);
        assert_int_equal(action_call(n, "PUT", path, mapping), want);
        snprintf(path, sizeof path, "/_aliases?if_uuid=%s", uuid);
        assert_int_equal(action_call(n, "POST", path, aliases), want);
        assert_int_equal(action_call(n, "GET", "/_alias/a1", NULL), right ? 200 : 404);
    }
    action_call(n, "GET", "/test1/_settings", NULL);
    snprintf(path, sizeof path, "/test1?if_uuid=%s", action_at(n, "test1.settings.index.uuid"));
    assert_int_equal(action_call(n, "DELETE", path, NULL), 200);
    assert_int_equal(action_call(n, "GET", "/test1", NULL), 404);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_stats),
        cmocka_unit_test(cluster_state),
        cmocka_unit_test(nodes),
        cmocka_unit_test(nodes_stats),
        cmocka_unit_test(identities_of_state),
        cmocka_unit_test(deleted_by_uuid),
        cmocka_unit_test(tasks),
        cmocka_unit_test(task_by_id),
    };
    return unit_run(tests);
}
