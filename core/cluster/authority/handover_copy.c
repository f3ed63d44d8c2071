/*
 * handover_copy.c: the mirror. It follows one watch of the store it copies; what the watch cannot
 * tell any more (a first copy, a compacted history) is found by comparing keys: those of the store
 * with a later revision are put, in the order of their revisions and in batches of bounded size,
 * those that it has no more are deleted with the last one. In between the mirror is no state that
 * the store ever had; at the end, or once the watch has caught up, it is again. The first import
 * says whose the mirror is: one that is left half copied is known, and is no other cluster's to
 * empty.
 */
#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "cluster/authority/handover_int.h"
#include "cluster/mutants.h"
#include <stdlib.h>

#define BATCH_ARENA_MAX ((size_t)1 << 30)
#define REST_WAIT_NS UINT64_C(200000000)
#define REST_TRIES 100

/* --- the watch ------------------------------------------------------------------------------- */

static void free_batches(handover_batch *b)
{
    while (b) {
        handover_batch *next = b->next;
        qd_arena_fini(&b->arena);
        qd_free(b);
        b = next;
    }
}

/* Keys and values become the arena's. */
static bool copy_events(handover_batch *b, const qd_coord_event *events, uint32_t n)
{
    b->events = qd_arena_alloc(&b->arena, (n + 1ul) * sizeof *b->events);
    for (uint32_t i = 0; i < n && b->events; i++) {
        b->events[i] = events[i];
        qd_coord_kv *kv = &b->events[i].kv;
        qd_str value = qd_arena_str(&b->arena, (qd_str){(const char *)kv->value, kv->value_len});
        kv->key = qd_arena_str(&b->arena, kv->key);
        kv->value = (const uint8_t *)value.p;
        b->bytes += kv->key.n + kv->value_len + sizeof *kv;
        if (!kv->key.p || !value.p) return false;
    }
    b->n = n;
    return b->events != NULL;
}

static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    qd_handover *h = arg;
    handover_batch *b = rc ? NULL : qd_calloc(NULL, sizeof *b);
    if (b) {
        qd_arena_init(&b->arena, NULL, BATCH_ARENA_MAX);
        b->revision = revision;
        if (!copy_events(b, events, n)) {
            free_batches(b);
            b = NULL;
        }
    }
    qd_mutex_lock(&h->lock);
    if (!b || h->lost || (h->first && h->queued + b->bytes > HANDOVER_QUEUE_MAX)) {
        h->lost = true;
    } else {
        h->queued += b->bytes;
        if (h->last) {
            h->last->next = b;
        } else {
            h->first = b;
        }
        h->last = b;
        b = NULL;
    }
    qd_cond_signal(&h->wake);
    qd_mutex_unlock(&h->lock);
    free_batches(b);
}

void qdi_handover_unfollow(qd_handover *h)
{
    if (h->watch) qd_coord_watch_end(h->watched, h->watch);
    h->watch = NULL;
    qd_mutex_lock(&h->lock);
    handover_batch *b = h->first;
    h->first = h->last = NULL;
    h->queued = 0;
    h->lost = false;
    qd_mutex_unlock(&h->lock);
    free_batches(b);
    h->mirror_epoch = 0;
}

/* --- importing ------------------------------------------------------------------------------- */

/* Events in order of revision, in imports of whole revisions; the last one is up to `revision`.
 * Those up to `together` are one, whatever they weigh. */
static int import_all(qd_handover *h, const handover_look *l, const qd_coord_event *e, uint32_t n,
                      uint64_t together, uint64_t revision, qd_err *err)
{
    qd_coord_store *to = h->config.store[l->to];
    int rc = 0;
    for (uint32_t i = 0, end; (i < n || i == 0) && !rc; i = end ? end : 1) {
        end = i + qd_coord_import_share(to, e + i, n - i, h->config.batch_bytes, together);
        qd_coord_import x = {.epoch = l->id[l->to].epoch,
                             .revision = end < n ? e[end].kv.mod_revision - 1 : revision,
                             .events = e + i,
                             .nevents = end - i};
        rc = qdi_handover_said(h, to, qd_coord_import_some(to, &x, h->config.timeout_ms, err), err);
    }
    return rc;
}

/* All that came by the watch up to now; the caller's. */
static handover_batch *take_queued(qd_handover *h)
{
    qd_mutex_lock(&h->lock);
    handover_batch *b = h->first;
    h->first = h->last = NULL;
    h->queued = 0;
    qd_mutex_unlock(&h->lock);
    return b;
}

