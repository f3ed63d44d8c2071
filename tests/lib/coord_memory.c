/*
 * coord_memory.c: see coord_memory.h. One lock over everything; every request is done at its
 * submit, but for candidates that wait. One thread a store tells watches and ends sessions.
 */
#include "base/str.h"
#include "lib/coord_memory_int.h"
#include "plugin/op.h"
#include <openssl/evp.h>
#include <stdlib.h>

static coord_memory *stores;

qd_str cmi_keep(coord_memory *m, qd_str s)
{
    qd_str copy = QD_STR("");
    if (s.n) MUST((copy = qd_arena_str(&m->arena, s)).p != NULL);
    return copy;
}

/* --- keys --- */

key *cmi_find_key(coord_memory *m, qd_str name, bool make)
{
    size_t lo = 0, hi = m->keys.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = qd_str_cmp(m->keys.at[mid].name, name);
        if (order == 0) return &m->keys.at[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!make) return NULL;
    key k = {.name = cmi_keep(m, name)};
    MUST(qd_vec_push(&m->keys, NULL, k) == 0);
    memmove(m->keys.at + lo + 1, m->keys.at + lo, (m->keys.n - 1 - lo) * sizeof k);
    m->keys.at[lo] = k;
    m->keys.at[lo].kv.key = k.name;
    return &m->keys.at[lo];
}

void cmi_record(coord_memory *m, uint32_t type, const qd_coord_kv *kv)
{
    qd_coord_event e = {type, 0, *kv};
    MUST(qd_vec_push(&m->history, NULL, e) == 0);
}

static void put_key(coord_memory *m, qd_str name, qd_str value, uint64_t owner)
{
    key *k = cmi_find_key(m, name, true);
    qd_str v = cmi_keep(m, value);
    if (k->kv.version == 0) k->kv.create_revision = m->revision + 1;
    k->kv.version++;
    k->kv.mod_revision = m->revision + 1;
    k->kv.value = (const uint8_t *)v.p;
    k->kv.value_len = v.n;
    k->kv.session = owner;
    cmi_record(m, QD_COORD_PUT, &k->kv);
}

static bool delete_key(coord_memory *m, key *k)
{
    if (!k || k->kv.version == 0) return false;
    qd_coord_kv gone = {.key = k->name, .mod_revision = m->revision + 1};
    cmi_record(m, QD_COORD_DELETE, &gone);
    k->kv = (qd_coord_kv){.key = k->name};
    return true;
}

void cmi_committed(coord_memory *m)
{
    m->revision++;
    qd_cond_broadcast(&m->work);
}

/* --- elections, sessions --- */

session *cmi_find_session(coord_memory *m, uint64_t id)
{
    for (size_t i = 0; i < m->sessions.n; i++)
        if (m->sessions.at[i].id == id && m->sessions.at[i].open) return &m->sessions.at[i];
    return NULL;
}

static qd_str election_key(coord_memory *m, qd_str name)
{
    qd_str k;
    MUST((k = qd_arena_printf(&m->arena, "_election/%.*s", QD_STR_ARG(name))).p != NULL);
    return k;
}

static election *find_election(coord_memory *m, qd_str name, bool make)
{
    for (size_t i = 0; i < m->elections.n; i++)
        if (qd_str_eq(m->elections.at[i].name, name)) return &m->elections.at[i];
    if (!make) return NULL;
    election e = {.name = cmi_keep(m, name)};
    MUST(qd_vec_push(&m->elections, NULL, e) == 0);
    return &m->elections.at[m->elections.n - 1];
}

/* Candidates that end are gathered and completed without the lock. */
typedef QD_VEC(qd_coord_election *) candidates;

static void win(coord_memory *m, election *e, qd_coord_election *r)
{
    e->session = r->session;
    e->term++;
    e->epoch = m->epoch;
    r->token = (qd_coord_token){e->epoch, e->term};
    put_key(m, election_key(m, e->name), r->value, r->session);
    cmi_committed(m);
}

