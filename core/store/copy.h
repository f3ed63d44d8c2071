/*
 * copy.h: immutable files from one tier to another, byte by byte: reading one as it is, receiving
 * one under its name once every byte has been checked.
 */
#ifndef QD_STORE_COPY_H
#define QD_STORE_COPY_H

#include "store/file.h"

/* Names the content: XXH3-64 of header and footer, which hold the checksums of every page. [any] */
uint64_t qd_file_hash(const qd_file *f);
/* Reads the file's bytes as they are on the tier, frame and all, unchecked; *got < n only at the
 * end. [worker] QD_E_IO. */
QD_MUST_CHECK
int qd_file_bytes_at(qd_file *f, uint64_t offset, void *buf, size_t n, size_t *got, qd_err *err);

typedef struct qd_file_receiver qd_file_receiver;
/* Begins to receive the file `name` of so many bytes; nothing is seen under the name before finish.
 * [worker] QD_E_EXISTS, QD_E_NOSPACE, QD_E_IO. */
QD_MUST_CHECK
int qd_file_receive_begin(qd_store *s, qd_str name, uint64_t bytes, qd_account *account,
                          qd_file_receiver **out, qd_err *err);
/* The next bytes. QD_E_CORRUPT: more than announced. [worker] */
QD_MUST_CHECK
int qd_file_receive_append(qd_file_receiver *r, const void *p, size_t n, qd_err *err);
/* Names the file and checks length, every page and the hash; readable at once, durable after
 * qd_store_sync. On failure nothing is left behind. Frees r. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_file_receive_finish(qd_file_receiver *r, uint64_t hash, qd_err *err);
/* Gives up: nothing is left behind. NULL is fine. [worker] */
void qd_file_receive_abort(qd_file_receiver *r);
/* Is the object `name` a whole, undamaged file of these bytes and this hash? 0, QD_E_NOTFOUND,
 * QD_E_CORRUPT (also when it is another file). Reads all of it. [worker] */
QD_MUST_CHECK
int qd_file_matches(qd_store *s, qd_str name, uint64_t bytes, uint64_t hash, qd_account *account,
                    qd_err *err);

#endif
