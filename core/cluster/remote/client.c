/*
 * client.c: the remote store: masters, requests, slots of the coordination kind. See remote.h.
 *
 * A request goes once to one master. How it fails decides what the caller may think: an answer of
 * the master's store is passed on as it is; a failure on the way is QD_E_NO_COORDINATION when the
 * request cannot have arrived, else QD_E_UNKNOWN_OUTCOME for changes. Callers repeat (coord.c), and
 * the next attempt goes to the next master.
 */
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/remote/client_int.h"
#include "plugin/op.h"
#include "runtime/file.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

#define LEARNED_MAX 65536u

/* --- masters --------------------------------------------------------------------------------- */

void qdi_remote_pick(qd_coord *c, char out[QD_RPC_ADDRESS_MAX])
{
    qd_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->nmasters && !c->masters[c->current]->up; i++) {
        uint32_t k = (c->current + i) % c->nmasters;
        if (c->masters[k]->up) c->current = k;
    }
    snprintf(out, QD_RPC_ADDRESS_MAX, "%s", c->masters[c->current]->address);
    qd_mutex_unlock(&c->lock);
}

void qdi_remote_failed(qd_coord *c, const char *address, const qd_err *why)
{
    qd_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->nmasters; i++) {
        remote_master *m = c->masters[i];
        if (strcmp(m->address, address) != 0) continue;
        m->up = false; /* until its connection, or an answer, tells otherwise */
        snprintf(m->reason, sizeof m->reason, "%s", why ? qd_err_reason(why) : "no answer");
        if (c->current == i) c->current = (i + 1) % c->nmasters;
    }
    qd_mutex_unlock(&c->lock);
}

/* An answer came from there: its connection had stayed. */
static void answers(qd_coord *c, const char *address)
{
    qd_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->nmasters; i++) {
        remote_master *m = c->masters[i];
        if (m->up || strcmp(m->address, address) != 0) continue;
        m->up = true;
        m->reason[0] = 0;
    }
    qd_mutex_unlock(&c->lock);
}

bool qdi_remote_others(qd_coord *c, const char *address)
{
    bool some = false;
    qd_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->nmasters; i++) {
        some |= c->masters[i]->up && strcmp(c->masters[i]->address, address) != 0;
    }
    qd_mutex_unlock(&c->lock);
    return some;
}

bool qdi_remote_on_the_way(int rc)
{
    return rc == QD_E_CLOSED || rc == QD_E_TIMEOUT || rc == QD_E_SECURITY ||
           rc == QD_E_UNSUPPORTED || rc == QD_E_REJECTED || rc == QD_E_CANCELLED ||
           rc == QD_E_CORRUPT;
}

/* What those who serve a store of this kind are called. */
static const char *called(qd_store_kind kind)
{
    return kind == QD_STORE_KUBERNETES ? "control node" : "master";
}

void qdi_remote_nobody(qd_coord *c, qd_err *err, int code)
{
    char text[900] = "";
    size_t n = 0;
    if (!err || err->code) return;
    qd_mutex_lock(&c->lock);
    qd_store_kind kind = c->kind;
    for (uint32_t i = 0; i < c->nmasters && n < sizeof text - 1; i++) {
        const remote_master *m = c->masters[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s[%s]%s%s", i ? ", " : "", m->address,
                              m->reason[0] ? ": " : "", m->reason);
    }
    qd_mutex_unlock(&c->lock);
    (void)qd_err_set(err, code, "no %s answers: %s", called(kind), text);
}

/* Masters serve the state that they hold; one that is elsewhere is served by control nodes. People
 * take these words for proof that the node is where it belongs: they are said of its own cluster
 * only, once both have told which one that is. */
static bool tell_first(qd_coord *c, const qd_rpc_node *node, const char *address)
{
    char uuid[64];
    bool control = node->roles & QD_RPC_ROLE_CONTROL, master = node->roles & QD_RPC_ROLE_MASTER;
    qd_rpc_cluster_uuid(c->rpc, uuid);
    if (!control && !master) {
        qd_log_warn(REMOTE_LOG, "the node [%s] at [%s] is no master, nor a control node",
                    node->name, address);
        return true;
    }
    if (!uuid[0] || strcmp(uuid, node->cluster_uuid) != 0) return false;
    qd_log_info(REMOTE_LOG, "connected to %s [%s] at [%s]", control ? "control node" : "master",
                node->name, address);
    return true;
}

