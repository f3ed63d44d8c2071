/* curl_int.h: the parts of the transport by libcurl; private to lib/kube. */
#ifndef KUBE_CURL_INT_H
#define KUBE_CURL_INT_H

#include "config_int.h"
#include "curl.h"
#include <curl/curl.h>

/* Certificates and key of one moment; NULL: none. Exchanges that began with them keep them. */
typedef struct tls_pem {
    uint32_t refs;
    char *ca, *cert, *key;
} tls_pem;

/* One exchange under way. */
typedef struct flight {
    struct curl_transport *t;
    struct flight *prev, *next;
    kube_exchange *x; /* NULL: cancelled, curl is still to be told */
    CURL *easy;
    struct curl_slist *headers;
    tls_pem *pem;
    char *answer;
    size_t n, cap, max;
    uint32_t sendings; /* how often curl had a connection and began to send */
    int32_t added, too_large, no_memory, begun;
    char why[CURL_ERROR_SIZE];
} flight;

typedef struct curl_transport {
    kube_transport base;
    const kube_env *env;
    uv_loop_t *uv;
    const kube_config *config; /* the owner's, or `again` */
    kube_config *again;        /* kubeconfig files as read again; NULL: not yet */
    int64_t config_read_ns;
    int32_t config_refused; /* as pem_refused */
    const kube_sources *from;
    kube_curl_options options;
    CURLM *multi;
    uv_timer_t timer;
    flight *flights;
    uint32_t handles; /* of uv, not yet closed */
    int32_t inside;   /* in a call of curl: handles may neither be added nor removed */
    int32_t closing;
    struct curl_slist *connect_to; /* tls-server-name */
    char *url_base;
    char *token; /* the present one */
    int64_t token_read_ns;
    int32_t token_refused; /* a 401 came since it was read */
    tls_pem *pem;          /* the present ones */
    int64_t pem_read_ns;
    int32_t pem_refused; /* TLS failed, or a 401 came, since they were read */
    void (*closed)(void *arg);
    void *closed_arg;
} curl_transport;

/* --- curl_secrets.c --- */
/* The configuration's certificates as the present ones. 0 or QD_E_NOMEM. */
int32_t kube_curl_secrets_init(curl_transport *t);
/* Forgets token and certificates. */
void kube_curl_secrets_fini(curl_transport *t);
/* Reads kubeconfig files, the token file, and the files of certificates, again if it is time to. */
void kube_curl_secrets_renew(curl_transport *t);
/* Gives one reference to certificates back; NULL is fine. */
void kube_curl_pem_drop(const kube_env *env, tls_pem *pem);

/* --- curl_request.c --- */
/* Makes a flight's easy handle ready. 0 or QD_E_NOMEM. */
int32_t kube_curl_prepare(flight *f);
/* Where the server is for curl: url_base and connect_to. 0 or QD_E_NOMEM. */
int32_t kube_curl_place(curl_transport *t);

#endif
