/*
 * regex_int.h: regular expressions of processors, by PCRE2 with limits of steps and memory. What
 * takes too long fails the processor; a document on which several do ends.
 */
#ifndef QD_INGEST_REGEX_INT_H
#define QD_INGEST_REGEX_INT_H

#include "base/arena.h"
#include "base/err.h"

#define QDI_REGEX_TOO_LONG_MAX 8u /* searches of one document that may take too long */

typedef struct qdi_regex qdi_regex;
/* What searches of one thread need. */
typedef struct qdi_regex_room {
    struct qdi_regex_state *state; /* NULL: nothing was searched yet */
    uint32_t too_long;
} qdi_regex_room;

enum {
    QDI_REGEX_CASELESS = 1,
    QDI_REGEX_LINES = 2, /* "." ends at any line terminator, as in Java, not at \n alone */
};
/* Compiles a pattern; its memory is the arena's account's and goes with the arena. QD_E_ARG with
 * the reason and its place. */
QD_MUST_CHECK
int qdi_regex_make(qd_arena *a, qd_str pattern, uint32_t flags, qdi_regex **out, qd_err *err);
/* Capturing groups. */
uint32_t qdi_regex_groups(const qdi_regex *x);
/* The first match at or behind byte from: 1 with *at, pairs of offsets (SIZE_MAX: took no part)
 * until the next search of the room; 0: none. QD_E_ARG: it takes too long. */
QD_MUST_CHECK
int qdi_regex_find(const qdi_regex *x, qdi_regex_room *room, qd_str text, size_t from,
                   const size_t **at, qd_err *err);
/* Frees what searches used. */
void qdi_regex_room_free(qdi_regex_room *room);

#endif
