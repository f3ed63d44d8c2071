/*
 * stored.h: the documents' `_source`, byte for byte, in zstd blocks of some 16 KiB, with
 * best_compression of 64.
 *
 * The index (first document and place of each block) is resident; getting a document reads and
 * decompresses one block. A segment may be without stored documents (source disabled); a document
 * may be empty. Contexts of the decompressor are the caller's scratch, so nothing is shared.
 */
#ifndef QD_SEGMENT_STORED_H
#define QD_SEGMENT_STORED_H

#include "segment/schema.h"
#include "store/reads.h"

/* index.codec */
typedef enum qd_stored_codec {
    QD_STORED_DEFAULT = 0, /* zstd level 1 */
    QD_STORED_BEST = 1,    /* zstd level 5 with a trained dictionary */
    QD_STORED_NONE = 2     /* nothing is stored */
} qd_stored_codec;

typedef struct qd_stored qd_stored;

typedef struct qd_stored_stats {
    uint32_t docs;
    uint32_t blocks;
    uint32_t dicts;
    uint64_t bytes;     /* on disk */
    uint64_t raw_bytes; /* decompressed, lengths of documents included */
    uint32_t block_max; /* of raw_bytes, in one block: what a document may cost to read */
} qd_stored_stats;

/* Decompressor, its output and the block it holds; zero it before first use. One thread at a time;
 * may serve any number of segments, and keeps the last block for neighbours in it. */
typedef struct qd_stored_scratch {
    void *context;  /* ZSTD_DCtx */
    uint8_t *raw;   /* the last block, decompressed */
    uint32_t *ends; /* ends of its documents in raw */
    size_t raw_cap, ends_cap;
    qd_account *account;    /* pays; NULL: general */
    const qd_stored *owner; /* whose block it is (compared with generation) */
    uint64_t generation;
    uint32_t block, first, docs; /* the block; its documents */
    uint32_t text;               /* where their bytes begin in raw */
} qd_stored_scratch;
/* Frees what the scratch holds; it may be used again. */
void qd_stored_scratch_fini(qd_stored_scratch *s);

/* Counts. [any] */
const qd_stored_stats *qd_stored_stats_get(const qd_stored *s);
/* Adds the range of doc's block to r; *slot is for qd_stored_get. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_stored_plan(const qd_stored *s, uint32_t doc, qd_reads *r, uint32_t *slot, qd_err *err);
/* The document's bytes after the fetch, valid until the scratch's next use; empty when nothing is
 * stored for it. [worker] QD_E_NOMEM, QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_stored_get(const qd_stored *s, uint32_t doc, const qd_reads *r, uint32_t slot,
                  qd_stored_scratch *scratch, qd_str *out, qd_err *err);
/* Calls each(arg, doc, bytes) for documents [from, to) in order, reading sequentially (blocks where
 * the tier has to); a result other than 0 ends the walk and is returned. [worker] */
QD_MUST_CHECK
int qd_stored_scan(const qd_stored *s, uint32_t from, uint32_t to, qd_stored_scratch *scratch,
                   int (*each)(void *arg, uint32_t doc, qd_str bytes), void *arg, qd_err *err);

#endif
