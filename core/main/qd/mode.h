/* mode.h: `qd mode force`, beside `qd mode`. */
#ifndef QD_MAIN_QD_MODE_H
#define QD_MAIN_QD_MODE_H

#include "base/err.h"

/* Carries `qd mode force ...` out: argv[1] is "force". [worker] */
QD_MUST_CHECK
int qd_mode_force(int argc, char **argv, qd_err *err);

#endif
