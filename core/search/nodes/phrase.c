/* phrase.c: terms at positions, with slop. */
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/leaf/own_int.h"
#include "search/nodes/nodes_int.h"
#include <math.h>

static void describe_words(const qd_node_phrase *p, qd_buf *to)
{
    qdi_put_field(to, p->field);
    qdi_put(to, "\"");
    for (uint32_t i = 0, at = 0; i < p->n; at++) {
        uint32_t same = i;
        while (same < p->n && p->terms[same].position == at) same++;
        if (at) qdi_put(to, " ");
        if (same == i) { /* a hole */
            if (p->terms[i].position - at > 64) at = p->terms[i].position - 1;
            qdi_put(to, "?");
            continue;
        }
        if (same - i > 1) qdi_put(to, "(");
        for (uint32_t k = i; k < same; k++) {
            if (k > i) qdi_put(to, " ");
            qdi_put_str(to, p->terms[k].term);
            if (p->terms[k].prefix) qdi_put(to, "*");
        }
        if (same - i > 1) qdi_put(to, ")");
        i = same;
    }
    qdi_put(to, "\"");
    if (p->slop) {
        qdi_put(to, "~");
        qdi_put_int(to, p->slop);
    }
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    if (n->u.phrase.pairs)
        qdi_describe(n->u.phrase.pairs, true, to);
    else
        describe_words(&n->u.phrase, to);
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    *passes += 4 * n->u.phrase.n; /* positions too */
    for (uint32_t i = 0; i < n->u.phrase.n; i++) {
        if (n->u.phrase.terms[i].prefix) return false;
    }
    return n->u.phrase.slop == 0;
}

/* The frequency of a phrase is found from its score: weight * tf is monotone in it. */
static float phrase_frequency(qdi_explaining *x, qd_str field, float weight, float score)
{
    qd_similarity sim = qdi_explain_similarity(x, field);
    qd_collection_stats st;
    qd_searcher_field_stats(x->s, field, &st);
    float average =
        st.doc_count ? (float)((double)st.sum_total_term_freq / (double)st.doc_count) : 1;
    float ninv =
        1.0f / (sim.k1 * ((1 - sim.b) + sim.b * (float)qdi_explain_length(x, field) / average));
    double tf = weight > 0 ? (double)score / (double)weight : 0;
    double freq = tf < 1 ? tf / (1 - tf) / (double)ninv : 1;
    double whole = floor(freq + 0.5);
    return (float)(fabs(freq - whole) < 1e-3 * whole ? whole : freq);
}

static qd_explanation *explain_own(qdi_explaining *x, const qd_node *n, float boost, float score)
{
    const qd_node_phrase *p = &n->u.phrase;
    uint32_t m = 0;
    qdi_sim_stats *st = qd_arena_alloc(x->arena, (p->n + 1) * sizeof *st);
    if (!st) {
        x->rc = qd_err_nomem(x->err, "explanation");
        return NULL;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        (void)qdi_explain_frequency(x, p->field, p->terms[i].term, &st[m]);
        m += st[m].df > 0;
    }
    return qdi_explain_own(x, n, p->field, boost, score, 0, st, m);
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    if (n->u.phrase.pairs) return qdi_explain_node(x, n->u.phrase.pairs, boost);
    if (!match) return qdi_explain_make(x, false, 0, QD_STR("no matching terms"));
    const qd_node_phrase *p = &n->u.phrase;
    if (qdi_explain_similarity(x, p->field).kind != QD_SIM_BM25)
        return explain_own(x, n, boost, score);
    float sum = 0;
    qd_explanation *idf = qdi_explain_number(x, 0, "idf, sum of:");
    for (uint32_t i = 0; i < p->n; i++) {
        qdi_sim_stats st;
        (void)qdi_explain_frequency(x, p->field, p->terms[i].term, &st);
        sum += qdi_explain_idf_of(st.df, st.docs);
        qdi_explain_add(x, idf, qdi_explain_idf(x, st.df, st.docs));
    }
    if (idf) idf->value = sum;
    float weight = boost * qdi_explain_similarity(x, p->field).factor * sum;
    return qdi_explain_weight(x, n, p->field, boost, score,
                              phrase_frequency(x, p->field, weight, score), idf, QDI_FREQ_PHRASE);
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    qd_highlighter *h = g->h;
    if (!qdi_highlight_wants(g, n->u.phrase.field) || h->nphrases == QDI_HIGHLIGHT_LISTS_MAX)
        return 0;
    if (!g->counting) {
        h->phrases[h->nphrases] =
            (highlight_phrase){n->u.phrase.terms, n->u.phrase.n, n->u.phrase.slop};
    }
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_PHRASE, (qd_str){NULL, 0}, h->nphrases, boost);
    h->nphrases++;
    return 0;
}

