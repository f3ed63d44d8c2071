/* operator_segment.h: a segment made up by arithmetic, which iterating operators are run over. */
#ifndef QD_CONFORMANCE_OPERATOR_SEGMENT_H
#define QD_CONFORMANCE_OPERATOR_SEGMENT_H

#include "suite.h"

#define MAX_DOC 10000u

/* A view of it whose iterator has so many children; strings come from arena. */
qd_segment_view segment_view(qd_arena *arena, uint32_t nchildren);
/* Words parted by blanks, at most 16. */
int32_t segment_analyze(const qd_query_ctx *ctx, qd_str field, qd_str text,
                        const qd_query_token **out, uint32_t *n, qd_err *err);

#endif
