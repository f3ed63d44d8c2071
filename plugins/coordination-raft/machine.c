/* machine.c: the pure step. Each command is read whole and checked before it changes anything. */
#include "machine.h"
#include "entry.h"
#include <openssl/sha.h>

#define MIRRORED_TTL_NS 60000000000ll /* of sessions that came with keys from another store */

/* --- life --- */

cr_machine *cr_machine_make(const cr_heap *h, size_t history_max, size_t history_bytes_max)
{
    cr_machine *m = cr_must(h, sizeof *m);
    *m =
        (cr_machine){.heap = h, .history_max = history_max, .history_bytes_max = history_bytes_max};
    cr_keys_init(&m->keys, h, 0);
    m->answers = cr_must(h, CR_ID_WINDOW * sizeof *m->answers);
    m->answer_first = cr_must(h, CR_ID_WINDOW * sizeof *m->answer_first);
    m->answer_next = cr_must(h, CR_ID_WINDOW * sizeof *m->answer_next);
    memset(m->answers, 0, CR_ID_WINDOW * sizeof *m->answers);
    memset(m->answer_first, 0, CR_ID_WINDOW * sizeof *m->answer_first);
    return m;
}

static void election_free(cr_machine *m, cr_election *e)
{
    for (uint32_t i = 0; i < e->nwaiting; i++) cr_item_drop(e->waiting[i].value);
    cr_free(m->heap, e->waiting);
    cr_item_drop(e->name);
}

/* Everything that belongs to keys, sessions, elections; terms and ids go on. */
static void contents_free(cr_machine *m)
{
    cr_keys_free(&m->keys);
    for (size_t i = 0; i < m->nelections; i++) election_free(m, &m->elections[i]);
    for (size_t i = 0; i < m->history_n; i++) {
        cr_item_drop(cr_history_at(m, i)->now);
        cr_item_drop(cr_history_at(m, i)->before);
    }
    m->nelections = m->nsessions = m->history_n = m->history_bytes = 0;
}

static void parts_free(cr_machine *m)
{
    for (size_t i = 0; i < m->nparts; i++) cr_item_drop(m->parts[i].bytes);
    m->nparts = m->parts_bytes = 0;
}

void cr_machine_reset(cr_machine *m)
{
    contents_free(m);
    parts_free(m);
    memset(m->store_id, 0, 16);
    memset(m->history_id, 0, 16);
    m->recoveries = 0;
    m->state = QD_COORD_EMPTY;
    m->epoch = m->revision = m->last_session = m->last_term = m->nanswers = m->compacted = 0;
    memset(m->answer_first, 0, CR_ID_WINDOW * sizeof *m->answer_first);
    memset(m->answers, 0, CR_ID_WINDOW * sizeof *m->answers);
    m->out.sessions = 1;
}

void cr_machine_free(cr_machine *m)
{
    if (!m) return;
    const cr_heap *h = m->heap;
    contents_free(m);
    parts_free(m);
    cr_items_free(h, &m->out.rows);
    cr_free(h, m->out.results);
    cr_free(h, m->out.ended);
    cr_free(h, m->sessions);
    cr_free(h, m->elections);
    cr_free(h, m->parts);
    cr_free(h, m->history);
    cr_free(h, m->answers);
    cr_free(h, m->answer_first);
    cr_free(h, m->answer_next);
    cr_free(h, m);
}

/* --- keys --- */

static void unattach(cr_machine *m, const cr_item *old)
{
    cr_session *s = old && old->session ? cr_machine_session(m, old->session) : NULL;
    if (s) s->nkeys--;
}

/* Takes an item under the coming revision, or of an import, in. */
static void key_put(cr_machine *m, cr_item *item)
{
    cr_item *old = cr_keys_put(&m->keys, cr_item_ref(item));
    unattach(m, old);
    cr_session *s = item->session ? cr_machine_session(m, item->session) : NULL;
    if (s) s->nkeys++;
    cr_row_put(m, cr_item_ref(item));
    cr_history_push(m, item, old);
}

