/*
 * highlight.h: the words of a field's text that a query matches, marked, in the best fragments.
 *
 * The text is analyzed anew and its tokens are compared with the terms, phrases and patterns of the
 * query. Fragments are sentences (ICU's rules), joined or cut to fragment_size, scored like
 * Lucene's UnifiedHighlighter (BM25 over fragments); or pieces of fragment_size as its older
 * Highlighter makes them (plain). Offsets count UTF-16 units.
 */
#ifndef QD_SEARCH_HIGHLIGHT_H
#define QD_SEARCH_HIGHLIGHT_H

#include "analysis/analysis.h"
#include "query/node.h"

typedef struct qd_highlighter qd_highlighter;

typedef enum qd_highlight_breaks {
    QD_HIGHLIGHT_SENTENCES,
    QD_HIGHLIGHT_WORDS,
    QD_HIGHLIGHT_PLAIN, /* pieces of the older highlighter */
    QD_HIGHLIGHT_CHARS, /* only for qd_highlight_vector: boundary_chars */
} qd_highlight_breaks;

typedef struct qd_highlight_options {
    uint32_t fragment_size;   /* UTF-16 units; 0: no bound */
    uint32_t fragments;       /* at most; 0: the whole text of each value */
    uint32_t no_match_size;   /* so much of the text when nothing matches; 0: nothing */
    const qd_str *pre, *post; /* npre of each; the first ones are used */
    uint32_t npre;
    bool by_score, html, whole_phrases;
    qd_highlight_breaks breaks;
    uint32_t analyze_max;   /* units of text that are looked at; 0: all */
    bool simple_fragmenter; /* plain: pieces of just the size */
    /* qd_highlight_vector */
    qd_str boundary_chars;
    uint32_t boundary_max_scan, phrase_limit;
    uint32_t fragment_margin; /* 1 + fragment_offset; 0: its default */
} qd_highlight_options;

/* What a query tree wants of a field: the leaves of that field, or of all with any_field. each_leaf
 * walks the tree (qd_node_each_leaf). Lives in arena. [worker] QD_E_NOMEM, QD_E_TOO_COMPLEX. */
QD_MUST_CHECK
int qd_highlighter_make(const qd_node *root,
                        int (*each_leaf)(const qd_node *root,
                                         int (*fn)(void *arg, const qd_node *leaf, float boost),
                                         void *arg),
                        qd_str field, bool any_field, qd_arena *arena, qd_highlighter **out,
                        qd_err *err);
/* Does the query say nothing of this field? [any] */
bool qd_highlighter_is_empty(const qd_highlighter *h);

/* The fragments of a field's values, marked, in *out of *n, in arena. analyzer NULL: each value is
 * one token, normalized by normalizer unless that is NULL. [worker] QD_E_NOMEM, QD_E_INTERNAL
 * (ICU), errors of analysis. */
QD_MUST_CHECK
int qd_highlight(qd_highlighter *h, const qd_analyzer *analyzer, const qd_analyzer *normalizer,
                 qd_analysis *scratch, const qd_str *values, uint32_t nvalues,
                 const qd_highlight_options *o, qd_arena *arena, qd_str **out, uint32_t *n,
                 qd_err *err);
/* The same by the rules of the highlighter over term vectors; gap: positions between two values.
 * [worker] QD_E_ARG (fragment_size too small), QD_E_NOMEM, errors of analysis. */
QD_MUST_CHECK
int qd_highlight_vector(qd_highlighter *h, const qd_analyzer *analyzer, qd_analysis *scratch,
                        const qd_str *values, uint32_t nvalues, uint32_t gap,
                        const qd_highlight_options *o, qd_arena *arena, qd_str **out, uint32_t *n,
                        qd_err *err);
/* UTF-16 units of UTF-8 text. [any] */
size_t qd_highlight_units(qd_str s);

#endif
