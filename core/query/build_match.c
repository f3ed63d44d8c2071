/*
 * build_match.c: text to a query over one field, by Lucene's QueryBuilder rules: one token is a
 * term; tokens of one position are a synonym; several positions are a bool or a phrase; tokens that
 * span positions are a graph (build_graph.c).
 */
#include "query/build_int.h"

const qd_analyzer *qdi_search_analyzer(qdi_builder *b, const qdi_field *f, bool quoted)
{
    if (!f->f) return NULL;
    if (qdi_field_is_text(f)) return quoted ? f->f->search_quote_analyzer : f->f->search_analyzer;
    if (f->f->value_class == QD_VALUE_TERM && f->f->split_on_whitespace)
        return qd_analyzers_get(qd_mapping_analyzers(b->c->mapping), QD_STR("whitespace"));
    return NULL; /* the field's own normalizer comes with the term */
}

int qdi_analyze(qdi_builder *b, const qd_analyzer *analyzer, qd_str text, qdi_token **tokens,
                uint32_t *n, bool *at_end, qd_err *err)
{
    const qd_tokens *t;
    if (!analyzer) {
        *tokens = qd_arena_alloc(b->arena, sizeof **tokens);
        if (!*tokens) return qd_err_nomem(err, "query");
        **tokens = (qdi_token){text, 1, 1, 0};
        *n = 1;
        *at_end = true;
        return 0;
    }
    int rc = qd_analyzer_run(analyzer, b->c->analysis, text, QD_ANALYZE_OFFSETS, &t, err);
    if (rc) return rc;
    *tokens = qd_arena_alloc(b->arena, (t->n + 1) * sizeof **tokens);
    char *bytes = NULL;
    size_t total = 0, used = 0;
    for (size_t i = 0; i < t->n; i++) total += t->term[i].to - t->term[i].from;
    bytes = qd_arena_bytes(b->arena, total + 1);
    if (!*tokens || !bytes) return qd_err_nomem(err, "query");
    for (size_t i = 0; i < t->n; i++) {
        qd_str term = qd_tokens_term(t, i);
        if (term.n) memcpy(bytes + used, term.p, term.n);
        (*tokens)[i] =
            (qdi_token){{bytes + used, term.n}, qd_tokens_inc(t, i), qd_tokens_length(t, i), 0};
        used += term.n;
    }
    if (t->n) (*tokens)[t->n - 1].holes = t->end_inc;
    *n = (uint32_t)t->n;
    *at_end = t->n && t->offset[t->n - 1].to == t->end_offset;
    return 0;
}

/* --- single terms ---------------------------------------------------------------------------- */

static int fuzzy_term(const qdi_matcher *m, qd_str term, const qd_node **out, qd_err *err)
{
    qdi_pattern p = {.kind = QD_PATTERN_FUZZY,
                     .transpositions = m->transpositions,
                     .rewrite = m->fuzzy_rewrite,
                     .fuzziness = m->fuzziness,
                     .prefix_length = (int32_t)m->prefix_length,
                     .max_expansions = (int32_t)m->max_expansions};
    return qdi_field_pattern(m->b, &m->field, &p, term, false, out, err);
}

/* A step that `lenient` forgives. */
static int lenient_term(const qdi_matcher *m, const qdi_field *f, qd_query_value v, bool fuzzy,
                        const qd_node **out, qd_err *err)
{
    qd_err step;
    qd_err_init(&step);
    int rc =
        fuzzy ? fuzzy_term(m, v.text, out, &step) : qdi_field_term(m->b, f, v, false, out, &step);
    return qdi_forgive(m->b, m->lenient, rc, &step, out, err);
}

/* The words of one position in all fields of a group: terms blend their statistics, other queries
 * stand beside them. */
