/*
 * check.h: reads a segment to the last bit without the server: `qd segment check`, `qd segment
 * dump`.
 *
 * The check verifies framing and page checksums, then walks every structure and compares what it
 * holds with what META promises. Each finding names file, section and offset; it goes on after a
 * finding wherever the structures allow.
 */
#ifndef QD_SEGMENT_CHECK_H
#define QD_SEGMENT_CHECK_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/file.h"

/* Receives findings and what a part counted. All parts' check faces get one. */
typedef struct qd_check {
    /* One finding; section is a name ("POSTINGS"), text says field and what was wrong. */
    void (*found)(void *arg, qd_str file, const char *section, uint64_t offset, const char *text);
    void *arg;
    qd_account *account;
    qd_file *file;     /* under check; NULL while it cannot be opened */
    qd_str name;       /* of the object under check */
    uint64_t findings; /* counted by qd_check_found */
    uint64_t last;     /* hash of the last error told */
    uint64_t terms, postings, positions, values, points, documents, ids; /* walked */
    uint32_t lives;                    /* generations of live documents */
    uint32_t parts, parts_unread;      /* index parts; of types that nobody provides */
    const struct qd_part_types *types; /* of index parts; NULL: their bytes are not looked into */
} qd_check;

/* Reports one finding. [worker] */
void qd_check_found(qd_check *c, const char *section, uint64_t offset, const char *fmt, ...)
    QD_PRINTF(4, 5);
/* Turns an error of a reader (QD_E_CORRUPT …) into a finding; other errors are returned. [worker]
 */
QD_MUST_CHECK
int qd_check_error(qd_check *c, const char *section, int rc, qd_err *err);
/* Name of a section of a segment file ("?" when unknown). [any] */
const char *qd_segment_section_name(uint32_t section);

/* Checks one segment (name of its object in s, its live generations found by list) deeply. Findings
 * go to c; the result is 0 even with findings, an error only when it could not go on (memory, I/O).
 * [worker] */
QD_MUST_CHECK
int qd_segment_check(qd_store *s, qd_str name, qd_check *c, qd_err *err);
/* Is name (its part behind the last '/') a segment's: "seg-" and 32 hexadecimal digits? [any] */
bool qd_segment_name_is(qd_str name);

/* Receives a dump piece by piece: objects and arrays open and close, key is NULL inside arrays. */
typedef struct qd_dump_sink {
    void *arg;
    void (*open)(void *arg, const char *key, bool array);
    void (*close)(void *arg);
    void (*text)(void *arg, const char *key, qd_str value);
    void (*number)(void *arg, const char *key, int64_t value);
} qd_dump_sink;
/* What a segment says of itself and what its parts hold, as one object of the sink. [worker] */
QD_MUST_CHECK
int qd_segment_dump(qd_store *s, qd_str name, qd_account *account, const qd_dump_sink *sink,
                    qd_err *err);

#endif
