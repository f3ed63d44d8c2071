/*
 * path.c: walking below the root, folders and their durability, emptying folders.
 *
 * A new folder's name must be durable in its parent before anything in the folder is acknowledged.
 * The process that made it may have died before its fsync, so "it is there" proves nothing: the
 * first time a process commits below a folder, all parents are fsynced; a table remembers it.
 */
#include "nvme.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

qd_str nvme_folder_of(qd_str name)
{
    for (size_t i = name.n; i > 0; i--) {
        if (name.p[i - 1] == '/') return (qd_str){name.p, i - 1};
    }
    return (qd_str){"", 0};
}

/* One call in place of one for each part, as part by part refusing links; -ENOSYS where the kernel,
 * or a filter of system calls, lacks it. */
static int open_whole(qd_storage *t, qd_str name, int flags)
{
    char path[512];
    struct open_how how = {.flags = (uint64_t)flags,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    if (name.n >= sizeof path) return -ENAMETOOLONG;
    if (__atomic_load_n(&t->by_parts, __ATOMIC_RELAXED)) return -ENOSYS;
    memcpy(path, name.p, name.n);
    path[name.n] = 0;
    long fd = syscall(SYS_openat2, t->root, name.n ? path : ".", &how, sizeof how);
    if (fd >= 0) return (int)fd;
    if (errno != ENOSYS && errno != EPERM && errno != EAGAIN) return -errno;
    if (errno != EAGAIN) __atomic_store_n(&t->by_parts, 1, __ATOMIC_RELAXED);
    return -ENOSYS;
}

int nvme_open(qd_storage *t, qd_str name, int flags)
{
    int fd = open_whole(t, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (fd != -ENOSYS) return fd;
    char leaf[256];
    int folder = nvme_parent(t, name, 0, leaf);
    if (folder < 0) return folder;
    fd = openat(folder, leaf, flags | O_NOFOLLOW | O_CLOEXEC);
    int number = errno;
    close(folder);
    return fd < 0 ? -number : fd;
}

int nvme_folder(qd_storage *t, qd_str folder, int make)
{
    int whole = open_whole(t, folder, FOLDER);
    if (whole == -ELOOP) return -ENOTDIR; /* as of its parts */
    if (whole != -ENOSYS && !(whole == -ENOENT && make)) return whole;
    /* Not a dup of the root: that would share the position of whoever lists it. */
    int at = openat(t->root, ".", FOLDER);
    if (at < 0) return -errno;
    size_t i = 0;
    while (i < folder.n) {
        char part[256];
        size_t n = 0;
        while (i + n < folder.n && folder.p[i + n] != '/') n++;
        if (n == 0 || n >= sizeof part) {
            close(at);
            return -ENAMETOOLONG;
        }
        memcpy(part, folder.p + i, n);
        part[n] = 0;
        size_t above = i ? i - 1 : 0;
        i += n + 1;
        int next = openat(at, part, FOLDER), number = errno;
        if (next < 0 && number == ENOENT && make) {
            nvme_touch(t, (qd_str){folder.p, above});
            number = mkdirat(at, part, 0700) == 0 || errno == EEXIST ? 0 : errno;
            if (!number) {
                next = openat(at, part, FOLDER);
                number = errno;
            }
        }
        close(at);
        if (next < 0) return -number;
        at = next;
    }
    return at;
}

int nvme_parent(qd_storage *t, qd_str name, int make, char leaf[256])
{
    qd_str folder = nvme_folder_of(name);
    size_t skip = folder.n ? folder.n + 1 : 0;
    memcpy(leaf, name.p + skip, name.n - skip);
    leaf[name.n - skip] = 0;
    return nvme_folder(t, folder, make);
}

int nvme_sync_fd(qd_storage *t, int fd)
{
    int number = nvme_point(t, "storage.sync");
    if (number) return number;
    return fsync(fd) == 0 ? 0 : errno;
}

int nvme_sync_parent(qd_storage *t, qd_str name)
{
    int fd = nvme_folder(t, nvme_folder_of(name), 0);
    if (fd < 0) return -fd;
    int number = nvme_sync_fd(t, fd);
    close(fd);
    return number;
}

/* ---- folders whose names are durable ------------------------------------------------------------
 */

uint32_t nvme_chain(qd_str s)
{
    uint32_t h = 2166136261u; /* FNV-1a; the names are the host's own */
    for (size_t i = 0; i < s.n; i++) h = (h ^ (uint8_t)s.p[i]) * 16777619u;
    return h % NVME_FOLDERS;
}

static int is_settled(qd_storage *t, qd_str folder)
{
    int found = 0;
    pthread_mutex_lock(&t->lock);
    for (nvme_name *x = t->folders[nvme_chain(folder)]; x && !found; x = x->next) {
        found = x->len == folder.n && memcmp(x->text, folder.p, folder.n) == 0;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* Not remembered for want of memory: the next commit syncs again. */
static void remember(qd_storage *t, qd_str folder)
{
    nvme_name *x = t->plugin->mem->calloc(t->plugin->self, sizeof *x);
    if (!x) return;
    memcpy(x->text, folder.p, folder.n);
    x->len = (uint32_t)folder.n;
    uint32_t c = nvme_chain(folder);
    pthread_mutex_lock(&t->lock);
    x->next = t->folders[c];
    t->folders[c] = x;
    pthread_mutex_unlock(&t->lock);
}

int nvme_settle(qd_storage *t, qd_str name)
{
    qd_str folder = nvme_folder_of(name);
    if (folder.n == 0 || is_settled(t, folder)) return 0;
    for (size_t i = 1; i <= folder.n; i++) {
        if (i < folder.n && folder.p[i] != '/') continue;
        qd_str part = {folder.p, i};
        if (is_settled(t, part)) continue;
        int number = nvme_found(t, part, 0) ? 0 : nvme_sync_parent(t, part);
        if (number) return number;
        remember(t, part);
    }
    return 0;
}

void nvme_names_drop(qd_storage *t, nvme_name **table, qd_str folder)
{
    for (uint32_t c = 0; c < NVME_FOLDERS; c++) {
        for (nvme_name **at = &table[c]; *at;) {
            nvme_name *x = *at;
            int below = x->len >= folder.n && memcmp(x->text, folder.p, folder.n) == 0 &&
                        (folder.n == 0 || x->len == folder.n || x->text[folder.n] == '/');
            if (below) {
                *at = x->next;
                t->plugin->mem->free(x);
            } else {
                at = &x->next;
            }
        }
    }
}

void nvme_unsettle(qd_storage *t, qd_str folder)
{
    pthread_mutex_lock(&t->lock);
    nvme_names_drop(t, t->folders, folder);
    pthread_mutex_unlock(&t->lock);
}

/* ---- temporary names, emptying, writing ---------------------------------------------------------
 */

void nvme_tmp_name(qd_storage *t, char out[40])
{
    uint64_t n = __atomic_add_fetch(&t->serial, 1, __ATOMIC_RELAXED);
    snprintf(out, 40, "t-%016llx", (unsigned long long)n);
}

int nvme_empty(int fd, int depth)
{
    if (fd < 0) return errno;
    DIR *d = depth > 130 ? NULL : fdopendir(fd); /* names of 255 bytes have no more parts */
    if (!d) {
        int number = depth > 130 ? ELOOP : errno;
        close(fd);
        return number;
    }
    int number = 0;
    for (struct dirent *e; !number && (errno = 0, e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR && errno != EPERM) {
            number = errno;
            break;
        }
        number = nvme_empty(openat(fd, e->d_name, FOLDER), depth + 1);
        if (!number && unlinkat(fd, e->d_name, AT_REMOVEDIR) != 0) number = errno;
    }
    closedir(d);
    return number;
}

int nvme_write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return errno;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}
