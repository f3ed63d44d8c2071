/* copies.c: changes of shards' records by those who hold copies. See copies.h. */
#include "cluster/copies.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "cluster/mutants.h"
#include <stdio.h>

#define PASSING_FAILURES 4u /* below index.allocation.max_retries */

typedef enum step { STARTED, FAILED, REOPEN, ADMIT, FAIL_OTHERS, HANDOFF } step_kind;

typedef struct copy_args {
    step_kind step;
    const char *uuid;
    uint32_t number, nids;
    qd_str self; /* allocation id of the copy that asks */
    uint64_t term;
    const qd_str *ids; /* of others */
    qd_str text;
    qd_copy_failure failure;
    uint64_t looked;   /* out: revision of the record that was looked at */
    uint64_t new_term; /* out: REOPEN */
    char name[96];     /* "[uuid][number]", for messages */
} copy_args;

static int not_there(const copy_args *a, qd_str id, qd_err *err)
{
    return qd_err_set(err, QD_E_NOTFOUND, "shard %s has no copy [%.*s] any more", a->name,
                      QD_STR_ARG(id));
}

/* What passes does not use up the attempts. */
static void bound_failures(qd_cluster *c, const copy_args *a, qd_shard_edit *e)
{
    for (uint32_t i = 0; i < e->s.ncopies && a->failure == QD_COPY_PASSES; i++) {
        qd_copy *x = &e->copies[i];
        bool mine = !qd_copy_is_assigned(x) && qd_str_eq(x->last_node, c->self.id);
        if (mine && x->failures > PASSING_FAILURES) x->failures = PASSING_FAILURES;
    }
}

static int fail_own(qd_cluster *c, const copy_args *a, qd_shard_edit *e)
{
    int rc = qd_shard_edit_fail(e, a->self, QD_UNASSIGNED_ALLOCATION_FAILED, a->text,
                                a->failure == QD_COPY_LOST);
    bound_failures(c, a, e);
    return rc;
}

static int reopen(qd_cluster *c, copy_args *a, qd_shard_edit *e)
{
    qd_shard_place p = {a->self, c->self.id, c->self.ephemeral};
    bool primary = qd_str_eq(e->s.primary, a->self);
    int rc = qd_shard_edit_fail(e, a->self, QD_UNASSIGNED_ALLOCATION_FAILED, a->text, false);
    a->new_term = 0;
    bound_failures(c, a, e);
    if (rc || !primary || e->s.primary.n) return rc;
    rc = qd_shard_edit_assign_primary(e, &p, QD_FORCE_NONE);
    if (!rc) a->new_term = e->s.primary_term;
    return rc;
}

/* A copy's own report. */
static int own_step(qd_cluster *c, copy_args *a, bool closed, qd_shard_edit *e, qd_err *err)
{
    const qd_copy *mine = qd_shard_meta_copy(&e->s, a->self);
    if (!mine || !qd_str_eq(mine->node, c->self.id) ||
        !qd_str_eq(mine->ephemeral, c->self.ephemeral)) {
        return not_there(a, a->self, err);
    }
    if (a->step == FAILED) return fail_own(c, a, e);
    if (a->step == REOPEN) return reopen(c, a, e);
    bool of_primary = qd_copy_is_target(mine) && qd_str_eq(mine->partner, e->s.primary);
    int rc = of_primary ? QD_E_CONFLICT : qd_shard_edit_start(e, a->self);
    /* of a closed index nothing was opened */
    if (!rc && !closed && qd_str_eq(e->s.primary, a->self)) qd_shard_edit_opened(e);
    return rc == QD_E_CONFLICT
               ? qd_err_set(err, rc, "copy [%.*s] of shard %s is not in sync, it cannot start",
                            QD_STR_ARG(a->self), a->name)
               : rc;
}

