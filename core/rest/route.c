/*
 * route.c: from method and path to an API. Routes are kept by number of parts, those with fixed
 * parts first, so that the first that matches is the most specific one.
 */
#include "action/api/paths.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "rest/rest_int.h"
#include <stdlib.h>
#include <string.h>

typedef struct route {
    uint64_t sign, mask; /* sign_of its fixed parts; of a path it must be the same under mask */
    const qd_api *api;
    qd_str part[QD_API_PARTS_MAX]; /* "{x}" is a parameter */
    bool index;        /* its first part stands for an index, whose name never begins with '_' */
    uint32_t n, fixed; /* fixed: bit (QD_API_PARTS_MAX - i) for each fixed part */
} route;

struct rest_routes {
    QD_VEC(route) by_parts[QD_API_PARTS_MAX + 1];
};

static rest_routes built_in;

/* Eight bits of a part, at the place of the i-th of a path: what most others differ in. */
static uint64_t sign_of(qd_str part, uint32_t i)
{
    if (i >= 8) return 0;
    uint64_t c = part.n ? (unsigned char)part.p[0] + 7u * (unsigned char)part.p[part.n - 1] : 0;
    return ((c + 29 * part.n) & 255) << (8 * i);
}

static int add(rest_routes *to, const qd_api *api, qd_str path, qd_err *err)
{
    route r = {.api = api};
    r.n = qd_api_path_split(path, r.part);
    qd_assert(r.n <= QD_API_PARTS_MAX);
    for (uint32_t i = 0; i < r.n; i++) {
        if (qd_api_part_param(r.part[i])) continue;
        r.fixed |= 1u << (QD_API_PARTS_MAX - i);
        r.sign |= sign_of(r.part[i], i);
        if (i < 8) r.mask |= UINT64_C(255) << (8 * i);
    }
    r.index = to != &built_in && r.n && qd_api_part_param(r.part[0]);
    return qd_vec_push(&to->by_parts[r.n], NULL, r) ? qd_err_nomem(err, "routes") : 0;
}

static int more_fixed_first(const void *a, const void *b)
{
    const route *x = a, *y = b;
    return (x->fixed < y->fixed) - (x->fixed > y->fixed);
}

static int add_all(rest_routes *to, const qd_api *rows, uint32_t n, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        for (qd_str rest = qd_str_c(rows[i].paths); rest.p;) {
            int rc = add(to, &rows[i], qd_str_split(&rest, ';'), err);
            if (rc) return rc;
        }
    }
    for (uint32_t k = 0; k <= QD_API_PARTS_MAX; k++) {
        if (to->by_parts[k].n)
            qsort(to->by_parts[k].at, to->by_parts[k].n, sizeof(route), more_fixed_first);
    }
    return 0;
}

int qdi_routes_make(qd_err *err)
{
    return built_in.by_parts[0].n ? 0 : add_all(&built_in, qd_apis, qd_apis_n, err);
}

int qdi_routes_more(const qd_api *rows, uint32_t n, rest_routes **out, qd_err *err)
{
    rest_routes *more = qd_calloc(NULL, sizeof *more);
    if (!more) return qd_err_nomem(err, "routes");
    int rc = add_all(more, rows, n, err);
    if (rc)
        qdi_routes_free(more);
    else
        *out = more;
    return rc;
}

void qdi_routes_free(rest_routes *routes)
{
    if (!routes) return;
    for (uint32_t k = 0; k <= QD_API_PARTS_MAX; k++) qd_vec_fini(&routes->by_parts[k]);
    qd_free(routes);
}

static bool has_method(const qd_api *api, qd_str method)
{
    return qd_api_method_in(api->methods, method) ||
           (qd_str_is(method, "HEAD") && (api->flags & QD_API_HEAD));
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int decode(qd_str s, bool plus, qd_arena *arena, qd_str *out, qd_err *err)
{
    char *p = qd_arena_bytes(arena, s.n + 1);
    size_t n = 0;
    if (!p) return qd_err_nomem(err, "parameters");
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 1 < s.n ? hex(s.p[i + 1]) : -1;
            int lo = i + 2 < s.n ? hex(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                return qd_err_set(err, QD_E_ARG,
                                  "unterminated escape sequence at end of string: "
                                  "%.*s",
                                  QD_STR_ARG(s));
            }
            c = (char)(hi << 4 | lo);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        p[n++] = c;
    }
    p[n] = 0;
    *out = (qd_str){p, n};
    if (qd_utf8_valid(*out, NULL)) return 0;
    return qd_err_set(err, QD_E_ARG, "invalid UTF-8 in the request's path or parameters");
}

static uint32_t split_path(qd_str path, qd_str *part)
{
    while (path.n && path.p[path.n - 1] == '/') path.n--; /* a trailing slash means nothing */
    return qd_api_path_split(path, part);
}

static bool matches(const route *r, uint64_t sign, const qd_str *part)
{
    if ((r->sign ^ sign) & r->mask) return false;
    if (r->index && part[0].n && part[0].p[0] == '_') return false;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!qd_api_part_param(r->part[i]) && !qd_str_eq(r->part[i], part[i])) return false;
    }
    return true;
}

static void allow(char *list, size_t room, const char *methods)
{
    for (qd_str rest = qd_str_c(methods); rest.p;) {
        qd_str one = qd_str_split(&rest, '|');
        char text[16];
        if (one.n >= sizeof text) continue;
        memcpy(text, one.p, one.n);
        text[one.n] = 0;
        size_t used = strlen(list);
        if (strstr(list, text) || used + one.n + 3 > room) continue;
        memcpy(list + used, used ? ", " : "", used ? 2 : 0);
        memcpy(list + used + (used ? 2 : 0), text, one.n + 1);
    }
}

