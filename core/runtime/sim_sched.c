/*
 * sim_sched.c: fibers and the event queue of a simulation. See sim_env.h.
 *
 * A step takes the earliest event; among equal times the seed decides. Fibers are ucontexts on
 * stacks of their own; the driver is the stack that opened the simulation, and it is the only one
 * that turns the queue, so that a fiber always switches back to the same place.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/vec.h"
#include "runtime/sim_int.h"
#include "runtime/sim_sched_int.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define FIBER_ASAN 1
#endif
#endif
#ifndef FIBER_ASAN
#define FIBER_ASAN 0
#endif

#define SIM_MAGIC 0x5153494du
#define STACK_BYTES (FIBER_ASAN ? 4u << 20 : 1u << 20) /* whole requests run on them */
#define GUARD_BYTES 4096u
#define CLOCK_STEP_NS 20u
#define YIELD_MAX_NS 1000000u
#define THAW_MAX_NS 3000000u
#define STUCK_YIELDS 200000u             /* a lock that nobody gives back */
#define WALL_START_US 1767225600000000ll /* 2026-01-01 */

typedef struct event {
    uint64_t at_ns, tie, seq;
    qdi_fiber *fiber; /* resumed if its block still has the number gen */
    uint64_t gen;
    bool timed; /* the end of its wait, by its env's clock */
    void (*fn)(void *arg);
    void *arg;
} event;

struct qdi_fiber {
    qd_sim *sim;
    qdi_sim_env *env; /* whose; NULL: the driver's */
    ucontext_t context;
    void *stack;
    void (*fn)(void *arg);
    void *arg;
    uint64_t number, gen; /* gen counts blocks, so that late wakes are seen */
    uint64_t until_ns;    /* by its env's clock: the end of a wait */
    qd_cond *cond;        /* waited for */
    bool blocked, woken, done, joined;
    uint32_t yields; /* in a row */
    qdi_fiber *next, **link;
};

struct qd_sim {
    uint32_t magic;
    uint64_t seed, now_ns, seq, steps, digest, fibers_made;
    qd_prng prng;
    QD_VEC(event) heap;
    qdi_fiber driver, *here, *fibers;
    qdi_sim_env *last; /* whose fiber the last step ran */
    uint32_t preempt_ppm;
    uint64_t preempt_ns;
    ucontext_t scheduler;
    qdi_sim_env *envs;
    const void *driver_stack; /* for ASan */
    size_t driver_stack_bytes;
};

static _Thread_local qd_sim *current;

static qdi_sim_env *env_of(qd_env *env)
{
    return QD_CONTAINER_OF(env, qdi_sim_env, base);
}

/* --- clocks of an env: they run at a rate of their own, and stand still while it is suspended ---
 */

static uint64_t local_ns(const qdi_sim_env *e, uint64_t now_ns)
{
    uint64_t ran = now_ns > e->behind_ns ? now_ns - e->behind_ns : 0;
    return e->rate == 1.0 ? ran : (uint64_t)((double)ran * e->rate);
}

/* When that env's clock will show until_ns, if it is not suspended before. */
static uint64_t world_ns(const qdi_sim_env *e, uint64_t now_ns, uint64_t until_ns)
{
    uint64_t local = local_ns(e, now_ns);
    if (until_ns <= local) return now_ns;
    if (e->rate == 1.0) return now_ns + (until_ns - local);
    return now_ns + (uint64_t)((double)(until_ns - local) / e->rate) + 1;
}

static void trace(qd_sim *sim, uint64_t a, uint64_t b)
{
    uint64_t v[4] = {sim->digest, sim->now_ns, a, b};
    sim->digest = qd_xxh3(v, sizeof v);
}

/* --- events: a binary heap by (time, tie of the seed, order) -----------------------------------
 */

static bool before(const event *a, const event *b)
{
    if (a->at_ns != b->at_ns) return a->at_ns < b->at_ns;
    return a->tie != b->tie ? a->tie < b->tie : a->seq < b->seq;
}

static int push(qd_sim *sim, event e)
{
    e.tie = qd_prng_u64(&sim->prng);
    e.seq = ++sim->seq;
    if (qd_vec_push(&sim->heap, NULL, e) != 0) return QD_E_NOMEM;
    event *h = sim->heap.at;
    size_t i = sim->heap.n - 1;
    while (i > 0 && before(&e, &h[(i - 1) / 2])) {
        h[i] = h[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h[i] = e;
    return 0;
}

static event pop(qd_sim *sim)
{
    event *h = sim->heap.at, top = h[0], last = h[--sim->heap.n];
    size_t i = 0, n = sim->heap.n;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && before(&h[child + 1], &h[child])) child++;
        if (!before(&h[child], &last)) break;
        h[i] = h[child];
        i = child;
    }
    if (n) h[i] = last;
    return top;
}

