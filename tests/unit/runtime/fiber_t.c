/* fiber_t.c: work on fibers leaves its worker while it waits, and comes back once. */
#include "base/str.h"
#include "runtime/fiber.h"
#include "runtime/waitq.h"
#include "unit/unit.h"
#include <stdatomic.h>

typedef struct job {
    qd_work work;
    qd_pool *pool;
    qd_latch latch;  /* waited for */
    qd_latch *ended; /* told at the end */
    qd_mutex *under; /* held over the wait; NULL: none */
    qd_task *task;
    int rounds, stops; /* rounds: of the crowd's test */
    int32_t rc;
    uint64_t sum;
} job;

static void wait_once(void *arg)
{
    job *j = arg;
    volatile char far[20000]; /* the stack is its own: it survives the wait */
    for (size_t i = 0; i < sizeof far; i += 1000) far[i] = (char)(i / 1000);
    if (j->under) qd_mutex_lock(j->under);
    j->rc = qd_latch_wait(&j->latch);
    if (j->under) qd_mutex_unlock(j->under);
    for (size_t i = 0; i < sizeof far; i += 1000) j->sum += far[i] == (char)(i / 1000);
    qd_latch_done(j->ended, 0);
}

static void on_fiber(qd_work *w)
{
    job *j = w->user;
    qd_fiber_run(j->pool, wait_once, j);
}

static void told(qd_work *w)
{
    qd_latch_done(w->user, 0);
}

static qd_pool *open_pool(uint32_t threads)
{
    qd_pool *pool;
    assert_int_equal(qd_pool_open(qd_env_system(), "search", threads, UINT32_MAX, &pool, NULL), 0);
    return pool;
}

static void start(job *j, qd_pool *pool, qd_latch *ended, void (*run)(qd_work *w))
{
    *j = (job){.work = {.run = run, .user = j}, .pool = pool, .ended = ended};
    qd_latch_init(&j->latch, 1);
    assert_int_equal(qd_pool_submit(pool, &j->work, NULL), 0);
}

/* What was submitted before it has run, or left its worker, when it returns (one thread). */
static void until_behind(qd_pool *pool)
{
    qd_latch l;
    qd_work w = {.run = told, .user = &l};
    qd_latch_init(&l, 1);
    assert_int_equal(qd_pool_submit(pool, &w, NULL), 0);
    assert_int_equal(qd_latch_wait(&l), 0);
}

static void one_thread_has_many_waiting(void **state)
{
    (void)state;
    enum { N = 8 };
    qd_pool *pool = open_pool(1);
    qd_pool_stats s;
    qd_latch ended;
    job jobs[N];
    qd_latch_init(&ended, N);
    for (int i = 0; i < N; i++) start(&jobs[i], pool, &ended, on_fiber);
    until_behind(pool);
    qd_pool_stats_get(pool, &s);
    assert_int_equal(s.parked, N);
    assert_int_equal(s.threads, 1);
    assert_true(s.completed <= 1); /* the one behind; of the others none has ended */
    for (int i = N; i-- > 0;) qd_latch_done(&jobs[i].latch, i == 3 ? QD_E_IO : 0);
    assert_int_equal(qd_latch_wait(&ended), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].rc, i == 3 ? QD_E_IO : 0);
        assert_int_equal(jobs[i].sum, 20);
    }
    qd_pool_close(pool);
}

static void a_wait_under_a_lock_keeps_its_worker(void **state)
{
    (void)state;
    qd_pool *pool = open_pool(2);
    qd_mutex lock = QD_MUTEX_INIT;
    qd_pool_stats s;
    qd_latch ended;
    job j;
    qd_latch_init(&ended, 1);
    j = (job){.work = {.run = on_fiber, .user = &j}, .pool = pool, .ended = &ended, .under = &lock};
    qd_latch_init(&j.latch, 1);
    assert_int_equal(qd_pool_submit(pool, &j.work, NULL), 0);
    qd_latch_done(&j.latch, 0);
    assert_int_equal(qd_latch_wait(&ended), 0);
    qd_pool_stats_get(pool, &s);
    assert_int_equal(s.parks, 0);
    qd_pool_close(pool);
    qd_mutex_fini(&lock);
}

/* --- stopping --- */

