/* raft_main.c: seeded schedules of the consensus core, in TAP; with VARIANTS, the broken ones. */
#include "raft_sim.h"
#include <coordination-raft/consensus/variant.h>
#include <stdio.h>
#include <stdlib.h>

int cr_variant;

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

int main(void)
{
    uint64_t seeds = number("SEEDS", 300), from = number("SEED", 0), bad = 0;
    raft_sim_report r, all = {0};
    cr_variant = (int)number("VARIANT", 0);
    if (from) return raft_sim_run(from, 1, &r);
    for (uint64_t i = 1; i <= seeds; i++) {
        int rc = raft_sim_run(i, 0, &r);
        if (rc) {
            printf("# SEED=%llu at %.3f ms: %s\n", (unsigned long long)i, (double)r.at_ns / 1e6,
                   r.violation);
            if (++bad >= 5) break;
        }
        all.leaders += r.leaders;
        all.commits += r.commits;
        all.crashes += r.crashes;
        all.lost_writes += r.lost_writes;
        all.cuts += r.cuts;
        all.partitions += r.partitions;
        all.snapshots += r.snapshots;
        all.installs += r.installs;
        all.changes += r.changes;
        all.hand_overs += r.hand_overs;
        all.reads += r.reads;
        all.full += r.full;
        all.dropped += r.dropped;
        all.doubled += r.doubled;
    }
    printf("# leaders %llu commits %llu crashes %llu lost writes %llu cuts %llu partitions %llu "
           "snapshots %llu installs %llu changes %llu handovers %llu reads %llu full %llu dropped "
           "%llu doubled %llu\n",
           (unsigned long long)all.leaders, (unsigned long long)all.commits,
           (unsigned long long)all.crashes, (unsigned long long)all.lost_writes,
           (unsigned long long)all.cuts, (unsigned long long)all.partitions,
           (unsigned long long)all.snapshots, (unsigned long long)all.installs,
           (unsigned long long)all.changes, (unsigned long long)all.hand_overs,
           (unsigned long long)all.reads, (unsigned long long)all.full,
           (unsigned long long)all.dropped, (unsigned long long)all.doubled);
    return bad != 0;
}