static void put(cr_machine *m, qd_str key, qd_str value, uint64_t session)
{
    const cr_item *old = cr_keys_find(&m->keys, key);
    cr_item *item = cr_item_pack(m->heap, CR_ROW_KEY, key, value);
    item->mod_revision = m->revision + 1;
    item->create_revision = old ? old->create_revision : m->revision + 1;
    item->version = old ? old->version + 1 : 1;
    item->session = session;
    key_put(m, item);
}

static int del_at(cr_machine *m, qd_str key, uint64_t revision)
{
    cr_item *old = cr_keys_take(&m->keys, key);
    if (!old) return 0;
    unattach(m, old);
    cr_item *gone = cr_item_make(m->heap, CR_ROW_KEY, cr_item_key(old), QD_STR(""));
    gone->mod_revision = revision;
    cr_row_put(m, cr_item_ref(gone));
    cr_history_push(m, gone, old);
    return 1;
}

static int del(cr_machine *m, qd_str key)
{
    return del_at(m, key, m->revision + 1);
}

static int is_own_key(qd_str key)
{
    return cr_starts(key, QD_STR(CR_ELECTION_PREFIX)) || cr_starts(key, QD_STR(CR_MEMBERS_PREFIX));
}

int cr_machine_candidate(const cr_machine *m, qd_str name, uint64_t owner, uint64_t number,
                         qd_coord_token *token)
{
    const cr_election *e = cr_machine_election(m, name);
    if (!e) return 0;
    *token = e->token;
    if (e->session && e->owner == owner && e->number == number) return 2;
    for (uint32_t i = 0; i < e->nwaiting; i++)
        if (e->waiting[i].owner == owner && e->waiting[i].number == number) return 1;
    return 0;
}

/* The store's own keys are not touched: they go with what they tell of. */
static int del_prefix(cr_machine *m, qd_str prefix)
{
    int any = 0;
    const cr_key *k = cr_keys_seek(&m->keys, prefix);
    while (k && cr_starts(cr_item_key(k->item), prefix)) {
        const cr_key *next = k->next[0];
        if (!is_own_key(cr_item_key(k->item))) any |= del(m, cr_item_key(k->item));
        k = next;
    }
    return any;
}

/* The changes since the last revision are one. */
static void committed(cr_machine *m)
{
    m->revision++;
    uint64_t keep = m->revision;
    while (m->history_n > m->history_max || m->history_bytes > m->history_bytes_max) {
        uint64_t first = cr_history_at(m, 0)->now->mod_revision;
        if (first >= keep) break; /* never the newest */
        cr_machine_compact(m, first);
    }
}

static void sha256(const cr_heap *h, const cr_item *i, unsigned char digest[32])
{
    void *room = cr_must(h, cr_item_room(i));
    qd_str value = cr_item_open(i, room);
    SHA256((const unsigned char *)value.p, value.n, digest);
    cr_free(h, room);
}

int cr_compare_fails(const cr_machine *m, uint32_t type, qd_str key, uint64_t number,
                     const uint8_t hash[32])
{
    const cr_item *i = cr_keys_find(&m->keys, key);
    unsigned char digest[32];
    switch (type) {
    case QD_COORD_CMP_VERSION:
        return (i ? i->version : 0) != number;
    case QD_COORD_CMP_MOD:
        return (i ? i->mod_revision : 0) != number;
    case QD_COORD_CMP_EXISTS:
        return (i != NULL) != (number == 1);
    case QD_COORD_CMP_HASH:
        if (!i) return 1;
        sha256(m->heap, i, digest);
        return memcmp(digest, hash, 32) != 0;
    default:
        return 1;
    }
}

/* --- answers --- */

static const cr_answer *answered(const cr_machine *m, const uint8_t id[16])
{
    uint16_t at = m->answer_first[cr_sum64(id, 16, 0) % CR_ID_WINDOW];
    for (; at; at = m->answer_next[at - 1])
        if (memcmp(m->answers[at - 1].id, id, 16) == 0) return &m->answers[at - 1];
    return NULL;
}

