/* params.c: parameters of requests. See action.h. */
#include "action/action.h"
#include "base/str.h"
#include "config/value.h"

/* Accepted by every API. */
static const char common[] =
    "pretty,human,error_trace,filter_path,format,source,source_content_type";

qd_str qd_param(const qd_request *q, const char *key)
{
    for (uint32_t i = 0; i < q->nparams; i++) {
        if (qd_str_is(q->params[i].key, key)) return q->params[i].value;
    }
    return (qd_str){NULL, 0};
}

bool qd_param_has(const qd_request *q, const char *key)
{
    for (uint32_t i = 0; i < q->nparams; i++) {
        if (qd_str_is(q->params[i].key, key)) return true;
    }
    return false;
}

int qd_param_bool(const qd_request *q, const char *key, bool standard, bool *out, qd_err *err)
{
    qd_str v = qd_param(q, key);
    *out = standard;
    if (!qd_param_has(q, key)) return 0;
    if (v.n == 0 || qd_str_is(v, "true")) {
        *out = true;
    } else if (qd_str_is(v, "false")) {
        *out = false;
    } else {
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                          QD_STR_ARG(v));
    }
    return 0;
}

int qd_param_i64(const qd_request *q, const char *key, int64_t standard, int64_t *out, qd_err *err)
{
    qd_str v = qd_param(q, key);
    *out = standard;
    if (!qd_param_has(q, key) || qd_str_i64(v, out)) return 0;
    return qd_err_set(err, QD_E_ARG, "Failed to parse int parameter [%s] with value [%.*s]", key,
                      QD_STR_ARG(v));
}

int qd_param_ms(const qd_request *q, const char *key, int64_t standard, int64_t *out, qd_err *err)
{
    qd_str v = qd_param(q, key);
    int64_t ns;
    *out = standard;
    if (!qd_param_has(q, key)) return 0;
    int rc = qd_value_time(v, key, &ns, err);
    if (!rc) *out = ns / 1000000;
    return rc;
}

int qd_param_indices_options(const qd_request *q, uint32_t standard, uint32_t *out, qd_err *err)
{
    bool ignore, allow;
    *out = standard;
    int rc = qd_param_bool(q, "ignore_unavailable", standard & QD_IGNORE_UNAVAILABLE, &ignore, err);
    if (!rc) {
        rc = qd_param_bool(q, "allow_no_indices", standard & QD_ALLOW_NO_INDICES, &allow, err);
    }
    if (rc) return rc;
    *out &= ~(uint32_t)(QD_IGNORE_UNAVAILABLE | QD_ALLOW_NO_INDICES);
    if (ignore) *out |= QD_IGNORE_UNAVAILABLE;
    if (allow) *out |= QD_ALLOW_NO_INDICES;
    qd_str expand = qd_param(q, "expand_wildcards");
    return expand.p ? qd_state_expand_parse(expand, out, err) : 0;
}

int qd_param_indices(const qd_request *q, const qd_state *s, uint32_t standard, qd_resolved *out,
                     qd_err *err)
{
    uint32_t options;
    int rc = qd_param_indices_options(q, standard, &options, err);
    return rc ? rc : qd_state_resolve(s, qd_param(q, "index"), options, q->arena, out, err);
}

static bool in_list(const char *list, qd_str key)
{
    for (qd_str rest = qd_str_c(list); rest.p;) {
        if (qd_str_eq(qd_str_split(&rest, ','), key)) return true;
    }
    return false;
}

/* Is {key} a part of one of the API's paths? */
static bool in_path(const qd_api *api, qd_str key)
{
    for (qd_str rest = qd_str_c(api->paths); rest.p;) {
        ptrdiff_t open = qd_str_find(rest, '{');
        if (open < 0) return false;
        rest = qd_str_sub(rest, (size_t)open + 1, rest.n);
        ptrdiff_t close = qd_str_find(rest, '}');
        if (close < 0) return false;
        if (qd_str_eq(qd_str_sub(rest, 0, (size_t)close), key)) return true;
    }
    return false;
}

bool qd_api_accepts(const qd_api *api, qd_str key)
{
    return in_list(api->params, key) || in_list(common, key) || in_path(api, key);
}

const qd_api *qd_api_find(qd_str name)
{
    for (uint32_t i = 0; i < qd_apis_n; i++) {
        if (qd_str_is(name, qd_apis[i].name)) return &qd_apis[i];
    }
    return NULL;
}

static qd_str nearest(const qd_api *api, qd_str key)
{
    qd_str best = {NULL, 0};
    size_t least = 4;
    const char *lists[] = {api->params, common};
    for (size_t i = 0; i < QD_COUNT_OF(lists); i++) {
        for (qd_str rest = qd_str_c(lists[i]); rest.p;) {
            qd_str one = qd_str_split(&rest, ',');
            size_t d = qd_str_distance(one, key);
            if (d < least) {
                least = d;
                best = one;
            }
        }
    }
    return best;
}

int qd_params_check(const qd_request *q, qd_str path, qd_err *err)
{
    for (uint32_t i = 0; i < q->nparams; i++) {
        qd_str key = q->params[i].key;
        if (qd_api_accepts(q->api, key)) continue;
        qd_str near = nearest(q->api, key);
        return near.n ? qd_err_set(err, QD_E_ARG,
                                   "request [%.*s] contains unrecognized parameter: [%.*s] -> did "
                                   "you mean [%.*s]?",
                                   QD_STR_ARG(path), QD_STR_ARG(key), QD_STR_ARG(near))
                      : qd_err_set(err, QD_E_ARG,
                                   "request [%.*s] contains unrecognized parameter: [%.*s]",
                                   QD_STR_ARG(path), QD_STR_ARG(key));
    }
    return 0;
}
