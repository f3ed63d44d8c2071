/*
 * read_text.c: queries that analyze text: match and its kin over one field, multi_match,
 * query_string, simple_query_string.
 */
#include "query/query_int.h"

#define AT(member) offsetof(qd_query, member)
#define STANDARD                                                                                   \
    {"boost", QDI_OPT_FLOAT, AT(boost)},                                                           \
    {                                                                                              \
        "_name", QDI_OPT_TEXT, AT(name)                                                            \
    }

static qd_query *make_text(qdi_reading *rd, qdi_kind kind, const char *label, qdi_match_type match,
                           qd_err *err)
{
    qd_query *q = qdi_query_make(rd, kind, label, err);
    if (!q) return NULL;
    q->u.text.match = match;
    q->u.text.max_expansions = 50;
    q->u.text.transpositions = q->u.text.synonyms_phrase = true;
    q->u.text.enable_position_increments = true;
    q->u.text.flags = -1;
    return q;
}

static int unsupported(qd_json_reader *r, const char *label, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE, "[%s] query does not support [%.*s]", label,
                          QD_STR_ARG(key));
}

static int unknown_token(qd_json_reader *r, const char *label, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE, "[%s] unknown token [%s] after [%.*s]", label,
                          qd_json_event_name(r->event), QD_STR_ARG(key));
}

static int several_fields(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[%s] query doesn't support multiple fields, found [%.*s] and [%.*s]",
                          q->label, QD_STR_ARG(q->field), QD_STR_ARG(key));
}

