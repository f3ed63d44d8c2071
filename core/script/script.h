/*
 * script.h: scripts in a context: compiled once, run for each document, bucket or request.
 *
 * A language is a table of functions (qd_script_lang); languages stand in one registry, and what
 * they compile in one cache, bounded in bytes. A compiled script is immutable and counted [any];
 * the state of a run (qd_script_exec) belongs to one thread.
 */
#ifndef QD_SCRIPT_SCRIPT_H
#define QD_SCRIPT_SCRIPT_H

#include "script/value.h"
#include "json/tree.h"

/* Where a script runs: what it may name and what it gives back (contexts.def). */
typedef enum qd_script_context {
#define QD_SCRIPT_CONTEXT(id, name, vars, result, emit, method) QD_SCRIPT_##id,
#include "script/contexts.def"
    QD_SCRIPT_CONTEXTS
} qd_script_context;

/* The variables of contexts. */
typedef enum qd_script_var {
    QD_SCRIPT_V_PARAMS,
    QD_SCRIPT_V_DOC,
    QD_SCRIPT_V_CTX,
    QD_SCRIPT_V_SCORE,
    QD_SCRIPT_V_VALUE, /* _value of aggregations */
    QD_SCRIPT_V_STATE,
    QD_SCRIPT_V_STATES,
    QD_SCRIPT_V_VALUES, /* of moving_fn */
    QD_SCRIPT_VARS
} qd_script_var;
#define QD_SCRIPT_BIT(v) (1u << QD_SCRIPT_V_##v)

typedef struct qd_script_context_info {
    const char *name;
    uint32_t vars;      /* QD_SCRIPT_BIT */
    uint8_t result;     /* qd_sv_tag; NULL: anything, GONE: nothing */
    uint8_t emit;       /* tag of what emit takes; NULL: there is none */
    const char *method; /* its method, as _script_context shows it */
} qd_script_context_info;
/* What a context is. [any] */
const qd_script_context_info *qd_script_context_get(qd_script_context c);
/* The context of a name; false when there is none. [any] */
bool qd_script_context_find(qd_str name, qd_script_context *out);

#define QD_SCRIPT_SOURCE_MAX 65536 /* bytes of a source */

/* The values of a field of the present document, filled by the host. */
typedef struct qd_script_values {
    uint32_t n;
    const qd_sv *v; /* n values, in order; owned by the host until the next document */
    bool vector;    /* a vector, which `vector` of the host gives: v is null */
} qd_script_values;

typedef enum qd_script_vector_kind {
    QD_SCRIPT_VECTOR_FLOATS,
    QD_SCRIPT_VECTOR_BYTES, /* int8 */
    QD_SCRIPT_VECTOR_BITS   /* 8 dimensions a byte */
} qd_script_vector_kind;
/* The vector of a field of the present document; owned by the host until the next one. */
typedef struct qd_script_vector {
    qd_script_vector_kind kind;
    uint32_t dims;
    float length;    /* not of bits */
    const void *row; /* at any alignment; NULL: the document has none */
} qd_script_vector;

/* What a run asks of its host. */
typedef struct qd_script_host {
    /* The values of a field of the present document. slot: the number of the name among
     * qd_script_fields, or -1. QD_E_ARG when there is no such field, with its text. */
    int (*values)(void *self, int slot, qd_str field, qd_script_values *out, qd_err *err);
    /* The vector of a field; NULL: there are none here. QD_E_ARG when it is no field of vectors. */
    int (*vector)(void *self, qd_str field, qd_script_vector *out, qd_err *err);
    /* Does the mapping have the field? */
    bool (*has)(void *self, qd_str field);
    /* emit was called. */
    int (*emit)(void *self, const qd_sv *v, uint32_t n, qd_err *err);
    /* Variables (QD_SCRIPT_BIT: ctx, params) that the host makes when the script wants them, the
     * functions below; the others stand in vars. Those with a result: 0 or QD_E_NOMEM. */
    uint32_t lazy;
    /* The value to which n >= 1 names lead, as far as maps do; *used: how many were followed, the
     * language follows the others. Missing ones are null. */
    int (*member)(void *self, qd_script_var v, const qd_str *names, uint32_t n, qd_sv *out,
                  uint32_t *used);
    /* Puts the variable into vars as a map, with all that was put or handed out before. */
    int (*whole)(void *self, qd_script_var v);
    /* Is there such a member? */
    bool (*there)(void *self, qd_script_var v, qd_str name);
    /* Sets a member. */
    int (*put)(void *self, qd_script_var v, qd_str name, const qd_sv *value);
    void *self;
} qd_script_host;

typedef struct qd_script qd_script; /* a compiled script */

/* One run after the other. Values of vars lie in memory of the caller or in the arena. */
typedef struct qd_script_exec {
    const qd_script *script;
    qd_arena arena; /* what the script makes; the caller resets it between runs */
    qd_sv vars[QD_SCRIPT_VARS];
    qd_script_host host;
    uint64_t steps_max; /* of one run */
    size_t text_max;    /* bytes of the text that a template gives back */
    int64_t now_ms;
    const struct qd_script_lang *lang; /* whose state is there, also when the script has gone */
    void *state;
} qd_script_exec;

