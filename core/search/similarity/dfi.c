/* dfi.c: divergence from independence. */
#include "search/similarity/scorer.h"
#include <math.h>

static void prepare(const qd_similarity *s, qdi_sim_part *p)
{
    (void)s;
    p->k[0] = ((double)p->stats.ttf + 1) / ((double)p->stats.sum_ttf + 1);
}

static double measure(const qd_similarity *s, double freq, double expected)
{
    double over = freq - expected;
    switch ((qd_sim_measure)s->measure) {
    case QD_SIM_STANDARDIZED:
        return over / sqrt(expected);
    case QD_SIM_SATURATED:
        return over / expected;
    case QD_SIM_CHI_SQUARED:
        break;
    }
    return over * over / expected;
}

static void score(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                  const double *length, uint32_t n, double *out)
{
    for (uint32_t i = 0; i < n; i++) {
        double expected = p->k[0] * length[i];
        out[i] = freq[i] > expected ? qdi_log2(measure(s, freq[i], expected) + 1) : 0;
    }
}

const qdi_sim_type qdi_sim_dfi = {
    .name = "DFISimilarity",
    .prepare = prepare,
    .score = score,
    .formula = "boost * log2(measure + 1)",
};