/* Fills one slot with the alternatives terms[from..to). */
static int phrase_slot(qd_plan *p, qdi_field *f, const qd_node_phrase *ph, uint32_t from,
                       uint32_t to, qdi_phrase_slot *s, qd_err *err)
{
    s->position = ph->terms[from].position;
    s->n = 0;
    s->terms = NULL;
    for (uint32_t i = from; i < to; i++) {
        qdi_term **more = NULL, *one;
        uint32_t n = 1;
        if (ph->terms[i].prefix) {
            int rc = qdi_expand_prefix_terms(p, f, ph->terms[i].term,
                                             ph->max_expansions ? ph->max_expansions : 50, &more,
                                             &n, err);
            if (rc) return rc;
        } else {
            one = qdi_plan_term(p, f, ph->terms[i].term, NULL, err);
            if (!one) return QD_E_NOMEM;
            more = &one;
        }
        qdi_term **all = qd_arena_calloc(p->arena, ((size_t)s->n + n + 1) * sizeof *all);
        if (!all) return qd_err_nomem(err, "query plan");
        if (s->n) memcpy(all, s->terms, s->n * sizeof *all);
        for (uint32_t k = 0; k < n; k++) { /* an alternative counts once */
            bool there = false;
            for (uint32_t j = 0; j < s->n && !there; j++) there = all[j] == more[k];
            if (!there) all[s->n++] = more[k];
        }
        s->terms = all;
    }
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_phrase *ph = &n->u.phrase;
    if (ph->pairs) {
        a.depth++;
        return qdi_compile(p, ph->pairs, a, out, err);
    }
    qdi_field *f = qdi_plan_field(p, ph->field, err);
    qdi_node *x = f ? qdi_plan_node(p, &qdi_node_phrase, n, a.boost, a.scores, err) : NULL;
    if (!x) return QD_E_NOMEM;
    *out = x;
    qdi_phrase_slot *slots = qd_arena_calloc(p->arena, (ph->n + 1) * sizeof *slots);
    if (!slots) return qd_err_nomem(err, "query plan");
    uint32_t ns = 0;
    for (uint32_t i = 0; i < ph->n;) {
        uint32_t to = i + 1;
        while (to < ph->n && ph->terms[to].position == ph->terms[i].position) to++;
        if (to < ph->n && ph->terms[to].position < ph->terms[i].position)
            return qd_err_set(err, QD_E_ARG, "positions of a phrase must ascend");
        int rc = phrase_slot(p, f, ph, i, to, &slots[ns], err);
        if (rc) return rc;
        if (slots[ns].n == 0) { /* a prefix without terms */
            x->type = &qdi_node_match_none;
            return 0;
        }
        ns++;
        i = to;
    }
    if (ns == 0) {
        x->type = &qdi_node_match_none;
    } else if (ns == 1 && slots[0].n == 1) {
        x->type = &qdi_node_term;
        x->u.term = slots[0].terms[0];
    } else if (ns == 1) { /* Lucene: a bool of the alternatives */
        x->type = &qdi_node_bool;
        x->u.b.nshould = slots[0].n;
        x->u.b.min_should = 1;
        x->u.b.should = qd_arena_calloc(p->arena, slots[0].n * sizeof *x->u.b.should);
        if (!x->u.b.should) return qd_err_nomem(err, "query plan");
        for (uint32_t i = 0; i < slots[0].n; i++) {
            qdi_node *t = qdi_plan_node(p, &qdi_node_term, n, a.boost, a.scores, err);
            if (!t) return QD_E_NOMEM;
            t->u.term = slots[0].terms[i];
            x->u.b.should[i] = t;
        }
    } else {
        x->u.phrase.field = f;
        x->u.phrase.slots = slots;
        x->u.phrase.n = ns;
        x->u.phrase.slop = ph->slop;
    }
    return 0;
}

/* Other similarities sum the scores of all terms that any document has, repeated ones again. */
static int weigh_own(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t all = 0, n = 0;
    for (uint32_t i = 0; i < x->u.phrase.n; i++) all += x->u.phrase.slots[i].n;
    qdi_term_stats *s = qd_arena_alloc(p->arena, (all + 1) * sizeof *s);
    if (!s) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < x->u.phrase.n; i++)
        for (uint32_t k = 0; k < x->u.phrase.slots[i].n; k++) {
            s[n] = qdi_term_stats_of(p, x->u.phrase.slots[i].terms[k]);
            n += s[n].df > 0;
        }
    return qdi_weigh_own(p, x, x->u.phrase.field, s, n, err);
}

/* The sum of the idfs of all terms, repeated ones again, as PhraseQuery and MultiPhraseQuery do. */
static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    if (!x->scores) return 0;
    if (qdi_scores_own(x->u.phrase.field)) return weigh_own(p, x, err);
    double sum = 0;
    qdi_term_stats any = {.own = true};
    for (uint32_t i = 0; i < x->u.phrase.n; i++) {
        const qdi_phrase_slot *s = &x->u.phrase.slots[i];
        for (uint32_t k = 0; k < s->n; k++) {
            qdi_term_stats st = qdi_term_stats_of(p, s->terms[k]);
            any.docs = st.docs > any.docs ? st.docs : any.docs;
            any.sum_ttf = st.sum_ttf;
            any.own = any.own && st.own;
            if (st.df) sum += (double)qdi_idf(st.df, st.docs);
        }
    }
    return qdi_weigh_stats(p, x, x->u.phrase.field, &any, (float)sum, err);
}

