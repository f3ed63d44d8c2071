/*
 * log.h: the part of the replicated log that is in memory: all entries behind `base`. Pure; one
 * thread, but for the references of entries, which the writer and senders hold too.
 */
#ifndef COORDINATION_RAFT_LOG_H
#define COORDINATION_RAFT_LOG_H

#include "bytes.h"
#include <check/invariant.h>

/* Numbers are part of the formats. */
enum { CR_LOG_FIRST = 0, CR_LOG_DATA = 1, CR_LOG_MEMBERS = 2 };

/* One entry, immutable, counted. CR_LOG_FIRST: without bytes, the first of each leader,
 * and what one makes to see whose disk goes on. */
typedef struct cr_log_entry {
    const cr_heap *heap;
    _Atomic uint32_t refs;
    uint32_t type, n;
    uint64_t index, term;
    uint8_t bytes[];
} cr_log_entry;
/* A new entry with one reference; bytes are copied. [any] */
cr_log_entry *cr_log_entry_make(const cr_heap *h, uint64_t index, uint64_t term, uint32_t type,
                                const uint8_t *bytes, uint32_t n);
/* One reference more; returns it. [any] */
cr_log_entry *cr_log_entry_ref(cr_log_entry *e);
/* One less. NULL is fine. [any] */
void cr_log_entry_drop(cr_log_entry *e);

typedef struct cr_log {
    const cr_heap *heap;
    uint64_t base, base_term; /* of the last entry that is not here */
    cr_log_entry **ring;      /* cap is a power of two; entry i at i & (cap - 1) */
    uint64_t n, cap;
} cr_log;

void cr_log_free(cr_log *l);
static inline uint64_t cr_log_last(const cr_log *l)
{
    return l->base + l->n;
}
/* An entry in memory, base < index <= last; NULL: it is not there. */
static inline cr_log_entry *cr_log_at(const cr_log *l, uint64_t index)
{
    if (index <= l->base || index > l->base + l->n) return NULL;
    return l->ring[index & (l->cap - 1)];
}
/* Its term, that of the base too; 0: not known. */
uint64_t cr_log_term(const cr_log *l, uint64_t index);
/* Appends; index is last + 1; takes the reference. */
void cr_log_push(cr_log *l, cr_log_entry *e);
/* Forgets entries above index. */
void cr_log_cut(cr_log *l, uint64_t index);
/* Forgets entries up to index, base <= index <= last. */
void cr_log_drop(cr_log *l, uint64_t index);
/* Forgets all: empty behind (index, term). */
void cr_log_reset(cr_log *l, uint64_t index, uint64_t term);
/* For a refused append: the largest index <= from whose term is <= term (Ongaro's thesis 5.3, by
 * terms and not by single steps). Below base: it is not here any more. */
uint64_t cr_log_before(const cr_log *l, uint64_t from, uint64_t term);

#endif
