/*
 * record_t.c: what a node has acted on is on its disk before it acts, also where a sync fails once:
 * then, as Linux has it, the bytes stay in the cache, count as clean and are not on the disk, and
 * the next sync succeeds. This program has writes and syncs of its own, which keep beside the file
 * what the disk holds.
 */
#include "store.h"
#include "unit/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 2 };

static uint8_t disk[PAGES * PAGE], cache[PAGES * PAGE];
static bool dirty[PAGES];
static int fails; /* the n-th sync from now on; 0: none */

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    ssize_t k = syscall(SYS_pwrite64, fd, p, n, at);
    if (k > 0 && (size_t)at + (size_t)k <= sizeof cache) {
        memcpy(cache + at, p, (size_t)k);
        for (size_t i = 0; i < PAGES; i++) {
            if ((size_t)at < (i + 1) * PAGE && (size_t)(at + k) > i * PAGE) dirty[i] = true;
        }
    }
    return k;
}

static int sync_file(int fd)
{
    struct stat st;
    bool failed = fails > 0 && --fails == 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return 0;
    for (size_t i = 0; i < PAGES; i++) {
        if (dirty[i] && !failed) memcpy(disk + i * PAGE, cache + i * PAGE, PAGE);
        dirty[i] = false;
    }
    errno = EIO;
    return failed ? -1 : 0;
}

int fdatasync(int fd)
{
    return sync_file(fd);
}

int fsync(int fd)
{
    return sync_file(fd);
}

static char folder[] = "/tmp/qd-record-XXXXXX";
static const uint8_t store_id[16] = {1, 2, 3};

static int32_t open_it(qd_coord *c)
{
    static cr_plugin plugin;
    memset(c, 0, sizeof *c);
    c->plugin = &plugin;
    c->home.lock_fd = c->home.record_fd = -1;
    snprintf(c->path, sizeof c->path, "%s", folder);
    return ck_record_open(c, NULL);
}

/* What a node reads that starts after the power was lost; then the one that is open goes on, as a
 * new process. */
static uint64_t after_a_loss(qd_coord *open_one)
{
    static qd_coord c;
    char name[64];
    ck_record_close(open_one);
    uint8_t kept[sizeof cache];
    memcpy(kept, cache, sizeof kept);
    snprintf(name, sizeof name, "%s/kubernetes", folder);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(syscall(SYS_pwrite64, fd, disk, sizeof disk, 0L), sizeof disk);
    assert_int_equal(open_it(&c), 0);
    uint64_t index = c.home.record.index;
    ck_record_close(&c);
    assert_int_equal(syscall(SYS_pwrite64, fd, kept, sizeof kept, 0L), sizeof kept);
    memcpy(cache, kept, sizeof kept);
    close(fd);
    assert_int_equal(open_it(open_one), 0);
    return index;
}

static void begin(qd_coord *c)
{
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(open_it(c), 0);
    assert_int_equal(ck_record_put(c, store_id, 1, 5), 0);
    assert_int_equal(after_a_loss(c), 5);
}

static void end(qd_coord *c)
{
    char name[64];
    ck_record_close(c);
    const char *const files[] = {"kubernetes", "lock"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, files[i]);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void reopen(qd_coord *c)
{
    ck_record_close(c);
    assert_int_equal(open_it(c), 0);
}

static void said_again(void **state)
{
    (void)state;
    static qd_coord c;
    begin(&c);
    for (uint64_t index = 6; index < 10; index++) {
        fails = 1;
        assert_int_equal(ck_record_put(&c, store_id, 1, index), QD_E_IO);
        assert_int_equal(ck_record_put(&c, store_id, 1, index), 0);
        assert_int_equal(after_a_loss(&c), index);
    }
    end(&c);
}

static void found_at_an_opening(void **state)
{
    (void)state;
    static qd_coord c;
    begin(&c);
    for (uint64_t index = 6; index < 10; index++) {
        fails = 1;
        assert_int_equal(ck_record_put(&c, store_id, 1, index), QD_E_IO);
        reopen(&c);
        assert_int_equal(ck_record_put(&c, store_id, 1, index), 0);
        assert_int_equal(after_a_loss(&c), index);
    }
    end(&c);
}

static void an_opening_whose_sync_fails(void **state)
{
    (void)state;
    static qd_coord c;
    begin(&c);
    fails = 1;
    assert_int_equal(ck_record_put(&c, store_id, 1, 6), QD_E_IO);
    ck_record_close(&c);
    fails = 1;
    assert_int_equal(open_it(&c), QD_E_IO);
    ck_record_close(&c);
    assert_int_equal(open_it(&c), 0);
    assert_int_equal(ck_record_put(&c, store_id, 1, 6), 0);
    assert_int_equal(after_a_loss(&c), 6);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(said_again),
        cmocka_unit_test(found_at_an_opening),
        cmocka_unit_test(an_opening_whose_sync_fails),
    };
    return unit_run(tests);
}
