/* cluster_documents.c: changes of the cluster's settings and of documents (templates, permits). */
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "cluster/documents.h"
#include "json/writer.h"

#define RECORD_MAX ((size_t)16 << 20)

/* --- cluster settings
 * ---------------------------------------------------------------------------------- */

typedef struct cluster_settings_args {
    const qd_settings *persistent, *transient;
} cluster_settings_args;

static int put_cluster_settings(cluster_txn *t, const char *which, const qd_settings *old,
                                const qd_settings *update, qd_err *err)
{
    qd_settings *now;
    qd_buf b;
    qd_json_writer w;
    if (!update) return 0;
    int rc = qd_settings_new(NULL, &now, err);
    if (rc) return rc;
    rc = qd_settings_merge(now, old, err);
    if (!rc) rc = qd_settings_update(now, update, err);
    if (!rc) rc = qd_settings_seal(now, err);
    if (!rc) {
        qd_buf_init(&b, NULL, RECORD_MAX);
        qd_json_writer_init(&w, &b, false);
        qd_settings_write(now, &w, true, NULL, NULL);
        qdi_txn_put(t, qdi_txn_key(t, "settings/%s", which), qdi_txn_value(t, &b), 0);
    }
    qd_settings_unref(now);
    return rc;
}

static int change_cluster_settings(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t,
                                   qd_err *err)
{
    const cluster_settings_args *a = arg;
    (void)c;
    qdi_txn_at(t, QD_STR("settings/persistent"), s->persistent_revision);
    qdi_txn_at(t, QD_STR("settings/transient"), s->transient_revision);
    int rc = put_cluster_settings(t, "persistent", s->persistent, a->persistent, err);
    return rc ? rc : put_cluster_settings(t, "transient", s->transient, a->transient, err);
}

int qd_cluster_update_settings(qd_cluster *c, const qd_settings *persistent,
                               const qd_settings *transient, qd_state **out, qd_err *err)
{
    cluster_settings_args a = {persistent, transient};
    return qdi_change(c, change_cluster_settings, &a, out, err);
}

/* --- documents --- */

typedef struct document_args {
    qd_str key, value;
    bool create, compare;
    uint64_t revision; /* compare: which it must have */
} document_args;

static int change_document(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const document_args *a = arg;
    const qd_state_document_record *now = qd_state_document(s, a->key);
    (void)c;
    if (a->create && now) {
        return qd_err_set(err, QD_E_EXISTS, "[%.*s] is there already", QD_STR_ARG(a->key));
    }
    if (a->compare && a->revision != (now ? now->mod_revision : 0)) {
        return qd_err_set(err, QD_E_VERSION_CONFLICT, "[%.*s] has changed", QD_STR_ARG(a->key));
    }
    qdi_txn_at(t, a->key, now ? now->mod_revision : 0);
    if (!a->value.n && !now) return 0; /* gone already, if the store agrees */
    if (a->value.n) {
        qdi_txn_put(t, a->key, a->value, 0);
    } else {
        qdi_txn_delete(t, a->key);
    }
    return 0;
}

int qd_cluster_put_document(qd_cluster *c, qd_str key, qd_str value, bool create, qd_state **out,
                            qd_err *err)
{
    document_args a = {.key = key, .value = value, .create = create};
    return qdi_change(c, change_document, &a, out, err);
}

int qd_cluster_put_document_if(qd_cluster *c, qd_str key, qd_str value, uint64_t revision,
                               qd_state **out, qd_err *err)
{
    document_args a = {.key = key, .value = value, .compare = true, .revision = revision};
    return qdi_change(c, change_document, &a, out, err);
}
