/* search_level_t.c: what searches and the cluster state have from level 5 of the formats on waits
 * for it. */
#include "cluster/cluster_int.h"
#include "lib/action_cluster.h"
#include "unit/unit.h"

#define LEVEL                                                                                      \
    " level 5 of the cluster's formats; they are of level 4: POST _cluster/upgrade/finalize when " \
    "all nodes run this version"
#define PIPELINE                                                                                   \
    "{\"phase_results_processors\":[{\"normalization-processor\":{}}],\"response_processors\":[{"  \
    "\"truncate_hits\":{\"target_size\":1}}]}"
#define HYBRID                                                                                     \
    "{\"query\":{\"hybrid\":{\"queries\":[{\"match_all\":{}}]}},\"search_pipeline\":" PIPELINE "}"

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
    qdi_txn_put(t, QD_STR("features"), QD_STR("4"), 0);
    return 0;
}

/* As while a node of the former version is there. */
static void searches_wait_for_their_level(void **state)
{
    static const char *const bodies[][2] = {
        {"{\"rescore\":{\"query\":{\"rescore_query\":{\"match_all\":{}}}}}", "[rescore] needs"},
        {"{\"retriever\":{\"standard\":{}}}", "[retriever] needs"},
        {"{\"retriever\":{\"rrf\":{\"retrievers\":[{\"standard\":{}}]}}}", "[retriever] needs"},
        {HYBRID, "[hybrid] needs"}};
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    qd_cluster *cluster = action_cluster_actions(c, 0)->cluster;
    assert_int_equal(qdi_change(cluster, lower, NULL, NULL, NULL), 0);
    answers(c, "PUT", "/x/_doc/1?refresh=true", "{\"k\":\"a\"}", 201, "created");
    for (size_t i = 0; i < QD_COUNT_OF(bodies); i++) {
        answers(c, "POST", "/x/_search", bodies[i][0], 400, bodies[i][1]);
        answers(c, "POST", "/x/_search", bodies[i][0], 400, LEVEL);
    }
    answers(c, "PUT", "/_search/pipeline/p", PIPELINE, 400, "search pipelines need" LEVEL);
    answers(c, "PUT", "/x/_settings", "{\"index.search.default_pipeline\":\"p\"}", 400,
            "[index.search.default_pipeline] needs" LEVEL);
    answers(c, "PUT", "/y", "{\"settings\":{\"index.search.default_pipeline\":\"p\"}}", 400,
            "[index.search.default_pipeline] needs" LEVEL);
    answers(c, "POST", "/_cluster/upgrade/finalize", NULL, 200, "\"features\":5");
    for (size_t i = 0; i < QD_COUNT_OF(bodies); i++)
        answers(c, "POST", "/x/_search", bodies[i][0], 200, "\"_id\":\"1\"");
    answers(c, "PUT", "/_search/pipeline/p", PIPELINE, 200, "true");
    answers(c, "PUT", "/x/_settings", "{\"index.search.default_pipeline\":\"p\"}", 200, "true");
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(searches_wait_for_their_level)};
    return unit_run(tests);
}
