/*
 * aggregation.h: the aggregation kind, version 0.2: {"aggs": {"<any name>": {"<name>": {"field":
 * ..., ...}}}}. A plugin brings a metric, or (flag BUCKETS) buckets.
 *
 *   parse    reads the JSON object behind the name, once a request
 *   open, close: a collector, once a shard
 *   metrics: collect, result: values come in blocks of (owner, value), never one document at a
 *            time; of strings a block brings the different ones, to which pairs refer. An owner is
 *            a bucket of the aggregation above, 0 where there is none; owners are numbered
 *            densely. reduce, value, write: where the results of all shards come together
 *   buckets: keys maps values to keys, in blocks. A key depends on the value and the parameters
 *            alone: the host asks for a value's keys once a shard, or again, and remembers them.
 *            Documents, children, orders, sizes, merging and writing are the host's. write_bucket
 *            (flag BUCKET_MEMBERS) adds members to the buckets of the answer.
 *
 * The host reads the members field, missing, format and value_type itself, of buckets order, size,
 * shard_size, min_doc_count, shard_min_doc_count and keyed too, and fetches the values: numbers,
 * dates (milliseconds), booleans (0 and 1), with TEXTS strings; a document may have several.
 * A partial result of a metric is bytes of the plugin's own, at most result_max for each owner.
 * They travel between nodes: reduce, value and write refuse what they do not know (QD_E_CORRUPT).
 * No bytes at all is the result of an owner without values.
 *
 * Every call runs on a thread of the host's while its search waits: a call that takes longer than
 * plugins.call_timeout, or than the search's own time, is left. What it was given stays until it
 * returns, and close follows.
 */
#ifndef QUIDDITCH_AGGREGATION_H
#define QUIDDITCH_AGGREGATION_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* qd_vtable.flags */
enum {
    QD_AGGREGATION_WRITES = 1,    /* write is there; else the host writes "value" */
    QD_AGGREGATION_BUCKETS = 2,   /* keys is there; collect, result, reduce, value, write are not */
    QD_AGGREGATION_TEXTS = 4,     /* fields of strings, too */
    QD_AGGREGATION_CACHEABLE = 8, /* same values and parameters: same results; they may be kept */
    QD_AGGREGATION_BUCKET_MEMBERS = 16 /* BUCKETS: write_bucket is there, and names of members */
};
#define QD_AGGREGATION_RESULT_MAX 65536u /* bytes: greatest result_max */
#define QD_AGGREGATION_MEMBERS_MAX 16u   /* names of members */
#define QD_AGGREGATION_BUCKET_MAX 65536u /* bytes of the members of a bucket, as JSON */
#define QD_AGGREGATION_KEYS_MAX 1024u    /* keys of one value */
#define QD_AGGREGATION_TEXT_MAX 32766u   /* bytes of a key that is a text */

/* What values and keys are. */
enum {
    QD_AGGREGATION_LIKE_VALUES = 0, /* keys alone: what the values are, in the field's format */
    QD_AGGREGATION_I64 = 1,         /* integers, dates, booleans */
    QD_AGGREGATION_F64 = 2,
    QD_AGGREGATION_TEXT = 3 /* strings; addresses as 16 bytes */
};

/* One aggregation of a request; keep while what was made with it lives. */
typedef struct qd_aggregation_ctx {
    uint32_t struct_size, reserved;
    qd_self *self;
    qd_arena *arena;     /* of what parse makes; lives as long as the request */
    const qd_task *task; /* cancelled when nobody waits for the call any more */
} qd_aggregation_ctx;

/* Pairs of owner and value, in no order of values; borrow. The values of a collector are all
 * numbers or all strings: with TEXTS, value is NULL where the field has strings, and what stands
 * behind it is NULL and 0 where it has numbers. */
typedef struct qd_aggregation_block {
    uint32_t struct_size, n;
    uint32_t owners, reserved; /* owners are below it; it never shrinks between blocks */
    const uint32_t *owner;     /* n of them; NULL: all of owner 0 */
    const double *value;       /* n of them; never NaN */
    /* The block's strings: equal ones seldom stand twice (once for each part of the shard that the
     * block reaches into), and their numbers are the block's own. Addresses: 16 bytes. */
    const qd_str *text;      /* ntexts of them */
    const uint32_t *text_of; /* n of them: the number of the pair's string, below ntexts */
    /* n of them: the pair's document, a number that no other one of the shard has. Pairs of the
     * same owner and document follow each other, if need be into the next block; each has another
     * string. */
    const uint32_t *doc;
    uint32_t ntexts, more; /* more: 0 */
} qd_aggregation_block;

/* Room for a result: the plugin writes up to room bytes to p and sets n (0 when it is called). */
typedef struct qd_aggregation_bytes {
    uint32_t room, n;
    uint8_t *p;
} qd_aggregation_bytes;

/* BUCKETS: values to map, of one type all; borrow. The host gives a value once or a few times,
 * however many documents have it. */
typedef struct qd_aggregation_values {
    uint32_t struct_size, n, type, reserved;
    const int64_t *i64; /* n of them, I64 */
    const double *f64;  /* n of them, F64; never NaN */
    const qd_str *text; /* n of them, TEXT */
} qd_aggregation_values;

