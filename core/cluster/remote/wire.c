/* wire.c: bodies of the messages between remote nodes and masters. See wire_int.h. */
#include "cluster/remote/wire_int.h"
#include <string.h>

void qdi_remote_write_kv(qd_writer *w, const qd_coord_kv *kv)
{
    qd_write_str(w, kv->key);
    qd_write_bool(w, kv->value != NULL);
    qd_write_varint(w, kv->value_len);
    if (kv->value) qd_write_raw(w, kv->value, (size_t)kv->value_len);
    qd_write_varint(w, kv->create_revision);
    qd_write_varint(w, kv->mod_revision);
    qd_write_varint(w, kv->version);
    qd_write_varint(w, kv->session);
}

qd_coord_kv qdi_remote_read_kv(qd_body_reader *r)
{
    qd_coord_kv kv = {.key = qd_read_str(r, "key", REMOTE_KEY_MAX)};
    bool there = qd_read_bool(r, "has value");
    kv.value_len = qd_read_varint_max(r, "value length", REMOTE_VALUE_MAX);
    if (there) {
        qd_str value = qd_read_raw(r, "value", (size_t)kv.value_len);
        kv.value = (const uint8_t *)(value.p ? value.p : "");
    }
    kv.create_revision = qd_read_varint(r, "create revision");
    kv.mod_revision = qd_read_varint(r, "mod revision");
    kv.version = qd_read_varint(r, "version");
    kv.session = qd_read_varint(r, "session");
    return kv;
}

void qdi_remote_write_identity(qd_writer *w, const qd_coord_identity *i, qd_store_kind kind)
{
    size_t part = qd_write_part(w);
    qd_write_varint(w, i->state);
    qd_write_raw(w, i->store_id, sizeof i->store_id);
    qd_write_varint(w, i->epoch);
    qd_write_varint(w, i->revision);
    qd_write_varint(w, i->compacted);
    qd_write_varint(w, i->connected);
    qd_write_varint(w, kind);
    qd_write_part_end(w, part);
}

void qdi_remote_read_identity(qd_body_reader *r, qd_coord_identity *out, qd_store_kind *kind)
{
    qd_body_reader p = qd_read_part(r, "identity");
    *out = (qd_coord_identity){.struct_size = sizeof *out, .role = QD_COORD_CLIENT};
    out->state = (uint32_t)qd_read_varint_max(&p, "state", QD_COORD_RETIRED);
    qd_str id = qd_read_raw(&p, "store id", sizeof out->store_id);
    if (id.n == sizeof out->store_id) memcpy(out->store_id, id.p, id.n);
    out->epoch = qd_read_varint(&p, "epoch");
    out->revision = qd_read_varint(&p, "revision");
    out->compacted = qd_read_varint(&p, "compacted");
    out->connected = (uint32_t)qd_read_varint_max(&p, "connected", 1);
    *kind = QD_STORE_MASTERS; /* older masters do not tell */
    if (!qd_body_reader_bad(&p) && qd_body_reader_left(&p)) {
        uint64_t n = qd_read_varint(&p, "kind");
        *kind = n <= QD_STORE_KUBERNETES ? (qd_store_kind)n : QD_STORE_UNKNOWN;
    }
    if (qd_body_reader_bad(&p)) qd_body_reader_fail(r, "identity", "is damaged");
}

/* --- requests -------------------------------------------------------------------------------- */

void qdi_remote_write_range(qd_writer *w, const qd_coord_range *r)
{
    qd_write_str(w, r->key);
    qd_write_str(w, r->end);
    qd_write_varint(w, r->flags);
    qd_write_varint(w, r->limit);
    qd_write_varint(w, r->min_revision);
}

void qdi_remote_read_range(qd_body_reader *r, qd_coord_range *out)
{
    out->key = qd_read_str(r, "key", REMOTE_KEY_MAX);
    out->end = qd_read_str(r, "end", REMOTE_KEY_MAX);
    out->flags = (uint32_t)qd_read_varint_max(r, "flags", UINT32_MAX);
    out->limit = (uint32_t)qd_read_varint_max(r, "limit", UINT32_MAX);
    out->min_revision = qd_read_varint(r, "min revision");
}

