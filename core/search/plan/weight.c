/*
 * weight.c: looks all terms of a plan up, sums their statistics over the leaves and turns them into
 * BM25 weights, in Lucene 8's order of float operations:
 *
 *   idf    = (float) ln(1 + (N - n + 0.5) / (n + 0.5)), N documents having the field
 *   weight = (boost * factor) * idf
 *   score  = weight - weight / (1 + freq * ninv[norm]),
 *   ninv   = 1 / (k1 * ((1 - b) + b * length / average)), average = (float)(tokens / documents)
 */
#include "search/plan/plan_int.h"
#include "search/searcher_int.h"
#include "search/similarity/scorer.h"
#include <math.h>

float qdi_idf(uint64_t df, uint64_t docs)
{
    double n = (double)df, all = (double)docs;
    return (float)log(1 + (all - n + 0.5) / (n + 0.5));
}

static void fill_ninv(const qd_similarity *sim, uint64_t docs, uint64_t sum_ttf, float *t)
{
    float avg = docs ? (float)((double)sum_ttf / (double)docs) : 1.0f;
    if (!(avg > 0)) avg = 1.0f;
    for (unsigned i = 0; i < 256; i++) {
        float length = (float)qd_norm_length((uint8_t)i);
        float v = 1.0f / (sim->k1 * ((1 - sim->b) + sim->b * length / avg));
        /* A length some 10^7 times the average would round scores to 0, which accumulators could
         * not tell from absence; one unit in the last place keeps them apart. */
        t[i] = v > 1.2e-7f ? v : 1.2e-7f;
    }
    for (unsigned i = 256; i < 272; i++) t[i] = 0;
}

const float *qdi_ninv_table(qd_plan *p, const qd_similarity *sim, uint64_t docs, uint64_t sum_ttf)
{
    const float *kept = qdi_searcher_ninv(p->searcher, sim, docs, sum_ttf, fill_ninv);
    if (kept) return kept;
    float *t = qd_arena_alloc(p->arena, (256 + 16) * sizeof *t);
    if (t) fill_ninv(sim, docs, sum_ttf, t);
    return t;
}

typedef struct lookup {
    qd_term_lookup l;
    qdi_term *term;
    uint32_t leaf;
} lookup;

/* Plans the look-ups of one term in all leaves behind at[*n]. */
static int plan_term_lookups(qd_plan *p, qdi_term *t, qd_reads *r, lookup *at, size_t *n,
                             qd_err *err)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher); i++) {
        qd_segment *seg = qd_searcher_leaf(p->searcher, i)->segment;
        uint32_t f = t->field->number[i];
        if (f == QD_FIELD_NONE || qd_segment_field(seg, f)->index == QD_INDEX_NONE) continue;
        lookup *l = &at[*n];
        l->term = t;
        l->leaf = i;
        int rc = qd_term_plan(seg, f, t->text, r, &l->l, err);
        if (rc) return rc;
        if (l->l.possible) (*n)++;
    }
    return 0;
}

static void sum_term(const qd_plan *p, qdi_term *t)
{
    t->df = t->ttf = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher); i++) {
        t->df += t->at[i].df;
        t->ttf += t->at[i].ttf;
    }
    t->known = true;
}

int qdi_plan_lookup(qd_plan *p, qd_err *err)
{
    size_t n = 0, unknown = 0;
    for (qdi_term *t = p->terms; t; t = t->next) unknown += !t->known;
    uint32_t leaves = qd_searcher_leaves(p->searcher);
    if (!unknown || !leaves) {
        for (qdi_term *t = p->terms; t; t = t->next) sum_term(p, t);
        return 0;
    }
    lookup *at = qd_arena_calloc(p->arena, unknown * leaves * sizeof *at);
    qd_reads *r = qd_reads_make(p->arena, p->account);
    if (!at || !r) return qd_err_nomem(err, "query plan");
    int rc = 0;
    for (qdi_term *t = p->terms; t && !rc; t = t->next)
        if (!t->known) rc = plan_term_lookups(p, t, r, at, &n, err);
    if (!rc) rc = qd_reads_fetch(r, err);
    for (size_t i = 0; i < n && !rc; i++) {
        qd_term *to = &at[i].term->at[at[i].leaf];
        rc = qd_term_find(&at[i].l, r, to, err);
        if (rc == QD_E_NOTFOUND) {
            *to = (qd_term){0};
            rc = 0;
        }
    }
    qd_reads_release(r);
    for (qdi_term *t = p->terms; t && !rc; t = t->next) sum_term(p, t);
    return rc;
}

qdi_term_stats qdi_term_stats_of(const qd_plan *p, const qdi_term *t)
{
    qdi_term_stats s = {t->df, t->ttf, t->field->stats.doc_count,
                        t->field->stats.sum_total_term_freq, true};
    const qd_node_stats *g = t->given;
    if (!g && p->o.stats) g = p->o.stats->term(p->o.stats->arg, t->field->name, t->text);
    if (g) {
        if (g->doc_freq >= 0) s.df = (uint64_t)g->doc_freq;
        if (g->total_term_freq >= 0) s.ttf = (uint64_t)g->total_term_freq;
        if (g->doc_count >= 0) s.docs = (uint64_t)g->doc_count;
        if (g->sum_total_term_freq >= 0) s.sum_ttf = (uint64_t)g->sum_total_term_freq;
        s.own = g->doc_count < 0 && g->sum_total_term_freq < 0;
    }
    if (s.docs < s.df) s.docs = s.df; /* blended or global counts may disagree */
    return s;
}

/* The field's own table, or one for statistics from elsewhere. */
static const float *ninv_of(qd_plan *p, qdi_field *f, const qdi_term_stats *s)
{
    if (!s->own) return qdi_ninv_table(p, &f->sim, s->docs, s->sum_ttf);
    if (!f->ninv)
        f->ninv = qdi_ninv_table(p, &f->sim, f->stats.doc_count, f->stats.sum_total_term_freq);
    return f->ninv;
}

int qdi_weigh_stats(qd_plan *p, qdi_node *x, qdi_field *f, const qdi_term_stats *s, float idf,
                    qd_err *err)
{
    x->weight = (x->boost * f->sim.factor) * idf;
    x->ninv = ninv_of(p, f, s);
    return x->ninv ? 0 : qd_err_nomem(err, "query plan");
}

int qdi_weigh_own(qd_plan *p, qdi_node *x, qdi_field *f, const qdi_term_stats *s, uint32_t n,
                  qd_err *err)
{
    qdi_sim_stats *stats = qd_arena_alloc(p->arena, (n + 1) * sizeof *stats);
    if (!stats) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < n; i++)
        stats[i] = (qdi_sim_stats){s[i].docs, s[i].df, s[i].ttf, s[i].sum_ttf};
    return qdi_scorer_make(p->arena, &f->sim, x->boost, stats, n, &x->scorer, err);
}

int qdi_weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    return x->type->weigh ? x->type->weigh(p, x, err) : 0;
}

int qdi_weigh_list(qd_plan *p, qdi_node *const *list, uint32_t n, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        int rc = qdi_weigh(p, list[i], err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_plan_weigh(qd_plan *p, qd_err *err)
{
    return qdi_weigh(p, p->root, err);
}
