/*
 * stores.c: the front: requests, the look at both stores, moving. See stores.h.
 *
 * The end of a request comes on some thread of a store's, where no store may be called: what is to
 * be asked again is left to the front's own thread, which looks at both stores every moment while
 * anything waits, else ten times a second; looking asks nobody, a store tells what it knows.
 */
#include "cluster/authority/stores.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/authority/stores_int.h"
#include <stdio.h>

#define LOOK_NS UINT64_C(100000000)
#define LOOK_SOON_NS UINT64_C(10000000)
#define AGAIN_NS UINT64_C(20000000)     /* a store that refuses and says it is in charge */
#define FENCED_MAX 3u                   /* so often; then it is the request that is fenced */
#define HELD_MS 1700                    /* and the change itself: 2 s in all */
#define FORMER_NS UINT64_C(60000000000) /* ids of the former store are asked for */
#define FORMER_WAIT_NS UINT64_C(300000000)
#define SILENT_NS UINT64_C(5000000000) /* for so long a silent one is not asked again */
#define READ_MS 1000
#define SAY_NS UINT64_C(10000000000)

/* --- requests -------------------------------------------------------------------------------- */

static size_t size_of(front_kind kind)
{
    static const size_t sizes[] = {sizeof(qd_coord_range), sizeof(qd_coord_txn),
                                   sizeof(qd_coord_session), sizeof(qd_coord_election),
                                   sizeof(qd_coord_members)};
    return sizes[kind];
}

static qd_err *err_of(const front_request *r)
{
    switch (r->kind) {
    case FRONT_RANGE:
        return r->q.range.err;
    case FRONT_TXN:
        return r->q.txn.err;
    case FRONT_SESSION:
        return r->q.session.err;
    case FRONT_ELECTION:
        return r->q.election.err;
    case FRONT_MEMBERS:
        break;
    }
    return r->q.members.err;
}

/* Under the lock: one holder less; frees the last one's. */
static void unref(front_request *r)
{
    if (--r->refs == 0) {
        qd_free(r->result);
        qd_free(r);
    }
}

static void unlink_request(front_request *r)
{
    if (!r->link) return;
    *r->link = r->next;
    if (r->next) r->next->link = r->link;
    r->link = NULL;
    qd_cond_broadcast(&r->front->idle);
}

/* The real result, which has to be given back there. */
static qd_coord_result *wrap(front_request *r, qd_coord_result *real)
{
    if (!real) return NULL;
    qd_coord_result *out = r->result;
    r->result = NULL;
    *out = (qd_coord_result){r->child, real};
    return out;
}

/* What the store found, into the caller's request. */
static void copy_out(front_request *r)
{
    switch (r->kind) {
    case FRONT_RANGE: {
        qd_coord_range *x = r->caller;
        x->kvs = r->q.range.kvs;
        x->nkvs = r->q.range.nkvs;
        x->more = r->q.range.more;
        x->revision = r->q.range.revision;
        x->result = wrap(r, r->q.range.result);
        return;
    }
    case FRONT_TXN: {
        qd_coord_txn *x = r->caller;
        x->revision = r->q.txn.revision;
        x->failed = r->q.txn.failed;
        return;
    }
    case FRONT_SESSION: {
        qd_coord_session *x = r->caller;
        x->session = r->q.session.session;
        x->ttl_ns = r->q.session.ttl_ns;
        return;
    }
    case FRONT_ELECTION: {
        qd_coord_election *x = r->caller;
        x->value = r->q.election.value;
        x->session = r->q.election.session;
        x->token = r->q.election.token;
        x->result = wrap(r, r->q.election.result);
        return;
    }
    case FRONT_MEMBERS:
        break;
    }
    qd_coord_members *x = r->caller;
    x->members = r->q.members.members;
    x->nmembers = r->q.members.nmembers;
    x->result = wrap(r, r->q.members.result);
}

/* Ends it for the caller. Not under the lock. */
static void finish(front_request *r, int32_t rc)
{
    qd_coord *c = r->front;
    qd_op *op = r->caller; /* the first member of each */
    if (rc == 0 || (rc == QD_E_CONFLICT && r->kind == FRONT_TXN)) copy_out(r);
    qd_mutex_lock(&c->lock);
    unlink_request(r);
    unref(r);
    qd_mutex_unlock(&c->lock);
    qd_op_complete(op, rc);
}

