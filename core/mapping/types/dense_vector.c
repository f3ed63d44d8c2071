/*
 * dense_vector.c: vectors: Elasticsearch's dense_vector and OpenSearch's knn_vector. A field keeps
 * one vector a document in an index part (mapping/vector_part.h), which searches read row by row,
 * or by codes and a graph where its options ask for them (vector_options.c).
 */
#include "base/features.h"
#include "mapping/ann/graph.h"
#include "mapping/doc_int.h"
#include "mapping/types/vector_options_int.h"
#include "segment/parts.h"

static const param_row params[] = {
    {"element_type", PARAM_ELEMENT, KIND_STRING, UPDATE_NEVER, "\"float\""},
    {"dims", PARAM_DIMS, KIND_INT, UPDATE_SET, NULL},
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_SHOWN, "true"},
    {"similarity", PARAM_SPACE, KIND_STRING, UPDATE_NEVER, NULL},
    {"index_options", PARAM_VECTOR_INDEX, KIND_ANY, UPDATE_SET, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static const param_row knn_params[] = {
    {"dimension", PARAM_DIMS, KIND_INT, UPDATE_NEVER, NULL},
    {"data_type", PARAM_ELEMENT, KIND_STRING, UPDATE_NEVER, "\"float\""},
    {"space_type", PARAM_SPACE, KIND_STRING, UPDATE_NEVER, NULL},
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
    VECTOR_METHOD_PARAMS,
};

/* Words of a parameter and what they mean. */
typedef struct word {
    const char *name;
    int meaning;
} word;

static const word elements[] = {
    {"bit", QD_ELEMENT_BIT}, {"byte", QD_ELEMENT_BYTE}, {"float", QD_ELEMENT_FLOAT}};
static const word similarities[] = {{"l2_norm", QD_SPACE_L2},
                                    {"cosine", QD_SPACE_COSINE},
                                    {"dot_product", QD_SPACE_DOT},
                                    {"max_inner_product", QD_SPACE_MAX_DOT}};
static const word data_types[] = {
    {"binary", QD_ELEMENT_BIT}, {"byte", QD_ELEMENT_BYTE}, {"float", QD_ELEMENT_FLOAT}};
static const word space_types[] = {{"l2", QD_SPACE_L2},
                                   {"cosinesimil", QD_SPACE_COSINE},
                                   {"innerproduct", QD_SPACE_MAX_DOT},
                                   {"hamming", QD_SPACE_HAMMING}};

static bool among(const word *words, size_t n, qd_str text, int *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!qd_str_is(text, words[i].name)) continue;
        *out = words[i].meaning;
        return true;
    }
    return false;
}

const qd_part_type qdi_vectors_graph = {.name = {"vectors.graph", 13},
                                        .vt = &qd_vectors_graph_part};

/* --- the mapping ------------------------------------------------------------------------------ */

/* What both types keep of a field. */
static int keep(field_builder *b, qd_field *f, const qd_vector_field *v, qd_err *err)
{
    qd_vector_field *kept = qd_arena_alloc(b->arena, sizeof *kept);
    qd_field_conf *c = qd_arena_calloc(b->arena, sizeof *c);
    qd_field_value *values = qd_arena_calloc(b->arena, QD_VECTORS_CONF_VALUES * sizeof *values);
    if (!kept || !c || !values) return qd_err_nomem(err, "mapping");
    *kept = *v;
    values[QD_VECTORS_CONF_DIMS].i64 = v->dims;
    values[QD_VECTORS_CONF_ELEMENT].i64 = v->element;
    values[QD_VECTORS_CONF_BITS].i64 = v->bits;
    values[QD_VECTORS_CONF_FLAT].i64 = v->flat;
    values[QD_VECTORS_CONF_M].i64 = v->m;
    values[QD_VECTORS_CONF_EF].i64 = v->ef;
    values[QD_VECTORS_CONF_SPACE].i64 = v->space;
    values[QD_VECTORS_CONF_THRESHOLD].i64 = b->settings->graph_threshold;
    values[QD_VECTORS_CONF_CONFIDENCE].f64 = (double)v->confidence;
    *c = (qd_field_conf){.struct_size = sizeof *c,
                         .nvalues = QD_VECTORS_CONF_VALUES,
                         .name = f->name,
                         .values = values};
    f->vectors = kept;
    f->conf = c;
    f->part = v->graphed ? &qdi_vectors_graph : f->type->part;
    f->doc_values = f->ignore_malformed = false; /* whatever the index says */
    return 0;
}