static void write_id(qd_writer *w, const uint8_t id[16])
{
    qd_write_raw(w, id, 16);
}

static void read_id(qd_body_reader *r, uint8_t id[16])
{
    qd_str s = qd_read_raw(r, "request id", 16);
    if (s.n == 16) memcpy(id, s.p, 16);
}

static void write_token(qd_writer *w, const qd_coord_token *t)
{
    qd_write_varint(w, t->epoch);
    qd_write_varint(w, t->term);
}

static qd_coord_token read_token(qd_body_reader *r)
{
    qd_coord_token t = {.epoch = qd_read_varint(r, "epoch")};
    t.term = qd_read_varint(r, "term");
    return t;
}

void qdi_remote_write_txn(qd_writer *w, const qd_coord_txn *t)
{
    write_id(w, t->id);
    write_token(w, &t->token);
    qd_write_str(w, t->election);
    qd_write_array(w, t->ncompares);
    for (uint32_t i = 0; i < t->ncompares; i++) {
        const qd_coord_compare *c = &t->compares[i];
        qd_write_str(w, c->key);
        qd_write_varint(w, c->type);
        qd_write_varint(w, c->number);
        if (c->type == QD_COORD_CMP_HASH) qd_write_raw(w, c->hash, sizeof c->hash);
    }
    qd_write_array(w, t->nchanges);
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        qd_write_varint(w, c->type);
        qd_write_str(w, c->key);
        qd_write_str(w, c->value);
        qd_write_varint(w, c->session);
    }
}

static void read_compares(qd_body_reader *r, qd_arena *a, qd_coord_txn *out)
{
    size_t n = qd_read_array(r, "compares", REMOTE_OPS_MAX, 3);
    qd_coord_compare *at = qd_arena_calloc(a, (n + 1) * sizeof *at);
    if (!at) {
        qd_body_reader_fail(r, "compares", "do not fit into memory");
        return;
    }
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        at[i].key = qd_read_str(r, "key", REMOTE_KEY_MAX);
        at[i].type = (uint32_t)qd_read_varint_max(r, "type of a compare", UINT32_MAX);
        at[i].number = qd_read_varint(r, "number");
        if (at[i].type != QD_COORD_CMP_HASH) continue;
        qd_str hash = qd_read_raw(r, "hash", sizeof at[i].hash);
        if (hash.n == sizeof at[i].hash) memcpy(at[i].hash, hash.p, hash.n);
    }
    out->compares = at;
    out->ncompares = (uint32_t)n;
}

void qdi_remote_read_txn(qd_body_reader *r, qd_arena *a, qd_coord_txn *out)
{
    read_id(r, out->id);
    out->token = read_token(r);
    out->election = qd_read_str(r, "election", REMOTE_KEY_MAX);
    read_compares(r, a, out);
    size_t n = qd_read_array(r, "changes", REMOTE_OPS_MAX, 4);
    qd_coord_change *at = qd_arena_calloc(a, (n + 1) * sizeof *at);
    if (!at) {
        qd_body_reader_fail(r, "changes", "do not fit into memory");
        return;
    }
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        at[i].type = (uint32_t)qd_read_varint_max(r, "type of a change", UINT32_MAX);
        at[i].key = qd_read_str(r, "key", REMOTE_KEY_MAX);
        at[i].value = qd_read_str(r, "value", REMOTE_VALUE_MAX);
        at[i].session = qd_read_varint(r, "session");
    }
    out->changes = at;
    out->nchanges = (uint32_t)n;
}

void qdi_remote_write_session(qd_writer *w, const qd_coord_session *s)
{
    qd_write_varint(w, s->action);
    qd_write_varint(w, s->session);
    qd_write_zigzag(w, s->ttl_ns);
    write_id(w, s->id);
}

void qdi_remote_read_session(qd_body_reader *r, qd_coord_session *out)
{
    out->action = (uint32_t)qd_read_varint_max(r, "action", UINT32_MAX);
    out->session = qd_read_varint(r, "session");
    out->ttl_ns = qd_read_zigzag(r, "ttl");
    read_id(r, out->id);
}

