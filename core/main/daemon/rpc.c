/*
 * rpc.c: the transport between nodes: transport.port on every address of transport.host
 * (else network.host), the port of a single role beside it, loopback beside BIND_ADDR; TLS by
 * security.transport.ssl.*; the service "peers" for plugins.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "net/wire_tcp.h"
#include "plugin/host.h"
#include "rpc/peers_service.h"
#include "runtime/cpu.h"
#include "runtime/resolve.h"
#include <stdio.h>
#include <string.h>

#define LOG "transport"
#define AUTHORITIES_MAX 16
#define TLS_FILE_MAX (1u << 20)

/* --- addresses and ports --- */

typedef struct listen_set {
    qd_addr at[QD_NODE_ADDRESSES_MAX];
    uint32_t nat;
    char hosts[QD_NODE_ADDRESSES_MAX + 1][QD_ADDR_TEXT_MAX];
    qd_rpc_listen listen[2 * (QD_NODE_ADDRESSES_MAX + 1)];
    uint32_t n;
    char publish[256];
} listen_set;

_Static_assert(2 * (QD_NODE_ADDRESSES_MAX + 1) <= QD_RPC_LISTEN_MAX, "a place for each address");

int qd_node_transport_ports(const qd_node *node, uint16_t *first, uint16_t *last, qd_err *err)
{
    qd_str text = qd_config_text(node->config, QD_SET_TRANSPORT_PORT), rest = text;
    uint64_t a = 0, b = 0;
    qd_str one = qd_str_split(&rest, '-');
    bool ok = qd_str_u64(qd_str_trim(one), &a) && a < 65536;
    b = a;
    if (ok && rest.p) ok = qd_str_u64(qd_str_trim(rest), &b) && b < 65536 && a && b >= a;
    if (!ok)
        return qd_err_set(err, QD_E_CONFIG,
                          "transport.port: [%.*s] is neither a port nor a range such as 9300-9400",
                          QD_STR_ARG(text));
    *first = (uint16_t)a;
    *last = (uint16_t)b;
    return 0;
}

/* Loopback beside BIND_ADDR, as for HTTP. */
static bool wants_loopback(const qd_node *node, const listen_set *s, qd_addr *local)
{
    if (!qd_config_bind_addr(node->config)) return false;
    if (!qd_addr_parse(QD_STR("127.0.0.1"), 0, local)) return false;
    for (uint32_t i = 0; i < s->nat; i++)
        if (memcmp(&s->at[i], local, sizeof *local) == 0 || qd_addr_is_any(&s->at[i])) return false;
    return true;
}

/* What is told to others when nothing is set and the node listens everywhere. */
static void publish_any(listen_set *s)
{
    static const qd_str words[] = {
        {"_site:ipv4_", 11}, {"_global:ipv4_", 13}, {"_site_", 6}, {"_global_", 8}};
    qd_addr a[8];
    uint32_t n = 0;
    for (size_t i = 0; i < QD_COUNT_OF(words); i++) {
        if (qd_resolve_listen(words[i], a, 8, &n, NULL) || !n) continue;
        qd_addr_text(&a[0], false, s->publish);
        return;
    }
    snprintf(s->publish, sizeof s->publish, "127.0.0.1");
}

static void publish(const qd_node *node, listen_set *s)
{
    qd_str host = qd_config_text(node->config, QD_SET_TRANSPORT_PUBLISH_HOST);
    if (!host.n) host = qd_config_text(node->config, QD_SET_NETWORK_PUBLISH_HOST);
    if (host.n) {
        qd_addr a[4];
        uint32_t n = 0;
        bool word = host.p[0] == '_' && qd_resolve_listen(host, a, 4, &n, NULL) == 0 && n;
        if (word)
            qd_addr_text(&a[0], false, s->publish);
        else
            snprintf(s->publish, sizeof s->publish, "%.*s", QD_STR_ARG(host));
        return;
    }
    for (uint32_t i = 0; i < s->nat; i++)
        if (!qd_addr_is_any(&s->at[i])) return; /* the transport chooses */
    publish_any(s);
}

