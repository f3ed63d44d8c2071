/*
 * read_term.c: queries over values and terms as they are: term, terms, range, exists, prefix,
 * wildcard, regexp, fuzzy.
 */
#include "query/query_int.h"
#include <stdio.h>

#define AT(member) offsetof(qd_query, member)
#define STANDARD                                                                                   \
    {"boost", QDI_OPT_FLOAT, AT(boost)},                                                           \
    {                                                                                              \
        "_name", QDI_OPT_TEXT, AT(name)                                                            \
    }

static int unsupported(qd_json_reader *r, const char *label, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE, "[%s] query does not support [%.*s]", label,
                          QD_STR_ARG(key));
}

static int several_fields(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[%s] query doesn't support multiple fields, found [%.*s] and [%.*s]",
                          q->label, QD_STR_ARG(q->field), QD_STR_ARG(key));
}

static int read_options(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                        qd_query *q, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        const qdi_option *o = qdi_option_find(rows, n, key);
        if (!o) return unsupported(r, q->label, key, err);
        if (ev == QD_JSON_ARRAY && q->kind == QDI_Q_TERM && o->kind == QDI_OPT_VALUE)
            return qd_json_err_at(
                r, err, QD_E_PARSE,
                "[term] query does not support arrays for value - use a bool query with multiple "
                "term clauses in the should section or use a Terms query if scoring is not "
                "required");
        bool needs_text = q->kind == QDI_Q_PATTERN && q->u.pattern.kind == QD_PATTERN_WILDCARD &&
                          o->kind == QDI_OPT_VALUE && ev == QD_JSON_NULL;
        int rc = needs_text ? qdi_read_text(rd, r, &q->value.text, err)
                            : qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

/* {"field": value} (plain) or {"field": {options}}. */
static int read_field_query(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                            bool plain, qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT) {
            if (q->field.p) return several_fields(r, q, key, err);
            q->field = key;
            rc = read_options(rd, r, rows, n, q, err);
        } else if (ev == QD_JSON_ARRAY || ev == QD_JSON_NULL || !plain) {
            if (ev == QD_JSON_ARRAY && q->kind == QDI_Q_TERM)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[term] query does not support array of values");
            bool needs_text = q->kind == QDI_Q_PATTERN && q->u.pattern.kind == QD_PATTERN_WILDCARD;
            if ((ev == QD_JSON_ARRAY && plain) || (ev == QD_JSON_NULL && needs_text))
                return qdi_read_text(rd, r, &q->value.text, err); /* its refusal */
            if (ev == QD_JSON_NULL && q->kind == QDI_Q_PATTERN) {
                if (q->field.p) return several_fields(r, q, key, err);
                q->field = key; /* without a value, which is refused behind */
                continue;
            }
            if (ev == QD_JSON_NULL) continue;
            if (ev == QD_JSON_ARRAY && q->kind == QDI_Q_RANGE) { /* its first value is looked at */
                ev = qdi_query_next(r, err);
                if (ev < 0) return ev;
            }
            return unsupported(r, q->label, key, err);
        } else {
            if (q->field.p) return several_fields(r, q, key, err);
            q->field = key;
            rc = qdi_read_value(rd, r, &q->value, &q->has_value, err);
        }
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

static int need_field_value(const qd_query *q, qd_err *err)
{
    if (q->field.n == 0) return qd_err_set(err, QD_E_ARG, "field name is null or empty");
    if (!q->has_value)
        return qd_err_set(err, QD_E_ARG, "%svalue cannot be null",
                          qd_str_is(QD_STR("fuzzy"), q->label) ? "query " : "");
    return 0;
}

int qdi_read_term(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                  qd_err *err)
{
    static const qdi_option rows[] = {
        {"value", QDI_OPT_VALUE, 0},
        {"term", QDI_OPT_VALUE, 0},
        {"case_insensitive", QDI_OPT_BOOL, AT(u.pattern.case_insensitive)},
        STANDARD,
    };
    qd_query *q = *out = qdi_query_make(rd, QDI_Q_TERM, label, err);
    if (!q) return QD_E_NOMEM;
    int rc = read_field_query(rd, r, rows, QD_COUNT_OF(rows), true, q, err);
    return rc ? rc : need_field_value(q, err);
}

/* --- patterns -------------------------------------------------------------------------------- */

static int read_pattern(qdi_reading *rd, qd_json_reader *r, const char *label, qd_pattern_kind kind,
                        const qdi_option *rows, size_t n, qd_query **out, qd_err *err)
{
    qd_query *q = *out = qdi_query_make(rd, QDI_Q_PATTERN, label, err);
    if (!q) return QD_E_NOMEM;
    q->u.pattern.kind = kind;
    q->u.pattern.transpositions = true;
    q->u.pattern.max_expansions = 50;
    q->u.pattern.regexp_flags = 0xff;
    q->u.pattern.fuzziness = (qdi_fuzziness){.given = true, .automatic = true, .low = 3, .high = 6};
    int rc = read_field_query(rd, r, rows, n, true, q, err);
    return rc ? rc : need_field_value(q, err);
}

#define PATTERN_OPTIONS                                                                            \
    {"value", QDI_OPT_VALUE, 0}, {"rewrite", QDI_OPT_TEXT_OR_NULL, AT(u.pattern.rewrite)},         \
        STANDARD,                                                                                  \
    {                                                                                              \
        "case_insensitive", QDI_OPT_BOOL, AT(u.pattern.case_insensitive)                           \
    }

int qdi_read_prefix(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                    qd_err *err)
{
    static const qdi_option rows[] = {PATTERN_OPTIONS};
    return read_pattern(rd, r, label, QD_PATTERN_PREFIX, rows, QD_COUNT_OF(rows), out, err);
}

int qdi_read_wildcard(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                      qd_err *err)
{
    static const qdi_option rows[] = {PATTERN_OPTIONS, {"wildcard", QDI_OPT_VALUE, 0}};
    return read_pattern(rd, r, label, QD_PATTERN_WILDCARD, rows, QD_COUNT_OF(rows), out, err);
}

int qdi_read_regexp(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                    qd_err *err)
{
    static const qdi_option rows[] = {
        PATTERN_OPTIONS,
        {"flags", QDI_OPT_REGEXP_FLAGS, AT(u.pattern.regexp_flags)},
        {"flags_value", QDI_OPT_REGEXP_VALUE, AT(u.pattern.regexp_flags)},
        {"max_determinized_states", QDI_OPT_INT, AT(u.pattern.max_determinized_states)},
    };
    return read_pattern(rd, r, label, QD_PATTERN_REGEXP, rows, QD_COUNT_OF(rows), out, err);
}

int qdi_read_fuzzy(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                   qd_err *err)
{
    static const qdi_option rows[] = {
        {"value", QDI_OPT_VALUE, 0},
        {"term", QDI_OPT_VALUE, 0},
        {"rewrite", QDI_OPT_TEXT_OR_NULL, AT(u.pattern.rewrite)},
        STANDARD,
        {"fuzziness", QDI_OPT_FUZZINESS, AT(u.pattern.fuzziness)},
        {"prefix_length", QDI_OPT_INT, AT(u.pattern.prefix_length)},
        {"max_expansions", QDI_OPT_INT, AT(u.pattern.max_expansions)},
        {"transpositions", QDI_OPT_BOOL, AT(u.pattern.transpositions)},
    };
    int rc = read_pattern(rd, r, label, QD_PATTERN_FUZZY, rows, QD_COUNT_OF(rows), out, err);
    if (rc) return rc;
    if ((*out)->u.pattern.prefix_length < 0)
        return qd_err_set(err, QD_E_ARG, "prefixLength cannot be less than 0");
    if ((*out)->u.pattern.max_expansions <= 0)
        return qd_err_set(err, QD_E_ARG, "maxExpansions must be positive");
    return 0;
}

/* --- range ----------------------------------------------------------------------------------- */

int qdi_check_zone(qdi_reading *rd, qd_str time_zone, qd_err *err)
{
    qd_zone *zone;
    int rc = time_zone.p ? qd_zone_make(rd->arena, time_zone, &zone, err) : 0;
    if (rc == QD_E_ZONE_RULES || rc == QD_E_DATE_TIME) {
        char why[256];
        snprintf(why, sizeof why, "%s", err ? qd_err_reason(err) : "");
        return qd_err_wrap(err, QD_E_ARG, "java.time.%s: %s",
                           rc == QD_E_ZONE_RULES ? "zone.ZoneRulesException" : "DateTimeException",
                           why);
    }
    return rc;
}

/* Both are refused here, whatever the field turns out to be. */
static int check_zone_and_format(qdi_reading *rd, const qdi_range *g, qd_err *err)
{
    qd_date_format *format;
    int rc = qdi_check_zone(rd, g->time_zone, err);
    if (!rc && g->format.n) rc = qd_date_format_make(rd->arena, g->format, &format, err);
    return rc;
}

int qdi_read_range(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                   qd_err *err)
{
    static const qdi_option rows[] = {
        {"gte", QDI_OPT_FROM, 0},
        {"gt", QDI_OPT_FROM_OPEN, 0},
        {"lte", QDI_OPT_TO, 0},
        {"lt", QDI_OPT_TO_OPEN, 0},
        {"from", QDI_OPT_FROM_PLAIN, 0},
        {"to", QDI_OPT_TO_PLAIN, 0},
        {"include_lower", QDI_OPT_BOOL, AT(u.range.include_from)},
        {"include_upper", QDI_OPT_BOOL, AT(u.range.include_to)},
        {"time_zone", QDI_OPT_TEXT, AT(u.range.time_zone)},
        {"format", QDI_OPT_TEXT, AT(u.range.format)},
        {"relation", QDI_OPT_TEXT, AT(u.range.relation)},
        STANDARD,
    };
    qd_query *q = *out = qdi_query_make(rd, QDI_Q_RANGE, label, err);
    if (!q) return QD_E_NOMEM;
    q->u.range.include_from = q->u.range.include_to = true;
    int rc = read_field_query(rd, r, rows, QD_COUNT_OF(rows), false, q, err);
    if (rc) return rc;
    if (q->field.n == 0) return qd_err_set(err, QD_E_ARG, "field name is null or empty");
    rc = check_zone_and_format(rd, &q->u.range, err);
    if (rc) return rc;
    qd_str rel = q->u.range.relation;
    if (!rel.p || qd_str_ieq(rel, QD_STR("intersects")) || qd_str_ieq(rel, QD_STR("contains")) ||
        qd_str_ieq(rel, QD_STR("within")))
        return 0;
    if (qd_str_ieq(rel, QD_STR("disjoint")))
        return qd_err_set(err, QD_E_ARG, "[range] query does not support relation [%.*s]",
                          QD_STR_ARG(rel));
    return qd_err_set(err, QD_E_ARG, "%.*s is not a valid relation", QD_STR_ARG(rel));
}

/* --- terms, exists --------------------------------------------------------------------------- */

static int read_terms_values(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    QD_VEC(qd_query_value) got = {0};
    int rc = 0, ev;
    while ((ev = qdi_query_next(r, err)) >= 0 && ev != QD_JSON_ARRAY_END) {
        qd_query_value v;
        bool has;
        rc = qdi_read_value(rd, r, &v, &has, err);
        if (!rc && !has)
            rc = qd_json_err_at(r, err, QD_E_PARSE, "No value specified for terms query");
        if (!rc && qd_vec_push(&got, rd->arena->account, v)) rc = qd_err_nomem(err, "query");
        if (rc) break;
    }
    if (ev < 0) rc = ev;
    if (!rc) {
        qd_query_value *at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
        if (!at) rc = qd_err_nomem(err, "query");
        if (at && got.n) memcpy(at, got.at, got.n * sizeof *at);
        q->u.terms.values = at;
        q->u.terms.n = (uint32_t)got.n;
    }
    qd_vec_fini(&got);
    return rc;
}

/* {"index": …, "id": …, "path": …, "routing": …}: the values stand in that document. */
static int read_lookup(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    qd_query_lookup l = {0};
    const struct {
        const char *name;
        qd_str *to;
    } rows[] = {{"index", &l.index}, {"id", &l.id}, {"path", &l.path}, {"routing", &l.routing}};
    int ev, rc = 0;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str *to = NULL;
        for (size_t i = 0; i < QD_COUNT_OF(rows) && !to; i++)
            if (qd_str_is(r->text, rows[i].name)) to = rows[i].to;
        bool store = qd_str_is(r->text, "store"), ignored;
        if (!to && !store)
            return qdi_xcontent_err(r, err, "[terms_lookup] unknown field [%.*s]",
                                    QD_STR_ARG(r->text));
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        rc = to ? qdi_read_text(rd, r, to, err) : qdi_read_bool(r, &ignored, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    for (size_t i = 0; i < 3; i++)
        if (!rows[i].to->p) return qd_err_set(err, QD_E_ARG, "Required [%s]", rows[i].name);
    if (!rd->how->lookup)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[terms] lookup of terms in another document is not supported here, "
                              "field [%.*s] needs an array of terms",
                              QD_STR_ARG(q->field));
    rc =
        rd->how->lookup(rd->how->lookup_arg, &l, rd->arena, &q->u.terms.values, &q->u.terms.n, err);
    rd->lookup_failed = rc != 0;
    return rc;
}

int qdi_read_terms(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                   qd_err *err)
{
    int ev, rc;
    qd_query *q = *out = qdi_query_make(rd, QDI_Q_TERMS, label, err);
    if (!q) return QD_E_NOMEM;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_ARRAY) {
            if (q->field.p)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[terms] query does not support multiple fields");
            q->field = key;
            rc = read_terms_values(rd, r, q, err);
        } else if (ev == QD_JSON_OBJECT) {
            if (q->field.p)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[terms] query does not support more than one field. "
                                      "Already got: [%.*s] but also found [%.*s]",
                                      QD_STR_ARG(q->field), QD_STR_ARG(key));
            q->field = key;
            rc = read_lookup(rd, r, q, err);
        } else if (!qdi_is_value(r->event)) {
            return qd_json_err_at(r, err, QD_E_PARSE, "[terms] unknown token [%s] after [%.*s]",
                                  qd_json_event_name(r->event), QD_STR_ARG(key));
        } else if (qd_str_is(key, "boost")) {
            rc = qdi_read_float(r, &q->boost, err);
        } else if (qd_str_is(key, "_name")) {
            rc = qdi_read_text(rd, r, &q->name, err);
        } else {
            return unsupported(r, label, key, err);
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (!q->field.p)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[terms] query requires a field name, followed by array of terms or "
                              "a document lookup specification");
    return q->field.n ? 0 : qd_err_set(err, QD_E_ARG, "field name cannot be null.");
}

int qdi_read_exists(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                    qd_err *err)
{
    static const qdi_option rows[] = {{"field", QDI_OPT_TEXT, AT(field)}, STANDARD};
    int ev;
    qd_query *q = *out = qdi_query_make(rd, QDI_Q_EXISTS, label, err);
    if (!q) return QD_E_NOMEM;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (!qdi_is_value(r->event))
            return qd_json_err_at(r, err, QD_E_PARSE, "[exists] unknown token [%s] after [%.*s]",
                                  qd_json_event_name(r->event), QD_STR_ARG(key));
        const qdi_option *o = qdi_option_find(rows, QD_COUNT_OF(rows), key);
        if (!o) return unsupported(r, label, key, err);
        int rc = qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (!q->field.p)
        return qd_json_err_at(r, err, QD_E_PARSE, "[exists] must be provided with a [field]");
    return q->field.n ? 0 : qd_err_set(err, QD_E_ARG, "field name is null or empty");
}
