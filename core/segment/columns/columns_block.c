/*
 * columns_block.c: one block body: place, presence, starts, values; every doubt ends in corruption.
 */
#include "segment/columns/column_reader_int.h"

int qdi_block_bad(const qd_column_reader *rd, qd_err *err, const char *what)
{
    return qd_file_corrupt(rd->c->file, QDI_SEC_COLUMNS, rd->c->offset + rd->block.h.offset, err,
                           what);
}

/* Where the body of head index i begins, NULL when it was not planned. */
static const uint8_t *body_at(const qd_column_reader *rd, uint32_t i, const qdi_block_head *h)
{
    if (!rd->indexes) {
        qdi_block_head first;
        if (i < rd->first || i - rd->first >= rd->n) return NULL;
        qdi_column_head_at(rd->c, rd->first, &first);
        return qd_reads_at(rd->reads, rd->slot) + (h->offset - first.offset);
    }
    uint32_t lo = 0, n = rd->n;
    while (n > 1) {
        uint32_t half = n / 2;
        if (rd->indexes[lo + half] <= i) lo += half;
        n -= half;
    }
    return n && rd->indexes[lo] == i ? qd_reads_at(rd->reads, rd->slots[lo]) : NULL;
}

static bool presence_good(const qdi_block *b)
{
    const qdi_block_head *h = &b->h;
    if (h->presence == QDI_PRESENT_LIST) {
        uint32_t before = 0;
        for (uint32_t i = 0; i < h->docs; i++) {
            uint32_t d = qd_get_u16le(b->presence + 2 * i);
            if (d >= b->all || (i > 0 && d <= before)) return false;
            before = d;
        }
    } else if (h->presence == QDI_PRESENT_BITS) {
        const uint8_t *words = b->presence + QDI_PRESENT_RANKS * 2;
        uint32_t rank = 0;
        for (uint32_t i = 0; i < QDI_PRESENT_WORDS; i++) {
            uint64_t w = qd_get_u64le(words + 8 * i);
            if (i % 8 == 0 && qd_get_u16le(b->presence + i / 8 * 2) != rank) return false;
            if (b->all < 64 * (i + 1) && (b->all <= 64 * i ? w : w >> (b->all - 64 * i)) != 0)
                return false;
            rank += (uint32_t)__builtin_popcountll(w);
        }
        if (rank != h->docs) return false;
    }
    return true;
}

int qdi_column_load(qd_column_reader *rd, uint32_t i, qd_err *err)
{
    qdi_block *b = &rd->block;
    if (b->index == i) return 0;
    qdi_column_head_at(rd->c, i, &b->h);
    const uint8_t *p = body_at(rd, i, &b->h);
    b->index = UINT32_MAX;
    rd->starts_loaded = false;
    if (qd_never(!p))
        return qd_err_set(err, QD_E_INTERNAL, "a block of a column was read but not planned");
    b->from = b->h.block << QDI_COLUMN_BLOCK_SHIFT;
    b->all = qdi_column_block_docs(rd->c, b->h.block);
    b->presence = p;
    b->starts = p + qdi_block_presence_bytes(&b->h);
    b->table = b->starts + qdi_block_starts_bytes(&b->h);
    b->packed = b->table + qdi_block_table_bytes(&b->h);
    if (!presence_good(b)) return qdi_block_bad(rd, err, "documents of a block of a column");
    b->index = i;
    return 0;
}

