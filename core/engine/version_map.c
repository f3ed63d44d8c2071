/*
 * version_map.c: stripes of two open-addressing tables and a list of tombstones. See version_map.h.
 *
 * The stripes (12 KiB) are made before the first write, and what a stripe holds by its first write;
 * the refresh that leaves nothing in it gives the latter back. A shard that nobody has written to
 * since it was opened has neither. Entries live in an arena of their half and go with it as a
 * whole; an update in the same half overwrites in place. Tombstones that outlive their half move
 * into a table of their own.
 */
#include "engine/version_map.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/sync.h"
#include <check/invariant.h>
#include <stdatomic.h>

#define STRIPES 256u
#define TABLE_MIN 16u
#define ARENA_MAX ((size_t)1 << 36)

typedef struct entry {
    uint64_t hash;
    qd_version_value v;
    bool set; /* false: reserved only */
    uint16_t id_len;
    char id[];
} entry;

typedef struct half {
    qd_arena arena;
    entry **slots;
    uint32_t mask, n; /* mask 0 = no table */
} half;

typedef struct contents {
    half cur, old;
    qd_map tombs; /* id -> qd_version_value*, oldest first is not kept: pruned by age */
} contents;

typedef struct id_stripe {
    qd_mutex lock;
    contents *in; /* NULL: nothing */
} id_stripe;

struct qd_version_map {
    qd_account *account;
    uint64_t seed;
    _Atomic(id_stripe *) s; /* STRIPES; NULL before the first write */
};

static void half_init(half *h, qd_account *account)
{
    *h = (half){0};
    qd_arena_init(&h->arena, account, ARENA_MAX);
}

static void half_clear(half *h)
{
    qd_account *account = h->arena.account;
    qd_arena_fini(&h->arena);
    qd_free(h->slots);
    half_init(h, account);
}

int qd_version_map_make(qd_account *account, uint64_t seed, qd_version_map **out, qd_err *err)
{
    qd_version_map *m = qd_calloc(account, sizeof *m);
    if (!m) return qd_err_nomem(err, "version map");
    m->account = account;
    m->seed = seed;
    *out = m;
    return 0;
}

/* A write happened before whoever must find it looks here: no stripes, nothing to find. */
static id_stripe *stripes(qd_version_map *m)
{
    return atomic_load_explicit(&m->s, memory_order_acquire);
}

static void stripes_free(id_stripe *s)
{
    for (uint32_t i = 0; s && i < STRIPES; i++) qd_mutex_fini(&s[i].lock);
    qd_free(s);
}

