/*
 * node_plots.c: faults that follow one another, each on the node that it is for: what breaks a rule
 * only shows where several go wrong in one order. One plot at a time; other faults are rare
 * meanwhile.
 */
#include "base/str.h"
#include "node_int.h"

#define LOOK_MS 20
#define LOOKS 400

typedef struct plot plot;
struct plot {
    world *w;
    void (*next)(plot *p);
    uint32_t shard, looks;
    int primary, one, other; /* nodes of copies; -1: none */
    uint32_t in_sync;        /* copies in sync at first */
    bool committed;          /* a removal has to be */
};

/* Nodes of a shard's copies, the primary first, the others in any order. false: there are not so
 * many that are in sync. */
static bool cast(plot *p, uint32_t least)
{
    world *w = p->w;
    uint32_t n = 0;
    int node[NODES] = {-1, -1, -1};
    qd_state *s = state_now(w);
    if (!s) return false;
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, p->shard) : NULL;
    const qd_copy *first = r ? qd_shard_meta_primary(r) : NULL;
    for (int turn = 0; first && turn < 2; turn++) {
        for (uint32_t k = 0; k < r->ncopies; k++) {
            const qd_copy *x = &r->copies[k];
            if ((x == first) == (turn == 1) || !qd_copy_is_active(x)) continue;
            for (int i = 0; i < NODES && n < NODES; i++)
                if (proc_serves(w->m[i].now) && !w->m[i].now->clean &&
                    qd_str_is(x->node, w->m[i].now->id))
                    node[n++] = i;
        }
        if (turn == 0 && n == 0) break;
    }
    qd_state_unref(s);
    bool swap = n == 3 && chance(w, 0.5);
    p->primary = node[0];
    p->one = node[swap ? 2 : 1];
    p->other = node[swap ? 1 : 2];
    return n >= least;
}

/* Is another node the primary by now, and active? */
static bool promoted(plot *p)
{
    plot now = *p;
    return cast(&now, 1) && now.primary != p->primary;
}

static void turn(void *arg)
{
    plot *p = arg;
    void (*next)(plot * p) = p->next;
    p->next = NULL;
    if (!p->w->quiet && !p->w->failed && next) next(p);
    if (!p->next) {
        p->w->plot = false;
        free(p);
    }
}

static void then(plot *p, uint64_t delay_ms, void (*next)(plot *p))
{
    p->next = next;
    if (qd_sim_after(p->w->sim, ms(delay_ms) + 1, turn, p)) abort();
}

static void apart(plot *p)
{
    p->w->calm_ns = UINT64_MAX;
}

static void cut(plot *p, int from, int to, bool both)
{
    const char *a = node_name(from), *b = node_name(to);
    trace(p->w, "plot: %s does not hear %s", b, a);
    qd_sim_net_cut(p->w->net, a, b, true);
    if (both) qd_sim_net_cut(p->w->net, b, a, true);
    apart(p);
}

/* From the nodes that keep the cluster's state and hold no copies, if there are such. */
static void cut_control(plot *p, int id, bool both)
{
    for (int i = 0; i < MACHINES; i++)
        if (p->w->m[i].control && !p->w->m[i].data) cut(p, id, i, both);
}

static void ends(plot *p, int id, bool power, uint64_t after_ms)
{
    world *w = p->w;
    if (!w->m[id].now || w->m[id].before) return;
    w->r->kills += !power;
    w->r->power_losses += power;
    proc_kill(w, id, power);
    w->m[id].start_at = now_ns(w) + ms(after_ms) + 1;
}

static void heal(plot *p)
{
    faults_heal(p->w);
}

/* --- a new primary lacks what another copy has, and both lose power soon after ---------------- */

static void behind_both(plot *p)
{
    world *w = p->w;
    plot now = *p;
    bool first = chance(w, 0.7);
    if (!cast(&now, 1)) return;
    int lead = now.primary;
    trace(w, "plot: the new primary, %s, and the others lose their power", node_name(lead));
    for (int i = 0; i < NODES; i++) {
        bool late = first ? i == lead : chance(w, 0.3);
        if (i != p->primary) ends(p, i, true, late ? 3500 + rnd(w, 2500) : rnd(w, 300));
    }
    w->r->power_all++;
}

static void behind_promoted(plot *p)
{
    if (promoted(p)) {
        then(p, rnd(p->w, chance(p->w, 0.6) ? 12 : 900), behind_both);
    } else if (p->looks++ < 10 * LOOKS) {
        then(p, LOOK_MS / 10, behind_promoted);
    }
}

