/*
 * scrub.c: damage that is found below open shards, and the scrubber that looks for it.
 *
 * The scrubber reads all files of open shards from the medium, past the page cache, once in
 * storage.scrub.interval: a portion at a time, evenly spread, in order of shards and names, and
 * holds nothing open in between. Readers come across damage as well. Whoever finds it, the copy
 * fails when another one is in sync: that one serves, and this one is filled from it anew. The only
 * copy goes on with what is not damaged.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/commit.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

#define PORTION (UINT64_C(1) << 20)      /* at one time, unless the rate asks for more */
#define PORTION_MAX (UINT64_C(64) << 20) /* … */
#define TICKS_A_SECOND 20u               /* looks of the ticker */
#define FILE_LEAST 32768u                /* a small file counts as so many bytes */
#define LOOK_NS UINT64_C(60000000000)    /* until all is looked at again where little is known */
#define NAME_MAX_HERE 320

/* --- what is damaged -------------------------------------------------------------------------- */

/* Has another copy everything that was acknowledged, and does it serve? */
static bool another_serves(const qd_shard *s)
{
    bool yes = false;
    qd_state *state = qd_cluster_state(s->shards->cluster);
    const qd_index_meta *m = qd_state_index_uuid(state, qd_str_c(s->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(state, m, s->number) : NULL;
    for (uint32_t i = 0; r && i < r->ncopies && !yes; i++) {
        const qd_copy *c = &r->copies[i];
        yes = !qd_str_is(c->allocation_id, s->allocation_id) && qd_copy_is_active(c) &&
              qd_shard_meta_in_sync(r, c->allocation_id) && qd_state_copy_lives(state, c);
    }
    qd_state_unref(state);
    return yes;
}

/* Remembers the file; true: it was not known. */
static bool remember(qd_shard *s, qd_str name)
{
    bool known = false;
    char *copy = qd_memdup(NULL, name.p, name.n);
    qd_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->damaged.n && !known; i++) known = qd_str_is(name, s->damaged.at[i]);
    bool kept = copy && !known && qd_vec_push(&s->damaged, NULL, copy) == 0;
    qd_mutex_unlock(&s->lock);
    if (!kept) qd_free(copy);
    if (!known) atomic_fetch_add(&s->shards->scrub.files_damaged, 1);
    return !known;
}

/* A file of the shard is damaged: the copy fails if another one serves. */
static void found(qd_shard *s, qd_str name, qd_str why)
{
    bool fails = another_serves(s), told = !remember(s, name);
    if (!fails) s->shards->scrub.waiting = true;
    if (told && !fails) return;
    qd_log_error(SHARD_LOG, "%s %.*s%s", s->name, QD_STR_ARG(why),
                 fails ? ": this copy fails, another one serves and fills it anew"
                       : "; no other copy is in sync: what is not damaged is served on");
    if (fails) qd_shard_fail(s, why, QD_E_CORRUPT);
}

/* Fails copies that have damaged files, whoever came across them. */
static int look(void *arg, qd_shard *s)
{
    (void)arg;
    char why[NAME_MAX_HERE];
    if (!qd_shard_ready(s, NULL)) return 0;
    qd_reader *r = qd_shard_reader(s);
    for (uint32_t i = 0; r && i < r->n; i++) {
        qd_file *f = qd_segment_file(r->leaf[i].segment);
        if (!qd_file_damaged(f)) continue;
        int n = snprintf(why, sizeof why, "file %.*s is damaged", QD_STR_ARG(qd_file_name(f)));
        found(s, qd_file_name(f), (qd_str){why, (size_t)n});
    }
    qd_reader_unref(r);
    return 0;
}

static int set_aside(qd_shard *s, qd_str name)
{
    int rc = qd_store_set_aside(s->tier->store, name, NULL);
    return rc && s->tier != s->log_tier ? qd_store_set_aside(s->log_tier->store, name, NULL) : rc;
}

void qdi_shard_damage_aside(qd_shard *s)
{
    char name[96];
    if (!s->aside || !s->damaged.n) return;
    for (size_t i = 0; i < s->damaged.n; i++) {
        if (set_aside(s, qd_str_c(s->damaged.at[i]))) continue;
        qd_log_warn(SHARD_LOG, "%s %s is in lost+found", s->name, s->damaged.at[i]);
    }
    /* without it nothing of this folder is taken for a copy */
    int n = snprintf(name, sizeof name, "%s/commit", s->folder);
    qd_err err;
    qd_err_init(&err);
    if (qd_store_delete(s->log_tier->store, (qd_str){name, (size_t)n}, &err)) {
        qd_log_warn(SHARD_LOG, "%s %s", s->name, qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

void qdi_shard_damage_fini(qd_shard *s)
{
    for (size_t i = 0; i < s->damaged.n; i++) qd_free(s->damaged.at[i]);
    qd_vec_fini(&s->damaged);
}

/* --- where the scrubber is -------------------------------------------------------------------- */

/* The shard that comes after `after` in order of keys, with a reference; NULL: none does. */
static qd_shard *next_shard(qd_shards *all, qd_str after)
{
    qd_str least = {0};
    qd_shard *s = NULL;
    size_t pos = 0;
    qd_mutex_lock(&all->lock);
    for (const qd_map_entry *e; (e = qd_map_next(&all->map, &pos));) {
        if (qd_str_cmp(e->key, after) <= 0 || (s && qd_str_cmp(e->key, least) >= 0)) continue;
        least = e->key;
        s = e->value;
    }
    if (s) {
        qdi_shard_ref(s);
        snprintf(all->scrub.shard, sizeof all->scrub.shard, "%.*s", QD_STR_ARG(least));
    }
    qd_mutex_unlock(&all->lock);
    return s;
}

/* The one where it stands, or the next one. */
static qd_shard *this_shard(qd_shards *all)
{
    qd_mutex_lock(&all->lock);
    qd_shard *s = qd_map_get(&all->map, qd_str_c(all->scrub.shard));
    if (s) qdi_shard_ref(s);
    qd_mutex_unlock(&all->lock);
    if (s) return s;
    all->scrub.file[0] = 0;
    all->scrub.at = 0;
    return next_shard(all, qd_str_c(all->scrub.shard));
}

typedef struct listing {
    qd_shards *all;
    size_t prefix;
    bool found;
} listing;

/* Logs are compared record by record when they are read. */
static int pick(void *arg, qd_str name, uint64_t bytes)
{
    listing *l = arg;
    qd_str file = qd_str_sub(name, l->prefix, name.n);
    (void)bytes;
    bool framed = qd_str_starts(file, QD_STR("seg-")) || qd_str_starts(file, QD_STR("live-"));
    if (!framed && !qd_str_is(file, "commit")) return 0;
    if (qd_str_cmp(file, qd_str_c(l->all->scrub.file)) <= 0) return 0;
    if (file.n >= sizeof l->all->scrub.file) return 0;
    snprintf(l->all->scrub.file, sizeof l->all->scrub.file, "%.*s", QD_STR_ARG(file));
    l->all->scrub.at = 0;
    l->found = true;
    return 1;
}

/* Moves on to the shard's next file; false: there is none. */
static bool next_file(qd_shards *all, const qd_shard *s)
{
    char prefix[96];
    int n = snprintf(prefix, sizeof prefix, "%s/", s->folder);
    listing l = {.all = all, .prefix = (size_t)n};
    qd_str folder = {prefix, (size_t)n};
    int rc = 0;
    /* "commit" is before all segments */
    if (s->log_tier != s->tier) rc = qd_store_list(s->log_tier->store, folder, pick, &l, NULL);
    if (!l.found) rc = qd_store_list(s->tier->store, folder, pick, &l, NULL);
    return rc >= 0 && l.found; /* what cannot be listed is the next pass's */
}

static int add_bytes(void *arg, qd_shard *s)
{
    qd_reader *r = qd_shard_reader(s);
    for (uint32_t i = 0; r && i < r->n; i++) {
        *(uint64_t *)arg += qd_segment_bytes(r->leaf[i].segment);
    }
    qd_reader_unref(r);
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The shard's own open file of that name, so that its readers hear of what is found; else another
 * look at the file. Inside the gate. */
static int open_file(qd_shard *s, qd_str name, qd_file **out, qd_err *err)
{
    qd_reader *r = qd_engine_reader(s->engine);
    *out = NULL;
    for (uint32_t i = 0; r && i < r->n && !*out; i++) {
        qd_file *f = qd_segment_file(r->leaf[i].segment);
        if (qd_str_eq(qd_file_name(f), name)) *out = qd_file_ref(f);
    }
    qd_reader_unref(r);
    return *out ? 0 : qd_file_open(s->tier->store, name, NULL, &s->account, out, err);
}

/* A portion of the file where it stands; *bytes gets how many were read. */
static int verify_file(qd_shard *s, qd_str name, uint64_t most, uint64_t *bytes, qd_err *err)
{
    qd_shards *all = s->shards;
    qd_file *f;
    *bytes = FILE_LEAST;
    if (qd_str_is(qd_str_c(all->scrub.file), "commit")) {
        qd_commit c;
        qd_arena a;
        qd_arena_init(&a, &s->account, 0);
        int rc = qd_commit_read(s->log_tier->store, qd_str_c(s->folder), &a, &c, err);
        qd_arena_fini(&a);
        all->scrub.at = UINT64_MAX;
        return rc;
    }
    int rc = open_file(s, name, &f, err);
    if (rc) return rc;
    uint64_t from = all->scrub.at;
    rc = qd_file_verify_some(f, &all->scrub.at, most, err);
    if (!rc && all->scrub.at - from > *bytes) *bytes = all->scrub.at - from;
    if (!rc && all->scrub.at >= qd_file_bytes(f)) all->scrub.at = UINT64_MAX;
    qd_file_unref(f);
    return rc;
}

/* The next bytes of the shard, at most `most`; false: it has no more. */
static bool scrub_shard(qd_shard *s, uint64_t most, uint64_t *bytes)
{
    qd_shards *all = s->shards;
    char name[NAME_MAX_HERE];
    qd_err err;
    int rc = 0;
    *bytes = 0;
    if (!qd_shard_ready(s, NULL)) return false;
    if ((!all->scrub.file[0] || all->scrub.at == UINT64_MAX) && !next_file(all, s)) return false;
    qd_err_init(&err);
    int n = snprintf(name, sizeof name, "%s/%s", s->folder, all->scrub.file);
    qd_str path = {name, (size_t)n};
    qdi_gate_enter(&s->gate); /* it is not removed meanwhile */
    if (s->engine) rc = verify_file(s, path, most, bytes, &err);
    qdi_gate_leave(&s->gate);
    atomic_fetch_add(&all->scrub.bytes, *bytes);
    if (rc) all->scrub.at = UINT64_MAX;
    /* one that was merged away is no loss, and without memory it is the next pass's */
    if (rc == QD_E_CORRUPT || rc == QD_E_IO) found(s, path, qd_str_c(qd_err_reason(&err)));
    qd_err_fini(&err);
    return true;
}

static void pass_ends(qd_shards *all)
{
    all->scrub.shard[0] = all->scrub.file[0] = 0;
    all->scrub.at = 0;
    atomic_fetch_add(&all->scrub.passes, all->scrub.whole);
    if (all->scrub.whole) {
        atomic_store(&all->scrub.ended_wall_ms, (uint64_t)qd_env_wall_ms(all->env));
    }
    all->scrub.whole = true;
}

/* A node that is started more often than the scrubber needs for a pass begins anywhere, so that no
 * shard is always left out. */
static void begin_anywhere(qd_shards *all)
{
    qd_mutex_lock(&all->lock);
    uint64_t skip = all->map.n ? qd_env_random_u64(all->env) % all->map.n : 0;
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&all->map, &pos)) && skip--) continue;
    if (e) snprintf(all->scrub.shard, sizeof all->scrub.shard, "%.*s", QD_STR_ARG(e->key));
    qd_mutex_unlock(&all->lock);
}

static bool stopping(qd_shards *all)
{
    qd_mutex_lock(&all->lock);
    bool stop = all->stop;
    qd_mutex_unlock(&all->lock);
    return stop;
}

static void portion(qd_shards *all)
{
    uint64_t most =
        (uint64_t)qd_config_i64(all->config, QD_SET_STORAGE_SCRUB_RATE) / TICKS_A_SECOND;
    uint64_t done = 0, total = 0;
    if (most < PORTION) most = PORTION;
    if (most > PORTION_MAX) most = PORTION_MAX;
    if (!all->scrub.begun) begin_anywhere(all);
    all->scrub.begun = true;
    while (done < most && !stopping(all)) {
        uint64_t bytes;
        uint64_t left = most - done < PORTION ? most - done : PORTION;
        qd_shard *s = this_shard(all);
        if (!s) {
            pass_ends(all);
            break;
        }
        if (!scrub_shard(s, left, &bytes)) {
            qd_shard_unref(s);
            all->scrub.file[0] = 0;
            s = next_shard(all, qd_str_c(all->scrub.shard));
            if (!s) {
                pass_ends(all);
                break;
            }
        }
        qd_shard_unref(s);
        done += bytes;
    }
    (void)qd_shards_each(all, add_bytes, &total);
    all->scrub.portion = done ? done : PORTION;
    atomic_store(&all->scrub.total, total);
}

/* --- when ------------------------------------------------------------------------------------- */

static void run(qd_work *w)
{
    qd_shards *all = w->user;
    uint64_t damaged = qdi_tiers_damaged(all);
    bool again = all->scrub.waiting && qd_env_mono_ns(all->env) >= all->scrub.looked_ns + LOOK_NS;
    if (all->scrub.due) portion(all);
    if (qdi_tiers_damaged(all) != all->scrub.seen || again) {
        all->scrub.waiting = false;
        all->scrub.looked_ns = qd_env_mono_ns(all->env);
        damaged = qdi_tiers_damaged(all);
        (void)qd_shards_each(all, look, NULL);
    }
    qd_mutex_lock(&all->lock);
    all->scrub.seen = damaged;
    if (all->scrub.due) all->scrub.done_ns = qd_env_mono_ns(all->env);
    atomic_store(&all->scrub.queued, false);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

/* Is the next portion due? Of `total` bytes each is to be read once in the interval, and no more
 * than the rate allows. */
static bool portion_due(const qd_shards *all, uint64_t now)
{
    int64_t interval = qd_config_ms(all->config, QD_SET_STORAGE_SCRUB);
    if (interval <= 0) return false;
    double ns = (double)interval * 1e6, total = (double)atomic_load(&all->scrub.total);
    double bytes = (double)all->scrub.portion;
    double rate = (double)qd_config_i64(all->config, QD_SET_STORAGE_SCRUB_RATE);
    double wait = total > bytes ? ns * (bytes / total) : ns;
    if (total == 0 && wait > (double)LOOK_NS) wait = (double)LOOK_NS;
    if (wait < bytes / rate * 1e9) wait = bytes / rate * 1e9;
    return (double)(now - all->scrub.done_ns) >= wait;
}

void qdi_shards_scrub(qd_shards *all, uint64_t now)
{
    if (!all->config || !all->cluster || atomic_load(&all->scrub.queued)) return;
    if (!all->scrub.done_ns) {
        all->scrub.done_ns = now;
        all->scrub.portion = PORTION;
    }
    all->scrub.due = portion_due(all, now);
    bool again = all->scrub.waiting && now >= all->scrub.looked_ns + LOOK_NS;
    if (!all->scrub.due && !again && qdi_tiers_damaged(all) == all->scrub.seen) return;
    all->scrub.work = (qd_work){.run = run, .user = all};
    qd_mutex_lock(&all->lock);
    all->live++;
    atomic_store(&all->scrub.queued, true);
    qd_mutex_unlock(&all->lock);
    if (!qd_pool_submit_forced(qd_pools_get(all->pools, "generic"), &all->scrub.work, NULL)) return;
    qd_mutex_lock(&all->lock); /* the pools are closing */
    atomic_store(&all->scrub.queued, false);
    all->live--;
    qd_mutex_unlock(&all->lock);
}

void qd_shards_scrub_stats_get(qd_shards *s, qd_scrub_stats *out)
{
    *out = (qd_scrub_stats){
        .bytes = atomic_load(&s->scrub.bytes),
        .total_bytes = atomic_load(&s->scrub.total),
        .passes = atomic_load(&s->scrub.passes),
        .last_pass_wall_ms = atomic_load(&s->scrub.ended_wall_ms),
        .files_damaged = atomic_load(&s->scrub.files_damaged),
    };
}