/* Left to the thread, which asks again. Under the lock. */
static void hold(front_request *r, uint64_t pause_ns)
{
    uint64_t now = qd_env_mono_ns(r->front->env);
    r->held = true;
    if (!r->since_ns) r->since_ns = now;
    r->not_before_ns = now + pause_ns;
    r->front->work = true;
    qd_cond_signal(&r->front->wake);
}

/* May it be asked of a store in this state? What a mirror holds is no state of the cluster, and a
 * sealed store's last one may be the past. */
static bool fits(const front_request *r, uint32_t state)
{
    bool past = state == QD_COORD_SEALED || state == QD_COORD_RETIRED;
    if (state == QD_COORD_ACTIVE || r->kind == FRONT_MEMBERS) return true;
    return past && r->kind == FRONT_RANGE && (r->q.range.flags & QD_COORD_STALE);
}

/* Was it read of a store that is in charge no more, or never was? A store that has just been opened
 * looks as if it were, until what its log goes on to say is applied; the read waited for that. Its
 * result is given back. */
static bool read_too_late(front_request *r, int32_t rc)
{
    if (rc || r->kind != FRONT_RANGE || qdi_front_from_afar(r->front, r->child)) return false;
    const front_child *k = &r->front->child[r->child];
    qd_coord_identity id = {.struct_size = sizeof id};
    k->vt->identity(k->handle, &id);
    if (fits(r, id.state)) return false;
    k->vt->result_free(k->handle, r->q.range.result);
    r->q.range.result = NULL;
    return true;
}

/* [a store's thread] */
static void on_done(qd_op *op, int32_t rc)
{
    front_request *r = op->user;
    qd_coord *c = r->front;
    bool again = false;
    if (read_too_late(r, rc)) rc = QD_E_FENCED;
    qd_mutex_lock(&c->lock);
    if (!r->cancelled && !c->closing) {
        if (r->former) { /* not among those it did, or it does not say */
            bool untold = rc == QD_E_UNKNOWN_OUTCOME && !r->late;
            again = rc != 0 && rc != QD_E_CONFLICT && !untold;
        } else {
            again = rc == QD_E_FENCED || (r->moving && rc == QD_E_CANCELLED);
        }
    }
    if (again && rc == QD_E_FENCED && !r->former) r->fenced++;
    if (again) hold(r, r->fenced && !r->former ? AGAIN_NS : 0);
    qd_mutex_unlock(&c->lock);
    if (!again) finish(r, rc);
}

/* Asks for the early end of one that is under way; of one that no store has yet, whoever sends it
 * does so. Under the lock, which is given back meanwhile. */
static void cancel_child(front_request *r)
{
    qd_coord *c = r->front;
    const front_child *k = &c->child[r->child];
    if (!r->sent) return;
    r->refs++;
    qd_mutex_unlock(&c->lock);
    k->vt->cancel(k->handle, &r->q.op);
    qd_mutex_lock(&c->lock);
    unref(r);
}

/* Has the former store to be asked first? Its ids are those of changes that may be in it. One that
 * was silent just now is not waited for by each. */
static bool asks_former(const front_request *r, int former, uint64_t moved_ns, uint64_t silent_ns)
{
    const qd_coord *c = r->front;
    uint64_t now = qd_env_mono_ns(c->env);
    if (r->kind != FRONT_TXN || !r->q.txn.nchanges || r->asked) return false;
    if (now > moved_ns + FORMER_NS || (silent_ns && now < silent_ns + SILENT_NS)) return false;
    qd_coord_identity id = {.struct_size = sizeof id};
    c->child[former].vt->identity(c->child[former].handle, &id);
    /* from afar it is the one in charge by now: whoever serves it asks its own former one */
    bool serves = id.state == QD_COORD_ACTIVE && qdi_front_from_afar(c, former);
    return id.connected && (serves || id.state == QD_COORD_SEALED || id.state == QD_COORD_RETIRED);
}