static void answer(cr_machine *m, const uint8_t id[16], const cr_result *r)
{
    uint64_t number = m->nanswers++;
    uint16_t slot = (uint16_t)(number % CR_ID_WINDOW);
    cr_answer *a = &m->answers[slot];
    if (number >= CR_ID_WINDOW) { /* the oldest makes room */
        uint16_t *link = &m->answer_first[cr_sum64(a->id, 16, 0) % CR_ID_WINDOW];
        while (*link && *link != slot + 1) link = &m->answer_next[*link - 1];
        if (*link) *link = m->answer_next[slot];
    }
    *a = (cr_answer){
        .rc = r->rc, .failed = r->failed, .revision = r->revision, .session = r->session};
    memcpy(a->id, id, 16);
    cr_answer_link(m, number);
    cr_row_answer(m, number);
}

static int repeated(const cr_machine *m, const uint8_t id[16], cr_result *r)
{
    const cr_answer *a = answered(m, id);
    if (!a) return 0;
    r->rc = a->rc;
    r->failed = a->failed;
    r->revision = a->revision;
    r->session = a->session;
    return 1;
}

/* --- elections, sessions --- */

static void ended(cr_machine *m, const cr_candidate *c, int32_t rc, qd_coord_token token)
{
    cr_outcome *o = &m->out;
    if (o->nended == o->ended_cap) {
        o->ended_cap = o->ended_cap ? o->ended_cap * 2 : 8;
        o->ended = cr_must_grow(m->heap, o->ended, o->ended_cap * sizeof *o->ended);
    }
    o->ended[o->nended++] = (cr_ended){c->owner, c->number, rc, token};
}

static void candidate_remove(cr_election *e, uint32_t i)
{
    cr_item_drop(e->waiting[i].value);
    memmove(e->waiting + i, e->waiting + i + 1, (--e->nwaiting - i) * sizeof *e->waiting);
}

static void election_key_put(cr_machine *m, const cr_election *e, qd_str value)
{
    cr_bytes key = {.heap = m->heap};
    cr_put(&key, CR_ELECTION_PREFIX, sizeof CR_ELECTION_PREFIX - 1);
    cr_put(&key, e->name->bytes, e->name->key_len);
    put(m, (qd_str){(const char *)key.p, key.n}, value, e->session);
    cr_bytes_free(&key);
}

static int election_key_del(cr_machine *m, const cr_election *e)
{
    cr_bytes key = {.heap = m->heap};
    cr_put(&key, CR_ELECTION_PREFIX, sizeof CR_ELECTION_PREFIX - 1);
    cr_put(&key, e->name->bytes, e->name->key_len);
    int any = del(m, (qd_str){(const char *)key.p, key.n});
    cr_bytes_free(&key);
    return any;
}

/* A candidate leads from the coming revision on. */
static void win(cr_machine *m, cr_election *e, const cr_candidate *c, qd_str value)
{
    e->session = c->session;
    e->owner = c->owner;
    e->number = c->number;
    e->token = (qd_coord_token){m->epoch, ++m->last_term};
    election_key_put(m, e, value);
    committed(m);
}

/* The place is free: the next one gets it; with nobody waiting the election is forgotten. */
static void next_leader(cr_machine *m, cr_election *e)
{
    e->session = 0;
    if (e->nwaiting) {
        cr_item *value = cr_item_ref(e->waiting[0].value);
        cr_candidate c = e->waiting[0];
        candidate_remove(e, 0);
        win(m, e, &c, cr_item_value(value));
        ended(m, &c, 0, e->token);
        cr_item_drop(value);
        cr_row_election(m, e, 0);
        return;
    }
    cr_row_election(m, e, 1);
    election_free(m, e);
    size_t at = (size_t)(e - m->elections);
    memmove(e, e + 1, (--m->nelections - at) * sizeof *e);
}

static void session_end(cr_machine *m, cr_session *s)
{
    uint64_t id = s->id;
    int any = 0;
    const cr_key *k = s->nkeys ? m->keys.first[0] : NULL;
    while (k) {
        const cr_key *next = k->next[0];
        if (k->item->session == id) any |= del(m, cr_item_key(k->item));
        k = next;
    }
    if (any) committed(m);
    s = cr_machine_session(m, id);
    cr_row_session(m, s, 1);
    size_t at = (size_t)(s - m->sessions);
    memmove(s, s + 1, (--m->nsessions - at) * sizeof *s);
    m->out.sessions = 1;
    for (size_t i = m->nelections; i-- > 0;) {
        cr_election *e = &m->elections[i];
        uint32_t before = e->nwaiting;
        for (uint32_t c = e->nwaiting; c-- > 0;) {
            if (e->waiting[c].session != id) continue;
            ended(m, &e->waiting[c], QD_E_SESSION_EXPIRED, (qd_coord_token){0, 0});
            candidate_remove(e, c);
        }
        if (e->session == id)
            next_leader(m, e);
        else if (e->nwaiting != before)
            cr_row_election(m, e, 0);
    }
}

