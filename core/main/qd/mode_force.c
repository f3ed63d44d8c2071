/*
 * mode_force.c: `qd mode force`: the store of the cluster's state is lost for ever, and the
 * other one takes over with what it has, or with what this node has of the lost one. By an
 * operator's order alone, on a node that does not run. Every step is one of those that a migration
 * takes; the epoch rises by 1,000, so that whatever comes back of the lost store is refused. To
 * masters it is a copy of this node's store that takes the steps and then its place. What may be
 * lost is written down before anything takes over (forced.h); by that the same command, after a
 * crash, knows what it has done: what has begun to take over goes on to, all else begins anew.
 */
#include "base/arena.h"
#include "base/vec.h"
#include "main/args.h"
#include "main/qd/forced.h"
#include "main/qd/mode.h"
#include "main/qd/offline.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAISE 1000u
#define STEP_MS 60000
#define BATCH_BYTES ((size_t)4 << 20)
#define STATE_BYTES_MAX ((size_t)8 << 30)

typedef struct forcing {
    qd_offline o;
    qd_forced now, was; /* this one; one that was cut off */
    bool resumed;       /* there was one */
    uint64_t known;     /* highest epoch of a store that was in charge */
    bool accept, said_epoch;
    const char *config;
    qd_store_seen m, k;   /* the masters' store of this node; the one in Kubernetes */
    qd_coord_store *copy; /* of the first */
    qd_coord_store *s;    /* that takes over; to masters the copy. NULL: it has */
} forcing;

/* --- what there is --- */

/* What an earlier try has made of the store that takes over was in charge of nothing. */
static bool is_of_try(const forcing *f, const qd_store_seen *s)
{
    const qd_store_seen *target = f->now.to == QD_STORE_MASTERS ? &f->m : &f->k;
    return f->resumed && s == target && s->epoch <= f->was.epoch && s->epoch > f->was.lost_epoch &&
           strcmp(s->uuid, f->was.uuid) == 0;
}

static void know(forcing *f, const qd_store_seen *s)
{
    bool was =
        s->state == QD_COORD_ACTIVE || s->state == QD_COORD_SEALED || s->state == QD_COORD_RETIRED;
    if (s->there && was && !is_of_try(f, s) && s->epoch > f->known) f->known = s->epoch;
}

/* Was the same command cut off before? QD_E_STATE: it has come to its end. */
static int resume(forcing *f, qd_err *err)
{
    const qd_authority_record *r = &f->o.record;
    f->was = (qd_forced){.to = f->now.to, .lost_epoch = f->now.lost_epoch};
    int rc = qd_forced_find(&f->was, f->o.node->data, err);
    if (rc == QD_E_NOTFOUND) return 0;
    if (rc) return rc;
    f->resumed = !f->o.recorded || r->epoch < f->was.epoch;
    if (f->resumed || r->epoch > f->was.epoch) return 0;
    return qd_err_set(
        err, QD_E_STATE, "this has been done: the state is in the store [%s] under epoch %llu (%s)",
        qd_mode_name(qd_mode_of(f->now.to)), (unsigned long long)f->was.epoch, f->was.path);
}

static bool is_other(const forcing *f, const qd_store_seen *s)
{
    return s->there && s->uuid[0] && strcmp(s->uuid, f->now.uuid) != 0;
}

