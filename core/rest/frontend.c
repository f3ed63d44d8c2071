/* frontend.c: the REST front-end behind the SDK's vtable: options, loops, listening. */
#include "action/api/plugin_routes.h"
#include "base/log.h"
#include "config/value.h"
#include "rest/rest_int.h"
#include <stdio.h>
#include <string.h>

static _Atomic bool the_retiring; /* the node stops soon: answers end their connections */

static qd_http_limits the_limits;

static qd_str option(const qd_frontend_config *c, const char *key)
{
    for (uint32_t i = 0; i < c->noptions; i++) {
        if (qd_str_is(c->options[i].key, key)) return c->options[i].value;
    }
    return (qd_str){NULL, 0};
}

static int number(const qd_frontend_config *c, const char *key, int64_t standard, int64_t *out,
                  qd_err *err)
{
    qd_str v = option(c, key);
    *out = standard;
    if (!v.n || qd_str_i64(v, out)) return 0;
    return qd_err_set(err, QD_E_ARG, "option [%s] of the REST front-end is no number: [%.*s]", key,
                      QD_STR_ARG(v));
}

static int bytes(const qd_frontend_config *c, const char *key, int64_t standard, int64_t *out,
                 qd_err *err)
{
    qd_str v = option(c, key);
    *out = standard;
    return v.n ? qd_value_bytes(v, key, out, err) : 0;
}

static int time_ns(const qd_frontend_config *c, const char *key, int64_t standard, int64_t *out,
                   qd_err *err)
{
    qd_str v = option(c, key);
    *out = standard;
    return v.n ? qd_value_time(v, key, out, err) : 0;
}

static const char *const identities[] = {"es7", "es8", "es9", "os2", "os3", "es7.10.2"};

static int identity(const qd_frontend_config *c, rest_identity *out, qd_err *err)
{
    qd_str v = option(c, "identity");
    *out = IDENTITY_ES8;
    for (size_t i = 0; i < QD_COUNT_OF(identities); i++) {
        if (qd_str_is(v, identities[i])) {
            *out = (rest_identity)i;
            return 0;
        }
    }
    return v.n ? qd_err_set(err, QD_E_ARG, "unknown identity [%.*s]", QD_STR_ARG(v)) : 0;
}

static int open_loops(qd_frontend *f, uint32_t n, qd_err *err)
{
    char name[16];
    int rc = 0;
    while (f->nloops < n && !rc) {
        snprintf(name, sizeof name, "http-%u", f->nloops);
        rc = qd_loop_open(qd_env_system(), name, &f->loops[f->nloops], err);
        if (!rc && (rc = qd_loop_start(f->loops[f->nloops], err))) {
            qd_loop_close(f->loops[f->nloops]);
        }
        if (!rc) f->nloops++;
    }
    return rc;
}

static int http_config(const qd_frontend_config *c, qd_frontend *f, char host[128],
                       qd_http_config *h, qd_err *err)
{
    int64_t port, length, line, head, headers, conns, level, min, read_ns, keep_ns, drain_ns,
        backlog;
    qd_str name = option(c, "host");
    int rc = number(c, "port", 9200, &port, err);
    if (!rc) rc = bytes(c, "max_content_length", 100 << 20, &length, err);
    if (!rc) rc = bytes(c, "max_initial_line_length", 4096, &line, err);
    if (!rc) rc = bytes(c, "max_header_size", 16384, &head, err);
    if (!rc) rc = number(c, "max_header_count", 100, &headers, err);
    if (!rc) rc = number(c, "max_connections", 20000, &conns, err);
    if (!rc) rc = number(c, "compression_level", 3, &level, err);
    if (!rc) rc = bytes(c, "compression_min_size", 1024, &min, err);
    if (!rc) rc = time_ns(c, "read_timeout", 30000000000, &read_ns, err);
    if (!rc) rc = time_ns(c, "keep_alive_timeout", 300000000000, &keep_ns, err);
    if (!rc) rc = time_ns(c, "drain_timeout", 10000000000, &drain_ns, err);
    if (!rc) rc = number(c, "backlog", 1024, &backlog, err);
    if (rc) return rc;
    f->drain_ns = (uint64_t)drain_ns;
    if (headers > QD_HTTP_HEADERS_MAX) headers = QD_HTTP_HEADERS_MAX;
    snprintf(host, 128, "%.*s", name.n ? (int)name.n : 9, name.n ? name.p : "127.0.0.1");
    bool elastic =
        f->identity == IDENTITY_ES7 || f->identity == IDENTITY_ES8 || f->identity == IDENTITY_ES9;
    snprintf(f->server_headers, sizeof f->server_headers, "%s",
             elastic ? "X-elastic-product: Elasticsearch\r\n" : "");
    *h = (qd_http_config){
        .env = qd_env_system(),
        .loops = f->loops,
        .nloops = f->nloops,
        .host = host,
        .port = (uint16_t)port,
        .backlog = (uint32_t)backlog,
        .max_content_length = (uint64_t)length,
        .max_initial_line = (uint32_t)line,
        .max_header_bytes = (uint32_t)head,
        .max_headers = (uint32_t)headers,
        .max_connections = (uint32_t)conns,
        .read_timeout_ns = (uint64_t)read_ns,
        .keep_alive_ns = keep_ns ? (uint64_t)keep_ns : QD_HTTP_NEVER,
        .limits = &the_limits,
        .compression = !qd_str_is(option(c, "compression"), "false"),
        .compression_level = (int)level,
        .compression_min = (uint32_t)min,
        .retiring = &the_retiring,
        .server_headers = f->server_headers,
        .in_flight = f->in_flight,
    };
    qdi_rest_handler(f, &h->handler);
    return 0;
}

