/*
 * explain.c: explanations. Every value that a query gave comes from a plan of that very part of the
 * tree, so it is the score and not a second opinion; what stands below it is computed here.
 */
#include "base/str.h"
#include "search/fetch/explain_int.h"
#include "search/node_type_int.h"
#include "search/plan/plan_int.h"
#include "search/tree.h"
#include "segment/postings.h"
#include "segment/segment.h"
#include "json/number.h"
#include <math.h>
#include <stdio.h>

#define DETAILS_MAX 8192u
#define TEXT_MAX 65536

qd_explanation *qdi_explain_make(qdi_explaining *x, bool match, float value, qd_str description)
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

qd_explanation *qdi_explain_number(qdi_explaining *x, float value, const char *description)
{
    return qdi_explain_make(x, true, value, qd_str_c(description));
}

qd_explanation *qdi_explain_count(qdi_explaining *x, uint64_t value, const char *description)
{
    qd_explanation *e = qdi_explain_make(x, true, (float)value, qd_str_c(description));
    if (e) {
        e->integer = true;
        e->count = value;
    }
    return e;
}

void qdi_explain_add(qdi_explaining *x, qd_explanation *to, qd_explanation *e)
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
static bool test(qdi_explaining *x, const qd_node *n, float boost, float *score)
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

