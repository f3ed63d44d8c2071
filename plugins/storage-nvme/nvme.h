/*
 * nvme.h: what the files of storage-nvme share. A tier is a folder; names below it are found from
 * its descriptor with openat and O_NOFOLLOW, part by part, so that no link leads out of it.
 *
 *   <root>/a/b/name   objects, registers and logs, mode 0600, in folders of mode 0700
 *   <root>/.tmp/      what is being written, and folders being removed; emptied at open
 *   <root>/.reserve   blocks given up when the disk is full
 *
 * Files in reading order: plugin.c, path.c, sweep.c, object.c, put.c, reads.c, log.c, list.c,
 * names.c, reserve.c.
 */
#ifndef STORAGE_NVME_H
#define STORAGE_NVME_H

#include <pthread.h>
#include <quidditch/plugin.h>
#include <quidditch/storage.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What init fetched; one for each node of the process. */
typedef struct nvme_plugin {
    qd_self *self;
    const qd_svc_mem *mem;
    const qd_svc_log *log;
    const qd_svc_err *err;
    const qd_svc_loop *loop;
    const qd_svc_rand *rand;
    const qd_svc_fault *fault;
    const qd_svc_clock *clock;
    const qd_svc_task *task;
} nvme_plugin;

/* A name in a list or table. */
typedef struct nvme_name {
    struct nvme_name *next;
    int fd; /* of an object committed but not synced; -1 */
    uint32_t len;
    char text[256];
} nvme_name;

#define NVME_FOLDERS 256 /* chains of the table of folders */

struct nvme_readers;

/* What was in the tier when it was opened is synced at once, in the background (sweep.c). */
struct nvme_sweep {
    pthread_t thread;
    int started;
    int state; /* under the tier's lock: 0 not ended, 1 all of it is durable, -1 that is not known
                */
    uint64_t until_ns; /* nobody waits for it longer */
    pthread_cond_t ended;
    nvme_name *touched[NVME_FOLDERS]; /* folders in which something was made or written since */
    uint32_t ntouched;
};

struct qd_storage {
    nvme_plugin *plugin;
    int root, tmp;
    uint32_t read_only;
    uint64_t direct_min; /* bytes of an object from which on O_DIRECT is used */
    uint64_t log_chunk;  /* bytes preallocated ahead of a log's end */
    uint32_t threads;    /* of reads */
    uint32_t use_uring;
    uint64_t reserve;
    uint64_t serial; /* of temporary names, random at first */
    uint32_t open;   /* objects, puts, logs */
    pthread_mutex_t lock;
    pthread_rwlock_t publishing;      /* a conditional publish is alone */
    int64_t published_ns;             /* mtime of the last register, under the lock: no two alike */
    nvme_name *lazy;                  /* committed, not synced */
    nvme_name *folders[NVME_FOLDERS]; /* their names in their parents are durable */
    uint32_t reserve_is_there;
    uint32_t by_parts; /* no openat2 here */
    struct nvme_sweep sweep;
    struct nvme_readers *readers; /* made by the first read */
};

/* Sets an error with a printf text; returns code. */
__attribute__((format(printf, 4, 5))) int32_t nvme_fail(qd_storage *t, const qd_storage_call *call,
                                                        int32_t code, const char *format, ...);
/* The same from an errno, naming what was tried on what. */
int32_t nvme_errno(qd_storage *t, const qd_storage_call *call, int number, const char *what,
                   qd_str name);
/* Injected failure at a named point: 0 or an errno to behave as if met. */
int nvme_point(qd_storage *t, const char *name);
/* 0, or the call was cancelled or its deadline has passed. */
int32_t nvme_go_on(qd_storage *t, const qd_storage_call *call);
/* Refuses bad names, and any writing when read only; both look at nvme_go_on first. */
int32_t nvme_name_check(qd_storage *t, qd_str name, const qd_storage_call *call);
int32_t nvme_writable(qd_storage *t, qd_str name, const qd_storage_call *call);

/* --- path.c --- */
/* Opens the folder of name (make: creates what is missing, mode 0700) and copies the last part to
 * leaf. Negative: -errno. */
int nvme_parent(qd_storage *t, qd_str name, int make, char leaf[256]);
/* Opens a folder ("" the root). Negative: -errno. */
int nvme_folder(qd_storage *t, qd_str folder, int make);
/* Opens a file below the root, with O_NOFOLLOW and O_CLOEXEC. Negative: -errno. */
int nvme_open(qd_storage *t, qd_str name, int flags);
/* The chain of a folder in a table. */
uint32_t nvme_chain(qd_str folder);
/* Makes the names of all folders above name durable, once a process. 0 or errno. */
int nvme_settle(qd_storage *t, qd_str name);
/* Forgets what a table has of folder and below it ("" all). Under the lock. */
void nvme_names_drop(qd_storage *t, nvme_name **table, qd_str folder);
/* Forgets what nvme_settle knows below folder. */
void nvme_unsettle(qd_storage *t, qd_str folder);
/* fsync of an open folder; 0 or errno. */
int nvme_sync_fd(qd_storage *t, int fd);
/* fsync of the folder that holds name; 0 or errno. */
int nvme_sync_parent(qd_storage *t, qd_str name);
/* The folder of a name. */
qd_str nvme_folder_of(qd_str name);
/* A fresh name in .tmp. */
void nvme_tmp_name(qd_storage *t, char out[40]);
/* Removes everything in a folder given by descriptor (which it closes); 0 or errno. */
int nvme_empty(int fd, int depth);
/* Writes all of it; 0 or errno. */
int nvme_write_all(int fd, const void *p, size_t n);

