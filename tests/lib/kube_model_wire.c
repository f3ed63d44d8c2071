/*
 * kube_model_wire.c: what goes between a transport and the server. A request is an action that
 * arrives later; an answer a delivery to its connection, later still. Faults, cuts and restarts are
 * all about which of them come, and when. The caller's exchange may be over long before the request
 * arrives: its effect is the same then.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"

/* --- random numbers, hashes --- */

uint64_t km_below(kube_model *m, uint64_t n)
{
    return n ? qd_prng_below(&m->random, n) : 0;
}

uint64_t km_between(kube_model *m, uint64_t min, uint64_t max)
{
    return max > min ? min + km_below(m, max - min) : min;
}

void km_hash(kube_model *m, const void *p, size_t n)
{
    const unsigned char *s = p;
    for (; n >= 8; n -= 8, s += 8) {
        uint64_t v;
        memcpy(&v, s, 8);
        m->digest = (m->digest ^ v) * 0x9e3779b97f4a7c15ull;
        m->digest ^= m->digest >> 29;
    }
    for (; n > 0; n--, s++) m->digest = (m->digest ^ *s) * 0x100000001b3ull;
}

static uint64_t way(kube_model_client *c)
{
    kube_model *m = c->m;
    return km_between(m, m->config.latency_min_ns, m->config.latency_max_ns) +
           km_between(m, c->slow_min_ns, c->slow_max_ns);
}

/* --- exchanges --- */

void km_release(km_exchange *e)
{
    if (--e->refs > 0) return;
    kube_model *m = e->c->m;
    if (e->prev)
        e->prev->next = e->next;
    else
        m->exchanges = e->next;
    if (e->next) e->next->prev = e->prev;
    km_watch_free(e->watch);
    free(e->method);
    free(e->target);
    free(e->type);
    free(e->accept);
    free(e->body);
    free(e->gathered);
    free(e);
}

static bool before(uint64_t due_a, uint64_t seq_a, uint64_t due_b, uint64_t seq_b)
{
    return due_a != due_b ? due_a < due_b : seq_a < seq_b;
}

void km_do_at(kube_model *m, uint64_t due_ns, int what, km_exchange *e, char *name)
{
    m->actions = km_more(m->actions, &m->actions_cap, m->nactions, sizeof *m->actions);
    size_t i = m->nactions++;
    km_action a = {.due_ns = due_ns, .seq = m->seq++, .what = what, .e = e, .name = name};
    if (e) e->refs++;
    /* a heap: the first is the least */
    for (; i > 0; i = (i - 1) / 2) {
        const km_action *up = &m->actions[(i - 1) / 2];
        if (before(up->due_ns, up->seq, a.due_ns, a.seq)) break;
        m->actions[i] = *up;
    }
    m->actions[i] = a;
}

static km_action take_action(kube_model *m)
{
    km_action first = m->actions[0], last = m->actions[--m->nactions];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= m->nactions) break;
        const km_action *l = &m->actions[k], *r = l + 1;
        if (k + 1 < m->nactions && before(r->due_ns, r->seq, l->due_ns, l->seq))
            l = &m->actions[++k];
        if (before(last.due_ns, last.seq, l->due_ns, l->seq)) break;
        m->actions[i] = *l;
        i = k;
    }
    if (m->nactions) m->actions[i] = last;
    return first;
}

/* --- deliveries --- */

static void deliver(km_exchange *e, km_delivery d)
{
    kube_model_client *c = e->c;
    if (!e->x || (e->answered && d.what != KM_TIMEOUT)) {
        free(d.bytes);
        return;
    }
    if (d.what == KM_ANSWER || d.what == KM_END) e->answered = true;
    /* what one connection carries keeps its order; a time-out is not carried */
    if (d.what != KM_TIMEOUT) {
        if (d.due_ns < e->last_ns) d.due_ns = e->last_ns;
        e->last_ns = d.due_ns;
    }
    c->queue = km_more(c->queue, &c->queue_cap, c->nqueue, sizeof *c->queue);
    d.e = e;
    d.seq = c->m->seq++;
    d.date_ms = km_wall_ms(c->m) / 1000 * 1000;
    e->refs++;
    size_t i = c->nqueue++;
    for (; i > 0 && before(d.due_ns, d.seq, c->queue[i - 1].due_ns, c->queue[i - 1].seq); i--)
        c->queue[i] = c->queue[i - 1];
    c->queue[i] = d;
    if (c->wake) c->wake(c->wake_arg);
}

