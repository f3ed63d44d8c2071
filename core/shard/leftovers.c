/*
 * leftovers.c: files of copies that this node held and does not hold any more. They stay as long as
 * they may be of use: while the node is named in the in-sync set, or a copy elsewhere is missing or
 * not started (a new copy here would begin with them). Then they go.
 */
#include "base/log.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

typedef struct removal {
    qd_work work; /* first */
    qd_shards *shards;
    char uuid[QD_UUID_TEXT];
    uint32_t number;
    bool index_gone;
} removal;

static char kept, going; /* values of shards->left: their addresses are the marks */

static qd_str key_of(const char *uuid, uint32_t number, char buf[SHARD_KEY_MAX])
{
    int n = snprintf(buf, SHARD_KEY_MAX, "%s/%u", uuid, number);
    return (qd_str){buf, (size_t)n};
}

/* --- files ----------------------------------------------------------------------------------- */

typedef struct counting {
    uint32_t others; /* files that are not the index's metadata */
} counting;

static int count_others(void *arg, qd_str name, uint64_t bytes)
{
    counting *c = arg;
    (void)bytes;
    c->others += !qd_str_ends(name, QD_STR("/meta"));
    return 0;
}

void qdi_shard_files_remove(qd_shards *all, const char *uuid, uint32_t number, const char *name,
                            bool index_gone)
{
    qd_err err;
    char prefix[96];
    counting c = {0};
    qd_err_init(&err);
    int n = snprintf(prefix, sizeof prefix, "indices/%s/%u/", uuid, number);
    if (qdi_tiers_delete_all(all, (qd_str){prefix, (size_t)n}, &err)) {
        qd_log_warn(SHARD_LOG, "%s files that are not needed any more could not be removed: %s",
                    name, qd_err_reason(&err));
    }
    qd_err_fini(&err);
    if (!index_gone) return; /* another shard of it may come here at this moment */
    n = snprintf(prefix, sizeof prefix, "indices/%s/", uuid);
    qd_str folder = {prefix, (size_t)n};
    /* what stays of these is cleared at the next start */
    int rc = 0;
    for (uint32_t i = 0; i < all->ntiers && !rc; i++)
        rc = qd_store_list(all->tiers[i].store, folder, count_others, &c, NULL);
    if (!rc && !c.others) rc = qdi_tiers_delete_all(all, folder, NULL);
    (void)rc;
}

/* --- which ----------------------------------------------------------------------------------- */

static void add(qd_shards *all, const char *uuid, uint32_t number, bool unless_held)
{
    char buf[SHARD_KEY_MAX];
    qd_str key = key_of(uuid, number, buf);
    qd_mutex_lock(&all->lock);
    bool skip = qd_map_get(&all->left, key) || (unless_held && qd_map_get(&all->map, key));
    int rc = skip ? 0 : qd_map_put(&all->left, key, &kept, NULL);
    (void)rc; /* found again at the next start */
    qd_mutex_unlock(&all->lock);
}

void qdi_leftover_add(qd_shards *all, const char *uuid, uint32_t number)
{
    add(all, uuid, number, false);
}

void qdi_leftover_taken(qd_shards *all, const char *uuid, uint32_t number)
{
    char buf[SHARD_KEY_MAX];
    qd_str key = key_of(uuid, number, buf);
    qd_mutex_lock(&all->lock);
    if (qd_map_get(&all->left, key) == &kept) (void)qd_map_del(&all->left, key);
    for (qd_shard *s = all->ended; s; s = s->next_ended) {
        bool same = s->number == number && strcmp(s->uuid, uuid) == 0;
        if (same && !s->deleting) s->removing = false;
    }
    qd_mutex_unlock(&all->lock);
}

bool qdi_leftover_going(const qd_shards *all, const char *uuid, uint32_t number)
{
    char buf[SHARD_KEY_MAX];
    return qd_map_get(&all->left, key_of(uuid, number, buf)) == &going;
}

/* Does nobody need what this node has of the shard? */
static bool of_no_use(const qd_shard_meta *r, const qd_node_meta *self)
{
    if (!r->ncopies || r->fresh) return false;
    for (uint32_t i = 0; i < r->ncopies; i++) {
        if (r->copies[i].state != QD_SHARD_STARTED) return false;
        if (qd_str_eq(r->copies[i].node, self->id)) return false;
    }
    for (uint32_t i = 0; i < r->nin_sync; i++) {
        if (qd_str_eq(r->in_sync[i].node, self->id)) return false;
    }
    return true;
}

static void remove_run(qd_work *w)
{
    removal *r = (removal *)(void *)w;
    qd_shards *all = r->shards;
    char buf[SHARD_KEY_MAX], name[SHARD_KEY_MAX + 4];
    qd_str key = key_of(r->uuid, r->number, buf);
    snprintf(name, sizeof name, "[%s]", buf);
    qdi_shard_files_remove(all, r->uuid, r->number, name, r->index_gone);
    qd_log_info(SHARD_LOG, "[%s] files of a copy that is elsewhere now are removed", buf);
    qd_free(r);
    qd_mutex_lock(&all->lock);
    (void)qd_map_del(&all->left, key);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

void qdi_leftover_look(qd_shards *all, const char *uuid, uint32_t number, const qd_shard_meta *r,
                       const qd_node_meta *self)
{
    char buf[SHARD_KEY_MAX];
    qd_mutex_lock(&all->lock);
    bool any = all->left.n != 0;
    qd_str key = any ? key_of(uuid, number, buf) : (qd_str){NULL, 0};
    bool look = any && qd_map_get(&all->left, key) == &kept && (!r || of_no_use(r, self));
    qd_shard *user = look ? all->ended : NULL;
    while (user && (user->number != number || strcmp(user->uuid, uuid) != 0)) {
        user = user->next_ended;
    }
    removal *x = look && !user ? qd_calloc(NULL, sizeof *x) : NULL;
    if (user && atomic_load(&user->refs) == 0) {
        /* it goes just now and may have looked already: with a later state, or at the next start */
    } else if (user) { /* they go with its last user */
        user->removing = true;
        user->index_gone |= !r;
        (void)qd_map_del(&all->left, key);
    } else if (x && qd_map_put(&all->left, key, &going, NULL) == 0) {
        all->live++;
    } else {
        qd_free(x);
        x = NULL;
    }
    qd_mutex_unlock(&all->lock);
    if (!x) return;
    x->shards = all;
    x->number = number;
    x->index_gone = !r;
    snprintf(x->uuid, sizeof x->uuid, "%s", uuid);
    x->work.run = remove_run;
    if (qd_pool_submit_forced(qd_pools_get(all->pools, "generic"), &x->work, NULL)) {
        remove_run(&x->work); /* the pools are closing */
    }
}

/* --- at start -------------------------------------------------------------------------------- */

void qdi_leftover_found(qd_shards *all, const char *uuid, uint32_t number)
{
    add(all, uuid, number, true);
}

void qdi_leftovers_look(qd_shards *all)
{
    const qd_node_meta *self = qd_cluster_self(all->cluster);
    qd_state *s = qd_cluster_state(all->cluster);
    qd_mutex_lock(&all->apply);
    for (uint32_t i = 0; i < s->n && s->revision >= all->applied; i++) {
        for (uint32_t k = 0; k < s->indices[i]->shards; k++) {
            qdi_leftover_look(all, s->indices[i]->uuid, k, &s->shards[i][k], self);
        }
    }
    qd_mutex_unlock(&all->apply);
    qd_state_unref(s);
}
