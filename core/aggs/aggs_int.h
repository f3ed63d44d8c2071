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
#include "base/vec.h"
#include "search/nested.h"
#include "segment/columns.h"

struct qd_node;
struct qd_script_given;
struct qd_script_bind;
typedef struct qd_agg_type qd_agg_type; /* type.h */
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

struct qdi_agg {
    qd_str name, meta; /* meta: raw JSON; p NULL: none */
    const qd_agg_type *type;
    void *params; /* of its type; see type.h */
    uint32_t id;  /* number in the tree, parents first */
    uint32_t depth;
    const qdi_agg *parent;
    qdi_agg **subs; /* pipelines behind the others */
    uint32_t nsubs, nplain;
    const qd_json_node *json;
    qd_str field; /* p NULL: none */
    const struct qd_script_given
        *script; /* makes the values, of field's if there is one; or NULL */
    bool has_missing;
    qd_query_value missing;
    qd_str format;          /* p NULL: none */
    const char *value_type; /* the field type that value_type stands for; NULL: not given */
    const qd_zone *zone;
    bool keyed;
    qdi_order *order;
    uint32_t norder;
    int64_t min_doc_count;
    uint32_t nslots; /* values that make a key (composite); 0: one */
    bool visits_all; /* shows buckets of documents that the query does not match */
};

struct qd_aggs {
    qd_arena *arena;
    qdi_agg **roots;
    uint32_t nroots, nplain, n;
    uint32_t nfilters; /* of filter and filters, in all */
    int64_t max_buckets;
    qd_aggs_flavour flavour;
    bool scores, global;
};

/* --- bound ------------------------------------------------------------------------------------ */

typedef enum qdi_values {
    QDI_NO_VALUES, /* unmapped */
    QDI_I64,       /* integers, dates, booleans, unsigned of QDI_EXACT: the column as it is */
    QDI_F64,       /* decoded by qd_field_f64 */
    QDI_ORD        /* byte strings; addresses as 16 bytes */
} qdi_values;

/* How keys and values look in the answer. */
typedef struct qdi_format {
    enum {
        QDI_FMT_RAW,
        QDI_FMT_DATE,
        QDI_FMT_BOOL,
        QDI_FMT_IP,
        QDI_FMT_DECIMAL,
        QDI_FMT_U64,
        QDI_FMT_TEXT_COLUMN
    } kind;
    const qd_date_format *date;
    const qd_zone *zone;
    qd_str pattern;
} qdi_format;

struct qdi_bound {
    const qdi_agg *def;
    const qd_field *field; /* NULL: unmapped */
    qdi_values values;
    qdi_format fmt;
    /* integers read as doubles of field, nanoseconds as milliseconds: the mapping's field */
    const qd_field *converted;
    const struct qd_script_bind *script; /* the values are what it makes; NULL: the field's */
    const qdi_bound *of;                 /* script: the field whose values it gets; NULL: none */
    bool ids;                            /* the _id: see qdi_source */
    bool same_for_all; /* the _index: each document of the shard has missing_bytes */
    bool has_missing;
    int64_t missing; /* encoded as the column */
    qd_str missing_bytes;
    void *state; /* of its type */
};

struct qd_aggs_bound {
    const qd_aggs *tree;
    const qd_mapping *mapping;
    qdi_bound *at;            /* by id */
    bool uncacheable, scores; /* scores: some script looks at them */
};

/* --- strings -----------------------------------------------------------------------------------
 */

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
    /* Values of a script: ordinals are numbers of strings, of the whole shard; as batches are
     * loaded there come more. */
    const struct qd_script_bind *script; /* NULL: of a column */
    struct qdi_source *of;               /* of the field whose values it gets; NULL: none */
    struct qd_script_doc *docs_of;       /* on the leaf */
    qdi_strings strings;
    /* of the leaf */
    const qd_column *column; /* NULL: the segment has no such column */
    const qd_column_stats *stats;
    qd_column_reader *reader;
    qd_dict_reader *dict;
    uint32_t lo, hi; /* ordinals of the field's slice (qd_field.slice); without one all */
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
/* Fetches ahead what putting or finding them looks at. */
void qdi_aggs_buckets_ahead(const qdi_buckets *b, uint32_t owner, int64_t key);
bool qdi_aggs_buckets_find(const qdi_buckets *b, uint32_t owner, int64_t key, uint32_t *out);
/* Lists the buckets of each owner: list[group[o]] to list[group[o + 1]]. */
int qdi_aggs_buckets_group(qdi_buckets *b);
void qdi_aggs_buckets_fini(qdi_buckets *b);

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
    void (*close)(qdi_aggr *a);
    /* What a batch has to bring: a list of documents, or bits where all it looks at are values. */
    enum { QDI_READS_DOCS, QDI_READS_VALUES, QDI_READS_TABLE } reads;
} qdi_ops;

#define QDI_EMIT 4096u /* pairs gathered before they go to the children */

