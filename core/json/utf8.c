/*
 * utf8.c: UTF-8 checked 64 bytes at a time by look-up of nibbles (Keiser and Lemire, "Validating
 * UTF-8 in less than one instruction per byte", 2021); elsewhere and for the place of an error by
 * the scalar check of base.
 */
#include "base/utf8.h"
#include "json/reader_int.h"
#if defined(__SSSE3__)
#include <tmmintrin.h>

enum {
    TOO_SHORT = 1,
    TOO_LONG = 2,
    OVER_3 = 4,
    TOO_LARGE = 8,
    SURROGATE = 16,
    OVER_2 = 32,
    LARGE_1000 = 64,
    OVER_4 = 64,
    TWO_CONTS = 128,
    CARRY = TOO_SHORT | TOO_LONG | TWO_CONTS,
};

static __m128i row(const uint8_t t[16])
{
    return _mm_loadu_si128((const __m128i *)(const void *)t);
}

/* Errors of the 16 bytes in, prev being the 16 before them. */
QD_INLINE __m128i check(__m128i in, __m128i prev, __m128i t1h, __m128i t1l, __m128i t2h)
{
    const __m128i nib = _mm_set1_epi8(15);
    __m128i p1 = _mm_alignr_epi8(in, prev, 15), p2 = _mm_alignr_epi8(in, prev, 14),
            p3 = _mm_alignr_epi8(in, prev, 13);
    __m128i special = _mm_and_si128(
        _mm_and_si128(_mm_shuffle_epi8(t1h, _mm_and_si128(_mm_srli_epi16(p1, 4), nib)),
                      _mm_shuffle_epi8(t1l, _mm_and_si128(p1, nib))),
        _mm_shuffle_epi8(t2h, _mm_and_si128(_mm_srli_epi16(in, 4), nib)));
    __m128i must = _mm_or_si128(_mm_subs_epu8(p2, _mm_set1_epi8(0xE0 - 0x80)),
                                _mm_subs_epu8(p3, _mm_set1_epi8(0xF0 - 0x80)));
    return _mm_xor_si128(_mm_and_si128(must, _mm_set1_epi8((char)0x80)), special);
}

static bool valid_vector(const char *from, const char *to, const char *safe)
{
    enum {
        X = CARRY | TOO_LARGE | LARGE_1000,
        Y = TOO_LONG | OVER_2 | TWO_CONTS | SURROGATE | TOO_LARGE
    };
    static const uint8_t first_high[16] = {TOO_LONG,
                                           TOO_LONG,
                                           TOO_LONG,
                                           TOO_LONG,
                                           TOO_LONG,
                                           TOO_LONG,
                                           TOO_LONG,
                                           TOO_LONG,
                                           TWO_CONTS,
                                           TWO_CONTS,
                                           TWO_CONTS,
                                           TWO_CONTS,
                                           TOO_SHORT | OVER_2,
                                           TOO_SHORT,
                                           TOO_SHORT | OVER_3 | SURROGATE,
                                           TOO_SHORT | TOO_LARGE | LARGE_1000 | OVER_4};
    static const uint8_t first_low[16] = {CARRY | OVER_3 | OVER_2 | OVER_4,
                                          CARRY | OVER_2,
                                          CARRY,
                                          CARRY,
                                          CARRY | TOO_LARGE,
                                          X,
                                          X,
                                          X,
                                          X,
                                          X,
                                          X,
                                          X,
                                          X,
                                          X | SURROGATE,
                                          X,
                                          X};
    static const uint8_t second_high[16] = {TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_LONG | OVER_2 | TWO_CONTS | OVER_3 | LARGE_1000 |
                                                OVER_4,
                                            TOO_LONG | OVER_2 | TWO_CONTS | OVER_3 | TOO_LARGE,
                                            Y,
                                            Y,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT,
                                            TOO_SHORT};
    __m128i t1h = row(first_high), t1l = row(first_low), t2h = row(second_high);
    __m128i zero = _mm_setzero_si128(), prev = zero;
    char tail[64];
    /* up to and with the byte at to, which shows a sequence that is cut off */
    for (const char *p = from; p <= to; p += 64) {
        const char *at = p;
        if (QD_UNLIKELY(safe - p < 64)) {
            size_t n = (size_t)(to - p) < 63 ? (size_t)(to - p) : 63;
            memset(tail, 0, sizeof tail);
            memcpy(tail, p, n + 1);
            at = tail;
        }
        __m128i in[4], e[4];
        for (int i = 0; i < 4; i++) in[i] = row((const uint8_t *)at + 16 * i);
        __m128i any = _mm_or_si128(_mm_or_si128(in[0], in[1]), _mm_or_si128(in[2], in[3]));
        if (_mm_movemask_epi8(_mm_or_si128(any, prev)) == 0) continue; /* and prev is like zeros */
        for (int i = 0; i < 4; i++) {
            e[i] = check(in[i], prev, t1h, t1l, t2h);
            prev = in[i];
        }
        uint64_t good = 0;
        for (int i = 0; i < 4; i++) {
            good |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(e[i], zero)) << 16 * i;
        }
        if (to - p < 63) good |= UINT64_MAX << (to - p) << 1; /* behind it stands anything */
        if (good != UINT64_MAX) return false;
    }
    return true;
}
#else
static bool valid_vector(const char *from, const char *to, const char *safe)
{
    (void)safe;
    return qd_utf8_valid((qd_str){from, (size_t)(to - from)}, NULL);
}
#endif

bool qdi_json_utf8(const char *from, const char *to, const char *safe, const char **bad)
{
    if (QD_LIKELY(valid_vector(from, to, safe))) return true;
    size_t at = 0;
    /* impossible that it is valid: the tests compare both */
    if (qd_utf8_valid((qd_str){from, (size_t)(to - from)}, &at)) return true;
    *bad = from + at;
    return false;
}
