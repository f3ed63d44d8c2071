/*
 * lifecycle_t.c: policies wait for their level of the cluster's formats; times that cron names.
 */
#include "action/lifecycle/ism_int.h"
#include "cluster/cluster_int.h"
#include "lib/action_cluster.h"
#include "unit/unit.h"

#define STATES "\"states\":[{\"name\":\"a\",\"actions\":[{\"read_only\":{}}]}]"
#define POLICY "{\"policy\":{\"description\":\"d\",\"default_state\":\"a\"," STATES "}}"
#define WARM(action) "{\"policy\":{\"phases\":{\"warm\":{\"actions\":{" action "}}}}}"

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
static void policies_wait_for_their_level(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(1, NULL);
    qd_cluster *cluster = action_cluster_actions(c, 0)->cluster;
    assert_int_equal(qdi_change(cluster, lower, NULL, NULL, NULL), 0);
    answers(c, "PUT", "/_plugins/_ism/policies/p", POLICY, 400,
            "policies of index state management need level 5 of the cluster's formats; they are of "
            "level 4: POST _cluster/upgrade/finalize when all nodes run this version");
    answers(c, "PUT", "/_ilm/policy/p", WARM("\"shrink\":{\"number_of_shards\":1}"), 400,
            "action [shrink] needs level 5 of the cluster's formats; they are of level 4");
    answers(c, "PUT", "/_ilm/policy/p", WARM("\"readonly\":{}"), 200, "true");
    answers(c, "GET", "/_plugins/_ism/policies", NULL, 200, "\"total_policies\":0");
    answers(c, "POST", "/_cluster/upgrade/finalize", NULL, 200, "\"features\":5");
    answers(c, "PUT", "/_plugins/_ism/policies/p", POLICY, 201, "\"_version\":1");
    answers(c, "PUT", "/_ilm/policy/p", WARM("\"shrink\":{\"number_of_shards\":1}"), 200, "true");
    answers(c, "GET", "/_plugins/_ism/policies/p", NULL, 200, "\"policy_id\":\"p\"");
    action_cluster_close(c);
}

/* Of 2026-01-31T10:20:30Z, a Saturday. */
#define NOW INT64_C(1769854830000)

static void next_is(const char *expression, const char *zone, int64_t minutes)
{
    qd_arena a;
    int64_t at = 0;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qdi_ism_cron_next(&a, qd_str_c(expression), qd_str_c(zone), NOW, &at, NULL);
    qd_arena_fini(&a);
    if (rc || at != NOW - 30000 + minutes * 60000)
        fail_msg("%s: %d, %lld minutes", expression, rc, (long long)(at - NOW + 30000) / 60000);
}

static void refused(const char *expression)
{
    qd_arena a;
    int64_t at;
    qd_arena_init(&a, NULL, 1 << 20);
    assert_int_not_equal(qdi_ism_cron_next(&a, qd_str_c(expression), QD_STR("UTC"), NOW, &at, NULL),
                         0);
    qd_arena_fini(&a);
}

static void cron_names_times(void **state)
{
    (void)state;
    next_is("* * * * *", "UTC", 1);
    next_is("30 10 * * *", "UTC", 10);
    next_is("20 10 * * *", "UTC", 1440);
    next_is("0 12 * * *", "Europe/Paris", 40); /* 11:00 in UTC */
    next_is("0 0 * * 0", "UTC", 13 * 60 + 40);
    next_is("0 0 * * SUN", "UTC", 13 * 60 + 40);
    next_is("0 0 * * 7", "UTC", 13 * 60 + 40);
    next_is("0 0 1 feb *", "UTC", 13 * 60 + 40);
    next_is("0 0 29 2 *", "UTC", 759 * 1440 - 10 * 60 - 20); /* of 2028 */
    next_is("*/15 * * * *", "UTC", 10);
    next_is("5-10/5,40 10 * * *", "UTC", 20);
    next_is("0 0 13 * 1", "UTC", 13 * 60 + 40 + 1440); /* a Monday, or the 13th */
    refused("60 * * * *");
    refused("* * * *");
    refused("* * * * * *");
    refused("* * 31 2 *");
    refused("a * * * *");
    refused("*/0 * * * *");
    refused("5-1 * * * *");
    refused("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_wait_for_their_level),
        cmocka_unit_test(cron_names_times),
    };
    return unit_run(tests);
}
