/*
 * api.c: the real API server: found in the pod or by kubeconfig, reached by libcurl on the store's
 * loop.
 */
#include "curl.h"
#include "store.h"

#define PATH_SIZE 4096
#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* What lib/kube needs of memory alone: configuration is read before there is a loop. */
static kube_env memory(qd_coord *c)
{
    return (kube_env){.mem = c->heap->mem, .self = c->heap->self};
}

/* --- a service account's files where the settings say --- */

static const char *variable(void *arg, const char *name)
{
    const cr_home *h = &((qd_coord *)arg)->home;
    const char *v = kube_sources_system.variable(kube_sources_system.arg, name);
    /* the address is replaced afterwards */
    if (h->api_server && (!v || !*v)) {
        if (strcmp(name, "KUBERNETES_SERVICE_HOST") == 0) return "localhost";
        if (strcmp(name, "KUBERNETES_SERVICE_PORT") == 0) return "443";
    }
    return v;
}

/* Where one of its files is; the namespace lies beside the token. */
static const char *place_of(const cr_home *h, const char *path, char beside[PATH_SIZE])
{
    if (h->token_file && strcmp(path, ACCOUNT "token") == 0) return h->token_file;
    if (h->ca_file && strcmp(path, ACCOUNT "ca.crt") == 0) return h->ca_file;
    const char *slash = h->token_file ? strrchr(h->token_file, '/') : NULL;
    if (!slash || strcmp(path, ACCOUNT "namespace") != 0) return path;
    snprintf(beside, PATH_SIZE, "%.*snamespace", (int)(slash + 1 - h->token_file), h->token_file);
    return beside;
}

static int32_t read_file(void *arg, const kube_env *env, const char *path, size_t max, char **out,
                         size_t *n)
{
    const cr_home *h = &((qd_coord *)arg)->home;
    char beside[PATH_SIZE];
    if (h->space_wanted && strcmp(path, ACCOUNT "namespace") == 0) { /* the setting goes before */
        *n = strlen(h->space_wanted);
        *out = *n > max ? NULL : kube_copy(env, h->space_wanted, *n);
        return *out ? 0 : *n > max ? QD_E_TOO_LARGE : QD_E_NOMEM;
    }
    path = place_of(h, path, beside);
    return kube_sources_system.read(kube_sources_system.arg, env, path, max, out, n);
}

/* Without the file the setting does. */
static void tell_setting(const cr_home *h, kube_error *why)
{
    size_t n = strlen(why->text);
    if (h->space_wanted || !strstr(why->text, ACCOUNT "namespace")) return;
    snprintf(why->text + n, sizeof why->text - n,
             " (coordination.k8s.namespace or POD_NAMESPACE would do)");
}

/* The file that a sentence names as a pod's is told by the name under which it was read. */
static void tell_place(const cr_home *h, kube_error *why)
{
    static const char *const files[] = {ACCOUNT "token", ACCOUNT "ca.crt", ACCOUNT "namespace"};
    const kube_error was = *why;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char beside[PATH_SIZE];
        const char *at = strstr(was.text, files[i]), *place = place_of(h, files[i], beside);
        if (!at || place == files[i]) continue;
        snprintf(why->text, sizeof why->text, "%.*s%s%s", (int)(at - was.text), was.text, place,
                 at + strlen(files[i]));
        return;
    }
}

/* --- finding it --- */

static int32_t find(qd_coord *c, const kube_env *env, kube_error *why)
{
    cr_home *h = &c->home;
    if (h->kubeconfig)
        return kube_config_files(env, &h->from, h->kubeconfig, h->context, &h->api, why);
    if (h->context || !kube_config_in_pod(env, &h->from))
        return kube_config_default(env, &h->from, 1, h->context, &h->api, why);
    int32_t rc = kube_config_pod(env, &h->from, &h->api, why);
    if (rc) {
        tell_setting(h, why);
        tell_place(h, why);
    }
    if (rc || !h->api_server) return rc;
    size_t n = strlen(h->api_server);
    while (n && h->api_server[n - 1] == '/') n--;
    if (strncmp(h->api_server, "https://", 8) != 0 || n < 9)
        return kube_fail(why, QD_E_CONFIG, "coordination.k8s.api_server: \"%s\" is no https:// URL",
                         h->api_server);
    char *server = kube_copy(env, h->api_server, n);
    if (!server) return kube_fail(why, QD_E_NOMEM, "out of memory");
    kube_free(env, h->api.server);
    h->api.server = server;
    return 0;
}

int32_t ck_api_open(qd_coord *c, qd_err *err)
{
    cr_home *h = &c->home;
    kube_env env = memory(c);
    kube_error why = {{0}};
    h->from = (kube_sources){.arg = c, .variable = variable, .read = read_file};
    int32_t rc = find(c, &env, &why);
    const char *paths = h->kubeconfig ? h->kubeconfig : variable(c, "KUBECONFIG");
    bool named = paths && *paths; /* the sentence names the file then */
    bool none = rc == QD_E_NOTFOUND && !named && !kube_config_in_pod(&env, &h->from);
    if (rc)
        return qd_plug_fail(c->plugin->err, err, rc == QD_E_NOMEM ? rc : QD_E_CONFIG,
                            "Kubernetes API: %s%s%s",
                            named ? "coordination.k8s.kubeconfig (or KUBECONFIG): " : "", why.text,
                            none ? " (neither a service account nor a kubeconfig was found: set "
                                   "coordination.k8s.kubeconfig or KUBECONFIG)"
                                 : "");
    const char *space = h->space_wanted ? h->space_wanted : h->api.ns;
    if (!ck_is_label((qd_str){space, strlen(space)}))
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                            "Kubernetes API: %s: \"%.100s\" cannot be a namespace", h->api.source,
                            space);
    snprintf(h->space, sizeof h->space, "%s", space);
    cr_say(c, QD_LEVEL_INFO, "Kubernetes API: %s, namespace %s, by %s", h->api.server, h->space,
           h->api.source);
    return 0;
}

void ck_api_close(qd_coord *c)
{
    kube_env env = memory(c);
    kube_config_clear(&env, &c->home.api);
}

kube_transport *ck_api_connect(qd_coord *c, uv_loop_t *loop, const kube_env *env, kube_error *err)
{
    /* custom resources have what the client has by itself */
    const kube_curl_options options = {.connections = loop == &c->loop ? CK_CONNECTIONS : 0};
    return kube_curl_make(env, loop, &c->home.api, &c->home.from, &options, err);
}
