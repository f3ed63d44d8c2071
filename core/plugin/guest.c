/* guest.c: threads for calls of plugins that may never return. See guest.h. */
#include "plugin/guest.h"
#include "base/list.h"
#include "plugin/host_int.h"
#include "runtime/crash.h"
#include "runtime/stack/sample.h"
#include "runtime/waitq.h"
#include <stdio.h>

#define LOOK_NS (20 * UINT64_C(1000000)) /* a waiting caller looks at its task this often */
#define INSIDE_NS UINT64_C(1000000)      /* it wants to leave, and code of the host runs */
#define END_NS (500 * UINT64_C(1000000)) /* calls under way are waited for at the end */

typedef struct guest {
    qd_guests *all;
    qd_thread *thread;
    qd_mutex lock;
    qd_cond wake;        /* the guest waits for a call */
    qd_waitq returned;   /* the caller waits for its end */
    qd_guest_call *call; /* NULL: none */
    uint64_t begun_ns;
    uint32_t inside; /* code of the host called by the plugin, nested */
    bool done;       /* the call has returned */
    bool left;       /* its caller has gone */
    bool told;       /* that it is over the time */
    bool end;        /* the thread shall end */
    struct guest *next_idle;
    struct guest *prev, *next; /* of all */
} guest;

struct qd_guests {
    qd_env *env;
    uint64_t limit_ns;
    qd_mutex lock; /* the lists; before a guest's own */
    qd_cond changed;
    guest *idle, *first;
    uint32_t n;
    _Atomic uint32_t left; /* written under the lock */
    qd_thread *watch; /* tells of calls that were left before their time; made when first needed */
    bool end;
};

static _Thread_local guest *here;

bool qd_guest_enter(void)
{
    guest *g = here;
    if (!g) return true;
    qd_mutex_lock(&g->lock);
    bool may = !g->left;
    if (may) g->inside++;
    qd_mutex_unlock(&g->lock);
    return may;
}

void qd_guest_leave(void)
{
    guest *g = here;
    if (!g) return;
    qd_mutex_lock(&g->lock);
    g->inside--;
    qd_mutex_unlock(&g->lock);
}

int qdi_guests_open(qd_env *env, uint64_t limit_ns, qd_guests **out)
{
    qd_guests *all = qd_calloc(NULL, sizeof *all);
    if (!all) return QD_E_NOMEM;
    all->env = env;
    all->limit_ns = limit_ns;
    qd_mutex_init(&all->lock);
    qd_cond_init(&all->changed);
    *out = all;
    return 0;
}

/* --- guests ---------------------------------------------------------------------------------- */

static const char *owner(const qd_guest_call *c)
{
    return c->self ? qd_plugin_self_name(c->self) : "";
}

/* The call has returned though nobody waits for it any more. Under no lock. */
static void late(guest *g, qd_guest_call *c)
{
    qd_guests *all = g->all;
    uint64_t ms = (qd_env_mono_ns(all->env) - g->begun_ns) / 1000000;
    if (g->told)
        qd_log_warn("plugin", "plugin [%s]: %s of %s [%s] has returned after %llu ms", owner(c),
                    c->what, c->kind, c->name, (unsigned long long)ms);
    qd_mutex_lock(&g->lock);
    g->call = NULL;
    g->left = g->told = g->done = false;
    qd_mutex_unlock(&g->lock);
    c->left(c);
    qd_mutex_lock(&all->lock);
    all->left--;
    g->next_idle = all->idle;
    all->idle = g;
    qd_cond_broadcast(&all->changed);
    qd_mutex_unlock(&all->lock);
}

/* The call itself. Which limit refused memory is known to this thread alone. */
static int32_t run(qd_guest_call *c)
{
    char name[32];
    int64_t wanted, limit;
    (void)qd_account_refusal(name, &wanted, &limit); /* of an earlier call */
    int32_t rc = c->run(c);
    c->limit = 0;
    bool nomem = rc == QD_E_NOMEM || rc == QD_E_BREAKER;
    if (nomem && c->self && qd_account_refused(&c->self->account))
        (void)qd_account_refusal(name, &c->wanted, &c->limit);
    return rc;
}

