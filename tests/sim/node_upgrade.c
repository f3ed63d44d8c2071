/*
 * node_upgrade.c: nodes of two versions. All begin as the older one, which knows fewer formats and
 * speaks an older version of the transport; an operator stops them and starts them as the newer
 * one, some go back, and then the upgrade is finalized, while clients work and everything else goes
 * wrong. From then on no node of the older version may be in the cluster.
 */
#include "base/str.h"
#include "node_int.h"

#define OLDER 1u
#define NEWER QD_FEATURES_LEVEL
#define STOP_MS 6000  /* then it is killed */
#define START_MS 3000 /* then the next one's turn has come */
#define PATH "/_cluster/upgrade/finalize"

void upgrade_begin(world *w)
{
    bool some = chance(w, 0.33), first = chance(w, 0.5);
    w->tiered = w->seed % 4 == 1; /* older nodes know no tier of an index */
    w->r->tiered += w->tiered && (w->kind == COORD_IN_MEMORY || !some);
    if (w->kind == COORD_IN_MEMORY || !some) return;
    w->upgrading = w->upgrade = true;
    w->tiered = false;
    for (int i = 0; i < MACHINES; i++) w->m[i].features = OLDER;
    w->older_wire = first ? QD_RPC_1_0 : QD_RPC_1_1;
    w->r->upgrades++;
}

uint16_t upgrade_wire(const proc *p)
{
    return p->features == OLDER ? p->w->older_wire : 0;
}

qd_str upgrade_version(const proc *p)
{
    return p->features == OLDER ? QD_STR("0.0.9") : QD_STR(QD_VERSION);
}

/* Nobody is in the cluster that does not know its formats, whose level does not fall. */
void upgrade_state(world *w, const qd_state *s)
{
    uint32_t level = s->features > OLDER ? s->features : OLDER;
    if (!w->upgrade) return;
    if (level < w->level) {
        fail(w, "the level of formats falls from %u to %u at revision %llu", w->level, level,
             (unsigned long long)s->revision);
    }
    w->r->finalized += level == NEWER && w->level != NEWER;
    w->level = level;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (s->nodes[i].features >= level) continue;
        fail(w, "%.*s, which knows formats up to level %u, is in a cluster of level %u",
             QD_STR_ARG(s->nodes[i].name), s->nodes[i].features, level);
    }
}

/* --- an operator ------------------------------------------------------------------------------ */

static bool goes_on(const world *w)
{
    return !w->quiet && !w->failed && !w->clients_end;
}

/* Between fibers. */
static void end_it(void *arg)
{
    machine *m = arg;
    world *w = world_now();
    int id = (int)(m - w->m);
    bool power = w->end_by == 1;
    if (!m->now || m->before || w->quiet) return;
    if (coord_mortal(w, id)) disturb(w, now_ns(w) + ms(4000));
    if (w->end_by == 2) {
        if (m->data) w->r->stops++;
        proc_stop(w, id);
        return;
    }
    if (m->data) {
        w->r->kills += !power;
        w->r->power_losses += power;
    }
    proc_kill(w, id, power);
}

static void end_soon(world *w, int id, int by)
{
    w->end_by = by;
    if (qd_sim_after(w->sim, 1, end_it, &w->m[id])) abort();
    qd_env_sleep_ns(w->env, us(10));
}

/* A process of another version takes the place of the one that is there. */
static void change(world *w, int id, uint32_t features)
{
    machine *m = &w->m[id];
    const proc *was = m->now;
    uint32_t life = m->lives;
    bool clean = chance(w, 0.6), power = chance(w, 0.6);
    if (!m->exists || !goes_on(w)) return;
    trace(w, "upgrade: %s is to be of level %u", node_name(id), features);
    m->features = features;
    if (was) end_soon(w, id, clean ? 2 : power);
    for (int i = 0; i < STOP_MS / 20 && m->now && m->lives == life && goes_on(w); i++)
        qd_env_sleep_ns(w->env, ms(20));
    if (m->now && m->lives == life && goes_on(w)) end_soon(w, id, power);
    if (!goes_on(w)) return;
    if (!m->now) m->start_at = now_ns(w) + 1 + ms(rnd(w, 300));
    for (int i = 0; i < START_MS / 20 && goes_on(w); i++) {
        if (m->data ? proc_serves(m->now) : proc_takes_part(m->now)) break;
        qd_env_sleep_ns(w->env, ms(20));
    }
    w->r->upgraded += features == NEWER;
    w->r->downgraded += features == OLDER;
}

