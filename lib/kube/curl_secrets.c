/*
 * curl_secrets.c: token and certificates, read anew as they rotate.
 *
 * Both are files that somebody else replaces: a pod's token and authorities by the kubelet, client
 * certificates by whatever renews them, and kubeconfig files, which have them inside or name other
 * files. They are read again each minute, and a second after the server refused who we are, or TLS
 * failed. What cannot be read, or is none, leaves the ones before. A kubeconfig that names another
 * server than at the start is not followed: that would be another cluster.
 */
#include "curl_int.h"
#include <string.h>

#define AGE_NS (60 * KUBE_SECOND_NS)

static int32_t is_due(const curl_transport *t, int64_t read_ns, int32_t refused)
{
    int64_t now = t->env->mono_ns(t->env->arg);
    return now - read_ns >= (refused ? KUBE_SECOND_NS : AGE_NS);
}

/* --- the token --- */

static void renew_token(curl_transport *t)
{
    const kube_config *c = t->config;
    char *token = NULL;
    size_t n;
    if (!c->token_file || (t->token && !is_due(t, t->token_read_ns, t->token_refused))) return;
    t->token_read_ns = t->env->mono_ns(t->env->arg);
    t->token_refused = 0;
    int32_t rc = t->from->read(t->from->arg, t->env, c->token_file, KUBE_SECRET_MAX, &token, &n);
    if (rc == 0 && strlen(token) == n && kube_token_trim(token) == 0) {
        kube_secret_free(t->env, t->token);
        t->token = token;
        return;
    }
    if (rc == 0) kube_secret_free(t->env, token);
    kube_log(t->env, QD_LEVEL_WARN, "the token file %s cannot be read; the token before is used",
             c->token_file);
}

/* --- certificates --- */

void kube_curl_pem_drop(const kube_env *env, tls_pem *pem)
{
    if (!pem || --pem->refs) return;
    kube_free(env, pem->ca);
    kube_free(env, pem->cert);
    kube_secret_free(env, pem->key);
    kube_free(env, pem);
}

/* A file's PEM, or without a file a copy of what there was; NULL for none. 0, or a code. */
static int32_t pem_of(const curl_transport *t, const char *file, const char *before,
                      const char *holds, char **out)
{
    size_t n;
    *out = NULL;
    if (!file) {
        if (before) *out = kube_copy(t->env, before, strlen(before));
        return before && !*out ? QD_E_NOMEM : 0;
    }
    int32_t rc = t->from->read(t->from->arg, t->env, file, KUBE_SECRET_MAX, out, &n);
    if (rc) return rc;
    return strlen(*out) == n && strstr(*out, holds) ? 0 : QD_E_CONFIG;
}

/* Certificate and key that are being replaced may be of two: the certificate is read twice. */
static int32_t read_pem(const curl_transport *t, tls_pem *out)
{
    static const char certificate[] = "-----BEGIN CERTIFICATE-----";
    const kube_config *c = t->config;
    char *again = NULL;
    int32_t rc = pem_of(t, c->ca_file, c->ca_pem, certificate, &out->ca);
    if (rc == 0) rc = pem_of(t, c->cert_file, c->cert_pem, certificate, &out->cert);
    if (rc == 0) rc = pem_of(t, c->key_file, c->key_pem, "PRIVATE KEY-----", &out->key);
    if (rc == 0 && c->cert_file) rc = pem_of(t, c->cert_file, NULL, certificate, &again);
    if (rc == 0 && again && strcmp(again, out->cert) != 0) rc = QD_E_STATE;
    kube_free(t->env, again);
    return rc;
}

