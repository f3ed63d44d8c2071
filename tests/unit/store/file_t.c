/* file_t.c: framed files: what is written comes back, and no flipped or cut byte goes unnoticed. */
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "runtime/env.h"
#include "store/reads.h"
#include "unit/unit.h"
#include <pthread.h>

static const qd_file_format format = {{"test", 4}, 3, 2};
static const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static qd_account account;

typedef struct shape {
    uint32_t id;
    uint64_t bytes;
    bool resident;
} shape;

static const shape small[] = {{7, 5, false}, {1, 0, false}, {900, 70, false}, {2, 33, true}};
static const shape big[] = {{0, QD_FILE_PAGE, false},
                            {1, QD_FILE_PAGE - 64, false},
                            {2, 3 * QD_FILE_PAGE + 17, false},
                            {3, 1, false},
                            {4, 2500000, false},
                            {5, 100000, true},
                            {6, 0, true}};

static uint8_t byte_at(uint32_t section, uint64_t i)
{
    return (uint8_t)((i * 2654435761u + section * 97 + (i >> 15)) >> 7);
}

static int write_file(qd_store *s, const char *name, const shape *v, size_t n, qd_err *err)
{
    qd_file_writer *w;
    int rc = qd_file_create(s, qd_str_c(name), &format, id, &account, &w, err);
    if (rc) return rc;
    uint8_t piece[4093];
    for (size_t i = 0; !rc && i < n; i++) {
        rc = qd_file_section_begin(w, v[i].id, v[i].resident, err);
        for (uint64_t at = 0; !rc && at < v[i].bytes;) {
            size_t k = v[i].bytes - at < sizeof piece ? (size_t)(v[i].bytes - at) : sizeof piece;
            for (size_t b = 0; b < k; b++) piece[b] = byte_at(v[i].id, at + b);
            rc = qd_file_write(w, piece, k, err);
            at += k;
        }
        if (!rc) rc = qd_file_section_end(w, NULL, err);
    }
    if (rc) {
        qd_file_abort(w);
        return rc;
    }
    return qd_file_commit(w, true, NULL, err);
}

/* Reads the whole file through every door and compares. */
static int read_file(qd_store *s, const char *name, const shape *v, size_t n, qd_err *err)
{
    qd_file *f;
    int rc = qd_file_open(s, qd_str_c(name), &format, &account, &f, err);
    if (rc) return rc;
    qd_arena arena;
    qd_arena_init(&arena, &account, 0);
    qd_reads *r = qd_reads_make(&arena, &account);
    rc = r ? 0 : QD_E_NOMEM;
    uint32_t slots[16];
    for (size_t i = 0; !rc && i < n; i++) {
        rc = qd_reads_add(r, f, v[i].id, 0, v[i].bytes + QD_FILE_SLACK, &slots[i], err);
    }
    if (!rc) rc = qd_reads_fetch(r, err);
    for (size_t i = 0; !rc && i < n; i++) {
        const uint8_t *p = qd_reads_at(r, slots[i]);
        uint64_t bytes = 0;
        assert_true(qd_file_section(f, v[i].id, &bytes));
        assert_int_equal(bytes, v[i].bytes);
        for (uint64_t k = 0; k < bytes; k++) assert_int_equal(p[k], byte_at(v[i].id, k));
        for (uint64_t k = 0; k < QD_FILE_SLACK; k++) assert_int_equal(p[bytes + k], 0);
        assert_int_equal(qd_file_resident(f, v[i].id, &bytes) != NULL, v[i].resident);
    }
    qd_section_cursor c;
    for (size_t i = 0; !rc && i < n; i++) {
        uint64_t at = v[i].bytes / 3;
        rc = qd_section_cursor_open(&c, f, v[i].id, at, &account, err);
        if (rc) break;
        while (!rc && at < v[i].bytes) {
            rc = qd_section_cursor_need(&c, 1000, err);
            if (rc) break;
            size_t k = c.have < 777 ? c.have : 777;
            assert_true(k > 0 && (c.have >= 1000 || c.at + c.have == c.end));
            for (size_t b = 0; b < k; b++) assert_int_equal(c.p[b], byte_at(v[i].id, at + b));
            qd_section_cursor_skip(&c, k);
            at += k;
        }
        qd_section_cursor_close(&c);
    }
    if (!rc) rc = qd_file_verify(f, err);
    qd_arena_fini(&arena);
    qd_file_unref(f);
    return rc;
}

