/*
 * pack_scalar.c: the reference kernels of pack_int.h, for any CPU.
 */
#include "segment/columns/pack_int.h"

static void get(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                const qdi_pack_form *form, int64_t *out)
{
    if (width == 64 && form->mult == 1 && !form->line) { /* as compilers see that it is a vector */
        const uint8_t *q = p + 8 * (uint64_t)first;
        for (uint32_t i = 0; i < n; i++) out[i] = (int64_t)(form->base + qd_get_u64le(q + 8 * i));
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        out[i] =
            qdi_pack_apply(form, qdi_pack_at(p, width, (uint64_t)first + i), (uint64_t)first + i);
}

static uint32_t get32(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, uint32_t base,
                      uint32_t *out)
{
    uint32_t greatest = 0;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = base + (uint32_t)qdi_pack_at(p, width, (uint64_t)first + i);
        if (out[i] > greatest) greatest = out[i];
    }
    return greatest;
}

static void fold(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, const uint64_t *bits,
                 bool bounds, qdi_pack_fold *out)
{
    qdi_pack_fold f = {0, 0, UINT64_MAX, 0};
    for (uint32_t i = 0; i < n; i++) {
        if (bits && !(bits[i / 64] >> (i & 63) & 1)) continue;
        uint64_t v = qdi_pack_at(p, width, (uint64_t)first + i);
        f.n++;
        f.sum += v;
        if (bounds && v < f.min) f.min = v;
        if (bounds && v > f.max) f.max = v;
    }
    *out = f;
}

static void to_f64(const int64_t *v, double *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t b = v[i] ^ ((v[i] >> 63) & INT64_MAX);
        memcpy(&out[i], &b, 8);
    }
}

/* One value into each lane. */
static void add_lanes(const double *x, qd_fsum *io)
{
    for (uint32_t k = 0; k < QD_FSUM_LANES; k++) {
        double y = x[k] - io->low[k], t = io->sum[k] + y;
        io->low[k] = (t - io->sum[k]) - y;
        io->sum[k] = t;
    }
}

static void fold_f64(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                     const uint64_t *bits, bool bounds, qdi_pack_reals *r, qd_fsum *io)
{
    enum { CHUNK = 128 };
    const qdi_pack_form form = {.base = r->base, .mult = (uint64_t)1 << r->shift};
    int64_t v[CHUNK];
    double x[CHUNK];
    r->n = 0;
    r->min = INT64_MAX;
    r->max = INT64_MIN;
    for (uint32_t at = 0; at < n; at += CHUNK) {
        uint32_t m = n - at < CHUNK ? n - at : CHUNK, whole = m - m % QD_FSUM_LANES;
        get(p, width, first + at, m, &form, v);
        to_f64(v, x, m);
        for (uint32_t i = 0; i < m; i++) {
            bool on = !bits || bits[(at + i) / 64] >> ((at + i) & 63) & 1;
            if (!on) x[i] = 0;
            r->n += on;
            if (bounds && on && v[i] < r->min) r->min = v[i];
            if (bounds && on && v[i] > r->max) r->max = v[i];
        }
        for (uint32_t i = 0; i < whole; i += QD_FSUM_LANES) add_lanes(x + i, io);
        for (uint32_t i = whole; i < m; i++) {
            uint32_t k = i - whole;
            double y = x[i] - io->low[k], t = io->sum[k] + y;
            io->low[k] = (t - io->sum[k]) - y;
            io->sum[k] = t;
        }
    }
}

static uint64_t match(const int64_t *v, uint32_t n, int64_t lo, int64_t hi)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i++) bits |= (uint64_t)(v[i] >= lo && v[i] <= hi) << i;
    return bits;
}

static uint64_t match32(const uint32_t *v, uint32_t n, uint32_t lo, uint32_t hi)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i++) bits |= (uint64_t)(v[i] - lo <= hi - lo) << i;
    return bits;
}

static uint32_t keep(const int64_t *v, uint32_t n, uint64_t bits, int64_t *out)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        out[k] = v[i];
        k += (bits >> i) & 1;
    }
    return k;
}

static uint32_t keep32(const uint32_t *v, uint32_t n, uint64_t bits, uint32_t *out)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        out[k] = v[i];
        k += (bits >> i) & 1;
    }
    return k;
}

static uint32_t list(uint64_t bits, uint32_t base, uint32_t *out)
{
    uint32_t k = 0;
    for (; bits; bits &= bits - 1) out[k++] = base + (uint32_t)__builtin_ctzll(bits);
    return k;
}

const qdi_pack_kernels qdi_pack_scalar = {get,     get32, fold,   fold_f64, match,
                                          match32, keep,  keep32, list,     to_f64};
