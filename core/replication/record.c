/* record.c: what a primary changes in the record of its shard: copies that fail or are admitted,
 * its start, a hand-over. See repl_int.h. */
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include <stdio.h>

#define RETRY_NS 200000000ull
#define START_AGAIN_NS 1000000000ull

void repl_cas_push(repl_shard *g, repl_change change, const repl_peer *c, const char *why)
{
    repl_cas x = {.change = change, .peer = c->id};
    qd_invariant(g->leading && c->id);
    memcpy(x.aid, c->aid, sizeof x.aid);
    snprintf(x.why, sizeof x.why, "%s", why ? why : "");
    if (qd_vec_push(&g->cas, NULL, x)) g->nomem = true;
}

static int change(repl_shard *g, const repl_cas *c, uint64_t term, uint64_t *revision, qd_err *err)
{
    qd_replication *r = g->r;
    qd_primary_ref p = {g->uuid, g->number, qd_str_c(g->aid), term};
    qd_str aid = qd_str_c(c->aid);
    qd_state *s = NULL;
    int rc;
    switch (c->change) {
    case REPL_CHANGE_FAIL:
        rc = qd_cluster_primary_fail(r->cluster, &p, &aid, 1, qd_str_c(c->why), &s, err);
        break;
    case REPL_CHANGE_ADMIT:
        rc = qd_cluster_primary_admit(r->cluster, &p, aid, &s, err);
        break;
    default:
        qd_assert(c->change == REPL_CHANGE_HANDOVER); /* a start is said elsewhere */
        rc = qd_cluster_primary_handoff(r->cluster, &p, aid, &s, err);
        break;
    }
    *revision = 0;
    if (!rc && s) {
        const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(g->uuid));
        const qd_shard_meta *x = m ? qd_state_shard(s, m, g->number) : NULL;
        if (x && x->primary_term == term) *revision = x->mod_revision;
    }
    qd_state_unref(s);
    return rc;
}

/* Is the answer final? Otherwise the same is asked again: its outcome is not known. */
static bool settled(int rc)
{
    return !rc || rc == QD_E_NOT_PRIMARY || rc == QD_E_NOTFOUND || rc == QD_E_CONFLICT ||
           rc == QD_E_INDEX_NOT_FOUND || rc == QD_E_ARG;
}

static bool has_started(const repl_shard *g)
{
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (strcmp(g->place[i].c.aid, g->aid) == 0) return g->place[i].c.started;
    }
    return false;
}

/* A primary that was opened again, or promoted while it was, says that it can be used: the record
 * takes no changes from it before. Its own phase keeps reads and writes away as long as need be.
 * false: that is not known to be heard. */
bool repl_started_first(repl_shard *g)
{
    qd_copy_ref ref = {g->uuid, g->number, qd_str_c(g->aid)};
    qd_mutex_lock(&g->lock);
    bool started = has_started(g);
    qd_mutex_unlock(&g->lock);
    return started || settled(qd_cluster_copy_started(g->r->cluster, &ref, NULL, NULL));
}

bool repl_start_due(repl_shard *g)
{
    bool leads = g->leading && g->engine && g->pm.phase != REPL_FENCED &&
                 g->record_term == g->pm.term && strcmp(g->record_primary, g->aid) == 0;
    bool told = has_started(g) && (!g->unsynced || g->async);
    if (!leads || told || g->start_runs || repl_now(g) < g->start_ns) return false;
    g->start_runs = true;
    return true;
}

bool repl_rests(const repl_shard *g)
{
    bool told = has_started(g) && (!g->unsynced || g->async);
    for (size_t i = 0; i < REPL_HOLDS; i++) {
        if (g->hold[i].p) return false;
    }
    for (size_t i = 0; i < REPL_JOBS; i++) {
        if (atomic_load(&g->job[i].late)) return false;
    }
    if (g->outbox.n || g->cas.n || g->cas_runs || g->publish_runs || g->stale) return false;
    if (!g->leading) return !g->recovers && !g->installing;
    return g->pm.phase == REPL_ACTIVE && told && !g->start_runs && !g->pm.top && !g->replicated &&
           !g->lead_runs;
}

/* Durability is `request` again: once all that was acknowledged before is on the disk the record
 * says so. */
static void tell_synced(repl_shard *g)
{
    qd_copy_ref ref = {g->uuid, g->number, qd_str_c(g->aid)};
    qd_shard *s;
    qd_engine *e;
    if (repl_enter(g, &s, &e, NULL)) return;
    int rc = qd_engine_durability(e) == QD_DURABILITY_REQUEST ? qd_engine_sync_all(e, NULL) : 1;
    repl_leave(s);
    if (!rc && !settled(qd_cluster_copy_started(g->r->cluster, &ref, NULL, NULL)))
        qd_log_debug(REPL_LOG, "%s is synced, which is to be told again", g->name);
}

void repl_start(repl_shard *g)
{
    qd_mutex_lock(&g->lock);
    bool synced = has_started(g);
    qd_mutex_unlock(&g->lock);
    if (synced)
        tell_synced(g);
    else
        (void)repl_started_first(g);
    qd_mutex_lock(&g->lock);
    qd_assert(g->start_runs);
    g->start_runs = false;
    g->start_ns = repl_now(g) + START_AGAIN_NS;
    qd_mutex_unlock(&g->lock);
}