/* Says the first contact that could not be told of when it came. */
static void tell_late(qd_coord *c, const char *address)
{
    qd_rpc_node node;
    qd_mutex_lock(&c->lock);
    bool said = c->said;
    qd_mutex_unlock(&c->lock);
    if (said || !qd_rpc_peer_up(c->rpc, qd_str_c(address), &node)) return;
    qd_mutex_lock(&c->lock);
    if (!c->said) c->said = tell_first(c, &node, address);
    qd_mutex_unlock(&c->lock);
}

/* On a loop of the transport. */
static void on_peer(void *arg, qd_str address, qd_rpc_event event, const qd_rpc_node *node,
                    qd_str reason)
{
    remote_master *m = arg;
    qd_coord *c = m->c;
    (void)address;
    qd_mutex_lock(&c->lock);
    m->up = event == QD_RPC_UP;
    snprintf(m->reason, sizeof m->reason, "%.*s", m->up ? 0 : (int)reason.n,
             reason.p ? reason.p : "");
    if (m->up && node) {
        c->lives += m->ephemeral[0] && strcmp(m->ephemeral, node->ephemeral) != 0;
        snprintf(m->ephemeral, sizeof m->ephemeral, "%s", node->ephemeral);
    }
    bool first = m->up && !c->said && node;
    if (first) c->said = tell_first(c, node, m->address);
    uint32_t up = 0;
    for (uint32_t i = 0; i < c->nmasters; i++) up += c->masters[i]->up;
    bool lost = c->said && !up && !m->up;
    qd_store_kind kind = c->kind;
    if (lost) c->said = false;
    qd_mutex_unlock(&c->lock);
    if (lost) {
        qd_log_warn(REMOTE_LOG, "no %s is connected any more, serving the last state: %.*s",
                    called(kind), QD_STR_ARG(reason));
    } else if (event == QD_RPC_REFUSED) {
        qd_log_warn(REMOTE_LOG, "%s at [%s]: %.*s", called(kind), m->address, QD_STR_ARG(reason));
    }
}

/* Adds an address ("host" means port 9300), unless it is there; watches it. 1: it is new. */
static int add_master(qd_coord *c, qd_str address, bool learned, qd_err *err)
{
    char text[QD_RPC_ADDRESS_MAX];
    bool port = qd_str_find(address, ':') >= 0 && address.p[address.n - 1] != ']';
    int n = snprintf(text, sizeof text, "%.*s%s", QD_STR_ARG(address), port ? "" : ":9300");
    if (n < 0 || (size_t)n >= sizeof text || !address.n) {
        return qd_err_set(err, QD_E_ARG, "[%.*s] is no address of a master, host:port is wanted",
                          QD_STR_ARG(address));
    }
    qd_mutex_lock(&c->lock);
    bool known = c->nmasters == REMOTE_MASTERS_MAX || c->closing;
    for (uint32_t i = 0; i < c->nmasters; i++) {
        known |= strcmp(c->masters[i]->address, text) == 0;
    }
    remote_master *m = known ? NULL : qd_calloc(NULL, sizeof *m);
    if (m) {
        m->c = c;
        m->learned = learned;
        snprintf(m->address, sizeof m->address, "%s", text);
        c->masters[c->nmasters++] = m;
    }
    qd_mutex_unlock(&c->lock);
    if (known) return 0;
    if (!m) return qd_err_nomem(err, "masters");
    int rc = qd_rpc_peer_watch(c->rpc, qd_str_c(text), on_peer, m, &m->watch, err);
    return rc ? rc : 1;
}

/* --- learned addresses ----------------------------------------------------------------------- */

static void read_learned(qd_coord *c)
{
    qd_buf b;
    qd_arena a;
    qd_json_node *root;
    if (!c->learned || !qd_file_exists(c->learned)) return; /* none yet */
    qd_buf_init(&b, NULL, LEARNED_MAX);
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_file_read(c->learned, &b, NULL);
    if (!rc) rc = qd_json_parse(&a, qd_buf_view(&b), 4, &root, NULL);
    const qd_json_node *list = rc ? NULL : qd_json_get(root, "masters");
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next) {
        if (n->type == QD_JSON_T_STRING && add_master(c, n->text, true, NULL) < 0) rc = QD_E_ARG;
    }
    if (rc) qd_log_warn(REMOTE_LOG, "[%s] cannot be used: %s", c->learned, qd_code_name(rc));
    qd_arena_fini(&a);
    qd_buf_fini(&b);
}

