/* suggest_t.c: suggestions of shards on several nodes become one, documents that a query likes are
 * read once for all nodes, and suggestions wait for their level of the cluster's formats. */
#include "cluster/cluster_int.h"
#include "lib/action_cluster.h"
#include "unit/unit.h"

#define SUGGEST "{\"suggest\":{\"x\":{\"text\":\"nobal\",\"term\":{\"field\":\"t\"}}}}"

static void answers(action_cluster *c, uint32_t node, const char *path, const char *body,
                    int status, const char *with)
{
    int got = action_cluster_call(c, node, "POST", path, body);
    if (got != status || !strstr(action_cluster_body(c), with))
        fail_msg("%s %s: %d %s", path, body ? body : "", got, action_cluster_body(c));
}

static void of_several_nodes(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(3, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"number_of_shards\":6,\"number_of_replicas\":0},"
                         "\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"}}}}");
    for (int i = 0; i < 24; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        action_cluster_put(c, "x", id,
                           i % 3 ? "{\"t\":\"nobel prize\"}" : "{\"t\":\"noble words\"}");
    }
    action_cluster_refresh(c);
    for (uint32_t node = 0; node < 3; node++) {
        answers(c, node, "/x/_search", SUGGEST, 200,
                "\"suggest\":{\"x\":[{\"text\":\"nobal\",\"offset\":0,\"length\":5,\"options\":["
                "{\"text\":\"nobel\",\"score\":0.8,\"freq\":16},"
                "{\"text\":\"noble\",\"score\":0.6,\"freq\":8}]}]}");
        answers(c, node, "/x/_search",
                "{\"query\":{\"more_like_this\":{\"like\":{\"_index\":\"x\",\"_id\":\"0\"},"
                "\"min_term_freq\":1,\"min_doc_freq\":1}},\"size\":0}",
                200, "\"value\":7");
        answers(c, node, "/x/_search",
                "{\"query\":{\"span_near\":{\"clauses\":[{\"span_term\":{\"t\":\"nobel\"}},"
                "{\"span_term\":{\"t\":\"prize\"}}]}},\"size\":0}",
                200, "\"value\":16");
    }
    action_cluster_close(c);
}

static int lower(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    (void)c;
    (void)arg;
    (void)err;
    qdi_txn_at(t, QD_STR("features"), s->features_revision);
    qdi_txn_put(t, QD_STR("features"), QD_STR("4"), 0);
    return 0;
}

/* As while a node of the former version is there, which would refuse the request. */
static void waits_for_its_level(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    assert_int_equal(qdi_change(action_cluster_actions(c, 0)->cluster, lower, NULL, NULL, NULL), 0);
    action_cluster_index(c, "x", "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"}}}}");
    answers(c, 0, "/x/_search", SUGGEST, 400,
            "[suggest] needs level 5 of the cluster's formats; they are of level 4: POST "
            "_cluster/upgrade/finalize when all nodes run this version");
    answers(c, 0, "/_cluster/upgrade/finalize", NULL, 200, "\"features\":5");
    answers(c, 0, "/x/_search", SUGGEST, 200, "\"suggest\":{\"x\":[");
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_several_nodes),
                                       cmocka_unit_test(waits_for_its_level)};
    return unit_run(tests);
}
