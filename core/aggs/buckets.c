/*
 * buckets.c: dense numbers for (owner, key) pairs and for byte strings: open addressing, at most
 * two thirds full.
 */
#include "aggs/aggs_int.h"
#include "base/hash.h"

int qdi_aggs_no_memory(qd_account *account, size_t bytes, const char *what, qd_err *err)
{
    for (const qd_account *a = account; a; a = a->parent) {
        int64_t limit = atomic_load_explicit(&a->limit, memory_order_relaxed);
        int64_t want = qd_account_used(a) + (int64_t)bytes;
        /* an arena asks for more than was wanted: near a limit that has refused, it was that */
        bool near =
            atomic_load_explicit(&a->trips, memory_order_relaxed) > 0 && want + (1 << 20) > limit;
        if (limit <= 0 || (want <= limit && !near)) continue;
        int rc = qd_err_set(err, QD_E_BREAKER,
                            "[%s] Data too large, data for [%s] would be [%lld/%lldb], which is "
                            "larger than the limit of [%lld/%lldb]",
                            a->name, what, (long long)want, (long long)want, (long long)limit,
                            (long long)limit);
        qd_err_detail_i64(err, "bytes_wanted", want);
        qd_err_detail_i64(err, "bytes_limit", limit);
        qd_err_detail_str(err, "durability", QD_STR("TRANSIENT"));
        return rc;
    }
    return qd_err_nomem(err, what);
}

int qdi_aggs_grow(qd_account *account, void *array, uint32_t *cap, uint32_t n, size_t size,
                  qd_err *err)
{
    if (n <= *cap) return 0;
    uint64_t c = *cap ? *cap : 8;
    while (c < n) c += c / 2 + 8;
    void *old, *p;
    memcpy(&old, array, sizeof old);
    p = qd_realloc(account, old, c * size);
    if (!p) return qdi_aggs_no_memory(account, c * size, "aggregation buckets", err);
    memset((char *)p + *cap * size, 0, (c - *cap) * size);
    memcpy(array, &p, sizeof p);
    *cap = (uint32_t)c;
    return 0;
}

static uint32_t hash_of(uint32_t owner, int64_t key)
{
    uint64_t h = ((uint64_t)key ^ ((uint64_t)owner << 32 | owner)) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)((h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ull >> 32);
}

static int buckets_grow(qdi_buckets *b)
{
    uint64_t cap = b->cap ? (uint64_t)b->cap * 2 : 64;
    uint32_t size = (uint32_t)cap * 2;
    if (cap > UINT32_MAX / 4) return QD_E_NOMEM;
    uint32_t *slots = qd_calloc(b->account, size * sizeof *slots);
    if (!slots) return QD_E_NOMEM;
    uint32_t *owner = qd_realloc(b->account, b->owner, cap * sizeof *owner);
    if (owner) b->owner = owner;
    int64_t *key = owner ? qd_realloc(b->account, b->key, cap * sizeof *key) : NULL;
    if (key) b->key = key;
    uint64_t *docs = key ? qd_realloc(b->account, b->docs, cap * sizeof *docs) : NULL;
    if (!docs) {
        qd_free(slots);
        return QD_E_NOMEM;
    }
    b->docs = docs;
    b->cap = (uint32_t)cap;
    b->mask = size - 1;
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t h = hash_of(b->owner[i], b->key[i]) & b->mask;
        while (slots[h]) h = (h + 1) & b->mask;
        slots[h] = i + 1;
    }
    qd_free(b->slots);
    b->slots = slots;
    return 0;
}

int qdi_aggs_buckets_put(qdi_buckets *b, uint32_t owner, int64_t key, uint32_t *out)
{
    if (b->n == b->cap) {
        int rc = buckets_grow(b);
        if (rc) return rc;
    }
    uint32_t h = hash_of(owner, key) & b->mask;
    for (; b->slots[h]; h = (h + 1) & b->mask) {
        uint32_t i = b->slots[h] - 1;
        if (b->key[i] == key && b->owner[i] == owner) {
            *out = i;
            return 0;
        }
    }
    b->slots[h] = b->n + 1;
    b->owner[b->n] = owner;
    b->key[b->n] = key;
    b->docs[b->n] = 0;
    *out = b->n++;
    return 0;
}

void qdi_aggs_buckets_ahead(const qdi_buckets *b, uint32_t owner, int64_t key)
{
    if (b->n) __builtin_prefetch(&b->slots[hash_of(owner, key) & b->mask]);
}

bool qdi_aggs_buckets_find(const qdi_buckets *b, uint32_t owner, int64_t key, uint32_t *out)
{
    if (!b->n) return false;
    uint32_t h = hash_of(owner, key) & b->mask;
    for (; b->slots[h]; h = (h + 1) & b->mask) {
        uint32_t i = b->slots[h] - 1;
        if (b->key[i] == key && b->owner[i] == owner) {
            *out = i;
            return true;
        }
    }
    return false;
}

