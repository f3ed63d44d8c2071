/* repl_main.c: seeded schedules of replication, in TAP. SEEDS, FROM, SEED (one, traced), VARIANT. */
#include "repl_sim.h"
#include <stdio.h>
#include <stdlib.h>

int repl_variant;

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

int main(void)
{
    uint64_t seeds = number("SEEDS", 300), from = number("FROM", 1), one = number("SEED", 0);
    repl_sim_report r, again;
    repl_variant = (int)number("VARIANT", 0);
    if (one) {
        int rc = repl_sim_run(one, getenv("TRACE") != NULL, &r);
        printf("# SEED=%llu: %s\n", (unsigned long long)one, rc ? r.violation : "ok");
        return rc;
    }
    struct {
        const char *name;
        uint64_t schedules, sum;
    } c[] = {{"promotion", 0, 0},      {"roll-back", 0, 0},     {"relocation", 0, 0},
             {"in-sync removal", 0, 0}, {"recovery by ops", 0, 0}, {"recovery by files", 0, 0},
             {"unknown change", 0, 0}, {"store away", 0, 0},    {"crash", 0, 0},
             {"partition", 0, 0},      {"freeze", 0, 0},        {"lost un-synced", 0, 0},
             {"doubled message", 0, 0}, {"catch-up", 0, 0},     {"disk error", 0, 0},
             {"lease read", 0, 0},     {"acknowledged", 0, 0},  {"unknown write", 0, 0},
             {"conflict", 0, 0},       {"refresh", 0, 0},       {"event", 0, 0}};
    uint64_t bad = 0, ran = 0, differ = 0;
    for (uint64_t s = from; s < from + seeds; s++) {
        int rc = repl_sim_run(s, false, &r);
        ran++;
        if (rc) {
            printf("# SEED=%llu: %s\n", (unsigned long long)s, r.violation);
            if (++bad >= number("STOP", 5)) break;
        }
        if (s % 50 == 1) {
            (void)repl_sim_run(s, false, &again);
            differ += again.digest != r.digest;
        }
        uint64_t v[] = {r.promotions > 1 ? r.promotions - 1 : 0, r.rollbacks, r.relocations, r.removals,
                        r.by_ops, r.by_files, r.unknown_cas, r.store_down, r.crashes, r.partitions,
                        r.freezes, r.lost, r.doubled, r.catch_ups, r.io_errors, r.lease_reads, r.acked,
                        r.unknown, r.conflicts, r.refreshes, r.events};
        for (size_t i = 0; i < QD_COUNT_OF(v); i++) {
            c[i].schedules += v[i] > 0;
            c[i].sum += v[i];
        }
    }
    for (size_t i = 0; i < QD_COUNT_OF(c); i++) {
        printf("# %-18s in %5.1f %% of schedules, %llu in all\n", c[i].name,
               100.0 * (double)c[i].schedules / (double)ran, (unsigned long long)c[i].sum);
    }
    printf("1..2\n%sok 1 - %llu schedules hold\n", bad ? "not " : "", (unsigned long long)ran);
    printf("%sok 2 - two runs of a seed are the same\n", differ ? "not " : "");
    return bad || differ;
}
