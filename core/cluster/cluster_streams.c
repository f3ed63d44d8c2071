/*
 * cluster_streams.c: indices that take the place of others: rollovers, and data streams. Each is
 * one change: nobody sees an alias without its write index, or a stream without its newest one.
 *
 * What an index is to a data stream stands in its own record (qd_index_place), so that a state
 * finds the indices of a stream as it finds those of an alias. The document of the stream has what
 * is beside that: its generation, and what the APIs show of it.
 */
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "json/tree.h"
#include "json/writer.h"
#include <string.h>

#define RECORD_MAX ((size_t)1 << 20)
#define STREAM_STEPS_MAX 100u /* indices that one change takes up or lets go */

static qd_str stream_key(cluster_txn *t, qd_str name)
{
    return qdi_txn_key(t, QD_STREAM_KEY "%.*s", QD_STR_ARG(name));
}

/* Records with members of these formats are written once every node knows them. */
static int check_level(const qd_state *s, const char *what, qd_err *err)
{
    if (s->features >= QD_FEATURES_TYPES_0_2) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "%s need level %u of the cluster's formats; they are of level %u: POST "
                      "_cluster/upgrade/finalize when all nodes run this version",
                      what, QD_FEATURES_TYPES_0_2, s->features);
}

static int changed_meanwhile(qd_str name, qd_err *err)
{
    return qd_err_set(err, QD_E_CONFLICT, "[%.*s] was rolled over or changed meanwhile",
                      QD_STR_ARG(name));
}

/* --- rollover --- */

/* The aliases of an index that is left, and the one that the next index gets. */
static int move_alias(const qd_index_meta *m, qd_str name, cluster_txn *t, qd_index_source *src,
                      qd_alias *moved, qd_err *err)
{
    uint32_t n = 0;
    qd_alias *list = qd_arena_alloc(&t->arena, (m->naliases + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "aliases");
    for (uint32_t i = 0; i < m->naliases; i++) {
        qd_alias a = m->aliases[i];
        bool rolls = qd_str_eq(a.name, name);
        if (rolls) *moved = a;
        if (rolls && a.is_write_index != 1) continue; /* it goes over to the next one */
        if (rolls) a.is_write_index = 0;
        list[n++] = a;
    }
    src->aliases = list;
    src->naliases = n;
    src->aliases_version++;
    return 0;
}

/* The index that is left says what it was rolled over for. */
static int leave(qd_cluster *c, const qd_index_creation *i, const qd_state *s, cluster_txn *t,
                 qd_index_creation *made, qd_err *err)
{
    const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(i->follows));
    const qd_alias_group *g = qd_state_alias(s, i->rolled);
    qd_alias moved = {0};
    int rc = 0;
    if (!m || !g || g->write_index != m) return changed_meanwhile(i->rolled, err);
    qd_index_source src = qdi_source_of(c, m);
    if (!g->is_stream) rc = move_alias(m, i->rolled, t, &src, &moved, err);
    if (s->features >= QD_FEATURES_TYPES_0_2) {
        src.place.rolled_alias = i->rolled;
        src.place.rolled_ms = qd_env_wall_ms(c->env);
    }
    if (!rc) rc = qdi_replace_index(c, s, m, &src, t, err);
    uint32_t more = g->is_stream ? m->naliases : 1;
    qd_alias *list = qd_arena_alloc(&t->arena, (i->naliases + more + 1) * sizeof *list);
    if (!rc && !list) rc = qd_err_nomem(err, "aliases");
    if (rc) return rc;
    if (i->naliases) memcpy(list, i->aliases, i->naliases * sizeof *list);
    /* aliases of a data stream are those of each of its indices */
    if (g->is_stream && more)
        memcpy(list + i->naliases, m->aliases, more * sizeof *list);
    else if (!g->is_stream)
        list[i->naliases] = moved;
    made->aliases = list;
    made->naliases = i->naliases + more;
    return 0;
}

/* --- creation --- */

/* Where the new index stands in its stream, whose document is put. */
static int join(const qd_index_creation *i, const qd_state *s, cluster_txn *t,
                qd_index_place *place, qd_err *err)
{
    qd_str key = stream_key(t, i->stream);
    const qd_state_document_record *d = qd_state_document(s, key);
    const qd_alias_group *g = qd_state_stream(s, i->stream);
    int rc = check_level(s, "data streams", err);
    if (rc) return rc;
    if (i->stream_revision && (!d || !g || d->mod_revision != i->stream_revision))
        return changed_meanwhile(i->stream, err);
    bool taken = d || g || qd_state_index(s, i->stream) || qd_state_alias(s, i->stream);
    if (!i->stream_revision && taken) {
        return qd_err_set(err, QD_E_EXISTS, "data_stream [%.*s] already exists",
                          QD_STR_ARG(i->stream));
    }
    *place = (qd_index_place){.stream = i->stream,
                              .order = g ? g->write_index->place.order + 1 : 1,
                              .stream_hidden = i->stream_hidden};
    qdi_txn_at(t, key, i->stream_revision);
    qdi_txn_put(t, key, i->record, 0);
    if (!i->stream_revision) qdi_txn_exists(t, qdi_name_key(t, i->stream), false);
    return 0;
}

