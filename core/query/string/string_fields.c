/*
 * string_fields.c: a piece of a query string over its fields: each field makes its own query, and
 * more than one stand in a dis_max, as Elasticsearch's QueryStringQueryParser has it.
 */
#include "base/utf8.h"
#include "query/string/string_int.h"

typedef struct target {
    qdi_fields own;         /* resolved here; freed by end */
    const qdi_fields *list; /* own or the query's */
} target;

/* The fields that a name or pattern in the text, or its absence, stands for. */
static int resolve(qdi_string *s, qd_str field, bool quoted, target *t, qd_err *err)
{
    qd_str suffix = quoted ? qdi_text_of(s->q)->quote_field_suffix : (qd_str){NULL, 0};
    *t = (target){.list = &s->fields};
    if (!field.p) field = s->default_field;
    int rc = 0;
    if (field.p && !(qd_str_is(field, "*") && qd_str_is(s->default_field, "*"))) {
        rc = qdi_fields_add(s->b, &t->own, field, 1, suffix, err);
    } else if (!field.p && suffix.n) {
        for (size_t i = 0; i < s->fields.v.n && !rc; i++)
            rc = qdi_fields_add(s->b, &t->own, s->fields.v.at[i].field.name,
                                s->fields.v.at[i].boost, suffix, err);
    } else {
        return 0;
    }
    if (!rc) rc = qdi_fields_check(s->b, &t->own, err);
    t->list = &t->own;
    if (rc) qd_vec_fini(&t->own.v);
    return rc;
}

static void target_end(target *t)
{
    qd_vec_fini(&t->own.v);
}

static int exists(qdi_string *s, qd_str field, const qd_node **out, qd_err *err)
{
    return qdi_field_exists(s->b, field, out, err);
}

/* What one field makes of a piece. */
typedef int (*single_fn)(qdi_string *s, const qdi_field *f, const void *arg, const qd_node **out,
                         qd_err *err);

static int each(qdi_string *s, qd_str field, single_fn fn, const void *arg, const qd_node **out,
                qd_err *err)
{
    target t;
    qdi_clauses c = {0};
    int rc = resolve(s, field, false, &t, err);
    if (rc) return rc;
    for (size_t i = 0; i < t.list->v.n && !rc; i++) {
        const qdi_weighted *w = &t.list->v.at[i];
        const qd_node *x = NULL;
        qd_err step;
        qd_err_init(&step);
        rc = fn(s, &w->field, arg, &x, &step);
        rc = qdi_forgive(s->b, s->m.lenient, rc, &step, &x, err);
        if (!rc && x) rc = qdi_boosted(s->b, x, w->boost, &x, err);
        if (!rc && x) rc = qdi_clause_add(s->b, &c, QD_OCCUR_SHOULD, x, err);
    }
    bool none = t.list->v.n == 0;
    target_end(&t);
    if (rc) {
        qd_vec_fini(&c.should);
        return rc;
    }
    rc = qdi_clauses_dis_max(s->b, &c, s->tie, out, err);
    return rc || *out || !none ? rc : qdi_query_none(s->b, out, err);
}

/* --- words and phrases ------------------------------------------------------------------------ */

static int multi(qdi_string *s, qd_str field, bool quoted, qdi_multi_type type, qd_str text,
                 uint32_t slop, const qd_node **out, qd_err *err)
{
    target t;
    qdi_matcher m = s->m;
    int rc = resolve(s, field, quoted, &t, err);
    if (rc) return rc;
    m.slop = slop;
    m.zero_terms = QDI_ZERO_NULL;
    m.and_operator = s->and_operator;
    rc = qdi_multi_match(&m, type, &s->tie, t.list, (qd_query_value){text, true}, (qd_str){NULL, 0},
                         out, err);
    target_end(&t);
    return rc;
}

/* ">5", ">=5", "<5", "<=5"; 1 when the text is none of them. */
static int comparison(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err)
{
    static const qd_str open = {NULL, 0};
    if (text.n < 2 || (text.p[0] != '>' && text.p[0] != '<')) return 1;
    bool with = text.n > 2 && text.p[1] == '=';
    qd_str value = qd_str_sub(text, with ? 2 : 1, text.n);
    if (text.p[0] == '>') return qdi_string_range(s, field, value, open, with, true, out, err);
    return qdi_string_range(s, field, open, value, true, with, out, err);
}

int qdi_string_words(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err)
{
    qd_str name = field.p ? field : s->default_field;
    if (name.p && qd_str_is(name, "_exists_")) return exists(s, text, out, err);
    if (name.p) {
        int rc = comparison(s, field, text, out, err);
        if (rc <= 0) return rc;
        const qd_field *f = qd_mapping_field(s->b->c->mapping, name);
        if (f && f->dates && qdi_text_of(s->q)->time_zone.p && text.n > 1)
            return qdi_string_range(s, field, text, text, true, true, out, err);
    }
    return multi(s, field, false, qdi_text_of(s->q)->type, text, s->m.slop, out, err);
}

