/*
 * reads.c: vectored asynchronous reads. io_uring where the kernel offers it, else a few threads of
 * our own (libuv's pool belongs to libraft): each takes the next range of the oldest read, so that
 * all ranges of a read are in flight together. Both are started by the first read of a tier, since
 * a mapped tier rarely reads.
 *
 * Sequential reads are a scrubber's or a copy's: they look at the medium itself, past the page
 * cache, through an aligned buffer, and always run on the threads. A copy takes what the cache
 * holds from there, and leaves the cache as it is.
 */
#include "readers.h"
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 4096u
#define BOUNCE (256u << 10)

static int read_plain(int fd, uint64_t offset, uint8_t *dst, uint64_t len)
{
    while (len > 0) {
        ssize_t k = pread(fd, dst, len < 1u << 30 ? (size_t)len : 1u << 30, (off_t)offset);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return errno;
        if (k == 0) return ENODATA;
        dst += k;
        offset += (uint64_t)k;
        len -= (uint64_t)k;
    }
    return 0;
}

/* What the page cache holds of it, from its beginning: bytes. */
static uint64_t read_cached(int fd, uint64_t offset, uint8_t *dst, uint64_t len)
{
    uint64_t have = 0;
    while (have < len) {
        struct iovec v = {dst + have, (size_t)(len - have)};
        ssize_t k = preadv2(fd, &v, 1, (off_t)(offset + have), RWF_NOWAIT);
        if (k <= 0) break; /* EAGAIN, or a file system that cannot tell */
        have += (uint64_t)k;
    }
    return have;
}

static int read_direct(int fd, uint64_t offset, uint8_t *dst, uint64_t len, uint8_t *bounce)
{
    while (len > 0) {
        uint64_t from = offset / BLOCK * BLOCK;
        size_t skip = (size_t)(offset - from);
        ssize_t k = pread(fd, bounce, BOUNCE, (off_t)from);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return errno;
        if ((size_t)k <= skip) return ENODATA;
        uint64_t n = (uint64_t)k - skip < len ? (uint64_t)k - skip : len;
        memcpy(dst, bounce + skip, (size_t)n);
        dst += n;
        offset += n;
        len -= n;
    }
    return 0;
}

int nvme_read_range(qd_storage_object *o, const qd_storage_range *g, uint32_t flags,
                    uint8_t *bounce)
{
    int number = nvme_point(nvme_object_tier(o), "storage.read"), direct = 0;
    if (number) return number;
    if ((flags & QD_STORAGE_READ_SEQUENTIAL) && bounce) {
        int fd = nvme_object_direct(o, &direct);
        if (direct) {
            uint64_t have = 0;
            if (flags & QD_STORAGE_READ_CACHED) {
                have = read_cached(nvme_object_fd(o), g->offset, g->dst, g->len);
            }
            number =
                read_direct(fd, g->offset + have, (uint8_t *)g->dst + have, g->len - have, bounce);
            if (number != EINVAL) return number; /* EINVAL: blocks larger than ours */
        }
    }
    return read_plain(nvme_object_fd(o), g->offset, g->dst, g->len);
}

void nvme_read_end(qd_storage *t, qd_storage_read *r)
{
    read_words *w = words_of(r);
    qd_str name = nvme_object_name(w->object);
    int32_t rc = 0;
    pthread_mutex_lock(&t->readers->lock); /* a cancel may come at this moment */
    int cancelled = w->cancelled, number = w->number;
    pthread_mutex_unlock(&t->readers->lock);
    if (cancelled) {
        rc = nvme_fail(t, r->call, QD_E_CANCELLED, "reading \"%s\": cancelled", name.p);
    } else if (number == ENODATA) {
        rc = nvme_fail(t, r->call, QD_E_EOF, "reading \"%s\": a range lies behind its end", name.p);
    } else if (number) {
        rc = nvme_errno(t, r->call, number, "reading", name);
    }
    t->plugin->loop->complete(&r->op, rc);
}

/* The next range to read, or NULL; under the lock. */
static qd_storage_read *take_range(struct nvme_readers *rs, uint32_t *index)
{
    qd_storage_read *r = rs->first;
    if (!r) return NULL;
    read_words *w = words_of(r);
    *index = w->taken++;
    if (w->taken == r->nranges) {
        rs->first = w->next;
        if (!rs->first) rs->last = NULL;
    }
    return r;
}

