/*
 * allocation.c: the allocator on a large cluster: the time of a round, how even the result is, and
 * that every move helps.
 *   build/tests/bench/allocation [nodes indices primaries replicas zones seed]
 * Without arguments: 1,000 nodes, 10,000 indices, 50,000 primaries with a replica each, three
 * zones.
 */
#include "lib/alloc_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double clock_ms(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_most; /* ms of CPU of the slowest round of a phase */

static double round_ms(alloc_model *m, qd_alloc_result *r)
{
    double t = clock_ms(CLOCK_MONOTONIC), cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    qd_arena a;
    qd_arena_init(&a, &qd_account_general, 0);
    if (qd_allocation_round(&m->view, &a, r, NULL)) exit(1);
    t = clock_ms(CLOCK_MONOTONIC) - t;
    cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (cpu > cpu_most) cpu_most = cpu;
    alloc_model_apply(m, r);
    if (m->broken) {
        printf("BROKEN: %s\n", m->broken);
        exit(1);
    }
    r->decisions = NULL;
    qd_arena_fini(&a);
    return t;
}

static void report(alloc_model *m, const char *what)
{
    double worst = 0, sum = 0, first = 0;
    uint32_t rounds = 0;
    cpu_most = 0;
    uint64_t moves = m->counts[QD_ALLOC_RELOCATE];
    qd_alloc_result r;
    for (;;) {
        double t = round_ms(m, &r);
        if (!rounds) first = t;
        rounds++;
        sum += t;
        if (t > worst) worst = t;
        uint32_t left = alloc_model_finish(m, 100);
        if (!r.n && !left) break;
        if (rounds > 5000) {
            printf("%s: no end after %u rounds\n", what, rounds);
            break;
        }
    }
    alloc_model_spread s = alloc_model_measure(m);
    printf("%-32s %4u rounds; first %6.1f ms, slowest %6.1f ms (CPU %6.1f), mean %6.1f ms; "
           "%5llu moves; shards %.1f a node within %.2f %%, bytes within %.2f %%\n",
           what, rounds, first, worst, cpu_most, sum / rounds,
           (unsigned long long)(m->counts[QD_ALLOC_RELOCATE] - moves), s.shards_mean, s.shards,
           s.bytes);
    fflush(stdout);
}

static uint64_t arg(int argc, char **argv, int i, uint64_t d)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : d;
}

int main(int argc, char **argv)
{
    alloc_model_shape shape = {.nodes = (uint32_t)arg(argc, argv, 1, 1000),
                               .indices = (uint32_t)arg(argc, argv, 2, 10000),
                               .total = (uint32_t)arg(argc, argv, 3, 50000),
                               .replicas = (uint32_t)arg(argc, argv, 4, 1),
                               .replicas_fixed = true,
                               .zones = (uint32_t)arg(argc, argv, 5, 3),
                               .seed = arg(argc, argv, 6, 1),
                               .size_mean = 5ll << 30,
                               .disk = 20ll << 40};
    if (shape.replicas + 3 > ALLOC_MODEL_COPIES || !shape.nodes || !shape.indices) return 2;
    alloc_model m;
    alloc_model_init(&m, &shape);
    printf("%u nodes in %u zones, %u indices, %u primaries with %u replicas each\n", shape.nodes,
           shape.zones, shape.indices, m.view.nshards, shape.replicas);
    m.check_gain = true;
    m.view.settings.node_initial = m.view.settings.node_in = m.view.settings.node_out = 1000000;
    m.view.settings.concurrent_rebalance = -1;
    report(&m, "everything new, no throttling");
    uint32_t lost = shape.nodes / 50 + 1;
    for (uint32_t i = 0; i < lost; i++) alloc_model_kill(&m, i * 7 % shape.nodes);
    report(&m, "2 % of the nodes lost: promotions");
    m.view.now_ms += 3600000;
    report(&m, "an hour later: new replicas");
    for (uint32_t i = 0; i < lost; i++) alloc_model_return(&m, i * 7 % shape.nodes);
    report(&m, "they come back empty: balance");
    m.view.settings.node_initial = 4;
    m.view.settings.node_in = m.view.settings.node_out = 2;
    for (uint32_t i = 0; i < shape.nodes / 100 + 1; i++)
        m.nodes[i * 13 % shape.nodes].leave = QD_ALLOC_REMOVED;
    report(&m, "1 % drained, default throttling");
    for (uint32_t i = 0; i < shape.nodes; i++) m.nodes[i].leave = QD_ALLOC_STAYS;
    report(&m, "the drained return");
    report(&m, "nothing to do");
    alloc_model_fini(&m);
    return 0;
}
