/*
 * aggs_int.h: what the files of this module share: definitions, bound definitions, the running
 * aggregators of a shard, and results.
 *
 * A definition (qdi_agg) is what the request says. A bound one (qdi_bound) adds what an index's
 * mapping makes of it. An aggregator (qdi_aggr) runs in one shard: it receives pairs (document of
 * the batch, owner), where an owner is a bucket of its parent, numbered densely; each bucket it
 * makes is an owner of its children. A result (qdi_out) is what one aggregation found in one owner;
 * the same struct serves as partial and as final result.
 */
#ifndef QD_AGGS_AGGS_INT_H
#define QD_AGGS_AGGS_INT_H

#include "aggs/aggs.h"
#include "aggs/sketch/digest_int.h"
#include "aggs/sketch/hdr_int.h"
#include "aggs/sketch/hll_int.h"
#include "base/vec.h"
#include "segment/automaton.h"
#include "segment/columns.h"

typedef enum qdi_type {
#define QDI_AGG(sym, name, key, flags) QDI_##sym,
#include "aggs/types.def"
#undef QDI_AGG
    QDI_TYPES
} qdi_type;

enum {
    QDI_METRIC = 1,   /* no sub-aggregations */
    QDI_MULTI = 2,    /* any number of buckets */
    QDI_SINGLE = 4,   /* one bucket */
    QDI_PIPELINE = 8, /* works on results */
    QDI_VALUES = 16   /* needs a field */
};
/* Name of a type; flags; the prefix of typed_keys. */
const char *qdi_aggs_type_name(qdi_type t);
uint32_t qdi_aggs_type_flags(qdi_type t);

typedef struct qdi_agg qdi_agg;
typedef struct qdi_bound qdi_bound;
typedef struct qdi_aggr qdi_aggr;
typedef struct qdi_out qdi_out;

/* --- definitions ------------------------------------------------------------------------------ */

typedef enum qdi_by { QDI_BY_COUNT, QDI_BY_KEY, QDI_BY_METRIC } qdi_by;

/* Where a metric stands: child numbers from an aggregation down, then its member ("avg"). */
typedef struct qdi_path {
    uint16_t at[QD_AGGS_DEPTH_MAX];
    uint32_t n;
    bool count;    /* "_count" of what the path leads to */
    qd_str member; /* n 0: the value */
} qdi_path;

typedef struct qdi_order {
    uint8_t by;
    bool ascending;
    qdi_path path;
    qd_str text;
} qdi_order;

/* include and exclude of terms. */
typedef struct qdi_include {
    bool any; /* something is asked for */
    bool has_list, has_not_list;
    qd_str include, exclude; /* regular expressions; p NULL: none */
    const qd_str *list, *not_list;
    uint32_t nlist, nnot_list;
    uint32_t partition, partitions; /* partitions 0: none */
} qdi_include;

typedef struct qdi_range {
    qd_str key;
    qd_query_value from, to, mask; /* as written; text.p NULL: open */
} qdi_range;

enum { QDI_BOUNDS_EXTENDED = 0, QDI_BOUNDS_HARD = 1 };

