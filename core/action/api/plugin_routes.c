/*
 * plugin_routes.c: routes of plugins: checked against the built-in table when they are read, and
 * run as calls that may be left (plugin/guest.h). Request and answer belong to the call: its caller
 * gives it copies, and takes over what it has written once it has returned.
 */
#include "action/api/plugin_routes.h"
#include "action/api/paths.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "plugin/guest.h"
#include <quidditch/route.h>
#include <stdio.h>

#define ROUTES_MAX 64u
#define ANSWER_MAX ((size_t)64 << 20)
#define ARENA_MAX ((size_t)16 << 20)

/* Where a row comes from. */
typedef struct source {
    qd_self *self;
    const qd_route_vtable *vt;
    qd_route route; /* the host's copy */
    uint32_t index;
    const char *method;
} source;

struct qd_plugin_routes {
    qd_arena arena;
    QD_VEC(qd_api) rows;
    QD_VEC(source) sources; /* beside the rows */
    qd_map by_name;         /* of the rows */
};

/* --- rules --- */

static bool all_of(qd_str s, const char *chars)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr(chars, s.p[i])) return false;
    return s.n > 0;
}

static bool path_ok(const char *path)
{
    static const char fixed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    qd_str part[QD_API_PARTS_MAX], whole = qd_str_c(path ? path : "");
    bool named = false;
    if (whole.n < 2 || whole.n > 512 || whole.p[0] != '/' || whole.p[whole.n - 1] == '/')
        return false;
    uint32_t n = qd_api_path_split(whole, part);
    if (n > QD_API_PARTS_MAX) return false;
    for (uint32_t i = 0; i < n; i++) {
        bool param = qd_api_part_param(part[i]);
        if (!all_of(param ? qd_str_sub(part[i], 1, part[i].n - 2) : part[i], fixed)) return false;
        if (!param && !named && part[i].p[0] != '_') return false;
        named |= !param;
    }
    return named;
}

static bool methods_ok(const char *methods)
{
    if (!methods || !*methods) return false;
    for (qd_str rest = qd_str_c(methods); rest.p;)
        if (!qd_api_method_in("GET|POST|PUT|DELETE", qd_str_split(&rest, '|'))) return false;
    return true;
}

static const char *broken_rule(const qd_route *r)
{
    if (!methods_ok(r->methods)) return "methods of GET, POST, PUT and DELETE";
    if (!path_ok(r->path)) return "a path whose first fixed part begins with '_'";
    if (!r->help) return "a help text";
    if (r->flags & ~QD_ROUTE_FLAGS) return "no flags but those of route.h";
    bool read = r->flags & QD_ROUTE_READ, write = r->flags & QD_ROUTE_WRITE;
    return read == write ? "one of the flags READ and WRITE" : NULL;
}

static bool share_method(const char *a, const char *b)
{
    for (qd_str rest = qd_str_c(a); rest.p;)
        if (qd_api_method_in(b, qd_str_split(&rest, '|'))) return true;
    return false;
}

/* Is there a path that both match? A name of an index never begins with '_'. */
static bool overlap(qd_str a, qd_str b)
{
    qd_str x[QD_API_PARTS_MAX], y[QD_API_PARTS_MAX];
    uint32_t n = qd_api_path_split(a, x);
    if (n > QD_API_PARTS_MAX || qd_api_path_split(b, y) != n || !n) return false;
    for (uint32_t i = 0; i < n; i++) {
        bool px = qd_api_part_param(x[i]), py = qd_api_part_param(y[i]);
        if (!px && !py && !qd_str_eq(x[i], y[i])) return false;
        if (i == 0 && px != py && (px ? y : x)[0].p[0] == '_') return false;
    }
    return true;
}

static int check_overlap(const qd_self *self, const qd_route *r, const qd_api *rows, size_t n,
                         const char *whose, qd_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!share_method(r->methods, rows[i].methods)) continue;
        for (qd_str rest = qd_str_c(rows[i].paths); rest.p;) {
            qd_str path = qd_str_split(&rest, ';');
            if (!overlap(qd_str_c(r->path), path)) continue;
            return qd_err_set(
                err, QD_E_EXISTS,
                "plugin [%s] provides the route [%s %s], which %s [%s] has: [%s %.*s]",
                qd_plugin_self_name(self), r->methods, r->path, whose, rows[i].name,
                rows[i].methods, QD_STR_ARG(path));
        }
    }
    return 0;
}

