/*
 * query_string.c: query_string: options, fields, options, the parse, and what becomes of its
 * errors.
 */
#include "query/read_int.h"
#include "query/string/string_int.h"
#include <stdio.h>

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        QDI_STRING_OPTIONS,
        {"default_field", QDI_OPT_TEXT, QDI_TEXT_AT(default_field)},
        {"quote_analyzer", QDI_OPT_TEXT, QDI_TEXT_AT(quote_analyzer)},
        {"allow_leading_wildcard", QDI_OPT_TRI, QDI_TEXT_AT(allow_leading_wildcard)},
        {"max_determinized_states", QDI_OPT_INT, QDI_TEXT_AT(max_determinized_states)},
        {"enable_position_increments", QDI_OPT_BOOL, QDI_TEXT_AT(enable_position_increments)},
        {"escape", QDI_OPT_BOOL, QDI_TEXT_AT(escape)},
        {"fuzzy_rewrite", QDI_OPT_TEXT_OR_NULL, QDI_TEXT_AT(fuzzy_rewrite)},
        {"phrase_slop", QDI_OPT_INT, QDI_TEXT_AT(slop)},
        {"fuzziness", QDI_OPT_FUZZINESS, QDI_TEXT_AT(fuzziness)},
        {"type", QDI_OPT_MULTI_TYPE, QDI_TEXT_AT(type)},
        {"tie_breaker", QDI_OPT_TIE, offsetof(qdi_text_query, text)},
        {"rewrite", QDI_OPT_TEXT_OR_NULL, QDI_TEXT_AT(rewrite)},
        {"time_zone", QDI_OPT_TEXT, QDI_TEXT_AT(time_zone)},
    };
    static const qdi_flat_form form = {.unknown = "query does not support"};
    qdi_text_init(q, QDI_MATCH_BOOLEAN);
    int rc = qdi_read_flat(rd, r, rows, QD_COUNT_OF(rows), &form, q, err);
    if (rc) return rc;
    if (!q->has_value)
        return qd_json_err_at(r, err, QD_E_PARSE, "[query_string] must be provided with a [query]");
    return qdi_check_zone(rd, qdi_text_of(q)->time_zone, err);
}

/* Lucene's QueryParser.escape: every character of the syntax stands for itself. */
static int escape(qdi_builder *b, qd_str text, qd_str *out, qd_err *err)
{
    char *to = qd_arena_bytes(b->arena, 2 * text.n + 1);
    size_t n = 0;
    if (!to) return qd_err_nomem(err, "query");
    for (size_t i = 0; i < text.n; i++) {
        if (memchr("\\+-!():^[]\"{}~*?|&/", text.p[i], 19)) to[n++] = '\\';
        to[n++] = text.p[i];
    }
    *out = (qd_str){to, n};
    return 0;
}

static int set_fields(qdi_string *s, qd_err *err)
{
    const qdi_text *t = qdi_text_of(s->q);
    bool all = false;
    int rc;
    if (t->default_field.p && !qd_str_is(t->default_field, "*")) {
        s->default_field = t->default_field;
        s->m.lenient = t->lenient ? t->lenient == QDI_YES : s->b->c->lenient;
        return 0;
    }
    if (t->default_field.p) {
        all = true;
        rc = qdi_fields_add(s->b, &s->fields, QD_STR("*"), 1, (qd_str){NULL, 0}, err);
        if (!rc) rc = qdi_fields_check(s->b, &s->fields, err);
    } else {
        rc = qdi_fields_of(s->b, s->q, &s->fields, &all, err);
    }
    if (all && !t->nfields) s->default_field = QD_STR("*");
    s->m.lenient = t->lenient ? t->lenient == QDI_YES : all || s->b->c->lenient;
    return rc;
}

/* Errors of the syntax: "Failed to parse query [x]" around "Cannot parse 'x': …". */
static int syntax_failed(qdi_string *s, qd_err *err)
{
    qd_str text = qd_str_sub(s->q->value.text, 0, 1000);
    if (!err) return QD_E_QUERY_SHARD;
    char why[512];
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    qd_err_fini(err);
    (void)qd_err_set(err, QD_E_QUERY_SYNTAX, "Cannot parse '%.*s': %s", QD_STR_ARG(text), why);
    int rc = qd_err_wrap(err, QD_E_QUERY_SHARD, "Failed to parse query [%.*s]", QD_STR_ARG(text));
    if (s->b->c->index_uuid.n) qd_err_detail_str(err, "index_uuid", s->b->c->index_uuid);
    if (s->b->c->index.n) qd_err_detail_str(err, "index", s->b->c->index);
    return rc;
}

static int check(qdi_builder *b, const qd_query *q, qd_err *err)
{
    const qdi_text *t = qdi_text_of(q);
    qd_node_pattern p = {0};
    int rc = 0;
    (void)b;
    if (t->nfields && t->default_field.p) {
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: [query_string] cannot use [fields] parameter in "
                        "conjunction with [default_field];");
        qd_err_type(err, "query_validation_exception", 0);
        return rc;
    }
    /* fuzzy_rewrite is read and checked, and then Elasticsearch's parser forgets it */
    if (!rc) rc = qdi_pattern_rewrite(t->fuzzy_rewrite, &p, err);
    return rc ? rc : qdi_pattern_rewrite(t->rewrite, &p, err);
}

static int run(qdi_string *s, const qd_node **out, qd_err *err)
{
    const qdi_text *t = qdi_text_of(s->q);
    qd_str text = s->q->value.text;
    int rc = set_fields(s, err);
    if (!rc && t->escape) rc = escape(s->b, text, &text, err);
    if (rc) return rc;
    if (qd_str_trim(text).n == 0) return qdi_query_none(s->b, out, err);
    rc = qdi_string_parse(s, text, out, err);
    if (rc == QD_E_QUERY_SYNTAX && err && !err->cause) return syntax_failed(s, err);
    if (rc || !*out) return rc;
    rc = qdi_fix_negative(s->b, *out, out, err);
    return rc ? rc : qdi_apply_minimum(s->b, *out, t->minimum_should_match, out, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qdi_text *t = qdi_text_of(q);
    qdi_string s = {.b = b, .q = q, .and_operator = t->and_operator};
    int rc = check(b, q, err);
    if (!rc) rc = qdi_matcher_of(b, q, &s.m, err);
    if (rc) return rc;
    s.m.fuzziness = (qdi_fuzziness){0}; /* of `~` only */
    s.analyze_wildcard =
        t->analyze_wildcard ? t->analyze_wildcard == QDI_YES : b->limits.analyze_wildcard;
    s.leading_wildcard = t->allow_leading_wildcard ? t->allow_leading_wildcard == QDI_YES
                                                   : b->limits.allow_leading_wildcard;
    s.tie = t->has_tie_breaker                                         ? t->tie_breaker
            : t->type == QDI_MOST_FIELDS || t->type == QDI_BOOL_PREFIX ? 1.0f
                                                                       : 0.0f;
    rc = run(&s, out, err);
    qd_vec_fini(&s.fields.v);
    return rc;
}

const qd_query_type qdi_query_query_string = {
    .name = "query_string", .size = sizeof(qdi_text_query), .read = read, .build = build};
