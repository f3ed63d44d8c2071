/*
 * field.h: the field kind, version 0.1: a type of fields in mappings, {"type": "<name>"}.
 *
 *   check    looks at the parameters of one field, when a mapping is made
 *   parse    turns a JSON value of a document into values; called once for each value that is not
 *            null, and once for an array or object as a whole
 *   i64, f64, term   values for the places that the host keeps: columns, points, terms
 *   part     the index part: bytes of the type's own in every segment, one value a document
 *   show     how hits of searches show values; without it as a number or keyword is shown
 *
 * The host stores a part as one section of the segment file, under the type's name and
 * its version. Framing, page checksums, replication by files and deletion of files are the host's;
 * the bytes in between mean nothing to it. Segments are immutable: a part is written once, by a
 * flush (write) or by a merge (merge), and read by operators (qd_segment_view.part).
 *
 * Documents of a segment are numbered from 0. Deleted documents stay in a part until a merge leaves
 * them out. A merge may put documents into another order: the maps of its sources say which.
 *
 * check, parse and show run on a thread of the host's while a request waits: a call that takes
 * longer than plugins.call_timeout is left, and its mapping, its document or the hits of the shard
 * fail. check runs wherever a mapping is read. The functions of the part run on the threads that
 * index, flush and merge: the host does not leave these calls, so one that does not return holds
 * its thread.
 */
#ifndef QUIDDITCH_FIELD_H
#define QUIDDITCH_FIELD_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* qd_vtable.flags. At most one of I64, F64 and TERMS; at least one flag. */
enum {
    QD_FIELD_I64 = 1,   /* values are int64: a column, and points for ranges */
    QD_FIELD_F64 = 2,   /* values are doubles: the same */
    QD_FIELD_TERMS = 4, /* values are byte strings: terms, and a column for sorting */
    QD_FIELD_PART = 8   /* part is there */
};

/* --- parameters ------------------------------------------------------------------------------ */

enum {
    QD_FIELD_PARAM_END = 0,
    QD_FIELD_PARAM_BOOL,
    QD_FIELD_PARAM_INT,   /* min, max */
    QD_FIELD_PARAM_FLOAT, /* a number */
    QD_FIELD_PARAM_STRING
};
enum {
    QD_FIELD_PARAM_REQUIRED = 1, /* a field without it is refused */
    QD_FIELD_PARAM_UPDATE = 2    /* PUT _mapping may change it; else it is fixed */
};
/* A parameter of the type in mappings. The list ends with name NULL. All text is static. */
typedef struct qd_field_param {
    const char *name;
    uint32_t type, flags; /* QD_FIELD_PARAM_* */
    const char *value;    /* default as JSON ("\"l2\"", "true", "3"); NULL: none */
    const char *values;   /* STRING: the only ones allowed, parted by '|'; NULL: any */
    int64_t min, max;     /* INT: bounds, both 0: those of int32 */
} qd_field_param;
/* A parameter's value in one field: given, or the default. */
typedef struct qd_field_value {
    qd_str text;    /* as text; p NULL: neither given nor a default */
    int64_t i64;    /* BOOL (0, 1), INT */
    double f64;     /* INT, FLOAT */
    uint64_t given; /* 1: the mapping has it */
} qd_field_value;
/* One field of a mapping. Borrow for the call. */
typedef struct qd_field_conf {
    uint32_t struct_size, nvalues;
    qd_self *self;
    qd_str name;                  /* full path */
    const qd_field_value *values; /* in the order of the type's parameters */
} qd_field_conf;

/* --- values ---------------------------------------------------------------------------------- */

/* Where parse puts values; the host copies them. All values of a document's field come before any
 * of them is kept: an error of parse leaves nothing behind. */
typedef struct qd_field_sink {
    uint32_t struct_size, reserved;
    void *host;
    int32_t (*i64)(const struct qd_field_sink *, int64_t v, qd_err *);
    int32_t (*f64)(const struct qd_field_sink *, double v, qd_err *); /* finite, else ARG */
    /* Terms: at most 32,766 bytes. */
    int32_t (*term)(const struct qd_field_sink *, qd_str v, qd_err *);
    /* The document's value for the part: at most one a document (else ARG), at most 1 MiB (LIMIT).
     */
    int32_t (*part)(const struct qd_field_sink *, qd_str v, qd_err *);
} qd_field_sink;

/* --- the index part -------------------------------------------------------------------------- */

typedef struct qd_part_buffer qd_part_buffer; /* defined by the type: of one indexing slot */
typedef struct qd_part_reader qd_part_reader; /* defined by the type: of one segment */

/* Takes the bytes of a part in order, as one stream. */
typedef struct qd_part_sink {
    uint32_t struct_size, reserved;
    void *host;
    /* QD_E_IO, QD_E_NOSPACE, QD_E_CANCELLED (a merge that has to end): pass it on. */
    int32_t (*write)(const struct qd_part_sink *, const void *p, size_t n, qd_err *);
} qd_part_sink;

/* A range of a part's bytes; ranges of one call are read by one request of the storage tier. */
typedef struct qd_part_range {
    uint64_t offset, length;
} qd_part_range;

/* The bytes of a part in one segment. Keep as long as the caller of open says. One thread at a
 * time. */
