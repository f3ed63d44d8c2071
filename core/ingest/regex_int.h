/*
 * regex_int.h: regular expressions of processors, by PCRE2 with limits of steps and memory. What
 * takes too long fails the processor; a document on which several do ends.
 */
#ifndef QD_INGEST_REGEX_INT_H
#define QD_INGEST_REGEX_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define QDI_REGEX_TOO_LONG_MAX 8u /* searches of one document that may take too long */

typedef struct qdi_regex qdi_regex;
/* What searches of one thread need. */
typedef struct qdi_regex_room {
    struct qdi_regex_state *state; /* NULL: nothing was searched yet */
    uint32_t too_long;
} qdi_regex_room;

enum {
    QDI_REGEX_JAVA = 1,  /* Java's syntax, and "." ends at \r too; else Oniguruma's */
    QDI_REGEX_NAMED = 2, /* groups without a name do not capture */
};
/* Compiles a pattern; its memory is the arena's account's and goes with the arena. QD_E_ARG with
 * the reason and its place. */
QD_MUST_CHECK
int qdi_regex_make(qd_arena *a, qd_str pattern, uint32_t flags, qdi_regex **out, qd_err *err);
/* Number of a named group; 0: there is none. */
uint32_t qdi_regex_group(const qdi_regex *x, const char *name);
/* What differs between the syntaxes, as PCRE2 has it, appended to out. QD_E_ARG. */
QD_MUST_CHECK
int qdi_regex_translate(qd_str pattern, uint32_t flags, qd_buf *out, qd_err *err);
/* Capturing groups. */
uint32_t qdi_regex_groups(const qdi_regex *x);
/* The first match at or behind byte from: 1 with *at, pairs of offsets (SIZE_MAX: took no part)
 * until the next search of the room; 0: none. QD_E_ARG: it takes too long. */
QD_MUST_CHECK
int qdi_regex_find(const qdi_regex *x, qdi_regex_room *room, qd_str text, size_t from,
                   const size_t **at, qd_err *err);
/* What the last search that found something has found. */
const size_t *qdi_regex_last(const qdi_regex_room *room);
/* Frees what searches used. */
void qdi_regex_room_free(qdi_regex_room *room);

#endif
