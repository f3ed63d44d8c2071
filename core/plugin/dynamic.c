/*
 * dynamic.c: settings of plugins that change while the node runs. The plugin judges a value before
 * the cluster keeps it. Every node then has the new value at once, and a worker tells the plugin:
 * the cluster's state never waits for a plugin. Both calls are supervised.
 */
#include "plugin/guest.h"
#include "plugin/host_int.h"
#include <stdio.h>

/* --- calls of the plugin --- */

typedef struct conf_call {
    qd_guest_call call; /* first */
    qd_self *self;
    const char *key;
    qd_str value;
    bool check;
    qd_err err;
    char text[];
} conf_call;

static int32_t run_call(qd_guest_call *call)
{
    conf_call *c = (conf_call *)call;
    if (c->check) return c->self->conf_check(c->self->conf_arg, c->key, c->value, &c->err);
    c->self->conf_apply(c->self->conf_arg, c->key, c->value);
    return 0;
}

static void call_free(qd_guest_call *call)
{
    qd_err_fini(&((conf_call *)call)->err);
    qd_free(call);
}

/* Asks the plugin (check) or tells it. The call has a copy of the value: it may be left. NULL: out
 * of memory. */
static conf_call *call_make(qd_self *self, const char *key, qd_str value, bool check)
{
    conf_call *c = qd_calloc(NULL, sizeof *c + value.n + 1);
    if (!c) return NULL;
    if (value.n) memcpy(c->text, value.p, value.n);
    c->call = (qd_guest_call){.run = run_call,
                              .left = call_free,
                              .self = self,
                              .kind = "setting",
                              .what = check ? "check" : "apply",
                              .placed = "setting"};
    snprintf(c->call.name, sizeof c->call.name, "%s", key);
    snprintf(c->call.place, sizeof c->call.place, "[plugin.%s.%s]", self->name, key);
    c->self = self;
    c->key = key;
    c->value = (qd_str){value.p ? c->text : NULL, value.n};
    c->check = check;
    qd_err_init(&c->err);
    return c;
}

/* Runs it and frees it. c NULL: there was no memory for it. */
static int call_run(conf_call *c, qd_task *task, qd_err *err)
{
    if (!c) return qd_err_nomem(err, "a setting of a plugin");
    bool ran;
    int rc = qd_guest_run(qd_plugin_guests(c->self), &c->call, task, &ran, err);
    if (rc && ran) return rc; /* it is the guest's now */
    if (!rc && c->call.rc) rc = qd_guest_failed(&c->call, &c->err, err);
    call_free(&c->call);
    return rc;
}

/* --- what is shown --- */

int qd_plugin_settings_defaults(const qd_plugin_host *h, qd_settings *to, qd_err *err)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    int rc = 0;
    for (size_t i = 0; i < h->plugins.n; i++) {
        const qd_self *self = h->plugins.at[i];
        for (uint32_t k = 0; k < self->nvalues && !rc; k++) {
            const qd_plugin_value *v = &self->values[k];
            char key[512];
            if (!v->set || v->conf.type == QD_PCONF_SECRET) continue;
            snprintf(key, sizeof key, "plugin.%s.%s", self->name, v->conf.key);
            qd_str items[QD_PLUGIN_ITEMS_MAX], at = v->text;
            for (uint32_t n = 0; n < v->nitems; n++) items[n] = qd_str_split(&at, 0);
            rc = v->conf.type == QD_PCONF_LIST
                     ? qd_settings_put_list(to, qd_str_c(key), items, v->nitems, err)
                     : qd_settings_put(to, qd_str_c(key), v->text, err);
        }
    }
    return rc;
}

bool qd_plugin_setting_secret(const qd_plugin_host *h, qd_str key)
{
    for (size_t i = 0; h && i < h->plugins.n; i++) {
        const qd_self *self = h->plugins.at[i];
        qd_str rest = qdi_setting_key(self, key);
        for (uint32_t k = 0; rest.p && k < self->nvalues; k++)
            if (qd_str_is(rest, self->values[k].conf.key))
                return self->values[k].conf.type == QD_PCONF_SECRET;
    }
    return false;
}

/* --- check --- */

static bool is_dynamic(const qd_self *self, const qd_plugin_value *v)
{
    return (v->conf.flags & QD_PCONF_DYNAMIC) && v->conf.type != QD_PCONF_SECRET &&
           self->conf_apply;
}

/* The plugin and setting behind a full key. */
static int find_dynamic(qd_plugin_host *h, qd_str key, const char *what, qd_self **self,
                        qd_plugin_value **v, qd_err *err)
{
    char name[256];
    for (size_t i = 0; i < h->plugins.n; i++) {
        qd_str rest = qdi_setting_key(h->plugins.at[i], key);
        if (!rest.p) continue;
        *self = h->plugins.at[i];
        if (rest.n >= sizeof name) return qdi_setting_unknown(*self, rest, err);
        memcpy(name, rest.p, rest.n);
        name[rest.n] = 0;
        *v = qdi_setting_find(*self, name);
        if (!*v) return qdi_setting_unknown(*self, rest, err);
        if (is_dynamic(*self, *v)) return 0;
        return qd_err_set(err, QD_E_ARG, "%s setting [%.*s], not dynamically updateable", what,
                          QD_STR_ARG(key));
    }
    return qd_err_set(err, QD_E_ARG,
                      "%s setting [%.*s], not recognized: this node has loaded no plugin that "
                      "declares it",
                      what, QD_STR_ARG(key));
}

