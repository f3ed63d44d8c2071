/* @NAME@: a coordination store, coordination.plugin: @NAME@. It keeps everything in memory under
 * one lock: put your own store behind the requests. Every request is done at its submit, but for
 * candidates that wait; one thread a store tells watches and ends sessions. A store that outlives
 * the process writes a change down before it completes it. */
#define _GNU_SOURCE
#include <openssl/evp.h>
#include <pthread.h>
#include <quidditch/coordination.h>
#include <quidditch/plugin.h>
#include <time.h>

static const qd_svc_mem *mem;
static const qd_svc_clock *clocks;
static const qd_svc_loop *loops;

/* Without memory no promise can be kept: the process ends rather than forget a change. */
static void *must(void *p)
{
    if (!p) __builtin_trap();
    return p;
}

/* Growing arrays. */
#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *at;                                                                                  \
        size_t n, room;                                                                            \
    }
#define VEC_PUSH(v, ...)                                                                           \
    do {                                                                                           \
        if ((v)->n == (v)->room) (v)->at = grow((v)->at, &(v)->room, sizeof *(v)->at);             \
        (v)->at[(v)->n++] = __VA_ARGS__;                                                           \
    } while (0)
#define VEC_FREE(v) mem->free((v)->at)

static qd_self *the_plugin; /* whose account growing arrays are of */

static void *grow(void *p, size_t *room, size_t size)
{
    *room = *room ? *room * 2 : 16;
    return must(mem->realloc(the_plugin, p, *room * size));
}