qd_str qdi_explain_describe(qdi_explaining *x, const qd_node *n)
{
    qd_buf b;
    qd_buf_init(&b, x->arena->account, TEXT_MAX);
    (void)!qd_node_describe(n, &b);
    qd_str s = qd_arena_str(x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return s.p ? s : (qd_str){"", 0};
}

/* --- terms --- */

uint32_t qdi_explain_frequency(qdi_explaining *x, qd_str field, qd_str term, qdi_sim_stats *st)
{
    uint32_t freq = 0;
    qd_collection_stats all;
    qd_searcher_field_stats(x->s, field, &all);
    *st = (qdi_sim_stats){.docs = all.doc_count, .sum_ttf = all.sum_total_term_freq};
    for (uint32_t i = 0; i < qd_searcher_leaves(x->s) && !x->rc; i++) {
        const qd_leaf *l = qd_searcher_leaf(x->s, i);
        uint32_t f = qd_segment_field_find(l->segment, field);
        qd_term t;
        if (f == QD_FIELD_NONE || qd_segment_field(l->segment, f)->index == QD_INDEX_NONE) continue;
        int rc = qd_term_get(l->segment, f, term, &t, x->err);
        if (rc == QD_E_NOTFOUND) continue;
        x->rc = rc;
        if (rc) break;
        st->df += t.df;
        st->ttf += t.ttf;
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
uint32_t qdi_explain_length(qdi_explaining *x, qd_str field)
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

float qdi_explain_idf_of(uint64_t df, uint64_t docs)
{
    return (float)log(1 + ((double)docs - (double)df + 0.5) / ((double)df + 0.5));
}

qd_explanation *qdi_explain_idf(qdi_explaining *x, uint64_t df, uint64_t docs)
{
    qd_explanation *e =
        qdi_explain_number(x, qdi_explain_idf_of(df, docs),
                           "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:");
    qdi_explain_add(x, e, qdi_explain_count(x, df, "n, number of documents containing term"));
    qdi_explain_add(x, e, qdi_explain_count(x, docs, "N, total number of documents with field"));
    return e;
}

qd_similarity qdi_explain_similarity(const qdi_explaining *x, qd_str field)
{
    return qdi_similarity_of(x->o, field);
}

static qd_explanation *explain_tf(qdi_explaining *x, qd_str field, float freq, qdi_freq_kind what)
{
    qd_similarity sim = qdi_explain_similarity(x, field);
    qd_collection_stats st;
    qd_searcher_field_stats(x->s, field, &st);
    float average =
        st.doc_count ? (float)((double)st.sum_total_term_freq / (double)st.doc_count) : 1;
    float length = (float)qdi_explain_length(x, field);
    float ninv = 1.0f / (sim.k1 * ((1 - sim.b) + sim.b * length / average));
    qd_explanation *e =
        qdi_explain_number(x, 1.0f - 1.0f / (1.0f + freq * ninv),
                           "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:");
    char text[32];
    (void)qd_f32_print(text, freq);
    qdi_explain_add(x, e,
                    qdi_explain_make(x, true, freq,
                                     what == QDI_FREQ_PHRASE
                                         ? qd_arena_printf(x->arena, "phraseFreq=%s", text)
                                     : what == QDI_FREQ_SYNONYM
                                         ? qd_arena_printf(x->arena, "termFreq=%s", text)
                                         : QD_STR("freq, occurrences of term within document")));
    qdi_explain_add(x, e, qdi_explain_number(x, sim.k1, "k1, term saturation parameter"));
    qdi_explain_add(x, e, qdi_explain_number(x, sim.b, "b, length normalization parameter"));
    qdi_explain_add(x, e,
                    qdi_explain_number(x, length,
                                       length >= 40 ? "dl, length of field (approximate)"
                                                    : "dl, length of field"));
    qdi_explain_add(x, e, qdi_explain_number(x, average, "avgdl, average length of field"));
    return e;
}

/* "weight(title:fox in 3) [PerFieldSimilarity], result of:" over the score and its factors. */
qd_explanation *qdi_explain_weight(qdi_explaining *x, const qd_node *n, qd_str field, float boost,
                                   float score, float freq, qd_explanation *idf, qdi_freq_kind of)
{
    char text[32];
    qd_similarity sim = qdi_explain_similarity(x, field);
    qd_str what = qdi_explain_describe(x, n);
    (void)qd_f32_print(text, freq);
    qd_explanation *e = qdi_explain_make(x, true, score,
                                         qd_arena_printf(x->arena,
                                                         "weight(%.*s in %u) [PerFieldSimilarity], "
                                                         "result of:",
                                                         QD_STR_ARG(what), x->local));
    qd_explanation *s = qdi_explain_make(
        x, true, score,
        qd_arena_printf(x->arena, "score(freq=%s), computed as boost * idf * tf from:", text));
    if (boost * sim.factor != 1)
        qdi_explain_add(x, s, qdi_explain_number(x, boost * sim.factor, "boost"));
    qdi_explain_add(x, s, idf);
    qdi_explain_add(x, s, explain_tf(x, field, freq, of));
    qdi_explain_add(x, e, s);
    return e;
}

/* --- trees --- */

qd_explanation *qdi_explain_constant(qdi_explaining *x, const qd_node *n, bool match, float score,
                                     bool framed)
{
    char text[32];
    if (!match)
        return qdi_explain_make(x, false, 0,
                                qd_arena_printf(x->arena, "%.*s doesn't match id %u",
                                                QD_STR_ARG(qdi_explain_describe(x, n)), x->local));
    qd_node plain = *n;
    plain.boost = 1;
    qd_str what = qdi_explain_describe(x, &plain);
    if (framed) what = qd_arena_printf(x->arena, "ConstantScore(%.*s)", QD_STR_ARG(what));
    if (score == 1) return qdi_explain_make(x, true, score, what);
    (void)qd_f32_print(text, score);
    return qdi_explain_make(x, true, score,
                            qd_arena_printf(x->arena, "%.*s^%s", QD_STR_ARG(what), text));
}

qd_explanation *qdi_explain_node(qdi_explaining *x, const qd_node *n, float boost)
{
    float score;
    bool match = test(x, n, boost, &score);
    if (x->rc) return NULL;
    const qd_node_type *type = qdi_node_type_of(n);
    if (!type->explain) return qdi_explain_constant(x, n, match, score, false);
    return type->explain(x, n, qdi_boost_of(boost, n), match, score);
}

int qd_explain(qd_searcher *s, const qd_node *root, const qd_plan_options *options, uint32_t doc,
               qd_arena *arena, qd_explanation **out, qd_err *err)
{
    qdi_explaining x = {.s = s, .o = options, .doc = doc, .arena = arena, .err = err};
    x.leaf = qd_searcher_leaf_of(s, doc);
    x.local = doc - x.leaf->base;
    qd_explanation *e = qdi_explain_node(&x, root, 1);
    if (!x.rc && !e) x.rc = qd_err_nomem(err, "explanation");
    if (!x.rc) *out = e;
    return x.rc;
}