int qdi_aggs_buckets_group(qdi_buckets *b)
{
    if (b->group) return 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < b->n; i++)
        if (b->owner[i] >= most) most = b->owner[i] + 1;
    uint32_t *group = qd_calloc(b->account, (most + 2ul) * sizeof *group);
    uint32_t *list = qd_alloc(b->account, (b->n + 1ul) * sizeof *list);
    if (!group || !list) {
        qd_free(group);
        qd_free(list);
        return QD_E_NOMEM;
    }
    for (uint32_t i = 0; i < b->n; i++) group[b->owner[i] + 2]++;
    for (uint32_t i = 1; i < most + 2; i++) group[i] += group[i - 1];
    for (uint32_t i = 0; i < b->n; i++) list[group[b->owner[i] + 1]++] = i;
    b->group = group;
    b->list = list;
    b->groups = most;
    return 0;
}

void qdi_aggs_buckets_fini(qdi_buckets *b)
{
    qd_free(b->slots);
    qd_free(b->owner);
    qd_free(b->key);
    qd_free(b->docs);
    qd_free(b->group);
    qd_free(b->list);
}

/* --- strings ---------------------------------------------------------------------------------- */

void qdi_aggs_strings_init(qdi_strings *s, qd_account *account)
{
    memset(s, 0, sizeof *s);
    s->account = account;
    qd_arena_init(&s->arena, account, 0);
}

static int strings_grow(qdi_strings *s)
{
    uint64_t cap = s->cap ? (uint64_t)s->cap * 2 : 64;
    uint32_t size = (uint32_t)cap * 2;
    if (cap > UINT32_MAX / 4) return QD_E_NOMEM;
    uint32_t *slots = qd_calloc(s->account, size * sizeof *slots);
    if (!slots) return QD_E_NOMEM;
    qd_str *at = qd_realloc(s->account, s->at, cap * sizeof *at);
    if (at) s->at = at;
    uint64_t *hash = at ? qd_realloc(s->account, s->hash, cap * sizeof *hash) : NULL;
    if (!hash) {
        qd_free(slots);
        return QD_E_NOMEM;
    }
    s->hash = hash;
    s->cap = (uint32_t)cap;
    s->mask = size - 1;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t h = (uint32_t)s->hash[i] & s->mask;
        while (slots[h]) h = (h + 1) & s->mask;
        slots[h] = i + 1;
    }
    qd_free(s->slots);
    s->slots = slots;
    return 0;
}

bool qdi_aggs_strings_find(const qdi_strings *s, qd_str v, uint32_t *out)
{
    if (!s->n) return false;
    uint64_t hash = qd_xxh3(v.p, v.n);
    for (uint32_t h = (uint32_t)hash & s->mask; s->slots[h]; h = (h + 1) & s->mask) {
        uint32_t i = s->slots[h] - 1;
        if (s->hash[i] == hash && qd_str_eq(s->at[i], v)) {
            *out = i;
            return true;
        }
    }
    return false;
}

int qdi_aggs_strings_put(qdi_strings *s, qd_str v, uint32_t *out)
{
    if (qdi_aggs_strings_find(s, v, out)) return 0;
    if (s->n == s->cap) {
        int rc = strings_grow(s);
        if (rc) return rc;
    }
    char *p = qd_arena_bytes(&s->arena, v.n + 1);
    if (!p) return QD_E_NOMEM;
    memcpy(p, v.p ? v.p : "", v.n);
    uint64_t hash = qd_xxh3(v.p, v.n);
    uint32_t h = (uint32_t)hash & s->mask;
    while (s->slots[h]) h = (h + 1) & s->mask;
    s->slots[h] = s->n + 1;
    s->at[s->n] = (qd_str){p, v.n};
    s->hash[s->n] = hash;
    *out = s->n++;
    return 0;
}

void qdi_aggs_strings_fini(qdi_strings *s)
{
    qd_arena_fini(&s->arena);
    qd_free(s->slots);
    qd_free(s->at);
    qd_free(s->hash);
}

/* --- sorting ---------------------------------------------------------------------------------- */

int qdi_aggs_sort(qd_account *account, void *at, size_t n, size_t size, qdi_order_fn *order,
                  const void *arg)
{
    size_t sorted = 1;
    while (sorted < n &&
           order(arg, (char *)at + (sorted - 1) * size, (char *)at + sorted * size) <= 0)
        sorted++;
    if (sorted >= n) return 0; /* as buckets of a time often are */
    char *tmp = qd_alloc(account, n * size), *a = at, *b = tmp;
    if (!tmp) return QD_E_NOMEM;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n,
                   hi = lo + 2 * width < n ? lo + 2 * width : n;
            size_t i = lo, j = mid, k = lo;
            while (i < mid && j < hi) {
                bool left = order(arg, a + i * size, a + j * size) <= 0;
                memcpy(b + k++ * size, a + (left ? i++ : j++) * size, size);
            }
            memcpy(b + k * size, a + i * size, (mid - i) * size);
            k += mid - i;
            memcpy(b + k * size, a + j * size, (hi - j) * size);
        }
        char *t = a;
        a = b;
        b = t;
    }
    if (a != (char *)at) memcpy(at, a, n * size);
    qd_free(tmp);
    return 0;
}
