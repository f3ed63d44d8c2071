/*
 * batch.h: an expression over number columns, run over blocks of documents: what a language offers
 * beside running a script document by document. Both give the same bits.
 */
#ifndef QD_SCRIPT_BATCH_H
#define QD_SCRIPT_BATCH_H

#include "script/script.h"

#define QD_SCRIPT_BATCH 256u /* documents of a block */

typedef enum qd_script_kind {
    QD_SCRIPT_KIND_NONE, /* no column of numbers */
    QD_SCRIPT_KIND_LONG,
    QD_SCRIPT_KIND_DOUBLE,
} qd_script_kind;

/* A register: the values of a block. */
typedef union qd_script_lane {
    int64_t i[QD_SCRIPT_BATCH];
    double f[QD_SCRIPT_BATCH];
} qd_script_lane;

typedef struct qd_script_block {
    uint32_t n;                           /* documents, at most QD_SCRIPT_BATCH */
    const qd_script_lane *const *columns; /* by number of the script's field */
    const double *score;                  /* NULL: the script does not look at it */
    qd_script_lane *regs;                 /* as many as the program needs */
} qd_script_block;

/* The program of a script over columns of these kinds, with these params; *out is NULL when it is
 * none that runs so. It lives in the arena. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_script_batch_make(const qd_script *s, const uint8_t *kinds, const qd_sv *params,
                         qd_arena *arena, struct qd_script_batch **out);
/* Registers that it needs. */
uint32_t qd_script_batch_regs(const struct qd_script_batch *b);
/* Does it read the column? */
bool qd_script_batch_reads(const struct qd_script_batch *b, uint32_t field);
/* Runs it; out has the bits of longs where the context emits longs. false: a document makes the
 * script throw, which running it alone tells. */
bool qd_script_batch_run(const struct qd_script_batch *b, const qd_script_block *in, double *out);

#endif