/* Room for the keys of values: the plugin sets n and done (0 when it is called). A value may have
 * none, or several, which stand together; when its keys may not fit into what is left of room, the
 * plugin stops before it and is called again from there. */
typedef struct qd_aggregation_keys {
    uint32_t struct_size, room; /* at least QD_AGGREGATION_KEYS_MAX */
    uint32_t n;                 /* keys */
    uint32_t done;              /* values mapped, the first ones; at least one */
    uint32_t *of;               /* by key: number of its value; ascending */
    int64_t *i64;               /* the keys, as the plugin's key_type says; the others are NULL */
    double *f64;                /* never NaN */
    qd_str *text; /* keep until the next call or close; may be a value's own; addresses: 16 bytes */
} qd_aggregation_keys;

/* BUCKET_MEMBERS: a bucket of the answer; borrow. */
typedef struct qd_aggregation_bucket {
    uint32_t struct_size, type; /* of the key: I64, F64 or TEXT; the others are 0 */
    int64_t i64;
    double f64;
    qd_str text;
    uint64_t docs;  /* its documents */
    uint64_t total; /* those of all buckets, of ones that size cuts off too */
} qd_aggregation_bucket;

typedef struct qd_aggregation_collector qd_aggregation_collector; /* defined by the plugin */

typedef struct qd_aggregation_vtable {
    qd_vtable head;
    uint32_t result_max;     /* bytes of a partial result at most; 1 to QD_AGGREGATION_RESULT_MAX;
                                BUCKETS: 0 */
    uint32_t result_version; /* of their form, or of the keys' meaning: others are refused */
    /* Names of the values for orders and pipelines, "a,b"; NULL: one value without a name.
     * BUCKET_MEMBERS: those that write_bucket writes; not key, key_as_string, doc_count,
     * doc_count_error_upper_bound, and without '#'. */
    const char *members;
    /* The reader stands before the value behind the name and must be left behind it; members of the
     * host (qd_aggregation_host_member) are skipped. *out: keep, from ctx's arena. Errors by the
     * json service's fail carry line and column. [worker] */
    int32_t (*parse)(const qd_aggregation_ctx *, qd_json_in *, const void **out, qd_err *);
    /* A collector of one shard; make: close. [worker] */
    int32_t (*open)(const qd_aggregation_ctx *, const void *params, qd_aggregation_collector **out,
                    qd_err *);
    int32_t (*collect)(qd_aggregation_collector *, const qd_aggregation_block *, qd_err *);
    /* What was collected for an owner; any owner may be asked for, once all is collected. [worker]
     */
    int32_t (*result)(qd_aggregation_collector *, uint32_t owner, qd_aggregation_bytes *out,
                      qd_err *);
    void (*close)(qd_aggregation_collector *);
    /* n results (each with bytes) become one; commutative and associative. [worker] */
    int32_t (*reduce)(const qd_aggregation_ctx *, const void *params, const qd_str *results,
                      uint32_t n, qd_aggregation_bytes *out, qd_err *);
    /* The value of a result with bytes for orders, pipelines and the answer: of the member-th name,
     * 0 without names. NaN: none. [worker] */
    int32_t (*value)(const qd_aggregation_ctx *, const void *params, qd_str result, uint32_t member,
                     double *out, qd_err *);
    /* WRITES: the members of the answer's object: keys and values, nothing around them; result may
     * be without bytes. [worker] */
    int32_t (*write)(const qd_aggregation_ctx *, const void *params, qd_str result, qd_json_out *,
                     qd_err *);
    uint32_t key_type, reserved; /* BUCKETS: LIKE_VALUES, I64, F64 or TEXT; else 0 */
    /* BUCKETS: the keys of values. [worker] */
    int32_t (*keys)(qd_aggregation_collector *, const qd_aggregation_values *,
                    qd_aggregation_keys *out, qd_err *err);
    /* BUCKET_MEMBERS: members of a bucket's object, behind its key: names that `members` lists,
     * each once at most, and their values; nothing around them. Called for the buckets of the final
     * answer. A request whose sub-aggregation has the name of a member is refused. [worker] */
    int32_t (*write_bucket)(const qd_aggregation_ctx *, const void *params,
                            const qd_aggregation_bucket *, qd_json_out *, qd_err *);
} qd_aggregation_vtable;

/* Is key one of n names? */
static inline int32_t qd_aggregation_is_listed(qd_str key, const char *const *names, uint32_t n)
{
    uint32_t i, k;
    for (i = 0; i < n; i++) {
        for (k = 0; k < key.n && names[i][k] && names[i][k] == key.p[k]; k++) {}
        if (k == key.n && !names[i][k]) return 1;
    }
    return 0;
}

/* Is it a member that the host reads, of any aggregation? parse skips it. */
static inline int32_t qd_aggregation_host_member(qd_str key)
{
    static const char *const names[] = {"field", "missing", "format", "value_type"};
    return qd_aggregation_is_listed(key, names, 4);
}

/* The same of one with BUCKETS. */
static inline int32_t qd_aggregation_bucket_member(qd_str key)
{
    static const char *const names[] = {"order",         "size",  "shard_size",
                                        "min_doc_count", "keyed", "shard_min_doc_count"};
    return qd_aggregation_host_member(key) || qd_aggregation_is_listed(key, names, 6);
}

#ifdef __cplusplus
}
#endif
#endif
