/*
 * explain.c: explanations. Every value that a query gave comes from a plan of that very part of the
 * tree, so it is the score and not a second opinion; what stands below it is computed here.
 */
#include "search/fetch/explain.h"
#include "base/str.h"
#include "query/dsl.h"
#include "search/plan/plan_int.h"
#include "segment/postings.h"
#include "segment/segment.h"
#include <math.h>
#include <stdio.h>

#define DETAILS_MAX 8192u
#define TEXT_MAX 65536

typedef struct explaining {
    qd_searcher *s;
    const qd_plan_options *o;
    uint32_t doc; /* global */
    const qd_leaf *leaf;
    uint32_t local;
    qd_arena *arena;
    qd_err *err;
    int rc;
} explaining;

static qd_explanation *make(explaining *x, bool match, float value, qd_str description)
{
    qd_explanation *e = qd_arena_calloc(x->arena, sizeof *e);
    if (!e || !description.p) {
        if (!x->rc) x->rc = qd_err_nomem(x->err, "explanation");
        return NULL;
    }
    e->match = match;
    e->value = value;
    e->description = description;
    return e;
}

static qd_explanation *number(explaining *x, float value, const char *description)
{
    return make(x, true, value, qd_str_c(description));
}

static qd_explanation *count(explaining *x, uint64_t value, const char *description)
{
    qd_explanation *e = make(x, true, (float)value, qd_str_c(description));
    if (e) {
        e->integer = true;
        e->count = value;
    }
    return e;
}

static void add(explaining *x, qd_explanation *to, qd_explanation *e)
{
    if (!to || !e || x->rc || to->n == DETAILS_MAX) return;
    if ((to->n & (to->n - 1)) == 0) { /* room grows by powers of two */
        uint32_t room = to->n ? to->n * 2 : 1;
        qd_explanation **at = qd_arena_alloc(x->arena, room * sizeof(qd_explanation *));
        if (!at) {
            x->rc = qd_err_nomem(x->err, "explanation");
            return;
        }
        for (uint32_t i = 0; i < to->n; i++) at[i] = to->details[i];
        to->details = at;
    }
    to->details[to->n++] = e;
}

/* Does the part match, and with what score? */
static bool test(explaining *x, const qd_node *n, float boost, float *score)
{
    uint64_t bit = 0;
    qd_plan *p;
    qd_node *b = qd_node_make(x->arena, QD_NATIVE_BOOST);
    *score = 0;
    if (!b) {
        x->rc = qd_err_nomem(x->err, "explanation");
        return false;
    }
    b->boost = boost;
    b->u.child = n;
    if (!x->rc) x->rc = qd_plan_make(x->s, boost == 1 ? n : b, x->o, x->arena, &p, x->err);
    if (!x->rc) x->rc = qd_plan_test(p, &x->doc, 1, &bit, score, x->err);
    return !x->rc && (bit & 1);
}

