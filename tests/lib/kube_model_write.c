/*
 * kube_model_write.c: create, update, patch, delete, with the preconditions and in the order in
 * which the real server checks them.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"

static bool is_core(const km_kind *k, const char *plural)
{
    return !*k->group && !strcmp(k->plural, plural);
}

static bool dying(const json_t *o)
{
    return json_object_get(km_meta(o), "deletionTimestamp") != NULL;
}

/* An object that does not fit into the store; the body's size is near enough for most. */
static bool too_large(const km_call *c, const json_t *o)
{
    if (c->n < KM_OBJECT_MAX / 2) return false;
    return json_dumpb(o, NULL, 0, JSON_COMPACT) > KM_OBJECT_MAX;
}

static km_reply large(const km_call *c)
{
    return km_no(c, 500, "", "etcdserver: request is too large");
}

static km_reply no_namespace(km_call *c)
{
    km_reply r = km_no(c, 404, "NotFound", "namespaces \"%s\" not found", c->ns);
    json_object_set_new(r.body, "details",
                        json_pack("{s:s, s:s}", "name", c->ns, "kind", "namespaces"));
    return r;
}

/* May something new come into this namespace? */
static km_reply admit(km_call *c)
{
    if (!c->kind->namespaced) return (km_reply){0};
    const json_t *ns = km_find(c->m, km_kind_of(c->m, "", "namespaces"), "", c->ns);
    if (!ns) return no_namespace(c);
    if (!dying(ns)) return (km_reply){0};
    km_reply r = km_no(c, 403, "Forbidden",
                       "%s \"%s\" is forbidden: unable to create new content in namespace %s "
                       "because it is being terminated",
                       c->plural, km_name(c->object), c->ns);
    json_object_set_new(json_object_get(r.body, "details"), "causes",
                        json_pack("[{s:s, s:s, s:s}]", "reason", "NamespaceTerminating", "message",
                                  "namespace is being terminated", "field", "metadata.namespace"));
    return r;
}

/* A valid new object is stored. */
static km_reply store_new(km_call *c)
{
    json_t *o = c->object;
    km_object_born(c->m, c->kind, o);
    km_reply r = km_object_check(c, o, NULL);
    if (r.status) return r;
    if (km_find(c->m, c->kind, c->ns, km_name(o))) {
        r = km_no(c, 409, "AlreadyExists", "%s \"%s\" already exists", c->plural, km_name(o));
        return r;
    }
    if (too_large(c, o)) return large(c);
    uint64_t made = km_commit(c->m, c->kind, json_incref(o), false);
    if (!strcmp(c->kind->plural, "customresourcedefinitions")) km_definition(c->m, o);
    r = km_ok(201, json_incref(o));
    r.made = made;
    return r;
}

km_reply km_create(km_call *c)
{
    km_reply r = km_body_object(c);
    if (r.status) return r;
    json_t *meta = km_meta(c->object);
    r = admit(c);
    if (r.status) return r;
    if (*km_text(meta, "resourceVersion"))
        return km_no(c, 500, "", "resourceVersion should not be set on objects to be created");
    if (!*km_name(c->object) && *km_text(meta, "generateName")) {
        char name[300];
        static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
        int n = snprintf(name, sizeof name - 6, "%s", km_text(meta, "generateName"));
        for (int i = 0; i < 5; i++) name[n + i] = letters[km_below(c->m, sizeof letters - 1)];
        name[n + 5] = 0;
        json_object_set_new(meta, "name", json_string(name));
    }
    if (!*km_name(c->object))
        return km_invalid(c, "metadata.name", "FieldValueRequired",
                          "Required value: name or generateName is required");
    return store_new(c);
}

/* --- update --- */

static bool apart(const char *key, const km_kind *k)
{
    return !strcmp(key, "metadata") || (k->status && !strcmp(key, "status"));
}

