/*
 * client_watch.c: watches of the remote store. One request asks a master for the changes from a
 * revision on and is answered as soon as there are any; the next one asks from behind them. So the
 * reader sets the pace, nothing is lost when a master ends, and any other one goes on: also before
 * the connection to one that has fallen silent is given up, as the others may have a newer state by
 * then. Everything runs on the configured loop.
 */
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/remote/client_int.h"

#define QUIET_NS UINT64_C(1600000000) /* who lives is heard of every 1.5 s at least */
#define AGAIN_NS UINT64_C(100000000)

struct qd_coord_watch {
    qd_rpc_call call; /* first */
    qd_coord *c;
    qd_coord_watch *prev, *next;
    char *bytes; /* of key and end */
    qd_str key, end;
    uint32_t flags;
    uint64_t from, id, pause_ns;
    uint64_t lives; /* of the store, when it began */
    void (*events)(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                   int32_t rc);
    void *arg;
    char to[QD_RPC_ADDRESS_MAX];

    /* the loop's */
    qd_post begin, ended, close, finish;
    qd_timer retry, look;
    uint64_t asked_ns;
    bool again;  /* nothing had been heard of its master at the last look */
    bool turned; /* away from a silent master: the call is cancelled */
    int call_rc;
    bool returned; /* under the store's lock: the call has ended, it cannot be cancelled any more */
    bool begun, in_flight, over; /* over: the last call was made */
    bool closing;
    void (*close_done)(void *arg);
    void *close_arg;
    _Atomic bool stopping; /* of the store: no more requests */
};

static void ask(qd_coord_watch *w);

static void last_call(qd_coord_watch *w, int32_t rc)
{
    if (w->over) return;
    w->over = true;
    w->events(w->arg, NULL, 0, w->from ? w->from - 1 : 0, rc);
}

static void maybe_closed(qd_coord_watch *w)
{
    if (!w->closing || w->in_flight) return;
    qd_coord *c = w->c;
    qd_timer_stop(&w->retry);
    qd_timer_stop(&w->look);
    void (*done)(void *arg) = w->close_done;
    void *arg = w->close_arg;
    qd_mutex_lock(&c->lock);
    QD_LIST_REMOVE(c->watches, w);
    qd_mutex_unlock(&c->lock);
    qd_rpc_call_fini(&w->call);
    qd_free(w->bytes);
    qd_free(w);
    done(arg);
    qdi_remote_leave(c);
}

/* Hands the events of an answer on; 0 or what ended the watch. */
static int deliver(qd_coord_watch *w)
{
    qd_body_reader r;
    qd_arena a;
    qd_body_reader_init(&r, w->call.answer, "changes of a master's store", w->call.answer_version);
    qdi_remote_heard(w->c, &r);
    uint64_t revision = qd_read_varint(&r, "revision");
    size_t n = qd_read_array(&r, "events", REMOTE_KEYS_MAX, 8);
    qd_arena_init(&a, NULL, REMOTE_BODY_MAX);
    qd_coord_event *events = qd_arena_alloc(&a, (n + 1) * sizeof *events);
    for (size_t i = 0; events && i < n && !qd_body_reader_bad(&r); i++) {
        events[i] = qdi_remote_read_event(&r);
    }
    int rc = events ? qd_body_reader_end(&r, NULL) : QD_E_NOMEM;
    if (!rc) {
        w->events(w->arg, events, (uint32_t)n, revision, 0);
        w->from = revision + 1;
    }
    qd_arena_fini(&a);
    return rc;
}

static void later(qd_coord_watch *w)
{
    int rc = qd_timer_start(&w->retry, w->pause_ns, 0);
    w->pause_ns = w->pause_ns * 2 < REMOTE_RETRY_MAX_NS ? w->pause_ns * 2 : REMOTE_RETRY_MAX_NS;
    if (rc) last_call(w, QD_E_COMPACTED); /* out of memory: the reader begins again */
}

