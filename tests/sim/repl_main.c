/*
 * repl_main.c: seeded schedules of replication, in TAP. Without anything set: 300 schedules, then
 * each defect of the two machines (replication/mutants.h) until it is found, within 5,000
 * schedules.
 *
 *   SEEDS=100000 [FROM=1]   so many schedules, no defects
 *   SEED=7 [VARIANT=3] [TRACE=1]   one schedule
 *   VARIANT=3 SEEDS=5000    one defect
 */
#include "repl_sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT 300
#define DEFECT_SEEDS 5000
#define LEAST_SHARE 5.0 /* percent of schedules that what matters must happen in */

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(repl, REPL_MUTANTS);

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

typedef struct covered {
    const char *name;
    bool must;
    uint64_t schedules, sum;
} covered;
static covered all[] = {{"promotion", true, 0, 0},
                        {"roll-back", true, 0, 0},
                        {"relocation", true, 0, 0},
                        {"in-sync removal", true, 0, 0},
                        {"recovery by operations", true, 0, 0},
                        {"recovery by files", true, 0, 0},
                        {"unknown change of the record", true, 0, 0},
                        {"store away", true, 0, 0},
                        {"crash", true, 0, 0},
                        {"partition", true, 0, 0},
                        {"freeze", true, 0, 0},
                        {"freeze of the clocks, too", true, 0, 0},
                        {"un-synced write lost", false, 0, 0},
                        {"message doubled", true, 0, 0},
                        {"catch-up", true, 0, 0},
                        {"disk error", false, 0, 0},
                        {"read within a lease", true, 0, 0},
                        {"acknowledged write", true, 0, 0},
                        {"unknown write", true, 0, 0},
                        {"conflict", true, 0, 0},
                        {"refresh", true, 0, 0},
                        {"search", true, 0, 0},
                        {"event", true, 0, 0}};

static void cover(const repl_sim_report *r)
{
    uint64_t v[] = {r->promotions > 1 ? r->promotions - 1 : 0,
                    r->rollbacks,
                    r->relocations,
                    r->removals,
                    r->by_ops,
                    r->by_files,
                    r->unknown_cas,
                    r->store_down,
                    r->crashes,
                    r->partitions,
                    r->freezes,
                    r->halts,
                    r->lost,
                    r->doubled,
                    r->catch_ups,
                    r->io_errors,
                    r->lease_reads,
                    r->acked,
                    r->unknown,
                    r->conflicts,
                    r->refreshes,
                    r->searches,
                    r->events};
    _Static_assert(QD_COUNT_OF(v) == QD_COUNT_OF(all), "one figure each");
    for (size_t i = 0; i < QD_COUNT_OF(v); i++) {
        all[i].schedules += v[i] > 0;
        all[i].sum += v[i];
    }
}

/* Runs schedules; *same: a run repeated had the same trace. Returns those that failed. */
static uint64_t schedules(uint64_t from, uint64_t n, uint64_t stop, bool *same, uint64_t *ran)
{
    uint64_t bad = 0;
    repl_sim_report r, again;
    *ran = 0;
    for (uint64_t s = from; s < from + n; s++) {
        int rc = repl_sim_run(s, false, &r);
        ++*ran;
        cover(&r);
        /* a defect is found by what is wrong, not by what takes long */
        if (rc && !(qd_mutants_armed && strstr(r.violation, STILL))) {
            printf("# %sSEED=%llu: %s\n", qd_mutants_armed ? "found by " : "",
                   (unsigned long long)s, r.violation);
            if (++bad >= stop) break;
        }
        if (same && s % 50 == 1) {
            (void)repl_sim_run(s, false, &again);
            *same &= again.digest == r.digest;
        }
    }
    return bad;
}

typedef struct defect {
    const char *name;
    int number;
    bool here;
} defect;
static const defect defects[] = {
#define DEFECT(x) {#x, QD_MUTANT_NUMBER(repl, x), true},
#define COMPOSED(x) {#x, QD_MUTANT_NUMBER(repl, x), false},
#include "repl_defects.def"
#undef DEFECT
#undef COMPOSED
};
enum {
    MACHINE_MUTANTS = 0
#define X(set, name, what) +1
    REPL_MACHINE_MUTANTS(X, repl)
#undef X
};
_Static_assert(QD_COUNT_OF(defects) == MACHINE_MUTANTS, "each defect has its name");

static void share(uint64_t ran, int *low)
{
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        double percent = 100.0 * (double)all[i].schedules / (double)ran;
        printf("# %-30s in %5.1f %% of schedules, %llu in all\n", all[i].name, percent,
               (unsigned long long)all[i].sum);
        *low += all[i].must && percent < LEAST_SHARE;
    }
}

int main(void)
{
    uint64_t one = number("SEED", 0), seeds = number("SEEDS", 0), ran;
    bool same = true, suite = !seeds;
    int failed = 0, test = 0, low = 0;
    qd_mutant_choose(&qd_mutants_repl, (int)number("VARIANT", 0));
    if (one) {
        repl_sim_report r;
        int rc = repl_sim_run(one, getenv("TRACE") != NULL, &r);
        printf("# SEED=%llu: %s\n", (unsigned long long)one, rc ? r.violation : "ok");
        return rc;
    }
    uint64_t bad =
        schedules(number("FROM", 1), seeds ? seeds : SHORT, number("STOP", 5), &same, &ran);
    share(ran, &low);
    printf("%sok %d - %llu schedules hold\n", bad ? "not " : "", ++test, (unsigned long long)ran);
    printf("%sok %d - two runs of a seed are the same\n", same ? "" : "not ", ++test);
    printf("%sok %d - what matters happens in more than %.0f %% of them\n", low ? "not " : "",
           ++test, LEAST_SHARE);
    failed += bad || !same || low;
    for (size_t i = 0; suite && !qd_mutants_armed && i < QD_COUNT_OF(defects); i++) {
        if (!defects[i].here) continue;
        qd_mutant_choose(&qd_mutants_repl, defects[i].number);
        bool found = schedules(1, DEFECT_SEEDS, 1, NULL, &ran) > 0;
        printf("%sok %d - found: %s\n", found ? "" : "not ", ++test, defects[i].name);
        if (qd_mutants_broke) printf("# the invariant that broke first: %s\n", qd_mutants_broke);
        failed += !found;
        qd_mutant_choose(&qd_mutants_repl, 0);
    }
    printf("1..%d\n", test);
    return failed != 0;
}