void repl_cas_over(repl_shard *g, const repl_cas *c)
{
    if (!g->cas.n || g->cas.at[0].peer != c->peer || g->cas.at[0].change != c->change) return;
    memmove(&g->cas.at[0], &g->cas.at[1], (g->cas.n - 1) * sizeof g->cas.at[0]);
    g->cas.n--;
}

void repl_cas_run(repl_shard *g)
{
    for (;;) {
        qd_mutex_lock(&g->lock);
        qd_assert(g->cas_runs); /* one at a time: changes go in their order */
        if (!g->leading || g->pm.phase == REPL_FENCED || !g->cas.n || g->r->closing) {
            g->cas_runs = false;
            qd_mutex_unlock(&g->lock);
            return;
        }
        repl_cas c = g->cas.at[0];
        uint64_t term = g->pm.term, revision;
        qd_mutex_unlock(&g->lock);
        qd_err err;
        if (!repl_started_first(g)) { /* refused as of no primary would be wrong */
            qd_env_sleep_ns(g->r->env, RETRY_NS);
            continue;
        }
        qd_err_init(&err);
        int rc = change(g, &c, term, &revision, &err);
        if (QD_MUTANT(repl, CHANGE_ASSUMED) && !settled(rc)) rc = 0;
        static const char *const names[] = {"leaves the in-sync set", "joins the in-sync set",
                                            "becomes primary", "starts"};
        if (!rc) {
            qd_log_info(REPL_LOG, "%s copy [%s] %s%s%s", g->name, c.aid, names[c.change],
                        c.why[0] ? ": " : "", c.why);
        } else {
            qd_log_warn(REPL_LOG, "%s copy [%s] %s: %s", g->name, c.aid, names[c.change],
                        qd_err_reason(&err));
        }
        qd_err_fini(&err);
        if (!settled(rc)) {
            qd_env_sleep_ns(g->r->env, RETRY_NS);
            continue;
        }
        qd_mutex_lock(&g->lock);
        repl_cas_over(g, &c);
        bool stale = rc == QD_E_NOT_PRIMARY || rc == QD_E_INDEX_NOT_FOUND;
        if (g->leading) {
            repl_primary_changed(&g->pm, c.change, c.peer, !rc, stale, revision, repl_now(g));
            repl_relocate_look(g);
        }
        repl_unlock(g);
        if (rc && !stale) qd_env_sleep_ns(g->r->env, RETRY_NS); /* it may be asked for at once */
    }
}

/* Is there another copy that can be the primary? */
static bool replaceable(repl_shard *g)
{
    for (uint32_t i = 0; i < g->nplaces; i++) {
        const repl_place *p = &g->place[i];
        if (strcmp(p->c.aid, g->aid) == 0 || !p->c.started || !p->c.in_sync) continue;
        repl_peer *c = repl_primary_find(&g->pm, p->c.aid);
        if (c && c->in_sync && !c->failing) return true;
    }
    return false;
}

/* This node stops: writes wait for the next primary, those under way end, leases go back. */
static void retire_look(repl_shard *g)
{
    if (!replaceable(g)) {
        repl_primary_resume(&g->pm, repl_now(g));
        return;
    }
    if (g->pm.phase == REPL_ACTIVE) repl_primary_drain(&g->pm);
    if (g->pm.phase == REPL_DRAINING && !g->writers && !repl_primary_busy(&g->pm)) {
        repl_primary_handing(&g->pm);
        qd_waitq_wake(&g->changed);
    }
}

bool repl_retired(repl_shard *g)
{
    qd_mutex_lock(&g->lock);
    if (g->leading && g->pm.phase != REPL_FENCED && g->r->retiring) retire_look(g);
    bool done =
        !g->leading || g->pm.phase == REPL_FENCED || g->pm.phase == REPL_HANDING || !replaceable(g);
    repl_unlock(g);
    return done;
}

void repl_relocate_look(repl_shard *g)
{
    const repl_place *me = NULL;
    if (!g->leading || g->pm.phase == REPL_FENCED) return;
    if (g->r->retiring) {
        retire_look(g);
        return;
    }
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (strcmp(g->place[i].c.aid, g->aid) == 0) me = &g->place[i];
    }
    repl_peer *t =
        me && me->state == QD_SHARD_RELOCATING ? repl_primary_find(&g->pm, me->partner) : NULL;
    if (!t || !t->in_sync || t->failing) {
        if (g->pm.phase == REPL_DRAINING) repl_primary_resume(&g->pm, repl_now(g));
        return;
    }
    if (g->pm.phase == REPL_ACTIVE) repl_primary_drain(&g->pm);
    if (g->pm.phase == REPL_DRAINING && !g->writers && !repl_primary_busy(&g->pm)) {
        repl_primary_handing(&g->pm);
        repl_cas_push(g, REPL_CHANGE_HANDOVER, t, NULL);
    }
}