struct qdi_agg {
    qd_str name, meta; /* meta: raw JSON; p NULL: none */
    qdi_type type;
    uint32_t id; /* number in the tree, parents first */
    uint32_t depth;
    const qdi_agg *parent;
    qdi_agg **subs; /* pipelines behind the others */
    uint32_t nsubs, nplain;
    const qd_json_node *json;
    qd_str field; /* p NULL: none */
    bool has_missing;
    qd_query_value missing;
    qd_str format; /* p NULL: none */
    const qd_zone *zone;
    bool keyed;
    qdi_order *order;
    uint32_t norder;
    int64_t min_doc_count;
    union {
        struct {
            uint32_t size, shard_size;
            int64_t shard_min_doc_count;
            bool show_error;
            qdi_include include;
        } terms;
        struct { /* histogram, date_histogram */
            double interval, offset;
            bool calendar;
            qd_date_unit unit;
            int64_t interval_ms, offset_ms;
            qd_query_value bounds[2][2]; /* extended, hard; least, greatest; text.p NULL: none */
        } histogram;
        struct {
            qdi_range *at;
            uint32_t n;
        } range;
        struct {          /* filter, filters */
            qd_str *keys; /* NULL: anonymous */
            const struct qd_query **queries;
            uint32_t n;
            bool other;
            qd_str other_key;
        } filters;
        struct {
            qdi_agg **sources; /* as definitions of terms, histogram, date_histogram */
            uint32_t n, size;
            const qd_json_node *after;
        } composite;
        struct { /* a source of composite */
            double interval, offset;
            bool calendar;
            qd_date_unit unit;
            int64_t interval_ms, offset_ms;
            qd_query_value bounds[2][2];
            bool descending, missing_bucket;
            int8_t missing_order; /* -1 first, 0 by order, 1 last */
        } source;
        double sigma;
        int64_t precision;
        struct {
            double *at;
            uint32_t n;
            double compression;
            int8_t digits; /* hdr; -1: t-digest */
        } percents;
        struct {
            uint32_t from, size;
        } hits;
        struct {
            qd_str weight_field;
            bool has_weight_missing;
            qd_query_value weight_missing;
        } weighted;
        struct {
            qd_str path_text;
            qdi_path path;  /* from the parent's children */
            bool skip_gaps; /* else zeros */
            qdi_order *sort;
            uint32_t nsort, from, size;
            bool has_size;
        } pipe;
    } u;
};

struct qd_aggs {
    qd_arena *arena;
    qdi_agg **roots;
    uint32_t nroots, nplain, n;
    uint32_t nfilters; /* of filter and filters, in all */
    int64_t max_buckets;
    qd_aggs_flavour flavour;
    bool scores, global, uses_now;
};

/* --- bound ------------------------------------------------------------------------------------ */

typedef enum qdi_values {
    QDI_NO_VALUES, /* unmapped */
    QDI_I64,       /* integers, dates, booleans: the column as it is */
    QDI_F64,       /* decoded by qd_field_f64 */
    QDI_ORD        /* byte strings; addresses as 16 bytes */
} qdi_values;

/* How keys and values look in the answer. */
typedef struct qdi_format {
    enum { QDI_FMT_RAW, QDI_FMT_DATE, QDI_FMT_BOOL, QDI_FMT_IP, QDI_FMT_DECIMAL } kind;
    const qd_date_format *date;
    const qd_zone *zone;
    qd_str pattern;
} qdi_format;

typedef struct qdi_bounds {
    bool has[2];
    double f[2];
    int64_t i[2];
} qdi_bounds;

typedef struct qdi_bound_range {
    bool has_from, has_to;
    double from, to;
    uint8_t ip_from[16], ip_to[16];
    qd_str key;
} qdi_bound_range;

struct qdi_bound {
    const qdi_agg *def;
    const qd_field *field; /* NULL: unmapped */
    qdi_values values;
    qdi_format fmt;
    const qd_field *converted; /* integers read as doubles of field: the mapping's field */
    bool ids;                  /* the _id: see qdi_source */
    bool has_missing;
    int64_t missing; /* encoded as the column */
    qd_str missing_bytes;
    qdi_bounds bounds[2];
    qdi_bound_range *ranges; /* in ascending order */
    const struct qd_node **nodes;
    qd_aggs_hits_sort sort;
    qdi_bound *sources;           /* composite; weighted_avg: the weight */
    const struct qdi_slot *after; /* composite: a slot a source */
};

struct qd_aggs_bound {
    const qd_aggs *tree;
    const qd_mapping *mapping;
    qdi_bound *at; /* by id */
};

/* --- values of a batch ------------------------------------------------------------------------ */

/* The values of one field for the documents of the present batch, decoded once for all
 * aggregations that look at it. */
