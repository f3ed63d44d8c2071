/*
 * columns.h: doc values: a field's values by document, for sorting, aggregations and ids.
 *
 * A column is cut into blocks of QD_COLUMN_BLOCK documents. Block heads (place, encoding, least and
 * greatest value, counts) are resident; bodies are bit-packed so that one value is found in O(1)
 * and a block is decoded by SIMD kernels, with one result on every CPU.
 *
 * Phases (store/reads.h): plan adds ranges to a qd_reads, the caller fetches, then the reader runs.
 * A qd_column is immutable and shared [any]; a reader belongs to one thread at a time and lives in
 * the arena given to its plan function. Its answers are valid until its next call. A reader must
 * not be used for documents that were not planned. Every value from disk is checked: QD_E_CORRUPT.
 */
#ifndef QD_SEGMENT_COLUMNS_H
#define QD_SEGMENT_COLUMNS_H

#include "segment/schema.h"
#include "store/reads.h"
#include <string.h>

#define QD_COLUMN_BLOCK 4096u /* documents */
#define QD_COLUMN_BATCH 4096u /* values at most in one batch */
#define QD_COLUMN_ORD_NONE UINT32_MAX

typedef struct qd_columns qd_columns;             /* all columns of a segment */
typedef struct qd_column qd_column;               /* one field's */
typedef struct qd_column_reader qd_column_reader; /* values of planned documents */
typedef struct qd_dict_reader qd_dict_reader;     /* the byte strings of an ORDINAL column */

typedef struct qd_column_stats {
    uint8_t type;  /* qd_column_type */
    bool multi;    /* some document has more than one value */
    bool dense;    /* every document of the segment has a value */
    uint32_t docs; /* documents with a value */
    uint64_t values;
    int64_t min, max;  /* over all values; ordinals for ORDINAL; undefined without values */
    uint32_t ordinals; /* size of the dictionary (ORDINAL) */
    uint64_t bytes;    /* on disk, resident part left out */
} qd_column_stats;

/* What a block of documents holds; resident, so skipping costs no read. */
typedef struct qd_column_block_info {
    uint32_t from, to; /* documents [from, to) */
    uint32_t docs;     /* with a value; 0: min and max are undefined */
    uint32_t values;
    int64_t min, max;
} qd_column_block_info;

/* The column of a field by its number in the segment's schema; NULL when it has none. [any] */
const qd_column *qd_columns_get(const qd_columns *set, uint32_t field);
/* Counts and bounds of the whole column. [any] */
const qd_column_stats *qd_column_stats_get(const qd_column *c);
/* The block that holds doc (doc < documents of the segment). [any] O(log blocks) */
void qd_column_block_at(const qd_column *c, uint32_t doc, qd_column_block_info *out);

/* Plans documents [from, to) as one range; *out lives in arena. [worker] QD_E_NOMEM, QD_E_CORRUPT.
 */
QD_MUST_CHECK
int qd_column_plan(const qd_column *c, uint32_t from, uint32_t to, qd_reads *r, qd_arena *arena,
                   qd_column_reader **out, qd_err *err);
/* Plans the blocks of some ascending documents (hits to sort or fetch). [worker] */
QD_MUST_CHECK
int qd_column_plan_docs(const qd_column *c, const uint32_t *docs, uint32_t n, qd_reads *r,
                        qd_arena *arena, qd_column_reader **out, qd_err *err);

/* A walk over documents, in batches of values. Open struct: start it with one of the functions
 * below; the arrays given stay the caller's and must outlive it. */
