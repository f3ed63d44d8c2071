/*
 * nearest.c: the operator `nearest`: every document that has a vector, scored by its similarity to
 * that of the query. Blocks of rows are read in order, one range each.
 */
#include "vectors.h"
#include <math.h>

typedef struct query {
    qd_str field;
    uint32_t dims, reserved;
    float *vector;
    double length;
} query;

struct qd_operator_iter {
    const query *q;
    const qd_part_reader *r;
    uint32_t at, scores; /* next row */
};

static int32_t fail(qd_json_in *in, qd_err *err, const char *reason)
{
    return json->fail(in, err, QD_E_PARSE, qd_plug_str(reason));
}

static int32_t read_field(const qd_query_ctx *ctx, qd_json_in *in, query *q, qd_err *err)
{
    qd_jev v;
    int32_t rc = json->next(in, &v, err);
    if (rc) return rc;
    if (v.type != QD_JEV_STRING) return fail(in, err, "[nearest] field wants a string");
    char *p = (char *)mem->arena(ctx->arena, v.text.n + 1);
    if (!p) return QD_E_NOMEM;
    if (v.text.n) memcpy(p, v.text.p, v.text.n);
    q->field.p = p;
    q->field.n = v.text.n;
    return 0;
}

static int32_t read_vector(const qd_query_ctx *ctx, qd_json_in *in, query *q, qd_err *err)
{
    float v[DIMS_MAX];
    int32_t rc = vector_parse(in, v, &q->dims, err);
    if (rc) return rc;
    q->vector = (float *)mem->arena(ctx->arena, (q->dims + (size_t)1) * sizeof *q->vector);
    if (!q->vector) return QD_E_NOMEM;
    memcpy(q->vector, v, q->dims * sizeof *v);
    for (uint32_t i = 0; i < q->dims; i++) q->length += (double)v[i] * (double)v[i];
    q->length = sqrt(q->length);
    return 0;
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT) return fail(in, err, "[nearest] wants an object");
    query *q = (query *)mem->arena(ctx->arena, sizeof *q);
    if (!q) return QD_E_NOMEM;
    memset(q, 0, sizeof *q);
    for (;;) {
        if ((rc = json->next(in, &ev, err))) return rc;
        if (ev.type == QD_JEV_OBJECT_END) break;
        if (qd_plug_is(ev.text, "field"))
            rc = read_field(ctx, in, q, err);
        else if (qd_plug_is(ev.text, "vector"))
            rc = read_vector(ctx, in, q, err);
        else
            return fail(in, err, "[nearest] query does not support this parameter");
        if (rc) return rc;
    }
    if (!q->field.p || !q->vector) return fail(in, err, "[nearest] requires field and vector");
    *out = q;
    return 0;
}

static int32_t open_iter(const qd_query_ctx *ctx, const void *query_, const qd_segment_view *view,
                         int32_t scores, qd_operator_iter **out, qd_err *err)
{
    const query *q = (const query *)query_;
    qd_part_reader *r = NULL;
    const qd_part_bytes *bytes;
    qd_str type = ctx->field_type(ctx, q->field);
    *out = NULL;
    if (type.n && !qd_plug_is(type, TYPE))
        return qd_plug_fail(errors, err, QD_E_ARG,
                            "[nearest] wants a field of type [%s], not [%.*s]", TYPE, (int)type.n,
                            type.p);
    int32_t rc = view->part(view, q->field, &type, &r, &bytes, err);
    if (rc == QD_E_NOTFOUND) return 0;
    if (rc) return rc;
    if (r->head.dims != q->dims)
        return qd_plug_fail(errors, err, QD_E_ARG,
                            "[nearest] the vector has %u dimensions, field [%.*s] has %u", q->dims,
                            (int)q->field.n, q->field.p, r->head.dims);
    qd_operator_iter *it = (qd_operator_iter *)mem->arena(view->arena, sizeof *it);
    if (!it) return QD_E_NOMEM;
    it->q = q;
    it->r = r;
    it->at = 0;
    it->scores = scores != 0;
    *out = it;
    return 0;
}

static float score(const query *q, uint32_t similarity, const float *v)
{
    double dot = 0, distance = 0, length = 0;
    for (uint32_t i = 0; i < q->dims; i++) {
        double d = (double)q->vector[i] - (double)v[i];
        distance += d * d;
        dot += (double)q->vector[i] * (double)v[i];
        length += (double)v[i] * (double)v[i];
    }
    switch (similarity) {
    case SIMILARITY_COSINE:
        return q->length > 0 && length > 0 ? (float)((1 + dot / (q->length * sqrt(length))) / 2)
                                           : 0;
    case SIMILARITY_DOT:
        return (float)(dot < 0 ? 1 / (1 - dot) : dot + 1);
    default:
        return (float)(1 / (1 + distance));
    }
}

static int32_t next_block(qd_operator_iter *it, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *err)
{
    const qd_part_reader *r = it->r;
    const qd_part_bytes *b = r->bytes;
    const uint64_t row = r->head.dims * sizeof(float);
    (void)min_score;
    out->n = 0;
    while (it->at < r->head.count && r->docs[it->at] < from) it->at++;
    uint32_t n = r->head.count - it->at;
    if (n > QD_OPERATOR_BLOCK) n = QD_OPERATOR_BLOCK;
    if (!n) return 0;
    const void *p = NULL;
    const qd_part_range range = {vectors_at(r->head.count) + it->at * row, n * row};
    int32_t rc = it->scores ? b->read(b, &range, 1, &p, err) : 0;
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        out->docs[i] = r->docs[it->at + i];
        float v[DIMS_MAX];
        if (it->scores) memcpy(v, (const char *)p + i * row, row);
        out->scores[i] = it->scores ? score(it->q, r->head.similarity, v) : 0;
    }
    b->release(b);
    out->n = n;
    it->at += n;
    return 0;
}

static void close_iter(qd_operator_iter *it)
{
    (void)it; /* of the view's arena */
}

const qd_operator_vtable nearest = {
    QD_VTABLE(qd_operator_vtable, OPERATOR,
              QD_OPERATOR_ITERATES | QD_OPERATOR_SCORES | QD_OPERATOR_CACHEABLE),
    parse,
    NULL,
    open_iter,
    next_block,
    NULL,
    close_iter};
