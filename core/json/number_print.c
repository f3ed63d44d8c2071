/*
 * number_print.c: shortest decimals of doubles and floats in Java's layout; integers.
 *
 * The choice of digits is Giulietti's Schubfach ("The Schubfach way to render doubles", 2020), the
 * algorithm behind Double.toString since Java 19, including its rule that a result of one digit is
 * looked for among those of two (4.9E-324, not 5.0E-324). The names follow the paper.
 */
#include "json/number_int.h"
#include <string.h>

typedef struct shortest {
    uint64_t f; /* value = f * 10^e */
    int e;
} shortest;

/* floor(log10(2^q)), floor(log10(3/4 * 2^q)), floor(log2(10^e)); right for |q|, |e| < 2,000 */
static int flog10_pow2(int q)
{
    return (int)((q * (int64_t)661971961083) >> 41);
}
static int flog10_3_4_pow2(int q)
{
    return (int)((q * (int64_t)661971961083 - 274743187321) >> 41);
}
static int flog2_pow10(int e)
{
    return (int)((e * (int64_t)913124641741) >> 38);
}

/* cp * g / 2^127 rounded to odd; g = g1 * 2^63 + g0 has 126 bits. */
static uint64_t rop(uint64_t g1, uint64_t g0, uint64_t cp)
{
    const uint64_t mask63 = ((uint64_t)1 << 63) - 1;
    uint64_t x1 = (uint64_t)(((unsigned __int128)g0 * cp) >> 64);
    unsigned __int128 y = (unsigned __int128)g1 * cp;
    uint64_t y0 = (uint64_t)y, y1 = (uint64_t)(y >> 64);
    uint64_t z = (y0 >> 1) + x1;
    uint64_t w = y1 + (z >> 63);
    return w | (((z & mask63) + mask63) >> 63);
}

/* c * 2^q; c_min is the smallest normal significand, q_min the smallest exponent. */
static shortest to_shortest(int q, uint64_t c, int dk, uint64_t c_min, int q_min)
{
    uint64_t out = c & 1, cb = c << 2, cbr = cb + 2, cbl;
    int k;
    if (c != c_min || q == q_min) {
        cbl = cb - 2;
        k = flog10_pow2(q);
    } else { /* the gap below is half as wide */
        cbl = cb - 1;
        k = flog10_3_4_pow2(q);
    }
    int h = q + flog2_pow10(-k) + 2;
    const uint64_t *p = qdi_json_pow10[-k - POW10_MIN];
    unsigned __int128 g = (((unsigned __int128)p[0] << 64 | p[1]) >> 2) + 1;
    uint64_t g1 = (uint64_t)(g >> 63), g0 = (uint64_t)g & (((uint64_t)1 << 63) - 1);
    uint64_t vb = rop(g1, g0, cb << h), vbl = rop(g1, g0, cbl << h), vbr = rop(g1, g0, cbr << h);
    uint64_t s = vb >> 2;
    if (s >= 100) {
        uint64_t sp = s / 10 * 10, tp = sp + 10;
        bool up = vbl + out <= sp << 2, wp = (tp << 2) + out <= vbr;
        if (up != wp) return (shortest){up ? sp : tp, k};
    }
    uint64_t t = s + 1;
    bool u = vbl + out <= s << 2, w = (t << 2) + out <= vbr;
    if (u != w) return (shortest){u ? s : t, k + dk};
    int64_t cmp = (int64_t)(vb - ((s + t) << 1));
    return (shortest){cmp < 0 || (cmp == 0 && (s & 1) == 0) ? s : t, k + dk};
}

/* |v| > 0, finite, taken apart into fraction bits t and exponent field bq. */
static shortest choose(uint64_t t, int bq, float_format fmt)
{
    uint64_t c_min = (uint64_t)1 << (fmt.bits - 1);
    int q_min = fmt.exp_min - (fmt.bits - 1);
    if (bq == 0) {
        /* below c_tiny two digits are wanted where one would do */
        uint64_t c_tiny = fmt.bits == 53 ? 3 : 8;
        return t < c_tiny ? to_shortest(q_min, 10 * t, -1, c_min, q_min)
                          : to_shortest(q_min, t, 0, c_min, q_min);
    }
    int mq = -q_min + 1 - bq;
    uint64_t c = c_min | t;
    if (0 < mq && mq < fmt.bits && (c >> mq) << mq == c) return (shortest){c >> mq, 0};
    return to_shortest(-mq, c, 0, c_min, q_min);
}

size_t qd_u64_print(char out[QD_I64_TEXT_MAX], uint64_t v)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    char text[20], *p = text + sizeof text;
    for (; v >= 100; v /= 100) {
        p -= 2;
        memcpy(p, pairs + v % 100 * 2, 2);
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, pairs + v * 2, 2);
    } else {
        *--p = (char)('0' + v);
    }
    size_t n = (size_t)(text + sizeof text - p);
    memcpy(out, p, n);
    out[n] = 0;
    return n;
}

size_t qd_i64_print(char out[QD_I64_TEXT_MAX], int64_t v)
{
    if (v >= 0) return qd_u64_print(out, (uint64_t)v);
    *out = '-';
    char rest[QD_I64_TEXT_MAX];
    size_t n = qd_u64_print(rest, 0 - (uint64_t)v);
    memcpy(out + 1, rest, n + 1);
    return n + 1;
}

static size_t layout(char *out, shortest v)
{
    while (v.f % 10 == 0) {
        v.f /= 10;
        v.e++;
    }
    char d[QD_I64_TEXT_MAX], *o = out;
    int n = (int)qd_u64_print(d, v.f), point = v.e + n; /* value = 0.d * 10^point */
    if (point > -3 && point <= 0) {
        memcpy(o, "0.00", 4);
        o += 2 - point;
        memcpy(o, d, (size_t)n);
        o += n;
    } else if (point > 0 && point <= 7) {
        for (int i = 0; i < point; i++) *o++ = i < n ? d[i] : '0';
        *o++ = '.';
        if (n <= point) *o++ = '0';
        for (int i = point; i < n; i++) *o++ = d[i];
    } else {
        *o++ = d[0];
        *o++ = '.';
        if (n == 1) *o++ = '0';
        memcpy(o, d + 1, (size_t)n - 1);
        o += n - 1;
        *o++ = 'E';
        o += qd_i64_print(o, point - 1);
    }
    *o = 0;
    return (size_t)(o - out);
}

static size_t text(char *out, const char *s)
{
    size_t n = strlen(s);
    memcpy(out, s, n + 1);
    return n;
}

static size_t print(char *out, uint64_t bits, float_format fmt)
{
    uint64_t t = bits & (((uint64_t)1 << (fmt.bits - 1)) - 1);
    int field_max = 2 * fmt.exp_max + 1;
    int bq = (int)(bits >> (fmt.bits - 1)) & field_max;
    bool negative = bits >> (fmt.bits == 53 ? 63 : 31) & 1;
    if (bq == field_max && t) return text(out, "NaN");
    if (negative) *out++ = '-';
    if (bq == field_max) return text(out, "Infinity") + negative;
    if (bq == 0 && t == 0) return text(out, "0.0") + negative;
    return layout(out, choose(t, bq, fmt)) + negative;
}

size_t qd_f64_print(char out[QD_F64_TEXT_MAX], double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return print(out, bits, FORMAT_F64);
}

size_t qd_f32_print(char out[QD_F64_TEXT_MAX], float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return print(out, bits, FORMAT_F32);
}
