/*
 * build_constant.c: queries over a field that has one value in the whole index: they match all
 * documents or none.
 */
#include "query/build_int.h"

static int all_or_none(qdi_builder *b, bool all, const qd_node **out, qd_err *err)
{
    *out = qdi_query_node(b, all ? QD_NATIVE_MATCH_ALL : QD_NATIVE_MATCH_NONE, err);
    return *out ? 0 : QD_E_NOMEM;
}

static int matches(qdi_builder *b, const qdi_field *f, const qd_node_pattern *p, bool *yes,
                   qd_err *err)
{
    *yes = false;
    if (!f->f->fixed.p) return 0;
    if (!b->c->matches) return qd_err_set(err, QD_E_STATE, "patterns are not available here");
    return b->c->matches(p, f->f->fixed, b->arena->account, yes, err);
}

/* As Elasticsearch, which reads `*` in every value that such a field is compared with. */
static int compare(qdi_builder *b, const qdi_field *f, qd_str text, bool case_insensitive,
                   bool *yes, qd_err *err)
{
    qd_node_pattern p = {
        .kind = QD_PATTERN_WILDCARD, .text = text, .case_insensitive = case_insensitive};
    *yes = f->f->fixed.p && qd_json_simple_match(text, f->f->fixed);
    return *yes || !case_insensitive ? 0 : matches(b, f, &p, yes, err);
}

int qdi_constant_term(qdi_builder *b, const qdi_field *f, qd_str text, bool case_insensitive,
                      const qd_node **out, qd_err *err)
{
    bool yes;
    int rc = compare(b, f, text, case_insensitive, &yes, err);
    return rc ? rc : all_or_none(b, yes, out, err);
}

int qdi_constant_terms(qdi_builder *b, const qdi_field *f, const qd_query_value *v, uint32_t n,
                       const qd_node **out, qd_err *err)
{
    bool yes = false;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc && !yes; i++) rc = compare(b, f, v[i].text, false, &yes, err);
    return rc ? rc : all_or_none(b, yes, out, err);
}

int qdi_constant_range(qdi_builder *b, const qdi_field *f, const qdi_range *g, const qd_node **out,
                       qd_err *err)
{
    qd_point p[2];
    qd_value_ctx ctx = {.now_ms = b->c->now_ms};
    int rc = qd_field_range(f->f, g->has_from ? &g->from : NULL, g->include_from,
                            g->has_to ? &g->to : NULL, g->include_to, &ctx, p, err);
    return rc < 0 ? rc : all_or_none(b, rc == 0, out, err);
}

int qdi_constant_pattern(qdi_builder *b, const qdi_field *f, const qdi_pattern *p, qd_str text,
                         const qd_node **out, qd_err *err)
{
    bool yes;
    qd_node_pattern x = {
        .kind = p->kind,
        .text = text,
        .case_insensitive = p->case_insensitive,
        .regexp_flags = p->regexp_flags,
        .max_states = p->max_determinized_states > 0 ? (uint32_t)p->max_determinized_states : 0,
        .prefix_length = (uint32_t)p->prefix_length,
        .no_transpositions = !p->transpositions,
    };
    if (p->kind == QD_PATTERN_FUZZY) x.max_edits = (uint8_t)qdi_fuzzy_edits(&p->fuzziness, text);
    int rc = matches(b, f, &x, &yes, err);
    return rc ? rc : all_or_none(b, yes, out, err);
}
