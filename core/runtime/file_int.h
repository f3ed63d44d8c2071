/*
 * file_int.h: errno to error codes, for file.c and proc.c.
 */
#ifndef QD_RUNTIME_FILE_INT_H
#define QD_RUNTIME_FILE_INT_H

#include "base/err.h"

/* Sets err to "cannot <what> [<path>]: <strerror>" and returns the code of errnum. */
int qdi_file_error(qd_err *err, int errnum, const char *what, const char *path);

#endif
