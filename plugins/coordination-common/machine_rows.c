/* machine_rows.c: the machine's records as items, there and back; its lists; its history. */
#include "entry.h"
#include "machine.h"
#include <check/invariant.h>

/* --- lists --- */

static void *grown(const cr_heap *h, void *p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return p;
    *cap = *cap ? *cap * 2 : 8;
    return cr_must_grow(h, p, *cap * size);
}

cr_session *cr_machine_session(const cr_machine *m, uint64_t id)
{
    size_t lo = 0, hi = m->nsessions;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->sessions[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < m->nsessions && m->sessions[lo].id == id ? &m->sessions[lo] : NULL;
}

cr_session *cr_session_add(cr_machine *m, uint64_t id, int64_t ttl_ns)
{
    m->sessions = grown(m->heap, m->sessions, m->nsessions, &m->sessions_cap, sizeof *m->sessions);
    size_t at = m->nsessions++;
    for (; at > 0 && m->sessions[at - 1].id > id; at--) m->sessions[at] = m->sessions[at - 1];
    qd_invariant(at == 0 || m->sessions[at - 1].id < id); /* each once, by id */
    m->sessions[at] = (cr_session){id, ttl_ns, 0};
    m->out.sessions = 1;
    return &m->sessions[at];
}

static size_t election_place(const cr_machine *m, qd_str name, int *there)
{
    size_t lo = 0, hi = m->nelections;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cr_compare(cr_item_key(m->elections[mid].name), name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *there = lo < m->nelections && cr_compare(cr_item_key(m->elections[lo].name), name) == 0;
    return lo;
}

cr_election *cr_machine_election(const cr_machine *m, qd_str name)
{
    int there;
    size_t at = election_place(m, name, &there);
    return there ? &m->elections[at] : NULL;
}

cr_election *cr_election_add(cr_machine *m, qd_str name)
{
    int there;
    size_t at = election_place(m, name, &there);
    if (there) return &m->elections[at];
    m->elections =
        grown(m->heap, m->elections, m->nelections, &m->elections_cap, sizeof *m->elections);
    memmove(m->elections + at + 1, m->elections + at, (m->nelections - at) * sizeof *m->elections);
    m->nelections++;
    m->elections[at] =
        (cr_election){.name = cr_item_make(m->heap, CR_ROW_ELECTION, name, QD_STR(""))};
    return &m->elections[at];
}

void cr_candidate_add(cr_machine *m, cr_election *e, cr_candidate c)
{
    if (e->nwaiting == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 4;
        e->waiting = cr_must_grow(m->heap, e->waiting, e->cap * sizeof *e->waiting);
    }
    e->waiting[e->nwaiting++] = c;
}

void cr_part_add(cr_machine *m, cr_part p)
{
    m->parts = grown(m->heap, m->parts, m->nparts, &m->parts_cap, sizeof *m->parts);
    qd_invariant(m->nparts < CR_PARTS_MAX);
    m->parts[m->nparts++] = p;
    m->parts_bytes += p.bytes->value_len;
}

void cr_answer_link(cr_machine *m, uint64_t number)
{
    uint16_t slot = (uint16_t)(number % CR_ID_WINDOW);
    qd_invariant(number < m->nanswers && m->nanswers - number <= CR_ID_WINDOW);
    uint16_t *first = &m->answer_first[cr_sum64(m->answers[slot].id, 16, 0) % CR_ID_WINDOW];
    m->answer_next[slot] = *first;
    *first = (uint16_t)(slot + 1);
}

/* --- records --- */

/* A record's item: number `order` in its key keeps them apart. */
static cr_item *record(cr_machine *m, uint32_t kind, uint64_t order, cr_bytes *b)
{
    uint8_t key[8];
    for (int i = 0; i < 8; i++) key[i] = (uint8_t)(order >> (56 - 8 * i));
    cr_item *item = cr_item_make(m->heap, kind, (qd_str){(const char *)key, 8},
                                 (qd_str){(const char *)b->p, b->n});
    item->version = b->n ? 1 : 0;
    cr_bytes_free(b);
    return item;
}

void cr_row_put(cr_machine *m, cr_item *item)
{
    cr_items_push(m->heap, &m->out.rows, item);
}

static cr_item *meta_item(cr_machine *m)
{
    cr_bytes b = {.heap = m->heap};
    cr_put(&b, m->store_id, 16);
    cr_put32(&b, m->state);
    cr_put64(&b, m->epoch);
    cr_put64(&b, m->revision);
    cr_put64(&b, m->last_session);
    cr_put64(&b, m->last_term);
    cr_put64(&b, m->nanswers);
    cr_put(&b, m->history_id, 16);
    cr_put64(&b, m->recoveries);
    return record(m, CR_ROW_META, 0, &b);
}

void cr_row_meta(cr_machine *m)
{
    cr_row_put(m, meta_item(m));
}

static cr_item *session_item(cr_machine *m, const cr_session *s, int gone)
{
    cr_bytes b = {.heap = m->heap};
    if (!gone) cr_put64(&b, (uint64_t)s->ttl_ns);
    return record(m, CR_ROW_SESSION, s->id, &b);
}

void cr_row_session(cr_machine *m, const cr_session *s, int gone)
{
    cr_row_put(m, session_item(m, s, gone));
}

static cr_item *election_item(cr_machine *m, const cr_election *e, int gone)
{
    cr_bytes b = {.heap = m->heap};
    cr_put64(&b, e->session);
    cr_put64(&b, e->owner);
    cr_put64(&b, e->number);
    cr_put64(&b, e->token.epoch);
    cr_put64(&b, e->token.term);
    cr_put32(&b, e->nwaiting);
    for (uint32_t i = 0; i < e->nwaiting; i++) {
        const cr_candidate *c = &e->waiting[i];
        cr_put64(&b, c->owner);
        cr_put64(&b, c->number);
        cr_put64(&b, c->session);
        cr_put_str(&b, cr_item_value(c->value));
    }
    cr_item *item = cr_item_make(m->heap, CR_ROW_ELECTION, cr_item_key(e->name),
                                 gone ? QD_STR("") : (qd_str){(const char *)b.p, b.n});
    item->version = gone ? 0 : 1;
    cr_bytes_free(&b);
    return item;
}

void cr_row_election(cr_machine *m, const cr_election *e, int gone)
{
    cr_row_put(m, election_item(m, e, gone));
}

static cr_item *answer_item(cr_machine *m, uint64_t number)
{
    const cr_answer *a = &m->answers[number % CR_ID_WINDOW];
    cr_bytes b = {.heap = m->heap};
    cr_put64(&b, number);
    cr_put(&b, a->id, 16);
    cr_put32(&b, (uint32_t)a->rc);
    cr_put32(&b, a->failed);
    cr_put64(&b, a->revision);
    cr_put64(&b, a->session);
    return record(m, CR_ROW_ANSWER, number % CR_ID_WINDOW, &b);
}

void cr_row_answer(cr_machine *m, uint64_t number)
{
    cr_row_put(m, answer_item(m, number));
}

static cr_item *part_item(cr_machine *m, const cr_part *p, int gone)
{
    uint8_t key[20];
    memcpy(key, p->sum, 16);
    cr_store32(key + 16, p->index);
    cr_item *item = cr_item_make(m->heap, CR_ROW_PART, (qd_str){(const char *)key, sizeof key},
                                 gone ? QD_STR("") : cr_item_value(p->bytes));
    item->version = gone ? 0 : 1;
    return item;
}

void cr_row_part(cr_machine *m, const cr_part *p, int gone)
{
    cr_row_put(m, part_item(m, p, gone));
}

void cr_machine_rows(const cr_machine *machine, cr_items *out)
{
    cr_machine *m = (cr_machine *)machine; /* the makers take their heap from it, nothing else */
    const cr_heap *h = m->heap;
    for (const cr_key *k = m->keys.first[0]; k; k = k->next[0])
        cr_items_push(h, out, cr_item_ref(k->item));
    for (size_t i = 0; i < m->nsessions; i++)
        cr_items_push(h, out, session_item(m, &m->sessions[i], 0));
    for (size_t i = 0; i < m->nelections; i++)
        cr_items_push(h, out, election_item(m, &m->elections[i], 0));
    for (uint64_t i = m->nanswers > CR_ID_WINDOW ? m->nanswers - CR_ID_WINDOW : 0; i < m->nanswers;
         i++)
        cr_items_push(h, out, answer_item(m, i));
    for (size_t i = 0; i < m->nparts; i++) cr_items_push(h, out, part_item(m, &m->parts[i], 0));
    cr_items_push(h, out, meta_item(m));
}

/* --- loading --- */

static uint64_t order_of(const cr_item *row, cr_reader *r)
{
    uint64_t v = 0;
    if (row->key_len != 8) r->bad = 1;
    for (size_t i = 0; i < 8 && row->key_len == 8; i++) v = v << 8 | row->bytes[i];
    return v;
}

static void load_meta(cr_machine *m, cr_reader *r)
{
    const uint8_t *id = cr_get(r, 16);
    if (id) memcpy(m->store_id, id, 16);
    m->state = cr_get32(r);
    m->epoch = cr_get64(r);
    m->revision = cr_get64(r);
    m->last_session = cr_get64(r);
    m->last_term = cr_get64(r);
    m->nanswers = cr_get64(r);
    id = cr_get(r, 16);
    if (id) memcpy(m->history_id, id, 16);
    m->recoveries = cr_get64(r);
    if (m->state > QD_COORD_RETIRED) r->bad = 1;
}

static void load_session(cr_machine *m, uint64_t id, cr_reader *r)
{
    int64_t ttl = (int64_t)cr_get64(r);
    if (ttl < CR_TTL_MIN_NS || ttl > CR_TTL_MAX_NS || id == 0 || cr_machine_session(m, id))
        r->bad = 1;
    if (!r->bad) (void)cr_session_add(m, id, ttl);
}

static void load_election(cr_machine *m, qd_str name, cr_reader *r)
{
    if (name.n == 0 || name.n > CR_KEY_MAX || cr_machine_election(m, name)) r->bad = 1;
    if (r->bad) return;
    cr_election *e = cr_election_add(m, name);
    e->session = cr_get64(r);
    e->owner = cr_get64(r);
    e->number = cr_get64(r);
    e->token.epoch = cr_get64(r);
    e->token.term = cr_get64(r);
    uint32_t n = cr_get32(r);
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        cr_candidate c = {.owner = cr_get64(r), .number = 0};
        c.number = cr_get64(r);
        c.session = cr_get64(r);
        qd_str value = cr_get_str(r);
        if (r->bad) break;
        c.value = cr_item_make(m->heap, CR_ROW_ELECTION, QD_STR(""), value);
        cr_candidate_add(m, e, c);
    }
    if (n && !e->session) r->bad = 1; /* nobody waits for a free place */
}

static void load_answer(cr_machine *m, uint64_t slot, cr_reader *r)
{
    cr_answer a = {{0}, 0, 0, 0, 0};
    uint64_t number = cr_get64(r);
    const uint8_t *id = cr_get(r, 16);
    if (id) memcpy(a.id, id, 16);
    a.rc = (int32_t)cr_get32(r);
    a.failed = cr_get32(r);
    a.revision = cr_get64(r);
    a.session = cr_get64(r);
    if (number % CR_ID_WINDOW != slot) r->bad = 1;
    if (!r->bad) m->answers[slot] = a;
}

static void load_part(cr_machine *m, const cr_item *row, cr_reader *r)
{
    if (row->key_len != 20 || row->value_len == 0 || row->value_len > CR_PART_BYTES ||
        m->nparts >= CR_PARTS_MAX)
        r->bad = 1;
    if (r->bad) return;
    cr_part p = {.index = cr_load32(row->bytes + 16),
                 .bytes = cr_item_make(m->heap, CR_ROW_PART, QD_STR(""), cr_item_value(row))};
    memcpy(p.sum, row->bytes, 16);
    cr_part_add(m, p);
    r->n = 0;
}

static int32_t load_key(cr_machine *m, cr_item *row)
{
    if (row->key_len == 0 || row->key_len > CR_KEY_MAX || row->value_len > CR_VALUE_MAX ||
        row->version == 0 || row->create_revision > row->mod_revision ||
        cr_keys_find(&m->keys, cr_item_key(row))) {
        cr_item_drop(row);
        return QD_E_CORRUPT;
    }
    cr_item_drop(cr_keys_put(&m->keys, row));
    return 0;
}

int32_t cr_machine_load(cr_machine *m, cr_item *row)
{
    qd_str value = cr_item_value(row);
    cr_reader r = {.p = (const uint8_t *)value.p, .n = value.n};
    switch (row->kind) {
    case CR_ROW_KEY:
        return load_key(m, row);
    case CR_ROW_META:
        load_meta(m, &r);
        break;
    case CR_ROW_SESSION:
        load_session(m, order_of(row, &r), &r);
        break;
    case CR_ROW_ELECTION:
        load_election(m, cr_item_key(row), &r);
        break;
    case CR_ROW_ANSWER:
        load_answer(m, order_of(row, &r), &r);
        break;
    case CR_ROW_PART:
        load_part(m, row, &r);
        break;
    default:
        r.bad = 1;
    }
    cr_item_drop(row);
    return r.bad || r.n ? QD_E_CORRUPT : 0;
}

int32_t cr_machine_loaded(cr_machine *m)
{
    uint64_t first = m->nanswers > CR_ID_WINDOW ? m->nanswers - CR_ID_WINDOW : 0;
    for (uint64_t i = first; i < m->nanswers; i++) cr_answer_link(m, i);
    for (const cr_key *k = m->keys.first[0]; k; k = k->next[0]) {
        if (k->item->mod_revision > m->revision) return QD_E_CORRUPT;
        cr_session *s = k->item->session ? cr_machine_session(m, k->item->session) : NULL;
        if (s) s->nkeys++;
    }
    for (size_t i = 0; i < m->nsessions; i++)
        if (m->sessions[i].id > m->last_session) return QD_E_CORRUPT;
    for (size_t i = 0; i < m->nelections; i++)
        if (m->elections[i].token.term > m->last_term) return QD_E_CORRUPT;
    m->compacted = m->revision; /* no history before this process */
    return 0;
}

/* --- history --- */

static size_t weight(const cr_change *c)
{
    return sizeof *c + 2 * sizeof *c->now + c->now->key_len + c->now->stored_len;
}

static void history_drop_first(cr_machine *m)
{
    const cr_change *c = cr_history_at(m, 0);
    qd_invariant(c->now->mod_revision >= m->compacted);
    qd_invariant(m->history_bytes >= weight(c));
    m->compacted = c->now->mod_revision;
    m->history_bytes -= weight(c);
    cr_item_drop(c->now);
    cr_item_drop(c->before);
    m->history_first = (m->history_first + 1) & (m->history_cap - 1);
    m->history_n--;
}

void cr_history_push(cr_machine *m, cr_item *now, cr_item *before)
{
    qd_invariant(now->mod_revision > m->compacted); /* a watch that was told that has passed it */
    qd_invariant(m->history_n == 0 ||
                 now->mod_revision >= cr_history_at(m, m->history_n - 1)->now->mod_revision);
    if (m->history_n == m->history_cap) {
        size_t cap = m->history_cap ? m->history_cap * 2 : 64;
        cr_change *ring = cr_must(m->heap, cap * sizeof *ring);
        for (size_t i = 0; i < m->history_n; i++) ring[i] = *cr_history_at(m, i);
        cr_free(m->heap, m->history);
        m->history = ring;
        m->history_first = 0;
        m->history_cap = cap;
    }
    cr_change *c = &m->history[(m->history_first + m->history_n) & (m->history_cap - 1)];
    *c = (cr_change){now, before};
    m->history_n++;
    m->history_bytes += weight(c);
}

void cr_machine_compact(cr_machine *m, uint64_t revision)
{
    if (revision > m->revision) revision = m->revision;
    while (m->history_n && cr_history_at(m, 0)->now->mod_revision <= revision)
        history_drop_first(m);
    if (revision > m->compacted) m->compacted = revision;
    qd_invariant(m->compacted <= m->revision);
}

size_t cr_history_seek(const cr_machine *m, uint64_t from)
{
    size_t lo = 0, hi = m->history_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cr_history_at(m, mid)->now->mod_revision < from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Undoes one change in a sorted list of items. */
static void undo(const cr_heap *h, cr_items *v, const cr_change *c)
{
    size_t lo = 0, hi = v->n;
    qd_str key = cr_item_key(c->now);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cr_compare(cr_item_key(v->at[mid]), key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    int there = lo < v->n && cr_compare(cr_item_key(v->at[lo]), key) == 0;
    if (there && c->before) {
        cr_item_drop(v->at[lo]);
        v->at[lo] = cr_item_ref(c->before);
    } else if (there) {
        cr_item_drop(v->at[lo]);
        memmove(v->at + lo, v->at + lo + 1, (--v->n - lo) * sizeof *v->at);
    } else if (c->before) {
        cr_items_push(h, v, NULL);
        memmove(v->at + lo + 1, v->at + lo, (v->n - 1 - lo) * sizeof *v->at);
        v->at[lo] = cr_item_ref(c->before);
    }
}

int32_t cr_machine_past(const cr_machine *m, uint64_t revision, cr_items *out)
{
    if (revision > m->revision) return QD_E_ARG;
    if (revision < m->compacted) return QD_E_COMPACTED;
    for (const cr_key *k = m->keys.first[0]; k; k = k->next[0])
        cr_items_push(m->heap, out, cr_item_ref(k->item));
    size_t from = cr_history_seek(m, revision + 1);
    qd_invariant(from <= m->history_n);
    for (size_t i = m->history_n; i-- > from;) undo(m->heap, out, cr_history_at(m, i));
    return 0;
}