int qdi_string_phrase(qdi_string *s, qd_str field, qd_str text, uint32_t slop, const qd_node **out,
                      qd_err *err)
{
    if (field.p && qd_str_is(field, "_exists_")) return exists(s, text, out, err);
    return multi(s, field, true, QDI_PHRASE, text, slop, out, err);
}

/* --- ranges ----------------------------------------------------------------------------------- */

/* Bounds on analyzed fields go through what keeps a term one term. */
static int normalized(qdi_string *s, const qdi_field *f, qd_str text, qd_str *out, qd_err *err)
{
    const qd_analyzer *a = s->m.analyzer;
    qd_str plain = text;
    if (!a && qdi_field_is_text(f)) a = f->f->search_analyzer;
    int rc = a ? qd_analyzer_normalize(a, s->b->c->analysis, text, &plain, err) : 0;
    return rc ? rc : qdi_query_copy(s->b, plain, out, err);
}

static int range_of(qdi_string *s, const qdi_field *f, const void *arg, const qd_node **out,
                    qd_err *err)
{
    qdi_range g = *(const qdi_range *)arg;
    int rc = 0;
    if (f->cls == QDI_F_NONE) return qdi_query_none(s->b, out, err);
    if (g.has_from) rc = normalized(s, f, g.from.text, &g.from.text, err);
    if (!rc && g.has_to) rc = normalized(s, f, g.to.text, &g.to.text, err);
    return rc ? rc : qdi_field_range(s->b, f, &g, out, err);
}

int qdi_string_range(qdi_string *s, qd_str field, qd_str from, qd_str to, bool from_in, bool to_in,
                     const qd_node **out, qd_err *err)
{
    qdi_range g = {.from = {from, true},
                   .to = {to, true},
                   .has_from = from.p && !qd_str_is(from, "*"),
                   .has_to = to.p && !qd_str_is(to, "*"),
                   .include_from = from_in,
                   .include_to = to_in,
                   .time_zone = qdi_text_of(s->q)->time_zone};
    return each(s, field, range_of, &g, out, err);
}

/* --- patterns --------------------------------------------------------------------------------- */

/* Analyzed text whose last position is a prefix. */
static int analyzed_prefix(qdi_string *s, const qdi_field *f, const qd_analyzer *a, qd_str text,
                           const qd_node **out, qd_err *err)
{
    qdi_token *t;
    uint32_t n;
    bool at_end;
    qdi_matcher m = {.b = s->b, .field = *f, .transpositions = true};
    qdi_clauses c = {0};
    int rc = qdi_analyze(s->b, a, text, &t, &n, &at_end, err);
    *out = NULL;
    for (uint32_t i = 0; i < n && !rc;) {
        const qd_node *x;
        uint32_t to = i + 1;
        while (to < n && t[to].inc == 0) to++;
        if (to < n) {
            rc = qdi_match_tokens(&m, QDI_MATCH_BOOLEAN, t + i, to - i, false, false, &x, err);
        } else {
            qdi_clauses last = {0};
            for (uint32_t k = i; k < to && !rc; k++) {
                rc = qdi_match_prefix(&m, t[k].term, &x, err);
                if (!rc) rc = qdi_clause_add(s->b, &last, QD_OCCUR_SHOULD, x, err);
            }
            if (!rc && to - i > 1) rc = qdi_clauses_bool(s->b, &last, (qd_str){NULL, 0}, &x, err);
            qd_vec_fini(&last.should);
        }
        if (!rc)
            rc =
                qdi_clause_add(s->b, &c, s->and_operator ? QD_OCCUR_MUST : QD_OCCUR_SHOULD, x, err);
        i = to;
    }
    size_t all = c.must.n + c.should.n;
    if (!rc && all == 1)
        *out = c.must.n ? c.must.at[0] : c.should.at[0];
    else if (!rc && all)
        return qdi_clauses_bool(s->b, &c, (qd_str){NULL, 0}, out, err);
    qd_vec_fini(&c.must);
    qd_vec_fini(&c.should);
    return rc;
}

int qdi_string_prefix_of(qdi_string *s, const qdi_field *f, qd_str text, const qd_node **out,
                         qd_err *err)
{
    qdi_pattern p = {.kind = QD_PATTERN_PREFIX, .rewrite = qdi_text_of(s->q)->rewrite};
    if (f->cls == QDI_F_NONE) return qdi_query_none(s->b, out, err);
    if (!qdi_field_is_text(f)) return qdi_field_pattern(s->b, f, &p, text, false, out, err);
    const qd_analyzer *a = s->m.analyzer ? s->m.analyzer : f->f->search_analyzer;
    if (s->analyze_wildcard) return analyzed_prefix(s, f, a, text, out, err);
    int rc = normalized(s, f, text, &text, err);
    return rc ? rc : qdi_field_pattern(s->b, f, &p, text, false, out, err);
}

