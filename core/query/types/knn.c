/*
 * knn.c: documents with the nearest vectors, in the forms of Elasticsearch ({"field": …,
 * "query_vector": …}) and OpenSearch ({"<field>": {"vector": …}}).
 */
#include "mapping/vectors.h"
#include "query/build_int.h"
#include "query/read_int.h"
#include <math.h>

#define CANDIDATES_MAX 10000
#define CANDIDATES_STANDARD 50u /* at least, of a query that does not say how many */
#define OVERSAMPLE_MAX 10
#define SIZE_STANDARD 10u
#define NEAREST_MAX 64u /* in a query */

typedef struct knn_query {
    qd_query base;
    bool opensearch;
    float *vector; /* numbers as given */
    uint32_t n;
    qd_str hex;        /* in place of them; p NULL: none */
    qd_str inner_hits; /* JSON; p NULL: none */
    bool has_k, has_candidates, has_similarity, has_min_score, has_distance;
    int32_t k, candidates;
    float similarity, min_score, distance;
    bool has_oversample;
    float oversample; /* of k; 0: as 1 */
    const qd_query *const *filters;
    uint32_t nfilters;
} knn_query;
#define KNN(q) ((knn_query *)(q))

/* --- reading ---------------------------------------------------------------------------------- */

static int push_number(qdi_reading *rd, knn_query *q, uint32_t *cap, double v, qd_err *err)
{
    if (q->n == QD_VECTOR_DIMS_MAX)
        return qd_err_set(err, QD_E_ARG, "[knn] a vector has at most %u dimensions",
                          QD_VECTOR_DIMS_MAX);
    if (q->n == *cap) {
        uint32_t more = *cap ? 2 * *cap : 128;
        float *at = qd_arena_alloc(rd->arena, more * sizeof *at);
        if (!at) return qd_err_nomem(err, "query");
        if (q->n) memcpy(at, q->vector, q->n * sizeof *at);
        q->vector = at;
        *cap = more;
    }
    q->vector[q->n++] = (float)v;
    return 0;
}

static int read_vector(qdi_reading *rd, qd_json_reader *r, knn_query *q, qd_str key, qd_err *err)
{
    uint32_t cap = 0;
    int rc = 0, ev;
    q->n = 0;
    if (r->event == QD_JSON_STRING && !q->opensearch) return qdi_read_text(rd, r, &q->hex, err);
    if (r->event != QD_JSON_ARRAY) return qdi_unsupported(r, &q->base, key, err);
    while ((ev = qdi_query_next(r, err)) != QD_JSON_ARRAY_END && !rc) {
        double v;
        if (ev < 0) return ev;
        if (ev != QD_JSON_NUMBER)
            return qd_json_err_at(r, err, QD_E_PARSE,
                                  "[knn] [%.*s] is an array of numbers, but found [%s]",
                                  QD_STR_ARG(key), qd_json_event_name(ev));
        (void)!qd_json_f64(r, &v); /* one that overflows is infinite */
        rc = push_number(rd, q, &cap, v, err);
    }
    if (!rc && !q->n)
        rc = qd_json_err_at(r, err, QD_E_PARSE, "[knn] [%.*s] has no number", QD_STR_ARG(key));
    return rc;
}

static int read_value(qdi_reading *rd, qd_json_reader *r, qd_str key, knn_query *q, qd_err *err)
{
    bool os = q->opensearch;
    const struct {
        const char *name;
        bool here, *has;
        float *to;
    } floats[] = {{"similarity", !os, &q->has_similarity, &q->similarity},
                  {"min_score", os, &q->has_min_score, &q->min_score},
                  {"max_distance", os, &q->has_distance, &q->distance}};
    if (qd_str_is(key, "k")) {
        q->has_k = true;
        return qdi_read_int(r, &q->k, err);
    }
    if (!os && qd_str_is(key, "num_candidates")) {
        q->has_candidates = true;
        return qdi_read_int(r, &q->candidates, err);
    }
    if (!os && qd_str_is(key, "field")) return qdi_read_text(rd, r, &q->base.field, err);
    for (size_t i = 0; i < QD_COUNT_OF(floats); i++) {
        if (!floats[i].here || !qd_str_is(key, floats[i].name)) continue;
        *floats[i].has = true;
        return qdi_read_float(r, floats[i].to, err);
    }
    int rc = qdi_read_standard(rd, r, key, &q->base, err);
    return rc == 1 ? qdi_unsupported(r, &q->base, key, err) : rc;
}

