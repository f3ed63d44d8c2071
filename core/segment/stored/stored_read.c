/*
 * stored_read.c: the resident index, single documents, scans.
 */
#include "base/hash.h"
#include "segment/stored/stored_read_int.h"
#include <zstd_errors.h>

static int bad_index(qd_file *f, uint64_t at, qd_err *err, const char *what)
{
    return qd_file_corrupt(f, QDI_SEC_STORED_INDEX, at, err, what);
}

static void entry_at(const qd_stored *s, uint32_t i, qdi_stored_entry *e)
{
    memcpy(e, s->entries + (size_t)i * sizeof *e, sizeof *e);
}

void qdi_stored_block_at(const qd_stored *s, uint32_t i, qdi_stored_block *b)
{
    qdi_stored_entry e;
    uint64_t end = qd_get_u64le(s->entries + (size_t)(i + 1) * sizeof e);
    entry_at(s, i, &e);
    b->offset = qdi_stored_offset(e.place);
    b->dict = qdi_stored_dict(e.place);
    b->first = e.first;
    b->raw = e.raw;
    b->bytes = qdi_stored_offset(end) - b->offset;
    b->docs = s->head.docs - e.first;
    if (i + 1 < s->head.blocks) {
        entry_at(s, i + 1, &e);
        b->docs = e.first - b->first;
    }
}

uint32_t qdi_stored_block_of(const qd_stored *s, uint32_t doc)
{
    uint32_t lo = 0, n = s->head.blocks;
    while (n > 1) {
        uint32_t half = n / 2;
        qdi_stored_entry e;
        entry_at(s, lo + half, &e);
        if (e.first <= doc) lo += half;
        n -= half;
    }
    return lo;
}

static int check_entries(qd_stored *s, uint64_t at, uint64_t section, qd_err *err)
{
    uint64_t before = 0, raw = 0;
    for (uint32_t i = 0; i < s->head.blocks; i++, at += sizeof(qdi_stored_entry)) {
        qdi_stored_entry e;
        entry_at(s, i, &e);
        uint64_t offset = qdi_stored_offset(e.place);
        if (i == 0 ? e.first != 0 || offset != 0 : offset <= before)
            return bad_index(s->file, at, err, "place of a block of stored documents");
        if (qdi_stored_dict(e.place) > s->head.dicts || e.raw > QDI_STORED_RAW_MAX || e.raw == 0)
            return bad_index(s->file, at, err, "size of a block of stored documents");
        before = offset;
        raw += e.raw;
        if (e.raw > s->stats.block_max) s->stats.block_max = e.raw;
        uint32_t next = s->head.docs;
        if (i + 1 < s->head.blocks) {
            qdi_stored_entry f;
            entry_at(s, i + 1, &f);
            next = f.first;
        }
        if (next <= e.first || next - e.first > QDI_STORED_BLOCK_DOCS || next - e.first > e.raw)
            return bad_index(s->file, at, err, "documents of a block of stored documents");
    }
    uint64_t end = qd_get_u64le(s->entries + (size_t)s->head.blocks * sizeof(qdi_stored_entry));
    if (end != section || (s->head.blocks && end <= before) || (!s->head.blocks && s->head.docs) ||
        raw != s->head.raw_bytes)
        return bad_index(s->file, at, err, "length of the stored documents");
    return 0;
}

static int load_index(qd_stored *s, const uint8_t *p, uint64_t bytes, uint64_t section,
                      qd_account *account, qd_err *err)
{
    uint64_t at = sizeof s->head;
    if (bytes < at) return bad_index(s->file, 0, err, "cut index");
    memcpy(&s->head, p, sizeof s->head);
    const qdi_stored_head *h = &s->head;
    if (h->dicts > QDI_STORED_DICTS_MAX || h->codec > QD_STORED_BEST || h->blocks > h->docs)
        return bad_index(s->file, 0, err, "head of the index");
    uint64_t lens = at;
    at += (uint64_t)h->dicts * 4;
    s->entries = p + at;
    at += (uint64_t)h->blocks * sizeof(qdi_stored_entry) + 8;
    if (at > bytes) return bad_index(s->file, 0, err, "cut index");
    for (uint32_t i = 0; i < h->dicts; i++) {
        uint32_t n = qd_get_u32le(p + lens + (size_t)i * 4);
        if (n == 0 || n > bytes - at || n > QDI_STORED_DICT_BYTES)
            return bad_index(s->file, lens, err, "dictionary");
        s->dict_at[i] = p + at;
        s->dict_bytes[i] = n;
        at += n;
        /* a copy: what is mapped may change below, and blocks' checksums do not cover it */
        s->dicts[i] = ZSTD_createDDict_advanced(s->dict_at[i], n, ZSTD_dlm_byCopy,
                                                ZSTD_dct_fullDict, qdi_zstd_mem(account));
        if (!s->dicts[i]) return qd_err_nomem(err, "dictionary of stored documents");
    }
    if (at != bytes) return bad_index(s->file, at, err, "bytes behind the index");
    return check_entries(s, (uint64_t)(s->entries - p), section, err);
}