/* The place is free: the next candidate whose session lives gets it. */
static void next_leader(coord_memory *m, election *e, candidates *won)
{
    e->session = 0;
    while (e->waiting.n) {
        qd_coord_election *r = e->waiting.at[0];
        memmove(e->waiting.at, e->waiting.at + 1, --e->waiting.n * sizeof r);
        r->plugin[0] = NULL;
        r->plugin[1] = cmi_find_session(m, r->session) ? r : NULL; /* its code, read by finish */
        MUST(qd_vec_push(won, NULL, r) == 0);
        if (!r->plugin[1]) continue;
        win(m, e, r);
        return;
    }
}

static void finish(candidates *done)
{
    for (size_t i = 0; i < done->n; i++) {
        qd_coord_election *r = done->at[i];
        qd_op_complete(&r->op, r->plugin[1] ? 0 : QD_E_SESSION_EXPIRED);
    }
    qd_vec_fini(done);
}

static void end_session(coord_memory *m, session *s, candidates *won)
{
    bool any = false;
    s->open = false;
    for (size_t i = 0; i < m->keys.n; i++)
        if (m->keys.at[i].kv.session == s->id) any |= delete_key(m, &m->keys.at[i]);
    if (any) cmi_committed(m);
    for (size_t i = 0; i < m->elections.n; i++)
        if (m->elections.at[i].session == s->id) next_leader(m, &m->elections.at[i], won);
}

/* --- the thread --- */

static bool wants(const qd_coord_watch *w, qd_str name)
{
    if (w->config.flags & QD_COORD_PREFIX) return qd_str_starts(name, w->config.key);
    if (!w->config.end.n) return qd_str_eq(name, w->config.key);
    return qd_str_cmp(name, w->config.key) >= 0 && qd_str_cmp(name, w->config.end) < 0;
}

/* Tells one watch what it lacks; the lock is given back meanwhile. */
static bool tell(coord_memory *m, qd_coord_watch *w)
{
    QD_VEC(qd_coord_event) batch = {0};
    int32_t rc = w->next <= m->compacted ? QD_E_COMPACTED : 0;
    if (m->state == QD_COORD_RETIRED && w->next > m->revision) rc = QD_E_FENCED;
    uint64_t upto = m->revision;
    if (rc == 0 && w->next > upto) return false;
    for (size_t i = 0; rc == 0 && i < m->history.n; i++) {
        const qd_coord_event *e = &m->history.at[i];
        if (e->kv.mod_revision >= w->next && wants(w, e->kv.key))
            MUST(qd_vec_push(&batch, NULL, *e) == 0);
    }
    w->busy = true;
    w->next = upto + 1;
    w->ended = rc != 0;
    qd_mutex_unlock(&m->lock);
    w->config.events(w->config.arg, batch.at, (uint32_t)batch.n, upto, rc);
    qd_vec_fini(&batch);
    qd_mutex_lock(&m->lock);
    w->busy = false;
    return true;
}

static void unlink_watch(coord_memory *m, qd_coord_watch *w)
{
    qd_coord_watch **p = &m->watches;
    while (*p != w) p = &(*p)->link;
    *p = w->link;
}

/* One piece of work: a watch to tell or to end, a session to end; false: nothing to do. */
static bool work_once(coord_memory *m)
{
    for (qd_coord_watch *w = m->watches; w; w = w->link) {
        if (w->closing) {
            unlink_watch(m, w);
            qd_mutex_unlock(&m->lock);
            if (w->closed) w->closed(w->closed_arg);
            free(w);
            qd_mutex_lock(&m->lock);
            return true;
        }
        if (!w->ended && tell(m, w)) return true;
    }
    uint64_t now = qd_env_mono_ns(m->env);
    for (size_t i = 0; i < m->sessions.n; i++) {
        session *s = &m->sessions.at[i];
        if (!s->open || s->deadline_ns > now || m->state != QD_COORD_ACTIVE) continue;
        candidates won = {0};
        end_session(m, s, &won);
        qd_mutex_unlock(&m->lock);
        finish(&won);
        qd_mutex_lock(&m->lock);
        return true;
    }
    return false;
}

