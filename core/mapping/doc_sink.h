/*
 * doc_sink.h: where a parsed document goes. The parser gathers a whole document first; when it is
 * known to be sound, the sink gets each field once with all its values, in the order in which the
 * fields first came up. Pointers live until the call returns, views into the source longer.
 *
 * Every function returns 0 or an error, which ends the document; NULL functions are skipped. Called
 * on the thread that parses [worker].
 */
#ifndef QD_MAPPING_DOC_SINK_H
#define QD_MAPPING_DOC_SINK_H

#include "mapping/field.h"

typedef struct qd_doc_sink {
    void *arg;
    /* Values of a text field (value class TEXT), to be analyzed by f->index_analyzer; between two
     * values lies f->position_increment_gap. Only if f is indexed. */
    int (*text)(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err);
    /* Terms of a keyword field (TERM): into the index if f->indexed, the column if f->doc_values.
     * Duplicates are as they came. At most 32,766 bytes each. */
    int (*terms)(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err);
    /* Encoded numbers, dates, booleans (I64, BOOL): points or, for BOOL, terms "T" and "F" if
     * f->indexed; column if f->doc_values. */
    int (*i64)(void *arg, const qd_field *f, const int64_t *v, uint32_t n, qd_err *err);
    /* Addresses: points if f->indexed, column if f->doc_values. */
    int (*ip)(void *arg, const qd_field *f, const uint8_t (*v)[16], uint32_t n, qd_err *err);
    /* f has values and exists_by FIELD_NAME: a term f->name of _field_names. */
    int (*field_name)(void *arg, const qd_field *f, qd_err *err);
    /* Some value of f was left out (malformed, too long): a term of _ignored. */
    int (*ignored)(void *arg, const qd_field *f, qd_err *err);
    /* f->stored: a value as JSON text would show it. Strings come as their bytes. */
    int (*stored)(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err);
    /* The value of f's index part, at most one a document. */
    int (*part)(void *arg, const qd_field *f, qd_str v, qd_err *err);
    /* A nested document of this path begins, within the document or the nested one that is open;
     * its fields follow, then those nested in it, then its end. NULL, both: they are left out. */
    int (*nested_begin)(void *arg, qd_str path, qd_err *err);
    int (*nested_end)(void *arg, qd_err *err);
} qd_doc_sink;

#endif
