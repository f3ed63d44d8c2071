/*
 * field.h: a field of a mapping as everybody above sees it, and the values of its type.
 *
 * Numbers of every kind are int64 in columns and points, in an order that equals the order of the
 * values: integers, dates (milliseconds since 1970) and booleans as they are, floating-point
 * numbers by the sortable bits of their format, scaled floats multiplied and rounded. Addresses are
 * 16 bytes (IPv4 mapped into IPv6). Fields are immutable and live as long as their mapping [any].
 */
#ifndef QD_MAPPING_FIELD_H
#define QD_MAPPING_FIELD_H

#include "analysis/analysis.h"
#include "base/err.h"
#include "base/str.h"
#include "mapping/date_format.h"
#include "mapping/date_math.h"
#include "mapping/similarity.h"
#include "json/writer.h"

/* What a field's values are in the sink, in columns and points. */
typedef enum qd_value_class {
    QD_VALUE_TEXT,   /* analyzed text: terms, no column */
    QD_VALUE_TERM,   /* a term as it is; ordinal column of the same bytes */
    QD_VALUE_I64,    /* int64 column and point */
    QD_VALUE_BOOL,   /* term "T" or "F"; int64 column 0 or 1 */
    QD_VALUE_IP,     /* 16-byte point; ordinal column of 16 bytes */
    QD_VALUE_RANGE,  /* interval: two ends as one entry of an ordinal column; points beside it */
    QD_VALUE_GEO,    /* int64 column and point: a point on the earth (base/geo.h) */
    QD_VALUE_OPAQUE, /* an index part alone: vectors, some of plugins' types */
} qd_value_class;

/* What the numbers of an int64 column are: how they decode, order and look. */
typedef enum qd_number_class {
    QD_NUMBER_INTEGER, /* as they are; dates and booleans too */
    QD_NUMBER_FLOAT,   /* qd_f32_encode */
    QD_NUMBER_DOUBLE,  /* qd_f64_encode */
    QD_NUMBER_SCALED,  /* multiplied by scaling_factor and rounded */
    QD_NUMBER_UNSIGNED /* qd_u64_encode */
} qd_number_class;

/* How much of a term's occurrences is kept; the order matters. */
typedef enum qd_index_detail {
    QD_INDEX_OPT_DOCS,
    QD_INDEX_OPT_FREQS,
    QD_INDEX_OPT_POSITIONS,
    QD_INDEX_OPT_OFFSETS,
} qd_index_detail;

/* What term_vector asks to be kept; words are analyzed again instead (_termvectors). */
enum { QD_VECTOR_YES = 1, QD_VECTOR_POSITIONS = 2, QD_VECTOR_OFFSETS = 4, QD_VECTOR_PAYLOADS = 8 };

/* How an exists query finds the documents that have the field. */
typedef enum qd_exists_by {
    QD_EXISTS_COLUMN,     /* it has doc values */
    QD_EXISTS_NORMS,      /* it has norms */
    QD_EXISTS_FIELD_NAME, /* its name is a term of _field_names */
    QD_EXISTS_NEVER,      /* neither indexed nor in a column */
    QD_EXISTS_ALWAYS,     /* all documents have the value of the mapping */
} qd_exists_by;

struct qd_vector_field;  /* mapping/vectors.h */
struct qd_runtime_field; /* mapping/runtime/runtime.h */
struct qd_part_type;
struct qd_field_conf;
struct qd_field_type; /* row of the table of types, mapping/type_int.h */

