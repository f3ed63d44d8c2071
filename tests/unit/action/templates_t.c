/* templates_t.c: templates stored, shown, removed, and in the indices that they match. */
#include "lib/action_node.h"
#include "unit/unit.h"

static void legacy(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(
        action_call(
            n, "PUT", "/_template/one",
            "{\"index_patterns\":[\"log-*\"],\"order\":1,\"settings\":{\"number_of_shards\":2},"
            "\"mappings\":{\"properties\":{\"a\":{\"type\":\"keyword\"},\"o\":{\"properties\":{"
            "\"x\":{\"type\":\"long\"}}}}},\"aliases\":{\"logs\":{}}}"),
        200);
    assert_int_equal(
        action_call(
            n, "PUT", "/_template/zero",
            "{\"index_patterns\":\"log-*\",\"settings\":{\"number_of_shards\":5,"
            "\"index.refresh_interval\":\"7s\"},\"mappings\":{\"properties\":{\"a\":{\"type\":"
            "\"text\",\"analyzer\":\"simple\"},\"o\":{\"properties\":{\"y\":{\"type\":\"date\"}}}}}"
            "}"),
        200);
    action_call(n, "GET", "/_template/one", NULL);
    assert_string_equal(
        action_body(n),
        "{\"one\":{\"order\":1,\"index_patterns\":[\"log-*\"],\"settings\":{\"index\":"
        "{\"number_of_shards\":\"2\"}},\"mappings\":{\"properties\":{\"a\":{\"type\":"
        "\"keyword\"},\"o\":{\"properties\":{\"x\":{\"type\":\"long\"}}}}},"
        "\"aliases\":{\"logs\":{}}}}");
    assert_int_equal(action_call(n, "PUT", "/log-1/_doc/1", "{\"a\":\"v\"}"), 201);
    action_call(n, "GET", "/log-1", NULL);
    assert_string_equal(action_at(n, "log-1.settings.index.number_of_shards"), "2");
    assert_string_equal(action_at(n, "log-1.settings.index.refresh_interval"), "7s");
    assert_string_equal(action_at(n, "log-1.mappings.properties.a"), "{\"type\":\"keyword\"}");
    assert_string_equal(action_at(n, "log-1.mappings.properties.o.properties.x.type"), "long");
    assert_string_equal(action_at(n, "log-1.mappings.properties.o.properties.y.type"), "date");
    assert_non_null(action_at(n, "log-1.aliases.logs"));
    assert_int_equal(
        action_call(n, "PUT", "/log-2",
                    "{\"settings\":{\"number_of_shards\":1},\"mappings\":{\"properties\":{\"a\":{"
                    "\"type\":\"long\"}}}}"),
        200);
    action_call(n, "GET", "/log-2", NULL);
    assert_string_equal(action_at(n, "log-2.settings.index.number_of_shards"), "1");
    assert_string_equal(action_at(n, "log-2.mappings.properties.a"), "{\"type\":\"long\"}");
    action_node_restart(n, false, 0);
    assert_int_equal(action_call(n, "HEAD", "/_template/zero", NULL), 200);
    assert_int_equal(action_call(n, "DELETE", "/_template/zero", NULL), 200);
    assert_int_equal(action_call(n, "HEAD", "/_template/zero", NULL), 404);
    assert_int_equal(action_call(n, "DELETE", "/_template/zero", NULL), 404);
    action_call(n, "GET", "/_cat/templates", NULL);
    assert_string_equal(action_body(n), "one [log-*] 1  \n");
    action_node_close(n);
}

static void composable(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(
        action_call(n, "PUT", "/_component_template/base",
                    "{\"template\":{\"settings\":{\"number_of_shards\":3,\"number_of_replicas\":0},"
                    "\"mappings\":{\"properties\":{\"t\":{\"type\":\"date\"}}}}}"),
        200);
    assert_int_equal(action_call(n, "PUT", "/_index_template/low",
                                 "{\"index_patterns\":[\"m-*\"],\"priority\":1,\"template\":{"
                                 "\"settings\":{\"number_of_shards\":9}}}"),
                     200);
    assert_int_equal(
        action_call(
            n, "PUT", "/_index_template/high",
            "{\"index_patterns\":[\"m-*\"],\"priority\":5,\"composed_of\":[\"base\"],"
            "\"template\":{\"settings\":{\"number_of_shards\":2},\"mappings\":{\"properties\":{"
            "\"k\":{\"type\":\"keyword\"}}},\"aliases\":{\"all-m\":{\"is_write_index\":true}}},"
            "\"_meta\":{\"by\":\"test\"}}"),
        200);
    assert_int_equal(action_call(n, "PUT", "/_template/old",
                                 "{\"index_patterns\":[\"m-*\"],\"settings\":{\"codec\":"
                                 "\"best_compression\"}}"),
                     200);
    assert_int_equal(action_call(n, "PUT", "/m-1", NULL), 200);
    action_call(n, "GET", "/m-1", NULL);
    assert_string_equal(action_at(n, "m-1.settings.index.number_of_shards"), "2");
    assert_string_equal(action_at(n, "m-1.settings.index.number_of_replicas"), "0");
    assert_null(action_at(n, "m-1.settings.index.codec"));
    assert_string_equal(action_at(n, "m-1.mappings.properties.t.type"), "date");
    assert_string_equal(action_at(n, "m-1.mappings.properties.k.type"), "keyword");
    assert_string_equal(action_at(n, "m-1.aliases.all-m.is_write_index"), "true");
    action_call(n, "GET", "/_index_template/hi*", NULL);
    assert_string_equal(action_at(n, "index_templates.0.name"), "high");
    assert_string_equal(action_at(n, "index_templates.0.index_template.composed_of"), "[\"base\"]");
    assert_string_equal(action_at(n, "index_templates.0.index_template._meta.by"), "test");
    action_call(n, "GET", "/_component_template", NULL);
    assert_string_equal(action_at(n, "component_templates.0.name"), "base");
    action_node_close(n);
}