/* What came by the watch up to now. What waits is imported together, as a store may be slow at each
 * import and fast at large ones; what comes meanwhile waits for the next turn, which looks at the
 * plan first: clients that never pause may change more during each import. */
static int drain(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err)
{
    handover_batch *b = take_queued(h);
    uint64_t upto = *revision;
    size_t n = 0;
    int rc = 0;
    if (!b) return 0;
    for (const handover_batch *x = b; x; x = x->next) n += x->n;
    qd_coord_event *all = qd_alloc(NULL, (n + 1) * sizeof *all);
    if (!all) rc = qd_err_nomem(err, "migration");
    n = 0;
    for (const handover_batch *x = b; x && !rc; x = x->next) {
        if (x->revision <= upto) continue;
        for (uint32_t i = 0; i < x->n; i++) {
            if (x->events[i].kv.mod_revision > upto) all[n++] = x->events[i];
        }
        upto = x->revision;
    }
    if (!rc && upto > *revision) {
        rc = import_all(h, l, all, (uint32_t)n, 0, upto, err);
        if (!rc) *revision = upto;
    }
    qd_free(all);
    free_batches(b);
    return rc;
}

/* --- what differs ---------------------------------------------------------------------------- */

typedef struct gathering {
    qd_map have;                /* the mirror's keys -> mod_revision */
    QD_VEC(qd_coord_event) put; /* each with memory of its own */
    size_t bytes, budget, trim_at;
    uint64_t above, limit; /* revision of the mirror; only what is below is gathered */
    uint64_t together;     /* what is up to this revision is not parted */
    char last[1100];       /* key of the store's, to know a second try */
    size_t last_n;
    bool strange; /* an old key differs */
} gathering;

static void drop_from(gathering *g, size_t n)
{
    for (size_t i = n; i < g->put.n; i++) {
        g->bytes -= g->put.at[i].kv.key.n + g->put.at[i].kv.value_len;
        qd_free((char *)(uintptr_t)g->put.at[i].kv.key.p);
    }
    g->put.n = n;
}

static int by_revision(const void *a, const void *b)
{
    const qd_coord_event *x = a, *y = b;
    return (x->kv.mod_revision > y->kv.mod_revision) - (x->kv.mod_revision < y->kv.mod_revision);
}

/* Keeps the earliest revisions that fit, at least one. */
static void trim(gathering *g)
{
    size_t bytes = 0, keep = 0;
    if (g->put.n) qsort(g->put.at, g->put.n, sizeof *g->put.at, by_revision);
    for (size_t i = 0; i < g->put.n; i++) {
        const qd_coord_kv *kv = &g->put.at[i].kv;
        if (i && kv->mod_revision != g->put.at[i - 1].kv.mod_revision) keep = i;
        bytes += kv->key.n + kv->value_len;
        if (bytes > g->budget && keep && g->put.at[keep].kv.mod_revision > g->together) {
            g->limit = g->put.at[keep].kv.mod_revision;
            drop_from(g, keep);
            return;
        }
    }
}

static int gather_one(gathering *g, const qd_coord_kv *kv)
{
    qd_coord_event e = {.type = QD_COORD_PUT, .kv = *kv};
    char *bytes = qd_alloc(NULL, kv->key.n + kv->value_len + 1);
    if (!bytes) return QD_E_NOMEM;
    memcpy(bytes, kv->key.p, kv->key.n);
    if (kv->value_len) memcpy(bytes + kv->key.n, kv->value, kv->value_len);
    e.kv.key.p = bytes;
    e.kv.value = (const uint8_t *)bytes + kv->key.n;
    if (qd_vec_push(&g->put, NULL, e)) {
        qd_free(bytes);
        return QD_E_NOMEM;
    }
    g->bytes += kv->key.n + kv->value_len;
    if (g->bytes > g->trim_at) {
        trim(g);
        g->trim_at = g->bytes + g->budget;
    }
    return 0;
}

static int32_t take_have(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    gathering *g = arg;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qd_map_put(&g->have, kvs[i].key, (void *)(uintptr_t)kvs[i].mod_revision, NULL);
    return rc;
}

static int32_t take_put(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    gathering *g = arg;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        const qd_coord_kv *kv = &kvs[i];
        if (g->last_n && qd_str_cmp(kv->key, (qd_str){g->last, g->last_n}) <= 0)
            return QD_E_CONFLICT; /* the export began once more: so does all of this */
        g->last_n = kv->key.n < sizeof g->last ? kv->key.n : sizeof g->last;
        memcpy(g->last, kv->key.p, g->last_n);
        uint64_t had = (uintptr_t)qd_map_del(&g->have, kv->key);
        if (kv->mod_revision <= g->above) {
            g->strange |= had != kv->mod_revision;
        } else if (kv->mod_revision < g->limit) {
            rc = gather_one(g, kv);
        }
    }
    return rc;
}

