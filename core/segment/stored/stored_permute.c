/*
 * stored_permute.c: see the header. A distribution sort: blocks hold documents that go anywhere, so
 * each is opened once and its documents are dealt out to ranges of new numbers; then one range
 * after the other is read back, put into order and packed.
 */
#include "segment/postings/spool_int.h"
#include "segment/stored/stored_permute_int.h"
#include "segment/stored/stored_read_int.h"

#define SPILL 5u /* number of the log, behind those of the inverted part */
#define PIECE_LEAST ((size_t)16 << 10)
#define HEAD 8u /* of a document that waits: number, bytes */

size_t qdi_stored_permute_memory = (size_t)32 << 20;

typedef struct piece {
    uint64_t at;
    size_t bytes;
} piece;

/* What waits of the documents [number * each, + each). */
typedef struct range {
    qd_buf buf;        /* the newest */
    QD_VEC(piece) log; /* those in the log */
    uint64_t bytes;
} range;

typedef struct permuting {
    const qdi_merge_in *in;
    const qdi_merge_part *part;
    qdi_stored_writer *x;
    qd_err *err;
    qdi_spool log;
    range *ranges;
    uint32_t n, each; /* ranges, documents of one */
    size_t piece;     /* bytes of one that go to the log together */
    /* the range in hand */
    QD_VEC(char) text;
    QD_VEC(char) raw;
    QD_VEC(size_t) at; /* of each document in text, + 1; 0: it is empty */
    QD_VEC(uint32_t) length;
} permuting;

static int no_memory(const permuting *m)
{
    return qd_err_nomem(m->err, "order of stored documents");
}

/* --- dealing out ------------------------------------------------------------------------------ */

static int to_log(permuting *m, range *r)
{
    piece p = {qdi_spool_at(&m->log), r->buf.n};
    if (qd_vec_push(&r->log, m->in->account, p)) return no_memory(m);
    int rc = qdi_spool_add(&m->log, r->buf.p, r->buf.n, m->err);
    qd_buf_reset(&r->buf);
    return rc;
}

static int deal(void *arg, uint32_t doc, qd_str bytes)
{
    permuting *m = arg;
    uint32_t to = m->part->map[doc];
    if (to == QDI_DOC_GONE || bytes.n == 0) return 0;
    range *r = &m->ranges[to / m->each];
    uint8_t head[HEAD];
    qd_put_u32le(head, to);
    qd_put_u32le(head + 4, (uint32_t)bytes.n);
    if (qd_buf_add(&r->buf, head, sizeof head) || qd_buf_str(&r->buf, bytes)) return no_memory(m);
    r->bytes += sizeof head + bytes.n;
    return m->n > 1 && r->buf.n >= m->piece ? to_log(m, r) : 0;
}

static int deal_part(permuting *m, qd_stored_scratch *scratch)
{
    const qd_stored *s = m->part->stored;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->head.blocks; i++) {
        qdi_stored_block b;
        qdi_stored_block_at(s, i, &b);
        rc = qd_stored_scan(s, b.first, b.first + b.docs, scratch, deal, m, m->err);
        if (rc == 0) rc = qdi_merge_poll(m->in);
    }
    return rc;
}

static int begin(permuting *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m->in->n; i++) {
        const qd_stored *s = m->in->parts[i].stored;
        if (s) bytes += s->head.raw_bytes + (uint64_t)HEAD * s->head.docs;
    }
    uint64_t n = bytes / qdi_stored_permute_memory + 1;
    m->n = n < m->in->docs ? (uint32_t)n : m->in->docs;
    m->each = (m->in->docs + m->n - 1) / m->n;
    m->piece = qdi_stored_permute_memory / m->n;
    if (m->piece < PIECE_LEAST) m->piece = PIECE_LEAST;
    m->ranges = qd_calloc(m->in->account, m->n * sizeof *m->ranges);
    if (!m->ranges) return no_memory(m);
    for (uint32_t i = 0; i < m->n; i++)
        qd_buf_init(&m->ranges[i].buf, m->in->account, (size_t)1 << 40);
    return qdi_spool_init(&m->log, m->in->store, m->in->name, SPILL, m->in->account, m->err);
}

