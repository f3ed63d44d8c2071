/*
 * store.h: files of shards over a storage plugin: small published objects, append-only logs, lists.
 * Immutable framed files are in store/file.h, reads of them in store/reads.h.
 *
 * A qd_store is one opened tier (one path, one bucket). Names are relative, at most 255 bytes,
 * '/'-separated, made of [A-Za-z0-9._+-] parts that do not begin with '.'; anything else is
 * QD_E_ARG. Nothing above this module calls a storage vtable, opens a file or keeps a base address
 * of one.
 */
#ifndef QD_STORE_STORE_H
#define QD_STORE_STORE_H

#include "base/err.h"
#include "base/mem.h"
#include <quidditch/types.h>

typedef struct qd_store qd_store;
typedef struct qd_store_log qd_store_log;

/* What upper layers may ask of a tier instead of asking which plugin it is. */
enum {
    QD_STORE_MMAP = 1u << 0,   /* objects can be mapped: fetching costs nothing */
    QD_STORE_APPEND = 1u << 1, /* has logs: may hold the translog of a writable shard */
    QD_STORE_REMOTE = 1u << 2, /* a request costs a network round trip */
    QD_STORE_DURABLE = 1u << 3 /* survives power loss once synced */
};

struct qd_storage_vtable; /* of quidditch/storage.h */
struct qd_storage;

/* Wraps an opened storage handle (plugin's vtable and tier); takes over its closing when it returns
 * 0. [any] QD_E_NOMEM, QD_E_ABI when a slot is missing. */
QD_MUST_CHECK
int qd_store_wrap(const struct qd_storage_vtable *vt, struct qd_storage *tier, qd_store **out,
                  qd_err *err);
/* Closes the tier; all files, writers and logs of it are closed before (asserted). NULL is fine.
 * [worker] */
void qd_store_close(qd_store *s);
/* QD_STORE_ flags. [any] */
uint32_t qd_store_caps(const qd_store *s);

/* Atomically creates or replaces a small object (a commit point, shard state; at most 16 MiB):
 * after return it and its directory entry are durable, and a reader ever sees old or new content,
 * checksummed and framed. [worker] QD_E_IO, QD_E_NOSPACE. */
QD_MUST_CHECK
int qd_store_publish(qd_store *s, qd_str name, qd_str format, uint32_t version, qd_str content,
                     qd_err *err);
/* Reads what qd_store_publish wrote into *out (free with qd_free), checking frame and checksum;
 * *version gets the format version, refused if above version_max (QD_E_FORMAT_NEW).
 * [worker] QD_E_NOTFOUND, QD_E_CORRUPT with name and offset, QD_E_IO. */
QD_MUST_CHECK
int qd_store_fetch(qd_store *s, qd_str name, qd_str format, uint32_t version_max,
                   qd_account *account, char **out, size_t *n, uint32_t *version, qd_err *err);
/* Makes objects that were committed without sync durable, with their directory entries. A failure
 * is final for these objects: they must be treated as lost. [worker] */
QD_MUST_CHECK
int qd_store_sync(qd_store *s, const qd_str *names, size_t n, qd_err *err);
/* Calls each(arg, name, bytes) for every object and log whose name starts with prefix, in byte
 * order; each returns 0 to go on. [worker] */
QD_MUST_CHECK
int qd_store_list(qd_store *s, qd_str prefix, int (*each)(void *arg, qd_str name, uint64_t bytes),
                  void *arg, qd_err *err);
/* The same, and with what is not of the tier's own making (ours false): foreign names, links,
 * sockets. For a node's start to name them; nothing else is ever done to them. [worker] */
QD_MUST_CHECK
int qd_store_list_all(qd_store *s, qd_str prefix, int (*each)(void *arg, qd_str name, bool ours),
                      void *arg, qd_err *err);
/* Removes many at once, durably; absent ones are fine. After an error some may be left. [worker] */
QD_MUST_CHECK
int qd_store_delete_many(qd_store *s, const qd_str *names, size_t n, qd_err *err);
/* Makes `to` an object with the bytes of the object `from`, durably, inside the tier where it can.
 * QD_E_EXISTS when `to` is there. [worker] */
QD_MUST_CHECK
int qd_store_copy(qd_store *s, qd_str from, qd_str to, qd_err *err);
/* Removes an object or log, durably; an absent one is fine. Open files stay readable. [worker] */
QD_MUST_CHECK
int qd_store_delete(qd_store *s, qd_str name, qd_err *err);
/* Removes everything below prefix (a shard's folder), durably. [worker] */
QD_MUST_CHECK
int qd_store_delete_all(qd_store *s, qd_str prefix, qd_err *err);
/* Moves an object aside into lost+found/ under its own name with '/' as '_' (and ".1", ".2" … when
 * that is taken). [worker] */
QD_MUST_CHECK
int qd_store_set_aside(qd_store *s, qd_str name, qd_err *err);
/* How many open files were found to be damaged so far (qd_file_damaged): who looks after them
 * compares it with what it was. [any] */
uint64_t qd_store_damaged(const qd_store *s);
/* Calls that were made again because the tier throttled or did not answer. [any] */
uint64_t qd_store_retries(const qd_store *s);
/* Bytes in all and free; at most 2^53, which stands for no bound as well. [worker] */
QD_MUST_CHECK
int qd_store_capacity(qd_store *s, uint64_t *total, uint64_t *available, qd_err *err);

/* Opens (create: makes, failing if there) an append-only log. One owner at a time. [worker] */
QD_MUST_CHECK
int qd_store_log_open(qd_store *s, qd_str name, bool create, qd_store_log **out, qd_err *err);
/* Appends all vectors as one contiguous write; *offset gets where it begins. After a failure the
 * log is cut back to the last good end before the next append; QD_E_NOSPACE may be tried again,
 * QD_E_IO makes the log unusable for appends. [worker] */
QD_MUST_CHECK
int qd_store_log_append(qd_store_log *l, const qd_iovec *v, size_t n, uint64_t *offset,
                        qd_err *err);
/* Makes all appended bytes durable. A failure is final: the log refuses everything afterwards but
 * reads and close (a failed fsync is never retried). [worker] */
QD_MUST_CHECK
int qd_store_log_sync(qd_store_log *l, qd_err *err);
/* Reads up to n bytes at offset; *got < n only at the end. [worker] */
QD_MUST_CHECK
int qd_store_log_read(qd_store_log *l, uint64_t offset, void *buf, size_t n, size_t *got,
                      qd_err *err);
/* Cuts the log to bytes, durably. [worker] */
QD_MUST_CHECK
int qd_store_log_truncate(qd_store_log *l, uint64_t bytes, qd_err *err);
/* End of the appended bytes. [any] */
uint64_t qd_store_log_end(const qd_store_log *l);
/* Closes; nothing is synced. NULL is fine. [worker] */
void qd_store_log_close(qd_store_log *l);

#endif