/* The options behind a field's name. */
static int read_field_options(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                              qd_query *q, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        const qdi_option *o = qdi_option_find(rows, n, key);
        if (r->event == QD_JSON_NULL && o && o->kind == QDI_OPT_TEXT_OR_NULL) continue;
        if (!qdi_is_value(r->event)) return unknown_token(r, q->label, key, err);
        if (!o) return unsupported(r, q->label, key, err);
        int rc = qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

/* {"field": "text"} or {"field": {options}}. */
static int read_field_query(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                            qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (q->field.p) return several_fields(r, q, key, err);
        q->field = key;
        if (ev == QD_JSON_OBJECT)
            rc = read_field_options(rd, r, rows, n, q, err);
        else
            rc = qdi_read_value(rd, r, &q->value, &q->has_value, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (q->has_value) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "No text specified for text query");
}

static int check_counts(const qd_query *q, qd_err *err)
{
    if (q->u.text.prefix_length < 0)
        return qd_err_set(err, QD_E_ARG, "[%s] requires prefix length to be non-negative.",
                          q->label);
    int32_t least = q->u.text.match == QDI_MATCH_PHRASE_PREFIX ? 0 : 1;
    if (q->u.text.max_expansions < least)
        return qd_err_set(err, QD_E_ARG, "[%s] requires maxExpansions to be positive.", q->label);
    if (q->u.text.slop < 0) return qd_err_set(err, QD_E_ARG, "No negative slop allowed.");
    return 0;
}

#define MATCH_OPTIONS                                                                              \
    {"query", QDI_OPT_VALUE, 0}, {"analyzer", QDI_OPT_TEXT, AT(u.text.analyzer)}, STANDARD
#define FUZZY_OPTIONS                                                                              \
    {"fuzziness", QDI_OPT_FUZZINESS, AT(u.text.fuzziness)},                                        \
        {"prefix_length", QDI_OPT_INT, AT(u.text.prefix_length)},                                  \
        {"max_expansions", QDI_OPT_INT, AT(u.text.max_expansions)},                                \
        {"operator", QDI_OPT_OPERATOR, AT(u.text.and_operator)},                                   \
        {"minimum_should_match", QDI_OPT_TEXT_OR_NULL, AT(u.text.minimum_should_match)},           \
        {"fuzzy_rewrite", QDI_OPT_TEXT_OR_NULL, AT(u.text.fuzzy_rewrite)},                         \
    {                                                                                              \
        "fuzzy_transpositions", QDI_OPT_BOOL, AT(u.text.transpositions)                            \
    }

int qdi_read_match(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                   qd_err *err)
{
    static const qdi_option rows[] = {
        MATCH_OPTIONS,
        FUZZY_OPTIONS,
        {"lenient", QDI_OPT_TRI, AT(u.text.lenient)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, AT(u.text.zero_terms)},
        {"auto_generate_synonyms_phrase_query", QDI_OPT_BOOL, AT(u.text.synonyms_phrase)},
    };
    qd_query *q = *out = make_text(rd, QDI_Q_MATCH, label, QDI_MATCH_BOOLEAN, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_field_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : check_counts(q, err);
}

int qdi_read_match_phrase(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                          qd_err *err)
{
    static const qdi_option rows[] = {
        MATCH_OPTIONS,
        {"slop", QDI_OPT_INT, AT(u.text.slop)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, AT(u.text.zero_terms)},
    };
    qd_query *q = *out = make_text(rd, QDI_Q_MATCH, label, QDI_MATCH_PHRASE, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_field_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : check_counts(q, err);
}

int qdi_read_match_phrase_prefix(qdi_reading *rd, qd_json_reader *r, const char *label,
                                 qd_query **out, qd_err *err)
{
    static const qdi_option rows[] = {
        MATCH_OPTIONS,
        {"slop", QDI_OPT_INT, AT(u.text.slop)},
        {"max_expansions", QDI_OPT_INT, AT(u.text.max_expansions)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, AT(u.text.zero_terms)},
    };
    qd_query *q = *out = make_text(rd, QDI_Q_MATCH, label, QDI_MATCH_PHRASE_PREFIX, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_field_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : check_counts(q, err);
}

int qdi_read_match_bool_prefix(qdi_reading *rd, qd_json_reader *r, const char *label,
                               qd_query **out, qd_err *err)
{
    static const qdi_option rows[] = {MATCH_OPTIONS, FUZZY_OPTIONS};
    qd_query *q = *out = make_text(rd, QDI_Q_MATCH, label, QDI_MATCH_BOOLEAN_PREFIX, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_field_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : check_counts(q, err);
}

/* Queries whose options stand directly below their name. */
static int read_flat(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                     const char *unknown, qd_query *q, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        const qdi_option *o = qdi_option_find(rows, n, key);
        bool list = o && o->kind == QDI_OPT_FIELDS;
        if (r->event == QD_JSON_NULL && o && o->kind == QDI_OPT_TEXT_OR_NULL) continue;
        if (r->event == QD_JSON_ARRAY ? !list : !qdi_is_value(r->event)) {
            if (r->event == QD_JSON_ARRAY && q->kind != QDI_Q_MULTI_MATCH)
                return unsupported(r, q->label, key, err);
            return list ? unsupported(r, q->label, key, err) : unknown_token(r, q->label, key, err);
        }
        bool misplaced = list && r->event != QD_JSON_ARRAY && q->kind != QDI_Q_MULTI_MATCH;
        if (!o || misplaced)
            return qd_json_err_at(r, err, QD_E_PARSE, "[%s] %s [%.*s]", q->label, unknown,
                                  QD_STR_ARG(key));
        int rc = qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

int qdi_read_multi_match(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                         qd_err *err)
{
    static const qdi_option rows[] = {
        MATCH_OPTIONS,
        FUZZY_OPTIONS,
        {"fields", QDI_OPT_FIELDS, 0},
        {"type", QDI_OPT_MULTI_TYPE, AT(u.text.type)},
        {"slop", QDI_OPT_INT, AT(u.text.slop)},
        {"tie_breaker", QDI_OPT_TIE, AT(u.text.tie_breaker)},
        {"lenient", QDI_OPT_TRI, AT(u.text.lenient)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, AT(u.text.zero_terms)},
        {"auto_generate_synonyms_phrase_query", QDI_OPT_BOOL, AT(u.text.synonyms_phrase)},
    };
    static const char *const types[] = {"best_fields", "most_fields",   "cross_fields",
                                        "phrase",      "phrase_prefix", "bool_prefix"};
    qd_query *q = *out = make_text(rd, QDI_Q_MULTI_MATCH, label, QDI_MATCH_BOOLEAN, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_flat(rd, r, rows, QD_COUNT_OF(rows), "query does not support", q, err);
    if (rc) return rc;
    qdi_multi_type t = q->u.text.type;
    if (!q->has_value)
        return qd_json_err_at(r, err, QD_E_PARSE, "No text specified for multi_match query");
    if (q->u.text.fuzziness.given &&
        (t == QDI_CROSS_FIELDS || t == QDI_PHRASE || t == QDI_PHRASE_PREFIX))
        return qd_json_err_at(r, err, QD_E_PARSE, "Fuzziness not allowed for type [%s]", types[t]);
    if (q->u.text.slop && t == QDI_BOOL_PREFIX)
        return qd_json_err_at(r, err, QD_E_PARSE, "[slop] not allowed for type [%s]", types[t]);
    if (q->u.text.prefix_length < 0)
        return qd_err_set(err, QD_E_ARG, "No negative prefix length allowed.");
    if (q->u.text.max_expansions <= 0)
        return qd_err_set(err, QD_E_ARG, "Max expansions must be strictly great than zero.");
    for (uint32_t i = 0; i < q->u.text.nfields; i++)
        if (q->u.text.fields[i].field.n == 0)
            return qd_err_set(err, QD_E_ARG, "supplied field is null or empty.");
    return check_counts(q, err);
}

#define STRING_OPTIONS                                                                             \
    {"query", QDI_OPT_VALUE, 0}, {"fields", QDI_OPT_FIELDS, 0}, STANDARD,                          \
        {"default_operator", QDI_OPT_OPERATOR, AT(u.text.and_operator)},                           \
        {"analyzer", QDI_OPT_TEXT, AT(u.text.analyzer)},                                           \
        {"lenient", QDI_OPT_TRI, AT(u.text.lenient)},                                              \
        {"analyze_wildcard", QDI_OPT_TRI, AT(u.text.analyze_wildcard)},                            \
        {"minimum_should_match", QDI_OPT_TEXT_OR_NULL, AT(u.text.minimum_should_match)},           \
        {"quote_field_suffix", QDI_OPT_TEXT_OR_NULL, AT(u.text.quote_field_suffix)},               \
        {"auto_generate_synonyms_phrase_query", QDI_OPT_BOOL, AT(u.text.synonyms_phrase)},         \
        {"fuzzy_prefix_length", QDI_OPT_INT, AT(u.text.prefix_length)},                            \
        {"fuzzy_max_expansions", QDI_OPT_INT, AT(u.text.max_expansions)},                          \
    {                                                                                              \
        "fuzzy_transpositions", QDI_OPT_BOOL, AT(u.text.transpositions)                            \
    }

int qdi_read_query_string(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                          qd_err *err)
{
    static const qdi_option rows[] = {
        STRING_OPTIONS,
        {"default_field", QDI_OPT_TEXT, AT(u.text.default_field)},
        {"quote_analyzer", QDI_OPT_TEXT, AT(u.text.quote_analyzer)},
        {"allow_leading_wildcard", QDI_OPT_TRI, AT(u.text.allow_leading_wildcard)},
        {"max_determinized_states", QDI_OPT_INT, AT(u.text.max_determinized_states)},
        {"enable_position_increments", QDI_OPT_BOOL, AT(u.text.enable_position_increments)},
        {"escape", QDI_OPT_BOOL, AT(u.text.escape)},
        {"fuzzy_rewrite", QDI_OPT_TEXT_OR_NULL, AT(u.text.fuzzy_rewrite)},
        {"phrase_slop", QDI_OPT_INT, AT(u.text.slop)},
        {"fuzziness", QDI_OPT_FUZZINESS, AT(u.text.fuzziness)},
        {"type", QDI_OPT_MULTI_TYPE, AT(u.text.type)},
        {"tie_breaker", QDI_OPT_TIE, AT(u.text.tie_breaker)},
        {"rewrite", QDI_OPT_TEXT_OR_NULL, AT(u.text.rewrite)},
        {"time_zone", QDI_OPT_TEXT, AT(u.text.time_zone)},
    };
    qd_query *q = *out = make_text(rd, QDI_Q_QUERY_STRING, label, QDI_MATCH_BOOLEAN, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_flat(rd, r, rows, QD_COUNT_OF(rows), "query does not support", q, err);
    if (rc) return rc;
    if (!q->has_value)
        return qd_json_err_at(r, err, QD_E_PARSE, "[query_string] must be provided with a [query]");
    return qdi_check_zone(rd, q->u.text.time_zone, err);
}

int qdi_read_simple_query_string(qdi_reading *rd, qd_json_reader *r, const char *label,
                                 qd_query **out, qd_err *err)
{
    static const qdi_option rows[] = {
        STRING_OPTIONS,
        {"flags", QDI_OPT_FLAGS, AT(u.text.flags)},
    };
    qd_query *q = *out = make_text(rd, QDI_Q_SIMPLE_QUERY_STRING, label, QDI_MATCH_BOOLEAN, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_flat(rd, r, rows, QD_COUNT_OF(rows), "unsupported field", q, err);
    if (rc) return rc;
    if (!q->has_value)
        return qd_json_err_at(r, err, QD_E_PARSE, "[simple_query_string] query text missing");
    return 0;
}
