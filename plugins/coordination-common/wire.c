/* wire.c: see wire.h. */
#include "wire.h"

/* A text no longer than max; bad otherwise. */
static qd_str get_text(cr_reader *r, size_t max)
{
    qd_str s = cr_get_str(r);
    if (s.n > max) r->bad = 1;
    return r->bad ? QD_STR("") : s;
}

static void put_text(cr_bytes *out, qd_str s, size_t max)
{
    cr_put_str(out, (qd_str){s.p, s.n < max ? s.n : max});
}

static int32_t over(const cr_reader *r)
{
    return r->bad || r->n ? QD_E_CORRUPT : 0;
}

void cr_wire_begin(cr_bytes *out, const cr_envelope *e)
{
    cr_put32(out, CR_WIRE_MAGIC);
    cr_put8(out, CR_WIRE_VERSION);
    cr_put8(out, e->type);
    cr_put(out, e->store_id, 16);
    cr_put64(out, e->recoveries);
    cr_put64(out, e->from);
    cr_put64(out, e->to);
    put_text(out, e->address, CR_WIRE_ADDRESS_MAX);
    put_text(out, e->name, CR_WIRE_NAME_MAX);
}

int32_t cr_wire_read(cr_reader *r, cr_envelope *e)
{
    uint32_t magic = cr_get32(r);
    uint8_t version = cr_get8(r);
    if (r->bad || magic != CR_WIRE_MAGIC) return QD_E_CORRUPT;
    if (version != CR_WIRE_VERSION) return QD_E_FORMAT_NEW;
    e->type = cr_get8(r);
    const uint8_t *id = cr_get(r, 16);
    if (id) memcpy(e->store_id, id, 16);
    e->recoveries = cr_get64(r);
    e->from = cr_get64(r);
    e->to = cr_get64(r);
    e->address = get_text(r, CR_WIRE_ADDRESS_MAX);
    e->name = get_text(r, CR_WIRE_NAME_MAX);
    if (e->type < CR_SAY_CONSENSUS || e->type >= CR_SAY_END) r->bad = 1;
    return r->bad ? QD_E_CORRUPT : 0;
}

/* --- members --- */

static void put_members(cr_bytes *out, const cr_who *m, uint32_t n)
{
    cr_put32(out, n);
    for (uint32_t i = 0; i < n; i++) {
        cr_put64(out, m[i].id);
        cr_put8(out, (uint8_t)m[i].role);
        cr_put8(out,
                (uint8_t)((m[i].alive ? 1 : 0) | (m[i].leader ? 2 : 0) | (m[i].excluded ? 4 : 0)));
        put_text(out, m[i].name, CR_WIRE_NAME_MAX);
        put_text(out, m[i].address, CR_WIRE_ADDRESS_MAX);
    }
}

static uint32_t get_members(cr_reader *r, cr_who *m)
{
    uint32_t n = cr_get32(r);
    if (n > CR_WIRE_MEMBERS_MAX) r->bad = 1;
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        m[i].id = cr_get64(r);
        m[i].role = cr_get8(r);
        uint8_t flags = cr_get8(r);
        m[i].alive = flags & 1;
        m[i].leader = flags >> 1 & 1;
        m[i].excluded = flags >> 2 & 1;
        m[i].name = get_text(r, CR_WIRE_NAME_MAX);
        m[i].address = get_text(r, CR_WIRE_ADDRESS_MAX);
        if (m[i].id == 0 || m[i].role < QD_COORD_VOTER || m[i].role > QD_COORD_SPARE || flags > 7)
            r->bad = 1;
    }
    return r->bad ? 0 : n;
}

/* --- bodies --- */

void cr_wire_info(cr_bytes *out, const cr_info *i)
{
    put_text(out, i->cluster, CR_WIRE_NAME_MAX);
    put_text(out, i->asked, CR_WIRE_ADDRESS_MAX);
    cr_put64(out, i->incarnation);
    cr_put8(out, (uint8_t)((i->pristine ? 1 : 0) | (i->leads ? 2 : 0)));
    cr_put64(out, i->epoch);
    cr_put64(out, i->leader);
    put_text(out, i->leader_address, CR_WIRE_ADDRESS_MAX);
    cr_put(out, i->promised, 16);
    cr_put32(out, i->nfirst);
    for (uint32_t k = 0; k < i->nfirst; k++) put_text(out, i->first[k], CR_WIRE_ADDRESS_MAX);
    put_members(out, i->members, i->nmembers);
}

