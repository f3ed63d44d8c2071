/*
 * build_pairs.c: exact phrases over a field that indexes pairs of words (index_phrases). As in
 * Elasticsearch the phrase of n words becomes that of its n - 1 pairs, each found and scored as a
 * word of the hidden field; one pair is a term.
 */
#include "analysis/pairs.h"
#include "query/build_int.h"

/* Where Elasticsearch asks the pairs. Holes behind the last word do not count: they are paired. */
static bool has_pairs(const qdi_matcher *m, const qdi_token *t, uint32_t n)
{
    const qd_field *f = m->field.f;
    if (!f || !f->pairs.n || m->slop || m->of_graph) return false;
    for (uint32_t i = 0; i < n; i++)
        if (t[i].inc > 1) return false;
    return true;
}

static int pairs_of(const qdi_matcher *m, const qdi_token *t, uint32_t n, qd_word_pairs *p,
                    qd_err *err)
{
    uint32_t *inc = qd_arena_alloc(m->b->arena, 2 * (size_t)n * sizeof *inc);
    if (!inc) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n; i++) {
        inc[i] = t[i].inc;
        inc[n + i] = t[i].length;
    }
    int rc = qd_word_pairs_make(p, m->b->arena->account, inc, inc + n, n, t[n - 1].holes, err);
    if (!rc && p->v.n > m->b->limits.max_clauses)
        rc = qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                        m->b->limits.max_clauses);
    return rc;
}

static int text_of(const qdi_matcher *m, const qdi_token *t, const qd_word_pair *p, qd_str *out,
                   qd_err *err)
{
    qd_str a = t[p->first].term, b = QD_STR(QD_PAIR_FILLER);
    if (p->second != QD_PAIR_HOLE) b = t[p->second].term;
    char *at = qd_arena_bytes(m->b->arena, a.n + 1 + b.n);
    if (!at) return qd_err_nomem(err, "query");
    if (a.n) memcpy(at, a.p, a.n);
    at[a.n] = QD_PAIR_SEPARATOR;
    if (b.n) memcpy(at + a.n + 1, b.p, b.n);
    *out = (qd_str){at, a.n + 1 + b.n};
    return 0;
}

/* Pairs of one position, each scored for itself: what Lucene makes of a phrase without a second
 * position. */
static int beside(const qdi_matcher *m, const qd_phrase_term *terms, uint32_t n,
                  const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_node *x = qd_node_term_make(m->b->arena, m->field.f->pairs, terms[i].term);
        rc = x ? qdi_clause_add(m->b, &c, QD_OCCUR_SHOULD, x, err) : qd_err_nomem(err, "query");
    }
    if (!rc && n > 1) return qdi_clauses_bool(m->b, &c, (qd_str){NULL, 0}, out, err);
    if (!rc) *out = c.should.at[0];
    qd_vec_fini(&c.should);
    return rc;
}

static int phrase_of(const qdi_matcher *m, const qdi_token *t, const qd_word_pairs *p,
                     const qd_node **out, qd_err *err)
{
    uint32_t n = (uint32_t)p->v.n, pos = 0;
    qd_phrase_term *terms = qd_arena_calloc(m->b->arena, n * sizeof *terms);
    if (!terms) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n; i++) {
        if (i) pos += p->v.at[i].inc;
        terms[i].position = pos;
        int rc = text_of(m, t, &p->v.at[i], &terms[i].term, err);
        if (rc) return rc;
    }
    if (pos == 0) return beside(m, terms, n, out, err);
    qd_node *x = qdi_query_node(m->b, QD_NATIVE_PHRASE, err);
    if (!x) return QD_E_NOMEM;
    x->u.phrase.field = m->field.f->pairs;
    x->u.phrase.terms = terms;
    x->u.phrase.n = n;
    *out = x;
    return 0;
}

int qdi_match_pairs(const qdi_matcher *m, const qdi_token *t, uint32_t n, const qd_node **out,
                    qd_err *err)
{
    qd_word_pairs p = {0};
    *out = NULL;
    if (!has_pairs(m, t, n)) return 0;
    int rc = pairs_of(m, t, n, &p, err);
    if (!rc && p.v.n) rc = phrase_of(m, t, &p, out, err);
    qd_vec_fini(&p.v);
    return rc;
}