static void write_learned(qd_coord *c)
{
    qd_buf b;
    qd_json_writer w;
    qd_err err;
    if (!c->learned) return;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, LEARNED_MAX);
    qd_json_writer_init(&w, &b, true);
    qd_json_object(&w);
    qd_json_key_c(&w, "masters");
    qd_json_array(&w);
    qd_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->nmasters; i++) qd_json_c(&w, c->masters[i]->address);
    qd_mutex_unlock(&c->lock);
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b);
    if (!rc) rc = qd_file_write_atomic(c->learned, qd_buf_view(&b), 0600, &err);
    if (rc) {
        qd_log_warn(REMOTE_LOG, "[%s] could not be written: %s", c->learned, qd_err_reason(&err));
    }
    qd_err_fini(&err);
    qd_buf_fini(&b);
}

static void learn(qd_coord *c, const qd_coord_members *found)
{
    bool any = false;
    for (uint32_t i = 0; i < found->nmembers; i++) {
        qd_str address = found->members[i].address;
        if (address.n && found->members[i].role <= QD_COORD_STANDBY) {
            any |= add_master(c, address, true, NULL) == 1;
        }
    }
    if (any) write_learned(c);
}

/* --- requests -------------------------------------------------------------------------------- */

void qdi_remote_leave(qd_coord *c)
{
    qd_mutex_lock(&c->lock);
    bool last = --c->users == 0 && c->closing;
    qd_mutex_unlock(&c->lock);
    if (!last) return;
    void (*done)(void *arg) = c->close_done;
    void *arg = c->close_arg;
    for (uint32_t i = 0; i < c->nmasters; i++) {
        if (c->masters[i]->watch) qd_rpc_unwatch(c->rpc, c->masters[i]->watch); /* learned late */
        qd_free(c->masters[i]);
    }
    qd_mutex_fini(&c->lock);
    qd_free(c->learned);
    qd_free(c);
    done(arg);
}

void qdi_remote_heard(qd_coord *c, qd_body_reader *r)
{
    qd_coord_identity i;
    qd_store_kind kind;
    qdi_remote_read_identity(r, &i, &kind);
    if (qd_body_reader_bad(r)) return;
    qd_mutex_lock(&c->lock);
    bool kubernetes = kind == QD_STORE_KUBERNETES && kind != c->kind;
    c->kind = kind;
    if (i.revision < c->identity.revision && i.epoch == c->identity.epoch) {
        i.revision = c->identity.revision; /* of a master that is behind */
    }
    c->identity = i;
    qd_mutex_unlock(&c->lock);
    if (kubernetes)
        qd_log_info(REMOTE_LOG, "using k8s-native: the control nodes hold the state there");
}

static qd_err *err_of(const remote_call *k)
{
    switch (k->kind) {
    case REMOTE_RANGE:
        return ((qd_coord_range *)k->request)->err;
    case REMOTE_TXN:
        return ((qd_coord_txn *)k->request)->err;
    case REMOTE_SESSION:
        return ((qd_coord_session *)k->request)->err;
    case REMOTE_ELECTION:
        return ((qd_coord_election *)k->request)->err;
    case REMOTE_MEMBERS:
        return ((qd_coord_members *)k->request)->err;
    case REMOTE_LEARN:
        break;
    }
    return NULL;
}

/* May the request have changed something although nothing was heard of it? */
static bool changes(const remote_call *k)
{
    if (k->kind == REMOTE_TXN || k->kind == REMOTE_SESSION) return true;
    if (k->kind == REMOTE_ELECTION) {
        return ((qd_coord_election *)k->request)->action != QD_COORD_LEADER;
    }
    return k->kind == REMOTE_MEMBERS &&
           ((qd_coord_members *)k->request)->action != QD_COORD_MEMBERS_LIST;
}

/* Keeps the answer's bytes for as long as the caller reads what points into them. */
static qd_coord_result *keep_answer(remote_call *k)
{
    qd_coord_result *r = qd_calloc(NULL, sizeof *r);
    if (!r) return NULL;
    r->call = k->call;
    memset(&k->call, 0, sizeof k->call);
    qd_err_init(&k->call.err);
    qd_arena_init(&r->arena, NULL, REMOTE_BODY_MAX);
    return r;
}

