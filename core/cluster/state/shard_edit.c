/* shard_edit.c: transitions of a shard's record. See shard_edit.h. */
#include "cluster/state/shard_edit.h"
#include "base/str.h"
#include "cluster/mutants.h"
#include <string.h>

/* --- arrays ---------------------------------------------------------------------------------- */

static int grow(qd_shard_edit *e, uint32_t copies, uint32_t in_sync)
{
    qd_copy *c = qd_arena_calloc(e->arena, (copies + 1) * sizeof *c);
    qd_in_sync *k = qd_arena_calloc(e->arena, (in_sync + 1) * sizeof *k);
    if (!c || !k) return QD_E_NOMEM;
    if (e->s.ncopies) memcpy(c, e->s.copies, e->s.ncopies * sizeof *c);
    if (e->s.nin_sync) memcpy(k, e->s.in_sync, e->s.nin_sync * sizeof *k);
    e->s.copies = e->copies = c;
    e->s.in_sync = e->in_sync = k;
    e->room = copies;
    e->in_sync_room = in_sync;
    return 0;
}

static int add_copy(qd_shard_edit *e, qd_copy c)
{
    if (e->s.ncopies >= QD_COPIES_MAX) return QD_E_LIMIT;
    if (e->s.ncopies == e->room && grow(e, e->room * 2 + 2, e->in_sync_room)) return QD_E_NOMEM;
    e->copies[e->s.ncopies++] = c;
    return 0;
}

static int add_in_sync(qd_shard_edit *e, qd_in_sync a)
{
    if (e->s.nin_sync >= QD_COPIES_MAX) return QD_E_LIMIT;
    if (e->s.nin_sync == e->in_sync_room && grow(e, e->room, e->in_sync_room * 2 + 2)) {
        return QD_E_NOMEM;
    }
    e->in_sync[e->s.nin_sync++] = a;
    return 0;
}

static void drop_copy(qd_shard_edit *e, uint32_t i)
{
    memmove(&e->copies[i], &e->copies[i + 1], (e->s.ncopies - i - 1) * sizeof *e->copies);
    e->s.ncopies--;
}

static void drop_in_sync(qd_shard_edit *e, qd_str allocation_id)
{
    for (uint32_t i = 0; i < e->s.nin_sync; i++) {
        if (!qd_str_eq(e->in_sync[i].allocation_id, allocation_id)) continue;
        memmove(&e->in_sync[i], &e->in_sync[i + 1], (e->s.nin_sync - i - 1) * sizeof *e->in_sync);
        e->s.nin_sync--;
        return;
    }
}

/* Place of an assigned copy, -1: none. */
static int64_t find(const qd_shard_edit *e, qd_str allocation_id)
{
    const qd_copy *c = qd_shard_meta_copy(&e->s, allocation_id);
    return c ? c - e->s.copies : -1;
}

int qd_shard_edit_begin(qd_shard_edit *e, qd_arena *arena, const qd_shard_meta *from,
                        int64_t now_ms)
{
    *e = (qd_shard_edit){.arena = arena, .s = *from, .now_ms = now_ms};
    return grow(e, from->ncopies + 2, from->nin_sync + 2);
}

int qd_shard_edit_new(qd_shard_edit *e, qd_arena *arena, uint32_t replicas, int64_t now_ms)
{
    qd_shard_meta empty = {.fresh = true};
    int rc = qd_shard_edit_begin(e, arena, &empty, now_ms);
    uint32_t n = replicas < QD_COPIES_MAX / 2 ? replicas + 1 : QD_COPIES_MAX / 2;
    for (uint32_t i = 0; i < n && !rc; i++) {
        rc = add_copy(e, (qd_copy){.recovery = i ? QD_RECOVERY_PEER : QD_RECOVERY_EMPTY_STORE,
                                   .reason = QD_UNASSIGNED_INDEX_CREATED,
                                   .since_ms = now_ms});
    }
    e->changed = true;
    return rc;
}

/* Has its primary no files, as it has never been open? */
static bool has_none(const qd_shard_edit *e)
{
    bool unmade = e->s.unopened && e->copies[0].recovery == QD_RECOVERY_EMPTY_STORE;
    return e->s.fresh || unmade;
}

/* --- assigning ------------------------------------------------------------------------------- */

static void put_at(qd_copy *c, const qd_shard_place *p, qd_recovery_source recovery)
{
    c->state = QD_SHARD_INITIALIZING;
    c->recovery = recovery;
    c->allocation_id = p->allocation_id;
    c->node = p->node;
    c->ephemeral = p->ephemeral;
    c->partner = (qd_str){NULL, 0};
}

