/*
 * column_writer.c: documents in order to blocks of COLUMNS, strings in order to COLUMN_DICT.
 */
#include "segment/columns/column_writer_int.h"

#define QDI_COLUMN_BYTES_MAX ((size_t)1 << 40) /* of buffers whose size follows the data */

int qdi_column_writer_init(qdi_column_writer *x, uint32_t docs, qd_account *account, qd_err *err)
{
    memset(x, 0, sizeof *x);
    x->docs = docs;
    x->account = account;
    qd_buf_init(&x->body, account, QDI_COLUMN_BYTES_MAX);
    qd_buf_init(&x->heads, account, QDI_COLUMN_BYTES_MAX);
    x->present = qd_alloc(account, QD_COLUMN_BLOCK * sizeof *x->present);
    x->counts = qd_alloc(account, QD_COLUMN_BLOCK * sizeof *x->counts);
    if (!x->present || !x->counts) return qd_err_nomem(err, "column writer");
    return 0;
}

void qdi_column_writer_fini(qdi_column_writer *x)
{
    qd_free(x->present);
    qd_free(x->counts);
    qd_vec_fini(&x->values);
    qd_vec_fini(&x->packed);
    qd_buf_fini(&x->body);
    qd_buf_fini(&x->heads);
}

void qdi_column_writer_begin(qdi_column_writer *x, qd_file_writer *w, uint32_t field, uint8_t type)
{
    x->w = w;
    x->head = (qdi_column_head){.field = field, .type = type};
    x->head.offset = qd_file_section_at(w);
    x->block = UINT32_MAX;
    x->ndocs = 0;
    x->values.n = 0;
    x->written = 0;
    qd_buf_reset(&x->heads);
}

/* Which documents of the block have a value. */
static void put_presence(qdi_column_writer *x, qdi_block_head *h, uint8_t *out)
{
    if (h->presence == QDI_PRESENT_LIST) {
        for (uint32_t i = 0; i < x->ndocs; i++) qd_put_u16le(out + 2 * i, x->present[i]);
    } else if (h->presence == QDI_PRESENT_BITS) {
        uint64_t words[QDI_PRESENT_WORDS] = {0};
        uint32_t rank = 0;
        for (uint32_t i = 0; i < x->ndocs; i++)
            words[x->present[i] >> 6] |= (uint64_t)1 << (x->present[i] & 63);
        for (uint32_t i = 0; i < QDI_PRESENT_WORDS; i++) {
            if (i % 8 == 0) qd_put_u16le(out + i / 8 * 2, (uint16_t)rank);
            rank += (uint32_t)__builtin_popcountll(words[i]);
            qd_put_u64le(out + QDI_PRESENT_RANKS * 2 + 8 * i, words[i]);
        }
    }
}

/* Starts of the documents' values, each less its own index, as each has at least one value. */
static void put_starts(qdi_column_writer *x, qdi_block_head *h, uint8_t *out)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < x->ndocs; i++) {
        x->packed.at[i] = at - i;
        at += x->counts[i];
    }
    x->packed.at[x->ndocs] = at - x->ndocs;
    qdi_pack_put(x->packed.at, x->ndocs + 1, h->starts, out);
}

static int flush_block(qdi_column_writer *x, qd_err *err)
{
    int64_t table[QDI_COLUMN_TABLE_MAX];
    qdi_block_head h = {.block = x->block, .docs = (uint16_t)x->ndocs};
    if (x->ndocs == 0) return 0;

    uint32_t from = x->block << QDI_COLUMN_BLOCK_SHIFT;
    uint32_t all = x->docs - from < QD_COLUMN_BLOCK ? x->docs - from : QD_COLUMN_BLOCK;
    bool strings = x->head.type == QD_COLUMN_BYTES;
    h.values = (uint32_t)x->values.n;
    h.presence = x->ndocs == all                                    ? QDI_PRESENT_ALL
                 : x->ndocs * 2u < (uint32_t)QDI_PRESENT_BITS_BYTES ? QDI_PRESENT_LIST
                                                                    : QDI_PRESENT_BITS;
    if (h.values != x->ndocs) h.starts = (uint8_t)qd_bits_of(h.values - x->ndocs);
    h.offset = x->written;
    x->packed.n = 0;
    if (qd_vec_reserve(&x->packed, x->account, (size_t)h.values + x->ndocs + 1))
        return qd_err_nomem(err, "column block");
    if (!strings)
        qdi_column_encode(x->values.at, h.values, x->head.type == QD_COLUMN_ORDINAL, &h,
                          x->packed.at, table);
    else
        h.base = (int64_t)x->head.values, h.mult = 1;

    uint64_t bytes = qdi_block_bytes(&h);
    qd_buf_reset(&x->body);
    uint8_t *p = (uint8_t *)qd_buf_reserve(&x->body, bytes + 8);
    if (!p) return qd_err_nomem(err, "column block");
    /* Back to front: packing writes up to eight bytes past its end. */
    uint8_t *starts = p + qdi_block_presence_bytes(&h);
    uint8_t *rest = starts + qdi_block_starts_bytes(&h);
    qdi_pack_put(x->packed.at, h.values, h.width, rest + qdi_block_table_bytes(&h));
    memcpy(rest, table, qdi_block_table_bytes(&h));
    if (h.starts) {
        uint8_t behind[8];
        memcpy(behind, rest, 8);
        put_starts(x, &h, starts);
        memcpy(rest, behind, 8);
    }
    put_presence(x, &h, p);

    x->written += bytes;
    x->head.docs += x->ndocs;
    if (!strings && (x->head.values == 0 || h.min < x->head.min)) x->head.min = h.min;
    if (!strings && (x->head.values == 0 || h.max > x->head.max)) x->head.max = h.max;
    x->head.values += h.values;
    x->head.blocks++;
    if (h.starts) x->head.flags |= QDI_COLUMN_MULTI;
    x->ndocs = 0;
    x->values.n = 0;
    if (qd_buf_add(&x->heads, &h, sizeof h)) return qd_err_nomem(err, "column heads");
    return qd_file_write(x->w, p, bytes, err);
}