/* What other engines would do with a member that is known there. */
static bool known_elsewhere(qd_str key)
{
    static const char *const names[] = {"query_vector_builder", "expand_nested_docs",
                                        "visit_percentage"};
    for (size_t i = 0; i < QD_COUNT_OF(names); i++)
        if (qd_str_is(key, names[i])) return true;
    return false;
}

/* {"oversample": x} or {"oversample_factor": x}. */
static int read_oversample(qd_json_reader *r, knn_query *q, qd_str key, qd_err *err)
{
    const char *name = q->opensearch ? "oversample_factor" : "oversample";
    int ev;
    if (r->event != QD_JSON_OBJECT) return qdi_unsupported(r, &q->base, key, err);
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        bool known = qd_str_is(r->text, name);
        if (!known) return qdi_unsupported(r, &q->base, r->text, err);
        if ((ev = qdi_query_next(r, err)) < 0) return ev;
        int rc = qdi_read_float(r, &q->oversample, err);
        if (rc) return rc;
        q->has_oversample = true;
    }
    if (ev < 0) return ev;
    float x = q->oversample, most = q->opensearch ? 100 : OVERSAMPLE_MAX;
    bool none = q->opensearch ? !q->has_oversample : q->has_oversample && x == 0;
    if (none || (q->has_oversample && x >= 1 && (q->opensearch ? x <= most : x < most))) return 0;
    return q->opensearch
               ? qd_err_set(err, QD_E_ARG, "[oversample_factor] must be between [1] and [%d]",
                            (int)most)
               : qd_err_set(err, QD_E_ARG, "[oversample] must be >= 1.0 and < %d, or 0", (int)most);
}

/* OpenSearch: {"ef_search": n}. */
static int read_method_parameters(qd_json_reader *r, knn_query *q, qd_str key, qd_err *err)
{
    int ev;
    if (r->event != QD_JSON_OBJECT) return qdi_unsupported(r, &q->base, key, err);
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        if (!qd_str_is(r->text, "ef_search"))
            return qd_json_err_at(r, err, QD_E_UNSUPPORTED,
                                  "[method_parameters.%.*s] of [knn] is not supported by this "
                                  "version: it is [ef_search]",
                                  QD_STR_ARG(r->text));
        if ((ev = qdi_query_next(r, err)) < 0) return ev;
        int rc = qdi_read_int(r, &q->candidates, err);
        if (rc) return rc;
        q->has_candidates = true;
    }
    if (ev < 0) return ev;
    return q->has_candidates && q->candidates >= 1 && q->candidates <= CANDIDATES_MAX
               ? 0
               : qd_err_set(err, QD_E_ARG, "[ef_search] must be between [1] and [%d]",
                            CANDIDATES_MAX);
}

static int read_member(qdi_reading *rd, qd_json_reader *r, qd_str key, knn_query *q, qd_err *err)
{
    if (known_elsewhere(key))
        return qd_json_err_at(r, err, QD_E_UNSUPPORTED,
                              "[%.*s] of [knn] is not supported by this version", QD_STR_ARG(key));
    if (!q->opensearch && qd_str_is(key, "inner_hits") && r->event == QD_JSON_OBJECT) {
        qd_str raw;
        return qd_json_raw(r, &raw) ? qd_json_fail(r, err) : qdi_keep(rd, raw, &q->inner_hits, err);
    }
    if (qd_str_is(key, q->opensearch ? "vector" : "query_vector"))
        return read_vector(rd, r, q, key, err);
    if (qd_str_is(key, q->opensearch ? "rescore" : "rescore_vector")) {
        if (r->event == QD_JSON_OBJECT) return read_oversample(r, q, key, err);
        bool off = r->event == QD_JSON_FALSE;
        if (!q->opensearch || (!off && r->event != QD_JSON_TRUE))
            return qdi_unsupported(r, &q->base, key, err);
        q->has_oversample = off; /* true: as the field says */
        q->oversample = 0;
        return 0;
    }
    if (q->opensearch && qd_str_is(key, "method_parameters"))
        return read_method_parameters(r, q, key, err);
    if (qd_str_is(key, "filter") && (r->event == QD_JSON_OBJECT || r->event == QD_JSON_ARRAY))
        return qdi_read_clauses(rd, r, &q->filters, &q->nfilters, err);
    return qdi_is_value(r->event) ? read_value(rd, r, key, q, err)
                                  : qdi_unsupported(r, &q->base, key, err);
}

