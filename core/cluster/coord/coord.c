/* coord.c: waiting for requests to the coordination store. See coord.h. */
#include "cluster/coord/coord.h"
#include "base/str.h"
#include "cluster/mutants.h"
#include "plugin/op.h"
#include "runtime/waitq.h"
#include <string.h>

#define RETRY_MS_MIN 5
#define RETRY_MS_MAX 500

/* A request that is waited for: on a fiber without its worker, or the few workers of a pool would
 * be all changes that are under way at a time. */
typedef struct waiting {
    struct waiting *next, **link; /* in the store's list, under its lock */
    qd_mutex lock;
    qd_waitq wake;
    bool done;
    int32_t rc;
} waiting;

struct qd_coord_store {
    qd_env *env;
    qd_coord_vtable vt;
    qd_coord *handle;
    qd_coord_info info;
    qd_mutex lock;
    waiting *waits;
    _Atomic uint64_t last_ns; /* nothing is waited for beyond; UINT64_MAX: no such moment */
};

static void wake(qd_op *op, int32_t rc)
{
    waiting *w = op->user;
    qd_mutex_lock(&w->lock);
    qd_assert(!w->done); /* who waits may be gone after the first end */
    w->rc = rc;
    w->done = true;
    qd_waitq_wake(&w->wake);
    qd_mutex_unlock(&w->lock);
}

static void waiting_init(waiting *w, qd_op *op)
{
    w->done = false;
    w->rc = 0;
    qd_mutex_init(&w->lock);
    qd_waitq_init(&w->wake, &w->lock);
    qd_op_anywhere(op, wake, w);
}

static void list_add(qd_coord_store *s, waiting *w)
{
    qd_mutex_lock(&s->lock);
    w->next = s->waits;
    w->link = &s->waits;
    qd_assert(!w->next || w->next->link == &s->waits);
    if (w->next) w->next->link = &w->next;
    s->waits = w;
    qd_mutex_unlock(&s->lock);
}

static void list_remove(qd_coord_store *s, waiting *w)
{
    qd_mutex_lock(&s->lock);
    qd_assert(*w->link == w && (!w->next || w->next->link == &w->next));
    *w->link = w->next;
    if (w->next) w->next->link = w->link;
    qd_mutex_unlock(&s->lock);
}

/* A deadline, or the store's last moment when that comes first. */
static uint64_t soonest(qd_coord_store *s, uint64_t deadline_ns)
{
    uint64_t last = atomic_load(&s->last_ns);
    return last < deadline_ns ? last : deadline_ns;
}

void qd_coord_hurry(qd_coord_store *s, int64_t timeout_ms)
{
    if (!s) return;
    atomic_store(&s->last_ns, qd_env_mono_ns(s->env) + (uint64_t)timeout_ms * 1000000u);
    qd_mutex_lock(&s->lock);
    for (waiting *w = s->waits; w; w = w->next) {
        qd_assert(*w->link == w);
        qd_mutex_lock(&w->lock);
        qd_waitq_wake(&w->wake);
        qd_mutex_unlock(&w->lock);
    }
    qd_mutex_unlock(&s->lock);
}

/* Waits for the end of a submitted request; past the deadline it is cancelled and waited for. */
static int32_t wait_for(qd_coord_store *s, waiting *w, qd_op *op, int32_t submitted,
                        uint64_t deadline_ns)
{
    if (submitted == 0) {
        bool cancelled = false;
        list_add(s, w);
        qd_mutex_lock(&w->lock);
        while (!w->done) {
            if (cancelled) {
                (void)qd_waitq_wait(&w->wake, 0);
            } else if (qd_waitq_wait(&w->wake, soonest(s, deadline_ns)) == QD_E_TIMEOUT &&
                       !w->done) {
                cancelled = true;
                qd_mutex_unlock(&w->lock);
                s->vt.cancel(s->handle, op);
                qd_mutex_lock(&w->lock);
            }
        }
        qd_mutex_unlock(&w->lock);
        list_remove(s, w);
        qd_assert(w->done); /* no call-back comes any more: w may go */
        submitted = w->rc;
    }
    qd_mutex_fini(&w->lock);
    return submitted;
}

static uint64_t deadline(qd_coord_store *s, int64_t timeout_ms)
{
    return qd_env_mono_ns(s->env) + (uint64_t)timeout_ms * 1000000u;
}

