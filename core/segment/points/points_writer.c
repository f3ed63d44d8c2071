/*
 * points_writer.c: sorted points to blocks of 512.
 */
#include "segment/points/points_writer_int.h"

int qdi_points_writer_begin(qdi_points_writer *x, qd_file_writer *w, uint32_t field, uint8_t type,
                            uint32_t docs, bool multi, qd_account *account, qd_err *err)
{
    x->w = w;
    x->account = account;
    x->head = (qdi_points_head){.field = field, .type = type, .offset = qd_file_section_at(w)};
    x->n = 0;
    x->seen = NULL;
    qd_buf_init(&x->blocks, account, (size_t)1 << 40);
    if (!multi) return 0;
    x->seen = qd_calloc(account, ((size_t)docs / 64 + 1) * sizeof *x->seen);
    return x->seen ? 0 : qd_err_nomem(err, "points");
}

void qdi_points_writer_fini(qdi_points_writer *x)
{
    qd_free(x->seen);
    x->seen = NULL;
    qd_buf_fini(&x->blocks);
}

static int flush(qdi_points_writer *x, qd_err *err)
{
    uint64_t v[QD_POINTS_BLOCK], low_max = 0;
    uint8_t body[QD_POINTS_BLOCK * 20 + 64], *p = body;
    qdi_points_block b = {.first = x->keys[0], .low_base = UINT64_MAX, .doc_base = UINT32_MAX};
    uint32_t doc_max = 0;
    if (x->n == 0) return 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (x->keys[i].lo < b.low_base) b.low_base = x->keys[i].lo;
        if (x->keys[i].lo > low_max) low_max = x->keys[i].lo;
        if (x->docs[i] < b.doc_base) b.doc_base = x->docs[i];
        if (x->docs[i] > doc_max) doc_max = x->docs[i];
    }
    b.offset = x->head.bytes;
    b.high_width = (uint8_t)qdi_pack_width(x->keys[x->n - 1].hi - b.first.hi);
    b.low_width = (uint8_t)qdi_pack_width(low_max - b.low_base);
    b.doc_width = (uint8_t)qdi_pack_width(doc_max - b.doc_base);
    for (uint32_t i = 0; i < x->n; i++) v[i] = x->keys[i].hi - b.first.hi;
    qdi_pack_put(v, x->n, b.high_width, p);
    p += qdi_pack_bytes(x->n, b.high_width);
    for (uint32_t i = 0; i < x->n; i++) v[i] = x->keys[i].lo - b.low_base;
    qdi_pack_put(v, x->n, b.low_width, p);
    p += qdi_pack_bytes(x->n, b.low_width);
    for (uint32_t i = 0; i < x->n; i++) v[i] = x->docs[i] - b.doc_base;
    qdi_pack_put(v, x->n, b.doc_width, p);
    p += qdi_pack_bytes(x->n, b.doc_width);

    x->head.bytes += (uint64_t)(p - body);
    x->head.blocks++;
    x->head.points += x->n;
    x->head.max = x->keys[x->n - 1];
    x->n = 0;
    if (qd_buf_add(&x->blocks, &b, sizeof b)) return qd_err_nomem(err, "points");
    return qd_file_write(x->w, body, (size_t)(p - body), err);
}

int qdi_points_writer_add(qdi_points_writer *x, qdi_point_key key, uint32_t doc, qd_err *err)
{
    if (x->n == QD_POINTS_BLOCK) {
        int rc = flush(x, err);
        if (rc) return rc;
    }
    qd_dassert(x->n == 0 || !qdi_point_less(key, x->keys[x->n - 1]));
    if (x->seen) {
        uint64_t bit = (uint64_t)1 << (doc & 63), *w = &x->seen[doc / 64];
        x->head.docs += (*w & bit) == 0;
        *w |= bit;
    } else {
        x->head.docs++;
    }
    x->keys[x->n] = key;
    x->docs[x->n++] = doc;
    return 0;
}

int qdi_points_writer_end(qdi_points_writer *x, qd_buf *index, qd_err *err)
{
    int rc = flush(x, err);
    if (rc || x->head.points == 0) return rc;
    x->head.multi = x->head.docs != x->head.points;
    if (qd_buf_add(index, &x->head, sizeof x->head) || qd_buf_str(index, qd_buf_view(&x->blocks)))
        return qd_err_nomem(err, "points");
    return 0;
}
