/*
 * cluster_main.c: seeded schedules of the composed simulation, in TAP. Without anything set: 300
 * schedules, each named scenario, replays.
 *
 *   SEEDS=100000 FROM=1      so many, from that one on; STOP=5: up to so many that fail
 *   SEED=7 TRACE=1           one of them, told
 *   --list                   the named scenarios
 *   --scenario NAME          one of them, with SEED or SEEDS
 *   --defects [NAME]         each defect (or one), until it is found, within DEFECT_SEEDS=5000
 */
#include "cluster/mutants.h"
#include "cluster_sim.h"
#include "repl_sim.h"
#include "replication/mutants.h"
#include <coordination-common/mutants.h>
#ifdef CLUSTER_K8S
#include <coordination-k8s/core/mutants.h>
#else
#include <coordination-raft/consensus/mutants.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Schedules, and those of each named scenario: one costs ten times as much under a sanitizer. */
#ifdef __SANITIZE_ADDRESS__
#define SHORT 12
#define EACH 0 /* by check-long */
#else
#ifdef CLUSTER_K8S
#define SHORT 12
#define EACH 0 /* by check-long */
#else
#define SHORT 300
#define EACH 3
#endif
#endif
#define SHARED 60       /* schedules from which on the share of events tells something */
#define LEAST_SHARE 5.0 /* percent of schedules that each kind of event must be in */

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(repl, REPL_MUTANTS);
QD_MUTANTS_DEFINE(cluster, CLUSTER_MUTANTS);
QD_MUTANTS_DEFINE(coord, COORD_MUTANTS);
#ifdef CLUSTER_K8S
QD_MUTANTS_DEFINE(k8s, K8S_MUTANTS);
#else
QD_MUTANTS_DEFINE(raft, RAFT_MUTANTS);
#endif

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

/* --- coverage --------------------------------------------------------------------------------- */

typedef struct covered {
    const char *name;
    uint64_t schedules, sum;
} covered;
static covered all[] = {
#define X(name, text) {text, 0, 0},
    CLUSTER_COUNTS(X) CLUSTER_OWN_COUNTS(X)
#undef X
        {"promotion", 0, 0},
    {"roll-back", 0, 0},
    {"relocation", 0, 0},
    {"in-sync removal", 0, 0},
    {"recovery by operations", 0, 0},
    {"recovery by files", 0, 0},
    {"un-synced record of a copy lost", 0, 0},
    {"catch-up", 0, 0},
    {"read by lease", 0, 0},
    {"acknowledged write", 0, 0},
    {"unknown write", 0, 0},
    {"conflict", 0, 0},
    {"refresh", 0, 0},
    {"search", 0, 0},
};

static void cover(const cluster_report *r)
{
    const repl_sim_report *p = r->repl;
    uint64_t v[] = {
#define X(name, text) r->name,
        CLUSTER_COUNTS(X) CLUSTER_OWN_COUNTS(X)
#undef X
                    p->promotions > 1
            ? p->promotions - 1
            : 0,
        p->rollbacks,
        p->relocations,
        p->removals,
        p->by_ops,
        p->by_files,
        p->lost,
        p->catch_ups,
        p->lease_reads,
        p->acked,
        p->unknown,
        p->conflicts,
        p->refreshes,
        p->searches};
    _Static_assert(QD_COUNT_OF(v) == QD_COUNT_OF(all), "one figure each");
    for (size_t i = 0; i < QD_COUNT_OF(v); i++) {
        all[i].schedules += v[i] > 0;
        all[i].sum += v[i];
    }
}

/* Those that are so by nature: the share of 300 schedules is not certain. */
static bool rare(const char *name)
{
    static const char *const names[] = {
        "un-synced record of a copy lost",         "failed sync of a master",
        "store restored from an old copy",         "old copy refused",
        "un-synced record of a control node lost", "etcd restored from an older copy"};
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

static void share(uint64_t ran, int *low)
{
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        double percent = 100.0 * (double)all[i].schedules / (double)ran;
        printf("# %-44s in %5.1f %% of schedules, %llu in all\n", all[i].name, percent,
               (unsigned long long)all[i].sum);
        *low += percent < LEAST_SHARE && !rare(all[i].name);
    }
}

/* --- runs ------------------------------------------------------------------------------------- */

/* Runs schedules; *same: those repeated had the same trace. Returns how many failed. */
static uint64_t schedules(const char *scenario, uint64_t from, uint64_t n, uint64_t stop,
                          bool *same, uint64_t *ran, uint64_t *digest)
{
    uint64_t bad = 0;
    *ran = 0;
    for (uint64_t s = from; s < from + n; s++) {
        cluster_report r, again;
        int rc = cluster_sim_run(s, scenario, getenv("TRACE") != NULL, &r);
        ++*ran;
        cover(&r);
        *digest = *digest * 0x9e3779b97f4a7c15ull + r.digest;
        if (rc) {
            printf("# SEED=%llu: %s\n", (unsigned long long)s, r.repl->violation);
            if (++bad >= stop) break;
        }
        if (same && s % 50 == 1) {
            (void)cluster_sim_run(s, scenario, false, &again);
            *same &= again.digest == r.digest;
        }
    }
    return bad;
}

