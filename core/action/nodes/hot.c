/*
 * hot.c: GET /_nodes/hot_threads: which threads of the nodes were busy over a moment, and
 * where, as Elasticsearch's text. What a thread did comes from the kernel twice; then its stack is
 * looked at some times (runtime/stack/sample.h), and stacks with the same outer functions are told
 * once.
 */
#include "action/api/admin_int.h"
#include "action/api/node_part.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include "runtime/proc.h"
#include "runtime/stack/sample.h"
#include "runtime/stack/symbols.h"
#include "runtime/waitq.h"
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 1024u
#define THREADS_SHOWN 3
#define INTERVAL_MS 500
#define INTERVAL_MAX_MS 10000
#define SNAPSHOTS 10
#define SNAPSHOTS_MAX 100
#define SNAPSHOT_PAUSE_MS 10
#define KEYS_KEPT 1024u

typedef enum hot_type { HOT_CPU, HOT_WAIT, HOT_BLOCK } hot_type;
static const char *const type_names[] = {"cpu", "wait", "block"};

typedef struct hot_request {
    int64_t threads, interval_ms, snapshots;
    hot_type type;
    bool by_cpu; /* sort=cpu: without the time that a thread waited for a CPU */
    bool idle;   /* show those that did nothing too */
} hot_request;

static int parse_type(const qd_request *q, hot_request *x, qd_err *err)
{
    qd_str type = qd_param(q, "type"), sort = qd_param(q, "sort");
    x->type = HOT_CPU;
    x->by_cpu = qd_str_is(sort, "cpu");
    if (sort.n && !x->by_cpu && !qd_str_is(sort, "total"))
        return qd_err_set(err, QD_E_ARG, "sort order not supported [%.*s]", QD_STR_ARG(sort));
    if (!type.n) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(type_names); i++) {
        if (!qd_str_is(type, type_names[i])) continue;
        x->type = (hot_type)i;
        return 0;
    }
    if (qd_str_is(type, "mem"))
        return qd_err_set(err, QD_E_ARG,
                          "type not supported [mem]: the memory that a thread allocates is not "
                          "counted");
    return qd_err_set(err, QD_E_ARG, "type not supported [%.*s]", QD_STR_ARG(type));
}

static int parse(const qd_request *q, hot_request *x, qd_err *err)
{
    bool ignore = true;
    *x = (hot_request){.threads = THREADS_SHOWN};
    int rc = qd_param_i64(q, "threads", THREADS_SHOWN, &x->threads, err);
    if (!rc && (x->threads < 1 || x->threads > THREADS_MAX))
        rc = qd_err_set(err, QD_E_ARG, "[threads] must be between [1] and [%u]", THREADS_MAX);
    if (!rc) rc = qd_param_i64(q, "snapshots", SNAPSHOTS, &x->snapshots, err);
    if (!rc && (x->snapshots < 1 || x->snapshots > SNAPSHOTS_MAX))
        rc = qd_err_set(err, QD_E_ARG, "[snapshots] must be between [1] and [%d]", SNAPSHOTS_MAX);
    if (!rc) rc = qd_param_ms(q, "interval", INTERVAL_MS, &x->interval_ms, err);
    if (!rc && (x->interval_ms < 1 || x->interval_ms > INTERVAL_MAX_MS))
        rc = qd_err_set(err, QD_E_ARG, "[interval] must be between [1ms] and [10s]");
    if (!rc) rc = qd_param_bool(q, "ignore_idle_threads", true, &ignore, err);
    x->idle = !ignore;
    return rc ? rc : parse_type(q, x, err);
}

/* --- which threads --- */

/* A thread, and what it did in the time between two looks. */
typedef struct hot_thread {
    qd_proc_thread now;
    uint64_t value; /* by which they are sorted; 0: it did nothing */
} hot_thread;

static int by_value(const void *a, const void *b)
{
    const hot_thread *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return (x->now.id > y->now.id) - (x->now.id < y->now.id);
}

