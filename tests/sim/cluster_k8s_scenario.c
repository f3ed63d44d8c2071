/*
 * cluster_k8s_scenario.c: named faults of the API server and of those that use it. See
 * cluster_scenario.c.
 */
#include "cluster_k8s.h"
#include "cluster_steps.h"

#define STATES "quidditchstates"

static bool writes_more(cluster *x, uint64_t than)
{
    return acked(x) > than || log_full(x);
}

/* --- 23: the API server ----------------------------------------------------------------------- */

static void api_down(cluster *x)
{
    uint64_t before = acked(x), term = x->w->record.term;
    kube_model_restart(cluster_api_model(), ms(600000));
    pass(x, 5000);
    expect(x, writes_more(x, before), "nothing was written while the API server was down");
    pass(x, 595000);
    expect(x, x->w->record.term == term, "the API server's absence cost a primary its place");
    until(x, is_green, 60000, "not green when the API server was back");
    before = acked(x);
    pass(x, 3000);
    expect(x, writes_more(x, before), "nothing was written afterwards");
}

static void compacted(cluster *x)
{
    for (int i = 0; i < 5 && !x->w->failed; i++) {
        int id = (int)rnd(x->w, x->masters);
        kube_model_odds(cluster_api_model(), NULL, KUBE_FAULT_WATCH_GONE, 2);
        cluster_api_cut(x, id, true);
        cluster_move(x, primary(x), free_node(x));
        pass(x, 500 + rnd(x->w, 3000));
        kube_model_compact(cluster_api_model());
        if (chance(x->w, 0.5)) kube_model_restart(cluster_api_model(), ms(rnd(x->w, 500)));
        cluster_api_cut(x, id, false);
        pass(x, 500 + rnd(x->w, 2000));
    }
}

static void watch_gap(cluster *x)
{
    for (int i = 0; i < 5 && !x->w->failed; i++) {
        kube_model_odds(cluster_api_model(), NULL,
                        (kube_model_fault_kind)(KUBE_FAULT_WATCH_SILENT + i % 4), 1);
        kube_model_restart(cluster_api_model(), ms(rnd(x->w, 300)));
        pass(x, 500 + rnd(x->w, 1000));
        cluster_move(x, primary(x), free_node(x));
        pass(x, 2000 + rnd(x->w, 2000));
        if (chance(x->w, 0.3)) down(x, primary(x), false);
        pass(x, 1000);
        kube_model_calm(cluster_api_model());
        for (int k = 0; k < NODES; k++) back(x, k, 100);
        pass(x, 1000);
    }
}

/* Caches of API servers are behind, each by another time; nodes start on what they say. */
static void stale_lists(cluster *x)
{
    kube_model_fault behind = {.kind = KUBE_FAULT_SLOW, .verb = "list", .times = 5};
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        int id = (int)rnd(x->w, x->masters);
        down(x, id, false);
        pass(x, 1000 + rnd(x->w, 2000));
        cluster_move(x, primary(x), free_node(x));
        pass(x, 1000);
        kube_model_fault_add(cluster_api_model(), &behind);
        back(x, id, 10);
        pass(x, 300);
        cluster_api_lag(x, 60000);
        pass(x, 4000 + rnd(x->w, 3000));
        cluster_api_lag(x, 0);
    }
}

/* The entry up to which a control node has applied; 0: it does not run. */
static uint64_t applied(cluster *x, int id)
{
    const proc *p = x->m[id].now;
    struct qd_coord *handle;
    uint64_t at = 0;
    if (!p || !p->master || !proc_follows(p)) return 0;
    (void)qd_coord_table(p->store, &handle);
    (void)cluster_store_hash(handle, &at);
    return at;
}

/* All control nodes have applied the same; but one, which does not count (-1: none). */
static int left_out;
static bool have_the_same(cluster *x)
{
    uint64_t at = 0;
    for (int i = 0; i < (int)x->masters; i++) {
        uint64_t here = applied(x, i);
        if (i == left_out) continue;
        if (here == 0 || (at && here != at)) return false;
        at = here;
    }
    return true;
}

