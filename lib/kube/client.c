/* client.c: see client.h. */
#include "client.h"
#include <stdio.h>
#include <string.h>

#define OPEN_MAX_DEFAULT 8
#define QUEUE_MAX_DEFAULT 1024
#define TIMEOUT_DEFAULT_NS (30 * KUBE_SECOND_NS)
#define REPEAT_FIRST_NS (KUBE_SECOND_NS / 10)
#define REPEAT_MAX_NS (5 * KUBE_SECOND_NS)

/* Where a request is. */
enum { IDLE, QUEUED, OPEN, PAUSED, ENDING };

typedef struct request_list {
    kube_request *first, *last;
} request_list;

struct kube_client {
    const kube_env *env;
    kube_transport *transport;
    kube_client_options options;
    request_list queued, others; /* others: open, paused or ending */
    uint32_t waiting, open;
};

static void put_first(request_list *l, kube_request *r)
{
    r->prev = NULL;
    r->next = l->first;
    if (l->first)
        l->first->prev = r;
    else
        l->last = r;
    l->first = r;
}

static void put_last(request_list *l, kube_request *r)
{
    r->next = NULL;
    r->prev = l->last;
    if (l->last)
        l->last->next = r;
    else
        l->first = r;
    l->last = r;
}

static void take_out(request_list *l, kube_request *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        l->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        l->last = r->prev;
    r->prev = r->next = NULL;
}

static int64_t now(const kube_client *c)
{
    return c->env->mono_ns(c->env->arg);
}

static void set_timer(kube_request *r, int64_t at_ns)
{
    r->client->env->timer_set(r->client->env->arg, &r->timer, at_ns);
}

static void clear_timer(kube_request *r)
{
    r->client->env->timer_clear(r->client->env->arg, &r->timer);
}

static void pump(kube_client *c);

/* Takes it out of its list; it is in none then. */
static void leave(kube_request *r)
{
    kube_client *c = r->client;
    clear_timer(r);
    if (r->state == QUEUED) {
        c->waiting--;
        take_out(&c->queued, r);
    } else if (r->state != IDLE) {
        if (r->state == OPEN) c->open--;
        take_out(&c->others, r);
    }
    r->state = IDLE;
}

static void go(kube_request *r, int32_t state)
{
    kube_client *c = r->client;
    leave(r);
    r->state = state;
    if (state == OPEN) c->open++;
    put_last(&c->others, r);
}

/* The end of all of it: nothing of the request is touched after done. */
static void finish(kube_request *r)
{
    kube_client *c = r->client;
    json_t *object = r->result.object;
    leave(r);
    kube_free(c->env, r->written);
    r->written = NULL;
    pump(c);
    r->done(r);
    json_decref(object);
}

/* A result without an exchange. */
static void fill(kube_result *result, int32_t outcome, const char *message)
{
    result->outcome = outcome;
    result->code = 0;
    result->reason[0] = 0;
    result->retry_after_ns = -1;
    (void)snprintf(result->message, sizeof result->message, "%s", message);
}

static int32_t worth_repeating(const kube_request *r)
{
    const kube_result *result = &r->result;
    if (!r->repeat || r->exchange.outcome == KUBE_TOO_LARGE) return 0;
    /* a token that has just been replaced: the transport reads it again */
    if (result->code == 401) return result->attempts < 2;
    if (result->code >= 200 && result->code < 300) return 0;
    return result->code == 0 || result->outcome == KUBE_UNKNOWN;
}

static void on_exchange_done(kube_exchange *x)
{
    kube_request *r = x->user;
    kube_client *c = r->client;
    uint32_t attempts = r->result.attempts;
    kube_result_read(&r->result, x);
    r->result.attempts = attempts;
    if (worth_repeating(r)) {
        int64_t wait = kube_backoff_ns(c->env, attempts - 1, REPEAT_FIRST_NS, REPEAT_MAX_NS);
        if (r->result.retry_after_ns > 0 && r->result.retry_after_ns < r->deadline_ns)
            wait += r->result.retry_after_ns;
        if (now(c) + wait < r->deadline_ns) {
            kube_result_clear(&r->result);
            go(r, PAUSED);
            set_timer(r, now(c) + wait);
            pump(c);
            return;
        }
    }
    finish(r);
}

