/*
 * cluster_session.c: this node as the others see it: its session, its record "node/<id>". A node
 * that starts ends the session of the process it was before, because that one holds no lock on the
 * data any more; one whose process still answers is another node with a copied identity.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "rpc/rpc.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

#define RECORD_MAX 65536u
#define FORMER_ANSWER_MS 1000u
#define FORMER_WAIT_NS UINT64_C(100000000)
#define MARK_LAST_MS 2000
#define FORMER_SAY_NS UINT64_C(10000000000)

static qd_str record(qd_cluster *c, cluster_txn *t)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "name", c->self.name);
    qd_json_field_str(&w, "host", c->self.host);
    qd_json_field_str(&w, "transport_address", c->self.transport_address);
    qd_json_field_str(&w, "http_address", c->self.http_address);
    qd_json_field_str(&w, "roles", c->self.roles);
    qd_json_field_str(&w, "version", c->self.version);
    qd_json_field_str(&w, "ephemeral_id", c->self.ephemeral);
    qd_json_field_int(&w, "features", c->self.features);
    if (c->self.stores) qd_json_field_int(&w, "stores", c->self.stores);
    if (c->self.wants.n) qd_json_field_str(&w, "wants", c->self.wants);
    if (c->self.tiers.n) qd_json_field_str(&w, "tiers", c->self.tiers);
    qd_json_key_c(&w, "attributes");
    qd_json_object(&w);
    for (uint32_t i = 0; i < c->self.nattributes; i++) {
        qd_json_key(&w, c->self.attributes[i].key);
        qd_json_str(&w, c->self.attributes[i].value);
    }
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    return qdi_txn_value(t, &b);
}

/* The process that this node was before. */
typedef struct former {
    bool there;
    uint64_t session, life_at; /* revision of its record below life/; 0: none */
    char ephemeral[64], address[300];
} former;

/* Puts the record under a session, if there is none of this node, and the cluster's formats are
 * those that were looked at. */
static int put_record(qd_cluster *c, const former *first, uint64_t session,
                      const qdi_features_at *formats, uint64_t *revision, qd_err *err)
{
    cluster_txn t;
    qdi_txn_init(&t);
    qd_str key = qdi_txn_key(&t, "node/%.*s", QD_STR_ARG(c->self.id));
    qdi_txn_exists(&t, key, false);
    qdi_features_compare(&t, formats);
    qdi_txn_put(&t, key, record(c, &t), session);
    if (first && c->data && c->authority) {
        key = qdi_txn_key(&t, "life/%.*s", QD_STR_ARG(c->self.id));
        qdi_txn_at(&t, key, first->life_at);
        qdi_txn_put(&t, key, c->self.ephemeral, 0);
    }
    int rc = qdi_txn_commit(c, &t, revision, err);
    qdi_txn_fini(&t);
    return rc;
}

/* Opens a session and puts the record. QD_E_CONFLICT: there is one of this node. QD_E_STATE: the
 * cluster writes formats that this build does not know. first: of this process, whose start takes
 * the place of the one before, of that revision. */
static int announce(qd_cluster *c, const former *first, qd_err *err)
{
    uint64_t session, revision = 0;
    qdi_features_at formats, now;
    int rc = qdi_features_known(c, &now, err);
    if (!rc) rc = qd_coord_session_open(c->store, c->session_ttl_ms, c->timeout_ms, &session, err);
    if (rc) return rc;
    do {
        formats = now;
        rc = put_record(c, first, session, &formats, &revision, err);
        if (rc != QD_E_CONFLICT) break;
        int known = qdi_features_known(c, &now, err);
        if (known) rc = known;
    } while (rc == QD_E_CONFLICT && (now.level != formats.level || now.next != formats.next));
    if (rc) {
        qd_coord_session_end(c->store, session);
        return rc;
    }
    qd_mutex_lock(&c->lock);
    c->session = session;
    c->joined_at = revision;
    if (first && c->data && c->authority) {
        c->life_at = revision;
        snprintf(c->life, sizeof c->life, "%.*s", QD_STR_ARG(c->self.ephemeral));
    }
    if (first) atomic_store(&c->contact_ns, qd_env_boot_ns(c->env)); /* the state is read next */
    qd_cond_broadcast(&c->applied); /* the allocator stands under it anew */
    qd_mutex_unlock(&c->lock);
    return 0;
}

/* --- the process of before -------------------------------------------------------------------- */

