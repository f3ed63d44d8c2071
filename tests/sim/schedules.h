/*
 * schedules.h: what the program of a core's simulation says of its schedules, as TAP. Before it is
 * included: sim_report, a type with violation, at_ns and trace; SIM_RUN(seed, verbose, report), not
 * 0 when something is wrong; SIM_COUNTS, the X-macro of the report's counts.
 */
#ifndef QD_SIM_SCHEDULES_H
#define QD_SIM_SCHEDULES_H

#include <stdio.h>
#include <stdlib.h>

/* A number of the environment. */
static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

/* How often what happened, and in how many schedules. */
static void counts_say(const sim_report *all, const sim_report *in, uint64_t of)
{
#define X(name)                                                                                    \
    printf("# %-20s %12llu in %llu of %llu schedules\n", #name, (unsigned long long)all->name,     \
           (unsigned long long)in->name, (unsigned long long)of);
    SIM_COUNTS(X)
#undef X
}

/* One schedule after the other, as test 1; returns how many were wrong. */
static uint64_t schedules(uint64_t from, uint64_t seeds, sim_report *all, sim_report *in)
{
    uint64_t bad = 0;
    for (uint64_t i = from; i < from + seeds && bad < number("STOP", 5); i++) {
        sim_report r;
        if (SIM_RUN(i, 0, &r)) {
            printf("# SEED=%llu at %.3f ms: %s\n", (unsigned long long)i, (double)r.at_ns / 1e6,
                   r.violation);
            bad++;
        }
#define X(name)                                                                                    \
    all->name += r.name;                                                                           \
    in->name += r.name > 0;
        SIM_COUNTS(X)
#undef X
    }
    printf("%s 1 - %llu schedules from %llu hold\n", bad ? "not ok" : "ok",
           (unsigned long long)seeds, (unsigned long long)from);
    return bad;
}

/* The same seed twice, as test 2; 0: it is not the same schedule. */
static int repeats(uint64_t seed)
{
    sim_report first, again;
    (void)SIM_RUN(seed, 0, &first);
    (void)SIM_RUN(seed, 0, &again);
    int same = first.trace == again.trace;
    printf("%s 2 - a seed is a schedule: trace %016llx\n", same ? "ok" : "not ok",
           (unsigned long long)first.trace);
    return same;
}

/* SEED alone. */
static int one_schedule(uint64_t seed)
{
    sim_report r;
    int bad = SIM_RUN(seed, (int)number("VERBOSE", 0), &r);
    printf("%s 1 - schedule %llu\n# %s\n1..1\n", bad ? "not ok" : "ok", (unsigned long long)seed,
           r.violation);
    return bad;
}

#endif
