/* ilm_int.h: actions of _ilm with a file of their own: checks and runs as rows need them. */
#ifndef QD_ACTION_ILM_INT_H
#define QD_ACTION_ILM_INT_H

#include "action/lifecycle/lifecycle_int.h"

int qdi_lc_check_allocate(const qd_json_node *options, qd_err *err);
int qdi_lc_run_allocate(lc_run *x, qd_err *err);
int qdi_lc_check_migrate(const qd_json_node *options, qd_err *err);
/* Of what indices here do not have. */
int qdi_lc_run_nothing(lc_run *x, qd_err *err);

#endif
