/* cache.c: what look-ups of the processor enrich found: the least recently used go first. */
#include "action/enrich/enrich_int.h"
#include "base/map.h"
#include "config/value.h"
#include <string.h>

#define ENTRY_BYTES                                                                                \
    192u /* of an entry beside its texts: it, its place in the map, blocks' heads                  \
          */

typedef struct kept {
    struct kept *newer, *older;
    qd_str key, found; /* in the block */
} kept;

struct enrich_cache {
    qd_account account;
    uint64_t bytes_max, count_max; /* UINT64_MAX: no bound of that kind */
    qd_mutex lock;
    qd_map map;
    kept *newest, *oldest;
    enrich_cache_stats stats;
};

int qdi_enrich_cache_open(const qd_actions *a, enrich_cache **out, qd_err *err)
{
    qd_str text = qd_config_text(a->config, QD_SET_ENRICH_CACHE_SIZE);
    int64_t v = 0;
    double part = 0;
    uint64_t bytes = UINT64_MAX, count = UINT64_MAX;
    int rc = 0;
    if (qd_str_i64(text, &v))
        count = v < 0 ? 0 : (uint64_t)v;
    else if (qd_str_ends(text, QD_STR("%")) &&
             qd_value_double(qd_str_sub(text, 0, text.n - 1), &part) && part >= 0 && part <= 100)
        bytes = (uint64_t)((double)qd_config_memory(a->config) * part / 100);
    else if ((rc = qd_value_bytes(text, "enrich.cache_size", &v, err)) == 0)
        bytes = (uint64_t)v;
    if (rc || v < 0)
        return rc ? rc : qd_err_set(err, QD_E_CONFIG, "enrich.cache_size must not be negative");
    if (bytes == UINT64_MAX) /* look-ups may be large: a number alone bounds nothing */
        bytes = (uint64_t)qd_config_memory(a->config) / 20;
    enrich_cache *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "the cache of look-ups");
    c->bytes_max = bytes;
    c->count_max = count;
    qd_account_init(&c->account, "enrich_cache", NULL, 0);
    qd_mutex_init(&c->lock);
    qd_map_init(&c->map, &c->account);
    *out = c;
    return 0;
}

static uint64_t size_of(const kept *k)
{
    return k->key.n * 2 + k->found.n + ENTRY_BYTES;
}

static void unlink_entry(enrich_cache *c, kept *k)
{
    *(k->newer ? &k->newer->older : &c->newest) = k->older;
    *(k->older ? &k->older->newer : &c->oldest) = k->newer;
}

static void link_newest(enrich_cache *c, kept *k)
{
    k->newer = NULL;
    k->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = k;
    c->newest = k;
}

static void drop(enrich_cache *c, kept *k)
{
    unlink_entry(c, k);
    c->stats.bytes -= size_of(k);
    c->stats.count--;
    qd_free(k);
}

void qdi_enrich_cache_close(enrich_cache *c)
{
    if (!c) return;
    while (c->newest) drop(c, c->newest);
    qd_map_fini(&c->map);
    qd_mutex_fini(&c->lock);
    qd_free(c);
}

bool qdi_enrich_cache_get(enrich_cache *c, qd_str key, qd_arena *arena, qd_str *found)
{
    qd_mutex_lock(&c->lock);
    kept *k = qd_map_get(&c->map, key);
    if (k) {
        unlink_entry(c, k);
        link_newest(c, k);
        *found = qd_arena_str(arena, k->found);
    }
    bool yes = k && found->p;
    *(yes ? &c->stats.hits : &c->stats.misses) += 1;
    qd_mutex_unlock(&c->lock);
    return yes;
}

void qdi_enrich_cache_put(enrich_cache *c, qd_str key, qd_str found)
{
    void *old = NULL;
    kept *k = qd_alloc(&c->account, sizeof *k + key.n + found.n + 1);
    if (!k) return;
    char *text = (char *)(k + 1);
    memcpy(text, key.p, key.n);
    if (found.n) memcpy(text + key.n, found.p, found.n);
    *k = (kept){.key = {text, key.n}, .found = {text + key.n, found.n}};
    qd_mutex_lock(&c->lock);
    if (!c->count_max || size_of(k) > c->bytes_max / 8 || qd_map_put(&c->map, k->key, k, &old)) {
        qd_free(k);
    } else {
        if (old) drop(c, old);
        link_newest(c, k);
        c->stats.bytes += size_of(k);
        c->stats.count++;
    }
    while (c->oldest && (c->stats.bytes > c->bytes_max || c->stats.count > c->count_max)) {
        (void)qd_map_del(&c->map, c->oldest->key);
        drop(c, c->oldest);
        c->stats.evictions++;
    }
    qd_mutex_unlock(&c->lock);
}

void qdi_enrich_cache_stats(enrich_cache *c, enrich_cache_stats *out)
{
    qd_mutex_lock(&c->lock);
    *out = c->stats;
    qd_mutex_unlock(&c->lock);
}