static const qd_node_type own_phrase;

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t n = x->u.phrase.n, all = 0, m = 0;
    for (uint32_t s = 0; s < n; s++) all += x->u.phrase.slots[s].n;
    l->u.phrase.curs = qd_arena_calloc(r->arena, all * sizeof *l->u.phrase.curs);
    l->u.phrase.first = qd_arena_calloc(r->arena, (n + 1) * sizeof *l->u.phrase.first);
    l->u.phrase.offset = qd_arena_calloc(r->arena, n * sizeof *l->u.phrase.offset);
    l->u.phrase.order = qd_arena_calloc(r->arena, n * sizeof *l->u.phrase.order);
    l->u.phrase.pos = qd_arena_calloc(r->arena, n * sizeof *l->u.phrase.pos);
    uint64_t *cost = qd_arena_calloc(r->arena, n * sizeof *cost);
    if (!l->u.phrase.curs || !l->u.phrase.first || !l->u.phrase.offset || !l->u.phrase.order ||
        !l->u.phrase.pos || !cost)
        return qd_err_nomem(err, "search");
    uint32_t f = x->u.phrase.field->number[r->leaf->index];
    if (f != QD_FIELD_NONE && qd_segment_field(r->leaf->segment, f)->index < QD_INDEX_POSITIONS)
        return qd_err_set(err, QD_E_STATE,
                          "field:[%.*s] was indexed without position data; cannot run PhraseQuery",
                          QD_STR_ARG(x->u.phrase.field->name));
    l->cost = UINT64_MAX;
    for (uint32_t s = 0; s < n; s++) {
        const qdi_phrase_slot *ps = &x->u.phrase.slots[s];
        l->u.phrase.first[s] = m;
        l->u.phrase.offset[s] = ps->position;
        for (uint32_t i = 0; i < ps->n; i++) {
            const qd_term *t = qdi_leaf_term(r, ps->terms[i]);
            if (!t) continue;
            int rc = qdi_leaf_cursor(r, ps->terms[i], l->scores, true, x->weight, x->ninv,
                                     &l->u.phrase.curs[m++], err);
            if (rc) return rc;
            cost[s] += t->df;
        }
        if (m == l->u.phrase.first[s]) return 0; /* a slot without any word here */
        l->cost = cost[s] < l->cost ? cost[s] : l->cost;
        uint32_t k = s;
        for (; k && cost[l->u.phrase.order[k - 1]] > cost[s]; k--)
            l->u.phrase.order[k] = l->u.phrase.order[k - 1];
        l->u.phrase.order[k] = s;
    }
    l->u.phrase.first[n] = m;
    l->u.phrase.n = n;
    l->u.phrase.slop = x->u.phrase.slop;
    l->u.phrase.w = x->weight;
    l->u.phrase.ninv = x->ninv;
    if (x->u.phrase.slop) {
        l->u.phrase.sloppy = qdi_sloppy_make(x, r->arena);
        if (!l->u.phrase.sloppy) return qd_err_nomem(err, "search");
    }
    l->u.phrase.scorer = l->scores ? x->scorer : NULL;
    l->type = l->u.phrase.scorer ? &own_phrase : &qdi_node_phrase;
    return 0;
}

static void ready(qdi_lnode *l)
{
    l->u.phrase.norms = l->u.phrase.curs[0]->norms;
    l->u.phrase.norm_mask = l->u.phrase.curs[0]->norm_mask;
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r;
    for (uint32_t s = 0; s < l->u.phrase.n; s++) {
        uint32_t least = QD_NO_DOC;
        for (uint32_t i = l->u.phrase.first[s]; i < l->u.phrase.first[s + 1]; i++) {
            uint32_t d = qdi_cur_next(l->u.phrase.curs[i], from);
            least = d < least ? d : least;
        }
        from = least > from ? least : from;
        if (from == QD_NO_DOC) return from;
    }
    return from;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r, (void)from, (void)to;
    return l->u.phrase.scorer ? l->u.phrase.scorer->max : l->u.phrase.w;
}

/* Phrases that another similarity scores: the kernel of phrases knows BM25 alone. */
static const qd_node_type own_phrase = {
    .name = "phrase", .ready = ready, .next = next, .bound = bound, .fill = qdi_fill_phrase};

const qd_node_type qdi_node_phrase = {.name = "phrase",
                                      .flags = QDI_NODE_POSITIONS,
                                      .describe = describe,
                                      .cost = cost,
                                      .explain = explain,
                                      .matches = matches,
                                      .compile = compile,
                                      .weigh = weigh,
                                      .plan = plan,
                                      .ready = ready,
                                      .next = next,
                                      .bound = bound,
                                      .fill = qdi_fill_phrase};