static void *run(void *arg)
{
    struct nvme_readers *rs = arg;
    uint8_t *bounce = NULL;
    pthread_mutex_lock(&rs->lock);
    for (;;) {
        uint32_t i;
        qd_storage_read *r = take_range(rs, &i);
        if (!r && rs->stop) break;
        if (!r) {
            pthread_cond_wait(&rs->more, &rs->lock);
            continue;
        }
        read_words *w = words_of(r);
        int skip = w->cancelled || w->number, number = 0;
        pthread_mutex_unlock(&rs->lock);
        if (!skip) {
            if (!bounce && (r->flags & QD_STORAGE_READ_SEQUENTIAL)) {
                bounce = rs->tier->plugin->mem->aligned(rs->tier->plugin->self, BLOCK, BOUNCE);
            }
            number = nvme_read_range(w->object, w->tail.dst ? &w->tail : &r->ranges[i], r->flags,
                                     bounce);
        }
        pthread_mutex_lock(&rs->lock);
        if (number && !w->number) w->number = number;
        if (--w->left > 0) continue;
        pthread_mutex_unlock(&rs->lock);
        nvme_read_end(rs->tier, r);
        pthread_mutex_lock(&rs->lock);
    }
    pthread_mutex_unlock(&rs->lock);
    rs->tier->plugin->mem->free(bounce);
    return NULL;
}

static struct nvme_readers *start(qd_storage *t)
{
    struct nvme_readers *rs = t->plugin->mem->calloc(t->plugin->self, sizeof *rs);
    if (!rs) return NULL;
    rs->tier = t;
    pthread_mutex_init(&rs->lock, NULL);
    pthread_cond_init(&rs->more, NULL);
    while (rs->nthreads < t->threads &&
           pthread_create(&rs->threads[rs->nthreads], NULL, run, rs) == 0) {
        rs->nthreads++;
    }
    if (rs->nthreads == 0) {
        pthread_mutex_destroy(&rs->lock);
        pthread_cond_destroy(&rs->more);
        t->plugin->mem->free(rs);
        return NULL;
    }
    if (t->use_uring) rs->uring = nvme_uring_start(rs);
    return rs;
}

static struct nvme_readers *readers_of(qd_storage *t)
{
    struct nvme_readers *rs = __atomic_load_n(&t->readers, __ATOMIC_ACQUIRE);
    if (rs) return rs;
    pthread_mutex_lock(&t->lock);
    rs = t->readers;
    if (!rs) {
        rs = start(t);
        __atomic_store_n(&t->readers, rs, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&t->lock);
    return rs;
}

void nvme_readers_stop(qd_storage *t)
{
    struct nvme_readers *rs = t->readers;
    if (!rs) return;
    if (rs->uring) nvme_uring_stop(rs->uring);
    pthread_mutex_lock(&rs->lock);
    rs->stop = 1;
    pthread_cond_broadcast(&rs->more);
    pthread_mutex_unlock(&rs->lock);
    for (uint32_t i = 0; i < rs->nthreads; i++) pthread_join(rs->threads[i], NULL);
    pthread_mutex_destroy(&rs->lock);
    pthread_cond_destroy(&rs->more);
    t->plugin->mem->free(rs);
    t->readers = NULL;
}

int32_t nvme_read_v(qd_storage_object *o, qd_storage_read *r)
{
    qd_storage *t = nvme_object_tier(o);
    uint64_t len = nvme_object_len(o);
    if (r->nranges == 0 || r->nranges > 4096) {
        return nvme_fail(t, r->call, QD_E_ARG, "a read has 1 to 4096 ranges, not %u", r->nranges);
    }
    int32_t rc = nvme_go_on(t, r->call);
    if (rc) return rc;
    int suffix = r->flags & QD_STORAGE_READ_SUFFIX;
    if (suffix && r->nranges != 1) {
        return nvme_fail(t, r->call, QD_E_ARG, "a suffix read has one range, not %u", r->nranges);
    }
    for (uint32_t i = 0; i < r->nranges && !suffix; i++) {
        const qd_storage_range *g = &r->ranges[i];
        if (g->offset <= len && g->len <= len - g->offset) continue;
        return nvme_fail(t, r->call, QD_E_EOF, "reading \"%s\": a range lies behind its end",
                         nvme_object_name(o).p);
    }
    struct nvme_readers *rs = readers_of(t);
    if (!rs) return nvme_fail(t, r->call, QD_E_NOMEM, "starting the threads that read");
    read_words *w = words_of(r);
    *w = (read_words){.object = o, .left = r->nranges};
    if (suffix) {
        uint64_t n = r->ranges[0].len < len ? r->ranges[0].len : len;
        w->tail = (qd_storage_range){len - n, n, r->ranges[0].dst};
        r->object_len = len;
    }
    if (rs->uring && !suffix && !(r->flags & QD_STORAGE_READ_SEQUENTIAL) &&
        nvme_uring_submit(rs->uring, o, r) == 0) {
        return 0;
    }
    pthread_mutex_lock(&rs->lock);
    if (rs->last) {
        words_of(rs->last)->next = r;
    } else {
        rs->first = r;
    }
    rs->last = r;
    if (r->nranges > 1) {
        pthread_cond_broadcast(&rs->more);
    } else {
        pthread_cond_signal(&rs->more);
    }
    pthread_mutex_unlock(&rs->lock);
    return 0;
}

void nvme_read_cancel(qd_storage_object *o, qd_storage_read *r)
{
    struct nvme_readers *rs = nvme_object_tier(o)->readers;
    pthread_mutex_lock(&rs->lock);
    words_of(r)->cancelled = 1;
    pthread_mutex_unlock(&rs->lock);
}
