/*
 * engine_replica.c: checkpoints, terms, promotion, roll-back, retention.
 *
 * Everything that changes sides holds all slots and the replica's lock, so that no operation is
 * between its number and its record, and begins a new generation of the translog: its header makes
 * the change durable. See replica.h.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <string.h>

/* --- checkpoints ------------------------------------------------------------------------------ */

void qd_engine_checkpoints_get(qd_engine *e, qd_engine_checkpoints *out)
{
    qd_translog_numbers(e->translog, &out->max_seq_no, &out->processed, &out->persisted,
                        &out->durable);
    bool follows = qdi_engine_follows(e);
    out->global = follows ? out->persisted : atomic_load(&e->global);
    out->global_persisted = follows ? out->persisted : qd_translog_checkpoint(e->translog);
    qd_mutex_lock(&e->publish_lock);
    out->shown = e->shown_seq_no;
    qd_mutex_unlock(&e->publish_lock);
}

int64_t qd_engine_log_end(qd_engine *e)
{
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(e, &at);
    int64_t highest = qd_translog_highest(e->translog);
    return highest > at.persisted ? highest : at.persisted;
}

uint64_t qd_engine_primary_term(qd_engine *e)
{
    return atomic_load(&e->primary_term);
}

qd_engine_mode qd_engine_mode_get(qd_engine *e)
{
    return (qd_engine_mode)atomic_load(&e->mode);
}

