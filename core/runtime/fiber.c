/*
 * fiber.c: stacks that leave their worker. See fiber.h.
 *
 * A worker switches to a fiber and gets control back when its function has returned or when it
 * parks. What a fiber waits for may come while it is still leaving: it counts as held until the
 * worker, back on its own stack, has told the pool, which then queues it at once. So a fiber is
 * never resumed before its registers are saved.
 */
#include "base/mem.h"
#include "runtime/env_int.h"
#include "runtime/fiber_int.h"
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifndef FIBER_ASAN
#define FIBER_ASAN 0
#endif
#if FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#ifndef FIBER_TSAN
#define FIBER_TSAN 0
#endif
#if FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define STACK_BYTES (FIBER_ASAN || FIBER_TSAN ? (size_t)4 << 20 : (size_t)1 << 20)
#define GUARD_BYTES ((size_t)4096)
#define KEPT_MAX 32u

struct qd_fiber {
    qdi_parked parked; /* first */
    qd_pool *pool;
    void (*fn)(void *arg);
    void *arg;
    char *stack;         /* with its guard below */
    uintptr_t outermost; /* frame, while fn runs */
    ucontext_t context;
    ucontext_t *home; /* of the worker that runs it */
    bool done;
    qd_fiber *next; /* kept */
    void *fake;     /* ASan's */
    const void *home_stack;
    size_t home_bytes;
    void *tsan, *home_tsan;
};

static _Thread_local qd_fiber *now;
static qd_mutex kept_lock = QD_MUTEX_INIT;
static qd_fiber *kept;
static uint32_t nkept;

/* Not inlined: a fiber may come back on another thread, and a compiler may keep the address of a
 * thread's variable over a call. */
__attribute__((noinline)) qd_fiber *qdi_fiber_now(void)
{
    return now;
}

void qdi_fiber_stack(uintptr_t at, uintptr_t *low, uintptr_t *end)
{
    const qd_fiber *f = qdi_fiber_now();
    if (!f) return;
    uintptr_t from = (uintptr_t)f->stack + GUARD_BYTES;
    if (at < from || at >= from + STACK_BYTES) return;
    *low = from;
    *end = f->outermost ? f->outermost + 2 * sizeof f->outermost : at;
}

bool qd_fiber_here(void)
{
    return qdi_fiber_now() != NULL;
}

qd_task *qd_fiber_task_set(qd_task *task)
{
    qd_fiber *f = qdi_fiber_now();
    if (!f) return NULL;
    qd_task *before = f->parked.task;
    f->parked.task = task;
    return before;
}

qd_task *qd_fiber_task(void)
{
    qd_fiber *f = qdi_fiber_now();
    return f ? f->parked.task : NULL;
}

/* --- switching --- */

/* From the fiber to its worker. */
static void leave(qd_fiber *f, bool last)
{
#if FIBER_TSAN
    __tsan_switch_to_fiber(f->home_tsan, 0);
#endif
#if FIBER_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &f->fake, f->home_stack, f->home_bytes);
#else
    (void)last;
#endif
    swapcontext(&f->context, f->home);
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(f->fake, &f->home_stack, &f->home_bytes);
#endif
}

static void fiber_main(void)
{
    qd_fiber *f = qdi_fiber_now();
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(NULL, &f->home_stack, &f->home_bytes);
#endif
    f->outermost = (uintptr_t)__builtin_frame_address(0);
    f->fn(f->arg);
    f->outermost = 0;
    f->done = true;
    leave(f, true);
    qd_assert(!"a finished fiber runs again");
}

static void drop(qd_fiber *f)
{
#if FIBER_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
    munmap(f->stack, STACK_BYTES + GUARD_BYTES);
    qd_free(f);
}

/* Stacks are kept for the next ones: what they touched is warm. */
static void recycle(qd_fiber *f)
{
    qd_mutex_lock(&kept_lock);
    bool keep = nkept < KEPT_MAX;
    if (keep) {
        f->next = kept;
        kept = f;
        nkept++;
    }
    qd_mutex_unlock(&kept_lock);
    if (!keep) drop(f);
}

static qd_fiber *make(void)
{
    qd_mutex_lock(&kept_lock);
    qd_fiber *f = kept;
    if (f) {
        kept = f->next;
        nkept--;
    }
    qd_mutex_unlock(&kept_lock);
    if (f) return f;
    f = qd_calloc(NULL, sizeof *f);
    if (!f) return NULL;
    void *stack = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE) != 0) {
        if (stack != MAP_FAILED) munmap(stack, STACK_BYTES + GUARD_BYTES);
        qd_free(f);
        return NULL;
    }
    f->stack = stack;
#if FIBER_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    return f;
}

/* Runs f on this worker until it ends or parks. */
static void enter(qd_fiber *f)
{
    ucontext_t home;
    f->home = &home;
    now = f;
#if FIBER_TSAN
    f->home_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
#if FIBER_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, f->stack + GUARD_BYTES, STACK_BYTES);
#endif
    swapcontext(&home, &f->context);
#if FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
    now = NULL;
    if (f->done) {
        recycle(f);
        return;
    }
    f->pool->park(f->pool, &f->parked); /* f may be running elsewhere, or gone, from here on */
}

static void go_on(qd_work *work)
{
    enter(QD_CONTAINER_OF(work, qd_fiber, parked.work));
}

/* On its own, as what getcontext returns twice into may lose its locals. */
__attribute__((noinline)) static void prepare(qd_fiber *f)
{
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack + GUARD_BYTES;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    makecontext(&f->context, fiber_main, 0);
}

void qd_fiber_run(qd_pool *pool, void (*fn)(void *arg), void *arg)
{
    QD_CHECK(pool, QDI_POOL_MAGIC);
    qd_fiber *f = pool->park && !qdi_fiber_now() ? make() : NULL;
    if (!f) {
        fn(arg);
        return;
    }
    f->parked = (qdi_parked){.work = {.run = go_on}};
    f->pool = pool;
    f->fn = fn;
    f->arg = arg;
    f->done = false;
    prepare(f);
    enter(f);
}

void qdi_fiber_park(qd_latch *l, uint64_t until_ns, bool task_ends, void (*stop)(void *arg),
                    void *stop_arg)
{
    qd_fiber *f = qdi_fiber_now();
    f->parked.stop = stop;
    f->parked.stop_arg = stop_arg;
    f->parked.until_ns = until_ns;
    f->parked.task_ends = task_ends;
    f->parked.stopped = f->parked.came = false;
    f->parked.held = true;
    l->fiber = f;
    qd_mutex_unlock(&l->m);
    leave(f, false);
}

void qdi_fiber_resume(qd_fiber *f)
{
    f->pool->resume(f->pool, &f->parked);
}
