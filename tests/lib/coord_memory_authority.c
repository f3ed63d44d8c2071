/*
 * coord_memory_authority.c: steps of a hand-over, exports and imports of the store in memory, and
 * what tests do to them. See coord_memory.h.
 */
#include "base/str.h"
#include "lib/coord_memory_int.h"
#include "plugin/op.h"
#include <openssl/evp.h>

#define EXPORT_BATCH 16u

const answer *cmi_answered(const coord_memory *m, const uint8_t id[16])
{
    uint64_t first = m->nanswers > ID_WINDOW ? m->nanswers - ID_WINDOW : 0;
    for (uint64_t i = first; i < m->nanswers; i++)
        if (memcmp(m->answers[i % ID_WINDOW].id, id, 16) == 0) return &m->answers[i % ID_WINDOW];
    return NULL;
}

void cmi_answer(coord_memory *m, const uint8_t id[16], int32_t rc, uint32_t failed,
                uint64_t revision)
{
    answer *a = &m->answers[m->nanswers++ % ID_WINDOW];
    *a = (answer){.rc = rc, .failed = failed, .revision = revision};
    memcpy(a->id, id, 16);
}

coord_memory_fault cmi_ask(coord_memory *m, char kind, uint32_t action)
{
    qd_mutex_lock(&m->lock);
    coord_memory_fault (*hook)(void *, char, uint32_t) = m->hook;
    void *arg = m->hook_arg;
    bool off = m->off && kind != 'r' && kind != 't';
    qd_mutex_unlock(&m->lock);
    if (off) return COORD_MEMORY_OFF;
    return hook ? hook(arg, kind, action) : COORD_MEMORY_PASS;
}

/* --- steps --- */

static void empty(coord_memory *m)
{
    m->keys.n = m->history.n = 0;
    for (size_t i = 0; i < m->sessions.n; i++) m->sessions.at[i].open = false;
    for (size_t i = 0; i < m->elections.n; i++) m->elections.at[i].session = 0;
    m->revision = m->compacted = 0;
}

static void adopt_sessions(coord_memory *m)
{
    for (size_t i = 0; i < m->keys.n; i++) {
        uint64_t id = m->keys.at[i].kv.session;
        if (!id || cmi_find_session(m, id)) continue;
        session s = {.id = id, .ttl_ns = 60000000000, .open = true};
        s.deadline_ns = qd_env_mono_ns(m->env) + (uint64_t)s.ttl_ns;
        MUST(qd_vec_push(&m->sessions, NULL, s) == 0);
        if (id > m->last_session) m->last_session = id;
    }
    m->last_session += 1000;
}

static int32_t step(coord_memory *m, const qd_coord_authority *r)
{
    uint32_t s = m->state;
    if (r->epoch != m->epoch) return QD_E_CONFLICT;
    switch (r->action) {
    case QD_COORD_SEAL:
        if (s != QD_COORD_ACTIVE) return QD_E_CONFLICT;
        m->state = QD_COORD_SEALED;
        return 0;
    case QD_COORD_UNSEAL:
        if (s != QD_COORD_SEALED || r->new_epoch <= m->epoch) return QD_E_CONFLICT;
        m->state = QD_COORD_ACTIVE;
        m->epoch = r->new_epoch;
        for (size_t i = 0; i < m->sessions.n; i++)
            m->sessions.at[i].deadline_ns =
                qd_env_mono_ns(m->env) + (uint64_t)m->sessions.at[i].ttl_ns;
        return 0;
    case QD_COORD_BEGIN_MIRROR:
        if ((s != QD_COORD_EMPTY && s != QD_COORD_VOID && s != QD_COORD_MIRROR &&
             s != QD_COORD_RETIRED) ||
            r->new_epoch <= m->epoch)
            return QD_E_CONFLICT;
        empty(m);
        m->state = QD_COORD_MIRROR;
        m->epoch = r->new_epoch;
        return 0;
    case QD_COORD_ACTIVATE:
        if (s != QD_COORD_MIRROR || r->revision != m->revision) return QD_E_CONFLICT;
        adopt_sessions(m);
        m->state = QD_COORD_ACTIVE;
        m->compacted = m->revision++;
        return 0;
    case QD_COORD_MAKE_VOID:
        if (s != QD_COORD_MIRROR) return QD_E_CONFLICT;
        m->state = QD_COORD_VOID;
        return 0;
    case QD_COORD_RETIRE:
        if (s != QD_COORD_SEALED) return QD_E_CONFLICT;
        m->state = QD_COORD_RETIRED;
        return 0;
    default:
        return QD_E_ARG;
    }
}