/* Is what generation counts different? */
static bool spec_differs(const km_kind *k, json_t *a, json_t *b)
{
    const char *key;
    json_t *v;
    json_object_foreach(a, key, v)
    {
        if (!apart(key, k) && !json_equal(v, json_object_get(b, key))) return true;
    }
    json_object_foreach(b, key, v)
    {
        if (!apart(key, k) && !json_object_get(a, key)) return true;
    }
    return false;
}

static void carry(json_t *to, const json_t *from, const char *member)
{
    json_t *v = json_object_get(from, member);
    if (v)
        json_object_set(to, member, v);
    else
        json_object_del(to, member);
}

/* What a PUT does not change comes from the old one. */
static json_t *merged(const km_call *c, json_t *o, const json_t *old)
{
    const km_kind *k = c->kind;
    if (*c->sub) { /* status: everything else is the old one's */
        json_t *copy = json_deep_copy(old);
        carry(copy, o, "status");
        return copy;
    }
    json_t *meta = km_meta(o);
    static const char *const kept[] = {"creationTimestamp", "deletionTimestamp", "generation",
                                       "deletionGracePeriodSeconds", NULL};
    for (const char *const *s = kept; *s; s++) carry(meta, km_meta(old), *s);
    if (!*km_text(meta, "uid")) carry(meta, km_meta(old), "uid");
    carry(meta, km_meta(old), "resourceVersion");
    if (k->status) carry(o, old, "status");
    if (is_core(k, "namespaces")) carry(o, old, "spec");
    if (k->counted && spec_differs(k, o, (json_t *)old))
        json_object_set_new(
            meta, "generation",
            json_integer(json_integer_value(json_object_get(km_meta(old), "generation")) + 1));
    return json_incref(o);
}

static km_reply store_changed(km_call *c, json_t *old)
{
    json_t *o = merged(c, c->object, old);
    km_reply r = km_object_check(c, o, old);
    if (!r.status && too_large(c, o)) r = large(c);
    if (r.status) {
        json_decref(o);
        return r;
    }
    if (json_equal(o, old)) { /* nothing is written, and nobody told */
        json_decref(o);
        return km_ok(200, json_incref(old));
    }
    bool last = dying(old) && !json_array_size(json_object_get(km_meta(o), "finalizers"));
    /* what loses its last finalizer goes as it was: the change itself is never stored */
    json_t *stored = last ? json_deep_copy(old) : json_incref(o);
    r = km_ok(200, o);
    r.made = km_commit(c->m, c->kind, stored, last);
    if (!last && !strcmp(c->kind->plural, "customresourcedefinitions")) km_definition(c->m, o);
    if (last && !strcmp(c->kind->plural, "customresourcedefinitions")) km_definition_gone(c->m, o);
    return r;
}

static km_reply conflict(const km_call *c, const char *why)
{
    return km_no(c, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": %s", c->plural,
                 c->name, why);
}

static const char modified[] =
    "the object has been modified; please apply your changes to the latest version and try again";

km_reply km_update(km_call *c)
{
    km_reply r = km_body_object(c);
    if (r.status) return r;
    json_t *meta = km_meta(c->object);
    if (strcmp(km_name(c->object), c->name))
        return km_no(c, 400, "BadRequest",
                     "the name of the object (%s) does not match the name on the URL (%s)",
                     km_name(c->object), c->name);
    json_t *old = km_find(c->m, c->kind, c->ns, c->name);
    const char *uid = km_text(meta, "uid"), *rv = km_text(meta, "resourceVersion");
    if (*uid && strcmp(uid, old ? km_text(km_meta(old), "uid") : ""))
        return conflict(c, "Precondition failed: UID in precondition and in object meta differ");
    if (!old) {
        if (!c->kind->upsert || *c->sub)
            return km_no(c, 404, "NotFound", "%s \"%s\" not found", c->plural, c->name);
        r = admit(c);
        if (r.status) return r;
        if (*rv) return conflict(c, modified);
        return store_new(c);
    }
    if ((!*rv || !strcmp(rv, "0")) && !c->kind->blind) {
        r = km_invalid(c, "metadata.resourceVersion", "FieldValueInvalid",
                       "Invalid value: 0x0: must be specified for an update");
        json_object_set_new(json_object_get(r.body, "details"), "kind", json_string(c->plural));
        return r;
    }
    if (*rv && strcmp(rv, "0") && strcmp(rv, km_text(km_meta(old), "resourceVersion")))
        return conflict(c, modified);
    return store_changed(c, old);
}

