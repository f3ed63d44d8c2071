/*
 * action_parts.h: what a whole node of the tests consists of beside its cluster: settings, pools,
 * tasks, plugins, store, counters, the request cache. For action_node.c and action_cluster.c.
 */
#ifndef QD_TESTS_ACTION_PARTS_H
#define QD_TESTS_ACTION_PARTS_H

#include "action/action.h"
#include "lib/store_crash.h"

/* A plugin of the test that nodes opened from now on have as well; NULL: none. */
extern const qd_plugin *action_plugin;

/* Asserts success, with the error's text. */
void action_must(int rc, qd_err *err, const char *what);
/* What a node knows of itself before anything is open; account and pools are the caller's. */
qd_actions action_parts_of(const char *id, const char *name, qd_account *account, qd_pools *pools);
/* Opens what stands below the cluster: settings ("key=value" a line), pools, tasks, plugins, the
 * store on this disk, counters, the request cache. Asserts success. */
void action_parts_open(qd_actions *a, qd_pools *pools, store_crash *disk, uint32_t workers,
                       const char *settings);
/* Says that the node has started. */
void action_parts_ready(qd_actions *a);
/* Closes both, when the cluster is closed. */
void action_parts_close(qd_actions *a, qd_pools *pools);

#endif
