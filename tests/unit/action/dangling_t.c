/* dangling_t.c: nothing is done with a dangling index before all nodes have told what they have. */
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

static void a_node_that_did_not_tell(void **state)
{
    (void)state;
    static const char path[] = "/_dangling/AAAAAAAAAAAAAAAAAAAAAA?accept_data_loss=true";
    static const char *const methods[] = {"POST", "DELETE"};
    action_cluster *c = action_cluster_open(3, NULL);
    for (size_t i = 0; i < QD_COUNT_OF(methods); i++) {
        assert_int_equal(action_cluster_call(c, 0, methods[i], path, NULL), 400);
        assert_non_null(strstr(action_cluster_body(c), "No dangling index found"));
    }
    qd_rpc *rpc = action_cluster_actions(c, 2)->rpc;
    qd_rpc_unhandle(rpc, QD_ACTION_NODE_PART);
    assert_int_equal(qd_rpc_handle(rpc, QD_ACTION_NODE_PART, NULL, 0, refuse, NULL, NULL), 0);
    for (size_t i = 0; i < QD_COUNT_OF(methods); i++) {
        assert_int_equal(action_cluster_call(c, 0, methods[i], path, NULL), 503);
        assert_non_null(strstr(action_cluster_body(c), "failed_node_exception"));
        assert_non_null(strstr(action_cluster_body(c), "1 of 3 nodes did not tell"));
    }
    assert_int_equal(action_cluster_call(c, 0, "GET", "/_dangling", NULL), 200);
    assert_non_null(strstr(action_cluster_body(c), "\"failed\":1"));
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_did_not_tell),
    };
    return unit_run(tests);
}
