/*
 * hop.c: what a search takes that is asked of a node without the shard: two nodes over loopback,
 * one shard, the same searches by turns of the node that has it and of the other. Prints both, and
 * the difference of the medians: the second hop, held to less than 150 us.
 */
#include "lib/action_cluster.h"
#include "unit/unit.h"
#include <stdio.h>

#define DOCS 2000
#define ROUNDS 5000u
#define HOP_US_MAX 150.0

static const struct {
    const char *name, *body;
} searches[] = {
    {"ten hits of a term", "{\"query\":{\"match\":{\"words\":\"w3\"}}}"},
    {"sorted by a number",
     "{\"query\":{\"match\":{\"words\":\"w3\"}},\"sort\":[{\"n\":\"desc\"}]}"},
    {"terms with a sum",
     "{\"size\":0,\"query\":{\"match\":{\"words\":\"w3\"}},\"aggs\":{\"t\":{\"terms\":"
     "{\"field\":\"tag\"},\"aggs\":{\"s\":{\"sum\":{\"field\":\"n\"}}}}}}"},
};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void fill(action_cluster *c)
{
    char id[16], body[128];
    action_cluster_index(c, "x",
                         "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0,"
                         "\"refresh_interval\":\"-1\",\"requests.cache.enable\":false},"
                         "\"mappings\":{\"properties\":{\"tag\":{\"type\":\"keyword\"}}}}");
    for (int i = 0; i < DOCS; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(body, sizeof body, "{\"words\":\"common w%d\",\"n\":%d,\"tag\":\"t%d\"}", i % 7, i,
                 i % 20);
        action_cluster_put(c, "x", id, body);
    }
    action_cluster_refresh(c);
}

static double us(const uint64_t *ns, double share)
{
    return (double)ns[(size_t)(share * (ROUNDS - 1))] / 1000;
}

int main(void)
{
    static uint64_t took[2][ROUNDS]; /* at the holder, at the other */
    qd_env *env = qd_env_system();
    action_cluster *c = action_cluster_open(2, NULL);
    bool met = true;
    fill(c);
    uint32_t holder = action_cluster_shards(c, 0, "x") ? 0 : 1;
    for (size_t i = 0; i < QD_COUNT_OF(searches); i++) {
        for (uint32_t k = 0; k < 2 * ROUNDS; k++) {
            uint32_t node = k % 2 ? 1 - holder : holder;
            uint64_t begun = qd_env_mono_ns(env);
            int status = action_cluster_call(c, node, "POST", "/x/_search", searches[i].body);
            took[k % 2][k / 2] = qd_env_mono_ns(env) - begun;
            qd_assert(status == 200);
        }
        for (int k = 0; k < 2; k++) qsort(took[k], ROUNDS, sizeof took[k][0], by_value);
        double hop = us(took[1], 0.5) - us(took[0], 0.5);
        met &= hop < HOP_US_MAX;
        printf(
            "%-20s holder p50 %7.1f us p99 %7.1f us   other p50 %7.1f us p99 %7.1f us   hop %6.1f "
            "us\n",
            searches[i].name, us(took[0], 0.5), us(took[0], 0.99), us(took[1], 0.5),
            us(took[1], 0.99), hop);
    }
    printf("%s: a second hop adds less than %.0f us\n", met ? "PASS" : "FAIL", HOP_US_MAX);
    action_cluster_close(c);
    return met ? 0 : 1;
}
