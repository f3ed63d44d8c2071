/* flips_t.c: bits that flip below an open segment, after every page of it was verified: a document
 * is what was written and found by its id, or its get fails and names the place. */
#include "segment/format_int.h"
#include "segment/merge.h"
#include "segment/stored/stored_read_int.h"
#include "segment/stored/stored_writer_int.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

#define DOCS 600u

/* Compresses to a third, so that a flip may hit literals, lengths and the table of symbols. */
static qd_str text_of(uint32_t doc, char *room, size_t n)
{
    uint64_t h = doc * UINT64_C(0x9e3779b97f4a7c15);
    int used = snprintf(room, n, "{\"n\":%u,\"t\":\"", doc);
    for (unsigned i = 0; i < 12 + doc % 20;
         i++, h = h * 6364136223846793005u + 1442695040888963407u)
        used += snprintf(room + used, n - (size_t)used, "word%u ", (unsigned)(h >> 55));
    used += snprintf(room + used, n - (size_t)used, "%016llx\"}", (unsigned long long)h);
    return (qd_str){room, (size_t)used};
}

static void write_segment(parts *x, const char *name, uint8_t codec, uint32_t from, uint32_t to)
{
    qd_buffer *b;
    char room[1024];
    OK(x, qd_buffer_create(&x->account, &b, &x->err));
    qd_buffer_stored_codec(b, codec);
    for (uint32_t d = from; d < to; d++) {
        char id[24];
        qd_str text = {id, (size_t)snprintf(id, sizeof id, "id-%u", d * 7919u)};
        OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
        OK(x, qd_buffer_id(b, text, &x->err));
        OK(x, qd_buffer_source(b, text_of(d, room, sizeof room), &x->err));
        OK(x, qd_buffer_doc_commit(b, &x->err));
    }
    const qd_segment_attrs attrs = {.min_seq_no = 0, .max_seq_no = to, .stored_codec = codec};
    static uint8_t id[16];
    id[0]++;
    OK(x, qd_buffer_flush(b, x->store, qd_str_c(name), id, &attrs, true, NULL, &x->err));
    qd_buffer_destroy(b);
}

/* Gets a document by a scratch of its own: nothing is kept. */
static int get(parts *x, const qd_segment *s, uint32_t doc, bool *same)
{
    char room[1024];
    uint32_t slot;
    qd_str got, want = text_of(doc, room, sizeof room);
    qd_stored_scratch scratch = {.account = &x->account};
    qd_reads *r = parts_reads(x);
    int rc = qd_stored_plan(qd_segment_stored(s), doc, r, &slot, &x->err);
    if (!rc) rc = qd_reads_fetch(r, &x->err);
    if (!rc) rc = qd_stored_get(qd_segment_stored(s), doc, r, slot, &scratch, &got, &x->err);
    *same = !rc && qd_str_eq(got, want);
    qd_stored_scratch_fini(&scratch);
    qd_reads_release(r);
    qd_arena_reset(&x->arena);
    return rc;
}

typedef struct tally {
    uint32_t flips, told, harmless;
} tally;

#define BLOCKS_MOST 64u

/* Documents to get: the borders of each block and one between. Whole blocks are checked. */
static uint32_t pick(parts *x, const qd_stored *s, uint32_t docs[3 * BLOCKS_MOST])
{
    uint32_t n = 0;
    assert_true(s->head.blocks > 1 && s->head.blocks <= BLOCKS_MOST);
    for (uint32_t i = 0; i < s->head.blocks; i++) {
        qdi_stored_block b;
        qdi_stored_block_at(s, i, &b);
        docs[n++] = b.first;
        docs[n++] = b.first + (uint32_t)parts_random(x, b.docs);
        docs[n++] = b.first + b.docs - 1;
    }
    return n;
}

/* Flips a bit at `at`, gets the documents, turns it back. */
static void flip(parts *x, const char *name, const qd_segment *s, uint64_t at, const uint32_t *docs,
                 uint32_t n, tally *t)
{
    bool told = false;
    uint8_t mask = (uint8_t)(1u << parts_random(x, 8));
    assert_true(store_crash_flip(x->disk, name, at, mask));
    for (uint32_t i = 0; i < n; i++) {
        bool same;
        uint32_t d = docs[i];
        int rc = get(x, s, d, &same);
        if (rc == 0 && same) continue;
        if (rc != QD_E_CORRUPT) {
            fail_msg("document %u after a flip at %llu: %s", d, (unsigned long long)at,
                     rc ? qd_err_reason(&x->err) : "other bytes were served");
        }
        assert_non_null(strstr(qd_err_reason(&x->err), name));
        assert_non_null(strstr(qd_err_reason(&x->err), "at offset"));
        told = true;
        qd_err_fini(&x->err);
        qd_err_init(&x->err);
    }
    assert_true(store_crash_flip(x->disk, name, at, mask));
    t->flips++;
    *(told ? &t->told : &t->harmless) += 1;
}

