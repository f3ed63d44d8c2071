/* readers.h: the two ways in which reads.c serves a vectored read: own threads, or io_uring. */
#ifndef STORAGE_NVME_READERS_H
#define STORAGE_NVME_READERS_H

#include "nvme.h"

struct nvme_uring;

struct nvme_readers {
    qd_storage *tier;
    pthread_mutex_t lock;
    pthread_cond_t more;
    qd_storage_read *first, *last; /* with ranges that no thread has taken */
    pthread_t threads[64];
    uint32_t nthreads;
    int stop;
    struct nvme_uring *uring; /* NULL: not used */
};

/* The words of qd_storage_read.plugin, under readers->lock. */
typedef struct read_words {
    qd_storage_read *next;
    qd_storage_object *object;
    uint32_t taken, left; /* ranges */
    int32_t number;       /* first errno; ENODATA: behind the end */
    uint32_t cancelled;
    qd_storage_range tail; /* of a suffix read: where its one range lies */
} read_words;
_Static_assert(sizeof(read_words) <= sizeof(((qd_storage_read *)0)->plugin), "it fits");

static inline read_words *words_of(qd_storage_read *r)
{
    return (read_words *)(void *)r->plugin;
}

/* One range into dst, synchronously: 0 or errno. */
int nvme_read_range(qd_storage_object *o, const qd_storage_range *g, uint32_t flags,
                    uint8_t *bounce);
/* Tells the host the end of a read whose words say how it went. */
void nvme_read_end(qd_storage *t, qd_storage_read *r);

/* Sets up a ring; NULL where the kernel has none or forbids it. */
struct nvme_uring *nvme_uring_start(struct nvme_readers *rs);
/* Takes a read over; 0, or an errno and the read is untouched. */
int nvme_uring_submit(struct nvme_uring *u, qd_storage_object *o, qd_storage_read *r);
/* Waits for all that is in flight, frees. */
void nvme_uring_stop(struct nvme_uring *u);

#endif
