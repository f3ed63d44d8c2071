/*
 * type.h: the row of an aggregation type. types.def lists the rows; each stands at the end of its
 * type's own file (bucket, filter, metric, pipeline), beside the functions that it names. Nothing
 * else knows a type: the tree is parsed, bound, collected, merged, sent and written by what a row
 * says.
 *
 * Three parts belong to the type alone, and their sizes stand in the row: the parameters of a
 * definition (qdi_agg.params), what an index's mapping makes of them (qdi_bound.state) and the
 * value of a result (qdi_out.value). The module makes them zeroed.
 */
#ifndef QD_AGGS_TYPE_H
#define QD_AGGS_TYPE_H

#include "aggs/aggs_int.h"
#include "rpc/codec.h"

struct qdi_parse;          /* parse/parse_int.h */
struct qdi_binder;         /* bind/bind_int.h */
struct qdi_reduce;         /* reduce/reduce_int.h */
struct qdi_plugin_batch;   /* metric/plugin.c */
struct qdi_plugin_written; /* bucket/plugin_members.c */

enum {
    /* one of these four */
    QDI_METRIC = 1 << 0,   /* no sub-aggregations */
    QDI_MULTI = 1 << 1,    /* any number of buckets */
    QDI_SINGLE = 1 << 2,   /* one bucket */
    QDI_PIPELINE = 1 << 3, /* works on results */
    /* fields */
    QDI_VALUES = 1 << 4,      /* needs a field */
    QDI_TAKES_BYTES = 1 << 5, /* fields of byte strings, too */
    QDI_ADDRESSES = 1 << 6,   /* fields of addresses alone */
    QDI_DATES = 1 << 7,       /* values of an unmapped field are dates */
    QDI_BY_FORMAT = 1 << 8,   /* any value is read and written by a date format */
    QDI_INTEGERS = 1 << 9,    /* fractions are cut off */
    /* results */
    QDI_ALL_DOCS = 1 << 10,    /* of all documents, whatever the query matches */
    QDI_NO_ORDER = 1 << 11,    /* no bucket can be ordered by it */
    QDI_EMPTY_KNOWN = 1 << 12, /* the definition alone gives the buckets of an unmapped field */
    QDI_STRING_KEYS = 1 << 13, /* keys of byte strings are sent as such */
    QDI_SILENT = 1 << 14,      /* has no result of its own */
    QDI_EXACT = 1 << 15,       /* unsigned numbers stay as the column has them, not doubles */
    QDI_ANY_BYTES = 1 << 16,   /* reads bytes, whatever they mean, and shows none */
    QDI_SEQUENCE = 1 << 17,    /* buckets in the order of their keys, none of them left out */
    QDI_IN_SEQUENCE = 1 << 18, /* pipelines: of such buckets alone */
    QDI_RANGES = 1 << 19,      /* fields of intervals, too */
    QDI_GEO = 1 << 21,         /* fields of points on the earth alone */
    QDI_NESTED_DOCS = 1 << 20  /* holds nested documents of those it is asked of */
};

struct qd_agg_type {
    const char *name;   /* in requests and errors */
    const char *key;    /* prefix of typed_keys, where typed_key is NULL */
    const char *module; /* that brings it elsewhere, for the list of modules; NULL: none */
    uint32_t flags;
    uint32_t params_size, bound_size, value_size; /* bytes of its three parts; 0: none */

    /* --- parse: once a request [any] --- */
    /* Members of the body, "a,b", and those of products before 8 if they differ; NULL: parse looks
     * at them itself. */
    const char *members, *members_old;
    /* The body (a->json) into a; errors as Elasticsearch words them, in p->err. */
    int (*parse)(struct qdi_parse *p, qdi_agg *a);
    /* What has to wait until the tree is there (paths of pipelines, names of children), among the n
     * aggregations of a level; NULL: nothing. */
    int (*resolve)(struct qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n);
    /* Metrics of several values: is m the name of one? NULL: one value. */
    bool (*has_member)(const qdi_agg *a, qd_str m);

    /* --- bind: once an index [any] --- */
    /* b->state from the mapping and the request, after the field is bound; NULL: nothing more. */
    int (*bind)(struct qdi_binder *x, qdi_bound *b);
    /* The path of the nested documents that its buckets hold, of single buckets whose documents are
     * of another level than its own; NULL: they are those it is asked of. */
    qd_str (*level)(const qdi_agg *a);
    /* Type of a field that no mapping knows, where documents without one have a value. */
    const char *unmapped;
    /* Elasticsearch's class, in the refusal of a composite below it; NULL: allowed. */
    const char *factory;

    /* --- collect: once a shard [worker] --- */
    const qdi_ops *ops; /* NULL: pick says, or a pipeline */
    const qdi_ops *(*pick)(const qdi_agg *a);
    /* What an owner without documents is worth in an order; NULL: nothing (NAN). */
    double (*empty)(qd_str member);

    /* --- results [any] --- */
    /* The buckets that a definition gives: as many, no more; NULL: any number. */
    uint32_t (*buckets)(const qdi_agg *a);
    /* Merges k results into out; not final: nothing is cut. Commutative and associative. */
    int (*reduce)(struct qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err);
    /* Pipelines: to from its neighbours' results, or results within the buckets of o, its parent.
     */
    int (*beside)(struct qdi_reduce *r, qdi_out *const *neighbours, qdi_out *to, qd_err *err);
    int (*below)(struct qdi_reduce *r, const qdi_agg *a, uint32_t at, qdi_out *o, qd_err *err);
    /* The value that orders and pipelines see; NAN: none. NULL: of a single bucket its documents.
     */
    double (*value)(const qdi_out *o, qd_str member);
    /* The value between nodes. Nothing read is trusted: qd_body_reader_fail. */
    void (*send)(const qdi_out *o, qd_writer *w);
    void (*receive)(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena);
    /* The members of its object, behind "meta". */
    void (*write)(const qdi_out *o, bool typed, qd_json_writer *w);
    const char *(*typed_key)(const qdi_out *o);
    /* The text of bucket i's key, in out or of the request; NULL: by the format of the field. */
    qd_str (*key_text)(const qdi_out *o, uint32_t i, char out[128]);
    /* Keys of numbers that are not what they are kept as (intervals by number); NULL: they are. */
    double (*key_real)(const qdi_agg *a, int64_t key);
};

/* The rows. Each is named by its own file alone (tests/lint/agg_types.t). */
#define QDI_AGG(name) extern const qd_agg_type qdi_aggs_##name;
#include "aggs/types.def"
#undef QDI_AGG

/* The type of a name in a request; NULL: unknown. [any] */
const qd_agg_type *qdi_aggs_type_find(qd_str name);
/* The type of a name that a plugin of how->host provides, made in arena. 1: *out; 0: none has it;
 * QD_E_PLUGIN: the one that may have it was refused, or its table is wrong; QD_E_NOMEM. [any] */
int qdi_aggs_plugin_type(const struct qd_query_reading *how, qd_str name, qd_arena *arena,
                         const qd_agg_type **out, qd_err *err);
/* Ends what results of plugins wait for in a merge: what `reduce` of such a type put into
 * r->pending and r->unwritten. [worker] */
int qdi_aggs_plugin_settle(struct qdi_reduce *r, qd_err *err);
/* The i-th type; NULL behind the last one. [any] */
const qd_agg_type *qdi_aggs_type_at(uint32_t i);

#endif
