/*
 * settings_t.c: settings have the effect that Elasticsearch documents, or are refused by name.
 */
#include "cluster/cluster_int.h"
#include "lib/action_cluster.h"
#include "unit/unit.h"
#include <stdio.h>

static const char *const plain =
    "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0,\"refresh_interval\":\"-1\"}}";

static const char *const replicated =
    "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":1,\"refresh_interval\":\"-1\"}}";

static void answers(action_cluster *c, const char *method, const char *path, const char *body,
                    int status, const char *with)
{
    int got = action_cluster_call(c, 0, method, path, body);
    if (got != status || !strstr(action_cluster_body(c), with))
        fail_msg("%s %s: %d %s", method, path, got, action_cluster_body(c));
}

static void closing_can_be_forbidden(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, "cluster.indices.close.enable=false");
    action_cluster_index(c, "x", plain);
    answers(c, "POST", "/x/_close", NULL, 500, "closing indices is disabled");
    answers(c, "GET", "/x/_search", NULL, 200, "\"failed\":0");
    action_cluster_close(c);
}

/* Nothing can be searched: the answer says of which shard and why. */
static void shards_that_are_nowhere(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, "cluster.routing.allocation.enable=none");
    answers(c, "PUT", "/x?timeout=100ms&wait_for_active_shards=0",
            "{\"settings\":{\"number_of_shards\":2,\"number_of_replicas\":0}}", 200, "true");
    answers(c, "GET", "/x/_search", NULL, 503, "\"reason\":\"all shards failed\"");
    static const char *const with[] = {
        ("{\"error\":{\"root_cause\":[{\"type\":\"no_shard_available_action_exception\",\"reason\":"
         "\"[x][0] "
         "shard not allocated: its primary is unassigned, INDEX_CREATED\",\"index_uuid\":"),
        ("\"failed_shards\":[{\"shard\":0,\"index\":\"x\",\"node\":null,\"reason\":{\"type\":"
         "\"no_shard_available_action_exception\",\"reason\":\"[x][0] shard not allocated: "),
        "\"reason\":\"[x][1] shard not allocated: "};
    for (size_t i = 0; i < QD_COUNT_OF(with); i++)
        answers(c, "GET", "/x/_search", NULL, 503, with[i]);
    answers(c, "GET", "/x/_count", NULL, 503, "[x][1] shard not allocated: ");
    answers(c, "GET", "/x/_search?allow_partial_search_results=false", NULL, 503,
            "[x][0] shard not allocated: ");
    action_cluster_close(c);
}

static void what_is_not_there_is_refused(void **state)
{
    (void)state;
    static const char *const settings[] = {"\"index.routing_partition_size\":2",
                                           "\"index.mode\":\"time_series\"",
                                           "\"index.shard.check_on_startup\":true"};
    char body[256];
    action_cluster *c = action_cluster_open(1, NULL);
    for (size_t i = 0; i < QD_COUNT_OF(settings); i++) {
        snprintf(body, sizeof body, "{\"settings\":{%s}}", settings[i]);
        answers(c, "PUT", "/x", body, 400, "is not supported by this version");
    }
    answers(c, "PUT", "/x", "{\"settings\":{\"index.mode\":\"standard\",\"index.sort.field\":[]}}",
            200, "\"acknowledged\":true");
    action_cluster_close(c);
}

static void pipelines_of_an_index(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    action_cluster_index(c, "x", plain);
    const char *doc = "{\"a\":1}", *missing = "pipeline with id [p] does not exist";
    answers(c, "PUT", "/x/_doc/1", doc, 201, "created");
    answers(c, "PUT", "/x/_settings", "{\"index.default_pipeline\":\"p\"}", 200, "true");
    answers(c, "PUT", "/x/_doc/1", doc, 400, missing);
    answers(c, "PUT", "/x/_doc/1?pipeline=_none", doc, 200, "updated");
    answers(c, "PUT", "/x/_settings",
            "{\"index.default_pipeline\":null,\"index.final_pipeline\":\"p\"}", 200, "true");
    answers(c, "PUT", "/x/_doc/1?pipeline=_none", doc, 400, missing);
    answers(c, "DELETE", "/x/_doc/1", NULL, 200, "deleted");
    action_cluster_close(c);
}