typedef struct fixture {
    store_crash *disk;
    qd_store *store;
    qd_err err;
} fixture;

static void begin(fixture *x, bool copies, uint32_t late_us)
{
    qd_account_init(&account, "test", NULL, 0);
    qd_err_init(&x->err);
    x->disk = store_crash_make(&(store_crash_options){.copies = copies, .late_us = late_us});
    assert_int_equal(store_crash_open(x->disk, &x->store, &x->err), 0);
}

static void end(fixture *x)
{
    qd_store_close(x->store);
    store_crash_free(x->disk);
    qd_err_fini(&x->err);
    assert_int_equal(qd_account_used(&account), 0);
}

#define OK(x, call)                                                                                \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_) print_error("%s\n", qd_err_reason(&(x)->err));                                    \
        assert_int_equal(rc_, 0);                                                                  \
    } while (0)

static void round_trip(bool copies, uint32_t late_us)
{
    fixture x;
    begin(&x, copies, late_us);
    OK(&x, write_file(x.store, "a/small", small, QD_COUNT_OF(small), &x.err));
    OK(&x, write_file(x.store, "a/big", big, QD_COUNT_OF(big), &x.err));
    OK(&x, write_file(x.store, "empty", NULL, 0, &x.err));
    OK(&x, read_file(x.store, "a/small", small, QD_COUNT_OF(small), &x.err));
    OK(&x, read_file(x.store, "a/big", big, QD_COUNT_OF(big), &x.err));
    OK(&x, read_file(x.store, "empty", NULL, 0, &x.err));
    assert_int_equal(write_file(x.store, "empty", NULL, 0, &x.err), QD_E_EXISTS);
    end(&x);
}

static void what_is_written_comes_back(void **state)
{
    (void)state;
    round_trip(false, 0);
    round_trip(true, 0);
    round_trip(true, 200);
}

static void a_flip_at_any_byte_is_reported(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        fixture x;
        begin(&x, copies, 0);
        OK(&x, write_file(x.store, "f", small, QD_COUNT_OF(small), &x.err));
        uint64_t n = 0;
        assert_true(store_crash_size(x.disk, "f", &n));
        for (uint64_t at = 0; at < n; at++) {
            assert_true(store_crash_flip(x.disk, "f", at, (uint8_t)(1u << at % 8)));
            int rc = read_file(x.store, "f", small, QD_COUNT_OF(small), &x.err);
            if (rc != QD_E_CORRUPT) print_error("flip at %d: %d\n", (int)at, rc);
            assert_int_equal(rc, QD_E_CORRUPT);
            const char *reason = qd_err_reason(&x.err);
            assert_non_null(strstr(reason, "file f is damaged at offset "));
            qd_err_fini(&x.err);
            assert_true(store_crash_flip(x.disk, "f", at, (uint8_t)(1u << at % 8)));
        }
        OK(&x, read_file(x.store, "f", small, QD_COUNT_OF(small), &x.err));
        end(&x);
    }
}

static void a_cut_at_any_byte_is_reported(void **state)
{
    (void)state;
    fixture x;
    begin(&x, false, 0);
    OK(&x, write_file(x.store, "f", small, QD_COUNT_OF(small), &x.err));
    uint64_t n = 0;
    assert_true(store_crash_size(x.disk, "f", &n));
    while (n-- > 0) {
        assert_true(store_crash_cut(x.disk, "f", n));
        assert_int_equal(read_file(x.store, "f", small, QD_COUNT_OF(small), &x.err), QD_E_CORRUPT);
        qd_err_fini(&x.err);
    }
    end(&x);
}

