/*
 * log.c: append-only logs. A log is a plain file whose size is the end of its bytes: blocks ahead
 * of the end are preallocated without changing the size, so nothing has to be searched at
 * reopening.
 *
 * Appends that fail are cut back to the end before, and the cut is synced before the next append
 * may succeed. Syncs of many threads are served by one fdatasync: the first becomes the leader, the
 * others wait for what covers them. A failed sync is final.
 */
#include "nvme.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct qd_storage_log {
    qd_storage *tier;
    int fd;
    int dead; /* errno of what killed it */
    uint64_t end, ahead, synced;
    uint32_t syncing, touched;
    pthread_mutex_t lock;
    pthread_cond_t done;
    uint32_t name_len;
    char name[256];
};

static qd_str log_name(const qd_storage_log *l)
{
    return (qd_str){l->name, l->name_len};
}

/* Opens or makes the file; number gets the errno. */
static int open_log(qd_storage *t, qd_str name, uint32_t flags, int *made, int *number)
{
    char leaf[256];
    int create = flags & QD_STORAGE_LOG_CREATE;
    int base = (t->read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC;
    int fd = create ? -1 : nvme_open(t, name, base);
    *number = fd < 0 ? -fd : 0;
    if (!create) return fd;
    int folder = nvme_parent(t, name, create, leaf);
    *number = folder < 0 ? -folder : 0;
    if (folder < 0) return -1;
    nvme_touch(t, nvme_folder_of(name));
    fd = openat(folder, leaf, base | O_CREAT | O_EXCL, 0600);
    *made = fd >= 0;
    *number = fd < 0 ? errno : 0;
    if (fd < 0 && *number == EEXIST && !(flags & QD_STORAGE_LOG_EXCL)) {
        fd = openat(folder, leaf, base);
        *number = fd < 0 ? errno : 0;
    }
    close(folder);
    return fd;
}

int32_t nvme_log_open(qd_storage *t, qd_str name, uint32_t flags, qd_storage_log **out,
                      uint64_t *end, const qd_storage_call *call)
{
    int32_t rc = flags & QD_STORAGE_LOG_CREATE ? nvme_writable(t, name, call)
                                               : nvme_name_check(t, name, call);
    if (rc) return rc;
    int number = 0, made = 0;
    struct stat st = {0};
    int fd = open_log(t, name, flags, &made, &number);
    if (fd < 0) return nvme_errno(t, call, number, "opening log", name);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) number = S_ISDIR(st.st_mode) ? EISDIR : EIO;
    if (!number && made) number = nvme_sync_fd(t, fd);
    /* Also when it was there: the process that made it may have died before its folder's sync. */
    int found = !number && !made && !t->read_only && nvme_found(t, name, 1);
    if (!number && !found && !t->read_only) number = nvme_settle(t, name);
    if (!number && !found && !t->read_only) number = nvme_sync_parent(t, name);
    qd_storage_log *l = number ? NULL : t->plugin->mem->calloc(t->plugin->self, sizeof *l);
    if (!l) {
        if (made) {
            char leaf[256];
            int folder = nvme_parent(t, name, 0, leaf);
            if (folder >= 0) {
                (void)unlinkat(folder, leaf, 0);
                close(folder);
            }
        }
        close(fd);
        return nvme_errno(t, call, number ? number : ENOMEM, "opening log", name);
    }
    l->tier = t;
    l->fd = fd;
    l->end = l->ahead = (uint64_t)st.st_size;
    if (found) l->synced = l->end;
    l->name_len = (uint32_t)name.n;
    memcpy(l->name, name.p, name.n);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->done, NULL);
    __atomic_add_fetch(&t->open, 1, __ATOMIC_ACQ_REL);
    *end = l->end;
    *out = l;
    return 0;
}

static int32_t dead(qd_storage_log *l, const qd_storage_call *call)
{
    int number = __atomic_load_n(&l->dead, __ATOMIC_ACQUIRE);
    if (!number) return nvme_go_on(l->tier, call);
    return nvme_fail(l->tier, call, QD_E_IO, "log \"%s\": an earlier write or sync failed",
                     l->name);
}

