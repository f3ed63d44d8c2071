/* term_table.c: see term_table_int.h. */
#include "base/hash.h"
#include "segment/buffer/term_table_int.h"

#define FIRST_SLOTS 64u
#define TERMS_MAX 0x7ffffff0u

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}
static inline uint64_t hash_of(qdi_key k)
{
    return mix(k.a ^ 0xa0761d6478bd642fu, k.b ^ 0xe7037ed1a0b428dbu);
}
/* Long words are found by hash and length alone, whatever their place. */
static inline uint64_t hash_stored(qdi_key k)
{
    if (k.b >> 56 == QDI_KEY_LONG) k.b = k.b >> 32 << 32;
    return hash_of(k);
}

/* All ones over the first n bytes of a key. */
#define LOW(n) ((n) >= 8 ? ~0ull : (1ull << (8 * ((n)&7))) - 1)
static const struct {
    uint64_t a, b;
} masks[16] = {{0, 0},          {LOW(1), 0},     {LOW(2), 0},     {LOW(3), 0},
               {LOW(4), 0},     {LOW(5), 0},     {LOW(6), 0},     {LOW(7), 0},
               {~0ull, 0},      {~0ull, LOW(1)}, {~0ull, LOW(2)}, {~0ull, LOW(3)},
               {~0ull, LOW(4)}, {~0ull, LOW(5)}, {~0ull, LOW(6)}, {~0ull, LOW(7)}};

/* Reads 16 bytes at p. */
static inline qdi_key key_short(const char *p, uint32_t len)
{
    qdi_key k = {qd_get_u64le(p) & masks[len].a, qd_get_u64le(p + 8) & masks[len].b};
    k.b |= (uint64_t)len << 56;
    return k;
}

static int grow_slots(qdi_term_table *t, qd_account *a)
{
    uint32_t slots = t->mask ? (t->mask + 1) * 2 : FIRST_SLOTS, mask = slots - 1;
    uint64_t *p = qd_alloc(a, (size_t)slots * sizeof *p);
    if (!p) return QD_E_NOMEM;
    /* written first: a page that is read first gets the page of zeros, then one of its own, of
     * which every core is told */
    memset(p, 0, (size_t)slots * sizeof *p);
    for (uint32_t id = 0; id < t->n; id++) {
        uint64_t h = hash_stored(t->keys[id]);
        uint32_t i = (uint32_t)h & mask;
        while (p[i]) i = (i + 1) & mask;
        p[i] = h >> 32 << 32 | (id + 1);
    }
    qd_free(t->slots);
    t->slots = p;
    t->mask = mask;
    return 0;
}

static int grow_terms(qdi_term_table *t, qd_account *a)
{
    if (t->cap >= TERMS_MAX / 2) return QD_E_LIMIT;
    uint32_t cap = t->cap ? t->cap * 2 : FIRST_SLOTS / 2;
    qdi_key *keys = qd_realloc(a, t->keys, (size_t)cap * sizeof *keys);
    if (!keys) return QD_E_NOMEM;
    t->keys = keys;
    uint32_t *count = qd_realloc(a, t->count, (size_t)cap * sizeof *count);
    if (!count) return QD_E_NOMEM;
    t->count = count;
    t->cap = cap;
    return 0;
}

/* Room for `more` new words, so that finding them cannot fail half way. */
static int reserve(qdi_term_table *t, qd_account *a, uint32_t more)
{
    while (t->n + more > t->cap) {
        int rc = grow_terms(t, a);
        if (rc) return rc;
    }
    while (t->mask == 0 || ((uint64_t)t->n + more) * 2 > t->mask) {
        int rc = grow_slots(t, a);
        if (rc) return rc;
    }
    return 0;
}

static uint32_t put_new(qdi_term_table *t, qdi_key k, uint32_t slot, uint64_t h)
{
    uint32_t id = t->n++;
    t->keys[id] = k;
    t->count[id] = 0;
    t->slots[slot] = h >> 32 << 32 | (id + 1);
    return id;
}

static inline uint32_t find_short(qdi_term_table *t, qdi_key k, uint64_t h)
{
    for (uint32_t i = (uint32_t)h & t->mask;; i = (i + 1) & t->mask) {
        uint64_t s = t->slots[i];
        if (QD_LIKELY(s && s >> 32 == h >> 32)) {
            const qdi_key *x = &t->keys[(uint32_t)s - 1];
            if (QD_LIKELY(x->a == k.a && x->b == k.b)) return (uint32_t)s - 1;
        } else if (!s) {
            return put_new(t, k, i, h);
        }
    }
}

