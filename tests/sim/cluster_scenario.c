/*
 * cluster_scenario.c: named faults, each under load from clients, and the promise that it must keep
 * beside what every schedule must. The cluster is green when one begins; it has to be green again
 * after it, with nothing lost. Those of masters are in cluster_raft.c, those of the Kubernetes API
 * in cluster_k8s_scenario.c.
 */
#include "cluster_steps.h"

/* --- 1 to 3: ends of processes and machines --------------------------------------------------- */

static void data_node_killed(cluster *x)
{
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        int id = i % 2 ? (int)rnd(x->w, NODES) : primary(x);
        down(x, id, false);
        pass(x, 300 + rnd(x->w, 1500));
        until(x, serves, 20000, "no primary serves");
        back(x, id, 200);
        until(x, is_green, 60000, "not green");
    }
}

static void all_killed(cluster *x)
{
    for (int i = 0; i < NODES; i++) down(x, i, false);
    until(x, all_down, 60000, "processes do not end");
    for (int i = 0; i < NODES; i++) back(x, i, rnd(x->w, 2000));
    until(x, is_green, 90000, "not green by itself");
}

static void power_cut(cluster *x)
{
    for (int round = 0; round < 2 && !x->w->failed; round++) {
        for (int i = 0; i < NODES; i++) down(x, i, true);
        until(x, all_down, 60000, "processes do not end");
        for (int i = 0; i < NODES; i++) back(x, i, rnd(x->w, 1000));
        until(x, is_green, 90000, "not green by itself");
    }
}

/* --- 4 to 8: partitions ----------------------------------------------------------------------- */

static void primary_isolated(cluster *x)
{
    int id = primary(x);
    uint64_t term = x->w->record.term;
    cluster_partition(x, CUT_NODE, id, id);
    x->w->cut[id][CLIENT] = x->w->cut[CLIENT][id] = false; /* its clients are still there */
    until(x, serves, 20000, "no primary serves on the other side");
    pass(x, LEASE_MS + 6000 + rnd(x->w, 3000));
    expect(x, x->w->record.term > term, "nobody was promoted");
    cluster_heal(x);
    pass(x, 2000);
}

static void primary_cut_from_masters(cluster *x)
{
    int id = primary(x);
    uint64_t term = x->w->record.term;
    cluster_partition(x, CUT_MASTERS, id, id);
    pass(x, LEASE_MS + 7000 + rnd(x->w, 4000));
    expect(x, x->w->record.term > term, "nobody was promoted");
    cluster_heal(x);
    pass(x, 2000);
}

static void bridge(cluster *x)
{
    for (int i = 0; i < 3 && !x->w->failed; i++) {
        cluster_partition(x, CUT_BRIDGE, (int)rnd(x->w, NODES), 0);
        pass(x, 4000 + rnd(x->w, 3000));
        cluster_heal(x);
        pass(x, 1000);
    }
}

static void lossy_and_slow(cluster *x)
{
    world *w = x->w;
    int id = primary(x);
    w->loss = 0.3;
    w->slow = 0.3;
    w->twice = 0.1;
    pass(x, 6000);
    w->loss = w->slow = 0;
    id = primary(x);
    cluster_partition(x, chance(w, 0.5) ? CUT_OUT : CUT_IN, id, id);
    pass(x, LEASE_MS + 12000);
    expect(x, cluster_primary(x) != id, "a primary that hears or is heard only stayed one");
    cluster_heal(x);
    w->twice = 0;
    pass(x, 1000);
}

static void partitions_again_and_again(cluster *x)
{
    for (int i = 0; i < 20 && !x->w->failed; i++) {
        cluster_partition(x, (partition_kind)rnd(x->w, CUT_KINDS), (int)rnd(x->w, NODES),
                          (int)rnd(x->w, NODES));
        pass(x, 500 + rnd(x->w, 3000));
        cluster_heal(x);
        pass(x, 300 + rnd(x->w, 1500));
    }
}

/* --- 9 to 13: copies and clients -------------------------------------------------------------- */

static void primary_dies_in_flight(cluster *x)
{
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        int id = primary(x);
        x->w->loss = 0.1; /* so that copies have got different parts of what is under way */
        pass(x, 200 + rnd(x->w, 400));
        down(x, id, chance(x->w, 0.5));
        x->w->loss = 0;
        until(x, serves, 20000, "no primary serves");
        back(x, id, 100);
        until(x, is_green, 60000, "not green");
    }
}

