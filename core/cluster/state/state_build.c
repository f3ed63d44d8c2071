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

void qd_state_changes_init(qd_state_changes *c)
{
    *c = (qd_state_changes){0};
    qd_map_init(&c->indices, NULL);
    qd_map_init(&c->mappings, NULL);
    qd_map_init(&c->buried, NULL);
}

void qd_state_changes_fini(qd_state_changes *c)
{
    qd_map_fini(&c->indices);
    qd_map_fini(&c->mappings);
    qd_map_fini(&c->buried);
}

/* Of which there are many: each is noted by what stands behind the prefix, up to the next slash. */
static bool add_one(qd_state_changes *c, qd_str key)
{
    const struct {
        qd_str prefix;
        qd_map *map;
    } many[] = {
        {{"shard/", 6}, &c->indices},
        {{"index/", 6}, &c->indices},
        {{"mapping/", 8}, &c->mappings},
        {{"graveyard/", 10}, &c->buried},
    };
    for (size_t i = 0; i < QD_COUNT_OF(many); i++) {
        if (!qd_str_starts(key, many[i].prefix)) continue;
        qd_str rest = qd_str_sub(key, many[i].prefix.n, key.n);
        if (qd_map_put(many[i].map, qd_str_split(&rest, '/'), c, NULL)) c->every = true;
        return true;
    }
    return false;
}

void qd_state_changes_add(qd_state_changes *c, qd_str key)
{
    static const struct {
        qd_str prefix;
        uint32_t parts;
    } whole[] = {
        {{"settings/", 9}, 1u << QD_STATE_SETTINGS},
        {{"node/", 5}, 1u << QD_STATE_NODES},
        {{"disk/", 5}, 1u << QD_STATE_NODES},
        {{"_election/", 10}, 1u << QD_STATE_NODES},
        {{"template/", 9}, 1u << QD_STATE_DOCUMENTS},
        {{"permit/", 7}, 1u << QD_STATE_DOCUMENTS},
        {{QD_STREAM_KEY, sizeof QD_STREAM_KEY - 1}, 1u << QD_STATE_DOCUMENTS},
        {{QD_LIFECYCLE_KEY, sizeof QD_LIFECYCLE_KEY - 1}, 1u << QD_STATE_DOCUMENTS},
        {{"pipeline/", 9}, 1u << QD_STATE_DOCUMENTS},
        {{"script/", 7}, 1u << QD_STATE_DOCUMENTS},
        {{"search_pipeline/", 16}, 1u << QD_STATE_DOCUMENTS},
        {{"enrich_policy/", 14}, 1u << QD_STATE_DOCUMENTS},
        {{"voting_exclusions", 17}, 1u << QD_STATE_DOCUMENTS},
    };
    if (add_one(c, key)) return;
    for (size_t i = 0; i < QD_COUNT_OF(whole); i++) {
        if (qd_str_starts(key, whole[i].prefix)) c->parts |= whole[i].parts;
    }
}

void qdi_state_share(state_building *b, int part)
{
    b->s->part[part] = b->old->part[part];
    atomic_fetch_add_explicit(&b->old->part[part]->refs, 1, memory_order_relaxed);
}

/* Can a part that is made as a whole be shared with the state before? Then it is. */
static bool shared(state_building *b, int part)
{
    if (!state_changes_known(b) || (b->changes->parts & 1u << part)) return false;
    qdi_state_share(b, part);
    return true;
}

qd_state_part *qdi_state_part_make(state_building *b, int part, qd_err *err)
{
    qd_state_part *p = qd_calloc(NULL, sizeof *p);
    if (!p) {
        (void)qd_err_nomem(err, "cluster state");
        return NULL;
    }
    atomic_store(&p->refs, 1);
    qd_arena_init(&p->arena, NULL, STATE_ARENA_MAX);
    for (size_t i = 0; i < QD_COUNT_OF(p->map); i++) qd_pmap_init(&p->map[i], NULL);
    return b->s->part[part] = p;
}

