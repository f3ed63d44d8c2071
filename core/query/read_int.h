/*
 * read_int.h: what the readers of types/ share: tables of members, {"field": ...}, texts.
 */
#ifndef QD_QUERY_READ_INT_H
#define QD_QUERY_READ_INT_H

#include "query/query_int.h"

/* --- read_declared.c: queries read by a table of their members ----------------------------- */

typedef int (*qdi_declared_fn)(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err);

typedef enum qdi_declared_type {
    QDI_VALUE_SCALAR,         /* text, number, boolean */
    QDI_VALUE_SCALAR_OR_NULL, /* and null */
    QDI_VALUE_FLOAT,          /* number or text */
    QDI_VALUE_BOOLEAN,        /* boolean or text */
    QDI_VALUE_TEXT,           /* text */
    QDI_VALUE_QUERIES,        /* object, array of objects, null */
    QDI_VALUE_TEXTS,          /* array of scalars, or one */
} qdi_declared_type;

typedef struct qdi_declared {
    const char *name;
    qdi_declared_type type;
    qdi_declared_fn set;
} qdi_declared;

/* The members of a query up to its END_OBJECT. */
QD_MUST_CHECK
int qdi_read_declared(qdi_reading *rd, qd_json_reader *r, const qdi_declared *rows, size_t n,
                      qd_query *q, qd_err *err);
/* The same for ids, match_all and match_none, whose readers turn what their parser refuses into a
 * parsing_exception of the same words around it. */
QD_MUST_CHECK
int qdi_read_framed(qdi_reading *rd, qd_json_reader *r, const qdi_declared *rows, size_t n,
                    qd_query *q, qd_err *err);