/* Copies in sync go one after the other; the one that was put out first comes back first. */
static void stale_copy_first(cluster *x)
{
    world *w = x->w;
    int stale = -1, held[NODES], n = 0;
    for (uint32_t i = 0; i < w->record.n; i++) {
        const scopy *c = &w->record.copies[i];
        if (strcmp(c->aid, w->record.primary) != 0 && c->node[0]) stale = node_of(c->node);
    }
    expect(x, stale >= 0, "there is no other copy");
    if (stale < 0) return;
    down(x, stale, false);
    pass(x, LEASE_MS + 8000);
    for (uint32_t i = 0; i < w->record.nsync; i++) held[n++] = node_of(w->record.sync[i].node);
    for (int i = 0; i < n; i++) {
        expect(x, held[i] != stale, "a copy that is down is still in sync");
    }
    for (int i = 0; i < n; i++) down(x, held[i], false);
    back(x, stale, 500);
    pass(x, LEASE_MS + 15000);
    expect(x, !serves(x), "a copy that was not in sync was promoted");
    for (int i = 0; i < n; i++) back(x, held[i], 100 + rnd(w, 500));
    until(x, serves, 60000, "no primary serves when copies in sync are back");
}

static void clients_retry(cluster *x)
{
    for (int i = 0; i < 6 && !x->w->failed; i++) {
        for (int k = 0; k < NODES; k++) { /* answers are lost */
            x->w->cut[k][CLIENT] = chance(x->w, 0.6);
        }
        pass(x, 1000 + rnd(x->w, 2000));
        for (int k = 0; k < NODES; k++) x->w->cut[k][CLIENT] = false;
        pass(x, 500);
    }
}

static void compare_and_set_over_failovers(cluster *x)
{
    for (int i = 0; i < 5 && !x->w->failed; i++) {
        int id = primary(x);
        if (chance(x->w, 0.5)) {
            cluster_freeze(x, id, ms(4000 + rnd(x->w, 2000)));
        } else {
            down(x, id, false);
            back(x, id, 1000);
        }
        pass(x, 5000);
    }
}

static void reordered_on_copies(cluster *x)
{
    world *w = x->w;
    w->twice = 0.3;
    w->slow = 0.3;
    pass(x, 6000);
    down(x, primary(x), false);
    pass(x, 4000);
    w->twice = w->slow = 0;
}

/* --- 14: mappings ----------------------------------------------------------------------------- */

static bool is_led(cluster *x)
{
    return cluster_leader(x) >= 0;
}

/* Of two types that two nodes ask for one wins, everywhere; who is refused is told so. A leader
 * that lost its power is followed only when its lease has ended: more than those who ask wait. */
static void mapping_race(cluster *x)
{
    for (int i = 0; i < RACES && !x->w->failed; i++) {
        int a = (int)rnd(x->w, NODES), leader = cluster_leader(x);
        bool ends = leader >= 0 && chance(x->w, 0.3);
        cluster_field(x, a, i, 0);
        cluster_field(x, some_other(x, a), i, 1);
        if (ends) pass(x, rnd(x->w, 60));
        if (ends) down(x, leader, chance(x->w, 0.5));
        if (chance(x->w, 0.2)) cluster_partition(x, CUT_ONE_WAY, a, some_other(x, a));
        pass(x, 200 + rnd(x->w, 600));
        cluster_heal(x);
        if (!ends) continue;
        back(x, leader, 100);
        until(x, is_led, 30000, "nobody leads");
    }
    pass(x, 7000); /* nobody waits longer for the masters */
    until(x, is_green, 90000, "not green");
    int decided = 0;
    for (int i = 0; i < RACES && !x->w->failed; i++) {
        const int *asked = x->races[i].asked;
        int type = cluster_field_type(x, i);
        decided += (asked[0] == 1 && asked[1] == 2) || (asked[0] == 2 && asked[1] == 1);
        expect(x, asked[0] != 1 || asked[1] != 1, "a field was told to be of both types");
        expect(x, asked[0] != 1 || type == 0, "a field is not of the type that was told");
        expect(x, asked[1] != 1 || type == 1, "a field is not of the type that was told");
        expect(x, (asked[0] != 2 && asked[1] != 2) || type >= 0,
               "a field was refused for another, which is not there");
        expect(x, asked[0] != 2 || type == 1, "a field was refused for its own type");
        expect(x, asked[1] != 2 || type == 0, "a field was refused for its own type");
    }
    /* with the state in Kubernetes a leader's end takes a lease, longer than most who ask wait */
    expect(x, decided >= RACES / 3, "too few who asked were told who has won");
}

