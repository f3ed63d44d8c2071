/*
 * copies_model.h: three copies of a shard, each on its own disk that loses power, and a small
 * protocol between them, in one thread by one seed: shipping in any order, elections, stale
 * primaries, resync, recovery by operations or files, publications. What a client was told, or a
 * search showed, is noted as the truth; nothing may contradict it. See copies_t.c.
 */
#ifndef QD_TESTS_COPIES_MODEL_H
#define QD_TESTS_COPIES_MODEL_H

#include "unit/engine/copies_world.h"

/* --- changing sides --------------------------------------------------------------------------- */

static inline bool roll_back(world *w, copy *c, int64_t global)
{
    qd_err err;
    int64_t to;
    qd_engine_doc doc;
    qd_engine_checkpoints at;
    qd_err_init(&err);
    if (!fine(w, c, qd_engine_rollback(c->e, w->term, global, &to, &err), &err, "roll-back"))
        return false;
    w->did.rollbacks++;
    c->term = w->term;
    if (w->stale == c->n) w->stale = -1;
    qd_engine_checkpoints_get(c->e, &at);
    if (at.processed != to || at.max_seq_no != to || to < at.shown) {
        bad(w, "copy %d was set back to %lld, but is at %lld", c->n, (long long)to,
            (long long)at.processed);
    }
    qd_arena a;
    qd_arena_init(&a, NULL, 0);
    if (qd_engine_get(c->e, QD_STR("id0"), true, false, &a, &doc, NULL) != QD_E_NOT_PRIMARY) {
        bad(w, "copy %d answers a realtime get after it was set back", c->n);
    }
    qd_arena_fini(&a);
    return true;
}

/* Every operation that came was once sent, and none that a confirmed resync discarded. */
static inline void seen_in_history(world *w, copy *c, qd_str bytes)
{
    while (bytes.n && !w->bad) {
        qd_translog_op op;
        qd_str raw;
        if (qd_op_next(&bytes, &op, &raw, NULL)) {
            bad(w, "an operation that copy %d gives cannot be read", c->n);
            return;
        }
        uint64_t sum = sum_of(raw, &op);
        named(w, op.seq_no, op.primary_term, sum);
        for (uint64_t t = op.primary_term + 1; t < TERM_MAX && t <= w->term; t++) {
            if (w->trim_above[t] > -2 && (int64_t)op.seq_no > w->trim_above[t]) {
                bad(w,
                    "operation %llu of term %llu came back on copy %d, term %llu had discarded it",
                    (unsigned long long)op.seq_no, (unsigned long long)op.primary_term, c->n,
                    (unsigned long long)t);
            }
        }
        truth *known = &w->truth[op.seq_no < SEQ_MAX ? op.seq_no : 0];
        truth t = parse(&op, sum);
        if (known->sum || known->content) settled(w, (int64_t)op.seq_no, &t, "history");
    }
}

/* Sends from..to of p to c. limit: stops after so many batches (true then, *all false). */
static inline bool send_ops(world *w, copy *p, copy *c, int64_t from, int limit, bool *all)
{
    qd_engine_ops *o;
    qd_err err;
    qd_buf b;
    qd_translog_location at;
    qd_err_init(&err);
    *all = false;
    int rc = qd_engine_ops_open(p->e, from, INT64_MAX, &o, &err);
    if (!fine(w, p, rc, &err, "operations")) return false;
    bool ok = true;
    qd_buf_init(&b, NULL, 1 << 24);
    while (ok && !w->bad && limit-- > 0) {
        uint32_t n;
        qd_buf_reset(&b);
        rc = qd_engine_ops_next(o, 300, &b, &n, NULL, &err);
        if (rc || n == 0) {
            *all = !rc;
            break;
        }
        seen_in_history(w, p, qd_buf_view(&b));
        int rc2 = qd_engine_replicate(c->e, w->term, qd_buf_view(&b), NULL, &at, &err);
        if (!rc2) rc2 = qd_engine_sync(c->e, &at, &err);
        ok = fine(w, c, rc2, &err, "operations");
    }
    qd_buf_fini(&b);
    qd_engine_ops_close(o); /* before the engine that it reads goes */
    if (rc) ok = fine(w, p, rc, &err, "operations");
    return ok;
}