static int blended(const qdi_matcher *m, const qdi_token *t, uint32_t n, const qd_node **out,
                   qd_err *err)
{
    qdi_clauses terms = {0}, others = {0};
    const qd_node *x = NULL;
    int rc = 0;
    for (uint32_t i = 0; i < m->nblend && !rc; i++)
        for (uint32_t k = 0; k < n && !rc; k++) {
            rc = lenient_term(m, &m->blend[i].field, (qd_query_value){t[k].term, true}, false, &x,
                              err);
            if (!rc) rc = qdi_boosted(m->b, x, m->blend[i].boost, &x, err);
            if (!rc)
                rc = qdi_clause_add(m->b, x->kind == QD_NATIVE_TERM ? &terms : &others,
                                    QD_OCCUR_SHOULD, x, err);
        }
    uint32_t nterms = (uint32_t)terms.should.n;
    x = NULL;
    if (!rc) rc = qdi_clauses_dis_max(m->b, &terms, m->tie, &x, err);
    if (!rc && nterms > 1) ((qd_node *)(uintptr_t)x)->u.dis_max.blended = true;
    if (!rc && x) rc = qdi_clause_add(m->b, &others, QD_OCCUR_SHOULD, x, err);
    if (!rc) return qdi_clauses_dis_max(m->b, &others, m->tie, out, err);
    qd_vec_fini(&terms.should);
    qd_vec_fini(&others.should);
    return rc;
}

int qdi_match_term(const qdi_matcher *m, qd_query_value term, const qd_node **out, qd_err *err)
{
    if (m->nblend) {
        qdi_token t = {term.text, 1, 1, 0};
        return blended(m, &t, 1, out, err);
    }
    return lenient_term(m, &m->field, term, m->fuzziness.given, out, err);
}

int qdi_match_synonyms(const qdi_matcher *m, const qdi_token *t, uint32_t n, const qd_node **out,
                       qd_err *err)
{
    if (m->nblend) return blended(m, t, n, out, err);
    qd_node *x = qdi_query_node(m->b, QD_NATIVE_SYNONYM, err);
    qd_str *terms = qd_arena_alloc(m->b->arena, n * sizeof *terms);
    if (!x || !terms) return qd_err_nomem(err, "query");
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = 0;
        while (j < k && !qd_str_eq(terms[j], t[i].term)) j++;
        if (j == k) terms[k++] = t[i].term;
    }
    x->u.synonym.field = m->field.name;
    x->u.synonym.terms = terms;
    x->u.synonym.n = k;
    *out = x;
    bool alike = m->field.f && m->field.f->phrases_apart;
    if (k > 1) return alike ? qdi_constant_score(m->b, x, out, err) : 0;
    return qdi_match_term(m, (qd_query_value){terms[0], true}, out, err);
}

int qdi_match_prefix(const qdi_matcher *m, qd_str text, const qd_node **out, qd_err *err)
{
    qdi_pattern p = {.kind = QD_PATTERN_PREFIX};
    qd_err step;
    if (m->nblend)
        return qd_err_set(err, QD_E_ARG,
                          "[multi_match] queries in [cross_fields] mode don't support prefix");
    qd_err_init(&step);
    int rc = qdi_field_pattern(m->b, &m->field, &p, text, false, out, &step);
    return qdi_forgive(m->b, m->lenient, rc, &step, out, err);
}

/* --- phrases --------------------------------------------------------------------------------- */

static int check_phrase(const qdi_matcher *m, bool prefix, bool several, qd_err *err)
{
    const qd_field *f = m->field.f;
    if (!qdi_field_is_text(&m->field))
        return qd_err_set(
            err, QD_E_ARG,
            "Can only use phrase%s queries on text fields - not on [%.*s] which is of "
            "type [%s]",
            prefix ? " prefix" : "", QD_STR_ARG(m->field.name), qdi_query_field_type(&m->field));
    if (!f->indexed)
        return qd_err_set(err, QD_E_ARG, "Cannot search on field [%.*s] since it is not indexed.",
                          QD_STR_ARG(f->name));
    if (several && f->index_options < QD_INDEX_OPT_POSITIONS && !f->phrases_apart)
        return qd_err_set(err, QD_E_STATE,
                          "field:[%.*s] was indexed without position data; cannot run PhraseQuery",
                          QD_STR_ARG(f->name));
    return 0;
}

