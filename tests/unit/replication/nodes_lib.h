/* nodes_lib.h: an index on several whole nodes: its documents, its health, where its copies are. */
#ifndef QD_TESTS_REPLICATION_NODES_LIB_H
#define QD_TESTS_REPLICATION_NODES_LIB_H

#include "lib/action_cluster.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 120000

static inline bool green(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    return m && qd_index_health(s, m) == QD_HEALTH_GREEN;
}

static inline void wait_green(action_cluster *c, uint32_t node, const char *index)
{
    int rc = qd_cluster_wait_for(action_cluster_actions(c, node)->cluster, green,
                                 (void *)(uintptr_t)index, WAIT_MS);
    if (rc) {
        action_cluster_call(c, node, "GET", "/_cat/shards", NULL);
        fprintf(stderr, "# %s\n", action_cluster_body(c));
    }
    assert_int_equal(rc, 0);
}

static inline void put(action_cluster *c, uint32_t node, const char *index, int id, int value,
                       const char *params)
{
    char path[128], body[64];
    snprintf(path, sizeof path, "/%s/_doc/%d%s", index, id, params);
    snprintf(body, sizeof body, "{\"v\":%d}", value);
    int status = action_cluster_call(c, node, "PUT", path, body);
    if (status > 201) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_true(status == 200 || status == 201);
}

static inline int got(action_cluster *c, uint32_t node, const char *index, int id)
{
    char path[128];
    snprintf(path, sizeof path, "/%s/_doc/%d", index, id);
    int status = action_cluster_call(c, node, "GET", path, NULL);
    if (status == 404) return -1;
    if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_int_equal(status, 200);
    const char *v = strstr(action_cluster_body(c), "\"v\":");
    assert_non_null(v);
    return atoi(v + 4);
}

static inline uint32_t node_of(const qd_copy *copy)
{
    return (uint32_t)(copy->node.p[copy->node.n - 1] - '0');
}

/* The node of the primary, and that of the replica, of shard 0. */
static inline void where(action_cluster *c, uint32_t asked, const char *index, uint32_t *primary,
                         uint32_t *replica)
{
    qd_state *s = qd_cluster_state(action_cluster_actions(c, asked)->cluster);
    const qd_index_meta *m = qd_state_index(s, qd_str_c(index));
    const qd_shard_meta *r = qd_state_shard(s, m, 0);
    *primary = *replica = UINT32_MAX;
    for (uint32_t i = 0; i < r->ncopies; i++) {
        if (!qd_copy_is_assigned(&r->copies[i])) continue;
        uint32_t node = node_of(&r->copies[i]);
        if (i == 0) *primary = node;
        if (i > 0) *replica = node;
    }
    qd_state_unref(s);
}

static inline bool primary_comes_to(action_cluster *c, uint32_t asked, const char *index,
                                    uint32_t node)
{
    uint32_t p = UINT32_MAX, r;
    for (int ms = 0; ms < WAIT_MS && p != node; ms += 10) {
        where(c, asked, index, &p, &r);
        if (p != node) qd_env_sleep_ns(qd_env_system(), 10000000);
    }
    return p == node;
}

#endif
