/*
 * columns_open.c: the resident index is checked whole once, so that readers may rely on widths,
 * counts and places; what stands in bodies is checked as it is read.
 */
#include "segment/columns/columns_read_int.h"
#include "segment/overlay/overlay_int.h"

static int bad(qd_file *f, uint64_t at, qd_err *err, const char *what)
{
    return qd_file_corrupt(f, QDI_SEC_COLUMN_INDEX, at, err, what);
}

uint32_t qdi_column_head_find(const qd_column *c, uint32_t block)
{
    uint32_t lo = 0, n = c->blocks;
    /* Nearly every column has all blocks: then the number is the index. */
    if (block < n && qd_get_u32le(c->heads + (size_t)block * sizeof(qdi_block_head)) == block)
        return block;
    while (n > 0) {
        uint32_t half = n / 2;
        if (qd_get_u32le(c->heads + (size_t)(lo + half) * sizeof(qdi_block_head)) < block) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* What of a block head does not depend on the others. */
static const char *head_wrong(const qd_column *c, const qdi_block_head *h)
{
    bool i64 = c->stats.type == QD_COLUMN_I64, strings = c->stats.type == QD_COLUMN_BYTES;
    if (h->block > (c->segment_docs - 1) >> QDI_COLUMN_BLOCK_SHIFT) return "block number";
    uint32_t all = qdi_column_block_docs(c, h->block);
    if (h->docs == 0 || h->docs > all) return "documents of a block";
    if (h->presence > QDI_PRESENT_LIST || (h->presence == QDI_PRESENT_ALL && h->docs != all))
        return "presence of a block";
    if (h->values < h->docs || (h->starts == 0 && h->values != h->docs)) return "values of a block";
    if (h->starts > 32 || (h->starts && h->values == h->docs)) return "width of starts";
    if (strings && (h->width || h->starts || h->encoding || h->base < 0)) return "block of strings";
    if (!qdi_pack_width_ok(h->width) || (!i64 && h->width > 32)) return "width of values";
    if (h->encoding > QDI_ENC_LINE || (!i64 && h->encoding != QDI_ENC_PACKED)) return "encoding";
    if (h->encoding == QDI_ENC_TABLE && (h->width == 0 || h->width > 8)) return "width of a table";
    if (h->min > h->max || h->min < c->stats.min || h->max > c->stats.max) return "bounds";
    if (c->stats.type == QD_COLUMN_ORDINAL &&
        (h->min < 0 || h->max >= c->strings || h->base != h->min || h->mult != 1))
        return "bounds of ordinals";
    return NULL;
}

static int check_heads(const qd_column *c, uint64_t at, qd_err *err)
{
    uint64_t docs = 0, values = 0, body = 0;
    bool multi = false;
    uint32_t before = 0;
    for (uint32_t i = 0; i < c->blocks; i++, at += sizeof(qdi_block_head)) {
        qdi_block_head h;
        qdi_column_head_at(c, i, &h);
        const char *wrong = head_wrong(c, &h);
        if (wrong) return bad(c->file, at, err, wrong);
        if (i > 0 && h.block <= before) return bad(c->file, at, err, "order of blocks");
        if (h.offset != body) return bad(c->file, at, err, "place of a block");
        if (c->stats.type == QD_COLUMN_BYTES && (uint64_t)h.base != values)
            return bad(c->file, at, err, "first string of a block");
        body += qdi_block_bytes(&h);
        docs += h.docs;
        values += h.values;
        multi |= h.starts != 0;
        before = h.block;
    }
    if (body != c->bytes) return bad(c->file, at, err, "length of a column");
    if (docs != c->stats.docs || values != c->stats.values || multi != c->stats.multi)
        return bad(c->file, at, err, "counts of a column");
    return 0;
}

static int check_strings(const qd_column *c, uint64_t at, qd_err *err)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i <= c->string_blocks; i++) {
        uint64_t o = qdi_strings_offset(c, i);
        if ((i == 0 && o != 0) || (i > 0 && o <= before)) return bad(c->file, at, err, "offset");
        before = o;
        at += QDI_STRINGS_OFFSET_BYTES;
    }
    return before == c->dict_bytes ? 0 : bad(c->file, at, err, "length of a dictionary");
}

static const char *column_wrong(const qdi_column_head *h, uint32_t docs, uint64_t columns,
                                uint64_t dicts)
{
    if (h->type < QD_COLUMN_I64 || h->type > QD_COLUMN_BYTES || h->zero || h->flags > 3)
        return "column type";
    if (h->docs > docs || h->values < h->docs) return "documents of a column";
    if (h->bytes > columns || h->offset > columns - h->bytes) return "place of a column";
    if (h->dict_bytes > dicts || h->dict_offset > dicts - h->dict_bytes) return "dictionary";
    if (h->type == QD_COLUMN_I64 && (h->strings || h->string_blocks)) return "strings of integers";
    if (h->string_blocks != ((uint64_t)h->strings + QDI_STRINGS_BLOCK - 1) / QDI_STRINGS_BLOCK)
        return "blocks of strings";
    if (h->type == QD_COLUMN_BYTES && (h->strings != h->values || h->values != h->docs))
        return "number of strings";
    if (((h->flags & QDI_COLUMN_DENSE) != 0) != (h->docs == docs)) return "density";
    return NULL;
}

