/* cluster_faults.c: what goes wrong in the composed simulation. */
#include "cluster_int.h"
#include <quidditch/coordination.h>

/* --- network ---------------------------------------------------------------------------------- */

void cluster_cuts(cluster *x)
{
    for (int a = 0; a < NODES; a++) {
        for (int b = 0; b < NODES; b++) {
            if (a != b) qd_sim_net_cut(x->net, node_name(a), node_name(b), x->w->cut[a][b]);
        }
    }
}

void cluster_heal(cluster *x)
{
    memset(x->w->cut, 0, sizeof x->w->cut);
    store_heal(x);
    cluster_cuts(x);
    trace(x->w, "healed");
}

void cluster_partition(cluster *x, partition_kind kind, int a, int b)
{
    world *w = x->w;
    bool side[NODES];
    for (int i = 0; i < NODES; i++) side[i] = chance(w, 0.5);
    for (int i = 0; i < NODES; i++) {
        switch (kind) {
        case CUT_NODE:
            if (i != a) w->cut[a][i] = w->cut[i][a] = true;
            break;
        case CUT_OUT:
            if (i != a) w->cut[a][i] = true;
            break;
        case CUT_IN:
            if (i != a) w->cut[i][a] = true;
            break;
        case CUT_MASTERS:
            if (i != a && x->m[i].master) w->cut[a][i] = w->cut[i][a] = true;
            break;
        case CUT_LINK:
            if (a != b) w->cut[a][b] = w->cut[b][a] = true;
            break;
        case CUT_ONE_WAY:
            if (a != b) w->cut[a][b] = true;
            break;
        case CUT_HALVES:
        case CUT_BRIDGE: /* a sees both */
            for (int k = 0; k < NODES; k++) {
                bool bridged = kind == CUT_BRIDGE && (i == a || k == a);
                w->cut[i][k] = !bridged && side[i] != side[k];
            }
            break;
        case CUT_KINDS:
            break;
        }
    }
    if (kind <= CUT_MASTERS) store_cut(x, a);
    if (kind == CUT_NODE) w->cut[a][CLIENT] = w->cut[CLIENT][a] = chance(w, 0.3);
    cluster_cuts(x);
    x->r->partitions++;
    w->r->partitions++;
    trace(w, "partition %d of n%d, n%d", (int)kind, a, b);
}

/* --- processes and disks ---------------------------------------------------------------------- */

void cluster_freeze(cluster *x, int id, uint64_t ns)
{
    world *w = x->w;
    proc *p = x->m[id].now;
    if (!p) return;
    w->n[id].frozen = w->now + ns;
    qd_sim_freeze(p->env, w->now + ns);
    x->m[id].slept += ns;
    x->r->freezes++;
    w->r->freezes++;
    trace(w, "n%d is stopped for %llu ms", id, (unsigned long long)(ns / 1000000));
}

void cluster_pause(cluster *x, int id, uint64_t ns)
{
    machine *m = &x->m[id];
    if (!m->now) return;
    cluster_freeze(x, id, ns);
    m->slept -= ns;
    m->stood += (uint64_t)((double)ns * m->rate);
    x->r->pauses++;
    trace(x->w, "n%d: so are its clocks", id);
}

void cluster_full(cluster *x, int id, bool full)
{
    machine *m = &x->m[id];
    if (!m->disk) return;
    m->full = full;
    sim_disk_full(m->disk, full);
    x->r->full += full;
    trace(x->w, "disk of n%d %s", id, full ? "is full" : "has room");
}

void cluster_low(cluster *x, int id, bool low)
{
    if (x->m[id].disk) x->m[id].full = low;
    trace(x->w, "n%d sees %s on its disk", id, low ? "hardly any room" : "room");
}

void cluster_clock(cluster *x, int id, int64_t delta_ms)
{
    machine *m = &x->m[id];
    m->skew_ms += delta_ms;
    if (m->now) qd_sim_wall_jump(m->now->env, delta_ms);
    x->r->clock_jumps++;
    trace(x->w, "clock of n%d jumps by %lld ms", id, (long long)delta_ms);
}

void cluster_compact(cluster *x, int id)
{
    proc *p = x->m[id].now;
    qd_coord *handle;
    qd_coord_identity i = {.struct_size = sizeof i};
    if (!p || !p->master || !proc_follows(p)) return;
    const qd_coord_vtable *vt = qd_coord_table(p->store, &handle);
    vt->identity(handle, &i);
    if (vt->compact(handle, i.revision) == 0) x->r->compacted++;
    trace(x->w, "n%d forgets its history up to %llu", id, (unsigned long long)i.revision);
}

int cluster_leader(cluster *x)
{
    for (int i = 0; i < NODES; i++) {
        proc *p = x->m[i].now;
        qd_coord *handle;
        if (!p || !p->master || !proc_follows(p) || x->w->n[i].frozen > x->w->now) continue;
        (void)qd_coord_table(p->store, &handle);
        if (cluster_store_leads(handle)) return i;
    }
    return -1;
}

