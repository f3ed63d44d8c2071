/*
 * respell_int.h: spellings that stand for each other, as a table: what is read, what is written for
 * it, and where in the word.
 */
#ifndef QD_ANALYSIS_RESPELL_INT_H
#define QD_ANALYSIS_RESPELL_INT_H

#include "analysis/language/units_int.h"

/* One row. What no row takes is written as it is; of the rows that fit the first counts, so longer
 * spellings stand before shorter ones. A row writes at most two units for each that it takes. */
typedef struct qd_spelling {
    const char16_t *from;   /* alternatives, parted by blanks; at an alternative's end $ is the end
                             * of the word, ? a unit that follows and is not taken */
    const char16_t *to;     /* ?: the unit that ? met */
    const char16_t *behind; /* NULL, or what has been written ends with it (? is any unit); behind
                             * ^ a set: what has been written ends with none of its units */
    uint8_t cut;            /* units of what has been written go */
    uint8_t least, most;    /* so many units have been written; most 0: any number */
} qd_spelling;

/* Respells b[0 .. n) by a table of `count` rows; the room is that of a qd_units_fn. */
int qd_respell(const qd_spelling *rows, size_t count, char16_t *b, int n);

#endif
