/*
 * number_read.c: decimal text to integers, doubles and floats. See number.h.
 *
 * A number is taken apart into at most 19 digits and a power of ten. Small ones are exact in a
 * double (Clinger); others are multiplied by a 128-bit power of ten (Eisel-Lemire, here after the
 * form of N. Tao's for Go, whose table is rounded down), which is certain but for a few in a
 * million. Those, and subnormals, are divided out by big integers.
 */
#include "base/str.h"
#include "json/number_int.h"
#include <math.h>
#include <string.h>

typedef struct decimal {
    uint64_t man;  /* the first 19 significant digits */
    int64_t exp10; /* value = man * 10^exp10 */
    bool negative;
    bool cut;         /* more significant digits follow */
    qd_str digits;    /* all digits with the point, no sign, no exponent */
    int64_t exp_text; /* the exponent as written */
} decimal;

enum { GRAMMAR_JSON, GRAMMAR_JAVA };

/* Digits from p on into d; *seen counts the significant ones. */
static const char *take_digits(const char *p, const char *end, decimal *d, int *seen, bool fraction)
{
    for (; p < end && (unsigned)(*p - '0') <= 9; p++) {
        unsigned v = (unsigned)(*p - '0');
        if (*seen < 19) {
            d->man = d->man * 10 + v;
            *seen += d->man != 0;
            d->exp10 -= fraction;
        } else {
            d->cut |= v != 0;
            d->exp10 += !fraction;
        }
    }
    return p;
}

static const char *take_exponent(const char *p, const char *end, decimal *d)
{
    bool neg = false;
    if (p < end && (*p == '+' || *p == '-')) neg = *p++ == '-';
    if (p >= end || (unsigned)(*p - '0') > 9) return NULL;
    int64_t e = 0;
    for (; p < end && (unsigned)(*p - '0') <= 9; p++) {
        if (e < 100000000000) e = e * 10 + (*p - '0');
    }
    d->exp_text = neg ? -e : e;
    d->exp10 += d->exp_text;
    return p;
}

/* Takes s apart; false when it does not follow the grammar. */
static bool take_apart(qd_str s, int grammar, decimal *d)
{
    const char *p = s.p, *end = s.p + s.n;
    int seen = 0;
    *d = (decimal){0};
    if (p < end && (*p == '-' || (grammar == GRAMMAR_JAVA && *p == '+'))) d->negative = *p++ == '-';
    const char *from = p;
    p = take_digits(p, end, d, &seen, false);
    size_t whole = (size_t)(p - from), part = 0;
    if (grammar == GRAMMAR_JSON && (whole == 0 || (*from == '0' && whole > 1))) return false;
    if (p < end && *p == '.') {
        const char *point = p;
        p = take_digits(p + 1, end, d, &seen, true);
        part = (size_t)(p - point - 1);
        if (grammar == GRAMMAR_JSON && part == 0) return false;
    }
    if (whole + part == 0) return false;
    d->digits = (qd_str){from, (size_t)(p - from)};
    if (p < end && (*p | 32) == 'e') {
        p = take_exponent(p + 1, end, d);
        if (!p) return false;
    }
    return p == end;
}

/* --- Eisel-Lemire -------------------------------------------------------------------------- */

/* Bits of man * 10^exp10 without sign; false when it cannot tell. */
static bool eisel_lemire(uint64_t man, int64_t exp10, float_format f, uint64_t *bits)
{
    if (exp10 < POW10_MIN || exp10 > POW10_MAX) return false;
    int clz = __builtin_clzll(man);
    int extra = 64 - (f.bits + 2); /* bits of the product below the rounding bit */
    uint64_t mask = ((uint64_t)1 << extra) - 1;
    const uint64_t *pow = qdi_json_pow10[exp10 - POW10_MIN];
    man <<= clz;
    int64_t e2 = ((217706 * exp10) >> 16) + 64 + f.exp_max - clz;

    unsigned __int128 x = (unsigned __int128)man * pow[0];
    uint64_t hi = (uint64_t)(x >> 64), lo = (uint64_t)x;
    if ((hi & mask) == mask && lo + man < man) { /* the low half of the power may carry into it */
        unsigned __int128 y = (unsigned __int128)man * pow[1];
        uint64_t yhi = (uint64_t)(y >> 64), ylo = (uint64_t)y;
        uint64_t merged = lo + yhi, high = hi + (merged < lo);
        if ((high & mask) == mask && merged + 1 == 0 && ylo + man < man) return false;
        hi = high;
        lo = merged;
    }
    uint64_t msb = hi >> 63, m = hi >> (msb + (unsigned)extra);
    e2 -= 1 ^ (int64_t)msb;
    if (lo == 0 && (hi & mask) == 0 && (m & 3) == 1) return false; /* half way, as far as seen */
    m += m & 1;
    m >>= 1;
    if (m >> f.bits) {
        m >>= 1;
        e2++;
    }
    if (e2 < 1 || e2 > 2 * (int64_t)f.exp_max) return false; /* subnormal, or overflow */
    uint64_t hidden = (uint64_t)1 << (f.bits - 1);
    *bits = (uint64_t)e2 << (f.bits - 1) | (m & (hidden - 1));
    return true;
}

