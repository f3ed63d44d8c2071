/* cluster_txn.c: putting transactions together. See cluster_int.h. */
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "cluster/mutants.h"
#include "runtime/fiber.h"
#include "runtime/task.h"
#include <stdarg.h>
#include <stdio.h>

#define SHARD_RECORD_MAX ((size_t)4 << 20)
#define TXN_ARENA_MAX ((size_t)512 << 20)

void qdi_txn_init(cluster_txn *t)
{
    *t = (cluster_txn){0};
    qd_arena_init(&t->arena, NULL, TXN_ARENA_MAX);
}

void qdi_txn_fini(cluster_txn *t)
{
    qd_vec_fini(&t->compares);
    qd_vec_fini(&t->changes);
    qd_arena_fini(&t->arena);
}

static void add_compare(cluster_txn *t, qd_coord_compare c)
{
    if (!c.key.p || qd_vec_push(&t->compares, NULL, c)) t->failed = QD_E_NOMEM;
    t->bytes += c.key.n;
}

static void add_change(cluster_txn *t, qd_coord_change c)
{
    if (!c.key.p || qd_vec_push(&t->changes, NULL, c)) t->failed = QD_E_NOMEM;
    t->bytes += c.key.n + c.value.n;
}

void qdi_txn_at(cluster_txn *t, qd_str key, uint64_t mod_revision)
{
    add_compare(t, (qd_coord_compare){.key = key,
                                      .type = mod_revision ? QD_COORD_CMP_MOD : QD_COORD_CMP_EXISTS,
                                      .number = mod_revision});
}

void qdi_txn_exists(cluster_txn *t, qd_str key, bool exists)
{
    add_compare(t, (qd_coord_compare){.key = key, .type = QD_COORD_CMP_EXISTS, .number = exists});
}

void qdi_txn_put(cluster_txn *t, qd_str key, qd_str value, uint64_t session)
{
    if (!value.p) t->failed = QD_E_NOMEM;
    add_change(
        t, (qd_coord_change){.type = QD_COORD_PUT, .key = key, .value = value, .session = session});
}

void qdi_txn_delete(cluster_txn *t, qd_str key)
{
    add_change(t, (qd_coord_change){.type = QD_COORD_DELETE, .key = key});
}

qd_str qdi_txn_key(cluster_txn *t, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_assert(n > 0 && (size_t)n < sizeof text); /* names are at most 255 bytes */
    return qd_arena_str(&t->arena, (qd_str){text, (size_t)n});
}

qd_str qdi_txn_value(cluster_txn *t, qd_buf *b)
{
    qd_str v = qd_buf_status(b) ? (qd_str){NULL, 0} : qd_arena_str(&t->arena, qd_buf_view(b));
    qd_buf_fini(b);
    return v;
}

