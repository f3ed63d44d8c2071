/* compile.c: search pipelines are read. */
#include "action/search_pipeline/search_pipeline.h"
#include "base/str.h"
#include "json/number.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *name, *list;
} types[] = {
#define QDI_SEARCH_PROCESSOR(id, name, list) {name, list},
#include "action/search_pipeline/types.def"
#undef QDI_SEARCH_PROCESSOR
};

/* Those that OpenSearch and its plugins have besides. */
static const char *const known[] = {"script",
                                    "personalize_search_ranking",
                                    "retrieval_augmented_generation",
                                    "rerank",
                                    "ml_inference",
                                    "neural_query_enricher",
                                    "neural_sparse_two_phase_processor",
                                    "hybrid_score_explanation",
                                    "agentic_query_translator",
                                    "agentic_context",
                                    "semantic-highlighter"};

static int parse_error(qd_err *err, qd_str property, const char *text)
{
    int rc = qd_err_set(err, QD_E_ES_PARSE, "[%.*s] %s", QD_STR_ARG(property), text);
    qd_err_detail_str(err, "property_name", property);
    return rc;
}

static int text_of(const qd_json_node *m, qd_str *out, qd_err *err)
{
    if (m->type != QD_JSON_T_STRING) return parse_error(err, m->key, "property isn't a string");
    *out = m->text;
    return 0;
}

static int truth_of(const qd_json_node *m, bool *out, qd_err *err)
{
    return qd_json_truth(m, out) ? parse_error(err, m->key, "property isn't a boolean") : 0;
}

static int number_of(const qd_json_node *m, double *out, qd_err *err)
{
    qd_str text = qd_json_text(m);
    bool good = (m->type == QD_JSON_T_NUMBER || m->type == QD_JSON_T_STRING) &&
                !qd_f64_parse(text, out) && isfinite(*out);
    return good ? 0 : parse_error(err, m->key, "property isn't a number");
}

static int order_of(const qd_json_node *m, search_processor *p, qd_err *err)
{
    qd_str v;
    int rc = text_of(m, &v, err);
    if (rc) return rc;
    p->descending = qd_str_is(v, "desc") || qd_str_is(v, "DESC");
    if (p->descending || qd_str_is(v, "asc") || qd_str_is(v, "ASC")) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Sort direction [%.*s] not recognized. Valid values are: "
                      "[asc, desc]",
                      QD_STR_ARG(v));
}

/* Reads an option; 1: the processor does not have it. */
static int option(search_processor *p, const qd_json_node *m, qd_err *err)
{
    search_processor_kind k = p->kind;
    double d;
    bool fields = k == SEARCH_PROCESSOR_RENAME_FIELD || k == SEARCH_PROCESSOR_SORT ||
                  k == SEARCH_PROCESSOR_SPLIT || k == SEARCH_PROCESSOR_COLLAPSE;
    bool contexts = k == SEARCH_PROCESSOR_OVERSAMPLE || k == SEARCH_PROCESSOR_TRUNCATE_HITS ||
                    k == SEARCH_PROCESSOR_COLLAPSE;
    if (qd_str_is(m->key, "tag") || qd_str_is(m->key, "description")) return 0;
    if (qd_str_is(m->key, "ignore_failure")) return truth_of(m, &p->ignore_failure, err);
    if (fields && qd_str_is(m->key, "field")) return text_of(m, &p->field, err);
    if (fields && k != SEARCH_PROCESSOR_COLLAPSE && qd_str_is(m->key, "target_field"))
        return text_of(m, &p->target, err);
    if (contexts && qd_str_is(m->key, "context_prefix")) return text_of(m, &p->prefix, err);
    if (k == SEARCH_PROCESSOR_RENAME_FIELD && qd_str_is(m->key, "ignore_missing"))
        return truth_of(m, &p->ignore_missing, err);
    if (k == SEARCH_PROCESSOR_SORT && qd_str_is(m->key, "order")) return order_of(m, p, err);
    if (k == SEARCH_PROCESSOR_SPLIT && qd_str_is(m->key, "separator"))
        return text_of(m, &p->separator, err);
    if (k == SEARCH_PROCESSOR_SPLIT && qd_str_is(m->key, "preserve_trailing"))
        return truth_of(m, &p->trailing, err);
    if (k == SEARCH_PROCESSOR_OVERSAMPLE && qd_str_is(m->key, "sample_factor"))
        return number_of(m, &p->factor, err);
    if (k == SEARCH_PROCESSOR_TRUNCATE_HITS && qd_str_is(m->key, "target_size")) {
        int rc = number_of(m, &d, err);
        if (!rc && (d < 0 || d > INT32_MAX || d != floor(d)))
            return qd_err_set(err, QD_E_ARG, "[target_size] is a whole number of at least 0");
        if (!rc) p->size = (int64_t)d;
        return rc;
    }
    if (k != SEARCH_PROCESSOR_FILTER_QUERY || !qd_str_is(m->key, "query")) return 1;
    p->query = m;
    return m->type == QD_JSON_T_OBJECT ? 0 : parse_error(err, m->key, "property isn't a map");
}

