/*
 * route.c: the contract of the route kind as tests: the table keeps to the rules, and the function
 * answers requests of every row, also odd ones, with a status or an error, and leaks nothing.
 */
#include "suite.h"

/* The rest of the host's side: bytes are counted, JSON goes nowhere. */
typedef struct answered {
    qd_route_answer a; /* first */
    size_t bytes;
} answered;

static int32_t count_bytes(qd_route_answer *a, qd_str bytes)
{
    ((answered *)(void *)a)->bytes += bytes.n;
    return 0;
}

static const qd_route *row(const qd_route_vtable *vt, uint32_t i)
{
    return (const qd_route *)(const void *)((const char *)vt->routes + (size_t)i * vt->route_size);
}

static void keeps_the_rules(qd_conform *c, const qd_route_vtable *vt)
{
    CHECK(c, vt->nroutes >= 1 && vt->nroutes <= 64 && vt->route_size >= sizeof(qd_route));
    for (uint32_t i = 0; i < vt->nroutes; i++) {
        const qd_route *r = row(vt, i);
        CHECK(c,
              r->methods && *r->methods && r->path && r->path[0] == '/' && strstr(r->path, "/_"));
        CHECK(c, r->help && *r->help && (r->flags & ~QD_ROUTE_FLAGS) == 0);
        CHECK(c, !(r->flags & QD_ROUTE_READ) != !(r->flags & QD_ROUTE_WRITE));
    }
}

/* Parameters of a path get a value; the query is empty. */
static uint32_t path_params(const qd_route *r, qd_str value, qd_pair params[12])
{
    uint32_t n = 0;
    for (const char *p = strchr(r->path, '{'); p && n < 12; p = strchr(p + 1, '{')) {
        const char *end = strchr(p, '}');
        params[n++] = (qd_pair){{p + 1, end ? (size_t)(end - p - 1) : 0}, value};
    }
    return n;
}

static void answers(qd_conform *c, const qd_route_vtable *vt, qd_str value, qd_str body)
{
    for (uint32_t i = 0; i < vt->nroutes; i++) {
        const qd_route *r = row(vt, i);
        qd_pair params[12];
        uint32_t n = path_params(r, value, params);
        answered a = {.a = {.struct_size = sizeof a.a,
                            .status = 200,
                            .format = QD_FORMAT_JSON,
                            .json = c->json_out ? c->json_out(c) : NULL,
                            .write = count_bytes}};
        bool takes = r->flags & (QD_ROUTE_BODY | QD_ROUTE_BODY_REQUIRED);
        qd_route_request q = {.struct_size = sizeof q,
                              .route = i,
                              .method = {r->methods, strcspn(r->methods, "|")},
                              .path = str_c(r->path),
                              .params = params,
                              .nparams = n,
                              .nparts = n,
                              .body = takes ? body : S(""),
                              .format = QD_FORMAT_JSON,
                              .arena = c->arena};
        int32_t rc = vt->handle(c->self, &q, &a.a, c->err);
        c->err_clear(c);
        CHECK(c, rc <= 0);
        CHECK(c, rc || (a.a.status >= 200 && a.a.status <= 599));
        CHECK(c, a.a.format == QD_FORMAT_JSON || a.a.format == QD_FORMAT_TEXT);
    }
}

static void leaks_nothing(qd_conform *c, const qd_route_vtable *vt)
{
    answers(c, vt, S("a"), S("{}"));
    int64_t before = c->memory(c);
    for (int i = 0; i < 50; i++) answers(c, vt, S("a"), S("{}"));
    CHECK_EQ(c, c->memory(c), before);
}

void qd_conform_route(qd_conform *c, const char *name, const qd_route_vtable *vt)
{
    (void)name;
    RUN(c, "the table keeps to the rules", keeps_the_rules(c, vt));
    RUN(c, "it answers", answers(c, vt, S("a"), S("{}")));
    RUN(c, "it answers odd values", answers(c, vt, S("\xf0\x9f\xa6\x94 / ' \" ; --"), S("[1,{]")));
    RUN(c, "it answers what is empty", answers(c, vt, S(""), S("")));
    RUN(c, "fifty requests leak nothing", leaks_nothing(c, vt));
}