int qd_sim_after(qd_sim *sim, uint64_t delay_ns, void (*fn)(void *arg), void *arg)
{
    QD_CHECK(sim, SIM_MAGIC);
    return push(sim, (event){.at_ns = sim->now_ns + delay_ns, .fn = fn, .arg = arg});
}

/* --- fibers -------------------------------------------------------------------------------------
 */

/* Switches stacks and tells ASan about it. leaving: this stack will not be used again. */
static void switch_stack(ucontext_t *from, ucontext_t *to, const void *stack, size_t bytes,
                         bool leaving)
{
#if FIBER_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(leaving ? NULL : &fake, stack, bytes);
    swapcontext(from, to);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#else
    (void)stack;
    (void)bytes;
    (void)leaving;
    swapcontext(from, to);
#endif
}

/* Stacks are kept for the next fibers, as simulations start many; not with ASan, which marks them.
 */
enum { SPARE_STACKS = 512 };
static _Thread_local void *spare_stack[SPARE_STACKS];
static _Thread_local uint32_t spare_stacks;

static void *stack_take(void)
{
    if (spare_stacks) return spare_stack[--spare_stacks];
    void *p = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    mprotect(p, GUARD_BYTES, PROT_NONE);
    return p;
}

static void stack_give(void *p)
{
    if (!FIBER_ASAN && spare_stacks < SPARE_STACKS) {
        spare_stack[spare_stacks++] = p;
    } else {
        munmap(p, STACK_BYTES + GUARD_BYTES);
    }
}

static void fiber_main(void)
{
    qd_sim *sim = current;
    qdi_fiber *f = sim->here;
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(NULL, &sim->driver_stack, &sim->driver_stack_bytes);
#endif
    f->fn(f->arg);
    f->done = true;
    switch_stack(&f->context, &sim->scheduler, sim->driver_stack, sim->driver_stack_bytes, true);
    qd_assert(!"a finished fiber runs again");
}

qdi_fiber *qdi_fiber_start(qd_env *env, void (*fn)(void *arg), void *arg)
{
    qdi_sim_env *owner = env_of(env);
    qd_sim *sim = owner->sim;
    QD_CHECK(sim, SIM_MAGIC);
    qdi_fiber *f = qd_calloc(NULL, sizeof *f);
    if (!f) return NULL;
    f->stack = stack_take();
    if (!f->stack) {
        qd_free(f);
        return NULL;
    }
    f->sim = sim;
    f->env = owner;
    f->fn = fn;
    f->arg = arg;
    f->number = ++sim->fibers_made;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = (char *)f->stack + GUARD_BYTES;
    f->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->context, fiber_main, 0);
    f->blocked = true;
    f->next = sim->fibers;
    f->link = &sim->fibers;
    if (f->next) f->next->link = &f->next;
    sim->fibers = f;
    qdi_fiber_wake(sim, f, 20000);
    return f;
}

static void resume(qd_sim *sim, qdi_fiber *f)
{
    f->blocked = false;
    f->gen++;
    sim->here = f;
    switch_stack(&sim->scheduler, &f->context, (char *)f->stack + GUARD_BYTES, STACK_BYTES, false);
    sim->here = &sim->driver;
}

/* One event; false when there is none. */
static bool step(qd_sim *sim)
{
    qd_assert(sim->here == &sim->driver); /* only the driver turns the queue */
    if (sim->heap.n == 0) return false;
    event e = pop(sim);
    if (e.at_ns > sim->now_ns) sim->now_ns = e.at_ns;
    if (e.fiber && (e.fiber->gen != e.gen || !e.fiber->blocked)) return true; /* late wake */
    if (e.fiber && e.fiber->env && e.fiber->env->frozen_ns > sim->now_ns) {
        e.at_ns = e.fiber->env->frozen_ns + qd_prng_below(&sim->prng, THAW_MAX_NS);
        int rc = push(sim, e);
        qd_assert(rc == 0);
        return true;
    }
    if (e.timed && e.fiber->env && local_ns(e.fiber->env, sim->now_ns) < e.fiber->until_ns) {
        e.at_ns = world_ns(e.fiber->env, sim->now_ns, e.fiber->until_ns); /* it was suspended */
        int rc = push(sim, e);
        qd_assert(rc == 0);
        return true;
    }
    sim->steps++;
    sim->last = e.fiber ? e.fiber->env : NULL;
    trace(sim, e.fiber ? e.fiber->number : 0, e.seq);
    if (!e.fiber)
        e.fn(e.arg);
    else if (e.fiber == &sim->driver)
        sim->driver.blocked = false;
    else
        resume(sim, e.fiber);
    return true;
}

