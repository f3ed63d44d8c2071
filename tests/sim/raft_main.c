/*
 * raft_main.c: seeded schedules of coordination-raft's consensus, as TAP.
 *
 *   SEEDS=300 FROM=1   so many, from that one on
 *   SEED=n VERBOSE=1   one of them, told on stderr
 *   VARIANT=n          all that with a broken variant (mutants.h)
 *   VARIANTS=5000      each broken variant, until the checker finds it, so many seeds at most
 */
#include "raft_sim.h"
#include "still.h"
#include <coordination-raft/consensus/mutants.h>
#include <string.h>

typedef raft_sim_report sim_report;
#define SIM_RUN raft_sim_run
#define SIM_COUNTS RAFT_COUNTS
#include "schedules.h"

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(raft, RAFT_MUTANTS);
#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 40, COVERED = 0 };
#else
enum { SEEDS = 300, COVERED = 300 };
#endif

static int variants(uint64_t seeds)
{
    int missed = 0;
    printf("1..%d\n", qd_mutants_raft.n);
    for (int m = 1; m <= qd_mutants_raft.n; m++) {
        qd_mutant_choose(&qd_mutants_raft, m);
        raft_sim_report r = {0};
        uint64_t i = 1;
        /* by what is wrong, not by what takes long */
        while (i <= seeds && (!raft_sim_run(i, 0, &r) || strstr(r.violation, STILL))) i++;
        missed += i > seeds;
        printf("%s %d - broken variant %d is found: %s\n", i > seeds ? "not ok" : "ok", m, m,
               qd_mutants_raft.rows[m - 1].name);
        printf("# after %llu schedules: %s\n", (unsigned long long)i, r.violation);
        if (qd_mutants_broke) printf("# the invariant that broke first: %s\n", qd_mutants_broke);
    }
    return missed != 0;
}

int main(void)
{
    uint64_t seeds = number("SEEDS", SEEDS), from = number("FROM", 1), one = number("SEED", 0);
    raft_sim_report all = {0}, in = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    qd_mutant_choose(&qd_mutants_raft, (int)number("VARIANT", 0));
    if (one) return one_schedule(one);
    if (number("VARIANTS", 0)) return variants(number("VARIANTS", 0));
    uint64_t bad = schedules(from, seeds, &all, &in);
    counts_say(&all, &in, seeds);
    int same = repeats(from);
    int rare = 0;
    unsigned covered = COVERED;
    if (covered && seeds >= covered) {
/* `never` needs an entry that another leader's replaced while its own waited */
#define X(name)                                                                                    \
    if (in.name * 20 < seeds && strcmp(#name, "never") != 0) {                                     \
        rare = 1;                                                                                  \
        printf("# rare: " #name "\n");                                                             \
    }
        RAFT_COUNTS(X)
#undef X
    }
    printf("%s 3 - each kind of event is in more than one of 20 schedules\n1..3\n",
           rare ? "not ok" : "ok");
    return bad || !same || rare;
}