static void refresh_listeners(void **state)
{
    (void)state;
    bool forced = false;
    action_cluster *c = action_cluster_open(1, NULL);
    action_cluster_index(c, "x", plain);
    answers(c, "PUT", "/x/_settings", "{\"index.max_refresh_listeners\":0}", 200, "true");
    /* a refresh that was due anyway may be the one that a write waits for */
    for (int i = 0; i < 200 && !forced; i++) {
        answers(c, "POST", "/x/_doc?refresh=wait_for", "{\"a\":1}", 201, "created");
        forced |= strstr(action_cluster_body(c), "\"forced_refresh\":true") != NULL;
    }
    assert_true(forced);
    action_cluster_close(c);
}

static void graves(void **state)
{
    (void)state;
    char path[16];
    action_cluster *c = action_cluster_open(1, "cluster.indices.tombstones.size=3");
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "/x%d", i);
        answers(c, "PUT", path, plain, 200, "true");
    }
    answers(c, "DELETE", "/x0,x1", NULL, 200, "true");
    answers(c, "DELETE", "/x2,x3,x4", NULL, 200, "true");
    qd_state *s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    assert_int_equal(s->buried.n, 3);
    qd_state_unref(s);
    answers(c, "DELETE", "/x5", NULL, 200, "true");
    s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    assert_int_equal(s->buried.n, 3);
    qd_state_unref(s);
    action_cluster_close(c);
}

/* Graves from a time when more of them were kept go by and by, and hold up no deletion. */
static void old_graves(void **state)
{
    (void)state;
    enum { GRAVES = 12000, PART = 4000 };
    static char keys[PART][40];
    static qd_coord_change puts[PART];
    action_cluster *c = action_cluster_open(1, "cluster.indices.tombstones.size=0");
    qd_cluster *cluster = action_cluster_actions(c, 0)->cluster;
    uint64_t revision;
    for (uint32_t i = 0; i < GRAVES; i++) {
        snprintf(keys[i % PART], sizeof keys[0], "graveyard/grave%017u", i);
        puts[i % PART] = (qd_coord_change){.type = QD_COORD_PUT,
                                           .key = qd_str_c(keys[i % PART]),
                                           .value = QD_STR("{\"name\":\"x\"}")};
        if (i % PART < PART - 1) continue;
        assert_int_equal(
            qd_coord_commit(cluster->store, NULL, 0, puts, PART, 10000, &revision, NULL, NULL), 0);
    }
    assert_int_equal(qd_cluster_wait(cluster, revision, 60000, NULL), 0);
    qd_state *s = qd_cluster_state(cluster);
    assert_int_equal(s->buried.n, GRAVES);
    qd_state_unref(s);
    answers(c, "PUT", "/x", plain, 200, "true");
    answers(c, "DELETE", "/x", NULL, 200, "true");
    s = qd_cluster_state(cluster);
    assert_true(s->buried.n < GRAVES);
    qd_state_unref(s);
    action_cluster_close(c);
}

static void all_stop(action_cluster *c, uint32_t nodes)
{
    for (uint32_t i = 0; i < nodes; i++) action_cluster_leave(c, i);
}

/* After the whole cluster has stopped, shards are allocated once as many data nodes are there as
 * gateway.* asks for. */
static void data_nodes_are_waited_for(void **state)
{
    (void)state;
    static const char *const health = "/_cluster/health/x?wait_for_status=green&timeout=";
    char soon[96], in_time[96];
    snprintf(soon, sizeof soon, "%s100ms", health);
    snprintf(in_time, sizeof in_time, "%s60s", health);
    action_cluster *c = action_cluster_open(2, "gateway.recover_after_data_nodes=2");
    action_cluster_index(c, "x", replicated);
    answers(c, "GET", in_time, NULL, 200, "green");
    all_stop(c, 2);
    action_cluster_back(c, 0);
    answers(c, "GET", soon, NULL, 408, "\"status\":\"red\"");
    action_cluster_back(c, 1);
    answers(c, "GET", in_time, NULL, 200, "green");
    action_cluster_close(c);
    c = action_cluster_open(1, "gateway.expected_data_nodes=2\ngateway.recover_after_time=1ms");
    action_cluster_index(c, "x", plain);
    all_stop(c, 1);
    action_cluster_back(c, 0);
    answers(c, "GET", in_time, NULL, 200, "green");
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closing_can_be_forbidden),
        cmocka_unit_test(shards_that_are_nowhere),
        cmocka_unit_test(what_is_not_there_is_refused),
        cmocka_unit_test(pipelines_of_an_index),
        cmocka_unit_test(refresh_listeners),
        cmocka_unit_test(graves),
        cmocka_unit_test(old_graves),
        cmocka_unit_test(data_nodes_are_waited_for),
    };
    return unit_run(tests);
}
