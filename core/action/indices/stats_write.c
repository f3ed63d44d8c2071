/* stats_write.c: sections of statistics: which are wanted, and how they are shown. See stats_int.h.
 */
#include "action/indices/stats_int.h"
#include "base/str.h"
#include <stdio.h>

/* --- which sections --- */

static const struct {
    const char *name;
    uint32_t bit;
} sections[] = {
    {"docs", QDI_SEC_DOCS},
    {"store", QDI_SEC_STORE},
    {"indexing", QDI_SEC_INDEXING},
    {"get", QDI_SEC_GET},
    {"search", QDI_SEC_SEARCH},
    {"merge", QDI_SEC_MERGE},
    {"refresh", QDI_SEC_REFRESH},
    {"flush", QDI_SEC_FLUSH},
    {"warmer", QDI_SEC_WARMER},
    {"query_cache", QDI_SEC_QUERY_CACHE},
    {"fielddata", QDI_SEC_FIELDDATA},
    {"completion", QDI_SEC_COMPLETION},
    {"segments", QDI_SEC_SEGMENTS},
    {"translog", QDI_SEC_TRANSLOG},
    {"request_cache", QDI_SEC_REQUEST_CACHE},
    {"recovery", QDI_SEC_RECOVERY},
    {"bulk", QDI_SEC_BULK},
    {"shard_stats", QDI_SEC_SHARD_STATS},
    {"mappings", QDI_SEC_MAPPINGS},
};

int qdi_metric_unknown(const char *path, qd_str metrics, qd_str bad, const char *const *known,
                       size_t nknown, qd_err *err)
{
    const char *near = NULL;
    double least = 0.5; /* less than half of it may differ */
    for (size_t i = 0; i < nknown; i++) {
        qd_str name = qd_str_c(known[i]);
        double d = (double)qd_str_distance(name, bad) / (double)(name.n > bad.n ? name.n : bad.n);
        if (d < least) {
            least = d;
            near = known[i];
        }
    }
    return qd_err_set(err, QD_E_ARG, "request [%s/%.*s] contains unrecognized metric: [%.*s]%s%s%s",
                      path, QD_STR_ARG(metrics), QD_STR_ARG(bad), near ? " -> did you mean [" : "",
                      near ? near : "", near ? "]?" : "");
}

int qdi_sections_parse(const qd_request *q, qd_str metrics, const char *path, uint32_t *out,
                       qd_err *err)
{
    const char *known[QD_COUNT_OF(sections)];
    (void)q;
    *out = metrics.n ? 0 : QDI_SEC_ALL;
    for (size_t i = 0; i < QD_COUNT_OF(sections); i++) known[i] = sections[i].name;
    for (qd_str rest = metrics; rest.n;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        bool found = qd_str_is(one, "_all");
        if (found) *out = QDI_SEC_ALL;
        for (size_t i = 0; i < QD_COUNT_OF(sections); i++) {
            if (!qd_str_is(one, sections[i].name)) continue;
            *out |= sections[i].bit;
            found = true;
        }
        if (!found) return qdi_metric_unknown(path, metrics, one, known, QD_COUNT_OF(known), err);
        if (!rest.p) break;
    }
    return 0;
}

/* --- sections as JSON --- */

typedef struct writing {
    const qd_request *q;
    const int64_t *v;
    const qdi_field_bytes *fields;
    qd_json_writer *w;
} writing;

static void begin(const writing *x, const char *name)
{
    qd_json_key_c(x->w, name);
    qd_json_object(x->w);
}

static void end(const writing *x)
{
    qd_json_object_end(x->w);
}

static void num(const writing *x, const char *key, int stat)
{
    qd_json_field_int(x->w, key, stat < 0 ? 0 : x->v[stat]);
}

/* name_in_bytes, and with human name. */
static void bytes(const writing *x, const char *name, int stat)
{
    char key[96];
    snprintf(key, sizeof key, "%s_in_bytes", name);
    qdi_write_bytes(x->w, x->q->human, name, key, stat < 0 ? 0 : x->v[stat]);
}

/* name_in_millis, and with human name. */
static void time_of(const writing *x, const char *name, int stat)
{
    char key[96];
    snprintf(key, sizeof key, "%s_in_millis", name);
    qdi_write_ms(x->w, x->q->human, name, key, stat < 0 ? 0 : (uint64_t)x->v[stat]);
}

static void write_indexing(const writing *x)
{
    begin(x, "indexing");
    num(x, "index_total", QDI_INDEX_TOTAL);
    time_of(x, "index_time", QDI_INDEX_TIME);
    num(x, "index_current", QDI_INDEX_CURRENT);
    num(x, "index_failed", QDI_INDEX_FAILED);
    num(x, "delete_total", QDI_DELETE_TOTAL);
    time_of(x, "delete_time", QDI_DELETE_TIME);
    num(x, "delete_current", QDI_DELETE_CURRENT);
    num(x, "noop_update_total", QDI_NOOP_UPDATES);
    qd_json_field_bool(x->w, "is_throttled", false);
    time_of(x, "throttle_time", -1);
    end(x);
}

