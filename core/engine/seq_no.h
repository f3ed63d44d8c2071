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
    int64_t covered;    /* all up to here are durable elsewhere: in segments */
    uint64_t resets;    /* a mark of before one of them says nothing any more */
    uint64_t *ahead;    /* ring of bits: processed numbers above the checkpoint */
    uint64_t ring_bits; /* power of two */
    qd_account *account;
} qd_seq_no;

/* The local checkpoint of one moment. */
typedef struct qd_seq_no_mark {
    int64_t checkpoint;
    uint64_t resets;
} qd_seq_no_mark;

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
/* The local checkpoint as it is now. [any] */
qd_seq_no_mark qd_seq_no_mark_get(qd_seq_no *s);
/* All up to the mark are durable; nothing where the numbers were reset since it was taken. Called
 * by the translog alone, which knows. [any] */
void qd_seq_no_persisted(qd_seq_no *s, const qd_seq_no_mark *m);
/* All that is processed is durable. The same. [any] */
void qd_seq_no_all_persisted(qd_seq_no *s);
/* Highest assigned, local checkpoint, durable checkpoint. Any pointer may be NULL. [any] */
void qd_seq_no_get(qd_seq_no *s, int64_t *max, int64_t *local, int64_t *durable);
/* The same of one moment with *covered: all up to there are durable whatever the log has. [any] */
void qd_seq_no_get_all(qd_seq_no *s, int64_t *max, int64_t *local, int64_t *durable,
                       int64_t *covered);

#endif
