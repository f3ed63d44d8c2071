/*
 * sketch_t.c: cardinality and percentiles against what the Java classes of OpenSearch 2.19 give for
 * the same values: HyperLogLogPlusPlus, DoubleHistogram, AVLTreeDigest.
 */
#include "aggs/sketch/digest_int.h"
#include "aggs/sketch/hdr_int.h"
#include "aggs/sketch/hll_int.h"
#include "unit/unit.h"
#include <math.h>
#include <stdlib.h>

/* Counts of 1 to n, hashed, for each precision from 4. */
static const uint32_t many[] = {5, 100, 1000, 3072, 3073, 5000, 20000, 100000, 400000};
static const uint64_t counts[][9] = {
    {5, 111, 1541, 4194, 4194, 5680, 12490, 87169, 374419},
    {5, 102, 1188, 3820, 3820, 5879, 16079, 110302, 327526},
    {5, 87, 1099, 3541, 3541, 6362, 17504, 108520, 402018},
    {5, 92, 1032, 3292, 3292, 6099, 18175, 90347, 379384},
    {5, 94, 1018, 3199, 3199, 5773, 18669, 93911, 348286},
    {5, 99, 1039, 3029, 3029, 5280, 18548, 98770, 374473},
    {5, 100, 1026, 3061, 3061, 5154, 19953, 103122, 385195},
    {5, 100, 1005, 3058, 3058, 5038, 19793, 101803, 393945},
    {5, 100, 1003, 3021, 3021, 4927, 19617, 98868, 397407},
    {5, 100, 1000, 3036, 3036, 4973, 19889, 99133, 397654},
    {5, 100, 1000, 3072, 3056, 4973, 19798, 99763, 404668},
    {5, 100, 1000, 3072, 3073, 5000, 19953, 100232, 400116},
    {5, 100, 1000, 3072, 3073, 5000, 20048, 99932, 399281},
    {5, 100, 1000, 3072, 3073, 5000, 19999, 100135, 400771},
    {5, 100, 1000, 3072, 3073, 5000, 19999, 99995, 399307},
};

static void cardinality(void **state)
{
    (void)state;
    qd_account *acct = &qd_account_root;
    for (unsigned p = 4; p <= 18; p++) {
        qdi_hll h = {.p = (uint8_t)p}, odd = {.p = (uint8_t)p}, both = {.p = (uint8_t)p};
        for (uint32_t i = 1, k = 0; i <= 400000; i++) {
            assert_int_equal(qdi_aggs_hll_add(&h, qdi_hash_i64(i), acct), 0);
            /* a second time changes nothing, at the point of change neither */
            assert_int_equal(qdi_aggs_hll_add(&h, qdi_hash_i64(i), acct), 0);
            if (i % 2) assert_int_equal(qdi_aggs_hll_add(&odd, qdi_hash_i64(i), acct), 0);
            if (i == many[k]) assert_int_equal(qdi_aggs_hll_count(&h), counts[p - 4][k++]);
        }
        assert_int_equal(qdi_aggs_hll_merge(&both, &odd, acct), 0);
        for (uint32_t i = 2; i <= 400000; i += 2)
            assert_int_equal(qdi_aggs_hll_add(&both, qdi_hash_i64(i), acct), 0);
        assert_int_equal(qdi_aggs_hll_count(&both), counts[p - 4][8]);
        qdi_aggs_hll_fini(&h);
        qdi_aggs_hll_fini(&odd);
        qdi_aggs_hll_fini(&both);
    }
}

static const double asked[] = {0, 1, 5, 25, 50, 75.5, 99, 99.9, 100};
static const double values[][9] = {
    {0.0, 0.0, 63.0, 511.0, 1023.0, 2047.0, 2047.0, 2047.0, 2047.0},
    {0.0, 0.0, 55.9375, 367.9375, 767.9375, 1215.9375, 1599.9375, 1599.9375, 1599.9375},
    {0.0, 0.0, 54.4921875, 365.9921875, 755.9921875, 1167.9921875, 1551.9921875, 1567.9921875,
     1567.9921875},
    {0.0, 0.0, 54.4990234375, 364.7490234375, 752.9990234375, 1166.9990234375, 1546.9990234375,
     1560.9990234375, 1561.9990234375},
    {0.0, 0.0, 54.48626708984375, 364.51556396484375, 752.5311889648438, 1166.9374389648438,
     1546.4374389648438, 1560.9374389648438, 1561.1249389648438},
    {0.0, 0.0, 54.48461151123047, 364.50194549560547, 752.5038986206055, 1166.9140548706055,
     1546.4296798706055, 1560.9296798706055, 1561.0703048706055},
};
static const double ranked[] = {0, 0.02, 1, 100, 777.7, 1562, 2000};
static const double ranks[][7] = {
    {2.0, 2.0, 2.2, 8.8, 65.4, 100.0, 100.0}, {2.0, 2.0, 2.0, 7.4, 52.0, 100.0, 100.0},
    {2.0, 2.0, 2.0, 7.3, 51.2, 100.0, 100.0}, {2.0, 2.0, 2.0, 7.3, 51.2, 100.0, 100.0},
    {2.0, 2.0, 2.0, 7.3, 51.1, 100.0, 100.0}, {2.0, 2.0, 2.0, 7.3, 51.1, 100.0, 100.0},
};

