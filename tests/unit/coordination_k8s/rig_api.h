/*
 * rig_api.h: what plugins/coordination-k8s/api.c is in tests: a model of an API server in place of
 * a real one, for the nodes of coord_rig.h.
 */
#ifndef QD_TESTS_RIG_API_H
#define QD_TESTS_RIG_API_H

#include "lib/kube_model.h"

/* A server for all nodes that are started from now on. */
kube_model *rig_api_make(uint64_t seed);
/* No node runs any more. */
void rig_api_free(void);
/* Node i cannot reach the server, or can again; also when it is started later. */
void rig_api_cut(int i, bool on);
/* The connection by which the node that was started last shows custom resources ("objects" in the
 * model's log); it is there while that node runs. */
kube_model_client *rig_api_objects(void);
/* The connection by which node i talks to the server while it runs. */
kube_model_client *rig_api_client(int i);
/* Each way between every node and the server takes so much longer; 0, 0: as before. */
void rig_api_slow(uint64_t min_ns, uint64_t max_ns);
/* The user as whom nodes connect from now on; NULL: an administrator. */
void rig_api_user(const char *user);

#endif
