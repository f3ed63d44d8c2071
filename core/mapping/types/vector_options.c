/*
 * vector_options.c: [index_options] of dense_vector; [method], [mode] and [compression_level] of
 * knn_vector. Names, bounds and defaults are Elasticsearch's and OpenSearch's; what they do here is
 * a graph or none, over codes of 7, 4 or 1 bits or over the vectors (docs/mapping.md).
 */
#include "mapping/ann/graph.h"
#include "mapping/types/vector_options_int.h"
#include "json/number.h"

#define M_STANDARD 16
#define EF_STANDARD 100
#define OVERSAMPLE_MAX 10

/* A kind of index. */
typedef struct kind {
    const char *name;
    uint32_t bits;
    bool flat;
} kind;

static const kind kinds[] = {{"flat", 0, true},       {"hnsw", 0, false},
                             {"int8_flat", 7, true},  {"int4_flat", 4, true},
                             {"bbq_flat", 1, true},   {"int8_hnsw", 7, false},
                             {"int4_hnsw", 4, false}, {"bbq_hnsw", 1, false}};

static int bad(qd_err *err, const qd_field *f, const char *what)
{
    return qd_err_set(err, QD_E_MAPPER_PARSING, "[%s] of field [%.*s] of type [%s] is not valid",
                      what, QD_STR_ARG(f->name), f->type->name);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static int read_whole(const qd_json_node *n, const qd_field *f, const char *name, int64_t least,
                      int64_t most, uint32_t *out, qd_err *err)
{
    qd_str text = qd_json_text(n);
    int64_t v;
    bool exact;
    if (!text.p || qd_i64_parse_decimal(text, &v, &exact) || !exact) return bad(err, f, name);
    if (v < least || v > most)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[%s] of field [%.*s] must be between %lld and %lld, but was [%lld]",
                          name, QD_STR_ARG(f->name), (long long)least, (long long)most,
                          (long long)v);
    *out = (uint32_t)v;
    return 0;
}

static int read_share(const qd_json_node *n, const qd_field *f, const qd_vector_field *v,
                      float *out, qd_err *err)
{
    qd_str text = qd_json_text(n);
    double x;
    if (!text.p || qd_f64_parse_java(text, &x)) return bad(err, f, "confidence_interval");
    bool dynamic = x == 0 && v->bits == 4;
    if (!dynamic && !(x >= 0.9 && x <= 1))
        return qd_err_set(
            err, QD_E_MAPPER_PARSING,
            "[confidence_interval] of field [%.*s] must be between 0.9 and 1.0%s, but "
            "was [%.*s]",
            QD_STR_ARG(f->name), v->bits == 4 ? ", or 0" : "", QD_STR_ARG(text));
    *out = (float)x;
    return 0;
}

static int read_rescore(const qd_json_node *n, const qd_field *f, qd_vector_field *v, qd_err *err)
{
    const qd_json_node *o = qd_json_get(n, "oversample");
    qd_str text = qd_json_text(o);
    double x;
    if (n->type != QD_JSON_T_OBJECT || !o || n->n != 1 || !text.p || qd_f64_parse_java(text, &x))
        return bad(err, f, "rescore_vector");
    if (x != 0 && !(x >= 1 && x < OVERSAMPLE_MAX))
        return qd_err_set(
            err, QD_E_MAPPER_PARSING,
            "Invalid rescore_vector value [%.*s]; oversample must be 0 or >= 1 and < %d",
            QD_STR_ARG(text), OVERSAMPLE_MAX);
    v->oversample = x < 1 ? 1 : (float)x;
    return 0;
}

/* --- dense_vector ----------------------------------------------------------------------------- */

static void take(qd_vector_field *v, const kind *k)
{
    v->bits = k->bits;
    v->flat = k->flat;
    v->oversample = 0;
    v->graphed = k->bits || !k->flat;
    v->m = M_STANDARD;
    v->ef = EF_STANDARD;
    v->confidence = 0;
}

