/*
 * build_int.h: what the builders of native nodes share. A builder lives for one qd_query_build.
 */
#ifndef QD_QUERY_BUILD_INT_H
#define QD_QUERY_BUILD_INT_H

#include "query/query_int.h"

typedef struct qdi_builder {
    qd_query_ctx sdk; /* first: given to operators' rewrite */
    const qd_query_context *c;
    qd_arena *arena;
    qd_query_limits limits;
    QD_VEC(qd_query_named) named;
    QD_VEC(qd_query_inner) inner;
    uint32_t
        inner_in; /* number of the inner one that is being built, QD_INNER_TOP, QD_INNER_NONE */
#define QD_INNER_NONE (UINT32_MAX - 1) /* what is below is shown nowhere */
    bool uncacheable, bare_error; /* bare_error: not to be wrapped as "failed to create query" */
    uint32_t leaves;              /* clauses over the whole tree */
    uint32_t uncounted;           /* of them, values of a terms query: one clause to Lucene */
    uint32_t nearest;             /* searches for nearest vectors, each of which looks at all */
    uint32_t depth;               /* of queries that plugins return */
    qd_str nested;                /* path of the nested documents that are asked of; n 0: none */
} qdi_builder;

/* A tree of an operator's on its way to native nodes. */
typedef struct qdi_conversion {
    qdi_builder *b;
    const qd_operator_vtable *vt;
    const qd_query_ctx *ctx;
    struct qd_operator_scope *scope;
    const qdi_plugin_query *q;
    qd_str name;
    uint32_t nodes;
} qdi_conversion;
/* convert.c: the native tree. */
QD_MUST_CHECK
int qdi_convert(qdi_conversion *v, const qd_query_node *tree, const qd_node **out, qd_err *err);
/* The operator's own iterator, with what n (NULL: nothing) names. */
QD_MUST_CHECK
int qdi_convert_custom(qdi_conversion *v, const void *query, const qd_query_node *n, uint32_t depth,
                       const qd_node **out, qd_err *err);
/* QD_E_PLUGIN "operator [x] returned a query that <why>". */
int qdi_bad_node(const qdi_conversion *v, const char *why, qd_err *err);
/* read_plugin.c: what the context of a plugin's operator offers beside types of fields. */
void qdi_scope_functions(struct qd_operator_scope *s);
/* The tree of one query, boost and name applied. */
QD_MUST_CHECK
int qdi_build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err);
/* A node in the tree's arena; NULL when out of memory (err says so). */
QD_MUST_CHECK
qd_node *qdi_query_node(qdi_builder *b, qd_node_kind kind, qd_err *err);
/* types/nested.c: documents where the builder stands by those nested at path, which child asks of.
 */
QD_MUST_CHECK
int qdi_build_nested(qdi_builder *b, const qd_node *child, qd_str path, qd_nested_score score,
                     const qd_node **out, qd_err *err);
/* types/nested.c: a place for what the matches of a query are shown as, if it has inner_hits (json;
 * p NULL: none) that are shown at all; inner->node comes when it is built. *number is QD_INNER_NONE
 * without one. name: of its documents. */
QD_MUST_CHECK
int qdi_inner_add(qdi_builder *b, qd_query_inner inner, qd_str name, qd_str json, uint32_t *number,
                  qd_err *err);
/* Of a KNN over nested documents: the nested documents by their vectors. */
int qdi_knn_below(qdi_builder *b, const qd_node *n, const qd_node **out, qd_err *err);
/* MATCH_NONE into *out. */
QD_MUST_CHECK
int qdi_query_none(qdi_builder *b, const qd_node **out, qd_err *err);
/* A BOOST of n, or n itself when boost is 1 or n matches nothing. */
QD_MUST_CHECK
int qdi_boosted(qdi_builder *b, const qd_node *n, float boost, const qd_node **out, qd_err *err);
/* Copies text into the tree's arena. */
QD_MUST_CHECK
int qdi_query_copy(qdi_builder *b, qd_str text, qd_str *out, qd_err *err);
/* QD_E_QUERY_SHARD with index and index_uuid. */
int qdi_shard_err(qdi_builder *b, qd_err *err, const char *fmt, ...) QD_PRINTF(3, 4);
/* After a failed step: with lenient the error is forgotten and *out is MATCH_NONE. */
QD_MUST_CHECK
int qdi_forgive(qdi_builder *b, bool lenient, int rc, qd_err *step, const qd_node **out,
                qd_err *err);

