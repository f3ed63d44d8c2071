/* dir_t.c: the store over storage-nvme on a real folder: files, faults, damage below a mapping. */
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "lib/store_dir.h"
#include "lib/store_load.h"
#include "store/reads.h"
#include "unit/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const qd_file_format format = {{"test", 4}, 1, 1};
static const uint8_t id[16] = {9};

typedef struct fixture {
    store_dir *dir;
    qd_store *store;
    qd_err err;
} fixture;

static void begin(fixture *x, const char *const *options, uint64_t reserve)
{
    qd_err_init(&x->err);
    x->dir = store_dir_make();
    assert_int_equal(store_dir_open(x->dir, options, reserve, &x->store, &x->err), 0);
}

static void end(fixture *x)
{
    qd_store_close(x->store);
    store_dir_free(x->dir);
    qd_err_fini(&x->err);
}

#define OK(x, call)                                                                                \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_) print_error("%s\n", qd_err_reason(&(x)->err));                                    \
        assert_int_equal(rc_, 0);                                                                  \
    } while (0)

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)((i * 2654435761u) >> 9);
}

static int write_file(qd_store *s, const char *name, uint64_t bytes, bool sync, qd_err *err)
{
    qd_file_writer *w;
    int rc = qd_file_create(s, qd_str_c(name), &format, id, NULL, &w, err);
    if (rc) return rc;
    static uint8_t piece[100003];
    rc = qd_file_section_begin(w, 1, false, err);
    for (uint64_t at = 0; !rc && at < bytes; at += sizeof piece) {
        size_t k = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
        for (size_t i = 0; i < k; i++) piece[i] = byte_at(at + i);
        rc = qd_file_write(w, piece, k, err);
    }
    if (!rc) rc = qd_file_section_end(w, NULL, err);
    if (rc) {
        qd_file_abort(w);
        return rc;
    }
    return qd_file_commit(w, sync, NULL, err);
}

static int check_file(qd_store *s, const char *name, qd_err *err)
{
    qd_file *f;
    qd_section_cursor c;
    int rc = qd_file_open(s, qd_str_c(name), &format, NULL, &f, err);
    if (rc) return rc;
    rc = qd_section_cursor_open(&c, f, 1, 0, NULL, err);
    while (!rc && c.at < c.end) {
        rc = qd_section_cursor_need(&c, 1, err);
        for (size_t i = 0; !rc && i < c.have; i++) assert_int_equal(c.p[i], byte_at(c.at + i));
        if (!rc) qd_section_cursor_skip(&c, c.have);
    }
    qd_section_cursor_close(&c);
    if (!rc) rc = qd_file_verify(f, err);
    qd_file_unref(f);
    return rc;
}

static char *path_of(const fixture *x, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", store_dir_path(x->dir), name);
    return out;
}

static void files_of_every_way_of_writing(void **state)
{
    (void)state;
    static const char *const ways[][5] = {{NULL},
                                          {"direct_min", "64kb", NULL},
                                          {"io_uring", "false", "direct_min", "1mb", NULL},
                                          {"read_threads", "1", "io_uring", "false", NULL}};
    for (size_t i = 0; i < QD_COUNT_OF(ways); i++) {
        fixture x;
        begin(&x, ways[i], 0);
        OK(&x, write_file(x.store, "a/b/c/small", 100, true, &x.err));
        OK(&x, write_file(x.store, "a/b/c/large", 5 << 20, true, &x.err));
        OK(&x, write_file(x.store, "lazy", 3333333, false, &x.err));
        OK(&x, check_file(x.store, "a/b/c/small", &x.err));
        OK(&x, check_file(x.store, "a/b/c/large", &x.err));
        OK(&x, check_file(x.store, "lazy", &x.err));
        qd_str names[] = {QD_STR("lazy"), QD_STR("a/b/c/small")};
        OK(&x, qd_store_sync(x.store, names, 2, &x.err));
        assert_int_equal(write_file(x.store, "lazy", 1, true, &x.err), QD_E_EXISTS);
        end(&x);
    }
}

