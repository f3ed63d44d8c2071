/*
 * pack_scalar.c: the reference kernels of pack_int.h, for any CPU.
 */
#include "segment/columns/pack_int.h"

static void get(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                const qdi_pack_form *form, int64_t *out)
{
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

static void to_f64(const int64_t *v, double *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t b = v[i] ^ ((v[i] >> 63) & INT64_MAX);
        memcpy(&out[i], &b, 8);
    }
}

const qdi_pack_kernels qdi_pack_scalar = {get,  get32,  fold, match, match32,
                                          keep, keep32, list, to_f64};