/* One in-sync copy gets what the new primary has above the checkpoint. */
static inline bool resync(world *w, copy *p, copy *c, int limit, bool *all)
{
    qd_engine_checkpoints at;
    qd_err err;
    qd_err_init(&err);
    qd_engine_checkpoints_get(p->e, &at);
    if (c->term < w->term && !roll_back(w, c, at.global)) return false;
    if (!send_ops(w, p, c, at.global + 1, limit, all)) return false;
    if (!*all) return true;
    w->did.trims++;
    return fine(w, c, qd_engine_trim_above(c->e, at.max_seq_no, w->term, &err), &err, "trim");
}

/* The leader makes an in-sync copy the primary. The one before may not know for a while. */
static inline void elect(world *w)
{
    int from = (int)qd_prng_below(&w->r, COPIES), chosen = -1;
    if (w->term + 2 >= TERM_MAX) return;
    for (int k = 0; k < COPIES; k++) {
        copy *c = &w->c[(from + k) % COPIES];
        if (c->in_sync && c->e && c->n != w->primary) chosen = c->n;
    }
    if (chosen < 0) return;
    if (w->primary >= 0) {
        w->stale = w->primary;
        w->stale_term = w->term;
    }
    copy *p = &w->c[chosen];
    if (w->stale == chosen) w->stale = -1;
    w->term++;
    w->active = false;
    w->primary = chosen;
    clear_flight(w);
    for (int i = 0; i < COPIES; i++) {
        w->c[i].tracked = false;
        w->c[i].lease = -1;
        if (!w->c[i].e) w->c[i].in_sync = false;
    }
    qd_err err;
    qd_err_init(&err);
    if (chance(w, 30) && !fine(w, p, qd_engine_term_raise(p->e, w->term, &err), &err, "term"))
        return;
    /* chosen again before it knew that it had been replaced */
    if (qd_engine_mode_get(p->e) == QD_ENGINE_PRIMARY && !roll_back(w, p, QD_SEQ_NO_NONE)) return;
    if (!fine(w, p, qd_engine_promote(p->e, w->term, &err), &err, "promotion")) return;
    w->did.promotions++;
    p->term = w->term;
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(p->e, &at);
    p->global = at.global;
    if (at.processed != at.max_seq_no || at.persisted != at.max_seq_no) {
        bad(w, "a new primary has gaps: %lld of %lld", (long long)at.processed,
            (long long)at.max_seq_no);
    }
    check_shown(w, p);
    for (int i = 0; i < 3 && p->e; i++) stale_write(w);
}

/* What every in-sync copy has to confirm before the new primary answers. */
static inline void resync_all(world *w)
{
    if (w->primary < 0 || w->active) return;
    copy *p = &w->c[w->primary];
    int64_t max;
    qd_engine_checkpoints at;
    if (!p->e || qd_engine_mode_get(p->e) != QD_ENGINE_PRIMARY) return;
    qd_engine_checkpoints_get(p->e, &at);
    max = at.max_seq_no;
    if (max >= SEQ_MAX - 64) return;
    for (int i = 0; i < COPIES; i++) {
        copy *c = &w->c[i];
        bool all = false;
        if (c == p || !c->in_sync) continue;
        /* an old primary that cannot be reached is removed, and goes on believing */
        if (!c->e || (c->n == w->stale && in_sync_up(w) > 1 && chance(w, 60))) {
            c->in_sync = false;
            continue;
        }
        if (!resync(w, p, c, chance(w, 25) ? (int)qd_prng_below(&w->r, 3) : INT_MAX, &all)) return;
        if (!all) return; /* interrupted: again later, perhaps by another one */
    }
    w->active = true;
    w->trim_above[w->term] = max;
    advance(w);
}

/* --- publications ----------------------------------------------------------------------------- */

