/*
 * cluster_change.c: changes of the cluster state, each one transaction built from a snapshot and
 * tried again from a newer one when a record has changed meanwhile.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/allocation/alloc_view.h"
#include "cluster/cluster_int.h"
#include "cluster/index_formats_int.h"
#include "cluster/index_rules.h"
#include "config/config.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

#define RECORD_MAX ((size_t)16 << 20)

int qdi_change(qd_cluster *c, qdi_change_fn fn, void *arg, qd_state **out, qd_err *err)
{
    int rc = 0;
    bool again = false;
    atomic_fetch_add(&c->pending, 1);
    for (int attempt = 0; attempt < CLUSTER_ATTEMPTS; attempt++) {
        cluster_txn t;
        uint64_t revision = 0;
        qd_state *s = qd_cluster_state(c);
        qdi_txn_init(&t);
        rc = fn(c, arg, s, &t, err);
        bool commit = rc == QDI_CHANGE_COMMIT, writes = t.changes.n > 0;
        if (commit) rc = qdi_txn_commit(c, &t, &revision, err);
        qdi_txn_fini(&t);
        qd_state_unref(s);
        bool conflict = commit && rc == QD_E_CONFLICT;
        if (rc == QDI_CHANGE_NOTHING) rc = 0;
        /* after a conflict too: the next attempt needs the state that somebody else made */
        if (commit && ((!rc && writes) || conflict))
            rc = qd_cluster_wait(c, revision, qdi_cluster_patience_ms(c), err);
        again = !rc && conflict;
        if (!again) break;
    }
    if (again) {
        rc =
            qd_err_set(err, QD_E_CONFLICT,
                       "the cluster state changed %d times meanwhile, giving up", CLUSTER_ATTEMPTS);
    }
    if (!rc && out) *out = qd_cluster_state(c);
    atomic_fetch_sub(&c->pending, 1);
    return rc;
}

/* --- records
 * ---------------------------------------------------------------------------------------- */

qd_str qdi_index_key(cluster_txn *t, const char *uuid)
{
    return qdi_txn_key(t, "index/%s", uuid);
}

qd_str qdi_name_key(cluster_txn *t, qd_str name)
{
    return qdi_txn_key(t, "name/%.*s", QD_STR_ARG(name));
}

static void put_index(cluster_txn *t, const qd_index_meta *m)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_index_meta_encode(m, &w);
    qdi_txn_put(t, qdi_index_key(t, m->uuid), qdi_txn_value(t, &b), 0);
}

/*
 * Mappings are stored once for each content. A new one is put always; an old one goes when no other
 * index of the snapshot uses it and nobody has put it again since.
 */
static void put_mapping(cluster_txn *t, const qd_index_meta *m)
{
    qdi_txn_put(t, qdi_txn_key(t, "mapping/%s", m->mapping_hash), qd_mapping_json(m->mapping), 0);
}

void qdi_delete_mapping(cluster_txn *t, const qd_state *s, const qd_index_meta *m)
{
    qd_str key = qdi_txn_key(t, "mapping/%s", m->mapping_hash);
    qdi_txn_at(t, key, qd_state_mapping_revision(s, m->mapping_hash));
    qdi_txn_delete(t, key);
}

static void drop_mapping(cluster_txn *t, const qd_state *s, const qd_index_meta *m)
{
    if (!qd_state_mapping_used(s, m->mapping_hash, m)) qdi_delete_mapping(t, s, m);
}

qd_str qdi_allocation_id(qd_cluster *c, cluster_txn *t)
{
    uint8_t random[16];
    char text[QD_UUID_TEXT];
    qd_env_random(c->env, random, sizeof random);
    qd_uuid_text(random, text);
    return qd_arena_str(&t->arena, qd_str_c(text));
}

static int gone(qd_str uuid, qd_err *err)
{
    return qd_err_set(err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]", QD_STR_ARG(uuid));
}

