/*
 * hash.h: XXH3 for checksums and tables, murmur3 for routing, CRC32C for storage tiers.
 *
 * Table hashes that attackers can feed take a seed from the env; checksums take seed 0.
 */
#ifndef QD_BASE_HASH_H
#define QD_BASE_HASH_H

#include "base/assert.h"
#include <quidditch/types.h>

/* XXH3-64 of n bytes (the checksum of every format of ours). [any] */
uint64_t qd_xxh3(const void *p, size_t n);
/* XXH3-64 with a seed, for hash tables. [any] */
uint64_t qd_xxh3_seed(const void *p, size_t n, uint64_t seed);
/* XXH3-128 into 16 bytes little-endian (content addresses are SHA-256; this names no content). */
void qd_xxh3_128(const void *p, size_t n, uint8_t out[16]);
/* murmur3_x86_32 over n bytes (Appleby's reference). [any] */
uint32_t qd_murmur3_32(const void *p, size_t n, uint32_t seed);
/* Elasticsearch's routing hash: murmur3_x86_32, seed 0, over s as UTF-16LE; s is valid UTF-8. */
int32_t qd_routing_hash(qd_str s);
/* Java's String.hashCode of s (valid UTF-8), spread as its HashMap does: some members of answers
 * stand in the order of such a table. [any] */
uint32_t qd_java_hash(qd_str s);

/* CRC32C (Castagnoli) of n bytes behind those of which `crc` is; 0 to begin. [any] */
uint32_t qd_crc32c(uint32_t crc, const void *p, size_t n);

/* Streaming XXH3-64, for checksums over data that passes by in pieces. */
typedef struct qd_xxh3_stream {
    _Alignas(64) uint8_t state[640];
} qd_xxh3_stream;
/* Starts a stream. */
void qd_xxh3_begin(qd_xxh3_stream *s);
/* Adds n bytes. */
void qd_xxh3_update(qd_xxh3_stream *s, const void *p, size_t n);
/* The checksum of all bytes so far. */
uint64_t qd_xxh3_digest(const qd_xxh3_stream *s);

#endif
