/* shards.c: following the cluster state, look-up. See shards.h. */
#include "base/log.h"
#include "base/str.h"
#include "shard/shards_int.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

static qd_str key_of(const char *uuid, uint32_t number, char buf[SHARD_KEY_MAX])
{
    size_t n = strnlen(uuid, SHARD_KEY_MAX - 12); /* each search and write asks */
    char digits[10];
    uint32_t k = 0;
    memcpy(buf, uuid, n);
    buf[n++] = '/';
    do {
        digits[k++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (k) buf[n++] = digits[--k];
    return (qd_str){buf, n};
}

int qd_shards_open(const qd_shards_config *c, qd_shards **out, qd_err *err)
{
    qd_shards *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "shards");
    s->env = c->env;
    qdi_tiers_init(s, c);
    s->pools = c->pools;
    s->account = c->account;
    s->fielddata = c->fielddata;
    s->buffer_bytes = c->buffer_bytes;
    atomic_store(&s->slot_bytes, (uint64_t)c->buffer_bytes / c->slots);
    s->slots = c->slots;
    s->config = c->config;
    qd_mutex_init(&s->apply);
    qd_mutex_init(&s->lock);
    qd_cond_init(&s->idle);
    qd_cond_init(&s->tick);
    qd_map_init(&s->map, NULL);
    qdi_shards_tick_init(s);
    qd_map_init(&s->metas, NULL);
    qd_map_init(&s->left, NULL);
    int rc = qd_thread_start(s->env, "shards", qdi_shards_tick, s, &s->ticker, err);
    if (rc) {
        qd_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void qd_shards_cluster(qd_shards *s, qd_cluster *c)
{
    s->cluster = c;
    qd_state *now = qd_cluster_shown(c);
    qd_shards_apply(s, NULL, now);
    qd_state_unref(now);
}

void qd_shards_copies_set(qd_shards *s, const qd_shards_copies *copies, void *arg)
{
    s->copies = copies;
    s->copies_arg = arg;
}

qd_shard *qd_shards_get(qd_shards *s, const char *uuid, uint32_t number)
{
    char key[SHARD_KEY_MAX];
    qd_mutex_lock(&s->lock);
    qd_shard *shard = qd_map_get(&s->map, key_of(uuid, number, key));
    if (shard) qdi_shard_ref(shard);
    qd_mutex_unlock(&s->lock);
    return shard;
}

int qd_shards_each(qd_shards *s, int (*fn)(void *arg, qd_shard *shard), void *arg)
{
    QD_VEC(qd_shard *) list = {0};
    size_t pos = 0;
    const qd_map_entry *e;
    int rc = 0;
    qd_mutex_lock(&s->lock);
    while ((e = qd_map_next(&s->map, &pos))) {
        if (!qd_vec_push(&list, NULL, (qd_shard *)e->value)) qdi_shard_ref(e->value);
    }
    qd_mutex_unlock(&s->lock);
    for (size_t i = 0; i < list.n; i++) {
        if (!rc) rc = fn(arg, list.at[i]);
        qd_shard_unref(list.at[i]);
    }
    qd_vec_fini(&list);
    return rc;
}

static int add_bytes(void *arg, qd_shard *s)
{
    qdi_gate_enter(&s->gate);
    if (s->engine) *(uint64_t *)arg += qd_engine_buffer_bytes(s->engine, NULL);
    qdi_gate_leave(&s->gate);
    return 0;
}

uint64_t qd_shards_buffer_bytes(qd_shards *s)
{
    uint64_t sum = 0;
    (void)qd_shards_each(s, add_bytes, &sum);
    return sum;
}

/* --- following
 * ------------------------------------------------------------------------------------- */

/* Is this what was saved last? Damage is reported, and mended by saving again. */
static bool meta_saved(qd_store *store, qd_str name, qd_str text)
{
    char *saved = NULL;
    size_t n = 0;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_store_fetch(store, name, QD_STR("index"), 1, NULL, &saved, &n, NULL, &err);
    bool same = !rc && qd_str_eq((qd_str){saved, n}, text);
    if (rc == QD_E_CORRUPT) qd_log_error(SHARD_LOG, "%s; written anew", qd_err_reason(&err));
    qd_free(saved);
    qd_err_fini(&err);
    return same;
}

/* Metadata beside the data, so that a lost cluster state does not lose the index. */
static void save_meta(qd_shards *all, const qd_index_meta *m)
{
    char name[80];
    qd_buf b;
    qd_json_writer w;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, (size_t)16 << 20);
    qd_json_writer_init(&w, &b, true);
    qd_json_object(&w);
    qd_json_key_c(&w, "index");
    qd_index_meta_encode(m, &w);
    qd_json_key_c(&w, "mapping");
    qd_json_raw_value(&w, qd_mapping_json(m->mapping));
    qd_json_object_end(&w);
    int n = snprintf(name, sizeof name, "indices/%s/meta", m->uuid);
    shard_tier *t = NULL;
    int rc = qd_buf_status(&b);
    if (!rc) rc = qdi_tier_of(all, m, &t, &err);
    if (!rc && !meta_saved(t->store, (qd_str){name, (size_t)n}, qd_buf_view(&b))) {
        rc = qd_store_publish(t->store, (qd_str){name, (size_t)n}, QD_STR("index"), 1,
                              qd_buf_view(&b), &err);
    }
    if (rc) {
        qd_log_warn(SHARD_LOG, "[%.*s] metadata could not be written beside the data: %s",
                    QD_STR_ARG(m->name), qd_err_reason(&err));
    }
    qd_buf_fini(&b);
    qd_err_fini(&err);
}

/* An index that was deleted while its metadata was written has none. */
static void drop_deleted(qd_shards *all, const qd_index_meta *m)
{
    char name[80];
    qd_state *s = qd_cluster_state(all->cluster);
    bool deleted = qd_state_buried(s, qd_str_c(m->uuid));
    qd_state_unref(s);
    int n = snprintf(name, sizeof name, "indices/%s/meta", m->uuid);
    for (uint32_t i = 0; i < all->ntiers && deleted; i++) {
        int rc = qd_store_delete(all->tiers[i].store, (qd_str){name, (size_t)n}, NULL);
        (void)rc; /* what stays is cleared at the next start */
    }
}

static void save_metas(qd_work *w)
{
    qd_shards *all = w->user;
    qd_mutex_lock(&all->lock);
    for (;;) {
        size_t pos = 0;
        const qd_map_entry *e = qd_map_next(&all->metas, &pos);
        qd_index_meta *m = e ? qd_map_del(&all->metas, e->key) : NULL;
        if (!m) break;
        qd_mutex_unlock(&all->lock);
        save_meta(all, m);
        drop_deleted(all, m);
        qd_index_meta_unref(m);
        qd_mutex_lock(&all->lock);
    }
    all->meta_queued = false;
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

/* Has metadata written beside the data, on a worker: the newest one when there were several. */
static void queue_meta(qd_shards *all, const qd_index_meta *m)
{
    void *old = NULL;
    qd_mutex_lock(&all->lock);
    qd_index_meta *mine = qd_index_meta_ref(m);
    if (qd_map_put(&all->metas, qd_str_c(m->uuid), mine, &old))
        old = mine; /* with the next change */
    bool begin = !all->meta_queued && all->metas.n;
    if (begin) {
        all->meta_queued = true;
        all->live++;
    }
    qd_mutex_unlock(&all->lock);
    qd_index_meta_unref(old);
    if (!begin) return;
    all->meta_work = (qd_work){.run = save_metas, .user = all};
    if (qd_pool_submit_forced(qd_pools_get(all->pools, "generic"), &all->meta_work, NULL)) {
        save_metas(&all->meta_work); /* the pools are closing */
    }
}

static void begin(qd_shards *all, const qd_index_meta *m, uint32_t number, const qd_shard_meta *r,
                  const qd_copy *c)
{
    char key[SHARD_KEY_MAX];
    qd_shard *shard;
    qd_err err;
    qd_err_init(&err);
    if (qdi_shard_make(all, m, number, r, c, &shard, &err)) {
        qd_log_error(SHARD_LOG, "[%.*s][%u] %s", QD_STR_ARG(m->name), number, qd_err_reason(&err));
        qd_err_fini(&err);
        return;
    }
    qd_mutex_lock(&all->lock);
    all->live++;
    int rc = qd_map_put(&all->map, key_of(m->uuid, number, key), shard, NULL);
    if (!rc) qdi_shard_awake(shard);
    qd_cond_signal(&all->tick);
    qd_mutex_unlock(&all->lock);
    if (rc) {
        qd_shard_unref(shard);
        return;
    }
    qdi_leftover_taken(all, m->uuid, number); /* who looks from now on finds it held */
    qdi_shard_queue(shard, &shard->open, "generic", qdi_shard_open_run);
}

/* Takes a shard out of the map; remove: its files go with its last user. */
static void end(qd_shards *all, const char *uuid, uint32_t number, bool remove)
{
    char key[SHARD_KEY_MAX];
    qd_mutex_lock(&all->lock);
    qd_shard *shard = qd_map_del(&all->map, key_of(uuid, number, key));
    if (shard) {
        qdi_shard_asleep(shard);
        shard->ended = true;
        shard->removing = shard->index_gone = remove;
        shard->next_ended = all->ended;
        shard->ended_at = &all->ended;
        if (all->ended) all->ended->ended_at = &shard->next_ended;
        all->ended = shard;
        qd_cond_broadcast(&all->idle); /* its opening waits no more */
    }
    qd_mutex_unlock(&all->lock);
    if (!shard && remove) qdi_leftover_look(all, uuid, number, NULL, NULL);
    if (!shard) return;
    if (!remove) qdi_leftover_add(all, uuid, number);
    qd_mutex_lock(&shard->lock);
    shard->phase = SHARD_CLOSED;
    qd_waitq_wake(&shard->changed);
    qd_mutex_unlock(&shard->lock);
    /* closed on a worker, as users may be inside; the job's reference keeps it until then */
    qdi_shard_queue(shard, &shard->close, "generic", qdi_shard_close_run);
    qd_shard_unref(shard);
}

/* Is it the copy of the record, as it was begun? A primary that is to be opened under another term
 * is begun again, unless it asked for that itself. */
static bool same_copy(const qd_shard *s, const qd_shard_meta *r, const qd_copy *c)
{
    if (!qd_str_is(c->allocation_id, s->allocation_id)) return false;
    return c->state != QD_SHARD_INITIALIZING || c != &r->copies[0] ||
           atomic_load(&s->primary_term) == r->primary_term || atomic_load(&s->reopening);
}

/* A copy of a closed index has nothing to open: it is as good as started. */
static void report_closed(qd_shards *all, const qd_index_meta *m, uint32_t number,
                          const qd_shard_meta *r, const qd_copy *c)
{
    if (c->state != QD_SHARD_INITIALIZING || c != &r->copies[0]) return;
    qdi_closed_report(all, m->uuid, number, c->allocation_id);
}

void qdi_closed_reports(qd_shards *all)
{
    const qd_node_meta *self = qd_cluster_self(all->cluster);
    qd_state *now = qd_cluster_state(all->cluster);
    for (uint32_t i = 0; i < now->n; i++) {
        const qd_index_meta *m = now->indices[i];
        for (uint32_t k = 0; m->closed && k < m->shards; k++) {
            const qd_shard_meta *r = &now->shards[i][k];
            const qd_copy *c = qd_shard_meta_copy_of(r, self->id);
            if (c && qd_str_eq(c->ephemeral, self->ephemeral)) report_closed(all, m, k, r, c);
        }
    }
    qd_state_unref(now);
}

static void follow_index(qd_shards *all, const qd_index_meta *m, const qd_shard_meta *shards)
{
    const qd_node_meta *self = qd_cluster_self(all->cluster);
    bool here = false, changed = false;
    for (uint32_t k = 0; k < m->shards; k++) {
        const qd_shard_meta *r = &shards[k];
        const qd_copy *c = qd_shard_meta_copy_of(r, self->id);
        if (c && !qd_str_eq(c->ephemeral, self->ephemeral)) c = NULL; /* of the process before */
        bool mine = c && !m->closed;
        qd_shard *shard = qd_shards_get(all, m->uuid, k);
        here |= mine;
        if (c && m->closed) report_closed(all, m, k, r, c);
        if (shard && (!mine || !same_copy(shard, r, c))) {
            shard->aside = !qd_shard_meta_in_sync(r, qd_str_c(shard->allocation_id));
            end(all, m->uuid, k, false);
            qd_shard_unref(shard);
            shard = NULL;
        }
        if (mine && !shard) {
            begin(all, m, k, r, c);
            changed = true;
        } else if (shard) {
            qd_index_meta *had = qd_shard_index(shard);
            if (had->mod_revision != m->mod_revision) {
                changed = true;
                qdi_shard_index_set(shard, m);
            }
            qd_index_meta_unref(had);
        } else if (!c) {
            qdi_leftover_look(all, m->uuid, k, r, self);
        }
        qd_shard_unref(shard);
    }
    if (here && changed) queue_meta(all, m);
}

void qdi_shard_follow(qd_shard *s)
{
    qd_shards *all = s->shards;
    if (!all->cluster) return;
    qd_mutex_lock(&all->apply);
    qd_state *now = qd_cluster_shown(all->cluster);
    bool newest = now && !all->stop && now->revision >= all->applied;
    const qd_index_meta *m = newest ? qd_state_index_uuid(now, qd_str_c(s->uuid)) : NULL;
    const qd_shard_meta *r = m ? qd_state_shard(now, m, 0) : NULL;
    if (r) follow_index(all, m, r);
    qd_state_unref(now);
    qd_mutex_unlock(&all->apply);
}

/* An index of the state that was followed last is not in this one. A record that cannot be read any
 * more is no deletion: its files stay. */
static void end_index(qd_shards *all, const qd_state *now, const qd_index_meta *m)
{
    bool deleted = qd_state_buried(now, qd_str_c(m->uuid));
    for (uint32_t k = 0; k < m->shards; k++) end(all, m->uuid, k, deleted);
    if (!deleted) return;
    qd_mutex_lock(&all->lock);
    qd_index_meta *unsaved = qd_map_del(&all->metas, qd_str_c(m->uuid));
    qd_mutex_unlock(&all->lock);
    qd_index_meta_unref(unsaved);
}

typedef struct following {
    qd_shards *all;
    const qd_state *now;
} following;

static int follow_difference(void *arg, const qd_state_difference *d)
{
    const following *f = arg;
    if (d->is) {
        follow_index(f->all, d->is, d->is_shards);
    } else {
        end_index(f->all, f->now, d->was);
    }
    return 0;
}

void qd_shards_apply(void *arg, const qd_state *old, const qd_state *now)
{
    qd_shards *all = arg;
    following f = {all, now};
    if (!all->cluster) return;
    qd_mutex_lock(&all->apply);
    /* shards being closed are not begun again; the first state may come after a newer one */
    if (all->stop || now->revision < all->applied) {
        qd_mutex_unlock(&all->apply);
        return;
    }
    /* what is the same object as in the state that was followed last needs no look */
    bool next = old && old->revision == all->applied;
    all->applied = now->revision;
    if (next) {
        (void)qd_state_diff(old, now, follow_difference, &f);
    } else {
        for (uint32_t i = 0; old && i < old->n; i++) {
            const qd_index_meta *m = old->indices[i];
            if (!qd_state_index_uuid(now, qd_str_c(m->uuid))) end_index(all, now, m);
        }
        for (uint32_t i = 0; i < now->n; i++) follow_index(all, now->indices[i], now->shards[i]);
    }
    qd_mutex_unlock(&all->apply);
}

/* --- end
 * ---------------------------------------------------------------------------------------------- */

static int stop_shard(void *arg, qd_shard *s)
{
    (void)arg;
    qdi_shard_stop(s, true);
    return 0;
}

void qd_shards_close(qd_shards *s)
{
    if (!s) return;
    qd_mutex_lock(&s->apply);
    qd_mutex_lock(&s->lock);
    s->stop = true;
    qd_cond_broadcast(&s->tick);
    qd_mutex_unlock(&s->lock);
    qd_mutex_unlock(&s->apply);
    qd_thread_join(s->env, s->ticker);
    (void)qd_shards_each(s, stop_shard, NULL);
    for (;;) {
        size_t pos = 0;
        qd_mutex_lock(&s->lock);
        const qd_map_entry *e = qd_map_next(&s->map, &pos);
        qd_shard *shard = e ? qd_map_del(&s->map, e->key) : NULL;
        if (shard) qdi_shard_asleep(shard);
        qd_mutex_unlock(&s->lock);
        if (!shard) break;
        qd_shard_unref(shard);
    }
    qd_mutex_lock(&s->lock);
    while (s->live) qd_cond_wait(&s->idle, &s->lock); /* users of readers and queued work */
    qd_mutex_unlock(&s->lock);
    qd_map_fini(&s->map);
    qd_map_fini(&s->metas);
    qd_vec_fini(&s->histories);
    qd_awake_fini(&s->awake);
    qd_map_fini(&s->left);
    qd_cond_fini(&s->idle);
    qd_cond_fini(&s->tick);
    qd_mutex_fini(&s->lock);
    qd_mutex_fini(&s->apply);
    qd_free(s);
}
