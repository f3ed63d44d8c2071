/*
 * analysis.h: text to tokens, as Lucene does it, a whole field value at a time.
 *
 * A qd_analyzer is an immutable chain: char filters, one tokenizer, token filters. It is made once
 * from index settings (qd_analyzers) and shared by all threads. What changes while it runs lives in
 * a qd_analysis, the scratch of one indexing slot or one request: arrays that grow to the size of
 * the largest value and are then reused, so that nothing is allocated for a token and no function
 * is called through a pointer for a token: every stage transforms the arrays of the whole value.
 *
 * Tokens are a struct of arrays. term[i] always counts; the arrays behind it count only if their
 * bit stands in `has`, and mean a constant otherwise. The default chain on ASCII text sets `term`
 * alone, and a consumer that wants only terms and plain positions reads only that.
 *
 * Offsets count UTF-16 units of the value given to run, as Lucene and Elasticsearch count; they
 * are made only when asked for (QD_ANALYZE_OFFSETS).
 *
 * Threads: analyzers and registries [any]; one qd_analysis by one thread at a time.
 */
#ifndef QD_ANALYSIS_ANALYSIS_H
#define QD_ANALYSIS_ANALYSIS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <quidditch/analyzer.h>

/* A half-open range. */
typedef struct qd_span {
    uint32_t from, to;
} qd_span;

/* Bits of qd_tokens.has: which optional arrays are filled. */
enum {
    QD_TOKENS_OFFSETS = 1, /* offset[] */
    QD_TOKENS_INC = 2,     /* inc[]; without it every increment is 1 */
    QD_TOKENS_LENGTH = 4,  /* length[]; without it every position length is 1 */
    QD_TOKENS_TYPE = 8,    /* type[]; without it every type is common_type */
    QD_TOKENS_KEYWORD = 16 /* keyword[]; without it no token is a keyword */
};

/* The tokens of one value, in Lucene's order (by position, then as the filters put them). */
typedef struct qd_tokens {
    const char *text; /* bytes that term[] points into; UTF-8; 64 readable bytes stand behind it */
    size_t n;         /* tokens */
    uint32_t has;     /* QD_TOKENS_… */
    uint8_t common_type;
    qd_span *term;       /* term i is text[term[i].from .. term[i].to) */
    qd_span *offset;     /* UTF-16 units in the value */
    uint32_t *inc;       /* position increment; 0 = same position as the token before */
    uint32_t *length;    /* positions the token spans (graphs of synonyms) */
    uint8_t *type;       /* qd_token_type */
    uint8_t *keyword;    /* 1: stemmers leave it alone */
    uint32_t end_inc;    /* holes behind the last token (stop words at the end) */
    uint32_t end_offset; /* with QD_ANALYZE_OFFSETS: length of the value in UTF-16 units */
    bool flat;           /* a query builds no graph of them, though lengths be over 1 (shingles) */
} qd_tokens;

/* What a caller of run wants besides terms and position increments. */
enum {
    QD_ANALYZE_OFFSETS = 1, /* fill offset[] */
    QD_ANALYZE_TYPES = 2    /* fill type[] or common_type exactly */
};

typedef struct qd_analyzer qd_analyzer;   /* immutable, counted */
typedef struct qd_analyzers qd_analyzers; /* an index's set of them, immutable, counted */
typedef struct qd_analysis qd_analysis;   /* scratch of one thread */

/* The term of token i, borrowed as long as t. [any] */
static inline qd_str qd_tokens_term(const qd_tokens *t, size_t i)
{
    return (qd_str){t->text + t->term[i].from, t->term[i].to - t->term[i].from};
}
/* Position increment of token i. [any] */
static inline uint32_t qd_tokens_inc(const qd_tokens *t, size_t i)
{
    return t->has & QD_TOKENS_INC ? t->inc[i] : 1;
}
/* Position length of token i. [any] */
static inline uint32_t qd_tokens_length(const qd_tokens *t, size_t i)
{
    return t->has & QD_TOKENS_LENGTH ? t->length[i] : 1;
}
/* Type of token i; exact only when run was asked for types. [any] */
static inline uint32_t qd_tokens_type(const qd_tokens *t, size_t i)
{
    return t->has & QD_TOKENS_TYPE ? t->type[i] : t->common_type;
}
/* Lucene's name of a type ("<ALPHANUM>", "word", "SYNONYM"); types of plugins are "word". Static.
 * [any] */
const char *qd_token_type_name(uint32_t type);
/* Does any token span more than one position, i.e. must a query build a graph? [any] */
bool qd_tokens_is_graph(const qd_tokens *t);