static int read_members(qdi_reading *rd, qd_json_reader *r, knn_query *q, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        int rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        if ((ev = qdi_query_next(r, err)) < 0) return ev;
        bool names_field = ev == QD_JSON_OBJECT && !q->opensearch && !qd_str_is(key, "filter") &&
                           !qd_str_is(key, "rescore_vector") && !qd_str_is(key, "inner_hits") &&
                           !known_elsewhere(key);
        if (names_field) {
            if (q->base.field.p) return qdi_several_fields(r, &q->base, key, err);
            q->base.field = key;
            q->opensearch = true;
            rc = read_members(rd, r, q, err); /* once: within, q is OpenSearch's */
            if (rc) return rc;
            if ((ev = qdi_query_next(r, err)) == QD_JSON_OBJECT_END) return 0;
            return ev < 0 ? ev : qdi_several_fields(r, &q->base, r->text, err);
        }
        rc = read_member(rd, r, key, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

static int check(const knn_query *q, qd_json_reader *r, qd_err *err)
{
    if (!q->base.field.p) return qd_json_err_at(r, err, QD_E_ARG, "Required [field]");
    if (!q->vector && !q->hex.p)
        return qd_json_err_at(r, err, QD_E_ARG, "Required [%s]",
                              q->opensearch ? "vector" : "query_vector");
    if (q->has_k && q->k < 1) return qd_err_set(err, QD_E_ARG, "[k] must be greater than 0");
    if (q->has_k && q->k > CANDIDATES_MAX)
        return qd_err_set(err, QD_E_ARG, "[k] cannot exceed [%d]", CANDIDATES_MAX);
    if (q->has_candidates && q->candidates < 1)
        return qd_err_set(err, QD_E_ARG, "[num_candidates] must be greater than 0");
    if (q->has_candidates && q->candidates > CANDIDATES_MAX)
        return qd_err_set(err, QD_E_ARG, "[num_candidates] cannot exceed [%d]", CANDIDATES_MAX);
    if (q->has_k && q->has_candidates && q->candidates < q->k && !q->opensearch)
        return qd_err_set(err, QD_E_ARG, "[num_candidates] cannot be less than [k]");
    if (q->opensearch && q->has_k + q->has_min_score + q->has_distance != 1)
        return qd_err_set(err, QD_E_ARG,
                          "[knn] requires exactly one of [k], [max_distance] or [min_score]");
    return 0;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int rc = read_members(rd, r, KNN(q), err);
    return rc ? rc : check(KNN(q), r, err);
}

/* --- building --------------------------------------------------------------------------------- */

/* The least score of a vector that is as near as a client says, in the space's own measure. */
static float least_score(const qd_vector_field *v, const knn_query *q)
{
    /* OpenSearch's distances are 1 - cos, minus the dot product, the square of the distance */
    bool given = q->has_distance;
    float s = q->similarity, d = q->distance, dims = (float)v->dims, dot = given ? -d : s;
    if (q->has_min_score) return q->min_score;
    switch (v->space) {
    case QD_SPACE_COSINE:
        return given ? (2 - d) / 2 : (1 + s) / 2;
    case QD_SPACE_DOT:
        return v->element == QD_ELEMENT_BYTE ? 0.5f + dot / (dims * 32768) : (1 + dot) / 2;
    case QD_SPACE_L2:
        if (v->element == QD_ELEMENT_BIT) return (dims - (given ? d : s)) / dims;
        return 1 / (1 + (given ? d : s * s));
    case QD_SPACE_MAX_DOT:
        return dot < 0 ? 1 / (1 - dot) : dot + 1;
    default:
        return 1 / (1 + (given ? d : s));
    }
}

static int mismatch(const qd_vector_field *v, uint32_t given, qd_err *err)
{
    if (v->opensearch)
        return qd_err_set(err, QD_E_ARG,
                          "Query vector has invalid dimension: %u. Dimension should be: %u", given,
                          v->dims);
    return qd_err_set(err, QD_E_ARG,
                      "The query vector has a different number of dimensions [%u] than the "
                      "document vectors [%u].",
                      given, v->dims);
}

/* The row of the query, with the zeros behind it. */
static int make_row(qdi_builder *b, const qd_vector_field *v, const knn_query *q, const void **out,
                    qd_err *err)
{
    uint32_t room = qd_vector_numbers(v, v->dims), n = q->n;
    float *x = qd_arena_calloc(b->arena, (room + (size_t)QD_VECTOR_PAD) * sizeof *x);
    if (!x) return qd_err_nomem(err, "query");
    if (q->hex.p && v->element == QD_ELEMENT_FLOAT)
        return qd_err_set(err, QD_E_ARG,
                          "[knn] a hexadecimal vector is for fields of bytes and bits");
    int rc = q->hex.p ? qd_vector_hex(q->hex, x, room, &n, err) : 0;
    if (rc == QD_E_LIMIT) n = (uint32_t)(q->hex.n / 2);
    if (rc && rc != QD_E_LIMIT) return rc;
    if (n != room) return mismatch(v, qd_vector_dims(v, n), err);
    if (q->vector) memcpy(x, q->vector, n * sizeof *x);
    rc = qd_vector_row(v, x, n, err);
    size_t row = (size_t)qd_vectors_row(v->element, v->dims);
    /* numbers that became bytes left others behind them */
    memset((char *)x + row, 0, (room + (size_t)QD_VECTOR_PAD) * sizeof *x - row);
    *out = x;
    return rc;
}

static int build_filter(qdi_builder *b, const knn_query *q, const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    uint32_t in = b->inner_in;
    *out = NULL;
    if (!q->nfilters) return 0;
    b->inner_in = QD_INNER_NONE;
    int rc = qdi_clauses_build(b, &c, QD_OCCUR_FILTER, q->filters, q->nfilters, err);
    b->inner_in = in;
    if (!rc) return qdi_clauses_bool(b, &c, (qd_str){NULL, 0}, out, err);
    qdi_clauses_fini(&c);
    return rc;
}

static int check_field(const qdi_builder *b, const knn_query *q, const qd_field *f, qd_err *err)
{
    if (!f)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] does not exist in the mapping",
                          QD_STR_ARG(q->base.field));
    if (!f->vectors)
        return qd_err_set(err, QD_E_ARG,
                          "[knn] queries are only supported on [dense_vector] and [knn_vector] "
                          "fields, but [%.*s] is of type [%s]",
                          QD_STR_ARG(q->base.field), qd_field_type_name(f));
    if (!f->vectors->searched)
        return qd_err_set(err, QD_E_ARG,
                          "to perform knn search on field [%.*s], its mapping must have [index] "
                          "set to [true]",
                          QD_STR_ARG(q->base.field));
    if (b->nested.n && qd_str_eq(b->nested, f->nested))
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "[knn] on the field [%.*s] within other queries of [nested] is not "
                          "supported by this version: it stands in [nested] alone, or outside",
                          QD_STR_ARG(q->base.field));
    if (b->nested.n && !f->nested.n)
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] of [knn] is not within the nested path [%.*s]",
                          QD_STR_ARG(q->base.field), QD_STR_ARG(b->nested));
    if (q->inner_hits.p && !f->nested.n)
        return qd_err_set(err, QD_E_ARG,
                          "[inner_hits] can only be used with nested knn queries: [%.*s] is not "
                          "within a nested object",
                          QD_STR_ARG(q->base.field));
    return 0;
}