/* --- patch: RFC 7386 --- */

static void merge(json_t *to, const json_t *patch)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)patch, key, v)
    {
        if (json_is_null(v)) {
            json_object_del(to, key);
        } else if (json_is_object(v)) {
            if (!json_is_object(json_object_get(to, key)))
                json_object_set_new(to, key, json_object());
            merge(json_object_get(to, key), v);
        } else {
            json_object_set(to, key, v);
        }
    }
}

km_reply km_patch(km_call *c)
{
    if (strncmp(c->type, "application/merge-patch+json", 28))
        return km_no(c, 415, "UnsupportedMediaType",
                     "the body of the request was in an unknown format");
    json_error_t err;
    json_t *patch = json_loadb(c->body, c->n, 0, &err);
    if (!json_is_object(patch)) {
        json_decref(patch);
        return km_no(c, 400, "BadRequest", "the patch is not an object in JSON");
    }
    json_t *old = km_find(c->m, c->kind, c->ns, c->name);
    if (!old) {
        json_decref(patch);
        return km_no(c, 404, "NotFound", "%s \"%s\" not found", c->plural, c->name);
    }
    json_t *o = json_deep_copy(old);
    merge(o, patch);
    json_decref(patch);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    const char *body = c->body;
    size_t n = c->n;
    c->body = text;
    c->n = strlen(text);
    km_reply r = km_body_object(c);
    if (!r.status && strcmp(km_name(c->object), c->name))
        r = km_no(c, 400, "BadRequest", "the name of the object cannot be changed");
    if (!r.status && km_rv(c->object) != km_rv(old)) r = conflict(c, modified);
    if (!r.status) r = store_changed(c, old);
    c->body = body;
    c->n = n;
    free(text);
    return r;
}

/* --- delete --- */

/* Marks an object whose finalizers have to go first. */
static uint64_t mark(kube_model *m, km_kind *k, json_t *o)
{
    char now[32];
    km_time(m, now);
    json_t *copy = json_deep_copy(o), *meta = km_meta(copy);
    json_object_set_new(meta, "deletionTimestamp", json_string(now));
    if (!is_core(k, "namespaces"))
        json_object_set_new(meta, "deletionGracePeriodSeconds", json_integer(0));
    json_int_t g = json_integer_value(json_object_get(meta, "generation"));
    if (g > 0) json_object_set_new(meta, "generation", json_integer(g + 1));
    if (is_core(k, "namespaces"))
        json_object_set_new(json_object_get(copy, "status"), "phase", json_string("Terminating"));
    return km_commit(m, k, copy, false);
}

static bool held(const km_kind *k, const json_t *o)
{
    return json_array_size(json_object_get(km_meta(o), "finalizers")) || is_core(k, "namespaces");
}

/* DeleteOptions of the body: 0 in status when they fit. */
static km_reply preconditions(km_call *c, const json_t *o)
{
    if (!c->n) return (km_reply){0};
    json_error_t err;
    json_t *options = json_loadb(c->body, c->n, 0, &err);
    if (!json_is_object(options)) {
        json_decref(options);
        return km_no(c, 400, "BadRequest", "the body is no DeleteOptions");
    }
    const json_t *p = json_object_get(options, "preconditions");
    const char *uid = km_text(p, "uid"), *rv = km_text(p, "resourceVersion");
    km_reply r = {0};
    if (*uid && strcmp(uid, km_text(km_meta(o), "uid")))
        r = conflict(c, "Precondition failed: UID in precondition and in object meta differ");
    else if (*rv && strcmp(rv, km_text(km_meta(o), "resourceVersion")))
        r = conflict(c, "Precondition failed: ResourceVersion in precondition and in object meta "
                        "differ");
    json_decref(options);
    if (r.status && !is_core(c->kind, "namespaces"))
        json_object_set_new(json_object_get(r.body, "details"), "kind", json_string(c->kind->kind));
    return r;
}

