/* host.c: opening and closing a host, starting and stopping its plugins, telling what it holds. */
#include "plugin/guest.h"
#include "plugin/host_int.h"
#include <stdarg.h>
#include <stdio.h>

#define CALL_TIMEOUT_NS (5 * UINT64_C(1000000000))

#ifndef QD_BUILD_ID_HOST
#define QD_BUILD_ID_HOST ""
#endif

const char *qd_plugin_build_id(void)
{
    return QD_BUILD_ID_HOST;
}

const char *qdi_text(qd_plugin_host *h, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) return "";
    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    qd_str s = qd_arena_str(&h->arena, (qd_str){text, len});
    return s.p ? s.p : "";
}

static int64_t limit_of(const qd_plugin_host *h, qd_str name)
{
    for (size_t i = 0; i < h->config.nlimits; i++)
        if (qd_str_eq(h->config.limits[i].plugin, name)) return h->config.limits[i].bytes;
    return h->config.memory_limit;
}

qd_self *qdi_self_make(qd_plugin_host *h, qd_str name)
{
    qd_self *self = qd_arena_calloc(&h->arena, sizeof *self);
    if (!self) return NULL;
    self->magic = QD_SELF_MAGIC;
    self->host = h;
    self->name = qdi_text(h, "%.*s", QD_STR_ARG(name));
    self->component = qdi_text(h, "plugin.%.*s", QD_STR_ARG(name));
    self->version = self->license = self->file = self->sha256 = self->reason = "";
    qd_account_init(&self->account, self->component, &h->account, limit_of(h, name));
    qd_account_init(&self->values_account, "settings", &h->account, QD_PLUGIN_VALUES_MAX);
    return self;
}

static void self_data_set(qd_self *self, void *data)
{
    self->data = data;
}
static void *self_data(qd_self *self)
{
    return self->data;
}

/* Copies a list of texts or pairs into the arena; NULL when out of memory. */
static const qd_str *copy_texts(qd_arena *a, const qd_str *from, size_t n)
{
    qd_str *to = qd_arena_calloc(a, (n + 1) * sizeof *to);
    for (size_t i = 0; to && i < n; i++)
        if (!(to[i] = qd_arena_str(a, from[i])).p && from[i].n) return NULL;
    return to;
}

static const qd_pair *copy_pairs(qd_arena *a, const qd_pair *from, size_t n)
{
    qd_pair *to = qd_arena_calloc(a, (n + 1) * sizeof *to);
    for (size_t i = 0; to && i < n; i++) {
        to[i] = (qd_pair){qd_arena_str(a, from[i].key), qd_arena_str(a, from[i].value)};
        if ((!to[i].key.p && from[i].key.n) || (!to[i].value.p && from[i].value.n)) return NULL;
    }
    return to;
}

static const qd_plugin_limit *copy_limits(qd_arena *a, const qd_plugin_limit *from, size_t n)
{
    qd_plugin_limit *to = qd_arena_calloc(a, (n + 1) * sizeof *to);
    for (size_t i = 0; to && i < n; i++) {
        to[i] = (qd_plugin_limit){qd_arena_str(a, from[i].plugin), from[i].bytes};
        if (!to[i].plugin.p && from[i].plugin.n) return NULL;
    }
    return to;
}

qd_env *qd_plugin_host_env(const qd_plugin_host *host)
{
    QD_CHECK(host, QD_PLUGIN_HOST_MAGIC);
    return host->config.env;
}