static const qd_str *texts_of(const qd_setting_value *v, size_t *n)
{
    *n = v->kind == QD_SETTING_LIST ? v->n : 1;
    return v->kind == QD_SETTING_LIST ? v->items : &v->text;
}

int qd_plugin_setting_check(qd_plugin_host *h, const qd_setting_value *value, const char *what,
                            qd_err *err)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qd_self *self;
    qd_plugin_value *v;
    int rc = find_dynamic(h, value->key, what, &self, &v, err);
    if (rc) return rc;
    qd_arena scratch;
    qd_arena_init(&scratch, &h->account, 1 << 20);
    qd_plugin_value trial = {.conf = v->conf};
    size_t n;
    const qd_str *texts = texts_of(value, &n);
    rc = qdi_setting_parse(&scratch, self->name, &trial, texts, n, err);
    if (rc == 0) rc = call_run(call_make(self, v->conf.key, trial.text, true), NULL, err);
    qd_arena_fini(&scratch);
    return rc;
}

/* --- apply --- */

static bool has_texts(const qd_plugin_value *v, const qd_str *texts, size_t n)
{
    bool list = v->conf.type == QD_PCONF_LIST;
    if (!v->set || (list ? v->nitems != n : n != 1)) return false;
    if (!list) return qd_str_eq(v->text, texts[0]);
    const char *p = v->text.p;
    for (size_t i = 0; i < n; i++) {
        qd_str item = qd_str_c(p);
        if (!qd_str_eq(item, texts[i])) return false;
        p += item.n + 1;
    }
    return true;
}

static void value_free(qd_plugin_value *v)
{
    qd_arena_fini(&v->arena);
    qd_free(v);
}

void qdi_values_free(qd_self *self)
{
    for (uint32_t i = 0; i < self->nvalues; i++) {
        qd_plugin_value *v = &self->values[i];
        for (qd_plugin_value *past; (past = v->past) != NULL;) {
            v->past = past->past;
            value_free(past);
        }
        v->now = NULL;
    }
}

/* A value that the setting has had and that is still there, or a new one, with texts of its own. */
static int value_for(qd_self *self, qd_plugin_value *v, const qd_setting_value *wanted,
                     qd_plugin_value **out, qd_err *err)
{
    size_t n;
    const qd_str *texts = texts_of(wanted, &n);
    *out = v;
    if (has_texts(v, texts, n)) return 0;
    for (*out = v->past; *out; *out = (*out)->past)
        if (has_texts(*out, texts, n)) return 0;
    qd_plugin_value *made = qd_calloc(&self->values_account, sizeof *made);
    if (!made) return qd_err_nomem(err, "a setting");
    made->conf = v->conf;
    qd_arena_init_small(&made->arena, &self->values_account, 0);
    int rc = qdi_setting_parse(&made->arena, self->name, made, texts, n, err);
    if (rc) {
        value_free(made);
        return rc;
    }
    made->past = v->past;
    v->past = made;
    *out = made;
    return 0;
}

/* Another one is in its place: it goes, unless the plugin may have kept its text. Under the lock.
 */
static void replaced(qd_plugin_value *v, qd_plugin_value *old)
{
    if (old == v || old->lent) return;
    qd_plugin_value **at = &v->past;
    while (*at != old) at = &(*at)->past;
    *at = old->past;
    value_free(old);
}

static const qd_setting_value *set_in(const qd_settings *s, qd_str key)
{
    const qd_setting_value *v = s ? qd_settings_get(s, key) : NULL;
    return v && v->kind != QD_SETTING_NULL ? v : NULL;
}

/* Sets one; true: it has another value now. */
static bool set_one(qd_self *self, qd_plugin_value *v, const qd_setting_value *wanted)
{
    qd_plugin_value *next = v;
    qd_err err;
    qd_err_init(&err);
    int rc = wanted ? value_for(self, v, wanted, &next, &err) : 0;
    if (rc)
        qd_log_warn(self->component, "[%.*s] was not applied: %s", QD_STR_ARG(wanted->key),
                    qd_err_reason(&err));
    qd_err_fini(&err);
    qd_plugin_value *old = qdi_setting_now(v); /* nobody else changes it */
    if (rc || next == old) return false;
    qd_mutex_lock(&self->host->values);
    v->now = next;
    replaced(v, old);
    qd_mutex_unlock(&self->host->values);
    return true;
}

