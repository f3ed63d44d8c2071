/* term.c: one value of a field. */
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct term_query {
    qd_query base;
    bool case_insensitive;
} term_query;

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        {"value", QDI_OPT_VALUE, 0},
        {"term", QDI_OPT_VALUE, 0},
        {"case_insensitive", QDI_OPT_BOOL, offsetof(term_query, case_insensitive)},
        QDI_STANDARD,
    };
    static const qdi_field_form form = {rows, QD_COUNT_OF(rows), .plain = true, .one_value = true};
    int rc = qdi_read_field_query(rd, r, &form, q, err);
    return rc ? rc : qdi_need_field_value(q, "value", err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, q->field);
    if (f.cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    return qdi_field_term(b, &f, q->value, ((const term_query *)q)->case_insensitive, out, err);
}

const qd_query_type qdi_query_term = {
    .name = "term", .size = sizeof(term_query), .read = read, .build = build};