static void text_to(const qd_json_node *root, const char *key, char *out, size_t size)
{
    const qd_json_node *n = qd_json_get(root, key);
    qd_str s = n && n->type == QD_JSON_T_STRING ? n->text : (qd_str){NULL, 0};
    size_t k = s.n < size - 1 ? s.n : size - 1;
    if (k) memcpy(out, s.p, k);
    out[k] = 0;
}

static int read_former(qd_cluster *c, former *out, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    qd_json_node *root;
    *out = (former){0};
    qd_arena_init(&a, NULL, 1 << 20);
    qd_str key = qd_arena_printf(&a, "node/%.*s", QD_STR_ARG(c->self.id));
    int rc = key.p ? qd_coord_read(c->store, key, false, c->timeout_ms, &a, &list, err)
                   : qd_err_nomem(err, "node");
    if (!rc && list.n) {
        qd_str value = {(const char *)list.at[0].value, list.at[0].value_len};
        out->there = true;
        out->session = list.at[0].session;
        if (!qd_json_parse(&a, value, 8, &root, NULL)) {
            text_to(root, "ephemeral_id", out->ephemeral, sizeof out->ephemeral);
            text_to(root, "transport_address", out->address, sizeof out->address);
        }
    }
    qd_arena_fini(&a);
    return rc;
}

/* Does the process of a record still live? It answers as itself; QD_E_TIMEOUT: nobody knows. */
static int answers(qd_cluster *c, const former *f, bool *lives)
{
    qd_rpc_node who;
    *lives = false;
    /* this process listens on that address now, or cannot ask */
    if (!c->rpc || !f->address[0] || qd_str_is(c->self.transport_address, f->address)) return 0;
    qd_rpc_call call = {.to = qd_str_c(f->address),
                        .action = QD_ACTION_ECHO,
                        .class = QD_RPC_CONTROL,
                        .timeout_ms = FORMER_ANSWER_MS};
    int rc = qd_rpc_call_wait(c->rpc, &call, NULL);
    qd_rpc_call_fini(&call);
    bool up = qd_rpc_peer_up(c->rpc, qd_str_c(f->address), &who);
    /* a process there that refuses this node does so for its identity */
    *lives = up ? qd_str_is(qd_str_c(who.ephemeral), f->ephemeral) : rc == QD_E_SECURITY;
    return rc == QD_E_TIMEOUT && !*lives ? rc : 0;
}

/* Ends the session of the process that this node was. 1: it is not known whether that one lives,
 * its session ends by itself if it does not. */
static int end_former(qd_cluster *c, const former *f, qd_err *err)
{
    bool lives;
    if (!f->there || qd_str_is(c->self.ephemeral, f->ephemeral)) return 0;
    if (answers(c, f, &lives)) return 1;
    if (lives) {
        return qd_err_set(err, QD_E_STATE,
                          "a node with this one's identity [%.*s] is in the cluster at [%s] and "
                          "answers: two nodes were started on copies of one data folder. Stop the "
                          "other one, or give this one an empty path.data",
                          QD_STR_ARG(c->self.id), f->address);
    }
    qd_coord_session_end(c->store, f->session);
    return 0;
}

/* Is this folder the one with which the node started last? Then this start is written down in it.
 * What holds no data has nothing that could be old. */
static int begin_life(qd_cluster *c, former *f, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    bool ours = false; /* the start that the cluster knows was one of this folder */
    if (!c->data || !c->authority) return 0;
    qd_arena_init(&a, NULL, 1 << 20);
    qd_str key = qd_arena_printf(&a, "life/%.*s", QD_STR_ARG(c->self.id)), life = {"", 0};
    int rc = key.p ? qd_coord_read(c->store, key, false, c->timeout_ms, &a, &list, err)
                   : qd_err_nomem(err, "node");
    if (!rc) {
        qd_authority_record r;
        qd_authority_get(c->authority, &r);
        if (list.n) life = (qd_str){(const char *)list.at[0].value, list.at[0].value_len};
        f->life_at = list.n ? list.at[0].mod_revision : 0;
        /* masters of an older state than this node's are refused for that */
        ours = qd_authority_remembers(c->authority, life);
        if (list.revision >= r.revision && !ours) {
            rc = qd_err_set(
                err, QD_E_FENCED,
                "this node's path.data is an old copy: the cluster knows the node from a "
                "later start than the folder remembers, as after a restore from a backup, "
                "and what was acknowledged since is not in it. Put the newer folder back, "
                "or start with an empty one, which is filled from other copies. If the old "
                "one is right, and what came later may be lost, run: qd recover "
                "--accept-older-state");
            qd_log_error(CLUSTER_LOG, "%s", qd_err_reason(err));
        }
    }
    if (!ours) life = (qd_str){"", 0};
    if (!rc) rc = qd_authority_live(c->authority, c->self.ephemeral, life, err);
    qd_arena_fini(&a);
    return rc;
}