/* A new version of m: src starts as a copy of it. */
qd_index_source qdi_source_of(const qd_cluster *c, const qd_index_meta *m)
{
    return (qd_index_source){
        .uuid = m->uuid,
        .name = m->name,
        .created_ms = m->created_ms,
        .closed = m->closed,
        .settings = m->settings,
        .mapping = qd_mapping_json(m->mapping),
        .aliases = m->aliases,
        .naliases = m->naliases,
        .version = m->version + 1,
        .mapping_version = m->mapping_version,
        .settings_version = m->settings_version,
        .aliases_version = m->aliases_version,
        .place = m->place,
        .analyzers = m->analyzers, /* whoever leaves their settings alone needs no plugin for it */
        .plugins = c->plugins,
    };
}

/* --- creating an index
 * ------------------------------------------------------------------------------- */

static int name_free(const qd_state *s, const qd_index_creation *a, qd_err *err)
{
    const qd_index_meta *m = qd_state_index(s, a->name);
    if (m) {
        int rc = qd_err_set(err, QD_E_INDEX_EXISTS, "index [%.*s/%s] already exists",
                            QD_STR_ARG(a->name), m->uuid);
        qd_err_detail_str(err, "index_uuid", qd_str_c(m->uuid));
        qd_err_detail_str(err, "index", a->name);
        return rc;
    }
    const qd_alias_group *same = qd_state_alias(s, a->name);
    if (same) {
        int rc = qd_err_set(err, QD_E_INVALID_INDEX_NAME,
                            "Invalid index name [%.*s], already exists as %s", QD_STR_ARG(a->name),
                            same->is_stream ? "data stream" : "alias");
        qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
        qd_err_detail_str(err, "index", a->name);
        return rc;
    }
    for (uint32_t i = 0; i < a->naliases; i++) {
        int rc = qd_alias_name_check(a->aliases[i].name, err);
        if (rc) return rc;
        if (qd_state_index(s, a->aliases[i].name) || qd_state_stream(s, a->aliases[i].name) ||
            qd_str_eq(a->aliases[i].name, a->name)) {
            return qd_err_set(err, QD_E_INVALID_ALIAS,
                              "Invalid alias name [%.*s]: an index or data stream exists with the "
                              "same name as the alias",
                              QD_STR_ARG(a->aliases[i].name));
        }
    }
    return 0;
}

/* Puts the primaries of a new index where the allocation wants them, in the transaction that makes
 * it; those that have no place (yet) are left to the allocator. */
static int put_fresh_shards(qd_cluster *c, const qd_state *s, const qd_index_meta *m,
                            const char *source, cluster_txn *t, qd_err *err)
{
    qd_alloc_facts facts = {.now_ms = m->created_ms,
                            .values = c->config ? qd_config_values(c->config) : NULL};
    qd_alloc_view view;
    qd_alloc_result r;
    const qd_node_meta **at = qd_arena_calloc(&t->arena, (m->shards + 1) * sizeof *at);
    uint64_t *terms = qd_arena_calloc(&t->arena, (m->shards + 1) * sizeof *terms);
    if (!at || !terms) return qd_err_nomem(err, "allocation");
    int rc = qd_alloc_view_new(s, &facts, m, &t->arena, &view, err);
    if (!rc) rc = qd_allocation_round(&view, &t->arena, &r, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < r.n; i++) {
        const qd_alloc_decision *d = &r.decisions[i];
        if (d->action != QD_ALLOC_ASSIGN_PRIMARY || d->node >= s->nnodes) continue;
        at[d->shard] = &s->nodes[d->node];
    }
    if (source && (rc = qdi_resize_places(s, source, m, t, at, terms, err))) return rc;
    for (uint32_t i = 0; i < m->shards; i++) {
        qd_shard_edit e;
        /* the first state of a node that is alone may not show it yet */
        const qd_node_meta *node = at[i] || s->nnodes || !c->data ? at[i] : &c->self;
        int made = qd_shard_edit_new(&e, &t->arena, m->replicas, m->created_ms);
        e.s.primary_term = terms[i]; /* of documents that it begins with */
        if (!made && node) {
            qd_shard_place p = {qdi_allocation_id(c, t), node->id, node->ephemeral};
            made = qd_shard_edit_assign_primary(&e, &p, QD_FORCE_NONE);
        }
        if (made) t->failed = QD_E_NOMEM;
        qdi_txn_put_shard(t, m->uuid, i, &e);
    }
    return 0;
}

