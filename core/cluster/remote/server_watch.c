/*
 * server_watch.c: watches of remote nodes. A client polls: "everything from revision r on", under
 * an id of its own. The server keeps one watch of its store for each id and what it told since the
 * last poll, up to a bound; beyond it, or when the client asks from elsewhere, the watch begins
 * again at the revision asked for. A poll with nothing to tell waits; its end (client gone,
 * withdrawn) ends the watch.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/remote/server_int.h"
#include "plugin/op.h"
#include <stdio.h>
#include <string.h>

typedef struct server_watch {
    qd_remote_server *s;
    char name[96];
    uint32_t refs; /* under s->lock: the map's, the store's, those who are at work on it */

    qd_mutex lock;
    qd_coord_watch *watch; /* NULL: being opened or over */
    qd_writer events;      /* encoded, `n` of them, up to `revision` */
    uint32_t n;
    uint64_t from;     /* what the next poll should ask for */
    uint64_t revision; /* of what is kept; 0: nothing new */
    int32_t rc;        /* the store's last call */
    bool over, full, ended;
    qd_rpc_request *waiting;
    qd_op *asking; /* how far the store is, before the watch begins */
    uint64_t polled_ns;
    qd_coord_identity identity; /* at the last poll: the store is not asked from its own call */
    qd_post gone;               /* the waiting poll was cancelled */
    bool gone_posted;
} server_watch;

static void unref(server_watch *w)
{
    qd_remote_server *s = w->s;
    qd_mutex_lock(&s->lock);
    bool last = --w->refs == 0;
    qd_mutex_unlock(&s->lock);
    if (!last) return;
    qd_writer_fini(&w->events);
    qd_mutex_fini(&w->lock);
    qd_free(w);
    qdi_server_leave(s);
}

static void ref(server_watch *w)
{
    qd_mutex_lock(&w->s->lock);
    w->refs++;
    qd_mutex_unlock(&w->s->lock);
}

/* Answers a poll with what is kept; both were taken out under the lock. */
static void answer(server_watch *w, qd_rpc_request *request, qd_writer *events, uint32_t n,
                   uint64_t revision, int32_t rc)
{
    qd_writer head;
    qd_err err;
    qd_err_init(&err);
    qd_writer_init(&head, NULL, 65536, QD_RPC_OLDEST);
    w->identity.revision = revision > w->identity.revision ? revision : w->identity.revision;
    qdi_remote_write_identity(&head, &w->identity, qdi_server_kind(w->s));
    qd_write_varint(&head, revision);
    qd_write_array(&head, n);
    if (!rc) rc = qd_writer_end(&head, "changes of the coordination store", &err);
    if (!rc) rc = qd_writer_end(events, "changes of the coordination store", &err);
    if (rc) {
        if (!err.code) {
            (void)qd_err_set(&err, rc, "watch of the coordination store: %s", qd_code_name(rc));
        }
        qd_rpc_fail(request, &err);
    } else {
        qd_rpc_reply(request, qd_writer_view(&head), qd_writer_view(events));
    }
    qd_writer_fini(&head);
    qd_err_fini(&err);
}

/* If a poll waits and there is something to tell, tells it. */
static void flush(server_watch *w)
{
    qd_mutex_lock(&w->lock);
    bool some = w->revision || w->over;
    qd_rpc_request *request = some ? w->waiting : NULL;
    if (!request) {
        qd_mutex_unlock(&w->lock);
        return;
    }
    qd_writer events = w->events;
    uint32_t n = w->n;
    uint64_t revision = w->revision;
    int32_t rc = w->revision ? 0 : w->rc; /* what was told before the end comes before it */
    w->waiting = NULL;
    qd_writer_init(&w->events, NULL, SERVER_WATCH_BYTES_MAX, QD_RPC_OLDEST);
    w->n = 0;
    w->revision = 0;
    if (revision) w->from = revision + 1;
    qd_mutex_unlock(&w->lock);
    answer(w, request, &events, n, revision, rc);
    qd_writer_fini(&events);
}

