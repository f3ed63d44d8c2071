/*
 * script_vector.h: vectors of a field as scripts read them, document by document: rows of the
 * segment's index part, read by blocks that stay until another is wanted.
 */
#ifndef QD_SEARCH_SCRIPT_VECTOR_H
#define QD_SEARCH_SCRIPT_VECTOR_H

#include "mapping/field.h"
#include "script/script.h"

struct qd_segment;
typedef struct qd_script_vectors qd_script_vectors;

/* Opens those of a field that has vectors, in arena. [worker] Errors of reading. */
QD_MUST_CHECK
int qd_script_vectors_open(struct qd_segment *segment, const qd_field *f, qd_arena *arena,
                           qd_account *account, qd_script_vectors **out, qd_err *err);
/* The vector of a document, good until the next call; out->row NULL: it has none. [worker] */
QD_MUST_CHECK
int qd_script_vectors_at(qd_script_vectors *v, uint32_t doc, qd_script_vector *out, qd_err *err);
/* Is it of this field? [any] */
bool qd_script_vectors_of(const qd_script_vectors *v, const qd_field *f);
/* Lets go of what was read; before the arena's reset. NULL is fine. */
void qd_script_vectors_close(qd_script_vectors *v);

#endif