static void stop(void *arg)
{
    job *j = arg;
    j->stops++;
    qd_latch_done(&j->latch, QD_E_CANCELLED); /* as a plugin that ends the read in its cancel */
}

static void wait_stoppable(void *arg)
{
    job *j = arg;
    qd_task *before = qd_fiber_task_set(j->task);
    assert_null(before);
    j->rc = qd_latch_wait_stop(&j->latch, stop, j);
    assert_ptr_equal(qd_fiber_task_set(NULL), j->task);
    qd_latch_done(j->ended, 0);
}

static void on_stoppable_fiber(qd_work *w)
{
    job *j = w->user;
    qd_fiber_run(j->pool, wait_stoppable, j);
}

static void cancelled_and_late_tasks_stop_their_waits(void **state)
{
    (void)state;
    qd_pool *pool = open_pool(1);
    qd_tasks *tasks;
    qd_task cancelled, late;
    qd_latch ended;
    job a, b;
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    qd_task_begin(tasks, &cancelled, "test", QD_STR(""), true);
    qd_task_begin(tasks, &late, "test", QD_STR(""), true);
    qd_task_deadline_in(&late, 1);
    qd_latch_init(&ended, 2);
    a = (job){.work = {.run = on_stoppable_fiber, .user = &a}, .pool = pool, .ended = &ended};
    b = a;
    b.work.user = &b;
    a.task = &cancelled;
    b.task = &late;
    qd_latch_init(&a.latch, 1);
    qd_latch_init(&b.latch, 1);
    assert_int_equal(qd_pool_submit(pool, &a.work, NULL), 0);
    assert_int_equal(qd_pool_submit(pool, &b.work, NULL), 0);
    until_behind(pool);
    assert_true(qd_task_cancel(&cancelled, "by user request"));
    assert_int_equal(qd_latch_wait(&ended), 0);
    assert_int_equal(a.rc, QD_E_CANCELLED);
    assert_int_equal(b.rc, QD_E_CANCELLED);
    assert_int_equal(a.stops, 1);
    assert_int_equal(b.stops, 1);
    assert_int_equal(qd_task_poll(&late), QD_E_TIMEOUT);
    qd_task_end(&cancelled);
    qd_task_end(&late);
    qd_tasks_close(tasks);
    qd_pool_close(pool);
}

/* --- queues of waiters --- */

typedef struct queue_job {
    job j; /* first */
    qd_mutex *lock;
    qd_waitq *q;
    uint64_t until_ns;
    bool with_task;
} queue_job;

static void wait_in_queue(void *arg)
{
    queue_job *x = arg;
    (void)qd_fiber_task_set(x->j.task);
    qd_mutex_lock(x->lock);
    x->j.rc =
        x->with_task ? qd_waitq_wait_task(x->q, x->until_ns) : qd_waitq_wait(x->q, x->until_ns);
    qd_mutex_unlock(x->lock);
    (void)qd_fiber_task_set(NULL);
    qd_latch_done(x->j.ended, 0);
}

static void in_queue_on_fiber(qd_work *w)
{
    queue_job *x = w->user;
    qd_fiber_run(x->j.pool, wait_in_queue, x);
}

static void in_queue_on_thread(qd_work *w)
{
    wait_in_queue(w->user);
}

