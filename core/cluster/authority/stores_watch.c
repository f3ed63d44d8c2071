/*
 * stores_watch.c: a watch of the front is a watch of the store in charge; when that is another one
 * it is closed there and opened here behind the last revision that was told. A store that took over
 * has no past: who lacks revisions before it is told COMPACTED and reads again.
 */
#include "base/str.h"
#include "cluster/authority/stores_int.h"

#define LAG_NS UINT64_C(5000000000)

/* [a store's thread] */
static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    qd_coord_watch *w = arg;
    qd_coord *c = w->front;
    qd_mutex_lock(&c->lock);
    bool retired = rc == QD_E_FENCED; /* it goes on elsewhere */
    if (retired) w->stopped = true;
    if (rc && !retired) w->ended = true;
    if (!rc && revision >= w->from) w->from = revision + 1;
    if (retired) qd_cond_signal(&c->wake);
    qd_mutex_unlock(&c->lock);
    if (!retired) w->config.events(w->config.arg, events, n, revision, rc);
}

static int open_at(qd_coord_watch *w, int child, qd_coord_watch **out, qd_err *err)
{
    front_child *k = &w->front->child[child];
    qd_coord_watch_config config = w->config;
    config.from = w->from;
    config.events = on_events;
    config.arg = w;
    return k->vt->watch(k->handle, &config, out, err);
}

/* Out of the list and gone. */
static void free_watch(qd_coord_watch *w)
{
    qd_coord *c = w->front;
    void (*done)(void *arg) = w->closed;
    void *arg = w->closed_arg;
    qd_mutex_lock(&c->lock);
    *w->link = w->next;
    if (w->next) w->next->link = w->link;
    qd_cond_broadcast(&c->idle);
    qd_mutex_unlock(&c->lock);
    qd_free(w);
    if (done) done(arg);
}

static void on_closed(void *arg)
{
    free_watch(arg);
}

int32_t qdi_front_watch(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                        qd_err *err)
{
    qd_coord_watch *w = qd_calloc(NULL, sizeof *w + config->key.n + config->end.n), *real;
    if (!w) return qd_err_nomem(err, "watch");
    w->front = c;
    w->config = *config;
    w->config.struct_size = sizeof w->config;
    if (config->key.n) memcpy(w->bytes, config->key.p, config->key.n);
    if (config->end.n) memcpy(w->bytes + config->key.n, config->end.p, config->end.n);
    w->config.key.p = w->bytes;
    w->config.end.p = w->bytes + config->key.n;
    w->from = config->from;
    w->moving = true;
    qd_mutex_lock(&c->lock);
    w->child = c->current;
    w->link = &c->watches;
    w->next = c->watches;
    if (w->next) w->next->link = &w->next;
    c->watches = w;
    qd_mutex_unlock(&c->lock);
    if (!w->from) {
        qd_coord_identity id = {.struct_size = sizeof id};
        c->child[w->child].vt->identity(c->child[w->child].handle, &id);
        w->from = id.revision + 1;
    }
    int rc = open_at(w, w->child, &real, err);
    if (rc) {
        free_watch(w);
        return rc;
    }
    *out = w;
    qd_mutex_lock(&c->lock);
    w->real = real;
    w->moving = false;
    qd_cond_signal(&c->wake); /* the store in charge may be another one by now */
    qd_mutex_unlock(&c->lock);
    return 0;
}

void qdi_front_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg)
{
    qd_coord *c = w->front;
    qd_mutex_lock(&c->lock);
    w->closing = true;
    w->closed = done;
    w->closed_arg = arg;
    bool later = w->moving; /* whoever moves it closes it */
    qd_coord_watch *real = w->real;
    int child = w->child;
    qd_mutex_unlock(&c->lock);
    if (later) return;
    if (real) {
        c->child[child].vt->watch_close(real, on_closed, w);
    } else {
        free_watch(w);
    }
}

static void told(void *arg)
{
    qd_latch_done(arg, 0);
}

/* Closes it where it is, opens it at the store in charge. [the front's thread] */
static void move(qd_coord_watch *w, int to)
{
    qd_coord *c = w->front;
    qd_coord_watch *real = NULL;
    qd_latch l;
    if (w->real) {
        qd_latch_init(&l, 1);
        c->child[w->child].vt->watch_close(w->real, told, &l);
        (void)qd_latch_wait(&l);
    }
    qd_mutex_lock(&c->lock);
    bool over = w->ended;
    w->real = NULL;
    w->child = to;
    w->stopped = false;
    qd_mutex_unlock(&c->lock);
    if (!over && open_at(w, to, &real, NULL)) {
        real = NULL;
        w->config.events(w->config.arg, NULL, 0, w->from - 1, QD_E_COMPACTED); /* read again */
        over = true;
    }
    qd_mutex_lock(&c->lock);
    w->real = real;
    w->ended |= over;
    w->moving = false;
    bool closing = w->closing;
    qd_mutex_unlock(&c->lock);
    if (!closing) return;
    if (real) {
        c->child[to].vt->watch_close(real, on_closed, w);
    } else {
        free_watch(w);
    }
}

/* Has the former store more to tell it? Then it stays there for a moment. Under the lock. */
static bool lags(const qd_coord_watch *w, const qd_coord_identity *former)
{
    const qd_coord *c = w->front;
    if (w->stopped || !former->connected) return false;
    if (qd_env_mono_ns(c->env) > c->moved_ns + LAG_NS) return false;
    if (former->state == QD_COORD_ACTIVE) return true;
    bool sealed = former->state == QD_COORD_SEALED || former->state == QD_COORD_RETIRED;
    return sealed && w->from <= former->revision; /* else it is used for something new already */
}

/* Is it where it belongs? A store that was retired and is in charge again tells nothing more to the
 * watches that it ended. Under the lock. */
static bool stays(const qd_coord_watch *w, int to, const qd_coord_identity *now,
                  const qd_coord_identity *former)
{
    if (w->moving || w->closing || w->ended) return true;
    if (w->child == to) return !w->stopped || now->state != QD_COORD_ACTIVE;
    return lags(w, former);
}

void qdi_front_watches_move(qd_coord *c)
{
    for (;;) {
        int to = c->current; /* this thread changes it */
        qd_coord_identity id[2];
        for (int i = 0; i < 2; i++) {
            id[i] = (qd_coord_identity){.struct_size = sizeof id[i]};
            c->child[i].vt->identity(c->child[i].handle, &id[i]);
        }
        qd_mutex_lock(&c->lock);
        qd_coord_watch *w = c->watches;
        while (w && stays(w, to, &id[to], &id[!to])) w = w->next;
        if (w) w->moving = true;
        qd_mutex_unlock(&c->lock);
        if (!w) return;
        move(w, to);
    }
}

bool qdi_front_watches_wait(const qd_coord *c)
{
    for (const qd_coord_watch *w = c->watches; w; w = w->next)
        if (w->stopped || (w->child != c->current && !w->ended)) return true;
    return false;
}

void qdi_front_watches_end(qd_coord *c)
{
    qd_mutex_lock(&c->lock);
    while (c->watches) qd_cond_wait(&c->idle, &c->lock); /* closed by their owners before */
    qd_mutex_unlock(&c->lock);
}
