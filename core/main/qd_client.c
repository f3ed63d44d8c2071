/* qd_client.c: libcurl behind one function. See qd_client.h. */
#include "main/qd_client.h"
#include "base/arena.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <curl/curl.h>
#include <stdio.h>

#define ANSWER_MAX ((size_t)1 << 31)

struct qd_client {
    CURL *curl;
    struct curl_slist *json, *ndjson;
    char url[512];
};

int qd_client_open(const char *url, qd_client **out, qd_err *err)
{
    if (!url) url = qd_proc_env("QUIDDITCH_URL");
    if (!url || !*url) url = "http://localhost:9200";
    qd_client *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "HTTP client");
    snprintf(c->url, sizeof c->url, "%s", url);
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

void qd_client_escape(const char *part, char *out, size_t room)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const char *p = part; *p && n + 4 < room; p++) {
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
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    return qd_buf_add(arg, p, size * n) ? 0 : size * n;
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
    if (strcmp(method, "HEAD") == 0) curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
    if (body.n) {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.p);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, ndjson ? c->ndjson : c->json);
    }
    CURLcode rc = curl_easy_perform(c->curl);
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
