/*
 * known.h: names of the queries, aggregations, field types, processors and analysis parts that
 * Elasticsearch and OpenSearch know. One that no table here has is refused as not supported, in the
 * place of a guess at what may have been meant.
 */
#ifndef QD_CONFIG_KNOWN_H
#define QD_CONFIG_KNOWN_H

#include "base/str.h"
#include <stddef.h>

typedef enum qd_known_kind {
    QD_KNOWN_QUERY,
    QD_KNOWN_AGGREGATION,
    QD_KNOWN_FIELD_TYPE,
    QD_KNOWN_PROCESSOR,
    QD_KNOWN_CHAR_FILTER,
    QD_KNOWN_TOKENIZER,
    QD_KNOWN_TOKEN_FILTER,
    QD_KNOWN_ANALYZER,
    QD_KNOWN_KINDS
} qd_known_kind;

#define QD_KNOWN_ES 1u
#define QD_KNOWN_OS 2u
#define QD_KNOWN_BOTH (QD_KNOWN_ES | QD_KNOWN_OS)

typedef struct qd_known {
    qd_known_kind kind;
    uint32_t products;
    const char *name;
} qd_known;

/* How such a name is refused, with QD_STR_ARG of it; the page lists what works. */
#define QD_KNOWN_REFUSED "[%.*s] is not supported by this version, see docs/features.md"

/* The i-th name, by kind and name; NULL behind the last one. [any] */
const qd_known *qd_known_at(size_t i);
/* The name, of static storage, where one of the products knows it; else NULL. [any] */
const char *qd_known_name(qd_known_kind kind, qd_str name);

#endif