/* May the same request be sent again, and is there time? Then waits a little first. */
static bool again(qd_coord_store *s, int rc, uint64_t until_ns, int64_t *pause_ms)
{
    bool passing =
        rc == QD_E_NOT_LEADER || rc == QD_E_NO_COORDINATION || rc == QD_E_UNKNOWN_OUTCOME;
    uint64_t now = qd_env_mono_ns(s->env);
    if (passing && qd_coord_failed(s)) return false;
    if (!passing || now + (uint64_t)*pause_ms * 1000000u >= soonest(s, until_ns)) return false;
    qd_env_sleep_ns(s->env, (uint64_t)*pause_ms * 1000000u);
    *pause_ms = *pause_ms * 2 < RETRY_MS_MAX ? *pause_ms * 2 : RETRY_MS_MAX;
    qd_assert(*pause_ms > RETRY_MS_MIN && *pause_ms <= RETRY_MS_MAX);
    return true;
}

/* What went wrong before is kept, for the caller whose time is up. */
typedef struct attempts {
    int rc; /* of the one before; 0: there was none */
    qd_err why;
} attempts;

/* Was it kept where it waits for a store that takes over, for as long as a change may wait? */
static bool was_kept(const qd_err *failure)
{
    for (uint32_t i = 0; i < failure->ndetails; i++)
        if (strcmp(failure->details[i].key, QD_COORD_SEALED_STORE) == 0) return true;
    return false;
}

static void attempts_note(attempts *a, int rc, qd_err *failure)
{
    qd_assert(rc == QD_E_NOT_LEADER || rc == QD_E_NO_COORDINATION || rc == QD_E_UNKNOWN_OUTCOME);
    a->rc = rc;
    qd_err_fini(&a->why);
    qd_err_copy(&a->why, failure);
    qd_err_fini(failure);
}

/* Time is up: rc and failure become what they were before, if they were; else stay. */
static int attempts_last(attempts *a, int rc, qd_err *failure)
{
    if ((rc != QD_E_CANCELLED && rc != QD_E_TIMEOUT) || !a->rc) return rc;
    qd_err_fini(failure);
    qd_err_copy(failure, &a->why);
    return a->rc;
}

/* A timed-out read or check changes nothing: say what was waited for. */
static int timed_out(int rc, const char *what, qd_err *err)
{
    if (rc != QD_E_CANCELLED && rc != QD_E_TIMEOUT) {
        return qd_err_set(err, rc, "coordination store: %s failed (%s)", what, qd_code_name(rc));
    }
    if (err && err->code) qd_err_fini(err);
    return qd_err_set(err, QD_E_TIMEOUT, "coordination store did not answer in time: %s", what);
}

int qd_coord_open(qd_env *env, const qd_coord_vtable *vt, qd_self *self,
                  const qd_coord_config *config, qd_coord_store **out, qd_err *err)
{
    qd_coord_store *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "coordination store");
    s->env = env;
    s->vt = *vt;
    qd_mutex_init(&s->lock);
    atomic_store(&s->last_ns, UINT64_MAX);
    s->info.struct_size = sizeof s->info;
    int rc = vt->open(self, config, &s->handle, err);
    if (rc) {
        qd_mutex_fini(&s->lock);
        qd_free(s);
        return qd_err_set(err, rc, "coordination store could not be opened");
    }
    s->vt.info(s->handle, &s->info);
    *out = s;
    return 0;
}

static void closed(void *arg)
{
    qd_latch_done(arg, 0);
}

void qd_coord_close(qd_coord_store *s)
{
    if (!s) return;
    qd_latch l;
    qd_latch_init(&l, 1);
    s->vt.close(s->handle, closed, &l);
    (void)qd_latch_wait(&l);
    qd_mutex_fini(&s->lock);
    qd_free(s);
}

const qd_coord_info *qd_coord_limits(const qd_coord_store *s)
{
    return &s->info;
}

const qd_coord_vtable *qd_coord_table(const qd_coord_store *s, qd_coord **handle)
{
    *handle = s->handle;
    return &s->vt;
}

void qd_coord_identity_get(qd_coord_store *s, qd_coord_identity *out)
{
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    s->vt.identity(s->handle, out);
}

bool qd_coord_failed(qd_coord_store *s)
{
    qd_coord_identity i;
    qd_coord_identity_get(s, &i);
    return i.failed != 0;
}