typedef struct qd_column_cursor {
    uint32_t doc, to;     /* next document; end */
    uint32_t skip;        /* values of doc already given */
    uint32_t at, n;       /* place in docs; its length */
    const uint32_t *docs; /* ascending, or NULL */
    const uint64_t *bits; /* bit d of the whole segment's documents, or NULL */
    bool values_only;     /* set after starting: batches come without documents, a little faster */
} qd_column_cursor;
/* All documents of [from, to). */
static inline void qd_column_over_range(qd_column_cursor *c, uint32_t from, uint32_t to)
{
    *c = (qd_column_cursor){.doc = from, .to = to};
}
/* Documents of [from, to) whose bit is set; bit d of bits[d / 64] is document d. */
static inline void qd_column_over_bits(qd_column_cursor *c, const uint64_t *bits, uint32_t from,
                                       uint32_t to)
{
    *c = (qd_column_cursor){.doc = from, .to = to, .bits = bits};
}
/* n ascending documents. */
static inline void qd_column_over_docs(qd_column_cursor *c, const uint32_t *docs, uint32_t n)
{
    *c = (qd_column_cursor){.docs = docs, .n = n};
}

/* At most QD_COLUMN_BATCH values of one block, in order of documents, ascending in a document. */
typedef struct qd_column_batch {
    uint32_t n;
    const int64_t *values; /* I64 columns, else NULL */
    const uint32_t *ords;  /* ORDINAL columns, else NULL; each < stats.ordinals */
    const uint32_t *docs;  /* document of each value; NULL: value i is of document first + i (not
                            * with  values_only) */
    uint32_t first;        /* document of value 0 */
} qd_column_batch;
/* The next batch of the walk: 1 = filled (n >= 1), 0 = end, or an error. Documents without a value
 * are left out; a document with several appears once for each, perhaps over two batches. [worker]
 */
QD_MUST_CHECK
int qd_column_next(qd_column_reader *rd, qd_column_cursor *c, qd_column_batch *out, qd_err *err);

typedef enum qd_column_pick { QD_COLUMN_PICK_MIN = 0, QD_COLUMN_PICK_MAX = 1 } qd_column_pick;
/* One key for each of n ascending documents: its least or greatest value (ordinal), or missing.
 * [worker] */
QD_MUST_CHECK
int qd_column_gather(qd_column_reader *rd, const uint32_t *docs, uint32_t n, qd_column_pick pick,
                     int64_t missing, int64_t *out, qd_err *err);
/* All values (ordinals widened) of one document: *values of *n (0: none). O(1) for one value. */
QD_MUST_CHECK
int qd_column_values(qd_column_reader *rd, uint32_t doc, const int64_t **values, uint32_t *n,
                     qd_err *err);
/* Sets the bits of planned documents of [from, to) that have a value in [lo, hi] (I64 value or
 * ordinal, inclusive); blocks outside are skipped by their bounds. bits covers the segment. */
QD_MUST_CHECK
int qd_column_match(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                    uint64_t *bits, qd_err *err);
/* The same into a bitmap whose bit 0 is document from, a multiple of 64. */
QD_MUST_CHECK
int qd_column_match_at(qd_column_reader *rd, uint32_t from, uint32_t to, int64_t lo, int64_t hi,
                       uint64_t *bits, qd_err *err);
/* Values in blocks whose bounds do not tell whether they are in [lo, hi], by how these are
 * compared: as they are packed, decoded (lines, wide ones), walked (documents without a value, or
 * with several). */
typedef struct qd_column_open_values {
    uint64_t packed, decoded, walked;
} qd_column_open_values;
/* Counts them without a read. [any] O(blocks) */
void qd_column_undecided(const qd_column *c, int64_t lo, int64_t hi, qd_column_open_values *out);
/* Values folded without writing them out: how many, their sum, the least and greatest. */
typedef struct qd_column_folded {
    uint64_t n;
    __int128 sum;
    int64_t min, max; /* where asked for and n > 0 */
} qd_column_folded;
/* Folds the values of documents [from, to) of one block (QD_COLUMN_BLOCK): all, or with bits those
 * whose bit is set; bit i of bits is document from + i, from then a multiple of 64. 1 = *out is
 * filled; 0 = not for how this block is written: walk it; or an error. [worker] */
QD_MUST_CHECK
int qd_column_fold(qd_column_reader *rd, uint32_t from, uint32_t to, const uint64_t *bits,
                   bool bounds, qd_column_folded *out, qd_err *err);
