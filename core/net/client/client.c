/*
 * client.c: the thread of the HTTP client. It takes calls that were begun, lets curl work, ends
 * those that are over, were cancelled, or whose server is silent, and sleeps in curl_multi_poll,
 * from which curl_multi_wakeup wakes it.
 */
#include "base/mem.h"
#include "net/client/client_int.h"
#include "runtime/waitq.h"
#include <stdio.h>
#include <string.h>

#define CONNECTIONS_MAX 64L
#define POLL_MS 1000
#define LOOK_NS UINT64_C(200000000)

static void drop(http_flight *f)
{
    if (f->added) (void)curl_multi_remove_handle(f->c->multi, f->easy);
    if (f->easy) curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->headers);
    qd_free(f);
}

static qd_http_outcome outcome_of(const http_flight *f, CURLcode rc)
{
    if (atomic_load(&f->call->cancel)) return QD_HTTP_CANCELLED;
    if (f->silent) return QD_HTTP_SILENT;
    if (f->too_large || rc == CURLE_FILESIZE_EXCEEDED) return QD_HTTP_TOO_LARGE;
    if (f->no_memory || rc == CURLE_OUT_OF_MEMORY) return QD_HTTP_NO_MEMORY;
    switch (rc) {
    case CURLE_OK:
        return QD_HTTP_ANSWERED;
    case CURLE_COULDNT_RESOLVE_HOST:
        return QD_HTTP_NO_HOST;
    case CURLE_URL_MALFORMAT: /* of a checked one: the port 0 */
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        return QD_HTTP_NO_CONNECT; /* only the connection has a time */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return QD_HTTP_TLS;
    default:
        return QD_HTTP_BROKEN;
    }
}

static void end(http_flight *f, CURLcode rc)
{
    qd_http_call *x = f->call;
    long status = 0;
    char *type = NULL;
    x->outcome = outcome_of(f, rc);
    (void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
    x->status = (int)status;
    snprintf(x->content_type, sizeof x->content_type, "%s", type ? type : "");
    x->why[0] = 0;
    if (x->outcome == QD_HTTP_SILENT)
        snprintf(x->why, sizeof x->why, "no byte came in %llu ms",
                 (unsigned long long)(x->idle_ns / 1000000u));
    else if (x->outcome != QD_HTTP_ANSWERED)
        snprintf(x->why, sizeof x->why, "%.*s", (int)sizeof x->why - 1,
                 f->why[0] ? f->why : curl_easy_strerror(rc));
    drop(f);
    x->done(x);
}

/* Those that were begun become curl's. */
static void take_fresh(qd_http_client *c)
{
    qd_mutex_lock(&c->lock);
    http_flight *f = c->fresh;
    c->fresh = NULL;
    qd_mutex_unlock(&c->lock);
    while (f) {
        http_flight *next = f->next;
        f->moved_ns = qd_env_mono_ns(c->env);
        f->added = curl_multi_add_handle(c->multi, f->easy) == CURLM_OK;
        if (f->added) {
            f->next = c->first;
            c->first = f;
        } else {
            end(f, CURLE_OUT_OF_MEMORY);
        }
        f = next;
    }
}

static void unlink_flight(qd_http_client *c, const http_flight *f)
{
    http_flight **at = &c->first;
    while (*at && *at != f) at = &(*at)->next;
    if (*at) *at = f->next;
}

static void reap(qd_http_client *c)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        http_flight *f = NULL;
        CURLcode rc = m->data.result;
        if (m->msg != CURLMSG_DONE) continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &f);
        unlink_flight(c, f);
        end(f, rc);
    }
}

/* Ends those that were cancelled and those whose server says nothing; how long the others may be
 * slept on. */
static int judge(qd_http_client *c, bool all)
{
    uint64_t now = qd_env_mono_ns(c->env);
    int ms = POLL_MS;
    for (http_flight *f = c->first, *next; f; f = next) {
        uint64_t idle = f->call->idle_ns, over = f->moved_ns + idle;
        next = f->next;
        f->silent = idle && now >= over;
        if (all) atomic_store(&f->call->cancel, true);
        if (!f->silent && !atomic_load(&f->call->cancel)) {
            uint64_t rest = idle ? (over - now) / 1000000u + 1 : POLL_MS;
            if (rest < (uint64_t)ms) ms = (int)rest;
            continue;
        }
        unlink_flight(c, f);
        end(f, CURLE_ABORTED_BY_CALLBACK);
    }
    return ms;
}