static uint32_t how_many(const qdi_builder *b, const knn_query *q)
{
    uint32_t size = b->c->size ? b->c->size : SIZE_STANDARD;
    if (q->has_k) return (uint32_t)q->k;
    if (q->opensearch) return 0;
    if (q->has_candidates && (uint32_t)q->candidates < size) return (uint32_t)q->candidates;
    return size < CANDIDATES_MAX ? size : CANDIDATES_MAX;
}

/* How many a segment with codes or a graph finds by them, and rescores. k 0: all are looked at. */
static void choose_candidates(const knn_query *q, const qd_vector_field *v, qd_node_knn *n)
{
    uint32_t least = q->opensearch ? v->ef_search : CANDIDATES_STANDARD;
    uint32_t given = q->has_candidates ? (uint32_t)q->candidates : n->k + n->k / 2;
    if (!q->has_candidates && given < least) given = least;
    float by = q->has_oversample ? q->oversample : v->oversample;
    double rescored = ceil((double)n->k * (double)(by >= 1 ? by : q->has_oversample ? 1 : 2));
    if (!(by > 0) && !q->has_oversample && v->bits && v->bits < 7 && rescored < given)
        rescored = given; /* what short codes lose, the vectors of all candidates give back */
    if (!v->bits || rescored < n->k) rescored = n->k;
    if (q->has_candidates && !q->has_oversample && !(by > 0) && !q->opensearch && rescored > given)
        rescored = given;
    n->rescored = rescored < CANDIDATES_MAX ? (uint32_t)rescored : CANDIDATES_MAX;
    if (given < n->rescored) given = n->rescored;
    n->candidates = given < CANDIDATES_MAX ? given : CANDIDATES_MAX;
}