int qdi_session_begin(qd_cluster *c, qd_err *err)
{
    former f;
    int rc;
    uint64_t said = 0;
    for (;;) {
        rc = read_former(c, &f, err);
        if (!rc) rc = begin_life(c, &f, err);
        if (!rc) rc = end_former(c, &f, err);
        if (rc < 0) return rc;
        uint64_t now = qd_env_mono_ns(c->env);
        if (rc == 1 && (!said || now - said > FORMER_SAY_NS)) {
            said = now;
            qd_log_warn(
                CLUSTER_LOG,
                "this node was in the cluster at [%s], which does not answer: waiting until "
                "its session expires",
                f.address);
        }
        qd_err why;
        qd_err_init(&why);
        rc = announce(c, &f, &why);
        if (rc && rc != QD_E_CONFLICT) qd_err_copy(err, &why);
        qd_err_fini(&why);
        if (rc != QD_E_CONFLICT) return rc;
        qd_env_sleep_ns(c->env, FORMER_WAIT_NS);
    }
}

/* --- keeping it ------------------------------------------------------------------------------ */

/* A node that refuses the state of the masters is none of their cluster. */
static int obeys(qd_cluster *c, qd_err *err)
{
    qd_authority_record r = {0};
    if (c->authority) qd_authority_get(c->authority, &r);
    return r.refused && !r.accept_older
               ? qd_err_set(err, QD_E_FENCED, "the masters' state is older than this node's")
               : 0;
}

/* Waits; false: no more. Under the lock. */
static bool next_turn(qd_cluster *c, uint64_t wait_ns)
{
    uint64_t until = qd_env_mono_ns(c->env) + wait_ns;
    while (!c->stop && !c->leaving && qd_env_mono_ns(c->env) < until) {
        (void)qd_cond_wait_until(&c->keeper_wake, &c->lock, until);
    }
    return !c->stop && !c->leaving;
}

static uint64_t third_of_session_ns(const qd_cluster *c)
{
    return (uint64_t)c->session_ttl_ms / 3 * 1000000u;
}

void qdi_session_record(void *arg)
{
    qd_cluster *c = arg;
    uint64_t third_ns = third_of_session_ns(c), disks_ns = qdi_disks_interval_ns(c);
    qd_mutex_lock(&c->lock);
    while (next_turn(c, third_ns < disks_ns ? third_ns : disks_ns)) {
        qd_mutex_unlock(&c->lock);
        qdi_disks_turn(c);
        qd_mutex_lock(&c->lock);
    }
    qd_mutex_unlock(&c->lock);
}

/* Is what is applied here no older than the node's last joining? Before, its session lives but it
 * may not know what happened while it had none. */
static bool caught_up(qd_cluster *c)
{
    qd_mutex_lock(&c->lock);
    bool yes = c->state && c->state->revision >= c->joined_at;
    qd_mutex_unlock(&c->lock);
    return yes;
}

void qdi_session_keep(void *arg)
{
    qd_cluster *c = arg;
    uint64_t said = 0;
    qd_mutex_lock(&c->lock);
    while (next_turn(c, third_of_session_ns(c))) {
        uint64_t session = c->session;
        qd_mutex_unlock(&c->lock);
        qd_err err;
        qd_err_init(&err);
        uint64_t asked = qd_env_boot_ns(c->env);
        int rc = obeys(c, &err);
        if (!rc) rc = qdi_disks_live(c, &err);
        if (!rc) rc = qd_coord_session_keep(c->store, session, c->session_ttl_ms / 3, &err);
        if (!rc && caught_up(c)) atomic_store(&c->contact_ns, asked);
        if (rc == QD_E_SESSION_EXPIRED) {
            qd_err_fini(&err);
            qd_log_warn(CLUSTER_LOG, "this node's session has expired, it joins anew");
            rc = announce(c, NULL, &err);
            if (rc == QD_E_CONFLICT) {
                (void)qd_err_set(&err, rc, "another process has taken this node's identity [%.*s]",
                                 QD_STR_ARG(c->self.id));
            }
        }
        uint64_t now = qd_env_mono_ns(c->env);
        if (rc && (!said || now - said > FORMER_SAY_NS)) {
            said = now;
            qd_log_warn(CLUSTER_LOG, "session of this node: %s", qd_err_reason(&err));
        }
        if (rc) qdi_cluster_named(c);
        if (!rc) said = 0;
        /* without its record it is none of the cluster, whose formats it does not know */
        bool over = rc && (rc == QD_E_STATE || qd_coord_failed(c->store));
        if (over && c->failed) {
            c->failed(c->listener_arg, qd_err_reason(&err));
            c->failed = NULL;
        }
        qd_err_fini(&err);
        qd_mutex_lock(&c->lock);
    }
    qd_mutex_unlock(&c->lock);
}