static int32_t do_authority(coord_memory *m, qd_coord_authority *r)
{
    const answer *known = cmi_answered(m, r->id);
    int32_t rc = known ? known->rc : step(m, r);
    r->revision = known ? known->revision : m->revision;
    if (!known) cmi_answer(m, r->id, rc, 0, r->revision);
    qd_cond_broadcast(&m->work);
    return rc;
}

/* --- imports --- */

static int32_t check_import(const coord_memory *m, const qd_coord_import *r)
{
    uint64_t last = m->revision + 1;
    if (r->nevents > OPS_MAX) return QD_E_LIMIT;
    for (uint32_t i = 0; i < r->nevents; i++) {
        uint64_t at = r->events[i].kv.mod_revision;
        if (at < last || at > r->revision) return QD_E_ARG;
        last = at;
    }
    return 0;
}

static int32_t do_import(coord_memory *m, const qd_coord_import *r)
{
    if (m->state != QD_COORD_MIRROR || m->epoch != r->epoch) return QD_E_CONFLICT;
    if (r->revision <= m->revision) return 0;
    int32_t rc = check_import(m, r);
    for (uint32_t i = 0; i < r->nevents && rc == 0; i++) {
        const qd_coord_event *e = &r->events[i];
        key *k = cmi_find_key(m, e->kv.key, e->type == QD_COORD_PUT);
        if (!k) continue;
        if (e->type == QD_COORD_PUT) {
            qd_str v = cmi_keep(m, (qd_str){(const char *)e->kv.value, e->kv.value_len});
            k->kv = e->kv;
            k->kv.key = k->name;
            k->kv.value = (const uint8_t *)v.p;
            cmi_record(m, QD_COORD_PUT, &k->kv);
        } else if (k->kv.version) {
            qd_coord_kv gone = {.key = k->name, .mod_revision = e->kv.mod_revision};
            k->kv = (qd_coord_kv){.key = k->name};
            cmi_record(m, QD_COORD_DELETE, &gone);
        }
    }
    if (rc) return rc;
    m->revision = r->revision - 1;
    cmi_committed(m);
    return 0;
}

/* Deep copies: whoever asked has gone when it is done. */
static void put_off(coord_memory *m, const qd_coord_authority *a, const qd_coord_import *i)
{
    late l = {.import = i != NULL};
    if (a) l.authority = *a;
    if (i) {
        qd_coord_event *copy;
        MUST((copy = qd_arena_alloc(&m->arena, (i->nevents + 1) * sizeof *copy)) != NULL);
        l.events = *i;
        l.events.events = copy;
        for (uint32_t k = 0; k < i->nevents; k++) {
            copy[k] = i->events[k];
            copy[k].kv.key = cmi_keep(m, copy[k].kv.key);
            copy[k].kv.value = (const uint8_t *)cmi_keep(m, (qd_str){(const char *)copy[k].kv.value,
                                                                     copy[k].kv.value_len})
                                   .p;
        }
    }
    MUST(qd_vec_push(&m->late, NULL, l) == 0);
}

bool coord_memory_land(coord_memory *m)
{
    qd_mutex_lock(&m->lock);
    bool any = m->late.n > 0;
    if (any) {
        late l = m->late.at[0];
        memmove(m->late.at, m->late.at + 1, --m->late.n * sizeof l);
        int32_t rc = l.import ? do_import(m, &l.events) : do_authority(m, &l.authority);
        (void)rc; /* nobody waits for it */
    }
    qd_mutex_unlock(&m->lock);
    return any;
}

/* What is told, with the request done or not. */
static int32_t told(coord_memory *m, coord_memory_fault fault, qd_coord_authority *a,
                    const qd_coord_import *i)
{
    int32_t rc = 0;
    if (fault == COORD_MEMORY_OFF) return QD_E_NO_COORDINATION;
    if (fault == COORD_MEMORY_LATE) put_off(m, a, i);
    if (fault == COORD_MEMORY_PASS || fault == COORD_MEMORY_DEAF)
        rc = a ? do_authority(m, a) : do_import(m, i);
    return fault == COORD_MEMORY_PASS ? rc : QD_E_UNKNOWN_OUTCOME;
}

