/*
 * schema.h: definitions of settings, checks of settings objects against them, and typed values.
 *
 * Two tables stand in node_settings.def and index_settings.def; each line gives an id (QD_SET_…,
 * QD_IX_…). A qd_values holds the parsed value of every id, immutable and shared by reference count
 * [any]: reading one is an array access.
 */
#ifndef QD_CONFIG_SCHEMA_H
#define QD_CONFIG_SCHEMA_H

#include "config/settings.h"
#include <stdatomic.h>

struct qd_values;

typedef enum qd_setting_type {
    QD_ST_BOOL,   /* true | false */
    QD_ST_INT,    /* decimal */
    QD_ST_FLOAT,  /* decimal fraction */
    QD_ST_BYTES,  /* 512b, 4kb; stored in bytes */
    QD_ST_MEMORY, /* bytes, or "10%" of node.memory */
    QD_ST_TIME,   /* 500ms, 1s; stored in nanoseconds */
    QD_ST_STRING, /* any text */
    QD_ST_ENUM,   /* one of `values`; stored as its position */
    QD_ST_LIST,   /* texts; in YAML also comma-separated */
    QD_ST_SPACE,  /* disk space: bytes, "85%" or "0.85" */
    QD_ST_GROUP,  /* all keys below this prefix, as text */
} qd_setting_type;

enum {
    QD_SF_DYNAMIC = 1,     /* may change by _cluster/settings or _settings while running */
    QD_SF_RELOAD = 2,      /* read again on SIGHUP */
    QD_SF_FINAL = 4,       /* of an index: fixed at its creation */
    QD_SF_PRIVATE = 8,     /* set by the node itself, refused from users */
    QD_SF_SECRET = 16,     /* never shown */
    QD_SF_DEPRECATED = 32, /* accepted without effect, which whoever sets it is told */
    QD_SF_IGNORED = 64,    /* accepted for clients' sake and without effect; help says why */
    QD_SF_REFUSED = 128,   /* not supported: other values than the default are refused */
    QD_SF_LATER = 256,     /* without effect in this version, which whoever sets it is told */
};

typedef struct qd_setting_def {
    const char *key; /* a GROUP ends with '.' */
    qd_setting_type type;
    const char *value; /* default as text; NULL = none */
    int64_t min, max;  /* in units of storage; INT64_MIN, INT64_MAX = none */
    const char *values;
    uint32_t flags;
    const char *help; /* unit and meaning, one line */
} qd_setting_def;

typedef struct qd_schema {
    const char *scope; /* "node" or "index" */
    const qd_setting_def *defs;
    uint32_t n;
    /* where values that don't depend on memory share those of what is not set; NULL: nowhere */
    _Atomic(struct qd_values *) *defaults;
} qd_schema;

/* Ids of node settings. */
typedef enum qd_set {
#define QD_SECTION(title)
#define QD_SETTING(sym, ...) QD_SET_##sym,
#include "config/node_settings.def"
#undef QD_SETTING
    QD_SET_COUNT
} qd_set;

/* Ids of index settings. */
typedef enum qd_ix {
#define QD_SETTING(sym, ...) QD_IX_##sym,
#include "config/index_settings.def"
#undef QD_SETTING
#undef QD_SECTION
    QD_IX_COUNT
} qd_ix;

extern const qd_schema qd_schema_node, qd_schema_index;

/* A text as values of MEMORY are written, bytes or a percentage of `memory`: into *out, at least
 * `min`. QD_E_ARG, QD_E_ES_PARSE name the key. [any] */
QD_MUST_CHECK
int qd_setting_memory(qd_str key, qd_str text, int64_t memory, int64_t min, int64_t *out,
                      qd_err *err);
/* Definition of key, a group that covers it included; NULL when unknown. *id (may be NULL) gets its
 * position in the table. [any] */
const qd_setting_def *qd_schema_find(const qd_schema *schema, qd_str key, uint32_t *id);
/* The known key nearest to an unknown one, NULL when none is near. [any] */
const char *qd_schema_nearest(const qd_schema *schema, qd_str key);
/* Name of a type for people: "size in bytes", "time". [any] */
const char *qd_setting_type_name(qd_setting_type type);

/* Checks keys and values of s. Unknown: QD_E_ARG, "unknown setting [x] did you mean [y]?", with the
 * place it came from when known. Wrong: Elasticsearch's text. Private keys are refused unless
 * trusted. Nulls are allowed. [any] */
