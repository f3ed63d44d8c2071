/*
 * watch.c: watches read the machine's history on the loop's thread, each from where it stands, in
 * whole revisions. A watch outlives its store: its lock keeps the two apart.
 */
#include "store.h"

#define EVENTS_MAX 1024u /* of one call, but for a larger revision */

int32_t cr_watch_open(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                      qd_err *err)
{
    const qd_svc_err *e = c->plugin->err;
    if (config->flags & ~(uint32_t)QD_COORD_PREFIX || !config->events ||
        config->key.n > CR_KEY_MAX || config->end.n > CR_KEY_MAX ||
        (config->key.n == 0 && !(config->flags & QD_COORD_PREFIX) && config->end.n == 0))
        return qd_plug_fail(e, err, QD_E_ARG, "watch: unknown flags, or a key that cannot be");
    qd_coord_watch *w = cr_alloc(c->heap, sizeof *w + config->key.n + config->end.n);
    if (!w) return qd_plug_fail(e, err, QD_E_NOMEM, "out of memory: watch");
    char *text = (char *)(w + 1);
    *w = (qd_coord_watch){.heap = c->heap,
                          .store = c,
                          .flags = config->flags,
                          .key = {text, config->key.n},
                          .end = {text + config->key.n, config->end.n},
                          .from = config->from,
                          .is_new = 1,
                          .events = config->events,
                          .arg = config->arg};
    if (config->key.n) memcpy(text, config->key.p, config->key.n);
    if (config->end.n) memcpy(text + config->key.n, config->end.p, config->end.n);
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_lock(&c->lock);
    int closing = c->closing;
    if (!closing) {
        if (w->from == 0) w->from = c->identity.revision + 1;
        w->next = c->watches_in;
        c->watches_in = w;
        if (!c->awake) uv_async_send(&c->wake);
        c->awake = 1;
    }
    pthread_mutex_unlock(&c->lock);
    if (closing) {
        pthread_mutex_destroy(&w->lock);
        cr_free(c->heap, w);
        return QD_E_CLOSED;
    }
    *out = w;
    return 0;
}

static void watch_free(qd_coord_watch *w)
{
    void (*done)(void *arg) = w->done;
    void *arg = w->done_arg;
    pthread_mutex_destroy(&w->lock);
    cr_free(w->heap, w);
    if (done) done(arg);
}

void cr_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&w->lock);
    qd_coord *c = w->store;
    w->done = done;
    w->done_arg = arg;
    if (c) {
        pthread_mutex_lock(&c->lock);
        w->closing = 1;
        if (!c->awake) uv_async_send(&c->wake);
        c->awake = 1;
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&w->lock);
    if (!c) watch_free(w);
}

static int wants(const qd_coord_watch *w, qd_str key)
{
    if (w->flags & QD_COORD_PREFIX) return cr_starts(key, w->key);
    if (w->end.n == 0) return cr_compare(key, w->key) == 0;
    return cr_compare(key, w->key) >= 0 && cr_compare(key, w->end) < 0;
}

static qd_coord_event event_of(const cr_item *i)
{
    qd_str value = cr_item_value(i);
    qd_coord_event e = {.type = i->version ? QD_COORD_PUT : QD_COORD_DELETE,
                        .kv = {.key = cr_item_key(i),
                               .value = (const uint8_t *)value.p,
                               .value_len = value.n,
                               .create_revision = i->create_revision,
                               .mod_revision = i->mod_revision,
                               .version = i->version,
                               .session = i->session}};
    return e;
}

/* Tells a watch everything up to the present. */
static void tell(qd_coord *c, qd_coord_watch *w)
{
    cr_machine *m = c->machine;
    if (w->ended) return;
    if (m->state == QD_COORD_RETIRED && w->from > m->revision) {
        w->ended = 1;
        w->events(w->arg, NULL, 0, m->revision, QD_E_FENCED);
        return;
    }
    if (w->from <= m->compacted) {
        w->ended = 1;
        w->events(w->arg, NULL, 0, m->compacted, QD_E_COMPACTED);
        return;
    }
    if (w->from > m->revision) return;
    uint32_t n = 0, cap = 0;
    qd_coord_event *list = NULL;
    uint64_t told = w->from - 1;
    for (size_t i = cr_history_seek(m, w->from); i < m->history_n; i++) {
        const cr_item *item = cr_history_at(m, i)->now;
        if (n >= EVENTS_MAX && item->mod_revision > told) {
            w->events(w->arg, list, n, told, 0);
            n = 0;
        }
        told = item->mod_revision;
        if (!wants(w, cr_item_key(item))) continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            list = cr_must_grow(c->heap, list, cap * sizeof *list);
        }
        list[n++] = event_of(item);
    }
    w->from = m->revision + 1;
    w->events(w->arg, list, n, m->revision, 0);
    cr_free(c->heap, list);
}

void cr_watches_turn(qd_coord *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->watches_in) {
        qd_coord_watch *w = c->watches_in;
        c->watches_in = w->next;
        w->next = c->watches;
        c->watches = w;
    }
    pthread_mutex_unlock(&c->lock);
    for (qd_coord_watch **link = &c->watches; *link;) {
        qd_coord_watch *w = *link;
        pthread_mutex_lock(&c->lock);
        int closing = w->closing;
        pthread_mutex_unlock(&c->lock);
        if (closing) {
            *link = w->next;
            pthread_mutex_lock(&w->lock); /* whoever closes it is past it */
            pthread_mutex_unlock(&w->lock);
            watch_free(w);
            continue;
        }
        tell(c, w);
        link = &w->next;
    }
}

void cr_watches_end(qd_coord *c)
{
    cr_watches_turn(c);
    while (c->watches) {
        qd_coord_watch *w = c->watches;
        c->watches = w->next;
        pthread_mutex_lock(&w->lock);
        int closing = w->closing;
        if (!closing && !w->ended) {
            w->ended = 1;
            w->events(w->arg, NULL, 0, c->machine->revision, QD_E_CLOSED);
        }
        w->store = NULL;
        pthread_mutex_unlock(&w->lock);
        if (closing) watch_free(w);
    }
}
