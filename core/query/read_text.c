/*
 * read_text.c: queries that analyze text: match and its kin over one field, multi_match,
 * query_string, simple_query_string.
 */
#include "query/read_int.h"

void qdi_text_init(qd_query *q, qdi_match_type match)
{
    qdi_text *t = &((qdi_text_query *)q)->text;
    t->match = match;
    t->max_expansions = 50;
    t->transpositions = t->synonyms_phrase = true;
    t->enable_position_increments = true;
    t->flags = -1;
}

static int unknown_token(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE, "[%s] unknown token [%s] after [%.*s]", q->type->name,
                          qd_json_event_name(r->event), QD_STR_ARG(key));
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
        if (!qdi_is_value(r->event)) return unknown_token(r, q, key, err);
        if (!o) return qdi_unsupported(r, q, key, err);
        int rc = qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

int qdi_read_text_query(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                        qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (q->field.p) return qdi_several_fields(r, q, key, err);
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

int qdi_check_counts(const qd_query *q, qd_err *err)
{
    const qdi_text *t = qdi_text_of(q);
    if (t->prefix_length < 0)
        return qd_err_set(err, QD_E_ARG, "[%s] requires prefix length to be non-negative.",
                          q->type->name);
    int32_t least = t->match == QDI_MATCH_PHRASE_PREFIX ? 0 : 1;
    if (t->max_expansions < least)
        return qd_err_set(err, QD_E_ARG, "[%s] requires maxExpansions to be positive.",
                          q->type->name);
    if (t->slop < 0) return qd_err_set(err, QD_E_ARG, "No negative slop allowed.");
    return 0;
}

int qdi_read_flat(qdi_reading *rd, qd_json_reader *r, const qdi_option *rows, size_t n,
                  const qdi_flat_form *form, qd_query *q, qd_err *err)
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
            if (r->event == QD_JSON_ARRAY && !form->one_field)
                return qdi_unsupported(r, q, key, err);
            return list ? qdi_unsupported(r, q, key, err) : unknown_token(r, q, key, err);
        }
        bool misplaced = list && r->event != QD_JSON_ARRAY && !form->one_field;
        if (!o || misplaced)
            return qd_json_err_at(r, err, QD_E_PARSE, "[%s] %s [%.*s]", q->type->name,
                                  form->unknown, QD_STR_ARG(key));
        int rc = qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}