int qd_version_map_prepare(qd_version_map *m, qd_err *err)
{
    if (QD_LIKELY(stripes(m) != NULL)) return 0;
    id_stripe *none = NULL, *s = qd_calloc(m->account, STRIPES * sizeof *s);
    if (!s) return qd_err_nomem(err, "version map");
    for (uint32_t i = 0; i < STRIPES; i++) qd_mutex_init(&s[i].lock);
    if (!atomic_compare_exchange_strong_explicit(&m->s, &none, s, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        stripes_free(s); /* another writer was first */
    }
    return 0;
}

/* Under the stripe's lock; NULL without memory. */
static contents *contents_of(qd_version_map *m, id_stripe *s)
{
    if (QD_LIKELY(s->in != NULL)) return s->in;
    contents *in = qd_alloc(m->account, sizeof *in);
    if (!in) return NULL;
    half_init(&in->cur, m->account);
    half_init(&in->old, m->account);
    qd_map_init(&in->tombs, m->account);
    return s->in = in;
}

static void contents_free(id_stripe *s)
{
    size_t pos = 0;
    const qd_map_entry *e;
    if (!s->in) return;
    half_clear(&s->in->cur);
    half_clear(&s->in->old);
    while ((e = qd_map_next(&s->in->tombs, &pos))) qd_free(e->value);
    qd_map_fini(&s->in->tombs);
    qd_free(s->in);
    s->in = NULL;
}

void qd_version_map_free(qd_version_map *m)
{
    if (!m) return;
    id_stripe *s = stripes(m);
    for (uint32_t i = 0; s && i < STRIPES; i++) contents_free(&s[i]);
    stripes_free(s);
    qd_free(m);
}

static uint64_t hash_of(const qd_version_map *m, qd_str id)
{
    return qd_xxh3_seed(id.p, id.n, m->seed);
}

uint32_t qd_version_map_lock(qd_version_map *m, qd_str id)
{
    uint32_t i = (uint32_t)(hash_of(m, id) >> 56) % STRIPES;
    id_stripe *s = stripes(m);
    qd_assert(s);
    qd_mutex_lock(&s[i].lock);
    return i;
}

void qd_version_map_unlock(qd_version_map *m, uint32_t stripe)
{
    qd_mutex_unlock(&stripes(m)[stripe].lock);
}

static entry *half_find(const half *h, uint64_t hash, qd_str id)
{
    if (!h->slots) return NULL;
    for (uint32_t i = (uint32_t)hash & h->mask; h->slots[i]; i = (i + 1) & h->mask) {
        entry *e = h->slots[i];
        if (e->hash == hash && qd_str_eq((qd_str){e->id, e->id_len}, id)) return e;
    }
    return NULL;
}

bool qd_version_map_get(qd_version_map *m, uint32_t at_stripe, qd_str id, qd_version_value *out)
{
    const contents *in = stripes(m)[at_stripe].in;
    if (!in) return false;
    uint64_t hash = hash_of(m, id);
    const entry *e = half_find(&in->cur, hash, id);
    if (!e || !e->set) e = half_find(&in->old, hash, id);
    if (e && e->set) {
        *out = e->v;
        return true;
    }
    const qd_version_value *tomb = in->tombs.n ? qd_map_get(&in->tombs, id) : NULL;
    if (!tomb) return false;
    qd_assert(tomb->deleted); /* documents are in the reader by then */
    *out = *tomb;
    return true;
}

bool qd_version_map_find(qd_version_map *m, qd_str id, qd_version_value *out)
{
    if (!stripes(m)) return false;
    uint32_t stripe = qd_version_map_lock(m, id);
    bool here = qd_version_map_get(m, stripe, id, out);
    qd_version_map_unlock(m, stripe);
    return here;
}

static int half_grow(half *h, qd_account *account)
{
    uint32_t size = h->slots ? (h->mask + 1) * 2 : TABLE_MIN;
    entry **slots = qd_calloc(account, size * sizeof *slots);
    if (!slots) return QD_E_NOMEM;
    for (uint32_t k = 0; h->slots && k <= h->mask; k++) {
        entry *e = h->slots[k];
        if (!e) continue;
        uint32_t i = (uint32_t)e->hash & (size - 1);
        while (slots[i]) i = (i + 1) & (size - 1);
        slots[i] = e;
    }
    qd_free(h->slots);
    h->slots = slots;
    h->mask = size - 1;
    qd_assert(h->n * 2 <= size && (size & h->mask) == 0);
    return 0;
}

int qd_version_map_reserve(qd_version_map *m, uint32_t at_stripe, qd_str id, qd_err *err)
{
    contents *in = contents_of(m, &stripes(m)[at_stripe]);
    if (!in) return qd_err_nomem(err, "version map");
    half *h = &in->cur;
    uint64_t hash = hash_of(m, id);
    qd_assert(id.n <= QD_TRANSLOG_ID_MAX);
    if (half_find(h, hash, id)) return 0;
    if ((h->n + 1) * 2 > (h->slots ? h->mask + 1 : 0) && half_grow(h, m->account)) {
        return qd_err_nomem(err, "version map");
    }
    entry *e = qd_arena_alloc(&h->arena, sizeof *e + id.n);
    if (!e) return qd_err_nomem(err, "version map entry");
    *e = (entry){.hash = hash, .id_len = (uint16_t)id.n};
    memcpy(e->id, id.p, id.n);
    uint32_t i = (uint32_t)hash & h->mask;
    while (h->slots[i]) i = (i + 1) & h->mask;
    h->slots[i] = e;
    h->n++;
    qd_assert(h->n <= h->mask); /* a free place ends every look-up */
    return 0;
}

void qd_version_map_put(qd_version_map *m, uint32_t at_stripe, qd_str id, const qd_version_value *v)
{
    contents *in = stripes(m)[at_stripe].in;
    entry *e = in ? half_find(&in->cur, hash_of(m, id), id) : NULL;
    qd_assert(e);
    qd_invariant(!e->set || e->v.seq_no < v->seq_no); /* the newest one stays */
    e->v = *v;
    e->set = true;
    /* a tombstone would come back to life once this half is forgotten */
    if (in->tombs.n) qd_free(qd_map_del(&in->tombs, id));
}

void qd_version_map_refresh_begin(qd_version_map *m)
{
    id_stripe *all = stripes(m);
    for (uint32_t i = 0; all && i < STRIPES; i++) {
        id_stripe *s = &all[i];
        qd_mutex_lock(&s->lock);
        contents *in = s->in;
        if (in) {
            qd_assert(in->old.n == 0);
            half was = in->old;
            in->old = in->cur;
            in->cur = was;
        }
        qd_mutex_unlock(&s->lock);
    }
}

/* Moves the tombstones of the old half aside, unless something newer is there. */
static void keep_tombstones(qd_version_map *m, contents *s)
{
    for (uint32_t k = 0; s->old.slots && k <= s->old.mask; k++) {
        entry *e = s->old.slots[k];
        if (!e || !e->set || !e->v.deleted) continue;
        qd_str id = {e->id, e->id_len};
        entry *newer = half_find(&s->cur, e->hash, id);
        if (newer && newer->set) continue;
        const qd_version_value *tomb = s->tombs.n ? qd_map_get(&s->tombs, id) : NULL;
        qd_assert(!tomb || tomb->seq_no < e->v.seq_no);
        qd_version_value *v = qd_alloc(m->account, sizeof *v), *old = NULL;
        if (!v) continue; /* costs an old delete's version after gc_deletes came early */
        *v = e->v;
        if (qd_map_put(&s->tombs, id, v, (void **)&old)) qd_free(v);
        qd_free(old);
    }
}

static void prune_tombstones(contents *s, int64_t now_ms, int64_t gc_ms, int64_t keep_from)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while (s->tombs.n && (e = qd_map_next(&s->tombs, &pos))) {
        const qd_version_value *v = e->value;
        bool old = now_ms - v->deleted_ms >= gc_ms && (int64_t)v->seq_no < keep_from;
        if (old) qd_free(qd_map_del(&s->tombs, e->key));
    }
}