static int check_dims(const qd_vector_field *v, int64_t dims, qd_err *err)
{
    int64_t least = v->element == QD_ELEMENT_BIT ? 8 : 1, most = qd_vector_dims_max(v);
    if (dims < least || dims > most)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "The number of dimensions should be in the range [%lld, %lld] but was "
                          "[%lld]",
                          (long long)least, (long long)most, (long long)dims);
    if (v->element == QD_ELEMENT_BIT && dims % 8)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "The number of dimensions for should be a multiple of 8 but was [%lld]",
                          (long long)dims);
    return 0;
}

static int read_similarity(const qd_field *f, qd_vector_field *v, qd_err *err)
{
    const param_value *given = qdi_param(f->def, PARAM_SPACE);
    int space = v->element == QD_ELEMENT_BIT ? QD_SPACE_L2 : QD_SPACE_COSINE;
    if (given && !among(similarities, QD_COUNT_OF(similarities), given->text, &space))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Unknown value [%.*s] for field [similarity] - accepted values are "
                          "[l2_norm, cosine, dot_product, max_inner_product]",
                          QD_STR_ARG(given->text));
    if (given && !f->indexed)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Field [similarity] can only be specified for a field of type "
                          "[dense_vector] when it is indexed");
    v->space = (qd_vector_space)space;
    if (v->element != QD_ELEMENT_BIT || space == QD_SPACE_L2) return 0;
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "The [%.*s] similarity is not supported for bit vectors",
                      QD_STR_ARG(given->text));
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *element = qdi_param(f->def, PARAM_ELEMENT),
                      *dims = qdi_param(f->def, PARAM_DIMS);
    qd_vector_field v = {.searched = f->indexed};
    int kind = QD_ELEMENT_FLOAT;
    if (element && !among(elements, QD_COUNT_OF(elements), element->text, &kind))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "invalid element_type [%.*s]; available types are [bit, byte, float]",
                          QD_STR_ARG(element->text));
    v.element = (qd_vector_element)kind;
    int rc = dims ? check_dims(&v, dims->i, err) : 0;
    if (!rc) rc = read_similarity(f, &v, err);
    if (dims && !rc) v.dims = (uint32_t)dims->i;
    if (!rc) rc = qdi_vector_index_options(b, f, &v, err);
    return rc ? rc : keep(b, f, &v, err);
}

static int check_space(const qd_field *f, const qd_vector_field *v, qd_str given, qd_err *err)
{
    bool bits = v->element == QD_ELEMENT_BIT;
    if (bits == (v->space == QD_SPACE_HAMMING)) return 0;
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Space type [%.*s] is not supported with [%s] data type on field [%.*s]",
                      QD_STR_ARG(given), bits ? "binary" : "float or byte", QD_STR_ARG(f->name));
}