/* The store's call, on a thread of its own; must not call it back. */
static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    server_watch *w = arg;
    qd_mutex_lock(&w->lock);
    if (rc) {
        w->over = true;
        w->rc = rc;
    } else if (!w->full && !w->over) {
        size_t before = w->events.buf.n;
        for (uint32_t i = 0; i < n; i++) qdi_remote_write_event(&w->events, &events[i]);
        if (qd_writer_end(&w->events, "events", NULL)) {
            /* whole revisions only: the client comes back for this one */
            w->full = true;
            w->events.buf.n = before;
            w->events.buf.failed = 0;
            if (!before) { /* one change over the bound: let it begin again and say so */
                w->over = true;
                w->rc = QD_E_COMPACTED;
            }
        } else {
            w->n += n;
            w->revision = revision;
        }
    }
    qd_mutex_unlock(&w->lock);
    flush(w);
}

static void watch_closed(void *arg)
{
    unref(arg);
}

/* Ends a watch: out of the map, the store's watch closed, a waiting poll answered. Not under
 * locks. */
static void end(server_watch *w, int32_t rc)
{
    qd_remote_server *s = w->s;
    qd_mutex_lock(&s->lock);
    bool mine = qd_map_get(&s->watches, qd_str_c(w->name)) == w;
    if (mine) (void)qd_map_del(&s->watches, qd_str_c(w->name));
    qd_mutex_unlock(&s->lock);
    qd_mutex_lock(&w->lock);
    qd_coord_watch *watch = w->watch;
    qd_rpc_request *request = w->waiting;
    w->watch = NULL;
    w->waiting = NULL;
    w->ended = w->over = true;
    w->rc = rc;
    if (w->asking) s->vt->cancel(s->handle, w->asking);
    qd_mutex_unlock(&w->lock);
    if (watch) s->vt->watch_close(watch, watch_closed, w);
    if (request) {
        qd_err err;
        qd_err_init(&err);
        (void)qd_err_set(&err, rc, "watch of the coordination store has ended");
        qd_rpc_fail(request, &err);
        qd_err_fini(&err);
    }
    if (mine) unref(w);
}

static void on_gone_post(qd_post *post)
{
    server_watch *w = post->user;
    end(w, QD_E_CANCELLED);
    unref(w);
}

/* The waiting poll has been cancelled; ends on the loop, as no answer may be given in here. */
static void on_gone(void *arg)
{
    server_watch *w = arg;
    qd_mutex_lock(&w->lock);
    bool first = !w->gone_posted;
    w->gone_posted = true;
    qd_mutex_unlock(&w->lock);
    if (!first) return;
    ref(w);
    qd_loop_post(w->s->loop, &w->gone);
}

/* Those whose client has not come back for long. */
static void sweep(qd_remote_server *s)
{
    uint64_t now = qd_env_mono_ns(s->env);
    qd_mutex_lock(&s->lock);
    bool due = now - s->swept_ns >= SERVER_SWEEP_NS;
    if (due) s->swept_ns = now;
    qd_mutex_unlock(&s->lock);
    while (due) {
        size_t pos = 0;
        const qd_map_entry *e;
        server_watch *old = NULL;
        qd_mutex_lock(&s->lock);
        while ((e = qd_map_next(&s->watches, &pos)) && !old) {
            server_watch *w = e->value;
            qd_mutex_lock(&w->lock);
            if (!w->waiting && now > w->polled_ns + SERVER_WATCH_IDLE_NS) old = w;
            qd_mutex_unlock(&w->lock);
        }
        if (old) old->refs++;
        qd_mutex_unlock(&s->lock);
        if (!old) return;
        end(old, QD_E_CLOSED);
        unref(old);
    }
}

