/*
 * file.h: immutable framed files. Layout (docs/format.md): header (magic, format name, version,
 * id), sections one after the other at 64-byte borders, checksums of each section's 32 KiB pages,
 * footer (section table, file length, checksum, magic), 64 bytes of padding behind the last
 * section.
 *
 * Sections written as resident stand right before the footer, so that opening a cold file is one
 * range read; they are in memory as long as the file is open. A file is written as a stream by one
 * thread, published as a whole, and never changed. Readers share it by reference count.
 */
#ifndef QD_STORE_FILE_H
#define QD_STORE_FILE_H

#include "store/store.h"

#define QD_FILE_PAGE 32768u /* bytes covered by one checksum */
#define QD_FILE_SLACK 64u   /* bytes readable behind any section's end */
#define QD_FILE_SECTIONS_MAX 4096u

typedef struct qd_file qd_file;
typedef struct qd_file_writer qd_file_writer;

typedef struct qd_file_format {
    qd_str name;          /* at most 16 bytes */
    uint32_t version;     /* written */
    uint32_t version_min; /* oldest readable */
} qd_file_format;

/* Starts the object `name`; id is the file's random 128-bit identity. [worker] */
QD_MUST_CHECK
int qd_file_create(qd_store *s, qd_str name, const qd_file_format *format, const uint8_t id[16],
                   qd_account *account, qd_file_writer **out, qd_err *err);
/* Opens the next section; ids are unique, resident ones come after all others. Errors are kept and
 * reported by commit as well. [worker] */
QD_MUST_CHECK
int qd_file_section_begin(qd_file_writer *w, uint32_t id, bool resident, qd_err *err);
/* From here on ids of sections count from `from`, 0 at first: what qd_file_view shows. [worker] */
void qd_file_sections_from(qd_file_writer *w, uint32_t from);
/* Appends to the open section through a fixed buffer. [worker] */
QD_MUST_CHECK
int qd_file_write(qd_file_writer *w, const void *p, size_t n, qd_err *err);
/* Bytes written so far to the open section. [worker] */
uint64_t qd_file_section_at(const qd_file_writer *w);
/* Closes the section; *bytes (may be NULL) gets its length. [worker] */
QD_MUST_CHECK
int qd_file_section_end(qd_file_writer *w, uint64_t *bytes, qd_err *err);
/* Writes checksums and footer, publishes the object under its name, frees w; on failure nothing is
 * left behind and w is freed as well. With sync it is durable on return; without, it is readable at
 * once but a power loss may take it until qd_store_sync (a refresh does not wait for the disk).
 * *bytes: whole length. [worker] */
QD_MUST_CHECK
int qd_file_commit(qd_file_writer *w, bool sync, uint64_t *bytes, qd_err *err);
/* Gives up: nothing is left behind. [worker] */
void qd_file_abort(qd_file_writer *w);

/* Starts a file that is kept in memory alone, charged to account; commit opens it, and frees w as
 * qd_file_commit does. For what is derived from other files and made anew when it is gone. */
QD_MUST_CHECK
int qd_file_create_in_memory(const char *name, const qd_file_format *format, qd_account *account,
                             qd_file_writer **out, qd_err *err);
/* See above. [worker] QD_E_NOMEM, QD_E_BREAKER. */
QD_MUST_CHECK
int qd_file_commit_in_memory(qd_file_writer *w, qd_file **out, qd_err *err);

/* Opens and checks header, footer, length; loads resident sections. One reference is the caller's.
 * [worker] QD_E_NOTFOUND, QD_E_CORRUPT, QD_E_FORMAT_OLD/NEW, QD_E_IO. */
QD_MUST_CHECK
int qd_file_open(qd_store *s, qd_str name, const qd_file_format *format, qd_account *account,
                 qd_file **out, qd_err *err);
/* Is the object, whatever its format, a whole file: header, footer, length, section table? Else
 * QD_E_CORRUPT with the place. [worker] */
QD_MUST_CHECK
int qd_file_probe(qd_store *s, qd_str name, qd_err *err);
#define QD_FILE_VIEW_IDS 65536u
/* The sections of f with ids in [from, from + QD_FILE_VIEW_IDS), as a file whose ids begin at 0.
 * All else of it is f's, of which it holds a reference; it is not verified on its own. One
 * reference is the caller's. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_file_view(qd_file *f, uint32_t from, qd_file **out, qd_err *err);
/* One more reference. [any] */
qd_file *qd_file_ref(qd_file *f);
/* One reference less; the last one closes. [any] */
void qd_file_unref(qd_file *f);
/* The object's name, for errors. [any] */
qd_str qd_file_name(const qd_file *f);
/* The random id of the file. [any] */
const uint8_t *qd_file_id(const qd_file *f);
/* Format version found. [any] */
uint32_t qd_file_version(const qd_file *f);
/* Length of the whole object. [any] */
uint64_t qd_file_bytes(const qd_file *f);
/* Are its bytes in memory by a mapping, so that no read waits for the tier? [any] */
bool qd_file_mapped(const qd_file *f);
/* Length of a section; false when absent. [any] */
bool qd_file_section(const qd_file *f, uint32_t id, uint64_t *bytes);
/* A resident section's bytes (64 readable bytes behind), NULL when absent or not resident. [any] */
const uint8_t *qd_file_resident(const qd_file *f, uint32_t id, uint64_t *bytes);
/* Steps through the section table: index from 0; false at the end. [any] */
bool qd_file_section_at_index(const qd_file *f, uint32_t index, uint32_t *id, uint64_t *offset,
                              uint64_t *bytes, bool *resident);
/* Reads every byte again from the tier (not from a mapping) and verifies it. [worker] QD_E_CORRUPT
 * names file, offset, section. */
QD_MUST_CHECK
int qd_file_verify(qd_file *f, qd_err *err);
/* The same in portions, for a scrubber that takes its time: verifies some `bytes` (rounded up to
 * pages) from *at (0 at first) and moves *at on, to qd_file_bytes when all is done. What a mapping
 * holds of these pages is verified again when it is used the next time. [worker] */
QD_MUST_CHECK
int qd_file_verify_some(qd_file *f, uint64_t *at, uint64_t bytes, qd_err *err);
/* Verifies the pages of a range once more as readers see them, whether they were before or not: in
 * the mapping, or by reading them again. What reaches outside the section is left out. [worker]
 * QD_E_CORRUPT, QD_E_IO. */
QD_MUST_CHECK
int qd_file_check(qd_file *f, uint32_t section, uint64_t off, uint64_t len, qd_err *err);
/* Did a page of this file ever fail (checksum, SIGBUS)? [any] */
bool qd_file_damaged(const qd_file *f);
/* Records that a decoder found an impossible value at offset of section; returns QD_E_CORRUPT. */
int qd_file_corrupt(qd_file *f, uint32_t section, uint64_t offset, qd_err *err, const char *what);

#endif