/* A path in the table, cut into its parts. */
typedef struct asked {
    qd_str part[QD_API_PARTS_MAX];
    uint32_t n;
    uint64_t sign;
    bool named, known; /* it exists under its own name; it exists */
} asked;

/* The methods of a path that has not the one asked for. */
static void allowed_methods(const rest_routes *of, const asked *p, rest_match *out)
{
    bool named = false;
    for (size_t i = 0; i < of->by_parts[p->n].n; i++) {
        const route *x = &of->by_parts[p->n].at[i];
        if (!matches(x, p->sign, p->part)) continue;
        if (named && qd_api_part_param(x->part[0])) break;
        named |= x->n && !qd_api_part_param(x->part[0]);
        allow(out->allowed, sizeof out->allowed, x->api->methods);
        if (x->api->flags & QD_API_HEAD) allow(out->allowed, sizeof out->allowed, "HEAD");
    }
}

/* A path that exists under its own name is no index: GET /_bulk is not GET /{index}. */
static const route *find(const rest_routes *in, qd_str method, asked *p)
{
    for (size_t i = 0; i < in->by_parts[p->n].n; i++) {
        const route *x = &in->by_parts[p->n].at[i];
        if (!matches(x, p->sign, p->part)) continue;
        if (p->named && qd_api_part_param(x->part[0])) break;
        if (has_method(x->api, method)) return x;
        p->named |= x->n && !qd_api_part_param(x->part[0]);
        p->known = true;
    }
    return NULL;
}

/* A key given twice keeps its last value; a part of the path is never replaced. */
static int add_param(rest_match *m, qd_str key, qd_str value, qd_err *err)
{
    for (uint32_t i = 0; i < m->nparams; i++) {
        if (!qd_str_eq(m->params[i].key, key)) continue;
        if (i >= m->nparts) m->params[i].value = value;
        return 0;
    }
    if (m->nparams == REST_PARAMS_MAX) {
        return qd_err_set(err, QD_E_ARG, "more than %u parameters", REST_PARAMS_MAX);
    }
    m->params[m->nparams++] = (qd_pair){key, value};
    return 0;
}

static int query_params(qd_str query, qd_arena *arena, rest_match *m, qd_err *err)
{
    int rc = 0;
    for (qd_str rest = query; rest.p && !rc;) {
        qd_str pair = qd_str_split(&rest, '&'), key, value = {"", 0};
        if (pair.n == 0) continue;
        ptrdiff_t eq = qd_str_find(pair, '=');
        key = eq < 0 ? pair : qd_str_sub(pair, 0, (size_t)eq);
        if (eq >= 0) value = qd_str_sub(pair, (size_t)eq + 1, pair.n);
        rc = decode(key, true, arena, &key, err);
        if (!rc) rc = decode(value, true, arena, &value, err);
        if (!rc) rc = add_param(m, key, value, err);
    }
    return rc;
}

/* Paths of Elasticsearch 7 with the type _doc: /{index}/_doc/_search is /{index}/_search, and
 * /{index}/_doc/{id}/_update is /{index}/_update/{id}. */
static void drop_type(asked *p)
{
    static const char *const of_index[] = {
        "_search",          "_count",           "_mget",        "_msearch", "_bulk", "_validate",
        "_delete_by_query", "_update_by_query", "_mtermvectors"};
    static const char *const of_document[] = {"_update", "_explain", "_source", "_create",
                                              "_termvectors"};
    if (p->n < 3 || !qd_str_is(p->part[1], "_doc")) return;
    for (size_t i = 0; i < QD_COUNT_OF(of_index); i++) {
        if (!qd_str_is(p->part[2], of_index[i])) continue;
        p->n--;
        memmove(&p->part[1], &p->part[2], (p->n - 1) * sizeof p->part[0]);
        return;
    }
    for (size_t i = 0; i < QD_COUNT_OF(of_document) && p->n == 4; i++) {
        if (!qd_str_is(p->part[3], of_document[i])) continue;
        p->part[1] = p->part[3];
        p->n = 3;
        return;
    }
}

int qdi_route(const rest_routes *more, bool typed, const qd_http_request *r, qd_arena *arena,
              rest_match *out, qd_err *err)
{
    qd_pair params[REST_PARAMS_MAX]; /* not zeroed: most requests have few */
    asked p;
    *out = (rest_match){.params = params};
    p.sign = 0;
    p.named = p.known = false;
    p.n = split_path(r->path, p.part);
    if (p.n > QD_API_PARTS_MAX) {
        out->params = NULL;
        return 0;
    }
    if (typed) drop_type(&p);
    for (uint32_t i = 0; i < p.n; i++) p.sign |= sign_of(p.part[i], i);
    const route *found = more ? find(more, r->method, &p) : NULL;
    if (!found) found = find(&built_in, r->method, &p);
    if (!found && p.known) {
        allowed_methods(&built_in, &p, out);
        if (more) allowed_methods(more, &p, out);
    }
    int rc = 0;
    for (uint32_t i = 0; found && i < found->n && !rc; i++) {
        if (!qd_api_part_param(found->part[i])) continue;
        qd_str value;
        rc = decode(p.part[i], false, arena, &value, err);
        if (!rc)
            rc = add_param(out, qd_str_sub(found->part[i], 1, found->part[i].n - 2), value, err);
    }
    out->nparts = out->nparams;
    if (!rc) rc = query_params(r->query, arena, out, err);
    out->params = rc ? NULL : qd_arena_alloc(arena, out->nparams * sizeof *params);
    if (!rc && !out->params) rc = qd_err_nomem(err, "parameters");
    if (rc) return rc;
    if (out->nparams) memcpy(out->params, params, out->nparams * sizeof *params);
    if (found) out->api = found->api;
    return 0;
}
