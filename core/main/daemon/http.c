/*
 * http.c: the front ends: REST, and those that plugins bring, all opened through the
 * front-end kind. REST has the settings http.*; the others are named as their plugins provide them
 * and have the settings of their plugins.
 */
#include "base/log.h"
#include "base/vec.h"
#include "main/daemon/node.h"
#include "plugin/host.h"
#include "runtime/proc.h"
#include "runtime/resolve.h"
#include "runtime/sync.h"
#include <quidditch/frontend.h>
#include <stdio.h>
#include <string.h>

#define LOG "http"

typedef QD_VEC(qd_pair) pairs;

/* Settings http.* as options without the prefix. */
static int collect(const qd_node *node, pairs *out)
{
    static const qd_str prefix = {"http.", 5};
    const qd_settings *s = qd_values_settings(qd_config_values(node->config));
    size_t n, first = qd_settings_group(s, prefix, &n);
    int rc = 0;
    for (size_t i = first; i < first + n && !rc; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        qd_str key = qd_str_sub(v->key, prefix.n, v->key.n);
        if (v->kind != QD_SETTING_NULL && !qd_str_is(key, "host")) {
            rc = qd_vec_push(out, NULL, ((qd_pair){key, v->text}));
        }
    }
    return rc;
}

/* The names that this node has by its settings and its machine, separated by commas. */
static int own_names(const qd_node *node, qd_buf *out)
{
    static const qd_set sets[] = {QD_SET_NETWORK_PUBLISH_HOST, QD_SET_TRANSPORT_PUBLISH_HOST,
                                  QD_SET_NETWORK_HOST, QD_SET_HTTP_HOST};
    int rc = qd_buf_c(out, node->name);
    if (!rc) rc = qd_buf_char(out, ',');
    if (!rc) rc = qd_machine_hostname(out);
    for (size_t i = 0; i < QD_COUNT_OF(sets) && !rc; i++) {
        if (!rc) rc = qd_buf_char(out, ',');
        if (!rc) rc = qd_buf_str(out, qd_config_text(node->config, sets[i]));
    }
    return rc;
}

static void done(void *arg)
{
    qd_latch_done(arg, 0);
}

static void end(const qd_frontend_vtable *vt, qd_frontend *f)
{
    qd_latch l;
    qd_latch_init(&l, 1);
    vt->drain(f, done, &l);
    (void)qd_latch_wait(&l);
    qd_latch_init(&l, 1);
    vt->close(f, done, &l);
    (void)qd_latch_wait(&l);
}

typedef struct other {
    const qd_frontend_vtable *vt;
    qd_frontend *f;
} other;

struct qd_node_frontends {
    QD_VEC(other) list;
};

/* REST on one address; port: "0" or empty for the setting's. observe: only what metrics.port has.
 */
static int rest_open(qd_node *node, const qd_addr *a, qd_str port, bool observe, qd_frontend **out,
                     qd_err *err)
{
    const qd_frontend_vtable *vt;
    qd_self *self;
    char host[QD_ADDR_TEXT_MAX];
    pairs options = {0};
    int rc = qd_plugin_need(node->plugins, QD_KIND_FRONTEND, QD_STR("rest"), "http.port",
                            (const void **)&vt, &self, err);
    if (rc) return rc;
    node->http_vtable = vt;
    /* the first of a key counts */
    if (port.n) rc = qd_vec_push(&options, NULL, ((qd_pair){QD_STR("port"), port}));
    if (!rc && observe)
        rc = qd_vec_push(&options, NULL, ((qd_pair){QD_STR("only"), QD_STR("observe")}));
    if (!rc) rc = collect(node, &options);
    qd_str name = qd_str_c(qd_addr_text(a, false, host));
    qd_str identity = qd_config_text(node->config, QD_SET_COMPAT_IDENTITY);
    qd_buf names;
    qd_buf_init(&names, NULL, 65536);
    if (!rc) rc = own_names(node, &names);
    if (!rc)
        rc = qd_vec_push(&options, NULL, ((qd_pair){QD_STR("own_names"), qd_buf_view(&names)}));
    if (!rc) rc = qd_vec_push(&options, NULL, ((qd_pair){QD_STR("host"), name}));
    if (!rc) rc = qd_vec_push(&options, NULL, ((qd_pair){QD_STR("identity"), identity}));
    if (rc) {
        qd_buf_fini(&names);
        qd_vec_fini(&options);
        return qd_err_nomem(err, "options of the REST front-end");
    }
    qd_frontend_config c = {
        .struct_size = sizeof c,
        .noptions = (uint32_t)options.n,
        .name = QD_STR("rest"),
        .options = options.at,
    };
    rc = vt->open(self, &c, out, err);
    qd_buf_fini(&names);
    qd_vec_fini(&options);
    if (rc) return rc;
    qd_log_info(LOG, "%s on http://%.*s", observe ? "metrics and health" : "REST API",
                QD_STR_ARG(vt->address(*out)));
    return 0;
}