static void free_result(qd_coord_result *r)
{
    if (!r) return;
    qd_arena_fini(&r->arena);
    qd_rpc_call_fini(&r->call);
    qd_free(r);
}

static int read_keeping(remote_call *k, qd_body_reader *r)
{
    qd_coord_result *kept = keep_answer(k);
    int rc = kept ? 0 : QD_E_NOMEM;
    if (!rc && k->kind == REMOTE_RANGE) {
        qd_coord_range *q = k->request;
        rc = qdi_remote_read_range_answer(r, &kept->arena, q);
        q->result = kept;
    } else if (!rc) {
        qd_coord_members *q = k->request;
        rc = qdi_remote_read_members_answer(r, &kept->arena, q);
        q->result = kept;
    }
    if (!rc) rc = qd_body_reader_end(r, err_of(k));
    if (rc) free_result(kept);
    return rc;
}

static int read_election(remote_call *k, qd_body_reader *r)
{
    qd_coord_election *e = k->request, got;
    qdi_remote_read_election(r, &got);
    int rc = qd_body_reader_end(r, e->err);
    if (rc) return rc;
    e->token = got.token;
    if (e->action != QD_COORD_LEADER) return 0;
    e->session = got.session;
    e->value = got.value;
    e->result = keep_answer(k);
    return e->result ? 0 : QD_E_NOMEM;
}

static int read_answer(remote_call *k)
{
    qd_body_reader r;
    qd_body_reader_init(&r, k->call.answer, "answer of a master's store", k->call.answer_version);
    qdi_remote_heard(k->c, &r);
    tell_late(k->c, k->to);
    switch (k->kind) {
    case REMOTE_TXN: {
        qd_coord_txn *t = k->request;
        int32_t rc = (int32_t)qd_read_zigzag(&r, "result");
        uint64_t revision = qd_read_varint(&r, "revision");
        uint32_t failed = (uint32_t)qd_read_varint_max(&r, "failed", UINT32_MAX);
        int bad = qd_body_reader_end(&r, t->err);
        if (bad) return bad;
        t->revision = revision;
        t->failed = failed;
        return rc;
    }
    case REMOTE_SESSION: {
        qd_coord_session *s = k->request, got = {0};
        qdi_remote_read_session(&r, &got);
        int bad = qd_body_reader_end(&r, s->err);
        if (bad) return bad;
        s->session = got.session;
        s->ttl_ns = got.ttl_ns;
        return 0;
    }
    case REMOTE_ELECTION:
        return read_election(k, &r);
    case REMOTE_LEARN: {
        qd_coord_members found = {0};
        qd_arena a;
        qd_arena_init(&a, NULL, 1 << 20);
        if (!qdi_remote_read_members_answer(&r, &a, &found) && !qd_body_reader_end(&r, NULL)) {
            learn(k->c, &found);
        }
        qd_arena_fini(&a);
        return 0;
    }
    case REMOTE_RANGE:
    case REMOTE_MEMBERS:
        break;
    }
    return read_keeping(k, &r);
}

static void ask_members(qd_coord *c);

static void finish(remote_call *k, int rc)
{
    qd_coord *c = k->c;
    qd_op *op = k->op;
    bool learn_now = false;
    qd_rpc_call_fini(&k->call);
    qd_mutex_lock(&c->lock);
    if (k->kind == REMOTE_LEARN) {
        c->learning = rc == 0; /* asked once; again when it did not work */
    } else if (rc == 0 && !c->learning && !c->closing) {
        learn_now = c->learning = true;
    }
    qd_mutex_unlock(&c->lock);
    qd_free(k);
    if (learn_now) ask_members(c);
    if (op) qd_op_complete(op, rc);
    qdi_remote_leave(c);
}

static void unlink_call(remote_call *k)
{
    qd_mutex_lock(&k->c->lock);
    QD_LIST_REMOVE(k->c->calls, k);
    qd_mutex_unlock(&k->c->lock);
}