static void write_get(const writing *x)
{
    begin(x, "get");
    num(x, "total", QDI_GET_TOTAL);
    time_of(x, "time", QDI_GET_TIME);
    num(x, "exists_total", QDI_GET_EXISTS_TOTAL);
    time_of(x, "exists_time", QDI_GET_EXISTS_TIME);
    num(x, "missing_total", QDI_GET_MISSING_TOTAL);
    time_of(x, "missing_time", QDI_GET_MISSING_TIME);
    num(x, "current", QDI_GET_CURRENT);
    end(x);
}

static void write_search(const writing *x)
{
    begin(x, "search");
    num(x, "open_contexts", QDI_OPEN_CONTEXTS);
    num(x, "query_total", QDI_QUERY_TOTAL);
    time_of(x, "query_time", QDI_QUERY_TIME);
    num(x, "query_current", QDI_QUERY_CURRENT);
    num(x, "fetch_total", QDI_FETCH_TOTAL);
    time_of(x, "fetch_time", QDI_FETCH_TIME);
    num(x, "fetch_current", QDI_FETCH_CURRENT);
    num(x, "scroll_total", QDI_SCROLL_TOTAL);
    time_of(x, "scroll_time", QDI_SCROLL_TIME);
    num(x, "scroll_current", QDI_SCROLL_CURRENT);
    num(x, "suggest_total", QDI_SUGGEST_TOTAL);
    time_of(x, "suggest_time", QDI_SUGGEST_TIME);
    num(x, "suggest_current", QDI_SUGGEST_CURRENT);
    end(x);
}

static void write_merges(const writing *x)
{
    begin(x, "merges");
    num(x, "current", QDI_MERGES_CURRENT);
    num(x, "current_docs", QDI_MERGES_CURRENT_DOCS);
    bytes(x, "current_size", QDI_MERGES_CURRENT_SIZE);
    num(x, "total", QDI_MERGES_TOTAL);
    time_of(x, "total_time", QDI_MERGES_TIME);
    num(x, "total_docs", QDI_MERGES_DOCS);
    bytes(x, "total_size", QDI_MERGES_SIZE);
    time_of(x, "total_stopped_time", -1);
    time_of(x, "total_throttled_time", -1);
    qd_json_field_int(x->w, "total_auto_throttle_in_bytes", 0);
    end(x);
}

static void write_refresh_flush(const writing *x, uint32_t wanted)
{
    if (wanted & QDI_SEC_REFRESH) {
        begin(x, "refresh");
        num(x, "total", QDI_REFRESH_TOTAL);
        time_of(x, "total_time", QDI_REFRESH_TIME);
        num(x, "external_total", QDI_REFRESH_EXTERNAL_TOTAL);
        time_of(x, "external_total_time", QDI_REFRESH_EXTERNAL_TIME);
        num(x, "listeners", QDI_REFRESH_LISTENERS);
        end(x);
    }
    if (wanted & QDI_SEC_FLUSH) {
        begin(x, "flush");
        num(x, "total", QDI_FLUSH_TOTAL);
        num(x, "periodic", QDI_FLUSH_TOTAL);
        time_of(x, "total_time", QDI_FLUSH_TIME);
        end(x);
    }
}

qd_str qdi_fielddata_wanted(const qd_request *q)
{
    qd_str own = qd_param(q, "fielddata_fields");
    return own.n ? own : qd_param(q, "fields");
}

static bool in_list(qd_str patterns, qd_str field)
{
    while (patterns.n)
        if (qd_pattern_match(qd_str_trim(qd_str_split(&patterns, ',')), field)) return true;
    return false;
}

static void write_fields(const writing *x)
{
    qd_str wanted = qdi_fielddata_wanted(x->q);
    bool open = false;
    for (const qdi_field_bytes *f = x->fields; f; f = f->next) {
        if (!in_list(wanted, f->field)) continue;
        if (!open) {
            qd_json_key_c(x->w, "fields");
            qd_json_object(x->w);
        }
        open = true;
        qd_json_key(x->w, f->field);
        qd_json_object(x->w);
        qdi_write_bytes(x->w, x->q->human, "memory_size", "memory_size_in_bytes", f->bytes);
        qd_json_object_end(x->w);
    }
    if (open) qd_json_object_end(x->w);
}

static void write_caches(const writing *x, uint32_t wanted, bool newer)
{
    if (wanted & QDI_SEC_WARMER) {
        begin(x, "warmer");
        num(x, "current", QDI_WARMER_CURRENT);
        num(x, "total", QDI_WARMER_TOTAL);
        time_of(x, "total_time", QDI_WARMER_TIME);
        end(x);
    }
    if (wanted & QDI_SEC_QUERY_CACHE) {
        begin(x, "query_cache");
        bytes(x, "memory_size", QDI_QUERY_CACHE_MEMORY);
        num(x, "total_count", -1);
        num(x, "hit_count", -1);
        num(x, "miss_count", -1);
        num(x, "cache_size", -1);
        num(x, "cache_count", -1);
        num(x, "evictions", QDI_QUERY_CACHE_EVICTIONS);
        end(x);
    }
    if (wanted & QDI_SEC_FIELDDATA) {
        begin(x, "fielddata");
        bytes(x, "memory_size", QDI_FIELDDATA_MEMORY);
        num(x, "evictions", QDI_FIELDDATA_EVICTIONS);
        write_fields(x);
        if (newer) { /* building them is part of the searches that want them */
            begin(x, "global_ordinals");
            time_of(x, "build_time", -1);
            end(x);
        }
        end(x);
    }
    if (wanted & QDI_SEC_COMPLETION) {
        begin(x, "completion");
        bytes(x, "size", QDI_COMPLETION_SIZE);
        end(x);
    }
}

