/*
 * query_int.h: a parsed query, and what its readers and builders share.
 *
 * read_*.c make qd_query from JSON, build_*.c make qd_node from qd_query. A new query is a file in
 * types/ with its row, and a line in types/types.def.
 */
#ifndef QD_QUERY_QUERY_INT_H
#define QD_QUERY_QUERY_INT_H

#include "base/vec.h"
#include "query/dsl.h"

/* How a text becomes a query over one field. */
typedef enum qdi_match_type {
    QDI_MATCH_BOOLEAN,
    QDI_MATCH_PHRASE,
    QDI_MATCH_PHRASE_PREFIX,
    QDI_MATCH_BOOLEAN_PREFIX,
} qdi_match_type;

typedef enum qdi_multi_type {
    QDI_BEST_FIELDS,
    QDI_MOST_FIELDS,
    QDI_CROSS_FIELDS,
    QDI_PHRASE,
    QDI_PHRASE_PREFIX,
    QDI_BOOL_PREFIX,
} qdi_multi_type;

typedef enum qdi_zero_terms {
    QDI_ZERO_NONE,
    QDI_ZERO_ALL,
    QDI_ZERO_NULL, /* no query at all: the clause falls away */
} qdi_zero_terms;

enum { QDI_UNSET = 0, QDI_NO = 1, QDI_YES = 2 }; /* of booleans whose absence matters */

typedef struct qdi_fuzziness {
    bool given, automatic;
    int32_t low, high; /* of AUTO */
    float edits;
} qdi_fuzziness;

typedef struct qdi_field_boost {
    qd_str field;
    float boost;
} qdi_field_boost;

/* Options of the queries that analyze text; each uses some. */
typedef struct qdi_text {
    qdi_match_type match;
    qdi_multi_type type;
    bool and_operator;
    qd_str analyzer, quote_analyzer, minimum_should_match, fuzzy_rewrite, rewrite;
    qdi_fuzziness fuzziness;
    int32_t prefix_length, max_expansions, slop;
    bool transpositions, synonyms_phrase;
    uint8_t lenient; /* QDI_UNSET … */
    qdi_zero_terms zero_terms;
    bool has_tie_breaker;
    float tie_breaker;
    const qdi_field_boost *fields;
    uint32_t nfields;
    bool has_fields;
    /* query_string, simple_query_string */
    qd_str default_field, quote_field_suffix, time_zone;
    uint8_t allow_leading_wildcard, analyze_wildcard;
    bool escape, enable_position_increments;
    int32_t max_determinized_states, flags;
} qdi_text;

/* prefix, wildcard, regexp, fuzzy, and term's case_insensitive */
typedef struct qdi_pattern {
    qd_pattern_kind kind;
    bool case_insensitive, transpositions;
    qd_str rewrite;
    uint32_t regexp_flags;
    int32_t max_determinized_states;
    qdi_fuzziness fuzziness;
    int32_t prefix_length, max_expansions;
} qdi_pattern;

typedef struct qdi_range {
    qd_query_value from, to;
    bool has_from, has_to, include_from, include_to;
    qd_str format, time_zone, relation;
} qdi_range;

struct qdi_reading;
struct qdi_builder;
struct qd_prox;

/*
 * A query of the DSL: a file of types/ has its row and all that is particular to it, types.def the
 * list of them. A parsed query of the type is `size` bytes that begin with a qd_query.
 */
typedef struct qd_query_type {
    const char *name; /* in the DSL */
    size_t size;
    /* The members behind the name: the reader stands on the START_OBJECT and is left on its
     * END_OBJECT. q is zeroed, with a boost of 1. */
    int (*read)(struct qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err);
    /* Its tree in an index, without boost and name; *out NULL: no clause at all. */
    int (*build)(struct qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err);
    /* Of span queries: where its words stand (prox.h); NULL: it is none. */
    int (*spans)(struct qdi_builder *b, const qd_query *q, const struct qd_prox **out, qd_err *err);
} qd_query_type;

struct qd_query {
    const qd_query_type *type;
    float boost;
    qd_str name; /* _name; p NULL: none */
    qd_str field;
    qd_query_value value; /* text as Elasticsearch's objectText gives it */
    bool has_value;
};