int qdi_stored_open(qd_file *f, uint32_t docs, qd_account *account, qd_stored **out, qd_err *err)
{
    static _Atomic uint64_t generations;
    uint64_t bytes = 0, section = 0;
    const uint8_t *p = qd_file_resident(f, QDI_SEC_STORED_INDEX, &bytes);
    if (!p) {
        *out = NULL;
        return 0;
    }
    qd_file_section(f, QDI_SEC_STORED, &section);
    qd_stored *s = qd_calloc(account, sizeof *s);
    if (!s) return qd_err_nomem(err, "stored documents");
    s->magic = QDI_STORED_MAGIC;
    s->file = f;
    s->generation = atomic_fetch_add_explicit(&generations, 1, memory_order_relaxed) + 1;
    int rc = load_index(s, p, bytes, section, account, err);
    if (rc == 0 && s->head.docs != docs) rc = bad_index(f, 0, err, "number of documents");
    if (rc) {
        qdi_stored_close(s);
        return rc;
    }
    s->stats = (qd_stored_stats){.docs = docs,
                                 .blocks = s->head.blocks,
                                 .dicts = s->head.dicts,
                                 .bytes = section,
                                 .raw_bytes = s->head.raw_bytes,
                                 .block_max = s->stats.block_max};
    *out = s;
    return 0;
}

void qdi_stored_close(qd_stored *s)
{
    if (!s) return;
    QD_CHECK(s, QDI_STORED_MAGIC);
    for (uint32_t i = 0; i < QDI_STORED_DICTS_MAX; i++) ZSTD_freeDDict(s->dicts[i]);
    s->magic = 0;
    qd_free(s);
}

const qd_stored_stats *qd_stored_stats_get(const qd_stored *s)
{
    return &s->stats;
}

void qd_stored_scratch_fini(qd_stored_scratch *s)
{
    qd_account *account = s->account;
    qdi_stored_context_give(s->context);
    qd_free(s->raw);
    qd_free(s->ends);
    *s = (qd_stored_scratch){.account = account};
}

static int bad_block(const qd_stored *s, const qdi_stored_block *b, qd_err *err, const char *what)
{
    return qd_file_corrupt(s->file, QDI_SEC_STORED, b->offset, err, what);
}

/* Room for raw bytes and docs ends. What the frame claims is compared with the index before. */
static int make_room(const qd_stored *s, qd_stored_scratch *c, const qdi_stored_block *b,
                     qd_err *err)
{
    if (!c->context) {
        c->context = qdi_stored_context_take();
        if (!c->context) return qd_err_nomem(err, "decompressor of stored documents");
    }
    if (b->raw > c->raw_cap) {
        /* who reads a second block reads more of them */
        size_t more = 2 * (size_t)qdi_stored_block_bytes(s->head.codec);
        size_t cap = c->raw && b->raw < more ? more : b->raw;
        uint8_t *raw = qd_alloc(c->account, cap);
        if (!raw) return qd_err_nomem(err, "stored documents");
        qd_free(c->raw);
        c->raw = raw;
        c->raw_cap = cap;
    }
    if (b->docs > c->ends_cap) {
        size_t cap = b->docs < 512 ? 512 : b->docs;
        uint32_t *ends = qd_alloc(c->account, cap * sizeof *ends);
        if (!ends) return qd_err_nomem(err, "stored documents");
        qd_free(c->ends);
        c->ends = ends;
        c->ends_cap = cap;
    }
    return 0;
}

/* Is the block what was written? Its page was verified when the process first touched it, which may
 * be weeks ago. *frame gets the bytes of the zstd frame. Blocks of earlier versions have no
 * checksum of their own: their pages are verified again. */
static int check_block(const qd_stored *s, const qdi_stored_block *b, const uint8_t *p,
                       uint64_t *frame, qd_err *err)
{
    uint64_t sum;
    *frame = b->bytes;
    if (b->bytes <= QDI_STORED_SUM || !qdi_stored_sum_get(p + b->bytes - QDI_STORED_SUM, &sum))
        return qd_file_check(s->file, QDI_SEC_STORED, b->offset, b->bytes, err);
    *frame -= QDI_STORED_SUM;
    return qd_xxh3(p, *frame) == sum ? 0 : qdi_stored_bad_sum(s, b, err);
}

int qdi_stored_bad_sum(const qd_stored *s, const qdi_stored_block *b, qd_err *err)
{
    return bad_block(s, b, err, "wrong checksum of a block of stored documents");
}

/* Reads the block whose bytes were planned before: the index, which is mapped, may say something
 * else by now. */
