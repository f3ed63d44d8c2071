/* slow.c: the slow logs of searches. See api/slow_int.h. */
#include "action/api/slow_int.h"
#include "action/search/search_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"

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
