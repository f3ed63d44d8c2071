/* loop.c: what every loop does alike: posted work, the timer heap, counters. See loop.h. */
#include "runtime/loop.h"
#include "base/mem.h"
#include "runtime/env_int.h"
#include <sched.h>
#include <stdio.h>

void qdi_loop_init(qd_loop *loop, qd_env *env, const char *name)
{
    loop->magic = QDI_LOOP_MAGIC;
    loop->env = env;
    snprintf(loop->name, sizeof loop->name, "%s", name);
}

void qdi_loop_fini(qd_loop *loop)
{
    for (uint32_t i = 0; i < loop->heap_n; i++) loop->heap[i]->slot = 0;
    qd_free(loop->heap);
    loop->heap = NULL;
    loop->magic = 0;
}

int qd_loop_open(qd_env *env, const char *name, qd_loop **out, qd_err *err)
{
    QD_CHECK(env, QD_ENV_MAGIC);
    return env->loop_open(env, name, out, err);
}

int qd_loop_start(qd_loop *loop, qd_err *err)
{
    QD_CHECK(loop, QDI_LOOP_MAGIC);
    return loop->start(loop, err);
}

void qd_loop_run(qd_loop *loop)
{
    QD_CHECK(loop, QDI_LOOP_MAGIC);
    loop->run(loop);
}

static void stop_arrived(qd_post *post)
{
    qd_loop *loop = QD_CONTAINER_OF(post, qd_loop, stop_post);
    loop->stopped = true;
}

void qd_loop_stop(qd_loop *loop)
{
    QD_CHECK(loop, QDI_LOOP_MAGIC);
    if (atomic_exchange(&loop->stop_asked, true)) return;
    loop->stop_post.fn = stop_arrived;
    qd_loop_post(loop, &loop->stop_post);
}

void qd_loop_close(qd_loop *loop)
{
    if (!loop) return;
    QD_CHECK(loop, QDI_LOOP_MAGIC);
    loop->close(loop);
}

void qd_loop_post(qd_loop *loop, qd_post *post)
{
    /* from the exchange on the post may run, and the loop be closed by who waited for it */
    atomic_fetch_add_explicit(&loop->posting, 1, memory_order_relaxed);
    qd_post *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, post,
                                                    memory_order_release, memory_order_relaxed));
    /* Whoever found the list empty wakes; the others ride along. */
    if (!head) loop->wake(loop);
    atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

void qdi_loop_posters_wait(qd_loop *loop)
{
    while (atomic_load_explicit(&loop->posting, memory_order_acquire)) sched_yield();
}