/* Has a master been started again since the watch began? Its store may be an old copy that has
 * grown past `from` meanwhile: the reader has to read again, and to compare. */
static bool doubtful(qd_coord_watch *w)
{
    qd_mutex_lock(&w->c->lock);
    bool other = w->lives != w->c->lives;
    qd_mutex_unlock(&w->c->lock);
    return other;
}

static void on_ended(qd_post *post)
{
    qd_coord_watch *w = post->user;
    int rc = w->call_rc;
    bool turned = w->turned;
    w->in_flight = w->turned = false;
    qd_timer_stop(&w->look);
    if (w->closing || atomic_load(&w->stopping)) {
        if (!w->closing) last_call(w, QD_E_CLOSED);
        maybe_closed(w);
        return;
    }
    if (!rc && doubtful(w)) rc = QD_E_COMPACTED;
    if (!rc) rc = deliver(w);
    bool answered = rc == QD_E_COMPACTED || rc == QD_E_FENCED;
    if (rc && !answered) qdi_remote_failed(w->c, w->to, &w->call.err);
    qd_rpc_call_fini(&w->call);
    if (!rc || (turned && !answered)) {
        w->pause_ns = REMOTE_RETRY_NS;
        ask(w);
    } else if (answered) {
        last_call(w, rc);
    } else {
        later(w);
    }
}

static void cancel(qd_coord_watch *w)
{
    qd_mutex_lock(&w->c->lock);
    if (!w->returned) qd_rpc_call_cancel(w->c->rpc, &w->call);
    qd_mutex_unlock(&w->c->lock);
}

/* Nothing has been heard for a while of the master that was asked: another one is, if there is. */
static void on_look(qd_timer *t)
{
    qd_coord_watch *w = t->user;
    if (!w->in_flight || w->turned || w->closing || atomic_load(&w->stopping)) return;
    uint64_t now = qd_env_mono_ns(w->c->env);
    uint64_t since = qd_rpc_peer_heard_ns(w->c->rpc, qd_str_c(w->to)), wait = AGAIN_NS;
    if (since < w->asked_ns) since = w->asked_ns;
    if (now < since + QUIET_NS) {
        w->again = false;
        wait = since + QUIET_NS - now;
    } else if (w->again && qdi_remote_others(w->c, w->to)) {
        w->turned = true;
        cancel(w);
        return;
    } else { /* after this process stood still, what came meanwhile is not read yet */
        w->again = true;
    }
    int rc = qd_timer_start(&w->look, wait, 0);
    (void)rc; /* without memory the connection's end tells */
}

static void call_done(qd_rpc_call *call, int rc)
{
    qd_coord_watch *w = (qd_coord_watch *)(void *)call;
    w->call_rc = rc;
    qd_mutex_lock(&w->c->lock);
    w->returned = true;
    qd_mutex_unlock(&w->c->lock);
    qd_loop_post(w->c->loop, &w->ended);
}

static void ask(qd_coord_watch *w)
{
    qd_writer out;
    if (doubtful(w)) {
        last_call(w, QD_E_COMPACTED);
        return;
    }
    qdi_remote_pick(w->c, w->to);
    qd_writer_init(&out, NULL, 2 * REMOTE_KEY_MAX + 64, QD_RPC_OLDEST);
    qd_write_u64(&out, w->id);
    qd_write_varint(&out, w->flags);
    qd_write_str(&out, w->key);
    qd_write_str(&out, w->end);
    qd_write_varint(&out, w->from);
    w->call = (qd_rpc_call){.to = qd_str_c(w->to),
                            .action = QD_ACTION_COORD_WATCH,
                            .class = QD_RPC_CONTROL,
                            .version = QD_RPC_OLDEST,
                            .done = call_done};
    qd_err_init(&w->call.err);
    int rc = qd_writer_end(&out, "watch", &w->call.err);
    w->call.body = qd_writer_view(&out);
    w->in_flight = true;
    w->returned = false;
    w->asked_ns = qd_env_mono_ns(w->c->env);
    w->again = false;
    if (!rc) rc = qd_timer_start(&w->look, QUIET_NS, 0);
    if (!rc) rc = qd_rpc_call_start(w->c->rpc, &w->call, &w->call.err);
    qd_writer_fini(&out);
    if (!rc) return;
    w->in_flight = false;
    qd_timer_stop(&w->look);
    qdi_remote_failed(w->c, w->to, &w->call.err);
    qd_rpc_call_fini(&w->call);
    later(w);
}

