/*
 * request_cache.c: see request_cache.h. One short lock over a table and a list by use; texts are
 * counted, so that they are copied out without the lock. Statistics are the shards'
 * (qd_shard_counts), changed without the lock as well: an entry's bytes are shared out among its
 * shards.
 */
#include "action/indices/request_cache.h"
#include "action/indices/request_cache_int.h"
#include "base/hash.h"
#include "base/str.h"
#include "runtime/sync.h"

/* The table has a slot for each entry that the limit allows, of about so many bytes. */
#define ENTRY_BYTES 1024
#define SLOTS_LEAST 1024u
#define SLOTS_MOST (1u << 20)
#define KEY_MAX ((size_t)256 << 10)

typedef struct entry {
    struct entry *chain;         /* of its slot */
    struct entry *newer, *older; /* by use */
    _Atomic uint32_t refs;
    uint64_t hash, born_ns;
    uint32_t nshards;
    size_t bytes;
    request_cache_shard *shards; /* behind the struct, as are key and text */
    request_cache_key key;
    qd_str text;
} entry;

struct qd_request_cache {
    qd_actions *a;
    qd_account account;
    qd_mutex lock;
    int64_t limit, used; /* bytes of entries */
    uint64_t expire_ns;
    entry *newest, *oldest;
    uint32_t mask;
    entry **slots; /* mask + 1, a power of two */
};

int qd_request_cache_open(qd_actions *a, int64_t bytes, uint64_t expire_ns, qd_request_cache **out,
                          qd_err *err)
{
    qd_request_cache *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "request cache");
    qd_account_init(&c->account, "request_cache", NULL, 0);
    uint32_t slots = SLOTS_LEAST;
    while (slots < SLOTS_MOST && (int64_t)slots * ENTRY_BYTES < bytes) slots *= 2;
    c->mask = slots - 1;
    c->slots = qd_calloc(&c->account, slots * sizeof(entry *));
    if (!c->slots) {
        qd_free(c);
        return qd_err_nomem(err, "request cache");
    }
    c->a = a;
    c->limit = bytes;
    c->expire_ns = expire_ns;
    qd_mutex_init(&c->lock);
    *out = c;
    return 0;
}

static void unref(entry *e)
{
    if (atomic_fetch_sub(&e->refs, 1) == 1) qd_free(e);
}

/* Under the lock: takes an entry out; the caller gets its reference. */
static void take_out(qd_request_cache *c, entry *e)
{
    entry **at = &c->slots[e->hash & c->mask];
    while (*at != e) at = &(*at)->chain;
    *at = e->chain;
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
    c->used -= (int64_t)e->bytes;
}