static void apart(cluster *x, int id, bool on)
{
    for (int k = 0; k < (int)x->masters; k++)
        if (k != id) x->w->cut[id][k] = x->w->cut[k][id] = on;
    cluster_cuts(x);
}

/* The leader's machine is paused by its host until another one leads, and its clocks with it: by
 * them its lease runs when it goes on. Neither the API nor another control node tells it; nodes ask
 * it, some of them nobody else. What it says rests on nothing but its clock, and is not to be said.
 */
static void clocks_stopped(cluster *x)
{
    uint64_t terms = x->r->leaders;
    for (int i = 0; i < 6 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        int id = cluster_leader(x);
        if (id < 0) return;
        pass(x, rnd(x->w, 3000));
        cluster_pause(x, id, ms(LEASE_MS + 2000 + rnd(x->w, 4000)));
        for (int k = 0; k < (int)x->masters; k++) {
            if (k != id) x->w->cut[id][k] = x->w->cut[k][id] = true;
        }
        for (int n = (int)x->masters; n < NODES; n++) {
            for (int k = 0; k < (int)x->masters && n % 2 == i % 2; k++) {
                if (k != id) x->w->cut[n][k] = x->w->cut[k][n] = true;
            }
        }
        cluster_cuts(x);
        cluster_api_cut(x, id, true);
        for (int k = 0; k < 16 && !x->w->failed; k++) {
            pass(x, 2000);
            cluster_move(x, primary(x), free_node(x));
        }
        cluster_heal(x);
        cluster_api_cut(x, id, false);
        pass(x, 5000);
    }
    expect(x, x->r->leaders > terms, "nobody took a paused leader's place");
}

/* A control node hears neither the others nor the API while values and entries are written that are
 * objects of their own, and now and then checkpoints. Then the API is away for all, and it hears
 * the others again: it has from them all that the newest root names. */
static void objects_from_others(cluster *x)
{
    uint64_t passed = 0;
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        left_out = -1;
        until(x, have_the_same, 20000, "control nodes do not agree");
        int leader = cluster_leader(x);
        if (leader < 0) continue;
        int id = (leader + 1 + (int)rnd(x->w, x->masters - 1)) % (int)x->masters;
        uint64_t want = i % 2 ? 1 + rnd(x->w, 2) : 0, last = cluster_api_root().checkpoint;
        cluster_api_cut(x, id, true);
        apart(x, id, true);
        pass(x, 500); /* what has come is taken */
        uint64_t had = applied(x, id);
        for (int k = 0; k < 400 && !x->w->failed && (k < 10 || want); k++) {
            uint64_t now = cluster_api_root().checkpoint;
            if (now > last && now > had && want) want--;
            last = now;
            cluster_large(x, leader);
            cluster_bump(x);
            pass(x, 30);
        }
        expect(x, want == 0, "no checkpoint was made");
        for (int k = 0; k < (int)x->masters; k++) cluster_api_cut(x, k, true);
        left_out = id;
        until(x, have_the_same, 20000, "those that heard each other do not agree");
        pass(x, chance(x->w, 0.5) ? 3000 : 0);
        expect(x, applied(x, id) == had, "a node that was cut off heard something");
        passed += cluster_api_root().checkpoint > had;
        if (chance(x->w, 0.3) && x->masters > 2) apart(x, leader, true);
        for (int k = 0; k < (int)x->masters; k++) { /* the others hear it */
            if (k == id || x->w->cut[k][leader]) continue;
            x->w->cut[id][k] = x->w->cut[k][id] = false;
        }
        cluster_cuts(x);
        left_out = -1;
        bool ends = chance(x->w, 0.3); /* in the midst of it */
        if (ends) {
            pass(x, 1000 + rnd(x->w, 2000));
            down(x, id, false);
            pass(x, 500);
        } else {
            until(x, have_the_same, 20000, "a control node does not have the state from others");
        }
        for (int k = 0; k < (int)x->masters; k++) cluster_api_cut(x, k, false);
        cluster_heal(x);
        if (ends) back(x, id, 100);
        until(x, is_green, 60000, "not green when the API server was back");
    }
    expect(x, passed > 0, "no node was behind a checkpoint");
}

