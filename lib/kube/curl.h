/*
 * curl.h: the real transport: libcurl on the owner's libuv loop, HTTP/1.1 with pooled connections,
 * TLS by the configuration, bearer tokens re-read as they rotate; and timers on the same loop.
 */
#ifndef KUBE_CURL_H
#define KUBE_CURL_H

#include "config.h"
#include "transport.h"
#include <uv.h>

/* A kube_env on a uv loop: its timers are one uv_timer. */
typedef struct kube_loop {
    kube_env env; /* pass &loop->env to everything */
    uv_loop_t *uv;
    uv_timer_t timer;
    kube_timers timers;
    /* What clock, random numbers and log come from. */
    void *arg;
    int64_t (*mono_ns)(void *arg);
    uint64_t (*random)(void *arg);
    void (*log)(void *arg, int32_t level, qd_str line); /* may be NULL */
    void (*closed)(void *arg);
    void *closed_arg;
} kube_loop;
/* Fills env from the members uv, env.mem, env.self, arg, mono_ns, random and log, which are set
 * before. */
void kube_loop_init(kube_loop *l);
/* No timer fires any more; closed comes when the memory may go. */
void kube_loop_close(kube_loop *l, void (*closed)(void *arg), void *arg);

typedef struct kube_curl_options {
    uint32_t connections; /* kept open at most; 0: 16 */
    int64_t connect_ns;   /* 0: 5 s */
} kube_curl_options;
/* A transport to config's server; config and sources are borrowed until closed. NULL: err tells. */
kube_transport *kube_curl_make(const kube_env *env, uv_loop_t *uv, const kube_config *config,
                               const kube_sources *from, const kube_curl_options *options,
                               kube_error *err);

#endif
