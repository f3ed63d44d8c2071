/* nested.c: searchers of nested documents. See nested.h. */
#include "search/nested.h"
#include "search/searcher_int.h"

struct qdi_nested_entry {
    struct qdi_nested_entry *next;
    qd_nested_view view;
};

void qdi_nested_free(struct qdi_nested_entry *e)
{
    while (e) {
        struct qdi_nested_entry *next = e->next;
        qd_searcher_unref(e->view.searcher);
        qd_free((char *)e->view.path.p);
        qd_free(e->view.leaf_of);
        qd_free(e->view.above);
        qd_free(e);
        e = next;
    }
}

static struct qdi_nested_entry *find(struct qdi_nested_entry *e, qd_str path)
{
    while (e && !qd_str_eq(e->view.path, path)) e = e->next;
    return e;
}

static int make_view(const qd_searcher *s, qd_str path, qd_account *account, qd_nested_view *v,
                     qd_err *err)
{
    uint32_t n = qd_searcher_leaves(s), k = 0;
    qd_segment **segments = qd_calloc(account, (n + (size_t)1) * sizeof *segments);
    v->path = (qd_str){qd_memdup(account, path.p, path.n), path.n};
    v->leaf_of = qd_calloc(account, (n + (size_t)1) * sizeof *v->leaf_of);
    v->above = qd_calloc(account, (n + (size_t)1) * sizeof *v->above);
    int rc = segments && v->path.p && v->leaf_of && v->above
                 ? 0
                 : qd_err_nomem(err, "searcher of nested documents");
    for (uint32_t i = 0; i < n && !rc; i++) {
        const qd_nested *t = qd_segment_nested(qd_searcher_leaf(s, i)->segment, path);
        v->leaf_of[i] = t ? k : QD_NO_LEAF;
        if (!t) continue;
        v->above[k] = i;
        segments[k++] = t->segment;
    }
    if (!rc) rc = qd_searcher_make(segments, NULL, k, account, &v->searcher, err);
    qd_free(segments);
    return rc;
}

static bool any_leaf_has(const qd_searcher *s, qd_str path)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++)
        if (qd_segment_nested(qd_searcher_leaf(s, i)->segment, path)) return true;
    return false;
}

int qd_searcher_nested(qd_searcher *s, qd_str path, const qd_nested_view **out, qd_err *err)
{
    qd_account *account;
    *out = NULL;
    if (!any_leaf_has(s, path)) return 0;
    struct qdi_nested_entry *first = qdi_searcher_nested(s, &account), *e = find(first, path);
    struct qdi_nested_entry *made = NULL;
    while (!e) {
        if (!made) {
            made = qd_calloc(account, sizeof *made);
            int rc = made ? make_view(s, path, account, &made->view, err)
                          : qd_err_nomem(err, "searcher of nested documents");
            if (rc) {
                qdi_nested_free(made);
                return rc;
            }
        }
        made->next = first;
        if (qdi_searcher_nested_put(s, first, made)) {
            e = made;
            made = NULL;
            break;
        }
        first = qdi_searcher_nested(s, &account);
        e = find(first, path);
    }
    if (made) {
        made->next = NULL;
        qdi_nested_free(made); /* another thread was faster */
    }
    *out = &e->view;
    return 0;
}