int qd_shard_edit_assign_primary(qd_shard_edit *e, const qd_shard_place *p, qd_primary_force force)
{
    qd_shard_meta *s = &e->s;
    qd_recovery_source recovery = QD_RECOVERY_EXISTING_STORE;
    if (!s->ncopies || s->primary.n || s->primary_term >= INT64_MAX) return QD_E_CONFLICT;
    const qd_in_sync *known = qd_shard_meta_in_sync(s, p->allocation_id);
    if (s->fresh) {
        recovery = QD_RECOVERY_EMPTY_STORE;
        s->unopened = true;
    } else if (force == QD_FORCE_NONE && (!known || !qd_str_eq(known->node, p->node))) {
        return QD_E_CONFLICT;
    } else if (force == QD_FORCE_NONE) {
        if (has_none(e)) recovery = QD_RECOVERY_EMPTY_STORE;
    } else {
        if (known) return QD_E_CONFLICT; /* a forced primary is a copy of its own */
        if (force == QD_FORCE_EMPTY) recovery = QD_RECOVERY_EMPTY_STORE;
        s->unopened = true;
        s->nin_sync = 0;
        int rc = add_in_sync(e, (qd_in_sync){p->allocation_id, p->node});
        if (rc) return rc;
    }
    put_at(&e->copies[0], p, recovery);
    s->primary = p->allocation_id;
    s->primary_term++;
    e->changed = true;
    return 0;
}

int qd_shard_edit_assign_replica(qd_shard_edit *e, const qd_shard_place *p)
{
    uint32_t best = 0;
    if (!qd_shard_meta_is_started(&e->s) || qd_shard_meta_copy_of(&e->s, p->node) ||
        qd_shard_meta_in_sync(&e->s, p->allocation_id)) {
        return QD_E_CONFLICT;
    }
    for (uint32_t i = 1; i < e->s.ncopies; i++) {
        if (qd_copy_is_assigned(&e->copies[i])) continue;
        /* the place that the node left is taken up by it again */
        bool was_here = qd_str_eq(e->copies[i].last_node, p->node);
        if (!best || was_here || e->copies[i].failures < e->copies[best].failures) best = i;
        if (was_here) break;
    }
    if (!best) return QD_E_CONFLICT;
    put_at(&e->copies[best], p, QD_RECOVERY_PEER);
    e->changed = true;
    return 0;
}

int qd_shard_edit_relocate(qd_shard_edit *e, qd_str allocation_id, const qd_shard_place *p)
{
    int64_t i = find(e, allocation_id);
    if (i < 0 || e->copies[i].state != QD_SHARD_STARTED || !qd_shard_meta_is_started(&e->s) ||
        qd_shard_meta_copy_of(&e->s, p->node) || qd_shard_meta_in_sync(&e->s, p->allocation_id)) {
        return QD_E_CONFLICT;
    }
    qd_copy target = {.since_ms = e->now_ms};
    put_at(&target, p, QD_RECOVERY_PEER);
    target.partner = allocation_id;
    int rc = add_copy(e, target);
    if (rc) return rc;
    e->copies[i].state = QD_SHARD_RELOCATING;
    e->copies[i].partner = p->allocation_id;
    e->changed = true;
    return 0;
}

/* --- in sync, started ------------------------------------------------------------------------ */

int qd_shard_edit_admit(qd_shard_edit *e, qd_str allocation_id)
{
    int64_t i = find(e, allocation_id);
    if (i < 0) return QD_E_CONFLICT;
    if (qd_shard_meta_in_sync(&e->s, allocation_id)) return 0;
    if (i == 0 || e->copies[i].state != QD_SHARD_INITIALIZING) return QD_E_CONFLICT;
    qd_in_sync mine = {e->copies[i].allocation_id, e->copies[i].node};
    /* its files are this copy's now; the id of the primary is never of this node */
    for (uint32_t k = e->s.nin_sync; k-- > 0;) {
        qd_str other = e->in_sync[k].allocation_id;
        if (qd_str_eq(e->in_sync[k].node, mine.node) && find(e, other) < 0) drop_in_sync(e, other);
    }
    int rc = add_in_sync(e, mine);
    if (!rc) e->changed = true;
    return rc;
}

static void mark_started(qd_copy *c)
{
    c->state = QD_SHARD_STARTED;
    c->partner = (qd_str){NULL, 0};
    c->reason = QD_UNASSIGNED_NONE;
    c->since_ms = 0;
    c->failures = 0;
    c->failure = c->last_node = (qd_str){NULL, 0};
}

/* The target of a move takes its source's place. */
static int finish_move(qd_shard_edit *e, uint32_t target)
{
    int64_t source = find(e, e->copies[target].partner);
    if (source < 0 || e->s.primary_term >= INT64_MAX) return QD_E_CONFLICT;
    drop_in_sync(e, e->copies[source].allocation_id);
    e->copies[source] = e->copies[target];
    mark_started(&e->copies[source]);
    drop_copy(e, target);
    if (source == 0) {
        e->s.primary = e->copies[0].allocation_id;
        e->s.primary_term++;
    }
    e->changed = true;
    return 0;
}

