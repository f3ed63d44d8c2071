/* state_build.c: snapshots of the cluster state from the keys of the store (docs/state.md). */
#include "base/log.h"
#include "base/str.h"
#include "cluster/state/state_int.h"
#include "json/tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG "cluster"
#define STATE_ARENA_MAX ((size_t)1 << 30)

enum { NAMES, UUIDS, ALIASES }; /* maps of the part of indices */

typedef struct building {
    const qd_map *kv;
    const qd_state *old;
    const qd_state_changes *changes; /* NULL: not known */
    const struct qd_plugin_host *plugins;
    qd_state *s;
} building;

void qd_state_changes_init(qd_state_changes *c)
{
    *c = (qd_state_changes){0};
    qd_map_init(&c->shards, NULL);
}

void qd_state_changes_fini(qd_state_changes *c)
{
    qd_map_fini(&c->shards);
}

void qd_state_changes_add(qd_state_changes *c, qd_str key)
{
    static const struct {
        qd_str prefix;
        uint32_t parts;
    } known[] = {
        {{"shard/", 6}, 1u << QD_STATE_SHARDS},
        {{"index/", 6}, 1u << QD_STATE_INDICES | 1u << QD_STATE_SHARDS},
        {{"mapping/", 8}, 1u << QD_STATE_MAPPINGS | 1u << QD_STATE_INDICES | 1u << QD_STATE_SHARDS},
        {{"settings/", 9}, 1u << QD_STATE_SETTINGS},
        {{"node/", 5}, 1u << QD_STATE_NODES},
        {{"disk/", 5}, 1u << QD_STATE_NODES},
        {{"_election/", 10}, 1u << QD_STATE_NODES},
        {{"template/", 9}, 1u << QD_STATE_DOCUMENTS},
        {{"permit/", 7}, 1u << QD_STATE_DOCUMENTS},
        {{"graveyard/", 10}, 1u << QD_STATE_BURIED},
    };
    for (size_t i = 0; i < QD_COUNT_OF(known); i++) {
        if (!qd_str_starts(key, known[i].prefix)) continue;
        c->parts |= known[i].parts;
        if (i > 0) return;
        qd_str rest = qd_str_sub(key, known[i].prefix.n, key.n);
        qd_str uuid = qd_str_split(&rest, '/');
        if (qd_map_put(&c->shards, uuid, c, NULL)) c->every = true;
        return;
    }
}

/* Can a part be shared with the state before? Then it is. */
static bool shared(building *b, int part)
{
    const qd_state *old = b->old;
    if (!old || !b->changes || b->changes->every || (b->changes->parts & 1u << part)) return false;
    b->s->part[part] = old->part[part];
    atomic_fetch_add_explicit(&old->part[part]->refs, 1, memory_order_relaxed);
    return true;
}

/* A part of its own; NULL: out of memory. */
static qd_state_part *make_part(building *b, int part, qd_err *err)
{
    qd_state_part *p = qd_calloc(NULL, sizeof *p);
    if (!p) {
        (void)qd_err_nomem(err, "cluster state");
        return NULL;
    }
    atomic_store(&p->refs, 1);
    qd_arena_init(&p->arena, NULL, STATE_ARENA_MAX);
    for (size_t i = 0; i < QD_COUNT_OF(p->map); i++) qd_map_init(&p->map[i], NULL);
    return b->s->part[part] = p;
}

static const qd_state_kv *key(const building *b, const char *prefix, qd_str rest)
{
    char name[600];
    int n = snprintf(name, sizeof name, "%s%.*s", prefix, QD_STR_ARG(rest));
    return n > 0 && (size_t)n < sizeof name ? qd_map_get(b->kv, (qd_str){name, (size_t)n}) : NULL;
}

static size_t keys_below(const building *b, qd_str prefix)
{
    size_t pos = 0, n = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(b->kv, &pos))) n += qd_str_starts(e->key, prefix);
    return n;
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
        rc = mapping ? qd_index_meta_decode(record->value, mapping->value, b->plugins, out, &why)
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

