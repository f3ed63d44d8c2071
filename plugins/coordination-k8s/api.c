/*
 * api.c: the real API server: found in the pod or by kubeconfig, reached by libcurl on the store's
 * loop.
 */
#include "curl.h"
#include "store.h"

/* What lib/kube needs of memory alone: configuration is read before there is a loop. */
static kube_env memory(qd_coord *c)
{
    return (kube_env){.mem = c->heap->mem, .self = c->heap->self};
}

int32_t ck_api_open(qd_coord *c, qd_err *err)
{
    cr_home *h = &c->home;
    kube_env env = memory(c);
    kube_error why = {{0}};
    int32_t rc;
    if (h->kubeconfig)
        rc = kube_config_files(&env, &kube_sources_system, h->kubeconfig, h->context, &h->api, &why);
    else if (!h->context && kube_config_in_pod(&env, &kube_sources_system))
        rc = kube_config_pod(&env, &kube_sources_system, &h->api, &why);
    else
        rc = kube_config_default(&env, &kube_sources_system, 1, h->context, &h->api, &why);
    if (rc)
        return qd_plug_fail(c->plugin->err, err, rc == QD_E_NOMEM ? rc : QD_E_CONFIG,
                            "Kubernetes API: %s%s", why.text,
                            rc == QD_E_NOTFOUND
                                ? " (neither a service account nor a kubeconfig was found: set "
                                  "coordination.k8s.kubeconfig or KUBECONFIG)"
                                : "");
    const char *space = h->space_wanted ? h->space_wanted : h->api.ns;
    if (!ck_is_label((qd_str){space, strlen(space)}))
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                            "Kubernetes API: %s: \"%.100s\" cannot be a namespace", h->api.source,
                            space);
    snprintf(h->space, sizeof h->space, "%s", space);
    cr_say(c, QD_LEVEL_INFO, "using k8s-native coordination: %s, namespace %s, by %s",
           h->api.server, h->space, h->api.source);
    return 0;
}

void ck_api_close(qd_coord *c)
{
    kube_env env = memory(c);
    kube_config_clear(&env, &c->home.api);
}

kube_transport *ck_api_connect(qd_coord *c, const kube_env *env, kube_error *err)
{
    return kube_curl_make(env, &c->loop, &c->home.api, &kube_sources_system, NULL, err);
}
