/* settings.c: defaults, names, watermarks. See allocation.h. */
#include "cluster/allocation/allocation.h"

void qd_alloc_settings_default(qd_alloc_settings *out)
{
    *out = (qd_alloc_settings){
        .enable = QD_ALLOC_ENABLE_ALL,
        .rebalance = QD_ALLOC_REBALANCE_ALL,
        .allow = QD_ALLOC_ALLOW_ALL_ACTIVE,
        .concurrent_rebalance = 2,
        .node_in = 2,
        .node_out = 2,
        .node_initial = 4,
        .per_node = -1,
        .balance_shard = 0.45,
        .balance_index = 0.55,
        .balance_disk = 2e-11,
        .balance_load = 10.0,
        .threshold = 1.0,
        .disk_enabled = true,
        .low = {QD_STR("85%"), false, 0.85, 0, 200ll << 30, QD_STR("200GB")},
        .high = {QD_STR("90%"), false, 0.90, 0, 150ll << 30, QD_STR("150GB")},
        .flood = {QD_STR("95%"), false, 0.95, 0, 100ll << 30, QD_STR("100GB")},
    };
}

int64_t qd_alloc_watermark_free(const qd_alloc_watermark *w, int64_t total)
{
    if (w->is_bytes) return w->free_bytes;
    int64_t want = (int64_t)((double)total * (1.0 - w->used_ratio) + 0.5);
    return w->headroom >= 0 && want > w->headroom ? w->headroom : want;
}

static const char *const why_names[] = {
#define QD_ALLOC_WHY(sym) #sym,
#include "cluster/allocation/why.def"
#undef QD_ALLOC_WHY
};

const char *qd_alloc_why_name(qd_alloc_why why)
{
    return (unsigned)why < QD_ALLOC_WHY_COUNT ? why_names[why] : "ALLOCATION_FAILED";
}

qd_alloc_why qd_alloc_why_parse(qd_str name)
{
    for (int i = 0; i < QD_ALLOC_WHY_COUNT; i++)
        if (qd_str_is(name, why_names[i])) return (qd_alloc_why)i;
    return QD_ALLOC_WHY_COUNT;
}

const char *qd_alloc_status_name(qd_alloc_status status)
{
    switch (status) {
    case QD_ALLOC_STATUS_NO_ATTEMPT:
        return "no_attempt";
    case QD_ALLOC_STATUS_NO:
        return "no";
    case QD_ALLOC_STATUS_NO_VALID_COPY:
        return "no_valid_shard_copy";
    case QD_ALLOC_STATUS_THROTTLED:
        return "throttled";
    case QD_ALLOC_STATUS_DELAYED:
        return "delayed_allocation";
    }
    return "no_attempt";
}
