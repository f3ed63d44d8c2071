/* damage_t.c: segments with wrong bytes under right checksums end in a clean error or in bounded
 * nonsense, never in a crash; run under the sanitizers this is the decoders' bounds test. */
#include "segment/format_int.h"
#include "segment/postings/postings_int.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

static void count(void *arg, qd_str file, const char *section, uint64_t offset, const char *text)
{
    (void)file;
    (void)section;
    (void)offset;
    (void)text;
    ++*(uint64_t *)arg;
}

static uint64_t check(parts *x, const char *name)
{
    uint64_t findings = 0;
    qd_segment *s;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_segment_open(x->store, qd_str_c(name), &x->account, &s, &err);
    if (rc == 0) {
        qd_check c = {
            .found = count, .arg = &findings, .account = &x->account, .file = qd_segment_file(s)};
        assert_int_equal(qdi_inverted_check(s, &c, &err), 0);
        qd_segment_unref(s);
    } else {
        assert_int_equal(rc, QD_E_CORRUPT);
        findings++;
    }
    qd_err_fini(&err);
    return findings;
}

static void one_round(parts *x, uint32_t section, uint64_t bytes, uint32_t *errors, uint64_t *found)
{
    uint8_t mask = (uint8_t)(1u << parts_random(x, 8));
    if (parts_random(x, 4) == 0) mask = 0xff;
    parts_tamper(x, "seg-a", "seg-t", section, parts_random(x, bytes), mask);
    qd_err err;
    qd_err_init(&err);
    int rc = corpus_read_all(x, "seg-t", &err);
    assert_true(rc == 0 || rc == QD_E_CORRUPT);
    *errors += rc != 0;
    qd_err_fini(&err);
    *found += check(x, "seg-t") > 0;
    static const char *const names[] = {"seg-t", "seg-a"};
    rc = corpus_merge(x, names, 2, NULL, "seg-m", NULL, &err);
    if (rc != 0 && rc != QD_E_CORRUPT)
        print_error("%s %s\n", qd_code_name(rc), qd_err_reason(&err));
    assert_true(rc == 0 || rc == QD_E_CORRUPT);
    qd_err_fini(&err);
    OK(x, qd_store_delete(x->store, QD_STR("seg-t"), &x->err));
    OK(x, qd_store_delete(x->store, QD_STR("seg-m"), &x->err));
    qd_arena_reset(&x->arena);
}

static void wrong_bytes_end_cleanly(void **state)
{
    (void)state;
    static const uint32_t sections[] = {QDI_SEC_TERMS,   QDI_SEC_POSTINGS, QDI_SEC_POSITIONS,
                                        QDI_SEC_OFFSETS, QDI_SEC_NORMS,    QDI_SEC_TERM_INDEX,
                                        QDI_SEC_META};
    for (unsigned copies = 0; copies < 2; copies++) {
        parts x;
        corpus c;
        parts_begin(&x, copies);
        corpus_begin(&c, &x, 60);
        corpus_grow(&c, 1500, 8);
        corpus_flush(&c, 0, c.docs, NULL, "seg-a");
        assert_int_equal(check(&x, "seg-a"), 0);
        uint32_t errors = 0, rounds = 0;
        uint64_t found = 0;
        qd_file *f = parts_open(&x, "seg-a");
        for (size_t i = 0; i < QD_COUNT_OF(sections); i++) {
            uint64_t bytes;
            assert_true(qd_file_section(f, sections[i], &bytes));
            for (unsigned k = 0; k < 12; k++, rounds++)
                one_round(&x, sections[i], bytes, &errors, &found);
        }
        qd_file_unref(f);
        /* not every byte matters to a reader, and a position may be any; but most do */
        assert_true(errors > rounds / 8 && found > rounds / 2);
        corpus_end(&c);
        parts_end(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_bytes_end_cleanly)};
    return unit_run(tests);
}