/* match and its kin, multi_match, query_string, simple_query_string. */
typedef struct qdi_text_query {
    qd_query base;
    qdi_text text;
} qdi_text_query;
static inline const qdi_text *qdi_text_of(const qd_query *q)
{
    return &((const qdi_text_query *)q)->text;
}

/* An operator of a plugin: its JSON, which is parsed anew for each index. */
typedef struct qdi_plugin_query {
    qd_query base;
    const qd_operator_vtable *vt;
    qd_self *self;
    qd_str name, json;     /* json: without boost and _name, which base has */
    const qd_query **subs; /* queries within it, and their texts */
    const qd_str *sub_json;
    uint32_t nsubs;
} qdi_plugin_query;

#define QDI_QUERY_TYPE(name) extern const qd_query_type qdi_query_##name;
#include "query/types/types.def"
#undef QDI_QUERY_TYPE
extern const qd_query_type qdi_query_plugin; /* build_plugin.c */

/* --- reading ------------------------------------------------------------------------------- */

/* Given to operators' parse; the SDK's part stands first. */
typedef struct qdi_reading {
    qd_query_ctx sdk;
    const qd_query_reading *how;
    qd_arena *arena;
    qd_query_limits limits;
    uint32_t depth;     /* of queries within queries */
    bool lookup_failed; /* the error is a document's, not one of the text: it gets no frames */
    struct {
        const char *begin, *at; /* begin: of the text; NULL: none yet */
        uint32_t line, column;  /* of at */
    } counted;                  /* up to the plugin's query read last */
} qdi_reading;

/* One query, as dsl.h's qd_query_read. */
QD_MUST_CHECK
int qdi_read_inner(qdi_reading *rd, qd_json_reader *r, const qd_query **out, qd_err *err);
/* What stands behind the name of a query of this type. */
QD_MUST_CHECK
int qdi_read_row(qdi_reading *rd, qd_json_reader *r, const qd_query_type *type,
                 const qd_query **out, qd_err *err);
/* A parsed query of this type with defaults; NULL when out of memory (err says so). */
QD_MUST_CHECK
qd_query *qdi_query_make(qdi_reading *rd, const qd_query_type *type, qd_err *err);

/* Has a plugin's operator parse q->json for its errors, and reads the queries within. The text
 * stands at that line and column of the request. Of a call that does not return rd->lookup_failed
 * is set, too. Waits as plugin/guest.h says. */
QD_MUST_CHECK
int qdi_parse_by_plugin(qdi_reading *rd, qdi_plugin_query *q, qd_str name, uint32_t line,
                        uint32_t column, qd_err *err);
/* read_plugin.c: the members that the host reads of a plugin's query, boost and _name, into
 * q->base; q->json is json with blanks in their place, so that lines and columns stay. json stands
 * at that line and column of the request. */
QD_MUST_CHECK
int qdi_read_plugin_members(qdi_reading *rd, qdi_plugin_query *q, qd_str json, uint32_t line,
                            uint32_t column, qd_err *err);
/* read_plugin.c: reads the queries that parse met, into q->subs. */
QD_MUST_CHECK
int qdi_read_subqueries(qdi_reading *rd, qdi_plugin_query *q, const struct qd_operator_scope *s,
                        qd_err *err);

/* What an option's value may be and where it goes. */
typedef enum qdi_option_kind {
    QDI_OPT_TEXT,         /* qd_str; null is refused */
    QDI_OPT_TEXT_OR_NULL, /* qd_str */
    QDI_OPT_BOOL,         /* bool */
    QDI_OPT_TRI,          /* uint8_t, QDI_NO or QDI_YES */
    QDI_OPT_INT,          /* int32_t */
    QDI_OPT_FLOAT,        /* float */
    QDI_OPT_TIE,          /* qdi_text: tie_breaker */
    QDI_OPT_VALUE,        /* the query's value, and has_value */
    QDI_OPT_FUZZINESS,    /* qdi_fuzziness */
    QDI_OPT_OPERATOR,     /* bool: and */
    QDI_OPT_ZERO_TERMS,   /* qdi_zero_terms */
    QDI_OPT_MULTI_TYPE,   /* qdi_multi_type */
    QDI_OPT_FIELDS,       /* qdi_text: list of names with boosts */
    QDI_OPT_FLAGS,        /* of simple_query_string */
    QDI_OPT_REGEXP_FLAGS, /* uint32_t */
    QDI_OPT_REGEXP_VALUE, /* uint32_t, as a number */
    QDI_OPT_FROM,         /* qdi_range: gte, gt … */
    QDI_OPT_FROM_OPEN,
    QDI_OPT_TO,
    QDI_OPT_TO_OPEN,
    QDI_OPT_FROM_PLAIN,
    QDI_OPT_TO_PLAIN,
} qdi_option_kind;