static void extent(qd_file *f, uint32_t section, uint64_t *at, uint64_t *bytes)
{
    uint32_t id;
    bool resident;
    for (uint32_t i = 0; qd_file_section_at_index(f, i, &id, at, bytes, &resident); i++)
        if (id == section) return;
    fail_msg("no section %u", section);
}

/* In so many places of a section; all of them are told where every byte is under a checksum. */
static tally flip_section(parts *x, const char *name, uint32_t section, unsigned rounds)
{
    qd_segment *s;
    uint64_t at, bytes;
    tally t = {0};
    bool same;
    uint32_t docs[3 * BLOCKS_MOST];
    OK(x, qd_segment_open(x->store, qd_str_c(name), &x->account, &s, &x->err));
    uint32_t n = pick(x, qd_segment_stored(s), docs);
    for (uint32_t i = 0; i < n; i++) { /* every page is verified from now on */
        OK(x, get(x, s, docs[i], &same));
        assert_true(same);
    }
    extent(qd_segment_file(s), section, &at, &bytes);
    for (unsigned i = 0; i < rounds; i++)
        flip(x, name, s, at + parts_random(x, bytes), docs, n, &t);
    assert_int_equal(qd_file_damaged(qd_segment_file(s)), t.told > 0);
    for (uint32_t i = 0; i < n; i++) { /* nothing of it is kept */
        OK(x, get(x, s, docs[i], &same));
        assert_true(same);
    }
    qd_segment_unref(s);
    return t;
}

static void no_other_bytes_are_served(void **state)
{
    (void)state;
    unsigned rounds = (unsigned)unit_rounds(100);
    for (unsigned sums = 0; sums < 2; sums++) {
        for (uint8_t codec = QD_STORED_DEFAULT; codec <= QD_STORED_BEST; codec++) {
            parts x;
            parts_begin(&x, false);
            qdi_stored_sums = sums != 0;
            write_segment(&x, "seg-a", codec, 0, codec == QD_STORED_BEST ? 6 * DOCS : DOCS);
            qdi_stored_sums = true;
            tally t = flip_section(&x, "seg-a", QDI_SEC_STORED, rounds);
            assert_int_equal(t.told, t.flips); /* no byte of the section is without effect */
            /* of the mapped index what decides on the document is found out by the blocks */
            t = flip_section(&x, "seg-a", QDI_SEC_STORED_INDEX, rounds);
            assert_true(t.told > 0);
            parts_end(&x);
        }
    }
}

/* Frames one behind the other, as the format says: versions that know no checksums pass over them.
 */
static void earlier_versions_read_the_blocks(void **state)
{
    (void)state;
    parts x;
    qd_segment *s;
    uint32_t slot;
    parts_begin(&x, false);
    write_segment(&x, "seg-a", QD_STORED_DEFAULT, 0, DOCS);
    OK(&x, qd_segment_open(x.store, QD_STR("seg-a"), &x.account, &s, &x.err));
    const qd_stored *t = qd_segment_stored(s);
    qd_reads *r = parts_reads(&x);
    assert_true(t->head.blocks > 2);
    for (uint32_t i = 0; i < t->head.blocks; i++) {
        qdi_stored_block b;
        qdi_stored_block_at(t, i, &b);
        uint8_t *raw = malloc(b.raw);
        OK(&x,
           qd_reads_add(r, qd_segment_file(s), QDI_SEC_STORED, b.offset, b.bytes, &slot, &x.err));
        OK(&x, qd_reads_fetch(r, &x.err));
        const uint8_t *p = qd_reads_at(r, slot);
        assert_int_equal(ZSTD_getFrameContentSize(p, b.bytes), b.raw);
        assert_int_equal(ZSTD_decompress(raw, b.raw, p, b.bytes), b.raw);
        assert_true(ZSTD_findFrameCompressedSize(p, b.bytes) + QDI_STORED_SUM == b.bytes);
        free(raw);
    }
    qd_reads_release(r);
    qd_segment_unref(s);
    parts_end(&x);
}

/* Blocks of an earlier version that a merge copies unopened have a checksum afterwards; those that
 * have one keep it. */
static void merges_give_checksums(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        parts x;
        qd_segment *s;
        bool same;
        parts_begin(&x, how % 2 != 0);
        qdi_stored_sums = how >= 2;
        write_segment(&x, "seg-a", QD_STORED_DEFAULT, 0, DOCS);
        write_segment(&x, "seg-b", QD_STORED_DEFAULT, DOCS, 2 * DOCS);
        qdi_stored_sums = true;
        static const char *const names[] = {"seg-a", "seg-b"};
        OK(&x, corpus_merge(&x, names, 2, NULL, "seg-m", NULL, &x.err));
        OK(&x, qd_segment_open(x.store, QD_STR("seg-m"), &x.account, &s, &x.err));
        const qd_stored *t = qd_segment_stored(s);
        for (uint32_t i = 0; i < t->head.blocks; i++) {
            qdi_stored_block b;
            uint32_t slot;
            uint64_t sum;
            qd_reads *r = parts_reads(&x);
            qdi_stored_block_at(t, i, &b);
            OK(&x, qd_reads_add(r, qd_segment_file(s), QDI_SEC_STORED, b.offset, b.bytes, &slot,
                                &x.err));
            OK(&x, qd_reads_fetch(r, &x.err));
            assert_true(qdi_stored_sum_get(qd_reads_at(r, slot) + b.bytes - QDI_STORED_SUM, &sum));
            qd_reads_release(r);
        }
        for (uint32_t d = 0; d < 2 * DOCS; d += 7) {
            OK(&x, get(&x, s, d, &same));
            assert_true(same);
        }
        qd_segment_unref(s);
        parts_end(&x);
    }
}