int qd_plugin_host_open(const qd_plugin_host_config *config, qd_plugin_host **out, qd_err *err)
{
    qd_assert(config->env != NULL);
    qd_plugin_host *h = qd_calloc(NULL, sizeof *h);
    if (!h) return qd_err_nomem(err, "plugin host");
    h->magic = QD_PLUGIN_HOST_MAGIC;
    qd_account_init(&h->account, "plugins", NULL, 0);
    qd_arena_init(&h->arena, &h->account, 0);
    qd_mutex_init(&h->values);
    qd_mutex_init(&h->lock);
    qdi_telling_open(h);
    h->metrics_end = &h->metrics;
    h->config = *config;
    h->config.paths = copy_texts(&h->arena, config->paths, config->npaths);
    h->config.trust_dir = qd_arena_str(&h->arena, config->trust_dir);
    h->config.allow = copy_texts(&h->arena, config->allow, config->nallow);
    h->config.sha256 = copy_pairs(&h->arena, config->sha256, config->nsha256);
    h->config.limits = copy_limits(&h->arena, config->limits, config->nlimits);
    h->config.settings = copy_pairs(&h->arena, config->settings, config->nsettings);
    h->table = (qd_host){sizeof h->table, QD_ABI_MAJOR,     QD_ABI_MINOR, config->flags,
                         QD_VERSION,      QD_BUILD_ID_HOST, qdi_service,  qdi_provide,
                         self_data_set,   self_data,        qdi_lookup};
    h->uv = (qd_svc_uv){{sizeof h->uv, QD_ABI_MAJOR, QD_ABI_MINOR, 0}, config->uv_version, 0};
    uint64_t limit = config->call_timeout_ns ? config->call_timeout_ns : CALL_TIMEOUT_NS;
    if (qdi_guests_open(config->env, limit, &h->guests) || qdi_jobs_open(h, &h->jobs) ||
        !h->config.paths || !h->config.allow || !h->config.sha256 || !h->config.limits ||
        !h->config.settings) {
        qd_plugin_host_close(h);
        return qd_err_nomem(err, "plugin host");
    }
    *out = h;
    return 0;
}

void qd_plugin_host_close(qd_plugin_host *h)
{
    if (!h) return;
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qdi_telling_end(h); /* it calls through the guests */
    bool returned = qdi_guests_close(h->guests);
    if (returned) h->guests = NULL;
    qd_plugin_host_stop(h);
    if (!returned) return; /* a plugin still runs in what would be freed: the process is ending */
    qd_assert(h->pieces == NULL); /* a plugin's stop waits for its own work */
    qdi_jobs_close(h->jobs);
    qdi_metrics_free(h);
    for (uint32_t kind = 0; kind < QD_KIND_COUNT; kind++) qd_vec_fini(&h->provided[kind]);
    qd_vec_fini(&h->edges);
    for (size_t i = 0; i < h->plugins.n; i++) {
        qdi_values_free(h->plugins.at[i]);
        if (qd_account_used(&h->plugins.at[i]->account))
            qd_log_debug("plugin", "plugin [%s] kept %lld bytes", h->plugins.at[i]->name,
                         (long long)qd_account_used(&h->plugins.at[i]->account));
    }
    qd_vec_fini(&h->plugins);
    qd_vec_fini(&h->refused);
    qd_arena_fini(&h->arena);
    qd_cond_fini(&h->telling.idle);
    qd_mutex_fini(&h->values);
    qd_mutex_fini(&h->lock);
    h->magic = 0;
    qd_free(h);
}

void qd_plugin_host_service(qd_plugin_host *h, uint32_t id, const qd_vtable *table)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qd_assert(id > 0 && id < QD_SERVICE_COUNT);
    h->services[id] = table;
}

void qd_plugin_host_service_arg(qd_plugin_host *h, uint32_t id, void *arg)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qd_assert(id > 0 && id < QD_SERVICE_COUNT);
    atomic_store(&h->service_args[id], arg);
}

void *qd_plugin_service_arg(const qd_self *self, uint32_t id)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    qd_assert(id > 0 && id < QD_SERVICE_COUNT);
    return atomic_load(&self->host->service_args[id]);
}

const qd_plugin_host *qd_plugin_self_host(const qd_self *self)
{
    return self ? self->host : NULL;
}

qd_account *qd_plugin_self_account(qd_self *self)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    return self->builtin ? NULL : &self->account;
}

