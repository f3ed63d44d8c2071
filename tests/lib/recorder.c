/*
 * recorder.c: LD_PRELOAD library that records every change of the files below a folder.
 *
 *   QD_RECORD_ROOT  the folder          QD_RECORD_LOG  file that gets the records (see record.h)
 *   QD_RECORD_SEQ   file of 8 bytes, mapped: the last sequence number
 *   QD_RECORD_MUTE  one of fsync-dir, fsync-file, fdatasync: such calls succeed, do nothing and are
 *                   not recorded: the broken twin of every writer, which the tests must find
 *   QD_RECORD_FAIL  file of a struct record_fail, mapped: syncs of files that end with EIO, once
 * for each. As Linux has it (Rebello et al., "Can Applications Recover from fsync Failures?",
 * USENIX ATC 2020) the pages stay cached and count as clean, the bytes are not on the disk, and the
 * next sync of the file succeeds. Folders are never meant: a journaling file system whose journal
 * fails takes no more writes.
 *
 * Caught: the calls of the C library, with their 64-bit names; syscall(), by which libraft submits
 * its AIO; O_SYNC and O_DSYNC; copy_file_range and sendfile, which become writes. io_uring is
 * refused with ENOSYS, FICLONE with EOPNOTSUPP, so that callers fall back. Shared writable mappings
 * and O_TMPFILE are noted as unseen. Not seen: stdio, whose calls never leave the C library.
 */
#define _GNU_SOURCE
#include "lib/record.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The C library's own syscall(): ours would record again. */
static long (*raw_call)(long number, ...);
static void raw_find(void)
{
    if (!raw_call) *(void **)(void *)&raw_call = dlsym(RTLD_NEXT, "syscall");
}
#define raw(...) (raw_find(), raw_call(__VA_ARGS__))

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int log_fd = -1;
static dev_t root_dev;
static _Atomic uint64_t *seq;
static const char *mute = "";
static struct record_fail *failing;
static uint64_t *inos; /* open addressing; 0 empty */
static size_t ninos, cap;

/* ---- what is recorded
 * ---------------------------------------------------------------------------- */

static bool known(uint64_t ino)
{
    if (!cap) return false;
    for (size_t i = ino * 0x9E3779B97F4A7C15ull % cap; inos[i]; i = (i + 1) % cap) {
        if (inos[i] == ino) return true;
    }
    return false;
}

static void learn(uint64_t ino)
{
    if (known(ino)) return;
    if (ninos * 2 >= cap) {
        size_t old = cap;
        uint64_t *from = inos;
        cap = cap ? cap * 2 : 1024;
        inos = calloc(cap, sizeof *inos);
        ninos = 0;
        for (size_t i = 0; i < old; i++) {
            if (from[i]) learn(from[i]);
        }
        free(from);
    }
    size_t i = ino * 0x9E3779B97F4A7C15ull % cap;
    while (inos[i]) i = (i + 1) % cap;
    inos[i] = ino;
    ninos++;
}

static uint64_t put(uint32_t kind, uint64_t ino, uint64_t a, uint64_t b, const void *text, size_t n,
                    const void *more, size_t m)
{
    record r = {RECORD_MAGIC, kind, 0, ino, a, b, (uint32_t)n, (uint32_t)m};
    r.seq = atomic_fetch_add(seq, 1) + 1;
    struct iovec v[3] = {
        {&r, sizeof r}, {(void *)(uintptr_t)text, n}, {(void *)(uintptr_t)more, m}};
    size_t all = sizeof r + n + m;
    if (raw(SYS_writev, log_fd, v, 3) != (ssize_t)all) abort();
    return r.seq;
}

static void unseen(const char *what)
{
    put(RECORD_UNSEEN, 0, 0, 0, what, strlen(what), NULL, 0);
}

/* ino of an open file below the root, else 0. */
static uint64_t ino_of(int fd)
{
    struct stat st;
    int saved = errno;
    bool ours = log_fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == root_dev && known(st.st_ino);
    errno = saved;
    return ours ? st.st_ino : 0;
}

