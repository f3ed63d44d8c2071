/*
 * cluster_raft.c: the composed simulation's part for masters: named faults of theirs, of their
 * disks and of their members. See cluster_scenario.c.
 */
#include "cluster_steps.h"

/* --- what the world asks of a back end: masters have all of it below themselves --- */

void store_begin(cluster *x)
{
    for (int i = 0; i < (int)x->masters; i++) x->m[i].disk = sim_disk_make();
}
void store_end(cluster *x)
{
    (void)x;
}
void store_quiet(cluster *x)
{
    (void)x;
}
void store_killed(proc *p, bool power)
{
    (void)p;
    (void)power;
}
bool store_fault(cluster *x, int id)
{
    (void)x;
    (void)id;
    return false;
}
void store_cut(cluster *x, int id)
{
    (void)x;
    (void)id;
}
void store_heal(cluster *x)
{
    (void)x;
}
void store_look(cluster *x)
{
    (void)x;
}

/* --- disks --- */

static void disks_full(cluster *x)
{
    for (int i = 0; i < (int)x->masters && !x->w->failed; i++) {
        uint64_t before = acked(x);
        cluster_full(x, i, true);
        pass(x, 2500);
        expect(x, acked(x) > before, "a master's full disk stopped writes");
        cluster_full(x, i, false);
        pass(x, 1500);
    }
    for (int i = 0; i < (int)x->masters; i++) cluster_full(x, i, true);
    pass(x, 3000);
    for (int i = 0; i < (int)x->masters; i++) cluster_full(x, i, false);
}

/* A leader that takes no changes for want of room lets one lead that has some. */
static void leader_has_no_room(cluster *x)
{
    for (int i = 0; i < 2 && x->masters > 1 && !x->w->failed; i++) {
        int leader = cluster_leader(x), now = leader;
        if (leader < 0) {
            pass(x, 2000);
            continue;
        }
        cluster_low(x, leader, true);
        for (int k = 0; k < 15 && (now < 0 || now == leader) && !x->w->failed; k++) {
            cluster_move(x, primary(x), free_node(x)); /* somebody wants a change */
            pass(x, 1000);
            now = cluster_leader(x);
        }
        expect(x, now >= 0 && now != leader, "a master whose disk is nearly full went on leading");
        cluster_low(x, leader, false);
        pass(x, 1000);
    }
}

static void sync_fails(cluster *x)
{
    for (int i = 0; i < 3 && !x->w->failed; i++) {
        int id = i == 0 ? cluster_leader(x) : (int)rnd(x->w, x->masters);
        uint64_t life = id >= 0 ? x->m[id].lives : 0;
        if (id >= 0) sim_disk_fail_sync(x->m[id].disk);
        x->r->failed_syncs++;
        x->w->io_fails = 0.02;
        pass(x, 2000);
        bool ended = id < 0 || !x->m[id].now || x->m[id].now->sick || x->m[id].lives > life;
        expect(x, ended, "a master whose log was not synced goes on");
        x->w->io_fails = 0;
        until(x, is_green, 90000, "not green");
    }
}

/* A byte of a master's log is another one: it is not served, and what it was is put back. */
static void bit_flipped(cluster *x)
{
    int id = (int)rnd(x->w, x->masters);
    machine *m = &x->m[id];
    down(x, id, false);
    until(x, leads, 30000, "no master leads");
    pass(x, 200);
    sim_disk *sound = sim_disk_copy(m->disk);
    uint32_t logs = sim_disk_count(m->disk, ".log");
    const char *name = logs ? sim_disk_pick(m->disk, ".log", rnd(x->w, logs)) : NULL;
    expect(x, name != NULL, "a master has no log");
    if (name) {
        uint64_t size = sim_disk_size(m->disk, name);
        sim_disk_flip(m->disk, name, rnd(x->w, size < 1200 ? size : 1200),
                      (uint8_t)(1u << rnd(x->w, 8)));
    }
    back(x, id, 10);
    pass(x, 6000);
    if (!proc_follows(m->now) || m->now->sick) { /* refused */
        down(x, id, false);
        pass(x, 10000);
        sim_disk_free(m->disk);
        m->disk = sound;
        sound = NULL;
        back(x, id, 10);
    }
    sim_disk_free(sound);
    until(x, is_green, 90000, "not green");
}

