/*
 * projections_calls.c: requests to the cluster that this node is part of: see projections.h.
 *
 * A call ends on any thread; it is then in a list that the loop empties. Who closes leaves calls
 * that are under way to themselves: the last one frees what they share.
 */
#include "projections.h"

enum { ANSWER_MAX = 1 << 30 };

struct ck_calls {
    const cr_heap *heap;
    const qd_svc_action *service;
    qd_self *self;
    pthread_mutex_t lock;
    uv_async_t *wake; /* NULL: closed */
    uint32_t refs;    /* the owner's and one for each call under way */
    ck_call *ended, **last;
};

ck_calls *ck_calls_make(const cr_heap *heap, const qd_svc_action *service, qd_self *self,
                        uv_async_t *wake)
{
    ck_calls *c = cr_must(heap, sizeof *c);
    *c = (ck_calls){.heap = heap, .service = service, .self = self, .wake = wake, .refs = 1};
    c->last = &c->ended;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void call_free(ck_call *x, const cr_heap *heap)
{
    json_decref(x->params);
    cr_bytes_free(&x->body);
    cr_bytes_free(&x->answer);
    cr_free(heap, x);
}

/* Gives one reference back, the lock being held. */
static void release(ck_calls *c)
{
    int last = --c->refs == 0;
    pthread_mutex_unlock(&c->lock);
    if (!last) return;
    pthread_mutex_destroy(&c->lock);
    cr_free(c->heap, c);
}

static int32_t on_answer(qd_action_call *call, int32_t status, uint32_t format,
                         const qd_slice *piece)
{
    ck_call *x = (ck_call *)(void *)call;
    (void)format;
    x->status = status;
    if (x->answer.n + piece->len > ANSWER_MAX) return QD_E_LIMIT;
    if (piece->len) cr_put(&x->answer, piece->data, piece->len);
    return 0;
}

static void on_done(qd_op *op, int32_t rc)
{
    ck_call *x = (ck_call *)(void *)((char *)op - offsetof(qd_action_call, op));
    ck_calls *c = x->owner;
    pthread_mutex_lock(&c->lock);
    x->rc = rc;
    if (c->wake) {
        x->next = NULL;
        *c->last = x;
        c->last = &x->next;
        uv_async_send(c->wake);
    } else {
        call_free(x, c->heap);
    }
    release(c);
}

void ck_call_start(ck_calls *c, const char *action, const json_t *params, const json_t *body,
                   void (*done)(ck_call *), void *user)
{
    ck_call *x = cr_must(c->heap, sizeof *x);
    const char *key;
    json_t *value;
    memset(x, 0, sizeof *x);
    x->owner = c;
    x->answer.heap = c->heap;
    x->done = done;
    x->user = user;
    x->params = params ? json_deep_copy(params) : json_object();
    uint32_t n = 0;
    json_object_foreach(x->params, key, value)
    {
        const char *v = json_string_value(value);
        if (v && n < sizeof x->pairs / sizeof *x->pairs)
            x->pairs[n++] = (qd_pair){{key, strlen(key)}, {v, strlen(v)}};
    }
    x->body.heap = c->heap;
    if (body) ck_json_put(&x->body, body);
    x->call = (qd_action_call){.op = {.done = on_done},
                               .action = {action, strlen(action)},
                               .params = x->pairs,
                               .nparams = n,
                               .format = x->body.n ? QD_FORMAT_JSON : QD_FORMAT_NONE,
                               .body = {(const uint8_t *)x->body.p, x->body.n, NULL, NULL},
                               .accept = QD_FORMAT_JSON,
                               .answer = on_answer};
    pthread_mutex_lock(&c->lock);
    c->refs++;
    pthread_mutex_unlock(&c->lock);
    int32_t rc = c->service->submit(c->self, &x->call, NULL);
    if (rc) on_done(&x->call.op, rc);
}

void ck_calls_turn(ck_calls *c)
{
    pthread_mutex_lock(&c->lock);
    ck_call *list = c->ended;
    c->ended = NULL;
    c->last = &c->ended;
    pthread_mutex_unlock(&c->lock);
    while (list) {
        ck_call *x = list;
        list = x->next;
        x->done(x);
        call_free(x, c->heap);
    }
}

void ck_calls_close(ck_calls *c)
{
    pthread_mutex_lock(&c->lock);
    c->wake = NULL;
    ck_call *list = c->ended;
    c->ended = NULL;
    while (list) {
        ck_call *x = list;
        list = x->next;
        call_free(x, c->heap);
    }
    release(c);
}
