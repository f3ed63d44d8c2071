/*
 * unzip.h: a file of lines, read as it is or, where it begins as gzip does, unpacked on the way.
 */
#ifndef QD_MAIN_QD_UNZIP_H
#define QD_MAIN_QD_UNZIP_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

typedef struct qd_unzip qd_unzip;

/* QD_E_ARG: the file is of another compression, which the error names with the program for it. */
QD_MUST_CHECK
int qd_unzip_open(const char *path, qd_unzip **out, qd_err *err);
/* Up to n bytes of what is inside; 0 at the end, or a negative code. *taken (may be NULL) grows by
 * the bytes of the file itself. */
int64_t qd_unzip_read(qd_unzip *z, void *p, size_t n, uint64_t *taken, qd_err *err);
void qd_unzip_close(qd_unzip *z); /* NULL: nothing */

#endif
