/* multi_match.c: a text over several fields. */
#include "query/build_int.h"
#include "query/read_int.h"
#include <string.h>

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        QDI_MATCH_OPTIONS,
        QDI_FUZZY_OPTIONS,
        {"fields", QDI_OPT_FIELDS, offsetof(qdi_text_query, text)},
        {"type", QDI_OPT_MULTI_TYPE, QDI_TEXT_AT(type)},
        {"slop", QDI_OPT_INT, QDI_TEXT_AT(slop)},
        {"tie_breaker", QDI_OPT_TIE, offsetof(qdi_text_query, text)},
        {"lenient", QDI_OPT_TRI, QDI_TEXT_AT(lenient)},
        {"zero_terms_query", QDI_OPT_ZERO_TERMS, QDI_TEXT_AT(zero_terms)},
        {"auto_generate_synonyms_phrase_query", QDI_OPT_BOOL, QDI_TEXT_AT(synonyms_phrase)},
    };
    static const char *const types[] = {"best_fields", "most_fields",   "cross_fields",
                                        "phrase",      "phrase_prefix", "bool_prefix"};
    static const qdi_flat_form form = {.unknown = "query does not support", .one_field = true};
    qdi_text_init(q, QDI_MATCH_BOOLEAN);
    int rc = qdi_read_flat(rd, r, rows, QD_COUNT_OF(rows), &form, q, err);
    qdi_multi_type t = qdi_text_of(q)->type;
    /* refused for every type, with the reference's words for this one */
    if (rc && t == QDI_BOOL_PREFIX && err && strstr(qd_err_reason(err), "[cutoff_frequency]"))
        qd_err_reword(err, "[cutoff_frequency] not allowed for type [%s]", types[t]);
    if (rc) return rc;
    if (!q->has_value)
        return qd_json_err_at(r, err, QD_E_PARSE, "No text specified for multi_match query");
    if (qdi_text_of(q)->fuzziness.given &&
        (t == QDI_CROSS_FIELDS || t == QDI_PHRASE || t == QDI_PHRASE_PREFIX))
        return qd_json_err_at(r, err, QD_E_PARSE, "Fuzziness not allowed for type [%s]", types[t]);
    if (qdi_text_of(q)->slop && t == QDI_BOOL_PREFIX)
        return qd_json_err_at(r, err, QD_E_PARSE, "[slop] not allowed for type [%s]", types[t]);
    if (qdi_text_of(q)->prefix_length < 0)
        return qd_err_set(err, QD_E_ARG, "No negative prefix length allowed.");
    if (qdi_text_of(q)->max_expansions <= 0)
        return qd_err_set(err, QD_E_ARG, "Max expansions must be strictly great than zero.");
    for (uint32_t i = 0; i < qdi_text_of(q)->nfields; i++)
        if (qdi_text_of(q)->fields[i].field.n == 0)
            return qd_err_set(err, QD_E_ARG, "supplied field is null or empty.");
    return qdi_check_counts(q, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qdi_text *t = qdi_text_of(q);
    qdi_fields fields = {0};
    qdi_matcher m;
    bool all;
    int rc = qdi_matcher_of(b, q, &m, err);
    if (!rc) rc = qdi_fields_of(b, q, &fields, &all, err);
    if (!rc) {
        if (all && t->lenient == QDI_UNSET) m.lenient = true;
        rc = qdi_multi_match(&m, t->type, t->has_tie_breaker ? &t->tie_breaker : NULL, &fields,
                             q->value, t->minimum_should_match, out, err);
    }
    qd_vec_fini(&fields.v);
    return rc;
}

const qd_query_type qdi_query_multi_match = {
    .name = "multi_match", .size = sizeof(qdi_text_query), .read = read, .build = build};
