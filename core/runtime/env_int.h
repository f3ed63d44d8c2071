/*
 * env_int.h: the parts of loops and pools that the real and the simulated world share.
 */
#ifndef QD_RUNTIME_ENV_INT_H
#define QD_RUNTIME_ENV_INT_H

#include "runtime/loop.h"
#include "runtime/pool.h"

#define QDI_LOOP_MAGIC 0x514c4f50u
#define QDI_POOL_MAGIC 0x51504f4cu
#define QDI_TURN_HOOKS_MAX 8

/* Posts and timers of a loop; how it sleeps and wakes is the implementation's. */
struct qd_loop {
    uint32_t magic;
    qd_env *env;
    char name[32];
    void (*wake)(qd_loop *loop);                 /* any thread */
    void (*arm)(qd_loop *loop, uint64_t due_ns); /* loop's thread; UINT64_MAX = nothing to do */
    int (*start)(qd_loop *loop, qd_err *err);
    void (*run)(qd_loop *loop);
    void (*close)(qd_loop *loop);
    bool (*here)(const qd_loop *loop);
    uint64_t (*now)(const qd_loop *loop);
    struct uv_loop_s *(*uv)(qd_loop *loop);
    _Atomic(qd_post *) posted; /* newest first */
    _Atomic uint32_t posting;  /* threads inside of qd_loop_post: the loop may not be freed */
    qd_post stop_post;
    _Atomic bool stop_asked;
    bool stopped;
    bool in_timers; /* arming waits until all due ones have fired */
    qd_timer **heap;
    uint32_t heap_n, heap_cap;
    uint64_t timer_order;
    struct {
        void (*fn)(void *user);
        void *user;
    } turn[QDI_TURN_HOOKS_MAX];
    unsigned nturn;
    _Atomic uint64_t turns, posts, timers_fired, lag_max_ns, busy_ns;
};

/* Fills the common part. */
void qdi_loop_init(qd_loop *loop, qd_env *env, const char *name);
/* Frees what the common part owns; the heap is empty. */
void qdi_loop_fini(qd_loop *loop);
/* Waits until no thread is inside of qd_loop_post; its posts are there then. */
void qdi_loop_posters_wait(qd_loop *loop);
/* Runs the posts that are there now, in order of arrival; returns how many. */
unsigned qdi_loop_run_posts(qd_loop *loop);
/* Fires the timers due at now and arms the next. */
void qdi_loop_run_timers(qd_loop *loop, uint64_t now_ns);
/* Calls the turn hooks. */
void qdi_loop_end_turn(qd_loop *loop);

/* The env functions of the real world. */
int qdi_loop_uv_open(qd_env *env, const char *name, qd_loop **out, qd_err *err);
int qdi_pool_threads_open(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max,
                          qd_pool **out, qd_err *err);

struct qdi_parked;

struct qd_pool {
    uint32_t magic;
    qd_env *env;
    char name[32];
    int (*submit)(qd_pool *pool, qd_work *work, bool forced);
    void (*close)(qd_pool *pool);
    void (*resize)(qd_pool *pool, uint32_t threads, uint32_t queue_max);
    void (*stats)(qd_pool *pool, qd_pool_stats *out);
    /* Fibers; NULL where threads are fibers themselves. park: on the worker that the fiber left. */
    void (*park)(qd_pool *pool, struct qdi_parked *p);
    void (*resume)(qd_pool *pool, struct qdi_parked *p);
};

#endif
