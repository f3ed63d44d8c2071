/*
 * postings.h: what search kernels read of one term: a view over its pinned bytes.
 *
 * plan adds the term's ranges to a batch, open (after the fetch) fills a qd_postings with pointers
 * into them; nothing is copied and nothing per block is touched until it is used. Every term has
 * the same shape, whatever its form on disk: blocks of 128 postings with heads as arrays. The view
 * points into itself for terms of one block: it must not be moved or copied.
 *
 * What comes with a term, N being the segment's documents:
 *   df >= 512          impact classes: cls[] and the frontier table (else score the term whole)
 *   ... and >= N/32    range_cls[]: a class for each 128-document range, 0 = absent
 *   ... and >= N/16    a bitmap with ranks (optional between N/16 and N/7)
 *   ... and >= N/7     the bitmap instead of packed documents (doc_bits are QD_DOC_BITS_BITMAP)
 *
 * Bytes from disk are checked where they are used, at a cost of a compare or two a block: a block
 * that lies outside, has a bad width or does not end at its head's last document sets `damaged`
 * and yields no postings. Kernels need no error path: they ask qd_postings_status once at the end.
 * Documents given out are always below ndocs and ascending. Classes in cls and range_cls are 0 to
 * 63 in good files; mask with 63 where one indexes a table.
 *
 * A view serves one thread at a time.
 */
#ifndef QD_SEGMENT_POSTINGS_H
#define QD_SEGMENT_POSTINGS_H

#include "segment/codec/codec.h"
#include "segment/terms.h"

#define QD_NO_DOC UINT32_MAX
#define QD_RANGE_LOG 7u          /* documents of a range: 2^7 */
#define QD_RANK_LOG 9u           /* documents of a rank: 2^9 */
#define QD_IMPACT_CLASSES 64u    /* 0 = absent */
#define QD_IMPACT_MIN_DF 512u    /* fewer postings have no classes */
#define QD_FREQ_SATURATED 65535u /* in a frontier pair: this or any greater frequency */
#define QD_DOC_BITS_BITMAP 0xffu /* doc_bits of blocks whose documents stand in the bitmap */

typedef struct qd_postings {
    uint32_t df, nblk; /* postings; blocks of 128, the last one may be short */
    uint32_t ndocs;    /* documents of the segment */
    uint32_t nranges;  /* ranges of 128 documents */
    uint64_t ttf;
    bool damaged;

    /* Heads by block. A block's documents are packed at data + 16 * off[b], its frequencies - 1
     * right behind them; use qd_postings_block, _docs, _freqs. */
    const uint32_t *last;     /* last document */
    const uint32_t *off;      /* in 16 bytes */
    const uint8_t *doc_bits;  /* width of (delta - 1) */
    const uint8_t *freq_bits; /* width of (frequency - 1) */
    const uint8_t *cls;       /* impact class, NULL without classes */
    const uint8_t *data;
    uint64_t data_len;

    /* Frontiers: level i is class level_cls[i] (ascending) and owns the next level_pairs[i] pairs
     * (0 stands for 256): all (freq, norm) of its members are dominated by one of them (freq
     * rises, norm rises). A bound of a class is the greatest score of its pairs. */
    uint32_t nlevels, npairs;
    const uint8_t *level_cls, *level_pairs;
    const uint16_t *pair_freq;
    const uint8_t *pair_norm;

    /* Frequent terms; NULL without. Both arrays are readable and zero to a multiple of 64 elements
     * (range_cls) and of 512 bits (bits). */
    const uint8_t *range_cls;
    const uint64_t *bits;
    const uint32_t *ranks; /* postings before each 512 documents, ndocs / 512 + 1 of them */

    /* Positions; pos_data is NULL when not planned or not indexed. Position k of the term (k < ttf,
     * in order of documents) is the k-th value: a delta to the one before in its document. */
    const uint32_t *pos_before; /* positions before each block of postings; NULL when nblk = 1 */
    const uint32_t *pos_off;    /* by block of 128 positions, in 16 bytes */
    const uint8_t *pos_bits;
    const uint8_t *pos_data;
    uint64_t pos_data_len;
    uint32_t npos_blk;

    /* Offsets, numbered as positions: deltas of starts in the document, and lengths. */
    const uint32_t *offs_off;
    const uint8_t *start_bits, *length_bits;
    const uint8_t *offs_data;
    uint64_t offs_data_len;

    const qd_codec *codec;
    qd_segment *segment;
    qd_term term;
    uint32_t slots[3];
    uint32_t want;
    uint32_t one_u32[4]; /* heads of terms of one block */
    uint8_t one_u8[4];
    uint8_t inline_data[160]; /* packed form of inline documents and positions */
} qd_postings;

