/*
 * stored_format_int.h: the bytes of stored documents (docs/format.md, "Stored documents").
 *
 * STORED: zstd frames one behind the other. A frame holds the lengths of its documents as varints,
 * then their bytes; behind it stands a skippable frame with its checksum, which zstd itself passes
 * over, so that readers without checksums read these blocks, too. STORED_INDEX (resident): head,
 * dictionaries' lengths, block entries, the end of the last block, dictionaries' bytes.
 */
#ifndef QD_SEGMENT_STORED_FORMAT_INT_H
#define QD_SEGMENT_STORED_FORMAT_INT_H

#include "base/bits.h"
#include "base/mem.h"
#include "segment/stored.h"
#define ZSTD_STATIC_LINKING_ONLY /* contexts with an allocator of ours */
#include <zstd.h>

#define QDI_STORED_BLOCK_DOCS 65536u                         /* documents of a block at most */
#define QDI_STORED_DOC_MAX (1u << 30)                        /* bytes of one document */
#define QDI_STORED_RAW_MAX (QDI_STORED_DOC_MAX + (1u << 20)) /* a block's, lengths included */
#define QDI_STORED_DICTS_MAX 8u
#define QDI_STORED_DICT_BYTES 32768u

typedef struct qdi_stored_head {
    uint32_t docs, blocks;
    uint32_t dicts;
    uint32_t codec;
    uint64_t raw_bytes; /* of all blocks decompressed */
} qdi_stored_head;
_Static_assert(sizeof(qdi_stored_head) == 24, "on disk");

typedef struct qdi_stored_entry {
    uint64_t place; /* offset in STORED, low 56 bits; dictionary + 1 (0: none), high 8 bits */
    uint32_t first; /* document */
    uint32_t raw;   /* bytes decompressed, lengths included */
} qdi_stored_entry;
_Static_assert(sizeof(qdi_stored_entry) == 16, "on disk");

/* Behind a block's frame: u32 magic of a skippable frame, u32 8, u64 XXH3-64 of the frame. */
#define QDI_STORED_SUM_MAGIC 0x184d2a5cu
#define QDI_STORED_SUM 16u

/* Writes the checksum that stands behind a frame; p has QDI_STORED_SUM bytes. */
static inline void qdi_stored_sum_put(uint8_t *p, uint64_t sum)
{
    qd_put_u32le(p, QDI_STORED_SUM_MAGIC);
    qd_put_u32le(p + 4, 8);
    qd_put_u64le(p + 8, sum);
}
/* Are the QDI_STORED_SUM bytes at p a checksum? *sum gets it. */
static inline bool qdi_stored_sum_get(const uint8_t *p, uint64_t *sum)
{
    *sum = qd_get_u64le(p + 8);
    return qd_get_u32le(p) == QDI_STORED_SUM_MAGIC && qd_get_u32le(p + 4) == 8;
}

/* A block is closed when it holds as much. A search decompresses a block for each of its hits;
 * best_compression is asked for by who wants the size. */
static inline uint32_t qdi_stored_block_bytes(uint32_t codec)
{
    return codec == QD_STORED_BEST ? 65536 : 16384;
}

static inline uint64_t qdi_stored_offset(uint64_t place)
{
    return place & (UINT64_MAX >> 8);
}
static inline uint32_t qdi_stored_dict(uint64_t place)
{
    return (uint32_t)(place >> 56);
}

/* zstd's memory from an account. */
ZSTD_customMem qdi_zstd_mem(qd_account *account);

#endif