static int check_kind(const qd_field *f, const qd_vector_field *v, const kind *k, qd_err *err)
{
    if (k->bits && v->element != QD_ELEMENT_FLOAT)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[element_type] cannot be [%s] when using index type [%s]",
                          v->element == QD_ELEMENT_BYTE ? "byte" : "bit", k->name);
    if (k->bits == 4 && v->dims % 2)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "%s only supports even dimensions; provided=%u",
                          k->name, v->dims);
    if (k->bits == 1 && v->dims && v->dims < 64)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "%s does not support dimensions fewer than 64; provided=%u", k->name,
                          v->dims);
    (void)f;
    return 0;
}

static int unsupported(const qd_field *f, const qd_json_node *c, qd_err *err)
{
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Mapping definition for [%.*s] has unsupported parameters: "
                      "[index_options.%.*s : %.*s]",
                      QD_STR_ARG(f->name), QD_STR_ARG(c->key), QD_STR_ARG(c->raw));
}

static int read_member(const qd_field *f, qd_vector_field *v, const qd_json_node *c, qd_err *err)
{
    if (qd_str_is(c->key, "type")) return 0;
    if (!v->flat && qd_str_is(c->key, "m"))
        return read_whole(c, f, "m", 2, QD_GRAPH_M_MAX, &v->m, err);
    if (!v->flat && qd_str_is(c->key, "ef_construction"))
        return read_whole(c, f, "ef_construction", 1, QD_GRAPH_EF_MAX, &v->ef, err);
    if (v->bits > 1 && qd_str_is(c->key, "confidence_interval"))
        return read_share(c, f, v, &v->confidence, err);
    if (v->bits && qd_str_is(c->key, "rescore_vector")) return read_rescore(c, f, v, err);
    return unsupported(f, c, err);
}

int qdi_vector_index_options(field_builder *b, const qd_field *f, qd_vector_field *v, qd_err *err)
{
    const param_value *given = qdi_param(f->def, PARAM_VECTOR_INDEX);
    const kind *k = &kinds[0];
    qd_json_node *n;
    take(v, k);
    if (!given) return 0;
    if (!f->indexed)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Field [index_options] can only be specified for a field of type "
                          "[dense_vector] when it is indexed");
    int rc = qd_json_parse(b->arena, given->json, 0, &n, err);
    if (rc) return rc;
    qd_str type = qd_json_text(qd_json_get(n, "type"));
    if (!type.p)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[index_options] requires field [type] to be configured");
    if (qd_str_is(type, "bbq_disk"))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[index_options] of type [%.*s] on field [%.*s] is not supported by "
                          "this version: give the type [bbq_hnsw] or [bbq_flat]",
                          QD_STR_ARG(type), QD_STR_ARG(f->name));
    size_t i = 0;
    while (i < QD_COUNT_OF(kinds) && !qd_str_is(type, kinds[i].name)) i++;
    if (i == QD_COUNT_OF(kinds))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Unknown vector index options type [%.*s] for field [%.*s]",
                          QD_STR_ARG(type), QD_STR_ARG(f->name));
    rc = check_kind(f, v, &kinds[i], err);
    take(v, &kinds[i]);
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = read_member(f, v, c, err);
    return rc;
}

/* --- knn_vector ------------------------------------------------------------------------------- */

static int not_here(const qd_field *f, const char *what, qd_str given, const char *instead,
                    qd_err *err)
{
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "[%s] [%.*s] on field [%.*s] of type [knn_vector] is not supported by this "
                      "version: %s",
                      what, QD_STR_ARG(given), QD_STR_ARG(f->name), instead);
}

