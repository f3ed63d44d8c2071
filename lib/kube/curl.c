/*
 * curl.c: libcurl's multi interface on a uv loop: see curl.h.
 *
 * curl says which sockets and which moment it waits for (on_watch, on_moment); the loop tells it
 * what came (act); then what has ended is taken (reap) and what was cancelled or added meanwhile is
 * put right, as curl takes and gives no handle from inside its own calls.
 */
#include "curl_int.h"
#include <stdio.h>
#include <string.h>

enum { CONNECTIONS_DEFAULT = 16 };
#define CONNECT_DEFAULT_NS (5 * KUBE_SECOND_NS)

/* A socket of curl's under the loop's eyes. */
typedef struct watched {
    uv_poll_t poll;
    curl_transport *t;
    curl_socket_t fd;
} watched;

/* --- flights --- */

static void drop(flight *f)
{
    curl_transport *t = f->t;
    if (f->added) (void)curl_multi_remove_handle(t->multi, f->easy);
    if (f->easy) curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->headers);
    kube_curl_pem_drop(t->env, f->pem);
    kube_free(t->env, f->answer);
    if (f->prev)
        f->prev->next = f->next;
    else
        t->flights = f->next;
    if (f->next) f->next->prev = f->prev;
    kube_free(t->env, f);
}

static void explain(kube_exchange *x, const flight *f, CURLcode rc)
{
    (void)snprintf(x->why, sizeof x->why, "%.10s %.80s: %.150s", x->method, x->target,
                   f->why[0] ? f->why : curl_easy_strerror(rc));
}

static int32_t outcome_of(const flight *f, CURLcode rc)
{
    if (f->too_large) return KUBE_TOO_LARGE;
    if (rc == CURLE_OK && f->x->status) return KUBE_ANSWERED;
    return f->sendings ? KUBE_NO_ANSWER : KUBE_NOT_SENT;
}

/* Tells the owner; the flight is gone before. */
static void end(flight *f, CURLcode rc)
{
    curl_transport *t = f->t;
    kube_exchange *x = f->x;
    char *answer = f->answer;
    x->outcome = outcome_of(f, rc);
    x->answer = (qd_str){answer ? answer : "", f->n};
    if (f->no_memory) (void)snprintf(f->why, sizeof f->why, "no memory for the answer");
    if (x->outcome != KUBE_ANSWERED) explain(x, f, rc);
    if (x->outcome == KUBE_NOT_SENT) x->status = 0;
    if (x->status == 401) t->token_refused = t->pem_refused = t->config_refused = 1;
    if (rc == CURLE_SSL_CONNECT_ERROR || rc == CURLE_SSL_CERTPROBLEM ||
        rc == CURLE_PEER_FAILED_VERIFICATION)
        t->pem_refused = t->config_refused = 1;
    x->host = NULL;
    f->answer = NULL;
    drop(f);
    x->done(x);
    kube_free(t->env, answer);
}

/* Handles that were added or cancelled while curl was at work. */
static void put_right(curl_transport *t)
{
    flight *f = t->flights;
    while (f) {
        flight *next = f->next;
        if (!f->x) {
            drop(f);
        } else if (!f->added && curl_multi_add_handle(t->multi, f->easy) == CURLM_OK) {
            f->added = 1;
        } else if (!f->added) {
            end(f, CURLE_OUT_OF_MEMORY);
            next = t->flights; /* its owner may have done anything */
        }
        f = next;
    }
}

static void reap(curl_transport *t)
{
    CURLMsg *m;
    int left;
    put_right(t);
    while (!t->closing && (m = curl_multi_info_read(t->multi, &left)) != NULL) {
        flight *f = NULL;
        CURLcode rc = m->data.result;
        if (m->msg != CURLMSG_DONE) continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &f);
        end(f, rc);
    }
}

static void act(curl_transport *t, curl_socket_t fd, int events)
{
    int running;
    t->inside++;
    (void)curl_multi_socket_action(t->multi, fd, events, &running);
    t->inside--;
    reap(t);
}

/* --- the loop --- */