#define QD_SCRIPT_STEPS 20000000u    /* of a run that the caller does not bound otherwise */
#define QD_SCRIPT_MEMORY (64u << 20) /* bytes that a run may make */
#define QD_SCRIPT_TEXT                                                                             \
    (1u << 20) /* bytes of a template's text, unless the caller says otherwise                     \
                */

struct qd_script_batch;
typedef struct qd_script_lang {
    const char *name;
    const char *module; /* the module that it is elsewhere, which clients look for; NULL: none */
    uint64_t contexts;  /* bits of qd_script_context */
    /* The context in which a source is tried when it is stored for none; QD_SCRIPT_CONTEXTS: it is
     * not. */
    qd_script_context standard;
    /* The number of a content_type, from 0 (the standard) on; false: it does not know it. NULL: its
     * sources have none. */
    bool (*media)(qd_str type, uint8_t *variant);
    /* Compiles; *bytes gets what the result holds. QD_E_ARG script_exception. */
    int (*compile)(qd_str source, qd_script_context c, uint8_t variant, qd_account *account,
                   void **out, size_t *bytes, qd_err *err);
    int (*run)(const void *compiled, qd_script_exec *x, qd_sv *out, qd_err *err);
    void (*close)(qd_script_exec *x);
    void (*free)(void *compiled);
    /* The fields that it names as doc['f']: how many, and their names. */
    uint32_t (*fields)(const void *compiled, const qd_str **names);
    /* Does it read a variable? */
    bool (*uses)(const void *compiled, qd_script_var v);
    /* The program over columns (batch.h); NULL: the language has none. */
    int (*batch)(const void *compiled, const uint8_t *kinds, const qd_sv *params, qd_arena *arena,
                 struct qd_script_batch **out);
} qd_script_lang;

/* The languages, ended by NULL. */
extern const qd_script_lang *const qd_script_langs[];
/* The language of a name; NULL when there is none. [any] */
const qd_script_lang *qd_script_lang_find(qd_str name);

/* A script of a request: {"source", "id", "lang", "params", "options"} or a string. */
typedef struct qd_script_ref {
    qd_str lang;   /* of a source; "painless" when absent */
    qd_str source; /* {NULL,0}: stored */
    qd_str id;
    qd_str media; /* content_type of the options; n 0: the language's standard */
    const qd_json_node *params;
} qd_script_ref;
/* Reads a script of a request. QD_E_PARSE, QD_E_ARG. */
QD_MUST_CHECK
int qd_script_ref_parse(const qd_json_node *n, qd_script_ref *out, qd_err *err);
/* Reads the options of a script, of which content_type is the only one; media is left alone where
 * there is none. QD_E_ARG. */
QD_MUST_CHECK
int qd_script_options_parse(const qd_json_node *n, qd_str *media, qd_err *err);
/* Does the language know the content type (n 0: none)? *variant is its number. QD_E_ARG. [any] */
QD_MUST_CHECK
int qd_script_media(const qd_script_lang *lang, qd_str media, uint8_t *variant, qd_err *err);

/* Compiles, or takes from the cache; *out is to be put. QD_E_ARG with script_exception. [any] */
QD_MUST_CHECK
int qd_script_compile(qd_str lang, qd_str source, qd_script_context c, qd_script **out,
                      qd_err *err);
/* The same of a source (with lang and media) that was read. */
QD_MUST_CHECK
int qd_script_compile_ref(const qd_script_ref *ref, qd_script_context c, qd_script **out,
                          qd_err *err);
/* One more user. */
qd_script *qd_script_get(qd_script *s);
/* One user less; NULL is fine. */
void qd_script_put(qd_script *s);
/* Its source. */
qd_str qd_script_source(const qd_script *s);
/* The fields that the script names as doc['f']. */
uint32_t qd_script_fields(const qd_script *s, const qd_str **names);
/* Does it read a variable? */
bool qd_script_uses(const qd_script *s, qd_script_var v);
/* Counts of compilations and evictions, and bytes in the cache. */
void qd_script_cache_stats(uint64_t *compilations, uint64_t *evictions, int64_t *bytes);
/* Frees the cache, at the end of the program. */
void qd_script_cache_close(void);

/* Prepares runs of s (borrowed); memory is charged to account. */
void qd_script_exec_open(qd_script_exec *x, const qd_script *s, qd_account *account);
/* The next runs are of s (borrowed): what an earlier script needed is used again. */
void qd_script_exec_use(qd_script_exec *x, const qd_script *s);
/* Frees what runs hold. */
void qd_script_exec_close(qd_script_exec *x);
/* Runs. *out lies in the arena. QD_E_ARG script_exception ("runtime error"), QD_E_NOMEM. */
QD_MUST_CHECK
int qd_script_run(qd_script_exec *x, qd_sv *out, qd_err *err);

#endif
