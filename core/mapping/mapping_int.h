/* mapping_int.h: definitions as read, the compiled mapping, and what its files share. */
#ifndef QD_MAPPING_MAPPING_INT_H
#define QD_MAPPING_MAPPING_INT_H

#include "base/arena.h"
#include "mapping/mapping.h"
#include "mapping/runtime/runtime_int.h"
#include "mapping/type_int.h"
#include <stdatomic.h>

/* Levels of objects that any mapping may have, limits or not: bounds recursion. */
#define MAPPING_LEVELS_MAX 200

typedef enum tri { TRI_UNSET = -1, TRI_FALSE, TRI_TRUE } tri;

typedef struct object_def {
    qd_str name;
    int dynamic; /* qd_dynamic, or -1 */
    tri enabled;
    bool nested;
    bool implied;           /* made on the way by a name with dots: says nothing of what it is */
    tri in_parent, in_root; /* of a nested one: include_in_parent, include_in_root */
    uint8_t keep;           /* synthetic_source_keep: 1 + qd_source_keep; 0: not given */
    struct node_def **children; /* sorted by name */
    uint32_t nchildren, cap;
} object_def;

typedef struct node_def {
    qd_str name;
    object_def *object; /* one of the two */
    qd_field_def *field;
} node_def;

typedef struct template_def {
    qd_str name;
    qd_str body; /* as given */
    qd_str match_mapping_type[16];
    uint32_t ntypes;
    bool any_type; /* no match_mapping_type, or "*" */
    bool regex;
    qd_str match[16], unmatch[16], path_match[16], path_unmatch[16];
    uint32_t nmatch, nunmatch, npath_match, npath_unmatch;
    const qd_json_node *mapping; /* object */
    bool runtime;                /* it makes runtime fields: `mapping` is "runtime" */
} template_def;

/* Everything that the JSON says. p = NULL or unset: not given. */
typedef struct mapping_def {
    object_def *root;
    runtime_defs runtime;
    tri date_detection, numeric_detection;
    qd_str *date_formats; /* dynamic_date_formats */
    uint32_t ndate_formats;
    bool has_date_formats, has_templates, has_source, has_routing;
    template_def *templates;
    uint32_t ntemplates;
    qd_str meta; /* JSON */
    tri source_enabled, routing_required;
    uint8_t source_mode; /* _source.mode: 1 + qd_source_mode; 0: not given */
    tri stamped;         /* _data_stream_timestamp.enabled */
    qd_str *includes, *excludes;
    uint32_t nincludes, nexcludes;
} mapping_def;

/* Hash table from names to children of an object. */
typedef struct child {
    uint64_t hash; /* 0: empty */
    qd_str name;
    const struct object *object; /* one of the two */
    const qd_field *field;
} child;

typedef struct object {
    qd_str path;        /* full; empty for the root */
    qd_dynamic dynamic; /* what holds here */
    bool enabled;
    bool in_parent,
        in_root;  /* of a nested one: its fields are also the document's above, the root's */
    uint8_t keep; /* as of object_def */
    const struct object *nested; /* the nested object that it is or lies in; NULL: none */
    const struct object *above;  /* of a nested one: the one in which it lies; NULL: none */
    uint32_t mask;
    child *table;
} object;

/* Is o one whose values are documents of their own? */
static inline bool qdi_object_is_nested(const object *o)
{
    return o->nested == o;
}

/* One more value of qd_dynamic, which nobody outside of this module looks at: fields that a dynamic
 * template fits are added, others are an error. */
#define QD_DYNAMIC_STRICT_TEMPLATES ((qd_dynamic)(QD_DYNAMIC_RUNTIME + 1))

struct qd_mapping {
    uint32_t magic;
    _Atomic uint32_t refs;
    uint64_t version;
    qd_arena arena;
    const qd_analyzers *analyzers;
    qd_mapping_settings settings;
    mapping_def *def;
    qd_str json;
    const object *root;
    const object **nested; /* the nested ones, outer before inner; nnested */
    uint32_t nnested;
    qd_field **fields; /* by id */
    uint32_t nfields;
    uint32_t nnamed;   /* those that are not hidden */
    uint32_t *by_name; /* their ids in the order of names */
    child *names;      /* table of full names of fields, hidden ones too, and objects */
    uint32_t names_mask;
    const qd_field *join;  /* the one of type join; NULL: none */
    const qd_field *stamp; /* which each new document must have once; NULL: none */
    qd_json_filter *source_filter;
    const qd_date_format **date_formats; /* dynamic ones */
    uint32_t ndate_formats;
    uint8_t source_mode;           /* qd_source_mode; of synthetic ones only: */
    uint8_t *column_use;           /* by field: QDI_COLUMN_ */
    const qd_field **from_columns; /* those that QDI_COLUMN_GIVES; nfrom_columns */
    uint32_t nfrom_columns;
    const qd_runtime_field **runtime; /* nruntime */
    qd_field **runtime_fields;        /* that they make, by name: nruntime_fields */
    uint32_t nruntime, nruntime_fields;
    bool makes_runtime;    /* dynamic mapping may make runtime fields */
    bool stores;           /* a field is stored */
    bool similarities;     /* a field has one, or there is a default */
    bool strict_templates; /* an object has QD_DYNAMIC_STRICT_TEMPLATES */
};