/* The mirror's keys that the store has no more, all with its last revision. */
static int gather_deleted(gathering *g, uint64_t revision)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&g->have, &pos))) {
        qd_coord_event gone = {.type = QD_COORD_DELETE, .kv = {.mod_revision = revision}};
        char *bytes = qd_alloc(NULL, e->key.n + 1);
        if (!bytes) return QD_E_NOMEM;
        memcpy(bytes, e->key.p, e->key.n);
        gone.kv.key = (qd_str){bytes, e->key.n};
        gone.kv.value = (const uint8_t *)bytes + e->key.n;
        if (qd_vec_push(&g->put, NULL, gone)) {
            qd_free(bytes);
            return QD_E_NOMEM;
        }
        g->bytes += e->key.n;
    }
    return 0;
}

/* Up to which revision a mirror that has nothing is copied at once, so that it says whose it is. */
static int whose_at(qd_handover *h, const handover_look *l, uint64_t above, uint64_t *out,
                    qd_err *err)
{
    qd_arena a;
    qd_coord_list list = {0};
    qd_coord_store *from = h->config.store[l->from];
    if (above) return 0;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc =
        qd_coord_read(from, QD_STR("cluster/uuid"), false, h->config.timeout_ms, &a, &list, err);
    if (!rc && list.n) *out = list.at[0].mod_revision;
    qd_arena_fini(&a);
    return qdi_handover_said(h, from, rc, err);
}

/* One batch of what differs. *revision gets the mirror's, *whole: nothing is left. */
static int differ_once(qd_handover *h, const handover_look *l, uint64_t *revision, bool *whole,
                       qd_err *err)
{
    gathering g = {
        .budget = h->config.batch_bytes, .trim_at = 2 * h->config.batch_bytes, .limit = UINT64_MAX};
    qd_coord_export have = {.batch = take_have, .arg = &g};
    qd_coord_export put = {.batch = take_put, .arg = &g};
    qd_map_init(&g.have, NULL);
    int rc = qdi_handover_export(h, h->config.store[l->to], &have, err);
    g.above = have.revision;
    if (!rc) rc = whose_at(h, l, g.above, &g.together, err);
    if (!rc) rc = qdi_handover_export(h, h->config.store[l->from], &put, err);
    if (!rc) trim(&g);
    *whole = g.limit == UINT64_MAX;
    if (!rc && *whole) rc = gather_deleted(&g, put.revision);
    /* a copy that is ahead, or whose past differs, is a copy of something else */
    if (!rc && (g.strange || g.above > put.revision || (g.above == put.revision && g.put.n)))
        rc = qd_err_set(err, QD_E_CORRUPT, "the mirror is no copy of the store");
    uint64_t upto = *whole ? put.revision : g.limit - 1;
    if (!rc && upto > g.above) {
        qsort(g.put.at, g.put.n, g.put.n ? sizeof *g.put.at : 1, by_revision);
        rc = import_all(h, l, g.put.at, (uint32_t)g.put.n, g.together, upto, err);
    }
    if (!rc) *revision = upto;
    if (rc == QD_E_NOMEM) rc = qd_err_nomem(err, "copy of the cluster's state");
    drop_from(&g, 0);
    qd_vec_fini(&g.put);
    qd_map_fini(&g.have);
    return rc;
}

static int differ(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err)
{
    bool whole = false;
    int rc = 0;
    while (!rc && !whole) {
        rc = differ_once(h, l, revision, &whole, err);
        qd_mutex_lock(&h->lock);
        if (!rc) h->status.copied = *revision;
        qd_mutex_unlock(&h->lock);
    }
    return rc;
}

/* --- following ------------------------------------------------------------------------------- */

/* How far a store is, as it says itself. */
static int revision_of(qd_handover *h, qd_coord_store *s, uint64_t *out, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc =
        qd_coord_read(s, QD_STR(QD_HANDOVER_PLAN), false, h->config.timeout_ms, &a, &list, err);
    if (!rc) *out = list.revision;
    qd_arena_fini(&a);
    return qdi_handover_said(h, s, rc, err);
}

