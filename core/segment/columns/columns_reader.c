/*
 * columns_reader.c: planning, and walks over documents in batches of values.
 */
#include "segment/columns/column_reader_int.h"

static int reader_make(const qd_column *c, qd_reads *r, qd_arena *arena, qd_column_reader **out,
                       qd_err *err)
{
    qd_column_reader *rd = qd_arena_calloc(arena, sizeof *rd);
    if (!rd) return qd_err_nomem(err, "column reader");
    rd->magic = QDI_COLUMN_READER_MAGIC;
    rd->c = c;
    rd->reads = r;
    rd->arena = arena;
    rd->k = qdi_pack_kernels_get();
    rd->block.index = UINT32_MAX;
    rd->values = qd_arena_alloc(arena, (QD_COLUMN_BATCH + 8) * sizeof *rd->values);
    rd->docs = qd_arena_alloc(arena, (QD_COLUMN_BATCH + 8) * sizeof *rd->docs);
    bool good = rd->values && rd->docs;
    if (c->stats.type == QD_COLUMN_ORDINAL) {
        rd->ords = qd_arena_alloc(arena, (QD_COLUMN_BATCH + 8) * sizeof *rd->ords);
        good &= rd->ords != NULL;
    }
    if (c->stats.multi) {
        rd->starts = qd_arena_alloc(arena, (QD_COLUMN_BLOCK + 9) * sizeof *rd->starts);
        rd->owners = qd_arena_alloc(arena, QD_COLUMN_BLOCK * sizeof *rd->owners);
        good &= rd->starts && rd->owners;
    }
    if (!good) return qd_err_nomem(err, "column reader");
    *out = rd;
    return 0;
}

/* Adds the bodies of heads [first, first + n) as one range. */
static int add_bodies(const qd_column *c, uint32_t first, uint32_t n, qd_reads *r, uint32_t *slot,
                      qd_err *err)
{
    qdi_block_head a, b;
    qdi_column_head_at(c, first, &a);
    qdi_column_head_at(c, first + n - 1, &b);
    uint64_t bytes = b.offset + qdi_block_bytes(&b) - a.offset;
    return qd_reads_add(r, c->file, QDI_SEC_COLUMNS, c->offset + a.offset, bytes + QDI_PACK_SLACK,
                        slot, err);
}

int qdi_column_plan_heads(const qd_column *c, uint32_t first, uint32_t n, qd_reads *r,
                          qd_arena *arena, qd_column_reader **out, qd_err *err)
{
    qd_column_reader *rd;
    int rc = reader_make(c, r, arena, &rd, err);
    if (rc) return rc;
    rd->first = first;
    rd->n = n;
    if (n) rc = add_bodies(c, first, n, r, &rd->slot, err);
    if (rc == 0) *out = rd;
    return rc;
}

int qd_column_plan(const qd_column *c, uint32_t from, uint32_t to, qd_reads *r, qd_arena *arena,
                   qd_column_reader **out, qd_err *err)
{
    uint32_t first = 0, end = 0;
    qd_column_reader *rd;
    if (to > c->segment_docs) to = c->segment_docs;
    if (from < to) {
        first = qdi_column_head_find(c, from >> QDI_COLUMN_BLOCK_SHIFT);
        end = qdi_column_head_find(c, ((to - 1) >> QDI_COLUMN_BLOCK_SHIFT) + 1);
    }
    int rc = qdi_column_plan_heads(c, first, end - first, r, arena, &rd, err);
    if (rc == 0 && first < end && c->stats.type == QD_COLUMN_BYTES)
        rc = qdi_strings_plan(c, NULL, 0, true, r, arena, &rd->strings, err);
    if (rc == 0) *out = rd;
    return rc;
}

/* The strings of a BYTES column need ranks, which dense columns know without a read. Others plan
 * the strings of the whole block. */
static int plan_bytes(qd_column_reader *rd, const uint32_t *docs, uint32_t n, qd_reads *r,
                      qd_err *err)
{
    const qd_column *c = rd->c;
    if (!c->stats.dense) return qdi_strings_plan(c, NULL, 0, true, r, rd->arena, &rd->strings, err);
    return qdi_strings_plan(c, docs, n, false, r, rd->arena, &rd->strings, err);
}

