/* blocks.c: what an index refuses by index.blocks.*, and how many copies a write asks for. */
#include "action/action_int.h"
#include "base/str.h"
#include "config/value.h"
#include <stdio.h>

typedef struct block {
    int id; /* of its setting: qd_ix, or qd_set */
    uint32_t levels;
    const char *text;
} block;

static const block blocks[] = {
    {QD_IX_BLOCK_READ_ONLY, QDI_BLOCK_WRITE | QDI_BLOCK_METADATA_WRITE | QDI_BLOCK_DELETE,
     "FORBIDDEN/5/index read-only (api)"},
    {QD_IX_BLOCK_READ, QDI_BLOCK_READ, "FORBIDDEN/7/index read (api)"},
    {QD_IX_BLOCK_WRITE, QDI_BLOCK_WRITE, "FORBIDDEN/8/index write (api)"},
    {QD_IX_BLOCK_METADATA, QDI_BLOCK_METADATA_READ | QDI_BLOCK_METADATA_WRITE | QDI_BLOCK_DELETE,
     "FORBIDDEN/9/index metadata (api)"},
    {QD_IX_BLOCK_READ_ONLY_DELETE, QDI_BLOCK_WRITE | QDI_BLOCK_METADATA_WRITE,
     "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "
     "read-only-allow-delete block"},
};

/* What cluster.blocks.* refuses, whatever the index. */
static const block everywhere[] = {
    {QD_SET_CLUSTER_BLOCKS_READ_ONLY, QDI_BLOCK_WRITE | QDI_BLOCK_METADATA_WRITE | QDI_BLOCK_DELETE,
     "FORBIDDEN/6/cluster read-only (api)"},
    {QD_SET_CLUSTER_BLOCKS_READ_ONLY_DELETE, QDI_BLOCK_WRITE | QDI_BLOCK_METADATA_WRITE,
     "FORBIDDEN/13/cluster read-only / allow delete (api)"},
};

int qdi_cluster_block_check(const qd_actions *a, uint32_t level, qd_err *err)
{
    for (size_t i = 0; i < QD_COUNT_OF(everywhere); i++) {
        if (!(everywhere[i].levels & level) || !qd_config_bool(a->config, (qd_set)everywhere[i].id))
            continue;
        return qd_err_set(err, QD_E_CLUSTER_BLOCK, "blocked by: [%s];", everywhere[i].text);
    }
    return 0;
}

static int index_block_check(const qd_index_meta *m, uint32_t level, qd_err *err)
{
    for (size_t i = 0; i < QD_COUNT_OF(blocks); i++) {
        if (!(blocks[i].levels & level)) continue;
        if (!qd_values_bool(m->values, (qd_ix)blocks[i].id)) continue;
        int rc = qd_err_set(err, QD_E_CLUSTER_BLOCK, "index [%.*s] blocked by: [%s];",
                            QD_STR_ARG(m->name), blocks[i].text);
        if (blocks[i].id == QD_IX_BLOCK_READ_ONLY_DELETE) {
            qd_err_type(err, "cluster_block_exception", 429);
        }
        return rc;
    }
    return 0;
}

int qdi_block_check(const qd_actions *a, const qd_index_meta *m, uint32_t level, qd_err *err)
{
    int rc = qdi_cluster_block_check(a, level, err);
    return rc ? rc : index_block_check(m, level, err);
}

int qdi_blocks_check(const qd_actions *a, const qd_resolved *r, uint32_t level, qd_err *err)
{
    int rc = qdi_cluster_block_check(a, level, err);
    for (uint32_t i = 0; i < r->n && !rc; i++) rc = index_block_check(r->at[i], level, err);
    return rc;
}

/* --- wait_for_active_shards --- */