static void finalize(world *w)
{
    answer a;
    int node = (int)rnd(w, NODES);
    for (int i = 0; i < NODES && !proc_serves(w->m[node].now); i++) node = (node + 1) % NODES;
    w->finalize_asked = true;
    ask(w, node, "POST", PATH, NULL, 3000, &a);
    trace(w, "upgrade: finalize %d %.200s", a.status, a.body.p ? a.body.p : "");
    if (a.status == 200 && number_of(a.body.p, "features", 0) == NEWER) w->level_told = NEWER;
    answer_fini(&a);
}

/* One after the other: those with data first, mostly. */
static uint32_t order(world *w, int of[MACHINES])
{
    uint32_t n = 0;
    int first = (int)rnd(w, NODES);
    bool data_first = chance(w, 0.7);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < NODES; i++) {
            int id = (first + i) % NODES + ((turn == 0) == data_first ? 0 : NODES);
            if (w->m[id].exists) of[n++] = id;
        }
    }
    return n;
}

/* A node that comes back with the older version is not let in. */
static void late_comer(world *w)
{
    int id = (int)rnd(w, NODES);
    change(w, id, OLDER);
    if (goes_on(w) && w->level == NEWER && proc_serves(w->m[id].now) &&
        w->m[id].now->features == OLDER)
        fail(w, "%s, of the older version, was let in", node_name(id));
    w->r->refused_older += w->level == NEWER;
    w->m[id].features = NEWER;
    if (goes_on(w) && w->m[id].now) end_soon(w, id, 0);
}

void upgrade_run(void *arg)
{
    world *w = arg;
    int of[MACHINES];
    uint32_t n = order(w, of);
    bool back = chance(w, 0.35), early = chance(w, 0.3), late = chance(w, 0.8);
    uint32_t back_at = (uint32_t)rnd(w, n);
    for (uint32_t i = 0; i < n && goes_on(w); i++) {
        change(w, of[i], NEWER);
        /* not once the faults have ended: all may be of the older version again */
        if (early && chance(w, 0.3) && goes_on(w)) finalize(w);
        if (back && i == back_at) {
            change(w, of[rnd(w, i + 1)], OLDER);
            for (uint32_t k = 0; k <= i; k++)
                if (w->m[of[k]].features == OLDER) change(w, of[k], NEWER);
        }
        qd_env_sleep_ns(w->env, ms(rnd(w, 200)));
    }
    for (int i = 0; i < 20 && goes_on(w) && w->level != NEWER; i++) {
        finalize(w);
        qd_env_sleep_ns(w->env, ms(50 + rnd(w, 300)));
    }
    if (goes_on(w) && late && w->level == NEWER) late_comer(w);
    w->upgrading = false;
    w->clients--;
}

void upgrade_check(world *w)
{
    if (w->level < w->level_told) {
        fail(w, "an answer said that the formats are of level %u, they are of level %u",
             w->level_told, w->level);
    }
}

/* All are of one version in the end, as copies do not go to a node that is older than the
 * primary's: of the older one only where nobody has asked for the end of the upgrade. */
void upgrade_quiet(world *w)
{
    uint32_t to = w->finalize_asked || chance(w, 0.5) ? NEWER : OLDER;
    for (int i = 0; i < MACHINES && w->upgrade; i++) {
        machine *m = &w->m[i];
        if (!m->exists) continue;
        m->features = to;
        if (m->now && m->now->features != to) proc_stop(w, i);
    }
}
