/*
 * storage.h: the storage kind, version 0.2: one tier of storage, holding
 *   objects    written once as a stream, then immutable: put_*, object_*;
 *   registers  small objects replaced atomically, with a tag for compare-and-swap: publish, get;
 *   logs       append-only with explicit sync: log_* (flag APPEND).
 *
 * Names are relative paths of [A-Za-z0-9._+-] parts joined by '/', at most 255 bytes, no part
 * beginning with '.': "indices/<uuid>/0/seg-<id>". The host checks them; a plugin checks again.
 * Folders come and go by themselves; no name is a folder of another one ("a" beside "a/b").
 * Objects, registers and logs share one space of names.
 *
 * Durability, with flag DURABLE: what put_commit, publish, remove or log_sync returned 0 for
 * survives a power loss; what was not yet returned for may be there, be gone, or (logs only) be
 * torn. A failed sync is never retried by anybody: the object or log it was for is dead. A local
 * file system may sync later than that: see LAZY.
 *
 * Calls. Every slot that may block takes a qd_storage_call (NULL: no deadline, no cancellation, no
 * text). It looks at deadline and task when it begins and before each further request or wait:
 * TIMEOUT and CANCELLED come with nothing begun, or, from a tier that waits for answers, with an
 * outcome that nobody knows. Calls on logs and put_commit look only when they begin.
 *
 * Errors: negative codes of errors.def, with text in call->err naming the object and the system's
 * words (host service err). NOTFOUND no such name; EXISTS name taken; EOF range behind the end;
 * NOSPACE tier full; IO the device; CORRUPT damage seen; LIMIT a limit of info; CANCELLED; STATE a
 * call out of order; ARG a bad name; CONFLICT another tag. On an error out-parameters are
 * untouched. Two codes invite a second try, which the host makes until its own deadline:
 *   REJECTED  the tier throttles: nothing happened. The detail "retry_after_ms" says when to come
 *             back (qd_storage_rejected).
 *   TIMEOUT   no answer came in time: the call may have taken effect. Every call but put_begin,
 *             log_append_v, log_sync and log_truncate can be repeated, and ends then as if the
 *             first had not been.
 * read_v makes its own second tries.
 *
 * Threads: every slot but info, read_v and read_cancel may block: [worker]. One handle may be used
 * by many threads; one put by one thread at a time; one log by one appender at a time, while
 * log_sync and log_read may run beside it.
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
    QD_STORAGE_APPEND = 8,           /* log_*: only such a tier may hold the log of a shard */
    QD_STORAGE_CONDITIONAL_PUT = 16, /* publish_if; get, stat and list tell tags */
    QD_STORAGE_RENAME = 32,          /* rename */
    QD_STORAGE_LAZY = 64,        /* sync_objects, sync_dir: syncs may be put off (COMMIT_LAZY), and
                                  * removals are durable after sync_dir only. Without it every call
                                  * is durable when it returns, and the host never asks for more */
    QD_STORAGE_TREE = 128,       /* remove_tree; the host lists and removes where it is absent */
    QD_STORAGE_COPY = 256,       /* copy; the host reads and writes where it is absent */
    QD_STORAGE_CHECKSUM = 512,   /* put_commit compares what arrived with the sum handed over */
    QD_STORAGE_STALE_LIST = 1024 /* list lags behind by up to info.list_lag_ns, but
                                  * never for logs */
};

/* What goes along with a call; borrow, or keep until op.done (read_v). */
typedef struct qd_storage_call {
    uint32_t struct_size, reserved;
    int64_t deadline_ns; /* of the service clock's mono_ns; 0: none */
    const qd_task *task; /* of the service task: give up when it is cancelled; may be NULL */
    qd_err *err;         /* may be NULL */
} qd_storage_call;

#define QD_STORAGE_TAG 64u /* room for a tag, its NUL included */
#define QD_STORAGE_LEN_UNKNOWN 0xffffffffffffffffull
#define QD_STORAGE_NAMES_MAX 1000u /* of one list or remove */

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
    uint64_t publish_max;     /* bytes of a register; at least 1 MiB */
    uint64_t object_max;      /* bytes of an object; at least 1 GiB */
    uint64_t read_size;       /* from which on a request's own cost does not matter, bytes */
    int64_t request_ns;       /* typical latency of one small read */
    int64_t request_cost;     /* of one read, in millionths of a reading of read_size bytes */
    uint32_t reads_in_flight; /* ranges worth having in flight at once */
    uint32_t requests_per_s;  /* that the tier takes before it throttles; 0: not known */
    int64_t put_ns;           /* typical latency of one small put */
    int64_t put_cost;         /* of one put, publish or copy, in the unit of request_cost */
    int64_t list_cost;        /* of one list */
    int64_t remove_cost;      /* of one remove, however many names it has */
    int64_t list_lag_ns;      /* STALE_LIST: how far list lags at most */
} qd_storage_info;

