/* raft_main.c: seeded schedules of the consensus core, in TAP; with VARIANTS, the broken ones. */
#include "raft_sim.h"
#include <coordination-raft/consensus/variant.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cr_variant;

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

static void add(raft_sim_report *all, const raft_sim_report *r)
{
#define X(name) all->name += r->name;
    RAFT_COUNTS(X)
#undef X
}

static void say(const raft_sim_report *r)
{
    printf("#");
#define X(name) printf(" " #name " %llu", (unsigned long long)r->name);
    RAFT_COUNTS(X)
#undef X
    printf("\n");
}

int main(void)
{
    uint64_t seeds = number("SEEDS", 300), from = number("FROM", 1), one = number("SEED", 0),
             bad = 0;
    raft_sim_report r, all = {0};
    cr_variant = (int)number("VARIANT", 0);
    if (one) return raft_sim_run(one, (int)number("VERBOSE", 0), &r) ? (puts(r.violation), 1) : 0;
    for (uint64_t i = from; i < from + seeds; i++) {
        if (raft_sim_run(i, 0, &r)) {
            printf("# SEED=%llu at %.3f ms: %s\n", (unsigned long long)i, (double)r.at_ns / 1e6,
                   r.violation);
            if (++bad >= number("STOP", 5)) break;
        }
        add(&all, &r);
    }
    say(&all);
    return bad != 0;
}