static int32_t send_to(front_request *r, const front_child *k)
{
    switch (r->kind) {
    case FRONT_RANGE:
        return k->vt->range(k->handle, &r->q.range);
    case FRONT_TXN:
        return k->vt->txn(k->handle, &r->q.txn);
    case FRONT_SESSION:
        return k->vt->session(k->handle, &r->q.session);
    case FRONT_ELECTION:
        return k->vt->election(k->handle, &r->q.election);
    case FRONT_MEMBERS:
        break;
    }
    return k->vt->members ? k->vt->members(k->handle, &r->q.members) : QD_E_UNSUPPORTED;
}

/* Submits it where it belongs now. Not under the lock; a code: it was refused at once. */
static int32_t dispatch(front_request *r)
{
    qd_coord *c = r->front;
    qd_mutex_lock(&c->lock);
    int to = c->current;
    uint64_t moved_ns = c->moved_ns, silent_ns = c->silent_ns;
    qd_mutex_unlock(&c->lock);
    bool former = asks_former(r, !to, moved_ns, silent_ns);
    qd_mutex_lock(&c->lock);
    r->child = former ? !to : to;
    r->former = former;
    r->asked |= former;
    r->former_ns = qd_env_mono_ns(c->env);
    r->held = r->moving = r->sent = r->late = false;
    r->refs++;
    if (former) qd_cond_signal(&c->wake); /* looks whether that one is silent */
    qd_mutex_unlock(&c->lock);
    qd_op_anywhere(&r->q.op, on_done, r);
    int32_t rc = send_to(r, &c->child[r->child]);
    qd_mutex_lock(&c->lock);
    r->sent = !rc;
    if (!rc && r->link && !r->held) { /* what was asked of it before it was there is asked again */
        bool candidate = r->kind == FRONT_ELECTION && r->q.election.action == QD_COORD_ELECT;
        r->cancelled |= c->closing;
        r->moving |= candidate && r->child != c->current;
        if (r->cancelled || r->moving) cancel_child(r);
    }
    unref(r);
    qd_mutex_unlock(&c->lock);
    return rc;
}

/* A store from afar tells its state by its answers, so it is asked; what it cannot serve it keeps
 * itself. */
static uint32_t state_now(qd_coord *c)
{
    qd_mutex_lock(&c->lock);
    const front_child *k = &c->child[c->current];
    bool afar = qdi_front_from_afar(c, c->current);
    qd_mutex_unlock(&c->lock);
    if (afar) return QD_COORD_ACTIVE;
    qd_coord_identity id = {.struct_size = sizeof id};
    k->vt->identity(k->handle, &id);
    return id.state;
}

static int32_t submit(qd_coord *c, front_kind kind, void *request)
{
    bool results = kind == FRONT_RANGE || kind == FRONT_ELECTION || kind == FRONT_MEMBERS;
    front_request *r = qd_calloc(NULL, sizeof *r);
    if (r && results) r->result = qd_calloc(NULL, sizeof *r->result);
    if (!r || (results && !r->result)) {
        qd_free(r);
        return QD_E_NOMEM;
    }
    r->front = c;
    r->kind = kind;
    r->caller = request;
    r->refs = 1;
    memcpy(&r->q, request, size_of(kind));
    bool now = fits(r, state_now(c));
    qd_mutex_lock(&c->lock);
    bool closing = c->closing;
    if (!closing) {
        r->next = c->requests;
        r->link = &c->requests;
        if (r->next) r->next->link = &r->next;
        c->requests = r;
        if (!now) hold(r, 0);
    }
    qd_mutex_unlock(&c->lock);
    int32_t rc = closing ? QD_E_CLOSED : now ? dispatch(r) : 0;
    if (!rc) return 0;
    qd_mutex_lock(&c->lock);
    unlink_request(r);
    unref(r);
    qd_mutex_unlock(&c->lock);
    return rc;
}

/* --- looking --------------------------------------------------------------------------------- */

static void look(qd_coord *c, qd_coord_identity id[2])
{
    for (int i = 0; i < 2; i++) {
        id[i] = (qd_coord_identity){.struct_size = sizeof id[i]};
        c->child[i].vt->identity(c->child[i].handle, &id[i]);
    }
}

