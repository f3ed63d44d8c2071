/* vec_t.c: every table of kernels of vectors gives the scalar's bits, at any size, alignment and
 * choice of rows; the scalar is near to what sums in double give. */
#include "mapping/ann/vec.h"
#include "runtime/cpu.h"
#include "unit/unit.h"
#include <math.h>
#include <stdlib.h>

#define ROWS 23u
#define SIZE_MAX_HERE 3000u

static uint64_t seed = 9;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static uint32_t tables(const qd_vec_kern **t)
{
    uint32_t n = 0;
    (void)t; /* there may be none but the scalar */
#if defined(__x86_64__)
    if (qd_cpu_level() >= QD_CPU_V3) t[n++] = &qd_vec_avx2;
    if (qd_cpu_level() >= QD_CPU_V4) t[n++] = &qd_vec_avx512;
#elif defined(__aarch64__)
    t[n++] = &qd_vec_neon;
#endif
    return n;
}

/* Sizes about the steps of all kernels, and others. */
static uint32_t a_size(int round)
{
    return round < 200 ? 1 + (uint32_t)round : 1 + rnd(SIZE_MAX_HERE);
}

/* Rows that end where their memory does: who reads behind one is seen by the sanitizers. */
static char *rows_of(size_t row, uint32_t shift, char **block)
{
    *block = malloc(ROWS * row + shift);
    assert_non_null(*block);
    return *block + shift;
}

static uint32_t pick(uint32_t at[ROWS])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        if (rnd(2)) at[n++] = i;
    return n;
}

static void floats_are_the_same_bits(void **state)
{
    (void)state;
    const qd_vec_kern *t[4];
    uint32_t nt = tables(t), at[ROWS];
    static float q[SIZE_MAX_HERE + QD_VEC_LANES];
    for (int round = 0; round < 600; round++) {
        uint32_t size = a_size(round), n = rnd(2) ? ROWS : pick(at);
        char *block, *rows = rows_of(size * sizeof(float), rnd(8), &block);
        const uint32_t *places = n == ROWS ? NULL : at;
        memset(q, 0, sizeof q);
        for (uint32_t i = 0; i < size; i++) q[i] = (float)rnd(20001) / 10000 - 1;
        for (uint32_t i = 0; i < ROWS * size; i++) {
            float v = (float)rnd(20001) / 10000 - 1;
            memcpy(rows + i * sizeof v, &v, sizeof v);
        }
        float want[2][ROWS] = {{0}}, got[2][ROWS] = {{0}};
        qd_vec_scalar.dot_f32(q, rows, size * sizeof(float), places, n, size, want[0]);
        qd_vec_scalar.l2_f32(q, rows, size * sizeof(float), places, n, size, want[1]);
        for (uint32_t k = 0; k < nt; k++) {
            t[k]->dot_f32(q, rows, size * sizeof(float), places, n, size, got[0]);
            t[k]->l2_f32(q, rows, size * sizeof(float), places, n, size, got[1]);
            assert_memory_equal(want, got, sizeof want);
        }
        for (uint32_t i = 0; i < n; i++) {
            double dot = 0, l2 = 0;
            for (uint32_t d = 0; d < size; d++) {
                float v;
                memcpy(&v, rows + ((places ? at[i] : i) * size + d) * sizeof v, sizeof v);
                dot += (double)q[d] * (double)v;
                l2 += ((double)q[d] - (double)v) * ((double)q[d] - (double)v);
            }
            assert_true(fabs(dot - (double)want[0][i]) < 1e-3);
            assert_true(fabs(l2 - (double)want[1][i]) < 1e-3);
        }
        free(block);
    }
}

static void bytes_and_bits_are_exact(void **state)
{
    (void)state;
    const qd_vec_kern *t[4];
    uint32_t nt = tables(t), at[ROWS];
    t[nt++] = &qd_vec_scalar;
    static int8_t q[SIZE_MAX_HERE + QD_VEC_LANES];
    for (int round = 0; round < 600; round++) {
        uint32_t size = a_size(round), n = rnd(2) ? ROWS : pick(at);
        char *block, *rows = rows_of(size, rnd(8), &block);
        const uint32_t *places = n == ROWS ? NULL : at;
        bool extreme = rnd(4) == 0;
        memset(q, 0, sizeof q);
        for (uint32_t i = 0; i < size; i++) q[i] = (int8_t)(extreme ? -128 : (int)rnd(256) - 128);
        for (uint32_t i = 0; i < ROWS * size; i++)
            rows[i] = (char)(extreme ? (rnd(2) ? 127 : -128) : (int)rnd(256) - 128);
        for (uint32_t k = 0; k < nt; k++) {
            int32_t dots[ROWS], squares[ROWS], differ[ROWS];
            t[k]->dot_i8(q, rows, size, places, n, size, dots);
            t[k]->l2_i8(q, rows, size, places, n, size, squares);
            t[k]->hamming((const uint8_t *)q, rows, size, places, n, size, differ);
            for (uint32_t i = 0; i < n; i++) {
                int64_t dot = 0, l2 = 0, bits = 0;
                for (uint32_t d = 0; d < size; d++) {
                    int v = (int8_t)rows[(places ? at[i] : i) * size + d];
                    dot += q[d] * v;
                    l2 += (q[d] - v) * (q[d] - v);
                    bits += __builtin_popcount((unsigned)(uint8_t)(q[d] ^ v));
                }
                assert_true(dots[i] == dot && squares[i] == l2 && differ[i] == bits);
            }
        }
        free(block);
    }
}