typedef struct qdi_source {
    const qd_field *field; /* NULL: unmapped */
    qdi_values kind;
    bool has_missing;
    int64_t missing;
    qd_str missing_bytes;
    bool want_dict;
    const qd_field *converted;
    bool ids; /* ordinals are documents, their bytes the ids */
    /* of the leaf */
    const qd_column *column; /* NULL: the segment has no such column */
    const qd_column_stats *stats;
    qd_column_reader *reader;
    qd_dict_reader *dict;
    uint32_t ordinals, missing_ord; /* missing_ord may be == ordinals: not in the dictionary */
    /* of the batch; valid when batch equals the shard's */
    uint64_t batch;
    uint32_t n;           /* values */
    const int64_t *v;     /* I64, F64 (still encoded) */
    const uint32_t *o;    /* ORD */
    const uint32_t *docs; /* document of each value (local); NULL: first + i */
    uint32_t first;
    bool one; /* value i is document i's only one */
    bool has_start, has_f64;
    uint32_t *start; /* n of batch + 1, once has_start */
    double *f64;
    /* buffers */
    int64_t *vbuf, *vbuf2;
    uint32_t *obuf, *obuf2, *dbuf, *dbuf2;
    size_t cap, cap2, cap_f64;
} qdi_source;

/* --- aggregators ------------------------------------------------------------------------------ */

#define QDI_RECENT 64u
/* Buckets by (owner, key): dense numbers in order of appearance. */
typedef struct qdi_buckets {
    qd_account *account;
    uint32_t *slots; /* bucket + 1 */
    uint32_t mask, n, cap;
    uint32_t *owner;
    int64_t *key;
    uint64_t *docs;
    uint32_t recent[QDI_RECENT]; /* buckets found lately + 1, by a hash of owner and key */
    /* by owner, once grouped */
    uint32_t *group, *list;
    uint32_t groups;
} qdi_buckets;
int qdi_aggs_buckets_put(qdi_buckets *b, uint32_t owner, int64_t key, uint32_t *out);
bool qdi_aggs_buckets_find(const qdi_buckets *b, uint32_t owner, int64_t key, uint32_t *out);
/* Lists the buckets of each owner: list[group[o]] to list[group[o + 1]]. */
int qdi_aggs_buckets_group(qdi_buckets *b);
void qdi_aggs_buckets_fini(qdi_buckets *b);

/* Byte strings by number. */
typedef struct qdi_strings {
    qd_account *account;
    qd_arena arena;
    uint32_t *slots;
    uint32_t mask, n, cap;
    qd_str *at;
    uint64_t *hash;
} qdi_strings;
void qdi_aggs_strings_init(qdi_strings *s, qd_account *account);
int qdi_aggs_strings_put(qdi_strings *s, qd_str v, uint32_t *out);
bool qdi_aggs_strings_find(const qdi_strings *s, qd_str v, uint32_t *out);
void qdi_aggs_strings_fini(qdi_strings *s);

typedef struct qdi_ops {
    int (*open)(qdi_aggr *a, qd_err *err);
    /* Room for owners below n. */
    int (*grow)(qdi_aggr *a, uint32_t n, qd_err *err);
    int (*leaf)(qdi_aggr *a, qd_err *err);
    /* n pairs; idx NULL: documents 0 to n - 1 of the batch; owner NULL: all of owner 0. idx never
     * falls within one owner. */
    int (*collect)(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                   qd_err *err);
    /* By slots, the numbers of a parent's values in the leaf, instead of owners; NULL: cannot. A
     * leaf's pairs may come both ways: they are added up in the same rows. Begun after the parent's
     * leaf: 1 = n slots are ready, 0 = not for this leaf. */
    int (*slots)(qdi_aggr *a, uint32_t n, qd_err *err);
    /* n pairs; idx NULL: documents 0 to n - 1. */
    int (*collect_slots)(qdi_aggr *a, const uint32_t *idx, const uint32_t *slot, uint32_t n,
                         qd_err *err);
    /* Adds what a slot of `docs` pairs holds to an owner; at most once a leaf and slot. */
    void (*take_slot)(qdi_aggr *a, uint32_t slot, uint32_t docs, uint32_t owner);
    int (*leaf_end)(qdi_aggr *a, qd_err *err);
    /* Once, before the first build; may be NULL. */
    int (*finish)(qdi_aggr *a, qd_err *err);
    int (*build)(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err);
    /* The value by which a parent orders; NAN: none. */
    double (*metric)(qdi_aggr *a, uint32_t owner, qd_str member);
    /* Single buckets: the bucket of an owner. */
    void (*close)(qdi_aggr *a);
} qdi_ops;

