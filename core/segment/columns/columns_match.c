/*
 * columns_match.c: documents by value into a bitmap, block by block: by bounds alone where they
 * decide, else by decoding and comparing.
 */
#include "segment/columns/column_reader_int.h"

/* Sets bits [from, to). */
static void set_range(uint64_t *bits, uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t n = 64 - (from & 63);
        if (n > to - from) n = to - from;
        bits[from / 64] |= (n == 64 ? ~(uint64_t)0 : (((uint64_t)1 << n) - 1)) << (from & 63);
        from += n;
    }
}

/* Below, bit 0 of bits is document `origin`, a multiple of 64. */

/* Documents of [from, to) of the loaded block that have any value. */
static void match_present(const qdi_block *b, uint32_t from, uint32_t to, uint32_t origin,
                          uint64_t *bits)
{
    if (b->h.presence == QDI_PRESENT_ALL) {
        set_range(bits, from - origin, to - origin);
    } else if (b->h.presence == QDI_PRESENT_LIST) {
        for (uint32_t i = 0; i < b->h.docs; i++) {
            uint32_t d = b->from + qd_get_u16le(b->presence + 2 * i);
            if (d >= from && d < to) bits[(d - origin) / 64] |= (uint64_t)1 << (d & 63);
        }
    } else {
        const uint8_t *words = b->presence + QDI_PRESENT_RANKS * 2;
        for (uint32_t at = from; at < to;) {
            uint32_t n = 64 - (at & 63);
            if (n > to - at) n = to - at;
            uint64_t mask = (n == 64 ? ~(uint64_t)0 : (((uint64_t)1 << n) - 1)) << (at & 63);
            bits[(at - origin) / 64] |= qd_get_u64le(words + (at - b->from) / 64 * 8) & mask;
            at += n;
        }
    }
}

