/*
 * build_pattern.c: prefix, wildcard, regexp and fuzzy over the terms of a field.
 */
#include "base/utf8.h"
#include "query/build_int.h"

uint32_t qdi_fuzzy_edits(const qdi_fuzziness *f, qd_str term)
{
    if (!f->automatic) return (uint32_t)f->edits;
    int64_t n = (int64_t)qd_utf8_points(term);
    return n < f->low ? 0 : n < f->high ? 1 : 2;
}

/* "top_terms_10" behind its prefix. */
static bool count_behind(qd_str name, qd_str prefix, uint32_t *out)
{
    uint64_t n;
    if (!qd_str_starts(name, prefix)) return false;
    if (!qd_str_u64(qd_str_sub(name, prefix.n, name.n), &n) || n > 100000) return false;
    *out = (uint32_t)n;
    return true;
}

int qdi_pattern_rewrite(qd_str name, qd_node_pattern *p, qd_err *err)
{
    if (!name.p) return 0;
    if (qd_str_is(name, "constant_score") || qd_str_is(name, "constant_score_boolean") ||
        qd_str_is(name, "constant_score_blended"))
        p->rewrite = QD_REWRITE_CONSTANT;
    else if (qd_str_is(name, "scoring_boolean"))
        p->rewrite = QD_REWRITE_SCORING;
    else if (count_behind(name, QD_STR("top_terms_boost_"), &p->rewrite_n))
        p->rewrite = QD_REWRITE_TOP_BOOST;
    else if (count_behind(name, QD_STR("top_terms_blended_freqs_"), &p->rewrite_n))
        p->rewrite = QD_REWRITE_TOP_BLENDED;
    else if (count_behind(name, QD_STR("top_terms_"), &p->rewrite_n))
        p->rewrite = QD_REWRITE_TOP;
    else
        return qd_err_set(err, QD_E_ARG, "Failed to parse rewrite_method [%.*s]", QD_STR_ARG(name));
    return 0;
}

static int wrong_type(qdi_builder *b, const qdi_field *f, qd_pattern_kind kind, qd_err *err)
{
    switch (kind) {
    case QD_PATTERN_PREFIX:
    case QD_PATTERN_WILDCARD:
        return qdi_shard_err(b, err,
                             "Can only use %s queries on keyword, text and wildcard fields - not "
                             "on [%.*s] which is of type [%s]",
                             kind == QD_PATTERN_PREFIX ? "prefix" : "wildcard", QD_STR_ARG(f->name),
                             qdi_query_field_type(f));
    case QD_PATTERN_REGEXP:
        return qdi_shard_err(b, err,
                             "Can only use regexp queries on keyword and text fields - not on "
                             "[%.*s] which is of type [%s]",
                             QD_STR_ARG(f->name), qdi_query_field_type(f));
    default:
        return qd_err_set(err, QD_E_ARG,
                          "Can only use fuzzy queries on keyword and text fields - not on [%.*s] "
                          "which is of type [%s]",
                          QD_STR_ARG(f->name), qdi_query_field_type(f));
    }
}

static int not_keyed(const qdi_field *f, qd_pattern_kind kind, qd_err *err)
{
    static const char *const names[] = {[QD_PATTERN_WILDCARD] = "wildcard",
                                        [QD_PATTERN_REGEXP] = "regexp",
                                        [QD_PATTERN_FUZZY] = "fuzzy"};
    return qd_err_set(err, QD_E_ARG,
                      "[%s] queries are not currently supported on keyed [%s] fields.", names[kind],
                      qdi_query_field_type(f));
}

/* One stretch of text through the analyzer's normalizing parts, appended. */
static int normalize_part(qdi_builder *b, const qd_analyzer *a, qd_str part, qd_buf *to,
                          qd_err *err)
{
    qd_str out = part;
    if (part.n == 0) return 0;
    int rc = a ? qd_analyzer_normalize(a, b->c->analysis, part, &out, err) : 0;
    if (rc) return rc;
    return qd_buf_str(to, out) ? qd_err_nomem(err, "query") : 0;
}

/* A wildcard's text: what stands between `*`, `?` and escapes is normalized. */
static int normalize_wildcard(qdi_builder *b, const qd_analyzer *a, qd_str text, qd_str *out,
                              qd_err *err)
{
    qd_buf to;
    size_t from = 0;
    int rc = 0;
    qd_buf_init(&to, b->arena->account, 16 * text.n + 256);
    for (size_t i = 0; i < text.n && !rc; i++) {
        char c = text.p[i];
        if (c != '*' && c != '?' && c != '\\') continue;
        rc = normalize_part(b, a, qd_str_sub(text, from, i - from), &to, err);
        size_t n = c == '\\' && i + 1 < text.n ? 2 : 1;
        while (n == 2 && i + n < text.n && ((uint8_t)text.p[i + n] & 0xc0) == 0x80) n++;
        if (!rc && qd_buf_add(&to, text.p + i, n)) rc = qd_err_nomem(err, "query");
        i += n - 1;
        from = i + 1;
    }
    if (!rc) rc = normalize_part(b, a, qd_str_sub(text, from, text.n), &to, err);
    if (!rc) rc = qdi_query_copy(b, qd_buf_view(&to), out, err);
    qd_buf_fini(&to);
    return rc;
}

