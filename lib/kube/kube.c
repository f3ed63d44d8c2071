/* kube.c: see kube.h. */
#include "kube.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void *kube_alloc(const kube_env *env, size_t n)
{
    return env->mem->alloc(env->self, n ? n : 1);
}

void *kube_calloc(const kube_env *env, size_t n)
{
    void *p = kube_alloc(env, n);
    if (p) memset(p, 0, n);
    return p;
}

void *kube_grow(const kube_env *env, void *p, size_t n)
{
    return env->mem->realloc(env->self, p, n ? n : 1);
}

char *kube_copy(const kube_env *env, const char *p, size_t n)
{
    char *to = kube_alloc(env, n + 1);
    if (!to) return NULL;
    if (n) memcpy(to, p, n);
    to[n] = 0;
    return to;
}

void kube_free(const kube_env *env, void *p)
{
    env->mem->free(p);
}

void kube_log(const kube_env *env, int32_t level, const char *format, ...)
{
    char line[1024];
    va_list args;
    if (!env->log) return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0) return;
    env->log(env->arg, level,
             (qd_str){line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1});
}

int32_t kube_fail(kube_error *err, int32_t code, const char *format, ...)
{
    va_list args;
    if (!err) return code;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

void kube_timers_clear(kube_timers *all, kube_timer *t)
{
    if (!t->set) return;
    if (t->prev)
        t->prev->next = t->next;
    else
        all->first = t->next;
    if (t->next) t->next->prev = t->prev;
    t->prev = t->next = NULL;
    t->set = 0;
}

void kube_timers_set(kube_timers *all, kube_timer *t, int64_t at_ns)
{
    kube_timer *before = NULL, **at = &all->first;
    kube_timers_clear(all, t);
    while (*at && (*at)->at_ns <= at_ns) {
        before = *at;
        at = &before->next;
    }
    t->at_ns = at_ns;
    t->prev = before;
    t->next = *at;
    if (t->next) t->next->prev = t;
    *at = t;
    t->set = 1;
}

int64_t kube_timers_next(const kube_timers *all)
{
    return all->first ? all->first->at_ns : INT64_MAX;
}

void kube_timers_run(kube_timers *all, int64_t now_ns)
{
    /* Those that are due are marked first: what they set anew waits for the next turn, and one that
     * is cleared by another is gone. */
    for (kube_timer *t = all->first; t && t->at_ns <= now_ns; t = t->next) t->set = 2;
    for (;;) {
        kube_timer *t = all->first;
        while (t && t->set != 2) t = t->next;
        if (!t) return;
        kube_timers_clear(all, t);
        t->fired(t);
    }
}

int64_t kube_backoff_ns(const kube_env *env, uint32_t attempts, int64_t first_ns, int64_t max_ns)
{
    int64_t wait = first_ns;
    for (uint32_t i = 0; i < attempts && wait < max_ns; i++) wait *= 2;
    if (wait > max_ns) wait = max_ns;
    if (wait < 2) return wait;
    return wait / 2 + (int64_t)(env->random(env->arg) % (uint64_t)(wait - wait / 2 + 1));
}