/* The same seeds in another process, with another environment: the same trace. */
static bool replays(const char *self, uint64_t from, uint64_t n, uint64_t digest)
{
    char command[600], line[200];
    unsigned long long other = 0;
    snprintf(command, sizeof command, "env -i SEEDS=%llu FROM=%llu DIGEST=1 PADDING=%0200d %s",
             (unsigned long long)n, (unsigned long long)from, 7, self);
    FILE *f = popen(command, "r");
    if (!f) return false;
    while (fgets(line, sizeof line, f)) (void)sscanf(line, "# digest %llx", &other);
    (void)pclose(f);
    return other == digest;
}

/* --- defects ---------------------------------------------------------------------------------- */

typedef struct defect {
    qd_mutant_set *of;
    int number;
    const char *name, *scenario;
} defect;
static const defect defects[] = {
#define DEFECT(set, name, scenario)                                                                \
    {&qd_mutants_##set, QD_MUTANT_NUMBER(set, name), #name, scenario},
#ifdef CLUSTER_K8S
#include "cluster_defects_k8s.def"
#else
#include "cluster_defects.def"
#endif
#undef DEFECT
};

/* A defect is found by what is wrong, not by what takes long. */
static bool takes_long(const char *violation)
{
    return strstr(violation, "not green") || strstr(violation, "no index") ||
           strstr(violation, STILL);
}

static int find_defects(const char *name)
{
    uint64_t most = number("DEFECT_SEEDS", 5000), from = number("FROM", 1);
    int test = 0, missed = 0;
    for (size_t i = 0; i < QD_COUNT_OF(defects); i++) {
        const defect *d = &defects[i];
        cluster_report r;
        uint64_t s = from;
        bool found = false;
        if (name && strcmp(name, d->name) != 0) continue;
        qd_mutant_choose(d->of, d->number);
        for (; s < from + most && !found; s++) {
            found = cluster_sim_run(s, d->scenario, getenv("TRACE") != NULL, &r) != 0 &&
                    !takes_long(r.repl->violation);
        }
        qd_mutant_choose(d->of, 0);
        printf("%sok %d - found: %s\n", found ? "" : "not ", ++test, d->name);
        if (found) {
            printf("# after %llu schedules%s%s: %s\n", (unsigned long long)(s - from),
                   d->scenario ? " of " : "", d->scenario ? d->scenario : "", r.repl->violation);
        }
        missed += !found;
    }
    printf("1..%d\n", test);
    return missed || !test;
}

static int one_scenario(const char *name)
{
    uint64_t ran, digest = 0, seed = number("SEED", 0);
    for (size_t i = 0; cluster_scenario_at(i); i++) {
        const cluster_scenario *s = cluster_scenario_at(i);
        if (strcmp(s->name, name) != 0) continue;
        uint64_t bad = schedules(name, seed ? seed : number("FROM", 1),
                                 seed ? 1 : number("SEEDS", 20), 5, NULL, &ran, &digest);
        printf("%sok 1 - %s: %s\n1..1\n", bad ? "not " : "", name, s->what);
        return bad != 0;
    }
    fprintf(stderr, "there is no scenario %s; --list names them\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t one = number("SEED", 0), seeds = number("SEEDS", SHORT), from = number("FROM", 1), ran;
    uint64_t digest = 0;
    bool same = true, suite = !getenv("SEEDS");
    int failed = 0, test = 0, low = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; cluster_scenario_at(i); i++) {
            printf("%-28s %s\n", cluster_scenario_at(i)->name, cluster_scenario_at(i)->what);
        }
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--defects") == 0) {
        return find_defects(argc > 2 ? argv[2] : NULL);
    }
    if (argc > 2 && strcmp(argv[1], "--scenario") == 0) return one_scenario(argv[2]);
    if (one) {
        uint64_t bad = schedules(NULL, one, 1, 1, NULL, &ran, &digest);
        printf("%sok 1 - schedule %llu\n1..1\n", bad ? "not " : "", (unsigned long long)one);
        return bad != 0;
    }
    uint64_t bad = schedules(NULL, from, seeds, number("STOP", 5), &same, &ran, &digest);
    if (getenv("DIGEST")) {
        printf("# digest %llx\n", (unsigned long long)digest);
        return bad != 0;
    }
    bool full = ran >= SHARED;
    share(ran, &low);
    printf("%sok %d - %llu schedules hold\n", bad ? "not " : "", ++test, (unsigned long long)ran);
    printf("%sok %d - two runs of a seed are the same\n", same ? "" : "not ", ++test);
    if (full) {
        printf("%sok %d - each kind of event is in more than %.0f %% of them\n", low ? "not " : "",
               ++test, LEAST_SHARE);
    }
    failed += bad || !same || (full && low);
    if (suite) {
        digest = 0;
        (void)schedules(NULL, 1, SHORT < 50 ? 1 : 5, 5, NULL, &ran, &digest);
        bool also = replays(argv[0], 1, SHORT < 50 ? 1 : 5, digest);
        printf("%sok %d - also in another process with another environment\n", also ? "" : "not ",
               ++test);
        failed += !also;
    }
    for (size_t i = 0; suite && EACH && cluster_scenario_at(i); i++) {
        const cluster_scenario *s = cluster_scenario_at(i);
        bad = schedules(s->name, 1, EACH, 1, NULL, &ran, &digest);
        printf("%sok %d - %s: %s\n", bad ? "not " : "", ++test, s->name, s->what);
        failed += bad != 0;
    }
    printf("1..%d\n", test);
    return failed != 0;
}
