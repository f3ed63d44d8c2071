/*
 * quidditchd_http.c: the REST front-end, opened through the front-end kind like any other.
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

static int http_start(qd_node *node, qd_err *err)
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
    atomic_store(&node->actions.started, true);
    qd_log_info(LOG, "REST API on http://%.*s", QD_STR_ARG(vt->address(node->http)));
    return 0;
}

static void done(void *arg)
{
    qd_latch_done(arg, 0);
}

static void http_stop(qd_node *node)
{
    const qd_frontend_vtable *vt = node->http_vtable;
    qd_latch l;
    atomic_store(&node->actions.started, false);
    qd_latch_init(&l, 1);
    vt->drain(node->http, done, &l);
    (void)qd_latch_wait(&l);
    qd_latch_init(&l, 1);
    vt->close(node->http, done, &l);
    (void)qd_latch_wait(&l);
    node->http = NULL;
}

const qd_step qd_step_http = {"http", NULL, http_start, http_stop, NULL};
