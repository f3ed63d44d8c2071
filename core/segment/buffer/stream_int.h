/*
 * stream_int.h: an append-only sequence of u32 in chunks that double up to 256 KiB, so that a field
 * with ten words costs a kilobyte and one with ten million no copies. Chunks come from a pool of
 * the slot and go back to it, so that pages once touched are used again (the first touch of a page
 * is dearer than filling it).
 */
#ifndef QD_SEGMENT_STREAM_INT_H
#define QD_SEGMENT_STREAM_INT_H

#include "base/vec.h"

#define QDI_CHUNK_CLASSES 9u /* 256 << class elements */

typedef struct qdi_chunk_pool {
    qd_account *account;
    QD_VEC(uint32_t *) spare[QDI_CHUNK_CLASSES];
} qdi_chunk_pool;

/* Frees the spare chunks. */
void qdi_chunk_pool_fini(qdi_chunk_pool *p);

typedef struct qdi_stream {
    QD_VEC(uint32_t *) chunks;
    uint64_t n;    /* elements */
    uint32_t *at;  /* where the next one goes */
    uint32_t room; /* elements left in the last chunk */
} qdi_stream;

/* Elements of chunk i. */
static inline uint32_t qdi_stream_chunk(size_t i)
{
    return 256u << (i < QDI_CHUNK_CLASSES - 1 ? i : QDI_CHUNK_CLASSES - 1);
}
/* Makes s->room at least 1. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_stream_more(qdi_stream *s, qdi_chunk_pool *p);
/* Appends n elements. QD_E_NOMEM: some may have been added. */
QD_MUST_CHECK
int qdi_stream_add(qdi_stream *s, qdi_chunk_pool *p, const uint32_t *v, uint32_t n);
/* Cuts it to n elements; chunks behind go to the pool. */
void qdi_stream_cut(qdi_stream *s, qdi_chunk_pool *p, uint64_t n);
/* Gives all chunks to the pool and frees the list. */
void qdi_stream_fini(qdi_stream *s, qdi_chunk_pool *p);

/* Reading in order. */
typedef struct qdi_stream_cursor {
    const qdi_stream *s;
    size_t chunk;
    const uint32_t *p; /* next elements */
    uint32_t have;     /* of them in one piece */
} qdi_stream_cursor;

/* Starts at element n. */
void qdi_stream_seek(qdi_stream_cursor *c, const qdi_stream *s, uint64_t n);
/* Goes to the next chunk when have is 0 (there is one). */
static inline void qdi_stream_turn(qdi_stream_cursor *c)
{
    c->chunk++;
    c->p = c->s->chunks.at[c->chunk];
    c->have = qdi_stream_chunk(c->chunk);
}

#endif
