/* terms.c: any of many values of a field, given or found in another document. */
#include "query/build_int.h"
#include "query/read_int.h"
#include "query/types/bitmap.h"

typedef struct terms_query {
    qd_query base;
    const qd_query_value *values;
    uint32_t n;
    bool bitmap; /* the values come of one bitmap */
} terms_query;
#define TERMS(q) ((terms_query *)(q))

static int read_terms_values(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    QD_VEC(qd_query_value) got = {0};
    int rc = 0, ev;
    while ((ev = qdi_query_next(r, err)) >= 0 && ev != QD_JSON_ARRAY_END) {
        qd_query_value v;
        bool has;
        rc = qdi_read_value(rd, r, &v, &has, err);
        if (!rc && !has)
            rc = qd_json_err_at(r, err, QD_E_PARSE, "No value specified for terms query");
        if (!rc && qd_vec_push(&got, rd->arena->account, v)) rc = qd_err_nomem(err, "query");
        if (rc) break;
    }
    if (ev < 0) rc = ev;
    if (!rc) {
        qd_query_value *at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
        if (!at) rc = qd_err_nomem(err, "query");
        if (at && got.n) memcpy(at, got.at, got.n * sizeof *at);
        TERMS(q)->values = at;
        TERMS(q)->n = (uint32_t)got.n;
    }
    qd_vec_fini(&got);
    return rc;
}

/* {"index": …, "id": …, "path": …, "routing": …}: the values stand in that document. */
static int read_lookup(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    qd_query_lookup l = {0};
    const struct {
        const char *name;
        qd_str *to;
    } rows[] = {{"index", &l.index}, {"id", &l.id}, {"path", &l.path}, {"routing", &l.routing}};
    int ev, rc = 0;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str *to = NULL;
        for (size_t i = 0; i < QD_COUNT_OF(rows) && !to; i++)
            if (qd_str_is(r->text, rows[i].name)) to = rows[i].to;
        bool store = qd_str_is(r->text, "store"), ignored;
        if (!to && !store)
            return qdi_xcontent_err(r, err, "[terms_lookup] unknown field [%.*s]",
                                    QD_STR_ARG(r->text));
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        rc = to ? qdi_read_text(rd, r, to, err) : qdi_read_bool(r, &ignored, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    for (size_t i = 0; i < 3; i++)
        if (!rows[i].to->p) return qd_err_set(err, QD_E_ARG, "Required [%s]", rows[i].name);
    if (!rd->how->lookup)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[terms] lookup of terms in another document is not supported here, "
                              "field [%.*s] needs an array of terms",
                              QD_STR_ARG(q->field));
    rc = rd->how->lookup(rd->how->lookup_arg, &l, rd->arena, &TERMS(q)->values, &TERMS(q)->n, err);
    rd->lookup_failed = rc != 0;
    return rc;
}

/* OpenSearch's: what the values are. */
static int read_value_type(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    qd_str type;
    int rc = qdi_read_text(rd, r, &type, err);
    if (rc) return rc;
    TERMS(q)->bitmap = qd_str_ieq(type, QD_STR("bitmap"));
    if (TERMS(q)->bitmap || qd_str_ieq(type, QD_STR("default"))) return 0;
    return qd_err_set(err, QD_E_ARG, "Unsupported value type [%.*s] in terms query",
                      QD_STR_ARG(type));
}

/* The one value becomes the numbers that it holds. A document without one matches nothing. */
static int take_bitmap(const qdi_reading *rd, qd_query *q, qd_err *err)
{
    terms_query *t = TERMS(q);
    if (!t->n) return 0;
    if (t->n != 1 || !t->values->quoted)
        return qd_err_set(err, QD_E_ARG,
                          "Invalid value for bitmap type: Expected a single-element array with a "
                          "base64 encoded serialized bitmap.");
    return qdi_bitmap_values(t->values->text, rd->arena, &t->values, &t->n, err);
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_ARRAY) {
            if (q->field.p)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[terms] query does not support multiple fields");
            q->field = key;
            rc = read_terms_values(rd, r, q, err);
        } else if (ev == QD_JSON_OBJECT) {
            if (q->field.p)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[terms] query does not support more than one field. "
                                      "Already got: [%.*s] but also found [%.*s]",
                                      QD_STR_ARG(q->field), QD_STR_ARG(key));
            q->field = key;
            rc = read_lookup(rd, r, q, err);
        } else if (!qdi_is_value(r->event)) {
            return qd_json_err_at(r, err, QD_E_PARSE, "[terms] unknown token [%s] after [%.*s]",
                                  qd_json_event_name(r->event), QD_STR_ARG(key));
        } else if (qd_str_is(key, "boost")) {
            rc = qdi_read_float(r, &q->boost, err);
        } else if (qd_str_is(key, "_name")) {
            rc = qdi_read_text(rd, r, &q->name, err);
        } else if (qd_str_is(key, "value_type")) {
            rc = read_value_type(rd, r, q, err);
        } else {
            return qdi_unsupported(r, q, key, err);
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (TERMS(q)->bitmap && (rc = take_bitmap(rd, q, err))) return rc;
    if (!q->field.p)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[terms] query requires a field name, followed by array of terms or "
                              "a document lookup specification");
    return q->field.n ? 0 : qd_err_set(err, QD_E_ARG, "field name cannot be null.");
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const terms_query *s = (const terms_query *)q;
    qdi_field f = qdi_field_find(b, q->field);
    if (s->n == 0 || f.cls == QDI_F_NONE) return qdi_query_none(b, out, err);
    if (s->n > b->limits.max_terms)
        return qd_err_set(err, QD_E_ARG,
                          "The number of terms [%u] used in the Terms Query request has exceeded "
                          "the allowed maximum of [%u]. This maximum can be set by changing the "
                          "[index.max_terms_count] index level setting.",
                          s->n, b->limits.max_terms);
    return qdi_field_terms(b, &f, s->values, s->n, out, err);
}

const qd_query_type qdi_query_terms = {
    .name = "terms", .size = sizeof(terms_query), .read = read, .build = build};