static void a_damaged_page_fails_only_those_who_read_it(void **state)
{
    (void)state;
    fixture x;
    begin(&x, true, 0);
    OK(&x, write_file(x.store, "f", big, QD_COUNT_OF(big), &x.err));
    qd_file *f;
    OK(&x, qd_file_open(x.store, QD_STR("f"), &format, &account, &f, &x.err));
    uint32_t sid;
    uint64_t off, bytes;
    bool resident;
    assert_true(qd_file_section_at_index(f, 4, &sid, &off, &bytes, &resident));
    assert_true(store_crash_flip(x.disk, "f", off + 5 * QD_FILE_PAGE + 9, 4));
    qd_arena arena;
    qd_arena_init(&arena, &account, 0);
    qd_reads *r = qd_reads_make(&arena, &account);
    uint32_t slot;
    OK(&x, qd_reads_add(r, f, 4, 4 * QD_FILE_PAGE, QD_FILE_PAGE, &slot, &x.err));
    OK(&x, qd_reads_fetch(r, &x.err));
    assert_false(qd_file_damaged(f));
    OK(&x, qd_reads_add(r, f, 4, 5 * QD_FILE_PAGE - 1, 2, &slot, &x.err));
    assert_int_equal(qd_reads_fetch(r, &x.err), QD_E_CORRUPT);
    assert_true(qd_file_damaged(f));
    char want[80];
    snprintf(want, sizeof want, "at offset %llu (section 4 + %u)",
             (unsigned long long)(off + 5 * QD_FILE_PAGE), 5 * QD_FILE_PAGE);
    assert_non_null(strstr(qd_err_reason(&x.err), want));
    qd_err_fini(&x.err);
    qd_reads_release(r);
    assert_int_equal(qd_file_verify(f, &x.err), QD_E_CORRUPT);
    qd_arena_fini(&arena);
    qd_file_unref(f);
    end(&x);
}

static void ranges_outside_a_section_are_refused(void **state)
{
    (void)state;
    fixture x;
    begin(&x, false, 0);
    OK(&x, write_file(x.store, "f", small, QD_COUNT_OF(small), &x.err));
    qd_file *f;
    OK(&x, qd_file_open(x.store, QD_STR("f"), &format, &account, &f, &x.err));
    qd_arena arena;
    qd_arena_init(&arena, &account, 0);
    qd_reads *r = qd_reads_make(&arena, &account);
    uint32_t slot;
    assert_int_equal(qd_reads_add(r, f, 7, 0, 5 + 65, &slot, NULL), QD_E_CORRUPT);
    assert_int_equal(qd_reads_add(r, f, 7, 70, 1, &slot, NULL), QD_E_CORRUPT);
    assert_int_equal(qd_reads_add(r, f, 7, UINT64_MAX, 2, &slot, NULL), QD_E_CORRUPT);
    assert_int_equal(qd_reads_add(r, f, 77, 0, 0, &slot, NULL), QD_E_CORRUPT);
    assert_int_equal(qd_reads_add(r, f, 7, 0, 5 + 64, &slot, NULL), 0);
    qd_arena_fini(&arena);
    qd_file_unref(f);
    end(&x);
}

static void other_formats_and_versions_are_told_apart(void **state)
{
    (void)state;
    fixture x;
    begin(&x, false, 0);
    OK(&x, write_file(x.store, "f", small, QD_COUNT_OF(small), &x.err));
    qd_file *f;
    qd_file_format other = {{"tess", 4}, 3, 1}, older = {{"test", 4}, 2, 1},
                   newer = {{"test", 4}, 9, 4};
    assert_int_equal(qd_file_open(x.store, QD_STR("f"), &other, &account, &f, NULL), QD_E_CORRUPT);
    assert_int_equal(qd_file_open(x.store, QD_STR("f"), &older, &account, &f, NULL),
                     QD_E_FORMAT_NEW);
    assert_int_equal(qd_file_open(x.store, QD_STR("f"), &newer, &account, &f, NULL),
                     QD_E_FORMAT_OLD);
    assert_int_equal(qd_file_open(x.store, QD_STR("g"), &format, &account, &f, NULL),
                     QD_E_NOTFOUND);
    assert_int_equal(qd_file_open(x.store, QD_STR("../f"), &format, &account, &f, NULL), QD_E_ARG);
    end(&x);
}