/* The folder of a path: its ino, or 0 when it is not ours; *leaf points to the last part. */
static uint64_t parent_of(int dirfd, const char *path, const char **leaf)
{
    char dir[4096];
    struct stat st;
    int saved = errno;
    const char *slash = strrchr(path, '/');
    *leaf = slash ? slash + 1 : path;
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (log_fd < 0 || n >= sizeof dir) return 0;
    memcpy(dir, path, n);
    dir[n] = 0;
    const char *look = !slash ? "." : n == 0 ? "/" : dir;
    bool ours = fstatat(dirfd, look, &st, 0) == 0 && st.st_dev == root_dev && known(st.st_ino);
    errno = saved;
    return ours ? st.st_ino : 0;
}

static void walk(const char *path, int depth)
{
    struct stat st;
    if (depth > 64 || lstat(path, &st) != 0) return;
    learn(st.st_ino);
    if (!S_ISDIR(st.st_mode)) return;
    int fd = (int)raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char buf[4096], next[4096];
    long n;
    while (fd >= 0 && (n = raw(SYS_getdents64, fd, buf, sizeof buf)) > 0) {
        for (long at = 0; at < n;) {
            uint16_t len;
            memcpy(&len, buf + at + 16, 2);
            const char *name = buf + at + 19;
            at += len;
            if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
            snprintf(next, sizeof next, "%.2000s/%.255s", path, name);
            walk(next, depth + 1);
        }
    }
    if (fd >= 0) close(fd);
}

/* n bytes of a file that several processes map. */
static void *shared(const char *path, size_t n)
{
    int fd = (int)raw(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || raw(SYS_ftruncate, fd, n) != 0) abort();
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) abort();
    return p;
}

