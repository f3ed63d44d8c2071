/*
 * store.c: the storage tiers of this node's shards: storage.tiers.<name>.*, each by default
 * storage-nvme over path.data/<name>. On the one that storage.tier names lie the shards of indices
 * that name none, and what has no index.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "plugin/host.h"
#include "store/tier.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

/* The tiers of a node, its own first. */
typedef struct tier_list {
    tier_conf at[QD_TIERS_MAX];
    uint32_t caps[QD_TIERS_MAX];
    uint32_t n;
} tier_list;

/* It is the name of a folder, and stands in lists. */
static int check_name(qd_str name, qd_err *err)
{
    bool good = name.n > 0 && name.n < 64 && !qd_str_is(name, "coordination");
    for (size_t i = 0; i < name.n && good; i++)
        good = isalnum((unsigned char)name.p[i]) || name.p[i] == '-' || name.p[i] == '_';
    return good ? 0
                : qd_err_set(err, QD_E_CONFIG,
                             "storage.tiers.<name>: [%.*s] is no name of a tier: up to 63 letters, "
                             "digits, - and _, and not coordination",
                             QD_STR_ARG(name));
}

/* Takes the tier of the settings from i on; *i is behind it then. */
static int take_tier(const qd_settings *s, size_t *i, size_t end, tier_conf *t, qd_err *err)
{
    int rc = 0;
    *t = (tier_conf){0};
    for (; *i < end && !rc; ++*i) { /* keys are sorted: those of a tier stand together */
        const qd_setting_value *v = qd_settings_at(s, *i);
        qd_str key = qd_str_sub(v->key, strlen("storage.tiers."), SIZE_MAX);
        qd_str name = qd_str_split(&key, '.');
        if (t->tier.name.p && !qd_str_eq(t->tier.name, name)) break;
        t->tier.name = name;
        rc = key.n ? take_setting(t, v, key, err)
                   : qd_err_set(err, QD_E_CONFIG,
                                "setting [%.*s] wants storage.tiers.<name>.<option>",
                                QD_STR_ARG(v->key));
    }
    return rc;
}

/* A tier beside the node's own may lack logs: they are on the own one. */
static int check_tier(const qd_node *node, const qd_plugin_host *host, const tier_conf *t, bool own,
                      uint32_t *caps, qd_err *err)
{
    int rc = check_name(t->tier.name, err);
    if (!rc) rc = qd_store_tier_check(host, &t->tier, caps, err);
    if (rc || !holds_shards(node)) return rc;
    return qd_store_tier_writable(&t->tier, *caps | (own ? 0 : QD_STORE_APPEND), err);
}

/* Each tier of the settings has a plugin; the node's own is there with or without settings. */
static int read_tiers(qd_node *node, const qd_plugin_host *host, tier_list *l, qd_err *err)
{
    const qd_settings *s = qd_values_settings(qd_config_values(node->config));
    size_t n, i = qd_settings_group(s, QD_STR("storage.tiers."), &n), end = i + n;
    l->at[0] = (tier_conf){.tier.name = qd_config_text(node->config, QD_SET_STORAGE_TIER)};
    l->n = 1;
    int rc = 0;
    while (i < end && !rc) {
        tier_conf t;
        rc = take_tier(s, &i, end, &t, err);
        bool own = qd_str_eq(t.tier.name, l->at[0].tier.name);
        if (!rc && !own && l->n == QD_TIERS_MAX)
            rc = qd_err_set(err, QD_E_CONFIG, "storage.tiers: more than %u tiers", QD_TIERS_MAX);
        if (!rc) l->at[own ? 0 : l->n++] = t;
    }
    for (uint32_t k = 0; k < l->n && !rc; k++)
        rc = check_tier(node, host, &l->at[k], k == 0, &l->caps[k], err);
    return rc;
}

int qd_node_need_storage(qd_node *node, const qd_plugin_host *host, qd_err *err)
{
    tier_list *l = qd_calloc(NULL, sizeof *l);
    int rc = l ? read_tiers(node, host, l, err) : qd_err_nomem(err, "storage tiers");
    qd_free(l);
    return rc;
}

