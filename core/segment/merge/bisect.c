/*
 * bisect.c: see the header. A node of the recursion is a stretch of the order. Its documents are in
 * two halves; what a term adds to a document's wish to be in the right half is log2 of its
 * documents there over those in the left one (the derivative of the cost of its gaps). Documents
 * whose wish is above the median of all go right, the others left, again and again, until few
 * change sides.
 *
 * Within a half documents stay in the order in which they came, so that neither sorting nor chance
 * decides on anything. Terms that only one document of a node has, or all, tell nothing there nor
 * below, and leave the documents' lists: the lower levels are short.
 */
#include "base/bits.h"
#include "segment/merge/bisect_int.h"

#define LEAF 32u           /* documents that are not divided any more */
#define ROUNDS 12u         /* of one node at most */
#define LOGS 4096u         /* table of logarithms */
#define ONE 4096           /* 1.0 of a logarithm */
#define POLL_EVERY 1000000 /* steps */

typedef struct bisection {
    const qdi_forward *f;
    const qdi_bisect_options *options;
    uint32_t *order;
    int32_t *wish, *scratch;
    uint8_t *right;        /* by place in the order: is it in the right half? */
    uint32_t *in[2];       /* by term: documents of the node's halves that have it */
    int32_t *gain;         /* by term */
    uint32_t *seen, nseen; /* terms of the node */
    int32_t logs[LOGS];
    uint64_t steps, done, total; /* documents times levels */
} bisection;

/* log2 of 1 to LOGS - 1 in units of 1 / ONE, by squaring: the same everywhere. */
static void make_logs(int32_t *logs)
{
    logs[0] = 0;
    for (uint32_t x = 1; x < LOGS; x++) {
        unsigned whole = qd_bits_of(x) - 1;
        uint64_t m = (uint64_t)x << (31 - whole); /* 1 to 2, 31 bits behind the point */
        int32_t log = (int32_t)whole;
        for (unsigned bit = 0; bit < 12; bit++) {
            m = (m * m) >> 31;
            log = log * 2 + (m >> 32 ? 1 : 0);
            if (m >> 32) m >>= 1;
        }
        logs[x] = log;
    }
}

static int32_t log_of(const bisection *b, uint32_t x)
{
    unsigned bits = qd_bits_of(x), shift = bits > 12 ? bits - 12 : 0;
    return b->logs[x >> shift] + (int32_t)shift * ONE;
}

static int poll(bisection *b, uint64_t steps)
{
    b->steps += steps;
    if (b->steps < POLL_EVERY || !b->options->poll) return 0;
    b->steps = 0;
    return b->options->poll(b->options->arg, (double)b->done / (double)b->total);
}

/* --- one node --------------------------------------------------------------------------------- */

/* Counts the terms of both halves; returns the postings. */
static uint64_t count_terms(bisection *b, uint32_t from, uint32_t to)
{
    const qdi_forward *f = b->f;
    uint64_t n = 0;
    b->nseen = 0;
    for (uint32_t i = from; i < to; i++) {
        uint32_t doc = b->order[i], *in = b->in[b->right[i]];
        const uint32_t *t = f->term + f->start[doc];
        for (uint32_t k = 0; k < f->count[doc]; k++) {
            if (b->in[0][t[k]] + b->in[1][t[k]] == 0) b->seen[b->nseen++] = t[k];
            in[t[k]]++;
        }
        n += f->count[doc];
    }
    return n;
}

/* Takes the terms that tell nothing out of the documents' lists and out of those seen. */
static void drop_terms(bisection *b, uint32_t from, uint32_t to)
{
    const qdi_forward *f = b->f;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->nseen; i++) {
        uint32_t t = b->seen[i], all = b->in[0][t] + b->in[1][t];
        b->gain[t] = all > 1 && all < to - from;
        if (b->gain[t])
            b->seen[kept++] = t;
        else
            b->in[0][t] = b->in[1][t] = 0;
    }
    if (kept == b->nseen) return;
    b->nseen = kept;
    for (uint32_t i = from; i < to; i++) {
        uint32_t doc = b->order[i], n = 0, *t = f->term + f->start[doc];
        for (uint32_t k = 0, all = f->count[doc]; k < all; k++) {
            uint32_t term = t[k];
            t[n] = term;
            n += (uint32_t)b->gain[term];
        }
        f->count[doc] = n;
    }
}

/* Where a document would be better off: above 0 in the right half. */
static int32_t wish_of(const bisection *b, uint32_t doc)
{
    const uint32_t *t = b->f->term + b->f->start[doc];
    uint32_t n = b->f->count[doc], k = 0;
    int64_t x = 0, y = 0;
    for (; k + 2 <= n; k += 2) {
        x += b->gain[t[k]];
        y += b->gain[t[k + 1]];
    }
    if (k < n) x += b->gain[t[k]];
    x += y;
    return x > INT32_MAX / 2 ? INT32_MAX / 2 : x < -INT32_MAX / 2 ? -INT32_MAX / 2 : (int32_t)x;
}