/* The group of an alias, made if there is none; counts its indices. */
static int count_alias(qd_state_part *p, const qd_alias *a, qd_err *err)
{
    qd_alias_group *g = qd_map_get(&p->map[ALIASES], a->name);
    if (!g) {
        g = qd_arena_calloc(&p->arena, sizeof *g);
        if (!g || qd_map_put(&p->map[ALIASES], a->name, g, NULL)) {
            return qd_err_nomem(err, "cluster state");
        }
        g->name = a->name;
    }
    g->n++;
    return 0;
}

/* Adds m to the group of one of its aliases. */
static int join_alias(qd_state_part *p, const qd_index_meta *m, const qd_alias *a, qd_err *err)
{
    qd_alias_group *g = qd_map_get(&p->map[ALIASES], a->name);
    if (!g->indices) {
        g->indices = qd_arena_alloc(&p->arena, g->n * sizeof *g->indices);
        if (!g->indices) return qd_err_nomem(err, "cluster state");
        g->n = 0;
    }
    g->indices[g->n++] = m;
    g->is_hidden |= a->is_hidden;
    if (a->is_write_index == 1) g->write_index = m;
    return 0;
}

static int make_aliases(qd_state_part *p, qd_err *err)
{
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < p->n; i++) {
            const qd_index_meta *m = p->indices[i];
            for (uint32_t k = 0; k < m->naliases; k++) {
                int rc = pass ? join_alias(p, m, &m->aliases[k], err)
                              : count_alias(p, &m->aliases[k], err);
                if (rc) return rc;
            }
        }
    }
    size_t pos = 0;
    const qd_map_entry *e;
    /* a single index is written to by default */
    while ((e = qd_map_next(&p->map[ALIASES], &pos))) {
        qd_alias_group *g = e->value;
        if (!g->write_index && g->n == 1 &&
            qd_index_meta_alias(g->indices[0], g->name)->is_write_index != 0) {
            g->write_index = g->indices[0];
        }
    }
    return 0;
}

