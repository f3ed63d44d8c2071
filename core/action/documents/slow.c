/* slow.c: the slow log of writes. See api/slow_int.h. */
#include "action/api/slow_int.h"
#include "action/documents/documents_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"

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
    if (!qdi_slow_level(m->values, QD_IX_SLOW_INDEX_WARN, took_ns, &level)) return;
    if (!qd_log_on(component, level)) return;
    qd_buf_init(&source, NULL, 4 * QDI_SLOW_SOURCE_MAX);
    size_t most = (size_t)qd_values_i64(m->values, QD_IX_SLOW_INDEX_SOURCE);
    bool reformat = qd_values_bool(m->values, QD_IX_SLOW_INDEX_REFORMAT);
    qdi_slow_source(&source, i->source, most, reformat);
    qd_log_write(
        component, level,
        "[%.*s/%s] took[%s], took_millis[%llu], shard[%u], id[%.*s], routing[%.*s], source[%.*s]",
        QD_STR_ARG(m->name), m->uuid, qd_time_text((int64_t)took_ns, took),
        (unsigned long long)(took_ns / 1000000), i->shard, QD_STR_ARG(i->id),
        QD_STR_ARG(i->routing), QD_STR_ARG(qd_buf_view(&source)));
    qd_buf_fini(&source);
}
