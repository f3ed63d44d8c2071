/*
 * conform_faults_t.c: the kit of the SDK over three masters, under schedules of faults
 * (unit/lib/coord_trouble.h): what a fault means to masters. SEEDS, SEED, SECONDS_EACH.
 *
 * Built once more, with mutants, as conform_defects_t: broken variants that the kit has to
 * find.
 */
#include "unit/lib/coord_trouble.h"
#include "unit/unit.h"
#include <coordination-common/mutants.h>
#include <coordination-raft/consensus/mutants.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define B QD_COORD_OPEN_BOOTSTRAP

/* --- a disk that stalls: the syncs of one node's folder wait --- */

static _Atomic int stalled = -1;
static rig *the_rig;

/* In place of the C library's: all masters of the process sync here. */
int fdatasync(int fd);
int fdatasync(int fd)
{
    char link[64], path[512];
    int i = atomic_load(&stalled);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = i < 0 ? -1 : readlink(link, path, sizeof path - 1);
    if (n > 0) {
        path[n] = 0;
        const char *folder = rig_folder(the_rig, i);
        while (strncmp(path, folder, strlen(folder)) == 0 && atomic_load(&stalled) == i)
            rig_pause(2);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* --- the driver --- */

static void slow(rig *r, bool on)
{
    rig_noise(r, on ? 20 : 0, on ? 60000 : 0);
}

/* A majority, none of it the kit's node. */
static void gone(rig *r, int kit, bool on)
{
    for (int i = 0; i < 3; i++) {
        if (i == kit) continue;
        if (on)
            rig_kill(r, i);
        else
            assert_int_equal(rig_start(r, i, RIG_PEERS, 3, B), 0);
    }
}

static void answers_lost(rig *r, int kit, int leader, bool on)
{
    for (int i = 0; i < 3; i++)
        if (i != kit && (leader < 0 || leader == kit || i == leader)) rig_cut(r, i, kit, on);
}

static void disk(rig *r, int leader, bool on)
{
    (void)r;
    atomic_store(&stalled, on ? leader : -1);
}

/* Masters compact by themselves: the others forget now, and who fell behind gets a snapshot. */
static void history(rig *r, int kit, bool on)
{
    for (int i = 0; on && i < 3; i++) {
        qd_coord_identity id = {.struct_size = sizeof id};
        if (i == kit) continue;
        rig_vtable(r)->identity(rig_store(r, i), &id);
        assert_int_equal(rig_vtable(r)->compact(rig_store(r, i), id.revision), 0);
    }
    rig_isolate(r, kit, on);
}

static const trouble_store masters = {.name = "three masters",
                                      .first = 3,
                                      .slow = slow,
                                      .gone = gone,
                                      .answers_lost = answers_lost,
                                      .disk = disk,
                                      .history = history};

static uint32_t failures(uint64_t seed, int seconds)
{
    rig *r = the_rig = rig_make(4); /* the fourth one is another store */
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(r));
    uint32_t n = trouble_conforms(r, &masters, (int)(seed % 3), seed, seconds);
    rig_free(r);
    return n;
}

#ifdef QD_WITH_MUTANTS
QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(raft, RAFT_MUTANTS);
QD_MUTANTS_DEFINE(coord, COORD_MUTANTS);

static const trouble_defect defects[] = {
    {"a follower answers reads by what it has", QD_MUTANT_NUMBER(coord, READ_LOCAL)},
    {"a leader confirms reads and renewals by itself", QD_MUTANT_NUMBER(coord, ROUND_NOT_ASKED)},
};

static void choose(int mutant)
{
    qd_mutant_choose(&qd_mutants_coord, mutant);
}

#endif

static void masters_conform_under_faults(void **state)
{
    (void)state;
#ifdef QD_WITH_MUTANTS
    trouble_defects(defects, sizeof defects / sizeof *defects, choose, failures);
#else
    trouble_seeds(1, failures);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(masters_conform_under_faults)};
    return unit_run(tests);
}