int qdi_create_index(qd_cluster *c, const qd_index_creation *a, const qd_index_place *place,
                     const qd_state *s, cluster_txn *t, qd_err *err)
{
    uint8_t random[16];
    char uuid[QD_UUID_TEXT];
    qd_index_meta *m;
    int rc = name_free(s, a, err);
    if (rc) return rc;
    qd_env_random(c->env, random, sizeof random);
    qd_uuid_text(random, uuid);
    qd_index_source src = {
        .uuid = uuid,
        .name = a->name,
        .created_ms = qd_env_wall_ms(c->env),
        .settings = a->settings,
        .mapping = a->mapping,
        .aliases = a->aliases,
        .naliases = a->naliases,
        .version = 1,
        .mapping_version = 1,
        .settings_version = 1,
        .aliases_version = 1,
        .plugins = c->plugins,
        .place = *place,
    };
    if ((rc = qd_index_expand(s, a->settings, &src.settings, err))) return rc;
    rc = qd_index_meta_make(&src, &m, err);
    if (!rc && !a->resizes && (rc = qdi_index_mode_apply(s, &src, &m, err))) qd_index_meta_unref(m);
    qd_settings_unref(src.settings);
    if (rc) return rc;
    rc = qdi_check_analysis(s, m->mapping, err);
    if (!rc) rc = qdi_check_formats(s, NULL, m->mapping, err);
    if (!rc) rc = qdi_graphs_by_default(s, NULL, m->values, &m->mapping, err);
    if (!rc) qd_sha256_hex(qd_mapping_json(m->mapping), m->mapping_hash);
    if (!rc) rc = qdi_check_tier(s, m, err);
    if (!rc) rc = qdi_check_settings(s, m, err);
    if (!rc) rc = qdi_check_mode(s, m, err);
    if (!rc) rc = qd_index_rules_check(m->values, m->replicas, err);
    if (!rc && c->config) {
        rc = qd_cluster_shards_check(s, qd_config_values(c->config),
                                     (uint64_t)m->shards * (m->replicas + 1ull), err);
    }
    if (rc) {
        qd_index_meta_unref(m);
        return rc;
    }
    qdi_txn_exists(t, qdi_name_key(t, a->name), false);
    qdi_txn_put(t, qdi_name_key(t, a->name), qd_arena_str(&t->arena, qd_str_c(uuid)), 0);
    put_mapping(t, m);
    /* the mapping's text belongs to m: keep a copy until the commit */
    qd_coord_change *last = &t->changes.at[t->changes.n - 1];
    last->value = qd_arena_str(&t->arena, last->value);
    put_index(t, m);
    rc = put_fresh_shards(c, s, m, a->resizes, t, err);
    qd_index_meta_unref(m);
    return rc;
}

int qd_cluster_create_index(qd_cluster *c, qd_str name, qd_settings *settings, qd_str mapping,
                            const qd_alias *aliases, uint32_t naliases, qd_state **out, qd_err *err)
{
    qd_index_creation a = {.name = name,
                           .settings = settings,
                           .mapping = mapping,
                           .aliases = aliases,
                           .naliases = naliases};
    return qd_cluster_create(c, &a, out, err);
}

typedef struct import_args {
    const qd_index_meta *m;
    const uint64_t *terms;
} import_args;

/* What was a data stream's is an index by itself: the stream may be gone, or another one. */
static int put_imported(const qd_cluster *c, const qd_index_meta *m, cluster_txn *t, qd_err *err)
{
    qd_index_meta *alone;
    if (!m->place.stream.n) {
        put_index(t, m);
        return 0;
    }
    qd_index_source src = qdi_source_of(c, m);
    src.place = (qd_index_place){0};
    src.ready = m->mapping;
    int rc = qd_index_meta_make(&src, &alone, err);
    if (rc) return rc;
    put_index(t, alone);
    qd_index_meta_unref(alone);
    return 0;
}