static void make_newest(qd_request_cache *c, entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

/* Under the lock: the opposite of take_out. */
static void put_in(qd_request_cache *c, entry *e)
{
    e->chain = c->slots[e->hash & c->mask];
    c->slots[e->hash & c->mask] = e;
    make_newest(c, e);
    c->used += (int64_t)e->bytes;
}

/* Changes statistics of an entry's shards that are still there. */
static void account_for(qd_request_cache *c, const entry *e, int64_t bytes, uint64_t evictions)
{
    int64_t each = bytes / (int64_t)(e->nshards ? e->nshards : 1);
    for (uint32_t i = 0; i < e->nshards; i++) {
        qd_shard *s = qd_shards_get(c->a->shards, e->shards[i].uuid, e->shards[i].number);
        if (!s) continue;
        qd_shard_counts *k = qd_shard_counts_of(s);
        atomic_fetch_add(&k->request_cache_bytes, each);
        atomic_fetch_add(&k->request_cache_evictions, evictions);
        qd_shard_unref(s);
    }
}

/* Entries taken out, a chain: their statistics and references are given back. */
static void let_go(qd_request_cache *c, entry *dropped, bool evicted)
{
    for (entry *e = dropped, *next; e; e = next) {
        next = e->chain;
        account_for(c, e, -(int64_t)e->bytes, evicted);
        unref(e);
    }
}

void qd_request_cache_close(qd_request_cache *c)
{
    if (!c) return;
    for (entry *e = c->newest, *older; e; e = older) {
        older = e->older;
        unref(e);
    }
    qd_mutex_fini(&c->lock);
    qd_free(c->slots);
    qd_free(c);
}

void qd_request_cache_clear(qd_request_cache *c, qd_str index_uuid)
{
    entry *dropped = NULL;
    if (!c) return;
    qd_mutex_lock(&c->lock);
    for (entry *e = c->newest, *older; e; e = older) {
        older = e->older;
        bool part = false;
        for (uint32_t i = 0; i < e->nshards; i++) {
            part |= qd_str_is(index_uuid, e->shards[i].uuid);
        }
        if (!part) continue;
        take_out(c, e);
        e->chain = dropped;
        dropped = e;
    }
    qd_mutex_unlock(&c->lock);
    let_go(c, dropped, false);
}

/* The one answer to a question. */
static entry *find(qd_request_cache *c, qd_str question, uint64_t hash)
{
    entry *e = c->slots[hash & c->mask];
    while (e && (e->hash != hash || !qd_str_eq(e->key.question, question))) e = e->chain;
    return e;
}

int qdi_request_cache_get(qd_request_cache *c, request_cache_key key, qd_buf *out)
{
    uint64_t hash = qd_xxh3(key.question.p, key.question.n), now = qd_env_mono_ns(c->a->env);
    entry *stale = NULL;
    qd_mutex_lock(&c->lock);
    entry *e = find(c, key.question, hash);
    if (e && !qd_str_eq(e->key.as_of, key.as_of)) e = NULL;
    if (e) {
        take_out(c, e);
        if (c->expire_ns && now - e->born_ns >= c->expire_ns) {
            stale = e;
            stale->chain = NULL;
            e = NULL;
        } else {
            put_in(c, e);
            atomic_fetch_add(&e->refs, 1);
        }
    }
    qd_mutex_unlock(&c->lock);
    let_go(c, stale, true);
    if (!e) return 0;
    int rc = qd_buf_str(out, e->text);
    unref(e);
    return rc ? rc : 1;
}

static qd_str copied(char **to, qd_str s)
{
    char *p = *to;
    if (s.n) memcpy(p, s.p, s.n);
    *to += s.n;
    return (qd_str){p, s.n};
}

static entry *make(qd_request_cache *c, request_cache_key key, qd_str text,
                   const request_cache_shard *shards, uint32_t nshards)
{
    size_t list = nshards * sizeof *shards;
    size_t bytes = sizeof(entry) + list + key.question.n + key.as_of.n + text.n;
    if ((int64_t)bytes > c->limit || key.question.n + key.as_of.n > KEY_MAX) return NULL;
    entry *e = qd_alloc(&c->account, bytes);
    if (!e) return NULL;
    *e = (entry){.hash = qd_xxh3(key.question.p, key.question.n),
                 .born_ns = qd_env_mono_ns(c->a->env),
                 .nshards = nshards,
                 .bytes = bytes,
                 .shards = (request_cache_shard *)(void *)(e + 1)};
    char *to = (char *)(e + 1) + list;
    memcpy(e->shards, shards, list);
    e->key.question = copied(&to, key.question);
    e->key.as_of = copied(&to, key.as_of);
    e->text = copied(&to, text);
    return e;
}

void qdi_request_cache_put(qd_request_cache *c, request_cache_key key, qd_str text,
                           const request_cache_shard *shards, uint32_t nshards)
{
    entry *dropped = NULL, *before = NULL, *e = make(c, key, text, shards, nshards);
    if (!e) return;
    int64_t bytes = (int64_t)e->bytes;
    atomic_store(&e->refs, 2); /* the cache's, and ours until the statistics are right */
    qd_mutex_lock(&c->lock);
    entry *same = find(c, key.question, e->hash);
    bool there = same && qd_str_eq(same->key.as_of, key.as_of); /* another search was first */
    if (same && !there) {
        take_out(c, same);
        before = same;
        before->chain = NULL;
    }
    while (!there && c->oldest && c->used + bytes > c->limit) {
        entry *old = c->oldest;
        take_out(c, old);
        old->chain = dropped;
        dropped = old;
    }
    if (!there) put_in(c, e);
    qd_mutex_unlock(&c->lock);
    if (there) {
        unref(e);
    } else {
        account_for(c, e, bytes, 0);
    }
    unref(e);
    let_go(c, before, false);
    let_go(c, dropped, true);
}
