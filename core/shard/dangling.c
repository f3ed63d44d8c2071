/*
 * dangling.c: what lies on the tier and is not the cluster's.
 *
 * A folder indices/<uuid> whose index is in the graveyard belongs to a deletion that a crash cut
 * short, and goes. One whose index nobody knows is left alone and named: it can be imported, with
 * the metadata saved beside the data. A whole file under a name that is none of ours goes to
 * lost+found; whatever else is strange is named and left. Files of shards that are open are their
 * engines' business.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/commit.h"
#include "shard/shards_int.h"
#include "json/tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_ARENA_MAX ((size_t)256 << 20)
#define NAMES_MAX ((size_t)1 << 30)
/* Restarts raise a shard's term without a new commit point: stay well above those. */
#define TERM_DISTANCE 1024

typedef struct shard_folder {
    qd_str uuid;
    uint32_t number;
} shard_folder;

typedef struct listing {
    qd_shards *all;
    qd_arena arena;
    QD_VEC(qd_str) uuids;        /* folders below indices/ */
    QD_VEC(shard_folder) shards; /* and below these */
    QD_VEC(qd_str) strange;      /* names that are none of ours */
    QD_VEC(qd_str) foreign;      /* nor of the tier's */
} listing;

static bool is_uuid(qd_str s)
{
    return s.n == QD_UUID_TEXT - 1;
}

static bool is_number(qd_str s, uint32_t *number)
{
    uint64_t n;
    if (!qd_str_u64(s, &n) || n >= 65536) return false;
    *number = (uint32_t)n;
    return true;
}

static bool is_shard_file(qd_str s)
{
    uint64_t n;
    if (qd_str_is(s, "commit") || qd_str_is(s, "aside")) return true;
    if (qd_str_starts(s, QD_STR("translog-"))) return qd_str_u64(qd_str_sub(s, 9, s.n), &n);
    return qd_str_starts(s, QD_STR("seg-")) || qd_str_starts(s, QD_STR("live-"));
}

static int keep(listing *l, void *list, qd_str s)
{
    QD_VEC(qd_str) *names = list;
    qd_str copy = qd_arena_str(&l->arena, s);
    return !copy.p || qd_vec_push(names, NULL, copy) ? QD_E_NOMEM : 0;
}

static bool stopping(qd_shards *all)
{
    qd_mutex_lock(&all->lock);
    bool stop = all->stop;
    qd_mutex_unlock(&all->lock);
    return stop;
}

/* A file of a shard: its folder, once. */
static int keep_shard(listing *l, uint32_t number)
{
    qd_str uuid = l->uuids.at[l->uuids.n - 1];
    const shard_folder *last = l->shards.n ? &l->shards.at[l->shards.n - 1] : NULL;
    if (last && last->uuid.p == uuid.p && last->number == number) return 0;
    return qd_vec_push(&l->shards, NULL, ((shard_folder){uuid, number})) ? QD_E_NOMEM : 0;
}

/* Names come in byte order, so that those of one folder stand together. */
static int collect(void *arg, qd_str name, bool of_tier)
{
    listing *l = arg;
    qd_str rest = name;
    uint32_t number;
    if (!of_tier) return keep(l, &l->foreign, name);
    qd_str top = qd_str_split(&rest, '/');
    if (qd_str_is(top, "lost+found") || qd_str_is(name, SHARD_HISTORIES)) return 0;
    if (qd_str_is(top, "answers")) return 0; /* of requests that run */
    qd_str uuid = rest.p ? qd_str_split(&rest, '/') : (qd_str){NULL, 0};
    bool ours = qd_str_is(top, "indices") && is_uuid(uuid) && rest.p;
    if (ours) {
        bool known = l->uuids.n && qd_str_eq(l->uuids.at[l->uuids.n - 1], uuid);
        if (!known && stopping(l->all)) return QD_E_CLOSED;
        if (!known && keep(l, &l->uuids, uuid)) return QD_E_NOMEM;
        qd_str part = qd_str_split(&rest, '/');
        bool shard = rest.p && is_number(part, &number);
        if (shard && keep_shard(l, number)) return QD_E_NOMEM;
        ours = rest.p ? shard && is_shard_file(rest) : qd_str_is(part, "meta");
    }
    return ours ? 0 : keep(l, &l->strange, name);
}

