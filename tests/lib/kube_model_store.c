/*
 * kube_model_store.c: the model's etcd: objects, one revision for all of them, history, compaction.
 * Trees are never changed once they are committed, so history, lists and answers share them.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"

void *km_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    qd_assert(p != NULL);
    return p;
}

char *km_dup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(km_alloc(n), s, n);
}

void *km_more(void *at, size_t *cap, size_t n, size_t size)
{
    if (n < *cap) return at;
    *cap = *cap ? *cap * 2 : 16;
    void *p = realloc(at, *cap * size);
    qd_assert(p != NULL);
    return p;
}

const char *km_text(const json_t *tree, const char *member)
{
    const char *s = json_string_value(json_object_get(tree, member));
    return s ? s : "";
}
json_t *km_meta(const json_t *object)
{
    return json_object_get(object, "metadata");
}
const char *km_ns(const json_t *object)
{
    return km_text(km_meta(object), "namespace");
}
const char *km_name(const json_t *object)
{
    return km_text(km_meta(object), "name");
}
uint64_t km_rv(const json_t *object)
{
    return strtoull(km_text(km_meta(object), "resourceVersion"), NULL, 10);
}

/* --- kinds --- */

km_kind *km_kind_of(kube_model *m, const char *group, const char *plural)
{
    for (size_t i = 0; i < m->nkinds; i++) {
        km_kind *k = m->kinds[i];
        if (!k->gone && !strcmp(k->group, group) && !strcmp(k->plural, plural)) return k;
    }
    return NULL;
}

km_kind *km_kind_add(kube_model *m, const km_kind *like)
{
    km_kind *k = km_kind_of(m, like->group, like->plural);
    if (k) {
        json_decref(k->schema);
        k->schema = like->schema;
        return k;
    }
    m->kinds = km_more(m->kinds, &m->kinds_cap, m->nkinds, sizeof *m->kinds);
    k = m->kinds[m->nkinds] = km_alloc(sizeof *k);
    *k = *like;
    k->order = m->nkinds++;
    k->group = km_dup(like->group);
    k->version = km_dup(like->version);
    k->plural = km_dup(like->plural);
    k->kind = km_dup(like->kind);
    k->cache_from = m->revision;
    return k;
}

/* --- objects, sorted by kind, namespace, name --- */

static int order(const km_kind *ka, const char *nsa, const char *a, const km_kind *kb,
                 const char *nsb, const char *b)
{
    if (ka->order != kb->order) return ka->order < kb->order ? -1 : 1;
    int c = strcmp(nsa, nsb);
    return c ? c : strcmp(a, b);
}

/* The place of an object, or where it would be. */
static size_t place(const kube_model *m, const km_kind *k, const char *ns, const char *name)
{
    size_t lo = 0, hi = m->nobjects;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const km_object *o = &m->objects[mid];
        if (order(o->kind, km_ns(o->value), km_name(o->value), k, ns, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

json_t *km_find(const kube_model *m, const km_kind *k, const char *ns, const char *name)
{
    size_t i = place(m, k, ns, name);
    if (i == m->nobjects) return NULL;
    const km_object *o = &m->objects[i];
    return order(o->kind, km_ns(o->value), km_name(o->value), k, ns, name) ? NULL : o->value;
}

/* Puts value (kept) in the place of an object; NULL takes it out. Its old value is given back. */
static json_t *swap(kube_model *m, km_kind *k, const char *ns, const char *name, json_t *value)
{
    size_t i = place(m, k, ns, name);
    json_t *old = km_find(m, k, ns, name);
    size_t behind = m->nobjects - i;
    if (old && value) {
        m->objects[i].value = value;
    } else if (old) {
        memmove(m->objects + i, m->objects + i + 1, (behind - 1) * sizeof *m->objects);
        m->nobjects--;
    } else if (value) {
        m->objects = km_more(m->objects, &m->objects_cap, m->nobjects, sizeof *m->objects);
        memmove(m->objects + i + 1, m->objects + i, behind * sizeof *m->objects);
        m->objects[i] = (km_object){.kind = k, .value = value};
        m->nobjects++;
    }
    return old;
}

/* --- history --- */

static void forget(kube_model *m, size_t n)
{
    km_watches_forget(m, n);
    for (size_t i = 0; i < n; i++) {
        m->compacted = m->history[i].revision;
        free(m->history[i].text);
        json_decref(m->history[i].after);
        json_decref(m->history[i].before);
    }
    m->nhistory -= n;
    memmove(m->history, m->history + n, m->nhistory * sizeof *m->history);
}

void km_compact_to(kube_model *m, uint64_t revision)
{
    size_t n = 0;
    while (n < m->nhistory && m->history[n].revision <= revision) n++;
    forget(m, n);
    if (revision > m->compacted && revision <= m->revision) m->compacted = revision;
}

uint64_t km_commit(kube_model *m, km_kind *k, json_t *value, bool deleted)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)++m->revision);
    json_object_set_new(km_meta(value), "resourceVersion", json_string(number));
    json_t *old = swap(m, k, km_ns(value), km_name(value), deleted ? NULL : json_incref(value));
    m->history = km_more(m->history, &m->history_cap, m->nhistory, sizeof *m->history);
    m->history[m->nhistory++] = (km_change){.revision = m->revision,
                                            .at_ns = m->now_ns,
                                            .kind = k,
                                            .after = value,
                                            .before = old,
                                            .deleted = deleted};
    if (m->config.history_max && m->nhistory > m->config.history_max) forget(m, m->nhistory / 4);
    km_watches_changed(m, k);
    return m->revision;
}