static void run_store(void *arg)
{
    coord_memory *m = arg;
    qd_mutex_lock(&m->lock);
    while (!m->stop) {
        if (work_once(m)) continue;
        bool runs = m->state == QD_COORD_ACTIVE; /* no session ends while it is not */
        uint64_t until = UINT64_MAX;
        for (size_t i = 0; i < m->sessions.n; i++)
            if (runs && m->sessions.at[i].open && m->sessions.at[i].deadline_ns < until)
                until = m->sessions.at[i].deadline_ns;
        if (until == UINT64_MAX)
            qd_cond_wait(&m->work, &m->lock);
        else
            (void)qd_cond_wait_until(&m->work, &m->lock, until);
    }
    qd_mutex_unlock(&m->lock);
}

/* --- requests --- */

/* Why the store answers nothing now; 0: it does. */
static int32_t refuse(const coord_memory *m)
{
    if (m->off) return QD_E_NO_COORDINATION;
    return m->state == QD_COORD_ACTIVE ? 0 : QD_E_FENCED;
}

static bool in_range(const qd_coord_range *r, qd_str name)
{
    if (r->flags & QD_COORD_PREFIX) return qd_str_starts(name, r->key);
    if (!r->end.n) return qd_str_eq(name, r->key);
    return qd_str_cmp(name, r->key) >= 0 && qd_str_cmp(name, r->end) < 0;
}

static int32_t do_range(coord_memory *m, qd_coord_range *r)
{
    const uint32_t known = QD_COORD_STALE | QD_COORD_KEYS_ONLY | QD_COORD_PREFIX;
    if (r->flags & ~known) return QD_E_ARG;
    if (m->off) return QD_E_NO_COORDINATION;
    qd_coord_result *out = calloc(1, sizeof *out);
    QD_VEC(qd_coord_kv) found = {0};
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
        MUST(qd_vec_push(&found, NULL, kv) == 0);
    }
    qd_assert(out != NULL);
    out->kvs = found.at;
    r->kvs = found.at;
    r->nkvs = (uint32_t)found.n;
    r->result = out;
    r->revision = m->revision;
    return 0;
}

static int32_t mem_range(qd_coord *c, qd_coord_range *r)
{
    coord_memory_fault fault = cmi_ask(c->m, 'r', 0);
    qd_mutex_lock(&c->m->lock);
    int32_t rc = fault ? QD_E_NO_COORDINATION : do_range(c->m, r);
    qd_mutex_unlock(&c->m->lock);
    qd_op_complete(&r->op, rc);
    return 0;
}

static bool holds(coord_memory *m, const qd_coord_compare *cmp)
{
    const key *k = cmi_find_key(m, cmp->key, false);
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
        return false;
    }
}

static int32_t check_txn(coord_memory *m, const qd_coord_txn *t)
{
    for (uint32_t i = 0; i < t->ncompares; i++)
        if (t->compares[i].type < QD_COORD_CMP_VERSION || t->compares[i].type > QD_COORD_CMP_HASH)
            return QD_E_ARG;
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        if (c->type < QD_COORD_PUT || c->type > QD_COORD_DELETE_PREFIX) return QD_E_ARG;
        if (c->key.n == 0 || qd_str_starts(c->key, QD_STR("_election/"))) return QD_E_ARG;
        if (c->key.n > KEY_MAX || (c->type == QD_COORD_PUT && c->value.n > VALUE_MAX))
            return QD_E_LIMIT;
        if (c->type == QD_COORD_PUT && c->session && !cmi_find_session(m, c->session))
            return QD_E_SESSION_EXPIRED;
    }
    if (!t->token.term) return 0;
    const election *e = find_election(m, t->election, false);
    bool fits = e && e->session && e->epoch == t->token.epoch && e->term == t->token.term;
    return fits ? 0 : QD_E_FENCED;
}

