/*
 * storage.h: the storage kind, version 0.1: one tier of storage, holding
 *   objects  written once as a stream, then immutable: put_*, object_*;
 *   points   small objects replaced atomically: publish, get;
 *   logs     append-only with explicit sync: log_* (flag APPEND).
 *
 * Names are relative paths of [A-Za-z0-9._+-] parts joined by '/', at most 255 bytes, no part
 * beginning with '.': "indices/<uuid>/0/seg-<id>". The host checks them; a plugin checks
 * again. Folders come and go by themselves; no name is
 * a folder of another one ("a" beside "a/b"). Objects, points and logs share one space of names.
 *
 * Durability, with flag DURABLE: what put_commit, publish, delete (after sync_dir) or log_sync
 * returned 0 for survives a power loss; what was not yet returned for may be there, be gone, or
 * (logs only) be torn. A failed sync is never retried by anybody: the object or log it was for is
 * dead.
 *
 * Errors: negative codes of errors.def, with text in err naming the object and the system's words
 * (host service err). NOTFOUND no such name; EXISTS name taken; EOF range behind the end; NOSPACE
 * tier full; IO the device; CORRUPT damage seen; LIMIT a limit of info; CANCELLED; STATE a call out
 * of order; ARG a bad name. On an error out-parameters are untouched.
 *
 * Threads: every slot but read_v and cancel may block: [worker]. One handle may be used by many
 * threads; one put by one thread at a time; one log by one appender at a time, while log_sync and
 * log_read may run beside it.
 */
#ifndef QUIDDITCH_STORAGE_H
#define QUIDDITCH_STORAGE_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each defined by the plugin. */
typedef struct qd_storage qd_storage;               /* an open tier */
typedef struct qd_storage_object qd_storage_object; /* an object open for reading */
typedef struct qd_storage_put qd_storage_put;       /* an object being written */
typedef struct qd_storage_log qd_storage_log;       /* an open log */

/* qd_vtable.flags; the slots named must be there when the flag is set, and only then. */
enum {
    QD_STORAGE_DURABLE = 1,          /* outlives the process and a power loss; without it a node
                                      * with shards starts by unsafe_not_durable alone */
    QD_STORAGE_MMAP = 2,             /* object_map */
    QD_STORAGE_REMOTE = 4,           /* reached by network: requests cost latency, perhaps money */
    QD_STORAGE_APPEND = 8,           /* log_*: only such a tier may hold a writable shard */
    QD_STORAGE_CONDITIONAL_PUT = 16, /* publish_if */
    QD_STORAGE_RENAME = 32           /* rename */
};

/* How to open a tier; borrow, all of it. */
typedef struct qd_storage_config {
    uint32_t struct_size, noptions;
    qd_str tier;            /* name in the configuration, for messages */
    qd_str path;            /* folder or address; a folder is there already, mode 0700 */
    const qd_pair *options; /* storage.tiers.<tier>.* not known to the host, as text */
    uint64_t reserve;       /* bytes that capacity leaves out of `available` */
} qd_storage_config;

/* Limits and costs; fixed while the tier is open. */
typedef struct qd_storage_info {
    uint32_t struct_size;
    uint32_t read_align;      /* offsets and lengths aligned so are cheapest; 1: no matter */
    uint64_t publish_max;     /* bytes of a point; at least 1 MiB */
    uint64_t object_max;      /* bytes of an object; at least 1 GiB */
    uint64_t read_size;       /* from which on a request's own cost does not matter, bytes */
    int64_t request_ns;       /* typical latency of one small read */
    int64_t request_cost;     /* of one read, in millionths of a reading of read_size bytes */
    uint32_t reads_in_flight; /* ranges worth having in flight at once */
    uint32_t reserved;
} qd_storage_info;

enum { QD_STORAGE_OBJECT = 1, QD_STORAGE_POINT = 2, QD_STORAGE_LOG = 3, QD_STORAGE_UNKNOWN = 4 };
/* What list and stat tell. A tier that cannot tell objects and points apart says OBJECT. UNKNOWN:
 * found in the folder, not of this plugin's making (a folder, a socket, a foreign name). */
typedef struct qd_storage_stat {
    qd_str name;      /* borrow; relative to the tier */
    uint64_t size;    /* bytes; of a log an upper bound, which may hold preallocated room */
    int64_t mtime_ns; /* wall clock; 0: unknown */
    uint32_t type, reserved;
} qd_storage_stat;

