/*
 * columns_fuzz.c: values of any kind through columns, points, stored documents and ids, and back;
 * then the same file with bytes changed under right checksums, read through every door.
 *
 * Input: u8 shape, u8 number of changes, then for each change u8 section, u16 place, u8 mask; the
 * rest are values: a byte of kind and bytes by kind.
 */
#include "base/bits.h"
#include "lib/store_crash.h"
#include "lib/store_tamper.h"
#include "segment/columns/columns_int.h"
#include "segment/ids/ids_int.h"
#include "segment/points/points_int.h"
#include "segment/stored/stored_int.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static qd_account account;
static const uint8_t id[16] = {1};
#define DOCS_MAX 9000u
#define MUST(call)                                                                                 \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        qd_assert(rc_ == 0);                                                                       \
    } while (0)

typedef struct model {
    uint32_t docs, n;
    uint32_t doc[DOCS_MAX];
    int64_t value[DOCS_MAX];
} model;

typedef struct buffers {
    qdi_column_buffer *i64, *words, *ids;
    qdi_points_buffer *points;
    qdi_stored_buffer *stored;
} buffers;

/* Values from the input; documents advance by what the shape and the kinds say. */
static void fill(model *m, const buffers *b, uint8_t shape, const uint8_t *p, const uint8_t *end)
{
    uint32_t doc = 0;
    int64_t last = 0;
    m->n = m->docs = 0;
    while (p < end && m->n < DOCS_MAX - 300 && doc < DOCS_MAX - 300) {
        uint8_t kind = *p++;
        uint32_t times = kind & 0x40 ? 1 + (kind & 0x3f) * 4u : 1;
        uint64_t raw = 0;
        for (uint32_t i = 0; i < (kind & 7u) && p < end; i++) raw = raw << 8 | *p++;
        for (uint32_t t = 0; t < times && doc < DOCS_MAX; t++) {
            last =
                kind & 8 ? (int64_t)((uint64_t)last + raw) : (int64_t)(raw * (kind & 16 ? t : 1));
            qd_point_value v = {.i = last};
            char word[24];
            int n = snprintf(word, sizeof word, "%llx", (unsigned long long)(raw + t % 3));
            m->doc[m->n] = doc;
            m->value[m->n++] = last;
            MUST(qdi_column_buffer_i64(b->i64, doc, &last, 1, NULL));
            MUST(qdi_column_buffer_str(b->words, doc, (qd_str){word, (size_t)n}, NULL));
            MUST(qdi_points_buffer_add(b->points, doc, &v, 1, NULL));
            doc += kind & 0x80 ? (t & shape & 1) : 1 + (shape >> 4) * (raw & 1);
        }
    }
    m->docs = doc + 1;
    for (uint32_t d = 0; d < m->docs; d++) {
        char text[32];
        int n = snprintf(text, sizeof text, "id-%u", d * 7919u % 5000);
        MUST(qdi_column_buffer_str(b->ids, d, (qd_str){text, (size_t)n}, NULL));
        if (d % 3) MUST(qdi_stored_buffer_add(b->stored, d, (qd_str){text, (size_t)n}, NULL));
    }
}

static void write_all(const buffers *b, uint32_t docs, qd_store *s)
{
    qd_file_writer *w;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_buf r[3];
    static const uint32_t sections[3] = {QDI_SEC_COLUMN_INDEX, QDI_SEC_POINT_INDEX,
                                         QDI_SEC_STORED_INDEX};
    qdi_column_source c[3] = {{0, b->i64, NULL}, {1, b->words, NULL}, {2, b->ids, NULL}};
    qdi_points_source p = {0, b->points, NULL};
    for (uint32_t i = 0; i < 3; i++) qd_buf_init(&r[i], &account, 1u << 26);
    MUST(qd_file_create(s, QD_STR("f"), &format, id, &account, &w, NULL));
    MUST(qdi_columns_write(c, 3, docs, w, &r[0], &account, NULL));
    MUST(qdi_points_write(&p, 1, docs, w, &r[1], &account, NULL));
    MUST(qdi_stored_write(b->stored, docs, w, &r[2], NULL));
    MUST(qdi_ids_write(b->ids, w, &account, NULL));
    for (uint32_t i = 0; i < 3; i++) {
        MUST(qd_file_section_begin(w, sections[i], true, NULL));
        MUST(qd_file_write(w, r[i].p, r[i].n, NULL));
        MUST(qd_file_section_end(w, NULL, NULL));
        qd_buf_fini(&r[i]);
    }
    MUST(qd_file_commit(w, false, NULL, NULL));
}

/* Copies f as "g", one byte changed for each change. */
static void damage(qd_store *s, qd_file *f, const uint8_t *p, uint32_t n)
{
    store_change changes[15];
    qd_file_format format = QDI_SEGMENT_FORMAT;
    for (uint32_t k = 0; k < n; k++, p += 4)
        changes[k] = (store_change){store_tamper_section(f, p[0] % 10), qd_get_u16le(p + 1), p[3]};
    store_tamper(s, f, QD_STR("g"), &format, changes, n, &account);
}

