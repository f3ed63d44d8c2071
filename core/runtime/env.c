/* env.c: the real world behind struct qd_env: system clocks, getrandom, pthread. See env.h. */
#include "runtime/env.h"
#include "base/mem.h"
#include "runtime/crash.h"
#include "runtime/env_int.h"
#include "runtime/stack/sample.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THREAD_STACK_BYTES (8u << 20)
#else
#define THREAD_STACK_BYTES (2u << 20)
#endif

/* Of a thread's stack: what the C library keeps above the first frame, and the guard below. */
#define STACK_SPARE_BYTES (256u << 10)

struct qd_thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;
    int rc = clock_gettime(clock, &ts);
    qd_assert(rc == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t system_mono_ns(qd_env *env)
{
    (void)env;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_boot_ns(qd_env *env)
{
    (void)env;
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t system_wall_us(qd_env *env)
{
    (void)env;
    return (int64_t)(read_clock(CLOCK_REALTIME) / 1000);
}

/* getrandom blocks only before the kernel's pool was ever ready, at boot. */
static void system_random(qd_env *env, void *out, size_t n)
{
    (void)env;
    char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            qd_assert(errno == EINTR);
            continue;
        }
        p += got;
        n -= (size_t)got;
    }
}

static void system_sleep_ns(qd_env *env, uint64_t ns)
{
    (void)env;
    struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u),
                          .tv_nsec = (long)(ns % 1000000000u)};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {}
}

static void *thread_main(void *arg)
{
    struct qd_thread *t = arg;
    pthread_setname_np(pthread_self(), t->name);
    qd_crash_thread_begin();
    qd_sample_thread_begin(__builtin_frame_address(0), THREAD_STACK_BYTES - STACK_SPARE_BYTES);
    t->fn(t->arg);
    qd_crash_thread_end();
    return NULL;
}

static int system_thread_start(qd_env *env, const char *name, void (*fn)(void *arg), void *arg,
                               qd_thread **out, qd_err *err)
{
    (void)env;
    struct qd_thread *t = qd_calloc(NULL, sizeof *t);
    if (!t) return qd_err_nomem(err, "a thread");
    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    /* Signals are the main loop's: every other thread starts with all of them blocked but the ones
     * that a fault of its own raises, and the question for its stack. */
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGPROF);
    sigdelset(&all, qd_sample_signal());
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->id, &attr, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        rc = qd_err_set(err, QD_E_LIMIT, "cannot start the thread [%s]: %s", t->name, strerror(rc));
        qd_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

static void system_thread_join(qd_env *env, qd_thread *t)
{
    (void)env;
    int rc = pthread_join(t->id, NULL);
    qd_assert(rc == 0);
    qd_free(t);
}

qd_env *qd_env_system(void)
{
    static qd_env env = {
        .magic = QD_ENV_MAGIC,
        .name = "system",
        .mono_ns = system_mono_ns,
        .boot_ns = system_boot_ns,
        .wall_us = system_wall_us,
        .random = system_random,
        .sleep_ns = system_sleep_ns,
        .thread_start = system_thread_start,
        .thread_join = system_thread_join,
        .loop_open = qdi_loop_uv_open,
        .pool_open = qdi_pool_threads_open,
    };
    return &env;
}

int qd_thread_start(qd_env *env, const char *name, void (*fn)(void *arg), void *arg,
                    qd_thread **out, qd_err *err)
{
    QD_CHECK(env, QD_ENV_MAGIC);
    return env->thread_start(env, name, fn, arg, out, err);
}

void qd_thread_join(qd_env *env, qd_thread *t)
{
    QD_CHECK(env, QD_ENV_MAGIC);
    env->thread_join(env, t);
}
