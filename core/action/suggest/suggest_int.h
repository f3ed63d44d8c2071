/*
 * suggest_int.h: the section "suggest" of a search: term and phrase suggesters. The request is read
 * once a node (parse.c), run on each shard (shard.c, term.c, phrase.c), whose answer is JSON, and
 * merged where the search came in (merge.c).
 */
#ifndef QD_ACTION_SUGGEST_INT_H
#define QD_ACTION_SUGGEST_INT_H

#include "analysis/analysis.h"
#include "mapping/mapping.h"
#include "search/suggest/spell.h"
#include "json/tree.h"
#include "json/writer.h"

#define QDI_SUGGEST_MAX 64u /* suggestions of a request */
#define QDI_SUGGEST_SIZE_MAX 1000u
#define QDI_GENERATORS_MAX 16u
#define QDI_SUGGEST_TEXT_MAX 10000u /* bytes */

typedef enum qdi_suggest_kind { QDI_SUGGEST_TERM, QDI_SUGGEST_PHRASE } qdi_suggest_kind;

/* Where candidates of one word come from. */
typedef struct qdi_generator {
    qd_str field, pre_filter, post_filter; /* p NULL: none */
    qd_spell_options spell;
    uint32_t size;
} qdi_generator;

typedef enum qdi_smoothing {
    QDI_STUPID_BACKOFF,
    QDI_LAPLACE,
    QDI_LINEAR_INTERPOLATION
} qdi_smoothing;

typedef struct qdi_suggestion {
    qd_str name, text, field, analyzer; /* analyzer p NULL: the field's */
    qdi_suggest_kind kind;
    uint32_t size, shard_size;
    qd_spell_options spell; /* term */
    /* phrase */
    double real_word_error, confidence;
    float max_errors;
    qd_str separator, pre_tag, post_tag; /* tags p NULL: no highlights */
    uint32_t gram_size;                  /* 0: as the analyzer makes them */
    bool any_unigrams;                   /* force_unigrams is false */
    uint32_t token_limit;
    qdi_smoothing smoothing;
    double discount, alpha, trigram, bigram, unigram;
    qdi_generator generators[QDI_GENERATORS_MAX];
    uint32_t ngenerators;
} qdi_suggestion;

typedef struct qdi_suggest {
    qdi_suggestion *at;
    uint32_t n;
} qdi_suggest;

/* parse.c: the section; texts live as long as n. QD_E_PARSE, QD_E_ARG. [any] */
QD_MUST_CHECK
int qdi_suggest_parse(const qd_json_node *n, qd_arena *arena, qdi_suggest *out, qd_err *err);

/* Can nodes of that level of the cluster's formats answer? QD_E_ARG. [any] */
QD_MUST_CHECK
int qdi_suggest_allowed(uint32_t level, qd_err *err);

/* What a shard works with. */
typedef struct qdi_suggest_shard {
    const qd_searcher *searcher;
    const qd_mapping *mapping;
    qd_analysis *analysis; /* its own */
    qd_arena *arena;
    qd_task *task;
} qdi_suggest_shard;

/* shard.c: all suggestions as JSON, {"name": [entries]}, in x->arena. [worker] */
QD_MUST_CHECK
int qdi_suggest_run(const qdi_suggest *s, const qdi_suggest_shard *x, qd_str *out, qd_err *err);
/* term.c, phrase.c: the entries of one. */
QD_MUST_CHECK
int qdi_suggest_term(const qdi_suggestion *s, const qdi_suggest_shard *x, qd_json_writer *w,
                     qd_err *err);
QD_MUST_CHECK
int qdi_suggest_phrase(const qdi_suggestion *s, const qdi_suggest_shard *x, qd_json_writer *w,
                       qd_err *err);
/* shard.c: an analyzer by name, or (p NULL) the field's for searches; NULL with err set. */
const qd_analyzer *qdi_suggest_analyzer(const qdi_suggest_shard *x, qd_str name, qd_str field,
                                        qd_err *err);

/* merge.c: the answers of n shards as the value of "suggest". [any] */
QD_MUST_CHECK
int qdi_suggest_write(const qdi_suggest *s, const qd_str *shards, uint32_t n, bool typed_keys,
                      qd_arena *arena, qd_json_writer *w, qd_err *err);

#endif