/* --- 15 to 19: time and disks ----------------------------------------------------------------- */

static void leader_frozen(cluster *x)
{
    until(x, leads, 20000, "no master leads");
    int id = cluster_leader(x);
    if (id < 0) return;
    uint64_t before = acked(x);
    cluster_freeze(x, id, ms(60000));
    pass(x, 3000);
    until(x, leads, 20000, "no other master leads");
    until(x, serves, 30000, "no primary serves");
    expect(x, cluster_leader(x) != id, "a frozen master leads");
    pass(x, 70000);
    expect(x, acked(x) > before, "nothing was written while a master was frozen");
}

static void clock_jumps(cluster *x)
{
    uint64_t term = x->w->record.term, lost = x->r->sessions_lost, master = x->r->leaders;
    for (int i = 0; i < 8 && !x->w->failed; i++) {
        cluster_clock(x, (int)rnd(x->w, NODES), chance(x->w, 0.5) ? 3600000 : -3600000);
        pass(x, 700);
    }
    expect(x, x->w->record.term == term, "a clock that jumped cost a primary its place");
    expect(x, x->r->sessions_lost == lost, "a clock that jumped ended a session");
    expect(x, x->r->leaders == master, "a clock that jumped cost a master its lead");
}

/* --- 21: upgrades ----------------------------------------------------------------------------- */

#define OLDER QD_FEATURES_LEVEL /* of this build; the newer one is made up */
#define NEWER (QD_FEATURES_LEVEL + 1u)

/* Of formats, as any node knows it. */
static uint32_t level(cluster *x)
{
    uint32_t highest = 0;
    for (int i = 0; i < NODES; i++) {
        if (!proc_follows(x->m[i].now)) continue;
        qd_state *s = qd_cluster_state(x->m[i].now->cluster);
        if (s->features > highest) highest = s->features;
        qd_state_unref(s);
    }
    return highest;
}

static void finalized(cluster *x)
{
    for (int i = 0; i < 300 && level(x) != NEWER && !x->w->failed; i++) {
        cluster_finalize(x, (int)rnd(x->w, NODES));
        pass(x, 200);
    }
    expect(x, level(x) == NEWER, "the upgrade is not finalized");
}

static void change_version(cluster *x, int id, uint32_t features)
{
    uint64_t before = acked(x);
    down(x, id, false);
    pass(x, 300 + rnd(x->w, 700));
    x->m[id].features = features;
    back(x, id, 10);
    until(x, is_green, 90000, "not green with nodes of two versions");
    pass(x, 3200); /* clients wait 2.5 s for a node that has ended */
    expect(x, acked(x) > before || log_full(x), "nothing was written while a node was upgraded");
}

/* Node by node, while somebody tries to finalize all the time; some go back before that. A node of
 * the older version that was away meanwhile is not let in. */
static void rolling_upgrade(cluster *x)
{
    int first = (int)rnd(x->w, NODES), last = (first + NODES - 1) % NODES;
    for (int i = 0; i < NODES - 1 && !x->w->failed; i++) {
        int id = (first + i) % NODES;
        change_version(x, id, NEWER);
        cluster_finalize(x, id);
        if (chance(x->w, 0.3)) {
            change_version(x, id, OLDER);
            change_version(x, id, NEWER);
        }
    }
    expect(x, level(x) == OLDER, "formats were raised though a node does not know them");
    cluster_partition(x, CUT_NODE, last, last);
    if (chance(x->w, 0.5)) finalized(x);
    pass(x, rnd(x->w, 3000));
    if (chance(x->w, 0.5)) cluster_finalize(x, first);
    cluster_heal(x);
    pass(x, 6000);
    change_version(x, last, NEWER);
    finalized(x);
    down(x, first, false);
    x->m[first].features = OLDER;
    back(x, first, 10);
    pass(x, 8000);
    expect(x, !proc_follows(x->m[first].now), "a node of the older version was let in");
    x->m[first].features = NEWER;
    if (x->m[first].now) proc_kill(x, first, false);
    until(x, is_green, 90000, "not green after the upgrade");
}

/* --- 22 and what is of this cluster alone ----------------------------------------------------- */

static void moves_under_load(cluster *x)
{
    uint64_t moved = x->w->r->relocations;
    for (int i = 0; i < 8 && !x->w->failed; i++) {
        cluster_move(x, primary(x), free_node(x));
        pass(x, 1500);
        if (i == 5) down(x, primary(x), false);
        if (i == 5) pass(x, 5000);
    }
    expect(x, x->w->r->relocations > moved, "no primary has moved");
}

