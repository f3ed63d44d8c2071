/*
 * kube_model_call.c: a request is read, asked for its rights, and handed to who answers it; Status
 * objects; reviews of rights; what is not a resource.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"
#include <stdarg.h>

/* --- reading --- */

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(char *s, bool plus)
{
    char *to = s;
    for (; *s; s++) {
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *to++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 2;
        } else {
            *to++ = plus && *s == '+' ? ' ' : *s;
        }
    }
    *to = 0;
}

static void read_query(km_call *c, char *q)
{
    while (q && *q && c->nparams < KM_PARAMS) {
        char *end = strchr(q, '&');
        if (end) *end++ = 0;
        char *value = strchr(q, '=');
        if (value) *value++ = 0;
        decode(q, true);
        if (value) decode(value, true);
        c->params[c->nparams].key = q;
        c->params[c->nparams++].value = value ? value : "";
        q = end;
    }
}

static const char *verb_of(const km_call *c)
{
    bool one = *c->name != 0;
    if (!strcmp(c->method, "GET")) return one ? "get" : km_flag(c, "watch") ? "watch" : "list";
    if (!strcmp(c->method, "POST")) return one && !*c->sub ? "" : "create";
    if (!strcmp(c->method, "PUT")) return one ? "update" : "";
    if (!strcmp(c->method, "PATCH")) return one ? "patch" : "";
    if (!strcmp(c->method, "DELETE")) return one ? "delete" : "deletecollection";
    return "";
}

/* /api/v1/... and /apis/GROUP/VERSION/...: [namespaces/NS/]PLURAL[/NAME[/SUB]] */
static void read_path(km_call *c, char *path)
{
    char *part[10];
    size_t n = 0;
    c->path = path;
    char *p = km_dup(path);
    char *all = p;
    for (char *s = p; *s && n < 10;) {
        while (*s == '/') *s++ = 0;
        if (!*s) break;
        part[n++] = s;
        while (*s && *s != '/') s++;
    }
    size_t i;
    if (n >= 2 && !strcmp(part[0], "api")) {
        c->group = "";
        c->version = part[1];
        i = 2;
    } else if (n >= 3 && !strcmp(part[0], "apis")) {
        c->group = part[1];
        c->version = part[2];
        i = 3;
    } else {
        free(all);
        return;
    }
    if (i + 2 < n && !strcmp(part[i], "namespaces") && strcmp(part[i + 2], "status") &&
        strcmp(part[i + 2], "finalize")) {
        c->ns = part[i + 1];
        i += 2;
    }
    if (i < n) c->plural = part[i++];
    if (i < n) c->name = part[i++];
    if (i < n) c->sub = part[i++];
    bool rest = i < n;
    for (size_t k = 0; k < n; k++) decode(part[k], false);
    if (*c->plural && !rest) c->kind = km_kind_of(c->m, c->group, c->plural);
    if (c->kind && strcmp(c->kind->version, c->version)) c->kind = NULL;
    if (c->kind && *c->ns && !c->kind->namespaced) c->kind = NULL;
    if (c->kind && *c->sub && (strcmp(c->sub, "status") || !c->kind->status)) c->kind = NULL;
    c->verb = verb_of(c);
    c->buf = all;
}

void km_call_init(km_call *c, kube_model *m, const char *method, const char *target)
{
    *c = (km_call){.m = m,
                   .method = method,
                   .type = "application/json",
                   .accept = "",
                   .user = "",
                   .group = "",
                   .version = "",
                   .plural = "",
                   .ns = "",
                   .name = "",
                   .sub = "",
                   .verb = "",
                   .cache = m->revision};
    char *path = km_dup(target);
    char *q = strchr(path, '?');
    if (q) *q++ = 0;
    read_query(c, q);
    read_path(c, path);
}

void km_call_fini(km_call *c)
{
    free((char *)c->path);
    free(c->buf);
    json_decref(c->object);
}

const char *km_param(const km_call *c, const char *key)
{
    for (size_t i = 0; i < c->nparams; i++)
        if (!strcmp(c->params[i].key, key)) return c->params[i].value;
    return "";
}

bool km_flag(const km_call *c, const char *key)
{
    const char *v = km_param(c, key);
    return !strcmp(v, "1") || !strcmp(v, "true");
}

/* --- answers --- */

km_reply km_ok(int status, json_t *body)
{
    return (km_reply){.status = status, .body = body};
}