unsigned qdi_loop_run_posts(qd_loop *loop)
{
    qd_post *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    qd_post *oldest = NULL;
    while (newest) {
        qd_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    unsigned n = 0;
    while (oldest) {
        qd_post *post = oldest;
        oldest = post->next; /* read before fn: it may free post */
        post->next = NULL;
        post->fn(post);
        n++;
    }
    if (n) atomic_fetch_add_explicit(&loop->posts, n, memory_order_relaxed);
    return n;
}

void qdi_loop_end_turn(qd_loop *loop)
{
    atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
    for (unsigned i = 0; i < loop->nturn; i++) loop->turn[i].fn(loop->turn[i].user);
}

void qd_loop_on_turn(qd_loop *loop, void (*fn)(void *user), void *user)
{
    qd_assert(loop->nturn < QDI_TURN_HOOKS_MAX);
    loop->turn[loop->nturn].fn = fn;
    loop->turn[loop->nturn++].user = user;
}

bool qd_loop_here(const qd_loop *loop)
{
    return loop->here(loop);
}
qd_env *qd_loop_env(const qd_loop *loop)
{
    return loop->env;
}
const char *qd_loop_name(const qd_loop *loop)
{
    return loop->name;
}
uint64_t qd_loop_now_ns(const qd_loop *loop)
{
    return loop->now(loop);
}
struct uv_loop_s *qd_loop_uv(qd_loop *loop)
{
    return loop->uv(loop);
}

void qd_loop_stats_get(const qd_loop *loop, qd_loop_stats *out)
{
    out->turns = atomic_load_explicit(&loop->turns, memory_order_relaxed);
    out->posts = atomic_load_explicit(&loop->posts, memory_order_relaxed);
    out->timers_fired = atomic_load_explicit(&loop->timers_fired, memory_order_relaxed);
    out->lag_max_ns = atomic_load_explicit(&loop->lag_max_ns, memory_order_relaxed);
    out->busy_ns = atomic_load_explicit(&loop->busy_ns, memory_order_relaxed);
}

/* --- timers: a binary heap by (due, order of starting); slot is the index + 1 ------------------
 */

static bool before(const qd_timer *a, const qd_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_set(qd_loop *loop, uint32_t i, qd_timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(qd_loop *loop, uint32_t i)
{
    qd_timer *t = loop->heap[i];
    while (i > 0 && before(t, loop->heap[(i - 1) / 2])) {
        heap_set(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(loop, i, t);
}

static void heap_down(qd_loop *loop, uint32_t i)
{
    qd_timer *t = loop->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= loop->heap_n) break;
        if (child + 1 < loop->heap_n && before(loop->heap[child + 1], loop->heap[child])) child++;
        if (!before(loop->heap[child], t)) break;
        heap_set(loop, i, loop->heap[child]);
        i = child;
    }
    heap_set(loop, i, t);
}

static void heap_remove(qd_loop *loop, qd_timer *t)
{
    uint32_t i = t->slot - 1;
    qd_assert(i < loop->heap_n && loop->heap[i] == t);
    qd_timer *last = loop->heap[--loop->heap_n];
    t->slot = 0;
    if (last == t) return;
    heap_set(loop, i, last);
    heap_up(loop, i);
    heap_down(loop, last->slot - 1);
}

static void arm_first(qd_loop *loop)
{
    if (!loop->in_timers) loop->arm(loop, loop->heap_n ? loop->heap[0]->due_ns : UINT64_MAX);
}

void qd_timer_init(qd_timer *t, qd_loop *loop, void (*fn)(qd_timer *timer), void *user)
{
    *t = (qd_timer){.loop = loop, .fn = fn, .user = user};
}

int qd_timer_start(qd_timer *t, uint64_t delay_ns, uint64_t period_ns)
{
    qd_loop *loop = t->loop;
    qd_dassert(qd_loop_here(loop));
    if (t->slot) {
        heap_remove(loop, t);
    } else if (loop->heap_n == loop->heap_cap) {
        uint32_t cap = loop->heap_cap ? loop->heap_cap * 2 : 16;
        qd_timer **heap = qd_realloc(NULL, loop->heap, cap * sizeof(qd_timer *));
        if (!heap) return QD_E_NOMEM;
        loop->heap = heap;
        loop->heap_cap = cap;
    }
    t->due_ns = qd_env_mono_ns(loop->env) + delay_ns;
    t->period_ns = period_ns;
    t->order = ++loop->timer_order;
    loop->heap[loop->heap_n] = t;
    heap_up(loop, loop->heap_n++);
    if (loop->heap[0] == t) arm_first(loop);
    return 0;
}

void qd_timer_stop(qd_timer *t)
{
    if (!t->slot) return;
    qd_dassert(qd_loop_here(t->loop));
    bool first = t->slot == 1;
    heap_remove(t->loop, t);
    if (first) arm_first(t->loop);
}

void qdi_loop_run_timers(qd_loop *loop, uint64_t now_ns)
{
    loop->in_timers = true;
    while (loop->heap_n > 0 && loop->heap[0]->due_ns <= now_ns) {
        qd_timer *t = loop->heap[0];
        if (t->period_ns) {
            /* A late one does not fire several times in a row to catch up. */
            t->due_ns += t->period_ns;
            if (t->due_ns <= now_ns) t->due_ns = now_ns + t->period_ns;
            t->order = ++loop->timer_order;
            heap_down(loop, 0);
        } else {
            heap_remove(loop, t);
        }
        atomic_fetch_add_explicit(&loop->timers_fired, 1, memory_order_relaxed);
        t->fn(t); /* may free t */
    }
    loop->in_timers = false;
    arm_first(loop);
}