/* The end without an answer. */
static void fail_at(km_exchange *e, uint64_t due_ns, int32_t outcome, const char *why)
{
    deliver(e, (km_delivery){.due_ns = due_ns,
                             .what = KM_END,
                             .outcome = outcome,
                             .retry_after_ns = -1,
                             .why = why});
}

void km_stream(kube_model *m, km_exchange *e, char *bytes, size_t n)
{
    uint64_t due = m->now_ns + way(e->c);
    /* now and then in pieces, as the network cuts them */
    while (n > 1 && km_below(m, 4) == 0) {
        size_t k = 1 + km_below(m, n - 1);
        char *part = km_alloc(k);
        memcpy(part, bytes, k);
        memmove(bytes, bytes + k, n -= k);
        deliver(e, (km_delivery){
                       .due_ns = due, .what = KM_CHUNK, .status = 200, .bytes = part, .n = k});
    }
    deliver(e,
            (km_delivery){.due_ns = due, .what = KM_CHUNK, .status = 200, .bytes = bytes, .n = n});
}

void km_stream_end(kube_model *m, km_exchange *e, int32_t outcome, const char *why)
{
    deliver(e, (km_delivery){.due_ns = m->now_ns + way(e->c),
                             .what = KM_END,
                             .status = 200,
                             .outcome = outcome,
                             .retry_after_ns = -1,
                             .why = why});
}

/* An answer goes back; reply's body is taken. */
static void answer(kube_model *m, km_exchange *e, km_reply *r, uint64_t later_ns)
{
    char *text = r->body ? json_dumps(r->body, JSON_COMPACT) : km_dup(r->text ? r->text : "");
    json_decref(r->body);
    r->body = NULL;
    m->log[e->entry].status = r->status;
    km_hash(m, text, strlen(text));
    km_delivery d = {.due_ns = m->now_ns + way(e->c) + later_ns,
                     .what = KM_ANSWER,
                     .status = r->status,
                     .outcome = KUBE_ANSWERED,
                     .retry_after_ns =
                         r->retry_after_s ? (int64_t)r->retry_after_s * KUBE_SECOND_NS : -1,
                     .bytes = text,
                     .n = strlen(text)};
    if (e->fault == KUBE_FAULT_TORN) {
        d.n = km_below(m, d.n);
        d.outcome = KUBE_NO_ANSWER;
        d.why = "the answer broke off";
    }
    deliver(e, d);
}

/* --- faults --- */

static bool fits(const char *want, const char *is)
{
    return !want || !strcmp(want, is);
}

static void drop_fault(kube_model *m, size_t i)
{
    free(m->faults[i].verb);
    free(m->faults[i].plural);
    free(m->faults[i].name);
    memmove(m->faults + i, m->faults + i + 1, (--m->nfaults - i) * sizeof *m->faults);
}

static bool odd(kube_model *m, const uint32_t *odds, int kind)
{
    return odds[kind] && km_below(m, odds[kind]) == 0;
}

static uint64_t some_delay(kube_model *m)
{
    /* short ones more often */
    uint64_t max = 20000 * KM_MS >> km_below(m, 9);
    return km_between(m, 50 * KM_MS, max);
}

static void draw_fault(kube_model *m, km_exchange *e, const km_call *c)
{
    bool watch = !strcmp(c->verb, "watch");
    for (size_t i = 0; i < m->nfaults; i++) {
        kube_model_fault *f = &m->faults[i].f;
        if ((f->client && f->client != e->c) || !fits(m->faults[i].verb, c->verb) ||
            !fits(m->faults[i].plural, c->plural) || !fits(m->faults[i].name, c->name) ||
            (f->kind >= KUBE_FAULT_WATCH_SILENT && !watch))
            continue;
        if (f->skip > 0) {
            f->skip--;
            continue;
        }
        e->fault = f->kind;
        e->delay_ns = f->delay_ns;
        e->scripted = true;
        e->events = f->events;
        if (f->times <= 1)
            drop_fault(m, i);
        else
            f->times--;
        break;
    }
    for (int k = 1; k < KUBE_FAULTS && !e->fault; k++) {
        if (k >= KUBE_FAULT_WATCH_SILENT && !watch) break;
        if (!odd(m, m->odds, k) && !odd(m, e->c->odds, k)) continue;
        e->fault = (kube_model_fault_kind)k;
        e->events = (uint32_t)km_below(m, 6);
    }
    if (e->fault && !e->delay_ns) e->delay_ns = some_delay(m);
}