json_t *km_status(int code, const char *reason, const char *message)
{
    json_t *s = json_pack("{s:s, s:s, s:{}, s:s, s:s, s:i}", "kind", "Status", "apiVersion", "v1",
                          "metadata", "status", code < 300 ? "Success" : "Failure", "message",
                          message, "code", code);
    if (*reason) json_object_set_new(s, "reason", json_string(reason));
    return s;
}

static json_t *details(const km_call *c)
{
    json_t *d = json_object();
    if (*c->name)
        json_object_set_new(d, "name", json_string(c->name));
    else if (c->object && *km_name(c->object))
        json_object_set_new(d, "name", json_string(km_name(c->object)));
    if (*c->group) json_object_set_new(d, "group", json_string(c->group));
    if (*c->plural) json_object_set_new(d, "kind", json_string(c->plural));
    return d;
}

km_reply km_no(const km_call *c, int code, const char *reason, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    json_t *s = km_status(code, reason, message);
    if (code == 405 || code == 415)
        json_object_set_new(s, "details", json_object());
    else if (code != 400 && code != 401 && code != 410 && code != 413 && code != 500)
        json_object_set_new(s, "details", details(c));
    return km_ok(code, s);
}

km_reply km_invalid(const km_call *c, const char *field, const char *why, const char *message)
{
    const char *name = *c->name ? c->name : c->object ? km_name(c->object) : "";
    km_reply r = km_no(c, 422, "Invalid", "%s \"%s\" is invalid: %s: %s", c->kind->kind, name,
                       field, message);
    json_t *d = json_object_get(r.body, "details");
    json_object_set_new(d, "kind", json_string(c->kind->kind));
    json_object_set_new(
        d, "causes",
        json_pack("[{s:s, s:s, s:s}]", "reason", why, "message", message, "field", field));
    return r;
}

/* --- rights --- */

static bool holds(const json_t *verbs, const char *verb)
{
    for (size_t i = 0; i < json_array_size(verbs); i++) {
        const char *v = json_string_value(json_array_get(verbs, i));
        if (!strcmp(v, "*") || !strcmp(v, verb)) return true;
    }
    return false;
}

static bool same(const char *pattern, const char *s)
{
    return !strcmp(pattern, "*") || !strcmp(pattern, s);
}

bool km_allowed(const kube_model *m, const char *user, const char *verb, const char *group,
                const char *plural, const char *sub, const char *ns, const char *name)
{
    char resource[256];
    snprintf(resource, sizeof resource, "%s%s%s", plural, *sub ? "/" : "", sub);
    for (size_t i = 0; i < m->ngrants; i++) {
        const km_grant *g = &m->grants[i];
        if (!strcmp(g->user, user) && same(g->group, group) && same(g->resource, resource) &&
            same(g->ns, ns) && (!g->name || !strcmp(g->name, name)) && holds(g->verbs, verb))
            return true;
    }
    return false;
}

static km_reply forbidden(const km_call *c)
{
    return km_no(c, 403, "Forbidden",
                 "%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" "
                 "in the namespace \"%s\"",
                 c->plural, *c->name ? " " : "", c->name, c->user, c->verb, c->plural, c->group,
                 c->ns);
}

/* What a user may do in a namespace, or one question. */
static km_reply review(km_call *c)
{
    json_error_t err;
    json_t *o = json_loadb(c->body, c->n, 0, &err);
    if (!json_is_object(o)) {
        json_decref(o);
        return km_no(c, 400, "BadRequest", "the body is no object");
    }
    json_t *spec = json_object_get(o, "spec");
    json_t *status = json_object();
    if (!strcmp(c->plural, "selfsubjectrulesreviews")) {
        const char *ns = km_text(spec, "namespace");
        json_t *rules = json_array();
        if (!*c->user)
            json_array_append_new(rules, json_pack("{s:[s], s:[s], s:[s]}", "verbs", "*",
                                                   "apiGroups", "*", "resources", "*"));
        for (size_t i = 0; i < c->m->ngrants; i++) {
            const km_grant *g = &c->m->grants[i];
            if (strcmp(g->user, c->user) || !same(g->ns, ns)) continue;
            json_t *r = json_pack("{s:O, s:[s], s:[s]}", "verbs", g->verbs, "apiGroups", g->group,
                                  "resources", g->resource);
            if (g->name) json_object_set_new(r, "resourceNames", json_pack("[s]", g->name));
            json_array_append_new(rules, r);
        }
        json_object_set_new(status, "resourceRules", rules);
        json_object_set_new(status, "nonResourceRules", json_array());
        json_object_set_new(status, "incomplete", json_false());
    } else {
        json_t *a = json_object_get(spec, "resourceAttributes");
        bool yes = !*c->user || km_allowed(c->m, c->user, km_text(a, "verb"), km_text(a, "group"),
                                           km_text(a, "resource"), km_text(a, "subresource"),
                                           km_text(a, "namespace"), km_text(a, "name"));
        json_object_set_new(status, "allowed", json_boolean(yes));
    }
    json_object_set_new(o, "metadata", json_pack("{s:n}", "creationTimestamp"));
    json_object_set_new(o, "status", status);
    return km_ok(201, o);
}

