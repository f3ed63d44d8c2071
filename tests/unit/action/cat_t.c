/* cat_t.c: cluster health and the tables of _cat, as clients and scripts read them. */
#include "lib/action_node.h"
#include "unit/unit.h"
#include <regex.h>

static void matches(const char *text, const char *pattern)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&re, text, 0, NULL, 0);
    regfree(&re);
    if (rc) fprintf(stderr, "# [%s] does not match [%s]\n", text, pattern);
    assert_int_equal(rc, 0);
}

static void green_index(action_node *n, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/%s", name);
    assert_int_equal(
        action_call(n, "PUT", path,
                    "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0}}"),
        200);
}

static void health_counts(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "GET", "/_cluster/health", NULL), 200);
    assert_string_equal(action_at(n, "status"), "green");
    assert_string_equal(action_at(n, "active_shards"), "0");
    assert_string_equal(action_at(n, "active_shards_percent_as_number"), "100.0");
    assert_int_equal(
        action_call(n, "PUT", "/two",
                    "{\"settings\":{\"number_of_shards\":2,\"number_of_replicas\":1}}"),
        200);
    assert_int_equal(
        action_call(n, "GET", "/_cluster/health?wait_for_status=yellow&level=shards", NULL), 200);
    assert_string_equal(action_at(n, "status"), "yellow");
    assert_string_equal(action_at(n, "active_primary_shards"), "2");
    assert_string_equal(action_at(n, "unassigned_shards"), "2");
    assert_string_equal(action_at(n, "unassigned_primary_shards"), "0");
    assert_string_equal(action_at(n, "active_shards_percent_as_number"), "50.0");
    assert_string_equal(action_at(n, "indices.two.shards.1.primary_active"), "true");
    action_node_close(n);
}

static void health_waits(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "GET", "/_cluster/health?wait_for_nodes=10&timeout=1ms", NULL),
                     408);
    assert_string_equal(action_at(n, "timed_out"), "true");
    assert_int_equal(
        action_call(n, "GET", "/_cluster/health?wait_for_nodes=%3E%3D1&timeout=1ms", NULL), 200);
    assert_int_equal(action_call(n, "GET", "/_cluster/health/none?timeout=1ms", NULL), 408);
    assert_string_equal(action_at(n, "status"), "red");
    assert_int_equal(action_call(n, "GET", "/_cluster/health?wait_for_status=blue", NULL), 400);
    assert_int_equal(
        action_call(n, "GET", "/_cluster/health?wait_for_active_shards=5&timeout=1ms", NULL), 408);
    assert_int_equal(action_call(n, "GET", "/_cluster/health?level=node", NULL), 400);
    action_node_close(n);
}