static void apply(coord_memory *m, const qd_coord_txn *t)
{
    bool any = false;
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        if (c->type == QD_COORD_PUT) {
            put_key(m, c->key, c->value, c->session);
            any = true;
        } else if (c->type == QD_COORD_DELETE) {
            any |= delete_key(m, cmi_find_key(m, c->key, false));
        } else {
            for (size_t k = 0; k < m->keys.n; k++)
                if (qd_str_starts(m->keys.at[k].name, c->key)) any |= delete_key(m, &m->keys.at[k]);
        }
    }
    if (any) cmi_committed(m);
}

/* Would it take away what is to be kept? */
static bool takes_away(coord_memory *m, const qd_coord_txn *t)
{
    for (uint32_t i = 0; m->keep[0] && i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        const key *k = c->type == QD_COORD_PUT ? cmi_find_key(m, c->key, false) : NULL;
        if (!k || !k->kv.version) continue;
        qd_str now = {(const char *)k->kv.value, k->kv.value_len}, kept = qd_str_c(m->keep);
        if (qd_str_find_str(now, kept) >= 0 && qd_str_find_str(c->value, kept) < 0) return true;
    }
    return false;
}

static int32_t do_txn(coord_memory *m, qd_coord_txn *t)
{
    if (m->off && !m->off_applies) return QD_E_NO_COORDINATION;
    if (takes_away(m, t)) {
        m->refused++;
        return m->keep_rc;
    }
    const answer *known = cmi_answered(m, t->id);
    if (known) {
        t->revision = known->revision;
        t->failed = known->failed;
        return known->rc;
    }
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    int32_t rc = check_txn(m, t);
    for (t->failed = 0; rc == 0 && t->failed < t->ncompares; t->failed++)
        if (!holds(m, &t->compares[t->failed])) {
            rc = QD_E_CONFLICT;
            break;
        }
    if (rc == 0) apply(m, t);
    t->revision = m->revision;
    cmi_answer(m, t->id, rc, t->failed, t->revision);
    return m->off ? QD_E_UNKNOWN_OUTCOME : rc;
}

static int32_t mem_txn(qd_coord *c, qd_coord_txn *t)
{
    coord_memory_fault fault = cmi_ask(c->m, 't', 0);
    qd_mutex_lock(&c->m->lock);
    int32_t rc = fault == COORD_MEMORY_OFF ? QD_E_NO_COORDINATION : QD_E_UNKNOWN_OUTCOME;
    if (fault == COORD_MEMORY_PASS || fault == COORD_MEMORY_DEAF) {
        int32_t done = do_txn(c->m, t);
        if (!fault) rc = done;
    }
    if (fault == COORD_MEMORY_SILENT) MUST(qd_vec_push(&c->m->silent, NULL, &t->op) == 0);
    qd_mutex_unlock(&c->m->lock);
    if (fault != COORD_MEMORY_SILENT) qd_op_complete(&t->op, rc);
    return 0;
}

static int32_t do_session(coord_memory *m, qd_coord_session *r, candidates *won)
{
    int32_t rc = refuse(m);
    if (rc) return rc;
    if (r->action < QD_COORD_SESSION_OPEN || r->action > QD_COORD_SESSION_CLOSE) return QD_E_ARG;
    if (r->action == QD_COORD_SESSION_OPEN) {
        session s = {.id = ++m->last_session, .ttl_ns = r->ttl_ns, .open = true};
        if (s.ttl_ns < 100000000) s.ttl_ns = 100000000;
        s.deadline_ns = qd_env_mono_ns(m->env) + (uint64_t)s.ttl_ns;
        MUST(qd_vec_push(&m->sessions, NULL, s) == 0);
        r->session = s.id;
        r->ttl_ns = s.ttl_ns;
        qd_cond_broadcast(&m->work);
        return 0;
    }
    session *s = cmi_find_session(m, r->session);
    if (!s) return QD_E_SESSION_EXPIRED;
    if (r->action == QD_COORD_SESSION_KEEP)
        s->deadline_ns = qd_env_mono_ns(m->env) + (uint64_t)s->ttl_ns;
    else
        end_session(m, s, won);
    return 0;
}

