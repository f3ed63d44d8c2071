/* cluster_stats_t.c: _cluster/stats of several nodes, of which some fail or say what cannot be. */
#include "lib/action_cluster.h"
#include "rpc/rpc.h"
#include "unit/unit.h"

static void refuse(void *arg, qd_rpc_request *request)
{
    qd_err err;
    (void)arg;
    qd_err_init(&err);
    (void)qd_err_set(&err, QD_E_IO, "its disk has failed");
    qd_rpc_fail(request, &err);
    qd_err_fini(&err);
}

static void boast(void *arg, qd_rpc_request *request)
{
    (void)arg;
    qd_rpc_reply(request,
                 QD_STR("{\"memory\":9223372036854775807,\"memory_free\":-9223372036854775807,"
                        "\"files\":9223372036854775807,\"plugins\":{\"name\":7}}"),
                 (qd_str){NULL, 0});
}

static void instead(action_cluster *c, uint32_t node, uint32_t action, qd_rpc_handler fn)
{
    qd_rpc *rpc = action_cluster_actions(c, node)->rpc;
    qd_rpc_unhandle(rpc, action);
    assert_int_equal(qd_rpc_handle(rpc, action, NULL, 0, fn, NULL, NULL), 0);
}

static bool has(action_cluster *c, const char *path, const char *text)
{
    assert_int_equal(action_cluster_call(c, 0, "GET", path, NULL), 200);
    return strstr(action_cluster_body(c), text) != NULL;
}

static void nodes_that_were_not_named_have_not_failed(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(3, NULL);
    for (uint32_t i = 1; i < 3; i++) instead(c, i, QD_ACTION_NODE_SHARDS, refuse);
    assert_true(has(c, "/_cluster/stats/nodes/node-0",
                    "\"_nodes\":{\"total\":1,\"successful\":1,\"failed\":0}"));
    assert_true(
        has(c, "/_cluster/stats", "\"_nodes\":{\"total\":3,\"successful\":1,\"failed\":2}"));
    action_cluster_close(c);
}

static void sums_have_an_end(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(3, NULL);
    for (uint32_t i = 1; i < 3; i++) instead(c, i, QD_ACTION_NODE_PART, boast);
    assert_true(has(c, "/_cluster/stats", "\"total_in_bytes\":9223372036854775807"));
    assert_false(has(c, "/_cluster/stats", "_in_bytes\":-"));
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_that_were_not_named_have_not_failed),
        cmocka_unit_test(sums_have_an_end),
    };
    return unit_run(tests);
}