int qd_shard_edit_start(qd_shard_edit *e, qd_str allocation_id)
{
    int64_t i = find(e, allocation_id);
    if (i < 0) return QD_E_CONFLICT;
    qd_copy *c = &e->copies[i];
    if (qd_copy_is_active(c)) return 0;
    if (i == 0 && e->s.fresh) {
        int rc = add_in_sync(e, (qd_in_sync){c->allocation_id, c->node});
        if (rc) return rc;
        e->s.fresh = false;
    } else if (!qd_shard_meta_in_sync(&e->s, allocation_id)) {
        return QD_E_CONFLICT;
    }
    if (qd_copy_is_target(c)) return finish_move(e, (uint32_t)i);
    mark_started(&e->copies[i]);
    e->changed = true;
    return 0;
}

void qd_shard_edit_opened(qd_shard_edit *e)
{
    e->changed |= e->s.unopened;
    e->s.unopened = false;
}

void qd_shard_edit_unsynced(qd_shard_edit *e)
{
    if (!e->s.ncopies || e->s.fresh || e->s.unopened) return;
    e->s.unopened = true;
    /* it has been open, and has files */
    if (e->copies[0].recovery == QD_RECOVERY_EMPTY_STORE)
        e->copies[0].recovery = QD_RECOVERY_EXISTING_STORE;
    e->changed = true;
}

/* --- failing --------------------------------------------------------------------------------- */

static void unassign(qd_shard_edit *e, uint32_t i, qd_unassigned_reason reason, qd_str failure)
{
    qd_copy *c = &e->copies[i];
    uint32_t failures = c->failures + (reason == QD_UNASSIGNED_ALLOCATION_FAILED);
    *c = (qd_copy){
        .recovery = i             ? QD_RECOVERY_PEER
                    : has_none(e) ? QD_RECOVERY_EMPTY_STORE
                                  : QD_RECOVERY_EXISTING_STORE,
        .reason = reason,
        .since_ms = e->now_ms,
        .failures = failures,
        .failure = qd_str_sub(failure, 0, QD_FAILURE_TEXT_MAX),
        .last_node = c->node,
    };
    if (i == 0) e->s.primary = (qd_str){NULL, 0};
    e->changed = true;
}

/*
 * Takes a copy that is not the primary away. A target goes and its source is started again; of a
 * source its target stays as a copy of its own, as the primary fills it anyway. What was in sync
 * stays so: the primary has it removed before it acknowledges anything without it.
 */
static void take_replica(qd_shard_edit *e, uint32_t i, qd_unassigned_reason reason, qd_str failure)
{
    qd_str partner = e->copies[i].partner;
    int64_t k = partner.n ? find(e, partner) : -1;
    e->changed = true;
    if (qd_copy_is_target(&e->copies[i])) {
        if (k >= 0) mark_started(&e->copies[k]);
        drop_copy(e, i);
        return;
    }
    unassign(e, i, reason, failure);
    if (k < 0) return;
    qd_copy target = e->copies[k];
    target.partner = (qd_str){NULL, 0};
    target.reason = reason;
    target.since_ms = e->now_ms;
    e->copies[i] = target;
    drop_copy(e, (uint32_t)k);
}

/* Copies that the former primary was filling begin again; targets go. */
static void take_unfinished(qd_shard_edit *e)
{
    for (uint32_t i = e->s.ncopies; i-- > 1;) {
        if (i >= e->s.ncopies || e->copies[i].state != QD_SHARD_INITIALIZING) continue;
        take_replica(e, i, QD_UNASSIGNED_PRIMARY_FAILED, (qd_str){NULL, 0});
    }
}

/* A copy that the primary was filling, as if it were filled; empty: there is none. */
static qd_str broken_next(qd_shard_edit *e)
{
    for (uint32_t i = 1; i < e->s.ncopies; i++) {
        const qd_copy *c = &e->copies[i];
        if (c->state != QD_SHARD_INITIALIZING || qd_copy_is_target(c)) continue;
        if (qd_shard_meta_in_sync(&e->s, c->allocation_id)) continue;
        mark_started(&e->copies[i]);
        if (add_in_sync(e, (qd_in_sync){c->allocation_id, c->node})) break;
        return c->allocation_id;
    }
    return (qd_str){NULL, 0};
}