static int32_t mem_session(qd_coord *c, qd_coord_session *r)
{
    candidates won = {0};
    qd_mutex_lock(&c->m->lock);
    int32_t rc = do_session(c->m, r, &won);
    qd_mutex_unlock(&c->m->lock);
    finish(&won);
    qd_op_complete(&r->op, rc);
    return 0;
}

/* 1: it waits. */
static int32_t do_election(coord_memory *m, qd_coord *c, qd_coord_election *r, candidates *won)
{
    int32_t rc = refuse(m);
    if (rc) return rc;
    if (r->action < QD_COORD_ELECT || r->action > QD_COORD_LEADER) return QD_E_ARG;
    election *e = find_election(m, r->name, r->action == QD_COORD_ELECT);
    if (r->action == QD_COORD_LEADER) {
        if (!e || !e->session) return QD_E_NOTFOUND;
        const key *k = cmi_find_key(m, election_key(m, r->name), false);
        r->value = (qd_str){(const char *)k->kv.value, k->kv.value_len};
        r->session = e->session;
        r->token = (qd_coord_token){e->epoch, e->term};
        r->result = NULL;
        return 0;
    }
    if (r->action == QD_COORD_RESIGN) {
        if (!e || e->session != r->session || e->term != r->token.term) return QD_E_FENCED;
        if (delete_key(m, cmi_find_key(m, election_key(m, r->name), false))) cmi_committed(m);
        next_leader(m, e, won);
        return 0;
    }
    if (!cmi_find_session(m, r->session)) return QD_E_SESSION_EXPIRED;
    if (!e->session) {
        win(m, e, r);
        return 0;
    }
    r->plugin[0] = c;
    MUST(qd_vec_push(&e->waiting, NULL, r) == 0);
    return 1;
}

static int32_t mem_election(qd_coord *c, qd_coord_election *r)
{
    candidates won = {0};
    qd_mutex_lock(&c->m->lock);
    int32_t rc = do_election(c->m, c, r, &won);
    qd_mutex_unlock(&c->m->lock);
    finish(&won);
    if (rc <= 0) qd_op_complete(&r->op, rc);
    return 0;
}

/* Takes waiting candidates of a handle (op NULL: all of them) out. */
static void take_waiting(coord_memory *m, const qd_coord *c, const qd_op *op, candidates *out)
{
    for (size_t i = 0; i < m->elections.n; i++) {
        election *e = &m->elections.at[i];
        size_t kept = 0;
        for (size_t k = 0; k < e->waiting.n; k++) {
            qd_coord_election *r = e->waiting.at[k];
            if (r->plugin[0] == c && (!op || &r->op == op))
                MUST(qd_vec_push(out, NULL, r) == 0);
            else
                e->waiting.at[kept++] = r;
        }
        e->waiting.n = kept;
    }
}

static void mem_cancel(qd_coord *c, qd_op *op)
{
    candidates out = {0};
    qd_mutex_lock(&c->m->lock);
    take_waiting(c->m, c, op, &out);
    bool silent = false;
    for (size_t i = 0; i < c->m->silent.n; i++) {
        if (c->m->silent.at[i] != op) continue;
        c->m->silent.at[i] = c->m->silent.at[--c->m->silent.n];
        silent = true;
        break;
    }
    qd_mutex_unlock(&c->m->lock);
    if (silent) qd_op_complete(op, QD_E_UNKNOWN_OUTCOME);
    for (size_t i = 0; i < out.n; i++) qd_op_complete(&out.at[i]->op, QD_E_CANCELLED);
    qd_vec_fini(&out);
}

static int32_t mem_members(qd_coord *c, qd_coord_members *r)
{
    int32_t rc = r->action == QD_COORD_MEMBERS_LIST ? 0 : QD_E_UNSUPPORTED;
    qd_mutex_lock(&c->m->lock);
    if (c->m->off) rc = QD_E_NO_COORDINATION;
    qd_mutex_unlock(&c->m->lock);
    if (rc == 0) {
        r->result = calloc(1, sizeof *r->result);
        qd_assert(r->result != NULL);
        r->result->member = (qd_coord_member){
            QD_STR("memory"), QD_STR("memory"), QD_STR("local"), QD_COORD_VOTER, 1, 1, 0, {0, 0}};
        r->members = &r->result->member;
        r->nmembers = 1;
    }
    qd_op_complete(&r->op, rc);
    return 0;
}