/* Clauses of a bool or dis_max being gathered. */
typedef struct qdi_clauses {
    QD_VEC(const qd_node *) must, should, filter, must_not;
} qdi_clauses;
/* Appends to one of the lists; QD_E_TOO_MANY_CLAUSES above the limit. */
QD_MUST_CHECK
int qdi_clause_add(qdi_builder *b, qdi_clauses *c, int occur, const qd_node *n, qd_err *err);
/* Builds n queries and appends their trees. */
QD_MUST_CHECK
int qdi_clauses_build(qdi_builder *b, qdi_clauses *c, int occur, const qd_query *const *list,
                      uint32_t n, qd_err *err);
/* Frees the lists. */
void qdi_clauses_fini(qdi_clauses *c);
/* The bool of them; frees the lists whatever happens. minimum {NULL, 0}: none given. Without
 * clauses *out is NULL. */
QD_MUST_CHECK
int qdi_clauses_bool(qdi_builder *b, qdi_clauses *c, qd_str minimum, const qd_node **out,
                     qd_err *err);
/* The dis_max of the should list, or its only member; NULL when it is empty. Frees the lists. */
QD_MUST_CHECK
int qdi_clauses_dis_max(qdi_builder *b, qdi_clauses *c, float tie, const qd_node **out,
                        qd_err *err);
/* minimum_should_match on a node if it is a bool (a copy of it is changed). */
QD_MUST_CHECK
int qdi_apply_minimum(qdi_builder *b, const qd_node *n, qd_str minimum, const qd_node **out,
                      qd_err *err);

/* --- fields ---------------------------------------------------------------------------------- */

typedef enum qdi_field_class {
    QDI_F_NONE, /* unmapped */
    QDI_F_MAPPED,
    QDI_F_ID,
    QDI_F_INDEX,
    QDI_F_ROUTING,
    QDI_F_FIELD_NAMES,
    QDI_F_IGNORED,
    QDI_F_SEQ_NO,
    QDI_F_META /* another metadata field: exists everywhere, matches nothing else */
} qdi_field_class;

typedef struct qdi_field {
    qdi_field_class cls;
    qd_str name;
    const qd_field *f; /* MAPPED */
} qdi_field;

typedef struct qdi_weighted {
    qdi_field field;
    float boost;
} qdi_weighted;

typedef struct qdi_fields {
    QD_VEC(qdi_weighted) v;
} qdi_fields;

/* A field by name. */
qdi_field qdi_field_find(qdi_builder *b, qd_str name);
/* Queries of runtime fields may not be allowed: search.allow_expensive_queries. */
int qdi_runtime_allowed(const qdi_builder *b, const qdi_field *f, qd_err *err);
/* Text as a term of the key that f is (qd_field.slice). */
QD_MUST_CHECK
int qdi_field_keyed(qdi_builder *b, const qdi_field *f, qd_str text, qd_str *out, qd_err *err);
/* Type name as in errors. */
const char *qdi_query_field_type(const qdi_field *f);
/* Analyzed text? */
static inline bool qdi_field_is_text(const qdi_field *f)
{
    return f->f && f->f->value_class == QD_VALUE_TEXT;
}
/* Has terms that patterns may walk? */
bool qdi_field_is_string(const qdi_field *f);
/* Appends what a name or pattern stands for. suffix (p NULL: none) is tried first. */
QD_MUST_CHECK
int qdi_fields_add(qdi_builder *b, qdi_fields *to, qd_str pattern, float boost, qd_str suffix,
                   qd_err *err);