static server_watch *make(qd_remote_server *s, const char *name, uint64_t from)
{
    if (!qdi_server_enter(s)) return NULL;
    server_watch *w = qd_calloc(NULL, sizeof *w);
    if (!w) {
        qdi_server_leave(s);
        return NULL;
    }
    w->s = s;
    w->refs = 3; /* the map's, the store's, the caller's */
    w->from = from;
    w->polled_ns = qd_env_mono_ns(s->env);
    snprintf(w->name, sizeof w->name, "%s", name);
    qd_mutex_init(&w->lock);
    qd_writer_init(&w->events, NULL, SERVER_WATCH_BYTES_MAX, QD_RPC_OLDEST);
    w->gone = (qd_post){.fn = on_gone_post, .user = w};
    qd_mutex_lock(&s->lock);
    int rc = s->watches.n < SERVER_WATCHES_MAX ? qd_map_put(&s->watches, qd_str_c(name), w, NULL)
                                               : QD_E_LIMIT;
    if (rc) w->refs = 1;
    qd_mutex_unlock(&s->lock);
    if (!rc) return w;
    unref(w);
    return NULL;
}

/* The watch of this name if it goes on at `from`, with a reference; else the old one ends. */
static server_watch *find(qd_remote_server *s, const char *name, uint64_t from)
{
    qd_mutex_lock(&s->lock);
    server_watch *w = qd_map_get(&s->watches, qd_str_c(name));
    if (w) w->refs++;
    qd_mutex_unlock(&s->lock);
    if (!w) return NULL;
    qd_mutex_lock(&w->lock);
    /* what is kept begins at w->from; a full one that was emptied begins again */
    bool fits = w->from == from && !w->waiting && !w->ended && !(w->full && !w->revision);
    qd_mutex_unlock(&w->lock);
    if (fits) return w;
    end(w, QD_E_CANCELLED);
    unref(w);
    return NULL;
}

static int start(server_watch *w, uint32_t flags, qd_str key, qd_str last, uint64_t from,
                 qd_err *err)
{
    qd_remote_server *s = w->s;
    qd_coord_watch *watch = NULL;
    qd_coord_watch_config config = {.struct_size = sizeof config,
                                    .flags = flags & QD_COORD_PREFIX,
                                    .key = key,
                                    .end = last,
                                    .from = from,
                                    .events = on_events,
                                    .arg = w};
    int rc = s->vt->watch(s->handle, &config, &watch, err);
    if (rc) {
        unref(w); /* the store's */
        return rc;
    }
    qd_mutex_lock(&w->lock);
    bool ended = w->ended;
    if (!ended) w->watch = watch;
    qd_mutex_unlock(&w->lock);
    if (ended) s->vt->watch_close(watch, watch_closed, w);
    return 0;
}

/* --- a client that is ahead of this node's store --- */

typedef struct ahead {
    qd_work work; /* first */
    server_watch *w;
    qd_coord_range range;
    uint32_t flags;
    uint64_t from;
    int32_t rc;
    qd_str key, end;
    char bytes[]; /* of key and end */
} ahead;

/* On a worker: the store itself has said how far it is. */
static void ahead_answered(qd_work *work)
{
    ahead *x = (ahead *)(void *)work;
    server_watch *w = x->w;
    qd_err err;
    qd_err_init(&err);
    int rc = x->rc;
    if (!rc) {
        w->s->vt->result_free(w->s->handle, x->range.result);
        /* revisions are gone that the client has seen: it has to read again, and to judge */
        if (x->range.revision + 1 < x->from) rc = QD_E_COMPACTED;
    }
    if (rc) {
        unref(w); /* the store's */
    } else {
        rc = start(w, x->flags, x->key, x->end, x->from, &err);
    }
    if (rc) {
        end(w, rc);
    } else {
        flush(w);
    }
    qd_err_fini(&err);
    unref(w);
    qd_free(x);
}

static void ahead_done(qd_op *op, int32_t rc)
{
    ahead *x = op->user;
    qd_mutex_lock(&x->w->lock);
    x->w->asking = NULL;
    qd_mutex_unlock(&x->w->lock);
    x->rc = rc;
    x->work.run = ahead_answered;
    if (qd_pool_submit_forced(x->w->s->pool, &x->work, NULL)) ahead_answered(&x->work);
}

