/*
 * services.c: the small tables that plugins fetch by id, over base and runtime. Every function gets
 * the plugin's self, and by it the node: its env, loop, pool and accounts.
 */
#include "base/list.h"
#include "plugin/host_int.h"
#include "plugin/op.h"
#include "runtime/task.h"
#include <quidditch/jobs.h>

#define HEAD(type)                                                                                 \
    {                                                                                              \
        sizeof(type), QD_ABI_MAJOR, QD_ABI_MINOR, 0                                                \
    }

/* --- mem --- */

static void *mem_alloc(qd_self *self, size_t n)
{
    return qd_alloc(&self->account, n);
}
static void *mem_calloc(qd_self *self, size_t n)
{
    return qd_calloc(&self->account, n);
}
static void *mem_realloc(qd_self *self, void *p, size_t n)
{
    return qd_realloc(&self->account, p, n);
}
static void *mem_aligned(qd_self *self, size_t align, size_t n)
{
    return qd_alloc_aligned(&self->account, align, n);
}
static int32_t mem_charge(qd_self *self, int64_t bytes)
{
    if (bytes >= 0) return qd_account_charge(&self->account, bytes);
    qd_account_release(&self->account, -bytes);
    return 0;
}
static void *mem_arena(qd_arena *arena, size_t n)
{
    return qd_arena_alloc(arena, n);
}

static const qd_svc_mem svc_mem = {
    HEAD(qd_svc_mem), mem_alloc, mem_calloc, mem_realloc,
    mem_aligned,      qd_free,   mem_charge, mem_arena,
};

/* --- log --- */

static qd_log_level level_of(int32_t level)
{
    if (level < QD_LEVEL_TRACE) return QD_LOG_TRACE;
    return level > QD_LEVEL_ERROR ? QD_LOG_ERROR : (qd_log_level)level;
}
static int32_t log_on(qd_self *self, int32_t level)
{
    return qd_log_on(self->component, level_of(level));
}
/* Lines about what concerns the whole node have the component that people look for. */
static const char *const shared[] = {"discovery"};

static void log_write(qd_self *self, int32_t level, qd_str line)
{
    const char *component = self->component;
    if (line.n > 65536) line.n = 65536;
    for (size_t i = 0; i < QD_COUNT_OF(shared); i++) {
        size_t n = strlen(shared[i]);
        if (!qd_str_starts(line, qd_str_c(shared[i])) || line.n < n + 2 || line.p[n] != ':')
            continue;
        component = shared[i];
        line = qd_str_sub(line, n + 2, line.n);
    }
    qd_log(component, level_of(level), "%.*s", QD_STR_ARG(line));
}
static const qd_svc_log svc_log = {HEAD(qd_svc_log), log_on, log_write};

/* --- err --- */

static int32_t err_set(qd_err *err, int32_t code, qd_str reason)
{
    return qd_err_set_at(err, code, "plugin", 0, "%.*s", QD_STR_ARG(reason));
}
static int32_t err_wrap(qd_err *err, int32_t code, qd_str reason)
{
    return qd_err_wrap_at(err, code, "plugin", 0, "%.*s", QD_STR_ARG(reason));
}
static void err_detail(qd_err *err, const char *key, qd_str value)
{
    if (err) qd_err_detail_str(err, key, value);
}
static int32_t err_code(const qd_err *err)
{
    return err ? err->code : 0;
}
static qd_str err_reason(const qd_err *err)
{
    return err && err->code ? qd_str_c(qd_err_reason(err)) : (qd_str){NULL, 0};
}
static qd_err *err_make(qd_self *self)
{
    qd_err *err = qd_alloc(&self->account, sizeof *err);
    if (err) qd_err_init(err);
    return err;
}
static void err_free(qd_err *err)
{
    if (err) qd_err_fini(err);
    qd_free(err);
}
static const qd_svc_err svc_err = {
    HEAD(qd_svc_err), err_set, err_wrap, err_detail, err_code, err_reason, err_make, err_free,
};

/* --- clock, rand --- */

