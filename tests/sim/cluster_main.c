/* cluster_main.c: seeded schedules of the composed simulation, in TAP. */
#include "cluster_sim.h"
#include "repl_sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int repl_variant, cr_variant;

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

int main(void)
{
    uint64_t one = number("SEED", 0), seeds = number("SEEDS", 20), from = number("FROM", 1);
    cluster_report r;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (one) from = one, seeds = 1;
    uint64_t bad = 0;
    for (uint64_t s = from; s < from + seeds; s++) {
        int rc = cluster_sim_run(s, NULL, getenv("TRACE") != NULL, &r);
        printf("# SEED=%llu: %s digest %016llx steps %llu acked %llu\n", (unsigned long long)s, rc ? r.repl->violation : "ok",
               (unsigned long long)r.digest, (unsigned long long)r.steps, (unsigned long long)r.repl->acked);
        bad += rc != 0;
    }
    return bad != 0;
}
