/* bytes.c: see bytes.h. */
#define XXH_INLINE_ALL
#include "bytes.h"
#include <stdlib.h>
#include <xxhash.h>
#include <zstd.h>

#define PACK_LEVEL 3

void *cr_alloc(const cr_heap *h, size_t n)
{
    return h->mem->alloc(h->self, n ? n : 1);
}

void *cr_must(const cr_heap *h, size_t n)
{
    void *p = cr_alloc(h, n);
    if (!p) abort();
    return p;
}

void *cr_must_grow(const cr_heap *h, void *p, size_t n)
{
    p = h->mem->realloc(h->self, p, n ? n : 1);
    if (!p) abort();
    return p;
}

void cr_free(const cr_heap *h, void *p)
{
    h->mem->free(p);
}

uint64_t cr_sum64(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

void cr_sum128(const void *p, size_t n, uint8_t out[16])
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(p, n));
    memcpy(out, c.digest, 16);
}

int cr_compare(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

int cr_starts(qd_str s, qd_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* --- writing --- */

static uint8_t *room(cr_bytes *b, size_t n)
{
    if (b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap * 2 : 256;
        while (cap - b->n < n) cap *= 2;
        b->p = cr_must_grow(b->heap, b->p, cap);
        b->cap = cap;
    }
    b->n += n;
    return b->p + b->n - n;
}

void cr_put(cr_bytes *b, const void *p, size_t n)
{
    if (n) memcpy(room(b, n), p, n);
}

void cr_put8(cr_bytes *b, uint8_t v)
{
    *room(b, 1) = v;
}

void cr_put32(cr_bytes *b, uint32_t v)
{
    cr_store32(room(b, 4), v);
}

void cr_put64(cr_bytes *b, uint64_t v)
{
    cr_store64(room(b, 8), v);
}

void cr_put_str(cr_bytes *b, qd_str s)
{
    cr_put32(b, (uint32_t)s.n);
    cr_put(b, s.p, s.n);
}

void cr_bytes_free(cr_bytes *b)
{
    cr_free(b->heap, b->p);
    *b = (cr_bytes){.heap = b->heap};
}

/* --- reading --- */

const uint8_t *cr_get(cr_reader *r, size_t n)
{
    if (r->bad || n > r->n) {
        r->bad = 1;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    r->n -= n;
    return p;
}

uint8_t cr_get8(cr_reader *r)
{
    const uint8_t *p = cr_get(r, 1);
    return p ? *p : 0;
}

uint32_t cr_get32(cr_reader *r)
{
    const uint8_t *p = cr_get(r, 4);
    return p ? cr_load32(p) : 0;
}

uint64_t cr_get64(cr_reader *r)
{
    const uint8_t *p = cr_get(r, 8);
    return p ? cr_load64(p) : 0;
}

qd_str cr_get_str(cr_reader *r)
{
    uint32_t n = cr_get32(r);
    const uint8_t *p = cr_get(r, n);
    return p ? (qd_str){(const char *)p, n} : (qd_str){"", 0};
}

/* --- items --- */

static cr_item *item(const cr_heap *h, uint32_t kind, qd_str key, qd_str stored, size_t value_len)
{
    cr_item *i = cr_must(h, sizeof *i + key.n + stored.n);
    *i = (cr_item){.heap = h,
                   .refs = 1,
                   .kind = kind,
                   .key_len = key.n,
                   .value_len = value_len,
                   .stored_len = stored.n};
    if (key.n) memcpy(i->bytes, key.p, key.n);
    if (stored.n) memcpy(i->bytes + key.n, stored.p, stored.n);
    return i;
}

cr_item *cr_item_make(const cr_heap *h, uint32_t kind, qd_str key, qd_str value)
{
    return item(h, kind, key, value, value.n);
}

cr_item *cr_item_pack(const cr_heap *h, uint32_t kind, qd_str key, qd_str value)
{
    if (value.n < CR_ITEM_PACK_MIN) return cr_item_make(h, kind, key, value);
    size_t room = ZSTD_compressBound(value.n);
    void *p = cr_must(h, room);
    size_t n = ZSTD_compress(p, room, value.p, value.n, PACK_LEVEL);
    int packed = !ZSTD_isError(n) && n < value.n - value.n / 8;
    cr_item *i =
        packed ? item(h, kind, key, (qd_str){p, n}, value.n) : cr_item_make(h, kind, key, value);
    cr_free(h, p);
    return i;
}

cr_item *cr_item_from(const cr_heap *h, uint32_t kind, qd_str key, qd_str stored, uint64_t unpacked)
{
    if (unpacked == 0) return cr_item_make(h, kind, key, stored);
    if (unpacked > CR_ITEM_VALUE_MAX || unpacked == stored.n) return NULL;
    void *p = cr_alloc(h, unpacked);
    if (!p) return NULL;
    size_t n = ZSTD_decompress(p, unpacked, stored.p, stored.n);
    cr_free(h, p);
    return ZSTD_isError(n) || n != unpacked ? NULL : item(h, kind, key, stored, unpacked);
}

qd_str cr_item_open(const cr_item *i, void *room)
{
    qd_str stored = cr_item_stored(i);
    if (!cr_item_packed(i)) return stored;
    size_t n = ZSTD_decompress(room, i->value_len, stored.p, stored.n);
    if (ZSTD_isError(n) || n != i->value_len) abort(); /* it was opened when it was made or read */
    return (qd_str){room, n};
}

cr_item *cr_item_ref(cr_item *i)
{
    if (i) atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

void cr_item_drop(cr_item *i)
{
    if (i && atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) == 1) cr_free(i->heap, i);
}

void cr_item_head(const cr_item *i, uint8_t out[CR_ITEM_HEAD])
{
    cr_store64(out, i->create_revision);
    cr_store64(out + 8, i->mod_revision);
    cr_store64(out + 16, i->version);
    cr_store64(out + 24, i->session);
    cr_store64(out + 32, cr_item_room(i));
}

uint64_t cr_item_sum(const cr_item *i)
{
    uint8_t head[CR_ITEM_HEAD];
    cr_item_head(i, head);
    uint64_t sum = cr_sum64(head, sizeof head, (uint64_t)i->kind << 56 ^ i->key_len);
    return cr_sum64(i->bytes, i->key_len + i->stored_len, sum);
}

cr_item *cr_item_read(const cr_heap *h, uint32_t kind, qd_str key, qd_str stored)
{
    if (stored.n < CR_ITEM_HEAD) return NULL;
    const uint8_t *head = (const uint8_t *)stored.p;
    cr_item *i =
        cr_item_from(h, kind, key, (qd_str){stored.p + CR_ITEM_HEAD, stored.n - CR_ITEM_HEAD},
                     cr_load64(head + 32));
    if (!i) return NULL;
    i->create_revision = cr_load64(head);
    i->mod_revision = cr_load64(head + 8);
    i->version = cr_load64(head + 16);
    i->session = cr_load64(head + 24);
    return i;
}

void cr_items_push(const cr_heap *h, cr_items *v, cr_item *i)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 16;
        v->at = cr_must_grow(h, v->at, v->cap * sizeof *v->at);
    }
    v->at[v->n++] = i;
}

void cr_items_free(const cr_heap *h, cr_items *v)
{
    for (size_t i = 0; i < v->n; i++) cr_item_drop(v->at[i]);
    cr_free(h, v->at);
    *v = (cr_items){0};
}
