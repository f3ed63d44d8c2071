/*
 * doc_parser.h: documents to field values, in one streaming pass without a tree.
 *
 * One parser belongs to one indexing slot; its memory is reused, so that steady indexing allocates
 * nothing. A field name is looked up by hash in a table of its object; dots in names go through
 * objects. Values are converted on the way and gathered by field; nothing reaches the sink unless
 * the whole document is sound. One thread at a time [worker].
 */
#ifndef QD_MAPPING_DOC_PARSER_H
#define QD_MAPPING_DOC_PARSER_H

#include "mapping/doc_sink.h"
#include "mapping/mapping.h"

typedef struct qd_doc_parser qd_doc_parser;

/* Makes a parser charged to account. NULL when out of memory. [any] */
QD_MUST_CHECK
qd_doc_parser *qd_doc_parser_make(qd_account *account);
/* Frees it; NULL is fine. [any] */
void qd_doc_parser_free(qd_doc_parser *p);

typedef struct qd_doc_input {
    qd_str source;    /* JSON object */
    size_t slack;     /* readable bytes behind it, see qd_json_reader_init_slack */
    qd_str id;        /* for errors */
    bool has_routing; /* a routing value was given */
    bool is_new;      /* no operation that comes again: a data stream's timestamp must be there */
} qd_doc_input;

typedef struct qd_doc_result {
    /* When not NULL the document has fields that the mapping lacks; the sink got nothing. update is
     * a mapping as JSON ({"properties":…}) to be put to the index, merged is the present mapping
     * with it: make it current (if the mapping has not changed meanwhile), then parse again. The
     * document is known to be sound under merged. The caller owns a reference to merged; update is
     * valid until the parser's next use. */
    qd_mapping *merged;
    qd_str update;
} qd_doc_result;

/*
 * Parses one document: 0 with everything given to the sink, or 0 with result->merged (see above),
 * or an error: QD_E_DOC_PARSING ("[1:9] failed to parse field [x] of type [long] in document with
 * id '1'. Preview of field's value: 'abc'" and its cause), QD_E_STRICT_MAPPING,
 * QD_E_ROUTING_MISSING, QD_E_ARG (limits), QD_E_NOMEM, or the sink's.
 */
QD_MUST_CHECK
int qd_doc_parse(qd_doc_parser *p, const qd_mapping *m, const qd_doc_input *in,
                 const qd_doc_sink *sink, qd_doc_result *result, qd_err *err);
/* The source as it is to be stored: in, or what _source.includes and excludes leave (then valid
 * until the parser's next use), or {NULL,0} with _source disabled. */
QD_MUST_CHECK
int qd_doc_source(qd_doc_parser *p, const qd_mapping *m, qd_str source, qd_str *out, qd_err *err);

#endif