static int pool_add(qdi_term_table *t, qd_account *a, qd_str s, uint32_t *place)
{
    uint64_t want = (uint64_t)t->pool_used + s.n;
    if (want > UINT32_MAX) return QD_E_LIMIT;
    if (want > t->pool_cap) {
        uint64_t cap = t->pool_cap + (uint64_t)t->pool_cap / 2 + 4096;
        if (cap < want) cap = want;
        if (cap > UINT32_MAX) cap = UINT32_MAX;
        char *p = qd_realloc(a, t->pool, cap);
        if (!p) return QD_E_NOMEM;
        t->pool = p;
        t->pool_cap = (uint32_t)cap;
    }
    memcpy(t->pool + t->pool_used, s.p, s.n);
    *place = t->pool_used;
    t->pool_used += (uint32_t)s.n;
    return 0;
}

static int find_long(qdi_term_table *t, qd_account *a, qd_str s, uint32_t *id)
{
    qdi_key k = {qd_xxh3(s.p, s.n), (uint64_t)QDI_KEY_LONG << 56 | (uint64_t)s.n << 32};
    uint64_t h = hash_of(k);
    uint32_t i = (uint32_t)h & t->mask;
    for (; t->slots[i]; i = (i + 1) & t->mask) {
        uint64_t slot = t->slots[i];
        const qdi_key *x = &t->keys[(uint32_t)slot - 1];
        if (slot >> 32 == h >> 32 && x->a == k.a && x->b >> 32 == k.b >> 32 &&
            memcmp(t->pool + (uint32_t)x->b, s.p, s.n) == 0) {
            *id = (uint32_t)slot - 1;
            return 0;
        }
    }
    uint32_t place;
    int rc = pool_add(t, a, s, &place);
    if (rc) return rc;
    k.b |= place;
    *id = put_new(t, k, i, h);
    return 0;
}

int qdi_term_table_batch(qdi_term_table *t, qd_account *a, const char *text, const uint32_t *off,
                         const uint16_t *len, uint32_t n, uint32_t *ids)
{
    qdi_key k[QDI_BATCH];
    uint64_t h[QDI_BATCH];
    qd_dassert(n <= QDI_BATCH);
    int rc = reserve(t, a, n);
    if (rc) return rc;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t m = len[j] < QDI_KEY_INLINE ? len[j] : QDI_KEY_INLINE;
        k[j] = key_short(text + off[j], m);
        h[j] = hash_of(k[j]);
        __builtin_prefetch(&t->slots[h[j] & t->mask]);
    }
    for (uint32_t j = 0; j < n; j++) {
        uint64_t s = t->slots[h[j] & t->mask];
        __builtin_prefetch(&t->keys[s ? (uint32_t)s - 1 : t->n]);
    }
    for (uint32_t j = 0; j < n; j++) {
        if (QD_LIKELY(len[j] <= QDI_KEY_INLINE)) {
            ids[j] = find_short(t, k[j], h[j]);
            continue;
        }
        rc = find_long(t, a, (qd_str){text + off[j], len[j]}, &ids[j]);
        if (rc) return rc;
    }
    return 0;
}

int qdi_term_table_add(qdi_term_table *t, qd_account *a, qd_str s, uint32_t *id)
{
    int rc = reserve(t, a, 1);
    if (rc) return rc;
    if (s.n > QDI_KEY_INLINE) return find_long(t, a, s, id);
    char bytes[16] = {0};
    if (s.n) memcpy(bytes, s.p, s.n);
    qdi_key k = key_short(bytes, (uint32_t)s.n);
    *id = find_short(t, k, hash_of(k));
    return 0;
}

void qdi_term_table_reset(qdi_term_table *t)
{
    if (t->n >= t->mask / 8) {
        if (t->mask) memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
    } else {
        /* few words in a large table: a chain ends at the first empty slot, so clearing from each
         * word's first slot up to one reaches all of them */
        for (uint32_t id = 0; id < t->n; id++)
            for (uint32_t i = (uint32_t)hash_stored(t->keys[id]) & t->mask; t->slots[i];
                 i = (i + 1) & t->mask)
                t->slots[i] = 0;
    }
    t->n = 0;
    t->pool_used = 0;
}

void qdi_term_table_fini(qdi_term_table *t)
{
    qd_free(t->slots);
    qd_free(t->keys);
    qd_free(t->count);
    qd_free(t->pool);
    *t = (qdi_term_table){0};
}

uint64_t qdi_term_table_bytes(const qdi_term_table *t)
{
    return (uint64_t)t->n * (sizeof(qdi_key) + sizeof(uint32_t)) + t->pool_used +
           ((uint64_t)t->mask + 1) * sizeof *t->slots;
}