__attribute__((constructor)) static void start(void)
{
    const char *root = getenv("QD_RECORD_ROOT"), *log = getenv("QD_RECORD_LOG");
    const char *number = getenv("QD_RECORD_SEQ");
    struct stat st;
    if (getenv("QD_RECORD_MUTE")) mute = getenv("QD_RECORD_MUTE");
    if (!root || !log || !number || stat(root, &st) != 0) return;
    seq = shared(number, 8);
    if (getenv("QD_RECORD_FAIL")) failing = shared(getenv("QD_RECORD_FAIL"), sizeof *failing);
    root_dev = st.st_dev;
    walk(root, 0);
    int low = (int)raw(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = fcntl(low, F_DUPFD_CLOEXEC, 900); /* out of the way of programs that count */
    close(low);
    if (log_fd < 0) abort();
    put(RECORD_ROOT, st.st_ino, 0, 0, NULL, 0, NULL, 0);
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (log_fd < 0 || (!(flags & O_CREAT) && !(writes && (flags & O_TRUNC)) &&
                       (flags & O_TMPFILE) != O_TMPFILE)) {
        return (int)raw(SYS_openat, dirfd, path, flags, mode);
    }
    const char *leaf;
    pthread_mutex_lock(&lock);
    uint64_t parent = parent_of(dirfd, path, &leaf);
    if (parent && (flags & O_TMPFILE) == O_TMPFILE) {
        pthread_mutex_unlock(&lock);
        errno = EOPNOTSUPP;
        return -1;
    }
    struct stat st;
    int saved = errno;
    bool there = parent && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    errno = saved;
    int fd = (int)raw(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && parent && !there && fstat(fd, &st) == 0) {
        learn(st.st_ino);
        put(RECORD_FILE, st.st_ino, parent, 0, leaf, strlen(leaf), NULL, 0);
    } else if (fd >= 0 && there && (flags & O_TRUNC) && st.st_size > 0) {
        put(RECORD_TRUNCATE, st.st_ino, 0, 0, NULL, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags, mode)                                                                          \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}
int openat(int dirfd, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(dirfd, path, flags, mode);
}
int openat64(int dirfd, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return do_open(dirfd, path, flags, mode);
}
int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static bool is_synchronous(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (strcmp(mute, "dsync") == 0) return false;
    return flags >= 0 && (flags & (O_DSYNC | O_SYNC)) != 0;
}

/* Records n bytes of v at offset. */
static uint64_t put_write(uint64_t ino, uint64_t offset, bool synchronous, const struct iovec *v,
                          int parts, size_t n)
{
    char *all = malloc(n + 1);
    size_t at = 0;
    if (!all) abort();
    for (int i = 0; i < parts && at < n; i++) {
        size_t k = v[i].iov_len < n - at ? v[i].iov_len : n - at;
        memcpy(all + at, v[i].iov_base, k);
        at += k;
    }
    uint64_t s = put(RECORD_WRITE, ino, offset, synchronous, all, n, NULL, 0);
    free(all);
    return s;
}

/* offset -1: at the file's position. */
static ssize_t do_write(int fd, const struct iovec *v, int parts, off_t offset, int flags)
{
    uint64_t ino = ino_of(fd);
    bool at_position = offset == -1;
    if (ino) pthread_mutex_lock(&lock);
    struct stat st;
    int mode = ino ? fcntl(fd, F_GETFL) : 0;
    off_t at = offset;
    if (ino && mode & O_APPEND) {
        at = fstat(fd, &st) == 0 ? st.st_size : 0;
    } else if (ino && at_position) {
        at = lseek(fd, 0, SEEK_CUR);
    }
    ssize_t n = at_position && !flags ? raw(SYS_writev, fd, v, parts)
                                      : raw(SYS_pwritev2, fd, v, parts, offset, 0L, flags);
    int saved = errno;
    if (ino && n > 0) {
        bool synchronous = is_synchronous(fd) || (flags & (RWF_DSYNC | RWF_SYNC));
        put_write(ino, (uint64_t)at, synchronous, v, parts, (size_t)n);
    }
    if (ino) pthread_mutex_unlock(&lock);
    errno = saved;
    return n;
}

static ssize_t write_one(int fd, const void *p, size_t n, off_t offset)
{
    struct iovec v = {(void *)(uintptr_t)p, n};
    return do_write(fd, &v, 1, offset, 0);
}
ssize_t write(int fd, const void *p, size_t n)
{
    return write_one(fd, p, n, -1);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return write_one(fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return write_one(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *v, int n)
{
    return do_write(fd, v, n, -1, 0);
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return do_write(fd, v, n, at, 0);
}
ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at)
{
    return do_write(fd, v, n, at, 0);
}
ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
    return do_write(fd, v, n, at, flags);
}
ssize_t pwritev64v2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
    return do_write(fd, v, n, at, flags);
}

static int do_truncate(int fd, off_t size)
{
    uint64_t ino = ino_of(fd);
    if (ino) pthread_mutex_lock(&lock);
    int rc = (int)raw(SYS_ftruncate, fd, size), saved = errno;
    if (ino && rc == 0) put(RECORD_TRUNCATE, ino, (uint64_t)size, 0, NULL, 0, NULL, 0);
    if (ino) pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int ftruncate(int fd, off_t size)
{
    return do_truncate(fd, size);
}
int ftruncate64(int fd, off_t size)
{
    return do_truncate(fd, size);
}
int truncate(const char *path, off_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int rc = do_truncate(fd, size);
    close(fd);
    return rc;
}
int truncate64(const char *path, off_t size)
{
    return truncate(path, size);
}

/* Only the size is content; holes and collapsed ranges nobody here makes. */
static int do_fallocate(int fd, int mode, off_t offset, off_t len)
{
    uint64_t ino = ino_of(fd);
    struct stat before, after;
    if (ino) pthread_mutex_lock(&lock);
    if (ino && (mode & ~FALLOC_FL_KEEP_SIZE)) unseen("fallocate with a mode");
    bool sized = ino && fstat(fd, &before) == 0;
    int rc = (int)raw(SYS_fallocate, fd, mode, offset, len), saved = errno;
    if (sized && rc == 0 && fstat(fd, &after) == 0 && after.st_size != before.st_size) {
        put(RECORD_TRUNCATE, ino, (uint64_t)after.st_size, 0, NULL, 0, NULL, 0);
    }
    if (ino) pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int fallocate(int fd, int mode, off_t at, off_t n)
{
    return do_fallocate(fd, mode, at, n);
}
int fallocate64(int fd, int mode, off_t at, off_t n)
{
    return do_fallocate(fd, mode, at, n);
}
int posix_fallocate(int fd, off_t at, off_t n)
{
    return do_fallocate(fd, 0, at, n) ? errno : 0;
}
int posix_fallocate64(int fd, off_t at, off_t n)
{
    return do_fallocate(fd, 0, at, n) ? errno : 0;
}

/* A piece of it, by a write that is recorded. */
static ssize_t copied(int in, off_t *a, int out, off_t *b, size_t n)
{
    static __thread char piece[65536];
    if (n > sizeof piece) n = sizeof piece;
    ssize_t k = a ? pread(in, piece, n, *a) : read(in, piece, n);
    if (k > 0 && write_one(out, piece, (size_t)k, b ? *b : -1) != k) abort();
    if (k > 0 && a) *a += k;
    if (k > 0 && b) *b += k;
    return k;
}
ssize_t copy_file_range(int in, off_t *a, int out, off_t *b, size_t n, unsigned flags)
{
    if (!ino_of(out)) return raw(SYS_copy_file_range, in, a, out, b, n, flags);
    return copied(in, a, out, b, n);
}
ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
    if (!ino_of(out)) return raw(SYS_sendfile, out, in, at, n);
    return copied(in, at, out, NULL, n);
}
ssize_t sendfile64(int out, int in, off_t *at, size_t n)
{
    return sendfile(out, in, at, n);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (request == FICLONE && ino_of(fd)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)raw(SYS_ioctl, fd, request, arg);
}

static void *do_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
    if (fd >= 0 && (prot & PROT_WRITE) && (flags & MAP_SHARED) && ino_of(fd)) unseen("shared mmap");
    return (void *)raw(SYS_mmap, at, n, prot, flags, fd, offset);
}
void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t o)
{
    return do_mmap(at, n, prot, flags, fd, o);
}
void *mmap64(void *at, size_t n, int prot, int flags, int fd, off_t o)
{
    return do_mmap(at, n, prot, flags, fd, o);
}

