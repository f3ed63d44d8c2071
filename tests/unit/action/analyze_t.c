/* analyze_t.c: _analyze and _cluster/settings as clients use them. */
#include "lib/action_node.h"
#include "unit/unit.h"

static void tokens(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "POST", "/_analyze", "{\"text\":\"Foo Bar\"}"), 200);
    assert_string_equal(action_body(n),
                        "{\"tokens\":[{\"token\":\"foo\",\"start_offset\":0,\"end_offset\":3,"
                        "\"type\":\"<ALPHANUM>\",\"position\":0},{\"token\":\"bar\","
                        "\"start_offset\":4,\"end_offset\":7,\"type\":\"<ALPHANUM>\","
                        "\"position\":1}]}");
    assert_int_equal(action_call(n, "POST", "/_analyze",
                                 "{\"text\":[\"Foo Bar\",\"Baz\"],\"tokenizer\":\"standard\","
                                 "\"filter\":[\"lowercase\",{\"type\":\"stop\",\"stopwords\":["
                                 "\"foo\"]}]}"),
                     200);
    assert_string_equal(action_at(n, "tokens.0.token"), "bar");
    assert_string_equal(action_at(n, "tokens.0.position"), "1");
    assert_string_equal(action_at(n, "tokens.1.start_offset"), "8");
    assert_string_equal(action_at(n, "tokens.1.position"), "102");
    action_node_close(n);
}

static void of_an_index(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(
        action_call(
            n, "PUT", "/x",
            "{\"settings\":{\"index.analyze.max_token_count\":3,\"analysis\":{\"normalizer\":"
            "{\"low\":{\"type\":\"custom\",\"filter\":[\"lowercase\"]}},\"analyzer\":{\"mine\":"
            "{\"type\":\"custom\",\"tokenizer\":\"whitespace\"}}}},\"mappings\":{"
            "\"properties\":{\"t\":{\"type\":\"text\",\"analyzer\":\"mine\"},\"k\":{\"type\":"
            "\"keyword\",\"normalizer\":\"low\"},\"n\":{\"type\":\"long\"}}}}"),
        200);
    action_call(n, "POST", "/x/_analyze", "{\"field\":\"t\",\"text\":\"A b,c\"}");
    assert_string_equal(action_at(n, "tokens.1.token"), "b,c");
    action_call(n, "POST", "/x/_analyze", "{\"field\":\"k\",\"text\":\"A B\"}");
    assert_string_equal(action_at(n, "tokens.0.token"), "a b");
    action_call(n, "POST", "/x/_analyze", "{\"normalizer\":\"low\",\"text\":\"Q R\"}");
    assert_string_equal(action_at(n, "tokens.0.token"), "q r");
    assert_int_equal(action_call(n, "POST", "/x/_analyze", "{\"field\":\"n\",\"text\":\"1\"}"),
                     400);
    assert_int_equal(action_call(n, "POST", "/x/_analyze", "{\"text\":\"one two three four\"}"),
                     500);
    assert_string_equal(action_at(n, "error.type"), "illegal_state_exception");
    action_node_close(n);
}

static void explained(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    action_call(n, "GET", "/_analyze",
                "{\"text\":\"This is troubled\",\"analyzer\":\"standard\",\"explain\":true}");
    assert_string_equal(action_at(n, "detail.custom_analyzer"), "false");
    assert_string_equal(action_at(n, "detail.analyzer.name"), "standard");
    assert_string_equal(action_at(n, "detail.analyzer.tokens.2"),
                        "{\"token\":\"troubled\",\"start_offset\":8,\"end_offset\":16,\"type\":"
                        "\"<ALPHANUM>\",\"position\":2,\"bytes\":\"[74 72 6f 75 62 6c 65 64]\","
                        "\"positionLength\":1,\"termFrequency\":1}");
    action_call(n, "GET", "/_analyze",
                "{\"text\":\"foo bar buzz\",\"tokenizer\":\"standard\",\"explain\":true,"
                "\"char_filter\":[\"html_strip\"],\"attributes\":[\"keyword\"],"
                "\"filter\":[{\"type\":\"stop\",\"stopwords\":[\"foo\",\"buzz\"]}]}");
    assert_string_equal(action_at(n, "detail.custom_analyzer"), "true");
    assert_string_equal(action_at(n, "detail.charfilters.0.filtered_text"), "[\"foo bar buzz\"]");
    assert_string_equal(action_at(n, "detail.tokenizer.name"), "standard");
    assert_string_equal(action_at(n, "detail.tokenizer.tokens.2.token"), "buzz");
    assert_string_equal(action_at(n, "detail.tokenfilters.0.tokens.0.token"), "bar");
    assert_null(action_at(n, "detail.tokenfilters.0.tokens.1"));
    assert_null(action_at(n, "detail.tokenfilters.0.tokens.0.bytes"));
    action_node_close(n);
}