/* Lucene's [sq] has 7 bits, faiss's [binary] one; [flat] is none. */
static int read_encoder(const qd_field *f, qd_vector_field *v, const qd_json_node *n, qd_err *err)
{
    const qd_json_node *p = qd_json_get(n, "parameters"), *bits = qd_json_get(p, "bits");
    qd_str name = qd_json_text(qd_json_get(n, "name"));
    uint32_t given = 0;
    int rc = 0;
    if (!name.p || (p && p->type != QD_JSON_T_OBJECT)) return bad(err, f, "encoder");
    if (bits) rc = read_whole(bits, f, "bits", 1, 16, &given, err);
    if (rc) return rc;
    if (qd_str_is(name, "flat") && !p) return 0;
    bool sq = qd_str_is(name, "sq") && !qd_json_get(p, "type") && (!bits || given == 7),
         binary = qd_str_is(name, "binary") && (!bits || given == 1);
    if (!sq && !binary)
        return not_here(f, "encoder", n->raw,
                        "the encoders are [flat], [sq] with [bits] 7, and [binary] with [bits] 1",
                        err);
    take(v, sq ? &kinds[5] : &kinds[7]);
    for (const qd_json_node *c = p ? p->first : NULL; c && !rc; c = c->next) {
        if (qd_str_is(c->key, "bits")) continue;
        if (!sq || !qd_str_is(c->key, "confidence_interval"))
            return not_here(f, "encoder parameter", c->key, "leave it out", err);
        rc = read_share(c, f, v, &v->confidence, err);
    }
    return rc;
}

static int read_parameters(const qd_field *f, qd_vector_field *v, const qd_json_node *n,
                           bool *encoded, qd_err *err)
{
    const qd_json_node *encoder = qd_json_get(n, "encoder");
    uint32_t m = v->m, ef = v->ef, search = 0;
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT) return bad(err, f, "method.parameters");
    *encoded = encoder != NULL;
    if (encoder) rc = read_encoder(f, v, encoder, err);
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) {
        if (qd_str_is(c->key, "m"))
            rc = read_whole(c, f, "m", 2, QD_GRAPH_M_MAX, &m, err);
        else if (qd_str_is(c->key, "ef_construction"))
            rc = read_whole(c, f, "ef_construction", 1, QD_GRAPH_EF_MAX, &ef, err);
        else if (qd_str_is(c->key, "ef_search"))
            rc = read_whole(c, f, "ef_search", 1, 10000, &search, err);
        else if (c != encoder)
            rc = not_here(f, "method.parameters", c->key,
                          "they are [m], [ef_construction], [ef_search] and [encoder]", err);
    }
    v->m = m;
    v->ef = ef;
    v->ef_search = search;
    return rc;
}

static int read_method(const qd_field *f, qd_vector_field *v, const qd_json_node *n, qd_str *space,
                       bool *encoded, qd_err *err)
{
    static const char *const engines[] = {"lucene", "faiss", "nmslib"};
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT) return bad(err, f, "method");
    qd_str name = qd_json_text(qd_json_get(n, "name"));
    if (!name.p) return qd_err_set(err, QD_E_MAPPER_PARSING, "name needs to be set for [method]");
    if (!qd_str_is(name, "hnsw")) return not_here(f, "method", name, "the method is [hnsw]", err);
    take(v, &kinds[1]);
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) {
        qd_str text = qd_json_text(c);
        if (qd_str_is(c->key, "name")) continue;
        if (qd_str_is(c->key, "engine")) {
            size_t i = 0;
            while (i < QD_COUNT_OF(engines) && !qd_str_is(text, engines[i])) i++;
            if (i == QD_COUNT_OF(engines))
                return not_here(f, "engine", text, "the engines are [lucene, faiss, nmslib]", err);
        } else if (qd_str_is(c->key, "space_type") && text.p) {
            *space = text;
        } else if (qd_str_is(c->key, "parameters")) {
            rc = read_parameters(f, v, c, encoded, err);
        } else {
            return qd_err_set(err, QD_E_MAPPER_PARSING, "Invalid parameter: %.*s",
                              QD_STR_ARG(c->key));
        }
    }
    return rc;
}