/* --- commands: each returns what goes into result.rc, or sets r->bad --- */

static int32_t do_form(cr_machine *m, cr_reader *r)
{
    const uint8_t *id = cr_get(r, 16);
    uint64_t epoch = cr_get64(r);
    if (r->bad) return 0;
    if (m->state != QD_COORD_EMPTY) return QD_E_CONFLICT;
    memcpy(m->store_id, id, 16);
    memcpy(m->history_id, id, 16);
    if (epoch) {
        m->state = QD_COORD_ACTIVE;
        m->epoch = epoch;
    }
    return 0;
}

/* What was left behind elsewhere is fenced by the epoch: leaders and whoever holds a token too. */
static int32_t do_recover(cr_machine *m, cr_reader *r)
{
    uint64_t recoveries = cr_get64(r);
    const uint8_t *id = cr_get(r, 16);
    if (r->bad) return 0;
    if (recoveries <= m->recoveries) return QD_E_CONFLICT;
    m->recoveries = recoveries;
    memcpy(m->history_id, id, 16);
    if (m->state != QD_COORD_EMPTY) m->epoch++;
    m->out.sessions = 1;
    return 0;
}

static int32_t do_lead(cr_machine *m)
{
    for (size_t i = 0; i < m->nparts; i++) cr_row_part(m, &m->parts[i], 1);
    parts_free(m);
    return 0;
}

/* Reads all of a transaction; 0 when nothing stands against it. */
static int32_t txn_check(cr_machine *m, cr_reader *r, cr_reader *changes, uint32_t *nchanges,
                         cr_result *out)
{
    int32_t rc = 0;
    qd_coord_token token = {cr_get64(r), 0};
    token.term = cr_get64(r);
    qd_str name = cr_get_str(r);
    if (token.term && !r->bad) {
        const cr_election *e = cr_machine_election(m, name);
        if (!e || !e->session || e->token.epoch != token.epoch || e->token.term != token.term)
            rc = QD_E_FENCED;
    }
    uint32_t n = cr_get32(r);
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        uint8_t type = cr_get8(r);
        qd_str key = cr_get_str(r);
        uint64_t number = cr_get64(r);
        const uint8_t *hash = type == QD_COORD_CMP_HASH ? cr_get(r, 32) : NULL;
        if (r->bad || rc) continue;
        if (cr_compare_fails(m, type, key, number, hash)) {
            out->failed = i;
            rc = QD_E_CONFLICT;
        }
    }
    *nchanges = cr_get32(r);
    *changes = *r;
    for (uint32_t i = 0; i < *nchanges && !r->bad; i++) {
        uint8_t type = cr_get8(r);
        qd_str key = cr_get_str(r);
        uint64_t session = cr_get64(r);
        qd_str value = cr_get_str(r);
        if (type < QD_COORD_PUT || type > QD_COORD_DELETE_PREFIX || key.n == 0 ||
            key.n > CR_KEY_MAX || value.n > CR_VALUE_MAX)
            r->bad = 1;
        if (!r->bad && rc == 0 && session && !cr_machine_session(m, session))
            rc = QD_E_SESSION_EXPIRED;
    }
    return rc;
}

