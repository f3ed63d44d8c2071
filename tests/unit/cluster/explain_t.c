/*
 * explain_t.c: what each decider says and in which words; commands; watermarks and the flood stage.
 */
#include "cluster/allocation/command.h"
#include "lib/alloc_model.h"
#include "unit/unit.h"

typedef struct bench {
    alloc_model m;
    qd_arena a;
    qd_alloc_explanation e;
} bench;

/* So many nodes, one index of one shard with so many replicas; the primary started on node 0. */
static bench begin(uint32_t nodes, uint32_t replicas, uint32_t zones)
{
    bench b;
    alloc_model_shape s = {.seed = 1,
                           .nodes = nodes,
                           .indices = 1,
                           .shards_max = 1,
                           .replicas = replicas,
                           .replicas_fixed = true,
                           .zones = zones,
                           .disk = 1000ll << 30};
    alloc_model_init(&b.m, &s);
    qd_alloc_copy *c = (qd_alloc_copy *)b.m.shards[0].copies;
    c[0].node = 0;
    c[0].state = QD_ALLOC_STARTED;
    c[0].in_sync = true;
    c[0].allocation_id = QD_STR("first");
    b.m.shards[0].fresh = false;
    b.m.sum_shards[0] = 1;
    qd_arena_init(&b.a, &qd_account_general, 0);
    return b;
}

static void end(bench *b)
{
    qd_arena_fini(&b->a);
    alloc_model_fini(&b->m);
}

static void explain(bench *b, uint32_t copy)
{
    assert_int_equal(qd_allocation_explain(&b->m.view, 0, copy, true, &b->a, &b->e, NULL), 0);
}

static const qd_alloc_word *word(const bench *b, uint32_t node, const char *decider)
{
    for (uint32_t i = 0; i < b->e.nnodes; i++) {
        const qd_alloc_node_word *n = &b->e.nodes[i];
        for (uint32_t k = 0; n->node == node && k < n->nwords; k++)
            if (!strcmp(n->words[k].decider, decider)) return &n->words[k];
    }
    fail_msg("%s says nothing of node %u", decider, node);
    return NULL;
}

static void says(bench *b, uint32_t node, const char *decider, qd_alloc_verdict v, const char *text)
{
    const qd_alloc_word *w = word(b, node, decider);
    assert_int_equal(w->verdict, v);
    if (text && !strstr(w->text.p, text)) fail_msg("%s: %s", decider, w->text.p);
}

/* The place that is to be explained, while it is nobody's. */
static qd_alloc_copy *replica_of(bench *b)
{
    return (qd_alloc_copy *)&b->m.shards[0].copies[1];
}

static void test_yes(void **state)
{
    (void)state;
    bench b = begin(2, 1, 0);
    explain(&b, 1);
    assert_string_equal(b.e.can_allocate, "yes");
    says(&b, 1, "same_shard", QD_ALLOC_YES, "this node does not hold a copy of this shard");
    says(&b, 0, "same_shard", QD_ALLOC_NO,
         "a copy of this shard is already allocated to this node [[index-0][0], node[node-0], [P], "
         "s[STARTED], a[id=first]]");
    says(&b, 1, "max_retry", QD_ALLOC_YES, "shard has no previous failures");
    says(&b, 1, "enable", QD_ALLOC_YES, "all allocations are allowed");
    says(&b, 1, "filter", QD_ALLOC_YES, "node passes include/exclude/require filters");
    says(&b, 1, "throttling", QD_ALLOC_YES,
         "below shard recovery limit of outgoing: [0 < 2] incoming: [0 < 2]");
    says(&b, 1, "awareness", QD_ALLOC_YES, "allocation awareness is not enabled");
    says(&b, 1, "node_shutdown", QD_ALLOC_YES, "no nodes are shutting down");
    says(&b, 1, "disk_threshold", QD_ALLOC_YES, "enough disk for shard on node, free: [1000gb]");
    says(&b, 1, "shards_limit", QD_ALLOC_YES,
         "total shard limits are disabled: [index: -1, cluster: -1] <= 0");
    end(&b);
}

