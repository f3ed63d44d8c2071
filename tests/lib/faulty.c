/*
 * faulty.c: LD_PRELOAD library that makes reads, writes and syncs of files fail while a program
 * runs.
 *
 *   QD_FAULTY   a control file (see struct control), mapped: what a test writes there counts at
 * once
 *
 * Only regular files and folders are meant whose path holds the text `under`. A write that fails
 * has written nothing; a sync that fails has synced nothing. io_uring is refused with ENOSYS, so
 * that readers fall back on calls that are seen here. Pages of mapped files are not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same bytes as in integration/lib/Faulty.pm. */
struct control {
    _Atomic int32_t sync_error, write_error, read_error; /* errno; 0: none */
    _Atomic int32_t left;                                /* calls that still fail; below 0: all */
    _Atomic uint32_t sync_ms;                            /* each sync takes so much longer */
    _Atomic uint32_t held;                               /* no sync ends as long as this is set */
    _Atomic uint64_t failed, syncs; /* so far: calls that failed; syncs that were asked for */
    char under[256];
};

static struct control *control;
static long (*raw_call)(long number, ...);
static void raw_find(void)
{
    if (!raw_call) *(void **)(void *)&raw_call = dlsym(RTLD_NEXT, "syscall");
}
#define raw(...) (raw_find(), raw_call(__VA_ARGS__))

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("QD_FAULTY");
    if (!path) return;
    int fd = (int)raw(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) abort();
    control = p;
}

/* Whether the file is one that is meant. */
static bool meant(int fd)
{
    char link[64], path[4096];
    struct stat st;
    if (fstat(fd, &st) != 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return false;
    path[n] = 0;
    return strstr(path, control->under) != NULL;
}

/* errno when the call is to fail, else 0. */
static int fails(_Atomic int32_t *error, int fd)
{
    int number = atomic_load(error), saved = errno;
    bool ours = number != 0 && meant(fd);
    errno = saved;
    if (!ours) return 0;
    int32_t left = atomic_load(&control->left);
    while (left > 0 && !atomic_compare_exchange_weak(&control->left, &left, left - 1)) {}
    if (left == 0) return 0;
    atomic_fetch_add(&control->failed, 1);
    return number;
}

#define FAIL(what, fd)                                                                             \
    int number = control ? fails(&control->what, fd) : 0;                                          \
    if (number) {                                                                                  \
        errno = number;                                                                            \
        return -1;                                                                                 \
    }

static void pause_ms(uint32_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static int do_sync(int fd, long call)
{
    uint32_t ms = control ? atomic_load(&control->sync_ms) : 0;
    if (ms && meant(fd)) pause_ms(ms);
    if (control && atomic_load(&control->held) && meant(fd)) {
        atomic_fetch_add(&control->failed, 1);
        while (atomic_load(&control->held)) pause_ms(5);
    }
    if (control) atomic_fetch_add(&control->syncs, 1);
    FAIL(sync_error, fd)
    return (int)raw(call, fd);
}
int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}
int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}
int sync_file_range(int fd, off64_t from, off64_t n, unsigned flags)
{
    FAIL(sync_error, fd)
    return (int)raw(SYS_sync_file_range, fd, from, n, flags);
}

ssize_t write(int fd, const void *p, size_t n)
{
    FAIL(write_error, fd)
    return raw(SYS_write, fd, p, n);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    FAIL(write_error, fd)
    return raw(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return pwrite64(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *v, int n)
{
    FAIL(write_error, fd)
    return raw(SYS_writev, fd, v, n);
}
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
    FAIL(write_error, fd)
    return raw(SYS_pwritev, fd, v, n, at, 0L);
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return pwritev64(fd, v, n, at);
}

ssize_t read(int fd, void *p, size_t n)
{
    FAIL(read_error, fd)
    return raw(SYS_read, fd, p, n);
}
ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
    FAIL(read_error, fd)
    return raw(SYS_pread64, fd, p, n, at);
}
ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    return pread64(fd, p, n, at);
}
ssize_t preadv64(int fd, const struct iovec *v, int n, off64_t at)
{
    FAIL(read_error, fd)
    return raw(SYS_preadv, fd, v, n, at, 0L);
}
ssize_t preadv(int fd, const struct iovec *v, int n, off_t at)
{
    return preadv64(fd, v, n, at);
}

long syscall(long number, ...)
{
    long a[6];
    va_list ap;
    va_start(ap, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
    va_end(ap);
    if (control && number == SYS_io_uring_setup) {
        errno = ENOSYS;
        return -1;
    }
    return raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
