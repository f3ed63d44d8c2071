/* collapse_t.c: field collapsing waits for its level of the cluster's formats. */
#include "cluster/cluster_int.h"
#include "lib/action_cluster.h"
#include "unit/unit.h"

#define COLLAPSE "{\"collapse\":{\"field\":\"k\"}}"

static void answers(action_cluster *c, const char *method, const char *path, const char *body,
                    int status, const char *with)
{
    int got = action_cluster_call(c, 0, method, path, body);
    if (got != status || !strstr(action_cluster_body(c), with))
        fail_msg("%s %s: %d %s", method, path, got, action_cluster_body(c));
}

static int lower(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    (void)c;
    (void)arg;
    (void)err;
    qdi_txn_at(t, QD_STR("features"), s->features_revision);
    qdi_txn_put(t, QD_STR("features"), QD_STR("3"), 0);
    return 0;
}

/* As while a node of the former version is there, which would fail its shards. */
static void groups_wait_for_their_level(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    qd_cluster *cluster = action_cluster_actions(c, 0)->cluster;
    assert_int_equal(qdi_change(cluster, lower, NULL, NULL, NULL), 0);
    answers(c, "PUT", "/x", "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"}}}}", 200,
            "true");
    answers(c, "PUT", "/x/_doc/1?refresh=true", "{\"k\":\"a\"}", 201, "created");
    answers(c, "POST", "/x/_search", COLLAPSE, 400,
            "[collapse] needs level 4 of the cluster's formats; they are of level 3: POST "
            "_cluster/upgrade/finalize when all nodes run this version");
    answers(c, "POST", "/_cluster/upgrade/finalize", NULL, 200, "\"features\":5");
    answers(c, "POST", "/x/_search", COLLAPSE, 200, "\"fields\":{\"k\":[\"a\"]}");
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(groups_wait_for_their_level)};
    return unit_run(tests);
}