static int create(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const qd_index_creation *i = arg;
    qd_index_creation made = *i;
    qd_index_place place = {0};
    int rc = i->stream.n ? join(i, s, t, &place, err) : 0;
    if (!rc && i->follows) rc = leave(c, i, s, t, &made, err);
    return rc ? rc : qdi_create_index(c, &made, &place, s, t, err);
}

int qd_cluster_create(qd_cluster *c, const qd_index_creation *i, qd_state **out, qd_err *err)
{
    int rc = qd_index_name_check(i->name, err);
    return rc ? rc : qdi_change(c, create, (void *)(uintptr_t)i, out, err);
}

/* --- deletion --- */

/* The last of a stream: its write index, and what the stream is. */
static int end_stream(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    qd_str name = *(const qd_str *)arg, key = stream_key(t, name);
    const qd_state_document_record *d = qd_state_document(s, key);
    const qd_alias_group *g = qd_state_stream(s, name);
    if (d) {
        qdi_txn_at(t, key, d->mod_revision);
        qdi_txn_delete(t, key);
    }
    qdi_delete_args a = {.m = g ? &g->write_index : NULL, .n = g ? 1 : 0, .streams = true};
    int rc = g ? qdi_delete_indices(c, &a, s, t, err) : QDI_CHANGE_NOTHING;
    return rc == QDI_CHANGE_NOTHING && d ? QDI_CHANGE_COMMIT : rc;
}

int qd_cluster_delete_streams(qd_cluster *c, const qd_str *names, uint32_t n, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_state *s = qd_cluster_state(c);
        const qd_alias_group *g = qd_state_stream(s, names[i]);
        if (g && g->n > 1) rc = qd_cluster_delete_indices(c, g->indices, g->n - 1, NULL, err);
        qd_state_unref(s);
        if (!rc) rc = qdi_change(c, end_stream, (void *)(uintptr_t)&names[i], NULL, err);
    }
    return rc;
}

/* --- indices that come and go --- */

typedef struct modify_args {
    const qd_stream_action *a;
    uint32_t n;
} modify_args;

/* Puts the document of a stream with its next generation, or (member) another value of a member;
 * empty: without it. */
static int put_document(const qd_state *s, qd_str name, const char *member, qd_str value,
                        cluster_txn *t, qd_err *err)
{
    qd_str key = stream_key(t, name);
    const qd_state_document_record *d = qd_state_document(s, key);
    qd_json_node *root;
    qd_buf b;
    qd_json_writer w;
    int64_t generation = 1;
    if (!d) return qd_err_set(err, QD_E_ARG, "data stream [%.*s] not found", QD_STR_ARG(name));
    int rc = qd_json_parse(&t->arena, d->value, 0, &root, err);
    if (rc) return rc;
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (const qd_json_node *n = root->first; n; n = n->next) {
        if (member && qd_str_is(n->key, member)) continue;
        if (!member && qd_str_is(n->key, "generation")) {
            if (!qd_str_i64(qd_json_text(n), &generation)) generation = 1;
            qd_json_field_int(&w, "generation", generation + 1);
            continue;
        }
        qd_json_key(&w, n->key);
        qd_json_raw_value(&w, n->raw);
    }
    if (member && value.n) {
        qd_json_key_c(&w, member);
        qd_json_raw_value(&w, value);
    }
    qd_json_object_end(&w);
    qdi_txn_at(t, key, d->mod_revision);
    qdi_txn_put(t, key, qdi_txn_value(t, &b), 0);
    return 0;
}

/* With another value of index.hidden: backing indices are. */
static int hide(const qd_index_meta *m, bool hidden, qd_settings **out, qd_err *err)
{
    int rc = qd_settings_new(NULL, out, err);
    if (!rc) rc = qd_settings_merge(*out, m->settings, err);
    if (!rc)
        rc =
            qd_settings_put(*out, QD_STR("index.hidden"), qd_str_c(hidden ? "true" : "false"), err);
    return rc ? rc : qd_settings_seal(*out, err);
}

/* The timestamp of each document is looked at from now on. */
static int stamp(const qd_index_meta *m, qd_mapping **out, qd_err *err)
{
    const qd_field *f = qd_mapping_field(m->mapping, QD_STR("@timestamp"));
    if (!f) {
        return qd_err_set(err, QD_E_ARG,
                          "index [%.*s] has no field [@timestamp], the timestamp "
                          "of a data stream",
                          QD_STR_ARG(m->name));
    }
    return qd_mapping_merge(m->mapping, QD_STR("{\"_data_stream_timestamp\":{\"enabled\":true}}"),
                            QD_MAPPING_UPDATE, out, err);
}