int32_t cr_wire_info_read(cr_reader *r, cr_info *out)
{
    out->cluster = get_text(r, CR_WIRE_NAME_MAX);
    out->asked = get_text(r, CR_WIRE_ADDRESS_MAX);
    out->incarnation = cr_get64(r);
    uint8_t flags = cr_get8(r);
    out->pristine = flags & 1;
    out->leads = flags >> 1 & 1;
    out->epoch = cr_get64(r);
    out->leader = cr_get64(r);
    out->leader_address = get_text(r, CR_WIRE_ADDRESS_MAX);
    const uint8_t *id = cr_get(r, 16);
    if (id) memcpy(out->promised, id, 16);
    out->nfirst = cr_get32(r);
    if (out->nfirst > CR_WIRE_MEMBERS_MAX || flags > 3) r->bad = 1;
    for (uint32_t k = 0; k < out->nfirst && !r->bad; k++)
        out->first[k] = get_text(r, CR_WIRE_ADDRESS_MAX);
    out->nmembers = r->bad ? 0 : get_members(r, out->members);
    return over(r);
}

void cr_wire_forming(cr_bytes *out, const cr_forming *f)
{
    put_members(out, f->members, f->nmembers);
}

int32_t cr_wire_forming_read(cr_reader *r, cr_forming *out)
{
    out->nmembers = get_members(r, out->members);
    return over(r);
}

void cr_wire_request(cr_bytes *out, const cr_request *q)
{
    cr_put64(out, q->owner);
    cr_put64(out, q->number);
    cr_put64(out, q->seen);
    cr_put32(out, q->total);
    cr_put32(out, q->offset);
    cr_put_str(out, q->bytes);
}

int32_t cr_wire_request_read(cr_reader *r, cr_request *out)
{
    out->owner = cr_get64(r);
    out->number = cr_get64(r);
    out->seen = cr_get64(r);
    out->total = cr_get32(r);
    out->offset = cr_get32(r);
    out->bytes = get_text(r, CR_WIRE_PART);
    if (out->total == 0 || out->total > CR_WIRE_COMMAND_MAX || out->offset > out->total ||
        out->bytes.n > out->total - out->offset || out->bytes.n == 0)
        r->bad = 1;
    return over(r);
}

void cr_wire_answer(cr_bytes *out, const cr_answering *a)
{
    cr_put64(out, a->owner);
    cr_put64(out, a->number);
    cr_put32(out, (uint32_t)a->rc);
    cr_put32(out, a->failed);
    cr_put8(out, a->waiting ? 1 : 0);
    cr_put64(out, a->revision);
    cr_put64(out, a->session);
    cr_put64(out, (uint64_t)a->ttl_ns);
    cr_put64(out, a->token.epoch);
    cr_put64(out, a->token.term);
    put_text(out, a->text, CR_WIRE_TEXT_MAX);
    put_members(out, a->members, a->nmembers);
}

int32_t cr_wire_answer_read(cr_reader *r, cr_answering *out)
{
    out->owner = cr_get64(r);
    out->number = cr_get64(r);
    out->rc = (int32_t)cr_get32(r);
    out->failed = cr_get32(r);
    out->waiting = cr_get8(r);
    out->revision = cr_get64(r);
    out->session = cr_get64(r);
    out->ttl_ns = (int64_t)cr_get64(r);
    out->token.epoch = cr_get64(r);
    out->token.term = cr_get64(r);
    out->text = get_text(r, CR_WIRE_TEXT_MAX);
    out->nmembers = r->bad ? 0 : get_members(r, out->members);
    if (out->waiting > 1) r->bad = 1;
    return over(r);
}

void cr_wire_numbers(cr_bytes *out, uint64_t a, int32_t rc, uint64_t b, qd_str text)
{
    cr_put64(out, a);
    cr_put32(out, (uint32_t)rc);
    cr_put64(out, b);
    put_text(out, text, CR_WIRE_TEXT_MAX);
}

int32_t cr_wire_numbers_read(cr_reader *r, uint64_t *a, int32_t *rc, uint64_t *b, qd_str *text)
{
    *a = cr_get64(r);
    *rc = (int32_t)cr_get32(r);
    *b = cr_get64(r);
    *text = get_text(r, CR_WIRE_TEXT_MAX);
    return over(r);
}
