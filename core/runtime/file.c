/* file.c: small files of the node itself. See file.h. */
#include "runtime/file.h"
#include "base/vec.h"
#include "runtime/file_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define LIST_MAX 1000000

int qdi_file_error(qd_err *err, int errnum, const char *what, const char *path)
{
    int code = errnum == ENOENT || errnum == ENOTDIR                    ? QD_E_NOTFOUND
               : errnum == EACCES || errnum == EPERM || errnum == EROFS ? QD_E_PERMISSION
               : errnum == ENOSPC || errnum == EDQUOT                   ? QD_E_NOSPACE
               : errnum == ENOMEM                                       ? QD_E_NOMEM
                                                                        : QD_E_IO;
    return qd_err_set(err, code, "cannot %s [%s]: %s", what, path, strerror(errnum));
}

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;
    do fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* write(2) until all is written; 0 or errno. */
static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return errno;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

static int read_into(int fd, uint64_t offset, size_t n, bool seekable, const char *path,
                     qd_buf *out, qd_err *err)
{
    while (n > 0) {
        size_t want = n < 65536 ? n : 65536;
        char *to = qd_buf_reserve(out, want);
        char last; /* a buffer that is full may still be at the end of the file */
        ssize_t k = seekable ? pread(fd, to ? to : &last, to ? want : 1, (off_t)offset)
                             : read(fd, to ? to : &last, to ? want : 1);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return qdi_file_error(err, errno, "read", path);
        if (k == 0) return 0;
        if (!to) {
            int rc = qd_buf_status(out);
            if (rc != QD_E_LIMIT) return qd_err_nomem(err, path);
            return qd_err_set(err, QD_E_LIMIT, "[%s] is longer than %zu bytes", path, out->max);
        }
        out->n += (size_t)k;
        out->p[out->n] = 0;
        offset += (size_t)k;
        n -= (size_t)k;
    }
    return 0;
}

/* Reads in steps that never overshoot out's maximum by their own size. */
static int read_fd(int fd, uint64_t offset, size_t n, bool seekable, const char *path, qd_buf *out,
                   qd_err *err)
{
    while (n > 0) {
        size_t room = out->max - out->n, before = out->n;
        size_t step = room >= 65536 ? (n < 65536 ? n : 65536)
                      : room > 0    ? (n < room ? n : room)
                                    : n;
        int rc = read_into(fd, offset, step, seekable, path, out, err);
        if (rc != 0) return rc;
        size_t got = out->n - before;
        if (got == 0) return 0;
        offset += got;
        n -= got;
    }
    return 0;
}

int qd_file_read(const char *path, qd_buf *out, qd_err *err)
{
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return qdi_file_error(err, errno, "open", path);
    int rc = read_fd(fd, 0, SIZE_MAX, false, path, out, err);
    close(fd);
    return rc;
}

int qd_file_read_at(const char *path, uint64_t offset, size_t n, qd_buf *out, qd_err *err)
{
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return qdi_file_error(err, errno, "open", path);
    int rc = read_fd(fd, offset, n, true, path, out, err);
    close(fd);
    return rc;
}