/* --- reading --- */

static qd_api row_of(qd_plugin_routes *all, const source *s);

/* A row for each method: the request itself does not tell it. */
static int add_rows(qd_plugin_routes *all, source *s, qd_err *err)
{
    for (qd_str rest = qd_str_c(s->route.methods); rest.p;) {
        s->method = qd_arena_str(&all->arena, qd_str_split(&rest, '|')).p;
        qd_api row = row_of(all, s);
        if (!row.name || !s->method || qd_vec_push(&all->rows, NULL, row) ||
            qd_vec_push(&all->sources, NULL, *s))
            return qd_err_nomem(err, "routes of plugins");
    }
    return 0;
}

static int add_route(qd_plugin_routes *all, qd_self *self, const qd_route_vtable *vt, uint32_t i,
                     qd_err *err)
{
    const char *name = qd_plugin_self_name(self);
    source s = {.self = self, .vt = vt, .index = i};
    size_t n = vt->route_size < sizeof s.route ? vt->route_size : sizeof s.route;
    memcpy(&s.route, (const char *)vt->routes + (size_t)i * vt->route_size, n);
    const char *rule = broken_rule(&s.route);
    if (rule)
        return qd_err_set(err, QD_E_ABI, "plugin [%s]: route %u [%.32s %.128s]: wanted %s", name, i,
                          s.route.methods ? s.route.methods : "", s.route.path ? s.route.path : "",
                          rule);
    int rc = check_overlap(self, &s.route, qd_apis, qd_apis_n, "the built-in API", err);
    if (!rc) rc = check_overlap(self, &s.route, all->rows.at, all->rows.n, "the route", err);
    return rc ? rc : add_rows(all, &s, err);
}

static int add_table(qd_plugin_routes *all, qd_self *self, const qd_route_vtable *vt, qd_err *err)
{
    if (vt->nroutes == 0 || vt->nroutes > ROUTES_MAX || vt->route_size < sizeof(qd_route))
        return qd_err_set(
            err, QD_E_ABI,
            "plugin [%s]: wanted 1 to %u routes of at least %zu bytes, found %u of %u",
            qd_plugin_self_name(self), ROUTES_MAX, sizeof(qd_route), vt->nroutes, vt->route_size);
    int rc = 0;
    for (uint32_t i = 0; i < vt->nroutes && !rc; i++) rc = add_route(all, self, vt, i, err);
    return rc;
}

int qd_plugin_routes_open(const qd_plugin_host *host, qd_plugin_routes **out, qd_err *err)
{
    qd_plugin_routes *all = qd_calloc(NULL, sizeof *all);
    if (!all) return qd_err_nomem(err, "routes of plugins");
    qd_arena_init(&all->arena, NULL, 1 << 20);
    qd_map_init(&all->by_name, NULL);
    const qd_route_vtable *vt;
    size_t pos = 0;
    qd_self *self;
    int rc = 0;
    while (!rc && (vt = qd_plugin_next(host, QD_KIND_ROUTE, &pos, NULL, &self)))
        rc = add_table(all, self, vt, err);
    for (size_t i = 0; i < all->rows.n && !rc; i++)
        if (qd_map_put(&all->by_name, qd_str_c(all->rows.at[i].name), &all->rows.at[i], NULL))
            rc = qd_err_nomem(err, "routes of plugins");
    if (rc) {
        qd_plugin_routes_close(all);
        return rc;
    }
    *out = all;
    return 0;
}

void qd_plugin_routes_close(qd_plugin_routes *all)
{
    if (!all) return;
    qd_map_fini(&all->by_name);
    qd_vec_fini(&all->rows);
    qd_vec_fini(&all->sources);
    qd_arena_fini(&all->arena);
    qd_free(all);
}

const qd_api *qd_plugin_routes_rows(const qd_plugin_routes *all, uint32_t *n)
{
    *n = all ? (uint32_t)all->rows.n : 0;
    return all ? all->rows.at : NULL;
}

