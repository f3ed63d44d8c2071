/*
 * profile.c: the profile of a search. A query is measured as a whole, on the shards of this node:
 * its time stands as that of its next document. Clients decode all the names of Elasticsearch's
 * breakdown, and those of what is not measured apart are 0. Below it, the slow logs
 * (api/slow_int.h).
 */
#include "action/api/slow_int.h"
#include "action/search/part_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"
#include "search/nearest.h"
#include "search/tree.h"
#include <stdio.h>
#include <string.h>

static void write_breakdown(const search_shard *s, qd_json_writer *w)
{
    static const char *const steps[] = {
        "advance",  "build_scorer", "compute_max_score",         "create_weight",  "match",
        "next_doc", "score",        "set_min_competitive_score", "shallow_advance"};
    qd_json_key_c(w, "breakdown");
    qd_json_object(w);
    for (size_t i = 0; i < QD_COUNT_OF(steps); i++) {
        char count[64];
        bool next = strcmp(steps[i], "next_doc") == 0;
        snprintf(count, sizeof count, "%s_count", steps[i]);
        qd_json_field_int(w, steps[i], next ? (int64_t)s->took_ns : 0);
        qd_json_field_int(w, count, next ? (int64_t)s->total : 0);
    }
    qd_json_object_end(w);
}

static void write_query(const search_run *x, const search_shard *s, qd_json_writer *w)
{
    qd_buf b;
    qd_buf_init(&b, x->a->account, 1 << 16);
    (void)(s->index->query.root && qd_node_describe(s->index->query.root, &b));
    qd_json_key_c(w, "query");
    qd_json_array(w);
    qd_json_object(w);
    qd_json_field_c(w, "type", "Query");
    qd_json_field_str(w, "description", qd_buf_view(&b));
    qd_json_field_int(w, "time_in_nanos", (int64_t)s->took_ns);
    write_breakdown(s, w);
    qd_json_object_end(w);
    qd_json_array_end(w);
    qd_buf_fini(&b);
}

static void write_collector(const search_run *x, const search_shard *s, qd_json_writer *w)
{
    qd_json_key_c(w, "collector");
    qd_json_array(w);
    qd_json_object(w);
    qd_json_field_c(w, "name", x->r->sort.n ? "SortedHits" : "TopHits");
    qd_json_field_c(w, "reason", x->r->size ? "search_top_hits" : "search_count");
    qd_json_field_int(w, "time_in_nanos", (int64_t)s->took_ns);
    qd_json_object_end(w);
    qd_json_array_end(w);
}

/* As Elasticsearch's round before the query, of each section of nearest vectors; "segments" tells
 * how many were searched by a graph, by all codes and by all vectors. */
static void write_nearest(const search_run *x, const search_shard *s, qd_json_writer *w)
{
    if (!s->memos) return;
    qd_json_key_c(w, "dfs");
    qd_json_object(w);
    qd_json_key_c(w, "knn");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->index->nknn; i++) {
        if (!s->memos[i].found) continue;
        qd_nearest_counts c = qd_nearest_counts_of(s->memos[i].found);
        qd_json_object(w);
        qd_json_field_int(w, "vector_operations_count", (int64_t)(c.measured + c.rescored));
        qd_json_field_int(w, "rescored", (int64_t)c.rescored);
        qd_json_key_c(w, "segments");
        qd_json_object(w);
        qd_json_field_int(w, "graph", c.walked);
        qd_json_field_int(w, "codes", c.scanned);
        qd_json_field_int(w, "vectors", c.exact);
        qd_json_object_end(w);
        write_query(x, s, w);
        qd_json_field_int(w, "rewrite_time", 0);
        write_collector(x, s, w);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static void write_shard(const search_run *x, const search_shard *s, qd_json_writer *w)
{
    qd_str node = s->target ? s->target->node : x->a->node_id;
    qd_json_object(w);
    qd_json_key_c(w, "id");
    qd_json_printf(w, "[%.*s][%.*s][%u]", QD_STR_ARG(node), QD_STR_ARG(s->index->meta->name),
                   s->number);
    qd_json_key_c(w, "searches");
    qd_json_array(w);
    qd_json_object(w);
    write_query(x, s, w);
    qd_json_field_int(w, "rewrite_time", 0); /* indices rewrite a query, shards do not */
    write_collector(x, s, w);
    qd_json_object_end(w);
    qd_json_array_end(w);
    write_nearest(x, s, w);
    qd_json_key_c(w, "aggregations");
    qd_json_array(w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

void qdi_search_profile_write(const search_run *x, qd_json_writer *w)
{
    qd_json_key_c(w, "profile");
    qd_json_object(w);
    qd_json_key_c(w, "shards");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nshards; i++) write_shard(x, &x->shards[i], w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* --- slow logs --- */

static void tell_search(const char *component, qd_log_level level, const search_run *x,
                        const qd_index_meta *m, uint32_t shard, uint64_t hits, uint64_t took_ns)
{
    char took[32];
    qd_buf source;
    qd_str id = x->r->q->origin.opaque_id;
    qd_buf_init(&source, NULL, 4 * QDI_SLOW_SOURCE_MAX);
    qdi_slow_source(&source, x->r->body, SIZE_MAX, true);
    qd_log_write(component, level,
                 "[%.*s][%u] took[%s], took_millis[%llu], total_hits[%llu hits], search_type[%s], "
                 "total_shards[%u], source[%.*s], id[%.*s]",
                 QD_STR_ARG(m->name), shard, qd_time_text((int64_t)took_ns, took),
                 (unsigned long long)(took_ns / 1000000), (unsigned long long)hits,
                 x->stats ? "DFS_QUERY_THEN_FETCH" : "QUERY_THEN_FETCH", x->nshards,
                 QD_STR_ARG(qd_buf_view(&source)), QD_STR_ARG(id));
    qd_buf_fini(&source);
}

void qdi_slow_query(const search_run *x, const search_shard *s, uint64_t took_ns)
{
    static const char component[] = "index.search.slowlog.query";
    const qd_index_meta *m = s->index->meta;
    qd_log_level level;
    if (!qdi_slow_level(m->values, QD_IX_SLOW_QUERY_WARN, took_ns, &level)) return;
    if (qd_log_on(component, level))
        tell_search(component, level, x, m, s->number, s->total, took_ns);
}

void qdi_slow_fetch(const search_run *x, const qd_index_meta *m, uint32_t shard, uint32_t total,
                    uint64_t took_ns)
{
    static const char component[] = "index.search.slowlog.fetch";
    qd_log_level level;
    if (!qdi_slow_level(m->values, QD_IX_SLOW_FETCH_WARN, took_ns, &level)) return;
    if (qd_log_on(component, level)) tell_search(component, level, x, m, shard, total, took_ns);
}
