/* slow.c: see slow_int.h. */
#include "action/api/slow_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"

#define SOURCE_MAX 6000u /* a log's line has room for 8 KiB */

/* Four settings behind each other, the highest level first. */
static bool level_of(const qd_values *v, uint32_t first, uint64_t took, qd_log_level *out)
{
    static const qd_log_level levels[] = {QD_LOG_WARN, QD_LOG_INFO, QD_LOG_DEBUG, QD_LOG_TRACE};
    for (uint32_t i = 0; i < QD_COUNT_OF(levels); i++) {
        int64_t threshold = qd_values_i64(v, first + i);
        *out = levels[i];
        if (threshold >= 0 && took > (uint64_t)threshold) return true;
    }
    return false;
}

/* At most n characters of text, and what a line has room for; one_line: no breaks in it. */
static void as_wanted(qd_buf *b, qd_str text, size_t n, bool one_line)
{
    for (size_t i = 0; i < text.n; i++) {
        bool begins = ((uint8_t)text.p[i] & 0xc0) != 0x80;
        if (begins && n-- == 0) return;
        if (b->n > SOURCE_MAX && begins) return;
        (void)qd_buf_char(b, one_line && (uint8_t)text.p[i] < ' ' ? ' ' : text.p[i]);
    }
}

/* --- documents --- */

int64_t qdi_slow_index_ns(const qd_values *v)
{
    int64_t least = INT64_MAX;
    for (uint32_t id = QD_IX_SLOW_INDEX_WARN; id <= QD_IX_SLOW_INDEX_TRACE; id++) {
        int64_t threshold = qd_values_i64(v, id);
        if (threshold >= 0 && threshold < least) least = threshold;
    }
    return least;
}

void qdi_slow_index(const qd_index_meta *m, const doc_item *i, uint64_t took_ns)
{
    static const char component[] = "index.indexing.slowlog.index";
    qd_log_level level;
    char took[32];
    qd_buf source;
    if (!level_of(m->values, QD_IX_SLOW_INDEX_WARN, took_ns, &level)) return;
    if (!qd_log_on(component, level)) return;
    qd_buf_init(&source, NULL, 4 * SOURCE_MAX);
    size_t most = (size_t)qd_values_i64(m->values, QD_IX_SLOW_INDEX_SOURCE);
    bool reformat = qd_values_bool(m->values, QD_IX_SLOW_INDEX_REFORMAT);
    as_wanted(&source, i->source, most, reformat);
    qd_log_write(
        component, level,
        "[%.*s/%s] took[%s], took_millis[%llu], shard[%u], id[%.*s], routing[%.*s], source[%.*s]",
        QD_STR_ARG(m->name), m->uuid, qd_time_text((int64_t)took_ns, took),
        (unsigned long long)(took_ns / 1000000), i->shard, QD_STR_ARG(i->id),
        QD_STR_ARG(i->routing), QD_STR_ARG(qd_buf_view(&source)));
    qd_buf_fini(&source);
}

/* --- searches --- */

static void tell_search(const char *component, qd_log_level level, const search_run *x,
                        const qd_index_meta *m, uint32_t shard, uint64_t hits, uint64_t took_ns)
{
    char took[32];
    qd_buf source;
    qd_str id = x->r->q->origin.opaque_id;
    qd_buf_init(&source, NULL, 4 * SOURCE_MAX);
    as_wanted(&source, x->r->body, SIZE_MAX, true);
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
    if (!level_of(m->values, QD_IX_SLOW_QUERY_WARN, took_ns, &level)) return;
    if (qd_log_on(component, level))
        tell_search(component, level, x, m, s->number, s->total, took_ns);
}

void qdi_slow_fetch(const search_run *x, const qd_index_meta *m, uint32_t shard, uint32_t total,
                    uint64_t took_ns)
{
    static const char component[] = "index.search.slowlog.fetch";
    qd_log_level level;
    if (!level_of(m->values, QD_IX_SLOW_FETCH_WARN, took_ns, &level)) return;
    if (qd_log_on(component, level)) tell_search(component, level, x, m, shard, total, took_ns);
}