uint32_t qdi_block_rank(const qdi_block *b, uint32_t d, bool *has)
{
    const qdi_block_head *h = &b->h;
    if (h->presence == QDI_PRESENT_ALL) {
        *has = d < b->all;
        return d;
    }
    if (h->presence == QDI_PRESENT_BITS) {
        const uint8_t *words = b->presence + QDI_PRESENT_RANKS * 2;
        *has = false;
        if (d >= QD_COLUMN_BLOCK) return h->docs;
        uint32_t rank = qd_get_u16le(b->presence + d / 512 * 2);
        for (uint32_t w = d / 512 * 8; w < d / 64; w++)
            rank += (uint32_t)__builtin_popcountll(qd_get_u64le(words + 8 * w));
        uint64_t last = qd_get_u64le(words + d / 64 * 8);
        *has = (last >> (d & 63)) & 1;
        return rank + (uint32_t)__builtin_popcountll(last & (((uint64_t)1 << (d & 63)) - 1));
    }
    uint32_t lo = 0, n = h->docs;
    while (n > 0) {
        uint32_t half = n / 2;
        if (qd_get_u16le(b->presence + 2 * (lo + half)) < d) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    *has = lo < h->docs && qd_get_u16le(b->presence + 2 * lo) == d;
    return lo;
}

uint32_t qdi_block_start(const qdi_block *b, uint32_t i)
{
    return b->h.starts ? (uint32_t)(qdi_pack_at(b->starts, b->h.starts, i) + i) : i;
}

int64_t qdi_block_value(const qdi_block *b, uint32_t i)
{
    uint64_t packed = qdi_pack_at(b->packed, b->h.width, i);
    if (b->h.encoding == QDI_ENC_TABLE) return (int64_t)qd_get_u64le(b->table + 8 * packed);
    qdi_pack_form form = qdi_block_form(&b->h);
    return qdi_pack_apply(&form, packed, i);
}

int qdi_block_values(qd_column_reader *rd, uint32_t first, uint32_t n, int64_t *out, qd_err *err)
{
    const qdi_block *b = &rd->block;
    if (b->h.encoding == QDI_ENC_TABLE) {
        /* At most 8 bits: a chunk's indexes first, then one look-up each, in L1. */
        uint32_t index[256];
        for (uint32_t at = 0; at < n; at += 256) {
            uint32_t m = n - at < 256 ? n - at : 256;
            rd->k->get32(b->packed, b->h.width, first + at, m, 0, index);
            for (uint32_t i = 0; i < m; i++)
                out[at + i] = (int64_t)qd_get_u64le(b->table + 8 * (size_t)index[i]);
        }
        return 0;
    }
    qdi_pack_form form = qdi_block_form(&b->h);
    rd->k->get(b->packed, b->h.width, first, n, &form, out);
    if (rd->c->stats.type == QD_COLUMN_ORDINAL)
        for (uint32_t i = 0; i < n; i++)
            if (out[i] > b->h.max) return qdi_block_bad(rd, err, "ordinal over its block's bound");
    return 0;
}

int qdi_block_ords(qd_column_reader *rd, uint32_t first, uint32_t n, uint32_t *out, qd_err *err)
{
    const qdi_block_head *h = &rd->block.h;
    uint32_t greatest = rd->k->get32(rd->block.packed, h->width, first, n, (uint32_t)h->base, out);
    /* Sums that wrapped are below the least ordinal; they can only come from widths of 32. */
    bool wrapped = false;
    if (h->width == 32)
        for (uint32_t i = 0; i < n; i++) wrapped |= out[i] < (uint32_t)h->base;
    if (n > 0 && (greatest > (uint64_t)h->max || wrapped))
        return qdi_block_bad(rd, err, "ordinal over its block's bound");
    return 0;
}

void qdi_block_docs(const qdi_block *b, uint32_t first, uint32_t n, uint32_t *out)
{
    if (b->h.presence == QDI_PRESENT_ALL) {
        for (uint32_t i = 0; i < n; i++) out[i] = b->from + first + i;
    } else if (b->h.presence == QDI_PRESENT_LIST) {
        for (uint32_t i = 0; i < n; i++)
            out[i] = b->from + qd_get_u16le(b->presence + 2 * (first + i));
    } else {
        const uint8_t *words = b->presence + QDI_PRESENT_RANKS * 2;
        uint32_t w = 0, rank = 0, k = 0;
        for (uint32_t i = 1; i < QDI_PRESENT_RANKS; i++) {
            uint32_t r = qd_get_u16le(b->presence + 2 * i);
            if (r > first) break;
            rank = r;
            w = 8 * i;
        }
        for (; k < n; w++) {
            uint64_t bits = qd_get_u64le(words + 8 * w);
            for (; bits && k < n; bits &= bits - 1, rank++)
                if (rank >= first) out[k++] = b->from + 64 * w + (uint32_t)__builtin_ctzll(bits);
        }
    }
}

int qdi_block_load_starts(qd_column_reader *rd, qd_err *err)
{
    const qdi_block_head *h = &rd->block.h;
    if (rd->starts_loaded) return 0;
    rd->k->get32(rd->block.starts, h->starts, 0, h->docs + 1u, 0, rd->starts);
    for (uint32_t i = 0; i <= h->docs; i++) {
        rd->starts[i] += i;
        if (i > 0 && rd->starts[i] <= rd->starts[i - 1])
            return qdi_block_bad(rd, err, "starts of a block of a column");
    }
    if (rd->starts[0] != 0 || rd->starts[h->docs] != h->values)
        return qdi_block_bad(rd, err, "starts of a block of a column");
    rd->starts_loaded = true;
    return 0;
}
