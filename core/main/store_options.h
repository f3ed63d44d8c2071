/*
 * store_options.h: what a store of cluster state is told of the host's settings (coordination.*),
 * by the daemon and by `qd`.
 */
#ifndef QD_MAIN_STORE_OPTIONS_H
#define QD_MAIN_STORE_OPTIONS_H

#include "cluster/authority/mode.h"
#include "config/config.h"
#include <quidditch/coordination.h>

#define QD_STORE_OPTIONS_MAX 14
#define QD_STORE_OPTION_TEXT 32

/* Pairs for qd_coord_config; texts are the settings', or here. */
typedef struct qd_store_options {
    qd_pair at[QD_STORE_OPTIONS_MAX];
    char text[QD_STORE_OPTIONS_MAX][QD_STORE_OPTION_TEXT];
    uint32_t n;
} qd_store_options;

/* Options of a store of this kind. */
void qd_store_options_take(const qd_config *config, qd_store_kind kind, qd_store_options *out);
/* One more. Borrowed texts. */
void qd_store_options_add(qd_store_options *o, const char *key, qd_str value);
/* How the Kubernetes API is reached from a pod: its service account's token; empty: it is none. */
qd_str qd_store_account(const qd_config *config);
/* Do the settings give access to Kubernetes, in a pod or by a kubeconfig? */
bool qd_store_reaches_kubernetes(const qd_config *config);

#endif
