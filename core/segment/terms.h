/*
 * terms.h: the term dictionary of a field: exact look-up, ordered enumeration, intersection with an
 * automaton. Terms are byte strings in unsigned byte order (UTF-8: code point order).
 *
 * A look-up is planned (the resident index names the one block that may hold the term), fetched,
 * and decoded: 1 to 3 microseconds. Enumerations fetch windows of blocks.
 */
#ifndef QD_SEGMENT_TERMS_H
#define QD_SEGMENT_TERMS_H

#include "automaton/automaton.h"
#include "segment/segment.h"

/* A term as the dictionary knows it: plain data, good for as long as the segment is open. */
typedef struct qd_term {
    uint32_t field;
    uint32_t df;        /* documents; at least 1 in a found term */
    uint64_t ttf;       /* occurrences (df without frequencies) */
    uint64_t postings;  /* offset in the POSTINGS section; unused when df = 1 */
    uint64_t positions; /* offset in POSITIONS; unused when ttf = 1 */
    uint64_t offsets;   /* offset in OFFSETS */
    uint64_t postings_len, positions_len, offsets_len; /* bytes; 0 = inline or not there */
    uint32_t doc;                                      /* df = 1: the document */
    uint32_t position;                                 /* ttf = 1: its position */
} qd_term;

/* One exact look-up between plan and find. */
typedef struct qd_term_lookup {
    qd_segment *segment;
    qd_str text; /* borrowed until find */
    uint32_t field;
    uint32_t slot;
    uint64_t block; /* offset of the block, for errors */
    bool possible;  /* false: certainly absent, nothing was added */
} qd_term_lookup;

/* Adds the block that may hold text. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_term_plan(qd_segment *s, uint32_t field, qd_str text, qd_reads *r, qd_term_lookup *l,
                 qd_err *err);
/* After the fetch: 0 and *out, or QD_E_NOTFOUND with err left empty (an ordinary answer).
 * [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_term_find(const qd_term_lookup *l, const qd_reads *r, qd_term *out, qd_err *err);
/* Both in one, fetching through a batch of its own: for tools, realtime paths and tests. [worker]
 */
QD_MUST_CHECK
int qd_term_get(qd_segment *s, uint32_t field, qd_str text, qd_term *out, qd_err *err);

/* Ordered walk over the terms of one field in [from, to), all or those an automaton
 * accepts. */
typedef struct qd_term_iter qd_term_iter;

/* In head, suffix and inner of a range, which are UTF-8 else: any one character. */
#define QD_TERM_ANY ((char)0xff)

/* Where a walk begins and ends; a zeroed one is all terms. */
typedef struct qd_term_range {
    qd_str from;         /* first term to give; empty: the least */
    bool from_exclusive; /* leave out a term equal to from */
    qd_str to;           /* end */
    bool has_to, to_inclusive;
    qd_str prefix;                 /* only terms that begin so */
    qd_str head;                   /* and so: the prefix and what follows it; empty: nothing */
    qd_str suffix;                 /* and end so, the two side by side at the least */
    const qd_str *inner;           /* and hold these between them, one behind the other; these */
    uint32_t ninner;               /* and what they point to outlive the walk */
    const qd_automaton *automaton; /* only accepted terms; NULL: all; outlives the walk */
} qd_term_range;

/* Would the walk give this term? By looking at all of it. [any] */
bool qd_term_range_has(const qd_term_range *r, qd_str text);

/* Starts a walk living in arena; nothing is fetched. Strings of range are copied. [worker] */
QD_MUST_CHECK
int qd_term_iter_open(qd_segment *s, uint32_t field, const qd_term_range *range, qd_arena *arena,
                      qd_term_iter **out, qd_err *err);
/* Adds the next window of blocks (at most 256 KiB); *more is false when the walk needs none: then
 * it is over after what was fetched. Each plan uses a batch of its own or an emptied one. [worker]
 */
QD_MUST_CHECK
int qd_term_iter_plan(qd_term_iter *it, qd_reads *r, bool *more, qd_err *err);
/* The next term inside the window: 1 with *text (valid until the next call) and *out (may be
 * NULL), 0 at the window's end (plan again), negative on errors. [worker] */
QD_MUST_CHECK
int qd_term_iter_next(qd_term_iter *it, const qd_reads *r, qd_str *text, qd_term *out, qd_err *err);
/* Who pays for a walk: called by qd_term_iter_step for each window that it plans, with what it
 * costs in terms looked at: those of its blocks that are not passed over, one for every 64 bytes of
 * these, one for each place where an automaton left blocks out. A result other than 0 ends the step
 * with it. */
typedef struct qd_term_payer {
    int (*pay)(struct qd_term_payer *payer, uint64_t cost, qd_err *err);
} qd_term_payer;
/* Sets the payer, who outlives the walk. [worker] */
void qd_term_iter_paid_by(qd_term_iter *it, qd_term_payer *payer);
/* What a walk over all terms of a field of the segment costs. [any] */
uint64_t qd_terms_walk_cost(qd_segment *s, uint32_t field);
/* Terms of the blocks between the bounds of a range, which a walk without an automaton would read;
 * an estimate from above, by the resident index. [any] */
uint64_t qd_term_range_span(qd_segment *s, uint32_t field, const qd_term_range *range);
/* The automaton's state at the term just given (edit distances of fuzzy automata). [worker] */
uint32_t qd_term_iter_state(const qd_term_iter *it);
/* Plan, fetch and next in one: 1, or 0 at the end of the walk; blocks where the tier has to.
 * [worker] */
QD_MUST_CHECK
int qd_term_iter_step(qd_term_iter *it, qd_str *text, qd_term *out, qd_err *err);

/* Many ranges at once: which of them have a term? For one pass over a dictionary in place of a walk
 * for each. Of each range a text of up to three bytes that its terms hold is known, so that a term
 * is compared with few of them. Not for several threads at a time. */
typedef struct qd_term_matcher qd_term_matcher;

/* A matcher of n ranges, none with an automaton, living in arena as they do. [worker] QD_E_NOMEM.
 */
QD_MUST_CHECK
int qd_term_matcher_make(const qd_term_range *const *ranges, uint32_t n, qd_arena *arena,
                         qd_term_matcher **out, qd_err *err);
/* The numbers of the ranges that have text into out, n at most, in no order; gives how many.
 * *cost grows by the ranges that were compared with it, and by one for every 64 bytes of each.
 * [any]
 */
uint32_t qd_term_matcher_find(qd_term_matcher *m, qd_str text, uint32_t *out, uint64_t *cost);

#endif