#define QDI_EMIT 4096u /* pairs gathered before they go to the children */

struct qdi_aggr {
    const qdi_ops *ops;
    const qdi_agg *def;
    const qdi_bound *bound;
    qd_aggs_shard *shard;
    qdi_source *src; /* NULL: none */
    bool single;     /* has one owner at most */
    uint32_t owners; /* room made by grow */
    qdi_aggr **subs;
    uint32_t nsubs;
    qdi_buckets buckets;
    uint32_t *eidx, *ebucket, en; /* pairs for the children */
    void *state;
};

typedef struct qdi_batch {
    const qd_leaf *leaf;
    const uint32_t *docs; /* NULL: as bits only; qdi_aggs_batch_docs lists them */
    const float *scores;
    uint32_t n;
    uint32_t first, last; /* least and greatest document */
    bool contiguous;
    uint64_t number;
    const uint64_t *bits; /* of qd_hits */
    uint32_t from, words;
} qdi_batch;

struct qd_aggs_shard {
    qd_collector c;
    qd_collector global;
    const qd_aggs_bound *bound;
    qd_aggs_shard_options o;
    qd_account *account;
    qd_arena arena;      /* lives as long as the shard */
    qd_arena leaf_arena; /* readers */
    qd_reads *own_reads;
    qdi_aggr **roots;
    uint32_t nroots;
    QD_VEC(qdi_aggr *) all;
    QD_VEC(qdi_source *) sources;
    qdi_batch batch;
    uint64_t
        *bits; /* the documents of batch bits_batch; words outside [bits_from, bits_to) are 0 */
    uint32_t cap_bits, bits_from, bits_to;
    uint64_t bits_batch;
    uint32_t *docs;           /* room for those of a batch that came as bits */
    qd_aggs_partial *partial; /* while it is built */
};

/* Out of memory or over a breaker: the right error. */
int qdi_aggs_no_memory(qd_account *account, size_t bytes, const char *what, qd_err *err);
/* Grows an array of elements of size bytes to at least n of them; new ones are zero. */
int qdi_aggs_grow(qd_account *account, void *array, uint32_t *cap, uint32_t n, size_t size,
                  qd_err *err);

/* Lists the documents of a batch that came as bits. */
int qdi_aggs_batch_docs(qd_aggs_shard *s, qd_err *err);
/* Finds or makes the source of a bound field. */
int qdi_aggs_source_get(qd_aggs_shard *s, const qdi_bound *b, bool want_dict, qdi_source **out,
                        qd_err *err);
/* Bytes of an ordinal of the leaf, or of the missing value. */
int qdi_aggs_source_bytes(qdi_source *src, uint32_t ord, qd_str *out, qd_err *err);
int qdi_aggs_source_plan(qd_aggs_shard *s, qdi_source *src, const qd_leaf *leaf, qd_reads *reads,
                         qd_err *err);
