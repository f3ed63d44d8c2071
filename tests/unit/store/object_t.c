/* object_t.c: published objects, names, lists, setting aside; the same over both stores; a tier
 * closed too early. */
#include "base/log.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "lib/store_dir.h"
#include "store/file.h"
#include "unit/unit.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
    store_crash *disk;
    store_dir *dir;
    qd_store *store;
    qd_err err;
} fixture;

static void begin(fixture *x, bool real)
{
    *x = (fixture){0};
    qd_err_init(&x->err);
    int rc;
    if (real) {
        x->dir = store_dir_make();
        rc = store_dir_open(x->dir, NULL, 0, &x->store, &x->err);
    } else {
        x->disk = store_crash_make(NULL);
        rc = store_crash_open(x->disk, &x->store, &x->err);
    }
    assert_int_equal(rc, 0);
}

static void end(fixture *x)
{
    qd_store_close(x->store);
    store_dir_free(x->dir);
    store_crash_free(x->disk);
    qd_err_fini(&x->err);
}

static int put(fixture *x, const char *name, const char *text)
{
    return qd_store_publish(x->store, qd_str_c(name), QD_STR("point"), 2, qd_str_c(text), &x->err);
}

/* Fetches and compares. */
static int holds(fixture *x, const char *name, const char *text)
{
    char *p;
    size_t n;
    uint32_t version;
    int rc = qd_store_fetch(x->store, qd_str_c(name), QD_STR("point"), 2, NULL, &p, &n, &version,
                            &x->err);
    if (rc) return rc;
    assert_int_equal(n, strlen(text));
    assert_memory_equal(p, text, n + 1);
    assert_int_equal(version, 2);
    qd_free(p);
    return 0;
}

static int note(void *arg, qd_str name, uint64_t bytes)
{
    char *all = arg;
    size_t n = strlen(all);
    (void)bytes;
    snprintf(all + n, 1024 - n, "%.*s ", QD_STR_ARG(name));
    return 0;
}

static int stop(void *arg, qd_str name, uint64_t bytes)
{
    (void)name, (void)bytes;
    return ++*(int *)arg;
}

static void points_are_replaced(void **state)
{
    (void)state;
    for (int real = 0; real < 2; real++) {
        fixture x;
        begin(&x, real);
        assert_int_equal(holds(&x, "a/p", ""), QD_E_NOTFOUND);
        qd_err_fini(&x.err);
        assert_int_equal(put(&x, "a/p", ""), 0);
        assert_int_equal(holds(&x, "a/p", ""), 0);
        assert_int_equal(put(&x, "a/p", "second"), 0);
        assert_int_equal(holds(&x, "a/p", "second"), 0);
        char *p;
        size_t n;
        assert_int_equal(
            qd_store_fetch(x.store, QD_STR("a/p"), QD_STR("point"), 1, NULL, &p, &n, NULL, NULL),
            QD_E_FORMAT_NEW);
        assert_int_equal(
            qd_store_fetch(x.store, QD_STR("a/p"), QD_STR("other"), 2, NULL, &p, &n, NULL, NULL),
            QD_E_CORRUPT);
        end(&x);
    }
}

static void a_flipped_or_cut_point_is_reported(void **state)
{
    (void)state;
    fixture x;
    begin(&x, false);
    assert_int_equal(put(&x, "p", "some content"), 0);
    uint64_t n = 0;
    assert_true(store_crash_size(x.disk, "p", &n));
    for (uint64_t at = 0; at < n; at++) {
        store_crash_flip(x.disk, "p", at, 0x10);
        assert_int_equal(holds(&x, "p", "some content"), QD_E_CORRUPT);
        assert_non_null(strstr(qd_err_reason(&x.err), "file p is damaged at offset"));
        qd_err_fini(&x.err);
        store_crash_flip(x.disk, "p", at, 0x10);
    }
    assert_int_equal(holds(&x, "p", "some content"), 0);
    while (n-- > 0) {
        store_crash_cut(x.disk, "p", n);
        assert_int_equal(holds(&x, "p", ""), QD_E_CORRUPT);
        qd_err_fini(&x.err);
    }
    end(&x);
}

static void names_are_listed_in_byte_order(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a/z", "a-b", "a/b/c", "a/b.d", "a0", "a/b-/x", "c/d"};
    for (int real = 0; real < 2; real++) {
        fixture x;
        char all[1024];
        begin(&x, real);
        for (size_t i = 0; i < QD_COUNT_OF(names); i++) assert_int_equal(put(&x, names[i], "x"), 0);
        static const char *const lists[][2] = {
            {"", "a-b a/b-/x a/b.d a/b/c a/z a0 b c/d "},
            {"a", "a-b a/b-/x a/b.d a/b/c a/z a0 "},
            {"a/", "a/b-/x a/b.d a/b/c a/z "},
            {"a/b", "a/b-/x a/b.d a/b/c "},
            {"a/b/", "a/b/c "},
            {"c/d", "c/d "},
            {"c/d/", ""},
            {"x/y/z", ""},
        };
        for (size_t i = 0; i < QD_COUNT_OF(lists); i++) {
            all[0] = 0;
            assert_int_equal(qd_store_list(x.store, qd_str_c(lists[i][0]), note, all, &x.err), 0);
            assert_string_equal(all, lists[i][1]);
        }
        int seen = 0;
        assert_int_equal(qd_store_list(x.store, QD_STR(""), stop, &seen, &x.err), 1);
        assert_int_equal(seen, 1);
        end(&x);
    }
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "/",        "/a",     "a/",     "a//b", ".",
                                      "..",   "a/..",     "a/../b", ".tmp/x", "a/.b", "a b",
                                      "a\\b", "\xc3\xa4", "a\n",    "a:b",    "a*"};
    for (int real = 0; real < 2; real++) {
        fixture x;
        begin(&x, real);
        for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
            assert_int_equal(put(&x, bad[i], "x"), QD_E_ARG);
            qd_err_fini(&x.err);
            assert_int_equal(qd_store_delete(x.store, qd_str_c(bad[i]), NULL), QD_E_ARG);
        }
        char name[300];
        memset(name, 'a', sizeof name);
        assert_int_equal(qd_store_delete(x.store, (qd_str){name, 256}, NULL), QD_E_ARG);
        assert_int_equal(qd_store_delete(x.store, (qd_str){name, 255}, NULL), 0);
        end(&x);
    }
}