/* fsync of the folder that holds path, so that its entry survives a power loss. */
static int sync_folder(const char *path, qd_err *err)
{
    char dir[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof dir) return qdi_file_error(err, ENAMETOOLONG, "sync", path);
    if (!slash)
        snprintf(dir, sizeof dir, ".");
    else if (n == 0)
        snprintf(dir, sizeof dir, "/");
    else
        snprintf(dir, sizeof dir, "%.*s", (int)n, path);
    int fd = open_retry(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return qdi_file_error(err, errno, "open", dir);
    int rc = fsync(fd) == 0 ? 0 : qdi_file_error(err, errno, "sync", dir);
    close(fd);
    return rc;
}

int qd_file_write_atomic(const char *path, qd_str data, uint32_t mode, qd_err *err)
{
    char tmp[PATH_BYTES];
    if (snprintf(tmp, sizeof tmp, "%s.%lld.tmp", path, (long long)getpid()) >= (int)sizeof tmp)
        return qdi_file_error(err, ENAMETOOLONG, "write", path);
    int fd = open_retry(tmp, O_WRONLY | O_CREAT | O_TRUNC, (mode_t)mode);
    if (fd < 0) return qdi_file_error(err, errno, "create", tmp);
    int rc = write_all(fd, data.p, data.n);
    if (rc == 0 && fchmod(fd, (mode_t)mode) != 0) rc = errno;
    if (rc == 0 && fsync(fd) != 0) rc = errno;
    if (close(fd) != 0 && rc == 0) rc = errno;
    if (rc == 0 && rename(tmp, path) != 0) rc = errno;
    if (rc != 0) {
        unlink(tmp);
        return qdi_file_error(err, rc, "write", path);
    }
    return sync_folder(path, err);
}

int qd_dir_probe(const char *path, qd_err *err)
{
    static const char text[] = "a sign of life of the disk\n";
    char name[PATH_BYTES];
    if (snprintf(name, sizeof name, "%s/.probe", path) >= (int)sizeof name)
        return qdi_file_error(err, ENAMETOOLONG, "write", path);
    int fd = open_retry(name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
    if (fd < 0) return qdi_file_error(err, errno, "create", name);
    int rc = write_all(fd, text, sizeof text - 1);
    /* the same block each time: its data and no names, nothing for a journal */
    if (rc == 0 && fdatasync(fd) != 0) rc = errno;
    if (close(fd) != 0 && rc == 0) rc = errno;
    return rc ? qdi_file_error(err, rc, "sync", name) : 0;
}

int qd_file_stat(const char *path, qd_file_info *out, qd_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0) return qdi_file_error(err, errno, "look at", path);
    *out = (qd_file_info){
        .is_dir = S_ISDIR(st.st_mode),
        .is_regular = S_ISREG(st.st_mode),
        .is_link = S_ISLNK(st.st_mode),
        .mode = st.st_mode & 07777,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .size = (uint64_t)st.st_size,
        .mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .device = st.st_dev,
        .inode = st.st_ino,
    };
    return 0;
}

bool qd_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int qd_file_remove(const char *path, qd_err *err)
{
    if (unlink(path) == 0 || errno == ENOENT) return 0;
    return qdi_file_error(err, errno, "remove", path);
}

int qd_file_rename(const char *from, const char *to, qd_err *err)
{
    if (rename(from, to) != 0) return qdi_file_error(err, errno, "rename", from);
    int rc = sync_folder(to, err);
    return rc ? rc : sync_folder(from, err);
}

int qd_dir_make(const char *path, uint32_t mode, qd_err *err)
{
    char part[PATH_BYTES];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) return qdi_file_error(err, ENAMETOOLONG, "make", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        bool made = mkdir(part, (mode_t)mode) == 0;
        struct stat st;
        if (!made && !(errno == EEXIST && stat(part, &st) == 0 && S_ISDIR(st.st_mode)))
            return qdi_file_error(err, errno == EEXIST ? ENOTDIR : errno, "make the folder", part);
        /* the last one also when it was there: who made it may have died before the sync */
        int rc = made || path[i] == 0 ? sync_folder(part, made ? err : NULL) : 0;
        if (rc && made) return rc;
    }
    return 0;
}

typedef QD_VEC(char *) name_list;

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, const char *path, name_list *names, qd_err *err)
{
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (!e) return errno ? qdi_file_error(err, errno, "list", path) : 0;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (names->n == LIST_MAX)
            return qd_err_set(err, QD_E_LIMIT, "more than %d files in [%s]", LIST_MAX, path);
        char *name = qd_memdup(NULL, e->d_name, strlen(e->d_name));
        if (!name || qd_vec_push(names, NULL, name) != 0) {
            qd_free(name);
            return qd_err_nomem(err, "a list of files");
        }
    }
}