static int fail_others(const copy_args *a, qd_shard_edit *e)
{
    for (uint32_t i = 0; i < a->nids; i++) {
        qd_str id = a->ids[i];
        int rc = qd_str_eq(id, a->self) ? QD_E_ARG
                 : qd_shard_meta_copy(&e->s, id)
                     ? qd_shard_edit_fail(e, id, QD_UNASSIGNED_ALLOCATION_FAILED, a->text, true)
                     : qd_shard_edit_stale(e, id);
        if (rc) return rc;
    }
    return 0;
}

static int primary_step(const copy_args *a, qd_shard_edit *e, qd_err *err)
{
    bool mine = qd_str_eq(e->s.primary, a->self) && e->s.primary_term == a->term &&
                qd_shard_meta_is_started(&e->s);
    if (!mine && !(QD_MUTANT(cluster, PRIMARY_UNNAMED) && qd_shard_meta_is_started(&e->s))) {
        return qd_err_set(err, QD_E_NOT_PRIMARY,
                          "shard %s: copy [%.*s] is not primary of term %llu any more, the record "
                          "names [%.*s] and term %llu",
                          a->name, QD_STR_ARG(a->self), (unsigned long long)a->term,
                          QD_STR_ARG(e->s.primary), (unsigned long long)e->s.primary_term);
    }
    const qd_copy *other = a->nids ? qd_shard_meta_copy(&e->s, a->ids[0]) : NULL;
    int rc;
    switch (a->step) {
    case ADMIT:
        rc = other ? qd_shard_edit_admit(e, a->ids[0]) : not_there(a, a->ids[0], err);
        break;
    case HANDOFF:
        rc = other && qd_copy_is_target(other) && qd_str_eq(other->partner, a->self)
                 ? qd_shard_edit_start(e, a->ids[0])
                 : not_there(a, a->ids[0], err);
        break;
    default:
        rc = fail_others(a, e);
    }
    return rc == QD_E_CONFLICT
               ? qd_err_set(err, rc, "shard %s: its record does not allow this step", a->name)
               : rc;
}

static int change_copy(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    copy_args *a = arg;
    qd_shard_edit e;
    const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(a->uuid));
    const qd_shard_meta *now = m ? qd_state_shard(s, m, a->number) : NULL;
    a->looked = now ? now->mod_revision : 0;
    if (!now || !now->ncopies) return not_there(a, a->self, err);
    if (qd_shard_edit_begin(&e, &t->arena, now, qd_env_wall_ms(c->env))) {
        return qd_err_nomem(err, "change of the cluster state");
    }
    int rc = a->step <= REOPEN ? own_step(c, a, m->closed, &e, err) : primary_step(a, &e, err);
    if (rc) {
        if (rc == QD_E_NOMEM) (void)qd_err_nomem(err, "change of the cluster state");
        return rc;
    }
    if (!e.changed) return QDI_CHANGE_NOTHING;
    qdi_txn_put_shard(t, m->uuid, a->number, &e);
    return 0;
}

/* A step was refused for the record that this node had applied. 1: the store has a newer one,
 * applied here by now; 0: it has none, the step is refused; else nobody knows. */
static int newer(qd_cluster *c, const copy_args *a, qd_err *err)
{
    qd_arena arena;
    qd_coord_list list;
    qd_arena_init(&arena, NULL, 1 << 20);
    qd_str key = qd_arena_printf(&arena, "shard/%s/%u", a->uuid, a->number);
    int rc = key.p ? qd_coord_read(c->store, key, false, c->timeout_ms, &arena, &list, err)
                   : qd_err_nomem(err, "record of a shard");
    bool again = !rc && list.n && list.at[0].mod_revision > a->looked;
    if (again) rc = qd_cluster_wait(c, list.at[0].mod_revision, c->timeout_ms, err);
    qd_arena_fini(&arena);
    return rc ? rc : again;
}

/*
 * A copy may act on what it was told before this node has applied it (the primary admitted it, the
 * listener was shown the state): a step that the applied record does not allow is tried again when
 * the store has a newer one, and is not said to be refused while the store cannot tell.
 */