static int compare(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int equal(qd_str a, qd_str b)
{
    return a.n == b.n && compare(a, b) == 0;
}

static int starts(qd_str s, qd_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

typedef struct store store;
/* Texts, kept as long as the store. */
typedef struct block {
    struct block *link;
} block;

#define VALUE_MAX (16u << 20)
#define KEY_MAX 1024u
#define ID_WINDOW 4096u

typedef struct key {
    qd_str name;
    qd_coord_kv kv; /* version 0: absent */
} key;

typedef struct session {
    uint64_t id;
    int64_t ttl_ns;
    uint64_t deadline_ns;
    int open;
} session;

typedef struct election {
    qd_str name, value;
    uint64_t session, term; /* session 0: nobody */
    VEC(qd_coord_election *) waiting;
} election;

typedef struct answer {
    uint8_t id[16];
    int32_t rc;
    uint32_t failed;
    uint64_t revision;
} answer;

struct qd_coord_watch {
    qd_coord *handle;
    qd_coord_watch_config config;
    uint64_t next; /* revision not yet told */
    int ended, busy, closing;
    void (*closed)(void *arg);
    void *closed_arg;
    qd_coord_watch *link;
};

struct qd_coord {
    store *m;
    uint32_t pending;
};

struct qd_coord_result {
    qd_coord_kv *kvs;
    qd_coord_member member;
};

struct store {
    qd_self *self;
    qd_str name;
    store *link;
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    block *blocks;
    uint64_t revision, compacted, epoch, last_session;
    uint32_t state, handles;
    VEC(key) keys; /* sorted; absent ones stay */
    VEC(qd_coord_event) history;
    VEC(session) sessions;
    VEC(election) elections;
    answer answers[ID_WINDOW];
    uint64_t nanswers;
    qd_coord_watch *watches;
};

static store *stores; /* by path; they live as long as the process */

static qd_str keep(store *m, qd_str s)
{
    block *b = (block *)must(mem->alloc(m->self, sizeof *b + s.n + 1));
    b->link = m->blocks;
    m->blocks = b;
    qd_str copy = {(char *)(b + 1), s.n};
    if (s.n) memcpy(b + 1, s.p, s.n);
    return copy;
}

/* --- keys --- */

static key *find_key(store *m, qd_str name, int make)
{
    size_t lo = 0, hi = m->keys.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = compare(m->keys.at[mid].name, name);
        if (order == 0) return &m->keys.at[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!make) return NULL;
    key k = {.name = keep(m, name)};
    VEC_PUSH(&m->keys, k);
    memmove(m->keys.at + lo + 1, m->keys.at + lo, (m->keys.n - 1 - lo) * sizeof k);
    m->keys.at[lo] = k;
    m->keys.at[lo].kv.key = k.name;
    return &m->keys.at[lo];
}

static void record(store *m, uint32_t type, const qd_coord_kv *kv)
{
    qd_coord_event e = {type, 0, *kv};
    VEC_PUSH(&m->history, e);
}

static void put_key(store *m, qd_str name, qd_str value, uint64_t owner)
{
    key *k = find_key(m, name, 1);
    qd_str v = keep(m, value);
    if (k->kv.version == 0) k->kv.create_revision = m->revision + 1;
    k->kv.version++;
    k->kv.mod_revision = m->revision + 1;
    k->kv.value = (const uint8_t *)v.p;
    k->kv.value_len = v.n;
    k->kv.session = owner;
    record(m, QD_COORD_PUT, &k->kv);
}

static int delete_key(store *m, key *k)
{
    if (!k || k->kv.version == 0) return 0;
    qd_coord_kv gone = {.key = k->name, .mod_revision = m->revision + 1};
    record(m, QD_COORD_DELETE, &gone);
    k->kv = (qd_coord_kv){.key = k->name};
    return 1;
}

static void committed(store *m)
{
    m->revision++;
    pthread_cond_broadcast(&m->work);
}

/* --- elections, sessions --- */

static session *find_session(store *m, uint64_t id)
{
    for (size_t i = 0; i < m->sessions.n; i++)
        if (m->sessions.at[i].id == id && m->sessions.at[i].open) return &m->sessions.at[i];
    return NULL;
}

static qd_str election_key(store *m, qd_str name)
{
    char text[KEY_MAX + 16];
    int n = snprintf(text, sizeof text, "_election/%.*s", (int)name.n, name.p);
    return keep(m, (qd_str){text, (size_t)n});
}

static election *find_election(store *m, qd_str name, int make)
{
    for (size_t i = 0; i < m->elections.n; i++)
        if (equal(m->elections.at[i].name, name)) return &m->elections.at[i];
    if (!make) return NULL;
    election e = {.name = keep(m, name)};
    VEC_PUSH(&m->elections, e);
    return &m->elections.at[m->elections.n - 1];
}

/* Candidates that end are gathered and completed without the lock. */
typedef VEC(qd_coord_election *) candidates;

static void win(store *m, election *e, qd_coord_election *r)
{
    e->session = r->session;
    e->term++;
    r->token = (qd_coord_token){m->epoch, e->term};
    put_key(m, election_key(m, e->name), r->value, r->session);
    committed(m);
}

/* The place is free: the next candidate whose session lives gets it. */
static void next_leader(store *m, election *e, candidates *won)
{
    e->session = 0;
    while (e->waiting.n) {
        qd_coord_election *r = e->waiting.at[0];
        memmove(e->waiting.at, e->waiting.at + 1, --e->waiting.n * sizeof r);
        r->plugin[0] = NULL;
        r->plugin[1] = find_session(m, r->session) ? r : NULL; /* its code, read by finish */
        VEC_PUSH(won, r);
        if (!r->plugin[1]) continue;
        win(m, e, r);
        return;
    }
}

static void finish(candidates *done)
{
    for (size_t i = 0; i < done->n; i++) {
        qd_coord_election *r = done->at[i];
        loops->complete(&r->op, r->plugin[1] ? 0 : QD_E_SESSION_EXPIRED);
    }
    VEC_FREE(done);
}

static void end_session(store *m, session *s, candidates *won)
{
    int any = 0;
    s->open = 0;
    for (size_t i = 0; i < m->keys.n; i++)
        if (m->keys.at[i].kv.session == s->id) any |= delete_key(m, &m->keys.at[i]);
    if (any) committed(m);
    for (size_t i = 0; i < m->elections.n; i++)
        if (m->elections.at[i].session == s->id) next_leader(m, &m->elections.at[i], won);
}

/* --- the thread --- */

static int wants(const qd_coord_watch *w, qd_str name)
{
    if (w->config.flags & QD_COORD_PREFIX) return starts(name, w->config.key);
    if (!w->config.end.n) return equal(name, w->config.key);
    return compare(name, w->config.key) >= 0 && compare(name, w->config.end) < 0;
}

/* Tells one watch what it lacks; the lock is given back meanwhile. */
static int tell(store *m, qd_coord_watch *w)
{
    VEC(qd_coord_event) batch = {0};
    int32_t rc = w->next <= m->compacted ? QD_E_COMPACTED : 0;
    uint64_t upto = m->revision;
    if (rc == 0 && w->next > upto) return 0;
    for (size_t i = 0; rc == 0 && i < m->history.n; i++) {
        const qd_coord_event *e = &m->history.at[i];
        if (e->kv.mod_revision >= w->next && wants(w, e->kv.key)) VEC_PUSH(&batch, *e);
    }
    w->busy = 1;
    w->next = upto + 1;
    w->ended = rc != 0;
    pthread_mutex_unlock(&m->lock);
    w->config.events(w->config.arg, batch.at, (uint32_t)batch.n, upto, rc);
    VEC_FREE(&batch);
    pthread_mutex_lock(&m->lock);
    w->busy = 0;
    return 1;
}

static void unlink_watch(store *m, qd_coord_watch *w)
{
    qd_coord_watch **p = &m->watches;
    while (*p != w) p = &(*p)->link;
    *p = w->link;
}

/* One piece of work: a watch to tell or to end, a session to end; 0: nothing to do. */
static int work_once(store *m)
{
    for (qd_coord_watch *w = m->watches; w; w = w->link) {
        if (w->closing) {
            unlink_watch(m, w);
            pthread_mutex_unlock(&m->lock);
            if (w->closed) w->closed(w->closed_arg);
            mem->free(w);
            pthread_mutex_lock(&m->lock);
            return 1;
        }
        if (!w->ended && tell(m, w)) return 1;
    }
    uint64_t now = (uint64_t)clocks->mono_ns(m->self);
    for (size_t i = 0; i < m->sessions.n; i++) {
        session *s = &m->sessions.at[i];
        if (!s->open || s->deadline_ns > now) continue;
        candidates won = {0};
        end_session(m, s, &won);
        pthread_mutex_unlock(&m->lock);
        finish(&won);
        pthread_mutex_lock(&m->lock);
        return 1;
    }
    return 0;
}

static void wait_until(store *m, uint64_t ns)
{
    struct timespec at = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    (void)pthread_cond_timedwait(&m->work, &m->lock, &at);
}

static void *run_store(void *arg)
{
    store *m = (store *)arg;
    pthread_mutex_lock(&m->lock);
    for (;;) {
        if (work_once(m)) continue;
        uint64_t until = UINT64_MAX;
        for (size_t i = 0; i < m->sessions.n; i++)
            if (m->sessions.at[i].open && m->sessions.at[i].deadline_ns < until)
                until = m->sessions.at[i].deadline_ns;
        if (until == UINT64_MAX)
            pthread_cond_wait(&m->work, &m->lock);
        else
            wait_until(m, until);
    }
    return NULL;
}

/* --- requests --- */

/* Why the store answers nothing now; 0: it does. */
static int32_t refuse(const store *m)
{
    return m->state == QD_COORD_ACTIVE ? 0 : QD_E_FENCED;
}

static int in_range(const qd_coord_range *r, qd_str name)
{
    if (r->flags & QD_COORD_PREFIX) return starts(name, r->key);
    if (!r->end.n) return equal(name, r->key);
    return compare(name, r->key) >= 0 && compare(name, r->end) < 0;
}

static int32_t do_range(store *m, qd_coord_range *r)
{
    const uint32_t known = QD_COORD_STALE | QD_COORD_KEYS_ONLY | QD_COORD_PREFIX;
    if (r->flags & ~known) return QD_E_ARG;
    qd_coord_result *out = (qd_coord_result *)must(mem->calloc(m->self, sizeof *out));
    VEC(qd_coord_kv) found = {0};
    r->more = 0;
    for (size_t i = 0; i < m->keys.n; i++) {
        const key *k = &m->keys.at[i];
        if (k->kv.version == 0 || !in_range(r, k->name)) continue;
        if (r->limit && found.n == r->limit) {
            r->more = 1;
            break;
        }
        qd_coord_kv kv = k->kv;
        if (r->flags & QD_COORD_KEYS_ONLY) kv.value = NULL;
        VEC_PUSH(&found, kv);
    }
    out->kvs = found.at;
    r->kvs = found.at;
    r->nkvs = (uint32_t)found.n;
    r->result = out;
    r->revision = m->revision;
    return 0;
}

static int32_t coord_range(qd_coord *c, qd_coord_range *r)
{
    pthread_mutex_lock(&c->m->lock);
    int32_t rc = do_range(c->m, r);
    pthread_mutex_unlock(&c->m->lock);
    loops->complete(&r->op, rc);
    return 0;
}

static int holds(store *m, const qd_coord_compare *cmp)
{
    const key *k = find_key(m, cmp->key, 0);
    qd_coord_kv none = {0};
    const qd_coord_kv *kv = k ? &k->kv : &none;
    unsigned char digest[32];
    size_t n;
    switch (cmp->type) {
    case QD_COORD_CMP_VERSION:
        return kv->version == cmp->number;
    case QD_COORD_CMP_MOD:
        return kv->mod_revision == cmp->number && (kv->version || !cmp->number);
    case QD_COORD_CMP_EXISTS:
        return (kv->version > 0) == (cmp->number == 1);
    case QD_COORD_CMP_HASH:
        return kv->version &&
               EVP_Q_digest(NULL, "SHA256", NULL, kv->value, kv->value_len, digest, &n) &&
               memcmp(digest, cmp->hash, 32) == 0;
    default:
        return 0;
    }
}

static int32_t check_txn(store *m, const qd_coord_txn *t)
{
    for (uint32_t i = 0; i < t->ncompares; i++)
        if (t->compares[i].type < QD_COORD_CMP_VERSION || t->compares[i].type > QD_COORD_CMP_HASH)
            return QD_E_ARG;
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        if (c->type < QD_COORD_PUT || c->type > QD_COORD_DELETE_PREFIX) return QD_E_ARG;
        if (c->key.n == 0 || starts(c->key, QD_STR("_election/"))) return QD_E_ARG;
        if (c->key.n > KEY_MAX || (c->type == QD_COORD_PUT && c->value.n > VALUE_MAX))
            return QD_E_LIMIT;
        if (c->type == QD_COORD_PUT && c->session && !find_session(m, c->session))
            return QD_E_SESSION_EXPIRED;
    }
    if (!t->token.term) return 0;
    const election *e = find_election(m, t->election, 0);
    int fits = e && e->session && t->token.epoch == m->epoch && e->term == t->token.term;
    return fits ? 0 : QD_E_FENCED;
}

static void apply(store *m, const qd_coord_txn *t)
{
    int any = 0;
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        if (c->type == QD_COORD_PUT) {
            put_key(m, c->key, c->value, c->session);
            any = 1;
        } else if (c->type == QD_COORD_DELETE) {
            any |= delete_key(m, find_key(m, c->key, 0));
        } else {
            for (size_t k = 0; k < m->keys.n; k++)
                if (starts(m->keys.at[k].name, c->key)) any |= delete_key(m, &m->keys.at[k]);
        }
    }
    if (any) committed(m);
}

