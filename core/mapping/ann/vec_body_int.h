/*
 * vec_body_int.h: the loops around the kernels of one file, which has defined
 *
 *   STEP_F, STEP_B            elements of a step: floats; bytes
 *   acc_f, dot_step_f, l2_step_f, fold_f    floats: accumulators, a whole step, their sum
 *   acc_b, dot_step_b, l2_step_b, hamming_step, u7_step, fold_b    the same of bytes
 *   u4_step(a, low, high, row)  STEP_B bytes of halves; u1_step(a, q, bits)  64 elements
 *
 * Steps read STEP elements of both; the end of a row is copied in front of zeros. For those of l2
 * the query has zeros there, too.
 */
#include <string.h>

#define ROW(NAME, T, ACC, ELEMENT, STEP, ONE_STEP, FOLD)                                           \
    static inline T NAME##_row(const ELEMENT *q, const char *row, uint32_t size)                   \
    {                                                                                              \
        ACC a = {0};                                                                               \
        uint32_t i = 0;                                                                            \
        for (; i + STEP <= size; i += STEP) ONE_STEP(&a, q + i, row + i * sizeof(ELEMENT));        \
        if (i < size) {                                                                            \
            char end[STEP * sizeof(ELEMENT)] = {0};                                                \
            memcpy(end, row + i * sizeof(ELEMENT), (size - i) * sizeof(ELEMENT));                  \
            ONE_STEP(&a, q + i, end);                                                              \
        }                                                                                          \
        return FOLD(&a);                                                                           \
    }                                                                                              \
    static void NAME(const ELEMENT *q, const char *rows, size_t stride, const uint32_t *at,        \
                     uint32_t n, uint32_t size, T *out)                                            \
    {                                                                                              \
        for (uint32_t i = 0; i < n; i++)                                                           \
            out[i] = NAME##_row(q, rows + (at ? at[i] : i) * stride, size);                        \
    }

ROW(dot_f32, float, acc_f, float, STEP_F, dot_step_f, fold_f)
ROW(l2_f32, float, acc_f, float, STEP_F, l2_step_f, fold_f)
ROW(dot_i8, int32_t, acc_b, int8_t, STEP_B, dot_step_b, fold_b)
ROW(l2_i8, int32_t, acc_b, int8_t, STEP_B, l2_step_b, fold_b)
ROW(dot_u7, int32_t, acc_b, int8_t, STEP_B, u7_step, fold_b)
#undef ROW

/* Rows of bits are short: what is no whole step is counted by words. */
static inline int32_t hamming_row(const uint8_t *q, const char *row, uint32_t size)
{
    acc_b a = {0};
    uint32_t i = 0;
    int32_t n = 0;
    uint64_t x = 0, y = 0;
    for (; i + STEP_B <= size; i += STEP_B) hamming_step(&a, q + i, row + i);
    if (i) n = fold_b(&a);
    for (; i + 8 <= size; i += 8) {
        memcpy(&x, q + i, 8);
        memcpy(&y, row + i, 8);
        n += __builtin_popcountll(x ^ y);
    }
    x = y = 0;
    if (i == size) return n;
    memcpy(&x, q + i, size - i);
    memcpy(&y, row + i, size - i);
    return n + __builtin_popcountll(x ^ y);
}

static void hamming(const uint8_t *q, const char *rows, size_t stride, const uint32_t *at,
                    uint32_t n, uint32_t size, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = hamming_row(q, rows + (at ? at[i] : i) * stride, size);
}

static inline int32_t u4_row(const int8_t *q, const char *row, uint32_t size)
{
    acc_b a = {0};
    uint32_t i = 0;
    for (; i + STEP_B <= size; i += STEP_B) u4_step(&a, q + i, q + size + i, row + i);
    if (i < size) {
        char end[STEP_B] = {0};
        memcpy(end, row + i, size - i);
        u4_step(&a, q + i, q + size + i, end);
    }
    return fold_b(&a);
}

static void dot_u4(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++) out[i] = u4_row(q, rows + (at ? at[i] : i) * stride, size);
}

static void dot_u1(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *row = rows + (at ? at[i] : i) * stride;
        acc_b a = {0};
        for (uint32_t k = 0; k < size; k += 8) {
            uint64_t bits;
            memcpy(&bits, row + k, sizeof bits);
            u1_step(&a, q + 8ul * k, bits);
        }
        out[i] = fold_b(&a);
    }
}

#define VEC_TABLE(NAME)                                                                            \
    {                                                                                              \
        NAME, dot_f32, l2_f32, dot_i8, l2_i8, hamming, dot_u7, dot_u4, dot_u1                      \
    }
