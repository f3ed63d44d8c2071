/*
 * kube.h: what every part of the Kubernetes client stands on: memory, time, random numbers, timers
 * and errors, all handed in by the owner. Nothing here reads a clock or a file, so the client runs
 * in a simulation as it does on a machine.
 *
 * One thread: every function of lib/kube is called on the owner's loop, and every callback comes
 * there. Reading order: kube.h, transport.h, client.h, list.h, watch.h, rules.h; config.h and
 * curl.h are for the real world.
 */
#ifndef KUBE_KUBE_H
#define KUBE_KUBE_H

#include <quidditch/plugin.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KUBE_VERSION_MAX = 64,         /* a resourceVersion with its NUL; longer ones are refused */
    KUBE_PATH_MAX = 1024,          /* a path with its query and NUL */
    KUBE_ANSWER_MAX = 16 << 20,    /* of one gathered answer */
    KUBE_WATCH_LINE_MAX = 4 << 20, /* of one event of a watch */
    KUBE_REASON_MAX = 64,
    KUBE_MESSAGE_MAX = 512
};
#define KUBE_SECOND_NS 1000000000ll
/* A member of an object that could not be read whole: true. Writing it back would lose the rest. */
#define KUBE_UNREADABLE "unreadable"

/* A sentence of what failed; it names the file and field, or the request. */
typedef struct kube_error {
    char text[KUBE_MESSAGE_MAX];
} kube_error;

/*
 * A timer, embedded by its owner, who zeroes it, sets fired and user and gives it to
 * kube_env.timer_set. Fires once; it may be set again from inside fired. The other members belong
 * to who keeps the timers (kube_timers below does).
 */
typedef struct kube_timer {
    void (*fired)(struct kube_timer *);
    void *user;
    int64_t at_ns; /* monotonic */
    struct kube_timer *prev, *next;
    int32_t set;
} kube_timer;

/* What the owner hands in; lives longer than everything made with it. No function may fail. */
typedef struct kube_env {
    const qd_svc_mem *mem;
    qd_self *self; /* of mem */
    void *arg;     /* of the functions below */
    int64_t (*mono_ns)(void *arg);
    uint64_t (*random)(void *arg);
    /* (Re)sets a timer to a moment, or to the end of this turn if it has passed: fired is never
     * called from inside timer_set. */
    void (*timer_set)(void *arg, kube_timer *t, int64_t at_ns);
    /* Unset: fired does not come any more. Fine for one that is not set. */
    void (*timer_clear)(void *arg, kube_timer *t);
    /* A line for people, QD_LEVEL_*; may be NULL. */
    void (*log)(void *arg, int32_t level, qd_str line);
} kube_env;

/* Memory of env, not zeroed; NULL when there is none. */
void *kube_alloc(const kube_env *env, size_t n);
/* Zeroed. */
void *kube_calloc(const kube_env *env, size_t n);
/* Grows a block; NULL when there is no memory, and then p lives on. */
void *kube_grow(const kube_env *env, void *p, size_t n);
/* A copy with a NUL behind it; NULL when there is no memory. make: kube_free. */
char *kube_copy(const kube_env *env, const char *p, size_t n);
/* Frees what the above gave; NULL is fine. */
void kube_free(const kube_env *env, void *p);

/* Writes a line through env->log, if there is one. */
void kube_log(const kube_env *env, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets a sentence, cut to its room. err may be NULL. Returns code. */
int32_t kube_fail(kube_error *err, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Timers in order of their moments: the part of a kube_env that a loop and a simulation share. */
typedef struct kube_timers {
    kube_timer *first;
} kube_timers;
/* Sets a timer, behind those of the same moment. */
void kube_timers_set(kube_timers *all, kube_timer *t, int64_t at_ns);
/* Takes it out if it is in. */
void kube_timers_clear(kube_timers *all, kube_timer *t);
/* The moment of the first, INT64_MAX: none. */
int64_t kube_timers_next(const kube_timers *all);
/* Fires those whose moment has come and which were set before this call. */
void kube_timers_run(kube_timers *all, int64_t now_ns);

/* How long to wait before the next attempt: doubles from first_ns to max_ns with attempts (0: the
 * first wait), of which a random half to whole is taken. */
int64_t kube_backoff_ns(const kube_env *env, uint32_t attempts, int64_t first_ns, int64_t max_ns);

#endif