int qdi_column_writer_add(qdi_column_writer *x, uint32_t doc, const int64_t *values, uint32_t n,
                          qd_err *err)
{
    uint32_t block = doc >> QDI_COLUMN_BLOCK_SHIFT;
    qd_assert(n > 0 && doc < x->docs);
    if (block != x->block) {
        qd_assert(x->block == UINT32_MAX || block > x->block);
        int rc = flush_block(x, err);
        if (rc) return rc;
        x->block = block;
    }
    uint16_t in_block = (uint16_t)(doc & (QD_COLUMN_BLOCK - 1));
    qd_assert(x->ndocs == 0 || x->present[x->ndocs - 1] < in_block);
    if (x->values.n + n > UINT32_MAX / 2)
        return qd_err_set(err, QD_E_LIMIT, "too many values in %u documents of a column",
                          QD_COLUMN_BLOCK);
    if (qd_vec_reserve(&x->values, x->account, n)) return qd_err_nomem(err, "column values");
    if (values)
        memcpy(x->values.at + x->values.n, values, (size_t)n * sizeof *values);
    else
        memset(x->values.at + x->values.n, 0, (size_t)n * sizeof *values);
    x->values.n += n;
    x->present[x->ndocs] = in_block;
    x->counts[x->ndocs++] = n;
    return 0;
}

int qdi_column_writer_end(qdi_column_writer *x, const qdi_strings_writer *strings,
                          uint64_t dict_bytes, qd_buf *index, qd_err *err)
{
    int rc = flush_block(x, err);
    if (rc || x->head.docs == 0) return rc;
    x->head.bytes = x->written;
    if (x->head.docs == x->docs) x->head.flags |= QDI_COLUMN_DENSE;
    if (strings) {
        x->head.strings = strings->n;
        x->head.string_blocks = (strings->n + QDI_STRINGS_BLOCK - 1) / QDI_STRINGS_BLOCK;
        x->head.dict_offset = strings->start;
        x->head.dict_bytes = dict_bytes;
    }
    if (qd_buf_add(index, &x->head, sizeof x->head) || qd_buf_str(index, qd_buf_view(&x->heads)) ||
        (strings && qd_buf_str(index, qd_buf_view(&strings->offsets))))
        return qd_err_nomem(err, "column index");
    return 0;
}

void qdi_strings_begin(qdi_strings_writer *s, qd_file_writer *w, qd_account *account)
{
    memset(s, 0, sizeof *s);
    s->w = w;
    s->start = qd_file_section_at(w);
    qd_buf_init(&s->block, account, QDI_COLUMN_BYTES_MAX);
    qd_buf_init(&s->last, account, QDI_STRING_MAX);
    qd_buf_init(&s->offsets, account, QDI_COLUMN_BYTES_MAX);
}

void qdi_strings_fini(qdi_strings_writer *s)
{
    qd_buf_fini(&s->block);
    qd_buf_fini(&s->last);
    qd_buf_fini(&s->offsets);
}

static int put_offset(qdi_strings_writer *s, qd_err *err)
{
    uint8_t b[8];
    qd_put_u64le(b, qd_file_section_at(s->w) - s->start);
    if (b[5] | b[6] | b[7])
        return qd_err_set(err, QD_E_LIMIT, "the strings of a column take over 1 TiB");
    return qd_buf_add(&s->offsets, b, QDI_STRINGS_OFFSET_BYTES)
               ? qd_err_nomem(err, "string offsets")
               : 0;
}

static int flush_strings(qdi_strings_writer *s, qd_err *err)
{
    qd_str v = qd_buf_view(&s->block);
    if (v.n == 0) return 0;
    int rc = put_offset(s, err);
    if (rc == 0) rc = qd_file_write(s->w, v.p, v.n, err);
    qd_buf_reset(&s->block);
    return rc;
}

/* An entry: varint shared prefix with the string before (not in a block's first), varint length of
 * the rest, the rest. */
int qdi_strings_add(qdi_strings_writer *s, qd_str v, qd_err *err)
{
    uint8_t head[20], *p = head;
    size_t shared = 0;
    if (v.n >= QDI_STRING_MAX)
        return qd_err_set(err, QD_E_ARG, "a string of a column has %zu bytes, at most %u", v.n,
                          QDI_STRING_MAX - 1);
    if (s->n % QDI_STRINGS_BLOCK == 0) {
        int rc = flush_strings(s, err);
        if (rc) return rc;
    } else {
        size_t most = v.n < s->last.n ? v.n : s->last.n;
        while (shared < most && v.p[shared] == s->last.p[shared]) shared++;
        p = qd_put_varint(p, shared);
    }
    p = qd_put_varint(p, v.n - shared);
    if (qd_buf_add(&s->block, head, (size_t)(p - head)) ||
        qd_buf_add(&s->block, v.p + shared, v.n - shared))
        return qd_err_nomem(err, "strings of a column");
    s->last.n = shared;
    if (qd_buf_add(&s->last, v.p + shared, v.n - shared))
        return qd_err_nomem(err, "strings of a column");
    s->n++;
    return 0;
}

int qdi_strings_end(qdi_strings_writer *s, uint64_t *bytes, qd_err *err)
{
    int rc = flush_strings(s, err);
    if (rc == 0) rc = put_offset(s, err);
    *bytes = qd_file_section_at(s->w) - s->start;
    return rc;
}
