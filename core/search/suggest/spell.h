/*
 * spell.h: words of a field that are near another word, as Lucene's DirectSpellChecker finds and
 * ranks them. By the terms of a searcher's segments; nothing is kept.
 */
#ifndef QD_SEARCH_SPELL_H
#define QD_SEARCH_SPELL_H

#include "base/arena.h"
#include "base/err.h"
#include "runtime/task.h"
#include "search/searcher.h"

typedef enum qd_spell_mode { QD_SPELL_MISSING, QD_SPELL_POPULAR, QD_SPELL_ALWAYS } qd_spell_mode;
typedef enum qd_spell_distance {
    QD_SPELL_INTERNAL, /* 1 - edits / the shorter length */
    QD_SPELL_DAMERAU_LEVENSHTEIN,
    QD_SPELL_LEVENSHTEIN, /* 1 - edits / the longer length */
    QD_SPELL_JARO_WINKLER,
    QD_SPELL_NGRAM, /* of 2 */
} qd_spell_distance;

typedef struct qd_spell_options {
    qd_spell_mode mode;
    qd_spell_distance distance;
    bool by_frequency; /* else by score */
    uint32_t max_edits, prefix_length, min_word_length, max_inspections;
    float accuracy, max_term_freq,
        min_doc_freq; /* frequencies: from 1 on counts, below it shares */
} qd_spell_options;
#define QD_SPELL_DEFAULTS                                                                          \
    ((qd_spell_options){.max_edits = 2,                                                            \
                        .prefix_length = 1,                                                        \
                        .min_word_length = 4,                                                      \
                        .max_inspections = 5,                                                      \
                        .accuracy = 0.5f,                                                          \
                        .max_term_freq = 0.01f})

typedef struct qd_spell_word {
    qd_str text;
    float score;
    uint64_t freq; /* documents that have it */
} qd_spell_word;

/* Documents with a term of a field, and its occurrences (NULL: not wanted); 0 when there are none.
 * [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_spell_frequency(const qd_searcher *s, qd_str field, qd_str term, uint64_t *docs,
                       uint64_t *occurrences, qd_err *err);
/* The best n words near `word`, best first, in arena; *got of them. task: NULL, or what ends it.
 * Walks the field's terms with an automaton of the word. [worker] QD_E_NOMEM, QD_E_CORRUPT, errors
 * of qd_task_check. */
QD_MUST_CHECK
int qd_spell_suggest(const qd_searcher *s, qd_str field, qd_str word, const qd_spell_options *o,
                     uint32_t n, qd_arena *arena, qd_task *task, qd_spell_word **out, uint32_t *got,
                     qd_err *err);
/* How alike two words are, from 0 to 1. [any] QD_E_NOMEM */
QD_MUST_CHECK
int qd_spell_similarity(qd_str a, qd_str b, qd_spell_distance kind, qd_arena *arena, float *out,
                        qd_err *err);

#endif
