/*
 * ordinals.h: ordinals of a whole shard: a keyword's dictionaries of all segments as one, so that
 * equal strings have equal numbers, in byte order.
 */
#ifndef QD_SEARCH_ORDINALS_H
#define QD_SEARCH_ORDINALS_H

#include "base/arena.h"
#include "search/searcher.h"

struct qd_task;
struct qdi_ordinals_entry;

#define QD_ORDINALS_MAX (1u << 24) /* entries of all dictionaries at most */

/* Immutable; lives as long as its searcher. Numbers ascend with the bytes of their strings. */
typedef struct qd_ordinals {
    uint32_t n;                /* distinct strings */
    const uint32_t *const *of; /* [leaf][ordinal]: its number; NULL: the leaf has none */
    const uint32_t *leaf;      /* by number: the first leaf that has it, */
    const uint32_t *ord;       /* and its ordinal there */
} qd_ordinals;

/* The ordinals of a field over all segments: *out, or NULL where each use has to do without: of one
 * segment alone, of a field that is no ORDINAL column in some, over QD_ORDINALS_MAX, when memory is
 * short (qd_ordinals_memory_short, or none is to be had) or the deadline of the task (may be NULL)
 * passed while they were made, or asked for the first time of this searcher (a refresh may come
 * before the second use would pay). The second use makes them, reading all dictionaries; others
 * meanwhile do without. Charged to the searcher's account; err is set with an error only. [worker]
 * QD_E_IO, QD_E_CORRUPT, QD_E_CANCELLED. O(n log leaves) once */
QD_MUST_CHECK
int qd_searcher_ordinals(qd_searcher *s, qd_str field, struct qd_task *task,
                         const qd_ordinals **out, qd_err *err);
/* Is the node's memory, with `more` bytes, over nine tenths of the limit of all accounts? Then maps
 * that nobody uses are to go, and none is made. [any] */
bool qd_ordinals_memory_short(int64_t more);
/* Does s hold such maps, and nobody but the caller holds s? True as long as the caller gives it to
 * nobody. [any] */
bool qd_searcher_spare(const qd_searcher *s);
/* Calls fn for each field whose map s holds, with its bytes. [any] */
void qd_ordinals_each(const qd_searcher *s, void (*fn)(void *arg, qd_str field, int64_t bytes),
                      void *arg);
/* Are maps among a searcher's entries? */
bool qdi_ordinals_any(const struct qdi_ordinals_entry *e);
/* Copies the strings of n numbers into arena. [worker] QD_E_NOMEM, QD_E_IO, QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_ordinals_strings(const qd_searcher *s, qd_str field, const qd_ordinals *o,
                        const uint32_t *numbers, uint32_t n, qd_arena *arena, qd_account *account,
                        qd_str *out, qd_err *err);

#endif