static void write_segments(const writing *x)
{
    static const char *const zeros[] = {"terms_memory",        "stored_fields_memory",
                                        "term_vectors_memory", "norms_memory",
                                        "points_memory",       "doc_values_memory"};
    begin(x, "segments");
    num(x, "count", QDI_SEGMENTS_COUNT);
    bytes(x, "memory", QDI_SEGMENTS_MEMORY);
    for (size_t i = 0; i < QD_COUNT_OF(zeros); i++) bytes(x, zeros[i], -1);
    bytes(x, "index_writer_memory", QDI_WRITER_MEMORY);
    bytes(x, "version_map_memory", QDI_VERSION_MAP_MEMORY);
    bytes(x, "fixed_bit_set_memory", -1);
    if (x->v[QDI_PARTS_BYTES]) bytes(x, "index_parts", QDI_PARTS_BYTES);
    qd_json_field_int(x->w, "max_unsafe_auto_id_timestamp", -1);
    qd_json_key_c(x->w, "file_sizes");
    qd_json_object(x->w);
    qd_json_object_end(x->w);
    end(x);
}

static void write_translog(const writing *x)
{
    begin(x, "translog");
    num(x, "operations", QDI_TRANSLOG_OPS);
    bytes(x, "size", QDI_TRANSLOG_BYTES);
    num(x, "uncommitted_operations", QDI_TRANSLOG_UNCOMMITTED_OPS);
    bytes(x, "uncommitted_size", QDI_TRANSLOG_UNCOMMITTED_BYTES);
    qd_json_field_int(x->w, "earliest_last_modified_age", 0);
    end(x);
}

static void write_rest(const writing *x, const qdi_identity *id, uint32_t wanted)
{
    if (wanted & QDI_SEC_REQUEST_CACHE) {
        begin(x, "request_cache");
        bytes(x, "memory_size", QDI_REQUEST_CACHE_MEMORY);
        num(x, "evictions", QDI_REQUEST_CACHE_EVICTIONS);
        num(x, "hit_count", QDI_REQUEST_CACHE_HITS);
        num(x, "miss_count", QDI_REQUEST_CACHE_MISSES);
        end(x);
    }
    if (wanted & QDI_SEC_RECOVERY) {
        begin(x, "recovery");
        num(x, "current_as_source", QDI_RECOVERY_SOURCE);
        num(x, "current_as_target", QDI_RECOVERY_TARGET);
        time_of(x, "throttle_time", QDI_RECOVERY_THROTTLE);
        end(x);
    }
    if (id->opensearch || id->product == QDI_ES7102) return;
    if (wanted & QDI_SEC_BULK) {
        begin(x, "bulk");
        num(x, "total_operations", -1);
        time_of(x, "total_time", -1);
        bytes(x, "total_size", -1);
        time_of(x, "avg_time", -1);
        bytes(x, "avg_size", -1);
        end(x);
    }
    if (wanted & QDI_SEC_SHARD_STATS) {
        begin(x, "shard_stats");
        num(x, "total_count", QDI_SHARDS);
        end(x);
    }
}

void qdi_sections_write(const qd_request *q, const qdi_identity *id, const qdi_stats *s,
                        uint32_t wanted, qd_json_writer *w)
{
    writing x = {q, s->v, s->fields, w};
    bool newer = id->product == QDI_ES8 || id->product == QDI_ES9;
    if (wanted & QDI_SEC_DOCS) {
        begin(&x, "docs");
        num(&x, "count", QDI_DOCS);
        num(&x, "deleted", QDI_DOCS_DELETED);
        if (newer) bytes(&x, "total_size", QDI_STORE);
        end(&x);
    }
    if (wanted & QDI_SEC_STORE) {
        begin(&x, "store");
        bytes(&x, "size", QDI_STORE);
        if (!id->opensearch) bytes(&x, "total_data_set_size", QDI_STORE);
        bytes(&x, "reserved", -1);
        end(&x);
    }
    if (wanted & QDI_SEC_INDEXING) write_indexing(&x);
    if (wanted & QDI_SEC_GET) write_get(&x);
    if (wanted & QDI_SEC_SEARCH) write_search(&x);
    if (wanted & QDI_SEC_MERGE) write_merges(&x);
    write_refresh_flush(&x, wanted);
    write_caches(&x, wanted, newer);
    if (wanted & QDI_SEC_SEGMENTS) write_segments(&x);
    if (wanted & QDI_SEC_TRANSLOG) write_translog(&x);
    write_rest(&x, id, wanted);
}