static int32_t is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void renew_pem(curl_transport *t, int32_t anew)
{
    const kube_config *c = t->config;
    int32_t files = c->ca_file || c->cert_file || c->key_file;
    if (!anew && (!files || !is_due(t, t->pem_read_ns, t->pem_refused))) return;
    tls_pem *pem = kube_calloc(t->env, sizeof *pem), *old = t->pem;
    if (!pem) return;
    pem->refs = 1;
    t->pem_read_ns = t->env->mono_ns(t->env->arg);
    t->pem_refused = 0;
    int32_t rc = read_pem(t, pem);
    if (rc == 0 && is_same(pem->ca, old->ca) && is_same(pem->cert, old->cert) &&
        is_same(pem->key, old->key)) {
        kube_curl_pem_drop(t->env, pem);
        return;
    }
    if (rc) {
        t->pem_refused = rc == QD_E_STATE;
        if (rc != QD_E_STATE)
            kube_log(t->env, QD_LEVEL_WARN,
                     "the files of certificates for the API server (%s) cannot be read; the ones "
                     "before are used",
                     c->cert_file ? c->cert_file
                     : c->ca_file ? c->ca_file
                                  : c->source);
        kube_curl_pem_drop(t->env, pem);
        return;
    }
    kube_log(t->env, QD_LEVEL_INFO, "certificates for the API server were replaced");
    t->pem = pem;
    kube_curl_pem_drop(t->env, old);
}

/* --- kubeconfig files --- */

/* Is it what can be followed: the same server, verified in the same way? */
static int32_t is_same_server(const kube_config *a, const kube_config *b)
{
    return is_same(a->server, b->server) && is_same(a->tls_server_name, b->tls_server_name) &&
           a->insecure == b->insecure;
}

static int32_t is_same_identity(const kube_config *a, const kube_config *b)
{
    return is_same(a->ca_pem, b->ca_pem) && is_same(a->cert_pem, b->cert_pem) &&
           is_same(a->key_pem, b->key_pem) && is_same(a->token, b->token) &&
           is_same(a->ca_file, b->ca_file) && is_same(a->cert_file, b->cert_file) &&
           is_same(a->key_file, b->key_file) && is_same(a->token_file, b->token_file);
}

static void config_drop(curl_transport *t)
{
    if (t->again) kube_config_clear(t->env, t->again);
    kube_free(t->env, t->again);
    t->again = NULL;
}

/* Whether there is another token, certificate or key in them than before. */
static int32_t renew_config(curl_transport *t)
{
    const kube_config *c = t->config;
    kube_error why;
    if (!c->files || !is_due(t, t->config_read_ns, t->config_refused)) return 0;
    t->config_read_ns = t->env->mono_ns(t->env->arg);
    t->config_refused = 0;
    kube_config *now = kube_calloc(t->env, sizeof *now);
    if (!now) return 0;
    int32_t rc = kube_config_files(t->env, t->from, c->files, c->context, now, &why);
    if (rc)
        kube_log(t->env, QD_LEVEL_WARN, "%s; the credentials before are used", why.text);
    else if (!is_same_server(now, c))
        kube_log(t->env, QD_LEVEL_WARN,
                 "%s names another API server (%s) than at the start (%s): it is not followed, and "
                 "the credentials before are used, until a new start",
                 now->source, now->server, c->server);
    if (rc || !is_same_server(now, c) || is_same_identity(now, c)) {
        kube_config_clear(t->env, now);
        kube_free(t->env, now);
        return 0;
    }
    config_drop(t);
    t->config = t->again = now;
    kube_log(t->env, QD_LEVEL_INFO, "credentials for the API server were replaced: %s",
             now->source);
    return 1;
}

/* --- both --- */

int32_t kube_curl_secrets_init(curl_transport *t)
{
    const kube_config *c = t->config;
    tls_pem *pem = t->pem = kube_calloc(t->env, sizeof *pem);
    if (!pem) return QD_E_NOMEM;
    pem->refs = 1;
    t->pem_read_ns = t->config_read_ns = t->env->mono_ns(t->env->arg);
    if (pem_of(t, NULL, c->ca_pem, "", &pem->ca) || pem_of(t, NULL, c->cert_pem, "", &pem->cert))
        return QD_E_NOMEM;
    return pem_of(t, NULL, c->key_pem, "", &pem->key);
}

void kube_curl_secrets_fini(curl_transport *t)
{
    kube_secret_free(t->env, t->token);
    kube_curl_pem_drop(t->env, t->pem);
    config_drop(t);
    t->token = NULL;
    t->pem = NULL;
}

void kube_curl_secrets_renew(curl_transport *t)
{
    int32_t anew = renew_config(t);
    if (anew) { /* of another file, perhaps */
        kube_secret_free(t->env, t->token);
        t->token = NULL;
    }
    renew_token(t);
    renew_pem(t, anew);
}
