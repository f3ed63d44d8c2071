/*
 * analyzer.h: the parts of an analyzer, version 0.1: char filters, tokenizers, token filters. The
 * host chains them; each part works on a whole text or batch at a time.
 *
 * An instance is made by open from its settings (one index's "analysis" block), is immutable
 * afterwards and used by many threads at once. Scratch memory comes from the batch's arena
 * (mem service, arena), which is emptied after the text.
 *
 * Offsets are those of the text as the user sent it, in UTF-16 units; lengths of terms are bytes.
 * Text given is valid UTF-8; terms written must be.
 */
#ifndef QUIDDITCH_ANALYZER_H
#define QUIDDITCH_ANALYZER_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* qd_vtable.flags of the three kinds */
enum {
    QD_ANALYZER_GRAPH = 1,      /* may write position lengths other than 1 */
    QD_ANALYZER_NORMALIZER = 2, /* works per character: allowed in normalizers and wildcard terms */
    QD_ANALYZER_SEARCH_ONLY = 4 /* not at index time (synonym graphs of several words) */
};

/* Types as _analyze shows them; others from QD_TOKEN_TYPE_OTHER on by type_name of the batch. */
enum {
    QD_TOKEN_WORD,
    QD_TOKEN_ALPHANUM,
    QD_TOKEN_NUM,
    QD_TOKEN_SOUTHEAST_ASIAN,
    QD_TOKEN_IDEOGRAPHIC,
    QD_TOKEN_HIRAGANA,
    QD_TOKEN_KATAKANA,
    QD_TOKEN_HANGUL,
    QD_TOKEN_EMOJI,
    QD_TOKEN_SYNONYM,
    QD_TOKEN_SHINGLE,
    QD_TOKEN_GRAM,
    QD_TOKEN_TYPE_OTHER = 64
};
enum {
    QD_TOKEN_KEYWORD = 1 /* stemmers leave it alone */
};
typedef struct qd_token {
    uint32_t text, text_len; /* of the term, in batch.bytes */
    uint32_t start, end;     /* offsets, UTF-16 units */
    uint32_t position_inc;   /* 1: next position, 0: same as the token before */
    uint32_t position_len;   /* 1, or more in a graph */
    uint16_t type, flags;    /* QD_TOKEN_* */
    uint32_t reserved;
} qd_token;

/* Tokens of one text. Filters read one batch and write another; `in` is borrowed. */
typedef struct qd_token_batch {
    qd_token *tokens;
    char *bytes; /* terms; a token of the output may not point into the input's */
    uint32_t ntokens, tokens_cap;
    uint32_t nbytes, bytes_cap;
    uint32_t end_offset;           /* UTF-16 units of the whole text, behind the last token */
    uint32_t end_inc;              /* positions skipped behind the last token (stop words) */
    qd_arena *arena;               /* scratch, until the text is done */
    const char *const *type_names; /* of QD_TOKEN_TYPE_OTHER + i; static; may be NULL */
    uint32_t ntype_names, reserved;
    /* Makes room for so many more tokens and bytes (amortised); QD_E_NOMEM, or QD_E_LIMIT over the
     * host's bound on one text. tokens and bytes may move. */
    int32_t (*grow)(struct qd_token_batch *, uint32_t tokens, uint32_t bytes);
} qd_token_batch;

/* Output of a char filter: text and how its offsets map back. Corrections ascend by `offset`: from
 * there (UTF-16 units of the output) on, input offset = output offset + diff. */
typedef struct qd_text_fix {
    uint32_t offset;
    int32_t diff;
} qd_text_fix;
typedef struct qd_text {
    char *bytes;
    qd_text_fix *fixes;
    uint32_t nbytes, bytes_cap;
    uint32_t nfixes, fixes_cap;
    qd_arena *arena;
    int32_t (*grow)(struct qd_text *, uint32_t bytes, uint32_t fixes);
} qd_text;

/* How to make an instance; borrow. */
typedef struct qd_analyzer_config {
    uint32_t struct_size, noptions;
    qd_str name;            /* the user's name for it, for messages */
    const qd_pair *options; /* settings as text; of a list: one pair an element, in order */
    qd_str json;            /* the same block as JSON */
    qd_str config_dir;      /* for word lists (stopwords_path, synonyms_path) */
} qd_analyzer_config;

/* open: QD_E_ARG names an unknown or bad option. [worker]. run: [any], never blocks on I/O. close:
 * all runs are over. */
typedef struct qd_char_filter_vtable {
    qd_vtable head;
    int32_t (*open)(qd_self *, const qd_analyzer_config *, void **out, qd_err *);
    int32_t (*run)(const void *filter, qd_str in, qd_text *out, qd_err *);
    void (*close)(void *filter);
} qd_char_filter_vtable;
typedef struct qd_tokenizer_vtable {
    qd_vtable head;
    int32_t (*open)(qd_self *, const qd_analyzer_config *, void **out, qd_err *);
    /* Appends to an empty batch; offsets are those of `in`: the host maps them over char filters.
     */
    int32_t (*run)(const void *tokenizer, qd_str in, qd_token_batch *out, qd_err *);
    void (*close)(void *tokenizer);
} qd_tokenizer_vtable;
typedef struct qd_token_filter_vtable {
    qd_vtable head;
    int32_t (*open)(qd_self *, const qd_analyzer_config *, void **out, qd_err *);
    /* Writes `out` (empty) from `in`, or changes terms of `in` in place where they do not get
     * longer and returns 1: then `out` is ignored. */
    int32_t (*run)(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *);
    void (*close)(void *filter);
} qd_token_filter_vtable;

#ifdef __cplusplus
}
#endif
#endif