typedef struct qd_field {
    const struct qd_field_type *type;
    qd_value_class value_class;
    qd_number_class number; /* of int64 columns */
    bool dates;             /* values are instants: they have formats, zones, date math */
    uint32_t id;            /* dense; merged mappings keep it, new fields come behind */
    qd_str name;            /* full path, "a.b.raw", as segments know it */
    qd_str shown;           /* the same as requests and answers name it: of an alias its own */
    qd_str leaf;            /* last name */
    qd_str nested;          /* path of the nested object in which it lies; n 0: none */
    qd_str pairs; /* index_phrases: name of the hidden field of pairs of words; n 0: none */
    const struct qd_field *parent; /* of a multi-field: the field it belongs to; else NULL */
    /* Fields of segments that the type keeps beside this one; NULL: none. No request finds them. */
    const struct qd_field *grams; /* 3-grams of the values (grams.h), which stand in the column */
    const struct qd_field *keyed; /* leaves of objects as "key\0value"; the values stand in this */
    /* Of text whose runs of words are multi-fields: by their length from 2 on; and where prefixes
     * are terms, of those fields too. */
    const struct qd_field *shingles[3], *prefixes;
    uint32_t nshingles;
    /* Of intervals: points of their lower and upper ends; where the column stands, the field itself
     * or a hidden one. */
    const struct qd_field *low, *high, *intervals;
    const struct qd_field *places; /* of points: where the column stands, as above */
    struct qd_field *beside;       /* all of them, linked by their own `beside` */
    /* Of a key within such an object (qd_mapping_find): this is a copy of `keyed`, of which only
     * the terms that begin so are meant; n 0: all. */
    qd_str slice;
    bool whole;   /* `fields` shows its objects as they are */
    bool hidden;  /* is one of them */
    bool implied; /* a field that requests find, but no definition shows: a type brings it */
    const struct qd_join *join; /* of parents and children: their relations (join.h); else NULL */

    bool indexed, doc_values, stored, norms, has_points;
    bool coerce, ignore_malformed, refuse_z; /* refuse_z: of points, a third coordinate */
    bool eager_global_ordinals, split_on_whitespace, fielddata;
    double fielddata_min, fielddata_max; /* documents of the terms in it; 0: none */
    int64_t fielddata_min_docs;          /* of segments of which it leaves terms out */
    uint8_t index_options;               /* qd_index_detail */
    uint8_t vector;                      /* term_vector: QD_VECTOR_*, 0: no */
    bool vector_offsets; /* term_vector asks for positions and offsets: fvh may highlight it */
    uint8_t exists_by;   /* qd_exists_by */
    bool constant;       /* all documents have the value `fixed`; or none has, where p is NULL */
    qd_str fixed;
    bool blob;             /* bytes that no query, sort or bucket reads; they are shown as base64 */
    bool nanos;            /* of dates: nanoseconds, not milliseconds */
    bool text_column;      /* TERM: the column orders by a key and holds the text behind it */
    bool phrases_apart;    /* TEXT without positions: phrases look at the source */
    uint32_t ignore_above; /* characters (UTF-16 units); UINT32_MAX = no limit */
    uint32_t position_increment_gap;
    const qd_analyzer *index_analyzer, *search_analyzer, *search_quote_analyzer; /* text */
    const qd_analyzer *normalizer;   /* keyword; or NULL */
    const qd_similarity *similarity; /* NULL: BM25 with the product's parameters */
    double scaling_factor;           /* scaled_float */
    const qd_date_format *format;    /* date */
    bool has_null_value;
    qd_str null_text; /* the null_value as text */
    int64_t null_i64; /* and as encoded value */
    uint8_t null_ip[16];

    const struct qd_vector_field *vectors;  /* NULL: its values are none */
    const struct qd_runtime_field *runtime; /* which makes it at search; NULL: documents have it */

    /* of a type with an index part (sdk field.h) */
    const struct qd_part_type *part;  /* NULL: none */
    const struct qd_field_conf *conf; /* the field's parameters */
    const char *unusable;             /* why no document can have it here; NULL: it can */

    /* for the parser and the renderer */
    struct qd_field *const *multi; /* multi-fields by name */
    uint32_t nmulti;
    const struct qd_field **copy_to; /* resolved targets */
    uint32_t ncopy_to;
    const struct qd_field_def *def; /* the definition as given */
} qd_field;

/* Makes f a field of a type of the table ("double"; it must exist) that no mapping holds, with doc
 * values and otherwise zeros: stands for fields that an index does not know. [any] */
void qd_field_bare(qd_field *f, qd_str type, qd_str name);
/* An interval of a query over a field of intervals: both ends inclusive, as points and as the
 * column has them. */
typedef struct qd_interval_bounds {
    bool wide; /* ends are addresses: lo16 and hi16 count, else lo and hi */
    int64_t lo, hi;
    uint8_t lo16[16], hi16[16];
    size_t n; /* bytes of an end */
    char lo_bytes[16], hi_bytes[16];
} qd_interval_bounds;
/* Bounds of a range query on such a field; lo, hi may be NULL (open). 0; 1 when nothing lies
 * between them; errors as Elasticsearch words them. [any] */
struct qd_query_value;
struct qd_value_ctx;
QD_MUST_CHECK
int qd_field_interval_bounds(const qd_field *f, const struct qd_query_value *lo, bool lo_in,
                             const struct qd_query_value *hi, bool hi_in,
                             const struct qd_value_ctx *ctx, qd_interval_bounds *out, qd_err *err);
