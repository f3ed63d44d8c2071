/*
 * record_probe.c: writes a few files in a folder by every door that the recorder watches, for
 * integration/022_recorder.t. Files durable-* are synced, each by another call, and hold their own
 * name; files loose-* are not. Exit 3: a door is closed on this machine, its name on stdout.
 *
 *   record_probe DIR
 *   record_probe DIR failed-NAME      one file, whose first sync fails and whose second does not
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int dir;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

/* A new file whose name is durable already. */
static int make(const char *name, int flags)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
    if (fd < 0 || fsync(dir) != 0) die(name);
    return fd;
}

static void whole(ssize_t n, const char *name)
{
    if (n != (ssize_t)strlen(name)) die(name);
}

/* Linux AIO as libraft uses it: io_submit through syscall(), synchronous by RWF_DSYNC. */
static int aio(const char *name)
{
    aio_context_t ctx = 0;
    if (syscall(SYS_io_setup, 4, &ctx) != 0) return 0;
    int fd = make(name, 0);
    static char buf[64];
    memcpy(buf, name, strlen(name));
    struct iocb cb, *list[1] = {&cb};
    memset(&cb, 0, sizeof cb);
    cb.aio_fildes = (uint32_t)fd;
    cb.aio_lio_opcode = IOCB_CMD_PWRITE;
    cb.aio_buf = (uint64_t)(uintptr_t)buf;
    cb.aio_nbytes = strlen(name);
    cb.aio_rw_flags = RWF_DSYNC;
    struct io_event e;
    if (syscall(SYS_io_submit, ctx, 1L, list) != 1) die("io_submit");
    if (syscall(SYS_io_getevents, ctx, 1L, 1L, &e, NULL) != 1) die("io_getevents");
    whole((ssize_t)e.res, name);
    close(fd);
    syscall(SYS_io_destroy, ctx);
    return 1;
}

static void durable(void)
{
    const char *n = "durable-write";
    int fd = make(n, 0);
    whole(write(fd, n, strlen(n)), n);
    if (fsync(fd)) die(n);
    close(fd);

    n = "durable-pwrite";
    fd = make(n, 0);
    whole(pwrite(fd, n, strlen(n), 0), n);
    if (fdatasync(fd)) die(n);
    close(fd);

    n = "durable-writev";
    fd = make(n, O_APPEND);
    struct iovec v[2] = {{(void *)(uintptr_t)n, 4}, {(void *)(uintptr_t)(n + 4), strlen(n) - 4}};
    whole(writev(fd, v, 2), n);
    if (syscall(SYS_fdatasync, fd)) die(n);
    close(fd);

    n = "durable-o_dsync";
    fd = make(n, O_DSYNC);
    whole(pwritev(fd, &(struct iovec){(void *)(uintptr_t)n, strlen(n)}, 1, 0), n);
    close(fd);

    n = "durable-rwf_dsync";
    fd = make(n, 0);
    whole(pwritev2(fd, &(struct iovec){(void *)(uintptr_t)n, strlen(n)}, 1, 0, RWF_DSYNC), n);
    close(fd);

    n = "durable-truncate";
    fd = make(n, 0);
    if (fallocate(fd, 0, 0, 100) || ftruncate(fd, 0)) die(n);
    whole(syscall(SYS_pwrite64, fd, n, strlen(n), 0L), n);
    if (fsync(fd)) die(n);
    close(fd);

    n = "durable-renamed";
    fd = make("before", 0);
    whole(write(fd, n, strlen(n)), n);
    if (fsync(fd) || syscall(SYS_renameat2, dir, "before", dir, n, 0) || fsync(dir)) die(n);
    close(fd);

    n = "durable-linked";
    fd = make("first", 0);
    whole(write(fd, n, strlen(n)), n);
    if (fsync(fd) || linkat(dir, "first", dir, n, 0) || unlinkat(dir, "first", 0) || fsync(dir)) {
        die(n);
    }
    close(fd);
}

static void loose(void)
{
    /* Those that need the folder's sync come first. */
    int fd = make("loose-bytes", 0);
    close(make("loose-removed", 0));
    whole(write(fd, "loose-bytes", 11), "loose-bytes");
    close(fd);
    fd = openat(dir, "loose-name", O_RDWR | O_CREAT, 0600);
    whole(write(fd, "loose-name", 10), "loose-name");
    if (fsync(fd)) die("loose-name");
    close(fd);
    if (mkdirat(dir, "loose-folder", 0700)) die("loose-folder");
    if (unlinkat(dir, "loose-removed", 0)) die("loose-removed");
}

/* A file of n bytes 'a' whose sync has failed. */
static int failed(const char *name, size_t n)
{
    static char text[2 * 4096];
    int fd = make(name, 0);
    memset(text, 'a', sizeof text);
    if (pwrite(fd, text, n, 0) != (ssize_t)n) die(name);
    if (fdatasync(fd) == 0 || errno != EIO) die("a sync that should fail");
    return fd;
}

static void failing(const char *name)
{
    int fd = failed(name, 5000);
    char text[5000];
    if (strcmp(name, "failed-again") == 0) {
        if (pread(fd, text, sizeof text, 0) != sizeof text) die("pread");
        if (pwrite(fd, text, sizeof text, 0) != sizeof text) die("again");
    } else if (strcmp(name, "failed-page") == 0) {
        if (pwrite(fd, "b", 1, 5000) != 1 || fdatasync(fd)) die("one more byte");
        if (pwrite(fd, "b", 1, 5001) != 1) die("one more byte");
    } else if (strcmp(name, "failed-cut") == 0) {
        if (ftruncate(fd, 4000)) die("cut");
    }
    if (fdatasync(fd)) die("fdatasync");
    close(fd);
}

int main(int argc, char **argv)
{
    bool fails = argc == 3 && strncmp(argv[2], "failed-", 7) == 0;
    if ((argc != 2 && !fails) || (dir = open(argv[1], O_RDONLY | O_DIRECTORY)) < 0) return 2;
    if (fails) {
        failing(argv[2]);
        return 0;
    }
    durable();
    int aio_works = aio("durable-aio");
    loose();
    int ring = (int)syscall(SYS_io_uring_setup, 4, argv);
    printf("io_uring %s\n", ring < 0 && errno == ENOSYS ? "refused" : "open");
    if (!aio_works) printf("no aio\n");
    return 0;
}