/* --- a request arrives --- */

static void canned(kube_model *m, km_exchange *e, int code)
{
    static const char *const reasons[] = {"InternalError", "ServiceUnavailable", "Timeout"};
    km_reply r = {.status = code};
    if (code == 429) {
        /* as the server's own limit says it, without a Status */
        r.text = "Too many requests, please try again later.";
        r.retry_after_s =
            e->scripted ? (int)(e->delay_ns / (1000 * KM_MS)) : 1 + (int)km_below(m, 3);
        if (!r.retry_after_s) r.retry_after_s = 1;
    } else if (code == 410) {
        r.body =
            km_status(410, "Expired", "The resourceVersion for the provided watch is too old.");
    } else if (code == 401) {
        r.body = km_status(401, "Unauthorized", "Unauthorized");
    } else {
        r.body = km_status(code,
                           reasons[code == 500   ? 0
                                   : code == 503 ? 1
                                                 : 2],
                           "the server could not complete the request");
    }
    answer(m, e, &r, 0);
}

/* Faults without an effect: true: that was all of it. */
static bool refuse(kube_model *m, km_exchange *e)
{
    switch (e->fault) {
    case KUBE_FAULT_LOST:
        fail_at(e, m->now_ns + way(e->c), KUBE_NO_ANSWER, "connection reset");
        break;
    case KUBE_FAULT_SILENT:
        break;
    case KUBE_FAULT_401:
        canned(m, e, 401);
        break;
    case KUBE_FAULT_429:
        canned(m, e, 429);
        break;
    case KUBE_FAULT_500:
        canned(m, e, 500);
        break;
    case KUBE_FAULT_503:
        canned(m, e, 503);
        break;
    case KUBE_FAULT_504:
        canned(m, e, 504);
        break;
    case KUBE_FAULT_WATCH_REFUSED:
        canned(m, e, 410);
        break;
    case KUBE_FAULT_504_LATE:
        if (e->late) return false;
        canned(m, e, 504);
        e->late = true;
        km_do_at(m, m->now_ns + e->delay_ns, KM_ARRIVE, e, NULL);
        break;
    default:
        return false;
    }
    return true;
}

static void reply(kube_model *m, km_exchange *e, km_reply *r)
{
    uint64_t slow = e->fault == KUBE_FAULT_SLOW ? e->delay_ns : 0;
    m->log[e->entry].status = r->status;
    m->log[e->entry].revision = r->made;
    km_hash(m, &r->status, sizeof r->status);
    km_hash(m, &r->made, sizeof r->made);
    switch (e->fault) {
    case KUBE_FAULT_LOST_DONE:
        fail_at(e, m->now_ns + way(e->c), KUBE_NO_ANSWER, "connection reset");
        break;
    case KUBE_FAULT_SILENT_DONE:
    case KUBE_FAULT_LATE: /* nobody is there any more */
    case KUBE_FAULT_504_LATE:
        break;
    case KUBE_FAULT_500_DONE:
        canned(m, e, 500);
        break;
    case KUBE_FAULT_504_DONE:
        canned(m, e, 504);
        break;
    default:
        if (r->watch) {
            e->watch = r->watch;
            r->watch = NULL;
            km_watch_begin(m, e);
        } else {
            answer(m, e, r, slow);
        }
    }
    json_decref(r->body);
    km_watch_free(r->watch);
}

