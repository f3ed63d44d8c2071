/*
 * uring.c: reads through io_uring, by its system calls alone. One ring a tier; submitters share it
 * under a lock, one thread reaps completions, continues short reads, and submits what did not fit.
 * Source of the ring protocol: Jens Axboe, "Efficient IO with io_uring", and io_uring(7).
 */
#include "readers.h"
#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 256u

/* One range under way. */
typedef struct piece {
    struct piece *next; /* waiting for room in the ring */
    qd_storage_read *read;
    struct batch *batch;
    int fd;
    uint32_t reserved;
    uint64_t offset, left;
    uint8_t *dst;
} piece;

/* The pieces of one read, freed with the last. */
typedef struct batch {
    uint64_t left;
    piece pieces[];
} batch;

struct nvme_uring {
    struct nvme_readers *readers;
    int fd;
    pthread_mutex_t lock; /* of the submission side, the queue and in_flight */
    pthread_t reaper;
    uint32_t in_flight, stop;
    piece *first, **end;
    void *sq_map, *cq_map, *sqe_map;
    size_t sq_bytes, cq_bytes, sqe_bytes;
    uint32_t *sq_head, *sq_tail, *sq_array, *cq_head, *cq_tail;
    uint32_t sq_mask, cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

static int enter(struct nvme_uring *u, uint32_t submit, uint32_t wait)
{
    for (;;) {
        long rc = syscall(SYS_io_uring_enter, u->fd, submit, wait,
                          wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
        if (rc >= 0) return (int)rc;
        if (errno != EINTR && errno != EAGAIN && errno != EBUSY) return -errno;
    }
}

/* One entry into the submission queue; under the lock, with room. */
static void push(struct nvme_uring *u, uint8_t opcode, piece *p)
{
    uint32_t tail = *u->sq_tail, i = tail & u->sq_mask;
    struct io_uring_sqe *e = &u->sqes[i];
    memset(e, 0, sizeof *e);
    e->opcode = opcode;
    e->user_data = (uint64_t)(uintptr_t)p;
    if (p) {
        e->fd = p->fd;
        e->off = p->offset;
        e->addr = (uint64_t)(uintptr_t)p->dst;
        e->len = p->left < 1u << 30 ? (uint32_t)p->left : 1u << 30;
    }
    u->sq_array[i] = i;
    __atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
    u->in_flight++;
}

/* Moves waiting pieces into the ring and tells the kernel; under the lock. */
static void submit_waiting(struct nvme_uring *u)
{
    uint32_t n = 0;
    while (u->first && u->in_flight < ENTRIES) {
        piece *p = u->first;
        u->first = p->next;
        if (!u->first) u->end = &u->first;
        push(u, IORING_OP_READ, p);
        n++;
    }
    while (n > 0) {
        int k = enter(u, n, 0);
        if (k <= 0) break; /* the reaper's next enter takes them along */
        n -= (uint32_t)k;
    }
}

static void enqueue(struct nvme_uring *u, piece *p)
{
    p->next = NULL;
    *u->end = p;
    u->end = &p->next;
}

/* A range came to its end, well or not. */
static void piece_end(struct nvme_uring *u, piece *p, int number)
{
    struct nvme_readers *rs = u->readers;
    qd_storage_read *r = p->read;
    batch *b = p->batch;
    pthread_mutex_lock(&rs->lock);
    read_words *w = words_of(r);
    if (number && !w->number) w->number = number;
    int last = --w->left == 0;
    pthread_mutex_unlock(&rs->lock);
    if (!last) return;
    rs->tier->plugin->mem->free(b);
    nvme_read_end(rs->tier, r);
}

static void on_completion(struct nvme_uring *u, piece *p, int32_t res)
{
    int again = res == -EINTR || res == -EAGAIN || (res > 0 && (uint64_t)res < p->left);
    if (again) {
        uint64_t n = res > 0 ? (uint64_t)res : 0;
        p->offset += n;
        p->dst += n;
        p->left -= n;
        pthread_mutex_lock(&u->lock);
        enqueue(u, p);
        submit_waiting(u);
        pthread_mutex_unlock(&u->lock);
        return;
    }
    piece_end(u, p, res < 0 ? -res : res == 0 && p->left ? ENODATA : 0);
}

static void *reap(void *arg)
{
    struct nvme_uring *u = arg;
    for (;;) {
        uint32_t head = *u->cq_head;
        if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE)) {
            pthread_mutex_lock(&u->lock);
            uint32_t waiting = *u->sq_tail - __atomic_load_n(u->sq_head, __ATOMIC_ACQUIRE);
            int finished = u->stop && u->in_flight == 0;
            pthread_mutex_unlock(&u->lock);
            if (finished) return NULL;
            enter(u, waiting, 1);
            continue;
        }
        struct io_uring_cqe e = u->cqes[head & u->cq_mask];
        __atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
        pthread_mutex_lock(&u->lock);
        u->in_flight--;
        submit_waiting(u);
        pthread_mutex_unlock(&u->lock);
        if (e.user_data) on_completion(u, (piece *)(uintptr_t)e.user_data, e.res);
    }
}