int qdi_aggs_source_begin(qdi_source *src, qd_err *err);
/* Decodes the present batch: n, v or o. */
int qdi_aggs_source_load(qd_aggs_shard *s, qdi_source *src, qd_err *err);
/* And the values of each document: one, or start. */
int qdi_aggs_source_index(qd_aggs_shard *s, qdi_source *src, qd_err *err);
/* The values as doubles. */
int qdi_aggs_source_f64(qd_aggs_shard *s, qdi_source *src, qd_err *err);
void qdi_aggs_source_close(qdi_source *src);
/* Values [*from, *to) of document i of the batch. */
static inline void qdi_source_doc(const qdi_source *src, uint32_t i, uint32_t *from, uint32_t *to)
{
    *from = src->one ? i : src->start[i];
    *to = src->one ? i + 1 : src->start[i + 1];
}

/* Makes the aggregator of a definition and those below it. */
int qdi_aggr_make(qd_aggs_shard *s, const qdi_agg *def, bool single, qdi_aggr **out, qd_err *err);
/* One pair for bucket b of a: counts it, hands it to the children. */
int qdi_aggs_emit_flush(qdi_aggr *a, qd_err *err);
static inline int qdi_emit(qdi_aggr *a, uint32_t idx, uint32_t bucket, qd_err *err)
{
    a->buckets.docs[bucket]++;
    if (a->nsubs == 0) return 0;
    a->eidx[a->en] = idx;
    a->ebucket[a->en++] = bucket;
    return a->en == QDI_EMIT ? qdi_aggs_emit_flush(a, err) : 0;
}
#define QDI_SLOTS_MAX 8192u /* more are not cleared for each leaf */
/* May a's children fold by n slots in this leaf? 1, 0 or an error. */
int qdi_aggs_slots_begin(qdi_aggr *a, uint32_t n, qd_err *err);
/* Hands n pairs to the children by slots. */
int qdi_aggs_slots_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *slot, uint32_t n,
                           qd_err *err);
/* Counts a slot's documents for a bucket, whose children take what they hold of it. */
int qdi_aggs_slot_take(qdi_aggr *a, uint32_t slot, uint32_t docs, uint32_t bucket, qd_err *err);
int qdi_aggs_bucket_find(qdi_aggr *a, uint32_t owner, int64_t key, uint32_t *recent, uint32_t *out,
                         qd_err *err);
/* The bucket of (owner, key), made if new. */
static inline int qdi_aggs_bucket(qdi_aggr *a, uint32_t owner, int64_t key, uint32_t *out,
                                  qd_err *err)
{
    const qdi_buckets *b = &a->buckets;
    uint64_t h = ((uint64_t)key + owner) * 0x9e3779b97f4a7c15ull;
    uint32_t *recent = &a->buckets.recent[h >> 58], i = *recent;
    if (QD_LIKELY(i && b->key[i - 1] == key && b->owner[i - 1] == owner)) {
        *out = i - 1;
        return 0;
    }
    return qdi_aggs_bucket_find(a, owner, key, recent, out, err);
}
/* Documents of the batch as a bitmap of a filter. */
int qdi_aggs_filter_bits(qd_aggs_shard *s, const struct qd_node *node, uint64_t **bits,
                         qd_err *err);
/* The value of an order's path in bucket b of a; NAN when there is none. */
double qdi_aggr_metric(qdi_aggr *a, uint32_t bucket, const qdi_path *path);
/* Results of all children of a in bucket b. */
int qdi_aggs_build_subs(qdi_aggr *a, uint32_t bucket, qdi_out ***out, qd_err *err);
int qdi_aggs_build(qdi_aggr *a, uint32_t owner, qdi_out **out, qd_err *err);

extern const qdi_ops qdi_aggs_ops_terms, qdi_aggs_ops_histogram, qdi_aggs_ops_range,
    qdi_aggs_ops_filters, qdi_aggs_ops_missing, qdi_aggs_ops_global, qdi_aggs_ops_composite,
    qdi_aggs_ops_stats, qdi_aggs_ops_cardinality, qdi_aggs_ops_percentiles, qdi_aggs_ops_hdr,
    qdi_aggs_ops_hits, qdi_aggs_ops_weighted;

