/* kern_scalar.c: the reference for the others, and what baseline machines run. */
#include "search/kernels/kern_body_int.h"
#include "search/kernels/kern_int.h"
#include <string.h>

static void score(const uint32_t *freq, const uint32_t *doc, uint32_t mask, const uint8_t *norm,
                  const float *ninv, float w, float *out, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        out[i] = w - w / (1.0f + (float)freq[i] * ninv[norm[doc[i] & mask]]);
}

static uint64_t sum_clear(uint8_t *p, size_t n)
{
    uint64_t s = 0;
    for (size_t i = 0; i < n; i++) s += p[i];
    memset(p, 0, n);
    return s;
}

static void bound_add(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n)
{
    for (size_t i = 0; i < n; i++) bound[i] = (uint16_t)(bound[i] + tab[cls[i] & 63]);
}

static void bound_and(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bound[i] = cls[i] && bound[i] ? (uint16_t)(bound[i] + tab[cls[i] & 63]) : 0;
}

static uint16_t bound_max(const uint16_t *bound, size_t n)
{
    uint16_t m = 0;
    for (size_t i = 0; i < n; i++) m = bound[i] > m ? bound[i] : m;
    return m;
}

static size_t bound_select(const uint16_t *bound, size_t n, uint16_t lo, uint16_t hi, uint32_t *out)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        out[m] = (uint32_t)i;
        m += bound[i] >= lo && (bound[i] < hi || hi == 65535);
    }
    return m;
}

static size_t at_least(const float *s, size_t n, float least, uint32_t *idx)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        idx[m] = (uint32_t)i;
        m += s[i] >= least;
    }
    return m;
}

static size_t at_least_d(const double *s, size_t n, double least, uint32_t *idx)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        idx[m] = (uint32_t)i;
        m += s[i] >= least;
    }
    return m;
}

static double max_d(const double *s, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++) m = s[i] > m ? s[i] : m;
    return m;
}

static uint32_t isect(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t *ia,
                      uint32_t *ib)
{
    uint32_t i = 0, j = 0, n = 0;
    while (i < na && j < nb) {
        uint32_t x = a[i], y = b[j];
        ia[n] = i;
        ib[n] = j;
        n += x == y;
        i += x <= y;
        j += y <= x;
    }
    return n;
}

static uint32_t rank(const uint32_t *docs, uint32_t n, uint32_t d)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < n; i++) r += docs[i] < d;
    return r;
}

static uint32_t bits_to_docs(const uint64_t *a, size_t n, uint32_t base, uint32_t *out)
{
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++, base += 64)
        for (uint64_t w = a[i]; w; w &= w - 1) out[m++] = base + (uint32_t)__builtin_ctzll(w);
    return m;
}

static uint32_t meet(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t diff)
{
    uint32_t m = 0;
    for (uint32_t q = 0; q < na; q++) {
        uint32_t x = a[q] - q + diff, hit = 0;
        for (uint32_t r = 0; r < nb; r++) hit |= b[r] - r == x;
        m |= hit << q;
    }
    return m;
}

const qd_kern qd_kern_scalar = {
    .name = "scalar",
    .score = score,
    .table = table,
    .sum_clear = sum_clear,
    .bound_add = bound_add,
    .bound_and = bound_and,
    .bound_max = bound_max,
    .bound_select = bound_select,
    .at_least = at_least,
    .at_least_d = at_least_d,
    .max_d = max_d,
    .isect = isect,
    .meet = meet,
    .near = near,
    .rank = rank,
    .and64 = and64,
    .popcount = popcount,
    .popcount_and = popcount_and,
    .bits_to_docs = bits_to_docs,
};