static int make_indices(building *b, qd_err *err)
{
    static const qd_str prefix = {"index/", 6};
    qd_state *s = b->s;
    size_t pos = 0;
    const qd_map_entry *e;
    if (shared(b, QD_STATE_INDICES)) {
        s->indices = b->old->indices;
        s->n = b->old->n;
        s->names = b->old->names;
        s->uuids = b->old->uuids;
        s->aliases = b->old->aliases;
        s->wants_copies = b->old->wants_copies;
        return 0;
    }
    qd_state_part *p = make_part(b, QD_STATE_INDICES, err);
    if (!p) return QD_E_NOMEM;
    size_t room = keys_below(b, prefix);
    p->indices = qd_arena_calloc(&p->arena, (room + 1) * sizeof *p->indices);
    if (!p->indices) return qd_err_nomem(err, "cluster state");
    while ((e = qd_map_next(b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        qd_index_meta *m;
        int rc = make_index(b, qd_str_sub(e->key, prefix.n, e->key.n), e->value, &m, err);
        if (rc) return rc;
        if (m) p->indices[p->n++] = m;
    }
    qsort(p->indices, p->n, sizeof *p->indices, by_name);
    s->indices = p->indices;
    s->n = p->n;
    for (uint32_t i = 0; i < s->n; i++) {
        qd_str copies = qd_values_text(s->indices[i]->values, QD_IX_WAIT_FOR_ACTIVE);
        s->wants_copies |= !qd_str_is(copies, "1") && !qd_str_is(copies, "0");
        if (qd_map_put(&p->map[NAMES], s->indices[i]->name, s->indices[i], NULL) ||
            qd_map_put(&p->map[UUIDS], qd_str_c(s->indices[i]->uuid), s->indices[i], NULL)) {
            return qd_err_nomem(err, "cluster state");
        }
    }
    int rc = make_aliases(p, err);
    s->names = p->map[NAMES];
    s->uuids = p->map[UUIDS];
    s->aliases = p->map[ALIASES];
    return rc;
}

static const qd_state_kv *shard_record(const building *b, const qd_index_meta *m, uint32_t number)
{
    char name[64];
    int n = snprintf(name, sizeof name, "%s/%u", m->uuid, number);
    return key(b, "shard/", (qd_str){name, (size_t)n});
}

/* The group of before, if none of its records has changed. */
static qd_state_group *same_group(const building *b, const qd_index_meta *m)
{
    int64_t at = b->old ? qdi_state_place(b->old, m) : -1;
    qd_state_group *g = at < 0 ? NULL : b->old->groups[at];
    if (!g || g->n != m->shards || g->replicas != m->replicas) return NULL;
    bool known = b->changes && !b->changes->every;
    bool changed = !known || qd_map_get(&b->changes->shards, qd_str_c(m->uuid));
    for (uint32_t k = 0; changed && k < g->n; k++) {
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

static int make_group(const building *b, const qd_index_meta *m, qd_state_group **out, qd_err *err)
{
    qd_state_group *g = qd_calloc(NULL, sizeof *g);
    if (!g) return qd_err_nomem(err, "cluster state");
    int rc = 0;
    atomic_store(&g->refs, 1);
    qd_arena_init_small(&g->arena, NULL, STATE_ARENA_MAX);
    g->n = m->shards;
    g->replicas = m->replicas;
    g->at = qd_arena_calloc(&g->arena, m->shards * sizeof *g->at);
    if (!g->at) rc = QD_E_NOMEM;
    for (uint32_t k = 0; k < m->shards && !passes(rc); k++) {
        const qd_state_kv *record = shard_record(b, m, k);
        if (!record) continue;
        qd_err why;
        qd_err_init(&why);
        rc = qd_shard_meta_decode(record->value, &g->arena, &g->at[k], &why);
        if (!rc) rc = fill_places(g, &g->at[k]);
        g->at[k].mod_revision = record->mod_revision;
        if (rc && !passes(rc)) {
            qd_log_error(LOG, "record of shard [%.*s][%u] cannot be used: %s", QD_STR_ARG(m->name),
                         k, qd_err_reason(&why));
        }
        qd_err_fini(&why);
    }
    if (passes(rc)) {
        qdi_state_group_unref(g);
        return qd_err_nomem(err, "cluster state");
    }
    *out = g;
    return 0;
}

static int make_shards(building *b, qd_err *err)
{
    qd_state *s = b->s;
    if (shared(b, QD_STATE_SHARDS)) { /* then the indices are, too */
        s->groups = b->old->groups;
        s->shards = b->old->shards;
        return 0;
    }
    qd_state_part *p = make_part(b, QD_STATE_SHARDS, err);
    if (!p) return QD_E_NOMEM;
    s->shards = qd_arena_calloc(&p->arena, (s->n + 1) * sizeof *s->shards);
    s->groups = p->groups = qd_arena_calloc(&p->arena, (s->n + 1) * sizeof *s->groups);
    p->n = s->n;
    if (!s->shards || !s->groups) return qd_err_nomem(err, "cluster state");
    for (uint32_t i = 0; i < s->n; i++) {
        s->groups[i] = same_group(b, s->indices[i]);
        int rc = s->groups[i] ? 0 : make_group(b, s->indices[i], &s->groups[i], err);
        if (rc) return rc;
        s->shards[i] = s->groups[i]->at;
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

static int by_pair(const void *a, const void *b)
{
    const qd_pair *x = a, *y = b;
    return qd_str_cmp(x->key, y->key);
}

static int read_attributes(const qd_json_node *list, qd_arena *a, qd_node_meta *out)
{
    if (!list || list->type != QD_JSON_T_OBJECT || !list->n) return 0;
    qd_pair *pairs = qd_arena_calloc(a, list->n * sizeof *pairs);
    if (!pairs) return QD_E_NOMEM;
    for (const qd_json_node *n = list->first; n; n = n->next) {
        qd_pair *p = &pairs[out->nattributes++];
        p->key = qd_arena_str(a, n->key);
        p->value = qd_arena_str(a, n->type == QD_JSON_T_STRING ? n->text : (qd_str){"", 0});
        if (!p->key.p || !p->value.p) return QD_E_NOMEM;
    }
    qsort(pairs, out->nattributes, sizeof *pairs, by_pair);
    out->attributes = pairs;
    return 0;
}

static uint64_t bytes_of(const qd_json_node *root, const char *name)
{
    uint64_t v = 0;
    const qd_json_node *n = qd_json_get(root, name);
    return n && n->type == QD_JSON_T_NUMBER && qd_str_u64(n->text, &v) ? v : 0;
}

/* What a node told of its disk. */
static int read_disk(const building *b, qd_arena *scratch, qd_node_meta *out)
{
    qd_json_node *root;
    const qd_state_kv *disk = key(b, "disk/", out->id);
    int rc = disk ? qd_json_parse(scratch, disk->value, 8, &root, NULL) : QD_E_NOTFOUND;
    if (rc) return passes(rc) ? rc : 0;
    out->disk_total = bytes_of(root, "total");
    out->disk_free = bytes_of(root, "free");
    out->shard_sizes = member(root, "shards", &b->s->part[QD_STATE_NODES]->arena);
    return 0;
}

/* One node's record; 0, a passing code, or another: it is damaged and left out. */
static int read_node(const building *b, qd_str id, const qd_state_kv *kv, qd_node_meta *out)
{
    qd_arena scratch, *a = &b->s->part[QD_STATE_NODES]->arena;
    qd_json_node *root;
    qd_arena_init(&scratch, NULL, (size_t)1 << 20);
    int rc = qd_json_parse(&scratch, kv->value, 8, &root, NULL);
    if (!rc) {
        *out = (qd_node_meta){
            .id = qd_arena_str(a, id),
            .name = member(root, "name", a),
            .host = member(root, "host", a),
            .transport_address = member(root, "transport_address", a),
            .http_address = member(root, "http_address", a),
            .roles = member(root, "roles", a),
            .version = member(root, "version", a),
            .ephemeral = member(root, "ephemeral_id", a),
            .wants = member(root, "wants", a),
            .features = (uint32_t)bytes_of(root, "features"),
            .stores = (uint32_t)bytes_of(root, "stores"),
            .session = kv->session,
            .mod_revision = kv->mod_revision,
        };
        if (!out->id.p || !out->ephemeral.p) rc = QD_E_NOMEM;
        if (!rc) rc = read_attributes(qd_json_get(root, "attributes"), a, out);
        if (!rc) rc = read_disk(b, &scratch, out);
    }
    qd_arena_fini(&scratch);
    return rc;
}

static int make_nodes(building *b, qd_err *err)
{
    static const qd_str prefix = {"node/", 5};
    qd_state *s = b->s;
    size_t pos = 0;
    const qd_map_entry *e;
    if (shared(b, QD_STATE_NODES)) {
        s->nodes = b->old->nodes;
        s->nnodes = b->old->nnodes;
        s->master = b->old->master;
        s->master_session = b->old->master_session;
        return 0;
    }
    qd_state_part *p = make_part(b, QD_STATE_NODES, err);
    if (!p) return QD_E_NOMEM;
    size_t room = keys_below(b, prefix);
    qd_node_meta *nodes = qd_arena_calloc(&p->arena, (room + 1) * sizeof *nodes);
    if (!nodes) return qd_err_nomem(err, "cluster state");
    s->nodes = nodes;
    while ((e = qd_map_next(b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        int rc = read_node(b, qd_str_sub(e->key, prefix.n, e->key.n), e->value, &nodes[s->nnodes]);
        if (passes(rc)) return qd_err_nomem(err, "cluster state");
        if (rc) {
            qd_log_error(LOG, "record [%.*s] cannot be used", QD_STR_ARG(e->key));
        } else {
            s->nnodes++;
        }
    }
    qsort(nodes, s->nnodes, sizeof *nodes, qdi_node_by_id);
    const qd_state_kv *master = key(b, "_election/", QD_STR("allocator"));
    if (master) {
        s->master_session = master->session;
        s->master = qd_arena_str(&p->arena, master->value);
        if (!s->master.p && master->value.n) return qd_err_nomem(err, "cluster state");
    }
    return 0;
}

static bool is_document(qd_str key)
{
    return qd_str_starts(key, QD_STR("template/")) || qd_str_starts(key, QD_STR("permit/"));
}

static int make_documents(building *b, qd_err *err)
{
    qd_state *s = b->s;
    size_t pos = 0, room = 0;
    const qd_map_entry *e;
    if (shared(b, QD_STATE_DOCUMENTS)) {
        s->documents = b->old->documents;
        s->ndocuments = b->old->ndocuments;
        return 0;
    }
    qd_state_part *p = make_part(b, QD_STATE_DOCUMENTS, err);
    if (!p) return QD_E_NOMEM;
    while ((e = qd_map_next(b->kv, &pos))) room += is_document(e->key);
    if (!room) return 0;
    qd_state_document_record *list = qd_arena_calloc(&p->arena, room * sizeof *list);
    if (!list) return qd_err_nomem(err, "cluster state");
    pos = 0;
    while ((e = qd_map_next(b->kv, &pos))) {
        const qd_state_kv *kv = e->value;
        if (!is_document(e->key)) continue;
        qd_state_document_record *d = &list[s->ndocuments++];
        *d = (qd_state_document_record){qd_arena_str(&p->arena, e->key),
                                        qd_arena_str(&p->arena, kv->value), kv->mod_revision};
        if (!d->key.p || !d->value.p) return qd_err_nomem(err, "cluster state");
    }
    qsort(list, s->ndocuments, sizeof *list, qdi_document_by_key);
    s->documents = list;
    return 0;
}

/* A part of the keys below prefix with their revisions, or that of before: old. */
static int make_revisions(building *b, int part, qd_str prefix, const qd_map *old, qd_map *out,
                          qd_err *err)
{
    size_t pos = 0;
    const qd_map_entry *e;
    if (shared(b, part)) {
        *out = *old;
        return 0;
    }
    qd_state_part *p = make_part(b, part, err);
    if (!p) return QD_E_NOMEM;
    while ((e = qd_map_next(b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        uint64_t revision = ((qd_state_kv *)e->value)->mod_revision;
        if (qd_map_put(&p->map[0], qd_str_sub(e->key, prefix.n, e->key.n),
                       (void *)(uintptr_t)revision, NULL)) {
            return qd_err_nomem(err, "cluster state");
        }
    }
    *out = p->map[0];
    return 0;
}

static int make_both_settings(building *b, qd_err *err)
{
    qd_state *s = b->s;
    if (shared(b, QD_STATE_SETTINGS)) {
        s->persistent = b->old->persistent;
        s->transient = b->old->transient;
        s->persistent_revision = b->old->persistent_revision;
        s->transient_revision = b->old->transient_revision;
        return 0;
    }
    qd_state_part *p = make_part(b, QD_STATE_SETTINGS, err);
    if (!p) return QD_E_NOMEM;
    int rc = make_settings(b, "persistent", &p->settings[0], &s->persistent_revision, err);
    if (!rc) rc = make_settings(b, "transient", &p->settings[1], &s->transient_revision, err);
    s->persistent = p->settings[0];
    s->transient = p->settings[1];
    return rc;
}

int qd_state_build(const qd_map *kv, uint64_t revision, const qd_state *old,
                   const qd_state_changes *changes, const struct qd_plugin_host *plugins,
                   qd_state **out, qd_err *err)
{
    qd_state *s = qd_calloc(NULL, sizeof *s);
    building b = {kv, old, changes, plugins, s};
    if (!s) return qd_err_nomem(err, "cluster state");
    atomic_store(&s->refs, 1);
    s->revision = revision;
    const qd_state_kv *uuid = key(&b, "cluster/", QD_STR("uuid"));
    if (uuid && uuid->value.n == QD_UUID_TEXT - 1) memcpy(s->uuid, uuid->value.p, uuid->value.n);
    const qd_state_kv *features = key(&b, "features", (qd_str){NULL, 0});
    uint64_t level = 1;
    if (features) s->features_revision = features->mod_revision;
    /* what cannot be read is of a version to come */
    if (features && (!qd_str_u64(features->value, &level) || level > UINT32_MAX)) {
        level = UINT32_MAX;
    }
    s->features = (uint32_t)level;
    int rc = make_indices(&b, err);
    if (!rc) rc = make_shards(&b, err);
    if (!rc) rc = make_both_settings(&b, err);
    if (!rc) rc = make_nodes(&b, err);
    if (!rc) rc = make_documents(&b, err);
    if (!rc) {
        rc = make_revisions(&b, QD_STATE_MAPPINGS, QD_STR("mapping/"), old ? &old->mappings : NULL,
                            &s->mappings, err);
    }
    if (!rc) {
        rc = make_revisions(&b, QD_STATE_BURIED, QD_STR("graveyard/"), old ? &old->buried : NULL,
                            &s->buried, err);
    }
    if (rc) {
        qd_state_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}