int qd_dir_list(const char *path, int (*fn)(void *arg, const char *name), void *arg, qd_err *err)
{
    DIR *dir = opendir(path);
    if (!dir) return qdi_file_error(err, errno, "list", path);
    name_list names = {0};
    int rc = read_names(dir, path, &names, err);
    closedir(dir);
    if (rc == 0 && names.n) qsort(names.at, names.n, sizeof *names.at, compare_names);
    for (size_t i = 0; i < names.n; i++) {
        if (rc == 0) rc = fn(arg, names.at[i]);
        qd_free(names.at[i]);
    }
    qd_vec_fini(&names);
    return rc;
}

typedef struct removal {
    const char *path;
    int depth;
    qd_err *err;
} removal;

static int remove_tree(const char *path, int depth, qd_err *err);

static int remove_entry(void *arg, const char *name)
{
    removal *r = arg;
    char child[PATH_BYTES];
    if (snprintf(child, sizeof child, "%s/%s", r->path, name) >= (int)sizeof child)
        return qdi_file_error(r->err, ENAMETOOLONG, "remove", name);
    if (unlink(child) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return qdi_file_error(r->err, errno, "remove", child);
    return remove_tree(child, r->depth + 1, r->err);
}

static int remove_tree(const char *path, int depth, qd_err *err)
{
    if (depth > 32) return qd_err_set(err, QD_E_LIMIT, "folders too deep below [%s]", path);
    removal r = {path, depth, err};
    int rc = qd_dir_list(path, remove_entry, &r, err);
    if (rc != 0) return rc;
    return rmdir(path) == 0 || errno == ENOENT ? 0 : qdi_file_error(err, errno, "remove", path);
}

int qd_dir_remove(const char *path, qd_err *err)
{
    return qd_file_exists(path) ? remove_tree(path, 0, err) : 0;
}

int qd_dir_capacity(const char *path, uint64_t *total, uint64_t *available, qd_err *err)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0) return qdi_file_error(err, errno, "measure", path);
    *total = (uint64_t)st.f_blocks * st.f_frsize;
    *available = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

int qd_path_real(const char *path, qd_buf *out, qd_err *err)
{
    char real[PATH_MAX + 1];
    if (!realpath(path, real)) return qdi_file_error(err, errno, "resolve", path);
    return qd_buf_c(out, real) ? qd_err_nomem(err, "a path") : 0;
}

/* --- streams ------------------------------------------------------------------------------- */

struct qd_file_in {
    int fd;
    char path[];
};

struct qd_file_out {
    int fd;
    mode_t mode;
    char path[];
};

int qd_file_in_open(const char *path, qd_file_in **out, qd_err *err)
{
    size_t n = strlen(path);
    qd_file_in *in = qd_alloc(NULL, sizeof *in + n + 1);
    if (!in) return qd_err_nomem(err, "a file");
    memcpy(in->path, path, n + 1);
    in->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open_retry(path, O_RDONLY, 0);
    if (in->fd < 0) {
        int rc = qdi_file_error(err, errno, "open", path);
        qd_free(in);
        return rc;
    }
    *out = in;
    return 0;
}

int64_t qd_file_in_read(qd_file_in *in, void *p, size_t n, qd_err *err)
{
    ssize_t k;
    do k = read(in->fd, p, n);
    while (k < 0 && errno == EINTR);
    return k < 0 ? qdi_file_error(err, errno, "read", in->path) : k;
}

void qd_file_in_close(qd_file_in *in)
{
    if (!in) return;
    if (in->fd != STDIN_FILENO) close(in->fd);
    qd_free(in);
}