/* The longest rows of bytes do not overflow. */
static void long_rows_do_not_overflow(void **state)
{
    (void)state;
    enum { SIZE = 32768 };
    const qd_vec_kern *t[4];
    uint32_t nt = tables(t);
    t[nt++] = &qd_vec_scalar;
    int8_t *q = calloc(SIZE + QD_VEC_LANES, 1);
    char *row = malloc(SIZE);
    assert_true(q && row);
    memset(q, -128, SIZE);
    memset(row, 127, SIZE);
    for (uint32_t k = 0; k < nt; k++) {
        int32_t dot, l2;
        t[k]->dot_i8(q, row, SIZE, NULL, 1, SIZE, &dot);
        t[k]->l2_i8(q, row, SIZE, NULL, 1, SIZE, &l2);
        assert_int_equal(dot, -128 * 127 * SIZE);
        assert_int_equal(l2, 255 * 255 * SIZE);
    }
    free(q);
    free(row);
}

/* Number i of a row of codes. */
static int64_t code_at(const char *row, uint32_t bits, uint32_t size, uint32_t i)
{
    const uint8_t *p = (const uint8_t *)row;
    return bits == 7   ? p[i]
           : bits == 4 ? (i < size ? p[i] & 15 : p[i - size] >> 4)
                       : p[i / 8] >> i % 8 & 1;
}

/* size: elements of 7 bits, else bytes. */
static void check_codes(const qd_vec_kern *t, uint32_t bits, const int8_t *q, const char *rows,
                        uint32_t size, const uint32_t *places, uint32_t n)
{
    int32_t got[ROWS];
    (bits == 7   ? t->dot_u7
     : bits == 4 ? t->dot_u4
                 : t->dot_u1)(q, rows, size, places, n, size, got);
    for (uint32_t i = 0; i < n; i++) {
        const char *row = rows + (places ? places[i] : i) * size;
        int64_t want = 0;
        for (uint32_t d = 0; d < (bits == 7 ? size : bits == 4 ? 2 * size : 8 * size); d++)
            want += q[d] * code_at(row, bits, size, d);
        assert_int_equal(got[i], want);
    }
}

static void codes_are_exact(void **state)
{
    (void)state;
    const qd_vec_kern *t[4];
    uint32_t nt = tables(t), at[ROWS];
    t[nt++] = &qd_vec_scalar;
    static int8_t q[8 * SIZE_MAX_HERE + 2 * QD_VEC_LANES];
    for (int round = 0; round < 300; round++) {
        uint32_t size = a_size(round), n = rnd(2) ? ROWS : pick(at);
        const uint32_t *places = n == ROWS ? NULL : at;
        bool extreme = rnd(4) == 0;
        memset(q, 0, sizeof q);
        for (uint32_t bits = 7; bits; bits = bits == 7 ? 4 : bits == 4 ? 1 : 0) {
            uint32_t row = bits == 1 ? (size + 7) / 8 * 8 : size;
            char *block, *rows = rows_of(row, rnd(8), &block);
            uint32_t elements = bits == 7 ? row : bits == 4 ? 2 * row : 8 * row;
            for (uint32_t i = 0; i < elements; i++)
                q[i] = (int8_t)(extreme ? -127 : (int)rnd(255) - 127);
            for (uint32_t i = 0; i < ROWS * row; i++)
                rows[i] = (char)(extreme ? 0x7f : bits == 7 ? rnd(128) : rnd(256));
            for (uint32_t k = 0; k < nt; k++) check_codes(t[k], bits, q, rows, row, places, n);
            free(block);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_the_same_bits),
        cmocka_unit_test(bytes_and_bits_are_exact),
        cmocka_unit_test(codes_are_exact),
        cmocka_unit_test(long_rows_do_not_overflow),
    };
    return unit_run(tests);
}
