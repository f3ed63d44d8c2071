/*
 * hot.c: GET /_nodes/hot_threads: which threads of the nodes were busy over a moment, as
 * text. A thread's CPU time comes from the kernel twice; what waits inside a call has none of it.
 * There are no Java stacks to show: a line names the thread, after its pool or loop, and its state.
 */
#include "action/api/admin_int.h"
#include "action/api/node_part.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include "runtime/proc.h"
#include "runtime/waitq.h"
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 1024u
#define THREADS_SHOWN 3
#define INTERVAL_MS 500
#define INTERVAL_MAX_MS 10000

typedef struct hot_request {
    int64_t threads, interval_ms;
    bool idle; /* show those that did nothing too */
} hot_request;

static int parse(const qd_request *q, hot_request *x, qd_err *err)
{
    bool ignore = true;
    qd_str type = qd_param(q, "type");
    *x = (hot_request){THREADS_SHOWN, INTERVAL_MS, false};
    int rc = qd_param_i64(q, "threads", THREADS_SHOWN, &x->threads, err);
    if (!rc && (x->threads < 1 || x->threads > THREADS_MAX))
        rc = qd_err_set(err, QD_E_ARG, "[threads] must be between [1] and [%u]", THREADS_MAX);
    if (!rc) rc = qd_param_ms(q, "interval", INTERVAL_MS, &x->interval_ms, err);
    if (!rc && (x->interval_ms < 1 || x->interval_ms > INTERVAL_MAX_MS))
        rc = qd_err_set(err, QD_E_ARG, "[interval] must be between [1ms] and [10s]");
    if (!rc) rc = qd_param_bool(q, "ignore_idle_threads", true, &ignore, err);
    x->idle = !ignore;
    if (rc || !type.n || qd_str_is(type, "cpu") || qd_str_is(type, "wait") ||
        qd_str_is(type, "block") || qd_str_is(type, "mem") || qd_str_is(type, "gpu"))
        return rc;
    return qd_err_set(err, QD_E_ARG, "type not supported [%.*s]", QD_STR_ARG(type));
}

static int by_cpu(const void *a, const void *b)
{
    uint64_t x = ((const qd_proc_thread *)a)->cpu_ns, y = ((const qd_proc_thread *)b)->cpu_ns;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Leaves in `now` what each thread used since `before`; both are in order of their ids. */
static void subtract(const qd_proc_thread *before, uint32_t nbefore, qd_proc_thread *now,
                     uint32_t n)
{
    for (uint32_t i = 0, k = 0; i < n; i++) {
        while (k < nbefore && before[k].id < now[i].id) k++;
        bool had = k < nbefore && before[k].id == now[i].id;
        now[i].cpu_ns -= had && before[k].cpu_ns <= now[i].cpu_ns ? before[k].cpu_ns : 0;
    }
}

static void write_head(const qd_request *q, const qd_node_meta *n, const hot_request *x, qd_buf *b)
{
    char when[48];
    (void)qd_buf_printf(b, "::: {%.*s}{%.*s}{%.*s}{%.*s}{%.*s}{%.*s}", QD_STR_ARG(n->name),
                        QD_STR_ARG(n->id), QD_STR_ARG(n->ephemeral), QD_STR_ARG(n->host),
                        QD_STR_ARG(n->transport_address), QD_STR_ARG(n->roles));
    for (uint32_t i = 0; i < n->nattributes; i++) {
        (void)qd_buf_printf(b, "%s%.*s=%.*s", i ? ", " : "{", QD_STR_ARG(n->attributes[i].key),
                            QD_STR_ARG(n->attributes[i].value));
    }
    (void)qd_buf_printf(b,
                        "%s\n   Hot threads at %s, interval=%lldms, busiestThreads=%lld, "
                        "ignoreIdleThreads=%s:\n",
                        n->nattributes ? "}" : "", qdi_time_text(qd_env_wall_ms(q->a->env), when),
                        (long long)x->interval_ms, (long long)x->threads,
                        x->idle ? "false" : "true");
}

static void write_threads(const hot_request *x, const qd_proc_thread *t, uint32_t n,
                          uint64_t spent_ns, qd_buf *b)
{
    for (uint32_t i = 0; i < n && i < x->threads; i++) {
        if (!t[i].cpu_ns && !x->idle) break;
        double share = spent_ns ? 100.0 * (double)t[i].cpu_ns / (double)spent_ns : 0;
        if (share > 100) share = 100; /* the kernel counts in ticks */
        (void)qd_buf_printf(b,
                            "   \n   %.1f%% [cpu=%.1f%%, other=0.0%%] (%.1fms out of %.1fms) cpu "
                            "usage by thread '%s' [%lld], state %c\n",
                            share, share, (double)t[i].cpu_ns / 1e6, (double)spent_ns / 1e6,
                            t[i].name, (long long)t[i].id, t[i].state);
    }
    (void)qd_buf_c(b, "\n");
}

/* Lets the moment pass, on a fiber without its worker; the request's end ends it. */
static int let_pass(const qd_request *q, int64_t ms, qd_err *err)
{
    qd_mutex lock;
    qd_waitq nobody; /* wakes it */
    qd_mutex_init(&lock);
    qd_waitq_init(&nobody, &lock);
    qd_mutex_lock(&lock);
    (void)qd_waitq_wait_task(&nobody, qd_env_mono_ns(q->a->env) + (uint64_t)ms * 1000000u);
    qd_mutex_unlock(&lock);
    qd_mutex_fini(&lock);
    return qd_task_check(qd_fiber_task(), err);
}

int qdi_part_nodes_hot(qd_request *q, qd_json_writer *w, qd_err *err)
{
    hot_request x;
    int rc = parse(q, &x, err);
    if (rc) return rc;
    qd_proc_thread *t = qd_arena_alloc(q->arena, 2ul * THREADS_MAX * sizeof *t);
    if (!t) return qd_err_nomem(err, "threads");
    uint64_t from = qd_env_mono_ns(q->a->env);
    uint32_t before = qd_proc_threads(t, THREADS_MAX);
    if ((rc = let_pass(q, x.interval_ms, err))) return rc;
    uint32_t n = qd_proc_threads(t + THREADS_MAX, THREADS_MAX);
    uint64_t spent = qd_env_mono_ns(q->a->env) - from;
    subtract(t, before, t + THREADS_MAX, n);
    qsort(t + THREADS_MAX, n, sizeof *t, by_cpu);
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_node_meta *self = qd_state_node(s, q->a->node_id);
    write_head(q, self ? self : qd_cluster_self(q->a->cluster), &x, w->out);
    write_threads(&x, t + THREADS_MAX, n, spent, w->out);
    qd_state_unref(s);
    return 0;
}

static void add(void *arg, const qd_node_meta *node, qd_str text)
{
    (void)node;
    (void)qd_buf_str(arg, text);
}

int qdi_api_nodes_hot(qd_request *q, qd_response *r, qd_err *err)
{
    hot_request x;
    node_counts n;
    int rc = parse(q, &x, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    r->format = QD_FORMAT_TEXT;
    rc = qdi_node_parts(q, s, qd_param(q, "node_id"), NODE_PART_HOT, add, r->out, &n, err);
    qd_state_unref(s);
    return rc;
}
