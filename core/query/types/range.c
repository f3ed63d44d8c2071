/* range.c: values between bounds. */
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct range_query {
    qd_query base;
    qdi_range range;
} range_query;
#define RANGE(q) (&((range_query *)(q))->range)
#define AT(member) offsetof(range_query, range.member)

/* Both are refused here, whatever the field turns out to be. */
static int check_zone_and_format(qdi_reading *rd, const qdi_range *g, qd_err *err)
{
    qd_date_format *format;
    int rc = qdi_check_zone(rd, g->time_zone, err);
    if (!rc && g->format.n) rc = qd_date_format_make(rd->arena, g->format, &format, err);
    return rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        {"gte", QDI_OPT_FROM, offsetof(range_query, range)},
        {"gt", QDI_OPT_FROM_OPEN, offsetof(range_query, range)},
        {"lte", QDI_OPT_TO, offsetof(range_query, range)},
        {"lt", QDI_OPT_TO_OPEN, offsetof(range_query, range)},
        {"from", QDI_OPT_FROM_PLAIN, offsetof(range_query, range)},
        {"to", QDI_OPT_TO_PLAIN, offsetof(range_query, range)},
        {"include_lower", QDI_OPT_BOOL, AT(include_from)},
        {"include_upper", QDI_OPT_BOOL, AT(include_to)},
        {"time_zone", QDI_OPT_TEXT, AT(time_zone)},
        {"format", QDI_OPT_TEXT, AT(format)},
        {"relation", QDI_OPT_TEXT, AT(relation)},
        QDI_STANDARD,
    };
    RANGE(q)->include_from = RANGE(q)->include_to = true;
    static const qdi_field_form form = {rows, QD_COUNT_OF(rows), .array_by_value = true};
    int rc = qdi_read_field_query(rd, r, &form, q, err);
    if (rc) return rc;
    if (q->field.n == 0) return qd_err_set(err, QD_E_ARG, "field name is null or empty");
    rc = check_zone_and_format(rd, RANGE(q), err);
    if (rc) return rc;
    qd_str rel = RANGE(q)->relation;
    if (!rel.p || qd_str_ieq(rel, QD_STR("intersects")) || qd_str_ieq(rel, QD_STR("contains")) ||
        qd_str_ieq(rel, QD_STR("within")))
        return 0;
    if (qd_str_ieq(rel, QD_STR("disjoint")))
        return qd_err_set(err, QD_E_ARG, "[range] query does not support relation [%.*s]",
                          QD_STR_ARG(rel));
    return qd_err_set(err, QD_E_ARG, "%.*s is not a valid relation", QD_STR_ARG(rel));
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, q->field);
    if (f.cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    int rc = qdi_field_range(b, &f, &((const range_query *)q)->range, out, err);
    /* Elasticsearch reads the dates of ranges before it builds the query: not wrapped */
    b->bare_error |= rc == QD_E_ES_PARSE;
    return rc;
}

const qd_query_type qdi_query_range = {
    .name = "range", .size = sizeof(range_query), .read = read, .build = build};