/* --- masters and their members --- */

static void masters_lost(cluster *x)
{
    world *w = x->w;
    int n = (int)x->masters, few = n / 2 + 1;
    uint64_t before = acked(x);
    for (int i = 0; i < few; i++) down(x, i, false);
    pass(x, 4000);
    expect(x, !leads(x), "a minority of the masters leads");
    for (int i = 0; i < few; i++) back(x, i, rnd(w, 1000));
    until(x, is_green, 90000, "not green by itself");
    for (int i = 0; i < n; i++) down(x, i, chance(w, 0.5));
    pass(x, 4000);
    for (int i = 0; i < n; i++) back(x, i, rnd(w, 1000));
    until(x, is_green, 90000, "not green by itself");
    pass(x, 2000);
    expect(x, acked(x) > before, "nothing was written");
}

static void members_change(cluster *x)
{
    for (int i = 0; i < 6 && !x->w->failed; i++) {
        int id = (int)rnd(x->w, x->masters);
        cluster_members(x, id, !x->excluded[id]);
        pass(x, 1500);
        if (chance(x->w, 0.5)) {
            int leader = cluster_leader(x);
            if (leader >= 0) down(x, leader, chance(x->w, 0.5));
            pass(x, 500);
            if (leader >= 0) back(x, leader, 500);
            pass(x, 3000);
        }
    }
}

/* A leader loses its vote: it hands over to one whose disk is full, which can make none of the
 * changes that it wants, and is there for all else. */
static void members_change_on_full_disks(cluster *x)
{
    for (int i = 0; i < 4 && !x->w->failed; i++) {
        int leader = cluster_leader(x);
        for (int k = 0; k < (int)x->masters; k++) {
            if (k != leader) cluster_full(x, k, true);
        }
        if (leader >= 0) cluster_members(x, leader, true);
        pass(x, 500 + rnd(x->w, 3000));
        if (leader >= 0 && chance(x->w, 0.5)) down(x, leader, false);
        pass(x, 3000);
        for (int k = 0; k < (int)x->masters; k++) cluster_full(x, k, false);
        if (leader >= 0) back(x, leader, 10);
        pass(x, 1000);
        if (leader >= 0) cluster_members(x, leader, false);
        pass(x, 2000);
    }
}

/* Leave to stop is asked for all masters at once, from all nodes, while some are down: those that
 * have it and those that are down are never so many that the others have no majority. */
static void permits(cluster *x)
{
    int n = (int)x->masters, most = (n - 1) / 2, first = (int)rnd(x->w, (uint64_t)n), out = 0;
    int off = (int)rnd(x->w, (uint64_t)most + 1);
    for (int i = 0; i < off; i++) down(x, (first + i) % n, false);
    if (off) pass(x, 8000); /* their sessions have ended */
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < n; i++) {
            if (x->m[i].now && !x->permitted[i]) cluster_permit(x, (int)rnd(x->w, NODES), i);
        }
        pass(x, 500);
    }
    for (int i = 0; i < n; i++) out += x->permitted[i] || !x->m[i].now;
    expect(x, out <= most, "so many masters may stop that the others have no majority");
    for (int i = 0; i < n; i++) {
        if (x->permitted[i]) down(x, i, false);
    }
    pass(x, 4000);
    until(x, leads, 20000, "no master leads after those that may have stopped");
    for (int i = 0; i < n; i++) back(x, i, 100);
}

static void master_restored_from_a_backup(cluster *x)
{
    int id = (int)rnd(x->w, x->masters);
    machine *m = &x->m[id];
    down(x, id, false);
    until(x, leads, 30000, "no master leads");
    pass(x, 500);
    m->copy = sim_disk_copy(m->disk);
    back(x, id, 10);
    until(x, is_green, 60000, "not green");
    pass(x, 4000); /* its life is known to the others */
    down(x, id, false);
    until(x, leads, 30000, "no master leads");
    pass(x, 3000);
    if (m->before) pass(x, 20000);
    cluster_copy_put(x, id);
    back(x, id, 10);
    pass(x, 15000);
    expect(x, !m->newest, "a master runs on an old copy of its disk, and is let in");
}