/* Sums of doubles in lanes, each with Kahan's compensation: sum[k] - low[k], k below
 * QD_FSUM_LANES. Kept from call to call, zero at first. */
#define QD_FSUM_LANES 16u
typedef struct qd_fsum {
    double sum[QD_FSUM_LANES], low[QD_FSUM_LANES];
} qd_fsum;
/* Doubles that far from zero (either sign) are not added in lanes: 2^32 of them cannot overflow. */
#define QD_FSUM_MAX 0x1p900
/* As qd_column_fold for values that are sortable doubles (qd_sortable_f64): their sum goes to io,
 * value i of the call to lane i % QD_FSUM_LANES, whether all count or those of bits; out->sum is
 * not set. The same bits on every CPU. */
QD_MUST_CHECK
int qd_column_fold_f64(qd_column_reader *rd, uint32_t from, uint32_t to, const uint64_t *bits,
                       bool bounds, qd_fsum *io, qd_column_folded *out, qd_err *err);
/* Sets the bits of planned documents of [from, to) that have any value (exists). */
QD_MUST_CHECK
int qd_column_match_any(qd_column_reader *rd, uint32_t from, uint32_t to, uint64_t *bits,
                        qd_err *err);
/* BYTES columns: the byte string of a planned document; *found false when it has none. */
QD_MUST_CHECK
int qd_column_bytes(qd_column_reader *rd, uint32_t doc, qd_str *out, bool *found, qd_err *err);

/* Plans the dictionary entries of some ascending ordinals. [worker] */
QD_MUST_CHECK
int qd_dict_plan_ords(const qd_column *c, const uint32_t *ords, uint32_t n, qd_reads *r,
                      qd_arena *arena, qd_dict_reader **out, qd_err *err);
/* Plans the whole dictionary (look-up by bytes, enumeration, global ordinals). [worker] */
QD_MUST_CHECK
int qd_dict_plan_all(const qd_column *c, qd_reads *r, qd_arena *arena, qd_dict_reader **out,
                     qd_err *err);
/* The bytes of an ordinal (< stats.ordinals), valid until the next call. Ascending calls are
 * cheapest: each step to the next ordinal decodes one entry. [worker] */
QD_MUST_CHECK
int qd_dict_at(qd_dict_reader *rd, uint32_t ord, qd_str *out, qd_err *err);
/* The least ordinal whose bytes are >= key (stats.ordinals when none); *found: equal. Needs
 * qd_dict_plan_all. O(log n). [worker] */
QD_MUST_CHECK
int qd_dict_find(qd_dict_reader *rd, qd_str key, uint32_t *ord, bool *found, qd_err *err);

/* Order-preserving integers of doubles and floats, as Lucene's NumericUtils (NaN greatest, -0 <
 * +0). */
static inline int64_t qd_sortable_f64(double d)
{
    int64_t b;
    memcpy(&b, &d, 8);
    if (d != d) b = 0x7ff8000000000000;
    return b ^ ((b >> 63) & INT64_MAX);
}
/* The inverse of qd_sortable_f64. */
static inline double qd_sortable_to_f64(int64_t v)
{
    double d;
    v ^= (v >> 63) & INT64_MAX;
    memcpy(&d, &v, 8);
    return d;
}
/* A float as an order-preserving 32-bit integer, widened. */
static inline int64_t qd_sortable_f32(float f)
{
    int32_t b;
    memcpy(&b, &f, 4);
    if (f != f) b = 0x7fc00000;
    return b ^ ((b >> 31) & INT32_MAX);
}
/* The inverse of qd_sortable_f32. */
static inline float qd_sortable_to_f32(int64_t v)
{
    float f;
    int32_t b = (int32_t)v;
    b ^= (b >> 31) & INT32_MAX;
    memcpy(&f, &b, 4);
    return f;
}
/* Decodes n sortable values to doubles, in place sizes (out may be values itself). [any] */
void qd_sortable_to_f64_n(const int64_t *values, double *out, size_t n);

#endif
