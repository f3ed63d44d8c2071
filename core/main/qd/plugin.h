/* plugin.h: the larger verbs of `qd plugin`. */
#ifndef QD_MAIN_QD_PLUGIN_H
#define QD_MAIN_QD_PLUGIN_H

#include "base/err.h"

/* `qd plugin check FILE.so ...`: 0 all well, 1 something failed, negative: it could not be done. */
int qd_plugin_check(int argc, char **argv, qd_err *err);
/* `qd plugin new KIND NAME [FOLDER]`. */
int qd_plugin_new(int argc, char **argv, qd_err *err);

#endif