/* --- sweep.c --- */
/* Begins to sync what is in the tier. */
void nvme_sweep_start(qd_storage *t);
/* Waits for its end. */
void nvme_sweep_end(qd_storage *t);
/* Something is about to be made or written in a folder, by a name that may have been there. */
void nvme_touch(qd_storage *t, qd_str folder);
/* Is name, which is there, durable as it was found when the tier was opened, with its bytes and the
 * folders above it? wait: for a moment, where that will be known soon. */
int nvme_found(qd_storage *t, qd_str name, int wait);

/* --- object.c --- */
/* The tag of an object or register with this inode. */
void nvme_tag(const struct stat *st, char tag[QD_STORAGE_TAG]);
int32_t nvme_object_open(qd_storage *, qd_str, uint64_t, qd_storage_object **, uint64_t *,
                         const qd_storage_call *);
void nvme_object_close(qd_storage_object *);
int32_t nvme_object_map(qd_storage_object *, uint64_t, const uint8_t **, const qd_storage_call *);
int32_t nvme_get(qd_storage *, qd_str, void *, size_t, size_t *, char *, const qd_storage_call *);
/* What reads.c needs of an object. */
qd_storage *nvme_object_tier(const qd_storage_object *);
qd_str nvme_object_name(const qd_storage_object *);
uint64_t nvme_object_len(const qd_storage_object *);
int nvme_object_fd(const qd_storage_object *);
/* A descriptor that reads past the page cache; the ordinary one where that is not possible. */
int nvme_object_direct(qd_storage_object *, int *is_direct);

/* --- put.c --- */
int32_t nvme_put_begin(qd_storage *, qd_str, uint64_t, qd_storage_put **, const qd_storage_call *);
int32_t nvme_put_write(qd_storage_put *, const void *, size_t, const qd_storage_call *);
int32_t nvme_put_commit(qd_storage_put *, uint32_t, const qd_storage_sum *,
                        const qd_storage_call *);
void nvme_put_abort(qd_storage_put *);
int32_t nvme_publish(qd_storage *, qd_str, const void *, size_t, char *, const qd_storage_call *);
int32_t nvme_publish_if(qd_storage *, qd_str, const void *, size_t, qd_str, char *,
                        const qd_storage_call *);
int32_t nvme_copy(qd_storage *, qd_str, qd_str, const qd_storage_call *);
int32_t nvme_sync_objects(qd_storage *, const qd_str *, size_t, const qd_storage_call *);
/* Takes name off the list of unsynced objects: its descriptor or -1. */
int nvme_lazy_take(qd_storage *, qd_str name);
/* Closes all of them below folder, or all (empty). */
void nvme_lazy_drop(qd_storage *, qd_str folder);

/* --- reads.c --- */
int32_t nvme_read_v(qd_storage_object *, qd_storage_read *);
void nvme_read_cancel(qd_storage_object *, qd_storage_read *);
void nvme_readers_stop(qd_storage *);

/* --- log.c --- */
int32_t nvme_log_open(qd_storage *, qd_str, uint32_t, qd_storage_log **, uint64_t *,
                      const qd_storage_call *);
int32_t nvme_log_append_v(qd_storage_log *, const qd_iovec *, uint32_t, uint64_t *,
                          const qd_storage_call *);
int32_t nvme_log_sync(qd_storage_log *, uint64_t, const qd_storage_call *);
int32_t nvme_log_read(qd_storage_log *, uint64_t, void *, size_t, size_t *,
                      const qd_storage_call *);
int32_t nvme_log_truncate(qd_storage_log *, uint64_t, const qd_storage_call *);
void nvme_log_close(qd_storage_log *);

/* --- names.c --- */
int32_t nvme_list(qd_storage *, qd_storage_list *, const qd_storage_call *);
int32_t nvme_stat(qd_storage *, qd_str, qd_storage_stat *, const qd_storage_call *);
int32_t nvme_remove(qd_storage *, const qd_str *, uint32_t, uint32_t *, const qd_storage_call *);
int32_t nvme_remove_tree(qd_storage *, qd_str, const qd_storage_call *);
int32_t nvme_rename(qd_storage *, qd_str, qd_str, const qd_storage_call *);
int32_t nvme_sync_dir(qd_storage *, qd_str, const qd_storage_call *);

/* --- reserve.c --- */
int32_t nvme_capacity(qd_storage *, uint64_t *, uint64_t *, const qd_storage_call *);
/* Preallocates the reserve if it is wanted, absent, and there is ample room. */
void nvme_reserve_fill(qd_storage *);
/* Gives the reserve's blocks up; 1 when there were some. */
int nvme_reserve_spend(qd_storage *);

#endif