typedef struct qd_part_bytes {
    uint32_t struct_size;
    uint32_t version; /* version of the type that wrote them */
    uint32_t docs;    /* of the segment, deleted ones included */
    uint32_t reserved;
    uint64_t length;
    void *host;
    /* out[i]: the bytes of range i, checksums verified, at any alignment; they stay until release.
     * QD_E_CORRUPT (also for a range outside), QD_E_IO, QD_E_CANCELLED. May wait for the storage
     * tier. */
    int32_t (*read)(const struct qd_part_bytes *, const qd_part_range *ranges, uint32_t n,
                    const void **out, qd_err *);
    /* Lets go of all bytes read so far. */
    void (*release)(const struct qd_part_bytes *);
    /* Sets the error for bytes that cannot be: QD_E_CORRUPT with file, section and offset. */
    int32_t (*corrupt)(const struct qd_part_bytes *, uint64_t offset, qd_str what, qd_err *);
} qd_part_bytes;

#define QD_PART_GONE UINT32_MAX
/* A source of a merge that has the part. */
typedef struct qd_part_source {
    const qd_part_bytes *bytes;
    const uint32_t *map; /* by document of the source: its new number, or QD_PART_GONE */
    uint32_t docs, reserved;
} qd_part_source;

/* Receives what check found; text names what is wrong. */
typedef struct qd_part_findings {
    uint32_t struct_size, reserved;
    void *host;
    void (*found)(const struct qd_part_findings *, uint64_t offset, qd_str text);
} qd_part_findings;

#define QD_PART_RANGES 16 /* that plan may name at most */

/* Functions of a type. Results are 0 or QD_E_*, with the error set. */
typedef struct qd_part_vtable {
    uint32_t struct_size, reserved;
    uint32_t version;     /* of the bytes that it writes */
    uint32_t version_min; /* oldest that it reads */
    /* A buffer belongs to one indexing slot: one thread at a time. it copies of
     * conf what it needs. Its memory comes from the mem service. [worker] */
    int32_t (*begin)(const qd_field_conf *, qd_part_buffer **out, qd_err *);
    /* The value of a document, by ascending number; borrow. On an error nothing of it is kept, and
     * the document fails. */
    int32_t (*add)(qd_part_buffer *, uint32_t doc, qd_str value, qd_err *);
    /* Takes back the documents >= doc: one that failed (the last), or all (0) after a flush. */
    void (*cut)(qd_part_buffer *, uint32_t doc);
    /* Bytes in memory, and those that write will need: they decide when the slot is flushed.
     */
    uint64_t (*bytes)(const qd_part_buffer *);
    /* Writes the part of a segment of so many documents. The buffer stays: a flush may be tried
     * again. */
    int32_t (*write)(qd_part_buffer *, uint32_t docs, const qd_part_sink *, qd_err *);
    void (*end)(qd_part_buffer *);
    /* Ranges that open reads, known from length and documents alone: the host fetches them
     * with one request before it calls open. *n: in QD_PART_RANGES, out how many. [worker] */
    int32_t (*plan)(qd_self *, const qd_part_bytes *, qd_part_range *ranges, uint32_t *n, qd_err *);
    /* Opens the bytes for operators; they live longer than the reader. Every value that comes from
     * them is checked before it is used: QD_E_CORRUPT. [worker] */
    int32_t (*open)(qd_self *, const qd_part_bytes *, qd_part_reader **out, qd_err *);
    void (*close)(qd_part_reader *);
    /* Writes the part of a merged segment of so many documents from n sources (1 to 1,024). New
     * numbers need not ascend. The result is byte for byte what write gives for the same documents.
     * [worker] */
    int32_t (*merge)(qd_self *, const qd_part_source *, uint32_t n, uint32_t docs,
                     const qd_part_sink *, qd_err *);
    /* Reads the part to its last byte; findings go to the receiver, an error means that it could
     * not go on. [worker] */
    int32_t (*check)(qd_self *, const qd_part_bytes *, const qd_part_findings *, qd_err *);
} qd_part_vtable;

#define QD_PART_VALUE_MAX 1048576 /* bytes of one value */

/* A value of the column: what parse gave, by the flag of the type. */
typedef struct qd_field_column_value {
    int64_t i64;
    double f64;
    qd_str term;
} qd_field_column_value;

typedef struct qd_field_vtable {
    qd_vtable head;
    const qd_field_param *params; /* NULL: none of its own */
    uint32_t param_size;          /* sizeof(qd_field_param) as built */
    uint32_t reserved;
    /* Parameters as a whole, each is of its type already. QD_E_ARG. [any] */
    int32_t (*check)(const qd_field_conf *, qd_err *);
    /* The reader stands before the value, which is not null; errors fail the document, or leave the
     * value out where ignore_malformed is set. [any] */
    int32_t (*parse)(const qd_field_conf *, qd_json_in *, const qd_field_sink *, qd_err *);
    const qd_part_vtable *part; /* PART; keep for ever */
    /* The next two may be NULL, or missing in a shorter table. They write any number of values,
     * each whole, into an array that the host has opened; at most 1 MiB of text. */
    /* The option `fields` of a search: the reader stands before a value of the document's source,
     * as for parse. ARG: it is none of the type, and left out. [any] */
    int32_t (*show)(const qd_field_conf *, qd_json_in *, qd_json_out *, qd_err *);
    /* docvalue_fields: all values of a document, in the column's order. An error fails the hits of
     * the shard. [any] */
    int32_t (*show_column)(const qd_field_conf *, const qd_field_column_value *, uint32_t n,
                           qd_json_out *, qd_err *);
} qd_field_vtable;

#ifdef __cplusplus
}
#endif
#endif
