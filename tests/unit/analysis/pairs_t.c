/* pairs_t.c: words two by two, against lists written by hand and against a look at the positions.
 */
#include "analysis/pairs.h"
#include "runtime/env.h"
#include "unit/unit.h"

#define MAX 40

/* "first-second@position …", then "+end_inc". */
static const char *pairs_text(const uint32_t *inc, const uint32_t *length, size_t n, uint32_t end)
{
    static char out[4096];
    qd_word_pairs p = {0};
    qd_err e;
    size_t at = 0;
    int64_t pos = -1;
    qd_err_init(&e);
    assert_int_equal(qd_word_pairs_make(&p, NULL, inc, length, n, end, &e), 0);
    for (size_t i = 0; i < p.v.n; i++) {
        const qd_word_pair *x = &p.v.at[i];
        char second[12] = QD_PAIR_FILLER;
        if (x->second != QD_PAIR_HOLE) (void)snprintf(second, sizeof second, "%u", x->second);
        pos += x->inc;
        at += (size_t)snprintf(out + at, sizeof out - at, "%u-%s@%d ", x->first, second, (int)pos);
    }
    (void)snprintf(out + at, sizeof out - at, "+%u", p.end_inc);
    qd_vec_fini(&p.v);
    qd_err_fini(&e);
    return out;
}

static void lists_by_hand(void **state)
{
    (void)state;
    static const uint32_t hole[] = {1, 1, 2, 1}, first[] = {2, 1}, stacked[] = {1, 1, 0, 1};
    static const uint32_t last[] = {1, 1, 0}, wide[] = {1, 0, 1, 1}, span[] = {2, 1, 1, 1};
    assert_string_equal(pairs_text(NULL, NULL, 0, 2), "+2");
    assert_string_equal(pairs_text(NULL, NULL, 1, 0), "+1");
    assert_string_equal(pairs_text(NULL, NULL, 1, 1), "0-_@0 +1");
    assert_string_equal(pairs_text(NULL, NULL, 3, 0), "0-1@0 1-2@1 +1");
    assert_string_equal(pairs_text(hole, NULL, 4, 0), "0-1@0 1-_@1 2-3@3 +1");
    assert_string_equal(pairs_text(hole, NULL, 4, 3), "0-1@0 1-_@1 2-3@3 3-_@4 +3");
    assert_string_equal(pairs_text(first, NULL, 2, 0), "0-1@1 +1");
    assert_string_equal(pairs_text(stacked, NULL, 4, 0), "0-1@0 0-2@0 1-3@1 2-3@1 +1");
    assert_string_equal(pairs_text(last, NULL, 3, 0), "0-1@0 0-2@0 +1");
    /* "new york" beside "ny" of two positions, then a word */
    assert_string_equal(pairs_text(wide, span, 4, 0), "0-3@0 1-2@0 2-3@1 +1");
}

/* Texts with holes and without stacks: a pair or a filler for each word, where the word stands. */
static void plain_texts(void **state)
{
    (void)state;
    qd_prng r;
    qd_prng_init(&r, 7);
    for (int round = 0; round < 2000; round++) {
        uint32_t inc[MAX], end = (uint32_t)qd_prng_below(&r, 3);
        size_t n = 1 + qd_prng_below(&r, MAX), at = 0;
        int64_t pos = -1;
        char want[4096] = "";
        for (size_t i = 0; i < n; i++)
            inc[i] = qd_prng_below(&r, 4) ? 1 : 1 + (uint32_t)qd_prng_below(&r, 3);
        for (size_t i = 0; i < n; i++) {
            pos += inc[i];
            bool next = i + 1 < n && inc[i + 1] == 1, gap = i + 1 < n ? inc[i + 1] > 1 : end > 0;
            if (next)
                at += (size_t)snprintf(want + at, sizeof want - at, "%zu-%zu@%d ", i, i + 1,
                                       (int)pos);
            if (gap) at += (size_t)snprintf(want + at, sizeof want - at, "%zu-_@%d ", i, (int)pos);
        }
        (void)snprintf(want + at, sizeof want - at, "+%u", end + (end ? 0 : inc[n - 1]));
        assert_string_equal(pairs_text(inc, NULL, n, end), want);
    }
}

/* Whatever the stacks: pairs stand where their first words stand, and nothing is lost behind. */
static void positions_are_kept(void **state)
{
    (void)state;
    qd_prng r;
    qd_prng_init(&r, 8);
    for (int round = 0; round < 2000; round++) {
        uint32_t inc[MAX], length[MAX], end = (uint32_t)qd_prng_below(&r, 3);
        size_t n = 1 + qd_prng_below(&r, MAX);
        int64_t pos = -1, where[MAX], all;
        qd_word_pairs p = {0};
        qd_err e;
        qd_err_init(&e);
        for (size_t i = 0; i < n; i++) {
            inc[i] = i ? (uint32_t)qd_prng_below(&r, 4) : 1;
            length[i] = 1 + (uint32_t)qd_prng_below(&r, 3);
            where[i] = pos += inc[i];
        }
        all = pos + end;
        assert_int_equal(qd_word_pairs_make(&p, NULL, inc, length, n, end, &e), 0);
        pos = -1;
        for (size_t i = 0; i < p.v.n; i++) {
            pos += p.v.at[i].inc;
            assert_int_equal(pos, where[p.v.at[i].first]);
            assert_true(p.v.at[i].second == QD_PAIR_HOLE || p.v.at[i].second > p.v.at[i].first);
            assert_true(p.v.at[i].second == QD_PAIR_HOLE || p.v.at[i].second < n);
        }
        assert_int_equal(pos + p.end_inc, all);
        qd_vec_fini(&p.v);
        qd_err_fini(&e);
    }
}

static void stacks_are_bounded(void **state)
{
    (void)state;
    uint32_t inc[1100] = {1, 1};
    qd_word_pairs p = {0};
    qd_err e;
    qd_err_init(&e);
    assert_int_equal(qd_word_pairs_make(&p, NULL, inc, NULL, 1100, 0, &e), QD_E_STATE);
    assert_string_equal(qd_err_reason(&e), "Too many graph paths (> 1000)");
    qd_vec_fini(&p.v);
    qd_err_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_by_hand),
        cmocka_unit_test(plain_texts),
        cmocka_unit_test(positions_are_kept),
        cmocka_unit_test(stacks_are_bounded),
    };
    return unit_run(tests);
}