static int32_t do_txn(cr_machine *m, cr_reader *r, cr_result *out)
{
    cr_reader c;
    uint32_t n;
    const uint8_t *id = cr_get(r, 16);
    int32_t rc = txn_check(m, r, &c, &n, out);
    if (r->bad) return 0;
    if (repeated(m, id, out)) return out->rc;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    int any = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        uint8_t type = cr_get8(&c);
        qd_str key = cr_get_str(&c);
        uint64_t session = cr_get64(&c);
        qd_str value = cr_get_str(&c);
        if (type == QD_COORD_PUT) {
            put(m, key, value, session);
            any = 1;
        } else if (type == QD_COORD_DELETE) {
            any |= del(m, key);
        } else {
            any |= del_prefix(m, key);
        }
    }
    if (any) committed(m);
    out->rc = rc;
    out->revision = m->revision;
    answer(m, id, out);
    return rc;
}

static int32_t do_open(cr_machine *m, cr_reader *r, cr_result *out)
{
    const uint8_t *id = cr_get(r, 16);
    int64_t ttl = (int64_t)cr_get64(r);
    if (r->bad) return 0;
    if (ttl < CR_TTL_MIN_NS) ttl = CR_TTL_MIN_NS;
    if (ttl > CR_TTL_MAX_NS) ttl = CR_TTL_MAX_NS;
    out->ttl_ns = ttl;
    if (repeated(m, id, out)) return out->rc;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    out->session = ++m->last_session;
    out->revision = m->revision;
    cr_row_session(m, cr_session_add(m, out->session, ttl), 0);
    answer(m, id, out);
    return 0;
}

static int32_t do_keep_or_close(cr_machine *m, cr_reader *r, int close)
{
    uint64_t id = cr_get64(r);
    if (r->bad) return 0;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    cr_session *s = cr_machine_session(m, id);
    if (!s) return QD_E_SESSION_EXPIRED;
    if (close) session_end(m, s);
    return 0;
}

static int32_t do_elect(cr_machine *m, cr_reader *r, cr_result *out)
{
    cr_candidate c = {.owner = cr_get64(r)};
    c.number = cr_get64(r);
    c.session = cr_get64(r);
    qd_str name = cr_get_str(r), value = cr_get_str(r);
    if (name.n == 0 || name.n > CR_KEY_MAX - (sizeof CR_ELECTION_PREFIX - 1)) r->bad = 1;
    if (r->bad) return 0;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    if (!cr_machine_session(m, c.session)) return QD_E_SESSION_EXPIRED;
    cr_election *e = cr_election_add(m, name);
    if (e->session) {
        c.value = cr_item_make(m->heap, CR_ROW_ELECTION, QD_STR(""), value);
        cr_candidate_add(m, e, c);
        out->waiting = 1;
    } else {
        win(m, e, &c, value);
        out->token = e->token;
    }
    cr_row_election(m, e, 0);
    return 0;
}

static int32_t do_withdraw(cr_machine *m, cr_reader *r)
{
    uint64_t owner = cr_get64(r), number = cr_get64(r);
    qd_str name = cr_get_str(r);
    if (r->bad) return 0;
    cr_election *e = cr_machine_election(m, name);
    for (uint32_t i = 0; e && i < e->nwaiting; i++) {
        if (e->waiting[i].owner != owner || e->waiting[i].number != number) continue;
        ended(m, &e->waiting[i], QD_E_CANCELLED, (qd_coord_token){0, 0});
        candidate_remove(e, i);
        cr_row_election(m, e, 0);
        return 0;
    }
    return QD_E_NOTFOUND;
}

static int32_t do_resign(cr_machine *m, cr_reader *r)
{
    uint64_t session = cr_get64(r), epoch = cr_get64(r), term = cr_get64(r);
    qd_str name = cr_get_str(r);
    if (r->bad) return 0;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    cr_election *e = cr_machine_election(m, name);
    if (!e || e->session != session || e->token.epoch != epoch || e->token.term != term)
        return QD_E_FENCED;
    if (election_key_del(m, e)) committed(m);
    next_leader(m, e);
    return 0;
}

/* --- authority --- */

static void begin_mirror(cr_machine *m)
{
    contents_free(m);
    m->revision = m->compacted = 0;
    cr_items_free(m->heap, &m->out.rows);
    m->out.replaced = m->out.sessions = 1;
    for (uint64_t i = m->nanswers > CR_ID_WINDOW ? m->nanswers - CR_ID_WINDOW : 0; i < m->nanswers;
         i++)
        cr_row_answer(m, i);
    for (size_t i = 0; i < m->nparts; i++) cr_row_part(m, &m->parts[i], 0);
}