QD_MUST_CHECK
int qd_schema_check(const qd_schema *schema, const qd_settings *s, bool trusted, qd_err *err);

/* Tells every mistake that qd_schema_check, which stops at the first, would find; their number. */
uint32_t qd_schema_mistakes(const qd_schema *schema, const qd_settings *s,
                            void (*tell)(void *arg, const char *text), void *arg);

/* Checks the defaults of new indices among settings of a node or cluster (cluster.default.index.*)
 * as qd_schema_check does those of an index. [any] */
QD_MUST_CHECK
int qd_index_defaults_check(const qd_settings *s, qd_err *err);
/* "index.x" of "cluster.default.index.x"; borrow. [any] */
qd_str qd_index_default_key(qd_str key);
/* May an update of a running node or open index set all keys of `update`? 0, or QD_E_ARG with
 * Elasticsearch's text ("final index setting [x], not updateable"). what is "persistent",
 * "transient" or "index". [any] */
QD_MUST_CHECK
int qd_schema_check_dynamic(const qd_schema *schema, const qd_settings *update, const char *what,
                            qd_err *err);
/* Settings of s (sealed) that are set to something else than their default and have none of the
 * effects that one would expect: with QD_SF_LATER or QD_SF_DEPRECATED, and unless `later`, with
 * QD_SF_IGNORED too. Each is told with a sentence, borrowed. [any] */
void qd_schema_without_effect(const qd_schema *schema, const qd_settings *s, bool later,
                              void (*tell)(void *arg, const qd_setting_value *v, const char *text),
                              void *arg);
/* Moves keys that the schema does not know, or whose value is bad, below "archived."; for stored
 * metadata of another version. *moved (may be NULL) counts them. out is sealed. */
QD_MUST_CHECK
int qd_schema_archive(const qd_schema *schema, const qd_settings *s, qd_settings **out,
                      uint32_t *moved, qd_err *err);

typedef struct qd_values qd_values;
/* Parses s (sealed, checked; NULL = all defaults). memory_bytes is what percentages of MEMORY count
 * from. 0, QD_E_ARG, QD_E_ES_PARSE, QD_E_NOMEM. Keeps a reference of s. */
QD_MUST_CHECK
int qd_values_new(const qd_schema *schema, qd_settings *s, int64_t memory_bytes, qd_values **out,
                  qd_err *err);
/* Do values of a node fit each other and the node? The disk watermarks: low before high before
 * flood stage, all as shares or all as bytes; the limit of all memory: enough to serve requests.
 * QD_E_ARG in Elasticsearch's words. [any] */
QD_MUST_CHECK
int qd_values_check(const qd_values *v, qd_err *err);
/* One more reference; returns v. [any] */
qd_values *qd_values_ref(qd_values *v);
/* One reference less; NULL is fine. [any] */
void qd_values_unref(qd_values *v);
/* BOOL (0, 1), INT, BYTES and MEMORY (bytes), TIME (nanoseconds), ENUM (position), by id. [any] */
int64_t qd_values_i64(const qd_values *v, uint32_t id);
/* TIME in milliseconds, -1 for "-1". [any] */
int64_t qd_values_ms(const qd_values *v, uint32_t id);
/* FLOAT. [any] */
double qd_values_f64(const qd_values *v, uint32_t id);
/* BOOL. [any] */
static inline bool qd_values_bool(const qd_values *v, uint32_t id)
{
    return qd_values_i64(v, id) != 0;
}
/* Text of any type, NUL-terminated; empty when there is neither value nor default. [any] */
qd_str qd_values_text(const qd_values *v, uint32_t id);
/* LIST: items and in *n how many. [any] */
const qd_str *qd_values_list(const qd_values *v, uint32_t id, uint32_t *n);
/* Was it set, not defaulted? [any] */
bool qd_values_is_set(const qd_values *v, uint32_t id);
/* SPACE: the bytes that must stay free on a disk of `total` bytes. [any] */
int64_t qd_values_space_free(const qd_values *v, uint32_t id, int64_t total);
/* The bytes that percentages of MEMORY count from. [any] */
int64_t qd_values_memory(const qd_values *v);
/* The settings it was made from (for groups: qd_settings_group). Borrowed. [any] */
const qd_settings *qd_values_settings(const qd_values *v);

#endif