/* What [compression_level] of an index in memory or on disk keeps of a vector. */
static int read_compression(const qd_field *f, qd_vector_field *v, qd_str mode, qd_str level,
                            qd_err *err)
{
    static const struct {
        const char *name;
        int kind; /* -1: not here */
    } levels[] = {{"1x", 1}, {"2x", -1}, {"4x", 5}, {"8x", 6}, {"16x", -1}, {"32x", 7}};
    bool disk = qd_str_is(mode, "on_disk");
    if (mode.p && !disk && !qd_str_is(mode, "in_memory"))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Invalid value provided for [mode] field. Supported values are "
                          "[in_memory, on_disk], but got [%.*s]",
                          QD_STR_ARG(mode));
    if (v->element != QD_ELEMENT_FLOAT)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Compression and mode cannot be used for a data type other than [float] "
                          "on field [%.*s]",
                          QD_STR_ARG(f->name));
    size_t i = level.p ? 0 : disk ? 5 : 0;
    while (level.p && i < QD_COUNT_OF(levels) && !qd_str_is(level, levels[i].name)) i++;
    if (i == QD_COUNT_OF(levels))
        return qd_err_set(err, QD_E_MAPPER_PARSING, "Invalid compression level: \"[%.*s]\"",
                          QD_STR_ARG(level));
    if (levels[i].kind < 0)
        return not_here(f, "compression_level", level, "the levels are [1x, 4x, 8x, 32x]", err);
    uint32_t m = v->m, ef = v->ef;
    take(v, &kinds[levels[i].kind]);
    v->m = m;
    v->ef = ef;
    return 0;
}

int qdi_vector_method(field_builder *b, const qd_field *f, qd_vector_field *v, qd_str *space,
                      qd_err *err)
{
    const param_value *given = qdi_param(f->def, PARAM_VECTOR_INDEX),
                      *mode = qdi_param(f->def, PARAM_VECTOR_MODE),
                      *level = qdi_param(f->def, PARAM_VECTOR_COMPRESSION),
                      *model = qdi_param(f->def, PARAM_VECTOR_MODEL);
    const qd_str none = {NULL, 0};
    bool encoded = false;
    qd_json_node *n;
    take(v, &kinds[0]);
    if (model) return not_here(f, "model_id", model->json, "give a [method]", err);
    int rc = given ? qd_json_parse(b->arena, given->json, 0, &n, err) : 0;
    if (!rc && given) rc = read_method(f, v, n, space, &encoded, err);
    if (rc || (!mode && !level)) return rc ? rc : check_kind(f, v, &kinds[v->bits ? 5 : 0], err);
    if (encoded)
        return qd_err_set(
            err, QD_E_MAPPER_PARSING,
            "Cannot specify an encoder together with [mode] or [compression_level] on "
            "field [%.*s]",
            QD_STR_ARG(f->name));
    return read_compression(f, v, mode ? mode->text : none, level ? level->text : none, err);
}

/* --- what new fields get ---------------------------------------------------------------------- */

bool qdi_vector_index_default(qd_field_def *f, bool knn)
{
    bool dense = f->type == &qdi_type_dense_vector;
    int at = qdi_param_index(f->type, PARAM_VECTOR_INDEX);
    const param_value *index = qdi_param(f, PARAM_INDEX), *element = qdi_param(f, PARAM_ELEMENT);
    if (at < 0 || f->params[at].json.p || (dense ? index && !index->i : !knn)) return false;
    if (!dense && (qdi_param(f, PARAM_VECTOR_MODE) || qdi_param(f, PARAM_VECTOR_COMPRESSION)))
        return false;
    f->params[at].json = !dense ? QD_STR("{\"name\":\"hnsw\",\"engine\":\"faiss\",\"parameters\":"
                                         "{\"ef_construction\":100,\"m\":16}}")
                         : element
                             ? QD_STR("{\"type\":\"hnsw\",\"m\":16,\"ef_construction\":100}")
                             : QD_STR("{\"type\":\"int8_hnsw\",\"m\":16,\"ef_construction\":100}");
    return true;
}