static int read_uuid(qd_coord *c, int i, char out[64], qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    out[0] = 0;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc =
        qd_coord_read(c->child[i].store, QD_STR("cluster/uuid"), false, READ_MS, &a, &list, err);
    if (!rc && list.n && list.at[0].value_len < 64)
        snprintf(out, 64, "%.*s", (int)list.at[0].value_len, (const char *)list.at[0].value);
    qd_arena_fini(&a);
    return rc;
}

/* Does that store hold this cluster? What is not known is no. */
static bool is_ours(qd_coord *c, int i)
{
    qd_err err;
    char uuid[64];
    qd_err_init(&err);
    int rc = read_uuid(c, i, uuid, &err);
    bool ours = !rc && uuid[0] && strcmp(uuid, c->uuid) == 0;
    uint64_t now = qd_env_mono_ns(c->env);
    if (!ours && i != c->current && (!c->said_ns || now > c->said_ns + SAY_NS)) {
        c->said_ns = now;
        qd_log_warn(STORES_LOG, "the store [%s] says that it is in charge and is not followed: %s",
                    c->child[i].name, rc ? qd_err_reason(&err) : "it holds another cluster");
    }
    qd_err_fini(&err);
    return ours;
}

/* The uuid of the cluster, from the store that is in charge, before another one takes over. */
static void learn_uuid(qd_coord *c, const qd_coord_identity *now)
{
    bool known = now->state == QD_COORD_ACTIVE || now->state == QD_COORD_SEALED ||
                 now->state == QD_COORD_RETIRED;
    char uuid[64];
    if (c->uuid[0] || !known || !now->connected) return;
    if (!read_uuid(c, c->current, uuid, NULL)) snprintf(c->uuid, sizeof c->uuid, "%s", uuid);
}

/* Waiting candidates stand in the other store; what they had won is lost with the former one. */
static void move_candidates(qd_coord *c)
{
    qd_mutex_lock(&c->lock);
    for (bool any = true; any;) {
        any = false;
        for (front_request *r = c->requests; r && !any; r = r->next) {
            bool waits = r->kind == FRONT_ELECTION && r->q.election.action == QD_COORD_ELECT;
            if (!waits || r->held || r->moving || r->cancelled || r->child == c->current) continue;
            r->moving = any = true;
            cancel_child(r);
        }
    }
    qd_mutex_unlock(&c->lock);
}

/* Are they the same store under the same epoch, seen in two ways? */
static bool is_same(const qd_coord_identity *a, const qd_coord_identity *b)
{
    uint8_t any = 0;
    for (size_t i = 0; i < sizeof a->store_id; i++) any |= a->store_id[i];
    return any && memcmp(a->store_id, b->store_id, sizeof a->store_id) == 0 && a->epoch == b->epoch;
}

/* Notes since when one does not answer. */
static void note_away(qd_coord *c, const qd_coord_identity id[2])
{
    uint64_t now = qd_env_mono_ns(c->env);
    qd_mutex_lock(&c->lock);
    for (int i = 0; i < 2; i++) {
        front_child *k = &c->child[i];
        if (id[i].connected && !id[i].failed) {
            k->away_ns = 0;
        } else if (!k->away_ns) {
            k->away_ns = now;
        }
    }
    qd_mutex_unlock(&c->lock);
}

/* Is it what it was before the read of its uuid? A store that has just been opened looks as its log
 * had it before it was sealed; the read waits for the rest. */
static bool looks_the_same(const qd_coord *c, int i, const qd_coord_identity *before)
{
    qd_coord_identity id = {.struct_size = sizeof id};
    c->child[i].vt->identity(c->child[i].handle, &id);
    return id.state == before->state && id.epoch == before->epoch;
}