static void test_awareness(void **state)
{
    (void)state;
    bench b = begin(4, 1, 2);
    explain(&b, 1);
    says(&b, 2, "awareness", QD_ALLOC_NO,
         "there are [2] copies of this shard and [2] values for attribute [zone] ([z0, z1] from "
         "nodes in the cluster and no forced awareness) so there may be at most [1] copies of this "
         "shard allocated to nodes with each value, but (including this copy) there would be [2] "
         "copies allocated to nodes with [node.attr.zone: z0]");
    says(&b, 1, "awareness", QD_ALLOC_YES, "node meets all awareness attribute requirements");
    b.m.nodes[3].nattrs = 0;
    explain(&b, 1);
    says(&b, 3, "awareness", QD_ALLOC_NO, "node does not contain the awareness attribute [zone]");
    end(&b);
}

static void test_same_host(void **state)
{
    (void)state;
    bench b = begin(4, 1, 0);
    b.m.view.settings.same_host = true; /* the model puts two nodes on a host */
    explain(&b, 1);
    says(&b, 1, "same_shard", QD_ALLOC_NO, "with the same host address [10.0.0.0]");
    says(&b, 2, "same_shard", QD_ALLOC_YES, "none of the nodes on this host hold a copy");
    end(&b);
}

static void test_disk(void **state)
{
    (void)state;
    bench b = begin(4, 1, 0);
    b.m.view.settings.low.headroom = b.m.view.settings.high.headroom = -1;
    b.m.nodes[1].disk_free = 140ll << 30;
    b.m.nodes[2].disk_free = 200ll << 30;
    b.m.shards[0].size = 120ll << 30;
    explain(&b, 1);
    says(&b, 1, "disk_threshold", QD_ALLOC_NO,
         "the node is above the low watermark cluster setting "
         "[cluster.routing.allocation.disk.watermark.low=85%], having less than the minimum "
         "required [150gb] free space, actual free: [140gb], actual used: [86%]");
    says(&b, 2, "disk_threshold", QD_ALLOC_NO,
         "allocating the shard to this node will bring the node above the high watermark cluster "
         "setting [cluster.routing.allocation.disk.watermark.high=90%]");
    says(&b, 3, "disk_threshold", QD_ALLOC_YES,
         "shard size: [120gb], free after allocating "
         "shard: [880gb]");
    b.m.nodes[0].disk_free = 50ll << 30;
    explain(&b, 0);
    assert_int_equal(b.e.can_remain, QD_ALLOC_NO);
    assert_string_equal(b.e.remain[0].decider, "disk_threshold");
    assert_string_equal(b.e.can_move, "yes");
    end(&b);
}

static uint32_t decisions(bench *b, qd_alloc_action action)
{
    qd_alloc_result r;
    uint32_t n = 0;
    assert_int_equal(qd_allocation_round(&b->m.view, &b->a, &r, NULL), 0);
    for (uint32_t i = 0; i < r.n; i++) n += r.decisions[i].action == action;
    return n;
}

static void test_flood(void **state)
{
    (void)state;
    bench b = begin(2, 0, 0);
    b.m.view.settings.flood.headroom = b.m.view.settings.high.headroom = -1;
    b.m.view.disks_new = true;
    b.m.nodes[0].disk_free = 49ll << 30;
    assert_int_equal(decisions(&b, QD_ALLOC_BLOCK), 1);
    b.m.indices[0].flood_block = true;
    assert_int_equal(decisions(&b, QD_ALLOC_BLOCK), 0);
    b.m.nodes[0].disk_free = 80ll << 30; /* above the flood stage no more, above high still */
    assert_int_equal(decisions(&b, QD_ALLOC_UNBLOCK), 0);
    b.m.nodes[0].disk_free = 101ll << 30;
    assert_int_equal(decisions(&b, QD_ALLOC_UNBLOCK), 1);
    end(&b);
}