/* Walks a column by bits; with a model it must give the model's values. */
static void read_column(const qd_column *c, uint32_t docs, const model *m)
{
    qd_arena arena;
    qd_column_reader *rd;
    qd_column_cursor cur;
    qd_column_batch b;
    uint32_t at = 0;
    uint64_t *bits = qd_calloc(&account, docs / 64 * 8 + 8);
    qd_arena_init(&arena, &account, 0);
    qd_reads *r = qd_reads_make(&arena, &account);
    qd_assert(bits && r);
    if (qd_column_plan(c, 0, docs, r, &arena, &rd, NULL) == 0 && qd_reads_fetch(r, NULL) == 0) {
        int rc;
        qd_column_over_range(&cur, 0, docs);
        while ((rc = qd_column_next(rd, &cur, &b, NULL)) > 0)
            for (uint32_t i = 0; i < b.n; i++) {
                uint32_t d = b.docs ? b.docs[i] : b.first + i;
                qd_assert(d < docs);
                if (b.ords) qd_assert(b.ords[i] < qd_column_stats_get(c)->ordinals);
                bits[d / 64] |= (uint64_t)(d % 3 == 0) << (d & 63);
                if (m) qd_assert(at < m->n && m->doc[at] == d);
                at++;
            }
        qd_assert(!m || (rc == 0 && at == m->n));
        qd_column_over_bits(&cur, bits, 0, docs);
        while (qd_column_next(rd, &cur, &b, NULL) > 0) continue;
        rc = qd_column_match(rd, 0, docs, -5, 1000, bits, NULL);
        qd_assert(!m || rc == 0);
    }
    qd_arena_fini(&arena);
    qd_free(bits);
}

/* Reads everything; nothing may be wrong when m is given. */
static void read_all(qd_file *f, uint32_t docs, const model *m)
{
    qd_columns *columns = NULL;
    qd_points_set *points = NULL;
    qd_stored *stored = NULL;
    qd_ids *ids = NULL;
    qd_err err;
    qd_check check = {.account = &account, .file = f};
    qd_err_init(&err);
    if (qdi_columns_open(f, docs, &account, &columns, &err) == 0) {
        MUST(qdi_columns_check(columns, &check, &err));
        if (qd_columns_get(columns, 0)) read_column(qd_columns_get(columns, 0), docs, m);
        const qd_column *words = qd_columns_get(columns, 1);
        if (words && qd_column_stats_get(words)->type != QD_COLUMN_BYTES)
            read_column(words, docs, NULL);
        const qd_column *c = qd_columns_get(columns, 2);
        if (qdi_ids_open(f, docs, c, &account, &ids, &err) == 0 && ids)
            MUST(qdi_ids_check(ids, &check, &err));
        qdi_ids_close(ids);
    }
    if (qdi_points_open(f, docs, &account, &points, &err) == 0)
        MUST(qdi_points_check(points, &check, &err));
    if (qdi_stored_open(f, docs, &account, &stored, &err) == 0 && stored)
        MUST(qdi_stored_check(stored, &check, &err));
    qd_assert(!m || check.findings == 0);
    qdi_stored_close(stored);
    qdi_points_close(points);
    qdi_columns_close(columns);
    qd_err_fini(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static model m;
    if (size < 4 || size > 8192) return 0;
    uint32_t changes = data[1] & 15;
    if (2 + changes * 4 >= size) return 0;
    qd_account_init(&account, "fuzz", NULL, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = data[0] & 2});
    qd_store *s;
    buffers b;
    MUST(store_crash_open(disk, &s, NULL));
    MUST(qdi_column_buffer_make(QD_COLUMN_I64, &account, &b.i64, NULL));
    MUST(qdi_column_buffer_make(QD_COLUMN_ORDINAL, &account, &b.words, NULL));
    MUST(qdi_column_buffer_make(QD_COLUMN_BYTES, &account, &b.ids, NULL));
    MUST(qdi_points_buffer_make(QD_POINT_I64, &account, &b.points, NULL));
    MUST(qdi_stored_buffer_make(QD_STORED_DEFAULT, &account, &b.stored, NULL));
    fill(&m, &b, data[0], data + 2 + changes * 4, data + size);
    write_all(&b, m.docs, s);
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_file *f, *g;
    MUST(qd_file_open(s, QD_STR("f"), &format, &account, &f, NULL));
    /* The words are a set in each document, the model is of the integers. */
    read_all(f, m.docs, &m);
    if (changes) {
        damage(s, f, data + 2, changes);
        MUST(qd_file_open(s, QD_STR("g"), &format, &account, &g, NULL));
        read_all(g, m.docs, NULL);
        qd_file_unref(g);
    }
    qd_file_unref(f);
    qdi_column_buffer_free(b.i64);
    qdi_column_buffer_free(b.words);
    qdi_column_buffer_free(b.ids);
    qdi_points_buffer_free(b.points);
    qdi_stored_buffer_free(b.stored);
    qd_store_close(s);
    store_crash_free(disk);
    qd_assert(qd_account_used(&account) == 0);
    return 0;
}