/* This node may lag behind, or the store be an old one restored: asks it, linearizably. */
static int ask_first(server_watch *w, uint32_t flags, qd_str key, qd_str last, uint64_t from)
{
    qd_remote_server *s = w->s;
    ahead *x = qd_calloc(NULL, sizeof *x + key.n + last.n);
    if (!x) return QD_E_NOMEM;
    if (key.n) memcpy(x->bytes, key.p, key.n);
    if (last.n) memcpy(x->bytes + key.n, last.p, last.n);
    x->key = (qd_str){x->bytes, key.n};
    x->end = (qd_str){x->bytes + key.n, last.n};
    x->w = w;
    x->flags = flags;
    x->from = from;
    x->range.key = QD_STR("cluster/uuid");
    ref(w);
    qd_op_anywhere(&x->range.op, ahead_done, x);
    qd_mutex_lock(&w->lock);
    w->asking = &x->range.op;
    qd_mutex_unlock(&w->lock);
    int rc = s->vt->range(s->handle, &x->range);
    if (rc) {
        qd_mutex_lock(&w->lock);
        w->asking = NULL;
        qd_mutex_unlock(&w->lock);
        unref(w);
        qd_free(x);
    }
    return rc;
}

static void refuse(qd_rpc_request *request, qd_err *err, int code)
{
    if (!err->code) (void)qd_err_set(err, code, "the node is stopping or lacks memory");
    qd_rpc_fail(request, err);
    qd_err_fini(err);
}

void qdi_server_watch(void *arg, qd_rpc_request *request)
{
    qd_remote_server *s = arg;
    qd_body_reader r;
    qd_err err;
    char name[96];
    qd_err_init(&err);
    qd_body_reader_init(&r, qd_rpc_request_body(request), "watch of the coordination store",
                        qd_rpc_request_version(request));
    uint64_t id = qd_read_u64(&r, "id");
    uint32_t flags = (uint32_t)qd_read_varint_max(&r, "flags", UINT32_MAX);
    qd_str key = qd_read_str(&r, "key", REMOTE_KEY_MAX);
    qd_str last = qd_read_str(&r, "end", REMOTE_KEY_MAX);
    uint64_t from = qd_read_varint(&r, "from");
    if (qd_body_reader_end(&r, &err)) {
        refuse(request, &err, QD_E_CORRUPT);
        return;
    }
    snprintf(name, sizeof name, "%s/%llx", qd_rpc_request_from(request)->ephemeral,
             (unsigned long long)id);
    sweep(s);
    server_watch *w = find(s, name, from);
    bool fresh = !w;
    if (fresh) w = make(s, name, from);
    if (!w) {
        refuse(request, &err, QD_E_CLOSED);
        return;
    }
    qd_coord_identity identity = {.struct_size = sizeof identity};
    s->vt->identity(s->handle, &identity);
    /* before it can be answered, after which it is gone */
    qd_rpc_request_on_cancel(request, on_gone, w);
    qd_mutex_lock(&w->lock);
    bool taken = w->waiting != NULL; /* by another connection of the same process */
    if (!taken) {
        w->identity = identity;
        w->waiting = request;
        w->polled_ns = qd_env_mono_ns(s->env);
    }
    qd_mutex_unlock(&w->lock);
    if (taken) {
        unref(w);
        refuse(request, &err, QD_E_CONFLICT);
        return;
    }
    int rc = 0;
    if (fresh && from > identity.revision + 1) {
        rc = ask_first(w, flags, key, last, from);
        if (rc) unref(w); /* the store's */
    } else if (fresh) {
        rc = start(w, flags, key, last, from, &err);
    }
    if (rc) {
        end(w, rc);
    } else {
        flush(w);
    }
    qd_err_fini(&err);
    unref(w);
}

void qdi_server_watches_end(qd_remote_server *s)
{
    for (;;) {
        size_t pos = 0;
        qd_mutex_lock(&s->lock);
        const qd_map_entry *e = qd_map_next(&s->watches, &pos);
        server_watch *w = e ? e->value : NULL;
        if (w) w->refs++;
        qd_mutex_unlock(&s->lock);
        if (!w) return;
        end(w, QD_E_CLOSED);
        unref(w);
    }
}
