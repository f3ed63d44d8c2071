/*
 * index_meta.h: all that the cluster knows of one index: settings, mapping, aliases, shards.
 * Immutable and counted; a change makes a new one. Stored as JSON under the keys of docs/state.md.
 */
#ifndef QD_CLUSTER_INDEX_META_H
#define QD_CLUSTER_INDEX_META_H

#include "base/arena.h"
#include "cluster/state/shard_meta.h"
#include "config/schema.h"
#include "mapping/mapping.h"
#include <stdatomic.h>

#define QD_UUID_TEXT 23 /* 22 characters of URL-safe base64 and a NUL */

typedef struct qd_alias {
    qd_str name;
    qd_str filter;         /* JSON of a query; empty: none */
    qd_str index_routing;  /* empty: none */
    qd_str search_routing; /* empty: none */
    int8_t is_write_index; /* -1: not given */
    bool is_hidden;
} qd_alias;

/* What binds an index to others. Written from level QD_FEATURES_TYPES_0_2 on. */
typedef struct qd_index_place {
    qd_str stream;       /* the data stream whose backing index it is; empty: of none */
    int64_t order;       /* among the stream's; the highest one is written to */
    bool stream_hidden;  /* wildcards leave the stream out */
    int64_t rolled_ms;   /* when a rollover put another one in its place; 0: none has */
    qd_str rolled_alias; /* alias or data stream that was rolled over then */
} qd_index_place;

typedef struct qd_index_meta {
    _Atomic int32_t refs;
    qd_arena arena;
    char uuid[QD_UUID_TEXT];
    qd_str name;
    int64_t created_ms;
    bool closed;
    uint32_t shards, routing_shards, replicas;
    qd_settings *settings; /* as set, keys with "index." */
    qd_values *values;     /* typed */
    qd_analyzers *analyzers;
    qd_mapping *mapping;
    char mapping_hash[65];   /* SHA-256 of the mapping's JSON, hex */
    const qd_alias *aliases; /* by name */
    uint32_t naliases;
    uint64_t version, mapping_version, settings_version, aliases_version;
    uint64_t mod_revision; /* of the record */
    qd_index_place place;  /* in a data stream, and in a series of rollovers */
} qd_index_meta;

/* One more reference; returns m. [any] */
qd_index_meta *qd_index_meta_ref(const qd_index_meta *m);
/* One reference less; NULL is fine. [any] */
void qd_index_meta_unref(const qd_index_meta *m);
/* Alias of that name, NULL. [any] */
const qd_alias *qd_index_meta_alias(const qd_index_meta *m, qd_str name);
/* Shard of a document: routing, or the id when there is none (docs of `_routing`). [any] */
uint32_t qd_index_meta_route(const qd_index_meta *m, qd_str id, qd_str routing);
/* Default of number_of_routing_shards for so many shards. [any] */
uint32_t qd_routing_shards_default(uint32_t shards);

/* What a new record is made of; all borrowed. */
typedef struct qd_index_source {
    const char *uuid;
    qd_str name;
    int64_t created_ms;
    bool closed;
    qd_settings *settings; /* sealed, prefixed */
    qd_str mapping;        /* JSON, may be empty */
    const qd_alias *aliases;
    uint32_t naliases;
    uint64_t version, mapping_version, settings_version, aliases_version;
    qd_index_place place;
    qd_mapping *ready;                    /* the mapping already parsed (else from JSON), or NULL */
    qd_analyzers *analyzers;              /* already made of these settings, or NULL */
    const struct qd_plugin_host *plugins; /* who else provides parts of analyzers; NULL: nobody */
    bool stored; /* from the store: unknown settings are archived, not refused, and parts of
                  * analyzers that this node cannot make are stood in for */
} qd_index_source;
/* Makes metadata: settings checked and typed, analyzers and mapping built. One reference is the
 * caller's. [worker] QD_E_ARG and what settings, analysis and mapping complain of. */
QD_MUST_CHECK
int qd_index_meta_make(const qd_index_source *src, qd_index_meta **out, qd_err *err);

/* The record as stored (without mapping text and shards). [any] */
void qd_index_meta_encode(const qd_index_meta *m, qd_json_writer *w);
/* Back from a stored record and its mapping's JSON. plugins as in qd_index_source; m may not
 * outlive them. QD_E_CORRUPT names the member. [worker] */
QD_MUST_CHECK
int qd_index_meta_decode(qd_str record, qd_str mapping, const struct qd_plugin_host *plugins,
                         qd_index_meta **out, qd_err *err);
/* Are the settings that analyzers are made of the same in both (sealed)? [any] */
bool qd_index_analysis_same(const qd_settings *a, const qd_settings *b);
/* The mapping hash that a stored record names, without building anything. */
QD_MUST_CHECK
int qd_index_meta_peek(qd_str record, char mapping_hash[65], qd_err *err);
/* Lower-case hex SHA-256 of bytes (FIPS 180-4, by OpenSSL). [any] */
void qd_sha256_hex(qd_str bytes, char out[65]);
/* 16 random bytes as 22 characters of URL-safe base64. [any] */
void qd_uuid_text(const uint8_t id[16], char out[QD_UUID_TEXT]);

#endif
