/* index.h: what the files of `qd index` share. */
#ifndef QD_MAIN_QD_INDEX_H
#define QD_MAIN_QD_INDEX_H

#include "main/qd/client.h"

/* Imports the dangling indices named by uuid, or all; with neither it lists them on standard
 * output. QD_E_NOTFOUND: one of them does not dangle. */
QD_MUST_CHECK
int qd_index_import(qd_client *c, const char *const *uuids, uint32_t n, bool all, qd_err *err);

#endif
