/* machine.c: what the state is made of: keys, answers, elections, sessions. See machine.h. */
#include "machine_int.h"
#include <openssl/sha.h>

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
void crm_contents_free(cr_machine *m)
{
    cr_keys_free(&m->keys);
    for (size_t i = 0; i < m->nelections; i++) election_free(m, &m->elections[i]);
    for (size_t i = 0; i < m->history_n; i++) {
        cr_item_drop(cr_history_at(m, i)->now);
        cr_item_drop(cr_history_at(m, i)->before);
    }
    m->nelections = m->nsessions = m->history_n = m->history_bytes = 0;
}

void crm_parts_free(cr_machine *m)
{
    for (size_t i = 0; i < m->nparts; i++) cr_item_drop(m->parts[i].bytes);
    m->nparts = m->parts_bytes = 0;
}

void cr_machine_reset(cr_machine *m)
{
    crm_contents_free(m);
    crm_parts_free(m);
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
    crm_contents_free(m);
    crm_parts_free(m);
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
    qd_invariant(!s || s->nkeys > 0);
    if (s) s->nkeys--;
}

/* Takes an item under the coming revision, or of an import, in. */
void crm_key_put(cr_machine *m, cr_item *item)
{
    cr_item *old = cr_keys_put(&m->keys, cr_item_ref(item));
    unattach(m, old);
    cr_session *s = item->session ? cr_machine_session(m, item->session) : NULL;
    if (s) s->nkeys++;
    cr_row_put(m, cr_item_ref(item));
    cr_history_push(m, item, old);
}

void crm_put(cr_machine *m, qd_str key, qd_str value, uint64_t session)
{
    const cr_item *old = cr_keys_find(&m->keys, key);
    qd_invariant(m->state == QD_COORD_ACTIVE); /* a sealed store takes nothing */
    qd_invariant(!old || old->mod_revision <= m->revision + 1);
    cr_item *item = cr_item_pack(m->heap, CR_ROW_KEY, key, value);
    item->mod_revision = m->revision + 1;
    item->create_revision = old ? old->create_revision : m->revision + 1;
    item->version = old ? old->version + 1 : 1;
    item->session = session;
    crm_key_put(m, item);
}

int crm_del_at(cr_machine *m, qd_str key, uint64_t revision)
{
    cr_item *old = cr_keys_take(&m->keys, key);
    if (!old) return 0;
    qd_invariant(old->mod_revision <= revision);
    qd_invariant(revision > m->revision);
    unattach(m, old);
    cr_item *gone = cr_item_make(m->heap, CR_ROW_KEY, cr_item_key(old), QD_STR(""));
    gone->mod_revision = revision;
    cr_row_put(m, cr_item_ref(gone));
    cr_history_push(m, gone, old);
    return 1;
}

