/*
 * parts.h: index parts of field types: one section of a segment for each field whose type brings
 * its own index (quidditch/field.h). The segment knows the section's field, type and format
 * version; its bytes mean nothing here. A part is read lazily, by ranges; its record is resident.
 */
#ifndef QD_SEGMENT_PARTS_H
#define QD_SEGMENT_PARTS_H

#include "base/err.h"
#include "base/mem.h"
#include "store/reads.h"
#include <quidditch/field.h>

struct qd_segment;

/* A type that brings a part. vt and name live as long as the plugin host. */
typedef struct qd_part_type {
    qd_str name;
    const qd_part_vtable *vt;
    qd_self *self;
} qd_part_type;

/* Finds the type of a part by its name; false when nobody provides it. */
typedef struct qd_part_types {
    bool (*find)(const void *arg, qd_str type, qd_part_type *out);
    const void *arg;
} qd_part_types;

/* What a segment says of a part. */
typedef struct qd_part_info {
    uint32_t field; /* number in the segment */
    uint32_t version, section;
    qd_str type;
    uint64_t bytes;
} qd_part_info;

/* Parts of the segment, in the order of fields. [any] */
uint32_t qd_segment_parts(const struct qd_segment *s);
/* The i-th. [any] */
const qd_part_info *qd_segment_part(const struct qd_segment *s, uint32_t i);
/* That of a field; NULL: it has none. [any] */
const qd_part_info *qd_segment_part_of(const struct qd_segment *s, uint32_t field);

/* A part's bytes as its type reads them. */
typedef struct qd_part_view {
    qd_part_bytes bytes; /* what the type gets */
    struct qd_segment *segment;
    const qd_part_info *info;
    qd_reads *reads;
} qd_part_view;

/* Makes a view on a part in arena; nothing is read. The segment must live longer; the arena's reset
 * ends it, after qd_part_view_close. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_part_view_open(qd_part_view *v, struct qd_segment *s, const qd_part_info *info,
                      qd_arena *arena, qd_account *account, qd_err *err);
/* Lets go of what was read. [worker] */
void qd_part_view_close(qd_part_view *v);

/* Opens a part by its type: plans, fetches in one request, opens. The view is open; it and the
 * reader go in the order close of the type, close of the view. [worker] QD_E_FORMAT_OLD,
 * QD_E_FORMAT_NEW; the type's. */
QD_MUST_CHECK
int qd_part_open(qd_part_view *v, const qd_part_type *t, qd_part_reader **out, qd_err *err);

#endif
