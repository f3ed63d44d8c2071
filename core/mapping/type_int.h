/*
 * type_int.h: what a row of the table of field types holds. A new type is a file in types/ with a
 * row, and a line in types/types.def.
 *
 * Parameters are data: a type lists those that it knows, in the order in which Elasticsearch writes
 * them; reading, defaults, merging, conflicts and writing are done by loops over that list.
 */
#ifndef QD_MAPPING_TYPE_INT_H
#define QD_MAPPING_TYPE_INT_H

#include "mapping/field.h"
#include "json/reader.h"
#include "json/tree.h"

/* Which member of the field a parameter sets. */
typedef enum param_id {
    PARAM_INDEX,
    PARAM_DOC_VALUES,
    PARAM_STORE,
    PARAM_NORMS,
    PARAM_COERCE,
    PARAM_IGNORE_MALFORMED,
    PARAM_INDEX_OPTIONS,
    PARAM_ANALYZER,
    PARAM_SEARCH_ANALYZER,
    PARAM_SEARCH_QUOTE_ANALYZER,
    PARAM_NORMALIZER,
    PARAM_GAP,
    PARAM_IGNORE_ABOVE,
    PARAM_NULL_VALUE,
    PARAM_FORMAT,
    PARAM_SCALING_FACTOR,
    PARAM_EAGER,
    PARAM_SPLIT,
    PARAM_FIELDDATA,
    PARAM_FIELDDATA_FILTER,
    PARAM_INDEX_PHRASES,
    PARAM_SIMILARITY,
    PARAM_TERM_VECTOR,
    PARAM_VALUE,
    PARAM_INCREMENTS,
    PARAM_PATH,
    PARAM_DEPTH_LIMIT,
    PARAM_SHINGLE,
    PARAM_DIMS,
    PARAM_ELEMENT,
    PARAM_SPACE,
    PARAM_VECTOR_INDEX,
    PARAM_VECTOR_MODE,
    PARAM_VECTOR_COMPRESSION,
    PARAM_VECTOR_MODEL,
    PARAM_RELATIONS,
    PARAM_IGNORE_Z,
    PARAM_OTHER, /* kept and written, means nothing to indexing */
} param_id;

typedef enum param_kind {
    KIND_BOOL,
    KIND_EXPLICIT_BOOL, /* written when given, even if it is the default */
    KIND_INT,
    KIND_STRING,
    KIND_DOUBLE,
    KIND_SCALAR, /* null_value: as given; null is as if not given */
    KIND_META,
    KIND_ANY,
} param_kind;

typedef enum param_update {
    UPDATE_NEVER,
    UPDATE_FREE,
    UPDATE_OFF, /* from true to false only */
    UPDATE_SET, /* from nothing to a value only */
    /* from here on: written even if they are the default */
    UPDATE_SHOWN,      /* never */
    UPDATE_FREE_SHOWN, /* freely */
    UPDATE_CHECKED,    /* as the type's `against` says */
} param_update;

typedef struct param_row {
    const char *name;
    uint8_t id, kind, update;
    const char *def; /* the default as JSON; NULL: none */
} param_row;

/* A parameter as given: canonical JSON; p = NULL when not given or equal to the default. */
typedef struct param_value {
    qd_str json;
    qd_str text; /* of strings and scalars: decoded */
    int64_t i;   /* of KIND_BOOL, KIND_INT */
    double d;
} param_value;

typedef struct qd_field_def {
    const struct qd_field_type *type;
    qd_str name;
    param_value *params;         /* by row */
    struct qd_field_def **multi; /* by name */
    uint32_t nmulti;
    qd_str *copy_to;
    uint32_t ncopy_to;
    uint8_t keep; /* synthetic_source_keep: 1 + qd_source_keep; 0: not given */
} qd_field_def;

struct field_builder; /* mapping_int.h */
struct doc;           /* doc_int.h */

/* Which of the numeric types a row is: integer.c and floating.c have several each. */
typedef enum qd_field_kind {
    QD_FIELD_LONG,
    QD_FIELD_INTEGER,
    QD_FIELD_SHORT,
    QD_FIELD_BYTE,
    QD_FIELD_DOUBLE,
    QD_FIELD_FLOAT,
    QD_FIELD_HALF_FLOAT,
    QD_FIELD_SCALED_FLOAT,
} qd_field_kind;

