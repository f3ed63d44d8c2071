/* handover.c: which step is next, and taking it. See handover.h. */
#include "cluster/authority/handover.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/authority/handover_int.h"
#include "cluster/mutants.h"
#include <stdio.h>

#define SOON_NS UINT64_C(20000000) /* until what was seen elsewhere is known here too */
#define LATER_NS UINT64_C(1000000000)
#define NEVER UINT64_MAX
#define WISH_TRIES 20
#define KEPT_NS UINT64_C(500000000)        /* between two writes of a mirror that is kept */
#define KEPT_LOOK_NS UINT64_C(30000000000) /* between two looks at it while nothing changes */
#define KEPT_FAILED_NS UINT64_C(2000000000)
#define KEPT_COMPARE_NS UINT64_C(300000000000) /* between two comparisons of it */
#define FAR 1000u                              /* revisions behind, or so long: it is said */
#define FAR_NS UINT64_C(10000000000)
#define TELL_NS UINT64_C(60000000000)

/* --- begin, end ------------------------------------------------------------------------------ */

int qd_handover_open(const qd_handover_config *config, qd_handover **out, qd_err *err)
{
    qd_handover *h = qd_calloc(NULL, sizeof *h);
    if (!h) return qd_err_nomem(err, "hand-over");
    h->config = *config;
    if (!h->config.timeout_ms) h->config.timeout_ms = 5000;
    if (!h->config.rounds) h->config.rounds = 3;
    if (!h->config.lag_max) h->config.lag_max = 100;
    if (!h->config.batch_bytes) h->config.batch_bytes = (size_t)4 << 20;
    qd_mutex_init(&h->lock);
    qd_cond_init(&h->wake);
    *out = h;
    return 0;
}

void qd_handover_close(qd_handover *h)
{
    if (!h) return;
    qdi_handover_unfollow(h);
    qd_cond_fini(&h->wake);
    qd_mutex_fini(&h->lock);
    qd_free(h);
}

void qd_handover_kick(qd_handover *h)
{
    qd_mutex_lock(&h->lock);
    h->kicked = true;
    qd_cond_signal(&h->wake);
    qd_mutex_unlock(&h->lock);
}

void qd_handover_wait(qd_handover *h, uint64_t ns)
{
    uint64_t now = qd_env_mono_ns(h->config.env), until = ns > NEVER - now ? NEVER : now + ns;
    qd_mutex_lock(&h->lock);
    while (!h->kicked && !h->lost) {
        bool some = h->first != NULL;
        if (some && h->spares_ns < until) until = h->spares_ns;
        if (some && qd_env_mono_ns(h->config.env) >= h->spares_ns) break;
        if (qd_cond_wait_until(&h->wake, &h->lock, until)) break;
    }
    h->kicked = false;
    qd_mutex_unlock(&h->lock);
}

const char *qd_handover_step_name(qd_handover_step step)
{
    static const char *const names[] = {"none",   "prepare", "mirror", "compare",
                                        "sealed", "retire",  "abort",  "done"};
    return (size_t)step < QD_COUNT_OF(names) ? names[step] : names[0];
}

