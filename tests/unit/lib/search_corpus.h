/*
 * search_corpus.h: a random shard for tests of searching: words with falling frequencies, tags,
 * numbers, in one or several segments with deletions, on a tier in memory; the documents stay there
 * for naive readings.
 */
#ifndef QD_TESTS_UNIT_SEARCH_CORPUS_H
#define QD_TESTS_UNIT_SEARCH_CORPUS_H

#include "base/str.h"
#include "lib/store_crash.h"
#include "search/searcher.h"
#include "segment/live.h"
#include "segment/segment.h"

#define WORDS 96u
#define TAGS 12u
#define SEGMENTS_MAX 4u
#define LEN_MAX 80u

/* Fields: body (text, w00 to w95), tag (keyword), num (long), at (long, as in a log: rising with
 * the document's number). */
typedef struct doc {
    uint8_t word[LEN_MAX];
    uint32_t n; /* words */
    int tag;    /* -1: none */
    bool has_num, deleted;
    int64_t num;
} doc;

typedef struct search_corpus {
    store_crash *disk;
    qd_store *store;
    qd_account account;
    qd_err err;
    doc *docs;
    uint32_t n, nseg, first[SEGMENTS_MAX + 1];
    qd_segment *seg[SEGMENTS_MAX];
    qd_live *live[SEGMENTS_MAX];
    qd_searcher *searcher;
    uint64_t seed;
    char word[WORDS][16], tag[TAGS][16], (*id)[16];
    float ninv[256]; /* of body */
    float tag_ninv;
    uint64_t body_docs, body_ttf, tag_docs, tag_df[TAGS], word_df[WORDS];
} search_corpus;

extern search_corpus search_corpus_data;
#define C search_corpus_data

/* The next random number; n > 0: below n. */
uint64_t search_rnd(uint64_t n);
/* Fails the test with the error's text unless rc is 0. */
void search_corpus_ok(int rc, int line);
#define OK(x) search_corpus_ok((x), __LINE__)
/* Occurrences of a word in a document. */
uint32_t word_freq(const doc *d, uint32_t w);
/* What document i has in the field "at". */
int64_t search_at(uint32_t i);
/* Makes C: n documents in nseg segments, one in delete_one_in deleted (0: none). */
void search_corpus_make(uint64_t seed, uint32_t n, uint32_t nseg, uint32_t delete_one_in);
/* Frees it; nothing may be left allocated. */
void search_corpus_end(void);

#endif