/* The ends of a value of the column of such a field, but addresses: encoded as f->low has them.
 * [any] */
bool qd_field_interval(const qd_field *f, qd_str bytes, int64_t out[2]);
/* Writes an object of a source as the option `fields` shows it: 0; 1: it is none of the field's.
 * format NULL: the field's. [any] */
struct qd_json_node;
QD_MUST_CHECK
int qd_field_show_object(const qd_field *f, const struct qd_json_node *n,
                         const qd_date_format *format, qd_json_writer *w);
/* Is there a type of that name? [any] */
bool qd_field_type_known(qd_str type);
/* The index part of a type by its name: `find` of qd_part_types, with the plugin host. [any] */
bool qd_field_part_find(const void *host, qd_str type, struct qd_part_type *out);
/* Type name as in mappings ("long"). [any] */
const char *qd_field_type_name(const qd_field *f);
/* The type as _field_caps names it: types that answer the same requests are one family. [any] */
const char *qd_field_family(const qd_field *f);
/* Are the values of a TERM field indexed as terms? [any] */
static inline bool qd_field_has_terms(const qd_field *f)
{
    return f->indexed && !f->grams && f->value_class == QD_VALUE_TERM;
}
/* Has it values by document, on disk or in memory, for sorting and aggregations? [any] */
static inline bool qd_field_has_values(const qd_field *f)
{
    return f->doc_values || f->fielddata;
}
/* Where its values stand in a source: multi-fields have those of their field. [any] */
static inline qd_str qd_field_source(const qd_field *f)
{
    while (f->parent) f = f->parent;
    return f->slice.n ? f->leaf : f->name;
}
/* The parameter `meta` as JSON, an object of strings; n 0: none. [any] */
qd_str qd_field_meta(const qd_field *f);
/* Numbers: neither dates nor booleans. [any] */
bool qd_field_is_numeric(const qd_field *f);
/* Are its values such that hits may be grouped by them (collapse)? [any] */
bool qd_field_collapses(const qd_field *f);

/* --- encodings ----------------------------------------------------------------------------- */

/* Order-preserving int64 of a double: Lucene's doubleToSortableLong. [any] */
static inline int64_t qd_f64_encode(double v)
{
    int64_t b;
    memcpy(&b, &v, sizeof b);
    return b ^ ((b >> 63) & INT64_MAX);
}
/* Back. [any] */
static inline double qd_f64_decode(int64_t s)
{
    double v;
    s ^= (s >> 63) & INT64_MAX;
    memcpy(&v, &s, sizeof v);
    return v;
}
/* The same for floats, within the range of int32. [any] */
static inline int64_t qd_f32_encode(float v)
{
    int32_t b;
    memcpy(&b, &v, sizeof b);
    return b ^ ((b >> 31) & INT32_MAX);
}
/* Back. [any] */
static inline float qd_f32_decode(int64_t s)
{
    int32_t b = (int32_t)s;
    float v;
    b ^= (b >> 31) & INT32_MAX;
    memcpy(&v, &b, sizeof v);
    return v;
}

/* Order-preserving int64 of an unsigned number: its top bit turned over. [any] */
static inline int64_t qd_u64_encode(uint64_t v)
{
    return (int64_t)(v ^ (uint64_t)1 << 63);
}
/* Back. [any] */
static inline uint64_t qd_u64_decode(int64_t s)
{
    return (uint64_t)s ^ (uint64_t)1 << 63;
}

/* A column value as the number aggregations and sorting see. [any] */
double qd_field_f64(const qd_field *f, int64_t column);
/* Encodes a number given as double (saturating for integer kinds). [any] */
int64_t qd_field_from_f64(const qd_field *f, double v);
/* Encodes a whole number given as text, for a column of integers; false when it is none. [any] */
bool qd_field_whole(const qd_field *f, qd_str text, int64_t *out);

/* A value as a request gives it: text of a string, number or boolean. */
typedef struct qd_query_value {
    qd_str text;
    bool quoted; /* it was a JSON string */
} qd_query_value;

/* Encoded value: i64 for numeric kinds, dates and booleans; ip; or bytes. */
typedef struct qd_point {
    int64_t i64;
    uint8_t ip[16];
    qd_str bytes; /* keyword: the normalized term, borrowed from the value or from scratch */
} qd_point;

