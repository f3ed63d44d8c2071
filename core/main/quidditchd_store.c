/*
 * quidditchd_store.c: the storage tier of this node's shards: storage.tiers.<storage.tier>.*, by
 * default storage-nvme over path.data/<tier>.
 */
#include "base/log.h"
#include "main/node.h"
#include "store/tier.h"
#include <stdio.h>

static qd_str tier_setting(const qd_node *node, const char *tier, const char *key)
{
    char name[256];
    snprintf(name, sizeof name, "storage.tiers.%s.%s", tier, key);
    return qd_settings_text(qd_values_settings(qd_config_values(node->config)), name);
}

static int store_start(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 64], tier[64];
    snprintf(tier, sizeof tier, "%.*s",
             QD_STR_ARG(qd_config_text(node->config, QD_SET_STORAGE_TIER)));
    qd_str given = tier_setting(node, tier, "path");
    if (given.n) {
        snprintf(path, sizeof path, "%.*s", QD_STR_ARG(given));
    } else {
        snprintf(path, sizeof path, "%s/%s", node->data, tier);
    }
    int rc = qd_dir_make(path, 0700, err);
    if (rc == QD_E_EXISTS) {
        qd_err_fini(err);
        rc = 0;
    }
    if (rc) return rc;
    qd_store_tier t = {
        .name = qd_str_c(tier),
        .plugin = tier_setting(node, tier, "plugin"),
        .path = qd_str_c(path),
        .reserve = (uint64_t)qd_config_i64(node->config, QD_SET_STORAGE_RESERVE),
    };
    return qd_store_open(node->plugins, &t, &node->store, err);
}

static void store_stop(qd_node *node)
{
    qd_store_close(node->store);
    node->store = NULL;
}

const qd_step qd_step_store = {"store", NULL, store_start, store_stop, NULL};