qdi_fiber *qdi_fiber_here(const qd_sim *sim)
{
    return sim->here;
}

bool qdi_fiber_block(qd_sim *sim, uint64_t until_ns)
{
    qdi_fiber *f = sim->here;
    f->woken = false;
    f->blocked = true;
    f->until_ns = until_ns;
    if (until_ns != UINT64_MAX) {
        uint64_t at = until_ns > sim->now_ns ? until_ns : sim->now_ns;
        if (f->env) at = world_ns(f->env, sim->now_ns, until_ns);
        int rc = push(sim, (event){.at_ns = at, .fiber = f, .gen = f->gen, .timed = true});
        qd_assert(rc == 0);
    }
    if (f != &sim->driver) {
        switch_stack(&f->context, &sim->scheduler, sim->driver_stack, sim->driver_stack_bytes,
                     false);
    } else {
        while (f->blocked) {
            bool more = step(sim);
            if (!more)
                fprintf(stderr, "simulation of seed %llu is stuck: all wait for each other\n",
                        (unsigned long long)sim->seed);
            qd_assert(more);
        }
        f->gen++;
    }
    return f->woken;
}

void qdi_fiber_wake(qd_sim *sim, qdi_fiber *f, uint64_t max_delay_ns)
{
    if (!f->blocked || f->woken) return;
    f->woken = true;
    uint64_t delay = max_delay_ns ? qd_prng_below(&sim->prng, max_delay_ns) : 0;
    int rc = push(sim, (event){.at_ns = sim->now_ns + delay, .fiber = f, .gen = f->gen});
    qd_assert(rc == 0);
}

/* Comes back after a short while that grows, for what cannot tell when it is free (locks). */
static void yield(void)
{
    qd_sim *sim = current;
    qdi_fiber *f = sim->here;
    if (++f->yields > STUCK_YIELDS)
        fprintf(stderr, "simulation of seed %llu is stuck: a lock is never given back\n",
                (unsigned long long)sim->seed);
    qd_assert(f->yields <= STUCK_YIELDS);
    uint64_t most = 1000ull << (f->yields < 10 ? f->yields : 10);
    if (most > YIELD_MAX_NS) most = YIELD_MAX_NS;
    uint32_t yields = f->yields;
    uint64_t now = f->env ? local_ns(f->env, sim->now_ns) : sim->now_ns;
    qdi_fiber_block(sim, now + 1 + qd_prng_below(&sim->prng, most));
    f->yields = yields;
}

void qdi_fiber_join(qd_sim *sim, qdi_fiber *f)
{
    qd_assert(!f->joined);
    f->joined = true;
    while (!f->done) yield();
    sim->here->yields = 0;
    /* time-outs of waits that ended earlier are left in the queue: they wake nobody any more */
    for (size_t i = 0; i < sim->heap.n; i++) {
        event *e = &sim->heap.at[i];
        if (e->fiber == f) e->fiber = &sim->driver, e->gen = sim->driver.gen - 1;
    }
    *f->link = f->next;
    if (f->next) f->next->link = f->link;
    stack_give(f->stack);
    qd_free(f);
}

/* --- hooks of sync.h
 * ------------------------------------------------------------------------------ */

static int cond_wait(qd_cond *c, qd_mutex *m, uint64_t until_ns)
{
    qd_sim *sim = current;
    qdi_fiber *f = sim->here;
    f->cond = c;
    qd_mutex_unlock(m);
    bool woken = qdi_fiber_block(sim, until_ns ? until_ns : UINT64_MAX);
    f->cond = NULL;
    f->yields = 0;
    qd_mutex_lock(m);
    f->yields = 0;
    return woken || until_ns == 0 ? 0 : QD_E_TIMEOUT;
}

/* Waiters are looked at in the order of their fibers' making; which one a signal wakes is up to the
 * seed, as it is up to the kernel elsewhere. */