static void follow(qd_coord *c)
{
    qd_coord_identity id[2];
    look(c, id);
    note_away(c, id);
    int now = c->current, other = !now; /* only this thread changes it */
    bool had = id[now].state == QD_COORD_ACTIVE || id[now].state == QD_COORD_SEALED ||
               id[now].state == QD_COORD_RETIRED;
    bool has = id[other].state == QD_COORD_ACTIVE || (!had && id[other].state == QD_COORD_SEALED);
    qdi_front_probe(c, &id[now], &id[other]);
    /* the nodes at the far end may have both stores too, and tell of the one that is in charge */
    bool nearer =
        qdi_front_from_afar(c, now) && is_same(&id[now], &id[other]) && id[other].connected;
    learn_uuid(c, &id[now]);
    bool better = has && (!had || id[other].epoch > id[now].epoch || nearer);
    if (better && is_ours(c, other) && looks_the_same(c, other, &id[other])) {
        qd_mutex_lock(&c->lock);
        c->current = other;
        c->moved_ns = qd_env_mono_ns(c->env);
        qd_mutex_unlock(&c->lock);
        qd_log_info(STORES_LOG, "the store [%s] is in charge, epoch %llu; it was [%s], epoch %llu",
                    c->child[other].name, (unsigned long long)id[other].epoch, c->child[now].name,
                    (unsigned long long)id[now].epoch);
    }
    qdi_front_watches_move(c);
    move_candidates(c);
}

/* What is to be done with one that is held. */
typedef enum verdict { WAIT, ASK, GIVE_UP, FENCED, CANCELLED } verdict;

static verdict judge(const front_request *r, uint32_t state, uint64_t now)
{
    if (r->cancelled) return CANCELLED;
    if (now < r->not_before_ns) return WAIT;
    if (fits(r, state)) {
        bool token = r->kind == FRONT_TXN && r->q.txn.token.term;
        bool own = token || r->kind == FRONT_ELECTION;
        if (!r->former && r->fenced > FENCED_MAX && own) return FENCED;
        return ASK;
    }
    return now > r->since_ns + r->front->held_ns ? GIVE_UP : WAIT;
}

static void refuse(front_request *r)
{
    const qd_coord *c = r->front;
    qd_err *err = err_of(r);
    if (err) qd_err_fini(err);
    int rc = qd_err_set(err, QD_E_NO_COORDINATION,
                        "no store of the cluster's state is in charge: [%s] takes no changes, and "
                        "[%s] has not taken over",
                        c->child[c->current].name, c->child[!c->current].name);
    /* it was kept for as long as it may wait: callers do not try again by themselves */
    if (err) qd_err_detail_str(err, QD_COORD_SEALED_STORE, qd_str_c(c->child[c->current].name));
    finish(r, rc);
}

/* A former store that does not say whether it had done a change is left: one that was done there
 * finds its compares not to hold here. True: some are with it still. Under the lock. */
static bool leave_former(qd_coord *c)
{
    uint64_t now = qd_env_mono_ns(c->env);
    bool left = false;
    for (front_request *r = c->requests; r;) {
        bool with = r->former && !r->held && !r->late && !r->cancelled && r->sent;
        left |= with;
        if (!with || now < r->former_ns + FORMER_WAIT_NS) {
            r = r->next;
            continue;
        }
        r->late = true;
        c->silent_ns = now;
        cancel_child(r);
        r = c->requests; /* the list is another one */
    }
    return left;
}

/* Asks again what was held; true: something still is. */
static bool serve_held(qd_coord *c)
{
    qd_coord_identity id[2];
    bool left = false;
    look(c, id);
    qd_mutex_lock(&c->lock);
    uint32_t state = qdi_front_from_afar(c, c->current) ? QD_COORD_ACTIVE : id[c->current].state;
    uint64_t now = qd_env_mono_ns(c->env);
    for (front_request *r = c->requests; r;) {
        verdict v = r->held ? judge(r, state, now) : WAIT;
        left |= r->held && v == WAIT;
        if (v == WAIT) {
            r = r->next;
            continue;
        }
        r->held = false;
        qd_mutex_unlock(&c->lock);
        if (v == ASK && err_of(r)) qd_err_fini(err_of(r));
        int32_t rc = v == ASK ? dispatch(r) : 0;
        if (v == GIVE_UP) refuse(r);
        if (v == FENCED) finish(r, QD_E_FENCED);
        if (v == CANCELLED) finish(r, QD_E_CANCELLED);
        if (rc) finish(r, rc);
        qd_mutex_lock(&c->lock);
        r = c->requests; /* the list is another one */
    }
    qd_mutex_unlock(&c->lock);
    return left;
}

