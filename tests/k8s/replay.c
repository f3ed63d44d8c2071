/*
 * replay.c: plays recorded requests to a real API server, or to the model.
 *
 *   kube_replay [--server URL --token TOKEN --nobody TOKEN] [--record] FILE...
 *
 * TAP, one line for each file. Where a file says COMPACT it writes this, and waits for a line: who
 * called it makes the real server forget its history and restarts it. --record writes the answers
 * into the files (from a real server).
 */
#include "lib/kube_replay.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

typedef struct real {
    CURL *curl;
    const char *server, *token, *nobody;
    char *text;
    size_t n;
    int left; /* lines of a watch */
} real;

static size_t take(char *p, size_t one, size_t n, void *arg)
{
    real *r = arg;
    n *= one;
    r->text = realloc(r->text, r->n + n + 1);
    if (!r->text) exit(2);
    memcpy(r->text + r->n, p, n);
    r->n += n;
    bool watch = r->left > 0;
    for (size_t i = 0; watch && i < n; i++) r->left -= p[i] == '\n';
    return watch && r->left <= 0 ? 0 : n;
}

static kube_answer ask(void *arg, const char *user, const char *method, const char *target,
                       const char *type, const char *body, size_t n, int events)
{
    real *r = arg;
    char url[4096], header[4096];
    long status = 0;
    r->text = calloc(1, 1);
    r->n = 0;
    r->left = events;
    snprintf(url, sizeof url, "%s%s", r->server, target);
    struct curl_slist *headers = NULL;
    snprintf(header, sizeof header, "Authorization: Bearer %s", *user ? r->nobody : r->token);
    headers = curl_slist_append(headers, header);
    snprintf(header, sizeof header, "%s: %s", strcmp(method, "GET") ? "Content-Type" : "Accept",
             type);
    headers = curl_slist_append(headers, header);
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_reset(r->curl);
    curl_easy_setopt(r->curl, CURLOPT_URL, url);
    curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    if (n || !strcmp(method, "POST") || !strcmp(method, "PUT")) {
        curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    }
    CURLcode rc = curl_easy_perform(r->curl);
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK && rc != CURLE_WRITE_ERROR) printf("# %s\n", curl_easy_strerror(rc));
    curl_slist_free_all(headers);
    return (kube_answer){.status = (int)status, .body = r->text, .n = r->n};
}

static void compact(void *arg)
{
    char line[64];
    (void)arg;
    printf("COMPACT\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(2);
}

int main(int argc, char **argv)
{
    real r = {0};
    bool record = false;
    int i = 1, failed = 0, tests = 0;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--record")) {
            record = true;
            continue;
        }
        const char **to = !strcmp(argv[i], "--server")   ? &r.server
                          : !strcmp(argv[i], "--token")  ? &r.token
                          : !strcmp(argv[i], "--nobody") ? &r.nobody
                                                         : NULL;
        if (!to || ++i == argc) {
            fprintf(stderr, "usage: kube_replay [--server URL --token TOKEN --nobody TOKEN] "
                            "[--record] FILE...\n");
            return 2;
        }
        *to = argv[i];
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    r.curl = curl_easy_init();
    for (; i < argc; i++) {
        kube_player p = r.server ? (kube_player){.ask = ask, .compact = compact, .arg = &r}
                                 : kube_replay_model();
        kube_replay_result result = kube_replay(argv[i], &p, record, stdout);
        bool ok = result.requests && !result.wrong;
        failed += !ok;
        printf("%s %d - %s: %u requests\n", ok ? "ok" : "not ok", ++tests, argv[i],
               result.requests);
        if (!r.server) kube_replay_model_free(&p);
    }
    printf("1..%d\n", tests);
    curl_easy_cleanup(r.curl);
    curl_global_cleanup();
    return failed > 0;
}
