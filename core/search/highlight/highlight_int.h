/* highlight_int.h: what matching and fragmenting share. */
#ifndef QD_SEARCH_HIGHLIGHT_INT_H
#define QD_SEARCH_HIGHLIGHT_INT_H

#include "automaton/automaton.h"
#include "search/highlight/highlight.h"
#include <unicode/ubrk.h>

/* A phrase of the query; terms of one position are alternatives. */
typedef struct highlight_phrase {
    const qd_phrase_term *terms;
    uint32_t n, slop;
} highlight_phrase;

typedef struct highlight_range {
    qd_node_range range;
} highlight_range;

/* A word or phrase of the query, in its order; equal ones once. */
typedef struct highlight_flat {
    enum {
        HIGHLIGHT_FLAT_TERM,
        HIGHLIGHT_FLAT_PATTERN,
        HIGHLIGHT_FLAT_RANGE,
        HIGHLIGHT_FLAT_PHRASE
    } kind;
    qd_str term;
    uint32_t at; /* among patterns, ranges, phrases */
    uint32_t number;
    float boost;
} highlight_flat;

struct qd_highlighter {
    qd_str *terms; /* sorted, distinct */
    uint32_t nterms;
    qd_automaton **patterns;
    uint32_t npatterns;
    highlight_phrase *phrases;
    uint32_t nphrases;
    highlight_range *ranges;
    uint32_t nranges;
    highlight_flat *flats;
    uint32_t nflats;
};

/* phrases, patterns, ranges of one query that are looked at */
#define QDI_HIGHLIGHT_LISTS_MAX 4096u

/* The words of a query being gathered: once to count them, once to keep them. */
typedef struct qdi_gather {
    qd_highlighter *h;
    qd_arena *arena;
    qd_str field;
    bool any, counting;
    uint32_t nterms;
    qd_err *err;
} qdi_gather;
/* Are words of this field wanted? */
bool qdi_highlight_wants(const qdi_gather *g, qd_str field);
/* A word of the query. */
void qdi_highlight_term(qdi_gather *g, qd_str t);
/* A word, or number `at` of the patterns, ranges, phrases. */
void qdi_highlight_flat(qdi_gather *g, int kind, qd_str term, uint32_t at, float boost);

/* A marked stretch of one value. */
typedef struct highlight_match {
    uint32_t from, to; /* UTF-16 units in the value */
    uint32_t term;     /* which words, for counting */
    uint32_t text;     /* hash of the token: which word it is itself */
} highlight_match;

/* A value in UTF-16, and how its units stand in UTF-8. */
typedef struct highlight_text {
    qd_str utf8;
    UChar *u;
    uint32_t n;        /* units */
    uint32_t *byte_of; /* n + 1: where a unit's character begins */
    uint32_t base;     /* units of the values before */
    highlight_match *matches;
    uint32_t nmatches;
    qd_span *tokens; /* offsets of all tokens, for plain fragments */
    uint32_t ntokens;
} highlight_text;

typedef struct highlight_passage {
    uint32_t value, from, to;
    uint32_t first, n; /* matches of the value */
    double score;
    uint32_t number;
} highlight_passage;

/* Finds the matches of one value's tokens. distinct: how many different words there can be. */
int qdi_highlight_find(const qd_highlighter *h, const qd_tokens *t, bool whole_phrases, qd_arena *a,
                       highlight_text *v, qd_err *err);
/* Is the term within the range? */
bool qdi_highlight_in_range(const qd_node_range *r, qd_str t);
/* A text in UTF-16 with its places in UTF-8. */
int qdi_highlight_load(qd_str s, qd_arena *arena, highlight_text *v, qd_err *err);
/* Appends units [from, to) of a text, encoded as the options want. */
void qdi_highlight_put(const qd_highlight_options *o, qd_buf *b, const highlight_text *v,
                       uint32_t from, uint32_t to);
/* Number of different words (bound of highlight_match.term). */
uint32_t qdi_highlight_words(const qd_highlighter *h);

/* Sentences of one value, joined or cut to a size. */
typedef struct highlight_breaker {
    UBreakIterator *main, *words;
    const highlight_text *text;
    bool main_words;
    uint32_t max; /* 0: unbounded */
    int32_t window_from, window_to, from, to;
} highlight_breaker;
/* Opens it over a value. QD_E_INTERNAL */
int qdi_breaker_open(highlight_breaker *b, const highlight_text *v, qd_highlight_breaks breaks,
                     uint32_t max, qd_err *err);
/* The stretch that holds unit `at`; calls come in ascending order. */
void qdi_breaker_at(highlight_breaker *b, uint32_t at, uint32_t n, uint32_t *from, uint32_t *to);
void qdi_breaker_close(highlight_breaker *b);

#endif
