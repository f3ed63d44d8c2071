/*
 * pack_int.h: plain little-endian bit streams: value i of width w stands at bits [i*w, i*w + w).
 *
 * Widths are 0..56 and 64 (a value of up to 56 bits lies in one 8-byte load at any bit offset), so
 * any value is read at random in O(1) and eight values are w whole bytes: one vector code for all
 * widths. Reading takes up to QDI_PACK_SLACK bytes behind the last value. Every kernel has one
 * result; the scalar ones are the reference.
 */
#ifndef QD_SEGMENT_PACK_INT_H
#define QD_SEGMENT_PACK_INT_H

#include "base/bits.h"
#include "base/mem.h"
#include "segment/columns.h"

#define QDI_PACK_SLACK 32u
#define QDI_LINE_SHIFT 20
#define QDI_LINE_BIAS ((uint64_t)1 << 62)

/* How packed integers become values: base + mult * packed, plus, with line, the point of a straight
 * line at the value's place: ((BIAS + slope * i) >> SHIFT), all modulo 2^64. */
typedef struct qdi_pack_form {
    uint64_t base;
    uint64_t mult;  /* 1 with line */
    uint64_t slope; /* two's complement; used with line */
    bool line;
} qdi_pack_form;

/* What packed integers come to; min is UINT64_MAX, max 0 when there are none. */
typedef struct qdi_pack_fold {
    uint64_t n, sum, min, max;
} qdi_pack_fold;
#define QDI_FOLD_WIDTH_MAX 51u /* sums of 4,096 fit into 64 bits */

/* Packed integers as sortable doubles: base + (packed << shift), modulo 2^64. */
typedef struct qdi_pack_reals {
    uint64_t base;
    uint32_t shift;
    /* out */
    uint64_t n;
    int64_t min, max; /* as sortable integers; INT64_MAX, INT64_MIN when there are none */
} qdi_pack_reals;

typedef struct qdi_pack_kernels {
    /* Values [first, first + n) of a stream to out. */
    void (*get)(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                const qdi_pack_form *form, int64_t *out);
    /* The same for width <= 32 and a 32-bit base, mult 1; returns the greatest value written. */
    uint32_t (*get32)(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, uint32_t base,
                      uint32_t *out);
    /* Folds packed integers [first, first + n), n <= 4096, of width <= QDI_FOLD_WIDTH_MAX: all, or
     * those whose bit i of bits (of value first + i) is set. bounds: least and greatest too. */
    void (*fold)(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, const uint64_t *bits,
                 bool bounds, qdi_pack_fold *out);
    /* Folds the doubles of packed integers [first, first + n), n <= 4096, into lanes: value first +
     * i into lane i % QD_FSUM_LANES, as 0.0 when its bit i of bits is not set. */
    void (*fold_f64)(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                     const uint64_t *bits, bool bounds, qdi_pack_reals *r, qd_fsum *io);
    /* Bit i: lo <= v[i] <= hi, for i < n <= 64. */
    uint64_t (*match)(const int64_t *v, uint32_t n, int64_t lo, int64_t hi);
    /* The same for unsigned 32-bit values, lo <= hi. */
    uint64_t (*match32)(const uint32_t *v, uint32_t n, uint32_t lo, uint32_t hi);
    /* Keeps the values whose bit is set, in order; out has room for 4 more. Returns how many. */
    uint32_t (*keep)(const int64_t *v, uint32_t n, uint64_t bits, int64_t *out);
    /* The same for 32-bit values; out has room for 8 more. */
    uint32_t (*keep32)(const uint32_t *v, uint32_t n, uint64_t bits, uint32_t *out);
    /* Writes base + i for each set bit i, ascending; out has room for 8 more. Returns how many. */
    uint32_t (*list)(uint64_t bits, uint32_t base, uint32_t *out);
    /* Sortable integers to doubles. */
    void (*to_f64)(const int64_t *v, double *out, size_t n);
} qdi_pack_kernels;

