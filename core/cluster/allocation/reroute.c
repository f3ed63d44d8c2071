/* reroute.c: see reroute.h. Also the step from a decision to a record, which the allocator shares.
 */
#include "cluster/allocation/reroute.h"
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"

static qd_str new_id(qd_env *env, qd_arena *arena)
{
    uint8_t random[16];
    char text[QD_UUID_TEXT];
    qd_env_random(env, random, sizeof random);
    qd_uuid_text(random, text);
    return qd_arena_str(arena, qd_str_c(text));
}

static int assign_primary(qd_shard_edit *e, const qd_alloc_decision *x, const qd_alloc_shard *s,
                          qd_shard_place p)
{
    qd_primary_force force = x->source == QD_ALLOC_FROM_STALE   ? QD_FORCE_STALE
                             : x->source == QD_ALLOC_FROM_EMPTY ? QD_FORCE_EMPTY
                                                                : QD_FORCE_NONE;
    if (x->source == QD_ALLOC_FROM_DISK && x->holder < s->nholders) {
        p.allocation_id = s->holders[x->holder].allocation_id;
    }
    return qd_shard_edit_assign_primary(e, &p, force);
}

static int remove_copy(qd_shard_edit *e, const qd_state *s, const qd_alloc_decision *x, qd_str id)
{
    if (x->shrink) return qd_shard_edit_replicas(e, s->indices[x->index]->replicas);
    qd_unassigned_reason why = QD_UNASSIGNED_NODE_LEFT;
    const char *name = qd_alloc_why_name(x->why);
    for (int i = 1; i <= QD_UNASSIGNED_NODE_RESTARTING; i++) {
        if (qd_str_is(qd_str_c(name), qd_unassigned_reason_name((qd_unassigned_reason)i))) {
            why = (qd_unassigned_reason)i;
        }
    }
    return qd_shard_edit_fail(e, id, why, (qd_str){NULL, 0}, false);
}

int qdi_decision_step(qd_env *env, const qd_state *state, const qd_alloc_view *view,
                      qd_arena *arena, qd_shard_edit *e, const qd_alloc_decision *x)
{
    const qd_alloc_shard *s = &view->shards[x->shard];
    const qd_node_meta *node =
        x->node < state->nnodes ? &state->nodes[x->node] : NULL; /* QD_ALLOC_NONE too */
    qd_str id = x->copy < s->ncopies ? s->copies[x->copy].allocation_id : (qd_str){NULL, 0};
    qd_shard_place p = {0};
    if (node) p = (qd_shard_place){new_id(env, arena), node->id, node->ephemeral};
    if (node && !p.allocation_id.p) return QD_E_NOMEM;
    switch (x->action) {
    case QD_ALLOC_ASSIGN_PRIMARY:
        return node ? assign_primary(e, x, s, p) : QD_E_CONFLICT;
    case QD_ALLOC_ASSIGN_REPLICA:
        return node ? qd_shard_edit_assign_replica(e, &p) : QD_E_CONFLICT;
    case QD_ALLOC_RELOCATE:
        return node ? qd_shard_edit_relocate(e, id, &p) : QD_E_CONFLICT;
    case QD_ALLOC_CANCEL: {
        const qd_copy *c = qd_shard_meta_copy(&e->s, id);
        return c && c->partner.n
                   ? qd_shard_edit_fail(e, c->partner, QD_UNASSIGNED_REROUTE_CANCELLED,
                                        (qd_str){NULL, 0}, false)
                   : QD_E_CONFLICT;
    }
    case QD_ALLOC_REMOVE:
        return remove_copy(e, state, x, id);
    case QD_ALLOC_RESET:
        return qd_shard_edit_retry(e);
    case QD_ALLOC_PROMOTE: /* happens with the removal of the former primary */
    case QD_ALLOC_BLOCK:   /* nodes watch their own disks */
    case QD_ALLOC_UNBLOCK:
        break;
    }
    return QD_E_CONFLICT;
}