/* All masters' disks are older ones: no node acts on what they show. */
static void store_restored_from_a_backup(cluster *x)
{
    sim_disk *newest[NODES] = {0}, *old[NODES] = {0};
    for (int i = 0; i < (int)x->masters; i++) down(x, i, false);
    pass(x, 12000);
    for (int i = 0; i < (int)x->masters; i++) old[i] = sim_disk_copy(x->m[i].disk);
    for (int i = 0; i < (int)x->masters; i++) back(x, i, 10);
    until(x, is_green, 90000, "not green");
    down(x, primary(x), false);
    pass(x, 6000);
    for (int i = 0; i < NODES; i++) back(x, i, 10);
    until(x, is_green, 90000, "not green");
    pass(x, 3000); /* a master's own record of what it acted on follows within a second */
    for (int i = 0; i < (int)x->masters; i++) down(x, i, false);
    x->restored = true; /* records of revisions that were will be others */
    pass(x, 12000);
    for (int i = 0; i < (int)x->masters; i++) {
        newest[i] = x->m[i].disk;
        x->m[i].disk = old[i];
        back(x, i, 10);
    }
    pass(x, 20000);
    for (int i = 0; i < (int)x->masters; i++) down(x, i, false);
    pass(x, 12000);
    for (int i = 0; i < (int)x->masters; i++) {
        sim_disk_free(x->m[i].disk);
        x->m[i].disk = newest[i];
        back(x, i, 10);
    }
    for (int i = 0; i < NODES; i++) { /* they have seen that the store was an older one */
        if (i >= (int)x->masters) down(x, i, false);
        x->m[i].accept = true;
        back(x, i, 2500);
    }
    x->restored = false;
    until(x, is_green, 90000, "not green with the newest store");
}

/* Nobody is dead: a session whose process lives goes on, whoever's disk takes nothing. */
static void disks_stand_still(cluster *x)
{
    world *w = x->w;
    for (int round = 0; round < 6 && !w->failed; round++) {
        until(x, leads, 20000, "no master leads");
        uint64_t lost = x->r->sessions_lost;
        int leader = cluster_leader(x), only = round % 3 == 2 ? (int)rnd(w, x->masters) : -1;
        if (leader < 0) return;
        for (int i = 0; i < 6; i++) cluster_bump(x); /* what others have before its own disk */
        cluster_move(x, primary(x), free_node(x));
        pass(x, rnd(w, 30));
        uint64_t end = w->now + ms(4000 + rnd(w, 2500));
        for (int i = 0; i < (int)x->masters; i++) {
            if (only >= 0 && i != only) continue;
            x->m[i].still_from = w->now + (i == leader ? 0 : us(rnd(w, 4000)));
            x->m[i].still_until = end;
        }
        pass(x, 9000);
        until(x, leads, 20000, "no master leads");
        until(x, is_green, 90000, "not green");
        expect(x, x->r->sessions_lost == lost, "a disk that stood still ended a session");
    }
}

const cluster_scenario cluster_scenarios_own[] = {
    {"17-disks-full", "masters' disks are full, one by one and all", disks_full, 1},
    {"17-leader-has-no-room", "the disk of the masters' leader is nearly full", leader_has_no_room,
     0},
    {"18-sync-fails", "a sync fails once, of masters and of copies", sync_fails, 1},
    {"18-disks-stand-still", "disks of masters take nothing for longer than sessions live",
     disks_stand_still, 1},
    {"19-bit-flipped", "a bit of a master's log is another", bit_flipped, 1},
    {"22-masters-lost", "most masters are lost, then all", masters_lost, 1},
    {"members-change", "masters lose and get their votes, leaders end meanwhile", members_change,
     1},
    {"members-change-full", "masters lose and get their votes, disks of leaders are full meanwhile",
     members_change_on_full_disks, 0},
    {"permits", "leave to stop is asked for all masters, some are down", permits, 1},
    {"master-restored", "a master starts on an old copy of its disk", master_restored_from_a_backup,
     1},
    {"store-restored", "all masters start on old copies of their disks",
     store_restored_from_a_backup, 1},
    {NULL, NULL, NULL, 0}};