static void show_due(qd_engine *e)
{
    qd_err err;
    if (e->due) {
        e->due(e->copies_arg);
        return;
    }
    qd_err_init(&err);
    if (qd_engine_refresh_finish(e, &err)) {
        qd_log_warn(ENGINE_LOG, "%s refresh failed: %s", e->name, qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

void *qd_engine_copies_arg(const qd_engine *e)
{
    return e->copies_arg;
}

/* true: it rose. */
static bool global_raise(qd_engine *e, int64_t checkpoint)
{
    int64_t was = atomic_load(&e->global), done;
    if (checkpoint <= was && !QD_MUTANT(engine, CHECKPOINT_FALLS)) return false; /* it only rises */
    qd_mutex_lock(&e->global_lock); /* a roll-back does not set the numbers back meanwhile */
    if (atomic_load(&e->mode) == QD_ENGINE_REPLICA && !QD_MUTANT(engine, CHECKPOINT_AHEAD)) {
        qd_seq_no_get(&e->seq_no, NULL, &done, NULL);
        if (checkpoint > done) checkpoint = done;
    }
    if (QD_MUTANT(engine, CHECKPOINT_FALLS)) atomic_store(&e->global, was = checkpoint - 1);
    while (checkpoint > was && !atomic_compare_exchange_weak(&e->global, &was, checkpoint)) {}
    qd_invariant(atomic_load(&e->global) >= checkpoint);
    qd_mutex_unlock(&e->global_lock);
    return checkpoint > was;
}

void qd_engine_global_checkpoint_set(qd_engine *e, int64_t checkpoint)
{
    if (!global_raise(e, checkpoint)) return;
    checkpoint = atomic_load(&e->global);
    qd_translog_checkpoint_set(e->translog, checkpoint);
    int64_t waiting = atomic_load(&e->cut_waiting);
    if (waiting > checkpoint) return;
    if (atomic_compare_exchange_strong(&e->cut_waiting, &waiting, INT64_MAX)) show_due(e);
}

void qd_engine_replicated_set(qd_engine *e, bool replicated)
{
    qd_engine_checkpoints at;
    qd_mutex_lock(&e->flush_lock);
    qd_mutex_lock(&e->refresh_lock);
    qd_engine_checkpoints_get(e, &at);
    bool changed =
        atomic_load(&e->replicated) != replicated && atomic_load(&e->mode) == QD_ENGINE_PRIMARY;
    if (changed && replicated) { /* what the only copy has made durable, or shown, is settled */
        qd_engine_global_checkpoint_set(e, at.persisted > at.shown ? at.persisted : at.shown);
    }
    if (changed) atomic_store(&e->replicated, replicated);
    qd_mutex_unlock(&e->refresh_lock);
    qd_mutex_unlock(&e->flush_lock);
    if (changed && !replicated) show_due(e);
}

int qd_engine_global_checkpoint_sync(qd_engine *e, qd_err *err)
{
    qd_err failure;
    qd_err_init(&failure);
    int rc = qd_translog_checkpoint_sync(e->translog, &failure);
    if (rc && qd_translog_failure(e->translog, NULL)) rc = qdi_engine_fail(e, &failure);
    if (rc && err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    return rc;
}

/* --- changing sides --------------------------------------------------------------------------- */

void qdi_engine_hold(qd_engine *e)
{
    for (uint32_t i = 0; i < e->nslots; i++) qd_mutex_lock(&e->slots[i].lock);
    qd_mutex_lock(&e->replica_lock);
}

void qdi_engine_release(qd_engine *e)
{
    qd_mutex_unlock(&e->replica_lock);
    for (uint32_t i = e->nslots; i-- > 0;) qd_mutex_unlock(&e->slots[i].lock);
}

static int check_term(qd_engine *e, uint64_t term, qd_err *err)
{
    uint64_t now = atomic_load(&e->primary_term);
    if (term >= now || QD_MUTANT(engine, NO_TERM_CHECK)) return qdi_engine_alive(e, err);
    return qd_err_set(err, QD_E_TERM_OLD, "%s primary term [%llu] is below the present one [%llu]",
                      e->name, (unsigned long long)term, (unsigned long long)now);
}

/* Begins a generation; a failure leaves the copy between two states, so it fails. Held. */
static int turn(qd_engine *e, const qd_translog_turn *t, uint64_t *generation, qd_err *err)
{
    qd_err failure;
    qd_err_init(&failure);
    qdi_engine_cursors_clear(e); /* of a history that may not be the same any more */
    bool skip =
        QD_MUTANT(engine, TERM_NOT_PERSISTED) && t->primary_term > atomic_load(&e->primary_term);
    int rc = skip ? 0 : qd_translog_turn_over(e->translog, t, generation, &failure);
    if (!rc) {
        qd_invariant(t->primary_term >= atomic_load(&e->primary_term)); /* terms only rise */
        if (t->primary_term > atomic_load(&e->primary_term)) {
            atomic_store(&e->primary_term, t->primary_term);
        }
        /* a power loss brings no older one back */
        qd_invariant(qd_translog_term(e->translog) == atomic_load(&e->primary_term));
    } else {
        rc = qdi_engine_fail(e, &failure);
        if (err) qd_err_copy(err, &failure);
    }
    qd_err_fini(&failure);
    return rc;
}

/* A primary is none from here on. Held. */
static void demote(qd_engine *e)
{
    qd_mutex_lock(&e->publish_lock);
    if (qdi_engine_follows(e)) { /* the only copy: what it made durable is the checkpoint */
        int64_t durable;
        qd_seq_no_get(&e->seq_no, NULL, NULL, &durable);
        if (durable < e->shown_seq_no) durable = e->shown_seq_no;
        if (durable > atomic_load(&e->global)) atomic_store(&e->global, durable);
        qd_translog_checkpoint_set(e->translog, durable);
        atomic_store(&e->replicated, true);
    }
    qd_invariant(atomic_load(&e->global) >= e->shown_seq_no || atomic_load(&e->reset_generation));
    atomic_store(&e->mode, QD_ENGINE_REPLICA);
    qd_cond_broadcast(&e->shown);
    qd_mutex_unlock(&e->publish_lock);
}

int qd_engine_term_raise(qd_engine *e, uint64_t term, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    qd_translog_turn t = {.primary_term = term};
    qd_mutex_lock(&e->flush_lock);
    qdi_engine_hold(e);
    int rc = check_term(e, term, err);
    if (!rc && term > atomic_load(&e->primary_term)) {
        rc = turn(e, &t, NULL, err);
        if (!rc && atomic_load(&e->mode) == QD_ENGINE_PRIMARY) demote(e);
    }
    qdi_engine_release(e);
    qd_mutex_unlock(&e->flush_lock);
    return rc;
}

/* Empties slots, detached buffers, their unshown segments, and the version map. Held, under
 * refresh_lock. */
static int drop_buffered(qd_engine *e, qd_err *err)
{
    qd_assert(e->cut_open || (!e->cut_written && e->detached.n == 0));
    for (size_t i = 0; i < e->detached.n; i++) {
        if (!e->detached.at[i]->entered) continue;
        qd_err half;
        qd_err_init(&half);
        (void)qd_err_set(&half, QD_E_SHARD_FAILED,
                         "%s a refresh ended half-way for want of memory: it cannot be taken back",
                         e->name);
        int rc = qdi_engine_fail(e, &half);
        if (err) qd_err_copy(err, &half);
        qd_err_fini(&half);
        return rc;
    }
    while (e->detached.n) {
        engine_buffer *b = e->detached.at[--e->detached.n];
        qd_segment *s = b->segment;
        if (b->entry) qdi_engine_segment_drop(e, b->entry);
        if (s) {
            qdi_store_forget(e->segment_store, qd_segment_name(s));
            qd_segment_unref(s);
        }
        b->segment = NULL;
        b->entry = NULL;
        qd_free(b->map);
        b->map = NULL;
        qdi_engine_buffer_put(e, b);
    }
    for (uint32_t i = 0; i < e->nslots; i++) {
        engine_buffer *b = e->slots[i].buffer;
        qd_buffer_reset(b->b);
        qd_buffer_trim(b->b);
        qd_vec_fini(&b->deletes);
        b->unit = atomic_fetch_add(&e->next_unit, 1);
        b->min_seq_no = b->max_seq_no = -1;
    }
    e->cut_open = e->cut_written = e->cut_again = false;
    atomic_store(&e->cut_waiting, INT64_MAX);
    qd_version_map_clear(e->versions);
    qd_mutex_lock(&e->publish_lock);
    for (size_t i = 0; i < e->retired.n; i++) qd_free(e->retired.at[i].map);
    e->retired.n = 0;
    qd_mutex_unlock(&e->publish_lock);
    return 0;
}

/* What a copy is set back to: the checkpoint it knew, and above that what its log has without a gap
 * up to the one it is told. Held, after the turn. */
static int find_target(qd_engine *e, int64_t global, int64_t *target, qd_err *err)
{
    qd_translog_cursor *c;
    bool more = true;
    qd_mutex_lock(&e->publish_lock);
    *target = atomic_load(&e->global);
    /* what is shown still is of another history while that is being replaced */
    if (*target < e->shown_seq_no && !atomic_load(&e->reset_generation)) *target = e->shown_seq_no;
    qd_mutex_unlock(&e->publish_lock);
    if (global <= *target) return 0;
    int rc = qd_translog_cursor_open(e->translog, *target + 1, global, &c, err);
    if (rc) return rc;
    while (!rc && more) {
        qd_translog_op op;
        rc = qd_translog_cursor_next(c, &more, &op, NULL, NULL, err);
        if (!rc && more && (int64_t)op.seq_no != *target + 1) break;
        if (!rc && more) ++*target;
    }
    qd_translog_cursor_close(c);
    return rc;
}

/* To what is found, and to a checkpoint that another thread was told meanwhile. Held. */
static int set_back(qd_engine *e, int64_t global, int64_t *target, qd_err *err)
{
    for (;;) {
        int rc = find_target(e, global, target, err);
        qd_mutex_lock(&e->global_lock);
        bool done = rc || atomic_load(&e->global) <= *target;
        qd_invariant(!done || rc ||
                     *target >= atomic_load(&e->global)); /* acknowledged: it stays */
        if (done && !rc) qd_seq_no_reset(&e->seq_no, *target);
        qd_mutex_unlock(&e->global_lock);
        if (done) return rc;
    }
}

int qd_engine_rollback(qd_engine *e, uint64_t term, int64_t global, int64_t *to, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    qd_translog_turn t = {.primary_term = term};
    int64_t target = QD_SEQ_NO_NONE;
    atomic_store(&e->stop_merges, true);
    qdi_engine_merges_wait(e);
    qd_mutex_lock(&e->flush_lock);
    qd_mutex_lock(&e->refresh_lock);
    qdi_engine_hold(e);
    int rc = check_term(e, term, err);
    bool keeps = QD_MUTANT(engine, NOT_SET_BACK) && global == QD_SEQ_NO_NONE;
    if (QD_MUTANT(engine, ROLLBACK_TRIMS)) {
        t.trim_above = atomic_load(&e->global) > global ? atomic_load(&e->global) : global;
        t.trim_below_term = term;
    }
    if (!rc) rc = turn(e, &t, NULL, err);
    if (!rc) {
        demote(e);
        if (!QD_MUTANT(engine, ROLLBACK_KEEPS_BUFFER) && !keeps) rc = drop_buffered(e, err);
    }
    if (!rc && !keeps) rc = set_back(e, global, &target, err);
    if (!rc && !keeps) {
        qd_engine_global_checkpoint_set(e, target);
        qdi_engine_recent_clear(e);
        if (to) *to = target;
        qd_log_info(ENGINE_LOG, "%s set back to operation [%lld] in term [%llu]", e->name,
                    (long long)target, (unsigned long long)term);
    }
    qdi_engine_release(e);
    qd_mutex_unlock(&e->refresh_lock);
    qd_mutex_unlock(&e->flush_lock);
    atomic_store(&e->stop_merges, false);
    if (!rc) qdi_engine_waits_end(e, INT64_MAX, QD_E_WRITE_UNKNOWN);
    return rc;
}

int qd_engine_trim_above(qd_engine *e, int64_t seq_no, uint64_t term, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    qd_translog_turn t = {.primary_term = term, .trim_above = seq_no, .trim_below_term = term};
    qd_mutex_lock(&e->flush_lock);
    qdi_engine_hold(e);
    int rc = qdi_engine_check_sender(e, term, err);
    if (!rc && !QD_MUTANT(engine, NO_TRIM) && qd_translog_above(e->translog, seq_no, term)) {
        rc = turn(e, &t, NULL, err);
    }
    qdi_engine_release(e);
    qd_mutex_unlock(&e->flush_lock);
    return rc;
}

/* Own records become documents again, and the gaps between them no-ops. Under flush_lock. */
static int replay_own(qd_engine *e, int64_t above, qd_err *err)
{
    qd_err failure;
    qd_err_init(&failure);
    atomic_store(&e->promoting, true);
    int rc = qdi_engine_replay_above(e, above, &failure);
    if (rc) {
        rc = qdi_engine_fail(e, &failure);
        if (err) qd_err_copy(err, &failure);
    }
    atomic_store(&e->promoting, false);
    qd_err_fini(&failure);
    return rc;
}

/* From now on it is a primary: what it shows is a publication of the new term. */
static int take_office(qd_engine *e, qd_err *err)
{
    qdi_engine_hold(e);
    qd_invariant(qd_seq_no_gap(&e->seq_no, -1) < 0); /* a primary's log has no holes */
    qd_mutex_lock(&e->publish_lock);
    qd_assert(atomic_load(&e->mode) == QD_ENGINE_REPLICA);
    atomic_store(&e->mode, QD_ENGINE_PRIMARY);
    int rc = qdi_engine_publish(e, e->shown_seq_no, err);
    if (rc) atomic_store(&e->mode, QD_ENGINE_REPLICA);
    qd_mutex_unlock(&e->publish_lock);
    qdi_engine_release(e);
    if (!rc) qdi_engine_orphans_clear(e, NULL);
    if (!rc) qdi_engine_tell(e);
    return rc;
}

int qd_engine_promote(qd_engine *e, uint64_t term, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    qd_translog_turn t = {.primary_term = term};
    qd_mutex_lock(&e->flush_lock);
    qdi_engine_hold(e);
    int rc = check_term(e, term, err);
    bool filled = atomic_load(&e->reset_generation) || e->install;
    if (!rc && (atomic_load(&e->mode) != QD_ENGINE_REPLICA || filled)) {
        rc = qd_err_set(err, QD_E_STATE, "%s cannot become primary: it %s", e->name,
                        filled ? "is being recovered" : "is one");
    }
    if (!rc) rc = turn(e, &t, NULL, err);
    int64_t shown = QD_SEQ_NO_NONE;
    if (!rc) {
        qd_mutex_lock(&e->publish_lock);
        shown = e->shown_seq_no;
        qd_mutex_unlock(&e->publish_lock);
        qd_invariant(shown <= atomic_load(&e->global)); /* what was shown is every copy's */
        qd_seq_no_reset(&e->seq_no, shown);
        qdi_engine_recent_clear(e);
    }
    qdi_engine_release(e);
    if (!rc) rc = replay_own(e, shown, err);
    if (!rc) rc = take_office(e, err);
    qd_mutex_unlock(&e->flush_lock);
    if (!rc) {
        qd_log_info(ENGINE_LOG, "%s is the primary of term [%llu]", e->name,
                    (unsigned long long)term);
        rc = qd_engine_refresh_start(e, NULL, err);
    }
    return rc;
}

/* The copy has begun to forget the history of its commit point, and is told to be of that history
 * again. Its log of it is void in memory, and a generation of it behind those of another one would
 * hide from the next opening what a recovery left: so it is opened anew, which finds the log as it
 * was before. */
static int reset_back(qd_engine *e, qd_err *err)
{
    qd_err failure;
    qd_err_init(&failure);
    (void)qd_err_set(&failure, QD_E_STATE,
                     "%s a recovery from another history did not end, and the primary is of the "
                     "history before it again: the copy has to be opened anew",
                     e->name);
    int rc = qdi_engine_fail(e, &failure);
    if (err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    return rc;
}

/* Nothing of the history before is here any more: leases that retain its numbers say nothing, and
 * the log is complete from its first record on. Held. */
static void forget(qd_engine *e, const uint8_t *history)
{
    qdi_engine_history_set(e, history);
    atomic_store(&e->global, QD_SEQ_NO_NONE);
    qd_seq_no_reset(&e->seq_no, QD_SEQ_NO_NONE);
    qdi_engine_recent_clear(e);
    atomic_store(&e->complete_from, 0);
    qd_mutex_lock(&e->leases_lock);
    e->leases.n = 0;
    qd_mutex_unlock(&e->leases_lock);
    qd_assert(qd_translog_highest(e->translog) < 0);
}

int qd_engine_recovery_reset(qd_engine *e, const uint8_t *history, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    uint64_t generation = 0;
    qd_mutex_lock(&e->flush_lock);
    qdi_engine_hold(e);
    int rc = qdi_engine_alive(e, err);
    if (!rc && (atomic_load(&e->mode) != QD_ENGINE_REPLICA || e->install)) {
        rc = qd_err_set(err, QD_E_STATE, "%s cannot be recovered from another copy now", e->name);
    }
    bool other = !rc && !qdi_engine_history_is(e, history);
    if (other && memcmp(history, e->committed_history, 16) == 0) {
        rc = reset_back(e, err);
    } else if (other) {
        /* all that was there is void; this generation goes first if the recovery does not end */
        qd_translog_turn t = {.primary_term = atomic_load(&e->primary_term),
                              .history = history,
                              .trim_above = -1,
                              .trim_below_term = TRANSLOG_ALL_TERMS};
        rc = turn(e, &t, &generation, err);
        if (!rc) {
            qd_assert(generation > e->committed_translog); /* 0 stands for none */
            atomic_store(&e->reset_generation, generation);
            forget(e, history);
        }
    }
    qdi_engine_release(e);
    qd_mutex_unlock(&e->flush_lock);
    return rc;
}

int qd_engine_history_renew(qd_engine *e, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    uint8_t history[16];
    engine_snapshot s = {0};
    qd_err failure;
    qd_err_init(&failure);
    qdi_engine_id(e, history);
    qd_mutex_lock(&e->flush_lock);
    qdi_engine_hold(e); /* until the commit point stands nothing may follow in the new generation */
    qd_translog_turn t = {.primary_term = atomic_load(&e->primary_term), .history = history};
    int rc = qdi_engine_alive(e, err);
    if (!rc && atomic_load(&e->mode) != QD_ENGINE_PRIMARY) {
        rc = qd_err_set(err, QD_E_NOT_PRIMARY, "%s is not the primary (any longer)", e->name);
    }
    if (!rc && !(rc = turn(e, &t, NULL, err))) {
        qdi_engine_history_set(e, history);
        qd_translog_checkpoint_set(e->translog, atomic_load(&e->global));
        rc = qdi_engine_snapshot(e, true, &s, &failure);
        if (!rc) rc = qdi_engine_commit(e, &s, 0, &failure);
        qdi_engine_snapshot_fini(e, &s);
        if (rc) {
            rc = qdi_engine_fail(e, &failure);
            if (err) qd_err_copy(err, &failure);
        }
    }
    qdi_engine_release(e);
    qd_mutex_unlock(&e->flush_lock);
    qd_err_fini(&failure);
    return rc;
}

/* --- retention -------------------------------------------------------------------------------- */

static qd_engine_lease *lease_find(qd_engine *e, qd_str id)
{
    for (size_t i = 0; i < e->leases.n; i++) {
        if (qd_str_is(id, e->leases.at[i].id)) return &e->leases.at[i];
    }
    return NULL;
}

int qd_engine_lease_set(qd_engine *e, qd_str id, int64_t retaining_seq_no, int64_t renewed_ms,
                        qd_err *err)
{
    int rc = 0;
    if (id.n == 0 || id.n > QD_LEASE_ID_MAX || memchr(id.p, 0, id.n)) {
        return qd_err_set(err, QD_E_ARG, "a retention lease's id has 1 to %u bytes",
                          QD_LEASE_ID_MAX);
    }
    if (retaining_seq_no < 0) retaining_seq_no = 0;
    if (!qd_seq_no_sound_from(retaining_seq_no)) {
        return qd_err_set(err, QD_E_ARG,
                          "%s a retention lease from operation [%lld] on: numbers are below [%lld]",
                          e->name, (long long)retaining_seq_no, (long long)QD_SEQ_NO_LIMIT);
    }
    qd_mutex_lock(&e->leases_lock);
    qd_engine_lease *l = lease_find(e, id);
    if (!l && e->leases.n >= QD_LEASES_MAX) {
        rc =
            qd_err_set(err, QD_E_LIMIT, "%s more than %u retention leases", e->name, QD_LEASES_MAX);
    } else if (!l && qd_vec_reserve(&e->leases, e->account, 1)) {
        rc = qd_err_nomem(err, "retention lease");
    } else {
        if (!l) {
            l = &e->leases.at[e->leases.n++];
            memcpy(l->id, id.p, id.n);
            l->id[id.n] = 0;
        }
        l->retaining_seq_no = retaining_seq_no;
        l->renewed_ms = renewed_ms;
    }
    qd_mutex_unlock(&e->leases_lock);
    return rc;
}

void qd_engine_lease_remove(qd_engine *e, qd_str id)
{
    qd_mutex_lock(&e->leases_lock);
    qd_engine_lease *l = lease_find(e, id);
    if (l) *l = e->leases.at[--e->leases.n];
    qd_mutex_unlock(&e->leases_lock);
}

uint32_t qd_engine_leases(qd_engine *e, qd_engine_lease *out, uint32_t max)
{
    qd_mutex_lock(&e->leases_lock);
    uint32_t n = (uint32_t)e->leases.n;
    for (uint32_t i = 0; i < n && i < max; i++) out[i] = e->leases.at[i];
    qd_mutex_unlock(&e->leases_lock);
    return n;
}
