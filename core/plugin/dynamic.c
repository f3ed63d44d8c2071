/*
 * dynamic.c: settings of plugins that change while the node runs. The plugin judges a value before
 * the cluster keeps it, and every node tells its plugin of the value that then holds; both calls
 * are supervised, as a plugin that hangs must not hold up the cluster's state.
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

/* Asks the plugin (check) or tells it. The call has a copy of the value: it may be left. */
static int call_plugin(qd_self *self, const char *key, qd_str value, bool check, qd_err *err)
{
    conf_call *c = qd_calloc(NULL, sizeof *c + value.n + 1);
    if (!c) return qd_err_nomem(err, "a setting of a plugin");
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
    bool ran;
    int rc = qd_guest_run(qd_plugin_guests(self), &c->call, NULL, &ran, err);
    if (rc && ran) return rc; /* it is the guest's now */
    if (!rc && c->call.rc) rc = qd_guest_failed(&c->call, &c->err, err);
    call_free(&c->call);
    return rc;
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
    if (rc == 0) rc = call_plugin(self, v->conf.key, trial.text, true, err);
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

/* A value that the setting has had, or a new one. */
static int value_for(qd_self *self, qd_plugin_value *v, const qd_setting_value *wanted,
                     qd_plugin_value **out, qd_err *err)
{
    qd_arena *arena = &self->host->values;
    size_t n;
    const qd_str *texts = texts_of(wanted, &n);
    *out = v;
    if (has_texts(v, texts, n)) return 0;
    for (*out = v->past; *out; *out = (*out)->past)
        if (has_texts(*out, texts, n)) return 0;
    qd_plugin_value *made = qd_arena_calloc(arena, sizeof *made);
    if (!made)
        return qd_err_set(err, QD_E_LIMIT,
                          "settings of plugins have had too many values since the start: more than "
                          "%u bytes",
                          QD_PLUGIN_VALUES_MAX);
    made->conf = v->conf;
    int rc = qdi_setting_parse(arena, self->name, made, texts, n, err);
    if (rc) return rc;
    made->past = v->past;
    v->past = made;
    *out = made;
    return 0;
}

static const qd_setting_value *set_in(const qd_settings *s, qd_str key)
{
    const qd_setting_value *v = s ? qd_settings_get(s, key) : NULL;
    return v && v->kind != QD_SETTING_NULL ? v : NULL;
}

/* Sets one; true: it has another value now, and the plugin is to be told. */
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
    if (rc || next == qdi_setting_now(v)) return false;
    atomic_store(&v->now, next);
    return true;
}

static void tell(qd_self *self, const qd_plugin_value *v)
{
    const qd_plugin_value *now = qdi_setting_now(v);
    qd_err err;
    qd_err_init(&err);
    if (call_plugin(self, v->conf.key, now->set ? now->text : (qd_str){NULL, 0}, false, &err))
        qd_log_warn(self->component, "[plugin.%s.%s] was not applied: %s", self->name, v->conf.key,
                    qd_err_reason(&err));
    qd_err_fini(&err);
}

/* All have their values before the plugin is told of the first. */
static void apply_all(qd_self *self, const qd_settings *persistent, const qd_settings *transient)
{
    bool changed[QD_PLUGIN_CONF_MAX] = {false};
    for (uint32_t i = 0; i < self->nvalues; i++) {
        qd_plugin_value *v = &self->values[i];
        char key[512];
        if (!is_dynamic(self, v)) continue;
        snprintf(key, sizeof key, "plugin.%s.%s", self->name, v->conf.key);
        const qd_setting_value *wanted = set_in(transient, qd_str_c(key));
        if (!wanted) wanted = set_in(persistent, qd_str_c(key));
        changed[i] = set_one(self, v, wanted);
    }
    for (uint32_t i = 0; i < self->nvalues; i++)
        if (changed[i]) tell(self, &self->values[i]);
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

void qd_plugin_settings_apply(qd_plugin_host *h, const qd_settings *persistent,
                              const qd_settings *transient)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    for (size_t i = 0; i < h->plugins.n; i++)
        if (!h->plugins.at[i]->builtin) apply_all(h->plugins.at[i], persistent, transient);
    warn_unused(h, persistent);
    warn_unused(h, transient);
}