static void unmap(struct nvme_uring *u)
{
    if (u->sqe_map) munmap(u->sqe_map, u->sqe_bytes);
    if (u->cq_map && u->cq_map != u->sq_map) munmap(u->cq_map, u->cq_bytes);
    if (u->sq_map) munmap(u->sq_map, u->sq_bytes);
    if (u->fd >= 0) close(u->fd);
}

static void *ring_map(struct nvme_uring *u, size_t n, uint64_t at)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, (off_t)at);
    return p == MAP_FAILED ? NULL : p;
}

static int map_rings(struct nvme_uring *u, const struct io_uring_params *p)
{
    u->sq_bytes = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    u->cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    u->sqe_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    int single = p->features & IORING_FEAT_SINGLE_MMAP;
    if (single && u->cq_bytes > u->sq_bytes) u->sq_bytes = u->cq_bytes;
    u->sq_map = ring_map(u, u->sq_bytes, IORING_OFF_SQ_RING);
    u->cq_map = single ? u->sq_map : ring_map(u, u->cq_bytes, IORING_OFF_CQ_RING);
    u->sqe_map = ring_map(u, u->sqe_bytes, IORING_OFF_SQES);
    if (!u->sq_map || !u->cq_map || !u->sqe_map) return 0;
    char *sq = u->sq_map, *cq = u->cq_map;
    u->sq_head = (uint32_t *)(void *)(sq + p->sq_off.head);
    u->sq_tail = (uint32_t *)(void *)(sq + p->sq_off.tail);
    u->sq_array = (uint32_t *)(void *)(sq + p->sq_off.array);
    u->sq_mask = *(uint32_t *)(void *)(sq + p->sq_off.ring_mask);
    u->cq_head = (uint32_t *)(void *)(cq + p->cq_off.head);
    u->cq_tail = (uint32_t *)(void *)(cq + p->cq_off.tail);
    u->cq_mask = *(uint32_t *)(void *)(cq + p->cq_off.ring_mask);
    u->cqes = (struct io_uring_cqe *)(void *)(cq + p->cq_off.cqes);
    u->sqes = u->sqe_map;
    return 1;
}

/* IORING_OP_READ came with 5.6, as did this feature bit. */
#define NEEDED IORING_FEAT_RW_CUR_POS

struct nvme_uring *nvme_uring_start(struct nvme_readers *rs)
{
    const qd_svc_mem *mem = rs->tier->plugin->mem;
    struct io_uring_params params;
    struct nvme_uring *u = mem->calloc(rs->tier->plugin->self, sizeof *u);
    if (!u) return NULL;
    memset(&params, 0, sizeof params);
    u->readers = rs;
    u->end = &u->first;
    u->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
    int good = u->fd >= 0 && (params.features & NEEDED) && map_rings(u, &params);
    pthread_mutex_init(&u->lock, NULL);
    if (good && pthread_create(&u->reaper, NULL, reap, u) == 0) return u;
    unmap(u);
    pthread_mutex_destroy(&u->lock);
    mem->free(u);
    return NULL;
}

int nvme_uring_submit(struct nvme_uring *u, qd_storage_object *o, qd_storage_read *r)
{
    const qd_svc_mem *mem = u->readers->tier->plugin->mem;
    if (nvme_point(u->readers->tier, "storage.read")) return EIO; /* the threads meet it as well */
    batch *b = mem->calloc(u->readers->tier->plugin->self, sizeof *b + r->nranges * sizeof(piece));
    if (!b) return ENOMEM;
    uint32_t n = r->nranges; /* r may be gone once its last range is under way */
    const qd_storage_range *ranges = r->ranges;
    for (uint32_t i = 0; i < n; i++) {
        b->pieces[i] = (piece){.read = r,
                               .batch = b,
                               .fd = nvme_object_fd(o),
                               .offset = ranges[i].offset,
                               .left = ranges[i].len,
                               .dst = ranges[i].dst};
    }
    pthread_mutex_lock(&u->lock);
    for (uint32_t i = 0; i < n; i++) enqueue(u, &b->pieces[i]);
    submit_waiting(u);
    pthread_mutex_unlock(&u->lock);
    return 0;
}

void nvme_uring_stop(struct nvme_uring *u)
{
    pthread_mutex_lock(&u->lock);
    u->stop = 1;
    push(u, IORING_OP_NOP, NULL);
    enter(u, 1, 0);
    pthread_mutex_unlock(&u->lock);
    pthread_join(u->reaper, NULL);
    unmap(u);
    pthread_mutex_destroy(&u->lock);
    u->readers->tier->plugin->mem->free(u);
}
