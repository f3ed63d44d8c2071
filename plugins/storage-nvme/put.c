/*
 * put.c: writing objects and registers. Everything is written under a name in .tmp, synced, renamed
 * to its own name, and the folder synced.
 *
 * A stream begins in the page cache, where a small segment is about to be searched. From direct_min
 * bytes on (a large merge, which would push everything else out of the cache) the rest is written
 * with O_DIRECT from an aligned buffer; the last part of a block goes through the cache again.
 * Objects committed lazily keep their descriptor until sync_objects: only it is sure to be told of
 * a failed write-back.
 */
#include "nvme.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define DIRECT_BUFFER (1u << 20)
#define WRITE_BEHIND                                                                               \
    (8u << 20) /* handed to the disk early, so that the sync at the end is short                   \
                */

/* Through the cache at one time: a larger write gets larger pieces of memory, such as was not used
 * for long, and a virtual machine's host may have taken that away: two to four times the CPU. */
#define CACHED_WRITE 65536u

#define COPY_STEP (64 << 20) /* of a copy, between two looks at its deadline */

struct qd_storage_put {
    qd_storage *tier;
    int fd;
    int failed; /* errno of the first failed write */
    uint64_t len, behind;
    uint8_t *buf; /* of direct writes; NULL: through the cache */
    size_t have;
    uint32_t name_len;
    char name[256], tmp[40];
};

static qd_str put_name(const qd_storage_put *p)
{
    return (qd_str){p->name, p->name_len};
}

static void put_free(qd_storage_put *p)
{
    qd_storage *t = p->tier;
    if (p->fd >= 0) close(p->fd);
    t->plugin->mem->free(p->buf);
    t->plugin->mem->free(p);
    __atomic_sub_fetch(&t->open, 1, __ATOMIC_ACQ_REL);
}