km_reply km_delete(km_call *c)
{
    kube_model *m = c->m;
    km_kind *k = c->kind;
    json_t *o = km_find(m, k, c->ns, c->name);
    if (!o) return km_no(c, 404, "NotFound", "%s \"%s\" not found", c->plural, c->name);
    km_reply r = preconditions(c, o);
    if (r.status) return r;
    if (is_core(k, "namespaces") &&
        (!strcmp(c->name, "default") || !strcmp(c->name, "kube-system")))
        return km_no(c, 403, "Forbidden",
                     "namespaces \"%s\" is forbidden: this namespace may not "
                     "be deleted",
                     c->name);
    if (held(k, o)) {
        bool already = dying(o);
        uint64_t made = already ? 0 : mark(m, k, o);
        if (made && is_core(k, "namespaces") && m->config.namespace_ns)
            km_do_at(m, m->now_ns + m->config.namespace_ns, KM_NAMESPACE, NULL, km_dup(c->name));
        r = km_ok(200, json_incref(km_find(m, k, c->ns, c->name)));
        r.made = made;
        return r;
    }
    json_t *d = json_pack("{s:s, s:s, s:s}", "name", c->name, "kind", c->plural, "uid",
                          km_text(km_meta(o), "uid"));
    if (*c->group) json_object_set_new(d, "group", json_string(c->group));
    if (!strcmp(k->plural, "customresourcedefinitions")) km_definition_gone(m, o);
    uint64_t made = km_commit(m, k, json_deep_copy(o), true);
    r = km_ok(200, json_pack("{s:s, s:s, s:{}, s:s, s:o}", "kind", "Status", "apiVersion", "v1",
                             "metadata", "status", "Success", "details", d));
    r.made = made;
    return r;
}

static uint64_t delete_one(kube_model *m, km_kind *k, json_t *o)
{
    if (!held(k, o)) return km_commit(m, k, json_deep_copy(o), true);
    return dying(o) ? 0 : mark(m, k, o);
}

km_reply km_delete_all(km_call *c)
{
    const char *name, *ns;
    json_t *labels;
    km_reply r = km_selectors(c, &name, &ns, &labels);
    if (r.status) return r;
    km_list l;
    km_list_at(c->m, c->kind, c->ns, c->m->revision, &l);
    json_t *items = json_array();
    uint64_t made = 0;
    for (size_t i = 0; i < l.n; i++) {
        if ((*name && strcmp(name, km_name(l.at[i]))) || !km_selected(labels, l.at[i])) continue;
        json_array_append(items, l.at[i]);
        made = delete_one(c->m, c->kind, l.at[i]);
    }
    free(l.at);
    json_decref(labels);
    char kind[128], gv[160];
    snprintf(kind, sizeof kind, "%sList", c->kind->kind);
    snprintf(gv, sizeof gv, "%s%s%s", c->group, *c->group ? "/" : "", c->version);
    r = km_ok(200, json_pack("{s:s, s:s, s:{}, s:o}", "kind", kind, "apiVersion", gv, "metadata",
                             "items", items));
    r.made = made;
    return r;
}

bool km_namespace_empty(kube_model *m, const char *name)
{
    size_t left = 0;
    for (size_t i = 0; i < m->nkinds; i++) {
        km_kind *k = m->kinds[i];
        km_list l;
        if (k->gone || !k->namespaced) continue;
        km_list_at(m, k, name, m->revision, &l);
        for (size_t n = 0; n < l.n; n++) delete_one(m, k, l.at[n]);
        free(l.at);
        km_list_at(m, k, name, m->revision, &l);
        left += l.n;
        free(l.at);
    }
    km_kind *k = km_kind_of(m, "", "namespaces");
    json_t *o = km_find(m, k, "", name);
    if (!left && o) km_commit(m, k, json_deep_copy(o), true);
    return !left;
}