/* Whose state it is, and under which epoch it was known. */
static int identify(forcing *f, qd_err *err)
{
    const qd_authority_record *r = &f->o.record;
    bool ours = f->o.recorded;
    snprintf(f->now.uuid, sizeof f->now.uuid, "%s",
             ours           ? r->uuid
             : f->m.uuid[0] ? f->m.uuid
                            : f->k.uuid);
    f->known = ours ? r->epoch : 0;
    if (!f->now.uuid[0])
        return qd_err_set(err, QD_E_NOTFOUND,
                          "this node knows of no cluster: neither its record (authority.json), nor "
                          "a masters' store in its path.data, nor Kubernetes has one");
    if (is_other(f, &f->m) || is_other(f, &f->k))
        return qd_err_set(err, QD_E_STATE,
                          "the %s is that of the cluster with uuid [%s], not of [%s], which this "
                          "node belongs to: wrong path.data, namespace or cluster.name?",
                          is_other(f, &f->m) ? "masters' store in path.data"
                                             : "store in Kubernetes",
                          is_other(f, &f->m) ? f->m.uuid : f->k.uuid, f->now.uuid);
    know(f, &f->m);
    know(f, &f->k);
    if (f->now.lost_epoch != f->known)
        return qd_err_set(err, QD_E_STATE,
                          "the store of this cluster was in charge under epoch %llu, as far as "
                          "this node knows, not %llu: say --epoch %llu if that is the one that is "
                          "lost",
                          (unsigned long long)f->known, (unsigned long long)f->now.lost_epoch,
                          (unsigned long long)f->known);
    uint64_t epoch = f->known;
    if (f->m.there && f->m.epoch > epoch) epoch = f->m.epoch;
    if (f->k.there && f->k.epoch > epoch) epoch = f->k.epoch;
    f->now.epoch = epoch + RAISE;
    return 0;
}

/* --- steps --- */

static int step(forcing *f, uint32_t action, uint64_t new_epoch, qd_err *err)
{
    qd_coord_identity id;
    qd_coord_identity_get(f->s, &id);
    qd_coord_authority a = {
        .action = action, .epoch = id.epoch, .new_epoch = new_epoch, .revision = id.revision};
    return qd_coord_authority_step(f->s, &a, STEP_MS, err);
}

/* --- one store's state into another one --- */

typedef struct gathered {
    qd_arena arena;
    QD_VEC(qd_coord_event) list;
} gathered;

static int32_t gather(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    gathered *g = arg;
    for (uint32_t i = 0; i < n; i++) {
        qd_coord_event e = {.type = QD_COORD_PUT, .kv = kvs[i]};
        qd_str value = {(const char *)kvs[i].value, kvs[i].value_len};
        e.kv.key = qd_arena_str(&g->arena, kvs[i].key);
        value = qd_arena_str(&g->arena, value);
        e.kv.value = (const uint8_t *)value.p;
        if (!e.kv.key.p || !value.p || qd_vec_push(&g->list, NULL, e)) return QD_E_NOMEM;
    }
    return 0;
}

static int32_t only_hash(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    (void)arg;
    (void)kvs;
    (void)n;
    return 0;
}

static int by_revision(const void *a, const void *b)
{
    uint64_t x = ((const qd_coord_event *)a)->kv.mod_revision;
    uint64_t y = ((const qd_coord_event *)b)->kv.mod_revision;
    return (x > y) - (x < y);
}

/* Whole revisions, in their order. */
static int put_all(forcing *f, gathered *g, uint64_t revision, qd_err *err)
{
    int rc = 0;
    if (g->list.n) qsort(g->list.at, g->list.n, sizeof *g->list.at, by_revision);
    for (size_t i = 0; !rc && i < g->list.n;) {
        size_t n = i + qd_coord_import_share(f->s, &g->list.at[i], (uint32_t)(g->list.n - i),
                                             BATCH_BYTES, 0);
        qd_coord_import x = {.epoch = f->now.epoch,
                             .revision =
                                 n == g->list.n ? revision : g->list.at[n - 1].kv.mod_revision,
                             .events = &g->list.at[i],
                             .nevents = (uint32_t)(n - i)};
        rc = qd_coord_import_some(f->s, &x, STEP_MS, err);
        i = n;
    }
    return rc;
}

/* The store becomes a mirror, and what the copy was, which may be the same one; compared. */
static int copy_over(forcing *f, qd_err *err)
{
    gathered g = {.list = {0}};
    qd_coord_export from = {.batch = gather, .arg = &g}, to = {.batch = only_hash};
    qd_arena_init(&g.arena, NULL, STATE_BYTES_MAX);
    int rc = qd_coord_export_all(f->copy, &from, STEP_MS, err);
    if (!rc) rc = step(f, QD_COORD_BEGIN_MIRROR, f->now.epoch, err);
    if (!rc) rc = put_all(f, &g, from.revision, err);
    if (!rc) rc = qd_coord_export_all(f->s, &to, STEP_MS, err);
    if (!rc && (to.revision != from.revision || memcmp(to.hash, from.hash, sizeof to.hash) != 0))
        rc = qd_err_set(err, QD_E_CORRUPT,
                        "the copy at revision %llu differs from what was copied, revision %llu: "
                        "nothing has taken over",
                        (unsigned long long)to.revision, (unsigned long long)from.revision);
    f->now.revision = from.revision;
    qd_vec_fini(&g.list);
    qd_arena_fini(&g.arena);
    return rc;
}

