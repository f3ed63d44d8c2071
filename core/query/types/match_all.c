/* match_all.c: the query of all documents. */
#include "query/build_int.h"
#include "query/read_int.h"

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_declared rows[] = {QDI_DECLARED_STANDARD};
    return qdi_read_framed(rd, r, rows, QD_COUNT_OF(rows), q, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    (void)q;
    *out = qdi_query_node(b, QD_NATIVE_MATCH_ALL, err);
    return *out ? 0 : QD_E_NOMEM;
}

const qd_query_type qdi_query_match_all = {
    .name = "match_all", .size = sizeof(qd_query), .read = read, .build = build};