/* What the end of a call means to the caller. */
static int outcome(remote_call *k, int rc)
{
    qd_err *err = err_of(k);
    if (rc == 0) {
        answers(k->c, k->to);
        rc = read_answer(k);
        return rc == QD_E_CORRUPT && changes(k) ? QD_E_UNKNOWN_OUTCOME : rc;
    }
    if (rc == QD_E_CANCELLED && k->cancelled) {
        return k->call.sent && changes(k) ? QD_E_UNKNOWN_OUTCOME : QD_E_CANCELLED;
    }
    /* nobody says whether it was the request or its answer that found no memory */
    bool memory = rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_TOO_LARGE;
    if (memory && k->call.sent && changes(k)) return QD_E_UNKNOWN_OUTCOME;
    if (!qdi_remote_on_the_way(rc)) {
        /* the store said so; another master may see its leader */
        if (rc == QD_E_NOT_LEADER || rc == QD_E_NO_COORDINATION) {
            qdi_remote_failed(k->c, k->to, &k->call.err);
        }
        if (err && !err->code) qd_err_copy(err, &k->call.err);
        return rc;
    }
    qdi_remote_failed(k->c, k->to, &k->call.err);
    rc = k->call.sent && changes(k) ? QD_E_UNKNOWN_OUTCOME : QD_E_NO_COORDINATION;
    qdi_remote_nobody(k->c, err, rc);
    return rc;
}

static void call_done(qd_rpc_call *call, int rc)
{
    remote_call *k = (remote_call *)(void *)call;
    unlink_call(k);
    finish(k, outcome(k, rc));
}

/* Sends a request; the writer is ended in any case. */
static int32_t send(qd_coord *c, remote_kind kind, uint32_t action, qd_op *op, void *request,
                    uint32_t timeout_ms, qd_writer *w)
{
    remote_call *k = qd_calloc(NULL, sizeof *k);
    if (!k) {
        qd_writer_fini(w);
        return QD_E_NOMEM;
    }
    k->c = c;
    k->kind = kind;
    k->op = op;
    k->request = request;
    qd_err_init(&k->call.err);
    qdi_remote_pick(c, k->to);
    int rc = qd_writer_end(w, "request to a master", err_of(k));
    k->call.to = qd_str_c(k->to);
    k->call.action = action;
    k->call.class = QD_RPC_CONTROL;
    k->call.timeout_ms = timeout_ms;
    k->call.body = rc ? (qd_str){NULL, 0} : qd_writer_view(w);
    k->call.version = w->version;
    k->call.done = call_done;
    if (kind == REMOTE_LEARN) k->call.done_pool = c->learner;
    /* under the lock, so that nobody cancels a call that has not begun */
    qd_mutex_lock(&c->lock);
    if (!rc && c->closing) rc = QD_E_CLOSED;
    bool begun = rc == 0;
    if (begun) {
        c->users++;
        QD_LIST_PUSH(c->calls, k);
        rc = qd_rpc_call_start(c->rpc, &k->call, &k->call.err);
    }
    qd_mutex_unlock(&c->lock);
    qd_writer_fini(w);
    if (begun && rc) {
        unlink_call(k);
        finish(k, outcome(k, rc));
    } else if (rc) {
        qd_free(k);
        return rc;
    }
    return 0;
}

static void ask_members(qd_coord *c)
{
    qd_writer w;
    qd_coord_members m = {.action = QD_COORD_MEMBERS_LIST};
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    qdi_remote_write_members(&w, &m);
    if (send(c, REMOTE_LEARN, QD_ACTION_COORD_MEMBERS, NULL, NULL, REMOTE_TIMEOUT_MS, &w)) {
        qd_mutex_lock(&c->lock);
        c->learning = false;
        qd_mutex_unlock(&c->lock);
    }
}

/* --- slots ----------------------------------------------------------------------------------- */

static int32_t slot_range(qd_coord *c, qd_coord_range *r)
{
    qd_writer w;
    r->kvs = NULL;
    r->result = NULL;
    r->nkvs = 0;
    qd_writer_init(&w, NULL, REMOTE_BODY_MAX, QD_RPC_OLDEST);
    qdi_remote_write_range(&w, r);
    bool many = (r->flags & QD_COORD_PREFIX) || r->end.n;
    return send(c, REMOTE_RANGE, QD_ACTION_COORD_RANGE, &r->op, r,
                many ? REMOTE_READ_TIMEOUT_MS : REMOTE_TIMEOUT_MS, &w);
}

