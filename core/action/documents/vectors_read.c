/* vectors_read.c: requests of _termvectors. Texts of errors are Elasticsearch's. */
#include "action/api/date_name.h"
#include "action/documents/vectors_int.h"
#include "base/str.h"
#include <limits.h>

int qdi_vectors_params(const qd_request *q, vector_request *v, qd_err *err)
{
    bool payloads; /* no analysis part here makes any */
    *v = (vector_request){.get = {.index = qd_param(q, "index"),
                                  .id = qd_param(q, "id"),
                                  .routing = qd_param(q, "routing"),
                                  .has_version = qd_param_has(q, "version"),
                                  .source = {.want = true}}};
    v->filter = (vector_filter){
        .terms = 25, .min_freq = 1, .max_freq = INT64_MAX, .min_docs = 1, .max_docs = INT64_MAX};
    v->chosen = qd_param(q, "fields").n != 0;
    v->nfields = qdi_list_split(q->arena, qd_param(q, "fields"), &v->fields);
    int rc = qd_param_bool(q, "realtime", true, &v->get.realtime, err);
    if (!rc) rc = qd_param_bool(q, "offsets", true, &v->offsets, err);
    if (!rc) rc = qd_param_bool(q, "positions", true, &v->positions, err);
    if (!rc) rc = qd_param_bool(q, "payloads", true, &payloads, err);
    if (!rc) rc = qd_param_bool(q, "term_statistics", false, &v->term_statistics, err);
    if (!rc) rc = qd_param_bool(q, "field_statistics", true, &v->field_statistics, err);
    if (!rc) rc = qd_param_long(q, "version", QD_VERSION_ANY, &v->get.version, err);
    if (!rc) rc = qdi_version_type(qd_param(q, "version_type"), &v->get.version_type, err);
    if (!rc && v->get.version == QD_VERSION_ANY) v->get.has_version = false;
    return rc;
}

static int bad_type(const qd_json_node *n, const char *what, qd_err *err)
{
    return qd_err_set(err, QD_E_ES_PARSE,
                      "failed to parse term vectors request. [%.*s] must be %s but was [%.*s]",
                      QD_STR_ARG(n->key), what, QD_STR_ARG(n->raw));
}

static int read_bool(const qd_json_node *n, bool *out, qd_err *err)
{
    return qd_json_truth(n, out) ? bad_type(n, "a boolean", err) : 0;
}

static int read_number(const qd_json_node *n, int64_t *out, qd_err *err)
{
    qd_str text = qd_json_text(n);
    return text.p && qd_str_i64(text, out) ? 0 : bad_type(n, "a whole number", err);
}

static int read_text(const qd_json_node *n, qd_str *out, qd_err *err)
{
    *out = qd_json_text(n);
    return out->p ? 0 : bad_type(n, "a string", err);
}

static int read_index(const qd_request *q, const qd_json_node *n, qd_str *out, qd_err *err)
{
    int rc = read_text(n, out, err);
    return rc ? rc : qdi_date_name(q->arena, *out, qd_env_wall_ms(q->a->env), out, err);
}

static int read_fields(const qd_request *q, const qd_json_node *n, vector_request *v, qd_err *err)
{
    if (n->type != QD_JSON_T_ARRAY) return bad_type(n, "an array", err);
    v->fields = qd_arena_alloc(q->arena, (n->n + 1) * sizeof *v->fields);
    if (!v->fields) return qd_err_nomem(err, "term vectors");
    v->nfields = 0;
    v->chosen = true;
    int rc = 0;
    for (const qd_json_node *x = n->first; x && !rc; x = x->next)
        rc = read_text(x, &v->fields[v->nfields++], err);
    return rc;
}