static int import_index(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const import_args *a = arg;
    const qd_index_meta *m = a->m;
    qd_index_creation name = {.name = m->name, .aliases = m->aliases, .naliases = m->naliases};
    int rc = name_free(s, &name, err);
    if (rc) return rc;
    if (qd_state_index_uuid(s, qd_str_c(m->uuid)) || qd_state_buried(s, qd_str_c(m->uuid))) {
        return qd_err_set(err, QD_E_ARG, "index [%.*s/%s] is not dangling: it is known, or deleted",
                          QD_STR_ARG(m->name), m->uuid);
    }
    qdi_txn_exists(t, qdi_name_key(t, m->name), false);
    qdi_txn_exists(t, qdi_index_key(t, m->uuid), false);
    qdi_txn_put(t, qdi_name_key(t, m->name), qd_arena_str(&t->arena, qd_str_c(m->uuid)), 0);
    put_mapping(t, m);
    if ((rc = put_imported(c, m, t, err))) return rc;
    for (uint32_t i = 0; i < m->shards; i++) {
        qd_shard_edit e;
        qd_shard_place p = {qdi_allocation_id(c, t), c->self.id, c->self.ephemeral};
        int made = qd_shard_edit_new(&e, &t->arena, m->replicas, qd_env_wall_ms(c->env));
        e.s.fresh = false; /* its files are here */
        e.s.primary_term = a->terms[i] ? a->terms[i] - 1 : 0;
        if (!made) made = qd_shard_edit_assign_primary(&e, &p, QD_FORCE_STALE);
        if (made) t->failed = QD_E_NOMEM;
        qdi_txn_put_shard(t, m->uuid, i, &e);
    }
    return 0;
}

int qd_cluster_import_index(qd_cluster *c, const qd_index_meta *m, const uint64_t *terms,
                            qd_state **out, qd_err *err)
{
    import_args a = {m, terms};
    int rc = qd_index_name_check(m->name, err);
    return rc ? rc : qdi_change(c, import_index, &a, out, err);
}

/* --- changing one index
 * -------------------------------------------------------------------------------- */

/* Shards of an index that are changed in one transaction. */
static uint32_t shards_at_once(const qd_cluster *c)
{
    return (uint32_t)(qd_coord_limits(c->store)->txn_ops_max / 4);
}

static bool is_async(const qd_index_meta *m)
{
    return qd_values_i64(m->values, QD_IX_TRANSLOG_DURABILITY) != 0;
}

/* Another number of replicas: places are added or taken away in the same change; of an index with
 * more shards than a transaction has steps the allocator does it. What was acknowledged without a
 * sync is remembered when durability is `request` from now on. */
static int change_shards(qd_cluster *c, const qd_state *s, const qd_index_meta *m,
                         const qd_index_meta *now, cluster_txn *t, qd_err *err)
{
    const qd_shard_meta *shards = qd_state_shards(s, m);
    bool replicas = now->replicas != m->replicas, unsynced = is_async(m) && !is_async(now);
    if (m->shards > shards_at_once(c) || (!replicas && !unsynced)) return 0;
    for (uint32_t k = 0; shards && k < m->shards; k++) {
        qd_shard_edit e;
        if (!shards[k].ncopies) continue;
        if (qd_shard_edit_begin(&e, &t->arena, &shards[k], qd_env_wall_ms(c->env)) ||
            (replicas && qd_shard_edit_replicas(&e, now->replicas))) {
            return qd_err_nomem(err, "shards of an index");
        }
        if (unsynced) qd_shard_edit_unsynced(&e);
        if (e.changed) qdi_txn_put_shard(t, m->uuid, k, &e);
    }
    return 0;
}

/* New settings hold together, and the cluster may have what they add. */
static int rules_check(qd_cluster *c, const qd_state *s, const qd_index_meta *m,
                       const qd_index_meta *now, qd_err *err)
{
    uint64_t had = m->closed ? 0 : (uint64_t)m->shards * (m->replicas + 1ull);
    uint64_t has = now->closed ? 0 : (uint64_t)now->shards * (now->replicas + 1ull);
    int rc =
        now->settings == m->settings ? 0 : qd_index_rules_check(now->values, now->replicas, err);
    if (rc || !c->config || has <= had) return rc;
    return qd_cluster_shards_check(s, qd_config_values(c->config), has - had, err);
}

