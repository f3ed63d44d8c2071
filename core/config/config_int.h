/*
 * config_int.h: which of the cluster's settings this node can use, between config.c and usable.c.
 */
#ifndef QD_CONFIG_CONFIG_INT_H
#define QD_CONFIG_CONFIG_INT_H

#include "config/config.h"

/* Would the node work with these sets (sealed) as its top layers? Nothing changes. */
QD_MUST_CHECK
int qdi_config_fits(qd_config *c, qd_settings *persistent, qd_settings *transient, qd_err *err);

/* The parts of both sets that this node can use, sealed; left is told of every other setting. */
QD_MUST_CHECK
int qdi_usable(qd_config *c, const qd_settings *persistent, const qd_settings *transient,
               qd_config_left left, void *arg, qd_settings *out[2], qd_err *err);

#endif
