/*
 * node_main.c: seeded schedules of whole nodes, in TAP. Without anything set: SHORT schedules and
 * replays.
 *
 *   SEEDS=100000 FROM=1      so many, from that one on; STOP=5: up to so many that fail
 *   SEED=7 TRACE=1           one of them, told
 *   COORD=memory|raft|k8s    what keeps the state of the cluster, else by seed
 *   --scenes [NAME]          each schedule that is written down (or one), as it is and with its
 * rule broken; TRACE=1
 *   --pairs [NAME]           each pair assertion, by a broken rule that it stops at
 *   COORD=memory|raft|k8s|both  what keeps the state of the cluster, else by seed
 *   --list                   the broken variants
 *   --defects [NAME]         each that is this program's (or one), until it is found, within
 * DEFECT_SEEDS=2000
 */
#include "engine/mutants.h"
#include "engine/pair.h"
#include "node_sim.h"
#include "replication/mutants.h"
#include "still.h"
#include <coordination-common/mutants.h>
#include <coordination-k8s/core/mutants.h>
#include <coordination-raft/consensus/mutants.h>
#include <runtime/env.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define SHORT 12
#else
#define SHORT 500
#endif
#define SHARED 500 /* of fewer schedules, the share of a rare event is chance */
#define LEAST_SHARE 5.0
#define HERE "sim/node"
#define SCENES "sim/node --scenes"
#define SCENE_SEEDS 5
#define PAIR_MOST 60
#define QUICK 10
#define QUICK_MOST 150

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(engine, ENGINE_MUTANTS);
QD_MUTANTS_DEFINE(repl, REPL_MUTANTS);
QD_MUTANTS_DEFINE(coord, COORD_MUTANTS);
QD_MUTANTS_DEFINE(raft, RAFT_MUTANTS);
QD_MUTANTS_DEFINE(k8s, K8S_MUTANTS);

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

static const char *text(const char *name)
{
    const char *v = getenv(name);
    return v ? v : "";
}

typedef struct covered {
    const char *name;
    uint64_t schedules, sum;
} covered;
static covered all[] = {
#define X(name, text) {text, 0, 0},
    NODE_COUNTS(X)
#undef X
};

static void cover(const node_report *r)
{
    const uint64_t v[] = {
#define X(name, text) r->name,
        NODE_COUNTS(X)
#undef X
    };
    for (size_t i = 0; i < QD_COUNT_OF(v); i++) {
        all[i].schedules += v[i] > 0;
        all[i].sum += v[i];
    }
}

static int share(uint64_t ran)
{
    int low = 0;
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        double percent = 100.0 * (double)all[i].schedules / (double)ran;
        printf("# %-44s in %5.1f %% of schedules, %llu in all\n", all[i].name, percent,
               (unsigned long long)all[i].sum);
        low += percent < LEAST_SHARE;
    }
    return low;
}

static uint64_t schedules(uint64_t from, uint64_t n, uint64_t stop, bool *same, uint64_t *ran,
                          uint64_t *digest)
{
    uint64_t bad = 0;
    *ran = 0;
    for (uint64_t s = from; s < from + n; s++) {
        node_report r, again;
        int rc = node_sim_run(s, getenv("TRACE") != NULL, &r);
        ++*ran;
        cover(&r);
        *digest = *digest * 0x9e3779b97f4a7c15ull + r.digest;
        if (rc) {
            printf("# SEED=%llu: %s\n", (unsigned long long)s, r.violation);
            if (++bad >= stop) break;
        }
        if (same && s % 50 == 1) {
            (void)node_sim_run(s, false, &again);
            *same &= again.digest == r.digest;
        }
    }
    return bad;
}

