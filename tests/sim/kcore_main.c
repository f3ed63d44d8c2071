/*
 * kcore_main.c: seeded schedules of the core of coordination-k8s, as TAP.
 *
 *   SEEDS=300 FROM=1   so many, from that one on
 *   SEED=n VERBOSE=1   one of them, told on stderr
 *   VARIANT=n          all that with a broken variant (mutants.h)
 *   DEPTH=12 STATES=n  the exploration alone, so many steps deep, so many states at most
 *   VARIANTS=5000      each broken variant, until the checker finds it, so many seeds at most
 */
#include "kcore_sim.h"
#include "still.h"
#include <core/mutants.h>
#include <string.h>

typedef kcore_report sim_report;
#define SIM_RUN kcore_run
#define SIM_COUNTS KCORE_COUNTS
#include "schedules.h"

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(k8s, K8S_MUTANTS);
#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 8, COVERED = 0, STEPS = 3 };
#else
enum { SEEDS = 30, COVERED = 300, STEPS = 5 };
#endif

/* All orders of a few steps. */
static int explored(int test, int start, uint32_t depth, uint64_t states)
{
    kcore_explored e;
    int bad = kcore_explore(start, depth, states, &e);
    printf("%s %d - %llu states, %llu deep, %llu steps hold\n", bad ? "not ok" : "ok", test,
           (unsigned long long)e.states, (unsigned long long)e.depth + 1,
           (unsigned long long)e.steps);
    if (bad) printf("# %s\n", e.violation);
    return bad;
}

/* Schedules first .. last, until one of them finds what is wrong; its number, 0: none did. */
static uint64_t found(uint64_t first, uint64_t last, char *how, size_t room)
{
    for (uint64_t i = first; i <= last; i++) {
        kcore_report r;
        /* by what is wrong, not by what takes long */
        if (!kcore_run(i, 0, &r) || strstr(r.violation, STILL)) continue;
        snprintf(how, room, "%s", r.violation);
        return i;
    }
    return 0;
}

static int variants(uint64_t seeds)
{
    int missed = 0;
    printf("1..%d\n", qd_mutants_k8s.n);
    for (int m = 1; m <= qd_mutants_k8s.n; m++) {
        qd_mutant_choose(&qd_mutants_k8s, m);
        kcore_explored e = {0};
        char how[600] = "";
        uint64_t few = seeds < 10 ? seeds : 10, i = found(1, few, how, sizeof how);
        int orders = !i && (kcore_explore(0, STEPS, UINT64_MAX, &e) ||
                            kcore_explore(1, STEPS, UINT64_MAX, &e) ||
                            kcore_explore(2, STEPS, UINT64_MAX, &e));
        if (!i && !orders) i = found(few + 1, seeds, how, sizeof how);
        missed += !i && !orders;
        printf("%s %d - broken variant %d is found: %s\n", i || orders ? "ok" : "not ok", m, m,
               qd_mutants_k8s.rows[m - 1].name);
        printf("# %s %llu: %s\n", orders ? "all orders, state" : "schedule",
               (unsigned long long)(orders ? e.states : i), orders ? e.violation : how);
    }
    return missed != 0;
}

int main(void)
{
    uint64_t seeds = number("SEEDS", SEEDS), from = number("FROM", 1), one = number("SEED", 0);
    kcore_report all = {0}, in = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    qd_mutant_choose(&qd_mutants_k8s, (int)number("VARIANT", 0));
    if (one) return one_schedule(one);
    if (number("DEPTH", 0)) {
        uint32_t depth = (uint32_t)number("DEPTH", 0);
        uint64_t states = number("STATES", 1000000);
        printf("1..3\n");
        return explored(1, 0, depth, states) | explored(2, 1, depth, states) |
               explored(3, 2, depth, states);
    }
    if (number("VARIANTS", 0)) return variants(number("VARIANTS", 0));
    uint64_t bad = schedules(from, seeds, &all, &in);
    counts_say(&all, &in, seeds);
    int same = repeats(from);
    int rare = 0;
    unsigned covered = COVERED;
    if (covered && seeds >= covered) {
/* `recreated` and `deletes_refused` need two requests for one object at the right moment: the
 * explorations have them */
#define X(name)                                                                                    \
    if (in.name * 20 < seeds && !strstr("recreated deletes_refused", #name)) {                     \
        rare = 1;                                                                                  \
        printf("# rare: " #name "\n");                                                             \
    }
        KCORE_COUNTS(X)
#undef X
    }
    printf("%s 3 - each kind of event is in more than one of 20 schedules\n",
           rare ? "not ok" : "ok");
    int wrong = explored(4, 0, STEPS, UINT64_MAX) | explored(5, 1, STEPS, UINT64_MAX) |
                explored(6, 2, STEPS, UINT64_MAX);
    printf("1..6\n");
    return bad || !same || rare || wrong;
}
