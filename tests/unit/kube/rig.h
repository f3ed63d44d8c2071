/* rig.h: a world for the Kubernetes client: time that is set by hand, and a transport whose
 * exchanges the test answers one by one. */
#ifndef QD_TESTS_KUBE_RIG_H
#define QD_TESTS_KUBE_RIG_H

#include "unit/unit.h"
#include <kube/client.h>

enum { RIG_EXCHANGES = 64 };

typedef struct rig {
    kube_env env;
    kube_transport transport;
    kube_timers timers;
    int64_t now;
    uint64_t seed;
    int64_t blocks;
    kube_exchange *open[RIG_EXCHANGES]; /* in order of their starts */
    uint32_t n;
    uint32_t started;
    int32_t refuse;         /* start fails with this */
    int32_t cancel_outcome; /* what cancel tells */
    char log[512];          /* the last line */
} rig;

static inline void *rig_alloc(qd_self *self, size_t n)
{
    rig *w = (rig *)self;
    w->blocks++;
    return malloc(n);
}
static inline void *rig_realloc(qd_self *self, void *p, size_t n)
{
    rig *w = (rig *)self;
    if (!p) w->blocks++;
    return realloc(p, n);
}
/* free of the service has no self */
static int64_t rig_freed;
static inline void rig_free(void *p)
{
    if (p) rig_freed++;
    free(p);
}
static const qd_svc_mem rig_mem = {.alloc = rig_alloc, .realloc = rig_realloc, .free = rig_free};

static inline int64_t rig_now(void *arg)
{
    return ((rig *)arg)->now;
}
static inline uint64_t rig_random(void *arg)
{
    rig *w = arg;
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return w->seed;
}
static inline void rig_timer_set(void *arg, kube_timer *t, int64_t at)
{
    kube_timers_set(&((rig *)arg)->timers, t, at);
}
static inline void rig_timer_clear(void *arg, kube_timer *t)
{
    kube_timers_clear(&((rig *)arg)->timers, t);
}
static inline void rig_log(void *arg, int32_t level, qd_str line)
{
    rig *w = arg;
    (void)level;
    (void)snprintf(w->log, sizeof w->log, "%.*s", (int)line.n, line.p);
}

static inline int32_t rig_start(kube_transport *t, kube_exchange *x)
{
    rig *w = (rig *)((char *)t - offsetof(rig, transport));
    if (w->refuse) return w->refuse;
    assert_true(w->n < RIG_EXCHANGES);
    w->open[w->n++] = x;
    w->started++;
    return 0;
}
static inline void rig_take(rig *w, const kube_exchange *x)
{
    uint32_t i = 0;
    while (i < w->n && w->open[i] != x) i++;
    assert_true(i < w->n);
    memmove(&w->open[i], &w->open[i + 1], (w->n - i - 1) * sizeof w->open[0]);
    w->n--;
}
static inline int32_t rig_cancel(kube_transport *t, kube_exchange *x)
{
    rig *w = (rig *)((char *)t - offsetof(rig, transport));
    rig_take(w, x);
    return w->cancel_outcome;
}

static inline void rig_init(rig *w)
{
    memset(w, 0, sizeof *w);
    rig_freed = 0;
    w->now = 1000 * KUBE_SECOND_NS;
    w->seed = 88172645463325252ull;
    w->cancel_outcome = KUBE_NO_ANSWER;
    w->transport = (kube_transport){rig_start, rig_cancel, NULL};
    w->env = (kube_env){.mem = &rig_mem,
                        .self = (qd_self *)w,
                        .arg = w,
                        .mono_ns = rig_now,
                        .random = rig_random,
                        .timer_set = rig_timer_set,
                        .timer_clear = rig_timer_clear,
                        .log = rig_log};
}
/* Everything was freed. */
static inline void rig_fini(const rig *w)
{
    assert_int_equal(w->n, 0);
    assert_null(w->timers.first);
    assert_int_equal(w->blocks, rig_freed);
}

/* Lets time pass, timer by timer. */
static inline void rig_pass(rig *w, int64_t ns)
{
    int64_t to = w->now + ns;
    while (kube_timers_next(&w->timers) <= to) {
        if (kube_timers_next(&w->timers) > w->now) w->now = kube_timers_next(&w->timers);
        kube_timers_run(&w->timers, w->now);
    }
    w->now = to;
}
/* Ends an exchange. */
static inline void rig_end(rig *w, kube_exchange *x, int32_t outcome, int32_t status,
                           const char *body, int64_t retry_after_ns)
{
    rig_take(w, x);
    x->outcome = outcome;
    x->status = status;
    x->answer = (qd_str){body, strlen(body)};
    x->retry_after_ns = retry_after_ns;
    x->date_ms = 0;
    (void)snprintf(x->why, sizeof x->why, "%s", outcome == KUBE_ANSWERED ? "" : "it broke");
    x->done(x);
}
static inline void rig_answer(rig *w, kube_exchange *x, int32_t status, const char *body)
{
    rig_end(w, x, KUBE_ANSWERED, status, body, -1);
}
static inline void rig_chunk(kube_exchange *x, const char *p, size_t n)
{
    x->status = 200;
    x->chunk(x, (qd_str){p, n});
}

#endif