/* Looks an id up; QD_E_CORRUPT is told. Ids that are not there are not found. */
static bool look_up(parts *x, const qd_segment *s, uint32_t of, bool there, const char *name)
{
    char room[24];
    uint32_t doc = QD_IDS_ABSENT;
    qd_str id = {room,
                 (size_t)snprintf(room, sizeof room, "id-%u%s", of * 7919u, there ? "" : "x")};
    uint64_t hash = qd_ids_hash(id);
    int rc = qd_ids_lookup(qd_segment_ids(s), &id, &hash, 1, &doc, &x->arena, &x->err);
    qd_arena_reset(&x->arena);
    if (rc == 0) {
        assert_int_equal(doc, there ? of : QD_IDS_ABSENT);
        return true;
    }
    assert_int_equal(rc, QD_E_CORRUPT);
    assert_non_null(strstr(qd_err_reason(&x->err), name));
    qd_err_fini(&x->err);
    qd_err_init(&x->err);
    return false;
}

/* Reads a document's id as a search does; QD_E_CORRUPT is told. */
static bool id_is_right(parts *x, const qd_segment *s, uint32_t doc)
{
    char room[24];
    qd_column_reader *rd;
    qd_str got = {0}, want = {room, (size_t)snprintf(room, sizeof room, "id-%u", doc * 7919u)};
    bool has = false;
    uint32_t field = qd_segment_field_find(s, QD_STR("_id"));
    const qd_column *c = qd_columns_get(qd_segment_columns(s), field);
    qd_reads *r = parts_reads(x);
    int rc = qd_column_plan_docs(c, &doc, 1, r, &x->arena, &rd, &x->err);
    if (!rc) rc = qd_reads_fetch(r, &x->err);
    if (!rc) rc = qd_column_bytes(rd, doc, &got, &has, &x->err);
    if (!rc && has) rc = qd_ids_confirm(qd_segment_ids(s), got, doc, r, &x->err);
    if (!rc && has) assert_true(qd_str_eq(got, want));
    if (rc) assert_int_equal(rc, QD_E_CORRUPT);
    qd_err_fini(&x->err);
    qd_err_init(&x->err);
    qd_reads_release(r);
    qd_arena_reset(&x->arena);
    return rc == 0 && has;
}

static void ids_are_found_or_the_place_is_told(void **state)
{
    (void)state;
    static const uint32_t sections[] = {QDI_SEC_IDS, QDI_SEC_COLUMN_DICT, QDI_SEC_COLUMNS,
                                        QDI_SEC_COLUMN_INDEX};
    parts x;
    qd_segment *s;
    uint32_t told = 0;
    parts_begin(&x, false);
    write_segment(&x, "seg-a", QD_STORED_DEFAULT, 0, DOCS);
    OK(&x, qd_segment_open(x.store, QD_STR("seg-a"), &x.account, &s, &x.err));
    for (uint32_t d = 0; d < DOCS; d++) assert_true(look_up(&x, s, d, true, "seg-a"));
    for (size_t k = 0; k < QD_COUNT_OF(sections); k++) {
        uint64_t at, bytes;
        extent(qd_segment_file(s), sections[k], &at, &bytes);
        for (unsigned i = 0; bytes && i < unit_rounds(80); i++) {
            uint64_t where = at + parts_random(&x, bytes);
            uint8_t mask = (uint8_t)(1u << parts_random(&x, 8));
            assert_true(store_crash_flip(x.disk, "seg-a", where, mask));
            for (uint32_t d = 0; d < DOCS; d++) {
                told += !look_up(&x, s, d, true, "seg-a");
                told += !look_up(&x, s, d, false, "seg-a");
                told += !id_is_right(&x, s, d);
            }
            assert_true(store_crash_flip(x.disk, "seg-a", where, mask));
        }
    }
    assert_true(told > 0);
    for (uint32_t d = 0; d < DOCS; d++) assert_true(look_up(&x, s, d, true, "seg-a"));
    qd_segment_unref(s);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_or_the_place_is_told),
        cmocka_unit_test(no_other_bytes_are_served),
        cmocka_unit_test(earlier_versions_read_the_blocks),
        cmocka_unit_test(merges_give_checksums),
    };
    return unit_run(tests);
}