/* Reads one column at p; *next gets the byte behind it. */
static int open_column(qd_column *c, qd_file *f, uint32_t docs, const uint8_t *base,
                       const uint8_t *p, const uint8_t *end, const uint8_t **next, qd_err *err)
{
    uint64_t columns = 0, dicts = 0, at = (uint64_t)(p - base);
    qdi_column_head h;
    if ((size_t)(end - p) < sizeof h) return bad(f, at, err, "cut column");
    memcpy(&h, p, sizeof h);
    qd_file_section(f, QDI_SEC_COLUMNS, &columns);
    qd_file_section(f, QDI_SEC_COLUMN_DICT, &dicts);
    const char *wrong = column_wrong(&h, docs, columns, dicts);
    if (wrong) return bad(f, at, err, wrong);
    uint64_t heads = (uint64_t)h.blocks * sizeof(qdi_block_head);
    uint64_t offsets =
        h.type == QD_COLUMN_I64 ? 0 : ((uint64_t)h.string_blocks + 1) * QDI_STRINGS_OFFSET_BYTES;
    if ((uint64_t)(end - p) - sizeof h < heads + offsets) return bad(f, at, err, "cut column");

    *c = (qd_column){.file = f,
                     .field = h.field,
                     .segment_docs = docs,
                     .blocks = h.blocks,
                     .string_blocks = h.string_blocks,
                     .strings = h.strings,
                     .offset = h.offset,
                     .bytes = h.bytes,
                     .dict_offset = h.dict_offset,
                     .dict_bytes = h.dict_bytes};
    c->heads = p + sizeof h;
    c->offsets = c->heads + heads;
    c->stats = (qd_column_stats){.type = h.type,
                                 .docs = h.docs,
                                 .values = h.values,
                                 .min = h.min,
                                 .max = h.max,
                                 .bytes = h.bytes + h.dict_bytes};
    c->stats.multi = (h.flags & QDI_COLUMN_MULTI) != 0;
    c->stats.dense = (h.flags & QDI_COLUMN_DENSE) != 0;
    c->stats.ordinals = h.type == QD_COLUMN_ORDINAL ? h.strings : 0;
    *next = c->offsets + offsets;
    int rc = check_heads(c, at + sizeof h, err);
    if (rc == 0 && offsets) rc = check_strings(c, at + sizeof h + heads, err);
    return rc;
}

int qdi_columns_open(qd_file *f, uint32_t docs, qd_account *account, qd_columns **out, qd_err *err)
{
    uint64_t bytes = 0;
    const uint8_t *p = qd_file_resident(f, QDI_SEC_COLUMN_INDEX, &bytes);
    const uint8_t *base = p, *end = p ? p + bytes : NULL;
    uint32_t n = 0;
    if (p) {
        if (bytes < 4) return bad(f, 0, err, "cut column index");
        n = qd_get_u32le(p);
        p += 4;
        if (n > (bytes - 4) / sizeof(qdi_column_head)) return bad(f, 0, err, "number of columns");
    }
    qd_columns *set = qd_calloc(account, sizeof *set + n * sizeof(qd_column));
    if (!set) return qd_err_nomem(err, "columns of a segment");
    set->magic = QDI_COLUMNS_MAGIC;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = open_column(&set->columns[i], f, docs, base, p, end, &p, err);
        if (rc == 0 && i > 0 && set->columns[i].field <= set->columns[i - 1].field)
            rc = bad(f, (uint64_t)(p - base), err, "order of columns");
    }
    if (rc == 0 && p != end) rc = bad(f, (uint64_t)(p - base), err, "bytes behind the columns");
    if (rc) {
        qd_free(set);
        return rc;
    }
    set->n = n;
    *out = set;
    return 0;
}

void qdi_columns_close(qd_columns *set)
{
    if (!set) return;
    QD_CHECK(set, QDI_COLUMNS_MAGIC);
    set->magic = 0;
    qd_free(set);
}

uint32_t qdi_columns_count(const qd_columns *set)
{
    return set ? set->n : 0;
}

uint32_t qdi_columns_field(const qd_columns *set, uint32_t i)
{
    qd_assert(i < set->n);
    return set->columns[i].field;
}

const qd_column *qd_columns_get(const qd_columns *set, uint32_t field)
{
    uint32_t lo = 0, n = set ? set->n : 0;
    if (set && QD_UNLIKELY(set->overlay != NULL)) return qdi_overlay_column(set->overlay, field);
    while (n > 0) {
        uint32_t half = n / 2;
        if (set->columns[lo + half].field < field) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return set && lo < set->n && set->columns[lo].field == field ? &set->columns[lo] : NULL;
}

const qd_column_stats *qd_column_stats_get(const qd_column *c)
{
    return &c->stats;
}

void qd_column_block_at(const qd_column *c, uint32_t doc, qd_column_block_info *out)
{
    uint32_t block = doc >> QDI_COLUMN_BLOCK_SHIFT;
    qd_assert(doc < c->segment_docs);
    *out = (qd_column_block_info){.from = block << QDI_COLUMN_BLOCK_SHIFT};
    out->to = out->from + qdi_column_block_docs(c, block);
    uint32_t i = qdi_column_head_find(c, block);
    qdi_block_head h;
    if (i == c->blocks) return;
    qdi_column_head_at(c, i, &h);
    if (h.block != block) return;
    out->docs = h.docs;
    out->values = h.values;
    out->min = h.min;
    out->max = h.max;
}
