/* object.c: objects open for reading: descriptor, map, small reads. */
#include "nvme.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct qd_storage_object {
    qd_storage *tier;
    int fd;
    int direct; /* -1: not tried, -2: not possible */
    uint64_t len;
    void *map;
    pthread_mutex_t lock; /* of direct */
    uint32_t name_len;
    char name[256];
};

qd_storage *nvme_object_tier(const qd_storage_object *o)
{
    return o->tier;
}
qd_str nvme_object_name(const qd_storage_object *o)
{
    return (qd_str){o->name, o->name_len};
}
uint64_t nvme_object_len(const qd_storage_object *o)
{
    return o->len;
}
int nvme_object_fd(const qd_storage_object *o)
{
    return o->fd;
}

/* Opens a regular file below the root; number gets the errno. */
static int open_file(qd_storage *t, qd_str name, int flags, struct stat *st, int *number)
{
    int fd = nvme_open(t, name, flags | O_NONBLOCK);
    *number = fd < 0 ? -fd : 0;
    if (fd < 0) return -1;
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
        *number = S_ISDIR(st->st_mode) ? ENOENT : ELOOP;
        close(fd);
        return -1;
    }
    return fd;
}

void nvme_tag(const struct stat *st, char tag[QD_STORAGE_TAG])
{
    uint64_t ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
    snprintf(tag, QD_STORAGE_TAG, "%llx-%llx-%llx", (unsigned long long)st->st_ino,
             (unsigned long long)ns, (unsigned long long)st->st_size);
}

int32_t nvme_object_open(qd_storage *t, qd_str name, uint64_t known, qd_storage_object **out,
                         uint64_t *len, const qd_storage_call *call)
{
    int32_t rc = nvme_name_check(t, name, call);
    if (rc) return rc;
    struct stat st;
    int number = 0;
    int fd = open_file(t, name, O_RDONLY, &st, &number);
    if (fd < 0) return nvme_errno(t, call, number, "opening", name);
    if (known != QD_STORAGE_LEN_UNKNOWN && known != (uint64_t)st.st_size) {
        close(fd);
        return nvme_fail(t, call, QD_E_CORRUPT, "\"%.*s\" has %lld bytes, expected %llu",
                         (int)name.n, name.p, (long long)st.st_size, (unsigned long long)known);
    }
    qd_storage_object *o = t->plugin->mem->calloc(t->plugin->self, sizeof *o);
    if (!o) {
        close(fd);
        return nvme_fail(t, call, QD_E_NOMEM, "out of memory: open object");
    }
    o->tier = t;
    o->fd = fd;
    o->direct = -1;
    o->len = (uint64_t)st.st_size;
    o->name_len = (uint32_t)name.n;
    memcpy(o->name, name.p, name.n);
    pthread_mutex_init(&o->lock, NULL);
    __atomic_add_fetch(&t->open, 1, __ATOMIC_ACQ_REL);
    *len = o->len;
    *out = o;
    return 0;
}

void nvme_object_close(qd_storage_object *o)
{
    qd_storage *t = o->tier;
    if (o->map) munmap(o->map, o->len);
    if (o->direct >= 0) close(o->direct);
    close(o->fd);
    pthread_mutex_destroy(&o->lock);
    t->plugin->mem->free(o);
    __atomic_sub_fetch(&t->open, 1, __ATOMIC_ACQ_REL);
}

int nvme_object_direct(qd_storage_object *o, int *is_direct)
{
    pthread_mutex_lock(&o->lock);
    if (o->direct == -1) {
        char path[40];
        snprintf(path, sizeof path, "/proc/self/fd/%d", o->fd);
        o->direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
        if (o->direct < 0) o->direct = -2;
    }
    int fd = o->direct;
    pthread_mutex_unlock(&o->lock);
    *is_direct = fd >= 0;
    return fd >= 0 ? fd : o->fd;
}

int32_t nvme_object_map(qd_storage_object *o, uint64_t len, const uint8_t **data,
                        const qd_storage_call *call)
{
    qd_storage *t = o->tier;
    qd_str name = nvme_object_name(o);
    struct stat st;
    int32_t rc = nvme_go_on(t, call);
    if (rc) return rc;
    if (o->map) return nvme_fail(t, call, QD_E_STATE, "\"%s\" is mapped already", o->name);
    if (fstat(o->fd, &st) != 0) return nvme_errno(t, call, errno, "looking at", name);
    if ((uint64_t)st.st_size != len || len != o->len || len == 0) {
        return nvme_fail(t, call, QD_E_CORRUPT, "\"%s\" has %lld bytes, expected %llu", o->name,
                         (long long)st.st_size, (unsigned long long)len);
    }
    void *p = mmap(NULL, len, PROT_READ, MAP_SHARED, o->fd, 0);
    if (p == MAP_FAILED) return nvme_errno(t, call, errno, "mapping", name);
    o->map = p;
    *data = p;
    return 0;
}

int32_t nvme_get(qd_storage *t, qd_str name, void *dst, size_t cap, size_t *len, char *tag,
                 const qd_storage_call *call)
{
    int32_t rc = nvme_name_check(t, name, call);
    if (rc) return rc;
    struct stat st;
    int number = 0;
    int fd = open_file(t, name, O_RDONLY, &st, &number);
    if (fd < 0) return nvme_errno(t, call, number, "reading", name);
    if ((uint64_t)st.st_size > cap) {
        close(fd);
        return nvme_fail(t, call, QD_E_LIMIT, "\"%.*s\" has %lld bytes, room is for %zu",
                         (int)name.n, name.p, (long long)st.st_size, cap);
    }
    size_t have = 0;
    number = nvme_point(t, "storage.read");
    while (!number && have < (size_t)st.st_size) {
        ssize_t k = pread(fd, (char *)dst + have, (size_t)st.st_size - have, (off_t)have);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) number = errno;
        if (k == 0) break;
        if (k > 0) have += (size_t)k;
    }
    close(fd);
    if (number) return nvme_errno(t, call, number, "reading", name);
    *len = have;
    if (tag) nvme_tag(&st, tag);
    return 0;
}