/* --- what is not stored --- */

static km_reply resources(const km_call *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->m->nkinds; i++) {
        const km_kind *k = c->m->kinds[i];
        if (k->gone || strcmp(k->group, c->group) || strcmp(k->version, c->version)) continue;
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:[]}", "name", k->plural, "kind",
                                              k->kind, "namespaced", k->namespaced, "verbs"));
    }
    if (!json_array_size(list)) {
        json_decref(list);
        return (km_reply){.status = 404, .text = "404 page not found\n"};
    }
    char gv[160];
    snprintf(gv, sizeof gv, "%s%s%s", c->group, *c->group ? "/" : "", c->version);
    return km_ok(200, json_pack("{s:s, s:s, s:s, s:o}", "kind", "APIResourceList", "apiVersion",
                                "v1", "groupVersion", gv, "resources", list));
}

static km_reply plain(const km_call *c)
{
    if (!strcmp(c->path, "/version"))
        return km_ok(200, json_pack("{s:s, s:s, s:s}", "major", "1", "minor", "20", "gitVersion",
                                    "v1.20.2-model"));
    if (!strcmp(c->path, "/healthz") || !strcmp(c->path, "/readyz") || !strcmp(c->path, "/livez"))
        return (km_reply){.status = 200, .text = "ok"};
    if (*c->version && !*c->plural && !strcmp(c->method, "GET")) return resources(c);
    for (size_t i = 0; *c->plural && i < c->m->nkinds; i++) {
        const km_kind *k = c->m->kinds[i];
        bool known = !strcmp(k->group, c->group) && !strcmp(k->version, c->version);
        if (!known || (k->custom && (k->gone || !*c->sub))) continue;
        km_reply r = km_no(c, 404, "NotFound", "the server could not find the requested resource");
        if (!k->custom) json_object_set_new(r.body, "details", json_object());
        return r;
    }
    return (km_reply){.status = 404, .text = "404 page not found\n"};
}

km_reply km_answer(km_call *c)
{
    if (c->n > KM_BODY_MAX)
        return km_no(c, 413, "RequestEntityTooLarge", "Request entity too large: limit is %d",
                     KM_BODY_MAX);
    bool reviews = !strcmp(c->group, "authorization.k8s.io") &&
                   (!strcmp(c->plural, "selfsubjectrulesreviews") ||
                    !strcmp(c->plural, "selfsubjectaccessreviews"));
    if (reviews && !strcmp(c->method, "POST")) return review(c);
    /* what is unknown is not told from what is not allowed */
    if (*c->plural && *c->user && *c->verb &&
        !km_allowed(c->m, c->user, c->verb, c->group, c->plural, c->sub, c->ns, c->name))
        return forbidden(c);
    if (!c->kind) return plain(c);
    if (!*c->verb || (c->kind->namespaced && !*c->ns && strcmp(c->method, "GET")))
        return km_no(c, 405, "MethodNotAllowed",
                     "the server does not allow this method on the requested resource");
    if (!strcmp(c->verb, "get")) return km_get(c);
    if (!strcmp(c->verb, "list")) return km_list_reply(c);
    if (!strcmp(c->verb, "watch")) return km_watch_start(c);
    if (!strcmp(c->verb, "create")) return km_create(c);
    if (!strcmp(c->verb, "update")) return km_update(c);
    if (!strcmp(c->verb, "patch")) return km_patch(c);
    return !strcmp(c->verb, "delete") ? km_delete(c) : km_delete_all(c);
}