/* Ends what is pending, one after the other. Under the lock. */
static void end_requests(qd_coord *c)
{
    while (c->requests) {
        front_request *r = c->requests;
        while (r && !r->held && r->cancelled) r = r->next;
        if (!r) {
            qd_cond_wait(&c->idle, &c->lock);
        } else if (r->held) {
            r->held = false;
            qd_mutex_unlock(&c->lock);
            finish(r, QD_E_CLOSED);
            qd_mutex_lock(&c->lock);
        } else {
            r->cancelled = true;
            cancel_child(r);
        }
    }
}

static void run(void *arg)
{
    qd_coord *c = arg;
    bool waits = false;
    qd_mutex_lock(&c->lock);
    while (!c->closing && !c->stop) {
        uint64_t next = qd_env_mono_ns(c->env) + (waits ? LOOK_SOON_NS : LOOK_NS);
        if (!c->work) (void)qd_cond_wait_until(&c->wake, &c->lock, next);
        c->work = false;
        qd_mutex_unlock(&c->lock);
        follow(c);
        waits = serve_held(c);
        qd_mutex_lock(&c->lock);
        waits |= leave_former(c);
        waits |= qdi_front_watches_wait(c);
    }
    if (c->closing) end_requests(c);
    qd_mutex_unlock(&c->lock);
    qdi_front_probe_end(c);
    if (!c->closing) return;
    qdi_front_watches_end(c);
    c->close_done(c->close_arg);
}

/* --- the kind -------------------------------------------------------------------------------- */

static int32_t slot_open(qd_self *self, const qd_coord_config *config, qd_coord **out, qd_err *err)
{
    (void)config;
    (void)err;
    *out = &((qd_stores *)(void *)self)->front;
    return 0;
}

static void slot_close(qd_coord *c, void (*done)(void *arg), void *arg)
{
    qd_mutex_lock(&c->lock);
    c->closing = true;
    c->close_done = done;
    c->close_arg = arg;
    qd_cond_signal(&c->wake);
    qd_mutex_unlock(&c->lock);
}

static void slot_info(qd_coord *c, qd_coord_info *out)
{
    qd_coord_info i = c->info;
    i.struct_size = out->struct_size < sizeof i ? out->struct_size : (uint32_t)sizeof i;
    memcpy(out, &i, i.struct_size);
}

static int current(qd_coord *c)
{
    qd_mutex_lock(&c->lock);
    int i = c->current;
    qd_mutex_unlock(&c->lock);
    return i;
}

static void slot_identity(qd_coord *c, qd_coord_identity *out)
{
    const front_child *k = &c->child[current(c)];
    k->vt->identity(k->handle, out);
}

static int32_t slot_range(qd_coord *c, qd_coord_range *r)
{
    return submit(c, FRONT_RANGE, r);
}

static int32_t slot_txn(qd_coord *c, qd_coord_txn *t)
{
    return submit(c, FRONT_TXN, t);
}

static int32_t slot_session(qd_coord *c, qd_coord_session *s)
{
    return submit(c, FRONT_SESSION, s);
}

static int32_t slot_election(qd_coord *c, qd_coord_election *e)
{
    return submit(c, FRONT_ELECTION, e);
}

static int32_t slot_members(qd_coord *c, qd_coord_members *m)
{
    return submit(c, FRONT_MEMBERS, m);
}

static void slot_result_free(qd_coord *c, qd_coord_result *r)
{
    if (!r) return;
    const front_child *k = &c->child[r->child];
    k->vt->result_free(k->handle, r->real);
    qd_free(r);
}

/* What is held ends on this store's thread, as with a plugin: who cancels may hold a lock that the
 * end takes, too. */
static void slot_cancel(qd_coord *c, qd_op *op)
{
    qd_mutex_lock(&c->lock);
    front_request *r = c->requests;
    while (r && r->caller != op) r = r->next;
    if (r) r->cancelled = true;
    if (r && r->held) {
        c->work = true;
        qd_cond_signal(&c->wake);
    } else if (r) {
        cancel_child(r);
    }
    qd_mutex_unlock(&c->lock);
}