static void listing_fini(listing *l)
{
    qd_vec_fini(&l->uuids);
    qd_vec_fini(&l->shards);
    qd_vec_fini(&l->strange);
    qd_vec_fini(&l->foreign);
    qd_arena_fini(&l->arena);
}

/* What lies on n tiers; of several each has what lies on it alone. */
static int list_all(qd_shards *all, const shard_tier *tiers, uint32_t n, listing *l, qd_err *err)
{
    *l = (listing){.all = all};
    qd_arena_init(&l->arena, NULL, NAMES_MAX);
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qd_store_list_all(tiers[i].store, QD_STR(""), collect, l, err);
    if (rc) listing_fini(l);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return qd_str_cmp(*(const qd_str *)a, *(const qd_str *)b);
}

/* Each uuid once: of an index there may be logs on one tier and segments on another. */
static void uuids_once(listing *l)
{
    size_t n = 0;
    if (l->uuids.n) qsort(l->uuids.at, l->uuids.n, sizeof(qd_str), by_text);
    for (size_t i = 0; i < l->uuids.n; i++)
        if (!n || !qd_str_eq(l->uuids.at[i], l->uuids.at[n - 1])) l->uuids.at[n++] = l->uuids.at[i];
    l->uuids.n = n;
}

static qd_str meta_name(qd_str uuid, char buf[80])
{
    int n = snprintf(buf, 80, "indices/%.*s/meta", QD_STR_ARG(uuid));
    return (qd_str){buf, (size_t)n};
}

/* The metadata saved beside an index's data on one tier. */
static int read_meta_on(qd_shards *all, const shard_tier *t, qd_str uuid, qd_index_meta **out,
                        qd_err *err)
{
    char name[80], *text = NULL;
    size_t n = 0;
    qd_arena arena;
    qd_json_node *root;
    qd_arena_init(&arena, NULL, META_ARENA_MAX);
    int rc = qd_store_fetch(t->store, meta_name(uuid, name), QD_STR("index"), 1, NULL, &text, &n,
                            NULL, err);
    if (!rc) rc = qd_json_parse(&arena, (qd_str){text, n}, 0, &root, err);
    if (!rc) {
        const qd_json_node *record = qd_json_get(root, "index");
        const qd_json_node *mapping = qd_json_get(root, "mapping");
        rc = record && mapping ? qd_index_meta_decode(record->raw, mapping->raw,
                                                      qd_cluster_plugins(all->cluster), out, err)
                               : qd_err_set(err, QD_E_CORRUPT, "[%s] lacks index or mapping", name);
    }
    if (!rc && !qd_str_is(uuid, (*out)->uuid)) {
        rc =
            qd_err_set(err, QD_E_CORRUPT, "[%s] is the metadata of index [%s]", name, (*out)->uuid);
        qd_index_meta_unref(*out);
    }
    qd_free(text);
    qd_arena_fini(&arena);
    return rc;
}

/* The newest of all tiers: a node may have saved it where it looked for the files in vain. */
static int read_meta(qd_shards *all, qd_str uuid, qd_index_meta **out, qd_err *err)
{
    qd_index_meta *best = NULL;
    int why = QD_E_NOTFOUND;
    for (uint32_t i = 0; i < all->ntiers; i++) {
        qd_index_meta *m = NULL;
        qd_err one;
        qd_err_init(&one);
        int rc = read_meta_on(all, &all->tiers[i], uuid, &m, &one);
        if (!rc && (!best || m->version > best->version)) {
            qd_index_meta_unref(best);
            best = m;
        } else if (!rc) {
            qd_index_meta_unref(m);
        } else if (why == QD_E_NOTFOUND) { /* damage says more than absence */
            why = rc;
            if (err) {
                qd_err_fini(err);
                qd_err_copy(err, &one);
            }
        }
        qd_err_fini(&one);
    }
    if (best && err) qd_err_fini(err);
    *out = best;
    return best ? 0 : why;
}