/* Replaces m by the index that src describes. */
int qdi_replace_index(qd_cluster *c, const qd_state *s, const qd_index_meta *m,
                      const qd_index_source *src, cluster_txn *t, qd_err *err)
{
    qd_index_meta *now;
    int rc = qd_index_meta_make(src, &now, err);
    if (rc) return rc;
    rc = src->analyzers ? 0 : qdi_check_analysis(s, now->mapping, err);
    if (!rc && now->settings != m->settings)
        rc = qdi_check_formats(s, m->mapping, now->mapping, err);
    if (!rc) rc = qdi_check_settings(s, now, err);
    if (!rc && now->settings != m->settings) rc = qdi_check_mode(s, now, err);
    if (!rc) rc = rules_check(c, s, m, now, err);
    if (rc) {
        qd_index_meta_unref(now);
        return rc;
    }
    qdi_txn_at(t, qdi_index_key(t, m->uuid), m->mod_revision);
    if (strcmp(now->mapping_hash, m->mapping_hash) != 0) {
        qdi_txn_put(t, qdi_txn_key(t, "mapping/%s", now->mapping_hash),
                    qd_arena_str(&t->arena, qd_mapping_json(now->mapping)), 0);
        drop_mapping(t, s, m);
    }
    put_index(t, now);
    rc = change_shards(c, s, m, now, t, err);
    qd_index_meta_unref(now);
    return rc;
}

typedef struct mapping_args {
    qd_str uuid, update;
} mapping_args;

static int change_mapping(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const mapping_args *a = arg;
    const qd_index_meta *m = qd_state_index_uuid(s, a->uuid);
    qd_mapping *merged;
    if (!m) return gone(a->uuid, err);
    int rc = qd_mapping_merge(m->mapping, a->update, QD_MAPPING_UPDATE, &merged, err);
    if (rc) return rc;
    rc = qdi_check_formats(s, m->mapping, merged, err);
    if (!rc) rc = qdi_graphs_by_default(s, m->mapping, m->values, &merged, err);
    if (rc) {
        qd_mapping_unref(merged);
        return rc;
    }
    if (qd_str_eq(qd_mapping_json(merged), qd_mapping_json(m->mapping))) {
        qd_mapping_unref(merged);
        return QDI_CHANGE_NOTHING;
    }
    qd_index_source src = qdi_source_of(c, m);
    src.mapping = qd_mapping_json(merged);
    src.mapping_version++;
    rc = qdi_replace_index(c, s, m, &src, t, err);
    qd_mapping_unref(merged);
    return rc;
}

int qd_cluster_put_mapping(qd_cluster *c, qd_str uuid, qd_str update, qd_state **out, qd_err *err)
{
    mapping_args a = {uuid, update};
    return qdi_change(c, change_mapping, &a, out, err);
}

typedef struct settings_args {
    qd_str uuid;
    const qd_settings *update;
    bool preserve, exact; /* exact: the number of replicas is as given */
} settings_args;

/* May a setting of the index not change now? */
static bool is_fixed(const qd_index_meta *m, qd_str key)
{
    const qd_setting_def *d = qd_schema_find(&qd_schema_index, key, NULL);
    return d && (d->flags & QD_SF_FINAL || (!m->closed && !(d->flags & QD_SF_DYNAMIC)));
}

/* A pattern ("index.*": null) takes back what may change, and leaves the rest. */
static int keep_fixed(const qd_index_meta *m, const settings_args *a, qd_settings *out, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < qd_settings_count(m->settings) && !rc; i++) {
        const qd_setting_value *v = qd_settings_at(m->settings, i);
        if (!qd_settings_get(a->update, v->key) && is_fixed(m, v->key))
            rc = qd_settings_put_value(out, v->key, v, err);
    }
    return rc;
}