static void kill_log(qd_storage_log *l, int number)
{
    __atomic_store_n(&l->dead, number, __ATOMIC_RELEASE);
}

/* One sync of the file at a time: the system tells an error of writing back to one caller only, so
 * that of two at once the other one would believe in bytes that are lost. Called with the lock,
 * which it gives up meanwhile. */
static void take_turn(qd_storage_log *l)
{
    while (l->syncing) pthread_cond_wait(&l->done, &l->lock);
    l->syncing = 1;
}

static void end_turn(qd_storage_log *l)
{
    l->syncing = 0;
    pthread_cond_broadcast(&l->done);
}

/* Back to the end before, after an append failed with number; synced, so that no crash brings half
 * a record back under a later append. What to tell: number, or why the log is at its end. */
static int cut_back(qd_storage_log *l, int number)
{
    pthread_mutex_lock(&l->lock);
    take_turn(l);
    pthread_mutex_unlock(&l->lock);
    int cut = ftruncate(l->fd, (off_t)l->end) == 0 && fdatasync(l->fd) == 0 ? 0 : errno;
    l->ahead = l->end;
    pthread_mutex_lock(&l->lock);
    if (cut || (number != ENOSPC && number != EDQUOT)) kill_log(l, cut ? cut : number);
    end_turn(l);
    pthread_mutex_unlock(&l->lock);
    if (!cut) return number;
    return cut == ENOSPC ? EIO : cut;
}

/* Blocks ahead of the end, doubling up to 16 chunks. Failing costs only speed. */
static void preallocate(qd_storage_log *l, uint64_t upto)
{
    uint64_t chunk = l->tier->log_chunk;
    if (chunk == 0 || upto <= l->ahead) return;
    uint64_t want = l->end / 2 < chunk ? chunk : l->end / 2 > 16 * chunk ? 16 * chunk : l->end / 2;
    uint64_t to = (upto + want + 4095) / 4096 * 4096;
    int rc;
    do rc = fallocate(l->fd, FALLOC_FL_KEEP_SIZE, (off_t)l->ahead, (off_t)(to - l->ahead));
    while (rc != 0 && errno == EINTR);
    l->ahead = rc == 0 ? to : upto;
}