/* One range of a read: len bytes at offset go to dst. */
typedef struct qd_storage_range {
    uint64_t offset, len;
    void *dst;
} qd_storage_range;

enum {
    QD_STORAGE_READ_SEQUENTIAL = 1, /* a merge or copy: read ahead, keep nothing in caches */
    QD_STORAGE_READ_URGENT = 2,     /* somebody waits */
    QD_STORAGE_READ_CACHED = 4      /* with SEQUENTIAL: what a cache holds may come from there */
};
/* A vectored read, embedded in the caller's request; everything is kept until op.done. Bytes of dst
 * are undefined unless it ends with 0: there are no short reads, a range past the end is QD_E_EOF.
 */
typedef struct qd_storage_read {
    qd_op op;
    const qd_storage_range *ranges;
    uint32_t nranges; /* 1 to 4096 */
    uint32_t flags;
    qd_err *err;     /* may be NULL; touched before op.done only */
    void *plugin[4]; /* the plugin's own words from submit to done */
} qd_storage_read;

enum {
    /* Visible at once, durable after sync_objects only: until then a power loss may take it, or
     * leave it cut or torn under its name. */
    QD_STORAGE_COMMIT_LAZY = 1
};
enum {
    QD_STORAGE_LOG_CREATE = 1, /* make it when absent; without: NOTFOUND */
    QD_STORAGE_LOG_EXCL = 2    /* with CREATE: EXISTS when it is there */
};

/* Is it a name as above? For the host and for plugins. */
static inline int qd_storage_name_ok(qd_str name)
{
    size_t i;
    if (name.n == 0 || name.n > 255) return 0;
    for (i = 0; i < name.n; i++) {
        char c = name.p[i];
        int first = i == 0 || name.p[i - 1] == '/';
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '+' || c == '-' || c == '.';
        if (c == '/' ? first || i + 1 == name.n : !plain || (c == '.' && first)) return 0;
    }
    return 1;
}

