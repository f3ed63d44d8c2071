/*
 * check_t.c: qd_file_check: pages of a range are verified as they are by now, mapped or read,
 * however often they were found good before, and no page beside the range.
 */
#include "base/log.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "store/reads.h"
#include "unit/unit.h"

enum { PAGES = 9, BYTES = PAGES * QD_FILE_PAGE - 100, SECTION = 4 };

static const qd_file_format format = {{"test", 4}, 3, 2};
static const uint8_t id[16] = {1};
static qd_account account;

typedef struct fixture {
    store_crash *disk;
    qd_store *store;
    qd_file *file;
    uint64_t at; /* of the section in the file */
    qd_err err;
} fixture;

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 2654435761u >> 7);
}

static void write_file(fixture *x)
{
    static uint8_t bytes[BYTES];
    qd_file_writer *w;
    for (uint64_t i = 0; i < BYTES; i++) bytes[i] = byte_at(i);
    assert_int_equal(qd_file_create(x->store, QD_STR("f"), &format, id, &account, &w, &x->err), 0);
    for (uint32_t section = SECTION; section <= SECTION + 1; section++) {
        bool resident = section != SECTION;
        assert_int_equal(qd_file_section_begin(w, section, resident, &x->err), 0);
        assert_int_equal(qd_file_write(w, bytes, resident ? 100 : BYTES, &x->err), 0);
        assert_int_equal(qd_file_section_end(w, NULL, &x->err), 0);
    }
    assert_int_equal(qd_file_commit(w, true, NULL, &x->err), 0);
}

static void begin(fixture *x, bool copies)
{
    qd_account_init(&account, "test", NULL, 0);
    qd_err_init(&x->err);
    x->disk = store_crash_make(&(store_crash_options){.copies = copies});
    assert_int_equal(store_crash_open(x->disk, &x->store, &x->err), 0);
    write_file(x);
    assert_int_equal(qd_file_open(x->store, QD_STR("f"), &format, &account, &x->file, &x->err), 0);
    assert_int_equal(qd_file_verify(x->file, &x->err), 0);
    uint32_t section;
    uint64_t bytes;
    bool resident;
    assert_true(qd_file_section_at_index(x->file, 0, &section, &x->at, &bytes, &resident));
    assert_int_equal(section, SECTION);
}

static void end(fixture *x)
{
    qd_file_unref(x->file);
    qd_store_close(x->store);
    store_crash_free(x->disk);
    qd_err_fini(&x->err);
    assert_int_equal(qd_account_used(&account), 0);
}

static int check(fixture *x, uint64_t off, uint64_t len)
{
    qd_err_fini(&x->err);
    qd_err_init(&x->err);
    return qd_file_check(x->file, SECTION, off, len, &x->err);
}

static void flip(fixture *x, uint64_t off)
{
    assert_true(store_crash_flip(x->disk, "f", x->at + off, 4));
}

/* Which ranges see a bit that flipped after their pages were found good. */
static void a_bit_that_flips_later(void **state)
{
    (void)state;
    static const struct {
        uint64_t off, len;
        bool sees;
    } ranges[] = {
        {0, UINT64_MAX, true},
        {0, BYTES, true},
        {5 * QD_FILE_PAGE, 1, true},
        {6 * QD_FILE_PAGE - 1, 1, true},
        {5 * QD_FILE_PAGE - 1, 2, true},
        {0, 5 * QD_FILE_PAGE, false},
        {5 * QD_FILE_PAGE - 1, 1, false},
        {6 * QD_FILE_PAGE, UINT64_MAX, false},
        {5 * QD_FILE_PAGE + 9, 0, false},
        {BYTES, 100, false},
        {UINT64_MAX, 1, false},
    };
    for (int copies = 0; copies < 2; copies++) {
        for (size_t i = 0; i < QD_COUNT_OF(ranges); i++) {
            fixture x;
            begin(&x, copies);
            assert_int_equal(check(&x, ranges[i].off, ranges[i].len), 0);
            flip(&x, 5 * QD_FILE_PAGE + 9);
            int rc = check(&x, ranges[i].off, ranges[i].len);
            if (rc != (ranges[i].sees ? QD_E_CORRUPT : 0))
                print_error("copies %d, range %d: %d\n", copies, (int)i, rc);
            assert_int_equal(rc, ranges[i].sees ? QD_E_CORRUPT : 0);
            assert_int_equal(qd_file_damaged(x.file), ranges[i].sees);
            if (ranges[i].sees)
                assert_non_null(strstr(qd_err_reason(&x.err), "file f is damaged at offset "));
            end(&x);
        }
    }
}

/* Every page, the last one with less than a page in it: each flip is seen, and gone when it is
 * mended. */
static void each_page(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        fixture x;
        begin(&x, copies);
        for (uint64_t page = 0; page < PAGES; page++) {
            uint64_t last = page + 1 == PAGES ? BYTES - 1 : (page + 1) * QD_FILE_PAGE - 1;
            uint64_t bad[] = {page * QD_FILE_PAGE, last};
            for (size_t i = 0; i < 2; i++) {
                flip(&x, bad[i]);
                assert_int_equal(check(&x, page * QD_FILE_PAGE, 1), QD_E_CORRUPT);
                assert_int_equal(check(&x, last, 1), QD_E_CORRUPT);
                flip(&x, bad[i]);
                assert_int_equal(check(&x, page * QD_FILE_PAGE, QD_FILE_PAGE), 0);
            }
        }
        end(&x);
    }
}

static void a_section_that_is_not_there(void **state)
{
    (void)state;
    fixture x;
    begin(&x, false);
    assert_int_equal(qd_file_check(x.file, 77, 0, 1, &x.err), QD_E_CORRUPT);
    assert_non_null(strstr(qd_err_reason(&x.err), "section is missing"));
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bit_that_flips_later),
        cmocka_unit_test(each_page),
        cmocka_unit_test(a_section_that_is_not_there),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