static int32_t slot_compact(qd_coord *c, uint64_t revision)
{
    const front_child *k = &c->child[current(c)];
    return k->vt->compact(k->handle, revision);
}

static const qd_coord_vtable vtable = {
    .head = {.struct_size = sizeof(qd_coord_vtable), .flags = QD_COORD_LINEARIZABLE},
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
    .watch = qdi_front_watch,
    .watch_close = qdi_front_watch_close,
    .cancel = slot_cancel,
    .compact = slot_compact,
};

/* --- begin, end ------------------------------------------------------------------------------ */

#define LESS(a, b) ((a) < (b) ? (a) : (b))

/* What both of them take. */
static void merge_limits(qd_coord *c)
{
    const qd_coord_info *a = qd_coord_limits(c->child[0].store);
    const qd_coord_info *b = qd_coord_limits(c->child[1].store);
    c->info = *a;
    c->info.key_max = LESS(a->key_max, b->key_max);
    c->info.value_max = LESS(a->value_max, b->value_max);
    c->info.txn_bytes_max = LESS(a->txn_bytes_max, b->txn_bytes_max);
    c->info.txn_ops_max = LESS(a->txn_ops_max, b->txn_ops_max);
    c->info.id_window = LESS(a->id_window, b->id_window);
    c->info.history_min = LESS(a->history_min, b->history_min);
    if (b->session_ttl_min_ns > a->session_ttl_min_ns)
        c->info.session_ttl_min_ns = b->session_ttl_min_ns;
    c->info.session_ttl_max_ns = LESS(a->session_ttl_max_ns, b->session_ttl_max_ns);
}

int qd_stores_open(const qd_stores_config *config, qd_stores **out, qd_err *err)
{
    qd_stores *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "stores");
    qd_coord *c = &s->front;
    qd_coord_config none = {.struct_size = sizeof none};
    c->env = config->env;
    for (int i = 0; i < 2; i++) {
        c->child[i].name = config->name[i];
        c->child[i].store = config->store[i];
        c->child[i].vt = qd_coord_table(config->store[i], &c->child[i].handle);
    }
    snprintf(c->uuid, sizeof c->uuid, "%s", config->uuid ? config->uuid : "");
    c->held_ns = (uint64_t)(config->held_ms ? config->held_ms : HELD_MS) * 1000000u;
    qd_mutex_init(&c->lock);
    qd_cond_init(&c->wake);
    qd_cond_init(&c->idle);
    merge_limits(c);
    c->moved_ns = qd_env_mono_ns(c->env); /* perhaps just before this start */
    int rc = qd_thread_start(c->env, "coord-stores", run, c, &s->thread, err);
    if (!rc) {
        rc = qd_coord_open(c->env, &vtable, (qd_self *)(void *)s, &none, &s->store, err);
        if (rc) {
            qd_mutex_lock(&c->lock);
            c->stop = true;
            qd_cond_signal(&c->wake);
            qd_mutex_unlock(&c->lock);
            qd_thread_join(c->env, s->thread);
        }
    }
    if (rc) {
        qd_cond_fini(&c->wake);
        qd_cond_fini(&c->idle);
        qd_mutex_fini(&c->lock);
        qd_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

qd_coord_store *qd_stores_front(qd_stores *s)
{
    return s->store;
}

int qd_stores_current(qd_stores *s)
{
    return current(&s->front);
}

int64_t qd_stores_away_ms(qd_stores *s, int i)
{
    qd_coord *c = &s->front;
    qd_mutex_lock(&c->lock);
    uint64_t since = c->child[i].away_ns, now = qd_env_mono_ns(c->env);
    qd_mutex_unlock(&c->lock);
    return since && now > since ? (int64_t)((now - since) / 1000000u) + 1 : 0;
}

void qd_stores_close(qd_stores *s)
{
    if (!s) return;
    qd_coord_close(s->store);
    qd_thread_join(s->front.env, s->thread);
    qd_cond_fini(&s->front.wake);
    qd_cond_fini(&s->front.idle);
    qd_mutex_fini(&s->front.lock);
    qd_free(s);
}
