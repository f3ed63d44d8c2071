/*
 * mapping.h: the mapping of an index: its fields, objects, dynamic rules, and their JSON.
 *
 * A qd_mapping is immutable and counted: it is made from JSON, changed only by making a merged one,
 * and shared by all threads. Fields keep their numbers (qd_field.id) through merges.
 */
#ifndef QD_MAPPING_MAPPING_H
#define QD_MAPPING_MAPPING_H

#include "analysis/analysis.h"
#include "mapping/field.h"
#include "mapping/similarity.h"
#include "json/filter.h"
#include "json/tree.h"

typedef struct qd_mapping qd_mapping;

typedef enum qd_dynamic {
    QD_DYNAMIC_TRUE,
    QD_DYNAMIC_FALSE,
    QD_DYNAMIC_STRICT,
    QD_DYNAMIC_RUNTIME, /* new fields are runtime fields */
} qd_dynamic;

/* Index settings that mappings depend on. Start from qd_mapping_settings_default. */
typedef struct qd_mapping_settings {
    int64_t total_fields_limit;      /* index.mapping.total_fields.limit, 1000 */
    int64_t depth_limit;             /* index.mapping.depth.limit, 20 */
    int64_t nested_fields_limit;     /* index.mapping.nested_fields.limit, 100 */
    int64_t nested_objects_limit;    /* index.mapping.nested_objects.limit, 10000 */
    int64_t field_name_length_limit; /* index.mapping.field_name_length.limit, INT64_MAX */
    bool ignore_malformed;           /* index.mapping.ignore_malformed, false */
    bool coerce;                     /* index.mapping.coerce, true */
    uint8_t source_mode;             /* index.mapping.source.mode: qd_source_mode */
    uint8_t source_keep;             /* index.mapping.synthetic_source_keep: qd_source_keep */
    uint32_t graph_threshold;        /* index.knn.advanced.approximate_threshold (ann/graph.h) */
    uint32_t ef_search;              /* index.knn.algo_param.ef_search */
    const qd_similarities *similarities; /* index.similarity; a mapping takes a reference */
} qd_mapping_settings;

#define QD_MAPPING_SETTINGS_DEFAULT                                                                \
    ((qd_mapping_settings){1000, 20, 100, 10000, INT64_MAX, false, true, 0, 0, 10000, 100, NULL})

/* Where a mapping comes from: decides which checks apply. */
typedef enum qd_mapping_reason {
    QD_MAPPING_UPDATE,   /* a request: all checks */
    QD_MAPPING_RECOVERY, /* stored metadata: limits are not enforced */
} qd_mapping_reason;

/* The empty mapping. analyzers: one reference is taken. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_mapping_empty(const qd_analyzers *analyzers, const qd_mapping_settings *settings,
                     qd_mapping **out, qd_err *err);
/*
 * Makes a mapping from JSON ({"properties":…}, also wrapped in {"_doc":…}). QD_E_MAPPER_PARSING
 * "Failed to parse mapping: …", QD_E_ARG (limits), QD_E_XCONTENT, QD_E_NOMEM. [any]
 */
QD_MUST_CHECK
int qd_mapping_parse(qd_str json, const qd_analyzers *analyzers,
                     const qd_mapping_settings *settings, qd_mapping_reason reason,
                     qd_mapping **out, qd_err *err);
/*
 * old with update put into it, as PUT _mapping does; old stays. QD_E_ARG with Elasticsearch's text
 * for conflicts ("mapper [x] cannot be changed from type [long] to [text]", "Mapper for [x]
 * conflicts with existing mapper:\n\tCannot update parameter [analyzer] from [default] to [x]").
 * *out may be old itself (with one more reference) when nothing changes. [any]
 */
QD_MUST_CHECK
int qd_mapping_merge(qd_mapping *old, qd_str update, qd_mapping_reason reason, qd_mapping **out,
                     qd_err *err);
/* The same mapping under other analyzers or settings (settings of the index changed). [any] */
QD_MUST_CHECK
int qd_mapping_remake(const qd_mapping *m, const qd_analyzers *analyzers,
                      const qd_mapping_settings *settings, qd_mapping **out, qd_err *err);
/* m with [index_options] or [method] written into those fields of vectors that `before` (NULL: an
 * empty mapping) does not have and that say nothing of their index: int8_hnsw for floats, hnsw for
 * others; of knn_vector where knn (index.knn) says so. *out may be m, with one more reference.
 * [any]
 */
QD_MUST_CHECK
int qd_mapping_with_graphs(const qd_mapping *m, const qd_mapping *before, bool knn,
                           qd_mapping **out, qd_err *err);
/* One more reference; returns m. [any] */
qd_mapping *qd_mapping_ref(const qd_mapping *m);
/* Drops one; NULL is fine. [any] */
void qd_mapping_unref(const qd_mapping *m);
/* Grows by one with every merge that changed something. [any] */
uint64_t qd_mapping_version(const qd_mapping *m);