static int32_t do_txn(store *m, qd_coord_txn *t)
{
    uint64_t first = m->nanswers > ID_WINDOW ? m->nanswers - ID_WINDOW : 0;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    for (uint64_t i = first; i < m->nanswers; i++) {
        const answer *a = &m->answers[i % ID_WINDOW];
        if (memcmp(a->id, t->id, 16) != 0) continue;
        t->revision = a->revision;
        t->failed = a->failed;
        return a->rc;
    }
    int32_t rc = check_txn(m, t);
    for (t->failed = 0; rc == 0 && t->failed < t->ncompares; t->failed++)
        if (!holds(m, &t->compares[t->failed])) {
            rc = QD_E_CONFLICT;
            break;
        }
    if (rc == 0) apply(m, t);
    t->revision = m->revision;
    answer *a = &m->answers[m->nanswers++ % ID_WINDOW];
    *a = (answer){.rc = rc, .failed = t->failed, .revision = t->revision};
    memcpy(a->id, t->id, 16);
    return rc;
}

static int32_t coord_txn(qd_coord *c, qd_coord_txn *t)
{
    pthread_mutex_lock(&c->m->lock);
    int32_t rc = do_txn(c->m, t);
    pthread_mutex_unlock(&c->m->lock);
    loops->complete(&t->op, rc);
    return 0;
}