/* --- exact, by big integers ---------------------------------------------------------------- */

#define LIMBS 80        /* 5,120 bits: 801 digits over 10^1201, shifted, need 4,100 */
#define DIGITS_USED 800 /* 767 decide every double; what follows only breaks ties */

typedef struct big {
    uint64_t at[LIMBS];
    int n;
} big;

static void big_mul_add(big *b, uint64_t mul, uint64_t add)
{
    unsigned __int128 carry = add;
    for (int i = 0; i < b->n; i++) {
        carry += (unsigned __int128)b->at[i] * mul;
        b->at[i] = (uint64_t)carry;
        carry >>= 64;
    }
    if (carry) {
        qd_assert(b->n < LIMBS);
        b->at[b->n++] = (uint64_t)carry;
    }
}

static void big_pow10(big *b, int64_t e)
{
    for (; e >= 19; e -= 19) big_mul_add(b, 10000000000000000000u, 0);
    for (; e > 0; e--) big_mul_add(b, 10, 0);
}

static int big_bits(const big *b)
{
    return b->n * 64 - __builtin_clzll(b->at[b->n - 1]);
}

static void big_shift(big *b, int by)
{
    int words = by / 64, bits = by % 64;
    qd_assert(b->n + words + 1 <= LIMBS);
    uint64_t carry = 0;
    for (int i = 0; bits && i < b->n; i++) {
        uint64_t v = b->at[i];
        b->at[i] = v << bits | carry;
        carry = v >> (64 - bits);
    }
    if (carry) b->at[b->n++] = carry;
    memmove(b->at + words, b->at, (size_t)b->n * sizeof b->at[0]);
    memset(b->at, 0, (size_t)words * sizeof b->at[0]);
    b->n += words;
}

static int big_cmp(const big *a, const big *b)
{
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (int i = a->n - 1; i >= 0; i--) {
        if (a->at[i] != b->at[i]) return a->at[i] < b->at[i] ? -1 : 1;
    }
    return 0;
}

static void big_sub(big *a, const big *b) /* a >= b */
{
    uint64_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        uint64_t y = i < b->n ? b->at[i] : 0;
        unsigned __int128 v = (unsigned __int128)a->at[i] - y - borrow;
        a->at[i] = (uint64_t)v;
        borrow = (uint64_t)(v >> 64) & 1;
    }
    while (a->n > 0 && a->at[a->n - 1] == 0) a->n--;
}

/* Rounds q (top bit set, value q * 2^(e2 - 63), sticky: plus something) to the format's bits. */
static uint64_t round_bits(uint64_t q, int e2, bool sticky, float_format f)
{
    int keep = e2 < f.exp_min ? f.bits - (f.exp_min - e2) : f.bits;
    if (e2 > f.exp_max) return (uint64_t)(2 * f.exp_max + 1) << (f.bits - 1);
    if (keep < 0) return 0;
    uint64_t m = 0, rest = q, half = (uint64_t)1 << 63;
    if (keep > 0) {
        int shift = 64 - keep;
        m = q >> shift;
        rest = q & (((uint64_t)1 << shift) - 1);
        half = (uint64_t)1 << (shift - 1);
    }
    if (rest > half || (rest == half && (sticky || (m & 1)))) m++;
    if (e2 < f.exp_min) return m;
    /* the hidden bit adds one to the exponent field, a carry out of m another */
    return ((uint64_t)(e2 + f.exp_max - 1) << (f.bits - 1)) + m;
}