static int phrase(const qdi_matcher *m, const qdi_token *t, uint32_t n, bool prefix,
                  const qd_node **out, qd_err *err)
{
    bool several = false;
    for (uint32_t i = 1; i < n; i++) several |= t[i].inc > 0;
    int rc = check_phrase(m, prefix, several, err);
    if (rc) return rc;
    /* each word opens its postings: as many as a query may have clauses */
    if (n > m->b->limits.max_clauses)
        return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                          m->b->limits.max_clauses);
    qd_node *x = qdi_query_node(m->b, QD_NATIVE_PHRASE, err);
    qd_phrase_term *terms = qd_arena_calloc(m->b->arena, n * sizeof *terms);
    if (!x || !terms) return qd_err_nomem(err, "query");
    uint32_t pos = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i && t[i].inc) pos += m->no_increments ? 1 : t[i].inc;
        terms[i].term = t[i].term;
        terms[i].position = pos;
    }
    for (uint32_t i = 0; prefix && i < n; i++) terms[i].prefix = terms[i].position == pos;
    x->u.phrase.field = m->field.name;
    x->u.phrase.terms = terms;
    x->u.phrase.n = n;
    x->u.phrase.slop = m->slop;
    /* Elasticsearch looks at the limit behind the first term */
    x->u.phrase.max_expansions = m->max_expansions ? m->max_expansions : 1;
    *out = x;
    if (m->field.f->phrases_apart)
        return qdi_source_phrase(m->b, m->field.f, &x->u.phrase, several, out, err);
    if (m->field.f->nshingles) return qdi_match_shingles(m, t, n, prefix, &x->u.phrase.pairs, err);
    return prefix ? 0 : qdi_match_pairs(m, t, n, &x->u.phrase.pairs, err);
}

/* A phrase in each field of a group. */
static int blended_phrase(const qdi_matcher *m, const qdi_token *t, uint32_t n, const qd_node **out,
                          qd_err *err)
{
    qdi_clauses c = {0};
    int rc = 0;
    for (uint32_t i = 0; i < m->nblend && !rc; i++) {
        qdi_matcher one = *m;
        const qd_node *x;
        one.field = m->blend[i].field;
        rc = phrase(&one, t, n, false, &x, err);
        if (!rc) rc = qdi_boosted(m->b, x, m->blend[i].boost, &x, err);
        if (!rc) rc = qdi_clause_add(m->b, &c, QD_OCCUR_SHOULD, x, err);
    }
    if (!rc) return qdi_clauses_dis_max(m->b, &c, m->tie, out, err);
    qd_vec_fini(&c.should);
    return rc;
}

static int lenient_phrase(const qdi_matcher *m, const qdi_token *t, uint32_t n, bool prefix,
                          const qd_node **out, qd_err *err)
{
    qd_err step;
    if (m->nblend) return blended_phrase(m, t, n, out, err);
    qd_err_init(&step);
    int rc = phrase(m, t, n, prefix, out, &step);
    return qdi_forgive(m->b, m->lenient, rc, &step, out, err);
}

/* --- several positions ------------------------------------------------------------------------ */

static int boolean(const qdi_matcher *m, const qdi_token *t, uint32_t n, bool and_operator,
                   bool prefix, const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc;) {
        const qd_node *x;
        uint32_t to = i + 1;
        while (to < n && t[to].inc == 0) to++;
        if (to - i > 1)
            rc = qdi_match_synonyms(m, t + i, to - i, &x, err);
        else if (prefix && to == n)
            rc = qdi_match_prefix(m, t[i].term, &x, err);
        else
            rc = qdi_match_term(m, (qd_query_value){t[i].term, true}, &x, err);
        if (!rc)
            rc = qdi_clause_add(m->b, &c, and_operator ? QD_OCCUR_MUST : QD_OCCUR_SHOULD, x, err);
        i = to;
    }
    if (!rc) return qdi_clauses_bool(m->b, &c, (qd_str){NULL, 0}, out, err);
    qd_vec_fini(&c.must);
    qd_vec_fini(&c.should);
    return rc;
}