static int listen_make(const qd_node *node, listen_set *s, qd_err *err)
{
    qd_addr local;
    uint16_t first, last;
    int64_t second = qd_config_i64(node->config, QD_SET_TRANSPORT_RPC_PORT);
    bool by_role = qd_config_by_role(node->config, QD_STR("transport.rpc_port"));
    int rc = qd_node_transport_ports(node, &first, &last, err);
    if (!rc) rc = qd_node_addresses(node, QD_SET_TRANSPORT_HOST, s->at, &s->nat, err);
    if (rc) return rc;
    publish(node, s);
    bool loopback = wants_loopback(node, s, &local);
    uint32_t n = s->nat + loopback;
    for (uint32_t i = 0; i < n; i++) {
        qd_addr_text(i < s->nat ? &s->at[i] : &local, false, s->hosts[i]);
        s->listen[s->n++] = (qd_rpc_listen){
            .host = s->hosts[i],
            .port = first,
            .port_last = last,
            .setting = "transport.port",
            .follow = i > 0,
            .optional = i >= s->nat,
        };
    }
    for (uint32_t i = 0; second >= 0 && i < n; i++) {
        s->listen[s->n++] = (qd_rpc_listen){
            .host = s->hosts[i],
            .port = (uint16_t)second,
            .setting = "transport.rpc_port",
            .optional = by_role || i >= s->nat,
        };
    }
    return 0;
}

/* --- TLS --- */

typedef struct tls_set {
    qd_wire_tls tls;
    char certificate[QD_PATH_MAX], key[QD_PATH_MAX];
    char authorities[AUTHORITIES_MAX][QD_PATH_MAX];
    const char *list[AUTHORITIES_MAX];
} tls_set;

/* A relative path lies below path.conf, else beside the configuration file. */
static void place(const qd_node *node, qd_str path, char out[QD_PATH_MAX])
{
    qd_str folder = qd_config_text(node->config, QD_SET_PATH_CONF);
    if (!folder.n) {
        folder = qd_str_c(node->conf_file);
        while (folder.n && folder.p[folder.n - 1] != '/') folder.n--;
    }
    bool relative = path.n && path.p[0] != '/' && folder.n;
    const char *between = relative && folder.p[folder.n - 1] != '/' ? "/" : "";
    if (relative)
        snprintf(out, QD_PATH_MAX, "%.*s%s%.*s", QD_STR_ARG(folder), between, QD_STR_ARG(path));
    else
        snprintf(out, QD_PATH_MAX, "%.*s", QD_STR_ARG(path));
}

/* Can the file be read at all? OpenSSL does not say why not. */
static int check_file(const char *setting, const char *path, qd_err *err)
{
    qd_buf b;
    qd_err why;
    qd_err_init(&why);
    qd_buf_init(&b, NULL, TLS_FILE_MAX);
    int rc = qd_file_read(path, &b, &why);
    if (rc)
        rc = qd_err_set(err, QD_E_CONFIG, "security.transport.ssl.%s: [%s] cannot be read: %s",
                        setting, path, qd_err_reason(&why));
    qd_buf_fini(&b);
    qd_err_fini(&why);
    return rc;
}

static int check_files(const tls_set *s, qd_err *err)
{
    int rc = check_file("certificate", s->certificate, err);
    if (!rc) rc = check_file("key", s->key, err);
    for (uint32_t i = 0; i < s->tls.nauthorities && !rc; i++)
        rc = check_file("certificate_authorities", s->authorities[i], err);
    return rc;
}