static void guest_main(void *arg)
{
    guest *g = arg;
    here = g;
    qd_mutex_lock(&g->lock);
    for (;;) {
        qd_sample_idle(true);
        while (!g->end && !(g->call && !g->done)) qd_cond_wait(&g->wake, &g->lock);
        qd_sample_idle(false);
        if (!g->call || g->done) break;
        qd_guest_call *c = g->call;
        qd_mutex_unlock(&g->lock);
        qd_crash_call_set(&(qd_crash_call){owner(c), c->what, c->name});
        int32_t rc = run(c);
        qd_crash_call_set(NULL);
        qd_mutex_lock(&g->lock);
        c->rc = rc;
        g->done = true;
        if (!g->left) {
            qd_waitq_wake(&g->returned);
            continue;
        }
        qd_mutex_unlock(&g->lock);
        late(g, c);
        qd_mutex_lock(&g->lock);
    }
    qd_mutex_unlock(&g->lock);
}

/* A guest with nothing to do, or a new one. */
static int take(qd_guests *all, guest **out, qd_err *err)
{
    int rc = 0;
    qd_mutex_lock(&all->lock);
    guest *g = all->idle;
    if (g) {
        all->idle = g->next_idle;
    } else if (all->end) {
        rc = qd_err_set(err, QD_E_CLOSED, "the node is shutting down");
    } else if (all->n == QD_GUESTS_MAX) {
        rc = qd_err_set(err, QD_E_REJECTED, "%u calls of plugins are under way", QD_GUESTS_MAX);
    } else if (!(g = qd_calloc(NULL, sizeof *g))) {
        rc = qd_err_nomem(err, "thread of a plugin's calls");
    } else {
        g->all = all;
        qd_mutex_init(&g->lock);
        qd_cond_init(&g->wake);
        qd_waitq_init(&g->returned, &g->lock);
        rc = qd_thread_start(all->env, "guest", guest_main, g, &g->thread, err);
        if (rc) {
            qd_free(g);
        } else {
            QD_LIST_PUSH(all->first, g);
            all->n++;
        }
    }
    qd_mutex_unlock(&all->lock);
    *out = g;
    return rc;
}

static void give(guest *g)
{
    qd_guests *all = g->all;
    qd_mutex_lock(&all->lock);
    g->next_idle = all->idle;
    all->idle = g;
    qd_cond_broadcast(&all->changed);
    qd_mutex_unlock(&all->lock);
}

/* --- calls that were left ----------------------------------------------------------------------
 */

void qd_guests_count(qd_guests *all, const qd_self *self, uint32_t *left, uint32_t *stuck)
{
    *left = *stuck = 0;
    if (!all) return;
    uint64_t now = qd_env_mono_ns(all->env);
    qd_mutex_lock(&all->lock);
    for (guest *g = all->left ? all->first : NULL; g; g = g->next) {
        qd_mutex_lock(&g->lock);
        if (g->left && (!self || g->call->self == self)) {
            *left += 1;
            *stuck += now - g->begun_ns >= all->limit_ns;
        }
        qd_mutex_unlock(&g->lock);
    }
    qd_mutex_unlock(&all->lock);
}

/* Tells of those over the time; when the next one will be (0: none is left). Under all->lock. */
static uint64_t tell(qd_guests *all)
{
    uint64_t next = 0, now = qd_env_mono_ns(all->env);
    for (guest *g = all->first; g; g = g->next) {
        qd_mutex_lock(&g->lock);
        if (g->left && !g->told) {
            uint64_t due = g->begun_ns + all->limit_ns;
            if (due <= now) {
                g->told = true;
                qd_log_error("plugin",
                             "plugin [%s]: %s of %s [%s] has not returned for %llu ms (%s %s): its "
                             "request was answered without it, its thread is left to it",
                             owner(g->call), g->call->what, g->call->kind, g->call->name,
                             (unsigned long long)((now - g->begun_ns) / 1000000), g->call->placed,
                             g->call->place);
            } else if (!next || due < next) {
                next = due;
            }
        }
        qd_mutex_unlock(&g->lock);
    }
    return next;
}

