/*
 * build_multi.c: text over several fields: multi_match, and the terms of query strings.
 */
#include "query/build_int.h"

static const qdi_match_type match_types[] = {
    [QDI_BEST_FIELDS] = QDI_MATCH_BOOLEAN,         [QDI_MOST_FIELDS] = QDI_MATCH_BOOLEAN,
    [QDI_CROSS_FIELDS] = QDI_MATCH_BOOLEAN,        [QDI_PHRASE] = QDI_MATCH_PHRASE,
    [QDI_PHRASE_PREFIX] = QDI_MATCH_PHRASE_PREFIX, [QDI_BOOL_PREFIX] = QDI_MATCH_BOOLEAN_PREFIX};

static int each_field(const qdi_matcher *m, qdi_multi_type type, const qdi_fields *fields,
                      qd_query_value text, qd_str minimum, qdi_clauses *c, qd_err *err)
{
    for (size_t i = 0; i < fields->v.n; i++) {
        qdi_matcher one = *m;
        const qd_node *x;
        one.field = fields->v.at[i].field;
        int rc = qdi_match(&one, match_types[type], text, &x, err);
        if (!rc) rc = qdi_apply_minimum(m->b, x, minimum, &x, err);
        if (!rc && x) rc = qdi_boosted(m->b, x, fields->v.at[i].boost, &x, err);
        if (!rc && x) rc = qdi_clause_add(m->b, c, QD_OCCUR_SHOULD, x, err);
        if (rc) return rc;
    }
    return 0;
}

/* One group of fields with the same analyzer. */
static int one_group(const qdi_matcher *m, const qdi_weighted *group, uint32_t n,
                     qd_query_value text, qd_str minimum, qdi_clauses *c, qd_err *err)
{
    qdi_matcher one = *m;
    const qd_node *x;
    one.field = group[0].field;
    if (n > 1) {
        one.blend = group;
        one.nblend = n;
    }
    int rc = qdi_match(&one, QDI_MATCH_BOOLEAN, text, &x, err);
    if (!rc) rc = qdi_apply_minimum(m->b, x, minimum, &x, err);
    if (!rc && x && n == 1) rc = qdi_boosted(m->b, x, group[0].boost, &x, err);
    if (!rc && x) rc = qdi_clause_add(m->b, c, QD_OCCUR_SHOULD, x, err);
    return rc;
}

/* cross_fields: fields that analyze alike are one field; what is not analyzed is alike too, but for
 * its normalizer. */
static int cross_fields(const qdi_matcher *m, const qdi_fields *fields, qd_query_value text,
                        qd_str minimum, qdi_clauses *c, qd_err *err)
{
    size_t n = fields->v.n;
    qdi_weighted *group = qd_arena_alloc(m->b->arena, (n + 1) * sizeof *group);
    bool *done = qd_arena_calloc(m->b->arena, n + 1);
    if (!group || !done) return qd_err_nomem(err, "query");
    for (size_t i = 0; i < n; i++) {
        uint32_t k = 0;
        if (done[i]) continue;
        const qdi_field *f = &fields->v.at[i].field;
        const qd_analyzer *a = m->analyzer ? m->analyzer : qdi_search_analyzer(m->b, f, false);
        for (size_t j = i; j < n; j++) {
            const qdi_field *g = &fields->v.at[j].field;
            if (done[j]) continue;
            if (!m->analyzer &&
                (qdi_search_analyzer(m->b, g, false) != a ||
                 (f->f ? f->f->normalizer : NULL) != (g->f ? g->f->normalizer : NULL)))
                continue;
            done[j] = true;
            group[k++] = fields->v.at[j];
        }
        qdi_weighted *own = qd_arena_alloc(m->b->arena, k * sizeof *own);
        if (!own) return qd_err_nomem(err, "query");
        memcpy(own, group, k * sizeof *own);
        int rc = one_group(m, own, k, text, minimum, c, err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_multi_match(const qdi_matcher *m, qdi_multi_type type, const float *tie_breaker,
                    const qdi_fields *fields, qd_query_value text, qd_str minimum,
                    const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    qdi_matcher all = *m;
    if (fields->v.n == 0) return qdi_query_none(m->b, out, err);
    all.tie = tie_breaker                                          ? *tie_breaker
              : type == QDI_MOST_FIELDS || type == QDI_BOOL_PREFIX ? 1.0f
                                                                   : 0.0f;
    int rc = type == QDI_CROSS_FIELDS ? cross_fields(&all, fields, text, minimum, &c, err)
                                      : each_field(&all, type, fields, text, minimum, &c, err);
    if (rc) {
        qd_vec_fini(&c.should);
        return rc;
    }
    rc = qdi_clauses_dis_max(m->b, &c, all.tie, out, err);
    if (rc || *out || m->zero_terms == QDI_ZERO_NULL) return rc;
    if (m->zero_terms == QDI_ZERO_NONE) return qdi_query_none(m->b, out, err);
    *out = qdi_query_node(m->b, QD_NATIVE_MATCH_ALL, err);
    return *out ? 0 : QD_E_NOMEM;
}

/* index.query.default_field: names with boosts. */
static int add_defaults(qdi_builder *b, qdi_fields *out, bool *all, qd_err *err)
{
    qdi_reading rd = {.arena = b->arena};
    static const qd_str star = {"*", 1};
    const qd_str *names = b->c->ndefault_fields ? b->c->default_fields : &star;
    uint32_t n = b->c->ndefault_fields ? b->c->ndefault_fields : 1;
    for (uint32_t i = 0; i < n; i++) {
        qdi_field_boost f;
        int rc = qdi_field_boost_parse(&rd, names[i], &f, err);
        if (rc) return rc;
        *all |= qd_str_is(f.field, "*");
        rc = qdi_fields_add(b, out, f.field, f.boost, (qd_str){NULL, 0}, err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_fields_of(qdi_builder *b, const qd_query *q, qdi_fields *out, bool *all, qd_err *err)
{
    const qdi_text *t = qdi_text_of(q);
    int rc = 0;
    *all = false;
    if (t->nfields == 0) rc = add_defaults(b, out, all, err);
    for (uint32_t i = 0; i < t->nfields && !rc; i++) {
        *all |= qd_str_is(t->fields[i].field, "*");
        rc = qdi_fields_add(b, out, t->fields[i].field, t->fields[i].boost, (qd_str){NULL, 0}, err);
    }
    return rc ? rc : qdi_fields_check(b, out, err);
}