enum {
    QD_STORAGE_OBJECT = 1,
    QD_STORAGE_REGISTER = 2,
    QD_STORAGE_LOG = 3,
    QD_STORAGE_UNKNOWN = 4,
    QD_STORAGE_FOLDER = 5
};
/* What list and stat tell. A tier that cannot tell objects and registers apart says OBJECT.
 * UNKNOWN: found in the folder, not of this plugin's making (a folder, a socket, a foreign name).
 * FOLDER: of list with LIST_FOLDERS only. */
typedef struct qd_storage_stat {
    qd_str name;      /* borrow; relative to the tier */
    uint64_t size;    /* bytes; of a log an upper bound, which may hold preallocated room */
    int64_t mtime_ns; /* wall clock; 0: unknown */
    uint32_t type, reserved;
    /* CONDITIONAL_PUT, of objects and registers: names these very contents, NUL-terminated; a
     * register gets another one with each publish that changes its bytes. Else empty. */
    char tag[QD_STORAGE_TAG];
} qd_storage_stat;

enum { QD_STORAGE_LIST_FOLDERS = 1 };
/* One page of a list. All but the last two members are the caller's; borrow. */
typedef struct qd_storage_list {
    uint32_t struct_size, flags;
    qd_str prefix;      /* names that begin so; may be empty */
    qd_str start_after; /* and stand behind this one in byte order; empty: from the first on. The
                         * cursor: the last name of the page before */
    qd_storage_stat *entries; /* room for `limit` */
    char *names;              /* room for limit * 256 bytes: entries[].name point into it */
    uint32_t limit;           /* 1 to QD_STORAGE_NAMES_MAX */
    uint32_t nentries;        /* out; in byte order of the names */
    uint32_t more;            /* out: 1 when there may be names behind the last entry */
    uint32_t reserved;
} qd_storage_list;

enum { QD_STORAGE_SUM_CRC32C = 1 };
/* What the writer of an object knows of all its bytes. */
typedef struct qd_storage_sum {
    uint64_t len;
    uint32_t crc32c; /* Castagnoli, as iSCSI and ext4 have it */
    uint32_t flags;  /* QD_STORAGE_SUM_* */
} qd_storage_sum;

/* One range of a read: len bytes at offset go to dst. */
typedef struct qd_storage_range {
    uint64_t offset, len;
    void *dst;
} qd_storage_range;

enum {
    QD_STORAGE_READ_SEQUENTIAL = 1, /* a merge or copy: read ahead, keep nothing in caches */
    QD_STORAGE_READ_URGENT = 2,     /* somebody waits */
    QD_STORAGE_READ_CACHED = 4,     /* with SEQUENTIAL: what a cache holds may come from there */
    /* The one range asks for the end of the object: dst gets its last len bytes (all of a shorter
     * one) at its beginning; offset is 0. */
    QD_STORAGE_READ_SUFFIX = 8
};
/* A vectored read, embedded in the caller's request; everything is kept until op.done. Bytes of dst
 * are undefined unless it ends with 0: there are no short reads, a range past the end is QD_E_EOF.
 */
typedef struct qd_storage_read {
    qd_op op;
    const qd_storage_range *ranges;
    uint32_t nranges; /* 1 to 4096 */
    uint32_t flags;
    const qd_storage_call *call; /* may be NULL; err is touched before op.done only */
    uint64_t object_len;         /* out: with READ_SUFFIX, bytes of the object */
    void *plugin[8];             /* the plugin's own words from submit to done */
} qd_storage_read;

