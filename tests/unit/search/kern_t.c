/*
 * kern_t.c: every table of kernels gives the scalar's results, at any length; the best k keys are
 * those that sorting everything gives.
 */
#include "runtime/cpu.h"
#include "search/collect/topk.h"
#include "search/kernels/kern_int.h"
#include "unit/unit.h"
#include <float.h>

static uint64_t seed = 5;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static uint32_t tables(const qd_kern **t)
{
    uint32_t n = 0;
    (void)t; /* there may be none but the scalar */
#if defined(__x86_64__)
    if (qd_cpu_level() >= QD_CPU_V3) t[n++] = &qd_kern_avx2;
    if (qd_cpu_level() >= QD_CPU_V4) t[n++] = &qd_kern_avx512;
#endif
    return n;
}

#define ROOM (5000 + QD_KERN_SLACK)

static void scores_are_the_same_bits(void **state)
{
    (void)state;
    const qd_kern *t[4];
    uint32_t nt = tables(t), freq[192], doc[192];
    uint8_t norm[1100];
    float ninv[272] = {0}, want[192], got[192];
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < 1100; i++) norm[i] = (uint8_t)rnd(256);
        for (int i = 0; i < 256; i++) ninv[i] = (float)(1 + rnd(100000)) / 50000;
        for (int i = 0; i < 192; i++) {
            freq[i] = 1 + rnd(rnd(4) ? 10 : 100000);
            doc[i] = rnd(1024);
        }
        uint32_t from = rnd(128), to = from + rnd(129 - from), mask = rnd(4) ? UINT32_MAX : 0;
        float w = (float)(1 + rnd(1000)) / 77;
        static float wants[9 * 256], gets[9 * 256];
        qd_kern_scalar.table(w, ninv, wants);
        qd_kern_scalar.score(freq, doc, mask, norm, ninv, w, want, from, to);
        for (uint32_t i = from; i < to; i++)
            if (freq[i] <= 8)
                assert_memory_equal(&wants[freq[i] * 256 + norm[doc[i] & mask]], &want[i], 4);
        for (uint32_t k = 0; k < nt; k++) {
            t[k]->table(w, ninv, gets);
            assert_memory_equal(wants + 256, gets + 256, 8 * 256 * sizeof *gets);
            t[k]->score(freq, doc, mask, norm, ninv, w, got, from, to);
            if (to > from) assert_memory_equal(want + from, got + from, (to - from) * sizeof *got);
        }
    }
}

static void nearness_is_the_same(void **state)
{
    (void)state;
    const qd_kern *t[4];
    uint32_t nt = tables(t), a[200], b[200];
    for (int round = 0; round < 2000; round++) {
        uint32_t na = 1 + rnd(round % 3 ? 20 : 200), nb = 1 + rnd(round % 5 ? 20 : 200);
        uint32_t slop = rnd(round % 2 ? 4 : 1u << 29), most = rnd(2) ? 10000 : 0x7fffffff, want = 0;
        for (uint32_t i = 0; i < na; i++) a[i] = rnd(most);
        for (uint32_t i = 0; i < nb; i++) b[i] = rnd(most);
        for (uint32_t i = 0; i < na; i++)
            for (uint32_t k = 0; k < nb; k++)
                want |= (a[i] > b[k] ? a[i] - b[k] : b[k] - a[i]) <= slop;
        assert_int_equal(qd_kern_scalar.near(a, na, b, nb, slop), want);
        for (uint32_t k = 0; k < nt; k++) assert_int_equal(t[k]->near(a, na, b, nb, slop), want);
    }
}

static void bounds_of_ranges_are_the_same(void **state)
{
    (void)state;
    const qd_kern *t[4];
    uint32_t nt = tables(t);
    static uint8_t cls[ROOM];
    static uint16_t a[ROOM], b[ROOM], tab[64];
    static uint32_t want[ROOM], got[ROOM];
    for (int round = 0; round < 200; round++) {
        uint32_t n = 1 + rnd(4000);
        memset(cls, 0, sizeof cls);
        for (uint32_t i = 0; i < n; i++) cls[i] = (uint8_t)(rnd(3) ? rnd(64) : 0);
        for (int i = 1; i < 64; i++) tab[i] = (uint16_t)(1 + rnd(30000));
        for (uint32_t k = 0; k < nt; k++) {
            memset(a, 0, sizeof a);
            for (uint32_t i = 0; i < n; i++) a[i] = (uint16_t)(rnd(3) ? rnd(30000) : 0);
            memcpy(b, a, sizeof b);
            if (rnd(2)) {
                qd_kern_scalar.bound_add(cls, tab, a, n);
                t[k]->bound_add(cls, tab, b, n);
            } else {
                qd_kern_scalar.bound_and(cls, tab, a, n);
                t[k]->bound_and(cls, tab, b, n);
            }
            assert_memory_equal(a, b, n * sizeof *a);
            assert_int_equal(qd_kern_scalar.bound_max(a, n), t[k]->bound_max(a, n));
            uint16_t lo = (uint16_t)(1 + rnd(40000)),
                     hi = (uint16_t)(rnd(3) ? lo + rnd(20000) : 65535);
            size_t m = qd_kern_scalar.bound_select(a, n, lo, hi, want);
            assert_int_equal(m, t[k]->bound_select(a, n, lo, hi, got));
            if (m) assert_memory_equal(want, got, m * sizeof *want);
        }
    }
}

