/*
 * rpc.c: the transport between two nodes of one process over loopback: round trips one after the
 * other (median and 99th percentile), many at a time, and bytes a second of large answers.
 *
 *   build/tests/bench/rpc [seconds of each part, default 2]
 */
#include "unit/lib/rpc_world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONE_TIME 64
#define SAMPLES 2000000u

static world w;
static uint64_t part_ns;

static void echo(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_rpc_reply(r, qd_rpc_request_body(r), (qd_str){NULL, 0});
}

static char large[1 << 20];

static void send_large(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_rpc_reply(r, (qd_str){large, sizeof large}, (qd_str){NULL, 0});
}

static uint64_t now(void)
{
    return qd_env_mono_ns(qd_env_system());
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void one_by_one(const char *what)
{
    uint32_t *ns = malloc(SAMPLES * sizeof *ns), n = 0;
    uint64_t begun = now(), end = begun + part_ns;
    for (uint64_t t = begun; t < end && n < SAMPLES; n++) {
        qd_rpc_call c = {.to = qd_str_c(w.nodes[1].address),
                         .action = QD_ACTION_ECHO,
                         .class = QD_RPC_DATA,
                         .timeout_ms = 10000,
                         .body = QD_STR("0123456789abcdef")};
        if (qd_rpc_call_wait(w.nodes[0].rpc, &c, NULL)) abort();
        qd_rpc_call_fini(&c);
        uint64_t after = now();
        ns[n] = (uint32_t)(after - t);
        t = after;
    }
    double s = (double)(now() - begun) / 1e9;
    qsort(ns, n, sizeof *ns, by_size);
    printf("%-36s %9.0f round trips/s  p50 %6.1f us  p99 %6.1f us\n", what, n / s, ns[n / 2] / 1e3,
           ns[n * 99ull / 100] / 1e3);
    free(ns);
}

static qd_rpc_call flying[AT_ONE_TIME];
static _Atomic uint64_t done, bytes;
static _Atomic bool stop;
static _Atomic uint32_t left;
static qd_rpc_class class;

static void again(qd_rpc_call *c, int rc);

static void launch(qd_rpc_call *c)
{
    *c = (qd_rpc_call){.to = qd_str_c(w.nodes[1].address),
                       .action = QD_ACTION_ECHO,
                       .class = class,
                       .timeout_ms = 10000,
                       .body = QD_STR("0123456789abcdef"),
                       .done = again};
    if (qd_rpc_call_start(w.nodes[0].rpc, c, NULL)) abort();
}

static void again(qd_rpc_call *c, int rc)
{
    if (rc) abort();
    atomic_fetch_add(&bytes, c->answer.n);
    atomic_fetch_add(&done, 1);
    qd_rpc_call_fini(c);
    if (atomic_load(&stop))
        atomic_fetch_sub(&left, 1);
    else
        launch(c);
}

static void many(const char *what, unsigned n)
{
    atomic_store(&done, 0);
    atomic_store(&bytes, 0);
    atomic_store(&stop, false);
    atomic_store(&left, n);
    uint64_t begun = now();
    for (unsigned i = 0; i < n; i++) launch(&flying[i]);
    qd_env_sleep_ns(qd_env_system(), part_ns);
    atomic_store(&stop, true);
    while (atomic_load(&left)) qd_env_sleep_ns(qd_env_system(), 100000);
    double s = (double)(now() - begun) / 1e9;
    printf("%-36s %9.0f round trips/s  %6.0f MB/s\n", what, (double)atomic_load(&done) / s,
           (double)atomic_load(&bytes) / s / 1e6);
}

int main(int argc, char **argv)
{
    part_ns = (uint64_t)((argc > 1 ? atof(argv[1]) : 2.0) * 1e9);
    qd_prng rnd;
    qd_prng_init(&rnd, 1);
    for (size_t i = 0; i < sizeof large; i += 8) {
        uint64_t v = qd_prng_u64(&rnd);
        memcpy(large + i, &v, 8);
    }
    world_open(&w, 0);
    if (world_node_open(&w, 0, NULL, NULL) || world_node_open(&w, 1, NULL, NULL)) return 1;
    if (qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, NULL, 0, echo, NULL, NULL)) return 1;
    one_by_one("one by one, handler on the loop");
    class = QD_RPC_DATA;
    many("64 at one time", AT_ONE_TIME);
    qd_rpc_unhandle(w.nodes[1].rpc, QD_ACTION_ECHO);
    if (qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL)) return 1;
    one_by_one("one by one, handler on a pool");
    qd_rpc_unhandle(w.nodes[1].rpc, QD_ACTION_ECHO);
    if (qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "generic", 0, send_large, NULL, NULL))
        return 1;
    class = QD_RPC_BULK;
    many("answers of 1 MiB, 4 at one time", 4);
    world_close(&w);
    return 0;
}
