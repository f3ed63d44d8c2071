/*
 * state_indices.c: the indices of a snapshot and the records of their shards, made of those of the
 * snapshot before and what has changed since. Maps are persistent; the arrays by name are copied,
 * eight bytes an index. Nothing here looks at an index that has not changed, but where nothing is
 * known: then every record is compared by its revision.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/state/state_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG "cluster"
#define GROUP_ARENA_MAX ((size_t)1 << 30)

typedef struct remaking {
    state_building *b;
    state_edits edits;
    qd_pmap damaged; /* as they are now */
    bool metas;      /* metadata has changed, or what is damaged */
} remaking;

/* --- one index ---------------------------------------------------------------------------------
 */

/* The index of a record: the one of before if the record has not changed, NULL if it is damaged. */
static int make_index(const state_building *b, qd_str uuid, const qd_state_kv *record,
                      const qd_index_meta *same, qd_index_meta **out, qd_err *err)
{
    *out = NULL;
    if (same && same->mod_revision == record->mod_revision) {
        *out = qd_index_meta_ref(same);
        return 0;
    }
    char hash[65];
    qd_err why;
    qd_err_init(&why);
    int rc = qd_index_meta_peek(record->value, hash, &why);
    if (!rc) {
        const qd_state_kv *mapping = qdi_state_key(b, "mapping/", qd_str_c(hash));
        rc = mapping ? qd_index_meta_decode(record->value, mapping->value, b->plugins, out, &why)
                     : qd_err_set(&why, QD_E_CORRUPT, "mapping [%s] is missing", hash);
    }
    if (*out) (*out)->mod_revision = record->mod_revision;
    if (state_passes(rc)) {
        (void)qd_err_nomem(err, "cluster state");
    } else if (rc) {
        qd_log_error(LOG, "metadata of index [%.*s] cannot be used: %s", QD_STR_ARG(uuid),
                     qd_err_reason(&why));
        rc = 0;
    }
    qd_err_fini(&why);
    return rc;
}

static const qd_state_kv *shard_record(const state_building *b, const qd_index_meta *m,
                                       uint32_t number)
{
    char name[64];
    int n = snprintf(name, sizeof name, "%s/%u", m->uuid, number);
    return qdi_state_key(b, "shard/", (qd_str){name, (size_t)n});
}

