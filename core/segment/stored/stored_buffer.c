/*
 * stored_buffer.c: sources of the indexing buffer and their flush.
 */
#include "segment/stored/stored_int.h"
#include "segment/stored/stored_writer_int.h"

struct qdi_stored_buffer {
    uint32_t magic;
    qdi_stored_writer x;
};
#define MAGIC 0x51447362u

int qdi_stored_buffer_make(qd_stored_codec codec, qd_account *account, qdi_stored_buffer **out,
                           qd_err *err)
{
    qd_assert(codec == QD_STORED_DEFAULT || codec == QD_STORED_BEST);
    qdi_stored_buffer *b = qd_calloc(account, sizeof *b);
    if (!b) return qd_err_nomem(err, "stored documents");
    b->magic = MAGIC;
    int rc = qdi_stored_writer_init(&b->x, codec, NULL, account, err);
    if (rc) {
        qd_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

void qdi_stored_buffer_free(qdi_stored_buffer *b)
{
    if (!b) return;
    QD_CHECK(b, MAGIC);
    qdi_stored_writer_fini(&b->x);
    b->magic = 0;
    qd_free(b);
}

void qdi_stored_buffer_reset(qdi_stored_buffer *b)
{
    QD_CHECK(b, MAGIC);
    qdi_stored_writer_reset(&b->x);
}

void qdi_stored_buffer_rollback(qdi_stored_buffer *b, uint32_t doc)
{
    QD_CHECK(b, MAGIC);
    qdi_stored_writer *x = &b->x;
    while (x->next > doc && x->lens.n > 0) {
        uint32_t n = x->lens.at[--x->lens.n];
        x->text.n -= n;
        x->next--;
    }
}

size_t qdi_stored_buffer_bytes(const qdi_stored_buffer *b)
{
    return b->x.written + b->x.text.n + b->x.lens.n * 4 + b->x.waiting_bytes +
           b->x.entries.n * sizeof *b->x.entries.at;
}

int qdi_stored_buffer_add(qdi_stored_buffer *b, uint32_t doc, qd_str source, qd_err *err)
{
    QD_CHECK(b, MAGIC);
    return qdi_stored_writer_add(&b->x, doc, source, err);
}

int qdi_stored_write(qdi_stored_buffer *b, uint32_t docs, qd_file_writer *w, qd_buf *resident,
                     qd_err *err)
{
    if (!b) return 0;
    QD_CHECK(b, MAGIC);
    qdi_stored_writer *x = &b->x;
    int rc = qdi_stored_writer_end(x, docs, err);
    if (rc == 0) rc = qd_file_section_begin(w, QDI_SEC_STORED, false, err);
    for (uint64_t at = 0; rc == 0 && at < x->written; at += QDI_STORED_PAGE) {
        uint64_t n = x->written - at < QDI_STORED_PAGE ? x->written - at : QDI_STORED_PAGE;
        rc = qd_file_write(w, x->pages.at[at / QDI_STORED_PAGE], n, err);
    }
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    if (rc == 0) rc = qdi_stored_writer_index(x, docs, resident, err);
    return rc;
}