/* Writes the mapping as Elasticsearch shows it: {"properties":{…}}, sorted, defaults left out. */
void qd_mapping_write(const qd_mapping *m, qd_json_writer *w);
/* The same compact, as stored in metadata; borrowed from m. [any] */
qd_str qd_mapping_json(const qd_mapping *m);
/* Writes one field's definition, {"type":…}, for _mapping/field. */
void qd_field_write_definition(const qd_field *f, bool include_defaults, qd_json_writer *w);

/* Field by full name (multi-fields too); NULL when there is none. Metadata fields (_id, _routing …)
 * are not in here. [any] O(1) */
const qd_field *qd_mapping_field(const qd_mapping *m, qd_str name);
/* The same, and a key within a field of objects ("labels.env" of the flattened field "labels") as a
 * field of its own in arena, by its name, or by that of the hidden field where its values stand.
 * *out NULL: there is none. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_mapping_find(const qd_mapping *m, qd_str name, qd_arena *arena, const qd_field **out,
                    qd_err *err);
/* Fields in number order: index below qd_mapping_nfields. [any] */
const qd_field *qd_mapping_field_at(const qd_mapping *m, uint32_t id);
/* How many fields; ids are below this. [any] */
uint32_t qd_mapping_nfields(const qd_mapping *m);
/* Is name an object (so that "exists" and wildcards look below it)? [any] */
bool qd_mapping_is_object(const qd_mapping *m, qd_str name);
/* Is name an object of type nested? *above (may be NULL): the path of the nested object in which it
 * lies, n 0: none. [any] */
bool qd_mapping_is_nested(const qd_mapping *m, qd_str name, qd_str *above);
/* The nested objects from right below `above` (n 0: the document) down to `path`, outer first, as
 * copies in the arena. *n 0: path is above itself, or lies elsewhere. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_mapping_nested_paths(const qd_mapping *m, qd_str above, qd_str path, qd_arena *arena,
                            const qd_str **out, uint32_t *n, qd_err *err);
/* The path of the innermost nested object that is name or in which the field or object called name
 * lies; n 0: none, or there is no such name. [any] */
qd_str qd_mapping_nested_of(const qd_mapping *m, qd_str name);
/* Has it an object of type nested? [any] */
bool qd_mapping_has_nested(const qd_mapping *m);
/* Calls fn for every field whose name matches the pattern with `*`, in the order of names; a result
 * other than 0 ends it and is returned. [any] */
int qd_mapping_match(const qd_mapping *m, qd_str pattern, int (*fn)(void *arg, const qd_field *f),
                     void *arg);

/* Does a segment keep values of stored fields, because _source is not kept as it was sent? [any] */
bool qd_mapping_stores_apart(const qd_mapping *m);
/* Does any field score by other than BM25 with the product's parameters? [any] */
bool qd_mapping_has_similarities(const qd_mapping *m);
/* What the words of a field score by, hidden fields of a field as the field itself; NULL: BM25 with
 * the product's parameters. Lives as long as m. [any] */
const qd_similarity *qd_mapping_similarity(const qd_mapping *m, qd_str field);

/* _source.enabled. [any] */
bool qd_mapping_source_enabled(const qd_mapping *m);
/* Filter of _source.includes and excludes; NULL when there is none. [any] */
const qd_json_filter *qd_mapping_source_filter(const qd_mapping *m);
/* _routing.required. [any] */
bool qd_mapping_routing_required(const qd_mapping *m);
/* Is name a metadata field that documents must not have ("_id", "_source", …)? [any] */
bool qd_mapping_is_metadata(qd_str name);
/* Why documents of this index cannot be parsed on this node: a field's type is a plugin's that is
 * not there; NULL: they can. Lives as long as m. [any] */
const char *qd_mapping_missing(const qd_mapping *m);
/* The level of formats that the mapping needs (base/features.h), by its fields' types and
 * parameters; 0: any has it. *what and *type: the field or object that does, and *f, NULL of an
 * object; else untouched. [any] */
uint32_t qd_mapping_level(const qd_mapping *m, qd_str *what, const char **type, const qd_field **f);
/* The analyzers the mapping was made with, borrowed. [any] */
const qd_analyzers *qd_mapping_analyzers(const qd_mapping *m);

struct qd_task;
struct qd_json_node;
/* The JSON values that the plugin of a type makes of one of a source, as a list in arena; may be
 * empty. For a field that qd_field_shows_source says yes of; m is its mapping. 0; 1: it is none of
 * the type; QD_E_PLUGIN, and the end of task (NULL: none). [worker] */
QD_MUST_CHECK
int qd_field_show_source(const qd_field *f, const qd_mapping *m, qd_str json, qd_arena *arena,
                         struct qd_task *task, const struct qd_json_node **first, qd_err *err);
/* The same of n values of a column: i64 or bytes. An error of the plugin is one of the call. */
QD_MUST_CHECK
int qd_field_show_column(const qd_field *f, const qd_mapping *m, const int64_t *i64,
                         const qd_str *bytes, uint32_t n, qd_arena *arena, struct qd_task *task,
                         const struct qd_json_node **first, qd_err *err);

#endif
