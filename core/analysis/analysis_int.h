/*
 * analysis_int.h: what the parts of a chain share: scratch, batches, the interface of a part,
 * settings of a part.
 *
 * While a chain runs, offset[] holds byte ranges of the text behind the char filters; the end of
 * the run turns them into UTF-16 units of the value. Terms are ranges of the scratch's text area:
 * a filter shortens a term in place or appends a new one behind all others.
 */
#ifndef QD_ANALYSIS_INT_H
#define QD_ANALYSIS_INT_H

#include "analysis/analysis.h"
#include "analysis/tables/tables_int.h"
#include "base/map.h"
#include "base/vec.h"
#include <stdatomic.h>

enum { QD_TEXT_PAD = 64, QD_TERM_PAD = 64 };
#define QD_VALUE_MAX ((size_t)1 << 30)

enum {
    QD_COL_TERM,
    QD_COL_OFFSET,
    QD_COL_INC,
    QD_COL_LENGTH,
    QD_COL_TYPE,
    QD_COL_KEYWORD,
    QD_COLS
};

/* Types besides those of the SDK; names are in tokens.c. */
enum {
    QD_TOKEN_DOUBLE = QD_TOKEN_GRAM + 1,
    QD_TOKEN_SINGLE,
    QD_TOKEN_FINGERPRINT,
    QD_TOKEN_URL,
    QD_TOKEN_EMAIL,
    QD_TOKEN_APOSTROPHE,
    QD_TOKEN_ACRONYM,
    QD_TOKEN_COMPANY,
    QD_TOKEN_HOST,
    QD_TOKEN_CJ,
    QD_TOKEN_ACRONYM_DEP,
    QD_TOKEN_MIN_HASH,
    QD_TOKEN_TYPES
};

/* Tokens with the room of each column, in tokens. */
typedef struct qd_batch {
    qd_tokens t;
    size_t cap[QD_COLS];
} qd_batch;

/* From offset `at` (UTF-16 units of a char filter's output) on, its input lies `diff` further. */
typedef struct qd_correction {
    uint32_t at;
    int32_t diff;
} qd_correction;

/* Output and corrections of one char filter. */
typedef struct qd_filtered {
    char *text;
    size_t n, cap;
    QD_VEC(qd_correction) fix;
} qd_filtered;

/* Masks of 64 bytes of text, for counting UTF-16 units. */
typedef struct qd_unit_block {
    uint64_t follow, four; /* continuation bytes; first bytes of four */
    uint32_t before;       /* units before the block */
} qd_unit_block;

#define QD_ANALYSIS_MAGIC 0x514E4C59u
#define QD_CHAR_FILTERS_MAX 16
struct qd_analysis {
    uint32_t magic;
    qd_account account; /* its limit is that of the present value */
    size_t max;         /* of all values */
    uint32_t want;      /* QD_ANALYZE_ bits of this run */
    qd_str value;       /* as given to run */
    const char *src;    /* text behind the char filters, or the value */
    size_t nsrc;
    qd_batch *b, *spare; /* tokens now; room for a filter's output */
    qd_batch batch[2];
    char *text; /* terms */
    size_t ntext, text_cap;
    bool shared; /* terms may overlap: a filter that writes in place calls qd_text_unshare first */
    qd_filtered filtered[QD_CHAR_FILTERS_MAX];
    size_t nfiltered;
    bool offsets_done; /* offset[] are UTF-16 units of the value already */
    qd_unit_block *units;
    size_t units_cap;
    void *work; /* any filter's private room, valid within its run */
    size_t work_cap;
    struct qd_stemmers *stemmers; /* libstemmer's objects, one per language and scratch */
};

typedef struct qd_part qd_part;

/* What a part does; every function of the parts is called once for a whole value. */
typedef struct qd_part_ops {
    /* char filter: s->src to the next of s->filtered; tokenizer: s->src to tokens; filter: tokens
     * in place. */
    int (*run)(const qd_part *p, qd_analysis *s, qd_err *err);
    /* Frees the part's own memory and the part. */
    void (*free)(qd_part *p);
    /* A part that depends on what stands before it in the chain (synonyms): makes its final form.
     * NULL: the part itself is final. */
    int (*in_chain)(const qd_part *p, qd_part *const *before, size_t nbefore, qd_part **out,
                    qd_err *err);
} qd_part_ops;

#define QD_PART_MAGIC 0x54524150u
/* One configured char filter, tokenizer or token filter; first member of the concrete kinds.
 * Immutable once made, counted. */
struct qd_part {
    uint32_t magic;
    uint8_t kind;     /* qd_stage_kind */
    bool normalizes;  /* keeps one term one term: takes part in qd_analyzer_normalize */
    bool search_only; /* must not be used for indexing */
    bool no_synonyms; /* refuses to be run over the rules of a synonym filter */
    bool foreign;     /* of a plugin: works on whole batches with offsets of the value */
    bool keywords;    /* knows the mark of keywords: _analyze shows it from here on */
    uint8_t level;    /* of the cluster's formats that it needs (base/features.h); 0: any */
    uint8_t want;     /* QD_ANALYZE_ bits that it needs of the parts before it */
    _Atomic uint32_t refs;
    const qd_part_ops *ops;
    qd_str name; /* owned, as configured */
};

