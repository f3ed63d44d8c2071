/*
 * dfr.c: divergence from randomness. With the after effect's factor 1 / (1 + tfn) taken in, all
 * models are p - q / (1 + tfn).
 */
#include "search/similarity/scorer.h"
#include <math.h>

static void prepare(const qd_similarity *s, qdi_sim_part *p)
{
    double docs = (double)p->stats.docs, df = (double)p->stats.df, ttf = (double)p->stats.ttf;
    double effect = s->effect == QD_SIM_EFFECT_B ? (ttf + 2) / (df + 1) : 1;
    double lambda, expected;
    switch ((qd_sim_model)s->model) {
    case QD_SIM_MODEL_G:
        lambda = (ttf + 1) / (docs + ttf + 1);
        p->k[0] = qdi_log2((1 + lambda) / lambda);
        p->k[1] = p->k[0] - qdi_log2(lambda + 1);
        break;
    case QD_SIM_MODEL_IF:
        p->k[0] = p->k[1] = qdi_log2(1 + (docs + 1) / (ttf + 0.5));
        break;
    case QD_SIM_MODEL_IN:
        p->k[0] = p->k[1] = qdi_log2((docs + 1) / (df + 0.5));
        break;
    case QD_SIM_MODEL_INE:
        expected = docs * (1 - pow((docs - 1) / docs, ttf));
        p->k[0] = p->k[1] = qdi_log2((docs + 1) / (expected + 0.5));
        break;
    }
    p->k[0] *= effect;
    p->k[1] *= effect;
}

static void score(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                  const double *length, uint32_t n, double *out)
{
    qdi_sim_normalize(s, p, freq, length, n, out);
    for (uint32_t i = 0; i < n; i++) out[i] = p->k[0] - p->k[1] / (1 + out[i]);
}

const qdi_sim_type qdi_sim_dfr = {
    .name = "DFRSimilarity",
    .prepare = prepare,
    .score = score,
    .formula = "boost * basic model * after effect",
};