/* Sessions that came as numbers of keys begin to live: whoever holds one may renew it. */
static void adopt_sessions(cr_machine *m)
{
    for (const cr_key *k = m->keys.first[0]; k; k = k->next[0]) {
        uint64_t id = k->item->session;
        if (!id) continue;
        cr_session *s = cr_machine_session(m, id);
        if (!s) {
            s = cr_session_add(m, id, MIRRORED_TTL_NS);
            cr_row_session(m, s, 0);
        }
        s->nkeys++;
        if (id > m->last_session) m->last_session = id;
    }
}

static int32_t authority_step(cr_machine *m, uint32_t action, uint64_t new_epoch, uint64_t revision)
{
    switch (action) {
    case QD_COORD_SEAL:
        if (m->state != QD_COORD_ACTIVE) return QD_E_CONFLICT;
        m->state = QD_COORD_SEALED;
        return 0;
    case QD_COORD_UNSEAL:
        if (m->state != QD_COORD_SEALED || new_epoch <= m->epoch) return QD_E_CONFLICT;
        m->state = QD_COORD_ACTIVE;
        m->epoch = new_epoch;
        m->out.sessions = 1;
        return 0;
    case QD_COORD_BEGIN_MIRROR:
        if ((m->state != QD_COORD_EMPTY && m->state != QD_COORD_VOID &&
             m->state != QD_COORD_MIRROR) ||
            new_epoch <= m->epoch)
            return QD_E_CONFLICT;
        begin_mirror(m);
        m->state = QD_COORD_MIRROR;
        m->epoch = new_epoch;
        return 0;
    case QD_COORD_ACTIVATE:
        if (m->state != QD_COORD_MIRROR || revision != m->revision) return QD_E_CONFLICT;
        adopt_sessions(m);
        m->state = QD_COORD_ACTIVE;
        m->revision++;
        return 0;
    case QD_COORD_MAKE_VOID:
        if (m->state != QD_COORD_MIRROR) return QD_E_CONFLICT;
        m->state = QD_COORD_VOID;
        return 0;
    case QD_COORD_RETIRE:
        if (m->state != QD_COORD_SEALED) return QD_E_CONFLICT;
        m->state = QD_COORD_RETIRED;
        return 0;
    default:
        return QD_E_ARG;
    }
}

static int32_t do_authority(cr_machine *m, cr_reader *r, cr_result *out)
{
    const uint8_t *id = cr_get(r, 16);
    uint32_t action = cr_get32(r);
    uint64_t epoch = cr_get64(r), new_epoch = cr_get64(r), revision = cr_get64(r);
    if (r->bad) return 0;
    if (repeated(m, id, out)) return out->rc;
    out->rc = epoch != m->epoch ? QD_E_CONFLICT : authority_step(m, action, new_epoch, revision);
    out->revision = m->revision;
    answer(m, id, out);
    return out->rc;
}

/* Reads one event of an import: the item it makes, or with version 0 the key that goes. */
static uint8_t event_read(cr_reader *r, cr_item *head, qd_str *key, qd_str *value)
{
    uint8_t type = cr_get8(r);
    *key = cr_get_str(r);
    head->create_revision = cr_get64(r);
    head->mod_revision = cr_get64(r);
    head->version = cr_get64(r);
    head->session = cr_get64(r);
    *value = cr_get_str(r);
    if (key->n == 0 || key->n > CR_KEY_MAX || value->n > CR_VALUE_MAX ||
        head->version >= CR_NUMBER_MAX || head->mod_revision >= CR_NUMBER_MAX ||
        head->session >= CR_NUMBER_MAX || (type != QD_COORD_PUT && type != QD_COORD_DELETE) ||
        (type == QD_COORD_PUT &&
         (head->version == 0 || head->create_revision > head->mod_revision)))
        r->bad = 1;
    return type;
}

static void event_apply(cr_machine *m, cr_reader *r)
{
    cr_item head = {0};
    qd_str key, value;
    if (event_read(r, &head, &key, &value) == QD_COORD_DELETE) {
        (void)del_at(m, key, head.mod_revision);
        return;
    }
    cr_item *item = cr_item_pack(m->heap, CR_ROW_KEY, key, value);
    item->create_revision = head.create_revision;
    item->mod_revision = head.mod_revision;
    item->version = head.version;
    item->session = head.session;
    key_put(m, item);
}

