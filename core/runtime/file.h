/*
 * file.h: small files of the node itself: configuration, logs, lock, key files, input of the tools.
 *
 * Files of a shard never pass here but through store and the storage kind. All calls block: for
 * start, workers and the tools, never a loop. New files are 0600 and new folders 0700 unless said
 * otherwise. Paths are C strings in the file system's encoding.
 */
#ifndef QD_RUNTIME_FILE_H
#define QD_RUNTIME_FILE_H

#include "base/err.h"
#include "base/str.h"
#include <quidditch/types.h>

typedef struct qd_file_info {
    bool is_dir, is_regular, is_link;
    uint32_t mode; /* permission bits */
    uint32_t uid, gid;
    uint64_t size; /* bytes */
    int64_t mtime_ms;
    uint64_t device, inode;
} qd_file_info;

/* Appends the whole file to out, whose maximum bounds it. 0, QD_E_NOTFOUND, QD_E_PERMISSION,
 * QD_E_LIMIT (longer than out allows), QD_E_IO, QD_E_NOMEM. [worker] */
QD_MUST_CHECK
int qd_file_read(const char *path, qd_buf *out, qd_err *err);
/* Appends at most n bytes from offset to out; fewer at the end of the file. Errors as above. */
QD_MUST_CHECK
int qd_file_read_at(const char *path, uint64_t offset, size_t n, qd_buf *out, qd_err *err);
/* Replaces the file as a whole: temporary file, fsync, rename, fsync of the folder. mode as in
 * chmod. 0, QD_E_PERMISSION, QD_E_NOSPACE, QD_E_IO. [worker] */
QD_MUST_CHECK
int qd_file_write_atomic(const char *path, qd_str data, uint32_t mode, qd_err *err);
/* Does the disk below the folder take anything? Writes a few bytes of a hidden file there in place
 * and syncs them, which takes as long as the disk does. 0, QD_E_PERMISSION, QD_E_NOSPACE, QD_E_IO.
 * [worker] */
QD_MUST_CHECK
int qd_dir_probe(const char *path, qd_err *err);
/* Facts of a path, without following a last link. 0, QD_E_NOTFOUND, QD_E_PERMISSION, QD_E_IO. */
QD_MUST_CHECK
int qd_file_stat(const char *path, qd_file_info *out, qd_err *err);
/* Does the path exist? [worker] */
bool qd_file_exists(const char *path);
/* Removes a file; absent is fine. 0, QD_E_PERMISSION, QD_E_IO. [worker] */
QD_MUST_CHECK
int qd_file_remove(const char *path, qd_err *err);
/* Renames within a file system and syncs both folders. [worker] */
QD_MUST_CHECK
int qd_file_rename(const char *from, const char *to, qd_err *err);
/* Makes a folder and its missing parents, whose names are durable on return; an existing one is
 * fine. [worker] */
QD_MUST_CHECK
int qd_dir_make(const char *path, uint32_t mode, qd_err *err);
/* Removes a folder with all it contains, not following links; absent is fine. [worker] */
QD_MUST_CHECK
int qd_dir_remove(const char *path, qd_err *err);
/* Calls fn for each name but . and .. in byte order; a result other than 0 ends the listing and is
 * returned. QD_E_NOTFOUND, QD_E_PERMISSION, QD_E_IO, QD_E_NOMEM. [worker] */
QD_MUST_CHECK
int qd_dir_list(const char *path, int (*fn)(void *arg, const char *name), void *arg, qd_err *err);
/* Total and available bytes of the file system that holds path. [worker] */
QD_MUST_CHECK
int qd_dir_capacity(const char *path, uint64_t *total, uint64_t *available, qd_err *err);
/* The absolute path without links, appended to out. 0, QD_E_NOTFOUND, QD_E_IO. [worker] */
QD_MUST_CHECK
int qd_path_real(const char *path, qd_buf *out, qd_err *err);

/* Reads a file or standard input ("-") as a stream. */
typedef struct qd_file_in qd_file_in;
/* Opens path for reading from its start. 0, QD_E_NOTFOUND, QD_E_PERMISSION, QD_E_IO, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_file_in_open(const char *path, qd_file_in **out, qd_err *err);
/* Reads up to n bytes; the number, 0 at the end, or a negative code. [worker] */
QD_MUST_CHECK
int64_t qd_file_in_read(qd_file_in *in, void *p, size_t n, qd_err *err);
/* Closes it; NULL is fine. */
void qd_file_in_close(qd_file_in *in);

/* Appends to a file (log, output of a tool), unbuffered. */
typedef struct qd_file_out qd_file_out;
#define QD_FILE_STDERR "-2"
/* Opens path ("-": standard output, QD_FILE_STDERR: standard error) for appending, or empties it
 * first. */
QD_MUST_CHECK
int qd_file_out_open(const char *path, bool truncate, uint32_t mode, qd_file_out **out,
                     qd_err *err);
/* Its descriptor, which stays the same over qd_file_out_reopen; -1 for NULL. */
int qd_file_out_descriptor(const qd_file_out *out);
/* Writes all n bytes. 0, QD_E_NOSPACE, QD_E_IO. [worker] */
QD_MUST_CHECK
int qd_file_out_write(qd_file_out *out, const void *p, size_t n, qd_err *err);
/* What was written, and the file's name, is on disk on return. 0, QD_E_NOSPACE, QD_E_IO. [worker]
 */
QD_MUST_CHECK
int qd_file_out_sync(qd_file_out *out, qd_err *err);
/* Opens the path anew, after a log rotation moved the file away. [worker] */
QD_MUST_CHECK
int qd_file_out_reopen(qd_file_out *out, qd_err *err);
/* Closes it; NULL is fine. */
void qd_file_out_close(qd_file_out *out);

/* A lock that one process holds (an open-file-description lock, which dies with its holder). */
typedef struct qd_file_lock qd_file_lock;
/* Takes the lock and writes the pid into the file. QD_E_LOCKED names the holder's pid. [worker] */
QD_MUST_CHECK
int qd_file_lock_take(const char *path, qd_file_lock **out, qd_err *err);
/* Gives the lock back; the file stays. NULL is fine. */
void qd_file_lock_release(qd_file_lock *lock);

#endif