int qd_file_out_open(const char *path, bool truncate, uint32_t mode, qd_file_out **out, qd_err *err)
{
    size_t n = strlen(path);
    qd_file_out *o = qd_alloc(NULL, sizeof *o + n + 1);
    if (!o) return qd_err_nomem(err, "a file");
    memcpy(o->path, path, n + 1);
    o->mode = (mode_t)mode;
    int flags = O_WRONLY | O_CREAT | O_APPEND | (truncate ? O_TRUNC : 0);
    o->fd = strcmp(path, "-") == 0              ? STDOUT_FILENO
            : strcmp(path, QD_FILE_STDERR) == 0 ? STDERR_FILENO
                                                : open_retry(path, flags, o->mode);
    if (o->fd < 0) {
        int rc = qdi_file_error(err, errno, "open", path);
        qd_free(o);
        return rc;
    }
    *out = o;
    return 0;
}

int qd_file_out_write(qd_file_out *out, const void *p, size_t n, qd_err *err)
{
    int rc = write_all(out->fd, p, n);
    return rc ? qdi_file_error(err, rc, "write", out->path) : 0;
}

int qd_file_out_sync(qd_file_out *out, qd_err *err)
{
    if (fsync(out->fd)) return qdi_file_error(err, errno, "sync", out->path);
    return sync_folder(out->path, err);
}

int qd_file_out_reopen(qd_file_out *out, qd_err *err)
{
    if (out->fd == STDOUT_FILENO || out->fd == STDERR_FILENO) return 0;
    int fd = open_retry(out->path, O_WRONLY | O_CREAT | O_APPEND, out->mode);
    if (fd < 0) return qdi_file_error(err, errno, "open", out->path);
    /* dup2 keeps the number valid for a writer on another thread at this moment. */
    int rc = dup3(fd, out->fd, O_CLOEXEC) < 0 ? qdi_file_error(err, errno, "open", out->path) : 0;
    close(fd);
    return rc;
}

int qd_file_out_descriptor(const qd_file_out *out)
{
    return out ? out->fd : -1;
}

void qd_file_out_close(qd_file_out *out)
{
    if (!out) return;
    if (out->fd != STDOUT_FILENO && out->fd != STDERR_FILENO) close(out->fd);
    qd_free(out);
}

/* --- lock ---------------------------------------------------------------------------------- */

struct qd_file_lock {
    int fd;
};

static int lock_refused(int fd, const char *path, qd_err *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    qd_str pid = qd_str_trim((qd_str){text, n > 0 ? (size_t)n : 0});
    return qd_err_set(err, QD_E_LOCKED, "[%s] is held by the process with pid %.*s", path,
                      QD_STR_ARG(pid.n ? pid : qd_str_c("?")));
}

int qd_file_lock_take(const char *path, qd_file_lock **out, qd_err *err)
{
    qd_file_lock *lock = qd_calloc(NULL, sizeof *lock);
    if (!lock) return qd_err_nomem(err, "a lock");
    lock->fd = open_retry(path, O_RDWR | O_CREAT, 0600);
    int rc = 0;
    if (lock->fd < 0) {
        rc = qdi_file_error(err, errno, "open", path);
    } else {
        struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(lock->fd, F_OFD_SETLK, &fl) != 0) {
            rc = errno == EAGAIN || errno == EACCES ? lock_refused(lock->fd, path, err)
                                                    : qdi_file_error(err, errno, "lock", path);
        } else {
            char pid[32];
            int n = snprintf(pid, sizeof pid, "%lld\n", (long long)getpid());
            if (ftruncate(lock->fd, 0) != 0 || pwrite(lock->fd, pid, (size_t)n, 0) != n)
                rc = qdi_file_error(err, errno ? errno : EIO, "write", path);
        }
    }
    if (rc != 0) {
        if (lock->fd >= 0) close(lock->fd);
        qd_free(lock);
        return rc;
    }
    *out = lock;
    return 0;
}

void qd_file_lock_release(qd_file_lock *lock)
{
    if (!lock) return;
    close(lock->fd);
    qd_free(lock);
}