void qd_rest_retire(bool on)
{
    atomic_store(&the_retiring, on);
}

void qd_rest_limits(uint64_t connections, uint64_t read_ns, uint64_t idle_ns)
{
    atomic_store(&the_limits.max_connections, connections);
    atomic_store(&the_limits.read_timeout_ns, read_ns);
    atomic_store(&the_limits.keep_alive_ns, idle_ns ? idle_ns : QD_HTTP_NEVER);
}

/* For statistics: the server of the front-end opened first. */
static _Atomic(qd_http_server *) the_server;

static void frontend_free(qd_frontend *f)
{
    qd_http_server *mine = f->server;
    (void)atomic_compare_exchange_strong(&the_server, &mine, NULL);
    qd_http_close(f->server);
    while (f->nloops) qd_loop_close(f->loops[--f->nloops]);
    qdi_access_free(f->access);
    qdi_routes_free(f->routes);
    qd_free(f);
}

static const qd_host *the_host;
static qd_account *the_account;

void qd_rest_account(qd_account *account)
{
    the_account = account;
}

void qd_rest_http_stats(void *arg, qd_action_http_stats *out)
{
    qd_http_stats s = {0};
    qd_http_server *server = atomic_load(&the_server);
    (void)arg;
    if (server) qd_http_stats_get(server, &s);
    *out =
        (qd_action_http_stats){s.open, s.opened, s.requests, s.bytes_in, s.bytes_out, s.rejected};
}

static int plugin_routes(const qd_self *self, qd_frontend *f, qd_err *err)
{
    const qd_actions *a = qd_plugin_service_arg(self, QD_SERVICE_ACTION);
    uint32_t n;
    const qd_api *rows = qd_plugin_routes_rows(a ? a->routes : NULL, &n);
    return n ? qdi_routes_more(rows, n, &f->routes, err) : 0;
}

static int32_t rest_open(qd_self *self, const qd_frontend_config *c, qd_frontend **out, qd_err *err)
{
    char host[128];
    qd_http_config h;
    int64_t loops;
    qd_frontend *f = qd_calloc(NULL, sizeof *f);
    if (!f) return qd_err_nomem(err, "REST front-end");
    f->self = self;
    f->host = the_host;
    f->in_flight = the_account;
    f->action = the_host->service(self, QD_SERVICE_ACTION, 0);
    int rc = f->action ? 0
                       : qd_err_set(err, QD_E_STATE,
                                    "the host has no action service to answer "
                                    "requests with");
    f->observe = qd_str_is(option(c, "only"), "observe");
    if (!rc) rc = identity(c, &f->identity, err);
    if (!rc) rc = qdi_access_make(c, &f->access, err);
    if (!rc) rc = number(c, "loops", 1, &loops, err);
    if (!rc) rc = qdi_routes_make(err);
    if (!rc && !f->observe) rc = plugin_routes(self, f, err);
    if (!rc)
        rc = open_loops(f,
                        loops < 1                ? 1
                        : loops > REST_LOOPS_MAX ? REST_LOOPS_MAX
                                                 : (uint32_t)loops,
                        err);
    if (!rc) rc = http_config(c, f, host, &h, err);
    if (!rc) rc = qd_http_listen(&h, &f->server, err);
    if (rc) {
        frontend_free(f);
        return rc;
    }
    qd_http_server *none = NULL; /* further addresses have front ends of their own */
    (void)atomic_compare_exchange_strong(&the_server, &none, f->server);
    *out = f;
    return 0;
}

static qd_str rest_address(qd_frontend *f)
{
    return qd_http_address(f->server);
}

static void rest_drain(qd_frontend *f, void (*done)(void *arg), void *arg)
{
    qd_http_drain(f->server, f->drain_ns);
    done(arg);
}

static void rest_close(qd_frontend *f, void (*done)(void *arg), void *arg)
{
    frontend_free(f);
    done(arg);
}

static const qd_frontend_vtable vtable = {
    .head = {.struct_size = sizeof vtable,
             .major = QD_FRONTEND_MAJOR,
             .minor = QD_FRONTEND_MINOR,
             .flags = QD_FRONTEND_HTTP},
    .open = rest_open,
    .address = rest_address,
    .drain = rest_drain,
    .close = rest_close,
};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    the_host = host;
    return host->provide(self, QD_KIND_FRONTEND, "rest", &vtable, err);
}

static const qd_plugin plugin = {
    .magic = QD_PLUGIN_MAGIC,
    .abi_major = QD_ABI_MAJOR,
    .abi_minor = 0,
    .struct_size = sizeof plugin,
    .name = "rest",
    .version = QD_VERSION,
    .license = "Apache-2.0",
    .build_id = "",
    .init = init,
};

const qd_plugin *qd_rest_plugin(void)
{
    return &plugin;
}