static int normalize_text(qdi_builder *b, const qd_analyzer *a, qd_pattern_kind kind, qd_str text,
                          qd_str *out, qd_err *err)
{
    qd_str plain = text;
    if (kind == QD_PATTERN_WILDCARD) return normalize_wildcard(b, a, text, out, err);
    if (a && text.n) {
        int rc = qd_analyzer_normalize(a, b->c->analysis, text, &plain, err);
        if (rc) return rc;
    }
    return qdi_query_copy(b, plain, out, err);
}

static int fuzzy_options(qdi_builder *b, const qdi_pattern *p, qd_node *n, const qd_node **out,
                         qd_err *err)
{
    qd_node_pattern *to = &n->u.pattern;
    to->max_edits = (uint8_t)qdi_fuzzy_edits(&p->fuzziness, to->text);
    to->prefix_length = (uint32_t)p->prefix_length;
    to->no_transpositions = !p->transpositions;
    if (to->rewrite_n == 0 || p->rewrite.p == NULL) to->rewrite_n = (uint32_t)p->max_expansions;
    if (to->max_edits == 0 && !p->rewrite.p) { /* the word itself */
        *out = qd_node_term_make(b->arena, to->field, to->text);
        return *out ? 0 : qd_err_nomem(err, "query");
    }
    return 0;
}

/* Without an index the entries of the column's dictionary are tested. */
static int by_column(qdi_builder *b, const qdi_field *f, const qd_node_pattern *pattern,
                     const qd_node **out, qd_err *err)
{
    qd_node *check = qdi_query_node(b, QD_NATIVE_CHECK, err);
    if (!check) return QD_E_NOMEM;
    check->u.check.field = f->name;
    check->u.check.pattern = pattern;
    *out = check;
    return 0;
}

int qdi_field_pattern(qdi_builder *b, const qdi_field *f, const qdi_pattern *p, qd_str text,
                      bool normalize, const qd_node **out, qd_err *err)
{
    if (f->cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    if (f->cls == QDI_F_INDEX && p->kind != QD_PATTERN_REGEXP && p->kind != QD_PATTERN_FUZZY) {
        qd_query_value v = {text, true};
        if (p->kind == QD_PATTERN_PREFIX)
            v.text = qd_arena_printf(b->arena, "%.*s*", QD_STR_ARG(text));
        if (!v.text.p) return qd_err_nomem(err, "query");
        return qdi_field_term(b, f, v, p->case_insensitive, out, err);
    }
    if (f->f && f->f->constant) return qdi_constant_pattern(b, f, p, text, out, err);
    if (!qdi_field_is_string(f)) return wrong_type(b, f, p->kind, err);
    if (f->f && f->f->slice.n && p->kind != QD_PATTERN_PREFIX) return not_keyed(f, p->kind, err);
    int denied = qdi_runtime_allowed(b, f, err);
    if (denied) return denied;
    if (f->f && !f->f->indexed && !f->f->doc_values)
        return qd_err_set(err, QD_E_ARG, "Cannot search on field [%.*s] since it is not indexed.",
                          QD_STR_ARG(f->name));
    if (f->f && f->f->prefixes && p->kind == QD_PATTERN_PREFIX) {
        const qd_analyzer *how = normalize ? f->f->search_analyzer : NULL;
        int rc = qdi_indexed_prefix(b, f, p, how, text, out, err);
        if (rc <= 0) return rc;
    }
    qd_node *n = qdi_query_node(b, QD_NATIVE_PATTERN, err);
    if (!n) return QD_E_NOMEM;
    *out = n;
    n->u.pattern.field = f->name;
    n->u.pattern.kind = p->kind;
    n->u.pattern.rewrite =
        p->kind == QD_PATTERN_FUZZY ? QD_REWRITE_TOP_BLENDED : QD_REWRITE_CONSTANT;
    n->u.pattern.case_insensitive = p->case_insensitive;
    n->u.pattern.regexp_flags = p->regexp_flags;
    n->u.pattern.max_states =
        p->max_determinized_states > 0 ? (uint32_t)p->max_determinized_states : 0;
    const qd_analyzer *a = f->f ? f->f->normalizer : NULL;
    if (normalize && qdi_field_is_text(f)) a = f->f->search_analyzer;
    int rc = qdi_pattern_rewrite(p->rewrite, &n->u.pattern, err);
    if (!rc) rc = normalize_text(b, a, p->kind, text, &n->u.pattern.text, err);
    if (!rc && f->f && f->f->slice.n)
        rc = qdi_field_keyed(b, f, n->u.pattern.text, &n->u.pattern.text, err);
    if (!rc && p->kind == QD_PATTERN_FUZZY) rc = fuzzy_options(b, p, n, out, err);
    if (!rc && f->f && !f->f->indexed && !f->f->grams) {
        qd_query_value word = {n->u.pattern.text, true}; /* all that is left of a fuzzy one */
        return *out == n ? by_column(b, f, &n->u.pattern, out, err)
                         : qdi_field_term(b, f, word, false, out, err);
    }
    if (!rc && f->f && f->f->phrases_apart) rc = qdi_constant_score(b, *out, out, err);
    return rc || !f->f || !f->f->grams ? rc : qdi_grams_pattern(b, f, &n->u.pattern, out, err);
}