static inline bool transfer(world *w, qd_publication *p, qd_install *i, uint32_t file, copy *from,
                            copy *c, bool flip)
{
    qd_publication_file f;
    qd_err err;
    qd_err_init(&err);
    qd_publication_file_at(p, file, &f);
    uint64_t flip_at = qd_prng_below(&w->r, f.bytes), at = 0;
    int rc = qd_install_file_begin(i, file, &err);
    while (at < f.bytes && !rc) {
        char buf[700];
        size_t got;
        rc =
            qd_publication_read(p, file, at, buf, 1 + qd_prng_below(&w->r, sizeof buf), &got, &err);
        if (rc || got == 0) {
            if (!store_crash_is_off(from->disk)) bad(w, "file %s: %s", f.name, qd_err_reason(&err));
            qd_err_fini(&err);
            return false;
        }
        if (flip && flip_at >= at && flip_at < at + got) buf[flip_at - at] ^= 0x20;
        rc = qd_install_file_append(i, file, buf, got, &err);
        at += got;
    }
    if (!rc) rc = qd_install_file_finish(i, file, &err);
    if (flip && !store_crash_is_off(c->disk)) {
        if (rc == 0) bad(w, "a flipped bit in %s passed", f.name);
        qd_err_fini(&err);
        w->did.flips++;
        return rc && transfer(w, p, i, file, from, c, false);
    }
    if (rc && !store_crash_is_off(c->disk)) bad(w, "file %s: %s", f.name, qd_err_reason(&err));
    qd_err_fini(&err);
    return rc == 0;
}

/* c takes over what p shows. true: it shows it now. */
static inline bool install(world *w, copy *from, qd_publication *p, copy *c, bool whole)
{
    qd_install *i;
    qd_err err;
    const uint32_t *files;
    qd_err_init(&err);
    int rc = qd_install_begin(c->e, p, &i, &err);
    if (rc == QD_E_EXISTS) {
        qd_err_fini(&err);
        return true;
    }
    if (!fine(w, c, rc, &err, "installation")) return false;
    uint32_t n = qd_install_missing(i, &files);
    bool ok = true, stop = !whole && chance(w, 10);
    for (uint32_t k = 0; k < n && ok; k++) {
        if (stop && k == n / 2) break;
        ok = transfer(w, p, i, files[k], from, c, chance(w, 3));
    }
    if (!ok || stop) {
        qd_install_abort(i);
        if (c->e && store_crash_is_off(c->disk)) crash(w, c);
        return false;
    }
    if (!fine(w, c, qd_install_commit(i, &err), &err, "installation")) return false;
    w->did.installs++;
    int64_t shown;
    qd_engine_published(c->e, NULL, NULL, &shown);
    if (shown != p->max_seq_no) bad(w, "an installed publication is not shown");
    check_shown(w, c);
    return true;
}

static inline qd_publication *publication(world *w)
{
    qd_publication *p = NULL;
    qd_err err;
    qd_err_init(&err);
    if (w->primary < 0 || !w->c[w->primary].e) return NULL;
    copy *c = &w->c[w->primary];
    return fine(w, c, qd_engine_publication(c->e, &p, &err), &err, "publication") ? p : NULL;
}

static inline void publish(world *w)
{
    if (w->primary < 0 || !w->active) return;
    int from = w->primary;
    qd_publication *p = w->held ? w->held : publication(w);
    if (!p) return;
    if (w->held) from = w->held_by;
    w->held = NULL;
    if (chance(w, 20)) { /* fetched later, when other files are current */
        w->held = p;
        w->held_by = from;
        return;
    }
    copy *c = &w->c[qd_prng_below(&w->r, COPIES)];
    if (c->e && c->n != w->primary && c->in_sync && p->primary_term == w->term &&
        c->term == w->term) {
        (void)install(w, &w->c[from], p, c, false);
    }
    copy *source = &w->c[from];
    for (uint32_t f = 0; f < qd_publication_files(p) && source->e; f++) { /* all is still there */
        char buf[16];
        size_t got;
        if (qd_publication_read(p, f, 0, buf, sizeof buf, &got, NULL) &&
            !store_crash_is_off(source->disk)) {
            bad(w, "a file of a held publication is gone");
        }
    }
    qd_publication_unref(p);
    if (source->e && store_crash_is_off(source->disk)) crash(w, source);
}

/* --- recovery --------------------------------------------------------------------------------- */