/* A separator is plain text; what a regular expression has beyond an escaped character is not. */
static int unescape(qd_arena *a, search_processor *p, qd_err *err)
{
    char *to = qd_arena_alloc(a, p->separator.n + 1);
    size_t n = 0;
    if (!to) return qd_err_nomem(err, "search pipeline");
    for (size_t i = 0; i < p->separator.n; i++) {
        char c = p->separator.p[i];
        bool escaped = c == '\\' && i + 1 < p->separator.n;
        if (escaped) c = p->separator.p[++i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (escaped ? letter : c && strchr(".[](){}*+?|^$\\", c))
            return qd_err_set(err, QD_E_UNSUPPORTED,
                              "[separator] of [split] is plain text in this version: the regular "
                              "expression [%.*s] is not supported",
                              QD_STR_ARG(p->separator));
        to[n++] = c;
    }
    p->separator = (qd_str){to, n};
    return n ? 0 : qd_err_set(err, QD_E_ARG, "[separator] of [split] is empty");
}

static int required(search_processor *p, qd_arena *a, qd_err *err)
{
    static const char *const text = "required property is missing";
    bool fields =
        p->kind >= SEARCH_PROCESSOR_RENAME_FIELD && p->kind != SEARCH_PROCESSOR_TRUNCATE_HITS;
    if (fields && !p->field.n) return parse_error(err, QD_STR("field"), text);
    if (!p->target.n && p->kind == SEARCH_PROCESSOR_RENAME_FIELD)
        return parse_error(err, QD_STR("target_field"), text);
    if (!p->target.n) p->target = p->field;
    if (p->kind == SEARCH_PROCESSOR_FILTER_QUERY && !p->query)
        return qd_err_set(err, QD_E_ARG,
                          "Did not specify the query property in processor of type "
                          "filter_query");
    if (p->kind == SEARCH_PROCESSOR_OVERSAMPLE && isnan(p->factor))
        return parse_error(err, QD_STR("sample_factor"), text);
    if (p->kind == SEARCH_PROCESSOR_OVERSAMPLE && (p->factor < 1 || p->factor > 1000))
        return parse_error(err, QD_STR("sample_factor"),
                           p->factor < 1 ? "Value must be >= 1.0" : "Value must be <= 1000.0");
    if (p->kind != SEARCH_PROCESSOR_SPLIT) return 0;
    return p->separator.p ? unescape(a, p, err) : parse_error(err, QD_STR("separator"), text);
}

static int find_type(qd_str name, const char *list, search_processor_kind *out, qd_err *err)
{
    for (uint32_t i = 0; i < SEARCH_PROCESSORS; i++) {
        if (!qd_str_is(name, types[i].name) || strcmp(types[i].list, list) != 0) continue;
        *out = (search_processor_kind)i;
        return 0;
    }
    for (size_t i = 0; i < QD_COUNT_OF(known); i++)
        if (qd_str_is(name, known[i]))
            return qd_err_set(err, QD_E_UNSUPPORTED,
                              "search processor [%s] is not supported by this version", known[i]);
    return qd_err_set(err, QD_E_ARG, "Invalid processor type %.*s", QD_STR_ARG(name));
}

static int too_many(const qd_json_node *list, qd_err *err)
{
    if (list->n <= QDI_SEARCH_PROCESSORS_MAX) return 0;
    return qd_err_set(err, QD_E_ARG, "[%.*s] may hold at most [%u] processors",
                      QD_STR_ARG(list->key), QDI_SEARCH_PROCESSORS_MAX);
}

/* The name and the options of an element of a list. */
static int element(const qd_json_node *x, const qd_json_node **out, qd_err *err)
{
    const qd_json_node *m = x->type == QD_JSON_T_OBJECT ? x->first : NULL;
    *out = m;
    if (m && !m->next && m->type == QD_JSON_T_OBJECT) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "a search processor is an object with one member, its type and options");
}