/* What conversions of request values depend on. */
typedef struct qd_value_ctx {
    int64_t now_ms;
    const qd_zone *zone;          /* time_zone of the request; NULL: UTC */
    const qd_date_format *format; /* format of the request; NULL: the field's */
    qd_analysis *scratch;         /* for normalizers */
} qd_value_ctx;

/*
 * A value of a term query: 0 with *out; 1 when no document can have it (1.5 on an integer field,
 * out of range); errors as Elasticsearch words them (QD_E_NUMBER_FORMAT, QD_E_ARG, QD_E_ES_PARSE).
 * A date term stands for a range (see qd_field_range). [any]
 */
QD_MUST_CHECK
int qd_field_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                  qd_err *err);
/*
 * Bounds of a range query as an inclusive range of encoded values: lo, hi may be NULL (open);
 * *out[2] gets both ends. 0; 1 when the range is empty; errors as above. Dates are rounded as
 * Elasticsearch does (gt and lte up, gte and lt down). [any]
 */
QD_MUST_CHECK
int qd_field_range(const qd_field *f, const qd_query_value *lo, bool lo_inclusive,
                   const qd_query_value *hi, bool hi_inclusive, const qd_value_ctx *ctx,
                   qd_point out[2], qd_err *err);
/* "192.168.0.0/16" or "a::/64" as inclusive 16-byte bounds; 0 or QD_E_ARG. [any] */
QD_MUST_CHECK
int qd_ip_cidr(qd_str text, uint8_t lo[16], uint8_t hi[16], qd_err *err);
/* Address to 16 bytes (IPv4 mapped); false when it is none. [any] */
bool qd_ip_parse(qd_str text, uint8_t out[16]);
/* 16 bytes as text: dotted for mapped IPv4, RFC 5952 else; returns the length, at most 45. [any] */
size_t qd_ip_print(char out[46], const uint8_t ip[16]);

/* Writes a column value as the JSON value that docvalue_fields and sort show (dates by their
 * format, booleans as true/false). format NULL: the field's; zone NULL: UTC. [any] */
void qd_field_write(const qd_field *f, int64_t column, const qd_date_format *format,
                    const qd_zone *zone, qd_json_writer *w);
/* The same as text, for key_as_string; returns the length, out holds 128 bytes. [any] */
size_t qd_field_text(const qd_field *f, int64_t column, const qd_date_format *format,
                     const qd_zone *zone, char out[128]);
/* A scalar of a document's source as the option `fields` shows it: 0 with *out for
 * qd_field_write_shown; 1 when it is not shown (malformed, too long). *out borrows from v and from
 * ctx's scratch; without scratch a normalizer is left out. [any] */
QD_MUST_CHECK
int qd_field_shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out);
/* Writes what qd_field_shown gave. format NULL: the field's. [any] */
void qd_field_write_shown(const qd_field *f, const qd_point *v, const qd_date_format *format,
                          qd_json_writer *w);
/* Does the plugin that brings f's type write the values of a source itself? [any] */
bool qd_field_shows_source(const qd_field *f);
/* Those of a column? [any] */
bool qd_field_shows_column(const qd_field *f);
/* The term that bytes of an ordinal column stand for, a part of them: where columns order by a key
 * (text_column), it is behind the key, and before its length. [any] */
static inline qd_str qd_field_column_term(const qd_field *f, qd_str bytes)
{
    uint32_t n = 0;
    if (!f->text_column || bytes.n < 4) return bytes;
    for (int i = 4; i-- > 0;) n = n << 8 | (uint8_t)bytes.p[bytes.n - 4 + (size_t)i];
    return n > bytes.n - 4 ? bytes : (qd_str){bytes.p + bytes.n - 4 - n, n};
}
/* Bytes that what a column holds of a text of n bytes has at most. */
#define QD_COLUMN_KEY_ROOM(n) (4 * (n) + 16)
/* What the column holds of a term, in the arena; the term itself where columns hold terms. p NULL:
 * out of memory. [any] */
qd_str qd_field_column_bytes(const qd_field *f, qd_str term, qd_arena *arena);
/* The key of it alone, the same way. [any] */
qd_str qd_field_column_key(const qd_field *f, qd_str term, qd_arena *arena);
/* Bytes of an ordinal column as docvalue_fields and sort show them. [any] */
void qd_field_write_bytes(const qd_field *f, qd_str bytes, qd_json_writer *w);

#endif