struct qdi_aggr {
    const qdi_ops *ops;
    const qdi_agg *def;
    const qdi_bound *bound;
    qd_aggs_shard *shard;
    qdi_source *src;             /* NULL: none */
    bool single;                 /* has one owner at most */
    uint32_t owners;             /* room made by grow */
    struct qd_aggs_shard *below; /* where the subs run; NULL: in shard, too */
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
    /* Documents on other levels (levels.c) run in shards of their own, which the whole holds. */
    QD_VEC(struct qd_aggs_shard *) levels;
    QD_VEC(struct qd_aggs_shard *) later; /* fed when all documents of this one were collected */
    struct qd_aggs_shard *whole;          /* itself, or that of the search's own documents */
    qd_nested_level level;
    const qd_leaf *leaf;     /* of the level within the leaf; NULL: it has none */
    qd_nested_counts counts; /* of leaf, while it is there */
};

/* levels.c: a shard for documents n paths (outer first) below those of s->whole; *out NULL: there
 * are none. Lives as long as the whole. */
int qdi_aggs_level_make(qd_aggs_shard *s, const qd_str *paths, uint32_t n, qd_aggs_shard **out,
                        qd_err *err);
/* What the collector does for the whole, for its levels. */
int qdi_aggs_levels_plan(qd_aggs_shard *s, const qd_leaf *leaf, qd_reads *reads, qd_err *err);
int qdi_aggs_levels_begin(qd_aggs_shard *s, qd_reads *reads, qd_err *err);
void qdi_aggs_levels_free(qd_aggs_shard *s);
/* The subs of a get n documents of a->below's leaf, ascending, and pairs by their place. scores may
 * be NULL. */
int qdi_aggs_level_emit(qdi_aggr *a, const uint32_t *docs, const float *scores, uint32_t n,
                        const uint32_t *idx, const uint32_t *bucket, uint32_t npairs, qd_err *err);
/* Orders pairs by their documents, as they came within one; idx NULL: they are. *idx and *owner
 * may become copies in arena. */
int qdi_aggs_level_order(qdi_aggr *a, qd_arena *arena, const uint32_t **idx, const uint32_t **owner,
                         uint32_t n, qd_err *err);
/* Room of a shard's aggregator for owners below n. */
int qdi_aggs_grow_to(qdi_aggr *a, uint32_t n, qd_err *err);

/* A shard for documents of the same search that `finish` of an aggregator of s finds: its collector
 * is fed there, and qdi_aggs_finish called behind. Lives as long as s. */
int qdi_aggs_later_make(qd_aggs_shard *s, qd_aggs_shard **out, qd_err *err);
/* Finishes the aggregators of s and of its levels. */
int qdi_aggs_finish(qd_aggs_shard *s, qd_err *err);
/* Its collector for what is below a. */
qd_collector *qdi_aggs_collector_of(qd_aggs_shard *s, const qdi_aggr *a);
/* A plan over the documents of the shard, without scores. */
struct qd_plan;
int qdi_aggs_plan(qd_aggs_shard *s, const struct qd_node *node, qd_arena *arena,
                  struct qd_plan **out, qd_err *err);

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
/* source_script.c: the same of a source whose values a script makes. */
int qdi_aggs_script_open(qd_aggs_shard *s, qdi_source *src, const qdi_bound *b, qd_err *err);
int qdi_aggs_script_plan(qd_aggs_shard *s, qdi_source *src, const qd_leaf *leaf, qd_err *err);
int qdi_aggs_script_load(qd_aggs_shard *s, qdi_source *src, qd_err *err);
/* Room for n values of the present batch. */
int qdi_aggs_source_reserve(qd_aggs_shard *s, qdi_source *src, size_t n, qd_err *err);
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
/* Are n buckets of a in its shard more than search.max_buckets? */
static inline bool qdi_aggs_too_many(const qdi_aggr *a, uint32_t n)
{
    int64_t most = a->shard->bound->tree->max_buckets;
    return most >= 0 && n > most;
}
int qdi_aggs_too_many_error(const qdi_aggr *a, qd_err *err);
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
/* Documents of the shard that a filter has, as a bitmap; NULL: it has all. */
int qdi_aggs_filter_bits(qd_aggs_shard *s, const struct qd_node *node, uint64_t **bits,
                         qd_err *err);
/* The value of an order's path in bucket b of a; NAN when there is none. */
double qdi_aggr_metric(qdi_aggr *a, uint32_t bucket, const qdi_path *path);
/* Results of all children of a in bucket b. */
int qdi_aggs_build_subs(qdi_aggr *a, uint32_t bucket, qdi_out ***out, qd_err *err);
/* Results of n buckets whose keys are 0 to n - 1, also of those without documents; what: in errors
 * of memory. */
int qdi_aggs_build_numbered(qdi_aggr *a, uint32_t owner, uint32_t n, const char *what, qdi_out *out,
                            qd_err *err);
int qdi_aggs_build(qdi_aggr *a, uint32_t owner, qdi_out **out, qd_err *err);

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
    void *value; /* of its type, behind it */
};
/* An empty result with room for the value of its type; NULL without memory. */
qdi_out *qdi_aggs_out_make(qd_arena *arena, const qdi_agg *def);

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

/* Sorts pointers or numbers: merge sort, stable. less of two elements. */
typedef int qdi_order_fn(const void *arg, const void *a, const void *b);
int qdi_aggs_sort(qd_account *account, void *at, size_t n, size_t size, qdi_order_fn *order,
                  const void *arg);
/* aggregation_execution_exception: 500 in the older products, 400 since. */
int qdi_aggs_execution_error(const qd_aggs *tree, qd_err *err, const char *fmt, ...)
    QD_PRINTF(3, 4);

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