static int finish_knn(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *element = qdi_param(f->def, PARAM_ELEMENT),
                      *dims = qdi_param(f->def, PARAM_DIMS),
                      *space = qdi_param(f->def, PARAM_SPACE);
    qd_vector_field v = {.searched = f->indexed, .opensearch = true};
    int kind = QD_ELEMENT_FLOAT;
    if (!dims)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "Dimension value missing for vector: %.*s",
                          QD_STR_ARG(f->name));
    if (element && !among(data_types, QD_COUNT_OF(data_types), element->text, &kind))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Invalid value provided for [data_type] field. Supported values are "
                          "[binary, byte, float], but got [%.*s]",
                          QD_STR_ARG(element->text));
    v.element = (qd_vector_element)kind;
    kind = kind == QD_ELEMENT_BIT ? QD_SPACE_HAMMING : QD_SPACE_L2;
    qd_str given = space ? space->text : (qd_str){"", 0}, of_method = {NULL, 0};
    v.dims = (uint32_t)dims->i;
    int rc = check_dims(&v, dims->i, err);
    if (!rc) rc = qdi_vector_method(b, f, &v, &of_method, err);
    if (rc) return rc;
    if (space && of_method.p && !qd_str_eq(given, of_method))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Cannot specify two different [space_type] on field [%.*s]",
                          QD_STR_ARG(f->name));
    if (of_method.p) given = of_method;
    if (given.n && !among(space_types, QD_COUNT_OF(space_types), given, &kind))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[space_type] [%.*s] on field [%.*s] is not supported by this version: "
                          "the space types are [l2, cosinesimil, innerproduct, hamming]",
                          QD_STR_ARG(given), QD_STR_ARG(f->name));
    v.space = (qd_vector_space)kind;
    if (!v.ef_search) v.ef_search = b->settings->ef_search;
    rc = check_space(f, &v, given, err);
    return rc ? rc : keep(b, f, &v, err);
}

/* --- documents -------------------------------------------------------------------------------- */

static int several(const doc *d, const qd_field *f, qd_err *err)
{
    const doc_field *s = &d->fields.at[f->id];
    if (s->gen != d->gen || !s->part.p) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Field [%.*s] of type [%s] doesn't support indexing multiple values for the "
                      "same field in the same document",
                      QD_STR_ARG(f->name), f->type->name);
}

static int too_many(const doc *d, const qd_field *f, uint32_t dims, qd_err *err)
{
    if (f->vectors->opensearch)
        return qd_err_set(err, QD_E_ARG, "Vector dimension mismatch. Expected: %u, Given: more",
                          dims);
    return qd_err_set(err, QD_E_ARG,
                      "The [dense_vector] field [%.*s] in doc [document with id '%.*s'] has more "
                      "dimensions than defined in the mapping [%u]",
                      QD_STR_ARG(f->name), QD_STR_ARG(d->id), dims);
}

static int too_few(const doc *d, const qd_field *f, uint32_t given, qd_err *err)
{
    uint32_t dims = f->vectors->dims;
    if (f->vectors->opensearch)
        return qd_err_set(err, QD_E_ARG, "Vector dimension mismatch. Expected: %u, Given: %u", dims,
                          given);
    return qd_err_set(err, QD_E_ARG,
                      "The [dense_vector] field [%.*s] in doc [document with id '%.*s'] has a "
                      "different number of dimensions [%u] than defined in the mapping [%u]",
                      QD_STR_ARG(f->name), QD_STR_ARG(d->id), given, dims);
}

/* The numbers of the array under way into x, room of them; x NULL: they are counted. */
static int read_numbers(doc *d, const qd_field *f, float *x, uint32_t room, uint32_t *n,
                        qd_err *err)
{
    qd_json_event ev;
    for (*n = 0; (ev = qd_json_next(&d->r)) != QD_JSON_ARRAY_END; ++*n) {
        double v;
        if (ev < 0) return qd_json_fail(&d->r, err);
        if (*n == room) return too_many(d, f, qd_vector_dims(f->vectors, room), err);
        if (ev != QD_JSON_NUMBER)
            return qd_err_set(err, QD_E_PARSE,
                              "Failed to parse object: expecting token of type [VALUE_NUMBER] but "
                              "found [%s]",
                              qd_json_event_name(ev));
        if (!x) continue;
        (void)!qd_json_f64(&d->r, &v); /* one that overflows is infinite */
        x[*n] = (float)v;
    }
    return 0;
}