int qd_column_plan_docs(const qd_column *c, const uint32_t *docs, uint32_t n, qd_reads *r,
                        qd_arena *arena, qd_column_reader **out, qd_err *err)
{
    qd_column_reader *rd;
    int rc = reader_make(c, r, arena, &rd, err);
    if (rc) return rc;
    uint32_t most = n < c->blocks ? n : c->blocks;
    rd->indexes = qd_arena_alloc(arena, (most + 1) * sizeof *rd->indexes);
    rd->slots = qd_arena_alloc(arena, (most + 1) * sizeof *rd->slots);
    if (!rd->indexes || !rd->slots) return qd_err_nomem(err, "column reader");
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t block = docs[i] >> QDI_COLUMN_BLOCK_SHIFT;
        qd_assert(docs[i] < c->segment_docs && (i == 0 || docs[i] >= docs[i - 1]));
        if (block == last) continue;
        last = block;
        uint32_t at = qdi_column_head_find(c, block);
        if (at == c->blocks ||
            qd_get_u32le(c->heads + (size_t)at * sizeof(qdi_block_head)) != block)
            continue;
        rd->indexes[rd->n] = at;
        rc = add_bodies(c, at, 1, r, &rd->slots[rd->n++], err);
    }
    if (rc == 0 && c->stats.type == QD_COLUMN_BYTES) rc = plan_bytes(rd, docs, n, r, err);
    if (rc == 0) *out = rd;
    return rc;
}

int qdi_column_stand(qd_column_reader *rd, uint32_t doc, qd_err *err)
{
    uint32_t block = doc >> QDI_COLUMN_BLOCK_SHIFT;
    if (rd->block.index != UINT32_MAX && rd->block.h.block == block) return 1;
    uint32_t i = qdi_column_head_find(rd->c, block);
    if (i == rd->c->blocks ||
        qd_get_u32le(rd->c->heads + (size_t)i * sizeof(qdi_block_head)) != block)
        return 0;
    int rc = qdi_column_load(rd, i, err);
    return rc ? rc : 1;
}

/* Range of values of the document with rank r. */
static int value_range(qd_column_reader *rd, uint32_t r, uint32_t *from, uint32_t *to, qd_err *err)
{
    const qdi_block *b = &rd->block;
    *from = qdi_block_start(b, r);
    *to = qdi_block_start(b, r + 1);
    if (*from >= *to || *to > b->h.values) return qdi_block_bad(rd, err, "starts of a document");
    return 0;
}

static int decode(qd_column_reader *rd, uint32_t first, uint32_t n, uint32_t to, qd_err *err)
{
    return rd->c->stats.type == QD_COLUMN_ORDINAL
               ? qdi_block_ords(rd, first, n, rd->ords + to, err)
               : qdi_block_values(rd, first, n, rd->values + to, err);
}

static void fill(const qd_column_reader *rd, qd_column_batch *out, uint32_t n, bool docs)
{
    bool ords = rd->c->stats.type == QD_COLUMN_ORDINAL;
    *out = (qd_column_batch){.n = n,
                             .values = ords ? NULL : rd->values,
                             .ords = ords ? rd->ords : NULL,
                             .docs = docs ? rd->docs : NULL};
    if (docs) out->first = rd->docs[0];
}

/* 64 bits of a bitmap from bit `at` on; bits from `to` on are 0. */
static uint64_t bits_at(const uint64_t *bits, uint32_t at, uint32_t to)
{
    uint32_t word = at / 64, shift = at & 63, last = (to - 1) / 64;
    uint64_t w = bits[word] >> shift;
    if (shift && word < last) w |= bits[word + 1] << (64 - shift);
    return to - at < 64 ? w & (((uint64_t)1 << (to - at)) - 1) : w;
}

/* Keeps the n decoded values whose document's bit is set; all says that value i is of document
 * first + i. Returns how many are left. */
