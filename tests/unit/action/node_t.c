/* node_t.c: a node of the test library takes documents and keeps them over a restart. */
#include "lib/action_node.h"
#include "unit/unit.h"

static void documents_survive_restart(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/books", "{\"settings\":{\"number_of_shards\":2}}"),
                     200);
    assert_string_equal(action_at(n, "acknowledged"), "true");
    assert_int_equal(action_call(n, "PUT", "/books/_doc/1", "{\"title\":\"a\"}"), 201);
    assert_int_equal(action_call(n, "GET", "/books/_doc/1", NULL), 200);
    assert_string_equal(action_at(n, "_source.title"), "a");
    action_node_restart(n, true, 7);
    assert_int_equal(action_call(n, "GET", "/books/_doc/1", NULL), 200);
    assert_string_equal(action_at(n, "_source"), "{\"title\":\"a\"}");
    action_node_restart(n, false, 0);
    assert_int_equal(action_call(n, "GET", "/books/_doc/1?_source=false", NULL), 200);
    assert_null(action_at(n, "_source"));
    action_node_close(n);
}

static void wrong_requests(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "GET", "/none/_doc/1", NULL), 404);
    assert_string_equal(action_at(n, "error.type"), "index_not_found_exception");
    assert_int_equal(action_call(n, "GET", "/none/_doc/1?roting=x", NULL), 400);
    assert_int_equal(action_call(n, "DELETE", "/books/_refresh", NULL), 405);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_survive_restart),
        cmocka_unit_test(wrong_requests),
    };
    return unit_run(tests);
}
