/*
 * keys.h: the sorted map of keys: a skip list whose heights come from hashes of the keys, so that
 * the same keys make the same list. Pure. One thread at a time.
 */
#ifndef COORDINATION_COMMON_KEYS_H
#define COORDINATION_COMMON_KEYS_H

#include "bytes.h"

enum { CR_KEYS_HEIGHT = 20 };
typedef struct cr_key {
    cr_item *item;
    struct cr_key *next[]; /* of each level */
} cr_key;
typedef struct cr_keys {
    const cr_heap *heap;
    uint64_t seed;
    size_t n;
    cr_key *first[CR_KEYS_HEIGHT];
} cr_keys;

/* An empty map. */
void cr_keys_init(cr_keys *k, const cr_heap *h, uint64_t seed);
/* Drops all. */
void cr_keys_free(cr_keys *k);
/* The item of a key, NULL when absent; borrow. O(log n) */
cr_item *cr_keys_find(const cr_keys *k, qd_str key);
/* Puts an item under its key, taking its reference; the one that was there, or NULL, is the
 * caller's. */
cr_item *cr_keys_put(cr_keys *k, cr_item *item);
/* Takes a key out; its item is the caller's, NULL when absent. */
cr_item *cr_keys_take(cr_keys *k, qd_str key);
/* The first entry whose key is not below `from`; NULL: none. */
const cr_key *cr_keys_seek(const cr_keys *k, qd_str from);

#endif
