/* ids.c: documents by _id. */
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct ids_query {
    qd_query base;
    const qd_query_value *values;
    uint32_t n;
} ids_query;
#define IDS(q) ((ids_query *)(q))

static int ids_values(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    QD_VEC(qd_query_value) got = {0};
    bool array = r->event == QD_JSON_ARRAY;
    int rc = 0;
    while (rc == 0) {
        qd_query_value v = {.quoted = true};
        if (array) {
            int ev = qdi_query_next(r, err);
            if (ev < 0) rc = ev;
            if (ev < 0 || ev == QD_JSON_ARRAY_END) break;
        }
        rc = qdi_read_text(rd, r, &v.text, err);
        if (!rc && qd_vec_push(&got, rd->arena->account, v)) rc = qd_err_nomem(err, "query");
        if (!array) break;
    }
    if (!rc) {
        qd_query_value *at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
        if (!at) rc = qd_err_nomem(err, "query");
        if (at && got.n) memcpy(at, got.at, got.n * sizeof *at);
        IDS(q)->values = at;
        IDS(q)->n = (uint32_t)got.n;
    }
    qd_vec_fini(&got);
    return rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_declared rows[] = {{"values", QDI_VALUE_TEXTS, ids_values},
                                        QDI_DECLARED_STANDARD};
    return qdi_read_framed(rd, r, rows, QD_COUNT_OF(rows), q, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const ids_query *s = (const ids_query *)q;
    qdi_field id = {.cls = QDI_F_ID, .name = QD_STR("_id")};
    if (s->n == 0) return qdi_query_none(b, out, err);
    return qdi_field_terms(b, &id, s->values, s->n, out, err);
}

const qd_query_type qdi_query_ids = {
    .name = "ids", .size = sizeof(ids_query), .read = read, .build = build};
