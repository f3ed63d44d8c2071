/* disk_files.c: a folder of the file system. See disk.h. */
#include "disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef struct files {
    cr_disk disk; /* first */
    const cr_heap *heap;
    const char *path;
} files;
typedef struct file {
    cr_file file; /* first */
    int fd;
} file;

static _Thread_local int last_error;

static int32_t failed(void)
{
    last_error = errno;
    return errno == ENOENT                      ? QD_E_NOTFOUND
           : errno == ENOSPC || errno == EDQUOT ? QD_E_NOSPACE
                                                : QD_E_IO;
}

static void join(const cr_disk *d, const char *name, char out[4200])
{
    snprintf(out, 4200, "%s/%s", ((const files *)d)->path, name);
}

static int32_t files_list(cr_disk *d, void (*each)(void *arg, const char *name, uint64_t size),
                          void *arg)
{
    DIR *dir = opendir(((files *)d)->path);
    if (!dir) return failed();
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
            continue;
        each(arg, e->d_name, (uint64_t)st.st_size);
    }
    closedir(dir);
    return 0;
}

static int32_t files_open_as(cr_disk *d, const char *name, int flags, cr_file **out)
{
    char path[4200];
    join(d, name, path);
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return failed();
    file *f = cr_must(((files *)d)->heap, sizeof *f);
    *f = (file){{d}, fd};
    *out = &f->file;
    return 0;
}

static int32_t files_open(cr_disk *d, const char *name, cr_file **out)
{
    return files_open_as(d, name, O_RDWR, out);
}

static void files_close(cr_file *f)
{
    if (!f) return;
    (void)close(((file *)f)->fd); /* what matters was synced */
    cr_free(((files *)f->disk)->heap, f);
}

static int32_t files_create(cr_disk *d, const char *name, uint64_t size, cr_file **out)
{
    int32_t rc = files_open_as(d, name, O_RDWR | O_CREAT | O_TRUNC, out);
    if (rc || size == 0) return rc;
    do errno = posix_fallocate(((file *)*out)->fd, 0, (off_t)size);
    while (errno == EINTR);
    if (errno == 0) return 0;
    rc = failed();
    files_close(*out);
    *out = NULL;
    char path[4200];
    join(d, name, path);
    (void)unlink(path);
    return rc;
}

static int32_t files_read(cr_file *f, uint64_t at, void *p, size_t n, size_t *got)
{
    for (*got = 0; *got < n;) {
        ssize_t k = pread(((file *)f)->fd, (char *)p + *got, n - *got, (off_t)(at + *got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return failed();
        if (k == 0) break;
        *got += (size_t)k;
    }
    return 0;
}

static int32_t files_write(cr_file *f, uint64_t at, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(((file *)f)->fd, (const char *)p + done, n - done, (off_t)(at + done));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return failed();
        done += (size_t)k;
    }
    return 0;
}

static int32_t files_cut(cr_file *f, uint64_t size)
{
    return ftruncate(((file *)f)->fd, (off_t)size) ? failed() : 0;
}

static int32_t files_sync(cr_file *f)
{
    return fdatasync(((file *)f)->fd) ? failed() : 0;
}

static int32_t files_remove(cr_disk *d, const char *name)
{
    char path[4200];
    join(d, name, path);
    return unlink(path) ? failed() : 0;
}

static int32_t files_rename(cr_disk *d, const char *from, const char *to)
{
    char a[4200], b[4200];
    join(d, from, a);
    join(d, to, b);
    return rename(a, b) ? failed() : 0;
}

static int32_t files_sync_names(cr_disk *d)
{
    int fd = open(((files *)d)->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed();
    int32_t rc = fsync(fd) ? failed() : 0;
    close(fd);
    return rc;
}

static uint64_t files_room(cr_disk *d)
{
    struct statvfs v;
    return statvfs(((files *)d)->path, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

static void files_words(cr_disk *d, char *out, size_t n)
{
    (void)d;
    char words[128];
    snprintf(out, n, "%s", strerror_r(last_error, words, sizeof words));
}

cr_disk *cr_disk_files(const cr_heap *h, const char *path)
{
    files *d = cr_must(h, sizeof *d);
    *d = (files){.disk = {.list = files_list,
                          .open = files_open,
                          .create = files_create,
                          .close = files_close,
                          .read = files_read,
                          .write = files_write,
                          .cut = files_cut,
                          .sync = files_sync,
                          .remove = files_remove,
                          .rename = files_rename,
                          .sync_names = files_sync_names,
                          .room = files_room,
                          .words = files_words},
                 .heap = h,
                 .path = path};
    return &d->disk;
}

void cr_disk_files_free(cr_disk *d)
{
    if (d) cr_free(((files *)d)->heap, d);
}
