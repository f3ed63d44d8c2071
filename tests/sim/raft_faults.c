/* raft_faults.c: what goes wrong. */
#include "raft_int.h"

static node *some(sim *s, int up)
{
    for (int tries = 0; tries < 20; tries++) {
        node *n = s->nodes[sim_below(s, s->nnodes)];
        if ((n->engine != NULL) == up && !n->removed) return n;
    }
    return NULL;
}

node *sim_leading(sim *s)
{
    node *found = NULL;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        cr_core_view v;
        if (!s->nodes[i]->engine) continue;
        cr_core_look(cr_engine_core(s->nodes[i]->engine), &v);
        if (v.role == CR_LEADER && (!found || sim_below(s, 2))) found = s->nodes[i];
    }
    return found;
}

static void partition(sim *s)
{
    s->r->partitions++;
    uint64_t side = sim_rnd(s), way = sim_below(s, 3);
    node *l = sim_leading(s);
    if (l && sim_below(s, 1000) < s->hunt) side = 1ull << (l->id - 1);
    SAY(s, "partition %llx way %llu", (llu)(side & 0xfff), (llu)way);
    for (uint32_t a = 0; a < NODES; a++)
        for (uint32_t b = 0; b < NODES; b++) {
            int apart = (side >> a & 1) != (side >> b & 1);
            s->apart[a][b] = apart && (way < 2 || (side >> a & 1));
        }
}

/* The leader is killed, or cut off from some: soon it is as it was. */
void sim_strike(sim *s, node *n)
{
    if (n->seen_role != CR_LEADER) return;
    uint64_t how = sim_below(s, 5);
    if (how < 2) {
        sim_crash(s, n, (int)sim_below(s, 2));
        return;
    }
    if (how == 2 && sim_below(s, 2)) { /* it hears everything late, and is cut off a little later */
        s->lag[n->id - 1] = (200 + sim_below(s, 240)) * MS;
        sim_post(s, s->now + sim_below(s, 400 * MS), E_STRIKE, n);
        return;
    }
    if (how == 2) { /* it hears late, and another leads before it knows */
        uint64_t lag = s->lag[n->id - 1] = (100 + sim_below(s, 180)) * MS;
        sim_post(s, s->now + lag + sim_below(s, 200 * MS), E_HAND_OVER, n);
        sim_post(s, s->now + lag + (200 + sim_below(s, 900)) * MS, E_HEAL, NULL);
        return;
    }
    s->r->partitions++;
    uint64_t apart = sim_rnd(s), way = sim_below(s, 3);
    for (uint32_t b = 0; b < NODES; b++) {
        if (!(apart >> b & 1)) continue;
        if (way != 1) s->apart[n->id - 1][b] = 1;
        if (way != 0) s->apart[b][n->id - 1] = 1;
    }
    sim_post(s, s->now + 50000 + sim_below(s, 900 * MS), E_HEAL, NULL);
}

/* --- folders --- */

/* Damages the folder of a node that is down. It is put back when it is refused. (Not when its power
 * went just before: the mark may lag then, and a last batch that is damaged besides looks like one
 * that was being written.) */
static void damage(sim *s, node *n)
{
    if (n->powerless) return;
    if (!n->disk || !n->formed || n->undamaged || n->newest) return;
    sim_disk *before = sim_disk_copy(n->disk);
    uint64_t how = sim_below(s, 4);
    const char *tail = how < 2           ? ".log"
                       : sim_below(s, 3) ? ".log"
                       : sim_below(s, 2) ? ".snap"
                                         : "mark";
    uint32_t count = sim_disk_count(n->disk, tail);
    if (count == 0) {
        sim_disk_free(before);
        return;
    }
    /* the newest ones, mostly: the end of the log */
    uint64_t k = sim_below(s, 2) ? count - 1 : sim_below(s, count);
    const char *name = sim_disk_pick(n->disk, tail, k);
    uint64_t size = sim_disk_size(n->disk, name);
    SAY(s, "node %llu: damage %llu to %s", (llu)n->id, (llu)how, name);
    if (how == 0) {
        sim_disk_lose(n->disk, name);
    } else if (how == 1) {
        sim_disk_wipe(n->disk, name, 512 + sim_below(s, sim_below(s, 2) ? 600 : size));
    } else {
        uint64_t flips = 1 + sim_below(s, 3);
        uint64_t range = sim_below(s, 2) && size > 1200 ? 1200 : size;
        while (flips--)
            sim_disk_flip(n->disk, name, sim_below(s, range), (uint8_t)(1 << sim_below(s, 8)));
    }
    s->r->damaged++;
    n->undamaged = before;
    n->damaged = 1;
}

