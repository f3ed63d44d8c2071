/*
 * doc_stored.h: values of stored fields as requests are shown them: JSON, an array for each field
 * by its full name.
 */
#ifndef QD_MAPPING_DOC_STORED_H
#define QD_MAPPING_DOC_STORED_H

#include "mapping/doc_parser.h"

/* Can the values of f, which is stored, be shown this way? Else they are read from the source as
 * the option `fields` does it. [any] */
bool qd_stored_shown(const qd_field *f);
/* Writes what the sink's `stored` got as a member of the open object. [any] */
void qd_stored_write(const qd_field *f, const qd_str *v, uint32_t n, qd_json_writer *w);
/* The object of all stored values of a document whose source is there as it was sent, into out;
 * one that cannot be parsed (any longer) has none. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_stored_of_source(const qd_mapping *m, qd_str source, qd_account *account, qd_buf *out,
                        qd_err *err);

#endif
