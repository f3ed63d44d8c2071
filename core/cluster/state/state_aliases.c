/* state_aliases.c: the groups of aliases of a snapshot: those that a change touches are made anew.
 */
#include "base/map.h"
#include "base/str.h"
#include "cluster/state/state_int.h"
#include <stdlib.h>
#include <string.h>

typedef QD_VEC(const qd_index_meta *) members;

/* Indices that come to an alias, by its name; none: it only loses some. */
static int touch(qd_map *touched, qd_str name, const qd_index_meta *m)
{
    members *v = qd_map_get(touched, name);
    if (!v) {
        v = qd_calloc(NULL, sizeof *v);
        if (!v || qd_map_put(touched, name, v, NULL)) {
            qd_free(v);
            return QD_E_NOMEM;
        }
    }
    return m ? qd_vec_push(v, NULL, m) : 0;
}

static int touch_all(qd_map *touched, const state_edits *edits)
{
    int rc = 0;
    for (size_t i = 0; i < edits->n && !rc; i++) {
        const qd_index_meta *was = edits->at[i].was ? edits->at[i].was->meta : NULL;
        const qd_index_meta *is = edits->at[i].is ? edits->at[i].is->meta : NULL;
        if (was == is) continue;
        for (uint32_t k = 0; was && k < was->naliases && !rc; k++)
            rc = touch(touched, was->aliases[k].name, NULL);
        if (was && was->place.stream.n && !rc) rc = touch(touched, was->place.stream, NULL);
        for (uint32_t k = 0; is && k < is->naliases && !rc; k++)
            rc = touch(touched, is->aliases[k].name, is);
        if (is && is->place.stream.n && !rc) rc = touch(touched, is->place.stream, is);
    }
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const qd_index_meta *const *x = a, *const *y = b;
    return qd_str_cmp((*x)->name, (*y)->name);
}

static int by_order(const void *a, const void *b)
{
    const qd_index_meta *const *x = a, *const *y = b;
    int64_t n = (*x)->place.order, m = (*y)->place.order;
    return n != m ? (n > m) - (n < m) : by_name(a, b);
}

/* The group of a data stream: its indices in their order. */
static void complete_stream(qd_alias_group *g)
{
    g->is_stream = true;
    qsort(g->indices, g->n, sizeof *g->indices, by_order);
    if (!g->n) return;
    g->write_index = g->indices[g->n - 1];
    g->is_hidden = g->write_index->place.stream_hidden;
}

/* Does a write index of an alias take the place of another one? Of a data stream the newest index
 * is it. */
static bool is_newer(const qd_index_meta *m, const qd_index_meta *than)
{
    return !than || !m->place.stream.n || !qd_str_eq(m->place.stream, than->place.stream) ||
           m->place.order > than->place.order;
}

/* What the group says of itself, of its members by name. */
static void complete(qd_alias_group *g)
{
    if (g->n && qd_str_eq(g->indices[0]->place.stream, g->name)) {
        complete_stream(g);
        return;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        const qd_index_meta *m = g->indices[i];
        const qd_alias *a = qd_index_meta_alias(m, g->name);
        g->is_hidden |= a->is_hidden;
        if (a->is_write_index == 1 && is_newer(m, g->write_index)) g->write_index = m;
    }
    /* a single index is written to by default, a data stream is not */
    if (!g->write_index && g->n == 1 && !g->indices[0]->place.stream.n &&
        qd_index_meta_alias(g->indices[0], g->name)->is_write_index != 0) {
        g->write_index = g->indices[0];
    }
}

/* The group of an alias that has changed: those of before that are the same, and who comes. It is
 * one block with its list and its name. */
static int remake(qd_pmap *groups, const qd_pmap *by_uuid, qd_str name, const members *come)
{
    const qd_alias_group *had = qd_pmap_get(groups, name);
    size_t room = come->n + (had ? had->n : 0);
    qd_alias_group *g = qd_calloc(NULL, sizeof *g + room * sizeof *g->indices + name.n + 1);
    if (!g) return QD_E_NOMEM;
    g->indices = (const qd_index_meta **)(g + 1);
    char *text = (char *)(g->indices + room);
    memcpy(text, name.p, name.n);
    g->name = (qd_str){text, name.n};
    for (uint32_t i = 0; had && i < had->n; i++) {
        const qd_state_entry *e = qd_pmap_get(by_uuid, qd_str_c(had->indices[i]->uuid));
        if (e && e->meta == had->indices[i]) g->indices[g->n++] = had->indices[i];
    }
    for (size_t i = 0; i < come->n; i++) g->indices[g->n++] = come->at[i];
    qsort(g->indices, g->n, sizeof *g->indices, by_name);
    complete(g);
    int rc = g->n ? qd_pmap_put(groups, name, g) : qd_pmap_del(groups, name);
    if (rc || !g->n) qd_free(g);
    return rc;
}

int qdi_state_aliases_make(qd_state_part *p, const qd_pmap *by_uuid, const state_edits *edits)
{
    qd_map touched;
    size_t pos = 0;
    const qd_map_entry *e;
    p->map[STATE_ALIASES].drop = qd_free;
    qd_map_init(&touched, NULL);
    int rc = touch_all(&touched, edits);
    while ((e = qd_map_next(&touched, &pos))) {
        members *come = e->value;
        if (!rc) rc = remake(&p->map[STATE_ALIASES], by_uuid, e->key, come);
        qd_vec_fini(come);
        qd_free(come);
    }
    qd_map_fini(&touched);
    return rc;
}
