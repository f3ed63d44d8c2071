/* stats_int.h: statistics of shards, summed for indices and nodes: for _stats, _cat and /metrics.
 */
#ifndef QD_ACTION_STATS_INT_H
#define QD_ACTION_STATS_INT_H

#include "action/api/admin_int.h"

/* Statistics that are columns of _cat, then those that are not. Nodes send each other the list, so
 * that a new one comes last, and a column that has none of these shows 0. */
typedef enum qdi_stat {
#define QD_STAT(id, column, aliases, meaning, kind) QDI_##id,
#include "action/indices/stats.def"
#undef QD_STAT
    QDI_STAT_COLUMNS,
    QDI_DOCS = QDI_STAT_COLUMNS,
    QDI_DOCS_DELETED,
    QDI_STORE,
    QDI_NOOP_UPDATES,
    QDI_TRANSLOG_OPS,
    QDI_TRANSLOG_BYTES,
    QDI_TRANSLOG_UNCOMMITTED_OPS,
    QDI_TRANSLOG_UNCOMMITTED_BYTES,
    QDI_SHARDS, /* open shards summed */
    QDI_RECOVERY_SOURCE,
    QDI_RECOVERY_TARGET,
    QDI_RECOVERY_THROTTLE, /* ns */
    QDI_PARTS_BYTES,       /* index parts of field types in segments */
    QDI_STAT_COUNT
} qdi_stat;

typedef struct qdi_stat_column {
    const char *column, *aliases, *meaning;
    char kind; /* 'N', 'B' bytes, 'T' nanoseconds */
} qdi_stat_column;
extern const qdi_stat_column qdi_stat_columns[QDI_STAT_COLUMNS];

/* Fielddata of a field. */
typedef struct qdi_field_bytes {
    struct qdi_field_bytes *next;
    qd_str field;
    int64_t bytes;
} qdi_field_bytes;

typedef struct qdi_stats {
    int64_t v[QDI_STAT_COUNT];
    const qdi_field_bytes *fields; /* where they are asked for; not summed */
    /* of one shard, not summed */
    int64_t max_seq_no, local_checkpoint, global_checkpoint;
    char history_uuid[QD_UUID_TEXT];
} qdi_stats;

/* Statistics of a shard; false when it is not open: those of its recovery alone. [worker] */
bool qdi_stats_of_shard(const qd_actions *a, qd_shard *shard, qdi_stats *out);
/* Adds a field's bytes to a list, once for each name, in arena. */
QD_MUST_CHECK
int qdi_field_bytes_add(qdi_field_bytes **list, qd_arena *arena, qd_str field, int64_t bytes);
/* Which fields' fielddata a request asks for by name: patterns; empty: none. */
qd_str qdi_fielddata_wanted(const qd_request *q);
/* Adds one to the sum. */
void qdi_stats_add(qdi_stats *sum, const qdi_stats *one);
/* Sum over the shards of an index that are here; *open counts them. [worker] */
void qdi_stats_of_index(qd_actions *a, const qd_index_meta *m, qdi_stats *out, uint32_t *open);
/* Sum over all shards of this node. [worker] */
void qdi_stats_of_node(qd_actions *a, qdi_stats *out);

struct cat_table;
/* The statistics as columns shown on demand; pairs: each with its sibling "pri.". */
void qdi_cat_stat_columns(struct cat_table *t, bool pairs);
/* The cell of the i-th statistic. */
void qdi_cat_stat(struct cat_table *t, const qdi_stats *s, size_t i);

/* Which sections of the statistics are wanted. */
enum {
    QDI_SEC_DOCS = 1 << 0,
    QDI_SEC_STORE = 1 << 1,
    QDI_SEC_INDEXING = 1 << 2,
    QDI_SEC_GET = 1 << 3,
    QDI_SEC_SEARCH = 1 << 4,
    QDI_SEC_MERGE = 1 << 5,
    QDI_SEC_REFRESH = 1 << 6,
    QDI_SEC_FLUSH = 1 << 7,
    QDI_SEC_WARMER = 1 << 8,
    QDI_SEC_QUERY_CACHE = 1 << 9,
    QDI_SEC_FIELDDATA = 1 << 10,
    QDI_SEC_COMPLETION = 1 << 11,
    QDI_SEC_SEGMENTS = 1 << 12,
    QDI_SEC_TRANSLOG = 1 << 13,
    QDI_SEC_REQUEST_CACHE = 1 << 14,
    QDI_SEC_RECOVERY = 1 << 15,
    QDI_SEC_BULK = 1 << 16,
    QDI_SEC_SHARD_STATS = 1 << 17,
    QDI_SEC_MAPPINGS = 1 << 18,
    QDI_SEC_ALL = (1 << 19) - 1,
};
/* Parses a list of metrics ("docs,store", "_all", nothing) for the path shown in errors. */
int qdi_sections_parse(const qd_request *q, qd_str metrics, const char *path, uint32_t *out,
                       qd_err *err);
/* Writes the sections as members of the open object. */
void qdi_sections_write(const qd_request *q, const qdi_identity *id, const qdi_stats *s,
                        uint32_t sections, qd_json_writer *w);
/* Refuses a metric with Elasticsearch's text and the nearest known name. */
int qdi_metric_unknown(const char *path, qd_str metrics, qd_str bad, const char *const *known,
                       size_t nknown, qd_err *err);

#endif