static uint32_t filter(qd_column_reader *rd, const qd_column_cursor *cur, uint32_t first,
                       uint32_t n, bool all)
{
    uint32_t kept = 0;
    bool ords = rd->c->stats.type == QD_COLUMN_ORDINAL;
    for (uint32_t i = 0; i < n; i += 64) {
        uint32_t m = n - i < 64 ? n - i : 64;
        uint64_t w = 0;
        if (all)
            w = bits_at(cur->bits, first + i, first + n);
        else
            for (uint32_t j = 0; j < m; j++) {
                uint32_t d = rd->docs[i + j];
                w |= ((cur->bits[d / 64] >> (d & 63)) & 1) << j;
            }
        if (!w) continue;
        /* In place: output never passes input, whole vectors are read before they are written. */
        uint32_t more = ords ? rd->k->keep32(rd->ords + i, m, w, rd->ords + kept)
                             : rd->k->keep(rd->values + i, m, w, rd->values + kept);
        if (!cur->values_only && all) rd->k->list(w, first + i, rd->docs + kept);
        if (!cur->values_only && !all) rd->k->keep32(rd->docs + i, m, w, rd->docs + kept);
        kept += more;
    }
    return kept;
}

/* The next part of [cur->doc, to) inside the loaded block, one value a document. */
static int single(qd_column_reader *rd, qd_column_cursor *cur, uint32_t to, qd_column_batch *out,
                  qd_err *err)
{
    const qdi_block *b = &rd->block;
    bool has, all = b->h.presence == QDI_PRESENT_ALL;
    uint32_t first = cur->doc;
    uint32_t r0 = qdi_block_rank(b, first - b->from, &has);
    uint32_t r1 = qdi_block_rank(b, to - b->from, &has), n = r1 - r0;
    cur->doc = to;
    if (n == 0) return 0;
    int rc = decode(rd, r0, n, 0, err);
    if (rc) return rc;
    if (!all && (cur->bits || !cur->values_only)) qdi_block_docs(b, r0, n, rd->docs);
    if (cur->bits) {
        n = filter(rd, cur, first, n, all);
        all = false;
    }
    if (n == 0) return 0;
    fill(rd, out, n, !all && !cur->values_only);
    if (all) out->first = first;
    return 1;
}

/* Documents [r, e) of the block whose values v0.. fit into one batch, at least one; the last one
 * may come with a part of its values. Notes in the cursor where to go on. */
static uint32_t fit(const qd_column_reader *rd, qd_column_cursor *cur, uint32_t r, uint32_t end,
                    uint32_t v0, uint32_t to, uint32_t *n)
{
    const qdi_block *b = &rd->block;
    uint32_t e = r + 1, doc;
    while (e < end && rd->starts[e + 1] - v0 <= QD_COLUMN_BATCH) e++;
    *n = rd->starts[e] - v0;
    if (*n > QD_COLUMN_BATCH) {
        *n = QD_COLUMN_BATCH;
        qdi_block_docs(b, r, 1, &doc);
        cur->doc = doc;
        cur->skip = v0 + *n - rd->starts[r];
        return e;
    }
    cur->skip = 0;
    cur->doc = to;
    if (e < end) {
        qdi_block_docs(b, e, 1, &doc);
        cur->doc = doc;
    }
    return e;
}

/* The document beside each of n values. Eight copies are written whatever the count and overwritten
 * by the next document's: no branch to guess for the usual few. */
static void spread(qd_column_reader *rd, uint32_t r, uint32_t e, uint32_t v0, uint32_t n)
{
    for (uint32_t k = r, at = 0; k < e; k++) {
        uint32_t doc = rd->owners[k - r], stop = rd->starts[k + 1] - v0;
        if (stop > n) stop = n;
        for (uint32_t i = 0; i < 8; i++) rd->docs[at + i] = doc;
        for (at += 8; at < stop; at++) rd->docs[at] = doc;
        at = stop;
    }
}

/* The same for blocks with several values a document, at most a batch of values. */
static int several(qd_column_reader *rd, qd_column_cursor *cur, uint32_t to, qd_column_batch *out,
                   qd_err *err)
{
    const qdi_block *b = &rd->block;
    bool has;
    int rc = qdi_block_load_starts(rd, err);
    if (rc) return rc;
    uint32_t r = qdi_block_rank(b, cur->doc - b->from, &has);
    uint32_t end = qdi_block_rank(b, to - b->from, &has);
    if (r == end) {
        cur->doc = to;
        cur->skip = 0;
        return 0;
    }
    uint32_t v0 = rd->starts[r] + cur->skip, n, e = fit(rd, cur, r, end, v0, to, &n);
    if (cur->bits || !cur->values_only) {
        qdi_block_docs(b, r, e - r, rd->owners);
        spread(rd, r, e, v0, n);
    }
    rc = decode(rd, v0, n, 0, err);
    if (rc) return rc;
    if (cur->bits) n = filter(rd, cur, 0, n, false);
    if (n == 0) return 0;
    fill(rd, out, n, !cur->values_only);
    return 1;
}