/* Of one value: what a chain may take whose filters make more of it, and the same by its bytes.
 * Each n-gram of 1 to 25 letters of a text takes less. */
#define QD_ANALYSIS_ROOM ((size_t)48 << 20)
#define QD_ANALYSIS_PER_BYTE ((size_t)1024)

/* --- scratch ------------------------------------------------------------------------------- */

/* Makes a scratch whose memory is charged to account (NULL: general) and never exceeds max bytes
 * (0: 1 GiB), nor grows by more than QD_ANALYSIS_ROOM and QD_ANALYSIS_PER_BYTE times its length for
 * one value. NULL when out of memory. Free with qd_analysis_free. [any] */
QD_MUST_CHECK
qd_analysis *qd_analysis_make(qd_account *account, size_t max);
/* Frees a scratch; NULL is fine. [any] */
void qd_analysis_free(qd_analysis *s);
/* Grows the arrays now for values of up to value_bytes bytes, so that the first documents do not
 * pay for the first touch of memory. 0 or QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_analysis_warm(qd_analysis *s, size_t value_bytes);

/* --- analyzers ----------------------------------------------------------------------------- */

/* Analyzes one value. text is valid UTF-8 of less than 1 GiB; want is a set of QD_ANALYZE_ bits.
 * *out is borrowed from s and valid until its next use (it holds no pointer into text).
 * QD_E_NOMEM, QD_E_LIMIT, QD_E_ARG (a filter refuses its input, or makes too much of it: the text
 * names part and limit). [any] */
QD_MUST_CHECK
int qd_analyzer_run(const qd_analyzer *a, qd_analysis *s, qd_str text, uint32_t want,
                    const qd_tokens **out, qd_err *err);
/* One term through the char filters and those token filters that keep a term one term (lowercase,
 * asciifolding …), without tokenizing: for prefix, wildcard, regexp and fuzzy queries and for
 * normalizers. *out is borrowed from s until its next use. Errors as run. [any] */
QD_MUST_CHECK
int qd_analyzer_normalize(const qd_analyzer *a, qd_analysis *s, qd_str text, qd_str *out,
                          qd_err *err);
/* One more reference; returns a. [any] */
qd_analyzer *qd_analyzer_ref(const qd_analyzer *a);
/* Drops a reference; the last one frees. NULL is fine. [any] */
void qd_analyzer_unref(const qd_analyzer *a);
/* The name it was registered under, as long as a. [any] */
qd_str qd_analyzer_name(const qd_analyzer *a);
/* Positions between two values of a field (position_increment_gap of a custom analyzer, default
 * 100); a mapping's own position_increment_gap goes before it. [any] */
uint32_t qd_analyzer_gap(const qd_analyzer *a);
/* The level of the cluster's formats that its parts need (base/features.h); 0: any; of NULL, too.
 * [any] */
uint32_t qd_analyzer_level(const qd_analyzer *a);
/* True if a field may be indexed with it: false when it holds a part that is for searching only
 * (synonyms with updateable: true). [any] */
bool qd_analyzer_for_index(const qd_analyzer *a);

/* --- an index's analyzers -------------------------------------------------------------------- */

/* One index setting, flattened as Elasticsearch does: key without "index."
 * ("analysis.analyzer.my.filter"), values as text; a JSON array is a list. */
typedef struct qd_analysis_setting {
    qd_str key;
    const qd_str *values;
    uint32_t nvalues;
    bool list;
} qd_analysis_setting;

struct qd_plugin_host;
/* What parts may reach beyond their settings. read: word lists (stopwords_path, synonyms_path …);
 * makes *text (free with qd_free); NULL refuses all such settings. plugins: who provides parts that
 * are not built in (NULL: nobody); the analyzers made may not outlive it. stored: the settings were
 * accepted before, perhaps by another node: what this one cannot make is no error, but a stand-in
 * that fails with the reason when it is run (qd_analyzers_missing). */
typedef struct qd_analysis_files {
    int (*read)(void *arg, qd_str path, char **text, size_t *n, qd_err *err);
    void *arg;
    const struct qd_plugin_host *plugins;
    bool stored;
} qd_analysis_files;

/* Builds all analyzers, tokenizers, filters and normalizers that the settings name (all keys below
 * "analysis.", besides max_ngram_diff and max_shingle_diff; others are not looked at). The settings
 * are only borrowed. files may be NULL. On success *out has one reference. QD_E_ARG with
 * Elasticsearch's sentence, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_analyzers_make(const qd_analysis_setting *settings, size_t n, const qd_analysis_files *files,
                      qd_analyzers **out, qd_err *err);
/* Why a stored set cannot be used on this node: the first of its parts that could not be made. NULL
 * when all were. As long as `as`. [any] */
