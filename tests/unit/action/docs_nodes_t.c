/*
 * docs_nodes_t.c: writes that fail, on the node of their primary and on others: each is answered, and
 * nothing of an answer is looked at after it was freed (what is freed is filled, so that it shows).
 */
#include "lib/action_cluster.h"
#include "unit/unit.h"
#include <malloc.h>
#include <stdio.h>

#define NODES 2u

static int open_nodes(void **state)
{
    mallopt(M_PERTURB, 0x5a);
    action_cluster *c = action_cluster_open(NODES, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"number_of_shards\":4,\"number_of_replicas\":0},"
                         "\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"}}}}");
    for (uint32_t i = 0; i < NODES; i++) assert_true(action_cluster_shards(c, i, "x") > 0);
    *state = c;
    return 0;
}

static int close_nodes(void **state)
{
    action_cluster_close(*state);
    mallopt(M_PERTURB, 0);
    return 0;
}

/* A text that is too long to stand in an error itself. */
static const char *long_id(char out[201])
{
    memset(out, 'a', 200);
    out[200] = 0;
    return out;
}

static void refused(action_cluster *c, const char *method, const char *path, const char *body,
                    int status, const char *type)
{
    for (uint32_t i = 0; i < NODES; i++) { /* one has the primary, another asks it */
        int got = action_cluster_call(c, i, method, path, body);
        if (got != status || !strstr(action_cluster_body(c), type))
            fail_msg("%s %s: %d %s", method, path, got, action_cluster_body(c));
    }
}

static void test_single(void **state)
{
    action_cluster *c = *state;
    char id[201], path[400];
    const char *ids[] = {"1", "2", "3", "4", long_id(id)};
    for (size_t k = 0; k < QD_COUNT_OF(ids); k++) {
        action_cluster_put(c, "x", ids[k], "{\"n\":1}");
        snprintf(path, sizeof path, "/x/_create/%s", ids[k]);
        refused(c, "PUT", path, "{\"n\":2}", 409, "version_conflict_engine_exception");
        snprintf(path, sizeof path, "/x/_doc/%s?if_seq_no=77&if_primary_term=1", ids[k]);
        refused(c, "PUT", path, "{\"n\":2}", 409, "version_conflict_engine_exception");
        refused(c, "DELETE", path, NULL, 409, "version_conflict_engine_exception");
        snprintf(path, sizeof path, "/x/_doc/%s", ids[k]);
        refused(c, "PUT", path, "{\"n\":\"no number\"}", 400, "document_parsing_exception");
        snprintf(path, sizeof path, "/x/_update/%s-", ids[k]);
        refused(c, "POST", path, "{\"doc\":{\"n\":3}}", 404, "document_missing_exception");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_single, open_nodes, close_nodes),
    };
    return unit_run(tests);
}
