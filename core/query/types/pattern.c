/* pattern.c: terms of a field that look alike: prefix, wildcard, regexp, fuzzy. */
#include "base/utf8.h"
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct pattern_query {
    qd_query base;
    qdi_pattern pattern;
} pattern_query;
#define PATTERN(q) (&((pattern_query *)(q))->pattern)
#define AT(member) offsetof(pattern_query, pattern.member)

static const qdi_pattern *pattern_of(const qd_query *q)
{
    return &((const pattern_query *)q)->pattern;
}

static int read_pattern(qdi_reading *rd, qd_json_reader *r, qd_pattern_kind kind,
                        const qdi_option *rows, size_t n, qd_query *q, qd_err *err)
{
    qdi_field_form form = {rows, n, .plain = true, .null_names_field = true,
                           .null_is_no_value = kind == QD_PATTERN_WILDCARD};
    PATTERN(q)->kind = kind;
    PATTERN(q)->transpositions = true;
    PATTERN(q)->max_expansions = 50;
    PATTERN(q)->regexp_flags = 0xff;
    PATTERN(q)->fuzziness = (qdi_fuzziness){.given = true, .automatic = true, .low = 3, .high = 6};
    int rc = qdi_read_field_query(rd, r, &form, q, err);
    return rc ? rc
              : qdi_need_field_value(q, kind == QD_PATTERN_FUZZY ? "query value" : "value", err);
}

#define OPTIONS                                                                                    \
    {"value", QDI_OPT_VALUE, 0}, {"rewrite", QDI_OPT_TEXT_OR_NULL, AT(rewrite)}, QDI_STANDARD,     \
    {                                                                                              \
        "case_insensitive", QDI_OPT_BOOL, AT(case_insensitive)                                     \
    }

static int read_prefix(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {OPTIONS};
    return read_pattern(rd, r, QD_PATTERN_PREFIX, rows, QD_COUNT_OF(rows), q, err);
}

static int read_wildcard(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {OPTIONS, {"wildcard", QDI_OPT_VALUE, 0}};
    return read_pattern(rd, r, QD_PATTERN_WILDCARD, rows, QD_COUNT_OF(rows), q, err);
}

static int read_regexp(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        OPTIONS,
        {"flags", QDI_OPT_REGEXP_FLAGS, AT(regexp_flags)},
        {"flags_value", QDI_OPT_REGEXP_VALUE, AT(regexp_flags)},
        {"max_determinized_states", QDI_OPT_INT, AT(max_determinized_states)},
    };
    return read_pattern(rd, r, QD_PATTERN_REGEXP, rows, QD_COUNT_OF(rows), q, err);
}

static int read_fuzzy(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        {"value", QDI_OPT_VALUE, 0},
        {"term", QDI_OPT_VALUE, 0},
        {"rewrite", QDI_OPT_TEXT_OR_NULL, AT(rewrite)},
        QDI_STANDARD,
        {"fuzziness", QDI_OPT_FUZZINESS, AT(fuzziness)},
        {"prefix_length", QDI_OPT_INT, AT(prefix_length)},
        {"max_expansions", QDI_OPT_INT, AT(max_expansions)},
        {"transpositions", QDI_OPT_BOOL, AT(transpositions)},
    };
    int rc = read_pattern(rd, r, QD_PATTERN_FUZZY, rows, QD_COUNT_OF(rows), q, err);
    if (rc) return rc;
    if (PATTERN(q)->prefix_length < 0)
        return qd_err_set(err, QD_E_ARG, "prefixLength cannot be less than 0");
    if (PATTERN(q)->max_expansions <= 0)
        return qd_err_set(err, QD_E_ARG, "maxExpansions must be positive");
    return 0;
}

static int expensive(qdi_builder *b, const qd_query *q, qd_err *err)
{
    if (b->limits.allow_expensive) return 0;
    int rc = qd_err_set(err, QD_E_ARG,
                        "[%s] queries cannot be executed when 'search.allow_expensive_queries' is "
                        "set to false.%s",
                        q->type->name,
                        pattern_of(q)->kind == QD_PATTERN_PREFIX
                            ? " For optimised prefix queries on text fields please enable "
                              "[index_prefixes]."
                            : "");
    qd_err_type(err, "exception", 0);
    return rc;
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, q->field);
    if (f.cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    size_t length = qd_utf8_utf16(q->value.text);
    if (pattern_of(q)->kind == QD_PATTERN_REGEXP && length > b->limits.max_regex_length)
        return qd_err_set(err, QD_E_ARG,
                          "The length of regex [%zu] used in the Regexp Query request has exceeded "
                          "the allowed maximum of [%u]. This maximum can be set by changing the "
                          "[index.max_regex_length] index level setting.",
                          length, b->limits.max_regex_length);
    int rc = expensive(b, q, err);
    /* Lucene's automaton of an empty pattern has no states: not even "" matches */
    if (!rc && !length && pattern_of(q)->kind == QD_PATTERN_WILDCARD) {
        const qd_node *checked;
        rc = qdi_field_pattern(b, &f, pattern_of(q), q->value.text, false, &checked, err);
        return rc ? rc : qdi_query_none(b, out, err);
    }
    return rc ? rc : qdi_field_pattern(b, &f, pattern_of(q), q->value.text, false, out, err);
}

const qd_query_type qdi_query_prefix = {
    .name = "prefix", .size = sizeof(pattern_query), .read = read_prefix, .build = build};
const qd_query_type qdi_query_wildcard = {
    .name = "wildcard", .size = sizeof(pattern_query), .read = read_wildcard, .build = build};
const qd_query_type qdi_query_regexp = {
    .name = "regexp", .size = sizeof(pattern_query), .read = read_regexp, .build = build};
const qd_query_type qdi_query_fuzzy = {
    .name = "fuzzy", .size = sizeof(pattern_query), .read = read_fuzzy, .build = build};