typedef struct qd_storage_vtable {
    qd_vtable head;

    /* Opens a tier: one handle for each configured one. Removes what unfinished puts and publishes
     * of an earlier process left. */
    int32_t (*open)(qd_self *, const qd_storage_config *, qd_storage **out, qd_err *);
    /* Ends the handle when no object, put or log is open: else QD_E_STATE, and nothing happened. */
    int32_t (*close)(qd_storage *, qd_err *);
    void (*info)(qd_storage *, qd_storage_info *out); /* caller sets struct_size. [any] */
    /* Bytes in all, and free without the reserve. */
    int32_t (*capacity)(qd_storage *, uint64_t *total, uint64_t *available, qd_err *);

    /* --- objects: reading. An open object stays readable until closed, even if deleted. --- */
    int32_t (*object_open)(qd_storage *, qd_str name, qd_storage_object **out, uint64_t *len,
                           qd_err *);
    /* All reads have been completed and all maps been given up by now. */
    void (*object_close)(qd_storage_object *);
    /* MMAP: the whole object as memory, valid until object_close. len is the length that the caller
     * has verified; CORRUPT if the object is no longer that long. At most one map an object. The
     * host's SIGBUS handler guards the range: device errors there are the host's to handle. */
    int32_t (*object_map)(qd_storage_object *, uint64_t len, const uint8_t **data, qd_err *);
    /* Submits a read; ends through the loop service's complete, on success or not. All ranges of
     * one call are in flight together; ranges may touch but their dst not overlap. [any] */
    int32_t (*read_v)(qd_storage_object *, qd_storage_read *);
    /* Asks for an early end: op.done still follows, with QD_E_CANCELLED or the read's own result.
     * No effect on a read already completed. The read is alive: not after done. [any] */
    void (*read_cancel)(qd_storage_object *, qd_storage_read *);

    /* --- objects: writing. Nothing is seen under the name before commit returned 0. --- */
    /* size: expected bytes, 0 unknown; a hint for preallocation. EXISTS may come here or at commit.
     */
    int32_t (*put_begin)(qd_storage *, qd_str name, uint64_t size, qd_storage_put **out, qd_err *);
    /* Appends. After an error only put_abort is allowed. */
    int32_t (*put_write)(qd_storage_put *, const void *data, size_t len, qd_err *);
    /* Makes it durable (data, then name, then folder) and visible, at once or not at all. EXISTS
     * when the name was taken meanwhile: objects are never replaced. Ends the put, whatever it
     * returns. flags: QD_STORAGE_COMMIT_*. */
    int32_t (*put_commit)(qd_storage_put *, uint32_t flags, qd_err *);
    /* Ends the put; nothing stays. */
    void (*put_abort)(qd_storage_put *);
    /* Makes objects committed lazily durable, data before names, with one sync a folder. Absent
     * names are NOTFOUND. After an error (never retried) none of them may be counted on. */
    int32_t (*sync_objects)(qd_storage *, const qd_str *names, size_t n, qd_err *);

    /* --- points --- */
    /* Replaces or makes the whole object: a reader at any time, and after a crash, sees the old or
     * the new bytes. Durable when it returns 0; after an error either may be there. */
    int32_t (*publish)(qd_storage *, qd_str name, const void *data, size_t len, qd_err *);
    /* CONDITIONAL_PUT: only if the present tag is `tag` (empty: only if there is none), else
     * QD_E_CONFLICT. tag_out: 64 bytes for the new tag, NUL-terminated. */
    int32_t (*publish_if)(qd_storage *, qd_str name, const void *data, size_t len, qd_str tag,
                          char *tag_out, qd_err *);
    /* Reads a whole object or point of at most cap bytes (LIMIT when longer). *len: its bytes. */
    int32_t (*get)(qd_storage *, qd_str name, void *dst, size_t cap, size_t *len, qd_err *);

    /* --- logs (APPEND) --- */
    /* *end: where the next append goes: all bytes found, at least those synced. After a crash what
     * lies behind the last synced byte may be torn, zeros or of an earlier life of recycled blocks:
     * the caller's records carry checksum and generation; it scans and truncates. The name of a new
     * log is durable when this returns. */
    int32_t (*log_open)(qd_storage *, qd_str name, uint32_t flags, qd_storage_log **out,
                        uint64_t *end, qd_err *);
    /* Appends all parts as one; *offset: where they begin. On NOSPACE or another error of which the
     * log recovered (QD_E_NOSPACE only) the log ends where it did before; on any other error it is
     * dead: every later call but log_read and log_close fails with QD_E_IO. n parts: 1 to 1024. */
    int32_t (*log_append_v)(qd_storage_log *, const qd_iovec *parts, uint32_t n, uint64_t *offset,
                            qd_err *);
    /* Returns 0 when all bytes before `upto` are durable. Many threads may wait at once; the plugin
     * serves them by one sync. An error kills the log. */
    int32_t (*log_sync)(qd_storage_log *, uint64_t upto, qd_err *);
    /* Reads at most len bytes at offset; *got < len only at the end. Sees what was appended. */
    int32_t (*log_read)(qd_storage_log *, uint64_t offset, void *dst, size_t len, size_t *got,
                        qd_err *);
    /* Cuts the log to `len` bytes (not more than it has), durably: later appends go there. */
    int32_t (*log_truncate)(qd_storage_log *, uint64_t len, qd_err *);
    /* Ends the handle, without a sync. */
    void (*log_close)(qd_storage_log *);

    /* --- names --- */
    /* Calls each() in byte order for every name that begins with prefix; stops at its first
     * non-zero result and returns that. Unfinished puts are never seen. each must not call the
     * plugin. */
    int32_t (*list)(qd_storage *, qd_str prefix,
                    int32_t (*each)(void *arg, const qd_storage_stat *), void *arg, qd_err *);
    int32_t (*stat)(qd_storage *, qd_str name, qd_storage_stat *out,
                    qd_err *); /* out->name = name */
    /* Removes an object, point or closed log. NOTFOUND when absent. Durable after sync_dir. */
    int32_t (*remove)(qd_storage *, qd_str name, qd_err *);
    /* Removes everything below the folder "a/b" and the folder; 0 when absent. Durable when it
     * returns 0; after an error or a crash some of it may be left. */
    int32_t (*remove_tree)(qd_storage *, qd_str folder, qd_err *);
    /* RENAME: atomic, durable when it returns 0; EXISTS when `to` is there. No open log or put. */
    int32_t (*rename)(qd_storage *, qd_str from, qd_str to, qd_err *);
    /* Makes removals in the folder (empty: the tier's root) durable. */
    int32_t (*sync_dir)(qd_storage *, qd_str folder, qd_err *);
} qd_storage_vtable;

#ifdef __cplusplus
}
#endif
#endif
