/*
 * aggs_lib.h: for tests of aggregations: random documents in several shards of several segments,
 * kept naively beside them, and one call that runs a request over all shards.
 */
#ifndef QD_TESTS_UNIT_AGGS_LIB_H
#define QD_TESTS_UNIT_AGGS_LIB_H

#include "aggs/aggs.h"
#include "analysis/analysis.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "query/dsl.h"
#include "search/plan/plan.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "unit/unit.h"

#define LIB_SHARDS 3u
#define LIB_SEGMENTS 3u

typedef struct lib_doc {
    char k[4][12]; /* keyword "k", different */
    uint32_t nk;
    int64_t n[4]; /* long "n", ascending */
    uint32_t nn;
    double d; /* double "d" */
    bool has_d;
    int64_t s; /* integer "s": every document */
    int64_t t; /* date "t" */
    bool has_t;
    int64_t b; /* boolean "b": every document */
    bool live;
    uint32_t shard;
} lib_doc;

typedef struct lib {
    qd_account account; /* of the engine */
    qd_account request; /* of aggregations */
    qd_err err;
    qd_arena arena;
    store_crash *disk;
    qd_store *store;
    qd_segment *segment[LIB_SHARDS][LIB_SEGMENTS];
    qd_live *live[LIB_SHARDS][LIB_SEGMENTS];
    qd_searcher *searcher[LIB_SHARDS];
    qd_analyzers *analyzers;
    qd_analysis *analysis;
    qd_mapping *mapping;
    lib_doc *docs;
    uint32_t n;
    uint64_t seed;
    uint32_t repeat; /* each shard is collected so many times; 0: once */
    uint32_t order;  /* rotates the order in which shards are reduced */
    int64_t max_buckets;
    qd_aggs_flavour flavour;
    bool typed;
    struct qd_task *task;              /* of binding; NULL: none */
    const struct qd_plugin_host *host; /* of aggregations of plugins; NULL: none */
    bool wire;                         /* results go through their encoded form */
    qd_buf last;                       /* the last one encoded */
    uint64_t damage; /* not 0: a byte of what is encoded is changed, or its end is cut off */
} lib;

uint64_t lib_random(lib *l, uint64_t n);
/* Documents made by make (index i) and spread over shards and segments; one in delete_in deleted.
 */
void lib_begin(lib *l, uint64_t seed, uint32_t n, uint32_t delete_in,
               void (*make)(lib *l, lib_doc *d, uint32_t i));
void lib_random_doc(lib *l, lib_doc *d, uint32_t i);
void lib_end(lib *l);
/* Runs the aggregations over all shards for documents with s in [lo, hi]; the JSON of the answer in
 * out (emptied first), or the error's code. */
int lib_run(lib *l, const char *aggs, int64_t lo, int64_t hi, qd_buf *out);
/* The same, compared with text. */
void lib_expect(lib *l, const char *aggs, const char *json);
/* And for refusals: code and reason. */
void lib_refuse(lib *l, const char *aggs, int code, const char *reason);

#endif