static uint64_t exact_bits(const decimal *d, float_format f)
{
    big num = {.at = {0}, .n = 0}, den = {.at = {1}, .n = 1};
    int used = 0;
    int64_t e = d->exp_text;
    bool fraction = false, rest = false;
    for (size_t i = 0; i < d->digits.n; i++) {
        char c = d->digits.p[i];
        if (c == '.') {
            fraction = true;
            continue;
        }
        if (used < DIGITS_USED) {
            if (used || c != '0') {
                used++;
                if (num.n)
                    big_mul_add(&num, 10, (uint64_t)(c - '0'));
                else
                    num.at[num.n++] = (uint64_t)(c - '0');
            }
            e -= fraction;
        } else {
            rest |= c != '0';
            e += !fraction;
        }
    }
    if (num.n == 0 || e + used < -400) return 0;
    if (e + used > 400) return (uint64_t)(2 * f.exp_max + 1) << (f.bits - 1);
    if (rest) {
        big_mul_add(&num, 10, 1);
        e--;
    }
    if (e > 0) big_pow10(&num, e);
    if (e < 0) big_pow10(&den, -e);
    int k = big_bits(&num) - big_bits(&den);
    big_shift(k > 0 ? &den : &num, k > 0 ? k : -k);
    uint64_t q = 0;
    for (int i = 0; i < 64; i++) {
        q <<= 1;
        if (num.n && big_cmp(&num, &den) >= 0) {
            big_sub(&num, &den);
            q |= 1;
        }
        if (num.n) big_shift(&num, 1);
    }
    int lz = __builtin_clzll(q);
    return round_bits(q << lz, k - lz, num.n > 0, f);
}

static uint64_t decimal_bits(const decimal *d, float_format f)
{
    uint64_t bits, above;
    if (d->man == 0) return 0;
    if (eisel_lemire(d->man, d->exp10, f, &bits)) {
        if (!d->cut) return bits;
        /* with digits left out the value lies between man and man + 1 */
        if (eisel_lemire(d->man + 1, d->exp10, f, &above) && above == bits) return bits;
    }
    return exact_bits(d, f);
}

/* --- doubles and floats -------------------------------------------------------------------- */

static double decimal_f64(const decimal *d)
{
    static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double v;
    if (!d->cut && d->man <= (uint64_t)1 << 53 && d->exp10 >= -22 && d->exp10 <= 22) {
        v = (double)d->man; /* both are exact: one rounding */
        v = d->exp10 < 0 ? v / pow10[-d->exp10] : v * pow10[d->exp10];
    } else {
        uint64_t bits = decimal_bits(d, FORMAT_F64);
        memcpy(&v, &bits, sizeof v);
    }
    return d->negative ? -v : v;
}

static float decimal_f32(const decimal *d)
{
    static const float pow10[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
                                  1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
    float v;
    if (!d->cut && d->man <= (uint64_t)1 << 24 && d->exp10 >= -10 && d->exp10 <= 10) {
        v = (float)d->man; /* both are exact: one rounding */
        v = d->exp10 < 0 ? v / pow10[-d->exp10] : v * pow10[d->exp10];
    } else {
        uint32_t bits = (uint32_t)decimal_bits(d, FORMAT_F32);
        memcpy(&v, &bits, sizeof v);
    }
    return d->negative ? -v : v;
}

int qd_f64_parse(qd_str s, double *out)
{
    decimal d;
    if (!take_apart(s, GRAMMAR_JSON, &d)) return QD_E_ARG;
    *out = decimal_f64(&d);
    return QD_UNLIKELY(isinf(*out)) ? QD_E_LIMIT : 0;
}

int qd_f32_parse(qd_str s, float *out)
{
    decimal d;
    if (!take_apart(s, GRAMMAR_JSON, &d)) return QD_E_ARG;
    *out = decimal_f32(&d);
    return QD_UNLIKELY(isinf(*out)) ? QD_E_LIMIT : 0;
}

/* "NaN", "Infinity" with a sign, as Double.parseDouble takes them. */
static bool java_special(qd_str s, double *out)
{
    bool neg = false;
    if (s.n && (s.p[0] == '+' || s.p[0] == '-')) {
        neg = s.p[0] == '-';
        s = qd_str_sub(s, 1, s.n);
    }
    if (qd_str_is(s, "NaN"))
        *out = (double)NAN;
    else if (qd_str_is(s, "Infinity"))
        *out = neg ? -HUGE_VAL : HUGE_VAL;
    else
        return false;
    return true;
}

static bool java_apart(qd_str s, decimal *d, double *special)
{
    s = qd_str_trim(s);
    if (java_special(s, special)) return d->man = 1, true;
    if (s.n > 1) {
        char last = (char)(s.p[s.n - 1] | 32);
        if (last == 'd' || last == 'f') s.n--;
    }
    *special = 0;
    return take_apart(s, GRAMMAR_JAVA, d);
}

int qd_f64_parse_java(qd_str s, double *out)
{
    decimal d;
    double special;
    if (!java_apart(s, &d, &special)) return QD_E_ARG;
    *out = special != 0 ? special : decimal_f64(&d);
    return 0;
}

int qd_f32_parse_java(qd_str s, float *out)
{
    decimal d;
    double special;
    if (!java_apart(s, &d, &special)) return QD_E_ARG;
    *out = special != 0 ? (float)special : decimal_f32(&d);
    return 0;
}

/* --- integers ------------------------------------------------------------------------------ */

static int parse_magnitude(qd_str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0) return QD_E_ARG;
    for (size_t i = 0; i < s.n; i++) {
        uint64_t c = (unsigned char)s.p[i] - (uint64_t)'0';
        if (c > 9) return QD_E_ARG;
        if (QD_UNLIKELY(i >= 19) &&
            (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, c, &v))) {
            for (; i < s.n; i++) {
                if ((unsigned)(s.p[i] - '0') > 9) return QD_E_ARG;
            }
            return QD_E_LIMIT;
        }
        if (i < 19) v = v * 10 + c;
    }
    *out = v;
    return 0;
}

