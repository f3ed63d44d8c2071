/*
 * spool_int.h: bytes of a section that has to wait until another one is written. A segment is one
 * stream of sections, but a term's postings, positions, offsets and dictionary entry come together:
 * postings go straight to the file, the others wait here, in memory up to a limit and in an
 * unsynced log of the store beyond it. One thread at a time.
 */
#ifndef QD_SEGMENT_SPOOL_INT_H
#define QD_SEGMENT_SPOOL_INT_H

#include "base/str.h"
#include "store/file.h"

/* Bytes of one spool kept in memory: 2 MiB. Tests lower it, before any segment is written. */
extern size_t qdi_spool_memory;

typedef struct qdi_spool {
    qd_store *store;
    qd_account *account;
    qd_buf buf;        /* the newest bytes */
    uint64_t spilled;  /* bytes in the log */
    qd_store_log *log; /* NULL: none yet */
    char *name;        /* of the log; owned */
    bool can_spill;
} qdi_spool;

/* An empty spool; its log, if it comes to one, is called `<name>.spill-<n>`. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_spool_init(qdi_spool *s, qd_store *store, qd_str name, unsigned n, qd_account *account,
                   qd_err *err);
/* Appends bytes. QD_E_NOMEM, QD_E_IO, QD_E_NOSPACE. */
QD_MUST_CHECK
int qdi_spool_add(qdi_spool *s, const void *p, size_t n, qd_err *err);
/* Bytes appended so far. */
static inline uint64_t qdi_spool_at(const qdi_spool *s)
{
    return s->spilled + s->buf.n;
}
/* Reads n bytes from `at` on, which were appended. QD_E_IO. */
QD_MUST_CHECK
int qdi_spool_read(qdi_spool *s, uint64_t at, void *p, size_t n, qd_err *err);
/* Writes everything as section `id` of w, unless there is nothing. */
QD_MUST_CHECK
int qdi_spool_section(qdi_spool *s, qd_file_writer *w, uint32_t id, qd_err *err);
/* Frees memory and removes the log. A failure to remove leaves a file that the engine removes at
 * its next start. */
void qdi_spool_fini(qdi_spool *s);

#endif
