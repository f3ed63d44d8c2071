/*
 * reads.h: plan, fetch, pin. A query adds the byte ranges it needs, fetches them in one call, and
 * reads the pinned bytes until it is done. On a mapped tier adding is pointer arithmetic and the
 * fetch only verifies pages not yet touched by this process.
 *
 * A range is exact: decoders read no byte outside it, so SIMD loads ask for the slack they need
 * (sections have QD_FILE_SLACK readable bytes behind their end; a range may reach into them).
 * One thread at a time; the batch may move between threads between phases.
 */
#ifndef QD_STORE_READS_H
#define QD_STORE_READS_H

#include "base/arena.h"
#include "store/file.h"

typedef struct qd_reads qd_reads;

/* A new, empty batch living in arena (its pins end with the arena's reset or qd_reads_release).
 * account pays for copies on tiers that cannot map. NULL when out of memory. [worker] */
QD_MUST_CHECK
qd_reads *qd_reads_make(qd_arena *arena, qd_account *account);
/* Adds [off, off + len) of a section; *slot names it for qd_reads_at. The file is referenced until
 * release. [worker] QD_E_CORRUPT when the range is outside the section plus slack. */
QD_MUST_CHECK
int qd_reads_add(qd_reads *r, qd_file *f, uint32_t section, uint64_t off, uint64_t len,
                 uint32_t *slot, qd_err *err);
/* Are all ranges added so far usable without waiting? Then qd_reads_fetch does not block. [any] */
bool qd_reads_ready(const qd_reads *r);
/* Fetches and verifies all ranges added since the last fetch, in one vectored request a file. Where
 * the tier has to wait, a caller on a fiber leaves its worker meanwhile (runtime/fiber.h), and the
 * end of its task ends the wait; any other blocks. [worker] QD_E_CORRUPT, QD_E_IO, QD_E_BREAKER,
 * QD_E_CANCELLED, QD_E_TIMEOUT. */
QD_MUST_CHECK
int qd_reads_fetch(qd_reads *r, qd_err *err);
/* The same without waiting. Returns 1 when everything is usable already: done does not run. Returns
 * 0 when done(arg, rc) will run once, on any thread, never inside this call; it must only hand the
 * task back to its pool. err is filled before done. On a negative result done does not run.
 * [worker] */
QD_MUST_CHECK
int qd_reads_fetch_async(qd_reads *r, void (*done)(void *arg, int rc), void *arg, qd_err *err);
/* First byte of a fetched range. [any] */
const uint8_t *qd_reads_at(const qd_reads *r, uint32_t slot);
/* Length of a range as added. [any] */
uint64_t qd_reads_len(const qd_reads *r, uint32_t slot);
/* After a run over pinned bytes, before its result is believed: 0, or QD_E_CORRUPT when the device
 * failed to deliver a mapped page meanwhile (its bytes read as zeros). [any] */
QD_MUST_CHECK
int qd_reads_check(const qd_reads *r, qd_err *err);
/* Verifies the pages of all ranges once more, whether they were before or not: where what they hold
 * makes no sense. [worker] QD_E_CORRUPT, QD_E_IO. */
QD_MUST_CHECK
int qd_reads_verify(const qd_reads *r, qd_err *err);
/* Drops all pins and references at once; the batch is empty afterwards. No fetch is under way.
 * [worker] */
void qd_reads_release(qd_reads *r);

/* A convenience for tools, merges and recovery: a sequential cursor over one section, verified, in
 * windows of at most 1 MiB. */
typedef struct qd_section_cursor {
    qd_file *file;
    uint32_t section;
    uint64_t at, end; /* position in the section; its length */
    const uint8_t *p; /* bytes at `at` */
    size_t have;      /* readable bytes at p */
    void *window;     /* owned copy, or NULL when mapped */
    qd_account *account;
} qd_section_cursor;
/* Starts at off. [worker] */
QD_MUST_CHECK
int qd_section_cursor_open(qd_section_cursor *c, qd_file *f, uint32_t section, uint64_t off,
                           qd_account *account, qd_err *err);
/* Makes at least n bytes readable at c->p (n <= 1 MiB; fewer only at the end). [worker] */
QD_MUST_CHECK
int qd_section_cursor_need(qd_section_cursor *c, size_t n, qd_err *err);
/* Moves n bytes on (n <= have). */
void qd_section_cursor_skip(qd_section_cursor *c, size_t n);
/* Frees the window. */
void qd_section_cursor_close(qd_section_cursor *c);

#endif
