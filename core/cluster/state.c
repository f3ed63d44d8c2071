/* state.c: snapshots of the cluster state from the keys of the store (docs/state.md). See state.h.
 */
#include "cluster/state.h"
#include "base/log.h"
#include "base/str.h"
#include "json/tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG "cluster"
#define STATE_ARENA_MAX ((size_t)1 << 30)

qd_state *qd_state_ref(const qd_state *s)
{
    qd_state *x = (qd_state *)(uintptr_t)s;
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void qd_state_unref(const qd_state *s)
{
    qd_state *x = (qd_state *)(uintptr_t)s;
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < x->n; i++) qd_index_meta_unref(x->indices[i]);
    qd_settings_unref(x->persistent);
    qd_settings_unref(x->transient);
    qd_map_fini(&x->names);
    qd_map_fini(&x->aliases);
    qd_map_fini(&x->mappings);
    qd_map_fini(&x->buried);
    qd_arena_fini(&x->arena);
    qd_free(x);
}

const qd_index_meta *qd_state_index(const qd_state *s, qd_str name)
{
    return qd_map_get(&s->names, name);
}

const qd_index_meta *qd_state_index_uuid(const qd_state *s, qd_str uuid)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (qd_str_is(uuid, s->indices[i]->uuid)) return s->indices[i];
    }
    return NULL;
}

const qd_shard_meta *qd_state_shards(const qd_state *s, const qd_index_meta *m)
{
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (qd_str_cmp(s->indices[mid]->name, m->name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < s->n && strcmp(s->indices[lo]->uuid, m->uuid) == 0 ? s->shards[lo] : NULL;
}

const qd_alias_group *qd_state_alias(const qd_state *s, qd_str name)
{
    return qd_map_get(&s->aliases, name);
}

/* --- building ------------------------------------------------------------------------------------
 */

typedef struct building {
    const qd_map *kv;
    const qd_state *old;
    qd_state *s;
} building;

static const qd_state_kv *key(const building *b, const char *prefix, qd_str rest)
{
    char name[600];
    int n = snprintf(name, sizeof name, "%s%.*s", prefix, QD_STR_ARG(rest));
    return n > 0 && (size_t)n < sizeof name ? qd_map_get(b->kv, (qd_str){name, (size_t)n}) : NULL;
}

/* A want of memory says nothing about a record: the whole state is built again later. */
static bool passes(int rc)
{
    return rc == QD_E_NOMEM || rc == QD_E_BREAKER;
}

/* The index of a record: the one of before if the record has not changed, NULL if it is damaged. */
static int make_index(const building *b, qd_str uuid, const qd_state_kv *record,
                      qd_index_meta **out, qd_err *err)
{
    const qd_index_meta *same = b->old ? qd_state_index_uuid(b->old, uuid) : NULL;
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
        const qd_state_kv *mapping = key(b, "mapping/", qd_str_c(hash));
        rc = mapping ? qd_index_meta_decode(record->value, mapping->value, out, &why)
                     : qd_err_set(&why, QD_E_CORRUPT, "mapping [%s] is missing", hash);
    }
    if (*out) (*out)->mod_revision = record->mod_revision;
    if (passes(rc)) {
        (void)qd_err_nomem(err, "cluster state");
    } else if (rc) {
        qd_log_error(LOG, "metadata of index [%.*s] cannot be used: %s", QD_STR_ARG(uuid),
                     qd_err_reason(&why));
        rc = 0;
    }
    qd_err_fini(&why);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const qd_index_meta *const *x = a, *const *y = b;
    return qd_str_cmp((*x)->name, (*y)->name);
}

static int make_indices(building *b, qd_err *err)
{
    static const qd_str prefix = {"index/", 6};
    qd_state *s = b->s;
    size_t pos = 0, room = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(b->kv, &pos))) room += qd_str_starts(e->key, prefix);
    s->indices = qd_arena_calloc(&s->arena, (room + 1) * sizeof *s->indices);
    s->shards = qd_arena_calloc(&s->arena, (room + 1) * sizeof *s->shards);
    if (!s->indices || !s->shards) return qd_err_nomem(err, "cluster state");
    pos = 0;
    while ((e = qd_map_next(b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        qd_index_meta *m;
        int rc = make_index(b, qd_str_sub(e->key, prefix.n, e->key.n), e->value, &m, err);
        if (rc) return rc;
        if (m) s->indices[s->n++] = m;
    }
    qsort(s->indices, s->n, sizeof *s->indices, by_name);
    for (uint32_t i = 0; i < s->n; i++) {
        if (qd_map_put(&s->names, s->indices[i]->name, s->indices[i], NULL)) {
            return qd_err_nomem(err, "cluster state");
        }
    }
    return 0;
}

static int make_shards(building *b, qd_err *err)
{
    qd_state *s = b->s;
    char name[64];
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_index_meta *m = s->indices[i];
        s->shards[i] = qd_arena_calloc(&s->arena, m->shards * sizeof **s->shards);
        if (!s->shards[i]) return qd_err_nomem(err, "cluster state");
        for (uint32_t k = 0; k < m->shards; k++) {
            int n = snprintf(name, sizeof name, "%s/%u", m->uuid, k);
            const qd_state_kv *record = key(b, "shard/", (qd_str){name, (size_t)n});
            if (!record) continue;
            qd_err why;
            qd_err_init(&why);
            int rc = qd_shard_meta_decode(record->value, &s->arena, &s->shards[i][k], &why);
            if (!rc) {
                s->shards[i][k].mod_revision = record->mod_revision;
            } else if (!passes(rc)) {
                qd_log_error(LOG, "record of shard [%.*s][%u] cannot be used: %s",
                             QD_STR_ARG(m->name), k, qd_err_reason(&why));
            }
            qd_err_fini(&why);
            if (passes(rc)) return qd_err_nomem(err, "cluster state");
        }
    }
    return 0;
}