static void mem_result_free(qd_coord *c, qd_coord_result *r)
{
    (void)c;
    if (r) qd_free(r->kvs);
    free(r);
}

/* --- watches, handles --- */

static int32_t mem_watch(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                         qd_err *err)
{
    (void)err;
    if (config->flags & ~(uint32_t)QD_COORD_PREFIX) return QD_E_ARG;
    coord_memory *m = c->m;
    qd_coord_watch *w = calloc(1, sizeof *w);
    qd_assert(w != NULL);
    qd_mutex_lock(&m->lock);
    w->handle = c;
    w->config = *config;
    w->config.key = cmi_keep(m, config->key);
    w->config.end = cmi_keep(m, config->end);
    w->next = config->from ? config->from : m->revision + 1;
    w->link = m->watches;
    m->watches = w;
    *out = w;
    qd_cond_broadcast(&m->work);
    qd_mutex_unlock(&m->lock);
    return 0;
}

static void mem_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg)
{
    coord_memory *m = w->handle->m;
    qd_mutex_lock(&m->lock);
    w->closing = true;
    w->closed = done;
    w->closed_arg = arg;
    qd_cond_broadcast(&m->work);
    qd_mutex_unlock(&m->lock);
}

static int32_t mem_open(qd_self *self, const qd_coord_config *config, qd_coord **out, qd_err *err)
{
    (void)self;
    coord_memory *m = stores;
    while (m && !qd_str_is(config->path, m->name)) m = m->link;
    if (!m)
        return qd_err_set(err, QD_E_NOTFOUND, "there is no store %.*s", QD_STR_ARG(config->path));
    qd_coord *c = calloc(1, sizeof *c);
    qd_assert(c != NULL);
    c->m = m;
    qd_mutex_lock(&m->lock);
    m->handles++;
    qd_mutex_unlock(&m->lock);
    *out = c;
    return 0;
}

static void mem_close(qd_coord *c, void (*done)(void *arg), void *arg)
{
    coord_memory *m = c->m;
    candidates out = {0};
    qd_mutex_lock(&m->lock);
    take_waiting(m, c, NULL, &out);
    for (qd_coord_watch *w = m->watches; w; w = w->link) qd_assert(w->handle != c || w->closing);
    m->handles--;
    qd_mutex_unlock(&m->lock);
    for (size_t i = 0; i < out.n; i++) qd_op_complete(&out.at[i]->op, QD_E_CLOSED);
    qd_vec_fini(&out);
    free(c);
    done(arg);
}

static void mem_info(qd_coord *c, qd_coord_info *out)
{
    (void)c;
    qd_coord_info i = {.struct_size = out->struct_size,
                       .key_max = KEY_MAX,
                       .value_max = VALUE_MAX,
                       .txn_bytes_max = 64u << 20,
                       .txn_ops_max = OPS_MAX,
                       .id_window = ID_WINDOW,
                       .session_ttl_min_ns = 100000000,
                       .session_ttl_max_ns = 3600000000000,
                       .history_min = 1u << 20};
    memcpy(out, &i, out->struct_size < sizeof i ? out->struct_size : sizeof i);
}

static void mem_identity(qd_coord *c, qd_coord_identity *out)
{
    coord_memory *m = c->m;
    qd_mutex_lock(&m->lock);
    qd_coord_identity i = {.struct_size = out->struct_size,
                           .state = m->state,
                           .epoch = m->epoch,
                           .revision = m->revision,
                           .compacted = m->compacted,
                           .role = QD_COORD_VOTER,
                           .connected = !m->off};
    snprintf((char *)i.store_id, sizeof i.store_id, "memory%p", (void *)m);
    qd_mutex_unlock(&m->lock);
    memcpy(out, &i, out->struct_size < sizeof i ? out->struct_size : sizeof i);
}