void qdi_remote_write_election(qd_writer *w, const qd_coord_election *e)
{
    qd_write_varint(w, e->action);
    qd_write_str(w, e->name);
    qd_write_str(w, e->value);
    qd_write_varint(w, e->session);
    write_token(w, &e->token);
}

void qdi_remote_read_election(qd_body_reader *r, qd_coord_election *out)
{
    out->action = (uint32_t)qd_read_varint_max(r, "action", UINT32_MAX);
    out->name = qd_read_str(r, "name", REMOTE_KEY_MAX);
    out->value = qd_read_str(r, "value", REMOTE_VALUE_MAX);
    out->session = qd_read_varint(r, "session");
    out->token = read_token(r);
}

static void write_member(qd_writer *w, const qd_coord_member *m)
{
    qd_write_str(w, m->id);
    qd_write_str(w, m->name);
    qd_write_str(w, m->address);
    qd_write_varint(w, m->role);
    qd_write_varint(w, m->leader);
    qd_write_varint(w, m->alive);
}

static qd_coord_member read_member(qd_body_reader *r)
{
    qd_coord_member m = {.id = qd_read_str(r, "id", REMOTE_KEY_MAX)};
    m.name = qd_read_str(r, "name", REMOTE_KEY_MAX);
    m.address = qd_read_str(r, "address", REMOTE_KEY_MAX);
    m.role = (uint32_t)qd_read_varint_max(r, "role", UINT32_MAX);
    m.leader = (uint32_t)qd_read_varint_max(r, "leader", 1);
    m.alive = (uint32_t)qd_read_varint_max(r, "alive", 1);
    return m;
}

void qdi_remote_write_members(qd_writer *w, const qd_coord_members *m)
{
    qd_write_varint(w, m->action);
    write_member(w, &m->change);
}

void qdi_remote_read_members(qd_body_reader *r, qd_coord_members *out)
{
    out->action = (uint32_t)qd_read_varint_max(r, "action", UINT32_MAX);
    out->change = read_member(r);
}

/* --- answers --------------------------------------------------------------------------------- */

void qdi_remote_write_range_answer(qd_writer *w, const qd_coord_range *r)
{
    qd_write_varint(w, r->revision);
    qd_write_bool(w, r->more != 0);
    qd_write_array(w, r->nkvs);
    for (uint32_t i = 0; i < r->nkvs; i++) qdi_remote_write_kv(w, &r->kvs[i]);
}

int qdi_remote_read_range_answer(qd_body_reader *r, qd_arena *a, qd_coord_range *out)
{
    out->revision = qd_read_varint(r, "revision");
    out->more = qd_read_bool(r, "more");
    size_t n = qd_read_array(r, "keys", REMOTE_KEYS_MAX, 7);
    qd_coord_kv *at = qd_arena_alloc(a, (n + 1) * sizeof *at);
    if (!at) return QD_E_NOMEM;
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) at[i] = qdi_remote_read_kv(r);
    out->kvs = at;
    out->nkvs = (uint32_t)n;
    return 0;
}

void qdi_remote_write_members_answer(qd_writer *w, const qd_coord_members *m)
{
    qd_write_array(w, m->nmembers);
    for (uint32_t i = 0; i < m->nmembers; i++) write_member(w, &m->members[i]);
}

int qdi_remote_read_members_answer(qd_body_reader *r, qd_arena *a, qd_coord_members *out)
{
    size_t n = qd_read_array(r, "members", REMOTE_MEMBERS_MAX, 6);
    qd_coord_member *at = qd_arena_alloc(a, (n + 1) * sizeof *at);
    if (!at) return QD_E_NOMEM;
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) at[i] = read_member(r);
    out->members = at;
    out->nmembers = (uint32_t)n;
    return 0;
}

void qdi_remote_write_event(qd_writer *w, const qd_coord_event *e)
{
    qd_write_varint(w, e->type);
    qdi_remote_write_kv(w, &e->kv);
}

qd_coord_event qdi_remote_read_event(qd_body_reader *r)
{
    qd_coord_event e = {.type = (uint32_t)qd_read_varint_max(r, "type of an event", UINT32_MAX)};
    e.kv = qdi_remote_read_kv(r);
    return e;
}