static uint64_t less(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

/* `before` and `now` are in order of their ids. */
static void compare(const hot_request *x, const qd_proc_thread *before, uint32_t nbefore,
                    const qd_proc_thread *now, uint32_t n, uint64_t spent_ns, hot_thread *out)
{
    for (uint32_t i = 0, k = 0; i < n; i++) {
        while (k < nbefore && before[k].id < now[i].id) k++;
        bool had = k < nbefore && before[k].id == now[i].id;
        qd_proc_thread *t = &out[i].now;
        *t = now[i];
        t->cpu_ns = less(t->cpu_ns, had ? before[k].cpu_ns : 0);
        t->queue_ns = less(t->queue_ns, had ? before[k].queue_ns : 0);
        t->waits = less(t->waits, had ? before[k].waits : 0);
        out[i].value = x->type == HOT_WAIT    ? less(spent_ns, t->cpu_ns + t->queue_ns)
                       : x->type == HOT_BLOCK ? t->waits
                                              : t->cpu_ns + (x->by_cpu ? 0 : t->queue_ns);
    }
    qsort(out, n, sizeof *out, by_value);
}

/* Does the kernel tell what the request asks for? */
static int check_type(const hot_request *x, const qd_proc_thread *t, uint32_t n, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (x->type == HOT_WAIT ? t[i].has_schedule : x->type == HOT_BLOCK ? t[i].has_waits : true)
            return 0;
    return qd_err_set(err, QD_E_ARG,
                      "type not supported [%s]: the kernel of this node does not tell "
                      "how its threads wait",
                      type_names[x->type]);
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

/* Leaves the threads to be shown at the front of t; how many. Waiting for work or for events is
 * what idle threads do all the time: only a look at them tells that from other waits. */
static uint32_t choose(const hot_request *x, hot_thread *t, uint32_t n, qd_sample *room)
{
    uint32_t kept = 0;
    bool look = !x->idle && x->type != HOT_CPU;
    for (uint32_t i = 0; i < n && look; i++) room[i].thread = t[i].now.id;
    if (look) qd_samples_take(room, n);
    for (uint32_t i = 0; i < n && kept < x->threads; i++) {
        bool idle = !t[i].value || (look && (room[i].idle || qd_proc_thread_polls(t[i].now.id)));
        if (x->idle || !idle) t[kept++] = t[i];
    }
    return kept;
}

/* --- stacks --- */

typedef struct stacks {
    const hot_request *x;
    uint32_t n;     /* threads */
    qd_sample *all; /* of each snapshot, one of each thread */
    qd_symbols *symbols;
    struct {
        uintptr_t at;
        uint64_t key;
    } kept[KEYS_KEPT];
} stacks;

static const qd_sample *snapshot(const stacks *s, uint32_t thread, uint32_t i)
{
    return &s->all[(size_t)i * s->n + thread];
}

static int take_snapshots(const qd_request *q, stacks *s, const hot_thread *t, qd_err *err)
{
    for (uint32_t i = 0; i < s->x->snapshots; i++) {
        qd_sample *row = &s->all[(size_t)i * s->n];
        for (uint32_t k = 0; k < s->n; k++) row[k].thread = t[k].now.id;
        int rc = i ? let_pass(q, SNAPSHOT_PAUSE_MS, err) : 0;
        if (rc) return rc;
        qd_samples_take(row, s->n);
    }
    return 0;
}

/* Equal for places in one function. */
static uint64_t key(stacks *s, const qd_sample *a, uint32_t frame)
{
    char text[QD_PLACE_MAX];
    uintptr_t at = a->at[frame] - (frame ? 1 : 0);
    uint32_t i = (uint32_t)(at % KEYS_KEPT);
    if (s->kept[i].at != at) {
        s->kept[i].at = at;
        s->kept[i].key = qd_symbols_place(s->symbols, at, false, text);
    }
    return s->kept[i].key;
}

/* How many of their outermost functions are the same? */
static uint32_t similarity(stacks *s, const qd_sample *a, const qd_sample *b)
{
    uint32_t n = 0;
    while (n < a->frames && n < b->frames &&
           key(s, a, a->frames - 1 - n) == key(s, b, b->frames - 1 - n))
        n++;
    return n;
}

static void write_stack(stacks *s, const qd_sample *a, uint32_t elements, qd_buf *b)
{
    char text[QD_PLACE_MAX];
    for (uint32_t i = a->frames - elements; i < a->frames; i++) {
        (void)qd_symbols_place(s->symbols, a->at[i], i > 0, text);
        (void)qd_buf_printf(b, "       %s\n", text);
    }
}

/* The snapshots of a thread, grouped as Elasticsearch does it: each not told yet with the later
 * ones that share most of its outer elements. */
static void write_stacks(stacks *s, uint32_t thread, qd_buf *b)
{
    uint32_t n = (uint32_t)s->x->snapshots, told = 0;
    bool done[SNAPSHOTS_MAX] = {false};
    for (uint32_t i = 0; i < n; i++) {
        const qd_sample *a = snapshot(s, thread, i);
        bool like[SNAPSHOTS_MAX] = {false};
        uint32_t most = 1, count = 1;
        if (done[i] || !a->frames) continue;
        for (uint32_t k = i + 1; k < n; k++) {
            uint32_t same = done[k] ? 0 : similarity(s, a, snapshot(s, thread, k));
            if (same > most) memset(like, 0, sizeof like);
            if (same > most) most = same;
            like[k] = same && same == most;
        }
        for (uint32_t k = i + 1; k < n; k++) {
            done[k] = done[k] || like[k];
            count += like[k];
        }
        if (count == 1)
            (void)qd_buf_printf(b, "     unique snapshot\n");
        else
            (void)qd_buf_printf(b, "     %u/%u snapshots sharing following %u elements\n", count, n,
                                most);
        write_stack(s, a, count == 1 ? a->frames : most, b);
        told++;
    }
    if (told) return;
    const qd_sample *a = snapshot(s, thread, n - 1);
    (void)qd_buf_printf(b, "     no snapshot: the thread %s\n",
                        a->asks ? "is the one that asks"
                        : qd_proc_takes_signal(a->thread, qd_sample_signal())
                            ? "did not answer in time"
                            : "has ended, or does not take the signal that asks for its stack");
}

/* --- the text --- */

static const char *time_text(int64_t ms, char out[24])
{
    snprintf(out, 24, ms % 1000 ? "%lldms" : "%llds", (long long)(ms % 1000 ? ms : ms / 1000));
    return out;
}

static void write_head(const qd_request *q, const qd_node_meta *n, const hot_request *x, qd_buf *b)
{
    char when[48], interval[24];
    (void)qd_buf_printf(b, "::: {%.*s}{%.*s}{%.*s}{%.*s}{%.*s}{%.*s}", QD_STR_ARG(n->name),
                        QD_STR_ARG(n->id), QD_STR_ARG(n->ephemeral), QD_STR_ARG(n->host),
                        QD_STR_ARG(n->transport_address), QD_STR_ARG(n->roles));
    for (uint32_t i = 0; i < n->nattributes; i++) {
        (void)qd_buf_printf(b, "%s%.*s=%.*s", i ? ", " : "{", QD_STR_ARG(n->attributes[i].key),
                            QD_STR_ARG(n->attributes[i].value));
    }
    (void)qd_buf_printf(b,
                        "%s\n   Hot threads at %s, interval=%s, busiestThreads=%lld, "
                        "ignoreIdleThreads=%s:\n",
                        n->nattributes ? "}" : "", qdi_time_text(qd_env_wall_ms(q->a->env), when),
                        time_text(x->interval_ms, interval), (long long)x->threads,
                        x->idle ? "false" : "true");
}

static void write_thread(const hot_request *x, const hot_thread *t, uint64_t spent_ns, qd_buf *b)
{
    char spent[24];
    double all = spent_ns ? (double)spent_ns : 1, value = (double)t->value;
    double cpu = 100.0 * (double)t->now.cpu_ns / all, share = 100.0 * value / all;
    if (share > 100) share = 100; /* the kernel may count in ticks */
    if (cpu > share) cpu = share;
    (void)time_text(x->interval_ms, spent);
    (void)qd_buf_printf(b, "   \n   ");
    if (x->type == HOT_BLOCK)
        (void)qd_buf_printf(b, "%llu waits in %s, ", (unsigned long long)t->value, spent);
    else if (x->type == HOT_WAIT)
        (void)qd_buf_printf(b, "%4.1f%% (%.1fms out of %s) ", share, value / 1e6, spent);
    else
        (void)qd_buf_printf(b, "%4.1f%% [cpu=%.1f%%, other=%.1f%%] (%.1fms out of %s) ", share, cpu,
                            share - cpu, value / 1e6, spent);
    (void)qd_buf_printf(b, "%s usage by thread '%s' [%lld], state %c\n", type_names[x->type],
                        t->now.name, (long long)t->now.id, t->now.state);
}

int qdi_part_nodes_hot(qd_request *q, qd_json_writer *w, qd_err *err)
{
    hot_request x;
    int rc = parse(q, &x, err);
    if (rc) return rc;
    qd_proc_thread *before = qd_arena_alloc(q->arena, 2ul * THREADS_MAX * sizeof *before);
    hot_thread *t = qd_arena_alloc(q->arena, THREADS_MAX * sizeof *t);
    stacks *s = qd_arena_calloc(q->arena, sizeof *s);
    if (!before || !t || !s) return qd_err_nomem(err, "threads");
    qd_proc_thread *now = before + THREADS_MAX;
    uint64_t from = qd_env_mono_ns(q->a->env);
    uint32_t nbefore = qd_proc_threads(before, THREADS_MAX);
    if ((rc = check_type(&x, before, nbefore, err))) return rc;
    if ((rc = let_pass(q, x.interval_ms, err))) return rc;
    uint32_t n = qd_proc_threads(now, THREADS_MAX);
    uint64_t spent = qd_env_mono_ns(q->a->env) - from;
    compare(&x, before, nbefore, now, n, spent, t);
    s->x = &x;
    s->n = n < x.threads ? n : (uint32_t)x.threads;
    size_t samples = (size_t)s->n * (size_t)x.snapshots;
    s->all = qd_arena_alloc(q->arena, (samples < n ? n : samples) * sizeof *s->all);
    if (!s->all && n) return qd_err_nomem(err, "stacks");
    s->n = choose(&x, t, n, s->all);
    if ((rc = take_snapshots(q, s, t, err))) return rc;
    if (!(s->symbols = qd_symbols_open())) return qd_err_nomem(err, "names of functions");
    qd_state *state = qd_cluster_state(q->a->cluster);
    const qd_node_meta *self = qd_state_node(state, q->a->node_id);
    write_head(q, self ? self : qd_cluster_self(q->a->cluster), &x, w->out);
    for (uint32_t i = 0; i < s->n; i++) {
        write_thread(&x, &t[i], spent, w->out);
        write_stacks(s, i, w->out);
    }
    (void)qd_buf_c(w->out, "\n");
    qd_state_unref(state);
    qd_symbols_close(s->symbols);
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
