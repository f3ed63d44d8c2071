/*
 * corpus.h: random documents for tests of segments, kept naively: a list of occurrences, against
 * which every structure of a segment is compared.
 */
#ifndef QD_TESTS_UNIT_CORPUS_H
#define QD_TESTS_UNIT_CORPUS_H

#include "base/vec.h"
#include "segment/buffer.h"
#include "segment/merge.h"
#include "segment/segment.h"
#include "unit/lib/parts.h"

typedef struct occurrence {
    uint32_t word, doc, position, start, end;
} occurrence;

typedef struct corpus_field {
    qd_field_info info;
    QD_VEC(occurrence) all;  /* by document, in order */
    QD_VEC(uint32_t) length; /* by document: words with an increment above 0 */
} corpus_field;

#define CORPUS_FIELDS 4u /* "body" positions and norms, "exact" documents, "freq", "offs" */

typedef struct corpus {
    parts *x;
    uint32_t words, docs;
    QD_VEC(char) text;        /* of all words */
    QD_VEC(uint32_t) text_at; /* words + 1 */
    corpus_field fields[CORPUS_FIELDS];
} corpus;

/* A vocabulary of different words, some long, some with common beginnings, some with bytes over
 * 127. */
void corpus_begin(corpus *c, parts *x, uint32_t words);
/* Adds documents of about `length` words to the model. */
void corpus_grow(corpus *c, uint32_t docs, uint32_t length);
/* Frees. */
void corpus_end(corpus *c);
/* A word's bytes. */
qd_str corpus_word(const corpus *c, uint32_t word);
/* Adds model document doc to the buffer; the codes of the buffer come back. */
int corpus_feed(const corpus *c, uint32_t doc, qd_buffer *b, qd_err *err);
/* Writes model documents [from, to), those in skip (may be NULL) left out, as segment `name`. */
void corpus_flush(const corpus *c, uint32_t from, uint32_t to, const uint8_t *skip,
                  const char *name);
/* Compares a segment with documents [from, to) less skip: every term, posting, position, offset,
 * norm, class and bitmap. */
void corpus_compare(const corpus *c, uint32_t from, uint32_t to, const uint8_t *skip,
                    const char *name);

/* Reads every term, posting, position and offset of a segment, whatever is in it; 0 or the first
 * error. */
int corpus_read_all(parts *x, const char *name, qd_err *err);
/* Opens n segments (deleting documents that skip names, numbered through all of them; may be NULL)
 * and merges them into `to`. */
int corpus_merge(parts *x, const char *const *names, uint32_t n, const uint8_t *skip,
                 const char *to, qd_merge_result *result, qd_err *err);
/* Two objects have the same sections, byte for byte. */
void corpus_same_bytes(parts *x, const char *a, const char *b);
/* Flush of model documents [from, to) as corpus_flush, but failures come back. */
int corpus_try_flush(const corpus *c, uint32_t from, uint32_t to, const uint8_t *skip,
                     const char *name, qd_err *err);

#endif
