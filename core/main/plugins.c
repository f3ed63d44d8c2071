/* plugins.c: from settings to a plugin host. See plugins.h. */
#include "main/plugins.h"
#include "base/vec.h"
#include <stdio.h>

typedef QD_VEC(qd_pair) pairs;
typedef QD_VEC(qd_str) names;
typedef QD_VEC(qd_plugin_limit) limits;

#define LIMIT_LEAST (1 << 20) /* of plugins.memory.limits.<name>, bytes */

/* The settings below a prefix as pairs of name and text; of a list one pair an element. The keys
 * keep `keep` bytes of the prefix. */
static int take_group(const qd_settings *s, qd_str prefix, size_t cut, pairs *out)
{
    size_t n, first = qd_settings_group(s, prefix, &n);
    for (size_t i = first; i < first + n; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        qd_str key = qd_str_sub(v->key, cut, v->key.n);
        if (v->kind == QD_SETTING_TEXT) {
            if (qd_vec_push(out, NULL, ((qd_pair){key, v->text}))) return QD_E_NOMEM;
        }
        for (uint32_t k = 0; v->kind == QD_SETTING_LIST && k < v->n; k++)
            if (qd_vec_push(out, NULL, ((qd_pair){key, v->items[k]}))) return QD_E_NOMEM;
    }
    return 0;
}

/* plugins.allow: the names alone, or, where each begins with '+', these behind the default ones. */
static int allowed(const qd_values *values, names *out, qd_err *err)
{
    uint32_t n, more = 0;
    const qd_str *list = qd_values_list(values, QD_SET_PLUGINS_ALLOW, &n);
    for (uint32_t i = 0; i < n; i++) more += list[i].n && list[i].p[0] == '+';
    if (more && more != n)
        return qd_err_set(err, QD_E_CONFIG,
                          "plugins.allow: either all names begin with '+', which adds them to the "
                          "default ones, or none, which replaces these");
    int rc = 0;
    for (qd_str rest = more ? qd_str_c(qd_schema_node.defs[QD_SET_PLUGINS_ALLOW].value)
                            : (qd_str){NULL, 0};
         rest.n && !rc;)
        rc = qd_vec_push(out, NULL, qd_str_split(&rest, ','));
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qd_vec_push(out, NULL, more ? qd_str_sub(list[i], 1, list[i].n) : list[i]);
    return rc ? qd_err_nomem(err, "settings of plugins") : 0;
}

/* plugins.memory.limits.<name>: bytes, or a percentage of the node's memory. */
static int memory_limits(const qd_values *values, limits *out, qd_err *err)
{
    const qd_settings *s = qd_values_settings(values);
    const qd_str prefix = QD_STR("plugins.memory.limits.");
    size_t n, first = qd_settings_group(s, prefix, &n);
    for (size_t i = first; i < first + n; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        qd_plugin_limit one = {qd_str_sub(v->key, prefix.n, v->key.n), 0};
        if (v->kind != QD_SETTING_TEXT)
            return qd_err_set(err, QD_E_CONFIG, "[%.*s]: wanted bytes or a percentage",
                              QD_STR_ARG(v->key));
        int rc = qd_setting_memory(v->key, v->text, qd_values_memory(values), LIMIT_LEAST,
                                   &one.bytes, err);
        if (rc) return rc;
        if (qd_vec_push(out, NULL, one)) return qd_err_nomem(err, "settings of plugins");
    }
    return 0;
}

int qd_main_plugins_open(const qd_config *config, const qd_paths *paths, qd_env *env, qd_loop *loop,
                         qd_pool *pool, qd_plugin_host **out, qd_err *err)
{
    const qd_values *values = qd_config_values(config);
    const qd_settings *settings = qd_values_settings(values);
    names folders = {0}, allow = {0};
    pairs hashes = {0}, blocks = {0};
    limits limited = {0};
    uint32_t nmore;
    const qd_str *more = qd_values_list(values, QD_SET_PLUGINS_PATH, &nmore);
    int rc = allowed(values, &allow, err);
    if (!rc) rc = memory_limits(values, &limited, err);
    if (rc) {
        qd_vec_fini(&allow);
        qd_vec_fini(&limited);
        return rc;
    }
    rc = qd_vec_push(&folders, NULL, qd_str_c(paths->plugins));
    for (uint32_t i = 0; rc == 0 && i < nmore; i++)
        if (more[i].n) rc = qd_vec_push(&folders, NULL, more[i]);
    if (rc == 0) rc = take_group(settings, QD_STR("plugins.sha256."), 15, &hashes);
    if (rc == 0) rc = take_group(settings, QD_STR("plugin."), 0, &blocks);
    char trust[QD_PATH_MAX + 32];
    snprintf(trust, sizeof trust, "%s/plugins.trust.d", paths->conf);
    qd_plugin_host_config hc = {
        .env = env,
        .loop = loop,
        .pool = pool,
        .uv_version = qd_loop_uv_version(),
        .paths = folders.at,
        .npaths = folders.n,
        .build_tree = paths->build_tree,
        .allow = allow.at,
        .nallow = allow.n,
        .allow_unstable = qd_values_bool(values, QD_SET_PLUGINS_ALLOW_UNSTABLE),
        .call_timeout_ns = (uint64_t)qd_values_i64(values, QD_SET_PLUGINS_CALL_TIMEOUT),
        .require_signature = qd_values_bool(values, QD_SET_PLUGINS_REQUIRE_SIGNATURE),
        .trust_dir = qd_str_c(trust),
        .sha256 = hashes.at,
        .nsha256 = hashes.n,
        .memory_limit = qd_values_i64(values, QD_SET_PLUGINS_MEMORY),
        .limits = limited.at,
        .nlimits = limited.n,
        .settings = blocks.at,
        .nsettings = blocks.n,
    };
    rc = rc ? qd_err_nomem(err, "settings of plugins") : qd_plugin_host_open(&hc, out, err);
    qd_vec_fini(&allow);
    qd_vec_fini(&limited);
    qd_vec_fini(&folders);
    qd_vec_fini(&hashes);
    qd_vec_fini(&blocks);
    return rc;
}

const char *qd_main_plugin_kinds(const qd_plugin_info *info, char out[64])
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t kind = 1; kind < QD_KIND_COUNT && n < 64; kind++) {
        if (!(info->kinds & (1u << kind))) continue;
        int k = snprintf(out + n, 64 - n, "%s%s", n ? "," : "", qd_plugin_kind_name(kind));
        if (k > 0) n += (size_t)k;
    }
    return out;
}
