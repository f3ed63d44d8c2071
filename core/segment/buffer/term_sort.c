/*
 * term_sort.c: byte order of a field's words. Radix sort over eight bytes at a time, big-endian,
 * then each run of equal heads by its next eight bytes; short runs are merged by whole comparison.
 * Runs wait on a list, not on the C stack.
 */
#include "base/vec.h"
#include "segment/buffer/term_table_int.h"

#define SMALL 512u /* below, comparing beats counting */
#define DIGIT_BITS 11u
#define DIGITS 6u /* 6 * 11 >= 64 */

typedef struct entry {
    uint64_t head;
    uint32_t id, spare;
} entry;
_Static_assert(sizeof(entry) == 16, "scratch is counted in entries of 16 bytes");

typedef struct run {
    uint32_t from, n, depth;
} run;

typedef struct sorter {
    const qdi_term_table *t;
    entry *a, *b; /* the entries; scratch of the same size */
    qd_account *account;
    QD_VEC(run) runs;
} sorter;

static uint64_t head_at(const qdi_term_table *t, uint32_t id, uint32_t depth)
{
    qd_str s = qdi_term_table_at(t, id);
    if (s.n <= depth) return 0;
    uint8_t bytes[8] = {0};
    size_t n = s.n - depth < 8 ? s.n - depth : 8;
    memcpy(bytes, s.p + depth, n);
    return __builtin_bswap64(qd_get_u64le(bytes));
}

static bool less(const sorter *x, const entry *p, const entry *q)
{
    if (p->head != q->head) return p->head < q->head;
    return qd_str_cmp(qdi_term_table_at(x->t, p->id), qdi_term_table_at(x->t, q->id)) < 0;
}

/* Bottom-up merge sort by head, then whole words. */
static void sort_small(sorter *x, uint32_t from, uint32_t n)
{
    entry *a = x->a + from, *b = x->b + from;
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t mid = lo + width < n ? lo + width : n;
            uint32_t hi = lo + 2 * width < n ? lo + 2 * width : n, i = lo, j = mid;
            for (uint32_t k = lo; k < hi; k++)
                b[k] = i < mid && (j == hi || !less(x, &a[j], &a[i])) ? a[i++] : a[j++];
        }
        entry *swap = a;
        a = b;
        b = swap;
    }
    if (a != x->a + from) memcpy(x->a + from, a, n * sizeof *a);
}

static void sort_radix(sorter *x, uint32_t from, uint32_t n)
{
    uint32_t count[DIGITS][1u << DIGIT_BITS];
    entry *a = x->a + from, *b = x->b + from;
    memset(count, 0, sizeof count);
    for (uint32_t i = 0; i < n; i++)
        for (unsigned d = 0; d < DIGITS; d++)
            count[d][a[i].head >> (d * DIGIT_BITS) & ((1u << DIGIT_BITS) - 1)]++;
    for (unsigned d = 0; d < DIGITS; d++) {
        uint32_t *c = count[d], sum = 0;
        unsigned shift = d * DIGIT_BITS, mask = (1u << DIGIT_BITS) - 1;
        if (c[a[0].head >> shift & mask] == n) continue; /* the same everywhere */
        for (uint32_t i = 0; i <= mask; i++) {
            uint32_t k = c[i];
            c[i] = sum;
            sum += k;
        }
        for (uint32_t i = 0; i < n; i++) b[c[a[i].head >> shift & mask]++] = a[i];
        entry *swap = a;
        a = b;
        b = swap;
    }
    if (a != x->a + from) memcpy(x->a + from, a, n * sizeof *a);
}

/* A run of equal heads at depth: words that end inside it differ by zero bytes at their end and
 * come first, the shorter before the longer; the others are sorted by what follows. */
static int equal_run(sorter *x, uint32_t from, uint32_t n, uint32_t depth)
{
    if (n <= SMALL) {
        sort_small(x, from, n);
        return 0;
    }
    uint32_t ended = 0;
    for (uint32_t i = from; i < from + n; i++) {
        if (qdi_term_table_at(x->t, x->a[i].id).n > depth + 8) continue;
        entry e = x->a[i];
        x->a[i] = x->a[from + ended];
        x->a[from + ended++] = e;
    }
    if (ended) sort_small(x, from, ended); /* at most nine */
    run next = {from + ended, n - ended, depth + 8};
    return qd_vec_push(&x->runs, x->account, next);
}

static int sort_run(sorter *x, run r)
{
    if (r.depth)
        for (uint32_t i = r.from; i < r.from + r.n; i++)
            x->a[i].head = head_at(x->t, x->a[i].id, r.depth);
    if (r.n <= SMALL) {
        sort_small(x, r.from, r.n);
        return 0;
    }
    sort_radix(x, r.from, r.n);
    for (uint32_t i = r.from, end = r.from + r.n, j; i < end; i = j) {
        for (j = i + 1; j < end && x->a[j].head == x->a[i].head; j++) {}
        int rc = j - i > 1 ? equal_run(x, i, j - i, r.depth) : 0;
        if (rc) return rc;
    }
    return 0;
}

int qdi_term_table_sort(const qdi_term_table *t, const uint8_t *used, uint32_t *order,
                        uint32_t *nout, void *scratch, qd_account *a)
{
    sorter x = {.t = t, .a = scratch, .account = a};
    uint32_t n = 0;
    for (uint32_t id = 0; id < t->n; id++)
        if (used ? used[id] : t->count[id] > 0) x.a[n++] = (entry){head_at(t, id, 0), id, 0};
    x.b = x.a + t->n;
    int rc = n ? qd_vec_push(&x.runs, a, ((run){0, n, 0})) : 0;
    while (rc == 0 && x.runs.n) rc = sort_run(&x, x.runs.at[--x.runs.n]);
    for (uint32_t i = 0; rc == 0 && i < n; i++) order[i] = x.a[i].id;
    qd_vec_fini(&x.runs);
    *nout = n;
    return rc;
}