static double next_value(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)((*s >> 40) % 100000) / 64;
}

static void hdr(void **state)
{
    (void)state;
    qd_account *acct = &qd_account_root;
    qd_arena arena;
    qd_arena_init(&arena, acct, 0);
    for (uint32_t digits = 0; digits <= 5; digits++) {
        qdi_hdr h, parts[3];
        uint64_t s = 1;
        qdi_aggs_hdr_init(&h, digits);
        for (uint32_t i = 0; i < 3; i++) qdi_aggs_hdr_init(&parts[i], digits);
        for (uint32_t i = 0; i < 1000; i++) {
            double v = next_value(&s);
            assert_int_equal(qdi_aggs_hdr_add(&parts[i % 3], i % 50 ? v : 0, acct), 0);
        }
        for (uint32_t i = 0; i < 3; i++) {
            qdi_hdr *part = qdi_aggs_hdr_copy(&parts[i], &arena);
            assert_int_equal(qdi_aggs_hdr_merge(&h, part, acct), 0);
            qdi_aggs_hdr_fini(&parts[i]);
        }
        const qdi_hdr *settled = qdi_aggs_hdr_copy(&h, &arena);
        for (uint32_t i = 0; i < QD_COUNT_OF(asked); i++)
            assert_true(fabs(qdi_aggs_hdr_value(settled, asked[i]) - values[digits][i]) < 1e-9);
        for (uint32_t i = 0; i < QD_COUNT_OF(ranked); i++)
            assert_true(fabs(qdi_aggs_hdr_percent(settled, ranked[i]) - ranks[digits][i]) < 1e-9);
        qdi_aggs_hdr_fini(&h);
    }
    qd_arena_fini(&arena);
}

/* Few values: between the middles of neighbours as before Elasticsearch 8.9, by rank since. */
static void few_values(void **state)
{
    (void)state;
    qd_account *acct = &qd_account_root;
    static const double old[] = {1.15625,    2.03125,      94.375,    415.515625,
                                 766.390625, 1207.6484375, 1546.6875, 1560.921875};
    static const double quantiles[] = {0, .01, .05, .25, .5, .755, .99, 1};
    qdi_digest d, four;
    uint64_t s = 1;
    qdi_aggs_digest_init(&d, 100, QD_AGGS_OLD);
    for (uint32_t i = 0; i < 150; i++) {
        double v = next_value(&s);
        assert_int_equal(qdi_aggs_digest_add(&d, &v, 1, acct), 0);
    }
    assert_int_equal(qdi_aggs_digest_settle(&d, acct), 0);
    for (uint32_t i = 0; i < QD_COUNT_OF(quantiles); i++)
        assert_true(fabs(qdi_aggs_digest_quantile(&d, quantiles[i]) - old[i]) < 1e-9);
    qdi_aggs_digest_fini(&d);
    static const double v[] = {1, 2, 3, 4};
    static const struct {
        qd_aggs_flavour flavour;
        double median;
    } medians[] = {{QD_AGGS_ES8, 2.5}, {QD_AGGS_OLD, 2.5}, {QD_AGGS_OS3, 3}};
    for (uint32_t i = 0; i < 3; i++) {
        qdi_aggs_digest_init(&four, 100, medians[i].flavour);
        assert_int_equal(qdi_aggs_digest_add(&four, v, 4, acct), 0);
        assert_int_equal(qdi_aggs_digest_settle(&four, acct), 0);
        assert_true(qdi_aggs_digest_quantile(&four, 0.5) == medians[i].median);
        assert_true(qdi_aggs_digest_quantile(&four, 0) == 1);
        assert_true(qdi_aggs_digest_quantile(&four, 1) == 4);
        qdi_aggs_digest_fini(&four);
    }
}

/* --- errors of ranks --- */

enum { VALUES = 20000, SHARDS = 5 };
enum {
    UNIFORM,
    NORMAL,
    EXPONENTIAL,
    LOGNORMAL,
    PARETO,
    CAUCHY,
    CONSTANT,
    TWO_VALUES,
    RATINGS,
    THREE_HUMPS,
    ZERO_INFLATED,
    ZERO_HEAVY,
    BIMODAL,
    BIMODAL_TIGHT,
    LATENCIES,
    INTEGERS_100,
    ASCENDING,
    DESCENDING,
    SINE,
    STATUS_CODES,
    DISTRIBUTIONS
};

