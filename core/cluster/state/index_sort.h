/*
 * index_sort.h: index.mode and what follows from it: the order of an index's documents in each
 * segment (index.sort.*), read from its settings and checked against its mapping; its source.
 */
#ifndef QD_CLUSTER_INDEX_SORT_H
#define QD_CLUSTER_INDEX_SORT_H

#include "config/schema.h"
#include "mapping/mapping.h"
#include "segment/merge.h"

/* Elasticsearch's values of index.mode, as the setting's. */
typedef enum qd_index_mode {
    QD_MODE_STANDARD,
    QD_MODE_TIME_SERIES,
    QD_MODE_LOGSDB,
    QD_MODE_LOOKUP
} qd_index_mode;

/* The mode of an index. [any] */
static inline qd_index_mode qd_index_mode_of(const qd_values *v)
{
    return (qd_index_mode)qd_values_i64(v, QD_IX_MODE);
}

/* How the source is kept (qd_source_mode of mapping/synthetic.h), by the setting or the mode. [any]
 */
uint8_t qd_index_source_mode(const qd_values *v);
/* What of a synthetic one is kept as it was sent (qd_source_keep), likewise. [any] */
uint8_t qd_index_source_keep(const qd_values *v);
/* The keys of the settings, given or those of the mode; names are borrowed from v. *n 0: not
 * sorted. QD_E_ARG in Elasticsearch's words. [any] */
QD_MUST_CHECK
int qd_index_sort(const qd_values *v, qd_merge_sort out[QD_MERGE_SORT_MAX], uint32_t *n,
                  qd_err *err);
/* May an index be sorted by a field of the mapping? QD_E_ARG. [any] */
QD_MUST_CHECK
int qd_index_sort_field_check(const qd_mapping *m, qd_str name, qd_err *err);
/* Has the mapping the fields of the sort, with values to sort by? QD_E_ARG. [any] */
QD_MUST_CHECK
int qd_index_sort_check(const qd_values *v, const qd_mapping *m, qd_err *err);

#endif
