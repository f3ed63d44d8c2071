/* match.c: a text over one field: match, match_phrase, match_phrase_prefix, match_bool_prefix. */
#include "query/build_int.h"
#include "query/read_int.h"

static int read_match(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        QDI_MATCH_OPTIONS,
        QDI_FUZZY_OPTIONS,
        {"lenient", QDI_OPT_TRI, QDI_TEXT_AT(lenient)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, QDI_TEXT_AT(zero_terms)},
        {"auto_generate_synonyms_phrase_query", QDI_OPT_BOOL, QDI_TEXT_AT(synonyms_phrase)},
    };
    qdi_text_init(q, QDI_MATCH_BOOLEAN);
    int rc = qdi_read_text_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : qdi_check_counts(q, err);
}

static int read_match_phrase(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        QDI_MATCH_OPTIONS,
        {"slop", QDI_OPT_INT, QDI_TEXT_AT(slop)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, QDI_TEXT_AT(zero_terms)},
    };
    qdi_text_init(q, QDI_MATCH_PHRASE);
    int rc = qdi_read_text_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : qdi_check_counts(q, err);
}

static int read_match_phrase_prefix(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        QDI_MATCH_OPTIONS,
        {"slop", QDI_OPT_INT, QDI_TEXT_AT(slop)},
        {"max_expansions", QDI_OPT_INT, QDI_TEXT_AT(max_expansions)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, QDI_TEXT_AT(zero_terms)},
    };
    qdi_text_init(q, QDI_MATCH_PHRASE_PREFIX);
    int rc = qdi_read_text_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : qdi_check_counts(q, err);
}

static int read_match_bool_prefix(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {QDI_MATCH_OPTIONS, QDI_FUZZY_OPTIONS};
    qdi_text_init(q, QDI_MATCH_BOOLEAN_PREFIX);
    int rc = qdi_read_text_query(rd, r, rows, QD_COUNT_OF(rows), q, err);
    return rc ? rc : qdi_check_counts(q, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    qdi_matcher m;
    int rc = qdi_matcher_of(b, q, &m, err);
    if (rc) return rc;
    m.field = qdi_field_find(b, q->field);
    rc = qdi_match(&m, qdi_text_of(q)->match, q->value, out, err);
    return rc ? rc : qdi_apply_minimum(b, *out, qdi_text_of(q)->minimum_should_match, out, err);
}

const qd_query_type qdi_query_match = {
    .name = "match", .size = sizeof(qdi_text_query), .read = read_match, .build = build};
const qd_query_type qdi_query_match_phrase = {.name = "match_phrase",
                                              .size = sizeof(qdi_text_query),
                                              .read = read_match_phrase,
                                              .build = build};
const qd_query_type qdi_query_match_phrase_prefix = {.name = "match_phrase_prefix",
                                                     .size = sizeof(qdi_text_query),
                                                     .read = read_match_phrase_prefix,
                                                     .build = build};
const qd_query_type qdi_query_match_bool_prefix = {.name = "match_bool_prefix",
                                                   .size = sizeof(qdi_text_query),
                                                   .read = read_match_bool_prefix,
                                                   .build = build};