/* ---- syncing
 * ------------------------------------------------------------------------------------- */

/* Whether this sync is one that fails; its path into path. */
static bool fails(int fd, char *path, size_t n)
{
    char link[64];
    if (!failing || atomic_load(&failing->left) == 0) return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t k = readlink(link, path, n - 1);
    if (k < 0) return false;
    path[k] = 0;
    if (!strstr(path, failing->under)) return false;
    if (atomic_load(&failing->pass) > 0 && atomic_fetch_sub(&failing->pass, 1) > 0) return false;
    int32_t left = atomic_load(&failing->left);
    while (left > 0 && !atomic_compare_exchange_weak(&failing->left, &left, left - 1)) {}
    if (left == 0) return false;
    atomic_fetch_add(&failing->failed, 1);
    return true;
}

static int do_sync(int fd, long number, const char *name)
{
    char path[4096];
    uint64_t ino = ino_of(fd);
    struct stat st;
    if (!ino) return (int)raw(number, fd);
    bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    if (strcmp(mute, folder ? "fsync-dir" : name) == 0) return 0;
    pthread_mutex_lock(&lock);
    uint64_t began = put(RECORD_SYNC_BEGIN, ino, 0, 0, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (!folder && fails(fd, path, sizeof path)) {
        pthread_mutex_lock(&lock);
        put(RECORD_SYNC_FAILED, ino, began, 0, path, strlen(path), NULL, 0);
        pthread_mutex_unlock(&lock);
        errno = EIO;
        return -1;
    }
    int rc = (int)raw(number, fd), saved = errno;
    pthread_mutex_lock(&lock);
    if (rc == 0) put(RECORD_SYNC_END, ino, began, 0, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int fsync(int fd)
{
    return do_sync(fd, SYS_fsync, "fsync-file");
}
int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync, "fdatasync");
}

static uint64_t sync_all_begin(void)
{
    if (log_fd < 0) return 0;
    return put(RECORD_SYNC_BEGIN, 0, 0, 0, NULL, 0, NULL, 0);
}
void sync(void)
{
    uint64_t began = sync_all_begin();
    raw(SYS_sync);
    if (began) put(RECORD_SYNC_END, 0, began, 0, NULL, 0, NULL, 0);
}
int syncfs(int fd)
{
    uint64_t began = sync_all_begin();
    int rc = (int)raw(SYS_syncfs, fd);
    if (began && rc == 0) put(RECORD_SYNC_END, 0, began, 0, NULL, 0, NULL, 0);
    return rc;
}

/* ---- names
 * --------------------------------------------------------------------------------------- */

static int do_rename(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    const char *old_leaf, *new_leaf;
    pthread_mutex_lock(&lock);
    uint64_t a = parent_of(from_fd, from, &old_leaf), b = parent_of(to_fd, to, &new_leaf);
    int rc = (int)raw(SYS_renameat2, from_fd, from, to_fd, to, flags), saved = errno;
    if (rc == 0 && a && b) {
        put(RECORD_RENAME, 0, a, b, old_leaf, strlen(old_leaf), new_leaf, strlen(new_leaf));
        if (flags & RENAME_EXCHANGE) unseen("exchanging rename");
    } else if (rc == 0 && (a || b)) {
        unseen("rename into or out of the folder");
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int rename(const char *from, const char *to)
{
    return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int a, const char *from, int b, const char *to)
{
    return do_rename(a, from, b, to, 0);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return do_rename(a, from, b, to, flags);
}

static int do_unlink(int fd, const char *path, int flags)
{
    const char *leaf;
    pthread_mutex_lock(&lock);
    uint64_t parent = parent_of(fd, path, &leaf);
    int rc = (int)raw(SYS_unlinkat, fd, path, flags), saved = errno;
    if (rc == 0 && parent) put(RECORD_UNLINK, 0, parent, 0, leaf, strlen(leaf), NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int unlink(const char *path)
{
    return do_unlink(AT_FDCWD, path, 0);
}
int unlinkat(int fd, const char *path, int flags)
{
    return do_unlink(fd, path, flags);
}
int rmdir(const char *path)
{
    return do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}
int remove(const char *path)
{
    struct stat st;
    bool folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return do_unlink(AT_FDCWD, path, folder ? AT_REMOVEDIR : 0);
}

static int do_mkdir(int fd, const char *path, mode_t mode)
{
    const char *leaf;
    struct stat st;
    pthread_mutex_lock(&lock);
    uint64_t parent = parent_of(fd, path, &leaf);
    int rc = (int)raw(SYS_mkdirat, fd, path, mode), saved = errno;
    if (rc == 0 && parent && fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        learn(st.st_ino);
        put(RECORD_DIR, st.st_ino, parent, 0, leaf, strlen(leaf), NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int mkdir(const char *path, mode_t mode)
{
    return do_mkdir(AT_FDCWD, path, mode);
}
int mkdirat(int fd, const char *path, mode_t mode)
{
    return do_mkdir(fd, path, mode);
}

static int do_link(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    const char *leaf;
    struct stat st;
    pthread_mutex_lock(&lock);
    uint64_t parent = parent_of(to_fd, to, &leaf);
    int rc = (int)raw(SYS_linkat, from_fd, from, to_fd, to, flags), saved = errno;
    if (rc == 0 && parent && fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!known(st.st_ino)) unseen("link to a file from elsewhere");
        put(RECORD_LINK, st.st_ino, parent, 0, leaf, strlen(leaf), NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}
int link(const char *from, const char *to)
{
    return do_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int linkat(int a, const char *from, int b, const char *to, int flags)
{
    return do_link(a, from, b, to, flags);
}

/* ---- asynchronous I/O of Linux
 * ------------------------------------------------------------------- */

#define FLIGHT 1024
static struct {
    uint64_t iocb, seq;
} flight[FLIGHT];

static void submitted(const struct iocb *c)
{
    uint64_t ino = ino_of((int)c->aio_fildes);
    if (!ino || (c->aio_lio_opcode != IOCB_CMD_PWRITE && c->aio_lio_opcode != IOCB_CMD_PWRITEV))
        return;
    struct iovec one = {(void *)(uintptr_t)c->aio_buf, c->aio_nbytes}, *v = &one;
    int parts = 1;
    size_t n = c->aio_nbytes;
    if (c->aio_lio_opcode == IOCB_CMD_PWRITEV) {
        v = (struct iovec *)(uintptr_t)c->aio_buf;
        parts = (int)c->aio_nbytes;
        n = 0;
        for (int i = 0; i < parts; i++) n += v[i].iov_len;
    }
    uint64_t s = put_write(ino, (uint64_t)c->aio_offset, false, v, parts, n);
    if (!(c->aio_rw_flags & (RWF_DSYNC | RWF_SYNC)) && !is_synchronous((int)c->aio_fildes)) return;
    for (int i = 0; i < FLIGHT; i++) {
        if (flight[i].iocb) continue;
        flight[i].iocb = (uint64_t)(uintptr_t)c;
        flight[i].seq = s;
        return;
    }
    unseen("more writes in flight than the recorder follows");
}

static void completed(const struct io_event *e)
{
    for (int i = 0; i < FLIGHT; i++) {
        if (flight[i].iocb != e->obj) continue;
        flight[i].iocb = 0;
        put(RECORD_WRITE_DONE, 0, flight[i].seq, e->res < 0, NULL, 0, NULL, 0);
        return;
    }
}

/* The kernel did not take it: it never was. */
static void not_taken(const struct iocb *c)
{
    struct io_event e = {.obj = (uint64_t)(uintptr_t)c, .res = -EAGAIN};
    completed(&e);
}

static long aio_submit(long *a)
{
    struct iocb **list = (struct iocb **)a[2];
    pthread_mutex_lock(&lock);
    for (long i = 0; log_fd >= 0 && i < a[1]; i++) submitted(list[i]);
    long rc = raw(SYS_io_submit, a[0], a[1], a[2]);
    int saved = errno;
    for (long i = rc < 0 ? 0 : rc; log_fd >= 0 && i < a[1]; i++) not_taken(list[i]);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}

static long aio_events(long *a)
{
    struct io_event *e = (struct io_event *)a[3];
    long n = raw(SYS_io_getevents, a[0], a[1], a[2], a[3], a[4]);
    int saved = errno;
    pthread_mutex_lock(&lock);
    for (long i = 0; log_fd >= 0 && i < n; i++) completed(&e[i]);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return n;
}

long syscall(long number, ...)
{
    long a[6];
    va_list ap;
    va_start(ap, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
    va_end(ap);
    if (log_fd < 0) return raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    long rc;
    switch (number) {
    case SYS_io_uring_setup:
    case SYS_io_uring_enter:
    case SYS_io_uring_register:
        errno = ENOSYS;
        rc = -1;
        break;
    case SYS_io_submit:
        rc = aio_submit(a);
        break;
    case SYS_io_getevents:
        rc = aio_events(a);
        break;
    case SYS_renameat2:
        rc =
            do_rename((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
        break;
    case SYS_fsync:
        rc = fsync((int)a[0]);
        break;
    case SYS_fdatasync:
        rc = fdatasync((int)a[0]);
        break;
    case SYS_openat:
        rc = do_open((int)a[0], (const char *)a[1], (int)a[2], (mode_t)a[3]);
        break;
    case SYS_pwrite64:
        rc = write_one((int)a[0], (void *)a[1], (size_t)a[2], (off_t)a[3]);
        break;
    case SYS_write:
        rc = write_one((int)a[0], (void *)a[1], (size_t)a[2], -1);
        break;
    case SYS_writev:
        rc = do_write((int)a[0], (const struct iovec *)a[1], (int)a[2], -1, 0);
        break;
    case SYS_pwritev: /* libuv's, the offset in two halves of which 64-bit machines use the first */
    case SYS_pwritev2:
        rc = do_write((int)a[0], (const struct iovec *)a[1], (int)a[2], (off_t)a[3],
                      number == SYS_pwritev2 ? (int)a[5] : 0);
        break;
    case SYS_unlinkat:
        rc = do_unlink((int)a[0], (const char *)a[1], (int)a[2]);
        break;
    default:
        rc = raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        break;
    }
    return rc;
}