static bool replays(const char *self, uint64_t from, uint64_t n, uint64_t digest)
{
    char command[600], line[200];
    unsigned long long other = 0;
    snprintf(command, sizeof command,
             "env -i SEEDS=%llu FROM=%llu COORD=%.10s DIGEST=1 PADDING=%0200d %s",
             (unsigned long long)n, (unsigned long long)from, text("COORD"), 7, self);
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
    const char *name, *where, *test;
    uint64_t after;
} defect;
static const defect defects[] = {
#define DEFECT(set, name, where, test, after)                                                      \
    {&qd_mutants_##set, QD_MUTANT_NUMBER(set, name), #name, where, test, after},
#include "node_defects.def"
#undef DEFECT
};

/* A defect is found by what is wrong, not by what takes long. */
static bool takes_long(const char *violation)
{
    static const char *const texts[] = {"not green",    "no index",       STILL,
                                        "does not end", "does not reach", "does not come to"};
    if (strstr(violation, "it had been made durable")) return false; /* gone, not late */
    for (size_t i = 0; i < QD_COUNT_OF(texts); i++)
        if (strstr(violation, texts[i])) return true;
    return false;
}

/* What the process of a defect tells of each schedule. */
typedef struct said {
    uint64_t seed;
    bool found;
    char pair[32]; /* that was broken */
    char violation[700];
} said;

static int pair_to;

/* Of the process of a defect. */
static void pair_broken(const char *name)
{
    said x = {.seed = 0, .found = true};
    snprintf(x.pair, sizeof x.pair, "%s", name);
    ssize_t n = write(pair_to, &x, sizeof x);
    _exit(n == sizeof x ? 0 : 1);
}

static void look_for(const defect *d, const node_scene *scene, uint64_t from, uint64_t most, int to)
{
    node_report r;
    bool traced = getenv("TRACE") != NULL;
    qd_mutant_choose(d->of, d->number);
    if (scene && scene->beside_of) qd_mutant_choose_beside(scene->beside_of, scene->beside);
    for (uint64_t s = from; s < from + most; s++) {
        said x = {.seed = s};
        int rc = scene ? node_scene_run(scene, s, traced, &r) : node_sim_run(s, traced, &r);
        x.found = rc && !takes_long(r.violation);
        memcpy(x.violation, r.violation, sizeof x.violation);
        if (write(to, &x, sizeof x) != sizeof x || x.found) break;
    }
}

/* In a process of its own, as an assertion of the product may end it: that finds it, too. */
static bool find_defect(const defect *d, const node_scene *scene, const char *pair, uint64_t most,
                        int test)
{
    uint64_t from = scene ? 1 : number("FROM", 1), ran = 0;
    said x = {.found = false};
    int ends[2], status = 0;
    fflush(stdout);
    if (pipe(ends)) abort();
    pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        close(ends[0]);
        pair_to = ends[1];
        qd_pair_broken = pair ? pair_broken : NULL;
        qd_pairs = pair ? QD_PAIRS_ON : QD_PAIRS_OFF;
        look_for(d, scene, from, most, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    while (!x.found && read(ends[0], &x, sizeof x) == sizeof x) {
        ran++;
        if (!x.found && x.violation[0])
            printf("# does not count: SEED=%llu %s\n", (unsigned long long)x.seed, x.violation);
    }
    close(ends[0]);
    (void)waitpid(child, &status, 0);
    if (pair) {
        bool here = strcmp(x.pair, pair) == 0;
        printf("%sok %d - %s stops at the pair %s\n", here ? "" : "not ", test, d->name, pair);
        if (here) printf("# in schedule %llu\n", (unsigned long long)ran);
        if (!here) printf("# it stops at [%s], %s\n", x.pair, x.violation);
        return here;
    }
    bool crashed = !x.found && ran < most;
    printf("%sok %d - found: %s (%s)\n", x.found || crashed ? "" : "not ", test, d->name, d->where);
    if (crashed) {
        printf("# after %llu schedules: the process ends with status %d\n",
               (unsigned long long)ran + 1, status);
    } else {
        printf("# after %llu schedules%s%s\n", (unsigned long long)ran, x.found ? ": " : "",
               x.found ? x.violation : "");
    }
    return x.found || crashed;
}

static int find_defects(const char *name)
{
    int test = 0, missed = 0;
    for (size_t i = 0; i < QD_COUNT_OF(defects); i++) {
        const defect *d = &defects[i];
        if (name ? strcmp(name, d->name) != 0 : strcmp(d->test, HERE) != 0) continue;
        missed += !find_defect(d, NULL, NULL, number("DEFECT_SEEDS", 2000), ++test);
    }
    printf("1..%d\n", test);
    return missed || !test;
}

/* Those that few schedules find, whatever mix of faults the seeds have become since. */
static int find_quick(int *test)
{
    int missed = 0;
    for (size_t i = 0; i < QD_COUNT_OF(defects); i++) {
        const defect *d = &defects[i];
        if (strcmp(d->test, HERE) != 0 || !d->after || d->after > QUICK) continue;
        missed += !find_defect(d, NULL, NULL, QUICK_MOST, ++*test);
    }
    return missed;
}

/* --- scenes ----------------------------------------------------------------------------------- */

static const defect *defect_of(const char *name)
{
    for (size_t i = 0; i < QD_COUNT_OF(defects); i++)
        if (strcmp(defects[i].name, name) == 0) return &defects[i];
    return NULL;
}

static const node_scene *scene_of(const char *name)
{
    for (size_t i = 0; i < node_scenes_n; i++)
        if (strcmp(node_scenes[i].rule, name) == 0) return &node_scenes[i];
    return NULL;
}

static bool scene_holds(const node_scene *scene, int test)
{
    node_report r;
    bool bad = false;
    if (scene->beside_of) qd_mutant_choose_beside(scene->beside_of, scene->beside);
    for (uint64_t s = 1; s <= SCENE_SEEDS && !bad; s++)
        bad = node_scene_run(scene, s, getenv("TRACE") != NULL, &r);
    if (scene->beside_of) qd_mutant_choose(scene->beside_of, 0);
    printf("%sok %d - the scene of %s holds\n", bad ? "not " : "", test, scene->rule);
    if (bad) printf("# %s\n", r.violation);
    return !bad;
}

/* Each scene with its rule as it is, and broken; every rule that the table leaves to a scene has
 * one. */
static int find_scenes(const char *name, int *test)
{
    int failed = 0;
    for (size_t i = 0; i < node_scenes_n; i++) {
        const node_scene *scene = &node_scenes[i];
        const defect *d = defect_of(scene->rule);
        if (name && strcmp(name, scene->rule) != 0) continue;
        if (!d) abort();
        failed += !scene_holds(scene, ++*test);
        failed += !find_defect(d, scene, NULL, SCENE_SEEDS, ++*test);
    }
    for (size_t i = 0; i < QD_COUNT_OF(defects) && !name; i++) {
        bool has = strcmp(defects[i].test, SCENES) != 0 || scene_of(defects[i].name);
        if (!has) printf("not ok %d - %s has no scene\n", ++*test, defects[i].name);
        failed += !has;
    }
    return failed;
}

/* --- pair assertions -------------------------------------------------------------------------- */

static const struct {
    const char *name, *rule;
} pairs[] = {
    {"log.persisted", "PERSISTED_FROM_PROCESSED"},
    {"log.persisted", "APPEND_UNSYNCED"},
    {"copy.confirms", "COPY_ACK_BEFORE_FSYNC"},
    {"copy.confirms", "RESYNC_UNSYNCED"},
    {"copy.confirms", "GAPS_COUNTED"},
    {"copy.recovers", "RECOVERY_UNSYNCED"},
    {"copy.shows", "PUBLISH_UNSHOWN"},
    {"copy.skips", "CHECKPOINT_AHEAD"},
    {"write.ends", "COMMIT_UNSYNCED"},
    {"commit.names", "INSTALL_UNSYNCED"},
    {"log.trims", "TRIM_UNCOVERED"},
    {"log.retains", "LEASE_IGNORED"},
    {"file.goes", "HELD_REMOVED"},
};

static int find_pairs(const char *name, int *test)
{
    int missed = 0;
    for (size_t i = 0; i < QD_COUNT_OF(pairs); i++) {
        const defect *d = defect_of(pairs[i].rule);
        if (name && strcmp(name, pairs[i].name) != 0) continue;
        if (!d) abort();
        const node_scene *scene = strcmp(d->test, SCENES) == 0 ? scene_of(d->name) : NULL;
        missed += !find_defect(d, scene, pairs[i].name, PAIR_MOST, ++*test);
    }
    return missed;
}

int main(int argc, char **argv)
{
    uint64_t one = number("SEED", 0), seeds = number("SEEDS", SHORT), from = number("FROM", 1), ran;
    uint64_t digest = 0;
    bool same = true, suite = !getenv("SEEDS");
    int failed = 0, test = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < QD_COUNT_OF(defects); i++)
            printf("%-28s %-18s %s\n", defects[i].name, defects[i].where, defects[i].test);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--defects") == 0) {
        return find_defects(argc > 2 ? argv[2] : NULL);
    }
    if (argc > 1 && strcmp(argv[1], "--pairs") == 0) {
        failed = find_pairs(argc > 2 ? argv[2] : NULL, &test);
        printf("1..%d\n", test);
        return failed || !test;
    }
    if (argc > 1 && strcmp(argv[1], "--scenes") == 0) {
        failed = find_scenes(argc > 2 ? argv[2] : NULL, &test);
        printf("1..%d\n", test);
        return failed || !test;
    }
    if (one) {
        uint64_t bad = schedules(one, 1, 1, NULL, &ran, &digest);
        printf("%sok 1 - schedule %llu\n1..1\n", bad ? "not " : "", (unsigned long long)one);
        return bad != 0;
    }
    uint64_t bad = schedules(from, seeds, number("STOP", 5), suite ? &same : NULL, &ran, &digest);
    if (getenv("DIGEST")) {
        printf("# digest %llx\n", (unsigned long long)digest);
        return bad != 0;
    }
    int low = share(ran);
    printf("%sok %d - %llu schedules hold\n", bad ? "not " : "", ++test, (unsigned long long)ran);
    failed += bad != 0;
    if (ran >= SHARED && !*text("COORD")) {
        printf("%sok %d - each kind of event is in more than %.0f %% of them\n", low ? "not " : "",
               ++test, LEAST_SHARE);
        failed += low != 0;
    }
    if (suite) {
        printf("%sok %d - two runs of a seed are the same\n", same ? "" : "not ", ++test);
        digest = 0;
        (void)schedules(1, 5, 5, NULL, &ran, &digest);
        bool also = replays(argv[0], 1, 5, digest);
        printf("%sok %d - also in another process with another environment\n", also ? "" : "not ",
               ++test);
        failed += !same || !also;
        failed += find_quick(&test) != 0;
        failed += find_scenes(NULL, &test) != 0;
        failed += find_pairs(NULL, &test) != 0;
    }
    printf("1..%d\n", test);
    return failed != 0;
}