/* At each start, so that nobody learns of it by the loss. */
static void tell_unsafe(const qd_store_tier *t)
{
    qd_log_error("store",
                 "UNSAFE: storage.tiers.%.*s.unsafe_not_durable is true: the tier of plugin "
                 "[%.*s] is not durable, all shards of this node on it are LOST when it stops or "
                 "crashes",
                 QD_STR_ARG(t->name), QD_STR_ARG(t->plugin));
}

/* Is one path the other's, or does it lie in it? */
static bool meet(qd_str a, qd_str b)
{
    qd_str longer = a.n < b.n ? b : a, shorter = a.n < b.n ? a : b;
    return qd_str_starts(longer, shorter) && (longer.n == shorter.n || longer.p[shorter.n] == '/');
}

/* One folder for two tiers, or for a tier and something else, would make one's files the other's.
 */
static int check_apart(const qd_node *node, uint32_t k, qd_err *err)
{
    const char *folder[QD_TIERS_MAX + 2] = {node->coordination_path, node->logs};
    uint32_t n = 2;
    qd_buf mine, other;
    qd_buf_init(&mine, NULL, QD_PATH_MAX + 1);
    qd_buf_init(&other, NULL, QD_PATH_MAX + 1);
    while (n < k + 2) {
        folder[n] = node->tier_path[n - 2];
        n++;
    }
    int rc = qd_path_real(node->tier_path[k], &mine, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_buf_reset(&other);
        if (!folder[i][0] || qd_path_real(folder[i], &other, NULL)) continue; /* there is none */
        if (meet(qd_buf_view(&mine), qd_buf_view(&other)))
            rc = qd_err_set(err, QD_E_CONFIG,
                            "storage.tiers.%s.path: the folder [%s] and [%s], which this node uses "
                            "already, are one, or one lies in the other",
                            node->tier_name[k], node->tier_path[k], folder[i]);
    }
    qd_buf_fini(&other);
    qd_buf_fini(&mine);
    return rc;
}

static int tier_open(qd_node *node, tier_conf *t, uint32_t k, qd_err *err)
{
    char *path = node->tier_path[k];
    const size_t size = sizeof node->tier_path[k];
    qd_store *store;
    snprintf(node->tier_name[k], sizeof node->tier_name[k], "%.*s", QD_STR_ARG(t->tier.name));
    if (t->tier.path.n)
        snprintf(path, size, "%.*s", QD_STR_ARG(t->tier.path));
    else
        snprintf(path, size, "%s/%.*s", node->data, QD_STR_ARG(t->tier.name));
    int rc = qd_dir_make(path, 0700, err);
    if (rc == QD_E_EXISTS) {
        qd_err_fini(err);
        rc = 0;
    }
    if (!rc) rc = check_apart(node, k, err);
    if (rc) return rc;
    t->tier.path = qd_str_c(path);
    t->tier.options = t->options;
    t->tier.reserve = (uint64_t)qd_config_i64(node->config, QD_SET_STORAGE_RESERVE);
    rc = qd_store_open(node->plugins, &t->tier, &store, err);
    if (rc) return rc;
    if (k == 0)
        node->store = store;
    else
        node->others[node->nothers++] = (qd_shards_tier){qd_str_c(node->tier_name[k]), path, store};
    return 0;
}

static void store_stop(qd_node *node)
{
    while (node->nothers) qd_store_close(node->others[--node->nothers].store);
    qd_store_close(node->store);
    node->store = NULL;
}

static int store_start(qd_node *node, qd_err *err)
{
    tier_list *l = qd_calloc(NULL, sizeof *l);
    int rc = l ? read_tiers(node, node->plugins, l, err) : qd_err_nomem(err, "storage tiers");
    for (uint32_t k = 0; !rc && k < (holds_shards(node) ? l->n : 1); k++) {
        if (!(l->caps[k] & QD_STORE_DURABLE) && holds_shards(node)) tell_unsafe(&l->at[k].tier);
        rc = tier_open(node, &l->at[k], k, err);
    }
    if (!rc && holds_shards(node)) rc = qd_node_tiers_known(node, err);
    if (rc) store_stop(node);
    qd_free(l);
    return rc;
}

const qd_step qd_step_store = {"store", NULL, store_start, store_stop, NULL};