/* --- the report --- */

static void lost_text(const forcing *f, char *out, size_t size)
{
    uint64_t has = f->now.revision, seen = f->o.recorded ? f->o.record.revision : 0;
    if (f->m.there && f->m.revision > seen && f->m.state == QD_COORD_ACTIVE) seen = f->m.revision;
    if (seen > has)
        snprintf(out, size,
                 "revisions %llu to %llu, on which this node has acted, and any later ones",
                 (unsigned long long)has + 1, (unsigned long long)seen);
    else
        snprintf(out, size,
                 "revisions from %llu on, if there were any: this node has acted on none of them",
                 (unsigned long long)has + 1);
}

/* One of a try that has changed nothing goes. */
static int write_report(forcing *f, qd_err *err)
{
    if (f->o.recorded) f->now.acted_on = f->o.record.revision;
    lost_text(f, f->now.lost, sizeof f->now.lost);
    int rc = qd_forced_write(&f->now, f->o.node->data, f->o.node->env, err);
    bool stale = !rc && f->resumed && strcmp(f->was.path, f->now.path) != 0;
    return stale ? qd_file_remove(f->was.path, err) : rc;
}

/* --- taking over --- */

/* What the store has is kept, and it is in charge under the new epoch. */
static int take_as_is(forcing *f, qd_err *err)
{
    qd_coord_identity id;
    qd_coord_identity_get(f->s, &id);
    f->now.revision = id.revision;
    int rc = write_report(f, err);
    if (!rc && id.state == QD_COORD_MIRROR) rc = step(f, QD_COORD_ACTIVATE, 0, err);
    if (!rc && id.state != QD_COORD_SEALED) rc = step(f, QD_COORD_SEAL, 0, err);
    return rc ? rc : step(f, QD_COORD_UNSEAL, f->now.epoch, err);
}

/* A try before has got it out of its state as a mirror. */
static int take_on(forcing *f, const qd_store_seen *seen, qd_err *err)
{
    int rc = 0;
    f->now = f->was;
    if (seen->state == QD_COORD_ACTIVE && seen->epoch == f->now.epoch) return 0;
    if (seen->state == QD_COORD_ACTIVE) rc = step(f, QD_COORD_SEAL, 0, err);
    return rc ? rc : step(f, QD_COORD_UNSEAL, f->now.epoch, err);
}

/* Has one done so? */
static bool was_taken(const forcing *f, const qd_store_seen *s)
{
    bool out = s->state == QD_COORD_ACTIVE || s->state == QD_COORD_SEALED;
    return s->there && s->uuid[0] && out && is_of_try(f, s);
}

static int take_copy(forcing *f, qd_err *err)
{
    int rc = copy_over(f, err);
    if (!rc) rc = write_report(f, err);
    return rc ? rc : step(f, QD_COORD_ACTIVATE, 0, err);
}

/* --- to Kubernetes --- */

static int to_kubernetes(forcing *f, qd_err *err)
{
    bool mirror = f->k.there && f->k.uuid[0] &&
                  (f->k.state == QD_COORD_MIRROR || f->k.state == QD_COORD_SEALED);
    bool folder = f->m.there && f->m.uuid[0];
    bool taken = was_taken(f, &f->k);
    if (!taken && f->k.there && f->k.state == QD_COORD_ACTIVE)
        return qd_err_set(err, QD_E_STATE,
                          "the store in Kubernetes is in charge already, under epoch %llu: start "
                          "the nodes with access to it",
                          (unsigned long long)f->k.epoch);
    if (!taken && !mirror && !folder)
        return qd_err_set(err, QD_E_NOTFOUND,
                          "there is no copy of the state to go on with: Kubernetes holds no mirror "
                          "of it, and this node's path.data no masters' store. Run this on a node "
                          "that was a master, with its path.data");
    bool as_is = mirror && (!folder || f->k.revision >= f->m.revision);
    snprintf(f->now.base, sizeof f->now.base, "%s",
             as_is ? "what Kubernetes has of it" : "the masters' store in this node's path.data");
    int rc = qd_offline_kubernetes(&f->o, &f->s, err);
    if (rc) return rc;
    if (taken) return take_on(f, &f->k, err);
    return as_is ? take_as_is(f, err) : take_copy(f, err);
}

