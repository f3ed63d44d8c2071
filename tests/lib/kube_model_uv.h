/*
 * kube_model_uv.h: a connection of the model on a libuv loop, in real time: for plugins whose
 * threads have loops. Several loops may share one model, made with config.mono_ns =
 * kube_model_uv_now.
 */
#ifndef QD_TESTS_KUBE_MODEL_UV_H
#define QD_TESTS_KUBE_MODEL_UV_H

#include "lib/kube_model.h"
#include <uv.h>

/* The clock of loops. arg is not used. */
uint64_t kube_model_uv_now(void *arg);
/* A transport whose callbacks come on the loop. Used on the loop's thread; free closes its handles
 * before `closed`. */
kube_transport *kube_model_uv_connect(kube_model *m, const char *name, const char *user,
                                      uv_loop_t *loop);
/* The connection of such a transport, for kube_model_cut and its like. */
kube_model_client *kube_model_uv_client(kube_transport *t);

#endif