static void handle_closed(curl_transport *t)
{
    const kube_env *env = t->env;
    void (*closed)(void *) = t->closed;
    void *arg = t->closed_arg;
    if (--t->handles || !t->closing) return;
    curl_slist_free_all(t->connect_to);
    kube_free(env, t->url_base);
    kube_curl_secrets_fini(t);
    kube_free(env, t);
    curl_global_cleanup();
    if (closed) closed(arg);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_timer_closed(uv_handle_t *timer)
{
    handle_closed(timer->data);
}

static int on_moment(CURLM *multi, long ms, void *arg)
{
    curl_transport *t = arg;
    (void)multi;
    if (t->closing) return 0;
    if (ms < 0)
        (void)uv_timer_stop(&t->timer);
    else
        (void)uv_timer_start(&t->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    watched *w = poll->data;
    int what = 0;
    if (status < 0) what = CURL_CSELECT_ERR;
    if (events & UV_READABLE) what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) what |= CURL_CSELECT_OUT;
    act(w->t, w->fd, what);
}

static void on_poll_closed(uv_handle_t *poll)
{
    watched *w = poll->data;
    curl_transport *t = w->t;
    kube_free(t->env, w);
    handle_closed(t);
}

static int unwatch(watched *w)
{
    if (!w) return 0;
    (void)uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_poll_closed);
    return 0;
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    curl_transport *t = arg;
    watched *w = socket_arg;
    int events = 0;
    (void)easy;
    if (what == CURL_POLL_REMOVE) return unwatch(w);
    if (!w) {
        if (!(w = kube_calloc(t->env, sizeof *w))) return -1;
        w->t = t;
        w->fd = fd;
        if (uv_poll_init_socket(t->uv, &w->poll, fd)) {
            kube_free(t->env, w);
            return -1;
        }
        w->poll.data = w;
        t->handles++;
        (void)curl_multi_assign(t->multi, fd, w);
    }
    if (what != CURL_POLL_OUT) events |= UV_READABLE;
    if (what != CURL_POLL_IN) events |= UV_WRITABLE;
    return uv_poll_start(&w->poll, events, on_poll) ? -1 : 0;
}

/* --- the vtable --- */

static int32_t start(kube_transport *base, kube_exchange *x)
{
    curl_transport *t = (curl_transport *)base;
    if (t->closing) return QD_E_CLOSED;
    flight *f = kube_calloc(t->env, sizeof *f);
    if (!f) return QD_E_NOMEM;
    f->t = t;
    f->x = x;
    f->max = x->answer_max ? x->answer_max : KUBE_ANSWER_MAX;
    f->next = t->flights;
    if (f->next) f->next->prev = f;
    t->flights = f;
    x->outcome = x->status = 0;
    x->answer = (qd_str){"", 0};
    x->retry_after_ns = -1;
    x->date_ms = 0;
    x->why[0] = 0;
    int32_t rc = kube_curl_prepare(f);
    if (rc == 0 && !t->inside) {
        f->added = 1;
        if (curl_multi_add_handle(t->multi, f->easy)) {
            f->added = 0;
            rc = QD_E_NOMEM;
        }
    }
    if (rc) {
        drop(f);
        return rc;
    }
    x->host = f;
    return 0;
}

static int32_t cancel(kube_transport *base, kube_exchange *x)
{
    curl_transport *t = (curl_transport *)base;
    flight *f = x->host;
    if (!f) return KUBE_NOT_SENT;
    int32_t sent = f->sendings ? KUBE_NO_ANSWER : KUBE_NOT_SENT;
    x->host = NULL;
    f->x = NULL;
    if (!t->inside) drop(f);
    return sent;
}

static void free_transport(kube_transport *base, void (*closed)(void *arg), void *arg)
{
    curl_transport *t = (curl_transport *)base;
    t->closed = closed;
    t->closed_arg = arg;
    while (t->flights) {
        if (t->flights->x) t->flights->x->host = NULL;
        drop(t->flights);
    }
    /* closes the connections, and has their sockets unwatched */
    (void)curl_multi_cleanup(t->multi);
    t->closing = 1;
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static int32_t set_up(curl_transport *t)
{
    CURLMcode rc;
    if (kube_curl_secrets_init(t) || kube_curl_place(t)) return QD_E_NOMEM;
    if (!(t->multi = curl_multi_init())) return QD_E_NOMEM;
    rc = curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
    if (!rc) rc = curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
    if (!rc) rc = curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, on_moment);
    if (!rc) rc = curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
    if (!rc) rc = curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)t->options.connections);
    if (!rc) rc = curl_multi_setopt(t->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return rc ? QD_E_NOMEM : 0;
}

kube_transport *kube_curl_make(const kube_env *env, uv_loop_t *uv, const kube_config *config,
                               const kube_sources *from, const kube_curl_options *options,
                               kube_error *err)
{
    curl_transport *t = kube_calloc(env, sizeof *t);
    if (!t || curl_global_init(CURL_GLOBAL_DEFAULT)) {
        kube_free(env, t);
        (void)kube_fail(err, QD_E_NOMEM, "libcurl cannot be set up");
        return NULL;
    }
    t->base = (kube_transport){start, cancel, free_transport};
    t->env = env;
    t->uv = uv;
    t->config = config;
    t->from = from;
    if (options) t->options = *options;
    if (!t->options.connections) t->options.connections = CONNECTIONS_DEFAULT;
    if (t->options.connect_ns <= 0) t->options.connect_ns = CONNECT_DEFAULT_NS;
    if (set_up(t)) {
        curl_slist_free_all(t->connect_to);
        if (t->multi) (void)curl_multi_cleanup(t->multi);
        kube_curl_secrets_fini(t);
        kube_free(env, t->url_base);
        kube_free(env, t);
        curl_global_cleanup();
        (void)kube_fail(err, QD_E_NOMEM, "libcurl cannot be set up");
        return NULL;
    }
    (void)uv_timer_init(uv, &t->timer);
    t->timer.data = t;
    t->handles = 1;
    return &t->base;
}