static void arrive(kube_model *m, km_exchange *e)
{
    if (e->c->cut && !e->c->freed) { /* stays on its way; km_heal says what becomes of it */
        km_do_at(m, KUBE_MODEL_NEVER, KM_ARRIVE, e, NULL);
        return;
    }
    if (m->now_ns < m->up_ns) {
        km_do_at(m, m->up_ns + km_below(m, 100 * KM_MS), KM_ARRIVE, e, NULL);
        return;
    }
    if (refuse(m, e)) return;
    km_call c;
    km_call_init(&c, m, e->method, e->target);
    c.type = e->type;
    c.accept = e->accept;
    c.body = e->body;
    c.n = e->n;
    c.user = e->c->user;
    uint64_t lag = e->c->lag_ns < m->now_ns ? m->now_ns - e->c->lag_ns : 0;
    c.cache = e->c->lag_ns ? km_revision_at(m, lag) : m->revision;
    km_reply r = km_answer(&c);
    if (r.wait && !e->wait_until_ns) e->wait_until_ns = m->now_ns + 3000 * KM_MS;
    if (r.wait && m->now_ns < e->wait_until_ns) {
        json_decref(r.body);
        km_do_at(m, m->now_ns + 50 * KM_MS, KM_ARRIVE, e, NULL);
    } else {
        reply(m, e, &r);
    }
    km_call_fini(&c);
}

void km_run(kube_model *m)
{
    while (m->nactions && m->actions[0].due_ns <= m->now_ns) {
        km_action a = take_action(m);
        switch (a.what) {
        case KM_ARRIVE:
            arrive(m, a.e);
            break;
        case KM_PUMP:
            km_watch_pump(m, a.e);
            break;
        case KM_MARK:
            km_watch_mark(m, a.e);
            break;
        case KM_WATCH_OVER:
            if (a.e->watch && !a.e->watch->over && !a.e->watch->silent) {
                a.e->watch->over = true;
                km_stream_end(m, a.e, KUBE_ANSWERED, NULL);
            }
            break;
        case KM_COMPACT:
            km_compact_to(m, km_revision_at(m, m->now_ns - m->config.compact_ns));
            km_do_at(m, m->now_ns + m->config.compact_ns, KM_COMPACT, NULL, NULL);
            break;
        case KM_NOTHING:
            break;
        case KM_NAMESPACE:
            if (!km_namespace_empty(m, a.name)) {
                km_do_at(m, m->now_ns + m->config.namespace_ns, KM_NAMESPACE, NULL, a.name);
                a.name = NULL;
            }
            break;
        }
        free(a.name);
        if (a.e) km_release(a.e);
    }
}

/* --- restarts, cuts --- */

void km_restart(kube_model *m, uint64_t down_ns)
{
    m->up_ns = m->now_ns + down_ns;
    for (size_t i = 0; i < m->nkinds; i++) m->kinds[i]->cache_from = m->revision;
    /* what had not reached it is lost; what comes late comes late */
    size_t n = m->nactions;
    km_action *all = m->actions;
    m->actions = NULL;
    m->nactions = m->actions_cap = 0;
    for (size_t i = 0; i < n; i++) {
        km_exchange *e = all[i].e;
        bool late = e && (e->fault == KUBE_FAULT_LATE || e->late);
        if (!e || (late && all[i].what == KM_ARRIVE))
            km_do_at(m, all[i].due_ns, (int)all[i].what, e, all[i].name);
        if (e) km_release(e);
    }
    free(all);
    for (km_exchange *e = m->exchanges; e; e = e->next) {
        if (e->watch) e->watch->over = true;
        if (e->x && !e->answered)
            fail_at(e, m->now_ns + way(e->c), KUBE_NO_ANSWER, "connection reset");
    }
}

void km_heal(kube_model_client *c)
{
    kube_model *m = c->m;
    km_exchange **held = km_alloc(m->nactions * sizeof *held);
    size_t n = 0;
    for (size_t i = 0; i < m->nactions; i++) {
        km_action *a = &m->actions[i];
        if (!a->e || a->e->c != c || a->what != KM_ARRIVE || a->due_ns != KUBE_MODEL_NEVER)
            continue;
        a->what = KM_NOTHING;
        held[n++] = a->e;
    }
    /* lost, or delivered at last */
    for (size_t i = 0; i < n; i++) {
        if (km_below(m, 2))
            km_do_at(m, m->now_ns + way(c), KM_ARRIVE, held[i], NULL);
        else
            fail_at(held[i], m->now_ns + way(c), KUBE_NO_ANSWER, "connection reset");
    }
    free(held);
    for (km_exchange *e = m->exchanges; e; e = e->next) {
        if (e->c != c || !e->watch || e->watch->over || km_below(m, 2)) continue;
        e->watch->over = true;
        fail_at(e, m->now_ns + way(c), KUBE_NO_ANSWER, "connection reset");
    }
    if (c->wake) c->wake(c->wake_arg);
}