const qd_api *qd_plugin_routes_find(const qd_plugin_routes *all, qd_str name)
{
    return all && all->rows.n ? qd_map_get(&all->by_name, name) : NULL;
}

/* --- running --- */

/* Shared by the caller and the guest; whoever lets go of it last frees it. */
typedef struct route_call {
    qd_guest_call call; /* first */
    _Atomic uint32_t holders;
    const source *s;
    qd_task task; /* the plugin's view of the request's */
    qd_arena arena;
    qd_route_request request;
    qd_route_answer answer;
    qd_json_writer w;
    qd_buf out;
    qd_err err;
} route_call;

static void let_go(route_call *c)
{
    if (atomic_fetch_sub(&c->holders, 1) != 1) return;
    qd_err_fini(&c->err);
    qd_buf_fini(&c->out);
    qd_arena_fini(&c->arena);
    qd_free(c);
}

static void left(qd_guest_call *call)
{
    let_go((route_call *)call);
}

/* How the answer was written counts, whether the plugin has looked at it or not. Here, as only this
 * thread knows which limit has refused memory. */
static int32_t run_call(qd_guest_call *call)
{
    route_call *c = (route_call *)call;
    int32_t rc = c->s->vt->handle(c->s->self, &c->request, &c->answer, &c->err);
    int status = qd_buf_status(&c->out);
    if (status == QD_E_NOMEM) return QD_E_BREAKER;
    if (status != QD_E_LIMIT) return rc;
    qd_err_fini(&c->err);
    qd_err_init(&c->err);
    return qd_err_set(
        &c->err, QD_E_PLUGIN,
        "route [%s] of plugin [%s]: the answer is larger than %zu bytes, the limit of "
        "an answer",
        c->s->route.path, qd_plugin_self_name(c->s->self), ANSWER_MAX);
}

static int32_t write_bytes(qd_route_answer *answer, qd_str bytes)
{
    route_call *c = QD_CONTAINER_OF(answer, route_call, answer);
    int rc = qd_buf_str(&c->out, bytes);
    return rc == QD_E_NOMEM ? QD_E_BREAKER : rc;
}

/* Parameters of the path come first, but a front-end may leave some out. */
static uint32_t path_params(const char *path, uint32_t nparams)
{
    qd_str part[QD_API_PARTS_MAX];
    uint32_t n = qd_api_path_split(qd_str_c(path), part), found = 0;
    for (uint32_t i = 0; i < n; i++) found += qd_api_part_param(part[i]);
    return found < nparams ? found : nparams;
}

/* Copies of all that the request has. */
static int fill(route_call *c, const qd_request *q)
{
    qd_route_request *r = &c->request;
    qd_pair *params = qd_arena_calloc(&c->arena, (q->nparams + 1) * sizeof *params);
    if (!params) return QD_E_NOMEM;
    *r = (qd_route_request){.struct_size = sizeof *r,
                            .route = c->s->index,
                            .params = params,
                            .nparams = q->nparams,
                            .format = q->body_format,
                            .task = &c->task,
                            .arena = &c->arena};
    for (uint32_t i = 0; i < q->nparams; i++) {
        params[i] = (qd_pair){qd_arena_str(&c->arena, q->params[i].key),
                              qd_arena_str(&c->arena, q->params[i].value)};
        if (!params[i].key.p || (!params[i].value.p && q->params[i].value.n)) return QD_E_NOMEM;
    }
    r->method = qd_str_c(c->s->method);
    r->nparts = path_params(c->s->route.path, r->nparams);
    r->path = qd_arena_str(&c->arena, q->path);
    r->body = qd_arena_str(&c->arena, q->body);
    return (!r->path.p && q->path.n) || (!r->body.p && q->body.n) ? QD_E_NOMEM : 0;
}

