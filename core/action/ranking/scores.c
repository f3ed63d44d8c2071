/* scores.c: scores of lists made comparable, their means, and scores of rescored hits. */
#include "action/ranking/ranking.h"
#include <float.h>
#include <math.h>

#define NEARLY_EQUAL 1e-6f
#define OS_LEAST 0.001f /* OpenSearch's for the least of a list: not that of a missing hit */

/* Least and greatest; false: no hit has a score. */
static bool bounds(const rank_doc *at, uint32_t n, float *least, float *most)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        float s = at[i].score;
        if (isnan(s)) continue;
        if (!any || s < *least) *least = s;
        if (!any || s > *most) *most = s;
        any = true;
    }
    return any;
}

static void minmax(rank_doc *at, uint32_t n, bool opensearch)
{
    float least = 0, most = 0;
    if (!bounds(at, n, &least, &most)) return;
    for (uint32_t i = 0; i < n; i++) {
        float *s = &at[i].score;
        if (opensearch) {
            *s = most == least ? 1 : (*s - least) / (most - least);
            if (*s == 0) *s = OS_LEAST;
        } else {
            *s = fabsf(least - most) < NEARLY_EQUAL ? least : (*s - least) / (most - least);
        }
    }
}

static void l2(rank_doc *at, uint32_t n, bool opensearch)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!isnan(at[i].score)) sum += (double)at[i].score * (double)at[i].score;
    float norm = (float)sqrt(sum);
    if (norm < NEARLY_EQUAL && !opensearch) return;
    for (uint32_t i = 0; i < n; i++) at[i].score = norm == 0 ? 0 : at[i].score / norm;
}

static void z_score(rank_doc *at, uint32_t n)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)at[i].score;
    float mean = n ? (float)(sum / n) : 0;
    for (uint32_t i = 0; i < n; i++) {
        double d = (double)at[i].score - (double)mean;
        squares += d * d;
    }
    float deviation = n ? (float)sqrt(squares / n) : 0;
    for (uint32_t i = 0; i < n; i++) {
        float s = deviation == 0 ? 1 : (at[i].score - mean) / deviation;
        at[i].score = s <= 0 ? OS_LEAST : s;
    }
}

void qdi_rank_normalize(rank_norm how, rank_doc *at, uint32_t n)
{
    switch (how) {
    case RANK_NORM_MINMAX:
    case RANK_NORM_OS_MINMAX:
        minmax(at, n, how == RANK_NORM_OS_MINMAX);
        return;
    case RANK_NORM_L2:
    case RANK_NORM_OS_L2:
        l2(at, n, how == RANK_NORM_OS_L2);
        return;
    case RANK_NORM_OS_ZSCORE:
        z_score(at, n);
        return;
    case RANK_NORM_NONE:
        return;
    }
}

float qdi_rank_mean(rank_mean how, const float *scores, const float *weights, uint32_t n)
{
    double sum = 0, all = 0;
    for (uint32_t i = 0; i < n; i++) {
        double w = weights ? (double)weights[i] : 1, s = (double)scores[i];
        if (how == RANK_MEAN_ARITHMETIC ? s < 0 : s <= 0) continue;
        all += w;
        sum += w * (how == RANK_MEAN_ARITHMETIC ? s : how == RANK_MEAN_GEOMETRIC ? log(s) : 1 / s);
    }
    if (all == 0 || (how == RANK_MEAN_HARMONIC && sum == 0)) return 0;
    if (how == RANK_MEAN_HARMONIC) return (float)(all / sum);
    return (float)(how == RANK_MEAN_GEOMETRIC ? exp(sum / all) : sum / all);
}

float qdi_rank_sound(float score)
{
    if (isnan(score)) return 0;
    return score > FLT_MAX ? FLT_MAX : score < -FLT_MAX ? -FLT_MAX : score;
}

static float joined(const rank_rescore *s, float a, float b)
{
    switch (s->mode) {
    case RANK_MODE_MULTIPLY:
        return a * b;
    case RANK_MODE_AVG:
        return (a + b) / 2;
    case RANK_MODE_MAX:
        return a > b ? a : b;
    case RANK_MODE_MIN:
        return a < b ? a : b;
    default:
        return a + b;
    }
}

float qdi_rank_rescored(const rank_rescore *s, float first, bool matches, float second)
{
    float a = first * s->query_weight;
    return qdi_rank_sound(matches ? joined(s, a, second * s->weight) : a);
}
