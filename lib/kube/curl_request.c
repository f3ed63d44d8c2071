/*
 * curl_request.c: what curl is told of a request, and what it tells of the answer.
 *
 * Whether a request may have had an effect hangs on one fact: did curl ever begin to send it? It
 * asks before each sending (PREREQFUNCTION, after the connection and TLS stand). It would by itself
 * send a request again when a kept connection turns out to be closed; for anything but GET that
 * second sending is refused there, as the first may have arrived.
 */
#include "curl_int.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { KEEP_IDLE_S = 15, KEEP_EVERY_S = 5, UNANSWERED_MS = 30000, IDLE_CONNECTION_S = 60 };

/* --- the answer --- */

static int32_t streamed(const flight *f)
{
    return f->x->chunk && f->x->status >= 200 && f->x->status < 300;
}

static void give(flight *f, const char *p, size_t n)
{
    f->t->inside++;
    f->x->chunk(f->x, (qd_str){p, n});
    f->t->inside--;
}

static int32_t gather(flight *f, const char *p, size_t n)
{
    if (n > f->max - f->n) {
        f->too_large = 1;
        return -1;
    }
    if (n > f->cap - f->n) {
        size_t cap = f->cap ? f->cap : 4096;
        while (cap - f->n < n) cap *= 2;
        char *grown = kube_grow(f->t->env, f->answer, cap);
        if (!grown) {
            f->no_memory = 1;
            return -1;
        }
        f->answer = grown;
        f->cap = cap;
    }
    memcpy(f->answer + f->n, p, n);
    f->n += n;
    return 0;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    flight *f = arg;
    size_t n = size * count;
    if (!f->x) return 0;
    if (!streamed(f)) return gather(f, p, n) ? 0 : n;
    give(f, p, n);
    return f->x ? n : 0;
}

/* Value of a header line if it has that name: trimmed, cut to its room. */
static int32_t header_is(const char *p, size_t n, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);
    if (n <= len || p[len] != ':' || strncasecmp(p, name, len) != 0) return 0;
    p += len + 1;
    n -= len + 1;
    while (n && (*p == ' ' || *p == '\t')) p++, n--;
    while (n && strchr("\r\n \t", p[n - 1])) n--;
    if (n >= room) n = room - 1;
    memcpy(out, p, n);
    out[n] = 0;
    return 1;
}

static int64_t seconds_of(const char *text)
{
    int64_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || n > 100000) return -1;
        n = n * 10 + (*p - '0');
    }
    return text[0] ? n * KUBE_SECOND_NS : -1;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    flight *f = arg;
    size_t n = size * count;
    char value[64];
    long status = 0;
    if (!f->x) return 0;
    if (n > 5 && memcmp(p, "HTTP/", 5) == 0) {
        f->x->retry_after_ns = -1;
        f->x->date_ms = 0;
    } else if (header_is(p, n, "Date", value, sizeof value)) {
        time_t date = curl_getdate(value, NULL);
        f->x->date_ms = date > 0 ? (int64_t)date * 1000 : 0;
    } else if (header_is(p, n, "Retry-After", value, sizeof value)) {
        f->x->retry_after_ns = seconds_of(value);
    } else if (n <= 2) { /* the empty line */
        (void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status < 200) return n;
        f->x->status = (int32_t)status;
        if (streamed(f) && !f->begun) {
            f->begun = 1;
            give(f, "", 0);
        }
    }
    return f->x ? n : 0;
}

/* --- the request --- */

static int on_sending(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    flight *f = arg;
    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (!f->x) return CURL_PREREQFUNC_ABORT;
    if (f->sendings && strcmp(f->x->method, "GET") != 0) return CURL_PREREQFUNC_ABORT;
    f->sendings++;
    return CURL_PREREQFUNC_OK;
}