static void modes_are_private(void **state)
{
    (void)state;
    fixture x;
    char path[512];
    struct stat st;
    begin(&x, NULL, 0);
    umask(0);
    OK(&x, write_file(x.store, "a/f", 10, true, &x.err));
    OK(&x, qd_store_publish(x.store, QD_STR("a/p"), QD_STR("pt"), 1, QD_STR("x"), &x.err));
    assert_int_equal(stat(path_of(&x, "a", path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(path_of(&x, "a/f", path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(path_of(&x, "a/p", path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    end(&x);
}

static int note_strange(void *arg, qd_str name, bool ours)
{
    char *all = arg;
    size_t n = strlen(all);
    if (ours) return 0;
    snprintf(all + n, 200 - n, "%.*s ", QD_STR_ARG(name));
    return 0;
}

static void links_lead_nowhere(void **state)
{
    (void)state;
    fixture x;
    char path[512], secret[512];
    begin(&x, NULL, 0);
    OK(&x, qd_store_publish(x.store, QD_STR("real/p"), QD_STR("pt"), 1, QD_STR("x"), &x.err));
    assert_int_equal(symlink("real", path_of(&x, "away", path)), 0);
    assert_int_equal(symlink(path_of(&x, "real/p", secret), path_of(&x, "file", path)), 0);
    char *p;
    size_t n;
    assert_int_not_equal(
        qd_store_fetch(x.store, QD_STR("away/p"), QD_STR("pt"), 1, NULL, &p, &n, NULL, NULL), 0);
    assert_int_not_equal(
        qd_store_fetch(x.store, QD_STR("file"), QD_STR("pt"), 1, NULL, &p, &n, NULL, NULL), 0);
    qd_file *f;
    assert_int_not_equal(qd_file_open(x.store, QD_STR("file"), &format, NULL, &f, NULL), 0);
    assert_int_not_equal(write_file(x.store, "away/new", 1, true, NULL), 0);
    char seen[200] = "";
    OK(&x, qd_store_list_all(x.store, QD_STR(""), note_strange, seen, &x.err));
    assert_string_equal(seen, "away file ");
    OK(&x, qd_store_fetch(x.store, QD_STR("real/p"), QD_STR("pt"), 1, NULL, &p, &n, NULL, &x.err));
    qd_free(p);
    end(&x);
}

/* The file loses its end while mapped: whoever reads there is told, the process lives. */
static void a_file_cut_below_its_mapping(void **state)
{
    (void)state;
    fixture x;
    char path[512];
    begin(&x, NULL, 0);
    OK(&x, write_file(x.store, "f", 1 << 20, true, &x.err));
    qd_file *f;
    OK(&x, qd_file_open(x.store, QD_STR("f"), &format, NULL, &f, &x.err));
    qd_arena arena;
    qd_arena_init(&arena, NULL, 0);
    qd_reads *r = qd_reads_make(&arena, NULL);
    uint32_t early, late;
    OK(&x, qd_reads_add(r, f, 1, 0, 100, &early, &x.err));
    OK(&x, qd_reads_add(r, f, 1, 900000, 100, &late, &x.err));
    OK(&x, qd_reads_fetch(r, &x.err));
    assert_int_equal(qd_reads_at(r, late)[5], byte_at(900005));
    assert_int_equal(truncate(path_of(&x, "f", path), 65536), 0);
    assert_int_equal(qd_reads_at(r, early)[5], byte_at(5));
    assert_false(qd_file_damaged(f));
    assert_int_equal(qd_reads_at(r, late)[5], 0);
    assert_true(qd_file_damaged(f));
    assert_int_equal(qd_reads_check(r, &x.err), QD_E_CORRUPT);
    qd_err_fini(&x.err);
    qd_reads_release(r);
    uint32_t slot;
    OK(&x, qd_reads_add(r, f, 1, 0, 100, &slot, &x.err));
    assert_int_equal(qd_reads_fetch(r, &x.err), QD_E_CORRUPT);
    assert_non_null(strstr(qd_err_reason(&x.err), "file f is damaged"));
    qd_arena_fini(&arena);
    qd_file_unref(f);
    end(&x);
}

/* Elsewhere SIGBUS kills, as it does without us. */
static void a_foreign_sigbus_stays_fatal(void **state)
{
    (void)state;
    fixture x;
    begin(&x, NULL, 0);
    OK(&x, write_file(x.store, "f", 1000, true, &x.err));
    qd_file *f;
    void (*frame)(int) = signal(SIGBUS, SIG_DFL); /* the test frame has a handler of its own */
    OK(&x, qd_file_open(x.store, QD_STR("f"), &format, NULL, &f, &x.err));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        raise(SIGBUS);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    signal(SIGBUS, frame);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    qd_file_unref(f);
    end(&x);
}

static void unfinished_files_go_at_the_next_open(void **state)
{
    (void)state;
    fixture x;
    char path[512];
    begin(&x, NULL, 0);
    assert_int_equal(mkdir(path_of(&x, ".tmp/d", path), 0700), 0);
    int fd = open(path_of(&x, ".tmp/d/half", path), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    qd_store *tool;
    OK(&x, qd_store_open_dir(store_dir_host(x.dir), qd_str_c(store_dir_path(x.dir)), true, &tool,
                             &x.err));
    qd_store_close(tool);
    assert_int_equal(access(path_of(&x, ".tmp/d/half", path), F_OK), 0);
    qd_store_close(x.store);
    OK(&x, store_dir_open(x.dir, NULL, 0, &x.store, &x.err));
    assert_int_not_equal(access(path_of(&x, ".tmp/d", path), F_OK), 0);
    end(&x);
}

static void sync_folder(const store_dir *d)
{
    int fd = open(store_dir_path(d), O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_int_equal(syncfs(fd), 0);
    close(fd);
}

/* What a process finds is durable by one sync of all, what it writes by a sync of its own. */
static void what_is_found_needs_no_sync(void **state)
{
    (void)state;
    fixture x;
    begin(&x, NULL, 0);
    qd_store_log *l = NULL, *other = NULL;
    qd_iovec v = {"abc", 3};
    uint64_t at;
    qd_str object = QD_STR("t/0/p");
    OK(&x, qd_store_log_open(x.store, QD_STR("t/0/log"), true, &l, &x.err));
    OK(&x, qd_store_log_append(l, &v, 1, &at, &x.err));
    OK(&x, qd_store_publish(x.store, object, QD_STR("pt"), 1, QD_STR("x"), &x.err));
    qd_store_log_close(l);
    qd_store_close(x.store);
    OK(&x, store_dir_open(x.dir, NULL, 0, &x.store, &x.err));
    int rc = QD_E_IO;
    for (int i = 0; rc && i < 1000; i++) {
        if (i) sync_folder(x.dir); /* the first one waits for the sweep, for half a second */
        store_dir_fail_at(x.dir, "storage.sync", 1, QD_E_IO);
        rc = qd_store_log_open(x.store, QD_STR("t/0/log"), false, &l, NULL);
    }
    assert_int_equal(rc, 0);
    OK(&x, qd_store_sync(x.store, &object, 1, &x.err));
    store_dir_fail_at(x.dir, "storage.log_sync", 1, QD_E_IO);
    OK(&x, qd_store_log_sync(l, &x.err));
    OK(&x, qd_store_log_append(l, &v, 1, &at, &x.err));
    /* from now on nothing in this folder is as it was found */
    store_dir_fail_at(x.dir, "storage.sync", 1, QD_E_IO);
    assert_int_equal(qd_store_log_open(x.store, QD_STR("t/0/log"), false, &other, NULL), QD_E_IO);
    store_dir_fail_at(x.dir, "storage.sync", 1, QD_E_IO);
    assert_int_equal(qd_store_sync(x.store, &object, 1, NULL), QD_E_IO);
    store_dir_fail_at(x.dir, "storage.log_sync", 1, QD_E_IO);
    assert_int_equal(qd_store_log_sync(l, NULL), QD_E_IO);
    store_dir_fail_at(x.dir, "storage.log_sync", 0, 0);
    assert_int_equal(qd_store_sync(x.store, &(qd_str){"t/0/none", 8}, 1, NULL), QD_E_NOTFOUND);
    qd_store_log_close(l);
    /* nor is a folder that was removed and made anew */
    OK(&x, qd_store_delete_all(x.store, QD_STR("t"), &x.err));
    OK(&x, qd_store_publish(x.store, object, QD_STR("pt"), 1, QD_STR("y"), &x.err));
    store_dir_fail_at(x.dir, "storage.sync", 1, QD_E_IO);
    assert_int_equal(qd_store_sync(x.store, &object, 1, NULL), QD_E_IO);
    end(&x);
}

/* All that counts is on one file system: what is mounted below takes no object. */
static void mounts_below_the_tier(void **state)
{
    (void)state;
    fixture x;
    char below[300];
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) { /* not root */
        print_error("SKIPPED: mounts below a tier: %s\n", strerror(errno));
        return;
    }
    begin(&x, NULL, 0);
    snprintf(below, sizeof below, "%s/t", store_dir_path(x.dir));
    assert_int_equal(mkdir(below, 0700), 0);
    assert_int_equal(mount("none", below, "tmpfs", 0, NULL), 0);
    int rc = qd_store_publish(x.store, QD_STR("t/0/p"), QD_STR("pt"), 1, QD_STR("x"), &x.err);
    assert_int_equal(umount(below), 0);
    assert_int_equal(rc, QD_E_IO);
    assert_non_null(strstr(qd_err_reason(&x.err), "publishing \"t/0/p\""));
    end(&x);
}

/* A sync that fails is final for a log and takes an object's name away. */
static void failed_syncs(void **state)
{
    (void)state;
    fixture x;
    begin(&x, NULL, 0);
    qd_store_log *l;
    OK(&x, qd_store_log_open(x.store, QD_STR("t/log"), true, &l, &x.err));
    qd_iovec v[2] = {{"hello ", 6}, {"world", 5}};
    uint64_t at;
    OK(&x, qd_store_log_append(l, v, 2, &at, &x.err));
    OK(&x, qd_store_log_sync(l, &x.err));
    OK(&x, qd_store_log_append(l, v, 2, &at, &x.err));
    assert_int_equal(at, 11);
    store_dir_fail_at(x.dir, "storage.log_sync", 1, QD_E_IO);
    assert_int_equal(qd_store_log_sync(l, NULL), QD_E_IO);
    assert_int_equal(qd_store_log_sync(l, NULL), QD_E_IO);
    assert_int_equal(qd_store_log_append(l, v, 2, &at, NULL), QD_E_IO);
    assert_int_equal(qd_store_log_truncate(l, 0, NULL), QD_E_IO);
    char buf[16];
    size_t got;
    OK(&x, qd_store_log_read(l, 6, buf, 5, &got, &x.err));
    assert_memory_equal(buf, "world", 5);
    qd_store_log_close(l);
    qd_file *f;
    for (uint64_t n = 1; n <= 3; n++) {
        store_dir_fail_at(x.dir, "storage.sync", n, QD_E_IO);
        int rc = write_file(x.store, "g/f", 1000, true, NULL);
        store_dir_fail_at(x.dir, "storage.sync", 0, 0);
        if (rc == 0) break;
        assert_int_equal(rc, QD_E_IO);
        assert_int_equal(qd_file_open(x.store, QD_STR("g/f"), &format, NULL, &f, NULL),
                         QD_E_NOTFOUND);
    }
    end(&x);
}

static void appends_that_fail_are_cut_back(void **state)
{
    (void)state;
    fixture x;
    begin(&x, NULL, 0);
    qd_store_log *l;
    OK(&x, qd_store_log_open(x.store, QD_STR("log"), true, &l, &x.err));
    qd_iovec v = {"abc", 3};
    uint64_t at;
    OK(&x, qd_store_log_append(l, &v, 1, &at, &x.err));
    store_dir_fail_at(x.dir, "storage.log_write", 1, QD_E_NOSPACE);
    assert_int_equal(qd_store_log_append(l, &v, 1, &at, NULL), QD_E_NOSPACE);
    assert_int_equal(qd_store_log_end(l), 3);
    OK(&x, qd_store_log_append(l, &v, 1, &at, &x.err));
    assert_int_equal(at, 3);
    OK(&x, qd_store_log_sync(l, &x.err));
    qd_store_log_close(l);
    OK(&x, qd_store_log_open(x.store, QD_STR("log"), false, &l, &x.err));
    assert_int_equal(qd_store_log_end(l), 6);
    OK(&x, qd_store_log_truncate(l, 4, &x.err));
    OK(&x, qd_store_log_append(l, &v, 1, &at, &x.err));
    assert_int_equal(at, 4);
    char buf[16];
    size_t got;
    OK(&x, qd_store_log_read(l, 0, buf, sizeof buf, &got, &x.err));
    assert_int_equal(got, 7);
    assert_memory_equal(buf, "abcaabc", 7);
    qd_store_log_close(l);
    end(&x);
}

static void the_reserve_is_kept_back_and_spent(void **state)
{
    (void)state;
    fixture x;
    char path[512];
    struct stat st;
    begin(&x, NULL, 1 << 20);
    assert_int_equal(stat(path_of(&x, ".reserve", path), &st), 0);
    assert_true(st.st_blocks * 512 >= 1 << 20);
    store_dir_fail_at(x.dir, "storage.write", 1, QD_E_NOSPACE);
    OK(&x, qd_store_publish(x.store, QD_STR("p"), QD_STR("pt"), 1, QD_STR("x"), &x.err));
    assert_int_not_equal(stat(path, &st), 0);
    uint64_t total, available;
    OK(&x, qd_store_capacity(x.store, &total, &available, &x.err));
    assert_int_equal(stat(path, &st), 0);
    end(&x);
}

static uint64_t next_step(void *arg)
{
    return ++*(uint64_t *)arg;
}

/* Each visit of each point fails once: the operation is refused, everything acknowledged is there
 * when the tier is opened again, and nothing is left of what was not. */
static void every_call_may_fail(void **state)
{
    (void)state;
    static const char *const points[] = {"storage.write", "storage.sync", "storage.log_write",
                                         "storage.log_sync", "storage.remove"};
    /* In memory where there is such a folder: thousands of real syncs would take half a minute. */
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1);
    for (size_t i = 0; i < QD_COUNT_OF(points); i++) {
        for (uint64_t n = 1; n <= 25; n++) {
            fixture x;
            uint64_t steps = 0;
            char why[300] = "";
            begin(&x, NULL, 0);
            store_load *l = store_load_make(n, next_step, &steps);
            store_dir_fail_at(x.dir, points[i], n, n & 1 ? QD_E_IO : QD_E_NOSPACE);
            int rc = store_load_run(l, x.store, 40);
            assert_true(rc == 0 || rc == QD_E_IO || rc == QD_E_NOSPACE);
            store_dir_fail_at(x.dir, points[i], 0, 0);
            qd_store_close(x.store);
            OK(&x, store_dir_open(x.dir, NULL, 0, &x.store, &x.err));
            if (store_load_check(l, x.store, steps, why, sizeof why)) {
                fail_msg("%s %d: %s", points[i], (int)n, why);
            }
            store_load_free(l);
            end(&x);
        }
    }
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_every_way_of_writing),
        cmocka_unit_test(modes_are_private),
        cmocka_unit_test(links_lead_nowhere),
        cmocka_unit_test(a_file_cut_below_its_mapping),
        cmocka_unit_test(a_foreign_sigbus_stays_fatal),
        cmocka_unit_test(unfinished_files_go_at_the_next_open),
        cmocka_unit_test(what_is_found_needs_no_sync),
        cmocka_unit_test(mounts_below_the_tier),
        cmocka_unit_test(failed_syncs),
        cmocka_unit_test(appends_that_fail_are_cut_back),
        cmocka_unit_test(the_reserve_is_kept_back_and_spent),
        cmocka_unit_test(every_call_may_fail),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    qd_log_level_set("plugin.storage-nvme", QD_LOG_OFF);
    return unit_run(tests);
}
