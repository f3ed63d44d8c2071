/* coord_rig_ask.c: requests to the nodes of a rig, each waited for. See coord_rig.h. */
#include "base/err.h"
#include "base/str.h"
#include "plugin/op.h"
#include "unit/lib/coord_rig_int.h"
#include <quidditch/plugin.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

typedef struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
    int32_t rc;
} waiting;

static void ended(qd_op *op, int32_t rc)
{
    waiting *w = op->user;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    w->rc = rc;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void waiting_begin(waiting *w, qd_op *op)
{
    pthread_condattr_t a;
    *w = (waiting){.done = false};
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &a);
    pthread_condattr_destroy(&a);
    qd_op_anywhere(op, ended, w);
}

static bool wait_until(waiting *w, int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + (int64_t)timeout_ms * 1000000;
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->done && rc == 0) rc = pthread_cond_timedwait(&w->wake, &w->lock, &t);
    bool done = w->done;
    pthread_mutex_unlock(&w->lock);
    return done;
}

static int32_t finish(rig *r, int i, waiting *w, qd_op *op, int32_t submitted, int timeout_ms)
{
    if (submitted == 0) {
        if (!wait_until(w, timeout_ms)) {
            r->nodes[i].vt->cancel(r->nodes[i].store, op);
            if (!wait_until(w, 120000)) abort();
        }
        submitted = w->rc;
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    return submitted;
}

/* Who asks with RIG_WAIT wants it done: refusals for want of a leader, which a busy machine may
 * lose, are asked again. */
static bool once_more(int32_t rc, bool has_id, int timeout_ms, int64_t end)
{
    bool passes = rc == QD_E_NO_COORDINATION || rc == QD_E_NOT_LEADER || rc == QD_E_REJECTED ||
                  (has_id && (rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_TIMEOUT));
    if (timeout_ms < RIG_WAIT || !passes || rig_now_ms() >= end) return false;
    rig_pause(10);
    return true;
}

static int32_t txn(rig *r, int i, qd_coord_txn *t, int timeout_ms)
{
    waiting w;
    node *x = &r->nodes[i];
    int64_t end = rig_now_ms() + timeout_ms;
    int32_t rc;
    do {
        waiting_begin(&w, &t->op);
        rc = finish(r, i, &w, &t->op, x->vt->txn(x->store, t), timeout_ms);
    } while (once_more(rc, true, timeout_ms, end));
    return rc;
}

int32_t rig_txn(rig *r, int i, const qd_coord_change *changes, uint32_t n, int timeout_ms)
{
    qd_coord_txn t = {.changes = changes, .nchanges = n};
    if (getrandom(t.id, 16, 0) != 16) abort();
    return txn(r, i, &t, timeout_ms);
}

int32_t rig_put(rig *r, int i, const char *key, const void *value, size_t n, uint64_t session,
                int timeout_ms, uint64_t *revision)
{
    qd_coord_change c = {QD_COORD_PUT, 0, qd_plug_str(key), {value, n}, session};
    qd_coord_txn t = {.changes = &c, .nchanges = 1};
    if (getrandom(t.id, 16, 0) != 16) abort();
    int32_t rc = txn(r, i, &t, timeout_ms);
    if (revision) *revision = t.revision;
    return rc;
}

int32_t rig_cas(rig *r, int i, const char *key, const char *value, uint64_t mod,
                const uint8_t id[16], int timeout_ms, uint64_t *revision)
{
    qd_coord_change c = {QD_COORD_PUT, 0, qd_plug_str(key), qd_plug_str(value), 0};
    qd_coord_compare k = {qd_plug_str(key), QD_COORD_CMP_MOD, 0, mod, {0}};
    qd_coord_txn t = {.changes = &c, .nchanges = 1, .compares = &k, .ncompares = 1};
    memcpy(t.id, id, 16);
    int32_t rc = txn(r, i, &t, timeout_ms);
    if (revision) *revision = t.revision;
    return rc;
}

int32_t rig_get(rig *r, int i, const char *key, char *value, size_t cap, uint64_t *mod,
                uint32_t flags, int timeout_ms)
{
    waiting w;
    node *x = &r->nodes[i];
    qd_coord_range q = {.key = qd_plug_str(key), .flags = flags};
    int64_t end = rig_now_ms() + timeout_ms;
    int32_t rc;
    do {
        waiting_begin(&w, &q.op);
        rc = finish(r, i, &w, &q.op, x->vt->range(x->store, &q), timeout_ms);
    } while (once_more(rc, true, timeout_ms, end));
    if (rc) return rc;
    rc = q.nkvs ? 0 : QD_E_NOTFOUND;
    if (q.nkvs && q.kvs[0].value_len < cap) {
        if (q.kvs[0].value_len) memcpy(value, q.kvs[0].value, q.kvs[0].value_len);
        value[q.kvs[0].value_len] = 0;
    }
    if (mod) *mod = q.nkvs ? q.kvs[0].mod_revision : 0;
    x->vt->result_free(x->store, q.result);
    return rc;
}

int32_t rig_session(rig *r, int i, uint32_t action, uint64_t *session, int ttl_ms, int timeout_ms)
{
    waiting w;
    node *x = &r->nodes[i];
    qd_coord_session s = {
        .action = action, .session = *session, .ttl_ns = (int64_t)ttl_ms * 1000000};
    if (getrandom(s.id, 16, 0) != 16) abort();
    int64_t end = rig_now_ms() + timeout_ms;
    int32_t rc;
    do {
        waiting_begin(&w, &s.op);
        rc = finish(r, i, &w, &s.op, x->vt->session(x->store, &s), timeout_ms);
    } while (once_more(rc, action == QD_COORD_SESSION_OPEN, timeout_ms, end));
    if (rc == 0) *session = s.session;
    return rc;
}

static int32_t members(rig *r, int i, qd_coord_members *m, int timeout_ms)
{
    waiting w;
    node *x = &r->nodes[i];
    int64_t end = rig_now_ms() + timeout_ms;
    int32_t rc;
    do {
        waiting_begin(&w, &m->op);
        rc = finish(r, i, &w, &m->op, x->vt->members(x->store, m), timeout_ms);
    } while (once_more(rc, false, timeout_ms, end));
    return rc;
}

int32_t rig_member(rig *r, int i, uint32_t action, const char *name, int timeout_ms)
{
    qd_coord_members m = {.action = action, .change = {.name = qd_plug_str(name)}};
    return members(r, i, &m, timeout_ms);
}

bool rig_members(rig *r, int by, int *voters, int *standbys)
{
    qd_coord_members m = {.action = QD_COORD_MEMBERS_LIST};
    *voters = *standbys = 0;
    if (members(r, by, &m, 5000)) return false;
    for (uint32_t k = 0; k < m.nmembers; k++) {
        *voters += m.members[k].role == QD_COORD_VOTER;
        *standbys += m.members[k].role == QD_COORD_STANDBY;
    }
    r->nodes[by].vt->result_free(r->nodes[by].store, m.result);
    return true;
}

bool rig_wait_members(rig *r, int by, int voters, int standbys)
{
    for (int64_t end = rig_now_ms() + 120000; rig_now_ms() < end; rig_pause(20)) {
        int v, s;
        if (rig_members(r, by, &v, &s) && v == voters && s == standbys) return true;
    }
    return false;
}

int rig_leader_of_all(rig *r)
{
    for (int64_t end = rig_now_ms() + RIG_WAIT; rig_now_ms() < end; rig_pause(10)) {
        int leader = -1, seen = 0;
        for (int i = 0; i < r->n; i++) {
            if (!r->nodes[i].store) continue;
            int l = rig_leader(r, i);
            if (seen++ && l != leader) leader = -1;
            if (seen == 1) leader = l;
            if (leader < 0) break;
        }
        if (leader >= 0) return leader;
    }
    return -1;
}

int rig_leader(rig *r, int by)
{
    qd_coord_members m = {.action = QD_COORD_MEMBERS_LIST};
    int found = -1;
    if (members(r, by, &m, 5000)) return -1;
    for (uint32_t k = 0; k < m.nmembers; k++)
        if (m.members[k].leader) found = rig_find(r, m.members[k].address);
    r->nodes[by].vt->result_free(r->nodes[by].store, m.result);
    return found;
}

bool rig_settled(rig *r)
{
    for (int i = 0; i < r->n; i++) {
        int64_t end = rig_now_ms() + 120000;
        char value[8];
        if (!r->nodes[i].store) continue;
        int32_t rc;
        while ((rc = rig_get(r, i, "none", value, sizeof value, NULL, 0, 5000)) != QD_E_NOTFOUND) {
            if (rig_now_ms() > end) {
                fprintf(stderr, "# %s does not settle: %d\n", r->nodes[i].name, rc);
                return false;
            }
            rig_pause(10);
        }
    }
    return true;
}

struct rig_candidate {
    qd_coord_election e;
    waiting w;
    rig *r;
    int i;
    char name[64], value[64];
};

rig_candidate *rig_elect(rig *r, int i, const char *name, const char *value, uint64_t session)
{
    rig_candidate *c = calloc(1, sizeof *c);
    node *x = &r->nodes[i];
    c->r = r;
    c->i = i;
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->value, sizeof c->value, "%s", value);
    c->e = (qd_coord_election){.action = QD_COORD_ELECT,
                               .name = qd_plug_str(c->name),
                               .value = qd_plug_str(c->value),
                               .session = session};
    waiting_begin(&c->w, &c->e.op);
    if (x->vt->election(x->store, &c->e)) abort();
    return c;
}

bool rig_elected(rig_candidate *c, int timeout_ms, int32_t *rc, qd_coord_token *token)
{
    if (!wait_until(&c->w, timeout_ms)) return false;
    *rc = c->w.rc;
    *token = c->e.token;
    pthread_mutex_destroy(&c->w.lock);
    pthread_cond_destroy(&c->w.wake);
    free(c);
    return true;
}

void rig_elect_cancel(rig_candidate *c)
{
    node *x = &c->r->nodes[c->i];
    x->vt->cancel(x->store, &c->e.op);
}

int32_t rig_resign(rig *r, int i, const char *name, uint64_t session, qd_coord_token token)
{
    waiting w;
    node *x = &r->nodes[i];
    qd_coord_election e = {
        .action = QD_COORD_RESIGN, .name = qd_plug_str(name), .session = session, .token = token};
    waiting_begin(&w, &e.op);
    return finish(r, i, &w, &e.op, x->vt->election(x->store, &e), RIG_WAIT);
}
