/*
 * env.h: the one seam between the core and the outside world: clocks, random bytes, threads, loops
 * and pools are reached through a qd_env, never directly (tests/lint/env.t checks).
 *
 * Two implementations: qd_env_system() (clock_gettime, getrandom, pthread, libuv) and the simulator
 * of sim_env.h (one thread, virtual clock, seeded). Code gets its env as a parameter or from the
 * object that it belongs to and never asks which of the two it is. loop.h, pool.h, sync.h and
 * task.h build on it.
 *
 * Clocks: mono is for durations and deadlines and stands still while the machine sleeps; boot
 * goes on then, for leases; wall is for people and may jump.
 */
#ifndef QD_RUNTIME_ENV_H
#define QD_RUNTIME_ENV_H

#include "base/assert.h"
#include "base/err.h"
#include <quidditch/types.h>

typedef struct qd_env qd_env;
typedef struct qd_thread qd_thread;
struct qd_loop;
struct qd_pool;
struct qd_work;
struct qd_pool_stats;

/* The table. Use the functions below; only implementations fill it. */
struct qd_env {
    uint32_t magic;
    const char *name;
    uint64_t (*mono_ns)(qd_env *env);
    uint64_t (*boot_ns)(qd_env *env);
    int64_t (*wall_us)(qd_env *env);
    void (*random)(qd_env *env, void *out, size_t n);
    void (*sleep_ns)(qd_env *env, uint64_t ns);
    int (*thread_start)(qd_env *env, const char *name, void (*fn)(void *arg), void *arg,
                        qd_thread **out, qd_err *err);
    void (*thread_join)(qd_env *env, qd_thread *t);
    int (*loop_open)(qd_env *env, const char *name, struct qd_loop **out, qd_err *err);
    int (*pool_open)(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max,
                     struct qd_pool **out, qd_err *err);
};
#define QD_ENV_MAGIC 0x51454e56u /* QENV */

/* The real world; one per process, always there. [any] */
qd_env *qd_env_system(void);

/* Nanoseconds of the monotonic clock (CLOCK_MONOTONIC). [any] */
static inline uint64_t qd_env_mono_ns(qd_env *env)
{
    return env->mono_ns(env);
}
/* Nanoseconds since boot, sleep of the machine included (CLOCK_BOOTTIME): for leases. [any] */
static inline uint64_t qd_env_boot_ns(qd_env *env)
{
    return env->boot_ns(env);
}
/* Wall time in milliseconds since 1970; may jump. [any] */
static inline int64_t qd_env_wall_ms(qd_env *env)
{
    return env->wall_us(env) / 1000;
}
/* Wall time in microseconds since 1970; may jump. [any] */
static inline int64_t qd_env_wall_us(qd_env *env)
{
    return env->wall_us(env);
}
/* n bytes fit for keys and ids (getrandom; seeded in simulation). Never fails. [any] */
static inline void qd_env_random(qd_env *env, void *out, size_t n)
{
    env->random(env, out, n);
}
/* 64 random bits: ids, seeds of hash tables that users can feed. [any] */
static inline uint64_t qd_env_random_u64(qd_env *env)
{
    uint64_t v;
    env->random(env, &v, sizeof v);
    return v;
}
/* Holds the calling thread for ns nanoseconds. Never on a loop. [worker] */
static inline void qd_env_sleep_ns(qd_env *env, uint64_t ns)
{
    env->sleep_ns(env, ns);
}

/* Starts a thread that runs fn(arg). name (at most 15 bytes show up in ps) is copied. 0, or
 * QD_E_NOMEM or QD_E_LIMIT with err set. Every thread started is joined once. [any] */
QD_MUST_CHECK
int qd_thread_start(qd_env *env, const char *name, void (*fn)(void *arg), void *arg,
                    qd_thread **out, qd_err *err);
/* Waits for the end of t and frees it. [any] */
void qd_thread_join(qd_env *env, qd_thread *t);

/* A small fast generator for jitter, sampling and tests; never for keys. xoshiro256** seeded by
 * splitmix64 (Blackman and Vigna). One thread at a time. */
typedef struct qd_prng {
    uint64_t s[4];
} qd_prng;
/* Starts the sequence of seed. */
void qd_prng_init(qd_prng *r, uint64_t seed);
/* The next 64 bits. */
uint64_t qd_prng_u64(qd_prng *r);
/* Uniform in [0, n), n > 0 (Lemire's method, unbiased). */
uint64_t qd_prng_below(qd_prng *r, uint64_t n);
/* Uniform in [0, 1). */
double qd_prng_double(qd_prng *r);

#endif
