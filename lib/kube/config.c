/* config.c: the service account of a pod, and what both ways have in common: see config.h. */
#include "config_int.h"
#include <stdio.h>
#include <string.h>

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* A name that may stand in a path of the API: a DNS label. */
static int32_t is_label(const char *p)
{
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= 63 && p[n] == 0 && p[0] != '-' && p[n - 1] != '-';
}

int32_t kube_config_namespace(const kube_env *env, kube_config *out, const char *name,
                              const char *where, kube_error *err)
{
    if (!is_label(name))
        return kube_fail(err, QD_E_CONFIG, "%s: \"%.80s\" is no name of a namespace", where, name);
    out->ns = kube_copy(env, name, strlen(name));
    return out->ns ? 0 : kube_fail(err, QD_E_NOMEM, "%s: no memory", where);
}

const char *kube_config_why(int32_t rc)
{
    return rc == QD_E_NOTFOUND     ? "does not exist"
           : rc == QD_E_PERMISSION ? "may not be read by this process"
           : rc == QD_E_TOO_LARGE  ? "is too large"
           : rc == QD_E_STATE      ? "is a folder"
                                   : "cannot be read";
}

int32_t kube_config_read(const kube_env *env, const kube_sources *from, const char *path,
                         const char *field, size_t max, char **out, kube_error *err)
{
    size_t n = 0;
    int32_t rc = from->read(from->arg, env, path, max, out, &n);
    if (rc) return kube_fail(err, rc, "%s: the file %s %s", field, path, kube_config_why(rc));
    if (strlen(*out) == n) return 0;
    kube_secret_free(env, *out);
    *out = NULL;
    return kube_fail(err, QD_E_CONFIG, "%s: the file %s has a NUL in it", field, path);
}

int32_t kube_config_in_pod(const kube_env *env, const kube_sources *from)
{
    const char *host = from->variable(from->arg, "KUBERNETES_SERVICE_HOST");
    char *token = NULL;
    size_t n;
    if (!host || !host[0]) return 0;
    if (from->read(from->arg, env, ACCOUNT "token", KUBE_SECRET_MAX, &token, &n)) return 0;
    kube_secret_free(env, token);
    return 1;
}

/* https://HOST:PORT of the environment; IPv6 hosts stand in brackets. */
static int32_t pod_server(const kube_env *env, const kube_sources *from, kube_config *out,
                          kube_error *err)
{
    const char *host = from->variable(from->arg, "KUBERNETES_SERVICE_HOST");
    const char *port = from->variable(from->arg, "KUBERNETES_SERVICE_PORT");
    char address[512];
    if (!host || !host[0])
        return kube_fail(err, QD_E_NOTFOUND,
                         "not in a pod: KUBERNETES_SERVICE_HOST is not set in the environment");
    if (!port || !port[0]) port = "443";
    int v6 = strchr(host, ':') && host[0] != '[';
    int n = snprintf(address, sizeof address, "https://%s%s%s:%s", v6 ? "[" : "", host,
                     v6 ? "]" : "", port);
    const char *wrong = n < 0 || n >= (int)sizeof address ? "it is too long" : NULL;
    if (!wrong) wrong = kube_server_check(address);
    if (wrong)
        return kube_fail(err, QD_E_CONFIG,
                         "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT: %s", wrong);
    out->server = kube_copy(env, address, strlen(address));
    return out->server ? 0 : kube_fail(err, QD_E_NOMEM, "no memory");
}

/* The token is read now, so that a pod without one is told at once, and again by the transport. */
static int32_t pod_token(const kube_env *env, const kube_sources *from, kube_config *out,
                         kube_error *err)
{
    char *token = NULL;
    int32_t rc = kube_config_read(env, from, ACCOUNT "token", "service account", KUBE_SECRET_MAX,
                                  &token, err);
    if (rc) return rc;
    if (kube_token_trim(token))
        rc = kube_fail(err, QD_E_CONFIG, "service account: the file %s holds no token",
                       ACCOUNT "token");
    kube_secret_free(env, token);
    if (rc) return rc;
    out->token_file = kube_copy(env, ACCOUNT "token", strlen(ACCOUNT "token"));
    return out->token_file ? 0 : kube_fail(err, QD_E_NOMEM, "no memory");
}

static int32_t pod_rest(const kube_env *env, const kube_sources *from, kube_config *out,
                        kube_error *err)
{
    char *name = NULL;
    int32_t rc = kube_config_read(env, from, ACCOUNT "ca.crt", "service account", KUBE_SECRET_MAX,
                                  &out->ca_pem, err);
    if (rc) return rc;
    if (!strstr(out->ca_pem, "-----BEGIN CERTIFICATE-----"))
        return kube_fail(err, QD_E_CONFIG, "service account: the file %s holds no certificate",
                         ACCOUNT "ca.crt");
    rc = kube_config_read(env, from, ACCOUNT "namespace", "service account", 4096, &name, err);
    if (rc) return rc;
    name[strcspn(name, " \t\r\n")] = 0;
    rc = kube_config_namespace(env, out, name, ACCOUNT "namespace", err);
    kube_free(env, name);
    if (rc) return rc;
    out->ca_file = kube_copy(env, ACCOUNT "ca.crt", strlen(ACCOUNT "ca.crt"));
    out->source = kube_copy(env, "service account", strlen("service account"));
    return out->source && out->ca_file ? 0 : kube_fail(err, QD_E_NOMEM, "no memory");
}

int32_t kube_config_pod(const kube_env *env, const kube_sources *from, kube_config *out,
                        kube_error *err)
{
    kube_config config = {0};
    int32_t rc = pod_server(env, from, &config, err);
    if (rc == 0) rc = pod_token(env, from, &config, err);
    if (rc == 0) rc = pod_rest(env, from, &config, err);
    if (rc)
        kube_config_clear(env, &config);
    else
        *out = config;
    return rc;
}

int32_t kube_config_default(const kube_env *env, const kube_sources *from, int32_t home,
                            const char *context, kube_config *out, kube_error *err)
{
    const char *paths = from->variable(from->arg, "KUBECONFIG");
    const char *folder = from->variable(from->arg, "HOME");
    char path[1024];
    if (paths && paths[0]) return kube_config_files(env, from, paths, context, out, err);
    if (!home) return kube_fail(err, QD_E_NOTFOUND, "KUBECONFIG is not set in the environment");
    int n = snprintf(path, sizeof path, "%s/.kube/config", folder ? folder : "");
    if (!folder || !folder[0] || n < 0 || n >= (int)sizeof path)
        return kube_fail(err, QD_E_NOTFOUND, "neither KUBECONFIG nor HOME is set");
    return kube_config_files(env, from, path, context, out, err);
}

void kube_config_clear(const kube_env *env, kube_config *c)
{
    kube_free(env, c->server);
    kube_free(env, c->ca_pem);
    kube_free(env, c->tls_server_name);
    kube_free(env, c->cert_pem);
    kube_secret_free(env, c->key_pem);
    kube_free(env, c->ca_file);
    kube_free(env, c->cert_file);
    kube_free(env, c->key_file);
    kube_secret_free(env, c->token);
    kube_free(env, c->token_file);
    kube_free(env, c->ns);
    kube_free(env, c->source);
    kube_free(env, c->files);
    kube_free(env, c->context);
    memset(c, 0, sizeof *c);
}
