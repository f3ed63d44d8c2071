/*
 * kube_model_read.c: GET of one object and of a collection: from the store, from a cache that may
 * be behind, at an exact revision, in pages of one moment.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"
#include <inttypes.h>

/* A resourceVersion parameter: false: malformed. "" is none, as 0 with *given false. */
static bool version(const km_call *c, uint64_t *out, bool *given)
{
    const char *s = km_param(c, "resourceVersion");
    char *end;
    *given = *s != 0;
    *out = strtoull(s, &end, 10);
    return !*end && *s != '-';
}

static km_reply bad_version(const km_call *c)
{
    return km_no(c, 500, "", "resourceVersion: Invalid value: \"%s\"",
                 km_param(c, "resourceVersion"));
}

/* The cache has to be at least that new. */
static km_reply too_new(const km_call *c, uint64_t want)
{
    km_reply r =
        km_no(c, 504, "Timeout", "Too large resource version: %" PRIu64 ", current: %" PRIu64, want,
              c->cache);
    json_object_set_new(r.body, "details",
                        json_pack("{s:[{s:s, s:s}], s:i}", "causes", "reason",
                                  "ResourceVersionTooLarge", "message",
                                  "Too large resource version", "retryAfterSeconds", 1));
    r.retry_after_s = 1;
    r.wait = true;
    return r;
}

km_reply km_get(km_call *c)
{
    uint64_t rv;
    bool given;
    if (!version(c, &rv, &given)) return bad_version(c);
    if (given && rv > c->cache) return too_new(c, rv);
    json_t *o = given ? km_at(c->m, c->kind, c->ns, c->name, c->cache)
                      : km_find(c->m, c->kind, c->ns, c->name);
    if (!o) return km_no(c, 404, "NotFound", "%s \"%s\" not found", c->plural, c->name);
    return km_ok(200, json_incref(o));
}

/* --- selectors --- */

km_reply km_selectors(km_call *c, const char **name, const char **ns, json_t **labels)
{
    *name = *ns = "";
    *labels = km_selector(km_param(c, "labelSelector"));
    if (!*labels) return km_no(c, 400, "BadRequest", "unable to parse the labelSelector");
    for (char *s = (char *)km_param(c, "fieldSelector"); *s;) {
        char *comma = strchr(s, ','), *eq = strchr(s, '=');
        if (comma) *comma = 0;
        size_t n = eq ? (size_t)(eq - s) : 0;
        const char *value = eq ? eq + 1 + (eq[1] == '=') : "";
        if (n == 13 && !strncmp(s, "metadata.name", n)) {
            *name = value;
        } else if (n == 18 && !strncmp(s, "metadata.namespace", n)) {
            *ns = value;
        } else {
            json_decref(*labels);
            return km_no(c, 400, "BadRequest", "field label not supported: %s", s);
        }
        s = comma ? comma + 1 : s + strlen(s);
    }
    return (km_reply){0};
}

/* --- pages --- */

typedef struct page {
    uint64_t revision;
    char ns[256], name[256]; /* behind this one */
    bool go_on, cached;
    uint64_t limit;
} page;

/* A continue token says revision (0: whatever there is) and the last key, in hex. */
static json_t *token(uint64_t revision, const char *ns, const char *name)
{
    char plain[600], out[1220];
    snprintf(plain, sizeof plain, "%" PRIu64 "/%s/%s", revision, ns, name);
    size_t n = strlen(plain);
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", (unsigned char)plain[i]);
    return json_string(out);
}

static bool read_token(const char *s, page *p)
{
    char plain[600];
    size_t n = 0;
    for (; s[0] && s[1] && n + 1 < sizeof plain; s += 2) {
        unsigned v;
        if (sscanf(s, "%2x", &v) != 1) return false;
        plain[n++] = (char)v;
    }
    plain[n] = 0;
    char *end, *slash;
    p->revision = strtoull(plain, &end, 10);
    if (*s || *end != '/' || !(slash = strchr(end + 1, '/'))) return false;
    *slash = 0;
    snprintf(p->ns, sizeof p->ns, "%s", end + 1);
    snprintf(p->name, sizeof p->name, "%s", slash + 1);
    p->go_on = true;
    return true;
}