void qdi_txn_put_shard(cluster_txn *t, const char *uuid, uint32_t number, const qd_shard_edit *e)
{
    qd_buf b;
    qd_json_writer w;
    qd_str key = qdi_txn_key(t, "shard/%s/%u", uuid, number);
    if (t->failed) return;
    qd_assert(qd_shard_meta_check(&e->s, NULL) == 0);
    qd_buf_init(&b, NULL, SHARD_RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_shard_meta_encode(&e->s, &w);
    /* a new one needs no compare: its index is new */
    if (e->s.mod_revision && !QD_MUTANT(cluster, NO_COMPARE)) qdi_txn_at(t, key, e->s.mod_revision);
    qdi_txn_put(t, key, qdi_txn_value(t, &b), 0);
}

int64_t qdi_cluster_patience_ms(const qd_cluster *c)
{
    const qd_task *t = qd_fiber_task();
    return t && t->change_ms ? t->change_ms : c->timeout_ms;
}

static bool is_connected(qd_cluster *c)
{
    qd_coord_identity i;
    qd_coord_identity_get(c->store, &i);
    return i.connected != 0;
}

#define DOUBT "the change may or may not be committed"

/* The store in charge, for people: which one, its epoch, what helps where it does not answer. */
typedef struct in_charge {
    const char *store, *help;
    unsigned long long epoch;
} in_charge;

static in_charge who_is_in_charge(qd_cluster *c)
{
    static const struct {
        const char *store, *help;
    } of[] = {
        [QD_STORE_UNKNOWN] = {"the coordination store", "bring that store back"},
        [QD_STORE_MASTERS] = {"that of the masters (raft)", "bring back a majority of the masters"},
        [QD_STORE_KUBERNETES] = {"the one in Kubernetes (k8s)",
                                 "let the control nodes reach the API of Kubernetes again"},
    };
    qd_coord_identity i;
    qd_authority_record r = {0};
    qd_coord_identity_get(c->store, &i);
    if (c->authority) qd_authority_get(c->authority, &r);
    return (in_charge){of[r.store].store, of[r.store].help,
                       (unsigned long long)(i.epoch ? i.epoch : r.epoch)};
}

/* It does not answer, and nothing else takes over. */
static int unavailable(qd_cluster *c, int code, const char *why, qd_err *err)
{
    in_charge x = who_is_in_charge(c);
    return qd_err_set(err, code,
                      "the store in charge of the cluster's state, %s, control epoch %llu, cannot "
                      "be reached: %s. Searches and writes of documents go on, changes of the "
                      "state are refused until it answers: %s. No other store takes over by itself "
                      "(see GET /_cluster/coordination, qd mode)",
                      x.store, x.epoch, why, x.help);
}

/* It was asked and has not said what came of it. */
static int unknown(qd_cluster *c, const char *why, qd_err *err)
{
    in_charge x = who_is_in_charge(c);
    bool told = qd_str_starts(qd_str_c(why), QD_STR(DOUBT));
    return qd_err_set(err, QD_E_UNKNOWN_OUTCOME,
                      "%s%s%s. It was asked of the store in charge of the cluster's state, %s, "
                      "control epoch %llu; where that cannot be reached %s (see GET "
                      "/_cluster/coordination, qd mode)",
                      told ? "" : DOUBT, told ? "" : ": ", why, x.store, x.epoch, x.help);
}

int qdi_txn_commit(qd_cluster *c, cluster_txn *t, uint64_t *revision, qd_err *err)
{
    if (t->failed) return qd_err_nomem(err, "change of the cluster state");
    const qd_coord_info *limits = qd_coord_limits(c->store);
    if (t->changes.n + t->compares.n > limits->txn_ops_max) {
        return qd_err_set(err, QD_E_LIMIT,
                          "a change of the cluster state with %zu steps is over the store's limit "
                          "of %u",
                          t->changes.n + t->compares.n, limits->txn_ops_max);
    }
    qd_err why;
    int64_t patience_ms = qdi_cluster_patience_ms(c);
    qd_err_init(&why);
    int rc = qd_coord_commit_as(c->store, t->fence, t->compares.at, (uint32_t)t->compares.n,
                                t->changes.at, (uint32_t)t->changes.n, patience_ms, revision, NULL,
                                &why);
    if (rc == QD_E_NO_COORDINATION || rc == QD_E_NOT_LEADER) {
        rc = unavailable(c, QD_E_NO_COORDINATION, qd_err_reason(&why), err);
    } else if (rc == QD_E_TIMEOUT && !is_connected(c)) {
        rc = unavailable(c, QD_E_PROCESS_CLUSTER_EVENT_TIMEOUT,
                         "no answer came in time, the change may or may not be committed", err);
        qd_err_type(err, "coordination_unavailable", 503);
    } else if (rc == QD_E_TIMEOUT) {
        rc = qd_err_set(err, QD_E_PROCESS_CLUSTER_EVENT_TIMEOUT,
                        "failed to process cluster event within %lld%s: the masters did not "
                        "answer in time",
                        (long long)(patience_ms % 1000 ? patience_ms : patience_ms / 1000),
                        patience_ms % 1000 ? "ms" : "s");
    } else if (rc == QD_E_UNKNOWN_OUTCOME) {
        rc = unknown(c, qd_err_reason(&why), err);
    } else if (rc && rc != QD_E_CONFLICT && err) {
        qd_err_copy(err, &why);
    }
    qd_err_fini(&why);
    return rc;
}