/* Rounding of histograms and date histograms. */
int64_t qdi_aggs_round_date(const qdi_agg *d, int64_t ms);
int64_t qdi_aggs_round_next(const qdi_agg *d, int64_t key);
/* The number of the interval that holds v; values beyond 2^62 intervals share the last one. */
static inline int64_t qdi_histogram_index(const qdi_agg *d, double v)
{
    double x = __builtin_floor((v - d->u.histogram.offset) / d->u.histogram.interval);
    const double most = 0x1p62;
    return x >= most ? (int64_t)most : x <= -most ? -(int64_t)most : x == x ? (int64_t)x : 0;
}
static inline double qdi_histogram_key(const qdi_agg *d, int64_t index)
{
    return (double)index * d->u.histogram.interval + d->u.histogram.offset;
}

/* --- results ---------------------------------------------------------------------------------- */

/* One value of a composite key. */
typedef struct qdi_slot {
    bool null;
    uint8_t kind; /* qdi_values */
    int64_t i64;  /* I64; F64: sortable bits; histogram: sortable bits of the key */
    qd_str bytes; /* ORD */
} qdi_slot;

typedef struct qdi_bucket_out {
    int64_t key;           /* I64; F64: sortable bits; histogram: index; range, filters: number */
    qd_str bytes;          /* ORD */
    const qdi_slot *slots; /* composite */
    uint64_t docs;
    uint32_t place; /* while terms are merged: the first of its parts */
    int64_t error;  /* terms: documents that shards without this bucket may hold; -1 unknown */
    qdi_out **subs;
} qdi_bucket_out;

typedef struct qdi_stats {
    uint64_t n;
    double sum, sum_low; /* compensated */
    double min, max;
    double squares, squares_low;
} qdi_stats;

typedef struct qdi_hit {
    uint32_t shard, doc;
    float score;
    const qd_sort_value *values;
    qd_str json;
} qdi_hit;

struct qdi_out {
    const qdi_agg *def;
    const qdi_bound *bound; /* NULL: no index has the field */
    uint8_t kind;           /* of the keys: qdi_values */
    bool full;              /* terms: the shard may have more buckets */
    uint64_t docs;          /* single buckets */
    qdi_out **subs;         /* single buckets */
    qdi_bucket_out *b;
    uint32_t n;
    int64_t error;
    uint64_t other;
    union {
        qdi_stats stats;
        struct qdi_hll *hll;
        struct qdi_digest *digest;
        struct qdi_hdr *hdr;
        struct {
            double value;
            bool has;
            qd_str *keys;
            uint32_t nkeys;
        } simple; /* pipelines */
        struct {
            qdi_hit *at;
            uint32_t n;
            uint64_t total;
            float best; /* NAN: no scores */
        } hits;
        struct {
            double sum, sum_low, weight, weight_low;
            uint64_t n;
        } weighted;
    } u;
};

struct qd_aggs_partial {
    const qd_aggs_bound *bound; /* NULL: merged from several */
    qd_arena arena;
    qdi_out **at; /* by root */
    uint32_t n;
};

struct qd_aggs_result {
    const qd_aggs *tree;
    qdi_out **at;
};

/* Merges k results of one definition into arena; final: orders, cuts, fills. */
typedef struct qdi_reduce {
    qd_arena *arena;
    const qd_aggs *tree;
    bool final;
    int64_t buckets;                    /* counted */
    const qd_aggs_bound *const *bounds; /* of all indices that took part */
    size_t nbounds;
} qdi_reduce;
int qdi_aggs_reduce_one(qdi_reduce *r, const qdi_agg *def, qdi_out *const *in, uint32_t k,
                        qdi_out **out, qd_err *err);
int qdi_aggs_reduce_subs(qdi_reduce *r, const qdi_agg *parent, qdi_out **const *in, uint32_t k,
                         qdi_out ***out, qd_err *err);