static int next_in_range(qd_column_reader *rd, qd_column_cursor *cur, qd_column_batch *out,
                         qd_err *err)
{
    uint32_t end = cur->to < rd->c->segment_docs ? cur->to : rd->c->segment_docs;
    while (cur->doc < end) {
        uint32_t block = cur->doc >> QDI_COLUMN_BLOCK_SHIFT;
        uint32_t to = end - (block << QDI_COLUMN_BLOCK_SHIFT) < QD_COLUMN_BLOCK
                          ? end
                          : (block + 1) << QDI_COLUMN_BLOCK_SHIFT;
        int rc = qdi_column_stand(rd, cur->doc, err);
        if (rc < 0) return rc;
        if (rc == 0) {
            cur->doc = to;
            cur->skip = 0;
            continue;
        }
        rc = rd->block.h.starts ? several(rd, cur, to, out, err) : single(rd, cur, to, out, err);
        if (rc) return rc;
    }
    return 0;
}

/* A document that does not fit into the batch is left for the next one, unless the batch is empty:
 * then skip remembers how far it came. */
static int next_in_list(qd_column_reader *rd, qd_column_cursor *cur, qd_column_batch *out,
                        qd_err *err)
{
    uint32_t n = 0;
    for (; cur->at < cur->n && n < QD_COLUMN_BATCH; cur->at++) {
        uint32_t doc = cur->docs[cur->at], from, to;
        bool has;
        int rc = qdi_column_stand(rd, doc, err);
        if (rc < 0) return rc;
        if (rc == 0) continue;
        uint32_t r = qdi_block_rank(&rd->block, doc - rd->block.from, &has);
        if (!has) continue;
        rc = value_range(rd, r, &from, &to, err);
        if (rc) return rc;
        from += cur->skip;
        uint32_t take = to - from < QD_COLUMN_BATCH - n ? to - from : QD_COLUMN_BATCH - n;
        rc = decode(rd, from, take, n, err);
        if (rc) return rc;
        for (uint32_t i = 0; i < take; i++) rd->docs[n + i] = doc;
        n += take;
        if (from + take < to) {
            cur->skip += take;
            break;
        }
        cur->skip = 0;
    }
    if (n == 0) return 0;
    fill(rd, out, n, true);
    return 1;
}

int qd_column_next(qd_column_reader *rd, qd_column_cursor *c, qd_column_batch *out, qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    qd_assert(rd->c->stats.type != QD_COLUMN_BYTES);
    return c->docs ? next_in_list(rd, c, out, err) : next_in_range(rd, c, out, err);
}

/* One document's key. */
static int key_of(qd_column_reader *rd, uint32_t doc, qd_column_pick pick, int64_t *out,
                  qd_err *err)
{
    uint32_t from, to;
    bool has;
    int rc = qdi_column_stand(rd, doc, err);
    if (rc <= 0) return rc;
    uint32_t r = qdi_block_rank(&rd->block, doc - rd->block.from, &has);
    if (!has) return 0;
    rc = value_range(rd, r, &from, &to, err);
    if (rc) return rc;
    int64_t v = qdi_block_value(&rd->block, pick == QD_COLUMN_PICK_MIN ? from : to - 1);
    if (rd->c->stats.type == QD_COLUMN_ORDINAL && (v < 0 || v > rd->block.h.max))
        return qdi_block_bad(rd, err, "ordinal over its block's bound");
    *out = v;
    return 0;
}

/* Keys of the documents docs[0..n) that are in the loaded full block, one value each: a loop
 * without calls, so that loads overlap. Returns how many these are. */