void qd_version_map_clear(qd_version_map *m)
{
    id_stripe *all = stripes(m);
    for (uint32_t i = 0; all && i < STRIPES; i++) {
        id_stripe *s = &all[i];
        qd_mutex_lock(&s->lock);
        contents_free(s);
        qd_mutex_unlock(&s->lock);
    }
}

void qd_version_map_refresh_end(qd_version_map *m, int64_t now_ms, int64_t gc_ms, int64_t keep_from)
{
    id_stripe *all = stripes(m);
    for (uint32_t i = 0; all && i < STRIPES; i++) {
        id_stripe *s = &all[i];
        qd_mutex_lock(&s->lock);
        if (s->in) {
            keep_tombstones(m, s->in);
            prune_tombstones(s->in, now_ms, gc_ms, keep_from);
            half_clear(&s->in->old);
            if (!s->in->cur.n && !s->in->tombs.n) contents_free(s);
        }
        qd_mutex_unlock(&s->lock);
    }
}

void qd_version_map_stats(qd_version_map *m, uint64_t *entries, uint64_t *bytes)
{
    id_stripe *all = stripes(m);
    *entries = 0;
    *bytes = sizeof *m + (all ? STRIPES * sizeof *all : 0);
    for (uint32_t i = 0; all && i < STRIPES; i++) {
        id_stripe *s = &all[i];
        const contents *in;
        qd_mutex_lock(&s->lock);
        if ((in = s->in)) {
            *entries += in->cur.n + in->old.n + in->tombs.n;
            *bytes += sizeof *in + in->cur.arena.total + in->old.arena.total;
        }
        qd_mutex_unlock(&s->lock);
    }
}