int qd_shards_dangling(qd_shards *all, int (*each)(void *arg, qd_str uuid, const qd_index_meta *m),
                       void *arg, qd_err *err)
{
    listing l;
    int rc = list_all(all, all->tiers, all->ntiers, &l, err);
    if (rc) return rc;
    uuids_once(&l);
    /* after the listing: an index is recorded before its first file is made */
    qd_state *state = qd_cluster_state(all->cluster);
    for (size_t i = 0; i < l.uuids.n && !rc; i++) {
        qd_str uuid = l.uuids.at[i];
        qd_index_meta *m = NULL;
        qd_err why;
        if (qd_state_index_uuid(state, uuid) || qd_state_buried(state, uuid)) continue;
        qd_err_init(&why);
        if (read_meta(all, uuid, &m, &why)) {
            m = NULL;
            qd_log_warn(SHARD_LOG, "metadata of the dangling index [%.*s]: %s", QD_STR_ARG(uuid),
                        qd_err_reason(&why));
        }
        qd_err_fini(&why);
        rc = each(arg, uuid, m);
        qd_index_meta_unref(m);
    }
    qd_state_unref(state);
    listing_fini(&l);
    return rc;
}

/* Is uuid the name of a folder that nobody knows? */
static int find(void *arg, qd_str uuid, const qd_index_meta *m)
{
    (void)m;
    return qd_str_eq(*(qd_str *)arg, uuid) ? 1 : 0;
}

static int must_dangle(qd_shards *all, qd_str uuid, qd_err *err)
{
    int rc = is_uuid(uuid) ? qd_shards_dangling(all, find, &uuid, err) : 0;
    if (rc < 0) return rc;
    return rc ? 0
              : qd_err_set(err, QD_E_ARG, "No dangling index found for UUID [%.*s]",
                           QD_STR_ARG(uuid));
}

static uint64_t term_above(qd_shards *all, qd_str uuid, uint32_t number)
{
    char folder[80];
    qd_arena arena;
    uint64_t term = 0; /* where it cannot be read, opening the shard says why */
    int n = snprintf(folder, sizeof folder, "indices/%.*s/%u", QD_STR_ARG(uuid), number);
    qd_arena_init(&arena, NULL, META_ARENA_MAX);
    for (uint32_t i = 0; i < all->ntiers; i++) {
        qd_commit c = {0};
        int rc = qd_commit_read(all->tiers[i].store, (qd_str){folder, (size_t)n}, &arena, &c, NULL);
        if (!rc && c.primary_term > term) term = c.primary_term;
    }
    qd_arena_fini(&arena);
    return term + TERM_DISTANCE;
}

int qd_shards_import(qd_shards *all, qd_str uuid, qd_str *name, qd_arena *arena, qd_err *err)
{
    qd_index_meta *m;
    int rc = must_dangle(all, uuid, err);
    if (!rc) rc = read_meta(all, uuid, &m, err);
    if (rc) return rc;
    uint64_t *terms = qd_alloc(NULL, (m->shards + 1) * sizeof *terms);
    if (!terms) rc = qd_err_nomem(err, "import of an index");
    for (uint32_t i = 0; i < m->shards && !rc; i++) terms[i] = term_above(all, uuid, i);
    if (!rc) rc = qd_cluster_import_index(all->cluster, m, terms, NULL, err);
    if (!rc) {
        *name = qd_arena_str(arena, m->name);
        qd_log_info(SHARD_LOG, "[%.*s] dangling index [%s] is imported", QD_STR_ARG(m->name),
                    m->uuid);
    }
    qd_free(terms);
    qd_index_meta_unref(m);
    return rc;
}

static int remove_folder(qd_shards *all, qd_str uuid, qd_err *err)
{
    char prefix[80];
    int n = snprintf(prefix, sizeof prefix, "indices/%.*s/", QD_STR_ARG(uuid));
    return qdi_tiers_delete_all(all, (qd_str){prefix, (size_t)n}, err);
}

int qd_shards_delete_dangling(qd_shards *all, qd_str uuid, qd_err *err)
{
    int rc = must_dangle(all, uuid, err);
    return rc ? rc : remove_folder(all, uuid, err);
}

/* --- at start ------------------------------------------------------------------------------------
 */

static void tidy_strange(qd_store *store, qd_str name)
{
    qd_err err;
    qd_err_init(&err);
    if (qd_file_probe(store, name, NULL)) {
        qd_log_warn(SHARD_LOG, "unknown file [%.*s] is left alone", QD_STR_ARG(name));
    } else if (qd_store_set_aside(store, name, &err)) {
        qd_log_warn(SHARD_LOG, "[%.*s] is a whole file that nothing points to: %s",
                    QD_STR_ARG(name), qd_err_reason(&err));
    } else {
        qd_log_warn(SHARD_LOG, "[%.*s] is a whole file that nothing points to: moved to lost+found",
                    QD_STR_ARG(name));
    }
    qd_err_fini(&err);
}