const char *qd_plugin_self_name(const qd_self *self)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    return self->name;
}

void qd_plugin_host_tasks(qd_plugin_host *h, struct qd_tasks *tasks)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    h->tasks = tasks;
}

void qd_plugin_host_fault(qd_plugin_host *h,
                          int32_t (*fn)(void *arg, const char *plugin, const char *point),
                          void *arg)
{
    h->fault_arg = arg;
    h->fault = fn;
}

int qdi_start_one(qd_self *self, qd_err *err)
{
    if (self->state != QD_PLUGIN_LOADED) return 0;
    qd_err why;
    qd_err_init(&why);
    int rc = self->start_rc;
    if (!rc && self->plugin.start) rc = self->plugin.start(self, &why);
    self->start_rc = rc;
    if (rc)
        qd_err_set(err, rc, "plugin [%s] did not start: %s", self->name,
                   why.code ? qd_err_reason(&why) : qd_code_name(rc));
    else
        self->state = QD_PLUGIN_STARTED;
    qd_err_fini(&why);
    return rc;
}

int qd_plugin_host_start(qd_plugin_host *h, qd_err *err)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    const qd_plugin_host *before = qdi_lookup_busy(h);
    int rc = 0;
    h->starting = true;
    for (size_t i = 0; i < h->plugins.n && !rc; i++) rc = qdi_start_one(h->plugins.at[i], err);
    h->starting = false;
    h->started = !rc;
    (void)qdi_lookup_busy(before);
    if (rc) qd_plugin_host_stop(h);
    return rc;
}

static void stop_done(void *arg)
{
    qd_latch_done(arg, 0);
}

static void stop_one(qd_self *self)
{
    uint32_t left, stuck;
    qdi_jobs_stop(self);
    qd_guests_count(self->host->guests, self, &left, &stuck);
    if (!self->plugin.stop || left) return; /* it may wait for that call */
    qd_latch latch;
    qd_latch_init(&latch, 1);
    self->plugin.stop(self, stop_done, &latch);
    (void)qd_latch_wait(&latch);
}

void qd_plugin_host_stop(qd_plugin_host *h)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qdi_telling_end(h);
    for (qd_self *self; (self = qdi_stop_begin(h)) != NULL;) stop_one(self);
}

size_t qd_plugin_count(const qd_plugin_host *h)
{
    return h->plugins.n + h->refused.n;
}

void qd_plugin_info_get(const qd_plugin_host *h, size_t i, qd_plugin_info *out)
{
    qd_assert(i < qd_plugin_count(h));
    qd_self *self = i < h->plugins.n ? h->plugins.at[i] : h->refused.at[i - h->plugins.n];
    *out = (qd_plugin_info){
        .state = self->state,
        .builtin = self->builtin,
        .absent = self->absent,
        .name = self->name,
        .version = self->version,
        .license = self->license,
        .file = self->file,
        .sha256 = self->sha256,
        .reason = self->reason,
        .conf = self->nvalues ? self->schema : NULL,
        .kinds = self->kinds,
        .memory = qd_account_used(&self->account),
        .self = self,
    };
}

void qd_plugin_usage_each(const qd_plugin_host *h,
                          void (*each)(void *arg, const qd_plugin_usage *u), void *arg)
{
    for (size_t i = 0; i < h->plugins.n; i++) {
        const qd_self *self = h->plugins.at[i];
        if (self->builtin) continue;
        qd_plugin_usage u = {
            .plugin = self->name,
            .memory = qd_account_used(&self->account),
            .memory_limit = atomic_load(&((qd_self *)(uintptr_t)self)->account.limit),
            .memory_refused = (uint64_t)atomic_load(&((qd_self *)(uintptr_t)self)->account.trips)};
        qd_guests_count(h->guests, self, &u.calls_left, &u.calls_over_time);
        each(arg, &u);
    }
}
