/* check_t.c: the check finds nothing in whole segments and something in damaged ones; no damaged
 * byte, with right or wrong checksums, brings a reader down. */
#include "base/log.h"
#include "segment/buffer.h"
#include "segment/check.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

#define NAME "s/seg-07070700000000000000000000000000"
static const uint8_t id[16] = {7, 7, 7};

static const qd_field_info schema[] = {
    {.name = {"_id", 3}, .index = QD_INDEX_DOCS, .column = QD_COLUMN_BYTES},
    {.name = {"body", 4}, .index = QD_INDEX_POSITIONS, .norms = 1},
    {.name = {"n", 1}, .column = QD_COLUMN_I64, .point = QD_POINT_I64},
    {.name = {"tag", 3}, .index = QD_INDEX_DOCS, .column = QD_COLUMN_ORDINAL},
    {.name = {"ip", 2}, .column = QD_COLUMN_ORDINAL, .point = QD_POINT_B16},
};

static void add_document(parts *x, qd_buffer *b, const uint32_t field[5], uint32_t d)
{
    char text[400];
    uint32_t off[20];
    uint16_t len[20];
    size_t at = 0;
    OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
    int n = snprintf(text, sizeof text, "id%u", d);
    OK(x, qd_buffer_id(b, (qd_str){text, (size_t)n}, &x->err));
    qd_term_batch batch = {.text = text, .off = off, .len = len, .n = 10 + d % 7};
    memset(text, 0, sizeof text);
    for (uint32_t i = 0; i < batch.n; i++) {
        off[i] = (uint32_t)at;
        len[i] = (uint16_t)snprintf(text + at, 16, "w%u", (uint32_t)parts_random(x, 400));
        at += len[i];
    }
    OK(x, qd_buffer_terms(b, field[1], &batch, &x->err));
    int64_t v[2] = {(int64_t)parts_random(x, 10000), (int64_t)parts_random(x, 0)};
    OK(x, qd_buffer_column_i64(b, field[2], v, 1 + d % 2, &x->err));
    OK(x, qd_buffer_points_i64(b, field[2], v, 1 + d % 2, &x->err));
    n = snprintf(text, sizeof text, "tag%u", (uint32_t)parts_random(x, 50));
    if (d % 3) {
        OK(x, qd_buffer_term(b, field[3], (qd_str){text, (size_t)n}, &x->err));
        OK(x, qd_buffer_column_bytes(b, field[3], (qd_str){text, (size_t)n}, &x->err));
    }
    uint8_t ip[16] = {0, 1, 2, [15] = (uint8_t)d};
    OK(x, qd_buffer_column_bytes(b, field[4], (qd_str){(char *)ip, 16}, &x->err));
    OK(x, qd_buffer_point_b16(b, field[4], ip, &x->err));
    n = snprintf(text, sizeof text, "{\"n\":%u,\"text\":\"some source of document %u\"}", d, d);
    OK(x, qd_buffer_source(b, (qd_str){text, (size_t)n}, &x->err));
    OK(x, qd_buffer_doc_commit(b, &x->err));
}

static void make_segment(parts *x, uint32_t docs)
{
    qd_buffer *b;
    uint32_t field[5];
    qd_segment_attrs attrs = {.min_seq_no = 0, .max_seq_no = docs - 1};
    OK(x, qd_buffer_create(&x->account, &b, &x->err));
    for (uint32_t i = 0; i < 5; i++) OK(x, qd_buffer_field(b, &schema[i], &field[i], &x->err));
    for (uint32_t d = 0; d < docs; d++) add_document(x, b, field, d);
    OK(x, qd_buffer_flush(b, x->store, QD_STR(NAME), id, &attrs, false, NULL, &x->err));
    qd_buffer_destroy(b);
}

static void print_finding(void *arg, qd_str file, const char *section, uint64_t offset,
                          const char *text)
{
    if (*(bool *)arg)
        print_error("%.*s: %s at %u: %s\n", QD_STR_ARG(file), section, (uint32_t)offset, text);
}

static qd_check check(parts *x, qd_str name, bool loud)
{
    qd_check c = {.found = print_finding, .arg = &loud, .account = &x->account};
    OK(x, qd_segment_check(x->store, name, &c, &x->err));
    return c;
}

static void whole_segments_have_no_findings(void **state)
{
    (void)state;
    for (uint32_t copies = 0; copies < 2; copies++) {
        parts x;
        parts_begin(&x, copies);
        make_segment(&x, 5000);
        qd_live *live;
        OK(&x, qd_live_make(5000, &x.account, &live, &x.err));
        qd_live_delete(live, 17);
        OK(&x, qd_live_write(live, x.store, QD_STR("s/"), id, 1, id, true, NULL, &x.err));
        qd_live_unref(live);
        qd_check c = check(&x, QD_STR(NAME), true);
        assert_int_equal(c.findings, 0);
        assert_int_equal(c.documents, 5000);
        assert_int_equal(c.ids, 5000);
        assert_int_equal(c.lives, 1);
        assert_int_equal(c.points, 5000 + 7500);
        assert_true(c.terms == 400 + 50 && c.postings > 50000 && c.values > 10000);
        assert_true(qd_segment_name_is(QD_STR(NAME)));
        assert_false(qd_segment_name_is(QD_STR("s/seg-xyz")));
        parts_end(&x);
    }
}

