/*
 * qd_mode_force.c: `qd mode force`: the store of the cluster's state is lost for ever, and the
 * other one takes over with what it has, or with what this node has of the lost one. By an
 * operator's order alone, on a node that does not run. Every step is one of those that a migration
 * takes; the epoch rises by 1,000, so that whatever comes back of the lost store is refused.
 */
#include "base/arena.h"
#include "base/vec.h"
#include "main/args.h"
#include "main/qd_mode.h"
#include "main/qd_offline.h"
#include "json/writer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAISE 1000u
#define STEP_MS 60000
#define BATCH_BYTES ((size_t)4 << 20)
#define STATE_BYTES_MAX ((size_t)8 << 30)

typedef struct forcing {
    qd_offline o;
    qd_store_kind to;
    uint64_t said, epoch; /* named by the operator; the new one */
    bool accept, said_epoch;
    const char *config;
    qd_store_seen m, k;   /* the masters' store of this node; the one in Kubernetes */
    qd_coord_store *copy; /* of the first, to read from */
    qd_coord_store *s;    /* that takes over */
    char uuid[64];
    uint64_t known;    /* highest epoch of a store that was in charge */
    const char *base;  /* what is taken over */
    uint64_t revision; /* of it */
} forcing;

/* --- what there is --- */

static void know(forcing *f, const qd_store_seen *s)
{
    bool was =
        s->state == QD_COORD_ACTIVE || s->state == QD_COORD_SEALED || s->state == QD_COORD_RETIRED;
    if (s->there && was && s->epoch > f->known) f->known = s->epoch;
}

static bool is_other(const forcing *f, const qd_store_seen *s)
{
    return s->there && s->uuid[0] && strcmp(s->uuid, f->uuid) != 0;
}

/* Whose state it is, and under which epoch it was known. */
static int identify(forcing *f, qd_err *err)
{
    const qd_authority_record *r = &f->o.record;
    bool ours = f->o.recorded;
    snprintf(f->uuid, sizeof f->uuid, "%s", ours ? r->uuid : f->m.uuid[0] ? f->m.uuid : f->k.uuid);
    f->known = ours ? r->epoch : 0;
    if (!f->uuid[0])
        return qd_err_set(err, QD_E_NOTFOUND,
                          "this node knows of no cluster: neither its record (authority.json), nor "
                          "a masters' store in its path.data, nor Kubernetes has one");
    if (is_other(f, &f->m) || is_other(f, &f->k))
        return qd_err_set(err, QD_E_STATE,
                          "the %s is that of the cluster with uuid [%s], not of [%s], which this "
                          "node belongs to: wrong path.data, namespace or cluster.name?",
                          is_other(f, &f->m) ? "masters' store in path.data"
                                             : "store in Kubernetes",
                          is_other(f, &f->m) ? f->m.uuid : f->k.uuid, f->uuid);
    know(f, &f->m);
    know(f, &f->k);
    if (f->said != f->known)
        return qd_err_set(err, QD_E_STATE,
                          "the store of this cluster was in charge under epoch %llu, as far as "
                          "this node knows, not %llu: say --epoch %llu if that is the one that is "
                          "lost",
                          (unsigned long long)f->known, (unsigned long long)f->said,
                          (unsigned long long)f->known);
    f->epoch = f->known;
    if (f->m.there && f->m.epoch > f->epoch) f->epoch = f->m.epoch;
    if (f->k.there && f->k.epoch > f->epoch) f->epoch = f->k.epoch;
    f->epoch += RAISE;
    return 0;
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
        size_t n = i, bytes = 0;
        while (n < g->list.n && (bytes < BATCH_BYTES || g->list.at[n].kv.mod_revision ==
                                                            g->list.at[n - 1].kv.mod_revision)) {
            bytes += g->list.at[n].kv.key.n + g->list.at[n].kv.value_len;
            n++;
        }
        qd_coord_import x = {.epoch = f->epoch,
                             .revision =
                                 n == g->list.n ? revision : g->list.at[n - 1].kv.mod_revision,
                             .events = &g->list.at[i],
                             .nevents = (uint32_t)(n - i)};
        rc = qd_coord_import_some(f->s, &x, STEP_MS, err);
        i = n;
    }
    return rc;
}

/* The mirror, empty so far, becomes what the copy is; both are compared. */
static int copy_over(forcing *f, qd_err *err)
{
    gathered g = {.list = {0}};
    qd_coord_export from = {.batch = gather, .arg = &g}, to = {.batch = only_hash};
    qd_arena_init(&g.arena, NULL, STATE_BYTES_MAX);
    int rc = qd_coord_export_all(f->copy, &from, STEP_MS, err);
    if (!rc) rc = put_all(f, &g, from.revision, err);
    if (!rc) rc = qd_coord_export_all(f->s, &to, STEP_MS, err);
    if (!rc && (to.revision != from.revision || memcmp(to.hash, from.hash, sizeof to.hash) != 0))
        rc = qd_err_set(err, QD_E_CORRUPT,
                        "the copy at revision %llu differs from what was copied, revision %llu: "
                        "nothing has taken over",
                        (unsigned long long)to.revision, (unsigned long long)from.revision);
    f->revision = from.revision;
    qd_vec_fini(&g.list);
    qd_arena_fini(&g.arena);
    return rc;
}