const char *qd_analyzers_missing(const qd_analyzers *as);
/* The level of the cluster's formats that the settings' parts need (base/features.h); 0: any.
 * *what: the analyzer, part or normalizer that needs it, *kind: which of them, by the settings'
 * name; both as long as `as`. [any] */
uint32_t qd_analyzers_level(const qd_analyzers *as, qd_str *what, const char **kind);
/* One more reference; returns as. [any] */
qd_analyzers *qd_analyzers_ref(const qd_analyzers *as);
/* Drops a reference; the last one frees. NULL is fine. [any] */
void qd_analyzers_unref(const qd_analyzers *as);
/* Who provides parts that are none of ours; NULL: nobody. [any] */
const struct qd_plugin_host *qd_analyzers_plugins(const qd_analyzers *as);
/* The analyzer of that name: the index's own or a built-in one; "default" is what the settings
 * name so, else standard. NULL when there is none. Borrowed from as. [any] */
const qd_analyzer *qd_analyzers_get(const qd_analyzers *as, qd_str name);
/* Analyzer of searches: "default_search" if set, else "default". Borrowed from as. [any] */
const qd_analyzer *qd_analyzers_search_default(const qd_analyzers *as);
/* The normalizer of that name (keyword fields), run with qd_analyzer_normalize; NULL when there is
 * none. Borrowed from as. [any] */
const qd_analyzer *qd_analyzers_normalizer(const qd_analyzers *as, qd_str name);

/* Our parts as a built-in plugin, for qd_plugin_builtin: they register by the vtables of
 * quidditch/analyzer.h like anybody's. Static. [any] */
const qd_plugin *qd_analysis_plugin(void);

/* --- _analyze --------------------------------------------------------------------------------- */

/* A part named, or defined on the spot by settings whose keys are the bare ones ("type", …). */
typedef struct qd_analysis_part {
    qd_str name; /* p NULL: definition counts */
    const qd_analysis_setting *definition;
    size_t ndefinition;
} qd_analysis_part;

/* A chain put together for one request. tokenizer NULL: keyword, as for a normalizer (*out then
 * treats the text as one token). as NULL: no index, Elasticsearch's "global" parts. Parts are
 * looked up and complained of as in Elasticsearch's _analyze. files as for qd_analyzers_make, may
 * be NULL. *out has one reference. [any] */
QD_MUST_CHECK
int qd_analyzers_chain(const qd_analyzers *as, const qd_analysis_files *files,
                       const qd_analysis_part *tokenizer, const qd_analysis_part *filters,
                       size_t nfilters, const qd_analysis_part *char_filters, size_t nchar_filters,
                       qd_analyzer **out, qd_err *err);

/* Of a part or analyzer that Elasticsearch or a plugin of it has and this version has not: QD_E_ARG
 * with what to use in its place. name is the user's for it, or empty. 0: no such type. [any] */
QD_MUST_CHECK
int qd_analysis_refuse(const char *kind, qd_str name, qd_str type, qd_err *err);
/* What stands in for a type that is not there, for people; NULL: nothing was found. [any] */
const char *qd_analysis_instead(qd_str type);

typedef enum qd_stage_kind {
    QD_STAGE_CHAR_FILTER, /* tokens is NULL, text is the filtered text */
    QD_STAGE_TOKENIZER,
    QD_STAGE_FILTER,
    QD_STAGE_ANALYZER /* the whole of a built-in analyzer, which has no parts to show */
} qd_stage_kind;

/* Is there a built-in part or analyzer of that kind and name? [any] */
bool qd_analysis_type_known(qd_stage_kind kind, qd_str name);

/* Called after every stage; a result other than 0 ends the run with it. Tokens and text are
 * borrowed for the call; tokens carry offsets and types. */
typedef int (*qd_stage_fn)(void *arg, qd_stage_kind kind, qd_str name, const qd_tokens *tokens,
                           qd_str text);

/* Runs the stages one after the other, showing each to fn (_analyze with explain). Built-in
 * analyzers are shown as one stage, as Elasticsearch shows them. Errors as run. [any] */
QD_MUST_CHECK
int qd_analyzer_explain(const qd_analyzer *a, qd_analysis *s, qd_str text, qd_stage_fn fn,
                        void *arg, qd_err *err);

#endif
