/*
 * loop.h: event loops: one thread, one libuv loop, timers, and work posted from any thread.
 *
 * A loop never blocks. Posts and timers are structs embedded by the caller: nothing is allocated,
 * and a stopped timer may be freed at once. Posts run in the order in which they arrived; each turn
 * runs those that had arrived when it began. Sockets are net's, over qd_loop_uv.
 */
#ifndef QD_RUNTIME_LOOP_H
#define QD_RUNTIME_LOOP_H

#include "runtime/env.h"
#include <stdatomic.h>

typedef struct qd_loop qd_loop;

/* Work for a loop; embedded by the caller, untouched from post until fn runs, which may free it. */
typedef struct qd_post {
    struct qd_post *next;
    void (*fn)(struct qd_post *post);
    void *user; /* the caller's */
} qd_post;

/* A timer of one loop; embedded by the caller. */
typedef struct qd_timer {
    qd_loop *loop;
    void (*fn)(struct qd_timer *timer);
    void *user; /* the caller's */
    uint64_t due_ns, period_ns;
    uint64_t order; /* of starting, between equal times */
    uint32_t slot;  /* in the loop's heap, + 1; 0 = not running */
} qd_timer;

/* Opens a loop that does not run yet; name is copied. 0, QD_E_NOMEM or QD_E_IO. [any] */
QD_MUST_CHECK
int qd_loop_open(qd_env *env, const char *name, qd_loop **out, qd_err *err);
/* Starts a thread that runs the loop. 0 or as qd_thread_start. [any] */
QD_MUST_CHECK
int qd_loop_start(qd_loop *loop, qd_err *err);
/* Runs the loop on the calling thread until qd_loop_stop. For the main thread. */
void qd_loop_run(qd_loop *loop);
/* Asks a running loop to return after what was posted before has run. [any] */
void qd_loop_stop(qd_loop *loop);
/* Stops it if it runs, joins its thread, runs what is still posted, frees it. Handles of net must
 * be closed before. Not from the loop itself. [any] */
void qd_loop_close(qd_loop *loop);
/* Runs post->fn on the loop's thread soon; never at once. [any] */
void qd_loop_post(qd_loop *loop, qd_post *post);
/* Is the caller the loop's thread? [any] */
bool qd_loop_here(const qd_loop *loop);
/* The env the loop belongs to. [any] */
qd_env *qd_loop_env(const qd_loop *loop);
/* Its name. [any] */
const char *qd_loop_name(const qd_loop *loop);
/* Time at the start of this turn, of the monotonic clock, without a system call. [loop] */
uint64_t qd_loop_now_ns(const qd_loop *loop);
/* The libuv loop behind it, for net alone; NULL in simulation. [loop] */
struct uv_loop_s *qd_loop_uv(qd_loop *loop);
/* uv_version() of the libuv in this process, for plugins that run loops of their own. [any] */
uint32_t qd_loop_uv_version(void);
/* Asks every loop of this process that has a thread of its own to turn once more. Have all turned
 * that were asked the last time? If not, the name of one that has not. Never waits; for one caller
 * at a time, who leaves time between two calls. [any] */
bool qd_loops_turn(char stuck[64]);
/* Calls fn(user) at the end of each turn that did anything, to send what was gathered; at most 8 a
 * loop, before it runs. */
void qd_loop_on_turn(qd_loop *loop, void (*fn)(void *user), void *user);

/* Prepares a timer that calls fn on the loop. [any] */
void qd_timer_init(qd_timer *t, qd_loop *loop, void (*fn)(qd_timer *timer), void *user);
/* Starts or restarts: first in delay_ns, then each period_ns (0: once). May fire late, never early;
 * the granularity is 1 ms. QD_E_NOMEM when the heap cannot grow. [loop] */
QD_MUST_CHECK
int qd_timer_start(qd_timer *t, uint64_t delay_ns, uint64_t period_ns);
/* Stops it if it runs; fn does not run afterwards and the memory is free again. [loop] */
void qd_timer_stop(qd_timer *t);
/* Is it running? [loop] */
static inline bool qd_timer_running(const qd_timer *t)
{
    return t->slot != 0;
}

/* What _nodes/stats shows of a loop. */
typedef struct qd_loop_stats {
    uint64_t turns, posts, timers_fired;
    uint64_t lag_max_ns; /* longest turn: callbacks of others waited that long */
    uint64_t busy_ns;    /* time in callbacks */
} qd_loop_stats;
/* Reads the counters. [any] */
void qd_loop_stats_get(const qd_loop *loop, qd_loop_stats *out);

#endif