static qd_str describe(explaining *x, const qd_node *n)
{
    qd_buf b;
    qd_buf_init(&b, x->arena->account, TEXT_MAX);
    (void)!qd_node_describe(n, &b);
    qd_str s = qd_arena_str(x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return s.p ? s : (qd_str){"", 0};
}

/* --- terms --- */

/* Frequency of a term in the document, 0 when absent; *df over all segments. */
static uint32_t frequency(explaining *x, qd_str field, qd_str term, uint64_t *df)
{
    uint32_t freq = 0;
    *df = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(x->s) && !x->rc; i++) {
        const qd_leaf *l = qd_searcher_leaf(x->s, i);
        uint32_t f = qd_segment_field_find(l->segment, field);
        qd_term t;
        if (f == QD_FIELD_NONE || qd_segment_field(l->segment, f)->index == QD_INDEX_NONE) continue;
        int rc = qd_term_get(l->segment, f, term, &t, x->err);
        if (rc == QD_E_NOTFOUND) continue;
        x->rc = rc;
        if (rc) break;
        *df += t.df;
        if (l != x->leaf) continue;
        qd_postings *p = qd_arena_calloc(x->arena, sizeof *p);
        qd_reads *r = qd_reads_make(x->arena, x->arena->account);
        uint32_t docs[192], freqs[192];
        if (!p || !r) {
            x->rc = qd_err_nomem(x->err, "explanation");
            break;
        }
        x->rc = qd_postings_plan(l->segment, &t, QD_INDEX_FREQS, r, p, x->err);
        if (!x->rc) x->rc = qd_reads_fetch(r, x->err);
        if (!x->rc) x->rc = qd_postings_open(p, r, x->err);
        uint32_t block = x->rc ? 0 : qd_postings_seek(p, 0, x->local);
        if (!x->rc && block < p->nblk) {
            uint32_t n = qd_postings_docs(p, block, docs);
            (void)qd_postings_freqs(p, block, freqs);
            for (uint32_t k = 0; k < n; k++) {
                if (docs[k] == x->local) freq = freqs[k];
            }
            x->rc = qd_postings_status(p, x->err);
        }
        qd_reads_release(r);
    }
    return freq;
}

/* Length of the field in the document as norms keep it; 1 without norms. */
static uint32_t length_of(explaining *x, qd_str field)
{
    uint32_t f = qd_segment_field_find(x->leaf->segment, field), slot, length = 1;
    bool present = false;
    qd_reads *r = qd_reads_make(x->arena, x->arena->account);
    if (f == QD_FIELD_NONE || !r || x->rc) return 1;
    x->rc = qd_segment_norms_plan(x->leaf->segment, f, r, &slot, &present, x->err);
    if (!x->rc && present) {
        x->rc = qd_reads_fetch(r, x->err);
        if (!x->rc) length = qd_norm_length(qd_reads_at(r, slot)[x->local]);
    }
    qd_reads_release(r);
    return length;
}

static float idf_of(uint64_t df, uint64_t docs)
{
    return (float)log(1 + ((double)docs - (double)df + 0.5) / ((double)df + 0.5));
}

static qd_explanation *explain_idf(explaining *x, uint64_t df, uint64_t docs)
{
    qd_explanation *e =
        number(x, idf_of(df, docs), "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:");
    add(x, e, count(x, df, "n, number of documents containing term"));
    add(x, e, count(x, docs, "N, total number of documents with field"));
    return e;
}

static qd_similarity similarity(const explaining *x, qd_str field)
{
    const qd_similarity *s =
        x->o->similarity_of ? x->o->similarity_of(x->o->similarity_arg, field) : NULL;
    if (!s) s = x->o->similarity ? x->o->similarity : &qd_similarity_es;
    return *s;
}

/* What a frequency counts. */
typedef enum freq_kind { FREQ_TERM, FREQ_SYNONYM, FREQ_PHRASE } freq_kind;

static qd_explanation *explain_tf(explaining *x, qd_str field, float freq, freq_kind what)
{
    qd_similarity sim = similarity(x, field);
    qd_collection_stats st;
    qd_searcher_field_stats(x->s, field, &st);
    float average =
        st.doc_count ? (float)((double)st.sum_total_term_freq / (double)st.doc_count) : 1;
    float length = (float)length_of(x, field);
    float ninv = 1.0f / (sim.k1 * ((1 - sim.b) + sim.b * length / average));
    qd_explanation *e =
        number(x, 1.0f - 1.0f / (1.0f + freq * ninv),
               "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:");
    char text[32];
    (void)qd_f32_print(text, freq);
    add(x, e,
        make(x, true, freq,
             what == FREQ_PHRASE    ? qd_arena_printf(x->arena, "phraseFreq=%s", text)
             : what == FREQ_SYNONYM ? qd_arena_printf(x->arena, "termFreq=%s", text)
                                    : QD_STR("freq, occurrences of term within document")));
    add(x, e, number(x, sim.k1, "k1, term saturation parameter"));
    add(x, e, number(x, sim.b, "b, length normalization parameter"));
    add(x, e,
        number(x, length,
               length >= 40 ? "dl, length of field (approximate)" : "dl, length of field"));
    add(x, e, number(x, average, "avgdl, average length of field"));
    return e;
}