/* --- the transport --- */

static int32_t start(kube_transport *t, kube_exchange *x)
{
    kube_model_client *c = (kube_model_client *)t;
    kube_model *m = c->m;
    qd_mutex_lock(&m->lock);
    qd_assert(!c->freed);
    km_now(m, 0);
    km_exchange *e = km_alloc(sizeof *e);
    *e = (km_exchange){.refs = 1,
                       .c = c,
                       .x = x,
                       .method = km_dup(x->method),
                       .target = km_dup(x->target),
                       .type = km_dup(x->content_type ? x->content_type : "application/json"),
                       .accept = km_dup(x->accept ? x->accept : ""),
                       .body = km_alloc(x->body.n + 1),
                       .n = x->body.n};
    memcpy(e->body, x->body.p ? x->body.p : "", x->body.n);
    e->next = m->exchanges;
    if (e->next) e->next->prev = e;
    m->exchanges = e;
    x->host = e;
    km_call call;
    km_call_init(&call, m, e->method, e->target);
    draw_fault(m, e, &call);
    e->entry = m->nlog;
    m->log = km_more(m->log, &m->log_cap, m->nlog, sizeof *m->log);
    m->log[m->nlog++] = (kube_model_entry){.at_ns = m->now_ns,
                                           .client = km_keep(m, c->name),
                                           .user = km_keep(m, c->user),
                                           .verb = km_keep(m, call.verb),
                                           .plural = km_keep(m, call.plural),
                                           .sub = km_keep(m, call.sub),
                                           .ns = km_keep(m, call.ns),
                                           .name = km_keep(m, call.name),
                                           .fault = e->fault};
    km_call_fini(&call);
    km_hash(m, e->target, strlen(e->target));
    km_hash(m, e->body, e->n);
    km_hash(m, &m->now_ns, sizeof m->now_ns);
    uint64_t first = m->now_ns + way(c);
    e->sent_ns = m->now_ns + (first - m->now_ns) / 4;
    /* cut off: what was connected sends into the void, what was not waits for a connection */
    e->unsent =
        m->now_ns < m->up_ns || e->fault == KUBE_FAULT_REFUSED || (c->cut && km_below(m, 2));
    uint64_t patience = x->timeout_ns > 0 ? (uint64_t)x->timeout_ns : KUBE_MODEL_NEVER;
    if (e->unsent && patience > 5000 * KM_MS) patience = 5000 * KM_MS;
    if (patience != KUBE_MODEL_NEVER)
        deliver(e, (km_delivery){.due_ns = m->now_ns + patience, .what = KM_TIMEOUT});
    if (e->unsent && !c->cut)
        fail_at(e, first, KUBE_NOT_SENT, "connection refused");
    else if (e->fault == KUBE_FAULT_LATE)
        fail_at(e, first + way(c), KUBE_NO_ANSWER, "connection reset");
    if (!e->unsent) {
        bool later = e->fault == KUBE_FAULT_LATE || e->fault == KUBE_FAULT_SLOW_START;
        km_do_at(m, first + (later ? e->delay_ns : 0), KM_ARRIVE, e, NULL);
    }
    if (c->wake) c->wake(c->wake_arg);
    qd_mutex_unlock(&m->lock);
    return 0;
}

/* The caller's side of an exchange ends: nothing more is delivered. */
static void leave(km_exchange *e)
{
    kube_model_client *c = e->c;
    size_t n = 0;
    for (size_t i = 0; i < c->nqueue; i++) {
        if (c->queue[i].e != e) {
            c->queue[n++] = c->queue[i];
            continue;
        }
        free(c->queue[i].bytes);
        e->refs--; /* never the last: there is its own */
    }
    c->nqueue = n;
    if (e->watch) e->watch->over = true;
    e->x->host = NULL;
    e->x = NULL;
    km_release(e);
}