static int prefix_of(qdi_string *s, const qdi_field *f, const void *arg, const qd_node **out,
                     qd_err *err)
{
    return qdi_string_prefix_of(s, f, *(const qd_str *)arg, out, err);
}

int qdi_string_prefix(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err)
{
    return each(s, field, prefix_of, &text, out, err);
}

static int wildcard_of(qdi_string *s, const qdi_field *f, const void *arg, const qd_node **out,
                       qd_err *err)
{
    qd_str text = *(const qd_str *)arg;
    qdi_pattern p = {.kind = QD_PATTERN_WILDCARD, .rewrite = qdi_text_of(s->q)->rewrite};
    if (f->cls == QDI_F_NONE) return qdi_query_none(s->b, out, err);
    if (qd_str_is(text, "*")) return exists(s, f->name, out, err);
    return qdi_field_pattern(s->b, f, &p, text, true, out, err);
}

int qdi_string_wildcard(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err)
{
    qd_str name = field.p ? field : s->default_field;
    if (qd_str_is(text, "*") && name.p) {
        if (!qd_str_is(name, "*")) return exists(s, name, out, err);
        *out = qdi_query_node(s->b, QD_NATIVE_MATCH_ALL, err);
        return *out ? 0 : QD_E_NOMEM;
    }
    if (!s->leading_wildcard && text.n && (text.p[0] == '*' || text.p[0] == '?'))
        return qd_err_set(err, QD_E_QUERY_SYNTAX,
                          "'*' or '?' not allowed as first character in WildcardQuery");
    return each(s, field, wildcard_of, &text, out, err);
}

static int regexp_of(qdi_string *s, const qdi_field *f, const void *arg, const qd_node **out,
                     qd_err *err)
{
    qdi_pattern p = {.kind = QD_PATTERN_REGEXP,
                     .rewrite = qdi_text_of(s->q)->rewrite,
                     .regexp_flags = 0xff,
                     .max_determinized_states = qdi_text_of(s->q)->max_determinized_states};
    qd_str text = *(const qd_str *)arg;
    if (qdi_field_is_text(f)) { /* the expression as a whole is what the analyzer makes of words */
        int rc = normalized(s, f, text, &text, err);
        if (rc) return rc;
    }
    return qdi_field_pattern(s->b, f, &p, text, false, out, err);
}

int qdi_string_regexp(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err)
{
    size_t length = qd_utf8_utf16(text);
    if (length > s->b->limits.max_regex_length)
        return qd_err_set(err, QD_E_ARG,
                          "The length of regex [%zu] used in the [query_string] has exceeded the "
                          "allowed maximum of [%u]. This maximum can be set by changing the "
                          "[index.max_regex_length] index level setting.",
                          length, s->b->limits.max_regex_length);
    return each(s, field, regexp_of, &text, out, err);
}

static int fuzzy_of(qdi_string *s, const qdi_field *f, const void *arg, const qd_node **out,
                    qd_err *err)
{
    qdi_pattern p = *(const qdi_pattern *)arg;
    qd_str text = p.rewrite; /* the word travels here */
    p.rewrite = (qd_str){NULL, 0};
    if (f->cls == QDI_F_NONE) return qdi_query_none(s->b, out, err);
    int rc = normalized(s, f, text, &text, err);
    return rc ? rc : qdi_field_pattern(s->b, f, &p, text, false, out, err);
}

int qdi_string_fuzzy(qdi_string *s, qd_str field, qd_str text, qd_str fuzziness,
                     const qd_node **out, qd_err *err)
{
    const qdi_text *o = qdi_text_of(s->q);
    qdi_pattern p = {.kind = QD_PATTERN_FUZZY,
                     .transpositions = o->transpositions,
                     .rewrite = text,
                     .fuzziness = o->fuzziness,
                     .prefix_length = o->prefix_length,
                     .max_expansions = o->max_expansions > 0 ? o->max_expansions : 50};
    if (!p.fuzziness.given)
        p.fuzziness = (qdi_fuzziness){.given = true, .automatic = true, .low = 3, .high = 6};
    if (fuzziness.n) {
        int rc = qdi_fuzziness_parse(fuzziness, &p.fuzziness, err);
        if (rc) return rc;
    }
    /* the edits follow from the word as it is written, before normalization */
    p.fuzziness.edits = (float)qdi_fuzzy_edits(&p.fuzziness, text);
    p.fuzziness.automatic = false;
    return each(s, field, fuzzy_of, &p, out, err);
}