const qd_state_kv *qdi_state_key(const state_building *b, const char *prefix, qd_str rest)
{
    char name[600];
    int n = snprintf(name, sizeof name, "%s%.*s", prefix, QD_STR_ARG(rest));
    return n > 0 && (size_t)n < sizeof name ? qd_map_get(b->kv, (qd_str){name, (size_t)n}) : NULL;
}

static size_t keys_below(const state_building *b, qd_str prefix)
{
    size_t pos = 0, n = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(b->kv, &pos))) n += qd_str_starts(e->key, prefix);
    return n;
}

static int make_settings(state_building *b, const char *which, qd_settings **out,
                         uint64_t *revision, qd_err *err)
{
    const qd_state_kv *v = qdi_state_key(b, "settings/", qd_str_c(which));
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
static int read_disk(const state_building *b, qd_arena *scratch, qd_node_meta *out)
{
    qd_json_node *root;
    const qd_state_kv *disk = qdi_state_key(b, "disk/", out->id);
    int rc = disk ? qd_json_parse(scratch, disk->value, 8, &root, NULL) : QD_E_NOTFOUND;
    if (rc) return state_passes(rc) ? rc : 0;
    out->disk_total = bytes_of(root, "total");
    out->disk_free = bytes_of(root, "free");
    out->tier_spaces = member(root, "tiers", &b->s->part[QD_STATE_NODES]->arena);
    out->shard_sizes = member(root, "shards", &b->s->part[QD_STATE_NODES]->arena);
    return 0;
}

/* One node's record; 0, a passing code, or another: it is damaged and left out. */
static int read_node(const state_building *b, qd_str id, const qd_state_kv *kv, qd_node_meta *out)
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
            .tiers = member(root, "tiers", a),
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

static int make_nodes(state_building *b, qd_err *err)
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
    qd_state_part *p = qdi_state_part_make(b, QD_STATE_NODES, err);
    if (!p) return QD_E_NOMEM;
    size_t room = keys_below(b, prefix);
    qd_node_meta *nodes = qd_arena_calloc(&p->arena, (room + 1) * sizeof *nodes);
    if (!nodes) return qd_err_nomem(err, "cluster state");
    s->nodes = nodes;
    while ((e = qd_map_next(b->kv, &pos))) {
        if (!qd_str_starts(e->key, prefix)) continue;
        int rc = read_node(b, qd_str_sub(e->key, prefix.n, e->key.n), e->value, &nodes[s->nnodes]);
        if (state_passes(rc)) return qd_err_nomem(err, "cluster state");
        if (rc) {
            qd_log_error(LOG, "record [%.*s] cannot be used", QD_STR_ARG(e->key));
        } else {
            s->nnodes++;
        }
    }
    qsort(nodes, s->nnodes, sizeof *nodes, qdi_node_by_id);
    const qd_state_kv *master = qdi_state_key(b, "_election/", QD_STR("allocator"));
    if (master) {
        s->master_session = master->session;
        s->master = qd_arena_str(&p->arena, master->value);
        if (!s->master.p && master->value.n) return qd_err_nomem(err, "cluster state");
    }
    return 0;
}

static bool is_document(qd_str key)
{
    return qd_str_starts(key, QD_STR("template/")) || qd_str_starts(key, QD_STR("permit/")) ||
           qd_str_starts(key, QD_STR(QD_STREAM_KEY)) ||
           qd_str_starts(key, QD_STR(QD_LIFECYCLE_KEY)) ||
           qd_str_starts(key, QD_STR("pipeline/")) || qd_str_starts(key, QD_STR("script/")) ||
           qd_str_starts(key, QD_STR("search_pipeline/")) ||
           qd_str_starts(key, QD_STR("enrich_policy/")) ||
           qd_str_starts(key, QD_STR("voting_exclusions"));
}

