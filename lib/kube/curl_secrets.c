/*
 * curl_secrets.c: token and certificates, read anew as they rotate.
 *
 * Both are files that somebody else replaces: a pod's token and authorities by the kubelet, client
 * certificates by whatever renews them. They are read again each minute, and a second after the
 * server refused who we are, or TLS failed. What cannot be read, or is none, leaves the ones
 * before.
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

static void renew_pem(curl_transport *t)
{
    const kube_config *c = t->config;
    if ((!c->ca_file && !c->cert_file && !c->key_file) ||
        !is_due(t, t->pem_read_ns, t->pem_refused))
        return;
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
                     c->cert_file ? c->cert_file : c->ca_file);
        kube_curl_pem_drop(t->env, pem);
        return;
    }
    kube_log(t->env, QD_LEVEL_INFO, "certificates for the API server were replaced");
    t->pem = pem;
    kube_curl_pem_drop(t->env, old);
}

/* --- both --- */

int32_t kube_curl_secrets_init(curl_transport *t)
{
    const kube_config *c = t->config;
    tls_pem *pem = t->pem = kube_calloc(t->env, sizeof *pem);
    if (!pem) return QD_E_NOMEM;
    pem->refs = 1;
    t->pem_read_ns = t->env->mono_ns(t->env->arg);
    if (pem_of(t, NULL, c->ca_pem, "", &pem->ca) || pem_of(t, NULL, c->cert_pem, "", &pem->cert))
        return QD_E_NOMEM;
    return pem_of(t, NULL, c->key_pem, "", &pem->key);
}

void kube_curl_secrets_fini(curl_transport *t)
{
    kube_secret_free(t->env, t->token);
    kube_curl_pem_drop(t->env, t->pem);
    t->token = NULL;
    t->pem = NULL;
}

void kube_curl_secrets_renew(curl_transport *t)
{
    renew_token(t);
    renew_pem(t);
}