static void on_retry(qd_timer *t)
{
    qd_coord_watch *w = t->user;
    if (w->closing || w->over || w->in_flight) return;
    if (atomic_load(&w->stopping)) {
        last_call(w, QD_E_CLOSED);
        return;
    }
    ask(w);
}

static void on_begin(qd_post *post)
{
    qd_coord_watch *w = post->user;
    w->begun = true;
    if (!w->closing) ask(w);
}

static void on_close(qd_post *post)
{
    qd_coord_watch *w = post->user;
    w->closing = true;
    if (w->in_flight) cancel(w);
    maybe_closed(w);
}

/* The store is closing. */
static void on_finish(qd_post *post)
{
    qd_coord_watch *w = post->user;
    if (w->in_flight) {
        cancel(w);
    } else {
        last_call(w, QD_E_CLOSED);
    }
}

int32_t qdi_remote_watch(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                         qd_err *err)
{
    qd_coord_watch *w = qd_calloc(NULL, sizeof *w);
    char *bytes = qd_alloc(NULL, config->key.n + config->end.n + 1);
    if (!w || !bytes) {
        qd_free(w);
        qd_free(bytes);
        return qd_err_nomem(err, "watch");
    }
    if (config->key.n) memcpy(bytes, config->key.p, config->key.n);
    if (config->end.n) memcpy(bytes + config->key.n, config->end.p, config->end.n);
    w->c = c;
    w->bytes = bytes;
    w->key = (qd_str){bytes, config->key.n};
    w->end = (qd_str){bytes + config->key.n, config->end.n};
    w->flags = config->flags;
    w->from = config->from;
    w->events = config->events;
    w->arg = config->arg;
    w->id = qd_env_random_u64(c->env);
    w->pause_ns = REMOTE_RETRY_NS;
    qd_err_init(&w->call.err);
    w->begin = (qd_post){.fn = on_begin, .user = w};
    w->ended = (qd_post){.fn = on_ended, .user = w};
    w->close = (qd_post){.fn = on_close, .user = w};
    w->finish = (qd_post){.fn = on_finish, .user = w};
    qd_timer_init(&w->retry, c->loop, on_retry, w);
    qd_timer_init(&w->look, c->loop, on_look, w);
    qd_mutex_lock(&c->lock);
    bool closing = c->closing;
    if (!closing) {
        c->users++;
        w->lives = c->lives;
        QD_LIST_PUSH(c->watches, w);
    }
    qd_mutex_unlock(&c->lock);
    if (closing) {
        qd_free(bytes);
        qd_free(w);
        return qd_err_set(err, QD_E_CLOSED, "the store is closing");
    }
    *out = w;
    qd_loop_post(c->loop, &w->begin);
    return 0;
}

void qdi_remote_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg)
{
    w->close_done = done;
    w->close_arg = arg;
    qd_loop_post(w->c->loop, &w->close);
}

void qdi_remote_watches_end(qd_coord *c)
{
    qd_mutex_lock(&c->lock);
    for (qd_coord_watch *w = c->watches; w; w = w->next) {
        if (atomic_exchange(&w->stopping, true)) continue;
        qd_loop_post(c->loop, &w->finish);
    }
    qd_mutex_unlock(&c->lock);
}