static void test_tier(void **state)
{
    (void)state;
    bench b = begin(3, 1, 0);
    b.m.nodes[1].roles = QD_STR("hm");
    b.m.nodes[2].roles = QD_STR("wm");
    b.m.indices[0].tiers = QD_STR("data_warm,data_hot");
    explain(&b, 1);
    says(&b, 1, "data_tier", QD_ALLOC_NO,
         "index has a preference for tiers [data_warm,data_hot] and node does not meet the "
         "required [data_warm] tier");
    says(&b, 2, "data_tier", QD_ALLOC_YES, "and node has tier [data_warm]");
    b.m.indices[0].tiers = QD_STR("data_frozen");
    b.m.nodes[0].roles = QD_STR("hm");
    explain(&b, 1);
    says(&b, 2, "data_tier", QD_ALLOC_NO,
         "but no nodes for any of those tiers are available in the cluster");
    end(&b);
}

/* A shard that is made of another index's begins where that one is. */
static void test_resize(void **state)
{
    (void)state;
    bench b;
    alloc_model_shape s = {.seed = 1,
                           .nodes = 3,
                           .indices = 2,
                           .shards_max = 1,
                           .replicas_fixed = true,
                           .disk = 1000ll << 30};
    alloc_model_init(&b.m, &s);
    qd_arena_init(&b.a, &qd_account_general, 0);
    qd_alloc_copy *c = (qd_alloc_copy *)b.m.shards[0].copies;
    c[0].node = 1;
    c[0].state = QD_ALLOC_STARTED;
    c[0].allocation_id = QD_STR("first");
    b.m.shards[0].fresh = false;
    b.m.indices[1].source = 1;
    b.m.shards[1].fresh = true;
    assert_int_equal(qd_allocation_explain(&b.m.view, 1, 0, true, &b.a, &b.e, NULL), 0);
    says(&b, 0, "resize", QD_ALLOC_NO, "this node does not have the started primary of [");
    says(&b, 1, "resize", QD_ALLOC_YES, "this node has the primaries that the shard is made of");
    b.m.indices[1].source = 0;
    assert_int_equal(qd_allocation_explain(&b.m.view, 1, 0, true, &b.a, &b.e, NULL), 0);
    says(&b, 0, "resize", QD_ALLOC_YES, "the shard is not to be made of another index's");
    end(&b);
}

/* The disk that counts is that of the index's tier; bytes in GiB. */
static void test_storage_tier(void **state)
{
    (void)state;
    char room[128];
    bench b = begin(4, 1, 0);
    b.m.view.settings.low.headroom = b.m.view.settings.high.headroom = -1;
    b.m.view.settings.flood.headroom = -1;
    b.m.indices[0].storage_tier = QD_STR("warm");
    snprintf(room, sizeof room, "cold=1/1 warm=%llu/%llu", 1000ull << 30, 140ull << 30);
    b.m.nodes[0].tiers = b.m.nodes[2].tiers = b.m.nodes[3].tiers = QD_STR("hot,cold,warm");
    b.m.nodes[1].tiers = QD_STR("hot,warmer");
    b.m.nodes[2].tier_spaces = qd_str_c(room);
    b.m.nodes[3].disk_free = 0; /* of its own tier */
    explain(&b, 1);
    says(&b, 1, "storage_tier", QD_ALLOC_NO,
         "index has the storage tier [warm] [index.storage.tier] and node has [hot,warmer] "
         "[storage.tiers]");
    says(&b, 2, "storage_tier", QD_ALLOC_YES, "node has the storage tier [warm] of the index");
    says(&b, 2, "disk_threshold", QD_ALLOC_NO,
         "having less than the minimum required [150gb] free space, actual free: [140gb], actual "
         "used: [86%]");
    says(&b, 3, "disk_threshold", QD_ALLOC_YES, "disk usage is unavailable");
    /* its own tier is told as such */
    b.m.nodes[3].tiers = QD_STR("warm,hot");
    explain(&b, 1);
    says(&b, 3, "disk_threshold", QD_ALLOC_NO, "actual free: [0b]");
    end(&b);
    /* and an index is blocked for its own disk alone */
    b = begin(2, 0, 0);
    b.m.view.settings.flood.headroom = b.m.view.settings.high.headroom = -1;
    b.m.view.disks_new = true;
    b.m.indices[0].storage_tier = QD_STR("warm");
    b.m.nodes[0].tiers = b.m.nodes[1].tiers = QD_STR("hot,warm");
    b.m.nodes[0].disk_free = 1;
    snprintf(room, sizeof room, "warm=%llu/%llu", 1000ull << 30, 500ull << 30);
    b.m.nodes[0].tier_spaces = qd_str_c(room);
    assert_int_equal(decisions(&b, QD_ALLOC_BLOCK), 0);
    snprintf(room, sizeof room, "warm=%llu/%llu", 1000ull << 30, 49ull << 30);
    b.m.nodes[0].tier_spaces = qd_str_c(room);
    assert_int_equal(decisions(&b, QD_ALLOC_BLOCK), 1);
    b.m.nodes[0].tier_spaces = QD_STR("warm=1000/2000 warm="); /* of no use */
    assert_int_equal(decisions(&b, QD_ALLOC_BLOCK), 0);
    end(&b);
}

