/* machine_run.c: the pure step. Each command is read whole and checked before it changes anything.
 */
#include "machine_int.h"

#define MIRRORED_SESSIONS (1u << 20)
#define MIRRORED_TTL_NS 60000000000ll /* of sessions that came with keys from another store */

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
    crm_parts_free(m);
    qd_invariant(m->nparts == 0 && m->parts_bytes == 0);
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
    if (crm_repeated(m, id, out)) return out->rc;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    int any = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        uint8_t type = cr_get8(&c);
        qd_str key = cr_get_str(&c);
        uint64_t session = cr_get64(&c);
        qd_str value = cr_get_str(&c);
        if (type == QD_COORD_PUT) {
            crm_put(m, key, value, session);
            any = 1;
        } else if (type == QD_COORD_DELETE) {
            any |= crm_del(m, key);
        } else {
            any |= crm_del_prefix(m, key);
        }
    }
    if (any) crm_committed(m);
    out->rc = rc;
    out->revision = m->revision;
    crm_answer(m, id, out);
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
    if (crm_repeated(m, id, out)) return out->rc;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    out->session = ++m->last_session;
    qd_invariant(!cr_machine_session(m, out->session)); /* no id comes twice */
    out->revision = m->revision;
    cr_row_session(m, cr_session_add(m, out->session, ttl), 0);
    crm_answer(m, id, out);
    return 0;
}

static int32_t do_keep_or_close(cr_machine *m, cr_reader *r, int close)
{
    uint64_t id = cr_get64(r);
    if (r->bad) return 0;
    if (m->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    cr_session *s = cr_machine_session(m, id);
    if (!s) return QD_E_SESSION_EXPIRED;
    if (close) crm_session_end(m, s);
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
        qd_invariant(e->nwaiting == 0); /* nobody waits for a free place */
        crm_win(m, e, &c, value);
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
        crm_ended(m, &e->waiting[i], QD_E_CANCELLED, (qd_coord_token){0, 0});
        crm_candidate_remove(e, i);
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
    if (crm_election_key_del(m, e)) crm_committed(m);
    crm_next_leader(m, e);
    return 0;
}

/* --- authority --- */

static void begin_mirror(cr_machine *m)
{
    crm_contents_free(m);
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
    qd_invariant(m->nsessions == 0 || m->sessions[m->nsessions - 1].id <= m->last_session);
    m->last_session += MIRRORED_SESSIONS; /* those without keys did not come, and may be in use */
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
             m->state != QD_COORD_MIRROR && m->state != QD_COORD_RETIRED) ||
            new_epoch <= m->epoch)
            return QD_E_CONFLICT;
        begin_mirror(m);
        qd_invariant(m->keys.n == 0 && m->nsessions == 0 && m->nelections == 0 &&
                     m->history_n == 0);
        m->state = QD_COORD_MIRROR;
        m->epoch = new_epoch;
        return 0;
    case QD_COORD_ACTIVATE:
        if (m->state != QD_COORD_MIRROR || revision != m->revision) return QD_E_CONFLICT;
        adopt_sessions(m);
        m->state = QD_COORD_ACTIVE;
        cr_machine_compact(m, m->revision); /* a copy's history has gaps */
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
    if (crm_repeated(m, id, out)) return out->rc;
    out->rc = epoch != m->epoch ? QD_E_CONFLICT : authority_step(m, action, new_epoch, revision);
    out->revision = m->revision;
    crm_answer(m, id, out);
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
        (void)crm_del_at(m, key, head.mod_revision);
        return;
    }
    cr_item *item = cr_item_pack(m->heap, CR_ROW_KEY, key, value);
    item->create_revision = head.create_revision;
    item->mod_revision = head.mod_revision;
    item->version = head.version;
    item->session = head.session;
    crm_key_put(m, item);
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
    crm_committed(m);
    qd_invariant(m->revision == revision);
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
    qd_invariant(kept > 0 || m->parts_bytes == 0);
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
    if (own && crm_repeated(m, id, out)) {
        out->rc = again(m, type, r, out);
    } else {
        run(m, type, r, out);
        if (own && !r->bad) {
            if (!out->revision) out->revision = m->revision;
            crm_answer(m, id, out);
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

/* What only rises, but for a mirror that begins anew: then the revision is another store's. */
typedef struct numbers {
    uint64_t epoch, revision, last_session, last_term, nanswers, compacted, recoveries;
    uint32_t state;
} numbers;

static numbers numbers_of(const cr_machine *m)
{
    return (numbers){m->epoch,    m->revision,  m->last_session, m->last_term,
                     m->nanswers, m->compacted, m->recoveries,   m->state};
}

/* What holds of a machine behind each entry, whatever the entry said. */
static void follows(const cr_machine *m, const numbers *was)
{
    qd_invariant(m->state <= QD_COORD_RETIRED);
    qd_invariant(was->state == QD_COORD_EMPTY || m->state != QD_COORD_EMPTY);
    qd_invariant(was->state == QD_COORD_EMPTY || m->epoch >= was->epoch);
    qd_invariant(m->out.replaced || m->revision >= was->revision);
    qd_invariant(m->out.replaced || m->compacted >= was->compacted);
    qd_invariant(m->last_session >= was->last_session);
    qd_invariant(m->last_term >= was->last_term);
    qd_invariant(m->nanswers >= was->nanswers);
    qd_invariant(m->recoveries >= was->recoveries);
    qd_invariant(m->compacted <= m->revision);
    qd_invariant((m->history_n == 0) == (m->history_bytes == 0));
    if (m->history_n) {
        qd_invariant(cr_history_at(m, 0)->now->mod_revision > m->compacted);
        qd_invariant(cr_history_at(m, m->history_n - 1)->now->mod_revision <= m->revision);
    }
    qd_invariant(m->nsessions == 0 || m->sessions[m->nsessions - 1].id <= m->last_session);
    qd_invariant(m->nparts <= CR_PARTS_MAX);
    qd_invariant(m->out.nresults <= m->out.results_cap);
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
    const numbers was = numbers_of(m);
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
    follows(m, &was);
    cr_bytes_free(&room);
    return rc;
}