/* A new file in .tmp. Negative: -errno. */
static int new_file(qd_storage *t, char tmp[40])
{
    nvme_tmp_name(t, tmp);
    int fd = openat(t->tmp, tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static int name_is_taken(qd_storage *t, qd_str name)
{
    char leaf[256];
    struct stat st;
    int folder = nvme_parent(t, name, 0, leaf);
    if (folder < 0) return 0;
    int there = fstatat(folder, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0;
    close(folder);
    return there;
}

static void go_direct(qd_storage_put *p)
{
    int flags = fcntl(p->fd, F_GETFL);
    if (p->buf || flags < 0 || p->len % BLOCK) return;
    uint8_t *buf = p->tier->plugin->mem->aligned(p->tier->plugin->self, BLOCK, DIRECT_BUFFER);
    if (!buf) return; /* the cache will do */
    if (fcntl(p->fd, F_SETFL, flags | O_DIRECT) != 0) {
        p->tier->plugin->mem->free(buf);
        p->tier->direct_min = UINT64_MAX; /* this file system cannot */
        return;
    }
    p->buf = buf;
}

int32_t nvme_put_begin(qd_storage *t, qd_str name, uint64_t size, qd_storage_put **out,
                       const qd_storage_call *call)
{
    int32_t rc = nvme_writable(t, name, call);
    if (rc) return rc;
    if (name_is_taken(t, name)) return nvme_errno(t, call, EEXIST, "creating", name);
    qd_storage_put *p = t->plugin->mem->calloc(t->plugin->self, sizeof *p);
    if (!p) return nvme_fail(t, call, QD_E_NOMEM, "out of memory: object being written");
    p->tier = t;
    p->name_len = (uint32_t)name.n;
    memcpy(p->name, name.p, name.n);
    __atomic_add_fetch(&t->open, 1, __ATOMIC_ACQ_REL);
    p->fd = new_file(t, p->tmp);
    if (p->fd < 0) {
        int number = -p->fd;
        put_free(p);
        return nvme_errno(t, call, number, "creating", name);
    }
    if (size >= t->direct_min) go_direct(p);
    *out = p;
    return 0;
}

static int flush_blocks(qd_storage_put *p)
{
    size_t whole = p->have / BLOCK * BLOCK;
    int number = nvme_write_all(p->fd, p->buf, whole);
    if (number) return number;
    memmove(p->buf, p->buf + whole, p->have - whole);
    p->have -= whole;
    return 0;
}

static int write_direct(qd_storage_put *p, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t k = DIRECT_BUFFER - p->have < len ? DIRECT_BUFFER - p->have : len;
        memcpy(p->buf + p->have, data, k);
        p->have += k;
        data += k;
        len -= k;
        int number = p->have == DIRECT_BUFFER ? flush_blocks(p) : 0;
        if (number) return number;
    }
    return 0;
}

static int write_slices(int fd, const uint8_t *data, size_t len)
{
    int number = 0;
    for (size_t n; len > 0 && !number; data += n, len -= n) {
        n = len < CACHED_WRITE ? len : CACHED_WRITE;
        number = nvme_write_all(fd, data, n);
    }
    return number;
}

static int write_cached(qd_storage_put *p, const uint8_t *data, size_t len)
{
    uint64_t upto = p->len + len;
    int number = 0;
    if (upto >= p->tier->direct_min && p->tier->direct_min != UINT64_MAX &&
        upto / BLOCK * BLOCK > p->len) {
        size_t first = (size_t)(upto / BLOCK * BLOCK - p->len); /* up to a block, then direct */
        number = write_slices(p->fd, data, first);
        if (number) return number;
        p->len += first;
        go_direct(p);
        number = p->buf ? write_direct(p, data + first, len - first)
                        : write_slices(p->fd, data + first, len - first);
        p->len -= first;
        return number;
    }
    number = write_slices(p->fd, data, len);
    if (!number && upto - p->behind >= WRITE_BEHIND) {
        (void)sync_file_range(p->fd, (off_t)p->behind, (off_t)(upto - p->behind),
                              SYNC_FILE_RANGE_WRITE);
        p->behind = upto;
    }
    return number;
}

int32_t nvme_put_write(qd_storage_put *p, const void *data, size_t len, const qd_storage_call *call)
{
    if (p->failed) return nvme_errno(p->tier, call, p->failed, "writing", put_name(p));
    int32_t rc = nvme_go_on(p->tier, call);
    if (rc) return rc;
    int number = nvme_point(p->tier, "storage.write");
    if (!number) number = p->buf ? write_direct(p, data, len) : write_cached(p, data, len);
    if (number) {
        p->failed = number;
        return nvme_errno(p->tier, call, number, "writing", put_name(p));
    }
    p->len += len;
    return 0;
}

/* What is left of a block goes through the cache. */
static int finish_direct(qd_storage_put *p)
{
    if (!p->buf) return 0;
    int number = flush_blocks(p);
    int flags = fcntl(p->fd, F_GETFL);
    if (!number && (flags < 0 || fcntl(p->fd, F_SETFL, flags & ~O_DIRECT) != 0)) number = errno;
    return number ? number : nvme_write_all(p->fd, p->buf, p->have);
}

/* Gives a file of .tmp its name; replace: also over an older one. 0 or errno. */
static int give_name(qd_storage *t, const char *tmp, qd_str name, int replace)
{
    char leaf[256];
    nvme_touch(t, nvme_folder_of(name));
    int folder = nvme_parent(t, name, 1, leaf);
    if (folder < 0) return -folder;
    int number = 0;
    if (replace) {
        if (renameat(t->tmp, tmp, folder, leaf) != 0) number = errno;
    } else if (syscall(SYS_renameat2, t->tmp, tmp, folder, leaf, RENAME_NOREPLACE) != 0) {
        number = errno;
        if (number == EINVAL || number == ENOSYS) { /* file systems without it have links */
            number = linkat(t->tmp, tmp, folder, leaf, 0) == 0 ? 0 : errno;
            if (!number && unlinkat(t->tmp, tmp, 0) != 0) number = errno;
        }
    }
    close(folder);
    return number;
}

static int take_name_back(qd_storage *t, qd_str name)
{
    char leaf[256];
    int folder = nvme_parent(t, name, 0, leaf);
    if (folder < 0) return -folder;
    int number = unlinkat(folder, leaf, 0) == 0 ? 0 : errno;
    close(folder);
    return number;
}

static int keep_lazily(qd_storage *t, qd_storage_put *p)
{
    nvme_name *x = t->plugin->mem->calloc(t->plugin->self, sizeof *x);
    if (!x) return ENOMEM;
    memcpy(x->text, p->name, p->name_len);
    x->len = p->name_len;
    x->fd = p->fd;
    p->fd = -1;
    pthread_mutex_lock(&t->lock);
    x->next = t->lazy;
    t->lazy = x;
    pthread_mutex_unlock(&t->lock);
    return 0;
}

int32_t nvme_put_commit(qd_storage_put *p, uint32_t flags, const qd_storage_sum *sum,
                        const qd_storage_call *call)
{
    qd_storage *t = p->tier;
    qd_str name = put_name(p);
    int32_t stop = nvme_go_on(t, call);
    (void)sum; /* no flag CHECKSUM: nothing lies between the host and the file */
    if (stop == QD_E_TIMEOUT) return stop;
    if (stop) {
        nvme_put_abort(p);
        return stop;
    }
    int lazy = flags & QD_STORAGE_COMMIT_LAZY, named = 0;
    int number = p->failed ? p->failed : finish_direct(p);
    if (!number && !lazy) number = nvme_sync_fd(t, p->fd);
    if (!number) {
        number = give_name(t, p->tmp, name, 0);
        named = !number;
    }
    if (!number && lazy) number = keep_lazily(t, p);
    if (!number && !lazy) number = nvme_settle(t, name);
    if (!number && !lazy) number = nvme_sync_parent(t, name);
    if (number && named) (void)take_name_back(t, name);
    if (number && !named) (void)unlinkat(t->tmp, p->tmp, 0);
    if (number) nvme_errno(t, call, number, "committing", name);
    int32_t rc = number ? nvme_errno(t, NULL, number, "", name) : 0;
    put_free(p);
    return rc;
}

void nvme_put_abort(qd_storage_put *p)
{
    (void)unlinkat(p->tier->tmp, p->tmp, 0);
    put_free(p);
}

/* Gives a new register a time that no earlier one of this process had: it is part of the tag. */
static int stamp(qd_storage *t, int fd, struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    pthread_mutex_lock(&t->lock);
    if (ns <= t->published_ns) ns = t->published_ns + 1;
    t->published_ns = ns;
    pthread_mutex_unlock(&t->lock);
    const struct timespec both[2] = {{.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000},
                                     {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};
    return futimens(fd, both) == 0 && fstat(fd, st) == 0 ? 0 : errno;
}

static int32_t publish_now(qd_storage *t, qd_str name, const void *data, size_t len, char *tag,
                           const qd_storage_call *call)
{
    char tmp[40];
    struct stat st = {0};
    int number = 0;
    for (int again = 0; again < 2; again++) {
        int fd = new_file(t, tmp);
        number = fd < 0 ? -fd : 0;
        if (!number) number = nvme_point(t, "storage.write");
        if (!number) number = nvme_write_all(fd, data, len);
        if (!number) number = stamp(t, fd, &st);
        if (!number) number = nvme_sync_fd(t, fd);
        if (fd >= 0) close(fd);
        if (!number) number = give_name(t, tmp, name, 1);
        if (number && fd >= 0) (void)unlinkat(t->tmp, tmp, 0);
        /* Deleting an index and shutting down must work on a full disk. */
        if (number != ENOSPC || !nvme_reserve_spend(t)) break;
    }
    if (!number) number = nvme_settle(t, name);
    if (!number) number = nvme_sync_parent(t, name);
    if (number) return nvme_errno(t, call, number, "publishing", name);
    if (tag) nvme_tag(&st, tag);
    return 0;
}

int32_t nvme_publish(qd_storage *t, qd_str name, const void *data, size_t len, char *tag,
                     const qd_storage_call *call)
{
    int32_t rc = nvme_writable(t, name, call);
    if (rc) return rc;
    pthread_rwlock_rdlock(&t->publishing);
    rc = publish_now(t, name, data, len, tag, call);
    pthread_rwlock_unlock(&t->publishing);
    return rc;
}

/* The tag of what has the name, empty when nothing has. 0 or errno. */
static int tag_now(qd_storage *t, qd_str name, char tag[QD_STORAGE_TAG])
{
    char leaf[256];
    struct stat st;
    tag[0] = 0;
    int folder = nvme_parent(t, name, 0, leaf), number = folder < 0 ? -folder : 0;
    if (!number && fstatat(folder, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) number = errno;
    if (folder >= 0) close(folder);
    if (!number) nvme_tag(&st, tag);
    return number == ENOENT || number == ENOTDIR ? 0 : number;
}

int32_t nvme_publish_if(qd_storage *t, qd_str name, const void *data, size_t len, qd_str expected,
                        char *tag, const qd_storage_call *call)
{
    char now[QD_STORAGE_TAG];
    int32_t rc = nvme_writable(t, name, call);
    if (rc) return rc;
    pthread_rwlock_wrlock(&t->publishing);
    int number = tag_now(t, name, now);
    if (number) {
        rc = nvme_errno(t, call, number, "publishing", name);
    } else if (!qd_plug_is(expected, now)) {
        rc = nvme_fail(t, call, QD_E_CONFLICT,
                       "publishing \"%.*s\": its tag is \"%s\", not \"%.*s\"", (int)name.n, name.p,
                       now, (int)expected.n, expected.p);
    } else {
        rc = publish_now(t, name, data, len, tag, call);
    }
    pthread_rwlock_unlock(&t->publishing);
    return rc;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* By sharing blocks where the file system can, else inside the kernel. 0 or errno. */
static int copy_bytes(qd_storage *t, int from, int to, const qd_storage_call *call, int32_t *stop)
{
    struct stat st;
    if (ioctl(to, FICLONE, from) == 0) return 0;
    if (fstat(from, &st) != 0) return errno;
    for (off_t at = 0; at < st.st_size;) {
        size_t n = st.st_size - at < COPY_STEP ? (size_t)(st.st_size - at) : COPY_STEP;
        if ((*stop = nvme_go_on(t, call))) return 0;
        ssize_t k = copy_file_range(from, NULL, to, NULL, n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) k = sendfile(to, from, NULL, n); /* file systems that differ, older kernels */
        if (k < 0) return errno;
        if (k == 0) return EIO; /* it was cut meanwhile: objects never are */
        at += k;
    }
    return 0;
}

int32_t nvme_copy(qd_storage *t, qd_str from, qd_str to, const qd_storage_call *call)
{
    char tmp[40];
    int32_t rc = nvme_name_check(t, from, call);
    if (!rc) rc = nvme_writable(t, to, call);
    if (rc) return rc;
    if (name_is_taken(t, to)) return nvme_errno(t, call, EEXIST, "copying to", to);
    int source = nvme_open(t, from, O_RDONLY), named = 0;
    if (source < 0) return nvme_errno(t, call, -source, "copying", from);
    int target = new_file(t, tmp), number = target < 0 ? -target : 0;
    if (!number) number = copy_bytes(t, source, target, call, &rc);
    if (!number && !rc) number = nvme_sync_fd(t, target);
    if (!number && !rc) {
        number = give_name(t, tmp, to, 0);
        named = !number;
    }
    if (!number && !rc) number = nvme_settle(t, to);
    if (!number && !rc) number = nvme_sync_parent(t, to);
    if (number && named) (void)take_name_back(t, to);
    if ((number || rc) && !named && target >= 0) (void)unlinkat(t->tmp, tmp, 0);
    if (target >= 0) close(target);
    close(source);
    return rc ? rc : number ? nvme_errno(t, call, number, "copying to", to) : 0;
}
/* ---- lazily committed objects ---------------------------------------------------------------- */

int nvme_lazy_take(qd_storage *t, qd_str name)
{
    int fd = -1;
    pthread_mutex_lock(&t->lock);
    for (nvme_name **at = &t->lazy; *at; at = &(*at)->next) {
        nvme_name *x = *at;
        if (x->len != name.n || memcmp(x->text, name.p, name.n) != 0) continue;
        fd = x->fd;
        *at = x->next;
        t->plugin->mem->free(x);
        break;
    }
    pthread_mutex_unlock(&t->lock);
    return fd;
}

void nvme_lazy_drop(qd_storage *t, qd_str folder)
{
    pthread_mutex_lock(&t->lock);
    for (nvme_name **at = &t->lazy; *at;) {
        nvme_name *x = *at;
        int below = x->len > folder.n && memcmp(x->text, folder.p, folder.n) == 0 &&
                    (folder.n == 0 || x->text[folder.n] == '/');
        if (below) {
            *at = x->next;
            close(x->fd);
            t->plugin->mem->free(x);
        } else {
            at = &x->next;
        }
    }
    pthread_mutex_unlock(&t->lock);
}

/* One object's bytes. 0 or errno. */
static int sync_bytes(qd_storage *t, qd_str name)
{
    int fd = nvme_lazy_take(t, name), number = 0;
    if (fd < 0) { /* committed by an earlier process, or synced before */
        fd = nvme_open(t, name, O_RDONLY);
        number = fd < 0 ? -fd : 0;
    }
    if (!number && !nvme_found(t, name, 1)) number = nvme_sync_fd(t, fd);
    if (fd >= 0) close(fd);
    return number;
}

int32_t nvme_sync_objects(qd_storage *t, const qd_str *names, size_t n, const qd_storage_call *call)
{
    for (size_t i = 0; i < n; i++) {
        int32_t rc = nvme_writable(t, names[i], call);
        if (rc) return rc;
    }
    for (size_t i = 0; i < n; i++) {
        int number = sync_bytes(t, names[i]);
        if (number) return nvme_errno(t, call, number, "syncing", names[i]);
    }
    for (size_t i = 0; i < n; i++) {
        qd_str folder = nvme_folder_of(names[i]);
        size_t k = 0;
        while (k < i) {
            qd_str other = nvme_folder_of(names[k]);
            if (other.n == folder.n && (folder.n == 0 || memcmp(other.p, folder.p, folder.n) == 0))
                break;
            k++;
        }
        if (k < i || nvme_found(t, names[i], 1)) continue;
        int number = nvme_settle(t, names[i]);
        if (!number) number = nvme_sync_parent(t, names[i]);
        if (number) return nvme_errno(t, call, number, "syncing the folder of", names[i]);
    }
    return 0;
}
