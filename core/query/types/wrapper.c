/* wrapper.c: a query as base64 of its JSON. */
#include "base/base64.h"
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct wrapper_query {
    qd_query base;
    const qd_query *query;
} wrapper_query;

static int undecodable(qd_json_reader *r, qd_str text, size_t at, qd_err *err)
{
    static const char lead[] = "Failed to decode VALUE_STRING as base64 (MIME-NO-LINEFEEDS)";
    if (at >= text.n)
        return qd_json_err_at(r, err, QD_E_PARSE, "%s: Unexpected end of base64-encoded String",
                              lead);
    return qd_json_err_at(r, err, QD_E_PARSE, "%s: Illegal character (code 0x%x) in base64 content",
                          lead, (unsigned)(uint8_t)text.p[at]);
}

/* Lines and columns of its errors count within it. */
static int read_wrapped(qdi_reading *rd, qd_str json, wrapper_query *q, qd_err *err)
{
    qd_json_reader r = QD_JSON_READER(rd->arena->account);
    qd_json_reader_init(&r, json, QD_JSON_REQUEST, 0);
    qd_json_event ev = qd_json_next(&r);
    int rc = ev > 0 ? qdi_read_inner(rd, &r, &q->query, err) : qd_json_fail(&r, err);
    if (!rc && qd_json_next(&r) != QD_JSON_EOF) rc = qd_json_fail(&r, err);
    qd_json_reader_fini(&r);
    return rc;
}

static int decode(qdi_reading *rd, qd_json_reader *r, wrapper_query *q, qd_err *err)
{
    size_t n, bad;
    if (r->event != QD_JSON_STRING)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[wrapper] query malformed, expected a text but was %s",
                              qd_json_event_name(r->event));
    if (!r->text.n) return qd_err_set(err, QD_E_ARG, "query source text cannot be null or empty");
    char *json = qd_arena_bytes(rd->arena, r->text.n + 4);
    if (!json) return qd_err_nomem(err, "query");
    bad = qd_base64_decode(r->text, json, &n);
    if (bad != SIZE_MAX) return undecodable(r, r->text, bad, err);
    return read_wrapped(rd, (qd_str){json, n}, q, err);
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *query, qd_err *err)
{
    int ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev != QD_JSON_KEY) return qd_json_err_at(r, err, QD_E_PARSE, "[wrapper] query malformed");
    if (!qd_str_is(r->text, "query"))
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[wrapper] query malformed, expected `query` but was %.*s",
                              QD_STR_ARG(r->text));
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    int rc = decode(rd, r, (wrapper_query *)query, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev == QD_JSON_OBJECT_END) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[wrapper] query malformed, expected `END_OBJECT` but was %s",
                          qd_json_event_name(r->event));
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    return qdi_build(b, ((const wrapper_query *)q)->query, out, err);
}

const qd_query_type qdi_query_wrapper = {
    .name = "wrapper", .size = sizeof(wrapper_query), .read = read, .build = build};