int qdi_stored_load(const qd_stored *s, uint32_t block, const uint8_t *p, uint64_t bytes,
                    qd_stored_scratch *c, qd_err *err)
{
    qdi_stored_block b;
    if (c->owner == s && c->generation == s->generation && c->block == block) return 0;
    c->owner = NULL;
    qdi_stored_block_at(s, block, &b);
    uint64_t frame;
    bool sound = b.bytes == bytes && b.dict <= s->head.dicts && b.raw <= QDI_STORED_RAW_MAX &&
                 b.docs - 1 < QDI_STORED_BLOCK_DOCS;
    if (!sound) return bad_block(s, &b, err, "entry of a block of stored documents");
    int rc = check_block(s, &b, p, &frame, err);
    if (rc) return rc;
    if (ZSTD_getFrameContentSize(p, frame) != b.raw)
        return bad_block(s, &b, err, "size of a block of stored documents");
    rc = make_room(s, c, &b, err);
    if (rc) return rc;
    size_t n = b.dict ? ZSTD_decompress_usingDDict(c->context, c->raw, b.raw, p, frame,
                                                   s->dicts[b.dict - 1])
                      : ZSTD_decompressDCtx(c->context, c->raw, b.raw, p, frame);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
        return qd_err_nomem(err, "decompressor of stored documents");
    if (n != b.raw) return bad_block(s, &b, err, "compressed block of stored documents");

    const uint8_t *q = c->raw, *end = c->raw + b.raw;
    uint64_t at = 0;
    for (uint32_t i = 0; i < b.docs; i++) {
        uint64_t len;
        q = qd_get_varint(q, end, &len);
        if (!q || len > b.raw) return bad_block(s, &b, err, "length of a stored document");
        at += len;
        if (at > b.raw) return bad_block(s, &b, err, "length of a stored document");
        c->ends[i] = (uint32_t)at;
    }
    uint32_t lengths = (uint32_t)(q - c->raw);
    if (at != b.raw - lengths) return bad_block(s, &b, err, "lengths of stored documents");
    for (uint32_t i = 0; i < b.docs; i++) c->ends[i] += lengths;
    c->text = lengths;
    c->owner = s;
    c->generation = s->generation;
    c->block = block;
    c->first = b.first;
    c->docs = b.docs;
    return 0;
}

qd_str qdi_stored_doc(const qd_stored_scratch *c, uint32_t i)
{
    uint32_t from = i ? c->ends[i - 1] : c->text;
    return (qd_str){(const char *)c->raw + from, c->ends[i] - from};
}

int qd_stored_plan(const qd_stored *s, uint32_t doc, qd_reads *r, uint32_t *slot, qd_err *err)
{
    qdi_stored_block b;
    QD_CHECK(s, QDI_STORED_MAGIC);
    qd_assert(doc < s->head.docs);
    qdi_stored_block_at(s, qdi_stored_block_of(s, doc), &b);
    return qd_reads_add(r, s->file, QDI_SEC_STORED, b.offset, b.bytes, slot, err);
}

int qd_stored_get(const qd_stored *s, uint32_t doc, const qd_reads *r, uint32_t slot,
                  qd_stored_scratch *scratch, qd_str *out, qd_err *err)
{
    QD_CHECK(s, QDI_STORED_MAGIC);
    qd_assert(doc < s->head.docs);
    uint32_t block = qdi_stored_block_of(s, doc);
    int rc = qdi_stored_load(s, block, qd_reads_at(r, slot), qd_reads_len(r, slot), scratch, err);
    if (rc) return rc;
    if (QD_UNLIKELY(doc - scratch->first >= scratch->docs))
        return bad_index(s->file, 0, err, "documents of a block of stored documents");
    *out = qdi_stored_doc(scratch, doc - scratch->first);
    return 0;
}

/* Sixteen blocks a fetch: enough to hide a request, little enough to hold. */
#define SCAN_BLOCKS 16u

int qd_stored_scan(const qd_stored *s, uint32_t from, uint32_t to, qd_stored_scratch *scratch,
                   int (*each)(void *arg, uint32_t doc, qd_str bytes), void *arg, qd_err *err)
{
    QD_CHECK(s, QDI_STORED_MAGIC);
    if (to > s->head.docs) to = s->head.docs;
    if (from >= to) return 0;
    qd_arena arena;
    qd_arena_init(&arena, scratch->account, 0);
    qd_reads *r = qd_reads_make(&arena, scratch->account);
    int rc = r ? 0 : qd_err_nomem(err, "scan of stored documents");
    uint32_t block = qdi_stored_block_of(s, from), last = qdi_stored_block_of(s, to - 1);
    while (rc == 0 && block <= last) {
        uint32_t slots[SCAN_BLOCKS], n = 0;
        for (; rc == 0 && n < SCAN_BLOCKS && block + n <= last; n++) {
            qdi_stored_block b;
            qdi_stored_block_at(s, block + n, &b);
            rc = qd_reads_add(r, s->file, QDI_SEC_STORED, b.offset, b.bytes, &slots[n], err);
        }
        if (rc == 0) rc = qd_reads_fetch(r, err);
        for (uint32_t i = 0; rc == 0 && i < n; i++) {
            rc = qdi_stored_load(s, block + i, qd_reads_at(r, slots[i]), qd_reads_len(r, slots[i]),
                                 scratch, err);
            for (uint32_t d = 0; rc == 0 && d < scratch->docs; d++) {
                uint32_t doc = scratch->first + d;
                if (doc >= from && doc < to) rc = each(arg, doc, qdi_stored_doc(scratch, d));
            }
        }
        block += n;
        qd_reads_release(r);
    }
    qd_arena_fini(&arena);
    return rc;
}