static int make(qd_cluster *c, copy_args *a, qd_state **out, qd_err *err)
{
    int rc, more;
    qd_err why, unknown;
    snprintf(a->name, sizeof a->name, "[%s][%u]", a->uuid, a->number);
    qd_mutex_lock(&c->lock);
    uint64_t seen = c->applying;
    qd_mutex_unlock(&c->lock);
    if ((rc = qd_cluster_wait(c, seen, c->timeout_ms, err))) return rc;
    qd_err_init(&why);
    qd_err_init(&unknown);
    for (;;) {
        rc = qdi_change(c, change_copy, a, out, &why);
        bool refused = rc == QD_E_CONFLICT || rc == QD_E_NOTFOUND || rc == QD_E_NOT_PRIMARY;
        more = refused ? newer(c, a, &unknown) : 0;
        if (more != 1) break;
        qd_err_fini(&why);
    }
    if (more) rc = more;
    if (rc) qd_err_copy(err, more ? &unknown : &why);
    qd_err_fini(&why);
    qd_err_fini(&unknown);
    return rc;
}

int qd_cluster_copy_started(qd_cluster *c, const qd_copy_ref *copy, qd_state **out, qd_err *err)
{
    copy_args a = {
        .step = STARTED, .uuid = copy->uuid, .number = copy->number, .self = copy->allocation_id};
    return make(c, &a, out, err);
}

int qd_cluster_copy_failed(qd_cluster *c, const qd_copy_ref *copy, qd_str text,
                           qd_copy_failure failure, qd_state **out, qd_err *err)
{
    copy_args a = {.step = FAILED,
                   .uuid = copy->uuid,
                   .number = copy->number,
                   .self = copy->allocation_id,
                   .text = text,
                   .failure = failure};
    return make(c, &a, out, err);
}

int qd_cluster_copy_reopen(qd_cluster *c, const qd_copy_ref *copy, qd_str text,
                           qd_copy_failure failure, uint64_t *term, qd_err *err)
{
    copy_args a = {.step = REOPEN,
                   .uuid = copy->uuid,
                   .number = copy->number,
                   .self = copy->allocation_id,
                   .text = text,
                   .failure = failure};
    int rc = make(c, &a, NULL, err);
    if (!rc) *term = a.new_term;
    return rc;
}

static int of_primary(qd_cluster *c, step_kind step, const qd_primary_ref *p, const qd_str *ids,
                      uint32_t n, qd_str text, qd_state **out, qd_err *err)
{
    copy_args a = {.step = step,
                   .uuid = p->uuid,
                   .number = p->number,
                   .self = p->allocation_id,
                   .term = p->term,
                   .ids = ids,
                   .nids = n,
                   .text = text};
    return make(c, &a, out, err);
}

int qd_cluster_primary_admit(qd_cluster *c, const qd_primary_ref *primary, qd_str allocation_id,
                             qd_state **out, qd_err *err)
{
    return of_primary(c, ADMIT, primary, &allocation_id, 1, (qd_str){NULL, 0}, out, err);
}

int qd_cluster_primary_fail(qd_cluster *c, const qd_primary_ref *primary,
                            const qd_str *allocation_ids, uint32_t n, qd_str text, qd_state **out,
                            qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (qd_str_eq(allocation_ids[i], primary->allocation_id)) {
            return qd_err_set(err, QD_E_ARG, "a primary does not fail itself by this step");
        }
    }
    return of_primary(c, FAIL_OTHERS, primary, allocation_ids, n, text, out, err);
}

int qd_cluster_primary_handoff(qd_cluster *c, const qd_primary_ref *primary, qd_str target,
                               qd_state **out, qd_err *err)
{
    return of_primary(c, HANDOFF, primary, &target, 1, (qd_str){NULL, 0}, out, err);
}