/* A key is nobody else's. Links are followed: secrets are mounted as such. */
static void look_at_key(const char *path)
{
    qd_buf real;
    qd_file_info info;
    qd_buf_init(&real, NULL, QD_PATH_MAX);
    if (qd_path_real(path, &real, NULL) == 0 && qd_file_stat(real.p, &info, NULL) == 0 &&
        (info.mode & 0007))
        qd_log_warn(LOG,
                    "security.transport.ssl.key: [%s] can be read by everybody on this machine "
                    "(mode %04o)",
                    path, info.mode);
    qd_buf_fini(&real);
}

static int tls_make(const qd_node *node, tls_set *s, qd_err *err)
{
    const qd_values *v = qd_config_values(node->config);
    qd_str certificate = qd_config_text(node->config, QD_SET_SECURITY_TRANSPORT_CERT);
    qd_str key = qd_config_text(node->config, QD_SET_SECURITY_TRANSPORT_KEY);
    qd_str mode = qd_config_text(node->config, QD_SET_SECURITY_TRANSPORT_VERIFY);
    uint32_t n;
    const qd_str *list = qd_values_list(v, QD_SET_SECURITY_TRANSPORT_CA, &n);
    if (!certificate.n || !key.n)
        return qd_err_set(err, QD_E_CONFIG,
                          "security.transport.ssl.enabled: true needs security.transport.ssl.%s",
                          certificate.n ? "key" : "certificate");
    place(node, certificate, s->certificate);
    place(node, key, s->key);
    for (uint32_t i = 0; i < n && i < AUTHORITIES_MAX && list[i].n; i++) {
        place(node, list[i], s->authorities[i]);
        s->list[s->tls.nauthorities++] = s->authorities[i];
    }
    s->tls.certificate = s->certificate;
    s->tls.key = s->key;
    s->tls.authorities = s->list;
    s->tls.verify = qd_str_is(mode, "none")          ? QD_WIRE_VERIFY_NONE
                    : qd_str_is(mode, "certificate") ? QD_WIRE_VERIFY_CERTIFICATE
                                                     : QD_WIRE_VERIFY_FULL;
    return check_files(s, err);
}

static bool tls_on(const qd_node *node)
{
    return qd_config_bool(node->config, QD_SET_SECURITY_TRANSPORT_SSL);
}

static void rpc_reload(qd_node *node)
{
    qd_err err;
    if (!tls_on(node) || !node->wire) return;
    qd_err_init(&err);
    tls_set *s = qd_calloc(NULL, sizeof *s);
    int rc = s ? tls_make(node, s, &err) : qd_err_nomem(&err, "TLS");
    if (!rc) rc = qd_wire_tcp_reload(node->wire, &s->tls, &err);
    if (rc)
        qd_log_error(LOG, "the certificates in use stay: %s", qd_err_reason(&err));
    else
        qd_log_info(LOG, "certificates read again");
    qd_err_fini(&err);
    qd_free(s);
}

/* --- the step --- */

static uint32_t roles_of(const qd_node *node)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } known[] = {{"master", QD_RPC_ROLE_MASTER},
                 {"coordination", QD_RPC_ROLE_COORDINATION},
                 {"data", QD_RPC_ROLE_DATA},
                 {"ingest", QD_RPC_ROLE_INGEST},
                 {"operator", QD_RPC_ROLE_OPERATOR}};
    bool control = node->mode.own && node->mode.store == QD_STORE_KUBERNETES;
    uint32_t n, bits = control ? QD_RPC_ROLE_CONTROL : 0;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; k < QD_COUNT_OF(known); k++)
            if (qd_str_is(roles[i], known[k].name) ||
                (known[k].bit == QD_RPC_ROLE_DATA && qd_str_starts(roles[i], QD_STR("data_"))))
                bits |= known[k].bit;
    return bits;
}

static int wire_open(qd_node *node, qd_err *err)
{
    tls_set *s = NULL;
    int rc = 0;
    if (tls_on(node)) {
        if (!(s = qd_calloc(NULL, sizeof *s))) return qd_err_nomem(err, "TLS");
        rc = tls_make(node, s, err);
        if (!rc) look_at_key(s->key);
    }
    qd_wire_tcp_config c = {
        .env = node->env,
        .resolver = qd_pools_get(&node->pools, "generic"),
        .tls = s ? &s->tls : NULL,
    };
    if (!rc) rc = qd_wire_tcp_open(&c, &node->wire, err);
    qd_free(s);
    return rc;
}