/* "weight(title:fox in 3) [PerFieldSimilarity], result of:" over the score and its factors. */
static qd_explanation *explain_weight(explaining *x, const qd_node *n, qd_str field, float boost,
                                      float score, float freq, qd_explanation *idf, freq_kind of)
{
    char text[32];
    qd_similarity sim = similarity(x, field);
    qd_str what = describe(x, n);
    (void)qd_f32_print(text, freq);
    qd_explanation *e = make(x, true, score,
                             qd_arena_printf(x->arena,
                                             "weight(%.*s in %u) [PerFieldSimilarity], "
                                             "result of:",
                                             QD_STR_ARG(what), x->local));
    qd_explanation *s =
        make(x, true, score,
             qd_arena_printf(x->arena, "score(freq=%s), computed as boost * idf * tf from:", text));
    if (boost * sim.factor != 1) add(x, s, number(x, boost * sim.factor, "boost"));
    add(x, s, idf);
    add(x, s, explain_tf(x, field, freq, of));
    add(x, e, s);
    return e;
}

static qd_explanation *explain_term(explaining *x, const qd_node *n, float boost, float score)
{
    uint64_t df;
    qd_collection_stats st;
    const qd_node_term *t = &n->u.term;
    uint32_t freq = frequency(x, t->field, t->term, &df);
    qd_searcher_field_stats(x->s, t->field, &st);
    qd_node plain = *n;
    plain.boost = 1;
    return explain_weight(x, &plain, t->field, boost, score, (float)freq,
                          explain_idf(x, df, st.doc_count), FREQ_TERM);
}

static qd_explanation *explain_synonym(explaining *x, const qd_node *n, float boost, float score)
{
    uint64_t df, most = 0;
    uint32_t freq = 0;
    qd_collection_stats st;
    for (uint32_t i = 0; i < n->u.synonym.n; i++) {
        freq += frequency(x, n->u.synonym.field, n->u.synonym.terms[i], &df);
        if (df > most) most = df;
    }
    qd_searcher_field_stats(x->s, n->u.synonym.field, &st);
    return explain_weight(x, n, n->u.synonym.field, boost, score, (float)freq,
                          explain_idf(x, most, st.doc_count), FREQ_SYNONYM);
}

/* The frequency of a phrase is found from its score: weight * tf is monotone in it. */
static float phrase_frequency(explaining *x, qd_str field, float weight, float score)
{
    qd_similarity sim = similarity(x, field);
    qd_collection_stats st;
    qd_searcher_field_stats(x->s, field, &st);
    float average =
        st.doc_count ? (float)((double)st.sum_total_term_freq / (double)st.doc_count) : 1;
    float ninv = 1.0f / (sim.k1 * ((1 - sim.b) + sim.b * (float)length_of(x, field) / average));
    double tf = weight > 0 ? (double)score / (double)weight : 0;
    double freq = tf < 1 ? tf / (1 - tf) / (double)ninv : 1;
    double whole = floor(freq + 0.5);
    return (float)(fabs(freq - whole) < 1e-3 * whole ? whole : freq);
}

static qd_explanation *explain_phrase(explaining *x, const qd_node *n, float boost, float score)
{
    const qd_node_phrase *p = &n->u.phrase;
    qd_collection_stats st;
    float sum = 0;
    qd_explanation *idf = number(x, 0, "idf, sum of:");
    qd_searcher_field_stats(x->s, p->field, &st);
    for (uint32_t i = 0; i < p->n; i++) {
        uint64_t df;
        (void)frequency(x, p->field, p->terms[i].term, &df);
        sum += idf_of(df, st.doc_count);
        add(x, idf, explain_idf(x, df, st.doc_count));
    }
    if (idf) idf->value = sum;
    float weight = boost * similarity(x, p->field).factor * sum;
    return explain_weight(x, n, p->field, boost, score,
                          phrase_frequency(x, p->field, weight, score), idf, FREQ_PHRASE);
}