/* The first entry of the loaded block's table that is >= v. */
static uint32_t table_rank(const qdi_block *b, int64_t v)
{
    uint32_t lo = 0, n = 1u << b->h.width;
    while (n > 0) {
        uint32_t half = n / 2;
        if ((int64_t)qd_get_u64le(b->table + 8 * (size_t)(lo + half)) < v) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* The packed integers [*a, *z] that stand for [lo, hi]; z < a: none. False where they are not so
 * found: lines, wide ones. */
static bool packed_range(const qdi_block *b, int64_t lo, int64_t hi, uint64_t *a, uint64_t *z)
{
    const qdi_block_head *h = &b->h;
    if (h->encoding == QDI_ENC_LINE || h->width == 0 || h->width > 32) return false;
    *a = 1;
    *z = 0;
    if (h->encoding == QDI_ENC_TABLE) {
        uint32_t end = hi == INT64_MAX ? 1u << h->width : table_rank(b, hi + 1);
        *a = table_rank(b, lo);
        if (end > 0) *z = end - 1;
        if (end == 0) *a = 1;
        return true;
    }
    if (h->mult == 0) return false;
    if (hi < h->base) return true;
    uint64_t below = lo > h->base ? (uint64_t)lo - (uint64_t)h->base : 0;
    *a = below / h->mult + (below % h->mult != 0);
    *z = ((uint64_t)hi - (uint64_t)h->base) / h->mult;
    if (*z > UINT32_MAX) *z = UINT32_MAX;
    return true;
}

/* Compared as they are packed. */
static void match_packed(qd_column_reader *rd, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi,
                         uint32_t origin, uint64_t *bits)
{
    const qdi_block *b = &rd->block;
    uint32_t *v = rd->docs; /* room for a block */
    rd->k->get32(b->packed, b->h.width, from - b->from, to - from, 0, v);
    for (uint32_t at = from; at < to;) {
        uint32_t n = 64 - (at & 63);
        if (n > to - at) n = to - at;
        bits[(at - origin) / 64] |= rd->k->match32(v + (at - from), n, lo, hi) << (at & 63);
        at += n;
    }
}

/* One value each, every document present: 64 at a time straight into the words. */
static int match_full(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                      uint32_t origin, uint64_t *bits, qd_err *err)
{
    uint64_t a, z;
    if (rd->c->stats.type == QD_COLUMN_I64 && packed_range(&rd->block, lo, hi, &a, &z)) {
        if (a <= z) match_packed(rd, from, to, (uint32_t)a, (uint32_t)z, origin, bits);
        return 0;
    }
    int rc = qdi_block_values(rd, from - rd->block.from, to - from, rd->values, err);
    if (rc) return rc;
    for (uint32_t at = from; at < to;) {
        uint32_t n = 64 - (at & 63);
        if (n > to - at) n = to - at;
        bits[(at - origin) / 64] |= rd->k->match(rd->values + (at - from), n, lo, hi) << (at & 63);
        at += n;
    }
    return 0;
}

/* The walk, where bounds and presence do not decide. */
static int match_walk(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                      uint32_t origin, uint64_t *bits, qd_err *err)
{
    qd_column_cursor cur;
    qd_column_batch batch;
    int rc;
    qd_column_over_range(&cur, from, to);
    while ((rc = qd_column_next(rd, &cur, &batch, err)) > 0)
        for (uint32_t j = 0; j < batch.n; j++) {
            int64_t v = batch.values ? batch.values[j] : batch.ords[j];
            uint32_t d = batch.docs ? batch.docs[j] : batch.first + j;
            bits[(d - origin) / 64] |= (uint64_t)(v >= lo && v <= hi) << (d & 63);
        }
    return rc;
}

static int match(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                 uint32_t origin, uint64_t *bits, qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    qd_assert(rd->c->stats.type != QD_COLUMN_BYTES);
    if (to > rd->c->segment_docs) to = rd->c->segment_docs;
    if (from >= to || lo > hi) return 0;
    uint32_t i = qdi_column_head_find(rd->c, from >> QDI_COLUMN_BLOCK_SHIFT);
    for (; i < rd->c->blocks; i++) {
        qdi_block_head h;
        qdi_column_head_at(rd->c, i, &h);
        uint32_t a = h.block << QDI_COLUMN_BLOCK_SHIFT;
        if (a >= to) break;
        uint32_t b = a + qdi_column_block_docs(rd->c, h.block);
        if (a < from) a = from;
        if (b > to) b = to;
        if (h.min > hi || h.max < lo) continue;
        int rc = qdi_column_load(rd, i, err);
        if (rc) return rc;
        if (h.min >= lo && h.max <= hi)
            match_present(&rd->block, a, b, origin, bits);
        else if (h.presence == QDI_PRESENT_ALL && !h.starts)
            rc = match_full(rd, a, b, lo, hi, origin, bits, err);
        else
            rc = match_walk(rd, a, b, lo, hi, origin, bits, err);
        if (rc) return rc;
    }
    return 0;
}

int qd_column_match(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                    uint64_t *bits, qd_err *err)
{
    return match(rd, from, to, lo, hi, 0, bits, err);
}

int qd_column_match_at(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                       uint64_t *bits, qd_err *err)
{
    qd_assert((from & 63) == 0);
    return match(rd, from, to, lo, hi, from, bits, err);
}

void qd_column_undecided(const qd_column *c, int64_t lo, int64_t hi, qd_column_open_values *out)
{
    *out = (qd_column_open_values){0};
    for (uint32_t i = 0; i < c->blocks; i++) {
        qdi_block_head h;
        qdi_column_head_at(c, i, &h);
        bool none = h.min > hi || h.max < lo, all = h.min >= lo && h.max <= hi;
        if (none || all) continue;
        bool packed = h.encoding != QDI_ENC_LINE && h.width <= 32;
        if (h.presence != QDI_PRESENT_ALL || h.starts)
            out->walked += h.values;
        else
            *(packed ? &out->packed : &out->decoded) += h.values;
    }
}

int qd_column_match_any(qd_column_reader *rd, uint32_t from, uint32_t to, uint64_t *bits,
                        qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    if (to > rd->c->segment_docs) to = rd->c->segment_docs;
    if (from >= to) return 0;
    uint32_t i = qdi_column_head_find(rd->c, from >> QDI_COLUMN_BLOCK_SHIFT);
    for (; i < rd->c->blocks; i++) {
        qdi_block_head h;
        qdi_column_head_at(rd->c, i, &h);
        uint32_t a = h.block << QDI_COLUMN_BLOCK_SHIFT;
        if (a >= to) break;
        uint32_t b = a + qdi_column_block_docs(rd->c, h.block);
        if (a < from) a = from;
        if (b > to) b = to;
        int rc = qdi_column_load(rd, i, err);
        if (rc) return rc;
        match_present(&rd->block, a, b, 0, bits);
    }
    return 0;
}