static void run_thread(void *arg)
{
    qd_http_client *c = arg;
    for (;;) {
        int running;
        qd_mutex_lock(&c->lock);
        bool stop = c->stop;
        qd_mutex_unlock(&c->lock);
        take_fresh(c);
        (void)curl_multi_perform(c->multi, &running);
        reap(c);
        int ms = judge(c, stop);
        if (stop && !c->first) break; /* nothing is begun after it was told */
        (void)curl_multi_poll(c->multi, NULL, 0, ms, NULL);
    }
}

int qd_http_client_open(qd_env *env, qd_http_client **out, qd_err *err)
{
    qd_http_client *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "an HTTP client");
    c->env = env;
    qd_mutex_init(&c->lock);
    *out = c;
    return 0;
}

void qd_http_client_close(qd_http_client *c)
{
    if (!c) return;
    qd_mutex_lock(&c->lock);
    c->stop = true;
    qd_thread *thread = c->thread;
    if (c->multi) (void)curl_multi_wakeup(c->multi);
    qd_mutex_unlock(&c->lock);
    if (thread) qd_thread_join(c->env, thread);
    if (c->multi) {
        (void)curl_multi_cleanup(c->multi);
        curl_global_cleanup();
    }
    qd_mutex_fini(&c->lock);
    qd_free(c);
}

/* curl and the thread, with the first call. Under the lock. */
static int begin(qd_http_client *c, qd_err *err)
{
    if (c->stop) return qd_err_set(err, QD_E_CLOSED, "the node stops");
    if (!c->multi) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT)) return qd_err_nomem(err, "an HTTP client");
        if (!(c->multi = curl_multi_init())) {
            curl_global_cleanup();
            return qd_err_nomem(err, "an HTTP client");
        }
        (void)curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MAX);
    }
    return c->thread ? 0 : qd_thread_start(c->env, "http-client", run_thread, c, &c->thread, err);
}

int qd_http_client_start(qd_http_client *c, qd_http_call *call, qd_err *err)
{
    http_flight *f = qd_calloc(NULL, sizeof *f);
    if (!f) return qd_err_nomem(err, "an HTTP request");
    *f = (http_flight){.c = c, .call = call};
    qd_mutex_lock(&c->lock);
    int rc = begin(c, err);
    if (!rc && qdi_http_prepare(f)) rc = qd_err_nomem(err, "an HTTP request");
    if (!rc) {
        f->next = c->fresh;
        c->fresh = f;
        (void)curl_multi_wakeup(c->multi);
    }
    qd_mutex_unlock(&c->lock);
    if (rc) drop(f);
    return rc;
}

void qd_http_client_cancel(qd_http_client *c, qd_http_call *call)
{
    qd_mutex_lock(&c->lock);
    atomic_store(&call->cancel, true);
    (void)curl_multi_wakeup(c->multi);
    qd_mutex_unlock(&c->lock);
}

/* --- to its end --- */

typedef struct waiting {
    qd_mutex lock;
    qd_waitq ended;
    bool over;
} waiting;

/* [the client's thread] */
static void wake(qd_http_call *call)
{
    waiting *w = call->user;
    qd_mutex_lock(&w->lock);
    w->over = true;
    qd_waitq_wake(&w->ended);
    qd_mutex_unlock(&w->lock);
}

int qd_http_client_run(qd_http_client *c, qd_http_call *call, bool (*stop)(void *arg), void *arg,
                       qd_err *err)
{
    waiting w = {.over = false};
    qd_mutex_init(&w.lock);
    qd_waitq_init(&w.ended, &w.lock);
    call->done = wake;
    call->user = &w;
    int rc = qd_http_client_start(c, call, err);
    qd_mutex_lock(&w.lock);
    while (!rc && !w.over) {
        (void)qd_waitq_wait(&w.ended, qd_env_mono_ns(c->env) + LOOK_NS);
        if (w.over || !stop) continue;
        qd_mutex_unlock(&w.lock);
        if (stop(arg)) qd_http_client_cancel(c, call);
        qd_mutex_lock(&w.lock);
    }
    qd_mutex_unlock(&w.lock);
    qd_mutex_fini(&w.lock);
    return rc;
}
