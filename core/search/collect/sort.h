/*
 * sort.h: the best k documents by columns, score or order, a collector over any plan.
 *
 * Numbers compare as the column's sortable 64-bit integers, keywords by bytes: ordinals within a
 * segment, values where segments meet (only the worst kept value is looked up again in the next
 * segment's dictionary). Equal keys go to the lower global document, as in Lucene.
 *
 * With a group (field collapsing) the hits are the best one of each value of its column, the best k
 * of these. Documents without a value are one group.
 */
#ifndef QD_SEARCH_SORT_H
#define QD_SEARCH_SORT_H

#include "base/geo.h"
#include "search/collect/collect.h"
#include "search/nested.h"

struct qd_script_bind;
struct qd_task;

#define QD_SORT_KEYS_MAX 16u

typedef enum qd_sort_kind {
    QD_SORT_SCORE, /* descending is the natural order */
    QD_SORT_DOC,   /* global document number */
    QD_SORT_I64,   /* numeric column */
    QD_SORT_ORD    /* keyword column */
} qd_sort_kind;

/* Which of a document's several values counts (sums, averages and medians: of integers, doubles or
 * floats as the column holds them). */
typedef enum qd_sort_mode {
    QD_SORT_MIN,
    QD_SORT_MAX,
    QD_SORT_SUM,
    QD_SORT_AVG,
    QD_SORT_MEDIAN
} qd_sort_mode;

/* What a 64-bit column value is, for sum, avg and median. */
typedef enum qd_sort_number {
    QD_SORT_INTEGER,
    QD_SORT_DOUBLE,
    QD_SORT_FLOAT,
    QD_SORT_UNSIGNED /* the top bit turned over */
} qd_sort_number;

/* numeric_type: values compare and are shown as numbers of another kind than the column's. */
typedef enum qd_sort_cast { QD_SORT_UNCAST, QD_SORT_TO_LONG, QD_SORT_TO_DOUBLE } qd_sort_cast;

typedef enum qd_sort_missing {
    QD_SORT_MISSING_LAST,
    QD_SORT_MISSING_FIRST,
    QD_SORT_MISSING_VALUE
} qd_sort_missing;

/* A value of one key of one document. */
typedef struct qd_sort_value {
    uint8_t kind; /* qd_sort_kind */
    bool missing; /* I64, ORD: the document has none (shown as null) */
    int64_t i64;  /* I64; DOC */
    float score;  /* SCORE */
    qd_str bytes; /* ORD */
} qd_sort_value;

/* The values of nested documents, all together, stand for the document's. */
typedef struct qd_sort_nested {
    qd_nested_level level;
    const uint64_t *bits; /* by number in the level's searcher, those that count; NULL: all */
    uint32_t most;        /* of a document's, the first so many; 0: all */
    bool none;            /* there are no such documents */
} qd_sort_nested;

/* The values are points on the earth (base/geo.h), of which distances from other points count, all
 * from all, as doubles. */
typedef struct qd_sort_geo {
    const qd_geo *from;
    uint32_t n;
    double unit; /* meters */
    bool plane;  /* on a plane; else over the sphere */
} qd_sort_geo;

typedef struct qd_sort_key {
    qd_sort_kind kind;
    bool descending;
    qd_str field;
    const struct qd_field *fielddata; /* ORD: a text field whose column is in memory; or NULL */
    qd_str slice; /* ORD: only values that begin so, which they are shown without; n 0: all */
    qd_sort_mode mode;
    qd_sort_number number;
    qd_sort_cast cast; /* not with sum, avg, median */
    double scale;      /* of integers that stand for fractions; 0: they stand for themselves */
    qd_sort_missing missing;
    qd_sort_value missing_value;  /* with QD_SORT_MISSING_VALUE */
    const qd_sort_geo *geo;       /* I64: distances; not SUM; NULL: the values themselves */
    const qd_sort_nested *nested; /* I64, ORD; not with slice or cast; NULL: the document's own */
    /* I64 (as sortable doubles), ORD: what a script makes of a document; NULL: a column's values */
    const struct qd_script_bind *script;
} qd_sort_key;

typedef struct qd_sort_options {
    const qd_sort_key *keys;
    uint32_t nkeys; /* 1 to QD_SORT_KEYS_MAX */
    uint32_t k;
    const qd_sort_value *after; /* nkeys values of search_after; NULL: from the start */
    uint64_t total;             /* as qd_top_options.total */
    bool scores;                /* track_scores */
    const qd_sort_key *group;   /* I64 or ORD, of which kind and field count; NULL: no groups */
    uint64_t seed;              /* of the groups' hash table: users can choose the values */
    struct qd_task *task;       /* scripts look at it; may be NULL */
    bool by_index; /* the keys are the first ones of index.sort, and perhaps the document */
} qd_sort_options;

typedef struct qd_sort_hit {
    uint32_t doc;          /* global */
    float score;           /* 0 unless asked for */
    qd_sort_value *values; /* nkeys */
    qd_sort_value group;   /* the group's value, with a group */
} qd_sort_hit;

typedef struct qd_sorter qd_sorter;

/* Makes a sorting collector in the arena; options' arrays are copied. Fields absent from a segment
 * count as missing. QD_E_ARG, QD_E_NOMEM; when it collects, QD_E_ARG for a document with several
 * values of the group's column. [any] */
QD_MUST_CHECK
int qd_sorter_make(const qd_sort_options *o, qd_arena *arena, qd_sorter **out, qd_err *err);
/* The collector to hand to qd_plan_collect. [any] */
qd_collector *qd_sorter_collector(qd_sorter *s);
/* The best hits in order, in the sorter's arena; *total hits seen, *lower_bound true when the
 * search ended early with more to come. [any] */
QD_MUST_CHECK
int qd_sorter_finish(qd_sorter *s, qd_sort_hit **hits, uint32_t *n, uint64_t *total,
                     bool *lower_bound, qd_err *err);
/* Does the key look at scores? [any] */
bool qd_sort_key_scores(const qd_sort_key *k);
/* Compares two hits of any shards by the keys, then not at all (0): for the reduce phase. [any] */
int qd_sort_compare(const qd_sort_key *keys, uint32_t nkeys, const qd_sort_value *a,
                    const qd_sort_value *b);

#endif
