/*
 * points_writer_int.h: sorted points to blocks, and the cursor over an open field's points that
 * merge and check share.
 */
#ifndef QD_SEGMENT_POINTS_WRITER_INT_H
#define QD_SEGMENT_POINTS_WRITER_INT_H

#include "base/arena.h"
#include "segment/points/points_format_int.h"
#include "segment/points/points_int.h"

typedef struct qdi_points_writer {
    qd_file_writer *w;
    qd_account *account;
    qdi_points_head head;
    qdi_point_key keys[QD_POINTS_BLOCK];
    uint32_t docs[QD_POINTS_BLOCK];
    uint32_t n;
    uint64_t *seen; /* a bit a document, where one may have several points; else NULL */
    qd_buf blocks;
} qdi_points_writer;

/* Begins a field; docs: of the segment; multi: some document may have several points. Points then
 * come by value, then document. */
QD_MUST_CHECK
int qdi_points_writer_begin(qdi_points_writer *x, qd_file_writer *w, uint32_t field, uint8_t type,
                            uint32_t docs, bool multi, qd_account *account, qd_err *err);
/* Adds the next point. */
QD_MUST_CHECK
int qdi_points_writer_add(qdi_points_writer *x, qdi_point_key key, uint32_t doc, qd_err *err);
/* Ends the field and appends its resident bytes (none without points). */
QD_MUST_CHECK
int qdi_points_writer_end(qdi_points_writer *x, qd_buf *index, qd_err *err);
/* Frees; in any case after begin. */
void qdi_points_writer_fini(qdi_points_writer *x);

struct qd_points {
    qd_file *file;
    uint32_t field, segment_docs;
    uint32_t blocks;
    const uint8_t *heads; /* resident */
    uint64_t offset, bytes;
    qdi_point_key max;
    qd_points_stats stats;
};
struct qd_points_set {
    uint32_t magic;
    uint32_t n;
    qd_points fields[];
};
#define QDI_POINTS_MAGIC 0x51447073u

/* The i-th block's head. */
static inline void qdi_points_head_at(const qd_points *p, uint32_t i, qdi_points_block *b)
{
    memcpy(b, p->heads + (size_t)i * sizeof *b, sizeof *b);
}
/* Points in the i-th block. */
static inline uint32_t qdi_points_block_count(const qd_points *p, uint32_t i)
{
    uint64_t left = p->stats.points - (uint64_t)i * QD_POINTS_BLOCK;
    return left < QD_POINTS_BLOCK ? (uint32_t)left : QD_POINTS_BLOCK;
}
/* The key of point i of a block with n points and its body at p. */
qdi_point_key qdi_points_key_at(const qdi_points_block *b, uint32_t n, const uint8_t *p,
                                uint32_t i);
/* Documents [first, first + k) of a block with n points; QD_E_CORRUPT when outside the segment. */
QD_MUST_CHECK
int qdi_points_block_docs(const qd_points *f, const qdi_points_block *b, uint32_t n,
                          const uint8_t *p, uint32_t first, uint32_t k, uint32_t *out, qd_err *err);

/* All points of a field in order. */
typedef struct qdi_points_walk {
    const qd_points *p;
    qd_account *account;
    qd_arena arena;
    qd_reads *reads;
    const uint8_t *base; /* of block `from` */
    uint32_t from, end;  /* blocks fetched */
    uint32_t block;      /* next block */
    uint32_t at, n;      /* in the block in hand */
    qdi_point_key keys[QD_POINTS_BLOCK];
    uint32_t docs[QD_POINTS_BLOCK];
} qdi_points_walk;
/* Starts before the first point. Close in any case. */
void qdi_points_walk_open(qdi_points_walk *w, const qd_points *p, qd_account *account);
/* The next point; *end at the end. */
QD_MUST_CHECK
int qdi_points_walk_next(qdi_points_walk *w, qdi_point_key *key, uint32_t *doc, bool *end,
                         qd_err *err);
/* Frees. */
void qdi_points_walk_close(qdi_points_walk *w);

#endif
