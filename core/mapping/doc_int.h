/*
 * doc_int.h: what the types see of the document being parsed: the present token and where values
 * go. Values are gathered as one list for each field until the document is known to be sound.
 */
#ifndef QD_MAPPING_DOC_INT_H
#define QD_MAPPING_DOC_INT_H

#include "base/arena.h"
#include "base/vec.h"
#include "mapping/doc_parser.h"
#include "mapping/mapping_int.h"

#define NO_VALUE UINT32_MAX

/* One value of one field; next is the field's next value. */
typedef struct doc_value {
    union {
        qd_str str;
        int64_t i64;
        uint8_t ip[16];
    } v;
    uint32_t next;
} doc_value;

/* By field number; counts only if gen is the document's. */
typedef struct doc_field {
    uint32_t gen, first, last, n;
    bool ignored;
    qd_str part; /* value of the index part; p NULL: none */
} doc_field;

/* What a field has in a document that is gathered already. */
typedef struct doc_kept {
    uint32_t id, owner; /* owner: number of the nested document, QDI_DOC_ROOT */
    doc_field state;
} doc_kept;
#define QDI_DOC_ROOT UINT32_MAX

/* A nested document, numbered as they begin: those within it follow, one deeper. */
typedef struct doc_nested {
    const struct object *object;
    uint32_t depth;
    uint32_t first, n; /* its fields: of doc.kept */
} doc_nested;

/* One that has not ended. */
typedef struct doc_scope {
    uint32_t nested;
    size_t touched; /* fields before it */
} doc_scope;

typedef struct doc {
    qd_json_reader r;
    const qd_mapping *m;
    qd_account *account;
    qd_arena arena;        /* copies that live through the document */
    qd_analysis *analysis; /* for normalizers; made when first needed */
    QD_VEC(doc_value) values;
    QD_VEC(doc_field) fields;
    QD_VEC(uint32_t) touched; /* fields of this document, in order */
    QD_VEC(doc_nested) nested;
    QD_VEC(doc_kept) kept;     /* fields of ended nested documents */
    QD_VEC(doc_kept) included; /* the same for the documents above that have them too */
    QD_VEC(doc_scope) scopes;
    QD_VEC(uint32_t) ignored; /* fields of nested documents of which a value was left out */
    uint32_t gen;
    qd_str id;
    bool has_routing;
} doc;

/* doc_nested.c: what is added between these two is that of a nested document. end reports memory.
 */
QD_MUST_CHECK
int qdi_doc_nested_begin(doc *d, const struct object *o, qd_err *err);
QD_MUST_CHECK
int qdi_doc_nested_end(doc *d, qd_err *err);
/* Forgets all of them; frees. */
void qdi_doc_nested_reset(doc *d);
void qdi_doc_nested_fini(doc *d);

/* Adds a value to a field. 0 or QD_E_NOMEM. */
int qdi_doc_i64(doc *d, const qd_field *f, int64_t v, qd_err *err);
int qdi_doc_str(doc *d, const qd_field *f, qd_str v, qd_err *err);
int qdi_doc_ip(doc *d, const qd_field *f, const uint8_t v[16], qd_err *err);
/* What f's type makes of the present token, without adding it: *v, or *any false: nothing. */
int qdi_doc_one_value(doc *d, const qd_field *f, doc_value *v, bool *any, qd_err *err);
/* The value of f's index part, copied; a second one is QD_E_ARG. */
int qdi_doc_part(doc *d, const qd_field *f, qd_str v, qd_err *err);
/* The document changes the definition of f, a field of the mapping but no multi-field: it is parsed
 * again under the mapping that has the new one, by which other values are judged. */
int qdi_doc_define(doc *d, const qd_field *f, qd_str definition, qd_err *err);
/* The same with a parameter that the definition does not have yet (UPDATE_SET). v->json NULL: out
 * of memory. */
int qdi_doc_define_param(doc *d, const qd_field *f, param_id id, const param_value *v, qd_err *err);
/* doc_parser.c: a scalar as JSON, without escapes, is a value of f's multi-fields. */
int qdi_doc_multi(doc *d, const qd_field *f, qd_str json, qd_err *err);
/* A value of f was left out. */
int qdi_doc_ignored(doc *d, const qd_field *f, qd_err *err);
/* The present token as text: strings decoded, numbers as written, true, false. */
qd_str qdi_doc_text(const doc *d);
/* Jackson's complaint of the present token, "[1:9] Numeric value (…) out of range of int …". */
int qdi_doc_token_error(const doc *d, qd_err *err, const char *fmt, ...) QD_PRINTF(3, 4);

#endif