/* What came or went since the start is its shards' business. */
static void tidy_folder(qd_shards *all, const qd_state *then, const qd_state *now, qd_str uuid)
{
    qd_err err;
    qd_index_meta *m = NULL;
    bool buried = qd_state_buried(then, uuid);
    if (qd_state_index_uuid(now, uuid) || (!buried && qd_state_buried(now, uuid))) return;
    qd_err_init(&err);
    if (buried) {
        if (remove_folder(all, uuid, &err)) {
            qd_log_warn(SHARD_LOG, "files of the deleted index [%.*s] could not be removed: %s",
                        QD_STR_ARG(uuid), qd_err_reason(&err));
        } else {
            qd_log_info(SHARD_LOG, "files of the deleted index [%.*s] are removed",
                        QD_STR_ARG(uuid));
        }
    } else if (read_meta(all, uuid, &m, &err)) {
        qd_log_warn(SHARD_LOG, "dangling index [%.*s]: nobody knows it, and its metadata: %s",
                    QD_STR_ARG(uuid), qd_err_reason(&err));
    } else {
        qd_log_warn(SHARD_LOG,
                    "dangling index [%.*s/%.*s]: the cluster does not know it; qd index "
                    "import-dangling brings it back",
                    QD_STR_ARG(m->name), QD_STR_ARG(uuid));
        qd_index_meta_unref(m);
    }
    qd_err_fini(&err);
}

/* What is here of shards that this node does not hold, but for deletions just finished. */
static void tidy_shard(qd_shards *all, const qd_state *state, const shard_folder *f)
{
    char uuid[QD_UUID_TEXT];
    if (qd_state_buried(state, f->uuid)) return;
    snprintf(uuid, sizeof uuid, "%.*s", QD_STR_ARG(f->uuid));
    qdi_leftover_found(all, uuid, f->number);
}

static void tidy_tier(qd_shards *all, const qd_state *then, const shard_tier *t)
{
    listing l;
    qd_err err;
    qd_err_init(&err);
    int rc = list_all(all, t, 1, &l, &err);
    if (rc && !stopping(all)) {
        qd_log_warn(SHARD_LOG, "what lies on the tier [%s] could not be listed: %s", t->name,
                    qd_err_reason(&err));
    } else if (!rc) {
        qd_state *now = qd_cluster_state(all->cluster); /* after the listing */
        for (size_t i = 0; i < l.uuids.n; i++) tidy_folder(all, then, now, l.uuids.at[i]);
        for (size_t i = 0; i < l.strange.n; i++) tidy_strange(t->store, l.strange.at[i]);
        for (size_t i = 0; i < l.foreign.n; i++) {
            qd_log_warn(SHARD_LOG, "[%.*s] is not the tier's own and is left alone",
                        QD_STR_ARG(l.foreign.at[i]));
        }
        for (size_t i = 0; i < l.shards.n; i++) tidy_shard(all, now, &l.shards.at[i]);
        qd_state_unref(now);
        listing_fini(&l);
    }
    qd_err_fini(&err);
}

typedef struct tidying {
    qd_work work; /* first */
    qd_shards *all;
    qd_state *then; /* at the start */
} tidying;

static void tidy_run(qd_work *w)
{
    tidying *x = (tidying *)(void *)w;
    qd_shards *all = x->all;
    for (uint32_t i = 0; i < all->ntiers; i++) tidy_tier(all, x->then, &all->tiers[i]);
    qdi_leftovers_look(all);
    qd_state_unref(x->then);
    qd_free(x);
    qd_mutex_lock(&all->lock);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

void qd_shards_tidy(qd_shards *all)
{
    tidying *x = qd_calloc(NULL, sizeof *x);
    if (!x) {
        qd_log_warn(SHARD_LOG, "what lies on the tiers is not looked at: out of memory");
        return;
    }
    *x = (tidying){.work.run = tidy_run, .all = all, .then = qd_cluster_state(all->cluster)};
    qd_mutex_lock(&all->lock);
    all->live++;
    qd_mutex_unlock(&all->lock);
    if (qd_pool_submit_forced(qd_pools_get(all->pools, "generic"), &x->work, NULL))
        tidy_run(&x->work);
}