extern const qdi_pack_kernels qdi_pack_scalar;
extern const qdi_pack_kernels qdi_pack_avx2;
extern const qdi_pack_kernels qdi_pack_avx512;

/* The kernels of this process' CPU level. [any] */
const qdi_pack_kernels *qdi_pack_kernels_get(void);

/* The least legal width for values up to max. */
static inline uint32_t qdi_pack_width(uint64_t max)
{
    uint32_t w = qd_bits_of(max);
    return w > 56 ? 64 : w;
}
/* Is w a width that may stand on disk? */
static inline bool qdi_pack_width_ok(uint32_t w)
{
    return w <= 56 || w == 64;
}
/* Bytes of n values of width w. */
static inline uint64_t qdi_pack_bytes(uint64_t n, uint32_t w)
{
    return (n * w + 7) / 8;
}
/* Packs n values (each below 2^w) at out: qdi_pack_bytes bytes and up to 8 zero bytes more. */
void qdi_pack_put(const uint64_t *v, uint32_t n, uint32_t w, uint8_t *out);
/* Value i of a stream. */
QD_INLINE uint64_t qdi_pack_at(const uint8_t *p, uint32_t w, uint64_t i)
{
    if (w == 0) return 0;
    if (w == 64) return qd_get_u64le(p + 8 * i);
    uint64_t bit = i * w;
    return (qd_get_u64le(p + (bit >> 3)) >> (bit & 7)) & (((uint64_t)1 << w) - 1);
}
/* A packed integer as a value. */
QD_INLINE int64_t qdi_pack_apply(const qdi_pack_form *f, uint64_t packed, uint64_t i)
{
    uint64_t v = f->base + f->mult * packed;
    if (f->line) v += (QDI_LINE_BIAS + f->slope * i) >> QDI_LINE_SHIFT;
    return (int64_t)v;
}

/* Sums n values by an instruction set's `reals`, which takes runs of QD_FSUM_LANES from a multiple
 * of 8 on and sets r->min and r->max of those; the scalar kernel takes what is left. Inlined with
 * its flags as constants. */
typedef void qdi_pack_runs(const uint8_t *p, uint32_t width, uint32_t runs, const uint64_t *bits,
                           bool bounds, qdi_pack_reals *r, qd_fsum *io);
QD_INLINE void qdi_pack_fold_runs(qdi_pack_runs *reals, const uint8_t *p, uint32_t width,
                                  uint32_t first, uint32_t n, const uint64_t *bits, bool bounds,
                                  qdi_pack_reals *r, qd_fsum *io)
{
    if (width == 0 || (first & 7) || n < QD_FSUM_LANES) {
        qdi_pack_scalar.fold_f64(p, width, first, n, bits, bounds, r, io);
        return;
    }
    uint32_t runs = n / QD_FSUM_LANES, body = runs * QD_FSUM_LANES;
    const uint8_t *q = p + (uint64_t)(first >> 3) * width;
    qdi_pack_reals rest = *r;
    r->n = bits ? 0 : body;
    r->min = INT64_MAX;
    r->max = INT64_MIN;
    for (uint32_t i = 0; bits && i < body; i += 64) {
        uint64_t w = bits[i / 64];
        if (body - i < 64) w &= ((uint64_t)1 << (body - i)) - 1;
        r->n += (uint64_t)__builtin_popcountll(w);
    }
    if (bits && bounds)
        reals(q, width, runs, bits, true, r, io);
    else if (bits)
        reals(q, width, runs, bits, false, r, io);
    else if (bounds)
        reals(q, width, runs, NULL, true, r, io);
    else
        reals(q, width, runs, NULL, false, r, io);
    if (n == body) return;
    uint64_t left = bits ? bits[body / 64] >> (body & 63) : 0;
    qdi_pack_scalar.fold_f64(p, width, first + body, n - body, bits ? &left : NULL, bounds, &rest,
                             io);
    r->n += rest.n;
    if (rest.min < r->min) r->min = rest.min;
    if (rest.max > r->max) r->max = rest.max;
}

#endif