static void wrong_analyze(void **state)
{
    static const struct {
        const char *body, *reason;
    } wrong[] = {
        {"{\"analyzer\":\"standard\"}", "Validation Failed: 1: text is missing;"},
        {"{\"text\":\"a\",\"analyzer\":\"nope\"}", "failed to find global analyzer [nope]"},
        {"{\"text\":\"a\",\"normalizer\":\"n\"}",
         "analysis based on a normalizer requires an index"},
        {"{\"text\":\"a\",\"field\":\"n\"}",
         "analysis based on a specific field requires an index"},
        {"{\"text\":\"a\",\"analyzer\":\"standard\",\"filter\":[\"lowercase\"]}",
         "Validation Failed: 1: cannot define extra components on a named analyzer;"},
        {"{\"text\":\"a\",\"what\":1}", "[analyze_request] unknown field [what]"},
    };
    (void)state;
    action_node *n = action_node_open(NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(action_call(n, "POST", "/_analyze", wrong[i].body), 400);
        assert_string_equal(action_at(n, "error.reason"), wrong[i].reason);
    }
    action_node_close(n);
}

static void cluster_settings(void **state)
{
    (void)state;
    action_node *n = action_node_open("node.attr.testattr=test");
    qd_config *c = action_node_actions(n)->config;
    assert_int_equal(
        action_call(n, "PUT", "/_cluster/settings?flat_settings",
                    "{\"transient\":{\"cluster.routing.allocation.enable\":\"none\"},"
                    "\"persistent\":{\"action\":{\"destructive_requires_name\":false}}}"),
        200);
    assert_string_equal(
        action_body(n),
        "{\"acknowledged\":true,\"persistent\":{\"action.destructive_requires_name\":"
        "\"false\"},\"transient\":{\"cluster.routing.allocation.enable\":\"none\"}}");
    assert_false(qd_config_bool(c, QD_SET_ACTION_DESTRUCTIVE));
    action_call(n, "GET", "/_cluster/settings", NULL);
    assert_string_equal(action_at(n, "persistent.action.destructive_requires_name"), "false");
    action_node_restart(n, false, 0);
    c = action_node_actions(n)->config;
    assert_false(qd_config_bool(c, QD_SET_ACTION_DESTRUCTIVE));
    action_call(n, "PUT", "/_cluster/settings?flat_settings",
                "{\"transient\":{\"cluster.routing.allocation.enable\":null},"
                "\"persistent\":{\"action.*\":null}}");
    assert_string_equal(action_at(n, "transient"), "{}");
    assert_true(qd_config_bool(c, QD_SET_ACTION_DESTRUCTIVE));
    action_call(n, "GET", "/_cluster/settings?include_defaults", NULL);
    assert_string_equal(action_at(n, "transient"), "{}");
    assert_string_equal(action_at(n, "defaults.node.attr.testattr"), "test");
    assert_string_equal(action_at(n, "defaults.cluster.routing.allocation.enable"), "all");
    action_node_close(n);
}

static void wrong_settings(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/_cluster/settings", "{}"), 400);
    assert_string_equal(action_at(n, "error.type"), "action_request_validation_exception");
    assert_int_equal(
        action_call(n, "PUT", "/_cluster/settings", "{\"persistent\":{\"http.port\":9201}}"), 400);
    assert_int_equal(
        action_call(n, "PUT", "/_cluster/settings", "{\"persistent\":{\"no.such\":9201}}"), 400);
    assert_int_equal(action_call(n, "PUT", "/_cluster/settings", "{\"lasting\":{}}"), 400);
    assert_int_equal(action_call(n, "PUT", "/_cluster/settings",
                                 "{\"transient\":{\"cluster.routing.allocation.enable\":\"x\"}}"),
                     400);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),           cmocka_unit_test(of_an_index),
        cmocka_unit_test(explained),        cmocka_unit_test(wrong_analyze),
        cmocka_unit_test(cluster_settings), cmocka_unit_test(wrong_settings),
    };
    return unit_run(tests);
}
