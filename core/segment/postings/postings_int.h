/*
 * postings_int.h: what merge and check read of a term beyond postings.h.
 */
#ifndef QD_SEGMENT_POSTINGS_INT_H
#define QD_SEGMENT_POSTINGS_INT_H

#include "segment/check.h"
#include "segment/postings.h"

/* qd_postings_open over bytes the caller holds: postings, positions, offsets (NULL: none), each
 * with QD_CODEC_SLACK readable bytes behind and aligned as in the file modulo 64. p->segment, term
 * and want are set. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_postings_open_at(qd_postings *p, const uint8_t *const at[3], qd_err *err);
/* Block b of the positions as they are stored (deltas); returns how many, 0 when damaged. */
uint32_t qdi_postings_deltas(qd_postings *p, uint32_t b, uint32_t *out);
/* Block b of the offsets as they are stored. */
uint32_t qdi_postings_offset_deltas(qd_postings *p, uint32_t b, uint32_t *starts,
                                    uint32_t *lengths);
/* Reads all terms, postings, positions, offsets and norms and holds them against one another; what
 * is wrong goes to c. */
QD_MUST_CHECK
int qdi_inverted_check(qd_segment *s, qd_check *c, qd_err *err);

#endif