/* Nested documents by their own vectors: all of them, for those that are asked of. */
int qdi_knn_below(qdi_builder *b, const qd_node *n, const qd_node **out, qd_err *err)
{
    qd_node *x = qdi_query_node(b, n->kind, err);
    if (!x) return QD_E_NOMEM;
    *x = *n;
    *out = x;
    if (!qd_node_nearest(n)) return 0;
    x->u.knn.filter = NULL;
    x->u.knn.paths = NULL;
    x->u.knn.npaths = x->u.knn.k = 0;
    return 0;
}

/* The way down to the vectors, and what is shown of the nested documents that have them. */
static int build_nested(qdi_builder *b, const knn_query *q, const qd_field *f, qd_node *n,
                        qd_err *err)
{
    qd_query_inner i = {0};
    uint32_t own;
    if (!f->nested.n) return 0;
    int rc = qd_mapping_nested_paths(b->c->mapping, b->nested, f->nested, b->arena, &n->u.knn.paths,
                                     &n->u.knn.npaths, err);
    if (!rc && !n->u.knn.npaths)
        rc = qd_err_set(err, QD_E_ARG, "field [%.*s] of [knn] is not within the nested path [%.*s]",
                        QD_STR_ARG(q->base.field), QD_STR_ARG(b->nested));
    if (rc || !q->inner_hits.p) return rc;
    i.paths = n->u.knn.paths;
    i.n = n->u.knn.npaths;
    rc = qdi_inner_add(b, i, f->nested, q->inner_hits, &own, err);
    if (rc || own == QD_INNER_NONE) return rc;
    return qdi_knn_below(b, n, &b->inner.at[own].node, err);
}

static int build(qdi_builder *b, const qd_query *query, const qd_node **out, qd_err *err)
{
    const knn_query *q = (const knn_query *)query;
    const qd_field *f = qd_mapping_field(b->c->mapping, q->base.field);
    const void *row = NULL;
    int rc = check_field(b, q, f, err);
    if (rc) return rc;
    const qd_vector_field *v = f->vectors;
    if (!v->dims) return qdi_query_none(b, out, err); /* no document has a vector yet */
    if (++b->nearest > NEAREST_MAX)
        return qd_err_set(err, QD_E_ARG, "a query has at most %u [knn] queries", NEAREST_MAX);
    qd_node *n = qdi_query_node(b, QD_NATIVE_KNN, err);
    if (!n) return QD_E_NOMEM;
    rc = make_row(b, v, q, &row, err);
    if (!rc) rc = build_filter(b, q, &n->u.knn.filter, err);
    if (rc) return rc;
    n->u.knn.field = f->name;
    n->u.knn.vectors = v;
    n->u.knn.row = row;
    n->u.knn.k = how_many(b, q);
    choose_candidates(q, v, &n->u.knn);
    n->u.knn.has_min = q->has_similarity || q->has_min_score || q->has_distance;
    n->u.knn.min_score = n->u.knn.has_min ? least_score(v, q) : 0;
    *out = n;
    return build_nested(b, q, f, n, err);
}

const qd_query_type qdi_query_knn = {
    .name = "knn", .size = sizeof(knn_query), .read = read, .build = build};
