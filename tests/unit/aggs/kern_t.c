/*
 * kern_t.c: inner loops of aggregations: each instruction set gives the bits of the scalar ones,
 * and those give what plain arithmetic gives.
 */
#include "aggs/kernels/kern_int.h"
#include "runtime/cpu.h"
#include "unit/unit.h"
#include <math.h>

#if !defined(__x86_64__)
#define qdi_aggs_kernels_avx2                                                                      \
    qdi_aggs_kernels_scalar /* not reached: no level is above v2 there                             \
                             */
#endif

#define MOST 300u

static uint64_t seed;
static uint64_t random_next(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static const qdi_kernels *tables[2] = {&qdi_aggs_kernels_scalar, &qdi_aggs_kernels_avx2};
static uint32_t ntables(void)
{
    return qd_cpu_level() >= QD_CPU_V3 ? 2 : 1;
}

static void intervals_are_right(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 2000; round++) {
        int64_t v[MOST], step = 1 + (int64_t)(random_next() >> (16 + random_next() % 48));
        int64_t base = (int64_t)random_next() >> (round % 60);
        if (step >= 1ll << 50) step = 1ll << 40;
        uint32_t n = (uint32_t)(random_next() % MOST), out[MOST], want[MOST], most = 0;
        int64_t most_steps = ((1ll << 52) - 1) / step < 16384 ? ((1ll << 52) - 1) / step : 16384;
        for (uint32_t i = 0; i < n; i++) { /* beside the edges, mostly */
            int64_t q = (int64_t)(random_next() % (uint64_t)most_steps), r = step - 1;
            if (random_next() & 1) r = 0;
            if (random_next() % 4 == 0) r = (int64_t)(random_next() % (uint64_t)step);
            v[i] = (int64_t)((uint64_t)base + (uint64_t)(q * step + r));
            want[i] = (uint32_t)q;
            if (want[i] > most) most = want[i];
        }
        for (uint32_t k = 0; k < ntables(); k++) {
            assert_int_equal(tables[k]->steps(v, n, base, step, out), most);
            assert_memory_equal(out, want, n * sizeof *out);
        }
        for (uint32_t k = 0; k < ntables(); k++) {
            most = tables[k]->offsets(v, n, base, out);
            uint32_t seen = 0;
            for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(out[i], (uint32_t)((uint64_t)v[i] - (uint64_t)base));
                if (out[i] > seen) seen = out[i];
            }
            assert_int_equal(most, seen);
        }
    }
}

static void intervals_of_doubles_are_right(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 2000; round++) {
        double v[MOST],
            interval = ldexp(1 + (double)(random_next() % 1000) / 7, (int)(round % 40) - 20);
        double offset = ((double)(random_next() % 2000) - 1000) / 3;
        uint32_t n = (uint32_t)(random_next() % MOST), out[MOST], most = 0;
        const double first = -1010;
        for (uint32_t i = 0; i < n; i++) {
            double at = (double)(random_next() % 4000) - 1000;
            if (random_next() & 1) at += (double)(random_next() >> 11) * 0x1p-53;
            v[i] = offset + at * interval;
        }
        for (uint32_t k = 0; k < ntables(); k++) {
            uint32_t seen = 0;
            most = tables[k]->intervals(v, n, offset, interval, first, out);
            for (uint32_t i = 0; i < n; i++) {
                assert_true((double)out[i] == floor((v[i] - offset) / interval) - first);
                if (out[i] > seen) seen = out[i];
            }
            assert_int_equal(most, seen);
        }
    }
}

static void sums_have_the_same_bits(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 2000; round++) {
        int64_t v[MOST];
        double d[MOST], exact = 0;
        uint32_t n = (uint32_t)(random_next() % MOST);
        for (uint32_t i = 0; i < n; i++) {
            d[i] = ldexp((double)(int32_t)random_next(), (int)(random_next() % 12));
            v[i] = qd_sortable_f64(d[i]);
            exact += d[i]; /* exact: 31 + 11 + 9 bits */
        }
        qd_fsum sums[4] = {{{0}, {0}}};
        for (uint32_t k = 0; k < ntables(); k++) {
            tables[k]->sum_f64(d, n, &sums[2 * k]);
            tables[k]->sum_sortable(v, n, &sums[2 * k + 1]);
        }
        double sum = 0;
        for (uint32_t i = 0; i < QD_FSUM_LANES; i++) sum += sums[0].sum[i] - sums[0].low[i];
        assert_true(sum == exact);
        for (uint32_t k = 1; k < 2 * ntables(); k++)
            assert_memory_equal(&sums[0], &sums[k], sizeof sums[0]);
    }
}

static void parts_are_exact(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 2000; round++) {
        int64_t v[MOST];
        qdi_pair got[2][MOST] = {0};
        const double magic = ldexp(1.5, 36), tiny = 0x1p-3; /* of values below 2^20 */
        uint32_t n = (uint32_t)(random_next() % MOST);
        bool wanted = true;
        for (uint32_t i = 0; i < n; i++) {
            double d = (double)(int64_t)random_next() * 0x1p-44;
            if (random_next() % 16 == 0) d = 0;
            if (fabs(d) < tiny && d != 0 && round & 1) d = -tiny;
            wanted &= d == 0 || fabs(d) >= tiny;
            v[i] = qd_sortable_f64(d);
        }
        for (uint32_t k = 0; k < ntables(); k++) {
            assert_int_equal(tables[k]->split(v, n, magic, tiny, got[k]), wanted);
            for (uint32_t i = 0; i < n; i++) {
                static const uint32_t order[] = {0, 2, 1, 3};
                uint32_t at = i < (n & ~3u) ? (i & ~3u) + order[i & 3] : i;
                double d = qd_sortable_to_f64(v[at]);
                assert_true(got[k][i][0] + got[k][i][1] == d);
                assert_true(fmod(got[k][i][0], 0x1p-16) == 0 && fabs(got[k][i][1]) <= 0x1p-17);
            }
        }
        assert_memory_equal(got[0], got[ntables() - 1], n * sizeof got[0][0]);
    }
}

static void counters_add_up(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t v[2 * MOST], w[2 * MOST], n = (uint32_t)(random_next() % MOST);
        for (uint32_t i = 0; i < 2 * MOST; i++) v[i] = w[i] = (uint32_t)random_next();
        tables[ntables() - 1]->add_up(v, n, MOST);
        for (uint32_t i = 0; i < 2 * MOST; i++)
            assert_int_equal(v[i], i < n ? w[i] + w[i + MOST] : w[i]);
    }
}

int main(void)
{
    seed = 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_are_right),     cmocka_unit_test(intervals_of_doubles_are_right),
        cmocka_unit_test(sums_have_the_same_bits), cmocka_unit_test(parts_are_exact),
        cmocka_unit_test(counters_add_up),
    };
    return unit_run(tests);
}
