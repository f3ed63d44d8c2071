/* names.c: lists, removal and renaming. */
#include "nvme.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One entry of a folder; folders sort as if '/' stood behind their name, which gives byte order of
 * the whole names when they are walked depth first. */
typedef struct item {
    char *name;
    size_t len;
    uint64_t size;
    int64_t mtime_ns;
    int folder, known;
} item;

typedef struct items {
    item *at;
    size_t n, cap;
} items;

typedef struct lister {
    qd_storage *t;
    qd_str prefix;
    int32_t (*each)(void *, const qd_storage_stat *);
    void *arg;
    qd_err *err;
} lister;

static int key_char(const item *x, size_t i)
{
    if (i < x->len) return (unsigned char)x->name[i];
    return x->folder && i == x->len ? '/' : -1;
}

static int by_name(const void *a, const void *b)
{
    const item *x = a, *y = b;
    for (size_t i = 0;; i++) {
        int p = key_char(x, i), q = key_char(y, i);
        if (p != q) return p < q ? -1 : 1;
        if (p < 0) return 0;
    }
}

static int is_name(const char *s)
{
    for (size_t i = 0; s[i]; i++) {
        char c = s[i];
        int good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '.' || c == '_' || c == '+' || c == '-';
        if (!good) return 0;
    }
    return 1;
}

static void items_free(qd_storage *t, items *v)
{
    for (size_t i = 0; i < v->n; i++) t->plugin->mem->free(v->at[i].name);
    t->plugin->mem->free(v->at);
}

static int add_item(qd_storage *t, items *v, const char *name, const struct stat *st)
{
    const qd_svc_mem *mem = t->plugin->mem;
    if (v->n == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 64;
        item *p = mem->realloc(t->plugin->self, v->at, cap * sizeof *p);
        if (!p) return ENOMEM;
        v->at = p;
        v->cap = cap;
    }
    size_t len = strlen(name);
    char *copy = mem->alloc(t->plugin->self, len + 1);
    if (!copy) return ENOMEM;
    memcpy(copy, name, len + 1);
    int folder = S_ISDIR(st->st_mode);
    v->at[v->n++] = (item){copy,
                           len,
                           (uint64_t)st->st_size,
                           (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                           folder,
                           (folder || S_ISREG(st->st_mode)) && is_name(name)};
    return 0;
}

/* Reads a folder (and closes it): what may begin with, or lead to, the prefix. */
static int read_folder(lister *l, int fd, const char *path, size_t path_len, items *v)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int number = errno;
        close(fd);
        return number;
    }
    int number = 0;
    for (struct dirent *e; !number && (errno = 0, e = readdir(d));) {
        size_t n = strlen(e->d_name);
        struct stat st;
        if (e->d_name[0] == '.') continue; /* ours, and no name begins so */
        size_t all = path_len + n, cmp = l->prefix.n < path_len ? 0 : l->prefix.n - path_len;
        if (cmp > n) cmp = n;
        if (cmp && memcmp(e->d_name, l->prefix.p + path_len, cmp) != 0) continue;
        st = (struct stat){.st_mode = S_IFDIR};
        if (e->d_type != DT_DIR && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue; /* removed meanwhile */
            number = errno;
            break;
        }
        if (all < l->prefix.n && !S_ISDIR(st.st_mode)) continue;
        if (all < l->prefix.n && l->prefix.p[all] != '/') continue;
        number = add_item(l->t, v, e->d_name, &st);
    }
    (void)path;
    closedir(d);
    return number;
}

/* Depth first; path has room for 256 bytes, which bounds the depth. */
static int32_t walk(lister *l, int fd, char *path, size_t path_len)
{
    items v = {0};
    int number = read_folder(l, dup(fd), path, path_len, &v);
    int32_t rc = number ? nvme_errno(l->t, l->err, number, "listing", l->prefix) : 0;
    if (!rc && v.n > 1) qsort(v.at, v.n, sizeof *v.at, by_name);
    for (size_t i = 0; !rc && i < v.n; i++) {
        const item *x = &v.at[i];
        if (path_len + x->len + 1 >= 256) continue; /* no name of ours */
        memcpy(path + path_len, x->name, x->len);
        size_t len = path_len + x->len;
        if (x->folder && x->known) {
            path[len] = '/';
            int next = openat(fd, x->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next < 0 && errno == ENOENT) continue;
            rc = next < 0 ? nvme_errno(l->t, l->err, errno, "listing", l->prefix)
                          : walk(l, next, path, len + 1);
            if (next >= 0) close(next);
            continue;
        }
        qd_storage_stat st = {.name = {path, len},
                              .size = x->size,
                              .mtime_ns = x->mtime_ns,
                              .type = x->known ? QD_STORAGE_OBJECT : QD_STORAGE_UNKNOWN};
        rc = l->each(l->arg, &st);
    }
    items_free(l->t, &v);
    return rc;
}

int32_t nvme_list(qd_storage *t, qd_str prefix, int32_t (*each)(void *, const qd_storage_stat *),
                  void *arg, qd_err *err)
{
    /* Begin at the deepest folder that the prefix names. */
    qd_str folder = nvme_folder_of(prefix);
    if (folder.n > 0) {
        int32_t rc = nvme_name_check(t, folder, err);
        if (rc) return rc;
    }
    char path[512];
    lister l = {t, prefix, each, arg, err};
    int fd = nvme_folder(t, folder, 0);
    if (fd == -ENOENT || fd == -ENOTDIR) return 0;
    if (fd < 0) return nvme_errno(t, err, -fd, "listing", prefix);
    size_t n = folder.n ? folder.n + 1 : 0;
    if (n) memcpy(path, prefix.p, n);
    int32_t rc = walk(&l, fd, path, n);
    close(fd);
    return rc;
}