static int32_t do_import(cr_machine *m, cr_reader *r, cr_result *out)
{
    uint64_t epoch = cr_get64(r), revision = cr_get64(r), last = m->revision;
    uint32_t n = cr_get32(r);
    cr_reader events = *r;
    int32_t rc = 0;
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        cr_item head = {0};
        qd_str key, value;
        (void)event_read(r, &head, &key, &value);
        if (head.mod_revision < last || head.mod_revision > revision ||
            head.mod_revision <= m->revision)
            rc = QD_E_ARG; /* out of order, or not of (mirror's, revision] */
        last = head.mod_revision;
    }
    if (revision >= CR_NUMBER_MAX) r->bad = 1;
    if (r->bad) return 0;
    if (m->state != QD_COORD_MIRROR || m->epoch != epoch) return QD_E_CONFLICT;
    out->revision = m->revision;
    if (revision <= m->revision) return 0;
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) event_apply(m, &events);
    m->revision = revision - 1;
    committed(m);
    out->revision = m->revision;
    return 0;
}

static void run(cr_machine *m, uint8_t type, cr_reader *r, cr_result *out);

/* --- large commands --- */

static void parts_forget(cr_machine *m, const uint8_t sum[16])
{
    size_t kept = 0;
    for (size_t i = 0; i < m->nparts; i++) {
        if (memcmp(m->parts[i].sum, sum, 16) != 0) {
            m->parts[kept++] = m->parts[i];
            continue;
        }
        cr_row_part(m, &m->parts[i], 1);
        m->parts_bytes -= m->parts[i].bytes->value_len;
        cr_item_drop(m->parts[i].bytes);
    }
    m->nparts = kept;
}

static int32_t do_part(cr_machine *m, cr_reader *r)
{
    cr_part p;
    const uint8_t *sum = cr_get(r, 16);
    p.index = cr_get32(r);
    qd_str bytes = cr_get_str(r);
    if (bytes.n == 0 || bytes.n > CR_PART_BYTES) r->bad = 1;
    if (r->bad) return 0;
    memcpy(p.sum, sum, 16);
    for (size_t i = 0; i < m->nparts; i++)
        if (memcmp(m->parts[i].sum, p.sum, 16) == 0 && m->parts[i].index == p.index) return 0;
    if (m->nparts == CR_PARTS_MAX) { /* the oldest were left behind by somebody */
        uint8_t oldest[16];
        memcpy(oldest, m->parts[0].sum, 16);
        parts_forget(m, oldest);
    }
    p.bytes = cr_item_make(m->heap, CR_ROW_PART, QD_STR(""), bytes);
    cr_part_add(m, p);
    cr_row_part(m, &p, 0);
    return 0;
}

static void do_whole(cr_machine *m, cr_reader *r, cr_result *out)
{
    const uint8_t *sum = cr_get(r, 16);
    uint32_t n = cr_get32(r);
    uint8_t found[16];
    if (n > CR_PARTS_MAX) r->bad = 1;
    if (r->bad) return;
    cr_bytes all = {.heap = m->heap};
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; k < m->nparts; k++)
            if (m->parts[k].index == i && memcmp(m->parts[k].sum, sum, 16) == 0) {
                cr_put(&all, m->parts[k].bytes->bytes, m->parts[k].bytes->value_len);
                break;
            }
    cr_sum128(all.p, all.n, found);
    out->rc = QD_E_NO_COORDINATION; /* parts of another leader: nothing happened, try again */
    if (all.n && memcmp(found, sum, 16) == 0) {
        uint8_t type = all.p[0];
        cr_reader whole = {.p = all.p + 1, .n = all.n - 1};
        out->rc = 0;
        if (type == CR_TXN || type == CR_IMPORT || type == CR_ELECT || type == CR_FROM)
            run(m, type, &whole, out);
        else
            whole.bad = 1;
        r->bad |= whole.bad;
    }
    parts_forget(m, sum);
    cr_bytes_free(&all);
}