static int64_t clock_mono(qd_self *self)
{
    return (int64_t)qd_env_mono_ns(self->host->config.env);
}
static int64_t clock_wall(qd_self *self)
{
    return qd_env_wall_us(self->host->config.env) * 1000;
}
static int64_t clock_boot(qd_self *self)
{
    return (int64_t)qd_env_boot_ns(self->host->config.env);
}
static const qd_svc_clock svc_clock = {HEAD(qd_svc_clock), clock_mono, clock_wall, clock_boot};

static void rand_bytes(qd_self *self, void *dst, size_t n)
{
    qd_env_random(self->host->config.env, dst, n);
}
static uint64_t rand_u64(qd_self *self)
{
    return qd_env_random_u64(self->host->config.env);
}
static const qd_svc_rand svc_rand = {HEAD(qd_svc_rand), rand_bytes, rand_u64};

/* --- loop --- */

typedef struct posted {
    qd_post post;
    void (*fn)(void *arg);
    void *arg;
} posted;

static void run_posted(qd_post *post)
{
    posted p = *QD_CONTAINER_OF(post, posted, post);
    qd_free(QD_CONTAINER_OF(post, posted, post));
    p.fn(p.arg);
}

static int32_t loop_post(qd_self *self, void (*fn)(void *arg), void *arg)
{
    if (!self->host->config.loop) return QD_E_UNSUPPORTED;
    posted *p = qd_alloc(&self->account, sizeof *p);
    if (!p) return QD_E_NOMEM;
    *p = (posted){{NULL, run_posted, NULL}, fn, arg};
    qd_loop_post(self->host->config.loop, &p->post);
    return 0;
}

/* Started by a post, as qd_timer_start belongs to the loop; so a stop may come before the start. */
struct qd_plugin_timer {
    qd_timer timer;
    qd_post post;
    uint64_t due_ns;
    bool posted, stopped;
    void (*fn)(void *arg);
    void *arg;
};

static void timer_fired(qd_timer *timer)
{
    qd_plugin_timer *t = QD_CONTAINER_OF(timer, qd_plugin_timer, timer);
    t->fn(t->arg);
}

static void timer_begin(qd_post *post)
{
    qd_plugin_timer *t = QD_CONTAINER_OF(post, qd_plugin_timer, post);
    t->posted = false;
    if (t->stopped) {
        qd_free(t);
        return;
    }
    uint64_t now = qd_env_mono_ns(qd_loop_env(t->timer.loop));
    if (qd_timer_start(&t->timer, t->due_ns > now ? t->due_ns - now : 0, 0))
        t->fn(t->arg); /* no memory for it: early is better than never */
}

static int32_t loop_timer(qd_self *self, int64_t delay_ns, void (*fn)(void *arg), void *arg,
                          qd_plugin_timer **out)
{
    if (!self->host->config.loop) return QD_E_UNSUPPORTED;
    qd_plugin_timer *t = qd_calloc(&self->account, sizeof *t);
    if (!t) return QD_E_NOMEM;
    qd_timer_init(&t->timer, self->host->config.loop, timer_fired, NULL);
    t->due_ns = qd_env_mono_ns(self->host->config.env) + (delay_ns > 0 ? (uint64_t)delay_ns : 0);
    t->fn = fn;
    t->arg = arg;
    t->posted = true;
    t->post = (qd_post){NULL, timer_begin, NULL};
    *out = t;
    qd_loop_post(self->host->config.loop, &t->post);
    return 0;
}

static void loop_timer_stop(qd_plugin_timer *t)
{
    if (!t) return;
    qd_assert(qd_loop_here(t->timer.loop));
    t->stopped = true;
    if (t->posted) return; /* timer_begin frees it */
    qd_timer_stop(&t->timer);
    qd_free(t);
}
static const qd_svc_loop svc_loop = {
    HEAD(qd_svc_loop), qd_op_complete, loop_post, loop_timer, loop_timer_stop, qd_op_anywhere,
};

/* --- work --- */

/* A piece on its way through the pool. Cancelling finds it by its plugin's struct: pieces are few.
 */
typedef struct piece {
    qd_work work;
    qd_self *self;
    qd_plugin_work *job;
    bool cancelled;
    struct piece *prev, *next;
} piece;