/* The layout of _cat/health by identity: a monitor counts its columns. */
static void health_layouts(void **state)
{
    static const struct {
        const char *identity, *head;
    } layouts[] = {
        {"es8",
         "^epoch      timestamp cluster   status node\\.total node\\.data shards pri relo init "
         "unassign unassign\\.pri pending_tasks max_task_wait_time active_shards_percent\n"
         "[0-9]{10} [0-9]{2}:[0-9]{2}:[0-9]{2}  quidditch green           1         1      0   "
         "0    0    0        0            0             0                  -                "
         "100\\.0%\n$"},
        {"es7",
         "^epoch      timestamp cluster   status node\\.total node\\.data shards pri relo init "
         "unassign pending_tasks max_task_wait_time active_shards_percent\n"},
        {"os2",
         "^epoch      timestamp cluster   status node\\.total node\\.data "
         "discovered_cluster_manager shards pri relo init unassign pending_tasks "
         "max_task_wait_time active_shards_percent\n"
         "[0-9]{10} [0-9]{2}:[0-9]{2}:[0-9]{2}  quidditch green           1         1         "
         "              true      0   0    0    0        0             0                  -   "
         "             100\\.0%\n$"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        char setting[64];
        snprintf(setting, sizeof setting, "compatibility.identity=%s", layouts[i].identity);
        action_node *n = action_node_open(setting);
        assert_int_equal(action_call(n, "GET", "/_cat/health?v", NULL), 200);
        assert_int_equal(action_format(n), QD_FORMAT_TEXT);
        matches(action_body(n), layouts[i].head);
        action_node_close(n);
    }
}

static void table_parameters(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    green_index(n, "foo");
    green_index(n, "bar");
    green_index(n, "a-longer-name");
    assert_int_equal(action_call(n, "GET", "/_cat/indices?h=i,pri&s=index:desc", NULL), 200);
    assert_string_equal(action_body(n), "foo           1\nbar           1\na-longer-name 1\n");
    action_call(n, "GET", "/_cat/indices/b*,foo?h=index&s=i&v=true", NULL);
    assert_string_equal(action_body(n), "index\nbar\nfoo\n");
    action_call(n, "GET", "/_cat/indices?h=docs.*,nothing&v&s=index", NULL);
    assert_string_equal(action_body(n), "docs.count docs.deleted\n         0            0\n"
                                        "         0            0\n         0            0\n");
    action_call(n, "GET", "/_cat/indices/foo?h=ss,store.size&pri&bytes=b&v", NULL);
    matches(action_body(n), "^ *ss +pri\\.ss +store\\.size pri\\.store\\.size\n[ 0-9]+\n$");
    action_call(n, "GET", "/_cat/indices/foo?format=json&h=index,dc", NULL);
    assert_string_equal(action_body(n), "[{\"index\":\"foo\",\"dc\":\"0\"}]");
    action_call_accept(n, "GET", "/_cat/indices/foo?h=index", NULL, QD_FORMAT_JSON);
    assert_string_equal(action_body(n), "[{\"index\":\"foo\"}]");
    assert_int_equal(action_call(n, "GET", "/_cat/indices?s=nothing", NULL), 500);
    assert_string_equal(action_at(n, "error.type"), "unsupported_operation_exception");
    assert_int_equal(action_call(n, "GET", "/_cat/indices?health=purple", NULL), 400);
    assert_int_equal(action_call(n, "GET", "/_cat/indices/none", NULL), 404);
    action_node_close(n);
}

static void tables_answer(void **state)
{
    static const struct {
        const char *path, *pattern;
    } tables[] = {
        {"/_cat", "^=\\^\\.\\^=\n/_cat/"},
        {"/_cat/count", "^[0-9]+ [0-9:]{8} 1\n$"},
        {"/_cat/indices", "^green open foo [-A-Za-z0-9_]{22} 1 0 1 0 [0-9.]+k?b [0-9.]+k?b "
                          "[0-9.]+k?b\n$"},
        {"/_cat/shards", "^foo 0 p STARTED 1 [0-9.]+k?b [0-9.]+k?b 127\\.0\\.0\\.1 node-1\n$"},
        {"/_cat/segments",
         "^foo 0 p 127\\.0\\.0\\.1 _[0-9a-z]+ [0-9]+ 1 0 [0-9.]+k?b 0 (true|false) true "
         "[0-9.]+ true\n$"},
        {"/_cat/recovery?h=i,s,ty,st,top", "^foo 0 empty_store done 100\\.0%\n$"},
        {"/_cat/nodes", "^127\\.0\\.0\\.1 +[0-9]+ +[0-9]+ +[0-9]+ [0-9.]+ [0-9.]+ [0-9.]+ dim \\* "
                        "node-1\n$"},
        {"/_cat/nodes?h=heap.*&v", "^ *heap.current heap.percent +heap.max\n"},
        {"/_cat/nodes?h=id", "^[^ ]{4}\n$"},
        {"/_cat/nodes?h=disk.total,dup", "^1tb [0-9]+\\.[0-9]{2}\n$"},
        {"/_cat/master", "^[^ ]+ 127.0.0.1 127.0.0.1 node-1\n$"},
        {"/_cat/thread_pool/write?h=name,active,queue,rejected,size", "^write [01] 0 0 2\n$"},
        {"/_cat/aliases", "^shop foo \\* 1 2 true\n$"},
        {"/_cat/plugins", "^$"},
        {"/_cat/allocation", "^1 0 0\\.0 +[0-9.]+k?b [0-9.]+k?b [0-9.]+[kmg]?b [0-9.]+[tg]b 1tb "
                             "[0-9]+ 127\\.0\\.0\\.1 127\\.0\\.0\\.1 node-1 dim\n$"},
        {"/_cat/nodeattrs", "^node-1 127\\.0\\.0\\.1 127\\.0\\.0\\.1 zone east\n$"},
    };
    (void)state;
    action_node *n = action_node_open("node.attr.zone=east");
    green_index(n, "foo");
    assert_int_equal(action_call(n, "PUT", "/foo/_doc/1?refresh", "{\"a\":\"b\"}"), 201);
    assert_int_equal(
        action_call(n, "PUT", "/foo/_alias/shop",
                    "{\"filter\":{\"match_all\":{}},\"index_routing\":\"1\",\"search_routing\":"
                    "\"2\",\"is_write_index\":true}"),
        200);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        assert_int_equal(action_call(n, "GET", tables[i].path, NULL), 200);
        matches(action_body(n), tables[i].pattern);
    }
    action_node_close(n);
}

static void help_lists_columns(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    action_call(n, "GET", "/_cat/master?help", NULL);
    assert_string_equal(action_body(n), "id   |   | node id   \nhost | h | host name \n"
                                        "ip   |   | ip address\nnode | n | node name \n");
    action_node_close(n);
}

static void yaml(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    green_index(n, "foo");
    assert_int_equal(action_call(n, "PUT", "/foo/_alias/one", NULL), 200);
    action_call(n, "GET", "/_cat/indices?format=yaml&h=index,pri", NULL);
    assert_int_equal(action_format(n), QD_FORMAT_YAML);
    assert_string_equal(action_body(n), "---\n- index: \"foo\"\n  pri: \"1\"\n");
    action_call_accept(n, "GET", "/foo?filter_path=*.aliases,*.settings.index.number_of_shards",
                       NULL, QD_FORMAT_YAML);
    assert_string_equal(action_body(n), "---\nfoo:\n  aliases:\n    one: {}\n  settings:\n    "
                                        "index:\n      number_of_shards: \"1\"\n");
    action_call(n, "GET", "/_cluster/pending_tasks?format=yaml", NULL);
    assert_string_equal(action_body(n), "---\ntasks: []\n");
    action_call(n, "GET",
                "/_cluster/state/blocks,routing_nodes?format=yaml&filter_path=blocks,"
                "routing_nodes.nodes.*.index",
                NULL);
    assert_string_equal(action_body(n), "---\nblocks: {}\nrouting_nodes:\n  nodes:\n    "
                                        "nodeidnodeidnodeid0001:\n    - index: \"foo\"\n");
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_counts),  cmocka_unit_test(health_waits),
        cmocka_unit_test(health_layouts), cmocka_unit_test(table_parameters),
        cmocka_unit_test(tables_answer),  cmocka_unit_test(help_lists_columns),
        cmocka_unit_test(yaml),
    };
    return unit_run(tests);
}
