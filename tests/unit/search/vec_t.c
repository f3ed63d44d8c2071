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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_the_same_bits),
        cmocka_unit_test(bytes_and_bits_are_exact),
        cmocka_unit_test(long_rows_do_not_overflow),
    };
    return unit_run(tests);
}