static void cond_wake(qd_cond *c, bool all)
{
    qd_sim *sim = current;
    unsigned waiting = 0, chosen;
    qdi_fiber *d = &sim->driver;
    for (qdi_fiber *f = sim->fibers; f; f = f->next) waiting += f->cond == c && !f->woken;
    waiting += d->cond == c && !d->woken;
    if (waiting == 0) return;
    chosen = all ? 0 : (unsigned)qd_prng_below(&sim->prng, waiting);
    unsigned i = 0;
    for (qdi_fiber *f = sim->fibers; f; f = f->next) {
        if (f->cond != c || f->woken) continue;
        if (all || i == chosen) qdi_fiber_wake(sim, f, 20000);
        i++;
    }
    if (d->cond == c && !d->woken && (all || i == chosen)) qdi_fiber_wake(sim, d, 20000);
}

static const struct qdi_sim_hooks hooks = {yield, cond_wait, cond_wake};

/* --- env
 * ------------------------------------------------------------------------------------------- */

static uint64_t sim_mono_ns(qd_env *env)
{
    qdi_sim_env *e = env_of(env);
    qd_sim *sim = e->sim;
    if (sim->preempt_ppm && sim->here->env && qd_prng_below(&sim->prng, 1000000) < sim->preempt_ppm)
        qdi_fiber_block(sim, local_ns(sim->here->env, sim->now_ns) +
                                 qd_prng_below(&sim->prng, sim->preempt_ns));
    return local_ns(e, sim->now_ns += CLOCK_STEP_NS);
}

static uint64_t sim_boot_ns(qd_env *env)
{
    const qdi_sim_env *e = env_of(env);
    return sim_mono_ns(env) + e->asleep_ns;
}

static int64_t sim_wall_us(qd_env *env)
{
    return env_of(env)->wall_us + (int64_t)(sim_boot_ns(env) / 1000);
}

static void sim_random(qd_env *env, void *out, size_t n)
{
    for (char *p = out; n > 0;) {
        uint64_t v = qd_prng_u64(&env_of(env)->prng);
        size_t k = n < 8 ? n : 8;
        memcpy(p, &v, k);
        p += k;
        n -= k;
    }
}

static void sim_sleep_ns(qd_env *env, uint64_t ns)
{
    const qdi_sim_env *e = env_of(env);
    uint64_t until = local_ns(e, e->sim->now_ns) + ns;
    bool own = e->sim->here->env == e; /* else the clock is that of who sleeps */
    if (!own) until = e->sim->now_ns + ns;
    while ((own ? local_ns(e, e->sim->now_ns) : e->sim->now_ns) < until)
        qdi_fiber_block(e->sim, until);
}

static int sim_thread_start(qd_env *env, const char *name, void (*fn)(void *arg), void *arg,
                            qd_thread **out, qd_err *err)
{
    qdi_fiber *f = qdi_fiber_start(env, fn, arg);
    if (!f) return qd_err_set(err, QD_E_NOMEM, "cannot start the thread [%s]", name);
    *out = (qd_thread *)(void *)f;
    return 0;
}

static void sim_thread_join(qd_env *env, qd_thread *t)
{
    qdi_fiber_join(env_of(env)->sim, (qdi_fiber *)(void *)t);
}

int qd_sim_open(uint64_t seed, qd_sim **out, qd_err *err)
{
    qd_assert(!current);
    qd_sim *sim = qd_calloc(NULL, sizeof *sim);
    if (!sim) return qd_err_nomem(err, "a simulation");
    sim->magic = SIM_MAGIC;
    sim->seed = seed;
    sim->driver.sim = sim;
    sim->here = &sim->driver;
    qd_prng_init(&sim->prng, seed);
    current = sim;
    qdi_sim = &hooks;
    *out = sim;
    return 0;
}

void qd_sim_close(qd_sim *sim)
{
    if (!sim) return;
    QD_CHECK(sim, SIM_MAGIC);
    qd_assert(current == sim && !sim->fibers); /* all threads joined, pools and loops closed */
    for (qdi_sim_env *e = sim->envs, *next; e; e = next) {
        next = e->next;
        qd_free(e);
    }
    qd_vec_fini(&sim->heap);
    current = NULL;
    qdi_sim = NULL;
    sim->magic = 0;
    qd_free(sim);
}