/* Final settings do not change with a closed index, either. */
static int check_final(const qd_index_meta *m, const qd_settings *update, qd_err *err)
{
    for (size_t i = 0; i < qd_settings_count(update); i++) {
        const qd_setting_value *v = qd_settings_at(update, i);
        const qd_setting_def *d = qd_schema_find(&qd_schema_index, v->key, NULL);
        const qd_setting_value *is = qd_settings_get(m->settings, v->key);
        if (!d || !(d->flags & QD_SF_FINAL)) continue;
        bool same =
            is ? v->kind == is->kind && qd_str_eq(v->text, is->text) : v->kind == QD_SETTING_NULL;
        if (!same)
            return qd_err_set(err, QD_E_ARG, "final index setting [%.*s], not updateable",
                              QD_STR_ARG(v->key));
    }
    return 0;
}

static int merged_settings(const qd_index_meta *m, const settings_args *a, qd_settings **out,
                           qd_err *err)
{
    int rc = qd_settings_new(NULL, out, err);
    if (!rc) rc = qd_settings_merge(*out, m->settings, err);
    if (!rc && !a->preserve) rc = qd_settings_update(*out, a->update, err);
    if (!rc && !a->preserve) rc = keep_fixed(m, a, *out, err);
    for (size_t i = 0; !rc && a->preserve && i < qd_settings_count(a->update); i++) {
        const qd_setting_value *v = qd_settings_at(a->update, i);
        if (!qd_settings_get(m->settings, v->key)) rc = qd_settings_put_value(*out, v->key, v, err);
    }
    if (!rc) rc = qd_settings_seal(*out, err);
    if (rc) {
        qd_settings_unref(*out);
        *out = NULL;
    }
    return rc;
}

static int expand(const qd_state *s, qd_settings **settings, qd_err *err)
{
    qd_settings *given = *settings;
    int rc = qd_index_expand(s, given, settings, err);
    qd_settings_unref(given);
    return rc;
}

/* What a wish asks for is there already: that is so if the store agrees, and this node's state is
 * not one from before another change. */
static int agrees(cluster_txn *t, const qd_index_meta *m)
{
    qdi_txn_at(t, qdi_index_key(t, m->uuid), m->mod_revision);
    return 0;
}

static int change_settings(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const settings_args *a = arg;
    const qd_index_meta *m = qd_state_index_uuid(s, a->uuid);
    qd_settings *now = NULL;
    if (!m) return gone(a->uuid, err);
    int rc = qd_schema_check(&qd_schema_index, a->update, false, err);
    if (!rc && !m->closed) rc = qd_schema_check_dynamic(&qd_schema_index, a->update, "index", err);
    if (!rc && !a->preserve && !a->exact) rc = check_final(m, a->update, err);
    if (!rc) rc = merged_settings(m, a, &now, err);
    if (rc) return rc;
    qd_index_source src = qdi_source_of(c, m);
    rc = a->exact ? 0 : expand(s, &now, err);
    if (!rc) {
        src.settings = now;
        src.settings_version++;
        if (!qd_index_analysis_same(now, m->settings)) src.analyzers = NULL;
        bool same = qd_settings_equal(now, m->settings);
        rc = same ? agrees(t, m) : qdi_replace_index(c, s, m, &src, t, err);
    }
    qd_settings_unref(now);
    return rc;
}

typedef struct unsynced_args {
    qd_str uuid;
    uint32_t first, n;
} unsynced_args;

static int note_unsynced(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const unsynced_args *a = arg;
    const qd_index_meta *m = qd_state_index_uuid(s, a->uuid);
    const qd_shard_meta *shards = m ? qd_state_shards(s, m) : NULL;
    bool any = false;
    if (!m) return gone(a->uuid, err);
    for (uint32_t k = a->first; shards && k < m->shards && k - a->first < a->n; k++) {
        qd_shard_edit e;
        if (qd_shard_edit_begin(&e, &t->arena, &shards[k], qd_env_wall_ms(c->env)))
            return qd_err_nomem(err, "shards of an index");
        qd_shard_edit_unsynced(&e);
        if (e.changed) qdi_txn_put_shard(t, m->uuid, k, &e);
        any |= e.changed;
    }
    return any ? 0 : 1;
}

