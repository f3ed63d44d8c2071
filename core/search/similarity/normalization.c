/* normalization.c: frequencies normalized by the length of the field, for DFR and IB. */
#include "search/similarity/scorer.h"
#include <math.h>
#include <string.h>

void qdi_sim_normalize(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                       const double *length, uint32_t n, double *out)
{
    double c = (double)s->c, average = p->average;
    switch ((qd_sim_norm)s->normalization) {
    case QD_SIM_NORM_NO:
        memcpy(out, freq, n * sizeof *out);
        break;
    case QD_SIM_NORM_H1:
        for (uint32_t i = 0; i < n; i++) out[i] = freq[i] * c * (average / length[i]);
        break;
    case QD_SIM_NORM_H2:
        for (uint32_t i = 0; i < n; i++) out[i] = freq[i] * qdi_log2(1 + c * average / length[i]);
        break;
    case QD_SIM_NORM_H3: {
        float prior = s->c * (((float)p->stats.ttf + 1.0f) / ((float)p->stats.sum_ttf + 1.0f));
        for (uint32_t i = 0; i < n; i++) out[i] = (freq[i] + (double)prior) / (length[i] + c) * c;
        break;
    }
    case QD_SIM_NORM_Z:
        for (uint32_t i = 0; i < n; i++) out[i] = freq[i] * pow(average / length[i], c);
        break;
    }
}