static int take_up(qd_cluster *c, const qd_state *s, const qd_alias_group *g,
                   const qd_index_meta *m, int64_t order, cluster_txn *t, qd_err *err)
{
    qd_mapping *mapping = NULL;
    qd_settings *settings = NULL;
    if (m->place.stream.n) {
        return qd_err_set(err, QD_E_ARG, "index [%.*s] is already in data stream [%.*s]",
                          QD_STR_ARG(m->name), QD_STR_ARG(m->place.stream));
    }
    if (m->naliases) {
        return qd_err_set(err, QD_E_ARG,
                          "cannot add index [%.*s] to data stream [%.*s] until its aliases are "
                          "removed",
                          QD_STR_ARG(m->name), QD_STR_ARG(g->name));
    }
    int rc = stamp(m, &mapping, err);
    if (!rc) rc = hide(m, true, &settings, err);
    if (!rc) {
        qd_index_source src = qdi_source_of(c, m);
        src.settings = settings;
        src.settings_version++;
        src.ready = mapping;
        src.mapping = qd_mapping_json(mapping);
        src.mapping_version++;
        src.aliases = g->write_index->aliases;
        src.naliases = g->write_index->naliases;
        src.aliases_version++;
        src.place.stream = g->name;
        src.place.order = order;
        src.place.stream_hidden = g->is_hidden;
        rc = qdi_replace_index(c, s, m, &src, t, err);
    }
    qd_settings_unref(settings);
    qd_mapping_unref(mapping);
    return rc;
}

static int let_go(qd_cluster *c, const qd_state *s, const qd_alias_group *g, const qd_index_meta *m,
                  cluster_txn *t, qd_err *err)
{
    qd_settings *settings = NULL;
    if (!qd_str_eq(m->place.stream, g->name)) {
        return qd_err_set(err, QD_E_ARG, "index [%.*s] not found in data stream [%.*s]",
                          QD_STR_ARG(m->name), QD_STR_ARG(g->name));
    }
    if (g->write_index == m) {
        return qd_err_set(err, QD_E_ARG,
                          "cannot remove backing index [%.*s] of data stream [%.*s] because it is "
                          "the write index",
                          QD_STR_ARG(m->name), QD_STR_ARG(g->name));
    }
    int rc = hide(m, false, &settings, err);
    if (!rc) {
        qd_index_source src = qdi_source_of(c, m);
        src.settings = settings;
        src.settings_version++;
        src.naliases = 0;
        src.aliases_version++;
        src.place.stream = (qd_str){NULL, 0};
        src.place.order = 0;
        src.place.stream_hidden = false;
        rc = qdi_replace_index(c, s, m, &src, t, err);
    }
    qd_settings_unref(settings);
    return rc;
}

/* Has an action before this one had to do with the index, or (stream) with the stream? */
static bool seen(const modify_args *a, uint32_t i, bool stream)
{
    for (uint32_t k = 0; k < i; k++) {
        if (stream ? qd_str_eq(a->a[k].stream, a->a[i].stream)
                   : qd_str_eq(a->a[k].index, a->a[i].index))
            return true;
    }
    return false;
}

static int modify(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const modify_args *a = arg;
    int rc = check_level(s, "data streams", err);
    for (uint32_t i = 0; i < a->n && !rc; i++) {
        const qd_stream_action *x = &a->a[i];
        const qd_alias_group *g = qd_state_stream(s, x->stream);
        const qd_index_meta *m = qd_state_index(s, x->index);
        if (!g)
            rc = qd_err_set(err, QD_E_ARG, "data stream [%.*s] not found", QD_STR_ARG(x->stream));
        else if (!m)
            rc = qd_err_set(err, QD_E_ARG, "index [%.*s] not found", QD_STR_ARG(x->index));
        else if (seen(a, i, false))
            rc = qd_err_set(err, QD_E_ARG, "index [%.*s] is named by two actions",
                            QD_STR_ARG(x->index));
        if (!rc && !seen(a, i, true)) rc = put_document(s, x->stream, NULL, x->stream, t, err);
        if (rc) break;
        int64_t oldest = g->indices[0]->place.order - 1 - (int64_t)i;
        rc = x->remove ? let_go(c, s, g, m, t, err) : take_up(c, s, g, m, oldest, t, err);
    }
    return rc;
}

int qd_cluster_modify_streams(qd_cluster *c, const qd_stream_action *a, uint32_t n, qd_err *err)
{
    modify_args args = {a, n};
    if (n > STREAM_STEPS_MAX)
        return qd_err_set(err, QD_E_ARG, "more than %u actions at once", STREAM_STEPS_MAX);
    return qdi_change(c, modify, &args, NULL, err);
}

typedef struct lifecycle_args {
    qd_str stream, lifecycle;
} lifecycle_args;

static int set_lifecycle(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const lifecycle_args *a = arg;
    int rc = check_level(s, "data streams", err);
    (void)c;
    return rc ? rc : put_document(s, a->stream, "lifecycle", a->lifecycle, t, err);
}

int qd_cluster_set_lifecycle(qd_cluster *c, qd_str stream, qd_str lifecycle, qd_err *err)
{
    lifecycle_args a = {stream, lifecycle};
    return qdi_change(c, set_lifecycle, &a, NULL, err);
}