int qdi_match_tokens(const qdi_matcher *m, qdi_match_type type, const qdi_token *t, uint32_t n,
                     bool and_operator, bool at_end, const qd_node **out, qd_err *err)
{
    uint32_t positions = n ? 1 : 0;
    for (uint32_t i = 1; i < n; i++) positions += t[i].inc > 0;
    *out = NULL;
    if (n == 0) return 0;
    bool prefix = type == QDI_MATCH_BOOLEAN_PREFIX && at_end;
    if (type == QDI_MATCH_PHRASE_PREFIX) return lenient_phrase(m, t, n, true, out, err);
    if (n == 1) {
        if (prefix) return qdi_match_prefix(m, t[0].term, out, err);
        return qdi_match_term(m, (qd_query_value){t[0].term, true}, out, err);
    }
    if (type == QDI_MATCH_PHRASE && positions > 1) return lenient_phrase(m, t, n, false, out, err);
    if (positions == 1) return qdi_match_synonyms(m, t, n, out, err);
    return boolean(m, t, n, and_operator, prefix, out, err);
}

/* --- entry ------------------------------------------------------------------------------------ */

static int zero_terms(const qdi_matcher *m, const qd_node **out, qd_err *err)
{
    *out = NULL;
    if (m->zero_terms == QDI_ZERO_NULL) return 0;
    *out = qdi_query_node(
        m->b, m->zero_terms == QDI_ZERO_ALL ? QD_NATIVE_MATCH_ALL : QD_NATIVE_MATCH_NONE, err);
    return *out ? 0 : QD_E_NOMEM;
}

int qdi_match(const qdi_matcher *m, qdi_match_type type, qd_query_value text, const qd_node **out,
              qd_err *err)
{
    qdi_token *t;
    uint32_t n;
    bool at_end, graph = false;
    if (m->field.cls == QDI_F_NONE) return qdi_query_none(m->b, out, err);
    bool quoted = type == QDI_MATCH_PHRASE || type == QDI_MATCH_PHRASE_PREFIX;
    const qd_analyzer *a = quoted && m->quote_analyzer ? m->quote_analyzer : m->analyzer;
    if (!a) a = qdi_search_analyzer(m->b, &m->field, quoted);
    if (!a && type != QDI_MATCH_PHRASE_PREFIX) { /* not analyzed: the value as it is */
        if (type == QDI_MATCH_BOOLEAN_PREFIX && m->field.f &&
            m->field.f->value_class == QD_VALUE_TERM)
            return qdi_match_prefix(m, text.text, out, err);
        return qdi_match_term(m, text, out, err);
    }
    int rc = qdi_analyze(m->b, a, text.text, &t, &n, &at_end, err);
    if (rc) return rc;
    if (n == 0) return zero_terms(m, out, err);
    for (uint32_t i = 0; i < n; i++) graph |= t[i].length > 1;
    if (graph && n > 1) return qdi_match_graph(m, type, t, n, m->and_operator, at_end, out, err);
    return qdi_match_tokens(m, type, t, n, m->and_operator, at_end, out, err);
}

static int find_analyzer(qdi_builder *b, const qd_query *q, qd_str name, const qd_analyzer **out,
                         qd_err *err)
{
    if (!name.p) return 0;
    *out = qd_analyzers_get(qd_mapping_analyzers(b->c->mapping), name);
    if (*out) return 0;
    return qdi_shard_err(b, err, "[%s] analyzer [%.*s] not found", q->type->name, QD_STR_ARG(name));
}

int qdi_matcher_of(qdi_builder *b, const qd_query *q, qdi_matcher *m, qd_err *err)
{
    const qdi_text *t = qdi_text_of(q);
    *m = (qdi_matcher){
        .b = b,
        .and_operator = t->and_operator,
        .lenient = t->lenient == QDI_YES,
        .synonyms_phrase = t->synonyms_phrase,
        .no_increments = !t->enable_position_increments,
        .fuzziness = t->fuzziness,
        .prefix_length = (uint32_t)t->prefix_length,
        .max_expansions = (uint32_t)t->max_expansions,
        .slop = (uint32_t)t->slop,
        .transpositions = t->transpositions,
        .fuzzy_rewrite = t->fuzzy_rewrite,
        .zero_terms = t->zero_terms,
    };
    int rc = find_analyzer(b, q, t->analyzer, &m->analyzer, err);
    return rc ? rc : find_analyzer(b, q, t->quote_analyzer, &m->quote_analyzer, err);
}
