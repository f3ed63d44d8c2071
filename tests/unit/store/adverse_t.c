/*
 * adverse_t.c: the store over a tier at its worst (store_adverse.h) and over one that never
 * answers: second tries, what a tier without trees, renames and copies is spared, and when the
 * store gives up.
 */
#include "base/log.h"
#include "base/str.h"
#include "lib/store_adverse.h"
#include "lib/store_crash.h"
#include "store/file.h"
#include "store/store_int.h"
#include "unit/unit.h"

typedef struct bench {
    store_crash *disk;
    qd_store *store;
} bench;

static qd_storage_vtable table;

static void begin(bench *b, bool copies)
{
    b->disk = store_crash_make(&(store_crash_options){.copies = true, .late_us = 20});
    qd_storage *t = store_adverse_make(store_crash_vtable(b->disk), store_crash_handle(b->disk),
                                       &(store_adverse_options){.seed = 7, .one_in = 8});
    table = *store_adverse_vtable(true);
    if (!copies) {
        table.head.flags &= ~(uint64_t)QD_STORAGE_COPY;
        table.copy = NULL;
    }
    assert_int_equal(qd_store_wrap(&table, t, &b->store, NULL), 0);
}

static void end(bench *b)
{
    qd_store_close(b->store);
    store_crash_free(b->disk);
}

static int count(void *arg, qd_str name, uint64_t bytes)
{
    (void)name, (void)bytes;
    ++*(uint32_t *)arg;
    return 0;
}

/* How many names a list tells when it cannot lag behind any more. */
static uint32_t listed(const bench *b, qd_str prefix)
{
    uint32_t n = 0;
    qd_env_sleep_ns(qd_env_system(), (uint64_t)b->store->info.list_lag_ns * 2);
    assert_int_equal(qd_store_list(b->store, prefix, count, &n, NULL), 0);
    return n;
}

static void registers_come_and_go(void **state)
{
    (void)state;
    bench b;
    begin(&b, true);
    for (int i = 0; i < 100; i++) {
        char text[32], *back;
        size_t n;
        int len = snprintf(text, sizeof text, "value %d", i);
        qd_str value = {text, (size_t)len};
        assert_int_equal(qd_store_publish(b.store, QD_STR("a/r"), QD_STR("test"), 1, value, NULL),
                         0);
        assert_int_equal(
            qd_store_fetch(b.store, QD_STR("a/r"), QD_STR("test"), 1, NULL, &back, &n, NULL, NULL),
            0);
        assert_true(qd_str_eq((qd_str){back, n}, value));
        qd_free(back);
    }
    assert_true(qd_store_retries(b.store) > 10);
    end(&b);
}

static int write_file(qd_store *s, qd_str name, uint8_t fill, qd_err *err)
{
    static const qd_file_format format = {{"test", 4}, 1, 1};
    static const uint8_t id[16] = {1};
    static uint8_t bytes[200000];
    qd_file_writer *w;
    memset(bytes, fill, sizeof bytes);
    int rc = qd_file_create(s, name, &format, id, NULL, &w, err);
    if (rc) return rc;
    rc = qd_file_section_begin(w, 1, false, err);
    if (!rc) rc = qd_file_write(w, bytes, sizeof bytes, err);
    if (!rc) rc = qd_file_section_end(w, NULL, err);
    if (!rc) return qd_file_commit(w, true, NULL, err);
    qd_file_abort(w);
    return rc;
}

static void files_are_whole(void **state)
{
    (void)state;
    bench b;
    begin(&b, true);
    for (int i = 0; i < 30; i++) {
        char name[32];
        qd_file *f;
        qd_str at = {name, (size_t)snprintf(name, sizeof name, "f/%d", i)};
        assert_int_equal(write_file(b.store, at, (uint8_t)i, NULL), 0);
        assert_int_equal(qd_file_open(b.store, at, NULL, NULL, &f, NULL), 0);
        assert_int_equal(qd_file_verify(f, NULL), 0);
        qd_file_unref(f);
    }
    assert_int_equal(listed(&b, QD_STR("f/")), 30);
    end(&b);
}

