/* explain_own.c: explanations of words that another similarity than BM25 scores. */
#include "search/fetch/explain_int.h"
#include "segment/segment.h"
#include "json/number.h"
#include <math.h>

/* The frequency that gives a phrase this score: scores rise with it. */
static float frequency_of(const qdi_scorer *s, float score, uint8_t norm)
{
    double lo = 0, hi = 1;
    if (!s->type->prepare) return 1; /* the boost alone */
    while (hi < 1e6 && qdi_scorer_one(s, (float)hi, norm) < score) hi *= 2;
    for (int i = 0; i < 60; i++) {
        double middle = (lo + hi) / 2;
        if (qdi_scorer_one(s, (float)middle, norm) < score)
            lo = middle;
        else
            hi = middle;
    }
    double whole = floor(hi + 0.5);
    return (float)(fabs(hi - whole) < 1e-3 * whole ? whole : hi);
}

static void add_options(qdi_explaining *x, qd_explanation *e, const qd_similarity *s)
{
    bool normalized = s->kind == QD_SIM_DFR || s->kind == QD_SIM_IB;
    if (normalized && s->normalization == QD_SIM_NORM_H3)
        qdi_explain_add(x, e, qdi_explain_number(x, s->c, "mu, of the normalization"));
    else if (normalized && s->normalization == QD_SIM_NORM_Z)
        qdi_explain_add(x, e, qdi_explain_number(x, s->c, "z, of the normalization"));
    else if (normalized && s->normalization != QD_SIM_NORM_NO)
        qdi_explain_add(x, e, qdi_explain_number(x, s->c, "c, of the normalization"));
    if (s->kind == QD_SIM_LM_DIRICHLET) qdi_explain_add(x, e, qdi_explain_number(x, s->p, "mu"));
    if (s->kind == QD_SIM_LM_JELINEK_MERCER)
        qdi_explain_add(x, e, qdi_explain_number(x, s->p, "lambda"));
}

/* The score of one word, and what it comes from. */
static qd_explanation *part(qdi_explaining *x, const qdi_scorer *s, uint32_t i, float freq,
                            float length)
{
    char text[32];
    double f = (double)freq, l = (double)length, tfn, score;
    const qdi_sim_part *p = &s->part[i];
    s->type->score(s->sim, p, &f, &l, 1, &score);
    (void)qd_f32_print(text, freq);
    qd_explanation *e = qdi_explain_make(
        x, true, (float)((double)s->boost * score),
        qd_arena_printf(x->arena, "score(%s, freq=%s), computed as %s from:", s->type->name, text,
                        s->type->formula));
    if (s->boost != 1) qdi_explain_add(x, e, qdi_explain_number(x, s->boost, "boost"));
    if (!s->type->prepare) return e;
    qdi_explain_add(x, e, qdi_explain_number(x, freq, "freq, occurrences within the document"));
    if (s->sim->kind == QD_SIM_DFR || s->sim->kind == QD_SIM_IB) {
        qdi_sim_normalize(s->sim, p, &f, &l, 1, &tfn);
        qdi_explain_add(x, e, qdi_explain_number(x, (float)tfn, "tfn, normalized frequency"));
    }
    add_options(x, e, s->sim);
    qdi_explain_add(x, e, qdi_explain_number(x, length, "dl, length of field"));
    qdi_explain_add(x, e,
                    qdi_explain_number(x, (float)p->average, "avgdl, average length of field"));
    qdi_explain_add(x, e, qdi_explain_count(x, p->stats.df, "n, documents containing term"));
    qdi_explain_add(x, e, qdi_explain_count(x, p->stats.docs, "N, documents with field"));
    qdi_explain_add(x, e, qdi_explain_count(x, p->stats.ttf, "F, occurrences of term"));
    qdi_explain_add(x, e, qdi_explain_count(x, p->stats.sum_ttf, "T, terms of all documents"));
    return e;
}

qd_explanation *qdi_explain_own(qdi_explaining *x, const qd_node *n, qd_str field, float boost,
                                float score, float freq, const qdi_sim_stats *stats,
                                uint32_t nstats)
{
    const qdi_scorer *s;
    qd_similarity *sim = qd_arena_alloc(x->arena, sizeof *sim);
    if (!sim) {
        x->rc = qd_err_nomem(x->err, "explanation");
        return NULL;
    }
    *sim = qdi_explain_similarity(x, field);
    if (!x->rc) x->rc = qdi_scorer_make(x->arena, sim, boost, stats, nstats, &s, x->err);
    if (x->rc) return NULL;
    uint32_t length = qdi_explain_length(x, field);
    if (!(freq > 0)) freq = frequency_of(s, score, qd_norm_of(length));
    qd_str what = qdi_explain_describe(x, n);
    qd_explanation *e = qdi_explain_make(x, true, score,
                                         qd_arena_printf(x->arena,
                                                         "weight(%.*s in %u) [PerFieldSimilarity], "
                                                         "result of:",
                                                         QD_STR_ARG(what), x->local));
    uint32_t parts = s->type->prepare ? nstats : 1;
    for (uint32_t i = 0; i < parts; i++) qdi_explain_add(x, e, part(x, s, i, freq, (float)length));
    return e;
}
