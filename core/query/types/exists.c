/* exists.c: documents with any value in a field. */
#include "query/build_int.h"
#include "query/read_int.h"

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {{"field", QDI_OPT_TEXT, offsetof(qd_query, field)},
                                      QDI_STANDARD};
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (!qdi_is_value(r->event))
            return qd_json_err_at(r, err, QD_E_PARSE, "[exists] unknown token [%s] after [%.*s]",
                                  qd_json_event_name(r->event), QD_STR_ARG(key));
        const qdi_option *o = qdi_option_find(rows, QD_COUNT_OF(rows), key);
        if (!o) return qdi_unsupported(r, q, key, err);
        int rc = qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (!q->field.p)
        return qd_json_err_at(r, err, QD_E_PARSE, "[exists] must be provided with a [field]");
    return q->field.n ? 0 : qd_err_set(err, QD_E_ARG, "field name is null or empty");
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    return qdi_field_exists(b, q->field, out, err);
}

const qd_query_type qdi_query_exists = {
    .name = "exists", .size = sizeof(qd_query), .read = read, .build = build};