/* A peer that no longer acknowledges is given up. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    unsigned int ms = UNANSWERED_MS;
    (void)arg;
    (void)purpose;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    return CURL_SOCKOPT_OK;
}

static int32_t add_header(flight *f, const char *line)
{
    struct curl_slist *more = curl_slist_append(f->headers, line);
    if (!more) return QD_E_NOMEM;
    f->headers = more;
    return 0;
}

static int32_t add_headers(flight *f)
{
    curl_transport *t = f->t;
    char line[256];
    const char *token = t->config->token_file ? t->token : t->config->token;
    (void)snprintf(line, sizeof line, "Content-Type: %s",
                   f->x->content_type ? f->x->content_type : "application/json");
    if (f->x->body.n && add_header(f, line)) return QD_E_NOMEM;
    (void)snprintf(line, sizeof line, "Accept: %s",
                   f->x->accept ? f->x->accept : "application/json");
    if (add_header(f, line) || add_header(f, "Expect:")) return QD_E_NOMEM;
    if (!token) return 0;
    size_t room = strlen(token) + sizeof "Authorization: Bearer ";
    char *bearer = kube_alloc(t->env, room);
    if (!bearer) return QD_E_NOMEM;
    (void)snprintf(bearer, room, "Authorization: Bearer %s", token);
    int32_t rc = add_header(f, bearer);
    kube_secret_free(t->env, bearer);
    return rc;
}

static CURLcode set_blob(CURL *easy, CURLoption option, const char *text)
{
    struct curl_blob blob = {(void *)(uintptr_t)text, strlen(text), CURL_BLOB_NOCOPY};
    return curl_easy_setopt(easy, option, &blob);
}

static CURLcode set_tls(CURL *e, const kube_config *c, const tls_pem *pem)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, c->insecure ? 0L : 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, c->insecure ? 0L : 2L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!rc && pem->ca) {
        /* these authorities and no others */
        rc = set_blob(e, CURLOPT_CAINFO_BLOB, pem->ca);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    }
    if (!rc && pem->cert) {
        rc = set_blob(e, CURLOPT_SSLCERT_BLOB, pem->cert);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSLCERTTYPE, "PEM");
        if (!rc) rc = set_blob(e, CURLOPT_SSLKEY_BLOB, pem->key);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_SSLKEYTYPE, "PEM");
    }
    return rc;
}

static CURLcode set_connection(CURL *e, const curl_transport *t)
{
    CURLcode rc = curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PROXY, ""); /* the environment's neither */
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, (long)KEEP_IDLE_S);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, (long)KEEP_EVERY_S);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_S);
    if (!rc)
        rc = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                              (long)(t->options.connect_ns / (KUBE_SECOND_NS / 1000)));
    if (!rc && t->connect_to) rc = curl_easy_setopt(e, CURLOPT_CONNECT_TO, t->connect_to);
    return rc;
}

static CURLcode set_callbacks(flight *f)
{
    CURL *e = f->easy;
    CURLcode rc = curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->why);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_sending);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_PREREQDATA, f);
    return rc;
}

static CURLcode set_request(flight *f, const char *url)
{
    const kube_exchange *x = f->x;
    CURL *e = f->easy;
    int64_t ms = x->timeout_ns / (KUBE_SECOND_NS / 1000);
    CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, url);
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_USERAGENT, "quidditch");
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->headers);
    if (!rc && x->body.n) {
        rc = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.n);
        if (!rc) rc = curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->body.p);
    }
    if (!rc) rc = curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, x->method);
    if (!rc && x->timeout_ns > 0)
        rc = curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(ms > 0 ? ms : 1));
    return rc;
}

int32_t kube_curl_prepare(flight *f)
{
    curl_transport *t = f->t;
    size_t room = strlen(t->url_base) + strlen(f->x->target) + 1;
    char *url = kube_alloc(t->env, room);
    int32_t rc = QD_E_NOMEM;
    kube_curl_secrets_renew(t);
    f->pem = t->pem;
    f->pem->refs++;
    if (url && (f->easy = curl_easy_init()) != NULL && add_headers(f) == 0) {
        (void)snprintf(url, room, "%s%s", t->url_base, f->x->target);
        if (!set_connection(f->easy, t) && !set_tls(f->easy, t->config, f->pem) &&
            !set_callbacks(f) && !set_request(f, url))
            rc = 0;
    }
    kube_free(t->env, url);
    return rc;
}

int32_t kube_curl_place(curl_transport *t)
{
    const kube_config *c = t->config;
    const char *host = strstr(c->server, "://") + 3;
    size_t scheme = (size_t)(host - c->server);
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    size_t port = host[len] == ':' ? strcspn(host + len + 1, "/") : 0;
    const char *rest = host + len + (port ? port + 1 : 0);
    const char *its_port = port ? host + len + 1 : "443";
    if (!port) port = 3;
    if (!c->tls_server_name) {
        t->url_base = kube_copy(t->env, c->server, strlen(c->server));
        return t->url_base ? 0 : QD_E_NOMEM;
    }
    /* the name to verify is the URL's; curl is told to connect elsewhere */
    size_t room = strlen(c->server) + strlen(c->tls_server_name) + 16;
    char *line = kube_alloc(t->env, room * 2);
    t->url_base = kube_alloc(t->env, room);
    if (!line || !t->url_base) {
        kube_free(t->env, line);
        return QD_E_NOMEM;
    }
    (void)snprintf(t->url_base, room, "%.*s%s:%.*s%s", (int)scheme, c->server, c->tls_server_name,
                   (int)port, its_port, rest);
    (void)snprintf(line, room * 2, "%s:%.*s:%.*s:%.*s", c->tls_server_name, (int)port, its_port,
                   (int)len, host, (int)port, its_port);
    t->connect_to = curl_slist_append(NULL, line);
    kube_free(t->env, line);
    return t->connect_to ? 0 : QD_E_NOMEM;
}