static int copy_list(const qd_coord_range *r, qd_arena *arena, qd_coord_list *out, qd_err *err)
{
    qd_coord_kv *kv = qd_arena_alloc(arena, (r->nkvs + 1) * sizeof *kv);
    if (!kv) return qd_err_nomem(err, "keys of the cluster state");
    for (uint32_t i = 0; i < r->nkvs; i++) {
        kv[i] = r->kvs[i];
        qd_str value = {(const char *)kv[i].value, kv[i].value_len};
        kv[i].key = qd_arena_str(arena, kv[i].key);
        value = qd_arena_str(arena, value);
        if (!kv[i].key.p || !value.p) return qd_err_nomem(err, "keys of the cluster state");
        kv[i].value = (const uint8_t *)value.p;
    }
    *out = (qd_coord_list){kv, r->nkvs, r->revision};
    return 0;
}

static int read_keys(qd_coord_store *s, qd_str key, uint32_t flags, int64_t timeout_ms,
                     qd_arena *arena, qd_coord_list *out, qd_err *err)
{
    uint64_t until = deadline(s, timeout_ms);
    int64_t pause = RETRY_MS_MIN;
    qd_err failure;
    attempts past = {0};
    qd_err_init(&failure);
    qd_err_init(&past.why);
    for (;;) {
        waiting w;
        qd_coord_range r = {.err = &failure, .key = key, .flags = flags};
        waiting_init(&w, &r.op);
        int rc = wait_for(s, &w, &r.op, s->vt.range(s->handle, &r), until);
        if (!rc) {
            rc = copy_list(&r, arena, out, err);
            s->vt.result_free(s->handle, r.result);
        } else if (again(s, rc, until, &pause)) {
            attempts_note(&past, rc, &failure);
            continue;
        } else {
            int last = attempts_last(&past, rc, &failure);
            rc = last == rc ? timed_out(rc, "read", &failure) : last;
            qd_err_copy(err, &failure);
        }
        qd_err_fini(&failure);
        qd_err_fini(&past.why);
        return rc;
    }
}

int qd_coord_read(qd_coord_store *s, qd_str key, bool prefix, int64_t timeout_ms, qd_arena *arena,
                  qd_coord_list *out, qd_err *err)
{
    return read_keys(s, key, prefix ? QD_COORD_PREFIX : 0, timeout_ms, arena, out, err);
}

int qd_coord_read_here(qd_coord_store *s, qd_str key, int64_t timeout_ms, qd_arena *arena,
                       qd_coord_list *out, qd_err *err)
{
    return read_keys(s, key, QD_COORD_STALE, timeout_ms, arena, out, err);
}

/* Does it say nothing of an earlier try that may be there? A request that is refused before it is
 * in the log says none; what is decided there is the first try's result. */
static bool says_nothing(int rc)
{
    bool decided =
        rc == 0 || rc == QD_E_CONFLICT || rc == QD_E_FENCED || rc == QD_E_SESSION_EXPIRED;
    return !decided && rc != QD_E_UNKNOWN_OUTCOME && rc != QD_E_TIMEOUT;
}

int qd_coord_commit(qd_coord_store *s, const qd_coord_compare *compares, uint32_t ncompares,
                    const qd_coord_change *changes, uint32_t nchanges, int64_t timeout_ms,
                    uint64_t *revision, uint32_t *failed, qd_err *err)
{
    return qd_coord_commit_as(s, NULL, compares, ncompares, changes, nchanges, timeout_ms, revision,
                              failed, err);
}

int qd_coord_commit_as(qd_coord_store *s, const qd_coord_fence *fence,
                       const qd_coord_compare *compares, uint32_t ncompares,
                       const qd_coord_change *changes, uint32_t nchanges, int64_t timeout_ms,
                       uint64_t *revision, uint32_t *failed, qd_err *err)
{
    uint64_t until = deadline(s, timeout_ms);
    int64_t pause = RETRY_MS_MIN;
    uint8_t id[16];
    bool maybe = false; /* an earlier try may be there */
    attempts past = {0};
    qd_err failure;
    qd_env_random(s->env, id, sizeof id);
    qd_err_init(&failure);
    qd_err_init(&past.why);
    for (;;) {
        waiting w;
        qd_coord_txn t = {.err = &failure,
                          .compares = compares,
                          .ncompares = ncompares,
                          .changes = changes,
                          .nchanges = nchanges};
        memcpy(t.id, id, sizeof id);
        if (fence) {
            t.election = fence->election;
            if (!QD_MUTANT(cluster, NO_FENCE)) t.token = fence->token;
        }
        waiting_init(&w, &t.op);
        int rc = wait_for(s, &w, &t.op, s->vt.txn(s->handle, &t), until);
        maybe |= rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_TIMEOUT;
        if (rc && !was_kept(&failure) && again(s, rc, until, &pause)) {
            if (QD_MUTANT(cluster, RETRY_IS_NEW)) qd_env_random(s->env, id, sizeof id);
            attempts_note(&past, rc, &failure);
            continue;
        }
        rc = attempts_last(&past, rc, &failure);
        if (rc == QD_E_CANCELLED) { /* by the deadline */
            qd_err_fini(&failure);
            rc = QD_E_TIMEOUT;
        }
        if (revision) *revision = t.revision;
        if (failed) *failed = t.failed;
        qd_assert(maybe || past.rc != QD_E_UNKNOWN_OUTCOME); /* not forgotten */
        if (maybe && says_nothing(rc)) {
            rc =
                qd_err_wrap(&failure, QD_E_UNKNOWN_OUTCOME,
                            "the change may or may not be committed: an earlier try had no answer");
        }
        if (rc) {
            if (!failure.code) {
                qd_err_set(&failure, rc, "coordination store: transaction failed (%s)",
                           qd_code_name(rc));
            }
            qd_err_copy(err, &failure);
        }
        qd_err_fini(&failure);
        qd_err_fini(&past.why);
        return rc;
    }
}