static void end(permuting *m)
{
    for (uint32_t i = 0; m->ranges && i < m->n; i++) {
        qd_buf_fini(&m->ranges[i].buf);
        qd_vec_fini(&m->ranges[i].log);
    }
    qd_free(m->ranges);
    if (m->log.name) qdi_spool_fini(&m->log);
    qd_vec_fini(&m->text);
    qd_vec_fini(&m->raw);
    qd_vec_fini(&m->at);
    qd_vec_fini(&m->length);
}

/* --- taking back ------------------------------------------------------------------------------ */

/* Keeps the documents [from, to) of some that waited. */
static int take(permuting *m, const char *p, size_t n, uint32_t from, uint32_t to)
{
    for (const char *end_of = p + n; p < end_of;) {
        uint32_t doc = qd_get_u32le((const uint8_t *)p);
        uint32_t bytes = qd_get_u32le((const uint8_t *)p + 4);
        p += HEAD;
        if (doc >= from && doc < to) {
            if (qd_vec_reserve(&m->text, m->in->account, bytes)) return no_memory(m);
            m->at.at[doc - from] = m->text.n + 1;
            m->length.at[doc - from] = bytes;
            memcpy(m->text.at + m->text.n, p, bytes);
            m->text.n += bytes;
        }
        p += bytes;
    }
    return 0;
}

static int take_range(permuting *m, const range *r, uint32_t from, uint32_t to)
{
    m->text.n = m->at.n = m->length.n = 0;
    if (qd_vec_reserve(&m->at, m->in->account, to - from) ||
        qd_vec_reserve(&m->length, m->in->account, to - from))
        return no_memory(m);
    memset(m->at.at, 0, (size_t)(to - from) * sizeof *m->at.at);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->log.n; i++) {
        const piece *p = &r->log.at[i];
        m->raw.n = 0;
        if (qd_vec_reserve(&m->raw, m->in->account, p->bytes)) return no_memory(m);
        rc = qdi_spool_read(&m->log, p->at, m->raw.at, p->bytes, m->err);
        if (rc == 0) rc = take(m, m->raw.at, p->bytes, from, to);
    }
    return rc ? rc : take(m, r->buf.p, r->buf.n, from, to);
}

/* A range of far more bytes than the others is taken back in several parts. */
static int give_range(permuting *m, uint32_t number)
{
    const range *r = &m->ranges[number];
    uint64_t first = (uint64_t)number * m->each, last = first + m->each;
    if (last > m->in->docs) last = m->in->docs;
    uint64_t parts = r->bytes / (2 * qdi_stored_permute_memory) + 1;
    uint64_t step = (m->each + parts - 1) / parts;
    int rc = 0;
    for (uint64_t from = first; rc == 0 && from < last; from += step) {
        uint32_t to = (uint32_t)(from + step < last ? from + step : last);
        rc = take_range(m, r, (uint32_t)from, to);
        for (uint32_t d = (uint32_t)from; rc == 0 && d < to; d++) {
            size_t at = m->at.at[d - from];
            if (at == 0) continue;
            qd_str text = {m->text.at + at - 1, m->length.at[d - from]};
            rc = qdi_stored_writer_add(m->x, d, text, m->err);
            if (rc == 0 && d % 4096 == 0) rc = qdi_merge_poll(m->in);
        }
    }
    return rc ? rc : qdi_merge_poll(m->in);
}

int qdi_stored_permute(const qdi_merge_in *in, qdi_stored_writer *x, qd_stored_scratch *scratch,
                       qd_err *err)
{
    permuting m = {.in = in, .x = x, .err = err};
    int rc = begin(&m);
    for (uint32_t i = 0; rc == 0 && i < in->n; i++) {
        m.part = &in->parts[i];
        if (m.part->stored) rc = deal_part(&m, scratch);
    }
    for (uint32_t i = 0; rc == 0 && i < m.n; i++) {
        rc = give_range(&m, i);
        qd_buf_fini(&m.ranges[i].buf);
    }
    end(&m);
    return rc;
}
