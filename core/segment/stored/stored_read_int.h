/*
 * stored_read_int.h: an open segment's stored documents.
 */
#ifndef QD_SEGMENT_STORED_READ_INT_H
#define QD_SEGMENT_STORED_READ_INT_H

#include "segment/stored/stored_format_int.h"
#include "segment/stored/stored_int.h"

/* --- stored_context.c --- */

/* A decompressor; NULL without memory. [any] */
ZSTD_DCtx *qdi_stored_context_take(void);
/* Gives it back; NULL is fine. [any] */
void qdi_stored_context_give(ZSTD_DCtx *x);

#define QDI_STORED_MAGIC 0x51447373u

struct qd_stored {
    uint32_t magic;
    qd_file *file;
    qdi_stored_head head;
    qd_stored_stats stats;
    const uint8_t *entries; /* resident: blocks * 16 bytes, then u64 end */
    const uint8_t *dict_at[QDI_STORED_DICTS_MAX];
    uint32_t dict_bytes[QDI_STORED_DICTS_MAX];
    ZSTD_DDict *dicts[QDI_STORED_DICTS_MAX];
    uint64_t generation; /* tells sets apart that stood at one address */
};

/* One block's place and extent. */
typedef struct qdi_stored_block {
    uint64_t offset, bytes; /* in STORED */
    uint32_t first, docs, raw, dict;
} qdi_stored_block;
/* The i-th block. */
void qdi_stored_block_at(const qd_stored *s, uint32_t i, qdi_stored_block *b);
/* The block that holds doc. */
uint32_t qdi_stored_block_of(const qd_stored *s, uint32_t doc);
/* QD_E_CORRUPT: the block's bytes are not those that its checksum was made of. */
int qdi_stored_bad_sum(const qd_stored *s, const qdi_stored_block *b, qd_err *err);
/* Compares a block with its checksum, decompresses it into the scratch and finds its documents. */
QD_MUST_CHECK
int qdi_stored_load(const qd_stored *s, uint32_t block, const uint8_t *p, uint64_t bytes,
                    qd_stored_scratch *scratch, qd_err *err);
/* The i-th document of the block in the scratch. */
qd_str qdi_stored_doc(const qd_stored_scratch *scratch, uint32_t i);

#endif