static void wrong_templates(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/_template/x", "{\"settings\":{}}"), 400);
    assert_int_equal(action_call(n, "PUT", "/_template/x", "{\"index_patterns\":[\"a\"],\"b\":1}"),
                     400);
    assert_int_equal(action_call(n, "PUT", "/_index_template/x",
                                 "{\"index_patterns\":[\"a\"],\"composed_of\":[\"none\"]}"),
                     400);
    assert_int_equal(
        action_call(n, "PUT", "/_index_template/x",
                    "{\"index_patterns\":[\"a\"],\"template\":{\"settings\":{\"nope\":1}}}"),
        400);
    assert_int_equal(action_call(n, "GET", "/_index_template/x", NULL), 404);
    assert_string_equal(action_at(n, "error.reason"), "index template matching [x] not found");
    assert_int_equal(action_call(n, "PUT", "/_index_template/x", "{\"index_patterns\":[\"a\"]}"),
                     200);
    assert_int_equal(
        action_call(n, "PUT", "/_index_template/x?create=true", "{\"index_patterns\":[\"a\"]}"),
        400);
    assert_int_equal(action_call(n, "GET", "/_template/x", NULL), 404);
    assert_string_equal(action_body(n), "{}");
    action_node_close(n);
}

static void defaults_of_new_indices(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(
        action_call(n, "PUT", "/_cluster/settings",
                    "{\"persistent\":{\"cluster.default.index\":{\"number_of_shards\":3,"
                    "\"refresh_interval\":\"7s\",\"translog.durability\":\"async\"}},"
                    "\"transient\":{\"cluster.default.index.refresh_interval\":\"8s\"}}"),
        200);
    assert_int_equal(action_call(n, "PUT", "/_index_template/t",
                                 "{\"index_patterns\":[\"b*\"],\"template\":{\"settings\":"
                                 "{\"number_of_shards\":2}}}"),
                     200);
    assert_int_equal(action_call(n, "PUT", "/a/_doc/1", "{}"), 201); /* made by a write */
    assert_int_equal(
        action_call(n, "PUT", "/b", "{\"settings\":{\"translog.durability\":\"request\"}}"), 200);
    action_call(n, "GET", "/a,b/_settings", NULL);
    assert_string_equal(action_at(n, "a.settings.index.number_of_shards"), "3");
    assert_string_equal(action_at(n, "a.settings.index.refresh_interval"), "8s");
    assert_string_equal(action_at(n, "a.settings.index.translog.durability"), "async");
    assert_string_equal(action_at(n, "b.settings.index.number_of_shards"), "2");
    assert_string_equal(action_at(n, "b.settings.index.refresh_interval"), "8s");
    assert_string_equal(action_at(n, "b.settings.index.translog.durability"), "request");
    static const char *const wrong[] = {
        "{\"persistent\":{\"cluster.default.index.nope\":1}}",
        "{\"persistent\":{\"cluster.default.index.number_of_shards\":0}}",
        "{\"persistent\":{\"cluster.default.index.uuid\":\"x\"}}"};
    for (size_t i = 0; i < QD_COUNT_OF(wrong); i++)
        assert_int_equal(action_call(n, "PUT", "/_cluster/settings", wrong[i]), 400);
    assert_int_equal(action_call(n, "PUT", "/_cluster/settings",
                                 "{\"persistent\":{\"cluster.default.*\":null},\"transient\":"
                                 "{\"cluster.default.index.refresh_interval\":null}}"),
                     200);
    assert_int_equal(action_call(n, "PUT", "/c", NULL), 200);
    action_call(n, "GET", "/c/_settings", NULL);
    assert_string_equal(action_at(n, "c.settings.index.number_of_shards"), "1");
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy),
        cmocka_unit_test(composable),
        cmocka_unit_test(wrong_templates),
        cmocka_unit_test(defaults_of_new_indices),
    };
    return unit_run(tests);
}
