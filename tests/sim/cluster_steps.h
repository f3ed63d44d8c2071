/* cluster_steps.h: what named schedules are made of. */
#ifndef QD_TESTS_CLUSTER_STEPS_H
#define QD_TESTS_CLUSTER_STEPS_H

#include "cluster_int.h"

/* Another leader of the store is found by its silence after so long, and things wait so many times
 * longer: masters notice at once, a Lease has to run out. */
#ifdef CLUSTER_K8S
#define CLUSTER_PATIENCE 3
#define LEASE_MS 22000
#else
#define CLUSTER_PATIENCE 1
#define LEASE_MS 0
#endif

/* Time passes. */
void pass(cluster *x, uint64_t milliseconds);
/* Waits for something, which must come. */
void until(cluster *x, bool (*done)(cluster *x), uint64_t milliseconds, const char *what);
void expect(cluster *x, bool holds, const char *what);
/* For until: a node leads the store; a primary serves; the cluster is green; no process is there.
 */
bool leads(cluster *x);
bool serves(cluster *x);
bool is_green(cluster *x);
bool all_down(cluster *x);
/* Ends a node until it is let back. */
void down(cluster *x, int id, bool power);
void back(cluster *x, int id, uint64_t milliseconds);
int some_other(cluster *x, int than);
/* A node without a copy. */
int free_node(cluster *x);
/* Acknowledged writes so far. */
uint64_t acked(const cluster *x);
int primary(cluster *x);
/* No more writes fit into the model of a log. */
bool log_full(cluster *x);

#endif
