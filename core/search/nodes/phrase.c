/* phrase.c: terms at positions, with slop. */
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
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

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    if (n->u.phrase.pairs) return qdi_explain_node(x, n->u.phrase.pairs, boost);
    if (!match) return qdi_explain_make(x, false, 0, QD_STR("no matching terms"));
    const qd_node_phrase *p = &n->u.phrase;
    qd_collection_stats st;
    float sum = 0;
    qd_explanation *idf = qdi_explain_number(x, 0, "idf, sum of:");
    qd_searcher_field_stats(x->s, p->field, &st);
    for (uint32_t i = 0; i < p->n; i++) {
        uint64_t df;
        (void)qdi_explain_frequency(x, p->field, p->terms[i].term, &df);
        sum += qdi_explain_idf_of(df, st.doc_count);
        qdi_explain_add(x, idf, qdi_explain_idf(x, df, st.doc_count));
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

const qd_node_type qdi_node_phrase = {
    .name = "phrase", .describe = describe, .cost = cost, .explain = explain, .matches = matches};
