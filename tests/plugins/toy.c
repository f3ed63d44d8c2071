/*
 * toy.c: one source, many plugins: each variant of module.mk is sound but for one thing, so that
 * the tests can show each refusal. TOY_NAME is the name; the other macros switch defects on.
 */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>

/* Kept as enumerators, as the macros are redefined for the note below. */
enum { HOST_MAJOR = QD_ABI_MAJOR, HOST_MINOR = QD_ABI_MINOR, KIND_MINOR = QD_TOKEN_FILTER_MINOR };

#ifndef TOY_MAJOR
#define TOY_MAJOR HOST_MAJOR
#endif
#ifndef TOY_MINOR
#define TOY_MINOR HOST_MINOR
#endif
#ifndef TOY_KIND_MINOR
#define TOY_KIND_MINOR KIND_MINOR
#endif
#ifndef TOY_PROVIDES
#define TOY_PROVIDES TOY_NAME
#endif
#ifndef TOY_IDLE
#define TOY_IDLE 0
#endif
#ifndef TOY_FLAGS
#define TOY_FLAGS 0
#endif

static const qd_svc_err *err_svc;
static const qd_svc_conf *conf_svc;

/* Upper-cases ASCII in place. */
static int32_t toy_open(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    (void)config;
    (void)err;
    *out = self;
    return 0;
}
__attribute__((unused)) static int32_t toy_run(const void *filter, qd_token_batch *in,
                                               qd_token_batch *out, qd_err *err)
{
    (void)filter;
    (void)out;
    (void)err;
    for (uint32_t i = 0; i < in->nbytes; i++)
        if (in->bytes[i] >= 'a' && in->bytes[i] <= 'z') in->bytes[i] = (char)(in->bytes[i] - 32);
    return 1;
}
static void toy_close(void *filter)
{
    (void)filter;
}

static const qd_token_filter_vtable table = {
    {sizeof(qd_token_filter_vtable), QD_TOKEN_FILTER_MAJOR, TOY_KIND_MINOR,
#ifdef TOY_BAD_FLAG
     1ull << 20},
#else
     QD_ANALYZER_NORMALIZER},
#endif
    toy_open,
#ifdef TOY_NO_SLOT
    NULL,
#else
    toy_run,
#endif
    toy_close,
};

static int32_t conf_check(void *arg, const char *key, qd_str value, qd_err *err)
{
    (void)arg;
    (void)key;
    return value.n > 3 ? qd_plug_fail(err_svc, err, QD_E_ARG, "toys are short") : 0;
}
static void conf_apply(void *arg, const char *key, qd_str value)
{
    (void)arg;
    (void)key;
    (void)value;
}

#ifdef TOY_UNDEFINED
int toy_nowhere(void);
#endif

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    err_svc = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    conf_svc = (const qd_svc_conf *)host->service(self, QD_SERVICE_CONF, 0);
    if (!err_svc || !conf_svc) return qd_plug_no_service(host, self, err);
#ifdef TOY_UNDEFINED
    if (toy_nowhere()) return QD_E_INTERNAL;
#endif
    int32_t rc =
        TOY_IDLE ? 0 : host->provide(self, QD_KIND_TOKEN_FILTER, TOY_PROVIDES, &table, err);
#ifdef TOY_INIT_FAILS
    if (rc == 0) rc = qd_plug_fail(err_svc, err, QD_E_STATE, "the toy is broken");
#endif
    conf_svc->watch(self, conf_check, conf_apply, NULL);
    return rc;
}

static int32_t start(qd_self *self, qd_err *err)
{
    (void)self;
#ifdef TOY_START_FAILS
    return qd_plug_fail(err_svc, err, QD_E_IO, "the toy has no battery");
#else
    (void)err;
    return 0;
#endif
}

static void stop(qd_self *self, void (*done)(void *arg), void *arg)
{
    (void)self;
    done(arg);
}

static const qd_plugin_conf conf[] = {
    {"level", QD_PCONF_INT, 0, "3", NULL, 1, 9, "how loud, 1 to 9", NULL},
    {"mode", QD_PCONF_ENUM, 0, "plain", "plain|fancy", 0, 0, "how it looks", NULL},
    {"size", QD_PCONF_BYTES, 0, "1kb", NULL, 0, 1 << 20, "bytes of the toy", NULL},
    {"wait", QD_PCONF_TIME, 0, "1500ms", NULL, 0, 0, "before it plays", NULL},
    {"share", QD_PCONF_FLOAT, 0, "0.5", NULL, 0, 0, "part of it", NULL},
    {"words", QD_PCONF_LIST, 0, NULL, NULL, 0, 0, "what it says", NULL},
    {"label", QD_PCONF_STRING, QD_PCONF_DYNAMIC, "toy", NULL, 0, 0, "at most 3 bytes", NULL},
    {"key", QD_PCONF_SECRET, 0, NULL, NULL, 0, 0, "opens it", NULL},
    {"on", QD_PCONF_BOOL, 0, "true", NULL, 0, 0, "does it play", NULL},
#ifdef TOY_REQUIRED
    {"owner", QD_PCONF_STRING, QD_PCONF_REQUIRED, NULL, NULL, 0, 0, "whose it is", NULL},
#endif
    {NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL},
};

#ifdef TOY_DEP
static const qd_plugin_dep deps[] = {
    {TOY_DEP,
#ifdef TOY_DEP_VERSION
     TOY_DEP_VERSION
#else
     NULL
#endif
    },
    {NULL, NULL},
};
#else
#define deps NULL
#endif

static const qd_plugin plugin = {
    QD_PLUGIN_MAGIC,
    TOY_MAJOR,
    TOY_MINOR,
    sizeof(qd_plugin),
    TOY_FLAGS,
    sizeof(qd_plugin_conf),
    sizeof(qd_plugin_dep),
    TOY_NAME,
#ifdef TOY_LIES
    "9.9.9",
#else
    "1.2.3",
#endif
    "Apache-2.0",
    QD_BUILD_ID,
    deps,
    conf,
    init,
    start,
    stop,
};

#ifndef TOY_NO_ENTRY
QD_PLUGIN_ENTRY(plugin)
#else
__attribute__((visibility("default"))) const qd_plugin *toy_entry(void);
const qd_plugin *toy_entry(void)
{
    return &plugin;
}
#endif

#ifndef TOY_NO_NOTE
#undef QD_ABI_MAJOR
#define QD_ABI_MAJOR TOY_MAJOR
#undef QD_ABI_TARGET
#define QD_ABI_TARGET TOY_MINOR
#undef QD_TOKEN_FILTER_MINOR
#define QD_TOKEN_FILTER_MINOR TOY_KIND_MINOR
#ifdef TOY_KIND_LIES
#undef QD_TOKEN_FILTER_MINOR
#define QD_TOKEN_FILTER_MINOR KIND_MINOR
#endif
QD_PLUGIN_NOTE(TOY_NAME, "1.2.3", TOY_FLAGS, 1, QD_NOTE_FOR(TOKEN_FILTER))
#endif
