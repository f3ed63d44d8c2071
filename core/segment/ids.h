/*
 * ids.h: from a document's `_id` to its number in a segment.
 *
 * A table of 64-byte buckets (ten 16-bit fingerprints and documents) over XXH3-64 of the id: a
 * look-up of an absent id touches one cache line and compares bytes once in some 10,000 times. The
 * ids themselves are the BYTES column of the `_id` field. The hash is unseeded, so that a caller
 * hashes an id once for all segments.
 */
#ifndef QD_SEGMENT_IDS_H
#define QD_SEGMENT_IDS_H

#include "base/hash.h"
#include "segment/columns.h"

#define QD_IDS_ABSENT UINT32_MAX

typedef struct qd_ids qd_ids;

/* The hash of an id, as the tables use it. [any] */
static inline uint64_t qd_ids_hash(qd_str id)
{
    return qd_xxh3(id.p, id.n);
}
/* Documents in the table. [any] */
uint32_t qd_ids_count(const qd_ids *x);
/* Bytes of the table. [any] */
uint64_t qd_ids_bytes(const qd_ids *x);
/* Looks n ids up: docs[i] gets the last document with ids[i] (deleted or not: live docs are the
 * caller's), or QD_IDS_ABSENT. hashes[i] = qd_ids_hash(ids[i]). Entries whose docs[i] is not
 * QD_IDS_ABSENT on entry are left alone, so segments can be asked from new to old with one array.
 * Reads what it needs, in two fetches as a rule (blocks where the tier has to); scratch's account
 * pays for them meanwhile, nothing is left in scratch. [worker] QD_E_NOMEM, QD_E_CORRUPT, QD_E_IO.
 */
QD_MUST_CHECK
int qd_ids_lookup(const qd_ids *x, const qd_str *ids, const uint64_t *hashes, uint32_t n,
                  uint32_t *docs, qd_arena *scratch, qd_err *err);
/* The id of doc was read by the ranges of r: does the table know doc by it? Where it does not, all
 * that was read is verified once more. Costs a bucket or two; nothing is asked where that would
 * have to wait for a read. Leaves ranges in r. [worker] QD_E_CORRUPT, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_ids_confirm(const qd_ids *x, qd_str id, uint32_t doc, qd_reads *r, qd_err *err);

#endif