enum {
    QDI_COLUMN_GIVES = 1,  /* the field's column gives its values back */
    QDI_COLUMN_COPIES = 2, /* the field gets copies of others' values */
};

/* What building a field needs. */
typedef struct field_builder {
    qd_arena *arena;
    const qd_analyzers *analyzers;
    const qd_mapping_settings *settings;
    struct qd_field *implied[4]; /* multi-fields that the type of the present field brings */
    uint32_t nimplied;
} field_builder;

#define MAPPING_STAMP "@timestamp" /* the field of data streams */

/* --- hidden.c: fields that the type of another one brings ---- */
/* A field of segments beside f that requests find by name, a view into the arena, not yet indexed.
 * A mapping that defines a field of that name is refused. NULL: out of memory. For `finish`. */
qd_field *qdi_field_beside(field_builder *b, qd_field *f, const struct qd_field_type *row,
                           qd_str name);
/* A field of segments beside f, named NAME.suffix, not yet indexed. No mapping may name it: ".x"
 * makes it so, and ".NAME" of a field that has no multi-fields.
 * NULL: out of memory. For `finish`. */
qd_field *qdi_field_hide(field_builder *b, qd_field *f, const struct qd_field_type *row,
                         const char *suffix);

/* --- types/vector_options.c ---- */
/* Gives a field of vectors that names no index that of new fields; false: it stays as it is. knn: a
 * knn_vector gets one, too. */
bool qdi_vector_index_default(qd_field_def *f, bool knn);

/* Where types come from that are none of ours. */
typedef struct qdi_type_source {
    const struct qd_plugin_host *plugins;
    bool stored; /* a type that nobody provides is stood in for */
} qdi_type_source;

/* A multi-field of f, a copy of it under another row, which no definition shows. Its name may not
 * be that of a multi-field of the definition. For `finish`. */
QD_MUST_CHECK
int qdi_field_imply(field_builder *b, const qd_field *f, const struct qd_field_type *row,
                    const char *name, qd_field **out, qd_err *err);

/* --- types/foreign.c ---- */
/* The row of a plugin's type for one field, in the arena; *out NULL: there is none. */
int qdi_foreign_row(const qdi_type_source *from, qd_arena *a, qd_str field, qd_str type,
                    const qd_json_node *n, const struct qd_field_type **out, qd_err *err);

/* --- mapping_parse.c ---- */
int qdi_mapping_read(const qdi_type_source *from, qd_arena *a, qd_str json, mapping_def **out,
                     qd_err *err);
int qdi_field_def_read(const qdi_type_source *from, qd_arena *a, qd_str name, const qd_json_node *n,
                       bool multi, qd_field_def **out, qd_err *err);
/* Adds a child at its place; the caller knows that there is none of that name. 0 or QD_E_NOMEM. */
int qdi_object_add(qd_arena *a, object_def *o, node_def *n);
node_def *qdi_object_find(const object_def *o, qd_str name);
object_def *qdi_object_make(qd_arena *a, qd_str name);
/* Text as JSON string in the arena; {NULL,0} when out of memory. */
qd_str qdi_json_quote(qd_arena *a, qd_str text);

/* --- mapping_merge.c ---- */
int qdi_mapping_merge(qd_arena *a, mapping_def *into, const mapping_def *from, qd_err *err);

/* --- mapping_write.c ---- */
void qdi_mapping_write(const mapping_def *d, qd_json_writer *w);
void qdi_field_def_write(const qd_field_def *f, bool defaults, qd_json_writer *w);

/* --- mapping.c ---- */
/* qd_mapping_merge for fields that a document brought: texts of limits say how many. */
int qdi_mapping_merge_new(qd_mapping *old, qd_str update, qd_mapping_reason reason,
                          uint32_t dynamic_new, qd_mapping **out, qd_err *err);
/* A field by its full name, hidden ones too; or NULL. */
const qd_field *qdi_mapping_any(const qd_mapping *m, qd_str name);
const child *qdi_object_child(const object *o, uint64_t hash, qd_str name);

/* --- dynamic.c ---- */
int qdi_template_read(qd_arena *a, const qd_json_node *n, template_def *out, qd_err *err);
/* Does a dynamic template fit a new field of a kind, as below? */
bool qdi_dynamic_fits(const qd_mapping *m, qd_str path, qd_str name, const char *kind);
/* Definition of a new field as JSON, for a value of the given kind ("string", "long", "double",
 * "boolean", "date", "object"), appended to out; 1 when a template says that it is not to be
 * mapped. format: of a date that was detected. *runtime: the object's rule is `runtime`; then,
 * that the definition is one of a runtime field. */
int qdi_dynamic_definition(const qd_mapping *m, qd_str path, qd_str name, const char *kind,
                           const qd_date_format *format, bool *runtime, qd_buf *out);
/* What a string is for dynamic mapping. */
const char *qdi_dynamic_string_kind(const qd_mapping *m, qd_str text,
                                    const qd_date_format **format);

#endif