static void selections_and_lists_are_the_same(void **state)
{
    (void)state;
    const qd_kern *t[4];
    uint32_t nt = tables(t);
    static float s[ROOM];
    static double d[ROOM];
    static uint32_t want[ROOM], got[ROOM], wb[ROOM], gb[ROOM], x[ROOM], y[ROOM];
    static uint64_t bits[128], other[128], copy[128];
    static uint8_t bytes[4096 + 64], again[4096 + 64];
    for (int round = 0; round < 300; round++) {
        uint32_t n = 1 + rnd(4000), nx = 1 + rnd(300), ny = nx + rnd(1000), words = 1 + rnd(64);
        for (uint32_t i = 0; i < n; i++) s[i] = (float)rnd(1000), d[i] = (double)rnd(1000);
        for (uint32_t i = 0, v = 0; i < nx; i++) x[i] = v += 1 + rnd(20);
        for (uint32_t i = 0, v = 0; i < ny; i++) y[i] = v += 1 + rnd(6);
        for (uint32_t i = 0; i < 32; i++) y[ny + i] = UINT32_MAX;
        for (int i = 0; i < 128; i++)
            bits[i] = (uint64_t)rnd(1u << 31) << rnd(33), other[i] = ~(uint64_t)rnd(1u << 31);
        for (int i = 0; i < 4096; i++) bytes[i] = (uint8_t)rnd(2);
        for (uint32_t k = 0; k < nt; k++) {
            size_t m = qd_kern_scalar.at_least(s, n, 500, want);
            assert_int_equal(m, t[k]->at_least(s, n, 500, got));
            if (m) assert_memory_equal(want, got, m * sizeof *want);
            m = qd_kern_scalar.at_least_d(d, n, 700, want);
            assert_int_equal(m, t[k]->at_least_d(d, n, 700, got));
            if (m) assert_memory_equal(want, got, m * sizeof *want);
            assert_true(qd_kern_scalar.max_d(d, n) == t[k]->max_d(d, n));
            m = qd_kern_scalar.isect(x, nx, y, ny, want, wb);
            assert_int_equal(m, t[k]->isect(x, nx, y, ny, got, gb));
            for (size_t i = 0; i < m; i++) assert_true(want[i] == got[i] && wb[i] == gb[i]);
            for (uint32_t na = 1; na <= 16; na++) {
                uint32_t nb = 1 + rnd(round & 1 ? 12 : 100), diff = rnd(40) - 10u;
                uint32_t met = qd_kern_scalar.meet(x, na, y, nb, diff), naive = 0;
                for (uint32_t q = 0; q < na; q++)
                    for (uint32_t r = 0; r < nb; r++)
                        naive |= (uint32_t)(x[q] - q + diff == y[r] - r) << q;
                assert_int_equal(met, naive);
                assert_int_equal(met, t[k]->meet(x, na, y, nb, diff));
            }
            uint32_t at = rnd(y[ny - 1] + 2), h = ny < 128 ? ny : 128;
            assert_int_equal(qd_kern_scalar.rank(y, h, at), t[k]->rank(y, h, at));
            assert_int_equal(qd_kern_scalar.popcount(bits, words), t[k]->popcount(bits, words));
            assert_int_equal(qd_kern_scalar.popcount_and(bits, other, words),
                             t[k]->popcount_and(bits, other, words));
            m = qd_kern_scalar.bits_to_docs(bits, words, 64, want);
            assert_int_equal(m, t[k]->bits_to_docs(bits, words, 64, got));
            if (m) assert_memory_equal(want, got, m * sizeof *want);
            memcpy(copy, bits, sizeof copy);
            t[k]->and64(copy, other, words);
            for (uint32_t i = 0; i < words; i++) assert_true(copy[i] == (bits[i] & other[i]));
            memcpy(again, bytes, sizeof again);
            uint64_t sum = 0;
            for (int i = 0; i < 2048; i++) sum += again[i];
            assert_int_equal(t[k]->sum_clear(again, 2048), sum);
            for (int i = 0; i < 2048; i++) assert_int_equal(again[i], 0);
            assert_memory_equal(again + 2048, bytes + 2048, 2048);
        }
    }
}

static int falling(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

static void the_best_k_are_those_of_sorting_everything(void **state)
{
    (void)state;
    static uint64_t all[20000];
    qd_arena arena;
    qd_arena_init(&arena, NULL, 0);
    static const uint32_t ks[] = {0, 1, 10, 64, 65, 100, 1000, 5000, 30000};
    for (uint32_t i = 0; i < 9; i++)
        for (uint32_t kind = 0; kind < 4; kind++) {
            qd_topk q;
            assert_int_equal(qd_topk_init(&q, ks[i], &arena), 0);
            for (uint32_t d = 0; d < 20000; d++) { /* any, few different, falling, all the same */
                float s = kind == 0   ? (float)rnd(1u << 20) / 1000
                          : kind == 1 ? (float)rnd(5)
                          : kind == 2 ? 30.0f - (float)d / 1000
                                      : 1.0f;
                all[d] = qd_topk_key(s, d);
                if (ks[i] && s >= q.threshold) qd_topk_push(&q, s, d);
            }
            qd_topk_finish(&q);
            qsort(all, 20000, sizeof *all, falling);
            uint32_t n = ks[i] < 20000 ? ks[i] : 20000;
            assert_int_equal(q.n, n);
            if (n) assert_memory_equal(q.at, all, n * sizeof *all);
            qd_arena_reset(&arena);
        }
    qd_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_same_bits),
        cmocka_unit_test(nearness_is_the_same),
        cmocka_unit_test(bounds_of_ranges_are_the_same),
        cmocka_unit_test(selections_and_lists_are_the_same),
        cmocka_unit_test(the_best_k_are_those_of_sorting_everything),
    };
    return unit_run(tests);
}