int qdi_aggs_reduce_count(qdi_reduce *r, int64_t n, qd_err *err);
int qdi_aggs_reduce_terms(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err);
int qdi_aggs_reduce_histogram(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                              qd_err *err);
int qdi_aggs_reduce_keyed(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err);
int qdi_aggs_reduce_composite(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                              qd_err *err);
int qdi_aggs_reduce_hits(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err);
/* The metric that a path leads to, from the children of a bucket; NAN: none. */
double qdi_aggs_out_metric(qdi_out *const *subs, uint64_t docs, const qdi_path *path);
double qdi_aggs_out_value(const qdi_out *o, qd_str member);
/* A percentile, or the rank of a value; NAN: none. */
double qdi_aggs_percent(const qdi_out *o, double p);
double qdi_aggs_stats_value(const qdi_stats *s, double sigma, qd_str member);
/* Order of composite keys. */
int qdi_aggs_slots_order(const qdi_agg *composite, const qdi_slot *a, const qdi_slot *b);
/* Sorts pointers or numbers: merge sort, stable. less of two elements. */
typedef int qdi_order_fn(const void *arg, const void *a, const void *b);
int qdi_aggs_sort(qd_account *account, void *at, size_t n, size_t size, qdi_order_fn *order,
                  const void *arg);
/* Runs pipelines below a finished bucket aggregation, and at the top. */
int qdi_aggs_pipelines_parent(qdi_reduce *r, qdi_out *o, qd_err *err);
int qdi_aggs_pipelines_sibling(qdi_reduce *r, qdi_agg *const *defs, uint32_t nplain, uint32_t n,
                               qdi_out **subs, qd_err *err);

/* Text of a key or value by a format; returns the length. */
size_t qdi_aggs_format_f64(const qdi_format *f, double v, char out[128]);
size_t qdi_aggs_format_i64(const qdi_format *f, int64_t v, char out[128]);
qd_str qdi_aggs_bucket_key_text(const qdi_out *o, uint32_t i, char out[128]);

/* --- parsing ---------------------------------------------------------------------------------- */

typedef struct qdi_parse {
    const qd_aggs_reading *how;
    qd_aggs *tree;
    qd_arena *arena;
    qd_err *err;
} qdi_parse;
/* QD_E_PARSE with line and col of n. */
int qdi_aggs_parse_error(qdi_parse *p, const qd_json_node *n, const char *fmt, ...) QD_PRINTF(3, 4);
/* QD_E_XCONTENT with "[line:col] " before the text. */
int qdi_aggs_xcontent_error(qdi_parse *p, const qd_json_node *n, const char *fmt, ...)
    QD_PRINTF(3, 4);
int qdi_aggs_parse_type(qdi_parse *p, qdi_agg *a, const qd_json_node *body);
int qdi_resolve_paths(qdi_parse *p, qdi_agg *a);
int qdi_aggs_path_parse(qdi_parse *p, qdi_agg *const *subs, uint32_t n, bool order, qd_str text,
                        qdi_path *out);
/* aggregation_execution_exception: 500 in the older products, 400 since. */
int qdi_aggs_execution_error(const qd_aggs *tree, qd_err *err, const char *fmt, ...)
    QD_PRINTF(3, 4);

/* Encodes a request's value for a numeric, date or boolean field. */
int qdi_value_f64(qd_query_value v, const qdi_bound *b, int64_t now_ms, bool round_up, double *out,
                  qd_err *err);
int qdi_composite_after(const qd_aggs_binding *how, const qdi_agg *def, qdi_bound *b, qd_err *err);

/* Sum that carries its rounding error, as Elasticsearch's CompensatedSum. */
static inline void qdi_kahan(double *sum, double *low, double v)
{
    if (!__builtin_isfinite(v)) {
        *sum = v + *sum;
        return;
    }
    if (__builtin_isfinite(*sum)) {
        double corrected = v - *low;
        double updated = *sum + corrected;
        *low = (updated - *sum) - corrected;
        *sum = updated;
    }
}

#endif
