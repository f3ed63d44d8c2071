/*
 * plugins.h: the plugin host of a configuration: which folders, which names, which settings. For
 * the daemon and for `qd plugin`.
 */
#ifndef QD_MAIN_PLUGINS_H
#define QD_MAIN_PLUGINS_H

#include "config/config.h"
#include "main/paths.h"
#include "plugin/host.h"

/* Opens a host by the settings plugins.* and plugin.*, loads nothing yet; loop and pool may be
 * NULL. QD_E_NOMEM, QD_E_CONFIG. */
QD_MUST_CHECK
int qd_main_plugins_open(const qd_config *config, const qd_paths *paths, qd_env *env, qd_loop *loop,
                         qd_pool *pool, qd_plugin_host **out, qd_err *err);

/* One or a few columns of a plugin for people: "storage,operator"; into out (64 bytes), which is
 * returned. */
const char *qd_main_plugin_kinds(const qd_plugin_info *info, char out[64]);

#endif
