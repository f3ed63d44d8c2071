/* cluster_delete.c: deleting indices, and the graveyard that remembers them. See cluster.h. */
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "config/config.h"
#include "json/writer.h"
#include <stdlib.h>

#define GRAVES_STANDARD 500u
#define GRAVES_AT_ONCE                                                                             \
    64u                 /* fewer than a transaction holds: there are many after a lower setting */
#define DELETE_STEPS 8u /* of one index beside its shards, a grave and a mapping among them */

static void bury(qd_cluster *c, cluster_txn *t, const qd_index_meta *m)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 65536);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "name", m->name);
    qd_json_field_int(&w, "deleted_ms", qd_env_wall_ms(c->env));
    qd_json_object_end(&w);
    qdi_txn_put(t, qdi_txn_key(t, "graveyard/%s", m->uuid), qdi_txn_value(t, &b), 0);
}

typedef QD_VEC(const qd_pmap_entry *) graves;

static int note_grave(void *arg, const qd_pmap_entry *e)
{
    return qd_vec_push((graves *)arg, NULL, e);
}

static int by_age(const void *a, const void *b)
{
    const qd_pmap_entry *x = *(const qd_pmap_entry *const *)a,
                        *y = *(const qd_pmap_entry *const *)b;
    if (x->value != y->value) return (uintptr_t)x->value < (uintptr_t)y->value ? -1 : 1;
    return qd_str_cmp(qd_pmap_key(x), qd_pmap_key(y));
}

/* The graveyard keeps the newest only: what is deleted longer ago has no files left anywhere. n are
 * buried now. */
static void exhume(const qd_cluster *c, const qd_state *s, cluster_txn *t, uint32_t n)
{
    graves g = {0};
    size_t most =
        c->config ? (size_t)qd_config_i64(c->config, QD_SET_CLUSTER_TOMBSTONES) : GRAVES_STANDARD;
    if (s->buried.n + n <= most) return;
    size_t left = s->buried.n + n - most;
    if (left > n + GRAVES_AT_ONCE) left = n + GRAVES_AT_ONCE;
    if (qd_pmap_each(&s->buried, note_grave, &g)) {
        t->failed = QD_E_NOMEM;
    } else if (g.n) {
        qsort(g.at, g.n, sizeof *g.at, by_age);
    }
    for (size_t i = 0; i < g.n && i < left && !t->failed; i++) {
        qdi_txn_delete(t, qdi_txn_key(t, "graveyard/%.*s", QD_STR_ARG(qd_pmap_key(g.at[i]))));
    }
    qd_vec_fini(&g);
}

/* Counts an index that goes under its mapping. */
static int count_use(qd_map *going, const qd_index_meta *m)
{
    qd_str hash = qd_str_c(m->mapping_hash);
    uintptr_t n = (uintptr_t)qd_map_get(going, hash) + 1;
    return qd_map_put(going, hash, (void *)n, NULL);
}

/* A mapping goes when no index that stays uses it. */
static void drop_mappings(cluster_txn *t, const qd_state *s, const qdi_delete_args *a,
                          qd_map *going)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(a->m[i]->uuid));
        void *n = m ? qd_map_del(going, qd_str_c(m->mapping_hash)) : NULL; /* once */
        if (n && n == qd_pmap_get(&s->uses, qd_str_c(m->mapping_hash))) qdi_delete_mapping(t, s, m);
    }
}

/* The write index of a data stream goes with the stream. */
static int check_stream(const qd_state *s, const qd_index_meta *was, qd_err *err)
{
    const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(was->uuid));
    const qd_alias_group *g = m ? qd_state_stream_of(s, m) : NULL;
    if (!g || g->write_index != m) return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "index [%.*s] is the write index for data stream [%.*s] and cannot be deleted",
        QD_STR_ARG(m->name), QD_STR_ARG(g->name));
}

int qdi_delete_indices(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const qdi_delete_args *a = arg;
    qd_map going; /* hash of a mapping -> number of indices that go */
    uint32_t any = 0;
    for (uint32_t i = 0; i < a->n && !a->streams; i++) {
        int rc = check_stream(s, a->m[i], err);
        if (rc) return rc;
    }
    qd_map_init(&going, NULL);
    for (uint32_t i = 0; i < a->n; i++) {
        const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(a->m[i]->uuid));
        if (!m) continue; /* somebody else deleted it */
        any++;
        qdi_txn_exists(t, qdi_index_key(t, m->uuid), true);
        qdi_txn_delete(t, qdi_index_key(t, m->uuid));
        qdi_txn_delete(t, qdi_name_key(t, m->name));
        for (uint32_t k = 0; k < m->shards; k++) {
            qdi_txn_delete(t, qdi_txn_key(t, "shard/%s/%u", m->uuid, k));
        }
        bury(c, t, m);
        if (count_use(&going, m)) t->failed = QD_E_NOMEM;
    }
    if (any) {
        exhume(c, s, t, any);
        drop_mappings(t, s, a, &going);
    }
    qd_map_fini(&going);
    return any ? QDI_CHANGE_COMMIT : QDI_CHANGE_NOTHING;
}

/* So many of the first indices fit into one transaction. */
static uint32_t deleted_at_once(const qd_cluster *c, const qd_index_meta *const *m, uint32_t n)
{
    size_t most = qd_coord_limits(c->store)->txn_ops_max, steps = GRAVES_AT_ONCE;
    uint32_t i = 0;
    for (; i < n; i++) {
        steps += m[i]->shards + DELETE_STEPS;
        if (i && steps > most) break;
    }
    return i;
}

int qd_cluster_delete_indices(qd_cluster *c, const qd_index_meta *const *m, uint32_t n,
                              qd_state **out, qd_err *err)
{
    qd_state *s = NULL;
    int rc = 0;
    for (uint32_t at = 0; at < n && !rc;) {
        qdi_delete_args a = {.m = m + at, .n = deleted_at_once(c, m + at, n - at)};
        at += a.n;
        qd_state *before = s;
        s = NULL;
        rc = qdi_change(c, qdi_delete_indices, &a, &s, err);
        qd_state_unref(before);
        /* nodes that follow late have to see these graves, before the next ones take their place */
        int late =
            !rc && at < n ? qd_cluster_wait_all(c, s->revision, qdi_cluster_patience_ms(c)) : 0;
        if (late) qd_log_info(CLUSTER_LOG, "a node that lives is late to follow a deletion");
    }
    if (!rc && out) {
        *out = s ? s : qd_cluster_state(c);
        return 0;
    }
    qd_state_unref(s);
    return rc;
}