static int processors(qd_arena *a, const qd_json_node *list, const char *name,
                      search_processor **out, uint32_t *n, qd_err *err)
{
    int rc = too_many(list, err);
    search_processor *at = qd_arena_calloc(a, (list->n + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "search pipeline");
    *out = at;
    for (const qd_json_node *x = list->first; x && !rc; x = x->next) {
        const qd_json_node *m;
        search_processor *p = &at[*n];
        if ((rc = element(x, &m, err))) break;
        rc = find_type(m->key, name, &p->kind, err);
        p->size = -1;
        p->factor = NAN;
        for (const qd_json_node *o = m->first; o && !rc; o = o->next) {
            rc = option(p, o, err);
            if (rc == 1)
                rc = qd_err_set(err, QD_E_ES_PARSE,
                                "processor [%s] doesn't support one or more provided configuration "
                                "parameters [%.*s]",
                                types[p->kind].name, QD_STR_ARG(o->key));
        }
        if (!rc) rc = required(p, a, err);
        ++*n;
    }
    return rc;
}

static int phase_results(qd_arena *a, const qd_json_node *list, search_pipeline *p, qd_err *err)
{
    int rc = too_many(list, err);
    for (const qd_json_node *x = list->first; x && !rc; x = x->next) {
        const qd_json_node *m;
        if ((rc = element(x, &m, err))) break;
        if (p->combines)
            return qd_err_set(err, QD_E_UNSUPPORTED,
                              "a search pipeline with several [phase_results_processors] is not "
                              "supported by this version");
        rc = qdi_search_pipeline_combine(a, m->key, m, &p->combine, err);
        p->combines = true;
    }
    return rc;
}

static int member(qd_arena *a, const qd_json_node *m, search_pipeline *p, qd_err *err)
{
    bool list = m->type == QD_JSON_T_ARRAY;
    if (qd_str_is(m->key, "description") || qd_str_is(m->key, "version")) return 0;
    if (qd_str_is(m->key, "request_processors") && list)
        return processors(a, m, "request_processors", &p->request, &p->nrequest, err);
    if (qd_str_is(m->key, "response_processors") && list)
        return processors(a, m, "response_processors", &p->response, &p->nresponse, err);
    if (qd_str_is(m->key, "phase_results_processors") && list) return phase_results(a, m, p, err);
    return qd_err_set(err, QD_E_ES_PARSE,
                      "pipeline [%.*s] doesn't support one or more provided configuration "
                      "parameters [%.*s]",
                      QD_STR_ARG(p->id), QD_STR_ARG(m->key));
}

int qdi_search_pipeline_compile(qd_arena *a, qd_str id, const qd_json_node *root,
                                search_pipeline **out, qd_err *err)
{
    search_pipeline *p = qd_arena_calloc(a, sizeof *p);
    int rc = p ? 0 : qd_err_nomem(err, "search pipeline");
    if (!rc) p->id = id;
    if (!rc && root->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_ES_PARSE, "a search pipeline is an object");
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next)
        rc = member(a, m, p, err);
    *out = p;
    return rc;
}