/* First half: lease, then tracking. */
static inline bool recovery_begin(world *w, copy *c)
{
    copy *p = &w->c[w->primary];
    qd_engine_checkpoints at;
    qd_err err;
    char id[8];
    qd_err_init(&err);
    if (c->term < w->term && !roll_back(w, c, QD_SEQ_NO_NONE)) return false;
    qd_engine_checkpoints_get(c->e, &at);
    int n = snprintf(id, sizeof id, "c%d", c->n);
    int rc = qd_engine_lease_set(p->e, (qd_str){id, (size_t)n}, at.persisted + 1, 0, &err);
    if (!fine(w, p, rc, &err, "lease")) return false;
    c->lease = at.persisted + 1;
    if (qd_engine_ops_from(p->e) > c->lease) c->lease = INT64_MAX; /* files are needed */
    c->tracked = true;
    return true;
}

static inline void recovery_end(world *w, copy *c)
{
    copy *p = &w->c[w->primary];
    qd_engine_checkpoints at;
    bool all, files = c->lease == INT64_MAX || chance(w, 30);
    char id[8];
    int n = snprintf(id, sizeof id, "c%d", c->n);
    qd_engine_checkpoints_get(c->e, &at);
    int64_t next = at.persisted + 1;
    if (files) {
        qd_publication *pub = publication(w);
        if (!pub) return;
        bool ok = install(w, p, pub, c, false);
        int64_t max = pub->max_seq_no;
        qd_publication_unref(pub);
        if (p->e && store_crash_is_off(p->disk)) crash(w, p);
        if (!ok || !p->e || !c->e) return;
        if (max + 1 > next) next = max + 1;
    }
    if (qd_engine_ops_from(p->e) > next) {
        if (c->lease <= next && !files) bad(w, "operations that a lease retains are gone");
        c->lease = INT64_MAX;
        return;
    }
    if (!send_ops(w, p, c, next, chance(w, 20) ? 1 : INT_MAX, &all) || !all) return;
    qd_err err;
    qd_err_init(&err);
    qd_engine_checkpoints_get(p->e, &at);
    if (!fine(w, c, qd_engine_trim_above(c->e, at.max_seq_no, w->term, &err), &err, "trim")) return;
    qd_engine_checkpoints have;
    qd_engine_checkpoints_get(c->e, &have);
    if (have.persisted < at.global) return; /* again */
    c->in_sync = true;
    c->tracked = false;
    c->lease = -1;
    if (files)
        w->did.by_files++;
    else
        w->did.by_ops++;
    for (int i = 0; i < w->nflight; i++) {
        if (w->flight[i].seq > have.persisted) continue;
        w->flight[i].got |= (uint8_t)(1u << c->n);
        w->flight[i].durable |= (uint8_t)(1u << c->n);
    }
    qd_engine_lease_remove(p->e, (qd_str){id, (size_t)n});
}

static inline void recover_step(world *w)
{
    copy *c = &w->c[qd_prng_below(&w->r, COPIES)];
    if (!c->e) {
        if (start(w, c) && w->armed && chance(w, 60)) {
            store_crash_power_off_at(c->disk, 1 + qd_prng_below(&w->r, 400));
        }
        return;
    }
    if (w->primary < 0 || !w->active || c->in_sync || !w->c[w->primary].e) return;
    if (c->lease == -1) {
        (void)recovery_begin(w, c);
    } else {
        recovery_end(w, c);
    }
}

/* --- steps ------------------------------------------------------------------------------------ */

static inline void maintain(world *w)
{
    copy *c = &w->c[qd_prng_below(&w->r, COPIES)];
    qd_err err;
    bool did;
    qd_err_init(&err);
    if (!c->e) return;
    uint64_t dice = qd_prng_below(&w->r, 10);
    if (dice < 5 && c->n == w->primary) {
        int64_t wanted;
        if (!fine(w, c, qd_engine_refresh_start(c->e, &wanted, &err), &err, "refresh")) return;
        check_shown(w, c);
    } else if (dice < 8) {
        if (!fine(w, c, qd_engine_flush(c->e, chance(w, 50), &err), &err, "flush")) return;
        check_shown(w, c);
    } else if (c->n == w->primary) {
        if (!fine(w, c, qd_engine_merge_step(c->e, &did, &err), &err, "merge")) return;
        check_shown(w, c);
    }
}