/* What the list shows: of which revision, from where on. */
static km_reply choose(km_call *c, page *p)
{
    kube_model *m = c->m;
    uint64_t rv;
    bool given;
    const char *match = km_param(c, "resourceVersionMatch");
    *p = (page){.revision = m->revision, .limit = strtoull(km_param(c, "limit"), NULL, 10)};
    if (!version(c, &rv, &given)) return bad_version(c);
    bool wanted = !strcmp(match, "Exact");
    if (*match && (!given || (wanted && !rv) || (!wanted && strcmp(match, "NotOlderThan")))) {
        km_reply r = km_invalid(c, "resourceVersionMatch", "FieldValueForbidden", "not here");
        json_t *d = json_object_get(r.body, "details");
        json_object_set_new(d, "group", json_string("meta.k8s.io"));
        json_object_set_new(d, "kind", json_string("ListOptions"));
        return r;
    }
    if (*km_param(c, "continue")) {
        if (rv > 0)
            return km_no(c, 400, "BadRequest",
                         "specifying resource version is not allowed when using continue");
        if (!read_token(km_param(c, "continue"), p))
            return km_no(c, 400, "BadRequest", "continue key is not valid");
        if (p->revision == 0) p->revision = m->revision;
        if (p->revision >= m->compacted && p->revision <= m->revision) return (km_reply){0};
        km_reply r = km_no(c, 410, "Expired",
                           "The provided continue parameter is too old to display a consistent "
                           "list result.");
        json_object_set_new(km_meta(r.body), "continue", token(0, p->ns, p->name));
        return r;
    }
    bool exact = wanted || (!*match && given && rv > 0 && p->limit);
    if (exact) {
        if (rv > m->revision)
            return km_no(c, 500, "", "etcdserver: mvcc: required revision is a future revision");
        if (rv < m->compacted)
            return km_no(c, 410, "Expired",
                         "The resourceVersion for the provided list is too old.");
        p->revision = rv;
    } else if (given) {
        if (rv > c->cache) return too_new(c, rv);
        p->revision = c->cache;
        p->cached = true;
        p->limit = 0; /* a cache does not page */
    }
    return (km_reply){0};
}

static int behind(const page *p, const json_t *o)
{
    int cmp = strcmp(km_ns(o), p->ns);
    return cmp ? cmp : strcmp(km_name(o), p->name);
}

/* 1: nothing but metadata of the objects is wanted. */
static bool bare(const km_call *c)
{
    return strstr(c->accept, "as=PartialObjectMetadataList") != NULL;
}

/* Items of builtin kinds do not say what they are. */
static json_t *item_of(const km_call *c, json_t *o)
{
    const km_kind *k = c->kind;
    if (bare(c))
        return json_pack("{s:s, s:s, s:O}", "kind", "PartialObjectMetadata", "apiVersion",
                         "meta.k8s.io/v1", "metadata", km_meta(o));
    if (k->custom) return json_incref(o);
    json_t *copy = json_copy(o);
    json_object_del(copy, "kind");
    json_object_del(copy, "apiVersion");
    return copy;
}

static json_t *gather(km_call *c, const page *p, const char *name, const char *ns,
                      const json_t *labels)
{
    km_list l;
    json_t *items = json_array();
    json_t *meta = json_pack("{s:o}", "resourceVersion", json_sprintf("%" PRIu64, p->revision));
    km_list_at(c->m, c->kind, c->ns, p->revision, &l);
    /* a cache has no order */
    for (size_t i = l.n; p->cached && i > 1; i--) {
        size_t k = km_below(c->m, i);
        json_t *o = l.at[i - 1];
        l.at[i - 1] = l.at[k];
        l.at[k] = o;
    }
    if (c->kind->custom && !bare(c)) json_object_set_new(meta, "continue", json_string(""));
    bool all = !bare(c) && !*name && !*ns && !json_array_size(labels);
    for (size_t i = 0; i < l.n; i++) {
        json_t *o = l.at[i];
        if ((p->go_on && behind(p, o) <= 0) || (*name && strcmp(name, km_name(o))) ||
            (*ns && strcmp(ns, km_ns(o))) || !km_selected(labels, o))
            continue;
        json_array_append_new(items, item_of(c, o));
        if (json_array_size(items) != p->limit || i + 1 == l.n) continue;
        json_object_set_new(meta, "continue", token(p->revision, km_ns(o), km_name(o)));
        if (all)
            json_object_set_new(meta, "remainingItemCount",
                                json_integer((json_int_t)(l.n - i - 1)));
        break;
    }
    free(l.at);
    char kind[128], gv[160];
    snprintf(kind, sizeof kind, "%sList", c->kind->kind);
    snprintf(gv, sizeof gv, "%s%s%s", c->group, *c->group ? "/" : "", c->version);
    return json_pack("{s:s, s:s, s:o, s:o}", "kind", bare(c) ? "PartialObjectMetadataList" : kind,
                     "apiVersion", bare(c) ? "meta.k8s.io/v1" : gv, "metadata", meta, "items",
                     items);
}

km_reply km_list_reply(km_call *c)
{
    const char *name, *ns;
    json_t *labels;
    page p;
    km_reply r = km_selectors(c, &name, &ns, &labels);
    if (r.status) return r;
    r = choose(c, &p);
    if (!r.status) r = km_ok(200, gather(c, &p, name, ns, labels));
    json_decref(labels);
    return r;
}