static int32_t do_session(store *m, qd_coord_session *r, candidates *won)
{
    int32_t rc = refuse(m);
    if (rc) return rc;
    if (r->action < QD_COORD_SESSION_OPEN || r->action > QD_COORD_SESSION_CLOSE) return QD_E_ARG;
    if (r->action == QD_COORD_SESSION_OPEN) {
        session s = {.id = ++m->last_session, .ttl_ns = r->ttl_ns, .open = 1};
        if (s.ttl_ns < 100000000) s.ttl_ns = 100000000;
        s.deadline_ns = (uint64_t)clocks->mono_ns(m->self) + (uint64_t)s.ttl_ns;
        VEC_PUSH(&m->sessions, s);
        r->session = s.id;
        r->ttl_ns = s.ttl_ns;
        pthread_cond_broadcast(&m->work);
        return 0;
    }
    session *s = find_session(m, r->session);
    if (!s) return QD_E_SESSION_EXPIRED;
    if (r->action == QD_COORD_SESSION_KEEP)
        s->deadline_ns = (uint64_t)clocks->mono_ns(m->self) + (uint64_t)s->ttl_ns;
    else
        end_session(m, s, won);
    return 0;
}

static int32_t coord_session(qd_coord *c, qd_coord_session *r)
{
    candidates won = {0};
    pthread_mutex_lock(&c->m->lock);
    int32_t rc = do_session(c->m, r, &won);
    pthread_mutex_unlock(&c->m->lock);
    finish(&won);
    loops->complete(&r->op, rc);
    return 0;
}