static void run_piece(qd_work *work)
{
    piece *p = QD_CONTAINER_OF(work, piece, work);
    qd_plugin_host *h = p->self->host;
    qd_plugin_work *job = p->job;
    qd_mutex_lock(&h->lock);
    bool cancelled = p->cancelled;
    QD_LIST_REMOVE(h->pieces, p);
    qd_mutex_unlock(&h->lock);
    qd_free(p);
    qd_op_complete(&job->op, cancelled ? QD_E_CANCELLED : job->run(job));
}

static int32_t work_submit(qd_self *self, qd_plugin_work *job)
{
    qd_plugin_host *h = self->host;
    if (!h->config.loop || !h->config.pool) return QD_E_UNSUPPORTED;
    piece *p = qd_calloc(&self->account, sizeof *p);
    if (!p) return QD_E_NOMEM;
    p->work.run = run_piece;
    p->self = self;
    p->job = job;
    qd_op_on_loop(&job->op, h->config.loop, job->op.done, job->op.user);
    qd_mutex_lock(&h->lock);
    QD_LIST_PUSH(h->pieces, p);
    /* Under the lock: a worker that takes it at once waits there until it is in the list. */
    int rc = qd_pool_submit(h->config.pool, &p->work, NULL);
    if (rc) QD_LIST_REMOVE(h->pieces, p);
    qd_mutex_unlock(&h->lock);
    if (rc) qd_free(p);
    return rc;
}

static int32_t work_cancel(qd_self *self, qd_plugin_work *job)
{
    qd_plugin_host *h = self->host;
    int32_t rc = QD_E_NOTFOUND;
    qd_mutex_lock(&h->lock);
    for (piece *p = h->pieces; p; p = p->next)
        if (p->job == job) p->cancelled = true, rc = 0;
    qd_mutex_unlock(&h->lock);
    return rc;
}
static const qd_svc_work svc_work = {HEAD(qd_svc_work), work_submit, work_cancel};

/* --- task, fault, uv --- */

static int32_t task_cancelled(const qd_task *task)
{
    return qd_task_stopped(task);
}
static int64_t task_deadline(const qd_task *task)
{
    return task && task->deadline_ns ? (int64_t)task->deadline_ns : INT64_MAX;
}
static const qd_svc_task svc_task = {HEAD(qd_svc_task), task_cancelled, task_deadline};

static int32_t fault_point(qd_self *self, const char *name)
{
    const qd_plugin_host *h = self->host;
    return h->fault ? h->fault(h->fault_arg, self->name, name) : 0;
}
static const qd_svc_fault svc_fault = {HEAD(qd_svc_fault), fault_point};

static const qd_vtable *const tables[QD_SERVICE_COUNT] = {
    [QD_SERVICE_MEM] = &svc_mem.head,           [QD_SERVICE_LOG] = &svc_log.head,
    [QD_SERVICE_ERR] = &svc_err.head,           [QD_SERVICE_CONF] = &qdi_svc_conf.head,
    [QD_SERVICE_METRIC] = &qdi_svc_metric.head, [QD_SERVICE_CLOCK] = &svc_clock.head,
    [QD_SERVICE_RAND] = &svc_rand.head,         [QD_SERVICE_LOOP] = &svc_loop.head,
    [QD_SERVICE_WORK] = &svc_work.head,         [QD_SERVICE_JSON] = &qdi_svc_json.head,
    [QD_SERVICE_TASK] = &svc_task.head,         [QD_SERVICE_FAULT] = &svc_fault.head,
    [QD_SERVICE_JOBS] = &qdi_svc_jobs.head,
};

const void *qdi_service(qd_self *self, uint32_t id, uint16_t min_minor)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    if (id >= QD_SERVICE_COUNT) return NULL;
    const qd_plugin_host *h = self->host;
    const qd_vtable *t = h->services[id] ? h->services[id] : tables[id];
    if (id == QD_SERVICE_UV && (self->plugin.flags & QD_PLUGIN_NEEDS_UV) && h->uv.version)
        t = &h->uv.head;
    return t && t->minor >= min_minor ? t : NULL;
}