enum {
    /* LAZY: visible at once, durable after sync_objects only: until then a power loss may take it,
     * or leave it cut or torn under its name. */
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

/* REJECTED with its detail: come back after retry_after_ms. For plugins. */
static inline int32_t qd_storage_rejected(const qd_svc_err *svc, const qd_storage_call *call,
                                          uint32_t retry_after_ms, qd_str reason)
{
    char digits[16];
    size_t at = sizeof digits;
    qd_str value;
    if (!call || !call->err) return QD_E_REJECTED;
    do digits[--at] = (char)('0' + retry_after_ms % 10);
    while (retry_after_ms /= 10);
    value.p = digits + at;
    value.n = sizeof digits - at;
    svc->set(call->err, QD_E_REJECTED, reason);
    svc->detail(call->err, "retry_after_ms", value);
    return QD_E_REJECTED;
}

/* May the call go on? 0, QD_E_TIMEOUT or QD_E_CANCELLED. For plugins; self for the clock. */
static inline int32_t qd_storage_go_on(const qd_storage_call *call, const qd_svc_clock *clock,
                                       const qd_svc_task *tasks, qd_self *self)
{
    if (!call) return 0;
    if (call->task && tasks->cancelled(call->task)) return QD_E_CANCELLED;
    return call->deadline_ns && clock->mono_ns(self) >= call->deadline_ns ? QD_E_TIMEOUT : 0;
}

typedef struct qd_storage_vtable {
    qd_vtable head;

    /* Opens a tier: one handle for each configured one. Removes what unfinished puts and publishes
     * of an earlier process left. */
    int32_t (*open)(qd_self *, const qd_storage_config *, qd_storage **out, qd_err *);
    /* Ends the handle when no object, put or log is open: else QD_E_STATE, and nothing happened. */
    int32_t (*close)(qd_storage *, qd_err *);
    void (*info)(qd_storage *, qd_storage_info *out); /* caller sets struct_size. [any] */
    /* Bytes in all, and free without the reserve. UINT64_MAX both: the tier has no bound. */
    int32_t (*capacity)(qd_storage *, uint64_t *total, uint64_t *available,
                        const qd_storage_call *);

    /* --- objects: reading. An open object stays readable until closed, even if deleted. --- */
    /* known: its length where the caller knows it, else LEN_UNKNOWN. With it a REMOTE tier makes
     * no request: *len = known, and an absent object (NOTFOUND) or one of another length (CORRUPT)
     * shows at the first read; a local tier says so at once. Without it a REMOTE tier may put the
     * question off as well: *len = LEN_UNKNOWN, and a suffix read tells. */
    int32_t (*object_open)(qd_storage *, qd_str name, uint64_t known, qd_storage_object **out,
                           uint64_t *len, const qd_storage_call *);
    /* All reads have been completed and all maps been given up by now. */
    void (*object_close)(qd_storage_object *);
    /* MMAP: the whole object as memory, valid until object_close. len is the length that the caller
     * has verified; CORRUPT if the object is no longer that long. At most one map an object. The
     * host's SIGBUS handler guards the range: device errors there are the host's to handle. */
    int32_t (*object_map)(qd_storage_object *, uint64_t len, const uint8_t **data,
                          const qd_storage_call *);
    /* Submits a read; ends through the loop service's complete, on success or not. All ranges of
     * one call are in flight together; ranges may touch but their dst not overlap. [any] */
    int32_t (*read_v)(qd_storage_object *, qd_storage_read *);
    /* Asks for an early end: op.done still follows, with QD_E_CANCELLED or the read's own result.
     * No effect on a read already completed. The read is alive: not after done. [any] */
    void (*read_cancel)(qd_storage_object *, qd_storage_read *);

    /* --- objects: writing. Nothing is seen under the name before commit returned 0. --- */
    /* size: expected bytes, 0 unknown; a hint for preallocation and parts. EXISTS may come here or
     * at commit. A tier may gather pieces and send them as parts in parallel. */
    int32_t (*put_begin)(qd_storage *, qd_str name, uint64_t size, qd_storage_put **out,
                         const qd_storage_call *);
    /* Appends. After REJECTED or TIMEOUT nothing of the piece was taken: it may come again. After
     * any other error only put_abort is allowed. */
    int32_t (*put_write)(qd_storage_put *, const void *data, size_t len, const qd_storage_call *);
    /* Makes it durable (data, then name, then folder) and visible, at once or not at all. EXISTS
     * when the name was taken meanwhile: objects are never replaced. flags: QD_STORAGE_COMMIT_*.
     * sum (may be NULL), with CHECKSUM: CORRUPT when what arrived is something else, and nothing
     * is left of it. After REJECTED or TIMEOUT the put lives on: commit it again, which is 0 when
     * the first one did take effect, or abort it. Any other result ends it. */
    int32_t (*put_commit)(qd_storage_put *, uint32_t flags, const qd_storage_sum *sum,
                          const qd_storage_call *);
    /* Ends the put; nothing stays but, after a commit whose outcome is not known, the object. */
    void (*put_abort)(qd_storage_put *);
    /* LAZY: makes objects committed lazily durable, data before names, with one sync a folder.
     * Absent names are NOTFOUND. After an error (never retried) none of them may be counted on. */
    int32_t (*sync_objects)(qd_storage *, const qd_str *names, size_t n, const qd_storage_call *);

    /* --- registers --- */
    /* Replaces or makes the whole register: a reader at any time, and after a crash, sees the old
     * or the new bytes. Durable when it returns 0; after an error either may be there. tag: NULL,
     * or QD_STORAGE_TAG bytes for the new tag. */
    int32_t (*publish)(qd_storage *, qd_str name, const void *data, size_t len, char *tag,
                       const qd_storage_call *);
    /* CONDITIONAL_PUT: only if the present tag is `expected` (empty: only if there is none), else
     * QD_E_CONFLICT. After TIMEOUT a second try may find the caller's own first one: CONFLICT, and
     * the bytes tell. */
    int32_t (*publish_if)(qd_storage *, qd_str name, const void *data, size_t len, qd_str expected,
                          char *tag, const qd_storage_call *);
    /* Reads a whole object or register of at most cap bytes (LIMIT when longer). *len: its bytes.
     * tag: NULL, or QD_STORAGE_TAG bytes for the tag of these very bytes. */
    int32_t (*get)(qd_storage *, qd_str name, void *dst, size_t cap, size_t *len, char *tag,
                   const qd_storage_call *);

    /* --- logs (APPEND) --- */
    /* *end: where the next append goes: all bytes found, at least those synced. After a crash what
     * lies behind the last synced byte may be torn, zeros or of an earlier life of recycled blocks:
     * the caller's records carry checksum and generation; it scans and truncates. The name of a new
     * log is durable when this returns. */
    int32_t (*log_open)(qd_storage *, qd_str name, uint32_t flags, qd_storage_log **out,
                        uint64_t *end, const qd_storage_call *);
    /* Appends all parts as one; *offset: where they begin. After NOSPACE, REJECTED and CANCELLED
     * the log ends where it did before and lives on; after any other error it is dead: every later
     * call but log_read and log_close fails with QD_E_IO. n parts: 1 to 1024. */
    int32_t (*log_append_v)(qd_storage_log *, const qd_iovec *parts, uint32_t n, uint64_t *offset,
                            const qd_storage_call *);
    /* Returns 0 when all bytes before `upto` are durable. Many threads may wait at once; the plugin
     * serves them by one sync. REJECTED: ask again; any other error kills the log. */
    int32_t (*log_sync)(qd_storage_log *, uint64_t upto, const qd_storage_call *);
    /* Reads at most len bytes at offset; *got < len only at the end. Sees what was appended. */
    int32_t (*log_read)(qd_storage_log *, uint64_t offset, void *dst, size_t len, size_t *got,
                        const qd_storage_call *);
    /* Cuts the log to `len` bytes (not more than it has), durably: later appends go there. */
    int32_t (*log_truncate)(qd_storage_log *, uint64_t len, const qd_storage_call *);
    /* Ends the handle, without a sync. */
    void (*log_close)(qd_storage_log *);

    /* --- names --- */
    /* One page. LIST_FOLDERS: names with a '/' behind the prefix are one entry a folder, "a/b/".
     * Unfinished puts are never seen. A name that is there throughout is in exactly one of the
     * pages that a cursor goes through. */
    int32_t (*list)(qd_storage *, qd_storage_list *, const qd_storage_call *);
    int32_t (*stat)(qd_storage *, qd_str name, qd_storage_stat *out,
                    const qd_storage_call *); /* out->name = name */
    /* Removes objects, registers and closed logs, 1 to QD_STORAGE_NAMES_MAX; absent ones are fine.
     * After an error some may be left. *removed (may be NULL): how many were there; a tier that
     * does not learn it says n. With LAZY durable after sync_dir. */
    int32_t (*remove)(qd_storage *, const qd_str *names, uint32_t n, uint32_t *removed,
                      const qd_storage_call *);
    /* TREE: removes everything below the folder "a/b" and the folder; 0 when absent. Durable when
     * it returns 0; after an error or a crash some of it may be left. */
    int32_t (*remove_tree)(qd_storage *, qd_str folder, const qd_storage_call *);
    /* RENAME: atomic, durable when it returns 0; EXISTS when `to` is there. No open log or put. */
    int32_t (*rename)(qd_storage *, qd_str from, qd_str to, const qd_storage_call *);
    /* COPY: makes `to` an object with the bytes of the object or register `from`, which leave the
     * tier not at all. Visible at once or not at all, durable when it returns 0; EXISTS when `to`
     * is there. */
    int32_t (*copy)(qd_storage *, qd_str from, qd_str to, const qd_storage_call *);
    /* LAZY: makes removals in the folder (empty: the tier's root) durable. */
    int32_t (*sync_dir)(qd_storage *, qd_str folder, const qd_storage_call *);
} qd_storage_vtable;

#ifdef __cplusplus
}
#endif
#endif