int32_t cmi_authority(qd_coord *c, qd_coord_authority *r)
{
    coord_memory_fault fault = cmi_ask(c->m, 'a', r->action);
    qd_mutex_lock(&c->m->lock);
    int32_t rc = told(c->m, fault, r, NULL);
    qd_mutex_unlock(&c->m->lock);
    qd_op_complete(&r->op, rc);
    return 0;
}

int32_t cmi_import(qd_coord *c, qd_coord_import *r)
{
    coord_memory_fault fault = cmi_ask(c->m, 'i', 0);
    qd_mutex_lock(&c->m->lock);
    int32_t rc = told(c->m, fault, NULL, r);
    qd_mutex_unlock(&c->m->lock);
    qd_op_complete(&r->op, rc);
    return 0;
}

/* --- exports --- */

static void hash_number(EVP_MD_CTX *h, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
    EVP_DigestUpdate(h, b, sizeof b);
}

static void hash_kv(EVP_MD_CTX *h, const qd_coord_kv *kv)
{
    hash_number(h, kv->key.n);
    EVP_DigestUpdate(h, kv->key.p, kv->key.n);
    hash_number(h, kv->create_revision);
    hash_number(h, kv->mod_revision);
    hash_number(h, kv->version);
    hash_number(h, kv->value_len);
    EVP_DigestUpdate(h, kv->value, kv->value_len);
}

/* The key as of a revision; version 0: it was not there. */
static qd_coord_kv kv_at(const coord_memory *m, const key *k, uint64_t revision)
{
    qd_coord_kv kv = {.key = k->name};
    if (k->kv.mod_revision <= revision && k->kv.version) return k->kv;
    for (size_t i = m->history.n; i-- > 0;) {
        const qd_coord_event *e = &m->history.at[i];
        if (e->kv.mod_revision > revision || !qd_str_eq(e->kv.key, k->name)) continue;
        return e->type == QD_COORD_PUT ? e->kv : kv;
    }
    return kv;
}

static int32_t do_export(coord_memory *m, qd_coord_export *r)
{
    qd_coord_kv kvs[EXPORT_BATCH];
    uint32_t n = 0;
    int32_t rc = 0;
    if (!r->revision) r->revision = m->revision;
    if (r->revision > m->revision) return QD_E_ARG;
    if (r->revision < m->compacted) return QD_E_COMPACTED;
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    qd_assert(h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i <= m->keys.n && rc == 0; i++) {
        bool end = i == m->keys.n;
        qd_coord_kv kv = end ? (qd_coord_kv){0} : kv_at(m, &m->keys.at[i], r->revision);
        if (kv.version) {
            hash_kv(h, &kv);
            kvs[n++] = kv;
        }
        if (n == EXPORT_BATCH || (end && n)) {
            if (r->batch) rc = r->batch(r->arg, kvs, n);
            n = 0;
        }
    }
    EVP_DigestFinal_ex(h, r->hash, NULL);
    EVP_MD_CTX_free(h);
    return rc;
}

int32_t cmi_export(qd_coord *c, qd_coord_export *r)
{
    coord_memory_fault fault = cmi_ask(c->m, 'e', 0);
    qd_mutex_lock(&c->m->lock);
    int32_t rc = fault ? QD_E_NO_COORDINATION : do_export(c->m, r);
    qd_mutex_unlock(&c->m->lock);
    qd_op_complete(&r->op, rc);
    return 0;
}

/* --- what tests do --- */

void coord_memory_empty(coord_memory *m)
{
    qd_mutex_lock(&m->lock);
    m->state = QD_COORD_EMPTY;
    m->epoch = 0;
    qd_mutex_unlock(&m->lock);
}

void coord_memory_hook(coord_memory *m,
                       coord_memory_fault (*hook)(void *arg, char kind, uint32_t action), void *arg)
{
    qd_mutex_lock(&m->lock);
    m->hook = hook;
    m->hook_arg = arg;
    qd_mutex_unlock(&m->lock);
}

void coord_memory_damage(coord_memory *m, const char *name, const char *value)
{
    qd_mutex_lock(&m->lock);
    key *k = cmi_find_key(m, qd_str_c(name), false);
    qd_assert(k != NULL);
    qd_str v = cmi_keep(m, qd_str_c(value));
    k->kv.value = (const uint8_t *)v.p;
    k->kv.value_len = v.n;
    qd_mutex_unlock(&m->lock);
}