qd_env *qd_sim_env(qd_sim *sim, const char *name)
{
    QD_CHECK(sim, SIM_MAGIC);
    qdi_sim_env *e = qd_calloc(NULL, sizeof *e);
    if (!e) return NULL;
    e->base = (qd_env){
        .magic = QD_ENV_MAGIC,
        .name = name,
        .mono_ns = sim_mono_ns,
        .boot_ns = sim_boot_ns,
        .wall_us = sim_wall_us,
        .random = sim_random,
        .sleep_ns = sim_sleep_ns,
        .thread_start = sim_thread_start,
        .thread_join = sim_thread_join,
        .loop_open = qdi_loop_sim_open,
        .pool_open = qdi_pool_sim_open,
    };
    e->sim = sim;
    e->rate = 1.0;
    e->wall_us = WALL_START_US;
    qd_prng_init(&e->prng, qd_prng_u64(&sim->prng));
    e->next = sim->envs;
    sim->envs = e;
    return &e->base;
}

void qd_sim_wall_jump(qd_env *env, int64_t delta_ms)
{
    env_of(env)->wall_us += delta_ms * 1000;
}

void qd_sim_freeze(qd_env *env, uint64_t until_ns)
{
    qdi_sim_env *e = env_of(env);
    uint64_t now = e->sim->now_ns;
    if (e->stopped && e->frozen_ns > now) { /* woken before its time */
        e->behind_ns -= e->frozen_ns - now;
        if (e->asleep) e->asleep_ns -= e->frozen_ns - now;
    }
    e->stopped = e->asleep = false;
    e->frozen_ns = until_ns;
}

void qd_sim_suspend(qd_env *env, uint64_t until_ns, bool boot)
{
    qdi_sim_env *e = env_of(env);
    qd_sim_freeze(env, until_ns);
    if (until_ns <= e->sim->now_ns) return;
    e->stopped = true;
    e->asleep = boot;
    e->behind_ns += until_ns - e->sim->now_ns;
    if (boot) e->asleep_ns += until_ns - e->sim->now_ns;
}

void qd_sim_preempt(qd_sim *sim, uint32_t ppm, uint64_t max_ns)
{
    sim->preempt_ppm = max_ns ? ppm : 0;
    sim->preempt_ns = max_ns;
}

void qd_sim_rate(qd_env *env, double rate)
{
    env_of(env)->rate = rate;
}

bool qd_sim_thread_ended(const qd_thread *t)
{
    return ((const qdi_fiber *)(const void *)t)->done;
}

qd_env *qd_sim_env_here(const qd_sim *sim)
{
    return sim->here->env ? &sim->here->env->base : NULL;
}

qd_env *qd_sim_env_last(const qd_sim *sim)
{
    return sim->last ? &sim->last->base : NULL;
}

void qd_sim_run_until(qd_sim *sim, uint64_t until_ns)
{
    QD_CHECK(sim, SIM_MAGIC);
    while (sim->heap.n > 0 && sim->heap.at[0].at_ns <= until_ns) step(sim);
    if (sim->now_ns < until_ns) sim->now_ns = until_ns;
}

bool qd_sim_run_idle(qd_sim *sim, uint64_t max_ns)
{
    QD_CHECK(sim, SIM_MAGIC);
    uint64_t end = sim->now_ns + max_ns;
    while (sim->heap.n > 0 && sim->heap.at[0].at_ns <= end) step(sim);
    return sim->heap.n == 0;
}

bool qd_sim_run_while(qd_sim *sim, bool (*more)(void *arg), void *arg, uint64_t max_ns)
{
    QD_CHECK(sim, SIM_MAGIC);
    uint64_t end = sim->now_ns + max_ns;
    while (more(arg)) {
        if (sim->heap.n == 0 || sim->heap.at[0].at_ns > end) return false;
        step(sim);
    }
    return true;
}

uint64_t qd_sim_now_ns(const qd_sim *sim)
{
    return sim->now_ns;
}

qd_prng *qd_sim_prng(qd_sim *sim)
{
    return &sim->prng;
}

void qd_sim_trace(qd_sim *sim, const char *label, uint64_t number)
{
    trace(sim, qd_xxh3(label, strlen(label)), number);
}

uint64_t qd_sim_digest(const qd_sim *sim)
{
    return sim->digest;
}

uint64_t qd_sim_steps(const qd_sim *sim)
{
    return sim->steps;
}

uint64_t qd_sim_seed(const qd_sim *sim)
{
    return sim->seed;
}
