/* message.c: see message.h. */
#include "message.h"

enum { MAGIC = 0x31524451 /* "QDR1" */, VERSION = 1, ENTRY_HEAD = 13 };
enum { FLAGS = CR_M_REFUSED | CR_M_TRANSFER | CR_M_NOSPACE | CR_M_LAST };

uint64_t cr_group_of(const uint8_t cluster[16], uint64_t recoveries)
{
    return cr_sum64(cluster, 16, recoveries ^ MAGIC);
}

void cr_message_write(const cr_message *m, const cr_envelope *e, cr_bytes *out)
{
    size_t begin = out->n;
    cr_bytes members = {.heap = out->heap};
    if (m->members) cr_members_write(m->members, &members);
    cr_put32(out, MAGIC);
    cr_put8(out, VERSION);
    cr_put8(out, (uint8_t)m->type);
    cr_put8(out, (uint8_t)m->flags);
    cr_put8(out, 0);
    const uint64_t numbers[] = {e->group,     e->life,       e->nonce,    e->proof_life, e->proof,
                                e->your_life, e->your_nonce, e->durable,  m->from,       m->to,
                                m->term,      m->index,      m->log_term, m->commit,     m->round,
                                m->hint,      m->hint_term,  m->offset,   m->total};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) cr_put64(out, numbers[i]);
    cr_put32(out, m->nentries);
    cr_put32(out, (uint32_t)members.n);
    cr_put32(out, m->nbytes);
    cr_put32(out, 0);
    for (uint32_t i = 0; i < m->nentries; i++) {
        const cr_log_entry *k = m->entries[i];
        cr_put64(out, k->term);
        cr_put8(out, (uint8_t)k->type);
        cr_put32(out, k->n);
        cr_put(out, k->bytes, k->n);
    }
    cr_put(out, members.p, members.n);
    cr_put(out, m->bytes, m->nbytes);
    cr_bytes_free(&members);
    cr_put64(out, cr_sum64(out->p + begin, out->n - begin, MAGIC));
}

static int32_t read_entries(const cr_heap *h, cr_reader *r, cr_message *m, uint32_t n)
{
    if (n > CR_MESSAGE_ENTRIES_MAX || n > r->n / ENTRY_HEAD) return QD_E_CORRUPT;
    m->entries = cr_must(h, n * sizeof(cr_log_entry *));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t term = cr_get64(r);
        uint8_t type = cr_get8(r);
        uint32_t bytes = cr_get32(r);
        const uint8_t *p = cr_get(r, bytes);
        if (r->bad || type > CR_LOG_MEMBERS || bytes > CR_MESSAGE_ENTRY_MAX) return QD_E_CORRUPT;
        if (type == CR_LOG_MEMBERS) { /* what is in the log is readable */
            cr_members *list = cr_members_read(h, p, bytes);
            if (!list) return QD_E_CORRUPT;
            cr_members_drop(list);
        }
        m->entries[m->nentries++] = cr_log_entry_make(h, m->index + 1 + i, term, type, p, bytes);
    }
    return 0;
}

static int32_t read_rest(const cr_heap *h, cr_reader *r, cr_message *m)
{
    uint32_t entries = cr_get32(r), members = cr_get32(r), bytes = cr_get32(r);
    (void)cr_get32(r);
    if (r->bad || (entries && m->type != CR_APPEND) ||
        ((members || bytes) && m->type != CR_SNAPSHOT))
        return QD_E_CORRUPT;
    if (entries) {
        if (m->index > UINT64_MAX / 2) return QD_E_CORRUPT;
        int32_t rc = read_entries(h, r, m, entries);
        if (rc) return rc;
    }
    if (members) {
        const uint8_t *p = cr_get(r, members);
        m->members = p ? cr_members_read(h, p, members) : NULL;
        if (!m->members) return QD_E_CORRUPT;
    }
    if (bytes) {
        const uint8_t *p = cr_get(r, bytes);
        if (!p || m->offset > m->total || bytes > m->total - m->offset) return QD_E_CORRUPT;
        m->bytes = cr_must(h, bytes);
        memcpy(m->bytes, p, bytes);
        m->nbytes = bytes;
    }
    return r->n ? QD_E_CORRUPT : 0;
}

int32_t cr_message_read(const cr_heap *h, const uint8_t *p, size_t n, cr_message *m, cr_envelope *e)
{
    cr_reader r = {.p = p, .n = n};
    memset(m, 0, sizeof *m);
    memset(e, 0, sizeof *e);
    if (n > CR_MESSAGE_BYTES_MAX || n < 8 || cr_get32(&r) != MAGIC) return QD_E_CORRUPT;
    if (cr_get8(&r) != VERSION) return QD_E_ABI;
    r.n -= n >= 16 ? 8 : 0;
    if (n < 16 || cr_load64(p + n - 8) != cr_sum64(p, n - 8, MAGIC)) return QD_E_CORRUPT;
    m->type = cr_get8(&r);
    m->flags = cr_get8(&r);
    uint8_t zero = cr_get8(&r);
    uint64_t *const numbers[] = {&e->group,     &e->life,      &e->nonce,      &e->proof_life,
                                 &e->proof,     &e->your_life, &e->your_nonce, &e->durable,
                                 &m->from,      &m->to,        &m->term,       &m->index,
                                 &m->log_term,  &m->commit,    &m->round,      &m->hint,
                                 &m->hint_term, &m->offset,    &m->total};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) *numbers[i] = cr_get64(&r);
    int32_t rc = r.bad || zero || m->type < CR_PREVOTE || m->type > CR_NOTHING ||
                         (m->flags & ~(uint32_t)FLAGS) || m->from == 0 || m->to == 0
                     ? QD_E_CORRUPT
                     : read_rest(h, &r, m);
    if (rc) cr_message_clear(h, m);
    return rc;
}