static uint32_t gather_full(const qd_column_reader *rd, const uint32_t *docs, uint32_t n,
                            int64_t *out)
{
    const qdi_block *b = &rd->block;
    const uint8_t *p = b->packed;
    uint32_t width = b->h.width, from = b->from, end = b->from + b->all, i = 0;
    qdi_pack_form form = qdi_block_form(&b->h);
    if (form.line) {
        for (; i < n && docs[i] < end; i++) {
            uint32_t at = docs[i] - from;
            out[i] = qdi_pack_apply(&form, qdi_pack_at(p, width, at), at);
        }
        return i;
    }
    form.line = false;
    for (; i < n && docs[i] < end; i++)
        out[i] = qdi_pack_apply(&form, qdi_pack_at(p, width, docs[i] - from), 0);
    return i;
}

int qd_column_gather(qd_column_reader *rd, const uint32_t *docs, uint32_t n, qd_column_pick pick,
                     int64_t missing, int64_t *out, qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    for (uint32_t i = 0; i < n; i++) {
        /* A run of neighbours in a full block is decoded as one. */
        uint32_t run = 1;
        while (i + run < n && run < QD_COLUMN_BATCH && docs[i + run] == docs[i] + run) run++;
        if (run >= 16) {
            int rc = qdi_column_stand(rd, docs[i], err);
            if (rc < 0) return rc;
            const qdi_block *b = &rd->block;
            if (rc && b->h.presence == QDI_PRESENT_ALL && !b->h.starts) {
                uint32_t first = docs[i] - b->from;
                uint32_t m = run < b->all - first ? run : b->all - first;
                rc = qdi_block_values(rd, first, m, out + i, err);
                if (rc) return rc;
                i += m - 1;
                continue;
            }
        }
        int rc = qdi_column_stand(rd, docs[i], err);
        if (rc < 0) return rc;
        const qdi_block *b = &rd->block;
        if (rc && b->h.presence == QDI_PRESENT_ALL && !b->h.starts &&
            b->h.encoding != QDI_ENC_TABLE && rd->c->stats.type == QD_COLUMN_I64) {
            /* Up to the block's end or the next run of neighbours. */
            uint32_t m = 1, end = b->from + b->all;
            while (i + m < n && docs[i + m] < end &&
                   (i + m + 15 >= n || docs[i + m + 15] != docs[i + m] + 15))
                m++;
            i += gather_full(rd, docs + i, m, out + i) - 1;
            continue;
        }
        out[i] = missing;
        rc = key_of(rd, docs[i], pick, &out[i], err);
        if (rc) return rc;
    }
    return 0;
}

int qd_column_values(qd_column_reader *rd, uint32_t doc, const int64_t **values, uint32_t *n,
                     qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    uint32_t from, to;
    bool has;
    *n = 0;
    *values = rd->values;
    int rc = qdi_column_stand(rd, doc, err);
    if (rc <= 0) return rc;
    uint32_t r = qdi_block_rank(&rd->block, doc - rd->block.from, &has);
    if (!has) return 0;
    rc = value_range(rd, r, &from, &to, err);
    if (rc) return rc;
    int64_t *room = rd->values;
    if (to - from > QD_COLUMN_BATCH) {
        if (to - from > rd->many_cap) {
            rd->many_cap = 0;
            rd->many = qd_arena_alloc(rd->arena, (size_t)(to - from) * sizeof *rd->many);
            if (!rd->many) return qd_err_nomem(err, "values of a document");
            rd->many_cap = to - from;
        }
        room = rd->many;
    }
    rc = qdi_block_values(rd, from, to - from, room, err);
    if (rc) return rc;
    *values = room;
    *n = to - from;
    return 0;
}

int qd_column_bytes(qd_column_reader *rd, uint32_t doc, qd_str *out, bool *found, qd_err *err)
{
    QD_CHECK(rd, QDI_COLUMN_READER_MAGIC);
    qd_assert(rd->c->stats.type == QD_COLUMN_BYTES);
    *found = false;
    int rc = qdi_column_stand(rd, doc, err);
    if (rc <= 0) return rc;
    uint32_t r = qdi_block_rank(&rd->block, doc - rd->block.from, found);
    if (!*found) return 0;
    return qdi_strings_at(rd->strings, (uint32_t)rd->block.h.base + r, out, err);
}