/* Refuses more fields than clauses are allowed. */
QD_MUST_CHECK
int qdi_fields_check(qdi_builder *b, const qdi_fields *to, qd_err *err);

QD_MUST_CHECK
int qdi_field_term(qdi_builder *b, const qdi_field *f, qd_query_value v, bool case_insensitive,
                   const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_field_terms(qdi_builder *b, const qdi_field *f, const qd_query_value *v, uint32_t n,
                    const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_field_range(qdi_builder *b, const qdi_field *f, const qdi_range *range, const qd_node **out,
                    qd_err *err);
/* build_interval.c: the same of a field of intervals. */
QD_MUST_CHECK
int qdi_interval_range(qdi_builder *b, const qdi_field *f, const qdi_range *range,
                       const qd_value_ctx *ctx, const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_field_exists(qdi_builder *b, qd_str name, const qd_node **out, qd_err *err);
/* normalize: the text between wildcards goes through the field's search analyzer. */
QD_MUST_CHECK
int qdi_field_pattern(qdi_builder *b, const qdi_field *f, const qdi_pattern *p, qd_str text,
                      bool normalize, const qd_node **out, qd_err *err);
/* build_grams.c: the same of a field that has grams (qd_field.grams). The range is one of terms; it
 * and the pattern live as long as the tree. */
QD_MUST_CHECK
int qdi_grams_term(qdi_builder *b, const qdi_field *f, qd_str text, const qd_node **out,
                   qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_grams_range(qdi_builder *b, const qdi_field *f, const qd_node_range *range,
                    const qd_node **out, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_grams_pattern(qdi_builder *b, const qdi_field *f, const qd_node_pattern *p,
                      const qd_node **out, qd_err *err);
/* Edits that a fuzziness allows a term of this length. */
uint32_t qdi_fuzzy_edits(const qdi_fuzziness *f, qd_str term);
/* rewrite="top_terms_10" into the pattern; {NULL, 0}: unchanged. */
QD_MUST_CHECK
int qdi_pattern_rewrite(qd_str name, qd_node_pattern *p, qd_err *err);

/* --- fields of one value (build_constant.c): all documents or none --- */
QD_MUST_CHECK
int qdi_constant_term(qdi_builder *b, const qdi_field *f, qd_str text, bool case_insensitive,
                      const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_constant_terms(qdi_builder *b, const qdi_field *f, const qd_query_value *v, uint32_t n,
                       const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_constant_range(qdi_builder *b, const qdi_field *f, const qdi_range *g, const qd_node **out,
                       qd_err *err);
QD_MUST_CHECK
int qdi_constant_pattern(qdi_builder *b, const qdi_field *f, const qdi_pattern *p, qd_str text,
                         const qd_node **out, qd_err *err);

/* --- fields without positions (build_source.c) --- */
/* A phrase whose documents are verified by their source; several: it has more than one position. */
QD_MUST_CHECK
int qdi_source_phrase(qdi_builder *b, const qd_field *f, const qd_node_phrase *p, bool several,
                      const qd_node **out, qd_err *err);
/* The child's documents, all of score 1. */
QD_MUST_CHECK
int qdi_constant_score(qdi_builder *b, const qd_node *child, const qd_node **out, qd_err *err);

/* --- text ------------------------------------------------------------------------------------ */

typedef struct qdi_token {
    qd_str term;
    uint32_t inc, length;
    uint32_t holes; /* of the last token: positions left empty behind it */
} qdi_token;

/* One text against one field, or against several as if they were one (blend). */
typedef struct qdi_matcher {
    qdi_builder *b;
    qdi_field field;
    const qd_analyzer *analyzer;       /* forced; NULL: the field's */
    const qd_analyzer *quote_analyzer; /* forced for phrases; NULL: analyzer */
    bool and_operator, lenient, synonyms_phrase, no_increments;
    bool of_graph; /* the tokens are a path of a graph */
    qdi_fuzziness fuzziness;
    uint32_t prefix_length, max_expansions, slop;
    bool transpositions;
    qd_str fuzzy_rewrite;
    qdi_zero_terms zero_terms;
    const qdi_weighted *blend; /* cross_fields: all fields of the group; NULL: field alone */
    uint32_t nblend;
    float tie;
} qdi_matcher;

/* *out may be NULL with QDI_ZERO_NULL: no clause. */
QD_MUST_CHECK
int qdi_match(const qdi_matcher *m, qdi_match_type type, qd_query_value text, const qd_node **out,
              qd_err *err);
/* The same over several fields by a type of multi_match; as above. */
QD_MUST_CHECK
int qdi_multi_match(const qdi_matcher *m, qdi_multi_type type, const float *tie_breaker,
                    const qdi_fields *fields, qd_query_value text, qd_str minimum,
                    const qd_node **out, qd_err *err);
/* Analyzes into the arena. analyzer NULL: the text is one token. *at_end: the last token reaches
 * the end of the text. */
QD_MUST_CHECK
int qdi_analyze(qdi_builder *b, const qd_analyzer *analyzer, qd_str text, qdi_token **tokens,
                uint32_t *n, bool *at_end, qd_err *err);
/* One token's query: term or fuzzy, or blended. */
QD_MUST_CHECK
int qdi_match_term(const qdi_matcher *m, qd_query_value term, const qd_node **out, qd_err *err);
/* Several tokens of one position. */
QD_MUST_CHECK
int qdi_match_synonyms(const qdi_matcher *m, const qdi_token *t, uint32_t n, const qd_node **out,
                       qd_err *err);
/* A prefix over the field. */
QD_MUST_CHECK
int qdi_match_prefix(const qdi_matcher *m, qd_str text, const qd_node **out, qd_err *err);
/* The phrase of n tokens over the field's pairs of words (build_pairs.c): *out is the node to run
 * instead, or NULL where Elasticsearch takes the words too (no index_phrases, slop, holes, paths of
 * a graph). */
QD_MUST_CHECK
int qdi_match_pairs(const qdi_matcher *m, const qdi_token *t, uint32_t n, const qd_node **out,
                    qd_err *err);
/* The same of a search_as_you_type field (build_shingles.c); prefix: the last word is one. */
QD_MUST_CHECK
int qdi_match_shingles(const qdi_matcher *m, const qdi_token *t, uint32_t n, bool prefix,
                       const qd_node **out, qd_err *err);
/* A prefix of a field that has them as terms, behind the normalizer (NULL: none): 0; 1 when it is
 * longer than those are; an error. */
QD_MUST_CHECK
int qdi_indexed_prefix(qdi_builder *b, const qdi_field *f, const qdi_pattern *p,
                       const qd_analyzer *normalizer, qd_str text, const qd_node **out,
                       qd_err *err);
/* Tokens without side paths as a query of this type; *out NULL when n is 0. */
QD_MUST_CHECK
int qdi_match_tokens(const qdi_matcher *m, qdi_match_type type, const qdi_token *t, uint32_t n,
                     bool and_operator, bool at_end, const qd_node **out, qd_err *err);
/* Tokens that form a graph (synonyms of several words). */
QD_MUST_CHECK
int qdi_match_graph(const qdi_matcher *m, qdi_match_type type, const qdi_token *t, uint32_t n,
                    bool and_operator, bool at_end, const qd_node **out, qd_err *err);
/* The search analyzer of a field, for phrases or words; NULL: the text is one term. */
const qd_analyzer *qdi_search_analyzer(qdi_builder *b, const qdi_field *f, bool quoted);

/* A matcher with the options of a query; QD_E_QUERY_SHARD for an unknown analyzer. */
QD_MUST_CHECK
int qdi_matcher_of(qdi_builder *b, const qd_query *q, qdi_matcher *m, qd_err *err);
/* The fields of a multi-field query, or the default ones; *all: a "*" is among them. */
QD_MUST_CHECK
int qdi_fields_of(qdi_builder *b, const qd_query *q, qdi_fields *out, bool *all, qd_err *err);

#endif
