/*
 * store.c: the storage tier of this node's shards: storage.tiers.<storage.tier>.*, by
 * default storage-nvme over path.data/<tier>.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "plugin/host.h"
#include "store/tier.h"
#include <stdio.h>

#define TIER_OPTIONS_MAX 64

/* One tier of the settings: storage.tiers.<name>.{plugin,path,mmap} and options of its plugin. */
typedef struct tier_conf {
    qd_store_tier tier;
    qd_pair options[TIER_OPTIONS_MAX];
} tier_conf;

static int take_setting(tier_conf *t, const qd_setting_value *v, qd_str key, qd_err *err)
{
    if (qd_str_is(key, "plugin"))
        t->tier.plugin = v->text;
    else if (qd_str_is(key, "path"))
        t->tier.path = v->text;
    else if (qd_str_is(key, "mmap") && (qd_str_is(v->text, "true") || qd_str_is(v->text, "false")))
        t->tier.unmapped = qd_str_is(v->text, "false");
    else if (qd_str_is(key, "unsafe_not_durable") &&
             (qd_str_is(v->text, "true") || qd_str_is(v->text, "false")))
        t->tier.unsafe = qd_str_is(v->text, "true");
    else if (v->kind != QD_SETTING_TEXT || t->tier.noptions == TIER_OPTIONS_MAX)
        return qd_err_set(err, QD_E_CONFIG, "setting [%.*s] is not an option of a tier",
                          QD_STR_ARG(v->key));
    else
        t->options[t->tier.noptions++] = (qd_pair){key, v->text};
    return 0;
}

/* May this node hold shards? */
static bool holds_shards(const qd_node *node)
{
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    for (uint32_t i = 0; i < n; i++)
        if (qd_str_starts(roles[i], QD_STR("data"))) return true;
    return false;
}

/* All shards of a node lie on one tier: says which of the others' settings do nothing here. */
static void tell_unused(qd_str name, qd_str mine)
{
    qd_log_warn("store",
                "storage.tiers.%.*s is not used by this node: storage.tier is [%.*s], where all "
                "its shards lie, those of indices that prefer another tier too "
                "(index.routing.allocation.include._tier_preference); start a node with "
                "storage.tier: %.*s and the role data_%.*s for them",
                QD_STR_ARG(name), QD_STR_ARG(mine), QD_STR_ARG(name), QD_STR_ARG(name));
}

/* Each tier of the settings has a plugin; *own gets this node's, with or without settings, on which
 * its shards may be written. */
static int read_tiers(qd_node *node, const qd_plugin_host *host, tier_conf *own, uint32_t *caps,
                      bool tell, qd_err *err)
{
    const qd_settings *s = qd_values_settings(qd_config_values(node->config));
    size_t n, i = qd_settings_group(s, QD_STR("storage.tiers."), &n), end = i + n;
    qd_str mine = qd_config_text(node->config, QD_SET_STORAGE_TIER);
    *own = (tier_conf){.tier.name = mine};
    int rc = 0;
    while (i < end && rc == 0) {
        tier_conf t = {0};
        for (; i < end && rc == 0; i++) { /* keys are sorted: those of a tier stand together */
            const qd_setting_value *v = qd_settings_at(s, i);
            qd_str key = qd_str_sub(v->key, strlen("storage.tiers."), SIZE_MAX);
            qd_str name = qd_str_split(&key, '.');
            if (t.tier.name.p && !qd_str_eq(t.tier.name, name)) break;
            t.tier.name = name;
            rc = key.n ? take_setting(&t, v, key, err)
                       : qd_err_set(err, QD_E_CONFIG,
                                    "setting [%.*s] wants storage.tiers.<name>.<option>",
                                    QD_STR_ARG(v->key));
        }
        if (rc == 0) rc = qd_store_tier_check(host, &t.tier, NULL, err);
        if (rc == 0 && qd_str_eq(t.tier.name, mine))
            *own = t;
        else if (rc == 0 && tell)
            tell_unused(t.tier.name, mine);
    }
    if (rc == 0) rc = qd_store_tier_check(host, &own->tier, caps, err);
    return rc || !holds_shards(node) ? rc : qd_store_tier_writable(&own->tier, *caps, err);
}

int qd_node_need_storage(qd_node *node, const qd_plugin_host *host, qd_err *err)
{
    tier_conf own;
    uint32_t caps;
    return read_tiers(node, host, &own, &caps, false, err);
}

/* At each start, so that nobody learns of it by the loss. */
static void tell_unsafe(const qd_store_tier *t)
{
    qd_log_error("store",
                 "UNSAFE: storage.tiers.%.*s.unsafe_not_durable is true: the tier of plugin "
                 "[%.*s] is not durable, all shards of this node are LOST when it stops or "
                 "crashes",
                 QD_STR_ARG(t->name), QD_STR_ARG(t->plugin));
}

static int store_start(qd_node *node, qd_err *err)
{
    char *path = node->tier_path;
    const size_t size = sizeof node->tier_path;
    tier_conf t;
    uint32_t caps;
    int rc = read_tiers(node, node->plugins, &t, &caps, true, err);
    if (rc) return rc;
    if (!(caps & QD_STORE_DURABLE) && holds_shards(node)) tell_unsafe(&t.tier);
    if (t.tier.path.n)
        snprintf(path, size, "%.*s", QD_STR_ARG(t.tier.path));
    else
        snprintf(path, size, "%s/%.*s", node->data, QD_STR_ARG(t.tier.name));
    rc = qd_dir_make(path, 0700, err);
    if (rc == QD_E_EXISTS) {
        qd_err_fini(err);
        rc = 0;
    }
    if (rc) return rc;
    t.tier.path = qd_str_c(path);
    t.tier.options = t.options;
    t.tier.reserve = (uint64_t)qd_config_i64(node->config, QD_SET_STORAGE_RESERVE);
    return qd_store_open(node->plugins, &t.tier, &node->store, err);
}

static void store_stop(qd_node *node)
{
    qd_store_close(node->store);
    node->store = NULL;
}

const qd_step qd_step_store = {"store", NULL, store_start, store_stop, NULL};