/* --- steps of authority --- */

static int step(forcing *f, uint32_t action, uint64_t new_epoch, qd_err *err)
{
    qd_coord_identity id;
    qd_coord_identity_get(f->s, &id);
    qd_coord_authority a = {
        .action = action, .epoch = id.epoch, .new_epoch = new_epoch, .revision = id.revision};
    return qd_coord_authority_step(f->s, &a, STEP_MS, err);
}

/* What the store has is kept, and it is in charge under the new epoch. */
static int take_as_is(forcing *f, qd_err *err)
{
    qd_coord_identity id;
    qd_coord_identity_get(f->s, &id);
    int rc = 0;
    f->revision = id.revision;
    if (id.state == QD_COORD_MIRROR) rc = step(f, QD_COORD_ACTIVATE, 0, err);
    if (!rc && id.state != QD_COORD_SEALED) rc = step(f, QD_COORD_SEAL, 0, err);
    return rc ? rc : step(f, QD_COORD_UNSEAL, f->epoch, err);
}

static int take_copy(forcing *f, qd_err *err)
{
    int rc = step(f, QD_COORD_BEGIN_MIRROR, f->epoch, err);
    if (!rc) rc = copy_over(f, err);
    return rc ? rc : step(f, QD_COORD_ACTIVATE, 0, err);
}

/* --- to Kubernetes --- */

static int to_kubernetes(forcing *f, qd_err *err)
{
    bool mirror = f->k.there && f->k.uuid[0] &&
                  (f->k.state == QD_COORD_MIRROR || f->k.state == QD_COORD_SEALED);
    bool folder = f->m.there && f->m.uuid[0];
    if (f->k.there && f->k.state == QD_COORD_ACTIVE)
        return qd_err_set(err, QD_E_STATE,
                          "the store in Kubernetes is in charge already, under epoch %llu: start "
                          "the nodes with access to it",
                          (unsigned long long)f->k.epoch);
    if (!mirror && !folder)
        return qd_err_set(err, QD_E_NOTFOUND,
                          "there is no copy of the state to go on with: Kubernetes holds no mirror "
                          "of it, and this node's path.data no masters' store. Run this on a node "
                          "that was a master, with its path.data");
    bool as_is = mirror && (!folder || f->k.revision >= f->m.revision);
    f->base = as_is ? "what Kubernetes has of it" : "the masters' store in this node's path.data";
    int rc = qd_offline_kubernetes(&f->o, &f->s, err);
    if (!rc) rc = as_is ? take_as_is(f, err) : take_copy(f, err);
    return rc;
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
    f->base = "the masters' store in this node's path.data";
    int rc = qd_offline_masters(&f->o, "coordination", &f->s, err);
    if (!rc) rc = as_is ? take_as_is(f, err) : take_copy(f, err);
    return rc;
}

/* --- the report --- */

static void lost_text(const forcing *f, char out[240])
{
    const qd_authority_record *r = &f->o.record;
    uint64_t seen = f->o.recorded ? r->revision : 0;
    if (f->m.there && f->m.revision > seen && f->m.state == QD_COORD_ACTIVE) seen = f->m.revision;
    if (seen > f->revision)
        snprintf(out, 240,
                 "revisions %llu to %llu, on which this node has acted, and any later ones",
                 (unsigned long long)f->revision + 1, (unsigned long long)seen);
    else
        snprintf(out, 240,
                 "revisions from %llu on, if there were any: this node has acted on none of them",
                 (unsigned long long)f->revision + 1);
}

static int write_report(forcing *f, char path[QD_PATH_MAX + 64], qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    char lost[240];
    lost_text(f, lost);
    qd_buf_init(&b, NULL, 1 << 16);
    qd_json_writer_init(&w, &b, true);
    qd_json_object(&w);
    qd_json_field_c(&w, "cluster_uuid", f->uuid);
    qd_json_field_c(
        &w, "lost_store",
        qd_store_kind_name(f->to == QD_STORE_MASTERS ? QD_STORE_KUBERNETES : QD_STORE_MASTERS));
    qd_json_field_int(&w, "lost_epoch", (int64_t)f->known);
    qd_json_field_c(&w, "store", qd_store_kind_name(f->to));
    qd_json_field_int(&w, "epoch", (int64_t)f->epoch);
    qd_json_field_c(&w, "base", f->base);
    qd_json_field_int(&w, "base_revision", (int64_t)f->revision);
    if (f->o.recorded) qd_json_field_int(&w, "acted_on_revision", (int64_t)f->o.record.revision);
    qd_json_field_c(&w, "may_be_lost", lost);
    qd_json_field_int(&w, "time_in_millis", qd_env_wall_ms(f->o.node->env));
    qd_json_object_end(&w);
    snprintf(path, QD_PATH_MAX + 64, "%s/forced-%llu.json", f->o.node->data,
             (unsigned long long)f->epoch);
    int rc = qd_buf_status(&b);
    if (!rc) rc = qd_file_write_atomic(path, qd_buf_view(&b), 0600, err);
    qd_buf_fini(&b);
    return rc;
}

