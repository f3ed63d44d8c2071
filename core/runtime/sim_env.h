/*
 * sim_env.h: a simulated world: one thread, a virtual clock, everything random from one seed.
 *
 * Threads, workers of pools and loops are fibers of one scheduler; a run is decided by its seed
 * alone. Code that blocks (conditions, latches, contended locks, sleeps) yields to the other fibers
 * and works as it stands. The code that opened the simulation is its driver: what it waits for
 * makes the scheduler turn. Devices and networks of a test schedule their completions with
 * qd_sim_after.
 *
 * Time goes on by events only, and by 20 ns each time that it is read, so that polling ends. Two
 * runs of one seed give the same qd_sim_digest; a failing test prints its seed and replays.
 */
#ifndef QD_RUNTIME_SIM_ENV_H
#define QD_RUNTIME_SIM_ENV_H

#include "runtime/env.h"

typedef struct qd_sim qd_sim;

/* Opens a simulation on the calling thread (one at a time); until qd_sim_close the locks of this
 * thread are simulated. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sim_open(uint64_t seed, qd_sim **out, qd_err *err);
/* Ends it. Threads, pools and loops of its envs must have been joined and closed. */
void qd_sim_close(qd_sim *sim);
/* A new env of this world, one for each simulated node: own random numbers and wall clock. name is
 * static. Lives until qd_sim_close. NULL when out of memory. */
qd_env *qd_sim_env(qd_sim *sim, const char *name);
/* Moves the wall clock of one env by delta_ms, as an administrator or NTP would. */
void qd_sim_wall_jump(qd_env *env, int64_t delta_ms);
/* Nothing of this env's threads, pools and loops runs until then, as of a process that was stopped;
 * a time in the past lets it go on with what is due from now on. */
void qd_sim_freeze(qd_env *env, uint64_t until_ns);
/* The same of a machine that sleeps (boot: its boot clock goes on) or of one that is taken from its
 * processor with all it has (boot false): its monotonic clock stands still meanwhile, its wall
 * clock too unless boot. */
void qd_sim_suspend(qd_env *env, uint64_t until_ns, bool boot);
/* How fast the clocks of a new env run; 1.0 is the world's pace. Before its first thread. */
void qd_sim_rate(qd_env *env, double rate);
/* From now on a thread that reads a clock loses its processor for up to max_ns in ppm of a million
 * reads: what stands between two statements of the product happens there, too. */
void qd_sim_preempt(qd_sim *sim, uint32_t ppm, uint64_t max_ns);
/* Has a simulated thread come to its end? Joining it does not wait then. [any] */
bool qd_sim_thread_ended(const qd_thread *t);
/* The env of the fiber that runs; NULL: the driver. */
qd_env *qd_sim_env_here(const qd_sim *sim);
/* The env of the fiber that the last step ran; NULL: it ran something between fibers. [driver] */
qd_env *qd_sim_env_last(const qd_sim *sim);

/* Runs what is due until virtual time has reached `until_ns`. [driver] */
void qd_sim_run_until(qd_sim *sim, uint64_t until_ns);
/* Runs until nothing is left to do, timers included, or max_ns of virtual time have passed; true
 * when nothing is left. [driver] */
bool qd_sim_run_idle(qd_sim *sim, uint64_t max_ns);
/* Runs while more(arg), at most max_ns of virtual time; false when time ran out or nothing was left
 * to do. [driver] */
bool qd_sim_run_while(qd_sim *sim, bool (*more)(void *arg), void *arg, uint64_t max_ns);
/* Virtual time since the start, nanoseconds. [any] */
uint64_t qd_sim_now_ns(const qd_sim *sim);
/* Calls fn(arg) delay_ns from now, between fibers: it must not block. 0 or QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_sim_after(qd_sim *sim, uint64_t delay_ns, void (*fn)(void *arg), void *arg);
/* Random numbers of the world: delays, losses, choices of a test. [any] */
qd_prng *qd_sim_prng(qd_sim *sim);

/* Adds to the trace that the digest is made of: label (static) and a number without an address in
 * it. The scheduler adds each of its steps by itself. [any] */
void qd_sim_trace(qd_sim *sim, const char *label, uint64_t number);
/* Digest of all steps so far. [any] */
uint64_t qd_sim_digest(const qd_sim *sim);
/* Steps so far. [any] */
uint64_t qd_sim_steps(const qd_sim *sim);
/* The seed, for messages. [any] */
uint64_t qd_sim_seed(const qd_sim *sim);

#endif
