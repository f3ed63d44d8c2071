/*
 * ingest_t.c: pipelines wait for their level of the cluster's formats; nodes see what one stored,
 * counters go on after a change.
 */
#include "cluster/cluster_int.h"
#include "lib/action_cluster.h"
#include "unit/unit.h"

#define PIPELINE "{\"processors\":[{\"set\":{\"field\":\"a\",\"value\":1}}]}"

static void answers(action_cluster *c, uint32_t node, const char *method, const char *path,
                    const char *body, int status, const char *with)
{
    int got = action_cluster_call(c, node, method, path, body);
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

/* As while a node of the former version is there. */
static void pipelines_wait_for_their_level(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    qd_cluster *cluster = action_cluster_actions(c, 0)->cluster;
    assert_int_equal(qdi_change(cluster, lower, NULL, NULL, NULL), 0);
    answers(c, 0, "PUT", "/_ingest/pipeline/p", PIPELINE, 400,
            "ingest pipelines need level 4 of the cluster's formats; they are of level 3: POST "
            "_cluster/upgrade/finalize when all nodes run this version");
    answers(c, 0, "GET", "/_ingest/pipeline/p", NULL, 404, "{}");
    answers(c, 0, "PUT", "/_enrich/policy/p",
            "{\"match\":{\"indices\":\"i\",\"match_field\":\"f\",\"enrich_fields\":\"g\"}}", 400,
            "enrich policies need level 5 of the cluster's formats; they are of level 3: POST "
            "_cluster/upgrade/finalize when all nodes run this version");
    answers(c, 0, "POST", "/_ingest/pipeline/_simulate",
            "{\"pipeline\":" PIPELINE ",\"docs\":[{\"_source\":{}}]}", 200, "\"a\":1");
    answers(c, 0, "POST", "/_cluster/upgrade/finalize", NULL, 200, "\"features\":5");
    answers(c, 0, "PUT", "/_ingest/pipeline/p", PIPELINE, 200, "true");
    answers(c, 0, "GET", "/_ingest/pipeline/p", NULL, 200, "{\"p\":" PIPELINE "}");
    action_cluster_close(c);
}

static void changes_are_seen_and_counts_stay(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(2, NULL);
    answers(c, 0, "PUT", "/_ingest/pipeline/p", PIPELINE, 200, "true");
    answers(c, 1, "PUT", "/x/_doc/1?pipeline=p", "{}", 201, "created");
    answers(c, 0, "GET", "/x/_doc/1", NULL, 200, "{\"a\":1}");
    answers(c, 0, "PUT", "/_ingest/pipeline/p",
            "{\"processors\":[{\"set\":{\"field\":\"a\",\"value\":2}}]}", 200, "true");
    answers(c, 1, "PUT", "/x/_doc/1?pipeline=p", "{}", 200, "updated");
    answers(c, 0, "GET", "/x/_doc/1", NULL, 200, "{\"a\":2}");
    answers(c, 1, "GET", "/_nodes/_local/stats/ingest", NULL, 200,
            "\"set\":{\"type\":\"set\",\"stats\":{\"count\":2,");
    answers(c, 0, "DELETE", "/_ingest/pipeline/p", NULL, 200, "true");
    answers(c, 1, "PUT", "/x/_doc/1?pipeline=p", "{}", 400, "pipeline with id [p] does not exist");
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_wait_for_their_level),
        cmocka_unit_test(changes_are_seen_and_counts_stay),
    };
    return unit_run(tests);
}
