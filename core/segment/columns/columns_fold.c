/*
 * columns_fold.c: sums and bounds of a block straight from its packed values.
 */
#include "segment/columns/column_reader_int.h"

/* Stands the reader on the packed values [*first, *first + *n) of documents [from, to): 1, where
 * there are none with *n 0; 0 with *n 0: not for how the block is written. */
static int stand_on_packed(qd_column_reader *rd, uint32_t from, uint32_t to, const uint64_t *bits,
                           uint32_t *first, uint32_t *n, qd_err *err)
{
    *n = 0;
    if (rd->c->stats.type != QD_COLUMN_I64 || from >= to || to > rd->c->segment_docs ||
        from >> QDI_COLUMN_BLOCK_SHIFT != (to - 1) >> QDI_COLUMN_BLOCK_SHIFT || (bits && from & 63))
        return 0;
    int rc = qdi_column_stand(rd, from, err);
    if (rc < 0) return rc;
    if (rc == 0) return 1;
    const qdi_block *b = &rd->block;
    bool has;
    if (b->h.starts || b->h.encoding != QDI_ENC_PACKED ||
        (bits && b->h.presence != QDI_PRESENT_ALL))
        return 0;
    *first = qdi_block_rank(b, from - b->from, &has);
    *n = qdi_block_rank(b, to - b->from, &has) - *first;
    return 1;
}

int qd_column_fold(qd_column_reader *rd, uint32_t from, uint32_t to, const uint64_t *bits,
                   bool bounds, qd_column_folded *out, qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    *out = (qd_column_folded){.min = INT64_MAX, .max = INT64_MIN};
    uint32_t r0, n;
    int rc = stand_on_packed(rd, from, to, bits, &r0, &n, err);
    if (rc < 0 || !n) return rc;
    const qdi_block *b = &rd->block;
    if (b->h.width > QDI_FOLD_WIDTH_MAX) return 0;
    qdi_pack_fold f;
    rd->k->fold(b->packed, b->h.width, r0, n, bits, bounds, &f);
    out->n = f.n;
    out->sum =
        (__int128)b->h.base * (__int128)f.n + (__int128)((unsigned __int128)b->h.mult * f.sum);
    if (!bounds || !f.n) return 1;
    out->min = (int64_t)((uint64_t)b->h.base + b->h.mult * f.min);
    out->max = (int64_t)((uint64_t)b->h.base + b->h.mult * f.max);
    return 1;
}

int qd_column_fold_f64(qd_column_reader *rd, uint32_t from, uint32_t to, const uint64_t *bits,
                       bool bounds, qd_fsum *io, qd_column_folded *out, qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    *out = (qd_column_folded){.min = INT64_MAX, .max = INT64_MIN};
    uint32_t r0, n;
    int rc = stand_on_packed(rd, from, to, bits, &r0, &n, err);
    if (rc < 0 || !n) return rc;
    const qdi_block_head *h = &rd->block.h;
    const int64_t most = qd_sortable_f64(QD_FSUM_MAX), least = qd_sortable_f64(-QD_FSUM_MAX);
    /* a divisor of doubles is the zeros at their ends, so mostly a power of two */
    if (h->mult & (h->mult - 1) || !h->mult || h->min < least || h->max > most) return 0;
    qdi_pack_reals r = {.base = (uint64_t)h->base, .shift = (uint32_t)__builtin_ctzll(h->mult)};
    rd->k->fold_f64(rd->block.packed, h->width, r0, n, bits, bounds, &r, io);
    out->n = r.n;
    out->min = r.min;
    out->max = r.max;
    return 1;
}
