/*
 * stored_writer_int.h: documents in order to compressed blocks, for flush (into memory, so that
 * compression happens as documents come) and merge (into the file).
 *
 * With QD_STORED_BEST the first blocks wait until there is enough text to train a dictionary.
 */
#ifndef QD_SEGMENT_STORED_WRITER_INT_H
#define QD_SEGMENT_STORED_WRITER_INT_H

#include "base/str.h"
#include "base/vec.h"
#include "segment/stored/stored_format_int.h"
#include "store/file.h"

typedef struct qdi_stored_dict_bytes {
    uint8_t *p; /* owned */
    uint32_t n;
} qdi_stored_dict_bytes;

/* A closed block that waits for the dictionary. */
typedef struct qdi_stored_waiting {
    uint8_t *raw;                         /* owned */
    uint32_t bytes, first, docs, lengths; /* lengths: bytes of the varints in front */
} qdi_stored_waiting;

typedef struct qdi_stored_writer {
    qd_account *account;
    qd_stored_codec codec;
    ZSTD_CCtx *context;
    ZSTD_CDict *dict;     /* in use; NULL: none */
    uint32_t dict_number; /* + 1, as in places */
    bool trained;         /* training was tried */
    /* the block that is being filled */
    QD_VEC(uint32_t) lens;
    QD_VEC(char) text;
    uint32_t first, next; /* its first document; the next one */
    QD_VEC(qdi_stored_waiting) waiting;
    size_t waiting_bytes;
    /* what is done */
    QD_VEC(qdi_stored_entry) entries;
    qdi_stored_dict_bytes dicts[QDI_STORED_DICTS_MAX];
    uint32_t ndicts;
    uint64_t written;
    /* where it goes: a file's open section, or pages in memory */
    qd_file_writer *file;
    QD_VEC(char *) pages; /* QDI_STORED_PAGE bytes each; kept over resets */
    uint8_t *room;        /* for one compressed block */
    size_t room_cap;
} qdi_stored_writer;

#define QDI_STORED_PAGE ((size_t)1 << 20)

/* false: blocks without checksums, as earlier versions wrote them; only in tests. */
extern bool qdi_stored_sums;

/* Prepares; file NULL: blocks are kept in memory. */
QD_MUST_CHECK
int qdi_stored_writer_init(qdi_stored_writer *x, qd_stored_codec codec, qd_file_writer *file,
                           qd_account *account, qd_err *err);
/* Frees. */
void qdi_stored_writer_fini(qdi_stored_writer *x);
/* Forgets all documents, keeps memory. */
void qdi_stored_writer_reset(qdi_stored_writer *x);
/* Adds the next document (doc >= next; those between are empty). */
QD_MUST_CHECK
int qdi_stored_writer_add(qdi_stored_writer *x, uint32_t doc, qd_str source, qd_err *err);
/* Closes the block that is being filled. */
QD_MUST_CHECK
int qdi_stored_writer_close_block(qdi_stored_writer *x, qd_err *err);
/* Adds a compressed block as it is: its bytes follow through qdi_stored_writer_put. */
QD_MUST_CHECK
int qdi_stored_writer_copy(qdi_stored_writer *x, uint32_t docs, uint32_t raw, uint32_t dict,
                           qd_err *err);
/* Makes doc the next one; those left out are empty. */
QD_MUST_CHECK
int qdi_stored_writer_skip_to(qdi_stored_writer *x, uint32_t doc, qd_err *err);
/* Appends compressed bytes to the output. */
QD_MUST_CHECK
int qdi_stored_writer_put(qdi_stored_writer *x, const void *p, size_t n, qd_err *err);
/* Number + 1 of a dictionary with these bytes, added when new; 0 when there is no room for it. */
QD_MUST_CHECK
int qdi_stored_writer_dict(qdi_stored_writer *x, const uint8_t *p, uint32_t n, uint32_t *number,
                           qd_err *err);
/* Ends with docs documents; all blocks are out afterwards. May be called again. */
QD_MUST_CHECK
int qdi_stored_writer_end(qdi_stored_writer *x, uint32_t docs, qd_err *err);
/* Appends the resident index. After end. */
QD_MUST_CHECK
int qdi_stored_writer_index(const qdi_stored_writer *x, uint32_t docs, qd_buf *resident,
                            qd_err *err);

#endif