static void test_filters(void **state)
{
    (void)state;
    bench b = begin(3, 1, 2);
    static const qd_alloc_pair exclude = {{"_name", 5}, {"node-1,other", 12}};
    static const qd_alloc_pair require = {{"zone", 4}, {"z1", 2}};
    static const qd_alloc_pair include = {{"_host", 5}, {"host-9*", 7}};
    b.m.view.settings.nawareness = 0;
    b.m.indices[0].filters.exclude = &exclude;
    b.m.indices[0].filters.nexclude = 1;
    explain(&b, 1);
    says(&b, 1, "filter", QD_ALLOC_NO,
         "node matches index setting [index.routing.allocation.exclude] filters [_name:\"node-1 OR "
         "other\"]");
    b.m.view.settings.filters.require = &require;
    b.m.view.settings.filters.nrequire = 1;
    explain(&b, 1);
    says(&b, 2, "filter", QD_ALLOC_NO,
         "node does not match cluster setting [cluster.routing.allocation.require] filters "
         "[zone:\"z1\"]");
    b.m.view.settings.filters.nrequire = 0;
    b.m.view.settings.filters.include = &include;
    b.m.view.settings.filters.ninclude = 1;
    explain(&b, 1);
    says(&b, 2, "filter", QD_ALLOC_NO,
         "node does not match cluster setting [cluster.routing.allocation.include] filters "
         "[_host:\"host-9*\"]");
    end(&b);
}

static void test_rest_of_deciders(void **state)
{
    (void)state;
    bench b = begin(3, 1, 0);
    qd_alloc_copy *r = replica_of(&b);
    r->info.failures = 5;
    r->info.why = QD_ALLOC_WHY_ALLOCATION_FAILED;
    r->info.details = QD_STR("no luck");
    b.m.nodes[1].version_number = 1;
    b.m.nodes[1].version = QD_STR("0.9.0");
    b.m.nodes[2].leave = QD_ALLOC_REMOVED;
    b.m.indices[0].per_node = 1;
    b.m.view.settings.node_out = 0;
    explain(&b, 1);
    assert_string_equal(b.e.can_allocate, "no");
    says(&b, 1, "max_retry", QD_ALLOC_NO,
         "shard has exceeded the maximum number of retries [5] on failed allocation attempts - "
         "manually call [POST /_cluster/reroute?retry_failed] to retry");
    says(&b, 1, "node_version", QD_ALLOC_NO,
         "cannot allocate replica shard to a node with version [0.9.0] since this is older than "
         "the primary version [1.0.0]");
    says(&b, 2, "node_shutdown", QD_ALLOC_NO,
         "node [node-2] is preparing to be removed from the cluster");
    says(&b, 0, "shards_limit", QD_ALLOC_NO,
         "too many shards [1] allocated to this node for index [index-0], index setting "
         "[index.routing.allocation.total_shards_per_node=1]");
    says(&b, 1, "throttling", QD_ALLOC_THROTTLE,
         "reached the limit of outgoing shard recoveries [0] on the node [node-0] which holds the "
         "primary");
    end(&b);
}