/* Copies what the watch cannot tell, and watches from there. */
static int begin(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err)
{
    qdi_handover_unfollow(h);
    int rc = differ(h, l, revision, err);
    if (rc) return rc;
    h->watched = h->config.store[l->from];
    h->mirror_epoch = l->id[l->to].epoch;
    return qd_coord_watch_open(h->watched, QD_STR(""), *revision + 1, on_events, h, &h->watch, err);
}

int qdi_handover_follow(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err)
{
    qd_mutex_lock(&h->lock);
    bool lost = h->lost;
    qd_mutex_unlock(&h->lock);
    if (!h->watch || lost || h->mirror_epoch != l->id[l->to].epoch ||
        h->watched != h->config.store[l->from])
        return begin(h, l, revision, err);
    int rc = revision_of(h, h->config.store[l->to], revision, err);
    if (!rc) rc = drain(h, l, revision, err);
    if (rc) qdi_handover_unfollow(h);           /* what was taken from the queue may not be there */
    return rc == QD_E_ARG ? QD_E_CONFLICT : rc; /* another driver was faster */
}

int qdi_handover_rest(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err)
{
    uint64_t last, until = qd_env_mono_ns(h->config.env) + REST_WAIT_NS;
    int rc = revision_of(h, h->config.store[l->from], &last, err);
    for (int i = 0; !rc && i < REST_TRIES; i++) {
        rc = qdi_handover_follow(h, l, revision, err);
        if (rc || *revision >= last) break;
        uint64_t now = qd_env_mono_ns(h->config.env);
        if (now >= until) qdi_handover_unfollow(h); /* this node's view lags: all at once */
        qd_handover_wait(h, now < until ? until - now : 0);
    }
    if (!rc && *revision != last)
        rc = qd_err_set(err, QD_E_CORRUPT, "the copy is at revision %llu, the sealed store at %llu",
                        (unsigned long long)*revision, (unsigned long long)last);
    return rc;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* A key's numbers and value in one. */
static uint64_t sum_of(const qd_coord_kv *kv)
{
    uint64_t n[4] = {kv->create_revision, kv->mod_revision, kv->version,
                     qd_xxh3(kv->value, kv->value_len)};
    return qd_xxh3(n, sizeof n) | 1;
}

typedef struct listing {
    qd_map sums; /* key -> sum */
    uint64_t differ;
} listing;

static int32_t list_from(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    listing *x = arg;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qd_map_put(&x->sums, kvs[i].key, (void *)(uintptr_t)sum_of(&kvs[i]), NULL);
    return rc;
}

static int32_t list_to(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    listing *x = arg;
    for (uint32_t i = 0; i < n; i++)
        x->differ += (uintptr_t)qd_map_del(&x->sums, kvs[i].key) != sum_of(&kvs[i]);
    return 0;
}

/* How many keys differ; at least one does. */
static int count_differences(qd_handover *h, const handover_look *l, uint64_t revision,
                             uint64_t *out, qd_err *err)
{
    listing x = {.differ = 0};
    qd_coord_export from = {.revision = revision, .batch = list_from, .arg = &x};
    qd_coord_export to = {.batch = list_to, .arg = &x};
    qd_map_init(&x.sums, NULL);
    int rc = qdi_handover_export(h, h->config.store[l->from], &from, err);
    if (!rc) rc = qdi_handover_export(h, h->config.store[l->to], &to, err);
    if (!rc && to.revision != revision) rc = QD_E_CONFLICT; /* another driver goes on */
    *out = x.differ + x.sums.n;
    if (!*out) *out = 1;
    qd_map_fini(&x.sums);
    return rc;
}

int qdi_handover_compare(qd_handover *h, const handover_look *l, uint64_t *revision,
                         uint64_t *differences, qd_err *err)
{
    bool sealed = l->id[l->from].state == QD_COORD_SEALED;
    qd_coord_export to = {0}, from = {0};
    *differences = 0;
    int rc = qdi_handover_export(h, h->config.store[l->to], &to, err);
    *revision = to.revision;
    from.revision = sealed ? 0 : to.revision;
    if (!rc) rc = qdi_handover_export(h, h->config.store[l->from], &from, err);
    if (rc) return rc == QD_E_COMPACTED ? QD_E_CONFLICT : rc; /* too old meanwhile: again */
    if (from.revision == to.revision && memcmp(from.hash, to.hash, sizeof to.hash) == 0) return 0;
    if (from.revision != to.revision) { /* of a sealed store: the copy is not at its end */
        *differences = 1;
        return 0;
    }
    return count_differences(h, l, *revision, differences, err);
}
