/*
 * stored_merge.c: merging. Well filled blocks of inputs without deletions and with the same codec
 * are copied without being opened; the rest is opened and packed anew, so that small blocks do not
 * pile up over generations of merges.
 */
#include "base/hash.h"
#include "segment/stored/stored_permute_int.h"
#include "segment/stored/stored_read_int.h"

typedef struct merging {
    const qdi_merge_in *in;
    const qdi_merge_part *part;
    qdi_stored_writer x;
    qd_stored_scratch scratch;
    qd_err *err;
} merging;

/* Puts out the checksum behind a frame that has none: its pages are verified once more first. */
static int add_sum(merging *m, const qdi_stored_block *b, uint64_t sum)
{
    uint8_t p[QDI_STORED_SUM];
    int rc = qd_file_check(m->part->stored->file, QDI_SEC_STORED, b->offset, b->bytes, m->err);
    qdi_stored_sum_put(p, sum);
    return rc ? rc : qdi_stored_writer_put(&m->x, p, sizeof p, m->err);
}

/* Copies one block's bytes, which must be those that its checksum was made of: the new file's pages
 * get checksums that would vouch for whatever was copied. */
static int copy_block(merging *m, const qdi_stored_block *b, uint32_t dict)
{
    qd_section_cursor c;
    qd_xxh3_stream frame;
    uint8_t last[QDI_STORED_SUM] = {0}; /* of the block */
    uint64_t body = b->bytes > sizeof last ? b->bytes - sizeof last : 0, at = 0, sum;
    int rc = qdi_stored_writer_copy(&m->x, b->docs, b->raw, dict, m->err);
    if (rc == 0)
        rc = qd_section_cursor_open(&c, m->part->stored->file, QDI_SEC_STORED, b->offset,
                                    m->in->account, m->err);
    if (rc) return rc;
    qd_xxh3_begin(&frame);
    while (rc == 0 && at < b->bytes) {
        uint64_t left = b->bytes - at;
        rc = qd_section_cursor_need(&c, left < QD_FILE_PAGE ? (size_t)left : QD_FILE_PAGE, m->err);
        if (rc) break;
        size_t n = c.have < left ? c.have : (size_t)left;
        size_t hashed = at >= body ? 0 : n < body - at ? n : (size_t)(body - at);
        qd_xxh3_update(&frame, c.p, hashed);
        if (hashed < n) memcpy(last + (at + hashed - body), c.p + hashed, n - hashed);
        rc = qdi_stored_writer_put(&m->x, c.p, n, m->err);
        qd_section_cursor_skip(&c, n);
        at += n;
    }
    qd_section_cursor_close(&c);
    if (rc) return rc;
    if (body && qdi_stored_sum_get(last, &sum))
        return qd_xxh3_digest(&frame) == sum ? 0 : qdi_stored_bad_sum(m->part->stored, b, m->err);
    qd_xxh3_update(&frame, last, (size_t)(b->bytes - body));
    return add_sum(m, b, qd_xxh3_digest(&frame));
}

static int add_document(void *arg, uint32_t doc, qd_str bytes)
{
    merging *m = arg;
    uint32_t to = qdi_merge_doc(m->part, doc);
    return to == QDI_DOC_GONE ? 0 : qdi_stored_writer_add(&m->x, to, bytes, m->err);
}

/* May this block be copied now? *dict gets its dictionary's number in the output. */
static int may_copy(merging *m, const qdi_stored_block *b, uint32_t *dict, bool *copy)
{
    const qd_stored *s = m->part->stored;
    *dict = 0;
    /* worth copying, and worth closing what waits early for it */
    uint32_t full = qdi_stored_block_bytes(m->in->codec), least = full / 2, cut = full / 4;
    *copy = m->part->map == NULL && s->head.codec == m->in->codec && b->raw >= least &&
            (m->x.lens.n == 0 || m->x.text.n >= cut) && m->x.waiting.n == 0;
    if (!*copy || !b->dict) return 0;
    int rc = qdi_stored_writer_dict(&m->x, s->dict_at[b->dict - 1], s->dict_bytes[b->dict - 1],
                                    dict, m->err);
    *copy = *dict != 0;
    return rc;
}

static int merge_part(merging *m)
{
    const qd_stored *s = m->part->stored;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->head.blocks; i++) {
        qdi_stored_block b;
        uint32_t dict;
        bool copy;
        qdi_stored_block_at(s, i, &b);
        rc = may_copy(m, &b, &dict, &copy);
        if (rc == 0 && copy) rc = qdi_stored_writer_skip_to(&m->x, m->part->base + b.first, m->err);
        if (rc == 0 && copy) rc = qdi_stored_writer_close_block(&m->x, m->err);
        if (rc == 0 && copy && m->x.waiting.n) copy = false;
        if (rc) break;
        rc = copy ? copy_block(m, &b, dict)
                  : qd_stored_scan(s, b.first, b.first + b.docs, &m->scratch, add_document, m,
                                   m->err);
        if (rc == 0) rc = qdi_merge_poll(m->in);
    }
    return rc;
}

int qdi_stored_merge(const qdi_merge_in *in, qd_file_writer *w, qd_buf *resident, qd_err *err)
{
    merging m = {.in = in, .scratch = {.account = in->account}, .err = err};
    if (in->codec == QD_STORED_NONE) return 0;
    int rc = qd_file_section_begin(w, QDI_SEC_STORED, false, err);
    if (rc) return rc;
    rc = qdi_stored_writer_init(&m.x, (qd_stored_codec)in->codec, w, in->account, err);
    if (rc == 0 && in->permuted) rc = qdi_stored_permute(in, &m.x, &m.scratch, err);
    for (uint32_t i = 0; rc == 0 && !in->permuted && i < in->n; i++) {
        m.part = &in->parts[i];
        if (m.part->stored) rc = merge_part(&m);
    }
    if (rc == 0) rc = qdi_stored_writer_end(&m.x, in->docs, err);
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    if (rc == 0) rc = qdi_stored_writer_index(&m.x, in->docs, resident, err);
    qdi_stored_writer_fini(&m.x);
    qd_stored_scratch_fini(&m.scratch);
    return rc;
}
