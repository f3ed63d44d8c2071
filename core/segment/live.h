/*
 * live.h: which documents of a segment are not deleted.
 *
 * A qd_live is a bitmap (bit 1 = live) shared by reference count. While its maker holds the only
 * reference it may be changed; once shared it is frozen, and the next deletion clones it. On disk
 * each generation is an immutable framed object `live-<32 hex of the segment>-<16 hex generation>`.
 * A segment without deletions has none: NULL stands for "all live" everywhere.
 */
#ifndef QD_SEGMENT_LIVE_H
#define QD_SEGMENT_LIVE_H

#include "segment/schema.h"
#include "store/file.h"

#define QD_LIVE_NAME_BYTES 56u /* "live-" 32 "-" 16 and a NUL, rounded */

typedef struct qd_live qd_live;

/* All of docs documents live, one reference. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_live_make(uint32_t docs, qd_account *account, qd_live **out, qd_err *err);
/* A changeable copy with one reference; from is kept. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_live_clone(const qd_live *from, qd_account *account, qd_live **out, qd_err *err);
/* One reference more; NULL is fine. [any] */
qd_live *qd_live_ref(qd_live *l);
/* One reference less; NULL is fine. [any] */
void qd_live_unref(qd_live *l);
/* Marks doc deleted; false when it was already. Only with one reference. [worker] */
bool qd_live_delete(qd_live *l, uint32_t doc);
/* Is doc live? l NULL: yes. [any] */
bool qd_live_has(const qd_live *l, uint32_t doc);
/* The bitmap: bit d of word d / 64; (docs + 63) / 64 words, bits behind docs are 0. [any] */
const uint64_t *qd_live_bits(const qd_live *l);
/* Documents, live and deleted. [any] */
uint32_t qd_live_docs(const qd_live *l);
/* Live documents. [any] */
uint32_t qd_live_count(const qd_live *l);
/* The object's name of a generation into buf (QD_LIVE_NAME_BYTES). [any] */
qd_str qd_live_name(const uint8_t segment[16], uint64_t generation, char *buf);
/* Is name a live object's? Then *segment (16 bytes) and *generation (both may be NULL). [any] */
bool qd_live_name_parse(qd_str name, uint8_t *segment, uint64_t *generation);
/* Writes a generation below prefix ("" or "folder/"), durably with sync, else until qd_store_sync
 * only readable; id is the object's random identity. bytes (may be NULL) gets its length. [worker]
 * QD_E_IO, QD_E_NOSPACE, QD_E_ARG. */
QD_MUST_CHECK
int qd_live_write(const qd_live *l, qd_store *s, qd_str prefix, const uint8_t segment[16],
                  uint64_t generation, const uint8_t id[16], bool sync, uint64_t *bytes,
                  qd_err *err);
/* Reads a generation; docs is what the segment has. [worker] QD_E_NOTFOUND, QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_live_open(qd_store *s, qd_str prefix, const uint8_t segment[16], uint64_t generation,
                 uint32_t docs, qd_account *account, qd_live **out, qd_err *err);

#endif