/* 1: it waits. */
static int32_t do_election(store *m, qd_coord *c, qd_coord_election *r, candidates *won)
{
    int32_t rc = refuse(m);
    if (rc) return rc;
    if (r->action < QD_COORD_ELECT || r->action > QD_COORD_LEADER) return QD_E_ARG;
    election *e = find_election(m, r->name, r->action == QD_COORD_ELECT);
    if (r->action == QD_COORD_LEADER) {
        if (!e || !e->session) return QD_E_NOTFOUND;
        const key *k = find_key(m, election_key(m, r->name), 0);
        r->value = (qd_str){(const char *)k->kv.value, k->kv.value_len};
        r->session = e->session;
        r->token = (qd_coord_token){m->epoch, e->term};
        r->result = NULL;
        return 0;
    }
    if (r->action == QD_COORD_RESIGN) {
        if (!e || e->session != r->session || e->term != r->token.term) return QD_E_FENCED;
        if (delete_key(m, find_key(m, election_key(m, r->name), 0))) committed(m);
        next_leader(m, e, won);
        return 0;
    }
    if (!find_session(m, r->session)) return QD_E_SESSION_EXPIRED;
    if (!e->session) {
        win(m, e, r);
        return 0;
    }
    r->plugin[0] = c;
    VEC_PUSH(&e->waiting, r);
    return 1;
}