/* Worst error of p1 to p99 over the same values, in percent of all ranks: t-digest 3.3's
 * AVLTreeDigest and Elasticsearch 8.15's HybridDigest, both of compression 100; in one piece, and
 * merged of five. */
static const double peers[DISTRIBUTIONS][4] = {
    [UNIFORM] = {0.08, 0.19, 0.15, 0.15},
    [NORMAL] = {0.12, 0.11, 0.11, 0.17},
    [EXPONENTIAL] = {0.10, 0.15, 0.18, 0.25},
    [LOGNORMAL] = {0.17, 0.25, 0.16, 0.37},
    [PARETO] = {0.11, 0.21, 0.23, 0.31},
    [CAUCHY] = {0.13, 0.20, 0.16, 0.23},
    [CONSTANT] = {0, 0, 0, 0},
    [TWO_VALUES] = {2.03, 6.96, 1.97, 5.97},
    [RATINGS] = {0.86, 5.42, 1.42, 7.42},
    [THREE_HUMPS] = {3.92, 4.08, 2.08, 5.92},
    [ZERO_INFLATED] = {3.23, 7.45, 7.22, 7.22},
    [ZERO_HEAVY] = {7.90, 4.90, 7.90, 3.92},
    [BIMODAL] = {0.39, 3.80, 0.80, 6.26},
    [BIMODAL_TIGHT] = {0.39, 3.80, 0.80, 7.20},
    [LATENCIES] = {0.33, 1.08, 0.66, 1.68},
    [INTEGERS_100] = {0.52, 0.61, 0.61, 0.61},
    [ASCENDING] = {0, 0, 1.86, 0.42},
    [DESCENDING] = {0, 0, 3.27, 0.27},
    [SINE] = {0.13, 0.20, 0.01, 0.24},
    [STATUS_CODES] = {0.06, 1.98, 3.03, 2.02},
};

static uint64_t dice;

static double uniform(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (double)(dice >> 11) * 0x1.0p-53;
}

static double normal(void)
{
    double r = sqrt(-2 * log(1 - uniform()));
    return r * cos(2 * M_PI * uniform());
}

