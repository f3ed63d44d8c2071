/*
 * frame_int.h: the bytes around the content of immutable files and published objects, as pure
 * functions over memory. Layouts: docs/store.md.
 *
 * File: header 64 | sections | page checksums | section table | tail 96. Every section begins at a
 * 64-byte border and is followed by at least 64 zero bytes, which its last page's checksum covers,
 * so that each byte of the file stands under exactly one checksum. The parser accepts only the one
 * arrangement that the writer makes; whatever else it meets is damage.
 */
#ifndef QD_STORE_FRAME_INT_H
#define QD_STORE_FRAME_INT_H

#include "base/bits.h"
#include "store/file.h"

#define FRAME_VERSION 1u
#define FRAME_ALIGN 64u
#define FRAME_HEADER 64u
#define FRAME_TAIL 96u
#define FRAME_ENTRY 32u /* one section in the table */
#define FRAME_PAGE_SHIFT 15
#define FRAME_RESIDENT 1u /* flag in the table */

#define FRAME_FILE_MAGIC 0x31454c4946515144ull   /* "DQQFILE1" read little-endian */
#define FRAME_TAIL_MAGIC 0x314c494154515144ull   /* "DQQTAIL1" */
#define FRAME_OBJECT_MAGIC 0x314a424f51515144ull /* "DQQQOBJ1" */

_Static_assert(QD_FILE_PAGE == 1u << FRAME_PAGE_SHIFT, "one page size");

/* One section as the table has it. */
typedef struct frame_section {
    uint64_t offset, bytes;
    uint32_t id, flags;
    uint32_t page; /* index of its first page in the file's checksums */
    uint32_t reserved;
} frame_section;

/* The tail's fields. */
typedef struct frame_tail {
    uint64_t length, table, resident, checksums;
    uint64_t checksums_sum, table_sum;
    uint32_t sections, pages;
    uint8_t id[16];
} frame_tail;

/* Header's fields; of an object, content is its length and sum its checksum. */
typedef struct frame_header {
    char name[17]; /* NUL-terminated */
    uint32_t version;
    uint8_t id[16];
    uint64_t content, sum;
} frame_header;

/* A section with its zero padding: the extent that its pages cover. */
QD_INLINE uint64_t frame_padded(uint64_t bytes)
{
    return (bytes + QD_FILE_SLACK + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}
/* Pages of a section. */
QD_INLINE uint64_t frame_pages(uint64_t bytes)
{
    return (frame_padded(bytes) + QD_FILE_PAGE - 1) >> FRAME_PAGE_SHIFT;
}
/* Bytes of the n-th page of a section (from 0; inside). */
QD_INLINE uint32_t frame_page_bytes(uint64_t section_bytes, uint64_t n)
{
    uint64_t left = frame_padded(section_bytes) - (n << FRAME_PAGE_SHIFT);
    return left < QD_FILE_PAGE ? (uint32_t)left : QD_FILE_PAGE;
}

/* Writes the 64 bytes of a file's header. */
void qdi_frame_header_put(uint8_t out[FRAME_HEADER], const qd_file_format *format,
                          const uint8_t id[16]);
/* Writes the 64 bytes before an object's content. */
void qdi_frame_object_put(uint8_t out[FRAME_HEADER], qd_str format, uint32_t version,
                          qd_str content);
/* Reads and checks 64 bytes of either; magic says which is expected. `name` is for the error. */
QD_MUST_CHECK
int qdi_frame_header_get(const uint8_t in[FRAME_HEADER], uint64_t magic, frame_header *out,
                         qd_str name, qd_err *err);
/* Compares with what the reader can read: QD_E_CORRUPT for another format, FORMAT_OLD, FORMAT_NEW.
 */
QD_MUST_CHECK
int qdi_frame_format_check(const frame_header *h, qd_str format, uint32_t min, uint32_t max,
                           qd_str name, qd_err *err);

/* Writes one table entry. */
void qdi_frame_section_put(uint8_t out[FRAME_ENTRY], const frame_section *s);
/* Writes the tail. */
void qdi_frame_tail_put(uint8_t out[FRAME_TAIL], const frame_tail *t);
/* Reads the last 96 bytes of a file of `length` bytes and checks all that can be checked alone. */
QD_MUST_CHECK
int qdi_frame_tail_get(const uint8_t in[FRAME_TAIL], uint64_t length, frame_tail *out, qd_str name,
                       qd_err *err);
/* Reads t->sections entries of the table into out and checks table and checksums (t->pages words at
 * sums) against the tail, and the whole arrangement. */
QD_MUST_CHECK
int qdi_frame_table_get(const uint8_t *table, const uint8_t *sums, const frame_tail *t,
                        frame_section *out, qd_str name, qd_err *err);

/* Sets QD_E_CORRUPT naming file, part ("header", "section 3" …) and file offset; returns it. */
int qdi_damage(qd_err *err, qd_str name, const char *part, uint64_t offset, const char *what);
/* The same for a section's own number. */
int qdi_damage_section(qd_err *err, qd_str name, uint32_t section, uint64_t offset,
                       uint64_t file_offset, const char *what);

#endif