static int make(const source *s, const qd_request *q, route_call **out, qd_err *err)
{
    qd_account *account = qd_plugin_self_account(s->self);
    route_call *c = qd_calloc(account, sizeof *c);
    if (!c) return qd_err_nomem(err, "a request of a plugin");
    c->call = (qd_guest_call){.run = run_call,
                              .left = left,
                              .self = s->self,
                              .kind = "route",
                              .what = "handle",
                              .placed = "path"};
    snprintf(c->call.name, sizeof c->call.name, "%s %s", s->method, s->route.path);
    snprintf(c->call.place, sizeof c->call.place, "[%s]", s->route.path);
    atomic_store(&c->holders, 1);
    c->s = s;
    c->task = (qd_task){.magic = QD_TASK_MAGIC, .deadline_ns = q->task.deadline_ns};
    qd_arena_init(&c->arena, account, ARENA_MAX + q->body.n);
    qd_buf_init(&c->out, account, ANSWER_MAX);
    qd_err_init(&c->err);
    qd_json_writer_init(&c->w, &c->out, q->pretty);
    c->answer = (qd_route_answer){.struct_size = sizeof c->answer,
                                  .status = 200,
                                  .format = QD_FORMAT_JSON,
                                  .json = qd_plugin_json_out(&c->w),
                                  .write = write_bytes};
    *out = c;
    if (!fill(c, q)) return 0;
    let_go(c);
    return qd_err_nomem(err, "a request of a plugin");
}

/* What the plugin has written, if it keeps to the rules. */
static int take(route_call *c, qd_response *r, qd_err *err)
{
    const qd_route_answer *a = &c->answer;
    const char *plugin = qd_plugin_self_name(c->s->self), *path = c->s->route.path;
    if (a->status < 200 || a->status > 599)
        return qd_err_set(err, QD_E_PLUGIN, "route [%s] of plugin [%s] answered with the status %d",
                          path, plugin, a->status);
    if (a->format != QD_FORMAT_JSON && a->format != QD_FORMAT_TEXT)
        return qd_err_set(err, QD_E_PLUGIN, "route [%s] of plugin [%s] answered in the format %u",
                          path, plugin, a->format);
    if (!qd_json_writer_done(&c->w))
        return qd_err_set(err, QD_E_PLUGIN,
                          "route [%s] of plugin [%s] left an object or array of its answer open",
                          path, plugin);
    r->status = a->status;
    r->format = a->format;
    return qd_buf_str(r->out, qd_buf_view(&c->out)) ? qd_err_nomem(err, "an answer") : 0;
}

static int run_route(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_plugin_routes *all = q->a->routes;
    const source *s = &all->sources.at[q->api - all->rows.at];
    route_call *c = NULL;
    int rc = make(s, q, &c, err);
    if (rc) return rc;
    bool ran;
    atomic_store(&c->holders, 2);
    rc = qd_guest_run(qd_plugin_guests(s->self), &c->call, &q->task, &ran, err);
    if (rc && ran) { /* the guest has the other hold */
        atomic_store(&c->task.stop, QD_TASK_CANCELLED);
        if (rc == QD_E_PLUGIN) qd_err_type(err, NULL, 503);
        let_go(c);
        return rc;
    }
    atomic_store(&c->holders, 1);
    if (!rc && c->call.rc)
        rc = qd_guest_failed(&c->call, &c->err, err);
    else if (!rc)
        rc = take(c, r, err);
    let_go(c);
    return rc;
}

static qd_api row_of(qd_plugin_routes *all, const source *s)
{
    const qd_route *r = &s->route;
    bool get = s->method && strcmp(s->method, "GET") == 0;
    qd_str name = qd_arena_printf(&all->arena, "plugin.%s[%s %s]", qd_plugin_self_name(s->self),
                                  s->method ? s->method : "", r->path);
    return (qd_api){.name = name.p,
                    .methods = s->method,
                    .paths = r->path,
                    .params = r->params ? r->params : "",
                    .pool = "generic",
                    .flags = (r->flags & QD_ROUTE_BODY ? QD_API_BODY : 0) |
                             (r->flags & QD_ROUTE_BODY_REQUIRED ? QD_API_BODY_REQUIRED : 0) |
                             (r->flags & QD_ROUTE_READ ? QD_API_SAFE : 0) | (get ? QD_API_HEAD : 0),
                    .privilege = r->flags & QD_ROUTE_READ ? "monitor" : "manage",
                    .indices = QD_API_INDICES_NONE,
                    .run = run_route,
                    .help = r->help};
}
