/* lm.c: language models, and the similarity that scores the boost alone. */
#include "search/similarity/scorer.h"
#include <math.h>

/* k[0]: how probable the word is in the field of all documents. */
static void prepare(const qd_similarity *s, qdi_sim_part *p)
{
    (void)s;
    p->k[0] = ((double)p->stats.ttf + 1) / ((double)p->stats.sum_ttf + 1);
}

static void dirichlet(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                      const double *length, uint32_t n, double *out)
{
    double mu = (double)s->p;
    for (uint32_t i = 0; i < n; i++)
        out[i] = log(1 + freq[i] / (mu * p->k[0])) + log(mu / (length[i] + mu));
}

static void jelinek(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                    const double *length, uint32_t n, double *out)
{
    double rest = (double)(1 - s->p), weight = (double)s->p * p->k[0];
    for (uint32_t i = 0; i < n; i++) out[i] = log(1 + (rest * freq[i] / length[i]) / weight);
}

static void boolean(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                    const double *length, uint32_t n, double *out)
{
    (void)s, (void)p, (void)freq, (void)length;
    for (uint32_t i = 0; i < n; i++) out[i] = 1;
}

const qdi_sim_type qdi_sim_dirichlet = {
    .name = "LMDirichletSimilarity",
    .prepare = prepare,
    .score = dirichlet,
    .formula = "boost * (log(1 + freq / (mu * P)) + log(mu / (dl + mu)))",
};
const qdi_sim_type qdi_sim_jelinek = {
    .name = "LMJelinekMercerSimilarity",
    .prepare = prepare,
    .score = jelinek,
    .formula = "boost * log(1 + ((1 - lambda) * freq / dl) / (lambda * P))",
};
const qdi_sim_type qdi_sim_boolean = {
    .name = "BooleanSimilarity",
    .score = boolean,
    .formula = "boost",
};