int cluster_primary(const cluster *x)
{
    const scopy *c = rec_copy(&x->w->record, x->w->record.primary);
    return c ? node_of(c->node) : -1;
}

/* --- old copies ------------------------------------------------------------------------------- */

/* All other masters know durably of a life of the folder that the copy does not. */
static bool lives_known(cluster *x, int id)
{
    const machine *m = &x->m[id];
    uint64_t raft_id;
    memcpy(&raft_id, m->folder.bytes, sizeof raft_id);
    for (int i = 0; i < (int)x->masters; i++) {
        const proc *p = x->m[i].now;
        qd_coord *handle;
        if (i == id) continue;
        if (!proc_follows(p) || x->m[i].newest) return false;
        (void)qd_coord_table(p->store, &handle);
        if (cluster_store_knows(handle, raft_id) < m->copy_life + 1) return false;
    }
    return true;
}

void cluster_copy_put(cluster *x, int id)
{
    machine *m = &x->m[id];
    trace(x->w, "n%d starts on an old copy of its disk", id);
    x->r->old_copies++;
    m->newest = m->disk;
    m->disk = m->copy;
    m->copy = NULL;
    sim_disk_full(m->disk, m->full);
}

void cluster_copies(cluster *x, int id)
{
    machine *m = &x->m[id];
    world *w = x->w;
    bool stale = false;
    for (int i = 0; i < NODES; i++) stale |= x->m[i].newest != NULL;
    if (w->quiet || stale || !m->folder.made || !m->life || x->scenario) return;
    if (m->copy) {
        if (lives_known(x, id) && chance(w, 0.7)) cluster_copy_put(x, id);
        return;
    }
    /* an only voter asks nobody: who gives it an old copy is not found out */
    if (m->voters < 2 || chance(w, 0.3)) return;
    m->copy = sim_disk_copy(m->disk);
    m->copy_life = m->life;
}

/* --- by chance -------------------------------------------------------------------------------- */

/* Those that matter most are hit most often. */
static int victim(cluster *x)
{
    world *w = x->w;
    int id = -1;
    if (chance(w, 0.35)) id = cluster_primary(x);
    if (id < 0 && chance(w, 0.4)) id = cluster_leader(x);
    return id >= 0 ? id : (int)rnd(w, NODES);
}

static void all_end(cluster *x)
{
    bool power = chance(x->w, 0.5);
    trace(x->w, "all end");
    for (int i = 0; i < NODES; i++) {
        if (!x->m[i].now) continue;
        x->w->r->crashes++;
        proc_kill(x, i, power);
        x->m[i].start_at = x->w->now + ms(rnd(x->w, 1500));
    }
}

void cluster_fault(cluster *x)
{
    world *w = x->w;
    int id = victim(x), other = (int)rnd(w, NODES);
    if (store_fault(x, id)) return;
    switch (rnd(w, 18)) {
    case 0:
    case 1:
    case 2:
        if (!x->m[id].now) break;
        w->r->crashes++;
        proc_kill(x, id, chance(w, 0.4));
        if (chance(w, 0.4)) x->m[id].start_at = w->now + ms(rnd(w, 400));
        break;
    case 3:
    case 4:
    case 5:
        cluster_partition(x, (partition_kind)rnd(w, CUT_KINDS), id, other);
        break;
    case 6:
    case 7:
        cluster_heal(x);
        break;
    case 8:
        (chance(w, 0.3) ? cluster_pause : cluster_freeze)(
            x, id, ms(chance(w, 0.3) ? 2000 + rnd(w, 5000) : rnd(w, 1500)));
        break;
    case 9:
        cluster_full(x, id, !x->m[id].full);
        break;
    case 10:
        x->m[id].slow = !x->m[id].slow;
        x->r->slow_disks += x->m[id].slow;
        if (x->m[id].disk && chance(w, 0.3)) {
            sim_disk_fail_sync(x->m[id].disk);
            x->r->failed_syncs++;
        }
        break;
    case 11:
        cluster_clock(x, id, chance(w, 0.5) ? 3600000 : -3600000);
        break;
    case 17:
        if (chance(w, 0.4)) all_end(x);
        break;
    case 12:
        cluster_compact(x, id);
        break;
    case 13:
        id = (int)rnd(w, x->masters);
        if (!x->m[id].disk) break;
        cluster_members(x, id, !x->excluded[id]);
        break;
    case 14: /* somebody restores a backup */
        for (int i = 0; i < (int)x->masters; i++) {
            if (!x->m[i].copy || !x->m[i].now) continue;
            proc_kill(x, i, false);
            x->m[i].start_at = w->now + ms(50 + rnd(w, 300));
            break;
        }
        break;
    case 15:
    case 16: {
        const scopy *c = w->record.n ? &w->record.copies[rnd(w, w->record.n)] : NULL;
        if (c && chance(w, 0.6)) c = &w->record.copies[0];
        if (c && c->state == QD_SHARD_STARTED) cluster_move(x, node_of(c->node), other);
        break;
    }
    }
    for (int i = 0; i < NODES; i++) {
        if (x->m[i].full && chance(w, 0.2)) cluster_full(x, i, false);
    }
}
