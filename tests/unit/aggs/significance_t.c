/*
 * significance_t.c: scores of significant terms at their borders, and where they are known.
 */
#include "aggs/significant/significance_int.h"
#include "unit/unit.h"
#include <math.h>

static double score(qdi_heuristic by, bool negatives, bool superset, const double v[4])
{
    qdi_significance s = {.by = by, .negatives = negatives, .is_superset = superset};
    return qdi_significance_score(&s, v[0], v[1], v[2], v[3]);
}

static void is_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-12 * fmax(1, fabs(b)))) fail_msg("%.17g is not %.17g", a, b);
}

/* 4 of 5 documents here, 4 of 100 of all. */
static const double rare[4] = {4, 5, 4, 100};
/* As frequent here as elsewhere, and less so. */
static const double same[4] = {2, 10, 20, 100}, less[4] = {1, 10, 50, 100};
static const double nothing[4] = {0, 0, 0, 0};

static void known_scores(void **state)
{
    (void)state;
    is_near(score(QDI_JLH, false, true, rare), (0.8 - 0.04) * 20);
    is_near(score(QDI_PERCENTAGE, false, true, rare), 1);
    is_near(score(QDI_GND, false, true, rare), exp(-2 * (log(5) - log(4)) / (log(100) - log(4))));
    /* the table 95 1 / 0 4 of 100 */
    is_near(score(QDI_CHI_SQUARE, false, true, rare), 100 * pow(4 * 95, 2) / (5.0 * 4 * 96 * 95));
    is_near(score(QDI_MUTUAL_INFORMATION, false, true, rare),
            (0.95 * log(100 * 95 / (96.0 * 95)) + 0.01 * log(100 * 1 / (96.0 * 5)) +
             0.04 * log(100 * 4 / (4.0 * 5))) /
                log(2));
}

static void borders(void **state)
{
    (void)state;
    is_near(score(QDI_JLH, false, true, same), 0);
    is_near(score(QDI_JLH, false, true, less), 0);
    is_near(score(QDI_JLH, false, true, nothing), 0);
    is_near(score(QDI_PERCENTAGE, false, true, nothing), 0);
    is_near(score(QDI_GND, false, true, nothing), 0);
    assert_true(isinf(score(QDI_CHI_SQUARE, false, true, less)));
    assert_true(isinf(score(QDI_MUTUAL_INFORMATION, false, true, less)));
    assert_true(score(QDI_CHI_SQUARE, true, true, less) > 0);
    assert_true(score(QDI_MUTUAL_INFORMATION, true, true, less) > 0);
    const double all[4] = {5, 5, 5, 100};
    is_near(score(QDI_GND, false, true, all), 1);
    /* a background beside the documents */
    is_near(score(QDI_CHI_SQUARE, true, false, (double[]){1, 2, 1, 2}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_scores), cmocka_unit_test(borders)};
    return unit_run(tests);
}