static void node_gone(cluster *x)
{
    int id = primary(x);
    uint64_t term = x->w->record.term;
    cluster_partition(x, CUT_NODE, id, id);
    down(x, id, true);
    pass(x, LEASE_MS + 15000);
    expect(x, x->w->record.term > term, "the primary's node is gone, and nobody was promoted");
    expect(x, serves(x), "no primary serves");
    for (uint32_t i = 0; i < x->w->record.n; i++) {
        expect(x, strcmp(x->w->record.copies[i].node, node_name(id)) != 0,
               "a copy is still on a node that is gone");
    }
    for (int i = 0; i < NODES; i++) {
        if (i == id || !proc_follows(x->m[i].now)) continue;
        qd_state *s = qd_cluster_state(x->m[i].now->cluster);
        expect(x, !qd_state_node(s, qd_str_c(node_name(id))),
               "a node that is gone is in the state");
        qd_state_unref(s);
    }
    cluster_heal(x);
    back(x, id, 100);
}

/* The node that allocates shards, as node `by` knows. */
static int allocates(cluster *x, int by)
{
    int found = -1;
    if (!proc_follows(x->m[by].now)) return -1;
    qd_state *s = qd_cluster_state(x->m[by].now->cluster);
    for (int i = 0; i < NODES; i++)
        if (x->m[i].now && qd_str_is(s->master, x->m[i].now->name)) found = i;
    qd_state_unref(s);
    return found;
}

static bool allocated(cluster *x)
{
    return allocates(x, 0) >= 0;
}

/* Whoever was cut off has heard nothing of the node that allocates shards, and takes nothing from
 * it when it is back. */
static void control_node_returns(cluster *x)
{
    for (int i = 0; i < 3 && !x->w->failed; i++) {
        until(x, leads, 30000, "no master leads");
        until(x, allocated, 30000, "no node allocates shards");
        int has = allocates(x, 0), away = -1;
        for (int k = 0; k < (int)x->masters; k++)
            if (k != has && k != cluster_leader(x) && x->m[k].now) away = k;
        if (has < 0 || away < 0) continue;
        cluster_partition(x, CUT_NODE, away, 0);
        pass(x, 30000);
        if (x->w->failed || allocates(x, has) != has) continue;
        cluster_heal(x);
        for (int k = 0; k < 500 && !x->w->failed; k++) {
            pass(x, 10);
            expect(x, allocates(x, has) == has,
                   "a node that was cut off took the allocation of shards from another one");
        }
    }
}

const cluster_scenario cluster_scenarios[] = {
    {"01-data-node-killed", "kill -9 of nodes with copies", data_node_killed, 1},
    {"02-all-killed", "kill -9 of all nodes at once", all_killed, 1},
    {"03-power-cut", "loss of power everywhere, what was not synced is lost", power_cut, 1},
    {"04-primary-isolated", "a primary cut off from all nodes, its clients are not",
     primary_isolated, 1},
    {"05-primary-cut-from-masters", "a primary cut off from the masters alone",
     primary_cut_from_masters, 1},
    {"06-bridge", "two halves, and a node that sees both", bridge, 1},
    {"07-lossy-and-slow", "loss of 30 %, jitter, a node that hears or is heard only",
     lossy_and_slow, 1},
    {"08-partitions", "partitions again and again", partitions_again_and_again, 1},
    {"09-primary-dies-in-flight", "a primary of three copies ends with writes under way",
     primary_dies_in_flight, 2},
    {"10-stale-copy-first", "all copies in sync are down, a stale one comes first",
     stale_copy_first, 1},
    {"11-clients-retry", "answers to clients are lost", clients_retry, 1},
    {"12-compare-and-set", "compare-and-set over failovers", compare_and_set_over_failovers, 1},
    {"13-reordered-on-copies", "operations doubled and in another order", reordered_on_copies, 1},
    {"14-mapping-race", "two nodes give one field two types", mapping_race, 1},
    {"15-leader-frozen", "the masters' leader stands still for 60 s", leader_frozen, 1},
    {"16-clock-jumps", "clocks jump by an hour", clock_jumps, 1},
    {"21-rolling-upgrade", "nodes of two versions, and back, until it is finalized",
     rolling_upgrade, 1},
    {"moves-under-load", "primaries move, and end while they do", moves_under_load, 1},
    {"control-node-returns", "a control node is cut off for 30 s", control_node_returns, 1},
    {"node-gone", "a node is gone for good, its session expires", node_gone, 1},
    {NULL, NULL, NULL, 0}};
