/*
 * toy_services.c: uses the services of the host as a test asks it to. It logs every new value of
 * its settings; label "slow" is judged, and "stuck" applied, after 5 s; "odd" is refused, and
 * "code" with a code that no list has.
 */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>
#include <time.h>

static const qd_svc_err *errs;
static const qd_svc_conf *conf;
static const qd_svc_log *logs;

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

/* --- the plugin --- */

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
    int32_t rc = conf->watch(self, conf_check, conf_apply, self);
    return rc ? rc : host->provide(self, QD_KIND_TOKEN_FILTER, "toy_services", &filter, err);
}

static const qd_plugin_conf settings[] = {
    {"label", QD_PCONF_STRING, QD_PCONF_DYNAMIC, "even", NULL, 0, 0, "not odd", NULL},
    {"rate", QD_PCONF_INT, QD_PCONF_DYNAMIC, "3", NULL, 1, 9, "1 to 9", NULL},
    {"words", QD_PCONF_LIST, QD_PCONF_DYNAMIC, NULL, NULL, 0, 0, "what it says", NULL},
    {"fixed", QD_PCONF_INT, 0, "1", NULL, 1, 9, "1 to 9", NULL},
    {"password", QD_PCONF_SECRET, QD_PCONF_DYNAMIC, NULL, NULL, 0, 0, "not shown", NULL},
    {NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL},
};
static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0), "toy-services", "1.0.0", "Apache-2.0", QD_BUILD_ID, NULL,
    settings,          init,           NULL,    NULL};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("toy-services", "1.0.0", 0, 1, QD_NOTE_FOR(TOKEN_FILTER))