/* The group of before, if none of its records has changed. */
static qd_state_group *same_group(const state_building *b, const qd_index_meta *m,
                                  qd_state_group *g)
{
    if (!g || g->n != m->shards || g->replicas != m->replicas) return NULL;
    for (uint32_t k = 0; k < g->n; k++) {
        const qd_state_kv *record = shard_record(b, m, k);
        if (g->at[k].mod_revision != (record ? record->mod_revision : 0)) return NULL;
    }
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

/* A record that names fewer copies than the index shall have: the rest is unassigned. */
static int fill_places(qd_state_group *g, qd_shard_meta *s)
{
    uint32_t places = 0,
             wanted = g->replicas < QD_COPIES_MAX / 2 ? g->replicas + 1 : QD_COPIES_MAX / 2;
    for (uint32_t i = 0; i < s->ncopies; i++) places += !qd_copy_is_target(&s->copies[i]);
    if (places >= wanted) return 0;
    qd_copy *copies = qd_arena_calloc(&g->arena, (s->ncopies + wanted - places) * sizeof *copies);
    if (!copies) return QD_E_NOMEM;
    memcpy(copies, s->copies, s->ncopies * sizeof *copies);
    for (; places < wanted; places++) {
        copies[s->ncopies++] =
            (qd_copy){.recovery = QD_RECOVERY_PEER, .reason = QD_UNASSIGNED_REPLICA_ADDED};
    }
    s->copies = copies;
    return 0;
}

static int make_group(const state_building *b, const qd_index_meta *m, qd_state_group **out,
                      qd_err *err)
{
    qd_state_group *g = qd_calloc(NULL, sizeof *g);
    if (!g) return qd_err_nomem(err, "cluster state");
    int rc = 0;
    atomic_store(&g->refs, 1);
    qd_arena_init_small(&g->arena, NULL, GROUP_ARENA_MAX);
    g->n = m->shards;
    g->replicas = m->replicas;
    g->at = qd_arena_calloc(&g->arena, m->shards * sizeof *g->at);
    if (!g->at) rc = QD_E_NOMEM;
    for (uint32_t k = 0; k < m->shards && !state_passes(rc); k++) {
        const qd_state_kv *record = shard_record(b, m, k);
        if (!record) continue;
        qd_err why;
        qd_err_init(&why);
        rc = qd_shard_meta_decode(record->value, &g->arena, &g->at[k], &why);
        if (!rc) rc = fill_places(g, &g->at[k]);
        g->at[k].mod_revision = record->mod_revision;
        if (rc && !state_passes(rc)) {
            qd_log_error(LOG, "record of shard [%.*s][%u] cannot be used: %s", QD_STR_ARG(m->name),
                         k, qd_err_reason(&why));
        }
        qd_err_fini(&why);
    }
    if (state_passes(rc)) {
        qdi_state_group_unref(g);
        return qd_err_nomem(err, "cluster state");
    }
    *out = g;
    return 0;
}

/* What an index is now; NULL: it is gone, or cannot be used. */
static int make_entry(remaking *r, qd_str uuid, const qd_state_entry *was, qd_state_entry **out,
                      qd_err *err)
{
    const qd_state_kv *record = qdi_state_key(r->b, "index/", uuid);
    qd_index_meta *m = NULL;
    *out = NULL;
    int rc = record ? make_index(r->b, uuid, record, was ? was->meta : NULL, &m, err) : 0;
    if (rc) return rc;
    bool damaged = record && !m;
    if (damaged != (qd_pmap_get(&r->damaged, uuid) != NULL)) {
        r->metas = true;
        rc = damaged ? qd_pmap_put(&r->damaged, uuid, r->b->s) : qd_pmap_del(&r->damaged, uuid);
    }
    if (rc || !m) {
        qd_index_meta_unref(m);
        return rc ? qd_err_nomem(err, "cluster state") : 0;
    }
    qd_state_entry *e = qd_alloc(NULL, sizeof *e);
    if (!e) {
        qd_index_meta_unref(m);
        return qd_err_nomem(err, "cluster state");
    }
    *e = (qd_state_entry){m, same_group(r->b, m, was ? was->group : NULL)};
    if (!e->group) rc = make_group(r->b, m, &e->group, err);
    if (rc) {
        qdi_state_entry_free(e);
    } else {
        *out = e;
    }
    return rc;
}

static int look_at(remaking *r, qd_str uuid, qd_err *err)
{
    const qd_state_entry *was = r->b->old ? qd_pmap_get(&r->b->old->uuids, uuid) : NULL;
    qd_state_entry *is;
    int rc = make_entry(r, uuid, was, &is, err);
    if (rc) return rc;
    bool same = was && is ? was->meta == is->meta && was->group == is->group : !was && !is;
    if (!same && qd_vec_push(&r->edits, NULL, ((state_edit){was, is}))) {
        same = true;
        rc = qd_err_nomem(err, "cluster state");
    }
    if (same) {
        qdi_state_entry_free(is);
    } else {
        r->metas |= !was || !is || was->meta != is->meta;
    }
    return rc;
}

/* --- which have changed ------------------------------------------------------------------------
 */

typedef struct looking {
    remaking *r;
    qd_err *err;
} looking;

static int look_again(void *arg, const qd_pmap_entry *e)
{
    const looking *l = arg;
    const qd_map *known = &l->r->b->changes->indices;
    return qd_map_get(known, qd_pmap_key(e)) ? 0 : look_at(l->r, qd_pmap_key(e), l->err);
}

/* Those that are known to have changed; a mapping may be what a damaged record lacked. */
static int look_at_changed(remaking *r, qd_err *err)
{
    const state_building *b = r->b;
    size_t pos = 0;
    const qd_map_entry *e;
    int rc = 0;
    while (!rc && (e = qd_map_next(&b->changes->indices, &pos))) rc = look_at(r, e->key, err);
    looking l = {r, err};
    if (!rc && b->changes->mappings.n) rc = qd_pmap_each(&b->old->damaged, look_again, &l);
    return rc;
}

static int look_at_all(remaking *r, qd_err *err)
{
    static const qd_str prefix = {"index/", 6};
    const qd_state *old = r->b->old;
    size_t pos = 0;
    const qd_map_entry *e;
    int rc = 0;
    r->metas = r->damaged.n > 0;
    qd_pmap_fini(&r->damaged);
    while (!rc && (e = qd_map_next(r->b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        rc = look_at(r, qd_str_sub(e->key, prefix.n, e->key.n), err);
    }
    for (uint32_t i = 0; old && i < old->n && !rc; i++) {
        qd_str uuid = qd_str_c(old->indices[i]->uuid);
        if (!qdi_state_key(r->b, "index/", uuid)) rc = look_at(r, uuid, err);
    }
    return rc;
}

/* --- the arrays by name ------------------------------------------------------------------------
 */

/* The first place in a list by name whose name is not below. */
static uint32_t lower_bound(qd_index_meta *const *at, uint32_t n, qd_str name)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (qd_str_cmp(at[mid]->name, name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

typedef struct step {
    qd_index_meta *m;
    bool adds; /* else it goes */
} step;

/* By name; what goes first. */
static int by_name(const void *a, const void *b)
{
    const step *x = a, *y = b;
    int c = qd_str_cmp(x->m->name, y->m->name);
    return c ? c : (int)x->adds - (int)y->adds;
}

/* The old list with the steps carried out; returns its length. */
static uint32_t merge(qd_index_meta *const *old, uint32_t n, const step *steps, size_t nsteps,
                      qd_index_meta **out)
{
    uint32_t from = 0, at = 0;
    for (size_t i = 0; i < nsteps; i++) {
        uint32_t to = lower_bound(old, n, steps[i].m->name);
        while (!steps[i].adds && to < n && old[to] != steps[i].m) to++;
        if (to > from) {
            memcpy(out + at, old + from, (to - from) * sizeof *out);
            at += to - from;
            from = to;
        }
        if (steps[i].adds) {
            out[at++] = steps[i].m;
        } else {
            from = to + 1;
        }
    }
    if (from < n) memcpy(out + at, old + from, (n - from) * sizeof *out);
    return from < n ? at + n - from : at;
}

static int put_names(qd_pmap *names, const step *steps, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        if (steps[i].adds) {
            rc = qd_pmap_put(names, steps[i].m->name, steps[i].m);
        } else if (qd_pmap_get(names, steps[i].m->name) == steps[i].m) {
            rc = qd_pmap_del(names, steps[i].m->name);
        }
    }
    return rc;
}

/* List and names of the part. */
static int arrange(remaking *r, qd_state_part *p)
{
    qd_state *s = r->b->s;
    const qd_state *old = r->b->old;
    uint32_t n = old ? old->n : 0;
    size_t nsteps = 0;
    step *steps = qd_alloc(NULL, (2 * r->edits.n + 1) * sizeof *steps);
    if (!steps) return QD_E_NOMEM;
    for (size_t i = 0; i < r->edits.n; i++) {
        const state_edit *e = &r->edits.at[i];
        if (e->was && e->is && e->was->meta == e->is->meta) continue;
        if (e->was) steps[nsteps++] = (step){e->was->meta, false};
        if (e->is) steps[nsteps++] = (step){e->is->meta, true};
    }
    qsort(steps, nsteps, sizeof *steps, by_name);
    s->indices = qd_arena_alloc(&p->arena, (n + r->edits.n + 1) * sizeof *s->indices);
    int rc = s->indices ? put_names(&p->map[STATE_NAMES], steps, nsteps) : QD_E_NOMEM;
    if (!rc) s->n = merge(old ? old->indices : NULL, n, steps, nsteps, s->indices);
    qd_free(steps);
    return rc;
}

/* The records of shards by index: where the lists of indices agree, those of before. */
static int arrange_shards(remaking *r, qd_state_part *p)
{
    qd_state *s = r->b->s;
    const qd_state *old = r->b->old;
    uint32_t k = 0, n = old ? old->n : 0;
    s->shards = qd_arena_alloc(&p->arena, (s->n + 1) * sizeof *s->shards);
    if (!s->shards) return QD_E_NOMEM;
    for (uint32_t i = 0; i < s->n; i++) {
        while (k < n && old->indices[k] != s->indices[i] &&
               qd_str_cmp(old->indices[k]->name, s->indices[i]->name) <= 0)
            k++;
        if (k < n && old->indices[k] == s->indices[i]) {
            s->shards[i] = old->shards[k++];
        } else {
            const qd_state_entry *e = qd_pmap_get(&s->uuids, qd_str_c(s->indices[i]->uuid));
            s->shards[i] = e->group->at;
        }
    }
    for (size_t i = 0; i < r->edits.n; i++) {
        const qd_state_entry *e = r->edits.at[i].is;
        if (!e) continue;
        uint32_t at = lower_bound(s->indices, s->n, e->meta->name);
        while (s->indices[at] != e->meta) at++;
        s->shards[at] = e->group->at;
    }
    return 0;
}

/* --- what is counted ---------------------------------------------------------------------------
 */

#define NOTHING ((uintptr_t)1 << 40) /* a difference of 0 */

/* Adds to the difference of a key. */
static int tally(qd_map *t, qd_str key, int64_t d)
{
    uintptr_t had = (uintptr_t)qd_map_get(t, key);
    return qd_map_put(t, key, (void *)((had ? had : NOTHING) + (uintptr_t)d), NULL);
}

/* Brings counts in line. */
static int tally_end(qd_map *t, qd_pmap *counts, int rc)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while (!rc && (e = qd_map_next(t, &pos))) {
        uintptr_t d = (uintptr_t)e->value - NOTHING;
        uintptr_t n = (uintptr_t)qd_pmap_get(counts, e->key) + d;
        if (d) rc = n ? qd_pmap_put(counts, e->key, (void *)n) : qd_pmap_del(counts, e->key);
    }
    qd_map_fini(t);
    return rc;
}

static bool wants_copies(const qd_index_meta *m)
{
    qd_str copies = qd_values_text(m->values, QD_IX_WAIT_FOR_ACTIVE);
    return !qd_str_is(copies, "1") && !qd_str_is(copies, "0");
}

static uint64_t open_copies(const qd_index_meta *m)
{
    return m->closed ? 0 : (uint64_t)m->shards * (m->replicas + 1ull);
}

static int count_indices(remaking *r, qd_pmap *uses)
{
    qd_state *s = r->b->s;
    qd_map t;
    int rc = 0;
    qd_map_init(&t, NULL);
    for (size_t i = 0; i < r->edits.n && !rc; i++) {
        const qd_index_meta *was = r->edits.at[i].was ? r->edits.at[i].was->meta : NULL;
        const qd_index_meta *is = r->edits.at[i].is ? r->edits.at[i].is->meta : NULL;
        if (was == is) continue;
        if (was) {
            s->nwanting -= wants_copies(was);
            s->open_copies -= open_copies(was);
            rc = tally(&t, qd_str_c(was->mapping_hash), -1);
        }
        if (is) {
            s->nwanting += wants_copies(is);
            s->open_copies += open_copies(is);
            if (!rc) rc = tally(&t, qd_str_c(is->mapping_hash), 1);
        }
    }
    return tally_end(&t, uses, rc);
}

/* Copies of a group's records, counted at their nodes; a moving one at its target. */
static int count_held(qd_map *t, const qd_state_group *g, int64_t d)
{
    int rc = 0;
    for (uint32_t k = 0; k < g->n && !rc; k++) {
        for (uint32_t i = 0; i < g->at[k].ncopies && !rc; i++) {
            const qd_copy *c = &g->at[k].copies[i];
            if (!qd_copy_is_assigned(c) || c->state == QD_SHARD_RELOCATING) continue;
            rc = tally(t, c->node, d);
        }
    }
    return rc;
}

static int count_copies(remaking *r, qd_pmap *held)
{
    qd_map t;
    int rc = 0;
    qd_map_init(&t, NULL);
    for (size_t i = 0; i < r->edits.n && !rc; i++) {
        const state_edit *e = &r->edits.at[i];
        if (e->was && e->is && e->was->group == e->is->group) continue;
        if (e->was) rc = count_held(&t, e->was->group, -1);
        if (!rc && e->is) rc = count_held(&t, e->is->group, 1);
    }
    return tally_end(&t, held, rc);
}

/* --- the parts ---------------------------------------------------------------------------------
 */

static void show(qd_state *s)
{
    const qd_pmap *m = s->part[QD_STATE_INDICES]->map;
    s->names = m[STATE_NAMES];
    s->aliases = m[STATE_ALIASES];
    s->uses = m[STATE_USES];
    s->damaged = m[STATE_DAMAGED];
    s->uuids = s->part[QD_STATE_SHARDS]->map[STATE_UUIDS];
    s->held = s->part[QD_STATE_SHARDS]->map[STATE_HELD];
}

/* A part that begins as it was in the state before. */
static qd_state_part *begin(remaking *r, int part, qd_err *err)
{
    qd_state_part *p = qdi_state_part_make(r->b, part, err);
    for (size_t i = 0; p && r->b->old && i < QD_COUNT_OF(p->map); i++)
        qd_pmap_copy(&p->map[i], &r->b->old->part[part]->map[i]);
    return p;
}

/* The entries go to the map, as far as it can be made. */
static int put_entries(remaking *r, qd_pmap *uuids)
{
    int rc = 0;
    uuids->drop = qdi_state_entry_free;
    for (size_t i = 0; i < r->edits.n && !rc; i++) {
        state_edit *e = &r->edits.at[i];
        const qd_index_meta *m = e->is ? e->is->meta : e->was->meta;
        rc = e->is ? qd_pmap_put(uuids, qd_str_c(m->uuid), e->is)
                   : qd_pmap_del(uuids, qd_str_c(m->uuid));
        if (rc) {
            for (; i < r->edits.n; i++) qdi_state_entry_free(r->edits.at[i].is);
            r->edits.n = 0;
        }
    }
    return rc;
}

static int make_parts(remaking *r, qd_err *err)
{
    qd_state *s = r->b->s;
    qd_state_part *shards = begin(r, QD_STATE_SHARDS, err);
    if (!shards) {
        for (size_t i = 0; i < r->edits.n; i++) qdi_state_entry_free(r->edits.at[i].is);
        return QD_E_NOMEM;
    }
    int rc = put_entries(r, &shards->map[STATE_UUIDS]);
    s->uuids = shards->map[STATE_UUIDS];
    if (!rc && r->metas) {
        qd_state_part *p = begin(r, QD_STATE_INDICES, err);
        rc = p ? arrange(r, p) : QD_E_NOMEM;
        if (!rc) rc = qdi_state_aliases_make(p, &s->uuids, &r->edits);
        if (!rc) rc = count_indices(r, &p->map[STATE_USES]);
        if (p) {
            qd_pmap_fini(&p->map[STATE_DAMAGED]);
            qd_pmap_copy(&p->map[STATE_DAMAGED], &r->damaged);
        }
    } else if (!rc) {
        qdi_state_share(r->b, QD_STATE_INDICES);
    }
    if (!rc) rc = arrange_shards(r, shards);
    if (!rc) rc = count_copies(r, &shards->map[STATE_HELD]);
    return rc ? qd_err_nomem(err, "cluster state") : 0;
}

int qdi_state_indices_make(state_building *b, qd_err *err)
{
    remaking r = {.b = b};
    qd_state *s = b->s;
    const qd_state *old = b->old;
    qd_pmap_init(&r.damaged, NULL);
    if (old) {
        s->indices = old->indices;
        s->shards = old->shards;
        s->n = old->n;
        s->open_copies = old->open_copies;
        s->nwanting = old->nwanting;
        qd_pmap_copy(&r.damaged, &old->damaged);
    }
    int rc = state_changes_known(b) ? look_at_changed(&r, err) : look_at_all(&r, err);
    r.metas |= !old;
    if (rc) {
        for (size_t i = 0; i < r.edits.n; i++) qdi_state_entry_free(r.edits.at[i].is);
    } else if (old && !r.edits.n && !r.metas) {
        qdi_state_share(b, QD_STATE_INDICES);
        qdi_state_share(b, QD_STATE_SHARDS);
        show(s);
    } else {
        rc = make_parts(&r, err);
        if (!rc) show(s);
    }
    qd_pmap_fini(&r.damaged);
    qd_vec_fini(&r.edits);
    return rc;
}