typedef struct qdi_option {
    const char *name;
    qdi_option_kind kind;
    size_t offset; /* in the parsed query */
} qdi_option;

/* The present event, a value, into the option's place. */
QD_MUST_CHECK
int qdi_option_read(qdi_reading *rd, qd_json_reader *r, const qdi_option *o, qd_query *q,
                    qd_err *err);
/* Row by name; NULL when there is none. */
const qdi_option *qdi_option_find(const qdi_option *rows, size_t n, qd_str name);

/* The next event; errors of the JSON are recorded. */
QD_MUST_CHECK
int qdi_query_next(qd_json_reader *r, qd_err *err);
/* Is the event what Elasticsearch calls a value (text, number, boolean)? */
static inline bool qdi_is_value(qd_json_event ev)
{
    return ev == QD_JSON_STRING || ev == QD_JSON_NUMBER || ev == QD_JSON_TRUE ||
           ev == QD_JSON_FALSE;
}
/* parser.text(): the present scalar as text, kept in the arena. */
QD_MUST_CHECK
int qdi_read_text(qdi_reading *rd, qd_json_reader *r, qd_str *out, qd_err *err);
/* parser.objectText(): scalars; null leaves *has false. */
QD_MUST_CHECK
int qdi_read_value(qdi_reading *rd, qd_json_reader *r, qd_query_value *out, bool *has, qd_err *err);
/* parser.booleanValue(), floatValue(), intValue(). */
QD_MUST_CHECK
int qdi_read_bool(qd_json_reader *r, bool *out, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_read_float(qd_json_reader *r, float *out, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_read_int(qd_json_reader *r, int32_t *out, qd_err *err);
/* "1", "AUTO", "AUTO:3,6". */
QD_MUST_CHECK
int qdi_fuzziness_parse(qd_str text, qdi_fuzziness *out, qd_err *err);
/* Refuses a negative boost. */
QD_MUST_CHECK
int qdi_check_boost(float boost, qd_err *err);
/* Names with "^boost" into a list; equal names: the last one counts. */
QD_MUST_CHECK
int qdi_field_boost_parse(qdi_reading *rd, qd_str text, qdi_field_boost *out, qd_err *err);
/* " did you mean [x]?" for a name among candidates; empty when nothing is near. Writes at most n
 * bytes with NUL. */
void qdi_suggest(qd_str name, const qd_str *candidates, size_t ncandidates, char *out, size_t n);
/* Copies text into the arena. */
QD_MUST_CHECK
int qdi_keep(qdi_reading *rd, qd_str text, qd_str *out, qd_err *err);
/* "[line:col] text" as x_content_parse_exception, for errors of declared parsers. */
int qdi_xcontent_err(qd_json_reader *r, qd_err *err, const char *fmt, ...) QD_PRINTF(3, 4);
/* Wraps err: "[line:col] [query] failed to parse field [field]". */
int qdi_field_failed(qd_json_reader *r, qd_err *err, const char *query, qd_str field);

/* --- queries by name ------------------------------------------------------------------------- */

/* The row of that name; NULL: none. */
const qd_query_type *qdi_query_type_find(qd_str name);
/* A plugin's operator of that name; NULL when nobody provides it. */
const qd_operator_vtable *qdi_operator_find(const qd_plugin_host *host, qd_str name,
                                            qd_self **self);
/* Names of all rows and operators into out (room for max); returns how many. */
size_t qdi_query_names(const qd_plugin_host *host, qd_str *out, size_t max);

#endif