/* --- commands -------------------------------------------------------------------------------- */

typedef struct rerouting {
    qd_reroute *r;
    qd_arena *arena;
} rerouting;

static int not_possible(const qd_state *s, const qd_alloc_shard *shard, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "[%.*s][%u]: the record of the shard does not allow the step",
                      QD_STR_ARG(s->indices[shard->index]->name), shard->number);
}

/* The records that the decisions make; several of one shard are steps of one edit. */
static int edit_all(qd_cluster *c, rerouting *a, const qd_state *s, const qd_alloc_view *view,
                    const qd_alloc_result *result, cluster_txn *t, qd_err *err)
{
    qd_reroute *r = a->r;
    qd_shard_edit *edits = qd_arena_alloc(a->arena, (result->n + 1) * sizeof *edits);
    qd_reroute_record *records = qd_arena_alloc(a->arena, (result->n + 1) * sizeof *records);
    uint32_t n = 0;
    if (!edits || !records) return qd_err_nomem(err, "reroute");
    for (uint32_t i = 0; i < result->n; i++) {
        const qd_alloc_decision *x = &result->decisions[i];
        const qd_alloc_shard *shard = &view->shards[x->shard];
        uint32_t k = 0;
        while (k < n && (records[k].index != shard->index || records[k].number != shard->number))
            k++;
        if (k == n) {
            records[n] = (qd_reroute_record){.index = shard->index, .number = shard->number};
            if (qd_shard_edit_begin(&edits[n++], a->arena, &s->shards[shard->index][shard->number],
                                    view->now_ms)) {
                return qd_err_nomem(err, "reroute");
            }
        }
        int rc = qdi_decision_step(c->env, s, view, a->arena, &edits[k], x);
        if (rc == QD_E_NOMEM) return qd_err_nomem(err, "reroute");
        if (rc) return not_possible(s, shard, err);
    }
    for (uint32_t k = 0; k < n; k++) {
        records[k].shard = edits[k].s;
        if (t && edits[k].changed) {
            qdi_txn_put_shard(t, s->indices[records[k].index]->uuid, records[k].number, &edits[k]);
        }
    }
    r->records = records;
    r->nrecords = n;
    return 0;
}

/* One attempt; t NULL: nothing is to be committed. 1: nothing changes. */
static int attempt(qd_cluster *c, rerouting *a, const qd_state *s, cluster_txn *t, qd_err *err)
{
    qd_reroute *r = a->r;
    qd_alloc_view view;
    qd_alloc_result result;
    r->nrecords = 0;
    r->facts.now_ms = qd_env_wall_ms(c->env);
    r->words = qd_arena_calloc(a->arena, (r->n + 1) * sizeof *r->words);
    if (!r->words) return qd_err_nomem(err, "reroute");
    int rc = qd_alloc_view_make(s, &r->facts, a->arena, &view, err);
    if (!rc) {
        rc = qd_allocation_commands(&view, r->commands, r->n, r->retry_failed, r->explain, a->arena,
                                    &result, r->words, err);
    }
    if (!rc) rc = edit_all(c, a, s, &view, &result, t, err);
    return rc ? rc : !result.n;
}

static int change_by_commands(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t,
                              qd_err *err)
{
    return attempt(c, arg, s, t, err);
}

int qd_cluster_reroute_run(qd_cluster *c, qd_reroute *r, qd_arena *arena, qd_state **out,
                           qd_err *err)
{
    rerouting a = {r, arena};
    if (!r->dry_run) {
        int rc = qdi_change(c, change_by_commands, &a, out, err);
        if (!rc) qd_cluster_reroute(c);
        return rc;
    }
    qd_state *s = qd_cluster_state(c);
    int rc = attempt(c, &a, s, NULL, err);
    if (rc < 0 || !out) {
        qd_state_unref(s);
        return rc < 0 ? rc : 0;
    }
    *out = s;
    return 0;
}
