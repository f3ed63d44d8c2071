/* scorer.c: see scorer.h. */
#include "search/similarity/scorer.h"
#include "segment/segment.h"
#include <string.h>

#define SCORE_MAX 1e33f /* sums over all clauses of a query stay finite */

static const qdi_sim_type *const types[QD_SIM_KINDS] = {
    [QD_SIM_BOOLEAN] = &qdi_sim_boolean,
    [QD_SIM_DFR] = &qdi_sim_dfr,
    [QD_SIM_DFI] = &qdi_sim_dfi,
    [QD_SIM_IB] = &qdi_sim_ib,
    [QD_SIM_LM_DIRICHLET] = &qdi_sim_dirichlet,
    [QD_SIM_LM_JELINEK_MERCER] = &qdi_sim_jelinek,
};

int qdi_scorer_make(qd_arena *arena, const qd_similarity *sim, float boost,
                    const qdi_sim_stats *stats, uint32_t n, const qdi_scorer **out, qd_err *err)
{
    qdi_scorer *s = qd_arena_calloc(arena, sizeof *s + n * sizeof s->part[0]);
    if (!s) return qd_err_nomem(err, "query plan");
    s->type = types[sim->kind];
    s->sim = sim;
    s->boost = boost;
    s->n = n;
    for (uint32_t i = 0; i < n; i++) {
        qdi_sim_part *p = &s->part[i];
        p->stats = stats[i];
        if (p->stats.ttf < p->stats.df)
            p->stats.ttf = p->stats.df; /* blended counts may disagree */
        if (p->stats.sum_ttf < p->stats.ttf) p->stats.sum_ttf = p->stats.ttf;
        p->average = p->stats.docs ? (double)p->stats.sum_ttf / (double)p->stats.docs : 1;
        if (s->type->prepare) s->type->prepare(sim, p);
    }
    s->max = qdi_scorer_one(s, QDI_SIM_FREQ_MAX, 1) * QDI_SIM_SLACK;
    *out = s;
    return 0;
}

/* Damage and extreme parameters must not give what no order of scores has. */
static float sane(double x)
{
    return x > 0 ? x < (double)SCORE_MAX ? (float)x : SCORE_MAX : 0;
}

void qdi_scorer_block(const qdi_scorer *s, const float *freq, const uint8_t *norm, uint32_t n,
                      float *out)
{
    double f[QDI_SIM_BLOCK], length[QDI_SIM_BLOCK], score[QDI_SIM_BLOCK];
    qd_dassert(n <= QDI_SIM_BLOCK);
    for (uint32_t i = 0; i < n; i++) {
        f[i] = (double)freq[i];
        length[i] = (double)qd_norm_length(norm[i]);
        out[i] = 0;
    }
    /* Lucene's boolean similarity knows no terms: a phrase scores the boost once */
    uint32_t parts = s->type->prepare ? s->n : 1;
    for (uint32_t p = 0; p < parts; p++) {
        s->type->score(s->sim, &s->part[p], f, length, n, score);
        for (uint32_t i = 0; i < n; i++) out[i] += sane((double)s->boost * score[i]);
    }
}

float qdi_scorer_one(const qdi_scorer *s, float freq, uint8_t norm)
{
    float out;
    qdi_scorer_block(s, &freq, &norm, 1, &out);
    return out;
}