static void behind_end(plot *p)
{
    ends(p, p->primary, chance(p->w, 0.5), 6000 + rnd(p->w, 3000));
    heal(p);
    then(p, LOOK_MS, behind_promoted);
}

static void behind(plot *p)
{
    if (!cast(p, 3)) return;
    cut(p, p->primary, p->one, false);
    then(p, 100 + rnd(p->w, 500), behind_end);
}

/* --- an answer that was long on its way comes when its copy obeys another term ---------------- */

static void late_heal(plot *p)
{
    heal(p);
}

static void late_hold(plot *p)
{
    cut(p, p->primary, p->one, false);
    then(p, 2500 + rnd(p->w, 3500), late_heal);
}

/* What a copy syncs takes until the primary was replaced, which does not hear of it. */
static void late(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    cut_control(p, p->primary, true);
    machine *m = &w->m[p->one];
    m->slow_until = now_ns(w) + ms(rnd(w, 3000));
    m->slow_ms = 2000 + rnd(w, 4000);
    w->r->slow_disks++;
    trace(w, "plot: syncs of %s take up to %llu ms", node_name(p->one),
          (unsigned long long)m->slow_ms);
    then(p, 50 + rnd(w, 3000), late_hold);
}

/* --- the primary's machine stands still, its clocks too, until there is another --------------- */

static void pause(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    uint64_t takes = ms(3200 + rnd(w, 3500));
    apart(p);
    disturb(w, now_ns(w) + takes + ms(4000));
    async_stands(w, p->primary, now_ns(w) + takes);
    trace(w, "plot: %s stands still for %llu ms", node_name(p->primary),
          (unsigned long long)(takes / 1000000));
    qd_sim_suspend(w->m[p->primary].now->env, now_ns(w) + takes, chance(w, 0.3));
    w->r->suspends++;
    then(p, takes / 1000000, late_heal);
}

/* --- the primary writes what reaches nobody, and comes back as a copy ------------------------- */

static void alone_end(plot *p)
{
    if (chance(p->w, 0.5)) ends(p, p->primary, chance(p->w, 0.4), rnd(p->w, 500));
    heal(p);
}

static void alone_promoted(plot *p)
{
    if (promoted(p)) {
        then(p, rnd(p->w, 1500), alone_end);
    } else if (p->looks++ < LOOKS) {
        then(p, LOOK_MS, alone_promoted);
    }
}

static void alone(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    cut(p, p->primary, p->one, false);
    if (p->other >= 0) cut(p, p->primary, p->other, false);
    cut_control(p, p->primary, chance(w, 0.5));
    then(p, LOOK_MS, alone_promoted);
}

/* --- a sync fails once, and the power goes soon after ----------------------------------------- */

static void twice_end(plot *p)
{
    plot now = *p;
    if (!cast(&now, 1)) now.primary = p->primary;
    ends(p, now.primary, true, rnd(p->w, 500));
    if (now.one >= 0) ends(p, now.one, true, rnd(p->w, 500));
    if (now.other >= 0) ends(p, now.other, true, rnd(p->w, 500));
}

static void twice_fails(plot *p)
{
    world *w = p->w;
    if (!cast(p, 1)) return;
    trace(w, "plot: a sync of %s fails", node_name(p->primary));
    w->r->sync_errors++;
    async_sync_fails(w, p->primary);
    (void)store_crash_fail_at(w->m[p->primary].disk, STORE_CRASH_SYNCS, 1 + rnd(w, 2), QD_E_IO,
                              false);
    then(p, 200 + rnd(w, 2000), twice_end);
}

/* Of a single copy, mostly: others would have what it lost. */
static void twice(plot *p)
{
    bool single = chance(p->w, 0.8) && p->w->replicas_now;
    if (single) faults_replicas(p->w, 0);
    then(p, single ? 500 + rnd(p->w, 500) : 0, twice_fails);
}

/* --- one node's syncs are late, all lose power, and that node is the first one back ----------- */

static void slow_end(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    w->r->power_all++;
    ends(p, p->primary, true, rnd(w, 100));
    ends(p, p->one, true, 200 + rnd(w, 1500));
    if (p->other >= 0) ends(p, p->other, true, 200 + rnd(w, 1500));
}

