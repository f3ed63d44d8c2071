/*
 * watch.c: watches read the machine's history on the loop's thread, each from where it stands, in
 * whole revisions. A watch outlives its store: its lock keeps the two apart.
 */
#include "mutants.h"
#include "store.h"
#include <check/invariant.h>

#define EVENTS_MAX 1024u     /* of one call, but for a larger revision */
#define BYTES_MAX (4u << 20) /* of them that are unpacked */

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

static qd_coord_event event_of(const cr_item *i, qd_str value)
{
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

/* Events of one call, and room for those of their values that are packed. */
typedef struct telling {
    const cr_heap *heap;
    qd_coord_event *list;
    void **rooms;
    uint32_t n, cap;
    size_t bytes;
} telling;

static void telling_add(telling *t, const cr_item *item)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->list = cr_must_grow(t->heap, t->list, t->cap * sizeof *t->list);
        t->rooms = cr_must_grow(t->heap, t->rooms, t->cap * sizeof *t->rooms);
    }
    size_t need = cr_item_room(item);
    t->rooms[t->n] = need ? cr_must(t->heap, need) : NULL;
    t->list[t->n] = event_of(item, cr_item_open(item, t->rooms[t->n]));
    t->bytes += need;
    t->n++;
}

static void telling_empty(telling *t)
{
    for (uint32_t i = 0; i < t->n; i++) cr_free(t->heap, t->rooms[i]);
    t->n = 0;
    t->bytes = 0;
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
    if (QD_MUTANT(coord, WATCH_GAP) && w->from <= m->compacted) w->from = m->compacted + 1;
    if (w->from <= m->compacted) {
        w->ended = 1;
        w->events(w->arg, NULL, 0, m->compacted, QD_E_COMPACTED);
        return;
    }
    if (w->from > m->revision) return;
    qd_invariant(w->from > m->compacted); /* nothing is passed over */
    telling t = {.heap = c->heap};
    uint64_t told = w->from - 1;
    for (size_t i = cr_history_seek(m, w->from); i < m->history_n; i++) {
        const cr_item *item = cr_history_at(m, i)->now;
        qd_invariant(item->mod_revision >= w->from && item->mod_revision >= told);
        qd_invariant(item->mod_revision <= m->revision);
        if ((t.n >= EVENTS_MAX || t.bytes >= BYTES_MAX) && item->mod_revision > told) {
            w->events(w->arg, t.list, t.n, told, 0);
            telling_empty(&t);
        }
        told = item->mod_revision;
        if (wants(w, cr_item_key(item))) telling_add(&t, item);
    }
    w->from = m->revision + 1;
    w->events(w->arg, t.list, t.n, m->revision, 0);
    telling_empty(&t);
    cr_free(c->heap, t.list);
    cr_free(c->heap, t.rooms);
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