/* Adds m to the group of one of its aliases. */
static int join_alias(qd_state *s, const qd_index_meta *m, const qd_alias *a, qd_err *err)
{
    qd_alias_group *g = qd_map_get(&s->aliases, a->name);
    if (!g) {
        g = qd_arena_calloc(&s->arena, sizeof *g);
        if (g) g->indices = qd_arena_alloc(&s->arena, s->n * sizeof *g->indices);
        if (!g || !g->indices || qd_map_put(&s->aliases, a->name, g, NULL)) {
            return qd_err_nomem(err, "cluster state");
        }
        g->name = a->name;
    }
    g->indices[g->n++] = m;
    g->is_hidden |= a->is_hidden;
    if (a->is_write_index == 1) g->write_index = m;
    return 0;
}

static int make_aliases(building *b, qd_err *err)
{
    qd_state *s = b->s;
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_index_meta *m = s->indices[i];
        for (uint32_t k = 0; k < m->naliases; k++) {
            int rc = join_alias(s, m, &m->aliases[k], err);
            if (rc) return rc;
        }
    }
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&s->aliases, &pos))) { /* a single index is written to by default */
        qd_alias_group *g = e->value;
        if (!g->write_index && g->n == 1 &&
            qd_index_meta_alias(g->indices[0], g->name)->is_write_index != 0) {
            g->write_index = g->indices[0];
        }
    }
    return 0;
}

static int make_settings(building *b, const char *which, qd_settings **out, uint64_t *revision,
                         qd_err *err)
{
    const qd_state_kv *v = key(b, "settings/", qd_str_c(which));
    *revision = v ? v->mod_revision : 0;
    int rc = qd_settings_new(NULL, out, err);
    if (!rc && v) {
        qd_json_reader r = QD_JSON_READER(NULL);
        qd_json_reader_init(&r, v->value, 0, 0);
        int ev = qd_json_next(&r);
        rc = ev < 0 ? qd_json_fail(&r, err)
             : ev == QD_JSON_OBJECT
                 ? qd_settings_put_json(*out, &r, (qd_str){NULL, 0}, err)
                 : qd_err_set(err, QD_E_CORRUPT, "[settings/%s] is no object", which);
        qd_json_reader_fini(&r);
    }
    return rc ? rc : qd_settings_seal(*out, err);
}

static qd_str member(const qd_json_node *root, const char *name, qd_arena *a)
{
    const qd_json_node *n = qd_json_get(root, name);
    return qd_arena_str(a, n && n->type == QD_JSON_T_STRING ? n->text : (qd_str){"", 0});
}

static int make_nodes(building *b, qd_err *err)
{
    static const qd_str prefix = {"node/", 5};
    qd_state *s = b->s;
    size_t pos = 0, room = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(b->kv, &pos))) room += qd_str_starts(e->key, prefix);
    qd_node_meta *nodes = qd_arena_calloc(&s->arena, (room + 1) * sizeof *nodes);
    if (!nodes) return qd_err_nomem(err, "cluster state");
    s->nodes = nodes;
    pos = 0;
    while ((e = qd_map_next(b->kv, &pos))) {
        qd_arena scratch;
        qd_json_node *root;
        if (!qd_str_starts(e->key, prefix)) continue;
        qd_arena_init(&scratch, NULL, (size_t)1 << 20);
        int rc = qd_json_parse(&scratch, ((qd_state_kv *)e->value)->value, 8, &root, NULL);
        if (!rc) {
            nodes[s->nnodes++] = (qd_node_meta){
                .id = qd_arena_str(&s->arena, qd_str_sub(e->key, prefix.n, e->key.n)),
                .name = member(root, "name", &s->arena),
                .host = member(root, "host", &s->arena),
                .transport_address = member(root, "transport_address", &s->arena),
                .http_address = member(root, "http_address", &s->arena),
                .roles = member(root, "roles", &s->arena),
                .version = member(root, "version", &s->arena),
            };
        }
        qd_arena_fini(&scratch);
        if (passes(rc)) return qd_err_nomem(err, "cluster state");
    }
    return 0;
}