static int make_documents(state_building *b, qd_err *err)
{
    qd_state *s = b->s;
    size_t pos = 0, room = 0;
    const qd_map_entry *e;
    if (shared(b, QD_STATE_DOCUMENTS)) {
        s->documents = b->old->documents;
        s->ndocuments = b->old->ndocuments;
        return 0;
    }
    qd_state_part *p = qdi_state_part_make(b, QD_STATE_DOCUMENTS, err);
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

/* One key of such a part, as it is now. */
static int put_revision(const state_building *b, qd_pmap *map, const char *prefix, qd_str rest)
{
    const qd_state_kv *kv = qdi_state_key(b, prefix, rest);
    return kv ? qd_pmap_put(map, rest, (void *)(uintptr_t)kv->mod_revision)
              : qd_pmap_del(map, rest);
}

/* A part of the keys below prefix with their revisions; changed: those that are not as in old. */
static int make_revisions(state_building *b, int part, const char *prefix, const qd_pmap *old,
                          const qd_map *changed, qd_pmap *out, qd_err *err)
{
    size_t pos = 0;
    const qd_map_entry *e;
    int rc = 0;
    bool known = state_changes_known(b);
    if (known && !changed->n) {
        qdi_state_share(b, part);
        *out = *old;
        return 0;
    }
    qd_state_part *p = qdi_state_part_make(b, part, err);
    if (!p) return QD_E_NOMEM;
    if (known) qd_pmap_copy(&p->map[0], old);
    while (!rc && (e = qd_map_next(known ? changed : b->kv, &pos))) {
        qd_str rest = e->key;
        if (!known && !qd_str_starts(e->key, qd_str_c(prefix))) continue;
        if (!known) rest = qd_str_sub(e->key, strlen(prefix), e->key.n);
        rc = put_revision(b, &p->map[0], prefix, rest);
    }
    *out = p->map[0];
    return rc ? qd_err_nomem(err, "cluster state") : 0;
}

static int make_both_settings(state_building *b, qd_err *err)
{
    qd_state *s = b->s;
    if (shared(b, QD_STATE_SETTINGS)) {
        s->persistent = b->old->persistent;
        s->transient = b->old->transient;
        s->persistent_revision = b->old->persistent_revision;
        s->transient_revision = b->old->transient_revision;
        return 0;
    }
    qd_state_part *p = qdi_state_part_make(b, QD_STATE_SETTINGS, err);
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
    state_building b = {kv, old, changes, plugins, s};
    if (!s) return qd_err_nomem(err, "cluster state");
    atomic_store(&s->refs, 1);
    s->revision = revision;
    const qd_state_kv *uuid = qdi_state_key(&b, "cluster/", QD_STR("uuid"));
    if (uuid && uuid->value.n == QD_UUID_TEXT - 1) memcpy(s->uuid, uuid->value.p, uuid->value.n);
    const qd_state_kv *features = qdi_state_key(&b, "features", (qd_str){NULL, 0});
    uint64_t level = 1;
    if (features) s->features_revision = features->mod_revision;
    /* what cannot be read is of a version to come */
    if (features && (!qd_str_u64(features->value, &level) || level > UINT32_MAX)) {
        level = UINT32_MAX;
    }
    s->features = (uint32_t)level;
    int rc = qdi_state_indices_make(&b, err);
    if (!rc) rc = make_both_settings(&b, err);
    if (!rc) rc = make_nodes(&b, err);
    if (!rc) rc = make_documents(&b, err);
    if (!rc) {
        rc = make_revisions(&b, QD_STATE_MAPPINGS, "mapping/", old ? &old->mappings : NULL,
                            changes ? &changes->mappings : NULL, &s->mappings, err);
    }
    if (!rc) {
        rc = make_revisions(&b, QD_STATE_BURIED, "graveyard/", old ? &old->buried : NULL,
                            changes ? &changes->buried : NULL, &s->buried, err);
    }
    if (rc) {
        qd_state_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}