/* The k-th least (from 0) of n; they are moved about. */
static int32_t select_least(int32_t *v, uint32_t n, uint32_t k)
{
    uint32_t lo = 0, hi = n - 1;
    while (lo < hi) {
        int32_t a = v[lo], m = v[lo + (hi - lo) / 2], c = v[hi];
        int32_t pivot = a < m ? (m < c ? m : a < c ? c : a) : (a < c ? a : m < c ? c : m);
        uint32_t i = lo, j = hi;
        for (;;) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            int32_t x = v[i];
            v[i++] = v[j];
            v[j--] = x;
        }
        if (k <= j) /* v[lo..j] are not above the pivot, v[j + 1..hi] not below it */
            hi = j;
        else
            lo = j + 1;
    }
    return v[k];
}

static void change_side(bisection *b, uint32_t i)
{
    uint32_t doc = b->order[i];
    const uint32_t *t = b->f->term + b->f->start[doc];
    uint32_t *from = b->in[b->right[i]], *to = b->in[!b->right[i]];
    for (uint32_t k = 0; k < b->f->count[doc]; k++) {
        from[t[k]]--;
        to[t[k]]++;
    }
    b->right[i] = !b->right[i];
}

/* Divides at the median of the wishes, ties in order; returns how many changed sides. */
static uint32_t divide(bisection *b, uint32_t from, uint32_t to, uint32_t left)
{
    uint32_t n = to - from, below = 0, moved = 0;
    memcpy(b->scratch, b->wish + from, n * sizeof *b->scratch);
    int32_t border = select_least(b->scratch, n, left);
    for (uint32_t i = from; i < to; i++) below += b->wish[i] < border;
    uint32_t ties = left - below; /* of those on the border, the first go left */
    for (uint32_t i = from; i < to; i++) {
        bool right = b->wish[i] > border;
        if (b->wish[i] == border) {
            right = ties == 0;
            ties -= !right;
        }
        if (right == b->right[i]) continue;
        change_side(b, i);
        moved++;
    }
    return moved;
}

/* Puts the left half in front, both as they came. */
static void split(bisection *b, uint32_t from, uint32_t to, uint32_t left)
{
    uint32_t *copy = (uint32_t *)b->scratch, l = 0, r = left;
    for (uint32_t i = from; i < to; i++) copy[b->right[i] ? r++ : l++] = b->order[i];
    memcpy(b->order + from, copy, (to - from) * sizeof *copy);
}

static int node(bisection *b, uint32_t from, uint32_t to, uint32_t left)
{
    uint32_t n = to - from;
    for (uint32_t i = from; i < to; i++) b->right[i] = i - from >= left;
    uint64_t postings = count_terms(b, from, to);
    drop_terms(b, from, to);
    int rc = poll(b, 2 * postings);
    for (uint32_t round = 0; rc == 0 && b->nseen && round < ROUNDS; round++) {
        for (uint32_t i = 0; i < b->nseen; i++) {
            uint32_t t = b->seen[i];
            b->gain[t] = log_of(b, b->in[1][t] + 1) - log_of(b, b->in[0][t] + 1);
        }
        for (uint32_t i = from; i < to; i++) b->wish[i] = wish_of(b, b->order[i]);
        uint32_t moved = divide(b, from, to, left);
        rc = poll(b, postings);
        if (moved <= n / 256) break;
    }
    for (uint32_t i = 0; i < b->nseen; i++) b->in[0][b->seen[i]] = b->in[1][b->seen[i]] = 0;
    split(b, from, to, left);
    b->done += n;
    return rc;
}

static int recurse(bisection *b, uint32_t from, uint32_t to)
{
    uint32_t n = to - from, left = n / 2;
    if (n <= LEAF) return 0;
    int rc = node(b, from, to, left);
    if (rc == 0) rc = recurse(b, from, from + left);
    return rc ? rc : recurse(b, from + left, to);
}

int qdi_bisect(qdi_forward *f, uint32_t *order, const qdi_bisect_options *options,
               qd_account *account, qd_err *err)
{
    bisection *b = qd_calloc(account, sizeof *b);
    size_t docs = (size_t)f->docs + 1, terms = (size_t)f->terms + 1;
    if (!b) return qd_err_nomem(err, "order of documents");
    b->f = f;
    b->options = options;
    b->order = order;
    b->wish = qd_alloc(account, docs * sizeof *b->wish);
    b->scratch = qd_alloc(account, docs * sizeof *b->scratch);
    b->right = qd_alloc(account, docs);
    b->in[0] = qd_calloc(account, terms * sizeof *b->in[0]);
    b->in[1] = qd_calloc(account, terms * sizeof *b->in[1]);
    b->gain = qd_alloc(account, terms * sizeof *b->gain);
    b->seen = qd_alloc(account, terms * sizeof *b->seen);
    bool all = b->wish && b->scratch && b->right && b->in[0] && b->in[1] && b->gain && b->seen;
    int rc = all ? 0 : qd_err_nomem(err, "order of documents");
    if (rc == 0) {
        make_logs(b->logs);
        b->total = 1;
        for (uint32_t n = f->docs; n > LEAF; n /= 2) b->total += f->docs;
        for (uint32_t i = 0; i < f->docs; i++) order[i] = i;
        rc = recurse(b, 0, f->docs);
    }
    void *const owned[] = {b->wish, b->scratch, b->right, b->in[0], b->in[1], b->gain, b->seen, b};
    for (unsigned i = 0; i < QD_COUNT_OF(owned); i++) qd_free(owned[i]);
    return rc;
}
