/*
 * uv.h: in place of libuv's, for the simulation: as much of it as coordination-raft uses, over the
 * simulated world's fibers, and its threads and locks as well. What the plugin has as threads are
 * fibers of its node's env.
 */
#ifndef QD_TESTS_SIM_UV_H
#define QD_TESTS_SIM_UV_H

#include "runtime/sync.h"
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef enum { UV_RUN_DEFAULT, UV_RUN_ONCE, UV_RUN_NOWAIT } uv_run_mode;
enum { SIM_UV_ASYNC = 1, SIM_UV_TIMER, SIM_UV_PREPARE, SIM_UV_IDLE };

/* One kind of struct for all kinds of handles. */
struct uv_handle_s {
    void *data;
    uv_loop_t *loop;
    int type, active, closing, pending;
    uint64_t due_ns;
    void (*fn)(uv_handle_t *);
    void (*closed)(uv_handle_t *);
    uv_handle_t *next;
};
typedef uv_handle_t uv_async_t, uv_timer_t, uv_prepare_t, uv_idle_t;
struct uv_loop_s {
    uv_handle_t *handles;
    qd_env *env;
    qd_mutex lock; /* held while it waits, by nobody else */
    qd_cond wake;
    int woken;
};

uint64_t uv_hrtime(void);
int uv_loop_init(uv_loop_t *l);
int uv_loop_close(uv_loop_t *l);
int uv_run(uv_loop_t *l, uv_run_mode mode);
void uv_update_time(uv_loop_t *l);
int uv_async_init(uv_loop_t *l, uv_async_t *h, void (*fn)(uv_async_t *));
int uv_async_send(uv_async_t *h);
int uv_timer_init(uv_loop_t *l, uv_timer_t *h);
int uv_timer_start(uv_timer_t *h, void (*fn)(uv_timer_t *), uint64_t ms, uint64_t repeat);
int uv_timer_stop(uv_timer_t *h);
int uv_prepare_init(uv_loop_t *l, uv_prepare_t *h);
int uv_prepare_start(uv_prepare_t *h, void (*fn)(uv_prepare_t *));
int uv_idle_init(uv_loop_t *l, uv_idle_t *h);
int uv_idle_start(uv_idle_t *h, void (*fn)(uv_idle_t *));
int uv_idle_stop(uv_idle_t *h);
int uv_is_closing(const uv_handle_t *h);
void uv_close(uv_handle_t *h, void (*closed)(uv_handle_t *));

/* --- threads and locks --- */
int sim_uv_thread(pthread_t *out, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int sim_uv_join(pthread_t t);
#define pthread_mutex_t qd_mutex
#define pthread_mutex_init(m, a) qd_mutex_init(m)
#define pthread_mutex_destroy(m) qd_mutex_fini(m)
#define pthread_mutex_lock(m) qd_mutex_lock(m)
#define pthread_mutex_unlock(m) qd_mutex_unlock(m)
#define pthread_cond_t qd_cond
#define pthread_cond_init(c, a) qd_cond_init(c)
#define pthread_cond_destroy(c) qd_cond_fini(c)
#define pthread_cond_wait(c, m) qd_cond_wait(c, m)
#define pthread_cond_signal(c) qd_cond_signal(c)
#define pthread_create sim_uv_thread
#define pthread_join(t, out) sim_uv_join(t)

#endif
