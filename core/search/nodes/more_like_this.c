/*
 * more_like_this.c: the words that tell most about what is liked, by Lucene's MoreLikeThis: tf *
 * idf with idf = ln((documents + 1) / (documents with the word + 1)) + 1, the best of each group.
 * It becomes a bool of terms when it is planned.
 */
#include "query/dsl.h"
#include "query/mlt.h"
#include "search/highlight/highlight_int.h"
#include "search/nodes/nodes_int.h"
#include <math.h>
#include <stdlib.h>

typedef struct chosen {
    qd_str field, term;
    float score;
} chosen;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_mlt *m = n->u.mlt;
    (void)in_bool;
    qdi_put(to, "like:");
    for (uint32_t g = 0; g < m->n; g++)
        for (uint32_t i = 0; i < m->groups[g].n && i < 64; i++) {
            if (g || i) qdi_put(to, " ");
            qdi_put_str(to, m->groups[g].words[i].term);
        }
}

static int matches(qdi_gather *x, const qd_node *n, float boost)
{
    const qd_node_mlt *m = n->u.mlt;
    for (uint32_t g = 0; g < m->n; g++) {
        bool wanted = false;
        for (uint32_t f = 0; f < m->groups[g].nfields; f++)
            wanted |= qdi_highlight_wants(x, m->groups[g].fields[f]);
        for (uint32_t i = 0; wanted && i < m->groups[g].n; i++) {
            qdi_highlight_term(x, m->groups[g].words[i].term);
            qdi_highlight_flat(x, HIGHLIGHT_FLAT_TERM, m->groups[g].words[i].term, 0, boost);
        }
    }
    return 0;
}

/* Greatest score last, as Lucene's queue gives them out; equal ones by term. */
static int by_score(const void *a, const void *b)
{
    const chosen *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return -qd_str_cmp(x->term, y->term);
}

/* The best words of a group into to; *n of them, those that tell least first. */
static int choose(qd_plan *p, const qd_node_mlt *m, const qd_mlt_group *g, chosen *to, uint32_t *n,
                  qd_err *err)
{
    qdi_term **terms = qd_arena_alloc(p->arena, ((size_t)g->n * g->nfields + 1) * sizeof *terms);
    if (!terms) return qd_err_nomem(err, "query plan");
    for (uint32_t f = 0; f < g->nfields; f++) {
        qdi_field *field = qdi_plan_field(p, g->fields[f], err);
        if (!field) return QD_E_NOMEM;
        for (uint32_t i = 0; i < g->n; i++) {
            terms[f * g->n + i] = qdi_plan_term(p, field, g->words[i].term, NULL, err);
            if (!terms[f * g->n + i]) return QD_E_NOMEM;
        }
    }
    int rc = qdi_plan_lookup(p, err);
    if (rc) return rc;
    double docs = (double)qd_searcher_live_docs(p->searcher);
    uint32_t k = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t best = 0;
        for (uint32_t f = 1; f < g->nfields; f++)
            if (terms[f * g->n + i]->df > terms[best * g->n + i]->df) best = f;
        uint64_t df = terms[best * g->n + i]->df;
        if (df < m->min_doc_freq || df > m->max_doc_freq || df == 0) continue;
        float idf = (float)(log((docs + 1) / ((double)df + 1)) + 1);
        to[k++] = (chosen){g->fields[best], g->words[i].term, (float)g->words[i].freq * idf};
    }
    qsort(to, k, sizeof *to, by_score);
    if (k > m->max_terms) memmove(to, to + (k - m->max_terms), m->max_terms * sizeof *to);
    *n = k < m->max_terms ? k : m->max_terms;
    return 0;
}

static int add_terms(qd_plan *p, const qd_node_mlt *m, const chosen *c, uint32_t n,
                     const qd_node **to, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        qd_node *t = qd_node_term_make(p->arena, c[i].field, c[i].term);
        if (!t) return qd_err_nomem(err, "query plan");
        if (m->boost_terms > 0) t->boost = m->boost_terms * c[i].score / c[0].score;
        to[i] = t;
    }
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_mlt *m = n->u.mlt;
    uint32_t all = 0, got = 0;
    for (uint32_t g = 0; g < m->n; g++) all += m->groups[g].n;
    chosen *c = qd_arena_alloc(p->arena, ((size_t)all + 1) * sizeof *c);
    const qd_node **should, **terms = qd_arena_alloc(p->arena, ((size_t)all + 1) * sizeof *terms);
    if (!c || !terms) return qd_err_nomem(err, "query plan");
    for (uint32_t g = 0; g < m->n; g++) {
        uint32_t k = 0;
        int rc = choose(p, m, &m->groups[g], c, &k, err);
        if (!rc) rc = add_terms(p, m, c, k, terms + got, err);
        if (rc) return rc;
        got += k;
    }
    if (got > p->o.max_clauses)
        return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                          p->o.max_clauses);
    if (!got) {
        *out = qdi_plan_node(p, &qdi_node_match_none, n, a.boost, a.scores, err);
        return *out ? 0 : QD_E_NOMEM;
    }
    qd_node *q = qd_node_bool_make(p->arena, 0, got, 0, 0, NULL, &should, NULL, NULL);
    if (!q) return qd_err_nomem(err, "query plan");
    memcpy(should, terms, got * sizeof *should);
    int rc = qd_minimum_should_match(m->minimum, got, &q->u.boolean.min_should, err);
    a.depth++;
    return rc ? rc : qdi_compile(p, q, a, out, err);
}

const qd_node_type qdi_node_more_like_this = {
    .name = "more_like_this", .describe = describe, .matches = matches, .compile = compile};