static void removal_and_setting_aside(void **state)
{
    (void)state;
    for (int real = 0; real < 2; real++) {
        fixture x;
        char all[1024] = "";
        begin(&x, real);
        const char *const names[] = {"i/0/a", "i/0/b", "i/1/a", "i-0/a", "k"};
        for (size_t i = 0; i < QD_COUNT_OF(names); i++) assert_int_equal(put(&x, names[i], "x"), 0);
        assert_int_equal(qd_store_delete(x.store, QD_STR("k"), &x.err), 0);
        assert_int_equal(qd_store_delete(x.store, QD_STR("k"), &x.err), 0);
        assert_int_equal(qd_store_delete(x.store, QD_STR("no/such"), &x.err), 0);
        assert_int_equal(qd_store_delete_all(x.store, QD_STR("i/0"), &x.err), 0);
        assert_int_equal(qd_store_delete_all(x.store, QD_STR("i/0"), &x.err), 0);
        assert_int_equal(qd_store_set_aside(x.store, QD_STR("i/1/a"), &x.err), 0);
        assert_int_equal(put(&x, "i/1/a", "again"), 0);
        assert_int_equal(qd_store_set_aside(x.store, QD_STR("i/1/a"), &x.err), 0);
        assert_int_equal(qd_store_set_aside(x.store, QD_STR("i/1/a"), NULL), QD_E_NOTFOUND);
        assert_int_equal(qd_store_list(x.store, QD_STR(""), note, all, &x.err), 0);
        assert_string_equal(all, "i-0/a lost+found/i_1_a lost+found/i_1_a.1 ");
        assert_int_equal(holds(&x, "lost+found/i_1_a.1", "again"), 0);
        end(&x);
    }
}

static void every_failure_is_told(void **state)
{
    (void)state;
    /* Three steps: bytes, their sync, the name. Behind the naming either content may be there. */
    for (uint64_t n = 1; n <= 3; n++) {
        fixture x;
        begin(&x, false);
        assert_int_equal(put(&x, "p", "old"), 0);
        store_crash_fail_at(x.disk, STORE_CRASH_WRITES | STORE_CRASH_SYNCS | STORE_CRASH_READS, n,
                            QD_E_IO, false);
        assert_int_equal(put(&x, "p", "new"), QD_E_IO);
        qd_err_fini(&x.err);
        assert_int_equal(store_crash_fail_at(x.disk, 0, 0, 0, false), n);
        assert_int_equal(holds(&x, "p", "old"), 0);
        end(&x);
    }
    for (uint64_t n = 1;; n++) {
        fixture x;
        begin(&x, false);
        qd_mem_fail_at(n, false);
        int rc = put(&x, "p", "new");
        if (!rc) rc = holds(&x, "p", "new");
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_int_equal(rc, seen < n ? 0 : QD_E_NOMEM);
        end(&x);
        if (seen < n) break;
    }
}

/* What a process says that closes its tier while a log and a file are open. */
static void a_tier_closed_too_early(void **state)
{
    (void)state;
    fixture x;
    int ends[2], status;
    char said[2048] = "";
    size_t n = 0;
    begin(&x, false);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static const qd_file_format format = {{"test", 4}, 1, 1};
        static const uint8_t id[16] = {1};
        qd_store_log *l;
        qd_file_writer *w;
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        qd_log_level_set("store", QD_LOG_ERROR);
        if (qd_store_log_open(x.store, QD_STR("t/log"), true, &l, &x.err)) _exit(1);
        if (qd_file_create(x.store, QD_STR("t/one"), &format, id, NULL, &w, &x.err)) _exit(1);
        qd_file_abort(w);
        if (qd_file_create(x.store, QD_STR("t/two"), &format, id, NULL, &w, &x.err)) _exit(1);
        qd_store_close(x.store);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "while a log is open: t/log"));
    assert_non_null(strstr(said, "while a file that is written is open: t/two"));
    assert_null(strstr(said, "t/one"));
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_replaced),
        cmocka_unit_test(a_flipped_or_cut_point_is_reported),
        cmocka_unit_test(names_are_listed_in_byte_order),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(removal_and_setting_aside),
        cmocka_unit_test(every_failure_is_told),
        cmocka_unit_test(a_tier_closed_too_early),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