/* Prepares p for a term and adds its ranges: the postings always, positions and offsets if want
 * (QD_INDEX_POSITIONS, QD_INDEX_OFFSETS) asks and the field has them. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_postings_plan(qd_segment *s, const qd_term *t, qd_index_options want, qd_reads *r,
                     qd_postings *p, qd_err *err);
/* After the fetch: checks the term's header and fills the view; some 50 ns. p stays where it is and
 * is good as long as the batch's pins. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_postings_open(qd_postings *p, const qd_reads *r, qd_err *err);
/* 0, or QD_E_CORRUPT if any block of the view was bad. [worker] */
int qd_postings_status(const qd_postings *p, qd_err *err);

/* Documents of many terms of 2 to 128 documents each, whose order does not matter: gathered, then
 * read together and set in a bitmap. A zeroed one (n, nruns) is empty. */
#define QD_SMALL_TERMS 1024u
#define QD_SMALL_RUNS 256u
typedef struct qd_small_term {
    uint32_t at; /* in its run */
    uint16_t len, df;
} qd_small_term;
typedef struct qd_small_run { /* terms whose postings lie close together */
    uint64_t from, to;        /* in the postings */
    uint32_t end, slot;       /* its last term + 1 */
} qd_small_run;
typedef struct qd_small_terms {
    uint32_t n, nruns;
    qd_small_term term[QD_SMALL_TERMS];
    qd_small_run run[QD_SMALL_RUNS];
} qd_small_terms;

/* Takes a term in; false: full, to be flushed first. Cheapest for terms in order. [any] */
bool qd_small_terms_add(qd_small_terms *x, const qd_term *t);
/* Sets the bits of all documents gathered (of s, which all terms are of) and empties x; terms that
 * begin at or behind document `below` may be left out (UINT32_MAX: none is). r is an empty batch,
 * released again. Some 20 ns a term and 1 to 2 a document. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_small_terms_flush(qd_small_terms *x, qd_segment *s, qd_reads *r, uint32_t below,
                         uint64_t *bits, qd_err *err);

/* A checked block: where its streams are. */
typedef struct qd_block {
    const uint8_t *docs; /* NULL: in the bitmap */
    const uint8_t *freqs;
    uint32_t base; /* last document before, QD_NO_DOC for the first block */
    uint32_t n;    /* postings, 1 to 128 */
    unsigned doc_bits, freq_bits;
} qd_block;

/* Checks block b (< nblk) and fills *out; false and p->damaged when it is bad. [worker] */
bool qd_postings_block(qd_postings *p, uint32_t b, qd_block *out);
/* Documents of block b into out[128], those behind the last posting filled up with QD_NO_DOC;
 * returns how many, 0 when damaged. out has room for 192 (a bitmap writes ahead). [worker] */
uint32_t qd_postings_docs(qd_postings *p, uint32_t b, uint32_t *out);
/* Frequencies of block b into out[128] (behind the last posting unspecified); returns how many, 0
 * when damaged. 1 each where the field keeps none. [worker] */
uint32_t qd_postings_freqs(qd_postings *p, uint32_t b, uint32_t *out);
/* Frequency of posting j (< df), one random read. 1 when damaged. [worker] */
uint32_t qd_postings_freq(qd_postings *p, uint32_t j);
/* First block from `from` on whose last document is >= doc, nblk when none: galloping, then binary
 * search. [any] */
uint32_t qd_postings_seek(const qd_postings *p, uint32_t from, uint32_t doc);

/* Is doc (< ndocs) in the bitmap (p->bits is there)? [any] */
QD_INLINE bool qd_postings_test(const qd_postings *p, uint32_t doc)
{
    return p->bits[doc >> 6] >> (doc & 63) & 1;
}
/* Number of postings before doc (< ndocs), by bitmap and rank: the posting's number when
 * qd_postings_test holds. Always < df for such a doc in a good file, clamped in a bad one. [any] */
QD_INLINE uint32_t qd_postings_rank(const qd_postings *p, uint32_t doc)
{
    uint32_t word = doc >> 6, r = p->ranks[doc >> QD_RANK_LOG];
    for (uint32_t w = word & ~7u; w < word; w++) r += (uint32_t)__builtin_popcountll(p->bits[w]);
    r += (uint32_t)__builtin_popcountll(p->bits[word] & ((1ull << (doc & 63)) - 1));
    return r < p->df ? r : p->df - 1;
}

/* Number of the first position of posting j (< df): positions of the postings before it. *freq (may
 * be NULL) gets its frequency. [worker] */
uint64_t qd_postings_position_first(qd_postings *p, uint32_t j, uint32_t *freq);
/* Positions first .. first + n of one document (n its frequency, or less) as absolute positions,
 * ascending; returns n, 0 when damaged. [worker] */
uint32_t qd_postings_positions(qd_postings *p, uint64_t first, uint32_t n, uint32_t *out);
/* Start and end offsets, numbered likewise. [worker] */
uint32_t qd_postings_offsets(qd_postings *p, uint64_t first, uint32_t n, uint32_t *start,
                             uint32_t *end);

#endif