/* --- trees --- */

static qd_explanation *explain(explaining *x, const qd_node *n, float boost);

static qd_explanation *required_missing(explaining *x, const qd_node *n, qd_explanation *why)
{
    qd_explanation *no = make(x, false, 0,
                              qd_arena_printf(x->arena, "no match on required clause (%.*s)",
                                              QD_STR_ARG(describe(x, n))));
    add(x, no, why);
    return no;
}

static qd_explanation *explain_bool(explaining *x, const qd_node *n, float boost, bool match,
                                    float score)
{
    const qd_node_bool *b = &n->u.boolean;
    qd_explanation *e = make(x, match, score, QD_STR("sum of:"));
    uint32_t matched = 0;
    bool fail = false;
    for (uint32_t i = 0; i < b->nmust && !x->rc; i++) {
        qd_explanation *d = explain(x, b->must[i], boost);
        if (d && !d->match) d = required_missing(x, b->must[i], d);
        fail |= d && !d->match;
        matched += d && d->match;
        add(x, e, d);
    }
    for (uint32_t i = 0; i < b->nshould && !x->rc; i++) {
        qd_explanation *d = explain(x, b->should[i], boost);
        if (!d || !d->match) continue;
        add(x, e, d);
        matched++;
    }
    for (uint32_t i = 0; i < b->nfilter && !x->rc; i++) {
        qd_explanation *d = explain(x, b->filter[i], 1), *f = NULL;
        if (d && d->match) {
            f = make(x, true, 0, QD_STR("match on required clause, product of:"));
            add(x, f, number(x, 0, "# clause"));
            add(x, f, d);
            matched++;
        } else if (d) {
            f = required_missing(x, b->filter[i], d);
            fail = true;
        }
        add(x, e, f);
    }
    for (uint32_t i = 0; i < b->nmust_not && !x->rc; i++) {
        qd_explanation *d = explain(x, b->must_not[i], 1);
        if (!d || !d->match) continue;
        qd_explanation *f = make(x, false, 0,
                                 qd_arena_printf(x->arena, "match on prohibited clause (%.*s)",
                                                 QD_STR_ARG(describe(x, b->must_not[i]))));
        add(x, f, d);
        add(x, e, f);
        fail = true;
    }
    if (match || !e) return e;
    e->description =
        fail ? QD_STR("Failure to meet condition(s) of required/prohibited clause(s)")
        : !matched
            ? QD_STR("No matching clauses")
            : qd_arena_printf(x->arena, "Failure to match minimum number of optional clauses: %u",
                              b->min_should);
    return e;
}

/* The children of a sum whose own children are summed as well stand in its place, as Lucene inlines
 * disjunctions. */
static void add_flat(explaining *x, qd_explanation *e, const qd_node *n, qd_explanation *k)
{
    bool sum = n->kind == QD_NATIVE_BOOL && n->boost == 1 && !n->u.boolean.nmust &&
               !n->u.boolean.nfilter && !n->u.boolean.nmust_not && n->u.boolean.min_should <= 1;
    if (!sum) {
        add(x, e, k);
        return;
    }
    for (uint32_t i = 0; i < k->n; i++) add(x, e, k->details[i]);
}

