/*
 * toy_services.c: uses the services of the host as a test asks it to. With TOY_PATH it has that one
 * route and nothing else. It logs every new value of its settings; label "slow" is judged, and
 * "stuck" applied, after 5 s; "odd" is refused, and "code" with a code that no list has.
 */
#include <quidditch/analyzer.h>
#include <quidditch/jobs.h>
#include <quidditch/plugin.h>
#include <quidditch/route.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static const qd_svc_err *errs;
static const qd_svc_conf *conf;
static const qd_svc_log *logs;
static const qd_svc_json *json;
static const qd_svc_mem *mem;
static const qd_svc_task *tasks;
static const qd_svc_jobs *jobs;

static void nap(long s)
{
    struct timespec t = {s, 0};
    while (nanosleep(&t, &t)) continue;
}

/* --- settings --- */

static int32_t conf_check(void *arg, const char *key, qd_str value, qd_err *err)
{
    (void)arg;
    if (strcmp(key, "label") != 0) return 0;
    if (qd_plug_is(value, "slow")) nap(5);
    if (qd_plug_is(value, "code")) return 77;
    return qd_plug_is(value, "odd") ? qd_plug_fail(errs, err, QD_E_ARG, "label wants an even text")
                                    : 0;
}

static void conf_apply(void *arg, const char *key, qd_str value)
{
    qd_self *self = (qd_self *)arg;
    qd_str word = {"", 0};
    if (qd_plug_is(value, "stuck")) nap(5);
    for (uint32_t i = 0; strcmp(key, "words") == 0 && conf->list(self, key, i, &word) == 0; i++)
        qd_plug_log(logs, self, QD_LEVEL_INFO, "word %u is [%.*s]", i, (int)word.n, word.p);
    int64_t rate = 0;
    conf->i64(self, "rate", &rate);
    qd_plug_log(logs, self, QD_LEVEL_INFO, "%s is now %s[%.*s], rate %lld", key,
                value.p ? "" : "unset ", (int)value.n, value.p ? value.p : "", (long long)rate);
}

/* --- jobs --- */

/* Of one node; the tests have one node a process. */
static qd_self *job_self;
static uint64_t job_id;
static _Atomic int started, ended, ticks, running;

static volatile uintptr_t nowhere = 16;

static int32_t job_run(void *arg, const qd_task *task, qd_err *err)
{
    const char *what = (const char *)arg;
    if (atomic_fetch_add(&running, 1) && strcmp(what, "again") == 0)
        qd_plug_log(logs, job_self, QD_LEVEL_INFO, "two runs at a time");
    struct timespec t = {0, 10000000};
    if (strcmp(what, "crash") == 0) *(volatile int *)nowhere = 1;
    if (strcmp(what, "long") == 0)
        while (!tasks->cancelled(task)) nanosleep(&t, NULL);
    if (strcmp(what, "long") == 0)
        qd_plug_log(logs, job_self, QD_LEVEL_INFO, "the long job is cancelled");
    if (strcmp(what, "itself") == 0) jobs->cancel(job_self, job_id);
    if (strcmp(what, "again") == 0) atomic_fetch_add(&ticks, 1);
    atomic_fetch_sub(&running, 1);
    return strcmp(what, "failing") == 0 ? qd_plug_fail(errs, err, QD_E_IO, "the toy is worn out")
                                        : 0;
}

static void job_ended(void *arg)
{
    atomic_fetch_add(&ended, 1);
    qd_plug_log(logs, job_self, QD_LEVEL_INFO, "job %s has ended", (const char *)arg);
}

static int32_t job_add(qd_self *self, const char *name, int64_t delay_ns, int64_t period_ns,
                       qd_err *err)
{
    qd_job_spec s = {sizeof s,  0,       name,      delay_ns,
                     period_ns, job_run, job_ended, (void *)(uintptr_t)name};
    int32_t rc = jobs->start(self, &s, &job_id, err);
    if (rc == 0) atomic_fetch_add(&started, 1);
    return rc;
}

/* Refused, and nothing happens. */
static int32_t bad_jobs(qd_self *self, qd_err *err)
{
    qd_job_spec s = {sizeof s, 0, "bad", 0, 0, job_run, NULL, NULL};
    uint64_t id;
    int wrong = jobs->start(self, NULL, &id, NULL) != QD_E_ARG;
    wrong += jobs->start(self, &s, NULL, NULL) != QD_E_ARG;
    s.struct_size = 8;
    wrong += jobs->start(self, &s, &id, NULL) != QD_E_ARG;
    s.struct_size = sizeof s;
    s.run = NULL;
    wrong += jobs->start(self, &s, &id, NULL) != QD_E_ARG;
    s.run = job_run;
    s.name = "";
    wrong += jobs->start(self, &s, &id, NULL) != QD_E_ARG;
    s.name = "bad";
    s.delay_ns = -1;
    wrong += jobs->start(self, &s, &id, NULL) != QD_E_ARG;
    s.delay_ns = 0;
    s.period_ns = 1;
    wrong += jobs->start(self, &s, &id, NULL) != QD_E_ARG;
    wrong += jobs->cancel(self, 123456789) != QD_E_NOTFOUND;
    return wrong ? qd_plug_fail(errs, err, QD_E_INTERNAL, "%d bad jobs were not refused", wrong)
                 : 0;
}

