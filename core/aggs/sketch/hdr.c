/*
 * hdr.c: HdrHistogram; see hdr_int.h.
 *
 * The Java class keeps an array over a range that follows the values: its unit is the cell width at
 * the least value seen. Here cells are found by exponent and number, kept in a hash table; only the
 * upper end of a cell, which is one unit below the next cell, needs the unit.
 */
#include "aggs/sketch/hdr_int.h"
#include <math.h>
#include <string.h>

#define ZERO INT64_MIN

void qdi_aggs_hdr_init(qdi_hdr *h, uint32_t digits)
{
    uint64_t largest = 2;
    uint32_t half = 1;
    for (uint32_t i = 0; i < digits; i++) largest *= 10;
    while (half * 2ull < largest) half *= 2;
    *h = (qdi_hdr){.half = half, .least = INT32_MAX};
}

static int64_t key_of(const qdi_hdr *h, double v)
{
    int e;
    if (v == 0) return ZERO;
    double m = frexp(v, &e) * 2; /* [1, 2) */
    return (int64_t)(e - 1) * h->half + (int64_t)((m - 1) * h->half);
}

static int64_t exponent_of(const qdi_hdr *h, int64_t key)
{
    int64_t cells = h->half, e = key / cells;
    return key % cells < 0 ? e - 1 : e;
}

/* Where a cell begins, and its width. */
static double cell_from(const qdi_hdr *h, int64_t key, double *width)
{
    int64_t e = exponent_of(h, key), cell = key - e * h->half;
    *width = ldexp(1.0 / h->half, (int)e);
    return ldexp(1 + (double)cell / h->half, (int)e);
}

static qdi_hdr_cell *slot(qdi_hdr_cell *at, uint32_t cap, int64_t key)
{
    uint64_t x = (uint64_t)key * 0x9e3779b97f4a7c15ull;
    uint32_t i = (uint32_t)(x >> 32) & (cap - 1);
    while (at[i].n && at[i].key != key) i = (i + 1) & (cap - 1);
    return &at[i];
}

static int put(qdi_hdr *h, int64_t key, uint64_t n, qd_account *account)
{
    if (h->n * 4ull >= h->cap * 3ull) {
        uint32_t cap = h->cap ? h->cap * 2 : 32;
        if (cap > UINT32_MAX / 4) return QD_E_NOMEM;
        qdi_hdr_cell *at = qd_calloc(account, cap * sizeof *at);
        if (!at) return QD_E_NOMEM;
        for (uint32_t i = 0; i < h->cap; i++)
            if (h->at[i].n) *slot(at, cap, h->at[i].key) = h->at[i];
        qd_free(h->at);
        h->at = at;
        h->cap = cap;
    }
    qdi_hdr_cell *c = slot(h->at, h->cap, key);
    if (!c->n) {
        c->key = key;
        h->n++;
        if (key != ZERO && exponent_of(h, key) < h->least) h->least = (int32_t)exponent_of(h, key);
    }
    c->n += n;
    h->total += n;
    return 0;
}

int qdi_aggs_hdr_add(qdi_hdr *h, double v, qd_account *account)
{
    return put(h, key_of(h, v), 1, account);
}

int qdi_aggs_hdr_merge(qdi_hdr *to, const qdi_hdr *from, qd_account *account)
{
    int rc = 0;
    uint32_t n = from->settled ? from->n : from->cap;
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        if (from->at[i].n) rc = put(to, from->at[i].key, from->at[i].n, account);
    return rc;
}

static void sift(qdi_hdr_cell *at, uint32_t i, uint32_t n)
{
    for (;;) {
        uint32_t c = 2 * i + 1;
        if (c >= n) return;
        if (c + 1 < n && at[c + 1].key > at[c].key) c++;
        if (at[c].key <= at[i].key) return;
        qdi_hdr_cell x = at[i];
        at[i] = at[c];
        at[c] = x;
        i = c;
    }
}

bool qdi_aggs_hdr_load(qdi_hdr *h, uint32_t n)
{
    h->n = h->cap = n;
    h->settled = true;
    for (uint32_t i = 0; i < n; i++) {
        const qdi_hdr_cell *c = &h->at[i];
        int64_t e = c->key == ZERO ? 0 : exponent_of(h, c->key);
        if (!c->n || c->n > UINT64_MAX - h->total || (i && c->key <= h->at[i - 1].key))
            return false;
        if (e < -1100 || e > 1024) return false; /* of no double */
        if (c->key != ZERO && e < h->least) h->least = (int32_t)e;
        h->total += c->n;
    }
    return true;
}

qdi_hdr *qdi_aggs_hdr_copy(const qdi_hdr *h, qd_arena *arena)
{
    qdi_hdr *o = qd_arena_alloc(arena, sizeof *o);
    if (!o) return NULL;
    *o = *h;
    o->at = qd_arena_alloc(arena, (h->n + 1ul) * sizeof *o->at);
    if (!o->at) return NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < (h->settled ? h->n : h->cap); i++)
        if (h->at[i].n) o->at[n++] = h->at[i];
    for (uint32_t i = n / 2; i-- > 0;) sift(o->at, i, n);
    for (uint32_t i = n; i-- > 1;) {
        qdi_hdr_cell x = o->at[0];
        o->at[0] = o->at[i];
        o->at[i] = x;
        sift(o->at, 0, i);
    }
    o->n = o->cap = n;
    o->settled = true;
    return o;
}

double qdi_aggs_hdr_value(const qdi_hdr *h, double p)
{
    if (!h->total) return NAN;
    /* one ulp less, so that rounding does not reach the next cell */
    double asked = fmin(fmax(nextafter(p, -INFINITY), 0), 100);
    double rank = fmax(ceil(asked * (double)h->total / 100), 1);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        seen += h->at[i].n;
        if ((double)seen < rank && i + 1 < h->n) continue;
        if (h->at[i].key == ZERO) {
            /* the cell of 0 is one unit wide: its upper end is 0 again */
            return 0;
        }
        double width, from = cell_from(h, h->at[i].key, &width);
        double unit = ldexp(1.0 / h->half, h->least);
        return p == 0 ? from : from + width - unit;
    }
    return NAN;
}

double qdi_aggs_hdr_percent(const qdi_hdr *h, double v)
{
    if (!h->total) return NAN;
    uint64_t below = 0;
    int64_t key = v < 0 ? ZERO : key_of(h, v);
    for (uint32_t i = 0; v >= 0 && i < h->n && h->at[i].key <= key; i++) below += h->at[i].n;
    return 100 * (double)below / (double)h->total;
}

void qdi_aggs_hdr_fini(qdi_hdr *h)
{
    if (!h->settled) qd_free(h->at);
}
