/*
 * tiers.c: on which of the node's tiers an index lies.
 *
 * All files that a node has of one index lie on one tier: the one where they are, else the one that
 * index.storage.tier names, and of an index without that setting the node's own. A tier without
 * logs takes the segments only; translog and commit points are where they are, else on the node's
 * own tier, which has logs.
 */
#include "base/log.h"
#include "base/str.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

static void add(qd_shards *all, qd_str name, const char *path, qd_store *store)
{
    shard_tier *t = &all->tiers[all->ntiers++];
    snprintf(t->name, sizeof t->name, "%.*s", QD_STR_ARG(name));
    t->path = path ? path : "";
    t->store = store;
    t->caps = store ? qd_store_caps(store) : UINT32_MAX;
}

void qdi_tiers_init(qd_shards *all, const qd_shards_config *c)
{
    qd_assert(c->nothers < QD_TIERS_MAX);
    add(all, c->tier, c->path, c->store);
    for (uint32_t i = 0; i < c->nothers; i++)
        add(all, c->others[i].name, c->others[i].path, c->others[i].store);
}

uint32_t qd_shards_tier_caps(const qd_shards *all)
{
    uint32_t caps = UINT32_MAX;
    for (uint32_t i = 0; i < all->ntiers; i++) caps &= all->tiers[i].caps;
    return caps;
}

void qd_shards_tiers(qd_shards *all, void (*each)(void *arg, const qd_tier_space *t), void *arg)
{
    for (uint32_t i = 0; i < all->ntiers; i++) {
        const shard_tier *x = &all->tiers[i];
        qd_tier_space t = {.name = x->name, .path = x->path, .durable = x->caps & QD_STORE_DURABLE};
        if (qd_store_capacity(all->tiers[i].store, &t.total, &t.available, NULL))
            t.total = t.available = 0;
        each(arg, &t);
    }
}

/* Its metadata is beside the files, and may be there before them. */
static int is_file(void *arg, qd_str name, uint64_t bytes)
{
    (void)arg;
    (void)bytes;
    return !qd_str_ends(name, QD_STR("/meta"));
}

static int is_segment(void *arg, qd_str name, uint64_t bytes)
{
    (void)arg;
    (void)bytes;
    qd_str file = name;
    while (file.p) name = qd_str_split(&file, '/');
    return qd_str_starts(name, QD_STR("seg-"));
}

/* Has the tier files of the index, as fn tells by returning 1? */
static int holds(const shard_tier *t, const char *uuid,
                 int (*fn)(void *arg, qd_str name, uint64_t bytes), bool *yes, qd_err *err)
{
    char prefix[96];
    int n = snprintf(prefix, sizeof prefix, "indices/%s/", uuid);
    int rc = qd_store_list(t->store, (qd_str){prefix, (size_t)n}, fn, NULL, err);
    *yes = rc == 1;
    return rc < 0 ? rc : 0;
}

static shard_tier *named(qd_shards *all, qd_str name)
{
    for (uint32_t i = 0; i < all->ntiers; i++)
        if (qd_str_is(name, all->tiers[i].name)) return &all->tiers[i];
    return NULL;
}

int qdi_tier_of(qd_shards *all, const qd_index_meta *m, shard_tier **out, qd_err *err)
{
    qd_str wanted = qd_values_text(m->values, QD_IX_STORAGE_TIER);
    shard_tier *t = wanted.n ? named(all, wanted) : &all->tiers[0];
    bool here = false;
    *out = t;
    if (all->ntiers == 1 && t) return 0;
    /* beside a tier without logs there are logs, which are no reason to take their tier */
    bool logs = !t || t->caps & QD_STORE_APPEND;
    int rc = t ? holds(t, m->uuid, is_file, &here, err) : 0;
    for (uint32_t i = 0; i < all->ntiers && !rc && !here; i++) {
        if (&all->tiers[i] == t) continue;
        rc = holds(&all->tiers[i], m->uuid, logs ? is_file : is_segment, &here, err);
        if (here) *out = &all->tiers[i];
    }
    if (rc || *out) return rc;
    return qd_err_set(err, QD_E_CONFIG,
                      "index.storage.tier is [%.*s], which is none of the tiers of this node "
                      "(storage.tiers.*)",
                      QD_STR_ARG(wanted));
}

int qdi_tier_of_log(qd_shards *all, const char *uuid, shard_tier *t, shard_tier **out, qd_err *err)
{
    bool here = false;
    int rc = 0;
    *out = t->caps & QD_STORE_APPEND ? t : &all->tiers[0];
    for (uint32_t i = 0; i < all->ntiers && *out != t && !rc && !here; i++) {
        if (!(all->tiers[i].caps & QD_STORE_APPEND)) continue;
        rc = holds(&all->tiers[i], uuid, is_file, &here, err);
        if (here) *out = &all->tiers[i];
    }
    return rc;
}

static int count_commit(void *arg, qd_str name, uint64_t bytes)
{
    (void)bytes;
    *(uint32_t *)arg += qd_str_ends(name, QD_STR("/commit"));
    return 0;
}

int qdi_tiers_check_one(qd_shards *all, const char *folder, qd_err *err)
{
    char name[96];
    const shard_tier *first = NULL;
    int rc = 0, n = snprintf(name, sizeof name, "%s/commit", folder);
    for (uint32_t i = 0; i < all->ntiers && all->ntiers > 1 && !rc; i++) {
        uint32_t commits = 0;
        const shard_tier *t = &all->tiers[i];
        rc = qd_store_list(t->store, (qd_str){name, (size_t)n}, count_commit, &commits, err);
        if (!rc && commits && first)
            return qd_err_set(err, QD_E_STATE,
                              "[%s] is on the tiers [%s] and [%s] of this node, and nothing says "
                              "which of both is the copy: move one of the folders away",
                              folder, first->name, t->name);
        if (commits) first = t;
    }
    return rc;
}

int qdi_tiers_delete_all(qd_shards *all, qd_str prefix, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < all->ntiers; i++) {
        int one = qd_store_delete_all(all->tiers[i].store, prefix, rc ? NULL : err);
        if (!rc) rc = one;
    }
    return rc;
}

uint64_t qdi_tiers_damaged(const qd_shards *all)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < all->ntiers; i++) sum += qd_store_damaged(all->tiers[i].store);
    return sum;
}