static int32_t job_act(qd_self *self, qd_str to, qd_route_answer *a, qd_err *err)
{
    char text[96];
    int32_t rc = 0;
    if (qd_plug_is(to, "once")) rc = job_add(self, "once", 0, 0, err);
    if (qd_plug_is(to, "later")) rc = job_add(self, "later", 200000000, 0, err);
    if (qd_plug_is(to, "again")) rc = job_add(self, "again", 0, 20000000, err);
    if (qd_plug_is(to, "itself")) rc = job_add(self, "itself", 50000000, 20000000, err);
    if (qd_plug_is(to, "failing")) rc = job_add(self, "failing", 0, 20000000, err);
    if (qd_plug_is(to, "crash")) rc = job_add(self, "crash", 0, 0, err);
    if (qd_plug_is(to, "long")) rc = job_add(self, "long", 0, 0, err);
    if (qd_plug_is(to, "cancel")) rc = jobs->cancel(self, job_id);
    if (qd_plug_is(to, "bad")) rc = bad_jobs(self, err);
    for (int i = 0; qd_plug_is(to, "fill") && rc == 0; i++)
        rc = job_add(self, "fill", 3600000000000, 0, err);
    snprintf(text, sizeof text, "started %d ended %d ticks %d", atomic_load(&started),
             atomic_load(&ended), atomic_load(&ticks));
    a->format = QD_FORMAT_TEXT;
    return rc ? rc : a->write(a, qd_plug_str(text));
}

/* --- routes --- */

static void put(qd_json_out *out, uint32_t type, qd_str text)
{
    qd_jev e;
    memset(&e, 0, sizeof e);
    e.type = type;
    e.text = text;
    json->put(out, &e);
}

static void field(qd_json_out *out, qd_str key, qd_str value)
{
    put(out, QD_JEV_KEY, key);
    put(out, QD_JEV_STRING, value);
}

static int32_t echo(const qd_route_request *r, qd_route_answer *a)
{
    char n[16];
    snprintf(n, sizeof n, "%u", r->nparts);
    put(a->json, QD_JEV_OBJECT, QD_STR(""));
    field(a->json, QD_STR("method"), r->method);
    field(a->json, QD_STR("path"), r->path);
    field(a->json, QD_STR("body"), r->body);
    field(a->json, QD_STR("parts"), qd_plug_str(n));
    put(a->json, QD_JEV_KEY, QD_STR("params"));
    put(a->json, QD_JEV_OBJECT, QD_STR(""));
    for (uint32_t i = 0; i < r->nparams; i++) field(a->json, r->params[i].key, r->params[i].value);
    put(a->json, QD_JEV_OBJECT_END, QD_STR(""));
    put(a->json, QD_JEV_OBJECT_END, QD_STR(""));
    return 0;
}

static int number(qd_str text)
{
    int n = 0;
    for (size_t i = 0; i < text.n && i < 6; i++) n = n * 10 + text.p[i] - '0';
    return n;
}

#define LINE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

/* So many MiB, whatever becomes of them. */
static int32_t write_much(qd_route_answer *a, int mib)
{
    put(a->json, QD_JEV_ARRAY, QD_STR(""));
    for (int i = 0; i < mib << 14; i++) put(a->json, QD_JEV_STRING, QD_STR(LINE));
    put(a->json, QD_JEV_ARRAY_END, QD_STR(""));
    return 0;
}

/* Does what the path says. */
static int32_t act(qd_self *self, const qd_route_request *r, qd_route_answer *a, qd_err *err)
{
    qd_str to = qd_plug_option(r->params + r->nparts, r->nparams - r->nparts, "to", QD_STR("200")),
           what = r->params[0].value;
    if (qd_plug_is(what, "text")) {
        a->format = QD_FORMAT_TEXT;
        a->status = 202;
        return a->write(a, QD_STR("plain words\n"));
    }
    if (qd_plug_is(what, "code")) return 77;
    if (qd_plug_is(what, "job")) return job_act(self, to, a, err);
    if (qd_plug_is(what, "fail"))
        return qd_plug_fail(errs, err, QD_E_NOTFOUND, "there is no such toy");
    if (qd_plug_is(what, "format")) a->format = 99;
    if (qd_plug_is(what, "open")) put(a->json, QD_JEV_OBJECT, QD_STR(""));
    if (qd_plug_is(what, "memory")) return mem->alloc(self, (size_t)1 << 40) ? 0 : QD_E_NOMEM;
    if (qd_plug_is(what, "status")) a->status = number(to);
    if (qd_plug_is(what, "much")) return write_much(a, number(to));
    if (qd_plug_is(what, "big"))
        for (int32_t rc = 0; rc == 0;)
            if ((rc = a->write(a, QD_STR(LINE))) != 0) return rc;
    if (qd_plug_is(what, "slow")) {
        for (int i = 0; i < 600 && !tasks->cancelled(r->task); i++) {
            struct timespec t = {0, 10000000};
            nanosleep(&t, NULL);
        }
        qd_plug_log(logs, self, QD_LEVEL_INFO, "slow %s",
                    tasks->cancelled(r->task) ? "is cancelled" : "has ended");
        return echo(r, a); /* all that it was given is there */
    }
    return 0;
}

