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

static int number(const qd_request *q, const char *key, const char *type, int64_t standard,
                  int64_t *out, qd_err *err)
{
    qd_str v = qd_param(q, key);
    *out = standard;
    if (!qd_param_has(q, key) || qd_str_i64(v, out)) return 0;
    qd_err_set(err, QD_E_NUMBER_FORMAT, v.n ? "For input string: \"%.*s\"" : "empty String",
               QD_STR_ARG(v));
    return qd_err_wrap(err, QD_E_ARG, "Failed to parse %s parameter [%s] with value [%.*s]", type,
                       key, QD_STR_ARG(v));
}

int qd_param_i64(const qd_request *q, const char *key, int64_t standard, int64_t *out, qd_err *err)
{
    return number(q, key, "int", standard, out, err);
}

int qd_param_long(const qd_request *q, const char *key, int64_t standard, int64_t *out, qd_err *err)
{
    return number(q, key, "long", standard, out, err);
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

#define NEAR_MAX 4u

typedef struct near_name {
    qd_str name;
    double distance; /* edits to the length of the longer */
} near_name;

/* Keeps the nearest names, the nearest first, names of one distance by name. */
static uint32_t keep(near_name *list, uint32_t n, near_name x)
{
    uint32_t at = n;
    while (at &&
           (x.distance < list[at - 1].distance ||
            (x.distance <= list[at - 1].distance && qd_str_cmp(x.name, list[at - 1].name) < 0))) {
        at--;
    }
    if (at == NEAR_MAX) return n;
    n += n < NEAR_MAX;
    for (uint32_t i = n - 1; i > at; i--) list[i] = list[i - 1];
    list[at] = x;
    return n;
}

/* Parameters that a wrong one may have been meant for: less than half of it differs. */
static uint32_t nearest(const qd_api *api, qd_str key, near_name *out)
{
    uint32_t n = 0;
    const char *lists[] = {api->params, "pretty,human,error_trace,filter_path,format"};
    for (size_t i = 0; i < QD_COUNT_OF(lists); i++) {
        for (qd_str rest = qd_str_c(lists[i]); rest.p;) {
            near_name x = {.name = qd_str_split(&rest, ',')};
            size_t longer = x.name.n > key.n ? x.name.n : key.n;
            if (!x.name.n) continue;
            x.distance = (double)qd_str_distance(x.name, key) / (double)longer;
            if (x.distance < 0.5) n = keep(out, n, x);
        }
    }
    return n;
}

/* "[prety] -> did you mean [pretty]?" */
static void suggest(const qd_api *api, qd_str key, qd_buf *b)
{
    near_name near[NEAR_MAX];
    uint32_t n = nearest(api, key, near);
    (void)qd_buf_printf(b, "%s[%.*s]", b->n ? ", " : "", QD_STR_ARG(key));
    if (n) (void)qd_buf_c(b, n > 1 ? " -> did you mean any of [" : " -> did you mean [");
    for (uint32_t i = 0; i < n; i++) {
        (void)qd_buf_printf(b, "%s%.*s", i ? ", " : "", QD_STR_ARG(near[i].name));
    }
    if (n) (void)qd_buf_c(b, "]?");
}

int qd_params_check(const qd_request *q, qd_str path, qd_err *err)
{
    uint32_t unknown = 0;
    int rc = 0;
    qd_buf b;
    qd_buf_init(&b, NULL, 65536);
    for (uint32_t i = 0; i < q->nparams; i++) {
        if (qd_api_accepts(q->api, q->params[i].key)) continue;
        suggest(q->api, q->params[i].key, &b);
        unknown++;
    }
    if (unknown) {
        rc = qd_err_set(err, QD_E_ARG, "request [%.*s] contains unrecognized parameter%s: %.*s",
                        QD_STR_ARG(path), unknown > 1 ? "s" : "", QD_STR_ARG(qd_buf_view(&b)));
    }
    qd_buf_fini(&b);
    return rc;
}