static int take_primary(qd_shard_edit *e, qd_unassigned_reason reason, qd_str failure)
{
    uint32_t next = 0;
    if (e->s.primary_term >= INT64_MAX) return QD_E_CONFLICT;
    qd_str broken = QD_MUTANT(cluster, PROMOTE_OUT_OF_SYNC) ? broken_next(e) : (qd_str){NULL, 0};
    take_unfinished(e);
    if (broken.n) next = (uint32_t)find(e, broken);
    for (uint32_t i = 1; i < e->s.ncopies && !next; i++) {
        if (qd_copy_is_active(&e->copies[i])) next = i;
    }
    if (!next) {
        unassign(e, 0, reason, failure);
        return 0;
    }
    qd_copy old = e->copies[0];
    e->copies[0] = e->copies[next];
    e->copies[next] = old;
    unassign(e, next, reason, failure);
    e->s.primary = e->copies[0].allocation_id;
    if (!QD_MUTANT(cluster, TERM_KEPT)) e->s.primary_term++;
    return 0;
}

int qd_shard_edit_fail(qd_shard_edit *e, qd_str allocation_id, qd_unassigned_reason reason,
                       qd_str failure, bool stale)
{
    int64_t i = find(e, allocation_id);
    int rc = 0;
    if (i < 0) return QD_E_CONFLICT;
    qd_str id = e->copies[i].allocation_id;
    if (i == 0) {
        rc = take_primary(e, reason, failure);
    } else {
        take_replica(e, (uint32_t)i, reason, failure);
    }
    if (!rc && stale && e->s.nin_sync > 1) drop_in_sync(e, id);
    return rc;
}

int qd_shard_edit_stale(qd_shard_edit *e, qd_str allocation_id)
{
    if (!qd_shard_meta_in_sync(&e->s, allocation_id)) return 0;
    if (find(e, allocation_id) >= 0 || e->s.nin_sync < 2) return QD_E_CONFLICT;
    drop_in_sync(e, allocation_id);
    e->changed = true;
    return 0;
}

int qd_shard_edit_gone(qd_shard_edit *e, bool (*lives)(void *arg, const qd_copy *c), void *arg,
                       qd_unassigned_reason reason)
{
    qd_str none = {NULL, 0};
    /* replicas first, so that none of the dead is promoted; of them the targets of moves */
    for (int targets = 1; targets >= 0; targets--) {
        for (uint32_t i = e->s.ncopies; i-- > 1;) {
            if (i >= e->s.ncopies) continue;
            const qd_copy *c = &e->copies[i];
            if (!qd_copy_is_assigned(c) || qd_copy_is_target(c) != targets || lives(arg, c)) {
                continue;
            }
            take_replica(e, i, reason, none);
        }
    }
    if (e->s.ncopies && e->s.primary.n && !lives(arg, &e->copies[0])) {
        return take_primary(e, reason, none);
    }
    return 0;
}

int qd_shard_edit_retry(qd_shard_edit *e)
{
    for (uint32_t i = 0; i < e->s.ncopies; i++) {
        if (qd_copy_is_assigned(&e->copies[i]) || !e->copies[i].failures) continue;
        e->copies[i].failures = 0;
        e->changed = true;
    }
    return 0;
}

/* --- number of replicas ---------------------------------------------------------------------- */

int qd_shard_edit_replicas(qd_shard_edit *e, uint32_t replicas)
{
    uint32_t wanted = replicas < QD_COPIES_MAX / 2 ? replicas + 1 : QD_COPIES_MAX / 2, places = 0;
    qd_str none = {NULL, 0};
    for (uint32_t i = 0; i < e->s.ncopies; i++) places += !qd_copy_is_target(&e->copies[i]);
    for (; places < wanted; places++) {
        int rc = add_copy(e, (qd_copy){.recovery = QD_RECOVERY_PEER,
                                       .reason = QD_UNASSIGNED_REPLICA_ADDED,
                                       .since_ms = e->now_ms});
        if (rc) return rc;
        e->changed = true;
    }
    static const qd_shard_state order[] = {QD_SHARD_UNASSIGNED, QD_SHARD_INITIALIZING,
                                           QD_SHARD_RELOCATING, QD_SHARD_STARTED};
    for (size_t k = 0; k < QD_COUNT_OF(order); k++) {
        for (uint32_t i = e->s.ncopies; i-- > 1 && places > wanted;) {
            if (i >= e->s.ncopies || e->copies[i].state != order[k] ||
                qd_copy_is_target(&e->copies[i])) {
                continue;
            }
            qd_str id = e->copies[i].allocation_id;
            if (e->copies[i].state == QD_SHARD_RELOCATING) { /* its target first */
                int64_t target = find(e, e->copies[i].partner);
                if (e->s.nin_sync > 1) drop_in_sync(e, e->copies[i].partner);
                if (target >= 0) take_replica(e, (uint32_t)target, QD_UNASSIGNED_NONE, none);
                i = (uint32_t)find(e, id);
            }
            drop_copy(e, i);
            if (id.n && e->s.nin_sync > 1) drop_in_sync(e, id);
            places--;
            e->changed = true;
        }
    }
    return 0;
}