static qd_explanation *explain_max(explaining *x, const qd_node *n, float boost, float score)
{
    char text[32];
    const qd_node_dis_max *d = &n->u.dis_max;
    (void)qd_f32_print(text, d->tie_breaker);
    bool sum = d->tie_breaker == 1; /* Lucene makes a disjunction of it */
    qd_str what = sum ? QD_STR("sum of:")
                  : d->tie_breaker == 0
                      ? QD_STR("max of:")
                      : qd_arena_printf(x->arena, "max plus %s times others of:", text);
    qd_explanation *e = make(x, true, score, what);
    for (uint32_t i = 0; i < d->n && !x->rc; i++) {
        qd_explanation *k = explain(x, d->children[i], boost);
        if (!k || !k->match) continue;
        if (sum)
            add_flat(x, e, d->children[i], k);
        else
            add(x, e, k);
    }
    return e;
}

/* Nothing of a dis_max matches: what became of each. */
static qd_explanation *explain_no_max(explaining *x, const qd_node *n)
{
    qd_explanation *e = make(x, false, 0, QD_STR("No matching clause"));
    for (uint32_t i = 0; i < n->u.dis_max.n && !x->rc; i++)
        add(x, e, explain(x, n->u.dis_max.children[i], 1));
    return e;
}

/* Queries that give every document the same: their text, and the score if it is not 1. */
static qd_explanation *explain_constant(explaining *x, const qd_node *n, float score)
{
    char text[32];
    qd_node plain = *n;
    plain.boost = 1;
    qd_str what = describe(x, &plain);
    bool framed = n->kind == QD_NATIVE_EXISTS ||
                  (n->kind == QD_NATIVE_RANGE && n->u.range.kind == QD_RANGE_TERM);
    if (framed) what = qd_arena_printf(x->arena, "ConstantScore(%.*s)", QD_STR_ARG(what));
    if (score == 1) return make(x, true, score, what);
    (void)qd_f32_print(text, score);
    return make(x, true, score, qd_arena_printf(x->arena, "%.*s^%s", QD_STR_ARG(what), text));
}

static qd_explanation *explain(explaining *x, const qd_node *n, float boost)
{
    float score;
    bool match = test(x, n, boost, &score);
    if (x->rc) return NULL;
    boost = qdi_boost_of(boost, n);
    if (n->kind == QD_NATIVE_BOOST) return explain(x, n->u.child, boost);
    if (n->kind == QD_NATIVE_PHRASE && n->u.phrase.pairs)
        return explain(x, n->u.phrase.pairs, boost);
    if (n->kind == QD_NATIVE_BOOL) return explain_bool(x, n, boost, match, score);
    if (!match && n->kind == QD_NATIVE_DIS_MAX) return explain_no_max(x, n);
    if (!match) {
        return make(x, false, 0,
                    n->kind == QD_NATIVE_TERM     ? QD_STR("no matching term")
                    : n->kind == QD_NATIVE_PHRASE ? QD_STR("no matching terms")
                    : n->kind == QD_NATIVE_MATCH_NONE
                        ? QD_STR("User requested \"match_none\" query.")
                        : qd_arena_printf(x->arena, "%.*s doesn't match id %u",
                                          QD_STR_ARG(describe(x, n)), x->local));
    }
    switch (n->kind) {
    case QD_NATIVE_TERM:
        return explain_term(x, n, boost, score);
    case QD_NATIVE_SYNONYM:
        return explain_synonym(x, n, boost, score);
    case QD_NATIVE_PHRASE:
        return explain_phrase(x, n, boost, score);
    case QD_NATIVE_DIS_MAX:
        return explain_max(x, n, boost, score);
    default:
        return explain_constant(x, n, score);
    }
}

int qd_explain(qd_searcher *s, const qd_node *root, const qd_plan_options *options, uint32_t doc,
               qd_arena *arena, qd_explanation **out, qd_err *err)
{
    explaining x = {.s = s, .o = options, .doc = doc, .arena = arena, .err = err};
    x.leaf = qd_searcher_leaf_of(s, doc);
    x.local = doc - x.leaf->base;
    qd_explanation *e = explain(&x, root, 1);
    if (!x.rc && !e) x.rc = qd_err_nomem(err, "explanation");
    if (!x.rc) *out = e;
    return x.rc;
}