struct qd_field_type {
    qd_field_kind kind; /* of numbers */
    qd_value_class value_class;
    qd_number_class number;
    bool dates;
    bool numeric;    /* neither dates nor booleans */
    bool collapses;  /* hits may be grouped by its values (search: collapse) */
    bool takes_null; /* `value` stands before null, too */
    bool alias;      /* of another field */
    bool plain;      /* no multi-field, nor has it some, nor copy_to */
    bool whole;      /* arrays and objects are one value: `value` stands before the whole of it */
    bool objects;    /* objects are values: `value` stands before one, and goes to its end */
    const struct qdi_foreign *own;   /* of a plugin's type (types/foreign.c), else NULL */
    const struct qd_part_type *part; /* index part of a type of ours; NULL: none */
    const char *name;
    const char *family; /* for _field_caps; NULL: the name */
    uint32_t level;     /* of formats that it needs (base/features.h); 0: any has it */
    /* The level that this field's parameters need; NULL: that of the type. */
    uint32_t (*needs)(const qd_field *f);
    const param_row *params;
    uint32_t nparams;
    /* After the parameters were applied to f: checks and what follows from them. */
    int (*finish)(struct field_builder *b, qd_field *f, qd_err *err);
    /* What is against a change of a parameter of UPDATE_CHECKED, each behind "\n\t"; n 0: nothing;
     * p NULL: out of memory. */
    qd_str (*against)(qd_arena *a, const qd_field_def *old, const qd_field_def *now);
    /* The present token of the document's reader, a scalar but not null, to values of f. QD_E_*
     * with the cause in err. */
    int (*value)(struct doc *d, const qd_field *f, qd_err *err);
    /* The null_value in place of a null; NULL: it is added as it stands in f. */
    int (*null)(struct doc *d, const qd_field *f, qd_err *err);
    /* Of requests; see field.h. */
    int (*term)(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err);
    int (*range)(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err);
    int (*shown)(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out);
    /* An object of a source; see qd_field_show_object. NULL: none is a value. */
    int (*show)(const qd_field *f, const qd_json_node *n, const qd_date_format *format,
                qd_json_writer *w);
    double (*f64)(const qd_field *f, int64_t column);
    int64_t (*from_f64)(const qd_field *f, double v);
    void (*write)(const qd_field *f, int64_t column, const qd_date_format *format,
                  const qd_zone *zone, qd_json_writer *w);
    /* Of a text_column: the key of a text, and all that the column holds of it, into out, which has
     * QD_COLUMN_KEY_ROOM; return the length. */
    size_t (*column_key)(qd_str text, char *out);
    size_t (*column_bytes)(qd_str text, char *out);
    /* Bytes of a column; NULL: as they are, addresses as text. */
    void (*write_bytes)(const qd_field *f, qd_str bytes, qd_json_writer *w);
};

/* Row by name; NULL when there is none. */
const struct qd_field_type *qdi_field_type(qd_str name);

/* The index part of a type of ours, by the name that segments have of it; false: there is none. */
struct qd_part_type;
extern const struct qd_part_type qdi_vectors_graph; /* of vectors with codes or a graph */
bool qdi_field_part(qd_str name, struct qd_part_type *out);

/* The range of types that have none: an error that names field and type. */
int qdi_no_range(const qd_field *f, const qd_query_value *lo, bool lo_in, const qd_query_value *hi,
                 bool hi_in, const qd_value_ctx *ctx, qd_point out[2], qd_err *err);

/* Index of a parameter in its type's list, or -1. */
int qdi_param_index(const struct qd_field_type *t, param_id id);
/* The value given for a parameter; NULL when none was. */
const param_value *qdi_param(const qd_field_def *def, param_id id);

#define QD_FIELD_TYPE(NAME) extern const struct qd_field_type qdi_type_##NAME;
#include "mapping/types/types.def"
#undef QD_FIELD_TYPE

#endif