void qd_handover_status_get(qd_handover *h, qd_handover_status *out)
{
    qd_mutex_lock(&h->lock);
    *out = h->status;
    qd_mutex_unlock(&h->lock);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void at(qd_handover *h, qd_handover_step step)
{
    qd_mutex_lock(&h->lock);
    if (h->status.step != step && step != QD_HANDOVER_NONE && step != QD_HANDOVER_COMPARE &&
        !(step == QD_HANDOVER_MIRROR && h->status.step == QD_HANDOVER_COMPARE))
        qd_log_info(HANDOVER_LOG, "migration to [%s]: %s", h->status.to,
                    qd_handover_step_name(step));
    h->status.step = step;
    qd_mutex_unlock(&h->lock);
}

static uint64_t highest_epoch(const handover_look *l)
{
    uint64_t e = l->id[0].epoch > l->id[1].epoch ? l->id[0].epoch : l->id[1].epoch;
    return l->plan.target > e ? l->plan.target : e;
}

/* A copy from the beginning, under an epoch that was never used. */
static int begin_mirror(qd_handover *h, const handover_look *l, qd_err *err)
{
    qd_coord_store *n = h->config.store[l->to];
    int rc = qdi_handover_same_cluster(h, l, err);
    if (rc) return rc;
    qdi_handover_unfollow(h);
    h->rounds = 0;
    return qdi_handover_step(h, n, QD_COORD_BEGIN_MIRROR, l->id[l->to].epoch, highest_epoch(l) + 1,
                             NULL, err);
}

static int drop_mirror(qd_handover *h, const handover_look *l, qd_err *err)
{
    qdi_handover_unfollow(h);
    return qdi_handover_step(h, h->config.store[l->to], QD_COORD_MAKE_VOID, l->id[l->to].epoch, 0,
                             NULL, err);
}

static int forget_plan(qd_handover *h, handover_look *l, qd_err *err)
{
    l->plan.to[0] = 0;
    return qdi_handover_plan_write(h, h->config.store[l->from], &l->plan, err);
}

static int decide(qd_handover *h, const handover_look *l, qd_err *err);

static int seal(qd_handover *h, const handover_look *l, qd_err *err)
{
    int rc = qdi_handover_step(h, h->config.store[l->from], QD_COORD_SEAL, l->id[l->from].epoch, 0,
                               NULL, err);
    if (rc && QD_MUTANT(cluster, SEAL_ASSUMED)) {
        if (err) qd_err_fini(err);
        return decide(h, l, err);
    }
    if (!rc)
        qd_log_info(HANDOVER_LOG, "migration: the store [%s] is sealed", h->config.name[l->from]);
    return rc;
}

static void note_progress(qd_handover *h, const handover_look *l, uint64_t copied)
{
    uint64_t revision = l->id[l->from].revision;
    qd_mutex_lock(&h->lock);
    h->status.copied = copied;
    h->status.revision = revision > copied ? revision : copied;
    h->status.rounds = h->rounds;
    qd_mutex_unlock(&h->lock);
}

/* A round of comparison. 1: clean; 0: the copy was begun anew. */
static int round_of(qd_handover *h, const handover_look *l, qd_err *err)
{
    uint64_t revision, differences;
    at(h, QD_HANDOVER_COMPARE);
    int rc = qdi_handover_compare(h, l, &revision, &differences, err);
    if (rc) return rc;
    h->compared_ns = qd_env_mono_ns(h->config.env);
    qd_mutex_lock(&h->lock);
    h->status.differences = differences;
    qd_mutex_unlock(&h->lock);
    if (!differences) {
        h->rounds++;
        return 1;
    }
    qd_log_warn(HANDOVER_LOG,
                "migration: %llu keys differ at revision %llu, the copy is begun anew",
                (unsigned long long)differences, (unsigned long long)revision);
    return begin_mirror(h, l, err);
}

/* A mirror that is kept: how far behind it is, for people. */
static void tell_lag(qd_handover *h, const handover_look *l, uint64_t copied)
{
    uint64_t now = qd_env_mono_ns(h->config.env), last = l->id[l->from].revision;
    uint64_t lag = last > copied ? last - copied : 0;
    if (!lag) {
        if (h->told_ns)
            qd_log_info(HANDOVER_LOG, "the mirror in [%s] is up to date again",
                        h->config.name[l->to]);
        h->lags_ns = h->told_ns = 0;
        return;
    }
    if (!h->lags_ns) h->lags_ns = now;
    bool far = lag > FAR || now > h->lags_ns + FAR_NS;
    if (!far || (h->told_ns && now < h->told_ns + TELL_NS)) return;
    h->told_ns = now;
    qd_log_warn(HANDOVER_LOG,
                "the mirror of the cluster's state in [%s] is %llu revisions behind, for %llu s",
                h->config.name[l->to], (unsigned long long)lag,
                (unsigned long long)((now - h->lags_ns) / 1000000000u));
}

/* It follows, slowly, and is compared now and then. */
static int keep(qd_handover *h, const handover_look *l, uint64_t *again, qd_err *err)
{
    uint64_t copied = l->id[l->to].revision;
    int rc = qdi_handover_follow(h, l, &copied, err);
    if (rc == QD_E_CORRUPT) {
        if (err) qd_err_fini(err);
        *again = 0;
        return begin_mirror(h, l, err);
    }
    at(h, QD_HANDOVER_MIRROR);
    note_progress(h, l, copied);
    tell_lag(h, l, copied);
    h->spares_ns = qd_env_mono_ns(h->config.env) + (rc ? KEPT_FAILED_NS : KEPT_NS);
    *again = KEPT_LOOK_NS;
    if (rc) return rc;
    if (h->rounds && qd_env_mono_ns(h->config.env) < h->compared_ns + KEPT_COMPARE_NS) return 0;
    rc = round_of(h, l, err);
    at(h, QD_HANDOVER_MIRROR);
    return rc < 0 ? rc : 0;
}

/* The mirror follows; compared, and with all clean and near, the old store is sealed. */
static int mirror(qd_handover *h, const handover_look *l, uint64_t *again, qd_err *err)
{
    uint64_t copied;
    qd_coord_identity now;
    at(h, QD_HANDOVER_MIRROR);
    int rc = qdi_handover_follow(h, l, &copied, err);
    if (rc == QD_E_CORRUPT) {
        if (err) qd_err_fini(err);
        *again = 0;
        return begin_mirror(h, l, err);
    }
    if (rc) return rc;
    note_progress(h, l, copied);
    uint64_t pause = (uint64_t)h->config.round_ms * 1000000u;
    uint64_t since = qd_env_mono_ns(h->config.env) - h->compared_ns;
    if (h->rounds && since < pause) {
        *again = pause - since;
        return 0;
    }
    if (h->rounds < h->config.rounds && !QD_MUTANT(cluster, EARLY_SEAL)) {
        rc = round_of(h, l, err);
        note_progress(h, l, copied);
        *again = h->rounds ? pause : 0;
        return rc < 0 ? rc : 0;
    }
    qd_coord_identity_get(h->config.store[l->from], &now);
    *again = 0;
    if (now.revision > copied + h->config.lag_max && !QD_MUTANT(cluster, EARLY_SEAL)) return 0;
    return seal(h, l, err);
}

/* Is the other store to be kept as a mirror? */
static bool keeps(const qd_handover *h, const handover_look *l)
{
    return h->config.keep && strcmp(h->config.keep, h->config.name[l->to]) == 0;
}

/* Begins it where that store answers and is none of another cluster's. */
static int plan_mirror(qd_handover *h, handover_look *l, uint64_t *again, qd_err *err)
{
    const qd_coord_identity *y = &l->id[l->to];
    at(h, QD_HANDOVER_NONE);
    *again = 5 * LATER_NS;
    if (!y->connected || y->state == QD_COORD_ACTIVE || y->state == QD_COORD_SEALED) return 0;
    int rc = qdi_handover_same_cluster(h, l, err);
    if (rc) return rc;
    l->plan = (handover_plan){.there = true, .keep = true, .mod_revision = l->plan.mod_revision};
    snprintf(l->plan.to, sizeof l->plan.to, "%s", h->config.keep);
    l->plan.since_ms = qd_env_wall_ms(h->config.env);
    *again = 0;
    rc = qdi_handover_plan_write(h, h->config.store[l->from], &l->plan, err);
    if (!rc)
        qd_log_info(HANDOVER_LOG, "a mirror of the cluster's state is kept in [%s]",
                    h->config.keep);
    return rc;
}

/* Is this the store that the plan means? */
static bool is_peer(const handover_plan *p, const qd_coord_identity *y)
{
    char id[33];
    qdi_handover_peer(y, id);
    return !p->peer[0] || strcmp(p->peer, id) == 0;
}

/* While the old store is in charge. */
static int turn_active(qd_handover *h, handover_look *l, uint64_t *again, qd_err *err)
{
    const qd_coord_identity *x = &l->id[l->from], *y = &l->id[l->to];
    handover_plan *p = &l->plan;
    *again = 0;
    h->spares_ns = 0;
    if (y->state == QD_COORD_SEALED && y->epoch < x->epoch) {
        at(h, QD_HANDOVER_RETIRE);
        int rc = qdi_handover_same_cluster(h, l, err);
        return rc ? rc
                  : qdi_handover_step(h, h->config.store[l->to], QD_COORD_RETIRE, y->epoch, 0, NULL,
                                      err);
    }
    if (!p->there && keeps(h, l)) return plan_mirror(h, l, again, err);
    if (!p->there) {
        at(h, QD_HANDOVER_NONE);
        qdi_handover_unfollow(h);
        if (y->state == QD_COORD_MIRROR && y->revision && !qdi_handover_same_cluster(h, l, err))
            return drop_mirror(h, l, err); /* begun by somebody who was late */
        if (err) qd_err_fini(err);
        *again = NEVER;
        return 0;
    }
    if (strcmp(p->to, h->config.name[l->from]) == 0) {
        at(h, QD_HANDOVER_DONE);
        qdi_handover_unfollow(h); /* the retired store has ended that watch: waits would not wait */
        *again = y->state == QD_COORD_RETIRED ? NEVER : LATER_NS;
        return 0;
    }
    if (strcmp(p->to, h->config.name[l->to]) != 0)
        return qd_err_set(err, QD_E_STATE,
                          "a migration to [%s] is under way, which is no store of "
                          "this node",
                          p->to);
    bool idle =
        y->state == QD_COORD_EMPTY || y->state == QD_COORD_VOID || y->state == QD_COORD_RETIRED;
    bool given_up = y->state == QD_COORD_VOID && p->target && y->epoch >= p->target;
    if (p->abort || given_up) {
        at(h, QD_HANDOVER_ABORT);
        qdi_handover_unfollow(h);
        return y->state == QD_COORD_MIRROR ? drop_mirror(h, l, err) : forget_plan(h, l, err);
    }
    if (idle || (y->state == QD_COORD_MIRROR && y->epoch <= x->epoch)) {
        at(h, QD_HANDOVER_PREPARE);
        return begin_mirror(h, l, err);
    }
    if (y->state != QD_COORD_MIRROR) { /* known too late here */
        *again = SOON_NS;
        return 0;
    }
    if (p->target == y->epoch && !is_peer(p, y)) { /* another one has that name by now */
        at(h, QD_HANDOVER_PREPARE);
        return begin_mirror(h, l, err);
    }
    if (p->target != y->epoch) { /* before the seal, after which it stays as it is */
        p->target = y->epoch;
        qdi_handover_peer(y, p->peer);
        return qdi_handover_plan_write(h, h->config.store[l->from], p, err);
    }
    return p->keep ? keep(h, l, again, err) : mirror(h, l, again, err);
}

/* Gives the copy its last changes, compares it, and decides. */
static int decide(qd_handover *h, const handover_look *l, qd_err *err)
{
    qd_coord_store *n = h->config.store[l->to];
    uint64_t revision = 0, differences = 0;
    int rc = 0;
    if (QD_MUTANT(cluster, NO_REST)) {
        qd_coord_identity_get(n, (qd_coord_identity *)&l->id[l->to]);
        revision = l->id[l->to].revision;
    } else {
        rc = qdi_handover_rest(h, l, &revision, err);
        if (!rc && !QD_MUTANT(cluster, COPY_TRUSTED))
            rc = qdi_handover_compare(h, l, &revision, &differences, err);
    }
    if (rc && rc != QD_E_CORRUPT) return rc;
    if (rc || differences) { /* no other copy may take over for this seal */
        if (err) qd_err_fini(err);
        rc = drop_mirror(h, l, err);
        if (!rc) /* else another driver was faster, and this one saw what was no more */
            qd_log_error(HANDOVER_LOG,
                         "migration: the copy differs from the sealed store [%s], it is given up",
                         h->config.name[l->from]);
        return rc;
    }
    note_progress(h, l, revision);
    rc = qdi_handover_step(h, n, QD_COORD_ACTIVATE, l->id[l->to].epoch, 0, &revision, err);
    if (!rc)
        qd_log_info(HANDOVER_LOG,
                    "migration: the store [%s] is in charge, epoch %llu, revision "
                    "%llu",
                    h->config.name[l->to], (unsigned long long)l->id[l->to].epoch,
                    (unsigned long long)revision);
    if (rc && QD_MUTANT(cluster, FAILED_IS_NOT)) {
        if (err) qd_err_fini(err);
        rc = qdi_handover_step(h, h->config.store[l->from], QD_COORD_UNSEAL, l->id[l->from].epoch,
                               highest_epoch(l) + 1, NULL, err);
    }
    return rc;
}

/* While the old store takes nothing: forward with the plan's mirror, else back. */
static int turn_sealed(qd_handover *h, handover_look *l, uint64_t *again, qd_err *err)
{
    const qd_coord_identity *x = &l->id[l->from], *y = &l->id[l->to];
    const handover_plan *p = &l->plan;
    bool ours = p->there && strcmp(p->to, h->config.name[l->to]) == 0;
    bool meant = ours && p->target == y->epoch && y->epoch > x->epoch;
    *again = 0;
    if (ours && p->target && y->epoch && !is_peer(p, y))
        return qd_err_set(err, QD_E_NO_COORDINATION,
                          "[%s] is sealed, and [%s] is another store than the one that was to take "
                          "over: nobody can say whether that one has",
                          h->config.name[l->from], h->config.name[l->to]);
    if (QD_MUTANT(cluster, TARGET_ANY)) meant = ours;
    if (y->state == QD_COORD_MIRROR && meant && !p->abort) {
        at(h, QD_HANDOVER_SEALED);
        return decide(h, l, err);
    }
    at(h, QD_HANDOVER_ABORT);
    if (y->state == QD_COORD_MIRROR) {
        return drop_mirror(h, l, err);
    }
    /* the plan's mirror can never take over: it is void, or there never was one */
    bool never = !ours || !p->target || y->epoch > p->target ||
                 (y->epoch == p->target && y->state == QD_COORD_VOID);
    bool idle = y->state == QD_COORD_EMPTY || y->state == QD_COORD_VOID ||
                (y->state == QD_COORD_RETIRED && y->epoch < x->epoch);
    if (never && idle) {
        int rc = qdi_handover_step(h, h->config.store[l->from], QD_COORD_UNSEAL, x->epoch,
                                   highest_epoch(l) + 1, NULL, err);
        if (!rc)
            qd_log_info(HANDOVER_LOG,
                        "migration: the store [%s] is in charge again, epoch "
                        "%llu",
                        h->config.name[l->from], (unsigned long long)(highest_epoch(l) + 1));
        return rc;
    }
    return qd_err_set(err, QD_E_NO_COORDINATION,
                      "[%s] is sealed and [%s] does not say whether it has taken over",
                      h->config.name[l->from], h->config.name[l->to]);
}

/* From where to where; empty: nowhere. */
static void fill(qd_handover *h, const handover_look *l, qd_handover_status *s)
{
    bool done = l->plan.there && strcmp(l->plan.to, h->config.name[l->from]) == 0;
    int from = done ? l->to : l->from;
    bool any = l->plan.there || l->id[l->from].state == QD_COORD_SEALED;
    snprintf(s->from, sizeof s->from, "%s", any ? h->config.name[from] : "");
    snprintf(s->to, sizeof s->to, "%s", any ? h->config.name[!from] : "");
    s->from_epoch = l->id[from].epoch;
    s->to_epoch = l->id[!from].epoch;
    s->since_ms = l->plan.since_ms;
    s->kept = l->plan.keep && l->id[l->from].state == QD_COORD_ACTIVE;
}

static void note_look(qd_handover *h, const handover_look *l)
{
    qd_mutex_lock(&h->lock);
    fill(h, l, &h->status);
    qd_mutex_unlock(&h->lock);
}

void qd_handover_aside(qd_handover *h)
{
    qdi_handover_unfollow(h);
    h->rounds = 0;
}

int qd_handover_see(qd_handover *h, qd_handover_status *out, qd_err *err)
{
    handover_look l;
    *out = (qd_handover_status){.step = QD_HANDOVER_NONE};
    int rc = qdi_handover_look(h, &l, err);
    if (rc || l.from < 0) return rc;
    fill(h, &l, out);
    out->revision = l.id[l.from].revision;
    out->copied = l.id[l.to].revision;
    if (l.id[l.from].state == QD_COORD_SEALED)
        out->step = QD_HANDOVER_SEALED;
    else if (l.plan.there && strcmp(l.plan.to, h->config.name[l.from]) == 0)
        out->step = QD_HANDOVER_DONE;
    else if (l.plan.there && l.plan.abort)
        out->step = QD_HANDOVER_ABORT;
    else if (l.plan.there)
        out->step = l.id[l.to].state == QD_COORD_MIRROR ? QD_HANDOVER_MIRROR : QD_HANDOVER_PREPARE;
    return 0;
}

int qd_handover_turn(qd_handover *h, uint64_t *again_ns, qd_err *err)
{
    handover_look l;
    qd_err why;
    qd_err_init(&why);
    *again_ns = LATER_NS;
    int rc = qdi_handover_look(h, &l, &why);
    if (!rc && l.from < 0) {
        qdi_handover_unfollow(h); /* a retired store has ended that watch: waits would not wait */
        *again_ns = NEVER;
    } else if (!rc) {
        note_look(h, &l);
        rc = l.id[l.from].state == QD_COORD_ACTIVE ? turn_active(h, &l, again_ns, &why)
                                                   : turn_sealed(h, &l, again_ns, &why);
    }
    if (rc == QD_E_CONFLICT) { /* somebody else was faster: look again */
        qd_err_fini(&why);
        rc = 0;
        *again_ns = SOON_NS;
    }
    qd_mutex_lock(&h->lock);
    snprintf(h->status.error, sizeof h->status.error, "%s", rc ? qd_err_reason(&why) : "");
    qd_mutex_unlock(&h->lock);
    if (rc) qd_err_copy(err, &why);
    qd_err_fini(&why);
    return rc;
}

/* --- wishes ---------------------------------------------------------------------------------- */

static const char *const states[] = {"empty", "active", "sealed", "mirror", "void", "retired"};

static int nobody(qd_err *err)
{
    return qd_err_set(err, QD_E_NO_COORDINATION, "no store of the cluster's state is in charge");
}

/* May the other store be emptied for a copy? */
static int may_mirror(qd_handover *h, const handover_look *l, qd_err *err)
{
    uint32_t s = l->id[l->to].state;
    if (s == QD_COORD_ACTIVE || s == QD_COORD_SEALED)
        return qd_err_set(err, QD_E_STATE,
                          "the store [%s] is %s: it belongs to another cluster, or to this one's "
                          "past; it has to be empty, void or retired",
                          h->config.name[l->to], states[s]);
    return qdi_handover_same_cluster(h, l, err);
}

static int start_once(qd_handover *h, qd_str to, qd_err *err)
{
    handover_look l;
    int rc = qdi_handover_look(h, &l, err);
    if (rc) return rc;
    if (l.from < 0) return nobody(err);
    if (qd_str_is(to, h->config.name[l.from]))
        return qd_err_set(err, QD_E_ARG, "the store [%.*s] is in charge already", QD_STR_ARG(to));
    if (!qd_str_is(to, h->config.name[l.to]))
        return qd_err_set(err, QD_E_ARG, "there is no store [%.*s]: [%s] and [%s] are configured",
                          QD_STR_ARG(to), h->config.name[0], h->config.name[1]);
    bool same = l.plan.there && qd_str_is(to, l.plan.to);
    if (same && l.plan.keep && !l.plan.abort) { /* its mirror is there already */
        l.plan.keep = false;
        l.plan.since_ms = qd_env_wall_ms(h->config.env);
        return qdi_handover_plan_write(h, h->config.store[l.from], &l.plan, err);
    }
    if (same && !l.plan.abort) return 0;
    if (same || l.id[l.from].state == QD_COORD_SEALED)
        return qd_err_set(err, QD_E_STATE, "a migration is being given up or decided: try again");
    if ((rc = may_mirror(h, &l, err))) return rc;
    l.plan.abort = l.plan.keep = false;
    l.plan.target = 0;
    l.plan.peer[0] = 0;
    l.plan.since_ms = qd_env_wall_ms(h->config.env);
    snprintf(l.plan.to, sizeof l.plan.to, "%.*s", QD_STR_ARG(to));
    return qdi_handover_plan_write(h, h->config.store[l.from], &l.plan, err);
}

static int abort_once(qd_handover *h, qd_err *err)
{
    handover_look l;
    int rc = qdi_handover_look(h, &l, err);
    if (rc) return rc;
    if (l.from < 0) return nobody(err);
    const qd_coord_identity *y = &l.id[l.to];
    if (!l.plan.there || l.plan.keep)
        return qd_err_set(err, QD_E_NOTFOUND, "no migration is under way");
    if (strcmp(l.plan.to, h->config.name[l.from]) == 0)
        return qd_err_set(err, QD_E_STATE,
                          "the store [%s] is in charge already, epoch %llu: migrate back instead",
                          l.plan.to, (unsigned long long)l.id[l.from].epoch);
    if (l.plan.abort && l.id[l.from].state == QD_COORD_ACTIVE) return 0;
    if (l.id[l.from].state == QD_COORD_ACTIVE) {
        l.plan.abort = true;
        return qdi_handover_plan_write(h, h->config.store[l.from], &l.plan, err);
    }
    if (y->state == QD_COORD_VOID && y->epoch >= l.plan.target) return 0;
    if (y->state == QD_COORD_MIRROR) {
        bool assumed = QD_MUTANT(cluster, UNSEAL_FIRST);
        if (!assumed)
            rc = qdi_handover_step(h, h->config.store[l.to], QD_COORD_MAKE_VOID, y->epoch, 0, NULL,
                                   err);
        if (rc && QD_MUTANT(cluster, VOID_ASSUMED)) assumed = true;
        if (!assumed) return rc;
        return qdi_handover_step(h, h->config.store[l.from], QD_COORD_UNSEAL, l.id[l.from].epoch,
                                 highest_epoch(&l) + 1, NULL, err);
    }
    return qd_err_set(err, QD_E_NO_COORDINATION,
                      "[%s] is sealed and [%s] does not say whether it has taken over: it is given "
                      "up only when that one says not",
                      h->config.name[l.from], h->config.name[l.to]);
}

static int finish_once(qd_handover *h, qd_err *err)
{
    handover_look l;
    int rc = qdi_handover_look(h, &l, err);
    if (rc) return rc;
    if (l.from < 0) return nobody(err);
    const qd_coord_identity *x = &l.id[l.from], *y = &l.id[l.to];
    if (!l.plan.there || l.plan.keep)
        return qd_err_set(err, QD_E_NOTFOUND, "there is no migration to finish");
    /* of two stores one is in charge in an epoch: asked from afar, it is the same one */
    bool same = y->state == QD_COORD_ACTIVE && y->epoch == x->epoch;
    bool done = strcmp(l.plan.to, h->config.name[l.from]) == 0;
    if (!done || (y->state != QD_COORD_RETIRED && y->connected && !same))
        return qd_err_set(err, QD_E_STATE, "the migration to [%s] is not done: %s is [%s]",
                          l.plan.to, h->config.name[l.to], states[y->state]);
    return forget_plan(h, &l, err);
}

/* Again while somebody else was faster, or the store was sealed meanwhile. */
static bool once_more(qd_handover *h, int rc, int tries, qd_err *err)
{
    if ((rc != QD_E_CONFLICT && rc != QD_E_FENCED) || tries >= WISH_TRIES) return false;
    if (err) qd_err_fini(err);
    qd_env_sleep_ns(h->config.env, SOON_NS);
    return true;
}

int qd_handover_start(qd_handover *h, qd_str to, qd_err *err)
{
    int rc, tries = 0;
    while (once_more(h, rc = start_once(h, to, err), tries++, err)) {}
    if (!rc) qd_handover_kick(h);
    return rc;
}

int qd_handover_abort(qd_handover *h, qd_err *err)
{
    int rc, tries = 0;
    while (once_more(h, rc = abort_once(h, err), tries++, err)) {}
    if (!rc) qd_handover_kick(h);
    return rc;
}

int qd_handover_finish(qd_handover *h, qd_err *err)
{
    int rc, tries = 0;
    while (once_more(h, rc = finish_once(h, err), tries++, err)) {}
    return rc;
}