/* --- leaders ---------------------------------------------------------------------------------- */

/* The leader stands still until another one leads, again and again: each finds its place taken. */
static void two_leaders(cluster *x)
{
    uint64_t terms = x->r->leaders;
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        int id = cluster_leader(x);
        if (id < 0) return;
        kube_model_fault late = {.kind = KUBE_FAULT_LATE,
                                 .verb = "update",
                                 .plural = STATES,
                                 .name = "sim",
                                 .delay_ns = ms(15000 + rnd(x->w, 8000)),
                                 .times = 2};
        kube_model_fault_add(cluster_api_model(), &late);
        pass(x, rnd(x->w, 300));
        cluster_freeze(x, id, ms(15000 + rnd(x->w, 5000)));
        for (int k = 0; k < 10 && !x->w->failed; k++) {
            pass(x, 2000);
            cluster_move(x, primary(x), free_node(x));
        }
    }
    expect(x, x->r->leaders > terms, "nobody took a frozen leader's place");
}

/* The other control nodes hear nothing of the leader, and either it or their watches are cut off;
 * nodes go on asking it. It says nothing that the next leader does not stand by. */
static void leader_apart(cluster *x)
{
    for (int i = 0; i < 3 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        int id = cluster_leader(x);
        bool lives = chance(x->w, 0.5);
        if (id < 0) return;
        for (int k = 0; k < (int)x->masters; k++) {
            if (k != id) x->w->cut[id][k] = x->w->cut[k][id] = true;
        }
        cluster_cuts(x);
        if (lives) {
            kube_model_odds(cluster_api_model(), NULL, KUBE_FAULT_WATCH_SILENT, 1);
            kube_model_restart(cluster_api_model(), 0);
        } else {
            cluster_api_cut(x, id, true);
        }
        pass(x, LEASE_MS + 10000);
        expect(x, !lives || cluster_leader(x) == id, "a leader that lives was replaced");
        kube_model_calm(cluster_api_model());
        cluster_heal(x);
        cluster_api_cut(x, id, false);
        pass(x, 5000);
    }
}

/* A control node hears neither the others nor its watches as another one takes the lead: it finds
 * that one soon after it hears nodes again, though its watches stay silent. */
static void leader_unseen(cluster *x)
{
    for (int i = 0; i < 3 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        int id = cluster_leader(x), other = (id + 1) % (int)x->masters;
        if (id < 0) return;
        kube_model_odds(cluster_api_model(), NULL, KUBE_FAULT_WATCH_SILENT, 1);
        kube_model_restart(cluster_api_model(), 0);
        pass(x, 3000);
        cluster_partition(x, CUT_NODE, other, other);
        store_heal(x);
        pass(x, 500);
        kube_model_calm(cluster_api_model()); /* not the streams that are silent */
        down(x, id, false);
        back(x, id, 2000);
        pass(x, 6000);
        cluster_heal(x);
        until(x, is_green, 5000, "a node does not find the new leader");
    }
}

static void leader_without_api(cluster *x)
{
    until(x, leads, 20000, "no node leads");
    int id = cluster_leader(x);
    uint64_t before = acked(x);
    if (id < 0) return;
    cluster_api_cut(x, id, true);
    pass(x, LEASE_MS + 5000);
    until(x, leads, 20000, "no other node leads");
    expect(x, cluster_leader(x) != id, "a leader that does not reach the API leads");
    until(x, serves, 20000, "no primary serves");
    expect(x, writes_more(x, before), "nothing was written");
    before = acked(x);
    pass(x, 3000);
    expect(x, writes_more(x, before), "nothing was written under the new leader");
    cluster_api_cut(x, id, false);
    pass(x, 3000);
}

