/* intervals_int.h: a parsed rule of an intervals query. */
#ifndef QD_QUERY_TYPES_INTERVALS_INT_H
#define QD_QUERY_TYPES_INTERVALS_INT_H

#include "query/types/prox_int.h"

typedef enum qdi_rule_kind {
    QDI_RULE_MATCH,
    QDI_RULE_ANY_OF,
    QDI_RULE_ALL_OF,
    QDI_RULE_PREFIX,
    QDI_RULE_WILDCARD,
    QDI_RULE_REGEXP,
    QDI_RULE_FUZZY,
    QDI_RULE_RANGE,
} qdi_rule_kind;

typedef enum qdi_rule_mode {
    QDI_MODE_UNORDERED,
    QDI_MODE_ORDERED,
    QDI_MODE_NO_OVERLAP,
} qdi_rule_mode;

typedef struct qdi_rule qdi_rule;
struct qdi_rule {
    qdi_rule_kind kind;
    qd_str text, analyzer, use_field; /* p NULL: not given */
    int32_t max_gaps;                 /* -1: any */
    qdi_rule_mode mode;
    const qdi_rule *const *rules;
    uint32_t n;
    bool has_rules;
    qd_prox_kind relation; /* of the filter */
    const qdi_rule *filter;
    qdi_pattern pattern;
    qdi_range range;
};

/* The value of the rule of that name, on whose start the reader stands. depth: of rules above. */
QD_MUST_CHECK
int qdi_rule_read(qdi_reading *rd, qd_json_reader *r, qd_str name, uint32_t depth,
                  const qdi_rule **out, qd_err *err);
/* Its places in a field of an index. */
QD_MUST_CHECK
int qdi_rule_build(qdi_builder *b, const qdi_field *f, const qdi_rule *rule, const qd_prox **out,
                   qd_err *err);

/* intervals_tree.c: sources as Lucene combines them, disjunctions pulled up where minimal intervals
 * would lose some. */
QD_MUST_CHECK
int qdi_intervals_combine(qdi_builder *b, const qd_prox *const *list, uint32_t n, int32_t max_gaps,
                          qdi_rule_mode mode, const qd_prox **out, qd_err *err);
/* See above; n 0: nowhere. */
QD_MUST_CHECK
int qdi_intervals_or(qdi_builder *b, const qd_prox *const *list, uint32_t n, const qd_prox **out,
                     qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_intervals_filter(qdi_builder *b, const qd_prox *of, qd_prox_kind relation,
                         const qd_prox *by, const qd_prox **out, qd_err *err);
/* x with a positions before it that belong to it. */
QD_MUST_CHECK
int qdi_intervals_extend(qdi_builder *b, const qd_prox *x, uint32_t before, const qd_prox **out,
                         qd_err *err);
/* The words of a text. */
QD_MUST_CHECK
int qdi_intervals_text(qdi_builder *b, qd_str field, const qd_analyzer *a, qd_str text,
                       int32_t max_gaps, qdi_rule_mode mode, const qd_prox **out, qd_err *err);

#endif