/* boost and _name. */
QD_MUST_CHECK
int qdi_declared_boost(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_declared_name(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err);
#define QDI_DECLARED_STANDARD                                                                      \
    {"boost", QDI_VALUE_FLOAT, qdi_declared_boost},                                                \
    {                                                                                              \
        "_name", QDI_VALUE_TEXT, qdi_declared_name                                                 \
    }
/* One query or an array of them, appended to a list. */
QD_MUST_CHECK
int qdi_read_clauses(qdi_reading *rd, qd_json_reader *r, const qd_query *const **list, uint32_t *n,
                     qd_err *err);
/* boost and _name of the parsers written by hand; 1 when the key is neither. */
QD_MUST_CHECK
int qdi_read_standard(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err);
/* "query malformed, must start with start_object" at the present event. */
int qdi_not_an_object(qd_json_reader *r, qd_err *err);

/* --- read_field.c: {"field": value} and {"field": {options}} ------------------------------- */

/* Rows of options that every query has. */
#define QDI_STANDARD                                                                               \
    {"boost", QDI_OPT_FLOAT, offsetof(qd_query, boost)},                                           \
    {                                                                                              \
        "_name", QDI_OPT_TEXT, offsetof(qd_query, name)                                            \
    }

/* What differs between the queries of one field. */
typedef struct qdi_field_form {
    const qdi_option *rows;
    size_t n;
    bool plain;            /* {"field": value} is one, too */
    bool one_value;        /* an array is refused with words about several values */
    bool array_by_value;   /* the refusal of an array stands at its first value */
    bool null_names_field; /* {"field": null} is a field without a value */
    bool null_is_no_value; /* null is refused where a value is expected */
} qdi_field_form;

QD_MUST_CHECK
int qdi_read_field_query(qdi_reading *rd, qd_json_reader *r, const qdi_field_form *form,
                         qd_query *q, qd_err *err);
/* Refuses a query without a field, or without its value (what: "value"). */
QD_MUST_CHECK
int qdi_need_field_value(const qd_query *q, const char *what, qd_err *err);
/* "[x] query does not support [key]". */
int qdi_unsupported(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err);
/* "[x] query doesn't support multiple fields, found [a] and [b]". */
int qdi_several_fields(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err);
/* Is a time zone (none: NULL) known? Otherwise QD_E_ARG with Java's words. */
QD_MUST_CHECK
int qdi_check_zone(qdi_reading *rd, qd_str time_zone, qd_err *err);

/* --- types/nested.c: queries that ask other documents --------------------------------------- */

typedef struct qdi_other {
    const qd_query **query; /* "query" */
    qd_str *inner_hits;     /* "inner_hits" as JSON; p NULL: none */
    /* Another member, a value; 1: there is none of that name. */
    int (*value)(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err);
} qdi_other;
/* Their members up to the END_OBJECT. */
QD_MUST_CHECK
int qdi_read_other(qdi_reading *rd, qd_json_reader *r, const qdi_other *to, qd_query *q,
                   qd_err *err);
/* The present value as score_mode. */
QD_MUST_CHECK
int qdi_read_score_mode(qdi_reading *rd, qd_json_reader *r, qd_nested_score *out, qd_err *err);

/* --- read_text.c: queries that analyze text ------------------------------------------------ */

#define QDI_TEXT_AT(member) offsetof(qdi_text_query, text.member)
#define QDI_MATCH_OPTIONS                                                                          \
    {"query", QDI_OPT_VALUE, 0}, {"analyzer", QDI_OPT_TEXT, QDI_TEXT_AT(analyzer)}, QDI_STANDARD
#define QDI_FUZZY_OPTIONS                                                                          \
    {"fuzziness", QDI_OPT_FUZZINESS, QDI_TEXT_AT(fuzziness)},                                      \
        {"prefix_length", QDI_OPT_INT, QDI_TEXT_AT(prefix_length)},                                \
        {"max_expansions", QDI_OPT_INT, QDI_TEXT_AT(max_expansions)},                              \
        {"operator", QDI_OPT_OPERATOR, QDI_TEXT_AT(and_operator)},                                 \
        {"minimum_should_match", QDI_OPT_TEXT_OR_NULL, QDI_TEXT_AT(minimum_should_match)},         \
        {"fuzzy_rewrite", QDI_OPT_TEXT_OR_NULL, QDI_TEXT_AT(fuzzy_rewrite)},                       \
    {                                                                                              \
        "fuzzy_transpositions", QDI_OPT_BOOL, QDI_TEXT_AT(transpositions)                          \
    }
#define QDI_STRING_OPTIONS                                                                         \
    {"query", QDI_OPT_VALUE, 0}, {"fields", QDI_OPT_FIELDS, offsetof(qdi_text_query, text)},       \
        QDI_STANDARD, {"default_operator", QDI_OPT_OPERATOR, QDI_TEXT_AT(and_operator)},           \
        {"analyzer", QDI_OPT_TEXT, QDI_TEXT_AT(analyzer)},                                         \
        {"lenient", QDI_OPT_TRI, QDI_TEXT_AT(lenient)},                                            \
        {"analyze_wildcard", QDI_OPT_TRI, QDI_TEXT_AT(analyze_wildcard)},                          \
        {"minimum_should_match", QDI_OPT_TEXT_OR_NULL, QDI_TEXT_AT(minimum_should_match)},         \
        {"quote_field_suffix", QDI_OPT_TEXT_OR_NULL, QDI_TEXT_AT(quote_field_suffix)},             \
        {"auto_generate_synonyms_phrase_query", QDI_OPT_BOOL, QDI_TEXT_AT(synonyms_phrase)},       \
        {"fuzzy_prefix_length", QDI_OPT_INT, QDI_TEXT_AT(prefix_length)},                          \
        {"fuzzy_max_expansions", QDI_OPT_INT, QDI_TEXT_AT(max_expansions)},                        \
    {                                                                                              \
        "fuzzy_transpositions", QDI_OPT_BOOL, QDI_TEXT_AT(transpositions)                          \
    }

/* Defaults of the options. */
void qdi_text_init(qd_query *q, qdi_match_type match);
/* {"field": "text"} or {"field": {options}}. */
QD_MUST_CHECK
int qdi_read_text_query(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                        qd_query *q, qd_err *err);
/* Refuses lengths, expansions and slops that no query has. */
QD_MUST_CHECK
int qdi_check_counts(const qd_query *q, qd_err *err);

/* What differs between the queries whose options stand directly below their name. */
typedef struct qdi_flat_form {
    const char *unknown; /* words for an option that there is not */
    bool one_field;      /* "fields" may be one name */
} qdi_flat_form;

QD_MUST_CHECK
int qdi_read_flat(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                  const qdi_flat_form *form, qd_query *q, qd_err *err);

#endif