/* Writes parts at the end; *done gets the bytes that got there. 0 or errno. */
static int write_parts(qd_storage_log *l, const qd_iovec *parts, uint32_t n, uint64_t *done)
{
    struct iovec v[64];
    uint32_t i = 0;
    size_t skip = 0; /* of part i */
    *done = 0;
    while (i < n) {
        int k = 0;
        for (uint32_t j = i; j < n && k < 64; j++, k++) {
            size_t from = j == i ? skip : 0;
            v[k] = (struct iovec){(char *)(uintptr_t)parts[j].data + from, parts[j].len - from};
        }
        ssize_t got = pwritev(l->fd, v, k, (off_t)(l->end + *done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        size_t left = (size_t)got;
        *done += left;
        while (i < n && left >= parts[i].len - skip) {
            left -= parts[i].len - skip;
            skip = 0;
            i++;
        }
        skip += left;
        if (got == 0 && i < n) return ENOSPC;
    }
    return 0;
}

int32_t nvme_log_append_v(qd_storage_log *l, const qd_iovec *parts, uint32_t n, uint64_t *offset,
                          const qd_storage_call *call)
{
    int32_t rc = dead(l, call);
    if (rc) return rc;
    if (l->tier->read_only) return nvme_writable(l->tier, log_name(l), call);
    uint64_t len = 0, done = 0;
    for (uint32_t i = 0; i < n; i++) len += parts[i].len;
    if (!l->touched) nvme_touch(l->tier, nvme_folder_of(log_name(l)));
    l->touched = 1;
    preallocate(l, l->end + len);
    int number = nvme_point(l->tier, "storage.log_write");
    if (!number) number = write_parts(l, parts, n, &done);
    if (number)
        return nvme_errno(l->tier, call, cut_back(l, number), "appending to log", log_name(l));
    *offset = l->end;
    __atomic_store_n(&l->end, l->end + len, __ATOMIC_RELEASE);
    return 0;
}

int32_t nvme_log_sync(qd_storage_log *l, uint64_t upto, const qd_storage_call *call)
{
    pthread_mutex_lock(&l->lock);
    for (;;) {
        if (__atomic_load_n(&l->dead, __ATOMIC_ACQUIRE) || l->synced >= upto) break;
        if (l->syncing) {
            pthread_cond_wait(&l->done, &l->lock);
            continue;
        }
        take_turn(l);
        uint64_t end = __atomic_load_n(&l->end, __ATOMIC_ACQUIRE);
        pthread_mutex_unlock(&l->lock);
        int number = nvme_point(l->tier, "storage.log_sync");
        if (!number && fdatasync(l->fd) != 0) number = errno;
        pthread_mutex_lock(&l->lock);
        if (number) kill_log(l, number);
        if (!number && end > l->synced) l->synced = end;
        end_turn(l);
        if (end < upto) break; /* asked for bytes that nobody appended */
    }
    int ok = l->synced >= upto;
    pthread_mutex_unlock(&l->lock);
    if (ok) return 0;
    int32_t rc = dead(l, call);
    return rc ? rc : nvme_fail(l->tier, call, QD_E_ARG, "log \"%s\" is shorter", l->name);
}

int32_t nvme_log_read(qd_storage_log *l, uint64_t offset, void *dst, size_t len, size_t *got,
                      const qd_storage_call *call)
{
    uint64_t end = __atomic_load_n(&l->end, __ATOMIC_ACQUIRE);
    size_t have = 0;
    if (offset >= end) len = 0;
    if (len > end - (offset < end ? offset : end)) len = (size_t)(end - offset);
    int number = nvme_point(l->tier, "storage.read");
    while (!number && have < len) {
        ssize_t k = pread(l->fd, (char *)dst + have, len - have, (off_t)(offset + have));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) number = errno;
        if (k == 0) break;
        if (k > 0) have += (size_t)k;
    }
    if (number) return nvme_errno(l->tier, call, number, "reading log", log_name(l));
    *got = have;
    return 0;
}

int32_t nvme_log_truncate(qd_storage_log *l, uint64_t len, const qd_storage_call *call)
{
    int32_t rc = dead(l, call);
    if (rc) return rc;
    if (l->tier->read_only) return nvme_writable(l->tier, log_name(l), call);
    if (len > l->end) {
        return nvme_fail(l->tier, call, QD_E_ARG,
                         "log \"%s\" has %llu bytes, cannot be cut to %llu", l->name,
                         (unsigned long long)l->end, (unsigned long long)len);
    }
    nvme_touch(l->tier, nvme_folder_of(log_name(l)));
    pthread_mutex_lock(&l->lock);
    take_turn(l);
    pthread_mutex_unlock(&l->lock);
    int number = ftruncate(l->fd, (off_t)len) == 0 ? 0 : errno;
    if (!number) number = nvme_point(l->tier, "storage.log_sync");
    if (!number && fsync(l->fd) != 0) number = errno;
    pthread_mutex_lock(&l->lock);
    if (number)
        kill_log(l, number);
    else
        l->end = l->ahead = l->synced = len;
    end_turn(l);
    pthread_mutex_unlock(&l->lock);
    return number ? nvme_errno(l->tier, call, number, "cutting log", log_name(l)) : 0;
}

void nvme_log_close(qd_storage_log *l)
{
    qd_storage *t = l->tier;
    /* Blocks preallocated behind the end go back. */
    if (!t->read_only && l->ahead > l->end && !l->dead) (void)!ftruncate(l->fd, (off_t)l->end);
    close(l->fd);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->done);
    t->plugin->mem->free(l);
    __atomic_sub_fetch(&t->open, 1, __ATOMIC_ACQ_REL);
}