/* The first change above a revision. */
size_t km_history_above(const kube_model *m, uint64_t revision)
{
    size_t lo = 0, hi = m->nhistory;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->history[mid].revision <= revision)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

json_t *km_at(const kube_model *m, const km_kind *k, const char *ns, const char *name,
              uint64_t revision)
{
    for (size_t i = km_history_above(m, revision); i < m->nhistory; i++) {
        const km_change *c = &m->history[i];
        if (c->kind == k && !strcmp(km_name(c->after), name) && !strcmp(km_ns(c->after), ns))
            return c->before;
    }
    return km_find(m, k, ns, name);
}

/* One more object for a list, in its order. Newest changes are undone first. */
static void undo(km_list *l, const km_change *c)
{
    size_t i = 0;
    int cmp = -1;
    for (; i < l->n; i++) {
        cmp = strcmp(km_ns(l->at[i]), km_ns(c->after));
        if (!cmp) cmp = strcmp(km_name(l->at[i]), km_name(c->after));
        if (cmp >= 0) break;
    }
    bool there = i < l->n && cmp == 0;
    if (there && c->before) {
        l->at[i] = c->before;
    } else if (there) {
        memmove(l->at + i, l->at + i + 1, (--l->n - i) * sizeof *l->at);
    } else if (c->before) {
        l->at = km_more(l->at, &l->cap, l->n, sizeof *l->at);
        memmove(l->at + i + 1, l->at + i, (l->n++ - i) * sizeof *l->at);
        l->at[i] = c->before;
    }
}

void km_list_at(const kube_model *m, const km_kind *k, const char *ns, uint64_t revision,
                km_list *out)
{
    *out = (km_list){0};
    for (size_t i = place(m, k, ns, ""); i < m->nobjects && m->objects[i].kind == k; i++) {
        json_t *v = m->objects[i].value;
        if (*ns && strcmp(km_ns(v), ns)) break;
        out->at = km_more(out->at, &out->cap, out->n, sizeof *out->at);
        out->at[out->n++] = v;
    }
    size_t from = km_history_above(m, revision);
    for (size_t i = m->nhistory; i-- > from;) {
        const km_change *c = &m->history[i];
        if (c->kind == k && (!*ns || !strcmp(km_ns(c->after), ns))) undo(out, c);
    }
}

/* The newest revision that was there at a time: what a cache that is so far behind knows. */
uint64_t km_revision_at(const kube_model *m, uint64_t at_ns)
{
    for (size_t i = m->nhistory; i-- > 0;)
        if (m->history[i].at_ns <= at_ns) return m->history[i].revision;
    return m->compacted < m->revision && m->nhistory == 0 ? m->revision : m->compacted;
}

/* --- copies of everything, as an administrator keeps and restores them --- */

struct kube_model_backup {
    km_object *objects;
    size_t n;
    uint64_t revision;
};

kube_model_backup *kube_model_backup_make(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    kube_model_backup *b = km_alloc(sizeof *b);
    b->n = m->nobjects;
    b->revision = m->revision;
    b->objects = km_alloc(b->n * sizeof *b->objects);
    for (size_t i = 0; i < b->n; i++) {
        b->objects[i] = m->objects[i];
        json_incref(b->objects[i].value);
    }
    qd_mutex_unlock(&m->lock);
    return b;
}

void kube_model_restore(kube_model *m, const kube_model_backup *b, uint64_t down_ns)
{
    qd_mutex_lock(&m->lock);
    forget(m, m->nhistory);
    for (size_t i = 0; i < m->nobjects; i++) json_decref(m->objects[i].value);
    m->nobjects = 0;
    for (size_t i = 0; i < b->n; i++) {
        m->objects = km_more(m->objects, &m->objects_cap, m->nobjects, sizeof *m->objects);
        m->objects[m->nobjects] = b->objects[i];
        json_incref(m->objects[m->nobjects++].value);
    }
    m->revision = m->compacted = b->revision;
    km_restart(m, down_ns);
    qd_mutex_unlock(&m->lock);
}

void kube_model_backup_free(kube_model_backup *b)
{
    if (!b) return;
    for (size_t i = 0; i < b->n; i++) json_decref(b->objects[i].value);
    free(b->objects);
    free(b);
}

void km_store_fini(kube_model *m)
{
    forget(m, m->nhistory);
    for (size_t i = 0; i < m->nobjects; i++) json_decref(m->objects[i].value);
    for (size_t i = 0; i < m->nkinds; i++) {
        km_kind *k = m->kinds[i];
        json_decref(k->schema);
        free(k->group);
        free(k->version);
        free(k->plural);
        free(k->kind);
        free(k);
    }
    free(m->kinds);
    free(m->objects);
    free(m->history);
}
