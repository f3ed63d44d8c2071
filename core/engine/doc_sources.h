/*
 * doc_sources.h: synthetic sources of documents of a segment: what is stored, and the values of
 * columns (mapping/synthetic.h).
 */
#ifndef QD_ENGINE_DOC_SOURCES_H
#define QD_ENGINE_DOC_SOURCES_H

#include "mapping/synthetic.h"
#include "segment/segment.h"

/* Makes the sources of n ascending documents of s out of what is stored of them: text[i] is
 * replaced by bytes in keep, where it is not empty. scratch holds what reading takes. m must have
 * the fields of the documents. [worker] QD_E_CORRUPT, QD_E_IO, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sources_make(const qd_mapping *m, qd_segment *s, const uint32_t *docs, uint32_t n,
                    qd_str *text, qd_arena *keep, qd_arena *scratch, qd_err *err);

#endif