static void watch_main(void *arg)
{
    qd_guests *all = arg;
    qd_mutex_lock(&all->lock);
    while (!all->end) {
        uint64_t next = tell(all);
        if (next)
            (void)qd_cond_wait_until(&all->changed, &all->lock, next);
        else
            qd_cond_wait(&all->changed, &all->lock);
    }
    qd_mutex_unlock(&all->lock);
}

/* The caller goes. Under g->lock, which is given back. */
static void leave(guest *g)
{
    qd_guests *all = g->all;
    g->left = true;
    qd_mutex_unlock(&g->lock);
    qd_mutex_lock(&all->lock);
    all->left++;
    if (!all->watch && !all->end &&
        qd_thread_start(all->env, "guests", watch_main, all, &all->watch, NULL))
        all->watch = NULL;
    qd_cond_broadcast(&all->changed);
    qd_mutex_unlock(&all->lock);
}

/* --- calling --------------------------------------------------------------------------------- */

static int check_stuck(qd_guests *all, const qd_guest_call *c, qd_err *err)
{
    uint32_t left, stuck;
    if (QD_LIKELY(!atomic_load_explicit(&all->left, memory_order_relaxed)))
        return 0; /* a glance: who comes too early is one more */
    qd_guests_count(all, c->self, &left, &stuck);
    if (stuck < QD_GUESTS_STUCK_MAX) return 0;
    return qd_err_set(err, QD_E_REJECTED,
                      "%s [%s] is not run: %u calls of plugin [%s] have not returned in time, "
                      "each of which holds a thread; the node runs it again when they return, or "
                      "after a restart",
                      c->kind, c->name, stuck, owner(c));
}

static int over_time(const qd_guests *all, const qd_guest_call *c, qd_err *err)
{
    return qd_err_set(err, QD_E_PLUGIN,
                      "%s [%s] of plugin [%s] has not returned from %s for %llu ms "
                      "(plugins.call_timeout); it is not waited for any longer",
                      c->kind, c->name, owner(c), c->what,
                      (unsigned long long)(all->limit_ns / 1000000));
}

/* Waits for the end of the call; else why the caller goes. Under g->lock. */
static int wait_end(guest *g, qd_task *task, qd_err *err)
{
    qd_guests *all = g->all;
    uint64_t until = g->begun_ns + all->limit_ns, now = g->begun_ns;
    int why = 0;
    while (!g->done) {
        uint64_t next = why && g->inside ? now + INSIDE_NS : task ? now + LOOK_NS : until;
        if (why && !g->inside) return why;
        (void)qd_waitq_wait(&g->returned, next < until || why ? next : until);
        now = qd_env_mono_ns(all->env);
        if (g->done || why) continue;
        if (task && qd_task_poll(task)) {
            why = qd_task_check(task, err);
        } else if (now >= until) {
            why = over_time(all, g->call, err);
        }
    }
    if (why && err) { /* it has returned after all */
        qd_err_fini(err);
        qd_err_init(err);
    }
    return 0;
}

int qd_guest_run(qd_guests *all, qd_guest_call *c, qd_task *task, bool *ran, qd_err *err)
{
    guest *g;
    *ran = false;
    if (!all) {
        *ran = true;
        c->rc = c->run(c);
        return 0;
    }
    int rc = c->ends ? 0 : check_stuck(all, c, err);
    if (!rc) rc = take(all, &g, err);
    if (rc) return rc;
    *ran = true;
    qd_mutex_lock(&g->lock);
    g->begun_ns = qd_env_mono_ns(all->env);
    g->call = c;
    g->done = false;
    qd_cond_signal(&g->wake);
    rc = wait_end(g, task, err);
    if (rc) {
        leave(g);
        return rc;
    }
    g->call = NULL;
    qd_mutex_unlock(&g->lock);
    give(g);
    return 0;
}

qd_guests *qd_plugin_guests(const qd_self *self)
{
    if (!self) return NULL;
    QD_CHECK(self, QD_SELF_MAGIC);
    return self->builtin ? NULL : self->host->guests;
}