/* One more address, kept with the others. */
static int rest_add(qd_node *node, const qd_addr *a, qd_str port, bool observe, qd_err *err)
{
    other o = {0};
    int rc = rest_open(node, a, port, observe, &o.f, err);
    o.vt = node->http_vtable;
    if (rc == 0 && qd_vec_push(&node->frontends->list, NULL, o)) {
        end(o.vt, o.f);
        rc = qd_err_nomem(err, "front ends");
    }
    return rc;
}

/* As rest_add for what nobody asked for by name: it may be taken. */
static void rest_try(qd_node *node, const qd_addr *a, qd_str port, bool observe)
{
    qd_err why;
    qd_err_init(&why);
    if (rest_add(node, a, port, observe, &why))
        qd_log_warn(LOG, "goes on without %s: %s", observe ? "metrics.port" : "loopback",
                    qd_err_reason(&why));
    qd_err_fini(&why);
}

/* BIND_ADDR names the pod's address; kubectl exec and port-forward come by loopback. */
static bool wants_loopback(const qd_node *node, const qd_addr *at, uint32_t n, qd_addr *local)
{
    if (!qd_config_bind_addr(node->config)) return false;
    if (!qd_addr_parse(QD_STR("127.0.0.1"), 0, local)) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (memcmp(&at[i], local, sizeof *local) == 0 || qd_addr_is_any(&at[i])) return false;
    }
    return true;
}

/* The first address is the node's own; with http.port: 0 its port holds for all. */
static int rest_start(qd_node *node, const qd_addr *at, uint32_t n, const qd_addr *loopback,
                      qd_err *err)
{
    if (qd_config_i64(node->config, QD_SET_HTTP_PORT) < 0) return 0;
    int rc = rest_open(node, &at[0], QD_STR(""), false, &node->http, err);
    if (rc) return rc;
    qd_str address = node->http_vtable->address(node->http);
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':') colon--;
    qd_str port = qd_str_sub(address, colon, address.n);
    for (uint32_t i = 1; i < n && !rc; i++) rc = rest_add(node, &at[i], port, false, err);
    if (!rc && loopback) rest_try(node, loopback, port, false);
    return rc;
}

static int metrics_start(qd_node *node, const qd_addr *at, uint32_t n, const qd_addr *loopback,
                         qd_err *err)
{
    qd_str port = qd_config_text(node->config, QD_SET_METRICS_PORT);
    bool by_role = qd_config_by_role(node->config, QD_STR("metrics.port"));
    int rc = 0;
    if (qd_config_i64(node->config, QD_SET_METRICS_PORT) < 0) return 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (by_role)
            rest_try(node, &at[i], port, true);
        else
            rc = rest_add(node, &at[i], port, true, err);
    }
    if (!rc && loopback) rest_try(node, loopback, port, true);
    return rc;
}

static void others_stop(qd_node *node)
{
    struct qd_node_frontends *all = node->frontends;
    if (!all) return;
    for (size_t i = all->list.n; i-- > 0;) end(all->list.at[i].vt, all->list.at[i].f);
    qd_vec_fini(&all->list);
    qd_free(all);
    node->frontends = NULL;
}

/* A front end of a plugin is there to be opened: that it was allowed is enough. */
static int others_start(qd_node *node, qd_err *err)
{
    qd_str name;
    qd_self *self;
    size_t pos = 0;
    const qd_frontend_vtable *vt;
    while ((vt = qd_plugin_next(node->plugins, QD_KIND_FRONTEND, &pos, &name, &self))) {
        if (qd_str_is(name, "rest")) continue;
        qd_frontend_config c = {.struct_size = sizeof c, .name = name};
        other o = {.vt = vt};
        int rc = vt->open(self, &c, &o.f, err);
        if (rc) return rc;
        if (qd_vec_push(&node->frontends->list, NULL, o)) {
            end(vt, o.f);
            return qd_err_nomem(err, "front ends");
        }
        qd_log_info(LOG, "front end [%.*s] on %.*s", QD_STR_ARG(name),
                    QD_STR_ARG(vt->address(o.f)));
    }
    return 0;
}

void qd_node_http_close(qd_node *node)
{
    others_stop(node);
    if (node->http) end(node->http_vtable, node->http);
    node->http = NULL;
}

static int http_start(qd_node *node, qd_err *err)
{
    node->frontends = qd_calloc(NULL, sizeof *node->frontends);
    if (!node->frontends) return qd_err_nomem(err, "front ends");
    qd_addr at[QD_NODE_ADDRESSES_MAX], local;
    uint32_t n = 0;
    int rc = qd_node_addresses(node, QD_SET_HTTP_HOST, at, &n, err);
    bool beside = !rc && wants_loopback(node, at, n, &local);
    if (!rc) rc = rest_start(node, at, n, beside ? &local : NULL, err);
    if (!rc) rc = metrics_start(node, at, n, beside ? &local : NULL, err);
    if (!rc) rc = others_start(node, err);
    if (rc) {
        qd_node_http_close(node);
        return rc;
    }
    return 0;
}

const qd_step qd_step_http = {"http", qd_node_listen_check, http_start, qd_node_http_close, NULL};