/* Random ranges, many in a batch, give the same bytes on every kind of tier. */
static void random_batches(void **state)
{
    (void)state;
    qd_prng rnd;
    qd_prng_init(&rnd, 4711);
    for (int mode = 0; mode < 3; mode++) {
        fixture x;
        begin(&x, mode > 0, mode == 2 ? 50 : 0);
        OK(&x, write_file(x.store, "f", big, QD_COUNT_OF(big), &x.err));
        qd_file *f;
        OK(&x, qd_file_open(x.store, QD_STR("f"), &format, &account, &f, &x.err));
        qd_arena arena;
        qd_arena_init(&arena, &account, 0);
        qd_reads *r = qd_reads_make(&arena, &account);
        for (int batch = 0; batch < 30; batch++) {
            uint32_t slots[200], sec[200];
            uint64_t off[200], len[200];
            uint32_t n = 1 + (uint32_t)qd_prng_below(&rnd, 200);
            for (uint32_t i = 0; i < n; i++) {
                const shape *s = &big[qd_prng_below(&rnd, QD_COUNT_OF(big))];
                sec[i] = s->id;
                off[i] = qd_prng_below(&rnd, s->bytes + 1);
                len[i] = qd_prng_below(&rnd, 300);
                if (len[i] > s->bytes + 64 - off[i]) len[i] = s->bytes + 64 - off[i];
                OK(&x, qd_reads_add(r, f, sec[i], off[i], len[i], &slots[i], &x.err));
                if (i % 64 == 63) OK(&x, qd_reads_fetch(r, &x.err));
            }
            OK(&x, qd_reads_fetch(r, &x.err));
            for (uint32_t i = 0; i < n; i++) {
                const uint8_t *p = qd_reads_at(r, slots[i]);
                uint64_t bytes = 0;
                assert_true(qd_file_section(f, sec[i], &bytes));
                for (uint64_t k = 0; k < len[i]; k++) {
                    uint8_t want = off[i] + k < bytes ? byte_at(sec[i], off[i] + k) : 0;
                    assert_int_equal(p[k], want);
                }
            }
            qd_reads_release(r);
        }
        qd_arena_fini(&arena);
        qd_file_unref(f);
        end(&x);
    }
}

/* Whatever allocation fails, nothing leaks and the code says so. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        for (uint64_t n = 1;; n++) {
            fixture x;
            begin(&x, copies, 0);
            qd_mem_fail_at(n, false);
            int rc = write_file(x.store, "f", small, QD_COUNT_OF(small), &x.err);
            if (!rc) rc = read_file(x.store, "f", small, QD_COUNT_OF(small), &x.err);
            uint64_t seen = qd_mem_fail_at(0, false);
            assert_true(rc == 0 || rc == QD_E_NOMEM);
            end(&x);
            if (seen < n) break;
            assert_true(n < 1000);
        }
    }
}

/* Whatever step on the disk fails: a file is there whole or not at all. */
static void every_io_may_fail(void **state)
{
    (void)state;
    static const int codes[] = {QD_E_IO, QD_E_NOSPACE, QD_E_EOF};
    uint32_t all = STORE_CRASH_READS | STORE_CRASH_WRITES | STORE_CRASH_SYNCS;
    for (uint32_t mode = 0; mode < 6; mode++) {
        for (uint64_t n = 1;; n++) {
            fixture x;
            begin(&x, mode & 1, 0);
            store_crash_fail_at(x.disk, all, n, codes[mode / 2], false);
            int rc = write_file(x.store, "f", small, QD_COUNT_OF(small), &x.err);
            if (!rc) rc = read_file(x.store, "f", small, QD_COUNT_OF(small), &x.err);
            uint64_t seen = store_crash_fail_at(x.disk, 0, 0, 0, false);
            assert_int_equal(rc, seen < n ? 0 : codes[mode / 2]);
            uint64_t bytes;
            if (store_crash_size(x.disk, "f", &bytes)) {
                qd_err_fini(&x.err);
                OK(&x, read_file(x.store, "f", small, QD_COUNT_OF(small), &x.err));
            }
            end(&x);
            if (seen < n) break;
        }
    }
}

static void a_limit_refuses_copies(void **state)
{
    (void)state;
    fixture x;
    begin(&x, true, 0);
    OK(&x, write_file(x.store, "f", big, QD_COUNT_OF(big), &x.err));
    qd_file *f;
    OK(&x, qd_file_open(x.store, QD_STR("f"), &format, &account, &f, &x.err));
    qd_account breaker;
    qd_account_init(&breaker, "request", NULL, 100000);
    qd_arena arena;
    qd_arena_init(&arena, &account, 0);
    qd_reads *r = qd_reads_make(&arena, &breaker);
    uint32_t slot;
    OK(&x, qd_reads_add(r, f, 4, 0, 200000, &slot, &x.err));
    assert_int_equal(qd_reads_fetch(r, &x.err), QD_E_BREAKER);
    qd_arena_fini(&arena);
    assert_int_equal(qd_account_used(&breaker), 0);
    qd_file_unref(f);
    end(&x);
}

typedef struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    int calls, rc;
} waiter;