static int read_vector(doc *d, const qd_field *f, float *x, uint32_t room, uint32_t *n, qd_err *err)
{
    if (d->r.event == QD_JSON_ARRAY) return read_numbers(d, f, x, room, n, err);
    bool hex = d->r.event == QD_JSON_STRING && f->vectors->element != QD_ELEMENT_FLOAT &&
               !f->vectors->opensearch;
    if (hex) {
        int rc = qd_vector_hex(d->r.text, x, room, n, err);
        return rc == QD_E_LIMIT ? too_many(d, f, qd_vector_dims(f->vectors, room), err) : rc;
    }
    return qd_err_set(err, QD_E_PARSE,
                      "Failed to parse object: expecting token of type [START_ARRAY] but found "
                      "[%s]",
                      qd_json_event_name(d->r.event));
}

/* The first vector says how many dimensions all have. */
static int first_vector(doc *d, const qd_field *f, qd_err *err)
{
    const qd_vector_field *v = f->vectors;
    uint32_t n;
    int rc = read_vector(d, f, NULL, qd_vector_numbers(v, qd_vector_dims_max(v)), &n, err);
    if (!rc) rc = check_dims(v, qd_vector_dims(v, n), err);
    if (rc) return rc;
    param_value given = {.i = qd_vector_dims(v, n)};
    given.json = qd_arena_printf(&d->arena, "%lld", (long long)given.i);
    return qdi_doc_define_param(d, f, PARAM_DIMS, &given, err);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    const qd_vector_field *v = f->vectors;
    uint32_t room = qd_vector_numbers(v, v->dims), n;
    int rc = several(d, f, err);
    if (rc || !v->dims) return rc ? rc : first_vector(d, f, err);
    float *x = qd_arena_alloc(&d->arena, room * sizeof *x);
    if (!x) return qd_err_nomem(err, "values of a document");
    rc = read_vector(d, f, x, room, &n, err);
    if (!rc && n < room) rc = too_few(d, f, qd_vector_dims(v, n), err);
    if (!rc) rc = qd_vector_row(v, x, n, err);
    qd_str row = {(const char *)x, (size_t)qd_vectors_row(v->element, v->dims)};
    return rc ? rc : qdi_doc_part(d, f, row, err);
}

/* --- requests --------------------------------------------------------------------------------- */

static int no_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                   qd_err *err)
{
    (void)v, (void)ctx, (void)out;
    return qd_err_set(err, QD_E_ARG, "Field [%.*s] of type [%s] doesn't support term queries",
                      QD_STR_ARG(f->name), f->type->name);
}

/* `fields` has the numbers as the source has them. */
static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f, (void)ctx;
    out->bytes = v.text;
    out->i64 = v.quoted; /* for writing it */
    return 0;
}

static const qd_part_type part = {.name = {"vectors", 7}, .vt = &qd_vectors_part};

/* Older nodes have rows alone, and no knn_vector with the parameter [index]. */
static uint32_t needs(const qd_field *f)
{
    bool index = f->type == &qdi_type_knn_vector && qdi_param(f->def, PARAM_INDEX);
    return f->vectors->graphed || index ? QD_FEATURES_SEARCH_0_3 : QD_FEATURES_TYPES_0_2;
}

#define COMMON                                                                                     \
    .value_class = QD_VALUE_OPAQUE, .plain = true, .whole = true, .part = &part,                   \
    .level = QD_FEATURES_TYPES_0_2, .needs = needs, .value = value, .term = no_term,               \
    .range = qdi_no_range, .shown = shown

const struct qd_field_type qdi_type_dense_vector = {
    .name = "dense_vector",
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    COMMON,
};

const struct qd_field_type qdi_type_knn_vector = {
    .name = "knn_vector",
    .params = knn_params,
    .nparams = QD_COUNT_OF(knn_params),
    .finish = finish_knn,
    COMMON,
};