static void test_delayed(void **state)
{
    (void)state;
    bench b = begin(3, 1, 0);
    qd_alloc_copy *r = replica_of(&b);
    r->info = (qd_alloc_unassigned){.why = QD_ALLOC_WHY_NODE_LEFT,
                                    .at_ms = b.m.view.now_ms - 10000,
                                    .last_node = 2,
                                    .delayed = true};
    b.m.nodes[2].up = false;
    explain(&b, 1);
    assert_string_equal(b.e.can_allocate, "allocation_delayed");
    assert_int_equal(b.e.delay_ms, 60000);
    assert_int_equal(b.e.remaining_ms, 50000);
    assert_int_equal(decisions(&b, QD_ALLOC_ASSIGN_REPLICA), 0);
    qd_alloc_result res;
    assert_int_equal(qd_allocation_round(&b.m.view, &b.a, &res, NULL), 0);
    assert_int_equal(res.again_ms, b.m.view.now_ms + 50000);
    assert_int_equal(res.delayed, 1);
    /* a permit to restart waits longer; one that is open while its node is back waits no more */
    b.m.nodes[2].leave = QD_ALLOC_RESTARTS;
    b.m.nodes[2].permit_until_ms = b.m.view.now_ms + 600000;
    explain(&b, 1);
    assert_int_equal(b.e.remaining_ms, 600000);
    b.m.nodes[2].up = true;
    assert_int_equal(decisions(&b, QD_ALLOC_ASSIGN_REPLICA), 1);
    end(&b);
}

static void test_no_copy(void **state)
{
    (void)state;
    bench b = begin(3, 0, 0);
    qd_alloc_copy *c = (qd_alloc_copy *)b.m.shards[0].copies;
    qd_alloc_holder *h = (qd_alloc_holder *)b.m.shards[0].holders;
    c[0] = (qd_alloc_copy){.node = QD_ALLOC_NONE,
                           .partner = QD_ALLOC_NONE,
                           .primary = true,
                           .info = {.why = QD_ALLOC_WHY_NODE_LEFT, .last_node = 0}};
    h[0] = (qd_alloc_holder){0, QD_STR("first"), true};
    h[1] = (qd_alloc_holder){1, QD_STR("old"), false};
    b.m.shards[0].nholders = 2;
    b.m.nodes[0].up = false;
    explain(&b, 0);
    assert_string_equal(b.e.can_allocate, "no_valid_shard_copy");
    assert_int_equal(decisions(&b, QD_ALLOC_ASSIGN_PRIMARY), 0); /* never the stale one by itself */
    b.m.nodes[0].up = true;
    b.m.view.settings.enable = QD_ALLOC_ENABLE_NONE; /* its own files are opened nevertheless */
    assert_int_equal(decisions(&b, QD_ALLOC_ASSIGN_PRIMARY), 1);
    explain(&b, 0);
    assert_string_equal(b.e.can_allocate, "yes");
    says(&b, 0, "enable", QD_ALLOC_NO, NULL);
    says(&b, 0, "force_allocation", QD_ALLOC_YES, "has an in-sync copy of this primary");
    /* but not where no tier of the node can have them */
    b.m.indices[0].storage_tier = QD_STR("warm");
    b.m.nodes[0].tiers = QD_STR("hot");
    assert_int_equal(decisions(&b, QD_ALLOC_ASSIGN_PRIMARY), 0);
    explain(&b, 0);
    assert_string_equal(b.e.can_allocate, "no");
    says(&b, 0, "storage_tier", QD_ALLOC_NO, NULL);
    end(&b);
}

static int command(bench *b, qd_alloc_command c, qd_alloc_result *r, qd_err *err)
{
    c.index = QD_STR("index-0");
    return qd_allocation_commands(&b->m.view, &c, 1, false, false, &b->a, r, NULL, err);
}

static void refused(bench *b, qd_alloc_command c, const char *text)
{
    qd_alloc_result r;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(command(b, c, &r, &err), QD_E_ARG);
    if (!strstr(qd_err_reason(&err), text)) fail_msg("%s", qd_err_reason(&err));
    qd_err_fini(&err);
}