static void names_go_without_trees_and_renames(void **state)
{
    (void)state;
    static char text[1500][32];
    static qd_str names[1500];
    bench b;
    for (int copies = 0; copies < 2; copies++) {
        begin(&b, copies);
        for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
            names[i].p = text[i];
            names[i].n = (size_t)snprintf(text[i], sizeof text[i], "n/%zu/x%zu", i % 7, i);
            if (i % 100 == 0) assert_int_equal(write_file(b.store, names[i], 1, NULL), 0);
        }
        assert_int_equal(listed(&b, QD_STR("n/")), 15);
        assert_int_equal(qd_store_delete_many(b.store, names, 1499, NULL), 0);
        assert_int_equal(listed(&b, QD_STR("n/")), 0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(write_file(b.store, names[i], (uint8_t)i, NULL), 0);
        }
        assert_int_equal(qd_store_copy(b.store, names[1], QD_STR("c/x"), NULL), 0);
        assert_int_equal(qd_store_copy(b.store, names[2], names[3], NULL), QD_E_EXISTS);
        assert_int_equal(qd_file_probe(b.store, QD_STR("c/x"), NULL), 0);
        assert_int_equal(qd_store_set_aside(b.store, names[0], NULL), 0);
        assert_int_equal(qd_file_probe(b.store, names[0], NULL), QD_E_NOTFOUND);
        assert_int_equal(qd_file_probe(b.store, QD_STR("lost+found/n_0_x0"), NULL), 0);
        assert_int_equal(listed(&b, QD_STR("n/")), 3);
        assert_int_equal(qd_store_delete_all(b.store, QD_STR("n"), NULL), 0);
        assert_int_equal(listed(&b, QD_STR("n/")), 0);
        assert_int_equal(listed(&b, QD_STR("")), 2);
        end(&b);
    }
}

/* --- a tier that has no time -------------------------------------------------------------------
 */

static uint32_t asked;
static int64_t deadline;

static int32_t never(qd_storage *t, qd_str name, qd_storage_stat *out, const qd_storage_call *call)
{
    (void)t, (void)name, (void)out;
    asked++;
    deadline = call->deadline_ns;
    qd_err_set(call->err, QD_E_REJECTED, "slow down");
    qd_err_detail_i64(call->err, "retry_after_ms", 61000);
    return QD_E_REJECTED;
}

/* Who asks to come back after the end of the call's time is not asked again, and the error says
 * so; every call of a remote tier carries that end. */
static void the_store_gives_up(void **state)
{
    (void)state;
    bench b;
    qd_err err;
    char *out;
    size_t n;
    qd_err_init(&err);
    begin(&b, true);
    b.store->vt.stat = never;
    int64_t now = (int64_t)qd_env_mono_ns(qd_env_system());
    assert_int_equal(
        qd_store_fetch(b.store, QD_STR("x"), QD_STR("test"), 1, NULL, &out, &n, NULL, &err),
        QD_E_REJECTED);
    assert_string_equal(qd_err_reason(&err), "slow down");
    assert_int_equal(asked, 1);
    assert_true(deadline > now + 59000000000 && deadline < now + 90000000000);
    qd_err_fini(&err);
    end(&b);
}

static void crc32c_is_castagnoli(void **state)
{
    (void)state;
    assert_int_equal(qd_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(qd_crc32c(qd_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(qd_crc32c(0, "", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_come_and_go),
        cmocka_unit_test(files_are_whole),
        cmocka_unit_test(names_go_without_trees_and_renames),
        cmocka_unit_test(the_store_gives_up),
        cmocka_unit_test(crc32c_is_castagnoli),
    };
    qd_log_level_set(NULL, QD_LOG_OFF);
    return unit_run(tests);
}