/* --- to masters --- */

static int to_masters(forcing *f, qd_err *err)
{
    bool in_charge = f->k.there && f->k.uuid[0] &&
                     (f->k.state == QD_COORD_ACTIVE || f->k.state == QD_COORD_SEALED);
    if (in_charge)
        return qd_err_set(err, QD_E_STATE,
                          "the store in Kubernetes answers, and is in charge under epoch %llu: it "
                          "is not lost. Move the state with qd migrate start --to master",
                          (unsigned long long)f->k.epoch);
    if (!f->m.there || !f->m.uuid[0])
        return qd_err_set(err, QD_E_NOTFOUND,
                          "this node's path.data has no masters' store with a state of this "
                          "cluster (of a state in Kubernetes nodes keep no copy): run this on a "
                          "node that was a master, or restore Kubernetes from a backup");
    bool as_is = f->m.state != QD_COORD_RETIRED && f->m.state != QD_COORD_VOID;
    if (was_taken(f, &f->m)) return take_on(f, &f->m, err);
    snprintf(f->now.base, sizeof f->now.base, "%s", "the masters' store in this node's path.data");
    f->s = f->copy;
    return as_is ? take_as_is(f, err) : take_copy(f, err);
}

/* --- the command --- */

/* This node follows it from its next start on. */
static int note(forcing *f, uint64_t revision, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_authority *a;
    snprintf(path, sizeof path, "%s/authority.json", f->o.node->data);
    int rc = qd_authority_open_file(path, &a, err);
    if (rc) return rc;
    qd_authority_store(a, f->o.node->env, f->now.to);
    rc = qd_authority_note(a, qd_str_c(f->now.uuid), f->now.epoch, revision, true, err);
    qd_authority_close(a);
    return rc;
}

static void tell(const forcing *f)
{
    const qd_forced *r = &f->now;
    printf("The state of the cluster [%s] is in the store [%s] now, under epoch %llu.\n"
           "Base: %s, revision %llu.\n"
           "May be lost: %s\n"
           "(indices created or deleted, mappings, settings, which copies are in sync).\n"
           "Report: %s\n",
           r->uuid, qd_mode_name(qd_mode_of(r->to)), (unsigned long long)r->epoch, r->base,
           (unsigned long long)r->revision, r->lost, r->path);
    if (r->to == QD_STORE_MASTERS)
        printf("Now start this master; empty path.data/coordination of every other one before it "
               "is started.\n");
    else
        printf("Now start the control nodes, with access to Kubernetes (coordination.k8s_fallback, "
               "or coordination.mode: k8s-native).\n");
    printf("What comes back of the store [%s] is of a lower epoch, and refused.\n",
           qd_mode_name(r->to == QD_STORE_MASTERS ? QD_MODE_KUBERNETES : QD_MODE_MASTER));
}

static int look(forcing *f, qd_err *err)
{
    qd_err why;
    int rc = qd_offline_copy(&f->o, &f->copy, &f->m, err);
    if (rc || !qd_offline_reaches_kubernetes(&f->o)) return rc;
    qd_err_init(&why);
    int seen = qd_offline_look(&f->o, &f->k, &why);
    if (seen && f->now.to == QD_STORE_KUBERNETES)
        rc = qd_err_set(err, QD_E_NO_COORDINATION,
                        "Kubernetes cannot be asked, nothing was changed: %s", qd_err_reason(&why));
    else if (seen)
        printf("Kubernetes does not answer (%s): taken for lost.\n", qd_err_reason(&why));
    qd_err_fini(&why);
    return rc;
}