/* All of a plugin have their values before it is told of the first. */
static bool set_all(qd_self *self, const qd_settings *persistent, const qd_settings *transient)
{
    bool changed[QD_PLUGIN_CONF_MAX] = {false}, any = false;
    for (uint32_t i = 0; i < self->nvalues; i++) {
        qd_plugin_value *v = &self->values[i];
        char key[512];
        if (!is_dynamic(self, v)) continue;
        snprintf(key, sizeof key, "plugin.%s.%s", self->name, v->conf.key);
        const qd_setting_value *wanted = set_in(transient, qd_str_c(key));
        if (!wanted) wanted = set_in(persistent, qd_str_c(key));
        changed[i] = set_one(self, v, wanted);
        any |= changed[i];
    }
    for (uint32_t i = 0; i < self->nvalues; i++)
        if (changed[i]) atomic_store(&self->values[i].untold, true);
    return any;
}

/* Kept by the cluster, but of no use here. */
static void warn_unused(qd_plugin_host *h, const qd_settings *s)
{
    size_t n, first = s ? qd_settings_group(s, QD_STR("plugin."), &n) : 0;
    for (size_t i = first; s && i < first + n; i++) {
        const qd_setting_value *set = qd_settings_at(s, i);
        qd_self *self;
        qd_plugin_value *v;
        qd_err err;
        qd_err_init(&err);
        if (set->kind != QD_SETTING_NULL && find_dynamic(h, set->key, "cluster", &self, &v, &err))
            qd_log_warn("plugin", "[%.*s] was not applied: %s", QD_STR_ARG(set->key),
                        qd_err_reason(&err));
        qd_err_fini(&err);
    }
}

/* --- telling --- */

static void tell(qd_self *self, qd_plugin_value *v)
{
    qd_err err;
    qd_err_init(&err);
    qd_mutex_lock(&self->host->values);
    const qd_plugin_value *now = qdi_setting_now(v);
    conf_call *c = call_make(self, v->conf.key, now->set ? now->text : (qd_str){NULL, 0}, false);
    qd_mutex_unlock(&self->host->values);
    int rc = call_run(c, &self->host->telling.task, &err);
    if (rc && !qd_task_stopped(&self->host->telling.task))
        qd_log_warn(self->component, "[plugin.%s.%s] was not applied: %s", self->name, v->conf.key,
                    qd_err_reason(&err));
    qd_err_fini(&err);
}

static void tell_all(qd_plugin_host *h)
{
    for (size_t i = 0; i < h->plugins.n; i++) {
        qd_self *self = h->plugins.at[i];
        for (uint32_t k = 0; k < self->nvalues && !qd_task_stopped(&h->telling.task); k++)
            if (atomic_exchange(&self->values[k].untold, false)) tell(self, &self->values[k]);
    }
}

/* Under the lock. */
static void set_idle(qd_plugin_host *h)
{
    h->telling.active = false;
    qd_cond_broadcast(&h->telling.idle);
}

static void run_telling(qd_work *work)
{
    qd_plugin_host *h = QD_CONTAINER_OF(work, qd_plugin_host, telling.work);
    qd_mutex_lock(&h->lock);
    while (h->telling.again && !h->telling.end) {
        h->telling.again = false;
        qd_mutex_unlock(&h->lock);
        tell_all(h);
        qd_mutex_lock(&h->lock);
    }
    set_idle(h);
    qd_mutex_unlock(&h->lock);
}

void qdi_telling_open(qd_plugin_host *h)
{
    qd_cond_init(&h->telling.idle);
    h->telling.work.run = run_telling;
    h->telling.task.magic = QD_TASK_MAGIC;
}

void qdi_telling_end(qd_plugin_host *h)
{
    qd_mutex_lock(&h->lock);
    h->telling.end = true;
    atomic_store(&h->telling.task.stop, QD_TASK_CANCELLED);
    while (h->telling.active) qd_cond_wait(&h->telling.idle, &h->lock);
    qd_mutex_unlock(&h->lock);
}

static void refused_telling(qd_plugin_host *h)
{
    qd_mutex_lock(&h->lock);
    set_idle(h);
    qd_mutex_unlock(&h->lock);
}

/* By one work at a time, so that a plugin hears of the latest value last. */
static void begin_telling(qd_plugin_host *h)
{
    qd_mutex_lock(&h->lock);
    bool begin = !h->telling.active && !h->telling.end;
    h->telling.again = true;
    if (begin) h->telling.active = true;
    qd_mutex_unlock(&h->lock);
    if (!begin) return;
    if (!h->config.pool) /* a tool's host */
        run_telling(&h->telling.work);
    else if (qd_pool_submit_forced(h->config.pool, &h->telling.work, NULL))
        refused_telling(h); /* the pool is closed: the node ends */
}

void qd_plugin_settings_apply(qd_plugin_host *h, const qd_settings *persistent,
                              const qd_settings *transient)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    bool changed = false;
    for (size_t i = 0; i < h->plugins.n; i++)
        if (!h->plugins.at[i]->builtin) changed |= set_all(h->plugins.at[i], persistent, transient);
    warn_unused(h, persistent);
    warn_unused(h, transient);
    if (changed) begin_telling(h);
}