static int session(qd_coord_store *s, qd_coord_session *x, const char *what, int64_t timeout_ms,
                   qd_err *err)
{
    uint64_t until = deadline(s, timeout_ms);
    int64_t pause = RETRY_MS_MIN;
    qd_err failure;
    qd_err_init(&failure);
    qd_env_random(s->env, x->id, sizeof x->id);
    for (;;) {
        waiting w;
        x->err = &failure;
        waiting_init(&w, &x->op);
        int rc = wait_for(s, &w, &x->op, s->vt.session(s->handle, x), until);
        if (rc && again(s, rc, until, &pause)) {
            qd_err_fini(&failure);
            continue;
        }
        if (rc) {
            rc = timed_out(rc, what, &failure);
            qd_err_copy(err, &failure);
        }
        qd_err_fini(&failure);
        return rc;
    }
}

int qd_coord_session_open(qd_coord_store *s, int64_t ttl_ms, int64_t timeout_ms, uint64_t *out,
                          qd_err *err)
{
    qd_coord_session x = {.action = QD_COORD_SESSION_OPEN, .ttl_ns = ttl_ms * 1000000};
    int rc = session(s, &x, "open a session", timeout_ms, err);
    if (!rc) *out = x.session;
    return rc;
}

int qd_coord_session_keep(qd_coord_store *s, uint64_t id, int64_t timeout_ms, qd_err *err)
{
    qd_coord_session x = {.action = QD_COORD_SESSION_KEEP, .session = id};
    return session(s, &x, "renew a session", timeout_ms, err);
}

void qd_coord_session_end(qd_coord_store *s, uint64_t id)
{
    qd_coord_session x = {.action = QD_COORD_SESSION_CLOSE, .session = id};
    int rc = session(s, &x, "end a session", 1000, NULL);
    (void)rc; /* it expires by itself */
}

/* --- elections --- */

struct qd_coord_campaign {
    qd_coord_election request;
    qd_latch latch;
    void (*ended)(void *arg, int32_t rc, qd_coord_token token);
    void *arg;
    _Atomic bool over;
    qd_err err;
};

static void campaign_done(qd_op *op, int32_t rc)
{
    qd_coord_campaign *c = op->user;
    bool over = atomic_exchange(&c->over, true);
    qd_assert(!over); /* an election ends once */
    c->ended(c->arg, rc, c->request.token);
    qd_latch_done(&c->latch, 0);
}

