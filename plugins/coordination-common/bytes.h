/*
 * bytes.h: memory, sums, and the encoding of entries, rows and snapshots. Pure: no I/O, no clock.
 *
 * Two kinds of allocation: cr_alloc may fail and is for what a caller asked for; cr_must is for
 * what is committed already, where there is nobody to tell: it ends the process, which then reads
 * its log again. Numbers are little-endian; a text is its length in 32 bits and its bytes.
 */
#ifndef COORDINATION_COMMON_BYTES_H
#define COORDINATION_COMMON_BYTES_H

#include <quidditch/plugin.h>
#include <stdatomic.h>

/* Where memory comes from; lives as long as the plugin. */
typedef struct cr_heap {
    const qd_svc_mem *mem;
    qd_self *self;
} cr_heap;

/* NULL when there is no memory. [any] */
void *cr_alloc(const cr_heap *h, size_t n);
/* Never NULL. [any] */
void *cr_must(const cr_heap *h, size_t n);
/* Grows a block, never NULL. [any] */
void *cr_must_grow(const cr_heap *h, void *p, size_t n);
/* Frees either; NULL is fine. [any] */
void cr_free(const cr_heap *h, void *p);

/* XXH3 of bytes, with a seed. [any] */
uint64_t cr_sum64(const void *p, size_t n, uint64_t seed);
/* The 128-bit one. [any] */
void cr_sum128(const void *p, size_t n, uint8_t out[16]);

/* Order of keys: by bytes, then by length. [any] */
int cr_compare(qd_str a, qd_str b);
/* 1 when s begins with prefix. [any] */
int cr_starts(qd_str s, qd_str prefix);

/* Bytes being written. */
typedef struct cr_bytes {
    const cr_heap *heap;
    uint8_t *p;
    size_t n, cap;
} cr_bytes;
/* Appends; memory by cr_must. */
void cr_put(cr_bytes *b, const void *p, size_t n);
void cr_put8(cr_bytes *b, uint8_t v);
void cr_put32(cr_bytes *b, uint32_t v);
void cr_put64(cr_bytes *b, uint64_t v);
void cr_put_str(cr_bytes *b, qd_str s);
/* Frees the bytes, keeps the heap. */
void cr_bytes_free(cr_bytes *b);

/* Bytes being read: once they run out, bad is set and zeros come. */
typedef struct cr_reader {
    const uint8_t *p;
    size_t n;
    int bad;
} cr_reader;
const uint8_t *cr_get(cr_reader *r, size_t n);
uint8_t cr_get8(cr_reader *r);
uint32_t cr_get32(cr_reader *r);
uint64_t cr_get64(cr_reader *r);
qd_str cr_get_str(cr_reader *r);

/* Writes and reads numbers in place. */
static inline void cr_store64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline void cr_store32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline uint64_t cr_load64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}
static inline uint32_t cr_load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* What a row is of; numbers are part of the formats. */
enum {
    CR_ROW_APPLIED = 0, /* of the database alone */
    CR_ROW_META = 1,
    CR_ROW_KEY = 2,
    CR_ROW_SESSION = 3,
    CR_ROW_ELECTION = 4,
    CR_ROW_ANSWER = 5,
    CR_ROW_PART = 6
};

/*
 * One row of the state, immutable, counted: a key with its value, or a record of the machine's own.
 * version 0: it is gone. Shared by the machine, its history, answers being read, the rows' writer
 * and snapshots.
 */
typedef struct cr_item {
    const cr_heap *heap;
    _Atomic uint32_t refs;
    uint32_t kind;
    uint64_t create_revision, mod_revision, version, session;
    size_t key_len, value_len;
    size_t stored_len; /* other than value_len when it is packed (zstd) */
    uint8_t bytes[];   /* key, value as stored */
} cr_item;
/* A new item with one reference, memory by cr_must. [any] */
cr_item *cr_item_make(const cr_heap *h, uint32_t kind, qd_str key, qd_str value);
/* The same; a large value is packed when that helps. [any] */
cr_item *cr_item_pack(const cr_heap *h, uint32_t kind, qd_str key, qd_str value);
/* One reference more; returns it. NULL is fine. [any] */
cr_item *cr_item_ref(cr_item *i);
/* One less. NULL is fine. [any] */
void cr_item_drop(cr_item *i);
static inline qd_str cr_item_key(const cr_item *i)
{
    return (qd_str){(const char *)i->bytes, i->key_len};
}
static inline qd_str cr_item_stored(const cr_item *i)
{
    return (qd_str){(const char *)i->bytes + i->key_len, i->stored_len};
}
static inline int cr_item_packed(const cr_item *i)
{
    return i->stored_len != i->value_len;
}
/* Of one that is not packed. */
static inline qd_str cr_item_value(const cr_item *i)
{
    return (qd_str){(const char *)i->bytes + i->key_len, i->value_len};
}
/* Bytes that its value needs beside it: 0, or its length when it is packed. */
static inline size_t cr_item_room(const cr_item *i)
{
    return cr_item_packed(i) ? i->value_len : 0;
}
/* The value: where it is, or unpacked into room (cr_item_room bytes). [any] */
qd_str cr_item_open(const cr_item *i, void *room);
/* What is stored of an item beside its key, for rows and snapshots: numbers, the value's length if
 * it is packed (else 0), then the value as stored. */
enum { CR_ITEM_HEAD = 40, CR_ITEM_VALUE_MAX = 64 << 20, CR_ITEM_PACK_MIN = 1024 };
void cr_item_head(const cr_item *i, uint8_t out[CR_ITEM_HEAD]);
/* The checksum of a row: kind, key, numbers, value as stored. [any] */
uint64_t cr_item_sum(const cr_item *i);
/* An item from its stored parts; NULL when head or packed value are malformed. */
cr_item *cr_item_read(const cr_heap *h, uint32_t kind, qd_str key, qd_str stored);
/* The same from a value as stored; unpacked: its length when it is packed, else 0. */
cr_item *cr_item_from(const cr_heap *h, uint32_t kind, qd_str key, qd_str stored,
                      uint64_t unpacked);

/* A growing list of items, each with a reference. */
typedef struct cr_items {
    cr_item **at;
    size_t n, cap;
} cr_items;
/* Appends; takes the reference over. */
void cr_items_push(const cr_heap *h, cr_items *v, cr_item *i);
/* Drops all references and the list. */
void cr_items_free(const cr_heap *h, cr_items *v);

#endif