static int with_sign(uint64_t v, bool negative, int64_t *out)
{
    if (v > (uint64_t)INT64_MAX + negative) return QD_E_LIMIT;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int qd_i64_parse(qd_str s, int64_t *out)
{
    uint64_t v;
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (negative || s.p[0] == '+')) s = qd_str_sub(s, 1, s.n);
    int rc = parse_magnitude(s, &v);
    return rc ? rc : with_sign(v, negative, out);
}

int qd_u64_parse(qd_str s, uint64_t *out)
{
    if (s.n && s.p[0] == '+') s = qd_str_sub(s, 1, s.n);
    return parse_magnitude(s, out);
}

/* Whole part of |d|, all of whose digits are in man, and whether that is all of it. */
static int whole_part(const decimal *d, uint64_t *out, bool *exact)
{
    uint64_t v = d->man;
    int64_t e = d->exp10;
    *exact = true;
    for (; e > 0 && v; e--) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return QD_E_LIMIT;
    }
    for (; e < 0 && v; e++) {
        if (v % 10) *exact = false;
        v /= 10;
    }
    *out = v;
    return 0;
}

/* Whole part digit by digit, for numbers of more than 19 significant digits. */
static int whole_part_long(const decimal *d, uint64_t *out, bool *exact)
{
    int64_t whole = d->exp_text; /* digits of the text before the point, moved by the exponent */
    bool point = false;
    for (size_t i = 0; i < d->digits.n; i++) {
        if (d->digits.p[i] == '.')
            point = true;
        else if (!point)
            whole++;
    }
    uint64_t v = 0;
    int64_t at = 0;
    *exact = true;
    for (size_t i = 0; i < d->digits.n; i++) {
        uint64_t c = (unsigned char)d->digits.p[i] - (uint64_t)'0';
        if (d->digits.p[i] == '.') continue;
        if (at++ >= whole) {
            *exact &= c == 0;
        } else if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
                   __builtin_add_overflow(v, c, &v)) {
            return QD_E_LIMIT;
        }
    }
    for (; v && at < whole; at++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return QD_E_LIMIT;
    }
    *out = v;
    return 0;
}

static int parse_whole(qd_str s, uint64_t *v, bool *negative, bool *exact)
{
    decimal d;
    if (!take_apart(s, GRAMMAR_JAVA, &d)) return QD_E_ARG;
    *negative = d.negative;
    return d.cut ? whole_part_long(&d, v, exact) : whole_part(&d, v, exact);
}

int qd_i64_parse_decimal(qd_str s, int64_t *out, bool *exact)
{
    uint64_t v;
    bool negative, all;
    int rc = parse_whole(s, &v, &negative, &all);
    if (rc == 0) rc = with_sign(v, negative, out);
    if (rc == 0 && exact) *exact = all;
    return rc;
}

int qd_u64_parse_decimal(qd_str s, uint64_t *out, bool *exact)
{
    uint64_t v;
    bool negative, all;
    int rc = parse_whole(s, &v, &negative, &all);
    if (rc) return rc;
    if (negative && v) return QD_E_LIMIT;
    *out = v;
    if (exact) *exact = all;
    return 0;
}
