/*
 * list.c: pages of names. A page walks the folders depth first in byte order of the whole names,
 * and passes over what the cursor has behind it: a folder that ends before it is not opened.
 */
#include "nvme.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* One entry of a folder; folders sort as if '/' stood behind their name, which gives byte order of
 * the whole names when they are walked depth first. */
typedef struct item {
    char *name;
    size_t len;
    int folder;
} item;

typedef struct items {
    item *at;
    size_t n, cap;
} items;

typedef struct lister {
    qd_storage *t;
    qd_storage_list *list;
    const qd_storage_call *call;
    int full;
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

static int compare(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int begins(qd_str s, qd_str with)
{
    return s.n >= with.n && (with.n == 0 || memcmp(s.p, with.p, with.n) == 0);
}

static void items_free(qd_storage *t, items *v)
{
    for (size_t i = 0; i < v->n; i++) t->plugin->mem->free(v->at[i].name);
    t->plugin->mem->free(v->at);
}

static int add_item(qd_storage *t, items *v, const char *name, int folder)
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
    v->at[v->n++] = (item){copy, len, folder};
    return 0;
}

/* Has the cursor passed path ("a/b", or "a/b/" of a folder) and, of a folder, all that is in it? */
static int passed(const lister *l, qd_str path, int folder)
{
    qd_str after = l->list->start_after;
    if (after.n == 0 || compare(path, after) > 0) return 0;
    return !folder || (l->list->flags & QD_STORAGE_LIST_FOLDERS) || !begins(after, path);
}

/* Does the entry begin with, or lead to, the prefix, and is it before us? */
static int wanted(const lister *l, const char *path, size_t path_len, const char *name, int folder)
{
    char whole[600];
    size_t n = strlen(name);
    qd_str prefix = l->list->prefix;
    if (path_len + n + 1 >= 256) return 0; /* no name of ours */
    memcpy(whole, path, path_len);
    memcpy(whole + path_len, name, n);
    whole[path_len + n] = '/';
    qd_str all = {whole, path_len + n + (folder ? 1 : 0)};
    if (!begins(all, prefix) && !(folder && begins(prefix, all))) return 0;
    return !passed(l, all, folder);
}

/* Reads a folder (and closes it). 0 or errno. */
static int read_folder(const lister *l, int fd, const char *path, size_t path_len, items *v)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int number = errno;
        close(fd);
        return number;
    }
    int number = 0;
    for (struct dirent *e; !number && (errno = 0, e = readdir(d));) {
        struct stat st;
        if (e->d_name[0] == '.') continue; /* ours, and no name begins so */
        int folder = e->d_type == DT_DIR;
        if (e->d_type == DT_UNKNOWN) {
            if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue; /* removed */
            folder = S_ISDIR(st.st_mode);
        }
        if (wanted(l, path, path_len, e->d_name, folder && is_name(e->d_name)))
            number = add_item(l->t, v, e->d_name, folder);
    }
    if (!number) number = errno;
    closedir(d);
    return number;
}

static qd_storage_stat *next_entry(lister *l, const char *path, size_t len)
{
    qd_storage_list *list = l->list;
    if (list->nentries == list->limit) {
        l->full = 1;
        list->more = 1;
        return NULL;
    }
    char *name = list->names + (size_t)list->nentries * 256;
    memcpy(name, path, len);
    qd_storage_stat *e = &list->entries[list->nentries++];
    *e = (qd_storage_stat){.name = {name, len}};
    return e;
}

/* Is there any name below the folder? Removals leave empty ones. */
static int holds_any(int at, const char *name, int depth)
{
    int found = 0, fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0) close(fd);
        return 0;
    }
    for (struct dirent *e; !found && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        found = e->d_type != DT_DIR || depth > 128 || holds_any(fd, e->d_name, depth + 1);
    }
    closedir(d);
    return found;
}

static int32_t add_file(lister *l, int fd, const item *x, const char *path, size_t len)
{
    struct stat st;
    int32_t rc = nvme_go_on(l->t, l->call);
    if (rc) return rc;
    if (fstatat(fd, x->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return 0; /* removed meanwhile */
        return nvme_errno(l->t, l->call, errno, "listing", l->list->prefix);
    }
    qd_storage_stat *e = next_entry(l, path, len);
    if (!e) return 0;
    int ours = S_ISREG(st.st_mode) && is_name(x->name);
    e->size = (uint64_t)st.st_size;
    e->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    e->type = ours ? QD_STORAGE_OBJECT : QD_STORAGE_UNKNOWN;
    if (ours) nvme_tag(&st, e->tag);
    return 0;
}

static int32_t walk(lister *l, int fd, char *path, size_t path_len);

/* path is that of the folder, its '/' included. */
static int32_t add_folder(lister *l, int fd, const item *x, char *path, size_t len)
{
    if ((l->list->flags & QD_STORAGE_LIST_FOLDERS) && len > l->list->prefix.n) {
        qd_storage_stat *e = holds_any(fd, x->name, 0) ? next_entry(l, path, len) : NULL;
        if (e) e->type = QD_STORAGE_FOLDER;
        return 0;
    }
    int next = openat(fd, x->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && errno == ENOENT) return 0;
    if (next < 0) return nvme_errno(l->t, l->call, errno, "listing", l->list->prefix);
    int32_t rc = walk(l, next, path, len);
    close(next);
    return rc;
}

/* Depth first; path has room for 256 bytes, which bounds the depth. */
static int32_t walk(lister *l, int fd, char *path, size_t path_len)
{
    items v = {0};
    int32_t rc = nvme_go_on(l->t, l->call);
    int number = rc ? 0 : read_folder(l, dup(fd), path, path_len, &v);
    if (number) rc = nvme_errno(l->t, l->call, number, "listing", l->list->prefix);
    if (!rc && v.n > 1) qsort(v.at, v.n, sizeof *v.at, by_name);
    for (size_t i = 0; !rc && !l->full && i < v.n; i++) {
        const item *x = &v.at[i];
        size_t len = path_len + x->len;
        memcpy(path + path_len, x->name, x->len);
        if (x->folder && is_name(x->name)) {
            path[len] = '/';
            rc = add_folder(l, fd, x, path, len + 1);
        } else {
            rc = add_file(l, fd, x, path, len);
        }
    }
    items_free(l->t, &v);
    return rc;
}

int32_t nvme_list(qd_storage *t, qd_storage_list *list, const qd_storage_call *call)
{
    /* Begin at the deepest folder that the prefix names. */
    qd_str folder = nvme_folder_of(list->prefix);
    int32_t rc = folder.n > 0 ? nvme_name_check(t, folder, call) : nvme_go_on(t, call);
    if (rc) return rc;
    if (list->limit == 0 || list->limit > QD_STORAGE_NAMES_MAX) {
        return nvme_fail(t, call, QD_E_ARG, "one page has 1 to %u names, not %u",
                         QD_STORAGE_NAMES_MAX, list->limit);
    }
    list->nentries = list->more = 0;
    char path[512];
    lister l = {t, list, call, 0};
    int fd = nvme_folder(t, folder, 0);
    if (fd == -ENOENT || fd == -ENOTDIR) return 0;
    if (fd < 0) return nvme_errno(t, call, -fd, "listing", list->prefix);
    size_t n = folder.n ? folder.n + 1 : 0;
    if (n) memcpy(path, list->prefix.p, n);
    rc = walk(&l, fd, path, n);
    close(fd);
    return rc;
}