static int32_t slot_txn(qd_coord *c, qd_coord_txn *t)
{
    qd_writer w;
    qd_writer_init(&w, NULL, REMOTE_BODY_MAX, QD_RPC_OLDEST);
    qdi_remote_write_txn(&w, t);
    return send(c, REMOTE_TXN, QD_ACTION_COORD_TXN, &t->op, t, REMOTE_TIMEOUT_MS, &w);
}

static int32_t slot_session(qd_coord *c, qd_coord_session *s)
{
    qd_writer w;
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    qdi_remote_write_session(&w, s);
    return send(c, REMOTE_SESSION, QD_ACTION_COORD_SESSION, &s->op, s, REMOTE_TIMEOUT_MS, &w);
}

static int32_t slot_election(qd_coord *c, qd_coord_election *e)
{
    qd_writer w;
    e->result = NULL;
    qd_writer_init(&w, NULL, REMOTE_BODY_MAX, QD_RPC_OLDEST);
    qdi_remote_write_election(&w, e);
    /* a candidate waits for as long as its connection lasts */
    uint32_t timeout = e->action == QD_COORD_ELECT ? 0 : REMOTE_TIMEOUT_MS;
    return send(c, REMOTE_ELECTION, QD_ACTION_COORD_ELECTION, &e->op, e, timeout, &w);
}

static int32_t slot_members(qd_coord *c, qd_coord_members *m)
{
    qd_writer w;
    m->members = NULL;
    m->result = NULL;
    m->nmembers = 0;
    qd_writer_init(&w, NULL, REMOTE_BODY_MAX, QD_RPC_OLDEST);
    qdi_remote_write_members(&w, m);
    return send(c, REMOTE_MEMBERS, QD_ACTION_COORD_MEMBERS, &m->op, m, REMOTE_READ_TIMEOUT_MS, &w);
}

static void slot_result_free(qd_coord *c, qd_coord_result *r)
{
    (void)c;
    free_result(r);
}

static void slot_cancel(qd_coord *c, qd_op *op)
{
    qd_mutex_lock(&c->lock);
    for (remote_call *k = c->calls; k; k = k->next) {
        if (k->op != op || k->cancelled) continue;
        k->cancelled = true;
        qd_rpc_call_cancel(c->rpc, &k->call);
        break;
    }
    qd_mutex_unlock(&c->lock);
}

static int32_t slot_compact(qd_coord *c, uint64_t revision)
{
    (void)c;
    (void)revision;
    return QD_E_UNSUPPORTED; /* the masters do it by themselves */
}

static void slot_info(qd_coord *c, qd_coord_info *out)
{
    (void)c;
    *out = (qd_coord_info){.struct_size = sizeof *out,
                           .key_max = 1024,
                           .value_max = UINT64_C(16) << 20,
                           .txn_bytes_max = UINT64_C(32) << 20,
                           .txn_ops_max = 10000,
                           .id_window = 4096,
                           .session_ttl_min_ns = INT64_C(1000000000),
                           .session_ttl_max_ns = INT64_C(3600000000000),
                           .history_min = 0};
}

static void slot_identity(qd_coord *c, qd_coord_identity *out)
{
    uint32_t up = 0;
    qd_mutex_lock(&c->lock);
    *out = c->identity;
    for (uint32_t i = 0; i < c->nmasters; i++) up += c->masters[i]->up;
    out->connected = out->connected && up;
    qd_mutex_unlock(&c->lock);
}