static int32_t handle(qd_self *self, const qd_route_request *r, qd_route_answer *a, qd_err *err)
{
    return r->route == 0 ? act(self, r, a, err) : echo(r, a);
}

static const qd_route routes[] = {
#ifdef TOY_PATH
    {TOY_METHODS, TOY_PATH, NULL, "One that is refused", QD_ROUTE_READ, 0},
#else
    {"GET", "/_toy/{do}", "to", "Does what it says", QD_ROUTE_READ, 0},
    {"GET|POST|PUT", "/_toy/echo/{a}/{b}", "x,y", "Says what was asked",
     QD_ROUTE_WRITE | QD_ROUTE_BODY, 0},
    {"DELETE", "/_toy/echo/{a}/{b}", "x", "The same", QD_ROUTE_WRITE | QD_ROUTE_BODY_REQUIRED, 0},
    {"GET", "/{index}/_toy", NULL, "The same of an index", QD_ROUTE_READ, 0},
#endif
};
static const qd_route_vtable route_table = {QD_VTABLE(qd_route_vtable, ROUTE, 0), routes,
                                            sizeof routes / sizeof routes[0], sizeof(qd_route),
                                            handle};

/* --- the plugin --- */

#ifndef TOY_NAME
#define TOY_NAME "toy-services"
#endif

static int32_t filter_open(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    (void)config, (void)err;
    *out = self;
    return 0;
}
static int32_t filter_run(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    (void)filter, (void)in, (void)out, (void)err;
    return 1;
}
static void filter_close(void *filter)
{
    (void)filter;
}
static const qd_token_filter_vtable filter = {QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, 0),
                                              filter_open, filter_run, filter_close};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    conf = (const qd_svc_conf *)host->service(self, QD_SERVICE_CONF, 0);
    logs = (const qd_svc_log *)host->service(self, QD_SERVICE_LOG, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    tasks = (const qd_svc_task *)host->service(self, QD_SERVICE_TASK, 0);
    jobs = (const qd_svc_jobs *)host->service(self, QD_SERVICE_JOBS, 6);
    if (!errs || !conf || !logs || !json || !mem || !tasks || !jobs)
        return qd_plug_no_service(host, self, err);
    job_self = self;
    int32_t rc = conf->watch(self, conf_check, conf_apply, self);
    if (rc == 0) rc = host->provide(self, QD_KIND_TOKEN_FILTER, TOY_NAME, &filter, err);
    return rc ? rc : host->provide(self, QD_KIND_ROUTE, TOY_NAME, &route_table, err);
}

static void stop(qd_self *self, void (*done)(void *arg), void *arg)
{
    qd_plug_log(logs, self, QD_LEVEL_INFO, "stop: %d of %d jobs have ended, %d run",
                atomic_load(&ended), atomic_load(&started), atomic_load(&running));
    if (job_add(self, "once", 0, 0, NULL) == 0) __builtin_trap(); /* nothing begins any more */
    done(arg);
}

static const qd_plugin_conf settings[] = {
    {"label", QD_PCONF_STRING, QD_PCONF_DYNAMIC, "even", NULL, 0, 0, "not odd", NULL},
    {"rate", QD_PCONF_INT, QD_PCONF_DYNAMIC, "3", NULL, 1, 9, "1 to 9", NULL},
    {"words", QD_PCONF_LIST, QD_PCONF_DYNAMIC, NULL, NULL, 0, 0, "what it says", NULL},
    {"fixed", QD_PCONF_INT, 0, "1", NULL, 1, 9, "1 to 9", NULL},
    {"password", QD_PCONF_SECRET, QD_PCONF_DYNAMIC, NULL, NULL, 0, 0, "not shown", NULL},
    {NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL},
};
static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), TOY_NAME, "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(settings, init, NULL, stop)};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE(TOY_NAME, "1.0.0", 0, 2, QD_NOTE_FOR(TOKEN_FILTER), QD_NOTE_FOR(ROUTE))