static int read_filter(const qd_json_node *n, vector_filter *f, qd_err *err)
{
    const struct {
        const char *name;
        int64_t *to;
    } keys[] = {{"max_num_terms", &f->terms},       {"min_term_freq", &f->min_freq},
                {"max_term_freq", &f->max_freq},    {"min_doc_freq", &f->min_docs},
                {"max_doc_freq", &f->max_docs},     {"min_word_length", &f->min_length},
                {"max_word_length", &f->max_length}};
    if (n->type != QD_JSON_T_OBJECT) return bad_type(n, "an object", err);
    f->given = true;
    for (const qd_json_node *x = n->first; x; x = x->next) {
        size_t i = 0;
        while (i < QD_COUNT_OF(keys) && !qd_str_is(x->key, keys[i].name)) i++;
        if (i == QD_COUNT_OF(keys))
            return qd_err_set(err, QD_E_ES_PARSE,
                              "failed to parse term vectors request. The field [%.*s] is not valid "
                              "for filter parameter for term vector request",
                              QD_STR_ARG(x->key));
        int rc = read_number(x, keys[i].to, err);
        if (rc) return rc;
    }
    return 0;
}

static int read_doc(const qd_json_node *n, vector_request *v, qd_err *err)
{
    if (n->type != QD_JSON_T_OBJECT) return bad_type(n, "an object", err);
    v->doc = n;
    return 0;
}

static int read_analyzers(const qd_json_node *n, vector_request *v, qd_err *err)
{
    if (n->type != QD_JSON_T_OBJECT) return bad_type(n, "an object", err);
    v->analyzers = n;
    return 0;
}

/* One key; *known false: there is none of that name. */
static int read_key(const qd_request *q, const qd_json_node *n, vector_request *v, bool *given,
                    qd_err *err)
{
    bool payloads;
    qd_str text;
    if (qd_str_is(n->key, "fields")) return read_fields(q, n, v, err);
    if (qd_str_is(n->key, "offsets")) return read_bool(n, &v->offsets, err);
    if (qd_str_is(n->key, "positions")) return read_bool(n, &v->positions, err);
    if (qd_str_is(n->key, "payloads")) return read_bool(n, &payloads, err);
    if (qd_str_is(n->key, "term_statistics")) return read_bool(n, &v->term_statistics, err);
    if (qd_str_is(n->key, "field_statistics")) return read_bool(n, &v->field_statistics, err);
    if (qd_str_is(n->key, "per_field_analyzer")) return read_analyzers(n, v, err);
    if (qd_str_is(n->key, "filter")) return read_filter(n, &v->filter, err);
    if (qd_str_is(n->key, "doc")) return read_doc(n, v, err);
    if (qd_str_is(n->key, "_index")) return read_index(q, n, &v->get.index, err);
    if (qd_str_is(n->key, "routing")) return read_text(n, &v->get.routing, err);
    if (qd_str_is(n->key, "_type") && qdi_has_types(q->a)) return read_text(n, &text, err);
    if (qd_str_is(n->key, "_id")) {
        *given = true;
        return read_text(n, &v->get.id, err);
    }
    if (qd_str_is(n->key, "version")) {
        v->get.has_version = true;
        return read_number(n, &v->get.version, err);
    }
    if (qd_str_is(n->key, "version_type")) {
        int rc = read_text(n, &text, err);
        return rc ? rc : qdi_version_type(text, &v->get.version_type, err);
    }
    return qd_err_set(err, QD_E_ES_PARSE,
                      "failed to parse term vectors request. unknown field [%.*s]",
                      QD_STR_ARG(n->key));
}

int qdi_vectors_body(const qd_request *q, const qd_json_node *n, vector_request *v, qd_err *err)
{
    bool given = false;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse term vectors request. an object is expected");
    for (const qd_json_node *x = n->first; x; x = x->next) {
        int rc = read_key(q, x, v, &given, err);
        if (rc) return rc;
    }
    if (v->doc && given)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse term vectors request. either [id] or [doc] can be "
                          "specified, but not both!");
    if (v->doc && v->get.id.n) v->doc = NULL; /* the path names one of the index */
    return 0;
}