/* --- marks ----------------------------------------------------------------------------------- */

static int put_mark(qd_cluster *c, uint64_t *revision, qd_err *err)
{
    cluster_txn t;
    qdi_txn_init(&t);
    qd_str key = qdi_txn_key(&t, "life/%.*s", QD_STR_ARG(c->self.id));
    qdi_txn_at(&t, key, c->life_at);
    qdi_txn_put(&t, key, qd_str_c(c->life_next), 0);
    int rc = qdi_txn_commit(c, &t, revision, err);
    qdi_txn_fini(&t);
    return rc;
}

/* Another record is there than the one that was known: is it the mark, whose answer was lost? */
static int look_at_mark(qd_cluster *c, uint64_t *revision, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, 1 << 20);
    qd_str key = qd_arena_printf(&a, "life/%.*s", QD_STR_ARG(c->self.id));
    int rc = key.p ? qd_coord_read(c->store, key, false, c->timeout_ms, &a, &list, err)
                   : qd_err_nomem(err, "node");
    if (!rc) {
        qd_str is = list.n ? (qd_str){(const char *)list.at[0].value, list.at[0].value_len}
                           : (qd_str){"", 0};
        if (qd_str_is(is, c->life_next)) {
            *revision = list.at[0].mod_revision;
        } else {
            c->life_at = 0; /* nothing is marked any more */
            rc = qd_err_set(err, QD_E_CONFLICT,
                            "another process has taken this node's identity [%.*s]",
                            QD_STR_ARG(c->self.id));
        }
    }
    qd_arena_fini(&a);
    return rc;
}

/* In the folder first: a folder that has more than the cluster knows is not old. */
int qd_cluster_mark(qd_cluster *c, bool last, qd_err *err)
{
    uint64_t revision = 0;
    if (!c->life_at) return 0;
    if (last) qd_coord_hurry(c->store, MARK_LAST_MS);
    if (!c->life_next[0])
        snprintf(c->life_next, sizeof c->life_next, "%.*s.%llu", QD_STR_ARG(c->self.ephemeral),
                 (unsigned long long)++c->marks);
    int rc = qd_authority_live(c->authority, qd_str_c(c->life_next), qd_str_c(c->life), err);
    if (!rc) {
        rc = put_mark(c, &revision, err);
        if (rc == QD_E_CONFLICT) {
            if (err) qd_err_fini(err);
            rc = look_at_mark(c, &revision, err);
        }
    }
    if (rc) return rc;
    memcpy(c->life, c->life_next, sizeof c->life);
    c->life_next[0] = 0;
    c->life_at = revision;
    return 0;
}

/* --- disk ------------------------------------------------------------------------------------ */

static int put_disk(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const qd_disk_report *a = arg;
    qd_buf b;
    qd_json_writer w;
    (void)err;
    qd_mutex_lock(&c->lock);
    uint64_t session = c->session;
    qd_mutex_unlock(&c->lock);
    if (!session) return QDI_CHANGE_NOTHING; /* it comes again with the next session */
    qd_buf_init(&b, NULL, (a->shards.n + a->tiers.n) * 2 + RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_int(&w, "total", (int64_t)a->total);
    qd_json_field_int(&w, "free", (int64_t)a->available);
    if (a->shards.n) qd_json_field_str(&w, "shards", a->shards);
    if (a->tiers.n && s->features >= QD_FEATURES_STORAGE_TIERS)
        qd_json_field_str(&w, "tiers", a->tiers);
    qd_json_object_end(&w);
    qdi_txn_put(t, qdi_txn_key(t, "disk/%.*s", QD_STR_ARG(c->self.id)), qdi_txn_value(t, &b),
                session);
    return 0;
}

int qd_cluster_report_disk(qd_cluster *c, const qd_disk_report *told, qd_err *err)
{
    qd_disk_report a = *told;
    return qdi_change(c, put_disk, &a, NULL, err);
}