static double value_of(int kind, uint32_t i)
{
    double r = 0;
    if (kind == RATINGS || kind == THREE_HUMPS || kind == ZERO_INFLATED || kind == ZERO_HEAVY ||
        kind == LATENCIES || kind == STATUS_CODES || kind == BIMODAL || kind == BIMODAL_TIGHT)
        r = uniform();
    switch (kind) {
    case UNIFORM:
        return uniform();
    case NORMAL:
        return normal();
    case EXPONENTIAL:
        return -log(1 - uniform());
    case LOGNORMAL:
        return exp(2 * normal());
    case PARETO:
        return pow(1 - uniform(), -1.0 / 1.2);
    case CAUCHY:
        return tan(M_PI * (uniform() - 0.5));
    case CONSTANT:
        return 7;
    case TWO_VALUES:
        return uniform() < 0.5 ? 1 : 2;
    case RATINGS:
        return r < 0.05 ? 1 : r < 0.12 ? 2 : r < 0.25 ? 3 : r < 0.6 ? 4 : 5;
    case THREE_HUMPS:
        return r < 0.47 ? 10 : r < 0.53 ? 20 : 1000;
    case ZERO_INFLATED:
        return r < 0.14 ? 0 : normal() * 10;
    case ZERO_HEAVY:
        return r < 0.8 ? 0 : -log(1 - uniform());
    case BIMODAL:
        return (r < 0.5 ? 0 : 100) + normal();
    case BIMODAL_TIGHT:
        return (r < 0.5 ? 0 : 1e6) + 0.01 * normal();
    case LATENCIES:
        return r < 0.9    ? 20 + 5 * normal()
               : r < 0.99 ? 200 + 50 * normal()
                          : 5000 + 1000 * normal();
    case INTEGERS_100:
        return floor(uniform() * 100);
    case ASCENDING:
        return i;
    case DESCENDING:
        return VALUES - (double)i;
    case SINE:
        return sin(i * 0.001);
    default:
        return r < 0.9 ? 200 : r < 0.94 ? 301 : r < 0.98 ? 404 : 500;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* How far q is from the ranks that v has among the sorted values. */
static double rank_error(const double *sorted, double q, double v)
{
    uint32_t below = 0, up_to;
    while (below < VALUES && sorted[below] < v) below++;
    for (up_to = below; up_to < VALUES && sorted[up_to] <= v;) up_to++;
    double a = (double)below / VALUES, b = (double)up_to / VALUES;
    return q < a ? a - q : q > b ? q - b : 0;
}

static double worst_error(const double *given, const double *sorted, uint32_t shards)
{
    qd_account *acct = &qd_account_root;
    qdi_digest all, d;
    double worst = 0;
    qdi_aggs_digest_init(&all, 100, QD_AGGS_ES8);
    for (uint32_t s = 0; s < shards; s++) {
        qdi_aggs_digest_init(&d, 100, QD_AGGS_ES8);
        for (uint32_t i = s; i < VALUES; i += shards)
            assert_int_equal(qdi_aggs_digest_add(&d, &given[i], 1, acct), 0);
        assert_int_equal(qdi_aggs_digest_settle(&d, acct), 0);
        assert_in_range(d.n, 1, 1000);
        assert_int_equal(qdi_aggs_digest_merge(&all, &d, acct), 0);
        qdi_aggs_digest_fini(&d);
    }
    assert_int_equal(qdi_aggs_digest_settle(&all, acct), 0);
    for (uint32_t p = 1; p < 100; p++)
        worst =
            fmax(worst, rank_error(sorted, p / 100.0, qdi_aggs_digest_quantile(&all, p / 100.0)));
    qdi_aggs_digest_fini(&all);
    return worst * 100;
}

/* Between humps too a percentile is no further off than the worse of the two peers. */
static void errors_of_ranks(void **state)
{
    (void)state;
    static double given[VALUES], sorted[VALUES];
    for (int k = 0; k < DISTRIBUTIONS; k++) {
        dice = 88172645463325252u;
        for (uint32_t i = 0; i < VALUES; i++) sorted[i] = given[i] = value_of(k, i);
        qsort(sorted, VALUES, sizeof *sorted, by_value);
        for (uint32_t m = 0; m < 2; m++) {
            double ours = worst_error(given, sorted, m ? SHARDS : 1);
            double theirs = fmax(peers[k][2 * m], peers[k][2 * m + 1]);
            if (ours > theirs + 0.1 || ours > 2)
                fail_msg("distribution %d, %s: %.2f%%, peers %.2f%%", k, m ? "merged" : "one", ours,
                         theirs);
        }
    }
}

/* Of few values as the naive reading has it, whatever the product; of many, merged, nearly. */
static void deviation(void **state)
{
    (void)state;
    qd_account *acct = &qd_account_root;
    static const double v[] = {9, 1, 4, 2, 6}; /* distances from 4: 5 3 0 2 2 */
    static double sorted[VALUES], far[VALUES];
    static const qd_aggs_flavour flavours[] = {QD_AGGS_ES8, QD_AGGS_OLD, QD_AGGS_OS3};
    qdi_digest d, part;
    double got = 0;
    for (uint32_t i = 0; i < QD_COUNT_OF(flavours); i++) {
        qdi_aggs_digest_init(&d, 1000, flavours[i]);
        assert_int_equal(qdi_aggs_digest_deviation(&d, acct, &got), 0);
        assert_true(isnan(got));
        assert_int_equal(qdi_aggs_digest_add(&d, v, 5, acct), 0);
        assert_int_equal(qdi_aggs_digest_settle(&d, acct), 0);
        assert_int_equal(qdi_aggs_digest_deviation(&d, acct, &got), 0);
        assert_true(got == 2);
        qdi_aggs_digest_fini(&d);
    }
    for (int k = 0; k < DISTRIBUTIONS; k++) {
        dice = 88172645463325252u;
        qdi_aggs_digest_init(&d, 1000, QD_AGGS_OLD);
        for (uint32_t s = 0; s < 4; s++) {
            qdi_aggs_digest_init(&part, 1000, QD_AGGS_OLD);
            for (uint32_t i = s * VALUES / 4; i < (s + 1) * VALUES / 4; i++) {
                sorted[i] = value_of(k, i);
                assert_int_equal(qdi_aggs_digest_add(&part, &sorted[i], 1, acct), 0);
            }
            assert_int_equal(qdi_aggs_digest_merge(&d, &part, acct), 0);
            qdi_aggs_digest_fini(&part);
        }
        assert_int_equal(qdi_aggs_digest_settle(&d, acct), 0);
        assert_int_equal(qdi_aggs_digest_deviation(&d, acct, &got), 0);
        qdi_aggs_digest_fini(&d);
        qsort(sorted, VALUES, sizeof *sorted, by_value);
        for (uint32_t i = 0; i < VALUES; i++) far[i] = fabs(sorted[i] - sorted[VALUES / 2]);
        qsort(far, VALUES, sizeof *far, by_value);
        if (rank_error(far, 0.5, got) > 0.02) fail_msg("distribution %d: %g", k, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cardinality), cmocka_unit_test(hdr),
        cmocka_unit_test(few_values),  cmocka_unit_test(errors_of_ranks),
        cmocka_unit_test(deviation),
    };
    return unit_run(tests);
}