int crm_del(cr_machine *m, qd_str key)
{
    return crm_del_at(m, key, m->revision + 1);
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
int crm_del_prefix(cr_machine *m, qd_str prefix)
{
    int any = 0;
    const cr_key *k = cr_keys_seek(&m->keys, prefix);
    while (k && cr_starts(cr_item_key(k->item), prefix)) {
        const cr_key *next = k->next[0];
        if (!is_own_key(cr_item_key(k->item))) any |= crm_del(m, cr_item_key(k->item));
        k = next;
    }
    return any;
}

/* The changes since the last revision are one. */
void crm_committed(cr_machine *m)
{
    qd_invariant(m->state == QD_COORD_ACTIVE || m->state == QD_COORD_MIRROR);
    m->revision++;
    qd_invariant(m->history_n == 0 ||
                 cr_history_at(m, m->history_n - 1)->now->mod_revision <= m->revision);
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

void crm_answer(cr_machine *m, const uint8_t id[16], const cr_result *r)
{
    qd_invariant(!answered(m, id)); /* what was answered is not done again */
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

int crm_repeated(const cr_machine *m, const uint8_t id[16], cr_result *r)
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

void crm_ended(cr_machine *m, const cr_candidate *c, int32_t rc, qd_coord_token token)
{
    cr_outcome *o = &m->out;
    if (o->nended == o->ended_cap) {
        o->ended_cap = o->ended_cap ? o->ended_cap * 2 : 8;
        o->ended = cr_must_grow(m->heap, o->ended, o->ended_cap * sizeof *o->ended);
    }
    o->ended[o->nended++] = (cr_ended){c->owner, c->number, rc, token};
}

void crm_candidate_remove(cr_election *e, uint32_t i)
{
    qd_invariant(i < e->nwaiting);
    cr_item_drop(e->waiting[i].value);
    memmove(e->waiting + i, e->waiting + i + 1, (--e->nwaiting - i) * sizeof *e->waiting);
}

static void election_key_put(cr_machine *m, const cr_election *e, qd_str value)
{
    cr_bytes key = {.heap = m->heap};
    cr_put(&key, CR_ELECTION_PREFIX, sizeof CR_ELECTION_PREFIX - 1);
    cr_put(&key, e->name->bytes, e->name->key_len);
    crm_put(m, (qd_str){(const char *)key.p, key.n}, value, e->session);
    cr_bytes_free(&key);
}

int crm_election_key_del(cr_machine *m, const cr_election *e)
{
    cr_bytes key = {.heap = m->heap};
    cr_put(&key, CR_ELECTION_PREFIX, sizeof CR_ELECTION_PREFIX - 1);
    cr_put(&key, e->name->bytes, e->name->key_len);
    int any = crm_del(m, (qd_str){(const char *)key.p, key.n});
    cr_bytes_free(&key);
    return any;
}

/* A candidate leads from the coming revision on. */
void crm_win(cr_machine *m, cr_election *e, const cr_candidate *c, qd_str value)
{
    qd_invariant(e->session == 0); /* one leader at a time */
    qd_invariant(e->token.epoch < m->epoch || e->token.term <= m->last_term);
    e->session = c->session;
    e->owner = c->owner;
    e->number = c->number;
    e->token = (qd_coord_token){m->epoch, ++m->last_term};
    election_key_put(m, e, value);
    crm_committed(m);
}

/* The place is free: the next one gets it; with nobody waiting the election is forgotten. */
void crm_next_leader(cr_machine *m, cr_election *e)
{
    e->session = 0;
    if (e->nwaiting) {
        cr_item *value = cr_item_ref(e->waiting[0].value);
        cr_candidate c = e->waiting[0];
        crm_candidate_remove(e, 0);
        crm_win(m, e, &c, cr_item_value(value));
        crm_ended(m, &c, 0, e->token);
        cr_item_drop(value);
        cr_row_election(m, e, 0);
        return;
    }
    cr_row_election(m, e, 1);
    election_free(m, e);
    size_t at = (size_t)(e - m->elections);
    qd_invariant(at < m->nelections);
    memmove(e, e + 1, (--m->nelections - at) * sizeof *e);
}

void crm_session_end(cr_machine *m, cr_session *s)
{
    uint64_t id = s->id;
    int any = 0;
    const cr_key *k = s->nkeys ? m->keys.first[0] : NULL;
    while (k) {
        const cr_key *next = k->next[0];
        if (k->item->session == id) any |= crm_del(m, cr_item_key(k->item));
        k = next;
    }
    if (any) crm_committed(m);
    s = cr_machine_session(m, id);
    qd_invariant(s && s->nkeys == 0); /* its keys went with it */
    cr_row_session(m, s, 1);
    size_t at = (size_t)(s - m->sessions);
    qd_invariant(at < m->nsessions);
    memmove(s, s + 1, (--m->nsessions - at) * sizeof *s);
    m->out.sessions = 1;
    for (size_t i = m->nelections; i-- > 0;) {
        cr_election *e = &m->elections[i];
        uint32_t before = e->nwaiting;
        for (uint32_t c = e->nwaiting; c-- > 0;) {
            if (e->waiting[c].session != id) continue;
            crm_ended(m, &e->waiting[c], QD_E_SESSION_EXPIRED, (qd_coord_token){0, 0});
            crm_candidate_remove(e, c);
        }
        if (e->session == id)
            crm_next_leader(m, e);
        else if (e->nwaiting != before)
            cr_row_election(m, e, 0);
    }
}