/* Hands one delivery to its exchange. The lock is held, but not while callbacks run. */
static void hand_over(kube_model *m, km_delivery *d)
{
    km_exchange *e = d->e;
    kube_exchange *x = e->x;
    bool ends = d->what != KM_CHUNK;
    if (d->what == KM_TIMEOUT) {
        d->outcome = e->unsent ? KUBE_NOT_SENT : KUBE_NO_ANSWER;
        d->status = x->status;
        d->why = "timed out";
        d->retry_after_ns = -1;
    } else if (d->what != KM_END) {
        x->date_ms = d->date_ms;
    }
    x->status = d->status;
    if (d->n && x->chunk && d->status / 100 == 2) {
        qd_mutex_unlock(&m->lock);
        x->chunk(x, (qd_str){d->bytes, d->n});
        qd_mutex_lock(&m->lock);
        if (e->x != x) return; /* cancelled, and perhaps gone */
        d->n = 0;
    } else if (d->what == KM_CHUNK) {
        e->gathered = realloc(e->gathered, e->ngathered + d->n + 1);
        qd_assert(e->gathered != NULL);
        memcpy(e->gathered + e->ngathered, d->bytes, d->n);
        e->ngathered += d->n;
    }
    if (!ends) return;
    size_t max = x->answer_max ? x->answer_max : KUBE_ANSWER_MAX;
    x->answer =
        d->what == KM_ANSWER ? (qd_str){d->bytes, d->n} : (qd_str){e->gathered, e->ngathered};
    x->outcome = d->outcome;
    x->retry_after_ns = d->retry_after_ns;
    x->why[0] = 0;
    if (d->outcome != KUBE_ANSWERED) snprintf(x->why, sizeof x->why, "%s", d->why);
    if (d->outcome == KUBE_ANSWERED && x->answer.n > max) {
        x->outcome = KUBE_TOO_LARGE;
        x->answer.n = 0;
        snprintf(x->why, sizeof x->why, "the answer has more than %zu bytes", max);
    }
    leave(e);
    qd_mutex_unlock(&m->lock);
    x->done(x);
    qd_mutex_lock(&m->lock);
}

km_delivery *km_due(kube_model_client *c)
{
    /* while it is cut off only its own patience ends */
    for (size_t i = 0; i < c->nqueue; i++)
        if (!c->cut || c->queue[i].what == KM_TIMEOUT) return &c->queue[i];
    return NULL;
}

void km_hand_over(kube_model_client *c, km_delivery *next)
{
    kube_model *m = c->m;
    km_delivery d = *next;
    size_t i = (size_t)(next - c->queue);
    memmove(next, next + 1, (--c->nqueue - i) * sizeof *next);
    if (d.e->x) hand_over(m, &d);
    free(d.bytes);
    km_release(d.e);
}

static int32_t cancel(kube_transport *t, kube_exchange *x)
{
    kube_model_client *c = (kube_model_client *)t;
    kube_model *m = c->m;
    qd_mutex_lock(&m->lock);
    km_now(m, 0);
    km_exchange *e = x->host;
    qd_assert(e && e->x == x);
    bool unsent = e->unsent || m->now_ns < e->sent_ns;
    if (unsent && !e->unsent) { /* what waits for it finds nothing to do */
        for (size_t i = 0; i < m->nactions; i++)
            if (m->actions[i].e == e) m->actions[i].what = KM_NOTHING;
    }
    leave(e);
    qd_mutex_unlock(&m->lock);
    return unsent ? KUBE_NOT_SENT : KUBE_NO_ANSWER;
}

static void free_transport(kube_transport *t, void (*closed)(void *arg), void *arg)
{
    kube_model_client *c = (kube_model_client *)t;
    kube_model *m = c->m;
    qd_mutex_lock(&m->lock);
    for (km_exchange *e = m->exchanges, *next; e; e = next) {
        next = e->next;
        if (e->c == c && e->x) leave(e);
    }
    for (size_t i = 0; i < c->nqueue; i++) {
        free(c->queue[i].bytes);
        km_release(c->queue[i].e);
    }
    c->nqueue = 0;
    c->freed = true; /* its memory is the model's: late requests still name it */
    c->wake = NULL;
    qd_mutex_unlock(&m->lock);
    if (closed) closed(arg);
}

kube_transport *km_transport_make(kube_model *m, const char *name, const char *user)
{
    kube_model_client *c = km_alloc(sizeof *c);
    c->base = (kube_transport){.start = start, .cancel = cancel, .free = free_transport};
    c->m = m;
    c->name = km_dup(name);
    c->user = km_dup(user ? user : "");
    kube_model_client **end = &m->clients;
    while (*end) end = &(*end)->next;
    *end = c;
    return &c->base;
}
