/* rules.c: see rules.h. */
#include "rules.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- text that grows --- */

typedef struct text {
    const kube_env *env;
    char *p;
    size_t n, cap;
    int32_t failed;
} text;

static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *format, ...)
{
    va_list args;
    if (t->failed) return;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) return;
    if (t->cap - t->n <= (size_t)n) {
        size_t cap = (t->cap + (size_t)n + 1) * 2;
        char *p = kube_grow(t->env, t->p, cap);
        if (!p) {
            t->failed = 1;
            return;
        }
        t->p = p;
        t->cap = cap;
    }
    va_start(args, format);
    (void)vsnprintf(t->p + t->n, t->cap - t->n, format, args);
    va_end(args);
    t->n += (size_t)n;
}

/* --- lists as "a,b,c" --- */

/* The next entry of a list: copied, cut to its room; 0 at the end. */
static int32_t next_of(const char **list, char *out, size_t room)
{
    if (!*list || !**list) return 0;
    size_t n = strcspn(*list, ",");
    (void)snprintf(out, room, "%.*s", (int)(n < 1000 ? n : 1000), *list);
    *list += n + ((*list)[n] == ',');
    return 1;
}

static int32_t holds(const json_t *array, const char *value)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *at = json_string_value(json_array_get(array, i));
        if (at && (strcmp(at, value) == 0 || strcmp(at, "*") == 0)) return 1;
    }
    return 0;
}

/* "*", the resource itself, or for a subresource also "*" before the slash. */
static int32_t holds_resource(const json_t *array, const char *resource)
{
    const char *sub = strchr(resource, '/');
    char any[128];
    if (holds(array, resource)) return 1;
    if (!sub) return 0;
    (void)snprintf(any, sizeof any, "*%s", sub);
    return holds(array, any);
}

/* Whether some rule grants a verb on objects of this name; NULL: on all. */
static int32_t granted(const json_t *rules, const kube_wanted *w, const char *verb,
                       const char *name)
{
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        const json_t *names = json_object_get(rule, "resourceNames");
        if (!holds(json_object_get(rule, "verbs"), verb) ||
            !holds(json_object_get(rule, "apiGroups"), w->group) ||
            !holds_resource(json_object_get(rule, "resources"), w->resource))
            continue;
        if (json_array_size(names) == 0) return 1;
        for (size_t k = 0; name && k < json_array_size(names); k++) {
            const char *at = json_string_value(json_array_get(names, k));
            if (at && strcmp(at, name) == 0) return 1;
        }
    }
    return 0;
}

static int32_t verb_granted(const json_t *rules, const kube_wanted *w, const char *verb)
{
    const char *names = w->names;
    char name[256];
    /* the server does not know the name of what is to be created */
    if (!names || strcmp(verb, "create") == 0) return granted(rules, w, verb, NULL);
    while (next_of(&names, name, sizeof name))
        if (!granted(rules, w, verb, name)) return 0;
    return 1;
}

/* --- what is missing --- */

/* The verbs of a need that are not granted, as '"get", "list"'; how many. */
static uint32_t lacking(const json_t *rules, const kube_wanted *w, int32_t create, char *out,
                        size_t room)
{
    const char *verbs = w->verbs;
    char verb[32];
    uint32_t n = 0;
    size_t len = 0;
    out[0] = 0;
    while (next_of(&verbs, verb, sizeof verb)) {
        if ((strcmp(verb, "create") == 0) != create && w->names) continue;
        if (verb_granted(rules, w, verb)) continue;
        int k = snprintf(out + len, room - len, "%s\"%s\"", n ? ", " : "", verb);
        if (k > 0 && (size_t)k < room - len) len += (size_t)k;
        n++;
    }
    return n;
}

static void put_names(text *t, const char *names)
{
    char name[256];
    int32_t first = 1;
    put(t, "    resourceNames: [");
    while (next_of(&names, name, sizeof name)) {
        put(t, "%s\"%s\"", first ? "" : ", ", name);
        first = 0;
    }
    put(t, "]\n");
}

/* One rule of the Role, or its sentence. A need with names has two rules when it may create. */
static uint32_t put_need(text *t, const json_t *rules, const kube_wanted *w, int32_t yaml)
{
    char verbs[256];
    uint32_t n = 0;
    for (int32_t create = 0; create < (w->names ? 2 : 1); create++) {
        uint32_t k = lacking(rules, w, create, verbs, sizeof verbs);
        if (!k) continue;
        n += k;
        if (!yaml) {
            put(t, "%s%s%s%s%s: %s is not granted\n", w->resource, w->group[0] ? "." : "", w->group,
                w->names && !create ? " " : "", w->names && !create ? w->names : "", verbs);
            continue;
        }
        put(t, "  - apiGroups: [\"%s\"]\n    resources: [\"%s\"]\n", w->group, w->resource);
        if (w->names && !create) put_names(t, w->names);
        put(t, "    verbs: [%s]\n", verbs);
    }
    return n;
}

/* Of what is missing: a Role that has only this must not take the place of one with the rest. */
static uint32_t mark_of(const text *t)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < t->n; i++) h = (h ^ (unsigned char)t->p[i]) * 16777619u;
    return h;
}

int32_t kube_rules_compare(const kube_env *env, kube_rules *r, const json_t *review)
{
    const json_t *status = json_object_get(review, "status");
    const json_t *rules = json_object_get(status, "resourceRules");
    text t = {.env = env};
    if (!json_is_object(status) || (rules && !json_is_array(rules) && !json_is_null(rules)))
        return QD_E_PARSE;
    kube_free(env, r->text);
    r->text = NULL;
    r->missing = 0;
    r->partly = json_is_true(json_object_get(status, "incomplete"));
    for (uint32_t i = 0; i < r->n; i++) r->missing += put_need(&t, rules, &r->wanted[i], 0);
    if (r->missing) {
        put(&t,
            "In namespace %s this Role, bound to the identity of this process, grants it:\n"
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: %s-%08x\n"
            "  namespace: %s\nrules:\n",
            r->ns, r->role_name ? r->role_name : "quidditch", (unsigned)mark_of(&t), r->ns);
        for (uint32_t i = 0; i < r->n; i++) (void)put_need(&t, rules, &r->wanted[i], 1);
    }
    if (t.failed) {
        kube_free(env, t.p);
        return QD_E_NOMEM;
    }
    r->text = t.p;
    return 0;
}

/* --- asking --- */

static void on_done(kube_request *q)
{
    kube_rules *r = q->user;
    const kube_env *env = kube_client_env(q->client);
    r->rc = kube_result_rc(&q->result);
    if (r->rc == 0) r->rc = kube_rules_compare(env, r, q->result.object);
    r->done(r);
}

int32_t kube_rules_start(kube_client *c, kube_rules *r)
{
    json_t *body = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                             "SelfSubjectRulesReview", "spec", "namespace", r->ns);
    if (!body) return QD_E_NOMEM;
    r->request = (kube_request){.method = "POST",
                                .path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                                .object = body,
                                .timeout_ns = r->timeout_ns,
                                .done = on_done,
                                .user = r};
    int32_t rc = kube_send(c, &r->request);
    json_decref(body);
    r->request.object = NULL;
    return rc;
}

void kube_rules_clear(kube_rules *r)
{
    if (!r->request.client) return;
    (void)kube_cancel(&r->request);
    kube_free(kube_client_env(r->request.client), r->text);
    r->text = NULL;
}