/* This node follows it from its next start on. */
static int note(forcing *f, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_authority *a;
    qd_coord_identity id;
    qd_coord_identity_get(f->s, &id);
    snprintf(path, sizeof path, "%s/authority.json", f->o.node->data);
    int rc = qd_authority_open_file(path, &a, err);
    if (rc) return rc;
    qd_authority_store(a, f->o.node->env, f->to);
    rc = qd_authority_note(a, qd_str_c(f->uuid), f->epoch, id.revision, true, err);
    qd_authority_close(a);
    return rc;
}

static void tell(const forcing *f, const char *report)
{
    char lost[240];
    lost_text(f, lost);
    printf("The state of the cluster [%s] is in the store [%s] now, under epoch %llu.\n"
           "Base: %s, revision %llu.\n"
           "May be lost: %s\n"
           "(indices created or deleted, mappings, settings, which copies are in sync).\n"
           "Report: %s\n",
           f->uuid, qd_mode_name(qd_mode_of(f->to)), (unsigned long long)f->epoch, f->base,
           (unsigned long long)f->revision, lost, report);
    if (f->to == QD_STORE_MASTERS)
        printf("Now start this master; empty path.data/coordination of every other one before it "
               "is started.\n");
    else
        printf("Now start the control nodes, with access to Kubernetes (coordination.k8s_fallback, "
               "or coordination.mode: k8s-native).\n");
    printf("What comes back of the store [%s] is of a lower epoch, and refused.\n",
           qd_mode_name(f->to == QD_STORE_MASTERS ? QD_MODE_KUBERNETES : QD_MODE_MASTER));
}

/* --- the command --- */

static int look(forcing *f, qd_err *err)
{
    qd_err why;
    int rc = qd_offline_copy(&f->o, &f->copy, &f->m, err);
    if (rc || !qd_offline_reaches_kubernetes(&f->o)) return rc;
    qd_err_init(&why);
    int seen = qd_offline_look(&f->o, &f->k, &why);
    if (seen && f->to == QD_STORE_KUBERNETES)
        rc = qd_err_set(err, QD_E_NO_COORDINATION,
                        "Kubernetes cannot be asked, nothing was changed: %s", qd_err_reason(&why));
    else if (seen)
        printf("Kubernetes does not answer (%s): taken for lost.\n", qd_err_reason(&why));
    qd_err_fini(&why);
    return rc;
}

static int read_target(forcing *f, const char *text, qd_err *err)
{
    f->to = qd_store_of(qd_mode_parse(qd_str_c(text)));
    if (f->to) return 0;
    return qd_err_set(err, QD_E_ARG, "--to: [%s] is neither k8s-native nor master", text);
}

static int read_epoch(forcing *f, const char *text, qd_err *err)
{
    f->said_epoch = qd_str_u64(qd_str_c(text), &f->said);
    if (f->said_epoch) return 0;
    return qd_err_set(err, QD_E_ARG, "--epoch: [%s] is not an epoch as qd mode shows it", text);
}

static int check_words(const forcing *f, qd_err *err)
{
    if (!f->to)
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

static int run(forcing *f, qd_err *err)
{
    char report[QD_PATH_MAX + 64];
    bool masters = f->to == QD_STORE_MASTERS;
    int rc = check_words(f, err);
    if (!rc) rc = qd_offline_load(&f->o, f->config, err);
    if (!rc && !masters && !qd_offline_reaches_kubernetes(&f->o))
        rc = qd_err_set(err, QD_E_CONFIG,
                        "the settings give no access to Kubernetes: there is neither a service "
                        "account nor a KUBECONFIG (coordination.k8s.kubeconfig)");
    if (!rc) rc = look(f, err);
    if (!rc) rc = identify(f, err);
    if (!rc) rc = masters ? to_masters(f, err) : to_kubernetes(f, err);
    if (!rc) rc = note(f, err);
    if (!rc) rc = write_report(f, report, err);
    if (!rc) tell(f, report);
    qd_coord_close(f->s);
    qd_coord_close(f->copy);
    if (f->copy) qd_offline_copy_remove(&f->o);
    return rc;
}

int qd_mode_force(int argc, char **argv, qd_err *err)
{
    enum { TO = 1, EPOCH, ACCEPT, CONFIG, SET };
    static const qd_option options[] = {
        {"to", true, TO},         {"epoch", true, EPOCH}, {"accept-data-loss", false, ACCEPT},
        {"config", true, CONFIG}, {"E", true, SET},       {0}};
    forcing f = {.to = QD_STORE_UNKNOWN};
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
