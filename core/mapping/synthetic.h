/*
 * synthetic.h: `_source` made of the values of fields (index.mapping.source.mode: synthetic).
 *
 * A segment stores of a document what its columns do not give back, as a JSON object with sorted
 * keys; reading puts the columns' values into it. Both ways, from the document as it was sent and
 * from what is stored, lead to the same bytes. docs/synthetic-source.md says what changes.
 *
 * What is stored names, in a list under the empty key, the fields whose columns have values that
 * are not the document's own (copies) or stand in it already (kept as they were sent). Documents
 * cannot have that key.
 */
#ifndef QD_MAPPING_SYNTHETIC_H
#define QD_MAPPING_SYNTHETIC_H

#include "mapping/mapping.h"

/* The setting index.mapping.source.mode, and _source.mode. */
typedef enum qd_source_mode {
    QD_SOURCE_STORED,
    QD_SOURCE_SYNTHETIC,
    QD_SOURCE_DISABLED
} qd_source_mode;

/* synthetic_source_keep: what is kept as it was sent. */
typedef enum qd_source_keep {
    QD_SOURCE_KEEP_NONE,
    QD_SOURCE_KEEP_ARRAYS,
    QD_SOURCE_KEEP_ALL
} qd_source_keep;

/* Is the source of documents of m made this way? [any] */
bool qd_mapping_synthetic(const qd_mapping *m);
/* The fields whose values columns give back, by number; *n of them. [any] */
const qd_field *const *qd_synthetic_fields(const qd_mapping *m, uint32_t *n);

/* A document as it was sent as it will be shown, or, with stored, what is to be stored of it;
 * appended to out. [worker] QD_E_NOMEM, and what the reader of JSON says of no JSON. */
QD_MUST_CHECK
int qd_synthetic_source(const qd_mapping *m, qd_str source, bool stored, qd_account *account,
                        qd_buf *out, qd_err *err);

/* A column's values of one document, ascending: i64, or bytes. */
typedef struct qd_synthetic_value {
    const qd_field *field;
    uint32_t n;
    const int64_t *i64;
    const qd_str *bytes;
} qd_synthetic_value;
/* What is stored and the values of columns as the document is shown; appended to out. [worker]
 * QD_E_CORRUPT, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_synthetic_join(qd_str stored, const qd_synthetic_value *v, uint32_t n, qd_account *account,
                      qd_buf *out, qd_err *err);

#endif
