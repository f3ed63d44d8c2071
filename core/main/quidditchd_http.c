/*
 * quidditchd_http.c: the front ends: REST, and those that plugins bring, all opened through the
 * front-end kind. REST has the settings http.*; the others are named as their plugins provide them
 * and have the settings of their plugins.
 */
#include "base/log.h"
#include "base/vec.h"
#include "main/node.h"
#include "plugin/host.h"
#include "runtime/sync.h"
#include <quidditch/frontend.h>
#include <stdio.h>

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
        if (v->kind == QD_SETTING_TEXT && !qd_str_is(key, "host")) {
            rc = qd_vec_push(out, NULL, ((qd_pair){key, v->text}));
        }
    }
    return rc;
}

/* The first address to bind, numeric; names of interfaces and hosts are loopback unless given. */
static qd_str bind_host(const qd_node *node)
{
    uint32_t n;
    const qd_str *list = qd_values_list(qd_config_values(node->config), QD_SET_HTTP_HOST, &n);
    if (!n || !list[0].n) {
        list = qd_values_list(qd_config_values(node->config), QD_SET_NETWORK_HOST, &n);
    }
    if (!n || qd_str_is(list[0], "_local_") || qd_str_is(list[0], "localhost")) {
        return QD_STR("127.0.0.1");
    }
    return list[0];
}

static int rest_start(qd_node *node, qd_err *err)
{
    const qd_frontend_vtable *vt;
    qd_self *self;
    pairs options = {0};
    int rc = qd_plugin_need(node->plugins, QD_KIND_FRONTEND, QD_STR("rest"), "http.port",
                            (const void **)&vt, &self, err);
    if (rc) return rc;
    rc = collect(node, &options);
    if (!rc) rc = qd_vec_push(&options, NULL, ((qd_pair){QD_STR("host"), bind_host(node)}));
    if (!rc) {
        rc = qd_vec_push(
            &options, NULL,
            ((qd_pair){QD_STR("identity"), qd_config_text(node->config, QD_SET_COMPAT_IDENTITY)}));
    }
    if (rc) {
        qd_vec_fini(&options);
        return qd_err_nomem(err, "options of the REST front-end");
    }
    qd_frontend_config c = {
        .struct_size = sizeof c,
        .noptions = (uint32_t)options.n,
        .name = QD_STR("rest"),
        .options = options.at,
    };
    rc = vt->open(self, &c, &node->http, err);
    qd_vec_fini(&options);
    if (rc) return rc;
    node->http_vtable = vt;
    qd_log_info(LOG, "REST API on http://%.*s", QD_STR_ARG(vt->address(node->http)));
    return 0;
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
    node->frontends = qd_calloc(NULL, sizeof *node->frontends);
    if (!node->frontends) return qd_err_nomem(err, "front ends");
    while ((vt = qd_plugin_next(node->plugins, QD_KIND_FRONTEND, &pos, &name, &self))) {
        if (vt == node->http_vtable) continue;
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

static void http_stop(qd_node *node)
{
    atomic_store(&node->actions.started, false);
    others_stop(node);
    end(node->http_vtable, node->http);
    node->http = NULL;
}

static int http_start(qd_node *node, qd_err *err)
{
    int rc = rest_start(node, err);
    if (rc) return rc;
    rc = others_start(node, err);
    if (rc) {
        http_stop(node);
        return rc;
    }
    atomic_store(&node->actions.started, true);
    return 0;
}

const qd_step qd_step_http = {"http", NULL, http_start, http_stop, NULL};
