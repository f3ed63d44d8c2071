/* request.c: what curl is told of a call, and what it tells of the answer. */
#include "net/client/client_int.h"
#include <openssl/ssl.h>

#define IDLE_CONNECTION_S 30L
#define MS_MAX UINT64_C(2000000000) /* of curl: an int */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    http_flight *f = arg;
    qd_buf *b = f->call->answer;
    size_t len = size * n;
    if (len > b->max - b->n) {
        f->too_large = true;
        return 0;
    }
    if (qd_buf_add(b, p, len)) {
        f->no_memory = true;
        return 0;
    }
    return len;
}

/* Bytes that came or went: the clock of idle_ns begins anew. */
static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    http_flight *f = arg;
    (void)down_all;
    (void)up_all;
    if (down != f->down || up != f->up) f->moved_ns = qd_env_mono_ns(f->c->env);
    f->down = down;
    f->up = up;
    return 0;
}

/* From here on the wait for the server's answer counts, not that for a connection. */
static int on_sending(void *arg, char *to, char *from, int to_port, int from_port)
{
    http_flight *f = arg;
    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    f->moved_ns = qd_env_mono_ns(f->c->env);
    return CURL_PREREQFUNC_OK;
}

static int add_headers(http_flight *f)
{
    const qd_http_call *x = f->call;
    struct curl_slist *more = curl_slist_append(NULL, "Expect:");
    if (!more) return QD_E_NOMEM;
    f->headers = more;
    for (uint32_t i = 0; i < x->nheaders; i++) {
        if (!(more = curl_slist_append(f->headers, x->headers[i]))) return QD_E_NOMEM;
        f->headers = more;
    }
    return 0;
}

static CURLcode load_authorities(CURL *easy, void *context, void *arg)
{
    const qd_http_tls *t = arg;
    (void)easy;
    for (uint32_t i = 0; i < t->nauthorities; i++)
        if (SSL_CTX_load_verify_locations(context, t->authorities[i], NULL) != 1)
            return CURLE_SSL_CACERT_BADFILE;
    return CURLE_OK;
}

static CURLcode set_tls(CURL *e, const qd_http_tls *t)
{
    static const long versions[] = {CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1,
                                    CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3};
    long version = t && t->version_min ? versions[(t->version_min - 0x0301) & 3]
                                       : (long)CURL_SSLVERSION_TLSv1_2;
    CURLcode rc = curl_easy_setopt(e, CURLOPT_SSLVERSION, version);
    if (!t) return rc;
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, t->verify_peer ? 1L : 0L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, t->verify_host ? 2L : 0L);
    if (!rc && t->nauthorities) { /* these and no others */
        rc = curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, load_authorities);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, (void *)(uintptr_t)t);
    }
    if (!rc && t->cert) rc = curl_easy_setopt(e, CURLOPT_SSLCERT, t->cert);
    if (!rc && t->key) rc = curl_easy_setopt(e, CURLOPT_SSLKEY, t->key);
    return rc;
}

static CURLcode set_credentials(CURL *e, const qd_http_call *x)
{
    if (!x->username) return CURLE_OK;
    CURLcode rc = curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_USERNAME, x->username);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PASSWORD, x->password ? x->password : "");
    return rc;
}

static CURLcode set_connection(CURL *e, const qd_http_call *x)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PROXY, ""); /* the environment's neither */
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    if (!rc && x->connect_ns)
        rc = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                              x->connect_ns < MS_MAX * 1000000u
                                  ? (long)(x->connect_ns / 1000000u) + 1
                                  : (long)MS_MAX);
    return rc;
}

static CURLcode set_callbacks(http_flight *f)
{
    CURL *e = f->easy;
    CURLcode rc = curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->why);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_sending);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PREREQDATA, f);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_XFERINFODATA, f);
    return rc;
}

static CURLcode set_request(http_flight *f)
{
    const qd_http_call *x = f->call;
    CURL *e = f->easy;
    CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, x->url);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_USERAGENT, "quidditch");
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->headers);
    if (!rc) /* one that announces its length is refused before it comes */
        rc = curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->answer->max);
    if (!rc && x->body.n) {
        rc = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.n);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->body.p);
    }
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, x->method);
    return rc;
}

int qdi_http_prepare(http_flight *f)
{
    f->easy = curl_easy_init();
    if (!f->easy || add_headers(f)) return QD_E_NOMEM;
    if (set_connection(f->easy, f->call) || set_credentials(f->easy, f->call) ||
        set_tls(f->easy, f->call->tls) || set_callbacks(f) || set_request(f))
        return QD_E_NOMEM;
    return 0;
}