/* The API server is away until the leader knows that it may have lost its lead. As it leads anew
 * its Lease is renewed, but no write of the root succeeds until its first entry is told that
 * nothing is known of it: it leads still when the API answers. */
static void away_twice(cluster *x)
{
    kube_model_fault away = {
        .kind = KUBE_FAULT_503, .verb = "update", .plural = STATES, .name = "sim", .times = 1000};
    for (int i = 0; i < 2 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        kube_model_restart(cluster_api_model(), ms(13500));
        pass(x, 13450);
        kube_model_fault_add(cluster_api_model(), &away);
        pass(x, 13000 + rnd(x->w, 1000));
        kube_model_calm(cluster_api_model());
        until(x, is_green, 20000, "not green when the API server was back");
        uint64_t before = acked(x);
        pass(x, 3000);
        expect(x, writes_more(x, before), "nothing was written afterwards");
    }
}

static void all_control_nodes_killed(cluster *x)
{
    int n = (int)x->masters;
    for (int round = 0; round < 2 && !x->w->failed; round++) {
        uint64_t before = acked(x);
        for (int i = 0; i < n; i++) down(x, i, round != 0);
        pass(x, 4000);
        for (int i = 0; i < n; i++) back(x, i, rnd(x->w, 1000));
        until(x, is_green, 90000, "not green by itself");
        pass(x, 3000);
        expect(x, writes_more(x, before), "nothing was written");
    }
}

/* A leader ends with a write under way, which lands when another one leads, or before. */
static void late_write(cluster *x)
{
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        until(x, leads, 20000, "no node leads");
        int id = cluster_leader(x);
        if (id < 0) return;
        kube_model_fault late = {.kind = chance(x->w, 0.5) ? KUBE_FAULT_LATE : KUBE_FAULT_504_LATE,
                                 .verb = "update",
                                 .plural = STATES,
                                 .name = "sim",
                                 .delay_ns = ms(rnd(x->w, 3000)),
                                 .times = 1};
        kube_model_fault_add(cluster_api_model(), &late);
        pass(x, 200 + rnd(x->w, 2000));
        down(x, id, false);
        pass(x, 4000 + rnd(x->w, 4000));
        back(x, id, 10);
        pass(x, 2000);
    }
}

/* --- restored, idle --------------------------------------------------------------------------- */

/* All control nodes remember more than what the API server has then: none acts on it. */
static void etcd_restored(cluster *x)
{
    cluster_api_backup(x);
    pass(x, 500);
    for (int i = 0; i < 30 && !x->w->failed; i++) {
        cluster_move(x, primary(x), free_node(x));
        pass(x, 1000);
        if (i > 2 && cluster_api_restore(x)) break;
    }
    uint64_t revision = x->record_max;
    pass(x, 5000);
    if (chance(x->w, 0.5)) {
        for (int i = 0; i < (int)x->masters; i++) down(x, i, false);
        pass(x, 4000);
        for (int i = 0; i < (int)x->masters; i++) back(x, i, 10);
    }
    pass(x, LEASE_MS + 5000);
    expect(x, x->r->api_restored > 0, "nothing was restored");
    expect(x, x->record_max == revision, "a state older than one acted on was changed");
    cluster_api_newest(x);
    pass(x, 3000);
}

/* An older copy of etcd is in place of it for a moment, in which the leader writes an object that a
 * root is going to name: that went into the older one. No root names it, whoever wrote it says so
 * and stops. */