/* The same request once more: what became of the first one. */
static int32_t again(cr_machine *m, uint8_t type, cr_reader *r, cr_result *out)
{
    if (type != CR_ELECT || out->rc) return out->rc;
    uint64_t owner = cr_get64(r), number = cr_get64(r), session = cr_get64(r);
    qd_str name = cr_get_str(r);
    (void)cr_get_str(r);
    if (r->bad) return 0;
    int where = cr_machine_candidate(m, name, owner, number, &out->token);
    out->waiting = where == 1;
    if (where) return 0;
    return cr_machine_session(m, session) ? QD_E_FENCED : QD_E_SESSION_EXPIRED;
}

/* A request of a member's. Those without an id of their own get one of owner and number. */
static void do_from(cr_machine *m, cr_reader *r, cr_result *out)
{
    uint64_t owner = cr_get64(r), number = cr_get64(r);
    uint8_t type = cr_get8(r), id[16];
    cr_store64(id, owner);
    cr_store64(id + 8, number);
    int known = type >= CR_TXN && type <= CR_IMPORT;
    int own = type == CR_CLOSE || type == CR_ELECT || type == CR_WITHDRAW || type == CR_RESIGN;
    if (!known) r->bad = 1;
    if (r->bad) return;
    if (own && repeated(m, id, out)) {
        out->rc = again(m, type, r, out);
    } else {
        run(m, type, r, out);
        if (own && !r->bad) {
            if (!out->revision) out->revision = m->revision;
            answer(m, id, out);
        }
    }
    out->owner = owner;
    out->number = number;
}

static void run(cr_machine *m, uint8_t type, cr_reader *r, cr_result *out)
{
    switch (type) {
    case CR_FROM:
        do_from(m, r, out);
        break;
    case CR_RECOVER:
        out->rc = do_recover(m, r);
        break;
    case CR_FORM:
        out->rc = do_form(m, r);
        break;
    case CR_LEAD:
        out->rc = do_lead(m);
        break;
    case CR_TXN:
        out->rc = do_txn(m, r, out);
        break;
    case CR_OPEN:
        out->rc = do_open(m, r, out);
        break;
    case CR_KEEP:
    case CR_CLOSE:
        out->rc = do_keep_or_close(m, r, type == CR_CLOSE);
        break;
    case CR_ELECT:
        out->rc = do_elect(m, r, out);
        break;
    case CR_WITHDRAW:
        out->rc = do_withdraw(m, r);
        break;
    case CR_RESIGN:
        out->rc = do_resign(m, r);
        break;
    case CR_AUTHORITY:
        out->rc = do_authority(m, r, out);
        break;
    case CR_IMPORT:
        out->rc = do_import(m, r, out);
        break;
    case CR_PART:
        out->rc = do_part(m, r);
        break;
    case CR_WHOLE:
        do_whole(m, r, out);
        break;
    default:
        r->bad = 1;
    }
}

int32_t cr_machine_apply(cr_machine *m, const uint8_t *entry, size_t n)
{
    cr_reader r, payload;
    uint32_t commands;
    cr_outcome *o = &m->out;
    cr_items_free(m->heap, &o->rows);
    o->nresults = o->nended = 0;
    o->sessions = o->replaced = 0;
    cr_bytes room = {.heap = m->heap};
    int32_t rc = cr_entry_read(entry, n, &room, &r, &commands, &o->proposal);
    if (rc) {
        cr_bytes_free(&room);
        return rc;
    }
    if (commands > o->results_cap) {
        o->results = cr_must_grow(m->heap, o->results, commands * sizeof *o->results);
        o->results_cap = commands;
    }
    for (uint32_t i = 0; i < commands; i++) {
        cr_result *result = &o->results[o->nresults++];
        uint8_t type = cr_command_read(&r, &payload);
        *result = (cr_result){0};
        run(m, type, &payload, result);
        if (payload.bad) {
            *result = (cr_result){.rc = QD_E_CORRUPT};
            rc = QD_E_CORRUPT;
        }
        if (!result->revision) result->revision = m->revision;
    }
    cr_row_meta(m);
    cr_bytes_free(&room);
    return rc;
}
