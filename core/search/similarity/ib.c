/* ib.c: information-based models. */
#include "search/similarity/scorer.h"
#include <math.h>

static void prepare(const qd_similarity *s, qdi_sim_part *p)
{
    bool by_df = s->lambda == QD_SIM_LAMBDA_DF;
    uint64_t n = by_df ? p->stats.df : p->stats.ttf;
    float lambda = (float)(((double)n + 1.0) / ((double)p->stats.docs + 1.0));
    if (lambda == 1) lambda = nextafterf(1, by_df ? 0 : 2); /* the power law has a pole there */
    p->k[0] = (double)lambda;
}

static double power_law(double tfn, double lambda)
{
    double q = 1 - 1 / (tfn + 1);
    if (q == 1) q = nextafter(1, 0);
    double x = pow(lambda, q);
    if (x == lambda) x = nextafter(lambda, lambda < 1 ? INFINITY : 0);
    return -log((x - lambda) / (1 - lambda));
}

static void score(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                  const double *length, uint32_t n, double *out)
{
    double lambda = p->k[0];
    qdi_sim_normalize(s, p, freq, length, n, out);
    if (s->distribution == QD_SIM_LL)
        for (uint32_t i = 0; i < n; i++) out[i] = -log(lambda / (out[i] + lambda));
    else
        for (uint32_t i = 0; i < n; i++) out[i] = power_law(out[i], lambda);
}

const qdi_sim_type qdi_sim_ib = {
    .name = "IBSimilarity",
    .prepare = prepare,
    .score = score,
    .formula = "boost * distribution(normalized frequency, lambda)",
};