/* Starts one that was queued. */
static void start(kube_request *r)
{
    kube_client *c = r->client;
    kube_exchange *x = &r->exchange;
    memset(x, 0, sizeof *x);
    x->method = r->method;
    x->target = r->path;
    x->content_type = r->content_type ? r->content_type : "application/json";
    x->accept = r->accept;
    x->body = r->text;
    if (r->written) x->body = (qd_str){r->written, strlen(r->written)};
    x->timeout_ns = r->deadline_ns - now(c);
    if (x->timeout_ns < KUBE_SECOND_NS / 1000) x->timeout_ns = KUBE_SECOND_NS / 1000;
    x->answer_max = r->answer_max ? r->answer_max : KUBE_ANSWER_MAX;
    x->done = on_exchange_done;
    x->user = r;
    r->result.attempts++;
    go(r, OPEN);
    if (c->transport->start(c->transport, x) == 0) return;
    go(r, ENDING);
    fill(&r->result, KUBE_REFUSED, "the request could not be started");
    set_timer(r, now(c));
}

static void pump(kube_client *c)
{
    while (c->queued.first && c->open < c->options.open_max) start(c->queued.first);
}

static void on_timer(kube_timer *t)
{
    kube_request *r = t->user;
    kube_client *c = r->client;
    switch (r->state) {
    case PAUSED:
        leave(r);
        r->state = QUEUED;
        c->waiting++;
        put_first(&c->queued, r);
        set_timer(r, r->deadline_ns);
        pump(c);
        return;
    case QUEUED:
        fill(&r->result, KUBE_REFUSED, "too many requests were before it until its time was over");
        finish(r);
        return;
    default:
        finish(r);
        return;
    }
}

/* The body as text of its own. */
static int32_t write_object(kube_client *c, kube_request *r)
{
    enum { FLAGS = JSON_COMPACT | JSON_ENCODE_ANY };
    size_t n = json_dumpb(r->object, NULL, 0, FLAGS);
    if (n == 0) return QD_E_ARG;
    if (!(r->written = kube_alloc(c->env, n + 1))) return QD_E_NOMEM;
    if (json_dumpb(r->object, r->written, n, FLAGS) != n) {
        kube_free(c->env, r->written);
        r->written = NULL;
        return QD_E_NOMEM;
    }
    r->written[n] = 0;
    return 0;
}

int32_t kube_send(kube_client *c, kube_request *r)
{
    if (!r->method || !r->path || r->path[0] != '/' || !r->done) return QD_E_ARG;
    if (r->repeat && strcmp(r->method, "GET") != 0) return QD_E_ARG;
    if (r->state != IDLE) return QD_E_STATE;
    if (c->waiting >= c->options.queue_max) return QD_E_REJECTED;
    memset(&r->result, 0, sizeof r->result);
    r->result.retry_after_ns = -1;
    r->client = c;
    r->written = NULL;
    if (r->object) {
        int32_t rc = write_object(c, r);
        if (rc) return rc;
    }
    r->deadline_ns = now(c) + (r->timeout_ns > 0 ? r->timeout_ns : TIMEOUT_DEFAULT_NS);
    r->timer = (kube_timer){.fired = on_timer, .user = r};
    r->state = QUEUED;
    c->waiting++;
    put_last(&c->queued, r);
    set_timer(r, r->deadline_ns);
    pump(c);
    return 0;
}

int32_t kube_cancel(kube_request *r)
{
    kube_client *c = r->client;
    int32_t sent = KUBE_NOT_SENT;
    if (r->state == IDLE) return KUBE_REFUSED;
    if (r->state == OPEN) sent = c->transport->cancel(c->transport, &r->exchange);
    leave(r);
    kube_result_clear(&r->result);
    kube_free(c->env, r->written);
    r->written = NULL;
    pump(c);
    return sent == KUBE_NOT_SENT ? KUBE_REFUSED : KUBE_UNKNOWN;
}

kube_client *kube_client_make(const kube_env *env, kube_transport *transport,
                              const kube_client_options *options)
{
    kube_client *c = kube_calloc(env, sizeof *c);
    if (!c) return NULL;
    c->env = env;
    c->transport = transport;
    if (options) c->options = *options;
    if (!c->options.open_max) c->options.open_max = OPEN_MAX_DEFAULT;
    if (!c->options.queue_max) c->options.queue_max = QUEUE_MAX_DEFAULT;
    return c;
}

void kube_client_free(kube_client *c)
{
    if (!c) return;
    c->options.open_max = 0; /* nothing starts any more */
    while (c->queued.first) (void)kube_cancel(c->queued.first);
    while (c->others.first) (void)kube_cancel(c->others.first);
    kube_free(c->env, c);
}

const kube_env *kube_client_env(const kube_client *c)
{
    return c->env;
}

kube_transport *kube_client_transport(const kube_client *c)
{
    return c->transport;
}

uint32_t kube_client_waiting(const kube_client *c)
{
    return c->waiting;
}

uint32_t kube_client_open(const kube_client *c)
{
    return c->open;
}
