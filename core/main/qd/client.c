/* client.c: libcurl behind one function. See client.h. */
#include "main/qd/client.h"
#include "base/arena.h"
#include "runtime/env.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <curl/curl.h>
#include <stdio.h>

#define CONNECT_S 10
#define SECONDS_MAX 1000000000
#define LOOK_NS UINT64_C(2000000000) /* libcurl looks every second at least */

struct qd_client {
    CURL *curl;
    struct curl_slist *json, *ndjson;
    char url[512];
    int64_t patience_s;
    curl_off_t moved; /* bytes of this request and its answer */
    uint64_t looked_ns, idle_ns;
};

int qd_client_open(const char *url, qd_client **out, qd_err *err)
{
    if (!url) url = qd_proc_env("QUIDDITCH_URL");
    if (!url || !*url) url = "http://localhost:9200";
    qd_client *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "HTTP client");
    snprintf(c->url, sizeof c->url, "%s", url);
    c->patience_s = QD_CLIENT_READ_S;
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    c->curl = curl_easy_init();
    c->json = curl_slist_append(NULL, "Content-Type: application/json");
    c->ndjson = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    if (!c->curl || !c->json || !c->ndjson) {
        qd_client_close(c);
        return qd_err_nomem(err, "HTTP client");
    }
    *out = c;
    return 0;
}

void qd_client_close(qd_client *c)
{
    if (!c) return;
    curl_slist_free_all(c->json);
    curl_slist_free_all(c->ndjson);
    if (c->curl) curl_easy_cleanup(c->curl);
    qd_free(c);
}

const char *qd_client_url(const qd_client *c)
{
    return c->url;
}

void qd_client_patience(qd_client *c, int64_t seconds)
{
    c->patience_s = seconds;
}

int qd_client_seconds(const char *value, int64_t *seconds, qd_err *err)
{
    int64_t v;
    if (!qd_str_i64(qd_str_c(value), &v) || v < 0 || v > SECONDS_MAX)
        return qd_err_set(err, QD_E_ARG, "--timeout takes seconds, not [%s]", value);
    *seconds = v;
    return 0;
}

int qd_client_escape(const char *part, char *out, size_t room, qd_err *err)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const char *p = part; *p; p++) {
        if (n + 4 > room)
            return qd_err_set(err, QD_E_ARG, "[%.40s...] is too long: %zu bytes", part,
                              strlen(part));
        unsigned char b = (unsigned char)*p;
        bool plain = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
                     strchr("-._~*,", b);
        if (plain) {
            out[n++] = (char)b;
        } else {
            out[n++] = '%';
            out[n++] = hex[b >> 4];
            out[n++] = hex[b & 15];
        }
    }
    out[n] = 0;
    return 0;
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    return qd_buf_add(arg, p, size * n) ? 0 : size * n;
}

/* Ends a request that has stood still for too long. While this process stood still itself nobody
 * was waited for. */
static int look(void *arg, curl_off_t all_in, curl_off_t in, curl_off_t all_out, curl_off_t out)
{
    qd_client *c = arg;
    uint64_t now = qd_env_mono_ns(qd_env_system()), since = now - c->looked_ns;
    (void)all_in;
    (void)all_out;
    if (in + out != c->moved)
        c->idle_ns = 0;
    else
        c->idle_ns += since < LOOK_NS ? since : LOOK_NS;
    c->moved = in + out;
    c->looked_ns = now;
    return c->idle_ns >= (uint64_t)c->patience_s * 1000000000u;
}

static void limit(qd_client *c)
{
    int64_t connect_s = c->patience_s < CONNECT_S ? c->patience_s : CONNECT_S;
    if (!c->patience_s) return;
    c->moved = 0;
    c->idle_ns = 0;
    c->looked_ns = qd_env_mono_ns(qd_env_system());
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)connect_s);
    curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, look);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, c);
}

#define WHAT_TO_TRY "Try another node (--url), or wait longer (--timeout)"

static int no_answer(const qd_client *c, const char *method, qd_err *err)
{
    curl_off_t connected = 0;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    (void)curl_easy_getinfo(c->curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (!connected) {
        long long s = c->patience_s < CONNECT_S ? c->patience_s : CONNECT_S;
        return qd_err_set(
            err, QD_E_TIMEOUT,
            "no connection to %s in %lld s: it is down, overloaded or cut off. " WHAT_TO_TRY,
            c->url, s);
    }
    return qd_err_set(err, QD_E_TIMEOUT,
                      "no answer from %s: it took the request and has said nothing for %lld s, "
                      "as one that stands still or is overloaded. %s" WHAT_TO_TRY,
                      c->url, (long long)c->patience_s,
                      reads ? "" : "What was asked for may have been carried out. ");
}

int qd_client_call(qd_client *c, const char *method, const char *path, qd_str body, bool ndjson,
                   int *status, qd_buf *answer, qd_err *err)
{
    char url[2048], why[CURL_ERROR_SIZE] = "";
    long code = 0;
    qd_buf_reset(answer);
    snprintf(url, sizeof url, "%s%s", c->url, path);
    curl_easy_reset(c->curl);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, answer);
    limit(c);
    if (strcmp(method, "HEAD") == 0) curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
    if (body.n) {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.p);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, ndjson ? c->ndjson : c->json);
    }
    CURLcode rc = curl_easy_perform(c->curl);
    if (rc == CURLE_OPERATION_TIMEDOUT || rc == CURLE_ABORTED_BY_CALLBACK)
        return no_answer(c, method, err);
    if (rc != CURLE_OK) {
        return qd_err_set(err, QD_E_IO, "no answer from %s: %s", c->url,
                          why[0] ? why : curl_easy_strerror(rc));
    }
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
    *status = (int)code;
    return 0;
}

int qd_client_refused(qd_str answer, int status, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, 0);
    const qd_json_node *e =
        qd_json_parse(&a, answer, 0, &root, NULL) ? NULL : qd_json_get(root, "error");
    const qd_json_node *reason = e ? qd_json_get(e, "reason") : NULL;
    qd_str text = reason ? qd_json_text(reason) : qd_str_sub(answer, 0, 200);
    int rc = qd_err_set(err, QD_E_STATE, "the node answered %d: %.*s", status, QD_STR_ARG(text));
    qd_arena_fini(&a);
    return rc;
}