static inline void powers(world *w)
{
    for (int i = 0; i < COPIES; i++) {
        if (w->c[i].e && store_crash_is_off(w->c[i].disk)) crash(w, &w->c[i]);
    }
    /* nobody of the in-sync set is there: it comes back, nobody else will do */
    if (w->primary < 0 && in_sync_up(w) == 0) {
        for (int i = 0; i < COPIES; i++) {
            if (w->c[i].in_sync && !w->c[i].e && !w->bad) (void)start(w, &w->c[i]);
        }
    }
}

static inline void world_step(world *w)
{
    uint64_t dice = qd_prng_below(&w->r, 1000);
    if (w->primary < 0)
        elect(w);
    else if (!w->active)
        resync_all(w);
    if (chance(w, 10)) stale_write(w);
    if (dice < 330)
        write_one(w);
    else if (dice < 660)
        deliver(w);
    else if (dice < 760)
        maintain(w);
    else if (dice < 860)
        publish(w);
    else if (dice < 940)
        recover_step(w);
    else if (dice < 965)
        stale_write(w);
    else if (dice < 975)
        elect(w);
    else if (dice < 985 && w->armed) {
        copy *c = &w->c[qd_prng_below(&w->r, COPIES)];
        if (c->e) store_crash_power_off(c->disk);
    }
    powers(w);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static inline void world_open(world *w, uint64_t seed)
{
    uint8_t history[16] = "history-of-tests";
    qd_err err;
    memset(w, 0, sizeof *w);
    qd_err_init(&err);
    qd_prng_init(&w->r, seed);
    w->seed = seed;
    w->term = 1;
    w->primary = w->stale = -1;
    w->armed = true;
    for (int i = 0; i < C_IDS; i++) w->acked[i] = w->last_delete[i] = -1;
    for (int i = 0; i < TERM_MAX; i++) w->trim_above[i] = -2;
    for (int i = 0; i < COPIES; i++) {
        copy *c = &w->c[i];
        *c = (copy){.n = i,
                    .disk = store_crash_make(NULL),
                    .in_sync = true,
                    .term = 1,
                    .lease = -1,
                    .global = -1};
        assert_int_equal(store_crash_open(c->disk, &c->s, &err), 0);
        qd_engine_config k = copy_config(c, 1);
        k.history = history;
        assert_int_equal(qd_engine_create(&k, &c->e, &err), 0);
        store_crash_power_off_at(c->disk, 1 + qd_prng_below(&w->r, 600));
    }
}

static inline void world_close(world *w)
{
    clear_flight(w);
    if (w->held) qd_publication_unref(w->held);
    w->held = NULL;
    for (int i = 0; i < COPIES; i++) {
        close_copy(w, &w->c[i]);
        store_crash_free(w->c[i].disk);
    }
}

/* Faults end: the copies become one, without help. */
static inline void heal(world *w)
{
    w->armed = false;
    for (int i = 0; i < COPIES; i++) {
        if (w->c[i].e) store_crash_power_off_at(w->c[i].disk, UINT64_MAX / 2);
    }
    for (int round = 0; round < 4000 && !w->bad; round++) {
        powers(w);
        if (w->primary < 0) elect(w);
        resync_all(w);
        deliver(w);
        recover_step(w);
        maintain(w);
        if (round > 100 && w->nflight == 0 && in_sync_up(w) == COPIES && w->active) return;
    }
    if (!w->bad && w->term + 2 < TERM_MAX && w->truth[SEQ_MAX - 100].sum == 0) {
        bad(w, "the copies do not come together: primary %d %s, %d in sync, %d in flight",
            w->primary, w->active ? "active" : "waiting", in_sync_up(w), w->nflight);
    }
}

static inline void same_documents(world *w)
{
    for (int id = 0; id < C_IDS && !w->bad; id++) {
        qd_engine_doc doc[COPIES];
        int value[COPIES];
        for (int i = 0; i < COPIES; i++) (void)get(w->c[i].e, id, false, &doc[i], &value[i]);
        for (int i = 1; i < COPIES; i++) {
            if (doc[i].found != doc[0].found || value[i] != value[0] ||
                (doc[0].found && doc[i].seq_no != doc[0].seq_no)) {
                bad(w, "id%d differs between copies 0 and %d", id, i);
            }
        }
        if (w->acked[id] < 0) continue;
        truth *t = &w->truth[w->acked[id]];
        if (doc[0].found ? doc[0].seq_no < w->acked[id]
                         : !t->del && w->last_delete[id] < w->acked[id]) {
            bad(w, "id%d: the acknowledged operation %lld is lost", id, (long long)w->acked[id]);
        }
        if (doc[0].found && doc[0].seq_no == w->acked[id] && (t->del || t->value != value[0])) {
            bad(w, "id%d does not have what was acknowledged", id);
        }
    }
}

static inline void same_histories(world *w)
{
    for (int i = 0; i < COPIES && !w->bad; i++) {
        qd_engine_ops *o;
        qd_engine_checkpoints at;
        qd_buf b;
        qd_err err;
        uint32_t n;
        int64_t last = -1;
        qd_err_init(&err);
        qd_buf_init(&b, NULL, 1 << 26);
        qd_engine_checkpoints_get(w->c[i].e, &at);
        int rc = qd_engine_ops_open(w->c[i].e, qd_engine_ops_from(w->c[i].e), INT64_MAX, &o, &err);
        if (!rc) {
            rc = qd_engine_ops_next(o, SIZE_MAX / 2, &b, &n, &last, &err);
            qd_engine_ops_close(o);
        }
        if (rc) bad(w, "history of copy %d: %s", i, qd_err_reason(&err));
        for (qd_str in = qd_buf_view(&b); in.n && !w->bad;) {
            qd_translog_op op;
            qd_str raw;
            assert_int_equal(qd_op_next(&in, &op, &raw, NULL), 0);
            truth t = parse(&op, sum_of(raw, &op));
            settled(w, (int64_t)op.seq_no, &t, "final history");
        }
        seen_in_history(w, &w->c[i], qd_buf_view(&b));
        qd_buf_fini(&b);
        qd_err_fini(&err);
    }
}

/* All is shown everywhere, and is the same everywhere, as acknowledged. */
static inline void world_check(world *w)
{
    qd_err err;
    qd_err_init(&err);
    heal(w);
    if (w->bad || !w->active || in_sync_up(w) < COPIES) return;
    copy *p = &w->c[w->primary];
    for (int i = 0; i < COPIES; i++) {
        (void)fine(w, &w->c[i], qd_engine_sync_all(w->c[i].e, &err), &err, "sync");
        synced(w, &w->c[i]);
    }
    advance(w);
    if (w->bad || !fine(w, p, qd_engine_refresh_start(p->e, NULL, &err), &err, "refresh")) return;
    qd_publication *pub = publication(w);
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(p->e, &at);
    if (at.shown != at.max_seq_no) {
        int64_t have[COPIES];
        for (int i = 0; i < COPIES; i++) {
            qd_engine_checkpoints x;
            qd_engine_checkpoints_get(w->c[i].e, &x);
            have[i] = x.persisted;
        }
        bad(w, "%lld were taken, the copies have %lld, %lld, %lld, checkpoint %lld, shown %lld",
            (long long)at.max_seq_no, (long long)have[0], (long long)have[1], (long long)have[2],
            (long long)at.global, (long long)at.shown);
    }
    for (int i = 0; i < COPIES && !w->bad; i++) {
        if (i != w->primary && !install(w, p, pub, &w->c[i], true))
            bad(w, "copy %d: not installed", i);
    }
    qd_publication_unref(pub);
    if (!w->bad) same_documents(w);
    if (!w->bad) same_histories(w);
}

static inline void world_run(world *w, uint64_t seed, int steps)
{
    world_open(w, seed);
    for (int i = 0; i < steps && !w->bad; i++) world_step(w);
    if (!w->bad) world_check(w);
    world_close(w);
}

#endif