/* Woken, late, of a task that was cancelled: on fibers of one thread, each gets its own end. */
static void waiters_of_a_queue(void **state)
{
    enum { WOKEN, ALSO_WOKEN, LATE, CANCELLED, DEAF, N };
    (void)state;
    qd_pool *pool = open_pool(1);
    qd_tasks *tasks;
    qd_task task;
    qd_mutex lock = QD_MUTEX_INIT;
    qd_waitq q;
    qd_latch gone, woken;
    qd_pool_stats s;
    queue_job x[N];
    qd_waitq_init(&q, &lock);
    qd_latch_init(&gone, 2);
    qd_latch_init(&woken, N - 2);
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    qd_task_begin(tasks, &task, "test", QD_STR(""), true);
    uint64_t far = qd_env_mono_ns(qd_env_system()) + 600000000000u;
    for (int i = 0; i < N; i++) {
        bool goes = i == LATE || i == CANCELLED;
        x[i] = (queue_job){.j = {.work = {.run = in_queue_on_fiber, .user = &x[i]},
                                 .pool = pool,
                                 .ended = goes ? &gone : &woken,
                                 .task = i >= CANCELLED ? &task : NULL},
                           .lock = &lock,
                           .q = &q,
                           .until_ns = i == LATE    ? 1
                                       : i == WOKEN ? far
                                                    : 0,
                           .with_task = i == CANCELLED || i == WOKEN};
        assert_int_equal(qd_pool_submit(pool, &x[i].j.work, NULL), 0);
    }
    until_behind(pool);
    assert_true(qd_task_cancel(&task, "by user request"));
    assert_int_equal(qd_latch_wait(&gone), 0);
    qd_pool_stats_get(pool, &s);
    assert_int_equal(s.threads, 1);
    assert_int_equal(s.parked, N - 2);
    qd_mutex_lock(&lock);
    qd_waitq_wake(&q);
    qd_mutex_unlock(&lock);
    assert_int_equal(qd_latch_wait(&woken), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(x[i].j.rc, i == LATE || i == CANCELLED ? QD_E_TIMEOUT : 0);
    /* on a thread of its own stack the time ends a wait too */
    qd_latch_init(&gone, 1);
    x[LATE].j.work = (qd_work){.run = in_queue_on_thread, .user = &x[LATE]};
    x[LATE].j.ended = &gone;
    x[LATE].j.rc = 0;
    assert_int_equal(qd_pool_submit(pool, &x[LATE].j.work, NULL), 0);
    assert_int_equal(qd_latch_wait(&gone), 0);
    assert_int_equal(x[LATE].j.rc, QD_E_TIMEOUT);
    assert_null(q.first);
    qd_task_end(&task);
    qd_tasks_close(tasks);
    qd_pool_close(pool);
    qd_mutex_fini(&lock);
}

/* --- a crowd: completions race with leaving, with each other and with the closing pool --- */

enum { CROWD = 300, ROUNDS = 40 };
static job crowd[CROWD];
static _Atomic(job *) mail[CROWD];
static _Atomic int crowd_left;

static void wait_often(void *arg)
{
    job *j = arg;
    for (int r = 0; r < j->rounds; r++) {
        qd_latch_init(&j->latch, 2);
        atomic_store(&mail[j - crowd], j); /* a helper completes it, perhaps before the wait */
        qd_latch_done(&j->latch, 0);
        assert_int_equal(qd_latch_wait(&j->latch), 0);
        j->sum += (uint64_t)r;
    }
    atomic_fetch_sub(&crowd_left, 1);
}

static void on_crowded_fiber(qd_work *w)
{
    job *j = w->user;
    qd_fiber_run(j->pool, wait_often, j);
}

static void complete_mail(void *arg)
{
    (void)arg;
    while (atomic_load(&crowd_left) > 0) {
        for (int i = 0; i < CROWD; i++) {
            job *j = atomic_load(&mail[i]) ? atomic_exchange(&mail[i], NULL) : NULL;
            if (j) qd_latch_done(&j->latch, 0);
        }
    }
}

static void a_crowd_waits_and_ends(void **state)
{
    (void)state;
    qd_thread *helpers[2];
    qd_pool *pool = open_pool(3);
    crowd_left = CROWD;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            qd_thread_start(qd_env_system(), "helper", complete_mail, NULL, &helpers[i], NULL), 0);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (job){
            .work = {.run = on_crowded_fiber, .user = &crowd[i]}, .pool = pool, .rounds = ROUNDS};
        assert_int_equal(qd_pool_submit(pool, &crowd[i].work, NULL), 0);
    }
    qd_pool_close(pool); /* waits for what has left its worker as well */
    for (int i = 0; i < 2; i++) qd_thread_join(qd_env_system(), helpers[i]);
    assert_int_equal(crowd_left, 0);
    for (int i = 0; i < CROWD; i++) assert_int_equal(crowd[i].sum, ROUNDS * (ROUNDS - 1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_has_many_waiting),
        cmocka_unit_test(a_wait_under_a_lock_keeps_its_worker),
        cmocka_unit_test(cancelled_and_late_tasks_stop_their_waits),
        cmocka_unit_test(waiters_of_a_queue),
        cmocka_unit_test(a_crowd_waits_and_ends),
    };
    return unit_run(tests);
}
