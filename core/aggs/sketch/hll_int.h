/*
 * hll_int.h: estimates how many different hashes were added: HyperLogLog++ (Heule, Nunkesser, Hall
 * 2013). Few hashes are kept as a set of 32-bit encodings (index of 25 bits, or more ranks), which
 * counts nearly exactly; more become 2^p registers. Hashes, precision, the point of change and the
 * correction of bias are Elasticsearch's, so that counts have the same digits. Merging is
 * commutative and associative.
 */
#ifndef QD_AGGS_HLL_INT_H
#define QD_AGGS_HLL_INT_H

#include "base/arena.h"
#include "base/mem.h"

typedef struct qdi_hll {
    uint8_t p;          /* 4 to 18 */
    uint32_t n, cap;    /* encodings kept; slots (a power of two, 0 is free) */
    uint32_t *set;      /* encoding + 1; NULL once registers are used */
    uint8_t *registers; /* 2^p */
    bool borrowed;      /* memory of an arena */
} qdi_hll;

/* Precision for a threshold, as Elasticsearch computes it. */
uint8_t qdi_aggs_hll_precision(int64_t threshold);
/* Adds a 64-bit hash; 0 or QD_E_NOMEM. */
int qdi_aggs_hll_add(qdi_hll *h, uint64_t hash, qd_account *account);
/* Merges from into to (same precision). */
int qdi_aggs_hll_merge(qdi_hll *to, const qdi_hll *from, qd_account *account);
/* A copy in the arena, to be read only; NULL when out of memory. */
qdi_hll *qdi_aggs_hll_copy(const qdi_hll *h, qd_arena *arena);
/* Fills h (zeroed) from registers (2^p bytes), or else from n encodings, both kept in arena or
 * copied there; false when one of them is impossible or memory is lacking. */
bool qdi_aggs_hll_load(qdi_hll *h, uint8_t p, qd_str registers, uint32_t *encodings, uint32_t n,
                       qd_arena *arena);
uint64_t qdi_aggs_hll_count(const qdi_hll *h);
void qdi_aggs_hll_fini(qdi_hll *h);

/* murmur3_x64_128, first half, seed 0: the hash of byte strings. */
uint64_t qdi_aggs_hash_bytes(const void *p, size_t n);
/* BitMixer.mix64: the hash of numbers. */
static inline uint64_t qdi_hash_i64(uint64_t z)
{
    z = (z ^ (z >> 32)) * 0x4cd6944c5cc20b6dull;
    z = (z ^ (z >> 29)) * 0xfc12c5b19d3259e9ull;
    return z ^ (z >> 32);
}

#endif