static void slow(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    machine *m = &w->m[chance(w, 0.7) ? p->primary : p->one];
    m->slow_until = now_ns(w) + ms(3000);
    m->slow_ms = 100 + rnd(w, 500);
    w->r->slow_disks++;
    trace(w, "plot: syncs take up to %llu ms", (unsigned long long)m->slow_ms);
    then(p, 200 + rnd(w, 1500), slow_end);
}

/* --- a copy that was filled just now is all that is left -------------------------------------- */

static void young_started(plot *p)
{
    world *w = p->w;
    plot now = *p;
    bool started = cast(&now, 2) && (now.one == p->one || now.other == p->one);
    if (!started && p->looks++ > 20 * LOOKS) return;
    if (!started) {
        then(p, 3, young_started);
        return;
    }
    bool own = chance(w, 0.5);
    int third = now.one == p->one ? now.other : now.one;
    ends(p, now.primary, true, 4000 + rnd(w, 2000));
    if (third >= 0) ends(p, third, true, 4000 + rnd(w, 2000));
    if (own) ends(p, p->one, true, rnd(w, 300));
}

static void young(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    machine *m = &w->m[p->one];
    m->slow_until = now_ns(w) + ms(rnd(w, 2) ? 0 : 4000);
    m->slow_ms = 20 + rnd(w, 200);
    ends(p, p->one, chance(w, 0.5), rnd(w, 600));
    then(p, 50, young_started);
}

/* --- a primary removes a copy that does not answer, and the power goes meanwhile -------------- */

/* The copy that is removed is back before those that may go on without it, mostly. */
static void removal_power(plot *p)
{
    world *w = p->w;
    bool within = removal_asked(w, p->primary, p->shard);
    bool done = removal_in_sync(w, p->shard) < p->in_sync;
    bool all = chance(w, 0.5), last = chance(w, 0.7), masters = w->apart && chance(w, 0.4);
    if (!within && !done) return; /* somebody else was faster */
    w->r->removal_cuts += !done;
    w->r->removal_after += done;
    trace(w, "plot: the power goes %s the removal of a copy", done ? "behind" : "during");
    ends(p, p->primary, true, last ? 1500 + rnd(w, 4500) : rnd(w, 300));
    if (all && p->other >= 0) ends(p, p->other, true, last ? 1500 + rnd(w, 4500) : rnd(w, 300));
    if (all) ends(p, p->one, true, rnd(w, 300));
    w->r->power_all += all;
    for (int i = NODES; i < MACHINES && masters; i++)
        if (coord_mortal(w, i)) ends(p, i, true, rnd(w, 600));
    if (!w->m[p->one].now && w->m[p->one].start_at > now_ns(w) + ms(600))
        w->m[p->one].start_at = now_ns(w) + ms(rnd(w, 600)) + 1;
    heal(p);
}

static void removal_look(plot *p)
{
    world *w = p->w;
    plot now = *p;
    bool done = removal_in_sync(w, p->shard) < p->in_sync;
    if (!w->m[p->primary].now || (cast(&now, 1) && now.primary != p->primary)) {
        heal(p);
    } else if (done || (!p->committed && removal_asked(w, p->primary, p->shard))) {
        then(p, done ? rnd(w, chance(w, 0.5) ? 15 : 600) : rnd(w, 3), removal_power);
    } else if (p->looks++ < 6500) {
        then(p, 1, removal_look);
    } else {
        heal(p);
    }
}

static void removal(plot *p)
{
    world *w = p->w;
    if (!cast(p, 2)) return;
    p->in_sync = removal_in_sync(w, p->shard);
    p->committed = chance(w, 0.55);
    if (chance(w, 0.5)) {
        ends(p, p->one, chance(w, 0.5), 6000);
    } else {
        cut(p, p->primary, p->one, chance(w, 0.5));
        qd_sim_net_break(w->net, node_name(p->primary), node_name(p->one));
    }
    then(p, 1, removal_look);
}

void plot_begin(world *w)
{
    static void (*const plots[])(plot * p) = {behind,  late,    pause,   pause,  alone,
                                              twice,   slow,    slow,    young,  young,
                                              removal, removal, removal, removal};
    plot *p = calloc(1, sizeof *p);
    if (!p) abort();
    *p = (plot){.w = w, .shard = (uint32_t)rnd(w, w->shards)};
    w->plot = true;
    w->r->plots++;
    bool masters = w->kind != COORD_IN_MEMORY && !w->apart; /* with data */
    then(p, 0, masters ? removal : plots[rnd(w, QD_COUNT_OF(plots))]);
}