int qd_nested_children(const qd_nested_view *v, const qd_leaf *leaf, qd_reads *reads,
                       qd_children *out, qd_err *err)
{
    const qd_nested *n = qd_segment_nested(leaf->segment, v->path);
    uint32_t slot = 0;
    qd_assert(n);
    int rc = qd_children_plan(leaf->segment, n, reads, &slot, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    return rc ? rc : qd_children_open(out, leaf->segment, n, reads, slot, err);
}

int qd_nested_level_open(qd_searcher *s, const qd_str *paths, uint32_t n, qd_arena *arena,
                         qd_nested_level *out, bool *found, qd_err *err)
{
    const qd_nested_view **views = qd_arena_calloc(arena, (n + 1) * sizeof *views);
    if (!views) return qd_err_nomem(err, "nested documents");
    *found = true;
    int rc = 0;
    for (uint32_t i = 0; i < n && *found && !rc; i++) {
        rc = qd_searcher_nested(s, paths[i], &views[i], err);
        *found = !rc && views[i];
        if (*found) s = views[i]->searcher;
    }
    *out = (qd_nested_level){.views = views, .n = n};
    return rc;
}

static const qd_leaf *leaf_below(const qd_nested_view *v, const qd_leaf *leaf)
{
    uint32_t at = v->leaf_of[leaf->index];
    return at == QD_NO_LEAF ? NULL : qd_searcher_leaf(v->searcher, at);
}

const qd_leaf *qd_nested_level_leaf(const qd_nested_level *l, const qd_leaf *leaf)
{
    for (uint32_t i = 0; i < l->n && leaf; i++) leaf = leaf_below(l->views[i], leaf);
    return leaf;
}

/* --- counts ----------------------------------------------------------------------------------- */

int qd_nested_counts_make(qd_nested_counts *c, uint32_t n, qd_arena *arena, qd_err *err)
{
    *c = (qd_nested_counts){.children = qd_arena_calloc(arena, (n + 1) * sizeof *c->children),
                            .slots = qd_arena_calloc(arena, (n + 1) * sizeof *c->slots),
                            .n = n};
    return c->children && c->slots ? 0 : qd_err_nomem(err, "nested documents");
}

int qd_nested_counts_plan(qd_nested_counts *c, const qd_nested_level *l, const qd_leaf *leaf,
                          qd_reads *reads, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < l->n && !rc; i++) {
        const qd_nested *n = qd_segment_nested(leaf->segment, l->views[i]->path);
        rc = qd_children_plan(leaf->segment, n, reads, &c->slots[i], err);
        leaf = leaf_below(l->views[i], leaf);
    }
    return rc;
}

int qd_nested_counts_open(qd_nested_counts *c, const qd_nested_level *l, const qd_leaf *leaf,
                          const qd_reads *reads, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < l->n && !rc; i++) {
        const qd_nested *n = qd_segment_nested(leaf->segment, l->views[i]->path);
        rc = qd_children_open(&c->children[i], leaf->segment, n, reads, c->slots[i], err);
        leaf = leaf_below(l->views[i], leaf);
    }
    return rc;
}

int qd_nested_counts_read(qd_nested_counts *c, const qd_nested_level *l, const qd_leaf *leaf,
                          qd_reads *reads, qd_err *err)
{
    int rc = qd_nested_counts_plan(c, l, leaf, reads, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    return rc ? rc : qd_nested_counts_open(c, l, leaf, reads, err);
}

uint32_t qd_nested_first(const qd_nested_counts *c, uint32_t from, uint32_t doc)
{
    for (uint32_t i = from; i < c->n; i++) doc = qd_children_first(&c->children[i], doc);
    return doc;
}

uint32_t qd_nested_parent(const qd_nested_counts *c, uint32_t from, uint32_t doc)
{
    for (uint32_t i = c->n; i-- > from;) doc = qd_children_parent(&c->children[i], doc);
    return doc;
}

int qd_nested_level_origin(const qd_nested_level *l, const qd_searcher *s, uint32_t doc,
                           qd_arena *arena, qd_account *account, uint32_t *top, uint32_t *places,
                           qd_err *err)
{
    qd_reads *reads = qd_reads_make(arena, account);
    if (!reads) return qd_err_nomem(err, "nested documents");
    const qd_leaf *leaf = l->n ? qd_searcher_leaf_of(l->views[l->n - 1]->searcher, doc) : NULL;
    int rc = 0;
    if (leaf) doc -= leaf->base;
    for (uint32_t i = l->n; i-- > 0 && !rc;) {
        const qd_nested_view *v = l->views[i];
        qd_searcher *up = i ? l->views[i - 1]->searcher : (qd_searcher *)s;
        const qd_leaf *above = qd_searcher_leaf(up, v->above[leaf->index]);
        qd_children c;
        rc = qd_nested_children(v, above, reads, &c, err);
        if (rc) break;
        uint32_t parent = qd_children_parent(&c, doc);
        places[i] = doc - qd_children_first(&c, parent);
        doc = parent;
        leaf = above;
    }
    qd_reads_release(reads);
    *top = leaf ? leaf->base + doc : doc;
    return rc;
}
