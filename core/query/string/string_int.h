/*
 * string_int.h: what query_string and simple_query_string share: the fields they search, and what
 * each piece of syntax means on them.
 */
#ifndef QD_QUERY_STRING_INT_H
#define QD_QUERY_STRING_INT_H

#include "query/build_int.h"

typedef struct qdi_string {
    qdi_builder *b;
    const qd_query *q;
    qdi_matcher m;        /* forced analyzers, lenient, operator … */
    qdi_fields fields;    /* searched where the text names no field */
    qd_str default_field; /* p NULL: fields count; "*": all, which are in fields */
    float tie;
    bool and_operator, analyze_wildcard, leading_wildcard;
} qdi_string;

/* In the functions below field.p NULL means: the text named none. *out NULL: no clause. */

/* A word or words; also ">5" and "_exists_". */
QD_MUST_CHECK
int qdi_string_words(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_string_phrase(qdi_string *s, qd_str field, qd_str text, uint32_t slop, const qd_node **out,
                      qd_err *err);
/* from, to: p NULL: open. */
QD_MUST_CHECK
int qdi_string_range(qdi_string *s, qd_str field, qd_str from, qd_str to, bool from_in, bool to_in,
                     const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_string_prefix(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_string_wildcard(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err);
QD_MUST_CHECK
int qdi_string_regexp(qdi_string *s, qd_str field, qd_str text, const qd_node **out, qd_err *err);
/* fuzziness: of the text, "AUTO", "1"; n 0: the query's. */
QD_MUST_CHECK
int qdi_string_fuzzy(qdi_string *s, qd_str field, qd_str text, qd_str fuzziness,
                     const qd_node **out, qd_err *err);
/* A prefix of one field: analyzed when analyze_wildcard is set, else normalized. */
QD_MUST_CHECK
int qdi_string_prefix_of(qdi_string *s, const qdi_field *f, qd_str text, const qd_node **out,
                         qd_err *err);

/* The classic syntax over a whole text. QD_E_ES_PARSE "Cannot parse …". */
QD_MUST_CHECK
int qdi_string_parse(qdi_string *s, qd_str text, const qd_node **out, qd_err *err);
/* A bool of only must_not gets a match_all as filter. */
QD_MUST_CHECK
int qdi_fix_negative(qdi_builder *b, const qd_node *n, const qd_node **out, qd_err *err);

#endif
