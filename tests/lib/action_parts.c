/* action_parts.c: see action_parts.h. */
#include "lib/action_parts.h"
#include "action/api/counters.h"
#include "action/indices/request_cache.h"
#include "analysis/analysis.h"
#include "rest/rest_int.h"
#include <stdio.h>
#include <string.h>

void action_must(int rc, qd_err *err, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "# %s: %s\n", what, qd_err_reason(err));
    qd_assert(rc == 0);
}

qd_actions action_parts_of(const char *id, const char *name, qd_account *account, qd_pools *pools)
{
    return (qd_actions){
        .env = qd_env_system(),
        .pools = pools,
        .account = account,
        .start_wall_ms = qd_env_wall_ms(qd_env_system()),
        .start_ns = qd_env_mono_ns(qd_env_system()),
        .node_id = qd_str_c(id),
        .node_name = qd_str_c(name),
        .node_host = QD_STR("127.0.0.1"),
        .data_path = QD_STR("/data"),
    };
}

static void open_config(qd_actions *a, const char *settings)
{
    qd_err err;
    qd_err_init(&err);
    action_must(qd_config_open((int64_t)2 << 30, &a->config, &err), &err, "config");
    for (qd_str rest = qd_str_c(settings); rest.p;) {
        qd_str line = qd_str_trim(qd_str_split(&rest, '\n'));
        if (line.n) action_must(qd_config_flag(a->config, line, &err), &err, "setting");
    }
    action_must(qd_config_ready(a->config, &err), &err, "config");
}

const qd_plugin *action_plugin;

static void open_plugins(qd_actions *a, const qd_pools *pools)
{
    qd_err err;
    qd_err_init(&err);
    qd_plugin_host_config c = {
        .env = a->env, .pool = qd_pools_get(pools, "generic"), .build_tree = true};
    action_must(qd_plugin_host_open(&c, &a->plugins, &err), &err, "plugins");
    action_must(qd_plugin_builtin(a->plugins, qd_analysis_plugin(), &err), &err, "analysis");
    if (action_plugin)
        action_must(qd_plugin_builtin(a->plugins, action_plugin, &err), &err, "plugin");
    action_must(qd_plugin_host_load(a->plugins, &err), &err, "plugins");
    action_must(qd_plugin_host_start(a->plugins, &err), &err, "plugins");
}

void action_parts_open(qd_actions *a, qd_pools *pools, store_crash *disk, uint32_t workers,
                       const char *settings)
{
    static const char *const names[] = {"search",  "write",       "get",      "analyze",
                                        "generic", "management",  "refresh",  "flush",
                                        "merge",   "force_merge", "snapshot", "warmer"};
    qd_err err;
    qd_err_init(&err);
    open_config(a, settings);
    for (size_t i = 0; i < QD_COUNT_OF(names); i++)
        action_must(qd_pools_add(pools, a->env, names[i],
                                 strcmp(names[i], "force_merge") == 0 ? 1 : workers, 1000, &err),
                    &err, "pools");
    action_must(qd_tasks_open(a->env, &a->tasks, &err), &err, "tasks");
    open_plugins(a, pools);
    action_must(store_crash_open(disk, &a->store, &err), &err, "store");
    action_must(qdi_routes_make(&err), &err, "routes");
    action_must(qd_action_counters_open(NULL, &a->counters, &err), &err, "counters");
    action_must(qd_request_cache_open(a, qd_config_i64(a->config, QD_SET_REQUEST_CACHE), 0,
                                      &a->request_cache, &err),
                &err, "request cache");
}

void action_parts_ready(qd_actions *a)
{
    atomic_store(&a->serving, true);
    atomic_store(&a->started, true);
}

void action_parts_close(qd_actions *a, qd_pools *pools)
{
    qd_pools_close(pools);
    qd_store_close(a->store);
    qd_plugin_host_close(a->plugins);
    qd_tasks_close(a->tasks);
    qd_config_close(a->config);
    qd_action_counters_close(a->counters);
    qd_request_cache_close(a->request_cache);
}