static int32_t coord_election(qd_coord *c, qd_coord_election *r)
{
    candidates won = {0};
    pthread_mutex_lock(&c->m->lock);
    int32_t rc = do_election(c->m, c, r, &won);
    pthread_mutex_unlock(&c->m->lock);
    finish(&won);
    if (rc <= 0) loops->complete(&r->op, rc);
    return 0;
}

/* Takes waiting candidates of a handle (op NULL: all of them) out. */
static void take_waiting(store *m, const qd_coord *c, const qd_op *op, candidates *out)
{
    for (size_t i = 0; i < m->elections.n; i++) {
        election *e = &m->elections.at[i];
        size_t kept = 0;
        for (size_t k = 0; k < e->waiting.n; k++) {
            qd_coord_election *r = e->waiting.at[k];
            if (r->plugin[0] == c && (!op || &r->op == op))
                VEC_PUSH(out, r);
            else
                e->waiting.at[kept++] = r;
        }
        e->waiting.n = kept;
    }
}

static void coord_cancel(qd_coord *c, qd_op *op)
{
    candidates out = {0};
    pthread_mutex_lock(&c->m->lock);
    take_waiting(c->m, c, op, &out);
    pthread_mutex_unlock(&c->m->lock);
    for (size_t i = 0; i < out.n; i++) loops->complete(&out.at[i]->op, QD_E_CANCELLED);
    VEC_FREE(&out);
}

static int32_t coord_members(qd_coord *c, qd_coord_members *r)
{
    int32_t rc = r->action == QD_COORD_MEMBERS_LIST ? 0 : QD_E_UNSUPPORTED;
    if (rc == 0) {
        r->result = (qd_coord_result *)must(mem->calloc(c->m->self, sizeof *r->result));
        r->result->member = (qd_coord_member){
            QD_STR("memory"), QD_STR("memory"), QD_STR("local"), QD_COORD_VOTER, 1, 1, 0, {0, 0}};
        r->members = &r->result->member;
        r->nmembers = 1;
    }
    loops->complete(&r->op, rc);
    return 0;
}

static void coord_result_free(qd_coord *c, qd_coord_result *r)
{
    (void)c;
    if (r) mem->free(r->kvs);
    mem->free(r);
}

/* --- watches, handles --- */

static int32_t coord_watch(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                           qd_err *err)
{
    (void)err;
    if (config->flags & ~(uint32_t)QD_COORD_PREFIX) return QD_E_ARG;
    store *m = c->m;
    qd_coord_watch *w = (qd_coord_watch *)must(mem->calloc(m->self, sizeof *w));
    pthread_mutex_lock(&m->lock);
    w->handle = c;
    w->config = *config;
    w->config.key = keep(m, config->key);
    w->config.end = keep(m, config->end);
    w->next = config->from ? config->from : m->revision + 1;
    w->link = m->watches;
    m->watches = w;
    *out = w;
    pthread_cond_broadcast(&m->work);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

static void coord_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg)
{
    store *m = w->handle->m;
    pthread_mutex_lock(&m->lock);
    w->closing = 1;
    w->closed = done;
    w->closed_arg = arg;
    pthread_cond_broadcast(&m->work);
    pthread_mutex_unlock(&m->lock);
}

static store *make_store(qd_self *self, qd_str path)
{
    pthread_condattr_t attr;
    store *m = (store *)must(mem->calloc(self, sizeof *m));
    m->self = self;
    m->epoch = 1;
    m->state = QD_COORD_ACTIVE;
    m->name = keep(m, path);
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->work, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&m->thread, NULL, run_store, m)) must(NULL);
    return m;
}