static void etcd_put_back(cluster *x)
{
    /* whoever reads the root in between finds out by that */
    kube_model_fault reads[] = {
        {.kind = KUBE_FAULT_SILENT, .verb = "get", .plural = STATES, .name = "sim", .times = 8},
        {.kind = KUBE_FAULT_SILENT, .verb = "watch", .plural = STATES, .times = 8},
        {.kind = KUBE_FAULT_SILENT, .verb = "update", .plural = STATES, .name = "sim", .times = 8}};
    for (int i = 0; i < 5 && !x->w->failed; i++) {
        cluster_api_backup(x);
        pass(x, 2000);
        for (int k = 0; k < 40 && !x->w->failed && !cluster_api_restore(x); k++) {
            cluster_move(x, primary(x), free_node(x));
            pass(x, 20 + rnd(x->w, 400));
        }
        for (size_t k = 0; k < QD_COUNT_OF(reads); k++)
            kube_model_fault_add(cluster_api_model(), &reads[k]);
        for (int k = 0; k < 100 && !cluster_api_made() && !x->w->failed; k++) {
            int id = cluster_leader(x);
            if (id >= 0 && k % 10 == 0) cluster_large(x, id);
            pass(x, 20);
        }
        pass(x, rnd(x->w, 10));
        cluster_api_newest(x);
        kube_model_calm(cluster_api_model());
        pass(x, 5000 + rnd(x->w, 3000));
        for (int k = 0; k < (int)x->masters; k++) down(x, k, false);
        pass(x, 1000);
        for (int k = 0; k < (int)x->masters; k++) back(x, k, 10);
        until(x, is_green, 60000, "not green with the newest state");
    }
    expect(x, x->r->api_restored > 0, "nothing was restored");
}

/* Nobody wants anything: hardly any requests beside watches and the leader's renewals. */
static void idle(cluster *x)
{
    pass(x, 5000);
    x->idle = true;
    pass(x, 40000);
    uint64_t from = qd_sim_now_ns(x->sim) + 1;
    pass(x, 120000);
    uint64_t to = qd_sim_now_ns(x->sim) + 1;
    for (int i = 0; i < (int)x->masters && !x->w->failed; i++) {
        uint64_t n = cluster_api_asked(i, from, to), renewals = cluster_api_renewals(i, from, to);
        trace(x->w, "n%d: %llu requests, %llu renewals", i, (unsigned long long)n,
              (unsigned long long)renewals);
        if (n > 10) {
            fail(x->w, "n%d made %llu requests in 2 idle minutes", i, (unsigned long long)n);
        }
        expect(x, renewals <= 14, "a leader renews its Lease too often");
    }
    x->idle = false;
}

const cluster_scenario cluster_scenarios_own[] = {
    {"23-api-down", "the API server is down for 10 minutes", api_down, 1},
    {"23-compacted", "etcd is compacted, nodes that were cut off get 410", compacted, 1},
    {"23-watch-gap", "watches that are silent, break, end, get 410", watch_gap, 1},
    {"23-stale-lists", "caches of API servers are a minute old", stale_lists, 1},
    {"23-objects-from-others",
     "a control node was cut off, and the API server is away: it has the state from others",
     objects_from_others, 1},
    {"two-leaders", "leaders stand still until others lead, their writes land late", two_leaders,
     1},
    {"clocks-stopped", "a leader's machine is paused, its clocks too, and goes on unseen",
     clocks_stopped, 1},
    {"leader-apart", "the leader and the other control nodes hear nothing of each other",
     leader_apart, 1},
    {"leader-unseen", "a node that hears neither nodes nor watches misses a change of the leader",
     leader_unseen, 1},
    {"leader-without-api", "the leader alone does not reach the API server", leader_without_api, 1},
    {"away-twice", "the API server is away, and silent when the leader has it again", away_twice,
     1},
    {"control-nodes-killed", "all control nodes end at once", all_control_nodes_killed, 1},
    {"late-write", "writes of leaders that ended land late", late_write, 1},
    {"etcd-restored", "etcd is restored from a backup", etcd_restored, 1},
    {"etcd-put-back", "an older copy of etcd is in its place for a moment", etcd_put_back, 1},
    {"idle", "hardly any requests when nobody wants anything", idle, 1},
    {NULL, NULL, NULL, 0}};