static int transport_open(qd_node *node, const listen_set *s, qd_err *err)
{
    const qd_values *v = qd_config_values(node->config);
    int64_t ping = qd_values_ms(v, QD_SET_TRANSPORT_PING);
    int64_t port = qd_config_i64(node->config, QD_SET_TRANSPORT_PUBLISH_PORT);
    unsigned cpus = qd_cpu_count();
    qd_str compress = qd_config_text(node->config, QD_SET_TRANSPORT_COMPRESS);
    qd_rpc_config c = {
        .env = node->env,
        .wire = node->wire,
        .nloops = cpus >= 16  ? 4
                  : cpus >= 8 ? 2
                              : 1,
        .pools = &node->pools,
        .account = &node->inflight_account,
        .cluster_name = qd_config_text(node->config, QD_SET_CLUSTER_NAME),
        .node_id = qd_str_c(node->id),
        .node_name = qd_str_c(node->name),
        .product = QD_STR(QD_VERSION),
        .roles = roles_of(node),
        .publish_host = qd_str_c(s->publish),
        .publish_port = port > 0 ? (uint16_t)port : 0,
        .rest_address = node->http ? node->http_vtable->address(node->http) : QD_STR(""),
        .listen = s->listen,
        .nlisten = s->n,
        .connect_timeout_ns =
            (uint64_t)qd_values_ms(v, QD_SET_TRANSPORT_CONNECT_TIMEOUT) * 1000000u,
        .ping_ns = ping > 0 ? (uint64_t)ping * 1000000u : UINT64_MAX,
        .compress_min = qd_str_is(compress, "false") ? UINT64_MAX : 0,
        .near_plain = !qd_str_is(compress, "true"),
    };
    return qd_rpc_open(&c, &node->rpc, err);
}

static int rpc_check(qd_node *node, qd_err *err)
{
    uint16_t first, last;
    tls_set *s;
    int rc = qd_node_transport_ports(node, &first, &last, err);
    if (rc || !tls_on(node)) return rc;
    if (!(s = qd_calloc(NULL, sizeof *s))) return qd_err_nomem(err, "TLS");
    rc = tls_make(node, s, err);
    if (!rc) rc = qd_wire_tls_check(&s->tls, err);
    qd_free(s);
    return rc;
}

static int rpc_start(qd_node *node, qd_err *err)
{
    listen_set s = {0};
    int rc = listen_make(node, &s, err);
    if (!rc) rc = wire_open(node, err);
    if (!rc) rc = transport_open(node, &s, err);
    if (rc) {
        qd_wire_tcp_close(node->wire);
        node->wire = NULL;
        return rc;
    }
    qd_rpc_peers_bind(node->plugins, node->rpc);
    bool outside = false;
    for (uint32_t i = 0; i < s.nat; i++) outside |= !qd_addr_is_loopback(&s.at[i]);
    qd_log_info(LOG, "nodes reach this one at [%.*s]%s", QD_STR_ARG(qd_rpc_address(node->rpc)),
                tls_on(node) ? ", with TLS" : "");
    if (outside && !tls_on(node))
        qd_log_warn(
            LOG,
            "traffic between nodes is neither encrypted nor authenticated: set "
            "security.transport.ssl.enabled with certificates, or keep its ports closed to others");
    return 0;
}

static void rpc_stop(qd_node *node)
{
    qd_rpc_peers_bind(node->plugins, NULL);
    qd_rpc_close(node->rpc);
    node->rpc = NULL;
    qd_wire_tcp_close(node->wire);
    node->wire = NULL;
}

const qd_step qd_step_rpc = {"rpc", rpc_check, rpc_start, rpc_stop, rpc_reload};
