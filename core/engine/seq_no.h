/*
 * seq_no.h: sequence numbers of a shard: assigned, processed, durable.
 *
 * Operations finish out of order; the local checkpoint is the highest number below which all are
 * processed. A number once assigned is always processed, by its operation or by a no-op.
 */
#ifndef QD_ENGINE_SEQ_NO_H
#define QD_ENGINE_SEQ_NO_H

#include "base/mem.h"
#include "runtime/sync.h"

typedef struct qd_seq_no {
    qd_mutex lock;
    int64_t next;       /* to be assigned */
    int64_t processed;  /* local checkpoint */
    int64_t persisted;  /* all up to here are in the durable translog */
    uint64_t *ahead;    /* ring of bits: processed numbers above the checkpoint */
    uint64_t ring_bits; /* power of two */
    qd_account *account;
} qd_seq_no;

/* Starts behind max_seq_no (-1: nothing yet), all of it processed and durable. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_seq_no_init(qd_seq_no *s, int64_t max_seq_no, qd_account *account);
/* Frees the ring. */
void qd_seq_no_fini(qd_seq_no *s);
/* The next number. QD_E_NOMEM (nothing assigned): the ring could not grow over the gap. [any] */
QD_MUST_CHECK
int qd_seq_no_assign(qd_seq_no *s, int64_t *out);
/* Takes a number assigned elsewhere (replay, a primary). [any] QD_E_NOMEM */
QD_MUST_CHECK
int qd_seq_no_advance(qd_seq_no *s, int64_t seq_no);
/* Begins again behind `checkpoint`: what was above is forgotten. Nobody else calls meanwhile but
 * qd_seq_no_get. */
void qd_seq_no_reset(qd_seq_no *s, int64_t checkpoint);
/* All up to `checkpoint` are processed and durable, whether taken before or not. [any] */
void qd_seq_no_cover(qd_seq_no *s, int64_t checkpoint);
/* Is the number processed? [any] */
bool qd_seq_no_has(qd_seq_no *s, int64_t seq_no);
/* Marks a number processed. [any] */
void qd_seq_no_processed(qd_seq_no *s, int64_t seq_no);
/* The lowest number above `after` and above the checkpoint that was taken but not processed; -1:
 * none. [any] */
int64_t qd_seq_no_gap(qd_seq_no *s, int64_t after);
/* All up to `checkpoint` are durable. [any] */
void qd_seq_no_persisted(qd_seq_no *s, int64_t checkpoint);
/* Highest assigned, local checkpoint, durable checkpoint. Any pointer may be NULL. [any] */
void qd_seq_no_get(qd_seq_no *s, int64_t *max, int64_t *local, int64_t *durable);

#endif