static void a_flipped_bit_is_found(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    make_segment(&x, 600);
    uint64_t bytes = 0;
    assert_true(store_crash_size(x.disk, NAME, &bytes));
    for (uint32_t round = 0; round < 150; round++) {
        uint64_t at = parts_random(&x, bytes);
        uint8_t mask = (uint8_t)(1u << parts_random(&x, 8));
        assert_true(store_crash_flip(x.disk, NAME, at, mask));
        qd_check c = check(&x, QD_STR(NAME), false);
        if (c.findings == 0) print_error("offset %u, mask %u\n", (uint32_t)at, mask);
        assert_true(c.findings > 0);
        assert_true(store_crash_flip(x.disk, NAME, at, mask));
    }
    assert_int_equal(check(&x, QD_STR(NAME), true).findings, 0);
    parts_end(&x);
}

/* Damage under right checksums: what a defect of ours or an attacker would write. */
static void impossible_values_do_no_harm(void **state)
{
    (void)state;
    static const uint32_t sections[] = {
        QDI_SEC_TERMS,        QDI_SEC_POSTINGS,   QDI_SEC_POSITIONS,    QDI_SEC_NORMS,
        QDI_SEC_COLUMN_DICT,  QDI_SEC_COLUMNS,    QDI_SEC_POINTS,       QDI_SEC_STORED,
        QDI_SEC_IDS,          QDI_SEC_TERM_INDEX, QDI_SEC_COLUMN_INDEX, QDI_SEC_POINT_INDEX,
        QDI_SEC_STORED_INDEX, QDI_SEC_META};
    uint32_t found = 0, tried = 0;
    for (uint32_t copies = 0; copies < 2; copies++) {
        parts x;
        parts_begin(&x, copies);
        make_segment(&x, 600);
        qd_file *f = parts_open(&x, NAME);
        for (uint32_t i = 0; i < QD_COUNT_OF(sections); i++) {
            uint64_t bytes = 0;
            if (!qd_file_section(f, sections[i], &bytes) || bytes == 0) continue;
            for (uint32_t round = 0; round < 40; round++) {
                uint64_t at = round < 10 ? round % bytes : parts_random(&x, bytes);
                uint8_t mask = round % 2 ? 0xff : (uint8_t)(1u << parts_random(&x, 8));
                parts_tamper(&x, NAME, "t/seg-07070700000000000000000000000000", sections[i], at,
                             mask);
                qd_check c = check(&x, QD_STR("t/seg-07070700000000000000000000000000"), false);
                found += c.findings > 0;
                tried++;
                OK(&x, qd_store_delete_all(x.store, QD_STR("t/"), &x.err));
            }
        }
        qd_file_unref(f);
        parts_end(&x);
    }
    /* Not every byte can be held against another (a norm, a position, a value inside its block's
     * bounds), most can. */
    assert_true(found * 10 > tried * 6);
}

static void every_allocation_of_the_check_may_fail(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, true);
    make_segment(&x, 40);
    int64_t before = qd_account_used(&x.account);
    for (uint64_t n = 1;; n++) {
        bool loud = true;
        qd_check c = {.found = print_finding, .arg = &loud, .account = &x.account};
        qd_mem_fail_at(n, false);
        int rc = qd_segment_check(x.store, QD_STR(NAME), &c, &x.err);
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_true(rc == 0 || rc == QD_E_NOMEM);
        assert_int_equal(c.findings, 0);
        assert_int_equal(qd_account_used(&x.account), before);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        if (rc == 0 && seen < n) break;
    }
    parts_end(&x);
}

static void every_read_of_the_check_may_fail(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, true);
    make_segment(&x, 40);
    for (uint64_t n = 1;; n++) {
        bool loud = true;
        qd_check c = {.found = print_finding, .arg = &loud, .account = &x.account};
        store_crash_fail_at(x.disk, STORE_CRASH_READS, n, QD_E_IO, false);
        int rc = qd_segment_check(x.store, QD_STR(NAME), &c, &x.err);
        uint64_t seen = store_crash_fail_at(x.disk, STORE_CRASH_READS, 0, 0, false);
        assert_true(rc == 0 || rc == QD_E_IO);
        assert_int_equal(c.findings, 0);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        if (seen < n) break;
    }
    parts_end(&x);
}

/* --- dump --- */

typedef struct counter {
    uint32_t depth, texts, numbers;
    int64_t docs;
} counter;

static void count_open(void *arg, const char *key, bool array)
{
    (void)key;
    (void)array;
    ((counter *)arg)->depth++;
}

static void count_close(void *arg)
{
    ((counter *)arg)->depth--;
}

static void count_text(void *arg, const char *key, qd_str value)
{
    (void)key;
    (void)value;
    ((counter *)arg)->texts++;
}

static void count_number(void *arg, const char *key, int64_t value)
{
    counter *c = arg;
    if (c->depth == 1 && strcmp(key, "docs") == 0) c->docs = value;
    c->numbers++;
}

static void a_dump_tells_what_is_there(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    make_segment(&x, 100);
    counter c = {0};
    qd_dump_sink sink = {&c, count_open, count_close, count_text, count_number};
    OK(&x, qd_segment_dump(x.store, QD_STR(NAME), &x.account, &sink, &x.err));
    assert_int_equal(c.depth, 0);
    assert_int_equal(c.docs, 100);
    assert_true(c.texts > 20 && c.numbers > 40);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_segments_have_no_findings),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(impossible_values_do_no_harm),
        cmocka_unit_test(every_allocation_of_the_check_may_fail),
        cmocka_unit_test(every_read_of_the_check_may_fail),
        cmocka_unit_test(a_dump_tells_what_is_there),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
