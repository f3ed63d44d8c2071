/* window_int.h: what nodes fill windows with (leaf_int.h tells what a window is). */
#ifndef QD_SEARCH_WINDOW_INT_H
#define QD_SEARCH_WINDOW_INT_H

#include "search/leaf/leaf_int.h"

/* --- window.c ------------------------------------------------------------------------------ */

/* next and bound of a cursor. */
uint32_t qdi_cur_next(const qdi_cur *c, uint32_t from);
/* See above. */
float qdi_cur_bound(qdi_cur *c, uint32_t from, uint32_t to);
/* next where any document may match. */
uint32_t qdi_next_any(qdi_run *r, qdi_lnode *l, uint32_t from);
/* The least next of a list. */
uint32_t qdi_next_least(qdi_run *r, qdi_lnode *const *list, uint32_t n, uint32_t from);
/* bound of nodes whose documents all score their boost. */
float qdi_bound_boost(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to);
/* Rounds a sum of bounds up, past what rounding to float could add. */
float qdi_bound_up(double x);
/* Adds the boost for the documents of out; acc may be NULL. */
void qdi_add_boost(const qdi_lnode *l, const qdi_win *w, const uint64_t *out, double *acc);
/* Clears a window of accumulators where bits are set. */
void qdi_clear_acc(double *acc, const uint64_t *bits, uint32_t words);

/* Some matches of a window, ascending, at most QDI_BLOCK_DOCS: sets their bits in out and adds to
 * acc, as fill does. */
#define QDI_BLOCK_DOCS 256u
typedef int (*qdi_block_fn)(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint32_t *docs,
                            uint32_t n, uint64_t *out, double *acc, qd_err *err);
/* Calls fn for all documents of the window that are set in bits. */
QD_MUST_CHECK
int qdi_fill_blocks(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *bits,
                    qdi_block_fn fn, uint64_t *out, double *acc, qd_err *err);

/* Tests one document: sets yes. */
typedef int (*qdi_test_fn)(qdi_run *r, void *arg, uint32_t doc, bool *yes, qd_err *err);
/* fill of nodes that test one candidate after the other, each match scoring the boost. Inline, so
 * that a test which the compiler sees is no call through a pointer. */
static inline int qdi_fill_tested(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand,
                                  qdi_test_fn test, uint64_t *out, double *acc, qd_err *err)
{
    for (uint32_t i = 0; i < w->words; i++) {
        uint64_t found = 0;
        for (uint64_t x = cand[i]; x; x &= x - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(x), doc = w->from + i * 64 + bit;
            bool yes;
            if (doc >= w->to) break;
            int rc = test(r, l->u.own, doc, &yes, err);
            if (rc) return rc;
            found |= (uint64_t)yes << bit;
        }
        out[i] = found;
    }
    qdi_add_boost(l, w, out, acc);
    return 0;
}

/* window_term.c, window_phrase.c, custom_fill.c */
void qdi_fill_term(qdi_run *r, qdi_cur *c, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                   double *acc);
int qdi_fill_phrase(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                    double *acc, qd_err *err);
int qdi_fill_custom(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                    double *acc, qd_err *err);

/* phrase.c: frequency of a phrase in one document, 0 when it does not match. */
float qdi_phrase_exact(const qdi_positions *pos, const uint32_t *offset, uint32_t n);
struct qdi_sloppy *qdi_sloppy_make(const qdi_node *x, qd_arena *arena);
/* sloppy_pair.c: the same for two slots without a common word; a and b, ascending and not empty,
 * are their positions minus the slots' offsets, plus anything. any: the first match alone. */
float qdi_phrase_sloppy_pair(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb,
                             uint32_t slop, bool any);
/* Matches of length 0 take a position of either word each, others count at most 1/2, and the words
 * take turns in being the first of a match: f + (f + 1) / 2, rounded up. */
static inline uint32_t qdi_pair_freq_max(uint32_t f)
{
    return f + f / 2 + 1;
}
/* Do slots of the phrase share words? */
bool qdi_sloppy_repeats(const struct qdi_sloppy *s);
float qdi_phrase_sloppy(struct qdi_sloppy *s, const qdi_positions *pos, const uint32_t *offset,
                        uint32_t n, uint32_t slop);

#endif