/* Of an index with too many shards for one transaction it is remembered before the change. */
static int unsynced_before(qd_cluster *c, const settings_args *a, qd_err *err)
{
    qd_state *s = qd_cluster_state(c);
    const qd_index_meta *m = qd_state_index_uuid(s, a->uuid);
    const char *key = "index.translog.durability";
    uint32_t most = shards_at_once(c), n = m ? m->shards : 0;
    bool many = m && n > most && is_async(m) && qd_settings_get(a->update, qd_str_c(key));
    int rc = 0;
    qd_state_unref(s);
    for (uint32_t k = 0; many && k < n && rc >= 0; k += most) {
        unsynced_args part = {a->uuid, k, most};
        rc = qdi_change(c, note_unsynced, &part, NULL, err);
    }
    return rc < 0 ? rc : 0;
}

int qd_cluster_put_settings(qd_cluster *c, qd_str uuid, const qd_settings *update, bool preserve,
                            qd_state **out, qd_err *err)
{
    settings_args a = {uuid, update, preserve, false};
    int rc = unsynced_before(c, &a, err);
    return rc ? rc : qdi_change(c, change_settings, &a, out, err);
}

int qdi_cluster_replicas(qd_cluster *c, qd_str uuid, uint32_t replicas, qd_err *err)
{
    char text[16];
    qd_settings *update = NULL;
    int n = snprintf(text, sizeof text, "%u", replicas);
    int rc = qd_settings_new(NULL, &update, err);
    if (!rc) {
        rc = qd_settings_put(update, QD_STR("index.number_of_replicas"), (qd_str){text, (size_t)n},
                             err);
    }
    if (!rc) rc = qd_settings_seal(update, err);
    if (!rc) {
        settings_args a = {uuid, update, false, true};
        rc = qdi_change(c, change_settings, &a, NULL, err);
    }
    qd_settings_unref(update);
    return rc;
}

typedef struct closed_args {
    qd_str uuid;
    bool closed;
} closed_args;

static int change_closed(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const closed_args *a = arg;
    const qd_index_meta *m = qd_state_index_uuid(s, a->uuid);
    if (!m) return gone(a->uuid, err);
    if (m->closed == a->closed) return agrees(t, m);
    qd_index_source src = qdi_source_of(c, m);
    src.closed = a->closed;
    return qdi_replace_index(c, s, m, &src, t, err);
}

int qd_cluster_set_closed(qd_cluster *c, qd_str uuid, bool closed, qd_state **out, qd_err *err)
{
    closed_args a = {uuid, closed};
    return qdi_change(c, change_closed, &a, out, err);
}

/* --- aliases
 * --------------------------------------------------------------------------------------------- */

typedef struct alias_args {
    const qd_alias_action *a;
    uint32_t n;
} alias_args;

/* The aliases of m after all actions on it; *changed tells whether any did something. */
static int aliases_after(const qd_index_meta *m, const alias_args *a, cluster_txn *t,
                         qd_alias **out, uint32_t *nout, bool *changed, qd_err *err)
{
    qd_alias *list = qd_arena_alloc(&t->arena, (m->naliases + a->n + 1) * sizeof *list);
    uint32_t n = m->naliases;
    if (!list) return qd_err_nomem(err, "aliases");
    memcpy(list, m->aliases, n * sizeof *list);
    *changed = false;
    for (uint32_t i = 0; i < a->n; i++) {
        const qd_alias_action *x = &a->a[i];
        if (x->type == QD_ALIAS_REMOVE_INDEX || strcmp(x->index->uuid, m->uuid) != 0) continue;
        uint32_t at = 0;
        while (at < n && !qd_str_eq(list[at].name, x->alias.name)) at++;
        *changed = true;
        if (x->type == QD_ALIAS_ADD) {
            list[at] = x->alias;
            if (at == n) n++;
        } else if (at < n) {
            list[at] = list[--n];
        }
    }
    *out = list;
    *nout = n;
    return 0;
}

