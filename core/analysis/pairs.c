/* pairs.c: words two by two. See pairs.h. */
#include "analysis/pairs.h"

#define STACK_MAX 1000u /* routes from one word, as in Lucene's GraphTokenFilter */

static uint32_t at(const uint32_t *v, size_t i)
{
    return v ? v[i] : 1;
}

/* The first word behind all positions that word i spans; n: none. */
static size_t behind(const uint32_t *inc, const uint32_t *length, size_t n, size_t i)
{
    uint64_t passed = 0, span = at(length, i);
    do {
        if (++i >= n) return n;
        passed += at(inc, i);
    } while (passed < span);
    return i;
}

/* Plain text: each word with the next one. */
static void chain(qd_word_pairs *p, size_t n, uint32_t end_inc)
{
    for (size_t i = 0; i + 1 < n; i++) p->v.at[i] = (qd_word_pair){(uint32_t)i, (uint32_t)i + 1, 1};
    p->v.n = n - 1;
    p->end_inc = end_inc + 1;
    if (end_inc == 0) return;
    p->v.at[p->v.n++] = (qd_word_pair){(uint32_t)n - 1, QD_PAIR_HOLE, 1};
    p->end_inc = end_inc;
}

int qd_word_pairs_make(qd_word_pairs *p, qd_account *account, const uint32_t *inc,
                       const uint32_t *length, size_t n, uint32_t end_inc, qd_err *err)
{
    uint32_t pending = 0; /* positions of words that began no pair yet */
    p->v.n = 0;
    p->end_inc = end_inc;
    if (n == 0) return 0;
    if (qd_vec_reserve(&p->v, account, n)) return qd_err_nomem(err, "pairs of words");
    if (!inc && !length) {
        chain(p, n, end_inc);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        pending += at(inc, i);
        size_t j = behind(inc, length, n, i), first = j;
        if (j == n && end_inc == 0) continue;
        do {
            bool hole = j == n || at(inc, j) > 1;
            if (j - first > STACK_MAX)
                return qd_err_set(err, QD_E_STATE, "Too many graph paths (> %u)", STACK_MAX);
            qd_word_pair pair = {(uint32_t)i, hole ? QD_PAIR_HOLE : (uint32_t)j, pending};
            if (qd_vec_push(&p->v, account, pair)) return qd_err_nomem(err, "pairs of words");
            pending = 0;
            j++;
        } while (j < n && at(inc, j) == 0);
    }
    p->end_inc += pending;
    return 0;
}
