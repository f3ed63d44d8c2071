/*
 * breakers_int.h: the floor below the limit of all memory, between usable.c and values' check.
 */
#ifndef QD_CONFIG_BREAKERS_INT_H
#define QD_CONFIG_BREAKERS_INT_H

#include "config/schema.h"

/* Is text, a value of key, below what that limit may be on a node of `memory` bytes? out gets the
 * least that may be. */
bool qdi_breaker_raise(qd_str key, qd_str text, int64_t memory, char out[32]);
/* QD_E_ARG naming setting, value and floor. */
QD_MUST_CHECK
int qdi_breaker_check(const qd_values *v, qd_err *err);

#endif