static void test_commands(void **state)
{
    (void)state;
    bench b = begin(3, 1, 0);
    qd_alloc_result r;
    qd_str n0 = QD_STR("node-0"), n1 = QD_STR("node-1"), n2 = QD_STR("node-2");
    assert_int_equal(
        command(&b, (qd_alloc_command){.order = QD_ALLOC_MOVE, .node = n0, .to = n1}, &r, NULL), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.decisions[0].action, QD_ALLOC_RELOCATE);
    assert_int_equal(r.decisions[0].node, 1);
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_MOVE, .node = n1, .to = n2},
            "failed to find it on node");
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_MOVE, .node = n0, .to = n0},
            "since its not allowed, reason: ");
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_MOVE, .node = n0, .to = QD_STR("none")},
            "failed to resolve [none], no matching nodes");
    /* switched off by a setting: who commands knows */
    b.m.view.settings.enable = QD_ALLOC_ENABLE_NONE;
    assert_int_equal(
        command(&b, (qd_alloc_command){.order = QD_ALLOC_REPLICA, .node = n2}, &r, NULL), 0);
    assert_int_equal(r.decisions[0].action, QD_ALLOC_ASSIGN_REPLICA);
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_REPLICA, .node = n0}, "is not allowed");
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_CANCEL_SHARD, .node = n0},
            "shard is primary and started");
    assert_int_equal(
        command(&b, (qd_alloc_command){.order = QD_ALLOC_CANCEL_SHARD, .node = n0, .sure = true},
                &r, NULL),
        0);
    assert_int_equal(r.decisions[0].action, QD_ALLOC_REMOVE);
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_EMPTY_PRIMARY, .node = n1, .sure = true},
            "primary [index-0][0] is already assigned");
    qd_alloc_copy *c = (qd_alloc_copy *)b.m.shards[0].copies;
    c[0] = (qd_alloc_copy){.node = QD_ALLOC_NONE, .partner = QD_ALLOC_NONE, .primary = true};
    refused(&b, (qd_alloc_command){.order = QD_ALLOC_EMPTY_PRIMARY, .node = n1},
            "can result in data loss. Please confirm by setting the accept_data_loss parameter to "
            "true");
    assert_int_equal(
        command(&b, (qd_alloc_command){.order = QD_ALLOC_STALE_PRIMARY, .node = n1, .sure = true},
                &r, NULL),
        0);
    assert_int_equal(r.decisions[0].source, QD_ALLOC_FROM_STALE);
    end(&b);
}

static void test_bad_view(void **state)
{
    (void)state;
    bench b = begin(2, 1, 0);
    qd_alloc_result r;
    qd_alloc_copy *c = (qd_alloc_copy *)b.m.shards[0].copies;
    c[0].node = 7;
    assert_int_equal(qd_allocation_round(&b.m.view, &b.a, &r, NULL), QD_E_ARG);
    c[0].node = 0;
    c[0].partner = 1;
    assert_int_equal(qd_allocation_round(&b.m.view, &b.a, &r, NULL), QD_E_ARG);
    end(&b);
}

static void test_memory(void **state)
{
    (void)state;
    bench b = begin(3, 1, 0);
    for (uint64_t i = 1;; i++) { /* the n-th allocation fails, until a round passes untouched */
        qd_arena a;
        qd_alloc_result r;
        qd_arena_init(&a, &qd_account_general, 0);
        (void)qd_mem_fail_at(i, false);
        int rc = qd_allocation_round(&b.m.view, &a, &r, NULL);
        uint64_t seen = qd_mem_fail_at(0, false);
        qd_arena_fini(&a);
        assert_true(rc == 0 || rc == QD_E_NOMEM);
        if (seen < i) break;
    }
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yes),       cmocka_unit_test(test_awareness),
        cmocka_unit_test(test_same_host), cmocka_unit_test(test_disk),
        cmocka_unit_test(test_resize),    cmocka_unit_test(test_storage_tier),
        cmocka_unit_test(test_flood),     cmocka_unit_test(test_tier),
        cmocka_unit_test(test_filters),   cmocka_unit_test(test_rest_of_deciders),
        cmocka_unit_test(test_delayed),   cmocka_unit_test(test_no_copy),
        cmocka_unit_test(test_commands),  cmocka_unit_test(test_bad_view),
        cmocka_unit_test(test_memory),
    };
    return unit_run(tests);
}
