/*
 * term_table_int.h: the words of one field in an indexing slot: a hash table from bytes to ids in
 * order of first sight.
 *
 * A word of up to 15 bytes is its own 16-byte key (zero padded, length in the last byte); a longer
 * one is known by hash, length and place in a pool. Slots are 8 bytes (32 bits of hash, id + 1), at
 * most half full. A batch of words is hashed first and its slots and keys prefetched, which hides
 * the misses that make up most of a look-up (20 -> 7 ns a word over a million words).
 */
#ifndef QD_SEGMENT_TERM_TABLE_INT_H
#define QD_SEGMENT_TERM_TABLE_INT_H

#include "base/bits.h"
#include "base/mem.h"
#include "base/str.h"
#include "segment/buffer.h"

#define QDI_KEY_INLINE 15u /* bytes of a word in its key */
#define QDI_KEY_LONG 255u  /* in the last byte: the word stands in the pool */
#define QDI_TERM_NONE UINT32_MAX
#define QDI_BATCH 256u /* words looked up together */

typedef struct qdi_key {
    uint64_t a, b; /* long: hash; 255 << 56 | length << 32 | place */
} qdi_key;

typedef struct qdi_term_table {
    uint64_t *slots; /* hash >> 32 << 32 | id + 1; 0 = empty */
    uint32_t mask;   /* slots - 1; 0 without slots */
    uint32_t n, cap; /* words; room in keys and count */
    qdi_key *keys;
    uint32_t *count; /* occurrences in the stream */
    char *pool;
    uint32_t pool_used;
    uint32_t pool_cap;
} qdi_term_table;

/* Ids of a batch of at most QDI_BATCH words, in order; new ones are added. Counts are not touched.
 * Text has QD_TERM_SLACK bytes behind each word. QD_E_NOMEM, QD_E_LIMIT. */
QD_MUST_CHECK
int qdi_term_table_batch(qdi_term_table *t, qd_account *a, const char *text, const uint32_t *off,
                         const uint16_t *len, uint32_t n, uint32_t *ids);
/* Id of one word, which needs no slack. */
QD_MUST_CHECK
int qdi_term_table_add(qdi_term_table *t, qd_account *a, qd_str s, uint32_t *id);
/* The word of an id; points into the table. */
static inline qd_str qdi_term_table_at(const qdi_term_table *t, uint32_t id)
{
    const qdi_key *k = &t->keys[id];
    if (QD_LIKELY(k->b >> 56 != QDI_KEY_LONG)) return (qd_str){(const char *)k, k->b >> 56};
    return (qd_str){t->pool + (uint32_t)k->b, k->b >> 32 & 0xffff};
}
/* Empties it at a cost of what it holds; keeps the memory. */
void qdi_term_table_reset(qdi_term_table *t);
/* Frees. */
void qdi_term_table_fini(qdi_term_table *t);
/* Bytes held by words now in it. */
uint64_t qdi_term_table_bytes(const qdi_term_table *t);
/* Ids whose count is above 0 (used NULL) or used[id] is set, in byte order of their words, into
 * order (room for n); *nout of them. scratch: room for n entries of 16 bytes, twice. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_term_table_sort(const qdi_term_table *t, const uint8_t *used, uint32_t *order,
                        uint32_t *nout, void *scratch, qd_account *a);

#endif