static int read_target(forcing *f, const char *text, qd_err *err)
{
    f->now.to = qd_store_of(qd_mode_parse(qd_str_c(text)));
    if (f->now.to) return 0;
    return qd_err_set(err, QD_E_ARG, "--to: [%s] is neither k8s-native nor master", text);
}

static int read_epoch(forcing *f, const char *text, qd_err *err)
{
    f->said_epoch = qd_str_u64(qd_str_c(text), &f->now.lost_epoch);
    if (f->said_epoch) return 0;
    return qd_err_set(err, QD_E_ARG, "--epoch: [%s] is not an epoch as qd mode shows it", text);
}

static int check_words(const forcing *f, qd_err *err)
{
    if (!f->now.to)
        return qd_err_set(err, QD_E_ARG, "say --to k8s-native or --to master (qd mode --help)");
    if (!f->said_epoch)
        return qd_err_set(err, QD_E_ARG,
                          "say --epoch: that of the store that is lost, as qd mode showed it");
    if (!f->accept)
        return qd_err_set(err, QD_E_ARG,
                          "what only the lost store had is given up: say --accept-data-loss if it "
                          "is lost for ever");
    return 0;
}

/* Stores are closed, the copy takes its place or goes, and this node's record is written. */
static int settle(forcing *f, int rc, qd_err *err)
{
    qd_coord_identity id = {.revision = f->m.revision};
    bool takes = f->s && f->s == f->copy;
    if (!rc && f->s) qd_coord_identity_get(f->s, &id);
    if (!takes) qd_coord_close(f->s);
    qd_coord_close(f->copy);
    if (!rc && takes) rc = qd_offline_copy_take(&f->o, err);
    if (!rc && !f->s) rc = qd_offline_copy_taken(&f->o, err);
    if (f->copy) qd_offline_copy_remove(&f->o);
    return rc ? rc : note(f, id.revision, err);
}

/* A write of a try that was cut off may land after this one has looked. */
static int overtaken(qd_err *err)
{
    return qd_err_wrap(err, QD_E_CONFLICT,
                       "the store that takes over was written meanwhile, by another command or by "
                       "what a try that was cut off had sent: give the same command again, when "
                       "no other one runs");
}

static int run(forcing *f, qd_err *err)
{
    bool masters = f->now.to == QD_STORE_MASTERS;
    int rc = check_words(f, err);
    if (!rc) rc = qd_offline_load(&f->o, f->config, err);
    if (!rc && !masters && !qd_offline_reaches_kubernetes(&f->o))
        rc = qd_err_set(err, QD_E_CONFIG,
                        "the settings give no access to Kubernetes: there is neither a service "
                        "account nor a KUBECONFIG (coordination.k8s.kubeconfig)");
    if (!rc) rc = look(f, err);
    if (!rc) rc = resume(f, err);
    if (!rc) rc = identify(f, err);
    if (!rc) rc = masters ? to_masters(f, err) : to_kubernetes(f, err);
    if (rc == QD_E_CONFLICT) rc = overtaken(err);
    rc = settle(f, rc, err);
    if (!rc) tell(f);
    return rc;
}

int qd_mode_force(int argc, char **argv, qd_err *err)
{
    enum { TO = 1, EPOCH, ACCEPT, CONFIG, SET };
    static const qd_option options[] = {
        {"to", true, TO},         {"epoch", true, EPOCH}, {"accept-data-loss", false, ACCEPT},
        {"config", true, CONFIG}, {"E", true, SET},       {0}};
    forcing f = {.known = 0};
    qd_args a;
    int id, rc = qd_offline_make(&f.o, err);
    qd_args_init(&a, argc, argv, 2, options);
    while (!rc && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == TO) rc = read_target(&f, a.value, err);
        if (id == EPOCH) rc = read_epoch(&f, a.value, err);
        if (id == ACCEPT) f.accept = true;
        if (id == CONFIG) f.config = a.value;
        if (id == SET) rc = qd_config_flag(f.o.node->config, qd_str_c(a.value), err);
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
        if (id == QD_ARGS_WORD) rc = qd_err_set(err, QD_E_ARG, "unexpected [%s]", a.value);
    }
    if (!rc) rc = run(&f, err);
    qd_offline_free(&f.o);
    return rc;
}