static int32_t slot_open(qd_self *self, const qd_coord_config *config, qd_coord **out, qd_err *err)
{
    const qd_remote_config *k = (const qd_remote_config *)(const void *)self;
    qd_coord *c = qd_calloc(NULL, sizeof *c);
    (void)config;
    if (!c) return qd_err_nomem(err, "coordination store");
    c->env = k->env;
    c->rpc = k->rpc;
    c->loop = k->loop;
    c->learner = k->pools ? qd_pools_find(k->pools, QD_STR("generic")) : NULL;
    c->users = 1;
    c->identity = (qd_coord_identity){.struct_size = sizeof c->identity, .role = QD_COORD_CLIENT};
    qd_mutex_init(&c->lock);
    int rc = 0;
    if (k->learned) {
        size_t n = strlen(k->learned) + 1;
        c->learned = qd_alloc(NULL, n);
        if (c->learned) memcpy(c->learned, k->learned, n);
        if (!c->learned) rc = qd_err_nomem(err, "coordination store");
    }
    for (uint32_t i = 0; i < k->nmasters && rc >= 0; i++) {
        rc = add_master(c, k->masters[i], false, err);
    }
    if (rc >= 0) read_learned(c);
    if (rc >= 0 && !c->nmasters) {
        rc = qd_err_set(err, QD_E_ARG,
                        "a node without the role master has to know one: set "
                        "coordination.master_addresses");
    }
    if (rc < 0) {
        for (uint32_t i = 0; i < c->nmasters; i++) {
            if (c->masters[i]->watch) qd_rpc_unwatch(c->rpc, c->masters[i]->watch);
            qd_free(c->masters[i]);
        }
        qd_mutex_fini(&c->lock);
        qd_free(c->learned);
        qd_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

static void slot_close(qd_coord *c, void (*done)(void *arg), void *arg)
{
    qd_mutex_lock(&c->lock);
    c->closing = true;
    c->close_done = done;
    c->close_arg = arg;
    for (remote_call *k = c->calls; k; k = k->next) {
        k->cancelled = true;
        qd_rpc_call_cancel(c->rpc, &k->call);
    }
    uint32_t n = c->nmasters;
    qd_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < n; i++) { /* no new ones while closing */
        if (c->masters[i]->watch) qd_rpc_unwatch(c->rpc, c->masters[i]->watch);
        c->masters[i]->watch = NULL;
    }
    qdi_remote_watches_end(c);
    qdi_remote_leave(c);
}

static const qd_coord_vtable vtable = {
    .head = {.struct_size = sizeof(qd_coord_vtable),
             .flags = QD_COORD_LINEARIZABLE | QD_COORD_EXTERNAL},
    .open = slot_open,
    .close = slot_close,
    .info = slot_info,
    .identity = slot_identity,
    .range = slot_range,
    .txn = slot_txn,
    .session = slot_session,
    .election = slot_election,
    .members = slot_members,
    .result_free = slot_result_free,
    .watch = qdi_remote_watch,
    .watch_close = qdi_remote_watch_close,
    .cancel = slot_cancel,
    .compact = slot_compact,
};

qd_store_kind qd_remote_kind(const qd_coord_store *s)
{
    qd_coord *c;
    if (qd_coord_table(s, &c)->open != slot_open) return QD_STORE_UNKNOWN;
    qd_mutex_lock(&c->lock);
    qd_store_kind kind = c->kind;
    qd_mutex_unlock(&c->lock);
    return kind;
}

void qd_remote_joined(const qd_coord_store *s)
{
    qd_coord *c;
    if (qd_coord_table(s, &c)->open != slot_open) return;
    qd_mutex_lock(&c->lock);
    uint32_t n = c->nmasters; /* none goes before the close */
    qd_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < n; i++) tell_late(c, c->masters[i]->address);
}

/* On a worker, or the loop that answers come on. */
static void write_later(qd_work *work)
{
    qd_coord *c = (qd_coord *)((char *)work - offsetof(qd_coord, writing));
    qd_mutex_lock(&c->lock);
    c->writes = false;
    qd_mutex_unlock(&c->lock);
    write_learned(c);
    qdi_remote_leave(c);
}

void qd_remote_learn(const qd_coord_store *s, qd_str address)
{
    qd_coord *c;
    if (qd_coord_table(s, &c)->open != slot_open || !address.n) return;
    if (add_master(c, address, true, NULL) != 1 || !c->learner) return;
    qd_mutex_lock(&c->lock);
    bool begin = !c->writes && !c->closing;
    if (begin) {
        c->writes = true;
        c->users++;
    }
    qd_mutex_unlock(&c->lock);
    if (!begin) return;
    c->writing.run = write_later;
    if (qd_pool_submit_forced(c->learner, &c->writing, NULL)) write_later(&c->writing);
}

int qd_remote_open(const qd_remote_config *config, qd_coord_store **out, qd_err *err)
{
    qd_coord_config none = {.struct_size = sizeof none};
    qd_self *self = (qd_self *)(uintptr_t)(const void *)config;
    return qd_coord_open(config->env, &vtable, self, &none, out, err);
}
