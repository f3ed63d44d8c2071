/*
 * build_shingles.c: prefixes and phrases over search_as_you_type fields: a prefix is a term of the
 * field of prefixes, a phrase one of runs of its words, in the field of the longest runs that fit.
 */
#include "analysis/shingles.h"
#include "base/utf8.h"
#include "query/build_int.h"

static bool fits(qd_str text)
{
    size_t units = qd_utf8_utf16(text);
    return units && units <= QD_SHINGLE_GRAM;
}

int qdi_indexed_prefix(qdi_builder *b, const qdi_field *f, const qdi_pattern *p,
                       const qd_analyzer *normalizer, qd_str text, const qd_node **out, qd_err *err)
{
    qdi_field at = {.cls = QDI_F_MAPPED, .name = f->f->prefixes->name, .f = f->f->prefixes};
    qd_str plain = text;
    qd_node *constant;
    int rc = normalizer && text.n
                 ? qd_analyzer_normalize(normalizer, b->c->analysis, text, &plain, err)
                 : 0;
    if (rc) return rc;
    if (!fits(plain)) return 1;
    rc = qdi_field_term(b, &at, (qd_query_value){plain, true}, p->case_insensitive, out, err);
    bool scores = p->rewrite.p && !qd_str_starts(p->rewrite, QD_STR("constant_score"));
    if (rc || scores || f->f == f->f->prefixes) return rc;
    constant = qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!constant) return QD_E_NOMEM;
    constant->u.child = *out;
    *out = constant;
    return 0;
}

/* n words as one. */
static int join(const qdi_matcher *m, const qdi_token *t, uint32_t n, qd_str *out, qd_err *err)
{
    size_t bytes = n, used = 0;
    for (uint32_t i = 0; i < n; i++) bytes += t[i].term.n;
    char *p = qd_arena_bytes(m->b->arena, bytes);
    if (!p) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n; i++) {
        if (i) p[used++] = QD_SHINGLE_SEPARATOR[0];
        if (t[i].term.n) memcpy(p + used, t[i].term.p, t[i].term.n);
        used += t[i].term.n;
    }
    *out = (qd_str){p, used};
    return 0;
}

static int one_term(const qdi_matcher *m, qd_str field, qd_str term, const qd_node **out,
                    qd_err *err)
{
    *out = qd_node_term_make(m->b->arena, field, term);
    return *out ? 0 : qd_err_nomem(err, "query");
}

/* The runs of `size` words as a phrase. */
static int phrase_of(const qdi_matcher *m, const qdi_token *t, uint32_t n, uint32_t size,
                     const qd_node **out, qd_err *err)
{
    uint32_t runs = n - size + 1;
    qd_str field = m->field.f->shingles[size - QD_SHINGLE_MIN]->name;
    qd_phrase_term *terms = qd_arena_calloc(m->b->arena, runs * sizeof *terms);
    if (!terms) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < runs; i++) {
        terms[i].position = i;
        int rc = join(m, t + i, size, &terms[i].term, err);
        if (rc) return rc;
    }
    if (runs == 1) return one_term(m, field, terms[0].term, out, err);
    qd_node *x = qdi_query_node(m->b, QD_NATIVE_PHRASE, err);
    if (!x) return QD_E_NOMEM;
    x->u.phrase.field = field;
    x->u.phrase.terms = terms;
    x->u.phrase.n = runs;
    *out = x;
    return 0;
}

int qdi_match_shingles(const qdi_matcher *m, const qdi_token *t, uint32_t n, bool prefix,
                       const qd_node **out, qd_err *err)
{
    const qd_field *f = m->field.f;
    *out = NULL;
    if (!f || !f->nshingles || m->slop || m->of_graph || n < QD_SHINGLE_MIN) return 0;
    for (uint32_t i = 1; i < n; i++)
        if (t[i].inc != 1 || t[i].length != 1) return 0;
    uint32_t most = f->nshingles + QD_SHINGLE_MIN - 1, size = n < most ? n : most;
    if (!prefix) return phrase_of(m, t, n, size, out, err);
    qd_str text;
    int rc = n <= most ? join(m, t, n, &text, err) : 0;
    if (rc || n > most || !fits(text)) return rc;
    return one_term(m, f->prefixes->name, text, out, err);
}
