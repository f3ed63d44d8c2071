/*
 * reserve.c: capacity, and blocks kept back for a full disk. The reserve is a preallocated file;
 * when publishing meets ENOSPC its blocks are given up and the publication is tried once more. It
 * is filled again when there is ample room.
 */
#include "nvme.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE ".reserve"

static int space(qd_storage *t, uint64_t *total, uint64_t *available)
{
    struct statvfs v;
    if (fstatvfs(t->root, &v) != 0) return errno;
    *total = (uint64_t)v.f_blocks * v.f_frsize;
    *available = (uint64_t)v.f_bavail * v.f_frsize;
    return 0;
}

void nvme_reserve_fill(qd_storage *t)
{
    uint64_t total = 0, available = 0;
    struct stat st;
    if (t->reserve == 0 || t->read_only || space(t, &total, &available)) return;
    pthread_mutex_lock(&t->lock);
    if (!t->reserve_is_there && fstatat(t->root, RESERVE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(st.st_mode) && (uint64_t)st.st_blocks * 512 >= t->reserve) {
        t->reserve_is_there = 1;
    }
    if (!t->reserve_is_there && available / 3 > t->reserve) {
        int fd = openat(t->root, RESERVE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        int rc = -1;
        while (fd >= 0 && (rc = fallocate(fd, 0, 0, (off_t)t->reserve)) != 0 && errno == EINTR)
            continue; /* a signal */
        if (rc == 0) t->reserve_is_there = 1;
        if (fd >= 0) close(fd);
    }
    pthread_mutex_unlock(&t->lock);
}

int nvme_reserve_spend(qd_storage *t)
{
    struct stat st;
    int spent = 0;
    pthread_mutex_lock(&t->lock);
    t->reserve_is_there = 0;
    if (!t->read_only && fstatat(t->root, RESERVE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_blocks > 0) {
        spent = unlinkat(t->root, RESERVE, 0) == 0;
    }
    pthread_mutex_unlock(&t->lock);
    if (spent) {
        (void)fsync(t->root); /* journaling file systems free the blocks only then */
        qd_plug_log(t->plugin->log, t->plugin->self, QD_LEVEL_WARN,
                    "the disk is full: gave up the reserve of %llu bytes",
                    (unsigned long long)t->reserve);
    }
    return spent;
}

int32_t nvme_capacity(qd_storage *t, uint64_t *total, uint64_t *available,
                      const qd_storage_call *call)
{
    uint64_t all = 0, left = 0;
    int32_t rc = nvme_go_on(t, call);
    if (rc) return rc;
    nvme_reserve_fill(t);
    int number = space(t, &all, &left);
    if (number) return nvme_errno(t, call, number, "capacity of", QD_STR("tier"));
    pthread_mutex_lock(&t->lock);
    uint64_t missing = t->reserve_is_there ? 0 : t->reserve;
    pthread_mutex_unlock(&t->lock);
    *total = all;
    *available = left > missing ? left - missing : 0;
    return 0;
}