uint64_t qd_state_mapping_revision(const qd_state *s, const char *hash)
{
    return (uint64_t)(uintptr_t)qd_map_get(&s->mappings, qd_str_c(hash));
}

bool qd_state_buried(const qd_state *s, qd_str uuid)
{
    return qd_map_get(&s->buried, uuid) != NULL;
}

static int by_key(const void *a, const void *b)
{
    const qd_state_document_record *x = a, *y = b;
    return qd_str_cmp(x->key, y->key);
}

static int make_documents(building *b, qd_err *err)
{
    static const qd_str prefix = {"template/", 9};
    qd_state *s = b->s;
    size_t pos = 0, room = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(b->kv, &pos))) room += qd_str_starts(e->key, prefix);
    if (!room) return 0;
    qd_state_document_record *list = qd_arena_calloc(&s->arena, room * sizeof *list);
    if (!list) return qd_err_nomem(err, "cluster state");
    pos = 0;
    while ((e = qd_map_next(b->kv, &pos))) {
        const qd_state_kv *kv = e->value;
        if (!qd_str_starts(e->key, prefix)) continue;
        qd_state_document_record *d = &list[s->ndocuments++];
        *d = (qd_state_document_record){qd_arena_str(&s->arena, e->key),
                                        qd_arena_str(&s->arena, kv->value), kv->mod_revision};
        if (!d->key.p || !d->value.p) return qd_err_nomem(err, "cluster state");
    }
    qsort(list, s->ndocuments, sizeof *list, by_key);
    s->documents = list;
    return 0;
}

const qd_state_document_record *qd_state_document(const qd_state *s, qd_str key)
{
    qd_state_document_record wanted = {.key = key};
    return s->ndocuments ? bsearch(&wanted, s->documents, s->ndocuments, sizeof wanted, by_key)
                         : NULL;
}

/* Keys below prefix with their revisions. */
static int make_revisions(building *b, qd_str prefix, qd_map *out, qd_err *err)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        uint64_t revision = ((qd_state_kv *)e->value)->mod_revision;
        if (qd_map_put(out, qd_str_sub(e->key, prefix.n, e->key.n), (void *)(uintptr_t)revision,
                       NULL)) {
            return qd_err_nomem(err, "cluster state");
        }
    }
    return 0;
}

int qd_state_build(const qd_map *kv, uint64_t revision, const qd_state *old, qd_state **out,
                   qd_err *err)
{
    qd_state *s = qd_calloc(NULL, sizeof *s);
    building b = {kv, old, s};
    if (!s) return qd_err_nomem(err, "cluster state");
    atomic_store(&s->refs, 1);
    qd_arena_init(&s->arena, NULL, STATE_ARENA_MAX);
    qd_map_init(&s->names, NULL);
    qd_map_init(&s->aliases, NULL);
    qd_map_init(&s->mappings, NULL);
    qd_map_init(&s->buried, NULL);
    s->revision = revision;
    const qd_state_kv *uuid = key(&b, "cluster/", QD_STR("uuid"));
    if (uuid && uuid->value.n == QD_UUID_TEXT - 1) memcpy(s->uuid, uuid->value.p, uuid->value.n);
    int rc = make_indices(&b, err);
    if (!rc) rc = make_shards(&b, err);
    if (!rc) rc = make_aliases(&b, err);
    if (!rc) rc = make_settings(&b, "persistent", &s->persistent, &s->persistent_revision, err);
    if (!rc) rc = make_settings(&b, "transient", &s->transient, &s->transient_revision, err);
    if (!rc) rc = make_nodes(&b, err);
    if (!rc) rc = make_documents(&b, err);
    if (!rc) rc = make_revisions(&b, QD_STR("mapping/"), &s->mappings, err);
    if (!rc) rc = make_revisions(&b, QD_STR("graveyard/"), &s->buried, err);
    if (rc) {
        qd_state_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}