qd_env *qd_guests_env(const qd_guests *all)
{
    return all ? all->env : NULL;
}

/* --- the end --------------------------------------------------------------------------------- */

bool qdi_guests_close(qd_guests *all)
{
    if (!all) return true;
    uint64_t until = qd_env_mono_ns(all->env) + END_NS;
    qd_mutex_lock(&all->lock);
    while (all->left && qd_cond_wait_until(&all->changed, &all->lock, until) == 0) continue;
    all->end = true;
    qd_cond_broadcast(&all->changed);
    qd_thread *watch = all->watch;
    all->watch = NULL;
    qd_mutex_unlock(&all->lock);
    if (watch) qd_thread_join(all->env, watch);
    for (;;) {
        qd_mutex_lock(&all->lock);
        guest *g = all->idle;
        if (g) {
            all->idle = g->next_idle;
            QD_LIST_REMOVE(all->first, g);
            all->n--;
        }
        qd_mutex_unlock(&all->lock);
        if (!g) break;
        qd_mutex_lock(&g->lock);
        g->end = true;
        qd_cond_signal(&g->wake);
        qd_mutex_unlock(&g->lock);
        qd_thread_join(all->env, g->thread);
        qd_cond_fini(&g->wake);
        qd_mutex_fini(&g->lock);
        qd_free(g);
    }
    qd_mutex_lock(&all->lock);
    for (guest *g = all->first; g; g = g->next) {
        qd_mutex_lock(&g->lock);
        if (g->call)
            qd_log_error("plugin",
                         "plugin [%s]: %s of %s [%s] has never returned: the node ends "
                         "without it",
                         owner(g->call), g->call->what, g->call->kind, g->call->name);
        qd_mutex_unlock(&g->lock);
    }
    bool all_gone = !all->first;
    qd_mutex_unlock(&all->lock);
    if (!all_gone) return false;
    qd_mutex_fini(&all->lock);
    qd_cond_fini(&all->changed);
    qd_free(all);
    return true;
}

/* --- errors ----------------------------------------------------------------------------------- */

/* Is it one of quidditch/errors.def? */
static bool known(int32_t rc)
{
    switch (rc) {
#define QD_ERR(symbol, code, status, type, retry) case code:
#include <quidditch/errors.def>
#undef QD_ERR
        return true;
    default:
        return false;
    }
}

static int over_limit(const qd_guest_call *c, qd_err *to)
{
    (void)qd_err_set(to, QD_E_BREAKER,
                     "[plugin.%s] Data too large, data for [%s [%s]] would be [%lld/%lldb], which "
                     "is larger than the limit of [%lld/%lldb]",
                     owner(c), c->kind, c->name, (long long)c->wanted, (long long)c->wanted,
                     (long long)c->limit, (long long)c->limit);
    qd_err_detail_i64(to, "bytes_wanted", c->wanted);
    qd_err_detail_i64(to, "bytes_limit", c->limit);
    qd_err_detail_str(to, "durability", QD_STR("TRANSIENT"));
    return QD_E_BREAKER;
}

int qd_guest_failed(const qd_guest_call *c, const qd_err *from, qd_err *to)
{
    const char *plugin = owner(c);
    int32_t rc = c->rc;
    if ((rc == QD_E_NOMEM || rc == QD_E_BREAKER) && c->limit) return over_limit(c, to);
    if (from->code && known(from->code)) {
        qd_err_copy(to, from);
        return from->code;
    }
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_CANCELLED || rc == QD_E_TIMEOUT)
        return qd_err_set(to, rc, "%s [%s] of plugin [%s]: %s returned %s", c->kind, c->name,
                          plugin, c->what, qd_code_name(rc));
    if (known(rc))
        return qd_err_set(to, rc, "%s [%s] of plugin [%s]: %s failed with %s, without a word",
                          c->kind, c->name, plugin, c->what, qd_code_name(rc));
    return qd_err_set(to, QD_E_PLUGIN, "%s [%s] of plugin [%s]: %s failed with the unknown code %d",
                      c->kind, c->name, plugin, c->what, rc);
}