/* Settings of one part with bare keys, and what it may need besides. */
typedef struct qd_part_conf {
    qd_str name; /* as configured */
    const qd_analysis_setting *settings;
    size_t n;
    const qd_analysis_files *files;
    const qd_analyzers *owner; /* the set in whose settings it stands, or NULL */
    int64_t max_ngram_diff, max_shingle_diff;
    uint64_t *asked; /* NULL, or a bit for each of the first 64 settings that the part asked for */
    bool prebuilt;   /* named without a definition: some defaults differ */
} qd_part_conf;

/* A type of part, by the name used in "type": "…". */
typedef struct qd_part_type {
    const char *name;
    uint8_t kind;  /* qd_stage_kind */
    bool bare;     /* may be named without a definition */
    uint8_t flags; /* of its vtable: QD_ANALYZER_… */
    int (*make)(const qd_part_conf *c, qd_part **out, qd_err *err);
    uint8_t level; /* of the cluster's formats that its parts need; 0: any */
} qd_part_type;

/* Zeroed memory for a part of `size` bytes with its head filled. */
QD_MUST_CHECK
int qd_part_alloc(const qd_part_conf *c, size_t size, qd_stage_kind kind, const qd_part_ops *ops,
                  qd_part **out, qd_err *err);
/* Frees the head and the memory: the end of every ops->free. */
void qd_part_release(qd_part *p);
/* Raises the level of formats that a part needs. */
QD_INLINE void qd_part_needs(qd_part *p, uint8_t level)
{
    if (p->level < level) p->level = level;
}
/* References. */
qd_part *qd_part_ref(const qd_part *p);
void qd_part_unref(const qd_part *p);

/* Settings of a part: value, or NULL when not set. */
const qd_analysis_setting *qd_conf_find(const qd_part_conf *c, const char *key);
/* Text value, or def. */
qd_str qd_conf_str(const qd_part_conf *c, const char *key, const char *def);
/* Integer in Java's int range; "Failed to parse value [x] for setting [key]" otherwise. */
QD_MUST_CHECK
int qd_conf_int(const qd_part_conf *c, const char *key, int64_t def, int64_t *out, qd_err *err);
/* true or false. */
QD_MUST_CHECK
int qd_conf_bool(const qd_part_conf *c, const char *key, bool def, bool *out, qd_err *err);
/* The k-th value of a list; a lone text is split at commas. False behind the last. */
bool qd_conf_list(const qd_part_conf *c, const char *key, size_t k, qd_str *out);

/* Gives back what the scratch has taken for values so far. */
void qd_analysis_shrink(qd_analysis *s);
/* Runs the parts of kind filter over the batch, as a chain does. */
QD_MUST_CHECK
int qd_parts_run(qd_part *const *parts, size_t n, qd_analysis *s, qd_str text, uint32_t want,
                 const qd_tokens **out, qd_err *err);

/* Room for n tokens in the term column and in those of t.has. */
QD_MUST_CHECK
int qd_batch_reserve(qd_analysis *s, qd_batch *b, size_t n);
/* Switches on the column of a QD_TOKENS_ bit, filling it with its constant. */
QD_MUST_CHECK
int qd_batch_need(qd_analysis *s, qd_batch *b, uint32_t bit);
/* Empties b and gives it the columns of like. */
QD_MUST_CHECK
int qd_batch_like(qd_analysis *s, qd_batch *b, const qd_batch *like, size_t n);
/* Copies all attributes of token i of from to token j of to (same columns, room made). */
void qd_batch_copy(qd_batch *to, size_t j, const qd_batch *from, size_t i);
/* spare becomes current. end_* are carried over. */
void qd_analysis_swap(qd_analysis *s);
/* Room for n more bytes of terms; their offset is s->ntext. Pointers into s->text move. */
QD_MUST_CHECK
int qd_text_reserve(qd_analysis *s, size_t n);
/* Appends a term's bytes; *out is its range. */
QD_MUST_CHECK
int qd_text_add(qd_analysis *s, const char *p, size_t n, qd_span *out);
/* Private room of n bytes for the running filter. */
QD_MUST_CHECK
int qd_work_reserve(qd_analysis *s, size_t n);
/* Copies the source into the text area, so that spans of the source are terms. */
QD_MUST_CHECK
int qd_text_from_source(qd_analysis *s);
/* The next char filter's output, emptied; QD_E_LIMIT when there are too many. */
QD_MUST_CHECK
int qd_filtered_begin(qd_analysis *s, qd_filtered **out);
/* Appends bytes to it. */
QD_MUST_CHECK
int qd_filtered_add(qd_analysis *s, qd_filtered *f, const char *p, size_t n);
/* Makes it the source of what follows. */
void qd_filtered_end(qd_analysis *s, qd_filtered *f);
/* Gives every term bytes of its own when they may overlap. */
QD_MUST_CHECK
int qd_text_unshare(qd_analysis *s);
/* Ends a tokenizer whose terms are ranges of the source: offsets are the same ranges. */
QD_MUST_CHECK
int qd_tokenized(qd_analysis *s, uint32_t type);

/* Term i, for writing in place. */
QD_INLINE char *qd_term_ptr(const qd_analysis *s, size_t i)
{
    return s->text + s->b->t.term[i].from;
}
/* Bytes of term i. */
QD_INLINE uint32_t qd_term_len(const qd_analysis *s, size_t i)
{
    return s->b->t.term[i].to - s->b->t.term[i].from;
}
#endif