int qd_coord_campaign_start(qd_coord_store *s, qd_str name, qd_str value, uint64_t session,
                            void (*ended)(void *arg, int32_t rc, qd_coord_token token), void *arg,
                            qd_coord_campaign **out, qd_err *err)
{
    char *text;
    qd_coord_campaign *c = qd_calloc(NULL, sizeof *c + name.n + value.n);
    if (!c) return qd_err_nomem(err, "election");
    text = (char *)(c + 1);
    memcpy(text, name.p, name.n);
    memcpy(text + name.n, value.p, value.n);
    c->ended = ended;
    c->arg = arg;
    qd_err_init(&c->err);
    qd_latch_init(&c->latch, 1);
    c->request = (qd_coord_election){.err = &c->err,
                                     .action = QD_COORD_ELECT,
                                     .name = {text, name.n},
                                     .value = {text + name.n, value.n},
                                     .session = session};
    qd_op_anywhere(&c->request.op, campaign_done, c);
    int rc = s->vt.election(s->handle, &c->request);
    if (rc) {
        qd_assert(!atomic_load(&c->over)); /* one that was refused does not end as well */
        (void)qd_err_set(err, rc, "coordination store: the election could not be entered");
        qd_latch_done(&c->latch, 0);
        (void)qd_latch_wait(&c->latch);
        qd_err_fini(&c->err);
        qd_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void qd_coord_campaign_end(qd_coord_store *s, qd_coord_campaign *c)
{
    if (!c) return;
    if (!atomic_load(&c->over)) s->vt.cancel(s->handle, &c->request.op);
    (void)qd_latch_wait(&c->latch);
    qd_assert(atomic_load(&c->over));
    qd_err_fini(&c->err);
    qd_free(c);
}

int qd_coord_leader(qd_coord_store *s, qd_str name, int64_t timeout_ms, uint64_t *session,
                    qd_coord_token *token, qd_err *err)
{
    qd_err why;
    waiting w;
    qd_err_init(&why);
    qd_coord_election x = {.err = &why, .action = QD_COORD_LEADER, .name = name};
    waiting_init(&w, &x.op);
    int rc = wait_for(s, &w, &x.op, s->vt.election(s->handle, &x), deadline(s, timeout_ms));
    *session = rc ? 0 : x.session;
    *token = rc ? (qd_coord_token){0} : x.token;
    if (x.result) s->vt.result_free(s->handle, x.result);
    if (rc) {
        rc = timed_out(rc, "ask who is elected", &why);
        qd_err_copy(err, &why);
    }
    qd_err_fini(&why);
    return rc;
}

int qd_coord_resign_for(qd_coord_store *s, qd_str name, uint64_t session, int64_t timeout_ms,
                        qd_err *err)
{
    uint64_t until = deadline(s, timeout_ms), who;
    qd_coord_token token;
    qd_err why;
    waiting w;
    int rc = qd_coord_leader(s, name, timeout_ms, &who, &token, err);
    if (rc) return rc;
    if (who != session) return qd_err_set(err, QD_E_FENCED, "another node is elected");
    /* exactly this term of it: what is taken is fenced from then on */
    qd_err_init(&why);
    qd_coord_election r = {
        .err = &why, .action = QD_COORD_RESIGN, .name = name, .session = session, .token = token};
    waiting_init(&w, &r.op);
    rc = wait_for(s, &w, &r.op, s->vt.election(s->handle, &r), until);
    if (rc) {
        rc = timed_out(rc, "resign for another node", &why);
        qd_err_copy(err, &why);
    }
    qd_err_fini(&why);
    return rc;
}

int qd_coord_watch_open(qd_coord_store *s, qd_str prefix, uint64_t from,
                        void (*events)(void *arg, const qd_coord_event *events, uint32_t n,
                                       uint64_t revision, int32_t rc),
                        void *arg, qd_coord_watch **out, qd_err *err)
{
    qd_coord_watch_config c = {
        .struct_size = sizeof c,
        .flags = QD_COORD_PREFIX,
        .key = prefix,
        .from = from,
        .events = events,
        .arg = arg,
    };
    return s->vt.watch(s->handle, &c, out, err);
}

void qd_coord_watch_end(qd_coord_store *s, qd_coord_watch *w)
{
    if (!w) return;
    qd_latch l;
    qd_latch_init(&l, 1);
    s->vt.watch_close(w, closed, &l);
    (void)qd_latch_wait(&l);
}

/* --- members --- */

int qd_coord_members_call(qd_coord_store *s, qd_coord_members *m, int64_t timeout_ms, qd_err *err)
{
    uint64_t until = deadline(s, timeout_ms);
    int64_t pause = RETRY_MS_MIN;
    qd_err failure;
    attempts past = {0};
    if (!s->vt.members)
        return qd_err_set(err, QD_E_UNSUPPORTED, "this coordination store has no members");
    qd_err_init(&failure);
    qd_err_init(&past.why);
    for (;;) {
        waiting w;
        m->err = &failure;
        waiting_init(&w, &m->op);
        int rc = wait_for(s, &w, &m->op, s->vt.members(s->handle, m), until);
        if (rc && again(s, rc, until, &pause)) {
            attempts_note(&past, rc, &failure);
            continue;
        }
        rc = attempts_last(&past, rc, &failure);
        if (rc == QD_E_CANCELLED || rc == QD_E_TIMEOUT) rc = timed_out(rc, "members", &failure);
        if (rc) qd_err_copy(err, &failure);
        if (rc && err && !err->code) (void)qd_err_set(err, rc, "members: %s", qd_code_name(rc));
        qd_err_fini(&failure);
        qd_err_fini(&past.why);
        return rc;
    }
}

void qd_coord_members_free(qd_coord_store *s, qd_coord_members *m)
{
    s->vt.result_free(s->handle, m->result);
    m->result = NULL;
}

/* --- authority --- */

/* One step of such a request: its op, the rest is the caller's. */
typedef int32_t (*authority_submit)(qd_coord_store *s, void *request);

/* Submits it until it is answered; the request keeps its id. `changes`: it may have been done. */
static int authority_wait(qd_coord_store *s, authority_submit submit, void *request, qd_op *op,
                          qd_err **where, bool changes, const char *what, int64_t timeout_ms,
                          qd_err *err)
{
    uint64_t until = deadline(s, timeout_ms);
    int64_t pause = RETRY_MS_MIN;
    bool maybe = false;
    qd_err failure;
    attempts past = {0};
    if (!(s->vt.head.flags & QD_COORD_AUTHORITY))
        return qd_err_set(err, QD_E_UNSUPPORTED, "this coordination store hands nothing over");
    qd_err_init(&failure);
    qd_err_init(&past.why);
    *where = &failure;
    for (;;) {
        waiting w;
        waiting_init(&w, op);
        int rc = wait_for(s, &w, op, submit(s, request), until);
        maybe |= changes && (rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_TIMEOUT);
        if (rc && again(s, rc, until, &pause)) {
            attempts_note(&past, rc, &failure);
            continue;
        }
        rc = attempts_last(&past, rc, &failure);
        if (rc == QD_E_CANCELLED || rc == QD_E_TIMEOUT) rc = timed_out(rc, what, &failure);
        qd_assert(!changes || maybe || past.rc != QD_E_UNKNOWN_OUTCOME); /* not forgotten */
        if (maybe && says_nothing(rc))
            rc = qd_err_wrap(&failure, QD_E_UNKNOWN_OUTCOME, "%s may or may not be done", what);
        if (rc && !failure.code)
            (void)qd_err_set(&failure, rc, "coordination store: %s: %s", what, qd_code_name(rc));
        if (rc) qd_err_copy(err, &failure);
        qd_err_fini(&failure);
        qd_err_fini(&past.why);
        *where = NULL;
        return rc;
    }
}

static int32_t submit_authority(qd_coord_store *s, void *request)
{
    return s->vt.authority(s->handle, request);
}

static int32_t submit_export(qd_coord_store *s, void *request)
{
    return s->vt.export_at(s->handle, request);
}

static int32_t submit_import(qd_coord_store *s, void *request)
{
    return s->vt.import(s->handle, request);
}

int qd_coord_authority_step(qd_coord_store *s, qd_coord_authority *a, int64_t timeout_ms,
                            qd_err *err)
{
    qd_env_random(s->env, a->id, sizeof a->id);
    return authority_wait(s, submit_authority, a, &a->op, &a->err, true, "a step of a hand-over",
                          timeout_ms, err);
}

int qd_coord_export_all(qd_coord_store *s, qd_coord_export *x, int64_t timeout_ms, qd_err *err)
{
    return authority_wait(s, submit_export, x, &x->op, &x->err, false, "export", timeout_ms, err);
}

int qd_coord_import_some(qd_coord_store *s, qd_coord_import *x, int64_t timeout_ms, qd_err *err)
{
    return authority_wait(s, submit_import, x, &x->op, &x->err, true, "import", timeout_ms, err);
}

uint32_t qd_coord_import_share(const qd_coord_store *s, const qd_coord_event *e, uint32_t n,
                               size_t bytes, uint64_t together)
{
    uint32_t most = qd_coord_limits(s)->txn_ops_max, share = 0;
    size_t sum = 0;
    while (share < n) {
        uint64_t revision = e[share].kv.mod_revision;
        uint32_t end = share;
        for (; end < n && e[end].kv.mod_revision == revision; end++)
            sum += e[end].kv.key.n + e[end].kv.value_len;
        if (share && (end > most || (sum > bytes && revision > together))) break;
        share = end;
    }
    qd_assert(n == 0 || share > 0); /* the import comes to its end */
    qd_assert(share <= n &&
              (share == n || e[share - 1].kv.mod_revision != e[share].kv.mod_revision));
    return share;
}