/* All others know durably of a life that the copy does not. */
static int lives_known(sim *s, const node *n)
{
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const node *o = s->nodes[i];
        if (o == n) continue;
        if (!o->engine || cr_engine_peer_life(o->engine, n->id, 1) < n->copy_life + 1) return 0;
    }
    return 1;
}

void sim_copies(sim *s, node *n)
{
    if (!n->disk || !n->formed || n->undamaged || n->newest || s->stale || !s->faults) return;
    if (!n->copy) {
        /* an only voter asks nobody: who gives it an old copy is not found out */
        if (sim_below(s, 3) || n->voters < 2) return;
        n->copy = sim_disk_copy(n->disk);
        n->copy_life = n->last_life;
        return;
    }
    if (s->nnodes < 2 || !lives_known(s, n) || sim_below(s, 2)) return;
    SAY(s, "node %llu: an old copy of its folder", (llu)n->id);
    s->r->old_copies++;
    s->stale = 1;
    n->newest = n->disk;
    n->disk = n->copy;
    n->copy = NULL;
    sim_disk_full(n->disk, n->full);
    cr_machine_free(n->machine);
    n->machine = NULL;
}

static void faults_of_disks(sim *s)
{
    node *n;
    switch (sim_below(s, 4)) {
    case 0:
        if ((n = some(s, 1))) {
            n->full = !n->full;
            s->r->full += (uint64_t)n->full;
            sim_disk_full(n->disk, n->full);
            SAY(s, "node %llu: full %d", (llu)n->id, n->full);
        }
        break;
    case 1:
        n = sim_below(s, 1000) < s->hunt ? sim_leading(s) : NULL;
        if (!n && !(n = some(s, 1))) break;
        n->disk_slow = sim_below(s, 2) ? sim_below(s, 200) * MS : 0;
        if (sim_below(s, 8) == 0) { /* it stands still for longer than a leader may */
            n->disk_slow = (1000 + sim_below(s, 5000)) * MS;
            s->r->stalls++;
        }
        break;
    case 2:
        if (sim_below(s, 3) == 0 && (n = some(s, 1))) {
            s->r->failed_syncs++;
            SAY(s, "node %llu: a sync will fail", (llu)n->id);
            sim_disk_fail_sync(n->disk);
        }
        break;
    default:
        if ((n = some(s, 0))) damage(s, n);
        break;
    }
}

static void handed_over(void *arg, int32_t rc)
{
    node *n = arg;
    n->s->r->hand_overs += rc == 0;
}

void sim_hand_over(sim *s, node *n)
{
    (void)cr_engine_hand_over(n->engine, 0, handed_over, n, sim_local(s, n));
    sim_turn(s, n);
}

void sim_fault(sim *s)
{
    node *n;
    switch (sim_below(s, 15)) {
    case 0:
    case 1:
        n = sim_below(s, 1000) < s->hunt ? sim_leading(s) : NULL;
        if (n || (n = some(s, 1))) sim_crash(s, n, (int)sim_below(s, 2));
        break;
    case 2:
    case 3:
    case 4:
        if ((n = some(s, 0))) sim_start(s, n);
        break;
    case 5:
        partition(s);
        break;
    case 6:
        memset(s->apart, 0, sizeof s->apart);
        break;
    case 7:
        s->loss = sim_below(s, 2) ? (uint32_t)sim_below(s, 300) : 0;
        s->dup = (uint32_t)sim_below(s, 200);
        s->late = (uint64_t)MS * (1 + sim_below(s, sim_below(s, 4) ? 10 : 400));
        break;
    case 8:
    case 9:
        sim_change_members(s);
        break;
    case 10:
        if ((n = sim_leading(s))) sim_hand_over(s, n);
        break;
    case 11:
        if ((n = some(s, 1))) {
            cr_engine_snapshot_soon(n->engine);
            sim_turn(s, n);
        }
        break;
    default:
        faults_of_disks(s);
        break;
    }
}

void sim_heal(sim *s)
{
    s->disk_ns = 2 * MS;
    s->client_ms = 40;
    SAY(s, "faults end");
    s->faults = 0;
    s->hold = 20 * s->snapshot_entries;
    s->loss = s->dup = 0;
    s->late = 2 * MS;
    memset(s->apart, 0, sizeof s->apart);
    memset(s->lag, 0, sizeof s->lag);
    for (uint32_t i = 0; i < s->nnodes && !s->bad; i++) {
        node *n = s->nodes[i];
        n->disk_slow = 0;
        n->full = 0;
        if (n->engine) n->engine->core->config.hold = s->hold;
        sim_disk_full(n->disk, 0);
        if (n->newest) sim_disk_full(n->newest, 0);
        if (!n->engine)
            sim_start(s, n);
        else
            sim_turn(s, n);
    }
}
