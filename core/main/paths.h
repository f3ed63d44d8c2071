/*
 * paths.h: where things lie, relative to the running program.
 *
 *              build tree            any prefix                    prefix /usr
 *   programs   build/bin             PREFIX/bin                    /usr/bin
 *   plugins    build/lib/quidditch/  PREFIX/lib/quidditch/plugins  the same
 *   settings   conf/                 PREFIX/etc/quidditch          /etc/quidditch
 *   data       build/var/quidditch   PREFIX/var/quidditch          /var/lib/quidditch
 *   samples    conf/samples          PREFIX/share/quidditch        the same
 */
#ifndef QD_MAIN_PATHS_H
#define QD_MAIN_PATHS_H

#include "base/err.h"
#include "config/config.h"

#define QD_PATH_MAX 4096

typedef struct qd_paths {
    char bin[QD_PATH_MAX], plugins[QD_PATH_MAX], conf[QD_PATH_MAX], var[QD_PATH_MAX],
        share[QD_PATH_MAX], sdk[QD_PATH_MAX]; /* sdk: folder of the public headers and plugin.mk */
    bool build_tree;
} qd_paths;

/* Finds all of them; a prefix whose folder of plugins is elsewhere is told by QUIDDITCH_HOME. */
QD_MUST_CHECK
int qd_paths_find(qd_paths *p, qd_err *err);

/* A setting that is a path, absolute: a relative one given by a person counts from the working
 * folder, a default one from var. Empty stays empty. */
QD_MUST_CHECK
int qd_paths_setting(const qd_paths *paths, const qd_config *config, qd_set id,
                     char out[QD_PATH_MAX], qd_err *err);

#endif
