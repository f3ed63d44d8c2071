/*
 * seq_no.h: sequence numbers of a shard: assigned, processed, durable.
 *
 * Operations finish out of order; the local checkpoint is the highest number below which all are
 * processed. A number once assigned is always processed, by its operation or by a no-op.
 *
 * What comes from outside (a peer, a file) may say any number: whoever reads one there refuses what
 * is out of range, so that nothing behind it counts beyond what an int64_t holds.
 */
#ifndef QD_ENGINE_SEQ_NO_H
#define QD_ENGINE_SEQ_NO_H

#include "base/err.h"
#include "base/mem.h"
#include "runtime/sync.h"

/* Every sequence number is below it: 285 years of a million operations a second, and a double holds
 * each of them. One that stands behind the last ("from here on") may be it. */
#define QD_SEQ_NO_LIMIT ((int64_t)1 << 53)

/* Is it a sequence number, or -1 for none? [any] */
static inline bool qd_seq_no_sound(int64_t n)
{
    return n >= -1 && n < QD_SEQ_NO_LIMIT;
}

/* Is it a number that operations may begin at? [any] */
static inline bool qd_seq_no_sound_from(int64_t n)
{
    return n >= 0 && n <= QD_SEQ_NO_LIMIT;
}

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
/* The next number. Nothing is assigned with QD_E_NOMEM, nor with QD_E_LIMIT: numbers are used up,
 * or too many are in flight above the checkpoint. [any] */
QD_MUST_CHECK
int qd_seq_no_assign(qd_seq_no *s, int64_t *out, qd_err *err);
/* Takes a number assigned elsewhere (replay, a primary). [any] QD_E_NOMEM; QD_E_LIMIT: it is too
 * far above the checkpoint, or no sequence number. */
QD_MUST_CHECK
int qd_seq_no_advance(qd_seq_no *s, int64_t seq_no, qd_err *err);
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
