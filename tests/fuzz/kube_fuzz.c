/*
 * kube_fuzz.c: what the Kubernetes client reads from outside: kubeconfigs, watches in chunks,
 * reviews of rights, answers. The first byte chooses. What a good file says has to hold.
 */
#include "heap.h"
#include <kube/config.h>
#include <kube/rules.h>
#include <kube/watch.h>
#include <stdlib.h>
#include <string.h>

static kube_timers timers;
static int64_t now;
static int64_t mono_ns(void *arg)
{
    (void)arg;
    return now;
}
static uint64_t random_of(void *arg)
{
    (void)arg;
    return 4;
}
static void timer_set(void *arg, kube_timer *t, int64_t at)
{
    (void)arg;
    kube_timers_set(&timers, t, at);
}
static void timer_clear(void *arg, kube_timer *t)
{
    (void)arg;
    kube_timers_clear(&timers, t);
}
static const kube_env env = {.mem = &mem,
                             .mono_ns = mono_ns,
                             .random = random_of,
                             .timer_set = timer_set,
                             .timer_clear = timer_clear};

/* --- kubeconfigs --- */

typedef struct input {
    const uint8_t *p;
    size_t n;
} input;

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

/* The file itself is the input; files that it names hold a certificate and a key. */
static int32_t read_file(void *arg, const kube_env *e, const char *path, size_t max, char **out,
                         size_t *n)
{
    static const char pem[] = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
    const input *in = arg;
    (void)max;
    if (strcmp(path, "/k/config") == 0) {
        *n = in->n;
        *out = kube_copy(e, (const char *)in->p, in->n);
    } else {
        *n = sizeof pem - 1;
        *out = kube_copy(e, pem, *n);
    }
    return *out ? 0 : QD_E_NOMEM;
}

static void config(const uint8_t *p, size_t n)
{
    input in = {p, n};
    kube_sources from = {&in, variable, read_file};
    kube_config c = {0};
    kube_error err = {""};
    if (kube_config_files(&env, &from, "/k/config", NULL, &c, &err)) {
        if (!err.text[0] || c.server) __builtin_trap();
        return;
    }
    if (!c.server || !c.ns || !c.source || (!c.cert_pem) != (!c.key_pem)) __builtin_trap();
    if (strncmp(c.server, "http", 4) != 0 || strpbrk(c.server, " \r\n")) __builtin_trap();
    if (c.token && strpbrk(c.token, " \r\n")) __builtin_trap();
    kube_config_clear(&env, &c);
}

/* --- watches --- */

static kube_exchange *open_now;
static int32_t start(kube_transport *t, kube_exchange *x)
{
    (void)t;
    open_now = x;
    return 0;
}
static int32_t cancel(kube_transport *t, kube_exchange *x)
{
    (void)t;
    if (open_now != x) __builtin_trap();
    open_now = NULL;
    return KUBE_NO_ANSWER;
}
static void on_event(kube_watch *w, int32_t type, json_t *object)
{
    if (type < KUBE_ADDED || type > KUBE_BOOKMARK || !json_is_object(object)) __builtin_trap();
    if (!w->resource_version[0]) __builtin_trap();
}
static void on_relist(kube_watch *w)
{
    (void)kube_watch_resume(w, "1");
}

static void watch(const uint8_t *p, size_t n, size_t step)
{
    kube_transport transport = {start, cancel, NULL};
    kube_client *c = kube_client_make(&env, &transport, NULL);
    kube_watch w = {.group = "quidditch.io",
                    .version = "v1",
                    .plural = "states",
                    .event = on_event,
                    .relist = on_relist};
    if (!c || kube_watch_start(c, &w, "1")) __builtin_trap();
    for (size_t i = 0; i < n; i += step) {
        for (int k = 0; !open_now && k < 10; k++)
            kube_timers_run(&timers, now = kube_timers_next(&timers));
        if (!open_now) __builtin_trap();
        open_now->status = 200;
        open_now->chunk(open_now, (qd_str){(const char *)p + i, n - i < step ? n - i : step});
    }
    kube_watch_stop(&w);
    kube_client_free(c);
    if (timers.first || open_now) __builtin_trap();
}

/* --- reviews and answers --- */

static void review(const uint8_t *p, size_t n)
{
    static const kube_wanted wanted[] = {{"", "pods", "get,create", "a,b"},
                                         {"quidditch.io", "x/status", "update", NULL}};
    kube_rules r = {.ns = "default", .wanted = wanted, .n = 2};
    json_error_t error;
    json_t *answer = json_loadb((const char *)p, n, 0, &error);
    if (answer && kube_rules_compare(&env, &r, answer) == 0 && !r.missing != !r.text)
        __builtin_trap();
    json_decref(answer);
    kube_free(&env, r.text);
}

static void answer(const uint8_t *p, size_t n, int32_t code)
{
    kube_exchange x = {.status = code * 3, .answer = {(const char *)p, n}, .retry_after_ns = -1};
    kube_result r;
    kube_result_read(&r, &x);
    if (r.outcome == KUBE_DONE ? !r.object || r.code < 200 || r.code > 299 : !r.message[0])
        __builtin_trap();
    (void)kube_object_version(r.object);
    kube_result_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 2) return 0;
    switch (p[0] & 3) {
    case 0:
        config(p + 1, n - 1);
        break;
    case 1:
        watch(p + 2, n - 2, (size_t)p[1] + 1);
        break;
    case 2:
        review(p + 1, n - 1);
        break;
    default:
        answer(p + 2, n - 2, p[1]);
        break;
    }
    return 0;
}