static int32_t mem_compact(qd_coord *c, uint64_t revision)
{
    qd_mutex_lock(&c->m->lock);
    if (revision > c->m->revision) revision = c->m->revision;
    if (revision > c->m->compacted) c->m->compacted = revision;
    qd_mutex_unlock(&c->m->lock);
    return 0;
}

const qd_coord_vtable *coord_memory_vtable(void)
{
    static const qd_coord_vtable vt = {
        .head =
            QD_VTABLE(qd_coord_vtable, COORDINATION, QD_COORD_LINEARIZABLE | QD_COORD_AUTHORITY),
        .open = mem_open,
        .close = mem_close,
        .info = mem_info,
        .identity = mem_identity,
        .range = mem_range,
        .txn = mem_txn,
        .session = mem_session,
        .election = mem_election,
        .members = mem_members,
        .result_free = mem_result_free,
        .watch = mem_watch,
        .watch_close = mem_watch_close,
        .cancel = mem_cancel,
        .compact = mem_compact,
        .authority = cmi_authority,
        .export_at = cmi_export,
        .import = cmi_import,
    };
    return &vt;
}

coord_memory *coord_memory_make(qd_env *env, const char *name)
{
    coord_memory *m = calloc(1, sizeof *m);
    qd_assert(m != NULL);
    m->env = env;
    m->name = name;
    m->epoch = 1;
    m->state = QD_COORD_ACTIVE;
    qd_mutex_init(&m->lock);
    qd_cond_init(&m->work);
    qd_arena_init(&m->arena, NULL, 0);
    m->link = stores;
    stores = m;
    int rc = qd_thread_start(env, "coord-memory", run_store, m, &m->thread, NULL);
    qd_assert(rc == 0);
    return m;
}

void coord_memory_free(coord_memory *m)
{
    qd_assert(m->handles == 0);
    qd_mutex_lock(&m->lock);
    while (m->watches) { /* those closing are told by the thread */
        qd_mutex_unlock(&m->lock);
        qd_env_sleep_ns(m->env, 1000000);
        qd_mutex_lock(&m->lock);
    }
    m->stop = true;
    qd_cond_broadcast(&m->work);
    qd_mutex_unlock(&m->lock);
    qd_thread_join(m->env, m->thread);
    coord_memory **p = &stores;
    while (*p != m) p = &(*p)->link;
    *p = m->link;
    for (size_t i = 0; i < m->elections.n; i++) qd_vec_fini(&m->elections.at[i].waiting);
    qd_vec_fini(&m->elections);
    qd_vec_fini(&m->late);
    qd_vec_fini(&m->silent);
    qd_vec_fini(&m->sessions);
    qd_vec_fini(&m->history);
    qd_vec_fini(&m->keys);
    qd_arena_fini(&m->arena);
    qd_cond_fini(&m->work);
    qd_mutex_fini(&m->lock);
    free(m);
}

static void keep_with(coord_memory *m, const char *text, int32_t rc)
{
    qd_mutex_lock(&m->lock);
    snprintf(m->keep, sizeof m->keep, "%s", text);
    m->keep_rc = rc;
    m->refused = 0;
    qd_mutex_unlock(&m->lock);
}

void coord_memory_keep(coord_memory *m, const char *text)
{
    keep_with(m, text, QD_E_NO_COORDINATION);
}

void coord_memory_full(coord_memory *m, const char *text)
{
    keep_with(m, text, QD_E_NOSPACE);
}

uint32_t coord_memory_refused(coord_memory *m)
{
    qd_mutex_lock(&m->lock);
    uint32_t n = m->refused;
    qd_mutex_unlock(&m->lock);
    return n;
}

void coord_memory_off(coord_memory *m, bool off, bool applied)
{
    qd_mutex_lock(&m->lock);
    m->off = off;
    m->off_applies = applied;
    qd_mutex_unlock(&m->lock);
}

void coord_memory_compact(coord_memory *m)
{
    qd_mutex_lock(&m->lock);
    m->compacted = m->revision;
    qd_mutex_unlock(&m->lock);
}