static int check_alias(const qd_state *s, const qd_alias_action *x, const alias_args *a,
                       qd_err *err)
{
    if (x->type != QD_ALIAS_ADD) return 0;
    int rc = qd_alias_name_check(x->alias.name, err);
    if (rc) return rc;
    const qd_alias_group *stream = qd_state_stream(s, x->alias.name);
    const qd_index_meta *same = stream ? stream->write_index : qd_state_index(s, x->alias.name);
    for (uint32_t i = 0; same && !stream && i < a->n; i++) {
        if (a->a[i].type == QD_ALIAS_REMOVE_INDEX && strcmp(a->a[i].index->uuid, same->uuid) == 0) {
            same = NULL; /* it goes away in the same step */
        }
    }
    if (!same) return 0;
    rc = qd_err_set(err, QD_E_INVALID_ALIAS,
                    "Invalid alias name [%.*s]: an index or data stream exists with the same name "
                    "as the alias",
                    QD_STR_ARG(x->alias.name));
    return rc;
}

static bool same_stream(const qd_index_meta *m, const qd_index_meta *other)
{
    return m->place.stream.n && qd_str_eq(m->place.stream, other->place.stream);
}

/* At most one index, or one data stream, of an alias may be written to. */
static int check_write_index(const qd_state *s, const alias_args *a, qd_err *err)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const qd_alias_action *x = &a->a[i];
        if (x->type != QD_ALIAS_ADD || x->alias.is_write_index != 1) continue;
        const qd_alias_group *g = qd_state_alias(s, x->alias.name);
        for (uint32_t k = 0; g && k < g->n; k++) {
            const qd_alias *other = qd_index_meta_alias(g->indices[k], x->alias.name);
            if (other->is_write_index != 1 || strcmp(g->indices[k]->uuid, x->index->uuid) == 0 ||
                same_stream(g->indices[k], x->index)) {
                continue;
            }
            bool changed = false;
            for (uint32_t y = 0; y < a->n; y++) {
                changed |= strcmp(a->a[y].index->uuid, g->indices[k]->uuid) == 0 &&
                           (a->a[y].type == QD_ALIAS_REMOVE_INDEX ||
                            (qd_str_eq(a->a[y].alias.name, x->alias.name) &&
                             !(a->a[y].type == QD_ALIAS_ADD && a->a[y].alias.is_write_index == 1)));
            }
            if (changed) continue;
            return qd_err_set(err, QD_E_STATE,
                              "alias [%.*s] has more than one write index [%.*s,%.*s]",
                              QD_STR_ARG(x->alias.name), QD_STR_ARG(g->indices[k]->name),
                              QD_STR_ARG(x->index->name));
        }
    }
    return 0;
}

static int change_aliases(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const alias_args *a = arg;
    bool any = false;
    int rc = check_write_index(s, a, err);
    for (uint32_t i = 0; i < a->n && !rc; i++) rc = check_alias(s, &a->a[i], a, err);
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        const qd_index_meta *m = s->indices[i];
        qd_index_source src = qdi_source_of(c, m);
        qd_alias *list = NULL;
        bool changed = false, removed = false;
        for (uint32_t k = 0; k < a->n; k++) {
            removed |=
                a->a[k].type == QD_ALIAS_REMOVE_INDEX && strcmp(a->a[k].index->uuid, m->uuid) == 0;
        }
        if (removed) {
            const qd_index_meta *one[] = {m};
            qdi_delete_args d = {.m = one, .n = 1};
            any = true;
            rc = qdi_delete_indices(c, &d, s, t, err);
            continue;
        }
        rc = aliases_after(m, a, t, &list, &src.naliases, &changed, err);
        if (rc || !changed) continue;
        src.aliases = list;
        src.aliases_version++;
        any = true;
        rc = qdi_replace_index(c, s, m, &src, t, err);
    }
    return rc ? rc : any ? 0 : 1;
}

int qd_cluster_update_aliases(qd_cluster *c, const qd_alias_action *a, uint32_t n, qd_state **out,
                              qd_err *err)
{
    alias_args args = {a, n};
    return qdi_change(c, change_aliases, &args, out, err);
}