int qdi_active_param(const qd_request *q, int64_t *out, qd_err *err)
{
    qd_str v = qd_param(q, "wait_for_active_shards");
    *out = QDI_ACTIVE_DEFAULT;
    if (!qd_param_has(q, "wait_for_active_shards")) return 0;
    if (qd_str_is(v, "all")) {
        *out = QDI_ACTIVE_ALL;
        return 0;
    }
    if (!qd_str_i64(v, out)) {
        (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(v));
        return qd_err_wrap(err, QD_E_ARG, "cannot parse ActiveShardCount[%.*s]", QD_STR_ARG(v));
    }
    return *out < 0 ? qd_err_set(err, QD_E_ARG, "shard count cannot be a negative value") : 0;
}

/* What the index says; a bad value of an older record counts as the default. */
static int64_t active_of(const qd_index_meta *m)
{
    qd_str v = qd_values_text(m->values, QD_IX_WAIT_FOR_ACTIVE);
    int64_t n;
    if (qd_str_is(v, "all")) return QDI_ACTIVE_ALL;
    return qd_str_i64(v, &n) && n >= 0 ? n : 1;
}

bool qdi_active_waits(const qd_actions *a, int64_t asked)
{
    if (asked != QDI_ACTIVE_DEFAULT) return asked == QDI_ACTIVE_ALL || asked > 1;
    qd_state *s = qd_cluster_state(a->cluster);
    bool waits = s->nwanting > 0;
    qd_state_unref(s);
    return waits;
}

uint32_t qdi_active_needed(const qd_index_meta *m, int64_t asked)
{
    if (asked == QDI_ACTIVE_DEFAULT) asked = active_of(m);
    return asked == QDI_ACTIVE_ALL ? m->replicas + 1
                                   : (uint32_t)(asked > UINT32_MAX ? UINT32_MAX : asked);
}

int qdi_active_enough(const qd_state *s, const qd_index_meta *m, uint32_t shard, int64_t asked,
                      int64_t timeout_ms, qd_err *err)
{
    uint32_t needed = qdi_active_needed(m, asked);
    uint32_t have = 1;
    char text[24], wait[32];
    const qd_shard_meta *record = qd_state_shard(s, m, shard);
    if (record && needed > 1) {
        qd_shard_counts_meta n;
        qd_shard_meta_count(record, m->replicas, &n);
        if (n.active > have) have = n.active;
    }
    if (needed <= have) return 0;
    if (asked == QDI_ACTIVE_DEFAULT) asked = active_of(m);
    snprintf(text, sizeof text, "%lld", (long long)asked);
    return qd_err_set(err, QD_E_UNAVAILABLE_SHARDS,
                      "[%.*s][%u] Not enough active copies to meet shard count of [%s] (have %u, "
                      "needed %u). Timeout: [%s], request: [BulkShardRequest [[%.*s][%u]]]",
                      QD_STR_ARG(m->name), shard, asked == QDI_ACTIVE_ALL ? "ALL" : text, have,
                      needed, qd_time_text(timeout_ms * 1000000, wait), QD_STR_ARG(m->name), shard);
}

typedef struct active_wait {
    const char *uuid;
    uint32_t shard; /* or QDI_ALL_SHARDS */
    int64_t asked;
} active_wait;

static bool enough(void *arg, const qd_state *s)
{
    const active_wait *w = arg;
    const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(w->uuid));
    if (!m) return true;
    bool all = w->shard == QDI_ALL_SHARDS;
    uint32_t needed = qdi_active_needed(m, w->asked);
    uint32_t end = all ? m->shards : w->shard + 1;
    for (uint32_t k = all ? 0 : w->shard; k < end && needed; k++) {
        qd_shard_counts_meta n;
        const qd_shard_meta *record = qd_state_shard(s, m, k);
        if (!record) return false;
        qd_shard_meta_count(record, m->replicas, &n);
        if (n.active < needed) return false;
    }
    return true;
}

bool qdi_wait_active(qd_actions *a, const char *uuid, uint32_t shard, int64_t asked,
                     int64_t timeout_ms)
{
    active_wait w = {uuid, shard, asked};
    return qd_cluster_wait_for(a->cluster, enough, &w, timeout_ms) == 0;
}