static void wake(void *arg, int rc)
{
    waiter *w = arg;
    pthread_mutex_lock(&w->lock);
    w->calls++;
    w->rc = rc;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

/* A fetch without waiting: at once on mapped tiers, one call back on others, also for damage. */
static void fetches_that_do_not_wait(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        fixture x;
        waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
        begin(&x, late, late ? 1000 : 0);
        OK(&x, write_file(x.store, "f", big, QD_COUNT_OF(big), &x.err));
        qd_file *f;
        OK(&x, qd_file_open(x.store, QD_STR("f"), &format, &account, &f, &x.err));
        qd_arena arena;
        qd_arena_init(&arena, &account, 0);
        qd_reads *r = qd_reads_make(&arena, &account);
        uint32_t slot;
        for (int broken = 0; broken < 2; broken++) {
            uint32_t sid;
            uint64_t off, bytes;
            bool resident;
            assert_true(qd_file_section_at_index(f, 2, &sid, &off, &bytes, &resident));
            if (broken) store_crash_flip(x.disk, "f", off + QD_FILE_PAGE + 7, 1);
            OK(&x, qd_reads_add(r, f, sid, broken ? QD_FILE_PAGE + 7 : 3, 100, &slot, &x.err));
            assert_int_equal(qd_reads_ready(r), !late);
            int rc = qd_reads_fetch_async(r, wake, &w, &x.err);
            if (!late) {
                assert_int_equal(rc, broken ? QD_E_CORRUPT : 1);
                continue;
            }
            assert_int_equal(rc, 0);
            pthread_mutex_lock(&w.lock);
            while (w.calls == broken) pthread_cond_wait(&w.done, &w.lock);
            pthread_mutex_unlock(&w.lock);
            assert_int_equal(w.calls, broken + 1);
            assert_int_equal(w.rc, broken ? QD_E_CORRUPT : 0);
            if (!broken) assert_int_equal(qd_reads_at(r, slot)[1], byte_at(sid, 4));
        }
        assert_non_null(strstr(qd_err_reason(&x.err), "file f is damaged at offset"));
        qd_arena_fini(&arena);
        qd_file_unref(f);
        end(&x);
    }
}

typedef struct reader {
    qd_file *file;
    uint64_t seed;
    int rc;
} reader;

static void *read_much(void *arg)
{
    reader *me = arg;
    qd_prng rnd;
    qd_prng_init(&rnd, me->seed);
    qd_arena arena;
    qd_arena_init(&arena, &account, 0);
    qd_reads *r = qd_reads_make(&arena, &account);
    for (int i = 0; r && !me->rc && i < 500; i++) {
        uint32_t slot;
        uint64_t off = qd_prng_below(&rnd, 2400000);
        me->rc = qd_reads_add(r, me->file, 4, off, 1000, &slot, NULL);
        if (!me->rc) me->rc = qd_reads_fetch(r, NULL);
        if (!me->rc && qd_reads_at(r, slot)[999] != byte_at(4, off + 999)) me->rc = -1;
        qd_reads_release(r);
    }
    qd_arena_fini(&arena);
    return NULL;
}

static void many_threads_read_one_file(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        fixture x;
        begin(&x, copies, 0);
        OK(&x, write_file(x.store, "f", big, QD_COUNT_OF(big), &x.err));
        pthread_t t[4];
        reader me[4];
        qd_file *f;
        OK(&x, qd_file_open(x.store, QD_STR("f"), &format, &account, &f, &x.err));
        for (size_t i = 0; i < 4; i++) {
            me[i] = (reader){f, i, 0};
            assert_int_equal(pthread_create(&t[i], NULL, read_much, &me[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
            assert_int_equal(me[i].rc, 0);
        }
        qd_file_unref(f);
        end(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(a_flip_at_any_byte_is_reported),
        cmocka_unit_test(a_cut_at_any_byte_is_reported),
        cmocka_unit_test(a_damaged_page_fails_only_those_who_read_it),
        cmocka_unit_test(ranges_outside_a_section_are_refused),
        cmocka_unit_test(other_formats_and_versions_are_told_apart),
        cmocka_unit_test(random_batches),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_io_may_fail),
        cmocka_unit_test(a_limit_refuses_copies),
        cmocka_unit_test(fetches_that_do_not_wait),
        cmocka_unit_test(many_threads_read_one_file),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
