/*
 * cluster_uv.h: what the loops and threads of a coordination plugin (cluster_uv.c), and the file of
 * coordination-k8s (cluster_k8s_file.c), ask of the program that simulates its nodes:
 * build/tests/sim/cluster and cluster_k8s (cluster_world.c), build/tests/sim/node (node_coord.c).
 * The folder and disk of coordination-raft: cluster_disk.h.
 */
#ifndef QD_TESTS_CLUSTER_UV_H
#define QD_TESTS_CLUSTER_UV_H

#include "runtime/env.h"

struct qd_sim;

/* The world that runs. */
struct qd_sim *coord_sim(void);
/* Nanoseconds of the clock by which threads of this env wait. */
uint64_t coord_time_ns(qd_env *env);
/* Nanoseconds of uv_hrtime there. */
uint64_t coord_clock_ns(qd_env *env);
/* The schedule fails: a loop of this env turns STILL_LOOP_MOST times without waiting. */
void coord_still(qd_env *env);

/* The machine whose process runs; dying: it was killed. */
int coord_machine(bool *dying);
#define COORD_MACHINES 8 /* they are fewer */
/* By the world's seed. */
bool coord_chance(double p);
uint64_t coord_random(uint64_t below);
/* A sync of that machine takes its time; or failed, as it was to. */
void coord_file_pause(void);
void coord_file_failed(void);

#endif
