/* doc_parser_int.h: the parser of documents, shared by its files. */
#ifndef QD_MAPPING_DOC_PARSER_INT_H
#define QD_MAPPING_DOC_PARSER_INT_H

#include "mapping/doc_int.h"

typedef enum target_kind {
    TARGET_SKIP,   /* not indexed: enabled or dynamic is false */
    TARGET_OBJECT, /* an object of the mapping */
    TARGET_FIELD,
    TARGET_NEW, /* the mapping has none: dynamic */
} target_kind;

/* A name that the mapping does not have. */
typedef struct unknown {
    qd_str path;        /* full name */
    qd_str name;        /* last name */
    qd_str parent;      /* full name of the object it would be in */
    qd_dynamic dynamic; /* what holds there */
} unknown;

/* What a value is for: 16 bytes, as one is made for every key. */
typedef struct target {
    target_kind kind;
    union {
        const object *object;
        const qd_field *field;
        const unknown *unknown; /* in the arena of the document */
    };
} target;

/* An open object or array. */
typedef struct frame {
    target t;
    bool array;
    uint8_t scopes; /* nested documents that end with it */
} frame;

/* A field that the document brings. */
typedef struct new_field {
    qd_str path, definition;
    uint64_t hash;
    bool runtime;
} new_field;

struct qd_doc_parser {
    doc d;
    frame *frames; /* QD_JSON_DEPTH_MAX + 1 */
    uint32_t depth;
    uint8_t begun; /* nested documents that the present value begins */
    QD_VEC(new_field) fresh;
    bool redefined; /* this pass changes a definition of the mapping */
    bool redefines; /* some pass of the document does */
    qd_buf update;  /* JSON of the new fields */
    qd_buf scratch; /* a definition being made */
    qd_buf source;  /* filtered source */
};

/* doc_values.c */
int qdi_doc_deliver(doc *d, const qd_doc_sink *sink, qd_err *err);

/* doc_error.c: QD_E_DOC_PARSING around what is in err. */
/* "[1:9] failed to parse field [x] of type [long] in document with id '1'. Preview …" */
int qdi_doc_field_error(doc *d, const qd_field *f, int rc, qd_err *err);
/* The same for a metadata field inside a document, whose key was read last. */
int qdi_doc_metadata_error(doc *d, qd_str key, qd_err *err);
/* "[1:9] failed to parse: " and the reason. */
int qdi_doc_wrap(doc *d, int rc, qd_err *err);
/* Code and text of its own, with the place before it. */
int qdi_doc_error(doc *d, qd_err *err, int code, const char *fmt, ...) QD_PRINTF(4, 5);

#endif