int32_t nvme_stat(qd_storage *t, qd_str name, qd_storage_stat *out, qd_err *err)
{
    int32_t rc = nvme_name_check(t, name, err);
    if (rc) return rc;
    char leaf[256];
    struct stat st;
    int folder = nvme_parent(t, name, 0, leaf), number = folder < 0 ? -folder : 0;
    if (!number && fstatat(folder, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) number = errno;
    if (folder >= 0) close(folder);
    if (!number && !S_ISREG(st.st_mode)) number = ENOENT;
    if (number) return nvme_errno(t, err, number, "looking for", name);
    *out =
        (qd_storage_stat){.name = name,
                          .size = (uint64_t)st.st_size,
                          .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                          .type = QD_STORAGE_OBJECT};
    return 0;
}

int32_t nvme_remove(qd_storage *t, qd_str name, qd_err *err)
{
    int32_t rc = nvme_writable(t, name, err);
    if (rc) return rc;
    char leaf[256];
    int folder = nvme_parent(t, name, 0, leaf), number = folder < 0 ? -folder : 0;
    if (!number) number = nvme_point(t, "storage.remove");
    if (!number && unlinkat(folder, leaf, 0) != 0) number = errno == EISDIR ? ENOENT : errno;
    if (folder >= 0) close(folder);
    if (number) return nvme_errno(t, err, number, "removing", name);
    int fd = nvme_lazy_take(t, name);
    if (fd >= 0) close(fd);
    return 0;
}

/* The folder moves into .tmp as a whole, so that a crash leaves all of it or nothing; what is in
 * .tmp goes now, or when the tier is opened next. */
int32_t nvme_remove_tree(qd_storage *t, qd_str folder, qd_err *err)
{
    int32_t rc = nvme_writable(t, folder, err);
    if (rc) return rc;
    char leaf[256], tmp[40];
    int parent = nvme_parent(t, folder, 0, leaf), number = parent < 0 ? -parent : 0;
    if (number == ENOENT || number == ENOTDIR) return 0;
    nvme_tmp_name(t, tmp);
    if (!number) number = nvme_point(t, "storage.remove");
    if (!number && renameat(parent, leaf, t->tmp, tmp) != 0) number = errno;
    int gone = number == 0;
    nvme_unsettle(t, folder);
    if (number == ENOENT)
        number = 0; /* the parent is synced all the same: an earlier try may
                       have failed there */
    if (!number) number = nvme_sync_fd(t, parent);
    if (parent >= 0) close(parent);
    if (number) return nvme_errno(t, err, number, "removing folder", folder);
    if (!gone) return 0;
    nvme_lazy_drop(t, folder);
    int fd = openat(t->tmp, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        number = nvme_empty(fd, 0);
        if (!number && unlinkat(t->tmp, tmp, AT_REMOVEDIR) != 0) number = errno;
    } else {
        number = unlinkat(t->tmp, tmp, 0) == 0 ? 0 : errno; /* it was a file */
    }
    if (number) {
        qd_plug_log(t->plugin->log, t->plugin->self, QD_LEVEL_WARN,
                    "removing folder %.*s: some of it is left in .tmp: %s", (int)folder.n, folder.p,
                    strerror(number));
    }
    return 0;
}

int32_t nvme_rename(qd_storage *t, qd_str from, qd_str to, qd_err *err)
{
    int32_t rc = nvme_writable(t, from, err);
    if (!rc) rc = nvme_writable(t, to, err);
    if (rc) return rc;
    char from_leaf[256], to_leaf[256];
    struct stat st;
    int source = nvme_parent(t, from, 0, from_leaf), target = -1;
    int number = source < 0 ? -source : 0;
    if (!number && fstatat(source, from_leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) number = errno;
    if (!number && !S_ISREG(st.st_mode)) number = ENOENT;
    if (!number) {
        nvme_touch(t, nvme_folder_of(to));
        target = nvme_parent(t, to, 1, to_leaf);
        number = target < 0 ? -target : 0;
    }
    if (!number && syscall(SYS_renameat2, source, from_leaf, target, to_leaf, RENAME_NOREPLACE)) {
        number = errno;
        if (number == EINVAL || number == ENOSYS) {
            number = linkat(source, from_leaf, target, to_leaf, 0) == 0 ? 0 : errno;
            if (!number && unlinkat(source, from_leaf, 0) != 0) number = errno;
        }
    }
    if (!number) number = nvme_settle(t, to);
    if (!number) number = nvme_sync_fd(t, target);
    if (!number) number = nvme_sync_fd(t, source);
    if (source >= 0) close(source);
    if (target >= 0) close(target);
    if (number) return nvme_errno(t, err, number, "renaming", from);
    int fd = nvme_lazy_take(t, from);
    if (fd >= 0) close(fd);
    return 0;
}

int32_t nvme_sync_dir(qd_storage *t, qd_str folder, qd_err *err)
{
    if (folder.n > 0) {
        int32_t rc = nvme_writable(t, folder, err);
        if (rc) return rc;
    }
    int fd = nvme_folder(t, folder, 0), number = 0;
    if (fd == -ENOENT) return 0; /* removed with all that was in it */
    if (fd < 0) number = -fd;
    if (!number) number = nvme_sync_fd(t, fd);
    if (fd >= 0) close(fd);
    return number ? nvme_errno(t, err, number, "syncing folder", folder) : 0;
}