static int32_t coord_open(qd_self *self, const qd_coord_config *config, qd_coord **out, qd_err *err)
{
    static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
    (void)err; /* options: election_timeout and others that mean nothing here */
    pthread_mutex_lock(&opening);
    store *m = stores;
    while (m && !equal(config->path, m->name)) m = m->link;
    if (!m) {
        m = make_store(self, config->path);
        m->link = stores;
        stores = m;
    }
    pthread_mutex_unlock(&opening);
    qd_coord *c = (qd_coord *)must(mem->calloc(self, sizeof *c));
    c->m = m;
    pthread_mutex_lock(&m->lock);
    m->handles++;
    pthread_mutex_unlock(&m->lock);
    *out = c;
    return 0;
}

static void coord_close(qd_coord *c, void (*done)(void *arg), void *arg)
{
    store *m = c->m;
    candidates out = {0};
    pthread_mutex_lock(&m->lock);
    take_waiting(m, c, NULL, &out);
    m->handles--;
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < out.n; i++) loops->complete(&out.at[i]->op, QD_E_CLOSED);
    VEC_FREE(&out);
    mem->free(c);
    done(arg);
}

static void coord_info(qd_coord *c, qd_coord_info *out)
{
    (void)c;
    qd_coord_info i = {.struct_size = out->struct_size,
                       .key_max = KEY_MAX,
                       .value_max = VALUE_MAX,
                       .txn_bytes_max = 64u << 20,
                       .txn_ops_max = 10000,
                       .id_window = ID_WINDOW,
                       .session_ttl_min_ns = 100000000,
                       .session_ttl_max_ns = 3600000000000,
                       .history_min = 1u << 20};
    memcpy(out, &i, out->struct_size < sizeof i ? out->struct_size : sizeof i);
}

static void coord_identity(qd_coord *c, qd_coord_identity *out)
{
    store *m = c->m;
    pthread_mutex_lock(&m->lock);
    qd_coord_identity i = {.struct_size = out->struct_size,
                           .state = m->state,
                           .store_id = "memory",
                           .epoch = m->epoch,
                           .revision = m->revision,
                           .compacted = m->compacted,
                           .role = QD_COORD_VOTER,
                           .connected = 1};
    pthread_mutex_unlock(&m->lock);
    memcpy(out, &i, out->struct_size < sizeof i ? out->struct_size : sizeof i);
}

static int32_t coord_compact(qd_coord *c, uint64_t revision)
{
    pthread_mutex_lock(&c->m->lock);
    if (revision > c->m->revision) revision = c->m->revision;
    if (revision > c->m->compacted) c->m->compacted = revision;
    pthread_mutex_unlock(&c->m->lock);
    return 0;
}

static const qd_coord_vtable vtable = {
    .head = QD_VTABLE(qd_coord_vtable, COORDINATION, QD_COORD_LINEARIZABLE),
    .open = coord_open,
    .close = coord_close,
    .info = coord_info,
    .identity = coord_identity,
    .range = coord_range,
    .txn = coord_txn,
    .session = coord_session,
    .election = coord_election,
    .members = coord_members,
    .result_free = coord_result_free,
    .watch = coord_watch,
    .watch_close = coord_watch_close,
    .cancel = coord_cancel,
    .compact = coord_compact,
};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    the_plugin = self;
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    clocks = (const qd_svc_clock *)host->service(self, QD_SERVICE_CLOCK, 0);
    loops = (const qd_svc_loop *)host->service(self, QD_SERVICE_LOOP, 0);
    if (!mem || !clocks || !loops) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_COORDINATION, "@NAME@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(QD_PLUGIN_SPAWNS_THREADS), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", QD_PLUGIN_SPAWNS_THREADS, 1, QD_NOTE_FOR(COORDINATION))
